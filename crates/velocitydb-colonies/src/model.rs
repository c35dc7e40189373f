//! States and amounts: small types that several groups use.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use velocitydb::{RawValue, Value};

use crate::error::Error;
use crate::row::Column;

/// Makes an enum of what ColonyOS writes as a number.
macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $number:literal, $word:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub enum $name {
            $($(#[$of])* $variant = $number,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// Its number, as it is stored and in JSON.
            pub fn number(self) -> i64 {
                self as i64
            }

            /// The one of this number.
            pub fn of(number: i64) -> Option<$name> {
                Self::ALL.iter().copied().find(|one| one.number() == number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$variant => $word,)*
                })
            }
        }

        impl Column for $name {
            fn read(value: Option<RawValue<'_>>) -> Self {
                value.and_then(|value| value.as_int()).and_then($name::of).unwrap_or_default()
            }

            fn write(&self) -> Value {
                Value::Int(self.number())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.number())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = i64::deserialize(deserializer)?;
                $name::of(number).ok_or_else(|| {
                    serde::de::Error::custom(format!("{number} is no number of {}", stringify!($name)))
                })
            }
        }
    };
}

numbered! {
    /// How far a process, or a graph of processes, has come.
    State {
        /// Nobody has it yet.
        #[default]
        Waiting = 0, "waiting";
        /// An executor has it.
        Running = 1, "running";
        /// It was done.
        Successful = 2, "successful";
        /// It was not, or something before it was not.
        Failed = 3, "failed";
        /// Somebody gave it up.
        Cancelled = 4, "cancelled";
    }
}

impl State {
    /// Whether nothing more comes of it.
    pub fn is_closed(self) -> bool {
        matches!(self, State::Successful | State::Failed | State::Cancelled)
    }
}

numbered! {
    /// Whether an executor may work.
    ExecutorState {
        /// Nobody has said yet.
        #[default]
        Pending = 0, "pending";
        /// It may.
        Approved = 1, "approved";
        /// It may not.
        Rejected = 2, "rejected";
        /// It has left.
        Unregistered = 3, "unregistered";
    }
}

numbered! {
    /// What an attribute of a process is for.
    AttributeKind {
        /// Goes in.
        #[default]
        In = 0, "in";
        /// Comes out.
        Out = 1, "out";
        /// What went wrong.
        Err = 2, "err";
        /// The environment.
        Env = 3, "env";
    }
}

/// Makes a type of an amount that ColonyOS writes as a text with a unit.
macro_rules! amount {
    ($(#[$meta:meta])* $name:ident, $parse:path, $show:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(i64, &mut fmt::Formatter<'_>) -> fmt::Result = $show;
                show(self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                $parse(text).map($name)
            }
        }

        impl Column for $name {
            fn read(value: Option<RawValue<'_>>) -> Self {
                $name(i64::read(value))
            }

            fn write(&self) -> Value {
                Value::Int(self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

amount! {
    /// Processors, in thousandths: `1500m` in JSON.
    Cpu, cpu, |thousandths, f| write!(f, "{thousandths}m")
}

amount! {
    /// Bytes: `10Gi`, `512MiB`, `1G` in JSON, and written there in whole `Mi`.
    Bytes, bytes, |bytes, f| write!(f, "{}Mi", bytes / (1 << 20))
}

impl Bytes {
    /// So many MiB.
    pub fn mib(mib: i64) -> Bytes {
        Bytes(mib.saturating_mul(1 << 20))
    }
}

/// As ColonyOS reads it: what does not end with `m` is none.
fn cpu(text: &str) -> Result<i64, Error> {
    match text.strip_suffix('m') {
        None => Ok(0),
        Some(number) => number
            .parse()
            .map_err(|_| Error::Invalid(format!("{text:?} is no amount of CPU, such as 1500m"))),
    }
}

/// Units of memory, as ColonyOS reads them.
const UNITS: &[(&str, i64)] = &[
    ("KiB", 1 << 10),
    ("Ki", 1 << 10),
    ("MiB", 1 << 20),
    ("Mi", 1 << 20),
    ("GiB", 1 << 30),
    ("Gi", 1 << 30),
    ("TiB", 1 << 40),
    ("Ti", 1 << 40),
    ("KB", 1_000),
    ("Kb", 1_000),
    ("K", 1_000),
    ("MB", 1_000_000),
    ("Mb", 1_000_000),
    ("M", 1_000_000),
    ("GB", 1_000_000_000),
    ("Gb", 1_000_000_000),
    ("G", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("Tb", 1_000_000_000_000),
];

fn bytes(text: &str) -> Result<i64, Error> {
    if text.is_empty() {
        return Ok(0);
    }
    let unit = |(unit, of): &(&str, i64)| text.strip_suffix(unit).map(|number| (number, *of));
    let read = UNITS.iter().find_map(unit);
    let read = read.and_then(|(number, of)| number.parse::<i64>().ok()?.checked_mul(of));
    read.ok_or_else(|| {
        Error::Invalid(format!(
            "{text:?} is no amount of memory, such as 512Mi or 10Gi"
        ))
    })
}
