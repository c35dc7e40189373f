//! An expression's text, made anew of what was parsed: in this language or as PostgreSQL shows it.
//!
//! Two expressions are the same when their texts, so made, are: blanks, quotes that are not needed,
//! the case of functions and other names of them make no difference. Tests: `expression/tests.rs`.

use std::fmt::Write as _;

use super::functions::{FUNCTIONS, Function};
use super::parser::KEYWORDS;
use super::{Comparison, Expression, Literal, Node};
use crate::number::Arithmetic;
use crate::{Path, Value};

/// How an expression is shown.
#[derive(Clone, Copy)]
pub enum Shown<'s> {
    /// In its own language.
    Own,
    /// As PostgreSQL shows an expression of an index, its columns as this writes them.
    Postgres(&'s dyn Fn(&Path) -> String),
}

/// What the names of paths begin with that stand for expressions: none that a document may have.
const STAND_IN: &str = "_(";

impl Expression {
    /// Its text, made anew.
    pub fn shown(&self, how: Shown<'_>) -> String {
        let mut text = String::new();
        let calls = matches!(&self.root, Node::Call(function, _) if !function.is_operator()
            && !function.is_cast());
        match (how, calls) {
            // All but columns and calls stand in parentheses in an index.
            (Shown::Postgres(_), false) if !matches!(self.root, Node::Field { .. }) => {
                text.push('(');
                bare(&self.root, how, &mut text);
                text.push(')');
            }
            _ => show(&self.root, how, &mut text),
        }
        text
    }

    /// Whether both are the same, however they are written.
    pub fn is_same(&self, other: &Expression) -> bool {
        self.text == other.text || self.shown(Shown::Own) == other.shown(Shown::Own)
    }

    /// The path that stands for it where others name fields, as in an index: no document has it,
    /// and expressions that are the same have the same.
    pub fn stand_in(&self) -> Path {
        Path::field(format!("{STAND_IN}{})", self.shown(Shown::Own)))
    }

    /// Whether a path stands for an expression.
    pub fn stands_for_one(path: &Path) -> bool {
        path.first().starts_with(STAND_IN)
    }
}

fn show(node: &Node, how: Shown<'_>, text: &mut String) {
    let joined = |nodes: &[Node], separator: &str, text: &mut String| {
        for (at, node) in nodes.iter().enumerate() {
            if at > 0 {
                text.push_str(separator);
            }
            show(node, how, text);
        }
    };
    let operator = |nodes: &[Node], sign: &str, text: &mut String| {
        text.push('(');
        joined(nodes, &format!(" {sign} "), text);
        text.push(')');
    };
    match node {
        Node::Literal(literal) => literal.show(how, text),
        Node::Field { path, .. } => match how {
            Shown::Own => text.push_str(&own_path(path)),
            Shown::Postgres(column) => text.push_str(&column(path)),
        },
        Node::Not(inner) => {
            if let (Shown::Postgres(_), Node::IsNull(of)) = (how, &**inner) {
                text.push('(');
                show(of, how, text);
                return text.push_str(" IS NOT NULL)");
            }
            text.push_str("(NOT ");
            show(inner, how, text);
            text.push(')');
        }
        Node::Negate(inner) => {
            text.push_str("(- ");
            show(inner, how, text);
            text.push(')');
        }
        Node::And(nodes) => operator(nodes, "AND", text),
        Node::Or(nodes) => operator(nodes, "OR", text),
        Node::Compare(comparison, nodes) => operator(&nodes[..], sign(*comparison), text),
        Node::Arithmetic(arithmetic, nodes) => {
            let sign = match arithmetic {
                Arithmetic::Add => "+",
                Arithmetic::Subtract => "-",
                Arithmetic::Multiply => "*",
                Arithmetic::Divide => "/",
                Arithmetic::Remainder => "%",
            };
            operator(&nodes[..], sign, text);
        }
        Node::In(nodes) => {
            text.push('(');
            joined(&nodes[..1], "", text);
            text.push_str(" IN (");
            joined(&nodes[1..], ", ", text);
            text.push_str("))");
        }
        Node::Between(nodes) => {
            text.push('(');
            show(&nodes[0], how, text);
            text.push_str(" BETWEEN ");
            joined(&nodes[1..], " AND ", text);
            text.push(')');
        }
        Node::IsNull(inner) => {
            text.push('(');
            show(inner, how, text);
            text.push_str(" IS NULL)");
        }
        Node::Matches(inner, pattern) => {
            text.push('(');
            show(inner, how, text);
            let sign = if pattern.is_regular() { "~" } else { "LIKE" };
            let _ = write!(text, " {sign} '{}')", pattern.text().replace('\'', "''"));
        }
        Node::Call(function, nodes) if function.is_operator() => {
            operator(nodes, function.name(), text);
        }
        Node::Call(function, nodes) => call(*function, nodes, how, text),
    }
}

/// Without the parentheses around an operator, where PostgreSQL shows none.
fn bare(node: &Node, how: Shown<'_>, text: &mut String) {
    let node = match (how, node) {
        (Shown::Postgres(_), Node::Call(Function::Int(_), nodes)) if is_calculated(&nodes[0]) => {
            &nodes[0]
        }
        _ => node,
    };
    let start = text.len();
    show(node, how, text);
    let operates = match node {
        Node::Arithmetic(..) => true,
        Node::Call(function, _) => function.is_operator(),
        _ => false,
    };
    if operates && matches!(how, Shown::Postgres(_)) {
        text.pop();
        text.remove(start);
    }
}

/// Whether an integer function looks at the range of a result alone, which SQL does not say.
fn is_calculated(node: &Node) -> bool {
    matches!(
        node,
        Node::Arithmetic(..) | Node::Negate(_) | Node::Call(Function::Abs, _)
    )
}

fn call(function: Function, nodes: &[Node], how: Shown<'_>, text: &mut String) {
    let as_it_is = |name: &str, text: &mut String| {
        text.push_str(name);
        text.push('(');
        for (at, node) in nodes.iter().enumerate() {
            if at > 0 {
                text.push_str(", ");
            }
            bare(node, how, text);
        }
        text.push(')');
    };
    let Shown::Postgres(_) = how else {
        return as_it_is(function.name(), text);
    };
    match (function, nodes) {
        (Function::Btrim, [of, characters @ ..]) => {
            text.push_str("TRIM(BOTH");
            for characters in characters {
                text.push(' ');
                show(characters, how, text);
            }
            text.push_str(" FROM ");
            bare(of, how, text);
            text.push(')');
        }
        (Function::Timezone, [zone, time]) => {
            text.push('(');
            show(time, how, text);
            text.push_str(" AT TIME ZONE ");
            show(zone, how, text);
            text.push(')');
        }
        (Function::Int(_), [of]) if is_calculated(of) => show(of, how, text),
        (Function::Date | Function::Int(_), [of]) => {
            show(of, how, text);
            let _ = write!(text, "::{}", function.sql_type());
        }
        (Function::JsonTerms | Function::JsonPathTerms, [of]) => show(of, how, text),
        (Function::Coalesce, _) => as_it_is("COALESCE", text),
        (Function::Left | Function::Right, _) => {
            as_it_is(&format!("\"{}\"", function.name()), text);
        }
        _ => as_it_is(function.name(), text),
    }
}

impl Literal {
    fn show(&self, how: Shown<'_>, text: &mut String) {
        let _ = match &self.value {
            Value::String(string) => {
                let quoted = string.replace('\'', "''");
                match how {
                    Shown::Own => write!(text, "'{quoted}'"),
                    Shown::Postgres(_) => write!(text, "'{quoted}'::text"),
                }
            }
            Value::Null => write!(text, "NULL"),
            Value::Bool(bool) => write!(text, "{bool}"),
            Value::Int(int) => write!(text, "{int}"),
            Value::Decimal(decimal) => write!(text, "{decimal}"),
            // What a literal was bound to, from a string.
            other => write!(text, "'{}'", other.to_json().trim_matches('"')),
        };
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// A field, in quotes where it needs them.
fn own_path(path: &Path) -> String {
    let [first, rest @ ..] = path.segments() else {
        return String::new();
    };
    let is_word = |segment: &str| {
        let mut characters = segment.chars();
        let starts = characters
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_');
        starts && characters.all(|c| c.is_alphanumeric() || c == '_')
    };
    let lowercase = first.to_ascii_lowercase();
    let is_taken =
        KEYWORDS.contains(&lowercase.as_str()) || FUNCTIONS.iter().any(|row| row.name == lowercase);
    let quoted = |segment: &str| format!("\"{}\"", segment.replace('"', "\"\""));
    let mut text = match is_word(first) && !(is_taken && rest.is_empty()) {
        true => first.clone(),
        false => quoted(first),
    };
    for segment in rest {
        text.push('.');
        match is_word(segment) || Path::position(segment).is_some() {
            true => text.push_str(segment),
            false => text.push_str(&quoted(segment)),
        }
    }
    text
}
