//! What statements do to their session and to other sessions, beside documents: notifications,
//! advisory locks and settings; and the functions that do it.
//!
//! Notifications, LISTEN and UNLISTEN are kept until the transaction is committed
//! ([`Effects::commit`]); a rollback forgets them. Statements are bound to the session that prepares
//! them, as with `nextval`. Tests: tests/it/sessions.

mod advisory;
mod call;
mod config;
mod sessions;

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use velocitydb::locks::{Owner, OwnerId};
use velocitydb::notifications::{Listener, Notification, Turn};
use velocitydb::{Collections, Database, DatabaseId, Sequence, Transaction};

use crate::catalog::objects::Objects;
use crate::error::{SqlError, sqlstate};
use crate::session::Saved;

use self::advisory::Deeds;
use self::config::Config;

pub(crate) use call::Function;

/// A longer name of a channel is refused.
const CHANNEL_BYTES_MAX: usize = 63;

/// A longer payload is refused.
const PAYLOAD_BYTES_MAX: usize = 7_999;

/// How much one transaction may notify.
const PENDING_BYTES_MAX: usize = 16 << 20;

/// How many channels one session may listen to.
const CHANNELS_MAX: usize = 10_000;

/// See the module. One session's own.
pub(crate) struct Effects {
    database: Database,
    pub(crate) owner: Owner,
    state: Mutex<State>,
    /// Whether calls have set something since this was asked last.
    has_set: AtomicBool,
    /// What the transaction is protected from, as PostgreSQL calls it, and whether it only reads.
    transaction: Mutex<(&'static str, bool)>,
}

struct State {
    /// What the transaction does when it is committed, in order.
    pending: Vec<Pending>,
    /// The notifications among that: each once.
    notified: HashSet<Notification>,
    /// What they take.
    bytes: usize,
    listener: Option<Listener>,
    deeds: Deeds,
    config: Config,
    own: Own,
    /// What has a number, for the statement that is run.
    objects: Option<Arc<Objects>>,
}

/// What the transaction that is open has defined, and nobody else sees yet.
#[derive(Default)]
pub(crate) struct Own {
    /// All collections as it sees them; `None`: as all do.
    pub(crate) collections: Option<Collections>,
    /// Sequences by name; `None`: it has dropped it.
    pub(crate) sequences: Vec<(String, Option<Arc<Sequence>>)>,
}

impl Own {
    /// Of this transaction.
    pub(crate) fn of(transaction: &Transaction) -> Own {
        let defines = transaction.definitions() != 0;
        Own {
            collections: defines.then(|| transaction.catalog()),
            sequences: transaction.own_sequences(),
        }
    }
}

enum Pending {
    Listen(String),
    /// `None`: all channels.
    Unlisten(Option<String>),
    Notify(Notification),
}

/// A position among what a transaction does when it is committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EffectsMark(usize);

impl Pending {
    fn bytes(&self) -> usize {
        size_of::<Pending>()
            + match self {
                Pending::Listen(channel) => channel.len(),
                Pending::Unlisten(channel) => channel.as_ref().map_or(0, String::len),
                // Its own and that of the set.
                Pending::Notify(notification) => 2 * notification.bytes(),
            }
    }
}

/// The number by which clients know the session of an owner: the owner's as far as that fits, and the
/// same again after two billion.
pub fn process_id(owner: OwnerId) -> i32 {
    (owner.0 & 0x7fff_ffff) as i32
}

fn invalid(message: &str) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

fn check_channel(channel: &str) -> Result<(), SqlError> {
    match channel.len() {
        0 => Err(invalid("channel name cannot be empty")),
        1..=CHANNEL_BYTES_MAX => Ok(()),
        _ => Err(invalid("channel name too long")),
    }
}

impl Effects {
    /// Of a session with these settings.
    pub(crate) fn new(database: Database, settings: Saved) -> Effects {
        Effects {
            owner: database.locks().owner(),
            state: Mutex::new(State {
                pending: Vec::new(),
                notified: HashSet::new(),
                bytes: 0,
                listener: None,
                deeds: Deeds::default(),
                config: Config::new(settings),
                own: Own::default(),
                objects: None,
            }),
            has_set: AtomicBool::new(false),
            transaction: Mutex::default(),
            database,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while it was held has left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session's number, as clients know it.
    pub(crate) fn process_id(&self) -> i32 {
        process_id(self.owner.id())
    }

    /// Its database.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The number of its database.
    pub(crate) fn database_id(&self) -> DatabaseId {
        self.database.id()
    }

    /// What the transaction that is open has defined is this from now on.
    pub(crate) fn set_own(&self, own: Own) {
        self.state().own = own;
    }

    /// What of the database has a number, as the session sees it.
    ///
    /// # Errors
    /// Sequences cannot be read.
    pub(crate) fn objects(&self) -> Result<Arc<Objects>, SqlError> {
        let mut state = self.state();
        if let Some(objects) = &state.objects {
            return Ok(Arc::clone(objects));
        }
        let own = state.own.collections.clone();
        let collections = own.unwrap_or_else(|| self.database.catalog());
        let mut sequences = self.database.sequences()?;
        for (name, own) in &state.own.sequences {
            sequences.retain(|sequence| sequence.definition().name != *name);
            sequences.extend(own.clone());
        }
        let sequences = sequences.iter().map(|sequence| sequence.definition());
        let objects = Arc::new(Objects::new(&collections, sequences.collect()));
        state.objects = Some(Arc::clone(&objects));
        Ok(objects)
    }

    /// What had a number is looked at anew.
    pub(crate) fn forget_objects(&self) {
        self.state().objects = None;
    }

    /// Notifies when the transaction is committed.
    ///
    /// # Errors
    /// No channel can be called so, the payload is too long, or it is too much of all.
    pub(crate) fn notify(&self, channel: &str, payload: &str) -> Result<(), SqlError> {
        check_channel(channel)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(invalid("payload string too long"));
        }
        let notification = Notification {
            from: self.owner.id(),
            channel: channel.into(),
            payload: payload.into(),
        };
        let mut state = self.state();
        match state.notified.insert(notification.clone()) {
            true => state.add(Pending::Notify(notification)),
            false => Ok(()),
        }
    }

    /// Listens from the commit of the transaction on.
    ///
    /// # Errors
    /// No channel can be called so, or it is one too many.
    pub(crate) fn listen(&self, channel: &str) -> Result<(), SqlError> {
        check_channel(channel)?;
        let mut state = self.state();
        let listens = state.listener.as_ref().map_or(0, Listener::channels);
        if listens + state.pending.len() >= CHANNELS_MAX {
            let message = format!("a session can listen to {CHANNELS_MAX} channels at most");
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
        }
        state.add(Pending::Listen(channel.to_owned()))
    }

    /// Does not listen to a channel any more, or to none, from the commit of the transaction on.
    ///
    /// # Errors
    /// The transaction does too much when it is committed.
    pub(crate) fn unlisten(&self, channel: Option<&str>) -> Result<(), SqlError> {
        let channel = channel.map(str::to_owned);
        self.state().add(Pending::Unlisten(channel))
    }

    /// The present position in the transaction.
    pub(crate) fn mark(&self) -> EffectsMark {
        EffectsMark(self.state().pending.len())
    }

    /// Forgets what is to be done since then.
    pub(crate) fn roll_back_to(&self, mark: EffectsMark) {
        let mut state = self.state();
        while state.pending.len() > mark.0 {
            let Some(pending) = state.pending.pop() else {
                break;
            };
            state.bytes -= pending.bytes();
            if let Pending::Notify(notification) = pending {
                state.notified.remove(&notification);
            }
        }
    }

    /// The transaction was not committed.
    pub(crate) fn roll_back(&self) {
        let mut state = self.state();
        if !state.pending.is_empty() {
            (state.pending, state.bytes) = (Vec::new(), 0);
            state.notified = HashSet::new();
        }
    }

    /// Whether the transaction notifies others.
    pub(crate) fn notifies(&self) -> bool {
        !self.state().notified.is_empty()
    }

    /// Makes a commit: with a place among those who notify, if the transaction does.
    pub(crate) fn order<R>(&self, make: impl FnOnce() -> R) -> (R, Option<Turn>) {
        match self.notifies() {
            true => {
                let (made, turn) = self.database.notifications().turn(make);
                (made, Some(turn))
            }
            false => (make(), None),
        }
    }

    /// The transaction was committed.
    pub(crate) fn commit(&self, turn: Option<Turn>) {
        let mut state = self.state();
        if state.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut state.pending);
        (state.notified, state.bytes) = (HashSet::new(), 0);
        let mut notifications = Vec::new();
        for pending in pending {
            match pending {
                Pending::Listen(channel) => {
                    let all = self.database.notifications();
                    let listener = state.listener.get_or_insert_with(|| all.listener());
                    listener.listen(&channel);
                }
                Pending::Unlisten(channel) => match (&state.listener, channel) {
                    (Some(listener), Some(channel)) => listener.unlisten(&channel),
                    (Some(listener), None) => listener.unlisten_all(),
                    (None, _) => {}
                },
                Pending::Notify(notification) => notifications.push(notification),
            }
        }
        drop(state);
        match turn {
            Some(turn) => turn.send(notifications),
            None if notifications.is_empty() => {}
            None => self.database.notifications().send(notifications),
        }
    }

    /// The next notification, if there is one; if not, the waker is woken by it.
    pub(crate) fn poll_notification(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Notification, SqlError>> {
        let state = self.state();
        let Some(listener) = &state.listener else {
            return Poll::Pending;
        };
        listener.poll_next(context).map_err(|fell_behind| {
            let message = "too many notifications were waiting for this session to take them";
            SqlError::new(sqlstate::CONFIGURATION_LIMIT_EXCEEDED, message)
                .detail(fell_behind.to_string())
        })
    }

    /// The end of the session.
    pub(crate) fn end(&self) {
        self.roll_back();
        self.owner.release_all();
        let listener = self.state().listener.take();
        drop(listener);
    }
}

impl State {
    fn add(&mut self, pending: Pending) -> Result<(), SqlError> {
        let bytes = self.bytes + pending.bytes();
        if bytes > PENDING_BYTES_MAX {
            if let Pending::Notify(notification) = &pending {
                self.notified.remove(notification);
            }
            let message = format!(
                "too many notifications in one transaction: they take more than \
                 {PENDING_BYTES_MAX} bytes"
            );
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
        }
        self.bytes = bytes;
        self.pending.push(pending);
        Ok(())
    }
}
