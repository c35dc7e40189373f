//! A running server, asked over its HTTP API.
//!
//! One blocking client with a pool of connections; every wait is bounded, but for the answer to
//! work that takes as long as it takes. Tests: tests/it.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::{Method, Request, Uri};
use velocitydb::{SchemaRow, ShownPlan, Value};

use super::body::{Body, without_place};
use super::embedded::already_exists;
use super::{Page, Target, TargetError, VELOCITY, no_such_database};
use crate::figures::Figures;
use crate::session::Format;
use crate::statement::{Explain, Question, Ranked, Wanted};
use crate::status::{HealthAnswer, Status};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take; the server's own limits are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

const DATABASES: &str = "/v1/databases";

/// A server.
pub struct Http {
    agent: ureq::Agent,
    base: String,
    database: String,
}

/// Whether a schema is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMode {
    /// It is.
    Load,
    /// Only what that would do is said.
    Plan,
}

/// An error as the server writes it (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    line: Option<usize>,
    column: Option<usize>,
    current: Option<serde_json::Value>,
}

fn agent(answer_timeout: Option<Duration>) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(answer_timeout);
    config.build().into()
}

/// A name as a part of a path or of a query.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Where a server has what is in a database.
pub fn base_path(database: &str) -> String {
    match database {
        VELOCITY => "/v1".to_owned(),
        other => database_path(other),
    }
}

fn database_path(database: &str) -> String {
    format!("{DATABASES}/{}", segment(database))
}

fn strange(what: &str) -> TargetError {
    TargetError::new("", format!("the server's answer is not understood: {what}"))
}

fn page(answer: Value) -> Result<Page, TargetError> {
    let Value::Map(mut page) = answer else {
        return Err(strange("a page"));
    };
    match (page.remove("documents"), page.remove("next")) {
        (Some(Value::Array(documents)), Some(next)) => Ok(Page {
            documents,
            next: next.as_str().map(str::to_owned),
        }),
        _ => Err(strange("a page")),
    }
}

impl Http {
    /// The server at a URL such as `http://127.0.0.1:7480`. Nothing is asked yet.
    pub fn at(url: &str) -> Result<Http, String> {
        let example = "expected a URL such as http://127.0.0.1:7480";
        let full = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        let uri: Uri = full
            .parse()
            .map_err(|error| format!("{url:?}: {error}; {example}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(other) => {
                return Err(format!(
                    "{url:?}: {other} is not served, only http; {example}"
                ));
            }
            None => return Err(format!("{url:?}: {example}")),
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(format!("{url:?} has a path; {example}"));
        }
        let authority = uri.authority().ok_or(example)?;
        Ok(Http {
            agent: agent(Some(ANSWER_TIMEOUT)),
            base: format!("http://{authority}"),
            database: VELOCITY.to_owned(),
        })
    }

    /// What is behind `/v1` for the database that it is in.
    fn path(&self, rest: &str) -> String {
        format!("{}{rest}", base_path(&self.database))
    }

    fn collection_path(&self, collection: &str) -> String {
        self.path(&format!("/collections/{}", segment(collection)))
    }

    fn index_path(&self, collection: &str, index: &str) -> String {
        let collection = self.collection_path(collection);
        format!("{collection}/indexes/{}", segment(index))
    }

    fn document_path(&self, collection: &str, id: &str) -> String {
        // What clients and servers would resolve away goes in quotes.
        let quoted = format!("\"{id}\"");
        let id = if matches!(id, "." | "..") {
            &quoted
        } else {
            id
        };
        let collection = self.collection_path(collection);
        format!("{collection}/documents/{}", segment(id))
    }

    /// The server's figures.
    pub fn figures(&self) -> Result<Figures, TargetError> {
        let text = self.ask(Method::GET, "/metrics", None)?;
        Figures::parse(&text).map_err(|what| strange(&what))
    }

    fn health(&self) -> Result<HealthAnswer, TargetError> {
        let text = self.ask(Method::GET, "/health", None)?;
        serde_json::from_str(&text).map_err(|error| strange(&error.to_string()))
    }

    /// The same server, for work that takes as long as it takes.
    fn patient(&self) -> Http {
        Http {
            agent: agent(None),
            base: self.base.clone(),
            database: self.database.clone(),
        }
    }

    /// Loads the text of a schema file, or says what that would do.
    pub fn load_schema(
        &self,
        name: &str,
        text: &str,
        mode: LoadMode,
    ) -> Result<ShownPlan, TargetError> {
        let query = match mode {
            LoadMode::Load => "",
            LoadMode::Plan => "?dry_run=true",
        };
        let path = self.path(&format!("/schemas/{}{query}", segment(name)));
        let body = Body::of(text);
        let kind = [("content-type", "application/yaml")];
        let plan = self
            .patient()
            .ask_with(Method::PUT, &path, Some(&body), &kind)?;
        serde_json::from_str(&plan).map_err(|error| strange(&error.to_string()))
    }

    /// The schemas that were loaded.
    pub fn schemas(&self) -> Result<Vec<SchemaRow>, TargetError> {
        #[derive(Deserialize)]
        struct List {
            schemas: Vec<SchemaRow>,
        }
        let text = self.ask(Method::GET, &self.path("/schemas"), None)?;
        let list = serde_json::from_str(&text);
        list.map(|List { schemas }| schemas)
            .map_err(|error| strange(&error.to_string()))
    }

    /// One of them, as JSON.
    pub fn schema(&self, name: &str) -> Result<String, TargetError> {
        let path = self.path(&format!("/schemas/{}", segment(name)));
        self.ask(Method::GET, &path, None)
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Body>) -> Result<String, TargetError> {
        self.ask_with(method, path, body, &[])
    }

    fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Body>,
        headers: &[(&str, &str)],
    ) -> Result<String, TargetError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() && headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/json");
        }
        let invalid =
            |error: ureq::http::Error| TargetError::new("", format!("the request: {error}"));
        let sent = match body {
            Some(body) => self
                .agent
                .run(request.body(body.text.as_str()).map_err(invalid)?),
            None => self.agent.run(request.body(()).map_err(invalid)?),
        };
        let mut reply = sent.map_err(|error| self.unanswered(&error))?;
        let status = reply.status();
        let text = reply
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(|error| self.unanswered(&error))?;
        if status.is_success() {
            return Ok(text);
        }
        let Ok(problem) = serde_json::from_str::<Problem>(&text) else {
            let what = format!(
                "{} answered {status}, but not as VelocityDB does: is it another server?",
                self.base
            );
            return Err(TargetError::new("", what));
        };
        let at = problem.line.zip(problem.column);
        let place = at
            .zip(body)
            .and_then(|((line, column), body)| body.place(line, column));
        let what = match (at, place) {
            (Some((line, column)), Some(_)) => without_place(&problem.detail, line, column),
            _ => problem.detail,
        };
        let current = problem.current.map(|current| current.to_string());
        Err(TargetError {
            code: problem.code,
            what,
            place,
            current: current.and_then(|text| Value::from_json(&text).ok()),
        })
    }

    fn unanswered(&self, error: &ureq::Error) -> TargetError {
        let what = match error {
            ureq::Error::Io(source) => source.to_string(),
            other => other.to_string(),
        };
        let what = format!("no answer from {}: {what}", self.base);
        TargetError::new("unreachable", what)
    }

    fn value(&self, method: Method, path: &str, body: Option<&Body>) -> Result<Value, TargetError> {
        let text = self.ask(method, path, body)?;
        Value::from_json(&text).map_err(|error| strange(&error.to_string()))
    }

    fn field(
        &self,
        method: Method,
        path: &str,
        body: Option<&Body>,
        field: &str,
    ) -> Result<Value, TargetError> {
        match self.value(method, path, body)? {
            Value::Map(mut map) => map.remove(field).ok_or_else(|| strange(field)),
            _ => Err(strange(field)),
        }
    }
}

impl Target for Http {
    fn place(&self) -> String {
        self.base.clone()
    }

    fn database(&self) -> String {
        self.database.clone()
    }

    fn databases(&mut self) -> Result<Vec<Value>, TargetError> {
        match self.field(Method::GET, DATABASES, None, "databases")? {
            Value::Array(databases) => Ok(databases),
            _ => Err(strange("databases")),
        }
    }

    fn enter(&mut self, database: &str) -> Result<(), TargetError> {
        let all = self.databases()?;
        let names = all.iter().filter_map(|one| {
            let name = one.as_map()?.get("name")?;
            name.as_str()
        });
        if !names.clone().any(|name| name == database) {
            let what = no_such_database(database, names);
            return Err(TargetError::new("unknown_database", what));
        }
        self.database = database.to_owned();
        Ok(())
    }

    fn create_database(&mut self, database: &str) -> Result<(), TargetError> {
        let name = Value::from(database).to_json();
        let body = Body::of(&format!("{{\"name\":{name}}}"));
        self.ask(Method::POST, DATABASES, Some(&body))?;
        Ok(())
    }

    fn drop_database(&mut self, database: &str) -> Result<(), TargetError> {
        self.ask(Method::DELETE, &database_path(database), None)?;
        Ok(())
    }

    fn collections(&mut self) -> Result<Vec<Value>, TargetError> {
        match self.field(Method::GET, &self.path("/collections"), None, "collections")? {
            Value::Array(collections) => Ok(collections),
            _ => Err(strange("collections")),
        }
    }

    fn describe(&mut self, collection: &str) -> Result<Value, TargetError> {
        self.value(Method::GET, &self.collection_path(collection), None)
    }

    fn create(&mut self, collection: &str, definition: &str) -> Result<(), TargetError> {
        let body = Body::definition(collection, definition);
        self.ask(Method::POST, &self.path("/collections"), Some(&body))?;
        Ok(())
    }

    fn alter(
        &mut self,
        collection: &str,
        definition: &str,
        rename: Option<&str>,
        drop: Option<&str>,
    ) -> Result<(), TargetError> {
        let body = Body::alteration(collection, definition, rename, drop);
        let path = format!("{}/alter", self.collection_path(collection));
        self.patient().ask(Method::POST, &path, Some(&body))?;
        Ok(())
    }

    fn drop_collection(&mut self, collection: &str) -> Result<(), TargetError> {
        self.ask(Method::DELETE, &self.collection_path(collection), None)?;
        Ok(())
    }

    fn find(&mut self, collection: &str, question: &Question<'_>) -> Result<Page, TargetError> {
        let path = format!("{}/find", self.collection_path(collection));
        page(self.value(Method::POST, &path, Some(&Body::question(question)))?)
    }

    fn ranked(&mut self, collection: &str, ranked: &Ranked<'_>) -> Result<Vec<Value>, TargetError> {
        let (route, about) = match ranked.wanted {
            Wanted::Text { .. } => ("search", "score"),
            Wanted::Place { .. } => ("near", "distance_m"),
        };
        let path = format!("{}/{route}", self.collection_path(collection));
        // A page may end before the limit; lines have all of it.
        let lines = [("accept", "application/x-ndjson")];
        let found = self.ask_with(Method::POST, &path, Some(&Body::ranked(ranked)), &lines)?;
        let one = |line: &str| {
            let Ok(Value::Map(mut one)) = Value::from_json(line) else {
                return Err(strange("a line"));
            };
            match (one.remove("document"), one.remove(about)) {
                (Some(Value::Map(mut document)), Some(number)) => {
                    document.insert(format!("_{about}"), number);
                    Ok(Value::Map(document))
                }
                _ => Err(strange("a line")),
            }
        };
        found.lines().map(one).collect()
    }

    fn aggregate(&mut self, collection: &str, stages: &str) -> Result<Vec<Value>, TargetError> {
        let path = format!("{}/aggregate", self.collection_path(collection));
        let body = Body::pipeline(stages);
        // What `$out` and `$merge` write takes as long as it takes.
        let server = self.patient();
        match server.field(Method::POST, &path, Some(&body), "rows")? {
            Value::Array(rows) => Ok(rows),
            _ => Err(strange("rows")),
        }
    }

    fn explain(
        &mut self,
        collection: &str,
        question: &Question<'_>,
        explain: Explain,
        form: Format,
    ) -> Result<String, TargetError> {
        let analyze = match explain {
            Explain::Plan => "",
            Explain::Analyze => "?analyze=true",
        };
        let path = format!("{}/explain{analyze}", self.collection_path(collection));
        let accept = match form {
            Format::Table => "text/plain",
            Format::Json => "application/json",
        };
        let body = Body::question(question);
        self.ask_with(Method::POST, &path, Some(&body), &[("accept", accept)])
    }

    fn indexes(&mut self, collection: &str) -> Result<Vec<Value>, TargetError> {
        let path = format!("{}/indexes", self.collection_path(collection));
        match self.field(Method::GET, &path, None, "indexes")? {
            Value::Array(indexes) => Ok(indexes),
            _ => Err(strange("indexes")),
        }
    }

    fn create_index(&mut self, collection: &str, definition: &str) -> Result<(), TargetError> {
        let path = format!("{}/indexes", self.collection_path(collection));
        let body = Body::of(definition);
        self.patient().ask(Method::POST, &path, Some(&body))?;
        Ok(())
    }

    fn rebuild_index(&mut self, collection: &str, index: &str) -> Result<(), TargetError> {
        let path = format!("{}/rebuild", self.index_path(collection, index));
        self.patient().ask(Method::POST, &path, None)?;
        Ok(())
    }

    fn drop_index(&mut self, collection: &str, index: &str) -> Result<(), TargetError> {
        self.ask(Method::DELETE, &self.index_path(collection, index), None)?;
        Ok(())
    }

    fn count(&mut self, collection: &str, filter: Option<&str>) -> Result<u64, TargetError> {
        let path = format!("{}/count", self.collection_path(collection));
        let body = filter.map(|filter| {
            let body = Body::default().with("{\"filter\":").argument(filter);
            body.with("}")
        });
        let method = body.as_ref().map_or(Method::GET, |_| Method::POST);
        let count = self.field(method, &path, body.as_ref(), "count")?;
        let count = count.as_int().and_then(|count| u64::try_from(count).ok());
        count.ok_or_else(|| strange("count"))
    }

    fn get(&mut self, collection: &str, id: &str) -> Result<Value, TargetError> {
        self.value(Method::GET, &self.document_path(collection, id), None)
    }

    fn list(
        &mut self,
        collection: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page, TargetError> {
        let after = after.map_or(String::new(), |after| format!("&after={}", segment(after)));
        let path = format!(
            "{}/documents?limit={limit}{after}",
            self.collection_path(collection)
        );
        page(self.value(Method::GET, &path, None)?)
    }

    fn insert(
        &mut self,
        collection: &str,
        id: Option<&str>,
        document: &str,
    ) -> Result<Value, TargetError> {
        let body = Body::of(document);
        let Some(id) = id else {
            let path = format!("{}/documents", self.collection_path(collection));
            return self.value(Method::POST, &path, Some(&body));
        };
        let path = self.document_path(collection, id);
        let text = self.ask_with(Method::PUT, &path, Some(&body), &[("if-none-match", "*")]);
        let text = text.map_err(|error| match error.code.as_str() {
            "precondition_failed" => already_exists(collection, id),
            _ => error,
        })?;
        Value::from_json(&text).map_err(|error| strange(&error.to_string()))
    }

    fn put(&mut self, collection: &str, id: &str, document: &str) -> Result<Value, TargetError> {
        let path = self.document_path(collection, id);
        self.value(Method::PUT, &path, Some(&Body::of(document)))
    }

    fn patch(&mut self, collection: &str, id: &str, patch: &str) -> Result<Value, TargetError> {
        let path = self.document_path(collection, id);
        self.value(Method::PATCH, &path, Some(&Body::of(patch)))
    }

    fn delete(&mut self, collection: &str, id: &str) -> Result<(), TargetError> {
        self.ask(Method::DELETE, &self.document_path(collection, id), None)?;
        Ok(())
    }

    fn swap(
        &mut self,
        collection: &str,
        id: &str,
        expected: &str,
        update: &str,
    ) -> Result<Value, TargetError> {
        let path = format!("{}/compare-and-swap", self.document_path(collection, id));
        let body = Body::default().with("{\"expected\":").argument(expected);
        let body = body.with(",\"update\":").argument(update).with("}");
        self.value(Method::POST, &path, Some(&body))
    }

    fn close(&mut self) -> Result<(), TargetError> {
        Ok(())
    }

    fn status(&mut self) -> Result<Status, TargetError> {
        Ok(Status::of_server(self.health()?, &self.figures()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for (url, base) in [
            ("http://127.0.0.1:7480", "http://127.0.0.1:7480"),
            ("http://[::1]:7480/", "http://[::1]:7480"),
            ("localhost:7480", "http://localhost:7480"),
        ] {
            assert_eq!(Http::at(url).unwrap().base, base);
        }
        for (url, what) in [
            ("https://127.0.0.1:7480", "https is not served"),
            ("http://127.0.0.1:7480/v1", "has a path"),
            ("http://a b", "expected a URL"),
            ("", "expected a URL"),
        ] {
            let error = Http::at(url).err().unwrap();
            assert!(error.contains(what), "{url}: {error}");
        }
    }
}
