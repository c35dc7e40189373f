//! Snapshots: the latest versions of all files under a label, as they were at one moment.

use velocitydb::Timestamp;
use velocitydb::query::{Direction, Filter, Find};

use crate::error::Error;
use crate::file::{File, latest_of, within};
use crate::records::{all_of, group};
use crate::row::{Record as _, record, scoped};

record! {
    /// The files under a label at one moment.
    Snapshot in "snapshots" called "snapshot" {
        /// Its id.
        id: String, "snapshotid", "snapshot_id";
        /// The colony.
        colony: String, "colonyname", "colony_name";
        /// The label.
        label: String, "label", "label";
        /// Its name, which is unique in the colony.
        name: String, "name", "name";
        /// The ids of the files' versions.
        #[serde(deserialize_with = "crate::row::json::or_default")]
        file_ids: Vec<String>, "fileids", "file_ids";
        /// When it was made.
        #[serde(with = "crate::row::json::time")]
        added_at: Option<Timestamp>, "added", "added";
    }
    with name within colony
}

group! {
    /// Snapshots of labels. From [`crate::Colonies::snapshots`].
    Snapshots
}

impl Snapshots<'_> {
    /// Makes a snapshot of a label and those under it, of one state.
    ///
    /// # Errors
    /// [`Error::Exists`]: the colony has one of this name. [`Error::NotFound`]: there is no file.
    pub fn create(&self, colony: &str, label: &str, name: &str) -> Result<Snapshot, Error> {
        let label = label.strip_suffix('/').unwrap_or(label);
        // One question sees one state; the name is unique in the index.
        let files: Vec<File> = self.of.find(&Find::new(within(colony, label)))?;
        if files.is_empty() {
            return Err(Error::not_found("label", label));
        }
        let snapshot = Snapshot {
            id: crate::ids::new_id(),
            colony: colony.to_owned(),
            label: label.to_owned(),
            name: name.to_owned(),
            file_ids: latest_of(files).into_iter().map(|file| file.id).collect(),
            added_at: Some(self.of.store().now()),
        };
        self.of.insert::<Snapshot>(name, snapshot.to_fields()?)?;
        Ok(snapshot)
    }

    /// The snapshot of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, colony: &str, id: &str) -> Result<Option<Snapshot>, Error> {
        let snapshot: Option<Snapshot> = self.of.by_id(id)?;
        Ok(snapshot.filter(|snapshot| snapshot.colony == colony))
    }

    /// The snapshot of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn by_name(&self, colony: &str, name: &str) -> Result<Option<Snapshot>, Error> {
        self.of.find_one(Filter::eq("name", scoped(colony, name)?))
    }

    /// Those of a colony, the newest first.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn in_colony(&self, colony: &str) -> Result<Vec<Snapshot>, Error> {
        let newest = [("added", Direction::Descending)];
        self.of
            .find(&Find::new(Filter::eq("colony_name", colony)).sort(newest))
    }

    /// Removes the snapshot of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, colony: &str, id: &str) -> Result<(), Error> {
        let filter = all_of([
            Filter::eq("colony_name", colony),
            Filter::eq("snapshot_id", id),
        ]);
        self.of.remove_one::<Snapshot>(&filter, id)
    }

    /// Removes the snapshot of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_by_name(&self, colony: &str, name: &str) -> Result<(), Error> {
        let filter = Filter::eq("name", scoped(colony, name)?);
        self.of.remove_one::<Snapshot>(&filter, name)
    }

    /// Removes those of a colony; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<Snapshot>(&Filter::eq("colony_name", colony))
    }
}
