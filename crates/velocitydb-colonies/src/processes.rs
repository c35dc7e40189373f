//! Processes of a colony: submitting, finding, assigning, closing.
//!
//! Assignment is an index walk with a compare-and-swap: the waiting processes of a colony and an
//! executor type stand in an index in the order of their priority time, and only those; the first one
//! that fits and that nobody else is about to take is changed, if it still waits.
//!
//! Tests: tests/it/processes.rs, tests/it/assignment.rs.

use velocitydb::query::{Direction, Filter, Find as Query, Hint};
use velocitydb::{RawMap, Timestamp, Update, Value};

use crate::attribute::Attribute;
use crate::counter::Request;
use crate::error::Error;
use crate::graph::started;
use crate::model::{AttributeKind, State};
use crate::process::{Candidate, Process, after};
use crate::records::{all_of, group, taken};
use crate::row::{Column as _, Record as _, Row, key};
use crate::schema::ASSIGN_INDEX;
use crate::store::{Change, Take, Taken, Taker};

/// Which processes.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct Find {
    filters: Vec<(&'static str, Value)>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    state: Option<State>,
    in_graphs: Option<bool>,
    limit: Option<usize>,
}

impl Find {
    /// All of them.
    pub fn all() -> Find {
        Find::default()
    }

    /// Those of a colony.
    pub fn in_colony(colony: &str) -> Find {
        Find::all().with("target_colony_name", colony.into())
    }

    /// The one of this id.
    pub fn one(id: &str) -> Find {
        Find::all().with("process_id", id.into())
    }

    /// Those of a graph.
    pub fn in_graph(graph_id: &str) -> Find {
        Find::all().with("processgraph_id", graph_id.into())
    }

    /// In this state. Waiting ones come in the order in which they are assigned, running ones by
    /// their start, closed ones the newest first; all others by their submission, the newest first. See
    /// also [`Find::since`].
    pub fn state(mut self, state: State) -> Find {
        self.state = Some(state);
        self
    }

    /// For executors of this type.
    pub fn executor_type(self, executor_type: &str) -> Find {
        self.with("executor_type", executor_type.into())
    }

    /// That this executor has or had.
    pub fn executor(self, executor_id: &str) -> Find {
        self.with("assigned_executor_id", executor_id.into())
    }

    /// With this label.
    pub fn label(self, label: &str) -> Find {
        self.with("label", label.into())
    }

    /// That somebody of this name has submitted.
    pub fn initiator(self, name: &str) -> Find {
        self.with("initiator_name", name.into())
    }

    /// Submitted at this time or later. They come by their submission, the oldest first.
    pub fn since(mut self, time: Timestamp) -> Find {
        self.since = Some(time);
        self
    }

    /// Submitted before this time.
    pub fn before(mut self, time: Timestamp) -> Find {
        self.before = Some(time);
        self
    }

    /// Of graphs.
    pub fn of_graphs(mut self) -> Find {
        self.in_graphs = Some(true);
        self
    }

    /// Of no graph.
    pub fn of_no_graph(mut self) -> Find {
        self.in_graphs = Some(false);
        self
    }

    /// At most so many.
    pub fn limit(mut self, limit: usize) -> Find {
        self.limit = Some(limit);
        self
    }

    fn with(mut self, column: &'static str, value: Value) -> Find {
        self.filters.push((column, value));
        self
    }

    pub(crate) fn filter(&self) -> Filter {
        let equal = self.filters.iter();
        let mut all: Vec<Filter> = equal
            .map(|(column, value)| Filter::eq(*column, value.clone()))
            .collect();
        if let Some(state) = self.state {
            all.push(Filter::eq("state", state.write()));
        }
        if let Some(since) = self.since {
            all.push(Filter::ge("submission_time", since));
        }
        if let Some(before) = self.before {
            all.push(Filter::lt("submission_time", before));
        }
        match self.in_graphs {
            Some(true) => all.push(Filter::gt("processgraph_id", "")),
            Some(false) => all.push(Filter::eq("processgraph_id", "")),
            None => {}
        }
        all_of(all)
    }

    fn query(&self) -> Query {
        let order = match self.state {
            _ if self.since.is_some() => ("submission_time", Direction::Ascending),
            Some(State::Waiting) => ("prioritytime", Direction::Ascending),
            Some(State::Running) => ("start_time", Direction::Ascending),
            Some(_) => ("end_time", Direction::Descending),
            None => ("submission_time", Direction::Descending),
        };
        let query = Query::new(self.filter()).sort([order]);
        match self.limit {
            Some(limit) => query.limit(limit),
            None => query,
        }
    }
}

group! {
    /// The processes. From [`crate::Colonies::processes`].
    Processes
}

/// What an assignment has found.
#[derive(Debug, Default)]
pub struct Assigned {
    /// The processes, running now, in the order of their priority time.
    pub processes: Vec<Process>,
    /// How many waiting processes were looked at for that.
    pub examined: usize,
}

impl Processes<'_> {
    /// Submits a process: dates it, and keeps it with its environment as attributes.
    ///
    /// # Errors
    /// [`Error::Exists`]: there is one of its id.
    pub fn add(&self, process: &mut Process) -> Result<(), Error> {
        self.add_many(std::slice::from_mut(process))
    }

    /// As [`Processes::add`], several at once: all or none.
    ///
    /// # Errors
    /// [`Error::Exists`]: there is one of the id of one of them.
    pub fn add_many(&self, processes: &mut [Process]) -> Result<(), Error> {
        let (now, names) = (self.of.store().now(), self.of.process_names());
        let (mut changes, mut begin) = (Vec::new(), Vec::new());
        for process in &mut *processes {
            begin.push(changes.len());
            submit(now, process, &names, &mut changes)?;
        }
        self.of.store().write(changes).map_err(|error| {
            let Error::Database(velocitydb::Error::Refused { operation, .. }) = &error else {
                return error;
            };
            // The process that this change belongs to.
            let at = begin.partition_point(|begin| begin <= operation) - 1;
            taken::<Process>(error, &processes[at].id)
        })
    }

    /// The process of this id, with its attributes.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, id: &str) -> Result<Option<Process>, Error> {
        let collection = self.of.name(Process::COLLECTION);
        let row = self.of.store().get(&collection, &key(id)?)?;
        row.map(|row| self.whole(&row)).transpose()
    }

    /// A row with its attributes.
    fn whole(&self, row: &Row) -> Result<Process, Error> {
        let mut process = Process::from_row(row)?;
        process.attributes = self.of.attributes().of_process(&process.id)?;
        let env = process.attributes.iter();
        let env = env.filter(|attribute| attribute.kind == AttributeKind::Env);
        process.spec.env = env
            .map(|attribute| (attribute.key.clone(), attribute.value.clone()))
            .collect();
        Ok(process)
    }

    /// The processes that `find` describes, without their attributes.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn find(&self, find: Find) -> Result<Vec<Process>, Error> {
        let collection = self.of.name(Process::COLLECTION);
        let rows = self.of.store().find(&collection, &find.query())?;
        rows.iter().map(Process::from_row).collect()
    }

    /// How many there are of those.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count(&self, find: Find) -> Result<u64, Error> {
        let collection = self.of.name(Process::COLLECTION);
        self.of.store().count(&collection, &find.filter())
    }

    /// The processes that an executor could get, the next one first.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn candidates(&self, candidate: &Candidate, most: usize) -> Result<Vec<Process>, Error> {
        let collection = self.of.name(Process::COLLECTION);
        let rows = self
            .of
            .store()
            .find(&collection, &self.waiting_for(candidate))?;
        let fitting = rows.iter().filter(|row| candidate.fits(row.fields()));
        fitting.take(most).map(Process::from_row).collect()
    }

    /// Gives an executor the next process that fits it. `None`: none waits for it.
    ///
    /// Whatever others do at the same time, a process goes to one executor, and callers do not wait
    /// for each other: each gets the first one that nobody else is about to get.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn assign(&self, candidate: &Candidate) -> Result<Option<Process>, Error> {
        Ok(self.assign_many(candidate, 1)?.processes.pop())
    }

    /// As [`Processes::assign`], for up to `most` processes at once.
    ///
    /// # Errors
    /// The database cannot write. Some may have been assigned then.
    pub fn assign_many(&self, candidate: &Candidate, most: usize) -> Result<Assigned, Error> {
        let request = Request::new(candidate.clone(), most);
        let lane = (candidate.colony.clone(), candidate.executor_type.clone());
        let given = self
            .of
            .counter()
            .serve(lane, request, |requests| self.give(candidate, requests))?;
        let processes = given.rows.iter().map(Process::from_row);
        let mut processes = processes.collect::<Result<Vec<_>, _>>()?;
        for process in processes.iter_mut().filter(|it| !it.graph_id.is_empty()) {
            started(self.of, process)?;
        }
        self.note_states(&processes)?;
        let examined = given.examined;
        Ok(Assigned {
            processes,
            examined,
        })
    }

    /// Gives processes to all who ask for those of one colony and executor type.
    fn give(&self, of: &Candidate, requests: &[Request]) -> Result<Taken, Error> {
        let store = self.of.store();
        let now = store.now();
        let takers = requests.iter().map(|request| Asking { request, now });
        let takers: Vec<Asking<'_>> = takers.collect();
        let takers: Vec<&dyn Taker> = takers.iter().map(|taker| taker as &dyn Taker).collect();
        store.take(&Take {
            collection: &self.of.name(Process::COLLECTION),
            find: self.waiting_for(of),
            expected: &[
                ("state", Value::Int(0)),
                ("is_assigned", Value::Bool(false)),
                ("wait_for_parents", Value::Bool(false)),
            ],
            takers: &takers,
        })
    }

    /// The waiting processes among which those for an executor are.
    fn waiting_for(&self, candidate: &Candidate) -> Query {
        let filter = Filter::And(vec![
            Filter::eq("target_colony_name", candidate.colony.as_str()),
            Filter::eq("executor_type", candidate.executor_type.as_str()),
            Filter::eq("state", 0),
            Filter::eq("is_assigned", false),
            Filter::eq("wait_for_parents", false),
        ]);
        Query::new(filter)
            .sort([("prioritytime", Direction::Ascending)])
            .hint(Hint::Index(self.of.name(ASSIGN_INDEX)))
    }
}

/// Somebody who asks at a moment.
struct Asking<'r> {
    request: &'r Request,
    now: Timestamp,
}

impl Taker for Asking<'_> {
    fn most(&self) -> usize {
        self.request.most
    }

    fn fits(&self, row: RawMap<'_>) -> bool {
        self.request.candidate.fits(row)
    }

    fn change(&self, row: RawMap<'_>) -> Update {
        let seconds = row.get("max_exec_time").and_then(|value| value.as_int());
        let seconds = seconds.and_then(|seconds| seconds.try_into().ok());
        start(
            self.now,
            &self.request.candidate.executor_id,
            seconds.unwrap_or(0),
        )
    }
}

/// What becomes of a process that an executor gets.
pub(crate) fn start(now: Timestamp, executor_id: &str, max_exec_s: i32) -> Update {
    let update = Update::new()
        .set("is_assigned", true)
        .set("start_time", now)
        .set("assigned_executor_id", executor_id)
        .set("state", State::Running.write());
    match after(now, max_exec_s) {
        Some(deadline) => update.set("exec_deadline", deadline),
        None => update,
    }
}

/// What it takes to keep a process that is submitted now. The names are those of the collections of
/// processes and of attributes.
pub(crate) fn submit<'n>(
    now: Timestamp,
    process: &mut Process,
    [processes, attributes]: &'n [String; 2],
    changes: &mut Vec<Change<'n>>,
) -> Result<(), Error> {
    process.submit(now);
    let env = process.spec.env.iter().map(|(key, value)| {
        Attribute::new(process, AttributeKind::Env, key.as_str(), value.as_str())
    });
    let env: Vec<Attribute> = env.collect();
    process.attributes.extend(env);
    changes.push(Change::Insert {
        collection: processes,
        fields: process.to_fields()?,
    });
    for attribute in &process.attributes {
        changes.push(Change::Insert {
            collection: attributes,
            fields: attribute.dated(now)?,
        });
    }
    Ok(())
}
