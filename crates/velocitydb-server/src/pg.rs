//! What is behind the PostgreSQL door: sessions of SQL, their statements and portals.
//!
//! The door brings messages, `velocitydb-sql` knows statements; here is what a client has named
//! of them. Tests: tests/it/pg.rs.

use std::collections::HashMap;
use std::sync::Arc;

use velocitydb::Database;
use velocitydb_pg::{
    Backend, Bind, Cancel, Client, Column, Columns, Event, Execution, Format, Oid, Output, PgError,
    Severity, Startup, StatementDescription, Tag, TransactionStatus, format_of,
};
use velocitydb_sql::formats::{read_binary, read_text, write_binary, write_text};
use velocitydb_sql::{
    Answer, Canceller, Prepared, Rows, Session, SqlError, Status, parse, sqlstate,
};
use velocitydb_types::{SqlType, Value};

/// Makes sessions over a database.
pub struct SqlBackend {
    database: Database,
}

impl SqlBackend {
    /// Over this database.
    pub fn new(database: Database) -> SqlBackend {
        SqlBackend { database }
    }
}

impl Backend for SqlBackend {
    type Session = SqlSession;

    async fn connect(&self, startup: &Startup) -> Result<SqlSession, PgError> {
        let mut session = Session::new(self.database.clone());
        for (name, value) in &startup.settings {
            session.set(name, value).map_err(of_sql)?;
        }
        Ok(SqlSession {
            session,
            statements: HashMap::new(),
            portals: HashMap::new(),
        })
    }
}

/// One client's session.
pub struct SqlSession {
    session: Session,
    statements: HashMap<String, Arc<Statement>>,
    portals: HashMap<String, Portal>,
}

/// A prepared statement as the door describes it.
struct Statement {
    prepared: Prepared,
    parameters: Vec<Oid>,
    columns: Vec<Column>,
}

struct Portal {
    statement: Arc<Statement>,
    parameters: Vec<Value>,
    formats: Vec<Format>,
    progress: Progress,
}

enum Progress {
    Ready,
    /// With the rows that are left.
    Running(Rows),
    Done,
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
    if let Some(column) = error.column {
        of = of.column(column);
    }
    if let Some(constraint) = error.constraint {
        of = of.constraint(constraint);
    }
    of
}

impl Statement {
    fn new(prepared: Prepared) -> Statement {
        let column = |column: &velocitydb_sql::Column| Column {
            type_modifier: column.sql.modifier(),
            ..Column::new(&column.name, column.sql.oid(), column.sql.length())
        };
        Statement {
            parameters: prepared.parameters().iter().map(|sql| sql.oid()).collect(),
            columns: prepared.columns().iter().map(column).collect(),
            prepared,
        }
    }

    fn described<'s>(&'s self, formats: &'s [Format]) -> Columns<'s> {
        match self.columns.is_empty() {
            true => Columns::None,
            false => Columns::Rows(&self.columns, formats),
        }
    }
}

fn tag(answer: &Answer) -> Tag {
    match answer.count {
        Some(count) => Tag::with_rows(answer.command, count),
        None => Tag::new(answer.command),
    }
}

/// Tells what is worth a notice; what is wrong with a transaction's beginning or end is a warning.
fn tell<C: Client>(answer: &mut Answer, client: &mut C) {
    for notice in answer.notices.drain(..) {
        let severity = match notice.sqlstate.starts_with("25") {
            true => Severity::Warning,
            false => Severity::Notice,
        };
        client.out().notice(&of_sql(notice).with_severity(severity));
    }
}

impl SqlSession {
    fn statement(&self, name: &str) -> Result<&Arc<Statement>, PgError> {
        self.statements.get(name).ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_owned(),
                name => format!("prepared statement {name:?} does not exist"),
            };
            PgError::new(sqlstate::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    fn portal(&self, name: &str) -> Result<&Portal, PgError> {
        self.portals.get(name).ok_or_else(|| no_portal(name))
    }

    /// Runs a statement; on this thread, but one that may take its time has it to itself.
    fn run(&mut self, prepared: &Prepared, parameters: &[Value]) -> Result<Answer, PgError> {
        let session = &mut self.session;
        let mut run = || session.run(prepared, parameters).map_err(of_sql);
        match prepared.is_quick() {
            true => run(),
            false => tokio::task::block_in_place(run),
        }
    }

    /// Writes rows, at most so many; whether that were all.
    async fn write_rows<C: Client>(
        &self,
        rows: &mut Rows,
        columns: &[velocitydb_sql::Column],
        formats: &[Format],
        rows_max: usize,
        client: &mut C,
    ) -> Result<u64, PgError> {
        let settings = self.session.settings();
        let mut count = 0;
        while (count as usize) < rows_max {
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
            Format::Binary => read_binary(bytes, sql),
            Format::Text => {
                let text = std::str::from_utf8(bytes).map_err(|_| {
                    let message = "invalid byte sequence for encoding \"UTF8\"";
                    PgError::new("22021", message)
                })?;
                read_text(text, sql, self.session.settings())
            }
        };
        value.map_err(|error| of_sql(error.into()))
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
        let trees = parse(sql).map_err(of_sql)?;
        if trees.is_empty() {
            client.out().empty_query();
        }
        for tree in &trees {
            let prepared = self.session.prepare_tree(sql, tree, &[]).map_err(of_sql)?;
            let statement = Statement::new(prepared);
            let mut answer = self.run(&statement.prepared, &[])?;
            tell(&mut answer, client);
            for (name, value) in self.session.take_changes() {
                client.out().parameter_status(name, &value);
            }
            let tag = tag(&answer);
            if let Some(mut rows) = answer.rows {
                client.out().row_description(&statement.columns, &[]);
                let columns = statement.prepared.columns();
                self.write_rows(&mut rows, columns, &[], usize::MAX, client)
                    .await?;
            }
            client.out().complete(tag);
        }
        Ok(())
    }

    async fn prepare(
        &mut self,
        name: &str,
        sql: &str,
        parameter_types: &[Oid],
    ) -> Result<(), PgError> {
        if !name.is_empty() && self.statements.contains_key(name) {
            let message = format!("prepared statement {name:?} already exists");
            return Err(PgError::new(
                sqlstate::DUPLICATE_PREPARED_STATEMENT,
                message,
            ));
        }
        let types = parameter_types.iter().map(|oid| match oid {
            0 => Ok(None),
            oid => SqlType::from_oid(*oid).map(Some).ok_or_else(|| {
                let message = format!("type with OID {oid} does not exist");
                PgError::new(sqlstate::UNDEFINED_OBJECT, message)
            }),
        });
        let types = types.collect::<Result<Vec<_>, _>>()?;
        let prepared = self.session.prepare(sql, &types).map_err(of_sql)?;
        let statement = Arc::new(Statement::new(prepared));
        self.statements.insert(name.to_owned(), statement);
        Ok(())
    }

    fn describe_statement(&self, name: &str) -> Result<StatementDescription<'_>, PgError> {
        let statement = self.statement(name)?;
        Ok(StatementDescription {
            parameters: &statement.parameters,
            columns: statement.described(&[]),
        })
    }

    fn describe_portal(&self, name: &str) -> Result<Columns<'_>, PgError> {
        let portal = self.portal(name)?;
        Ok(portal.statement.described(&portal.formats))
    }

    async fn bind(&mut self, bind: Bind<'_>) -> Result<(), PgError> {
        let statement = Arc::clone(self.statement(bind.statement)?);
        let types = statement.prepared.parameters();
        if types.len() != bind.parameters.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement {:?} requires {}",
                bind.parameters.len(),
                bind.statement,
                types.len()
            );
            return Err(PgError::protocol(message));
        }
        if !bind.portal.is_empty() && self.portals.contains_key(bind.portal) {
            let message = format!("cursor {:?} already exists", bind.portal);
            return Err(PgError::new("42P03", message));
        }
        let values = bind.parameters.iter().zip(types);
        let values = values.map(|(parameter, sql)| self.value(*parameter, *sql));
        let portal = Portal {
            parameters: values.collect::<Result<_, _>>()?,
            formats: bind.result_formats.to_vec(),
            progress: Progress::Ready,
            statement,
        };
        self.portals.insert(bind.portal.to_owned(), portal);
        Ok(())
    }

    async fn execute<C: Client>(
        &mut self,
        name: &str,
        rows_max: u32,
        client: &mut C,
    ) -> Result<Execution, PgError> {
        // Out of the map while it runs; an error ends it.
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let prepared = &portal.statement.prepared;
        if prepared.is_empty() {
            return Ok(Execution::Empty);
        }
        let mut command = None;
        if let Progress::Ready = portal.progress {
            let mut answer = self.run(prepared, &portal.parameters)?;
            tell(&mut answer, client);
            for (name, value) in self.session.take_changes() {
                client.out().parameter_status(name, &value);
            }
            command = Some(tag(&answer));
            portal.progress = match answer.rows {
                Some(rows) => Progress::Running(rows),
                None => Progress::Done,
            };
        }
        let execution = match &mut portal.progress {
            Progress::Running(rows) => {
                let most = match rows_max {
                    0 => usize::MAX,
                    most => most as usize,
                };
                let columns = prepared.columns();
                let count = self
                    .write_rows(rows, columns, &portal.formats, most, client)
                    .await?;
                if (count as usize) < most {
                    portal.progress = Progress::Done;
                    Execution::Complete(command.unwrap_or(Tag::with_rows("SELECT", count)))
                } else {
                    Execution::Suspended
                }
            }
            Progress::Done | Progress::Ready => {
                Execution::Complete(command.unwrap_or(Tag::with_rows("SELECT", 0)))
            }
        };
        self.portals.insert(name.to_owned(), portal);
        Ok(execution)
    }

    fn close_statement(&mut self, name: &str) {
        if let Some(closed) = self.statements.remove(name) {
            self.portals
                .retain(|_, portal| !Arc::ptr_eq(&portal.statement, &closed));
        }
    }

    fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    async fn sync(&mut self) -> Result<(), PgError> {
        if self.session.status() == Status::Idle {
            self.portals.clear();
        }
        Ok(())
    }

    async fn failed(&mut self) {
        self.session.fail();
        self.portals.clear();
    }

    async fn event(&mut self) -> Event {
        std::future::pending().await
    }
}
