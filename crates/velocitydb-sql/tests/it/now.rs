//! What texts mean by `now` and `today`: when the transaction began.

use std::sync::Arc;

use velocitydb::{Database, ManualClock, Options};
use velocitydb_sql::{Prepared, Session};
use velocitydb_types::{ScalarType, Timestamp, Value};

use crate::supported::texts;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn run(session: &mut Session, prepared: &Prepared) -> String {
    let answer = session.run(
        prepared,
        &[Value::from("now")][..prepared.parameters().len()],
    );
    let rows = answer.unwrap().rows;
    let texts = rows.map(|rows| texts(session, prepared.columns(), rows).unwrap());
    texts.unwrap_or_default().concat().concat()
}

fn say(session: &mut Session, sql: &str) -> String {
    let prepared = session.prepare(sql, &[]).unwrap();
    run(session, &prepared)
}

#[test]
fn a_session_that_lives_long_knows_the_time() {
    let clock = Arc::new(ManualClock::new(at("2026-03-01T10:00:00Z")));
    let options = Options::in_memory().clock(Arc::clone(&clock) as _);
    let mut session = Session::new(Database::open(options).unwrap());
    let text = session
        .prepare("SELECT $1::text::timestamptz", &[])
        .unwrap();
    let literals = ["SELECT 'now'::timestamptz", "SELECT 'today'::date"];

    let later = || clock.advance(25 * 3_600_000_000);

    later();
    let now = run(&mut session, &text);
    assert_eq!(now, "2026-03-02 11:00:00+00");
    let literal = literals.map(|sql| say(&mut session, sql));
    assert_eq!(literal, [&now, "2026-03-02"]);

    // In a block, and in a request of several statements, it stands still.
    for (block, began, day) in [
        (true, "2026-03-03 12:00:00+00", "2026-03-03"),
        (false, "2026-03-05 14:00:00+00", "2026-03-05"),
    ] {
        later();
        match block {
            true => drop(say(&mut session, "BEGIN")),
            false => session.begin_implicit(),
        }
        say(&mut session, "SELECT 1");
        later();
        let [now, today] = literals.map(|sql| say(&mut session, sql));
        assert_eq!((&*now, &*today), (began, day));
        assert_eq!(run(&mut session, &text), now);
        assert_eq!(say(&mut session, "SELECT now()"), now);
        say(&mut session, "COMMIT");
        session.end_implicit().unwrap();
    }
    let sent = session.read_text("now", ScalarType::Timestamptz.into());
    assert_eq!(sent.unwrap(), at("2026-03-06T15:00:00Z").into());
}
