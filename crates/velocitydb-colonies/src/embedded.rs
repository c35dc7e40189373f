//! [`Store`] over the embedded library.
//!
//! Rows that are about to be taken are locked as SQL's `FOR UPDATE SKIP LOCKED` locks them, so that
//! callers here and sessions at the PostgreSQL door pass over each other's. The lock only saves work:
//! what decides is the condition under which the change is made.

use std::time::Duration;

use velocitydb::locks::{Locked, Mode, Name, Owner, Wait};
use velocitydb::query::{Filter, Find};
use velocitydb::{
    Batch, Call, ChangeKind, Changes, Collection, Database, Document, Expected, Isolation, Key,
    SequenceDefinition, SequenceError, Swap, Timestamp, Transaction,
};

use crate::error::Error;
use crate::row::Row;
use crate::store::{Change, Follow, Followed, Hold, Steps, Store, Take, Taken, Taker, Work};

impl Store for Database {
    fn now(&self) -> Timestamp {
        Database::now(self)
    }

    fn get(&self, collection: &str, id: &Key) -> Result<Option<Row>, Error> {
        let found = opened(self, collection)?.get_by_key(id)?;
        Ok(found.map(Row::from))
    }

    fn find(&self, collection: &str, find: &Find) -> Result<Vec<Row>, Error> {
        let found = opened(self, collection)?.find(find)?;
        Ok(found.into_iter().map(Row::from).collect())
    }

    fn count(&self, collection: &str, filter: &Filter) -> Result<u64, Error> {
        Ok(opened(self, collection)?.count_where(filter)?)
    }

    fn transact(&self, hold: Hold, work: &mut Work<'_>) -> Result<(), Error> {
        let isolation = match hold {
            Hold::Changed => Isolation::Snapshot,
            Hold::Read => Isolation::Serializable,
        };
        // An error that is not the database's ends it, and is told as it is.
        let mut own = None;
        let done = Database::transact(self, isolation, |transaction| {
            match work(&mut InTransaction(transaction)) {
                Ok(()) => Ok(()),
                Err(Error::Database(error)) => Err(error),
                Err(error) => {
                    own = Some(error);
                    Err(velocitydb::Error::Invalid("given up".into()))
                }
            }
        });
        match (own, done) {
            (Some(error), _) => Err(error),
            (None, done) => Ok(done.map(|_| ())?),
        }
    }

    fn write(&self, changes: Vec<Change<'_>>) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::atomic();
        for change in &changes {
            batch = match change {
                Change::Insert { collection, fields } => batch.insert(collection, fields),
                Change::Update {
                    collection,
                    id,
                    update,
                } => batch.update(collection, id, update.clone()),
                Change::Delete { collection, id } => batch.delete(collection, id),
            };
        }
        self.batch(batch)?;
        Ok(())
    }

    fn take(&self, take: &Take<'_>) -> Result<Taken, Error> {
        let collection = opened(self, take.collection)?;
        let owner = self.locks().owner();
        let mut taken = Taken {
            rows: take.takers.iter().map(|_| Vec::new()).collect(),
            examined: 0,
        };
        loop {
            let chosen = choose(&collection, &owner, take, &mut taken)?;
            let asked = chosen.len();
            let won = swap(self, &collection, take, chosen, &mut taken);
            owner.release_all();
            // Of those that others were faster to change there may be more behind.
            if won? == asked {
                return Ok(taken);
            }
        }
    }

    fn next_number(&self, sequence: &str) -> Result<i64, Error> {
        let refused = |error: SequenceError| Error::Invalid(error.to_string());
        loop {
            if let Some(found) = self.sequence(sequence).map_err(refused)? {
                return found.next().map_err(refused);
            }
            match self.create_sequence(SequenceDefinition::new(sequence)) {
                Ok(_) | Err(SequenceError::Exists(_)) => {}
                Err(error) => return Err(refused(error)),
            }
        }
    }

    fn follow(&self, collection: &str) -> Result<Box<dyn Follow>, Error> {
        let changes = self.collection(collection)?.changes().open()?;
        Ok(Box::new(Followers {
            db: self.clone(),
            collection: collection.to_owned(),
            changes,
        }))
    }
}

/// A handle for a call.
fn opened(db: &Database, collection: &str) -> Result<Collection, velocitydb::Error> {
    db.collection_with(collection, Call::new())
}

/// A document, and the number of the taker that it fits.
type Chosen = (usize, Document);

/// The first documents that fit and that nobody else is about to take, locked.
fn choose(
    collection: &Collection,
    owner: &Owner,
    take: &Take<'_>,
    taken: &mut Taken,
) -> Result<Vec<Chosen>, Error> {
    let (id, _) = collection.defined()?;
    let mut chosen: Vec<Chosen> = Vec::new();
    // Takers that want more, and how many more.
    let wants = |(at, taker): (usize, &&dyn Taker)| (at, taker.most() - taken.rows[at].len());
    let mut open: Vec<(usize, usize)> = take.takers.iter().enumerate().map(wants).collect();
    open.retain(|(_, left)| *left > 0);
    if open.is_empty() {
        return Ok(chosen);
    }
    let mut outcome = Ok(());
    collection.view()?.find_each(&take.find, |document| {
        taken.examined += 1;
        let fields = document.fields();
        let taker = open
            .iter()
            .position(|(at, _)| take.takers[*at].fits(fields));
        let Some(place) = taker else { return true };
        let name = Name::Row {
            collection: id,
            key: document.key_bytes(),
        };
        match owner.lock(name, Mode::NoKeyUpdate, Wait::SkipLocked) {
            Ok(Locked::Granted) => {
                chosen.push((open[place].0, document.clone()));
                open[place].1 -= 1;
                if open[place].1 == 0 {
                    open.remove(place);
                }
            }
            Ok(Locked::Skipped | Locked::Waiting(_)) => {}
            Err(error) => outcome = Err(Error::Invalid(error.to_string())),
        }
        outcome.is_ok() && !open.is_empty()
    })?;
    outcome.map(|()| chosen)
}

/// Changes those that are still as expected; how many.
fn swap(
    db: &Database,
    collection: &Collection,
    take: &Take<'_>,
    chosen: Vec<Chosen>,
    taken: &mut Taken,
) -> Result<usize, Error> {
    let expected = take.expected.iter();
    let expected = expected.map(|(name, value)| ((*name).to_owned(), value.clone()));
    let expected = Expected::Fields(expected.collect());
    let change = |taker: usize, document: &Document| take.takers[taker].change(document.fields());
    if let [(taker, document)] = &chosen[..] {
        let id = document.id();
        let swap = collection.compare_and_swap(&id, &expected, change(*taker, document));
        return match swap {
            Ok(answer) => Ok(match answer.value {
                Swap::Won(document) => {
                    taken.rows[*taker].push(Row::from(document));
                    1
                }
                Swap::Refused { .. } => 0,
            }),
            // It is gone.
            Err(velocitydb::Error::Refused { .. }) => Ok(0),
            Err(error) => Err(error.into()),
        };
    }
    if chosen.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Key> = chosen.iter().map(|(_, document)| document.id()).collect();
    let mut batch = Batch::each();
    for (id, (taker, document)) in ids.iter().zip(&chosen) {
        batch = batch.update_if(take.collection, id, &expected, change(*taker, document))?;
    }
    let mut won = 0;
    for ((taker, _), outcome) in chosen.iter().zip(db.batch(batch)?.value) {
        match outcome {
            Ok(done) => {
                won += 1;
                taken.rows[*taker].extend(done.outcome.document.map(Row::from));
            }
            Err(velocitydb::Error::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(won)
}

struct InTransaction<'t>(&'t mut Transaction);

impl Steps for InTransaction<'_> {
    fn get(&mut self, collection: &str, id: &Key) -> Result<Option<Row>, Error> {
        Ok(self.0.get(collection, id)?.map(Row::from))
    }

    fn find(&mut self, collection: &str, find: &Find) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        self.0.find_each(collection, find, |document| {
            rows.push(Row::from(document.clone()));
            true
        })?;
        Ok(rows)
    }

    fn change(&mut self, change: Change<'_>) -> Result<(), Error> {
        match change {
            Change::Insert { collection, fields } => {
                self.0.insert(collection, fields)?;
            }
            Change::Update {
                collection,
                id,
                update,
            } => {
                self.0.update(collection, &id, update)?;
            }
            Change::Delete { collection, id } => {
                self.0.delete(collection, &id)?;
            }
        }
        Ok(())
    }
}

struct Followers {
    db: Database,
    collection: String,
    changes: Changes,
}

impl Follow for Followers {
    fn next(&mut self, timeout: Duration) -> Result<Followed, Error> {
        match self.changes.next_within(timeout) {
            Ok(None) => Ok(Followed::Nothing),
            Ok(Some(change)) => Ok(match (change.kind, change.after, change.id) {
                (_, Some(row), _) => Followed::Written(Row::from(row)),
                (ChangeKind::Deleted, None, Some(id)) => Followed::Deleted(id),
                _ => Followed::Lost,
            }),
            // It fell behind what is kept.
            Err(velocitydb::Error::PositionGone { .. }) => {
                self.changes = self.db.collection(&self.collection)?.changes().open()?;
                Ok(Followed::Lost)
            }
            Err(error) => Err(error.into()),
        }
    }
}
