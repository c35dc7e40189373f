//! Following what is written: streams of changes, in the order of the log.
//!
//! ```no_run
//! use std::time::Duration;
//! use velocitydb::{ChangeKind, Database, query::Filter};
//!
//! # fn main() -> Result<(), velocitydb::Error> {
//! # let db = Database::in_memory()?;
//! let tasks = db.collection("tasks")?;
//! let waiting = Filter::from_json(r#"{"state":"waiting"}"#).expect("it is one");
//! let (now, mut changes) = tasks.changes().filter(waiting).open_with_snapshot()?;
//! println!("{} tasks now", now.collection("tasks")?.count()?);
//! while let Some(change) = changes.next_within(Duration::from_secs(60))? {
//!     println!("{} {} {:?}", change.position, change.kind.name(), change.id);
//! }
//! # Ok(()) }
//! ```
//!
//! What is kept, for whom and for how long, is in `velocitydb_engine::changes`. Here are names,
//! filters, and waiting. Tests: tests/it/changes.rs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use velocitydb_engine::catalog::{Definition, Persistence};
use velocitydb_engine::changes::{Change as Noted, ChangeKind, Follower, Position};
use velocitydb_engine::{Document, Error};
use velocitydb_query::Filter;
use velocitydb_types::{Key, Timestamp};

use crate::database::{Database, Inner, View};

/// One change of one document, or of a collection's definition.
///
/// A write that touches a document several times is told as the one change that it makes.
/// Documents that expire are not told: expiry is no write, and every reader knows the moment from
/// [`velocitydb_engine::Meta::expires_at`].
#[derive(Debug, Clone)]
pub struct Change {
    /// Where to go on behind it: [`ChangesRequest::after`]. Of the last change of a write, behind
    /// the whole write.
    pub position: Position,
    /// Log index of the write.
    pub index: u64,
    /// Whether it is the last change of its write that this stream tells.
    pub last: bool,
    /// Log time of the write.
    pub time: Timestamp,
    /// The collection.
    pub collection: Arc<str>,
    /// What happened.
    pub kind: ChangeKind,
    /// The document's id; `None` when it was the collection that changed.
    pub id: Option<Key>,
    /// The document before, when [`ChangesRequest::with_before`] asks for it and there was one.
    pub before: Option<Document>,
    /// The document after; `None` of a deletion.
    pub after: Option<Document>,
    /// The collection's definition after it was created, altered, truncated or given other
    /// indexes.
    pub definition: Option<Arc<Definition>>,
    /// How an update stands to the stream's filter.
    pub crossing: Crossing,
}

/// How an update stands to a filter. To whoever keeps a copy of what the filter lets through, one
/// that enters is an insertion, and one that leaves a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Crossing {
    /// The filter lets the document through before and after; or it was no update, or there is no
    /// filter.
    #[default]
    Stays,
    /// Not before, but after.
    Enters,
    /// Before, but not after.
    Leaves,
}

/// What a stream of changes shall tell. From [`Database::changes`] and
/// [`crate::Collection::changes`].
#[must_use]
#[derive(Clone)]
pub struct ChangesRequest {
    inner: Arc<Inner>,
    collection: Option<Arc<str>>,
    after: Option<Position>,
    filter: Filter,
    with_before: bool,
}

impl ChangesRequest {
    pub(crate) fn new(inner: Arc<Inner>, collection: Option<Arc<str>>) -> ChangesRequest {
        ChangesRequest {
            inner,
            collection,
            after: None,
            filter: Filter::All,
            with_before: false,
        }
    }

    /// Goes on behind this position: that of a change that was taken before, or the index of a
    /// snapshot that was read. From now on without it.
    pub fn after(self, position: impl Into<Position>) -> ChangesRequest {
        let after = Some(position.into());
        ChangesRequest { after, ..self }
    }

    /// Tells only changes of documents that the filter lets through: as they are after the change,
    /// or of a deletion before it. An update that takes a document out of the filter is told too:
    /// see [`Change::crossing`]. Changes of definitions are told in any case.
    pub fn filter(self, filter: Filter) -> ChangesRequest {
        ChangesRequest { filter, ..self }
    }

    /// Gives documents also as they were before.
    pub fn with_before(self) -> ChangesRequest {
        ChangesRequest {
            with_before: true,
            ..self
        }
    }

    /// Opens the stream. A snapshot that is taken afterwards is at or behind its position.
    ///
    /// A stream of a collection goes by its name: when it is dropped and created again, it goes on.
    ///
    /// # Errors
    /// [`Error::PositionGone`] when the changes behind the position are not kept any more, or it
    /// lies beyond what is visible; [`Error::Invalid`] for a filter that makes no sense and for a
    /// volatile collection, whose changes have no place in the log; as
    /// [`crate::Database::wait_for`].
    pub fn open(self) -> Result<Changes, Error> {
        let invalid = |what: String| Err(Error::Invalid(what));
        if let Err(error) = self.filter.check() {
            return invalid(error.to_string());
        }
        if let Some(name) = &self.collection {
            let runtime = self.inner.runtime(name)?;
            if runtime.definition.persistence == Persistence::Volatile {
                return invalid(format!(
                    "the collection {name:?} is volatile: its changes have no place in the log \
                     and cannot be followed"
                ));
            }
        }
        self.inner.check_present()?;
        let mut follower = self.inner.engine.follow()?;
        if let Some(after) = self.after {
            follower.go_to(after)?;
        }
        Ok(Changes {
            position: follower.position(),
            follower,
            request: self,
            ready: VecDeque::new(),
            whole: true,
            ended: false,
        })
    }

    /// Takes a snapshot and opens the stream behind it: what the snapshot shows and what the
    /// stream tells are everything, once.
    ///
    /// # Errors
    /// As [`ChangesRequest::open`].
    pub fn open_with_snapshot(self) -> Result<(View, Changes), Error> {
        // First the stream, so that nothing is missed in between.
        let mut changes = ChangesRequest {
            after: None,
            ..self
        }
        .open()?;
        let view = Database(Arc::clone(&changes.request.inner)).snapshot();
        changes.go_to(Position::behind(view.index()))?;
        Ok((view, changes))
    }
}

/// A stream of changes, in the order of the log, each once. It keeps the database open.
///
/// As an iterator it waits for each change, and ends after an error: [`Error::PositionGone`] when
/// it fell behind, [`Error::Closed`] when the database was closed.
pub struct Changes {
    follower: Follower,
    request: ChangesRequest,
    /// Behind the last change that was given out.
    position: Position,
    /// To be given out.
    ready: VecDeque<Change>,
    /// Whether the last entry in `ready` is all there.
    whole: bool,
    ended: bool,
}

/// Turns of looking at the history in one call that does not wait.
const TURNS_MAX: usize = 16;

impl Changes {
    /// Where to go on, now or later: behind the last change that was given out, and behind all
    /// those since that the stream does not tell.
    pub fn position(&self) -> Position {
        match self.ready.is_empty() {
            true => self.follower.position(),
            false => self.position,
        }
    }

    /// Whether there may be more without waiting.
    pub fn is_behind(&self) -> bool {
        !self.ready.is_empty() || self.follower.is_behind()
    }

    fn go_to(&mut self, position: Position) -> Result<(), Error> {
        self.follower.go_to(position)?;
        self.position = position;
        Ok(())
    }

    /// The next change, if there is one. It looks at some thousand changes at most: with `None`,
    /// [`Changes::is_behind`] says whether to ask again.
    ///
    /// # Errors
    /// [`Error::PositionGone`] when it fell behind; [`Error::UnknownDatabase`] behind the last change
    /// of a database that was dropped.
    pub fn try_next(&mut self) -> Result<Option<Change>, Error> {
        let mut turns = 0;
        // The last change of an entry is told as such: so the next one is looked at first.
        while self.ready.is_empty() || self.ready.len() == 1 && !self.whole {
            if !self.follower.is_behind() {
                // All was told of one that is gone.
                self.request.inner.check_present()?;
                return Ok(None);
            }
            if turns == TURNS_MAX {
                return Ok(None);
            }
            turns += 1;
            match self.look() {
                // What was taken before it fell behind is told before that is.
                Err(error) if self.ready.is_empty() => return Err(error),
                Err(_) => break,
                Ok(()) => {}
            }
        }
        let next = self.ready.pop_front();
        if let Some(next) = &next {
            self.position = next.position;
        }
        Ok(next)
    }

    /// Looks at some of what is visible.
    fn look(&mut self) -> Result<(), Error> {
        let request = &self.request;
        let database = request.inner.namespace.id;
        let of = |change: &Noted| {
            let named = request.collection.as_ref();
            change.database == database && named.is_none_or(|name| change.name == *name)
        };
        let mut taken = Vec::new();
        self.whole = self.follower.take(of, &mut taken)?;
        let told = taken.into_iter().filter_map(|noted| request.tell(noted));
        for next in told {
            end_entry(self.ready.back_mut(), next.index);
            self.ready.push_back(next);
        }
        if self.whole {
            end_entry(self.ready.back_mut(), u64::MAX);
        }
        Ok(())
    }

    /// The next change; waits for it for so long at most.
    ///
    /// # Errors
    /// [`Error::PositionGone`] when it fell behind; [`Error::Closed`] when the database was
    /// closed.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<Change>, Error> {
        let until = Instant::now().checked_add(timeout);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(next) = self.poll_change(&mut context) {
                return next.map(Some);
            }
            match until {
                None => std::thread::park(),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(None);
                    }
                    std::thread::park_timeout(left);
                }
            }
        }
    }

    /// The next change, as a future polls for it.
    ///
    /// # Errors
    /// As [`Changes::next_within`].
    pub fn poll_change(&mut self, context: &mut Context<'_>) -> Poll<Result<Change, Error>> {
        loop {
            if let Some(next) = self.try_next()? {
                return Poll::Ready(Ok(next));
            }
            if self.follower.is_behind() {
                // Others shall have their turn.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.follower.poll_visible(context).is_pending() {
                self.request.inner.engine.check_open()?;
                return Poll::Pending;
            }
        }
    }

    /// The next change, as a future. Nothing is lost when it is dropped before it is ready.
    ///
    /// # Errors
    /// As [`Changes::next_within`].
    #[cfg(feature = "async")]
    pub async fn next_change(&mut self) -> Result<Change, Error> {
        std::future::poll_fn(|context| self.poll_change(context)).await
    }
}

/// Marks a change as the last of its entry, if the next told is of another.
fn end_entry(change: Option<&mut Change>, next: u64) {
    if let Some(change) = change.filter(|change| change.index != next) {
        change.last = true;
        change.position = Position::behind(change.index);
    }
}

impl ChangesRequest {
    /// A change as this stream tells it, if it does.
    fn tell(&self, noted: Noted) -> Option<Change> {
        let passes = |document: &Option<Document>| {
            let document = document.as_ref();
            document.is_some_and(|document| self.filter.matches(document))
        };
        let crossing = match noted.kind {
            ChangeKind::Inserted if !passes(&noted.after) => return None,
            ChangeKind::Deleted if !passes(&noted.before) => return None,
            ChangeKind::Updated => match (passes(&noted.before), passes(&noted.after)) {
                (false, false) => return None,
                (false, true) => Crossing::Enters,
                (true, false) => Crossing::Leaves,
                (true, true) => Crossing::Stays,
            },
            _ => Crossing::Stays,
        };
        let document = noted.after.as_ref().or(noted.before.as_ref());
        Some(Change {
            position: noted.position(),
            index: noted.index,
            last: noted.last,
            time: noted.time,
            kind: noted.kind,
            id: document.map(Document::id),
            before: noted.before.filter(|_| self.with_before),
            after: noted.after,
            collection: noted.name,
            definition: noted.definition,
            crossing,
        })
    }
}

impl Iterator for Changes {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Result<Change, Error>> {
        if self.ended {
            return None;
        }
        let next = self.next_within(Duration::MAX).transpose();
        self.ended = matches!(next, Some(Err(_)));
        next
    }
}

/// Wakes a thread.
pub(crate) struct Unpark(pub(crate) Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Changes(after {})", self.position())
    }
}
