//! Conditions of a scan that an index may help with.
//!
//! They come from the query, and from joins: when a join has read its one side, it tells the scan on the
//! other which keys, or between which bounds, it will ask for. A scan does not have to apply them, since
//! whoever has them asks again; they only say which documents it need not read.

use arrow::array::Array;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column as PhysicalColumn, InListExpr, Literal,
};
use velocitydb_query::{Filter, Values};
use velocitydb_types::{Path, Value};

use crate::form::{Form, value_at};
use crate::scan::Column;

/// What a condition says of documents; `None`: nothing that an index is asked for.
pub(crate) fn of_query(expr: &Expr, columns: &[Column]) -> Option<Filter> {
    let column = |expr: &Expr| match expr {
        Expr::Column(column) => columns.iter().find(|known| known.name == column.name),
        _ => None,
    };
    let literal = |expr: &Expr| match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        _ => None,
    };
    match expr {
        Expr::BinaryExpr(of) => {
            let (left, right) = (&*of.left, &*of.right);
            match (column(left), column(right)) {
                (Some(column), None) => compared(column, of.op, &literal(right)?),
                (None, Some(column)) => compared(column, of.op.swap()?, &literal(left)?),
                _ => None,
            }
        }
        Expr::InList(of) if !of.negated => {
            let column = column(&of.expr)?;
            let values = of
                .list
                .iter()
                .map(|value| of_column(column, &literal(value)?));
            let values = values.collect::<Option<_>>()?;
            Some(Filter::In(column.path.clone()?, values))
        }
        Expr::Between(of) if !of.negated => {
            let column = column(&of.expr)?;
            let low = compared(column, Operator::GtEq, &literal(&of.low)?)?;
            let high = compared(column, Operator::LtEq, &literal(&of.high)?)?;
            Some(Filter::And(vec![low, high]))
        }
        _ => None,
    }
}

/// The same of a condition that a join has made.
pub(crate) fn of_join(expr: &dyn PhysicalExpr, columns: &[Column], all: &mut Vec<Filter>) {
    let column = |expr: &dyn PhysicalExpr| {
        let column = expr.downcast_ref::<PhysicalColumn>()?;
        columns.iter().find(|known| known.name == column.name())
    };
    let literal = |expr: &dyn PhysicalExpr| {
        let literal = expr.downcast_ref::<Literal>()?;
        Some(literal.value().clone())
    };
    if let Some(of) = expr.downcast_ref::<BinaryExpr>() {
        if *of.op() == Operator::And {
            of_join(&**of.left(), columns, all);
            of_join(&**of.right(), columns, all);
        } else if let Some(column) = column(&**of.left())
            && let Some(value) = literal(&**of.right())
        {
            all.extend(compared(column, *of.op(), &value));
        }
    }
    if let Some(of) = expr.downcast_ref::<InListExpr>()
        && !of.negated()
        && let Some(column) = column(&**of.expr())
        && let Some(path) = &column.path
    {
        let values = of.list().iter();
        let values = values.map(|value| of_column(column, &literal(&**value)?));
        let values: Option<Values> = values.collect();
        all.extend(values.map(|values| Filter::In(path.clone(), values)));
    }
}

fn compared(column: &Column, operator: Operator, value: &ScalarValue) -> Option<Filter> {
    let of: fn(Path, Value) -> Filter = match operator {
        Operator::Eq => Filter::Eq,
        Operator::Lt => Filter::Lt,
        Operator::LtEq => Filter::Le,
        Operator::Gt => Filter::Gt,
        Operator::GtEq => Filter::Ge,
        _ => return None,
    };
    Some(of(column.path.clone()?, of_column(column, value)?))
}

/// A constant as a value of a column; `None`: it is none, or null.
fn of_column(column: &Column, value: &ScalarValue) -> Option<Value> {
    let form = Form::of(column.sql);
    let array = value.to_array().ok()?;
    let fits = *array.data_type() == form.data_type() && !array.is_null(0);
    fits.then(|| value_at(&array, 0, form, column.sql))
}
