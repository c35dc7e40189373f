//! What SET and SHOW know.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use velocitydb::{Call, Consistency, Durability, Isolation};
use velocitydb_query::Zone;
use velocitydb_types::{ScalarType, Value};

use crate::error::{SqlError, sqlstate};
use crate::formats::{DateOrder, IntervalStyle, Settings};
use crate::search_path::SearchPath;

/// The version of PostgreSQL whose manual statements follow.
pub const SERVER_VERSION: &str = "15.0";

/// Settings that clients are told of when they change.
pub(crate) const REPORTED: &[&str] = &[
    "server_version",
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "application_name",
    "is_superuser",
    "session_authorization",
];

/// What may be said of a setting that changes nothing here.
#[derive(Debug, Clone, Copy)]
enum Means {
    /// Either is so: there are no functions and no policies that it could be about.
    Either,
    /// These alone, the first unless another is set.
    Only(&'static [&'static str]),
    /// That there is no limit.
    NoLimit,
}

/// Settings of PostgreSQL that change nothing here, as the scripts of `pg_dump` begin with them.
const WITHOUT_MEANING: &[(&str, Means)] = &[
    ("check_function_bodies", Means::Either),
    ("default_table_access_method", Means::Only(&["heap"])),
    ("default_tablespace", Means::Only(&[""])),
    ("escape_string_warning", Means::Either),
    ("idle_in_transaction_session_timeout", Means::NoLimit),
    ("idle_session_timeout", Means::NoLimit),
    ("row_security", Means::Either),
    ("xmloption", Means::Only(&["content", "document"])),
];

fn without_meaning(name: &str) -> Option<Means> {
    let found = WITHOUT_MEANING.iter().find(|(known, _)| *known == name);
    found.map(|(_, means)| *means)
}

pub(crate) fn on_or_off(on: bool) -> &'static str {
    match on {
        true => "on",
        false => "off",
    }
}

impl Means {
    /// A value as it is shown.
    ///
    /// # Errors
    /// It would have to change something.
    fn read(self, name: &str, value: &str, settings: &Settings) -> Result<String, SqlError> {
        let known = match self {
            Means::Either => {
                return read_bool(name, value, settings).map(|on| on_or_off(on).into());
            }
            Means::NoLimit => match read_timeout(value).ok_or_else(|| invalid(name, value))? {
                None => Some("0"),
                Some(_) => None,
            },
            Means::Only(values) => values.iter().copied().find(|known| *known == value),
        };
        known
            .map(str::to_owned)
            .ok_or_else(|| unsupported(name, value))
    }

    fn first(self) -> &'static str {
        match self {
            Means::Either => "on",
            Means::NoLimit => "0",
            Means::Only(values) => values[0],
        }
    }
}

fn read_bool(name: &str, value: &str, settings: &Settings) -> Result<bool, SqlError> {
    match crate::formats::read_text(value, ScalarType::Bool.into(), settings) {
        Ok(Value::Bool(on)) => Ok(on),
        _ => {
            let message = format!("parameter {name:?} requires a Boolean value");
            Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message))
        }
    }
}

/// What a session has set besides [`Settings`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    application_name: String,
    extra_float_digits: String,
    client_min_messages: String,
    /// Those of programs, whose names have a dot, and those without a meaning.
    kept: Arc<BTreeMap<String, String>>,
    /// What transactions are protected from that say nothing of it; `None`: as PostgreSQL's.
    isolation: Option<Isolation>,
    /// Whether transactions that say nothing of it only read.
    pub(crate) read_only: bool,
    /// The longest that a statement may take.
    pub(crate) statement_timeout: Option<Duration>,
    /// The longest that it may wait for a lock.
    pub(crate) lock_timeout: Option<Duration>,
    /// `velocity.consistency`.
    consistency: Consistency,
    /// `velocity.durability`.
    durability: Durability,
}

/// The most bytes that names and values of programs' settings have.
const OF_PROGRAMS_BYTES_MAX: usize = 64 << 10;

/// Whether a program may call a setting so: `name.name`, in lower case. `velocity.…` are ours.
fn is_of_program(name: &str) -> bool {
    let begins = |c: char| c.is_alphabetic() || c == '_';
    let is_name = |part: &str| {
        part.starts_with(begins)
            && part
                .chars()
                .all(|c| begins(c) || c.is_numeric() || c == '$')
    };
    name.contains('.') && name.split('.').all(is_name) && !name.starts_with("velocity.")
}

impl Named {
    /// Of a database whose writes have this durability.
    pub(crate) fn new(durability: Durability) -> Named {
        Named {
            durability,
            ..Named::default()
        }
    }

    /// How documents are changed.
    pub(crate) fn call(&self) -> Call {
        Call::new()
            .consistency(self.consistency)
            .durability(self.durability)
    }

    /// Forgets one that a program has made; whether its name is that of such a one.
    pub(crate) fn forget(&mut self, name: &str) -> bool {
        let name = name.to_lowercase();
        if self.kept.contains_key(&name) {
            Arc::make_mut(&mut self.kept).remove(&name);
        }
        is_of_program(&name)
    }

    /// Keeps one that means nothing here.
    fn keep(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        let others = self.kept.iter().filter(|(other, _)| *other != name);
        let bytes: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if bytes + name.len() + value.len() > OF_PROGRAMS_BYTES_MAX {
            let message = format!(
                "settings with names of their own take {OF_PROGRAMS_BYTES_MAX} bytes at most"
            );
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
        }
        Arc::make_mut(&mut self.kept).insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    pub(crate) fn client_min_messages(&self) -> &str {
        &self.client_min_messages
    }

    /// What transactions are protected from that say nothing of it.
    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation.unwrap_or(Isolation::ReadCommitted)
    }

    /// What the client calls itself.
    pub(crate) fn application_name(&self) -> &str {
        &self.application_name
    }

    fn timeout(&mut self, name: &str) -> Option<&mut Option<Duration>> {
        match name {
            "statement_timeout" => Some(&mut self.statement_timeout),
            "lock_timeout" => Some(&mut self.lock_timeout),
            _ => None,
        }
    }

    fn of(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "application_name" => &mut self.application_name,
            "client_min_messages" => &mut self.client_min_messages,
            _ => return None,
        })
    }
}

pub(crate) fn unknown(name: &str) -> SqlError {
    let known = name.to_lowercase();
    if crate::absent::is_setting(&known) || crate::absent::makes_no_difference(&known) {
        let error = SqlError::unsupported(format!("the setting {known}"));
        return match &*known {
            "synchronous_commit" => error.hint("velocity.durability says what a commit waits for."),
            _ => error,
        };
    }
    let message = format!("unrecognized configuration parameter {name:?}");
    SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
}

/// What PostgreSQL calls a level.
pub(crate) fn isolation_name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadCommitted => "read committed",
        Isolation::Snapshot => "repeatable read",
        Isolation::Serializable => "serializable",
    }
}

fn invalid(name: &str, value: &str) -> SqlError {
    let message = format!("invalid value for parameter {name:?}: {value:?}");
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

/// A value that PostgreSQL knows, and is none here.
fn unsupported(name: &str, value: &str) -> SqlError {
    SqlError::unsupported(format!("{name} = {value:?}"))
}

/// What is worth knowing of a setting that was set.
pub(crate) fn notice(name: &str) -> Option<SqlError> {
    let name = name.to_lowercase();
    crate::absent::makes_no_difference(&name).then(|| {
        let message = format!("{name} makes no difference here");
        SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, message)
    })
}

/// One of the product's own levels.
fn level<L>(name: &str, value: &str) -> Result<L, SqlError>
where
    L: FromStr<Err = velocitydb::Error>,
{
    let level = value.to_lowercase().parse();
    level.map_err(|error: velocitydb::Error| invalid(name, value).detail(error.to_string()))
}

/// Units of time, as PostgreSQL's settings have them, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A number, of milliseconds where it has no unit; 0 is no limit.
pub(crate) fn read_timeout(text: &str) -> Option<Option<Duration>> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit_ms = match unit.trim() {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    let timeout_ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    let is_known = timeout_ms <= i32::MAX as u64;
    is_known.then(|| (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms)))
}

fn shown_timeout(timeout: Option<Duration>) -> String {
    let Some(timeout) = timeout else {
        return "0".into();
    };
    let timeout_ms = timeout.as_millis() as u64;
    let mut units = UNITS.iter();
    let unit = units.find(|(_, unit_ms)| timeout_ms.is_multiple_of(*unit_ms));
    unit.map_or_else(String::new, |(name, unit_ms)| {
        format!("{}{name}", timeout_ms / unit_ms)
    })
}

/// Sets one.
///
/// # Errors
/// There is none of this name, or it cannot have this value.
pub(crate) fn set(
    settings: &mut Settings,
    named: &mut Named,
    name: &str,
    value: &str,
) -> Result<(), SqlError> {
    match &*name.to_lowercase() {
        "timezone" => {
            settings.zone = Zone::named(value).ok_or_else(|| invalid("TimeZone", value))?;
        }
        "datestyle" => {
            for part in value.split(',') {
                match &*part.trim().to_lowercase() {
                    "iso" => {}
                    "mdy" | "us" => settings.date_order = DateOrder::Mdy,
                    "dmy" | "european" => settings.date_order = DateOrder::Dmy,
                    "ymd" => settings.date_order = DateOrder::Ymd,
                    "sql" | "german" | "postgres" => return Err(unsupported("DateStyle", value)),
                    _ => return Err(invalid("DateStyle", value)),
                }
            }
        }
        "intervalstyle" => {
            settings.interval_style = match &*value.to_lowercase() {
                "postgres" => IntervalStyle::Postgres,
                "iso_8601" => IntervalStyle::Iso8601,
                "postgres_verbose" | "sql_standard" => {
                    return Err(unsupported("IntervalStyle", value));
                }
                _ => return Err(invalid("IntervalStyle", value)),
            };
        }
        "search_path" => {
            let path = SearchPath::read(value).ok_or_else(|| invalid("search_path", value))?;
            settings.search_path = path.of_session(&settings.search_path);
        }
        name @ "client_encoding" => {
            if !["utf8", "utf-8", "unicode"].contains(&&*value.to_lowercase()) {
                return Err(unsupported(name, value));
            }
        }
        name @ "standard_conforming_strings" => {
            if !read_bool(name, value, settings)? {
                return Err(unsupported(name, value));
            }
        }
        name @ "bytea_output" => match &*value.to_lowercase() {
            "hex" => {}
            "escape" => return Err(unsupported(name, value)),
            _ => return Err(invalid(name, value)),
        },
        // From 1 on floats are written so that they are read as the same.
        name @ "extra_float_digits" => match value.trim().parse::<i32>() {
            Ok(1..=3) => named.extra_float_digits = value.trim().to_owned(),
            Ok(-15..=0) => return Err(unsupported(name, value)),
            _ => return Err(invalid(name, value)),
        },
        name @ "default_transaction_isolation" => {
            named.isolation = Some(match &*value.to_lowercase() {
                // PostgreSQL has no dirty reads either.
                "read committed" | "read uncommitted" => Isolation::ReadCommitted,
                "repeatable read" => Isolation::Snapshot,
                "serializable" => Isolation::Serializable,
                _ => return Err(invalid(name, value)),
            });
        }
        name @ "default_transaction_read_only" => {
            named.read_only = read_bool(name, value, settings)?;
        }
        "server_version"
        | "server_version_num"
        | "server_encoding"
        | "integer_datetimes"
        | "is_superuser"
        | "max_identifier_length" => {
            let message = format!("parameter {name:?} cannot be changed");
            return Err(SqlError::new(sqlstate::CANT_CHANGE_RUNTIME_PARAM, message));
        }
        name if crate::absent::makes_no_difference(name) => {}
        name @ "client_min_messages" => {
            let level = value.to_lowercase();
            let levels = [
                "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice",
            ];
            if !levels.contains(&&*level) && !["warning", "error"].contains(&&*level) {
                return Err(invalid(name, value));
            }
            named.client_min_messages = level;
        }
        "velocity.consistency" => named.consistency = level(name, value)?,
        "velocity.durability" => named.durability = level(name, value)?,
        other => {
            if let Some(timeout) = named.timeout(other) {
                *timeout = read_timeout(value).ok_or_else(|| invalid(other, value))?;
            } else if is_of_program(other) {
                named.keep(other, value)?;
            } else if let Some(means) = without_meaning(other) {
                let value = means.read(other, value, settings)?;
                named.keep(other, &value)?;
            } else {
                *named.of(other).ok_or_else(|| unknown(name))? = value.to_owned();
            }
        }
    }
    Ok(())
}

/// A name as it is shown: PostgreSQL writes some of them with capitals.
pub(crate) fn shown_name(name: &str) -> String {
    let known = ["TimeZone", "DateStyle", "IntervalStyle"].iter();
    let mut known = known.filter(|known| known.eq_ignore_ascii_case(name));
    known
        .next()
        .map_or_else(|| name.to_lowercase(), |known| (*known).to_owned())
}

/// What `version()` answers.
pub(crate) fn version() -> String {
    format!(
        "PostgreSQL {SERVER_VERSION} (VelocityDB {})",
        env!("CARGO_PKG_VERSION")
    )
}

/// The value of one, as SHOW answers it.
///
/// # Errors
/// There is none of this name.
pub(crate) fn show(settings: &Settings, named: &Named, name: &str) -> Result<String, SqlError> {
    Ok(match &*name.to_lowercase() {
        "server_version" => SERVER_VERSION.into(),
        "server_version_num" => "150000".into(),
        "timezone" | "time zone" => settings.zone.name().to_string(),
        "datestyle" => {
            let order = match settings.date_order {
                DateOrder::Mdy => "MDY",
                DateOrder::Dmy => "DMY",
                DateOrder::Ymd => "YMD",
            };
            format!("ISO, {order}")
        }
        "intervalstyle" => match settings.interval_style {
            IntervalStyle::Postgres => "postgres".into(),
            IntervalStyle::Iso8601 => "iso_8601".into(),
        },
        "server_encoding" | "client_encoding" => "UTF8".into(),
        "standard_conforming_strings" | "integer_datetimes" | "is_superuser" => "on".into(),
        "bytea_output" => "hex".into(),
        "search_path" => settings.search_path.text().into(),
        "default_transaction_isolation" => isolation_name(named.isolation()).into(),
        "default_transaction_read_only" => on_or_off(named.read_only).into(),
        "session_authorization" => settings.user.to_string(),
        "max_identifier_length" => "255".into(),
        "extra_float_digits" if named.extra_float_digits.is_empty() => "1".into(),
        "extra_float_digits" => named.extra_float_digits.clone(),
        "client_min_messages" if named.client_min_messages.is_empty() => "notice".into(),
        "velocity.consistency" => named.consistency.name().into(),
        "velocity.durability" => named.durability.name().into(),
        other if is_of_program(other) => {
            let value = named.kept.get(other);
            value.ok_or_else(|| unknown(name))?.clone()
        }
        other if without_meaning(other).is_some() => {
            let first = without_meaning(other).map_or("", Means::first);
            named.kept.get(other).map_or(first, String::as_str).into()
        }
        other => {
            let mut named = named.clone();
            match named.timeout(other) {
                Some(timeout) => shown_timeout(*timeout),
                None => named.of(other).ok_or_else(|| unknown(name))?.clone(),
            }
        }
    })
}
