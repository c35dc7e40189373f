//! `velocitydb serve`: opens the data, serves it over HTTP, and closes it when asked to stop.
//!
//! Standard output says where it serves, what can be pasted, and how it ended; logs go to
//! standard error. Neither holds the server up when nobody reads it ([`crate::output`]). SIGTERM
//! and Ctrl-C (SIGINT) stop it: requests in progress end, a last checkpoint is written. A second
//! signal while it stops ends it at once; nothing that was acknowledged at `os` or `full` is lost
//! by that either. SIGHUP reads the file of `--config` again; without one it stops the server.
//!
//! The address is taken before the data is opened: a server that cannot listen leaves nothing.
//! Tests: tests/it/serve.rs.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use velocitydb::{Database, StorageMode};
use velocitydb_analytics::Analytics;
use velocitydb_pg::{Door, DoorError, PgConfig};
use velocitydb_server::{
    Reloader, Server, ServerError, SqlBackend, flush_logs, init_logging, log_panics,
    raise_file_limit,
};

use crate::config::{self, Flags, Settings};
use crate::failure::Failure;
use crate::output::{self, say};
use crate::sample::{self, Loaded, Table};
use crate::text::{Bytes, count, thousands};
use crate::version;

/// Runs the command.
pub fn run(flags: Flags) -> Result<(), Failure> {
    let settings = flags.settle()?;
    init_logging(settings.log_format, &settings.log_level)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    log_panics();
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Failure::new(format!("cannot start the server's threads: {error}")))?;
    let ended = runtime.block_on(serve(flags, &settings));
    flush_logs(output::FLUSH_BOUND);
    output::flush();
    ended
}

async fn serve(flags: Flags, settings: &Settings) -> Result<(), Failure> {
    // Before anything else: a signal must never find the default action, which is to die.
    let reloads = flags.has_file();
    let mut signals = Signals::listen(reloads)?;
    let mut config = settings.server.clone();
    config.read_again = reloads.then(|| config::reader(flags, settings.clone()));
    let bound = Server::bind(config).map_err(|error| failed(&error))?;
    let postgres = settings
        .postgres
        .map(|address| bind_postgres(address, settings));
    let postgres = postgres.transpose()?;
    let options = match settings.mode {
        StorageMode::MemoryOnly => settings.options(),
        _ => settings.options().encryption(settings.keys.read()?),
    };
    let data = settings.data.clone();
    let opening = tokio::task::spawn_blocking(move || Database::open(options));
    let db = opening
        .await
        .map_err(|error| Failure::new(format!("opening the data: {error}")))?
        .map_err(|error| Failure::of(&error, &data))?;
    let server = bound.start(db.clone()).map_err(|error| failed(&error))?;
    let postgres = match postgres {
        Some(bound) => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let planner = Analytics::new(threads)
                .map_err(|error| Failure::new(format!("threads for queries: {error}")))?;
            let backend = SqlBackend::new(db.clone()).with_planner(Arc::new(planner));
            Some(bound.start(backend).map_err(closed)?)
        }
        None => None,
    };
    signals.reloader = Some(server.reloader());
    let address = server.local_addr();
    greet(settings, address, &db);
    if let Some(door) = &postgres {
        let address = door.local_addr();
        say(&format!(
            "PostgreSQL: psql -h {} -p {}",
            address.ip(),
            address.port()
        ));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    // A sender that is gone means stop as well.
    let mut serving = pin!(server.run_until(async { _ = stopped.await }));
    let early = if settings.sample {
        load_sample(&db, &mut signals).await?
    } else {
        None
    };
    let signal = match early {
        Some(signal) => signal,
        None => {
            if settings.sample {
                invite(address, postgres.is_some());
            } else {
                first_steps(address);
            }
            tokio::select! {
                signal = signals.next() => signal,
                ended = &mut serving => return ended.map_err(|error| failed(&error)),
            }
        }
    };
    say(&format!(
        "\n{signal}: stopping. Requests in progress end first."
    ));
    drop(stop);
    if let Some(door) = postgres {
        door.shutdown().await;
    }
    tokio::select! {
        stopped = &mut serving => stopped.map_err(|error| failed(&error))?,
        signal = signals.next() => {
            let what = format!("{signal} again: stopped at once, without a last checkpoint");
            return Err(Failure::new(what).help(
                "What was acknowledged at `os` or `full` is in the log; the next start reads it.",
            ));
        }
    }
    farewell(settings, &db);
    Ok(())
}

fn bind_postgres(
    address: SocketAddr,
    settings: &Settings,
) -> Result<velocitydb_pg::Bound, Failure> {
    let mut config = PgConfig::default();
    config.address = address;
    config.insecure = settings.server.insecure;
    config.connections_max = settings.server.connections_max;
    Door::bind(config).map_err(closed)
}

fn closed(error: DoorError) -> Failure {
    Failure::new(error.to_string()).help("Choose another address with --postgres.")
}

fn failed(error: &ServerError) -> Failure {
    let help = match error {
        ServerError::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            "Another program listens there. Stop it, or choose another port with --http, such as \
             --http 127.0.0.1:7481 (port 0 takes any that is free)."
        }
        _ => "",
    };
    Failure::new(error.to_string()).help(help)
}

fn greet(settings: &Settings, address: SocketAddr, db: &Database) {
    say(&format!(
        "VelocityDB {} serves http://{address}",
        version::SHORT
    ));
    if settings.mode == StorageMode::MemoryOnly {
        say("Data: in memory only; nothing is kept after a restart.");
        warn_of_memory(settings);
        return;
    }
    say(&format!(
        "Data: {} ({}; a write is answered at durability `{}`)",
        settings.data.display(),
        settings.mode.name(),
        db.default_durability().name(),
    ));
    let recovery = db.recovery();
    for damaged in &recovery.damaged_checkpoints {
        say(&format!(
            "Warning: {damaged}. It was put aside and an older one used; nothing is lost."
        ));
    }
    if let Some(torn) = &recovery.torn_tail {
        say(&format!(
            "Note: {} at the end of the log ({}) could not be read and were cut off. They were never \
             forced to the disk, as after a kill or a loss of power in the middle of a write.",
            count(torn.bytes, "byte"),
            torn.segment,
        ));
    }
    warn_of_memory(settings);
}

/// Below this much memory a database has hardly room for its own tables.
const MEMORY_LIMIT_USEFUL: Bytes = Bytes(16 << 20);

fn warn_of_memory(settings: &Settings) {
    if let Some(limit) = settings.memory_limit
        && limit.0 < MEMORY_LIMIT_USEFUL.0
    {
        say(&format!(
            "Warning: --memory-limit {limit} is little: most writes will be refused. \
             {MEMORY_LIMIT_USEFUL} and more are of use."
        ));
    }
}

/// Loads the sample on a thread of its own; a signal meanwhile ends it early and is returned.
async fn load_sample(
    db: &Database,
    signals: &mut Signals,
) -> Result<Option<&'static str>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut loading = {
        let (db, stop) = (db.clone(), Arc::clone(&stop));
        tokio::task::spawn_blocking(move || sample::load(&db, &stop, told))
    };
    let joined = |result: Result<Result<(), Failure>, tokio::task::JoinError>| {
        result.map_err(|error| Failure::new(format!("loading the sample: {error}")))?
    };
    tokio::select! {
        loaded = &mut loading => joined(loaded).map(|()| None),
        signal = signals.next() => {
            stop.store(true, Ordering::Relaxed);
            joined(loading.await).map(|()| Some(signal))
        }
    }
}

/// Says what became of one collection of the sample.
fn told(table: &Table, loaded: Loaded) -> Result<(), Failure> {
    let name = table.name;
    say(&match loaded {
        Loaded::Rows(rows, took) => {
            format!(
                "Sample: {name}, {} loaded in {:.1} s",
                count(rows, "document"),
                took.as_secs_f64()
            )
        }
        Loaded::Present => format!(
            "Sample: {name} is there ({})",
            count(table.rows, "document")
        ),
        Loaded::Other => format!("Sample: {name} has been changed, so it is left as it is"),
        Loaded::Stopped => format!("Sample: {name} is not complete; the next start goes on"),
    });
    Ok(())
}

/// One thing to try.
struct Try {
    what: &'static str,
    arguments: String,
}

fn lines(note: &str, tries: &[Try]) -> String {
    let mut text = format!("{note}\nTry, in another terminal:\n");
    for one in tries {
        text += &format!("\n  # {}\n  curl {}\n", one.what, one.arguments);
    }
    text + "\nCtrl-C stops the server."
}

/// What can be done with an empty database.
fn first_steps(address: SocketAddr) {
    let base = format!("http://{address}");
    let collections = format!("{base}/v1/collections");
    let json = "-H 'Content-Type: application/json'";
    let tries = [
        Try {
            what: "Is it well?",
            arguments: format!("{base}/health"),
        },
        Try {
            what: "Create a collection",
            arguments: format!("-X POST {collections} {json} -d '{{\"name\": \"tasks\"}}'"),
        },
        Try {
            what: "Insert a document",
            arguments: format!(
                "-X POST {collections}/tasks/documents {json} \
                 -d '{{\"_id\": \"t1\", \"state\": \"waiting\"}}'"
            ),
        },
        Try {
            what: "Read it",
            arguments: format!("{collections}/tasks/documents/t1"),
        },
    ];
    say(&lines(
        "\n`velocitydb serve --sample` brings data to play with.",
        &tries,
    ));
}

/// What can be done with the sample, by SQL too where that is served.
fn invite(address: SocketAddr, sql: bool) {
    let note = match sql {
        true => "\nIn psql: SELECT carrier, count(*) FROM flights GROUP BY carrier;",
        false => "",
    };
    let base = format!("http://{address}");
    let v1 = format!("{base}/v1/collections");
    let json = "-H 'Content-Type: application/json'";
    let swap = format!(
        "-X POST {v1}/airports/documents/VDB/compare-and-swap {json} \
         -d '{{\"expected\": {{\"alt\": 20}}, \"update\": {{\"alt\": 30}}}}'"
    );
    say(&lines(
        note,
        &[
            Try {
                what: "Is it well?",
                arguments: format!("{base}/health"),
            },
            Try {
                what: "Which collections are there?",
                arguments: v1.clone(),
            },
            Try {
                what: "One airport, by its id",
                arguments: format!("{v1}/airports/documents/JFK"),
            },
            Try {
                what: "How many flights?",
                arguments: format!("{v1}/flights/count"),
            },
            Try {
                what: "A page of them",
                arguments: format!("'{v1}/flights/documents?limit=3'"),
            },
            Try {
                what: "Insert an airport",
                arguments: format!(
                    "-X PUT {v1}/airports/documents/VDB {json} \
                 -d '{{\"faa\": \"VDB\", \"name\": \"Velocity Field\", \"alt\": 10}}'"
                ),
            },
            Try {
                what: "Change one field of it",
                arguments: format!(
                    "-X PATCH {v1}/airports/documents/VDB {json} -d '{{\"alt\": 20}}'"
                ),
            },
            Try {
                what: "Change it if it is as expected: won",
                arguments: swap.clone(),
            },
            Try {
                what: "The same again: refused, with the document as it is",
                arguments: swap,
            },
        ],
    ));
}

fn farewell(settings: &Settings, db: &Database) {
    if settings.mode == StorageMode::MemoryOnly {
        return say("Stopped. The data was in memory only and is gone.");
    }
    let checkpoints = db.stats().checkpoints;
    say(&format!(
        "Stopped. All data is in the checkpoint at log index {} in {}.",
        thousands(checkpoints.last_index),
        settings.data.display(),
    ));
}

/// The signals that mean: stop, or read the configuration again.
#[cfg(unix)]
struct Signals {
    /// What SIGHUP means: a reload, or a stop.
    reloads: bool,
    /// `None` until the server runs.
    reloader: Option<Reloader>,
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen(reloads: bool) -> Result<Signals, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| {
            Failure::new(format!(
                "cannot listen for the signals that stop it: {error}"
            ))
        };
        Ok(Signals {
            reloads,
            reloader: None,
            hangup: signal(SignalKind::hangup()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// The next signal to stop. Those to reload are obeyed meanwhile.
    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => match &self.reloader {
                    _ if !self.reloads => return "SIGHUP",
                    // Its outcome is in the log.
                    Some(reloader) => {
                        let reloader = reloader.clone();
                        let reload = move || reloader.reload().is_ok();
                        let _ = tokio::task::spawn_blocking(reload).await;
                    }
                    None => {} // it has just been read
                },
                _ = self.interrupt.recv() => return "Interrupt",
                _ = self.terminate.recv() => return "SIGTERM",
            }
        }
    }
}

/// The signals that mean: stop.
#[cfg(not(unix))]
struct Signals {
    reloader: Option<Reloader>,
}

#[cfg(not(unix))]
impl Signals {
    fn listen(_: bool) -> Result<Signals, Failure> {
        Ok(Signals { reloader: None })
    }

    async fn next(&mut self) -> &'static str {
        // An error leaves nothing to wait for: stopping is the safe reading of it.
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    }
}
