//! How a connection begins: encryption, who the client is, and its proof.
//!
//! A client may first ask for encryption, once by TLS and once by GSSAPI (which is always
//! declined); nothing may have been sent behind such a request, as it would count as encrypted
//! although it was not. Then it says who it is, or whose statement is to be cancelled.
//!
//! Tests: below for the parameters; tests/it/startup.rs.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use tokio_rustls::TlsAcceptor;

use crate::auth::{Authenticator, Exchange, Proof, SCRAM};
use crate::backend::Startup;
use crate::error::{PgError, Severity};
use crate::link::Link;
use crate::messages::{Reader, startup_head};
use crate::stream::Stream;

/// 3.0, the one version that there is.
const VERSION: i32 = 3 << 16;

const CANCEL: i32 = 80_877_102;
const TLS: i32 = 80_877_103;
const GSSAPI: i32 = 80_877_104;

/// What a connection is for.
pub(crate) enum Purpose {
    Session(Hello),
    Cancel { process_id: i32, secret: i32 },
}

/// What a client says first.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Hello {
    user: String,
    database: String,
    settings: Vec<(String, String)>,
    secure: bool,
    /// The version of the protocol or options of it that we do not have were asked for.
    newer: bool,
    unknown: Vec<String>,
}

impl Hello {
    /// What the backend hears of it.
    pub(crate) fn startup(&self, address: SocketAddr) -> Startup {
        Startup {
            user: self.user.clone(),
            database: self.database.clone(),
            settings: self.settings.clone(),
            address,
            secure: self.secure,
        }
    }
}

/// Hears what the connection is for; the link comes back encrypted if the client wished it. An
/// error has been told to nobody yet; without a link, nobody can be told.
pub(crate) async fn purpose(
    mut link: Link,
    tls: Option<&TlsAcceptor>,
) -> Result<(Link, Purpose), (Option<Link>, PgError)> {
    let (mut secure, mut tls_asked, mut gssapi_asked) = (false, false, false);
    loop {
        let body = match first_message(&mut link).await {
            Ok(body) => body,
            Err(error) => return Err((Some(link), error)),
        };
        let mut reader = Reader(&body);
        let code = match reader.i32() {
            Ok(code) => code,
            Err(error) => return Err((Some(link), error)),
        };
        match code {
            CANCEL => {
                let read = (reader.i32(), reader.i32());
                return match (read, reader.0) {
                    ((Ok(process_id), Ok(secret)), []) => {
                        Ok((link, Purpose::Cancel { process_id, secret }))
                    }
                    _ => Err((Some(link), PgError::protocol("invalid cancel request"))),
                };
            }
            TLS if !tls_asked => {
                tls_asked = true;
                link.out.byte(if tls.is_some() { b'S' } else { b'N' });
                link = answered(link, "SSL").await?;
                if let Some(acceptor) = tls {
                    link = encrypt(link, acceptor)
                        .await
                        .map_err(|error| (None, error))?;
                    secure = true;
                }
            }
            GSSAPI if !gssapi_asked && !secure => {
                gssapi_asked = true;
                link.out.byte(b'N');
                link = answered(link, "GSSAPI encryption").await?;
            }
            version => {
                return match hello(version, &mut reader) {
                    Ok(mut hello) => {
                        hello.secure = secure;
                        Ok((link, Purpose::Session(hello)))
                    }
                    Err(error) => Err((Some(link), error.with_severity(Severity::Fatal))),
                };
            }
        }
    }
}

async fn first_message(link: &mut Link) -> Result<BytesMut, PgError> {
    loop {
        if let Some(body) = startup_head(&link.input)?
            && link.input.len() - 4 >= body
        {
            link.input.advance(4);
            return Ok(link.input.split_to(body));
        }
        link.read().await?;
    }
}

/// Sends the answer to a request for encryption, behind which nothing may stand.
async fn answered(mut link: Link, what: &str) -> Result<Link, (Option<Link>, PgError)> {
    if !link.input.is_empty() {
        link.out = crate::Output::new();
        let error = PgError::protocol(format!("received unencrypted data after {what} request"))
            .detail("This could be either a client bug or evidence of an attack in between.");
        return Err((Some(link), error));
    }
    match link.flush().await {
        Ok(()) => Ok(link),
        Err(error) => Err((Some(link), error)),
    }
}

async fn encrypt(link: Link, acceptor: &TlsAcceptor) -> Result<Link, PgError> {
    let encrypted = link.try_map_stream(|stream| async {
        match stream {
            Stream::Plain(stream) => {
                let stream = acceptor.accept(stream).await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
            encrypted @ Stream::Tls(_) => Ok(encrypted),
        }
    });
    encrypted.await.map_err(|error| {
        tracing::debug!(%error, "a connection was not encrypted");
        PgError::connection_lost()
    })
}

fn hello(version: i32, reader: &mut Reader<'_>) -> Result<Hello, PgError> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        let message =
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
        return Err(PgError::fatal("0A000", message));
    }
    let mut hello = Hello {
        newer: minor > 0,
        ..Hello::default()
    };
    loop {
        let name = reader.text()?;
        if name.is_empty() {
            break;
        }
        let value = reader.text()?;
        match name {
            "user" => value.clone_into(&mut hello.user),
            "database" => value.clone_into(&mut hello.database),
            "options" => options(value, &mut hello.settings)?,
            "client_encoding" => check_encoding(value)?,
            "replication" if !matches!(value, "0" | "false" | "off" | "no") => {
                let message = "replication connections are not supported";
                return Err(PgError::fatal("0A000", message));
            }
            "replication" => {}
            _ if name.starts_with("_pq_.") => hello.unknown.push(name.to_owned()),
            _ => hello.settings.push((name.to_owned(), value.to_owned())),
        }
    }
    if hello.user.is_empty() {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(PgError::fatal("28000", message));
    }
    Ok(hello)
}

/// Settings as a command line has them: `-c name=value` or `--name=value`, a backslash before what
/// is to be taken as it is.
fn options(line: &str, settings: &mut Vec<(String, String)>) -> Result<(), PgError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            character if character.is_ascii_whitespace() => words.extend(word.take()),
            character => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            Some(setting) => Some(setting.to_owned()),
            None => None,
        };
        let setting = setting
            .as_deref()
            .and_then(|setting| setting.split_once('='));
        let Some((name, value)) = setting else {
            let message = format!("invalid command-line argument for server process: {word}");
            let error = PgError::fatal("42601", message);
            return Err(error.hint("Settings are given as -c name=value."));
        };
        let setting = (name.replace('-', "_"), value.to_owned());
        if setting.0.eq_ignore_ascii_case("client_encoding") {
            check_encoding(&setting.1)?;
        } else {
            settings.push(setting);
        }
    }
    Ok(())
}

/// Refuses what is not UTF-8. Clients without an encoding of their own say `SQL_ASCII`.
fn check_encoding(name: &str) -> Result<(), PgError> {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    match plain.as_str() {
        "UTF8" | "UNICODE" | "SQLASCII" => Ok(()),
        _ => {
            let message = format!("client_encoding {name:?} is not supported: it is UTF8");
            Err(PgError::fatal("0A000", message))
        }
    }
}

/// Says what of the protocol we do not have, and lets the client prove who it is.
pub(crate) async fn authenticate(
    link: &mut Link,
    hello: &Hello,
    startup: &Startup,
    authenticator: &dyn Authenticator,
) -> Result<(), PgError> {
    if hello.newer || !hello.unknown.is_empty() {
        link.out.negotiate_version(VERSION, &hello.unknown);
    }
    match authenticator.proof(startup) {
        Proof::Nothing => {}
        Proof::AnyPassword => {
            link.out.authentication(3, &[]);
            password(link).await?;
        }
        Proof::Scram(verifier) => {
            let mechanisms = format!("{SCRAM}\0\0");
            link.out.authentication(10, mechanisms.as_bytes());
            let message = password(link).await?;
            let (answer, exchange) = Exchange::begin(verifier, &message)?;
            link.out.authentication(11, answer.as_bytes());
            let message = password(link).await?;
            let answer = exchange.finish(&startup.user, &message)?;
            link.out.authentication(12, answer.as_bytes());
        }
        Proof::Refused(error) => return Err(error),
    }
    link.out.authentication(0, &[]);
    Ok(())
}

/// Asks, and waits for the answer.
async fn password(link: &mut Link) -> Result<BytesMut, PgError> {
    link.flush().await?;
    loop {
        match link.message()? {
            Some((b'p', body)) => return Ok(body),
            Some((b'X', _)) => return Err(PgError::connection_lost()),
            Some(_) => return Err(PgError::protocol("expected a password response")),
            None => link.read().await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hello, hello};
    use crate::error::PgError;
    use crate::messages::Reader;

    fn read(version: i32, parameters: &str) -> Result<Hello, PgError> {
        hello(version, &mut Reader(parameters.as_bytes()))
    }

    #[test]
    fn settings_come_from_parameters_and_from_options() {
        let parameters = "user\0ann\0client_encoding\0'utf-8'\0application_name\0psql\0options\0\
            -c statement_timeout=5s --search-path=a\\ b -cwork_mem=1MB\0\0";
        let hello = read(196_608, parameters).unwrap();
        assert_eq!((hello.user.as_str(), hello.database.as_str()), ("ann", ""));
        let settings: Vec<String> = hello
            .settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            settings,
            [
                "application_name=psql",
                "statement_timeout=5s",
                "search_path=a b",
                "work_mem=1MB"
            ]
        );
        assert!(!hello.newer);
    }

    #[test]
    fn newer_versions_and_their_options_are_noted() {
        let hello = read(196_610, "user\0ann\0_pq_.sparkle\x001\0\0").unwrap();
        assert!(hello.newer);
        assert_eq!(hello.unknown, ["_pq_.sparkle"]);
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        for (version, parameters, code) in [
            (131_072, "user\0ann\0\0", "0A000"),
            (196_608, "database\0d\0\0", "28000"),
            (196_608, "user\0ann\0client_encoding\0LATIN1\0\0", "0A000"),
            (196_608, "user\0ann\0replication\0database\0\0", "0A000"),
            (196_608, "user\0ann\0options\0-d 5\0\0", "42601"),
            (196_608, "user\0ann", "08P01"),
        ] {
            assert_eq!(
                read(version, parameters).unwrap_err().code,
                code,
                "{parameters}"
            );
        }
    }
}
