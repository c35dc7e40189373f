//! Databases of one store keep out of each other's way.

use velocitydb::{
    Call, ChangeKind, Database, DatabaseDefinition, Definition, Error, Field, FieldType, OnDelete,
    Openness, Refusal, Schema, SequenceDefinition,
};
use velocitydb_sim::SimDisk;

use crate::support::{code, create, done, in_memory, json, on, read};

fn make(db: &Database, name: &str) -> Database {
    done(db.create_database(DatabaseDefinition::new(name), &Call::new()))
}

fn names(db: &Database) -> Vec<String> {
    let all = db.databases().into_iter();
    all.map(|(_, definition)| definition.name).collect()
}

fn collections(db: &Database) -> Vec<String> {
    db.collections().into_iter().map(|one| one.name).collect()
}

#[test]
fn a_name_is_of_its_database() {
    let db = in_memory();
    assert_eq!(names(&db), ["velocity", "postgres"]);
    let shop = make(&db, "shop");
    assert_eq!(shop.name().unwrap(), "shop");
    assert_eq!(
        code(db.create_database(DatabaseDefinition::new("shop"), &Call::new())),
        "database_exists"
    );
    for database in [&db, &shop] {
        let things = create(database, "things");
        let name = database.name().unwrap();
        things
            .insert_with_id("a", json(&format!(r#"{{"of": "{name}"}}"#)))
            .unwrap();
    }
    create(&shop, "orders");
    assert_eq!(collections(&db), ["things"]);
    assert_eq!(collections(&shop), ["orders", "things"]);
    assert_eq!(code(db.collection("orders")), "unknown_collection");
    let things = |db: &Database| read(&db.collection("things").unwrap(), "a");
    assert_eq!(things(&db).as_deref(), Some(r#"{"of":"velocity"}"#));
    let again = db.database("shop").unwrap();
    assert_eq!(things(&again).as_deref(), Some(r#"{"of":"shop"}"#));
    // Also in a transaction and in a snapshot.
    let mut transaction = again.begin(velocitydb::Isolation::Snapshot);
    assert!(transaction.get("orders", "x").unwrap().is_none());
    let mut outside = db.begin(velocitydb::Isolation::Snapshot);
    assert_eq!(code(outside.get("orders", "x")), "unknown_collection");
    assert!(shop.snapshot().collection("orders").is_ok());
    assert!(db.snapshot().collection("orders").is_err());
    assert_eq!(code(db.database("none").map(drop)), "unknown_database");
}

#[test]
fn sequences_keys_and_messages_are_of_a_database() {
    let db = in_memory();
    let shop = make(&db, "shop");
    let [ours, theirs] = [&db, &shop].map(|db| {
        let made = db.create_sequence(SequenceDefinition::new("numbers"));
        made.unwrap()
    });
    assert_eq!([ours.next().unwrap(), ours.next().unwrap()], [1, 2]);
    assert_eq!(theirs.next().unwrap(), 1);
    assert_eq!(shop.sequences().unwrap().len(), 1);
    assert!(shop.drop_sequence("numbers").unwrap());
    assert_eq!(ours.next().unwrap(), 3);

    // The same request with the same key, in each: neither is the other's repetition.
    let call = Call::new().idempotency_key("k");
    for database in [&db, &shop] {
        let things = create(database, "things").with(call.clone());
        let inserted = things.insert_with_id("a", json("{}")).unwrap();
        assert!(!inserted.repeated);
    }

    let mut changes = shop.changes().open().unwrap();
    create(&db, "elsewhere");
    create(&shop, "here");
    let told = changes.try_next().unwrap().unwrap();
    assert_eq!(told.kind, ChangeKind::CollectionCreated);
    assert_eq!(&*told.collection, "here");
    assert!(changes.try_next().unwrap().is_none());
}

#[test]
fn references_stay_in_the_database() {
    let db = in_memory();
    let shop = make(&db, "shop");
    create(&db, "customers");
    let customer =
        Field::new("customer", FieldType::String).references("customers", OnDelete::Restrict);
    let schema = Schema::new(Openness::Open, vec![customer]).unwrap();
    let orders = Definition::new("orders").schema(schema);
    assert_eq!(
        code(shop.create_collection(orders.clone())),
        "invalid_definition"
    );
    let customers = create(&shop, "customers");
    let orders = shop.create_collection(orders).unwrap().value;
    customers.insert_with_id("c", json("{}")).unwrap();
    orders
        .insert_with_id("o", json(r#"{"customer": "c"}"#))
        .unwrap();
    // Those of the same name elsewhere are referred to by nobody.
    db.drop_collection("customers").unwrap();
    let refused = shop.drop_collection("customers");
    assert!(matches!(
        refused,
        Err(Error::Refused {
            refusal: Refusal::Reference(_),
            ..
        })
    ));
}

#[test]
fn a_database_goes_with_all_that_is_in_it_and_its_number_never_comes_back() {
    let disk = SimDisk::new(7);
    let first = {
        let db = on(&disk);
        let shop = make(&db, "shop");
        create(&shop, "things")
            .insert_with_id("a", json("{}"))
            .unwrap();
        shop.create_sequence(SequenceDefinition::new("numbers"))
            .unwrap();
        create(&db, "things");
        db.close().unwrap();
        shop.id()
    };
    let db = on(&disk);
    assert_eq!(names(&db), ["velocity", "postgres", "shop"]);
    let shop = db.database("shop").unwrap();
    assert_eq!(shop.id(), first);
    let guest = shop.enter().unwrap();
    let call = Call::new();
    assert_eq!(code(db.drop_database("shop", &call)), "database_in_use");
    let other = DatabaseDefinition::new("other");
    let renamed = db.alter_database("shop", other.clone(), &call);
    assert_eq!(code(renamed), "database_in_use");
    drop(guest);
    done(db.alter_database("shop", other, &call));
    assert_eq!(shop.name().unwrap(), "other");
    done(db.drop_database("other", &call));
    assert_eq!(code(shop.enter().map(drop)), "unknown_database");
    assert_eq!(
        code(shop.collection("things").map(drop)),
        "unknown_collection"
    );
    assert_eq!(
        code(shop.create_collection(Definition::new("new"))),
        "unknown_database"
    );
    assert_eq!(collections(&db), ["things"]);
    for lasting in ["velocity", "postgres"] {
        assert_eq!(code(db.drop_database(lasting, &call)), "invalid_definition");
    }
    // What is made anew under the name has nothing of it, also after the log was read again.
    let again = make(&db, "other");
    assert!(again.id() > first);
    assert!(again.sequences().unwrap().is_empty());
    let digest = db.digest();
    drop((again, shop, db));
    let db = on(&disk);
    assert_eq!(db.digest(), digest);
    assert_eq!(names(&db), ["velocity", "postgres", "other"]);
    assert!(collections(&db.database("other").unwrap()).is_empty());
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    let db = in_memory();
    for bad in ["", "a/b", "..", "a\n"] {
        let made = db.create_database(DatabaseDefinition::new(bad), &Call::new());
        assert_eq!(code(made), "invalid_definition", "{bad:?}");
    }
}
