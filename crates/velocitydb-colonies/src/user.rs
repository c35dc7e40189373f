//! Users of a colony.

use velocitydb::query::{Filter, Find};

use crate::error::Error;
use crate::records::{all_of, group};
use crate::row::{Record as _, record, scoped};

record! {
    /// A user.
    User in "users" called "user" {
        /// The colony.
        colony: String, "colonyname", "colony_name";
        /// The id.
        id: String, "userid", "user_id";
        /// The name, which is unique in the colony.
        name: String, "name", "name";
        /// Where mail goes.
        email: String, "email", "email";
        /// Where calls go.
        phone: String, "phone", "phone";
    }
    with name within colony
}

group! {
    /// Users. From [`crate::Colonies::users`].
    Users
}

impl Users<'_> {
    /// Adds a user.
    ///
    /// # Errors
    /// [`Error::Exists`]: the colony has one of this name.
    pub fn add(&self, user: &User) -> Result<(), Error> {
        self.of.insert::<User>(&user.name, user.to_fields()?)
    }

    /// Those of a colony.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn in_colony(&self, colony: &str) -> Result<Vec<User>, Error> {
        self.of.find(&Find::new(Filter::eq("colony_name", colony)))
    }

    /// The user of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, colony: &str, name: &str) -> Result<Option<User>, Error> {
        self.of.by_id(&scoped(colony, name)?)
    }

    /// The user of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn by_id(&self, colony: &str, id: &str) -> Result<Option<User>, Error> {
        self.of.find_one(of_id(colony, id))
    }

    /// Removes the user of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, colony: &str, name: &str) -> Result<(), Error> {
        let filter = Filter::eq("name", scoped(colony, name)?);
        self.of.remove_one::<User>(&filter, name)
    }

    /// Removes the user of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_by_id(&self, colony: &str, id: &str) -> Result<(), Error> {
        self.of.remove_one::<User>(&of_id(colony, id), id)
    }

    /// Removes those of a colony; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<User>(&Filter::eq("colony_name", colony))
    }
}

pub(crate) fn of_id(colony: &str, id: &str) -> Filter {
    all_of([Filter::eq("colony_name", colony), Filter::eq("user_id", id)])
}
