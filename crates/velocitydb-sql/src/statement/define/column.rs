//! Columns, as CREATE TABLE and ALTER TABLE … ADD COLUMN describe them.

use sqlparser::ast::{self, ColumnDef, ColumnOption, GeneratedAs, SequenceOptions};
use velocitydb::{
    DefaultValue, Definition, Field, Openness, Schema, SequenceDefinition, SequenceOwner,
    SequencePosition,
};
use velocitydb_types::{Check, Identity, SqlType};

use super::constraint::Constraint;
use super::names::Names;
use super::sequence::settle;
use super::{default, invalid};
use crate::bind::{check_collation, serial, sql_type};
use crate::error::{SqlError, sqlstate};
use crate::parse::{SequenceOption, folded};
use crate::statement::Preparing;
use crate::table::Table;

/// A table in the making.
pub(super) struct Draft<'d> {
    pub(super) names: Names<'d>,
    /// All but the schema, which is in parts below.
    pub(super) definition: Definition,
    pub(super) openness: Openness,
    pub(super) fields: Vec<Field>,
    pub(super) checks: Vec<Check>,
    /// Those that come with columns.
    pub(super) sequences: Vec<SequenceDefinition>,
    pub(super) notices: Vec<SqlError>,
    /// Whether it has no rows yet.
    pub(super) is_new: bool,
}

impl<'d> Draft<'d> {
    pub(super) fn new(names: Names<'d>, definition: Definition, is_new: bool) -> Draft<'d> {
        Draft {
            names,
            openness: match is_new {
                true => Openness::Strict,
                false => definition.schema.openness(),
            },
            fields: definition.schema.fields().to_vec(),
            checks: definition.schema.checks().to_vec(),
            definition,
            sequences: Vec::new(),
            notices: Vec::new(),
            is_new,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.definition.name
    }

    /// The field of a column.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn field(&mut self, column: &str) -> Result<&mut Field, SqlError> {
        let table = &self.definition.name;
        let found = self.fields.iter_mut().find(|field| field.name == column);
        found.ok_or_else(|| {
            let message = format!("column {column:?} of relation {table:?} does not exist");
            SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
        })
    }

    /// The table as it is so far, without checks.
    pub(super) fn table(&self) -> Result<Table, SqlError> {
        let mut definition = self.definition.clone();
        definition.schema = self.schema()?;
        Ok(Table::new(definition))
    }

    fn schema(&self) -> Result<Schema, SqlError> {
        let schema = Schema::new(self.openness, self.fields.clone());
        schema.map_err(|error| invalid(error.to_string()))
    }

    /// The whole definition.
    pub(super) fn finish(&self) -> Result<Definition, SqlError> {
        let mut definition = self.definition.clone();
        let schema = self.schema()?.with_checks(self.checks.clone());
        definition.schema = schema.map_err(|error| invalid(error.to_string()))?;
        Ok(definition)
    }

    /// Takes a column's numbers from a sequence of its own.
    pub(super) fn count(
        &mut self,
        column: &str,
        sql: SqlType,
        identity: Option<Identity>,
        options: &[SequenceOption],
    ) -> Result<DefaultValue, SqlError> {
        let wanted = format!("{}_{column}_seq", self.definition.name);
        let mut sequence = SequenceDefinition::new(self.names.chosen(&wanted)?);
        let mut all = vec![SequenceOption::As(data_type(sql)?)];
        all.extend(options.iter().cloned());
        let mut position = SequencePosition {
            last: 1,
            called: false,
        };
        settle(&all, &mut sequence, &mut position, true)?;
        sequence.owner = Some(SequenceOwner {
            collection: self.definition.name.clone(),
            field: column.to_owned(),
        });
        let default = default::of_sequence(&sequence.name, identity);
        self.sequences.push(sequence);
        Ok(default)
    }
}

/// The name of a type that numbers may be counted in.
fn data_type(sql: SqlType) -> Result<ast::DataType, SqlError> {
    use velocitydb_types::ScalarType::{Int2, Int4, Int8};
    match sql {
        SqlType::Scalar(Int2) => Ok(ast::DataType::SmallInt(None)),
        SqlType::Scalar(Int4) => Ok(ast::DataType::Integer(None)),
        SqlType::Scalar(Int8) => Ok(ast::DataType::BigInt(None)),
        _ => {
            let message = "identity column type must be smallint, integer, or bigint";
            Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message))
        }
    }
}

/// What is said of an identity's sequence.
pub(super) fn identity_options(
    options: &[SequenceOptions],
) -> Result<Vec<SequenceOption>, SqlError> {
    let number = |expr: &ast::Expr| {
        let number = expr.to_string().parse();
        number.map_err(|_| SqlError::unsupported(format!("the number {expr} here")))
    };
    let option = |option: &SequenceOptions| {
        Ok(match option {
            SequenceOptions::IncrementBy(by, _) => SequenceOption::Increment(number(by)?),
            SequenceOptions::MinValue(value) => {
                SequenceOption::Minimum(value.as_ref().map(number).transpose()?)
            }
            SequenceOptions::MaxValue(value) => {
                SequenceOption::Maximum(value.as_ref().map(number).transpose()?)
            }
            SequenceOptions::StartWith(start, _) => SequenceOption::Start(number(start)?),
            SequenceOptions::Cache(count) => SequenceOption::Cache(number(count)?),
            // sqlparser's flag says whether there is a NO.
            SequenceOptions::Cycle(no) => SequenceOption::Cycle(!no),
        })
    };
    options.iter().map(option).collect()
}

impl Preparing<'_> {
    /// Adds a column to a table in the making; its constraints follow when all columns are there.
    pub(super) fn add_column(
        &mut self,
        column: &ColumnDef,
        draft: &mut Draft<'_>,
        constraints: &mut Vec<Constraint>,
    ) -> Result<(), SqlError> {
        let name = folded(&column.name);
        if draft.fields.iter().any(|field| field.name == name) {
            let message = match draft.is_new {
                true => format!("column {name:?} specified more than once"),
                false => format!(
                    "column {name:?} of relation {:?} already exists",
                    draft.name()
                ),
            };
            return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
        }
        let counts = serial(&column.data_type);
        let sql = match counts {
            Some(scalar) => scalar.into(),
            None => sql_type(&column.data_type)?,
        };
        let mut field = Field::new(&name, sql.kept()).with_sql_type(sql);
        let mut has_default = false;
        let mut one_default = || match std::mem::replace(&mut has_default, true) {
            false => Ok(()),
            true => {
                let message = format!("multiple default values specified for column {name:?}");
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
            }
        };
        if counts.is_some() {
            one_default()?;
            field.default = Some(draft.count(&name, sql, None, &[])?);
            field.required = true;
        }
        for option in &column.options {
            let given = option.name.as_ref().map(folded);
            match &option.option {
                ColumnOption::Null => {
                    let is_other = |option: &ast::ColumnOptionDef| {
                        matches!(
                            option.option,
                            ColumnOption::NotNull | ColumnOption::PrimaryKey(_)
                        )
                    };
                    if counts.is_some() || column.options.iter().any(is_other) {
                        let message =
                            format!("conflicting NULL/NOT NULL declarations for column {name:?}");
                        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
                    }
                }
                ColumnOption::NotNull => field.required = true,
                ColumnOption::Default(expr) => {
                    one_default()?;
                    field.default = self.default_of(expr, sql)?;
                }
                ColumnOption::Generated {
                    generated_as: generated @ (GeneratedAs::Always | GeneratedAs::ByDefault),
                    sequence_options,
                    generation_expr: None,
                    generation_expr_mode: None,
                    generated_keyword: true,
                } => {
                    one_default()?;
                    let identity = match generated {
                        GeneratedAs::Always => Identity::Always,
                        _ => Identity::ByDefault,
                    };
                    let options = identity_options(sequence_options.as_deref().unwrap_or(&[]))?;
                    field.default = Some(draft.count(&name, sql, Some(identity), &options)?);
                    field.required = true;
                }
                ColumnOption::Collation(collation) => check_collation(collation)?,
                other => constraints.push(Constraint::of_column(given, &name, other)?),
            }
        }
        draft.fields.push(field);
        Ok(())
    }
}
