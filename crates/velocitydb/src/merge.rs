//! `$merge`: the rows of a pipeline go into a collection, each by itself.
//!
//! What becomes of a row depends on the document of its id, so it is decided twice by the same
//! rules: for all rows before anything is written, so that what is wrong with one changes nothing,
//! and again for each batch. A batch names the version of each document that it replaces; where
//! another writer came between, it is decided anew. Tests: `merges` in tests/it.

use std::borrow::Cow;
use std::sync::Arc;

use velocitydb_engine::catalog::Collection as Runtime;
use velocitydb_engine::command::Refusal;
use velocitydb_engine::{Document, Durability, Error};
use velocitydb_query::{Aggregated, Merge, WhenMatched, WhenNotMatched};
use velocitydb_types::{Fields, Key, Timestamp};

use crate::aggregate::{BATCH_BYTES, BATCH_ROWS, Seen};
use crate::batch::{Batch, refused};
use crate::collection::Collection;
use crate::database::{Answer, Database};
use crate::input::Input;
use crate::options::Expiry;

/// How often a batch is decided, when others write the same documents.
const ATTEMPTS_MAX: usize = 100;

/// A row: its id, if it has one, and the rest of it.
type Row = (Option<Key>, Fields);

/// What becomes of a row.
enum Decided<'r> {
    Insert,
    Put(Put<'r>),
    Leave,
}

/// What takes the place of a document.
struct Put<'r> {
    id: Key,
    /// When it was last changed.
    index: u64,
    fields: Cow<'r, Fields>,
    expires: Expiry,
}

/// How many rows …
#[derive(Clone, Copy, Default)]
struct Counts {
    inserted: u64,
    put: u64,
    left: u64,
}

/// A collection that rows are merged into.
struct Target<'c> {
    merge: &'c Merge,
    collection: Collection,
    runtime: Arc<Runtime>,
    now: Timestamp,
    expires: Expiry,
}

impl Target<'_> {
    /// The id of a row: its own, or the one in its primary key. A row that has none gets a new one.
    fn id(&self, at: usize, (id, fields): &Row) -> Result<Option<Key>, Error> {
        let definition = &self.runtime.definition;
        let (None, Some(primary_key)) = (id, &definition.primary_key) else {
            return Ok(id.clone());
        };
        let value = |name: &str| {
            let value = fields.as_raw().get(name).map(|value| value.to_value());
            let value = value.unwrap_or_default();
            let declared = definition.schema.field(name);
            match declared {
                Some(declared) => declared.kind.coerce(value),
                None => value,
            }
        };
        let names = primary_key.fields();
        if names.iter().any(|name| value(name).is_null()) {
            return Ok(None);
        }
        let key = primary_key.key(value);
        key.map(Some)
            .map_err(|what| Error::Invalid(format!("$merge: row {at}: {what}")))
    }

    /// What becomes of a row of this id now.
    fn decide<'r>(
        &self,
        at: usize,
        id: Option<Key>,
        fields: &'r Fields,
    ) -> Result<Decided<'r>, Error> {
        let found = match &id {
            Some(id) => self.collection.get_by_key(id)?,
            None => None,
        };
        let (Some(id), Some(document)) = (id, found) else {
            return match self.merge.unmatched {
                WhenNotMatched::Insert => Ok(Decided::Insert),
                WhenNotMatched::Discard => Ok(Decided::Leave),
                WhenNotMatched::Fail => Err(refused(at, Refusal::NotFound)),
            };
        };
        let (fields, expires) = match self.merge.matched {
            WhenMatched::KeepExisting => return Ok(Decided::Leave),
            WhenMatched::Fail => return Err(refused(at, Refusal::AlreadyExists(document))),
            WhenMatched::Replace => (Cow::Borrowed(fields), self.expires),
            WhenMatched::Merge => {
                let merged = merged(at, &document, fields)?;
                (Cow::Owned(merged), self.kept_expiry(&document))
            }
        };
        let index = document.meta().index;
        Ok(Decided::Put(Put {
            id,
            index,
            fields,
            expires,
        }))
    }

    /// When a document expires whose fields are changed: as with an update, when it did before,
    /// unless the call or the collection says otherwise.
    fn kept_expiry(&self, document: &Document) -> Expiry {
        match (self.expires, &self.runtime.definition.ttl) {
            (Expiry::Default, None) => {
                let own = self.runtime.own_expiry(document);
                own.map_or(Expiry::Default, Expiry::At)
            }
            (said, _) => said,
        }
    }
}

/// The document with the fields of a row.
fn merged(at: usize, document: &Document, fields: &Fields) -> Result<Fields, Error> {
    let mut map = document.fields().to_map();
    map.extend(fields.as_raw().to_map());
    let merged = Fields::from_map(&map);
    merged.map_err(|error| Error::Invalid(format!("$merge: row {at}: {error}")))
}

impl Collection {
    /// Merges rows, made of the state at a log index, into a collection; the answer says what became
    /// of them.
    pub(crate) fn merge(
        &self,
        merge: &Merge,
        rows: &[Row],
        index: u64,
    ) -> Result<Answer<Aggregated>, Error> {
        self.judge_merge(merge, rows)?;
        let db = Database(self.inner());
        let mut counts = Counts::default();
        // Nothing is to be made durable, unless something is written.
        let mut last = Answer {
            value: (),
            index,
            time: db.now(),
            consistency: self.call().consistency,
            durability: self.call().durability.unwrap_or(Durability::Full),
            repeated: false,
        };
        match db.collection(&merge.into) {
            Ok(_) => {}
            Err(Error::UnknownCollection(_)) if merge.unmatched == WhenNotMatched::Insert => {
                let definition = crate::Definition::new(&merge.into);
                db.create_collection_with(definition, self.call())?;
            }
            // Nothing matches what is not there.
            Err(Error::UnknownCollection(_)) => {
                counts.left = rows.len() as u64;
                return Ok(last.map(|()| answer(merge, counts)));
            }
            Err(error) => return Err(error),
        }
        let mut done = 0;
        while done < rows.len() {
            let mut attempt = 1;
            let (count, batch) = loop {
                match self.merge_batch(&db, merge, rows, done, &mut last) {
                    Err(Error::Refused { refusal, .. })
                        if attempt < ATTEMPTS_MAX && is_overtaken(merge, &refusal) =>
                    {
                        attempt += 1;
                    }
                    result => break result?,
                }
            };
            done += count;
            counts.inserted += batch.inserted;
            counts.put += batch.put;
            counts.left += batch.left;
        }
        Ok(last.map(|()| answer(merge, counts)))
    }

    fn target<'c>(&self, merge: &'c Merge) -> Result<Target<'c>, Error> {
        let inner = self.inner();
        Ok(Target {
            merge,
            collection: Database(self.inner()).collection(&merge.into)?,
            runtime: inner.runtime(&merge.into)?,
            now: inner.begin(self.call())?,
            expires: self.call().expires,
        })
    }

    /// Refuses rows that would be refused now, and two of one id.
    fn judge_merge(&self, merge: &Merge, rows: &[Row]) -> Result<(), Error> {
        let target = match self.target(merge) {
            Ok(target) => Some(target),
            Err(Error::UnknownCollection(_)) => None,
            Err(error) => return Err(error),
        };
        let mut seen = Seen::new("$merge");
        for (at, row) in rows.iter().enumerate() {
            let id = match &target {
                None if merge.unmatched == WhenNotMatched::Fail => {
                    return Err(refused(at, Refusal::NotFound));
                }
                None => row.0.clone(),
                Some(target) => {
                    let id = target.id(at, row)?;
                    let fits = |id: Option<&Key>, fields| {
                        self.fits(&target.runtime, at, id, fields, target.now)
                    };
                    match target.decide(at, id.clone(), &row.1)? {
                        Decided::Insert => drop(fits(id.as_ref(), &row.1)?),
                        Decided::Put(put) => drop(fits(Some(&put.id), &put.fields)?),
                        Decided::Leave => {}
                    }
                    id
                }
            };
            seen.take(at, id)?;
        }
        Ok(())
    }

    /// Decides and writes rows from here on, as many as a batch has; the answer is how many.
    fn merge_batch(
        &self,
        db: &Database,
        merge: &Merge,
        rows: &[Row],
        from: usize,
        last: &mut Answer<()>,
    ) -> Result<(usize, Counts), Error> {
        let target = self.target(merge)?;
        let mut batch = Batch::atomic();
        let (mut counts, mut bytes, mut written) = (Counts::default(), 0, Vec::new());
        let mut done = 0;
        for (at, row) in rows.iter().enumerate().skip(from) {
            if done == BATCH_ROWS || bytes >= BATCH_BYTES {
                break;
            }
            done += 1;
            let id = target.id(at, row)?;
            let name = merge.into.as_str();
            batch = match target.decide(at, id, &row.1)? {
                Decided::Leave => {
                    counts.left += 1;
                    continue;
                }
                Decided::Insert => {
                    counts.inserted += 1;
                    bytes += row.1.as_bytes().len();
                    batch = batch.expires(target.expires);
                    match &row.0 {
                        Some(id) => batch.insert_with_id(name, id, &row.1),
                        None => batch.insert(name, &row.1),
                    }
                }
                Decided::Put(put) => {
                    counts.put += 1;
                    bytes += put.fields.as_bytes().len();
                    let batch = batch.expires(put.expires);
                    batch.replace_at(name, put.id, put.index, Input::Fields(put.fields))
                }
            };
            written.push(at);
        }
        if batch.is_empty() {
            return Ok((done, counts));
        }
        match db.batch_with(batch, self.call()) {
            Ok(answer) => {
                *last = answer.map(|_| ());
                Ok((done, counts))
            }
            Err(Error::Refused { operation, refusal }) => {
                // Not every row is an operation.
                let at = written.get(operation).copied().unwrap_or(from);
                Err(refused(at, refusal))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a batch was refused for what another writer did after it was decided.
fn is_overtaken(merge: &Merge, refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Conflict | Refusal::DefinitionChanged => true,
        Refusal::AlreadyExists(_) => merge.matched != WhenMatched::Fail,
        _ => false,
    }
}

fn answer(merge: &Merge, counts: Counts) -> Aggregated {
    let (replaced, merged) = match merge.matched {
        WhenMatched::Merge => (0, counts.put),
        _ => (counts.put, 0),
    };
    let counts = [
        ("inserted", counts.inserted),
        ("replaced", replaced),
        ("merged", merged),
        ("left", counts.left),
    ];
    let named = counts.map(|(name, count)| (name.to_owned(), count.into()));
    Aggregated::from(named)
}
