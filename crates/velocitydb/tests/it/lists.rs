//! Many documents at a time: counting, pages, queries.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use velocitydb::query::{Direction, Filter, Find, Group, Hint, Pipeline};
use velocitydb::{Collection, Key, PageRequest, Update, Value};

use crate::support::{code, create, in_memory, number, tidy};

/// The numbers of all documents, page by page.
fn pages(collection: &Collection, limit: usize) -> Vec<i64> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = collection.list(&PageRequest { limit, after }).unwrap();
        assert!(page.documents.len() <= limit);
        found.extend(page.documents.iter().map(|document| number(document, "n")));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[test]
fn pages_hold_every_document_once_in_the_order_of_insertion() {
    let db = in_memory();
    let notes = create(&db, "notes");
    assert_eq!((notes.count().unwrap(), pages(&notes, 5)), (0, vec![]));
    for n in 0..100 {
        notes.insert_with_id(n, [("n", n.into())]).unwrap();
    }
    assert_eq!(notes.count().unwrap(), 100);
    for limit in [1, 7, 100, 1000] {
        assert!(
            pages(&notes, limit).into_iter().eq(0..100),
            "pages of {limit}"
        );
    }
    let first = notes
        .list(&PageRequest {
            limit: 10,
            after: None,
        })
        .unwrap();
    assert_eq!(
        (first.documents.len(), first.index),
        (10, db.stats().visible_index)
    );
    let nothing = notes
        .list(&PageRequest {
            limit: 0,
            after: first.next,
        })
        .unwrap();
    assert_eq!((nothing.documents.len(), nothing.next), (0, first.next));
    let beyond = notes
        .list(&PageRequest {
            limit: 10,
            after: Some(u32::MAX),
        })
        .unwrap();
    assert_eq!((beyond.documents.len(), beyond.next), (0, None));
}

#[test]
fn a_document_that_stays_is_on_one_page_whatever_is_written_meanwhile() {
    let db = in_memory();
    let notes = create(&db, "notes");
    // Even numbers stay; odd ones come and go.
    for n in 0..400 {
        notes.insert_with_id(n, [("n", n.into())]).unwrap();
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in (0..).map(|turn| turn * 2 % 400 + 1) {
                if over.load(Ordering::Acquire) {
                    break;
                }
                let _ = notes.delete(n);
                notes.upsert(n + 1000, [("n", (n + 1000).into())]).unwrap();
                notes
                    .update((n + 1) % 400, Update::new().add("changed", 1))
                    .unwrap();
                notes.upsert(n, [("n", n.into())]).unwrap();
                let _ = notes.delete(n + 1000);
                tidy(&db);
            }
        });
        for _ in 0..30 {
            let mut seen = pages(&notes, 9);
            seen.retain(|n| *n < 400 && n % 2 == 0);
            let whole: BTreeSet<_> = seen.iter().copied().collect();
            assert_eq!((seen.len(), whole.len()), (200, 200), "each once");
        }
        over.store(true, Ordering::Release);
    });
}

#[test]
fn a_count_is_exact_while_a_writer_runs() {
    let db = in_memory();
    let notes = create(&db, "notes");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Two come and two go at once: there are never more or fewer than 0 or 2.
            while !over.load(Ordering::Acquire) {
                let both = velocitydb::Batch::atomic();
                let insert = both.upsert("notes", 1, [("n", 1.into())]).upsert(
                    "notes",
                    2,
                    [("n", 2.into())],
                );
                db.batch(insert).unwrap();
                let delete = velocitydb::Batch::atomic()
                    .delete("notes", 1)
                    .delete("notes", 2);
                db.batch(delete).unwrap();
            }
        });
        for _ in 0..20_000 {
            let view = notes.view().unwrap();
            let mut scanned = 0;
            view.scan(|_| {
                scanned += 1;
                true
            })
            .unwrap();
            let counted = view.count().unwrap();
            assert!(
                matches!((counted, scanned), (0, 0) | (2, 2)),
                "{counted} against {scanned}"
            );
        }
        over.store(true, Ordering::Release);
    });
}

#[test]
fn queries_filter_sort_and_group() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    for n in 0..30 {
        let state = if n % 3 == 0 { "done" } else { "waiting" };
        tasks
            .insert_with_id(n, [("n", n.into()), ("state", state.into())])
            .unwrap();
    }
    let find = Find::new(Filter::eq("state", "waiting"))
        .sort([("n", Direction::Descending)])
        .offset(1)
        .limit(3);
    let found: Vec<_> = tasks
        .find(&find)
        .unwrap()
        .iter()
        .map(|one| number(one, "n"))
        .collect();
    assert_eq!(found, [28, 26, 25]);
    assert_eq!(tasks.count_where(&Filter::eq("state", "done")).unwrap(), 10);
    let group = Group::new()
        .by("state", "state")
        .count("many")
        .sum("total", "n");
    let pipeline = Pipeline::new()
        .group(group)
        .sort([("state", Direction::Ascending)]);
    let rows = tasks.aggregate(&pipeline).unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["state"].to_json(),
                row["many"].clone(),
                row["total"].clone(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("\"done\"".into(), 10.into(), 135.into()),
            ("\"waiting\"".into(), 20.into(), 300.into())
        ]
    );
    let bad = Find::new(Filter::eq("a..b", 1));
    assert_eq!(code(tasks.find(&bad)), "invalid_request");
    assert_eq!(
        code(tasks.count_where(&Filter::eq("a..b", 1))),
        "invalid_request"
    );
    // A query sees one state, also an older one.
    let view = tasks.view().unwrap();
    tasks.truncate().unwrap();
    assert_eq!(view.find(&Find::default()).unwrap().len(), 30);
    assert_eq!(tasks.find(&Find::default()).unwrap().len(), 0);
}

#[test]
fn an_id_of_several_values_is_found_as_documents_show_it() {
    let db = in_memory();
    let docs = create(&db, "docs");
    let key = Key::from_values(&[1.into(), "a".into()]).unwrap();
    docs.insert_with_id(&key, [("n", 1.into())]).unwrap();
    docs.insert_with_id(1, [("n", 2.into())]).unwrap();
    let both = || Value::from(vec![Value::from(1), Value::from("a")]);
    let one = || Value::from(vec![Value::from(1)]);
    for (filter, expected) in [
        (Filter::eq("_id", both()), 1),
        (Filter::is_in("_id", [both(), 1.into(), one()]), 2),
        (Filter::eq("_id", one()), 0),
    ] {
        let find = Find::new(filter);
        assert_eq!(docs.find(&find).unwrap().len(), expected, "{find:?}");
        let scan = find.hint(Hint::Scan);
        assert_eq!(docs.find(&scan).unwrap().len(), expected, "{scan:?}");
    }
    let lookup = Pipeline::from_json(
        r#"[{"$project":{"of":[1,"a"]}},{"$limit":1},
            {"$lookup":{"from":"docs","localField":"of","foreignField":"_id","as":"found"}},
            {"$project":{"n":{"$pluck":["$found","n"]}}}]"#,
    );
    let rows = docs.aggregate(&lookup.unwrap()).unwrap();
    assert_eq!(rows[0]["n"], Value::from(vec![Value::from(1)]));
}
