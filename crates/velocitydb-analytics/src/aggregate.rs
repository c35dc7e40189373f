//! Aggregates: those of DataFusion where they are PostgreSQL's, and all others from SQL's own, which are
//! given the rows of a group ([`Collected`]).

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field as ArrowField, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::{bool_and_or, count, min_max, sum};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, BinaryExpr, Cast, Expr, Operator, Signature,
    Volatility,
};
use velocitydb_query::{Kept, Limits, Scalar};
use velocitydb_sql::relation::{Aggregate, AggregateKind, Sum};
use velocitydb_types::{RawValue, ScalarType, SqlType, Value, encode_value};

use crate::expression::{Made, Scope, column, scalar};
use crate::form::{Form, value_at};
use crate::function::Rowwise;
use crate::run::error_of;

/// An aggregate: what is computed of the groups, and what it is of that.
pub(crate) struct Parts {
    /// Each under a name.
    pub(crate) grouped: Vec<(String, Expr)>,
    pub(crate) value: Made,
}

impl Scope<'_> {
    /// What an aggregate is, whose column is called so.
    pub(crate) fn aggregate(&self, name: &str, aggregate: &Aggregate) -> Result<Parts> {
        let wanted = match aggregate.kind {
            AggregateKind::All | AggregateKind::Some => Some(ScalarType::Bool.into()),
            _ => None,
        };
        let arguments = aggregate.arguments.iter();
        let arguments = arguments.map(|bound| self.made(bound, wanted));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let filter = aggregate.filter.as_ref();
        let filter = filter.map(|bound| self.condition(bound)).transpose()?;
        let call = |function: Arc<AggregateUDF>, arguments: Vec<Expr>| {
            Expr::AggregateFunction(AggregateFunction::new_udf(
                function,
                arguments,
                aggregate.distinct,
                filter.clone().map(Box::new),
                Vec::new(),
                None,
            ))
        };
        let one = |expr: Expr, form: Form| Parts {
            grouped: vec![(name.to_owned(), expr)],
            value: Made {
                expr: column(name),
                sql: aggregate.result,
                form,
            },
        };
        let first = arguments.first().cloned();
        Ok(match (&aggregate.kind, first) {
            (AggregateKind::CountAll, _) => {
                let all = Expr::Literal(ScalarValue::Int64(Some(1)), None);
                one(call(count::count_udaf(), vec![all]), Form::Int)
            }
            (AggregateKind::Count, Some(argument)) => {
                let argument = argument.key().expr;
                one(call(count::count_udaf(), vec![argument]), Form::Int)
            }
            (AggregateKind::Least | AggregateKind::Greatest, Some(argument))
                if argument.form != Form::Exact =>
            {
                let function = match aggregate.kind {
                    AggregateKind::Least => min_max::min_udaf(),
                    _ => min_max::max_udaf(),
                };
                let form = argument.form;
                one(call(function, vec![argument.expr]), form)
            }
            (AggregateKind::All, Some(argument)) => {
                let function = bool_and_or::bool_and_udaf();
                one(call(function, vec![argument.expr]), Form::Bool)
            }
            (AggregateKind::Some, Some(argument)) => {
                let function = bool_and_or::bool_or_udaf();
                one(call(function, vec![argument.expr]), Form::Bool)
            }
            (AggregateKind::Sum(of), Some(argument)) if is_exact(*of, argument.form) => {
                let (argument, form) = summed(*of, argument);
                one(call(sum::sum_udaf(), vec![argument]), form)
            }
            (AggregateKind::Average(of, divide), Some(argument))
                if is_exact(*of, argument.form) =>
            {
                let counted = call(count::count_udaf(), vec![argument.expr.clone()]);
                let (argument, form) = summed(*of, argument);
                let names = [format!("{name}.sum"), format!("{name}.count")];
                let value = average(&names, form, *of, divide, aggregate.result);
                let [sum_name, count_name] = names;
                Parts {
                    grouped: vec![
                        (sum_name, call(sum::sum_udaf(), vec![argument])),
                        (count_name, counted),
                    ],
                    value,
                }
            }
            _ => {
                let mut taken = arguments;
                for order in &aggregate.order {
                    taken.push(self.made(&order.by, None)?);
                }
                let form = Form::of(aggregate.result);
                let types = taken.iter().map(|made| (made.sql, made.form)).collect();
                let collected = Collected::new(aggregate, types);
                let taken = taken.into_iter().map(|made| made.expr).collect();
                let expr = Expr::AggregateFunction(AggregateFunction::new_udf(
                    Arc::new(AggregateUDF::new_from_impl(collected)),
                    taken,
                    false,
                    filter.map(Box::new),
                    Vec::new(),
                    None,
                ));
                one(expr, form)
            }
        })
    }
}

/// Whether DataFusion sums such values as PostgreSQL does.
fn is_exact(of: Sum, form: Form) -> bool {
    match of {
        Sum::Int | Sum::IntToDecimal => form == Form::Int,
        Sum::Decimal => matches!(form, Form::Decimal(..)),
        Sum::Float => form == Form::Float,
        Sum::Single | Sum::Interval => false,
    }
}

/// Digits that a sum may have more than what is summed.
const MORE: u8 = 10;

/// What is summed, and the form of the sum.
fn summed(of: Sum, argument: Made) -> (Expr, Form) {
    let (digits, scale) = match (of, argument.form) {
        (Sum::IntToDecimal, _) => (19, 0),
        (Sum::Decimal, Form::Decimal(digits, scale)) => (digits, scale),
        _ => return (argument.expr, argument.form),
    };
    let made = argument.to(Form::Decimal(digits, scale));
    let digits_max = match digits + MORE <= 38 {
        true => digits + MORE,
        false => 76,
    };
    let sum = Form::Decimal(digits_max, scale);
    let is_wide = |form: Form| matches!(form.data_type(), DataType::Decimal256(..));
    let expr = match is_wide(sum) && !is_wide(made.form) {
        true => {
            let wide = DataType::Decimal256(digits, scale);
            Expr::Cast(Cast::new(Box::new(made.expr), wide))
        }
        false => made.expr,
    };
    // DataFusion gives a sum ten more digits, as far as there are.
    let digits = match is_wide(sum) {
        true => (digits + MORE).min(76),
        false => digits + MORE,
    };
    (
        expr,
        Form::Decimal(digits.max(if is_wide(sum) { 39 } else { 1 }), scale),
    )
}

fn average(
    [sum, count]: &[String; 2],
    form: Form,
    of: Sum,
    divide: &Arc<dyn Scalar>,
    sql: SqlType,
) -> Made {
    let (sum, count) = (column(sum), column(count));
    if of == Sum::Float {
        let count = Expr::Cast(Cast::new(Box::new(count), DataType::Float64));
        let quotient = BinaryExpr::new(Box::new(sum), Operator::Divide, Box::new(count));
        return Made {
            expr: Expr::BinaryExpr(quotient),
            sql,
            form: Form::Float,
        };
    }
    let numeric = SqlType::Scalar(ScalarType::Numeric(None));
    let made = Made {
        expr: count,
        sql: numeric,
        form: Form::Int,
    };
    let count = made.to(Form::Decimal(19, 0));
    let taken = vec![(numeric, form), (numeric, count.form)];
    let result = (sql, Form::of(sql));
    let function = Rowwise::new(Arc::clone(divide), taken, result, false);
    Made {
        expr: crate::expression::call(function, vec![sum, count.expr]),
        sql,
        form: result.1,
    }
}

/// An aggregate of SQL, given all rows of its group.
#[derive(Debug)]
struct Collected {
    aggregate: Aggregate,
    /// What it takes: arguments, and what its order is by.
    types: Vec<(SqlType, Form)>,
    /// What it has in common with another that is the same.
    shown: String,
    signature: Signature,
}

impl Collected {
    fn new(aggregate: &Aggregate, types: Vec<(SqlType, Form)>) -> Collected {
        let taken = types.iter().map(|(_, form)| form.data_type()).collect();
        Collected {
            shown: format!("{aggregate:?} {types:?}"),
            aggregate: aggregate.clone(),
            types,
            signature: Signature::exact(taken, Volatility::Immutable),
        }
    }
}

impl PartialEq for Collected {
    fn eq(&self, other: &Collected) -> bool {
        self.shown == other.shown
    }
}

impl Eq for Collected {}

impl Hash for Collected {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shown.hash(state);
    }
}

impl AggregateUDFImpl for Collected {
    fn name(&self) -> &str {
        "collected"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(Form::of(self.aggregate.result).data_type())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Rows {
            aggregate: self.aggregate.clone(),
            types: self.types.clone(),
            rows: VecDeque::new(),
            bytes: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = ArrowField::new(format!("{}[rows]", args.name), DataType::Binary, true);
        Ok(vec![Arc::new(field)])
    }
}

/// The rows of a group.
#[derive(Debug)]
struct Rows {
    aggregate: Aggregate,
    types: Vec<(SqlType, Form)>,
    rows: VecDeque<Vec<Value>>,
    bytes: usize,
}

impl Rows {
    fn push(&mut self, row: Vec<Value>) {
        self.bytes += bytes_of(&row);
        self.rows.push_back(row);
    }
}

fn bytes_of(row: &[Value]) -> usize {
    let bytes = row.iter().map(velocitydb_query::value_bytes);
    bytes.sum::<usize>() + size_of::<Vec<Value>>()
}

impl Accumulator for Rows {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        for at in 0..rows {
            let values = columns.iter().zip(&self.types);
            let values = values.map(|(column, (sql, form))| value_at(column, at, *form, *sql));
            let row = values.collect();
            self.push(row);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut kept = Kept::new(Limits::default());
        let mut accumulator = self.aggregate.accumulator();
        let arguments = self.aggregate.arguments.len();
        // A window asks again and again.
        for mut row in self.rows.iter().cloned() {
            let keys = row.split_off(arguments);
            let added = self.aggregate.add(&mut accumulator, row, keys, &mut kept);
            added.map_err(error_of)?;
        }
        let value = self.aggregate.finish(accumulator, &mut kept);
        let form = Form::of(self.aggregate.result);
        scalar(&value.map_err(error_of)?, form)
    }

    /// The first rows leave a window.
    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        for row in self.rows.drain(..rows.min(self.rows.len())) {
            self.bytes -= bytes_of(&row);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        size_of::<Rows>() + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let rows = std::mem::take(&mut self.rows).into_iter();
        let rows = Value::Array(rows.map(Value::Array).collect());
        let bytes = encode_value(&rows).map_err(|error| {
            datafusion::error::DataFusionError::Execution(format!("a group: {error}"))
        })?;
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for bytes in states[0].as_binary::<i32>().iter().flatten() {
            let Value::Array(rows) = RawValue::trusted(bytes).to_value() else {
                continue;
            };
            for row in rows {
                if let Value::Array(row) = row {
                    self.push(row);
                }
            }
        }
        Ok(())
    }
}
