//! Reads: by id, with two readers, and beside a writer.
//!
//! Both sides look a random id up, take an owned handle and read one field of the same encoded
//! document. The bare map is a `hashbrown` map of 16-byte keys to `Arc<[u8]>`, not shared with
//! anybody: it is what a program would use that needs no database.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb::{Collection, Key};
use velocitydb_types::RawMap;

use super::{Map, Options, filled, filled_map};
use crate::BenchError;
use crate::data::{Data, FIELD};
use crate::measure::{Better, Row, Spread, alternate, short, timed};

const READS: usize = 1_000_000;

fn order(count: usize, seed: u64) -> Vec<u32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..READS)
        .map(|_| random.random_range(0..count as u32))
        .collect()
}

fn read_ours(collection: &Collection, keys: &[Key], order: &[u32]) -> f64 {
    timed(order.len(), || {
        let mut sum = 0;
        for &at in order {
            let found = collection.get_by_key(&keys[at as usize]);
            let document = found.ok().flatten().expect("every id was inserted");
            sum += document
                .get(FIELD)
                .and_then(|value| value.as_int())
                .unwrap_or_default();
        }
        black_box(sum);
    })
}

fn read_theirs(map: &Map, data: &Data, order: &[u32]) -> f64 {
    timed(order.len(), || {
        let mut sum = 0;
        for &at in order {
            let found = map.get(data.ids[at as usize].as_bytes());
            let document: Arc<[u8]> = Arc::clone(found.expect("every id was inserted"));
            let fields = RawMap::trusted(&document);
            sum += fields
                .get(FIELD)
                .and_then(|value| value.as_int())
                .unwrap_or_default();
        }
        black_box(sum);
    })
}

fn nanoseconds(rate: Spread) -> String {
    format!("{} ns", short(1e9 / rate.median))
}

/// One thread.
pub(super) fn get(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let (_db, collection) = filled(data)?;
    let (map, keys) = (filled_map(data), data.keys());
    let mut seed = 0;
    let mut orders = || {
        seed += 1;
        order(data.ids.len(), seed / 2)
    };
    let orders = std::cell::RefCell::new(&mut orders);
    let (ratio, ours, theirs) = alternate::<BenchError>(
        options.rounds,
        || Ok(read_ours(&collection, &keys, &orders.borrow_mut()())),
        || Ok(read_theirs(&map, data, &orders.borrow_mut()())),
    )?;
    Ok(vec![Row {
        what: "get by id, one thread, against the bare map".into(),
        figure: ratio,
        unit: "x",
        bar: 0.5,
        aim: 0.8,
        better: Better::Higher,
        detail: format!("{} against {}", nanoseconds(ours), nanoseconds(theirs)),
    }])
}

/// Reads by two threads at once: the rate of both together.
fn two(read: impl Fn(&[u32]) -> f64 + Sync, count: usize) -> f64 {
    let orders = [order(count, 91), order(count, 92)];
    let start = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let threads = orders.each_ref().map(|order| {
            let (read, start) = (&read, &start);
            scope.spawn(move || {
                start.wait();
                read(order)
            })
        });
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0.0))
            .sum()
    })
}

/// The rate of a reader while a writer runs at full speed.
fn beside(read: impl Fn() -> f64, write: impl FnMut() + Send) -> f64 {
    let (running, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut write = write;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                for _ in 0..64 {
                    write();
                }
                running.store(true, Ordering::Release);
            }
        });
        while !running.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
        let rate = read();
        done.store(true, Ordering::Release);
        rate
    })
}

/// Two readers, and a reader beside a writer, each as a share of the same side alone.
pub(super) fn readers(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let (_db, collection) = filled(data)?;
    let (map, keys, count) = (filled_map(data), data.keys(), data.ids.len());
    let one = order(count, 7);
    let ours = || read_ours(&collection, &keys, &one);
    let theirs = || read_theirs(&map, data, &one);
    let (scaling, ours_two, theirs_two) = alternate::<BenchError>(
        options.rounds,
        || Ok(two(|order| read_ours(&collection, &keys, order), count) / ours()),
        || Ok(two(|order| read_theirs(&map, data, order), count) / theirs()),
    )?;
    let mut random = StdRng::seed_from_u64(5);
    let mut update = || {
        let at = random.random_range(0..count);
        let document = data.document(random.random_range(0..count));
        collection
            .upsert(&keys[at], document)
            .expect("an update in memory");
    };
    let mut other = filled_map(data);
    let mut random2 = StdRng::seed_from_u64(5);
    let mut update_other = || {
        let at = random2.random_range(0..count);
        let document = data.document(random2.random_range(0..count)).as_bytes();
        other.insert(*data.ids[at].as_bytes(), Arc::from(document));
    };
    let (absolute, ours_beside, theirs_beside) = alternate::<BenchError>(
        options.rounds,
        || Ok(beside(ours, &mut update)),
        || Ok(beside(theirs, &mut update_other)),
    )?;
    Ok(vec![
        Row {
            what: "two readers: scaling, against the bare map's".into(),
            figure: scaling,
            unit: "x",
            bar: 0.9,
            aim: 1.0,
            better: Better::Higher,
            detail: format!(
                "{} against {} fold",
                short(ours_two.median),
                short(theirs_two.median)
            ),
        },
        Row {
            what: "a reader beside a writer of the same collection, against the bare map's reader \
                   beside a writer to another map"
                .into(),
            figure: absolute,
            unit: "x",
            bar: 0.75,
            aim: 0.9,
            better: Better::Higher,
            detail: format!(
                "{} against {}",
                nanoseconds(ours_beside),
                nanoseconds(theirs_beside)
            ),
        },
    ])
}
