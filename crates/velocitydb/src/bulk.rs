//! Many new documents of one collection, in one entry of the log.

use velocitydb_engine::Error;
use velocitydb_engine::command::{Change, Command, Condition, Mode, Operation, Refusal, Write};
use velocitydb_types::Fields;

use crate::batch::refused;
use crate::collection::Collection;
use crate::database::Answer;
use crate::input::{Input, resolve};

impl Collection {
    /// Inserts documents with new ids, or those in their primary keys: all or none. As
    /// [`crate::Batch::insert`] of each, with less to keep of them; the answer is how many there were.
    ///
    /// # Errors
    /// The first document that is refused, by its place among them.
    pub fn insert_all(&self, documents: &[Fields]) -> Result<Answer<u64>, Error> {
        let (inner, call) = (self.inner(), self.call());
        if call.idempotency.is_some() {
            let what = "an idempotency key is not for documents that are inserted together";
            return Err(Error::Invalid(what.into()));
        }
        let inputs: Vec<Input<'_>> = documents.iter().map(Input::from).collect();
        loop {
            let now = inner.begin(call)?;
            let catalog = inner.engine.catalog();
            let runtime = catalog.get(self.name());
            let runtime =
                runtime.ok_or_else(|| Error::UnknownCollection(self.name().to_owned()))?;
            let expires = call.expires.at(now);
            let mut operations = Vec::with_capacity(documents.len());
            for (at, input) in inputs.iter().enumerate() {
                let resolved = resolve(runtime, input, None, now, &inner.random);
                let (key, fields) = resolved.map_err(|error| match error {
                    Error::Refused { refusal, .. } => refused(at, refusal),
                    error => error,
                })?;
                operations.push(Operation {
                    collection: runtime.id,
                    key: key.into_owned().into_bytes().into_vec().into(),
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
