//! When documents expire: as the write says, by the rule of their collection, and by the retention
//! of a time-series index, whichever comes first.
//!
//! The documents of a partition expire at one moment. It is a function of the definition and the
//! document, so that it can be told from what a write said: with another definition the documents
//! get what follows from that ([`Collection::expiry`]).
//!
//! Tests: `expiry` and `retention` in the embedded library's tests/it.

use serde::{Deserialize, Serialize};
use velocitydb_types::{Path, RawMap, Timestamp};

use super::{Collection, IndexDefinition};
use crate::command::{Expires, Refusal};
use crate::store::Document;

/// When the documents of a collection expire: some seconds after their last change, or after
/// the time in a field (never, while it holds none).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a time to live, an object")]
pub struct TimeToLive {
    /// How many seconds after it.
    pub seconds: u32,
    /// The field of type time, if the time is not that of the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Path>,
}

impl TimeToLive {
    /// When a document with these fields that is written at `time` expires.
    pub(crate) fn expires_at(&self, fields: RawMap<'_>, time: Timestamp) -> Option<Timestamp> {
        let from = match &self.field {
            None => time,
            Some(field) => fields.get_path(field)?.as_time()?,
        };
        let after = i64::from(self.seconds) * 1_000_000;
        Some(Timestamp(from.0.saturating_add(after)))
    }
}

impl Collection {
    /// When a version expires for reasons other than the retention.
    pub fn own_expiry(&self, version: &Document) -> Option<Timestamp> {
        let retention = self.retention.as_ref();
        let by_retention = retention.and_then(|index| index.expiry_for(version.fields()));
        version.expires_at().filter(|at| Some(*at) != by_retention)
    }

    /// When a version of this collection expires as one with these fields under the retention of
    /// another definition.
    pub(crate) fn expiry(
        &self,
        version: &Document,
        fields: RawMap<'_>,
        retention: Option<&IndexDefinition>,
    ) -> Option<Timestamp> {
        let by_retention = retention.and_then(|index| index.expiry_for(fields));
        earlier(self.own_expiry(version), by_retention)
    }

    /// Until when the retention keeps a document with these fields that is written at `time`.
    ///
    /// # Errors
    /// [`Refusal::BeyondRetention`]: not at all.
    pub fn kept_until(
        &self,
        fields: RawMap<'_>,
        time: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let Some(index) = &self.retention else {
            return Ok(None);
        };
        match index.expiry_for(fields) {
            Some(kept) if kept <= time => Err(beyond(index, fields, time)),
            kept => Ok(kept),
        }
    }
}

impl Expires {
    /// Of a patch that says nothing: what the document had, unless its collection has a rule.
    pub(crate) fn kept(collection: &Collection, live: &Document) -> Expires {
        match (&collection.definition.ttl, collection.own_expiry(live)) {
            (None, Some(at)) => Expires::At(at.0),
            _ => Expires::Default,
        }
    }

    /// The moment for a document with these fields that is written at `time`. Refused: one that the
    /// retention would not keep, unless the write itself says that it has expired.
    pub(crate) fn at(
        self,
        collection: &Collection,
        fields: RawMap<'_>,
        time: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let said = match (self, &collection.definition.ttl) {
            (Expires::At(at), _) => Some(Timestamp(at)),
            (Expires::Default, Some(ttl)) => ttl.expires_at(fields, time),
            (Expires::Default, None) | (Expires::Never, _) => None,
        };
        match self {
            // A document that was exported before it expired, say.
            Expires::At(at) if at <= time.0 => Ok(said),
            _ => Ok(earlier(said, collection.kept_until(fields, time)?)),
        }
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

fn beyond(index: &IndexDefinition, fields: RawMap<'_>, now: Timestamp) -> Refusal {
    let (path, retention) = (&index.fields[0].path, index.retention.unwrap_or_default());
    let oldest = index.partition_of(Timestamp(now.0.saturating_sub(retention.0 as i64)));
    Refusal::BeyondRetention {
        index: index.name.clone(),
        retention,
        found: fields
            .get_path(path)
            .map_or_else(String::new, |time| time.to_json()),
        oldest: oldest.start,
    }
}
