//! Queries with indexes: the same answers as without, in the same order, at any snapshot.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use velocitydb::query::plan::Remembered;
use velocitydb::query::{Direction, Filter, Find, Group, Hint, Near, Nulls, Pipeline, Stage};
#[cfg(feature = "full-text")]
use velocitydb::text::Language;
use velocitydb::{
    Collection, CollectionView, Database, Definition, Document, Field, FieldType, IndexDefinition,
    Interval, Openness, Options, Path, Point, Schema, Value,
};

use crate::orders::{ids, in_pages};
use crate::support::asking;

pub const ASC: Direction = Direction::Ascending;
const DESC: Direction = Direction::Descending;

pub fn database() -> Database {
    Database::open(Options::in_memory()).unwrap()
}

pub fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn field(text: &str) -> velocitydb::IndexField {
    path(text).into()
}

/// Every kind of index over the fields of [`random_document`].
fn indexes() -> Vec<IndexDefinition> {
    let only = |text: &str| text.parse().unwrap();
    vec![
        IndexDefinition::hash("hash_a", [path("a")]),
        IndexDefinition::btree("a", [path("a")]),
        IndexDefinition::btree("a_desc", [field("a").descending()]),
        IndexDefinition::btree("a_b", [path("a"), path("b")]),
        IndexDefinition::btree("a_b_mixed", [field("a"), field("b").descending()]),
        IndexDefinition::btree("b_a", [field("b").descending(), field("a").descending()]),
        IndexDefinition::btree("s", [path("s")]),
        IndexDefinition::btree("s_desc", [field("s").descending()]),
        IndexDefinition::btree("nested", [path("m.x"), path("a")]),
        IndexDefinition::btree("tags", [field("tags").elements()]),
        IndexDefinition::btree("a_tags", [field("a"), field("tags").elements()]),
        IndexDefinition::hash("hash_tags", [field("tags").elements()]),
        IndexDefinition::btree("some_a", [path("a")]).only(only("b > 2")),
        IndexDefinition::hash("some_hash", [path("s")]).only(only("a = 1")),
        #[cfg(feature = "full-text")]
        IndexDefinition::full_text("words", [path("text")], "english"),
        #[cfg(feature = "full-text")]
        IndexDefinition::full_text("plain_words", [path("text"), path("s")], "simple"),
        #[cfg(feature = "full-text")]
        IndexDefinition::full_text("some_words", [path("text")], "english").only(only("a = 1")),
    ]
}

fn scalar(random: &mut StdRng) -> Value {
    match random.random_range(0..12) {
        0 => Value::Null,
        1 => Value::Bool(random.random()),
        2 => Value::Float(f64::from(random.random_range(0..8)) / 2.0),
        3..6 => word(random).into(),
        // Thirty days are a month.
        6 => Interval::new(random.random_range(0..2), 10 * random.random_range(0..4), 0).into(),
        _ => Value::Int(random.random_range(0..5)),
    }
}

fn word(random: &mut StdRng) -> String {
    (*["", "a", "a\0", "ab", "abc", "b", "ba", "é", "\u{10ffff}"]
        .choose(random)
        .unwrap())
    .to_owned()
}

fn random_document(random: &mut StdRng) -> std::collections::BTreeMap<String, Value> {
    let mut fields = std::collections::BTreeMap::new();
    for name in ["a", "b"] {
        if random.random_bool(0.9) {
            fields.insert(name.to_owned(), scalar(random));
        }
    }
    if random.random_bool(0.9) {
        fields.insert("s".into(), word(random).into());
    }
    if random.random_bool(0.7) {
        let tags: Vec<_> = (0..random.random_range(0..4))
            .map(|_| scalar(random))
            .collect();
        fields.insert("tags".into(), Value::Array(tags));
    }
    if random.random_bool(0.7) {
        fields.insert("text".into(), random_text(random));
    }
    if random.random_bool(0.5) {
        fields.insert(
            "m".into(),
            Value::Map([("x".to_owned(), scalar(random))].into()),
        );
    }
    fields
}

const WORDS: [&str; 8] = [
    "fox", "foxes", "quick", "quickly", "bread", "the", "Übung", "ubung",
];

fn some_words(random: &mut StdRng) -> String {
    let count = random.random_range(0..6);
    let words: Vec<_> = (0..count).map(|_| *WORDS.choose(random).unwrap()).collect();
    words.join(" ")
}

/// A string, or an array of strings and others.
fn random_text(random: &mut StdRng) -> Value {
    match random.random_range(0..5) {
        0 => Value::Array(vec![
            some_words(random).into(),
            scalar(random),
            some_words(random).into(),
        ]),
        1 => scalar(random),
        _ => some_words(random).into(),
    }
}

#[cfg(not(feature = "full-text"))]
fn text_condition(random: &mut StdRng) -> Filter {
    Filter::prefix("text", word(random))
}

#[cfg(feature = "full-text")]
fn text_condition(random: &mut StdRng) -> Filter {
    let (a, b) = (
        *WORDS.choose(random).unwrap(),
        *WORDS.choose(random).unwrap(),
    );
    let words = match random.random_range(0..8) {
        0 => format!("\"{a} {b}\""),
        1 => format!("{}*", a.chars().take(2).collect::<String>()),
        2 => format!("{a}~2"),
        3 => format!("{a} -{b}"),
        4 => format!("{a} OR {b}"),
        5 => format!("{a} {b}"),
        _ => a.to_owned(),
    };
    let language = match random.random() {
        true => Language::English,
        false => Language::Simple,
    };
    Filter::text(
        if random.random_bool(0.9) { "text" } else { "s" },
        &words,
        language,
    )
}

fn condition(random: &mut StdRng) -> Filter {
    let name = *["a", "b", "s", "m.x"].choose(random).unwrap();
    let value = if name == "s" && random.random_bool(0.8) {
        word(random).into()
    } else {
        scalar(random)
    };
    match random.random_range(0..17) {
        14.. => text_condition(random),
        0 => Filter::ne(name, value),
        1 => Filter::lt(name, value),
        2 => Filter::le(name, value),
        3 => Filter::gt(name, value),
        4 => Filter::ge(name, value),
        5 => Filter::ge(name, value).and(Filter::lt(name, scalar(random))),
        6 => Filter::is_in(name, (0..3).map(|_| scalar(random)).collect::<Vec<_>>()),
        7 => Filter::prefix("s", word(random)),
        8 => Filter::contains("tags", value),
        9 => Filter::exists(name),
        11 => Filter::ne(name, Value::Null),
        10 => Filter::is_in("_id", (0..3).map(|_| random.random_range(0..160_i64))),
        _ => Filter::eq(name, value),
    }
}

fn random_filter(random: &mut StdRng) -> Filter {
    match random.random_range(0..8) {
        0 => Filter::All,
        1 => condition(random).or(condition(random)),
        2 => !condition(random),
        3 if random.random() => {
            let text = random.random_bool(0.3).then(|| text_condition(random));
            Filter::eq("a", 1).and(text.unwrap_or_else(|| Filter::eq("s", word(random))))
        }
        3 | 4 => condition(random),
        5 => condition(random)
            .and(condition(random))
            .and(condition(random)),
        _ => condition(random).and(condition(random)),
    }
}

fn random_find(random: &mut StdRng) -> Find {
    let mut find = Find::new(random_filter(random));
    let sorts = random.random_range(0..4);
    let by = (0..sorts).map(|_| {
        let name = *["a", "b", "s", "_id", "m.x"].choose(random).unwrap();
        (name, if random.random() { ASC } else { DESC })
    });
    find = find.sort(by.collect::<Vec<_>>());
    if random.random() {
        find = find.nulls(Nulls::Greatest);
    }
    if random.random_bool(0.5) {
        find = find
            .limit(random.random_range(0..20))
            .offset(random.random_range(0..5));
    }
    find
}

/// For random documents, queries and subsets of indexes: what the planner chooses, and what each
/// index that can be used gives, is what a scan gives, in the same order.
#[test]
fn an_index_never_changes_an_answer() {
    let rounds = std::env::var("VELOCITYDB_SEEDS").map_or(12, |n| n.parse().unwrap());
    let mut used = std::collections::BTreeSet::new();
    for seed in 0..rounds {
        let random = &mut StdRng::seed_from_u64(seed);
        let db = database();
        let mut definition = Definition::new("docs");
        let required = random.random::<bool>();
        if required {
            definition.schema = Schema::new(
                Openness::Open,
                vec![Field::new("s", FieldType::String).required()],
            )
            .unwrap();
        }
        let docs = db.create_collection(definition).unwrap().value;
        let early: Vec<_> = indexes()
            .into_iter()
            .filter(|_| random.random_bool(0.3))
            .collect();
        for index in &early {
            docs.create_index(index.clone()).unwrap();
        }
        let change = |random: &mut StdRng, docs: &Collection| {
            let id = random.random_range(0..150_i64);
            if random.random_bool(0.2) {
                let _ = docs.delete(id);
            } else {
                let mut fields = random_document(random);
                if required {
                    fields.entry("s".into()).or_insert("a".into());
                }
                docs.upsert(id, fields).unwrap();
            }
        };
        for _ in 0..random.random_range(0..400) {
            change(random, &docs);
        }
        let view = docs.view().unwrap();
        let before = view.clone();
        for index in indexes() {
            if !early.contains(&index) && random.random_bool(0.4) {
                docs.create_index(index).unwrap();
            }
        }
        // The view sees what was there, whatever comes after.
        for _ in 0..200 {
            change(random, &docs);
            if random.random_bool(0.02)
                && let Some((index, _)) = docs.indexes().unwrap().choose(random)
            {
                docs.rebuild_index(&index.name).unwrap();
            }
        }
        let now = docs.view().unwrap();
        // Of this question and of all others.
        let mut others = Remembered::default();
        for _ in 0..150 {
            let find = random_find(random);
            let own = Remembered::default();
            for view in [&before, &now] {
                let expected = view.find(&find.clone().hint(Hint::Scan)).unwrap();
                let explained = view.explain(&find).unwrap();
                let found = view.find(&find).unwrap();
                // Without an order any of the documents may be the first ones.
                let unordered = find.sort.is_empty();
                if unordered && find.limit.is_some() {
                    assert_eq!(
                        found.len(),
                        expected.len(),
                        "seed {seed} {find:?}\n{explained}"
                    );
                    continue;
                }
                let sorted = |documents: &[Document]| {
                    let mut ids = ids(documents);
                    if unordered {
                        ids.sort();
                    }
                    ids
                };
                let expected = sorted(&expected);
                assert_eq!(
                    sorted(&found),
                    expected,
                    "seed {seed} {find:?}\n{explained}"
                );
                for remembered in [&own, &own, &others] {
                    let mut again = find.clone();
                    again.remembered = Some(remembered.clone());
                    let found = sorted(&view.find(&again).unwrap());
                    assert_eq!(found, expected, "seed {seed} {find:?}, asked again");
                }
                if random.random_bool(0.5) {
                    others = own.clone();
                }
                for (index, _) in view.indexes() {
                    let hinted = find.clone().hint(Hint::Index(index.name.clone()));
                    if let Ok(found) = view.find(&hinted) {
                        used.insert(index.name.clone());
                        assert_eq!(
                            sorted(&found),
                            expected,
                            "seed {seed} {find:?} by {index:?}"
                        );
                        if !unordered && find.limit.is_none() {
                            let pages = in_pages(view, &hinted, random.random_range(1..40));
                            assert_eq!(pages, expected, "seed {seed} {find:?} by {index:?}");
                        }
                    }
                }
                assert_eq!(
                    view.count_where(&find.filter).unwrap(),
                    view.find(&Find::new(find.filter.clone()).hint(Hint::Scan))
                        .unwrap()
                        .len() as u64
                );
            }
        }
    }
    if rounds >= 12 {
        let all: std::collections::BTreeSet<_> =
            indexes().into_iter().map(|index| index.name).collect();
        assert_eq!(used, all, "every index was of use");
    }
}

/// Ends a writer also when an assertion fails beside it.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pages give each document that stays exactly once while writers run, with and without an index.
#[test]
fn pages_give_each_document_once_while_writers_run() {
    for (seed, indexed) in [(1, false), (2, true)] {
        let db = database();
        let docs = db.create_collection(Definition::new("docs")).unwrap().value;
        let put = |id: i64, n: i64| docs.upsert(id, [("n", n.into())]).unwrap();
        for id in 0..3000 {
            put(id, id % 7);
        }
        if indexed {
            docs.create_index(IndexDefinition::btree("n", [path("n")]))
                .unwrap();
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let random = &mut StdRng::seed_from_u64(seed);
                while !done.load(Ordering::Relaxed) {
                    // Even ids stay as they are.
                    let id = random.random_range(0..3000) * 2 + 1;
                    let _ = match random.random_range(0..3) {
                        0 => docs.delete(id).is_ok(),
                        _ => put(id, random.random_range(0..7)).index > 0,
                    };
                }
            });
            let _done = SetWhenDropped(&done);
            for (sort, limit) in [
                (vec![("n", ASC)], 50),
                (vec![("n", DESC)], 33),
                (vec![], 100),
            ] {
                let find = Find::new(Filter::lt("n", 5)).sort(sort).limit(limit);
                let (mut after, mut seen) = (None, Vec::new());
                loop {
                    let page = find.clone().page(after);
                    let found = docs.find(&page).unwrap();
                    let Some(last) = found.last() else {
                        break;
                    };
                    let text = page.cursor_at(last).to_string();
                    after = Some(text.parse().unwrap());
                    seen.extend(found.iter().filter_map(|d| d.id().to_value().as_int()));
                }
                let mut even: Vec<_> = seen.into_iter().filter(|id| id % 2 == 0).collect();
                even.sort_unstable();
                let expected: Vec<i64> = (0..3000).filter(|id| id % 2 == 0 && id % 7 < 5).collect();
                assert_eq!(even, expected);
            }
        });
    }
}

#[test]
fn a_cursor_of_another_query_is_refused() {
    let docs = database()
        .create_collection(Definition::new("docs"))
        .unwrap()
        .value;
    docs.upsert(1, [("n", 1.into())]).unwrap();
    let find = Find::new(Filter::eq("n", 1)).page(None);
    let cursor = find.cursor_at(&docs.get(1).unwrap().unwrap());
    assert_eq!(
        docs.find(&find.page(Some(cursor.clone()))).unwrap().len(),
        0
    );
    let other = Find::new(Filter::eq("n", 2)).page(Some(cursor));
    assert!(
        docs.find(&other)
            .unwrap_err()
            .to_string()
            .contains("another filter")
    );
    for text in ["", "0g", "00", "0000000000000009ff"] {
        assert!(text.parse::<velocitydb::query::Cursor>().is_err(), "{text}");
    }
}

#[test]
fn an_index_is_dropped_and_made_again() {
    let docs = database()
        .create_collection(Definition::new("docs"))
        .unwrap()
        .value;
    for id in 0..1000_i64 {
        docs.upsert(id, [("n", (id % 10).into())]).unwrap();
    }
    let find = Find::new(Filter::eq("n", 3));
    for _ in 0..3 {
        docs.create_index(IndexDefinition::btree("n", [path("n")]))
            .unwrap();
        assert!(
            docs.explain(&find)
                .unwrap()
                .to_string()
                .contains("index n, 1 range")
        );
        let used = docs.explain_analyze(&find).unwrap();
        assert_eq!(used.steps.last().unwrap().rows, Some(100));
        let (_, stats) = docs.indexes().unwrap().swap_remove(0);
        assert_eq!((stats.entries, stats.uses, stats.built), (1000, 1, None));
        docs.drop_index("n").unwrap();
        assert_eq!(docs.find(&find).unwrap().len(), 100);
    }
    let hinted = find.hint(Hint::Index("n".into()));
    assert!(
        docs.find(&hinted)
            .unwrap_err()
            .to_string()
            .contains("not there")
    );
}

#[test]
fn values_too_long_for_an_index_are_refused_by_name() {
    let docs = database()
        .create_collection(Definition::new("docs"))
        .unwrap()
        .value;
    docs.create_index(IndexDefinition::btree("by_s", [path("s")]))
        .unwrap();
    let long = "x".repeat(10_000);
    let error = docs.upsert(1, [("s", long.as_str().into())]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"by_s\" takes up to 8192 bytes"),
        "{error}"
    );
    docs.drop_index("by_s").unwrap();
    docs.upsert(1, [("s", long.as_str().into())]).unwrap();
    let again = docs.create_index(IndexDefinition::btree("by_s", [path("s")]));
    assert!(again.unwrap_err().to_string().contains("the document 1"));
    // Hashes are of one length.
    docs.create_index(IndexDefinition::hash("hash_s", [path("s")]))
        .unwrap();
    assert_eq!(
        docs.find(&Find::new(Filter::eq("s", long.as_str())))
            .unwrap()
            .len(),
        1
    );
}

/// A filter, mostly a sort behind it, then stages that a limit may look through or not.
fn random_pipeline(random: &mut StdRng) -> Pipeline {
    let mut pipeline = Pipeline::new();
    if random.random_bool(0.8) {
        pipeline = pipeline.filter(random_filter(random));
    }
    let find = random_find(random);
    let sorted = !find.sort.is_empty();
    pipeline = pipeline.sort(find.sort);
    if random.random_bool(0.3) {
        pipeline = pipeline.filter(random_filter(random));
    }
    if random.random_bool(0.3) {
        pipeline = pipeline.project([("_id", "_id"), ("a", "a"), ("t", "tags")]);
    }
    if random.random_bool(0.2) {
        pipeline = pipeline.unwind(if random.random() { "t" } else { "tags" });
    }
    // Without an order any of the documents may be the first ones.
    if sorted && random.random_bool(0.5) {
        pipeline = pipeline.skip(random.random_range(0..5));
        pipeline = pipeline.limit(random.random_range(0..20));
    }
    if random.random_bool(0.2) {
        pipeline = pipeline.group(Group::new().by("a", "a").count("n").max("most", "b"));
    }
    pipeline
}

/// What is planned of a pipeline never changes what it answers: a stage that does nothing, put
/// before all others, leaves nothing to be planned.
#[test]
fn an_index_never_changes_what_a_pipeline_answers() {
    let rounds = std::env::var("VELOCITYDB_SEEDS").map_or(8, |n| n.parse().unwrap());
    let mut planned = 0;
    for seed in 0..rounds {
        let random = &mut StdRng::seed_from_u64(seed);
        let db = database();
        let docs = db.create_collection(Definition::new("docs")).unwrap().value;
        for id in 0..random.random_range(1..200_i64) {
            docs.insert_with_id(id, random_document(random)).unwrap();
        }
        for index in indexes() {
            if random.random_bool(0.5) {
                docs.create_index(index).unwrap();
            }
        }
        let view = docs.view().unwrap();
        for _ in 0..200 {
            let pipeline = random_pipeline(random);
            let mut plain = pipeline.clone();
            plain.stages.insert(0, Stage::Skip(0));
            let rows = |pipeline: &Pipeline| {
                let rows = view.aggregate(pipeline).unwrap().into_iter();
                let mut rows: Vec<_> = rows.map(|row| Value::Map(row).to_json()).collect();
                let sort = |stage: &Stage| matches!(stage, Stage::Sort(by) if !by.is_empty());
                let grouped = matches!(pipeline.stages.last(), Some(Stage::Group(_)));
                if grouped || !pipeline.stages.iter().any(sort) {
                    rows.sort();
                }
                rows
            };
            let explained = view.explain_aggregate(&pipeline).unwrap();
            planned += u32::from(explained.to_string().contains("index"));
            assert_eq!(
                rows(&pipeline),
                rows(&plain),
                "seed {seed} {pipeline}\n{explained}"
            );
        }
    }
    assert!(planned > 100, "indexes were hardly used: {planned}");
}

/// A thousand documents `{"n": 0..1000}` with these ids.
fn thousand(db: &Database, name: &str) -> Collection {
    let docs = db.create_collection(Definition::new(name)).unwrap().value;
    for id in 0..1000_i64 {
        docs.upsert(id, [("n", id.into())]).unwrap();
    }
    docs
}

#[test]
fn a_query_asks_now_and_then_whether_it_may_go_on() {
    let db = database();
    let docs = thousand(&db, "docs");
    thousand(&db, "others");
    let nothing = Find::new(Filter::eq("n", -1));
    let lookup = Pipeline::from_json(
        r#"[{"$lookup":{"from":"others","localField":"n","foreignField":"n","as":"o"}},{"$limit":1}]"#,
    );
    let lookup = lookup.unwrap();
    let near = Near::new(path("n"), Point::new(0.0, 0.0).unwrap(), 10_000_000);
    let stages = |json| Pipeline::from_json(json).unwrap();
    let densify = stages(
        r#"[{"$limit":1},{"$densify":{"field":"n","range":{"step":1,"bounds":[0,1000]}}},{"$count":"n"}]"#,
    );
    let group = stages(r#"[{"$group":{"_id":"$n"}},{"$count":"n"}]"#);
    let unwind =
        stages(r#"[{"$group":{"_id":null,"l":{"$push":"$n"}}},{"$unwind":"$l"},{"$count":"n"}]"#);
    // How often each asks: before the first document, then every 256 that it looks at, or that a
    // stage makes of what it keeps.
    type Ask<'a> = &'a dyn Fn(&CollectionView) -> Result<(), velocitydb::Error>;
    let asks: [(Ask<'_>, u32); 8] = [
        (&|view| view.find(&nothing).map(|_| ()), 4),
        (&|view| view.count_where(&nothing.filter).map(|_| ()), 4),
        (&|view| view.distinct(&path("n"), &nothing).map(|_| ()), 4),
        (&|view| view.near(&near).map(|_| ()), 4),
        // One document here, and all the others.
        (&|view| view.aggregate(&lookup).map(|_| ()), 5),
        (&|view| view.aggregate(&densify).map(|_| ()), 4),
        (&|view| view.aggregate(&group).map(|_| ()), 7),
        (&|view| view.aggregate(&unwind).map(|_| ()), 7),
    ];
    for (at, (ask, expected)) in asks.iter().enumerate() {
        for stop_at in [None, Some(1), Some(3), Some(*expected)] {
            let (view, asked) = asking(&docs, stop_at);
            let answer = ask(&view);
            let stopped = matches!(answer, Err(velocitydb::Error::QueryTimeout));
            assert_eq!(stopped, stop_at.is_some(), "{at}: {answer:?}");
            let expected = stop_at.unwrap_or(*expected);
            assert_eq!(asked.load(Ordering::Relaxed), expected, "{at}");
        }
    }
}

#[test]
fn a_pipeline_looks_into_other_collections_of_its_moment() {
    let db = database();
    let docs = thousand(&db, "docs");
    let others = thousand(&db, "others");
    let pipeline = Pipeline::from_json(
        r#"[{"$match":{"n":{"$lt":2}}},
            {"$lookup":{"from":"others","localField":"n","foreignField":"n","as":"found"}},
            {"$project":{"found":{"$size":"$found"}}}]"#,
    );
    let pipeline = pipeline.unwrap();
    let before = docs.view().unwrap();
    let rows = before.aggregate(&pipeline).unwrap();
    assert_eq!(rows.len(), 2);
    others.delete(1_i64).unwrap();
    assert_eq!(before.aggregate(&pipeline).unwrap(), rows);
    let after = docs.aggregate(&pipeline).unwrap();
    assert_ne!(after, rows);
    // With an index the answer is the same.
    others
        .create_index(IndexDefinition::btree("n", [path("n")]))
        .unwrap();
    assert_eq!(docs.aggregate(&pipeline).unwrap(), after);
    assert!(others.indexes().unwrap()[0].1.uses >= 2);
    let error = Pipeline::from_json(
        r#"[{"$lookup":{"from":"none","localField":"n","foreignField":"n","as":"o"}}]"#,
    );
    let error = docs.aggregate(&error.unwrap()).unwrap_err();
    assert_eq!(error.code().0, "unknown_collection");
    let out = Pipeline::from_json(r#"[{"$out":"others"}]"#).unwrap();
    let refused = docs.view().unwrap().aggregate(&out).unwrap_err();
    assert!(refused.to_string().contains("$out"), "{refused}");
}

/// An old version that is too long for an index does not keep it from being made, nor does a
/// snapshot that still sees that version miss it.
#[test]
fn an_index_is_made_beside_old_versions_that_it_could_not_take() {
    let db = database();
    let docs = db.create_collection(Definition::new("docs")).unwrap().value;
    let long = "x".repeat(20_000);
    docs.upsert(1, [("s", long.as_str().into())]).unwrap();
    let before = docs.view().unwrap();
    docs.upsert(1, [("s", "short".into())]).unwrap();
    docs.create_index(IndexDefinition::btree("by_s", [path("s")]))
        .unwrap();
    let find = |s: &str| Find::new(Filter::eq("s", s));
    assert_eq!(before.find(&find(&long)).unwrap().len(), 1);
    assert_eq!(before.find(&find("short")).unwrap().len(), 0);
    assert!(before.indexes().is_empty());
    let now = docs.view().unwrap();
    assert_eq!(now.find(&find("short")).unwrap().len(), 1);
    assert_eq!(now.indexes().len(), 1);
    drop(before);
    docs.upsert(1, [("s", "other".into())]).unwrap();
    assert_eq!(docs.find(&find("other")).unwrap().len(), 1);
}
