//! Ordinary clients: simple and extended protocol, pipelines, portals, errors on the way.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::raw::{Raw, extended, field, kinds, message, query, sync};
use crate::words::{any_port, open};

pub async fn client(port: u16) -> tokio_postgres::Client {
    let config = format!("host=127.0.0.1 port={port} user=ann");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn several_statements_of_a_simple_query_each_end_with_a_tag() {
    let (door, _seen) = open(any_port()).await;
    let client = client(door.local_addr().port()).await;
    let answers = client
        .simple_query("one; begin; one; commit")
        .await
        .unwrap();
    let rows = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(rows.collect::<Vec<_>>(), ["1", "1"]);
    let ends = answers
        .iter()
        .filter(|answer| matches!(answer, SimpleQueryMessage::CommandComplete(_)));
    assert_eq!(ends.count(), 4);
}

#[tokio::test]
async fn what_follows_a_failed_statement_of_a_simple_query_is_not_run() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("one; fail; one")).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "TDCEZ");
    assert_eq!(seen.failures.load(Ordering::SeqCst), 1);
    raw.send(&query(" ")).await;
    assert_eq!(kinds(&raw.until_ready().await), "IZ");
}

#[tokio::test]
async fn prepared_statements_take_and_give_binary_values() {
    let (door, _seen) = open(any_port()).await;
    let client = client(door.local_addr().port()).await;
    let one = client.prepare("one").await.unwrap();
    let echo = client.prepare("echo $1").await.unwrap();
    for _ in 0..3 {
        let rows = client.query(&one, &[]).await.unwrap();
        assert_eq!(rows[0].get::<_, i32>(0), 1);
        let rows = client.query(&echo, &[&"some text"]).await.unwrap();
        assert_eq!(rows[0].get::<_, &str>(0), "some text");
        let rows = client.query(&echo, &[&None::<&str>]).await.unwrap();
        assert_eq!(rows[0].get::<_, Option<&str>>(0), None);
    }
}

#[tokio::test]
async fn requests_in_flight_are_answered_in_their_order() {
    let (door, _seen) = open(any_port()).await;
    let client = client(door.local_addr().port()).await;
    let echo = client.prepare("echo $1").await.unwrap();
    let asked = (0..1_000).map(|n| {
        let (client, echo) = (&client, &echo);
        async move {
            let value = n.to_string();
            let rows = client.query(echo, &[&value]).await.unwrap();
            assert_eq!(rows[0].get::<_, &str>(0), value);
        }
    });
    join_all(asked).await;
}

/// One write of the client has three requests of which the second fails: what stands behind the
/// error up to the Sync is passed over, what follows it is answered.
#[tokio::test]
async fn an_error_in_a_pipeline_skips_to_the_next_sync() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    let pipeline = [
        extended("one"),
        sync(),
        extended("fail"),
        extended("one"),
        query("one"),
        sync(),
        extended("one"),
        sync(),
    ];
    raw.send(&pipeline.concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "12DCZ");
    let failed = raw.until_ready().await;
    assert_eq!(kinds(&failed), "12EZ");
    let error = &failed[2].1;
    for (code, text) in [
        (b'S', "ERROR"),
        (b'C', "42601"),
        (b'M', "this fails"),
        (b'D', "as it was asked to"),
        (b'H', "say something else"),
        (b'P', "1"),
        (b't', "t"),
        (b'n', "c"),
    ] {
        assert_eq!(field(error, code).as_deref(), Some(text));
    }
    assert_eq!(kinds(&raw.until_ready().await), "12DCZ");
    assert_eq!(seen.failures.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_error_leaves_an_explicit_transaction_failed_until_its_end() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    for (sql, status) in [
        ("begin", b'T'),
        ("fail", b'E'),
        ("one", b'E'),
        ("rollback", b'I'),
    ] {
        raw.send(&[extended(sql), sync()].concat()).await;
        let answers = raw.until_ready().await;
        assert_eq!(answers.last().unwrap().1, [status], "{sql}");
    }
}

#[tokio::test]
async fn a_portal_gives_its_rows_in_parts() {
    let (door, _seen) = open(any_port()).await;
    let mut client = client(door.local_addr().port()).await;
    let transaction = client.transaction().await;
    let transaction = transaction.unwrap();
    let portal = transaction.bind("count 5", &[]).await.unwrap();
    let mut parts = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 2).await.unwrap();
        parts.push(
            rows.iter()
                .map(|row| row.get::<_, i32>(0))
                .collect::<Vec<_>>(),
        );
        if rows.len() < 2 {
            break;
        }
    }
    assert_eq!(parts, [vec![1, 2], vec![3, 4], vec![5]]);
}

#[tokio::test]
async fn answers_are_sent_without_a_sync_when_that_is_asked_for() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&[extended("one"), message(b'H', b"")].concat())
        .await;
    let mut kinds = String::new();
    while !kinds.ends_with('C') {
        kinds.push(raw.receive().await.unwrap().0.into());
    }
    assert_eq!(kinds, "12DC");
    raw.send(&sync()).await;
    assert_eq!(raw.receive().await.unwrap().0, b'Z');
}

/// The client goes before its Sync: had the answers been sent one by one, it would have them.
#[tokio::test]
async fn a_pipeline_is_answered_at_its_end_and_not_message_by_message() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&extended("one")).await;
    raw.0.shutdown().await.unwrap();
    assert_eq!(raw.receive().await, None);
}

#[tokio::test]
async fn statements_and_portals_are_described_and_closed() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    let request = [
        message(b'P', b"s\0echo $1\0\0\0"),
        message(b'D', b"Ss\0"),
        message(b'B', b"p\0s\0\0\x01\0\0\0\x01\0\0\0\x01a\0\x01\0\x01"),
        message(b'D', b"Pp\0"),
        message(b'E', b"p\0\0\0\0\0"),
        message(b'C', b"Pp\0"),
        message(b'C', b"Ss\0"),
        message(b'C', b"Snever\0"),
        message(b'D', b"Ss\0"),
        sync(),
    ];
    raw.send(&request.concat()).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "1tT2TDC333EZ");
    assert_eq!(answers[1].1, b"\0\x01\0\0\0\x19");
    // The last two bytes of the only column: text when the statement, binary when the portal.
    assert!(answers[2].1.ends_with(b"\0\0"));
    assert!(answers[4].1.ends_with(b"\0\x01"));
    assert_eq!(field(&answers[10].1, b'C').as_deref(), Some("26000"));
}

#[tokio::test]
async fn notices_and_changed_settings_come_with_the_statement() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("notice; set TimeZone Europe/Berlin")).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "NCSCZ");
    assert_eq!(field(&answers[0].1, b'S').as_deref(), Some("WARNING"));
    assert_eq!(answers[2].1, b"TimeZone\0Europe/Berlin\0");
}

#[tokio::test]
async fn a_fatal_error_ends_the_connection() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("fatal")).await;
    assert_eq!(raw.refused().await, "57P01");
    seen.sessions(0).await;
}

#[tokio::test]
async fn a_client_that_says_goodbye_leaves_nothing_behind() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    seen.sessions(1).await;
    raw.send(&message(b'X', b"")).await;
    seen.sessions(0).await;
    assert_eq!(raw.receive().await, None);
}

/// asyncpg asks for a description so, and sends its Sync when it has heard of the error.
#[tokio::test]
async fn an_error_is_told_before_the_sync() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&[extended("fail"), message(b'H', b"")].concat())
        .await;
    loop {
        let (kind, _) = raw.receive().await.unwrap();
        if kind == b'E' {
            break;
        }
    }
    raw.send(&sync()).await;
    assert_eq!(kinds(&raw.until_ready().await), "Z");
}
