//! The door's life: bind, accept, end.
//!
//! Shutdown goes in this order: the listener is closed; what was asked is finished, for
//! [`PgConfig::drain_timeout`] at most; each client is told (57P01), and the connections are closed.
//! An open transaction of a client that is waited for is rolled back at once.
//!
//! A connection takes one of [`PgConfig::connections_max`] places when it has said that it wants a
//! session, so that statements can be cancelled and refusals explained while all are taken; beyond
//! [`SPARE`] of those, connections are closed unheard. Tests: tests/it/bounds.rs,
//! tests/it/startup.rs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};

use crate::auth::{Authenticator, Trust};
use crate::backend::{Backend, Session};
use crate::connection::{Connection, farewell};
use crate::error::PgError;
use crate::link::Link;
use crate::sessions::{Place, Sessions};
use crate::startup::{Hello, Purpose, authenticate, purpose};
use crate::stream::Stream;

/// What a door is opened with. Everything has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct PgConfig {
    /// Where clients connect; port 0 lets the system choose one. Default: 127.0.0.1:7432.
    pub address: SocketAddr,
    /// Allows `address` to be one that other machines can reach. Default: no.
    pub insecure: bool,
    /// Sessions open at once; further clients are refused with 53300. Default: 10,000.
    pub connections_max: usize,
    /// Bytes that a message may have, the data of copies aside. Default: 64 MiB.
    pub message_bytes_max: usize,
    /// How long a client may take to say and to prove who it is. Default: 60 s.
    pub startup_timeout: Duration,
    /// How long requests in progress are waited for on shutdown. Default: 10 s.
    pub drain_timeout: Duration,
    /// What encrypts for clients who wish it. Default: nothing.
    pub tls: Option<TlsAcceptor>,
    /// Who decides what clients have to prove. Default: [`Trust`].
    pub authenticator: Arc<dyn Authenticator>,
}

impl Default for PgConfig {
    fn default() -> PgConfig {
        PgConfig {
            address: SocketAddr::from(([127, 0, 0, 1], 7432)),
            insecure: false,
            connections_max: 10_000,
            message_bytes_max: 64 << 20,
            startup_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            tls: None,
            authenticator: Arc::new(Trust),
        }
    }
}

impl std::fmt::Debug for PgConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgConfig")
            .field("address", &self.address)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// Why the door was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// Other machines reach the address, and nobody has to prove anything.
    #[error(
        "{address} can be reached by other machines, and there are no users yet: choose a \
         loopback address, or say that this is meant (insecure)"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// An address that nobody else has. Nothing is accepted yet.
#[derive(Debug)]
pub struct Bound {
    config: PgConfig,
    socket: TcpSocket,
}

/// An open door. Dropped without [`Door::shutdown`], it stops accepting and ends its sessions.
#[derive(Debug)]
pub struct Door {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// Connections that the system keeps until they are accepted.
const CONNECTIONS_WAITING: u32 = 1_024;

/// Connections beyond the sessions: those that begin, cancel, or are told that there are too many.
const SPARE: usize = 64;

/// How long to wait after the system could not give a connection (it is out of files, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The next connection of a listener. What the system could not give is told in the log, and waited
/// for; what ended before it was accepted is its client's matter. Dropped early, it has lost nothing.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => match error.kind() {
                ConnectionAborted | ConnectionRefused | ConnectionReset => {}
                _ => {
                    error!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

impl Door {
    /// Checks the configuration and takes the address.
    ///
    /// # Errors
    /// An address that other machines reach, without [`PgConfig::insecure`]; one that cannot be had.
    pub fn bind(config: PgConfig) -> Result<Bound, DoorError> {
        let address = config.address;
        if !address.ip().is_loopback() && !config.insecure {
            return Err(DoorError::Exposed { address });
        }
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let bound = socket.and_then(|socket| {
            // The port of a server that has just ended can be taken at once. (Elsewhere the
            // option would take the port of one that runs.)
            #[cfg(unix)]
            socket.set_reuseaddr(true)?;
            // Connections inherit it: a client that vanished holds its locks for hours at most.
            socket.set_keepalive(true)?;
            socket.bind(address)?;
            Ok(socket)
        });
        let socket = bound.map_err(|source| DoorError::Bind { address, source })?;
        Ok(Bound { config, socket })
    }

    /// The address that is listened on, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting, finishes what was asked, and closes all connections.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        if self.accepting.await.is_err() {
            error!("the PostgreSQL door has failed");
        }
    }
}

impl Bound {
    /// Listens, and serves clients from now on. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be listened on after all.
    pub fn start<B: Backend>(self, backend: B) -> Result<Door, DoorError> {
        let Bound { config, socket } = self;
        let address = config.address;
        let failed = |source| DoorError::Bind { address, source };
        let listener = socket.listen(CONNECTIONS_WAITING).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        info!(%local_addr, tls = config.tls.is_some(), "listening for PostgreSQL's clients");
        let accepting = Accepting {
            listener,
            connections: JoinSet::new(),
            shared: Arc::new(Shared {
                backend,
                sessions: Sessions::new(config.connections_max),
                config,
                stopped: stopped.clone(),
            }),
        };
        let accepting = tokio::spawn(accepting.run(stopped));
        Ok(Door {
            local_addr,
            stop,
            accepting,
        })
    }
}

/// What all connections have in common.
struct Shared<B> {
    backend: B,
    config: PgConfig,
    sessions: Arc<Sessions>,
    stopped: watch::Receiver<bool>,
}

/// The listener and its connections.
struct Accepting<B> {
    listener: TcpListener,
    connections: JoinSet<()>,
    shared: Arc<Shared<B>>,
}

impl<B: Backend> Accepting<B> {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                (stream, address) = accept(&self.listener) => self.accept(stream, address),
                Some(ended) = self.connections.join_next() => {
                    if let Err(error) = ended {
                        error!(%error, "a connection ended by a defect of the server");
                    }
                }
                // An error says that the door was dropped.
                changed = stopped.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
            }
        }
        self.drain().await;
    }

    fn accept(&mut self, stream: TcpStream, address: SocketAddr) {
        let connections_max = self.shared.config.connections_max.saturating_add(SPARE);
        if self.connections.len() >= connections_max {
            warn!(connections_max, "a connection was closed unheard");
            return;
        }
        // Small answers should not wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection ended before it was served");
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.connections.spawn(serve(shared, stream, address));
    }

    async fn drain(self) {
        let Accepting {
            listener,
            mut connections,
            shared,
        } = self;
        drop(listener);
        let bound = shared.config.drain_timeout;
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(bound, ended).await.is_err() {
            let open = connections.len();
            warn!(open, drain_timeout = ?bound, "connections were cut: their requests took too long");
        }
        connections.shutdown().await;
    }
}

/// A connection, from its first byte to its last.
async fn serve<B: Backend>(shared: Arc<Shared<B>>, stream: TcpStream, address: SocketAddr) {
    // What only the beginning needs is not kept for as long as the connection lives.
    let mut stop = shared.stopped.clone();
    let begun = Box::pin(async {
        tokio::select! {
            begun = begin(&shared, stream, address) => begun,
            _ = stop.wait_for(|stop| *stop) => None,
        }
    });
    let Some((connection, place)) = begun.await else {
        return;
    };
    connection.run().await;
    drop(place);
}

/// Lets a client in, if it is to be.
async fn begin<B: Backend>(
    shared: &Shared<B>,
    stream: TcpStream,
    address: SocketAddr,
) -> Option<(Connection<B::Session>, Place)> {
    let (cancels, cancelled) = watch::channel(());
    let link = Link::new(Stream::Plain(stream), cancelled);
    let bound = tokio::time::Instant::now() + shared.config.startup_timeout;
    let heard = tokio::time::timeout_at(bound, purpose(link, shared.config.tls.as_ref())).await;
    let (mut link, hello) = match heard {
        Ok(Ok((link, Purpose::Session(hello)))) => (link, hello),
        Ok(Ok((_, Purpose::Cancel { process_id, secret }))) => {
            shared.sessions.cancel(process_id, secret);
            return None;
        }
        Ok(Err((link, error))) => {
            if let Some(mut link) = link {
                farewell(&mut link, Some(error)).await;
            }
            return None;
        }
        Err(_) => {
            debug!(%address, "a client did not say who it is");
            return None;
        }
    };
    let session = match shared.sessions.enter(cancels) {
        Some(mut place) => {
            let session = enter(shared, &mut link, &hello, &mut place, address, bound).await;
            session.map(|session| (session, place))
        }
        None => {
            let connections_max = shared.config.connections_max;
            warn!(connections_max, "a client was refused");
            Err(PgError::fatal("53300", "sorry, too many clients already"))
        }
    };
    match session {
        Ok((session, place)) => {
            let connection = Connection {
                link,
                session,
                stop: shared.stopped.clone(),
                skipping: false,
                flush: true,
            };
            Some((connection, place))
        }
        Err(error) => {
            farewell(&mut link, Some(error)).await;
            None
        }
    }
}

/// Settings that are what they are: clients have them reported.
const FIXED: [(&str, &str); 4] = [
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
];

/// Proves who the client is, and begins its session.
async fn enter<B: Backend>(
    shared: &Shared<B>,
    link: &mut Link,
    hello: &Hello,
    place: &mut Place,
    address: SocketAddr,
    bound: tokio::time::Instant,
) -> Result<B::Session, PgError> {
    let startup = hello.startup(address);
    let authenticator = shared.config.authenticator.as_ref();
    let proved = authenticate(link, hello, &startup, authenticator);
    match tokio::time::timeout_at(bound, proved).await {
        Ok(proved) => proved?,
        Err(_) => {
            let message = "canceling authentication due to timeout";
            return Err(PgError::fatal("57014", message));
        }
    }
    let session = shared.backend.connect(&startup).await?;
    let process_id = session.process_id();
    let secret = place.open(process_id, session.canceller());
    for (name, value) in FIXED {
        link.out.parameter_status(name, value);
    }
    session.report(&mut link.out);
    link.out.backend_key(process_id, secret);
    link.out.ready(session.status());
    link.message_bytes_max = shared.config.message_bytes_max;
    Ok(session)
}
