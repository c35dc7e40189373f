//! What a session tells without having been asked.

use crate::raw::{Raw, kinds, query};
use crate::words::{any_port, open};

#[tokio::test]
async fn an_idle_client_hears_notifications() {
    let (door, _seen) = open(any_port()).await;
    let mut listener = Raw::connect(door.local_addr()).await;
    listener.send(&query("listen news")).await;
    assert_eq!(kinds(&listener.until_ready().await), "CZ");
    let mut other = Raw::connect(door.local_addr()).await;
    other
        .send(&query(
            "notify news first; notify others none; notify news second",
        ))
        .await;
    assert_eq!(kinds(&other.until_ready().await), "CCCZ");
    for payload in ["first", "second"] {
        let (kind, body) = listener.receive().await.unwrap();
        assert_eq!(kind, b'A');
        assert_eq!(&body[4..], format!("news\0{payload}\0").as_bytes());
    }
}

/// It comes before the request's end, where a client looks for it.
#[tokio::test]
async fn a_client_hears_its_own_notification_with_its_request() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("listen news; notify news mine")).await;
    assert_eq!(kinds(&raw.until_ready().await), "CCAZ");
}

#[tokio::test]
async fn a_session_may_end_an_idle_client() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("listen news")).await;
    raw.until_ready().await;
    seen.end_listeners();
    assert_eq!(raw.refused().await, "57P05");
    seen.sessions(0).await;
}
