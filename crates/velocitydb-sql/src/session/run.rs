//! Running statements: in which transaction, behind which locks, and how often.
//!
//! A statement is run without waiting, and then has its locks ([`Transaction::settle`]): when another
//! was there first, it waits and is run again. Waiting is asynchronous, all else is not; a [`Runtime`]
//! says where both are done.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use velocitydb::locks::{LockError, Locked, Name, Wait, Waiting};
use velocitydb::{Call, Committing, Isolation, Settled, Settling, Transaction};
use velocitydb_types::Value;

use super::block::{Named, SAVEPOINTS_MAX, TransactionLocks, aborted, no_block};
use super::pace::Pace;
use super::{Answer, Canceller, Control, Kind, Prepared, Session, Status};
use crate::bind::Parameters;
use crate::bound::Environment;
use crate::definitions::Definitions;
use crate::effects::{Effects, Own};
use crate::error::{SqlError, concurrent_update, sqlstate};
use crate::parse::OfSession;
use crate::settings;
use crate::statement::define::Define;
use crate::statement::rows::Rows;
use crate::statement::{Native, Preparing};

/// How often a statement that commits by itself is run again when another was faster.
const ATTEMPTS_MAX: u32 = 100;

/// What statements are run on.
pub trait Runtime: Sync {
    /// Does what may take its time, on this thread.
    fn work<R>(&self, work: impl FnOnce() -> R) -> R;

    /// Waits for a lock, so long at most ([`Waiting::time_out`]).
    fn wait(
        &self,
        waiting: Waiting,
        limit: Option<Duration>,
    ) -> impl Future<Output = Result<(), LockError>> + Send;

    /// Waits until a commit may be told.
    fn told(
        &self,
        committing: Committing,
    ) -> impl Future<Output = Result<(), velocitydb::Error>> + Send;
}

/// Commits a transaction, and then does what else it does.
pub(super) async fn commit(
    runtime: &impl Runtime,
    transaction: Transaction,
    call: &Call,
    effects: &Effects,
) -> Result<(), velocitydb::Error> {
    // Those who notify wait for each other, however long one takes.
    let quick = transaction.commits_quickly() && !effects.notifies();
    let begin = || effects.order(|| transaction.begin_commit(call));
    let (committing, turn) = match quick {
        true => begin(),
        false => runtime.work(begin),
    };
    runtime.told(committing?).await?;
    effects.commit(turn);
    Ok(())
}

/// Threads that block while they wait.
pub struct Threads;

impl Runtime for Threads {
    fn work<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }

    async fn wait(&self, waiting: Waiting, limit: Option<Duration>) -> Result<(), LockError> {
        waiting.block(limit, || false)
    }

    async fn told(&self, committing: Committing) -> Result<(), velocitydb::Error> {
        committing.block().map(|_| ())
    }
}

/// What a future answers that never has to wait.
pub(super) fn at_once<R>(future: impl Future<Output = R>) -> R {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("threads block"),
    }
}

impl Session {
    /// As [`Session::run_on`], on this thread.
    ///
    /// # Errors
    /// As there.
    pub fn run(&mut self, prepared: &Prepared, parameters: &[Value]) -> Result<Answer, SqlError> {
        at_once(self.run_on(&Threads, prepared, parameters))
    }

    /// Runs a statement with values for its parameters. Outside of a transaction block it is a
    /// transaction of its own, unless [`Session::begin_implicit`] says otherwise. It waits for the
    /// locks of others; who does not want to wait any more drops the future, and calls
    /// [`Session::fail`].
    ///
    /// # Errors
    /// Whatever the statement cannot do; a transaction block has failed with it.
    pub async fn run_on(
        &mut self,
        runtime: &impl Runtime,
        prepared: &Prepared,
        parameters: &[Value],
    ) -> Result<Answer, SqlError> {
        let executed = self.executed(prepared).inspect_err(|_| self.fail())?;
        let (prepared, parameters) = match &executed {
            Some(executed) => (&*executed.statement, &executed.values[..]),
            None => (prepared, parameters),
        };
        let kind = self.ready(prepared, parameters)?;
        let answer = match &*kind {
            Kind::Empty => Ok(Answer::done("")),
            Kind::Native(native, pace) => self.documents(runtime, native, pace, parameters).await,
            Kind::CopyFrom(_) => {
                let what = "COPY FROM STDIN where no data can follow";
                Err(SqlError::unsupported(what))
            }
            Kind::CopyTo(to) => {
                let answer = self
                    .documents(runtime, &to.statement, &Pace::default(), parameters)
                    .await;
                answer.map(|answer| Answer {
                    count: answer.rows.as_ref().map(|rows| rows.len() as u64),
                    command: "COPY",
                    ..answer
                })
            }
            Kind::Define(define) => self.define(runtime, define).await,
            Kind::Control(control) => self.control(runtime, control).await,
            Kind::Session(statement) => self.of_session(statement, &prepared.columns),
            Kind::Declare(declare) => self.declare(runtime, declare, parameters).await,
            Kind::Prepare(prepare) => {
                let prepared = self.prepare_named(prepare);
                prepared.map(|()| Answer::done("PREPARE"))
            }
            Kind::Execute(_) => Err(SqlError::unsupported("EXECUTE of EXECUTE")),
        };
        if answer.is_err() {
            self.fail();
        }
        if self.block.is_none() && answer.is_ok() {
            self.temporary.end_transaction(runtime)?;
        }
        answer
    }

    /// What a statement that is to be run is now, if it may be run.
    ///
    /// # Errors
    /// As [`Session::run_on`], which has failed then.
    pub(super) fn ready(
        &mut self,
        prepared: &Prepared,
        parameters: &[Value],
    ) -> Result<Arc<Kind>, SqlError> {
        if parameters.len() < prepared.parameters.len() {
            let message = format!("there is no parameter ${}", parameters.len() + 1);
            self.fail();
            return Err(SqlError::new(sqlstate::UNDEFINED_PARAMETER, message));
        }
        let bound = match self.status() {
            // Nothing that it would be bound to may be run.
            Status::Failed => Ok(Arc::clone(&prepared.plan.lock().kind)),
            Status::Idle | Status::Open => self.bound(prepared),
        };
        let kind = bound.inspect_err(|_| self.fail())?;
        if self.status() == Status::Failed && !kind.may_follow_failure() {
            return Err(aborted());
        }
        if let Err(error) = self.check_access(kind.written()) {
            self.fail();
            return Err(error);
        }
        let heard = match self.implicit {
            true => self.canceller.check(),
            // What was cancelled before does not concern this one.
            false => {
                self.canceller.forget();
                Ok(())
            }
        };
        self.canceller.allow(self.named.statement_timeout);
        heard.inspect_err(|_| self.fail())?;
        Ok(kind)
    }

    /// Runs a statement that reads or changes documents.
    pub(super) async fn documents(
        &mut self,
        runtime: &impl Runtime,
        native: &Native,
        pace: &Pace,
        parameters: &[Value],
    ) -> Result<Answer, SqlError> {
        let began = self.block().map(|block| block.began);
        let now = self.database.now();
        let environment = Environment {
            parameters,
            transaction: began.unwrap_or(now),
            statement: now,
            queries: &[],
        };
        self.settings.now.set(environment.transaction);
        let settler = Settler::new(runtime, &self.canceller, &self.effects, &self.named);
        let run = |transaction: &mut Transaction| {
            let mut run = || pace.measure(|| native.run(transaction, &environment));
            match native.is_quick() || pace.is_brief() {
                true => run(),
                false => runtime.work(run),
            }
        };
        if let Some(block) = &mut self.block {
            self.effects.begin_statement();
            let answer = settler.run(&mut block.transaction, run).await;
            if block.savepoints.is_empty() {
                block.transaction.forget_savepoints();
            }
            let mut notices = self.effects.end_statement();
            notices.extend(self.set_by_calls(answer.is_ok())?);
            return answer.map(|answer| answer.with(notices));
        }
        if let Native::Select(select) = native
            && select.only_reads()
        {
            let rows = match select.point() {
                Some(point) => select.at(&point, &environment)?,
                None => None,
            };
            let Some(rows) = rows else {
                let mut transaction = self.database.begin(Isolation::ReadCommitted);
                return native.run(&mut transaction, &environment);
            };
            return Ok(Answer {
                count: Some(rows.len() as u64),
                rows: Some(rows),
                ..Answer::done("SELECT")
            });
        }
        let locks = TransactionLocks::of(&self.locks);
        self.effects.begin_statement();
        let answer = self.alone(&settler, native.writes(), run).await;
        let mut notices = self.effects.end_statement();
        drop(locks);
        notices.extend(self.set_by_calls(answer.is_ok())?);
        answer.map(|answer| answer.with(notices))
    }

    /// Runs a statement that is a transaction of its own.
    async fn alone(
        &self,
        settler: &Settler<'_, impl Runtime>,
        writes: bool,
        run: impl Fn(&mut Transaction) -> Result<Answer, SqlError>,
    ) -> Result<Answer, SqlError> {
        for attempt in 1.. {
            let mut transaction = self.transaction(self.named.isolation());
            let answer = settler.run(&mut transaction, &run).await?;
            if !writes {
                self.effects.commit(None);
                return Ok(answer);
            }
            let (runtime, call) = (settler.runtime, self.named.call());
            match commit(runtime, transaction, &call, &self.effects).await {
                Ok(()) => return Ok(answer),
                Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => {
                    self.effects.roll_back();
                    self.effects.run_again(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn control(
        &mut self,
        runtime: &impl Runtime,
        control: &Control,
    ) -> Result<Answer, SqlError> {
        match control {
            Control::Begin { modes, tag } => self.begin(*modes, tag),
            Control::SetTransaction(modes) => self.set_transaction(*modes),
            Control::Commit => self.commit(runtime).await,
            Control::Rollback => {
                let ended = self.block.take();
                let is_block = ended.as_ref().is_some_and(|block| !block.implicit);
                let notice = (!is_block).then(no_block);
                if let Some(block) = ended {
                    self.roll_back(block);
                }
                Ok(Answer {
                    notices: notice.into_iter().collect(),
                    ..Answer::done("ROLLBACK")
                })
            }
            Control::Savepoint(name) => {
                let effects = self.effects.mark();
                let settings = self.mark_settings();
                let block = self.open_block("SAVEPOINT")?;
                if block.savepoints.len() >= SAVEPOINTS_MAX {
                    let message = format!(
                        "a transaction has {SAVEPOINTS_MAX} savepoints at most; release some"
                    );
                    return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
                }
                let savepoint = block.transaction.savepoint();
                block.savepoints.push(Named {
                    name: name.clone(),
                    savepoint,
                    locks: block.locks.owner().mark(),
                    effects,
                    settings,
                });
                Ok(Answer::done("SAVEPOINT"))
            }
            Control::RollbackTo(name) => {
                let effects = Arc::clone(&self.effects);
                let block = self.open_block("ROLLBACK TO SAVEPOINT")?;
                let at = block.position(name)?;
                let named = &block.savepoints[at];
                block.transaction.roll_back_to(named.savepoint)?;
                block.locks.owner().release_after(named.locks);
                effects.roll_back_to(named.effects);
                let settings = named.settings.clone();
                block.savepoints.truncate(at + 1);
                block.cursors.roll_back_to(at);
                block.failed = false;
                let own = Own::of(&block.transaction);
                self.set_own(own);
                self.settings_back_to(settings);
                Ok(Answer::done("ROLLBACK"))
            }
            Control::Release(name) => {
                let block = self.open_block("RELEASE SAVEPOINT")?;
                let at = block.position(name)?;
                block.savepoints.truncate(at);
                block.cursors.release(at);
                Ok(Answer::done("RELEASE"))
            }
            Control::Show(name) => Ok(Answer {
                rows: Some(Rows::one(self.show(name)?)),
                ..Answer::done("SHOW")
            }),
            Control::Set { all, local, tag } => {
                let notices = all.iter().filter_map(|(name, _)| settings::notice(name));
                let answer = self.set_all(all, *local)?.with(notices.collect());
                Ok(Answer {
                    command: tag,
                    ..answer
                })
            }
            Control::ResetAll => {
                self.reset_all();
                Ok(Answer::done("RESET"))
            }
            Control::Ignored(tag @ "DISCARD ALL") => {
                if self.open_block(tag).is_ok() {
                    let message = format!("{tag} cannot run inside a transaction block");
                    return Err(SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message));
                }
                self.commit_implicit(runtime).await?;
                self.sequences.forget();
                self.close(None)?;
                self.of_session(&OfSession::Unlisten(None), &[])?;
                self.locks.owner().release_session();
                self.temporary.drop_all()?;
                self.reset_all();
                self.statements.retain(|name, _| name.is_empty());
                self.recent.clear();
                Ok(Answer::done(tag))
            }
            Control::Deallocate(None) => {
                self.statements.retain(|name, _| name.is_empty());
                Ok(Answer::done("DEALLOCATE ALL"))
            }
            Control::Deallocate(Some(name)) => {
                self.deallocate(name)?;
                Ok(Answer::done("DEALLOCATE"))
            }
            Control::Ignored(tag) => {
                match *tag {
                    "DISCARD SEQUENCES" => self.sequences.forget(),
                    "DISCARD TEMP" => self.temporary.drop_all()?,
                    "DISCARD PLANS" => self.recent.clear(),
                    _ => {}
                }
                Ok(Answer::done(tag))
            }
        }
    }

    async fn define(
        &mut self,
        runtime: &impl Runtime,
        define: &Define,
    ) -> Result<Answer, SqlError> {
        let refused = define.outside();
        let is_undone = refused.is_none();
        match refused {
            Some(refused) => {
                self.commit_implicit(runtime).await?;
                if self.block.is_some() {
                    return Err(refused);
                }
            }
            None => drop(self.block()),
        }
        let run = |definitions: Definitions<'_>| {
            let mut preparing = Preparing {
                definitions,
                sql: define.sql(),
                settings: &self.settings,
                parameters: &mut Parameters::default(),
                outer: Vec::new(),
                sequences: &self.sequences,
                effects: &self.effects,
                overriding: None,
                planner: self.planner.as_deref(),
                relational: None,
            };
            runtime.work(|| define.run(&mut preparing))
        };
        let settler = Settler::new(runtime, &self.canceller, &self.effects, &self.named);
        let run_in = |transaction: &mut Transaction| {
            let open = RefCell::new(transaction);
            run(Definitions::defining(&self.tables, &open))
        };
        let notices = match &mut self.block {
            // Who has taken a name, or is about to, is waited for.
            None if is_undone && self.database.is_being_defined() => {
                let locks = TransactionLocks::of(&self.locks);
                let mut transaction = self.transaction(Isolation::ReadCommitted);
                let notices = settler.run(&mut transaction, run_in).await?;
                let call = self.named.call();
                commit(runtime, transaction, &call, &self.effects).await?;
                drop(locks);
                notices
            }
            None => run(Definitions::new(&self.tables, None))?,
            Some(block) => {
                let notices = settler.run(&mut block.transaction, run_in).await;
                if block.savepoints.is_empty() {
                    block.transaction.forget_savepoints();
                }
                let own = Own::of(&block.transaction);
                self.set_own(own);
                notices?
            }
        };
        Ok(Answer {
            notices,
            ..Answer::done(define.tag())
        })
    }
}

/// What a statement waits with.
pub(super) struct Settler<'r, R> {
    runtime: &'r R,
    canceller: &'r Canceller,
    effects: &'r Effects,
    lock_timeout: Option<Duration>,
}

impl<'r, R: Runtime> Settler<'r, R> {
    pub(super) fn new(
        runtime: &'r R,
        canceller: &'r Canceller,
        effects: &'r Effects,
        settings: &settings::Named,
    ) -> Settler<'r, R> {
        Settler {
            runtime,
            canceller,
            effects,
            lock_timeout: settings.lock_timeout,
        }
    }

    /// Runs a statement in a transaction until it stands, behind its locks. One that fails has done
    /// nothing.
    pub(super) async fn run<A>(
        &self,
        transaction: &mut Transaction,
        run: impl Fn(&mut Transaction) -> Result<A, SqlError>,
    ) -> Result<A, SqlError> {
        loop {
            let since = transaction.begin_statement();
            let before = self.effects.mark();
            let answer = run(transaction);
            if let Some(wish) = self.effects.wish() {
                transaction.roll_back_to(since)?;
                self.effects.roll_back_to(before);
                match self.effects.ask(wish, Wait::Block) {
                    Ok(Locked::Waiting(waiting)) => self.wait(waiting).await?,
                    Ok(Locked::Granted | Locked::Skipped) => {}
                    Err(error) => return Err(self.lock_error(error)),
                }
                self.effects.run_again(Some(wish));
                self.canceller.check()?;
                continue;
            }
            let mut settling = Settling::default();
            let outcome = loop {
                match transaction.settle(since, answer.is_err(), &mut settling) {
                    Ok(Settled::Stands) => break answer.map(Some),
                    Ok(Settled::Again) => break Ok(None),
                    Ok(Settled::Conflict) => break Err(concurrent_update()),
                    Ok(Settled::Blocked(waiting)) => {
                        if let Err(error) = self.wait(waiting).await {
                            break Err(error);
                        }
                    }
                    Err(error @ LockError::NotAvailable { .. }) => {
                        break Err(not_available(transaction, error));
                    }
                    Err(error) => break Err(self.lock_error(error)),
                }
            };
            match outcome {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {
                    transaction.roll_back_to(since)?;
                    self.effects.roll_back_to(before);
                    self.effects.run_again(None);
                }
                Err(error) => {
                    transaction.roll_back_to(since)?;
                    self.effects.roll_back_to(before);
                    return Err(error);
                }
            }
            self.canceller.check()?;
        }
    }

    async fn wait(&self, waiting: Waiting) -> Result<(), SqlError> {
        // Asked when it waits: who cancels it from here on interrupts that.
        self.canceller.check()?;
        let limits = [self.lock_timeout, self.canceller.left()];
        let limit = limits.into_iter().flatten().min();
        let waited = self.runtime.wait(waiting, limit).await;
        waited.map_err(|error| self.lock_error(error))
    }

    fn lock_error(&self, error: LockError) -> SqlError {
        match self.canceller.check() {
            Err(cancelled) => cancelled.into(),
            Ok(()) => error.into(),
        }
    }
}

/// That another has what was not to be waited for.
fn not_available(transaction: &Transaction, error: LockError) -> SqlError {
    let relation = match &error {
        LockError::NotAvailable { name, .. } => match name.name() {
            Name::Row { collection, .. } => transaction.collection_name(collection),
            _ => None,
        },
        _ => None,
    };
    match relation {
        Some(relation) => {
            let message = format!("could not obtain lock on row in relation {relation:?}");
            SqlError::new(error.sqlstate(), message)
        }
        None => error.into(),
    }
}

impl Native {
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
                let rows = planned.plan.run(transaction, environment)?;
                ("SELECT", rows.len() as u64, rows)
            }
        };
        Ok(Answer {
            count: Some(count),
            rows: (!self.columns().is_empty()).then_some(rows),
            ..Answer::done(command)
        })
    }
}
