//! What entries that define something do: collections and indexes come, change and go.
//!
//! Decided against the catalog and the documents that are there; carried out by
//! [`State::publish`]. Tests: the embedded library's.

use std::borrow::Cow;
use std::sync::Arc;

use velocitydb_types::{Key, Timestamp};

use crate::alter::Builder;
use crate::catalog::{
    Alteration, Collection, CollectionId, Definition, IndexDefinition, check_name,
};
use crate::command::{Command, Refusal};
use crate::stage::{check_found, misfit};
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
            Command::CreateCollection(definition) => {
                definition.check()?;
                if self.catalog.get(&definition.name).is_some() {
                    return Err(Refusal::CollectionExists(definition.name.clone()));
                }
                self.catalog.check_references(None, definition)?;
                let table = new_table(self, definition);
                let (id, definition) = (self.next_collection(), (**definition).clone());
                Definitions::Put(Collection::new(id, definition, index, table))
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
                Definitions::Empty(Collection::new(*id, old.definition.clone(), index, table))
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
        if from != to && self.catalog.get(to).is_some() {
            return Err(Refusal::CollectionExists(to.clone()));
        }
        let definition = alteration.result(&old.definition);
        self.catalog.check_references(Some(old.id), &definition)?;
        let table = self.altered(old, alteration, time)?;
        let altered = Collection::new(old.id, definition, index, table);
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
        let referrers = self.catalog.referrers(from).iter();
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
                false => self.catalog.get(name).map(|parent| &parent.table),
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
    Collection::new(old.id, definition, index, Arc::clone(&old.table))
}
