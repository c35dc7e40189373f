//! What becomes of a process after it was assigned: closed, taken away, put back.
//!
//! Each is one transaction: what it checks still holds when it happens, and all that follows (the
//! graph, the attributes, the statistics of the function) happens with it. In ColonyOS these are
//! checks and writes one after the other.

use std::time::Duration;

use serde_json::Value as Json;
use velocitydb::query::Filter;
use velocitydb::{Timestamp, Update};

use crate::attribute::Attribute;
use crate::error::Error;
use crate::executor::Executor;
use crate::function::{Function, Ran};
use crate::graph::{closed, note_state, process_row, put_state};
use crate::model::State;
use crate::process::{Process, after};
use crate::processes::{Find, Processes, start};
use crate::records::all_of;
use crate::row::{Column as _, NO_TIME, Record as _, json_text, key};
use crate::store::{Hold, Steps};

/// Who closes a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'b> {
    /// This executor, which must have it.
    Executor(&'b str),
    /// Anybody.
    Anyone,
}

/// What a closed process was.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// The process before it was closed.
    pub process: Process,
    /// How long it waited.
    pub waited: Duration,
    /// How long it ran.
    pub ran: Duration,
}

impl Processes<'_> {
    /// Closes a running process as done, with what it has given.
    ///
    /// # Errors
    /// [`Error::State`]: it does not run, or another executor has it.
    pub fn succeed(&self, id: &str, by: By<'_>, output: &[Json]) -> Result<Closed, Error> {
        let update = match output {
            [] => Update::new(),
            output => Update::new().set("output", json_text(&output)?),
        };
        let counted = self.counted(id)?;
        let (now, mut before) = (self.of.store().now(), None);
        self.of.store().transact(Hold::Read, &mut |steps| {
            let mut process = self.as_it_is(steps, id)?;
            let runs = process.state == State::Running;
            allowed(runs, &process, by, "closed as successful")?;
            let update = update.clone().set("end_time", now);
            put_state(self.of, steps, id, State::Successful, update)?;
            if !output.is_empty() {
                process.output = output.to_vec();
            }
            let done = finished(&process, now);
            if !process.graph_id.is_empty() {
                closed(self.of, steps, &process, State::Successful, now)?;
            }
            if let Some(function) = &counted {
                let ran = Ran {
                    waited_s: done.waited.as_secs_f64(),
                    ran_s: done.ran.as_secs_f64(),
                };
                crate::function::count(self.of, steps, function, ran)?;
            }
            before = Some(done);
            Ok(())
        })?;
        before.ok_or_else(|| Error::not_found(Process::WHAT, id))
    }

    /// Closes a process as failed, with what went wrong. Of a graph, those behind it fail too.
    ///
    /// # Errors
    /// [`Error::State`]: it is closed, or another executor has it.
    pub fn fail(&self, id: &str, by: By<'_>, errors: &[String]) -> Result<Closed, Error> {
        self.end(id, by, State::Failed, errors, "closed as failed")
    }

    /// Gives a process up.
    ///
    /// # Errors
    /// [`Error::State`]: it is closed.
    pub fn cancel(&self, id: &str) -> Result<Closed, Error> {
        self.end(id, By::Anyone, State::Cancelled, &[], "cancelled")
    }

    fn end(
        &self,
        id: &str,
        by: By<'_>,
        state: State,
        errors: &[String],
        wanted: &'static str,
    ) -> Result<Closed, Error> {
        let (now, mut before) = (self.of.store().now(), None);
        self.of.store().transact(Hold::Read, &mut |steps| {
            let process = self.as_it_is(steps, id)?;
            allowed(!process.state.is_closed(), &process, by, wanted)?;
            let update = Update::new().set("end_time", now);
            let update = match errors {
                [] => update,
                errors => update.set("errors", errors.to_vec().write()),
            };
            put_state(self.of, steps, id, state, update)?;
            if !process.graph_id.is_empty() {
                closed(self.of, steps, &process, state, now)?;
            }
            before = Some(finished(&process, now));
            Ok(())
        })?;
        before.ok_or_else(|| Error::not_found(Process::WHAT, id))
    }

    /// Gives a certain process to an executor, whatever its conditions.
    ///
    /// # Errors
    /// [`Error::State`]: another has it, or it is closed.
    pub fn assign_to(&self, id: &str, executor_id: &str) -> Result<Process, Error> {
        let (now, mut given) = (self.of.store().now(), None);
        self.of.store().transact(Hold::Changed, &mut |steps| {
            let mut process = self.as_it_is(steps, id)?;
            let free = process.state == State::Waiting && !process.is_assigned;
            allowed(free, &process, By::Anyone, "assigned")?;
            let seconds = process.spec.max_exec_s;
            put_state(
                self.of,
                steps,
                id,
                State::Running,
                start(now, executor_id, seconds),
            )?;
            process.state = State::Running;
            process.is_assigned = true;
            process.assigned_executor_id = executor_id.to_owned();
            process.started_at = Some(now);
            process.exec_deadline = after(now, seconds).or(process.exec_deadline);
            given = Some(process);
            Ok(())
        })?;
        let mut process = given.ok_or_else(|| Error::not_found(Process::WHAT, id))?;
        if !process.graph_id.is_empty() {
            crate::graph::started(self.of, &mut process)?;
        }
        Ok(process)
    }

    /// Takes a running process away from its executor: it waits again, and has one retry more.
    ///
    /// # Errors
    /// [`Error::State`]: it does not run, or another executor has it by now.
    pub fn unassign(&self, id: &str, by: By<'_>) -> Result<(), Error> {
        let now = self.of.store().now();
        self.of.store().transact(Hold::Changed, &mut |steps| {
            let process = self.as_it_is(steps, id)?;
            allowed(process.state == State::Running, &process, by, "unassigned")?;
            let update = waiting_again(Update::new(), &process, now);
            let update = update.set("end_time", now).add("retries", 1);
            put_state(self.of, steps, id, State::Waiting, update)
        })
    }

    /// Has a process begin anew, whatever became of it: submitted now.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn reset(&self, id: &str) -> Result<(), Error> {
        let now = self.of.store().now();
        self.of.store().transact(Hold::Changed, &mut |steps| {
            let process = self.as_it_is(steps, id)?;
            let update = waiting_again(Update::new(), &process, now)
                .set("submission_time", now)
                .set("start_time", NO_TIME)
                .set("end_time", NO_TIME);
            put_state(self.of, steps, id, State::Waiting, update)
        })
    }

    /// Takes running processes whose time is up away from their executors, and has those fail that have
    /// been retried as often as they may, or waited as long as they may; how many of each.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn enforce_deadlines(&self) -> Result<Enforced, Error> {
        let now = self.of.store().now();
        let late = |state, deadline| {
            let filter = all_of([
                Filter::eq("state", State::write(&state)),
                Filter::gt(deadline, NO_TIME),
                Filter::lt(deadline, now),
            ]);
            self.of
                .find::<Process>(&velocitydb::query::Find::new(filter))
        };
        let mut enforced = Enforced::default();
        // Whoever was faster has had the last word.
        let passed = |done: Result<(), Error>| match done {
            Ok(()) => Ok(1),
            Err(Error::State { .. } | Error::NotFound { .. }) => Ok(0),
            Err(error) => Err(error),
        };
        for process in late(State::Running, "exec_deadline")? {
            let by = By::Executor(&process.assigned_executor_id);
            let most = process.spec.max_retries;
            if most >= 0 && process.retries >= most {
                let why = ["it has run longer than it may".to_owned()];
                let done = self.fail(&process.id, by, &why).map(drop);
                enforced.failed += passed(done)?;
            } else {
                enforced.unassigned += passed(self.unassign(&process.id, by))?;
            }
        }
        for process in late(State::Waiting, "wait_deadline")? {
            let why = ["it has waited longer than it may".to_owned()];
            enforced.failed += passed(self.fail_waiting(&process.id, &why))?;
        }
        Ok(enforced)
    }

    fn fail_waiting(&self, id: &str, errors: &[String]) -> Result<(), Error> {
        // Nobody has it: the executor's id is empty.
        self.fail(id, By::Executor(""), errors).map(drop)
    }

    /// Sets what goes into a process.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_input(&self, id: &str, input: &[Json]) -> Result<(), Error> {
        let update = Update::new().set("input", json_text(&input)?);
        self.of.change::<Process>(id, update)
    }

    /// Sets what a process gives.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_output(&self, id: &str, output: &[Json]) -> Result<(), Error> {
        let update = Update::new().set("output", json_text(&output)?);
        self.of.change::<Process>(id, update)
    }

    /// Sets what went wrong with a process.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_errors(&self, id: &str, errors: &[String]) -> Result<(), Error> {
        let update = Update::new().set("errors", errors.to_vec().write());
        self.of.change::<Process>(id, update)
    }

    /// Sets which processes come before and behind one, and whether it waits for the former; `None`
    /// leaves them as they are.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn connect(
        &self,
        id: &str,
        parents: Option<&[String]>,
        children: Option<&[String]>,
        wait_for_parents: Option<bool>,
    ) -> Result<(), Error> {
        let mut update = Update::new();
        if let Some(parents) = parents {
            update = update.set("parents", parents.to_vec().write());
        }
        if let Some(children) = children {
            update = update.set("children", children.to_vec().write());
        }
        if let Some(waits) = wait_for_parents {
            update = update.set("wait_for_parents", waits);
        }
        self.of.change::<Process>(id, update)
    }

    /// Puts a process into a state without any check, and its attributes with it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_state(&self, id: &str, state: State) -> Result<(), Error> {
        self.of.store().transact(Hold::Changed, &mut |steps| {
            process_row(self.of, steps, id)?;
            put_state(self.of, steps, id, state, Update::new())
        })
    }

    /// Removes the processes that `find` describes, with their attributes; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove(&self, find: Find) -> Result<u64, Error> {
        let attributes = self.of.name(Attribute::COLLECTION);
        self.of.remove_with::<Process>(&find.filter(), |row| {
            let find = Filter::eq("target_id", row.read::<String>("process_id"));
            let noted = self
                .of
                .store()
                .find(&attributes, &velocitydb::query::Find::new(find))?;
            Ok(noted
                .iter()
                .map(|row| (attributes.clone(), row.id()))
                .collect())
        })
    }

    /// Removes a process with its attributes.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_one(&self, id: &str) -> Result<(), Error> {
        match self.remove(Find::one(id))? {
            0 => Err(Error::not_found(Process::WHAT, id)),
            _ => Ok(()),
        }
    }

    /// Puts running processes of a filter back into the queue, as if they had never been assigned.
    pub(crate) fn put_back(&self, filter: &Filter) -> Result<u64, Error> {
        let update = Update::new()
            .set("is_assigned", false)
            .set("start_time", NO_TIME)
            .set("end_time", NO_TIME)
            .set("assigned_executor_id", "")
            .set("state", State::Waiting.write());
        self.of.change_where::<Process>(filter, &update)
    }

    fn as_it_is(&self, steps: &mut dyn Steps, id: &str) -> Result<Process, Error> {
        Process::from_row(&process_row(self.of, steps, id)?)
    }

    /// The function whose statistics a process is for.
    fn counted(&self, id: &str) -> Result<Option<String>, Error> {
        let Some(row) = self
            .of
            .store()
            .get(&self.of.name(Process::COLLECTION), &key(id)?)?
        else {
            return Err(Error::not_found(Process::WHAT, id));
        };
        if self.of.count::<Function>(&Filter::All)? == 0 {
            return Ok(None);
        }
        let executor: String = row.read("assigned_executor_id");
        let executor: Option<Executor> = self.of.find_one(Filter::eq("executor_id", executor))?;
        let Some(executor) = executor else {
            return Ok(None);
        };
        let colony: String = row.read("target_colony_name");
        let name: String = row.read("funcname");
        let function = self
            .of
            .functions()
            .of_executor(&colony, &executor.name, &name)?;
        Ok(function.map(|function| function.id))
    }

    pub(crate) fn note_states(&self, processes: &[Process]) -> Result<(), Error> {
        if self.of.count::<Attribute>(&Filter::All)? == 0 {
            return Ok(());
        }
        for process in processes {
            self.of.store().transact(Hold::Changed, &mut |steps| {
                note_state(self.of, steps, &process.id, process.state)
            })?;
        }
        Ok(())
    }
}

/// How many processes were too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Enforced {
    /// They wait again.
    pub unassigned: u64,
    /// They were closed.
    pub failed: u64,
}

fn allowed(may: bool, process: &Process, by: By<'_>, wanted: &'static str) -> Result<(), Error> {
    let has = match by {
        By::Executor(id) => process.assigned_executor_id == id,
        By::Anyone => true,
    };
    match may && has {
        true => Ok(()),
        false => Err(Error::State {
            id: process.id.clone(),
            is: process.state,
            wanted: if may {
                "changed by an executor that does not have it"
            } else {
                wanted
            },
        }),
    }
}

fn finished(process: &Process, now: Timestamp) -> Closed {
    Closed {
        waited: process.waiting_time(now),
        ran: process.processing_time(now),
        process: process.clone(),
    }
}

/// What it takes to wait again.
fn waiting_again(update: Update, process: &Process, now: Timestamp) -> Update {
    let update = update
        .set("is_assigned", false)
        .set("assigned_executor_id", "");
    match after(now, process.spec.max_wait_s) {
        Some(deadline) => update.set("wait_deadline", deadline),
        None => update,
    }
}
