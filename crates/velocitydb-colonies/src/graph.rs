//! Graphs of processes: workflows.
//!
//! A process of a graph waits until all those before it are done. Closing one resolves the graph in the
//! same step: processes that waited for it alone are released, and get what those before them have given;
//! one that failed takes those of the graph with it, as in ColonyOS. Two that are closed at the
//! same time, and for both of which a third one waits, release it once: what the step has read of others
//! must still hold when it happens.
//!
//! Tests: tests/it/graphs.rs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use velocitydb::query::{Direction, Filter, Find};
use velocitydb::{Timestamp, Update};

use crate::Colonies;
use crate::attribute::Attribute;
use crate::error::Error;
use crate::model::State;
use crate::process::{FunctionSpec, Process};
use crate::processes::submit;
use crate::records::{all_of, group};
use crate::row::{Column as _, Record as _, Row, json_of, json_text, key, record};
use crate::store::{Change, Hold, Steps};

record! {
    /// A workflow that was submitted.
    ProcessGraph in "processgraphs" called "process graph" {
        /// Its id.
        id: String, "processgraphid", "processgraph_id";
        /// Who submitted it.
        initiator_id: String, "initiatorid", "initiator_id";
        /// The name of who submitted it.
        initiator_name: String, "initiatorname", "initiator_name";
        /// Its colony.
        colony: String, "colonyname", "target_colony_name";
        /// Processes that wait for no other.
        #[serde(deserialize_with = "crate::row::json::or_default")]
        roots: Vec<String>, "rootprocessids", "roots";
        /// How far it has come.
        state: State, "state", "state";
        /// When it was submitted.
        #[serde(with = "crate::row::json::time")]
        submitted_at: Option<Timestamp>, "submissiontime", "submission_time";
        /// When the first process was assigned.
        #[serde(with = "crate::row::json::time")]
        started_at: Option<Timestamp>, "starttime", "start_time";
        /// When it was done, or could not be any more.
        #[serde(with = "crate::row::json::time")]
        ended_at: Option<Timestamp>, "endtime", "end_time";
    }
}

/// Processes that depend on each other: each names its node, and the nodes before it
/// ([`crate::Conditions::dependencies`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkflowSpec {
    /// The colony of all of them.
    #[serde(rename = "colonyname")]
    pub colony: String,
    /// The processes.
    #[serde(
        rename = "functionspecs",
        deserialize_with = "crate::row::json::or_default"
    )]
    pub nodes: Vec<FunctionSpec>,
}

/// What begins with a workflow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Begin<'b> {
    /// Who submits it.
    pub initiator_id: &'b str,
    /// The name of who submits it.
    pub initiator_name: &'b str,
    /// Arguments of the roots in place of their own, unless there are none.
    pub args: Vec<Json>,
    /// What goes into the roots.
    pub input: Vec<Json>,
}

group! {
    /// The graphs of processes. From [`Colonies::graphs`].
    Graphs
}

/// The graph of processes that were made of a workflow, with their connections.
pub(crate) fn plan(
    workflow: &WorkflowSpec,
    begin: &Begin<'_>,
) -> Result<(ProcessGraph, Vec<Process>), Error> {
    let mut graph = ProcessGraph {
        id: crate::ids::new_id(),
        colony: workflow.colony.clone(),
        initiator_id: begin.initiator_id.to_owned(),
        initiator_name: begin.initiator_name.to_owned(),
        ..ProcessGraph::default()
    };
    let mut processes = Vec::with_capacity(workflow.nodes.len());
    let mut places = BTreeMap::new();
    for (place, spec) in workflow.nodes.iter().enumerate() {
        if spec.node.is_empty() {
            return Err(Error::Invalid(
                "a function of a workflow has no node name".into(),
            ));
        }
        if places.insert(spec.node.as_str(), place).is_some() {
            let what = format!("the workflow has two nodes {:?}", spec.node);
            return Err(Error::Invalid(what));
        }
        let mut process = Process::new(spec.clone());
        process.spec.conditions.colony.clone_from(&workflow.colony);
        process.graph_id.clone_from(&graph.id);
        process.initiator_id.clone_from(&graph.initiator_id);
        process.initiator_name.clone_from(&graph.initiator_name);
        process.wait_for_parents = !spec.conditions.dependencies.is_empty();
        if !process.wait_for_parents {
            if !begin.args.is_empty() {
                process.spec.args.clone_from(&begin.args);
            }
            process.input.clone_from(&begin.input);
            graph.roots.push(process.id.clone());
        }
        processes.push(process);
    }
    for place in 0..processes.len() {
        for before in &workflow.nodes[place].conditions.dependencies {
            let Some(&parent) = places.get(before.as_str()) else {
                let what = format!(
                    "the node {:?} depends on {before:?}, which the workflow does not have",
                    workflow.nodes[place].node
                );
                return Err(Error::Invalid(what));
            };
            let (parent_id, id) = (processes[parent].id.clone(), processes[place].id.clone());
            processes[place].parents.push(parent_id);
            processes[parent].children.push(id);
        }
    }
    refuse_circles(&processes)?;
    Ok((graph, processes))
}

/// Takes away again and again those before which nothing is left.
fn refuse_circles(processes: &[Process]) -> Result<(), Error> {
    let mut open: BTreeMap<&str, usize> = processes
        .iter()
        .map(|process| (process.id.as_str(), process.parents.len()))
        .collect();
    let of: BTreeMap<&str, &Process> = processes.iter().map(|it| (it.id.as_str(), it)).collect();
    let mut free: Vec<&str> = open
        .iter()
        .filter(|(_, left)| **left == 0)
        .map(|(id, _)| *id)
        .collect();
    let mut gone = 0;
    while let Some(id) = free.pop() {
        gone += 1;
        for child in &of[id].children {
            if let Some(left) = open.get_mut(child.as_str()) {
                *left -= 1;
                if *left == 0 {
                    free.push(child);
                }
            }
        }
    }
    match gone == processes.len() {
        true => Ok(()),
        false => Err(Error::Invalid(
            "nodes of the workflow depend on each other in a circle".into(),
        )),
    }
}

impl Graphs<'_> {
    /// Submits a workflow: its graph and all its processes, at once.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a node without a name, two of one name, a dependency that is not there, or
    /// a circle.
    pub fn submit(
        &self,
        workflow: &WorkflowSpec,
        begin: &Begin<'_>,
    ) -> Result<ProcessGraph, Error> {
        let (mut graph, mut processes) = plan(workflow, begin)?;
        let names = self.of.process_names();
        let graphs = self.of.name(ProcessGraph::COLLECTION);
        let mut changes = Vec::with_capacity(processes.len() + 1);
        submit_graph(
            self.of,
            &mut graph,
            &mut processes,
            &names,
            &graphs,
            &mut changes,
        )?;
        self.of.store().write(changes)?;
        Ok(graph)
    }

    /// Keeps a graph alone, for processes that are submitted one by one.
    ///
    /// # Errors
    /// [`Error::Exists`].
    pub fn add(&self, graph: &mut ProcessGraph) -> Result<(), Error> {
        graph.submitted_at = Some(self.of.store().now());
        self.of
            .insert::<ProcessGraph>(&graph.id, graph.to_fields()?)
    }

    /// The graph of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, id: &str) -> Result<Option<ProcessGraph>, Error> {
        self.of.by_id(id)
    }

    /// Graphs of a colony in a state, the newest first, at most so many.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn find(
        &self,
        colony: &str,
        state: State,
        most: usize,
    ) -> Result<Vec<ProcessGraph>, Error> {
        let filter = of_graphs(Some(colony), Some(state));
        let newest = [("submission_time", Direction::Descending)];
        self.of.find(&Find::new(filter).sort(newest).limit(most))
    }

    /// How many graphs there are, of a colony, in a state.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count(&self, colony: Option<&str>, state: Option<State>) -> Result<u64, Error> {
        self.of.count::<ProcessGraph>(&of_graphs(colony, state))
    }

    /// Puts a graph into a state, with its time.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_state(&self, id: &str, state: State) -> Result<(), Error> {
        let now = self.of.store().now();
        self.of.store().transact(Hold::Changed, &mut |steps| {
            set_graph_state(self.of, steps, id, state, now)
        })
    }

    /// Its processes, each behind those that it waits for.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn processes(&self, id: &str) -> Result<Vec<Process>, Error> {
        let mut all = Vec::new();
        self.of.store().transact(Hold::Changed, &mut |steps| {
            let graph = graph_of(self.of, steps, id)?;
            all.clear();
            walk(self.of, steps, &graph, |_, process| {
                all.push(process);
                Ok(true)
            })
        })?;
        Ok(in_order(all))
    }

    /// Gives up all of its processes that are not closed.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn cancel(&self, id: &str) -> Result<(), Error> {
        let now = self.of.store().now();
        self.of.store().transact(Hold::Read, &mut |steps| {
            let graph = graph_of(self.of, steps, id)?;
            walk(self.of, steps, &graph, |steps, process| {
                if !process.state.is_closed() {
                    let update = Update::new().set("end_time", now);
                    put_state(self.of, steps, &process.id, State::Cancelled, update)?;
                }
                Ok(true)
            })?;
            set_graph_state(self.of, steps, id, State::Cancelled, now)
        })
    }

    /// Removes a graph with its processes and their attributes.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        self.of.processes().remove(crate::Find::in_graph(id))?;
        self.of
            .remove_where::<ProcessGraph>(&Filter::eq("processgraph_id", id))?;
        Ok(())
    }

    /// Removes the graphs of a colony, in a state, with their processes; how many graphs.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str, state: Option<State>) -> Result<u64, Error> {
        let filter = of_graphs(Some(colony), state);
        let graphs: Vec<ProcessGraph> = self.of.find(&Find::new(filter))?;
        for graph in &graphs {
            self.remove(&graph.id)?;
        }
        Ok(graphs.len() as u64)
    }

    /// Brings a graph to what its processes are: releases those before which all is done, and so on.
    /// Closing a process does so by itself; this is for processes that were changed one by one.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn resolve(&self, id: &str) -> Result<State, Error> {
        let now = self.of.store().now();
        let mut state = State::Waiting;
        self.of.store().transact(Hold::Read, &mut |steps| {
            state = resolve(self.of, steps, id, now)?;
            Ok(())
        })?;
        Ok(state)
    }
}

fn of_graphs(colony: Option<&str>, state: Option<State>) -> Filter {
    let colony = colony.map(|colony| Filter::eq("target_colony_name", colony));
    let state = state.map(|state| Filter::eq("state", state.write()));
    all_of(colony.into_iter().chain(state))
}

/// What it takes to keep a graph with its processes.
pub(crate) fn submit_graph<'n>(
    colonies: &Colonies,
    graph: &mut ProcessGraph,
    processes: &mut [Process],
    names: &'n [String; 2],
    graphs: &'n str,
    changes: &mut Vec<Change<'n>>,
) -> Result<(), Error> {
    let now = colonies.store().now();
    graph.submitted_at = Some(now);
    changes.push(Change::Insert {
        collection: graphs,
        fields: graph.to_fields()?,
    });
    for process in processes {
        submit(now, process, names, changes)?;
    }
    Ok(())
}

pub(crate) fn process_row(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    id: &str,
) -> Result<Row, Error> {
    let row = steps.get(&colonies.name(Process::COLLECTION), &key(id)?)?;
    row.ok_or_else(|| Error::not_found(Process::WHAT, id))
}

fn graph_of(colonies: &Colonies, steps: &mut dyn Steps, id: &str) -> Result<ProcessGraph, Error> {
    let row = steps.get(&colonies.name(ProcessGraph::COLLECTION), &key(id)?)?;
    let row = row.ok_or_else(|| Error::not_found(ProcessGraph::WHAT, id))?;
    ProcessGraph::from_row(&row)
}

/// Visits the processes of a graph, each once, until `visit` answers `false`.
fn walk(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    graph: &ProcessGraph,
    mut visit: impl FnMut(&mut dyn Steps, Process) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut next: Vec<String> = graph.roots.iter().rev().cloned().collect();
    while let Some(id) = next.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let process = Process::from_row(&process_row(colonies, steps, &id)?)?;
        next.extend(process.children.iter().rev().cloned());
        if !visit(steps, process)? {
            break;
        }
    }
    Ok(())
}

/// Processes, each behind its parents, and otherwise in the order in which they are.
fn in_order(mut left: Vec<Process>) -> Vec<Process> {
    let mut sorted = Vec::with_capacity(left.len());
    let mut missing: BTreeSet<String> = left.iter().map(|process| process.id.clone()).collect();
    while !left.is_empty() {
        let (mut next, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|process| {
            let mut parents = process.parents.iter();
            parents.all(|parent| !missing.contains(parent))
        });
        left = later;
        if next.is_empty() {
            // A circle, which no workflow has.
            next.append(&mut left);
        }
        for process in &next {
            missing.remove(&process.id);
        }
        sorted.append(&mut next);
    }
    sorted
}

/// Puts a process into a state, with what else is changed, and its attributes with it.
pub(crate) fn put_state(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    id: &str,
    state: State,
    update: Update,
) -> Result<(), Error> {
    steps.change(Change::Update {
        collection: &colonies.name(Process::COLLECTION),
        id: key(id)?,
        update: update.set("state", state.write()),
    })?;
    note_state(colonies, steps, id, state)
}

/// Tells the attributes of a process its state.
pub(crate) fn note_state(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    id: &str,
    state: State,
) -> Result<(), Error> {
    let collection = colonies.name(Attribute::COLLECTION);
    // Found outside of the transaction: it is a note for the retention, and others may add attributes.
    let find = Find::new(Filter::eq("target_id", id));
    for row in colonies.store().find(&collection, &find)? {
        if row.read::<State>("state") == state || steps.get(&collection, &row.id())?.is_none() {
            continue;
        }
        steps.change(Change::Update {
            collection: &collection,
            id: row.id(),
            update: Update::new().set("state", state.write()),
        })?;
    }
    Ok(())
}

pub(crate) fn set_graph_state(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    id: &str,
    state: State,
    now: Timestamp,
) -> Result<(), Error> {
    let before = graph_of(colonies, steps, id)?.state;
    if before == state {
        return Ok(());
    }
    let update = Update::new().set("state", state.write());
    let update = match state {
        State::Running if before == State::Waiting => update.set("start_time", now),
        State::Waiting | State::Running => update,
        _ => update.set("end_time", now),
    };
    steps.change(Change::Update {
        collection: &colonies.name(ProcessGraph::COLLECTION),
        id: key(id)?,
        update,
    })
}

/// Looks at all of a graph, and brings it to what its processes are.
fn resolve(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    id: &str,
    now: Timestamp,
) -> Result<State, Error> {
    let graph = graph_of(colonies, steps, id)?;
    let (mut all, mut states) = (0, BTreeMap::<State, usize>::new());
    let mut failed_before = false;
    let mut ready = Vec::new();
    walk(colonies, steps, &graph, |steps, process| {
        all += 1;
        *states.entry(process.state).or_default() += 1;
        let before = parents(colonies, steps, &process)?;
        failed_before |= before.iter().any(|parent| parent.state == State::Failed);
        let done = before
            .iter()
            .all(|parent| parent.state == State::Successful);
        if done && process.wait_for_parents {
            ready.push((process.id, before));
        }
        Ok(!failed_before)
    })?;
    if failed_before {
        fail_all(colonies, steps, &graph)?;
        set_graph_state(colonies, steps, id, State::Failed, now)?;
        return Ok(State::Failed);
    }
    for (process, before) in ready {
        release(colonies, steps, &process, &before)?;
    }
    let of = |state| states.get(&state).copied().unwrap_or(0);
    let state = match () {
        () if of(State::Failed) > 0 => State::Failed,
        () if of(State::Cancelled) > 0 => State::Cancelled,
        () if of(State::Successful) == all => State::Successful,
        () if of(State::Successful) + of(State::Running) > 0 => State::Running,
        () => State::Waiting,
    };
    set_graph_state(colonies, steps, id, state, now)?;
    Ok(state)
}

fn parents(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    process: &Process,
) -> Result<Vec<Process>, Error> {
    let each = process.parents.iter();
    each.map(|parent| Process::from_row(&process_row(colonies, steps, parent)?))
        .collect()
}

/// All of a graph fail, as in ColonyOS: also those that were done.
fn fail_all(colonies: &Colonies, steps: &mut dyn Steps, graph: &ProcessGraph) -> Result<(), Error> {
    walk(colonies, steps, graph, |steps, process| {
        if process.state != State::Failed {
            put_state(colonies, steps, &process.id, State::Failed, Update::new())?;
        }
        Ok(true)
    })
}

/// Lets a process be assigned: all before it is done, and what that has given goes into it.
fn release(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    id: &str,
    before: &[Process],
) -> Result<(), Error> {
    let input: Vec<&Json> = before.iter().flat_map(|parent| &parent.output).collect();
    steps.change(Change::Update {
        collection: &colonies.name(Process::COLLECTION),
        id: key(id)?,
        update: Update::new()
            .set("wait_for_parents", false)
            .set("input", json_text(&input)?),
    })
}

/// What closing a process means for its graph. It reads as little of the graph as tells that, so that
/// those who close others of it are in its way as little as can be.
pub(crate) fn closed(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    process: &Process,
    state: State,
    now: Timestamp,
) -> Result<(), Error> {
    let id = &process.graph_id;
    match state {
        State::Failed if !process.children.is_empty() => {
            let graph = graph_of(colonies, steps, id)?;
            fail_all(colonies, steps, &graph)?;
            set_graph_state(colonies, steps, id, State::Failed, now)
        }
        State::Failed => set_graph_state(colonies, steps, id, State::Failed, now),
        State::Successful if process.children.is_empty() => {
            let graph = graph_of(colonies, steps, id)?;
            if graph.state.is_closed() {
                return Ok(());
            }
            // It was perhaps the last one: the first that is not done says that it was not.
            let mut done = true;
            walk(colonies, steps, &graph, |_, other| {
                done = other.state == State::Successful;
                Ok(done)
            })?;
            match done {
                true => set_graph_state(colonies, steps, id, State::Successful, now),
                false => Ok(()),
            }
        }
        State::Successful => {
            for child in &process.children {
                let child = Process::from_row(&process_row(colonies, steps, child)?)?;
                if !child.wait_for_parents {
                    continue;
                }
                let before = parents(colonies, steps, &child)?;
                if before
                    .iter()
                    .all(|parent| parent.state == State::Successful)
                {
                    release(colonies, steps, &child.id, &before)?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What assigning a process means for its graph: it runs, and has what those before it have given, also
/// when it was not released here.
pub(crate) fn started(colonies: &Colonies, process: &mut Process) -> Result<(), Error> {
    let now = colonies.store().now();
    let mut input = None;
    colonies.store().transact(Hold::Read, &mut |steps| {
        // It may be without its graph.
        match graph_of(colonies, steps, &process.graph_id) {
            Ok(graph) if graph.state == State::Waiting => {
                set_graph_state(colonies, steps, &graph.id, State::Running, now)?;
            }
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        if !process.parents.is_empty() && process.input.is_empty() {
            let before = parents(colonies, steps, process)?;
            let given: Vec<Json> = before
                .into_iter()
                .flat_map(|parent| parent.output)
                .collect();
            if !given.is_empty() {
                steps.change(Change::Update {
                    collection: &colonies.name(Process::COLLECTION),
                    id: key(&process.id)?,
                    update: Update::new().set("input", json_text(&given)?),
                })?;
                input = Some(given);
            }
        }
        Ok(())
    })?;
    if let Some(input) = input {
        process.input = input;
    }
    Ok(())
}

/// The workflow that a text of JSON says.
pub(crate) fn workflow_of(row: &Row, what: &'static str) -> Result<WorkflowSpec, Error> {
    json_of(row, what, "workflow_spec")
}
