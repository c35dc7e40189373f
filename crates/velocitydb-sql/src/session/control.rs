//! Statements about transactions and settings.

use sqlparser::ast::{self, Statement as Tree, TransactionIsolationLevel, TransactionMode};
use velocitydb::Isolation;

use super::Control;
use crate::error::SqlError;
use crate::parse::folded;

/// Statements about transactions and settings; `None`: it is another.
pub(super) fn control(tree: &Tree, isolation: Isolation) -> Result<Option<Control>, SqlError> {
    Ok(Some(match tree {
        Tree::StartTransaction {
            modes,
            begin: _,
            transaction: _,
            modifier: None,
            statements,
            exception: None,
            has_end_keyword: false,
        } if statements.is_empty() => Control::Begin(isolation_of(modes, isolation)?),
        Tree::Commit {
            chain: false,
            end: _,
            modifier: None,
        } => Control::Commit,
        Tree::Rollback {
            chain: false,
            savepoint,
        } => match savepoint {
            None => Control::Rollback,
            Some(name) => Control::RollbackTo(folded(name)),
        },
        Tree::Savepoint { name } => Control::Savepoint(folded(name)),
        Tree::ReleaseSavepoint { name } => Control::Release(folded(name)),
        Tree::ShowVariable { variable } => {
            let words: Vec<_> = variable.iter().map(folded).collect();
            Control::Show(match &*words.join(" ") {
                "transaction isolation level" => "transaction_isolation".into(),
                name => name.to_owned(),
            })
        }
        Tree::Set(set) => Control::Set(settings_of(set)?),
        Tree::Discard { object_type } => Control::Ignored(match object_type {
            ast::DiscardObject::ALL => "DISCARD ALL",
            ast::DiscardObject::PLANS => "DISCARD PLANS",
            ast::DiscardObject::SEQUENCES => "DISCARD SEQUENCES",
            ast::DiscardObject::TEMP => "DISCARD TEMP",
        }),
        _ => return Ok(None),
    }))
}

fn isolation_of(modes: &[TransactionMode], default: Isolation) -> Result<Isolation, SqlError> {
    let mut isolation = default;
    for mode in modes {
        match mode {
            TransactionMode::IsolationLevel(level) => {
                isolation = match level {
                    // PostgreSQL has no dirty reads either.
                    TransactionIsolationLevel::ReadUncommitted
                    | TransactionIsolationLevel::ReadCommitted => Isolation::ReadCommitted,
                    TransactionIsolationLevel::RepeatableRead
                    | TransactionIsolationLevel::Snapshot => Isolation::Snapshot,
                    TransactionIsolationLevel::Serializable => Isolation::Serializable,
                }
            }
            TransactionMode::AccessMode(ast::TransactionAccessMode::ReadWrite) => {}
            TransactionMode::AccessMode(ast::TransactionAccessMode::ReadOnly) => {
                return Err(SqlError::unsupported("READ ONLY"));
            }
        }
    }
    Ok(isolation)
}

/// What a SET sets.
fn settings_of(set: &ast::Set) -> Result<Vec<(String, String)>, SqlError> {
    let text = |value: &ast::Expr| match value {
        ast::Expr::Value(value) => match value.value.clone().into_string() {
            Some(text) => text,
            None => value.to_string(),
        },
        ast::Expr::Identifier(name) => name.value.clone(),
        other => other.to_string(),
    };
    match set {
        ast::Set::SingleAssignment {
            scope: None | Some(ast::ContextModifier::Session),
            hivevar: false,
            variable,
            values,
        } => {
            let values: Vec<_> = values.iter().map(text).collect();
            Ok(vec![(variable.to_string(), values.join(", "))])
        }
        ast::Set::SetTimeZone {
            local: false,
            value,
        } => Ok(vec![("TimeZone".to_owned(), text(value))]),
        other => Err(SqlError::unsupported(format!("{other}"))),
    }
}
