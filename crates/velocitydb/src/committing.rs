//! Commits that are waited for without a thread.
//!
//! A commit is made at once and told when it is durable and visible. [`Committing::block`] waits on
//! the thread, and syncs for all who wait; as a future it leaves that to the database's own thread
//! ([`Flusher`]), which syncs once for all that came meanwhile. Tests: the library's `visibility`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::{Condvar, Mutex};
use velocitydb_engine::{Engine, Error, Made};

use crate::database::{Answer, Inner};
use crate::options::Call;

/// A commit that is made, or refused, and not told yet. From
/// [`Transaction::begin_commit`](crate::Transaction::begin_commit). Dropped, it is what it is all the
/// same.
#[must_use]
pub struct Committing {
    inner: Arc<Inner>,
    index: u64,
    /// Until it is told.
    outcome: Option<Result<Answer<()>, Error>>,
}

impl Committing {
    pub(crate) fn new(inner: Arc<Inner>, made: Made, call: &Call) -> Committing {
        let answer = made.outcome.map(|written| Answer::of((), &written, call));
        Committing {
            inner,
            index: made.index,
            outcome: Some(answer),
        }
    }

    /// Waits on this thread.
    ///
    /// # Errors
    /// What the commit was refused for: nothing was changed. The log has failed.
    pub fn block(mut self) -> Result<Answer<()>, Error> {
        self.inner.engine.wait_visible(self.index)?;
        self.tell()
    }

    fn tell(&mut self) -> Result<Answer<()>, Error> {
        self.outcome.take().expect("it is told once")
    }
}

impl Future for Committing {
    type Output = Result<Answer<()>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (engine, flusher) = (&self.inner.engine, &self.inner.flusher);
        let mut visible = engine.poll_visible(self.index, context);
        if visible.is_pending() && !flusher.ask(self.index) {
            visible = Poll::Ready(engine.wait_visible(self.index));
        }
        ready!(visible)?;
        Poll::Ready(self.tell())
    }
}

/// What the thread is asked for that syncs for those who have none.
#[derive(Default)]
pub(crate) struct Flusher {
    wanted: Mutex<Wanted>,
    rung: Condvar,
}

#[derive(Default)]
struct Wanted {
    running: bool,
    /// The newest index that anybody waits for.
    index: u64,
}

impl Flusher {
    /// Lets the thread wait for an index; whether there is one.
    fn ask(&self, index: u64) -> bool {
        let mut wanted = self.wanted.lock();
        if index > wanted.index {
            wanted.index = index;
            self.rung.notify_one();
        }
        wanted.running
    }

    /// From here on somebody will [`Flusher::run`].
    pub(crate) fn start(&self) {
        self.wanted.lock().running = true;
    }

    /// Waits for what it is asked for, until [`Flusher::stop`].
    pub(crate) fn run(&self, engine: &Engine) {
        let mut done = 0;
        loop {
            let index = {
                let mut wanted = self.wanted.lock();
                while wanted.index == done && wanted.running {
                    self.rung.wait(&mut wanted);
                }
                if wanted.index == done {
                    return;
                }
                wanted.index
            };
            // Those who wait see for themselves what has become of it.
            let _ = engine.wait_visible(index);
            done = index;
        }
    }

    /// Lets it end when all that it was asked for is done.
    pub(crate) fn stop(&self) {
        self.wanted.lock().running = false;
        self.rung.notify_one();
    }
}
