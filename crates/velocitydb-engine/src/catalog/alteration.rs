//! Another definition for a collection, as it is asked for. What it does to documents is in
//! [`crate::alter`], what to others by name in [`crate::define`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use velocitydb_types::{Migration, Timestamp};

use super::{Definition, PrimaryKey};
use crate::command::Refusal;

/// Another definition for a collection, and what it cannot say by itself. Its documents are
/// brought to it in one step: readers see all of them as they were, or all as they are then.
/// Their versions, indexes and times stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an alteration, an object")]
pub struct Alteration {
    /// What it shall be. Kind, persistence and primary key stay. By another name the collection is
    /// renamed: those that refer to it follow, itself among them.
    pub definition: Definition,
    /// Declared fields that have another name now: the old name, the new name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Declared fields that go, with their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// The moment that new fields get whose default is it. Set by who proposes it.
    #[serde(default)]
    pub at: Timestamp,
    /// Sequences whose column is called otherwise then: name, and definition. Set by who proposes
    /// it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<String, String>,
}

impl Alteration {
    /// To this definition, without renames and drops.
    pub fn to(definition: Definition) -> Alteration {
        Alteration {
            definition,
            rename: BTreeMap::new(),
            drop: Vec::new(),
            at: Timestamp::default(),
            sequences: BTreeMap::new(),
        }
    }

    /// The same; a declared field gets another name.
    #[must_use]
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Alteration {
        self.rename.insert(from.into(), to.into());
        self
    }

    /// The same; a declared field goes, with its values.
    #[must_use]
    pub fn drop(mut self, field: impl Into<String>) -> Alteration {
        self.drop.push(field.into());
        self
    }

    /// What it makes of a collection: the definition, in which own references have the new name.
    pub(crate) fn result(&self, present: &Definition) -> Definition {
        let new = self.definition.clone();
        let name = new.name.clone();
        new.with_references_renamed(&present.name, &name)
    }

    /// Whether documents and indexes are then as they are: only names of collections, defaults and
    /// comments differ.
    pub(crate) fn leaves_documents(&self, present: &Definition) -> bool {
        let name = &self.definition.name;
        let renamed = present.clone().with_references_renamed(&present.name, name);
        let renamed = Definition {
            name: name.clone(),
            ..renamed
        };
        self.rename.is_empty()
            && self.drop.is_empty()
            && self.result(present).bare() == renamed.bare()
    }

    /// How it brings documents from the present definition to the new one.
    pub(crate) fn migration(&self, present: &Definition) -> Result<Migration<'_>, Refusal> {
        let new = &self.definition;
        let stays = [
            ("kind", new.kind == present.kind),
            ("persistence", new.persistence == present.persistence),
            ("primary key", new.primary_key == present.primary_key),
        ];
        if let Some((what, _)) = stays.iter().find(|(_, same)| !same) {
            return Err(Refusal::BadDefinition(format!(
                "the {what} of a collection cannot be altered"
            )));
        }
        let moved =
            |name: &str| self.rename.contains_key(name) || self.drop.iter().any(|d| d == name);
        let mut key_fields = present.primary_key.iter().flat_map(PrimaryKey::fields);
        if let Some(name) = key_fields.find(|name| moved(name)) {
            return Err(Refusal::BadDefinition(format!(
                "the primary key field {name:?} cannot be renamed or dropped"
            )));
        }
        new.check()?;
        Migration::new(&present.schema, &new.schema, &self.rename, &self.drop)
            .map_err(|error| Refusal::BadDefinition(error.to_string()))
    }
}
