//! `velocitydb check` and `velocitydb repair`, on whole and on damaged directories.

use std::path::{Path, PathBuf};

use velocitydb::{Background, Database, Definition, Options};

use crate::process::{Served, velocitydb};

/// A directory with some documents, all of them in the log and in no checkpoint, as after a
/// crash; all but the last forced to the disk.
fn data(dir: &Path) -> PathBuf {
    let (live, data) = (dir.join("live"), dir.join("data"));
    let db = Database::open(Options::at(&live).background(Background::Owner)).unwrap();
    let items = db
        .create_collection(Definition::new("items"))
        .unwrap()
        .value;
    for n in 0..200 {
        items
            .insert_with_id(n, [("text", "x".repeat(100).into())])
            .unwrap();
        if n == 197 || n == 198 {
            db.sync().unwrap();
        }
    }
    copy(&live, &data);
    data
}

/// A copy of a directory tree.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            (entry, to)
        };
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The newest segment of the log, and changes of its bytes.
fn change_log(data: &Path, change: impl Fn(&mut Vec<u8>)) -> String {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(data.join("wal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    segments.sort();
    let path = segments
        .iter()
        .find(|path| !std::fs::read(path).unwrap().is_empty())
        .unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn count(data: &Path) -> u64 {
    let db = Database::open(Options::at(data)).unwrap();
    db.collection("items").unwrap().count().unwrap()
}

#[test]
fn a_whole_directory_is_whole_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let path = data.to_str().unwrap();
    let out = velocitydb(&["check", path]).succeeds();
    assert!(out.contains("entries 1 to 201"), "{out}");
    assert!(out.ends_with("Everything is whole.\n"), "{out}");
    assert_eq!(velocitydb(&["check", path]).succeeds(), out);
    let out = velocitydb(&["repair", path, "--yes"]).succeeds();
    assert!(out.contains("nothing to repair"), "{out}");
    assert_eq!(count(&data), 200);
}

/// A start does without a damaged checkpoint, and a check says so.
#[test]
fn a_damaged_checkpoint_is_named_and_an_older_one_used() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    for n in 200..203 {
        let db = Database::open(Options::at(&data)).unwrap();
        let items = db.collection("items").unwrap();
        items.insert_with_id(n, [("text", "y".into())]).unwrap();
        db.close().unwrap();
    }
    let path = data.to_str().unwrap();
    let out = velocitydb(&["check", path]).succeeds();
    assert!(
        out.contains("Checkpoint at entry 203: 203 documents\n"),
        "{out}"
    );
    assert!(
        out.contains("Checkpoint at entry 204: 204 documents\n"),
        "{out}"
    );
    let newest = data.join("checkpoints/00000000000000000204.ckpt");
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let (_, out) = velocitydb(&["check", path]).fails(1);
    assert!(out.contains("Checkpoint at entry 204: DAMAGED\n"), "{out}");
    assert!(
        out.contains("00000000000000000204.ckpt is damaged at byte "),
        "{out}"
    );
    assert!(out.contains("Nothing is lost: "), "{out}");
    let served = Served::start(&["--data", path]);
    assert!(
        served.said.contains("an older one used; nothing is lost"),
        "{}",
        served.said
    );
    served.stop();
    assert_eq!(count(&data), 203);
}

/// What a loss of power leaves is no damage, but it is told.
#[test]
fn an_unfinished_end_is_told_and_not_called_damage() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let segment = change_log(&data, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end] ^= 1;
    });
    let out = velocitydb(&["check", data.to_str().unwrap()]).succeeds();
    assert!(out.contains("entries 1 to 200"), "{out}");
    assert!(
        out.contains(&format!("  {segment}: ")) && out.contains(" cannot be read "),
        "{out}"
    );
    assert!(
        out.ends_with("Everything is whole, but for the unfinished end.\n"),
        "{out}"
    );
    let served = Served::start(&["--data", data.to_str().unwrap()]);
    assert!(
        served.said.contains("could not be read and were cut off"),
        "{}",
        served.said
    );
    served.stop();
    assert_eq!(count(&data), 199);
}

#[test]
fn damage_is_named_exactly_and_a_repair_says_first_what_it_loses() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let path = data.to_str().unwrap();
    // A byte in the middle of what is written: what follows shows that this is no torn end.
    let segment = change_log(&data, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end / 2] ^= 1;
    });
    let (error, out) = velocitydb(&["check", path]).fails(1);
    assert!(error.is_empty(), "{error}");
    assert!(
        out.contains(&format!(
            "Damaged: log segment {segment} is damaged at byte "
        )),
        "{out}"
    );
    let (error, _) = velocitydb(&["serve", "--http", "127.0.0.1:0", "--data", path]).fails(1);
    assert!(error.contains("velocitydb check"), "{error}");

    let plan = velocitydb(&["repair", path]).succeeds();
    assert!(plan.contains("to 201 (as far as can be told)"), "{plan}");
    assert!(plan.contains("Nothing has been changed."), "{plan}");
    velocitydb(&["check", path]).fails(1);

    let done = velocitydb(&["repair", path, "--yes"]).succeeds();
    assert!(done.ends_with("Repaired.\n"), "{done}");
    assert!(done.contains(&format!("{segment}.cut")), "{done}");
    velocitydb(&["check", path]).succeeds();
    let kept = count(&data);
    assert!((1..200).contains(&kept), "{kept} documents");
}

#[test]
fn a_directory_in_use_or_without_a_database_is_not_checked() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let db = Database::open(Options::at(&data)).unwrap();
    let (error, _) = velocitydb(&["check", data.to_str().unwrap()]).fails(1);
    assert!(error.contains("is in use by another process"), "{error}");
    assert!(error.contains("Only one program"), "{error}");
    drop(db);
    for command in ["check", "repair"] {
        let (error, _) = velocitydb(&[command, dir.path().to_str().unwrap()]).fails(1);
        assert!(error.contains("there is no database in"), "{error}");
    }
    assert!(!dir.path().join("LOCK").exists());
}

/// A directory that was opened and closed, so that a checkpoint holds all of it.
fn closed(dir: &Path) -> PathBuf {
    let data = data(dir);
    Database::open(Options::at(&data)).unwrap().close().unwrap();
    data
}

#[test]
fn a_missing_log_is_named_and_given_up_only_by_a_repair() {
    for directory_too in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let data = closed(dir.path());
        let path = data.to_str().unwrap();
        velocitydb(&["check", path]).succeeds();
        std::fs::remove_dir_all(data.join("wal")).unwrap();
        if !directory_too {
            std::fs::create_dir(data.join("wal")).unwrap();
        }
        let (_, out) = velocitydb(&["check", path]).fails(1);
        assert!(
            out.contains("Damaged: the log is missing or holds nothing, but there is a checkpoint"),
            "{out}"
        );
        assert!(out.contains("velocitydb repair"), "{out}");
        let (error, _) = velocitydb(&["serve", "--http", "127.0.0.1:0", "--data", path]).fails(1);
        assert!(error.contains("the log is missing"), "{error}");

        let plan = velocitydb(&["repair", path]).succeeds();
        assert!(plan.contains("The log begins anew behind it."), "{plan}");
        assert!(
            plan.contains("cannot be told: if so, they are lost"),
            "{plan}"
        );
        velocitydb(&["check", path]).fails(1);
        velocitydb(&["repair", path, "--yes"]).succeeds();
        velocitydb(&["check", path]).succeeds();
        assert_eq!(count(&data), 200);
    }
}

#[test]
fn missing_checkpoints_are_named_and_no_repair_is_promised() {
    let dir = tempfile::tempdir().unwrap();
    let data = closed(dir.path());
    // The log behind the first checkpoint, and no longer what that held.
    for n in 200..203 {
        let db = Database::open(Options::at(&data).checkpoints_kept(1)).unwrap();
        let items = db.collection("items").unwrap();
        items.insert_with_id(n, [("text", "y".into())]).unwrap();
        db.close().unwrap();
    }
    std::fs::remove_dir_all(data.join("checkpoints")).unwrap();
    let path = data.to_str().unwrap();
    let (_, out) = velocitydb(&["check", path]).fails(1);
    assert!(out.contains("there is no whole checkpoint"), "{out}");
    for arguments in [&["repair", path][..], &["repair", path, "--yes"]] {
        let (error, _) = velocitydb(arguments).fails(1);
        assert!(error.contains("no repair brings the data back"), "{error}");
        assert!(
            error.contains("entries between them are missing, 1 to "),
            "{error}"
        );
        assert!(error.contains("Put back a checkpoint"), "{error}");
    }
}

/// A file that somebody cut short is not what a kill leaves.
#[test]
fn a_shortened_log_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let segment = change_log(&data, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes.truncate(end - 20);
    });
    let (_, out) = velocitydb(&["check", data.to_str().unwrap()]).fails(1);
    let damaged = format!("Damaged: log segment {segment} is damaged at byte ");
    assert!(
        out.contains(&damaged) && out.contains("does not end where a record ends"),
        "{out}"
    );
}
