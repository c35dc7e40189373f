//! Processes: what is to be done, by whom, and how far it has come.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use velocitydb::{RawMap, Timestamp, Value};

use crate::attribute::Attribute;
use crate::error::Error;
use crate::model::{Bytes, Cpu, State};
use crate::row::{JsonList, Places, Record, Row, RowBuilder, json, json_text};

/// So much earlier, in nanoseconds, a process counts as submitted for each step of its priority: a day.
const PRIORITY_STEP_NS: i64 = 86_400_000_000_000;

/// A piece of work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its id.
    #[serde(rename = "processid")]
    pub id: String,
    /// Who submitted it.
    #[serde(rename = "initiatorid")]
    pub initiator_id: String,
    /// The name of who submitted it.
    #[serde(rename = "initiatorname")]
    pub initiator_name: String,
    /// Who has it; empty: nobody.
    #[serde(rename = "assignedexecutorid")]
    pub assigned_executor_id: String,
    /// Whether somebody has it, or had it when it was closed.
    #[serde(rename = "isassigned")]
    pub is_assigned: bool,
    /// How far it has come.
    pub state: State,
    /// The lowest is assigned first: nanoseconds since 1970 at its submission, a day less for each step
    /// of its priority.
    #[serde(rename = "prioritytime")]
    pub priority_time: i64,
    /// When it was submitted.
    #[serde(rename = "submissiontime", with = "json::time")]
    pub submitted_at: Option<Timestamp>,
    /// When it was assigned.
    #[serde(rename = "starttime", with = "json::time")]
    pub started_at: Option<Timestamp>,
    /// When it was closed.
    #[serde(rename = "endtime", with = "json::time")]
    pub ended_at: Option<Timestamp>,
    /// Until when it shall be assigned.
    #[serde(rename = "waitdeadline", with = "json::time")]
    pub wait_deadline: Option<Timestamp>,
    /// Until when it shall be closed.
    #[serde(rename = "execdeadline", with = "json::time")]
    pub exec_deadline: Option<Timestamp>,
    /// How many executors it was taken away from.
    pub retries: i32,
    /// What is noted of it. Not filled in by [`crate::Processes::find`].
    #[serde(deserialize_with = "json::or_default")]
    pub attributes: Vec<Attribute>,
    /// What is to be done.
    pub spec: FunctionSpec,
    /// Whether processes before it have to be done first.
    #[serde(rename = "waitforparents")]
    pub wait_for_parents: bool,
    /// Those before it.
    #[serde(deserialize_with = "json::or_default")]
    pub parents: Vec<String>,
    /// Those behind it.
    #[serde(deserialize_with = "json::or_default")]
    pub children: Vec<String>,
    /// The graph that it is of; empty: none.
    #[serde(rename = "processgraphid")]
    pub graph_id: String,
    /// What those before it have given.
    #[serde(rename = "in", deserialize_with = "json::or_default")]
    pub input: Vec<Json>,
    /// What it has given.
    #[serde(rename = "out", deserialize_with = "json::or_default")]
    pub output: Vec<Json>,
    /// What went wrong.
    #[serde(deserialize_with = "json::or_default")]
    pub errors: Vec<String>,
}

/// What is to be done: a function with its arguments, by whom, and within which limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionSpec {
    /// Its name among those of a workflow.
    #[serde(rename = "nodename")]
    pub node: String,
    /// The function.
    #[serde(rename = "funcname")]
    pub function: String,
    /// Its arguments.
    #[serde(deserialize_with = "json::or_default")]
    pub args: Vec<Json>,
    /// Its arguments by name.
    #[serde(deserialize_with = "json::or_default")]
    pub kwargs: BTreeMap<String, Json>,
    /// Each step brings it forward by a day.
    pub priority: i32,
    /// Seconds that it may wait; 0 or less: as long as it takes.
    #[serde(rename = "maxwaittime")]
    pub max_wait_s: i32,
    /// Seconds that it may run; 0 or less: as long as it takes.
    #[serde(rename = "maxexectime")]
    pub max_exec_s: i32,
    /// How often it may be taken away from an executor; less than 0: always.
    #[serde(rename = "maxretries")]
    pub max_retries: i32,
    /// Who may have it.
    pub conditions: Conditions,
    /// What it is found by.
    pub label: String,
    /// Files that it needs.
    #[serde(rename = "fs", deserialize_with = "json::or_default")]
    pub filesystem: Filesystem,
    /// Its environment. Kept as attributes.
    #[serde(deserialize_with = "json::or_default")]
    pub env: BTreeMap<String, String>,
    /// Channels between it and others.
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub channels: Vec<String>,
}

impl Default for FunctionSpec {
    fn default() -> FunctionSpec {
        FunctionSpec {
            node: String::new(),
            function: String::new(),
            args: Vec::new(),
            kwargs: BTreeMap::new(),
            priority: 0,
            max_wait_s: -1,
            max_exec_s: -1,
            max_retries: -1,
            conditions: Conditions::default(),
            label: String::new(),
            filesystem: Filesystem::default(),
            env: BTreeMap::new(),
            channels: Vec::new(),
        }
    }
}

impl FunctionSpec {
    /// A function for executors of a type in a colony.
    pub fn new(
        colony: impl Into<String>,
        executor_type: impl Into<String>,
        function: impl Into<String>,
    ) -> FunctionSpec {
        FunctionSpec {
            function: function.into(),
            conditions: Conditions {
                colony: colony.into(),
                executor_type: executor_type.into(),
                ..Conditions::default()
            },
            ..FunctionSpec::default()
        }
    }
}

/// Who may have a process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Executors of this colony …
    #[serde(rename = "colonyname")]
    pub colony: String,
    /// … of these names; empty: all …
    #[serde(rename = "executornames", deserialize_with = "json::or_default")]
    pub executor_names: Vec<String>,
    /// … of this type …
    #[serde(rename = "executortype")]
    pub executor_type: String,
    /// … at this place; empty: anywhere …
    #[serde(rename = "locationname", skip_serializing_if = "String::is_empty")]
    pub location: String,
    /// The nodes of a workflow that come before it.
    #[serde(deserialize_with = "json::or_default")]
    pub dependencies: Vec<String>,
    /// … that have so many nodes …
    pub nodes: i32,
    /// … so much CPU …
    pub cpu: Cpu,
    /// … may run so many processes …
    pub processes: i32,
    /// … and so many on each node …
    #[serde(rename = "processespernode")]
    pub processes_per_node: i32,
    /// … so much memory …
    #[serde(rename = "mem")]
    pub memory: Bytes,
    /// … so much storage …
    pub storage: Bytes,
    /// … and such GPUs.
    pub gpu: Gpu,
    /// Seconds that it takes.
    #[serde(rename = "walltime")]
    pub walltime_s: i64,
}

/// GPUs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpu {
    /// Their model.
    pub name: String,
    /// Memory of each.
    #[serde(rename = "mem")]
    pub memory: Bytes,
    /// How many.
    pub count: i32,
    /// How many on each node. Not kept with a process.
    #[serde(rename = "nodecount")]
    pub per_node: i32,
}

/// Files that a process needs: directories that are brought in line with labels and snapshots.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filesystem {
    /// Where they are.
    pub mount: String,
    /// Snapshots, each with where it is.
    #[serde(deserialize_with = "json::or_default")]
    pub snapshots: Vec<Json>,
    /// Labels, each with its directory.
    #[serde(deserialize_with = "json::or_default")]
    pub dirs: Vec<Json>,
}

impl Process {
    /// A process that is to be submitted, with an id of its own.
    pub fn new(spec: FunctionSpec) -> Process {
        Process {
            id: crate::ids::new_id(),
            spec,
            ..Process::default()
        }
    }

    /// How long it has waited, or waited until it was assigned.
    pub fn waiting_time(&self, now: Timestamp) -> Duration {
        let until = match self.state {
            State::Waiting => Some(now),
            _ => self.started_at,
        };
        between(self.submitted_at, until)
    }

    /// How long it has run, or ran until it was closed.
    pub fn processing_time(&self, now: Timestamp) -> Duration {
        let until = match self.state {
            State::Running => Some(now),
            _ => self.ended_at,
        };
        between(self.started_at, until)
    }

    /// Dates it: submitted now.
    pub(crate) fn submit(&mut self, now: Timestamp) {
        self.submitted_at = Some(now);
        self.priority_time = now
            .0
            .saturating_mul(1000)
            .saturating_sub(i64::from(self.spec.priority).saturating_mul(PRIORITY_STEP_NS));
        self.wait_deadline = after(now, self.spec.max_wait_s);
    }
}

/// The moment so many seconds later; none for 0 and less.
pub(crate) fn after(now: Timestamp, seconds: i32) -> Option<Timestamp> {
    let later = || Timestamp(now.0.saturating_add(i64::from(seconds) * 1_000_000));
    (seconds > 0).then(later)
}

fn between(from: Option<Timestamp>, until: Option<Timestamp>) -> Duration {
    let micros = from.zip(until).map_or(0, |(from, until)| until.0 - from.0);
    Duration::from_micros(micros.try_into().unwrap_or(0))
}

/// Whether a process may only go to executors of certain names: `*` stands for all.
fn names_are_open(names: &[String]) -> bool {
    names.is_empty() || names == ["*"]
}

impl Record for Process {
    const COLLECTION: &'static str = "processes";
    const WHAT: &'static str = "process";

    fn from_row(row: &Row) -> Result<Process, Error> {
        static PLACES: Places<46> = Places::new();
        let (row, what) = (row.reader(&PLACES), Process::WHAT);
        let mut names: Vec<String> = row.read("target_executor_names");
        if names_are_open(&names) {
            names.clear();
        }
        Ok(Process {
            id: row.read("process_id"),
            initiator_id: row.read("initiator_id"),
            initiator_name: row.read("initiator_name"),
            assigned_executor_id: row.read("assigned_executor_id"),
            is_assigned: row.read("is_assigned"),
            state: row.read("state"),
            priority_time: row.read("prioritytime"),
            submitted_at: row.read("submission_time"),
            started_at: row.read("start_time"),
            ended_at: row.read("end_time"),
            wait_deadline: row.read("wait_deadline"),
            exec_deadline: row.read("exec_deadline"),
            retries: row.read("retries"),
            attributes: Vec::new(),
            spec: FunctionSpec {
                node: row.read("nodename"),
                function: row.read("funcname"),
                args: row.json(what, "args")?,
                kwargs: row.json(what, "kwargs")?,
                priority: row.read("priority"),
                max_wait_s: row.read("max_wait_time"),
                max_exec_s: row.read("max_exec_time"),
                max_retries: row.read("max_retries"),
                conditions: Conditions {
                    colony: row.read("target_colony_name"),
                    executor_names: names,
                    executor_type: row.read("executor_type"),
                    location: row.read("location_name"),
                    dependencies: row.read("dependencies"),
                    nodes: row.read("nodes"),
                    cpu: row.read("cpu"),
                    processes: row.read("processes"),
                    processes_per_node: row.read("processes_per_node"),
                    memory: row.read("memory"),
                    storage: row.read("storage"),
                    gpu: Gpu {
                        name: row.read("gpuname"),
                        memory: row.read("gpumem"),
                        count: row.read::<String>("gpucount").parse().unwrap_or(0),
                        per_node: 0,
                    },
                    walltime_s: row.read("walltime"),
                },
                label: row.read("label"),
                filesystem: row.json(what, "fs")?,
                env: BTreeMap::new(),
                channels: row.read("channels"),
            },
            wait_for_parents: row.read("wait_for_parents"),
            parents: row.read("parents"),
            children: row.read("children"),
            graph_id: row.read("processgraph_id"),
            input: row.json::<JsonList>(what, "input")?,
            output: row.json::<JsonList>(what, "output")?,
            errors: row.read("errors"),
        })
    }

    fn to_row(&self) -> Result<RowBuilder, Error> {
        let (spec, conditions) = (&self.spec, &self.spec.conditions);
        let row = RowBuilder::new()
            .put("process_id", &self.id)
            .put("target_colony_name", &conditions.colony)
            .put("target_executor_names", &conditions.executor_names)
            .put("assigned_executor_id", &self.assigned_executor_id)
            .put("state", &self.state)
            .put("is_assigned", &self.is_assigned)
            .put("executor_type", &conditions.executor_type)
            .put("submission_time", &self.submitted_at)
            .put("start_time", &self.started_at)
            .put("end_time", &self.ended_at)
            .put("wait_deadline", &self.wait_deadline)
            .put("exec_deadline", &self.exec_deadline)
            .put("errors", &self.errors)
            .put("nodename", &spec.node)
            .put("funcname", &spec.function)
            .value("args", json_text(&spec.args)?)
            .value("kwargs", json_text(&spec.kwargs)?)
            .put("max_wait_time", &spec.max_wait_s)
            .put("max_exec_time", &spec.max_exec_s)
            .put("retries", &self.retries)
            .put("max_retries", &spec.max_retries)
            .put("dependencies", &conditions.dependencies)
            .put("priority", &spec.priority)
            .put("prioritytime", &self.priority_time)
            .put("wait_for_parents", &self.wait_for_parents)
            .put("parents", &self.parents)
            .put("children", &self.children)
            .put("processgraph_id", &self.graph_id)
            .value("input", json_text(&self.input)?)
            .value("output", json_text(&self.output)?)
            .put("label", &spec.label)
            .value("fs", json_text(&spec.filesystem)?)
            .put("nodes", &conditions.nodes)
            .put("cpu", &conditions.cpu)
            .put("processes", &conditions.processes)
            .put("processes_per_node", &conditions.processes_per_node)
            .put("memory", &conditions.memory)
            .put("storage", &conditions.storage)
            .put("gpuname", &conditions.gpu.name)
            .put("gpucount", &conditions.gpu.count.to_string())
            .put("gpumem", &conditions.gpu.memory)
            .put("walltime", &conditions.walltime_s)
            .put("initiator_id", &self.initiator_id)
            .put("initiator_name", &self.initiator_name)
            .value("blueprint", Value::from(""))
            .put("channels", &spec.channels)
            .put("location_name", &conditions.location);
        Ok(row)
    }
}

/// An executor that asks for work, with what it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its colony.
    pub colony: String,
    /// Its id: who gets the process.
    pub executor_id: String,
    /// Its name.
    pub executor_name: String,
    /// Its type.
    pub executor_type: String,
    /// Where it is; empty: nowhere in particular.
    pub location: String,
    /// What it has. Unless it says, as much as it takes.
    pub cpu: Cpu,
    /// See `cpu`.
    pub memory: Bytes,
    /// See `cpu`.
    pub storage: Bytes,
    /// See `cpu`.
    pub nodes: i32,
    /// See `cpu`.
    pub processes: i32,
    /// See `cpu`.
    pub processes_per_node: i32,
    /// Its GPUs; `None`: it is not asked for them, as in ColonyOS.
    pub gpu: Option<Gpu>,
}

impl Candidate {
    /// One that has as much of everything as it takes.
    pub fn new(
        colony: impl Into<String>,
        executor_id: impl Into<String>,
        executor_name: impl Into<String>,
        executor_type: impl Into<String>,
    ) -> Candidate {
        Candidate {
            colony: colony.into(),
            executor_id: executor_id.into(),
            executor_name: executor_name.into(),
            executor_type: executor_type.into(),
            location: String::new(),
            cpu: Cpu(i64::MAX),
            memory: Bytes(i64::MAX),
            storage: Bytes(i64::MAX),
            nodes: i32::MAX,
            processes: i32::MAX,
            processes_per_node: i32::MAX,
            gpu: None,
        }
    }

    /// Whether a waiting process of its colony and type is for it.
    pub(crate) fn fits(&self, row: RawMap<'_>) -> bool {
        let number = |column: &str| row.get(column).and_then(|value| value.as_int());
        // Null is not at most anything, as in SQL.
        let within = |column, most: i64| number(column).is_some_and(|asked| asked <= most);
        let text = |column: &str| row.get(column).and_then(|value| value.as_str());
        let named = || {
            let names = row
                .get("target_executor_names")
                .and_then(|value| value.as_array());
            let Some(names) = names.filter(|names| !names.is_empty()) else {
                return true;
            };
            let mut each = names.iter().filter_map(|name| name.as_str());
            let is_mine = |name: &str| name == self.executor_name;
            match names.len() {
                1 => each.next().is_some_and(|name| name == "*" || is_mine(name)),
                _ => each.any(is_mine),
            }
        };
        let placed = || {
            let place = text("location_name").unwrap_or_default();
            place.is_empty() || place.to_lowercase() == self.location.to_lowercase()
        };
        let on_gpus = || {
            let Some(gpu) = &self.gpu else { return true };
            let model = text("gpuname").unwrap_or_default();
            let count = text("gpucount").and_then(|count| count.parse().ok());
            (model.is_empty() || model == gpu.name)
                && count.unwrap_or(0) <= gpu.count
                && within("gpumem", gpu.memory.0)
        };
        within("cpu", self.cpu.0)
            && within("memory", self.memory.0)
            && within("storage", self.storage.0)
            && within("nodes", self.nodes.into())
            && within("processes", self.processes.into())
            && within("processes_per_node", self.processes_per_node.into())
            && named()
            && placed()
            && on_gpus()
    }
}
