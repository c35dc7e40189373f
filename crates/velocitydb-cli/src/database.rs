//! `--database`: which database of a data directory, or of a server, a command is about.
//!
//! Tests: tests/it/databases.rs.

use clap::Args;
use velocitydb::{Database, Error};
use velocitydb_shell::{Target, VELOCITY, escape, no_such_database};

use crate::failure::Failure;
use crate::shell::failed;

/// Which database.
#[derive(Debug, Clone, Default, Args)]
pub struct InDatabase {
    /// The database [default: velocity]
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,
}

impl InDatabase {
    /// Its name.
    pub fn name(&self) -> &str {
        self.database.as_deref().unwrap_or(VELOCITY)
    }

    /// It, among those of a data directory.
    pub fn of(&self, store: &Database) -> Result<Database, Failure> {
        let name = self.name();
        store.database(name).map_err(|error| match error {
            Error::UnknownDatabase(_) => {
                let all = store.databases();
                missing(name, all.iter().map(|(_, one)| one.name.as_str()))
            }
            error => error.into(),
        })
    }

    /// Refuses a database that a new data directory does not have.
    pub fn must_be_in_new(&self) -> Result<(), Failure> {
        let lasting = [VELOCITY, "postgres"];
        match lasting.contains(&self.name()) {
            true => Ok(()),
            false => Err(missing(self.name(), lasting)),
        }
    }

    /// Goes there, unless it is where everybody begins.
    pub fn enter(&self, target: &mut dyn Target) -> Result<(), Failure> {
        match self.name() {
            VELOCITY => Ok(()),
            name => target.enter(name).map_err(|error| failed(&error)),
        }
    }
}

fn missing<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Failure {
    let what = no_such_database(name, names);
    let help = "`create database NAME` in the shell (`velocitydb shell`) makes one.";
    Failure::new(escape(&what)).help(help)
}
