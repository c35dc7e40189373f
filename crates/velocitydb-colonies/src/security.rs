//! Identities: the server's, and those of colonies, users and executors that change.

use velocitydb::query::{Filter, Find};
use velocitydb::{Update, Value};

use crate::colony::Colony;
use crate::error::Error;
use crate::executor::Executor;
use crate::records::{all_of, group};
use crate::row::{Record, RowBuilder, key};
use crate::store::{Change, Hold};
use crate::user::User;

group! {
    /// Identities. From [`crate::Colonies::security`].
    Security
}

const SERVER: &str = "server";

impl Security<'_> {
    /// The server's id, if one was set.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn server_id(&self) -> Result<Option<String>, Error> {
        let found = self
            .of
            .store()
            .find(&self.of.name(SERVER), &Find::default().limit(1))?;
        Ok(found.first().map(|row| row.read("server_id")))
    }

    /// Puts a server's id in the place of another, or sets the first one; an empty `old` is none.
    ///
    /// # Errors
    /// [`Error::NotFound`]: the server's id is not `old`. [`Error::Exists`]: it has one, and `old` is none.
    pub fn set_server_id(&self, old: &str, new: &str) -> Result<(), Error> {
        let collection = &self.of.name(SERVER);
        self.of.store().transact(Hold::Read, &mut |steps| {
            if old.is_empty() {
                let found = steps.find(collection, &Find::default().limit(1))?;
                if !found.is_empty() {
                    return Err(Error::exists("server id", new));
                }
            } else {
                let id = key(old)?;
                if steps.get(collection, &id)?.is_none() {
                    return Err(Error::not_found("server id", old));
                }
                steps.change(Change::Delete { collection, id })?;
            }
            let fields = RowBuilder::new()
                .value("server_id", Value::from(new))
                .finish()?;
            steps.change(Change::Insert { collection, fields })
        })
    }

    /// Gives a colony another identity.
    ///
    /// # Errors
    /// [`Error::NotFound`]: it does not have the old one.
    pub fn change_colony_id(&self, colony: &str, old: &str, new: &str) -> Result<(), Error> {
        let filter = all_of([Filter::eq("name", colony), Filter::eq("colony_id", old)]);
        self.replace::<Colony>(&filter, "colony_id", old, new)
    }

    /// Gives a user another identity.
    ///
    /// # Errors
    /// [`Error::NotFound`]: no user of the colony has the old one.
    pub fn change_user_id(&self, colony: &str, old: &str, new: &str) -> Result<(), Error> {
        self.replace::<User>(&crate::user::of_id(colony, old), "user_id", old, new)
    }

    /// Gives an executor another identity.
    ///
    /// # Errors
    /// [`Error::NotFound`]: no executor of the colony has the old one.
    pub fn change_executor_id(&self, colony: &str, old: &str, new: &str) -> Result<(), Error> {
        let filter = all_of([
            Filter::eq("colony_name", colony),
            Filter::eq("executor_id", old),
        ]);
        self.replace::<Executor>(&filter, "executor_id", old, new)
    }

    fn replace<T: Record>(
        &self,
        filter: &Filter,
        column: &str,
        old: &str,
        new: &str,
    ) -> Result<(), Error> {
        match self
            .of
            .change_where::<T>(filter, &Update::new().set(column, new))?
        {
            0 => Err(Error::not_found(T::WHAT, old)),
            _ => Ok(()),
        }
    }
}
