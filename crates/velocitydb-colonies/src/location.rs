//! Places of a colony.

use velocitydb::query::{Filter, Find};

use crate::error::Error;
use crate::records::group;
use crate::row::{Record as _, record, scoped};

record! {
    /// A location.
    Location in "locations" called "location" {
        /// The colony.
        colony: String, "colonyname", "colony_name";
        /// The id.
        id: String, "locationid", "location_id";
        /// The name, which is unique in the colony.
        name: String, "name", "name";
        /// What it is.
        description: String, "description", "description";
        /// Degrees east.
        long: f64, "long", "long";
        /// Degrees north.
        lat: f64, "lat", "lat";
    }
    with name within colony
}

group! {
    /// Places. From [`crate::Colonies::locations`].
    Locations
}

impl Locations<'_> {
    /// Adds a location.
    ///
    /// # Errors
    /// [`Error::Exists`]: the colony has one of this name.
    pub fn add(&self, location: &Location) -> Result<(), Error> {
        self.of
            .insert::<Location>(&location.name, location.to_fields()?)
    }

    /// Those of a colony.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn in_colony(&self, colony: &str) -> Result<Vec<Location>, Error> {
        self.of.find(&Find::new(Filter::eq("colony_name", colony)))
    }

    /// The location of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, colony: &str, name: &str) -> Result<Option<Location>, Error> {
        self.of.by_id(&scoped(colony, name)?)
    }

    /// The location of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn by_id(&self, id: &str) -> Result<Option<Location>, Error> {
        self.of.find_one(Filter::eq("location_id", id))
    }

    /// Removes the location of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, colony: &str, name: &str) -> Result<(), Error> {
        let filter = Filter::eq("name", scoped(colony, name)?);
        self.of.remove_one::<Location>(&filter, name)
    }

    /// Removes the location of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_by_id(&self, id: &str) -> Result<(), Error> {
        self.of
            .remove_one::<Location>(&Filter::eq("location_id", id), id)
    }

    /// Removes those of a colony; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<Location>(&Filter::eq("colony_name", colony))
    }
}
