//! Questions written down step by step.

use std::time::Duration;

use serde::Deserialize;
use velocitydb::query::{Aggregated, Direction, Filter, Find, Hint, Pipeline};
use velocitydb::{
    Collection, Consistency, Database, Definition, Error, ErrorClass, IndexDefinition, Options,
    Path, Value,
};

use crate::support::{SECOND, between, clock, code, create, in_memory, still};

const BUILDER: &str = include_str!("../../src/builder.rs");
const THIS: &str = include_str!("builder.rs");

/// Processes 0..30, two thirds of which wait, with priorities 0..5.
fn processes(db: &Database) -> Collection {
    let processes = create(db, "processes");
    for n in 0..30_i64 {
        let state = if n % 3 == 0 { "running" } else { "waiting" };
        let fields: [(&str, Value); 2] = [("state", state.into()), ("priority", (n % 5).into())];
        processes
            .insert_with_id(format!("p{n:02}"), fields)
            .unwrap();
    }
    processes
}

fn ids(rows: &[Aggregated]) -> Vec<&str> {
    rows.iter().filter_map(|row| row["_id"].as_str()).collect()
}

#[test]
fn the_example_runs_and_is_the_one_shown() {
    let shown = between(BUILDER, "```rust", "```");
    assert_eq!(shown, between(THIS, "// begin", "// end"));
    let db = in_memory();
    processes(&db);
    example(&db).unwrap();
}

#[rustfmt::skip] // as the documentation has it
#[expect(clippy::print_stdout, reason = "as the documentation has it")]
fn example(db: &Database) -> Result<(), Error> {
    // begin
    #[derive(serde::Deserialize)]
    struct Process {
        #[serde(rename = "_id")]
        id: String,
        priority: i64,
    }

    let waiting = db
        .query("processes")
        .filter(Filter::eq("state", "waiting"))
        .sort([("priority", Direction::Descending)])
        .limit(10)
        .project(["priority"])
        .timeout(Duration::from_secs(1));
    for process in waiting.execute_as::<Process>()? {
        println!("{}: {}", process.id, process.priority);
    }
    println!("{} wait in all; by {}", waiting.count()?, waiting.explain()?);
    // end
    Ok(())
}

#[test]
fn it_is_a_find_underneath() {
    let db = in_memory();
    let processes = processes(&db);
    let by = IndexDefinition::btree("by_state", [Path::field("state"), Path::field("priority")]);
    processes.create_index(by).unwrap();
    let sort = [("priority", Direction::Descending)];
    let query = db
        .query("processes")
        .filter(Filter::eq("state", "waiting"))
        .filter(Filter::gt("priority", 1))
        .sort(sort)
        .offset(1)
        .limit(4)
        .consistency(Consistency::Local);
    let find = Find::new(Filter::eq("state", "waiting").and(Filter::gt("priority", 1)))
        .sort(sort)
        .offset(1)
        .limit(4);
    let found = processes.find(&find).unwrap();
    let found: Vec<_> = found.iter().map(|found| found.id().to_string()).collect();
    let rows = query.execute().unwrap();
    assert_eq!(ids(&rows), found);
    assert_eq!(found, ["p19", "p14", "p04", "p28"]);
    assert_eq!(ids(query.first().unwrap().as_slice()), found[..1]);
    let documents = query.documents().unwrap();
    assert_eq!(documents[0].id().to_string(), found[0]);
    let mut streamed = Vec::new();
    let each = |row| {
        streamed.push(row);
        streamed.len() < 3
    };
    query.stream(each).unwrap();
    assert_eq!(streamed, rows[..3]);
    // Of all that the filters let through.
    assert_eq!(query.count().unwrap(), 12);
    let plan = |query: &velocitydb::Query| query.explain().unwrap().to_string();
    assert!(plan(&query).contains("index by_state"), "{}", plan(&query));
    let scan = query.clone().hint(Hint::Scan);
    assert!(!plan(&scan).contains("index"), "{}", plan(&scan));
    assert_eq!(scan.execute().unwrap(), rows);
}

#[test]
fn parts_of_documents_and_documents_as_types() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Process {
        #[serde(rename = "_id")]
        id: String,
        #[serde(rename = "_version")]
        version: u64,
        state: String,
        #[serde(default)]
        owner: Option<String>,
    }
    let db = in_memory();
    processes(&db);
    let one = db.query("processes").filter(Filter::eq("_id", "p07"));
    let process: Process = one.first_as().unwrap().unwrap();
    let expected = Process {
        id: "p07".into(),
        version: 1,
        state: "waiting".into(),
        owner: None,
    };
    assert_eq!(process, expected);
    let state = one.clone().project(["state"]);
    let row = Value::Map(state.first().unwrap().unwrap()).to_json();
    assert_eq!(row, r#"{"_id":"p07","state":"waiting"}"#);
    let refused = state.execute_as::<Process>().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the document p07 is not of the type asked for: missing field `_version`"
    );
    let none = db.query("processes").filter(Filter::eq("_id", "p99"));
    assert_eq!(none.first_as::<Process>().unwrap(), None);
}

#[test]
fn pages_hold_each_document_once() {
    let db = in_memory();
    processes(&db);
    let query = db
        .query("processes")
        .sort([("priority", Direction::Ascending)])
        .offset(2)
        .limit(10);
    let (mut seen, mut sizes, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = query.page(after).unwrap();
        sizes.push(page.rows.len());
        seen.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 8]);
    let all = db
        .query("processes")
        .sort([("priority", Direction::Ascending)])
        .offset(2);
    assert_eq!(seen, all.execute().unwrap());
    // The last page is known as such, also where it is full.
    let whole = db.query("processes").limit(30).page(None).unwrap();
    assert_eq!((whole.rows.len(), whole.next), (30, None));
}

#[test]
fn a_timeout_ends_a_query_that_runs() {
    let clock = clock();
    let db = Database::open(still(Options::in_memory()).clock(clock.clone())).unwrap();
    let numbers = create(&db, "numbers");
    for n in 0..1000 {
        numbers.insert_with_id(n, [("n", n.into())]).unwrap();
    }
    let query = db.query("numbers").timeout(Duration::from_secs(1));
    assert_eq!(query.execute().unwrap().len(), 1000);
    let mut seen = 0;
    let ended = query.stream(|_| {
        seen += 1;
        if seen == 300 {
            clock.advance(SECOND);
        }
        true
    });
    assert_eq!(code(ended), "query_timeout");
    // It asks every 256 documents.
    assert_eq!(seen, 511);
}

#[test]
fn what_is_wrong_is_said_when_it_is_asked() {
    let db = in_memory();
    processes(&db);
    let unknown = db.query("proceses").execute().unwrap_err();
    assert_eq!(unknown.class(), ErrorClass::NotFound);
    let path = db.query("processes").project(["a..b"]).execute();
    assert_eq!(code(path), "invalid_request");
    let hint = db.query("processes").hint(Hint::Index("none".into()));
    assert_eq!(code(hint.execute()), "invalid_request");
}

/// A schema says what text stands for; a query in JSON has nothing but text.
#[test]
fn text_stands_for_what_a_field_is_declared_as() {
    let db = in_memory();
    let schema = r#"{"fields":[{"name":"day","type":"date"},{"name":"at","type":"time"},
        {"name":"price","type":"decimal"},{"name":"key","type":"uuid"}]}"#;
    let schema = serde_json::from_str(schema).unwrap();
    let definition = Definition::new("sales").schema(schema).primary_key("key");
    let sales = db.create_collection(definition).unwrap().value;
    let key = "0190d3a1-0000-7000-8000-000000000001";
    sales
        .insert([
            ("key", key.into()),
            ("day", "2013-01-02".into()),
            ("at", "2013-01-02T05:00:00Z".into()),
            ("price", "19.90".into()),
        ])
        .unwrap();
    let view = sales.view().unwrap();
    for filter in [
        r#"{"day":"2013-01-02"}"#.to_owned(),
        r#"{"day":{"$gt":"2013-01-01","$lte":"2013-01-02"}}"#.to_owned(),
        r#"{"at":{"$in":["2013-01-02T06:00:00+01:00"]}}"#.to_owned(),
        r#"{"price":"19.9"}"#.to_owned(),
        r#"{"$or":[{"price":0},{"$not":{"day":"2013-01-01"}}]}"#.to_owned(),
        format!(r#"{{"key":"{key}"}}"#),
        format!(r#"{{"_id":"{key}"}}"#),
        r#"{"_created_at":{"$gt":"2013-01-01T00:00:00Z"}}"#.to_owned(),
    ] {
        let find = view.typed(Find::from_json(&format!(r#"{{"filter":{filter}}}"#)).unwrap());
        assert_eq!(view.find(&find).unwrap().len(), 1, "{filter}");
        let query = db
            .query("sales")
            .filter(Filter::from_json(&filter).unwrap());
        assert_eq!(query.count().unwrap(), 1, "{filter}");
        let pipeline = format!(r#"[{{"$match":{filter}}},{{"$count":"n"}}]"#);
        let pipeline = view.typed_pipeline(Pipeline::from_json(&pipeline).unwrap());
        let counted = Aggregated::from([("n".to_owned(), 1.into())]);
        assert_eq!(sales.aggregate(&pipeline).unwrap(), [counted], "{filter}");
    }
    // Text that is none of the type stays text, and is equal to nothing there.
    let find = view.typed(Find::new(Filter::eq("day", "soon")));
    assert_eq!(find.filter, Filter::eq("day", "soon"));
}
