//! docs/time-series.md: its documents are inserted, its pipelines run, and what they answer is what
//! stands below them.

use velocitydb::query::{Aggregated, Json, Pipeline};
use velocitydb::{Definition, METADATA, Value};

use crate::support::in_memory;

/// The blocks of a page: each one's mark and its text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let mut parts = page.split("```");
    parts.next();
    let blocks: Vec<&str> = parts.step_by(2).collect();
    let blocks = blocks.into_iter();
    blocks
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

/// Rows as a page shows them: with the types of values, and of metadata the id alone.
fn shown(rows: Vec<Aggregated>) -> String {
    let row = |mut row: Aggregated| {
        row.retain(|name, _| name == "_id" || !METADATA.contains(&name.as_str()));
        format!("{}\n", Json::from_value(&Value::Map(row)))
    };
    rows.into_iter().map(row).collect()
}

#[test]
fn the_examples_of_the_page_answer_what_they_say() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let page = std::fs::read_to_string(format!("{root}/../../docs/time-series.md")).unwrap();
    let db = in_memory();
    let (mut answer, mut count) = (None, 0);
    for (mark, text) in blocks(&page) {
        let (kind, name) = mark.split_once('=').unwrap_or((mark, ""));
        match kind {
            "json create" => {
                let definition: Definition = serde_json::from_str(text).unwrap();
                db.create_collection(definition).unwrap();
            }
            "json insert" => {
                for line in text.lines() {
                    let Value::Map(map) = Value::from_json(line).unwrap() else {
                        panic!("{line}");
                    };
                    db.collection(name).unwrap().insert(map).unwrap();
                }
            }
            "json aggregate" => {
                let pipeline = Pipeline::from_json(text).unwrap();
                let rows = db.collection(name).unwrap().aggregate(&pipeline);
                answer = Some(shown(
                    rows.unwrap_or_else(|error| panic!("{text}: {error}")),
                ));
            }
            "json rows" => {
                assert_eq!(answer.take().as_deref(), Some(text));
                count += 1;
            }
            other => panic!("a block of {other}"),
        }
    }
    assert_eq!((answer, count), (None, 5));
}
