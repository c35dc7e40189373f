//! `velocitydb schema`: loads a schema file into a server or a data directory, and shows what was
//! loaded.
//!
//! The file is read here first, so that what is wrong in it is said with its name and place.
//! Tests: tests/it/schema.rs; velocitydb and velocitydb-import for plans and files.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use velocitydb::{
    Call, Database, DatabaseSchema, LoadSchemaError, LoadedSchema, SchemaRow, ShownPlan,
};
use velocitydb_import::read_schema_file;
use velocitydb_shell::{Http, LoadMode, escape};

use crate::database::InDatabase;
use crate::encryption::KeyFiles;
use crate::failure::Failure;
use crate::import::open_database;
use crate::shell::{Server, failed};

/// Where the database is.
#[derive(Debug, Args)]
pub struct Where {
    #[command(flatten)]
    server: Server,

    /// The database in this directory, which no server uses, instead of a server
    #[arg(long, visible_alias = "dir", value_name = "DIR")]
    data: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyFiles,

    #[command(flatten)]
    database: InDatabase,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Bring the database to what a schema file says
    Load {
        /// The file, YAML or JSON; or `colonies`, the tables of ColonyOS, which takes --data
        file: PathBuf,

        /// What the names of ColonyOS's tables begin with, in any case
        #[arg(long, default_value = velocitydb_colonies::DEFAULT_PREFIX)]
        prefix: String,

        #[command(flatten)]
        at: Where,

        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Show a schema that was loaded, as JSON
    Show {
        /// Its name [default: the only one]
        name: Option<String>,

        #[command(flatten)]
        at: Where,
    },
    /// List the schemas that were loaded
    List {
        #[command(flatten)]
        at: Where,
    },
}

/// Runs the command.
pub fn run(action: &Action, out: &mut dyn Write) -> Result<(), Failure> {
    match action {
        Action::Load {
            file,
            prefix,
            at,
            dry_run,
        } => {
            let mode = match dry_run {
                true => LoadMode::Plan,
                false => LoadMode::Load,
            };
            match file.as_os_str() == velocitydb_colonies::SCHEMA_NAME {
                true => load_colonies(prefix, at, mode, out),
                false => load(file, at, mode, out),
            }
        }
        Action::Show { name, at } => show(name.as_deref(), at, out),
        Action::List { at } => {
            for SchemaRow {
                name,
                version,
                loaded_at,
                ..
            } in at.rows()?
            {
                writeln!(
                    out,
                    "{}, version {version}, loaded {loaded_at}",
                    escape(&name)
                )?;
            }
            Ok(())
        }
    }
}

fn load(file: &Path, at: &Where, mode: LoadMode, out: &mut dyn Write) -> Result<(), Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read {shown}: {error}")))?;
    let schema = read_schema_file(&text)
        .map_err(|error| Failure::Usage(format!("{shown}, {}", escape(&error.to_string()))))?;
    let Some(dir) = &at.data else {
        let loaded = at.target()?.load_schema(&schema.name, &text, mode);
        return told(&loaded.map_err(|error| failed(&error))?, mode, out);
    };
    let db = Database::open(at.keys.options(dir)?).map_err(|error| Failure::of(&error, dir))?;
    let done = at.database.of(&db);
    let done = done.and_then(|db| load_into(&db, schema, mode, out));
    let closed = db.close().map_err(|error| Failure::of(&error, dir));
    done.and(closed)
}

/// The tables of ColonyOS, with the sequence that goes with them.
fn load_colonies(
    prefix: &str,
    at: &Where,
    mode: LoadMode,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(dir) = &at.data else {
        let what = "the tables of ColonyOS are loaded into a data directory: give --data, while no \
                    server uses it. A server has them made by ColonyOS itself (`colonies database \
                    create`)";
        return Err(Failure::Usage(what.into()));
    };
    // As SQL folds a name without quotes.
    let prefix = prefix.to_lowercase();
    let db = Database::open(at.keys.options(dir)?).map_err(|error| Failure::of(&error, dir))?;
    let done = at.database.of(&db).and_then(|db| {
        load_into(&db, velocitydb_colonies::schema(&prefix), mode, out)?;
        match mode {
            LoadMode::Plan => Ok(()),
            LoadMode::Load => velocitydb_colonies::make_sequence(&db, &prefix)
                .map_err(|error| Failure::new(escape(&error.to_string()))),
        }
    });
    let closed = db.close().map_err(|error| Failure::of(&error, dir));
    done.and(closed)
}

fn load_into(
    db: &Database,
    schema: DatabaseSchema,
    mode: LoadMode,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let refused = |error: LoadSchemaError| Failure::new(escape(&error.to_string()));
    let plan = db.plan_schema(schema).map_err(refused)?;
    if mode == LoadMode::Load {
        let run = plan.run(db, &Call::new(), |_| ControlFlow::Continue(()));
        let _whole = run.map_err(refused)?;
    }
    told(&plan.shown(), mode, out)
}

fn told(plan: &ShownPlan, mode: LoadMode, out: &mut dyn Write) -> Result<(), Failure> {
    for line in plan.to_string().lines() {
        writeln!(out, "{}", escape(line))?;
    }
    if mode == LoadMode::Plan {
        writeln!(
            out,
            "Nothing was changed: this is what loading it would do."
        )?;
    }
    Ok(())
}

fn show(name: Option<&str>, at: &Where, out: &mut dyn Write) -> Result<(), Failure> {
    let rows = at.rows()?;
    let name = match (name, &rows[..]) {
        (Some(name), _) => name.to_owned(),
        (None, [one]) => one.name.clone(),
        (None, rows) => {
            let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
            let what = match names.is_empty() {
                true => "no schema was loaded".to_owned(),
                false => format!("there are several schemas: {}; name one", names.join(", ")),
            };
            return Err(Failure::new(escape(&what)));
        }
    };
    let text = match &at.data {
        None => {
            let text = at.target()?.schema(&name);
            text.map_err(|error| failed(&error))?
        }
        Some(_) => {
            let found = at.in_directory(|db| db.schema(&name))?.flatten();
            let found: LoadedSchema = found.ok_or_else(|| {
                let what = format!("no schema {name:?} was loaded");
                Failure::new(escape(&what))
            })?;
            serde_json::to_string(&found).expect("a schema has only string keys")
        }
    };
    Ok(writeln!(out, "{}", escape(&text))?)
}

impl Where {
    /// The database of the server.
    fn target(&self) -> Result<Http, Failure> {
        let mut target = self.server.target()?;
        self.database.enter(&mut target)?;
        Ok(target)
    }

    fn rows(&self) -> Result<Vec<SchemaRow>, Failure> {
        if self.data.is_none() {
            return self.target()?.schemas().map_err(|error| failed(&error));
        }
        let rows = self.in_directory(|db| {
            let schemas = db.schemas()?;
            Ok(schemas.iter().map(LoadedSchema::row).collect())
        });
        Ok(rows?.unwrap_or_default())
    }

    /// Asks the database of the directory; `None` where there is none.
    fn in_directory<T>(
        &self,
        ask: impl FnOnce(&Database) -> Result<T, velocitydb::Error>,
    ) -> Result<Option<T>, Failure> {
        let Some(dir) = &self.data else {
            return Ok(None);
        };
        let Some(db) = open_database(dir, &self.keys)? else {
            return Ok(None);
        };
        let failed = |error| Failure::of(&error, dir);
        let asked = self.database.of(&db);
        let asked = asked.and_then(|db| ask(&db).map_err(failed));
        let closed = db.close().map_err(failed);
        let asked = asked?;
        closed.map(|()| Some(asked))
    }
}
