//! Every error that an HTTP client can meet, in one table, and how one is sent (RFC 9457).
//!
//! A [`Problem`] travels through the handlers as an error and leaves them as an empty response
//! with the problem in its extensions; the outermost part (`observe`) knows the request's id
//! and writes the body. So there is one place that writes problems, and every one has an id.
//!
//! The status of an error of the database is that of its row in [`PROBLEMS`]; a code that has
//! none yet gets the status of its class. Tests: below; tests/it meets most of them.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use velocitydb::types::JsonError;
use velocitydb::{Error, ErrorClass};

/// One kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemRow {
    /// Its stable name, as programs compare it.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for people; the same each time.
    pub title: &'static str,
}

const fn row(code: &'static str, status: u16, title: &'static str) -> ProblemRow {
    ProblemRow {
        code,
        status,
        title,
    }
}

/// Every kind of error, by status.
#[rustfmt::skip]
pub const PROBLEMS: &[ProblemRow] = &[
    row("invalid_request", 400, "The request makes no sense"),
    row("invalid_json", 400, "The body is not the JSON that is expected"),
    row("invalid_header", 400, "A header cannot be read"),
    row("invalid_query", 400, "The query, or a parameter, cannot be read"),
    row("invalid_search", 400, "The text to search for cannot be read, or has no word"),
    row("invalid_point", 400, "There is no such place on the earth"),
    row("invalid_id", 400, "This can be no document's id"),
    row("stale_cursor", 400, "The list has to be begun again: the server was restarted"),
    row("host_not_allowed", 403, "The server does not answer to this name"),
    row("origin_not_allowed", 403, "Pages of this origin may not use the server"),
    row("no_such_route", 404, "There is nothing at this path"),
    row("not_found", 404, "There is no such document"),
    row("unknown_collection", 404, "There is no such collection"),
    row("unknown_database", 404, "There is no such database"),
    row("unknown_schema", 404, "No schema of this name was loaded"),
    row("unknown_index", 404, "There is no such index"),
    row("unknown_transaction", 404, "There is no such transaction"),
    row("method_not_allowed", 405, "The path does not take this method"),
    row("body_timeout", 408, "The body took too long to arrive"),
    row("already_exists", 409, "There is such a document already"),
    row("condition_failed", 409, "The document is not as expected"),
    row("conflict", 409, "Something that was read has changed since: try again"),
    row("unique_violation", 409, "Another document has this value of a unique field"),
    row("reference_violation", 409, "A document refers to one that is not there, or would be left to"),
    row("database_exists", 409, "There is a database of this name already"),
    row("database_in_use", 409, "Somebody is connected to the database"),
    row("collection_exists", 409, "There is such a collection already"),
    row("index_exists", 409, "There is such an index already"),
    row("no_configuration_file", 409, "There is no configuration file to read again"),
    row("schema_version", 409, "Another version of the schema is loaded"),
    row("refused_earlier", 409, "The request was refused when it was first made"),
    row("transaction_busy", 409, "Another request is at work in the transaction"),
    row("transaction_ended", 410, "The transaction has ended"),
    row("transaction_timed_out", 410, "The transaction took too long and was rolled back"),
    row("position_gone", 410, "The changes behind this position are not kept: begin again with a snapshot"),
    row("precondition_failed", 412, "The document is not in the state that the request asks for"),
    row("body_too_large", 413, "The body is larger than the server takes"),
    row("too_many_changes", 413, "Too many documents would change through references"),
    row("transaction_limit", 413, "The transaction keeps as much as it may: split it up"),
    row("document_too_large", 413, "The document is larger or deeper than a document may be"),
    row("unsupported_media_type", 415, "The body is of a type that is not taken here"),
    row("schema_violation", 422, "The document does not fit the collection's schema"),
    row("beyond_retention", 422, "The document's time is longer ago than is kept"),
    row("invalid_row", 422, "A row of the import cannot be read or kept"),
    row("migration_refused", 422, "A document does not fit the new definition"),
    row("invalid_schema", 422, "The schema makes no sense"),
    row("invalid_update", 422, "The update cannot be made"),
    row("no_index_value", 422, "An index has no value for the document"),
    row("invalid_definition", 422, "The definition is not sound"),
    row("primary_key_changed", 422, "The primary key of a document cannot change"),
    row("mixed_persistence", 422, "Volatile and logged collections do not go in one write"),
    row("invalid_configuration", 422, "The configuration is wrong, and as it was"),
    row("idempotency_key_reused", 422, "The idempotency key was used for another request"),
    row("wrong_index", 422, "The index is of another kind than is needed"),
    row("query_limit", 422, "The query asks or needs more than one query may"),
    row("idempotency_key_expired", 422, "The idempotency key is no longer kept"),
    row("internal", 500, "The server has a defect"),
    row("outcome_unknown", 500, "Whether the write survives a crash is not known"),
    row("damaged", 500, "Stored data is damaged"),
    row("io", 500, "A file operation failed"),
    row("busy", 503, "Too many bytes of bodies and answers are in flight"),
    row("query_memory_total", 503, "All queries together have as much memory as they may: try again"),
    row("overloaded", 503, "Too many requests are being worked on"),
    row("too_many_transactions", 503, "As many transactions are open as may be"),
    row("too_many_streams", 503, "As many streams of changes are open as may be"),
    row("stopping", 503, "The server is stopping"),
    row("not_ready", 503, "The server does not take writes"),
    row("closed", 503, "The database is closed"),
    row("in_use", 503, "Another process has the data directory"),
    row("unsupported_format", 503, "The data was written by a program of another version"),
    row("definition_changed", 503, "The collection has changed meanwhile: try again"),
    row("index_building", 503, "The index is still being built: try again"),
    row("snapshot_too_old", 503, "The read took too long: try again"),
    row("timeout", 504, "The request took longer than it may"),
    row("query_timeout", 504, "The query took longer than it may"),
    row("deadline_exceeded", 504, "The request waited too long and was not begun"),
    row("memory_limit", 507, "The memory limit is reached"),
    row("collection_full", 507, "The collection has as many documents as it may"),
    row("disk_full", 507, "The disk is full"),
];

/// [`PROBLEMS`] as a Markdown table, for the reference.
pub fn problem_table() -> String {
    let mut table = "| status | code | title |\n| --- | --- | --- |\n".to_owned();
    for ProblemRow {
        code,
        status,
        title,
    } in PROBLEMS
    {
        writeln!(table, "| {status} | `{code}` | {title} |").expect("writing to memory");
    }
    table
}

/// An error on its way to a client.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) row: ProblemRow,
    pub(crate) detail: String,
    members: Vec<(&'static str, Vec<u8>)>,
}

impl Problem {
    /// A problem of a code in [`PROBLEMS`].
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Problem {
        let row = PROBLEMS.iter().find(|row| row.code == code).copied();
        debug_assert!(row.is_some(), "{code} has no row");
        let row = row.unwrap_or(ProblemRow {
            code,
            status: 500,
            title: "The server has a defect",
        });
        Problem {
            row,
            detail: detail.into(),
            members: Vec::new(),
        }
    }

    /// The same with one more member: JSON text.
    pub(crate) fn member(mut self, name: &'static str, json: Vec<u8>) -> Problem {
        self.members.push((name, json));
        self
    }

    /// A document that cannot be read, and where in the body that is.
    pub(crate) fn json(error: &JsonError) -> Problem {
        let code = match error.class() {
            ErrorClass::Limit => "document_too_large",
            _ => "invalid_json",
        };
        Problem::new(code, error.to_string()).place(error.line, error.column)
    }

    /// The same with a place in the body.
    pub(crate) fn place(self, line: usize, column: usize) -> Problem {
        self.member("line", line.to_string().into())
            .member("column", column.to_string().into())
    }

    /// The body: see RFC 9457.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Shown<'p> {
            r#type: String,
            title: &'p str,
            status: u16,
            detail: &'p str,
            code: &'p str,
            request_id: &'p str,
        }
        let ProblemRow {
            code,
            status,
            title,
        } = self.row;
        let r#type = format!("urn:velocitydb:problem:{code}");
        let shown = Shown {
            r#type,
            title,
            status,
            detail: &self.detail,
            code,
            request_id,
        };
        let mut body = serde_json::to_vec(&shown).expect("strings and a number are JSON");
        for (name, json) in &self.members {
            body.pop();
            body.extend_from_slice(format!(",\"{name}\":").as_bytes());
            body.extend_from_slice(json);
            body.push(b'}');
        }
        body
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl Problem {
    /// The kind of an error of the database, and what it says.
    pub(crate) fn told(error: &Error) -> (ProblemRow, String) {
        let (code, class) = error.code();
        let row = PROBLEMS
            .iter()
            .find(|row| row.code == code)
            .copied()
            .unwrap_or(ProblemRow {
                code,
                status: class.http_status(),
                title: class.row().name,
            });
        (row, error.to_string())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let (row, detail) = Problem::told(&error);
        Problem {
            row,
            detail,
            members: Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    /// The status, and the problem, which `observe` writes.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        if matches!(
            self.row.code,
            "busy"
                | "overloaded"
                | "query_memory_total"
                | "too_many_transactions"
                | "too_many_streams"
                | "definition_changed"
                | "index_building"
                | "snapshot_too_old"
        ) {
            response
                .headers_mut()
                .insert("retry-after", HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a response that is a problem.
pub(crate) fn write(response: &mut Response, request_id: &str) -> Option<Problem> {
    let problem = response.extensions_mut().remove::<Problem>()?;
    *response.body_mut() = Body::from(problem.body(request_id));
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Some(problem)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_stands_once_with_an_error_status() {
        let codes: BTreeSet<_> = PROBLEMS.iter().map(|row| row.code).collect();
        assert_eq!(codes.len(), PROBLEMS.len());
        assert!(
            PROBLEMS
                .iter()
                .all(|row| StatusCode::from_u16(row.status).unwrap().as_u16() > 399)
        );
        assert!(PROBLEMS.is_sorted_by_key(|row| row.status));
        assert_eq!(problem_table().lines().count(), PROBLEMS.len() + 2);
    }

    #[test]
    fn errors_of_the_database_have_rows() {
        let cause = || std::sync::Arc::<str>::from("x");
        for (error, status) in [
            (Error::Invalid("x".into()), 400),
            (Error::UnknownCollection("x".into()), 404),
            (Error::UnknownDatabase("x".into()), 404),
            (
                Error::DatabaseInUse {
                    name: "x".into(),
                    guests: 1,
                },
                409,
            ),
            (
                Error::MemoryLimit {
                    needed: 1,
                    used: 1,
                    limit: 1,
                },
                507,
            ),
            (Error::DiskFull { needed: 1 }, 507),
            (Error::Closed { cause: cause() }, 503),
            (Error::OutcomeUnknown { cause: cause() }, 500),
            (Error::DeadlineExceeded, 504),
            (Error::QueryTimeout, 504),
            (Error::QueryLimit("x".into()), 422),
            (Error::QueryMemory("x".into()), 503),
            (Error::SnapshotTooOld { index: 1 }, 503),
            (
                Error::PositionGone {
                    asked: 1.into(),
                    oldest: 2.into(),
                    newest: 3.into(),
                },
                410,
            ),
            (Error::Damaged("x".into()), 500),
            (Error::UnsupportedFormat("x".into()), 503),
        ] {
            let code = error.code().0;
            assert!(PROBLEMS.iter().any(|row| row.code == code), "{code}");
            assert_eq!(Problem::from(error).row.status, status, "{code}");
        }
    }

    #[test]
    fn the_body_is_that_of_the_rfc() {
        let problem = Problem::new("invalid_json", "no \"}\"").place(3, 7);
        assert_eq!(
            String::from_utf8(problem.body("r-1")).unwrap(),
            r#"{"type":"urn:velocitydb:problem:invalid_json","#.to_owned()
                + r#""title":"The body is not the JSON that is expected","status":400,"#
                + r#""detail":"no \"}\"","code":"invalid_json","request_id":"r-1","#
                + r#""line":3,"column":7}"#
        );
    }
}
