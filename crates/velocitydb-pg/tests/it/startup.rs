//! How sessions begin: what is negotiated, proved and reported.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use velocitydb_pg::{Authenticator, PgError, Proof, Startup, TlsAcceptor, Verifier, rustls};

use crate::raw::{Raw, first, kinds, query};
use crate::words::{any_port, open};

const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
const GSSAPI_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";
const HELLO: &[u8] = b"\0\x03\0\0user\0ann\0database\0d\0options\0-c work_mem=1MB\0\0";

#[tokio::test]
async fn a_session_begins_with_its_settings_and_its_key() {
    let (door, seen) = open(any_port()).await;
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(&first(HELLO)).await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "RSSSSSSKZ");
    assert_eq!(answers[0].1, [0; 4]);
    let reported: Vec<&[u8]> = answers[1..7]
        .iter()
        .map(|(_, body)| body.as_slice())
        .collect();
    assert!(reported.contains(&&b"client_encoding\0UTF8\0"[..]));
    assert!(reported.contains(&&b"server_version\x0015.0 (words)\0"[..]));
    assert_eq!(answers[8].1, b"I");
    let startup = seen.startups.lock()[0].clone();
    assert_eq!(
        (startup.user.as_str(), startup.database.as_str()),
        ("ann", "d")
    );
    assert_eq!(
        startup.settings,
        [("work_mem".to_owned(), "1MB".to_owned())]
    );
    assert_eq!(1_i32.to_be_bytes(), answers[7].1[..4]);
    assert!(!startup.secure);
}

#[tokio::test]
async fn encryption_that_is_not_there_is_declined() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::open(door.local_addr()).await;
    for request in [GSSAPI_REQUEST, SSL_REQUEST] {
        raw.send(request).await;
        assert_eq!(raw.0.read_u8().await.unwrap(), b'N');
    }
    raw.send(&first(HELLO)).await;
    raw.until_ready().await;
}

#[tokio::test]
async fn what_stands_behind_a_request_for_encryption_is_refused() {
    let (door, _seen) = open(any_port()).await;
    for request in [SSL_REQUEST, GSSAPI_REQUEST] {
        let mut raw = Raw::open(door.local_addr()).await;
        raw.send(&[request, &first(HELLO)].concat()).await;
        assert_eq!(raw.refused().await, "08P01");
    }
}

#[tokio::test]
async fn a_newer_protocol_is_negotiated_down() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(&first(b"\0\x03\0\x02user\0ann\0_pq_.sparkle\x001\0\0"))
        .await;
    let answers = raw.until_ready().await;
    assert_eq!(
        answers[0],
        (b'v', b"\0\x03\0\0\0\0\0\x01_pq_.sparkle\0".to_vec())
    );
    assert_eq!(answers[1].0, b'R');
}

#[tokio::test]
async fn a_database_that_is_not_there_is_refused_by_the_backend() {
    let (door, _seen) = open(any_port()).await;
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(&first(b"\0\x03\0\0user\0ann\0database\0nowhere\0\0"))
        .await;
    assert_eq!(raw.refused().await, "3D000");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() {
    let mut config = any_port();
    config.startup_timeout = Duration::from_millis(50);
    let (door, _seen) = open(config).await;
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(b"\0\0\0").await;
    assert_eq!(raw.receive().await, None);
}

/// Ann has a password, others do not exist, `any` is asked for one that does not matter.
struct Users;

impl Authenticator for Users {
    fn proof(&self, startup: &Startup) -> Proof {
        match startup.user.as_str() {
            "ann" => Proof::Scram(Verifier::of("correct horse", b"0123456789abcdef")),
            "any" => Proof::AnyPassword,
            "root" => Proof::Refused(PgError::fatal("28000", "root may not log in")),
            other => Proof::Scram(Verifier::fake(b"the server's secret", other)),
        }
    }
}

async fn connect(port: u16, user: &str, password: &str) -> Result<(), SqlState> {
    let config = format!("host=127.0.0.1 port={port} user={user} password='{password}'");
    match tokio_postgres::connect(&config, NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            client.simple_query("one").await.unwrap();
            Ok(())
        }
        Err(error) => Err(error.code().expect("an error of the server").clone()),
    }
}

#[tokio::test]
async fn a_password_is_proved_by_scram() {
    let mut config = any_port();
    config.authenticator = Arc::new(Users);
    let (door, _seen) = open(config).await;
    let port = door.local_addr().port();
    assert_eq!(connect(port, "ann", "correct horse").await, Ok(()));
    assert_eq!(connect(port, "any", "whatever").await, Ok(()));
    let wrong = Err(SqlState::INVALID_PASSWORD);
    assert_eq!(connect(port, "ann", "wrong").await, wrong);
    assert_eq!(connect(port, "nobody", "correct horse").await, wrong);
    let refused = Err(SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert_eq!(connect(port, "root", "x").await, refused);
}

/// The salt that a user who does not exist seems to have is the same each time.
#[tokio::test]
async fn users_who_do_not_exist_look_like_those_who_do() {
    let mut config = any_port();
    config.authenticator = Arc::new(Users);
    let (door, _seen) = open(config).await;
    let mut salts = Vec::new();
    for user in ["ann", "ann", "nobody", "nobody"] {
        let mut raw = Raw::open(door.local_addr()).await;
        raw.send(&first(format!("\0\x03\0\0user\0{user}\0\0").as_bytes()))
            .await;
        assert_eq!(
            raw.receive().await.unwrap(),
            (b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0".to_vec())
        );
        let hello = b"SCRAM-SHA-256\0\0\0\0\x09n,,n=,r=x";
        raw.send(&crate::raw::message(b'p', hello)).await;
        let (_, answer) = raw.receive().await.unwrap();
        let answer = String::from_utf8(answer[4..].to_vec()).unwrap();
        salts.push(answer.split(',').nth(1).unwrap().to_owned());
    }
    assert_eq!(salts[0], salts[1]);
    assert_eq!(salts[2], salts[3]);
    assert_eq!(salts[0].len(), salts[2].len());
}

#[tokio::test]
async fn a_proof_that_is_none_is_refused() {
    let mut config = any_port();
    config.authenticator = Arc::new(Users);
    let (door, _seen) = open(config).await;
    let cases: &[&[u8]] = &[
        b"",
        b"SCRAM-SHA-256\0",
        b"SCRAM-SHA-256\0\xff\xff\xff\xff",
        b"SCRAM-SHA-256\0\0\0\0\x01\xff",
        b"MD5\0\0\0\0\0",
    ];
    for case in cases {
        let mut raw = Raw::open(door.local_addr()).await;
        raw.send(&first(HELLO)).await;
        raw.receive().await.unwrap();
        raw.send(&crate::raw::message(b'p', case)).await;
        assert_eq!(raw.refused().await, "08P01", "{case:?}");
    }
    // Nothing else is heard before the proof.
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(&first(HELLO)).await;
    raw.receive().await.unwrap();
    raw.send(&query("one")).await;
    assert_eq!(raw.refused().await, "08P01");
}

#[tokio::test]
async fn a_session_over_tls() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = signed.cert.der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let mut config = any_port();
    config.tls = Some(TlsAcceptor::from(Arc::new(server)));
    let (door, seen) = open(config).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(SSL_REQUEST).await;
    assert_eq!(raw.0.read_u8().await.unwrap(), b'S');
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut tls = connector.connect(name, raw.0).await.unwrap();
    tls.write_all(&first(HELLO)).await.unwrap();
    let mut answer = [0; 9];
    tls.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"R\0\0\0\x08\0\0\0\0");
    seen.sessions(1).await;
    assert!(seen.startups.lock()[0].secure);

    // A client that begins unencrypted behind its request is not heard as if it were encrypted.
    let mut raw = Raw::open(door.local_addr()).await;
    raw.send(&[SSL_REQUEST, &first(HELLO)].concat()).await;
    assert_eq!(raw.refused().await, "08P01");
}
