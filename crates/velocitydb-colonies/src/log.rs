//! What processes say while they run.

use velocitydb::Timestamp;
use velocitydb::query::{Direction, Filter, Find};

use crate::error::Error;
use crate::records::{all_of, group};
use crate::row::{Record as _, record};

record! {
    /// Something that was said.
    Log in "logs" called "log" {
        /// The process.
        process_id: String, "processid", "process_id";
        /// The colony.
        colony: String, "colonyname", "colony_name";
        /// The executor.
        executor: String, "executorname", "executor_name";
        /// What was said.
        message: String, "message", "msg";
        /// When, in nanoseconds since 1970.
        time_ns: i64, "timestamp", "ts";
    }
}

group! {
    /// Logs. From [`crate::Colonies::logs`].
    Logs
}

/// Whose logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'w> {
    /// Those of a process.
    Process(&'w str),
    /// Those of an executor, by its name.
    Executor(&'w str),
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first ones.
    First,
    /// The first ones after this time, in nanoseconds since 1970.
    After(i64),
    /// The last ones.
    Last,
}

impl Logs<'_> {
    /// Keeps what was said.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn add(&self, log: &Log) -> Result<(), Error> {
        let now = self.of.store().now();
        let fields = log.to_row()?.put("added", &Some(now)).finish()?;
        self.of.insert::<Log>(&log.process_id, fields)
    }

    /// What was said, the oldest first, at most so many.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, whose: Whose<'_>, part: Part, most: usize) -> Result<Vec<Log>, Error> {
        let whose = match whose {
            Whose::Process(id) => Filter::eq("process_id", id),
            Whose::Executor(name) => Filter::eq("executor_name", name),
        };
        let (after, direction) = match part {
            Part::First => (None, Direction::Ascending),
            Part::After(time) => (Some(Filter::gt("ts", time)), Direction::Ascending),
            Part::Last => (None, Direction::Descending),
        };
        let find = Find::new(all_of([whose].into_iter().chain(after)));
        let mut logs: Vec<Log> = self.of.find(&find.sort([("ts", direction)]).limit(most))?;
        if part == Part::Last {
            logs.reverse();
        }
        Ok(logs)
    }

    /// What was said in a colony since a time with this text in it, at most so many.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn search(
        &self,
        colony: &str,
        text: &str,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<Log>, Error> {
        let filter = all_of([
            Filter::eq("colony_name", colony),
            Filter::gt("added", since),
            Filter::regex("msg", &literal(text)),
        ]);
        self.of.find(&Find::new(filter).limit(most))
    }

    /// How much was said in a colony.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count(&self, colony: &str) -> Result<u64, Error> {
        self.of.count::<Log>(&Filter::eq("colony_name", colony))
    }

    /// Removes what was said in a colony; how much.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<Log>(&Filter::eq("colony_name", colony))
    }
}

/// A pattern that is this text and nothing else.
fn literal(text: &str) -> String {
    // No others: behind a backslash `<` is the beginning of a word.
    const MEANT: &str = r"\.+*?()|[]{}^$";
    let escape = |c: char| match MEANT.contains(c) {
        true => vec!['\\', c],
        false => vec![c],
    };
    text.chars().flat_map(escape).collect()
}
