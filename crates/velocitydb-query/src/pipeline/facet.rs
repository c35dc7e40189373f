//! The facet stage: several pipelines over the same rows, whose answers become one row.

use velocitydb_types::Value;

use super::sink::{Flow, Next, Sink};
use crate::error::QueryError;
use crate::limits::{Allowance, Kept, map_bytes};
use crate::row::{Aggregated, Row};

pub(super) struct Facet<'p> {
    /// The pipelines by name, and whether each has enough.
    inside: Vec<(&'p str, Next<'p>, Flow)>,
    kept: Kept,
    next: Next<'p>,
}

impl<'p> Facet<'p> {
    pub(super) fn new(
        inside: impl IntoIterator<Item = (&'p str, Next<'p>)>,
        limits: Allowance<'_>,
        next: Next<'p>,
    ) -> Facet<'p> {
        let inside = inside.into_iter();
        Facet {
            inside: inside
                .map(|(name, sink)| (name, sink, Flow::More))
                .collect(),
            kept: Kept::of("$facet", limits),
            next,
        }
    }
}

impl Sink for Facet<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let mut all = Flow::Enough;
        for (_, sink, flow) in &mut self.inside {
            if *flow == Flow::More {
                *flow = sink.push(row.lend())?;
            }
            if *flow == Flow::More {
                all = Flow::More;
            }
        }
        Ok(all)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        let mut row = Aggregated::new();
        for (name, sink, _) in self.inside {
            let rows = sink.finish()?;
            self.kept.resize(0, rows.iter().map(map_bytes).sum())?;
            let rows = rows.into_iter().map(Value::Map);
            row.insert(name.to_owned(), Value::Array(rows.collect()));
        }
        self.next.push(Row::from(row))?;
        self.next.finish()
    }
}
