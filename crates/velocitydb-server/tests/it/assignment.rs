//! Assignment, as a server of ColonyOS asks for it: the next process that fits an executor becomes
//! that executor's, in one statement, whoever else asks.
//!
//! It is a walk of an index in the order of priorities with a compare-and-swap: so many documents
//! are examined as are assigned, whatever waits besides.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use velocitydb::Database;
use velocitydb_pg::Door;

use crate::pg::{client, open};

/// The next waiting process for `$1`, an executor of this name and of type `$2`.
const ASSIGN: &str = "
    UPDATE waits SET is_assigned = TRUE, assigned_to = $1, state = 1, started = NOW(),
        deadline = CASE WHEN seconds > 0 THEN NOW() + seconds * INTERVAL '1 second' ELSE deadline END
    WHERE id = (
        SELECT id FROM waits
        WHERE ($1 = ANY(targets) OR (array_length(targets, 1) IS NULL OR targets = ARRAY['*']::text[]))
          AND executor_type = $2 AND state = 0 AND is_assigned = FALSE AND wait_for_parents = FALSE
          AND colony = 'dev' AND cpu <= 1000 AND memory <= 1000
          AND (location IS NULL OR location = '' OR LOWER(location) = LOWER('Here'))
        ORDER BY prioritytime ASC LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING *";

/// A table with indexes as that server has them, and those of its own that do not serve.
const TABLE: &str = "
    CREATE TABLE waits (id text PRIMARY KEY, colony text NOT NULL, targets text[], assigned_to text, state integer,
        is_assigned boolean, executor_type text, started timestamptz, deadline timestamptz, seconds integer,
        prioritytime bigint, wait_for_parents boolean, cpu bigint, memory bigint, location text);
    CREATE INDEX waits_submitted ON waits (colony, state, started);
    CREATE INDEX waits_all ON waits (state, executor_type, is_assigned, wait_for_parents, colony, location, prioritytime);
    CREATE INDEX waits_priority ON waits (colony, state, prioritytime);
    CREATE INDEX waits_type ON waits (colony, state, executor_type, prioritytime);
    CREATE INDEX waits_targets ON waits USING GIN (targets) WHERE state = 0 AND is_assigned = FALSE;
    CREATE INDEX waits_waiting ON waits (colony, executor_type, prioritytime)
        WHERE state = 0 AND is_assigned = FALSE AND wait_for_parents = FALSE;
    CREATE INDEX waits_state ON waits (state)";

/// So many processes wait, the last ones for `cli`, the others for another type; the lowest
/// priority time first.
async fn waiting(client: &Client, count: usize, last: usize) {
    client.batch_execute(TABLE).await.unwrap();
    let copy = "COPY waits (id, colony, targets, state, is_assigned, executor_type, seconds, \
                prioritytime, wait_for_parents, cpu, memory, location) FROM STDIN";
    let sink = client.copy_in::<_, Bytes>(copy).await.unwrap();
    let mut sink = std::pin::pin!(sink);
    let mut rows = String::new();
    for at in 0..count {
        // Ids come in no order of priority.
        let id = at * 7919 % 1_000_003;
        let of = if at < count - last { "other" } else { "cli" };
        rows += &format!("{id:08x}\tdev\t{{}}\t0\tf\t{of}\t60\t{at}\tf\t0\t0\t\n");
    }
    sink.send(rows.into()).await.unwrap();
    sink.finish().await.unwrap();
}

/// A connection, and the task that ends it at once when it is aborted.
async fn connect(door: &Door) -> (Client, JoinHandle<()>) {
    let port = door.local_addr().port();
    let config = format!("host=127.0.0.1 port={port} user=ann");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let speaks = tokio::spawn(async { drop(connection.await) });
    (client, speaks)
}

/// How many documents each access of a statement has looked at, by what EXPLAIN ANALYZE says.
async fn examined(client: &Client, sql: &str) -> Vec<(String, u64)> {
    let explained = client.simple_query(&format!("EXPLAIN ANALYZE {sql}")).await;
    let lines = explained
        .unwrap()
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().to_owned()),
            _ => None,
        });
    let accesses = lines.filter_map(|line| {
        let line = line.trim_start_matches([' ', '└', '─']);
        let (access, figures) = line.split_once("  rows ")?;
        let is_access = ["index ", "by id", "scan"]
            .iter()
            .any(|kind| access.starts_with(kind));
        let rows = figures.split(' ').next().unwrap().parse().unwrap();
        is_access.then(|| (access.to_owned(), rows))
    });
    accesses.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_examines_the_process_that_it_assigns_and_no_other() {
    let assign = ASSIGN.replace("$1", "'e1'").replace("$2", "'cli'");
    for (count, last) in [
        (1_000, 1_000),
        (1_000, 100),
        (20_000, 20_000),
        (20_000, 100),
    ] {
        let door = open(&Database::in_memory().unwrap());
        let client = client(&door).await;
        waiting(&client, count, last).await;
        // The first, and one behind a hundred that were assigned before.
        for n in 0..3 {
            let examined = examined(&client, &assign).await;
            let rows: Vec<_> = examined.iter().map(|(_, rows)| *rows).collect();
            assert_eq!(
                rows,
                [1, 1],
                "{count} waiting, {last} fit, {n}: {examined:?}"
            );
            let index = &examined[1].0;
            assert!(
                index.starts_with("index waits_type") || index.starts_with("index waits_waiting"),
                "{examined:?}"
            );
            for _ in 0..30 {
                assert_eq!(client.execute(ASSIGN, &[&"e1", &"cli"]).await.unwrap(), 1);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_executors_are_assigned_each_process_once_and_in_order() {
    const EXECUTORS: usize = 64;
    const PROCESSES: usize = 1_000;
    let door = open(&Database::in_memory().unwrap());
    let owner = client(&door).await;
    waiting(&owner, PROCESSES, PROCESSES).await;
    let door = Arc::new(door);
    // In the order in which they were answered.
    let answered = Arc::new(AtomicUsize::new(0));
    let tasks = (0..EXECUTORS).map(|executor| {
        let (door, answered) = (Arc::clone(&door), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut assigned = Vec::<(Option<usize>, i64)>::new();
            let name = format!("e{executor}");
            let (mut connection, mut speaks) = connect(&door).await;
            loop {
                // Each fourth is killed now and then, with its question on the way.
                if executor % 4 == 0 && assigned.len() % 5 == 4 {
                    let steps = async {
                        for _ in 0..executor {
                            tokio::task::yield_now().await;
                        }
                    };
                    let parameters: [&(dyn ToSql + Sync); 2] = [&name, &"cli"];
                    tokio::select! {
                        biased;
                        rows = connection.query(ASSIGN, &parameters) => {
                            let rows = rows.unwrap();
                            assigned.extend(rows.iter().map(|row| (None, row.get("prioritytime"))));
                        }
                        () = steps => {}
                    }
                    speaks.abort();
                    (connection, speaks) = connect(&door).await;
                }
                let rows = connection.query(ASSIGN, &[&name, &"cli"]).await.unwrap();
                let Some(row) = rows.first() else {
                    return (name, assigned);
                };
                assert_eq!((rows.len(), row.get::<_, &str>("assigned_to")), (1, &*name));
                let at = answered.fetch_add(1, Ordering::SeqCst);
                assigned.push((Some(at), row.get("prioritytime")));
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut known = Vec::new();
    for task in tasks {
        let (name, assigned) = task.await.unwrap();
        // Whoever asks again gets what is behind what it had.
        assert!(
            assigned.windows(2).all(|two| two[0].1 < two[1].1),
            "{name}: {assigned:?}"
        );
        known.extend(
            assigned
                .into_iter()
                .map(|(at, priority)| (priority, at, name.clone())),
        );
    }
    known.sort();
    // None twice, and each is in the table as it was answered.
    assert!(known.windows(2).all(|two| two[0].0 < two[1].0));
    let rows = owner.query(
        "SELECT prioritytime, assigned_to, state, is_assigned FROM waits ORDER BY prioritytime",
        &[],
    );
    let rows = rows.await.unwrap();
    assert_eq!(rows.len(), PROCESSES);
    for row in &rows {
        assert_eq!(
            (
                row.get::<_, i32>("state"),
                row.get::<_, bool>("is_assigned")
            ),
            (1, true),
            "{row:?}"
        );
    }
    let unknown = PROCESSES - known.len();
    for (priority, at, name) in &known {
        let row = &rows[usize::try_from(*priority).unwrap()];
        assert_eq!(row.get::<_, &str>("assigned_to"), name);
        // Those of more urgency are assigned, or are being assigned: by others, or by those killed.
        if let Some(at) = at {
            let ahead = usize::try_from(*priority).unwrap();
            assert!(
                ahead <= at + 2 * EXECUTORS + unknown,
                "{ahead} as number {at}"
            );
        }
    }
    // Whose connection is gone has been assigned a process, or none; not half of one.
    let killed = rows.iter().filter(|row| {
        let priority = row.get::<_, i64>("prioritytime");
        known
            .binary_search_by_key(&priority, |(priority, _, _)| *priority)
            .is_err()
    });
    for row in killed {
        let executor: usize = row.get::<_, &str>("assigned_to")[1..].parse().unwrap();
        assert_eq!(executor % 4, 0);
    }
}
