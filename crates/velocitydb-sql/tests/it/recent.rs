//! A text that is prepared again and again without a name is what it would be if it were new.

use std::sync::Arc;

use velocitydb::{Database, ManualClock, Options};
use velocitydb_sql::{Prepared, Session};
use velocitydb_types::{ScalarType, SqlType};

use crate::supported::texts;

fn prepare(session: &mut Session, sql: &str, types: &[Option<SqlType>]) -> Arc<Prepared> {
    session.prepare_as("", sql, types).unwrap();
    Arc::clone(session.statement("").unwrap())
}

fn say(session: &mut Session, sql: &str) -> String {
    let prepared = prepare(session, sql, &[]);
    let rows = session.run(&prepared, &[]).unwrap().rows;
    let texts = rows.map(|rows| texts(session, prepared.columns(), rows).unwrap());
    texts.unwrap_or_default().concat().join("|")
}

#[test]
fn a_text_is_read_once_while_it_means_the_same() {
    let mut session = Session::new(Database::in_memory().unwrap());
    say(&mut session, "CREATE TABLE t (id int PRIMARY KEY)");
    say(&mut session, "INSERT INTO t VALUES (1)");
    let sql = "SELECT * FROM t WHERE id = $1";
    let first = prepare(&mut session, sql, &[]);
    assert!(Arc::ptr_eq(&first, &prepare(&mut session, sql, &[])));
    // The client says another type.
    let text = [Some(ScalarType::Text.into())];
    assert!(session.prepare_as("", sql, &text).is_err());
    let long = [Some(ScalarType::Int8.into())];
    assert_eq!(
        prepare(&mut session, sql, &long).parameters(),
        [long[0].unwrap()]
    );
    // The table is another one, and the text with it.
    assert_eq!(say(&mut session, "SELECT * FROM t"), "1");
    say(&mut session, "ALTER TABLE t ADD COLUMN n int DEFAULT 7");
    assert_eq!(say(&mut session, "SELECT * FROM t"), "1|7");
    // One of the session's own goes before it, and goes.
    say(&mut session, "CREATE TEMP TABLE t (x text)");
    assert_eq!(say(&mut session, "SELECT * FROM t"), "");
    say(&mut session, "DROP TABLE t");
    assert_eq!(say(&mut session, "SELECT * FROM t"), "1|7");
    // A setting changes what a text means.
    say(&mut session, "SET TimeZone = 'Asia/Tokyo'");
    let sql = "SELECT '2026-03-01 00:00'::timestamptz";
    assert_eq!(say(&mut session, sql), "2026-03-01 00:00:00+09");
    say(&mut session, "SET TimeZone = 'UTC'");
    assert_eq!(say(&mut session, sql), "2026-03-01 00:00:00+00");
}

#[test]
fn what_means_another_time_is_read_anew() {
    let clock = Arc::new(ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap()));
    let options = Options::in_memory().clock(Arc::clone(&clock) as _);
    let mut session = Session::new(Database::open(options).unwrap());
    for sql in [
        "SELECT 'today'::date",
        "SELECT now()::date",
        "SELECT current_date",
    ] {
        assert_eq!(say(&mut session, sql), "2026-03-01", "{sql}");
    }
    clock.advance(25 * 3_600_000_000);
    for sql in [
        "SELECT 'today'::date",
        "SELECT now()::date",
        "SELECT current_date",
    ] {
        assert_eq!(say(&mut session, sql), "2026-03-02", "{sql}");
    }
    assert_ne!(
        say(&mut session, "SELECT random()"),
        say(&mut session, "SELECT random()")
    );
}
