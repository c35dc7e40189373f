//! `velocitydb export`, and what `velocitydb import` makes of what was exported.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use velocitydb::{
    Batch, Database, Date, Decimal, Definition, Expiry, Field, FieldType, Interval, Key, OnDelete,
    Openness, Options, Point, Schema, TimeToLive, Timestamp, Uuid, Value,
};

use crate::process::{Ended, Served, command, velocitydb, velocitydb_with_input};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn open(&self, name: &str) -> Database {
        Database::open(Options::at(self.path(name))).unwrap()
    }

    fn export(&self, data: &str, more: &[&str]) -> Ended {
        let data = self.text(data);
        velocitydb(&[&["export", "--data", &data], more].concat())
    }

    fn import(&self, file: &str, data: &str, more: &[&str]) -> Ended {
        let (file, data) = (self.text(file), self.text(data));
        velocitydb(&[&["import", &file, "--data", &data], more].concat())
    }

    /// A database with three airports.
    fn with_airports(&self) {
        let db = self.open("data");
        let schema = Schema::new(
            Openness::Open,
            vec![
                Field::new("opened", FieldType::Date),
                Field::new("code", FieldType::String).unique(),
            ],
        );
        let definition = Definition::new("airports").schema(schema.unwrap());
        let airports = db.create_collection(definition).unwrap().value;
        for (id, code, opened) in [
            (1, "JFK", "1948-07-01"),
            (2, "LGA", "1939-12-02"),
            (3, "EWR", "1928-10-01"),
        ] {
            let document = [("code", Value::from(code)), ("opened", opened.into())];
            airports.insert_with_id(id, document).unwrap();
        }
        db.close().unwrap();
    }
}

/// All that a restored database must have as the first had it: for each collection its definition
/// and its documents, with ids, expiries and fields.
type Contents = BTreeMap<String, (String, BTreeMap<Vec<u8>, (Option<Timestamp>, Vec<u8>)>)>;

fn contents(db: &Database) -> Contents {
    let view = db.snapshot();
    let definitions = db.collections().into_iter();
    let collection = |definition: Definition| {
        let mut documents = BTreeMap::new();
        let found = view.collection(&definition.name).unwrap();
        found
            .scan(|document| {
                let fields = document.fields().as_bytes().to_vec();
                let id = document.id().as_bytes().to_vec();
                documents.insert(id, (document.meta().expires_at, fields));
                true
            })
            .unwrap();
        (
            definition.name.clone(),
            (format!("{definition:?}"), documents),
        )
    };
    definitions.map(collection).collect()
}

/// Values of every type, the odd ones among them.
fn value(random: &mut StdRng, depth: usize) -> Value {
    const INTS: [i64; 5] = [0, -1, i64::MIN, i64::MAX, 9_007_199_254_740_993];
    const FLOATS: [f64; 8] = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
        f64::MAX,
        0.1,
    ];
    const DECIMALS: [&str; 4] = [
        "18446744073709551617",
        "-0.000000000000000000000001",
        "1.50",
        "0",
    ];
    const TEXTS: [&str; 7] = [
        "",
        "NA",
        "2013-01-01",
        "$time",
        "a\"b\\\n\u{0}\u{2028}",
        "ö€😀",
        "NaN",
    ];
    const NAMES: [&str; 6] = ["$time", "$", "$map", "a", "_id", ""];
    let kinds = if depth < 4 { 15 } else { 12 };
    match random.random_range(0..kinds) {
        0 => Value::Null,
        1 => Value::Bool(random.random()),
        2 => Value::Int(INTS[random.random_range(0..INTS.len())]),
        3 => Value::Float(FLOATS[random.random_range(0..FLOATS.len())]),
        4 => Value::Float(f64::from_bits(random.next_u64())),
        5 => {
            let text = DECIMALS[random.random_range(0..DECIMALS.len())];
            Value::Decimal(text.parse::<Decimal>().unwrap())
        }
        6 => TEXTS[random.random_range(0..TEXTS.len())].into(),
        7 => Value::Date(Date(random.random_range(-800_000..2_900_000))),
        8 => Value::Time(Timestamp(
            random.random_range(-62_000_000_000_000_000..250_000_000_000_000_000),
        )),
        9 => Value::Interval(Interval::new(
            random.random_range(-30..30),
            random.random_range(-400..400),
            random.random_range(-90_000_000_000..90_000_000_000),
        )),
        10 => Value::Uuid(Uuid::from_u128(random.random())),
        11 => {
            let mut bytes = vec![0; random.random_range(0..5)];
            random.fill_bytes(&mut bytes);
            Value::Bytes(bytes)
        }
        12 => {
            let (lon, lat) = (
                random.random_range(-180.0..=180.0),
                random.random_range(-90.0..=90.0),
            );
            Value::Point(Point::new(lon, lat).unwrap())
        }
        13 => {
            let count = random.random_range(0..4);
            Value::Array((0..count).map(|_| value(random, depth + 1)).collect())
        }
        _ => {
            let count = random.random_range(0..3);
            let name = |random: &mut StdRng| NAMES[random.random_range(0..NAMES.len())].to_owned();
            let map = (0..count).map(|_| (name(random), value(random, depth + 1)));
            Value::Map(map.collect())
        }
    }
}

/// An id of any type, of one part or several.
fn id(random: &mut StdRng) -> Key {
    loop {
        let count = random.random_range(1..4);
        let values: Vec<Value> = (0..count).map(|_| value(random, 9)).collect();
        if let Ok(key) = Key::from_values(&values) {
            return key;
        }
    }
}

/// Collections of every kind, full of odd documents.
fn fill(db: &Database, random: &mut StdRng) {
    let kinds = [
        FieldType::Json,
        FieldType::String,
        FieldType::Int,
        FieldType::Float,
        FieldType::Decimal,
        FieldType::Bool,
        FieldType::Time,
        FieldType::Date,
        FieldType::Uuid,
        FieldType::Bytes,
        FieldType::Array,
        FieldType::Map,
        FieldType::Point,
        FieldType::Interval,
    ];
    let fields = kinds.iter().map(|kind| Field::new(kind.name(), *kind));
    let declared = Schema::new(Openness::Open, fields.collect()).unwrap();
    let mut expiring = Definition::new("expiring");
    expiring.ttl = Some(TimeToLive {
        seconds: 1_000_000,
        field: None,
    });
    let dated = Schema::new(
        Openness::Strict,
        vec![
            Field::new("day", FieldType::Date).required(),
            Field::new("n", FieldType::Int).unique(),
        ],
    );
    for definition in [
        Definition::new("open"),
        Definition::new("declared").schema(declared),
        Definition::new("dated")
            .schema(dated.unwrap())
            .primary_key("day"),
        Definition::new("empty"),
        expiring,
    ] {
        db.create_collection(definition).unwrap();
    }
    for number in 0..300_i64 {
        let mut document: BTreeMap<String, Value> = BTreeMap::new();
        for name in ["a", "b", "$time", "ö\"", "NaN"] {
            if random.random() {
                document.insert(name.to_owned(), value(random, 0));
            }
        }
        let open = id(random);
        let _ = db
            .collection("open")
            .unwrap()
            .insert_with_id(&open, &document);
        let expires = match number % 3 {
            0 => Expiry::Never,
            1 => Expiry::At(Timestamp(4_000_000_000_000_000 + number)),
            _ => Expiry::Default,
        };
        let batch = Batch::atomic().expires(expires);
        db.batch(batch.insert_with_id("expiring", number, &document))
            .unwrap();
        for kind in kinds {
            let value = value(random, 0);
            if kind == FieldType::Json || value.type_name() == kind.name() {
                document.insert(kind.name().to_owned(), value);
            }
        }
        db.collection("declared")
            .unwrap()
            .insert_with_id(number, &document)
            .unwrap();
        let day = i32::try_from(number).unwrap();
        let dated = [("day", Value::Date(Date(day))), ("n", number.into())];
        db.collection("dated").unwrap().insert(dated).unwrap();
    }
}

#[test]
fn every_type_comes_back_as_it_was() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let place = Place::new();
    let db = place.open("data");
    fill(&db, &mut StdRng::seed_from_u64(seed));
    let before = contents(&db);
    assert!(before["open"].1.len() > 100, "{}", before["open"].1.len());
    drop(db);
    for (file, more) in [
        ("all.ndjson", &[][..]),
        ("all.ndjson.gz", &[]),
        ("all.zst", &[]),
        ("all", &["--compress", "zstd"]),
    ] {
        let out = place.text(file);
        let told = place
            .export("data", &[&["--all", "--out", &out], more].concat())
            .succeeds();
        assert!(told.starts_with("Exported 1,"), "{told}");
        let restored = format!("restored from {file}");
        place.import(file, &restored, &[]).succeeds();
        let db = place.open(&restored);
        assert_eq!(contents(&db), before, "{file}");
        drop(db);
        let again = place
            .export(&restored, &["--all", "--out", &out])
            .succeeds();
        assert_eq!(again, told, "the digests of the data");
    }
    let names = std::fs::read_dir(place.0.path()).unwrap();
    let parts =
        names.filter(|name| name.as_ref().unwrap().path().extension() == Some("part".as_ref()));
    assert_eq!(parts.count(), 0, "files that were not finished");
}

#[test]
fn people_and_other_programs_get_plain_text() {
    let place = Place::new();
    place.with_airports();
    let stdout = |more: &[&str]| {
        place
            .export("data", &[&["--collection", "airports"], more].concat())
            .succeeds()
    };
    assert_eq!(
        stdout(&["--format", "csv"]),
        "_id,opened,code\n1,1948-07-01,JFK\n2,1939-12-02,LGA\n3,1928-10-01,EWR\n"
    );
    assert!(
        stdout(&["--plain"])
            .starts_with("{\"_id\":1,\"code\":\"JFK\",\"opened\":\"1948-07-01\"}\n")
    );
    let json: serde_json::Value = serde_json::from_str(&stdout(&["--format", "json"])).unwrap();
    assert_eq!(json[2]["code"], "EWR");
    let exported = stdout(&[]);
    let lines: Vec<&str> = exported.lines().collect();
    assert!(lines[0].starts_with("{\"$velocitydb\":1,\"definition\":{\"name\":\"airports\""));
    assert_eq!(
        lines[1],
        "{\"_id\":1,\"code\":\"JFK\",\"opened\":\"1948-07-01\"}"
    );
    assert!(lines[4].starts_with("{\"$end\":{\"documents\":3,\"digest\":\""));
    // By the name of the file.
    let file = place.text("airports.csv");
    place
        .export("data", &["--collection", "airports", "--out", &file])
        .succeeds();
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("_id,opened")
    );
    place
        .import(
            "airports.csv",
            "again",
            &["--collection", "airports", "--id", "code"],
        )
        .succeeds();
}

#[test]
fn what_cannot_be_exported_leaves_the_file_as_it_was() {
    let place = Place::new();
    place.with_airports();
    let file = place.text("a.json");
    std::fs::write(&file, "before").unwrap();
    for (more, status, says) in [
        (&["--collection", "airport"][..], 1, "airport"),
        (
            &["--collection", "airports", "--collection", "airports"],
            2,
            "hold one collection",
        ),
        (
            &["--collection", "airports", "--all"],
            2,
            "cannot be used with",
        ),
        (&[], 2, "--collection"),
    ] {
        let (error, _) = place
            .export("data", &[more, &["--out", &file]].concat())
            .fails(status);
        assert!(error.contains(says), "{error}");
    }
    let (error, _) = place.export("nothing", &["--all"]).fails(1);
    assert!(error.contains("there is no database in"), "{error}");
    assert!(!place.path("nothing").exists());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "before");
}

#[test]
fn a_collection_is_not_mixed_with_another_unless_asked() {
    let place = Place::new();
    place.with_airports();
    let file = place.text("all.ndjson");
    place.export("data", &["--all", "--out", &file]).succeeds();
    let (error, _) = place.import("all.ndjson", "data", &[]).fails(1);
    assert!(
        error.contains("the collection airports exists already"),
        "{error}"
    );
    assert!(error.contains("--into NAME"), "{error}");
    place
        .import("all.ndjson", "data", &["--into", "copy"])
        .succeeds();
    place.import("all.ndjson", "data", &["--upsert"]).succeeds();
    let told = place.import("all.ndjson", "data", &["--resume"]).succeeds();
    assert!(told.contains("Passed over 3 rows"), "{told}");
    let (error, _) = place
        .import("all.ndjson", "data", &["--into", "airports"])
        .fails(1);
    assert!(
        error.contains("line 2: a document with this id exists already"),
        "{error}"
    );
    let db = place.open("data");
    let contents = contents(&db);
    assert_eq!(contents["copy"].1, contents["airports"].1);
    let mut copied = db.collection("copy").unwrap().definition().unwrap();
    copied.name = "airports".into();
    assert_eq!(
        copied,
        db.collection("airports").unwrap().definition().unwrap()
    );
}

#[test]
fn an_export_that_was_cut_or_changed_is_told() {
    let place = Place::new();
    place.with_airports();
    let file = place.text("all.ndjson");
    place.export("data", &["--all", "--out", &file]).succeeds();
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for (text, says) in [
        (lines[..4].concat(), "line 5: the exported file ends early"),
        (
            whole.replace("LGA", "LGB"),
            "the documents are not those that were exported",
        ),
        (
            whole.replace(lines[2], ""),
            "should have 3 documents, the file has 2",
        ),
        (
            whole.replace("\"$velocitydb\":1", "\"$velocitydb\":2"),
            "in version 2 of the form",
        ),
        (lines[1..].concat(), "--collection NAME is missing"),
        (
            whole.replace("\"1939-12-02\"", "{\"$dat\":1}"),
            "line 3: field `opened`: $dat is no tag",
        ),
        (
            [lines[0], lines[0]].concat(),
            "before the one before it has ended",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let ended = place.import(
            "all.ndjson",
            &says.replace(|c: char| !c.is_alphabetic(), "_"),
            &[],
        );
        let (error, _) = ended.fails(if says.starts_with("--") { 2 } else { 1 });
        assert!(error.contains(says), "{error}");
    }
}

/// Rows without ids: the more there are, the more there is to lose.
fn rows(count: usize) -> String {
    let row = |number: usize| format!("{{\"n\":{number},\"text\":\"{}\"}}\n", "x".repeat(80));
    (0..count).map(row).collect()
}

#[test]
fn an_import_that_was_killed_goes_on() {
    let place = Place::new();
    let (count, data) = (20_000, place.text("data"));
    let text = rows(count);
    let arguments = [
        "import",
        "-",
        "--collection",
        "things",
        "--data",
        &data,
        "--resume",
    ];
    let mut child = command(&arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // A pipe holds less than a tenth of this: most of it has been imported when all is written.
    let half = &text.as_bytes()[..text.len() / 2];
    child.stdin.as_mut().unwrap().write_all(half).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let found = |dir: &Path| {
        let db = Database::open(Options::at(dir)).unwrap();
        let mut numbers = Vec::new();
        let view = db.snapshot().collection("things").unwrap();
        view.scan(|document| {
            numbers.push(document.fields().get("n").unwrap().as_int().unwrap());
            true
        })
        .unwrap();
        numbers.sort_unstable();
        numbers
    };
    let before = found(&place.path("data")).len();
    assert!((1..count).contains(&before), "{before}");
    let told = velocitydb_with_input(&arguments, text.as_bytes()).succeeds();
    let passed = format!("Imported {} rows", count - before);
    assert_eq!(told.replace(',', "").split(" into").next().unwrap(), passed);
    let expected: Vec<i64> = (0..count as i64).collect();
    assert_eq!(found(&place.path("data")), expected);
    let told = velocitydb_with_input(&arguments, text.as_bytes()).succeeds();
    assert!(told.contains("Passed over 20,000 rows"), "{told}");
}

#[test]
fn a_server_is_exported_while_it_serves() {
    let place = Place::new();
    place.with_airports();
    let expected = contents(&place.open("data"));
    let served = Served::start_in(place.0.path(), &["--data", "data"]);
    let (url, file) = (
        format!("http://{}", served.address),
        place.text("all.ndjson.zst"),
    );
    velocitydb(&["export", "--url", &url, "--all", "--out", &file]).succeeds();
    let csv = velocitydb(&[
        "export",
        "--url",
        &url,
        "--collection",
        "airports",
        "--format",
        "csv",
    ]);
    assert!(csv.succeeds().ends_with("3,1928-10-01,EWR\n"));
    let (error, _) = velocitydb(&["export", "--url", &url, "--collection", "other"]).fails(1);
    assert!(error.contains("unknown_collection"), "{error}");
    served.stop();
    place.import("all.ndjson.zst", "restored", &[]).succeeds();
    assert_eq!(contents(&place.open("restored")), expected);
}

#[test]
fn references_come_back_whatever_comes_first() {
    let place = Place::new();
    let db = place.open("data");
    let parent = Field::new("parent", FieldType::Int).references("a_tree", OnDelete::Restrict);
    let owner = Field::new("owner", FieldType::Int).references("z_owners", OnDelete::Restrict);
    let id = Field::new("n", FieldType::Int);
    let with = |name: &str, fields| {
        let schema = Schema::new(Openness::Open, fields).unwrap();
        Definition::new(name).schema(schema).primary_key("n")
    };
    db.create_collection(with("z_owners", vec![id.clone()]))
        .unwrap();
    db.create_collection(with("a_tree", vec![id, parent, owner]))
        .unwrap();
    let document = |n: i64, parent: i64| {
        [
            ("n", n.into()),
            ("parent", parent.into()),
            ("owner", 1.into()),
        ]
    };
    // The first refers to the last.
    let batch = Batch::atomic()
        .insert("a_tree", document(1, 2))
        .insert("a_tree", document(2, 2))
        .insert("z_owners", [("n", Value::from(1))]);
    db.batch(batch).unwrap();
    let before = contents(&db);
    drop(db);
    place
        .export("data", &["--all", "--out", &place.text("all")])
        .succeeds();
    place.import("all", "copy", &[]).succeeds();
    let copy = place.open("copy");
    assert_eq!(contents(&copy), before);
    let refused = copy.collection("z_owners").unwrap().delete(1).unwrap_err();
    assert_eq!(refused.code().0, "reference_violation");
}
