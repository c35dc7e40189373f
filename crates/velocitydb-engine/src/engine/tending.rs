//! Work between writes: versions that nobody sees, documents that have expired, old snapshots.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;
use velocitydb_types::Timestamp;

use super::Engine;
use crate::catalog::Persistence;
use crate::command::Command;
use crate::commit::Durability;
use crate::error::Error;

/// Expired documents removed while writers wait.
const EXPIRED_STEP: usize = 128;
/// How far log time may stay behind the clock while expired documents wait for it.
const TICK_AFTER_US: i64 = 1_000_000;

impl Engine {
    /// Background work that its owner calls now and then: gives back up to `limit` versions that
    /// nobody sees any more, gives up snapshots past their deadline, prepares log space. The
    /// answer says whether there is more to do.
    pub fn tend(&self, now: Timestamp, limit: usize) -> Result<bool, Error> {
        self.tend_history(now);
        let given_up = self.deadlines.enforce(now);
        self.given_up.fetch_add(given_up as u64, Ordering::Relaxed);
        let mut looked_at = 0;
        for persistence in [Persistence::Logged, Persistence::Volatile] {
            self.shared.domain(persistence).visible.settle();
            looked_at += self.writer.lock().collect(persistence, limit);
            looked_at += self.remove_expired(persistence, now, limit);
        }
        // With a second in between: a database that is idle writes no more than that.
        let lately = Timestamp(now.0.saturating_sub(TICK_AFTER_US));
        if self.writer.lock().waits_for_time(lately) && self.check_open().is_ok() {
            self.propose(now, &Command::Tick, Some(Durability::Memory))?;
        }
        crossbeam_epoch::pin().flush();
        // Dropped after the lock is.
        let unused: Vec<_> = {
            let mut retired = self.retired.lock();
            retired
                .extract_if(.., |old| Arc::strong_count(old) == 1)
                .collect()
        };
        drop(unused);
        if let Some(files) = &self.files
            && files.log.wants_care()
        {
            files.log.prepare_spare(now)?;
        }
        let building = self.build_indexes(None).unwrap_or(false);
        Ok(looked_at >= limit || building)
    }

    /// In small steps, between which writers take their turns.
    fn remove_expired(&self, persistence: Persistence, now: Timestamp, limit: usize) -> usize {
        let mut removed = 0;
        while removed < limit {
            let mut state = self.writer.lock();
            let step = state.remove_expired(persistence, now, EXPIRED_STEP);
            removed += step;
            if step < EXPIRED_STEP {
                break;
            }
            MutexGuard::unlock_fair(state);
        }
        self.expired.fetch_add(removed as u64, Ordering::Relaxed);
        removed
    }
}
