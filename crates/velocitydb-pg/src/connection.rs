//! A session's requests, from the first to the last.
//!
//! What has arrived is worked before anything is sent, so that a pipeline costs one write; answers
//! go out when a request has ended (Sync, or a statement of the simple protocol), when the client
//! asks (Flush), and when the buffer is full. After an error in the extended protocol what follows
//! is passed over up to the next Sync.
//!
//! Invariants: a session is never called again before its answer is taken back or written whole;
//! each error is told once, and once to the session ([`Session::failed`]). While the client is waited
//! for, notifications and the server's end are heard.
//!
//! Tests: tests/it/flow.rs, tests/it/malformed.rs.

use std::time::Duration;

use tokio::sync::watch;

use crate::backend::{Bind, Event, Execution, Session};
use crate::error::{PgError, Severity};
use crate::link::Link;
use crate::messages::{Message, Target, parse};

/// How long a client may take to hear why its session has ended.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);

pub(crate) struct Connection<S> {
    pub(crate) link: Link,
    pub(crate) session: S,
    pub(crate) stop: watch::Receiver<bool>,
    /// An error was told, and no Sync has come since.
    pub(crate) skipping: bool,
    /// What was written is to be sent when no more has arrived.
    pub(crate) flush: bool,
}

enum Flow {
    Go,
    End,
}

impl<S: Session> Connection<S> {
    /// Serves the client until it goes, or is told why it must.
    pub(crate) async fn run(mut self) {
        let ended = self.serve().await;
        let Connection {
            mut link, session, ..
        } = self;
        // Its locks are not kept for a client that takes its time.
        drop(session);
        farewell(&mut link, ended.err()).await;
    }

    async fn serve(&mut self) -> Result<(), PgError> {
        loop {
            while let Some((kind, body)) = self.link.message()? {
                if let Flow::End = self.work(kind, &body).await? {
                    return Ok(());
                }
                if self.link.out.is_full() {
                    self.link.flush().await?;
                }
            }
            if self.flush {
                self.flush = false;
                self.link.flush().await?;
            }
            self.wait().await?;
        }
    }

    /// Waits until more has arrived.
    async fn wait(&mut self) -> Result<(), PgError> {
        self.link.shrink();
        loop {
            let event = tokio::select! {
                biased;
                // An error says that the server was dropped.
                _ = self.stop.wait_for(|stop| *stop) => {
                    let message = "terminating connection due to administrator command";
                    return Err(PgError::fatal("57P01", message));
                }
                read = self.link.read() => return read,
                event = self.session.event() => event,
            };
            tell(&mut self.link, event)?;
            self.link.flush().await?;
        }
    }

    async fn work(&mut self, kind: u8, body: &[u8]) -> Result<Flow, PgError> {
        if self.skipping && !matches!(kind, b'S' | b'X') {
            return Ok(Flow::Go);
        }
        let message = match parse(kind, body) {
            Ok(message) => message,
            Err(error) => {
                self.fail(error).await?;
                if kind == b'Q' {
                    return self.ready().await;
                }
                self.skipping = true;
                return Ok(Flow::Go);
            }
        };
        let worked = match message {
            Message::Query(sql) => {
                self.link.begin();
                if let Err(error) = self.session.simple(sql, &mut self.link).await {
                    self.fail(error).await?;
                }
                return self.ready().await;
            }
            Message::Sync => {
                self.skipping = false;
                if let Err(error) = self.session.sync().await {
                    self.fail(error).await?;
                }
                return self.ready().await;
            }
            Message::FunctionCall => {
                let message = "fastpath function calls are not supported: call it by SELECT";
                self.fail(PgError::new("0A000", message)).await?;
                return self.ready().await;
            }
            Message::Terminate => return Ok(Flow::End),
            Message::Flush => {
                self.flush = true;
                Ok(())
            }
            // Of a copy that has ended.
            Message::CopyDone | Message::CopyFail(_) => Ok(()),
            Message::Parse { name, sql, types } => {
                let prepared = self.session.prepare(name, sql, &types).await;
                self.done(prepared, b'1')
            }
            Message::Bind {
                portal,
                statement,
                parameters,
                result_formats,
            } => {
                let bind = Bind {
                    portal,
                    statement,
                    parameters: &parameters,
                    result_formats: &result_formats,
                };
                let bound = self.session.bind(bind).await;
                self.done(bound, b'2')
            }
            Message::Describe(target) => self.describe(target),
            Message::Close(target) => {
                match target {
                    Target::Statement(name) => self.session.close_statement(name),
                    Target::Portal(name) => self.session.close_portal(name),
                }
                self.done(Ok(()), b'3')
            }
            Message::Execute { portal, rows_max } => self.execute(portal, rows_max).await,
        };
        if let Err(error) = worked {
            self.fail(error).await?;
            self.skipping = true;
        }
        Ok(Flow::Go)
    }

    /// Says that something without an answer of its own was done.
    fn done(&mut self, result: Result<(), PgError>, kind: u8) -> Result<(), PgError> {
        result.map(|()| self.link.out.message(kind, |_| {}))
    }

    fn describe(&mut self, target: Target<'_>) -> Result<(), PgError> {
        let out = &mut self.link.out;
        match target {
            Target::Statement(name) => self.session.describe_statement(name, out),
            Target::Portal(name) => self.session.describe_portal(name, out),
        }
    }

    async fn execute(&mut self, portal: &str, rows_max: u32) -> Result<(), PgError> {
        self.link.begin();
        let executed = self.session.execute(portal, rows_max, &mut self.link);
        match executed.await? {
            Execution::Complete(tag) => self.link.out.complete(tag),
            Execution::Suspended => self.link.out.message(b's', |_| {}),
            Execution::Empty => self.link.out.empty_query(),
        }
        Ok(())
    }

    /// Tells the session and the client of an error; one that ends the session is told later.
    async fn fail(&mut self, error: PgError) -> Result<(), PgError> {
        self.session.failed().await;
        if self.link.is_lost() || error.severity == Severity::Fatal {
            return Err(error);
        }
        self.link.out.error(&error);
        // A client may wait for it before it sends its Sync.
        self.flush = true;
        Ok(())
    }

    /// The end of a request: what is to be told before, and where the session stands.
    async fn ready(&mut self) -> Result<Flow, PgError> {
        loop {
            let event = tokio::select! {
                biased;
                event = self.session.event() => event,
                () = std::future::ready(()) => break,
            };
            tell(&mut self.link, event)?;
            if self.link.out.is_full() {
                self.link.flush().await?;
            }
        }
        self.link.out.ready(self.session.status());
        self.flush = true;
        Ok(Flow::Go)
    }
}

fn tell(link: &mut Link, event: Event) -> Result<(), PgError> {
    match event {
        Event::Notification {
            process_id,
            channel,
            payload,
        } => link.out.notification(process_id, &channel, &payload),
        Event::End(error) => return Err(error.with_severity(Severity::Fatal)),
    }
    Ok(())
}

/// Sends what is left, and why the session has ended.
pub(crate) async fn farewell(link: &mut Link, error: Option<PgError>) {
    if let Some(error) = error {
        if link.is_lost() {
            return;
        }
        tracing::debug!(%error, "a connection was ended");
        link.out.error(&error.with_severity(Severity::Fatal));
    }
    // Whether it arrives is up to the client.
    let _ = tokio::time::timeout(FAREWELL, link.close()).await;
}
