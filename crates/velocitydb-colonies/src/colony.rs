//! Colonies: what everything else belongs to.

use velocitydb::query::{Filter, Find};

use crate::blueprint::{Blueprint, BlueprintDefinition, BlueprintVersion};
use crate::cron::Cron;
use crate::error::Error;
use crate::executor::Executor;
use crate::file::File;
use crate::function::Function;
use crate::generator::{Generator, GeneratorArg};
use crate::graph::ProcessGraph;
use crate::location::Location;
use crate::log::Log;
use crate::process::Process;
use crate::records::group;
use crate::row::{Record as _, key, record};
use crate::snapshot::Snapshot;
use crate::store::{Change, Hold};
use crate::user::User;

record! {
    /// A colony.
    Colony in "colonies" called "colony" {
        /// Its id: the identity that owns it.
        id: String, "colonyid", "colony_id";
        /// Its name.
        name: String, "name", "name";
    }
}

group! {
    /// The colonies themselves. From [`crate::Colonies::colonies`].
    ColonyGroup
}

impl ColonyGroup<'_> {
    /// Adds a colony.
    ///
    /// # Errors
    /// [`Error::Exists`]: there is one of its name.
    pub fn add(&self, colony: &Colony) -> Result<(), Error> {
        crate::row::scoped(&colony.name, "")?;
        self.of.insert::<Colony>(&colony.name, colony.to_fields()?)
    }

    /// All colonies.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn all(&self) -> Result<Vec<Colony>, Error> {
        self.of.find(&Find::default())
    }

    /// The colony of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, name: &str) -> Result<Option<Colony>, Error> {
        self.of.by_id(name)
    }

    /// The colony of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn by_id(&self, id: &str) -> Result<Option<Colony>, Error> {
        self.of.find_one(Filter::eq("colony_id", id))
    }

    /// How many there are.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count(&self) -> Result<u64, Error> {
        self.of.count::<Colony>(&Filter::All)
    }

    /// Gives a colony another name. What belongs to it keeps the former, as in ColonyOS.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exists`]: another has the name.
    pub fn rename(&self, name: &str, new: &str) -> Result<(), Error> {
        crate::row::scoped(new, "")?;
        let collection = &self.of.name(Colony::COLLECTION);
        let (from, to) = (key(name)?, key(new)?);
        self.of.store().transact(Hold::Read, &mut |steps| {
            let Some(row) = steps.get(collection, &from)? else {
                return Err(Error::not_found(Colony::WHAT, name));
            };
            if name == new {
                return Ok(());
            }
            if steps.get(collection, &to)?.is_some() {
                return Err(Error::exists(Colony::WHAT, new));
            }
            let mut colony = Colony::from_row(&row)?;
            new.clone_into(&mut colony.name);
            let id = from.clone();
            steps.change(Change::Delete { collection, id })?;
            let fields = colony.to_fields()?;
            steps.change(Change::Insert { collection, fields })
        })
    }

    /// Removes a colony with all that belongs to it, and itself last: when that was interrupted, it can be
    /// removed again.
    ///
    /// # Errors
    /// [`Error::NotFound`]. The database cannot write: some of it may have been removed then.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        if self.get(name)?.is_none() {
            return Err(Error::not_found(Colony::WHAT, name));
        }
        let own = Filter::eq("colony_name", name);
        let target = Filter::eq("target_colony_name", name);
        self.of.remove_where::<User>(&own)?;
        self.of.remove_where::<Executor>(&own)?;
        self.of.remove_where::<Location>(&own)?;
        self.of.remove_where::<Function>(&own)?;
        self.of.processes().remove(crate::Find::in_colony(name))?;
        self.of.remove_where::<Process>(&target)?;
        self.of.remove_where::<ProcessGraph>(&target)?;
        self.of.remove_where::<crate::Attribute>(&target)?;
        self.of.remove_where::<GeneratorArg>(&own)?;
        self.of.remove_where::<Generator>(&own)?;
        self.of.remove_where::<Cron>(&own)?;
        self.of.remove_where::<Log>(&own)?;
        self.of.remove_where::<File>(&own)?;
        self.of.remove_where::<Snapshot>(&own)?;
        self.of.remove_where::<Blueprint>(&own)?;
        self.of.remove_where::<BlueprintDefinition>(&own)?;
        self.of
            .remove_where::<BlueprintVersion>(&Filter::eq("namespace", name))?;
        self.of
            .remove_one::<Colony>(&Filter::eq("name", name), name)
    }
}
