//! Functions that executors have, with their statistics.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use velocitydb::Update;
use velocitydb::query::{Filter, Find};

use crate::Colonies;
use crate::error::Error;
use crate::records::{all_of, group};
use crate::row::{Record, Row, RowBuilder, json, json_of, json_text, key};
use crate::store::{Change, Steps};

/// A function of an executor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Function {
    /// Its id.
    #[serde(rename = "functionid")]
    pub id: String,
    /// The executor.
    #[serde(rename = "executorname")]
    pub executor: String,
    /// The executor's type.
    #[serde(rename = "executortype")]
    pub executor_type: String,
    /// The colony.
    #[serde(rename = "colonyname")]
    pub colony: String,
    /// Its name.
    #[serde(rename = "funcname")]
    pub name: String,
    /// What it does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its arguments: name, type, description, …
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub args: Vec<Json>,
    /// How often it was done.
    pub counter: i32,
    /// Seconds that it waited at least.
    #[serde(rename = "minwaittime")]
    pub min_wait_s: f64,
    /// Seconds that it waited at most.
    #[serde(rename = "maxwaittime")]
    pub max_wait_s: f64,
    /// Seconds that it ran at least.
    #[serde(rename = "minexectime")]
    pub min_exec_s: f64,
    /// Seconds that it ran at most.
    #[serde(rename = "maxexectime")]
    pub max_exec_s: f64,
    /// Seconds that it waited, the latest counting as much as all before.
    #[serde(rename = "avgwaittime")]
    pub avg_wait_s: f64,
    /// Seconds that it ran, the latest counting as much as all before.
    #[serde(rename = "avgexectime")]
    pub avg_exec_s: f64,
    /// Where the executor is.
    #[serde(rename = "locationname", skip_serializing_if = "String::is_empty")]
    pub location: String,
}

impl Record for Function {
    const COLLECTION: &'static str = "functions";
    const WHAT: &'static str = "function";

    fn from_row(row: &Row) -> Result<Function, Error> {
        Ok(Function {
            id: row.read("function_id"),
            executor: row.read("executor_name"),
            executor_type: row.read("executor_type"),
            colony: row.read("colony_name"),
            name: row.read("funcname"),
            description: row.read("description"),
            args: json_of(row, Function::WHAT, "args")?,
            counter: row.read("counter"),
            min_wait_s: row.read("minwaittime"),
            max_wait_s: row.read("maxwaittime"),
            min_exec_s: row.read("minexectime"),
            max_exec_s: row.read("maxexectime"),
            avg_wait_s: row.read("avgwaittime"),
            avg_exec_s: row.read("avgexectime"),
            location: row.read("location_name"),
        })
    }

    fn to_row(&self) -> Result<RowBuilder, Error> {
        Ok(RowBuilder::new()
            .put("function_id", &self.id)
            .put("executor_name", &self.executor)
            .put("executor_type", &self.executor_type)
            .put("colony_name", &self.colony)
            .put("funcname", &self.name)
            .put("description", &self.description)
            .value("args", json_text(&self.args)?)
            .put("counter", &self.counter)
            .put("minwaittime", &self.min_wait_s)
            .put("maxwaittime", &self.max_wait_s)
            .put("minexectime", &self.min_exec_s)
            .put("maxexectime", &self.max_exec_s)
            .put("avgwaittime", &self.avg_wait_s)
            .put("avgexectime", &self.avg_exec_s)
            .put("location_name", &self.location))
    }
}

/// Once more done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    pub(crate) waited_s: f64,
    pub(crate) ran_s: f64,
}

impl Function {
    /// The statistics with one more, as ColonyOS reckons them: 0 stands for none yet.
    fn with(&self, ran: Ran) -> Function {
        let least = |before: f64, now: f64| if before > 0.0 { before.min(now) } else { now };
        let mean = |before: f64, now| {
            if before > 0.0 {
                (before + now) / 2.0
            } else {
                now
            }
        };
        Function {
            counter: self.counter.saturating_add(1),
            min_wait_s: least(self.min_wait_s, ran.waited_s),
            max_wait_s: self.max_wait_s.max(ran.waited_s),
            min_exec_s: least(self.min_exec_s, ran.ran_s),
            max_exec_s: self.max_exec_s.max(ran.ran_s),
            avg_wait_s: mean(self.avg_wait_s, ran.waited_s),
            avg_exec_s: mean(self.avg_exec_s, ran.ran_s),
            ..self.clone()
        }
    }

    fn statistics(&self) -> Update {
        Update::new()
            .set("counter", self.counter)
            .set("minwaittime", self.min_wait_s)
            .set("maxwaittime", self.max_wait_s)
            .set("minexectime", self.min_exec_s)
            .set("maxexectime", self.max_exec_s)
            .set("avgwaittime", self.avg_wait_s)
            .set("avgexectime", self.avg_exec_s)
    }
}

/// Counts a function as done once more, if it is still there.
pub(crate) fn count(
    colonies: &Colonies,
    steps: &mut dyn Steps,
    id: &str,
    ran: Ran,
) -> Result<(), Error> {
    let (collection, id) = (&colonies.name(Function::COLLECTION), key(id)?);
    let Some(row) = steps.get(collection, &id)? else {
        return Ok(());
    };
    let update = Function::from_row(&row)?.with(ran).statistics();
    steps.change(Change::Update {
        collection,
        id,
        update,
    })
}

group! {
    /// Functions. From [`crate::Colonies::functions`].
    Functions
}

impl Functions<'_> {
    /// Adds a function of an executor.
    ///
    /// # Errors
    /// [`Error::Exists`]: there is one of its id.
    pub fn add(&self, function: &Function) -> Result<(), Error> {
        self.of
            .insert::<Function>(&function.id, function.to_fields()?)
    }

    /// The function of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, id: &str) -> Result<Option<Function>, Error> {
        self.of.by_id(id)
    }

    /// Those of a colony, of one of its executors.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn find(&self, colony: &str, executor: Option<&str>) -> Result<Vec<Function>, Error> {
        self.of.find(&Find::new(which(colony, executor, None)))
    }

    /// That of an executor that has this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn of_executor(
        &self,
        colony: &str,
        executor: &str,
        name: &str,
    ) -> Result<Option<Function>, Error> {
        self.of.find_one(which(colony, Some(executor), Some(name)))
    }

    /// Sets the statistics of a function to those that `function` has. Closing a process counts by itself.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn set_statistics(&self, function: &Function) -> Result<u64, Error> {
        let Function {
            colony,
            executor,
            name,
            ..
        } = function;
        let filter = which(colony, Some(executor), Some(name));
        self.of
            .change_where::<Function>(&filter, &function.statistics())
    }

    /// Removes the function of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        self.of
            .remove_one::<Function>(&Filter::eq("function_id", id), id)
    }

    /// Removes that of an executor that has this name; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_of_executor(
        &self,
        colony: &str,
        executor: &str,
        name: &str,
    ) -> Result<u64, Error> {
        self.of
            .remove_where::<Function>(&which(colony, Some(executor), Some(name)))
    }

    /// Removes those of a colony, of one of its executors; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str, executor: Option<&str>) -> Result<u64, Error> {
        self.of
            .remove_where::<Function>(&which(colony, executor, None))
    }

    /// Removes all functions; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn clear(&self) -> Result<u64, Error> {
        self.of.remove_where::<Function>(&Filter::All)
    }
}

pub(crate) fn which(colony: &str, executor: Option<&str>, name: Option<&str>) -> Filter {
    let executor = executor.map(|executor| Filter::eq("executor_name", executor));
    let name = name.map(|name| Filter::eq("funcname", name));
    let colony = Filter::eq("colony_name", colony);
    all_of([colony].into_iter().chain(executor).chain(name))
}
