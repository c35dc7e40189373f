//! Memory of an idle connection that has run one prepared statement and keeps it.
//!
//! PostgreSQL has a process for each: what processes share counts once. What the kernel has for
//! a connection or a process does not count on either side.
//!
//! A process takes PostgreSQL about 4 ms of a core to begin and to end, and its memory hardly differs
//! from round to round (1,213 to 1,229 KiB): it is asked once, where we are asked in every round.

use super::servers::Server;
use super::{Bench, Commit, room_for};
use crate::BenchError;
use crate::measure::{Better, Row, Spread, short};

pub(super) fn memory(bench: &mut Bench<'_>) -> Result<Row, BenchError> {
    let (subject, connections) = (bench.subject, bench.subject.connections);
    may_open(connections)?;
    let room = room_for(connections);
    let ours = (0..subject.options.rounds).map(|_| {
        // A new one: what an earlier round has left would be used again.
        growth(&subject.ours(Commit::Synced, room)?, connections)
    });
    let ours = ours.collect::<Result<Vec<_>, _>>()?;
    let detail = match &bench.peer {
        None => String::new(),
        Some(peer) => {
            let server = subject.theirs(peer, Commit::Synced, room)?;
            let theirs = short(growth(&server, connections)?);
            format!("{}: {theirs} KiB, in one round", peer.version)
        }
    };
    Ok(Row {
        what: format!("memory of an idle connection, {connections} of them"),
        figure: Spread::of(&ours),
        unit: "KiB",
        bar: 64.0,
        aim: 16.0,
        better: Better::Lower,
        detail,
    })
}

/// What a server takes more with this many connections, in KiB for each.
fn growth(server: &Server, connections: usize) -> Result<f64, BenchError> {
    const TABLE: &str = "CREATE TABLE things (id integer PRIMARY KEY, name text)";
    const SQL: &str = "SELECT name FROM things WHERE id = 1";
    let ask = || {
        let mut client = server.client()?;
        let name = client.prepare_and_run(SQL)?;
        match name.as_deref() {
            Some("one") => Ok(client),
            _ => Err(BenchError::Unfit(format!("{SQL} answers {name:?}"))),
        }
    };
    let mut first = server.client()?;
    first.query(TABLE)?;
    first.query("INSERT INTO things VALUES (1, 'one')")?;
    // What only the first ones cause.
    for _ in 0..10 {
        ask()?;
    }
    let before = server.process.memory_bytes()?;
    let clients: Result<Vec<_>, BenchError> = (0..connections).map(|_| ask()).collect();
    let clients = clients?;
    let after = server.process.memory_bytes()?;
    drop(clients);
    Ok((after as f64 - before as f64) / 1024.0 / connections as f64)
}

/// Each connection is a file on both of its ends.
fn may_open(connections: usize) -> Result<(), BenchError> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let limit = limits.lines().find_map(|line| {
        let limit = line.strip_prefix("Max open files")?;
        limit.split_whitespace().next()?.parse::<usize>().ok()
    });
    let wanted = connections + 100;
    match limit {
        Some(limit) if limit < wanted => Err(BenchError::Unfit(format!(
            "{connections} connections need as many open files, and {limit} are allowed: \
             ulimit -n {wanted}"
        ))),
        _ => Ok(()),
    }
}
