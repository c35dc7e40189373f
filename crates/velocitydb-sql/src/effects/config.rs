//! `set_config` and `current_setting`: the settings as they are while a statement runs.
//!
//! The session has the settings. It says here what they are ([`Effects::configure`]), and behind each
//! statement it does what calls have asked for ([`Effects::take_sets`]), as SET would. Until then they
//! stand here, for other calls of the statement; one that fails or is run again has set nothing. Tests:
//! tests/it/slt/settings.slt.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use velocitydb::Isolation;

use super::Effects;
use crate::error::SqlError;
use crate::formats::Settings;
use crate::session::Saved;
use crate::settings;

/// See the module.
#[derive(Debug)]
pub(super) struct Config {
    now: Saved,
    /// What RESET goes back to.
    initial: Saved,
    /// As they were when the statement began, once a call has set one.
    before: Option<Saved>,
    set: Vec<Set>,
}

/// What a call has set.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) name: String,
    /// `None`: to that of the beginning.
    pub(crate) value: Option<String>,
    /// To the end of the transaction.
    pub(crate) local: bool,
}

impl Config {
    pub(super) fn new(saved: Saved) -> Config {
        Config {
            initial: saved.clone(),
            now: saved,
            before: None,
            set: Vec::new(),
        }
    }
}

impl Effects {
    /// The settings are these from now on.
    pub(crate) fn configure(&self, now: Saved, initial: Saved) {
        let mut state = self.state();
        state.config = Config {
            initial,
            ..Config::new(now)
        };
    }

    /// The transaction is one of this level from now on.
    pub(crate) fn set_transaction(&self, isolation: Isolation, only_reads: bool) {
        let told = (settings::isolation_name(isolation), only_reads);
        *self.transaction() = told;
    }

    fn transaction(&self) -> MutexGuard<'_, (&'static str, bool)> {
        // Whoever panicked while it was held has left it whole.
        let held = self.transaction.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the session as they are while the statement runs.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.state().config.now.settings)
    }

    /// The value of a setting; `None`: there is none of this name.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        match &*name.to_lowercase() {
            "transaction_isolation" => return Some(self.transaction().0.to_owned()),
            "transaction_read_only" => {
                return Some(settings::on_or_off(self.transaction().1).to_owned());
            }
            _ => {}
        }
        let state = self.state();
        let Saved { settings, named } = &state.config.now;
        settings::show(settings, named, name).ok()
    }

    /// The value that a setting had when the session began.
    pub(crate) fn first_setting(&self, name: &str) -> Option<String> {
        let state = self.state();
        let Saved { settings, named } = &state.config.initial;
        settings::show(settings, named, name).ok()
    }

    /// Sets one, and answers its value.
    ///
    /// # Errors
    /// There is none of this name, or it cannot have this value.
    pub(super) fn set_config(&self, set: Set) -> Result<String, SqlError> {
        let mut state = self.state();
        let config = &mut state.config;
        let mut new = config.now.clone();
        new.set(&set.name, set.value.as_deref(), &config.initial)?;
        let shown = match settings::notice(&set.name) {
            Some(_) => set.value.clone().unwrap_or_default(),
            None => settings::show(&new.settings, &new.named, &set.name)?,
        };
        let before = std::mem::replace(&mut config.now, new);
        config.before.get_or_insert(before);
        // However many rows do it.
        let same = |other: &Set| other.name == set.name && other.local == set.local;
        config.set.retain(|other| !same(other));
        config.set.push(set);
        self.has_set.store(true, Ordering::Relaxed);
        Ok(shown)
    }

    /// What the statement has set; here it is forgotten.
    pub(crate) fn take_sets(&self) -> Vec<Set> {
        if !self.has_set.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.has_set.store(false, Ordering::Relaxed);
        let mut state = self.state();
        let config = &mut state.config;
        if let Some(before) = config.before.take() {
            config.now = before;
        }
        std::mem::take(&mut config.set)
    }
}
