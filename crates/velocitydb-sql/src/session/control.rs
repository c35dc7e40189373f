//! Statements about transactions and settings.

use sqlparser::ast::{self, Statement as Tree, TransactionIsolationLevel, TransactionMode};
use velocitydb::Isolation;

use super::{Access, Control, Modes};
use crate::error::SqlError;
use crate::functions::quotes::quote_ident;
use crate::parse::folded;
use crate::settings::{isolation_name, shown_name};

/// Statements about transactions and settings; `None`: it is another.
pub(super) fn control(tree: &Tree) -> Result<Option<Control>, SqlError> {
    Ok(Some(match tree {
        Tree::StartTransaction {
            modes,
            begin,
            transaction: _,
            modifier: None,
            statements,
            exception: None,
            has_end_keyword: false,
        } if statements.is_empty() => Control::Begin {
            modes: Modes::of(modes),
            tag: if *begin { "BEGIN" } else { "START TRANSACTION" },
        },
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
        Tree::Savepoint { name } => Control::Savepoint(folded(name).into()),
        Tree::ReleaseSavepoint { name } => Control::Release(folded(name)),
        Tree::ShowVariable { variable } => {
            let words: Vec<_> = variable.iter().map(folded).collect();
            Control::Show(match &*words.join(" ") {
                "transaction isolation level" => "transaction_isolation".into(),
                "time zone" => "TimeZone".into(),
                "all" => return Err(SqlError::unsupported("SHOW ALL")),
                // The parser leaves the point out.
                name => shown_name(&name.replace(' ', ".")),
            })
        }
        Tree::Set(ast::Set::SetTransaction {
            modes,
            snapshot: None,
            session: false,
        }) => Control::SetTransaction(Modes::of(modes)),
        Tree::Set(ast::Set::SetTransaction {
            modes,
            snapshot: None,
            session: true,
        }) => Modes::of(modes).of_session(),
        Tree::Set(set) => settings_of(set)?,
        Tree::Reset(reset) => match &reset.reset {
            ast::Reset::ALL => Control::ResetAll,
            ast::Reset::ConfigurationParameter(name) => Control::Set {
                all: vec![(name.to_string(), None)],
                local: false,
                tag: "RESET",
            },
        },
        Tree::Deallocate { name, prepare: _ } => Control::Deallocate(match name {
            all if all.quote_style.is_none() && all.value.eq_ignore_ascii_case("all") => None,
            name => Some(folded(name)),
        }),
        Tree::Discard { object_type } => Control::Ignored(match object_type {
            ast::DiscardObject::ALL => "DISCARD ALL",
            ast::DiscardObject::PLANS => "DISCARD PLANS",
            ast::DiscardObject::SEQUENCES => "DISCARD SEQUENCES",
            ast::DiscardObject::TEMP => "DISCARD TEMP",
        }),
        _ => return Ok(None),
    }))
}

impl Modes {
    fn of(modes: &[TransactionMode]) -> Modes {
        let mut of = Modes::default();
        for mode in modes {
            match mode {
                TransactionMode::IsolationLevel(level) => {
                    of.isolation = Some(match level {
                        // PostgreSQL has no dirty reads either.
                        TransactionIsolationLevel::ReadUncommitted
                        | TransactionIsolationLevel::ReadCommitted => Isolation::ReadCommitted,
                        TransactionIsolationLevel::RepeatableRead
                        | TransactionIsolationLevel::Snapshot => Isolation::Snapshot,
                        TransactionIsolationLevel::Serializable => Isolation::Serializable,
                    });
                }
                TransactionMode::AccessMode(access) => {
                    of.access = Some(match access {
                        ast::TransactionAccessMode::ReadWrite => Access::ReadWrite,
                        ast::TransactionAccessMode::ReadOnly => Access::ReadOnly,
                    });
                }
            }
        }
        of
    }
}

impl Modes {
    /// What SET SESSION CHARACTERISTICS sets: those of the transactions that begin from now on.
    fn of_session(self) -> Control {
        let isolation = self.isolation.map(isolation_name);
        let read_only = self.access.map(|access| match access {
            Access::ReadOnly => "on",
            Access::ReadWrite => "off",
        });
        let all = [
            ("default_transaction_isolation", isolation),
            ("default_transaction_read_only", read_only),
        ];
        let said = all.into_iter().filter(|(_, value)| value.is_some());
        let said = said.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        Control::Set {
            all: said.collect(),
            local: false,
            tag: "SET",
        }
    }
}

/// What a SET sets.
fn settings_of(set: &ast::Set) -> Result<Control, SqlError> {
    let text = |value: &ast::Expr| match value {
        ast::Expr::Value(value) => match value.value.clone().into_string() {
            Some(text) => text,
            None => value.to_string(),
        },
        ast::Expr::Identifier(name) => name.value.clone(),
        other => other.to_string(),
    };
    let is_default = |value: &ast::Expr| match value {
        ast::Expr::Identifier(name) => {
            name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default")
        }
        _ => false,
    };
    let (name, value, local) = match set {
        ast::Set::SingleAssignment {
            scope:
                scope @ (None | Some(ast::ContextModifier::Session | ast::ContextModifier::Local)),
            hivevar: false,
            variable,
            values,
        } => {
            let is_path = variable.to_string().eq_ignore_ascii_case("search_path");
            let value = match &values[..] {
                [value] if is_default(value) => None,
                // Each of them is one name, whatever is in it.
                values if is_path => {
                    let name = |value: &ast::Expr| match value {
                        ast::Expr::Identifier(name) => quote_ident(&folded(name)),
                        value => quote_ident(&text(value)),
                    };
                    Some(values.iter().map(name).collect::<Vec<_>>().join(", "))
                }
                values => Some(values.iter().map(text).collect::<Vec<_>>().join(", ")),
            };
            let local = matches!(scope, Some(ast::ContextModifier::Local));
            (variable.to_string(), value, local)
        }
        ast::Set::SetTimeZone { local, value } => {
            let is_first = is_default(value) || text(value).eq_ignore_ascii_case("local");
            let value = (!is_first).then(|| text(value));
            ("TimeZone".to_owned(), value, *local)
        }
        other => return Err(SqlError::unsupported(format!("{other}"))),
    };
    Ok(Control::Set {
        all: vec![(name, value)],
        local,
        tag: "SET",
    })
}
