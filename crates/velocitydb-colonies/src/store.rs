//! What the adapter needs of a database, and no more: [`Store`].
//!
//! It is implemented for the embedded library in `embedded`. Whoever implements it for something else
//! has seven things to do; nothing of the engine is among them, only what data is (ids, fields,
//! filters).

use std::time::Duration;

use velocitydb::query::{Filter, Find};
use velocitydb::{Fields, Key, RawMap, Timestamp, Update, Value};

use crate::error::Error;
pub use crate::row::Row;

/// A database, as the adapter sees it. Collections are named with their prefix.
pub trait Store: Send + Sync + 'static {
    /// The present time, by which what is written is dated.
    fn now(&self) -> Timestamp;

    /// The row of this id.
    ///
    /// # Errors
    /// There is no such collection; the database cannot answer.
    fn get(&self, collection: &str, id: &Key) -> Result<Option<Row>, Error>;

    /// The rows that `find` describes, in its order.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn find(&self, collection: &str, find: &Find) -> Result<Vec<Row>, Error>;

    /// How many rows a filter lets through.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn count(&self, collection: &str, filter: &Filter) -> Result<u64, Error>;

    /// Runs `work`, whose changes happen all at once or not at all, again when another was faster.
    /// It reads one state, and what it changes is still as it was read when the changes happen.
    ///
    /// # Errors
    /// The one of `work`, which is not run again then; or that of the database.
    fn transact(&self, hold: Hold, work: &mut Work<'_>) -> Result<(), Error>;

    /// Makes changes all at once or not at all, whatever is there.
    ///
    /// # Errors
    /// One was refused: a key that is taken is [`velocitydb::Error::Refused`].
    fn write(&self, changes: Vec<Change<'_>>) -> Result<(), Error>;

    /// Takes rows for several takers at once: each gets the first rows that fit it and that no one before
    /// it gets. A row is changed as its taker says, if it is still as expected, and answered as it is then.
    /// Of callers at the same time none gets a row that another gets, and none waits for another: it goes
    /// on to the next row.
    ///
    /// # Errors
    /// As [`Store::get`]. Some rows may have been taken then.
    fn take(&self, take: &Take<'_>) -> Result<Taken, Error>;

    /// The next number of a sequence, never given twice; the sequence is made if there is none.
    ///
    /// # Errors
    /// The database cannot write.
    fn next_number(&self, sequence: &str) -> Result<i64, Error>;

    /// Follows what is written to a collection from now on.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn follow(&self, collection: &str) -> Result<Box<dyn Follow>, Error>;
}

/// What else is as it was read when the changes of a transaction happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    Changed,
    /// All that it has read by id; and of a collection in which it has found rows, everything.
    Read,
}

/// What [`Store::transact`] runs.
pub type Work<'w> = dyn FnMut(&mut dyn Steps) -> Result<(), Error> + 'w;

/// The steps of a transaction. It sees its own changes.
pub trait Steps {
    /// The row of this id.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn get(&mut self, collection: &str, id: &Key) -> Result<Option<Row>, Error>;

    /// The rows that `find` describes.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn find(&mut self, collection: &str, find: &Find) -> Result<Vec<Row>, Error>;

    /// Makes a change.
    ///
    /// # Errors
    /// It is refused.
    fn change(&mut self, change: Change<'_>) -> Result<(), Error>;
}

/// A change of one row.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change<'a> {
    /// A new row, under the id in its primary key or one of its own. Refused when there is one.
    Insert {
        /// The collection.
        collection: &'a str,
        /// The row.
        fields: Fields,
    },
    /// Changes of fields of a row that is there.
    Update {
        /// The collection.
        collection: &'a str,
        /// The row's id.
        id: Key,
        /// The changes.
        update: Update,
    },
    /// The end of a row that is there.
    Delete {
        /// The collection.
        collection: &'a str,
        /// The row's id.
        id: Key,
    },
}

/// What [`Store::take`] takes.
pub struct Take<'a> {
    /// The collection.
    pub collection: &'a str,
    /// The rows from which they are taken, in order, by an index that has them in this order.
    pub find: Find,
    /// What a row must still be when it is changed.
    pub expected: &'a [(&'static str, Value)],
    /// Who takes.
    pub takers: &'a [&'a dyn Taker],
}

/// Somebody who takes rows.
pub trait Taker {
    /// How many rows at most.
    fn most(&self) -> usize;

    /// Whether a row fits.
    fn fits(&self, row: RawMap<'_>) -> bool;

    /// How a row is changed that is taken.
    fn change(&self, row: RawMap<'_>) -> Update;
}

/// What was taken.
#[derive(Debug, Default)]
pub struct Taken {
    /// The rows of each taker as they are now, in order.
    pub rows: Vec<Vec<Row>>,
    /// How many rows were looked at for that.
    pub examined: usize,
}

/// What is written to a collection, as it is written.
pub trait Follow: Send {
    /// The next change, unless there is none for so long. The rows as they are after it; `None`
    /// in the place of the row: something of the collection has changed, nobody says what.
    ///
    /// # Errors
    /// The database was closed.
    fn next(&mut self, timeout: Duration) -> Result<Followed, Error>;
}

/// What [`Follow::next`] answers.
#[derive(Debug)]
#[non_exhaustive]
pub enum Followed {
    /// This row was written, and is so now.
    Written(Row),
    /// The row of this id is gone.
    Deleted(Key),
    /// More than can be told: everything may be different.
    Lost,
    /// Nothing for as long as was waited for.
    Nothing,
}
