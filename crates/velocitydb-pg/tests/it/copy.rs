//! COPY in both directions.

use std::pin::pin;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};

use crate::flow::client;
use crate::raw::{Raw, extended, field, kinds, message, query, sync};
use crate::words::{any_port, open};

#[tokio::test]
async fn data_arrive_as_they_were_sent() {
    let (door, seen) = open(any_port()).await;
    let client = client(door.local_addr().port()).await;
    let sink = client.copy_in("copy in").await.unwrap();
    let mut sink = pin!(sink);
    let mut sent = Vec::new();
    for n in 0..10_000 {
        let row = format!("row {n}\n");
        sent.extend_from_slice(row.as_bytes());
        sink.send(Bytes::from(row)).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 10_000);
    assert_eq!(*seen.copied.lock(), sent);
    client.query("one", &[]).await.unwrap();
}

/// One message of 20 MiB: it is handed on in parts, not gathered, although other messages of that
/// length are refused.
#[tokio::test]
async fn a_message_of_any_length_is_handed_on_in_parts() {
    let mut config = any_port();
    config.message_bytes_max = 1 << 20;
    let (door, seen) = open(config).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("copy in")).await;
    assert_eq!(raw.receive().await.unwrap().0, b'G');
    raw.send(&message(b'd', &vec![b'x'; 20 << 20])).await;
    raw.send(&message(b'c', b"")).await;
    assert_eq!(kinds(&raw.until_ready().await), "CZ");
    assert_eq!(seen.copied.lock().len(), 20 << 20);
    assert!(seen.chunk_max.load(Ordering::SeqCst) <= 256 << 10);
}

#[tokio::test]
async fn a_client_may_give_up() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("copy in")).await;
    raw.send(&message(b'd', b"row\n")).await;
    raw.send(&message(b'f', b"no more\0")).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "GEZ");
    assert_eq!(field(&answers[1].1, b'C').as_deref(), Some("57014"));
    let message = field(&answers[1].1, b'M').unwrap();
    assert_eq!(message, "COPY from stdin failed: no more");
}

/// The statement fails while its client still sends, in the middle of a message.
#[tokio::test]
async fn data_behind_an_error_are_passed_over() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("copy in")).await;
    assert_eq!(raw.receive().await.unwrap().0, b'G');
    let bad = message(b'd', &[&b"bad"[..], &vec![b'S'; 1 << 20]].concat());
    raw.send(
        &[
            bad,
            message(b'd', b"more\n"),
            message(b'c', b""),
            query("one"),
        ]
        .concat(),
    )
    .await;
    assert_eq!(kinds(&raw.until_ready().await), "EZ");
    assert_eq!(kinds(&raw.until_ready().await), "TDCZ");
}

/// As `tokio-postgres` does: a Sync behind the request, and another behind the data.
#[tokio::test]
async fn a_sync_before_the_data_does_not_end_the_copy() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    let data = [message(b'd', b"a\nb\n"), message(b'c', b""), sync()];
    raw.send(&[extended("copy in"), sync(), data.concat()].concat())
        .await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "12GCZ");
    assert_eq!(answers[3].1, b"COPY 2\0");
}

#[tokio::test]
async fn a_request_instead_of_data_ends_the_connection() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&[query("copy in"), query("one")].concat()).await;
    assert_eq!(raw.refused().await, "08P01");
    seen.sessions(0).await;
}

#[tokio::test]
async fn data_are_copied_out() {
    let (door, _seen) = open(any_port()).await;
    let client = client(door.local_addr().port()).await;
    let stream = client.copy_out("copy out 20000").await.unwrap();
    let mut stream = pin!(stream);
    let mut rows = 0;
    while let Some(row) = stream.next().await {
        assert_eq!(row.unwrap(), format!("{rows}\n"));
        rows += 1;
    }
    assert_eq!(rows, 20_000);
}
