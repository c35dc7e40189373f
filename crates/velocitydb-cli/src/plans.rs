//! Golden scripts: how flights from New York in 2013 are found, with which index and why.
//!
//! Each line after `>` is a command; below `---` stands what it says. `UPDATE_GOLDENFILES=1` writes
//! that anew, to be read before it is kept. Guesses are rounded to one digit, since they depend on
//! the insides of indexes, and times are left out. The flights are loaded once for all scripts;
//! each script begins without indexes.
//!
//! | command | does |
//! | --- | --- |
//! | `index COLLECTION KIND NAME FIELDS [EXPRESSION]` | creates an index: KIND is `hash`, `btree`, `unique` or a language (full text), FIELDS are `a,-b,c[]` (descending, elements), EXPRESSION which documents it has |
//! | `explain COLLECTION JSON` | the plan of a find or a pipeline |
//! | `find COLLECTION JSON` | the plan, with what it did, and the first three rows |
//! | `aggregate COLLECTION JSON` | the same for a pipeline |

use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

use goldenscript::{Command, Context, Runner};
use velocitydb::query::plan::Explained;
use velocitydb::query::{Find, Pipeline};
use velocitydb::types::Value;
use velocitydb::{Background, Database, IndexDefinition, IndexField, Options, Path};
use velocitydb_import::{LoadOptions, Loader};

use crate::sample;

struct Plans {
    db: Database,
}

/// So many flights are loaded: those of January and of the first half of October.
const ROWS: usize = 40_000;

type Said = Result<String, Box<dyn Error>>;

impl Plans {
    fn index(&self, words: &str) -> Said {
        let mut words = words.splitn(5, ' ');
        let mut next = || words.next().ok_or("index COLLECTION KIND NAME FIELDS");
        let (collection, kind, name, fields) = (next()?, next()?, next()?, next()?);
        let field = |text: &str| {
            let path = text.trim_start_matches('-').trim_end_matches("[]");
            let field = IndexField::from(path.parse::<Path>()?);
            let field = if text.starts_with('-') {
                field.descending()
            } else {
                field
            };
            Ok::<_, Box<dyn Error>>(if text.ends_with("[]") {
                field.elements()
            } else {
                field
            })
        };
        let fields = fields
            .split(',')
            .map(field)
            .collect::<Result<Vec<_>, _>>()?;
        let mut index = match kind {
            "hash" => IndexDefinition::hash(name, fields),
            "unique" => IndexDefinition::hash(name, fields).and_unique(),
            "btree" => IndexDefinition::btree(name, fields),
            language => {
                let paths = fields.into_iter().map(|field| field.path);
                IndexDefinition::full_text(name, paths, language)
            }
        };
        if let Some(only) = words.next() {
            index = index.only(only.parse()?);
        }
        self.db.collection(collection)?.create_index(index)?;
        Ok(String::new())
    }

    fn answer(&self, command: &str, collection: &str, json: &str) -> Said {
        let collection = self.db.collection(collection)?;
        let view = collection.view()?;
        Ok(match command {
            "explain" if json.starts_with('[') => {
                let pipeline = view.typed_pipeline(Pipeline::from_json(json)?);
                plan(view.explain_aggregate(&pipeline)?)
            }
            "explain" => plan(view.explain(&view.typed(Find::from_json(json)?))?),
            "find" => {
                let find = view.typed(Find::from_json(json)?);
                let projector = find.projector();
                let found = view.find(&find)?;
                let rows = found.iter().map(|found| projector.row(found));
                plan(view.explain_analyze(&find)?) + &first(rows)
            }
            "aggregate" => {
                let pipeline = view.typed_pipeline(Pipeline::from_json(json)?);
                let explained = view.explain_analyze_aggregate(&pipeline)?;
                plan(explained) + &first(collection.aggregate(&pipeline)?.into_iter())
            }
            _ => return Err(format!("no such command: {command}").into()),
        })
    }
}

/// A plan without what differs from run to run.
fn plan(mut explained: Explained) -> String {
    for step in &mut explained.steps {
        step.guessed = step.guessed.map(rounded);
        step.ns = None;
    }
    let rejected = std::mem::take(&mut explained.rejected);
    let mut text = explained.to_string();
    for (access, rows, _) in rejected {
        let rows = rounded(rows.round() as u64);
        let _ = writeln!(text, "not: {access}  guessed {rows}");
    }
    text
}

/// To one digit: 336776 is 300000.
fn rounded(rows: u64) -> u64 {
    let unit = 10_u64.pow(rows.checked_ilog10().unwrap_or(0));
    (rows + unit / 2) / unit * unit
}

/// The first three rows, and how many there are beside them.
fn first(rows: impl ExactSizeIterator<Item = velocitydb::query::Aggregated>) -> String {
    let more = rows.len().saturating_sub(3);
    let mut text = String::new();
    for row in rows.take(3) {
        let _ = writeln!(text, "{}", Value::Map(row).to_json());
    }
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

impl Runner for Plans {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Said {
        let (name, rest) = command.name.split_once(' ').unwrap_or((&command.name, ""));
        let said = match name {
            "index" => self.index(rest),
            name => {
                let (collection, json) = rest.split_once(' ').ok_or("COMMAND COLLECTION JSON")?;
                self.answer(name, collection, json)
            }
        };
        // What is refused is part of the story.
        said.or_else(|error| Ok(format!("error: {error}\n")))
    }

    fn start_script(&mut self) -> Result<(), Box<dyn Error>> {
        for definition in self.db.collections() {
            let collection = self.db.collection(&definition.name)?;
            for (index, _) in collection.indexes()? {
                collection.drop_index(&index.name)?;
            }
        }
        Ok(())
    }
}

/// The first rows of a table.
fn load(db: &Database, table: &sample::Table) {
    db.create_collection(table.definition().unwrap()).unwrap();
    let mut loader = Loader::new(db, LoadOptions::new(table.name, table.ids()));
    for row in table.reader().unwrap().take(ROWS) {
        loader.push(row.unwrap()).unwrap();
    }
    loader.flush().unwrap();
}

#[test]
fn flights_are_found_as_the_scripts_say() {
    // One thread and no chance: what an index guesses is the same each time.
    let options = Options::in_memory().background(Background::Owner).seed(7);
    let db = Database::open(options).unwrap();
    for table in &sample::TABLES {
        load(&db, table);
    }
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let scripts = PathBuf::from(root).join("src/testscripts");
    let mut paths: Vec<_> = std::fs::read_dir(scripts)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut plans = Plans { db };
    for path in paths {
        goldenscript::run(&mut plans, path).unwrap();
    }
}
