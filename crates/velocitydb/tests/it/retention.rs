//! Time-series indexes: ranges, partitions, and documents that expire with their partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use velocitydb::query::{Filter, Find};
use velocitydb::{
    Call, Clock, Collection, Database, Definition, Expiry, IndexDefinition, Key, ManualClock, Meta,
    Options, Path, TimeSpan, Timestamp, Update, Value,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{SECOND, START, clock, code, create, on_disk, still, text, tidy};

const HOUR: i64 = 3600 * SECOND;

fn at(offset: i64) -> Value {
    Value::Time(Timestamp(START.0 + offset))
}

/// Partitions of an hour, kept for two more.
fn hourly() -> IndexDefinition {
    let hour = TimeSpan(HOUR as u64);
    IndexDefinition::time_series("by_time", Path::field("at"), hour)
        .keep_for(TimeSpan(2 * HOUR as u64))
}

fn timed() -> (Database, Arc<ManualClock>) {
    let clock = clock();
    let options = still(Options::in_memory()).clock(clock.clone());
    (Database::open(options).unwrap(), clock)
}

/// A document every half hour of the four hours before the start, named by minutes.
fn fill(readings: &Collection) {
    for half in 0..8 {
        let back = half * HOUR / 2 + 1;
        let id = format!("m{}", half * 30);
        readings.insert_with_id(id, [("at", at(-back))]).unwrap();
    }
}

fn ids(readings: &Collection, find: &Find) -> Vec<String> {
    let found = readings.find(find).unwrap();
    found.iter().map(|found| found.id().to_string()).collect()
}

fn all(readings: &Collection) -> Vec<String> {
    ids(
        readings,
        &Find::new(Filter::All).sort([("at", velocitydb::query::Direction::Ascending)]),
    )
}

#[test]
fn a_range_of_time_is_read_in_order_by_the_index() {
    let (db, _) = timed();
    let readings = create(&db, "readings");
    fill(&readings);
    for minute in 0..500 {
        readings.insert([("at", at(minute * 60 * SECOND))]).unwrap();
    }
    let index = IndexDefinition {
        retention: None,
        ..hourly()
    };
    readings.create_index(index).unwrap();
    let find = Find::new(Filter::ge("at", at(-HOUR)).and(Filter::lt("at", at(0))))
        .sort([("at", velocitydb::query::Direction::Ascending)]);
    assert_eq!(ids(&readings, &find), ["m30", "m0"]);
    let plan = readings.explain(&find).unwrap().to_string();
    assert!(plan.contains("by_time"), "{plan}");
    assert!(!plan.contains("sort"), "{plan}");
}

#[test]
fn partitions_are_told_with_their_entries() {
    let (db, _) = timed();
    let readings = create(&db, "readings");
    fill(&readings);
    readings
        .insert_with_id("no time", [("at", "noon".into())])
        .unwrap();
    readings.insert_with_id("none", []).unwrap();
    readings.create_index(hourly()).unwrap();
    let partitions = readings.partitions("by_time", 10).unwrap();
    let told = partitions.iter().map(|one| {
        assert_eq!(one.to.0 - one.from.0, HOUR);
        assert_eq!(one.kept_until, Some(Timestamp(one.to.0 + 2 * HOUR)));
        ((one.from.0 - START.0) / HOUR, one.entries)
    });
    // Those of four and of three hours ago are not kept.
    assert_eq!(told.collect::<Vec<_>>(), [(-1, 2), (-2, 2)]);
    assert_eq!(readings.partitions("by_time", 1).unwrap(), partitions[..1]);
    assert_eq!(code(readings.partitions("other", 1)), "unknown_index");
}

#[test]
fn a_partition_goes_as_a_whole() {
    let (db, clock) = timed();
    let readings = create(&db, "readings");
    readings.create_index(hourly()).unwrap();
    for (id, minutes) in [("a", 0), ("b", 59), ("c", 60)] {
        readings
            .insert_with_id(id, [("at", at(minutes * 60 * SECOND))])
            .unwrap();
    }
    readings.insert_with_id("timeless", []).unwrap();
    clock.advance(3 * HOUR - 100);
    assert_eq!(readings.count().unwrap(), 4);
    let view = readings.view().unwrap();
    clock.advance(100);
    assert_eq!(all(&readings), ["timeless", "c"], "to the microsecond");
    assert_eq!(view.count().unwrap(), 4, "a snapshot keeps its moment");
    drop(view);
    // Log time goes on first.
    clock.advance(5 * SECOND);
    tidy(&db);
    tidy(&db);
    assert_eq!(readings.stats().unwrap().documents, 2);
    assert_eq!(readings.partitions("by_time", 9).unwrap().len(), 1);
    clock.advance(HOUR);
    assert_eq!(all(&readings), ["timeless"]);
}

#[test]
fn what_is_longer_ago_than_is_kept_is_refused() {
    let (db, _) = timed();
    let readings = create(&db, "readings");
    readings.create_index(hourly()).unwrap();
    readings
        .insert_with_id("kept", [("at", at(-2 * HOUR))])
        .unwrap();
    let late = readings.insert_with_id("late", [("at", at(-2 * HOUR - 1))]);
    let told = late.as_ref().unwrap_err().to_string();
    assert_eq!(code(late), "beyond_retention");
    assert!(told.contains("now from 2025-12-31T22:00:00Z on"), "{told}");
    assert!(told.contains("\"by_time\""), "{told}");
    let moved = readings.update("kept", Update::new().set("at", at(-9 * HOUR)));
    assert_eq!(code(moved), "beyond_retention");
    // An import of what was exported before it expired.
    let gone = Call::new().expires(Expiry::At(Timestamp(START.0 - HOUR)));
    let gone = readings.with(gone);
    gone.insert_with_id("gone", [("at", at(-9 * HOUR))])
        .unwrap();
    assert_eq!(all(&readings), ["kept"]);
}

#[test]
fn the_retention_follows_the_time_that_a_document_has() {
    let (db, _) = timed();
    let readings = create(&db, "readings");
    readings.create_index(hourly()).unwrap();
    let expires = |readings: &Collection| {
        let expires = readings.get("x").unwrap().unwrap().expires_at();
        expires.map(|at| (at.0 - START.0) / HOUR)
    };
    readings.insert_with_id("x", [("at", at(0))]).unwrap();
    assert_eq!(expires(&readings), Some(3));
    readings
        .update("x", Update::new().set("at", at(5 * HOUR)))
        .unwrap();
    assert_eq!(expires(&readings), Some(8));
    readings.update("x", Update::new().unset("at")).unwrap();
    assert_eq!(expires(&readings), None);
    // What a write says counts where it is earlier, and outlives a change of the time.
    let soon = readings.with(Call::new().expires(Expiry::At(Timestamp(START.0 + HOUR))));
    soon.update("x", Update::new().set("at", at(0))).unwrap();
    assert_eq!(expires(&readings), Some(1));
    readings
        .update("x", Update::new().set("at", at(5 * HOUR)))
        .unwrap();
    assert_eq!(expires(&readings), Some(1));
    let never = readings.with(Call::new().expires(Expiry::Never));
    never.update("x", Update::new().set("at", at(0))).unwrap();
    assert_eq!(expires(&readings), Some(3));
}

#[test]
fn documents_that_are_there_expire_when_the_index_is_made_and_not_when_it_is_dropped() {
    let (db, clock) = timed();
    let readings = create(&db, "readings");
    fill(&readings);
    let soon = readings.with(Call::new().expires(Expiry::At(Timestamp(START.0 + 60 * SECOND))));
    soon.insert_with_id("soon", [("at", at(0))]).unwrap();
    readings.create_index(hourly()).unwrap();
    assert_eq!(all(&readings), ["m90", "m60", "m30", "m0", "soon"]);
    readings.drop_index("by_time").unwrap();
    clock.advance(60 * SECOND - 100);
    assert_eq!(readings.count().unwrap(), 5);
    clock.advance(10 * HOUR);
    assert_eq!(all(&readings), ["m90", "m60", "m30", "m0"]);
}

#[test]
fn a_restart_changes_nothing() {
    for crash in [false, true] {
        let disk = SimDisk::new(7);
        let clock = clock();
        let open = |disk: &SimDisk| Database::open(on_disk(disk).clock(clock.clone())).unwrap();
        let db = open(&disk);
        let readings = create(&db, "readings");
        fill(&readings);
        readings.create_index(hourly()).unwrap();
        readings.insert_with_id("new", [("at", at(0))]).unwrap();
        let before = (all(&readings), db.digest());
        if !crash {
            db.checkpoint().unwrap();
        }
        drop((readings, db));
        let disk = match crash {
            true => disk.crash(CrashMode::Process),
            false => disk,
        };
        let db = open(&disk);
        let readings = db.collection("readings").unwrap();
        assert_eq!((all(&readings), db.digest()), before);
        clock.advance(2 * HOUR);
        assert_eq!(all(&readings), ["new"]);
        assert_eq!(
            code(readings.insert_with_id("late", [("at", at(-HOUR))])),
            "beyond_retention"
        );
    }
}

#[test]
fn rows_that_would_not_be_kept_are_refused_before_anything_is_written() {
    let (db, _) = timed();
    let (raw, readings) = (create(&db, "raw"), create(&db, "readings"));
    readings.create_index(hourly()).unwrap();
    readings.insert_with_id("there", [("at", at(0))]).unwrap();
    for row in 0..2000 {
        raw.insert_with_id(row, [("at", at(row * SECOND))]).unwrap();
    }
    raw.insert_with_id(2000, [("at", at(-9 * HOUR))]).unwrap();
    for output in ["out", "merge"] {
        let pipeline = format!(r#"[{{"$sort": {{"_id": 1}}}}, {{"${output}": "readings"}}]"#);
        let pipeline = velocitydb::query::Pipeline::from_json(&pipeline).unwrap();
        let told = raw.aggregate(&pipeline).unwrap_err().to_string();
        assert!(told.contains("keeps documents"), "{told}");
        assert_eq!(all(&readings), ["there"], "{output}");
    }
}

/// Documents with all that is known of them, by id.
fn told(readings: &Collection) -> Vec<(Key, String, Meta)> {
    let mut all = Vec::new();
    let view = readings.view().unwrap();
    view.scan(|found| {
        all.push((found.id(), text(found), found.meta()));
        true
    })
    .unwrap();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Retentions come, change and go beside writers, while documents expire; replay does the same with
/// nobody beside.
#[test]
fn replay_makes_the_same_of_retentions_beside_writers() {
    let seed = std::env::var("SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let (disk, clock) = (SimDisk::new(seed), clock());
    let open = |disk: &SimDisk| Database::open(on_disk(disk).clock(clock.clone())).unwrap();
    let db = open(&disk);
    let readings = create(&db, "readings");
    let now = || clock.now().0 - START.0;
    let short = |name: &str, kept: u64| {
        IndexDefinition::time_series(name, Path::field("at"), TimeSpan(2 * SECOND as u64))
            .keep_for(TimeSpan(kept * SECOND as u64))
    };
    let expected = [
        "not_found",
        "beyond_retention",
        "index_exists",
        "unknown_index",
        "invalid_definition",
        "definition_changed",
    ];
    let fine = |result: Result<(), velocitydb::Error>| {
        if let Err(error) = result {
            assert!(
                expected.contains(&error.code().0),
                "{error} {}",
                error.code().0
            );
        }
    };
    let turns = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for writer in 0..2_u64 {
            let (readings, turns, fine, clock, now) = (&readings, &turns, &fine, &clock, &now);
            scope.spawn(move || {
                let mut random = seed * 2 + writer + 1;
                let mut next = move |below: u64| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random % below
                };
                for _ in 0..4000 {
                    turns.fetch_add(1, Ordering::Relaxed);
                    let id = (next(400) * 2 + writer) as i64;
                    let time = at(now() + next(40_000_000) as i64 - 30 * SECOND);
                    let call = Call::new().expires(match next(4) {
                        0 => Expiry::At(Timestamp(START.0 + now() + next(20_000_000) as i64)),
                        _ => Expiry::Default,
                    });
                    let to = readings.with(call);
                    fine(match next(6) {
                        0 => to.delete(id).map(|_| ()),
                        1 | 2 => to.upsert(id, [("at", time)]).map(|_| ()),
                        3 => to.upsert(id, [("n", 1.into())]).map(|_| ()),
                        4 => to.update(id, Update::new().set("n", 2)).map(|_| ()),
                        _ => to.update(id, Update::new().set("at", time)).map(|_| ()),
                    });
                    clock.advance(next(20_000) as i64);
                }
            });
        }
        for other in 0..2_u64 {
            let (readings, turns, fine, db) = (&readings, &turns, &fine, &db);
            scope.spawn(move || {
                let mut round = other;
                while turns.load(Ordering::Relaxed) < 8000 {
                    round += 1;
                    let name = format!("r{}", round % 2);
                    let plain = IndexDefinition::btree("plain", [Path::field("at")]);
                    fine(match round % 7 {
                        0 | 3 => readings.create_index(short(&name, 10)).map(|_| ()),
                        1 => readings.create_index(plain).map(|_| ()),
                        2 => readings.drop_index("plain").map(|_| ()),
                        4 => readings.create_index(short(&name, 0)).map(|_| ()),
                        _ => readings.drop_index(&name).map(|_| ()),
                    });
                    if round % 5 == other {
                        tidy(db);
                    }
                }
            });
        }
    });
    fine(readings.create_index(short("last", 20)).map(|_| ()));
    let definition = readings.definition().unwrap();
    let retention = definition
        .indexes
        .iter()
        .find(|index| index.retention.is_some());
    let (before, digest) = (told(&readings), db.digest());
    for (id, text, meta) in &before {
        let document = readings.get(id).unwrap().unwrap();
        let until = document.get("at").map(|time| {
            retention
                .unwrap()
                .expiry_of(time.as_time().unwrap())
                .unwrap()
        });
        assert!(
            until.is_none_or(|until| meta.expires_at.unwrap() <= until),
            "{text} {meta:?}"
        );
    }
    let by_index = all(&readings).len();
    assert_eq!(by_index, before.len());
    let found = readings
        .find(&Find::new(Filter::ge("at", at(-1_000_000 * SECOND))))
        .unwrap();
    let timed = before
        .iter()
        .filter(|(_, text, _)| text.contains("at"))
        .count();
    assert_eq!(found.len(), timed);
    let disk = disk.crash(CrashMode::Process);
    for start in ["by the log", "by a checkpoint"] {
        let db = open(&disk);
        let readings = db.collection("readings").unwrap();
        assert_eq!(told(&readings), before, "{start}");
        assert_eq!(db.digest(), digest, "{start}");
        db.checkpoint().unwrap();
    }
}

/// The log's time is that of the newest entry, be it ahead of the clock by which the index is dropped.
#[test]
fn what_has_expired_does_not_come_back_when_the_index_is_dropped() {
    let (disk, clock) = (SimDisk::new(7), clock());
    let open = |disk: &SimDisk| Database::open(on_disk(disk).clock(clock.clone())).unwrap();
    let db = open(&disk);
    let readings = create(&db, "readings");
    let hour = TimeSpan(HOUR as u64);
    let short = IndexDefinition::time_series("by_time", Path::field("at"), hour);
    readings.create_index(short.keep_for(TimeSpan(50))).unwrap();
    readings.insert_with_id("soon", [("at", at(-1))]).unwrap();
    // Each a microsecond later than the one before.
    for id in 0..100 {
        readings.insert_with_id(id, []).unwrap();
    }
    assert!(readings.get("soon").unwrap().is_none());
    readings.drop_index("by_time").unwrap();
    assert!(readings.get("soon").unwrap().is_none());
    let digest = db.digest();
    assert_eq!(open(&disk.crash(CrashMode::Process)).digest(), digest);
}

#[test]
fn definitions_that_contradict_themselves_are_refused() {
    let (db, _) = timed();
    let readings = create(&db, "readings");
    readings.create_index(hourly()).unwrap();
    let second = IndexDefinition {
        name: "other".into(),
        ..hourly()
    };
    let told = readings.create_index(second).unwrap_err().to_string();
    assert!(told.contains("documents expire by one"), "{told}");
    assert_eq!(code(readings.create_index(hourly())), "index_exists");
    let text = r#"{"name": "orders", "schema": {"fields": [{"name": "reading", "type": "string", "references": {"collection": "readings"}}]}}"#;
    let orders: Definition = serde_json::from_str(text).unwrap();
    let told = db.create_collection(orders).unwrap_err().to_string();
    assert!(told.contains("whose documents expire"), "{told}");
}
