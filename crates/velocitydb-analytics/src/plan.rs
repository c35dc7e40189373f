//! Relations as DataFusion's plans.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::{JoinType, Result, ScalarValue, TableReference, UnnestOptions};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Aggregate as Groups, Cast, Expr, GroupingSet, LogicalPlan, LogicalPlanBuilder, Operator,
    binary_expr,
};
use velocitydb::{Database, Reader};
use velocitydb_sql::Environment;
use velocitydb_sql::relation::{
    Aggregate, Bound, Computed, Field, JoinKind, Order, Relation, Scan, SetKind, UnfoldCall,
};
use velocitydb_types::SqlType;

use crate::aggregate::Parts;
use crate::expression::{Made, Scope, column, common, scalar};
use crate::form::Form;
use crate::run::error_of;
use crate::scan::{Column, Source};
use crate::unfold::{Kept, Listed};

/// Finds what a transaction sees of a collection.
pub(crate) type Readers<'p> = &'p mut dyn FnMut(&str) -> Result<Reader>;

/// Makes a plan for one execution.
pub(crate) struct Planning<'p> {
    environment: &'p Environment<'p>,
    database: Database,
    readers: Readers<'p>,
    /// All columns of the statement that were met, by name.
    pub(crate) columns: HashMap<String, (SqlType, Form)>,
    /// Whether a part is run several times.
    pub(crate) recursive: bool,
}

/// A row of nothing, in a plan that has to have a column.
const NOTHING: &str = "nothing";

impl<'p> Planning<'p> {
    pub(crate) fn new(
        environment: &'p Environment<'p>,
        database: Database,
        readers: Readers<'p>,
    ) -> Planning<'p> {
        Planning {
            environment,
            database,
            readers,
            columns: HashMap::new(),
            recursive: false,
        }
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            columns: &self.columns,
            environment: self.environment,
        }
    }

    pub(crate) fn note(&mut self, field: &Field, form: Form) {
        self.columns.insert(field.name.clone(), (field.sql, form));
    }

    /// The plan of a relation.
    pub(crate) fn plan(&mut self, relation: &Relation) -> Result<LogicalPlan> {
        match relation {
            Relation::One => {
                let one = Expr::Literal(ScalarValue::Int64(Some(1)), None);
                LogicalPlanBuilder::empty(true)
                    .project([one.alias(NOTHING)])?
                    .build()
            }
            Relation::Scan(scan) => self.scan(scan),
            Relation::Values { fields, rows } => self.values(fields, rows),
            Relation::Filter { input, condition } => {
                let input = self.plan(input)?;
                let condition = self.scope().condition(condition)?;
                LogicalPlanBuilder::from(input).filter(condition)?.build()
            }
            Relation::Project { input, columns } => {
                let input = self.plan(input)?;
                self.project(input, columns)
            }
            Relation::Join {
                kind,
                left,
                right,
                on,
            } => self.join(*kind, left, right, on.as_ref()),
            Relation::Aggregate {
                input,
                keys,
                sets,
                aggregates,
                set,
            } => {
                let input = self.plan(input)?;
                self.aggregate(input, keys, (sets, set.as_ref()), aggregates)
            }
            Relation::Window { input, calls } => {
                let mut plan = self.plan(input)?;
                let columns = plan.schema().columns().into_iter();
                let mut outputs: Vec<_> = columns.map(Expr::Column).collect();
                for (field, call) in calls {
                    let parts = self.scope().window(&field.name, call, field.sql)?;
                    let grouped = parts.grouped.into_iter();
                    let grouped = grouped.map(|(name, expr)| expr.alias(name));
                    plan = LogicalPlanBuilder::from(plan)
                        .window(grouped.collect::<Vec<_>>())?
                        .build()?;
                    outputs.push(parts.value.expr.alias(&field.name));
                    self.note(field, parts.value.form);
                }
                LogicalPlanBuilder::from(plan).project(outputs)?.build()
            }
            Relation::Distinct { input, on, order } => self.distinct(input, on, order),
            Relation::Sort { input, keys } => {
                let input = self.plan(input)?;
                let keys = self.scope().order(keys)?;
                LogicalPlanBuilder::from(input).sort(keys)?.build()
            }
            Relation::Limit {
                input,
                offset,
                count,
                ties,
            } => {
                if *ties {
                    return Err(DataFusionError::NotImplemented("WITH TIES".into()));
                }
                let input = self.plan(input)?;
                let offset = self.number(offset.as_ref(), "2201X", "OFFSET")?;
                let count = self.number(count.as_ref(), "2201W", "LIMIT")?;
                LogicalPlanBuilder::from(input)
                    .limit(offset.unwrap_or(0), count)?
                    .build()
            }
            Relation::Set {
                kind,
                all,
                fields,
                left,
                right,
            } => self.set(*kind, *all, fields, left, right),
            Relation::Unfold {
                input,
                calls,
                ordinality,
            } => self.unfold(input, calls, ordinality.as_ref()),
            Relation::Recursive {
                name,
                fields,
                base,
                step,
                all,
            } => self.recursive(name, fields, (base, step), *all),
            Relation::Found { name, fields } => {
                let schema = self.schema(fields);
                let table = CteWorkTable::new(name, Arc::new(schema));
                let plan = LogicalPlanBuilder::scan(
                    name.as_str(),
                    provider_as_source(Arc::new(table)),
                    None,
                )?;
                unqualified(plan.build()?)
            }
        }
    }

    fn scan(&mut self, scan: &Scan) -> Result<LogicalPlan> {
        let mut columns = Vec::new();
        for Computed { field, bound } in &scan.columns {
            self.note(field, Form::of(field.sql));
            columns.push(Column {
                name: field.name.clone(),
                sql: field.sql,
                path: match bound {
                    Bound::Column(path) => Some(path.clone()),
                    _ => None,
                },
            });
        }
        if scan.is_made() {
            let (fields, mut rows) = (scan.columns.iter().map(|it| it.field.clone()), Vec::new());
            scan.made_rows(&self.database, &mut |row| {
                rows.push(row.into_iter().map(Bound::Constant).collect());
                Ok(true)
            })
            .map_err(error_of)?;
            return self.values(&fields.collect::<Vec<_>>(), &rows);
        }
        let reader = (self.readers)(scan.collection())?;
        let source = provider_as_source(Arc::new(Source::new(reader, columns)));
        // No two tables of a statement have a column of one name, so that none needs its table's.
        let table = TableReference::bare(scan.alias.as_str());
        unqualified(LogicalPlanBuilder::scan(table, source, None)?.build()?)
    }

    /// These columns, of forms that are known.
    fn schema(&self, fields: &[Field]) -> arrow::datatypes::Schema {
        let fields = fields.iter().map(|field| {
            let (_, form) = self.columns[&field.name];
            arrow::datatypes::Field::new(&field.name, form.data_type(), true)
        });
        arrow::datatypes::Schema::new(fields.collect::<Vec<_>>())
    }

    fn unfold(
        &mut self,
        input: &Relation,
        calls: &[UnfoldCall],
        ordinality: Option<&Field>,
    ) -> Result<LogicalPlan> {
        let input = self.plan(input)?;
        let scope = self.scope();
        let (mut taken, mut functions) = (Vec::new(), Vec::new());
        for call in calls {
            let made = call.arguments.iter().map(|bound| scope.made(bound, None));
            let made = made.collect::<Result<Vec<_>>>()?;
            let types = made.iter().map(|made| (made.sql, made.form)).collect();
            functions.push((call.function.clone(), types));
            taken.extend(made.into_iter().map(|made| made.expr));
        }
        let functions: Arc<[_]> = functions.into();
        let columns = input.schema().columns().into_iter();
        let mut outputs: Vec<_> = columns.map(Expr::Column).collect();
        let mut lists = Vec::new();
        let mut list = |field: &Field, wanted| {
            let form = Form::of(field.sql);
            let listed = Listed::new(&functions, wanted, form);
            outputs.push(crate::expression::call(listed, taken.clone()).alias(&field.name));
            lists.push(datafusion::common::Column::new_unqualified(&field.name));
            (field.clone(), form)
        };
        let mut noted = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            for (column, field) in call.fields.iter().enumerate() {
                noted.push(list(field, Some((at, column))));
            }
        }
        noted.extend(ordinality.map(|field| list(field, None)));
        for (field, form) in noted {
            self.note(&field, form);
        }
        let kept = lists.iter().cloned().map(Expr::Column).collect();
        let options = UnnestOptions::new().with_preserve_nulls(false);
        LogicalPlanBuilder::from(input)
            .project(outputs)?
            .unnest_columns_with_options(lists, options)?
            // However many rows there are, though nobody asks for their columns.
            .filter(crate::expression::call(Kept::new(), kept))?
            .build()
    }

    fn recursive(
        &mut self,
        name: &str,
        fields: &[Field],
        (base, step): (&Relation, &Relation),
        all: bool,
    ) -> Result<LogicalPlan> {
        self.recursive = true;
        for field in fields {
            self.note(field, Form::of(field.sql));
        }
        let mut term = |relation: &Relation| {
            let plan = self.plan(relation)?;
            let columns = relation.fields().into_iter().zip(fields);
            let columns = columns.map(|(from, field)| {
                let (sql, form) = self.columns[&from.name];
                let expr = column(&from.name);
                let made = Made { expr, sql, form };
                made.to(Form::of(field.sql)).expr.alias(&field.name)
            });
            LogicalPlanBuilder::from(plan)
                .project(columns.collect::<Vec<_>>())?
                .build()
        };
        let (base, step) = (term(base)?, term(step)?);
        let plan = LogicalPlanBuilder::from(base)
            .to_recursive_query(name.to_owned(), step, !all)?
            .build()?;
        unqualified(plan)
    }

    fn values(&mut self, fields: &[Field], rows: &[Vec<Bound>]) -> Result<LogicalPlan> {
        let mut all = Vec::new();
        let mut forms: Vec<Option<Option<Form>>> = vec![None; fields.len()];
        for row in rows {
            let scope = self.scope();
            let values = row.iter().zip(fields);
            let values = values.map(|(value, field)| scope.made(value, Some(field.sql)));
            let values = values.collect::<Result<Vec<_>>>()?;
            for (form, value) in forms.iter_mut().zip(&values) {
                let is_null = matches!(&value.expr, Expr::Literal(it, _) if it.is_null());
                if !is_null {
                    *form = Some(match form {
                        None => Some(value.form),
                        Some(known) => known.and_then(|known| common(known, value.form)),
                    });
                }
            }
            all.push(values);
        }
        let forms = forms.into_iter().zip(fields);
        let forms: Vec<_> = forms
            .map(|(form, field)| form.flatten().unwrap_or(Form::of(field.sql)))
            .collect();
        for (field, form) in fields.iter().zip(&forms) {
            self.note(field, *form);
        }
        let schema = fields
            .iter()
            .zip(&forms)
            .map(|(field, form)| arrow::datatypes::Field::new(&field.name, form.data_type(), true));
        let schema = arrow::datatypes::Schema::new(schema.collect::<Vec<_>>());
        let schema = Arc::new(datafusion::common::DFSchema::try_from(schema)?);
        if all.is_empty() {
            return Ok(LogicalPlan::EmptyRelation(
                datafusion::logical_expr::EmptyRelation {
                    produce_one_row: false,
                    schema,
                },
            ));
        }
        let rows = all.into_iter().map(|row| {
            let row = row.into_iter().zip(&forms);
            row.map(|(made, form)| null_as(made, *form).expr).collect()
        });
        let plan = LogicalPlanBuilder::values(rows.collect())?.build()?;
        let names = plan.schema().columns().into_iter().zip(fields);
        let names = names.map(|(from, field)| Expr::Column(from).alias(&field.name));
        LogicalPlanBuilder::from(plan.clone())
            .project(names.collect::<Vec<_>>())?
            .build()
    }

    fn project(&mut self, input: LogicalPlan, columns: &[Computed]) -> Result<LogicalPlan> {
        let mut exprs = Vec::new();
        let mut forms = Vec::new();
        for Computed { field, bound } in columns {
            let made = self.scope().made(bound, Some(field.sql))?;
            forms.push(made.form);
            exprs.push(made.expr.alias(&field.name));
        }
        for (column, form) in columns.iter().zip(forms) {
            self.note(&column.field, form);
        }
        if exprs.is_empty() {
            exprs.push(Expr::Literal(ScalarValue::Int64(Some(1)), None).alias(NOTHING));
        }
        LogicalPlanBuilder::from(input).project(exprs)?.build()
    }

    fn join(
        &mut self,
        kind: JoinKind,
        left: &Relation,
        right: &Relation,
        on: Option<&Bound>,
    ) -> Result<LogicalPlan> {
        let (left, right) = (self.plan(left)?, self.plan(right)?);
        let scope = self.scope();
        let on = on.map_or(Vec::new(), Bound::conjuncts);
        let on = on.into_iter().map(|part| scope.condition(part));
        let on = on.collect::<Result<Vec<_>>>()?;
        let kind = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
            JoinKind::Semi => JoinType::LeftSemi,
            JoinKind::Anti => JoinType::LeftAnti,
        };
        let right = without_nothing(right)?;
        LogicalPlanBuilder::from(left)
            .join_on(right, kind, on)?
            .build()
    }

    fn aggregate(
        &mut self,
        input: LogicalPlan,
        keys: &[Computed],
        (sets, set): (&[Vec<usize>], Option<&Field>),
        aggregates: &[(Field, Aggregate)],
    ) -> Result<LogicalPlan> {
        let scope = self.scope();
        let (mut grouped, mut values) = (Vec::new(), Vec::new());
        let mut by = Vec::new();
        for Computed { field, bound } in keys {
            let made = scope.made(bound, Some(field.sql))?;
            by.push(made.expr.alias(&field.name));
            values.push((
                field,
                Made {
                    expr: column(&field.name),
                    ..made
                },
            ));
        }
        for (field, aggregate) in aggregates {
            let Parts {
                grouped: parts,
                value,
            } = scope.aggregate(&field.name, aggregate)?;
            grouped.extend(parts.into_iter().map(|(name, expr)| expr.alias(name)));
            values.push((field, value));
        }
        if let Some(set) = set {
            let made = Made {
                expr: number_of_set(sets, keys.len()),
                sql: set.sql,
                form: Form::Int,
            };
            values.push((set, made));
        }
        let mut input = input;
        if !sets.is_empty() {
            // Keys of several sets have to be columns.
            let schema = input.schema().clone();
            let columns = schema.columns().into_iter().map(Expr::Column);
            let known = columns.clone().collect::<Vec<_>>();
            let new = by.iter().filter(|key| match key {
                Expr::Alias(alias) => !known.contains(&column(&alias.name)),
                _ => true,
            });
            let all: Vec<_> = columns.chain(new.cloned()).collect();
            input = LogicalPlanBuilder::from(input).project(all)?.build()?;
            let key = |at: &usize| column(&keys[*at].field.name);
            let sets = sets.iter().map(|set| set.iter().map(key).collect());
            by = vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets.collect()))];
        }
        let plan = LogicalPlanBuilder::from(input)
            .aggregate(by, grouped)?
            .build()?;
        let noted: Vec<_> = values
            .iter()
            .map(|(field, made)| ((*field).clone(), made.form))
            .collect();
        let exprs: Vec<_> = values
            .into_iter()
            .map(|(field, made)| made.expr.alias(&field.name))
            .collect();
        for (field, form) in noted {
            self.note(&field, form);
        }
        match exprs.is_empty() {
            true => Ok(plan),
            false => LogicalPlanBuilder::from(plan).project(exprs)?.build(),
        }
    }

    fn distinct(&mut self, input: &Relation, on: &[Bound], order: &[Order]) -> Result<LogicalPlan> {
        let plan = self.plan(input)?;
        if on.is_empty() {
            return LogicalPlanBuilder::from(plan).distinct()?.build();
        }
        let scope = self.scope();
        let on = on.iter().map(|key| Ok(scope.made(key, None)?.key().expr));
        let on = on.collect::<Result<Vec<_>>>()?;
        let number = row_number(on, scope.order(order)?)?;
        let fields: Vec<_> = input.fields();
        numbered(plan, number, |number| {
            binary_expr(number, Operator::Eq, literal_of(1))
        })?
        .project(fields.iter().map(|field| column(&field.name)))?
        .build()
    }

    /// How many rows.
    fn number(
        &self,
        bound: Option<&Bound>,
        state: &'static str,
        name: &str,
    ) -> Result<Option<usize>> {
        let value = bound.map(|bound| bound.value(self.environment)).transpose();
        match value.map_err(error_of)? {
            Some(velocitydb_types::Value::Int(count)) => match usize::try_from(count) {
                Ok(count) => Ok(Some(count)),
                Err(_) => Err(error_of(velocitydb_sql::SqlError::new(
                    state,
                    format!("{name} must not be negative"),
                ))),
            },
            _ => Ok(None),
        }
    }

    fn set(
        &mut self,
        kind: SetKind,
        all: bool,
        fields: &[Field],
        left: &Relation,
        right: &Relation,
    ) -> Result<LogicalPlan> {
        let (one, other) = (self.plan(left)?, self.plan(right)?);
        let forms = |fields: Vec<Field>, columns: &HashMap<String, (SqlType, Form)>| {
            let forms = fields.into_iter().map(|field| {
                let (sql, form) = columns[&field.name];
                Made {
                    expr: column(&field.name),
                    sql,
                    form,
                }
            });
            forms.collect::<Vec<_>>()
        };
        let (lefts, rights) = (
            forms(left.fields(), &self.columns),
            forms(right.fields(), &self.columns),
        );
        let (mut ones, mut others) = (Vec::new(), Vec::new());
        for ((left, right), field) in lefts.into_iter().zip(rights).zip(fields) {
            let form = common(left.form, right.form).unwrap_or(Form::Key);
            ones.push(left.to(form).expr.alias(&field.name));
            others.push(right.to(form).expr.alias(&field.name));
            self.note(field, form);
        }
        let one = LogicalPlanBuilder::from(one).project(ones)?;
        let other = LogicalPlanBuilder::from(other).project(others)?;
        if kind == SetKind::Union {
            let union = one.union(other.build()?)?;
            return match all {
                true => union.build(),
                false => union.distinct()?.build(),
            };
        }
        let (mut one, mut other) = (one.build()?, other.build()?);
        if all {
            // The first, second, … of equal rows meets the first, second, … of the other side.
            let by: Vec<_> = fields.iter().map(|field| column(&field.name)).collect();
            let nth = |plan| {
                let number = row_number(by.clone(), Vec::new())?;
                LogicalPlanBuilder::from(plan)
                    .window([number.alias(NTH)])?
                    .build()
            };
            (one, other) = (nth(one)?, nth(other)?);
        }
        let plan = match kind {
            SetKind::Intersect => LogicalPlanBuilder::intersect(one, other, all)?,
            _ => LogicalPlanBuilder::except(one, other, all)?,
        };
        LogicalPlanBuilder::from(plan)
            .project(fields.iter().map(|field| column(&field.name)))?
            .build()
    }
}

/// A plan whose columns are of no table.
fn unqualified(plan: LogicalPlan) -> Result<LogicalPlan> {
    let names = plan.schema().columns().into_iter().map(|column| {
        let name = column.name.clone();
        Expr::Column(column).alias(name)
    });
    let names: Vec<_> = names.collect();
    LogicalPlanBuilder::from(plan).project(names)?.build()
}

/// Which of several equal rows one is.
const NTH: &str = "nth";

fn literal_of(number: u64) -> Expr {
    Expr::Literal(ScalarValue::UInt64(Some(number)), None)
}

/// The number of a row among those that are alike.
fn row_number(by: Vec<Expr>, order: Vec<datafusion::logical_expr::SortExpr>) -> Result<Expr> {
    let function = datafusion::functions_window::row_number::row_number_udwf();
    let mut call = WindowFunction::new(function, Vec::new());
    call.params.window_frame = crate::window::rows_so_far();
    call.params.partition_by = by;
    call.params.order_by = order;
    Ok(Expr::from(call))
}

fn numbered(
    plan: LogicalPlan,
    number: Expr,
    wanted: impl FnOnce(Expr) -> Expr,
) -> Result<LogicalPlanBuilder> {
    LogicalPlanBuilder::from(plan)
        .window([number.alias(NTH)])?
        .filter(wanted(column(NTH)))
}

/// A null is one in every form.
pub(crate) fn null_as(made: Made, form: Form) -> Made {
    match &made.expr {
        Expr::Literal(value, _) if value.is_null() => {
            let null = scalar(&velocitydb_types::Value::Null, form);
            Made {
                expr: Expr::Literal(null.unwrap_or(ScalarValue::Null), None),
                form,
                ..made
            }
        }
        _ => made.to(form),
    }
}

/// A join has one column of a name.
fn without_nothing(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let has = columns.iter().any(|column| column.name == NOTHING);
    if !has || columns.len() == 1 {
        let renamed = columns.into_iter().map(|column| {
            let name = column.name.clone();
            match name == NOTHING {
                true => Expr::Column(column).alias("nothing else"),
                false => Expr::Column(column),
            }
        });
        return match has {
            true => LogicalPlanBuilder::from(plan.clone())
                .project(renamed.collect::<Vec<_>>())?
                .build(),
            false => Ok(plan),
        };
    }
    let kept = columns.into_iter().filter(|column| column.name != NOTHING);
    let kept: Vec<_> = kept.map(Expr::Column).collect();
    LogicalPlanBuilder::from(plan).project(kept)?.build()
}

/// What tells of which set a group is, a bit for each key that is not of it, of what DataFusion has to tell
/// it: there the first key that a set names is the highest bit.
fn number_of_set(sets: &[Vec<usize>], keys: usize) -> Expr {
    let mut named: Vec<usize> = Vec::new();
    for key in sets.iter().flatten() {
        if !named.contains(key) {
            named.push(*key);
        }
    }
    let literal = |number: i64| Expr::Literal(ScalarValue::Int64(Some(number)), None);
    let id = column(Groups::INTERNAL_GROUPING_ID);
    let id = Expr::Cast(Cast::new(Box::new(id), DataType::Int64));
    let mut all = literal(0);
    for key in 0..keys {
        let bit = match named.iter().rev().position(|other| *other == key) {
            Some(place) => {
                let place = literal(place as i64);
                let bit = binary_expr(id.clone(), Operator::BitwiseShiftRight, place);
                binary_expr(bit, Operator::BitwiseAnd, literal(1))
            }
            // It is of none.
            None => literal(1),
        };
        let bit = binary_expr(bit, Operator::BitwiseShiftLeft, literal(key as i64));
        all = binary_expr(all, Operator::BitwiseOr, bit);
    }
    all
}
