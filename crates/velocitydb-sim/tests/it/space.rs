//! A full disk is found before an entry is accepted, and is no end.

use std::path::Path;
use std::sync::Arc;

use velocitydb_engine::disk::Disk;
use velocitydb_engine::log::{FlushLevel, Log, LogError, WritePath};
use velocitydb_sim::{CrashMode, Random, SimDisk, seeds};

use crate::model::{Content, DIR, Event, Model, open, options};

#[test]
fn a_full_disk_refuses_entries_and_loses_none() {
    for seed in seeds(30) {
        let disk = SimDisk::new(seed);
        let mut random = Random::new(seed);
        let (log, _) = open(&disk, seed).unwrap();
        let mut model = Model::default();
        disk.set_capacity(Some(3000 + random.below(30_000)));
        let mut refused = 0;
        let mut index = 1;
        while refused < 5 {
            let payload = vec![random.bits() as u8; random.below(900) as usize];
            let last = log.last_index();
            match log.reserve(payload.len() as u64) {
                Ok(()) => {
                    log.append(index, 1, &payload).unwrap();
                    log.flush(index, FlushLevel::Synced).unwrap();
                    model.events.push(Event::Append(index, 1, payload));
                    index += 1;
                }
                Err(LogError::DiskFull { needed }) => {
                    assert!(needed > 0);
                    assert_eq!(log.last_index(), last);
                    refused += 1;
                    // Space comes back, and goes again.
                    disk.set_capacity(None);
                    log.reserve(payload.len() as u64).unwrap();
                    log.append(index, 1, &payload).unwrap();
                    log.flush(index, FlushLevel::Synced).unwrap();
                    model.events.push(Event::Append(index, 1, payload));
                    index += 1;
                    let used: usize = disk
                        .paths()
                        .iter()
                        .filter_map(|path| disk.content(path))
                        .map(|c| c.len())
                        .sum();
                    disk.set_capacity(Some(used as u64 + random.below(9000)));
                }
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        // A full disk hinders no start.
        disk.set_capacity(Some(0));
        let disk = disk.crash(CrashMode::PowerLoss);
        let (log, recovered) = open(&disk, seed).unwrap();
        let floor = model.events.len();
        model.adopt(&Content::of(&log, &recovered), floor, &|| {
            format!("seed {seed}")
        });
        assert!(matches!(log.reserve(1), Err(LogError::DiskFull { .. })));
        disk.set_capacity(None);
        log.reserve(1).unwrap();
    }
}

#[test]
fn an_entry_larger_than_a_segment_gets_its_own() {
    let disk = SimDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (log, _) = Log::open(
        shared,
        Path::new(DIR),
        options(WritePath::Calls),
        Random::new(1).salts(),
    )
    .unwrap();
    let mut random = Random::new(9);
    let large: Vec<u8> = (0..50_000).map(|_| random.bits() as u8).collect();
    for (index, payload) in [(1, &b"small"[..]), (2, &large), (3, &b"after"[..])] {
        log.reserve(payload.len() as u64).unwrap();
        log.append(index, 0, payload).unwrap();
    }
    log.flush(3, FlushLevel::Synced).unwrap();
    let disk = disk.crash(CrashMode::PowerLoss);
    let (log, _) = open(&disk, 2).unwrap();
    let entries: Vec<_> = log
        .read(1..9)
        .unwrap()
        .map(|entry| entry.unwrap().payload)
        .collect();
    assert_eq!(entries, [b"small".to_vec(), large, b"after".to_vec()]);
}
