//! Messages that are none: refused with 08P01, the connection closed, others unharmed.

use crate::raw::{Raw, extended, field, first, kinds, message, query, sync};
use crate::words::{any_port, open};

#[tokio::test]
async fn what_is_no_message_of_a_session_is_refused() {
    let (door, seen) = open(any_port()).await;
    let cases: &[&[u8]] = &[
        b"?\0\0\0\x04",
        b"GET / HTTP/1.1\r\n\r\n",
        b"Q\0\0\0\x03",
        b"Q\xff\xff\xff\xff",
        b"Q\x3f\xff\xff\xff",
        b"S\0\x20\0\0",
        &message(b'Q', b"no end"),
        &message(b'P', b""),
        &message(b'P', b"\0one\0\0\x05"),
        &message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),
        &message(b'B', b"\0\0\xff\xff"),
        &message(b'D', b"Xname\0"),
        &message(b'E', b"\0\0\0"),
        &message(b'S', b"x"),
        &message(b'p', b"secret\0"),
    ];
    let mut other = Raw::connect(door.local_addr()).await;
    for case in cases {
        let mut raw = Raw::connect(door.local_addr()).await;
        raw.send(case).await;
        assert_eq!(raw.refused().await, "08P01", "{case:?}");
    }
    seen.sessions(1).await;
    other.send(&query("one")).await;
    assert_eq!(kinds(&other.until_ready().await), "TDCZ");
}

#[tokio::test]
async fn what_is_no_first_message_is_refused() {
    let (door, _seen) = open(any_port()).await;
    let cases: &[(&[u8], &str)] = &[
        (b"GET / HTTP/1.1\r\n\r\n", "08P01"),
        (b"\0\0\0\0\0\0\0\0", "08P01"),
        (b"\0\0\0\x04", "08P01"),
        (b"\xff\xff\xff\xff\0\x03\0\0", "08P01"),
        (&first(b"\0\x03\0\0user\0ann"), "08P01"),
        (&first(b"\0\x03\0\0user\0\xff\0\0"), "22021"),
        (&first(b"\0\x02\0\0user\0ann\0\0"), "0A000"),
        (&first(b"\0\x03\0\0\0"), "28000"),
    ];
    for (case, code) in cases {
        let mut raw = Raw::open(door.local_addr()).await;
        raw.send(case).await;
        assert_eq!(raw.refused().await, *code, "{case:?}");
    }
}

/// The text of a statement is taken as it is or not at all: replacing what is no UTF-8 would change
/// what is stored.
#[tokio::test]
async fn text_that_is_no_utf8_fails_its_request_alone() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&message(b'Q', b"echo '\xff\xfe'\0")).await;
    let answers = raw.until_ready().await;
    assert_eq!(field(&answers[0].1, b'C').as_deref(), Some("22021"));
    let parse = message(b'P', b"\0\xc3\0\0\0");
    raw.send(&[parse, extended("one"), sync(), extended("one"), sync()].concat())
        .await;
    assert_eq!(kinds(&raw.until_ready().await), "EZ");
    assert_eq!(kinds(&raw.until_ready().await), "12DCZ");
}

#[tokio::test]
async fn a_statement_of_ten_megabytes_is_taken_and_a_longer_one_than_allowed_is_not() {
    let mut config = any_port();
    config.message_bytes_max = 11 << 20;
    let (door, _seen) = open(config).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    let spaces = " ".repeat(10 << 20);
    raw.send(&query(&format!("one{spaces}; one"))).await;
    assert_eq!(kinds(&raw.until_ready().await), "TDCTDCZ");
    // It is refused when its length is read.
    raw.send(b"Q\0\xc0\0\0").await;
    assert_eq!(raw.refused().await, "08P01");
}

#[tokio::test]
async fn a_function_call_is_refused_by_name() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&message(b'F', b"\0\0\0\x01\0\0\0\0\0\0")).await;
    let answers = raw.until_ready().await;
    assert_eq!(field(&answers[0].1, b'C').as_deref(), Some("0A000"));
}

/// Whatever a client sends, cut anywhere and with any byte changed, the server survives it.
#[tokio::test]
async fn changed_bytes_harm_nobody() {
    let (door, _seen) = open(any_port()).await;
    let request = [
        message(b'P', b"s\0echo $1\0\0\x01\0\0\0\x19"),
        message(b'B', b"\0s\0\0\x01\0\x01\0\x01\0\0\0\x02ab\0\x01\0\x01"),
        message(b'D', b"P\0"),
        message(b'E', b"\0\0\0\0\x07"),
        sync(),
    ]
    .concat();
    for (at, change) in (0..request.len()).zip([0x00, 0x01, 0x7f, 0x80, 0xff].into_iter().cycle()) {
        let mut raw = Raw::connect(door.local_addr()).await;
        let mut changed = request.clone();
        changed[at] ^= change;
        // The server may have closed the connection meanwhile.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.0, &changed).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut raw.0).await;
        while raw.receive().await.is_some() {}
    }
    let mut raw = Raw::connect(door.local_addr()).await;
    raw.send(&query("one")).await;
    assert_eq!(kinds(&raw.until_ready().await), "TDCZ");
}
