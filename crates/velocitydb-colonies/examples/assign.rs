//! How many processes are assigned a second.
//!
//! `assign LEVEL CALLERS WAITING BATCH OTHERS INDEXES`: at the durability LEVEL (`os`, `full`, …) so many
//! CALLERS ask at once for BATCH processes each, of WAITING ones beside OTHERS of another executor type, with
//! the indexes over processes of the `server` or `few`.

// Numbers are all that it is for; wrong arguments end it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use velocitydb::{Database, Durability, Options};
use velocitydb_colonies::{
    Candidate, Colonies, DEFAULT_PREFIX, FunctionSpec, Indexes, Process, load,
};

/// As in the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| arguments.get(at).map_or(default, |it| it.parse().unwrap());
    let level = arguments.first().map_or("os", String::as_str);
    let (callers, waiting, batch) = (number(1, 64), number(2, 100_000), number(3, 1));
    let others = number(4, 0);
    let indexes = match arguments.get(5).map(String::as_str) {
        Some("few") => Indexes::Few,
        _ => Indexes::Server,
    };
    let dir = std::env::temp_dir().join(format!("velocitydb_assign_{}", std::process::id()));
    let durability = Durability::ALL
        .into_iter()
        .find(|it| it.name() == level)
        .unwrap();
    // Filled fast, then measured at the level.
    let filled = Options::at(&dir)
        .durability(Durability::Memory)
        .memory_limit(4 << 30);
    let db = Database::open(filled).unwrap();
    load(&db, DEFAULT_PREFIX, indexes).unwrap();
    let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);
    for at in 0..others + waiting {
        let of = if at < others { "other" } else { "cli" };
        let mut process = Process::new(FunctionSpec::new("dev", of, "echo"));
        colonies.processes().add(&mut process).unwrap();
    }
    drop(colonies);
    db.close().unwrap();
    drop(db);
    let options = Options::at(&dir)
        .durability(durability)
        .memory_limit(4 << 30);
    let db = Database::open(options).unwrap();
    let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);
    let (taken, examined) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (begin, cpu) = (Instant::now(), cpu_s());
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let (colonies, taken, examined) = (&colonies, &taken, &examined);
            scope.spawn(move || {
                let executor = Candidate::new("dev", format!("id{caller}"), "e", "cli");
                loop {
                    let found = colonies.processes().assign_many(&executor, batch).unwrap();
                    examined.fetch_add(found.examined, Ordering::Relaxed);
                    taken.fetch_add(found.processes.len(), Ordering::Relaxed);
                    if found.processes.is_empty() {
                        break;
                    }
                }
            });
        }
    });
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), cpu_s() - cpu);
    let (taken, examined) = (taken.into_inner() as f64, examined.into_inner() as f64);
    println!(
        "{level}, {callers} callers, batches of {batch}, {waiting} waiting, {others} others, {indexes:?}: \
         {:.0}/s, {:.1} us each, {:.1} us of CPU, {:.2} rows examined",
        taken / seconds,
        seconds * 1e6 / taken,
        cpu * 1e6 / taken,
        examined / taken
    );
    let _ = std::fs::remove_dir_all(&dir);
}

/// What the process has used of processors, in seconds; 0 where that cannot be known.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|it| it.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(12) + ticks(13)) / 100.0
}
