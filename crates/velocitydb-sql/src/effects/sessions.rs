//! The sessions that there are in this process, for who asks about all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Effects;

/// By their addresses.
static ALL: Mutex<BTreeMap<usize, Weak<Effects>>> = Mutex::new(BTreeMap::new());

fn all() -> MutexGuard<'static, BTreeMap<usize, Weak<Effects>>> {
    // Whoever panicked while it was held has left it whole.
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(session: *const Effects) -> usize {
    session as usize
}

impl Effects {
    /// Another session is there, for as long as it has not gone.
    pub(crate) fn enter(self: &Arc<Effects>) {
        let address = address(Arc::as_ptr(self));
        all().insert(address, Arc::downgrade(self));
    }

    /// All sessions of the same store, this one included, the oldest first.
    pub(crate) fn everyone(&self) -> Vec<Arc<Effects>> {
        let all: Vec<_> = all().values().filter_map(Weak::upgrade).collect();
        // A store has one of these.
        let locks: *const _ = self.database.locks();
        let mut same: Vec<_> = all
            .into_iter()
            .filter(|other| std::ptr::eq(other.database.locks(), locks))
            .collect();
        same.sort_by_key(|session| session.owner.id().0);
        same
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        all().remove(&address(self));
    }
}
