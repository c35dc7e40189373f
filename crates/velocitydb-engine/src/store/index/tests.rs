//! The index by itself, with made-up rows and pointers.

use std::collections::HashSet;

use crossbeam_epoch::pin;

use super::*;

fn rows(index: &HashIndex<RowId>, hash: u32) -> HashSet<RowId> {
    let mut rows = HashSet::new();
    index.find(hash, &pin(), |row| -> Option<()> {
        rows.insert(row);
        None
    });
    rows
}

fn stored(_: RowId) -> u32 {
    unreachable!("a row's hash is in its word")
}

fn mix(n: u32) -> u32 {
    let n = (n ^ (n >> 16)).wrapping_mul(0x7feb_352d);
    let n = (n ^ (n >> 15)).wrapping_mul(0x846c_a68b);
    n ^ (n >> 16)
}

#[test]
fn rows_are_found_while_the_index_grows_and_shrinks() {
    let count = if cfg!(miri) { 300 } else { 60_000 };
    let index = HashIndex::<RowId>::new();
    let guard = &pin();
    for row in 0..count {
        index.insert(mix(row), row, stored, guard);
    }
    assert!((0..count).all(|row| rows(&index, mix(row)).contains(&row)));
    let full = index.bytes();
    for row in 0..count {
        if row % 16 != 0 {
            assert!(index.remove(mix(row), row, stored, guard));
            assert!(!index.remove(mix(row), row, stored, guard), "removed once");
        }
    }
    for row in 0..count {
        assert_eq!(
            rows(&index, mix(row)).contains(&row),
            row % 16 == 0,
            "row {row}"
        );
    }
    assert!(
        index.bytes() < full / 2,
        "{} of {full} bytes given back",
        index.bytes()
    );
}

/// Version pointers whose hash can be computed again from the address: nothing reads them.
#[test]
fn splitting_a_large_index_computes_few_hashes_again() {
    let (count, large) = if cfg!(miri) {
        (300, 300)
    } else {
        (400_000, 200_000)
    };
    let pointer = |n: u32| std::ptr::without_provenance_mut::<Header>(8 * (n as usize + 1));
    let hash = |pointer: VersionPointer| mix((pointer.addr() / 8 - 1) as u32);
    let again = std::cell::Cell::new(0);
    let rehash = |pointer| {
        again.set(again.get() + 1);
        hash(pointer)
    };
    let (index, guard) = (HashIndex::<VersionPointer>::new(), &pin());
    for n in 0..count {
        if n == large {
            again.set(0);
        }
        index.insert(mix(n), pointer(n), rehash, guard);
    }
    assert!(again.get() < (count - large) / 4, "{} hashes", again.get());
    for n in 0..count {
        let found = index.find(mix(n), guard, |found| (found == pointer(n)).then_some(()));
        assert!(found.is_some(), "{n}");
        // Another version of it, at another address with the same hash.
        let other = std::ptr::without_provenance_mut(pointer(n).addr() + (1 << 40));
        index.replace(mix(n), pointer(n), other, guard);
        let hash = |pointer: VersionPointer| hash(pointer.map_addr(|at| at & !(1 << 40)));
        assert!(
            n % 2 == 0 || index.remove(mix(n), other, hash, guard),
            "{n}"
        );
    }
}

#[test]
fn equal_hashes_are_kept_apart_by_row() {
    let index = HashIndex::<RowId>::new();
    let guard = &pin();
    for row in 0..100 {
        index.insert(0, row, stored, guard);
    }
    assert_eq!(rows(&index, 0).len(), 100);
    assert!(rows(&index, 1).is_empty());
    for row in 0..100 {
        assert!(index.remove(0, row, stored, guard));
    }
    assert!(rows(&index, 0).is_empty());
}

#[test]
fn readers_never_miss_a_row_that_stays() {
    let index = HashIndex::<RowId>::new();
    for row in 0..100 {
        index.insert(mix(row), row, stored, &pin());
    }
    let (turns, done) = (if cfg!(miri) { 200 } else { 200_000 }, AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..turns {
                let row = 100 + turn % 20_000;
                index.insert(mix(row), row, stored, &pin());
                if turn % 3 == 0 {
                    index.remove(mix(row), row, stored, &pin());
                }
            }
            done.store(1, Ordering::Release);
        });
        while done.load(Ordering::Acquire) == 0 {
            for row in 0..100 {
                assert!(rows(&index, mix(row)).contains(&row));
            }
        }
    });
}
