//! Generators: arguments are packed into them until there are enough, or until it has taken too long; then a
//! workflow is submitted with them.

use velocitydb::query::{Filter, Find};
use velocitydb::{Key, Timestamp, Update};

use crate::error::Error;
use crate::graph::{Begin, ProcessGraph, WorkflowSpec, plan, submit_graph};
use crate::process::after;
use crate::records::{all_of, group};
use crate::row::{Record as _, key, record};
use crate::store::{Change, Hold};

record! {
    /// A generator.
    Generator in "generators" called "generator" {
        /// Its id.
        id: String, "generatorid", "generator_id";
        /// In whose name it submits.
        initiator_id: String, "initiatorid", "initiator_id";
        /// The name of that.
        initiator_name: String, "initiatorname", "initiator_name";
        /// The colony.
        colony: String, "colonyname", "colony_name";
        /// Its name, which is unique in the colony.
        name: String, "name", "name";
        /// What it submits: a [`WorkflowSpec`] as JSON.
        workflow: String, "workflowspec", "workflow_spec";
        /// How many arguments are enough.
        trigger: i32, "trigger", "trigger";
        /// Seconds after which fewer are enough; 0: never.
        timeout_s: i32, "timeout", "timeout";
        /// When the first argument was packed.
        #[serde(with = "crate::row::json::time")]
        first_pack: Option<Timestamp>, "firstpack", "firstpack";
        /// When it submitted last.
        #[serde(with = "crate::row::json::time")]
        last_run: Option<Timestamp>, "lastrun", "lastrun";
    }
}

record! {
    /// An argument that waits in a generator.
    GeneratorArg in "generatorargs" called "argument" {
        /// Its id.
        id: String, "generatorargid", "generatorarg_id";
        /// The generator.
        generator_id: String, "generatorid", "generator_id";
        /// The colony.
        colony: String, "colonyname", "colony_name";
        /// The argument.
        arg: String, "arg", "arg";
    }
}

group! {
    /// Generators. From [`crate::Colonies::generators`].
    Generators
}

impl Generators<'_> {
    /// Adds a generator.
    ///
    /// # Errors
    /// [`Error::Exists`]: the colony has one of its name, or there is one of its id.
    pub fn add(&self, generator: &Generator) -> Result<(), Error> {
        let collection = &self.of.name(Generator::COLLECTION);
        let find = Find::new(of_name(&generator.colony, &generator.name)).limit(1);
        let written = self.of.store().transact(Hold::Read, &mut |steps| {
            if !steps.find(collection, &find)?.is_empty() {
                return Err(Error::exists(Generator::WHAT, &generator.name));
            }
            let fields = generator.to_fields()?;
            steps.change(Change::Insert { collection, fields })
        });
        written.map_err(|error| crate::records::taken::<Generator>(error, &generator.id))
    }

    /// The generator of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, id: &str) -> Result<Option<Generator>, Error> {
        self.of.by_id(id)
    }

    /// The generator of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn by_name(&self, colony: &str, name: &str) -> Result<Option<Generator>, Error> {
        self.of.find_one(of_name(colony, name))
    }

    /// Those of a colony (of all), at most so many.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn find(&self, colony: Option<&str>, most: usize) -> Result<Vec<Generator>, Error> {
        let filter = all_of(colony.map(|colony| Filter::eq("colony_name", colony)));
        self.of.find(&Find::new(filter).limit(most))
    }

    /// Packs an argument into a generator.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is no such generator.
    pub fn pack(&self, id: &str, arg: &str) -> Result<(), Error> {
        let now = self.of.store().now();
        let generators = &self.of.name(Generator::COLLECTION);
        let args = &self.of.name(GeneratorArg::COLLECTION);
        let at = key(id)?;
        self.of.store().transact(Hold::Read, &mut |steps| {
            let row = steps.get(generators, &at)?;
            let row = row.ok_or_else(|| Error::not_found(Generator::WHAT, id))?;
            let generator = Generator::from_row(&row)?;
            if generator.first_pack.is_none() {
                steps.change(Change::Update {
                    collection: generators,
                    id: at.clone(),
                    update: Update::new().set("firstpack", now),
                })?;
            }
            let packed = GeneratorArg {
                id: crate::ids::new_id(),
                generator_id: id.to_owned(),
                colony: generator.colony,
                arg: arg.to_owned(),
            };
            steps.change(Change::Insert {
                collection: args,
                fields: packed.to_fields()?,
            })
        })
    }

    /// The arguments that wait in a generator, the oldest first, at most so many.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn args(&self, id: &str, most: usize) -> Result<Vec<GeneratorArg>, Error> {
        self.of.find(&oldest(id).limit(most))
    }

    /// How many arguments wait in a generator.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count_args(&self, id: &str) -> Result<u64, Error> {
        self.of
            .count::<GeneratorArg>(&Filter::eq("generator_id", id))
    }

    /// Submits the workflows of a generator that has enough arguments, or has waited long enough: as many
    /// as it has arguments for. Each argument goes into one, whoever fires the generator at the same time.
    ///
    /// # Errors
    /// [`Error::NotFound`]; its workflow makes no sense.
    pub fn fire(&self, id: &str) -> Result<Vec<ProcessGraph>, Error> {
        let now = self.of.store().now();
        let generators = &self.of.name(Generator::COLLECTION);
        let args = &self.of.name(GeneratorArg::COLLECTION);
        let graphs = &self.of.name(ProcessGraph::COLLECTION);
        let names = self.of.process_names();
        let at = key(id)?;
        let mut submitted = Vec::new();
        self.of.store().transact(Hold::Changed, &mut |steps| {
            submitted.clear();
            let row = steps.get(generators, &at)?;
            let row = row.ok_or_else(|| Error::not_found(Generator::WHAT, id))?;
            let generator = Generator::from_row(&row)?;
            let workflow: WorkflowSpec = crate::graph::workflow_of(&row, Generator::WHAT)?;
            let waiting = steps.find(args, &oldest(id))?;
            let enough = usize::try_from(generator.trigger).unwrap_or(0).max(1);
            let whole = waiting.len() / enough * enough;
            let size = match whole {
                0 if generator.is_late(now) => waiting.len(),
                _ => enough,
            };
            let taken = if size == enough { whole } else { size };
            for rows in waiting[..taken].chunks(size.max(1)) {
                let given = rows.iter().map(|row| row.read::<String>("arg").into());
                let begin = Begin {
                    initiator_id: &generator.initiator_id,
                    initiator_name: &generator.initiator_name,
                    args: given.collect(),
                    input: Vec::new(),
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
                for row in rows {
                    let id: Key = row.id();
                    changes.push(Change::Delete {
                        collection: args,
                        id,
                    });
                }
                changes
                    .into_iter()
                    .try_for_each(|change| steps.change(change))?;
                submitted.push(graph);
            }
            if !submitted.is_empty() {
                steps.change(Change::Update {
                    collection: generators,
                    id: at.clone(),
                    update: Update::new().set("lastrun", now),
                })?;
            }
            Ok(())
        })?;
        Ok(submitted)
    }

    /// Notes when a generator submitted last, or was packed first: now. [`Generators::fire`] and
    /// [`Generators::pack`] do so by themselves.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn note(&self, id: &str, what: Noted) -> Result<(), Error> {
        let column = match what {
            Noted::LastRun => "lastrun",
            Noted::FirstPack => "firstpack",
        };
        let update = Update::new().set(column, self.of.store().now());
        self.of.change::<Generator>(id, update)
    }

    /// Adds an argument as it is. [`Generators::pack`] makes it.
    ///
    /// # Errors
    /// [`Error::Exists`].
    pub fn add_arg(&self, arg: &GeneratorArg) -> Result<(), Error> {
        self.of.insert::<GeneratorArg>(&arg.id, arg.to_fields()?)
    }

    /// Removes an argument.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_arg(&self, id: &str) -> Result<(), Error> {
        self.of
            .remove_one::<GeneratorArg>(&Filter::eq("generatorarg_id", id), id)
    }

    /// Removes the arguments of a generator; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_args(&self, id: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<GeneratorArg>(&Filter::eq("generator_id", id))
    }

    /// Removes the arguments of all generators of a colony; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_args_in(&self, colony: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<GeneratorArg>(&Filter::eq("colony_name", colony))
    }

    /// Removes a generator with its arguments.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        self.of
            .remove_one::<Generator>(&Filter::eq("generator_id", id), id)?;
        self.remove_args(id)?;
        Ok(())
    }

    /// Removes those of a colony with their arguments; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str) -> Result<u64, Error> {
        let removed = self
            .of
            .remove_where::<Generator>(&Filter::eq("colony_name", colony))?;
        self.remove_args_in(colony)?;
        Ok(removed)
    }
}

/// What is noted of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It submitted.
    LastRun,
    /// Its first argument was packed.
    FirstPack,
}

impl Generator {
    fn is_late(&self, now: Timestamp) -> bool {
        let since = self.last_run.or(self.first_pack);
        let until = since.and_then(|since| after(since, self.timeout_s));
        until.is_some_and(|until| now > until)
    }
}

fn oldest(id: &str) -> Find {
    let first = [("_created_at", velocitydb::query::Direction::Ascending)];
    Find::new(Filter::eq("generator_id", id)).sort(first)
}

fn of_name(colony: &str, name: &str) -> Filter {
    all_of([Filter::eq("colony_name", colony), Filter::eq("name", name)])
}
