//! The table of all settings: help texts, reading, errors and the reference follow from it.
//!
//! A new setting is a new row. Tests: in `config`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use velocitydb::{HistoryKept, StorageMode, TimeSpan};
use velocitydb_server::check_log_filter;

use super::Settings;
use crate::text::{Bytes, exact_bytes};

/// A setting: the key `memory-limit` of the file is the flag `--memory-limit` and the variable
/// `VELOCITYDB_MEMORY_LIMIT`.
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Which values it has, and where they go.
    pub kind: Kind,
    /// What holds when nobody says.
    pub default: Default,
    /// Whether a reload can change it.
    pub change: Change,
    /// What it is for, in one sentence.
    pub about: &'static str,
}

/// The default of a setting.
pub enum Default {
    /// This value, as a file would say it.
    Value(&'static str),
    /// No value, which means this.
    Unset(&'static str),
}

/// When a changed setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// After a reload.
    Live,
    /// After a restart.
    Restart,
}

/// The values of a setting, and how one is set.
pub enum Kind {
    /// Any text.
    Text(&'static str, fn(&mut Settings, &str)),
    /// One of these names.
    OneOf(
        &'static [&'static str],
        fn(&mut Settings, &str) -> Result<(), String>,
    ),
    /// An IP address and a port.
    Address(fn(&mut Settings, SocketAddr)),
    /// Bytes.
    Size(RangeInclusive<u64>, fn(&mut Settings, Bytes)),
    /// A time span.
    Span(RangeInclusive<Duration>, fn(&mut Settings, Duration)),
    /// A number.
    Count(RangeInclusive<usize>, fn(&mut Settings, usize)),
    /// `true` or `false`.
    Switch(fn(&mut Settings, bool)),
    /// A filter of log lines.
    LogFilter(fn(&mut Settings, &str)),
}
use Change::{Live, Restart};
use Default::{Unset, Value};
use Kind::{Address, Count, LogFilter, OneOf, Size, Span, Switch, Text};

const DAY: Duration = Duration::from_secs(24 * 3600);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY;

/// Every setting, in the order of the help and the reference.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    Key { name: "data", kind: Text("DIR", |s, v| s.data = v.into()),
        default: Value(super::DATA_DEFAULT), change: Restart,
        about: "Directory of the data; created when it is missing" },
    Key { name: "mode", kind: OneOf(&["memory-only", "memory-first", "persistent"],
            |s, v| set(&mut s.mode, v.parse::<StorageMode>())),
        default: Value("memory-first"), change: Restart,
        about: "How much of the data lives where: memory-only (no files, empty after a restart), memory-first (in memory, logged) or persistent (logged and forced to the disk before each answer)" },
    Key { name: "encryption-key-file", kind: Text("FILE", |s, v| s.keys.encryption_key_file = Some(v.into())),
        default: Unset("no encryption"), change: Restart,
        about: "File with the key that encrypts the log and the checkpoints: 32 random bytes, or 64 hexadecimal digits" },
    Key { name: "encryption-previous-key-file", kind: Text("FILE", |s, v| s.keys.encryption_previous_key_file = Some(v.into())),
        default: Unset("none"), change: Restart,
        about: "File with the key before that one, until everything is encrypted with the new one" },
    Key { name: "durability", kind: OneOf(&["none", "memory", "os", "full"],
            |s, v| set(&mut s.durability, v.parse().map(Some))),
        default: Unset("the mode's own"), change: Restart,
        about: "What must have happened to a write before it is answered: none, memory, os (it survives a crash of the program) or full (it survives a loss of power)" },
    Key { name: "http", kind: Address(|s, v| s.server.http = v),
        default: Value("127.0.0.1:7480"), change: Restart,
        about: "Address of the HTTP door; port 0 takes any free port" },
    Key { name: "postgres", kind: Address(|s, v| s.postgres = Some(v)),
        default: Unset("closed"), change: Restart,
        about: "Address of the PostgreSQL door, such as 127.0.0.1:7432: SQL for clients of PostgreSQL, which is in the making" },
    Key { name: "insecure", kind: Switch(|s, v| s.server.insecure = v),
        default: Value("false"), change: Restart,
        about: "Allow an address that others can reach, although nobody is asked for a password" },
    Key { name: "host-names", kind: Text("NAMES", |s, v| s.server.host_names = names(v)),
        default: Unset("none"), change: Restart,
        about: "Names by which clients reach the server, besides localhost and its addresses, with commas between them" },
    Key { name: "cors-origins", kind: Text("ORIGINS", |s, v| s.server.cors_origins = names(v)),
        default: Unset("none"), change: Restart,
        about: "Origins of pages in browsers that may use the server besides its own, such as https://app.example, with commas between them" },
    Key { name: "memory-limit", kind: Size(1..=u64::MAX, |s, v| s.memory_limit = Some(v)),
        default: Unset("no limit"), change: Restart,
        about: "Memory that the data may take; writes that need more are refused" },
    Key { name: "in-flight-limit", kind: Size(24 << 20..=1 << 40,
            |s, v| s.server.in_flight_bytes_max = usize::try_from(v.0).unwrap_or(usize::MAX)),
        default: Value("256MiB"), change: Restart,
        about: "Bodies and answers that may be in flight at once, each counted from 64 KiB on; requests that need more are answered 503" },
    Key { name: "connections", kind: Count(1..=1_000_000, |s, v| s.server.connections_max = v),
        default: Value("10000"), change: Live,
        about: "Connections open at once; further ones are answered 503" },
    Key { name: "requests", kind: Count(1..=1_000_000, |s, v| s.server.requests_concurrent_max = v),
        default: Value("1024"), change: Restart,
        about: "Requests worked on at once; further ones are answered 503" },
    Key { name: "request-timeout", kind: Span(TIMEOUT, |s, v| s.server.request_timeout = v),
        default: Value("30s"), change: Live,
        about: "How long a request may take, from its head to its answer" },
    Key { name: "query-timeout", kind: Span(TIMEOUT, |s, v| s.server.query_timeout = v),
        default: Value("25s"), change: Live,
        about: "How long a query may take; what is left of its request's time holds besides" },
    Key { name: "query-memory", kind: Size(1 << 20..=1 << 40,
            |s, v| s.server.query_bytes_max = usize::try_from(v.0).unwrap_or(usize::MAX)),
        default: Value("256MiB"), change: Live,
        about: "Memory that a query may take in each of its stages, besides the documents themselves; queries that need more are answered 422" },
    Key { name: "query-memory-total", kind: Size(1 << 20..=1 << 40, |s, v| s.query_memory = Some(v)),
        default: Unset("a quarter of memory-limit, 1GiB without one"), change: Restart,
        about: "Memory that all queries together may take, besides the documents themselves; queries that need more than is left are answered 503" },
    Key { name: "idle-timeout", kind: Span(TIMEOUT, |s, v| s.server.idle_timeout = v),
        default: Value("75s"), change: Live,
        about: "How long a connection may be idle, or take to send a request's head" },
    Key { name: "write-timeout", kind: Span(TIMEOUT, |s, v| s.server.write_timeout = v),
        default: Value("30s"), change: Live,
        about: "How long a client may take nothing of its answer before its connection is closed" },
    Key { name: "transactions", kind: Count(1..=1_000_000, |s, v| s.server.transactions_max = v),
        default: Value("256"), change: Restart,
        about: "Transactions open at once; further ones are answered 503" },
    Key { name: "transaction-timeout", kind: Span(Duration::from_millis(1)..=Duration::from_secs(300), |s, v| s.server.transaction_timeout = v),
        default: Value("60s"), change: Restart,
        about: "How long a transaction may be open, used or not; then it is rolled back" },
    Key { name: "transaction-idle-timeout", kind: Span(Duration::from_millis(1)..=Duration::from_secs(300), |s, v| s.server.transaction_idle_timeout = v),
        default: Value("30s"), change: Restart,
        about: "How long a transaction may be open without a request; then it is rolled back" },
    Key { name: "streams", kind: Count(1..=1_000_000, |s, v| s.server.streams_max = v),
        default: Value("1000"), change: Restart,
        about: "Streams of changes open at once; further ones are answered 503" },
    Key { name: "history-limit", kind: Size(1 << 20..=1 << 40,
            |s, v| s.history.bytes_max = usize::try_from(v.0).unwrap_or(usize::MAX)),
        default: Value("64MiB"), change: Restart,
        about: "Memory for the newest changes, kept for those who follow them; the oldest go" },
    Key { name: "history-kept", kind: Span(Duration::ZERO..=DAY, |s, v| s.history.kept = HistoryKept::WhileFollowed(v)),
        default: Value("5min"), change: Restart,
        about: "How long changes are kept after the last one who followed them has left, who may come back" },
    Key { name: "drain-timeout", kind: Span(TIMEOUT, |s, v| s.server.drain_timeout = v),
        default: Value("10s"), change: Live,
        about: "How long requests in progress are waited for when the server stops" },
    Key { name: "slow-operation", kind: Span(Duration::ZERO..=DAY, |s, v| s.server.slow_operation = v),
        default: Value("100ms"), change: Live,
        about: "Operations that take at least this long are logged, counted and kept for GET /v1/admin/slow; 0 for none" },
    Key { name: "sync-every", kind: Span(Duration::from_millis(1)..=DAY, |s, v| s.sync_every = v),
        default: Value("1s"), change: Restart,
        about: "How often the log is forced to the disk for writes that do not wait for it" },
    Key { name: "checkpoint-every", kind: Span(Duration::from_secs(1)..=DAY, |s, v| s.checkpoint_every = v),
        default: Value("300s"), change: Restart,
        about: "How often a checkpoint is written when something has changed" },
    Key { name: "sample", kind: Switch(|s, v| s.sample = v),
        default: Value("false"), change: Restart,
        about: "Load the sample data (all flights from New York in 2013) where it is not there yet" },
    Key { name: "log-format", kind: OneOf(&["auto", "text", "json"], |s, v| set(&mut s.log_format, v.parse())),
        default: Value("auto"), change: Restart,
        about: "How log lines look: text, json, or auto for text on a terminal and json elsewhere" },
    Key { name: "log-level", kind: LogFilter(|s, v| s.log_level = v.to_owned()),
        default: Value("info"), change: Live,
        about: "What is logged: error, warn, info, debug or trace, for all or as in info,velocitydb_server=debug" },
];

fn set<T, E: ToString>(place: &mut T, value: Result<T, E>) -> Result<(), String> {
    *place = value.map_err(|error| error.to_string())?;
    Ok(())
}

fn names(text: &str) -> Vec<String> {
    let names = text.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

impl Key {
    /// The variable of the environment.
    pub fn variable(&self) -> String {
        format!("VELOCITYDB_{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// What stands for a value in the help.
    pub fn value_name(&self) -> &'static str {
        match &self.kind {
            Text(name, _) => name,
            OneOf(..) => "NAME",
            Address(_) => "ADDR",
            Size(..) => "SIZE",
            Span(..) => "DURATION",
            Count(..) => "N",
            Switch(_) => "BOOL",
            LogFilter(_) => "LEVEL",
        }
    }

    /// Which values it takes.
    pub fn values(&self) -> String {
        match &self.kind {
            Text("DIR", _) => "a directory".to_owned(),
            Text("FILE", _) => "a file".to_owned(),
            Text(..) => "text".to_owned(),
            OneOf(names, _) => format!("one of {}", names.join(", ")),
            Address(_) => {
                "an IP address and a port, such as 127.0.0.1:7480 or [::1]:7480".to_owned()
            }
            Size(range, _) if *range.end() == u64::MAX => {
                "a size such as 4GiB, 512MiB or 1048576".to_owned()
            }
            Size(range, _) => format!(
                "a size such as 512MiB, from {} to {}",
                exact_bytes(*range.start()),
                exact_bytes(*range.end())
            ),
            Span(range, _) => format!(
                "a duration such as 100ms, 30s, 5min or 1h (a number alone: seconds), from {} to {}",
                TimeSpan::from(*range.start()),
                TimeSpan::from(*range.end())
            ),
            Count(range, _) => format!("a whole number from {} to {}", range.start(), range.end()),
            Switch(_) => "true or false".to_owned(),
            LogFilter(_) => "error, warn, info, debug or trace, or targets with levels".to_owned(),
        }
    }

    /// The help of its flag.
    pub fn help(&self) -> String {
        let (Value(default) | Unset(default)) = self.default;
        format!(
            "{} [default: {default}] [env: {}]",
            self.about,
            self.variable()
        )
    }

    /// Reads a value.
    ///
    /// # Errors
    /// What would be right.
    pub fn set(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        let wrong = || format!("expected {}, got {text:?}", self.values());
        let text = text.trim();
        match &self.kind {
            Text(_, set) if !text.is_empty() => set(settings, text),
            Text(..) => return Err(wrong()),
            OneOf(names, set) => set(settings, text).map_err(|error| {
                // Its own words, where they say more (`hybrid` is a mode to come).
                match names.iter().all(|name| error.contains(name)) {
                    true => wrong(),
                    false => error,
                }
            })?,
            Address(set) => set(settings, address(text).ok_or_else(wrong)?),
            Size(range, set) => {
                let size = text
                    .parse()
                    .ok()
                    .filter(|Bytes(bytes)| range.contains(bytes));
                set(settings, size.ok_or_else(wrong)?);
            }
            Span(range, set) => {
                let span = text.parse().map(|span: TimeSpan| span.into());
                let span = span.ok().filter(|span| range.contains(span));
                set(settings, span.ok_or_else(wrong)?);
            }
            Count(range, set) => {
                let count = text.replace('_', "").parse().ok();
                set(
                    settings,
                    count
                        .filter(|count| range.contains(count))
                        .ok_or_else(wrong)?,
                );
            }
            Switch(set) => set(settings, text.parse().map_err(|_| wrong())?),
            LogFilter(set) => {
                check_log_filter(text).map_err(|_| wrong())?;
                set(settings, text);
            }
        }
        Ok(())
    }
}

/// Reads an address. `localhost` is taken as 127.0.0.1; other names are not looked up.
fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse().ok(),
        None => text.parse().ok(),
    }
}

/// The key that a wrong one was probably meant to be.
pub fn nearest(wrong: &str) -> Option<&'static str> {
    let wrong = wrong.to_lowercase().replace('_', "-");
    velocitydb_import::nearest(&wrong, KEYS.iter().map(|key| key.name))
}

/// docs/reference/configuration.md.
pub fn reference() -> String {
    let mut text = "# Configuration\n\n\
        <!-- Written by `cargo xtask fix` from the table in crates/velocitydb-cli/src/config/keys.rs. -->\n\n\
        Settings of `velocitydb serve`. A flag wins over the environment, which wins over the file\n\
        that `--config` (or `VELOCITYDB_CONFIG`) names. The file is YAML, its keys are the first\n\
        column. A key that does not exist and a value that is not allowed are errors. Where the\n\
        last column says live, a reload changes the setting: [Running a server](../operating/serve.md).\n\n\
        | key | flag | environment | value | default | changes |\n\
        | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for key in KEYS {
        let default = match key.default {
            Value(value) => format!("`{value}`"),
            Unset(words) => words.to_owned(),
        };
        let change = match key.change {
            Live => "live",
            Restart => "at a restart",
        };
        let row = format!(
            "| `{name}` | `--{name}` | `{}` | {} | {default} | {change} |\n",
            key.variable(),
            key.values(),
            name = key.name,
        );
        text += &row;
    }
    text += "\n";
    for key in KEYS {
        writeln!(text, "- `{}`: {}.", key.name, key.about).expect("writing to memory");
    }
    text
}
