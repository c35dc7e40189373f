//! What every door shows and takes alike: a document's metadata, a collection with what it holds,
//! an alteration.
//!
//! Tests: those of the doors (velocitydb-server, velocitydb-shell, velocitydb-import).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use velocitydb_engine::Error;
use velocitydb_engine::catalog::{Alteration, Definition};
use velocitydb_types::Value;

use crate::collection::{Collection, CollectionStats};

/// What a document that is shown has beside its fields, in the order in which it is written.
pub const METADATA: [&str; 6] = [
    "_id",
    "_version",
    "_index",
    "_created_at",
    "_updated_at",
    "_expires_at",
];

/// Takes the metadata out of a document that was shown: it is the database's to say. The answer
/// is the `_id`.
pub fn take_metadata(document: &mut BTreeMap<String, Value>) -> Option<Value> {
    let [id, rest @ ..] = METADATA;
    for name in rest {
        document.remove(name);
    }
    document.remove(id)
}

/// An alteration as clients write it: without the moment, which is not theirs to say.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an alteration, an object")]
pub struct AskedAlteration {
    /// See [`Alteration::definition`].
    pub definition: Definition,
    /// See [`Alteration::rename`].
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// See [`Alteration::drop`].
    #[serde(default)]
    pub drop: Vec<String>,
}

impl From<AskedAlteration> for Alteration {
    fn from(asked: AskedAlteration) -> Alteration {
        Alteration {
            rename: asked.rename,
            drop: asked.drop,
            ..Alteration::to(asked.definition)
        }
    }
}

/// A collection as it is shown: its definition with what it holds and takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Described {
    /// What it is.
    #[serde(flatten)]
    pub definition: Definition,
    /// How many documents it has.
    pub documents: u64,
    /// What it takes from memory.
    pub bytes: DescribedBytes,
}

/// What a collection takes from memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DescribedBytes {
    /// Everything together.
    pub total: usize,
    /// All versions of all documents.
    pub documents: usize,
    /// The part of `documents` that only snapshots or running readers still see.
    pub old_versions: usize,
    /// The primary key's index and the row table.
    pub primary: usize,
    /// Unique indexes.
    pub indexes: usize,
}

impl Collection {
    /// The collection as it is shown.
    pub fn describe(&self) -> Result<Described, Error> {
        let CollectionStats { documents, bytes } = self.stats()?;
        Ok(Described {
            definition: self.definition()?,
            documents,
            bytes: DescribedBytes {
                total: bytes.total(),
                documents: bytes.documents,
                old_versions: bytes.old_versions,
                primary: bytes.primary,
                indexes: bytes.indexes,
            },
        })
    }
}
