//! Batches, bad rows and ids, row by row.

use super::*;

fn row(line: u64, fields: &[(&str, Value)]) -> Row {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).into(), value.clone()));
    Row {
        line,
        fields: fields.collect(),
    }
}

fn loader(db: &Database, ids: Ids, on_bad_row: OnBadRow, batch_rows: usize) -> Loader {
    let options = LoadOptions {
        on_bad_row,
        batch_rows,
        ..LoadOptions::new("c", ids)
    };
    Loader::new(db, options)
}

/// Documents as text, in the order of their ids.
fn documents(db: &Database) -> Vec<String> {
    let mut found = Vec::new();
    let view = db.snapshot().collection("c").unwrap();
    view.scan(|document| {
        found.push((document.id().to_value(), document.fields().to_json()));
        true
    })
    .unwrap();
    found.sort();
    found
        .into_iter()
        .map(|(id, json)| format!("{} {json}", id.to_json()))
        .collect()
}

fn database(definition: Definition) -> Database {
    let db = Database::in_memory().unwrap();
    db.create_collection(definition).unwrap();
    db
}

/// Ids 1 to 6, of which 3 comes twice.
fn rows_with_a_repeated_id() -> Vec<Row> {
    let ids = [1, 2, 3, 3, 4, 5, 6];
    ids.iter()
        .zip(2..)
        .map(|(id, line)| row(line, &[("n", Value::Int(*id))]))
        .collect()
}

#[test]
fn skipping_leaves_out_the_bad_rows_alone_whatever_the_batch() {
    for batch_rows in 1..9 {
        let db = database(Definition::new("c").primary_key("n"));
        let mut loader = loader(&db, Ids::Fields("n".into()), OnBadRow::SKIP, batch_rows);
        for row in rows_with_a_repeated_id() {
            loader.push(row).unwrap();
        }
        loader.push(row(9, &[("m", Value::Int(9))])).unwrap();
        loader.push(row(10, &[("n", Value::Null)])).unwrap();
        loader
            .push(row(11, &[("n", Value::Int(7)), ("_x", Value::Null)]))
            .unwrap();
        loader.flush().unwrap();
        assert_eq!(loader.rows(), 6);
        let (count, bad_rows) = loader.bad_rows();
        assert_eq!(count, 4);
        let mut lines: Vec<u64> = bad_rows.iter().map(|bad| bad.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [5, 9, 10, 11]);
        assert_eq!(documents(&db).len(), 6);
    }
}

#[test]
fn ids_of_several_fields() {
    let fields = vec![Field::new("day", FieldType::Date)];
    let schema = Schema::new(Openness::Open, fields).unwrap();
    let definition = Definition::new("c").schema(schema);
    let db = database(definition.primary_key(["n", "day"]));
    let ids = Ids::Fields(["n", "day"].into());
    let mut loader = loader(&db, ids, OnBadRow::SKIP, 10);
    let day = |day: &str| ("day", day.into());
    for (line, n, at) in [
        (2, 1, "2026-11-30"),
        (3, 1, "2026-12-01"),
        (4, 1, "2026-11-30"),
    ] {
        let row = row(line, &[("n", Value::Int(n)), day(at)]);
        loader.push(row).unwrap();
    }
    loader.push(row(5, &[("n", Value::Int(2))])).unwrap();
    loader.flush().unwrap();
    let (count, bad_rows) = loader.bad_rows();
    assert_eq!((loader.rows(), count), (2, 2));
    let lacking = bad_rows.iter().find(|bad| bad.line == 5).unwrap();
    assert_eq!(lacking.what, "it has no field `day`, which is the id");
}

#[test]
fn stopping_keeps_all_before_the_bad_row_and_nothing_after() {
    for batch_rows in 1..9 {
        let db = database(Definition::new("c").primary_key("n"));
        let mut loader = loader(&db, Ids::Fields("n".into()), OnBadRow::Stop, batch_rows);
        let mut rows = rows_with_a_repeated_id().into_iter();
        let stopped = rows.try_for_each(|row| loader.push(row));
        let stopped = stopped.and_then(|()| loader.flush()).unwrap_err();
        assert!(stopped.to_string().starts_with("line 5: "), "{stopped}");
        assert_eq!(
            (loader.rows(), loader.bad_rows().0),
            (3, 1),
            "batches of {batch_rows}"
        );
        assert_eq!(
            documents(&db),
            [r#"1 {"n":1}"#, r#"2 {"n":2}"#, r#"3 {"n":3}"#]
        );
    }
}

#[test]
fn what_the_schema_refuses_is_a_bad_row() {
    let schema = Schema::new(
        Default::default(),
        vec![Field::new("n", FieldType::Int).required()],
    );
    for batch_rows in 1..5 {
        let db = database(Definition::new("c").schema(schema.clone().unwrap()));
        let mut loader = loader(&db, Ids::RowNumber, OnBadRow::SKIP, batch_rows);
        for (line, value) in [
            (2, Value::from("x")),
            (3, 7.into()),
            (4, "y".into()),
            (5, 8.into()),
        ] {
            loader.push(row(line, &[("n", value)])).unwrap();
        }
        loader.flush().unwrap();
        assert_eq!(documents(&db), [r#"2 {"n":7}"#, r#"4 {"n":8}"#]);
        let lines: Vec<u64> = loader.bad_rows().1.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [2, 4]);
    }
}

#[test]
fn an_exported_document_keeps_its_id_and_gets_new_metadata() {
    let db = database(Definition::new("c"));
    let mut loader = loader(&db, Ids::ExportedOrNew, OnBadRow::Stop, 10);
    let exported = [
        ("_id", Value::from("a")),
        ("_version", 9.into()),
        ("_index", 9.into()),
        ("n", 1.into()),
    ];
    loader.push(row(1, &exported)).unwrap();
    let uuid = "0191e0a4-7b7c-7000-8000-000000000001";
    for (line, id) in [(2, "42"), (3, "date:2013-01-01"), (4, uuid)] {
        loader.push(row(line, &[("_id", id.into())])).unwrap();
    }
    loader.push(row(5, &[("_id", 42.into())])).unwrap();
    loader.flush().unwrap();
    let strings = [
        r#"42 {}"#,
        r#""42" {}"#,
        r#""a" {"n":1}"#,
        r#""date:2013-01-01" {}"#,
    ];
    assert_eq!(documents(&db)[..4], strings);
    let things = db.collection("c").unwrap();
    let uuid = Uuid::try_parse(uuid).unwrap();
    assert!(things.get(uuid).unwrap().is_some());
    assert_eq!(
        db.collection("c")
            .unwrap()
            .get("a")
            .unwrap()
            .unwrap()
            .meta()
            .version,
        1
    );
}
