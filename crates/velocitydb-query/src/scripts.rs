//! Golden scripts: what queries in JSON answer, and what is said of those that cannot be.
//!
//! Each line after `>` is a command; below `---` stand the answers, a row on a line.
//! `UPDATE_GOLDENFILES=1` writes them anew, to be read before they are kept. Metadata but `_id` is
//! left out of answers. docs/reference/queries.md is run the same way, by `the_page`.
//!
//! | command | does |
//! | --- | --- |
//! | `insert COLLECTION JSON` | puts a document there; its id is `_id`, or a number from 0 |
//! | `find COLLECTION JSON` | asks for documents, with their projection |
//! | `distinct COLLECTION PATH` | the different values there |
//! | `aggregate COLLECTION JSON` | runs a pipeline |
//! | `limited ROWS BYTES COLLECTION JSON` | runs a pipeline that may keep so much |

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use goldenscript::{Command, Context, Runner};
use velocitydb_engine::Document;
use velocitydb_types::{Fields, Path, Value};

use crate::testing::{documents_of, scan};
use crate::{Collections, FUNCTIONS, Filter, Find, Json, Limits, Pipeline, QueryError};

#[derive(Default)]
struct Scripts {
    rows: BTreeMap<String, Vec<(Value, Fields)>>,
    indexed: bool,
}

impl Scripts {
    fn documents(&self, collection: &str) -> Result<Vec<Document>, QueryError> {
        let rows = self
            .rows
            .get(collection)
            .ok_or_else(|| QueryError::Collection {
                name: collection.to_owned(),
                reason: "there is none".to_owned(),
                class: velocitydb_types::ErrorClass::Invalid,
            })?;
        Ok(documents_of(rows.iter().cloned()))
    }

    fn answer(&mut self, name: &str, rest: &str) -> Result<Vec<String>, Box<dyn Error>> {
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let rows: Vec<Value> = match name {
            "insert" => {
                let value = Json::parse(second)?.to_value()?;
                let Value::Map(mut fields) = value else {
                    return Err("a document is an object".into());
                };
                let rows = self.rows.entry(first.to_owned()).or_default();
                let id = fields.remove("_id").unwrap_or((rows.len() as i64).into());
                rows.push((id, Fields::from_map(&fields)?));
                return Ok(Vec::new());
            }
            "find" => {
                let find = Find::from_json(second)?;
                let projector = find.projector();
                let found = find.run(scan(&self.documents(first)?))?;
                found.iter().map(|d| Value::Map(projector.row(d))).collect()
            }
            "distinct" => {
                let path: Path = second.parse()?;
                Find::default().distinct(path, None, scan(&self.documents(first)?))?
            }
            "aggregate" => {
                let pipeline = Pipeline::from_json(second)?;
                let written = pipeline.to_string();
                assert_eq!(
                    Pipeline::from_json(&written).as_ref(),
                    Ok(&pipeline),
                    "{written}"
                );
                let documents = self.documents(first)?;
                let mut run = |indexed| {
                    self.indexed = indexed;
                    pipeline.run_with(self, scan(&documents))
                };
                let (with, without) = (run(true), run(false));
                assert_eq!(with, without, "with an index and without: {second}");
                with?.into_iter().map(Value::Map).collect()
            }
            "limited" => {
                let [rows, bytes, collection, text] = rest.splitn(4, ' ').collect::<Vec<_>>()[..]
                else {
                    return Err("limited ROWS BYTES COLLECTION JSON".into());
                };
                let pipeline = Pipeline::from_json(text)?.limits(Limits {
                    rows_max: rows.parse()?,
                    bytes_max: bytes.parse()?,
                });
                let rows = pipeline.run_with(self, scan(&self.documents(collection)?))?;
                rows.into_iter().map(Value::Map).collect()
            }
            _ => panic!("no such command: {name}"),
        };
        let line = |row: Value| Json::from_value(&without_metadata(row)).to_string();
        Ok(rows.into_iter().map(line).collect())
    }
}

fn without_metadata(value: Value) -> Value {
    const HIDDEN: [&str; 4] = ["_version", "_index", "_created_at", "_updated_at"];
    match value {
        Value::Array(elements) => {
            Value::Array(elements.into_iter().map(without_metadata).collect())
        }
        Value::Map(map) => {
            let shown = map
                .into_iter()
                .filter(|(name, _)| !HIDDEN.contains(&name.as_str()));
            Value::Map(
                shown
                    .map(|(name, value)| (name, without_metadata(value)))
                    .collect(),
            )
        }
        scalar => scalar,
    }
}

impl Collections for Scripts {
    fn is_indexed(&self, _: &str, _: &Path) -> bool {
        self.indexed
    }

    fn find(
        &self,
        collection: &str,
        filter: &Filter,
        visit: &mut dyn FnMut(&Document) -> bool,
    ) -> Result<(), QueryError> {
        let documents = self.documents(collection)?.into_iter();
        documents
            .filter(|document| filter.matches(document))
            .all(|document| visit(&document));
        Ok(())
    }
}

impl Runner for Scripts {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let (name, rest) = command.name.split_once(' ').unwrap_or((&command.name, ""));
        let answer = match self.answer(name, rest) {
            Ok(rows) if rows.is_empty() => return Ok(String::new()),
            Ok(rows) => rows,
            Err(error) => vec![format!("error: {error}")],
        };
        Ok(format!("{rest}\n  {}\n", answer.join("\n  ")))
    }
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap())
}

/// The blocks of the page: each one's mark and its lines.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let (mut blocks, mut open) = (Vec::new(), None::<(&str, Vec<&str>)>);
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(mark), None) => open = Some((mark, Vec::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((mark, mut lines))) => {
                lines.push(line);
                open = Some((mark, lines));
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that does not end");
    blocks
}

fn page() -> String {
    std::fs::read_to_string(root().join("../../docs/reference/queries.md")).unwrap()
}

/// Documents are taken, each query is run, and its answer is what stands below it.
#[test]
fn the_page() {
    let page = page();
    let mut scripts = Scripts::default();
    let mut answer = None;
    for (mark, lines) in blocks(&page) {
        let (kind, collection) = mark.split_once('=').unwrap_or((mark, ""));
        let text = lines.join("\n");
        match kind {
            "json collection" => {
                for line in lines {
                    let insert = format!("{collection} {line}");
                    scripts.answer("insert", &insert).unwrap();
                }
            }
            "json find" | "json aggregate" => {
                assert_eq!(answer, None, "an answer is missing before {text}");
                let command = kind.trim_start_matches("json ");
                let rows = scripts.answer(command, &format!("{collection} {text}"));
                answer = Some((rows.unwrap_or_else(|error| panic!("{text}: {error}")), text));
            }
            "json rows" => {
                let (rows, query) = answer.take().expect("a query before its answer");
                assert_eq!(rows, lines, "{query}");
            }
            other => panic!("a block of {other}"),
        }
    }
    assert_eq!(answer, None);
}

/// The page's table of functions is that of the code.
#[test]
fn the_page_lists_every_function() {
    let page = page();
    let rows: Vec<String> = FUNCTIONS
        .iter()
        .map(|row| {
            let alias = row
                .alias
                .map(|alias| format!(" or `{alias}`"))
                .unwrap_or_default();
            let count = match (row.least, row.most) {
                (least, most) if least == most => format!("{least}"),
                (least, usize::MAX) => format!("{least} or more"),
                (least, most) => format!("{least} to {most}"),
            };
            format!("| `{}`{alias} | {count} | {} |", row.name, row.help)
        })
        .collect();
    assert!(
        page.contains(&rows.join("\n")),
        "put into the page:\n{}",
        rows.join("\n")
    );
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let path = root().join(concat!("src/testscripts/", stringify!($name), ".script"));
            goldenscript::run(&mut Scripts::default(), path).unwrap();
        })*

        #[test]
        fn every_script_has_its_test() {
            let files = std::fs::read_dir(root().join("src/testscripts")).unwrap();
            let name = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().file_name();
            let mut found: Vec<_> = files.map(|file| name(file).into_string().unwrap()).collect();
            found.sort();
            let mut listed = vec![$(concat!(stringify!($name), ".script")),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}

scripts! {
    gaps_in_a_sequence,
    finding_documents,
    groups_and_their_accumulators,
    ranges_of_values,
    rows_in_a_new_form,
    rows_of_another_collection,
    rows_around_a_row,
    several_answers_at_once,
    stages_that_are_refused,
    values_that_are_filled_in,
}
