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
use crate::function::{Function, Ran};
use crate::graph::{closed, note_state, process_row, put_state};
use crate::model::State;
use crate::process::{Process, after};
use crate::processes::{Find, Processes, start};
use crate::records::all_of;
use crate::row::{Column as _, NO_TIME, Record as _, json_text};
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
            if let Some(function) = self.counted(&process)? {
                let ran = Ran {
                    waited_s: done.waited.as_secs_f64(),
                    ran_s: done.ran.as_secs_f64(),
                };
                crate::function::count(self.of, steps, &function, ran)?;
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

    /// Gives a process up. One of a workflow is given up with it: [`crate::Graphs::cancel`].
    ///
    /// # Errors
    /// [`Error::State`]: it is closed, or of a workflow.
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
            // Those behind it would wait for ever.
            let alone = state != State::Cancelled || process.graph_id.is_empty();
            allowed(alone, &process, by, "cancelled without its workflow")?;
            self.put_end(steps, &process, state, errors, now)?;
            before = Some(finished(&process, now));
            Ok(())
        })?;
        before.ok_or_else(|| Error::not_found(Process::WHAT, id))
    }

    /// Closes a process that was not done.
    fn put_end(
        &self,
        steps: &mut dyn Steps,
        process: &Process,
        state: State,
        errors: &[String],
        now: Timestamp,
    ) -> Result<(), Error> {
        let update = Update::new().set("end_time", now);
        let update = match errors {
            [] => update,
            errors => update.set("errors", errors.to_vec().write()),
        };
        put_state(self.of, steps, &process.id, state, update)?;
        if process.graph_id.is_empty() {
            return Ok(());
        }
        closed(self.of, steps, process, state, now)
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
            self.take_away(steps, &process, now)
        })
    }

    fn take_away(
        &self,
        steps: &mut dyn Steps,
        process: &Process,
        now: Timestamp,
    ) -> Result<(), Error> {
        let update = waiting_again(Update::new(), process, now);
        let update = update.set("end_time", now).add("retries", 1);
        put_state(self.of, steps, &process.id, State::Waiting, update)
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
        let find_late = |state, deadline| {
            let filter = all_of([
                Filter::eq("state", State::write(&state)),
                Filter::gt(deadline, NO_TIME),
                Filter::lt(deadline, now),
            ]);
            self.of
                .find::<Process>(&velocitydb::query::Find::new(filter))
        };
        let mut late = find_late(State::Running, "exec_deadline")?;
        late.extend(find_late(State::Waiting, "wait_deadline")?);
        let mut enforced = Enforced::default();
        for process in late {
            let mut done = Enforced::default();
            self.of.store().transact(Hold::Read, &mut |steps| {
                done = self.enforce(steps, &process.id, now)?;
                Ok(())
            })?;
            enforced.unassigned += done.unassigned;
            enforced.failed += done.failed;
        }
        Ok(enforced)
    }

    /// Does what is to be done with a process that was late; it may be no more.
    fn enforce(&self, steps: &mut dyn Steps, id: &str, now: Timestamp) -> Result<Enforced, Error> {
        let process = match self.as_it_is(steps, id) {
            Err(Error::NotFound { .. }) => return Ok(Enforced::default()),
            process => process?,
        };
        let passed = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline < now);
        let most = process.spec.max_retries;
        let why = match process.state {
            State::Running if passed(process.exec_deadline) => {
                if most < 0 || process.retries < most {
                    self.take_away(steps, &process, now)?;
                    return Ok(Enforced {
                        unassigned: 1,
                        failed: 0,
                    });
                }
                "it has run longer than it may"
            }
            State::Waiting if passed(process.wait_deadline) => "it has waited longer than it may",
            _ => return Ok(Enforced::default()),
        };
        self.put_end(steps, &process, State::Failed, &[why.to_owned()], now)?;
        Ok(Enforced {
            unassigned: 0,
            failed: 1,
        })
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
    pub(crate) fn put_back(&self, steps: &mut dyn Steps, filter: Filter) -> Result<(), Error> {
        let run = all_of([filter, Filter::eq("state", State::Running.write())]);
        let find = velocitydb::query::Find::new(run);
        let rows = steps.find(&self.of.name(Process::COLLECTION), &find)?;
        rows.iter().try_for_each(|row| {
            let update = Update::new()
                .set("is_assigned", false)
                .set("start_time", NO_TIME)
                .set("end_time", NO_TIME)
                .set("assigned_executor_id", "");
            let id: String = row.read("process_id");
            put_state(self.of, steps, &id, State::Waiting, update)
        })
    }

    fn as_it_is(&self, steps: &mut dyn Steps, id: &str) -> Result<Process, Error> {
        Process::from_row(&process_row(self.of, steps, id)?)
    }

    /// The function whose statistics a process is for. Looked up outside of the transaction, so that others
    /// may come and go meanwhile; the function itself is read within it.
    fn counted(&self, process: &Process) -> Result<Option<String>, Error> {
        if self.of.count::<Function>(&Filter::All)? == 0 {
            return Ok(None);
        }
        let executor = self.of.executors().by_id(&process.assigned_executor_id)?;
        let Some(executor) = executor else {
            return Ok(None);
        };
        let (colony, name) = (&process.spec.conditions.colony, &process.spec.function);
        let functions = self.of.functions();
        let function = functions.of_executor(colony, &executor.name, name)?;
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
