//! What this program is: its version and what it was built from and for.

/// `0.1.0 (commit …, x86_64-unknown-linux-gnu, release)`.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("VELOCITYDB_COMMIT"),
    ", ",
    env!("VELOCITYDB_TARGET"),
    ", ",
    env!("VELOCITYDB_PROFILE"),
    ")"
);

/// `0.1.0`.
pub const SHORT: &str = env!("CARGO_PKG_VERSION");
