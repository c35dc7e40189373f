//! Waiting in place of polling: for a process that fits, and for a process's end; in a thread, or as a
//! future for any runtime.
//!
//! One thread follows what is written to the processes, from the first time that somebody waits, and wakes
//! those whom a change may concern: it knows what they wait for. Whoever is woken looks for himself. So
//! there is one thread for all who wait, however many there are and however they wait.
//! Nothing is missed: whoever waits is known before he looks for the last time, and the thread follows
//! before anybody is known.
//!
//! ```text
//!   look: there is one ──► done
//!     │ none    ▲
//!     ▼         │
//!   known ──► woken ◄── wait
//! ```
//!
//! That is a future ([`Awaited`]); a thread that waits polls it, and sleeps in between.
//!
//! Tests: tests/it/assignment.rs, tests/it/waiting.rs.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::Colonies;
use crate::error::Error;
use crate::model::State;
use crate::process::{Candidate, Process};
use crate::processes::Processes;
use crate::row::{Record as _, Row};
use crate::store::{Follow, Followed};

/// How long the thread follows without looking whether anybody is left who could wait.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who waits. Shared by all clones of a [`Colonies`].
#[derive(Default)]
pub(crate) struct Waiters {
    state: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Whether a thread follows.
    follows: bool,
    next: u64,
    waiters: HashMap<u64, Waiter>,
}

struct Waiter {
    wish: Wish,
    bell: Arc<Bell>,
}

/// What somebody waits for.
#[derive(Clone)]
enum Wish {
    /// A process for this executor.
    Work(Candidate),
    /// The end of a process.
    End(String),
}

/// Tells one who waits that he has to look.
struct Bell(Mutex<Ringing>);

struct Ringing {
    rung: Option<Rung>,
    /// Whom to wake.
    waker: Option<Waker>,
}

/// Why a bell has rung.
enum Rung {
    /// There is something to look at.
    Changed,
    /// Nobody follows any more.
    Over,
}

impl Bell {
    /// A bell that has rung: whoever is known now looks once more.
    fn new() -> Bell {
        Bell(Mutex::new(Ringing {
            rung: Some(Rung::Changed),
            waker: None,
        }))
    }

    fn ring(&self, why: Rung) {
        let mut ringing = self.0.lock();
        ringing.rung = Some(why);
        let waker = ringing.waker.take();
        // Waking runs what is not ours.
        drop(ringing);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Rung> {
        let mut ringing = self.0.lock();
        match ringing.rung.take() {
            Some(why) => Poll::Ready(why),
            None => {
                ringing.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Wish {
    /// Whether a process that is so now is what is waited for.
    fn is(&self, row: &Row) -> bool {
        let text = |column: &str| row.fields().get(column).and_then(|value| value.as_str());
        let state: State = row.read("state");
        match self {
            Wish::Work(candidate) => {
                state == State::Waiting
                    && text("target_colony_name") == Some(&candidate.colony)
                    && text("executor_type") == Some(&candidate.executor_type)
                    && !row.read::<bool>("is_assigned")
                    && !row.read::<bool>("wait_for_parents")
                    && candidate.fits(row.fields())
            }
            Wish::End(id) => state.is_closed() && text("process_id") == Some(id),
        }
    }
}

/// Known as long as it lives.
struct Place {
    waiters: Arc<Waiters>,
    number: u64,
    bell: Arc<Bell>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiters.state.lock().waiters.remove(&self.number);
    }
}

impl Waiters {
    /// Wakes those whom a change concerns.
    fn ring(&self, concerned: impl Fn(&Wish) -> bool) {
        let known = self.state.lock();
        let woken = known.waiters.values();
        let woken = woken.filter(|waiter| concerned(&waiter.wish));
        let bells: Vec<Arc<Bell>> = woken.map(|waiter| Arc::clone(&waiter.bell)).collect();
        // Whoever is woken may give up at once, which takes the lock.
        drop(known);
        bells.iter().for_each(|bell| bell.ring(Rung::Changed));
    }

    /// Nobody follows any more: wakes all.
    fn end(&self) {
        let mut known = self.state.lock();
        known.follows = false;
        let waiters = std::mem::take(&mut known.waiters);
        drop(known);
        waiters
            .values()
            .for_each(|waiter| waiter.bell.ring(Rung::Over));
    }
}

/// Follows until nobody is left who could wait, or the database is closed.
fn follow(mut changes: Box<dyn Follow>, waiters: &Weak<Waiters>) {
    loop {
        let next = changes.next(LOOK_EVERY);
        let Some(waiters) = waiters.upgrade() else {
            return;
        };
        match next {
            Ok(Followed::Nothing) => {
                // The store is kept open by whoever follows: with nobody waiting it is let go.
                let mut known = waiters.state.lock();
                if known.waiters.is_empty() {
                    known.follows = false;
                    return;
                }
            }
            Ok(Followed::Written(row)) => waiters.ring(|wish| wish.is(&row)),
            Ok(Followed::Deleted(_)) => waiters.ring(|wish| matches!(wish, Wish::End(_))),
            Ok(Followed::Lost) => waiters.ring(|_| true),
            Err(_) => {
                // Whoever waits wants to follow again, and is told what is wrong.
                waiters.end();
                return;
            }
        }
    }
}

impl Colonies {
    fn await_wish(&self, wish: Wish) -> Result<Place, Error> {
        let waiters = self.waiters();
        let mut known = waiters.state.lock();
        if !known.follows {
            let changes = self.store().follow(&self.name(Process::COLLECTION))?;
            let weak = Arc::downgrade(waiters);
            let thread = std::thread::Builder::new().name("colonies-follow".into());
            let started = thread.spawn(move || follow(changes, &weak));
            started.map_err(|error| Error::Unavailable(format!("no thread: {error}")))?;
            known.follows = true;
        }
        let (number, bell) = (known.next, Arc::new(Bell::new()));
        known.next += 1;
        let waiter = Waiter {
            wish,
            bell: Arc::clone(&bell),
        };
        known.waiters.insert(number, waiter);
        Ok(Place {
            waiters: Arc::clone(waiters),
            number,
            bell,
        })
    }
}

/// What is waited for, as a future.
struct Awaited {
    of: Colonies,
    wish: Wish,
    /// From when it was not there at first.
    place: Option<Place>,
}

impl Awaited {
    fn look(&self) -> Result<Option<Process>, Error> {
        let processes = self.of.processes();
        match &self.wish {
            Wish::Work(candidate) => processes.assign(candidate),
            Wish::End(id) => {
                let process = processes.get(id)?;
                let process =
                    process.ok_or_else(|| Error::not_found(Process::WHAT, id.as_str()))?;
                Ok(Some(process).filter(|process| process.state.is_closed()))
            }
        }
    }
}

impl Future for Awaited {
    type Output = Result<Process, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            if let Some(place) = &this.place {
                match ready!(place.bell.poll(context)) {
                    Rung::Changed => {}
                    Rung::Over => this.place = None,
                }
            }
            if let Some(process) = this.look()? {
                this.place = None;
                return Poll::Ready(Ok(process));
            }
            if this.place.is_none() {
                this.place = Some(this.of.await_wish(this.wish.clone())?);
            }
        }
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits in this thread, so long at most.
fn block<T>(
    mut future: impl Future<Output = Result<T, Error>> + Unpin,
    timeout: Duration,
) -> Result<Option<T>, Error> {
    // Far away rather than never.
    const FAR: Duration = Duration::from_secs(365 * 86_400);
    let until = Instant::now() + timeout.min(FAR);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = Pin::new(&mut future).poll(&mut context) {
            return done.map(Some);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::park_timeout(left);
    }
}

impl Processes<'_> {
    /// As [`Processes::assign`]; when none fits it waits for one, so long at most. `None`: there was none.
    ///
    /// # Errors
    /// As [`Processes::assign`]; the database was closed.
    pub fn assign_or_wait(
        &self,
        candidate: &Candidate,
        timeout: Duration,
    ) -> Result<Option<Process>, Error> {
        block(self.awaited(Wish::Work(candidate.clone())), timeout)
    }

    /// As [`Processes::assign_or_wait`], as a future, for any runtime. It waits as long as it lives:
    /// drop it to give up. A process is assigned in the poll that answers it and in no other, so
    /// that none is lost with a future that is dropped.
    ///
    /// While it waits nothing runs for it. A poll looks for a process when one that fits was written, and
    /// takes as long as [`Processes::assign`] then: it waits for the disk if the database's durability
    /// asks for that. Where polls must not take so long, poll it where they may.
    ///
    /// # Errors
    /// As [`Processes::assign_or_wait`].
    pub fn assign_async(
        &self,
        candidate: &Candidate,
    ) -> impl Future<Output = Result<Process, Error>> + Send + Unpin + use<> {
        self.awaited(Wish::Work(candidate.clone()))
    }

    /// The process of this id once it is closed. `None`: it is not yet, after so long.
    ///
    /// # Errors
    /// [`Error::NotFound`]: it is not there, or not any more; the database was closed.
    pub fn wait_for_end(&self, id: &str, timeout: Duration) -> Result<Option<Process>, Error> {
        block(self.awaited(Wish::End(id.to_owned())), timeout)
    }

    /// As [`Processes::wait_for_end`], as a future, for any runtime. It waits as long as it lives.
    ///
    /// # Errors
    /// As [`Processes::wait_for_end`].
    pub fn end_async(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Process, Error>> + Send + Unpin + use<> {
        self.awaited(Wish::End(id.to_owned()))
    }

    fn awaited(&self, wish: Wish) -> Awaited {
        Awaited {
            of: self.of.clone(),
            wish,
            place: None,
        }
    }
}
