//! What is behind the PostgreSQL door: sessions of SQL, their statements and portals.
//!
//! The door brings messages, `velocitydb-sql` knows statements, those that a client has named
//! included; here are its portals ([`Named`]: bounded). A request of several statements is one transaction; one of a single
//! statement is run again when another was faster.
//!
//! Files: `backend` (who connects, and to which database). Tests: tests/it/pg.rs.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use velocitydb::locks::{LockError, Waiting};
use velocitydb::{Committing, Guest};
use velocitydb_pg::{
    Bind, Cancel, Client, Column, Event, Execution, Format, Oid, Output, PgError, Severity, Tag,
    TransactionStatus, format_of,
};
use velocitydb_sql::formats::{read_binary, write_binary, write_text};
use velocitydb_sql::{
    Answer, Canceller, CopyTo, Named, Prepared, Rows, Runtime, Session, Shape, SqlError, Status,
    process_id, shape, sqlstate,
};
use velocitydb_types::{SqlType, Value};

mod backend;

pub use backend::SqlBackend;

/// A statement stays on its thread, which has nothing else to do while it takes its time; one that
/// waits takes no thread.
struct Tokio;

impl Runtime for Tokio {
    fn work<R>(&self, work: impl FnOnce() -> R) -> R {
        tokio::task::block_in_place(work)
    }

    async fn wait(&self, mut waiting: Waiting, limit: Option<Duration>) -> Result<(), LockError> {
        let Some(limit) = limit else {
            return waiting.await;
        };
        match tokio::time::timeout(limit, &mut waiting).await {
            Ok(waited) => waited,
            Err(_) => waiting.time_out(),
        }
    }

    async fn told(&self, committing: Committing) -> Result<(), velocitydb::Error> {
        committing.await.map(|_| ())
    }
}

/// One client's session.
pub struct SqlSession {
    session: Session,
    portals: Named<Portal>,
    /// Simple statements by their [`Shape`]'s text; without one where it cannot be prepared so.
    shapes: HashMap<String, Option<Arc<Prepared>>>,
    /// By who drops the database.
    leave: Arc<backend::Leave>,
    // Last: what the session leaves in the database goes before that may.
    _guest: Guest,
}

/// The most shapes that a session keeps.
const SHAPES_MAX: usize = 32;

struct Portal {
    statement: Arc<Prepared>,
    parameters: Vec<Value>,
    formats: Vec<Format>,
    progress: Progress,
}

enum Progress {
    Ready,
    /// With the rows that are left, and how it ends.
    Running(Rows, Ending),
    /// A query whose rows the session has, as those of a cursor.
    Kept,
    /// Run, and without rows; or it runs.
    Spent,
}

/// How a portal's last part ends.
#[derive(Clone, Copy)]
enum Ending {
    /// A query: with the rows of this part.
    Query,
    /// A query whose rows the session has.
    Kept,
    /// A statement that was run whole at once.
    Whole(Tag),
}

fn of_sql(error: SqlError) -> PgError {
    let mut of = PgError::new(error.sqlstate, error.message);
    if let Some(detail) = error.detail {
        of = of.detail(detail);
    }
    if let Some(hint) = error.hint {
        of = of.hint(hint);
    }
    if let Some(position) = error.position {
        of = of.position(position);
    }
    if let Some(table) = error.table {
        of = of.schema("public").table(table);
    }
    let place = error.place.unwrap_or_default();
    if let Some(column) = place.column {
        of = of.column(column);
    }
    if let Some(context) = place.context {
        of = of.context(context);
    }
    if let Some(constraint) = error.constraint {
        of = of.constraint(constraint);
    }
    of
}

/// Columns as the door describes them.
fn described(columns: &[velocitydb_sql::Column]) -> impl ExactSizeIterator<Item = Column<'_>> {
    columns.iter().map(|column| Column {
        type_modifier: column.sql.modifier(),
        ..Column::new(&column.name, column.sql.oid(), column.sql.length())
    })
}

fn tag(answer: &Answer) -> Tag {
    match answer.count {
        Some(count) => Tag::with_rows(answer.command, count),
        None => Tag::new(answer.command),
    }
}

/// Tells what is worth a notice; what is wrong with a transaction's beginning or end is a warning.
fn tell<C: Client>(session: &Session, answer: &mut Answer, client: &mut C) {
    for notice in answer.notices.drain(..) {
        let is_warning = matches!(&notice.sqlstate[..2], "01" | "25");
        if !session.wants_notice(is_warning) {
            continue;
        }
        let severity = match is_warning {
            true => Severity::Warning,
            false => Severity::Notice,
        };
        client.out().notice(&of_sql(notice).with_severity(severity));
    }
}

impl SqlSession {
    /// Runs a statement, and tells all of its answer but the rows.
    async fn run_told<C: Client>(
        &mut self,
        prepared: &Prepared,
        parameters: &[Value],
        client: &mut C,
    ) -> Result<Answer, PgError> {
        let answer = self.session.run_on(&Tokio, prepared, parameters).await;
        let mut answer = answer.map_err(of_sql)?;
        tell(&self.session, &mut answer, client);
        for (name, value) in self.session.take_changes() {
            client.out().parameter_status(name, &value);
        }
        Ok(answer)
    }

    /// A statement by its shape, and its values: prepared when it is met first.
    fn shaped(&mut self, sql: &str) -> Option<(Arc<Prepared>, Vec<Value>)> {
        let Shape {
            text,
            types,
            values,
        } = shape(sql)?;
        let kept = self.shapes.get(&text).filter(|kept| {
            let statement = kept.as_ref();
            statement.is_none_or(|statement| self.session.is_current(statement))
        });
        let kept = match kept {
            Some(kept) => kept.clone(),
            None => {
                let kept = match self.session.prepare(&text, &types) {
                    Ok(prepared) => Some(Arc::new(prepared)),
                    // What it names may be there the next time.
                    Err(error) if error.is_missing() => return None,
                    Err(_) => None,
                };
                if self.shapes.len() == SHAPES_MAX {
                    self.shapes.clear();
                }
                self.shapes.insert(text, kept.clone());
                kept
            }
        };
        let has = |statement: &Arc<Prepared>| {
            let taken = statement.parameters().iter().copied().map(Some);
            taken.eq(types.iter().copied())
        };
        kept.filter(has).map(|statement| (statement, values))
    }

    /// Runs one statement of a simple query, and tells its answer.
    async fn simple_one<C: Client>(
        &mut self,
        prepared: &Prepared,
        parameters: &[Value],
        is_last: bool,
        client: &mut C,
    ) -> Result<(), PgError> {
        let tag = match prepared.is_copy_in() {
            true => self.copy_in(prepared, client).await?,
            false => {
                let mut answer = self.run_told(prepared, parameters, client).await?;
                if let (Some(rows), Some(copy)) = (&mut answer.rows, prepared.copy_to()) {
                    self.copy_out(rows, &copy, client).await?;
                } else if let Some(rows) = &mut answer.rows {
                    let formats: &[Format] = match prepared.is_binary() {
                        true => &[Format::Binary],
                        false => &[],
                    };
                    client
                        .out()
                        .row_description(described(prepared.columns()), formats);
                    self.write_rows(rows, prepared.columns(), formats, usize::MAX, client)
                        .await?;
                }
                tag(&answer)
            }
        };
        if is_last {
            self.end_implicit().await?; // it is told that the last one is done when it is
        }
        client.out().complete(tag);
        Ok(())
    }

    /// The next rows of a portal whose rows the session has, so many at most.
    fn kept_rows(&mut self, name: &str, most: usize) -> Result<Rows, PgError> {
        self.session.portal_rows(name, most).map_err(of_sql)
    }

    /// Runs the query of a portal that was not run yet, so that FETCH and MOVE find its rows.
    async fn begin_portal<C: Client>(&mut self, name: &str, client: &mut C) -> Result<(), PgError> {
        let Some(portal) = self.portals.get_mut(name) else {
            return Ok(());
        };
        let is_query = portal.statement.is_query() && self.session.status() == Status::Open;
        if !is_query || !matches!(portal.progress, Progress::Ready) {
            return Ok(());
        }
        let statement = Arc::clone(&portal.statement);
        let parameters = std::mem::take(&mut portal.parameters);
        portal.progress = Progress::Spent;
        let answer = self.run_told(&statement, &parameters, client).await?;
        let rows = answer.rows.unwrap_or_else(|| Rows::values(Vec::new()));
        let kept = self.session.keep_portal(name, rows, statement.columns());
        if let Some(portal) = self.portals.get_mut(name) {
            portal.progress = match kept {
                None => Progress::Kept,
                Some(rows) => Progress::Running(rows, Ending::Query),
            };
        }
        Ok(())
    }

    /// The end of a request.
    async fn end_implicit(&mut self) -> Result<(), PgError> {
        let ended = self.session.end_implicit_on(&Tokio).await;
        ended.map_err(of_sql)
    }

    /// Runs a COPY … FROM STDIN with the client's data.
    async fn copy_in<C: Client>(
        &mut self,
        prepared: &Prepared,
        client: &mut C,
    ) -> Result<Tag, PgError> {
        let mut copy = self.session.copy_in(prepared).map_err(of_sql)?;
        let format = match copy.is_binary() {
            true => Format::Binary,
            false => Format::Text,
        };
        client.copy_in(format, copy.columns()).await?;
        while let Some(bytes) = client.copy_chunk().await? {
            let taken = self.session.copy_take_on(&Tokio, &mut copy, bytes).await;
            taken.map_err(of_sql)?;
        }
        let ended = self.session.copy_end_on(&Tokio, &mut copy).await;
        Ok(tag(&ended.map_err(of_sql)?))
    }

    /// Writes the rows of a COPY … TO STDOUT.
    async fn copy_out<C: Client>(
        &self,
        rows: &mut Rows,
        copy: &CopyTo,
        client: &mut C,
    ) -> Result<(), PgError> {
        let format = match copy.is_binary() {
            true => Format::Binary,
            false => Format::Text,
        };
        client.out().copy_out(format, copy.columns());
        let (mut data, mut scratch) = (Vec::new(), Vec::new());
        copy.write_header(&mut data);
        let settings = self.session.settings();
        loop {
            let written = copy.write_row(rows, settings, &mut scratch, &mut data);
            let is_row = written.map_err(of_sql)?;
            if !is_row {
                copy.write_trailer(&mut data);
            }
            if !data.is_empty() {
                client.out().copy_data(|out| out.extend_from_slice(&data));
                data.clear();
            }
            if client.out().is_full() {
                client.drain().await?;
            }
            if !is_row {
                client.out().copy_done();
                return Ok(());
            }
        }
    }

    /// Writes rows, at most so many: how many there were.
    async fn write_rows<C: Client>(
        &self,
        rows: &mut Rows,
        columns: &[velocitydb_sql::Column],
        formats: &[Format],
        rows_max: usize,
        client: &mut C,
    ) -> Result<usize, PgError> {
        let settings = self.session.settings();
        let mut count = 0;
        while count < rows_max {
            let mut row = client.out().row(columns.len());
            let written = rows.next(|at, cell| {
                if cell.is_null() {
                    row.null();
                    return Ok(());
                }
                let (sql, view) = (columns[at].sql, cell.view());
                let written = row.write(|out| match format_of(formats, at) {
                    Format::Text => write_text(view, sql, settings, out),
                    Format::Binary => write_binary(view, sql, out),
                });
                written.map_err(SqlError::from)
            });
            if !written.map_err(of_sql)? {
                break;
            }
            row.finish()?;
            count += 1;
            if client.out().is_full() {
                client.drain().await?;
            }
        }
        Ok(count)
    }

    fn value(
        &self,
        parameter: velocitydb_pg::Parameter<'_>,
        sql: SqlType,
    ) -> Result<Value, PgError> {
        let Some(bytes) = parameter.value else {
            return Ok(Value::Null);
        };
        let value = match parameter.format {
            Format::Binary => read_binary(bytes, sql).map_err(SqlError::from),
            Format::Text => {
                let text = std::str::from_utf8(bytes).map_err(|_| {
                    let message = "invalid byte sequence for encoding \"UTF8\"";
                    PgError::new("22021", message)
                })?;
                self.session.read_text(text, sql)
            }
        };
        value.map_err(of_sql)
    }
}

fn no_portal(name: &str) -> PgError {
    let message = format!("portal {name:?} does not exist");
    PgError::new(sqlstate::INVALID_CURSOR_NAME, message)
}

impl velocitydb_pg::Session for SqlSession {
    fn report(&self, out: &mut Output) {
        for (name, value) in self.session.reported() {
            out.parameter_status(name, &value);
        }
    }

    fn process_id(&self) -> i32 {
        self.session.process_id()
    }

    fn status(&self) -> TransactionStatus {
        match self.session.status() {
            Status::Idle => TransactionStatus::Idle,
            Status::Open => TransactionStatus::Open,
            Status::Failed => TransactionStatus::Failed,
        }
    }

    fn canceller(&self) -> Arc<dyn Cancel> {
        struct OfSession(Canceller);
        impl Cancel for OfSession {
            fn cancel(&self) {
                self.0.cancel();
            }
        }
        Arc::new(OfSession(self.session.canceller()))
    }

    async fn simple<C: Client>(&mut self, sql: &str, client: &mut C) -> Result<(), PgError> {
        if let Some((statement, values)) = self.shaped(sql) {
            return self.simple_one(&statement, &values, true, client).await;
        }
        let trees = self.session.parse(sql).map_err(of_sql)?;
        if trees.is_empty() {
            self.end_implicit().await?;
            client.out().empty_query();
        }
        if trees.len() > 1 {
            self.session.begin_implicit();
        }
        for (at, tree) in trees.iter().enumerate() {
            if let Some(cursor) = tree.cursor() {
                self.begin_portal(cursor, client).await?;
            }
            let prepared = self.session.prepare_tree(sql, tree, &[]).map_err(of_sql)?;
            let is_last = at + 1 == trees.len();
            self.simple_one(&prepared, &[], is_last, client).await?;
        }
        Ok(())
    }

    async fn prepare(
        &mut self,
        name: &str,
        sql: &str,
        parameter_types: &[Oid],
    ) -> Result<(), PgError> {
        let types = parameter_types.iter().map(|oid| match oid {
            0 => Ok(None),
            oid => SqlType::from_oid(*oid).map(Some).ok_or_else(|| {
                let message = format!("type with OID {oid} does not exist");
                PgError::new(sqlstate::UNDEFINED_OBJECT, message)
            }),
        });
        let types = types.collect::<Result<Vec<_>, _>>()?;
        self.session.prepare_as(name, sql, &types).map_err(of_sql)
    }

    fn describe_statement(&self, name: &str, out: &mut Output) -> Result<(), PgError> {
        let statement = self.session.statement(name).map_err(of_sql)?;
        out.parameter_description(statement.parameters().iter().map(|sql| sql.oid()));
        out.columns(described(statement.columns()), &[]);
        Ok(())
    }

    fn describe_portal(&self, name: &str, out: &mut Output) -> Result<(), PgError> {
        if let Some(portal) = self.portals.get(name) {
            out.columns(described(portal.statement.columns()), &portal.formats);
            return Ok(());
        }
        let cursor = self.session.cursor_columns(name);
        let (columns, is_binary) = cursor.ok_or_else(|| no_portal(name))?;
        let formats: &[Format] = if is_binary { &[Format::Binary] } else { &[] };
        out.columns(described(columns), formats);
        Ok(())
    }

    async fn bind(&mut self, bind: Bind<'_>) -> Result<(), PgError> {
        let statement = self.session.statement(bind.statement).map_err(of_sql)?;
        let statement = Arc::clone(statement);
        let types = statement.parameters();
        if types.len() != bind.parameters.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement {:?} requires {}",
                bind.parameters.len(),
                bind.statement,
                types.len()
            );
            return Err(PgError::new("08P01", message));
        }
        let (formats, columns) = (bind.result_formats.len(), statement.columns().len());
        if formats > 1 && formats != columns {
            let message = format!(
                "bind message has {formats} result formats but query has {columns} columns"
            );
            return Err(PgError::new("08P01", message));
        }
        let is_taken =
            |name| self.portals.get(name).is_some() || self.session.cursor_columns(name).is_some();
        if !bind.portal.is_empty() && is_taken(bind.portal) {
            let message = format!("cursor {:?} already exists", bind.portal);
            return Err(PgError::new("42P03", message));
        }
        let bytes =
            |parameter: &velocitydb_pg::Parameter<'_>| parameter.value.map_or(0, <[u8]>::len);
        let bytes = bind.parameters.iter().map(bytes).sum();
        let values = bind.parameters.iter().zip(types);
        let values = values.map(|(parameter, sql)| self.value(*parameter, *sql));
        let portal = Portal {
            parameters: values.collect::<Result<_, _>>()?,
            formats: bind.result_formats.to_vec(),
            progress: Progress::Ready,
            statement,
        };
        let inserted = self.portals.insert(bind.portal, bytes, portal);
        inserted.map_err(of_sql)
    }

    async fn execute<C: Client>(
        &mut self,
        name: &str,
        rows_max: u32,
        client: &mut C,
    ) -> Result<Execution, PgError> {
        let portal = self.portals.get_mut(name);
        let portal = portal.ok_or_else(|| no_portal(name))?;
        let prepared = &*Arc::clone(&portal.statement);
        if prepared.is_empty() {
            return Ok(Execution::Empty);
        }
        let progress = std::mem::replace(&mut portal.progress, Progress::Spent);
        let most = match rows_max {
            0 => usize::MAX,
            most => most as usize,
        };
        let formats = portal.formats.clone();
        let (mut rows, ending) = match progress {
            Progress::Ready => {
                let parameters = std::mem::take(&mut portal.parameters);
                if !client.ends_here() {
                    self.session.begin_implicit();
                }
                if prepared.is_copy_in() {
                    let tag = self.copy_in(prepared, client).await?;
                    return Ok(Execution::Complete(tag));
                }
                let mut answer = self.run_told(prepared, &parameters, client).await?;
                let tag = tag(&answer);
                if let (Some(rows), Some(copy)) = (&mut answer.rows, prepared.copy_to()) {
                    self.copy_out(rows, &copy, client).await?;
                    return Ok(Execution::Complete(tag));
                }
                let Some(rows) = answer.rows else {
                    return Ok(Execution::Complete(tag));
                };
                match answer.command {
                    "SELECT" => match self.session.keep_portal(name, rows, prepared.columns()) {
                        None => (self.kept_rows(name, most)?, Ending::Kept),
                        Some(rows) => (rows, Ending::Query),
                    },
                    _ => (rows, Ending::Whole(tag)),
                }
            }
            Progress::Kept => (self.kept_rows(name, most)?, Ending::Kept),
            Progress::Running(rows, ending) => (rows, ending),
            Progress::Spent => {
                let message = format!("portal {name:?} cannot be run");
                let state = sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE;
                return Err(PgError::new(state, message));
            }
        };
        let columns = prepared.columns();
        let count = self
            .write_rows(&mut rows, columns, &formats, most, client)
            .await?;
        let execution = if count == most {
            Execution::Suspended
        } else {
            rows = Rows::values(Vec::new()); // their memory is given back
            Execution::Complete(match ending {
                Ending::Query | Ending::Kept => Tag::with_rows("SELECT", count as u64),
                Ending::Whole(tag) => tag,
            })
        };
        if let Some(portal) = self.portals.get_mut(name) {
            portal.progress = match ending {
                Ending::Kept => Progress::Kept,
                ending => Progress::Running(rows, ending),
            };
        }
        Ok(execution)
    }

    fn close_statement(&mut self, name: &str) {
        if let Ok(closed) = self.session.deallocate(name) {
            let session = &mut self.session;
            self.portals.retain(|name, portal| {
                let is_other = !Arc::ptr_eq(&portal.statement, &closed);
                if !is_other {
                    session.close_cursor(name);
                }
                is_other
            });
        }
    }

    fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
        self.session.close_cursor(name);
    }

    async fn sync(&mut self) -> Result<(), PgError> {
        self.end_implicit().await?;
        if self.session.status() == Status::Idle {
            self.portals.retain(|_, _| false);
        }
        Ok(())
    }

    async fn failed(&mut self) {
        self.session.fail();
        self.portals.retain(|_, _| false);
        self.session.forget_portals();
    }

    async fn event(&mut self) -> Event {
        let next = std::future::poll_fn(|context| match self.leave.poll(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => self.session.poll_notification(context).map(Some),
        });
        let Some(next) = next.await else {
            let message = "terminating connection due to administrator command";
            return Event::End(PgError::fatal("57P01", message));
        };
        match next {
            Ok(notification) => Event::Notification {
                process_id: process_id(notification.from),
                channel: notification.channel.to_string(),
                payload: notification.payload.to_string(),
            },
            Err(error) => Event::End(of_sql(error)),
        }
    }
}
