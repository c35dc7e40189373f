//! What is removed because it is old.

use std::time::Duration;

use velocitydb::Timestamp;
use velocitydb::query::{Filter, Find};

use crate::Colonies;
use crate::attribute::Attribute;
use crate::error::Error;
use crate::graph::ProcessGraph;
use crate::log::Log;
use crate::model::State;
use crate::process::Process;
use crate::records::all_of;
use crate::row::Column as _;

/// How many were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Attributes.
    pub attributes: u64,
    /// Logs.
    pub logs: u64,
    /// Processes.
    pub processes: u64,
    /// Graphs of processes.
    pub graphs: u64,
}

impl Colonies {
    /// Removes logs that are older than this, and processes, graphs and attributes that are in one of
    /// these states and older. ColonyOS removes successful ones. What is of a graph that is not closed
    /// stays: those that are still to be done need those that are done.
    ///
    /// # Errors
    /// The database cannot write. Some may have been removed then.
    pub fn apply_retention(&self, age: Duration, states: &[State]) -> Result<Removed, Error> {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(self.store().now().0.saturating_sub(age));
        let mut removed = Removed {
            logs: self.remove_where::<Log>(&Filter::lt("added", before))?,
            ..Removed::default()
        };
        let open = [State::Waiting, State::Running].into_iter();
        let open = open.filter(|state| !states.contains(state));
        let open = open.map(|state| state.write());
        let open: Vec<ProcessGraph> = self.find(&Find::new(all_of([
            Filter::is_in("state", open),
            Filter::lt("submission_time", before),
        ])))?;
        let of_open = Filter::is_in("processgraph_id", open.into_iter().map(|graph| graph.id));
        for state in states {
            let old = |column: &'static str| {
                all_of([
                    Filter::lt(column, before),
                    Filter::eq("state", state.write()),
                ])
            };
            let done = |column| all_of([old(column), !of_open.clone()]);
            removed.attributes += self.remove_where::<Attribute>(&done("added"))?;
            removed.processes += self.remove_where::<Process>(&done("submission_time"))?;
            removed.graphs += self.remove_where::<ProcessGraph>(&old("submission_time"))?;
        }
        Ok(removed)
    }
}
