//! Encrypted databases: nothing readable on the disk, keys named when they are wrong, and a
//! change of key that a crash may interrupt anywhere.

use std::io;
use std::path::Path;
use std::sync::Arc;

use velocitydb::{Background, Database, Definition, EncryptionKey, EncryptionKeys, Error, Options};
use velocitydb_engine::offline;
use velocitydb_sim::{CrashMode, FaultPlan, Repeat, SimDisk, seeds};

/// What no file may show.
const SECRET: &[u8] = b"the treasure is under the oak";

fn key(byte: u8) -> EncryptionKey {
    EncryptionKey::from_content(vec![byte; 32]).unwrap()
}

fn open(disk: &SimDisk, keys: EncryptionKeys) -> Result<Database, Error> {
    let mut log = velocitydb::LogOptions::default();
    (log.first_segment_bytes, log.segment_bytes) = (4096, 8192);
    let options = Options::at("/data").disk(Arc::new(disk.clone())).log(log);
    // Not twice the same salts.
    let seed = 1 + disk.operations();
    Database::open(
        options
            .background(Background::Owner)
            .encryption(keys)
            .seed(seed),
    )
}

/// Writes some documents, with a checkpoint in between.
fn write(db: &Database, from: i64) {
    if db.collection("notes").is_err() {
        db.create_collection(Definition::new("notes")).unwrap();
    }
    let notes = db.collection("notes").unwrap();
    for n in from..from + 20 {
        let text = format!("{} {n} {}", str::from_utf8(SECRET).unwrap(), "-".repeat(99));
        notes.insert_with_id(n, [("text", text.into())]).unwrap();
        if n == from + 10 {
            db.checkpoint().unwrap();
        }
    }
}

fn shows_secret(disk: &SimDisk) -> Vec<String> {
    let paths = disk.paths().into_iter();
    let shows = paths.filter(|path| {
        let content = disk.content(path).unwrap_or_default();
        content.windows(SECRET.len()).any(|bytes| bytes == SECRET)
    });
    shows.map(|path| path.display().to_string()).collect()
}

#[test]
fn nothing_readable_is_on_the_disk() {
    let (plain, encrypted) = (SimDisk::new(1), SimDisk::new(1));
    let keys = EncryptionKeys::new(key(1));
    for (disk, keys) in [
        (&plain, EncryptionKeys::default()),
        (&encrypted, keys.clone()),
    ] {
        let db = open(disk, keys).unwrap();
        write(&db, 0);
        db.close().unwrap();
    }
    assert!(!shows_secret(&plain).is_empty(), "the test looks rightly");
    assert_eq!(shows_secret(&encrypted), Vec::<String>::new());
    let db = open(&encrypted, keys.clone()).unwrap();
    assert_eq!(db.collection("notes").unwrap().count().unwrap(), 20);
    assert_eq!(
        (db.stats().key, db.stats().rekey.files),
        (keys.current(), 0)
    );
    db.close().unwrap();
    drop(db);
    let report = offline::check(&encrypted, Path::new("/data"), &keys).unwrap();
    assert!(report.is_whole(), "{report:?}");
}

#[test]
fn a_wrong_or_missing_key_changes_nothing() {
    let disk = SimDisk::new(2);
    let db = open(&disk, EncryptionKeys::new(key(1))).unwrap();
    write(&db, 0);
    db.close().unwrap();
    drop(db);
    let (one, two) = (key(1).id(), key(2).id());
    for checkpoints in ["with checkpoints", "without"] {
        let before = contents(&disk);
        let refused = open(&disk, EncryptionKeys::default())
            .unwrap_err()
            .to_string();
        let expected = format!("the data is encrypted with key {one}, and no key was given (");
        assert!(refused.starts_with(&expected), "{checkpoints}: {refused}");
        let refused = open(&disk, EncryptionKeys::new(key(2)))
            .unwrap_err()
            .to_string();
        let expected = format!("the data is encrypted with key {one}, the key given is {two} (");
        assert!(refused.starts_with(&expected), "{checkpoints}: {refused}");
        let keys = EncryptionKeys::new(key(2));
        let checked = offline::check(&disk, Path::new("/data"), &keys);
        assert!(matches!(checked, Err(Error::Key(_))), "{checked:?}");
        assert!(
            contents(&disk) == before,
            "{checkpoints}: nothing was changed"
        );
        for path in disk.paths() {
            if path.extension().is_some_and(|ending| ending == "ckpt") {
                assert!(disk.lose(&path));
            }
        }
    }
}

fn contents(disk: &SimDisk) -> Vec<(std::path::PathBuf, Option<Vec<u8>>)> {
    let paths = disk.paths().into_iter();
    paths
        .map(|path| {
            (
                path.clone(),
                disk.content(&path).map(|content| content.to_vec()),
            )
        })
        .collect()
}

/// Brings a directory under the present key; the last step leaves nothing.
fn rekey(db: &Database) -> Result<(), Error> {
    for _ in 0..10 {
        if db.stats().rekey.files == 0 {
            return Ok(());
        }
        db.rekey()?;
    }
    panic!("{:?} is still left", db.stats().rekey)
}

#[test]
fn a_plain_directory_is_encrypted_and_a_key_is_changed() {
    let disk = SimDisk::new(3);
    let changes = [
        EncryptionKeys::default(),
        EncryptionKeys::new(key(1)),
        EncryptionKeys::new(key(2)).with_previous(key(1)),
    ];
    for (round, keys) in changes.into_iter().enumerate() {
        let db = open(&disk, keys.clone()).unwrap();
        let left = db.stats().rekey.files;
        assert_eq!(left > 0, round > 0, "{:?}", db.stats().rekey);
        rekey(&db).unwrap();
        write(&db, round as i64 * 100);
        db.close().unwrap();
        drop(db);
        // The previous key is needed no more.
        if round > 0 {
            assert_eq!(shows_secret(&disk), Vec::<String>::new());
        }
    }
    let db = open(&disk, EncryptionKeys::new(key(2))).unwrap();
    assert_eq!(db.collection("notes").unwrap().count().unwrap(), 60);
}

#[test]
fn a_change_of_key_may_be_interrupted_anywhere() {
    for seed in seeds(2) {
        let first = SimDisk::new(seed);
        let plain = seed % 2 == 0;
        let old = if plain {
            EncryptionKeys::default()
        } else {
            EncryptionKeys::new(key(1))
        };
        let db = open(&first, old).unwrap();
        write(&db, 0);
        db.sync().unwrap();
        drop(db);
        let both = || EncryptionKeys::new(key(2)).with_previous(key(1));
        for at in 0.. {
            let disk = first.copy(seed ^ at);
            let context = format!("seed {seed}, operation {at}");
            disk.plan(Some(FaultPlan::nth(
                at,
                Repeat::FromThenOn,
                io::ErrorKind::Other,
            )));
            let done = open(&disk, both()).is_ok_and(|db| {
                let done = rekey(&db).is_ok();
                // What a drop would write comes too late.
                disk.crash(CrashMode::Process);
                done
            });
            let mode = if at % 2 == 0 {
                CrashMode::PowerLoss
            } else {
                CrashMode::Process
            };
            let disk = disk.crash(mode);
            let db = open(&disk, both()).unwrap_or_else(|error| panic!("{context}: {error}"));
            rekey(&db).unwrap();
            assert_eq!(
                db.collection("notes").unwrap().count().unwrap(),
                20,
                "{context}"
            );
            db.close().unwrap();
            drop(db);
            assert_eq!(shows_secret(&disk), Vec::<String>::new(), "{context}");
            let db = open(&disk, EncryptionKeys::new(key(2)));
            let db = db.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(
                db.collection("notes").unwrap().count().unwrap(),
                20,
                "{context}"
            );
            if done {
                assert!(at > 20, "{context}");
                break;
            }
        }
    }
}

#[test]
fn a_damaged_checkpoint_does_not_keep_a_change_of_key_from_its_end() {
    let disk = SimDisk::new(4);
    let db = open(&disk, EncryptionKeys::new(key(1))).unwrap();
    write(&db, 0);
    db.sync().unwrap();
    drop(db);
    let paths = disk.paths().into_iter();
    let newest = paths.filter(|path| path.extension().is_some_and(|ending| ending == "ckpt"));
    let newest = newest.max().unwrap();
    let bits = disk.content(&newest).unwrap().len() as u64 * 8;
    assert!(disk.flip_bit(&newest, bits - 1));
    let both = EncryptionKeys::new(key(2)).with_previous(key(1));
    let db = open(&disk, both).unwrap();
    assert_eq!(db.recovery().damaged_checkpoints.len(), 1);
    rekey(&db).unwrap();
    db.close().unwrap();
    drop(db);
    let db = open(&disk, EncryptionKeys::new(key(2))).unwrap();
    assert_eq!(db.collection("notes").unwrap().count().unwrap(), 20);
}

#[test]
fn a_file_that_is_no_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, [1; 33]).unwrap();
    let refused = velocitydb::read_key_file(&path).unwrap_err().to_string();
    assert_eq!(
        refused,
        format!(
            "the key file {}: it has 33 bytes and holds no key: a key is 32 random bytes, or 64 \
             hexadecimal digits; make one with: head -c 32 /dev/urandom > key",
            path.display()
        )
    );
    std::fs::write(&path, [1; 32]).unwrap();
    assert_eq!(
        velocitydb::read_key_file(&path).unwrap().key.id(),
        key(1).id()
    );
}
