//! Queries of several tables and stages: what their rows are made of.
//!
//! ```text
//!   tree ──► query, select, from, set, with ──► Relation, ─► unnest ─► Relation, no part of ─► Planner
//!            (for expressions the binder        with joins            which depends on
//!            of all statements)                 that depend           another's rows
//! ```
//!
//! A [`Relation`] is a tree of relational algebra. Every column of it has a name of its own in the
//! whole statement, so that an expression ([`Bound`]) means the same wherever it stands, and a
//! sub-query refers to the query around it by nothing but a name that is not its own.
//! Whoever runs one ([`crate::Planner`]) knows nothing of PostgreSQL's names, scopes and casts.
//!
//! Tests: the scripts in `velocitydb-analytics`.

mod facts;
mod fields;
mod from;
mod query;
mod select;
mod set;
mod subquery;
mod unfold;
mod unnest;
mod window;
mod with;

use std::sync::Arc;

use velocitydb::{Database, Document};
use velocitydb_types::{SqlType, Value};

pub use crate::aggregate::{
    Accumulator, Aggregate, Kind as AggregateKind, Pair, Rank, Spread, Sum,
};
pub use crate::bound::{Bound, Moment};
pub use crate::statement::order::Order;
pub use unfold::{Function, UnfoldCall};
pub use window::{Frame, FrameEnd, FrameUnit, WindowCall, WindowFunction};

pub(crate) use subquery::Pending;
pub(crate) use unfold::is_unfold;
pub(crate) use with::Known;

use crate::catalog::Each;
pub use crate::conditions::UNLIMITED;
use crate::error::SqlError;
use crate::statement::rows::Column;
use crate::table::Table;

/// A column of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, which no other column of the statement has.
    pub name: String,
    /// Its type.
    pub sql: SqlType,
}

/// A column that is computed.
#[derive(Debug, Clone)]
pub struct Computed {
    /// The column.
    pub field: Field,
    /// What it is of a row of the input.
    pub bound: Bound,
}

/// Which rows of two relations make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// Those that fit.
    Inner,
    /// Those, and what is left over on the left.
    Left,
    /// Those, and what is left over on the right.
    Right,
    /// Those, and what is left over on both sides.
    Full,
    /// Rows of the left that fit any; columns of the left alone.
    Semi,
    /// Rows of the left that fit none; columns of the left alone.
    Anti,
}

/// What becomes of the rows of two relations of the same types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// All of both.
    Union,
    /// Those of both.
    Intersect,
    /// Those of the first that are not in the second.
    Except,
}

/// Rows, and how they come to be.
#[derive(Debug, Clone)]
pub enum Relation {
    /// One row of no columns.
    One,
    /// The rows of a table.
    Scan(Scan),
    /// Rows that stand in the statement.
    Values {
        /// Their columns.
        fields: Vec<Field>,
        /// Their values, which depend on no row.
        rows: Vec<Vec<Bound>>,
    },
    /// Those rows of which it is true.
    Filter {
        /// Of these.
        input: Box<Relation>,
        /// What is asked.
        condition: Bound,
    },
    /// Other columns of the same rows.
    Project {
        /// Of these.
        input: Box<Relation>,
        /// All that there are.
        columns: Vec<Computed>,
    },
    /// Rows of two relations beside each other. Until `unnest` has made other joins of
    /// such, the right may depend on a row of the left.
    Join {
        /// Which.
        kind: JoinKind,
        /// First.
        left: Box<Relation>,
        /// Second.
        right: Box<Relation>,
        /// What fits; `None`: everything.
        on: Option<Bound>,
    },
    /// Groups of rows.
    Aggregate {
        /// Of these.
        input: Box<Relation>,
        /// What the rows of a group have in common.
        keys: Vec<Computed>,
        /// Sets of keys, by their places, when there are several; keys that are not of a set are null.
        sets: Vec<Vec<usize>>,
        /// A number that tells of which set a group is, when that is asked: of each key that is not of it,
        /// the bit of the key's place.
        set: Option<Field>,
        /// What is computed of each.
        aggregates: Vec<(Field, Aggregate)>,
    },
    /// The same rows, with what is computed of those around them.
    Window {
        /// Of these.
        input: Box<Relation>,
        /// Further columns.
        calls: Vec<(Field, WindowCall)>,
    },
    /// No row twice; of those that are alike in `on`, if there is any, the first.
    Distinct {
        /// Of these.
        input: Box<Relation>,
        /// What is compared, when it is not the whole row.
        on: Vec<Bound>,
        /// Which comes first.
        order: Vec<Order>,
    },
    /// Rows in order.
    Sort {
        /// Of these.
        input: Box<Relation>,
        /// The first one first.
        keys: Vec<Order>,
    },
    /// Some of the rows.
    Limit {
        /// Of these.
        input: Box<Relation>,
        /// How many are left out.
        offset: Option<Bound>,
        /// How many there are at most.
        count: Option<Bound>,
        /// Whether those come too that the order does not tell from the last.
        ties: bool,
    },
    /// Rows of two relations, column by column.
    Set {
        /// Which.
        kind: SetKind,
        /// Whether a row may come twice.
        all: bool,
        /// The columns.
        fields: Vec<Field>,
        /// First.
        left: Box<Relation>,
        /// Second, of as many columns of the same types.
        right: Box<Relation>,
    },
    /// For each row, the rows that functions make.
    Unfold {
        /// Of these.
        input: Box<Relation>,
        /// The functions: the first rows of each stand beside each other, the second, and so on.
        calls: Vec<UnfoldCall>,
        /// A column that counts them from 1.
        ordinality: Option<Field>,
    },
    /// What is found by beginning with some rows, and finding others by those that were found last,
    /// until there are no new ones.
    Recursive {
        /// Its name in the statement.
        name: String,
        /// The columns.
        fields: Vec<Field>,
        /// The first rows.
        base: Box<Relation>,
        /// Further ones.
        step: Box<Relation>,
        /// Whether a row may come twice.
        all: bool,
    },
    /// The rows that a [`Relation::Recursive`] found last.
    Found {
        /// Its name.
        name: String,
        /// The columns.
        fields: Vec<Field>,
    },
}

/// The rows of a table.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The table.
    pub(crate) table: Arc<Table>,
    /// What the statement calls it.
    pub alias: String,
    /// The columns that are wanted, each with what it is of a document.
    pub columns: Vec<Computed>,
}

impl Scan {
    /// The collection whose documents they are.
    pub fn collection(&self) -> &str {
        self.table.name()
    }

    /// Whether there is no collection: the rows are made when they are read.
    pub fn is_made(&self) -> bool {
        self.table.made.is_some()
    }

    /// Calls `each` with the rows that are made, as they are now, until it answers `false`.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn made_rows(&self, database: &Database, each: Each<'_>) -> Result<(), SqlError> {
        match &self.table.made {
            Some(made) => made.rows(database, each),
            None => Ok(()),
        }
    }
}

/// A document as the value of a whole row.
pub fn whole(document: &Document) -> Value {
    let value = velocitydb_query::Expression::Root;
    let cell = value.for_document(document);
    cell.map_or(Value::Null, velocitydb_query::Cell::into_value)
}

/// A query, bound.
#[derive(Debug, Clone)]
pub struct Query {
    /// Its rows; the columns are those of `outputs`, under names of their own.
    pub relation: Relation,
    /// What the client is told of the columns.
    pub outputs: Vec<Column>,
    /// Which of them are literals of no type of their own.
    pub(crate) untyped: Vec<bool>,
}
