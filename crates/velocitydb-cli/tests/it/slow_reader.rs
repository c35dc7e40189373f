//! A client of SQL that reads a large result slowly, and one that goes in the middle of it: what the
//! server's memory is, and that others go on.
//!
//! The server keeps a handle of each row, and makes what is sent from it when the client takes it. With
//! ten million rows: `VELOCITYDB_TEST_ROWS=10000000 cargo test -p velocitydb-cli slow_reader`.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::http::get;
use crate::postgres::{Client, Part};
use crate::process::Served;

/// Rows, unless the environment says how many.
const ROWS: usize = 1_000_000;

/// Bytes that a row of the result may take beside the table: its handle, in a list that grows and is
/// copied meanwhile. As it is sent it has more than ten times as many.
const ROW_BYTES: usize = 24;

/// What beside that may be taken by the clients' buffers, the others' statements, and the allocator.
const OTHER_BYTES: usize = 40 << 20;

/// The columns of the result: of each row 350 bytes.
const RESULT: &str = "SELECT id, n, a, a, a, a, a, a, a, a, a, a FROM t";

fn rows() -> usize {
    let rows = std::env::var("VELOCITYDB_TEST_ROWS");
    rows.map_or(ROWS, |rows| rows.parse().unwrap())
}

/// Looks until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(120), "never: {what}");
        std::thread::yield_now();
    }
}

/// A figure of /proc/PID/status, in bytes.
fn memory(served: &Served, figure: &str) -> usize {
    let path = format!("/proc/{}/status", served.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let kilobytes = line.unwrap().trim_start_matches(':').trim();
    kilobytes
        .strip_suffix(" kB")
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}

/// Whether the system's buffers of both sides are full: the server's end of the connection waits for
/// room (its timer is that of a window that is closed).
fn is_stuck(client: &Client) -> bool {
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let client = format!(":{:04X}", client.port());
    connections.lines().any(|line| {
        // number, local address, the other's, state, queues, timer:when
        let words: Vec<&str> = line.split_whitespace().collect();
        words[2].ends_with(&client) && words[5].starts_with("04:")
    })
}

/// What all queries keep.
fn kept_by_queries(served: &Served) -> usize {
    let metrics = get(&format!("http://{}/metrics", served.address)).body;
    let name = "velocitydb_query_memory_used_bytes ";
    let figure = metrics.lines().find_map(|line| line.strip_prefix(name));
    figure.unwrap().parse().unwrap()
}

fn number(row: &[Option<String>], at: usize) -> usize {
    row[at].as_ref().unwrap().parse().unwrap()
}

#[test]
fn a_large_result_that_is_read_slowly_takes_bounded_memory() {
    let rows = rows();
    let served = Served::start(&["--mode", "memory-only", "--postgres", "127.0.0.1:0"]);
    let mut other = Client::of(&served.said);
    other.query("CREATE TABLE t (id int PRIMARY KEY, n int, a text)");
    let all: Vec<usize> = (0..rows).collect();
    for part in all.chunks(1_000_000) {
        let mut data = String::new();
        for id in part {
            writeln!(data, "{id}\t0\t{id:032}").unwrap();
        }
        let tag = other.copy_in("COPY t FROM STDIN", data.as_bytes());
        assert_eq!(tag, format!("COPY {}", part.len()));
    }
    drop(all);
    let before = memory(&served, "VmRSS");
    // From now on the highest is that of what follows.
    std::fs::write(format!("/proc/{}/clear_refs", served.id()), "5").unwrap();
    let bound = before + rows * ROW_BYTES + OTHER_BYTES;
    let bounded = |when: &str| {
        let highest = memory(&served, "VmHWM");
        assert!(
            highest <= bound,
            "{when}: {highest} of {bound}, {before} before"
        );
    };

    let mut slow = Client::of(&served.said);
    slow.ask(RESULT);
    until("the buffers are full", || is_stuck(&slow));
    bounded("when nothing is read");
    assert!(kept_by_queries(&served) >= rows * size_of::<usize>());
    // Others read and write the same rows meanwhile; the slow one sees what was when it asked.
    let changed = rows / 100;
    let (_, tag) = other.query(&format!("UPDATE t SET n = 1 WHERE id < {changed}"));
    assert_eq!(tag, format!("UPDATE {changed}"));
    let (counted, _) = other.query("SELECT count(*) FROM t WHERE n = 1");
    assert_eq!(number(&counted[0], 0), changed);
    assert_eq!(other.query("DELETE FROM t WHERE id = 0").1, "DELETE 1");
    bounded("after writes of others");

    let (mut seen, mut ids) = (0, 0);
    let tag = loop {
        match slow.part() {
            Part::Row(row) => {
                (seen, ids) = (seen + 1, ids + number(&row, 0));
                assert_eq!(number(&row, 1), 0, "as it was when it was asked for");
            }
            Part::Tag(tag) => break tag,
            Part::Ready => unreachable!("a tag comes before"),
        }
        // A little is read, and then nothing until the server waits again.
        if seen % 20_000 == 0 && seen <= rows / 4 {
            until("the buffers are full again", || is_stuck(&slow));
        }
    };
    assert_eq!(tag, format!("SELECT {rows}"));
    assert_eq!((seen, ids), (rows, rows * (rows - 1) / 2));
    assert_eq!(slow.part(), Part::Ready);
    bounded("when all was read");
    assert_eq!(kept_by_queries(&served), 0);

    // One that goes in the middle.
    slow.ask(RESULT);
    until("the buffers are full", || is_stuck(&slow));
    for _ in 0..1_000 {
        assert!(matches!(slow.part(), Part::Row(_)));
    }
    assert!(kept_by_queries(&served) >= (rows - 1) * size_of::<usize>());
    drop(slow);
    until("its memory is given back to queries", || {
        kept_by_queries(&served) == 0
    });
    until("its memory is given back to the system", || {
        other.query("SELECT 1");
        memory(&served, "VmRSS") <= before + OTHER_BYTES / 2
    });
    bounded("in the end");
    assert_eq!(
        other.query("SELECT count(*) FROM t").0[0][0],
        Some((rows - 1).to_string())
    );
    served.stop();
}
