//! `velocitydb demo`: its whole text.

use crate::process::velocitydb;

const TEXT: &str = r#"A database in memory: nothing of this is kept.

Create a collection
  created demo_tasks

Insert three documents
  inserted t1, version 1
  inserted t2, version 1
  inserted t3, version 1

Insert one of them again
  refused: a document with this id exists already

Count them
  3 documents

List the first two, then the rest
  page 1: t1 {"name":"resize","priority":5,"state":"waiting"}
  page 1: t2 {"name":"train","priority":9,"state":"waiting"}
  page 2: t3 {"name":"report","priority":1,"state":"waiting"}

Get one by its id
  t2 {"name":"train","priority":9,"state":"waiting"}

Change one field of it
  t2 has version 2 now: t2 {"name":"train","priority":10,"state":"waiting"}

ada takes t1, if it is still waiting (compare-and-swap)
  won: t1 {"name":"resize","priority":5,"state":"running","worker":"ada"}

bob takes t1, if it is still waiting (compare-and-swap)
  refused: expected state = "waiting", found "running"
  it is t1 {"name":"resize","priority":5,"state":"running","worker":"ada"}

Ask how the database is
  reads are served, writes are served
"#;

#[test]
fn the_demo_says_the_same_each_time() {
    assert_eq!(velocitydb(&["demo"]).succeeds(), TEXT);
}

/// Kept, it can be checked, and run again.
#[test]
fn the_demo_can_be_kept() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let first = velocitydb(&["demo", "--data", data]).succeeds();
    let (_, after_first_line) = TEXT.split_once('\n').unwrap();
    assert!(first.contains(after_first_line), "{first}");
    let second = velocitydb(&["demo", "--data", data]).succeeds();
    assert!(
        second.contains("is there, with 3 documents of an earlier demo"),
        "{second}"
    );
    assert!(
        velocitydb(&["check", data])
            .succeeds()
            .ends_with("Everything is whole.\n")
    );
}
