//! Figures for Prometheus: what the server counts, and what the engine knows.
//!
//! Requests are counted as they end. Everything about the database is read when it is asked for,
//! from the tables below: a new figure is a new row. The text is OpenMetrics 1.0, which
//! Prometheus reads.
//!
//! Tests: tests/it parses the text.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelValueEncoder,
};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use velocitydb::{Database, EngineStats};

/// The type of the text that [`Metrics::encode`] writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the buckets of request durations, in seconds.
const DURATION_BUCKETS: [f64; 15] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
    5.0, 30.0,
];

/// What the server counts.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    /// Requests being worked on.
    pub(crate) in_flight: Gauge,
    /// Connections open.
    pub(crate) connections: Gauge,
    /// Connections closed at once, as there were too many.
    pub(crate) connections_refused: Counter,
    /// Operations that took as long as `slow_operation` says.
    pub(crate) slow_operations: Counter,
}

/// Methods that have a label of their own; whatever else a client sends is `OTHER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MethodLabel(&'static str);

impl MethodLabel {
    pub(crate) fn of(method: &hyper::Method) -> MethodLabel {
        const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let known = KNOWN.into_iter().find(|known| *known == method.as_str());
        MethodLabel(known.unwrap_or("OTHER"))
    }
}

impl prometheus_client::encoding::EncodeLabelValue for MethodLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: MethodLabel,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    method: MethodLabel,
}

/// The figures of one route. They are its own to find, as every request needs them.
pub(crate) struct RouteFigures {
    /// Its pattern, never a path: there are few.
    pub(crate) route: &'static str,
    found: RwLock<Vec<Answered>>,
}

/// What answers of one method and status are counted with.
struct Answered {
    method: MethodLabel,
    status: u16,
    requests: Counter,
    durations: Histogram,
}

impl RouteFigures {
    pub(crate) fn of(route: &'static str) -> RouteFigures {
        RouteFigures {
            route,
            found: RwLock::default(),
        }
    }

    /// Counts an answer of a kind that was there before, or says that there was none.
    fn count(&self, method: MethodLabel, status: u16, took: Duration) -> bool {
        let found = self.found.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = found.iter();
        let same = |known: &&Answered| known.method == method && known.status == status;
        found.find(same).map(|same| same.count(took)).is_some()
    }
}

impl Answered {
    fn count(&self, took: Duration) {
        self.durations.observe(took.as_secs_f64());
        self.requests.inc();
    }
}

fn histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

impl Metrics {
    pub(crate) fn new(database: &Database) -> Metrics {
        let requests = Family::<RequestLabels, Counter>::default();
        let durations = Family::<RouteLabels, Histogram, _>::new_with_constructor(histogram as _);
        let (in_flight, connections) = (Gauge::default(), Gauge::default());
        let connections_refused = Counter::default();
        let mut registry = Registry::with_prefix("velocitydb");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", build);
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "From a request's head to its answer's",
            Unit::Seconds,
            durations.clone(),
        );
        let help = "Requests being worked on";
        registry.register("http_requests_in_flight", help, in_flight.clone());
        registry.register("http_connections", "Connections open", connections.clone());
        registry.register(
            "http_connections_refused",
            "Connections closed at once, as there were too many",
            connections_refused.clone(),
        );
        let slow_operations = Counter::default();
        let help = "Operations slower than the setting slow-operation";
        registry.register("slow_operations", help, slow_operations.clone());
        registry.register_collector(Box::new(Figures {
            database: database.clone(),
            started: Instant::now(),
            started_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }));
        Metrics {
            registry,
            requests,
            durations,
            in_flight,
            connections,
            connections_refused,
            slow_operations,
        }
    }

    /// Counts an answered request.
    pub(crate) fn request(
        &self,
        of: &RouteFigures,
        method: MethodLabel,
        status: u16,
        took: Duration,
    ) {
        if of.count(method, status, took) {
            return;
        }
        let route = of.route;
        let labels = RequestLabels {
            route,
            method,
            status,
        };
        let answered = Answered {
            method,
            status,
            requests: self.requests.get_or_create_owned(&labels),
            durations: self
                .durations
                .get_or_create_owned(&RouteLabels { route, method }),
        };
        answered.count(took);
        let mut found = of.found.write().unwrap_or_else(PoisonError::into_inner);
        found.push(answered);
    }

    /// Everything, as text. Counts documents: may take as long as that does.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 << 10);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What the database knows, read at each request for the figures.
struct Figures {
    database: Database,
    started: Instant,
    started_at: Duration,
}

/// A figure of the engine: name, help, unit (which is added to the name), and where it is read;
/// `None` where there is none (a log in memory-only mode).
struct Row(&'static str, &'static str, Option<Unit>, Read);

enum Read {
    /// Since the start; a counter.
    Count(fn(&EngineStats) -> Option<u64>),
    /// Now; a gauge.
    Level(fn(&EngineStats) -> Option<u64>),
}
use Read::{Count, Level};

const BYTES: Option<Unit> = Some(Unit::Bytes);

/// Every figure of the engine.
#[rustfmt::skip]
const ENGINE: &[Row] = &[
    Row("entries", "Log entries made", None, Count(|s| Some(s.entries))),
    Row("refusals", "Requests that the state refused", None, Count(|s| Some(s.refusals))),
    Row("visible_index", "Newest visible log index", None, Level(|s| Some(s.visible_index))),
    Row("memory_used", "What the data takes", BYTES, Level(|s| Some(s.memory_used))),
    Row("memory_limit", "What the data may take", BYTES, Level(|s| s.memory_limit)),
    Row("change_streams", "Readers of the changes", None, Level(|s| Some(s.followers as u64))),
    Row("change_history", "Changes kept for those who follow them", BYTES,
        Level(|s| Some(s.history_bytes))),
    Row("expired_documents", "Expired documents removed", None, Count(|s| Some(s.expired))),
    Row("snapshots", "Snapshots in use", None, Level(|s| Some(s.snapshots as u64))),
    Row("oldest_snapshot_index", "Oldest log index that a snapshot holds", None,
        Level(|s| s.oldest_snapshot)),
    Row("snapshots_given_up", "Snapshots given up at their deadline", None,
        Count(|s| Some(s.snapshots_given_up))),
    Row("log_writes", "Writes to log segments", None, Count(|s| Some(s.log?.writes))),
    Row("log_written", "Log records written", BYTES, Count(|s| Some(s.log?.bytes_written))),
    Row("log_syncs", "Syncs of log files", None, Count(|s| Some(s.log?.syncs))),
    Row("log_segments", "Log segments in use", None, Level(|s| Some(s.log?.segments))),
    Row("log_files", "The log's segments", BYTES, Level(|s| Some(s.log?.segment_bytes))),
    Row("log_segments_begun", "Segments begun", None, Count(|s| Some(s.log?.segments_begun))),
    Row("log_segments_recycled", "Purged segments kept for reuse", None,
        Count(|s| Some(s.log?.segments_recycled))),
    Row("log_segments_removed", "Purged segments removed", None,
        Count(|s| Some(s.log?.segments_removed))),
    Row("log_buffered", "Appended to the log and not yet written", BYTES,
        Level(|s| Some(s.log?.buffered_bytes))),
    Row("encryption_left_files", "Segments and checkpoints not yet encrypted with the present key", None,
        Level(|s| s.key.map(|_| s.rekey.files))),
    Row("encryption_left", "Their bytes", BYTES, Level(|s| s.key.map(|_| s.rekey.bytes))),
    Row("checkpoints", "Checkpoints written", None, Count(|s| Some(s.checkpoints.written))),
    Row("checkpoints_failed", "Checkpoints that failed", None,
        Count(|s| Some(s.checkpoints.failed))),
    Row("checkpoint_index", "Log index of the newest checkpoint, 0 without one", None,
        Level(|s| Some(s.checkpoints.last_index))),
    Row("checkpoint_documents", "Documents in the last checkpoint written", None,
        Level(|s| Some(s.checkpoints.last_documents))),
    Row("checkpoint_size", "The last checkpoint written", BYTES,
        Level(|s| Some(s.checkpoints.last_bytes))),
];

impl Figures {
    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let writable = u64::from(self.database.health().writes.is_ok());
        let help = "Whether writes are served (1) or refused (0)";
        put(
            encoder,
            ("writable", help, None),
            &ConstGauge::new(writable),
        )?;
        put(
            encoder,
            (
                "log_lines_dropped",
                "Log lines that standard error did not take",
                None,
            ),
            &ConstCounter::new(crate::logging::lines_lost()),
        )?;
        for (name, help, time) in [
            ("uptime", "Since the server started", self.started.elapsed()),
            (
                "start_time",
                "When the server started, since 1970",
                self.started_at,
            ),
        ] {
            let seconds = ConstGauge::new(time.as_secs_f64());
            put(encoder, (name, help, Some(&Unit::Seconds)), &seconds)?;
        }
        Ok(())
    }

    fn engine(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.database.stats();
        for Row(name, help, unit, read) in ENGINE {
            let (Count(value) | Level(value)) = read;
            let Some(value) = value(&stats) else { continue };
            let descriptor = (*name, *help, unit.as_ref());
            match read {
                Count(_) => put(encoder, descriptor, &ConstCounter::new(value))?,
                Level(_) => put(encoder, descriptor, &ConstGauge::new(value))?,
            }
        }
        Ok(())
    }

    fn queries(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let memory = self.database.query_memory();
        for (name, help, bytes) in [
            ("query_memory_used", "What queries keep", memory.used()),
            (
                "query_memory_limit",
                "What all queries may keep together",
                memory.bytes_max(),
            ),
        ] {
            let gauge = ConstGauge::new(bytes as u64);
            put(encoder, (name, help, BYTES.as_ref()), &gauge)?;
        }
        let help = "Queries that ended because others had the memory";
        let refused = ConstCounter::new(memory.refused());
        put(encoder, ("query_memory_refusals", help, None), &refused)
    }

    fn collections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut stats = Vec::new();
        for (database, of) in self.database.every_database() {
            for definition in of.collections() {
                let name = definition.name;
                // One that is dropped meanwhile is left out.
                if let Ok(found) = of.collection(&name).and_then(|found| found.stats()) {
                    stats.push((database.clone(), name, found));
                }
            }
        }
        type Part = fn(&velocitydb::CollectionStats) -> u64;
        let parts: [(&str, &str, Option<Unit>, Part); 3] = [
            ("collection_documents", "Documents", None, |stats| {
                stats.documents
            }),
            (
                "collection",
                "Memory of a collection",
                Some(Unit::Bytes),
                |stats| stats.bytes.total() as u64,
            ),
            (
                "collection_old_versions",
                "Memory of versions that only readers still see",
                Some(Unit::Bytes),
                |stats| stats.bytes.old_versions as u64,
            ),
        ];
        for (name, help, unit, part) in parts {
            if stats.is_empty() {
                continue; // a family without members has no place in the text
            }
            let kind = prometheus_client::metrics::MetricType::Gauge;
            let help = format!("{help}.");
            let mut family = encoder.encode_descriptor(name, &help, unit.as_ref(), kind)?;
            for (database, collection, stats) in &stats {
                let labels = [
                    ("database", database.as_str()),
                    ("collection", collection.as_str()),
                ];
                ConstGauge::new(part(stats)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn put(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): (&str, &str, Option<&Unit>),
    metric: &impl EncodeMetric,
) -> fmt::Result {
    // Every help text ends in a full stop; the registry adds those of its own metrics.
    let help = format!("{help}.");
    metric.encode(encoder.encode_descriptor(name, &help, unit, metric.metric_type())?)
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.process(&mut encoder)?;
        self.engine(&mut encoder)?;
        self.queries(&mut encoder)?;
        self.collections(&mut encoder)
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Figures({:?})", self.database)
    }
}
