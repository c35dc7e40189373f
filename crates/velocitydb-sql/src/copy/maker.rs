//! Rows of a COPY made documents.

use velocitydb::{DefaultValue, Error, Fields, Refusal};
use velocitydb_query::Expression;
use velocitydb_types::{
    Constraints, DOCUMENT_BYTES_MAX, FieldsBuilder, SqlType, Timestamp, Uuid, Value,
};

use super::from::CopyFrom;
use super::row::{Row, bad, shown};
use super::values::{push_binary, push_text, too_large};
use crate::bound::Environment;
use crate::error::SqlError;
use crate::violations::{Violations, Written};

/// What rows are cut from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'i> {
    Text(&'i str),
    Binary(&'i [u8]),
}

/// A column that has a field in each row.
#[derive(Debug)]
struct Target {
    name: String,
    sql: SqlType,
    required: bool,
    /// Whether a null must be said, or a default would come in its place.
    says_null: bool,
    force_not_null: bool,
    force_null: bool,
}

/// See the module.
pub(super) struct Maker {
    targets: Vec<Target>,
    /// The targets in the order of their names, in which documents have them.
    order: Vec<usize>,
    builder: FieldsBuilder,
    condition: Option<Expression>,
    /// Whether every row is null where it must not be.
    always_null: bool,
    /// Whether each row is to be looked at as a whole.
    judges: bool,
    began: Timestamp,
    statement: Timestamp,
}

impl Maker {
    pub(super) fn new(
        from: &CopyFrom,
        began: Timestamp,
        statement: Timestamp,
    ) -> Result<Maker, SqlError> {
        let options = &from.options;
        let targets = from.columns.iter().map(|at| {
            let column = &from.table.columns[*at];
            Target {
                name: column.name.clone(),
                sql: column.sql,
                required: column.required,
                says_null: column.default.is_some(),
                force_not_null: options.force_not_null.has(&column.name),
                force_null: options.force_null.has(&column.name),
            }
        });
        let targets: Vec<_> = targets.collect();
        let mut order: Vec<_> = (0..targets.len()).collect();
        order.sort_by(|one, other| targets[*one].name.cmp(&targets[*other].name));
        let mut columns = from.table.columns.iter().enumerate();
        let always_null = columns.any(|(at, column)| {
            column.required && column.default.is_none() && !from.columns.contains(&at)
        });
        let schema = &from.table.definition.schema;
        // Values of a column's type may still not be ones of its field: an object where only arrays are.
        let mut fields = schema.fields().iter();
        let is_bound = fields.any(|field| {
            let is_narrower = field.sql_type().kept() != field.kind;
            is_narrower || field.constraints != Constraints::default()
        });
        let mut maker = Maker {
            targets,
            order,
            builder: FieldsBuilder::new(),
            condition: None,
            always_null,
            judges: from.condition.is_some() || !schema.checks().is_empty() || is_bound,
            began,
            statement,
        };
        let condition = from.condition.as_ref();
        let condition = condition.map(|condition| condition.lower(&maker.environment()));
        maker.condition = condition.transpose()?;
        Ok(maker)
    }

    fn environment(&self) -> Environment<'static> {
        Environment {
            parameters: &[],
            transaction: self.began,
            statement: self.statement,
            queries: &[],
        }
    }

    /// The names of the columns, in the order of the fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|target| target.name.as_str())
    }

    /// The document of a row; `None`: the condition leaves it out.
    ///
    /// # Errors
    /// Too few or too many fields, values that are none, and what the table refuses by itself.
    pub(super) fn make(
        &mut self,
        from: &CopyFrom,
        input: Input<'_>,
        row: &Row,
        line: u64,
    ) -> Result<Option<Fields>, SqlError> {
        if row.more > 0 {
            let error = bad("extra data after last expected column");
            return Err(of_line(error, from, input, row, line));
        }
        if let Some(missing) = self.targets.get(row.pieces.len()) {
            // The fields that are there are read before.
            return Err(self.first_wrong(from, input, row, line).unwrap_or_else(|| {
                let error = bad(format!("missing data for column {:?}", missing.name));
                of_line(error, from, input, row, line)
            }));
        }
        let mut is_null = self.always_null;
        let mut order = self.order.iter();
        let pushed = order.try_for_each(|at| {
            self.targets[*at].push(&mut self.builder, &mut is_null, from, input, row, *at)
        });
        let pushed = pushed.map_err(|error| match self.first_wrong(from, input, row, line) {
            Some(first) => first,
            None => of_line(error, from, input, row, line),
        });
        let made = pushed
            .and_then(|()| self.push_defaults(from))
            .and_then(|()| self.builder.finish().map_err(too_large));
        let fields = made.inspect_err(|_| {
            // So that the builder begins anew.
            let _ = self.builder.finish();
        })?;
        if !self.judges && !is_null {
            return Ok(Some(fields));
        }
        let kept = self.judge(from, &fields, is_null);
        match kept.map_err(|error| of_line(error, from, input, row, line))? {
            true => Ok(Some(fields)),
            false => Ok(None),
        }
    }

    /// What columns get whose default is SQL.
    fn push_defaults(&mut self, from: &CopyFrom) -> Result<(), SqlError> {
        for (at, default) in &from.defaults {
            let value = default.value(&self.environment())?;
            let name = &from.table.columns[*at].name;
            self.builder.push_value(name, &value).map_err(too_large)?;
        }
        Ok(())
    }

    /// The error of the first field that has one, since they are not read in their order.
    fn first_wrong(
        &self,
        from: &CopyFrom,
        input: Input<'_>,
        row: &Row,
        line: u64,
    ) -> Option<SqlError> {
        let mut all = self.targets.iter().enumerate().take(row.pieces.len());
        let found = all.find_map(|(at, target)| {
            let mut builder = FieldsBuilder::new();
            let pushed = target.push(&mut builder, &mut false, from, input, row, at);
            pushed.err().map(|error| (at, target, error))
        });
        let (at, target, error) = found?;
        let name = &target.name;
        let text = match input {
            Input::Binary(_) => None,
            Input::Text(text) => row.text(text, at).ok().flatten(),
        };
        let context = match (input, text) {
            (Input::Text(_), Some(text)) => format!("{name}: \"{}\"", shown(text)),
            (Input::Text(_), None) => return Some(of_line(error, from, input, row, line)),
            (Input::Binary(_), _) => name.clone(),
        };
        let table = from.table.name();
        let mut context = format!("COPY {table}, line {line}, column {context}");
        let mut error = error;
        // Where in the value comes before where that is.
        if let Some(inner) = error.place.as_mut().and_then(|place| place.context.take()) {
            context = format!("{inner}\n{context}");
        }
        Some(error.context(context))
    }

    /// Whether a row is one of those that the condition lets in.
    ///
    /// # Errors
    /// The table does not take it.
    fn judge(&self, from: &CopyFrom, fields: &Fields, is_null: bool) -> Result<bool, SqlError> {
        let table = &from.table;
        let schema = &table.definition.schema;
        let mut row: Written = fields.to_map();
        for column in &table.columns {
            let value = match &column.default {
                Some(DefaultValue::Constant(value)) => value.clone(),
                Some(DefaultValue::Now) => Value::Time(self.began),
                _ => continue,
            };
            row.entry(column.name.clone()).or_insert(value);
        }
        if let Some(condition) = &self.condition
            && condition.for_row(&row)?.into_value() != Value::Bool(true)
        {
            return Ok(false);
        }
        let violations = Violations {
            table,
            settings: &from.settings,
        };
        let mut uuid = Uuid::nil;
        let resolved =
            schema.resolve_fields(fields.as_raw(), DOCUMENT_BYTES_MAX, self.began, &mut uuid);
        let error = match resolved {
            Err(error) => Error::Refused {
                operation: 0,
                refusal: Refusal::Schema(error),
            },
            Ok(_) if is_null => Error::Invalid("a null in the primary key".into()),
            Ok(_) => return Ok(true),
        };
        Err(violations.of(error, &row))
    }
}

impl Target {
    fn push(
        &self,
        builder: &mut FieldsBuilder,
        is_null: &mut bool,
        from: &CopyFrom,
        input: Input<'_>,
        row: &Row,
        at: usize,
    ) -> Result<(), SqlError> {
        let null = from.options.null.as_str();
        let is_there = match input {
            Input::Binary(bytes) => match row.bytes(bytes, at) {
                None => false,
                Some(bytes) => {
                    push_binary(builder, &self.name, bytes, self.sql)?;
                    true
                }
            },
            Input::Text(text) => {
                let text = match row.text(text, at)? {
                    None if self.force_not_null => Some(null),
                    Some(text) if self.force_null && text == null => None,
                    text => text,
                };
                match text {
                    None => false,
                    Some(text) => {
                        push_text(builder, &self.name, text, self.sql, &from.settings)?;
                        true
                    }
                }
            }
        };
        if !is_there {
            *is_null |= self.required;
            // An absent field is null.
            if self.says_null {
                builder.push(&self.name, None::<i64>).map_err(too_large)?;
            }
        }
        Ok(())
    }
}

/// The error with the line that it is about.
fn of_line(error: SqlError, from: &CopyFrom, input: Input<'_>, row: &Row, line: u64) -> SqlError {
    let table = from.table.name();
    match input {
        Input::Text(text) => {
            let text = shown(&text[row.line.clone()]);
            error.context(format!("COPY {table}, line {line}: \"{text}\""))
        }
        Input::Binary(_) => error.context(format!("COPY {table}, line {line}")),
    }
}
