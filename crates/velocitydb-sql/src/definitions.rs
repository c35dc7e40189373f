//! What is defined, as a statement sees it, and what a statement defines: in the database at once, or in
//! the transaction that is open, whose definitions nobody else sees before its commit.
//!
//! Tests: tests/it/slt, tests/it/sessions.

use std::cell::RefCell;
use std::sync::Arc;

use velocitydb::{
    Alteration, Database, Definition, Error, IndexDefinition, Isolation, Sequence,
    SequenceDefinition, SequenceError, SequencePosition, Transaction, is_temporary,
};

use crate::error::SqlError;
use crate::sequences::Relations;
use crate::table::{Table, Tables};

/// See the module.
#[derive(Clone, Copy)]
pub(crate) struct Definitions<'p> {
    tables: &'p Tables,
    open: Open<'p>,
}

/// A transaction that is open.
#[derive(Clone, Copy)]
enum Open<'p> {
    No,
    /// For a statement that is bound.
    Read(&'p Transaction),
    /// For one that defines something.
    Defining(&'p (dyn Opened + 'p)),
}

/// A transaction that a statement defines something in.
pub(crate) trait Opened {
    /// Calls `ask` with it.
    fn with(&self, ask: &mut dyn FnMut(&mut Transaction));
}

impl Opened for RefCell<&mut Transaction> {
    fn with(&self, ask: &mut dyn FnMut(&mut Transaction)) {
        ask(&mut self.borrow_mut());
    }
}

fn inside<R>(open: &dyn Opened, ask: impl FnOnce(&mut Transaction) -> R) -> R {
    let (mut ask, mut answer) = (Some(ask), None);
    open.with(&mut |open| answer = ask.take().map(|ask| ask(open)));
    answer.expect("it is called once")
}

impl<'p> Definitions<'p> {
    /// Those of the database, or of a transaction that is open.
    pub(crate) fn new(tables: &'p Tables, open: Option<&'p Transaction>) -> Definitions<'p> {
        Definitions {
            tables,
            open: open.map_or(Open::No, Open::Read),
        }
    }

    /// Those of a transaction, for a statement that defines something in it.
    pub(crate) fn defining(tables: &'p Tables, open: &'p (dyn Opened + 'p)) -> Definitions<'p> {
        Definitions {
            tables,
            open: Open::Defining(open),
        }
    }

    /// The database.
    pub(crate) fn database(self) -> &'p Database {
        self.tables.database()
    }

    /// Whether they are those of a transaction.
    pub(crate) fn is_open(self) -> bool {
        !matches!(self.open, Open::No)
    }

    /// Asks the transaction; `None`: there is none that is open.
    fn ask<R>(self, ask: impl FnOnce(&Transaction) -> R) -> Option<R> {
        match self.open {
            Open::No => None,
            Open::Read(open) => Some(ask(open)),
            Open::Defining(open) => Some(inside(open, |open| ask(open))),
        }
    }

    /// Does something in the transaction, or else in the database.
    fn make<R>(
        self,
        alone: impl FnOnce(&Database) -> R,
        within: impl FnOnce(&mut Transaction) -> R,
    ) -> R {
        match self.open {
            Open::No => alone(self.database()),
            Open::Read(_) => unreachable!("statements that are bound define nothing"),
            Open::Defining(open) => inside(open, within),
        }
    }

    /// The table that a collection is.
    pub(crate) fn table(self, collection: &str) -> Result<Arc<Table>, Error> {
        let own = self.ask(|open| match open.definitions() {
            0 => None,
            _ => Some(open.definition(collection)),
        });
        let Some(definition) = own.flatten().transpose()? else {
            return self.tables.of(collection);
        };
        match self.tables.of(collection) {
            Ok(table) if table.definition == definition => Ok(table),
            _ => Ok(Arc::new(Table::new(definition))),
        }
    }

    /// A collection.
    pub(crate) fn collection(self, name: &str) -> Result<Relation<'p>, Error> {
        self.definition(name)?;
        Ok(Relation {
            definitions: self,
            name: name.to_owned(),
        })
    }

    fn definition(self, name: &str) -> Result<Definition, Error> {
        let own = self.ask(|open| open.definition(name));
        own.unwrap_or_else(|| self.database().collection(name)?.definition())
    }

    /// All collections, by name.
    pub(crate) fn collections(self) -> Vec<Definition> {
        let own = self.ask(Transaction::collections);
        own.unwrap_or_else(|| self.database().collections())
    }

    pub(crate) fn create_collection(self, definition: Definition) -> Result<(), Error> {
        let copy = definition.clone();
        self.make(
            |database| database.create_collection(definition).map(drop),
            |open| open.create_collection(copy),
        )
    }

    pub(crate) fn create_temporary(self, definition: Definition) -> Result<(), Error> {
        let copy = definition.clone();
        self.make(
            |database| database.create_temporary(definition).map(drop),
            |open| open.create_temporary(copy),
        )
    }

    pub(crate) fn drop_collection(self, name: &str) -> Result<(), Error> {
        self.make(
            |database| database.drop_collection(name).map(drop),
            |open| open.drop_collection(name),
        )
    }

    /// Writes documents in the transaction that is open.
    pub(crate) fn write<R>(
        self,
        write: impl FnOnce(&mut Transaction) -> Result<R, Error>,
    ) -> Result<R, Error> {
        match self.open {
            Open::Defining(open) => inside(open, write),
            _ => unreachable!("it is asked for in a transaction"),
        }
    }

    /// What all sequences are, by name.
    pub(crate) fn sequences(self) -> Result<Vec<SequenceDefinition>, SequenceError> {
        let own = self.ask(Transaction::sequences);
        own.unwrap_or_else(|| {
            let all = self.database().sequences()?.into_iter();
            Ok(all.map(|sequence| sequence.definition()).collect())
        })
    }

    pub(crate) fn create_sequence(
        self,
        definition: SequenceDefinition,
    ) -> Result<(), SequenceError> {
        let copy = definition.clone();
        match is_temporary(&definition.name) {
            true => self.make(
                |database| database.create_temporary_sequence(definition).map(drop),
                |open| open.create_temporary_sequence(copy).map(drop),
            ),
            false => self.make(
                |database| database.create_sequence(definition).map(drop),
                |open| open.create_sequence(copy).map(drop),
            ),
        }
    }

    /// Gives a sequence another name, and collections other definitions with it.
    pub(crate) fn rename_sequence(
        self,
        name: &str,
        new: &str,
        alterations: &[(String, Alteration)],
    ) -> Result<(), Error> {
        let rename = |open: &mut Transaction| {
            let renamed = open.rename_sequence(name, new);
            renamed.map_err(|error| match error {
                SequenceError::Database(error) => error,
                error => Error::Invalid(error.to_string()),
            })?;
            let mut alterations = alterations.iter();
            alterations.try_for_each(|(table, it)| open.alter(table, it.clone()))
        };
        self.make(
            |database| {
                let done = database.transact(Isolation::ReadCommitted, rename);
                done.map(drop)
            },
            rename,
        )
    }

    /// Whether there was one.
    pub(crate) fn drop_sequence(self, name: &str) -> Result<bool, SequenceError> {
        self.make(
            |database| database.drop_sequence(name),
            |open| open.drop_sequence(name),
        )
    }

    /// Makes another of a sequence that is there.
    pub(crate) fn alter_sequence(
        self,
        name: &str,
        change: impl FnOnce(&mut SequenceDefinition, &mut SequencePosition) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        match self.open {
            Open::Defining(open) => inside(open, |open| open.alter_sequence(name, change)),
            _ => crate::sequences::find(&self, name)?.alter(change),
        }
    }
}

impl Relations for Definitions<'_> {
    fn has_collection(&self, name: &str) -> bool {
        self.definition(name).is_ok()
    }

    fn sequence(&self, name: &str) -> Result<Option<Arc<Sequence>>, SequenceError> {
        let own = self.ask(|open| open.sequence(name));
        own.unwrap_or_else(|| self.database().sequence(name))
    }
}

/// A collection that a statement defines anew. From [`Definitions::collection`].
#[derive(Clone)]
pub(crate) struct Relation<'p> {
    definitions: Definitions<'p>,
    name: String,
}

impl Relation<'_> {
    /// The name that it had.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn definition(&self) -> Result<Definition, Error> {
        self.definitions.definition(&self.name)
    }

    /// How many rows it has.
    pub(crate) fn count(&self) -> Result<u64, Error> {
        match self.definitions.open {
            Open::Defining(open) => inside(open, |open| open.count(&self.name)),
            _ => self.definitions.database().collection(&self.name)?.count(),
        }
    }

    pub(crate) fn alter(&self, alteration: Alteration) -> Result<(), Error> {
        let copy = alteration.clone();
        self.definitions.make(
            |database| database.collection(&self.name)?.alter(alteration).map(drop),
            |open| open.alter(&self.name, copy),
        )
    }

    pub(crate) fn create_index(&self, index: IndexDefinition) -> Result<(), Error> {
        let copy = index.clone();
        self.definitions.make(
            |database| {
                database
                    .collection(&self.name)?
                    .create_index(index)
                    .map(drop)
            },
            |open| open.create_index(&self.name, copy),
        )
    }

    pub(crate) fn drop_index(&self, index: &str) -> Result<(), Error> {
        self.definitions.make(
            |database| database.collection(&self.name)?.drop_index(index).map(drop),
            |open| open.drop_index(&self.name, index),
        )
    }

    /// Builds its indexes anew, or the one of a name: those that others have.
    pub(crate) fn rebuild_indexes(&self, only: Option<&str>) -> Result<(), Error> {
        let Ok(collection) = self.definitions.database().collection(&self.name) else {
            return Ok(());
        };
        for (index, _) in collection.indexes()? {
            if only.is_none_or(|only| only == index.name) {
                collection.rebuild_index(&index.name)?;
            }
        }
        Ok(())
    }
}
