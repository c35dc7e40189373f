//! pgbench's tables: filled, brought into memory, and checked after each run.

use super::Pair;
use super::pgbench::{Load, Pgbench};
use super::servers::Server;
use crate::BenchError;

/// Fills both sides, and brings all of it into their memory.
pub(super) fn fill(pair: &Pair, pgbench: &Pgbench) -> Result<(), BenchError> {
    pgbench.initialize(&pair.ours)?;
    let Some(theirs) = &pair.theirs else {
        return Ok(());
    };
    pgbench.initialize(theirs)?;
    // COPY and the making of an index pass by PostgreSQL's buffers: each page of both is read once.
    let mut client = theirs.client()?;
    client.query("SET enable_bitmapscan = off")?;
    let sum = "SELECT sum(abalance) FROM pgbench_accounts WHERE aid > 0";
    for scan in ["SET enable_seqscan = on", "SET enable_seqscan = off"] {
        client.query(scan)?;
        client.query(sum)?;
    }
    client.query("CHECKPOINT").map(|_| ())
}

/// Whether the tables show what was committed: pgbench empties the history before it runs, and each
/// transaction adds the same to an account, a teller and a branch.
pub(super) fn check(server: &Server, load: &Load) -> Result<(), BenchError> {
    let mut client = server.client()?;
    let mut number = |sql: &str| -> Result<i64, BenchError> {
        let answer = client.query(sql)?.unwrap_or_default();
        let number = answer.parse();
        number.map_err(|_| BenchError::Unfit(format!("{sql} answers {answer:?}")))
    };
    let rows = number("SELECT count(*) FROM pgbench_history")?;
    if rows != load.transactions as i64 {
        let what = format!(
            "{} transactions were committed, but {rows} rows were inserted",
            load.transactions
        );
        return Err(BenchError::Unfit(what));
    }
    let branches = number("SELECT sum(bbalance) FROM pgbench_branches")?;
    for (table, column) in [("tellers", "tbalance"), ("accounts", "abalance")] {
        let sum = number(&format!("SELECT sum({column}) FROM pgbench_{table}"))?;
        if sum != branches {
            let what = format!(
                "updates were lost: the branches' balances are {branches} together, the {table}' {sum}"
            );
            return Err(BenchError::Unfit(what));
        }
    }
    Ok(())
}
