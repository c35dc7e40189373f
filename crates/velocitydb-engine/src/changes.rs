//! What has changed lately, for those who follow: a bounded history of published changes.
//!
//! ```text
//!   floor                                     visible
//!     v                                          v
//!   ──┤ 40 │ 41.0 │ 41.1 │ 42 │  …      … │ 90 │ 91 │ 92 │ ◄── the writer
//!     given up: too old          read            not yet
//! ```
//!
//! While somebody follows, the writer notes what each entry changed, as counted handles of the
//! versions before and after. A reader takes copies of a few at a time, and only of what is
//! visible: what is not may be taken back by a crash.
//!
//! Invariants: the history has no gaps between its floor and its end; it is bounded in bytes and
//! number, and gives up its oldest part rather than let a writer wait; a reader whose position
//! lies before the floor is told so ([`Error::PositionGone`]). The bytes are those of the versions
//! that changes hold: a version that two changes hold, or the table as well, is counted again, so
//! the sum is never too small. They are in the account of memory, and are given up before a write
//! is refused.
//!
//! Not told: changes of volatile collections (they have no place in the log), of system
//! collections, and expiry, which is no entry. Documents that an alteration converts are told as
//! the one alteration.
//!
//! Tests: below, and the embedded library's `changes`.

use std::collections::VecDeque;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use velocitydb_types::Timestamp;

use crate::catalog::{Collection, CollectionId, DatabaseId, Definition, FIRST_USER_COLLECTION};
use crate::define::Definitions;
use crate::error::Error;
use crate::memory::Memory;
use crate::state::Shared;
use crate::store::Document;

/// A place in the sequence of changes: behind the whole entry of a log index, or behind one
/// change within it. As text `42` or `42.3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    index: u64,
    place: u32,
}

/// The place behind all changes of an entry.
const WHOLE: u32 = u32::MAX;

impl Position {
    /// Behind all that the entry of this log index changed, and before the next: where a snapshot
    /// of this index leaves off.
    pub fn behind(index: u64) -> Position {
        Position {
            index,
            place: WHOLE,
        }
    }

    /// The log index.
    pub fn index(self) -> u64 {
        self.index
    }
}

impl From<u64> for Position {
    fn from(index: u64) -> Position {
        Position::behind(index)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            WHOLE => write!(f, "{}", self.index),
            place => write!(f, "{}.{place}", self.index),
        }
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Position, Error> {
        let read = || -> Result<Position, ParseIntError> {
            Ok(match text.split_once('.') {
                None => Position::behind(text.parse()?),
                Some((index, place)) => Position {
                    index: index.parse()?,
                    place: place.parse()?,
                },
            })
        };
        let position = read().ok().filter(|read| read.to_string() == text);
        position.ok_or_else(|| {
            Error::Invalid(format!(
                "{text:?} is no position in the sequence of changes, such as 42 or 42.3"
            ))
        })
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A document was inserted.
    Inserted,
    /// A document was changed or replaced.
    Updated,
    /// A document was deleted.
    Deleted,
    /// A collection was created.
    CollectionCreated,
    /// A collection was given another definition, which may have changed all its documents.
    CollectionAltered,
    /// A collection lost all its documents.
    CollectionTruncated,
    /// A collection was dropped with all its documents.
    CollectionDropped,
    /// A collection was given an index.
    IndexCreated,
    /// A collection lost an index.
    IndexDropped,
}

impl ChangeKind {
    /// Its name, as texts spell it.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Inserted => "inserted",
            ChangeKind::Updated => "updated",
            ChangeKind::Deleted => "deleted",
            ChangeKind::CollectionCreated => "collection_created",
            ChangeKind::CollectionAltered => "collection_altered",
            ChangeKind::CollectionTruncated => "collection_truncated",
            ChangeKind::CollectionDropped => "collection_dropped",
            ChangeKind::IndexCreated => "index_created",
            ChangeKind::IndexDropped => "index_dropped",
        }
    }
}

/// One change of one document, or of one definition.
#[derive(Debug, Clone)]
pub struct Change {
    /// Log index of the entry.
    pub index: u64,
    /// Which of the entry's changes it is, from 0.
    pub place: u32,
    /// Whether it is the entry's last.
    pub last: bool,
    /// Log time of the entry.
    pub time: Timestamp,
    /// The collection's number.
    pub collection: CollectionId,
    /// The database that it is in.
    pub database: DatabaseId,
    /// The collection's name.
    pub name: Arc<str>,
    /// What happened.
    pub kind: ChangeKind,
    /// The document before; `None` when there was none.
    pub before: Option<Document>,
    /// The document after; `None` when there is none.
    pub after: Option<Document>,
    /// The collection's definition after a change of it.
    pub definition: Option<Arc<Definition>>,
}

impl Change {
    /// Where to go on behind it.
    pub fn position(&self) -> Position {
        let (index, place) = (self.index, if self.last { WHOLE } else { self.place });
        Position { index, place }
    }

    /// What it counts against the limit of the history.
    fn bytes(&self) -> usize {
        // The queue grows by doubling.
        let held = [&self.before, &self.after].into_iter().flatten();
        2 * size_of::<Change>() + held.map(Document::allocated_bytes).sum::<usize>()
    }
}

/// What one entry changes, as it is published.
#[derive(Default)]
pub(crate) struct Told(SmallVec<[Change; 1]>);

impl Told {
    /// A version that takes the place of another, or of nothing.
    pub(crate) fn document(
        &mut self,
        collection: &Collection,
        before: Option<Document>,
        after: Document,
        time: Timestamp,
    ) {
        if collection.id < FIRST_USER_COLLECTION {
            return;
        }
        let before = before.filter(|before| before.is_live(time));
        let after = Some(after).filter(|after| !after.is_tombstone());
        let kind = match (&before, &after) {
            (None, Some(_)) => ChangeKind::Inserted,
            (Some(_), Some(_)) => ChangeKind::Updated,
            (Some(_), None) => ChangeKind::Deleted,
            // It came and went within the entry.
            (None, None) => return,
        };
        self.push(collection, kind, (before, after), None);
    }

    /// A change of a definition.
    pub(crate) fn definition(&mut self, change: &Definitions) {
        let mut push = |of: &Collection, kind, new: Option<&Collection>| {
            let definition = new.map(|new| Arc::new(new.definition.clone()));
            self.push(of, kind, (None, None), definition);
        };
        let (kind, one) = match change {
            Definitions::Put(one) => (ChangeKind::CollectionCreated, one),
            Definitions::Attach(one, _) => (ChangeKind::IndexCreated, one),
            Definitions::Detach(one, _) => (ChangeKind::IndexDropped, one),
            Definitions::Empty(one) => (ChangeKind::CollectionTruncated, one),
            Definitions::Altered(all) => {
                for (former, one) in all {
                    // Under the name that it had: the definition says which it has now.
                    push(former, ChangeKind::CollectionAltered, Some(one));
                }
                return;
            }
            Definitions::Remove(one) => return push(one, ChangeKind::CollectionDropped, None),
            Definitions::RemoveDatabase(_, all) => {
                for one in all {
                    push(one, ChangeKind::CollectionDropped, None);
                }
                return;
            }
            Definitions::PutDatabase(..) => return,
        };
        push(one, kind, Some(one));
    }

    fn push(
        &mut self,
        collection: &Collection,
        kind: ChangeKind,
        (before, after): (Option<Document>, Option<Document>),
        definition: Option<Arc<Definition>>,
    ) {
        self.0.push(Change {
            index: 0,
            place: 0,
            last: false,
            time: Timestamp(0),
            collection: collection.id,
            database: collection.database,
            name: Arc::clone(&collection.name),
            kind,
            before,
            after,
            definition,
        });
    }
}

/// When there is a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryKept {
    /// While somebody follows, and for so long afterwards, that a follower may come back.
    WhileFollowed(Duration),
    /// From the start on.
    Always,
}

/// How much of what has changed is kept for those who follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOptions {
    /// When there is a history.
    pub kept: HistoryKept,
    /// Bytes of documents, before and after, that it holds; then the oldest go.
    pub bytes_max: usize,
    /// Changes that it holds; then the oldest go.
    pub changes_max: usize,
}

impl Default for HistoryOptions {
    /// While somebody follows and five minutes longer; 64 MiB and 65,536 changes.
    fn default() -> HistoryOptions {
        HistoryOptions {
            kept: HistoryKept::WhileFollowed(Duration::from_secs(300)),
            bytes_max: 64 << 20,
            changes_max: 1 << 16,
        }
    }
}

/// What is kept.
struct Kept {
    changes: VecDeque<Change>,
    /// Behind the newest change that is not there any more.
    floor: Position,
    bytes: usize,
    followers: usize,
    /// Since when there is none.
    left_at: Option<Timestamp>,
}

impl Kept {
    fn give_up_oldest(&mut self) -> Option<Change> {
        let oldest = self.changes.pop_front()?;
        self.bytes -= oldest.bytes();
        self.floor = oldest.position();
        Some(oldest)
    }
}

/// See the module.
pub(crate) struct History {
    options: HistoryOptions,
    /// Whether changes are noted. Changes only under the writer lock, where it is asked.
    noting: AtomicBool,
    kept: Mutex<Kept>,
}

impl History {
    pub(crate) fn new(options: HistoryOptions) -> History {
        History {
            options,
            noting: AtomicBool::new(false),
            kept: Mutex::new(Kept {
                changes: VecDeque::new(),
                floor: Position::behind(0),
                bytes: 0,
                followers: 0,
                left_at: None,
            }),
        }
    }

    /// What an entry is told to, when somebody wants to know.
    #[inline]
    pub(crate) fn told(&self) -> Option<Told> {
        self.noting.load(Ordering::Relaxed).then(Told::default)
    }

    /// Notes what an entry changed. Only the writer calls it, before the entry is visible.
    pub(crate) fn note(&self, index: u64, time: Timestamp, told: Told, memory: &Memory) {
        let Some(last) = told.0.len().checked_sub(1) else {
            return;
        };
        let kept = &mut *self.kept.lock();
        let before = kept.bytes;
        for (place, mut change) in told.0.into_iter().enumerate() {
            (change.index, change.time) = (index, time);
            (change.place, change.last) = (place as u32, place == last);
            kept.bytes += change.bytes();
            kept.changes.push_back(change);
            while kept.bytes > self.options.bytes_max
                || kept.changes.len() > self.options.changes_max
            {
                kept.give_up_oldest();
            }
        }
        memory.change(before, kept.bytes);
    }

    /// Begins to note changes behind `last`, the newest entry there is. Under the writer lock.
    fn begin(&self, kept: &mut Kept, last: u64) {
        if !self.noting.load(Ordering::Relaxed) {
            kept.floor = Position::behind(last);
            self.noting.store(true, Ordering::Relaxed);
        }
    }

    /// Begins at once, if the options say so.
    pub(crate) fn begin_if_always(&self, last: u64) {
        if self.options.kept == HistoryKept::Always {
            self.begin(&mut self.kept.lock(), last);
        }
    }

    /// One more follower. Under the writer lock.
    pub(crate) fn follow(&self, last: u64) {
        let kept = &mut *self.kept.lock();
        kept.followers += 1;
        kept.left_at = None;
        self.begin(kept, last);
    }

    fn leave(&self) {
        self.kept.lock().followers -= 1;
    }

    /// Whether nobody has come back for long enough.
    pub(crate) fn is_left(&self, now: Timestamp) -> bool {
        let HistoryKept::WhileFollowed(after) = self.options.kept else {
            return false;
        };
        if !self.noting.load(Ordering::Relaxed) {
            return false;
        }
        let mut kept = self.kept.lock();
        if kept.followers > 0 {
            return false;
        }
        let left_at = *kept.left_at.get_or_insert(now);
        let after = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        left_at.0.saturating_add(after) <= now.0
    }

    /// Gives everything up, unless somebody follows again; whether it did. Under the writer lock,
    /// which what is answered should outlive.
    pub(crate) fn end(&self, memory: &Memory) -> Option<impl Drop + use<>> {
        let mut kept = self.kept.lock();
        if kept.followers > 0 {
            return None;
        }
        self.noting.store(false, Ordering::Relaxed);
        memory.change(std::mem::take(&mut kept.bytes), 0);
        Some(std::mem::take(&mut kept.changes))
    }

    /// Gives up the oldest changes until `needed` bytes fit the memory, or none are left. Under
    /// the writer lock.
    pub(crate) fn make_room(&self, needed: usize, memory: &Memory) {
        let mut kept = self.kept.lock();
        while !memory.fits(needed) {
            let before = kept.bytes;
            if kept.give_up_oldest().is_none() {
                return;
            }
            memory.change(before, kept.bytes);
        }
    }

    /// Bytes that are held, and how many follow.
    pub(crate) fn figures(&self) -> (usize, usize) {
        let kept = self.kept.lock();
        (kept.bytes, kept.followers)
    }
}

/// Changes looked at in one turn: what a writer may have to wait for.
const LOOK_AT_MAX: usize = 256;
/// Changes taken in one turn.
const TAKE_MAX: usize = 64;
/// Bytes of changes taken in one turn, but for the first: a stream holds two turns at most, whether
/// the history still has them or not.
const TAKE_BYTES_MAX: usize = 256 << 10;

/// One reader of the history. From `Engine::follow`.
pub struct Follower {
    shared: Arc<Shared>,
    /// What it waits under.
    seat: u64,
    after: Position,
}

impl Follower {
    /// One who follows from behind `last` on. It was counted ([`History::follow`]).
    pub(crate) fn new(shared: Arc<Shared>, last: u64) -> Follower {
        Follower {
            seat: shared.logged.visible.bell().seat(),
            after: Position::behind(last),
            shared,
        }
    }

    /// Goes on behind `after`.
    ///
    /// # Errors
    /// [`Error::PositionGone`] when that is before what is kept, or not yet visible.
    pub fn go_to(&mut self, after: Position) -> Result<(), Error> {
        let visible = self.shared.logged.visible.index();
        let floor = self.shared.history.kept.lock().floor;
        if after < floor || after > Position::behind(visible) {
            return Err(gone(after, floor, visible));
        }
        self.after = after;
        Ok(())
    }

    /// All changes up to here were looked at.
    pub fn position(&self) -> Position {
        self.after
    }

    /// Whether there is something visible that was not looked at.
    pub fn is_behind(&self) -> bool {
        self.after < Position::behind(self.shared.logged.visible.index())
    }

    /// Appends visible changes behind the position that `wanted` lets through, a few at a time,
    /// and moves the position behind what was looked at. The answer is whether that ends an entry.
    ///
    /// # Errors
    /// [`Error::PositionGone`] when it fell behind.
    pub fn take(
        &mut self,
        wanted: impl Fn(&Change) -> bool,
        taken: &mut Vec<Change>,
    ) -> Result<bool, Error> {
        // First: what is visible was noted before.
        let visible = self.shared.logged.visible.index();
        let kept = self.shared.history.kept.lock();
        if self.after < kept.floor {
            return Err(gone(self.after, kept.floor, visible));
        }
        let behind =
            |change: &Change| (change.index, change.place) > (self.after.index, self.after.place);
        let begin = kept.changes.partition_point(|change| !behind(change));
        let (mut count, mut bytes) = (0, 0);
        let until = (begin + LOOK_AT_MAX).min(kept.changes.len());
        for change in kept.changes.range(begin..until) {
            if change.index > visible {
                break;
            }
            if wanted(change) {
                bytes += change.bytes();
                if count == TAKE_MAX || count > 0 && bytes > TAKE_BYTES_MAX {
                    return Ok(self.after.place == WHOLE);
                }
                count += 1;
                taken.push(change.clone());
            }
            self.after = change.position();
        }
        let next = kept.changes.get(until);
        if next.is_none_or(|next| next.index > visible) {
            self.after = self.after.max(Position::behind(visible));
        }
        Ok(self.after.place == WHOLE)
    }

    /// Ready when there is something visible that was not looked at. Else the task is woken when
    /// there may be, or when the database is closed.
    pub fn poll_visible(&self, context: &mut Context<'_>) -> Poll<()> {
        let visible = &self.shared.logged.visible;
        visible.bell().poll(self.seat, context, || self.is_behind())
    }
}

fn gone(asked: Position, oldest: Position, newest: u64) -> Error {
    Error::PositionGone {
        asked,
        oldest,
        newest: Position::behind(newest),
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.logged.visible.bell().leave(self.seat);
        self.shared.history.leave();
    }
}

/// Waits for the visible index, on behalf of many. From `Engine::watch_visible`.
pub struct VisibleWatch {
    shared: Arc<Shared>,
    seat: u64,
}

impl VisibleWatch {
    pub(crate) fn new(shared: Arc<Shared>) -> VisibleWatch {
        let seat = shared.logged.visible.bell().seat();
        VisibleWatch { shared, seat }
    }

    /// Ready with the visible index when it is beyond `seen`. Else the task is woken when it has
    /// moved, provided that somebody follows the changes, or when the database is closed.
    pub fn poll_beyond(&self, seen: u64, context: &mut Context<'_>) -> Poll<u64> {
        let visible = &self.shared.logged.visible;
        let moved = || visible.index() > seen;
        let polled = visible.bell().poll(self.seat, context, moved);
        polled.map(|()| visible.index())
    }
}

impl Drop for VisibleWatch {
    fn drop(&mut self) {
        self.shared.logged.visible.bell().leave(self.seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_have_one_text() {
        for text in ["0", "42", "42.0", "42.7", "18446744073709551615"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "-1",
            "042",
            "1.",
            ".1",
            "1.01",
            "+1",
            "1.4294967295",
            "a",
        ] {
            let error = wrong.parse::<Position>().unwrap_err();
            assert!(error.to_string().contains("position"), "{wrong}");
        }
        let order = ["41", "42.0", "42.1", "42"].map(|text| text.parse::<Position>().unwrap());
        assert!(order.is_sorted());
    }
}
