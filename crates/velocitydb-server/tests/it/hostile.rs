//! Clients of PostgreSQL's protocol that ask for too much: each is told so, and the server goes on.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use velocitydb::Database;
use velocitydb_pg::Door;

use super::pg::raw::{Raw, field, kinds, message, query, sync};
use super::pg::{cancel, client, open};

async fn served() -> (Door, Client) {
    let door = open(&Database::in_memory().unwrap());
    let client = client(&door).await;
    (door, client)
}

/// Ten gigabytes to compute.
const ENDLESS: &str = "SELECT count(*) FROM t WHERE md5(repeat('x', 1000000 + id)) = ''";

async fn with_rows() -> (Door, Client) {
    let (door, client) = served().await;
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY)")
        .await
        .unwrap();
    let ids: Vec<String> = (0..10_000).map(|id| format!("({id})")).collect();
    let insert = format!("INSERT INTO t VALUES {}", ids.join(","));
    client.batch_execute(&insert).await.unwrap();
    (door, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_query_ends_by_its_time_out() {
    let (_door, client) = with_rows().await;
    client
        .batch_execute("SET statement_timeout = '50ms'")
        .await
        .unwrap();
    for _ in 0..2 {
        let error = client.query(ENDLESS, &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
    }
    client.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_query_ends_when_it_is_cancelled() {
    let (door, other) = with_rows().await;
    let endless = client(&door).await;
    let token = endless.cancel_token();
    let query = tokio::spawn(async move {
        let ended = endless.query(ENDLESS, &[]).await;
        (ended, endless)
    });
    // One that comes before the query runs ends nothing.
    while !query.is_finished() {
        cancel(&door, &token).await;
    }
    let (ended, endless) = query.await.unwrap();
    let error = ended.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
    for client in [endless, other] {
        client.query_one("SELECT 1", &[]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_ten_megabytes_is_answered_and_a_longer_one_refused() {
    let (_door, client) = served().await;
    let text = "x".repeat(10_000_000);
    let row = client
        .query_one(&format!("SELECT length('{text}')"), &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 10_000_000);
    let row = client.query_one("SELECT length($1)", &[&text]).await;
    assert_eq!(row.unwrap().get::<_, i32>(0), 10_000_000);
    // What is long may take little memory to be read, or much.
    let list = format!("SELECT 1 IN ({})", vec!["1"; 3_000_000].join(", "));
    let error = client.query_one(&list, &[]).await.unwrap_err();
    let complex = &SqlState::STATEMENT_TOO_COMPLEX;
    assert_eq!(error.code(), Some(complex), "{error}");
    let longer = format!("SELECT length('{}')", "x".repeat(17_000_000));
    let error = client.query_one(&longer, &[]).await.unwrap_err();
    let limit = &SqlState::PROGRAM_LIMIT_EXCEEDED;
    assert_eq!(error.code(), Some(limit), "{error}");
    client.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_fails_its_request_alone() {
    let (door, client) = served().await;
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v timestamp, a int[])")
        .await
        .unwrap();
    let mut raw = Raw::connect(door.local_addr()).await;
    // Binary values that are none of their types.
    let parse = message(b'P', b"s\0INSERT INTO t VALUES ($1, $2, $3)\0\0\0");
    raw.send(&[parse, sync()].concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "1Z");
    let bind = |values: [&[u8]; 3]| {
        let mut body = b"\0s\0\0\x01\0\x01\0\x03".to_vec();
        for value in values {
            body.extend((value.len() as i32).to_be_bytes());
            body.extend(value);
        }
        body.extend(b"\0\0");
        message(b'B', &body)
    };
    let array = |dimensions: i32, elements: i32| {
        let head = [dimensions, 0, 23, elements, 1].map(i32::to_be_bytes);
        head.concat()
    };
    for values in [
        [&b""[..], b"", b""],
        [b"\0\0\0\x01\0", b"12345678", b"1234"],
        [b"\0\0\0\x01", b"1234567", b"1234"],
        [b"\0\0\0\x01", b"12345678", &array(1, i32::MAX)],
        [b"\0\0\0\x01", b"12345678", &array(i32::MAX, 1)],
        [b"\0\0\0\x01", b"12345678", &array(-1, -1)],
    ] {
        raw.send(&[bind(values), sync()].concat()).await;
        let answers = raw.until_ready().await;
        assert_eq!(kinds(&answers), "EZ", "{values:?}");
        let state = field(&answers[0].1, b'C').unwrap();
        assert!(
            state.starts_with("22") || state == "08P01",
            "{state} of {values:?}"
        );
    }
    raw.send(&query("SELECT 1")).await;
    assert_eq!(kinds(&raw.until_ready().await), "TDCZ");
}
