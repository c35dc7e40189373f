//! How long a prepared statement takes: whether it may keep the thread of a server that has few.
//!
//! Handing a thread's other work to another thread and taking it back costs more than most statements
//! do. So a statement that was brief runs where it is; one that was not, or has not run yet, does so
//! where it may take its time. One that turns out to take very long keeps a thread from its other work
//! once, and then has to be brief twice as often as before until it may again: where it does so for some
//! values only, that happens seldom.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What is brief: some times what handing over costs.
const BRIEF: Duration = Duration::from_micros(500);

/// What is very long: more than a brief statement takes whose thread has had to wait for a processor.
const LONG: Duration = Duration::from_millis(10);

/// So often it has to be brief at most.
const WANTED_MAX: u32 = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How often, and never very long meanwhile, it has to be brief until it may keep its thread.
    left: AtomicU32,
    /// The same after it took very long.
    next: AtomicU32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            left: AtomicU32::new(1),
            next: AtomicU32::new(1),
        }
    }
}

impl Pace {
    /// Whether it was brief lately.
    pub(super) fn is_brief(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// Runs it, and notes how long it takes.
    pub(super) fn measure<R>(&self, run: impl FnOnce() -> R) -> R {
        let since = Instant::now();
        let answer = run();
        self.note(since.elapsed());
        answer
    }

    fn note(&self, took: Duration) {
        let left = self.left.load(Ordering::Relaxed);
        if took >= LONG {
            let mut next = self.next.load(Ordering::Relaxed);
            if left == 0 {
                next = WANTED_MAX.min(2 * next);
                self.next.store(next, Ordering::Relaxed);
            }
            self.left.store(next, Ordering::Relaxed);
        } else if took >= BRIEF {
            self.left.store(left.max(1), Ordering::Relaxed);
        } else if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a statement keeps its thread though it takes very long, of so many runs, each tenth of
    /// which does.
    fn kept(runs: u32) -> usize {
        let pace = Pace::default();
        let kept = (0..runs).filter(|run| {
            let is_long = run % 10 == 9;
            let kept = is_long && pace.is_brief();
            pace.note(if is_long { LONG } else { BRIEF / 2 });
            kept
        });
        kept.count()
    }

    #[test]
    fn what_is_sometimes_very_long_seldom_keeps_a_thread() {
        assert!(kept(1_000_000) <= 5);
    }

    #[test]
    fn what_is_brief_keeps_its_thread() {
        let pace = Pace::default();
        assert!(!pace.is_brief());
        pace.note(BRIEF / 2);
        assert!(pace.is_brief());
        // Its thread may have had to wait for a processor.
        for _ in 0..100 {
            pace.note(BRIEF);
            assert!(!pace.is_brief());
            pace.note(BRIEF / 2);
            assert!(pace.is_brief());
        }
    }
}
