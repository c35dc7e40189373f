//! The database's own threads: one that tends, one that writes checkpoints, one that syncs for
//! those who wait without a thread ([`Flusher`]).
//!
//! The first forces the log to the disk every second, gives back old versions and prepares log
//! space. The second writes a checkpoint when time, log size or the number of entries says so, and
//! when the disk gets full: that lets go of the log. As long as that fails it waits for 1 s, 2 s, …
//! 64 s before it tries again. As long as files are under another key than the present one, it
//! writes checkpoints one after the other, which replace them; as soon as nothing gets less by it,
//! with the same pauses.
//! Neither ever holds the writer lock for longer than a few steps. What fails is kept for
//! [`crate::Database::health`]; a failed checkpoint is tried again at the next turn.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use velocitydb_engine::log::FlushLevel;
use velocitydb_engine::{Engine, Error};

use crate::clock::Clock;
use crate::committing::Flusher;
use crate::options::Options;

/// How often the first thread looks for old versions.
const TEND_EVERY: Duration = Duration::from_millis(20);
/// Versions looked at in one step, under the writer lock: about 20 µs, which is what a writer may
/// have to wait for.
const TEND_STEP: usize = 32;
/// How long it rests after a step while there is more to do, in times of that step: what a long
/// snapshot leaves behind would otherwise keep a writer's core busy for milliseconds on end.
const TEND_REST: u32 = 4;
/// How often the second thread looks at its triggers.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The first and the longest pause between checkpoints that are to free the disk.
const FREE_EVERY: Duration = Duration::from_secs(1);
const FREE_EVERY_MAX: Duration = Duration::from_secs(64);

/// What went wrong at the last try of each thread.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    tending: Mutex<Option<String>>,
    checkpoint: Mutex<Option<String>>,
}

impl Alarm {
    pub(crate) fn last(&self) -> Option<String> {
        let tending = self.tending.lock().clone();
        tending.or_else(|| self.checkpoint.lock().clone())
    }
}

fn note(place: &Mutex<Option<String>>, result: Result<(), Error>) {
    *place.lock() = result.err().map(|error| error.to_string());
}

#[derive(Default)]
struct Bell {
    stopped: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    /// Waits; `true` when it is time to stop.
    fn wait(&self, at_most: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.rung.wait_for(&mut stopped, at_most);
        }
        *stopped
    }
}

/// The threads; dropped, they end and are waited for.
pub(crate) struct Workers {
    bell: Arc<Bell>,
    flusher: Arc<Flusher>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(crate) fn start(
        engine: &Arc<Engine>,
        options: &Options,
        alarm: &Arc<Alarm>,
        flusher: &Arc<Flusher>,
    ) -> Result<Workers, Error> {
        let bell = Arc::new(Bell::default());
        let mut workers = Workers {
            bell: Arc::clone(&bell),
            flusher: Arc::clone(flusher),
            threads: Vec::new(),
        };
        let tender = Tender {
            engine: Arc::clone(engine),
            clock: Arc::clone(&options.clock),
            sync_every: options.sync_every,
            alarm: Arc::clone(alarm),
        };
        workers.spawn("velocitydb-tend", move |bell| tender.run(bell))?;
        if options.dir.is_some() {
            let (engine, options, alarm) = (Arc::clone(engine), options.clone(), Arc::clone(alarm));
            workers.spawn("velocitydb-checkpoint", move |bell| {
                write_checkpoints(&engine, &options, &alarm, bell);
            })?;
        }
        if options.dir.is_some() {
            let (engine, flusher) = (Arc::clone(engine), Arc::clone(flusher));
            flusher.start();
            workers.spawn("velocitydb-flush", move |_| flusher.run(&engine))?;
        }
        Ok(workers)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce(&Bell) + Send + 'static) -> Result<(), Error> {
        let bell = Arc::clone(&self.bell);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&bell));
        self.threads.push(thread.map_err(|source| Error::Io {
            action: format!("start the thread {name}"),
            source: Arc::new(source),
        })?);
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        *self.bell.stopped.lock() = true;
        self.bell.rung.notify_all();
        self.flusher.stop();
        for thread in self.threads.drain(..) {
            if thread.thread().id() != std::thread::current().id() {
                // A panic there has been reported by its own thread.
                let _ = thread.join();
            }
        }
    }
}

struct Tender {
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    sync_every: Duration,
    alarm: Arc<Alarm>,
}

impl Tender {
    fn run(&self, bell: &Bell) {
        let (mut synced, mut rest) = (Instant::now(), TEND_EVERY);
        while !bell.wait(rest) {
            let begun = Instant::now();
            let more = self.engine.tend(self.clock.now(), TEND_STEP);
            rest = match more {
                Ok(true) => begun.elapsed() * TEND_REST,
                _ => TEND_EVERY,
            };
            let mut result = more.map(|_| ());
            // Also between steps: there may be something to give back for as long as it runs.
            if synced.elapsed() >= self.sync_every {
                synced = Instant::now();
                result = result.and(self.engine.flush(FlushLevel::Synced));
            }
            note(&self.alarm.tending, result);
        }
    }
}

fn write_checkpoints(engine: &Engine, options: &Options, alarm: &Alarm, bell: &Bell) {
    let mut last = Instant::now();
    let log_bytes = || engine.stats().log.map_or(0, |log| log.bytes_written);
    let (mut entries_then, mut bytes_then) = (engine.stats().entries, log_bytes());
    let (mut pause, mut failed) = (FREE_EVERY, false);
    let mut in_vain = 0;
    while !bell.wait(LOOK_EVERY) {
        let before = engine.stats().rekey;
        // As many as are kept may be needed until something goes.
        let stuck = failed || in_vain > options.checkpoints_kept;
        if before.files > 0 && (!stuck || last.elapsed() >= pause) {
            let left = engine.rekey(options.clock.now());
            let less = left.as_ref().is_ok_and(|left| left.files < before.files);
            in_vain = if less { 0 } else { in_vain + 1 };
            let written = left.map(|_| ());
            failed = written.is_err();
            pause = if failed || in_vain > options.checkpoints_kept {
                (pause * 2).min(FREE_EVERY_MAX)
            } else {
                FREE_EVERY
            };
            note(&alarm.checkpoint, written);
            last = Instant::now();
            continue;
        }
        let short = engine.stats().log.is_some_and(|log| log.short_of_space);
        let (entries, bytes) = (
            engine.stats().entries - entries_then,
            log_bytes() - bytes_then,
        );
        let due = entries > 0
            && (options
                .checkpoint_every
                .is_some_and(|every| last.elapsed() >= every)
                || bytes >= options.checkpoint_log_bytes
                || entries >= options.checkpoint_entries);
        let frees = short && (entries > 0 || failed) && last.elapsed() >= pause;
        if due || frees {
            (entries_then, bytes_then) = (engine.stats().entries, log_bytes());
            let written = engine.checkpoint().map(|_| ());
            failed = written.is_err();
            pause = if failed {
                (pause * 2).min(FREE_EVERY_MAX)
            } else {
                FREE_EVERY
            };
            note(&alarm.checkpoint, written);
            last = Instant::now();
        }
    }
}
