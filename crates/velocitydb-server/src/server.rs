//! The server's life: bind, accept, drain, close.
//!
//! Shutdown goes in this order: the listener is closed; requests in progress are finished, for
//! [`ServerConfig::drain_timeout`] at most, and idle connections closed; the database is closed,
//! with a last checkpoint. A connection that is cut by the bound loses its answer, not its
//! write: work that was begun ends before the database is closed, or is refused by it.
//!
//! HTTP/1.1 only: without TLS no browser speaks HTTP/2, and a connection whose first bytes do
//! not say which it is would have no time limit. Tests: tests/it/lifecycle.rs.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{error, info, warn};
use velocitydb::{Database, Recovery};

use crate::app::App;
use crate::config::{ServerConfig, ServerError};
use crate::http;
use crate::metrics::Metrics;
use crate::progress::Progressing;
use crate::reload::Reloader;
use crate::system;
use crate::timer::HeadTimer;

/// A running server. Dropped without [`Server::shutdown`], it stops accepting and closes its
/// connections, and the database is left to its other owners.
#[derive(Debug)]
pub struct Server {
    app: Shared,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// A configuration that was checked, and an address that nobody else has. Nothing is accepted
/// yet: clients are refused until [`Bound::start`].
#[derive(Debug)]
pub struct Bound {
    config: ServerConfig,
    socket: TcpSocket,
}

impl Bound {
    /// Listens, and answers from now on. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be listened on after all.
    pub fn start(mut self, database: Database) -> Result<Server, ServerError> {
        let address = self.config.http;
        let failed = |source| ServerError::Bind { address, source };
        let listener = self.socket.listen(CONNECTIONS_WAITING).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let wanted = self.config.connections_max;
        let file_limit = system::file_limit();
        self.config.connections_max = system::connections_possible(wanted, file_limit);
        if self.config.connections_max < wanted {
            warn!(
                connections_max = self.config.connections_max,
                wanted, file_limit, "fewer connections: the process may open so few files"
            );
        }
        Server::run(self.config, database, listener, local_addr)
    }
}

/// Connections that the system keeps until they are accepted.
const CONNECTIONS_WAITING: u32 = 1_024;

struct Shared(Arc<App>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.local_addr)
    }
}

impl Server {
    /// Checks the configuration and takes the address, before a database is opened for it.
    ///
    /// # Errors
    /// An address that other machines reach, without [`ServerConfig::insecure`]; one that cannot
    /// be listened on; a limit of nothing.
    pub fn bind(config: ServerConfig) -> Result<Bound, ServerError> {
        config.check()?;
        let address = config.http;
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let bound = socket.and_then(|socket| {
            // The port of a server that has just ended can be taken at once. (Elsewhere the
            // option would take the port of one that runs.)
            #[cfg(unix)]
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        });
        let socket = bound.map_err(|source| ServerError::Bind { address, source })?;
        Ok(Bound { config, socket })
    }

    /// [`Server::bind`] and [`Bound::start`]. To be called within a tokio runtime.
    ///
    /// # Errors
    /// As those.
    pub async fn start(config: ServerConfig, database: Database) -> Result<Server, ServerError> {
        Server::bind(config)?.start(database)
    }

    fn run(
        config: ServerConfig,
        database: Database,
        listener: TcpListener,
        local_addr: SocketAddr,
    ) -> Result<Server, ServerError> {
        // Few files may be done by now.
        if database.recovery().rekey_files > 0 {
            tokio::spawn(report_rekeyed(database.clone()));
        }
        report_start(&config, &database, local_addr);
        let metrics = Arc::new(Metrics::new(&database));
        let app = Arc::new(App::new(config, database, metrics, local_addr));
        tokio::spawn(sweep(Arc::downgrade(&app)));
        let (stop, stopped) = watch::channel(false);
        let accepting = Accepting {
            listener,
            service: http::router(Arc::clone(&app)),
            connections: JoinSet::new(),
            stopped: stopped.clone(),
            app: Arc::clone(&app),
        };
        let accepting = tokio::spawn(accepting.run(stopped));
        Ok(Server {
            app: Shared(app),
            stop,
            accepting,
        })
    }

    /// The address that is listened on, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.app.0.local_addr
    }

    /// What reloads the configuration of this server.
    pub fn reloader(&self) -> Reloader {
        Reloader(Arc::clone(&self.app.0))
    }

    /// Stops accepting, waits for requests in progress, and closes the database with a last
    /// checkpoint.
    ///
    /// # Errors
    /// [`ServerError::Close`] when the database could not write what it has to.
    pub async fn shutdown(self) -> Result<(), ServerError> {
        let app = self.app.0;
        info!("stopping");
        self.stop.send_replace(true);
        app.streams.stop();
        // Those over a WebSocket are no connections of requests any more.
        let ended = app.streams.ended(app.live().drain_timeout);
        let (accepted, ()) = tokio::join!(self.accepting, ended);
        let database = app.database.clone();
        let closed = tokio::task::spawn_blocking(move || database.close()).await;
        match closed {
            Ok(Ok(())) => info!(index = app.database.stats().visible_index, "stopped"),
            Ok(Err(error)) => {
                error!(%error, "the database was not closed cleanly");
                return Err(ServerError::Close(error));
            }
            Err(_) => return Err(ServerError::Panicked),
        }
        accepted.map_err(|_| ServerError::Panicked)
    }

    /// Serves until `signal` is ready, then shuts down.
    ///
    /// # Errors
    /// As [`Server::shutdown`].
    pub async fn run_until(mut self, signal: impl Future<Output = ()>) -> Result<(), ServerError> {
        tokio::select! {
            () = signal => self.shutdown().await,
            // Nobody has told it to stop: it has failed.
            _ = &mut self.accepting => Err(ServerError::Panicked),
        }
    }
}

/// Ends transactions that were forgotten, for as long as the server is there: whoever comes to one
/// ends it too, but perhaps nobody comes.
async fn sweep(app: Weak<App>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        let Some(app) = app.upgrade() else {
            return;
        };
        let work = move || app.transactions.sweep();
        let _ = tokio::task::spawn_blocking(work).await;
    }
}

/// Logs when the previous key is not needed any more.
async fn report_rekeyed(database: Database) {
    let mut every = tokio::time::interval(std::time::Duration::from_secs(1));
    while database.stats().rekey.files > 0 {
        every.tick().await;
        if database.health().closed {
            return;
        }
    }
    info!("all data is encrypted with the present key: the previous one is not needed any more");
}

fn report_start(config: &ServerConfig, database: &Database, local_addr: SocketAddr) {
    let recovery: &Recovery = database.recovery();
    for damaged in &recovery.damaged_checkpoints {
        warn!(%damaged, "a checkpoint could not be read and was put aside");
    }
    if let Some(torn) = &recovery.torn_tail {
        let (segment, offset, bytes, reason) =
            (&torn.segment, torn.offset, torn.bytes, &torn.reason);
        warn!(
            segment,
            offset, bytes, reason, "the unfinished end of the log was cut"
        );
    }
    info!(
        checkpoint_index = recovery.checkpoint_index,
        checkpoint_documents = recovery.checkpoint_documents,
        entries_replayed = recovery.entries_replayed,
        last_index = recovery.last_index,
        "recovered"
    );
    if recovery.rekey_files > 0 {
        info!(
            files = recovery.rekey_files,
            "encrypting with the present key what another key encrypted, or none"
        );
    }
    if !local_addr.ip().is_loopback() {
        warn!(%local_addr, "everybody who reaches this address can read and change everything");
    }
    info!(
        %local_addr,
        storage_mode = database.mode().name(),
        durability = database.default_durability().name(),
        insecure = config.insecure,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
}

/// The listener and its connections.
struct Accepting {
    app: Arc<App>,
    listener: TcpListener,
    service: Router,
    connections: JoinSet<()>,
    /// For each connection.
    stopped: watch::Receiver<bool>,
}

impl Accepting {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                (stream, client) = velocitydb_pg::accept(&self.listener) => {
                    self.accept(stream, client);
                }
                Some(_) = self.connections.join_next() => {}
                // An error says that the server was dropped.
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

    fn accept(&mut self, stream: TcpStream, client: SocketAddr) {
        let (app, live) = (&self.app, self.app.live());
        let connections_max = live.connections_max;
        if self.connections.len() >= connections_max {
            app.metrics.connections_refused.inc();
            warn!(connections_max, "a connection was refused");
            self.connections.spawn(refuse(stream, live.idle_timeout));
            return;
        }
        // Small answers should not wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it was served");
            return;
        }
        let mut builder = http1::Builder::new();
        builder
            .timer(HeadTimer::new())
            .header_read_timeout(live.idle_timeout);
        let stream = Progressing::new(stream, live.write_timeout);
        let service = TowerToHyperService::new(self.service.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(http::Client(client));
            service.call(request)
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = connection.with_upgrades();
        let open = Open::new(&app.metrics.connections);
        let mut stopped = self.stopped.clone();
        self.connections.spawn(async move {
            let _open = open;
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                // An error says that the server was dropped.
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }

    async fn drain(self) {
        let Accepting {
            app,
            listener,
            mut connections,
            ..
        } = self;
        drop(listener);
        let bound = app.live().drain_timeout;
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(bound, ended).await.is_err() {
            let open = connections.len();
            warn!(open, drain_timeout = ?bound, "connections were cut: their requests took too long");
        }
        connections.shutdown().await;
    }
}

/// A connection that counts itself for as long as it lives.
struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Open {
        gauge.inc();
        Open(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Says why, and closes.
async fn refuse(mut stream: TcpStream, bound: Duration) {
    let problem = http::Problem::new("overloaded", "too many connections are open: try again");
    let body = problem.body("");
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let answer = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await
    };
    // Whether the answer arrives is up to the client.
    let _ = tokio::time::timeout(bound, answer).await;
}
