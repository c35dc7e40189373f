//! How a database is, on one screen: `velocitydb status`, and `status` in the shell.
//!
//! Of a server it is read from `/health` and `/metrics`. Tests: below; tests/it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use velocitydb::Database;

use crate::figures::{Figures, Sample};
use crate::render::{bytes, count, escape, table, thousands};
use crate::targets::VELOCITY;

/// How a database is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The program that serves it.
    pub version: String,
    /// Whether reads are served.
    pub reads: bool,
    /// `ok`, or why writes are refused.
    pub writes: String,
    /// Something worth an eye.
    pub warning: Option<String>,
    /// How much of the data lives where.
    pub storage_mode: String,
    /// The durability of writes that name none.
    pub durability: String,
    /// The newest visible log index.
    pub index: u64,
    /// Entries made since the start.
    pub entries: u64,
    /// Requests that the state refused, since the start.
    pub refusals: u64,
    /// Snapshots in use.
    pub snapshots: u64,
    /// Bytes that the data takes.
    pub memory_used: u64,
    /// Bytes that it may take.
    pub memory_limit: Option<u64>,
    /// The log; `None` in memory-only mode.
    pub log: Option<LogStatus>,
    /// The checkpoints; `None` in memory-only mode.
    pub checkpoints: Option<CheckpointStatus>,
    /// The encryption; `None` without a key.
    pub encryption: Option<EncryptionStatus>,
    /// Of a server.
    pub server: Option<ServerStatus>,
    /// The collections, by database and name.
    pub collections: Vec<CollectionStatus>,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogStatus {
    /// Segments in use.
    pub segments: u64,
    /// Their size.
    pub bytes: u64,
    /// Written since the start.
    pub written_bytes: u64,
    /// Appended and not yet written.
    pub buffered_bytes: u64,
    /// Syncs since the start.
    pub syncs: u64,
}

/// The checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckpointStatus {
    /// Written since the start.
    pub written: u64,
    /// Failed since the start.
    pub failed: u64,
    /// The log index of the newest; 0 without one.
    pub last_index: u64,
    /// Documents in the last one written since the start.
    pub last_documents: u64,
    /// Its size.
    pub last_bytes: u64,
}

/// The encryption.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EncryptionStatus {
    /// Segments and checkpoints not yet encrypted with the present key.
    pub left_files: u64,
    /// Their size.
    pub left_bytes: u64,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerStatus {
    /// Since its start.
    pub uptime_seconds: f64,
    /// Connections open.
    pub connections: u64,
    /// Requests being worked on.
    pub in_flight: u64,
    /// Requests answered since the start.
    pub requests: u64,
    /// Those of them that were answered with an error of the server (status 500 and above).
    pub server_errors: u64,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CollectionStatus {
    /// The database that it is in.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its documents.
    pub documents: u64,
    /// Its memory.
    pub bytes: u64,
}

impl CollectionStatus {
    /// For people: behind its database, where that is not `velocity`.
    pub fn shown(&self) -> String {
        shown(&self.database, &self.name)
    }
}

/// A collection for people.
pub(crate) fn shown(database: &str, name: &str) -> String {
    let name = match database {
        VELOCITY => name.to_owned(),
        database => format!("{database}/{name}"),
    };
    escape(&name).into_owned()
}

/// The answer of `/health`.
#[derive(Debug, Clone, Deserialize)]
pub struct HealthAnswer {
    reads: bool,
    writes: String,
    warning: Option<String>,
    index: u64,
    storage_mode: String,
    durability: String,
    version: String,
}

/// The collections among the figures, by database and name.
pub(crate) fn collections(figures: &Figures) -> Vec<CollectionStatus> {
    let memory = figures.named("collection_bytes");
    let memory: BTreeMap<_, _> = memory
        .map(|sample| (collection(sample), sample.value as u64))
        .collect();
    let mut collections: Vec<_> = figures
        .named("collection_documents")
        .map(|sample| {
            let of = collection(sample);
            CollectionStatus {
                database: of.0.to_owned(),
                name: of.1.to_owned(),
                documents: sample.value as u64,
                bytes: memory.get(&of).copied().unwrap_or(0),
            }
        })
        .collect();
    collections.sort_by(|a, b| (&a.database, &a.name).cmp(&(&b.database, &b.name)));
    collections
}

/// The database and the name of the collection that a sample is of.
fn collection(sample: &Sample) -> (&str, &str) {
    (sample.label("database"), sample.label("collection"))
}

impl Status {
    /// A server's, from what it answered.
    pub fn of_server(health: HealthAnswer, figures: &Figures) -> Status {
        let whole = |name| figures.whole(name);
        let logged = figures.get("log_segments").is_some();
        let requests = |from: u16| {
            let all = figures.named("http_requests_total");
            let these = all.filter(|sample| {
                sample
                    .label("status")
                    .parse()
                    .is_ok_and(|status: u16| status >= from)
            });
            these.map(|sample| sample.value as u64).sum()
        };
        Status {
            version: health.version,
            reads: health.reads,
            writes: health.writes,
            warning: health.warning,
            storage_mode: health.storage_mode,
            durability: health.durability,
            index: health.index,
            entries: whole("entries_total"),
            refusals: whole("refusals_total"),
            snapshots: whole("snapshots"),
            memory_used: whole("memory_used_bytes"),
            memory_limit: figures.get("memory_limit_bytes").map(|limit| limit as u64),
            log: logged.then(|| LogStatus {
                segments: whole("log_segments"),
                bytes: whole("log_files_bytes"),
                written_bytes: whole("log_written_bytes_total"),
                buffered_bytes: whole("log_buffered_bytes"),
                syncs: whole("log_syncs_total"),
            }),
            checkpoints: logged.then(|| CheckpointStatus {
                written: whole("checkpoints_total"),
                failed: whole("checkpoints_failed_total"),
                last_index: whole("checkpoint_index"),
                last_documents: whole("checkpoint_documents"),
                last_bytes: whole("checkpoint_size_bytes"),
            }),
            encryption: figures
                .get("encryption_left_files")
                .map(|_| EncryptionStatus {
                    left_files: whole("encryption_left_files"),
                    left_bytes: whole("encryption_left_bytes"),
                }),
            server: Some(ServerStatus {
                uptime_seconds: figures.get("uptime_seconds").unwrap_or(0.0),
                connections: whole("http_connections"),
                in_flight: whole("http_requests_in_flight"),
                requests: requests(0),
                server_errors: requests(500),
            }),
            collections: collections(figures),
        }
    }

    /// A database's of this process.
    pub(crate) fn of_database(database: &Database, collections: Vec<CollectionStatus>) -> Status {
        let (health, stats) = (database.health(), database.stats());
        let checkpoints = stats.checkpoints;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            reads: health.reads,
            writes: health.writes.err().unwrap_or_else(|| "ok".to_owned()),
            warning: health.warning,
            storage_mode: database.mode().name().to_owned(),
            durability: database.default_durability().name().to_owned(),
            index: stats.visible_index,
            entries: stats.entries,
            refusals: stats.refusals,
            snapshots: stats.snapshots as u64,
            memory_used: stats.memory_used,
            memory_limit: stats.memory_limit,
            log: stats.log.map(|log| LogStatus {
                segments: log.segments,
                bytes: log.segment_bytes,
                written_bytes: log.bytes_written,
                buffered_bytes: log.buffered_bytes,
                syncs: log.syncs,
            }),
            checkpoints: stats.log.map(|_| CheckpointStatus {
                written: checkpoints.written,
                failed: checkpoints.failed,
                last_index: checkpoints.last_index,
                last_documents: checkpoints.last_documents,
                last_bytes: checkpoints.last_bytes,
            }),
            encryption: stats.key.map(|_| EncryptionStatus {
                left_files: stats.rekey.files,
                left_bytes: stats.rekey.bytes,
            }),
            server: None,
            collections,
        }
    }

    /// Whether reads and writes are served.
    pub fn is_well(&self) -> bool {
        self.reads && self.writes == "ok"
    }

    /// As one line of JSON.
    pub fn json(&self) -> String {
        let text = serde_json::to_string(self).expect("strings and numbers are JSON");
        escape(&text).into_owned()
    }

    /// For people.
    pub fn text(&self, width: Option<usize>) -> String {
        let mut lines = vec![("version", self.version.clone())];
        if let Some(server) = &self.server {
            lines.push(("up for", duration(server.uptime_seconds)));
        }
        let data = format!(
            "{} (writes at durability `{}`)",
            self.storage_mode, self.durability
        );
        lines.push(("data", data));
        lines.push((
            "health",
            match self.is_well() {
                true => "reads and writes are served".to_owned(),
                false => format!("writes are refused: {}", self.writes),
            },
        ));
        lines.extend(self.warning.clone().map(|warning| ("warning", warning)));
        lines.push(("memory", self.memory()));
        if let Some(server) = &self.server {
            let requests = format!(
                "{} answered, {} with an error of the server, {} in progress, {}",
                thousands(server.requests),
                thousands(server.server_errors),
                thousands(server.in_flight),
                count(server.connections, "connection"),
            );
            lines.push(("requests", requests));
        }
        let entries = format!(
            "index {}; {} and {} since the start; {} in use",
            thousands(self.index),
            entries(self.entries),
            count(self.refusals, "refusal"),
            count(self.snapshots, "snapshot"),
        );
        lines.push(("state", entries));
        lines.extend(self.log.as_ref().map(|log| ("log", log.text())));
        let checkpoints = self.checkpoints.as_ref();
        lines.extend(checkpoints.map(|some| ("checkpoints", some.text(self.index))));
        let encryption = self.encryption.as_ref();
        lines.extend(encryption.map(|some| ("encryption", some.text())));
        let mut text: Vec<String> = lines
            .iter()
            .map(|(name, value)| format!("{name:<12} {}", escape(value)))
            .collect();
        text.push(collection_table(&self.collections, width));
        text.join("\n")
    }

    fn memory(&self) -> String {
        match self.memory_limit {
            None => format!("{} (no limit)", bytes(self.memory_used)),
            Some(limit) => format!(
                "{} of {} ({:.0} %)",
                bytes(self.memory_used),
                bytes(limit),
                self.memory_used as f64 / limit.max(1) as f64 * 100.0
            ),
        }
    }
}

impl LogStatus {
    fn text(&self) -> String {
        format!(
            "{} of {} in all; {} written, {} since the start; {} waiting",
            count(self.segments, "segment"),
            bytes(self.bytes),
            bytes(self.written_bytes),
            count(self.syncs, "sync"),
            bytes(self.buffered_bytes),
        )
    }
}

impl EncryptionStatus {
    fn text(&self) -> String {
        match self.left_files {
            0 => "all files are under the present key".to_owned(),
            left => format!(
                "{} of {} in all not yet under the present key",
                count(left, "file"),
                bytes(self.left_bytes)
            ),
        }
    }
}

/// A number of log entries.
fn entries(number: u64) -> String {
    let noun = if number == 1 { "entry" } else { "entries" };
    format!("{} {noun}", thousands(number))
}

impl CheckpointStatus {
    pub(crate) fn text(&self, index: u64) -> String {
        if self.last_index == 0 {
            return format!("none yet; {} failed", self.failed);
        }
        let mut text = format!(
            "the last is at index {}, {} ago; {} written, {} failed since the start",
            thousands(self.last_index),
            entries(index.saturating_sub(self.last_index)),
            self.written,
            self.failed,
        );
        if self.written > 0 {
            let documents = count(self.last_documents, "document");
            text += &format!("; {documents}, {}", bytes(self.last_bytes));
        }
        text
    }
}

/// Collections as a table.
pub(crate) fn collection_table(collections: &[CollectionStatus], width: Option<usize>) -> String {
    if collections.is_empty() {
        return "no collections".to_owned();
    }
    let head = ["collection", "documents", "memory"].map(str::to_owned);
    let rows = collections.iter().map(|collection| {
        vec![
            collection.shown(),
            thousands(collection.documents),
            bytes(collection.bytes),
        ]
    });
    table(&head, rows.collect(), &[false, true, true], width)
}

/// A duration by its two largest units.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        for (seconds, text) in [
            (0.9, "0 s"),
            (61.0, "1 min 1 s"),
            (3_661.0, "1 h 1 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_server_that_refuses_writes_says_why() {
        let health = r#"{"reads": true, "writes": "the log\u001b failed", "warning": "w",
            "index": 12, "storage_mode": "memory-first", "durability": "os", "version": "1"}"#;
        let figures = "velocitydb_log_segments 1\nvelocitydb_checkpoint_index 10\n\
                       velocitydb_encryption_left_files 2\n\
                       velocitydb_encryption_left_bytes 2048\n\
                       velocitydb_memory_used_bytes 512\nvelocitydb_memory_limit_bytes 1024\n\
                       velocitydb_http_requests_total{status=\"200\"} 5\n\
                       velocitydb_http_requests_total{status=\"503\"} 2\n";
        let figures = Figures::parse(figures).unwrap();
        let status = Status::of_server(serde_json::from_str(health).unwrap(), &figures);
        assert!(!status.is_well());
        let text = status.text(None);
        for part in [
            "health       writes are refused: the log\\u001b failed\nwarning      w\n",
            "memory       512 B of 1.0 KiB (50 %)\n",
            "requests     7 answered, 2 with an error of the server,",
            "checkpoints  the last is at index 10, 2 entries ago;",
            "encryption   2 files of 2.0 KiB in all not yet under the present key\n",
            "no collections",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
