//! Ties an expression to the declared types of the fields it names.
//!
//! What JSON writes as strings (times, dates, UUIDs, bytes, decimals) is written as strings in
//! expressions too: beside a field of such a type a string becomes a value of it, once. What can
//! never be compared with its field is refused here. Tests: `expression/tests.rs`.

use super::functions::Function;
use super::{Expression, ExpressionError, Literal, Node};
use crate::coerce::coerce;
use crate::schema::shown;
use crate::{FieldType, Path, Value};

/// What is known of a field: its type, if it has one, or why it may not be named.
type Declared<'d> = &'d dyn Fn(&Path) -> Result<Option<FieldType>, String>;

impl Expression {
    /// Turns literals into the types of the fields that they are compared with. `declared` says
    /// the type of a field, `None` where any may be, or why the field may not be named here.
    ///
    /// # Errors
    /// A field that may not be named, a literal that its field can never be compared with.
    pub fn bind(&mut self, declared: Declared<'_>) -> Result<(), ExpressionError> {
        let error = |(at, message)| ExpressionError::at(&self.text, at, message);
        bind(&mut self.root, declared).map_err(error)
    }
}

/// A message, and the place it is about.
type Misfit = (usize, String);

fn bind(node: &mut Node, declared: Declared<'_>) -> Result<(), Misfit> {
    if let Node::Field { path, at } = node {
        return declared(path).map(|_| ()).map_err(|message| (*at, message));
    }
    let alike = match node {
        Node::Compare(_, nodes) => &mut nodes[..],
        Node::Between(nodes) => &mut nodes[..],
        Node::In(nodes) | Node::Call(Function::Coalesce, nodes) => &mut nodes[..],
        _ => &mut [],
    };
    let known = alike.iter().find_map(|node| kind_of(node, declared));
    if let Some((name, kind)) = known {
        for node in alike {
            if let Node::Literal(literal) = node {
                fit(literal, &name, kind)?;
            }
        }
    }
    node.children_mut()
        .iter_mut()
        .try_for_each(|node| bind(node, declared))
}

/// The declared type of what a part gives, and the field that says so.
fn kind_of(node: &Node, declared: Declared<'_>) -> Option<(Path, FieldType)> {
    match node {
        Node::Field { path, .. } => {
            let kind = declared(path).ok().flatten()?;
            (kind != FieldType::Json).then(|| (path.clone(), kind))
        }
        Node::Call(Function::Coalesce, nodes) => {
            nodes.iter().find_map(|node| kind_of(node, declared))
        }
        Node::Call(Function::Date, nodes) => {
            let (name, _) = kind_of(nodes.first()?, declared)?;
            Some((name, FieldType::Date))
        }
        Node::Call(Function::DateTrunc | Function::Timezone, nodes) => {
            kind_of(nodes.last()?, declared)
        }
        _ => None,
    }
}

fn fit(literal: &mut Literal, name: &Path, kind: FieldType) -> Result<(), Misfit> {
    let value = match literal.value {
        Value::String(_) => coerce(kind, std::mem::take(&mut literal.value)),
        _ => std::mem::take(&mut literal.value),
    };
    let number = |name| matches!(name, "int" | "float" | "decimal");
    let found = value.type_name();
    let fits = value.is_null() || found == kind.name() || number(found) && number(kind.name());
    if !fits {
        let message = format!("the field {name} is {kind}, which {} is not", shown(&value));
        return Err((literal.at, message));
    }
    *literal = Literal::new(value, literal.at);
    Ok(())
}
