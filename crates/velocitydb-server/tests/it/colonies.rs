//! What a server of ColonyOS asks, by tokio-postgres: parameters as texts, results as bytes.
//!
//! `colonies/statements.txt` has the statements and what PostgreSQL 15 answers; how it is written
//! stands at its top. lib/pq and psycopg ask the same in `.ci/drivers`. Where PostgreSQL 15 is
//! installed it is asked too.

use std::error::Error;
use std::net::SocketAddr;

use bytes::BytesMut;
use serde_json::Value as Json;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use velocitydb::Database;

use crate::pg::open;
use crate::postgres::Postgres;

/// A statement, and what is answered.
#[derive(Default, Clone)]
struct Case {
    zone: String,
    sql: String,
    ordered: bool,
    /// None: it is asked as a simple query.
    parameters: Option<Vec<Json>>,
    masked: Vec<String>,
    postgres: Vec<String>,
    ours: Option<Vec<String>>,
}

fn cases() -> Vec<Case> {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let path = std::path::Path::new(&root).join("tests/it/colonies/statements.txt");
    let (mut cases, mut zone) = (Vec::<Case>::new(), String::new());
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.to_owned();
        if let ">" | ">>" = mark {
            let lower = rest.to_lowercase();
            cases.push(Case {
                ordered: mark == ">>" || lower.contains("order by"),
                sql: rest,
                zone: zone.clone(),
                ..Case::default()
            });
            continue;
        }
        let last = cases.last_mut();
        match (mark, last) {
            ("zone", _) => zone = rest,
            ("|", Some(case)) => {
                case.ordered |= rest.to_lowercase().contains("order by");
                case.sql = format!("{}\n{rest}", case.sql);
            }
            ("(", Some(case)) => case.parameters = Some(serde_json::from_str(&rest).unwrap()),
            ("~", Some(case)) => case.masked = rest.split(' ').map(str::to_owned).collect(),
            ("=", Some(case)) => case.postgres.push(rest),
            ("*", Some(case)) => case.ours.get_or_insert_default().push(rest),
            _ => {}
        }
    }
    cases
}

impl Case {
    /// An answer of it, so that two which say the same are equal.
    fn comparable(&self, answer: &[String]) -> Vec<String> {
        let is_row = |line: &&String| line.starts_with('[');
        let others = answer.iter().filter(|line| !is_row(line)).cloned();
        let rows = answer.iter().filter(is_row);
        let mut rows: Vec<_> = rows.map(|row| spaced(row)).collect();
        if !self.ordered {
            rows.sort();
        }
        others.chain(rows).collect()
    }
}

/// A row in one way of writing it.
fn spaced(row: &str) -> String {
    serde_json::from_str::<Json>(row).unwrap().to_string()
}

/// A parameter, as lib/pq sends it.
#[derive(Debug)]
struct Text(Option<String>);

impl Text {
    fn new(value: &Json) -> Text {
        Text(match value {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            Json::Object(moment) => Some(moment["time"].as_str().unwrap().to_owned()),
            Json::Array(items) => {
                let quoted = items.iter().map(|item| {
                    let item = item.as_str().unwrap().replace('\\', "\\\\");
                    format!("\"{}\"", item.replace('"', "\\\""))
                });
                Some(format!("{{{}}}", quoted.collect::<Vec<_>>().join(",")))
            }
            other => Some(other.to_string()),
        })
    }
}

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A value of an answer: its bytes, as text.
struct Shown(String);

impl<'a> FromSql<'a> for Shown {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Shown, Box<dyn Error + Sync + Send>> {
        Ok(Shown(match *column {
            Type::BOOL => if bool::from_sql(column, raw)? {
                "t"
            } else {
                "f"
            }
            .into(),
            Type::INT4 => i32::from_sql(column, raw)?.to_string(),
            Type::INT8 => i64::from_sql(column, raw)?.to_string(),
            Type::FLOAT8 => match f64::from_sql(column, raw)? {
                value if value != 0.0 && value.abs() < 1e-5 => format!("{value:e}"),
                value => value.to_string(),
            },
            Type::TEXT_ARRAY => array(&Vec::<String>::from_sql(column, raw)?),
            // Its first byte is the version of the format.
            Type::JSONB => std::str::from_utf8(&raw[1..])?.to_owned(),
            // The microseconds since 2000.
            Type::TIMESTAMPTZ | Type::TIMESTAMP => i64::from_be_bytes(raw.try_into()?).to_string(),
            _ => std::str::from_utf8(raw)?.to_owned(),
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// An array as PostgreSQL writes it.
fn array(items: &[String]) -> String {
    let items = items.iter().map(|item| {
        let plain = |letter: char| !" \t\n{},\\\"".contains(letter);
        match !item.is_empty() && !item.eq_ignore_ascii_case("null") && item.chars().all(plain) {
            true => item.clone(),
            false => format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

/// Microseconds since 2000 of a moment in PostgreSQL's text.
fn microseconds(text: &str) -> i64 {
    let (text, is_bc) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, time) = text.split_once(' ').unwrap();
    let mut date = date.split('-').map(|part| part.parse::<i64>().unwrap());
    let mut next = || date.next().unwrap();
    let (year, month, day) = (next(), next(), next());
    let year = if is_bc { 1 - year } else { year };
    // Days since 2000-01-01, by years that begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + of_year - 730_425;
    let sign = time.find(['+', '-']);
    let (time, offset) = time.split_at(sign.unwrap_or(time.len()));
    let seconds = |text: &str| -> f64 {
        let parts = text.split(':').zip([3600.0, 60.0, 1.0]);
        parts
            .map(|(part, unit)| part.parse::<f64>().unwrap() * unit)
            .sum()
    };
    let offset = match offset.split_at_checked(1) {
        Some(("-", offset)) => -seconds(offset),
        Some((_, offset)) => seconds(offset),
        None => 0.0,
    };
    days * 86_400_000_000 + ((seconds(time) - offset) * 1e6).round() as i64
}

fn columns<'c>(columns: impl Iterator<Item = (&'c str, Option<&'c Type>)>) -> Option<String> {
    let named = columns.map(|(name, column)| match column {
        None => name.to_owned(),
        Some(column) => format!("{name} {}", type_name(column)),
    });
    let named: Vec<_> = named.collect();
    (!named.is_empty()).then(|| format!("columns: {}", named.join(", ")))
}

fn type_name(of: &Type) -> String {
    match of.name().strip_prefix('_') {
        Some(element) => format!("{element}[]"),
        None => of.name().to_owned(),
    }
}

fn told(error: &DbError) -> String {
    let head = [error.severity(), error.code().code(), error.message()].join(" ");
    let position = error.position().map(|position| match position {
        ErrorPosition::Original(at) => at.to_string(),
        ErrorPosition::Internal { position, .. } => position.to_string(),
    });
    let more = [
        ("detail", error.detail()),
        ("hint", error.hint()),
        ("position", position.as_deref()),
        ("table", error.table()),
        ("column", error.column()),
        ("constraint", error.constraint()),
    ];
    let more = more
        .into_iter()
        .filter_map(|(name, field)| Some(format!(" | {name}: {}", field?)));
    (head + &more.collect::<String>()).replace('\n', " ")
}

/// The error of the server, or what has gone wrong before it.
fn failure(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), told)
}

/// What is answered to a case, in the lines of the file; of what is wanted it goes by the tag, which
/// this driver does not show of rows.
async fn ask(client: &Client, case: &Case, wanted: &[String]) -> Vec<String> {
    let Some(parameters) = &case.parameters else {
        return match client.simple_query(&case.sql).await {
            Ok(messages) => simple(case, messages, wanted),
            Err(error) => vec![failure(&error)],
        };
    };
    let statement = match client.prepare(&case.sql).await {
        Ok(statement) => statement,
        Err(error) => return vec![failure(&error)],
    };
    let types: Vec<_> = statement.params().iter().map(type_name).collect();
    let mut lines = vec![format!("parameters: {}", types.join(", "))];
    let described = statement.columns().iter();
    lines.extend(columns(
        described.map(|column| (column.name(), Some(column.type_()))),
    ));
    if types.len() != parameters.len() {
        // The driver sends none; the two others do.
        return wanted.to_vec();
    }
    let parameters: Vec<_> = parameters.iter().map(Text::new).collect();
    let parameters: Vec<_> = parameters
        .iter()
        .map(|text| text as &(dyn ToSql + Sync))
        .collect();
    if statement.columns().is_empty() {
        lines.push(match client.execute(&statement, &parameters).await {
            Ok(count) => tag(wanted, count),
            Err(error) => failure(&error),
        });
        return lines;
    }
    let rows = match client.query(&statement, &parameters).await {
        Ok(rows) => rows,
        Err(error) => {
            lines.push(failure(&error));
            return lines;
        }
    };
    for row in &rows {
        let values = row.columns().iter().enumerate().map(|(at, column)| {
            let value = row.try_get::<_, Option<Shown>>(at).unwrap();
            value.map(
                |Shown(text)| match case.masked.iter().any(|name| name == column.name()) {
                    true => "*".to_owned(),
                    false => text,
                },
            )
        });
        lines.push(Json::from_iter(values).to_string());
    }
    lines.push(tag(wanted, rows.len() as u64));
    lines
}

/// The tag that is wanted, with this number of rows.
fn tag(wanted: &[String], count: u64) -> String {
    let words = wanted.last().map(String::as_str).unwrap_or_default();
    match words.rsplit_once(' ') {
        Some((command, number)) if number.parse::<u64>().is_ok() => format!("{command} {count}"),
        _ => format!("{count} rows"),
    }
}

/// The answer to a simple query; this driver does not tell the columns' types.
fn simple(case: &Case, messages: Vec<SimpleQueryMessage>, wanted: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(described) => {
                lines.extend(columns(
                    described.iter().map(|column| (column.name(), None)),
                ));
            }
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|at| {
                    let is_masked = case
                        .masked
                        .iter()
                        .any(|name| name == row.columns()[at].name());
                    row.get(at).map(|value| if is_masked { "*" } else { value })
                });
                lines.push(Json::from_iter(values).to_string());
            }
            SimpleQueryMessage::CommandComplete(_) if case.sql == ";" => lines.push("empty".into()),
            SimpleQueryMessage::CommandComplete(count) => lines.push(match wanted.last() {
                // Definitions count nothing.
                Some(tag) if count == 0 && !tag.contains(char::is_numeric) => tag.clone(),
                _ => tag(wanted, count),
            }),
            _ => {}
        }
    }
    lines
}

/// What is wanted, as far as this driver shows it.
fn shown(case: &Case, wanted: &[String]) -> Vec<String> {
    let mut moments = Vec::new();
    let mut lines = Vec::new();
    for line in wanted {
        if let Some(named) = line.strip_prefix("columns: ") {
            let named: Vec<_> = named
                .split(", ")
                .map(|column| column.split_once(' ').unwrap())
                .collect();
            if case.parameters.is_none() {
                let names: Vec<_> = named.iter().map(|(name, _)| *name).collect();
                lines.push(format!("columns: {}", names.join(", ")));
                continue;
            }
            moments = named
                .iter()
                .map(|(_, of)| matches!(*of, "timestamp" | "timestamptz"))
                .collect();
        }
        let Ok(Json::Array(mut values)) = serde_json::from_str(line) else {
            lines.push(line.clone());
            continue;
        };
        for (value, _) in values
            .iter_mut()
            .zip(&moments)
            .filter(|(_, is_moment)| **is_moment)
        {
            if let Some(text) = value.as_str().filter(|text| *text != "*") {
                *value = microseconds(text).to_string().into();
            }
        }
        lines.push(Json::from(values).to_string());
    }
    lines
}

async fn connect(address: SocketAddr, zone: &str) -> Client {
    let (host, port) = (address.ip(), address.port());
    let config =
        format!("host={host} port={port} user=ann dbname=postgres options='-c TimeZone={zone}'");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Asks all statements; what is not answered as it is wanted.
async fn differences(address: SocketAddr, wanted: impl Fn(&Case) -> &[String]) -> String {
    let (mut zone, mut client, mut different) = (String::new(), None, String::new());
    for case in cases() {
        if client.is_none() || case.zone != zone {
            zone = case.zone.clone();
            client = Some(connect(address, &zone).await);
        }
        let wanted = shown(&case, wanted(&case));
        let answer = ask(client.as_ref().unwrap(), &case, &wanted).await;
        if case.comparable(&answer) != case.comparable(&wanted) {
            let (wanted, answer) = (wanted.join("\n- "), answer.join("\n+ "));
            different += &format!("{}\n- {wanted}\n+ {answer}\n", case.sql);
        }
    }
    different
}

#[tokio::test(flavor = "multi_thread")]
async fn we_answer_a_server_of_colonyos_as_postgresql_does() {
    assert!(cases().iter().all(|case| !case.postgres.is_empty()));
    let door = open(&Database::in_memory().unwrap());
    let different = differences(door.local_addr(), |case| {
        case.ours.as_ref().unwrap_or(&case.postgres)
    })
    .await;
    assert!(different.is_empty(), "{different}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_answers_what_is_written_of_it() {
    if let Some(server) = Postgres::start() {
        let different = differences(server.address, |case| &case.postgres).await;
        assert!(different.is_empty(), "{different}");
    }
}
