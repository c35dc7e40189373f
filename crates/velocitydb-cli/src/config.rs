//! How `velocitydb serve` is configured: flags, then the environment, then a file, then defaults.
//!
//! [`Flags`] is the one table: a flag `--memory-limit` is `VELOCITYDB_MEMORY_LIMIT` in the
//! environment and the key `memory-limit` in the file, which is YAML. The values of the file are
//! read by the same parsers as those of flags. A key that is not known is an error.
//! Tests: below, and tests/it/config.rs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};
use velocitydb::{Durability, Options, StorageMode};
use velocitydb_server::LogFormat;

use crate::failure::Failure;
use crate::text::Bytes;

/// Where the data is kept when nobody says.
pub const DATA_DEFAULT: &str = "./velocitydb-data";

/// The port of the HTTP door.
const HTTP_PORT: u16 = 7480;

/// What can be configured; `None` is left to the next source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Flags {
    /// Directory of the data; created when it is missing [default: ./velocitydb-data]
    #[arg(long, value_name = "DIR", env = "VELOCITYDB_DATA")]
    pub data: Option<PathBuf>,

    /// How much of the data lives where: memory-only (no files, empty after a restart),
    /// memory-first (in memory, logged) or persistent (logged and forced to the disk before each
    /// answer) [default: memory-first]
    #[arg(long, value_name = "MODE", env = "VELOCITYDB_MODE")]
    pub mode: Option<StorageMode>,

    /// What must have happened to a write before it is answered: none, memory, os (it survives a
    /// crash of the program) or full (it survives a loss of power) [default: the mode's own]
    #[arg(long, value_name = "LEVEL", env = "VELOCITYDB_DURABILITY")]
    pub durability: Option<Durability>,

    /// Address of the HTTP door; port 0 takes any free port [default: 127.0.0.1:7480]
    #[arg(long, value_name = "ADDR", env = "VELOCITYDB_HTTP", value_parser = address)]
    pub http: Option<SocketAddr>,

    /// File with these settings: YAML, the keys are the names of the flags
    #[arg(long, value_name = "FILE", env = "VELOCITYDB_CONFIG")]
    pub config: Option<PathBuf>,

    /// Memory that the data may take, as 4GiB or 512MiB; writes that need more are refused
    /// [default: no limit]
    #[arg(long, value_name = "SIZE", env = "VELOCITYDB_MEMORY_LIMIT")]
    pub memory_limit: Option<Bytes>,

    /// Bodies and answers that may be in flight at once, as 256MiB, each counted from 64 KiB on;
    /// requests that need more are answered 503 [default: 256MiB]
    #[arg(long, value_name = "SIZE", env = "VELOCITYDB_IN_FLIGHT_LIMIT")]
    pub in_flight_limit: Option<Bytes>,

    /// Seconds in which a client must take something of its answer; else its connection is
    /// closed [default: 30]
    #[arg(long, value_name = "SECONDS", env = "VELOCITYDB_WRITE_TIMEOUT", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub write_timeout: Option<u64>,

    /// Allow an address that others can reach, although nobody is asked for a password
    #[arg(
        long,
        value_name = "BOOL",
        env = "VELOCITYDB_INSECURE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub insecure: Option<bool>,

    /// Load the sample data (all flights from New York in 2013) where it is not there yet
    #[arg(
        long,
        value_name = "BOOL",
        env = "VELOCITYDB_SAMPLE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub sample: Option<bool>,

    /// How log lines look: text, json, or auto for text on a terminal and json elsewhere
    /// [default: auto]
    #[arg(long, value_name = "FORMAT", env = "VELOCITYDB_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// What is logged: error, warn, info, debug or trace, for all or as in
    /// info,velocitydb_server=debug [default: info]
    #[arg(long, value_name = "LEVEL", env = "VELOCITYDB_LOG_LEVEL")]
    pub log_level: Option<String>,
}

/// What holds when all sources have been asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Directory of the data. Not used in `memory-only` mode.
    pub data: PathBuf,
    /// The storage mode.
    pub mode: StorageMode,
    /// The level of writes that name none; the mode's own when `None`.
    pub durability: Option<Durability>,
    /// Address of the HTTP door.
    pub http: SocketAddr,
    /// Memory that the data may take.
    pub memory_limit: Option<Bytes>,
    /// Bodies and answers that may be in flight at once.
    pub in_flight_limit: Bytes,
    /// In which a client must take something of its answer.
    pub write_timeout: Duration,
    /// Whether an address that others can reach is allowed.
    pub insecure: bool,
    /// Whether the sample data is loaded.
    pub sample: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: String,
}

impl Flags {
    /// The settings: flags and environment are in `self` already, the file is read now.
    ///
    /// # Errors
    /// The file cannot be read, or a key or value in it is wrong.
    pub fn settle(self) -> Result<Settings, Failure> {
        let file = match &self.config {
            Some(path) => Flags::from_file(path)?,
            None => Flags::default(),
        };
        let all = self.or(file);
        let mode = all.mode.unwrap_or_default();
        if let (StorageMode::MemoryOnly, Some(level @ (Durability::Os | Durability::Full))) =
            (mode, all.durability)
        {
            return Err(Failure::Usage(format!(
                "mode memory-only keeps no files, so no write can be `{}`: use memory-first or \
                 persistent, or leave out the durability",
                level.name()
            )));
        }
        Ok(Settings {
            data: all.data.unwrap_or_else(|| DATA_DEFAULT.into()),
            mode,
            durability: all.durability,
            http: all
                .http
                .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, HTTP_PORT).into()),
            memory_limit: all.memory_limit,
            in_flight_limit: all.in_flight_limit.unwrap_or(Bytes(256 << 20)),
            write_timeout: Duration::from_secs(all.write_timeout.unwrap_or(30)),
            insecure: all.insecure.unwrap_or(false),
            sample: all.sample.unwrap_or(false),
            log_format: all.log_format.unwrap_or_default(),
            log_level: all.log_level.unwrap_or_else(|| "info".to_owned()),
        })
    }

    /// These, and where they say nothing the others.
    fn or(self, others: Flags) -> Flags {
        Flags {
            data: self.data.or(others.data),
            mode: self.mode.or(others.mode),
            durability: self.durability.or(others.durability),
            http: self.http.or(others.http),
            config: self.config.or(others.config),
            memory_limit: self.memory_limit.or(others.memory_limit),
            in_flight_limit: self.in_flight_limit.or(others.in_flight_limit),
            write_timeout: self.write_timeout.or(others.write_timeout),
            insecure: self.insecure.or(others.insecure),
            sample: self.sample.or(others.sample),
            log_format: self.log_format.or(others.log_format),
            log_level: self.log_level.or(others.log_level),
        }
    }

    fn from_file(path: &Path) -> Result<Flags, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::Usage(format!("cannot read the configuration {shown}: {error}"))
        })?;
        Flags::from_yaml(&text)
            .map_err(|what| Failure::Usage(format!("the configuration {shown}: {what}")))
    }

    /// Turns each key into the flag of its name, so that there is one way to read a value.
    fn from_yaml(text: &str) -> Result<Flags, String> {
        let keys: BTreeMap<String, Option<String>> =
            serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let command = Flags::augment_args(Command::new("configuration").no_binary_name(true));
        let mut flags = Flags::default();
        for (key, value) in keys {
            let known = command
                .get_arguments()
                .filter_map(|argument| argument.get_long());
            let known: Vec<&str> = known
                .filter(|name| !matches!(*name, "config" | "help"))
                .collect();
            if !known.contains(&key.as_str()) {
                return Err(unknown_key(&key, &known));
            }
            // A key without a value is one that was left out.
            let Some(value) = value else { continue };
            let read = command
                .clone()
                .try_get_matches_from([format!("--{key}={value}")])
                .and_then(|matches| Flags::from_arg_matches(&matches));
            let read = read.map_err(|error| format!("key `{key}`: {}", first_line(&error)))?;
            flags = flags.or(read);
        }
        Ok(flags)
    }
}

impl Settings {
    /// As the database takes them.
    pub fn options(&self) -> Options {
        let mut options = match self.mode {
            StorageMode::MemoryOnly => Options::in_memory(),
            mode => Options::at(&self.data).mode(mode),
        };
        if let Some(level) = self.durability {
            options = options.durability(level);
        }
        if let Some(Bytes(bytes)) = self.memory_limit {
            options = options.memory_limit(bytes);
        }
        options
    }
}

/// What clap says, without its advice about flags.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&key.replace('_', "-"), name),
                name,
            )
        })
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 2);
    let advice = match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("the keys are {}", known.join(", ")),
    };
    format!("there is no key `{key}`; {advice}")
}

/// Reads an address. `localhost` is taken as 127.0.0.1; other names are not looked up.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        "write an IP address and a port, such as 127.0.0.1:7480 or [::1]:7480".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(yaml: &str) -> String {
        Flags::from_yaml(yaml).unwrap_err()
    }

    #[test]
    fn every_key_is_read_as_its_flag() {
        let yaml = "
            # where and how
            data: /var/lib/velocitydb
            mode: persistent
            durability: os
            http: localhost:80
            memory-limit: 4GiB
            in-flight-limit: 64MiB
            write-timeout: 10
            insecure: true
            sample: false
            log-format: json
            log-level: debug
        ";
        let expected = Flags {
            data: Some("/var/lib/velocitydb".into()),
            mode: Some(StorageMode::Persistent),
            durability: Some(Durability::Os),
            http: Some("127.0.0.1:80".parse().unwrap()),
            config: None,
            memory_limit: Some(Bytes(4 << 30)),
            in_flight_limit: Some(Bytes(64 << 20)),
            write_timeout: Some(10),
            insecure: Some(true),
            sample: Some(false),
            log_format: Some(LogFormat::Json),
            log_level: Some("debug".into()),
        };
        assert_eq!(Flags::from_yaml(yaml), Ok(expected));
    }

    #[test]
    fn what_is_empty_says_nothing() {
        for yaml in ["", "# nothing\n", "data:\n", "mode: ~\n"] {
            assert_eq!(Flags::from_yaml(yaml), Ok(Flags::default()), "{yaml:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_nearest() {
        assert_eq!(
            wrong("memory_limit: 1"),
            "there is no key `memory_limit`; did you mean `memory-limit`?"
        );
        assert_eq!(
            wrong("htttp: 1"),
            "there is no key `htttp`; did you mean `http`?"
        );
        assert!(wrong("config: a").contains("there is no key `config`"));
        let far = wrong("replication-factor: 3");
        assert!(
            far.contains("the keys are data, mode, durability, http, memory-limit"),
            "{far}"
        );
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        for (yaml, part) in [
            (
                "mode: fast",
                "none of memory-only, memory-first, persistent",
            ),
            ("durability: very", "none of none, memory, os, full"),
            ("http: 7480", "write an IP address and a port"),
            ("memory-limit: much", "is not a size such as 4GiB"),
            ("insecure: perhaps", "invalid value 'perhaps'"),
            ("log-format: xml", "none of auto, text, json"),
        ] {
            let error = wrong(yaml);
            let key = yaml.split(':').next().unwrap();
            assert!(error.starts_with(&format!("key `{key}`: ")), "{error}");
            assert!(error.contains(part), "{error}");
        }
        assert!(wrong("data: [1, 2]").contains("line 1"));
        assert!(wrong("mode: persistent\nmode: persistent").contains("duplicate"));
    }

    #[test]
    fn the_first_source_that_speaks_wins() {
        let first = Flags {
            sample: Some(false),
            ..Flags::default()
        };
        let second = Flags {
            sample: Some(true),
            mode: Some(StorageMode::Persistent),
            ..Flags::default()
        };
        let both = first.or(second);
        assert_eq!(
            (both.sample, both.mode),
            (Some(false), Some(StorageMode::Persistent))
        );
    }
}
