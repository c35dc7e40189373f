//! `/v1/schemas…`: the schemas of databases that were loaded, and loading one.
//!
//! Loading takes as long as it takes: documents are brought to what their collections are to be.
//! Tests: tests/it/schemas.rs.

use std::ops::ControlFlow;

use axum::response::Response;
use hyper::{StatusCode, Uri};
use serde::Serialize;
use velocitydb::{LoadSchemaError, SchemaRow};
use velocitydb_import::{SchemaFileError, read_schema_file};

use super::ask::{Ask, Params, YamlText, query};
use super::describe::{Body, Query, Route, get, put};
use super::json;
use super::problem::Problem;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/v1/schemas", list)
            .about("Schemas", "listSchemas", "The schemas that were loaded")
            .limited()
            .answers(200, "All of them", Body::Json("Schemas"))
            .problems(&["closed", "snapshot_too_old"]),
        get("/v1/schemas/{name}", get_one)
            .about("Schemas", "getSchema", "A schema that was loaded")
            .limited()
            .answers(200, "The schema", Body::Json("LoadedSchema"))
            .problems(&["closed", "snapshot_too_old", "unknown_schema"]),
        put("/v1/schemas/{name}", load)
            .about(
                "Schemas",
                "loadSchema",
                "Brings the database to a version of a schema",
            )
            .detail("The body is a schema file, YAML or JSON: see docs/operating/schema.md.")
            .writes()
            .query("dry_run", "Only says what would be done", Query::Flag)
            .takes(&["application/yaml", "application/json"])
            .answers(200, "What was done", Body::Json("SchemaPlan"))
            .document_refusals()
            .problems(&[
                "collection_exists",
                "definition_changed",
                "invalid_definition",
                "invalid_json",
                "invalid_schema",
                "migration_refused",
                "schema_version",
            ]),
    ]
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names are strings and memory takes all bytes")
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct List {
        schemas: Vec<SchemaRow>,
    }
    let database = ask.database().clone();
    let schemas = ask.blocking(move || Ok(database.schemas()?)).await?;
    let schemas = schemas.iter().map(velocitydb::LoadedSchema::row).collect();
    Ok(json::response(StatusCode::OK, to_json(&List { schemas })))
}

async fn get_one(ask: Ask, Params(name): Params<String>) -> Result<Response, Problem> {
    match ask.database().schema(&name)? {
        Some(schema) => Ok(json::response(StatusCode::OK, to_json(&schema))),
        None => {
            let what = format!("no schema {name:?} was loaded");
            Err(Problem::new("unknown_schema", what))
        }
    }
}

async fn load(
    ask: Ask,
    Params(name): Params<String>,
    uri: Uri,
    YamlText(text): YamlText,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_expiry()?;
    ask.no_idempotency_key()?;
    let [dry_run] = query(&uri, ["dry_run"])?;
    let dry_run = match dry_run.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::new("invalid_query", "dry_run: true or false")),
    };
    let (database, call) = (ask.database().clone(), ask.asked.call());
    ask.long(move || {
        let schema = read_schema_file(&text)?;
        if schema.name != name {
            let what = format!(
                "the schema is {:?} but the path names {name:?}",
                schema.name
            );
            return Err(Problem::new("invalid_schema", what));
        }
        let plan = database.plan_schema(schema)?;
        if !dry_run {
            let _whole = plan.run(&database, &call, |_| ControlFlow::Continue(()))?;
        }
        Ok(json::response(StatusCode::OK, to_json(&plan.shown())))
    })
    .await
}

impl From<SchemaFileError> for Problem {
    fn from(error: SchemaFileError) -> Problem {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let (line, column) = (place(error.line), place(error.column));
        Problem::new("invalid_schema", error.what).place(line, column)
    }
}

impl From<LoadSchemaError> for Problem {
    fn from(error: LoadSchemaError) -> Problem {
        let detail = error.to_string();
        match error {
            LoadSchemaError::Step { error, done, .. } => {
                let mut problem = Problem::from(*error).member("done", to_json(&done));
                problem.detail = detail;
                problem
            }
            LoadSchemaError::Database(error) => error.into(),
            other => Problem::new(other.code().0, detail),
        }
    }
}
