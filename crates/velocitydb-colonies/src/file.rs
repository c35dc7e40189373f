//! Files: where they are, under labels, in versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use velocitydb::query::{Direction, Filter, Find};
use velocitydb::{Timestamp, Value};

use crate::error::Error;
use crate::records::{all_of, group};
use crate::row::{Record, Row, RowBuilder, json};
use crate::schema::FILE_SEQUENCE;

/// A version of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// Its id.
    #[serde(rename = "fileid")]
    pub id: String,
    /// The colony.
    #[serde(rename = "colonyname")]
    pub colony: String,
    /// What it stands under: a path.
    pub label: String,
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub size: i64,
    /// A number that later versions have a higher one than.
    #[serde(rename = "sequencenr")]
    pub sequence: i64,
    /// Its checksum.
    pub checksum: String,
    /// How that was made.
    #[serde(rename = "checksumalg")]
    pub checksum_algorithm: String,
    /// Where it is.
    #[serde(rename = "ref")]
    pub reference: Reference,
    /// When it was added.
    #[serde(rename = "added", with = "json::time")]
    pub added_at: Option<Timestamp>,
}

/// Where a file is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// How it is reached: `s3`.
    pub protocol: String,
    /// The object.
    #[serde(rename = "s3object")]
    pub object: S3Object,
}

/// An object of an S3 store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct S3Object {
    /// The server.
    pub server: String,
    /// Its port.
    pub port: i32,
    /// Whether it is asked by TLS.
    pub tls: bool,
    /// Who asks.
    #[serde(rename = "accesskey")]
    pub access_key: String,
    /// With what secret.
    #[serde(rename = "secretkey")]
    pub secret_key: String,
    /// The region.
    pub region: String,
    /// What it is encrypted with.
    #[serde(rename = "encryptionkey")]
    pub encryption_key: String,
    /// How.
    #[serde(rename = "encryptionalg")]
    pub encryption_algorithm: String,
    /// The object's name.
    pub object: String,
    /// The bucket.
    pub bucket: String,
}

/// A label with the number of files under it, all versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The label.
    pub name: String,
    /// How many.
    pub files: usize,
}

impl Record for File {
    const COLLECTION: &'static str = "files";
    const WHAT: &'static str = "file";

    fn from_row(row: &Row) -> Result<File, Error> {
        Ok(File {
            id: row.read("file_id"),
            colony: row.read("colony_name"),
            label: row.read("label"),
            name: row.read("name"),
            size: row.read("size"),
            sequence: row.read("seqnr"),
            checksum: row.read("checksum"),
            checksum_algorithm: row.read("checksum_alg"),
            reference: Reference {
                protocol: row.read("protocol"),
                object: S3Object {
                    server: row.read("s3_server"),
                    port: row.read("s3_port"),
                    tls: row.read("s3_tls"),
                    access_key: row.read("s3_accesskey"),
                    secret_key: row.read("s3_secretkey"),
                    region: row.read("s3_region"),
                    encryption_key: row.read("s3_enckey"),
                    encryption_algorithm: row.read("s3_encalg"),
                    object: row.read("s3_obj"),
                    bucket: row.read("s3_bucket"),
                },
            },
            added_at: row.read("added"),
        })
    }

    fn to_row(&self) -> Result<RowBuilder, Error> {
        let object = &self.reference.object;
        Ok(RowBuilder::new()
            .put("file_id", &self.id)
            .put("colony_name", &self.colony)
            .put("label", &self.label)
            .put("name", &self.name)
            .put("size", &self.size)
            .put("seqnr", &self.sequence)
            .put("checksum", &self.checksum)
            .put("checksum_alg", &self.checksum_algorithm)
            .put("added", &self.added_at)
            .put("protocol", &self.reference.protocol)
            .put("s3_server", &object.server)
            .put("s3_port", &object.port)
            .put("s3_tls", &object.tls)
            .put("s3_accesskey", &object.access_key)
            .put("s3_secretkey", &object.secret_key)
            .put("s3_region", &object.region)
            .put("s3_enckey", &object.encryption_key)
            .put("s3_encalg", &object.encryption_algorithm)
            .put("s3_obj", &object.object)
            .put("s3_bucket", &object.bucket))
    }
}

group! {
    /// Files. From [`crate::Colonies::files`].
    Files
}

impl Files<'_> {
    /// Adds a version of a file: numbers and dates it.
    ///
    /// # Errors
    /// [`Error::Exists`]: there is one of its id.
    pub fn add(&self, file: &mut File) -> Result<(), Error> {
        file.sequence = self.of.store().next_number(&self.of.name(FILE_SEQUENCE))?;
        file.added_at = Some(self.of.store().now());
        self.of.insert::<File>(&file.id, file.to_fields()?)
    }

    /// The version of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, colony: &str, id: &str) -> Result<Option<File>, Error> {
        let file: Option<File> = self.of.by_id(id)?;
        Ok(file.filter(|file| file.colony == colony))
    }

    /// The versions of a file, the latest first.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn versions(&self, colony: &str, label: &str, name: &str) -> Result<Vec<File>, Error> {
        self.of.find(&versions(colony, label, name))
    }

    /// The latest version of a file.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn latest(&self, colony: &str, label: &str, name: &str) -> Result<Option<File>, Error> {
        Ok(self.of.find(&versions(colony, label, name).limit(1))?.pop())
    }

    /// The latest version of each file under a label, by name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn under(&self, colony: &str, label: &str) -> Result<Vec<File>, Error> {
        let find = Find::new(all_of([in_colony(colony), Filter::eq("label", label)]));
        Ok(latest_of(self.of.find(&find)?))
    }

    /// The labels of a colony, each with the number of its files; with a prefix only those that begin
    /// so.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn labels(&self, colony: &str, prefix: Option<&str>) -> Result<Vec<Label>, Error> {
        let prefix = prefix.map(|prefix| Filter::prefix("label", prefix));
        self.labels_of(all_of([in_colony(colony)].into_iter().chain(prefix)))
    }

    /// A label and those under it, each with the number of its files.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn labels_within(&self, colony: &str, label: &str) -> Result<Vec<Label>, Error> {
        self.labels_of(within(colony, label))
    }

    fn labels_of(&self, filter: Filter) -> Result<Vec<Label>, Error> {
        let files: Vec<File> = self.of.find(&Find::new(filter))?;
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        for file in files {
            *labels.entry(file.label).or_default() += 1;
        }
        let labels = labels
            .into_iter()
            .map(|(name, files)| Label { name, files });
        Ok(labels.collect())
    }

    /// How many versions of files a colony has, under a label.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count(&self, colony: &str, label: Option<&str>) -> Result<u64, Error> {
        let label = label.map(|label| Filter::eq("label", label));
        self.of
            .count::<File>(&all_of([in_colony(colony)].into_iter().chain(label)))
    }

    /// Removes the version of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, colony: &str, id: &str) -> Result<(), Error> {
        let filter = all_of([in_colony(colony), Filter::eq("file_id", id)]);
        self.of.remove_one::<File>(&filter, id)
    }

    /// Removes all versions of a file; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_versions(&self, colony: &str, label: &str, name: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<File>(&versions(colony, label, name).filter)
    }
}

fn in_colony(colony: &str) -> Filter {
    Filter::eq("colony_name", colony)
}

/// Files under a label, and under those that it is the beginning of.
pub(crate) fn within(colony: &str, label: &str) -> Filter {
    let own = Filter::eq("label", label);
    let under = Filter::prefix("label", format!("{label}/"));
    all_of([in_colony(colony), Filter::Or(vec![own, under])])
}

/// The latest version of each file, by label and name.
pub(crate) fn latest_of(files: Vec<File>) -> Vec<File> {
    let mut latest: BTreeMap<(String, String), File> = BTreeMap::new();
    for file in files {
        let of = (file.label.clone(), file.name.clone());
        match latest.get(&of) {
            Some(other) if other.sequence > file.sequence => {}
            _ => {
                latest.insert(of, file);
            }
        }
    }
    latest.into_values().collect()
}

fn versions(colony: &str, label: &str, name: &str) -> Find {
    let filter = all_of([
        in_colony(colony),
        Filter::eq("label", label),
        Filter::eq("name", Value::from(name)),
    ]);
    Find::new(filter).sort([("seqnr", Direction::Descending)])
}
