//! What clients are told when a row may not be: SQLSTATE, words, detail and the names of table,
//! column and constraint, as PostgreSQL 15 gives them; and at the statement.

use velocitydb::{Database, Definition};
use velocitydb_sql::{Session, SqlError, parse};
use velocitydb_types::{Check, Field, FieldType, OnDelete, Openness, ScalarType, Schema};

fn run(session: &mut Session, sql: &str) -> Result<String, SqlError> {
    let mut tag = String::new();
    for tree in parse(sql)? {
        let prepared = session.prepare_tree(sql, &tree, &[]);
        let prepared = prepared.inspect_err(|_| session.fail())?;
        tag = session.run(&prepared, &[])?.tag();
    }
    Ok(tag)
}

/// A table `p` and a table `v`, whose `p` refers to it.
fn session(on_delete: OnDelete) -> Session {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    run(
        &mut session,
        "CREATE TABLE p (id int PRIMARY KEY, name text)",
    )
    .unwrap();
    let int = |name| Field::new(name, FieldType::Int).with_sql_type(ScalarType::Int4);
    let text = |name| Field::new(name, FieldType::String).with_sql_type(ScalarType::Text);
    let fields = vec![
        int("id").required(),
        text("name").required(),
        int("n"),
        text("note"),
        int("p").references("p", on_delete),
    ];
    let schema = Schema::new(Openness::Strict, fields).unwrap();
    let positive = Check::new("v_n_check", "n > 0").unwrap();
    let definition = Definition::new("v")
        .primary_key("id")
        .schema(schema.with_checks(vec![positive]).unwrap());
    database.create_collection(definition).unwrap();
    run(
        &mut session,
        "CREATE UNIQUE INDEX v_name_key ON v (name); CREATE UNIQUE INDEX v_nn ON v (n, note);
         INSERT INTO p VALUES (1, 'one'), (5, 'five'); INSERT INTO v VALUES (1, 'a', 1, 'x', 1)",
    )
    .unwrap();
    session
}

/// State, message, detail, column, constraint.
type Told<'t> = (&'t str, &'t str, &'t str, Option<&'t str>, Option<&'t str>);

fn check(session: &mut Session, sql: &str, expected: Told<'_>) {
    let error = run(session, sql).expect_err(sql);
    let told = (
        error.sqlstate,
        &*error.message,
        error.detail.as_deref().unwrap_or_default(),
        error
            .place
            .as_ref()
            .and_then(|place| place.column.as_deref()),
        error.constraint.as_deref(),
    );
    assert_eq!(told, expected, "{sql}");
    assert_eq!(error.table.as_deref(), Some("v"), "{sql}");
}

const UNIQUE: &str = "duplicate key value violates unique constraint";
const NULL_NAME: &str =
    r#"null value in column "name" of relation "v" violates not-null constraint"#;
const LONG: &str = "long long long long long long long long long long long long long...";

#[test]
fn refusals_name_what_they_are_about() {
    let session = &mut session(OnDelete::Restrict);
    let unique = |name: &str| format!("{UNIQUE} {name:?}");
    let (key, name, both) = (unique("v_pkey"), unique("v_name_key"), unique("v_nn"));
    let cut = format!("Failing row contains (3, null, null, {LONG}, null).");
    let mut check = |sql, told| check(session, sql, told);
    check(
        "INSERT INTO v VALUES (1, 'b')",
        (
            "23505",
            &key,
            "Key (id)=(1) already exists.",
            None,
            Some("v_pkey"),
        ),
    );
    check(
        "INSERT INTO v VALUES (2, 'a')",
        (
            "23505",
            &name,
            "Key (name)=(a) already exists.",
            None,
            Some("v_name_key"),
        ),
    );
    check(
        "INSERT INTO v VALUES (2, 'b', 1, 'x')",
        (
            "23505",
            &both,
            "Key (n, note)=(1, x) already exists.",
            None,
            Some("v_nn"),
        ),
    );
    check(
        "INSERT INTO v (id, n) VALUES (3, 4)",
        (
            "23502",
            NULL_NAME,
            "Failing row contains (3, null, 4, null, null).",
            Some("name"),
            None,
        ),
    );
    check(
        "INSERT INTO v (name) VALUES ('q')",
        (
            "23502",
            r#"null value in column "id" of relation "v" violates not-null constraint"#,
            "Failing row contains (null, q, null, null, null).",
            Some("id"),
            None,
        ),
    );
    check(
        "INSERT INTO v (id, note) VALUES (3, repeat('long ', 15))",
        ("23502", NULL_NAME, &cut, Some("name"), None),
    );
    check(
        "INSERT INTO v VALUES (4, 'd', 0, '')",
        (
            "23514",
            r#"new row for relation "v" violates check constraint "v_n_check""#,
            "Failing row contains (4, d, 0, , null).",
            None,
            Some("v_n_check"),
        ),
    );
    check(
        "UPDATE v SET name = NULL",
        (
            "23502",
            NULL_NAME,
            "Failing row contains (1, null, 1, x, 1).",
            Some("name"),
            None,
        ),
    );
}

#[test]
fn references_are_kept_at_the_statement() {
    let session = &mut session(OnDelete::Restrict);
    let constraint = Some("v_p_fkey");
    let missing = r#"insert or update on table "v" violates foreign key constraint "v_p_fkey""#;
    let detail = r#"Key (p)=(9) is not present in table "p"."#;
    let told: Told<'_> = ("23503", missing, detail, None, constraint);
    run(session, "BEGIN; SAVEPOINT s").unwrap();
    check(
        session,
        "INSERT INTO v VALUES (4, 'd', NULL, NULL, 9)",
        told,
    );
    run(session, "ROLLBACK TO s").unwrap();
    check(session, "UPDATE v SET p = 9", told);
    run(session, "ROLLBACK TO s").unwrap();
    for sql in [
        "DELETE FROM p WHERE id = 1",
        "UPDATE p SET id = 2 WHERE id = 1",
    ] {
        let error = run(session, sql).expect_err(sql);
        assert_eq!(error.sqlstate, "23503", "{sql}");
        let message = r#"update or delete on table "p" violates foreign key constraint "v_p_fkey" on table "v""#;
        assert_eq!(&*error.message, message, "{sql}");
        let detail = r#"Key (id)=(1) is still referenced from table "v"."#;
        assert_eq!(error.detail.as_deref(), Some(detail), "{sql}");
        run(session, "ROLLBACK TO s").unwrap();
    }
    // The one that it refers to may come in the same transaction, and go when nothing refers to it.
    let both = "INSERT INTO p VALUES (9, 'nine'); INSERT INTO v VALUES (4, 'd', NULL, NULL, 9);
        DELETE FROM v WHERE id = 4; DELETE FROM p WHERE id = 9; UPDATE v SET p = 5;
        DELETE FROM p WHERE id = 1; COMMIT";
    assert_eq!(run(session, both).unwrap(), "COMMIT");
}

#[test]
fn what_follows_from_a_deletion_is_seen_in_the_transaction() {
    for (on_delete, count) in [
        (OnDelete::Cascade, "DELETE 0"),
        (OnDelete::SetNull, "DELETE 1"),
    ] {
        let session = &mut session(on_delete);
        assert_eq!(
            run(session, "BEGIN; DELETE FROM p WHERE id = 1").unwrap(),
            "DELETE 1"
        );
        let left = "DELETE FROM v WHERE p IS NULL";
        assert_eq!(run(session, left).unwrap(), count);
        assert_eq!(run(session, "COMMIT").unwrap(), "COMMIT");
        assert_eq!(run(session, "DELETE FROM v").unwrap(), "DELETE 0");
    }
}

#[test]
fn keys_are_compared_with_own_rows_as_they_are_now() {
    let session = &mut session(OnDelete::Restrict);
    // Two rows change names, which nobody else may see halfway; then that is undone.
    run(
        session,
        "BEGIN; INSERT INTO v VALUES (2, 'b'); SAVEPOINT s;
         UPDATE v SET name = CASE name WHEN 'a' THEN 'b' ELSE 'a' END;
         UPDATE v SET name = name || '!'; INSERT INTO v VALUES (3, 'b'); ROLLBACK TO s",
    )
    .unwrap();
    let error = run(session, "INSERT INTO v VALUES (3, 'b')").unwrap_err();
    assert_eq!(error.sqlstate, "23505");
    assert_eq!(run(session, "ROLLBACK TO s; COMMIT").unwrap(), "COMMIT");
    let error = run(session, "UPDATE v SET name = 'c'").unwrap_err();
    assert_eq!(error.constraint.as_deref(), Some("v_name_key"));
}
