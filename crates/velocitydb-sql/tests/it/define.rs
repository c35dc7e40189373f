//! What definitions do besides what scripts can show.

use std::collections::BTreeSet;

use velocitydb::{Database, Path, Value};
use velocitydb_query::{Cell, Filter, Find};
use velocitydb_sql::{Answer, Session, SqlError, parse};

fn run(session: &mut Session, sql: &str) -> Result<Answer, SqlError> {
    let mut last = None;
    for statement in parse(sql)? {
        let prepared = session.prepare_tree(sql, &statement, &[])?;
        last = Some(session.run(&prepared, &[])?);
    }
    Ok(last.expect("a statement"))
}

fn notices(session: &mut Session, sql: &str) -> Vec<String> {
    let answer = run(session, sql).expect("it is accepted");
    let notices = answer.notices.into_iter();
    notices.map(|notice| notice.message.into()).collect()
}

#[test]
fn a_primary_key_that_is_added_to_rows_is_looked_up() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    run(
        &mut session,
        "CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84))
         WITH (fillfactor=100)",
    )
    .unwrap();
    let rows: Vec<_> = (1..=2000).map(|n| format!("({n}, 1, 0, '')")).collect();
    let insert = format!("INSERT INTO pgbench_accounts VALUES {}", rows.join(", "));
    run(&mut session, &insert).unwrap();
    run(
        &mut session,
        "VACUUM ANALYZE pgbench_accounts; ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)",
    )
    .unwrap();
    let accounts = database.collection("pgbench_accounts").unwrap();
    let find = Find::new(Filter::Eq(Path::field("aid"), Value::Int(1234)));
    let explained = format!("{:?}", accounts.explain_analyze(&find).unwrap());
    assert!(explained.contains("pgbench_accounts_pkey"), "{explained}");
    assert_eq!(accounts.find(&find).unwrap().len(), 1);
}

#[test]
fn rows_that_are_inserted_at_once_count_for_themselves() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    run(
        &mut session,
        "CREATE TABLE t (id serial PRIMARY KEY, by int)",
    )
    .unwrap();
    std::thread::scope(|scope| {
        for by in 0..4 {
            let mut session = Session::new(database.clone());
            scope.spawn(move || {
                for _ in 0..100 {
                    let insert = format!("INSERT INTO t (by) VALUES ({by}) RETURNING id");
                    run(&mut session, &insert).unwrap();
                }
            });
        }
    });
    let mut rows = run(&mut session, "SELECT id FROM t").unwrap().rows.unwrap();
    let mut ids = BTreeSet::new();
    while rows
        .next(|_, cell: &Cell<'_>| {
            ids.insert(cell.clone().into_value());
            Ok::<_, SqlError>(())
        })
        .unwrap()
    {}
    assert_eq!(ids, (1..=400).map(Value::Int).collect());
}

#[test]
fn what_means_nothing_is_told() {
    let mut session = Session::new(Database::in_memory().unwrap());
    for (sql, told) in [
        (
            "CREATE TABLE t (id int CONSTRAINT k PRIMARY KEY) WITH (fillfactor=90)",
            &[
                "fillfactor means nothing here: tables are in memory",
                "the primary key \"k\" is called \"t_pkey\"",
            ][..],
        ),
        (
            "CREATE TABLE IF NOT EXISTS t (id int)",
            &["relation \"t\" already exists, skipping"],
        ),
        (
            "DROP TABLE IF EXISTS a, t, b",
            &[
                "table \"a\" does not exist, skipping",
                "table \"b\" does not exist, skipping",
            ],
        ),
        (
            "DROP SEQUENCE IF EXISTS s",
            &["sequence \"s\" does not exist, skipping"],
        ),
        (
            "CREATE SCHEMA s",
            &["a schema is there when a table is in it: nothing was done"],
        ),
    ] {
        assert_eq!(notices(&mut session, sql), told, "{sql}");
    }
}

#[test]
fn other_doors_leave_out_what_only_sql_fills_in() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    let sql = "CREATE SEQUENCE s; CREATE TABLE t (k int PRIMARY KEY, n int DEFAULT nextval('s'))";
    run(&mut session, sql).unwrap();
    let table = database.collection("t").unwrap();
    table.insert([("k", 1.into())]).unwrap();
    let fields = table.get(1).unwrap().unwrap().fields().to_map();
    assert!(!fields.contains_key("n"), "{fields:?}");
    // A definition comes back from its text as it is.
    let definition = table.definition().unwrap();
    let text = serde_json::to_string(&definition).unwrap();
    assert!(
        text.contains(r#""default":{"sql":{"text":"nextval('s')"}}"#),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<velocitydb::Definition>(&text).unwrap(),
        definition
    );
}

#[test]
fn no_user_can_take_the_sequences_collection() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    run(&mut session, "CREATE SEQUENCE s").unwrap();
    assert!(run(&mut session, "SELECT * FROM _sequences").is_err());
    assert!(run(&mut session, "CREATE TABLE _sequences (a int)").is_err());
    assert_eq!(database.collections(), []);
}

#[test]
fn comments_are_kept_with_what_they_are_about() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    let mut say = |sql: &str| run(&mut session, sql).map(drop);
    say("CREATE TABLE t (id serial PRIMARY KEY, a int); CREATE INDEX t_a ON t (a)").unwrap();
    say("INSERT INTO t (a) VALUES (1), (2)").unwrap();
    say("COMMENT ON TABLE t IS 'all of them'").unwrap();
    say("COMMENT ON COLUMN public.t.a IS 'it''s a number'").unwrap();
    say("COMMENT ON INDEX t_a IS 'by a'").unwrap();
    say("COMMENT ON SEQUENCE t_id_seq IS 'for ids'").unwrap();
    let comments = || {
        let collection = database.collection("t").unwrap();
        let table = collection.definition().unwrap();
        let sequence = database.sequence("t_id_seq").unwrap().unwrap();
        let comments = [
            table.comment,
            table.schema.field("a").unwrap().comment.clone(),
            table.indexes[0].comment.clone(),
            sequence.definition().comment,
        ];
        comments.map(Option::unwrap_or_default)
    };
    let all = ["all of them", "it's a number", "by a", "for ids"];
    assert_eq!(comments(), all);
    // Other definitions leave them where they are, and they leave the index and the numbers.
    say("ALTER TABLE t ADD COLUMN b int DEFAULT 5; ALTER SEQUENCE t_id_seq CACHE 2").unwrap();
    assert_eq!(comments(), all);
    let collection = database.collection("t").unwrap();
    let find = Find::new(Filter::Eq(Path::field("a"), Value::Int(2)));
    let explained = format!("{:?}", collection.explain(&find).unwrap());
    assert!(explained.contains("t_a"), "{explained}");
    say("INSERT INTO t (a) VALUES (3)").unwrap();
    let find = Find::new(Filter::Eq(Path::field("a"), Value::Int(3)));
    let found = collection.find(&find).unwrap();
    assert_eq!(found[0].get("id").unwrap().as_int(), Some(3));
    // Nothing, and an empty one, take it away.
    say("COMMENT ON TABLE t IS NULL; COMMENT ON COLUMN t.a IS ''").unwrap();
    say("COMMENT ON INDEX t_a IS NULL; COMMENT ON SEQUENCE t_id_seq IS NULL").unwrap();
    assert_eq!(comments(), ["", "", "", ""]);
    for (sql, message) in [
        ("COMMENT ON TABLE x IS 'a'", "relation \"x\" does not exist"),
        (
            "COMMENT ON COLUMN t.x IS 'a'",
            "column \"x\" of relation \"t\" does not exist",
        ),
        (
            "COMMENT ON COLUMN a IS 'a'",
            "column name must be qualified",
        ),
        ("COMMENT ON INDEX x IS 'a'", "relation \"x\" does not exist"),
        (
            "COMMENT ON SEQUENCE x IS 'a'",
            "relation \"x\" does not exist",
        ),
    ] {
        assert_eq!(&*say(sql).unwrap_err().message, message, "{sql}");
    }
    for (of, told) in [
        ("SCHEMA public", "schema"),
        ("INDEX t_pkey", "primary keys"),
    ] {
        let sql = format!("COMMENT ON {of} IS 'a'");
        let expected = format!("comments on {told} are not kept");
        assert_eq!(notices(&mut session, &sql), [expected]);
    }
}
