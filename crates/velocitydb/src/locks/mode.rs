//! How strongly something is locked, and which modes exclude each other.
//!
//! ```text
//!   held by another:   KEY SHARE   SHARE   NO KEY UPDATE   UPDATE
//!   KEY SHARE                                                x
//!   SHARE                                        x           x
//!   NO KEY UPDATE                    x           x           x
//!   UPDATE                 x         x           x           x
//! ```
//!
//! That is PostgreSQL's table of row locks. Each mode excludes all that a weaker one does, so the
//! strongest mode of an owner says all about it. Tests: `locks/tests.rs`.

use std::fmt;

/// The strength of a lock, from the weakest. Advisory locks, unique keys and collections need two of
/// them: [`Mode::SHARED`] and [`Mode::EXCLUSIVE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// The row stays, with its key: `FOR KEY SHARE`, and what a foreign key takes.
    KeyShare,
    /// The row stays as it is: `FOR SHARE`.
    Share,
    /// The row is changed, but not its key: `FOR NO KEY UPDATE`, and most `UPDATE`s.
    NoKeyUpdate,
    /// The row is deleted, or its key changed: `FOR UPDATE`, `DELETE`.
    Update,
}

impl Mode {
    /// What several owners may have at once, where there are only two modes.
    pub const SHARED: Mode = Mode::Share;
    /// What one owner has alone.
    pub const EXCLUSIVE: Mode = Mode::Update;
    /// All of them, from the weakest.
    pub const ALL: [Mode; 4] = [Mode::KeyShare, Mode::Share, Mode::NoKeyUpdate, Mode::Update];

    /// Whether two owners cannot have these modes of one lock at the same time.
    pub fn conflicts(self, other: Mode) -> bool {
        const EXCLUDED: [u8; 4] = [0b1000, 0b1100, 0b1110, 0b1111];
        EXCLUDED[self as usize] & (1 << other as u8) != 0
    }

    /// PostgreSQL's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::KeyShare => "KEY SHARE",
            Mode::Share => "SHARE",
            Mode::NoKeyUpdate => "NO KEY UPDATE",
            Mode::Update => "UPDATE",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
