//! Tables that no collection is behind: what they show is made when they are read.
//!
//! They are PostgreSQL 15's catalogs, `information_schema`, and one of our own. Which there are, and
//! their columns, is said in `catalog/tables.txt`; those that have rows are in [`ROWS`], all others are
//! empty. Conditions, groups, order and limit are those of every SELECT; nothing changes them. A name without a
//! schema means one of `pg_catalog` before a table of the user, as in PostgreSQL.
//!
//! Where PostgreSQL has types that are none here, numbers of objects (`oid`, `xid`) are bigint, lists of them
//! (`oidvector`) bigint[], `int2vector` smallint[], and names, `"char"`, `reg…` and trees are text.
//!
//! Files: `objects` (what has a number), `texts` (definitions as texts), and by what tables are of:
//! `relations`, `constraints`, `sequences`, `functions`, `types`, `roles`, `activity`, `databases`,
//! `locks`, `information`, `fixed`; `calls` has the functions that programs ask about all that.
//! Tests: tests/it/sessions/locks.script, tests/it/slt/catalog*.slt.

mod activity;
pub(crate) mod calls;
mod constraints;
mod databases;
mod fixed;
mod functions;
mod information;
mod locks;
pub(crate) mod objects;
mod relations;
mod roles;
mod sequences;
pub(crate) mod texts;
mod types;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use velocitydb::{Database, Definition};
use velocitydb_types::{Path, ScalarType, SqlType, Value};

use crate::bound::Bound;
use crate::effects::Effects;
use crate::error::{SqlError, sqlstate};
use crate::table::{Column, Table};

/// Takes a row, with a value for each column; whether more are wanted.
pub type Each<'e> = &'e mut dyn FnMut(Vec<Value>) -> Result<bool, SqlError>;

/// The number of the user who owns everything: PostgreSQL's first.
const OWNER: i64 = 10;

/// The number of `pg_catalog`.
const PG_CATALOG: i64 = 11;

/// Makes the rows of a table.
type Rows = fn(&Seen<'_>, &mut Fill<'_>) -> Result<(), SqlError>;

/// What is seen: by a session, of a database.
struct Seen<'s> {
    database: &'s Database,
    session: &'s Effects,
}

impl Seen<'_> {
    /// The name of its user, who owns everything.
    fn user(&self) -> Value {
        (&*self.session.settings().user).into()
    }

    /// The name of its database.
    fn database_name(&self) -> Value {
        (&*self.session.settings().database).into()
    }
}

/// A table. See the module.
struct Shown {
    schema: &'static str,
    name: &'static str,
    oid: i64,
    is_view: bool,
    columns: Vec<(&'static str, SqlType)>,
    rows: Option<Rows>,
}

/// Those that have rows.
#[rustfmt::skip]
const ROWS: &[(&str, &str, Rows)] = &[
    ("pg_catalog", "pg_am", fixed::rows),
    ("pg_catalog", "pg_attrdef", relations::pg_attrdef),
    ("pg_catalog", "pg_attribute", relations::pg_attribute),
    ("pg_catalog", "pg_authid", roles::pg_authid),
    ("pg_catalog", "pg_cast", types::pg_cast),
    ("pg_catalog", "pg_class", relations::pg_class),
    ("pg_catalog", "pg_collation", fixed::rows),
    ("pg_catalog", "pg_constraint", constraints::pg_constraint),
    ("pg_catalog", "pg_database", databases::pg_database),
    ("pg_catalog", "pg_depend", constraints::pg_depend),
    ("pg_catalog", "pg_description", constraints::pg_description),
    ("pg_catalog", "pg_index", relations::pg_index),
    ("pg_catalog", "pg_indexes", relations::pg_indexes),
    ("pg_catalog", "pg_language", fixed::rows),
    ("pg_catalog", "pg_locks", locks::pg_locks),
    ("pg_catalog", "pg_namespace", relations::pg_namespace),
    ("pg_catalog", "pg_opclass", fixed::rows),
    ("pg_catalog", "pg_operator", functions::pg_operator),
    ("pg_catalog", "pg_proc", functions::pg_proc),
    ("pg_catalog", "pg_roles", roles::pg_roles),
    ("pg_catalog", "pg_sequence", sequences::pg_sequence),
    ("pg_catalog", "pg_sequences", sequences::pg_sequences),
    ("pg_catalog", "pg_settings", activity::pg_settings),
    ("pg_catalog", "pg_shdescription", databases::pg_shdescription),
    ("pg_catalog", "pg_stat_activity", activity::pg_stat_activity),
    ("pg_catalog", "pg_stat_all_tables", activity::pg_stat_tables),
    ("pg_catalog", "pg_stat_database", activity::pg_stat_database),
    ("pg_catalog", "pg_stat_user_tables", activity::pg_stat_tables),
    ("pg_catalog", "pg_tables", relations::pg_tables),
    ("pg_catalog", "pg_tablespace", fixed::rows),
    ("pg_catalog", "pg_type", types::pg_type),
    ("pg_catalog", "pg_user", roles::pg_user),
    ("pg_catalog", "pg_views", relations::pg_views),
    ("information_schema", "character_sets", information::character_sets),
    ("information_schema", "check_constraints", information::check_constraints),
    ("information_schema", "columns", information::columns),
    ("information_schema", "constraint_column_usage", information::constraint_column_usage),
    ("information_schema", "element_types", information::element_types),
    ("information_schema", "enabled_roles", roles::enabled_roles),
    ("information_schema", "information_schema_catalog_name", information::catalog_name),
    ("information_schema", "key_column_usage", information::key_column_usage),
    ("information_schema", "referential_constraints", information::referential_constraints),
    ("information_schema", "routines", functions::routines),
    ("information_schema", "schemata", information::schemata),
    ("information_schema", "sequences", sequences::information),
    ("information_schema", "table_constraints", information::table_constraints),
    ("information_schema", "table_privileges", roles::table_privileges),
    ("information_schema", "tables", information::tables),
    ("information_schema", "views", information::views),
    ("velocity", "locks", locks::locks),
];

static ALL: LazyLock<Vec<Shown>> = LazyLock::new(|| {
    let lines = include_str!("catalog/tables.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.map(Shown::read).collect()
});

static BY_NAME: LazyLock<HashMap<(&str, &str), &Shown>> = LazyLock::new(|| {
    let all = ALL.iter();
    all.map(|shown| ((shown.schema, shown.name), shown))
        .collect()
});

/// The type that stands here for one of PostgreSQL's.
fn column_type(named: &str) -> SqlType {
    let (name, is_array) = match named.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (named, false),
    };
    match name {
        "int2vector" => SqlType::Array(ScalarType::Int2),
        "oidvector" => SqlType::Array(ScalarType::Int8),
        name => {
            let scalar = match name {
                "oid" | "xid" => ScalarType::Int8,
                "cardinal_number" => ScalarType::Int4,
                "time_stamp" => ScalarType::Timestamptz,
                name => {
                    let known = ScalarType::named(name, &[]).ok().flatten();
                    known.unwrap_or(ScalarType::Text)
                }
            };
            match is_array {
                true => SqlType::Array(scalar),
                false => scalar.into(),
            }
        }
    }
}

impl Shown {
    /// A line of `tables.txt`.
    fn read(line: &'static str) -> Shown {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("a line has four words and columns");
        let (schema, name, oid, kind) = (word(), word(), word(), word());
        let columns = words.map(|column| {
            let (name, sql) = column.split_once(':').expect("a column has a type");
            (name, column_type(sql))
        });
        let rows = ROWS.iter().find(|row| (row.0, row.1) == (schema, name));
        Shown {
            schema,
            name,
            oid: oid.parse().expect("a number of an object"),
            is_view: kind == "v",
            columns: columns.collect(),
            rows: rows.map(|row| row.2),
        }
    }

    fn table(&'static self, session: &Arc<Effects>) -> Table {
        let column = |(name, sql): &(&str, SqlType)| Column {
            name: (*name).to_owned(),
            sql: *sql,
            bound: Bound::Column(Path::field(*name)),
            required: false,
            default: None,
        };
        let columns = self.columns.iter().map(column).collect();
        let made = Made {
            shown: self,
            session: Arc::clone(session),
        };
        Table::made(Definition::new(self.name), columns, made)
    }
}

/// Takes the rows of a table.
struct Fill<'e> {
    shown: &'static Shown,
    each: Each<'e>,
    /// No more are wanted: those that come are left out.
    done: bool,
}

impl Fill<'_> {
    /// A row of all columns in their order.
    fn whole(&mut self, values: Vec<Value>) -> Result<(), SqlError> {
        debug_assert_eq!(values.len(), self.shown.columns.len());
        if !self.done {
            self.done = !(self.each)(values)?;
        }
        Ok(())
    }

    /// A row of these columns, best in their order; all others are null.
    fn row<const N: usize>(&mut self, values: [(&str, Value); N]) -> Result<(), SqlError> {
        if self.done {
            return Ok(());
        }
        let columns = &self.shown.columns;
        let mut row = vec![Value::Null; columns.len()];
        let mut next = 0;
        for (name, value) in values {
            let from = |from: usize| {
                let mut rest = columns[from..].iter();
                rest.position(|(known, _)| *known == name)
                    .map(|at| from + at)
            };
            let at = from(next).or_else(|| from(0));
            let at = at.expect("the table has the column");
            row[at] = value;
            next = at + 1;
        }
        self.whole(row)
    }
}

/// The rows of such a table, as a session sees them.
#[derive(Clone)]
pub(crate) struct Made {
    shown: &'static Shown,
    session: Arc<Effects>,
}

impl Made {
    /// Refuses to change it.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn check_changes(&self) -> Result<(), SqlError> {
        check_changes(&format!("{self:?}"))
    }

    /// Calls `each` with the rows as they are now, until it answers `false`.
    ///
    /// # Errors
    /// Those of `each`.
    pub(crate) fn rows(&self, database: &Database, each: Each<'_>) -> Result<(), SqlError> {
        let seen = Seen {
            database,
            session: &self.session,
        };
        self.session.forget_objects();
        let shown = self.shown;
        match shown.rows {
            Some(rows) => {
                let done = false;
                rows(&seen, &mut Fill { shown, each, done })
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shown.schema, self.shown.name)
    }
}

/// The one of a collection's name ([`crate::statement::collection_name`]).
fn shown(name: &str) -> Option<&'static Shown> {
    let name = name.split_once('.').unwrap_or(("pg_catalog", name));
    BY_NAME.get(&name).copied()
}

/// The table of a name, if it is one of these, for a session.
pub(crate) fn table(name: &str, session: &Arc<Effects>) -> Option<Table> {
    shown(name).map(|shown| shown.table(session))
}

/// Refuses to change or define what has such a name.
///
/// # Errors
/// It is one of these.
pub(crate) fn check_changes(name: &str) -> Result<(), SqlError> {
    match shown(name) {
        None => Ok(()),
        Some(shown) => {
            let message = format!("{:?} shows the system, and cannot be changed", shown.name);
            Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message))
        }
    }
}

fn number(number: impl Into<i64>) -> Value {
    Value::Int(number.into())
}

/// What there may be, or null.
fn or_null(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}
