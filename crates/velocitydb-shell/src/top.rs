//! A live view of a server: what it does in a second, refreshed in place.
//!
//! A frame is computed from two readings of the figures and the server's own uptime between
//! them, so that it is a function of two texts; the first frame shows averages since the
//! server's start. The terminal is given back as it was, after an error and a panic too.
//! Tests: below; crates/velocitydb-cli/tests/it/terminal.rs.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, poll, read};
use crossterm::{cursor, execute, queue, style, terminal};

use crate::figures::{Figures, Sample};
use crate::render::{bytes, escape, thousands};
use crate::status::{CheckpointStatus, collections, duration, shown};
use crate::targets::{Http, TargetError};

/// Operations by their route and method, in the order in which they are shown.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("get", "GET", "/v1/collections/{name}/documents/{id}"),
    ("list", "GET", "/v1/collections/{name}/documents"),
    ("count", "GET", "/v1/collections/{name}/count"),
    ("insert", "POST", "/v1/collections/{name}/documents"),
    ("put", "PUT", "/v1/collections/{name}/documents/{id}"),
    ("patch", "PATCH", "/v1/collections/{name}/documents/{id}"),
    ("delete", "DELETE", "/v1/collections/{name}/documents/{id}"),
    (
        "swap",
        "POST",
        "/v1/collections/{name}/documents/{id}/compare-and-swap",
    ),
];

/// The kind of a request.
fn operation(sample: &Sample) -> &'static str {
    if sample.label("route") == "/metrics" {
        return "figures"; // what this view asks for itself is not shown
    }
    let (route, method) = (sample.label("route"), sample.label("method"));
    let known = OPERATIONS
        .iter()
        .find(|(_, by, at)| *by == method && *at == route);
    known.map_or("other", |(name, _, _)| name)
}

/// A live view.
pub struct Top {
    server: Http,
    place: String,
    /// Whose collections are shown; `None`: those of all.
    database: Option<String>,
    before: Figures,
    now: Figures,
    /// Why the figures are not those of now.
    trouble: Option<String>,
}

impl Top {
    /// Reads the figures for the first time: with the collections of one database, or of all.
    pub fn of(server: Http, place: &str, database: Option<&str>) -> Result<Top, TargetError> {
        let now = server.figures()?.of_database(database);
        Ok(Top {
            server,
            place: place.to_owned(),
            database: database.map(str::to_owned),
            before: Figures::default(),
            now,
            trouble: None,
        })
    }

    /// One frame as text.
    pub fn once(&self) -> String {
        frame(&self.place, &self.before, &self.now).join("\n")
    }

    /// Shows frames until the user leaves by `q`, Esc or Ctrl-C. A server that does not answer is
    /// asked again.
    pub fn run(mut self, every: Duration) -> io::Result<()> {
        let mut out = io::stdout();
        let _screen = Screen::take()?;
        loop {
            self.draw(&mut out)?;
            let next = Instant::now() + every;
            loop {
                let left = next.saturating_duration_since(Instant::now());
                if !poll(left)? {
                    break;
                }
                match read()? {
                    Event::Key(key) if key.kind != KeyEventKind::Release => {
                        let control = key.modifiers.contains(KeyModifiers::CONTROL);
                        match key.code {
                            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                            KeyCode::Char('c') if control => return Ok(()),
                            _ => {}
                        }
                    }
                    Event::Resize(..) => self.draw(&mut out)?,
                    _ => {}
                }
            }
            match self.server.figures() {
                Ok(figures) => {
                    let figures = figures.of_database(self.database.as_deref());
                    self.before = std::mem::replace(&mut self.now, figures);
                    self.trouble = None;
                }
                Err(error) => self.trouble = Some(error.what),
            }
        }
    }

    fn draw(&self, out: &mut impl Write) -> io::Result<()> {
        let (columns, rows) = terminal::size()?;
        let lines = frame(&self.place, &self.before, &self.now);
        queue!(out, terminal::BeginSynchronizedUpdate)?;
        let last = usize::from(rows).saturating_sub(1);
        let cut = |line: &str| -> String { line.chars().take(usize::from(columns)).collect() };
        let trouble = self.trouble.as_deref().unwrap_or_default();
        let last_line = format!("q leaves  {}", escape(trouble));
        for (at, line) in lines.iter().take(last).enumerate() {
            queue!(
                out,
                cursor::MoveTo(0, u16::try_from(at).unwrap_or(u16::MAX)),
                style::Print(cut(line)),
                terminal::Clear(terminal::ClearType::UntilNewLine),
            )?;
        }
        queue!(
            out,
            terminal::Clear(terminal::ClearType::FromCursorDown),
            cursor::MoveTo(0, rows.saturating_sub(1)),
            style::Print(cut(&last_line)),
            terminal::EndSynchronizedUpdate,
        )?;
        out.flush()
    }
}

/// The terminal, taken for frames; given back when it is dropped.
struct Screen;

impl Screen {
    fn take() -> io::Result<Screen> {
        terminal::enable_raw_mode()?;
        // From here on it is given back, whatever fails.
        let screen = Screen;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // First, so that the words of the panic stand on the screen that stays.
            give_back();
            before(panic);
        }));
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// There is nobody to tell when it fails.
fn give_back() {
    let _ = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
}

/// What was counted between two readings.
struct Change<'f> {
    before: &'f Figures,
    now: &'f Figures,
    seconds: f64,
    /// Whether `before` is the server's start.
    first: bool,
}

impl Change<'_> {
    /// How much a counter without labels grew in a second.
    fn rate(&self, name: &str) -> f64 {
        let grown = self.now.get(name).unwrap_or(0.0) - self.before.get(name).unwrap_or(0.0);
        grown.max(0.0) / self.seconds
    }

    /// How much the samples of a name grew, by a key.
    fn grown<K: Ord>(&self, name: &str, key: impl Fn(&Sample) -> K) -> BTreeMap<K, f64> {
        let mut grown = BTreeMap::new();
        for (figures, sign) in [(self.now, 1.0), (self.before, -1.0)] {
            for sample in figures.named(name) {
                *grown.entry(key(sample)).or_insert(0.0) += sign * sample.value;
            }
        }
        grown
    }
}

/// The lines of a frame.
fn frame(place: &str, before: &Figures, now: &Figures) -> Vec<String> {
    let up = now.get("uptime_seconds").unwrap_or(0.0);
    let since = before.get("uptime_seconds").unwrap_or(0.0);
    // A server that was started again begins anew.
    let nothing = Figures::default();
    let (before, seconds, first) = match up > since && since > 0.0 {
        true => (before, up - since, false),
        false => (&nothing, up, true),
    };
    let change = Change {
        before,
        now,
        seconds: seconds.max(1e-3),
        first,
    };
    let scope = match first {
        true => "averages since the start".to_owned(),
        false => format!("the last {seconds:.1} s"),
    };
    let version = now.named("build_info").next();
    let version = version.map_or("", |sample| sample.label("version"));
    let head = format!(
        "VelocityDB {version} at {place}, up for {}: {scope}",
        duration(up)
    );
    let mut lines = vec![escape(&head).into_owned(), String::new()];
    lines.extend(operations(&change));
    lines.push(String::new());
    lines.extend(engine(&change));
    lines.push(String::new());
    lines.extend(busiest(&change));
    lines
}

fn operations(change: &Change<'_>) -> Vec<String> {
    let requests = change.grown("http_requests_total", operation);
    let errors = change.grown("http_requests_total", |sample| {
        let failed = sample
            .label("status")
            .parse()
            .is_ok_and(|status: u16| status >= 400);
        (operation(sample), failed)
    });
    let times = change.grown("http_request_duration_seconds_sum", operation);
    let buckets = change.grown("http_request_duration_seconds_bucket", |sample| {
        (operation(sample), sample.label("le").to_owned())
    });
    let mut lines = vec![format!(
        "{:<10} {:>12} {:>12} {:>12} {:>12}",
        "operation", "per second", "refused", "mean", "p99 up to"
    )];
    let names = OPERATIONS.iter().map(|(name, _, _)| *name);
    for name in names.chain(["other"]) {
        let count = requests.get(name).copied().unwrap_or(0.0);
        let failed = errors.get(&(name, true)).copied().unwrap_or(0.0);
        let mean = match count > 0.0 {
            true => millis(times.get(name).copied().unwrap_or(0.0) / count),
            false => "-".to_owned(),
        };
        let ends = buckets
            .iter()
            .filter(|((of, _), _)| *of == name)
            .map(|((_, end), count)| (end.as_str(), *count));
        lines.push(format!(
            "{name:<10} {:>12} {:>12} {mean:>12} {:>12}",
            rate(count / change.seconds),
            rate(failed / change.seconds),
            p99(ends.collect()).unwrap_or_else(|| "-".to_owned()),
        ));
    }
    lines
}

/// The upper end of the bucket that 99 of 100 requests do not pass.
fn p99(buckets: Vec<(&str, f64)>) -> Option<String> {
    let mut ends: Vec<(f64, f64)> = buckets
        .into_iter()
        .filter_map(|(end, count)| Some((end.parse().ok()?, count)))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = ends.last()?.1;
    let (end, _) = ends.iter().find(|(_, count)| *count >= all * 0.99)?;
    (all > 0.0).then(|| match end.is_finite() {
        true => millis(*end),
        false => "more".to_owned(),
    })
}

fn engine(change: &Change<'_>) -> Vec<String> {
    let now = change.now;
    let used = now.whole("memory_used_bytes");
    let memory = match now.get("memory_limit_bytes") {
        None => format!("{} (no limit)", bytes(used)),
        Some(limit) => {
            let share = used as f64 / limit.max(1.0);
            let full = (share.clamp(0.0, 1.0) * 20.0).round() as usize;
            format!(
                "{} of {} [{}{}] {:.0} %",
                bytes(used),
                bytes(limit as u64),
                "#".repeat(full),
                ".".repeat(20 - full),
                share * 100.0
            )
        }
    };
    let mut lines = vec![
        format!(
            "connections  {} open, {} in progress; writes are {}",
            thousands(now.whole("http_connections")),
            thousands(now.whole("http_requests_in_flight")),
            match now.get("writable") {
                Some(0.0) => "REFUSED",
                _ => "served",
            }
        ),
        format!("memory       {memory}"),
        format!(
            "entries      {}/s, {} refused/s; index {}",
            rate(change.rate("entries_total")),
            rate(change.rate("refusals_total")),
            thousands(now.whole("visible_index"))
        ),
    ];
    if now.get("log_segments").is_some() {
        lines.push(format!(
            "log          {}/s in {} writes/s, {} syncs/s; {} in {} segments",
            bytes(change.rate("log_written_bytes_total") as u64),
            rate(change.rate("log_writes_total")),
            rate(change.rate("log_syncs_total")),
            bytes(now.whole("log_files_bytes")),
            thousands(now.whole("log_segments")),
        ));
        let checkpoints = CheckpointStatus {
            written: now.whole("checkpoints_total"),
            failed: now.whole("checkpoints_failed_total"),
            last_index: now.whole("checkpoint_index"),
            last_documents: now.whole("checkpoint_documents"),
            last_bytes: now.whole("checkpoint_size_bytes"),
        };
        lines.push(format!(
            "checkpoints  {}",
            checkpoints.text(now.whole("visible_index"))
        ));
    }
    lines
}

/// Collections by what came and went, then by memory.
fn busiest(change: &Change<'_>) -> Vec<String> {
    let grown = change.grown("collection_documents", |sample| {
        shown(sample.label("database"), sample.label("collection"))
    });
    let mut collections = collections(change.now);
    let change_of = |name: &str| grown.get(name).copied().unwrap_or(0.0) / change.seconds;
    collections.sort_by(|a, b| {
        let (left, right) = (change_of(&a.shown()).abs(), change_of(&b.shown()).abs());
        right.total_cmp(&left).then(b.bytes.cmp(&a.bytes))
    });
    let mut lines = vec![format!(
        "{:<24} {:>16} {:>12} {:>12}",
        "collection", "documents", "change/s", "memory"
    )];
    lines.extend(collections.iter().map(|collection| {
        format!(
            "{:<24} {:>16} {:>12} {:>12}",
            collection.shown(),
            thousands(collection.documents),
            // What was there at the start did not come since.
            match change.first {
                true => "-".to_owned(),
                false => rate(change_of(&collection.shown())),
            },
            bytes(collection.bytes)
        )
    }));
    lines
}

/// A number in a second.
fn rate(rate: f64) -> String {
    match rate.abs() {
        0.0 => "0".to_owned(),
        ..10.0 => format!("{rate:.1}"),
        _ if rate < 0.0 => format!("-{}", thousands(-rate.round() as u64)),
        _ => thousands(rate.round() as u64),
    }
}

fn millis(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(uptime: f64, gets: u64, slow: u64, documents: u64) -> Figures {
        let route = "route=\"/v1/collections/{name}/documents/{id}\",method=\"GET\"";
        let fast = gets - slow;
        let text = format!(
            "velocitydb_uptime_seconds {uptime}\n\
             velocitydb_build_info{{version=\"9.9\"}} 1\n\
             velocitydb_http_requests_total{{{route},status=\"200\"}} {fast}\n\
             velocitydb_http_requests_total{{{route},status=\"404\"}} {slow}\n\
             velocitydb_http_request_duration_seconds_sum{{{route}}} {}\n\
             velocitydb_http_request_duration_seconds_bucket{{le=\"0.001\",{route}}} {fast}\n\
             velocitydb_http_request_duration_seconds_bucket{{le=\"0.01\",{route}}} {gets}\n\
             velocitydb_http_request_duration_seconds_bucket{{le=\"+Inf\",{route}}} {gets}\n\
             velocitydb_memory_used_bytes 512\nvelocitydb_memory_limit_bytes 1024\n\
             velocitydb_visible_index 1000\nvelocitydb_entries_total {gets}\n\
             velocitydb_log_segments 2\nvelocitydb_log_syncs_total {gets}\n\
             velocitydb_checkpoint_index 900\n\
             velocitydb_collection_documents{{database=\"velocity\",collection=\"big\"}} 5\n\
             velocitydb_collection_bytes{{database=\"velocity\",collection=\"big\"}} 9000\n\
             velocitydb_collection_documents{{database=\"shop\",collection=\"busy\"}} {documents}\n\
             velocitydb_collection_bytes{{database=\"shop\",collection=\"busy\"}} 10\n",
            gets as f64 / 1000.0
        );
        Figures::parse(&text).unwrap()
    }

    #[test]
    fn a_frame_shows_what_happened_between_two_readings() {
        let (before, now) = (figures(10.0, 1_000, 0, 50), figures(12.0, 4_000, 1_500, 10));
        let lines = frame("here", &before, &now);
        let text = lines.join("\n");
        for part in [
            "VelocityDB 9.9 at here, up for 12 s: the last 2.0 s\n",
            "get               1,500          750      1.00 ms     10.00 ms\n",
            "list                  0            0            -            -\n",
            "memory       512 B of 1.0 KiB [##########..........] 50 %\n",
            "entries      1,500/s, 0 refused/s; index 1,000\n",
            "1,500 syncs/s;",
            "checkpoints  the last is at index 900, 100 entries ago;",
            "shop/busy                              10          -20         10 B\nbig ",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn the_first_frame_and_one_after_a_restart_show_averages() {
        let now = figures(10.0, 1_000, 0, 50);
        for before in [Figures::default(), figures(500.0, 9_000, 0, 1)] {
            let text = frame("here", &before, &now).join("\n");
            assert!(
                text.contains("up for 10 s: averages since the start"),
                "{text}"
            );
            assert!(
                text.contains("get                 100            0"),
                "{text}"
            );
        }
    }

    #[test]
    fn names_from_the_server_do_not_steer_the_terminal() {
        let text = "velocitydb_uptime_seconds 1\n\
                    velocitydb_collection_documents{collection=\"\u{1b}c\"} 5\n";
        let shown = frame(
            "\u{1b}here",
            &Figures::default(),
            &Figures::parse(text).unwrap(),
        );
        assert!(!shown.concat().contains('\u{1b}'), "{shown:?}");
    }
}
