//! The sessions that are open: how many there may be, and how one is cancelled from outside.
//!
//! The session's number names it while it is open; who wants to cancel what it does needs its secret
//! too. Tests: tests/it/cancel.rs, tests/it/bounds.rs.

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
    /// Places that are taken.
    taken: usize,
    sessions: HashMap<i32, Entry>,
}

struct Entry {
    secret: i32,
    cancels: watch::Sender<()>,
    canceller: Arc<dyn Cancel>,
}

/// A session's place among the open ones, until it is dropped.
pub(crate) struct Place {
    sessions: Arc<Sessions>,
    cancels: watch::Sender<()>,
    /// Of the session, once there is one.
    key: Option<(i32, i32)>,
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
        if open.taken >= self.sessions_max {
            return None;
        }
        open.taken += 1;
        Some(Place {
            sessions: Arc::clone(self),
            cancels,
            key: None,
        })
    }

    /// Lets a session's statement be cancelled, if the secret is its own.
    pub(crate) fn cancel(&self, process_id: i32, secret: i32) {
        let canceller = {
            let open = self.open.lock();
            match open.sessions.get(&process_id) {
                Some(entry) if entry.secret == secret => {
                    entry.cancels.send_replace(());
                    Some(Arc::clone(&entry.canceller))
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
    /// Lets the session of this number be cancelled from now on, by whoever knows the secret.
    pub(crate) fn open(&mut self, process_id: i32, canceller: Arc<dyn Cancel>) -> i32 {
        let secret = rand::random();
        let entry = Entry {
            secret,
            cancels: self.cancels.clone(),
            canceller,
        };
        self.sessions.open.lock().sessions.insert(process_id, entry);
        self.key = Some((process_id, secret));
        secret
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sessions.open.lock();
        open.taken -= 1;
        if let Some((process_id, secret)) = self.key {
            let own = open.sessions.get(&process_id);
            // Numbers come again after two billion sessions.
            if own.is_some_and(|entry| entry.secret == secret) {
                open.sessions.remove(&process_id);
            }
        }
    }
}
