//! A backend that knows a few words, and what it counts of how it is used.
//!
//! `one`, `echo $1`, `count N` (N rows of 1,000 bytes), `begin`, `commit`, `rollback`, `fail`, `fatal`,
//! `notice`, `set NAME VALUE`, `sleep` (until it is cancelled), `listen CHANNEL`, `notify CHANNEL
//! PAYLOAD`, `copy in`, `copy out N`; statements are separated by semicolons.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use velocitydb_pg::{
    Backend, Bind, Cancel, Client, Column, Door, Event, Execution, Format, Oid, Output, PgConfig,
    PgError, Session, Severity, Startup, Tag, TransactionStatus, format_of,
};

use crate::raw::within;

const INT4: Oid = 23;
const TEXT: Oid = 25;

/// What the backend has seen.
#[derive(Default)]
pub struct Seen {
    pub startups: Mutex<Vec<Startup>>,
    /// The most that was ever buffered for one client.
    pub buffered_max: AtomicUsize,
    pub rows: AtomicU64,
    pub failures: AtomicUsize,
    pub copied: Mutex<Vec<u8>>,
    pub chunk_max: AtomicUsize,
    /// How often a statement was to be cancelled.
    pub cancels: AtomicUsize,
    /// Sessions that are open.
    pub sessions: watch::Sender<usize>,
    /// Statements that sleep.
    pub sleeping: watch::Sender<usize>,
    listeners: Mutex<Vec<(String, mpsc::UnboundedSender<Event>)>>,
}

impl Seen {
    /// Waits until so many sessions are open.
    pub async fn sessions(&self, count: usize) {
        let mut sessions = self.sessions.subscribe();
        within(sessions.wait_for(|open| *open == count))
            .await
            .unwrap();
    }

    /// Waits until a statement sleeps.
    pub async fn asleep(&self) {
        let mut sleeping = self.sleeping.subscribe();
        within(sleeping.wait_for(|count| *count > 0)).await.unwrap();
    }

    /// Ends all sessions that listen.
    pub fn end_listeners(&self) {
        for (_, sender) in self.listeners.lock().drain(..) {
            let error = PgError::new(
                "57P05",
                "terminating connection due to idle-session timeout",
            );
            sender.send(Event::End(error)).unwrap();
        }
    }
}

pub struct Words(Arc<Seen>);

/// An open door before the backend.
pub async fn open(config: PgConfig) -> (Door, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let door = Door::bind(config)
        .unwrap()
        .start(Words(Arc::clone(&seen)))
        .unwrap();
    (door, seen)
}

/// A configuration for any free port.
pub fn any_port() -> PgConfig {
    let mut config = PgConfig::default();
    config.address.set_port(0);
    config
}

impl Backend for Words {
    type Session = Speaker;

    async fn connect(&self, startup: &Startup) -> Result<Speaker, PgError> {
        if startup.database == "nowhere" {
            return Err(PgError::fatal(
                "3D000",
                "database \"nowhere\" does not exist",
            ));
        }
        let process_id = {
            let mut startups = self.0.startups.lock();
            startups.push(startup.clone());
            startups.len() as i32
        };
        self.0.sessions.send_modify(|open| *open += 1);
        let (sender, events) = mpsc::unbounded_channel();
        Ok(Speaker {
            seen: Arc::clone(&self.0),
            process_id,
            status: TransactionStatus::Idle,
            interrupt: Arc::new(Interrupt {
                seen: Arc::clone(&self.0),
                asked: AtomicBool::new(false),
                wake: Notify::new(),
            }),
            statements: HashMap::new(),
            portals: HashMap::new(),
            sender,
            events,
        })
    }
}

pub struct Speaker {
    seen: Arc<Seen>,
    process_id: i32,
    status: TransactionStatus,
    interrupt: Arc<Interrupt>,
    statements: HashMap<String, Statement>,
    portals: HashMap<String, Portal>,
    sender: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.seen.sessions.send_modify(|open| *open -= 1);
    }
}

struct Interrupt {
    seen: Arc<Seen>,
    asked: AtomicBool,
    wake: Notify,
}

impl Cancel for Interrupt {
    fn cancel(&self) {
        self.seen.cancels.fetch_add(1, Ordering::SeqCst);
        self.asked.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }
}

#[derive(Clone)]
struct Statement {
    words: Vec<String>,
    columns: Vec<Column<'static>>,
    parameters: Vec<Oid>,
}

impl Statement {
    fn new(sql: &str) -> Statement {
        let words: Vec<String> = sql.split_whitespace().map(str::to_owned).collect();
        let (columns, parameters) = match words.first().map(String::as_str) {
            Some("one") => (vec![Column::new("one", INT4, 4)], vec![]),
            Some("echo") => (vec![Column::new("echo", TEXT, -1)], vec![TEXT]),
            Some("count") => {
                let columns = vec![Column::new("n", INT4, 4), Column::new("padding", TEXT, -1)];
                (columns, vec![])
            }
            _ => (vec![], vec![]),
        };
        Statement {
            words,
            columns,
            parameters,
        }
    }
}

struct Portal {
    statement: Statement,
    value: Option<Vec<u8>>,
    formats: Vec<Format>,
    rows_done: u32,
}

impl Portal {
    fn new(statement: Statement) -> Portal {
        Portal {
            statement,
            value: None,
            formats: Vec::new(),
            rows_done: 0,
        }
    }
}

fn no_portal() -> PgError {
    PgError::new("34000", "no such portal")
}

fn no_statement() -> PgError {
    PgError::new("26000", "no such prepared statement")
}

fn put_int(value: u32, format: Format, buffer: &mut Vec<u8>) {
    match format {
        Format::Text => buffer.extend_from_slice(value.to_string().as_bytes()),
        Format::Binary => buffer.extend_from_slice(&value.to_be_bytes()),
    }
}

const PADDING: [u8; 1_000] = [b'x'; 1_000];

impl Speaker {
    async fn run<C: Client>(
        &mut self,
        portal: &mut Portal,
        rows_max: u32,
        client: &mut C,
    ) -> Result<Execution, PgError> {
        let buffered = client.out().bytes().len();
        self.seen.buffered_max.fetch_max(buffered, Ordering::SeqCst);
        let words = &portal.statement.words;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if self.status == TransactionStatus::Failed && words != ["rollback"] {
            let message = "current transaction is aborted, commands ignored until end of \
                transaction block";
            return Err(PgError::new("25P02", message));
        }
        let tag = match words.as_slice() {
            [] => return Ok(Execution::Empty),
            ["one"] => {
                let mut row = client.out().row(1);
                row.write(|buffer| put_int(1, format_of(&portal.formats, 0), buffer));
                row.finish()?;
                Tag::with_rows("SELECT", 1)
            }
            ["echo", "$1"] => {
                let mut row = client.out().row(1);
                match &portal.value {
                    Some(value) => row.value(value),
                    None => row.null(),
                }
                row.finish()?;
                Tag::with_rows("SELECT", 1)
            }
            ["count", count] => {
                return self
                    .count(count.parse().unwrap(), portal, rows_max, client)
                    .await;
            }
            ["begin"] | ["START", "TRANSACTION"] | ["BEGIN"] => {
                self.status = TransactionStatus::Open;
                Tag::new("BEGIN")
            }
            [end @ ("commit" | "rollback")] => {
                self.status = TransactionStatus::Idle;
                Tag::new(if *end == "commit" {
                    "COMMIT"
                } else {
                    "ROLLBACK"
                })
            }
            ["fail"] => {
                let mut row = client.out().row(2); // half a row, which is taken back
                row.value(b"half");
                drop(row);
                return Err(PgError::new("42601", "this fails")
                    .detail("as it was asked to")
                    .hint("say something else")
                    .position(1)
                    .table("t")
                    .constraint("c"));
            }
            ["fatal"] => return Err(PgError::fatal("57P01", "this is the end")),
            ["notice"] => {
                let notice = PgError::new("01000", "be warned").with_severity(Severity::Warning);
                client.out().notice(&notice);
                Tag::new("NOTICE")
            }
            ["set", name, value] => {
                client.out().parameter_status(name, value);
                Tag::new("SET")
            }
            ["sleep"] => {
                self.seen.sleeping.send_modify(|count| *count += 1);
                while !self.interrupt.asked.swap(false, Ordering::SeqCst) {
                    self.interrupt.wake.notified().await;
                }
                let message = "canceling statement due to user request";
                return Err(PgError::new("57014", message));
            }
            ["listen", channel] => {
                let listener = ((*channel).to_owned(), self.sender.clone());
                self.seen.listeners.lock().push(listener);
                Tag::new("LISTEN")
            }
            ["notify", channel, payload] => {
                for (name, sender) in &*self.seen.listeners.lock() {
                    let event = Event::Notification {
                        process_id: self.process_id,
                        channel: name.clone(),
                        payload: (*payload).to_owned(),
                    };
                    if name == channel {
                        let _ = sender.send(event); // it may have gone
                    }
                }
                Tag::new("NOTIFY")
            }
            ["copy", "in"] => {
                client.copy_in(Format::Text, 1).await?;
                let mut rows = 0;
                while let Some(chunk) = client.copy_chunk().await? {
                    self.seen.chunk_max.fetch_max(chunk.len(), Ordering::SeqCst);
                    rows += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
                    self.seen.copied.lock().extend_from_slice(chunk);
                    if chunk.starts_with(b"bad") {
                        return Err(PgError::new(
                            "22P04",
                            "extra data after last expected column",
                        ));
                    }
                }
                Tag::with_rows("COPY", rows)
            }
            ["copy", "out", count] => {
                let count = count.parse().unwrap();
                client.out().copy_out(Format::Text, 1);
                for n in 0..count {
                    let row = format!("{n}\n");
                    client
                        .out()
                        .copy_data(|buffer| buffer.extend_from_slice(row.as_bytes()));
                    if client.out().is_full() {
                        client.drain().await?;
                    }
                }
                client.out().copy_done();
                Tag::with_rows("COPY", count)
            }
            _ => return Err(PgError::new("42601", "an unknown word")),
        };
        Ok(Execution::Complete(tag))
    }

    async fn count<C: Client>(
        &mut self,
        count: u32,
        portal: &mut Portal,
        rows_max: u32,
        client: &mut C,
    ) -> Result<Execution, PgError> {
        let mut rows = 0;
        while portal.rows_done < count {
            if rows_max > 0 && rows == rows_max {
                return Ok(Execution::Suspended);
            }
            portal.rows_done += 1;
            rows += 1;
            let mut row = client.out().row(2);
            row.write(|buffer| put_int(portal.rows_done, format_of(&portal.formats, 0), buffer));
            row.value(&PADDING);
            row.finish()?;
            self.seen.rows.fetch_add(1, Ordering::SeqCst);
            let buffered = client.out().bytes().len();
            self.seen.buffered_max.fetch_max(buffered, Ordering::SeqCst);
            if client.out().is_full() {
                client.drain().await?;
            }
        }
        Ok(Execution::Complete(Tag::with_rows("SELECT", rows.into())))
    }
}

impl Session for Speaker {
    fn report(&self, out: &mut Output) {
        out.parameter_status("server_version", "15.0 (words)");
        out.parameter_status("TimeZone", "UTC");
    }

    fn process_id(&self) -> i32 {
        self.process_id
    }

    fn status(&self) -> TransactionStatus {
        self.status
    }

    fn canceller(&self) -> Arc<dyn Cancel> {
        Arc::clone(&self.interrupt) as Arc<dyn Cancel>
    }

    async fn simple<C: Client>(&mut self, sql: &str, client: &mut C) -> Result<(), PgError> {
        self.interrupt.asked.store(false, Ordering::SeqCst);
        if sql.trim().is_empty() {
            client.out().empty_query();
        }
        for sql in sql.split(';').filter(|sql| !sql.trim().is_empty()) {
            let mut portal = Portal::new(Statement::new(sql));
            if !portal.statement.columns.is_empty() {
                let columns = portal.statement.columns.iter().copied();
                client.out().row_description(columns, &[]);
            }
            if let Execution::Complete(tag) = self.run(&mut portal, 0, client).await? {
                client.out().complete(tag);
            }
        }
        Ok(())
    }

    async fn prepare(&mut self, name: &str, sql: &str, _: &[Oid]) -> Result<(), PgError> {
        if sql == "unparsable" {
            return Err(PgError::new("42601", "syntax error").position(1));
        }
        self.statements.insert(name.to_owned(), Statement::new(sql));
        Ok(())
    }

    fn describe_statement(&self, name: &str, out: &mut Output) -> Result<(), PgError> {
        let statement = self.statements.get(name).ok_or_else(no_statement)?;
        out.parameter_description(statement.parameters.iter().copied());
        out.columns(statement.columns.iter().copied(), &[]);
        Ok(())
    }

    fn describe_portal(&self, name: &str, out: &mut Output) -> Result<(), PgError> {
        let portal = self.portals.get(name).ok_or_else(no_portal)?;
        out.columns(portal.statement.columns.iter().copied(), &portal.formats);
        Ok(())
    }

    async fn bind(&mut self, bind: Bind<'_>) -> Result<(), PgError> {
        let statement = self
            .statements
            .get(bind.statement)
            .ok_or_else(no_statement)?;
        let mut portal = Portal::new(statement.clone());
        if bind.parameters.len() != statement.parameters.len() {
            return Err(PgError::new("08P01", "a wrong number of parameters"));
        }
        let value = bind.parameters.first().and_then(|value| value.value);
        portal.value = value.map(<[u8]>::to_vec);
        portal.formats = bind.result_formats.to_vec();
        self.portals.insert(bind.portal.to_owned(), portal);
        Ok(())
    }

    async fn execute<C: Client>(
        &mut self,
        name: &str,
        rows_max: u32,
        client: &mut C,
    ) -> Result<Execution, PgError> {
        self.interrupt.asked.store(false, Ordering::SeqCst);
        let mut portal = self.portals.remove(name).ok_or_else(no_portal)?;
        let execution = self.run(&mut portal, rows_max, client).await;
        self.portals.insert(name.to_owned(), portal);
        execution
    }

    fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    async fn sync(&mut self) -> Result<(), PgError> {
        if self.status == TransactionStatus::Idle {
            self.portals.clear();
        }
        Ok(())
    }

    async fn failed(&mut self) {
        self.seen.failures.fetch_add(1, Ordering::SeqCst);
        if self.status == TransactionStatus::Open {
            self.status = TransactionStatus::Failed;
        }
    }

    async fn event(&mut self) -> Event {
        let event = self.events.recv().await;
        event.expect("the session has a sender itself")
    }
}
