//! Reading the configuration again while the server runs.
//!
//! Where the configuration comes from is the program's matter: it gives the server a
//! [`ReadConfig`], which reads and checks everything, or fails and changes nothing. What can
//! change live is in [`Live`]; everything else is told as needing a restart.
//! A timeout of a connection holds for connections that are made later.
//! Tests: tests/it/reload.rs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::config::ServerConfig;
use crate::system;

/// Reads the configuration again, checks it, and says what is different.
#[derive(Clone)]
pub struct ReadConfig(Arc<Read>);

type Read = dyn Fn() -> Result<(ServerConfig, Reloaded), String> + Send + Sync;

impl ReadConfig {
    /// Whatever `read` has checked with [`ServerConfig::check`] is used; its error changes
    /// nothing.
    pub fn new(
        read: impl Fn() -> Result<(ServerConfig, Reloaded), String> + Send + Sync + 'static,
    ) -> ReadConfig {
        ReadConfig(Arc::new(read))
    }

    pub(crate) fn read(&self) -> Result<(ServerConfig, Reloaded), String> {
        (self.0)()
    }
}

impl fmt::Debug for ReadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadConfig")
    }
}

/// What a reload found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// Holds from now on.
    pub changed: Vec<Change>,
    /// Holds after a restart; until then, what was.
    pub needs_restart: Vec<Change>,
}

/// A setting that is different from before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Change {
    /// Its key.
    pub key: &'static str,
    /// Its value before.
    pub from: String,
    /// Its value in the configuration now.
    pub to: String,
}

/// Why nothing was reloaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// There is nothing to read again.
    #[error("the server was started without a configuration file (--config)")]
    NoFile,
    /// The configuration is wrong; everything is as before.
    #[error("{0}")]
    Wrong(String),
}

/// What can change while the server runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) connections_max: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) query_timeout: Duration,
    pub(crate) query_bytes_max: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    /// 0: none is slow.
    pub(crate) slow_operation: Duration,
}

impl Live {
    pub(crate) fn of(config: &ServerConfig) -> Live {
        Live {
            connections_max: system::connections_possible(
                config.connections_max,
                system::file_limit(),
            ),
            request_timeout: config.request_timeout,
            query_timeout: config.query_timeout,
            query_bytes_max: config.query_bytes_max,
            idle_timeout: config.idle_timeout,
            write_timeout: config.write_timeout,
            drain_timeout: config.drain_timeout,
            slow_operation: config.slow_operation,
        }
    }
}

/// Reloads the configuration of a running server: for signals.
#[derive(Clone)]
pub struct Reloader(pub(crate) Arc<App>);

impl Reloader {
    /// Reads the configuration again and uses what can change live; logs the outcome. Reads a
    /// file: not for a thread that must not wait.
    ///
    /// # Errors
    /// Nothing to read, or something wrong in it; then nothing has changed.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        let outcome = self.0.reload();
        match &outcome {
            Ok(reloaded) => {
                for Change { key, from, to } in &reloaded.changed {
                    tracing::info!(key, from, to, "a setting has changed");
                }
                for Change { key, from, to } in &reloaded.needs_restart {
                    tracing::warn!(key, from, to, "a setting needs a restart to change");
                }
                let changed = reloaded.changed.len();
                tracing::info!(changed, "the configuration was read again");
            }
            Err(error) => tracing::error!(%error, "the configuration is as it was"),
        }
        outcome
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloader")
    }
}
