//! A session: settings, prepared statements, and the transaction that is open.
//!
//! A statement outside of a transaction block is a transaction of its own, and run again when
//! another was faster. Several of one request are one transaction ([`Session::begin_implicit`]):
//! BEGIN among them makes it a transaction block, COMMIT and ROLLBACK end it, and those behind begin
//! another. A definition that cannot be rolled back commits what came before it.

mod block;
mod control;

use std::sync::Arc;

use sqlparser::ast::Statement as Tree;
use velocitydb::{Database, Isolation, Transaction};
use velocitydb_types::{SqlType, Value};

pub use block::Canceller;

use self::block::{Block, no_block};
use crate::bind::Parameters;
use crate::bound::Environment;
use crate::error::{SqlError, sqlstate};
use crate::formats::{Settings, read_text};
use crate::parse::{Parsed, parse};
use crate::planner::{Execution, NotNative, Planner};
use crate::sequences::Sequences;
use crate::settings::{self, Named};
use crate::statement::define::Define;
use crate::statement::rows::{Column, Rows};
use crate::statement::{Native, Preparing};

/// How often a statement that commits by itself is run again when another was faster.
const ATTEMPTS_MAX: u32 = 100;

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
    /// SQLSTATEs' class 25 are warnings.
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

    fn done(command: &'static str) -> Answer {
        Answer {
            command,
            count: None,
            rows: None,
            notices: Vec::new(),
        }
    }
}

/// A statement, ready to be run as often as wanted.
#[derive(Debug, Clone)]
pub struct Prepared {
    kind: Kind,
    parameters: Vec<SqlType>,
    columns: Vec<Column>,
}

#[derive(Debug, Clone)]
enum Kind {
    Empty,
    Native(Box<Native>),
    Define(Box<Define>),
    Begin(Isolation),
    Commit,
    Rollback,
    Savepoint(String),
    RollbackTo(String),
    Release(String),
    Show(String),
    /// Names and values.
    Set(Vec<(String, String)>),
    /// A setting without a meaning here.
    Ignored(&'static str),
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

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Empty)
    }

    /// Whether it takes no time worth speaking of: a row by its key, the beginning or end of a
    /// transaction that wrote nothing.
    pub fn is_quick(&self) -> bool {
        match &self.kind {
            Kind::Native(native) => native.key().is_some(),
            Kind::Commit | Kind::Define(_) => false,
            _ => true,
        }
    }

    /// Whether it ends the transaction block that it is run in.
    fn ends(&self) -> bool {
        matches!(
            self.kind,
            Kind::Commit | Kind::Rollback | Kind::RollbackTo(_)
        )
    }
}

/// See the module.
pub struct Session {
    database: Database,
    settings: Arc<Settings>,
    named: Named,
    /// Whether a setting that clients are told of may have changed.
    changed: bool,
    isolation: Isolation,
    block: Option<Block>,
    /// What is run outside of transaction blocks is one transaction.
    implicit: bool,
    sequences: Arc<Sequences>,
    planner: Option<Arc<dyn Planner>>,
    canceller: Canceller,
}

impl Session {
    /// A session of its own.
    pub fn new(database: Database) -> Session {
        let now = database.now();
        Session {
            settings: Arc::new(Settings::new(now)),
            named: Named::default(),
            changed: false,
            canceller: Canceller::default(),
            isolation: Isolation::ReadCommitted,
            block: None,
            implicit: false,
            planner: None,
            sequences: Arc::new(Sequences::new(database.clone())),
            database,
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
        settings::set(settings, &mut self.named, name, value)
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

    /// Takes a text apart and makes each of its statements ready; `types` are those of parameters
    /// that the client knows.
    ///
    /// # Errors
    /// What is no SQL, names that are not there, types that do not fit, what is not supported.
    pub fn prepare(&self, sql: &str, types: &[Option<SqlType>]) -> Result<Prepared, SqlError> {
        let mut statements = parse(sql)?;
        match statements.len() {
            0 => Ok(Prepared {
                kind: Kind::Empty,
                parameters: Vec::new(),
                columns: Vec::new(),
            }),
            1 => self.prepare_tree(sql, &statements.remove(0), types),
            _ => Err(SqlError::new(
                sqlstate::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            )),
        }
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
        self.set_now();
        let mut parameters = Parameters::declared(types.to_vec());
        let mut preparing = Preparing {
            database: &self.database,
            sql,
            settings: &self.settings,
            parameters: &mut parameters,
            outer: Vec::new(),
            sequences: &self.sequences,
            overriding: statement.overriding,
        };
        let kind = match (Define::new(statement, sql), statement.tree()) {
            (Some(define), _) => Kind::Define(Box::new(define)),
            (None, Some(tree)) => match control::control(tree, self.isolation)? {
                Some(kind) => kind,
                None => match self.native(tree, &mut preparing, types)? {
                    Some(native) => Kind::Native(Box::new(native)),
                    None => return Err(unknown(tree)),
                },
            },
            (None, None) => unreachable!("all statements of ours are definitions"),
        };
        let columns = match &kind {
            Kind::Native(native) => native.columns().to_vec(),
            Kind::Show(name) => vec![Column {
                name: name.clone(),
                sql: velocitydb_types::ScalarType::Text.into(),
            }],
            _ => Vec::new(),
        };
        let parameters = match &kind {
            Kind::Native(native) => native.parameters(&parameters),
            _ => parameters.types(),
        };
        Ok(Prepared {
            kind,
            parameters,
            columns,
        })
    }

    /// A statement about documents: native, or else as the planner runs it; `None` of another.
    fn native(
        &self,
        tree: &Tree,
        preparing: &mut Preparing<'_>,
        types: &[Option<SqlType>],
    ) -> Result<Option<Native>, SqlError> {
        let native = Native::new(tree, preparing);
        let (Err(reason), Some(planner)) = (&native, &self.planner) else {
            return native;
        };
        if reason.sqlstate != sqlstate::FEATURE_NOT_SUPPORTED {
            return native;
        }
        let planned = planner.plan(NotNative {
            database: &self.database,
            sql: preparing.sql,
            tree,
            parameters: types,
            settings: &self.settings,
            reason,
        })?;
        match planned {
            Some(planned) => Ok(Some(Native::Planned(planned))),
            None => native,
        }
    }

    /// Runs a statement with values for its parameters. Outside of a transaction block it is a
    /// transaction of its own, unless [`Session::begin_implicit`] says otherwise.
    ///
    /// # Errors
    /// Whatever the statement cannot do; a transaction block has failed with it.
    pub fn run(&mut self, prepared: &Prepared, parameters: &[Value]) -> Result<Answer, SqlError> {
        if parameters.len() < prepared.parameters.len() {
            let message = format!("there is no parameter ${}", parameters.len() + 1);
            self.fail();
            return Err(SqlError::new(sqlstate::UNDEFINED_PARAMETER, message));
        }
        if self.status() == Status::Failed && !prepared.ends() && !prepared.is_empty() {
            let message = "current transaction is aborted, commands ignored until end of \
                           transaction block";
            return Err(SqlError::new(sqlstate::IN_FAILED_SQL_TRANSACTION, message));
        }
        let heard = match self.implicit {
            true => self.canceller.check(),
            // What was cancelled before does not concern this one.
            false => {
                self.canceller.forget();
                Ok(())
            }
        };
        let answer = match heard {
            Ok(()) => self.run_kind(&prepared.kind, parameters),
            Err(error) => Err(error.into()),
        };
        if answer.is_err() {
            self.fail();
        }
        answer
    }

    fn run_kind(&mut self, kind: &Kind, parameters: &[Value]) -> Result<Answer, SqlError> {
        match kind {
            Kind::Empty => Ok(Answer::done("")),
            Kind::Native(native) => self.run_native(native, parameters),
            Kind::Define(define) => {
                let notices = self.run_define(define)?;
                Ok(Answer {
                    notices,
                    ..Answer::done(define.tag())
                })
            }
            Kind::Begin(isolation) => self.begin(*isolation),
            Kind::Commit => self.commit(),
            Kind::Rollback => {
                let ended = self.block.take();
                let notice = ended.is_none_or(|block| block.implicit).then(no_block);
                Ok(Answer {
                    notices: notice.into_iter().collect(),
                    ..Answer::done("ROLLBACK")
                })
            }
            Kind::Savepoint(name) => {
                let block = self.open_block("SAVEPOINT")?;
                let savepoint = block.transaction.savepoint();
                block.savepoints.push((name.clone(), savepoint));
                Ok(Answer::done("SAVEPOINT"))
            }
            Kind::RollbackTo(name) => {
                let block = self.open_block("ROLLBACK TO SAVEPOINT")?;
                let at = block.position(name)?;
                let savepoint = block.savepoints[at].1;
                block.transaction.roll_back_to(savepoint)?;
                block.savepoints.truncate(at + 1);
                block.failed = false;
                Ok(Answer::done("ROLLBACK"))
            }
            Kind::Release(name) => {
                let block = self.open_block("RELEASE SAVEPOINT")?;
                let at = block.position(name)?;
                block.savepoints.truncate(at);
                Ok(Answer::done("RELEASE"))
            }
            Kind::Show(name) => Ok(Answer {
                rows: Some(Rows::one(self.show(name)?)),
                ..Answer::done("SHOW")
            }),
            Kind::Set(all) => {
                for (name, value) in all {
                    self.set(name, value)?;
                }
                Ok(Answer::done("SET"))
            }
            Kind::Ignored(tag) => {
                if matches!(*tag, "DISCARD ALL" | "DISCARD SEQUENCES") {
                    self.sequences.forget();
                }
                Ok(Answer::done(tag))
            }
        }
    }

    fn run_native(&mut self, native: &Native, parameters: &[Value]) -> Result<Answer, SqlError> {
        let began = self.block().map(|block| block.began);
        let now = self.database.now();
        let began = began.unwrap_or(now);
        self.settings.now.set(began);
        if let Some(block) = &mut self.block {
            block.transaction.refresh();
            let environment = Environment {
                parameters,
                transaction: began,
                statement: now,
                queries: &[],
            };
            // A statement that fails halfway has done nothing.
            let before = block.transaction.savepoint();
            let answer = native.run(&mut block.transaction, &environment);
            if answer.is_err() {
                block.transaction.roll_back_to(before)?;
            }
            return answer;
        }
        let environment = Environment {
            parameters,
            transaction: began,
            statement: now,
            queries: &[],
        };
        if let (Native::Select(select), Some(key)) = (native, native.key()) {
            let rows = select.by_key(key, &environment)?;
            return Ok(Answer {
                count: Some(rows.len() as u64),
                rows: Some(rows),
                ..Answer::done("SELECT")
            });
        }
        for attempt in 1.. {
            let mut transaction = self.transaction(Isolation::ReadCommitted);
            let answer = native.run(&mut transaction, &environment);
            let committed = answer.and_then(|answer| {
                if native.writes() {
                    transaction.commit()?;
                }
                Ok(answer)
            });
            match committed {
                Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => {}
                answer => return answer,
            }
        }
        unreachable!("the last attempt returns")
    }

    fn run_define(&mut self, define: &Define) -> Result<Vec<SqlError>, SqlError> {
        match define.is_alone() {
            true => self.commit_implicit()?,
            false => drop(self.block()),
        }
        let mut preparing = Preparing {
            database: &self.database,
            sql: define.sql(),
            settings: &self.settings,
            parameters: &mut Parameters::default(),
            outer: Vec::new(),
            sequences: &self.sequences,
            overriding: None,
        };
        let Some(block) = &mut self.block else {
            return define.run(&mut preparing, None);
        };
        block.transaction.refresh();
        let before = block.transaction.savepoint();
        let notices = define.run(&mut preparing, Some(&mut block.transaction));
        if notices.is_err() {
            block.transaction.roll_back_to(before)?;
        }
        notices
    }

    fn show(&self, name: &str) -> Result<String, SqlError> {
        Ok(match name {
            "transaction_isolation" | "default_transaction_isolation" => match self.isolation {
                Isolation::ReadCommitted => "read committed".into(),
                Isolation::Snapshot => "repeatable read".into(),
                Isolation::Serializable => "serializable".into(),
            },
            _ => return settings::show(&self.settings, &self.named, name),
        })
    }
}

/// That a statement is none of those that are known here.
fn unknown(tree: &Tree) -> SqlError {
    let text = tree.to_string();
    let words = text.split_whitespace().take(2).collect::<Vec<_>>();
    SqlError::unsupported(words.join(" "))
}

impl Native {
    /// Types of its parameters, when binding it has found those.
    fn parameters(&self, found: &Parameters) -> Vec<SqlType> {
        match self {
            Native::Planned(planned) => planned.parameters().to_vec(),
            _ => found.types(),
        }
    }

    pub(crate) fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Answer, SqlError> {
        let (command, count, rows) = match self {
            Native::Select(select) => {
                let rows = select.run(transaction, environment)?;
                ("SELECT", rows.len() as u64, rows)
            }
            Native::Insert(insert) => {
                let (count, rows) = insert.run(transaction, environment)?;
                ("INSERT 0", count, rows)
            }
            Native::Modify(modify) => {
                let (count, rows) = modify.run(transaction, environment)?;
                (modify.command(), count, rows)
            }
            Native::Explain(explain) => {
                return Ok(Answer {
                    rows: Some(explain.run(transaction, environment)?),
                    ..Answer::done("EXPLAIN")
                });
            }
            Native::Planned(planned) => {
                let execution = Execution {
                    parameters: environment.parameters,
                    transaction: environment.transaction,
                    statement: environment.statement,
                };
                return planned.run(transaction, execution);
            }
        };
        Ok(Answer {
            count: Some(count),
            rows: (!self.columns().is_empty()).then_some(rows),
            ..Answer::done(command)
        })
    }
}
