//! What entries that define something do: collections and indexes come, change and go.
//!
//! Decided against the catalog and the documents that are there; carried out by
//! [`State::publish`]. Tests: the embedded library's.

use std::borrow::Cow;
use std::sync::Arc;

use velocitydb_types::{Fields, Key, Timestamp, Value};

use crate::alter::Builder;
use crate::catalog::{
    Alteration, COLLECTIONS, Collection, CollectionId, DATABASES, DatabaseDefinition, DatabaseId,
    Definition, IndexDefinition, RETRIES, SCHEMAS, SEQUENCES, check_name,
};
use crate::command::{Command, Expires, Refusal};
use crate::stage::{Stager, check_found, misfit};
use crate::state::State;
use crate::store::{Document, FieldIndex, Table};

/// A change of the catalog that goes with an entry.
pub(crate) enum Definitions {
    Put(Collection),
    Attach(Collection, Arc<FieldIndex>),
    Detach(Collection, String),
    /// The same collection without its documents.
    Empty(Collection),
    /// The same collection; its table may be another one, and its name. Then the others are those
    /// that refer to it.
    Altered(Collection, Vec<Collection>),
    Remove(CollectionId),
    PutDatabase(DatabaseId, DatabaseDefinition),
    /// A database with its collections.
    RemoveDatabase(DatabaseId),
}

impl State {
    /// What a command that defines something changes.
    pub(crate) fn define(
        &self,
        command: &Command<'_>,
        index: u64,
        time: Timestamp,
    ) -> Result<Definitions, Refusal> {
        if let Some((old, alteration)) = alteration_of(command, self) {
            return self.alter(old, &alteration, index, time);
        }
        Ok(match command {
            Command::Write(_) | Command::Tick => unreachable!("it defines nothing"),
            Command::CreateCollection(database, definition) => {
                definition.check()?;
                if self.catalog.database_definition(*database).is_none() {
                    return Err(Refusal::UnknownDatabase(format!("number {}", database.0)));
                }
                if self.catalog.get(*database, &definition.name).is_some() {
                    return Err(Refusal::CollectionExists(definition.name.clone()));
                }
                self.catalog.check_references(*database, None, definition)?;
                let table = new_table(self, definition);
                let (id, definition) = (self.next_collection(), (**definition).clone());
                Definitions::Put(Collection::new(id, *database, definition, index, table))
            }
            Command::Alter(id, _) => return Err(Refusal::no_collection(*id)),
            Command::DropCollection(id) => {
                self.catalog.check_unreferenced(self.known(*id)?)?;
                Definitions::Remove(*id)
            }
            Command::Truncate(id) => {
                let old = self.known(*id)?;
                self.catalog.check_unreferenced(old)?;
                let table = new_table(self, &old.definition);
                let definition = old.definition.clone();
                Definitions::Empty(Collection::new(*id, old.database, definition, index, table))
            }
            Command::CreateIndex(id, index_definition) => {
                let old = self.known(*id)?;
                let definition = with_index(old, index_definition)?;
                let new = new_index(&old.table, index_definition, time)?;
                Definitions::Attach(redefined(old, definition, index), Arc::new(new))
            }
            Command::DropIndex(id, name) => {
                let old = self.known(*id)?;
                let (definition, dropped) = without_index(old, name)?;
                Definitions::Detach(redefined(old, definition, index), dropped.name)
            }
            Command::CreateDatabase(definition) => {
                self.catalog.check_database(None, definition)?;
                let id = DatabaseId(self.next_collection().0);
                Definitions::PutDatabase(id, definition.clone())
            }
            Command::AlterDatabase(id, definition) => {
                let present = self.catalog.database_definition(*id);
                if present.is_none_or(|present| present.name != definition.name) {
                    self.catalog.passing_database(*id)?;
                }
                self.catalog.check_database(Some(*id), definition)?;
                Definitions::PutDatabase(*id, definition.clone())
            }
            Command::DropDatabase(id) => {
                self.catalog.passing_database(*id)?;
                Definitions::RemoveDatabase(*id)
            }
        })
    }

    /// A collection brought to another definition, and with it those that refer to it by name.
    fn alter(
        &self,
        old: &Arc<Collection>,
        alteration: &Alteration,
        index: u64,
        time: Timestamp,
    ) -> Result<Definitions, Refusal> {
        let (from, to) = (&old.definition.name, &alteration.definition.name);
        if from != to && self.catalog.get(old.database, to).is_some() {
            return Err(Refusal::CollectionExists(to.clone()));
        }
        let definition = alteration.result(&old.definition);
        let catalog = &self.catalog;
        catalog.check_references(old.database, Some(old.id), &definition)?;
        let table = self.altered(old, alteration, time)?;
        let altered = Collection::new(old.id, old.database, definition, index, table);
        let before = old
            .references
            .iter()
            .map(|(path, name)| match name == from {
                true => (path, to),
                false => (path, name),
            });
        let same = before.eq(altered.references.iter().map(|(path, name)| (path, name)));
        if !same || !Arc::ptr_eq(&altered.table, &old.table) {
            self.check_referring(&altered, time)?;
        }
        let referrers = self.catalog.referrers(old).iter();
        let mut others: Vec<_> = referrers.map(|referrer| referrer.collection).collect();
        others.retain(|id| *id != old.id && from != to);
        others.dedup();
        let renamed = |id| {
            let other = self.known(id)?;
            let definition = other.definition.clone().with_references_renamed(from, to);
            Ok(redefined(other, definition, index))
        };
        let others: Result<_, Refusal> = others.into_iter().map(renamed).collect();
        Ok(Definitions::Altered(altered, others?))
    }

    /// The table of an alteration: made beside the writers, or now.
    fn altered(
        &self,
        old: &Arc<Collection>,
        alteration: &Alteration,
        time: Timestamp,
    ) -> Result<Arc<Table>, Refusal> {
        if let Some(prepared) = &self.prepared
            && Arc::ptr_eq(&prepared.old, old)
        {
            return Ok(Arc::clone(&prepared.table));
        }
        if alteration.leaves_documents(&old.definition) {
            alteration.migration(&old.definition)?;
            return Ok(Arc::clone(&old.table));
        }
        let mut builder = Builder::new(old, alteration, time, self.shared.seed)?;
        builder.copy(|_| Ok::<_, Refusal>(()))?;
        builder.index()?;
        Ok(builder.finish(&self.shared.memory))
    }

    /// Whether every document finds those that it refers to; of those that do not, the one with
    /// the smallest id is named.
    fn check_referring(&self, collection: &Collection, time: Timestamp) -> Result<(), Refusal> {
        let guard = &crossbeam_epoch::pin();
        let mut worst: Option<(Document, Refusal)> = None;
        for (path, name) in &collection.references {
            let parent = match *name == collection.definition.name {
                true => Some(&collection.table),
                false => {
                    let parent = self.catalog.get(collection.database, name);
                    parent.map(|parent| &parent.table)
                }
            };
            let find = |key: Key| {
                let (key, parent) = (key.as_bytes(), parent?);
                let newest = parent.newest(parent.hash(key), key, guard)?;
                Some(newest.version)
            };
            collection.table.scan(0, u64::MAX, |document| {
                let smaller =
                    |(worst, _): &(Document, Refusal)| document.key_bytes() < worst.key_bytes();
                let value = document.fields().get_path(path);
                let value = value.filter(|value| !value.is_null());
                if let Some(value) = value.map(|value| value.to_value())
                    && document.is_live(time)
                    && worst.as_ref().is_none_or(smaller)
                {
                    let found = Key::from_value(&value).ok().and_then(find);
                    let kept = check_found(document, (path, &value), name, found, time);
                    if let Err(refusal) = kept {
                        worst = Some((document.clone(), refusal));
                    }
                }
                true
            });
        }
        worst.map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    /// Stages the documents of the definitions that a change makes.
    pub(crate) fn write_down(
        &self,
        change: &Definitions,
        stager: &mut Stager<'_>,
    ) -> Result<(), Refusal> {
        let mut write = |id, key: &Key, fields: Option<Fields>| {
            let fields = fields.as_ref().map(Fields::as_bytes);
            stager.system(id, key, fields, Expires::Never)
        };
        let key = |one: &Collection| key_of(one.database, &one.name);
        let document = |one: &Collection| Some(one.definition.to_document(one.id, one.database));
        let database = |id: &DatabaseId| number_key(id.0);
        match change {
            Definitions::Remove(id) => write(COLLECTIONS, &key(self.known(*id)?)?, None),
            Definitions::Put(one)
            | Definitions::Empty(one)
            | Definitions::Attach(one, _)
            | Definitions::Detach(one, _) => write(COLLECTIONS, &key(one)?, document(one)),
            Definitions::Altered(one, others) => {
                let former = self.known(one.id)?;
                if former.name != one.name {
                    write(COLLECTIONS, &key(former)?, None)?;
                }
                write(COLLECTIONS, &key(one)?, document(one))?;
                let mut others = others.iter();
                others.try_for_each(|other| write(COLLECTIONS, &key(other)?, document(other)))
            }
            Definitions::PutDatabase(id, definition) => {
                write(DATABASES, &database(id)?, Some(definition.to_document(*id)))
            }
            Definitions::RemoveDatabase(id) => {
                for of in [COLLECTIONS, SEQUENCES, SCHEMAS, RETRIES] {
                    for key in self.keys_of(of, *id) {
                        write(of, &key, None)?;
                    }
                }
                write(DATABASES, &database(id)?, None)
            }
        }
    }

    /// The ids of a database's documents in a system collection.
    fn keys_of(&self, collection: CollectionId, database: DatabaseId) -> Vec<Key> {
        let mut keys = Vec::new();
        let table = &self.catalog.by_id[&collection].table;
        table.scan(0, u64::MAX, |document| {
            let key = document.id();
            if database.has_key(&key) {
                keys.push(key);
            }
            true
        });
        // In the same order everywhere.
        keys.sort();
        keys
    }

    /// Stages another definition of a sequence, if it is there; its position stays.
    pub(crate) fn describe_sequence(
        &self,
        database: DatabaseId,
        (name, definition): (&str, &str),
        stager: &mut Stager<'_>,
    ) -> Result<(), Refusal> {
        let key = key_of(database, name)?;
        let table = &self.catalog.by_id[&SEQUENCES].table;
        let guard = &crossbeam_epoch::pin();
        let newest = table.newest(table.hash(key.as_bytes()), key.as_bytes(), guard);
        let Some(present) = newest.filter(|newest| !newest.version.is_tombstone()) else {
            return Ok(());
        };
        let mut fields = present.version.fields().to_map();
        fields.insert("definition".to_owned(), Value::from(definition));
        let fields =
            Fields::from_map(&fields).map_err(|error| Refusal::BadDefinition(error.to_string()))?;
        stager.system(SEQUENCES, &key, Some(fields.as_bytes()), Expires::Never)
    }
}

/// The key of a system collection's document that a name is.
fn key_of(database: DatabaseId, name: &str) -> Result<Key, Refusal> {
    let key = database.key(name);
    key.map_err(|error| Refusal::BadDefinition(error.to_string()))
}

fn number_key(number: u32) -> Result<Key, Refusal> {
    let key = Key::from_value(&Value::Int(i64::from(number)));
    key.map_err(|error| Refusal::BadDefinition(error.to_string()))
}

/// The alteration that a command is, with the collection: an index by whose retention documents
/// expire changes when they do. `None` also of a command that will be refused.
pub(crate) fn alteration_of<'c, 's>(
    command: &'c Command<'_>,
    state: &'s State,
) -> Option<(&'s Arc<Collection>, Cow<'c, Alteration>)> {
    let (old, definition) = match command {
        Command::Alter(id, alteration) => {
            return Some((state.known(*id).ok()?, Cow::Borrowed(&**alteration)));
        }
        Command::CreateIndex(id, index) if index.retention.is_some() => {
            let old = state.known(*id).ok()?;
            (old, with_index(old, index).ok()?)
        }
        Command::DropIndex(id, name) => {
            let old = state.known(*id).ok()?;
            let (definition, dropped) = without_index(old, name).ok()?;
            dropped.retention?;
            (old, definition)
        }
        _ => return None,
    };
    Some((old, Cow::Owned(Alteration::to(definition))))
}

fn with_index(old: &Collection, index: &IndexDefinition) -> Result<Definition, Refusal> {
    let mut definition = old.definition.clone();
    definition.indexes.push(index.clone());
    definition.check()?;
    Ok(definition)
}

fn without_index(old: &Collection, name: &str) -> Result<(Definition, IndexDefinition), Refusal> {
    check_name("index", name)?;
    let mut definition = old.definition.clone();
    let mut indexes = definition.indexes.iter();
    let at = indexes.position(|held| held.name == *name);
    let at = at.ok_or_else(|| Refusal::UnknownIndex(name.to_owned()))?;
    let dropped = definition.indexes.remove(at);
    Ok((definition, dropped))
}

/// An empty table with the indexes of a definition.
pub(crate) fn new_table(state: &State, definition: &Definition) -> Arc<Table> {
    let table = state.table();
    for index in definition.all_indexes().map(FieldIndex::new) {
        table.attach_index(Arc::new(index));
    }
    table
}

/// An index over a table's documents. One that is not unique is built afterwards, beside writers
/// ([`Table::build_step`]): what it will hold, the state knows already.
fn new_index(
    table: &Table,
    definition: &IndexDefinition,
    time: Timestamp,
) -> Result<FieldIndex, Refusal> {
    let (index, fits) = if definition.unique {
        let index = FieldIndex::new(definition.clone());
        let fits = table.fill_index(&index, time);
        (index, fits)
    } else {
        let index = FieldIndex::unbuilt(definition.clone());
        let fits = table.check_lengths(&index, time);
        (index, fits)
    };
    match fits {
        Ok(()) => Ok(index),
        Err(why) => Err(misfit(&index, why)),
    }
}

fn redefined(old: &Collection, definition: Definition, index: u64) -> Collection {
    let table = Arc::clone(&old.table);
    Collection::new(old.id, old.database, definition, index, table)
}
