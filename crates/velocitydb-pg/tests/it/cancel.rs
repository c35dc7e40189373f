//! Statements cancelled from another connection.

use std::sync::atomic::Ordering;

use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::flow::client;
use crate::raw::{Raw, first, kinds, message, query};
use crate::words::{any_port, open};

#[tokio::test]
async fn a_statement_is_cancelled_and_the_session_goes_on() {
    let (door, seen) = open(any_port()).await;
    let client = client(door.local_addr().port()).await;
    let token = client.cancel_token();
    let (slept, ()) = tokio::join!(client.simple_query("sleep"), async {
        seen.asleep().await;
        token.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(slept.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    client.simple_query("one").await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_cancels_nothing() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(&first(b"\0\x03\0\0user\0ann\0\0")).await;
    let answers = raw.until_ready().await;
    let (_, key) = answers.iter().find(|(kind, _)| *kind == b'K').unwrap();
    raw.send(&query("sleep; one")).await;
    seen.asleep().await;
    let mut wrong = key.clone();
    wrong[7] ^= 1;
    for (key, cancels) in [(&wrong, 0), (key, 1)] {
        let mut other = Raw::open(door.local_addr()).await;
        other
            .send(&first(&[&80_877_102_i32.to_be_bytes(), &key[..]].concat()))
            .await;
        assert_eq!(other.receive().await, None);
        assert_eq!(seen.cancels.load(Ordering::SeqCst), cancels);
    }
    assert_eq!(kinds(&raw.until_ready().await), "EZ");
}

#[tokio::test]
async fn a_copy_that_waits_for_data_is_cancelled() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(&first(b"\0\x03\0\0user\0ann\0\0")).await;
    let answers = raw.until_ready().await;
    let (_, key) = answers.iter().find(|(kind, _)| *kind == b'K').unwrap();
    raw.send(&query("copy in")).await;
    assert_eq!(raw.receive().await.unwrap().0, b'G');
    let mut other = Raw::open(door.local_addr()).await;
    other
        .send(&first(&[&80_877_102_i32.to_be_bytes(), &key[..]].concat()))
        .await;
    assert_eq!(kinds(&raw.until_ready().await), "EZ");
    // What the client had sent meanwhile is passed over.
    raw.send(&message(b'd', b"late\n")).await;
    raw.send(&message(b'c', b"")).await;
    raw.send(&query("one")).await;
    assert_eq!(kinds(&raw.until_ready().await), "TDCZ");
}
