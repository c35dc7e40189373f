//! Golden scripts: what is said of schemas, documents and expressions.
//!
//! Each line after `>` is a command; below `---` each stands with its answer.
//! `UPDATE_GOLDENFILES=1` writes the answers anew, to be read before they are kept.
//!
//! | command | does |
//! | --- | --- |
//! | `schema JSON` | makes the schema that documents are then judged by |
//! | `field JSON` | makes a schema of one field |
//! | `document JSON` | resolves a document under the schema |
//! | `fields JSON` | takes a document that expressions are then evaluated for |
//! | `evaluate EXPRESSION` | evaluates one |

use std::error::Error;
use std::path::PathBuf;

use goldenscript::{Command, Context, Runner};

use crate::{Expression, Fields, Schema, Timestamp, Uuid, Value};

#[derive(Default)]
struct Scripts {
    schema: Schema,
    fields: Option<Fields>,
}

impl Scripts {
    fn answer(&mut self, name: &str, rest: &str) -> Result<String, Box<dyn Error>> {
        Ok(match name {
            "schema" => {
                self.schema = serde_json::from_str(rest)?;
                "ok".to_owned()
            }
            "field" => {
                serde_json::from_str::<Schema>(&format!(r#"{{"fields":[{rest}]}}"#))?;
                "ok".to_owned()
            }
            "document" => {
                let value = Value::from_json(rest)?;
                let map = value.as_map().ok_or("a document is an object")?;
                let resolved = self
                    .schema
                    .resolve(map, Timestamp(0), &mut || Uuid::nil())?;
                resolved.as_raw().to_json()
            }
            "fields" => {
                self.fields = Some(Fields::from_json(rest)?);
                "ok".to_owned()
            }
            "evaluate" => {
                let fields = self.fields.clone().unwrap_or_else(Fields::empty);
                let value = rest.parse::<Expression>()?.evaluate(fields.as_raw())?;
                format!("{} {}", value.type_name(), value.to_json())
            }
            _ => panic!("no such command: {name}"),
        })
    }
}

impl Runner for Scripts {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let (name, rest) = command.name.split_once(' ').unwrap_or((&command.name, ""));
        let answer = self
            .answer(name, rest)
            .unwrap_or_else(|error| format!("error: {error}"));
        Ok(match name {
            "schema" | "fields" if answer == "ok" => format!("{answer}\n"),
            _ => format!("{rest} => {answer}\n"),
        })
    }
}

fn directory() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("src/testscripts")
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let path = directory().join(concat!(stringify!($name), ".script"));
            goldenscript::run(&mut Scripts::default(), path).unwrap();
        })*

        #[test]
        fn every_script_has_its_test() {
            let files = std::fs::read_dir(directory()).unwrap();
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
    a_check_that_makes_no_sense,
    a_constraint_that_makes_no_sense,
    a_document_breaks_a_check,
    a_document_breaks_a_constraint,
    a_value_beyond_its_sql_type,
    expressions_and_their_values,
    expressions_that_cannot_be_read,
}
