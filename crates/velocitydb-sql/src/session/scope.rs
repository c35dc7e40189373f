//! Settings of a session, and how long they hold: to its end, or to that of a transaction block.
//!
//! A rollback takes back what was set since, COMMIT what was set by SET LOCAL; RESET sets what the
//! client wished when it connected. Tests: tests/it/settings.rs.

use std::sync::Arc;

use super::{Answer, Session};
use crate::error::{SqlError, sqlstate};
use crate::formats::Settings;
use crate::settings::{self, Named};

/// All settings as they are at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    pub(crate) settings: Arc<Settings>,
    pub(crate) named: Arc<Named>,
}

/// What the settings of a transaction block become at its end, once one was changed in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// When it is rolled back.
    before: Option<Saved>,
    /// When it is committed, unless it is what they are then.
    after: Option<Saved>,
}

impl Saved {
    pub(super) fn new(settings: &Arc<Settings>, named: &Arc<Named>) -> Saved {
        Saved {
            settings: Arc::clone(settings),
            named: Arc::clone(named),
        }
    }

    /// Changes one; without a value, to that of `initial`.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        initial: &Saved,
    ) -> Result<(), SqlError> {
        let first;
        let value = match value {
            Some(value) => value,
            None if settings::notice(name).is_some() => return Ok(()),
            None => match settings::show(&initial.settings, &initial.named, name) {
                Err(_) if Arc::make_mut(&mut self.named).forget(name) => return Ok(()),
                shown => {
                    first = shown?;
                    &first
                }
            },
        };
        let mut settings = (*self.settings).clone();
        settings::set(&mut settings, Arc::make_mut(&mut self.named), name, value)?;
        // Statements are bound anew when there are others.
        if settings != *self.settings {
            self.settings = Arc::new(settings);
        }
        Ok(())
    }
}

impl Session {
    /// Who the client is, and what it wishes its settings to be.
    ///
    /// # Errors
    /// There is no setting of such a name, or it cannot have this value.
    pub fn introduce(&mut self, user: &str, settings: &[(String, String)]) -> Result<(), SqlError> {
        let own = Arc::make_mut(&mut self.settings);
        own.user = user.into();
        for (name, value) in settings {
            self.set(name, value)?;
        }
        self.initial = self.saved();
        self.tell_settings();
        Ok(())
    }

    /// Whether the client wants to hear of a notice, or of a warning (`client_min_messages`).
    pub fn wants_notice(&self, is_warning: bool) -> bool {
        match self.named.client_min_messages() {
            "error" => false,
            "warning" => is_warning,
            _ => true,
        }
    }

    pub(super) fn saved(&self) -> Saved {
        Saved::new(&self.settings, &self.named)
    }

    fn restore(&mut self, saved: Saved) {
        self.settings = saved.settings;
        self.named = saved.named;
        self.changed = true;
        self.tell_settings();
    }

    /// Those who show settings, or do something by them, are told what they are.
    pub(super) fn tell_settings(&self) {
        // Its locks are shown with the name of the application.
        self.locks.owner().set_label(self.named.application_name());
        self.effects.configure(self.saved(), self.initial.clone());
    }

    /// Sets what calls of `set_config` in a statement have asked for, when it has been run; the answer is
    /// what is worth knowing.
    pub(super) fn set_by_calls(&mut self, ran: bool) -> Result<Vec<SqlError>, SqlError> {
        let mut notices = Vec::new();
        for set in self.effects.take_sets() {
            // Without a block it was to the end of this statement.
            let is_over = set.local && self.block.is_none();
            if ran {
                notices.extend(settings::notice(&set.name));
            }
            if ran && !is_over {
                self.set_all(&[(set.name, set.value)], set.local)?;
            }
        }
        Ok(notices)
    }

    /// SET and RESET of these; `local`: to the end of the transaction block.
    pub(super) fn set_all(
        &mut self,
        all: &[(String, Option<String>)],
        local: bool,
    ) -> Result<Answer, SqlError> {
        let before = self.saved();
        let mut new = before.clone();
        for (name, value) in all {
            new.set(name, value.as_deref(), &self.initial)?;
        }
        let Some(block) = &mut self.block else {
            if local {
                let message = "SET LOCAL can only be used in transaction blocks";
                let warning = SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message);
                return Ok(Answer {
                    notices: vec![warning],
                    ..Answer::done("SET")
                });
            }
            self.restore(new);
            return Ok(Answer::done("SET"));
        };
        if local {
            block.scope.after.get_or_insert_with(|| before.clone());
        } else if let Some(after) = &mut block.scope.after {
            for (name, value) in all {
                after.set(name, value.as_deref(), &self.initial)?;
            }
        }
        block.scope.before.get_or_insert(before);
        self.restore(new);
        Ok(Answer::done("SET"))
    }

    /// RESET ALL, and that of DISCARD ALL.
    pub(super) fn reset_all(&mut self) {
        let before = self.saved();
        if let Some(block) = &mut self.block {
            block.scope.before.get_or_insert(before);
            block.scope.after = None;
        }
        self.restore(self.initial.clone());
    }

    /// What a savepoint keeps of the settings.
    pub(super) fn mark_settings(&self) -> (Saved, Scope) {
        let scope = self.block.as_ref().map(|block| block.scope.clone());
        (self.saved(), scope.unwrap_or_default())
    }

    /// Goes back to what a savepoint has kept.
    pub(super) fn settings_back_to(&mut self, (saved, scope): (Saved, Scope)) {
        if let Some(block) = &mut self.block
            && block.scope.before.is_some()
        {
            block.scope = scope;
            self.restore(saved);
        }
    }

    /// The end of a transaction block: what its settings become.
    pub(super) fn end_scope(&mut self, scope: Scope, committed: bool) {
        let becomes = if committed { scope.after } else { scope.before };
        if let Some(saved) = becomes {
            self.restore(saved);
        }
    }
}
