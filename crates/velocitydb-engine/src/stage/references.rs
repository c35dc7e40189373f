//! References: fields whose values are ids of another collection's documents.
//!
//! A write is judged by what it leaves: every document that it stages must find the documents
//! that it refers to, and a document that goes takes those that refer to it along, makes their
//! fields null, or stays because of them ([`OnDelete`]). The log has the deletion alone; what
//! follows from it is a function of the state. Who refers to a document is found through the
//! index that each such field has.
//!
//! Tests: `references` in the embedded library's tests/it, against a model.

use velocitydb_types::update::apply as apply_update;
use velocitydb_types::{FieldOperation, Key, OnDelete, Path, Timestamp, Value};

use super::{Before, Expires, Refusal, Stager};
use crate::catalog::{Collection, Referrer};
use crate::command::ReferenceError;
use crate::store::Document;

/// The most documents that one write may change: beyond it other writers would wait for seconds.
const CHANGES_MAX: usize = 100_000;

impl Stager<'_> {
    /// Stages what follows from the deletion staged at `first`; `changed` notes it, so that it
    /// can be taken back.
    pub(super) fn follow_deletion(
        &mut self,
        first: usize,
        changed: &mut Vec<(usize, Before)>,
    ) -> Result<(), Refusal> {
        if !self.versions[first].version.is_tombstone() {
            return Ok(());
        }
        let mut open = vec![first];
        while let Some(at) = open.pop() {
            let staged = &self.versions[at];
            let parent = self.collection(staged.collection)?;
            if !staged.version.is_tombstone() {
                continue;
            }
            let deleted = staged.version.clone();
            for referrer in self.catalog.referrers(parent) {
                self.note_all();
                let child = self.collection(referrer.collection)?;
                for holder in self.who_refers(child, referrer, &deleted) {
                    if referrer.on_delete == OnDelete::Restrict {
                        return Err(ReferenceError::Referenced {
                            collection: parent.definition.name.clone(),
                            id: deleted.id().to_string(),
                            by: child.definition.name.clone(),
                            holder: holder.id().to_string(),
                            field: referrer.field.to_string(),
                        }
                        .into());
                    }
                    let staged = self.follow(at, child, referrer, &holder, changed)?;
                    open.push(staged);
                }
            }
        }
        Ok(())
    }

    /// The documents that refer to one that goes and are not to go themselves, in the order of
    /// their ids. Documents that came to be in this write are judged afterwards.
    fn who_refers(
        &mut self,
        child: &Collection,
        referrer: &Referrer,
        deleted: &Document,
    ) -> Vec<Document> {
        let table = &child.table;
        let index = table.index_of_field(referrer.field.first());
        let index = index.expect("a field that refers has an index");
        let key = deleted.key_bytes();
        let mut holders = table.holders(&index, key, self.time, self.guard);
        for holder in &holders {
            self.read = self.read.max(holder.index());
        }
        holders.retain_mut(|holder| {
            if let Some(at) = self.find(child, holder.key_bytes()).staged {
                *holder = self.versions[at].version.clone();
            }
            let refers = || index.key_of(holder.fields());
            holder.is_live(self.time) && refers().is_some_and(|refers| refers == key)
        });
        holders
    }

    /// Deletes a document that refers to one that goes, or makes its field null.
    fn follow(
        &mut self,
        at: usize,
        child: &Collection,
        referrer: &Referrer,
        holder: &Document,
        changed: &mut Vec<(usize, Before)>,
    ) -> Result<usize, Refusal> {
        if self.versions.len() >= CHANGES_MAX {
            return Err(Refusal::TooManyChanges(CHANGES_MAX));
        }
        let fields = match referrer.on_delete {
            OnDelete::SetNull => {
                let null = FieldOperation::Set {
                    path: referrer.field.clone(),
                    value: Value::Null,
                };
                let fields = apply_update(holder.fields(), &[null])?;
                child.definition.schema.check(fields.as_raw())?;
                Some(fields)
            }
            _ => None,
        };
        let operation = self.versions[at].operation;
        let place = self.find(child, holder.key_bytes());
        let before = self.before(place.staged);
        let expires = match &fields {
            Some(_) => Expires::kept(child, holder),
            None => Expires::Default,
        };
        let fields = fields.as_ref().map(|fields| fields.as_bytes());
        let (staged, _) = self.stage(operation, child, place, Some(holder), fields, expires)?;
        self.indexed |= child.table.has_indexes();
        changed.push((staged, before));
        Ok(staged)
    }

    /// Whether a staged version finds the documents that it refers to, and may expire.
    pub(super) fn check_references(&mut self, at: usize) -> Result<(), Refusal> {
        let staged = &self.versions[at];
        if !staged.version.is_live(self.time) {
            return Ok(());
        }
        let collection = self.collection(staged.collection)?;
        let name = &collection.definition.name;
        if staged.version.expires_at().is_some()
            && let Some(referrer) = self.catalog.referrers(collection).first()
        {
            let by = self.collection(referrer.collection)?;
            return Err(ReferenceError::CannotExpire {
                collection: name.clone(),
                by: by.definition.name.clone(),
            }
            .into());
        }
        for (path, parent) in &collection.references {
            let fields = self.versions[at].version.fields();
            let value = fields.get_path(path).filter(|value| !value.is_null());
            let Some(value) = value.map(|value| value.to_value()) else {
                continue;
            };
            let to = self.catalog.get(collection.database, parent);
            let key = Key::from_value(&value).ok().zip(to);
            let found = key
                .as_ref()
                .and_then(|(key, parent)| self.newest(parent, key));
            let document = &self.versions[at].version;
            check_found(document, (path, &value), parent, found, self.time)?;
            if let (true, Some(many), Some((key, parent))) = (self.each, &mut self.many, key) {
                many.referring
                    .entry((parent.id, key))
                    .or_default()
                    .insert(at);
            }
        }
        Ok(())
    }

    /// Whether those that were staged before as referring to a document do so no longer, if it goes
    /// now.
    pub(super) fn check_referring(&mut self, at: usize) -> Result<(), Refusal> {
        let gone = &self.versions[at];
        let Some(many) = self.many.as_ref().filter(|_| gone.version.is_tombstone()) else {
            return Ok(());
        };
        let gone = (gone.collection, gone.version.id());
        let referring = many.referring.get(&gone).cloned();
        for other in referring.into_iter().flatten() {
            if other < self.versions.len() {
                self.check_references(other)?;
            }
        }
        Ok(())
    }

    /// What there is of this id once the write is done.
    fn newest(&mut self, collection: &Collection, key: &Key) -> Option<Document> {
        let place = self.find(collection, key.as_bytes());
        if let Some(at) = place.staged {
            return Some(self.versions[at].version.clone());
        }
        let present = place.present?.version;
        self.read = self.read.max(present.index());
        Some(present)
    }
}

/// Refuses that a document's field refers to one of which there is nothing, or that will not stay.
pub(crate) fn check_found(
    document: &Document,
    (field, value): (&Path, &Value),
    collection: &str,
    found: Option<Document>,
    time: Timestamp,
) -> Result<(), Refusal> {
    let found = found.filter(|found| found.is_live(time));
    if found
        .as_ref()
        .is_some_and(|found| found.expires_at().is_none())
    {
        return Ok(());
    }
    let (document, field) = (document.id().to_string(), field.to_string());
    let (collection, value) = (collection.to_owned(), value.to_json());
    Err(match found {
        Some(_) => ReferenceError::Expires {
            document,
            field,
            collection,
            value,
        },
        None => ReferenceError::Missing {
            document,
            field,
            collection,
            value,
        },
    }
    .into())
}
