//! Which log index readers may see, and who still looks at older ones.
//!
//! [`Visible`] is the newest index whose entry, with all before it, has met its durability
//! level. [`Snapshots`] are the readers that stay at one index: a version replaced at `new` is
//! needed by the snapshots from its own index up to `new - 1`, and by nobody else once `new` is
//! visible. Such a version waits with the newest snapshot that needs it, and is looked at again
//! when that one goes: it moves once for each snapshot that held it, whatever their number.
//!
//! Tests: below, and `store::tests` against a model.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use crossbeam_epoch::Guard;
use parking_lot::Mutex;
use velocitydb_types::Timestamp;

use super::table::Garbage;

/// Two indexes, each in a cache line of its own.
#[derive(Default)]
pub struct Visible {
    index: Line,
    settled: Line,
    bell: Bell,
}

#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// `settled` follows this many entries behind: often enough that hardly any document is above
/// it, seldom enough that readers keep its cache line.
const SETTLE_EVERY: u64 = 512;

impl Visible {
    /// The newest visible index.
    #[inline]
    pub fn index(&self) -> u64 {
        self.index.0.load(Ordering::Acquire)
    }

    /// Some index at or below [`Visible::index`], in a cache line that writers seldom touch: a
    /// version at or below it is visible without asking further.
    #[inline]
    pub(crate) fn settled(&self) -> u64 {
        self.settled.0.load(Ordering::Acquire)
    }

    /// Makes everything up to `index` visible. It never moves back. Callers take turns.
    pub(crate) fn advance(&self, index: u64) {
        if self.index.0.load(Ordering::Relaxed) >= index {
            return;
        }
        self.index.0.store(index, Ordering::Release);
        if self.bell.heard.load(Ordering::Relaxed) {
            self.bell.ring();
        }
        if index >= self.settled.0.load(Ordering::Relaxed) + SETTLE_EVERY {
            self.settled.0.fetch_max(index, Ordering::AcqRel);
        }
    }

    /// Brings `settled` up to the visible index.
    pub(crate) fn settle(&self) {
        self.settled.0.fetch_max(self.index(), Ordering::AcqRel);
    }
}

impl Visible {
    /// Wakes those who wait for it to move.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

/// Wakes those who wait for the visible index, while anybody listens at all. Who waits looks at
/// the index under the lock that whoever moved it takes next: so no move is missed.
#[derive(Default)]
pub(crate) struct Bell {
    heard: AtomicBool,
    seats: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Waker>>,
}

impl Bell {
    /// From now on moves are heard. Called where no move is under way.
    pub(crate) fn listen(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Nobody is there to hear.
    pub(crate) fn ignore(&self) {
        self.heard.store(false, Ordering::Relaxed);
    }

    /// What one who will wait is known by.
    pub(crate) fn seat(&self) -> u64 {
        self.seats.fetch_add(1, Ordering::Relaxed)
    }

    /// Ready when `done` says so; else the task is woken at the next move.
    pub(crate) fn poll(
        &self,
        seat: u64,
        context: &mut Context<'_>,
        done: impl FnOnce() -> bool,
    ) -> Poll<()> {
        let mut waiting = self.waiting.lock();
        if done() {
            waiting.remove(&seat);
            return Poll::Ready(());
        }
        waiting.insert(seat, context.waker().clone());
        Poll::Pending
    }

    pub(crate) fn leave(&self, seat: u64) {
        self.waiting.lock().remove(&seat);
    }

    /// Wakes all who wait.
    pub(crate) fn ring(&self) {
        let waiting = {
            let mut waiting = self.waiting.lock();
            match waiting.is_empty() {
                true => return,
                false => std::mem::take(&mut *waiting),
            }
        };
        waiting.into_values().for_each(Waker::wake);
    }
}

struct Held {
    count: usize,
    /// The earliest time at which one of them reads.
    time: Timestamp,
    /// What only this snapshot, and maybe older ones, still needs.
    garbage: Vec<Garbage>,
}

#[derive(Default)]
struct Registry {
    /// By index. The last one may be in use by nobody: the next reader most likely begins there.
    held: BTreeMap<u64, Held>,
    /// Left by snapshots that went; looked at again by the writer.
    returned: Vec<Garbage>,
}

impl Registry {
    fn begin(&mut self, index: u64, time: Timestamp) {
        if let Some(last) = self.held.last_entry()
            && last.get().count == 0
        {
            last.remove();
        }
        let held = Held {
            count: 1,
            time,
            garbage: Vec::new(),
        };
        self.held.insert(index, held);
    }

    /// Those in use, the oldest first.
    fn in_use(&self) -> impl Iterator<Item = (u64, &Held)> {
        let held = self.held.iter().map(|(index, held)| (*index, held));
        held.filter(|(_, held)| held.count > 0)
    }
}

/// The snapshots in use. See the module.
#[derive(Default)]
pub(crate) struct Snapshots(Mutex<Registry>);

impl Snapshots {
    /// Registers a reader at the index and time that `choose` answers; called under the
    /// registry's lock, so that what it reads (the visible index, the catalog) belongs together.
    pub(crate) fn register<T>(
        &self,
        choose: impl FnOnce() -> (u64, Timestamp, T),
    ) -> (u64, Timestamp, T) {
        let mut registry = self.0.lock();
        let (index, time, with) = choose();
        match registry.held.get_mut(&index) {
            Some(held) => {
                held.time = match held.count {
                    0 => time,
                    _ => held.time.min(time),
                };
                held.count += 1;
            }
            None => registry.begin(index, time),
        }
        (index, time, with)
    }

    /// The earliest time at which somebody reads: `time`, unless a snapshot is older.
    pub(crate) fn oldest_time(&self, time: Timestamp) -> Timestamp {
        let registry = self.0.lock();
        let times = registry.in_use().map(|(_, held)| held.time);
        times.fold(time, Timestamp::min)
    }

    /// Runs `change` while no snapshot can be registered.
    pub(crate) fn exclude<T>(&self, change: impl FnOnce() -> T) -> T {
        let _registry = self.0.lock();
        change()
    }

    /// Gives a registration back.
    pub(crate) fn release(&self, index: u64) {
        let mut registry = self.0.lock();
        let Some(held) = registry.held.get_mut(&index) else {
            unreachable!("a snapshot at {index} was registered")
        };
        held.count -= 1;
        if held.count > 0 {
            return;
        }
        let garbage = std::mem::take(&mut held.garbage);
        registry.returned.extend(garbage);
        let last = registry.held.last_key_value();
        if last.is_some_and(|(last, _)| *last != index) {
            registry.held.remove(&index);
        }
    }

    /// How many snapshots are in use, and the oldest index among them.
    pub(crate) fn in_use(&self) -> (usize, Option<u64>) {
        let registry = self.0.lock();
        let count = registry.in_use().map(|(_, held)| held.count).sum();
        let oldest = registry.in_use().next().map(|(index, _)| index);
        (count, oldest)
    }
}

/// Replaced versions on their way out, oldest first. Only the writer has it.
#[derive(Default)]
pub(crate) struct GarbageQueue(VecDeque<Garbage>);

impl GarbageQueue {
    /// Adds what a new version left behind.
    pub(crate) fn push(&mut self, garbage: Garbage) {
        self.0.push_back(garbage);
    }

    /// Looks at up to `limit` versions: reclaims those that nobody can see and parks the others
    /// with the snapshot that needs them. The answer is how many were looked at.
    pub(crate) fn collect(
        &mut self,
        limit: usize,
        visible: &Visible,
        snapshots: &Snapshots,
        guard: &Guard,
    ) -> usize {
        let mut registry = snapshots.0.lock();
        // Read under the registry's lock: snapshots registered later are at or above it.
        let index = visible.index();
        let mut looked_at = 0;
        while looked_at < limit {
            let next = match registry.returned.pop() {
                Some(garbage) => garbage,
                None if self.0.front().is_some_and(|first| first.new_index <= index) => {
                    self.0.pop_front().expect("just seen")
                }
                None => break,
            };
            looked_at += 1;
            let needed = registry
                .held
                .range_mut(next.old_index..next.new_index)
                .rfind(|(_, held)| held.count > 0);
            match needed {
                Some((_, held)) => held.garbage.push(next),
                None => next.table.reclaim(&next, guard),
            }
        }
        looked_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visible_index_never_moves_back() {
        let visible = Visible::default();
        visible.advance(7);
        visible.advance(5);
        assert_eq!((visible.index(), visible.settled()), (7, 0));
        visible.advance(SETTLE_EVERY);
        assert_eq!(visible.settled(), SETTLE_EVERY);
        visible.advance(SETTLE_EVERY + 1);
        visible.settle();
        assert_eq!(visible.settled(), SETTLE_EVERY + 1);
    }

    #[test]
    fn snapshots_are_counted() {
        let snapshots = Snapshots::default();
        for index in [5, 9, 5] {
            snapshots.register(|| (index, Timestamp(index as i64), ()));
        }
        assert_eq!(snapshots.in_use(), (3, Some(5)));
        assert_eq!(snapshots.oldest_time(Timestamp(7)), Timestamp(5));
        assert_eq!(snapshots.oldest_time(Timestamp(3)), Timestamp(3));
        snapshots.release(5);
        snapshots.release(5);
        assert_eq!(snapshots.in_use(), (1, Some(9)));
        snapshots.release(9);
        assert_eq!(
            snapshots.in_use(),
            (0, None),
            "the last one is no longer in use"
        );
        assert_eq!(snapshots.oldest_time(Timestamp(70)), Timestamp(70));
        snapshots.register(|| (9, Timestamp(50), ()));
        assert_eq!(snapshots.oldest_time(Timestamp(70)), Timestamp(50));
        snapshots.release(9);
        for index in [12, 10] {
            snapshots.register(|| (index, Timestamp(60), ()));
        }
        assert_eq!(snapshots.in_use(), (2, Some(10)));
        assert_eq!(snapshots.0.lock().held.len(), 2);
    }
}
