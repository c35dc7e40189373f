//! Schemas of whole databases: plans, refusals, interruptions.

use std::ops::ControlFlow;

use velocitydb::types::{Check, OnDelete};
use velocitydb::{
    Call, Database, DatabaseSchema, DefaultValue, Definition, Field, FieldType, LoadSchemaError,
    Openness, Options, Schema,
};

fn definition(name: &str, fields: &[Field]) -> Definition {
    Definition::new(name).schema(Schema::new(Openness::Open, fields.to_vec()).unwrap())
}

/// Customers, carts and orders; the second version has none of the carts.
fn first() -> DatabaseSchema {
    DatabaseSchema::new("shop", 1)
        .collection(definition("carts", &[]))
        .collection(definition(
            "customers",
            &[Field::new("mail", FieldType::String)],
        ))
        .collection(definition(
            "orders",
            &[
                Field::new("amount", FieldType::Int),
                Field::new("color", FieldType::String),
                Field::new("no", FieldType::String),
            ],
        ))
}

fn second() -> DatabaseSchema {
    let orders = Schema::new(
        Openness::Open,
        vec![
            Field::new("amount", FieldType::Decimal),
            Field::new("number", FieldType::String).required(),
            Field::new("state", FieldType::String)
                .with_default(DefaultValue::Constant("new".into())),
        ],
    );
    let check = Check::new("positive", "amount > 0").unwrap();
    let orders = orders.unwrap().with_checks(vec![check]).unwrap();
    let mail = Field::new("mail", FieldType::String).unique();
    let mut schema = DatabaseSchema::new("shop", 2)
        .collection(definition("customers", &[mail]))
        .collection(Definition::new("orders").schema(orders))
        .collection(definition("returns", &[]));
    let orders = schema.collections.get_mut("orders").unwrap();
    orders.renamed.insert("no".into(), "number".into());
    orders.dropped.push("color".into());
    schema.dropped.push("carts".into());
    schema
}

fn refused(db: &Database, schema: DatabaseSchema) -> String {
    db.plan_schema(schema).unwrap_err().to_string()
}

fn insert(db: &Database, collection: &str, id: &str, json: &str) {
    let input = velocitydb::Input::json(json).unwrap();
    db.collection(collection)
        .unwrap()
        .insert_with_id(id, input)
        .unwrap();
}

#[test]
fn a_newer_version_is_planned_and_made() {
    let db = Database::in_memory().unwrap();
    let plan = db.load_schema(first()).unwrap();
    assert_eq!(
        plan.to_string(),
        "schema shop: version 1, the first\n  create carts\n  create customers\n  create orders"
    );
    insert(
        &db,
        "orders",
        "a",
        r#"{"amount": 7, "no": "A-1", "color": "red"}"#,
    );
    let plan = db.plan_schema(second()).unwrap();
    assert_eq!(
        plan.to_string(),
        "schema shop: version 1 to 2\n  create returns\n  \
         alter customers: make mail unique\n  \
         alter orders: rename no to number, retype amount from int to decimal, require number, \
         add field state (string), drop field color, add check positive\n  \
         drop carts with its documents"
    );
    assert_eq!(
        db.schema("shop").unwrap().unwrap().schema,
        first(),
        "a plan changes nothing"
    );
    db.load_schema(second()).unwrap();
    let order = db.collection("orders").unwrap().get("a").unwrap().unwrap();
    let fields = velocitydb::Value::Map(order.fields().to_map()).to_json();
    assert_eq!(fields, r#"{"amount":"7","number":"A-1","state":"new"}"#);
    assert!(db.collection("carts").is_err());
    let again = db.load_schema(second()).unwrap();
    assert_eq!(
        again.to_string(),
        "schema shop: version 2 is loaded, nothing to do"
    );
    assert_eq!(db.schemas().unwrap().len(), 1);
}

#[test]
fn versions_that_cannot_follow_are_refused() {
    let db = Database::in_memory().unwrap();
    db.load_schema(first()).unwrap();
    let other = first().collection(definition("more", &[]));
    assert_eq!(
        refused(&db, other),
        "schema shop: version 1 is loaded with other content: give the changed one a version above 1"
    );
    db.load_schema(second()).unwrap();
    let error = db.plan_schema(first()).unwrap_err();
    assert_eq!(error.code().0, "schema_version");
    assert_eq!(
        error.to_string(),
        "schema shop: version 2 is loaded, which is newer than 1"
    );
    assert_eq!(
        refused(&db, DatabaseSchema::new("other", 0)),
        "schema other: the version is 0; the first is 1"
    );
    assert_eq!(
        refused(&db, DatabaseSchema::new("other", u64::MAX)),
        "schema other: the version 18446744073709551615 is too large"
    );
    let text = velocitydb::Value::from("x".repeat(9 << 20));
    let default = DefaultValue::Constant(text);
    let long = |name: &str| Field::new(name, FieldType::String).with_default(default.clone());
    let long = DatabaseSchema::new("other", 1)
        .collection(definition("other", &[long("a")]))
        .collection(definition("more", &[long("a")]));
    assert!(refused(&db, long).contains("bytes as JSON; at most 16711680 are allowed"));
}

#[test]
fn nothing_is_lost_by_leaving_it_out() {
    let db = Database::in_memory().unwrap();
    db.load_schema(first()).unwrap();
    let mut without = second();
    without.dropped.clear();
    assert_eq!(
        refused(&db, without),
        "carts is no longer there: list it under `dropped`, and its documents go"
    );
    let mut without = second();
    without
        .collections
        .get_mut("orders")
        .unwrap()
        .dropped
        .clear();
    assert_eq!(
        refused(&db, without),
        "orders: the field \"color\" is no longer there: list it under `dropped`, and its values \
         go, or under `renamed`"
    );
    let mut without = second();
    without
        .collections
        .get_mut("orders")
        .unwrap()
        .renamed
        .clear();
    let error = refused(&db, without);
    assert!(
        error.starts_with("orders: the field \"no\" is no longer there"),
        "{error}"
    );
}

#[test]
fn a_document_that_does_not_fit_is_named_and_its_collection_is_as_it_was() {
    let db = Database::in_memory().unwrap();
    db.load_schema(first()).unwrap();
    insert(&db, "orders", "a", r#"{"amount": 0, "no": "A-1"}"#);
    let before = db.collection("orders").unwrap().definition().unwrap();
    let error = db.load_schema(second()).unwrap_err();
    assert!(matches!(error, LoadSchemaError::Step { .. }));
    let error = error.to_string();
    assert!(error.starts_with("alter orders: "), "{error}");
    assert!(
        error.contains("document a: check \"positive\": `amount > 0` is false"),
        "{error}"
    );
    let done = "; done before: create returns; alter customers: make mail unique";
    assert!(error.ends_with(done), "{error}");
    assert_eq!(
        db.collection("orders").unwrap().definition().unwrap(),
        before
    );
    assert_eq!(db.schema("shop").unwrap().unwrap().schema.version, 1);
}

/// Stopped before each of its steps, opened again, and loaded again.
#[test]
fn a_load_that_was_interrupted_goes_on() {
    let fresh = Database::in_memory().unwrap();
    fresh.load_schema(second()).unwrap();
    let steps = 5; // four, and the version
    for stop in 0..=steps {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(Options::at(dir.path())).unwrap();
        db.load_schema(first()).unwrap();
        insert(
            &db,
            "orders",
            "a",
            r#"{"amount": 7, "no": "A-1", "color": "red"}"#,
        );
        let plan = db.plan_schema(second()).unwrap();
        let mut left = stop;
        let ended = plan.run(&db, &Call::new(), |_| match left {
            0 => ControlFlow::Break(()),
            _ => {
                left -= 1;
                ControlFlow::Continue(())
            }
        });
        assert_eq!(ended.unwrap().is_break(), stop < steps, "{stop}");
        db.close().unwrap();
        drop((plan, db));
        let db = Database::open(Options::at(dir.path())).unwrap();
        let loaded = db.schema("shop").unwrap().unwrap().schema.version;
        assert_eq!(loaded, if stop < steps { 1 } else { 2 });
        let left = db.plan_schema(second()).unwrap().steps.len();
        assert_eq!(left, 4_usize.saturating_sub(stop));
        db.load_schema(second()).unwrap();
        assert_eq!(db.collections(), fresh.collections());
        let order = db.collection("orders").unwrap().get("a").unwrap().unwrap();
        let fields = velocitydb::Value::Map(order.fields().to_map()).to_json();
        assert_eq!(fields, r#"{"amount":"7","number":"A-1","state":"new"}"#);
        assert_eq!(db.schema("shop").unwrap().unwrap().schema, second());
    }
}

#[test]
fn collections_that_no_schema_made_are_adopted() {
    let db = Database::in_memory().unwrap();
    db.create_collection(definition("carts", &[])).unwrap();
    db.create_collection(definition("orders", &[])).unwrap();
    let plan = db.load_schema(first()).unwrap().to_string();
    assert_eq!(
        plan,
        "schema shop: version 1, the first\n  adopt carts, which no schema made, as it is\n  \
         create customers\n  alter orders, which no schema made: add field amount (int), \
         add field color (string), add field no (string)"
    );
}

#[test]
fn a_collection_belongs_to_one_schema() {
    let db = Database::in_memory().unwrap();
    db.load_schema(first()).unwrap();
    let other = DatabaseSchema::new("other", 1).collection(definition("orders", &[]));
    assert_eq!(
        refused(&db, other),
        "orders is a collection of the schema shop already"
    );
}

/// Of two that load at once, one is told.
#[test]
fn a_schema_that_was_loaded_meanwhile_is_not_overwritten() {
    let db = Database::in_memory().unwrap();
    let plan = db.plan_schema(DatabaseSchema::new("shop", 2)).unwrap();
    db.load_schema(DatabaseSchema::new("shop", 1)).unwrap();
    let run = plan.run(&db, &Call::new(), |_| ControlFlow::Continue(()));
    assert_eq!(run.unwrap_err().code().0, "schema_version");
    assert_eq!(db.schema("shop").unwrap().unwrap().schema.version, 1);
}

#[test]
fn a_plan_that_does_not_hold_any_more_changes_nothing() {
    let db = Database::in_memory().unwrap();
    db.load_schema(first()).unwrap();
    let stale = db.plan_schema(second()).unwrap();
    let mut third = first();
    third.version = 3;
    db.load_schema(third.clone()).unwrap();
    let run = stale.run(&db, &Call::new(), |_| ControlFlow::Continue(()));
    assert_eq!(
        run.unwrap_err().to_string(),
        "schema shop: version 3 is loaded, which is newer than 2"
    );
    let wanted = third.collections.into_values().map(|one| one.definition);
    assert_eq!(db.collections(), wanted.collect::<Vec<_>>());

    // A collection that somebody else altered meanwhile.
    let mut fourth = second();
    fourth.version = 4;
    let stale = db.plan_schema(fourth).unwrap();
    let orders = db.collection("orders").unwrap();
    let altered = orders.definition().unwrap().expire_after(10);
    orders.alter(velocitydb::Alteration::to(altered)).unwrap();
    let run = stale.run(&db, &Call::new(), |_| ControlFlow::Continue(()));
    assert_eq!(
        run.unwrap_err().to_string(),
        "schema shop: the database has changed since this was planned; nothing was changed: load \
         it again"
    );
}

#[test]
fn many_may_load_the_same_schema_at_once() {
    let db = Database::in_memory().unwrap();
    for schema in [first(), second()] {
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| db.load_schema(schema.clone()).unwrap());
            }
        });
    }
    assert_eq!(db.schema("shop").unwrap().unwrap().schema, second());
}

#[test]
fn collections_come_after_those_that_they_refer_to() {
    let db = Database::in_memory().unwrap();
    let to = Field::new("customer", FieldType::String).references("customers", OnDelete::Cascade);
    let schema = DatabaseSchema::new("shop", 1)
        .collection(definition("a", &[to]))
        .collection(definition("customers", &[]));
    db.load_schema(schema).unwrap();
    let [customers, orders] = ["customers", "a"].map(|name| db.collection(name).unwrap());
    customers.insert_with_id("ada", [("n", 1.into())]).unwrap();
    orders.insert([("customer", "ada".into())]).unwrap();
    customers.delete("ada").unwrap();
    assert_eq!(orders.count().unwrap(), 0);
}

/// Refers to each of `to` by a field of its name.
fn referring(name: &str, to: &[&str]) -> Definition {
    let field = |to: &&str| Field::new(*to, FieldType::String).references(*to, OnDelete::SetNull);
    definition(name, &to.iter().map(field).collect::<Vec<_>>())
}

#[test]
fn collections_may_refer_to_each_other_in_a_ring() {
    let db = Database::in_memory().unwrap();
    let ring = DatabaseSchema::new("firm", 1)
        .collection(referring("people", &["teams"]))
        .collection(referring("teams", &["people"]));
    assert_eq!(
        db.load_schema(ring).unwrap().to_string(),
        "schema firm: version 1, the first\n  create people\n  create teams\n  \
         alter people: change the reference of teams"
    );
    insert(&db, "people", "ada", "{}");
    insert(&db, "teams", "red", r#"{"people": "ada"}"#);
    let mut none = DatabaseSchema::new("firm", 2);
    none.dropped = vec!["people".to_owned(), "teams".to_owned()];
    assert_eq!(
        db.load_schema(none).unwrap().to_string(),
        "schema firm: version 1 to 2\n  alter people: change the reference of teams\n  \
         drop teams with its documents\n  drop people with its documents"
    );
}

#[test]
fn steps_come_in_an_order_in_which_each_can_be_made() {
    let db = Database::in_memory().unwrap();
    let brief = |name| Definition::new(name).expire_after(10);
    let versions = [
        [referring("b", &[]), brief("a"), brief("c")],
        // What expires no longer comes before who refers to it.
        [
            referring("b", &["c"]),
            referring("a", &[]),
            referring("c", &[]),
        ],
        // Who refers to it no longer comes before what expires from now on.
        [referring("b", &["a"]), referring("a", &["a"]), brief("c")],
        [referring("b", &["c"]), brief("a"), referring("c", &["b"])],
    ];
    for (version, collections) in (1..).zip(versions) {
        let mut schema = DatabaseSchema::new("s", version);
        for collection in &collections {
            schema = schema.collection(collection.clone());
        }
        for (name, collection) in &mut schema.collections {
            let gone = ["a", "b", "c"].into_iter();
            let gone = gone.filter(|name| collection.definition.schema.field(name).is_none());
            collection.dropped = gone.map(str::to_owned).collect();
            assert_eq!(name, &collection.definition.name);
        }
        db.load_schema(schema).unwrap();
        for collection in collections {
            let name = collection.name.clone();
            assert_eq!(
                db.collection(&name).unwrap().definition().unwrap(),
                collection
            );
        }
    }
}

mod random {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Some of five fields, each with a type, required or not, unique or not.
    fn collection(name: &'static str) -> impl Strategy<Value = Definition> {
        let kind = prop_oneof![
            Just(FieldType::Int),
            Just(FieldType::String),
            Just(FieldType::Decimal)
        ];
        let field = (kind, any::<bool>(), any::<bool>());
        let fields = proptest::collection::btree_map(0..5_u8, field, 0..5);
        fields.prop_map(move |fields| {
            let field = |(at, (kind, required, unique)): (u8, (FieldType, bool, bool))| {
                let mut field = Field::new(format!("f{at}"), kind);
                (field.required, field.unique) = (required, unique);
                field
            };
            let fields: Vec<_> = fields.into_iter().map(field).collect();
            definition(name, &fields)
        })
    }

    const NAMES: [&str; 3] = ["a", "b", "c"];

    /// Which of three collections there are, whether they expire, and to which they refer.
    fn linked(version: u64) -> impl Strategy<Value = DatabaseSchema> {
        let one = || proptest::option::weighted(0.8, (any::<bool>(), [any::<bool>(); 3]));
        [one(), one(), one()].prop_map(move |all| {
            let mut schema = DatabaseSchema::new("s", version);
            let lasts = |at: &usize| all[*at].is_some_and(|(expires, _)| !expires);
            for (at, name) in NAMES.iter().enumerate() {
                let Some((expires, links)) = all[at] else {
                    schema.dropped.push((*name).to_owned());
                    continue;
                };
                let to: Vec<_> = (0..3).filter(|to| links[*to] && lasts(to)).collect();
                let to: Vec<_> = to.into_iter().map(|to| NAMES[to]).collect();
                let mut definition = referring(name, &to);
                if expires {
                    definition = definition.expire_after(10);
                }
                schema = schema.collection(definition);
                let gone = NAMES.iter().filter(|name| !to.contains(name));
                let made = schema.collections.get_mut(*name).unwrap();
                made.dropped = gone.map(|name| (*name).to_owned()).collect();
            }
            schema
        })
    }

    fn schema(version: u64) -> impl Strategy<Value = DatabaseSchema> {
        let one = |name| proptest::option::of(collection(name));
        (one("a"), one("b"), one("c")).prop_map(move |(a, b, c)| {
            let all = [a, b, c].into_iter().flatten();
            all.fold(
                DatabaseSchema::new("s", version),
                DatabaseSchema::collection,
            )
        })
    }

    /// The second with all that it has not of the first named as dropped.
    fn follows(first: &DatabaseSchema, mut second: DatabaseSchema) -> DatabaseSchema {
        let names = |definition: &Definition| -> Vec<String> {
            let fields = definition.schema.fields().iter();
            fields.map(|field| field.name.clone()).collect()
        };
        for (name, former) in &first.collections {
            match second.collections.get_mut(name) {
                None => second.dropped.push(name.clone()),
                Some(collection) => {
                    let kept = names(&collection.definition);
                    let former = names(&former.definition).into_iter();
                    collection.dropped = former.filter(|name| !kept.contains(name)).collect();
                }
            }
        }
        second
    }

    fn definitions(db: &Database) -> BTreeMap<String, Definition> {
        let all = db.collections().into_iter();
        all.map(|definition| (definition.name.clone(), definition))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// One version after the other leads where the last one alone does.
        #[test]
        fn any_references_follow_any_others(first in linked(1), second in linked(2), stop in 0..8_usize) {
            let db = Database::in_memory().unwrap();
            db.load_schema(first).unwrap();
            let mut left = stop;
            let plan = db.plan_schema(second.clone()).unwrap();
            let shown = plan.to_string();
            let _whole = plan.run(&db, &Call::new(), |_| match left {
                0 => ControlFlow::Break(()),
                _ => {
                    left -= 1;
                    ControlFlow::Continue(())
                }
            }).unwrap_or_else(|error| panic!("{error}: {shown}"));
            db.load_schema(second.clone()).unwrap();
            let held: Vec<_> = db.collections();
            let wanted = second.collections.into_values().map(|wanted| wanted.definition);
            prop_assert_eq!(held, wanted.collect::<Vec<_>>());
        }

        #[test]
        fn versions_lead_to_the_last(first in schema(1), second in schema(2)) {
            let second = follows(&first, second);
            let (one, both) = (Database::in_memory().unwrap(), Database::in_memory().unwrap());
            both.load_schema(first).unwrap();
            both.load_schema(second.clone()).unwrap();
            one.load_schema(second).unwrap();
            prop_assert_eq!(definitions(&one), definitions(&both));
        }
    }
}
