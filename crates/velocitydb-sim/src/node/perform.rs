//! Does operations on the database and on the oracle, and judges the answers.

use velocitydb::{Database, Durability, Error, Isolation, Timestamp};

use super::{Held, Moment, Node, SNAPSHOT_KEPT};
use crate::ask::{self, Reply};
use crate::model::{Attempt, Code, Done, Model};
use crate::operation::{Operation, Request, Retry, TransactionStep};

impl Node {
    /// Does one operation.
    ///
    /// # Errors
    /// Those of a planned fault. A refusal is an answer.
    ///
    /// # Panics
    /// When the database does not answer as the oracle does.
    pub fn perform(&mut self, operation: &Operation) -> Result<(), Error> {
        let database = self
            .database
            .clone()
            .expect("an open database is given operations");
        let now = self.now();
        match operation {
            Operation::Write(request) => self.write(&database, request),
            Operation::Transact {
                isolation,
                steps,
                meanwhile,
                retry,
                level,
            } => {
                let call = ask::call(*level, retry.as_ref());
                self.transact(
                    &database,
                    *isolation,
                    steps,
                    meanwhile,
                    retry.as_ref(),
                    &call,
                )
            }
            Operation::Create(name, level) => {
                let reply = ask::create(&database, name, *level);
                self.define(operation, reply, |model| model.create(name, now))
            }
            Operation::Drop(name) => {
                let reply = ask::drop_collection(&database, name);
                self.define(operation, reply, |model| model.drop_collection(name, now))
            }
            Operation::Truncate(name, level) => {
                let reply = ask::truncate(&database, name, *level);
                self.define(operation, reply, |model| model.truncate(name, now))
            }
            Operation::CreateIndex {
                collection,
                index,
                field,
                level,
            } => {
                let reply = ask::create_index(&database, collection, index, field, *level);
                self.define(operation, reply, |model| {
                    model.create_index(collection, index, field, now)
                })
            }
            Operation::DropIndex {
                collection,
                index,
                level,
            } => {
                let reply = ask::drop_index(&database, collection, index, *level);
                self.define(operation, reply, |model| {
                    model.drop_index(collection, index, now)
                })
            }
            Operation::Checkpoint => {
                let index = self.work("checkpoint", database.checkpoint())?;
                assert_eq!(
                    index, self.model.index,
                    "a checkpoint is of the newest state"
                );
                self.durable();
                Ok(())
            }
            Operation::Tend => {
                for held in &mut self.held {
                    held.given_up |= held.deadline <= now;
                }
                let entries = database.stats().entries;
                let tended = self.work("tend", database.tend()).map(|_| ());
                let ticked = database.stats().entries > entries;
                let mut next = self.model.clone();
                assert!(
                    next.tick(now) == ticked || tended.is_err(),
                    "log time goes on when something has expired, and only then"
                );
                if ticked {
                    self.adopt(next, &database);
                }
                tended
            }
            Operation::Sync => {
                self.work("sync", database.sync())?;
                self.durable();
                Ok(())
            }
            Operation::Hold => {
                let view = database.snapshot();
                let deadline = Timestamp(now.0 + SNAPSHOT_KEPT.as_micros() as i64);
                let model = self.visible().clone();
                assert_eq!(
                    view.index(),
                    model.index,
                    "a snapshot is of the visible state"
                );
                self.note(format!("hold {}", view.index()));
                self.held.push(Held {
                    view,
                    model,
                    deadline,
                    given_up: false,
                });
                Ok(())
            }
            Operation::Release(at) => {
                if !self.held.is_empty() {
                    self.release(at % self.held.len());
                }
                Ok(())
            }
            Operation::Clock(micros) => {
                self.clock.advance(*micros);
                self.note(format!("clock {micros}"));
                Ok(())
            }
        }
    }

    /// Background work and the like, which answers no client.
    fn work<T: std::fmt::Debug>(&mut self, what: &str, done: Result<T, Error>) -> Result<T, Error> {
        self.note(format!("{what}: {done:?}"));
        if let Err(error) = &done {
            self.tolerate(error);
        }
        done
    }

    fn write(&mut self, database: &Database, request: &Request) -> Result<(), Error> {
        let reply = ask::write(database, request);
        let ids = reply
            .as_ref()
            .map(|reply| reply.ids.clone())
            .unwrap_or_default();
        let (mut next, now) = (self.model.clone(), self.now());
        let expected = next.write(request, &ids, now);
        self.judge(&format!("{request:?}"), reply, expected, next)
    }

    fn define(
        &mut self,
        operation: &Operation,
        reply: Result<Reply, Error>,
        define: impl FnOnce(&mut Model) -> Result<Done, Code>,
    ) -> Result<(), Error> {
        let mut next = self.model.clone();
        let expected = define(&mut next);
        self.judge(&format!("{operation:?}"), reply, expected, next)
    }

    fn transact(
        &mut self,
        database: &Database,
        isolation: Isolation,
        steps: &[TransactionStep],
        meanwhile: &[Operation],
        retry: Option<&Retry>,
        call: &velocitydb::Call,
    ) -> Result<(), Error> {
        let mut transaction = database.begin(isolation);
        let mut attempt = Attempt::new(self.visible().clone(), isolation);
        let mut savepoints = Vec::new();
        for step in steps {
            let seen = ask::transaction_step(&mut transaction, step, &mut savepoints);
            assert_eq!(seen, attempt.step(step), "{step:?} in a transaction");
        }
        for other in meanwhile {
            // What it failed with concerns the commit as well.
            let _ = self.perform(other);
        }
        let reply = transaction
            .commit_with(call)
            .map(|answer| Reply::of(&answer));
        let (mut next, now) = (self.model.clone(), self.now());
        let expected = next.commit(&attempt, retry, now);
        if matches!(expected, Err("conflict" | "definition_changed")) {
            self.counts.conflicts += 1;
        }
        self.judge(
            &format!("{isolation:?} {steps:?} {retry:?}"),
            reply,
            expected,
            next,
        )
    }

    /// Compares the answers; what the oracle would be after the operation is `next`.
    fn judge(
        &mut self,
        what: &str,
        reply: Result<Reply, Error>,
        expected: Result<Done, Code>,
        next: Model,
    ) -> Result<(), Error> {
        self.note(format!("{what} -> {reply:?}"));
        let database = self.database.clone().expect("it has just answered");
        match (reply, expected) {
            (Err(error), _) if self.broken => Err(error),
            (Ok(reply), Ok(done)) => {
                assert!(
                    !(self.broken && done.changed),
                    "{what} is acknowledged after a failure"
                );
                assert_eq!(reply.outcomes, done.outcomes, "outcomes of {what}");
                assert_eq!(reply.repeated, done.repeated, "whether {what} is repeated");
                if done.repeated || done.changed {
                    assert_eq!(reply.at, done.at, "index and time of {what}");
                    self.counts.acknowledged += u64::from(done.changed);
                    self.counts.repeated += u64::from(done.repeated);
                }
                if done.changed {
                    self.adopt(next, &database);
                }
                if done.repeated || done.changed {
                    self.promise(done.at.0, reply.durability);
                }
                Ok(())
            }
            (Err(error), Err(code)) if error.code().0 == code => {
                self.counts.refused += 1;
                Ok(())
            }
            (Err(error), expected) if ask::is_refusal(&error) => {
                panic!("{what} is refused: {error}\nexpected {expected:?}")
            }
            (Err(error), expected) => {
                self.tolerate(&error);
                if matches!(error, Error::OutcomeUnknown { .. })
                    && expected.is_ok_and(|d| d.changed)
                {
                    // It may be there after a restart, and is not visible until then.
                    self.adopt(next, &database);
                }
                Err(error)
            }
            (Ok(reply), Err(code)) => panic!("{what} answers {reply:?}\nexpected {code}"),
        }
    }

    fn adopt(&mut self, next: Model, database: &Database) {
        let digest = database.digest();
        self.trace_hash.update(&digest.to_le_bytes());
        self.model = next;
        let moment = Moment {
            model: self.model.clone(),
            digest: Some(digest),
        };
        self.moments.insert(self.model.index, moment);
    }

    /// A change was acknowledged at a level: what that survives must not take it back.
    fn promise(&mut self, index: u64, level: Durability) {
        if level >= Durability::Os {
            self.written = self.written.max(index);
        }
        if level == Durability::Full {
            self.synced = self.synced.max(index);
        }
    }
}
