//! Who waits for whom: deadlocks are found at the moment in which a wait would close a cycle.
//!
//! An owner waits for one lock at a time, so the graph is a map from owners to locks; its edges are
//! read from the locks themselves, to whoever holds or wants before it what excludes the wait.
//!
//! Only a new wait can close a cycle, since others that come to hold a lock are running. New waits,
//! and waits that are given up, happen under the graph's mutex, while the search goes from lock to
//! lock; releases and grants go on beside it. What it finds is nevertheless a cycle, and it
//! misses none: whoever leads back to the new waiter, which does nothing meanwhile, is stuck since
//! before the search began. Time is linear in the waiters reached, but where all holders of the lock
//! run: then only these are looked at.
//!
//! Order of mutexes: the graph, then one shard. Tests: `locks/tests.rs` and `locks/model.rs`.

use foldhash::{HashMap, HashMapExt};

use super::error::{Cycle, CycleWait};
use super::{LockName, Mode, OwnerId, Place, Shards};

/// Where each waiting owner waits. Those who were let in and do not know it yet are in it too: in
/// no queue, so without edges.
#[derive(Default)]
pub(super) struct Graph {
    waits: HashMap<OwnerId, Place>,
}

/// One lock as the search saw it.
struct Seen {
    name: LockName,
    holders: Vec<(OwnerId, Mode)>,
    queue: Vec<(OwnerId, Mode)>,
    places: HashMap<OwnerId, usize>,
    /// What the owner that begins to wait has of it.
    start_holds: Option<Mode>,
    /// How much of holders and queue was followed, for waiters of each mode.
    followed: [usize; 4],
}

impl Seen {
    fn look(shards: &Shards, place: Place, start: OwnerId) -> Option<Seen> {
        let table = shards.lock(place.shard);
        let start_holds = table.held(place.slot, start);
        let entry = table.entry(place.slot)?;
        let holders = entry.holders().iter();
        let queue: Vec<_> = entry
            .queue()
            .map(|waiter| (waiter.request.owner, waiter.request.mode))
            .collect();
        let numbered = queue.iter().enumerate();
        Some(Seen {
            name: entry.name.clone(),
            holders: holders
                .filter_map(|holder| Some((holder.owner, holder.mode()?)))
                .collect(),
            places: numbered
                .map(|(place, (owner, _))| (*owner, place))
                .collect(),
            queue,
            start_holds,
            followed: [0; 4],
        })
    }

    /// Whether `start` is what the waiter at `place` of the queue waits for.
    fn waits_for(&self, place: usize, start: OwnerId) -> bool {
        let mode = self.queue[place].1;
        let queued = self.places.get(&start).filter(|queued| **queued < place);
        let queued = queued.map(|queued| self.queue[*queued].1);
        let mut modes = self.start_holds.into_iter().chain(queued);
        modes.any(|theirs| theirs.conflicts(mode))
    }

    /// Those who block `owner`, but not those that were given for its mode already.
    fn blockers(&mut self, owner: OwnerId, place: usize) -> Vec<OwnerId> {
        let mode = self.queue[place].1;
        let followed = self.followed[mode as usize];
        self.followed[mode as usize] = followed.max(self.holders.len() + place);
        let holders = self.holders.iter();
        holders
            .chain(&self.queue[..place])
            .skip(followed)
            .filter(|(other, theirs)| *other != owner && theirs.conflicts(mode))
            .map(|(other, _)| *other)
            .collect()
    }
}

impl Graph {
    pub(super) fn insert(&mut self, owner: OwnerId, place: Place) {
        self.waits.insert(owner, place);
    }

    pub(super) fn remove(&mut self, owner: OwnerId) -> Option<Place> {
        self.waits.remove(&owner)
    }

    /// The cycle that the wait of `start` closes. `start` has begun to wait, and holds something.
    pub(super) fn cycle(&self, shards: &Shards, start: OwnerId) -> Option<Cycle> {
        if self.is_last_behind_running(shards, start) {
            return None;
        }
        let mut seen: HashMap<Place, Option<Seen>> = HashMap::new();
        // Each owner reached, with the one that waits for it.
        let mut reached: HashMap<OwnerId, OwnerId> = HashMap::new();
        let mut next = vec![start];
        while let Some(owner) = next.pop() {
            let Some(place) = self.waits.get(&owner) else {
                continue;
            };
            let lock = seen
                .entry(*place)
                .or_insert_with(|| Seen::look(shards, *place, start));
            let Some(lock) = lock else { continue };
            let Some(&position) = lock.places.get(&owner) else {
                continue;
            };
            if owner != start && lock.waits_for(position, start) {
                return Some(self.told(&seen, &reached, start, owner));
            }
            for blocker in lock.blockers(owner, position) {
                if blocker != start && !reached.contains_key(&blocker) {
                    reached.insert(blocker, owner);
                    next.push(blocker);
                }
            }
        }
        None
    }

    /// Whether `start` is the last at a lock whose holders all run, as at a row that many write: then
    /// there is no cycle. Whoever waits for the same lock waits for its holders and for others in
    /// its queue alone, so that no way leads out of it, and none of them waits for `start`.
    fn is_last_behind_running(&self, shards: &Shards, start: OwnerId) -> bool {
        let Some(place) = self.waits.get(&start) else {
            return false;
        };
        let table = shards.lock(place.shard);
        let entry = table.entry(place.slot);
        entry.is_some_and(|entry| {
            let mut holders = entry.holders().iter().map(|holder| holder.owner);
            // `start` waits: when it has something of the lock, and others wait for that, it is found.
            holders.all(|owner| !self.waits.contains_key(&owner))
        })
    }

    /// The cycle from `start` to `last`, which waits for `start`.
    fn told(
        &self,
        seen: &HashMap<Place, Option<Seen>>,
        reached: &HashMap<OwnerId, OwnerId>,
        start: OwnerId,
        last: OwnerId,
    ) -> Cycle {
        let (mut waits, mut owner, mut blocked_by) = (Vec::new(), last, start);
        loop {
            let lock = self.waits.get(&owner).and_then(|place| seen.get(place));
            if let Some(Some(lock)) = lock
                && let Some(place) = lock.places.get(&owner)
            {
                waits.push(CycleWait {
                    owner,
                    mode: lock.queue[*place].1,
                    name: lock.name.clone(),
                    blocked_by,
                });
            }
            blocked_by = owner;
            match reached.get(&owner) {
                Some(before) if owner != start => owner = *before,
                _ => break,
            }
        }
        waits.reverse();
        Cycle(waits)
    }
}
