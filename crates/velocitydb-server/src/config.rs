//! What a server is started with, and why it may not start.

use std::net::SocketAddr;
use std::time::Duration;

use crate::reload::ReadConfig;

/// What a server is started with. Everything has a default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where HTTP is served; port 0 lets the system choose one. Default: 127.0.0.1:7480.
    pub http: SocketAddr,
    /// Allows `http` to be an address that other machines can reach. There are no users yet, so
    /// that everybody who reaches it can read and change everything. Default: no.
    pub insecure: bool,
    /// Names besides `localhost` and the bound address that `Host` and `Origin` may have,
    /// without ports. Default: none.
    pub host_names: Vec<String>,
    /// Origins of pages in browsers, such as `https://app.example`, that may use the server
    /// besides its own: CORS. Default: none.
    pub cors_origins: Vec<String>,
    /// Bytes that a request's body may have. Default: 24 MiB, as a document of 16 MiB is larger
    /// when it is written as JSON.
    pub body_bytes_max: usize,
    /// Bytes of documents (as they are kept) that one page of a list may have: a page ends
    /// before the document that would exceed it, but has one document at least. Default: 32 MiB.
    pub page_bytes_max: usize,
    /// Bytes of request bodies and of answers that may be in flight, each counted from 64 KiB on
    /// (smaller ones are bounded by the requests); further ones are answered 503 `busy`. At least
    /// `body_bytes_max`. Default: 256 MiB.
    pub in_flight_bytes_max: usize,
    /// Connections open at once; further ones are answered 503 and closed. At most 64 fewer than
    /// the process may open files. Default: 10,000.
    pub connections_max: usize,
    /// Requests worked on at once, until their answers are sent; further ones are answered 503.
    /// Health and metrics do not count. Default: 1,024.
    pub requests_concurrent_max: usize,
    /// How long a request may take, from its head to its answer. Default: 30 s.
    pub request_timeout: Duration,
    /// How long a query may take; a client may ask for less. What is left of the request's own
    /// time holds besides, but for answers as lines, of which the time counts for which the client
    /// is not waited for. Default: 25 s, so that a query is ended before its request.
    pub query_timeout: Duration,
    /// Bytes of values and sort keys that a query may keep in each of its stages. Default: 256 MiB.
    pub query_bytes_max: usize,
    /// How long a connection may be idle, or may take to send a request's head. Default: 75 s.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of its answer; then the connection is closed.
    /// Default: 30 s.
    pub write_timeout: Duration,
    /// Transactions open at once; further ones are answered 503. Default: 256.
    pub transactions_max: usize,
    /// How long a transaction may be open, used or not; a client may ask for less. The database's
    /// own deadline of snapshots holds besides. Default: 60 s.
    pub transaction_timeout: Duration,
    /// How long a transaction may be open without a request. Default: 30 s.
    pub transaction_idle_timeout: Duration,
    /// Streams of changes open at once; further ones are answered 503. Default: 1,000.
    pub streams_max: usize,
    /// How often a client hears of a stream that has nothing to tell. Default: 15 s.
    pub heartbeat: Duration,
    /// How long requests in progress are waited for on shutdown. Default: 10 s.
    pub drain_timeout: Duration,
    /// Operations that take at least this long are logged, counted and kept for
    /// `GET /v1/admin/slow`; 0: none. Default: 100 ms.
    pub slow_operation: Duration,
    /// Where the configuration is read again. Default: nowhere.
    pub read_again: Option<ReadConfig>,
}

/// The port of HTTP unless another is asked for.
const HTTP_PORT: u16 = 7480;

/// The longest timeout.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            http: SocketAddr::from(([127, 0, 0, 1], HTTP_PORT)),
            insecure: false,
            host_names: Vec::new(),
            cors_origins: Vec::new(),
            body_bytes_max: 24 << 20,
            page_bytes_max: 32 << 20,
            in_flight_bytes_max: 256 << 20,
            connections_max: 10_000,
            requests_concurrent_max: 1_024,
            request_timeout: Duration::from_secs(30),
            query_timeout: Duration::from_secs(25),
            query_bytes_max: 256 << 20,
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            transactions_max: 256,
            transaction_timeout: Duration::from_secs(60),
            transaction_idle_timeout: Duration::from_secs(30),
            streams_max: 1_000,
            heartbeat: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(10),
            slow_operation: Duration::from_millis(100),
            read_again: None,
        }
    }
}

impl ServerConfig {
    /// Whether a server may be started with it.
    ///
    /// # Errors
    /// Names the setting that makes no sense.
    pub fn check(&self) -> Result<(), ServerError> {
        if !self.http.ip().is_loopback() && !self.insecure {
            return Err(ServerError::Exposed { address: self.http });
        }
        for origin in &self.cors_origins {
            if !is_origin(origin) {
                return Err(ServerError::Config(format!(
                    "cors_origins: {origin:?} is no origin, such as https://app.example or \
                     http://localhost:5173 (without a path; * would let every page in the world \
                     read everything)"
                )));
            }
        }
        for (name, value) in [
            ("body_bytes_max", self.body_bytes_max),
            ("page_bytes_max", self.page_bytes_max),
            ("connections_max", self.connections_max),
            ("requests_concurrent_max", self.requests_concurrent_max),
            ("transactions_max", self.transactions_max),
            ("streams_max", self.streams_max),
            ("query_bytes_max", self.query_bytes_max),
        ] {
            if value == 0 {
                return Err(ServerError::Config(format!("{name} must be at least 1")));
            }
        }
        if self.in_flight_bytes_max < self.body_bytes_max {
            return Err(ServerError::Config(format!(
                "in_flight_bytes_max must be at least body_bytes_max, {} bytes",
                self.body_bytes_max
            )));
        }
        let permits_max = tokio::sync::Semaphore::MAX_PERMITS;
        // Streams are waited for all at once, by a number of 32 bits.
        let permits_max = permits_max.min(u32::MAX as usize);
        let largest = self.connections_max.max(self.requests_concurrent_max);
        if largest.max(self.streams_max) > permits_max {
            let what = "connections_max, requests_concurrent_max and streams_max";
            return Err(ServerError::Config(format!(
                "{what} must be at most {permits_max}"
            )));
        }
        for (name, value) in [
            ("request_timeout", self.request_timeout),
            ("query_timeout", self.query_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
            ("transaction_timeout", self.transaction_timeout),
            ("transaction_idle_timeout", self.transaction_idle_timeout),
            ("heartbeat", self.heartbeat),
            ("drain_timeout", self.drain_timeout),
        ] {
            if !(Duration::from_nanos(1)..=TIMEOUT_MAX).contains(&value) {
                return Err(ServerError::Config(format!("{name} must be 1 ns to 1 day")));
            }
        }
        Ok(())
    }
}

/// Whether browsers would send this in `Origin`: a scheme, a name in small letters, and a port
/// where it is not the scheme's own.
fn is_origin(text: &str) -> bool {
    let (scheme, rest, own_port) = match text.split_once("://") {
        Some((scheme @ "http", rest)) => (scheme, rest, ":80"),
        Some((scheme @ "https", rest)) => (scheme, rest, ":443"),
        _ => return false,
    };
    let uri = format!("{scheme}://{rest}/").parse::<hyper::Uri>();
    let whole = uri.is_ok_and(|uri| {
        uri.path() == "/" && uri.authority().is_some_and(|found| found.as_str() == rest)
    });
    let small = !rest.bytes().any(|byte| byte.is_ascii_uppercase());
    whole && small && !rest.ends_with(own_port) && !rest.contains(['@', '*'])
}

/// Why a server did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address can be reached by other machines, and nobody said that this is meant.
    #[error(
        "refusing to serve on {address}: other machines can reach it and there is no \
         authentication; use a loopback address (127.0.0.1 or ::1), or say --insecure if whoever \
         reaches it may read and change everything"
    )]
    Exposed {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// A setting makes no sense.
    #[error("configuration: {0}")]
    Config(String),
    /// The database could not be closed: what was acknowledged at less than `full` since the
    /// last sync may be lost if the machine loses power.
    #[error("closing the database: {0}")]
    Close(velocitydb::Error),
    /// A thread of the server panicked.
    #[error("a task of the server ended in a panic; its message is in the log")]
    Panicked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_only_when_it_is_said() {
        let at = |http: &str, insecure| {
            let http = http.parse().unwrap();
            ServerConfig {
                http,
                insecure,
                ..ServerConfig::default()
            }
            .check()
        };
        for loopback in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
            assert!(at(loopback, false).is_ok(), "{loopback}");
        }
        for exposed in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[2001:db8::1]:1"] {
            let error = at(exposed, false).unwrap_err();
            assert!(matches!(error, ServerError::Exposed { .. }), "{exposed}");
            assert!(error.to_string().contains("--insecure"), "{error}");
            assert!(at(exposed, true).is_ok(), "{exposed}");
        }
    }

    #[test]
    fn origins_as_browsers_send_them() {
        for good in [
            "https://app.example",
            "http://localhost:5173",
            "http://[::1]:8080",
            "https://app.example:80",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example/x",
            "https://App.example",
            "https://app.example:443",
            "https://*.example",
            "https://a@app.example",
            "ftp://app.example",
            "https://app.example?",
            "https://app.example#x",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
        let config = ServerConfig {
            cors_origins: vec!["*".into()],
            ..ServerConfig::default()
        };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("cors_origins"), "{error}");
    }

    #[test]
    fn limits_of_nothing_are_refused() {
        let default = ServerConfig::default;
        for config in [
            ServerConfig {
                body_bytes_max: 0,
                ..default()
            },
            ServerConfig {
                page_bytes_max: 0,
                ..default()
            },
            ServerConfig {
                in_flight_bytes_max: 1 << 20,
                ..default()
            },
            ServerConfig {
                connections_max: 0,
                ..default()
            },
            ServerConfig {
                requests_concurrent_max: 0,
                ..default()
            },
            ServerConfig {
                requests_concurrent_max: usize::MAX,
                ..default()
            },
            ServerConfig {
                request_timeout: Duration::ZERO,
                ..default()
            },
        ] {
            assert!(
                matches!(config.check(), Err(ServerError::Config(_))),
                "{config:?}"
            );
        }
        assert!(default().check().is_ok());
    }
}
