//! Bounded memory and connections, and the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use velocitydb_pg::{Door, DoorError, FULL_BYTES, PgConfig};

use crate::raw::{Raw, extended, field, first, kinds, query, sync};
use crate::words::{any_port, open};

/// The client asks for ten gigabytes and reads some of it: what the backend has made is never more
/// than what was read, what the system keeps for both sides, and one buffer.
#[tokio::test]
async fn a_huge_result_waits_for_its_reader() {
    const ROW_BYTES: u64 = 1_000;
    const SYSTEM_BYTES: u64 = 32 << 20;
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("count 10000000")).await;
    let mut read = 0;
    let mut part = vec![0; 1 << 20];
    for _ in 0..100 {
        raw.0.read_exact(&mut part).await.unwrap();
        read += part.len() as u64;
        let made = seen.rows.load(Ordering::SeqCst) * ROW_BYTES;
        assert!(
            made <= read + SYSTEM_BYTES + FULL_BYTES as u64,
            "{made} of {read}"
        );
    }
    let buffered = seen.buffered_max.load(Ordering::SeqCst);
    assert!(buffered < FULL_BYTES + 2_000, "{buffered}");
    // A client that goes in the middle leaves nothing behind.
    drop(raw);
    seen.sessions(0).await;
}

/// Requests that are sent without reading answers do not pile up their answers.
#[tokio::test]
async fn a_pipeline_is_answered_in_parts() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    let requests = extended("one").repeat(10_000);
    raw.send(&[requests, sync()].concat()).await;
    let answers = raw.until_ready().await;
    let rows = answers.iter().filter(|(kind, _)| *kind == b'D');
    assert_eq!(rows.count(), 10_000);
    let buffered = seen.buffered_max.load(Ordering::SeqCst);
    assert!(buffered < FULL_BYTES + 2_000, "{buffered}");
}

/// How a client goes.
#[derive(PartialEq)]
enum Going {
    /// It closes the connection: its port is kept by the system for a while.
    Closes,
    /// It is gone at once.
    Resets,
}

async fn open_and_drop(connections: usize, going: Going) {
    let (door, seen) = open(any_port()).await;
    let address = door.local_addr();
    for n in 0..connections {
        let mut raw = Raw::open(address).await;
        if going == Going::Resets {
            raw.0.set_zero_linger().unwrap();
        }
        match n % 4 {
            0 => {} // says nothing
            1 => raw.send(b"\0\0\0\x20\0\x03").await,
            2 => raw.send(&first(b"\0\x03\0\0user\0ann\0\0")).await,
            _ => {
                raw.send(&first(b"\0\x03\0\0user\0ann\0\0")).await;
                raw.until_ready().await;
                raw.send(&query("count 3")).await;
            }
        }
    }
    seen.sessions(0).await;
    let mut raw = Raw::connect(address).await;
    raw.send(&query("one")).await;
    assert_eq!(kinds(&raw.until_ready().await), "TDCZ");
}

#[tokio::test]
async fn a_thousand_connections_opened_and_dropped_leave_nothing() {
    open_and_drop(1_000, Going::Closes).await;
}

#[tokio::test]
async fn ten_thousand_connections_opened_and_dropped_leave_nothing() {
    open_and_drop(10_000, Going::Resets).await;
}

#[tokio::test]
async fn too_many_clients_are_told_so() {
    let mut config = any_port();
    config.connections_max = 2;
    let (door, seen) = open(config).await;
    let address = door.local_addr();
    let first_one = Raw::connect(address).await;
    let _second = Raw::connect(address).await;
    let mut third = Raw::open(address).await;
    third.send(&first(b"\0\x03\0\0user\0ann\0\0")).await;
    assert_eq!(third.refused().await, "53300");
    drop(first_one);
    seen.sessions(1).await;
    Raw::connect(address).await;
}

#[tokio::test]
async fn clients_are_told_of_the_end_and_requests_are_finished() {
    let (door, seen) = open(any_port()).await;
    let address = door.local_addr();
    let mut idle = Raw::connect(address).await;
    let mut busy = Raw::connect(address).await;
    busy.send(&query("copy in")).await;
    assert_eq!(busy.receive().await.unwrap().0, b'G');
    let stopped = tokio::spawn(door.shutdown());
    assert_eq!(idle.refused().await, "57P01");
    busy.send(
        &[
            crate::raw::message(b'd', b"a\n"),
            crate::raw::message(b'c', b""),
        ]
        .concat(),
    )
    .await;
    assert_eq!(kinds(&busy.until_ready().await), "CZ");
    let (_, body) = busy.receive().await.unwrap();
    assert_eq!(field(&body, b'C').as_deref(), Some("57P01"));
    stopped.await.unwrap();
    assert_eq!(*seen.sessions.borrow(), 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_cut_at_the_end() {
    let mut config = any_port();
    config.drain_timeout = Duration::ZERO;
    let (door, seen) = open(config).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("sleep")).await;
    seen.asleep().await;
    door.shutdown().await;
    assert_eq!(*seen.sessions.borrow(), 0);
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused_unless_it_is_meant() {
    let mut config = PgConfig::default();
    config.address = ([0, 0, 0, 0], 0).into();
    let refused = Door::bind(config.clone());
    assert!(matches!(refused, Err(DoorError::Exposed { .. })));
    config.insecure = true;
    Door::bind(config).unwrap();
}
