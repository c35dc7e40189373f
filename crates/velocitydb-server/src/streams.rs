//! The streams of changes that clients have open: how many there may be, who wakes them, and how
//! they end.
//!
//! ```text
//!   writer ──► one task that waits for the visible index ──► News ──► every stream
//! ```
//!
//! A write wakes one task, however many streams wait; that task wakes the streams, a thousand
//! times a second at most. A stream holds no thread. It looks for changes when its connection
//! wants some: so one whose client takes nothing costs nobody anything, and falls behind.
//! Tests: tests/it/changes.rs.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};
use velocitydb::{Change, Changes, Database, Position};

use crate::app::Slot;
use crate::http::Problem;

/// The least time between two wake-ups of all streams.
const PACE: Duration = Duration::from_millis(1);

/// What streams are woken for.
#[derive(Debug, Clone, Copy, Default)]
struct News {
    visible: u64,
    stopping: bool,
}

/// See the module.
pub(crate) struct Streams {
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) streams_max: usize,
    news: Arc<watch::Sender<News>>,
    relay: AbortHandle,
}

impl Streams {
    /// To be called within a tokio runtime.
    pub(crate) fn new(streams_max: usize, database: &Database) -> Streams {
        let news = Arc::new(watch::Sender::new(News::default()));
        let (watch, relayed) = (database.watch_visible(), Arc::clone(&news));
        let relay = tokio::spawn(async move {
            let mut seen = 0;
            loop {
                seen = poll_fn(|context| watch.poll_beyond(seen, context)).await;
                relayed.send_modify(|news| news.visible = seen);
                sleep(PACE).await;
            }
        });
        Streams {
            permits: Arc::new(Semaphore::new(streams_max)),
            streams_max,
            news,
            relay: relay.abort_handle(),
        }
    }

    /// Ends all streams, and those that are opened from now on.
    pub(crate) fn stop(&self) {
        self.news.send_modify(|news| news.stopping = true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.news.borrow().stopping
    }

    /// Returns when no stream is left, or after `bound`.
    pub(crate) async fn ended(&self, bound: Duration) {
        let all = u32::try_from(self.streams_max).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(bound, self.permits.acquire_many(all)).await;
    }

    /// What a connection takes from a stream. `slot` counts it.
    pub(crate) fn feed(
        &self,
        changes: Changes,
        database: Database,
        slot: Slot,
        every: Duration,
    ) -> Feed {
        Feed {
            told: changes.position(),
            changes,
            database,
            slot,
            news: self.news.subscribe(),
            every,
            beat: Instant::now() + every,
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// One stream.
pub(crate) struct Feed {
    changes: Changes,
    database: Database,
    pub(crate) slot: Slot,
    news: watch::Receiver<News>,
    every: Duration,
    /// When the client hears of the stream although there is nothing to tell.
    beat: Instant,
    /// The position that the client has been told.
    told: Position,
}

/// What a client is told next.
pub(crate) enum Next {
    Change(Box<Change>),
    /// Nothing for some time; how far the stream has come without anything to tell, if further.
    Beat(Option<Position>),
    /// The last of the stream.
    End(Problem),
}

impl Feed {
    /// Where the client goes on.
    pub(crate) fn position(&self) -> Position {
        self.told
    }

    /// The next change if there is one now.
    pub(crate) fn now(&mut self) -> Option<Next> {
        if self.news.borrow_and_update().stopping {
            let what = "the server is stopping: connect again, and go on behind the last position";
            return Some(Next::End(Problem::new("stopping", what)));
        }
        match self.changes.try_next() {
            Ok(Some(change)) => {
                self.told = change.position;
                self.beat = Instant::now() + self.every;
                Some(Next::Change(Box::new(change)))
            }
            Ok(None) => None,
            Err(error) => Some(Next::End(error.into())),
        }
    }

    /// The next that there is to tell. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.now() {
                return next;
            }
            if self.changes.is_behind() {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                // Its sender lives as long as the server, which ends its connections.
                _ = self.news.changed() => {}
                () = sleep_until(self.beat) => return self.beat(),
            }
        }
    }

    fn beat(&mut self) -> Next {
        if self.database.health().closed {
            return Next::End(Problem::new("closed", "the database is closed"));
        }
        self.beat = Instant::now() + self.every;
        let position = self.changes.position();
        let further = (position > self.told).then_some(position);
        self.told = position;
        Next::Beat(further)
    }
}
