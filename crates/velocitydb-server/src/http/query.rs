//! What the routes of queries share: reading a question, its time, its memory, its errors.
//!
//! A question is JSON (docs/reference/queries.md), in a body; a GET has its parts behind the
//! question mark, and is read as if they stood in a body. `timeout_ms` goes with every question.
//! Tests: tests/it/queries.rs.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use velocitydb::query::{Find, JSON_BYTES_MAX, Json, Limits, QueryError};
use velocitydb::{CollectionView, Error, ErrorClass};

use super::ask::Ask;
use super::describe::{Query, Route};
use super::problem::Problem;
use crate::app::Slot;

/// Bytes that a byte of a question takes while it is read, at most about.
const READING_BYTES: usize = 16;

/// How long a question may take, and how much memory.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Nobody waits for the answer once this is gone.
    waiting: Weak<()>,
    timeout_max: Duration,
    request_left: Duration,
    pub(super) limits: Limits,
}

impl Bounds {
    pub(super) fn of(ask: &Ask) -> Bounds {
        let config = ask.app.live();
        Bounds {
            waiting: Arc::downgrade(&ask.waiting),
            timeout_max: config.query_timeout,
            request_left: ask.slot.left(),
            limits: Limits {
                bytes_max: config.query_bytes_max,
                ..Limits::default()
            },
        }
    }

    /// Takes `timeout_ms` out of a question: how long it may take.
    pub(super) fn timeout(&self, question: &mut Json) -> Result<Duration, Problem> {
        let Some(asked) = question.take("timeout_ms") else {
            return Ok(self.timeout_max);
        };
        let asked = match asked {
            Json::Int(ms) => u64::try_from(ms).ok().map(Duration::from_millis),
            _ => None,
        };
        let allowed = asked.filter(|asked| !asked.is_zero() && *asked <= self.timeout_max);
        allowed.ok_or_else(|| {
            let max = self.timeout_max.as_millis();
            invalid(format!("timeout_ms: a whole number from 1 to {max}"))
        })
    }

    /// The view, whose queries end when their time is over, or the request's own, or when nobody
    /// waits for them any more.
    pub(super) fn bound(&self, view: CollectionView, timeout: Duration) -> CollectionView {
        let until = Instant::now() + timeout.min(self.request_left);
        let waiting = self.waiting.clone();
        let goes_on = move || waiting.strong_count() > 0 && Instant::now() < until;
        view.interrupted_by(move || match goes_on() {
            true => Ok(()),
            false => Err(Error::QueryTimeout),
        })
    }
}

pub(super) fn invalid(what: impl Into<String>) -> Problem {
    Problem::new("invalid_query", what)
}

/// An error of a question.
pub(super) fn wrong(error: QueryError) -> Problem {
    let code = match (&error, error.class()) {
        (_, ErrorClass::Limit) => "query_limit",
        (QueryError::Json { .. }, _) => "invalid_json",
        _ => "invalid_query",
    };
    let problem = Problem::new(code, error.to_string());
    match error.place() {
        Some((line, column)) => problem.place(line, column),
        None => problem,
    }
}

/// Reads a body.
pub(super) fn read_body(text: &str, slot: &Slot) -> Result<Json, Problem> {
    slot.room(text.len().min(JSON_BYTES_MAX) * READING_BYTES)?;
    Json::parse(text).map_err(wrong)
}

/// Reads a body that must be an object.
pub(super) fn read_object(text: &str, slot: &Slot, example: &str) -> Result<Json, Problem> {
    match read_body(text, slot)? {
        object @ Json::Object(_) => Ok(object),
        _ => Err(invalid(format!("expected an object such as {example}"))),
    }
}

/// Refuses members that are left when all that are known were taken.
pub(super) fn no_more(question: &Json, known: &str) -> Result<(), Problem> {
    match question {
        Json::Object(members) if !members.is_empty() => {
            let (name, _) = &members[0];
            Err(invalid(format!("unknown member {name}; there are {known}")))
        }
        _ => Ok(()),
    }
}

/// Reads a question for documents.
pub(super) fn find(question: &Json, bounds: &Bounds) -> Result<Find, Problem> {
    let find = Find::from_tree(question).map_err(wrong)?;
    if find.after.is_some() && find.offset > 0 {
        return Err(invalid(
            "offset: not beside after, which goes on behind what was answered",
        ));
    }
    Ok(find.limits(bounds.limits))
}

/// The parameters of a find.
pub(super) const PARAMETERS: [&str; 9] = [
    "filter",
    "sort",
    "project",
    "offset",
    "limit",
    "after",
    "hint",
    "count",
    "timeout_ms",
];

/// The question that parameters ask, as a body would; `read` makes the member of each.
pub(super) fn from_parameters<'n>(
    given: impl IntoIterator<Item = (&'n str, Option<String>)>,
    read: impl Fn(&str, String) -> Result<Json, Problem>,
) -> Result<Json, Problem> {
    let given = given.into_iter();
    let given = given.filter_map(|(name, text)| Some((name, text?)));
    let members = given.map(|(name, text)| Ok((name.to_owned(), read(name, text)?)));
    members.collect::<Result<_, _>>().map(Json::Object)
}

/// Reads one of [`PARAMETERS`].
pub(super) fn parameter(name: &str, text: String) -> Result<Json, Problem> {
    match name {
        "filter" => Json::parse(&text).map_err(|error| {
            let problem = wrong(error);
            match problem.row.code {
                "invalid_json" => invalid(format!("filter: {}", problem.detail)),
                _ => problem,
            }
        }),
        "sort" => {
            let sorts = names(&text).map(|(name, sign)| pair(name, sign));
            Ok(Json::Array(sorts.collect()))
        }
        "project" => project(&text),
        "after" | "hint" => Ok(Json::String(text)),
        "count" => match text.as_str() {
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ => Err(invalid("count: true or false")),
        },
        _ => match text.parse() {
            Ok(number) => Ok(Json::Int(number)),
            Err(_) => Err(invalid(format!("{name}: {text:?} is no whole number"))),
        },
    }
}

/// Names with commas between them, and whether a `-` stands before each.
fn names(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.split(',').map(|name| match name.strip_prefix('-') {
        Some(name) => (name, true),
        None => (name, false),
    })
}

fn pair(name: &str, descending: bool) -> Json {
    let direction = if descending { -1 } else { 1 };
    Json::Array(vec![name.into(), Json::Int(direction)])
}

/// `a,b` is what is wanted, `-a,-b` what is not.
fn project(text: &str) -> Result<Json, Problem> {
    let mut members = Vec::new();
    for (name, without) in names(text) {
        if members.iter().any(|(known, _)| known == name) {
            return Err(invalid(format!("project: {name} is there twice")));
        }
        members.push((name.to_owned(), Json::Int(i64::from(!without))));
    }
    Ok(Json::Object(members))
}

/// What every route of queries may answer.
pub(super) fn problems(route: Route) -> Route {
    route.reads().problems(&[
        "invalid_json",
        "invalid_request",
        "query_limit",
        "query_memory_total",
        "query_timeout",
        "unknown_collection",
    ])
}

/// The parameters that a GET with a filter has.
pub(super) fn filter_parameters(route: Route) -> Route {
    route
        .query(
            "filter",
            "Which documents, as JSON: `{\"state\":\"waiting\"}`",
            Query::Text,
        )
        .query(
            "timeout_ms",
            "Milliseconds that it may take; at most as the server is configured",
            Query::Number(1, usize::MAX),
        )
}

/// The parameters that a GET has whose documents can be shown in part.
pub(super) fn part_parameters(route: Route) -> Route {
    route
        .query(
            "project",
            "The paths that are wanted, with commas between; or, each with `-` before it, those \
             that are not",
            Query::Text,
        )
        .query(
            "offset",
            "How many of the first are left out",
            Query::Number(0, usize::MAX),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_a_body() {
        let json = |texts: [&str; 9]| {
            let given = texts.map(|text| (!text.is_empty()).then(|| text.into()));
            let json = from_parameters(PARAMETERS.into_iter().zip(given), parameter);
            json.map(|json| json.to_string())
        };
        assert_eq!(json([""; 9]).unwrap(), "{}");
        let all = [
            r#"{"a":1}"#,
            "a,-b.c",
            "a,b",
            "1",
            "2",
            "00",
            "scan",
            "true",
            "5",
        ];
        assert_eq!(
            json(all).unwrap(),
            r#"{"filter":{"a":1},"sort":[["a",1],["b.c",-1]],"project":{"a":1,"b":1},"#.to_owned()
                + r#""offset":1,"limit":2,"after":"00","hint":"scan","count":true,"timeout_ms":5}"#
        );
        for (at, bad) in [(0, "{"), (2, "a,a"), (3, "x"), (4, "1.5"), (7, "yes")] {
            let mut texts = [""; 9];
            texts[at] = bad;
            assert_eq!(json(texts).unwrap_err().row.code, "invalid_query", "{bad}");
        }
    }
}
