//! What a commit would refuse, asked for before it, for those who must tell at once.
//!
//! The answers are about the newest state with the transaction's writes over it. The commit judges
//! again: what is free now may be taken then.
//!
//! Tests: `violations` and `slt/writes` of velocitydb-sql, which asks.

use std::collections::HashSet;

use velocitydb_types::{FieldOperation, Key, OnDelete, Value};

use super::needs::Note;
use super::{Isolation, Transaction, bytes_of};
use crate::catalog::{Collection, CollectionId, Referrer};
use crate::command::{Change, Condition, Expires, ReferenceError, Refusal};
use crate::error::Error;
use crate::stage::check_found;
use crate::store::{Document, FieldIndex};

/// Which documents of a transaction were found to have a key of a unique index (named by its
/// position). Some may no longer.
pub(super) type Claims = std::collections::HashMap<(CollectionId, usize, Vec<u8>), Vec<Box<[u8]>>>;

/// How documents go that others may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// They are deleted: what refers to them does what it declares.
    Deleted,
    /// They have another id now: nothing may refer to them.
    Renamed,
}

fn refused(refusal: impl Into<Refusal>) -> Error {
    Error::Refused {
        operation: 0,
        refusal: refusal.into(),
    }
}

impl Transaction {
    /// The unique index in which another document has the key of a document that the transaction
    /// has written, and that other document; `None` in the place of the index: another transaction
    /// has inserted the same id, which this one does not see. To be asked of each document that is written, or
    /// those that were written before are not found.
    pub fn taken(
        &mut self,
        collection: &Collection,
        key: &[u8],
    ) -> Option<(Option<String>, Document)> {
        let pending = self.writes.get(&collection.id)?.get(key)?;
        let version = pending.document.clone()?;
        if self.isolation != Isolation::ReadCommitted
            && pending.base == 0
            && let Some(newest) = self.engine.get(collection, key, || self.began)
        {
            return Some((None, newest));
        }
        let table = &collection.table;
        let before = match self.notes {
            Some(_) => self.engine.get(collection, key, || self.began),
            None => None,
        };
        let mut free = Vec::new();
        let indexes = table.indexes();
        let unique = indexes.iter().enumerate();
        for (position, unique) in unique.filter(|(_, index)| index.is_unique()) {
            let Some(claim) = unique.claim_of(&version) else {
                continue;
            };
            if self.has_dropped(collection, unique) {
                continue;
            }
            let name = || unique.definition().name.clone();
            let had = before.as_ref().and_then(|before| unique.claim_of(before));
            let is_new = had.as_ref() != Some(&claim);
            if let Some(holder) = self.holder(collection, unique, &claim) {
                self.note_hindered(collection, &holder);
                return Some((Some(name()), holder));
            }
            let place = (collection.id, position, claim);
            let claimants = self.claims.get(&place).into_iter().flatten();
            for claimant in claimants.filter(|claimant| ***claimant != *key) {
                let other = self.written(collection.id, claimant).flatten();
                if let Some(other) =
                    other.filter(|other| unique.claim_of(other).as_ref() == Some(&place.2))
                {
                    return Some((Some(name()), other.clone()));
                }
            }
            free.push((place, is_new));
        }
        for (place, is_new) in free {
            if is_new {
                self.note(|| Note::Claimed(place.0, place.1, place.2.clone()));
            }
            let bytes = bytes_of(&place.2, None) + key.len();
            let claimants = self.claims.entry(place).or_default();
            if !claimants.iter().any(|claimant| **claimant == *key) {
                claimants.push(key.into());
                self.kept += bytes;
            }
        }
        None
    }

    /// Who has a key of a unique index in the newest state and is not written by the transaction.
    pub(super) fn holder(
        &self,
        collection: &Collection,
        unique: &FieldIndex,
        claim: &[u8],
    ) -> Option<Document> {
        let (table, guard) = (&collection.table, crossbeam_epoch::pin());
        let named = (claim, table.hash(claim));
        let holder = table.unique_holder(unique, named, self.began, &guard, |_| false);
        holder.filter(|holder| self.written(collection.id, holder.key_bytes()).is_none())
    }

    /// Refuses that a document which the transaction has written refers to one that is not there.
    pub fn check_references(&mut self, collection: &Collection, key: &[u8]) -> Result<(), Error> {
        if collection.references.is_empty() {
            return Ok(());
        }
        let Some(document) = self.written(collection.id, key).flatten().cloned() else {
            return Ok(());
        };
        for (path, parent) in &collection.references {
            let value = document.fields().get_path(path);
            let Some(value) = value.filter(|value| !value.is_null()) else {
                continue;
            };
            let value = value.to_value();
            let to = self.catalog().get(collection.database, parent).cloned();
            let found = match Key::from_value(&value).ok().zip(to) {
                Some((key, to)) => {
                    self.note(|| Note::Referred(to.id, key.as_bytes().into()));
                    self.newest(&to, key.as_bytes())?
                }
                None => None,
            };
            check_found(&document, (path, &value), parent, found, self.began).map_err(refused)?;
        }
        Ok(())
    }

    /// Whether documents of others may refer to those of a collection.
    pub fn is_referred_to(&self, collection: &Collection) -> bool {
        !self.catalog().referrers(collection).is_empty()
    }

    /// Does what follows from documents that are gone: those that refer to them go as well, or
    /// their fields become null, or all of it is refused.
    pub fn follow(
        &mut self,
        collection: &Collection,
        keys: Vec<Box<[u8]>>,
        how: Gone,
    ) -> Result<(), Error> {
        let catalog = self.catalog().clone();
        let mut open = vec![(collection, keys)];
        while let Some((parent_of, keys)) = open.pop() {
            for referrer in catalog.referrers(parent_of) {
                let Some(child) = catalog.by_id(referrer.collection) else {
                    continue;
                };
                let mut gone = Vec::new();
                for (holder, parent) in self.who_refers(child, referrer, &keys) {
                    match referrer.on_delete {
                        OnDelete::Cascade if how == Gone::Deleted => {
                            let change = Change::Delete;
                            self.follow_one(child, &holder, &change)?;
                            gone.push(holder.key_bytes().into());
                        }
                        OnDelete::SetNull if how == Gone::Deleted => {
                            let null = FieldOperation::Set {
                                path: referrer.field.clone(),
                                value: Value::Null,
                            };
                            let change = Change::Patch(vec![null]);
                            self.follow_one(child, &holder, &change)?;
                        }
                        _ => {
                            self.note_hindered(child, &holder);
                            return Err(refused(ReferenceError::Referenced {
                                collection: parent_of.definition.name.clone(),
                                id: Key::trusted(&parent[..]).to_string(),
                                by: child.definition.name.clone(),
                                holder: holder.id().to_string(),
                                field: referrer.field.to_string(),
                            }));
                        }
                    }
                }
                if !gone.is_empty() {
                    open.push((child, gone));
                }
            }
        }
        Ok(())
    }

    fn follow_one(
        &mut self,
        child: &Collection,
        holder: &Document,
        change: &Change<'_>,
    ) -> Result<(), Error> {
        let expires = Expires::Default;
        let key = holder.key_bytes();
        match self.write(child, key, &Condition::None, change, expires) {
            // It is gone already, by another way.
            Err(Error::Refused {
                refusal: Refusal::NotFound,
                ..
            }) => Ok(()),
            written => written.map(|_| ()),
        }
    }

    /// The documents that refer to any of those of these ids, and to which.
    fn who_refers(
        &self,
        child: &Collection,
        referrer: &Referrer,
        keys: &[Box<[u8]>],
    ) -> Vec<(Document, Box<[u8]>)> {
        let index = child.table.index_of_field(referrer.field.first());
        let index = index.expect("a field that refers has an index");
        let guard = crossbeam_epoch::pin();
        let mut found = Vec::new();
        for key in keys {
            let holders = child.table.holders(&index, key, self.began, &guard);
            let unwritten = holders
                .into_iter()
                .filter(|holder| self.written(child.id, holder.key_bytes()).is_none());
            found.extend(unwritten.map(|holder| (holder, key.clone())));
        }
        if self.writes_to(child.id) {
            let keys: HashSet<&[u8]> = keys.iter().map(|key| &**key).collect();
            for own in self.own(child.id) {
                let refers = index.key_of(own.fields());
                if let Some(key) = refers.filter(|key| keys.contains(&key[..])) {
                    found.push((own.clone(), key.into()));
                }
            }
        }
        found
    }
}
