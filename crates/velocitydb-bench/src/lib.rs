//! Benchmarks of the product, run by `velocitydb bench`.
//!
//! The rules: both sides alternate in one run, at least seven rounds; the median ratio counts
//! and its spread is printed beside the absolute figures; a spread wider than the margin to the
//! bar is "inconclusive", not a pass. Same data, same durability, same client on both sides. No
//! code of the product knows of a benchmark's names or keys.
//!
//! In reading order: [`measure`] (rounds, ratios, the report), [`data`] (documents and ids),
//! [`embedded`] (the library against bare structures of the language), [`query`] (queries against
//! SQLite and DuckDB), [`http`] (the HTTP door against a bare route), [`pg`] (the PostgreSQL door
//! against PostgreSQL), [`tpch`] (the same door asked TPC-H's queries), [`native`] (ColonyOS's assignments
//! through its adapter, embedded), [`process`] (the servers and programs of both).

pub mod data;
pub mod embedded;
pub mod http;
pub mod measure;
pub mod native;
pub mod pg;
mod process;
pub mod query;
pub mod tpch;

/// What stops a benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] velocitydb::Error),
    /// ColonyOS's adapter failed.
    #[error(transparent)]
    Colonies(#[from] velocitydb_colonies::Error),
    /// A file or the operating system failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// SQLite failed.
    #[cfg(feature = "peers")]
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The benchmark cannot run here.
    #[error("{0}")]
    Unfit(String),
}
