//! Error classes: what the receiver of an error can do, and how each door says it.
//!
//! Every error of VelocityDB has one [`ErrorClass`]. [`ERROR_CLASSES`] gives the HTTP status, the
//! SQLSTATE and the RESP prefix of a class; an error with a code of its own may be more precise.
//! Tests: below.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the receiver of an error can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Try the same again, now: another got in between.
    Retry,
    /// Change the request: it can never succeed.
    Invalid,
    /// What the request names does not exist.
    NotFound,
    /// The state of the data refuses it: a condition, a unique key, a version.
    Conflict,
    /// The identity behind the request may not do this.
    Denied,
    /// Try again later or elsewhere: not ready, no majority, closing.
    Unavailable,
    /// A configured limit: size, memory, time, connections.
    Limit,
    /// Stored bytes are damaged. An operator is needed.
    Corrupt,
    /// The disk or the network failed. An operator is needed.
    Io,
}

/// How one class is said at each door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassRow {
    /// The class.
    pub class: ErrorClass,
    /// Its name in answers, logs and metrics.
    pub name: &'static str,
    /// The HTTP status.
    pub http_status: u16,
    /// PostgreSQL's five-character code.
    pub sqlstate: &'static str,
    /// The first word of a RESP error.
    pub resp_prefix: &'static str,
}

/// Every class, in the order of the enum.
pub const ERROR_CLASSES: &[ClassRow] = &[
    row(ErrorClass::Retry, "retry", 503, "40001", "TRYAGAIN"),
    row(ErrorClass::Invalid, "invalid", 400, "22023", "ERR"),
    row(ErrorClass::NotFound, "not_found", 404, "42704", "ERR"),
    row(ErrorClass::Conflict, "conflict", 409, "23000", "CONFLICT"),
    row(ErrorClass::Denied, "denied", 403, "42501", "NOPERM"),
    row(
        ErrorClass::Unavailable,
        "unavailable",
        503,
        "57P03",
        "CLUSTERDOWN",
    ),
    row(ErrorClass::Limit, "limit", 413, "54000", "LIMIT"),
    row(ErrorClass::Corrupt, "corrupt", 500, "XX001", "CORRUPT"),
    row(ErrorClass::Io, "io", 500, "58030", "IOERR"),
];

const fn row(
    class: ErrorClass,
    name: &'static str,
    http_status: u16,
    sqlstate: &'static str,
    resp_prefix: &'static str,
) -> ClassRow {
    ClassRow {
        class,
        name,
        http_status,
        sqlstate,
        resp_prefix,
    }
}

impl ErrorClass {
    /// This class's row of [`ERROR_CLASSES`].
    pub fn row(self) -> &'static ClassRow {
        &ERROR_CLASSES[self as usize]
    }

    /// The HTTP status of the class.
    pub fn http_status(self) -> u16 {
        self.row().http_status
    }

    /// The SQLSTATE of the class.
    pub fn sqlstate(self) -> &'static str {
        self.row().sqlstate
    }

    /// The first word of a RESP error of the class.
    pub fn resp_prefix(self) -> &'static str {
        self.row().resp_prefix
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_own_row() {
        assert_eq!(ERROR_CLASSES.len(), ErrorClass::Io as usize + 1);
        for (index, row) in ERROR_CLASSES.iter().enumerate() {
            assert_eq!(row.class as usize, index);
            assert_eq!(row.class.row(), row);
            assert_eq!(row.sqlstate.len(), 5);
            assert!((400..600).contains(&row.http_status));
            assert_eq!(serde_json::to_value(row.class).unwrap(), row.name);
        }
    }
}
