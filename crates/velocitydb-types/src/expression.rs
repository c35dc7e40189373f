//! Expressions over a document's fields, as in SQL: `ends >= starts and total > 0`.
//!
//! ```text
//! expression = expression ("or" | "and") expression | "not" expression
//!            | sum [ comparison ]
//! comparison = ("=" | "!=" | "<>" | "<" | "<=" | ">" | ">=") sum
//!            | ["not"] "in" "(" expression { "," expression } ")"
//!            | ["not"] "between" sum "and" sum
//!            | ["not"] "like" string | "~" string        (a pattern; a regular expression)
//!            | "is" ["not"] "null"
//! sum        = sum ("+" | "-" | "*" | "/" | "%") sum | "-" sum
//!            | sum ("||" | "->" | "->>") sum              (texts joined; a member, and its text)
//!            | number | string | "true" | "false" | "null" | field
//!            | function "(" expression { "," expression } ")" | "(" expression ")"
//! field      = name { "." (name | position) }            total, address.city, tags.0, "odd name"
//! name       = letter or _ { letter, digit or _ } | "…" | `…`     (the quote doubled inside)
//! string     = '…'                                        ('' inside is one ')
//! function   = abs | btrim (trim) | coalesce | date | date_trunc | int2 | int4 | int8 | left
//!            | length | lower | ltrim | md5 | right | rtrim | timezone | upper
//!            | json_terms | json_path_terms
//! ```
//!
//! From weak to strong: `or`, `and`, `not`, the comparisons (which do not chain), `|| -> ->>`, `+ -`,
//! `* / %`, the sign. Keywords and functions are of any case, names of fields as they are; a field that is
//! called like a keyword stands in quotes.
//!
//! Meaning:
//! - An absent field is null. Null makes arithmetic, functions and comparisons null, and null in
//!   logic is *unknown*: `unknown and false` is false, `unknown or true` true, `not unknown`
//!   unknown. `is null` and `coalesce` are how one asks.
//! - Values compare by the one order of values ([`crate::order`]), numbers exactly. Values of
//!   different types are not equal; asking which is greater is an error.
//! - Arithmetic is that of [`crate::number`]: overflow and division by zero are errors. A number
//!   with a point or an exponent is an exact decimal; where it is compared with a float it is
//!   the nearest float, so that `price = 0.1` holds for the float 0.1.
//! - `and` and `or` stop at what decides them, from left to right: `n <> 0 and total / n > 2`.
//! - Functions mean what they mean in SQL; `lower` and `upper` change each character by itself.
//!   `date` and `date_trunc` are of UTC, and `timezone('UTC', t)` (in SQL `t AT TIME ZONE 'UTC'`) is `t`. `int4` of a
//!   string reads it, of a number refuses what is beyond its range. `json_terms` and
//!   `json_path_terms` ([`crate::terms`]) give what an index over JSON holds.
//! - A string compared with a field declared as time, date, UUID, bytes or decimal is a value of
//!   that type ([`Expression::bind`]).
//!
//! Invariants: the same document gives the same answer anywhere and at any time, so there is no
//! `now()`; size and depth are bounded ([`EXPRESSION_BYTES_MAX`], [`EXPRESSION_DEPTH_MAX`]), and
//! so is the time of one evaluation. Fields are read from the encoded document as they are
//! needed; no tree is built of it. Files in reading order: `lexer`, `parser`, `bind`,
//! `evaluate`, `functions`, `shown` (the text anew). Tests: `tests`, with a plain model, and `testscripts`.

mod bind;
mod evaluate;
mod functions;
mod lexer;
mod parser;
mod shown;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::error::ErrorClass;
use crate::number::Arithmetic;
use crate::pattern::Pattern;
use crate::{Path, Value};

pub use evaluate::EvaluationError;
use functions::Function;
pub(crate) use functions::length;
pub use shown::Shown;

/// Bytes of an expression's text.
pub const EXPRESSION_BYTES_MAX: usize = 16 << 10;

/// How deep an expression may nest.
pub const EXPRESSION_DEPTH_MAX: usize = 64;

/// Patterns (`like`, `~`) that one expression may have.
pub const EXPRESSION_PATTERNS_MAX: usize = 16;

/// A parsed expression. Two are equal when their texts are.
#[derive(Clone)]
pub struct Expression {
    text: Box<str>,
    root: Node,
}

/// Why a text is no expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// Where, from 1.
    pub line: usize,
    /// Where, from 1, in characters.
    pub column: usize,
    class: ErrorClass,
}

impl ExpressionError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// An error at a byte of the text.
    fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            class: ErrorClass::Invalid,
        }
    }

    fn of_class(self, class: ErrorClass) -> Self {
        Self { class, ..self }
    }
}

impl Expression {
    /// The text it was made of.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields it names, each once, in the order of the text.
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        self.root.visit(&mut |node| {
            if let Node::Field { path, .. } = node
                && !paths.contains(&path)
            {
                paths.push(path);
            }
        });
        paths
    }

    /// The comparisons of fields with values that it consists of, when all must hold and it is
    /// nothing else. `None` also where a value is a decimal, which beside a float means another.
    pub fn comparisons(&self) -> Option<Vec<(&Path, Comparison, &Value)>> {
        let all = match &self.root {
            Node::And(all) => &all[..],
            one => std::slice::from_ref(one),
        };
        let comparison = |node| match node {
            &Node::Compare(comparison, ref sides) => match &**sides {
                [Node::Field { path, .. }, Node::Literal(literal)] => {
                    Some((path, comparison, literal))
                }
                [Node::Literal(literal), Node::Field { path, .. }] => {
                    Some((path, comparison.turned(), literal))
                }
                _ => None,
            },
            _ => None,
        };
        let all = all.iter().map(|node| {
            let (path, comparison, literal) = comparison(node)?;
            let plain = literal.float.is_none() && !literal.value.is_null();
            plain.then_some((path, comparison, &literal.value))
        });
        all.collect()
    }

    /// How many patterns it has.
    pub fn pattern_count(&self) -> usize {
        let mut count = 0;
        self.root
            .visit(&mut |node| count += usize::from(matches!(node, Node::Matches(..))));
        count
    }

    /// Whether it can be true or false: not a number, nor a string.
    pub fn is_condition(&self) -> bool {
        match &self.root {
            Node::Literal(literal) => matches!(literal.value, Value::Bool(_) | Value::Null),
            Node::Negate(_) | Node::Arithmetic(..) => false,
            Node::Call(function, _) => *function == Function::Coalesce,
            Node::Field { .. }
            | Node::Not(_)
            | Node::And(_)
            | Node::Or(_)
            | Node::Compare(..)
            | Node::In(_)
            | Node::Between(_)
            | Node::IsNull(_)
            | Node::Matches(..) => true,
        }
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        let root = parser::parse(text)?;
        let text = text.into();
        Ok(Self { text, root })
    }
}

impl serde::Serialize for Expression {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Expression {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({self})")
    }
}

/// A part of an expression.
#[derive(Clone)]
enum Node {
    Literal(Literal),
    /// With its place in the text.
    Field {
        path: Path,
        at: usize,
    },
    Not(Box<Node>),
    Negate(Box<Node>),
    /// Two or more.
    And(Vec<Node>),
    /// Two or more.
    Or(Vec<Node>),
    Compare(Comparison, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    /// The value, and the list.
    In(Vec<Node>),
    /// The value, the least and the greatest.
    Between(Box<[Node; 3]>),
    IsNull(Box<Node>),
    Matches(Box<Node>, Pattern),
    Call(Function, Vec<Node>),
}

/// A value that stands in the text.
#[derive(Clone)]
struct Literal {
    value: Value,
    /// What a decimal is beside a float, if there is such a float.
    float: Option<f64>,
    /// Its place in the text.
    at: usize,
}

/// What is asked of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The same question with its two sides exchanged.
    fn turned(self) -> Comparison {
        match self {
            Comparison::Equal | Comparison::NotEqual => self,
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        }
    }
}

impl Literal {
    fn new(value: Value, at: usize) -> Self {
        let float = match &value {
            Value::Decimal(decimal) => Some(decimal.to_f64()).filter(|float| float.is_finite()),
            _ => None,
        };
        Self { value, float, at }
    }
}

impl Node {
    fn children(&self) -> &[Node] {
        match self {
            Self::Literal(_) | Self::Field { .. } => &[],
            Self::Not(node) | Self::Negate(node) | Self::IsNull(node) | Self::Matches(node, _) => {
                std::slice::from_ref(node)
            }
            Self::And(nodes) | Self::Or(nodes) | Self::In(nodes) | Self::Call(_, nodes) => nodes,
            Self::Compare(_, nodes) | Self::Arithmetic(_, nodes) => &nodes[..],
            Self::Between(nodes) => &nodes[..],
        }
    }

    fn children_mut(&mut self) -> &mut [Node] {
        match self {
            Self::Literal(_) | Self::Field { .. } => &mut [],
            Self::Not(node) | Self::Negate(node) | Self::IsNull(node) | Self::Matches(node, _) => {
                std::slice::from_mut(node)
            }
            Self::And(nodes) | Self::Or(nodes) | Self::In(nodes) | Self::Call(_, nodes) => nodes,
            Self::Compare(_, nodes) | Self::Arithmetic(_, nodes) => &mut nodes[..],
            Self::Between(nodes) => &mut nodes[..],
        }
    }

    /// Calls for this part and all parts within, in the order of the text.
    fn visit<'n>(&'n self, call: &mut impl FnMut(&'n Node)) {
        call(self);
        for node in self.children() {
            node.visit(call);
        }
    }
}
