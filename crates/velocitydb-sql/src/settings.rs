//! What SET and SHOW know.

use velocitydb_query::Zone;

use crate::error::{SqlError, sqlstate};
use crate::formats::{DateOrder, IntervalStyle, Settings};

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

/// What a session has set besides [`Settings`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    application_name: String,
    extra_float_digits: String,
    search_path: String,
    statement_timeout: String,
    client_min_messages: String,
}

impl Named {
    fn of(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "application_name" => &mut self.application_name,
            "extra_float_digits" => &mut self.extra_float_digits,
            "search_path" => &mut self.search_path,
            "statement_timeout" => &mut self.statement_timeout,
            "client_min_messages" => &mut self.client_min_messages,
            _ => return None,
        })
    }
}

fn unknown(name: &str) -> SqlError {
    let message = format!("unrecognized configuration parameter {name:?}");
    SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
}

fn invalid(name: &str, value: &str) -> SqlError {
    let message = format!("invalid value for parameter {name:?}: {value:?}");
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
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
                    _ => return Err(invalid("DateStyle", value)),
                }
            }
        }
        "intervalstyle" => {
            settings.interval_style = match &*value.to_lowercase() {
                "postgres" => IntervalStyle::Postgres,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => return Err(invalid("IntervalStyle", value)),
            };
        }
        "client_encoding" | "standard_conforming_strings" | "bytea_output" => {}
        other => match named.of(other) {
            Some(held) => *held = value.to_owned(),
            None => return Err(unknown(name)),
        },
    }
    Ok(())
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
        "session_authorization" => "postgres".into(),
        "max_identifier_length" => "255".into(),
        other => match named.clone().of(other) {
            Some(held) => held.clone(),
            None => return Err(unknown(name)),
        },
    })
}
