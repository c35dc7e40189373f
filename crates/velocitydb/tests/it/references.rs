//! References between collections: what each action does, what is refused, and random writes,
//! crashes and checkpoints against a plain model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use velocitydb::{
    Alteration, Batch, Call, Collection, Database, Definition, Expiry, Field, FieldType, OnDelete,
    Openness, Schema, Timestamp, Update, Value,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{code, create, done, in_memory, json, on, read, tidy};

fn refers(field: &str, to: &str, on_delete: OnDelete) -> Field {
    Field::new(field, FieldType::String).references(to, on_delete)
}

fn with_fields(name: &str, fields: Vec<Field>) -> Definition {
    Definition::new(name).schema(Schema::new(Openness::Open, fields).unwrap())
}

/// Teams; people, who go with their team and lose their boss; tasks, which hold their reviewer.
fn company(db: &Database) -> [Collection; 3] {
    let teams = create(db, "teams");
    let people = vec![
        refers("team", "teams", OnDelete::Cascade),
        refers("boss", "people", OnDelete::SetNull),
    ];
    let people = done(db.create_collection(with_fields("people", people)));
    let tasks = vec![
        refers("owner", "people", OnDelete::Cascade),
        refers("reviewer", "people", OnDelete::Restrict),
    ];
    let tasks = done(db.create_collection(with_fields("tasks", tasks)));
    [teams, people, tasks]
}

#[test]
fn each_action_does_what_it_says_and_survives_a_crash() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let [teams, people, tasks] = company(&db);
    teams.insert_with_id("red", json("{}")).unwrap();
    people
        .insert_with_id("ada", json(r#"{"team":"red"}"#))
        .unwrap();
    people
        .insert_with_id("bob", json(r#"{"boss":"ada"}"#))
        .unwrap();
    tasks
        .insert_with_id("t", json(r#"{"owner":"ada","reviewer":"bob"}"#))
        .unwrap();
    assert_eq!(
        people.delete("bob").unwrap_err().to_string(),
        "document bob of \"people\" stays: document t of \"tasks\" refers to it by reviewer"
    );
    assert_eq!(
        tasks
            .insert_with_id("u", json(r#"{"owner":"eve"}"#))
            .unwrap_err()
            .to_string(),
        "document u: owner refers to \"people\", which has no document \"eve\""
    );
    assert_eq!(
        code(people.update("bob", Update::new().set("team", "blue"))),
        "reference_violation"
    );
    // Null and absent refer to nothing.
    people
        .insert_with_id("cy", json(r#"{"team":null}"#))
        .unwrap();
    teams.delete("red").unwrap();
    let check = |db: &Database| {
        let [people, tasks] = ["people", "tasks"].map(|name| db.collection(name).unwrap());
        assert_eq!(read(&people, "ada"), None);
        assert_eq!(read(&tasks, "t"), None);
        assert_eq!(read(&people, "bob").as_deref(), Some(r#"{"boss":null}"#));
        assert_eq!(people.get("bob").unwrap().unwrap().meta().version, 2);
    };
    check(&db);
    let digest = db.digest();
    let disk = disk.crash(CrashMode::Process);
    drop(db);
    let db = on(&disk);
    check(&db);
    assert_eq!(db.digest(), digest);
    people_go_with_their_team(&db);
}

/// After a restart the indexes of references still find everybody.
fn people_go_with_their_team(db: &Database) {
    let [teams, people] = ["teams", "people"].map(|name| db.collection(name).unwrap());
    teams.insert_with_id("red", json("{}")).unwrap();
    for id in 0..1000_i64 {
        people
            .insert_with_id(id, json(r#"{"team":"red"}"#))
            .unwrap();
    }
    teams.delete("red").unwrap();
    assert_eq!(people.count().unwrap(), 2);
}

#[test]
fn an_atomic_batch_is_judged_by_what_it_leaves() {
    let db = in_memory();
    let [teams, people, _] = company(&db);
    // The one that refers comes first.
    let batch = Batch::atomic()
        .insert_with_id("people", "ada", json(r#"{"team":"red","boss":"ada"}"#))
        .insert_with_id("teams", "red", json("{}"));
    db.batch(batch).unwrap();
    let batch = Batch::atomic()
        .insert_with_id("people", "bob", json(r#"{"team":"red"}"#))
        .delete("teams", "red");
    assert_eq!(code(db.batch(batch)), "reference_violation");
    assert!(read(&teams, "red").is_some());
    let batch = Batch::each()
        .insert_with_id("people", "bob", json(r#"{"team":"red"}"#))
        .delete("teams", "red")
        .insert_with_id("people", "cy", json(r#"{"team":"blue"}"#));
    let answer = db.batch(batch).unwrap().value;
    let refused: Vec<_> = answer.iter().map(|one| one.is_err()).collect();
    assert_eq!(refused, [false, true, true]);
    teams.delete("red").unwrap();
    assert_eq!(people.count().unwrap(), 0);
}

#[test]
fn definitions_that_could_not_be_kept_are_refused() {
    let db = in_memory();
    let [teams, people, _] = company(&db);
    let say = |definition: Definition| db.create_collection(definition).unwrap_err().to_string();
    let to = |collection: &str| with_fields("a", vec![refers("r", collection, OnDelete::Restrict)]);
    assert_eq!(
        say(to("nobody")),
        "the field \"r\" refers to \"nobody\", and there is no such collection: create it first"
    );
    assert_eq!(
        say(to("teams").volatile()),
        "the field \"r\" refers to \"teams\": both must be logged, or both volatile"
    );
    done(db.create_collection(Definition::new("brief").expire_after(1)));
    assert_eq!(
        say(to("brief")),
        "the field \"r\" refers to \"brief\", whose documents expire"
    );
    let number = Field::new("n", FieldType::Int);
    done(db.create_collection(with_fields("numbers", vec![number]).primary_key("n")));
    assert_eq!(
        say(to("numbers")),
        "the field \"r\" is string, but the ids of \"numbers\" are int"
    );
    let by_team = with_fields("a", vec![refers("r", "teams", OnDelete::SetNull)]);
    assert_eq!(
        say(by_team.primary_key("r")),
        "the primary key cannot refer with on_delete set_null: an id is never null"
    );
    assert_eq!(code(db.drop_collection("people")), "reference_violation");
    assert_eq!(
        teams.truncate().unwrap_err().to_string(),
        "\"people\" refers to \"teams\" by team: drop or alter that first"
    );
    let expiring = teams.with(Call::new().expires(Expiry::At(Timestamp(i64::MAX))));
    assert_eq!(
        expiring
            .insert_with_id("x", json("{}"))
            .unwrap_err()
            .to_string(),
        "documents of \"teams\" cannot expire: \"people\" refers to them"
    );
    let brief = Alteration::to(teams.definition().unwrap().expire_after(1));
    assert_eq!(
        teams.alter(brief).unwrap_err().to_string(),
        "documents of \"teams\" cannot expire: \"people\" refers to them by team"
    );
    // What refers goes first, or refers no longer.
    db.drop_collection("tasks").unwrap();
    people
        .alter(Alteration::to(Definition::new("people")))
        .unwrap();
    teams.truncate().unwrap();
    db.drop_collection("teams").unwrap();
}

#[test]
fn a_reference_is_added_when_every_document_keeps_it() {
    let db = in_memory();
    let (teams, people) = (create(&db, "teams"), create(&db, "people"));
    teams.insert_with_id("red", json("{}")).unwrap();
    for (id, team) in [("cy", "blue"), ("ada", "red"), ("bob", "blue")] {
        people.insert_with_id(id, [("team", team.into())]).unwrap();
    }
    let field = refers("team", "teams", OnDelete::Restrict);
    let alteration = || Alteration::to(with_fields("people", vec![field.clone()]));
    assert_eq!(
        people.alter(alteration()).unwrap_err().to_string(),
        "document bob: team refers to \"teams\", which has no document \"blue\""
    );
    teams.insert_with_id("blue", json("{}")).unwrap();
    people.alter(alteration()).unwrap();
    assert_eq!(code(teams.delete("blue")), "reference_violation");
    people.delete("bob").unwrap();
    people
        .update("cy", Update::new().set("team", "red"))
        .unwrap();
    teams.delete("blue").unwrap();
}

/// One holds a document of `right` that goes with the same deletion as itself: whether it holds it
/// back depends on who is asked first, which must not change with the catalog's history.
#[test]
fn an_alteration_does_not_change_what_a_deletion_does_after_a_restart() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let top = create(&db, "top");
    let to_top = || vec![refers("top", "top", OnDelete::Cascade)];
    for name in ["left", "right"] {
        done(db.create_collection(with_fields(name, to_top())));
    }
    let fields = vec![
        refers("left", "left", OnDelete::Cascade),
        refers("right", "right", OnDelete::Restrict),
    ];
    done(db.create_collection(with_fields("both", fields)));
    let fill = |db: &Database| {
        for (name, text) in [
            ("top", "{}"),
            ("left", r#"{"top":"x"}"#),
            ("right", r#"{"top":"x"}"#),
            ("both", r#"{"left":"x","right":"x"}"#),
        ] {
            let collection = db.collection(name).unwrap();
            collection.upsert("x", json(text)).unwrap();
        }
    };
    fill(&db);
    let before = top.delete("x").is_ok();
    fill(&db);
    for name in ["left", "right"] {
        let mut fields = to_top();
        fields.push(Field::new("more", FieldType::Int));
        let collection = db.collection(name).unwrap();
        let altered = Alteration::to(with_fields(name, fields));
        collection.alter(altered).unwrap();
        db.checkpoint().unwrap();
        assert_eq!(top.delete("x").is_ok(), before, "{name} was altered");
        fill(&db);
    }
    let digest = db.digest();
    let disk = disk.crash(CrashMode::Process);
    drop(db);
    let db = on(&disk);
    assert_eq!(db.digest(), digest);
}

#[test]
fn nobody_refers_to_a_document_that_expires() {
    let db = in_memory();
    let (teams, people) = (create(&db, "teams"), create(&db, "people"));
    let expiring = teams.with(Call::new().expires(Expiry::At(Timestamp(i64::MAX))));
    expiring.insert_with_id("brief", json("{}")).unwrap();
    let ada = json(r#"{"team":"brief"}"#);
    people.insert_with_id("ada", ada.clone()).unwrap();
    let refusal = |id: &str| {
        format!(
            "document {id}: team refers to document \"brief\" of \"teams\", which expires: let \
             that one never expire"
        )
    };
    let team = || vec![refers("team", "teams", OnDelete::Cascade)];
    let alteration = || Alteration::to(with_fields("people", team()));
    let refused = people.alter(alteration()).unwrap_err();
    assert_eq!(refused.to_string(), refusal("ada"));
    people.delete("ada").unwrap();
    people.alter(alteration()).unwrap();
    let refused = people.insert_with_id("bob", ada.clone()).unwrap_err();
    assert_eq!(refused.to_string(), refusal("bob"));
    let lasting = teams.with(Call::new().expires(Expiry::Never));
    lasting.replace("brief", json("{}")).unwrap();
    people.insert_with_id("bob", ada).unwrap();
}

#[derive(Debug, Clone)]
enum Change {
    /// Collection, id, what each of its two fields refers to.
    Put(usize, u8, [Option<u8>; 2]),
    Delete(usize, u8),
}

#[derive(Debug, Clone)]
enum Step {
    One(Change),
    Each(Vec<Change>),
    Atomic(Vec<Change>),
    Checkpoint,
    Tend,
    Crash,
}

fn change() -> impl Strategy<Value = Change> {
    let refers = prop::option::weighted(0.7, 0..4_u8);
    prop_oneof![
        3 => (0..3_usize, 0..4_u8, [refers.clone(), refers])
            .prop_map(|(collection, id, refers)| Change::Put(collection, id, refers)),
        2 => (0..3_usize, 0..4_u8).prop_map(|(collection, id)| Change::Delete(collection, id)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let many = || proptest::collection::vec(change(), 1..5);
    prop_oneof![
        8 => change().prop_map(Step::One),
        4 => many().prop_map(Step::Each),
        4 => many().prop_map(Step::Atomic),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Tend),
        1 => Just(Step::Crash),
    ]
}

const COLLECTIONS: [&str; 3] = ["teams", "people", "tasks"];

/// The two references of each collection, in the order in which they were declared.
type Links = [[Option<(usize, OnDelete)>; 2]; 3];

const LINKS: Links = [
    [None, None],
    [Some((0, OnDelete::Cascade)), Some((1, OnDelete::SetNull))],
    [Some((1, OnDelete::Cascade)), Some((1, OnDelete::Restrict))],
];

/// What each document's fields refer to.
type Model = BTreeMap<(usize, u8), [Option<u8>; 2]>;

/// What one change, or several together, leave; `None` when they are refused.
fn judged(
    table: &Model,
    staged: &Model,
    changes: &[Change],
    touched: &[(usize, u8)],
) -> Option<Model> {
    let mut next = staged.clone();
    let mut open = Vec::new();
    for change in changes {
        let key = match *change {
            Change::Put(collection, id, refers) => {
                let known = |at: usize| refers[at].filter(|_| LINKS[collection][at].is_some());
                next.insert((collection, id), [known(0), known(1)]);
                (collection, id)
            }
            Change::Delete(collection, id) => {
                next.remove(&(collection, id))?;
                (collection, id)
            }
        };
        if !open.contains(&key) {
            open.push(key);
        }
    }
    let mut judged = touched.to_vec();
    judged.extend(&open);
    for first in open {
        let mut open = vec![first];
        while let Some((parent, id)) = open.pop() {
            if next.contains_key(&(parent, id)) {
                continue;
            }
            for (child, links) in LINKS.iter().enumerate() {
                for (at, link) in links.iter().enumerate() {
                    let Some((_, on_delete)) = link.filter(|(to, _)| *to == parent) else {
                        continue;
                    };
                    let refers = |refers: &[Option<u8>; 2]| refers[at] == Some(id);
                    let holders: Vec<_> = table
                        .iter()
                        .filter(|(key, held)| key.0 == child && refers(held))
                        .map(|(key, _)| *key)
                        .filter(|key| next.get(key).is_some_and(refers))
                        .collect();
                    for key in holders {
                        match on_delete {
                            OnDelete::Restrict => return None,
                            OnDelete::Cascade => drop(next.remove(&key)),
                            OnDelete::SetNull => next.get_mut(&key)?[at] = None,
                        }
                        judged.push(key);
                        open.push(key);
                    }
                }
            }
        }
    }
    let finds = |(key, refers): (&(usize, u8), &[Option<u8>; 2])| {
        let links = LINKS[key.0].iter().zip(refers);
        links
            .filter_map(|(link, id)| link.zip(*id))
            .all(|((to, _), id)| next.contains_key(&(to, id)))
    };
    let all = judged.iter().filter_map(|key| next.get_key_value(key));
    all.into_iter().all(finds).then(|| next.clone())
}

fn document(collection: usize, refers: [Option<u8>; 2]) -> Vec<(&'static str, Value)> {
    let names: [&str; 2] = [["a", "b"], ["team", "boss"], ["owner", "reviewer"]][collection];
    let value = |id: Option<u8>| id.map_or(Value::Null, |id| Value::from(id.to_string()));
    names.into_iter().zip(refers.map(value)).collect()
}

fn batch<'a>(mut batch: Batch<'a>, changes: &[Change]) -> Batch<'a> {
    for change in changes {
        batch = match *change {
            Change::Put(collection, id, refers) => {
                let fields = document(collection, refers);
                batch.upsert(
                    COLLECTIONS[collection],
                    id.to_string(),
                    BTreeMap::from_iter(
                        fields
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value)),
                    ),
                )
            }
            Change::Delete(collection, id) => batch.delete(COLLECTIONS[collection], id.to_string()),
        };
    }
    batch
}

fn held(db: &Database) -> Model {
    let mut model = Model::new();
    for (at, name) in COLLECTIONS.iter().enumerate() {
        let collection = db.collection(name).unwrap();
        for id in 0..4_u8 {
            let Some(document) = collection.get(id.to_string()).unwrap() else {
                continue;
            };
            let refers = document_refers(at, &document);
            model.insert((at, id), refers);
        }
    }
    model
}

fn document_refers(collection: usize, document: &velocitydb::Document) -> [Option<u8>; 2] {
    let names = [["a", "b"], ["team", "boss"], ["owner", "reviewer"]][collection];
    names.map(|name| {
        let value = document.get(name).filter(|_| collection > 0)?;
        value.as_str()?.parse().ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_writes_keep_references(steps in proptest::collection::vec(step(), 1..40)) {
        let mut disk = SimDisk::new(1);
        let mut db = on(&disk);
        company(&db);
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::One(change) => {
                    let expected = judged(&model, &model, std::slice::from_ref(&change), &[]);
                    let done = db.batch(batch(Batch::atomic(), &[change]));
                    prop_assert_eq!(done.is_ok(), expected.is_some());
                    model = expected.unwrap_or(model);
                }
                Step::Atomic(changes) => {
                    let expected = judged(&model, &model, &changes, &[]);
                    let done = db.batch(batch(Batch::atomic(), &changes));
                    prop_assert_eq!(done.is_ok(), expected.is_some());
                    model = expected.unwrap_or(model);
                }
                Step::Each(changes) => {
                    let (before, mut touched) = (model.clone(), Vec::new());
                    let answer = db.batch(batch(Batch::each(), &changes)).unwrap().value;
                    for (change, done) in changes.iter().zip(answer.iter()) {
                        let expected =
                            judged(&before, &model, std::slice::from_ref(change), &touched);
                        prop_assert_eq!(done.is_ok(), expected.is_some(), "{:?}", change);
                        if let Some(next) = expected {
                            let changed = next.keys().chain(model.keys());
                            touched.extend(changed.filter(|key| next.get(key) != model.get(key)));
                            model = next;
                        }
                    }
                }
                Step::Checkpoint => drop(db.checkpoint().unwrap()),
                Step::Tend => tidy(&db),
                Step::Crash => {
                    let digest = db.digest();
                    disk = disk.crash(CrashMode::Process);
                    drop(db);
                    db = on(&disk);
                    prop_assert_eq!(db.digest(), digest);
                }
            }
            prop_assert_eq!(held(&db), model.clone());
        }
    }
}
