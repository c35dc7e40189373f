//! Constraints of tables.

use std::sync::Arc;

use sqlparser::ast::{
    self, ColumnOption, ConstraintCharacteristics, ConstraintReferenceMatchKind, Expr,
    ForeignKeyConstraint, IndexColumn, KeyOrIndexDisplay, NullsDistinctOption, ObjectName,
    PrimaryKeyConstraint, ReferentialAction, TableConstraint, UniqueConstraint,
};
use velocitydb::{FieldType, IndexDefinition, OnDelete, Path, is_temporary};
use velocitydb_types::{Check, Reference};

use super::column::Draft;
use super::names::{beside, primary_key_name, reference_name};
use super::{invalid, notice};
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;
use crate::statement::Preparing;

/// A constraint, as it is said of a column or of a table.
#[derive(Debug, Clone)]
pub(super) struct Constraint {
    name: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    PrimaryKey(Vec<String>),
    Unique(Vec<String>),
    Check(Box<Expr>),
    Reference {
        column: String,
        to: ObjectName,
        referred: Option<String>,
        on_delete: OnDelete,
    },
}

/// Columns without anything else.
pub(super) fn columns(columns: &[IndexColumn]) -> Result<Vec<String>, SqlError> {
    let column = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(name) if *column == IndexColumn::from(name.clone()) => Ok(folded(name)),
        other => Err(SqlError::unsupported(format!("{other} in a constraint"))),
    };
    columns.iter().map(column).collect()
}

fn of_its_kind(kind: &str) -> SqlError {
    invalid(format!(
        "constraints on {kind} tables may reference only {kind} tables"
    ))
}

fn deferred(characteristics: Option<ConstraintCharacteristics>) -> Result<(), SqlError> {
    match characteristics {
        None => Ok(()),
        Some(ConstraintCharacteristics {
            deferrable: None | Some(false),
            initially: None | Some(ast::DeferrableInitial::Immediate),
            enforced: None | Some(true),
        }) => Ok(()),
        Some(_) => Err(SqlError::unsupported("a constraint that is DEFERRABLE")),
    }
}

impl Constraint {
    /// What is said of a column.
    ///
    /// # Errors
    /// It is not supported.
    pub(super) fn of_column(
        name: Option<String>,
        column: &str,
        option: &ColumnOption,
    ) -> Result<Constraint, SqlError> {
        let own = || vec![column.to_owned()];
        let kind = match option {
            ColumnOption::PrimaryKey(key) => primary_key(key, Some(own()))?,
            ColumnOption::Unique(unique) => self::unique(unique, Some(own()))?,
            ColumnOption::Check(check) => self::check(check)?,
            ColumnOption::ForeignKey(reference) => self::reference(reference, Some(column))?,
            other => {
                return Err(SqlError::unsupported(format!("the column option {other}")));
            }
        };
        Ok(Constraint { name, kind })
    }

    /// What is said of a table.
    ///
    /// # Errors
    /// It is not supported.
    pub(super) fn of_table(constraint: &TableConstraint) -> Result<Constraint, SqlError> {
        let (name, kind) = match constraint {
            TableConstraint::PrimaryKey(key) => (&key.name, primary_key(key, None)?),
            TableConstraint::Unique(unique) => (&unique.name, self::unique(unique, None)?),
            TableConstraint::Check(check) => (&check.name, self::check(check)?),
            TableConstraint::ForeignKey(key) => (&key.name, reference(key, None)?),
            other => return Err(SqlError::unsupported(format!("the constraint {other}"))),
        };
        Ok(Constraint {
            name: name.as_ref().map(folded),
            kind,
        })
    }
}

fn primary_key(key: &PrimaryKeyConstraint, of: Option<Vec<String>>) -> Result<Kind, SqlError> {
    let PrimaryKeyConstraint {
        name: _,
        index_name: None,
        index_type: None,
        columns: named,
        index_options,
        characteristics,
    } = key
    else {
        return Err(SqlError::unsupported(format!("{key}")));
    };
    if !index_options.is_empty() {
        return Err(SqlError::unsupported(format!("{key}")));
    }
    deferred(*characteristics)?;
    Ok(Kind::PrimaryKey(match of {
        Some(columns) => columns,
        None => columns(named)?,
    }))
}

fn unique(unique: &UniqueConstraint, of: Option<Vec<String>>) -> Result<Kind, SqlError> {
    let UniqueConstraint {
        name: _,
        index_name: None,
        index_type_display: KeyOrIndexDisplay::None,
        index_type: None,
        columns: named,
        index_options,
        characteristics,
        nulls_distinct: NullsDistinctOption::None | NullsDistinctOption::Distinct,
    } = unique
    else {
        return Err(SqlError::unsupported(format!("{unique}")));
    };
    if !index_options.is_empty() {
        return Err(SqlError::unsupported(format!("{unique}")));
    }
    deferred(*characteristics)?;
    Ok(Kind::Unique(match of {
        Some(columns) => columns,
        None => columns(named)?,
    }))
}

fn check(check: &ast::CheckConstraint) -> Result<Kind, SqlError> {
    match check.enforced {
        None | Some(true) => Ok(Kind::Check(check.expr.clone())),
        Some(false) => Err(SqlError::unsupported("CHECK … NOT ENFORCED")),
    }
}

fn reference(key: &ForeignKeyConstraint, of: Option<&str>) -> Result<Kind, SqlError> {
    use ReferentialAction::{Cascade, NoAction, Restrict, SetNull};
    let ForeignKeyConstraint {
        name: _,
        index_name: None,
        columns,
        foreign_table,
        referred_columns,
        on_delete,
        on_update,
        match_kind:
            None | Some(ConstraintReferenceMatchKind::Simple | ConstraintReferenceMatchKind::Full),
        characteristics,
    } = key
    else {
        return Err(SqlError::unsupported(format!("{key}")));
    };
    deferred(*characteristics)?;
    let column = match (of, &columns[..]) {
        (Some(column), _) => column.to_owned(),
        (None, [column]) => folded(column),
        _ => return Err(SqlError::unsupported("a foreign key of several columns")),
    };
    let referred = match &referred_columns[..] {
        [] => None,
        [column] => Some(folded(column)),
        _ => return Err(SqlError::unsupported("a foreign key of several columns")),
    };
    if let Some(action @ (Cascade | SetNull | ReferentialAction::SetDefault)) = on_update {
        return Err(SqlError::unsupported(format!("ON UPDATE {action}")));
    }
    let on_delete = match on_delete {
        None | Some(NoAction | Restrict) => OnDelete::Restrict,
        Some(Cascade) => OnDelete::Cascade,
        Some(SetNull) => OnDelete::SetNull,
        Some(action) => return Err(SqlError::unsupported(format!("ON DELETE {action}"))),
    };
    Ok(Kind::Reference {
        column,
        to: foreign_table.clone(),
        referred,
        on_delete,
    })
}

impl Preparing<'_> {
    /// Puts a constraint upon a table in the making.
    ///
    /// # Errors
    /// What it names is not there, or it is not supported.
    pub(super) fn constrain(
        &mut self,
        constraint: Constraint,
        draft: &mut Draft<'_>,
    ) -> Result<(), SqlError> {
        let Constraint { name, kind } = constraint;
        match kind {
            Kind::PrimaryKey(columns) => draft.primary_key(name, &columns),
            Kind::Unique(columns) => draft.unique(name, &columns),
            Kind::Check(expr) => self.check(name, &expr, draft),
            Kind::Reference {
                column,
                to,
                referred,
                on_delete,
            } => self.refer(name, &column, &to, referred, on_delete, draft),
        }
    }

    fn check(
        &mut self,
        name: Option<String>,
        expr: &Expr,
        draft: &mut Draft<'_>,
    ) -> Result<(), SqlError> {
        let table = draft.table()?;
        let condition = self.kept_condition(expr, &table, "CHECK")?;
        let is_taken =
            |draft: &Draft<'_>, name: &str| draft.checks.iter().any(|c| c.name() == name);
        let name = match name {
            Some(name) if is_taken(draft, &name) => {
                let table = draft.name();
                let message = format!("constraint {name:?} for relation {table:?} already exists");
                return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message));
            }
            Some(name) => name,
            None => {
                let wanted = match &condition.paths()[..] {
                    [column] => format!("{}_{}_check", draft.name(), column.first()),
                    _ => format!("{}_check", draft.name()),
                };
                let numbered = (1..).map(|number| format!("{wanted}{number}"));
                let mut names = std::iter::once(wanted.clone()).chain(numbered);
                let free = names.find(|name| !is_taken(draft, name));
                free.unwrap_or(wanted)
            }
        };
        let check = Check::new(name, condition.text());
        draft
            .checks
            .push(check.map_err(|error| invalid(error.to_string()))?);
        Ok(())
    }

    fn refer(
        &mut self,
        name: Option<String>,
        column: &str,
        to: &ObjectName,
        referred: Option<String>,
        on_delete: OnDelete,
        draft: &mut Draft<'_>,
    ) -> Result<(), SqlError> {
        let own = self.settings.found(to, |name| name == draft.name());
        let parent = match own? {
            Some(_) => Arc::new(draft.table()?),
            None => self.table(to)?,
        };
        let parent_name = parent.name().to_owned();
        match (is_temporary(draft.name()), is_temporary(&parent_name)) {
            (true, false) => return Err(of_its_kind("temporary")),
            (false, true) => return Err(of_its_kind("permanent")),
            _ => {}
        }
        let own_name = reference_name(draft.name(), column);
        draft.note_name("foreign key", name, &own_name);
        let field = draft.field(column)?;
        let key = parent.definition.primary_key.as_ref();
        let Some(key) = key.and_then(|key| key.only()) else {
            return Err(match parent.key_columns() {
                Some(_) => SqlError::unsupported(format!(
                    "a reference to {parent_name:?}, whose primary key was added later or has \
                     several columns,"
                )),
                None => SqlError::new(
                    sqlstate::UNDEFINED_OBJECT,
                    format!("there is no primary key for referenced table {parent_name:?}"),
                ),
            });
        };
        if let Some(referred) = referred.filter(|referred| referred != key) {
            if parent.column(&referred).is_none() {
                let what = "referenced in foreign key constraint does not exist";
                let message = format!("column {referred:?} {what}");
                return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
            }
            return Err(SqlError::unsupported(
                "a reference to another column than the primary key",
            ));
        }
        if field.references.is_some() {
            return Err(SqlError::unsupported("a second foreign key of one column"));
        }
        let theirs = parent.column(key).map(|column| column.sql);
        if let Some(theirs) = theirs.filter(|theirs| theirs.kept() != field.kind) {
            let message = format!("foreign key constraint {own_name:?} cannot be implemented");
            let ours = field.sql_type();
            return Err(
                SqlError::new(sqlstate::DATATYPE_MISMATCH, message).detail(format!(
                    "Key columns {column:?} and {key:?} are of incompatible types: {ours} and \
                     {theirs}."
                )),
            );
        }
        field.references = Some(Reference {
            collection: parent_name,
            on_delete,
        });
        Ok(())
    }
}

impl Draft<'_> {
    /// Tells that a constraint has another name than the statement gives.
    fn note_name(&mut self, what: &str, given: Option<String>, kept: &str) {
        if let Some(given) = given.filter(|given| given != kept) {
            let message = format!("the {what} {given:?} is called {kept:?}");
            self.notices.push(notice(message));
        }
    }

    fn known(&self, columns: &[String]) -> Result<(), SqlError> {
        for (at, column) in columns.iter().enumerate() {
            if !self.fields.iter().any(|field| field.name == *column) {
                let message = format!("column {column:?} named in key does not exist");
                return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
            }
            if columns[..at].contains(column) {
                let message = format!("column {column:?} appears twice in the constraint");
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
            }
        }
        Ok(())
    }

    /// A new table is found by the key itself. One that gets its key later, when it has rows, has ids
    /// beside its columns, and a unique index that serves as the key does.
    fn primary_key(&mut self, name: Option<String>, columns: &[String]) -> Result<(), SqlError> {
        let own_name = primary_key_name(self.name());
        if self.table()?.key_columns().is_some() {
            let table = self.name();
            let message = format!("multiple primary keys for table {table:?} are not allowed");
            return Err(invalid(message));
        }
        self.known(columns)?;
        self.note_name("primary key", name, &own_name);
        let mut names_rows = self.is_new;
        for column in columns {
            let field = self.field(column)?;
            field.required = true;
            names_rows &= !matches!(
                field.kind,
                FieldType::Json
                    | FieldType::Array
                    | FieldType::Map
                    | FieldType::Point
                    | FieldType::Float
            );
        }
        if names_rows {
            self.definition.primary_key = Some(columns.to_vec().into());
        } else {
            let name = self.names.given(own_name)?;
            self.definition.indexes.push(unique_index(name, columns));
        }
        Ok(())
    }

    fn unique(&mut self, name: Option<String>, columns: &[String]) -> Result<(), SqlError> {
        self.known(columns)?;
        let name = match name {
            Some(name) => {
                let name = beside(&self.definition.name, &name);
                self.names.given(name)?
            }
            None => {
                let wanted = format!("{}_{}_key", self.name(), columns.join("_"));
                self.names.chosen(&wanted)?
            }
        };
        self.definition.indexes.push(unique_index(name, columns));
        Ok(())
    }
}

fn unique_index(name: String, columns: &[String]) -> IndexDefinition {
    IndexDefinition::unique(name, columns.iter().map(Path::field).collect())
}
