//! Evaluates an expression against an encoded document.
//!
//! What a part gives stays where it is, in the document or in the expression; only results of
//! arithmetic and functions are new. The recursion is as deep as the expression.
//!
//! Tests: `expression/tests.rs`.

use std::cmp::Ordering;
use std::mem::discriminant;

use super::functions::call;
use super::{Comparison, Expression, Literal, Node};
use crate::error::ErrorClass;
use crate::number::{self, Number, NumberError};
use crate::raw::{RawMap, RawValue};
use crate::view::View;
use crate::{Value, compare};

/// Why an expression has no value for a document. The same document gives the same error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// Arithmetic without a result.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// An operand of another type than its operator takes.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What the operator or function takes.
        expected: &'static str,
        /// The type of what it got.
        found: &'static str,
    },
    /// A text that is nothing of a type.
    #[error("invalid input syntax for type {kind}: {text:?}")]
    Syntax {
        /// The type.
        kind: &'static str,
        /// The text.
        text: Box<str>,
    },
    /// A value beyond what a type holds.
    #[error("{kind} out of range")]
    Range {
        /// The type.
        kind: &'static str,
    },
    /// A question for the greater of values of different types.
    #[error("{left} and {right} have no order")]
    Incomparable {
        /// The type of the left one.
        left: &'static str,
        /// The type of the right one.
        right: &'static str,
    },
}

impl EvaluationError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Expression {
    /// The expression's value for a document.
    ///
    /// # Errors
    /// Arithmetic without a result, and operands of types that an operator does not take.
    pub fn evaluate(&self, map: RawMap<'_>) -> Result<Value, EvaluationError> {
        Ok(match evaluate(&self.root, map)? {
            Operand::Raw(value) => value.to_value(),
            Operand::Literal(literal) => literal.value.clone(),
            Operand::Owned(value) => value,
        })
    }

    /// Whether the expression is true of a document; `None` is unknown.
    ///
    /// # Errors
    /// As [`Self::evaluate`], and a value that is neither true, false nor null.
    pub fn judge(&self, map: RawMap<'_>) -> Result<Option<bool>, EvaluationError> {
        truth(&self.root, map)
    }
}

/// What a part of an expression gives, from wherever it is.
pub(super) enum Operand<'a> {
    Raw(RawValue<'a>),
    Literal(&'a Literal),
    Owned(Value),
}

impl Operand<'_> {
    pub(super) fn view(&self) -> View<'_> {
        match self {
            Self::Raw(value) => View::from(*value),
            Self::Literal(literal) => View::from(&literal.value),
            Self::Owned(value) => View::from(value),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Raw(value) => value.type_name(),
            Self::Literal(literal) => literal.value.type_name(),
            Self::Owned(value) => value.type_name(),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        match self {
            Self::Raw(value) => value.is_null(),
            Self::Literal(literal) => literal.value.is_null(),
            Self::Owned(value) => value.is_null(),
        }
    }

    /// What a decimal of the text is beside a float: the nearest float.
    fn beside(&self, other: &View<'_>) -> Option<View<'static>> {
        match (self, other) {
            (Self::Literal(literal), View::Number(Number::Float(_))) => literal
                .float
                .map(|float| View::Number(Number::Float(float))),
            _ => None,
        }
    }

    pub(super) fn wrong(&self, expected: &'static str) -> EvaluationError {
        let found = self.type_name();
        EvaluationError::Type { expected, found }
    }
}

pub(super) fn evaluate<'a>(
    node: &'a Node,
    map: RawMap<'a>,
) -> Result<Operand<'a>, EvaluationError> {
    Ok(match node {
        Node::Literal(literal) => Operand::Literal(literal),
        Node::Field { path, .. } => Operand::Raw(map.get_path(path).unwrap_or(RawValue::NULL)),
        Node::Arithmetic(operation, nodes) => {
            let (left, right) = (evaluate(&nodes[0], map)?, evaluate(&nodes[1], map)?);
            if left.is_null() || right.is_null() {
                return Ok(Operand::Owned(Value::Null));
            }
            let (left, right) = (number_of(&left)?, number_of(&right)?);
            Operand::Owned(number::calculate(*operation, left, right)?)
        }
        Node::Negate(node) => match evaluate(node, map)? {
            null if null.is_null() => null,
            value => Operand::Owned(negated(number_of(&value)?)?),
        },
        Node::Call(function, nodes) => call(*function, nodes, map)?,
        Node::Not(_)
        | Node::And(_)
        | Node::Or(_)
        | Node::Compare(..)
        | Node::In(_)
        | Node::Between(_)
        | Node::IsNull(_)
        | Node::Matches(..) => Operand::Owned(truth(node, map)?.into()),
    })
}

/// Whether a part is true; `None` is unknown.
fn truth(node: &Node, map: RawMap<'_>) -> Result<Option<bool>, EvaluationError> {
    match node {
        Node::Not(node) => Ok(truth(node, map)?.map(|truth| !truth)),
        Node::And(nodes) => all(nodes, map, false),
        Node::Or(nodes) => all(nodes, map, true),
        Node::Compare(comparison, nodes) => {
            let (left, right) = (evaluate(&nodes[0], map)?, evaluate(&nodes[1], map)?);
            comparison.judge(&left, &right)
        }
        Node::In(nodes) => is_in(nodes, map),
        Node::Between(nodes) => {
            let [value, low, high] = &**nodes;
            let (value, low) = (evaluate(value, map)?, evaluate(low, map)?);
            let high = evaluate(high, map)?;
            let above = Comparison::GreaterOrEqual.judge(&value, &low)?;
            if above == Some(false) {
                return Ok(above);
            }
            let below = Comparison::LessOrEqual.judge(&value, &high)?;
            Ok(if below == Some(true) { above } else { below })
        }
        Node::IsNull(node) => Ok(Some(evaluate(node, map)?.is_null())),
        Node::Matches(node, pattern) => {
            let value = evaluate(node, map)?;
            Ok(text_of(&value)?.map(|text| pattern.matches(text)))
        }
        Node::Literal(_)
        | Node::Field { .. }
        | Node::Negate(_)
        | Node::Arithmetic(..)
        | Node::Call(..) => {
            let value = evaluate(node, map)?;
            match value.view() {
                View::Bool(bool) => Ok(Some(bool)),
                View::Null => Ok(None),
                _ => Err(value.wrong("true or false")),
            }
        }
    }
}

/// `and` (decided by false) or `or` (decided by true), from left to right.
fn all(nodes: &[Node], map: RawMap<'_>, decisive: bool) -> Result<Option<bool>, EvaluationError> {
    let mut result = Some(!decisive);
    for node in nodes {
        match truth(node, map)? {
            Some(truth) if truth == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}

fn is_in(nodes: &[Node], map: RawMap<'_>) -> Result<Option<bool>, EvaluationError> {
    let Some((value, list)) = nodes.split_first() else {
        return Ok(Some(false));
    };
    let value = evaluate(value, map)?;
    let mut result = Some(false);
    for node in list {
        match Comparison::Equal.judge(&value, &evaluate(node, map)?)? {
            Some(true) => return Ok(Some(true)),
            Some(false) => {}
            None => result = None,
        }
    }
    Ok(result)
}

impl Comparison {
    /// `None` when either is null.
    fn judge(
        self,
        left: &Operand<'_>,
        right: &Operand<'_>,
    ) -> Result<Option<bool>, EvaluationError> {
        let (mut a, mut b) = (left.view(), right.view());
        if matches!(a, View::Null) || matches!(b, View::Null) {
            return Ok(None);
        }
        if let Some(float) = left.beside(&b) {
            a = float;
        } else if let Some(float) = right.beside(&a) {
            b = float;
        }
        let order = (discriminant(&a) == discriminant(&b)).then(|| compare(a, b));
        Ok(Some(match (self, order) {
            (Self::Equal, _) => order == Some(Ordering::Equal),
            (Self::NotEqual, _) => order != Some(Ordering::Equal),
            (Self::Less, Some(order)) => order.is_lt(),
            (Self::LessOrEqual, Some(order)) => order.is_le(),
            (Self::Greater, Some(order)) => order.is_gt(),
            (Self::GreaterOrEqual, Some(order)) => order.is_ge(),
            (_, None) => {
                let (left, right) = (left.type_name(), right.type_name());
                return Err(EvaluationError::Incomparable { left, right });
            }
        }))
    }
}

pub(super) fn number_of<'o>(operand: &'o Operand<'_>) -> Result<Number<'o>, EvaluationError> {
    match operand.view() {
        View::Number(number) => Ok(number),
        _ => Err(operand.wrong("a number")),
    }
}

/// The string, or `None` for null.
pub(super) fn text_of<'o>(operand: &'o Operand<'_>) -> Result<Option<&'o str>, EvaluationError> {
    let text = match operand {
        _ if operand.is_null() => return Ok(None),
        Operand::Raw(value) => value.as_str(),
        Operand::Literal(literal) => literal.value.as_str(),
        Operand::Owned(value) => value.as_str(),
    };
    text.map(Some).ok_or_else(|| operand.wrong("a string"))
}

pub(super) fn negated(number: Number<'_>) -> Result<Value, EvaluationError> {
    Ok(match number {
        Number::Int(int) => Value::Int(int.checked_neg().ok_or(NumberError::Overflow)?),
        Number::Float(float) => Value::Float(-float),
        Number::Decimal(decimal) => Value::Decimal(decimal.negated()),
    })
}
