//! The open log on the real file system: the order of things, many threads, and reading.
//! What crashes and faults do is tested in `velocitydb-sim`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::disk::RealDisk;

/// A directory that goes when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir =
            std::env::temp_dir().join(format!("velocitydb-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Scratch(dir)
    }

    fn open(&self, options: LogOptions) -> (Log, Recovered) {
        let mut count = std::fs::read_dir(&self.0).map_or(0, |dir| dir.count() as u128) << 64;
        let salts = Box::new(move || {
            count += 1;
            count.to_le_bytes()
        });
        Log::open(Arc::new(RealDisk), &self.0, options, salts).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn small(write_path: WritePath) -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        first_segment_bytes: 8 << 10,
        write_path,
        ..LogOptions::default()
    }
}

fn payload(index: u64) -> Vec<u8> {
    index.to_le_bytes().repeat(1 + index as usize % 20)
}

fn append(log: &Log, index: u64, term: u64) {
    let payload = payload(index);
    log.reserve(payload.len() as u64).unwrap();
    log.append(index, term, &payload).unwrap();
}

fn indexes(log: &Log, range: std::ops::Range<u64>) -> Vec<u64> {
    let entries = log.read(range).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            assert_eq!(entry.payload, payload(entry.index));
            entry.index
        })
        .collect()
}

#[test]
fn entries_are_read_as_soon_as_they_are_appended() {
    let dir = Scratch::new("read");
    let (log, recovered) = dir.open(small(WritePath::Calls));
    assert_eq!(recovered, Recovered::default());
    assert_eq!((log.first(), log.last(), log.last_index()), (None, None, 0));
    for index in 1..=500 {
        append(&log, index, 1);
    }
    assert_eq!(
        (log.first(), log.last(), log.written(), log.synced()),
        (Some(1), Some(500), 0, 0)
    );
    assert_eq!(indexes(&log, 490..900), (490..=500).collect::<Vec<_>>());
    assert_eq!(log.written(), 500, "reading wrote them first");
    assert_eq!(indexes(&log, 1..u64::MAX), (1..=500).collect::<Vec<_>>());
    assert!(matches!(
        log.read(0..5),
        Err(LogError::Missing { index: 0 })
    ));
    assert!(indexes(&log, 501..600).is_empty());
    assert!(matches!(
        log.flush(501, FlushLevel::Written),
        Err(LogError::Missing { index: 501 })
    ));
}

#[test]
fn a_replay_stops_when_it_is_told_to() {
    let dir = Scratch::new("replay");
    let (log, _) = dir.open(small(WritePath::Calls));
    (1..=300).for_each(|index| append(&log, index, 1));
    let mut seen = Vec::new();
    let replayed = log.replay::<LogError>(250, |entry| {
        assert_eq!(entry.payload, payload(entry.index));
        seen.push(entry.index);
        let done = entry.index == 260;
        Ok(if done {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    });
    replayed.unwrap();
    assert_eq!(seen, (250..=260).collect::<Vec<_>>());
    let failed = log.replay::<LogError>(1, |entry| Err(LogError::Missing { index: entry.index }));
    assert!(matches!(failed, Err(LogError::Missing { index: 1 })));
}

#[test]
fn all_that_was_synced_is_there_after_a_restart() {
    for write_path in [WritePath::Calls, WritePath::Mapped] {
        let dir = Scratch::new("restart");
        let mut next = 1;
        for round in 0..5 {
            let (log, recovered) = dir.open(small(write_path));
            assert_eq!(recovered.last, (next > 1).then(|| (next - 1, 4)));
            for index in next..next + 200 {
                append(&log, index, 4);
                if index % 3 == 0 {
                    log.flush(index, FlushLevel::Written).unwrap();
                }
                if index % 37 == 0 {
                    log.flush(index - 1, FlushLevel::Synced).unwrap();
                    assert!(log.synced() >= index - 1);
                }
            }
            next += 200;
            if round % 2 == 0 {
                log.close().unwrap();
            } else {
                log.sync_all().unwrap();
            }
            assert_eq!(log.synced(), next - 1);
        }
        let (log, recovered) = dir.open(small(write_path));
        assert_eq!((recovered.first, recovered.torn), (Some(1), None));
        assert_eq!(indexes(&log, 1..next), (1..next).collect::<Vec<_>>());
    }
}

#[test]
fn many_threads_share_syncs_and_each_gets_what_it_waits_for() {
    let dir = Scratch::new("threads");
    let (log, _) = dir.open(small(WritePath::Mapped));
    let next = Mutex::new(1u64);
    let (threads, each) = (16, 200);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (log, next) = (&log, &next);
            scope.spawn(move || {
                for turn in 0..each {
                    let index = {
                        let mut next = next.lock();
                        append(log, *next, 0);
                        *next += 1;
                        *next - 1
                    };
                    let written = (thread + turn) % 4 == 0;
                    let level = if written {
                        FlushLevel::Written
                    } else {
                        FlushLevel::Synced
                    };
                    log.flush(index, level).unwrap();
                    let reached = if written { log.written() } else { log.synced() };
                    assert!(reached >= index);
                }
            });
        }
        scope.spawn(|| {
            while log.last_index() < threads * each {
                if log.wants_care() {
                    log.prepare_spare(Timestamp(0)).unwrap();
                }
                std::thread::yield_now();
            }
        });
    });
    let total = threads * each;
    assert_eq!(indexes(&log, 1..u64::MAX), (1..=total).collect::<Vec<_>>());
    drop(log);
    let (log, recovered) = dir.open(small(WritePath::Calls));
    assert_eq!(recovered.last, Some((total, 0)));
    assert_eq!(indexes(&log, 1..u64::MAX), (1..=total).collect::<Vec<_>>());
}

#[test]
fn a_truncation_replaces_the_suffix_for_good() {
    let dir = Scratch::new("truncate");
    let (log, _) = dir.open(small(WritePath::Calls));
    (1..=300).for_each(|index| append(&log, index, 1));
    log.truncate_after(Some(120)).unwrap();
    assert_eq!((log.last_entry(), log.synced()), (Some((120, 1)), 120));
    log.truncate_after(Some(120)).unwrap();
    log.truncate_after(Some(999)).unwrap();
    (121..=130).for_each(|index| append(&log, index, 2));
    log.flush(130, FlushLevel::Synced).unwrap();
    drop(log);
    let (log, recovered) = dir.open(small(WritePath::Calls));
    assert_eq!((recovered.first, recovered.last), (Some(1), Some((130, 2))));
    assert_eq!(indexes(&log, 1..u64::MAX), (1..=130).collect::<Vec<_>>());
    log.truncate_after(None).unwrap();
    assert_eq!((log.first(), log.last()), (None, None));
    drop(log);
    let (log, recovered) = dir.open(small(WritePath::Calls));
    assert_eq!(recovered, Recovered::default());
    append(&log, 77, 3);
    assert_eq!(log.first(), Some(77), "an empty log starts anywhere");
}

#[test]
fn a_purge_frees_segments_and_reuses_them() {
    let dir = Scratch::new("purge");
    let (log, _) = dir.open(small(WritePath::Calls));
    for index in 1..=2000 {
        append(&log, index, 1);
        if index % 200 == 0 {
            log.flush(index, FlushLevel::Synced).unwrap();
            log.purge(index - 100).unwrap();
        }
    }
    let stats = log.stats();
    assert!(
        stats.segments <= 4 && stats.segments_recycled > 5,
        "{stats:?}"
    );
    assert_eq!(log.purged(), Some((1900, 1)));
    assert!(matches!(
        log.read(1900..1901),
        Err(LogError::Missing { index: 1900 })
    ));
    assert!(matches!(
        log.purge(2001),
        Err(LogError::Missing { index: 2001 })
    ));
    log.purge(3).unwrap();
    drop(log);
    let (log, recovered) = dir.open(small(WritePath::Calls));
    assert_eq!(
        (recovered.first, recovered.purged),
        (Some(1901), Some((1900, 1)))
    );
    assert_eq!(
        indexes(&log, 1901..u64::MAX),
        (1901..=2000).collect::<Vec<_>>()
    );
}

#[test]
fn a_reset_goes_on_behind_the_given_entry() {
    let dir = Scratch::new("reset");
    let (log, _) = dir.open(small(WritePath::Calls));
    (1..=300).for_each(|index| append(&log, index, 1));
    log.save_vote(b"for me").unwrap();
    log.save_committed(250, 1).unwrap();
    log.reset_to(1000, 6).unwrap();
    assert_eq!(
        (log.first(), log.last(), log.last_index()),
        (None, None, 1000)
    );
    assert_eq!((log.written(), log.synced()), (1000, 1000));
    log.flush(1000, FlushLevel::Synced).unwrap();
    append(&log, 1001, 6);
    log.flush(1001, FlushLevel::Synced).unwrap();
    assert_eq!(log.stats().segments, 1);
    drop(log);
    let (_, recovered) = dir.open(small(WritePath::Calls));
    let expected = Recovered {
        first: Some(1001),
        last: Some((1001, 6)),
        purged: Some((1000, 6)),
        committed: Some((250, 1)),
        vote: Some(b"for me".to_vec()),
        torn: None,
    };
    assert_eq!(recovered, expected);
}

#[test]
#[should_panic(expected = "without a reservation")]
fn an_entry_that_was_not_reserved_is_refused() {
    let dir = Scratch::new("unreserved");
    let (log, _) = dir.open(small(WritePath::Calls));
    append(&log, 1, 0);
    let _ = log.append(2, 0, b"");
}

#[test]
#[should_panic(expected = "does not follow")]
fn an_entry_that_does_not_follow_is_refused() {
    let dir = Scratch::new("gap");
    let (log, _) = dir.open(small(WritePath::Calls));
    append(&log, 1, 0);
    append(&log, 3, 0);
}

#[test]
fn what_is_too_large_is_refused_before_anything_happens() {
    let dir = Scratch::new("large");
    let (log, _) = dir.open(small(WritePath::Calls));
    assert!(matches!(
        log.reserve(u64::MAX),
        Err(LogError::TooLarge { .. })
    ));
    assert!(matches!(
        log.save_vote(&[0; 1025]),
        Err(LogError::TooLarge { .. })
    ));
    assert_eq!(log.vote(), None);
}

/// The segments of a log as a program of format 1 would have written them.
fn as_format_1(dir: &Scratch) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir.0)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "wal"))
        .collect();
    paths.sort();
    for path in &paths {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[8] = 1;
        bytes[96..104].fill(0);
        let crc = crc32fast::hash(&bytes[..124]);
        bytes[124..128].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(path, bytes).unwrap();
    }
    paths
}

#[test]
fn a_log_of_format_1_is_read_and_goes_on() {
    let dir = Scratch::new("format-1");
    let (log, _) = dir.open(small(WritePath::Calls));
    (1..=300).for_each(|index| append(&log, index, 1));
    log.flush(300, FlushLevel::Synced).unwrap();
    drop(log);
    let paths = as_format_1(&dir);
    assert!(paths.len() > 1);
    // It states no length, so that a cut file passes for a torn tail.
    let newest = std::fs::File::options()
        .write(true)
        .open(&paths[paths.len() - 1]);
    newest.unwrap().set_len(128 + 30).unwrap();
    let (log, recovered) = dir.open(small(WritePath::Calls));
    assert!(recovered.torn.is_some());
    let (last, _) = recovered.last.unwrap();
    assert!((100..300).contains(&last), "{last}");
    append(&log, last + 1, 1);
    log.close().unwrap();
    let (log, recovered) = dir.open(small(WritePath::Calls));
    assert_eq!(recovered.last, Some((last + 1, 1)));
    assert_eq!(
        indexes(&log, 1..last + 2),
        (1..last + 2).collect::<Vec<_>>()
    );
}
