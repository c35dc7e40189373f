//! ALTER TABLE. All that one statement says is one alteration of the collection: readers see all of
//! it or nothing.

use std::collections::BTreeMap;

use sqlparser::ast::{
    self, AlterColumnOperation, AlterTableOperation as Operation, CreateTableOptions, DataType,
    Expr, GeneratedAs,
};
use sqlparser::tokenizer::{Token, Tokenizer, Word};
use velocitydb::{
    Alteration, DefaultValue, Error, FieldType, IndexDefinition, IndexField, Path, Refusal, Value,
};
use velocitydb_types::{Check, Expression, Identity, ScalarType, SqlDefault, SqlType};

use super::column::{Draft, identity_options};
use super::constraint::Constraint;
use super::default::{of_rows, sequences_of};
use super::index::duplicates;
use super::names::{Names, beside, primary_key_name, reference_name};
use super::rename::new_name;
use super::table::storage;
use super::{invalid, notice, refused, skipped};
use crate::bind::sql_type;
use crate::bound::{Bound, Typed};
use crate::definitions::Relation;
use crate::error::{SqlError, sqlstate};
use crate::parse::{Postgres, folded};
use crate::statement::Preparing;

/// A table on its way to what it shall be.
struct Altered<'a> {
    draft: Draft<'a>,
    collection: Relation<'a>,
    constraints: Vec<Constraint>,
    rename: BTreeMap<String, String>,
    drop: Vec<String>,
    /// Defaults that rows which are there get once, and new ones anew each time.
    afterwards: Vec<(String, SqlDefault)>,
    /// Sequences that go with their columns.
    dropped: Vec<String>,
}

fn syntax(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::SYNTAX_ERROR, message)
}

impl Preparing<'_> {
    pub(super) fn alter_table(
        &mut self,
        alter: &ast::AlterTable,
    ) -> Result<Vec<SqlError>, SqlError> {
        let ast::AlterTable {
            name,
            if_exists,
            // No table is made of another.
            only: _,
            operations,
            location: None,
            on_cluster: None,
            table_type: None,
            end_token: _,
        } = alter
        else {
            return Err(SqlError::unsupported("this form of ALTER TABLE"));
        };
        let name = match self.table(name) {
            Err(error) if *if_exists && error.sqlstate == sqlstate::UNDEFINED_TABLE => {
                return Ok(vec![skipped(error)]);
            }
            table => table?.name().to_owned(),
        };
        let collection = self.definitions.collection(&name)?;
        if let Some(name) = new_name(operations)? {
            self.rename_table(&collection, name)?;
            return Ok(Vec::new());
        }
        let definition = collection.definition()?;
        if definition.schema.fields().is_empty() {
            let what = "ALTER TABLE of a collection without declared fields";
            return Err(SqlError::unsupported(what));
        }
        let mut altered = Altered {
            draft: Draft::new(Names::new(self.definitions), definition, false),
            collection,
            constraints: Vec::new(),
            rename: BTreeMap::new(),
            drop: Vec::new(),
            afterwards: Vec::new(),
            dropped: Vec::new(),
        };
        for operation in operations {
            self.alter(operation, &mut altered)?;
        }
        for constraint in std::mem::take(&mut altered.constraints) {
            self.constrain(constraint, &mut altered.draft)?;
        }
        self.make(altered)
    }

    fn make(&mut self, altered: Altered<'_>) -> Result<Vec<SqlError>, SqlError> {
        let Altered {
            mut draft,
            collection,
            rename,
            drop,
            afterwards,
            dropped,
            constraints: _,
        } = altered;
        let name = draft.name().to_owned();
        let definition = draft.finish()?;
        for sequence in &draft.sequences {
            self.definitions.create_sequence(sequence.clone())?;
        }
        let mut alteration = Alteration::to(definition);
        (alteration.rename, alteration.drop) = (rename, drop);
        if let Err(error) = collection.alter(alteration) {
            for sequence in &draft.sequences {
                self.definitions.drop_sequence(&sequence.name)?;
            }
            // The engine tells the columns that are not unique; it is a new index that they are of.
            if let Error::Refused {
                refusal: Refusal::Duplicate { fields, .. },
                ..
            } = &error
            {
                let mut indexes = draft.definition.indexes.iter().rev();
                let is_it = |index: &&IndexDefinition| {
                    let paths = index.fields.iter().map(ToString::to_string);
                    index.unique && paths.collect::<Vec<_>>().join(", ") == *fields
                };
                if let Some(index) = indexes.find(is_it) {
                    return Err(duplicates(error, &index.name, &name));
                }
            }
            return Err(refused(error, &name));
        }
        for (column, default) in afterwards {
            draft.field(&column)?.default = Some(DefaultValue::Sql(default));
        }
        let last = draft.finish()?;
        if last != collection.definition()? {
            let altered = collection.alter(Alteration::to(last));
            altered.map_err(|error| refused(error, &name))?;
        }
        for sequence in dropped {
            self.definitions.drop_sequence(&sequence)?;
        }
        Ok(draft.notices)
    }

    fn alter(&mut self, operation: &Operation, altered: &mut Altered<'_>) -> Result<(), SqlError> {
        match operation {
            Operation::AddColumn {
                column_keyword: _,
                if_not_exists,
                column_def,
                column_position: None,
            } => self.add(column_def, *if_not_exists, altered),
            Operation::DropColumn {
                has_column_keyword: _,
                column_names,
                if_exists,
                drop_behavior: _,
            } => column_names
                .iter()
                .try_for_each(|name| self.drop_column(&folded(name), *if_exists, altered)),
            Operation::RenameColumn {
                old_column_name,
                new_column_name,
            } => altered.rename(&folded(old_column_name), &folded(new_column_name)),
            Operation::AddConstraint {
                constraint,
                not_valid: false,
            } => {
                altered.constraints.push(Constraint::of_table(constraint)?);
                Ok(())
            }
            Operation::AddConstraint { .. } => Err(SqlError::unsupported("NOT VALID")),
            Operation::DropConstraint {
                if_exists,
                name,
                drop_behavior: _,
            } => altered.drop_constraint(&folded(name), *if_exists),
            Operation::AlterColumn { column_name, op } => {
                self.alter_column(&folded(column_name), op, altered)
            }
            Operation::OwnerTo { .. } => {
                let message = "tables have no owners";
                altered.draft.notices.push(notice(message));
                Ok(())
            }
            Operation::SetOptionsParens { options } => {
                let notices = storage(&CreateTableOptions::With(options.clone()))?;
                altered.draft.notices.extend(notices);
                Ok(())
            }
            other => Err(SqlError::unsupported(format!("ALTER TABLE … {other}"))),
        }
    }

    /// A default as a value of another type.
    fn cast_default(
        &mut self,
        value: Value,
        from: SqlType,
        to: SqlType,
        column: &str,
    ) -> Result<Value, SqlError> {
        let typed = Typed::new(Bound::Constant(value), from);
        let bound = self.binder(&[]).assigned(typed, to);
        let bound = bound.map_err(|_| {
            let what = format!("default for column {column:?}");
            let message = format!("{what} cannot be cast automatically to type {to}");
            SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
        })?;
        bound.value(&self.moment())
    }

    fn add(
        &mut self,
        column: &ast::ColumnDef,
        if_not_exists: bool,
        altered: &mut Altered<'_>,
    ) -> Result<(), SqlError> {
        let draft = &mut altered.draft;
        match self.add_column(column, draft, &mut altered.constraints) {
            Err(error) if if_not_exists && error.sqlstate == sqlstate::DUPLICATE_COLUMN => {
                draft.notices.push(skipped(error));
                return Ok(());
            }
            added => added?,
        }
        if altered.collection.count()? == 0 {
            return Ok(());
        }
        let name = folded(&column.name);
        let field = draft.field(&name)?;
        let sql = field.sql_type();
        match field.default.clone() {
            // Its numbers differ from row to row, and it is not there yet.
            Some(DefaultValue::Sql(default)) if !sequences_of(&default).is_empty() => {
                Err(of_rows(&default))
            }
            Some(DefaultValue::Sql(default)) => {
                let value = self.default_now(&default, sql)?;
                altered.draft.field(&name)?.default = Some(DefaultValue::Constant(value));
                altered.afterwards.push((name, default));
                Ok(())
            }
            Some(DefaultValue::Uuid) => Err(SqlError::unsupported(
                "adding a column of new UUIDs to a table with rows",
            )),
            _ => Ok(()),
        }
    }

    fn drop_column(
        &self,
        column: &str,
        if_exists: bool,
        altered: &mut Altered<'_>,
    ) -> Result<(), SqlError> {
        let draft = &mut altered.draft;
        match draft.field(column) {
            Err(error) if if_exists => {
                draft.notices.push(skipped(error));
                return Ok(());
            }
            field => drop(field?),
        }
        if draft
            .definition
            .primary_key
            .as_ref()
            .is_some_and(|key| key.has(column))
        {
            return Err(SqlError::unsupported("dropping the primary key's column"));
        }
        if draft.fields.len() == 1 {
            return Err(SqlError::unsupported("a table without columns"));
        }
        draft.fields.retain(|field| field.name != column);
        let names = |expression: &Expression| {
            let mut paths = expression.paths().into_iter();
            paths.any(|path| path.first() == column)
        };
        draft.checks.retain(|check| !names(check.expression()));
        draft.definition.indexes.retain(|index| {
            let mut fields = index.fields.iter();
            !fields.any(|field| field.names(column)) && !index.filter.as_ref().is_some_and(names)
        });
        let table = draft.name().to_owned();
        altered.dropped.extend(self.owned_by(&table, Some(column))?);
        altered.drop.push(column.to_owned());
        Ok(())
    }

    fn alter_column(
        &mut self,
        column: &str,
        operation: &AlterColumnOperation,
        altered: &mut Altered<'_>,
    ) -> Result<(), SqlError> {
        let table = altered.draft.name().to_owned();
        let is_key = altered.draft.table()?;
        let is_key = is_key.key_columns();
        let is_key = is_key.is_some_and(|key| key.contains(&column));
        let field = altered.draft.field(column)?;
        let sql = field.sql_type();
        let is_identity = matches!(
            &field.default,
            Some(DefaultValue::Sql(SqlDefault {
                identity: Some(_),
                ..
            }))
        );
        let identity = || {
            syntax(format!(
                "column {column:?} of relation {table:?} is an identity column"
            ))
        };
        match operation {
            AlterColumnOperation::SetNotNull => field.required = true,
            AlterColumnOperation::DropNotNull if is_key => {
                return Err(invalid(format!("column {column:?} is in a primary key")));
            }
            AlterColumnOperation::DropNotNull if is_identity => return Err(identity()),
            AlterColumnOperation::DropNotNull => field.required = false,
            AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault
                if is_identity =>
            {
                return Err(identity());
            }
            AlterColumnOperation::SetDefault { value } => {
                field.default = self.default_of(value, sql)?;
            }
            AlterColumnOperation::DropDefault => field.default = None,
            AlterColumnOperation::SetDataType {
                data_type,
                using,
                had_set: _,
            } => {
                let to = sql_type(data_type)?;
                let asked = using
                    .as_ref()
                    .map(|using| is_cast(using, column, data_type));
                if asked == Some(false) {
                    return Err(SqlError::unsupported(
                        "USING of another expression than a cast",
                    ));
                }
                convertible(column, sql, to, asked.is_some())?;
                let default = match field.default.clone() {
                    Some(DefaultValue::Constant(value)) => Some(DefaultValue::Constant(
                        self.cast_default(value, sql, to, column)?,
                    )),
                    default => default,
                };
                field.default = default;
                field.kind = to.kept();
                field.sql = Some(to);
            }
            AlterColumnOperation::AddGenerated {
                generated_as: Some(generated @ (GeneratedAs::Always | GeneratedAs::ByDefault)),
                sequence_options,
            } => {
                let of = format!("column {column:?} of relation {table:?}");
                if field.default.is_some() {
                    let what = if is_identity {
                        "is already an identity column"
                    } else {
                        "already has a default value"
                    };
                    let message = format!("{of} {what}");
                    return Err(SqlError::new(
                        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        message,
                    ));
                }
                if !field.required && !is_key {
                    let message =
                        format!("{of} must be declared NOT NULL before identity can be added");
                    return Err(SqlError::new(
                        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        message,
                    ));
                }
                let identity = match generated {
                    GeneratedAs::Always => Identity::Always,
                    _ => Identity::ByDefault,
                };
                let options = identity_options(sequence_options.as_deref().unwrap_or(&[]))?;
                let default = altered.draft.count(column, sql, Some(identity), &options)?;
                altered.draft.field(column)?.default = Some(default);
            }
            other @ AlterColumnOperation::AddGenerated { .. } => {
                return Err(SqlError::unsupported(format!("ALTER COLUMN {other}")));
            }
        }
        Ok(())
    }
}

impl Altered<'_> {
    fn rename(&mut self, old: &str, new: &str) -> Result<(), SqlError> {
        let draft = &mut self.draft;
        if draft.fields.iter().any(|field| field.name == new) {
            let table = draft.name();
            let message = format!("column {new:?} of relation {table:?} already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
        }
        if draft
            .definition
            .primary_key
            .as_ref()
            .is_some_and(|key| key.has(old))
        {
            return Err(SqlError::unsupported("renaming the primary key's column"));
        }
        draft.field(old)?.name = new.to_owned();
        for check in &mut draft.checks {
            let text = renamed(check.expression(), old, new)?;
            let check_named = Check::new(check.name(), text.text());
            *check = check_named.map_err(|error| invalid(error.to_string()))?;
        }
        for index in &mut draft.definition.indexes {
            for field in &mut index.fields {
                if let Some(expression) = &field.expression {
                    *field = IndexField {
                        direction: field.direction,
                        elements: field.elements,
                        ..renamed(expression, old, new)?.into()
                    };
                } else if field.path.first() == old {
                    if !field.path.rest().is_empty() {
                        return Err(SqlError::unsupported(
                            "renaming a column with an index within it",
                        ));
                    }
                    field.path = Path::field(new);
                }
            }
            if let Some(filter) = &mut index.filter {
                *filter = renamed(filter, old, new)?;
            }
        }
        self.rename.insert(old.to_owned(), new.to_owned());
        Ok(())
    }

    fn drop_constraint(&mut self, name: &str, if_exists: bool) -> Result<(), SqlError> {
        let draft = &mut self.draft;
        let table = draft.name().to_owned();
        let key_name = primary_key_name(&table);
        let index = beside(&table, name);
        if draft.definition.primary_key.is_some() && key_name == index {
            return Err(SqlError::unsupported("dropping the primary key of a table"));
        }
        let (checks, indexes) = (draft.checks.len(), draft.definition.indexes.len());
        draft.checks.retain(|check| check.name() != name);
        let indexed = &mut draft.definition.indexes;
        indexed.retain(|held| held.name != index || !held.unique);
        let mut found = draft.checks.len() < checks || draft.definition.indexes.len() < indexes;
        for field in &mut draft.fields {
            if field.references.is_some() && reference_name(&table, &field.name) == index {
                field.references = None;
                found = true;
            }
        }
        if found {
            return Ok(());
        }
        let message = format!("constraint {name:?} of relation {table:?} does not exist");
        let missing = SqlError::new(sqlstate::UNDEFINED_OBJECT, message);
        match if_exists {
            true => {
                draft.notices.push(skipped(missing));
                Ok(())
            }
            false => Err(missing),
        }
    }
}

/// A kept condition in which a column has another name.
fn renamed(expression: &Expression, old: &str, new: &str) -> Result<Expression, SqlError> {
    let failed = || SqlError::unsupported(format!("renaming a column in {expression}"));
    let tokens = Tokenizer::new(&Postgres, expression.text()).tokenize();
    let tokens = tokens.map_err(|_| failed())?;
    let mut text = String::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_within = at > 0 && tokens[at - 1] == Token::Period;
        let calls = tokens.get(at + 1) == Some(&Token::LParen);
        match token {
            Token::Word(Word { value, .. }) if value == old && !is_within && !calls => {
                text.push_str(&format!("\"{}\"", new.replace('"', "\"\"")));
            }
            token => text.push_str(&token.to_string()),
        }
    }
    text.parse().map_err(|_| failed())
}

/// Whether an expression is a column, cast to a type.
fn is_cast(expr: &Expr, column: &str, to: &DataType) -> bool {
    match expr {
        Expr::Nested(inner) => is_cast(inner, column, to),
        Expr::Identifier(name) => folded(name) == column,
        Expr::Cast {
            expr, data_type, ..
        } => {
            sql_type(data_type).ok() == sql_type(to).ok()
                && matches!(&**expr, Expr::Identifier(name) if folded(name) == column)
        }
        _ => false,
    }
}

/// Whether the engine makes of a column's values what PostgreSQL would.
fn convertible(column: &str, from: SqlType, to: SqlType, asked: bool) -> Result<(), SqlError> {
    use ScalarType::{Char, Date, Json, Jsonb, Timestamp, Varchar};
    let refuse = || {
        let what = format!("ALTER COLUMN {column} TYPE from {from} to {to}");
        Err(SqlError::unsupported(what))
    };
    if from == to {
        return Ok(());
    }
    let (SqlType::Scalar(from_scalar), SqlType::Scalar(to_scalar)) = (from, to) else {
        return refuse();
    };
    // A cast that is asked for cuts texts off.
    if matches!(from_scalar, Char(_)) || asked && matches!(to_scalar, Char(_) | Varchar(Some(_))) {
        return refuse();
    }
    let text = to_scalar.is_text();
    match (from_scalar, to_scalar) {
        (from, to) if from.is_number() && to.is_number() => {
            // Digits of floats are rounded otherwise there.
            match from.row().kept == FieldType::Float && to.row().kept == FieldType::Decimal {
                true => refuse(),
                false => Ok(()),
            }
        }
        (from, _) if from.is_text() && text => Ok(()),
        (Json | Jsonb, Json | Jsonb) | (Date, Timestamp) | (Timestamp, Date) => Ok(()),
        (from, _)
            if text
                && matches!(
                    from.row().kept,
                    FieldType::Int | FieldType::Bool | FieldType::Uuid
                ) =>
        {
            Ok(())
        }
        (from, to)
            if from.is_text() && matches!(to.row().kept, FieldType::Int | FieldType::Uuid) =>
        {
            match asked {
                true => Ok(()),
                false => {
                    let message = format!(
                        "column {column:?} cannot be cast automatically to type {to_scalar}"
                    );
                    let message = SqlError::new(sqlstate::DATATYPE_MISMATCH, message);
                    let hint =
                        format!("You might need to specify \"USING {column}::{to_scalar}\".");
                    Err(message.hint(hint))
                }
            }
        }
        _ => refuse(),
    }
}
