//! Crons: workflows that are submitted again and again.

use velocitydb::query::{Filter, Find};
use velocitydb::{Timestamp, Update};

use crate::error::Error;
use crate::graph::{Begin, ProcessGraph, WorkflowSpec, plan, submit_graph, workflow_of};
use crate::process::after;
use crate::records::{all_of, group};
use crate::row::{Column as _, Record as _, key, record};
use crate::store::{Change, Hold};

record! {
    /// A workflow that is submitted again and again.
    Cron in "crons" called "cron" {
        /// Its id.
        id: String, "cronid", "cron_id";
        /// In whose name it submits.
        initiator_id: String, "initiatorid", "initiator_id";
        /// The name of that.
        initiator_name: String, "initiatorname", "initiator_name";
        /// The colony.
        colony: String, "colonyname", "colony_name";
        /// Its name, which is unique in the colony.
        name: String, "name", "name";
        /// When it submits, unless it has an interval.
        expression: String, "cronexpression", "cron_expr";
        /// Seconds between two times; 0 or less: it has an expression.
        interval_s: i32, "interval", "interval";
        /// Whether the time is to be chosen within the interval.
        random: bool, "random", "random";
        /// When it submits next; none: it was not planned yet.
        #[serde(with = "crate::row::json::time")]
        next_run: Option<Timestamp>, "nextrun", "next_run";
        /// When it submitted last.
        #[serde(with = "crate::row::json::time")]
        last_run: Option<Timestamp>, "lastrun", "last_run";
        /// What it submits: a [`WorkflowSpec`] as JSON.
        workflow: String, "workflowspec", "workflow_spec";
        /// The graph that it submitted last.
        prev_graph_id: String, "prevprocessgraphid", "prev_processgraph_id";
        /// Whether that has to be closed first.
        wait_for_prev: bool, "waitforprevprocessgraph", "wait_for_prev_processgraph";
    }
}

impl Cron {
    /// The next time by its interval; `None`: it has none, but an expression.
    pub fn by_interval(&self, now: Timestamp) -> Option<Timestamp> {
        after(now, self.interval_s)
    }
}

group! {
    /// Crons. From [`crate::Colonies::crons`].
    Crons
}

impl Crons<'_> {
    /// Adds a cron.
    ///
    /// # Errors
    /// [`Error::Exists`]: the colony has one of its name, or there is one of its id.
    pub fn add(&self, cron: &Cron) -> Result<(), Error> {
        self.of.insert::<Cron>(&cron.name, cron.to_fields()?)
    }

    /// The cron of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, id: &str) -> Result<Option<Cron>, Error> {
        self.of.by_id(id)
    }

    /// The cron of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn by_name(&self, colony: &str, name: &str) -> Result<Option<Cron>, Error> {
        self.of.find_one(all_of([
            Filter::eq("colony_name", colony),
            Filter::eq("name", name),
        ]))
    }

    /// Those of a colony (of all), at most so many.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn find(&self, colony: Option<&str>, most: usize) -> Result<Vec<Cron>, Error> {
        let filter = all_of(colony.map(|colony| Filter::eq("colony_name", colony)));
        self.of.find(&Find::new(filter).limit(most))
    }

    /// Sets when a cron submits next and submitted last, and which graph.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn plan(
        &self,
        id: &str,
        next_run: Option<Timestamp>,
        last_run: Option<Timestamp>,
        graph_id: &str,
    ) -> Result<(), Error> {
        let update = Update::new()
            .set("next_run", next_run.write())
            .set("last_run", last_run.write())
            .set("prev_processgraph_id", graph_id);
        self.of.change::<Cron>(id, update)
    }

    /// Submits the workflow of a cron whose time has come, and plans the next time: what `next` answers,
    /// for instance [`Cron::by_interval`]. Whoever else does so at the same time, it is submitted once. What
    /// the leaves of the former graph have given goes into the roots. A cron that was not planned yet
    /// is planned.
    ///
    /// `None`: it is not time yet, another was faster, or the former graph is not closed and
    /// has to be.
    ///
    /// # Errors
    /// [`Error::NotFound`]; its workflow makes no sense.
    pub fn fire(
        &self,
        id: &str,
        next: impl Fn(&Cron, Timestamp) -> Option<Timestamp>,
    ) -> Result<Option<ProcessGraph>, Error> {
        let now = self.of.store().now();
        let crons = &self.of.name(Cron::COLLECTION);
        let graphs = &self.of.name(ProcessGraph::COLLECTION);
        let names = self.of.process_names();
        let at = key(id)?;
        let mut submitted = None;
        // What the former one has given does not change once it is closed.
        let before = self
            .get(id)?
            .ok_or_else(|| Error::not_found(Cron::WHAT, id))?;
        let (open, input) = self.former(&before)?;
        self.of.store().transact(Hold::Changed, &mut |steps| {
            submitted = None;
            let row = steps.get(crons, &at)?;
            let row = row.ok_or_else(|| Error::not_found(Cron::WHAT, id))?;
            let cron = Cron::from_row(&row)?;
            let planned = |update: Update| Change::Update {
                collection: crons,
                id: at.clone(),
                update: update.set("next_run", next(&cron, now).write()),
            };
            match cron.next_run {
                None => return steps.change(planned(Update::new())),
                Some(time) if time > now => return Ok(()),
                Some(_) if cron.prev_graph_id != before.prev_graph_id => return Ok(()),
                Some(_) if open && cron.wait_for_prev => return Ok(()),
                Some(_) => {}
            }
            let workflow: WorkflowSpec = workflow_of(&row, Cron::WHAT)?;
            let begin = Begin {
                initiator_id: &cron.initiator_id,
                initiator_name: &cron.initiator_name,
                args: Vec::new(),
                input: input.clone(),
            };
            let (mut graph, mut processes) = plan(&workflow, &begin)?;
            let mut changes = Vec::new();
            submit_graph(
                self.of,
                &mut graph,
                &mut processes,
                &names,
                graphs,
                &mut changes,
            )?;
            changes
                .into_iter()
                .try_for_each(|change| steps.change(change))?;
            let update = Update::new().set("last_run", now);
            steps.change(planned(
                update.set("prev_processgraph_id", graph.id.as_str()),
            ))?;
            submitted = Some(graph);
            Ok(())
        })?;
        Ok(submitted)
    }

    /// As [`Crons::fire`], of all crons whose time has come.
    ///
    /// # Errors
    /// As [`Crons::fire`], of the first one that could not; all others have been fired then.
    pub fn fire_due(
        &self,
        next: impl Fn(&Cron, Timestamp) -> Option<Timestamp>,
    ) -> Result<Vec<ProcessGraph>, Error> {
        let due = Filter::le("next_run", self.of.store().now());
        let due: Vec<Cron> = self.of.find(&Find::new(due))?;
        let (mut submitted, mut failed) = (Vec::new(), None);
        for cron in due {
            match self.fire(&cron.id, &next) {
                Ok(graph) => submitted.extend(graph),
                // It was removed meanwhile.
                Err(Error::NotFound { .. }) => {}
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(submitted),
        }
    }

    /// Whether the former graph is open, and what its leaves have given.
    fn former(&self, cron: &Cron) -> Result<(bool, Vec<serde_json::Value>), Error> {
        if cron.prev_graph_id.is_empty() {
            return Ok((false, Vec::new()));
        }
        let Some(graph) = self.of.graphs().get(&cron.prev_graph_id)? else {
            return Ok((false, Vec::new()));
        };
        let all = match self.of.graphs().processes(&graph.id) {
            Ok(all) => all,
            Err(Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let leaves = all
            .into_iter()
            .filter(|process| process.children.is_empty());
        let given = leaves.flat_map(|leaf| leaf.output).collect();
        Ok((!graph.state.is_closed(), given))
    }

    /// Removes a cron.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        self.of.remove_one::<Cron>(&Filter::eq("cron_id", id), id)
    }

    /// Removes those of a colony; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<Cron>(&Filter::eq("colony_name", colony))
    }
}
