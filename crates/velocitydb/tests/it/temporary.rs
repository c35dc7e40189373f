//! Temporary collections: those that a crash has left go when the database is opened.

use velocitydb::{
    Definition, Field, FieldType, Isolation, Openness, Schema, SequenceDefinition, is_temporary,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{code, create, json, on};

#[test]
fn a_start_drops_what_sessions_have_left_and_nothing_else() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let kept = ["pg_temp", "pg_temp_1", "pg_temp_a.t", "t"];
    for name in kept {
        create(&db, name).insert_with_id("a", json("{}")).unwrap();
    }
    // One that others refer to comes first by its name.
    let temporary = |definition| db.create_temporary(definition).unwrap();
    temporary(Definition::new("pg_temp_7.a"));
    let reference = serde_json::from_str(r#"{"collection":"pg_temp_7.a"}"#).unwrap();
    let field = Field {
        references: Some(reference),
        ..Field::new("a", FieldType::String)
    };
    let schema = Schema::new(Openness::Open, vec![field]).unwrap();
    for name in ["pg_temp_7.b", "pg_temp_7.c"] {
        let definition = Definition::new(name).schema(schema.clone());
        let refused = db.create_collection(definition.clone());
        assert_eq!(code(refused.map(|_| ())), "invalid_definition");
        let lasting = db.collection("t").unwrap();
        let renamed = Definition {
            name: name.into(),
            ..lasting.definition().unwrap()
        };
        let refused = lasting.alter(velocitydb::Alteration::to(renamed));
        assert_eq!(code(refused), "invalid_definition");
        temporary(definition);
    }
    let of_session = SequenceDefinition::new("pg_temp_7.s");
    assert!(db.create_sequence(of_session.clone()).is_err());
    let mut transaction = db.begin(Isolation::Snapshot);
    assert!(transaction.create_sequence(of_session.clone()).is_err());
    db.create_temporary_sequence(of_session).unwrap();
    db.create_sequence(SequenceDefinition::new("s")).unwrap();
    assert!(transaction.rename_sequence("s", "pg_temp_7.t").is_err());
    for _ in 0..2 {
        let db = on(&disk.crash(CrashMode::Process));
        let names: Vec<_> = db.collections().into_iter().map(|one| one.name).collect();
        assert_eq!(names, kept);
        assert!(db.sequence("pg_temp_7.s").unwrap().is_none());
        assert!(db.sequence("s").unwrap().is_some());
    }
}

#[test]
fn names_of_temporary_collections() {
    for (name, is_one) in [
        ("pg_temp_1.t", true),
        ("pg_temp_12.s.t", true),
        ("pg_temp_.t", false),
        ("pg_temp_1", false),
        ("pg_temp_1a.t", false),
        ("pg_temp.t", false),
    ] {
        assert_eq!(is_temporary(name), is_one, "{name}");
    }
}
