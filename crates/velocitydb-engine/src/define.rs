//! What entries that define something do: collections, indexes and databases come, change and go.
//!
//! Decided against the catalog and the documents that are there; carried out by
//! [`State::publish`]. The definitions of one entry are made one after the other, each over the catalog
//! that those before it leave ([`Defining`]); a transaction that is open makes its own in the same way,
//! over a catalog that nobody else sees.
//!
//! Where documents are written in the same entry, the definitions are about what the write leaves: a
//! document that it writes is neither converted nor judged here, but as the write puts it
//! ([`Writes`]). So rows can be brought to a new rule and the rule be made in one transaction.
//!
//! Tests: the embedded library's; `tests::definitions`.

mod writes;

pub(crate) use writes::{NoWrites, Writes, Written};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use velocitydb_types::{Fields, Key, Timestamp, Value};

use crate::alter::{Builder, Prepared};
use crate::catalog::{
    Alteration, COLLECTIONS, Catalog, Collection, CollectionId, DATABASES, DatabaseDefinition,
    DatabaseId, Definition, IndexDefinition, RETRIES, SCHEMAS, SEQUENCES, check_name,
};
use crate::command::{Command, Expires, Refusal, Write};
use crate::stage::{Stager, check_found, misfit};
use crate::state::{Shared, State};
use crate::store::{Document, FieldIndex, Table};

/// A change of the catalog that goes with an entry.
pub(crate) enum Definitions {
    Put(Arc<Collection>),
    /// Without an index: the collection's table is another one, which has it.
    Attach(Arc<Collection>, Option<Arc<FieldIndex>>),
    /// Without a name: the collection's table lacks the index already.
    Detach(Arc<Collection>, Option<String>),
    /// The same collection without its documents.
    Empty(Arc<Collection>),
    /// Collections as they were and as they are then: the one that is altered, whose table may be
    /// another one, and its name; then the others are those that refer to it.
    Altered(Vec<(Arc<Collection>, Arc<Collection>)>),
    Remove(Arc<Collection>),
    PutDatabase(DatabaseId, DatabaseDefinition),
    /// A database with its collections.
    RemoveDatabase(DatabaseId, Vec<Arc<Collection>>),
}

/// Whose definitions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of an entry that is staged.
    Entry,
    /// Those of a transaction that is open: tables that others have stay as they are.
    Private,
}

/// Definitions that are made one after the other. See the module.
pub(crate) struct Defining<'s> {
    pub(crate) shared: &'s Shared,
    /// Tables made for them.
    pub(crate) prepared: &'s [Prepared],
    /// How many were made.
    pub(crate) at: usize,
    pub(crate) scope: Scope,
    /// What there was before the first of them.
    pub(crate) base: Arc<Catalog>,
    /// What there is now.
    pub(crate) catalog: Arc<Catalog>,
    /// Log index of the entry, or what a transaction uses for it.
    pub(crate) index: u64,
    pub(crate) time: Timestamp,
    /// Collections that were defined after this index are not those that were meant.
    pub(crate) resolved_at: Option<u64>,
    /// The number of the first new collection.
    pub(crate) first: CollectionId,
    /// How many came to be.
    pub(crate) created: u32,
    pub(crate) writes: &'s dyn Writes,
}

/// What definitions have made of the catalog.
pub(crate) struct Redefined {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) next_collection: CollectionId,
    /// In order.
    pub(crate) changes: Vec<Definitions>,
}

impl Redefined {
    /// Gives tables that others have the indexes of the new definitions, and takes those that went.
    pub(crate) fn settle_indexes(self) {
        for change in self.changes {
            let (Definitions::Attach(one, _) | Definitions::Detach(one, _)) = &change else {
                continue;
            };
            let last = self.catalog.by_id(one.id);
            if last.is_none_or(|last| !Arc::ptr_eq(&last.table, &one.table)) {
                continue;
            }
            match change {
                Definitions::Attach(one, Some(index)) => one.table.attach_index(index),
                Definitions::Detach(one, Some(name)) => one.table.detach_index(&name),
                _ => {}
            }
        }
    }

    /// Whether it only removes.
    pub(crate) fn only_removes(&self) -> bool {
        self.changes.iter().all(|change| match change {
            Definitions::Remove(_)
            | Definitions::Empty(_)
            | Definitions::Detach(..)
            | Definitions::RemoveDatabase(..) => true,
            Definitions::Put(_)
            | Definitions::Attach(..)
            | Definitions::Altered(..)
            | Definitions::PutDatabase(..) => false,
        })
    }
}

impl State {
    /// What definitions that come before a write change.
    pub(crate) fn define(
        &self,
        commands: &[Command<'_>],
        (index, time): (u64, Timestamp),
        write: Option<&Write<'_>>,
    ) -> Result<Redefined, Refusal> {
        let first = self.next_collection();
        let written = write.map(|write| Written::of(write, first));
        let writes: &dyn Writes = match &written {
            Some(written) => written,
            None => &NoWrites,
        };
        let mut defining = Defining {
            shared: &self.shared,
            prepared: &self.prepared,
            at: 0,
            scope: Scope::Entry,
            base: Arc::clone(&self.catalog),
            catalog: Arc::clone(&self.catalog),
            index,
            time,
            resolved_at: write.map(|write| write.resolved_at),
            first,
            created: 0,
            writes,
        };
        let changes = commands.iter().map(|command| defining.make(command));
        let changes = changes.collect::<Result<_, _>>()?;
        Ok(Redefined {
            next_collection: defining.next(),
            catalog: defining.catalog,
            changes,
        })
    }

    /// Stages the documents of what definitions have made.
    pub(crate) fn write_down(
        &self,
        redefined: &Redefined,
        stager: &mut Stager<'_>,
    ) -> Result<(), Refusal> {
        let mut all = BTreeMap::new();
        let key = |one: &Collection| key_of(one.database, &one.name);
        let document = |one: &Collection| Some(one.definition.to_document(one.id, one.database));
        for change in &redefined.changes {
            match change {
                Definitions::Remove(one) => {
                    all.insert((COLLECTIONS, key(one)?), None);
                }
                Definitions::Put(one)
                | Definitions::Empty(one)
                | Definitions::Attach(one, _)
                | Definitions::Detach(one, _) => {
                    all.insert((COLLECTIONS, key(one)?), document(one));
                }
                Definitions::Altered(altered) => {
                    for (former, _) in altered {
                        all.insert((COLLECTIONS, key(former)?), None);
                    }
                    for (_, one) in altered {
                        all.insert((COLLECTIONS, key(one)?), document(one));
                    }
                }
                Definitions::PutDatabase(id, definition) => {
                    let document = definition.to_document(*id);
                    all.insert((DATABASES, number_key(id.0)?), Some(document));
                }
                Definitions::RemoveDatabase(id, _) => {
                    for of in [COLLECTIONS, SEQUENCES, SCHEMAS, RETRIES] {
                        let keys = self.keys_of(of, *id).into_iter();
                        all.extend(keys.map(|key| ((of, key), None)));
                    }
                    all.insert((DATABASES, number_key(id.0)?), None);
                }
            }
        }
        for ((of, key), fields) in all {
            let fields = fields.as_ref().map(Fields::as_bytes);
            stager.system(of, &key, fields, Expires::Never)?;
        }
        Ok(())
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

impl Defining<'_> {
    /// The number of the next new collection.
    fn next(&self) -> CollectionId {
        CollectionId(self.first.0.saturating_add(self.created))
    }

    /// Makes one, over those before it.
    pub(crate) fn make(&mut self, command: &Command<'_>) -> Result<Definitions, Refusal> {
        let change = self.define(command)?;
        self.at += 1;
        let next = self.next();
        let catalog = Arc::make_mut(&mut self.catalog);
        catalog.changed_at = self.index;
        match &change {
            Definitions::Put(one) => {
                self.created += 1;
                catalog.put(Arc::clone(one));
            }
            Definitions::Attach(one, _) | Definitions::Detach(one, _) | Definitions::Empty(one) => {
                catalog.put(Arc::clone(one));
            }
            Definitions::Altered(all) => {
                for (_, one) in all {
                    catalog.put(Arc::clone(one));
                }
            }
            Definitions::Remove(one) => catalog.remove(one.id, self.index),
            Definitions::PutDatabase(id, definition) => {
                self.created += u32::from(next.0 == id.0);
                catalog.put_database(*id, definition.clone());
            }
            Definitions::RemoveDatabase(id, _) => catalog.remove_database(*id),
        }
        Ok(change)
    }

    /// A collection by its number, as the command says it.
    fn known(&self, id: CollectionId) -> Result<&Arc<Collection>, Refusal> {
        let found = self.catalog.known(id.real(self.first))?;
        match self.resolved_at {
            Some(at) if found.defined_at > at && found.defined_at != self.index => {
                Err(Refusal::DefinitionChanged)
            }
            _ => Ok(found),
        }
    }

    /// Whether nobody else has the collection's table.
    fn is_own(&self, collection: &Collection) -> bool {
        let base = self.base.by_id(collection.id);
        base.is_none_or(|base| !Arc::ptr_eq(&base.table, &collection.table))
    }

    /// What a command that defines something changes.
    fn define(&self, command: &Command<'_>) -> Result<Definitions, Refusal> {
        if let Some((id, alteration)) = alteration_of(command, &self.catalog, self.first) {
            return self.alter(self.known(id)?, &alteration);
        }
        let index = self.index;
        Ok(match command {
            Command::Write(_) | Command::Tick | Command::Transaction { .. } => {
                let what = "something else stands among definitions";
                return Err(Refusal::BadDefinition(what.to_owned()));
            }
            Command::CreateDatabase(_) | Command::AlterDatabase(..) | Command::DropDatabase(_)
                if self.resolved_at.is_some() =>
            {
                let what = "databases do not come, change or go in a transaction";
                return Err(Refusal::BadDefinition(what.to_owned()));
            }
            Command::CreateCollection(database, definition) => {
                definition.check()?;
                if self.catalog.database_definition(*database).is_none() {
                    return Err(Refusal::UnknownDatabase(format!("number {}", database.0)));
                }
                if self.catalog.get(*database, &definition.name).is_some() {
                    return Err(Refusal::CollectionExists(definition.name.clone()));
                }
                self.catalog.check_references(*database, None, definition)?;
                let table = new_table(self.shared, definition);
                let (id, definition) = (self.next(), (**definition).clone());
                let new = Collection::new(id, *database, definition, index, table);
                Definitions::Put(Arc::new(new))
            }
            Command::Alter(id, _) => return Err(Refusal::no_collection(*id)),
            Command::DropCollection(id) => {
                let old = self.known(*id)?;
                self.catalog.check_unreferenced(old)?;
                Definitions::Remove(Arc::clone(old))
            }
            Command::Truncate(id) => {
                let old = self.known(*id)?;
                self.catalog.check_unreferenced(old)?;
                let table = new_table(self.shared, &old.definition);
                let definition = old.definition.clone();
                let new = Collection::new(old.id, old.database, definition, index, table);
                Definitions::Empty(Arc::new(new))
            }
            Command::CreateIndex(id, index_definition) => {
                let old = self.known(*id)?;
                let definition = with_index(old, index_definition)?;
                self.attach(old, definition, index_definition)?
            }
            Command::DropIndex(id, name) => {
                let old = self.known(*id)?;
                let (definition, dropped) = without_index(old, name)?;
                let new = redefined(old, definition, index);
                let name = match self.is_own(old) {
                    true => {
                        old.table.detach_index(&dropped.name);
                        None
                    }
                    false => Some(dropped.name),
                };
                Definitions::Detach(new, name)
            }
            Command::CreateDatabase(definition) => {
                self.catalog.check_database(None, definition)?;
                Definitions::PutDatabase(DatabaseId(self.next().0), definition.clone())
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
                let all = self.catalog.collections_of(*id).cloned().collect();
                Definitions::RemoveDatabase(*id, all)
            }
        })
    }

    /// A collection with one more index.
    fn attach(
        &self,
        old: &Arc<Collection>,
        definition: Definition,
        index: &IndexDefinition,
    ) -> Result<Definitions, Refusal> {
        let fits = |fits: Result<(), _>, index: &FieldIndex| fits.map_err(|why| misfit(index, why));
        if let Some(table) = self.prepared(old) {
            let new = Collection::new(old.id, old.database, definition, self.index, table);
            return Ok(Definitions::Attach(Arc::new(new), None));
        }
        let in_place = match self.scope {
            Scope::Entry => true,
            // Documents that were written since it was made are not in it as they are now.
            Scope::Private => !index.unique || old.is_empty() || !self.writes.touches(old),
        };
        if self.is_own(old) && in_place {
            let index = FieldIndex::new(index.clone());
            fits(old.table.fill_index(&index, self.time), &index)?;
            old.table.attach_index(Arc::new(index));
            return Ok(Definitions::Attach(
                redefined(old, definition, self.index),
                None,
            ));
        }
        // Where others have the table, documents that are written beside it come to one of its own,
        // in which all are judged together.
        let copied = match self.scope {
            Scope::Entry => self.writes.touches(old),
            Scope::Private => index.unique,
        };
        if copied {
            let alteration = Alteration::to(definition);
            let table = self.converted(old, &alteration)?;
            let definition = alteration.definition;
            let new = Collection::new(old.id, old.database, definition, self.index, table);
            return Ok(Definitions::Attach(Arc::new(new), None));
        }
        let new = redefined(old, definition, self.index);
        let index = match self.scope {
            Scope::Entry => Some(Arc::new(new_index(&old.table, index, self.time)?)),
            Scope::Private => {
                let index = FieldIndex::unbuilt(index.clone());
                fits(old.table.check_keys(&index, self.time), &index)?;
                None
            }
        };
        Ok(Definitions::Attach(new, index))
    }

    /// A collection brought to another definition, and with it those that refer to it by name.
    fn alter(
        &self,
        old: &Arc<Collection>,
        alteration: &Alteration,
    ) -> Result<Definitions, Refusal> {
        let index = self.index;
        let (from, to) = (&old.definition.name, &alteration.definition.name);
        if from != to && self.catalog.get(old.database, to).is_some() {
            return Err(Refusal::CollectionExists(to.clone()));
        }
        let definition = alteration.result(&old.definition);
        let catalog = &self.catalog;
        catalog.check_references(old.database, Some(old.id), &definition)?;
        let table = self.altered(old, alteration)?;
        let altered = Collection::new(old.id, old.database, definition, index, table);
        let altered = Arc::new(altered);
        let before = old
            .references
            .iter()
            .map(|(path, name)| match name == from {
                true => (path, to),
                false => (path, name),
            });
        let same = before.eq(altered.references.iter().map(|(path, name)| (path, name)));
        if !same || !Arc::ptr_eq(&altered.table, &old.table) {
            self.check_referring(&altered)?;
        }
        let referrers = self.catalog.referrers(old).iter();
        let mut others: Vec<_> = referrers.map(|referrer| referrer.collection).collect();
        others.retain(|id| *id != old.id && from != to);
        others.dedup();
        let mut all = vec![(Arc::clone(old), altered)];
        for id in others {
            let other = self.known(id)?;
            let definition = other.definition.clone().with_references_renamed(from, to);
            all.push((Arc::clone(other), redefined(other, definition, index)));
        }
        Ok(Definitions::Altered(all))
    }

    /// The table of an alteration: made beside the writers, or now.
    fn altered(
        &self,
        old: &Arc<Collection>,
        alteration: &Alteration,
    ) -> Result<Arc<Table>, Refusal> {
        if let Some(table) = self.prepared(old) {
            return Ok(table);
        }
        if alteration.leaves_documents(&old.definition) {
            alteration.migration(&old.definition)?;
            return Ok(Arc::clone(&old.table));
        }
        self.converted(old, alteration)
    }

    /// The table that was made for this definition of a collection.
    fn prepared(&self, old: &Collection) -> Option<Arc<Table>> {
        let before = self.base.by_id(old.id);
        let mut prepared = self.prepared.iter();
        let found = prepared.find(|one| one.at == self.at && one.fits(before))?;
        Some(Arc::clone(&found.table))
    }

    /// The documents of a collection that are not written, as an alteration makes them.
    fn converted(
        &self,
        old: &Arc<Collection>,
        alteration: &Alteration,
    ) -> Result<Arc<Table>, Refusal> {
        let mut builder = Builder::new(old, alteration, self.time, self.shared.seed)?;
        let touched = self.writes.touches(old);
        builder.copy_if(
            |key| !touched || self.writes.leaves(old.id, key).is_none(),
            |_| Ok::<_, Refusal>(()),
        )?;
        builder.index()?;
        Ok(builder.finish(&self.shared.memory))
    }

    /// Whether every document finds those that it refers to; of those that do not, the one with
    /// the smallest id is named.
    fn check_referring(&self, collection: &Collection) -> Result<(), Refusal> {
        let time = self.time;
        let guard = &crossbeam_epoch::pin();
        let mut worst: Option<(Document, Refusal)> = None;
        for (path, name) in &collection.references {
            let parent = match *name == collection.definition.name {
                true => Some(collection),
                false => {
                    let parent = self.catalog.get(collection.database, name);
                    parent.map(|parent| &**parent)
                }
            };
            let find = |key: &Key| {
                let (key, parent) = (key.as_bytes(), &parent?.table);
                let newest = parent.newest(parent.hash(key), key, guard)?;
                Some(newest.version)
            };
            let written = |key: &Key| self.writes.leaves(parent?.id, key.as_bytes());
            collection.table.scan(0, u64::MAX, |document| {
                let smaller =
                    |(worst, _): &(Document, Refusal)| document.key_bytes() < worst.key_bytes();
                let value = document.fields().get_path(path);
                let value = value.filter(|value| !value.is_null());
                if let Some(value) = value.map(|value| value.to_value())
                    && document.is_live(time)
                    && worst.as_ref().is_none_or(smaller)
                {
                    let key = Key::from_value(&value).ok();
                    let found = match key.as_ref().and_then(written) {
                        // As it is written, it is judged with the write.
                        Some(true) => return true,
                        Some(false) => None,
                        None => key.as_ref().and_then(find),
                    };
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

/// The alteration that a command is, and the collection's number: an index by whose retention
/// documents expire changes when they do. `None` also of a command that will be refused.
pub(crate) fn alteration_of<'c>(
    command: &'c Command<'_>,
    catalog: &Catalog,
    first: CollectionId,
) -> Option<(CollectionId, Cow<'c, Alteration>)> {
    let known = |id: &CollectionId| catalog.known(id.real(first)).ok();
    let (id, definition) = match command {
        Command::Alter(id, alteration) => {
            known(id)?;
            return Some((*id, Cow::Borrowed(&**alteration)));
        }
        Command::CreateIndex(id, index) if index.retention.is_some() => {
            (id, with_index(known(id)?, index).ok()?)
        }
        Command::DropIndex(id, name) => {
            let (definition, dropped) = without_index(known(id)?, name).ok()?;
            dropped.retention?;
            (id, definition)
        }
        _ => return None,
    };
    Some((*id, Cow::Owned(Alteration::to(definition))))
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
pub(crate) fn new_table(shared: &Shared, definition: &Definition) -> Arc<Table> {
    let table = shared.table();
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
        let fits = table.check_keys(&index, time);
        (index, fits)
    };
    match fits {
        Ok(()) => Ok(index),
        Err(why) => Err(misfit(&index, why)),
    }
}

fn redefined(old: &Collection, definition: Definition, index: u64) -> Arc<Collection> {
    let table = Arc::clone(&old.table);
    let new = Collection::new(old.id, old.database, definition, index, table);
    Arc::new(new)
}
