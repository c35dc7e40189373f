//! Calls of window functions: `lag(x) OVER (PARTITION BY a ORDER BY b)`.

use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArguments, NamedWindowDefinition, NamedWindowExpr,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};
use velocitydb_types::{ScalarType, SqlType};

use super::Binder;
use super::aggregate::Aggregates;
use super::function::called;
use crate::aggregate::{WITHIN_GROUP, is_aggregate};
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::functions::type_name;
use crate::parse::folded;
use crate::relation::{Field, Frame, FrameEnd, FrameUnit, WindowCall, WindowFunction};
use crate::statement::order::Order;

fn windowing(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::WINDOWING_ERROR, message)
}

impl Binder<'_> {
    /// The windows of a WINDOW clause are known from now on.
    pub(crate) fn name_windows(
        &mut self,
        definitions: &[NamedWindowDefinition],
    ) -> Result<(), SqlError> {
        for NamedWindowDefinition(name, definition) in definitions {
            let name = folded(name);
            if self.named_windows.iter().any(|(known, _)| *known == name) {
                return Err(windowing(format!("window {name:?} is already defined")));
            }
            let spec = match definition {
                NamedWindowExpr::WindowSpec(spec) => self.whole_window(spec)?,
                NamedWindowExpr::NamedWindow(other) => self.named_window(&folded(other))?,
            };
            self.named_windows.push((name, spec));
        }
        Ok(())
    }

    fn named_window(&self, name: &str) -> Result<WindowSpec, SqlError> {
        let found = self.named_windows.iter().find(|(known, _)| known == name);
        let found = found.map(|(_, spec)| spec.clone());
        found.ok_or_else(|| {
            let message = format!("window {name:?} does not exist");
            SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
        })
    }

    /// A window with what it takes from one that has a name.
    fn whole_window(&self, spec: &WindowSpec) -> Result<WindowSpec, SqlError> {
        let Some(name) = spec.window_name.as_ref().map(folded) else {
            return Ok(spec.clone());
        };
        let base = self.named_window(&name)?;
        if !spec.partition_by.is_empty() {
            let message = format!("cannot override PARTITION BY clause of window {name:?}");
            return Err(windowing(message));
        }
        if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            let message = format!("cannot override ORDER BY clause of window {name:?}");
            return Err(windowing(message));
        }
        if base.window_frame.is_some() {
            let message = format!("cannot copy window {name:?} because it has a frame clause");
            return Err(windowing(message));
        }
        Ok(WindowSpec {
            window_name: None,
            partition_by: base.partition_by,
            order_by: match spec.order_by.is_empty() {
                true => base.order_by,
                false => spec.order_by.clone(),
            },
            window_frame: spec.window_frame.clone(),
        })
    }

    /// A call over a window, which becomes a column.
    pub(super) fn window(&mut self, function: &ast::Function) -> Result<Typed, SqlError> {
        if let Aggregates::Refused(place) = self.aggregates {
            return Err(match place {
                "" => super::aggregate::grouping(
                    "aggregate function calls cannot contain window function calls",
                ),
                place => windowing(format!("window functions are not allowed in {place}")),
            });
        }
        let spec = match &function.over {
            Some(WindowType::WindowSpec(spec)) => self.whole_window(spec)?,
            Some(WindowType::NamedWindow(name)) => self.named_window(&folded(name))?,
            None => unreachable!("it is called with a window"),
        };
        let before = self.windows.len();
        let name = folded(called(&function.name)?);
        let is_within = !function.within_group.is_empty() && WITHIN_GROUP.contains(&name.as_str());
        let (kind, arguments, sql) = match is_aggregate(&name) || is_within {
            true => {
                let aggregate = self.aggregate_call(&name, function)?;
                if !function.within_group.is_empty() {
                    let what = format!("OVER is not supported for ordered-set aggregate {name}");
                    return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, what));
                }
                if aggregate.distinct {
                    let what = "DISTINCT is not implemented for window functions";
                    return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, what));
                }
                if !aggregate.order.is_empty() {
                    let what = "aggregate ORDER BY is not implemented for window functions";
                    return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, what));
                }
                let sql = aggregate.result;
                (WindowFunction::Aggregate(aggregate), Vec::new(), sql)
            }
            false => self.window_function(&name, function)?,
        };
        let partition = spec.partition_by.iter();
        let partition = partition.map(|expr| self.bind_output(expr).map(|typed| typed.bound));
        let partition = partition.collect::<Result<_, _>>()?;
        let order = spec.order_by.iter().map(|key| Order::plain(key, self));
        let order = order.collect::<Result<Vec<_>, _>>()?;
        let frame = match &spec.window_frame {
            Some(frame) => Some(self.frame(frame, order.len())?),
            None => None,
        };
        if self.windows.len() > before {
            return Err(windowing("window function calls cannot be nested"));
        }
        let field = Field {
            name: self.parameters.fresh(),
            sql,
        };
        let column = field.column();
        let call = WindowCall {
            function: kind,
            arguments,
            partition,
            order,
            frame,
        };
        self.windows.push((field, call));
        Ok(Typed::new(column, sql))
    }

    fn window_function(
        &mut self,
        name: &str,
        function: &ast::Function,
    ) -> Result<(WindowFunction, Vec<Bound>, SqlType), SqlError> {
        let ast::Function {
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(list),
            filter,
            null_treatment: None,
            within_group,
            ..
        } = function
        else {
            return Err(SqlError::unsupported(format!("{function}")));
        };
        if filter.is_some() {
            let message = format!("FILTER specified, but {name} is not an aggregate function");
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        }
        if !within_group.is_empty() || !list.clauses.is_empty() {
            return Err(SqlError::unsupported(format!("{function}")));
        }
        let mut arguments = Vec::new();
        for argument in &list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else {
                return Err(SqlError::unsupported(format!("the argument {argument}")));
            };
            arguments.push(self.bind(expr)?);
        }
        use ScalarType::{Float8, Int4, Int8, Text};
        use WindowFunction as W;
        let types: Vec<_> = arguments.iter().map(|typed| typed.sql).collect();
        let first = types.first().copied().flatten().unwrap_or(Text.into());
        let (kind, wanted, sql): (_, Vec<SqlType>, SqlType) = match (name, types.len()) {
            ("row_number", 0) => (W::RowNumber, vec![], Int8.into()),
            ("rank", 0) => (W::Rank, vec![], Int8.into()),
            ("dense_rank", 0) => (W::DenseRank, vec![], Int8.into()),
            ("percent_rank", 0) => (W::PercentRank, vec![], Float8.into()),
            ("cume_dist", 0) => (W::CumeDist, vec![], Float8.into()),
            ("ntile", 1) => (W::Ntile, vec![Int4.into()], Int4.into()),
            ("lag", 1..=3) => (W::Lag, vec![first, Int4.into(), first], first),
            ("lead", 1..=3) => (W::Lead, vec![first, Int4.into(), first], first),
            ("first_value", 1) => (W::FirstValue, vec![first], first),
            ("last_value", 1) => (W::LastValue, vec![first], first),
            ("nth_value", 2) => (W::NthValue, vec![first, Int4.into()], first),
            _ if crate::functions::is_function(name) => {
                let types: Vec<_> = types.iter().map(|sql| type_name(*sql)).collect();
                let what = format!("{name}({})", types.join(", "));
                let message = format!(
                    "OVER specified, but {name} is not a window function nor an aggregate function"
                );
                return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).detail(what));
            }
            _ => {
                let types: Vec<_> = types.iter().map(|sql| type_name(*sql)).collect();
                let message = format!("function {name}({}) does not exist", types.join(", "));
                return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
            }
        };
        let cast = arguments.into_iter().zip(wanted);
        let cast = cast.map(|(typed, to)| self.cast(typed, to, CastContext::Implicit));
        Ok((kind, cast.collect::<Result<_, _>>()?, sql))
    }

    fn frame(&mut self, frame: &ast::WindowFrame, keys: usize) -> Result<Frame, SqlError> {
        let unit = match frame.units {
            WindowFrameUnits::Rows => FrameUnit::Rows,
            WindowFrameUnits::Range => FrameUnit::Range,
            WindowFrameUnits::Groups => FrameUnit::Groups,
        };
        let mut end = |bound: &WindowFrameBound| -> Result<FrameEnd, SqlError> {
            let mut offset = |expr: &ast::Expr| {
                let typed = self.bind(expr)?;
                if !typed.bound.is_constant() {
                    let name = frame.units.to_string();
                    let message = format!("argument of {name} must not contain variables");
                    return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message));
                }
                match unit {
                    FrameUnit::Range => Ok(typed.bound),
                    _ => self.cast(typed, ScalarType::Int8.into(), CastContext::Assignment),
                }
            };
            Ok(match bound {
                WindowFrameBound::CurrentRow => FrameEnd::Current,
                WindowFrameBound::Preceding(None) => FrameEnd::UnboundedPreceding,
                WindowFrameBound::Following(None) => FrameEnd::UnboundedFollowing,
                WindowFrameBound::Preceding(Some(expr)) => FrameEnd::Preceding(offset(expr)?),
                WindowFrameBound::Following(Some(expr)) => FrameEnd::Following(offset(expr)?),
            })
        };
        let start = end(&frame.start_bound)?;
        let end = match &frame.end_bound {
            None => FrameEnd::Current,
            Some(bound) => end(bound)?,
        };
        let wrong = match (&start, &end) {
            (FrameEnd::UnboundedFollowing, _) => Some("frame start cannot be UNBOUNDED FOLLOWING"),
            (_, FrameEnd::UnboundedPreceding) => Some("frame end cannot be UNBOUNDED PRECEDING"),
            (FrameEnd::Current, FrameEnd::Preceding(_)) => {
                Some("frame starting from current row cannot have preceding rows")
            }
            (FrameEnd::Following(_), FrameEnd::Current | FrameEnd::Preceding(_)) => {
                Some("frame starting from following row cannot have preceding rows")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(windowing(wrong));
        }
        let counts =
            |end: &FrameEnd| matches!(end, FrameEnd::Preceding(_) | FrameEnd::Following(_));
        if unit == FrameUnit::Range && (counts(&start) || counts(&end)) && keys != 1 {
            let message =
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
            return Err(windowing(message));
        }
        if unit == FrameUnit::Groups && keys == 0 {
            return Err(windowing("GROUPS mode requires an ORDER BY clause"));
        }
        Ok(Frame { unit, start, end })
    }
}
