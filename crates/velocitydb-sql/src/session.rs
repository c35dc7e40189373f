//! A session: settings, prepared statements, and the transaction that is open.
//!
//! A statement outside of a transaction block is a transaction of its own, and run again when
//! another was faster. Several of one request are one transaction ([`Session::begin_implicit`]):
//! BEGIN among them makes it a transaction block, COMMIT and ROLLBACK end it, and those behind begin
//! another. A definition that cannot be rolled back commits what came before it.

mod block;
mod channels;
mod control;
mod copying;
mod cursors;
mod pace;
mod recent;
mod run;
mod scope;
mod statements;

use std::sync::Arc;

use parking_lot::Mutex;
use sqlparser::ast::Statement as Tree;
use velocitydb::locks::OwnerId;
use velocitydb::{Database, Isolation, Transaction};
use velocitydb_types::{SqlType, Value};

pub use block::Canceller;
pub use run::{Runtime, Threads};

use self::block::{Block, SessionLocks, aborted};
use self::cursors::Cursors;
use self::pace::Pace;
use self::recent::Recent;
pub(crate) use self::scope::Saved;
use self::statements::{Execute, Prepare};
use crate::bind::Parameters;
use crate::copy::{Copy, CopyFrom, CopyTo};
use crate::definitions::Definitions;
use crate::effects::Effects;
use crate::error::{SqlError, sqlstate};
use crate::formats::{Settings, read_text};
use crate::named::Named as NamedItems;
use crate::parse::{Declare, Form, OfSession, Own, Parsed, command, parse_within};
use crate::planner::Planner;
use crate::sequences::Sequences;
use crate::settings::{self, Named};
use crate::statement::define::Define;
use crate::statement::rows::{Column, Rows};
use crate::statement::{Native, Preparing};
use crate::table::Tables;
use crate::temporary::{SessionTables, Temporary};

/// Where a session stands in transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Outside of a transaction block.
    Idle,
    /// In one.
    Open,
    /// In one that failed: only its end is accepted.
    Failed,
}

/// What became of a statement.
#[derive(Debug)]
pub struct Answer {
    /// What was done, as PostgreSQL's tags say it: `CREATE TABLE`, `INSERT 0`.
    pub command: &'static str,
    /// How many rows it concerned, where the tag tells.
    pub count: Option<u64>,
    /// Its rows, when it has columns.
    pub rows: Option<Rows>,
    /// What is worth a notice: for example that there was no transaction to end. Those of the
    /// SQLSTATEs' classes 01 and 25 are warnings.
    pub notices: Vec<SqlError>,
}

impl Answer {
    /// What was done, with the number of rows: `INSERT 0 1`.
    pub fn tag(&self) -> String {
        match self.count {
            Some(count) => format!("{} {count}", self.command),
            None => self.command.to_owned(),
        }
    }

    /// The same, with more notices.
    fn with(mut self, notices: Vec<SqlError>) -> Answer {
        self.notices.extend(notices);
        self
    }

    fn done(command: &'static str) -> Answer {
        Answer {
            command,
            count: None,
            rows: None,
            notices: Vec::new(),
        }
    }
}

/// A statement, ready to be run as often as wanted: when a table that it names was defined anew, or
/// a setting has changed, it is bound again before that.
#[derive(Debug)]
pub struct Prepared {
    /// What it was bound from, where it may be run later.
    text: Option<Box<str>>,
    plan: Mutex<Plan>,
    parameters: Vec<SqlType>,
    columns: Vec<Column>,
    binary: bool,
    /// Whether it is an EXECUTE.
    executes: bool,
}

/// What was bound, and with which settings.
#[derive(Debug, Clone)]
struct Plan {
    kind: Arc<Kind>,
    settings: Arc<Settings>,
    /// [`crate::temporary::Temporary::made`].
    temporary: u64,
    /// [`Transaction::definitions`] of the transaction that was open.
    definitions: u64,
}

impl Plan {
    /// Whether binding it now would lead to the same.
    fn is_current(&self, session: &Session) -> bool {
        let tables_are_current = match &*self.kind {
            Kind::Native(native, _) => native.is_current(),
            Kind::CopyFrom(from) => from.table.is_current(),
            Kind::CopyTo(to) => to.statement.is_current(),
            Kind::Declare(declare) => declare.1.is_current(),
            Kind::Execute(execute) => session.is_named(execute),
            Kind::Empty
            | Kind::Define(_)
            | Kind::Control(_)
            | Kind::Session(_)
            | Kind::Prepare(_) => return true,
        };
        // Those of a transaction are its own, as long as it defines nothing more.
        (tables_are_current || self.definitions > 0)
            && self.definitions == session.definitions()
            && Arc::ptr_eq(&self.settings, &session.settings)
            && self.temporary == session.settings.search_path.temporary.made()
    }
}

#[derive(Debug)]
enum Kind {
    Empty,
    Native(Box<Native>, Pace),
    Define(Box<Define>),
    CopyFrom(Arc<CopyFrom>),
    CopyTo(Arc<CopyTo>),
    Control(Control),
    Session(Box<OfSession>),
    Declare(Box<(Declare, Native)>),
    Prepare(Box<Prepare>),
    Execute(Box<Execute>),
}

/// A statement about transactions and settings.
#[derive(Debug, Clone)]
enum Control {
    Begin {
        modes: Modes,
        tag: &'static str,
    },
    SetTransaction(Modes),
    Commit,
    Rollback,
    Savepoint(Arc<str>),
    RollbackTo(String),
    Release(String),
    Show(String),
    Set {
        /// Names and values; `None`: that of the beginning.
        all: Vec<(String, Option<String>)>,
        /// To the end of the transaction block.
        local: bool,
        tag: &'static str,
    },
    ResetAll,
    /// Prepared statements; `None`: all.
    Deallocate(Option<String>),
    /// A setting without a meaning here.
    Ignored(&'static str),
}

/// What BEGIN and SET TRANSACTION say.
#[derive(Debug, Clone, Copy, Default)]
struct Modes {
    isolation: Option<Isolation>,
    access: Option<Access>,
}

/// What a transaction block may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
}

impl Prepared {
    /// Types of its parameters.
    pub fn parameters(&self) -> &[SqlType] {
        &self.parameters
    }

    /// Columns of its answer; none when it answers no rows.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether its rows are meant to be sent in binary, whatever is the custom: those of a BINARY cursor.
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// Whether it only asks for rows.
    pub fn is_query(&self) -> bool {
        matches!(&*self.plan.lock().kind, Kind::Native(native, _) if !native.writes())
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        matches!(*self.plan.lock().kind, Kind::Empty)
    }
}

impl Kind {
    /// Whether it may be run in a transaction block that has failed.
    fn may_follow_failure(&self) -> bool {
        let ends = |control: &Control| {
            matches!(
                control,
                Control::Commit | Control::Rollback | Control::RollbackTo(_)
            )
        };
        match self {
            Kind::Empty => true,
            Kind::Control(control) => ends(control),
            Kind::Native(..)
            | Kind::Define(_)
            | Kind::CopyFrom(_)
            | Kind::CopyTo(_)
            | Kind::Session(_)
            | Kind::Declare(_)
            | Kind::Prepare(_)
            | Kind::Execute(_) => false,
        }
    }

    /// What it does that a transaction which only reads may not.
    fn written(&self) -> Option<&'static str> {
        match self {
            Kind::Native(native, _) => native.written(),
            Kind::Define(define) => Some(define.tag()),
            Kind::CopyFrom(_) => Some("COPY FROM"),
            Kind::CopyTo(to) => to.statement.written(),
            Kind::Declare(declare) => declare.1.written(),
            Kind::Empty
            | Kind::Control(_)
            | Kind::Session(_)
            | Kind::Prepare(_)
            | Kind::Execute(_) => None,
        }
    }
}

/// The most prepared statements with names that a session has.
const STATEMENTS_MAX: usize = 10_000;

/// See the module.
pub struct Session {
    database: Database,
    tables: Arc<Tables>,
    settings: Arc<Settings>,
    named: Arc<Named>,
    /// Whether a setting that clients are told of may have changed.
    changed: bool,
    /// The settings as the client wished them when it connected.
    initial: Saved,
    /// Prepared statements that have names.
    /// Those without a name that were prepared lately.
    recent: Recent,
    statements: NamedItems<Arc<Prepared>>,
    block: Option<Block>,
    /// What is run outside of transaction blocks is one transaction.
    implicit: bool,
    sequences: Arc<Sequences>,
    planner: Option<Arc<dyn Planner>>,
    canceller: Canceller,
    effects: Arc<Effects>,
    /// Cursors that have outlived their transaction.
    held: Cursors,
    locks: SessionLocks,
    /// Behind the transaction that may be open.
    temporary: SessionTables,
}

impl Session {
    /// A session of its own.
    pub fn new(database: Database) -> Session {
        Session::over(Arc::new(Tables::new(database)))
    }

    /// A session over tables that it shares with others.
    pub fn over(tables: Arc<Tables>) -> Session {
        let database = tables.database().clone();
        let now = database.now();
        let temporary = Temporary::new();
        let mut settings = Settings::new(now);
        settings.database = database.name().unwrap_or_default().into();
        settings.search_path.temporary = temporary.clone();
        let settings = Arc::new(settings);
        let named = Arc::new(Named::new(database.default_durability()));
        let initial = Saved::new(&settings, &named);
        let effects = Arc::new(Effects::new(database.clone(), initial.clone()));
        effects.enter();
        let locks = SessionLocks::of(&effects);
        Session {
            canceller: Canceller::new(locks.owner().clone()),
            locks,
            effects,
            held: Cursors::default(),
            initial,
            recent: Recent::default(),
            statements: NamedItems::new("prepared statements", STATEMENTS_MAX),
            settings,
            named,
            changed: false,
            block: None,
            implicit: false,
            planner: None,
            sequences: Arc::new(Sequences::new(database.clone())),
            temporary: SessionTables {
                temporary,
                database: database.clone(),
            },
            database,
            tables,
        }
    }

    /// The same, with someone to offer what is not native.
    #[must_use]
    pub fn with_planner(self, planner: Arc<dyn Planner>) -> Session {
        Session {
            planner: Some(planner),
            ..self
        }
    }

    /// How texts are shown and read.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Its number among those who hold locks ([`Database::locks`]).
    pub fn owner(&self) -> OwnerId {
        self.locks.owner().id()
    }

    /// The number by which clients know it: `pg_backend_pid()`, and [`Session::owner`] as far as that
    /// fits.
    pub fn process_id(&self) -> i32 {
        self.effects.process_id()
    }

    /// What interrupts its statements.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// The value of a text that a client sends for a parameter.
    ///
    /// # Errors
    /// It is none of the type.
    pub fn read_text(&self, text: &str, sql: SqlType) -> Result<Value, SqlError> {
        self.set_now();
        Ok(read_text(text, sql, &self.settings)?)
    }

    /// What texts mean by `now`: when the transaction began, or begins.
    fn set_now(&self) {
        let now = match &self.block {
            Some(block) => block.began,
            None => self.database.now(),
        };
        self.settings.now.set(now);
    }

    /// Changes a setting.
    ///
    /// # Errors
    /// There is none of this name, or it cannot have this value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        self.changed = true;
        let settings = Arc::make_mut(&mut self.settings);
        settings::set(settings, Arc::make_mut(&mut self.named), name, value)?;
        self.tell_settings();
        Ok(())
    }

    /// The settings that clients are told of.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        let shown = settings::REPORTED.iter().map(|name| {
            let value = settings::show(&self.settings, &self.named, name);
            (*name, value.unwrap_or_default())
        });
        shown.collect()
    }

    /// [`Session::reported`] when one may have changed since this was asked last.
    pub fn take_changes(&mut self) -> Vec<(&'static str, String)> {
        match std::mem::take(&mut self.changed) {
            true => self.reported(),
            false => Vec::new(),
        }
    }

    /// Where it stands in transactions.
    pub fn status(&self) -> Status {
        match &self.block {
            None | Some(Block { implicit: true, .. }) => Status::Idle,
            Some(block) if block.failed => Status::Failed,
            Some(_) => Status::Open,
        }
    }

    /// The statements of a text; what they take is taken from the memory of all queries, until they
    /// are dropped.
    ///
    /// # Errors
    /// As [`parse_within`].
    pub fn parse(&self, sql: &str) -> Result<Vec<Parsed>, SqlError> {
        parse_within(sql, self.database.query_memory())
    }

    /// Takes a text apart and makes each of its statements ready; `types` are those of parameters
    /// that the client knows.
    ///
    /// # Errors
    /// What is no SQL, names that are not there, types that do not fit, what is not supported.
    pub fn prepare(&self, sql: &str, types: &[Option<SqlType>]) -> Result<Prepared, SqlError> {
        let statements = self.parse(sql)?;
        let mut prepared = match &statements[..] {
            [] => self.prepared(Kind::Empty, Vec::new(), Vec::new()),
            [statement] => self.prepare_tree(sql, statement, types)?,
            _ => {
                let message = "cannot insert multiple commands into a prepared statement";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
            }
        };
        prepared.text = Some(sql.into());
        Ok(prepared)
    }

    fn prepared(&self, kind: Kind, parameters: Vec<SqlType>, columns: Vec<Column>) -> Prepared {
        Prepared {
            text: None,
            binary: false,
            executes: matches!(kind, Kind::Execute(_)),
            plan: Mutex::new(Plan {
                kind: Arc::new(kind),
                settings: Arc::clone(&self.settings),
                temporary: self.settings.search_path.temporary.made(),
                definitions: self.definitions(),
            }),
            parameters,
            columns,
        }
    }

    /// The transaction that is open.
    fn open(&self) -> Option<&Transaction> {
        self.block.as_ref().map(|block| &block.transaction)
    }

    fn definitions(&self) -> u64 {
        self.open().map_or(0, Transaction::definitions)
    }

    /// Whether preparing a statement now would lead to the same.
    pub fn is_current(&self, prepared: &Prepared) -> bool {
        prepared.plan.lock().is_current(self)
    }

    /// What a statement is now.
    ///
    /// # Errors
    /// What it names is not there any more, or its rows would be others.
    fn bound(&self, prepared: &Prepared) -> Result<Arc<Kind>, SqlError> {
        let plan = prepared.plan.lock().clone();
        let Some(text) = &prepared.text else {
            return Ok(plan.kind);
        };
        if plan.is_current(self) {
            return Ok(plan.kind);
        }
        let types: Vec<_> = prepared.parameters.iter().copied().map(Some).collect();
        let fresh = self.prepare(text, &types)?;
        if fresh.columns != prepared.columns || fresh.parameters != prepared.parameters {
            let message = "cached plan must not change result type";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let fresh = fresh.plan.into_inner();
        *prepared.plan.lock() = fresh.clone();
        Ok(fresh.kind)
    }

    /// Makes one statement of a text ready.
    ///
    /// # Errors
    /// As [`Session::prepare`].
    pub fn prepare_tree(
        &self,
        sql: &str,
        statement: &Parsed,
        types: &[Option<SqlType>],
    ) -> Result<Prepared, SqlError> {
        let prepared = self.prepare_parsed(sql, statement, types);
        // What a block that has failed knows of tables is nothing to go by.
        prepared.map_err(|error| match self.status() {
            Status::Failed => aborted(),
            Status::Idle | Status::Open => error,
        })
    }

    fn prepare_parsed(
        &self,
        sql: &str,
        statement: &Parsed,
        types: &[Option<SqlType>],
    ) -> Result<Prepared, SqlError> {
        self.set_now();
        let mut parameters = Parameters::declared(types.to_vec());
        let mut preparing = Preparing {
            definitions: Definitions::new(&self.tables, self.open()),
            sql,
            settings: &self.settings,
            parameters: &mut parameters,
            outer: Vec::new(),
            sequences: &self.sequences,
            effects: &self.effects,
            overriding: statement.overriding,
            planner: self.planner.as_deref(),
            relational: None,
        };
        let kind = match (Define::new(statement, sql), &statement.form) {
            (Some(define), _) => Kind::Define(Box::new(define)),
            (None, Form::Own(own)) => match &**own {
                Own::Session(OfSession::Declare(declare)) => {
                    let native = Native::new(&declare.query, &mut preparing)?;
                    let native = native.ok_or_else(|| unknown(&declare.query))?;
                    Kind::Declare(Box::new((declare.clone(), native)))
                }
                Own::Session(OfSession::Prepare(prepare)) => {
                    Kind::Prepare(Box::new(Prepare::new(prepare, sql)?))
                }
                Own::Session(OfSession::Execute(execute)) => {
                    Kind::Execute(Box::new(self.execute(execute, &mut preparing)?))
                }
                Own::Session(statement) => Kind::Session(Box::new(statement.clone())),
                Own::Copy(tree) => match preparing.copy(tree)? {
                    Copy::From(from) => Kind::CopyFrom(from),
                    Copy::To(to) => Kind::CopyTo(to),
                },
                _ => unreachable!("all others of ours are definitions"),
            },
            (None, Form::Tree(tree)) => match control::control(tree)? {
                Some(control) => Kind::Control(control),
                None => match Native::new(tree, &mut preparing)? {
                    Some(native) => Kind::Native(Box::new(native), Pace::default()),
                    None => return Err(unknown(tree)),
                },
            },
        };
        let columns = match &kind {
            Kind::Native(native, _) => native.columns().to_vec(),
            Kind::Control(Control::Show(name)) => vec![Column {
                name: name.clone(),
                sql: velocitydb_types::ScalarType::Text.into(),
            }],
            Kind::Session(statement) => self.fetched(statement)?.to_vec(),
            Kind::Execute(execute) => execute.statement.columns.clone(),
            _ => Vec::new(),
        };
        let parameters = match &kind {
            Kind::Native(native, _) => native.parameters(&parameters),
            Kind::Declare(declare) => declare.1.parameters(&parameters),
            // Its values stand in it.
            Kind::Execute(_) => Vec::new(),
            _ => parameters.types(),
        };
        let binary = match &kind {
            Kind::Session(statement) => self.fetches_binary(statement),
            Kind::Execute(execute) => execute.statement.binary,
            _ => false,
        };
        Ok(Prepared {
            binary,
            ..self.prepared(kind, parameters, columns)
        })
    }

    fn show(&self, name: &str) -> Result<String, SqlError> {
        let shown = |isolation| settings::isolation_name(isolation).to_owned();
        Ok(match (name, &self.block) {
            ("transaction_isolation", Some(block)) => shown(block.transaction.isolation()),
            ("transaction_isolation", None) => shown(self.named.isolation()),
            ("transaction_read_only", _) => match self.access() {
                Access::ReadOnly => "on".into(),
                Access::ReadWrite => "off".into(),
            },
            _ => return settings::show(&self.settings, &self.named, name),
        })
    }
}

/// That a statement is none of those that are known here.
fn unknown(tree: &Tree) -> SqlError {
    let text = tree.to_string();
    let words = text.split_whitespace();
    match command(words.clone()) {
        Some(command) => SqlError::unsupported(command),
        None => SqlError::unsupported(words.take(2).collect::<Vec<_>>().join(" ")),
    }
}

impl Native {
    /// Types of its parameters, when binding it has found those.
    fn parameters(&self, found: &Parameters) -> Vec<SqlType> {
        match self {
            Native::Planned(planned) => planned.parameters.clone(),
            _ => found.types(),
        }
    }
}
