//! Many new documents of one collection, in one entry of the log. Tests: tests/it/batches.rs.

use std::borrow::Cow;

use velocitydb_engine::Error;
use velocitydb_engine::catalog::CollectionId;
use velocitydb_engine::command::{Change, Command, Condition, Mode, Operation, Refusal, Write};
use velocitydb_types::Fields;

use crate::batch::refused;
use crate::collection::Collection;
use crate::database::Answer;
use crate::input::{key_of, resolve_fields};

impl Collection {
    /// Inserts documents with new ids, or those in their primary keys: all or none. As
    /// [`crate::Batch::insert`] of each, with less to keep of them; the answer is how many there were.
    ///
    /// # Errors
    /// The first document that is refused, by its place among them.
    pub fn insert_all(&self, documents: &[Fields]) -> Result<Answer<u64>, Error> {
        self.insert_checked(documents, None)
    }

    /// As [`Collection::insert_all`] of documents that are known to fit a definition
    /// ([`Collection::defined`]), with all of its defaults: they are looked at again only when the
    /// collection was defined anew since.
    ///
    /// # Errors
    /// As there.
    pub fn insert_checked(
        &self,
        documents: &[Fields],
        checked: Option<(CollectionId, u64)>,
    ) -> Result<Answer<u64>, Error> {
        let (inner, call) = (self.inner(), self.call());
        if call.idempotency.is_some() {
            let what = "an idempotency key is not for documents that are inserted together";
            return Err(Error::Invalid(what.into()));
        }
        loop {
            let now = inner.begin(call)?;
            let catalog = inner.engine.catalog();
            let runtime = inner.find(&catalog, self.name())?;
            let expires = call.expires.at(now);
            let mut operations = Vec::with_capacity(documents.len());
            let is_checked = checked == Some((runtime.id, runtime.defined_at));
            for (at, document) in documents.iter().enumerate() {
                let resolve = || resolve_fields(runtime, document, now, &inner.random);
                let fields = match is_checked {
                    true => {
                        debug_assert!(
                            matches!(resolve(), Ok(Cow::Borrowed(_))),
                            "it fits: {document:?}"
                        );
                        Ok(Cow::Borrowed(document.as_bytes()))
                    }
                    false => resolve(),
                };
                let fields = fields.map_err(|error| match error {
                    Error::Refused { refusal, .. } => refused(at, refusal),
                    error => error,
                })?;
                let key = key_of(runtime, &fields, now, &inner.random)?;
                operations.push(Operation {
                    collection: runtime.id,
                    key: key.into_bytes().into_vec().into(),
                    condition: Condition::Absent,
                    change: Change::Put(fields),
                    expires,
                });
            }

            let write = Write {
                mode: Mode::Atomic,
                resolved_at: catalog.changed_at(),
                operations: operations.into(),
                retry: None,
            };
            let command = Command::Write(write);
            match inner.engine.propose(now, &command, call.durability) {
                Err(Error::Refused {
                    refusal: Refusal::DefinitionChanged | Refusal::UnknownCollection(_),
                    ..
                }) => {}
                written => {
                    let count = documents.len() as u64;
                    return written.map(|written| Answer::of(count, &written, call));
                }
            }
        }
    }
}
