//! The PostgreSQL door with SQL behind it, asked by an ordinary driver; what it does not send, by
//! hand.

#[path = "../../../velocitydb-pg/tests/it/raw.rs"]
#[allow(dead_code)] // the tests of the door use all of it
pub mod raw;

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};
use velocitydb::locks::OwnerId;
use velocitydb::notifications::Notification;
use velocitydb::{Database, Definition, Durability, Options};
use velocitydb_pg::{Door, PgConfig};
use velocitydb_server::SqlBackend;

use raw::{Answer, Raw, extended, field, kinds, message, query, sync};

pub fn open(database: &Database) -> Door {
    let mut config = PgConfig::default();
    config.address = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = Door::bind(config).unwrap();
    bound.start(SqlBackend::new(database.clone())).unwrap()
}

pub async fn client(door: &Door) -> Client {
    let port = door.local_addr().port();
    let config = format!("host=127.0.0.1 port={port} user=ann");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Cancels what a session runs. Returns when the door has done it: then it closes the connection
/// that asked, which the driver's own function does not wait for, so that its cancel may come while
/// the session's next statement runs.
pub async fn cancel(door: &Door, token: &CancelToken) {
    let mut stream = TcpStream::connect(door.local_addr()).await.unwrap();
    token.cancel_query_raw(&mut stream, NoTls).await.unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

async fn with_tasks() -> (Database, Door, Client) {
    let database = Database::in_memory().unwrap();
    let door = open(&database);
    let client = client(&door).await;
    let create = "CREATE TABLE tasks (id bigint PRIMARY KEY, state text NOT NULL, priority int)";
    client.batch_execute(create).await.unwrap();
    (database, door, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_take_and_give_values_of_inferred_types() {
    let (database, _door, client) = with_tasks().await;
    let insert = client
        .prepare("INSERT INTO tasks VALUES ($1, $2, $3)")
        .await
        .unwrap();
    assert_eq!(insert.params(), [Type::INT8, Type::TEXT, Type::INT4]);
    for id in 0..100_i64 {
        let priority = (id % 3 > 0).then_some(id as i32);
        let count = client.execute(&insert, &[&id, &"new", &priority]).await;
        assert_eq!(count.unwrap(), 1);
    }
    let select = "SELECT id, state, priority FROM tasks WHERE id = $1";
    let select = client.prepare(select).await.unwrap();
    let row = client.query_one(&select, &[&7_i64]).await.unwrap();
    assert_eq!(row.get::<_, i64>("id"), 7);
    assert_eq!(row.get::<_, &str>("state"), "new");
    assert_eq!(row.get::<_, Option<i32>>("priority"), Some(7));
    let row = client.query_one(&select, &[&9_i64]).await.unwrap();
    assert_eq!(row.get::<_, Option<i32>>("priority"), None);
    assert!(
        client
            .query(&select, &[&1000_i64])
            .await
            .unwrap()
            .is_empty()
    );
    // The documents are those of the library.
    let document = database.collection("tasks").unwrap().get(7).unwrap();
    assert_eq!(
        document.unwrap().get("state").unwrap().as_str(),
        Some("new")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_tell_where_and_why() {
    let (_database, _door, client) = with_tasks().await;
    let error = client.query("SELECT id, nothing FROM tasks", &[]).await;
    let error = error.unwrap_err();
    let told = error.as_db_error().unwrap();
    assert_eq!(told.code(), &SqlState::UNDEFINED_COLUMN);
    let position = tokio_postgres::error::ErrorPosition::Original(12);
    assert_eq!(told.position(), Some(&position));
    client
        .execute("INSERT INTO tasks VALUES (1, 'new', 1)", &[])
        .await
        .unwrap();
    let error = client
        .execute("INSERT INTO tasks VALUES (1, 'new', 1)", &[])
        .await;
    let error = error.unwrap_err();
    let told = error.as_db_error().unwrap();
    assert_eq!(told.code(), &SqlState::UNIQUE_VIOLATION);
    assert_eq!(told.constraint(), Some("tasks_pkey"));
    // The session goes on.
    let row = client.query_one("SELECT 1 + 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_seen_by_others_when_it_is_committed() {
    let (_database, door, mut one) = with_tasks().await;
    let other = client(&door).await;
    let all = "SELECT id FROM tasks";
    let transaction = one.transaction().await.unwrap();
    transaction
        .execute("INSERT INTO tasks VALUES (1, 'new', 1), (2, 'new', 2)", &[])
        .await
        .unwrap();
    assert_eq!(transaction.query(all, &[]).await.unwrap().len(), 2);
    assert!(other.query(all, &[]).await.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(other.query(all, &[]).await.unwrap().len(), 2);
    let transaction = one.transaction().await.unwrap();
    transaction.execute("DELETE FROM tasks", &[]).await.unwrap();
    drop(transaction);
    assert_eq!(one.query(all, &[]).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_its_rows_in_parts() {
    let (_database, _door, mut client) = with_tasks().await;
    for id in 0..25_i64 {
        let insert = format!("INSERT INTO tasks VALUES ({id}, 'new', 0)");
        client.batch_execute(&insert).await.unwrap();
    }
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT id FROM tasks ORDER BY id", &[]);
    let portal = portal.await.unwrap();
    let mut sizes = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 10).await.unwrap();
        sizes.push(rows.len());
        if rows.len() < 10 {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
}

/// A collection without declared fields is a table of its id and of the whole document.
#[tokio::test(flavor = "multi_thread")]
async fn documents_are_rows_too() {
    let database = Database::in_memory().unwrap();
    let notes = database.create_collection(Definition::new("notes"));
    let notes = notes.unwrap().value;
    notes
        .insert_with_id("n1", [("text", "hello".into())])
        .unwrap();
    let door = open(&database);
    let client = client(&door).await;
    let answers = client
        .simple_query("SELECT _id, doc->>'text' AS text FROM notes")
        .await
        .unwrap();
    let rows = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some((row.get(0).unwrap(), row.get("text").unwrap())),
        _ => None,
    });
    assert_eq!(rows.collect::<Vec<_>>(), [("n1", "hello")]);
}

/// `SET velocity.durability` counts for statements alone, for blocks and for COPY.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_as_durable_as_the_session_says() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::at(directory.path()).durability(Durability::Os);
    let database = Database::open(options).unwrap();
    let door = open(&database);
    let client = client(&door).await;
    let syncs = || database.stats().log.unwrap().syncs;
    client
        .batch_execute("CREATE TABLE tasks (id int PRIMARY KEY)")
        .await
        .unwrap();
    client
        .batch_execute("SET velocity.durability = 'full'")
        .await
        .unwrap();
    for sql in [
        "INSERT INTO tasks VALUES (1)",
        "BEGIN; INSERT INTO tasks VALUES (2); COMMIT",
        "UPDATE tasks SET id = 3 WHERE id = 2",
    ] {
        let before = syncs();
        client.batch_execute(sql).await.unwrap();
        assert!(syncs() > before, "{sql}");
    }
    let before = syncs();
    let sink = client.copy_in("COPY tasks FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from("4\n5\n")).await.unwrap();
    sink.finish().await.unwrap();
    assert!(syncs() > before);
    assert_eq!(count(&client).await, 4);
}

async fn count(client: &Client) -> i64 {
    let row = client.query_one("SELECT count(*) FROM tasks", &[]).await;
    row.unwrap().get(0)
}

/// The SQLSTATE of the only error among the answers.
fn state(answers: &[Answer]) -> String {
    let mut errors = answers.iter().filter(|(kind, _)| *kind == b'E');
    let (_, body) = errors.next().expect("an error");
    assert!(errors.next().is_none(), "one error");
    field(body, b'C').unwrap()
}

const FIRST: &str = "INSERT INTO tasks VALUES (1, 'new', 1)";
const SECOND: &str = "INSERT INTO tasks VALUES (2, 'new', 1)";

#[tokio::test(flavor = "multi_thread")]
async fn a_simple_query_of_several_statements_is_one_transaction() {
    let (_database, _door, client) = with_tasks().await;
    for bad in [FIRST, "SELECT 1 / 0", "SELECT nothing FROM tasks"] {
        let failed = client.batch_execute(&format!("{FIRST}; {bad}")).await;
        failed.unwrap_err();
        assert_eq!(count(&client).await, 0, "{bad}");
    }
    let both = format!("{FIRST}; {SECOND}");
    client.batch_execute(&both).await.unwrap();
    assert_eq!(count(&client).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn begin_and_commit_within_a_simple_query_are_as_those_of_postgresql() {
    let (_database, door, client) = with_tasks().await;
    let mut raw = Raw::connect(door.local_addr()).await;
    // BEGIN takes what came before it into the block.
    raw.send(&query(&format!("{FIRST}; BEGIN; {SECOND}"))).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "CCCZ");
    assert_eq!(answers[3].1, b"T");
    assert_eq!(count(&client).await, 0);
    raw.send(&query("ROLLBACK")).await;
    raw.until_ready().await;
    assert_eq!(count(&client).await, 0);
    // COMMIT keeps what came before it, with a warning where no BEGIN was.
    let sql = format!("{FIRST}; COMMIT; {SECOND}; SELECT 1 / 0");
    raw.send(&query(&sql)).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "CNCCEZ");
    assert_eq!(field(&answers[1].1, b'C').unwrap(), "25P01");
    assert_eq!(count(&client).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_up_to_its_sync_is_one_transaction() {
    let (_database, door, client) = with_tasks().await;
    let mut raw = Raw::connect(door.local_addr()).await;
    for bad in [FIRST, "SELECT nothing FROM tasks"] {
        raw.send(&[extended(FIRST), extended(bad), sync()].concat())
            .await;
        let answers = raw.until_ready().await;
        state(&answers);
        assert_eq!(answers.last().unwrap().1, b"I");
        assert_eq!(count(&client).await, 0, "{bad}");
    }
    let flush = message(b'H', b"");
    raw.send(&[extended(FIRST), extended(SECOND), flush].concat())
        .await;
    for kind in *b"12C12C" {
        assert_eq!(raw.receive().await.unwrap().0, kind);
    }
    assert_eq!(count(&client).await, 0, "before its end nobody sees it");
    raw.send(&sync()).await;
    assert_eq!(kinds(&raw.until_ready().await), "Z");
    assert_eq!(count(&client).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_before_its_sync_leaves_nothing() {
    let (_database, door, client) = with_tasks().await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&[extended(FIRST), message(b'H', b"")].concat())
        .await;
    for kind in *b"12C" {
        assert_eq!(raw.receive().await.unwrap().0, kind);
    }
    drop(raw);
    // It waits for the lock of the key, and gets it.
    client.batch_execute(FIRST).await.unwrap();
    assert_eq!(count(&client).await, 1);
}

fn named(kind: u8, name: &str, rest: &str) -> Vec<u8> {
    message(kind, format!("{name}\0{rest}").as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_and_portals_are_bounded() {
    let (_database, door, _client) = with_tasks().await;
    let mut raw = Raw::connect(door.local_addr()).await;
    // One without a name does not count, and can still be had.
    let mut all = extended("SELECT 1");
    let parse = |n: usize, sql: &str| named(b'P', &format!("s{n}"), &format!("{sql}\0\0\0"));
    all.extend((0..10_000).flat_map(|n| parse(n, "SELECT 1")));
    all.extend(extended("SELECT 1"));
    raw.send(&[all, sync()].concat()).await;
    let answers = raw.until_ready().await;
    assert_eq!(
        answers.iter().filter(|(kind, _)| *kind == b'1').count(),
        10_002
    );
    raw.send(&[parse(10_000, "SELECT 1"), sync()].concat())
        .await;
    assert_eq!(state(&raw.until_ready().await), "54000");
    raw.send(&[named(b'C', "Ss7", ""), parse(10_000, "SELECT 1"), sync()].concat())
        .await;
    assert_eq!(kinds(&raw.until_ready().await), "31Z");

    let bind = |n: usize| named(b'B', &format!("p{n}"), "s0\0\0\0\0\0\0\0");
    let all: Vec<u8> = (0..1_000).flat_map(bind).collect();
    raw.send(&[all, bind(1_000), sync()].concat()).await;
    let answers = raw.until_ready().await;
    assert_eq!(answers.len(), 1_002);
    assert_eq!(state(&answers), "54000");

    // So many bytes, too.
    let mut raw = Raw::connect(door.local_addr()).await;
    let long = format!("SELECT 1 -- {}", "x".repeat(1 << 20));
    for n in 0..15 {
        raw.send(&[parse(n, &long), sync()].concat()).await;
        assert_eq!(kinds(&raw.until_ready().await), "1Z");
    }
    raw.send(&[parse(15, &long), sync()].concat()).await;
    assert_eq!(state(&raw.until_ready().await), "54000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_while_nothing_runs_ends_nothing() {
    let (_database, door, mut client) = with_tasks().await;
    let token = client.cancel_token();
    cancel(&door, &token).await;
    assert_eq!(count(&client).await, 0);
    let transaction = client.transaction().await.unwrap();
    transaction.execute(FIRST, &[]).await.unwrap();
    cancel(&door, &token).await;
    transaction.query("SELECT * FROM tasks", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    cancel(&door, &token).await;
    client
        .batch_execute("SELECT 1; SELECT count(*) FROM tasks")
        .await
        .unwrap();
}

/// A statement without rows is run once by each portal.
#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_was_run_is_not_run_again() {
    let (_database, door, client) = with_tasks().await;
    let mut raw = Raw::connect(door.local_addr()).await;
    let again = message(b'E', b"\0\0\0\0\0");
    raw.send(&[extended(FIRST), again.clone(), sync()].concat())
        .await;
    assert_eq!(state(&raw.until_ready().await), "55000");
    assert_eq!(count(&client).await, 0);
    raw.send(&[extended("SELECT 1"), again, sync()].concat())
        .await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "12DCCZ");
    assert_eq!(answers[4].1, b"SELECT 0\0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_notifications_while_it_asks_nothing() {
    let database = Database::in_memory().unwrap();
    let door = open(&database);
    let mut listener = Raw::connect(door.local_addr()).await;
    listener.send(&query("LISTEN jobs")).await;
    assert_eq!(kinds(&listener.until_ready().await), "CZ");
    let other = client(&door).await;
    let pid = other.query_one("SELECT pg_backend_pid()", &[]).await;
    let pid: i32 = pid.unwrap().get(0);
    other
        .batch_execute("BEGIN; NOTIFY jobs, 'one'; SELECT pg_notify('jobs', 'two'); COMMIT")
        .await
        .unwrap();
    for payload in ["one", "two"] {
        let (kind, body) = listener.receive().await.unwrap();
        assert_eq!(kind, b'A');
        assert_eq!(body[..4], pid.to_be_bytes());
        assert_eq!(&body[4..], format!("jobs\0{payload}\0").as_bytes());
    }
    // Its own come with the answer.
    listener.send(&query("NOTIFY jobs, 'own'")).await;
    assert_eq!(kinds(&listener.until_ready().await), "CAZ");
}

/// Nobody who notifies waits for one who does not take it.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_falls_behind_is_ended_with_an_error() {
    let database = Database::in_memory().unwrap();
    let door = open(&database);
    let mut listener = Raw::connect(door.local_addr()).await;
    listener.send(&query("LISTEN jobs")).await;
    listener.until_ready().await;
    listener.send(&query("BEGIN")).await;
    listener.until_ready().await;
    let other = client(&door).await;
    let notify = "SELECT pg_notify('jobs', $1)";
    let payload = "x".repeat(7_000);
    let queues = database.notifications();
    let mut full = 0.0;
    while queues.usage() >= full {
        other.query(notify, &[&payload]).await.unwrap();
        full = queues.usage();
        let more = Notification {
            from: OwnerId(0),
            channel: "jobs".into(),
            payload: payload.as_str().into(),
        };
        queues.send(vec![more; 500]);
    }
    listener.send(&query("COMMIT")).await;
    assert_eq!(listener.refused().await, "53400");
}

/// The number that a client is given when it connects, by which it cancels.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_known_by_one_number() {
    let database = Database::in_memory().unwrap();
    let door = open(&database);
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(&raw::first(b"\0\x03\0\0user\0ann\0\0")).await;
    let greeting = raw.until_ready().await;
    let key = greeting.iter().find(|(kind, _)| *kind == b'K').unwrap();
    let pid = i32::from_be_bytes(key.1[..4].try_into().unwrap());
    raw.send(&query("SELECT pg_backend_pid()")).await;
    let answers = raw.until_ready().await;
    assert_eq!(answers[1].1[6..], *pid.to_string().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_gives_its_rows_in_parts() {
    let (_database, door, mut client) = with_tasks().await;
    let insert = "INSERT INTO tasks SELECT id, 'new', 0 FROM tasks";
    assert!(client.batch_execute(insert).await.is_ok(), "of no rows");
    for id in 0..25_i64 {
        let insert = format!("INSERT INTO tasks VALUES ({id}, 'new', 0)");
        client.batch_execute(&insert).await.unwrap();
    }
    let transaction = client.transaction().await.unwrap();
    let declare = "DECLARE c CURSOR FOR SELECT id FROM tasks WHERE id >= $1 ORDER BY id";
    transaction.execute(declare, &[&5_i64]).await.unwrap();
    let fetch = transaction.prepare("FETCH 8 FROM c").await.unwrap();
    let mut ids = Vec::new();
    loop {
        let rows = transaction.query(&fetch, &[]).await.unwrap();
        ids.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        if rows.len() < 8 {
            break;
        }
    }
    assert_eq!(ids, (5..25).collect::<Vec<_>>());
    transaction.commit().await.unwrap();
    // As texts in the simple protocol, unless the cursor is a binary one.
    let mut raw = Raw::connect(door.local_addr()).await;
    for (kind, one) in [("", &b"1"[..]), ("BINARY", &[0, 0, 0, 1])] {
        let sql = format!("BEGIN; DECLARE c {kind} CURSOR FOR SELECT 1; FETCH c; COMMIT");
        raw.send(&query(&sql)).await;
        let answers = raw.until_ready().await;
        assert_eq!(kinds(&answers), "CCTDCCZ");
        assert_eq!(&answers[3].1[6..], one);
    }
}

/// Who waits for an advisory lock is seen to wait, can be cancelled, and has nothing then.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_an_advisory_lock_can_be_cancelled() {
    let database = Database::in_memory().unwrap();
    let door = open(&database);
    let (one, other) = (client(&door).await, client(&door).await);
    one.execute("SELECT pg_advisory_lock(7)", &[])
        .await
        .unwrap();
    let token = other.cancel_token();
    let waiting = tokio::spawn(async move {
        let ask = "SELECT pg_advisory_lock(8), pg_advisory_lock(7)";
        let error = other.execute(ask, &[]).await.unwrap_err();
        (other, error)
    });
    let waits = "SELECT pid FROM pg_locks WHERE NOT granted AND objid = 7";
    while one.query(waits, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    cancel(&door, &token).await;
    let (other, error) = waiting.await.unwrap();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    assert!(one.query(waits, &[]).await.unwrap().is_empty());
    // What it had before it keeps until its session ends.
    let free = "SELECT pg_try_advisory_lock(8)";
    let row = one.query_one(free, &[]).await.unwrap();
    assert!(!row.get::<_, bool>(0));
    drop(other);
    while !one.query_one(free, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::task::yield_now().await;
    }
}

/// psycopg does so after each DROP and ALTER.
#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_are_given_up_by_deallocate() {
    let (_database, door, _client) = with_tasks().await;
    let mut raw = Raw::connect(door.local_addr()).await;
    let describe = |name: &str| named(b'D', &format!("S{name}"), "");
    for name in ["one", "two", "three"] {
        raw.send(&named(b'P', name, "SELECT 1\0\0\0")).await;
    }
    raw.send(&query("DEALLOCATE one")).await;
    assert_eq!(kinds(&raw.until_ready().await), "111CZ");
    for (name, there) in [("one", false), ("two", true)] {
        raw.send(&[describe(name), sync()].concat()).await;
        let answers = raw.until_ready().await;
        assert_eq!(kinds(&answers), if there { "tTZ" } else { "EZ" }, "{name}");
    }
    raw.send(&query("DEALLOCATE one")).await;
    assert_eq!(state(&raw.until_ready().await), "26000");
    for all in ["DEALLOCATE ALL", "DISCARD ALL"] {
        raw.send(&query(all)).await;
        raw.until_ready().await;
        raw.send(&[describe("three"), sync()].concat()).await;
        assert_eq!(state(&raw.until_ready().await), "26000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_the_protocol_are_run_by_execute_and_those_of_prepare_by_the_protocol() {
    let (_database, door, client) = with_tasks().await;
    client
        .batch_execute("INSERT INTO tasks VALUES (1, 'new', 5), (2, 'done', 6)")
        .await
        .unwrap();
    let mut raw = Raw::connect(door.local_addr()).await;
    let parse = named(
        b'P',
        "of_protocol",
        "SELECT state FROM tasks WHERE id = $1\0\0\0",
    );
    raw.send(&[parse, sync()].concat()).await;
    raw.until_ready().await;
    raw.send(&query("EXECUTE of_protocol (2)")).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "TDCZ");
    assert_eq!(answers[1].1[6..], *b"done");
    raw.send(&query(
        "PREPARE of_sql (int) AS SELECT priority + $1 FROM tasks WHERE id = 2",
    ))
    .await;
    assert_eq!(kinds(&raw.until_ready().await), "CZ");
    let bind = named(b'B', "", "of_sql\0\0\0\0\x01\0\0\0\x02\x31\x30\0\0"); // 10, as text
    let describe = named(b'D', "Sof_sql", "");
    let execute = named(b'E', "", "\0\0\0\0");
    raw.send(&[describe, bind, execute, sync()].concat()).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "tT2DCZ");
    assert_eq!(answers[3].1[6..], *b"16");
    // EXECUTE in the extended protocol: described as what it runs.
    let parse = named(b'P', "", "EXECUTE of_sql(1)\0\0\0");
    let describe = named(b'D', "S", "");
    let bind = named(b'B', "", "\0\0\0\0\0\0\0");
    let execute = named(b'E', "", "\0\0\0\0");
    raw.send(&[parse, describe, bind, execute, sync()].concat())
        .await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "1tT2DCZ");
    assert_eq!(answers[4].1[6..], *b"7");
    // A name that is taken is so for both.
    raw.send(&[named(b'P', "of_sql", "SELECT 1\0\0\0"), sync()].concat())
        .await;
    assert_eq!(state(&raw.until_ready().await), "42P05");
    raw.send(&query("PREPARE of_protocol AS SELECT 1")).await;
    assert_eq!(state(&raw.until_ready().await), "42P05");
    raw.send(&[named(b'C', "Sof_sql", ""), sync()].concat())
        .await;
    raw.until_ready().await;
    raw.send(&query("EXECUTE of_sql (1)")).await;
    assert_eq!(state(&raw.until_ready().await), "26000");
}

/// psycopg describes its cursors as portals; asyncpg goes on in portals by MOVE.
#[tokio::test(flavor = "multi_thread")]
async fn portals_and_cursors_are_the_same() {
    let (_database, door, client) = with_tasks().await;
    for id in 1..=9 {
        let insert = format!("INSERT INTO tasks VALUES ({id}, 'new', 0)");
        client.batch_execute(&insert).await.unwrap();
    }
    let mut raw = Raw::connect(door.local_addr()).await;
    let describe = |name: &str| [named(b'D', &format!("P{name}"), ""), sync()].concat();
    let bind = |portal: &str| named(b'B', portal, "s\0\0\0\0\0\0\0");
    let execute = |portal: &str, most: u8| {
        let mut body = [portal.as_bytes(), &[0; 5]].concat();
        *body.last_mut().unwrap() = most;
        message(b'E', &body)
    };
    let ids = |answers: &[Answer]| {
        let rows = answers.iter().filter(|(kind, _)| *kind == b'D');
        let ids = rows.map(|(_, row)| String::from_utf8_lossy(&row[6..]).into_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    let tag = |answers: &[Answer]| {
        let (_, tag) = answers.iter().find(|(kind, _)| *kind == b'C').unwrap();
        String::from_utf8_lossy(tag)
            .trim_end_matches('\0')
            .to_owned()
    };
    raw.send(&query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM tasks"))
        .await;
    raw.until_ready().await;
    raw.send(&describe("c")).await;
    assert_eq!(kinds(&raw.until_ready().await), "TZ");
    // A name that a cursor has is no portal's, and the other way round.
    let parse = named(b'P', "s", "SELECT id FROM tasks ORDER BY id\0\0\0");
    raw.send(&[parse, bind("p"), execute("p", 2), sync()].concat())
        .await;
    let answers = raw.until_ready().await;
    assert_eq!(
        (kinds(&answers), ids(&answers)),
        ("12DDsZ".into(), "1 2".into())
    );
    raw.send(&query("MOVE FORWARD 3 FROM p")).await;
    assert_eq!(tag(&raw.until_ready().await), "MOVE 3");
    raw.send(&query("FETCH p")).await;
    assert_eq!(ids(&raw.until_ready().await), "6");
    raw.send(&[execute("p", 2), sync()].concat()).await;
    assert_eq!(ids(&raw.until_ready().await), "7 8");
    raw.send(&[execute("p", 2), execute("p", 2), sync()].concat())
        .await;
    let answers = raw.until_ready().await;
    assert_eq!(
        (kinds(&answers), ids(&answers)),
        ("DCCZ".into(), "9".into())
    );
    // One that was not run yet, too.
    raw.send(&[bind("q"), sync()].concat()).await;
    raw.until_ready().await;
    raw.send(&query("MOVE 4 IN q")).await;
    assert_eq!(tag(&raw.until_ready().await), "MOVE 4");
    raw.send(&[execute("q", 1), sync()].concat()).await;
    assert_eq!(ids(&raw.until_ready().await), "5");
    raw.send(&[named(b'C', "Pq", ""), bind("q"), execute("q", 1), sync()].concat())
        .await;
    assert_eq!(ids(&raw.until_ready().await), "1");
    raw.send(&query("SAVEPOINT a; DECLARE q CURSOR FOR SELECT 1"))
        .await;
    assert_eq!(state(&raw.until_ready().await), "42P03");
    raw.send(&query("ROLLBACK TO a")).await;
    raw.until_ready().await;
    raw.send(&[bind("c"), sync()].concat()).await;
    assert_eq!(state(&raw.until_ready().await), "42P03");
    raw.send(&query("ROLLBACK")).await;
    raw.until_ready().await;
    raw.send(&describe("c")).await;
    assert_eq!(state(&raw.until_ready().await), "34000");
    // A portal ends with its statement.
    raw.send(&query("BEGIN")).await;
    raw.until_ready().await;
    let close = named(b'C', "Ss", "");
    raw.send(&[bind("p"), execute("p", 1), close, sync()].concat())
        .await;
    assert_eq!(kinds(&raw.until_ready().await), "2Ds3Z");
    raw.send(&query("FETCH p")).await;
    assert_eq!(state(&raw.until_ready().await), "34000");
}
