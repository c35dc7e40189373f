//! Who refers to whom, and what definitions may therefore not say.

use velocitydb_types::{Field, FieldType, OnDelete, Path, Reference};

use super::{Catalog, Collection, CollectionId, DatabaseId, Definition};
use crate::command::{ReferenceError, Refusal};

/// A field whose values are ids of another collection's documents, seen from there.
#[derive(Debug, Clone)]
pub(crate) struct Referrer {
    /// The collection that has the field.
    pub(crate) collection: CollectionId,
    pub(crate) field: Path,
    pub(crate) on_delete: OnDelete,
}

impl Catalog {
    /// Whether any collection refers to another, or to itself.
    #[inline]
    pub(crate) fn has_references(&self) -> bool {
        let mut databases = self.databases.values();
        databases.any(|database| !database.referrers.is_empty())
    }

    /// The fields that refer to a collection.
    pub(crate) fn referrers(&self, collection: &Collection) -> &[Referrer] {
        self.referrers_of(collection.database, &collection.definition.name)
    }

    /// The fields that refer to the collection of this name.
    pub(super) fn referrers_of(&self, database: DatabaseId, name: &str) -> &[Referrer] {
        let found = self.databases.get(&database);
        let found = found.and_then(|database| database.referrers.get(name));
        found.map_or(&[], Vec::as_slice)
    }

    pub(super) fn forget_referrer(&mut self, database: DatabaseId, id: CollectionId) {
        let Some(database) = self.databases.get_mut(&database) else {
            return;
        };
        database.referrers.retain(|_, referrers| {
            referrers.retain(|referrer| referrer.collection != id);
            !referrers.is_empty()
        });
    }

    /// Whether a definition in a database, new or of the collection `id`, and those that refer to it
    /// fit the others.
    pub(crate) fn check_references(
        &self,
        database: DatabaseId,
        id: Option<CollectionId>,
        definition: &Definition,
    ) -> Result<(), Refusal> {
        let bad = |what| Err(Refusal::BadDefinition(what));
        let name = &definition.name;
        for (
            Field {
                name: field, kind, ..
            },
            Reference { collection, .. },
        ) in definition.references()
        {
            let present = self
                .get(database, collection)
                .map(|parent| &parent.definition);
            let Some(parent) = (if collection == name {
                Some(definition)
            } else {
                present
            }) else {
                return bad(format!(
                    "the field {field:?} refers to {collection:?}, and there is no such collection: \
                     create it first"
                ));
            };
            if parent.persistence != definition.persistence {
                return bad(format!(
                    "the field {field:?} refers to {collection:?}: both must be logged, or both volatile"
                ));
            }
            if parent.expires() {
                return bad(format!(
                    "the field {field:?} refers to {collection:?}, whose documents expire"
                ));
            }
            if let Some(key) = parent
                .primary_key
                .as_ref()
                .filter(|key| key.only().is_none())
            {
                return bad(format!(
                    "the field {field:?} refers to {collection:?}, whose primary key has several \
                     fields ({key}): a field can refer to a key of one field only"
                ));
            }
            match parent.id_type() {
                Some(expected) if *kind != expected && *kind != FieldType::Json => {
                    return bad(format!(
                        "the field {field:?} is {kind}, but the ids of {collection:?} are {expected}"
                    ));
                }
                _ => {}
            }
        }
        // Those that refer to it do so by the name that it has now. Its own references are those
        // of the definition.
        let present = id.and_then(|id| self.by_id(id));
        let present = present.map_or(name, |present| &present.definition.name);
        let mut referrers = self.referrers_of(database, present).iter();
        let Some(referrer) = referrers.find(|referrer| Some(referrer.collection) != id) else {
            return Ok(());
        };
        let by = &self.by_id[&referrer.collection].definition.name;
        if definition.expires() {
            return bad(format!(
                "documents of {name:?} cannot expire: {by:?} refers to them by {}",
                referrer.field
            ));
        }
        let before = id
            .and_then(|id| self.by_id(id))
            .map(|old| old.definition.id_type());
        if before.is_some_and(|before| before != definition.id_type()) {
            return bad(format!(
                "the primary key of {name:?} cannot have another type: {by:?} refers to it by {}",
                referrer.field
            ));
        }
        Ok(())
    }

    /// Refuses what would take documents from those who refer to them.
    pub(crate) fn check_unreferenced(&self, collection: &Collection) -> Result<(), Refusal> {
        let name = &collection.definition.name;
        let mut referrers = self.referrers(collection).iter();
        let Some(other) = referrers.find(|referrer| referrer.collection != collection.id) else {
            return Ok(());
        };
        Err(ReferenceError::CollectionReferenced {
            collection: name.clone(),
            by: self.by_id[&other.collection].definition.name.clone(),
            field: other.field.to_string(),
        }
        .into())
    }
}
