//! The sessions that are open: how many there may be, and how one is cancelled from outside.
//!
//! A number names a session while it is open and is not given again soon; who wants to cancel what
//! it does needs its secret too. Tests: tests/it/cancel.rs, tests/it/bounds.rs.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::backend::Cancel;

pub(crate) struct Sessions {
    sessions_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: i32,
    sessions: HashMap<i32, Entry>,
}

struct Entry {
    secret: i32,
    cancels: watch::Sender<()>,
    canceller: Option<Arc<dyn Cancel>>,
}

/// A session's place among the open ones, until it is dropped.
pub(crate) struct Place {
    sessions: Arc<Sessions>,
    pub(crate) process_id: i32,
    pub(crate) secret: i32,
}

impl Sessions {
    pub(crate) fn new(sessions_max: usize) -> Arc<Sessions> {
        Arc::new(Sessions {
            sessions_max,
            open: Mutex::default(),
        })
    }

    /// A place, unless all are taken.
    pub(crate) fn enter(self: &Arc<Sessions>, cancels: watch::Sender<()>) -> Option<Place> {
        let mut open = self.open.lock();
        if open.sessions.len() >= self.sessions_max {
            return None;
        }
        let process_id = loop {
            open.last = open.last.checked_add(1).unwrap_or(1);
            if !open.sessions.contains_key(&open.last) {
                break open.last;
            }
        };
        let secret = rand::random();
        let entry = Entry {
            secret,
            cancels,
            canceller: None,
        };
        open.sessions.insert(process_id, entry);
        let sessions = Arc::clone(self);
        Some(Place {
            sessions,
            process_id,
            secret,
        })
    }

    /// Lets a session's statement be cancelled, if the secret is its own.
    pub(crate) fn cancel(&self, process_id: i32, secret: i32) {
        let canceller = {
            let open = self.open.lock();
            match open.sessions.get(&process_id) {
                Some(entry) if entry.secret == secret => {
                    entry.cancels.send_replace(());
                    entry.canceller.clone()
                }
                _ => None,
            }
        };
        if let Some(canceller) = canceller {
            canceller.cancel();
        }
    }
}

impl Place {
    /// What cancels the session's statement, now that there is a session.
    pub(crate) fn cancelled_by(&self, canceller: Arc<dyn Cancel>) {
        let mut open = self.sessions.open.lock();
        if let Some(entry) = open.sessions.get_mut(&self.process_id) {
            entry.canceller = Some(canceller);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.open.lock().sessions.remove(&self.process_id);
    }
}
