//! Queries of several tables and stages, on DataFusion over snapshots.
//!
//! ```text
//!   Relation ──► plan ─────────────► LogicalPlan ──► DataFusion ──► batches ──► rows
//!   (bound by     expression,         over scan
//!   velocitydb-   function,           (snapshots,
//!   sql)          aggregate           indexes)
//! ```
//!
//! PostgreSQL's meaning comes from `velocitydb_sql`: it binds names and types, and its functions are the
//! ones that are called. DataFusion joins, groups, sorts, and computes what Arrow computes alike;
//! [`form`] says how values stand in Arrow's columns.
//!
//! Tests: tests/it/slt, with PostgreSQL's answers.

#![forbid(unsafe_code)]

mod aggregate;
mod expression;
mod form;
mod function;
mod indexed;
mod plan;
mod run;
mod scan;
mod unfold;
mod window;

pub use run::Analytics;
