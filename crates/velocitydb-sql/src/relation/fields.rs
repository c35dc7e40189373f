//! What columns relations and expressions have, and ask for.

use std::collections::BTreeSet;

use velocitydb_types::Path;

use super::{Field, JoinKind, Relation};
use crate::aggregate::Aggregate;
use crate::bound::Bound;

/// Names of columns.
pub(crate) type Names = BTreeSet<String>;

impl Field {
    /// The column in an expression.
    pub fn column(&self) -> Bound {
        Bound::Column(Path::field(self.name.clone()))
    }
}

impl Bound {
    /// Calls `visit` with the name of each column that it asks for.
    pub fn each_column(&self, visit: &mut dyn FnMut(&str)) {
        match self {
            Bound::Column(path) => visit(path.first()),
            Bound::Apply { arguments, .. } => {
                for argument in arguments {
                    argument.each_column(visit);
                }
            }
            _ => {}
        }
    }

    /// The columns that it asks for.
    pub(crate) fn columns(&self) -> Names {
        let mut names = Names::new();
        self.each_column(&mut |name| {
            names.insert(name.to_owned());
        });
        names
    }

    /// The same, with other expressions in the place of columns where `replaced` has one.
    pub(crate) fn with_columns(&self, replaced: &dyn Fn(&str) -> Option<Bound>) -> Bound {
        match self {
            Bound::Column(path) => replaced(path.first()).unwrap_or_else(|| self.clone()),
            Bound::Apply {
                function,
                arguments,
                types,
                volatile,
            } => Bound::Apply {
                function: function.clone(),
                arguments: arguments
                    .iter()
                    .map(|argument| argument.with_columns(replaced))
                    .collect(),
                types: types.clone(),
                volatile: *volatile,
            },
            other => other.clone(),
        }
    }

    /// The conditions that it joins by `and`.
    pub fn conjuncts(&self) -> Vec<&Bound> {
        match self {
            Bound::Apply {
                function,
                arguments,
                ..
            } if function.name() == "and" => arguments.iter().flat_map(Bound::conjuncts).collect(),
            other => vec![other],
        }
    }
}

impl Aggregate {
    /// All its expressions.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = &Bound> {
        let order = self.order.iter().map(|order| &order.by);
        self.arguments.iter().chain(order).chain(&self.filter)
    }

    pub(crate) fn bounds_mut(&mut self) -> impl Iterator<Item = &mut Bound> {
        let order = self.order.iter_mut().map(|order| &mut order.by);
        self.arguments
            .iter_mut()
            .chain(order)
            .chain(&mut self.filter)
    }
}

impl Relation {
    /// The columns of its rows.
    pub fn fields(&self) -> Vec<Field> {
        match self {
            Relation::One => Vec::new(),
            Relation::Scan(scan) => {
                let columns = scan.columns.iter();
                columns.map(|column| column.field.clone()).collect()
            }
            Relation::Values { fields, .. }
            | Relation::Set { fields, .. }
            | Relation::Recursive { fields, .. }
            | Relation::Found { fields, .. } => fields.clone(),
            Relation::Filter { input, .. }
            | Relation::Distinct { input, .. }
            | Relation::Sort { input, .. }
            | Relation::Limit { input, .. } => input.fields(),
            Relation::Project { columns, .. } => {
                columns.iter().map(|column| column.field.clone()).collect()
            }
            Relation::Join {
                kind, left, right, ..
            } => match kind {
                JoinKind::Semi | JoinKind::Anti => left.fields(),
                _ => [left.fields(), right.fields()].concat(),
            },
            Relation::Aggregate {
                keys,
                set,
                aggregates,
                ..
            } => {
                let keys = keys.iter().map(|key| key.field.clone());
                let aggregates = aggregates.iter().map(|(field, _)| field.clone());
                keys.chain(set.clone()).chain(aggregates).collect()
            }
            Relation::Window { input, calls } => {
                let mut fields = input.fields();
                fields.extend(calls.iter().map(|(field, _)| field.clone()));
                fields
            }
            Relation::Unfold {
                input,
                calls,
                ordinality,
            } => {
                let mut all = input.fields();
                let fields = calls.iter().flat_map(|call| &call.fields);
                all.extend(fields.chain(ordinality).cloned());
                all
            }
        }
    }

    /// Their names.
    pub(crate) fn names(&self) -> Names {
        self.fields().into_iter().map(|field| field.name).collect()
    }

    /// The relations that it is made of.
    pub(crate) fn inputs(&self) -> Vec<&Relation> {
        match self {
            Relation::One
            | Relation::Scan(_)
            | Relation::Values { .. }
            | Relation::Found { .. } => Vec::new(),
            Relation::Filter { input, .. }
            | Relation::Project { input, .. }
            | Relation::Aggregate { input, .. }
            | Relation::Window { input, .. }
            | Relation::Distinct { input, .. }
            | Relation::Sort { input, .. }
            | Relation::Limit { input, .. }
            | Relation::Unfold { input, .. } => vec![input],
            Relation::Join { left, right, .. } | Relation::Set { left, right, .. } => {
                vec![left, right]
            }
            Relation::Recursive { base, step, .. } => vec![base, step],
        }
    }

    /// The same stage, of other inputs.
    pub(crate) fn try_map<E>(
        mut self,
        map: &mut dyn FnMut(Relation) -> Result<Relation, E>,
    ) -> Result<Relation, E> {
        for input in self.inputs_mut() {
            let before = std::mem::replace(input, Relation::One);
            *input = map(before)?;
        }
        Ok(self)
    }

    fn inputs_mut(&mut self) -> Vec<&mut Relation> {
        match self {
            Relation::One
            | Relation::Scan(_)
            | Relation::Values { .. }
            | Relation::Found { .. } => Vec::new(),
            Relation::Filter { input, .. }
            | Relation::Project { input, .. }
            | Relation::Aggregate { input, .. }
            | Relation::Window { input, .. }
            | Relation::Distinct { input, .. }
            | Relation::Sort { input, .. }
            | Relation::Limit { input, .. }
            | Relation::Unfold { input, .. } => vec![input],
            Relation::Join { left, right, .. } | Relation::Set { left, right, .. } => {
                vec![left, right]
            }
            Relation::Recursive { base, step, .. } => vec![base, step],
        }
    }

    /// The expressions of this stage.
    fn bounds(&self) -> Vec<&Bound> {
        match self {
            Relation::One
            | Relation::Scan(_)
            | Relation::Set { .. }
            | Relation::Recursive { .. }
            | Relation::Found { .. } => Vec::new(),
            Relation::Values { rows, .. } => rows.iter().flatten().collect(),
            Relation::Filter { condition, .. } => vec![condition],
            Relation::Project { columns, .. } => {
                columns.iter().map(|column| &column.bound).collect()
            }
            Relation::Join { on, .. } => on.iter().collect(),
            Relation::Aggregate {
                keys, aggregates, ..
            } => {
                let keys = keys.iter().map(|key| &key.bound);
                let aggregates = aggregates.iter().flat_map(|(_, one)| one.bounds());
                keys.chain(aggregates).collect()
            }
            Relation::Window { calls, .. } => {
                calls.iter().flat_map(|(_, call)| call.bounds()).collect()
            }
            Relation::Distinct { on, order, .. } => {
                on.iter().chain(order.iter().map(|key| &key.by)).collect()
            }
            Relation::Sort { keys, .. } => keys.iter().map(|key| &key.by).collect(),
            Relation::Limit { offset, count, .. } => offset.iter().chain(count).collect(),
            Relation::Unfold { calls, .. } => {
                calls.iter().flat_map(|call| &call.arguments).collect()
            }
        }
    }

    /// The names of columns that it asks for and does not have: those of a query around it.
    pub(crate) fn free(&self) -> Names {
        let (mut free, mut own) = (Names::new(), Names::new());
        for input in self.inputs() {
            free.extend(input.free());
            own.extend(input.names());
        }
        for bound in self.bounds() {
            bound.each_column(&mut |name| {
                free.insert(name.to_owned());
            });
        }
        &free - &own
    }
}
