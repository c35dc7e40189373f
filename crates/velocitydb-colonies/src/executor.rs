//! Executors: machines, containers and people that processes are given to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use velocitydb::query::{Filter, Find};
use velocitydb::{Timestamp, Update, Value};

use crate::error::Error;
use crate::function::Function;
use crate::model::ExecutorState;
use crate::process::Candidate;
use crate::records::{all_of, group};
use crate::row::{
    Column as _, Record, Row, RowBuilder, json, json_of, json_text, key, scoped, within,
};
use crate::store::{Change, Hold};

/// An executor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Executor {
    /// Its id: its identity.
    #[serde(rename = "executorid")]
    pub id: String,
    /// Its type: which processes it gets.
    #[serde(rename = "executortype")]
    pub kind: String,
    /// Its name, which is unique in the colony.
    #[serde(rename = "executorname")]
    pub name: String,
    /// The colony.
    #[serde(rename = "colonyname")]
    pub colony: String,
    /// Whether it may work.
    pub state: ExecutorState,
    /// Whether it gets only processes of functions that it has registered.
    #[serde(rename = "requirefuncreg")]
    pub requires_functions: bool,
    /// When it was added.
    #[serde(rename = "commissiontime", with = "json::time")]
    pub commissioned_at: Option<Timestamp>,
    /// When it was heard from.
    #[serde(rename = "lastheardfromtime", with = "json::time")]
    pub heard_at: Option<Timestamp>,
    /// The name of the place where it is.
    #[serde(rename = "locationname", skip_serializing_if = "String::is_empty")]
    pub location: String,
    /// What it has.
    pub capabilities: Capabilities,
    /// What of it is promised to whom.
    pub allocations: Allocations,
    /// The blueprint that it was made of.
    #[serde(rename = "blueprintid", skip_serializing_if = "String::is_empty")]
    pub blueprint_id: String,
    /// Which version of that.
    #[serde(rename = "blueprintgen", skip_serializing_if = "is_zero")]
    pub blueprint_generation: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What an executor has. Kept as the JSON that it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Machines: model, nodes, cpu, mem, storage, gpu, …
    #[serde(deserialize_with = "json::or_default")]
    pub hardware: Vec<Json>,
    /// Programs: name, type, version.
    #[serde(deserialize_with = "json::or_default")]
    pub software: Vec<Json>,
}

/// What of an executor is promised to projects, by their names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allocations {
    /// The projects.
    #[serde(deserialize_with = "json::or_default")]
    pub projects: BTreeMap<String, Json>,
}

impl Executor {
    /// As it asks for work, with as much of everything as a process wants.
    pub fn candidate(&self) -> Candidate {
        Candidate {
            location: self.location.clone(),
            ..Candidate::new(&self.colony, &self.id, &self.name, &self.kind)
        }
    }
}

impl Record for Executor {
    const COLLECTION: &'static str = "executors";
    const WHAT: &'static str = "executor";

    fn from_row(row: &Row) -> Result<Executor, Error> {
        let name: String = row.read("name");
        Ok(Executor {
            id: row.read("executor_id"),
            kind: row.read("executor_type"),
            name: within(&name).to_owned(),
            colony: row.read("colony_name"),
            state: row.read("state"),
            requires_functions: row.read("require_func_reg"),
            commissioned_at: row.read("commissiontime"),
            heard_at: row.read("lastheardfrom"),
            location: row.read("location_name"),
            capabilities: Capabilities {
                hardware: json_of(row, Executor::WHAT, "hardware")?,
                software: json_of(row, Executor::WHAT, "software")?,
            },
            allocations: json_of(row, Executor::WHAT, "allocations")?,
            blueprint_id: row.read("blueprint_id"),
            blueprint_generation: row.read("blueprint_gen"),
        })
    }

    fn to_row(&self) -> Result<RowBuilder, Error> {
        Ok(RowBuilder::new()
            .value("name", Value::from(scoped(&self.colony, &self.name)?))
            .put("executor_type", &self.kind)
            .put("executor_id", &self.id)
            .put("colony_name", &self.colony)
            .put("state", &self.state)
            .put("require_func_reg", &self.requires_functions)
            .put("commissiontime", &self.commissioned_at)
            .put("lastheardfrom", &self.heard_at)
            .put("long", &0.0)
            .put("lat", &0.0)
            .value("locname", Value::from(""))
            .value("locdesc", Value::from(""))
            .value("hardware", json_text(&self.capabilities.hardware)?)
            .value("software", json_text(&self.capabilities.software)?)
            .value("allocations", json_text(&self.allocations)?)
            .put("blueprint_id", &self.blueprint_id)
            .put("blueprint_gen", &self.blueprint_generation)
            .put("location_name", &self.location))
    }
}

group! {
    /// Executors. From [`crate::Colonies::executors`].
    Executors
}

impl Executors<'_> {
    /// Adds an executor, which waits to be approved. One of this name that has left comes back as the
    /// new one.
    ///
    /// # Errors
    /// [`Error::Exists`]: the colony has one of this name.
    pub fn add(&self, executor: &Executor) -> Result<(), Error> {
        let collection = &self.of.name(Executor::COLLECTION);
        let added = Executor {
            state: ExecutorState::Pending,
            commissioned_at: Some(self.of.store().now()),
            ..executor.clone()
        };
        let id = key(&scoped(&executor.colony, &executor.name)?)?;
        self.of.store().transact(Hold::Read, &mut |steps| {
            if let Some(row) = steps.get(collection, &id)? {
                if row.read::<ExecutorState>("state") != ExecutorState::Unregistered {
                    return Err(Error::exists(Executor::WHAT, &executor.name));
                }
                let id = id.clone();
                steps.change(Change::Delete { collection, id })?;
            }
            let fields = added.to_fields()?;
            steps.change(Change::Insert { collection, fields })
        })
    }

    /// Those of a colony (of all), in a state (in all but [`ExecutorState::Unregistered`]).
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn find(
        &self,
        colony: Option<&str>,
        state: Option<ExecutorState>,
    ) -> Result<Vec<Executor>, Error> {
        self.of.find(&Find::new(which(colony, state)))
    }

    /// How many those are.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count(&self, colony: Option<&str>, state: Option<ExecutorState>) -> Result<u64, Error> {
        self.of.count::<Executor>(&which(colony, state))
    }

    /// All of a colony, also those that have left.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn in_colony(&self, colony: &str) -> Result<Vec<Executor>, Error> {
        self.of.find(&Find::new(Filter::eq("colony_name", colony)))
    }

    /// Those that were made of a blueprint.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn of_blueprint(&self, blueprint_id: &str) -> Result<Vec<Executor>, Error> {
        self.of
            .find(&Find::new(Filter::eq("blueprint_id", blueprint_id)))
    }

    /// The executor of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, colony: &str, name: &str) -> Result<Option<Executor>, Error> {
        self.of.by_id(&scoped(colony, name)?)
    }

    /// The executor of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn by_id(&self, id: &str) -> Result<Option<Executor>, Error> {
        self.of.find_one(Filter::eq("executor_id", id))
    }

    /// Lets an executor work.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn approve(&self, id: &str) -> Result<(), Error> {
        self.update_by_id(
            id,
            Update::new().set("state", ExecutorState::Approved.write()),
        )
    }

    /// Lets an executor not work.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn reject(&self, id: &str) -> Result<(), Error> {
        self.update_by_id(
            id,
            Update::new().set("state", ExecutorState::Rejected.write()),
        )
    }

    /// Notes that an executor was heard from now.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn mark_alive(&self, id: &str) -> Result<(), Error> {
        self.update_by_id(
            id,
            Update::new().set("lastheardfrom", self.of.store().now()),
        )
    }

    /// Sets what an executor has.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_capabilities(
        &self,
        colony: &str,
        name: &str,
        has: &Capabilities,
    ) -> Result<(), Error> {
        let update = Update::new()
            .set("hardware", json_text(&has.hardware)?)
            .set("software", json_text(&has.software)?);
        self.of.change::<Executor>(&scoped(colony, name)?, update)
    }

    /// Sets what of an executor is promised to whom.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_allocations(
        &self,
        colony: &str,
        name: &str,
        all: &Allocations,
    ) -> Result<(), Error> {
        let update = Update::new().set("allocations", json_text(all)?);
        self.of.change::<Executor>(&scoped(colony, name)?, update)
    }

    /// Lets an executor leave: its processes wait again, its functions go. It is still known, as one
    /// that has left.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, colony: &str, name: &str) -> Result<(), Error> {
        let executors = &self.of.name(Executor::COLLECTION);
        let functions = &self.of.name(Function::COLLECTION);
        let own = Find::new(crate::function::which(colony, Some(name), None));
        let at = key(&scoped(colony, name)?)?;
        self.of.store().transact(Hold::Changed, &mut |steps| {
            let row = steps.get(executors, &at)?;
            let row = row.ok_or_else(|| Error::not_found(Executor::WHAT, name))?;
            steps.change(Change::Update {
                collection: executors,
                id: at.clone(),
                update: Update::new().set("state", ExecutorState::Unregistered.write()),
            })?;
            let its = Filter::eq("assigned_executor_id", row.read::<String>("executor_id"));
            self.of.processes().put_back(steps, its)?;
            steps.find(functions, &own)?.iter().try_for_each(|row| {
                let (collection, id) = (functions, row.id());
                steps.change(Change::Delete { collection, id })
            })
        })
    }

    /// Removes all executors of a colony for good: their processes wait again, their functions go.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str) -> Result<u64, Error> {
        let removed = self
            .of
            .remove_where::<Executor>(&Filter::eq("colony_name", colony))?;
        let its = Filter::eq("target_colony_name", colony);
        let processes = self.of.processes();
        self.of.store().transact(Hold::Changed, &mut |steps| {
            processes.put_back(steps, its.clone())
        })?;
        self.of
            .remove_where::<Function>(&Filter::eq("colony_name", colony))?;
        Ok(removed)
    }

    fn update_by_id(&self, id: &str, update: Update) -> Result<(), Error> {
        let filter = Filter::eq("executor_id", id);
        match self.of.change_where::<Executor>(&filter, &update)? {
            0 => Err(Error::not_found(Executor::WHAT, id)),
            _ => Ok(()),
        }
    }
}

fn which(colony: Option<&str>, state: Option<ExecutorState>) -> Filter {
    let colony = colony.map(|colony| Filter::eq("colony_name", colony));
    let state = match state {
        Some(state) => Filter::eq("state", state.write()),
        None => Filter::ne("state", ExecutorState::Unregistered.write()),
    };
    all_of(colony.into_iter().chain([state]))
}
