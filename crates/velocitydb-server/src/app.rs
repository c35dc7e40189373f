//! What all requests share, and where their work runs.
//!
//! Reads of one document and small writes that do not wait for the disk take microseconds and
//! run where they are. Everything else goes through [`Slot::blocking`]: what scans, what is
//! large, what waits for an fsync. A write at `os` can wait for one too, since its answer goes
//! out after those before it in the log; so while a `full` write of this server is under way,
//! no write runs in place.
//!
//! Tests: tests/it (limits, deadlines, a `full` write beside reads).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use velocitydb::{Database, Durability};

use crate::config::ServerConfig;
use crate::http::Problem;
use crate::metrics::Metrics;

/// Bytes of a document or a body up to which the work on it takes microseconds.
pub(crate) const QUICK_BYTES_MAX: usize = 64 << 10;

/// What all requests share.
pub(crate) struct App {
    pub(crate) config: ServerConfig,
    pub(crate) database: Database,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the server listens.
    pub(crate) local_addr: SocketAddr,
    /// A random number of this run: begins request ids, and marks list positions, which mean
    /// nothing in another run.
    pub(crate) run: u32,
    requests: Arc<Semaphore>,
    full_writes: Arc<AtomicUsize>,
}

/// A request's right to be worked on, and until when. Given back when the last clone goes: work
/// that its request no longer waits for still counts.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) deadline: Instant,
    permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl App {
    pub(crate) fn new(
        config: ServerConfig,
        database: Database,
        metrics: Arc<Metrics>,
        local_addr: SocketAddr,
    ) -> App {
        App {
            requests: Arc::new(Semaphore::new(config.requests_concurrent_max)),
            run: rand::random(),
            full_writes: Arc::default(),
            config,
            database,
            metrics,
            local_addr,
        }
    }

    /// Admits a request, unless too many are worked on.
    pub(crate) fn admit(&self) -> Result<Slot, Problem> {
        let permit = Arc::clone(&self.requests)
            .try_acquire_owned()
            .map_err(|_| {
                let max = self.config.requests_concurrent_max;
                Problem::new(
                    "overloaded",
                    format!("{max} requests are being worked on: try again"),
                )
            })?;
        Ok(Slot {
            permit: Some(Arc::new(permit)),
            ..self.exempt()
        })
    }

    /// A slot for requests that are answered however many others there are.
    pub(crate) fn exempt(&self) -> Slot {
        Slot {
            deadline: Instant::now() + self.config.request_timeout,
            permit: None,
        }
    }

    /// Makes a write of about `bytes` at a level: in place when it is quick.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        slot: &Slot,
        level: Option<Durability>,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let level = level.unwrap_or(self.database.default_durability());
        let syncs = level == Durability::Full;
        if !syncs && bytes <= QUICK_BYTES_MAX && self.full_writes.load(Ordering::Relaxed) == 0 {
            return Ok(work());
        }
        let under_way = syncs.then(|| Counted::new(&self.full_writes));
        slot.blocking(move || {
            let _under_way = under_way;
            work()
        })
        .await
    }
}

impl Slot {
    /// Runs work where blocking is allowed. Work that outlasts the request goes on, unwatched.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.permit.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match tokio::time::timeout_at(self.deadline, task).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(Problem::new("internal", "the work on the request panicked")),
            Err(_) => {
                let what = "the request took longer than it may; a write may have been made or \
                            may still be made: read it back, or repeat it with an Idempotency-Key";
                Err(Problem::new("timeout", what))
            }
        }
    }

    /// What is left of the request's time.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Counts itself for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
