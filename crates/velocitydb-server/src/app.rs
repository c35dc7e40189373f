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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use velocitydb::{Database, Durability, Timestamp};

use crate::config::ServerConfig;
use crate::http::Problem;
use crate::metrics::Metrics;
use crate::reload::{Live, ReloadError, Reloaded};
use crate::slow::SlowLog;
use crate::streams::Streams;
use crate::transactions::Transactions;

/// Bytes of a document or a body up to which the work on it takes microseconds.
pub(crate) const QUICK_BYTES_MAX: usize = 64 << 10;

/// Answers as lines that may be made at once, each by a thread of its own.
pub(crate) const STREAMS_MAX: usize = 64;

/// What all requests share.
pub(crate) struct App {
    /// What it was started with. What can change meanwhile is in [`App::live`].
    pub(crate) config: ServerConfig,
    live: RwLock<Live>,
    /// Held by whoever reloads.
    reloading: Mutex<()>,
    pub(crate) slow: SlowLog,
    pub(crate) transactions: Arc<Transactions>,
    pub(crate) streams: Streams,
    pub(crate) database: Database,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the server listens.
    pub(crate) local_addr: SocketAddr,
    /// A random number of this run: begins request ids, and marks list positions, which mean
    /// nothing in another run.
    pub(crate) run: u32,
    requests: Arc<Semaphore>,
    /// Room for bodies and answers, in KiB.
    room: Arc<Semaphore>,
    full_writes: Arc<AtomicUsize>,
    /// For each of [`STREAMS_MAX`].
    pub(crate) answers: Arc<Semaphore>,
}

/// A request's right to be worked on, and until when. Given back when the last clone goes: work
/// that its request no longer waits for still counts, and so does an answer until it is sent.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) deadline: Instant,
    /// The same, for the library.
    pub(crate) until: Timestamp,
    /// `None` for requests that are answered however many others there are.
    held: Option<Arc<Held>>,
}

/// What a request holds.
struct Held {
    /// As a request that is worked on, or as a stream.
    _counted: OwnedSemaphorePermit,
    room: Arc<Semaphore>,
    room_kib_max: usize,
    /// Of the room for bodies and answers.
    taken: Mutex<Option<OwnedSemaphorePermit>>,
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
            room: Arc::new(Semaphore::new(room_kib(&config))),
            run: rand::random(),
            live: RwLock::new(Live::of(&config)),
            reloading: Mutex::default(),
            slow: SlowLog::default(),
            transactions: Arc::new(Transactions::new(&config, database.clone())),
            streams: Streams::new(config.streams_max, &database),
            full_writes: Arc::default(),
            answers: Arc::new(Semaphore::new(STREAMS_MAX)),
            config,
            database,
            metrics,
            local_addr,
        }
    }

    /// The settings that can change, as they are now.
    pub(crate) fn live(&self) -> Live {
        *self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the configuration again and uses what can change.
    pub(crate) fn reload(&self) -> Result<Reloaded, ReloadError> {
        let again = self.config.read_again.as_ref().ok_or(ReloadError::NoFile)?;
        let _alone = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (config, reloaded) = again.read().map_err(ReloadError::Wrong)?;
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Live::of(&config);
        Ok(reloaded)
    }

    /// Admits a request, unless too many are worked on.
    pub(crate) fn admit(&self, started: Instant, live: &Live) -> Result<Slot, Problem> {
        let request = Arc::clone(&self.requests)
            .try_acquire_owned()
            .map_err(|_| {
                let max = self.config.requests_concurrent_max;
                Problem::new(
                    "overloaded",
                    format!("{max} requests are being worked on: try again"),
                )
            })?;
        Ok(self.slot(request, started, live))
    }

    /// Admits a stream of changes, unless too many are open.
    pub(crate) fn admit_stream(&self) -> Result<Slot, Problem> {
        if self.streams.is_stopping() {
            return Err(Problem::new(
                "stopping",
                "the server is stopping: try again later",
            ));
        }
        let stream = Arc::clone(&self.streams.permits).try_acquire_owned();
        let stream = stream.map_err(|_| {
            let max = self.streams.streams_max;
            let what = format!("{max} streams of changes are open: close some, or try again");
            Problem::new("too_many_streams", what)
        })?;
        Ok(self.slot(stream, Instant::now(), &self.live()))
    }

    fn slot(&self, counted: OwnedSemaphorePermit, started: Instant, live: &Live) -> Slot {
        let held = Held {
            _counted: counted,
            room: Arc::clone(&self.room),
            room_kib_max: room_kib(&self.config),
            taken: Mutex::default(),
        };
        Slot {
            held: Some(Arc::new(held)),
            ..self.exempt(started, live)
        }
    }

    /// A slot for requests that are answered however many others there are.
    pub(crate) fn exempt(&self, started: Instant, live: &Live) -> Slot {
        let timeout_us = i64::try_from(live.request_timeout.as_micros()).unwrap_or(i64::MAX);
        Slot {
            deadline: started + live.request_timeout,
            until: Timestamp(self.database.now().0.saturating_add(timeout_us)),
            held: None,
        }
    }

    /// Says that writes at `full` are under way, until what is answered is dropped.
    pub(crate) fn syncing(&self) -> impl Drop + Send + use<> {
        Counted::new(&self.full_writes)
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

/// The room for bodies and answers, in KiB.
fn room_kib(config: &ServerConfig) -> usize {
    config.in_flight_bytes_max.div_ceil(1 << 10)
}

impl Slot {
    /// Makes sure that the request has room for a body or an answer of `bytes`. What it has it
    /// keeps: a body has been read when the answer is written, so the larger of them counts.
    pub(crate) fn room(&self, bytes: usize) -> Result<(), Problem> {
        let Some(held) = self.held.as_ref().filter(|_| bytes > QUICK_BYTES_MAX) else {
            return Ok(());
        };
        // An answer larger than all the room there is takes all of it.
        let wanted = bytes.div_ceil(1 << 10).min(held.room_kib_max);
        let mut taken = held.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let more =
            wanted.saturating_sub(taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let permits = u32::try_from(more).ok();
        let permit = permits.and_then(|permits| {
            let room = Arc::clone(&held.room);
            room.try_acquire_many_owned(permits).ok()
        });
        let Some(permit) = permit else {
            let what = "too many bytes of bodies and answers are in flight: try again";
            return Err(Problem::new("busy", what));
        };
        match &mut *taken {
            Some(taken) => taken.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    /// Gives the room back: what it was for has been sent.
    pub(crate) fn give_room_back(&self) {
        if let Some(held) = &self.held {
            let mut taken = held.taken.lock().unwrap_or_else(PoisonError::into_inner);
            *taken = None;
        }
    }

    /// Runs work where blocking is allowed. Work that outlasts the request goes on, unwatched.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let held = self.held.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _held = held;
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
