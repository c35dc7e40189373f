//! Definitions in a transaction: it sees them at once, others when it is committed.
//!
//! Sequences are documents, and so are written as others are; what gives numbers is in
//! `sequences::private`. Tests: tests/it/definitions.rs.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use velocitydb_engine::Error;
use velocitydb_engine::catalog::{Alteration, Collection as Runtime, Definition, IndexDefinition};
use velocitydb_engine::command::{Change, Command, Condition, Expires};

use velocitydb_engine::transaction::{Isolation, Savepoint};

use super::Transaction;
use crate::collections::Collections;
use crate::database::{Database, Inner, Store};
use crate::sequences::{
    Moves, Sequence, SequenceDefinition, SequenceError, SequencePosition, fields_of,
};
use crate::temporary::{check_lasting, is_temporary};

impl Transaction {
    /// The definitions of all collections, its own among them, by name.
    pub fn collections(&self) -> Vec<Definition> {
        let catalog = self.transaction.catalog();
        let all = catalog.collections_of(self.inner.namespace.id);
        all.map(|collection| collection.definition.clone())
            .collect()
    }

    /// The same, with their numbers: those of what it has made are of no use to others.
    pub fn catalog(&self) -> Collections {
        let catalog = Arc::clone(self.transaction.catalog());
        Collections::new(catalog, self.inner.namespace.id)
    }

    /// What a collection is for this transaction.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn definition(&self, collection: &str) -> Result<Definition, Error> {
        Ok(self.runtime(collection)?.definition.clone())
    }

    /// Whether it has defined anything: 0 when it has not, and another number each time that what it
    /// has defined is different.
    pub fn definitions(&self) -> u64 {
        self.transaction.definitions()
    }

    fn make(&mut self, command: Command<'static>) -> Result<(), Error> {
        self.transaction.define(command)?;
        let inner = &self.inner;
        self.defining.get_or_insert_with(|| Defining::begin(inner));
        Ok(())
    }

    /// Creates a collection. Documents can be written to it at once.
    ///
    /// # Errors
    /// There is one of this name, for this transaction or, at the commit, for all; the definition is
    /// not sound.
    pub fn create_collection(&mut self, definition: Definition) -> Result<(), Error> {
        check_lasting(&definition.name)?;
        self.create(definition)
    }

    /// Creates a temporary collection, as [`crate::Database::create_temporary`] does.
    ///
    /// # Errors
    /// As [`Transaction::create_collection`].
    pub fn create_temporary(&mut self, definition: Definition) -> Result<(), Error> {
        self.create(definition)
    }

    fn create(&mut self, definition: Definition) -> Result<(), Error> {
        let command = Command::CreateCollection(self.inner.namespace.id, Box::new(definition));
        self.make(command)
    }

    /// Drops a collection with its documents.
    ///
    /// # Errors
    /// There is none of this name; others refer to it.
    pub fn drop_collection(&mut self, name: &str) -> Result<(), Error> {
        let id = self.runtime(name)?.id;
        self.make(Command::DropCollection(id))
    }

    /// Creates an index over a collection's documents, as the transaction sees them. Queries of this
    /// transaction may not be helped by it yet; what a unique one refuses, it refuses at once.
    ///
    /// # Errors
    /// There is an index of this name; documents have the same value, or one that is too long.
    pub fn create_index(&mut self, collection: &str, index: IndexDefinition) -> Result<(), Error> {
        let id = self.runtime(collection)?.id;
        self.make(Command::CreateIndex(id, index))
    }

    /// Drops an index.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn drop_index(&mut self, collection: &str, name: &str) -> Result<(), Error> {
        let id = self.runtime(collection)?.id;
        self.make(Command::DropIndex(id, name.to_owned()))
    }

    /// Gives a collection another definition and brings its documents to it, as
    /// [`crate::Collection::alter`] does: those that the transaction sees, at once, and all when it is
    /// committed.
    ///
    /// # Errors
    /// What does not fit, by the document's id. Under another isolation than
    /// [`crate::Isolation::ReadCommitted`]: another has changed the collection since the transaction
    /// began.
    pub fn alter(&mut self, collection: &str, mut alteration: Alteration) -> Result<(), Error> {
        if !is_temporary(collection) {
            check_lasting(&alteration.definition.name)?;
        }
        let id = self.runtime(collection)?.id;
        alteration.at = self.inner.clock.now();
        alteration.sequences.clear();
        let since = self.savepoint();
        let moved = self.move_sequences(&Moves::new(collection, &alteration));
        let altered = moved.map_err(unnamed).and_then(|()| {
            let command = Command::Alter(id, Box::new(alteration));
            self.make(command)
        });
        if altered.is_err() {
            self.roll_back_to(since)?;
        }
        altered
    }

    /// Makes a sequence. Its numbers are given at once.
    ///
    /// # Errors
    /// There is one of this name, or it is a temporary one's; what makes no sense.
    pub fn create_sequence(
        &mut self,
        definition: SequenceDefinition,
    ) -> Result<Arc<Sequence>, SequenceError> {
        crate::sequences::check_lasting(&definition.name)?;
        self.create_temporary_sequence(definition)
    }

    /// Makes a temporary sequence, as [`crate::Database::create_temporary_sequence`] does.
    ///
    /// # Errors
    /// As [`Transaction::create_sequence`].
    pub fn create_temporary_sequence(
        &mut self,
        definition: SequenceDefinition,
    ) -> Result<Arc<Sequence>, SequenceError> {
        definition.check()?;
        if self.sequence(&definition.name)?.is_some() {
            return Err(SequenceError::Exists(definition.name));
        }
        let since = self.savepoint();
        let position = definition.first();
        let sequence = Sequence::private(&self.inner, definition.clone(), position);
        self.put_sequence(&definition, position, Condition::Absent)?;
        let own = Some(Arc::clone(&sequence));
        self.sequences.note(definition.name, own, None, since);
        Ok(sequence)
    }

    /// The sequence of this name, as the transaction sees it.
    ///
    /// # Errors
    /// The database cannot read it.
    pub fn sequence(&self, name: &str) -> Result<Option<Arc<Sequence>>, SequenceError> {
        match self.sequences.find(name) {
            Some(own) => Ok(own.cloned()),
            None => self.database().sequence(name),
        }
    }

    /// What all sequences are, by name, as the transaction sees them.
    ///
    /// # Errors
    /// The database cannot read them.
    pub fn sequences(&self) -> Result<Vec<SequenceDefinition>, SequenceError> {
        let all = self.database().sequences()?.into_iter();
        let mut all: Vec<_> = all.map(|sequence| sequence.definition()).collect();
        self.sequences.over(&mut all);
        Ok(all)
    }

    /// The sequences that are its own, or not there any more for it, by name: for whoever calls them.
    pub fn own_sequences(&self) -> Vec<(String, Option<Arc<Sequence>>)> {
        self.sequences.all()
    }

    /// Drops a sequence; whether there was one.
    ///
    /// # Errors
    /// The transaction may not keep more.
    pub fn drop_sequence(&mut self, name: &str) -> Result<bool, SequenceError> {
        if self.sequence(name)?.is_none() {
            return Ok(false);
        }
        let since = self.savepoint();
        self.write_sequence(name, Condition::Present, Change::Delete)?;
        self.sequences.note(name.to_owned(), None, None, since);
        Ok(true)
    }

    /// Gives a sequence another name. Its numbers go on, for others under the former name up to the
    /// commit. When they use up thousands of them by then, the commit is a conflict. Defaults that name
    /// it are no concern of this.
    ///
    /// # Errors
    /// There is no such sequence; there is one of the new name; one of both names is a temporary one's.
    pub fn rename_sequence(&mut self, name: &str, new: &str) -> Result<(), SequenceError> {
        let unknown = || SequenceError::Unknown(name.to_owned());
        let sequence = self.sequence(name)?.ok_or_else(unknown)?;
        if !is_temporary(name) {
            crate::sequences::check_lasting(new)?;
        }
        if self.sequence(new)?.is_some() {
            return Err(SequenceError::Exists(new.to_owned()));
        }
        let described = self.sequences.described(name);
        let definition = SequenceDefinition {
            name: new.to_owned(),
            ..described.unwrap_or_else(|| sequence.definition())
        };
        definition.check()?;
        if !sequence.is_private() && self.isolation() == Isolation::ReadCommitted {
            sequence.reserve()?;
            self.refresh();
        }
        let since = self.savepoint();
        let renamed = self.move_sequence(name, sequence, definition, since);
        if renamed.is_err() {
            self.roll_back_to(since)?;
        }
        renamed
    }

    fn move_sequence(
        &mut self,
        name: &str,
        sequence: Arc<Sequence>,
        definition: SequenceDefinition,
        since: Savepoint,
    ) -> Result<(), SequenceError> {
        let is_private = sequence.is_private();
        let position = match is_private {
            true => sequence.position(),
            false => self.written_position(name)?,
        };
        self.write_sequence(name, Condition::Present, Change::Delete)?;
        self.put_sequence(&definition, position, Condition::Absent)?;
        let new = definition.name.clone();
        let (own, described) = match is_private {
            true => {
                let own = Sequence::private_as(&self.inner, definition, position, &sequence);
                (own, None)
            }
            false => (sequence, Some(definition)),
        };
        self.sequences.note(name.to_owned(), None, None, since);
        self.sequences.note(new, Some(own), described, since);
        Ok(())
    }

    /// The number up to which those of a sequence are written down as given.
    fn written_position(&mut self, name: &str) -> Result<SequencePosition, SequenceError> {
        let key = self.inner.namespace.id.key(name);
        let key = key.map_err(|_| SequenceError::Unknown(name.to_owned()))?;
        let table = self.inner.sequences_table()?;
        let document = self.transaction.get(&table, key.as_bytes())?;
        let document = document.ok_or_else(|| SequenceError::Unknown(name.to_owned()))?;
        Ok(crate::sequences::read(&document)?.1)
    }

    /// Makes another of a sequence, from what it is and where it stands. Of one that was there before
    /// the transaction only what people say of it and whose it is: its numbers go on for others.
    ///
    /// # Errors
    /// What makes no sense, or what `change` answers; there is no such sequence.
    pub fn alter_sequence<E: From<SequenceError>>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut SequenceDefinition, &mut SequencePosition) -> Result<(), E>,
    ) -> Result<(), E> {
        let unknown = || SequenceError::Unknown(name.to_owned());
        let sequence = self.sequence(name)?.ok_or_else(unknown)?;
        let former = self
            .sequences
            .described(name)
            .unwrap_or_else(|| sequence.definition());
        let (mut definition, mut position) = (former.clone(), sequence.position());
        let before = position;
        change(&mut definition, &mut position)?;
        definition.name.clone_from(&former.name);
        definition.check_with(position)?;
        let since = self.savepoint();
        if sequence.is_private() {
            let put = self.put_sequence(&definition, position, Condition::Present);
            put.map_err(SequenceError::from)?;
            let own = Sequence::private_as(&self.inner, definition, position, &sequence);
            self.sequences.note(name.to_owned(), Some(own), None, since);
            return Ok(());
        }
        let same = SequenceDefinition {
            owner: definition.owner.clone(),
            comment: definition.comment.clone(),
            ..former
        };
        if same != definition || before != position {
            return Err(SequenceError::InUse(definition.name).into());
        }
        self.describe_sequence(sequence, definition)?;
        Ok(())
    }

    fn describe_sequence(
        &mut self,
        sequence: Arc<Sequence>,
        definition: SequenceDefinition,
    ) -> Result<(), SequenceError> {
        let since = self.savepoint();
        let change = Change::Patch(vec![crate::sequences::describe(&definition)]);
        self.write_sequence(&definition.name, Condition::Present, change)?;
        let name = definition.name.clone();
        self.sequences
            .note(name, Some(sequence), Some(definition), since);
        Ok(())
    }

    /// Sequences follow their columns, which get other names.
    fn move_sequences(&mut self, moves: &Moves<'_>) -> Result<(), SequenceError> {
        if moves.is_none() {
            return Ok(());
        }
        for definition in self.sequences()? {
            let owner = definition.owner.as_ref().and_then(|owner| moves.of(owner));
            if let Some(owner) = owner {
                self.alter_sequence(&definition.name, |definition, _| {
                    definition.owner = Some(owner);
                    Ok::<_, SequenceError>(())
                })?;
            }
        }
        Ok(())
    }

    /// Writes down where its own sequences stand, for the commit.
    pub(super) fn write_sequences(&mut self) -> Result<(), Error> {
        for sequence in self.sequences.made() {
            let (definition, position) = (sequence.definition(), sequence.position());
            self.put_sequence(&definition, position, Condition::None)?;
        }
        Ok(())
    }

    fn put_sequence(
        &mut self,
        definition: &SequenceDefinition,
        position: SequencePosition,
        condition: Condition,
    ) -> Result<(), Error> {
        let fields = fields_of(definition, position)?;
        let change = Change::Put(Cow::Owned(fields.into_bytes().into_vec()));
        self.write_sequence(&definition.name, condition, change)
    }

    fn write_sequence(
        &mut self,
        name: &str,
        condition: Condition,
        change: Change<'_>,
    ) -> Result<(), Error> {
        let key = self.inner.namespace.id.key(name);
        let key = key.map_err(|error| Error::Invalid(format!("the sequence {name:?}: {error}")))?;
        let table: Arc<Runtime> = self.inner.sequences_table()?;
        let (key, expires) = (key.as_bytes(), Expires::Never);
        self.transaction
            .write(&table, key, &condition, &change, expires)?;
        Ok(())
    }
}

/// That a transaction has defined something and is open.
pub(super) struct Defining(Arc<Store>);

impl Defining {
    fn begin(inner: &Inner) -> Defining {
        inner.defining.fetch_add(1, Ordering::SeqCst);
        Defining(Arc::clone(&inner.store))
    }
}

impl Drop for Defining {
    fn drop(&mut self) {
        self.0.defining.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Database {
    /// Whether a transaction that is open has defined something. Who does so outside of one may ask for
    /// a name that it is about to give; in one, [`Transaction::settle`] waits for that.
    pub fn is_being_defined(&self) -> bool {
        self.0.defining.load(Ordering::SeqCst) > 0
    }
}

fn unnamed(error: SequenceError) -> Error {
    match error {
        SequenceError::Database(error) => error,
        other => Error::Invalid(other.to_string()),
    }
}
