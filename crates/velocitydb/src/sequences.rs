//! Sequences: numbers that are never given twice.
//!
//! A sequence is a document of the collection `_sequences`, which no user's can be called: what it
//! is, and a number up to which all may have been given. Numbers are given from memory. Before one
//! beyond that document's is given, a block of them is written down and has the database's
//! durability: after a crash the sequence goes on behind the block, so that numbers are left out but
//! never given again. A block is [`BLOCK_MIN`] numbers, and twice as many each time, up to
//! [`BLOCK_MAX`], so that a sequence in heavy use waits rarely, and a crash never leaves out more
//! than were given. Closing the database writes down where each stands: then none is left out.
//!
//! Giving a number is no part of any transaction: it is not undone.
//!
//! Tests: tests/it/sequences.rs.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use velocitydb_engine::catalog::{Collection as Runtime, DatabaseId, SEQUENCES};
use velocitydb_engine::command::{Change, Command, Condition, Expires, Mode, Operation, Write};
use velocitydb_engine::{Document, Error};
use velocitydb_types::{FieldOperation, Fields, Path, Value};

use crate::database::{Database, Inner, Store};
use crate::temporary::is_temporary;

mod definition;
mod private;

pub(crate) use definition::Moves;
pub use definition::{SequenceDefinition, SequenceError, SequenceOwner, SequencePosition};
pub(crate) use private::OwnSequences;

/// Refuses a temporary sequence's name for another.
pub(crate) fn check_lasting(name: &str) -> Result<(), SequenceError> {
    match is_temporary(name) {
        false => Ok(()),
        true => Err(SequenceError::Invalid(format!(
            "sequences called as {name:?} are temporary ones of SQL's sessions: choose another name"
        ))),
    }
}

/// Numbers that a first block has.
const BLOCK_MIN: u64 = 32;
/// Numbers that a block has at most.
const BLOCK_MAX: u64 = 4096;

/// The sequences of a database that were used since it was opened.
#[derive(Default)]
pub(crate) struct Sequences {
    by_name: RwLock<HashMap<String, Arc<Sequence>>>,
}

/// A sequence. From [`Database::sequence`]; all who have it have the same.
pub struct Sequence {
    store: std::sync::Weak<Store>,
    database: DatabaseId,
    number: u64,
    state: Mutex<State>,
}

struct State {
    definition: SequenceDefinition,
    position: SequencePosition,
    /// Numbers that may be given before the next block is written down.
    ahead: u64,
    /// How many the next block has.
    block: u64,
    dropped: bool,
    /// Whether only the transaction knows it that has made it: it is written down with that.
    private: bool,
}

impl Sequence {
    fn new(
        inner: &Inner,
        definition: SequenceDefinition,
        position: SequencePosition,
    ) -> Arc<Sequence> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Arc::new(Sequence {
            store: Arc::downgrade(&inner.store),
            database: inner.namespace.id,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State {
                definition,
                position,
                ahead: 0,
                block: BLOCK_MIN,
                dropped: false,
                private: false,
            }),
        })
    }

    /// A number of its own in this process: another sequence of the same name has another.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it is.
    pub fn definition(&self) -> SequenceDefinition {
        self.state.lock().definition.clone()
    }

    /// Where it stands.
    pub fn position(&self) -> SequencePosition {
        self.state.lock().position
    }

    /// The next number. Nobody else has got it, nor will.
    ///
    /// # Errors
    /// It was dropped, has no further number, or the database cannot write it down.
    pub fn next(&self) -> Result<i64, SequenceError> {
        let state = &mut *self.state.lock();
        state.check_present()?;
        let value = state.following()?;
        match state.ahead.checked_sub(1) {
            Some(left) => state.ahead = left,
            None if state.private => {}
            None => {
                let ahead = state.room_behind(value).min(state.block - 1);
                // It is within the limits, also where the way there is none that can be said.
                let way = state.definition.increment.wrapping_mul(ahead.cast_signed());
                let last = value.wrapping_add(way);
                let position = SequencePosition { last, called: true };
                let store = self.store()?;
                store.put_position(self.database, &state.definition.name, position)?;
                state.ahead = ahead;
                state.block = (state.block * 2).min(BLOCK_MAX);
            }
        }
        state.position = SequencePosition {
            last: value,
            called: true,
        };
        Ok(value)
    }

    /// Goes on behind `position`, or with it when it was not given.
    ///
    /// # Errors
    /// It was dropped, cannot have this number, or the database cannot write it down.
    pub fn set(&self, position: SequencePosition) -> Result<(), SequenceError> {
        let state = &mut *self.state.lock();
        state.check_present()?;
        state.definition.check_value(position.last)?;
        if !state.private {
            let store = self.store()?;
            store.put_position(self.database, &state.definition.name, position)?;
        }
        state.position = position;
        state.ahead = 0;
        Ok(())
    }

    /// Begins again with its first number.
    ///
    /// # Errors
    /// As [`Sequence::set`].
    pub fn restart(&self) -> Result<(), SequenceError> {
        let first = self.definition().first();
        self.set(first)
    }

    /// Makes another of it, from what it is and where it stands.
    ///
    /// # Errors
    /// What makes no sense, or what `change` answers.
    pub fn alter<E: From<SequenceError>>(
        &self,
        change: impl FnOnce(&mut SequenceDefinition, &mut SequencePosition) -> Result<(), E>,
    ) -> Result<(), E> {
        let state = &mut *self.state.lock();
        state.check_present()?;
        let (mut definition, mut position) = (state.definition.clone(), state.position);
        change(&mut definition, &mut position)?;
        definition.name.clone_from(&state.definition.name);
        definition.check_with(position)?;
        let store = self.store()?;
        store.put_sequence(self.database, &definition, position, Condition::Present)?;
        state.definition = definition;
        state.position = position;
        state.ahead = 0;
        Ok(())
    }

    /// Gives it another comment; its numbers go on as they would have.
    ///
    /// # Errors
    /// It was dropped, or the database cannot write it down.
    pub fn describe(&self, comment: Option<String>) -> Result<(), SequenceError> {
        self.alter(|definition, _| {
            definition.comment = comment;
            Ok(())
        })
    }

    /// Writes down a block of numbers ahead, so that for a while giving them writes nothing.
    pub(crate) fn reserve(&self) -> Result<(), SequenceError> {
        let state = &mut *self.state.lock();
        state.check_present()?;
        let SequencePosition { last, .. } = state.position;
        let ahead = state.room_behind(last).min(BLOCK_MAX);
        if state.private || ahead <= state.ahead {
            return Ok(());
        }
        // Within the limits, as in `next`. The first number of one that gave none is among them.
        let way = state.definition.increment.wrapping_mul(ahead.cast_signed());
        let position = SequencePosition {
            last: last.wrapping_add(way),
            called: true,
        };
        let store = self.store()?;
        store.put_position(self.database, &state.definition.name, position)?;
        state.ahead = ahead;
        Ok(())
    }

    fn store(&self) -> Result<Arc<Store>, SequenceError> {
        let closed = || Error::Invalid("the database of this sequence is closed".to_owned());
        Ok(self.store.upgrade().ok_or_else(closed)?)
    }

    /// Writes down where it stands, so that no number is left out after a start.
    fn settle(&self, store: &Store) -> Result<(), SequenceError> {
        let state = &mut *self.state.lock();
        if state.ahead > 0 && !state.dropped {
            state.ahead = 0;
            store.put_position(self.database, &state.definition.name, state.position)?;
        }
        Ok(())
    }
}

impl State {
    fn check_present(&self) -> Result<(), SequenceError> {
        match self.dropped {
            false => Ok(()),
            true => Err(SequenceError::Unknown(self.definition.name.clone())),
        }
    }

    /// How many numbers follow one before the limit.
    fn room_behind(&self, value: i64) -> u64 {
        let definition = &self.definition;
        let limit = match definition.increment > 0 {
            true => definition.maximum,
            false => definition.minimum,
        };
        limit.abs_diff(value) / definition.increment.unsigned_abs()
    }

    fn following(&self) -> Result<i64, SequenceError> {
        let SequencePosition { last, called } = self.position;
        let definition = &self.definition;
        if !called {
            return Ok(last);
        }
        if self.room_behind(last) > 0 {
            return Ok(last + definition.increment);
        }
        let (which, limit, first) = match definition.increment > 0 {
            true => ("maximum", definition.maximum, definition.minimum),
            false => ("minimum", definition.minimum, definition.maximum),
        };
        match definition.cycle {
            true => Ok(first),
            false => Err(SequenceError::Exhausted {
                name: definition.name.clone(),
                which,
                limit,
            }),
        }
    }
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sequence({:?})", self.state.lock().definition.name)
    }
}

impl Database {
    /// Makes a sequence.
    ///
    /// # Errors
    /// There is one of this name, or it is a temporary one's; what makes no sense.
    pub fn create_sequence(
        &self,
        definition: SequenceDefinition,
    ) -> Result<Arc<Sequence>, SequenceError> {
        check_lasting(&definition.name)?;
        self.create_temporary_sequence(definition)
    }

    /// Makes a sequence that may be called as temporary collections are: it is dropped at the latest
    /// when the database is opened again.
    ///
    /// # Errors
    /// As [`Database::create_sequence`].
    pub fn create_temporary_sequence(
        &self,
        definition: SequenceDefinition,
    ) -> Result<Arc<Sequence>, SequenceError> {
        definition.check()?;
        let mut by_name = self.0.namespace.sequences.by_name.write();
        let name = definition.name.clone();
        if by_name.contains_key(&name) || self.0.read_sequence(&name)?.is_some() {
            return Err(SequenceError::Exists(name));
        }
        let position = definition.first();
        let sequence = Sequence::new(&self.0, definition.clone(), position);
        let database = self.0.namespace.id;
        let store = &self.0.store;
        store.put_sequence(database, &definition, position, Condition::Absent)?;
        by_name.insert(name, Arc::clone(&sequence));
        Ok(sequence)
    }

    /// The sequence of this name, if there is one.
    ///
    /// # Errors
    /// The database cannot read it.
    pub fn sequence(&self, name: &str) -> Result<Option<Arc<Sequence>>, SequenceError> {
        let sequences = &self.0.namespace.sequences;
        if let Some(found) = sequences.by_name.read().get(name) {
            return Ok(Some(Arc::clone(found)));
        }
        let mut by_name = sequences.by_name.write();
        if let Some(found) = by_name.get(name) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some((definition, position)) = self.0.read_sequence(name)? else {
            return Ok(None);
        };
        let sequence = Sequence::new(&self.0, definition, position);
        by_name.insert(name.to_owned(), Arc::clone(&sequence));
        Ok(Some(sequence))
    }

    /// All sequences, by name.
    ///
    /// # Errors
    /// The database cannot read them.
    pub fn sequences(&self) -> Result<Vec<Arc<Sequence>>, SequenceError> {
        let mut names = Vec::new();
        let table = self.0.sequences_table()?;
        let view = self.snapshot();
        let database = self.0.namespace.id;
        view.snapshot.scan(&table, 0, |document| {
            if database.has_key(&document.id()) {
                names.push(read(document).map(|(definition, _)| definition.name));
            }
            true
        })?;
        let mut names = names.into_iter().collect::<Result<Vec<_>, _>>()?;
        names.sort();
        let found = names.iter().map(|name| self.sequence(name).transpose());
        found.flatten().collect()
    }

    /// Drops a sequence; whether there was one.
    ///
    /// # Errors
    /// The database cannot write it down.
    pub fn drop_sequence(&self, name: &str) -> Result<bool, SequenceError> {
        let Some(sequence) = self.sequence(name)? else {
            return Ok(false);
        };
        let mut by_name = self.0.namespace.sequences.by_name.write();
        let mut state = sequence.state.lock();
        if state.dropped {
            return Ok(false);
        }
        let database = self.0.namespace.id;
        self.0
            .write_sequence(database, name, Condition::Present, Change::Delete)?;
        state.dropped = true;
        by_name.remove(name);
        Ok(true)
    }
}

impl Inner {
    /// The sequences of columns that get other names: name, and definition as it is written down.
    pub(crate) fn moved_sequences(
        &self,
        moves: &Moves<'_>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut moved = BTreeMap::new();
        if moves.is_none() {
            return Ok(moved);
        }
        let mut damaged = None;
        let view = self.view(self.clock.now());
        view.snapshot
            .scan(&*self.sequences_table()?, 0, |document| {
                if !self.namespace.id.has_key(&document.id()) {
                    return true;
                }
                match read(document) {
                    Ok((mut definition, _)) => {
                        let owner = definition.owner.as_ref().and_then(|owner| moves.of(owner));
                        if owner.is_some() {
                            definition.owner = owner;
                            moved.insert(definition.name.clone(), text(&definition));
                        }
                    }
                    Err(error) => damaged = Some(error),
                }
                damaged.is_none()
            })?;
        damaged.map_or(Ok(moved), Err)
    }

    /// Tells the sequences in use that their columns have got other names.
    pub(crate) fn move_sequences(&self, moves: &Moves<'_>) {
        if moves.is_none() {
            return;
        }
        for sequence in self.namespace.sequences.by_name.read().values() {
            let owner = &mut sequence.state.lock().definition.owner;
            if let Some(moved) = owner.as_ref().and_then(|owner| moves.of(owner)) {
                *owner = Some(moved);
            }
        }
    }

    pub(crate) fn sequences_table(&self) -> Result<Arc<Runtime>, Error> {
        let found = self.engine.catalog().by_id(SEQUENCES).cloned();
        found.ok_or_else(|| Error::UnknownCollection("_sequences".to_owned()))
    }

    fn read_sequence(
        &self,
        name: &str,
    ) -> Result<Option<(SequenceDefinition, SequencePosition)>, Error> {
        let Ok(key) = self.namespace.id.key(name) else {
            return Ok(None);
        };
        let table = self.sequences_table()?;
        let found = self.engine.get(&table, key.as_bytes(), || self.clock.now());
        found.as_ref().map(read).transpose()
    }
}

impl Store {
    fn put_sequence(
        &self,
        database: DatabaseId,
        definition: &SequenceDefinition,
        position: SequencePosition,
        condition: Condition,
    ) -> Result<(), SequenceError> {
        let fields = fields_of(definition, position)?;
        let change = Change::Put(Cow::Owned(fields.into_bytes().into_vec()));
        self.write_sequence(database, &definition.name, condition, change)
    }

    /// Writes down a position alone: the definition may change meanwhile.
    fn put_position(
        &self,
        database: DatabaseId,
        name: &str,
        position: SequencePosition,
    ) -> Result<(), SequenceError> {
        let set = |name: &str, value| FieldOperation::Set {
            path: Path::field(name),
            value,
        };
        let operations = vec![
            set("last", Value::Int(position.last)),
            set("called", Value::Bool(position.called)),
        ];
        self.write_sequence(
            database,
            name,
            Condition::Present,
            Change::Patch(operations),
        )
    }

    fn write_sequence(
        &self,
        database: DatabaseId,
        name: &str,
        condition: Condition,
        change: Change<'static>,
    ) -> Result<(), SequenceError> {
        let key = database.key(name);
        let key = key.map_err(|error| Error::Invalid(format!("the sequence {name:?}: {error}")))?;
        let operation = Operation {
            collection: SEQUENCES,
            key: Cow::Owned(key.into_bytes().into_vec()),
            condition,
            change,
            expires: Expires::Never,
        };
        let write = Write {
            mode: Mode::Atomic,
            resolved_at: self.engine.catalog().changed_at(),
            operations: Cow::Owned(vec![operation]),
            retry: None,
        };
        self.engine
            .propose(self.clock.now(), &Command::Write(write), None)?;
        Ok(())
    }
}

impl Sequences {
    /// Writes down where all of them stand.
    pub(crate) fn settle(&self, store: &Store) {
        for sequence in self.by_name.read().values() {
            // Then it goes on behind its block.
            let _ = sequence.settle(store);
        }
    }
}

/// The document of a sequence.
pub(crate) fn fields_of(
    definition: &SequenceDefinition,
    position: SequencePosition,
) -> Result<Fields, Error> {
    let fields = BTreeMap::from([
        ("definition".to_owned(), Value::String(text(definition))),
        ("last".to_owned(), Value::Int(position.last)),
        ("called".to_owned(), Value::Bool(position.called)),
    ]);
    Fields::from_map(&fields).map_err(|error| Error::Invalid(error.to_string()))
}

/// What gives the document of a sequence another definition.
pub(crate) fn describe(definition: &SequenceDefinition) -> FieldOperation {
    FieldOperation::Set {
        path: Path::field("definition"),
        value: Value::String(text(definition)),
    }
}

fn text(definition: &SequenceDefinition) -> String {
    serde_json::to_string(definition).expect("a definition has only string keys")
}

pub(crate) fn read(document: &Document) -> Result<(SequenceDefinition, SequencePosition), Error> {
    let damaged = |what: &str| Error::Damaged(format!("a sequence in _sequences: {what}"));
    let fields = document.fields();
    let text = fields.get("definition").and_then(|text| text.as_str());
    let text = text.ok_or_else(|| damaged("it has no definition"))?;
    let last = fields.get("last").and_then(|last| last.as_int());
    let called = fields.get("called").map(|called| called.to_value());
    Ok((
        serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))?,
        SequencePosition {
            last: last.ok_or_else(|| damaged("it has no number"))?,
            called: called == Some(Value::Bool(true)),
        },
    ))
}
