//! Simple statements that differ in whole numbers alone are bound once: the numbers become parameters.
//!
//! ```text
//!   UPDATE t SET n = n + -7 WHERE id = 5    ──►    UPDATE t SET n = n + -$1 WHERE id = $2    7, 5
//! ```
//!
//! Only where a number means the same as a parameter of its type: behind an operator, and in VALUES.
//! Elsewhere it may be a place (`ORDER BY 1`) or a part of a type (`varchar(10)`), and stays. A
//! statement with quotes, comments or anything else that takes a real lexer is left alone.
//!
//! That is what others call automatic parameterization. Tests: below, and by all scripts of `slt`,
//! whose statements are run both ways.

use std::fmt::Write as _;

use velocitydb_types::{ScalarType, SqlType, Value};

/// Longer texts are not looked at.
const BYTES_MAX: usize = 512;

/// A statement without its numbers.
#[derive(Debug, PartialEq)]
pub struct Shape {
    /// The text, with parameters.
    pub text: String,
    /// Types of these.
    pub types: Vec<Option<SqlType>>,
    /// Their values.
    pub values: Vec<Value>,
}

/// What stands before a number.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// An operator with two operands.
    Operator,
    /// A minus behind one.
    Sign,
    /// `(` or `,` in a row of VALUES.
    Row,
    Other,
}

/// The shape of a statement that reads or changes rows; `None` when it is not looked at.
pub fn shape(sql: &str) -> Option<Shape> {
    let sql = sql.trim();
    let sql = sql.strip_suffix(';').unwrap_or(sql);
    let bytes = sql.as_bytes();
    let begins = |word: &str| {
        let first = bytes.get(..word.len());
        first.is_some_and(|first| first.eq_ignore_ascii_case(word.as_bytes()))
    };
    let is_known = ["select ", "insert ", "update ", "delete "]
        .into_iter()
        .any(begins);
    if bytes.len() > BYTES_MAX || !is_known {
        return None;
    }
    let mut shape = Shape {
        text: String::with_capacity(bytes.len() + 8),
        types: Vec::new(),
        values: Vec::new(),
    };
    let (mut at, mut copied) = (0, 0);
    let mut before = Before::Other;
    // Parentheses that are open, and how many of them when VALUES was said.
    let (mut depth, mut values) = (0_u32, None);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                while bytes
                    .get(at)
                    .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                {
                    at += 1;
                }
                let word = &bytes[start..at];
                if word.eq_ignore_ascii_case(b"values") {
                    values = Some(depth);
                } else if values == Some(depth) {
                    // Behind the rows: ON CONFLICT, ORDER BY and their like.
                    values = None;
                }
                before = Before::Other;
            }
            b'0'..=b'9' => {
                while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                    at += 1;
                }
                // A number of another kind, or what only begins like one.
                if bytes
                    .get(at)
                    .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._".contains(byte))
                {
                    return None;
                }
                if before != Before::Other {
                    let number: i64 = sql[start..at].parse().ok()?;
                    // With its sign it is an `integer`, without it too large for one.
                    if before == Before::Sign && number == -i64::from(i32::MIN) {
                        return None;
                    }
                    let scalar = match i32::try_from(number) {
                        Ok(_) => ScalarType::Int4,
                        Err(_) => ScalarType::Int8,
                    };
                    shape.text.push_str(&sql[copied..start]);
                    copied = at;
                    shape.types.push(Some(scalar.into()));
                    shape.values.push(Value::Int(number));
                    write!(shape.text, "${}", shape.values.len()).ok()?;
                }
                before = Before::Other;
            }
            b'=' | b'<' | b'>' | b'+' | b'*' => before = Before::Operator,
            b'-' if bytes.get(at) == Some(&b'-') => return None,
            b'-' => {
                before = match before {
                    Before::Operator | Before::Row => Before::Sign,
                    Before::Sign | Before::Other => Before::Other,
                };
            }
            b'(' => {
                depth += 1;
                before = in_row(values, depth);
            }
            b')' => {
                depth = depth.checked_sub(1)?;
                before = Before::Other;
            }
            b',' => before = in_row(values, depth),
            b'.' => before = Before::Other,
            _ => return None,
        }
    }
    shape.text.push_str(&sql[copied..]);
    Some(shape)
}

/// What a parenthesis or comma at this depth is.
fn in_row(values: Option<u32>, depth: u32) -> Before {
    match values {
        Some(values) if depth == values + 1 => Before::Row,
        _ => Before::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_parameters_where_they_mean_the_same() {
        let rows = [
            (
                "SELECT abalance FROM pgbench_accounts WHERE aid = 17;",
                "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
                vec![17],
            ),
            (
                "UPDATE t SET n = n + -7 WHERE id=5",
                "UPDATE t SET n = n + -$1 WHERE id=$2",
                vec![7, 5],
            ),
            (
                "INSERT INTO t (a, b) VALUES (1, -2), (3, f(4)) ON CONFLICT (a, b) DO NOTHING",
                "INSERT INTO t (a, b) VALUES ($1, -$2), ($3, f(4)) ON CONFLICT (a, b) DO NOTHING",
                vec![1, 2, 3],
            ),
            (
                "SELECT a FROM t WHERE n >= 3000000000 ORDER BY 1, -2 LIMIT 5",
                "SELECT a FROM t WHERE n >= $1 ORDER BY 1, -2 LIMIT 5",
                vec![3_000_000_000],
            ),
        ];
        for (sql, text, values) in rows {
            let shape = shape(sql).unwrap();
            assert_eq!(shape.text, text);
            assert_eq!(
                shape.values,
                values.into_iter().map(Value::Int).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn what_needs_a_lexer_is_left_alone() {
        for sql in [
            "SET n = 1",
            "ALTER SEQUENCE s START 1",
            "EXPLAIN SELECT a FROM t WHERE n = 1",
            "SELECT a FROM t WHERE n = 1.5",
            "SELECT a FROM t WHERE n = 1e5",
            "SELECT a FROM t WHERE n = 0x10",
            "SELECT a FROM t WHERE n = 1_000",
            "SELECT a FROM t WHERE n = 99999999999999999999",
            "SELECT n + -2147483648 FROM t",
            "SELECT a FROM t WHERE n = 1 AND s = 'x'",
            "SELECT \"a\" FROM t WHERE n = 1",
            "SELECT a FROM t WHERE n = 1 -- b",
            "SELECT a FROM t WHERE n = /* 2 */ 1",
            "SELECT a FROM t WHERE n = $1",
            "SELECT a FROM t WHERE n = 1; SELECT 2",
            "SELECT a::varchar(10) FROM t WHERE n = 1",
            "SELECT a FROM t WHERE n = 1)",
        ] {
            assert_eq!(shape(sql), None, "{sql}");
        }
    }
}
