//! SQL as PostgreSQL speaks it, over collections.
//!
//! ```text
//!   text ──► parse ──────► bind ─────────► statement ──► run, in a transaction
//!            (sqlparser)   names, types,   what the
//!                          functions       engine does
//! ```
//!
//! What is not native goes to the session's [`Planner`], if it has one, or is refused.
//!
//! - [`formats`] has the texts and bytes in which PostgreSQL's clients send and get values.
//! - [`casts`] makes values of one type those of another.
//! - [`functions`] has the functions and operators.
//!
//! What is not here: the network, threads.

#![forbid(unsafe_code)]

pub mod absent;
mod aggregate;
mod bind;
mod bound;
pub mod casts;
mod catalog;
mod conditions;
mod copy;
mod definitions;
mod effects;
mod error;
pub mod formats;
pub mod functions;
mod indexed;
mod named;
mod parse;
mod planner;
pub mod relation;
mod search_path;
mod sequences;
mod session;
mod settings;
mod shape;
mod statement;
mod table;
mod temporary;
mod violations;
mod words;

pub use bound::Environment;
pub use copy::{CopyIn, CopyTo};
pub use effects::process_id;
pub use error::{Place, SqlError, sqlstate};
pub use named::Named;
pub use parse::{Parsed, SQL_BYTES_MAX, parse, parse_within};
pub use planner::{Explained, Plan, Planner};
pub use session::{Answer, Canceller, Prepared, Runtime, Session, Status, Threads};
pub use settings::SERVER_VERSION;
pub use shape::{Shape, shape};
pub use statement::rows::{Column, Rows};
pub use table::Tables;
