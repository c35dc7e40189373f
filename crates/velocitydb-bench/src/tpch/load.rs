//! The tables, the same on both sides, and what is in them: made by the crate `tpchgen`, sent by COPY.
//!
//! `tables.sql` has the tables with their primary keys, `keys.sql` what is made when they are filled:
//! indexes of the columns that refer to others, and the foreign keys, as the specification has them
//! (1.4.2), but for that of lineitem to partsupp: it is of two columns, which we do not know, and its
//! columns refer to part and to supplier.

use std::fmt::{Display, Write};
use std::time::{Duration, Instant};

use tpchgen::csv::{
    CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv,
};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

use super::Side;
use crate::BenchError;
use crate::pg::wire::Client;

/// Rows of one COPY: a statement has a limit.
const COPY_ROWS: usize = 100_000;

/// The tables, each before those that it refers to: none is in the way of dropping another.
const TABLES: [&str; 8] = [
    "lineitem", "orders", "customer", "partsupp", "supplier", "part", "nation", "region",
];

/// The sides while they are filled, and how long each was busy with it.
pub(super) struct Loading(Vec<(Client, Duration)>);

/// How long a side was busy.
pub(super) struct Filled {
    /// With its tables and COPY.
    pub(super) copy: Duration,
    /// With indexes, foreign keys and ANALYZE.
    pub(super) keys: Duration,
}

/// Removes the tables.
pub(super) fn drop_tables(side: &Side) -> Result<(), BenchError> {
    let mut client = side.client()?;
    for table in TABLES {
        client.query(&format!("DROP TABLE {table}"))?;
    }
    Ok(())
}

impl Loading {
    /// Makes the tables of all sides.
    pub(super) fn make_tables(sides: &[Side]) -> Result<Loading, BenchError> {
        let open = |side: &Side| Ok((side.client()?, Duration::ZERO));
        let mut loading = Loading(sides.iter().map(open).collect::<Result<_, BenchError>>()?);
        loading.run(include_str!("tables.sql"))?;
        Ok(loading)
    }

    /// Fills them; how long each side was busy with it.
    pub(super) fn fill(&mut self, scale: f64) -> Result<Vec<Filled>, BenchError> {
        let rows = RegionGenerator::new(scale, 1, 1);
        self.copy("region", rows.iter().map(RegionCsv::new))?;
        let rows = NationGenerator::new(scale, 1, 1);
        self.copy("nation", rows.iter().map(NationCsv::new))?;
        let rows = PartGenerator::new(scale, 1, 1);
        self.copy("part", rows.iter().map(PartCsv::new))?;
        let rows = SupplierGenerator::new(scale, 1, 1);
        self.copy("supplier", rows.iter().map(SupplierCsv::new))?;
        let rows = PartSuppGenerator::new(scale, 1, 1);
        self.copy("partsupp", rows.iter().map(PartSuppCsv::new))?;
        let rows = CustomerGenerator::new(scale, 1, 1);
        self.copy("customer", rows.iter().map(CustomerCsv::new))?;
        let rows = OrderGenerator::new(scale, 1, 1);
        self.copy("orders", rows.iter().map(OrderCsv::new))?;
        let rows = LineItemGenerator::new(scale, 1, 1);
        self.copy("lineitem", rows.iter().map(LineItemCsv::new))?;
        let copied = self.busy();
        self.run(include_str!("keys.sql"))?;
        let all = self.busy();
        // What PostgreSQL would write while it is asked.
        for (client, _) in self.0.iter_mut().skip(1) {
            client.query("CHECKPOINT")?;
        }
        let filled = copied.into_iter().zip(all).map(|(copy, all)| Filled {
            copy,
            keys: all - copy,
        });
        Ok(filled.collect())
    }

    fn busy(&self) -> Vec<Duration> {
        self.0.iter().map(|(_, busy)| *busy).collect()
    }

    /// Runs statements, one at a time: so they are told apart when one fails.
    fn run(&mut self, statements: &str) -> Result<(), BenchError> {
        for statement in statements.lines() {
            self.each(|client| client.query(statement).map(|_| ()))
                .map_err(|error| BenchError::Unfit(format!("{statement}: {error}")))?;
        }
        Ok(())
    }

    fn copy(
        &mut self,
        table: &str,
        mut rows: impl Iterator<Item = impl Display>,
    ) -> Result<(), BenchError> {
        let sql = format!("COPY {table} FROM STDIN (FORMAT csv)");
        let mut chunk = String::new();
        loop {
            chunk.clear();
            for row in rows.by_ref().take(COPY_ROWS) {
                writeln!(chunk, "{row}").expect("a string takes everything");
            }
            if chunk.is_empty() {
                return Ok(());
            }
            self.each(|client| client.copy_in(&sql, chunk.as_bytes()))?;
        }
    }

    fn each(
        &mut self,
        work: impl Fn(&mut Client) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        for (client, taken) in &mut self.0 {
            let since = Instant::now();
            work(client)?;
            *taken += since.elapsed();
        }
        Ok(())
    }
}
