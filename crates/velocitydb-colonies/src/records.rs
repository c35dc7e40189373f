//! What all groups do with their rows.

use velocitydb::query::{Filter, Find};
use velocitydb::{Fields, Key, Refusal, Update};

use crate::Colonies;
use crate::error::Error;
use crate::row::{Record, key};
use crate::store::{Change, Hold};

/// Rows that are removed in one step.
const REMOVED_AT_ONCE: usize = 1000;

/// Makes the handle of a group.
macro_rules! group {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $name<'c> {
            pub(crate) of: &'c crate::Colonies,
        }
    };
}
pub(crate) use group;

/// All of these conditions.
pub(crate) fn all_of(filters: impl IntoIterator<Item = Filter>) -> Filter {
    let mut all: Vec<Filter> = filters.into_iter().collect();
    match all.len() {
        0 => Filter::All,
        1 => all.remove(0),
        _ => Filter::And(all),
    }
}

impl Colonies {
    pub(crate) fn find<T: Record>(&self, find: &Find) -> Result<Vec<T>, Error> {
        let rows = self.store().find(&self.name(T::COLLECTION), find)?;
        rows.iter().map(T::from_row).collect()
    }

    pub(crate) fn find_one<T: Record>(&self, filter: Filter) -> Result<Option<T>, Error> {
        Ok(self.find(&Find::new(filter).limit(1))?.pop())
    }

    pub(crate) fn count<T: Record>(&self, filter: &Filter) -> Result<u64, Error> {
        self.store().count(&self.name(T::COLLECTION), filter)
    }

    pub(crate) fn by_id<T: Record>(&self, id: &str) -> Result<Option<T>, Error> {
        let row = self.store().get(&self.name(T::COLLECTION), &key(id)?)?;
        row.as_ref().map(T::from_row).transpose()
    }

    /// Keeps a new row; `id` is what an error says of it.
    pub(crate) fn insert<T: Record>(&self, id: &str, fields: Fields) -> Result<(), Error> {
        let collection = &self.name(T::COLLECTION);
        let written = self
            .store()
            .write(vec![Change::Insert { collection, fields }]);
        written.map_err(|error| taken::<T>(error, id))
    }

    /// Changes a row; `Error::NotFound` when there is none.
    pub(crate) fn change<T: Record>(&self, id: &str, update: Update) -> Result<(), Error> {
        let (collection, at) = (&self.name(T::COLLECTION), key(id)?);
        let change = Change::Update {
            collection,
            id: at,
            update,
        };
        let written = self.store().write(vec![change]);
        written.map_err(|error| missing::<T>(error, id))
    }

    /// Changes the rows that a filter lets through, in one step; how many.
    pub(crate) fn change_where<T: Record>(
        &self,
        filter: &Filter,
        update: &Update,
    ) -> Result<u64, Error> {
        let (collection, find) = (&self.name(T::COLLECTION), Find::new(filter.clone()));
        let mut changed = 0;
        self.store().transact(Hold::Changed, &mut |steps| {
            let rows = steps.find(collection, &find)?;
            changed = rows.len() as u64;
            rows.iter().try_for_each(|row| {
                steps.change(Change::Update {
                    collection,
                    id: row.id(),
                    update: update.clone(),
                })
            })
        })?;
        Ok(changed)
    }

    /// Removes the rows that a filter lets through, some at a time; how many. A row that another changes
    /// meanwhile goes only if the filter still lets it through.
    pub(crate) fn remove_where<T: Record>(&self, filter: &Filter) -> Result<u64, Error> {
        self.remove_with::<T>(filter, |_| Ok(Vec::new()))
    }

    /// As [`Colonies::remove_where`], and what `with` names of another collection with each row.
    pub(crate) fn remove_with<T: Record>(
        &self,
        filter: &Filter,
        with: impl Fn(&crate::row::Row) -> Result<Vec<(String, Key)>, Error>,
    ) -> Result<u64, Error> {
        let collection = &self.name(T::COLLECTION);
        let find = Find::new(filter.clone()).limit(REMOVED_AT_ONCE);
        let mut removed = 0;
        loop {
            let mut here = 0;
            self.store().transact(Hold::Changed, &mut |steps| {
                let rows = steps.find(collection, &find)?;
                here = rows.len();
                for row in &rows {
                    for (other, id) in with(row)? {
                        if steps.get(&other, &id)?.is_some() {
                            let collection = &other;
                            steps.change(Change::Delete { collection, id })?;
                        }
                    }
                    let id = row.id();
                    steps.change(Change::Delete { collection, id })?;
                }
                Ok(())
            })?;
            removed += here as u64;
            if here < REMOVED_AT_ONCE {
                return Ok(removed);
            }
        }
    }

    /// Removes one row; `Error::NotFound` when there is none.
    pub(crate) fn remove_one<T: Record>(&self, filter: &Filter, id: &str) -> Result<(), Error> {
        match self.remove_where::<T>(filter)? {
            0 => Err(Error::not_found(T::WHAT, id)),
            _ => Ok(()),
        }
    }
}

/// What a refusal of a new row says.
pub(crate) fn taken<T: Record>(error: Error, id: &str) -> Error {
    match error {
        Error::Database(velocitydb::Error::Refused {
            refusal: Refusal::AlreadyExists(_) | Refusal::Unique { .. },
            ..
        }) => Error::exists(T::WHAT, id),
        error => error,
    }
}

/// What a refusal of a change says.
pub(crate) fn missing<T: Record>(error: Error, id: &str) -> Error {
    match error {
        Error::Database(velocitydb::Error::Refused {
            refusal: Refusal::NotFound,
            ..
        }) => Error::not_found(T::WHAT, id),
        error => error,
    }
}
