//! The index against a set, with long entries, and with readers beside a writer.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use crossbeam_epoch::pin;

use super::*;

/// Numbers from a seed: SplitMix64 (Steele et al. 2014).
pub(in crate::store) struct Random(pub(in crate::store) u64);

impl Random {
    pub(in crate::store) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as usize % end
    }

    pub(in crate::store) fn range(&mut self, range: std::ops::Range<usize>) -> usize {
        range.start + self.below(range.end - range.start)
    }

    pub(in crate::store) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn bytes(&mut self, len: usize, alphabet: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(alphabet) as u8).collect()
    }
}

impl OrderedIndex {
    /// Whether it was not there.
    fn insert(&self, entry: &[u8], guard: &Guard) -> bool {
        let before = self.len();
        self.change_all(&[(entry, Change::Put)], guard);
        self.len() > before
    }

    /// Whether it was there.
    fn remove(&self, entry: &[u8], guard: &Guard) -> bool {
        let before = self.len();
        self.change_all(&[(entry, Change::Take)], guard);
        self.len() < before
    }
}

const ALL: Range<'static> = Range {
    from: Bound::Unbounded,
    to: Bound::Unbounded,
};

fn held(index: &OrderedIndex, range: &Range<'_>, order: Order) -> Vec<Vec<u8>> {
    let mut held = Vec::new();
    index.visit(range, order, &pin(), &mut |entry| {
        held.push(entry.to_vec());
        true
    });
    held
}

/// The index says what a set says, whatever comes and goes; its memory is what its nodes take.
#[test]
fn it_is_a_set_in_order() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let (index, mut model) = (OrderedIndex::new(), BTreeSet::new());
        let alphabet = random.range(2..255);
        let len_max = random.range(3..40);
        let growing = random.range(30..90);
        for step in 0..4000 {
            let len = random.range(0..len_max);
            let mut entry = random.bytes(len, alphabet);
            let near = model.range(entry.clone()..).next();
            if random.percent(if step < 2000 { growing } else { 100 - growing }) {
                assert_eq!(
                    index.insert(&entry, &pin()),
                    model.insert(entry),
                    "seed {seed}"
                );
            } else {
                entry = near.unwrap_or(&entry).clone();
                assert_eq!(
                    index.remove(&entry, &pin()),
                    model.remove(&entry),
                    "seed {seed}"
                );
            }
            assert_eq!(index.len(), model.len());
            if step % 100 != 0 {
                continue;
            }
            let bound = |random: &mut Random| {
                let len = random.range(0..3);
                let bytes = random.bytes(len, alphabet);
                match random.range(0..3) {
                    0 => Bound::Included(bytes),
                    1 => Bound::Excluded(bytes),
                    _ => Bound::Unbounded,
                }
            };
            let (from, to) = (bound(&mut random), bound(&mut random));
            let range = Range {
                from: from.as_ref().map(|bytes| &bytes[..]),
                to: to.as_ref().map(|bytes| &bytes[..]),
            };
            let within = |entry: &&Vec<u8>| {
                (match &from {
                    Bound::Included(from) => *entry >= from,
                    Bound::Excluded(from) => *entry > from,
                    Bound::Unbounded => true,
                }) && (match &to {
                    Bound::Included(to) => *entry <= to,
                    Bound::Excluded(to) => *entry < to,
                    Bound::Unbounded => true,
                })
            };
            let mut expected: Vec<_> = model.iter().filter(within).cloned().collect();
            assert_eq!(
                held(&index, &range, Order::Forward),
                expected,
                "seed {seed} {range:?}"
            );
            let estimate = index.estimate(&range, &pin());
            if expected.is_empty() || expected.len() == model.len() {
                let error = estimate.abs_diff(expected.len());
                assert!(
                    error <= model.len() / 10 + 1,
                    "seed {seed}: {estimate} {}",
                    expected.len()
                );
            }
            expected.reverse();
            assert_eq!(
                held(&index, &range, Order::Backward),
                expected,
                "seed {seed} {range:?}"
            );
        }
        let bytes = nodes(&index).iter().sum::<usize>();
        assert_eq!(index.bytes(), bytes, "seed {seed}");
        for entry in &model {
            assert!(index.remove(entry, &pin()));
        }
        assert_eq!((index.len(), nodes(&index).len()), (0, 1), "seed {seed}");
    }
}

/// Many changes at once do what one after the other does, and so do those that wait for a reader;
/// also of long entries, and where whole leaves go.
#[test]
fn changes_at_once_are_changes_one_by_one() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (index, waiting, mut model) =
            (OrderedIndex::new(), BufferedIndex::new(), BTreeSet::new());
        let alphabet = random.range(2..255);
        let len_max = [8, 40, 400, 9000][random.below(4)];
        // Batches in one place or all over, of mostly one kind.
        let near = random.percent(50);
        for batch in 0..40 {
            let mut changes = std::collections::BTreeMap::new();
            let beginning = random.bytes(2, alphabet);
            let puts = random.range(5..95);
            for _ in 0..random.range(1..200) {
                let len = random.range(0..len_max);
                let mut entry = random.bytes(len, alphabet);
                if near {
                    entry.splice(0..0, beginning.iter().copied());
                }
                let change = match random.percent(puts) {
                    true => Change::Put,
                    false => {
                        let there = model.range(entry.clone()..).next();
                        entry = there.unwrap_or(&entry).clone();
                        Change::Take
                    }
                };
                waiting.change(&entry, change, &pin());
                changes.insert(entry, change);
            }
            let all: Vec<_> = changes
                .iter()
                .map(|(entry, change)| (&entry[..], *change))
                .collect();
            index.change_all(&all, &pin());
            for (entry, change) in changes {
                match change {
                    Change::Put => model.insert(entry),
                    Change::Take => model.remove(&entry),
                };
            }
            let expected: Vec<_> = model.iter().cloned().collect();
            assert_eq!(index.len(), expected.len(), "seed {seed}, batch {batch}");
            assert!(
                held(&index, &ALL, Order::Forward) == expected,
                "seed {seed}, batch {batch}"
            );
            if random.percent(30) {
                let guard = &pin();
                let settled = held(waiting.settled(guard), &ALL, Order::Backward);
                assert!(
                    settled.iter().rev().eq(&expected),
                    "seed {seed}, batch {batch}"
                );
            }
        }
        let bytes = nodes(&index).iter().sum::<usize>();
        assert_eq!(index.bytes(), bytes, "seed {seed}");
        let gone: Vec<_> = model
            .iter()
            .map(|entry| (&entry[..], Change::Take))
            .collect();
        index.change_all(&gone, &pin());
        assert_eq!((index.len(), nodes(&index).len()), (0, 1), "seed {seed}");
    }
}

/// What waits is bounded, and costs nothing once it is made.
#[test]
fn few_changes_wait() {
    let index = BufferedIndex::new();
    for number in 0..1000_u32 {
        index.change(&number.to_be_bytes(), Change::Put, &pin());
        assert!(index.bytes() < 64 * 1024);
    }
    let guard = &pin();
    assert!(index.nearly(guard).len() > 1000 - 1000 / 10);
    assert_eq!(index.settled(guard).len(), 1000);
    assert_eq!(index.bytes(), index.settled(guard).bytes());
}

/// The bytes of each node.
fn nodes(index: &OrderedIndex) -> Vec<usize> {
    fn add(slot: &Atomic<Node>, bytes: &mut Vec<usize>) {
        let guard = pin();
        // SAFETY: it hangs in the index.
        bytes.push(unsafe { node::bytes_of(slot.load(Ordering::Relaxed, &guard).as_raw()) });
        if let Read::Inner(inner) = OrderedIndex::load(slot, &guard) {
            inner.children.iter().for_each(|child| add(child, bytes));
        }
    }
    let mut bytes = Vec::new();
    add(&index.root, &mut bytes);
    bytes
}

#[test]
fn an_entry_on_a_short_key_takes_less_than_forty_bytes() {
    for ascending in [true, false] {
        let index = OrderedIndex::new();
        for row in 0..100_000_u32 {
            let number = if ascending {
                row
            } else {
                row.wrapping_mul(2_654_435_761)
            };
            let mut entry = Vec::new();
            velocitydb_types::encode_value_key(
                &velocitydb_types::Value::Int(number.into()),
                &mut entry,
            );
            entry.extend_from_slice(&row.to_be_bytes());
            index.insert(&entry, &pin());
        }
        let each = index.bytes() / index.len();
        assert!(each < 30, "{each} bytes");
    }
}

#[test]
fn an_estimate_is_near_what_is_there() {
    let index = OrderedIndex::new();
    for number in 0..50_000_u32 {
        index.insert(&number.to_be_bytes(), &pin());
    }
    for (from, to) in [
        (0, 10),
        (100, 300),
        (1000, 20_000),
        (0, 50_000),
        (49_000, 60_000),
    ] {
        let (low, high) = (u32::to_be_bytes(from), u32::to_be_bytes(to));
        let range = Range {
            from: Bound::Included(&low),
            to: Bound::Excluded(&high),
        };
        let there = to.min(50_000) - from;
        let estimate = index.estimate(&range, &pin()) as f64 / f64::from(there);
        assert!((0.5..2.0).contains(&estimate), "{from}..{to}: {estimate}");
    }
}

/// Ends the readers also when the writer panics.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Long entries that begin alike, and some that do not, never make a node too large.
#[test]
fn long_entries_are_borne() {
    let index = OrderedIndex::new();
    let mut random = Random(1);
    let mut model = BTreeSet::new();
    let beginnings: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|c| c.repeat(ENTRY_BYTES_MAX - 8))
        .collect();
    for step in 0..3000 {
        let beginning = &beginnings[random.range(0..3)];
        let len = if random.percent(90) {
            beginning.len()
        } else {
            random.range(0..beginning.len())
        };
        let entry = format!("{}{}", &beginning[..len], random.range(0..9999)).into_bytes();
        if step < 1500 || random.percent(20) {
            assert_eq!(index.insert(&entry, &pin()), model.insert(entry));
        } else if let Some(entry) = model.range(entry..).next().cloned() {
            assert!(index.remove(&entry, &pin()) && model.remove(&entry));
        }
    }
    let expected: Vec<_> = model.into_iter().collect();
    assert!(held(&index, &ALL, Order::Forward) == expected);
}

/// Entries that stay are seen by every reader, in order, while others come and go around them.
#[test]
fn readers_beside_a_writer_miss_nothing_that_stays() {
    let (index, done) = (OrderedIndex::new(), AtomicBool::new(false));
    let stays: Vec<_> = (0..2000_u32).map(|n| (n * 50).to_be_bytes()).collect();
    stays
        .iter()
        .for_each(|entry| assert!(index.insert(entry, &pin())));
    std::thread::scope(|scope| {
        for order in [Order::Forward, Order::Backward] {
            let (index, done, stays) = (&index, &done, &stays);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let seen = held(index, &ALL, order);
                    let sorted = match order {
                        Order::Forward => seen.is_sorted(),
                        Order::Backward => seen.is_sorted_by(|a, b| a > b),
                    };
                    assert!(sorted);
                    let kept = seen.iter().filter(|entry| {
                        entry
                            .first_chunk()
                            .is_some_and(|n| u32::from_be_bytes(*n) % 50 == 0)
                    });
                    assert_eq!(kept.count(), stays.len());
                }
            });
        }
        let _done = SetWhenDropped(&done);
        let mut random = Random(1);
        for _ in 0..60_000 {
            let number = random.below(100_000) as u32;
            if !number.is_multiple_of(50) {
                let entry = number.to_be_bytes();
                if !index.insert(&entry, &pin()) {
                    index.remove(&entry, &pin());
                }
            }
        }
    });
}
