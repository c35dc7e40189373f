//! Questions that are asked again and again, and the indexes that they remember.

use velocitydb::query::plan::Remembered;
use velocitydb::query::{Filter, Find};
use velocitydb::{Definition, IndexDefinition, Value};

use crate::queries::{ASC, database, path};

/// What a question remembers of its plan goes with the index; and another index is asked where it
/// may be better for other values.
#[test]
fn a_question_that_is_asked_again_knows_its_index() {
    let db = database();
    let docs = db.create_collection(Definition::new("docs")).unwrap().value;
    for n in 0..3000_i64 {
        let rare = if n % 1000 == 999 { n } else { 0 };
        let fields = [("a", n % 3), ("rare", rare), ("t", n)];
        let fields = fields.map(|(name, value)| (name.to_owned(), Value::Int(value)));
        docs.insert(std::collections::BTreeMap::from(fields))
            .unwrap();
    }
    let by_a = IndexDefinition::btree("by_a", [path("a"), path("t")]);
    docs.create_index(by_a.clone()).unwrap();
    let uses = |name: &str| {
        let all = docs.indexes().unwrap();
        let found = all.iter().find(|(index, _)| index.name == name);
        found.map_or(0, |(_, stats)| stats.uses)
    };
    let remembered = Remembered::default();
    let ask = |a: i64, rare: i64| {
        let filter = Filter::And(vec![Filter::eq("a", a), Filter::eq("rare", rare)]);
        let mut find = Find::new(filter).sort([("t", ASC)]).limit(1);
        find.remembered = Some(remembered.clone());
        let found = docs.find(&find).unwrap();
        found
            .first()
            .and_then(|document| document.get("t")?.as_int())
    };
    for _ in 0..100 {
        assert_eq!(ask(0, 0), Some(0));
    }
    assert_eq!(uses("by_a"), 100);
    // A better one for what is rare: for the other values the first one stays.
    docs.create_index(IndexDefinition::btree("by_rare", [path("rare")]))
        .unwrap();
    for _ in 0..100 {
        assert_eq!((ask(0, 0), ask(0, 999)), (Some(0), Some(999)));
    }
    assert_eq!((uses("by_a"), uses("by_rare")), (200, 100));
    docs.drop_index("by_rare").unwrap();
    for _ in 0..3 {
        assert_eq!((ask(0, 0), ask(0, 999)), (Some(0), Some(999)));
    }
    docs.drop_index("by_a").unwrap();
    assert_eq!((ask(1, 0), ask(0, 999)), (Some(1), Some(999)));
    // Another one of its name, which is of no use.
    docs.create_index(IndexDefinition::btree("by_a", [path("other")]))
        .unwrap();
    docs.insert(std::collections::BTreeMap::from([(
        "a".to_owned(),
        Value::Int(7),
    )]))
    .unwrap();
    assert_eq!((ask(1, 0), ask(7, 0)), (Some(1), None));
    assert_eq!(uses("by_a"), 0);
}

/// What was good for rare values is not done for values that most documents have; and what no question
/// may ask is refused whatever is remembered.
#[test]
fn what_is_remembered_is_not_kept_where_a_scan_is_better() {
    let db = database();
    let docs = db.create_collection(Definition::new("docs")).unwrap().value;
    for n in 0..3000_i64 {
        let fields = [("rare".to_owned(), Value::Bool(n == 1000))];
        docs.insert(std::collections::BTreeMap::from(fields))
            .unwrap();
    }
    docs.create_index(IndexDefinition::btree("by_rare", [path("rare")]))
        .unwrap();
    let remembered = Remembered::default();
    let ask = |filter: Filter| {
        let mut find = Find::new(filter);
        find.remembered = Some(remembered.clone());
        docs.find(&find)
    };
    for _ in 0..3 {
        assert_eq!(ask(Filter::eq("rare", true)).unwrap().len(), 1);
        assert_eq!(ask(Filter::eq("rare", false)).unwrap().len(), 2999);
    }
    let (_, stats) = &docs.indexes().unwrap()[0];
    assert_eq!(stats.uses, 3);
    assert_eq!(ask(Filter::eq("rare", true)).unwrap().len(), 1);
    let no_path = Filter::And(vec![Filter::eq("rare", true), Filter::eq("a..b", 1)]);
    assert!(ask(no_path).is_err());
}
