//! How `velocitydb serve` is configured: flags, then the environment, then a file, then defaults.
//!
//! [`keys::KEYS`] is the one table of settings. [`Flags`] makes a flag of each, and
//! [`Flags::settle`] asks the sources in their order; every value is read by its key, and an
//! error names key and source. [`reader`] does it again for a server that runs.
//! Tests: below, and tests/it/config.rs.

pub mod keys;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde_saphyr::Spanned;
use velocitydb::{Durability, HistoryOptions, Options, StorageMode};
use velocitydb_server::{Change, LogFormat, ReadConfig, Reloaded, ServerConfig, set_log_filter};

use crate::encryption::KeyFiles;
use crate::failure::Failure;
use crate::text::Bytes;
use keys::{KEYS, Key, Kind, nearest};

/// Where the data is kept when nobody says.
pub const DATA_DEFAULT: &str = "./velocitydb-data";

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// By key.
    given: BTreeMap<&'static str, String>,
    /// The file.
    config: Option<PathBuf>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .env("VELOCITYDB_CONFIG")
            .value_parser(clap::value_parser!(PathBuf))
            .help("File with these settings: YAML, the keys are the names of the flags");
        let flags = KEYS.iter().map(|key| {
            let flag = Arg::new(key.name)
                .long(key.name)
                .value_name(key.value_name())
                .help(key.help());
            match key.kind {
                Kind::Switch(_) => flag
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true"),
                _ => flag,
            }
        });
        command.arg(file).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, clap::Error> {
        let given = |key: &Key| Some((key.name, matches.get_one::<String>(key.name)?.clone()));
        Ok(Flags {
            given: KEYS.iter().filter_map(given).collect(),
            config: matches.get_one::<PathBuf>("config").cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What holds when all sources have been asked.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Directory of the data. Not used in `memory-only` mode.
    pub data: PathBuf,
    /// The storage mode.
    pub mode: StorageMode,
    /// The level of writes that name none; the mode's own when `None`.
    pub durability: Option<Durability>,
    /// Memory that the data may take.
    pub memory_limit: Option<Bytes>,
    /// Memory that all queries together may take.
    pub query_memory: Option<Bytes>,
    /// The keys that encrypt the data.
    pub keys: KeyFiles,
    /// What is kept of the changes for those who follow them.
    pub history: HistoryOptions,
    /// How often the log is forced to the disk.
    pub sync_every: Duration,
    /// How often a checkpoint is written.
    pub checkpoint_every: Duration,
    /// Whether the sample data is loaded.
    pub sample: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: String,
    /// Where the PostgreSQL door is; `None`: it is closed.
    pub postgres: Option<SocketAddr>,
    /// The server's.
    pub server: ServerConfig,
    /// Each key that has a value, as it was written.
    texts: BTreeMap<&'static str, String>,
}

/// What a file says: a value and its line, by key.
type File = BTreeMap<String, Spanned<Option<String>>>;

impl Flags {
    /// Whether there is a file that can be read again.
    pub fn has_file(&self) -> bool {
        self.config.is_some()
    }

    /// The settings, of all sources as they are now.
    ///
    /// # Errors
    /// The file cannot be read, or a key or value is wrong; says where.
    pub fn settle(&self) -> Result<Settings, Failure> {
        self.settle_in(|name| std::env::var(name).ok())
            .map_err(Failure::Usage)
    }

    fn settle_in(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Settings, String> {
        let path = self.config.as_deref();
        let file = path.map_or(Ok(File::new()), read_file)?;
        let shown = path.unwrap_or(Path::new("")).display();
        let mut settings = Settings::default();
        for key in KEYS {
            let variable = key.variable();
            let in_file = file.get(key.name);
            let flag = || Some((self.given.get(key.name)?.clone(), format!("--{}", key.name)));
            let set = || Some((environment(&variable)?, variable.clone()));
            let line = || {
                let value = in_file?;
                let (name, line) = (key.name, value.referenced.line());
                // A key without a value is one that was left out.
                Some((
                    value.value.clone()?,
                    format!("key `{name}` of {shown}, line {line}"),
                ))
            };
            let default = || match key.default {
                keys::Default::Value(text) => Some((text.to_owned(), "the default".to_owned())),
                keys::Default::Unset(_) => None,
            };
            let Some((text, source)) = flag().or_else(set).or_else(line).or_else(default) else {
                continue;
            };
            key.set(&mut settings, &text)
                .map_err(|what| format!("{source}: {what}"))?;
            settings.texts.insert(key.name, text);
        }
        settings.check()?;
        Ok(settings)
    }
}

/// Reads a file. A key that is not known is an error.
fn read_file(path: &Path) -> Result<File, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the configuration {shown}: {error}"))?;
    let file: File = serde_saphyr::from_str(&text)
        .map_err(|error| format!("the configuration {shown}: {error}"))?;
    let unknown = file
        .iter()
        .find(|(name, _)| KEYS.iter().all(|key| key.name != *name));
    let Some((name, value)) = unknown else {
        return Ok(file);
    };
    let advice = match nearest(name) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => {
            let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
            format!("the keys are {}", names.join(", "))
        }
    };
    let line = value.referenced.line();
    Err(format!(
        "the configuration {shown}, line {line}: there is no key `{name}`; {advice}"
    ))
}

impl Settings {
    /// What no single key can say.
    fn check(&self) -> Result<(), String> {
        if let (StorageMode::MemoryOnly, Some(level @ (Durability::Os | Durability::Full))) =
            (self.mode, self.durability)
        {
            return Err(format!(
                "mode memory-only keeps no files, so no write can be `{}`: use memory-first or \
                 persistent, or leave out the durability",
                level.name()
            ));
        }
        Ok(())
    }

    /// As the database takes them.
    pub fn options(&self) -> Options {
        let mut options = match self.mode {
            StorageMode::MemoryOnly => Options::in_memory(),
            mode => Options::at(&self.data).mode(mode),
        };
        options = options
            .history(self.history)
            .sync_every(self.sync_every)
            .checkpoint_every(Some(self.checkpoint_every));
        if let Some(level) = self.durability {
            options = options.durability(level);
        }
        if let Some(Bytes(bytes)) = self.memory_limit {
            options = options.memory_limit(bytes);
        }
        if let Some(Bytes(bytes)) = self.query_memory {
            options = options.query_memory(bytes);
        }
        options
    }

    /// What of `new` differs, and which of it can change live.
    fn compare(&self, new: &Settings) -> Reloaded {
        let mut reloaded = Reloaded::default();
        for key in KEYS {
            let shown = |settings: &Settings| {
                let unset = match key.default {
                    keys::Default::Value(words) | keys::Default::Unset(words) => words,
                };
                let text = settings.texts.get(key.name);
                text.map_or(unset.to_owned(), |text| text.trim().to_owned())
            };
            let (from, to) = (shown(self), shown(new));
            if from == to {
                continue;
            }
            let change = Change {
                key: key.name,
                from,
                to,
            };
            match key.change {
                keys::Change::Live => reloaded.changed.push(change),
                keys::Change::Restart => reloaded.needs_restart.push(change),
            }
        }
        reloaded
    }

    /// Takes from `new` what can change live.
    fn take_live(&mut self, new: &Settings) {
        for key in KEYS.iter().filter(|key| key.change == keys::Change::Live) {
            if let Some(text) = new.texts.get(key.name) {
                self.texts.insert(key.name, text.clone());
            }
        }
    }
}

/// Reads the settings again for a server that runs with `settings`: nothing changes unless all of
/// it is right.
pub fn reader(flags: Flags, settings: Settings) -> ReadConfig {
    let running = Mutex::new(settings);
    ReadConfig::new(move || {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let new = match flags.settle() {
            Ok(new) => new,
            Err(Failure::Usage(what)) => return Err(what),
            Err(other) => return Err(format!("{other:?}")),
        };
        new.server.check().map_err(|error| error.to_string())?;
        set_log_filter(&new.log_level).map_err(|error| error.to_string())?;
        let reloaded = running.compare(&new);
        running.take_live(&new);
        Ok((new.server, reloaded))
    })
}

#[cfg(test)]
mod tests;
