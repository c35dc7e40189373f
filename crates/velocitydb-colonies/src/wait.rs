//! Waiting in place of polling: for a process that fits, and for a process's end.
//!
//! One thread follows what is written to the processes, from the first time that somebody waits, and wakes
//! those whom a change may concern: it knows what they wait for. Whoever is woken looks for himself.
//! Nothing is missed: whoever waits is known before he looks for the first time, and the thread follows
//! before anybody is known.
//!
//! ```text
//!   known ──► look: there is one ──► done
//!     ▲           │ none
//!     │           ▼
//!   woken ◄── wait, until the time is up ──► look once more
//! ```
//!
//! Tests: tests/it/assignment.rs.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

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
enum Wish {
    /// A process for this executor.
    Work(Candidate),
    /// The end of a process.
    End(String),
}

/// Rings once or more.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_one();
    }

    /// Waits until it has rung; whether it has.
    fn wait(&self, until: Instant) -> bool {
        let mut rung = self.rung.lock();
        while !*rung {
            if self.changed.wait_until(&mut rung, until).timed_out() {
                break;
            }
        }
        std::mem::take(&mut *rung)
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
struct Place<'w> {
    waiters: &'w Waiters,
    number: u64,
    bell: Arc<Bell>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiters.state.lock().waiters.remove(&self.number);
    }
}

impl Waiters {
    fn ring(&self, concerned: impl Fn(&Wish) -> bool) {
        let known = self.state.lock();
        let woken = known
            .waiters
            .values()
            .filter(|waiter| concerned(&waiter.wish));
        woken.for_each(|waiter| waiter.bell.ring());
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
                // Whoever waits looks, and is told what is wrong.
                waiters.state.lock().follows = false;
                waiters.ring(|_| true);
                return;
            }
        }
    }
}

impl Colonies {
    fn await_wish(&self, wish: Wish) -> Result<Place<'_>, Error> {
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
        let (number, bell) = (known.next, Arc::new(Bell::default()));
        known.next += 1;
        let waiter = Waiter {
            wish,
            bell: Arc::clone(&bell),
        };
        known.waiters.insert(number, waiter);
        Ok(Place {
            waiters,
            number,
            bell,
        })
    }
}

impl Processes<'_> {
    /// As [`Processes::assign`]; when none fits it waits for one, so long at most. `None`: there was none.
    ///
    /// # Errors
    /// As [`Processes::assign`].
    pub fn assign_or_wait(
        &self,
        candidate: &Candidate,
        timeout: Duration,
    ) -> Result<Option<Process>, Error> {
        if let Some(process) = self.assign(candidate)? {
            return Ok(Some(process));
        }
        let until = deadline(timeout);
        let place = self.of.await_wish(Wish::Work(candidate.clone()))?;
        loop {
            if let Some(process) = self.assign(candidate)? {
                return Ok(Some(process));
            }
            if !place.bell.wait(until) {
                return Ok(None);
            }
        }
    }

    /// The process of this id once it is closed. `None`: it is not yet, after so long.
    ///
    /// # Errors
    /// [`Error::NotFound`]: it is not there, or not any more.
    pub fn wait_for_end(&self, id: &str, timeout: Duration) -> Result<Option<Process>, Error> {
        let until = deadline(timeout);
        let place = self.of.await_wish(Wish::End(id.to_owned()))?;
        loop {
            let process = self.get(id)?;
            let process = process.ok_or_else(|| Error::not_found(Process::WHAT, id))?;
            if process.state.is_closed() {
                return Ok(Some(process));
            }
            if !place.bell.wait(until) {
                return Ok(None);
            }
        }
    }
}

/// The moment so much later; far away rather than never.
fn deadline(timeout: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 86_400);
    Instant::now() + timeout.min(FAR)
}
