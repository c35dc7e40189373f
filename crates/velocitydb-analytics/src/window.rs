//! Window functions.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions_window::{cume_dist, lead_lag, nth_value, ntile, rank, row_number};
use datafusion::logical_expr::expr::{WindowFunction as Call, WindowFunctionParams};
use datafusion::logical_expr::{
    Cast, Expr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
    WindowUDF,
};
use velocitydb_sql::relation::{Bound, Frame, FrameEnd, FrameUnit, WindowCall, WindowFunction};
use velocitydb_types::{SqlType, Value};

use crate::aggregate::Parts;
use crate::expression::{Made, Scope, column, common, scalar};
use crate::form::Form;
use crate::plan::null_as;
use crate::run::error_of;

impl Scope<'_> {
    /// What a call of a window function is, whose column is called so.
    pub(crate) fn window(&self, name: &str, call: &WindowCall, sql: SqlType) -> Result<Parts> {
        let partition_by = call.partition.iter();
        let partition_by = partition_by.map(|bound| Ok(self.made(bound, None)?.key().expr));
        let partition_by = partition_by.collect::<Result<Vec<_>>>()?;
        let order_by = self.order(&call.order)?;
        let window_frame = match &call.frame {
            // Without an order all rows are alike.
            Some(frame) if frame.unit == FrameUnit::Rows || !order_by.is_empty() => {
                self.frame(frame)?
            }
            Some(_) => WindowFrame::new(None),
            None if order_by.is_empty() => WindowFrame::new(None),
            // Up to the last that is alike; a range would ask for values that can be counted with.
            None => WindowFrame::new_bounds(
                WindowFrameUnits::Groups,
                WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
                WindowFrameBound::CurrentRow,
            ),
        };
        let over = |fun: WindowFunctionDefinition, args: Vec<Expr>, filter: Option<Box<Expr>>| {
            let params = WindowFunctionParams {
                args,
                partition_by: partition_by.clone(),
                order_by: order_by.clone(),
                window_frame: window_frame.clone(),
                filter,
                null_treatment: None,
                distinct: false,
            };
            Expr::WindowFunction(Box::new(Call { fun, params }))
        };
        let function: Arc<WindowUDF> = match &call.function {
            WindowFunction::RowNumber => row_number::row_number_udwf(),
            WindowFunction::Rank => rank::rank_udwf(),
            WindowFunction::DenseRank => rank::dense_rank_udwf(),
            WindowFunction::PercentRank => rank::percent_rank_udwf(),
            WindowFunction::CumeDist => cume_dist::cume_dist_udwf(),
            WindowFunction::Ntile => ntile::ntile_udwf(),
            WindowFunction::Lag => lead_lag::lag_udwf(),
            WindowFunction::Lead => lead_lag::lead_udwf(),
            WindowFunction::FirstValue => nth_value::first_value_udwf(),
            WindowFunction::LastValue => nth_value::last_value_udwf(),
            WindowFunction::NthValue => nth_value::nth_value_udwf(),
            WindowFunction::Aggregate(aggregate) => {
                let Parts { grouped, value } = self.aggregate(name, aggregate)?;
                let grouped = grouped.into_iter().map(|(name, expr)| match expr {
                    Expr::AggregateFunction(called) => {
                        let function = WindowFunctionDefinition::AggregateUDF(called.func);
                        let params = called.params;
                        Ok((name, over(function, params.args, params.filter)))
                    }
                    other => Err(DataFusionError::Internal(format!("no aggregate: {other}"))),
                });
                return Ok(Parts {
                    grouped: grouped.collect::<Result<_>>()?,
                    value,
                });
            }
        };
        let arguments = call.arguments.iter().map(|bound| self.made(bound, None));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let counts = matches!(
            call.function,
            WindowFunction::RowNumber
                | WindowFunction::Rank
                | WindowFunction::DenseRank
                | WindowFunction::Ntile
        );
        let form = match arguments.first() {
            Some(made) if !counts => made.form,
            _ => Form::of(sql),
        };
        let (mut arguments, mut form) = (arguments, form);
        if let [value, offset, otherwise] = &arguments[..] {
            // What there is where no row is stands as all others do.
            form = common(value.form, otherwise.form).unwrap_or(Form::Key);
            let offset = offset.clone();
            let [value, otherwise] = [value, otherwise].map(|made| null_as(made.clone(), form));
            arguments = vec![value, offset, otherwise];
        }
        let arguments = arguments.into_iter().map(|made| made.expr).collect();
        let made = format!("{name}.made");
        let expr = over(
            WindowFunctionDefinition::WindowUDF(function),
            arguments,
            None,
        );
        let value = match counts {
            // DataFusion counts without a sign.
            true => Expr::Cast(Cast::new(Box::new(column(&made)), DataType::Int64)),
            false => column(&made),
        };
        Ok(Parts {
            grouped: vec![(made, expr)],
            value: Made {
                expr: value,
                sql,
                form,
            },
        })
    }

    fn frame(&self, frame: &Frame) -> Result<WindowFrame> {
        let units = match frame.unit {
            FrameUnit::Rows => WindowFrameUnits::Rows,
            FrameUnit::Range => WindowFrameUnits::Range,
            FrameUnit::Groups => WindowFrameUnits::Groups,
        };
        let start = self.end(frame.unit, &frame.start, "starting")?;
        let end = self.end(frame.unit, &frame.end, "ending")?;
        Ok(WindowFrame::new_bounds(units, start, end))
    }

    fn end(&self, unit: FrameUnit, end: &FrameEnd, which: &str) -> Result<WindowFrameBound> {
        let unbounded = || match unit {
            FrameUnit::Range => ScalarValue::Null,
            _ => ScalarValue::UInt64(None),
        };
        let offset = |bound: &Bound| {
            let value = bound.value(self.environment).map_err(error_of)?;
            let refused = |why: &str| {
                let message = format!("frame {which} offset must not be {why}");
                let state = if why == "null" { "22004" } else { "22013" };
                error_of(velocitydb_sql::SqlError::new(state, message))
            };
            match (&value, unit) {
                (Value::Null, _) => Err(refused("null")),
                (Value::Int(offset), _) if *offset < 0 => Err(refused("negative")),
                (Value::Int(offset), FrameUnit::Rows | FrameUnit::Groups) => {
                    Ok(ScalarValue::UInt64(Some(offset.unsigned_abs())))
                }
                (Value::Int(_), FrameUnit::Range) => scalar(&value, Form::Int),
                (Value::Float(_), FrameUnit::Range) => scalar(&value, Form::Float),
                _ => Err(DataFusionError::NotImplemented(
                    "a frame of such an offset".into(),
                )),
            }
        };
        Ok(match end {
            FrameEnd::UnboundedPreceding => WindowFrameBound::Preceding(unbounded()),
            FrameEnd::Preceding(bound) => WindowFrameBound::Preceding(offset(bound)?),
            FrameEnd::Current => WindowFrameBound::CurrentRow,
            FrameEnd::Following(bound) => WindowFrameBound::Following(offset(bound)?),
            FrameEnd::UnboundedFollowing => WindowFrameBound::Following(unbounded()),
        })
    }
}

/// A frame for functions that know no frame.
pub(crate) fn rows_so_far() -> WindowFrame {
    WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::CurrentRow,
    )
}
