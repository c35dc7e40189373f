//! Running a query: in a transaction, within the memory of all queries.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};
use datafusion::prelude::SessionConfig;
use futures_util::TryStreamExt;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use velocitydb::{Reader, Transaction};
use velocitydb_query::{Allowance, Kept, Limits};
use velocitydb_sql::relation::Query;
use velocitydb_sql::{Environment, Explained, Plan, Planner, Rows, SqlError, sqlstate};
use velocitydb_types::{SqlType, Value};

use crate::form::{Form, value_at};
use crate::plan::Planning;

/// Plans queries of several tables and stages. See the crate.
pub struct Analytics {
    shared: Arc<Shared>,
}

/// What all queries have in common.
struct Shared {
    runtime: Runtime,
    threads: usize,
}

impl Analytics {
    /// With so many threads for all queries together.
    ///
    /// # Errors
    /// The operating system gives none.
    pub fn new(threads: usize) -> std::io::Result<Analytics> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("velocitydb-query")
            .build()?;
        let shared = Arc::new(Shared { runtime, threads });
        Ok(Analytics { shared })
    }
}

impl Planner for Analytics {
    fn plan(&self, query: Query) -> Result<Arc<dyn Plan>, SqlError> {
        Ok(Arc::new(Planned {
            shared: Arc::clone(&self.shared),
            query,
        }))
    }
}

struct Planned {
    shared: Arc<Shared>,
    query: Query,
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Planned({:?})", self.query.outputs)
    }
}

/// A plan for one execution.
struct Ready {
    state: SessionState,
    plan: Arc<dyn ExecutionPlan>,
    /// How the columns of its answer stand in batches.
    outputs: Vec<(SqlType, Form)>,
}

impl Planned {
    fn ready(&self, transaction: &mut Transaction, environment: &Environment<'_>) -> Result<Ready> {
        let database = transaction.database();
        let mut readers: HashMap<String, Reader> = HashMap::new();
        let mut reader = |name: &str| match readers.get(name) {
            Some(reader) => Ok(reader.clone()),
            None => {
                let reader = transaction.reader(name);
                let reader = reader.map_err(|error| error_of(error.into()))?;
                readers.insert(name.to_owned(), reader.clone());
                Ok(reader)
            }
        };
        let mut planning = Planning::new(environment, database, &mut reader);
        let plan = planning.plan(&self.query.relation)?;
        let outputs = self.query.relation.fields();
        let outputs = outputs.iter().map(|field| planning.columns[&field.name]);
        let outputs = outputs.collect();
        let recursive = planning.recursive;
        let state = self.shared.state(transaction, recursive)?;
        let planning = state.clone();
        let planned = async move { planning.create_physical_plan(&plan).await };
        let plan = self.shared.wait(transaction, planned)?;
        Ok(Ready {
            state,
            plan,
            outputs,
        })
    }
}

impl Plan for Planned {
    fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Rows, SqlError> {
        let memory = Arc::clone(transaction.query_memory());
        let ready = self.ready(transaction, environment).map_err(refused)?;
        let context = ready.state.task_ctx();
        let collected = collect(ready.plan, context);
        let batches = self.shared.wait(transaction, collected).map_err(refused)?;
        let mut kept = Kept::new(Allowance {
            limits: Limits::default(),
            memory: Some(&memory),
        });
        let mut rows = Vec::new();
        for batch in batches {
            for at in 0..batch.num_rows() {
                let columns = batch.columns().iter().zip(&ready.outputs);
                let row: Vec<Value> = columns
                    .map(|(column, (sql, form))| value_at(column, at, *form, *sql))
                    .collect();
                let bytes: usize = row.iter().map(velocitydb_query::value_bytes).sum();
                kept.resize(0, bytes + size_of::<Vec<Value>>())?;
                rows.push(row);
            }
        }
        Ok(Rows::kept(rows, kept))
    }

    fn explain(
        &self,
        what: Explained,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Vec<String>, SqlError> {
        let ready = self.ready(transaction, environment).map_err(refused)?;
        let shown = match what {
            Explained::Plan => displayable(&*ready.plan).indent(false).to_string(),
            Explained::Run => {
                let collected = collect(Arc::clone(&ready.plan), ready.state.task_ctx());
                self.shared.wait(transaction, collected).map_err(refused)?;
                DisplayableExecutionPlan::with_metrics(&*ready.plan)
                    .indent(false)
                    .to_string()
            }
        };
        Ok(shown.lines().map(str::to_owned).collect())
    }
}

impl Shared {
    /// What DataFusion needs to know for one execution.
    fn state(&self, transaction: &Transaction, recursive: bool) -> Result<SessionState> {
        let config = SessionConfig::new()
            .with_target_partitions(self.threads)
            .with_batch_size(8 * 1024)
            // It panics on texts.
            .set_bool("datafusion.optimizer.enable_topk_aggregation", false)
            // What a join asks for in one round it may not ask for in the next.
            .set_bool(
                "datafusion.optimizer.enable_dynamic_filter_pushdown",
                !recursive,
            );
        let pool = Pool::of(transaction);
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool));
        let builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime.build_arc()?);
        Ok(builder.build())
    }

    /// Does something on the threads of all queries, and waits for it, as long as the transaction may go
    /// on. What panics there ends the query alone.
    fn wait<T: Send + 'static>(
        &self,
        transaction: &Transaction,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let task = self.runtime.spawn(async move {
            // Who asked may have gone.
            let _ = sender.send(work.await);
        });
        loop {
            match receiver.recv_timeout(ASKED_EVERY) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(DataFusionError::Internal("a query panicked".into()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = transaction.check() {
                        task.abort();
                        return Err(error_of(error.into()));
                    }
                }
            }
        }
    }
}

/// How often a query is asked whether it may go on. Scans ask by themselves.
const ASKED_EVERY: Duration = Duration::from_millis(10);

async fn collect(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<Vec<RecordBatch>> {
    // DataFusion takes what comes first of several parts, where a projection stands above the order.
    let plan = match plan.output_ordering() {
        Some(order) if plan.output_partitioning().partition_count() > 1 => {
            let order = order.clone();
            Arc::new(SortPreservingMergeExec::new(order, plan)) as Arc<dyn ExecutionPlan>
        }
        _ => plan,
    };
    let stream = datafusion::physical_plan::execute_stream(plan, context)?;
    stream.try_collect().await
}

/// The memory of a query: a part of that of all queries.
#[derive(Debug)]
struct Pool(Mutex<Account>);

#[derive(Debug)]
struct Account {
    kept: Kept,
    bytes: usize,
}

impl Pool {
    fn of(transaction: &Transaction) -> Pool {
        let kept = Kept::new(Allowance {
            limits: velocitydb_sql::relation::UNLIMITED,
            memory: Some(transaction.query_memory()),
        });
        Pool(Mutex::new(Account { kept, bytes: 0 }))
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory of all queries")
    }
}

impl MemoryPool for Pool {
    fn name(&self) -> &str {
        "the memory of all queries"
    }

    fn register(&self, _: &MemoryConsumer) {}

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        // What cannot be refused is counted as far as there is any.
        let _ = self.try_grow(reservation, additional);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        let mut account = self.0.lock();
        let shrink = shrink.min(account.bytes);
        account.bytes -= shrink;
        // To give back cannot fail.
        let _ = account.kept.resize(shrink, 0);
    }

    fn try_grow(&self, _: &MemoryReservation, additional: usize) -> Result<()> {
        let mut account = self.0.lock();
        let grown = account.kept.resize(0, additional);
        grown.map_err(|error| error_of(error.into()))?;
        account.bytes += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.0.lock().bytes
    }
}

/// An error of ours on its way through DataFusion.
pub(crate) fn error_of(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// An error that came through DataFusion: ours, or what it says itself.
fn refused(error: DataFusionError) -> SqlError {
    match found(&error) {
        Some(error) => error.clone(),
        None => match error {
            DataFusionError::NotImplemented(what) => SqlError::unsupported(what),
            DataFusionError::ArrowError(error, _) => arithmetic(&error),
            other => SqlError::new(sqlstate::INTERNAL_ERROR, other.strip_backtrace()),
        },
    }
}

fn arithmetic(error: &ArrowError) -> SqlError {
    match error {
        ArrowError::DivideByZero => SqlError::new("22012", "division by zero"),
        ArrowError::ArithmeticOverflow(_) => {
            SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range")
        }
        other => SqlError::new(sqlstate::INTERNAL_ERROR, other.to_string()),
    }
}

fn found(error: &DataFusionError) -> Option<&SqlError> {
    let mut error: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = error {
        if let Some(ours) = this.downcast_ref() {
            return Some(ours);
        }
        error = match this.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(&**inner),
            Some(DataFusionError::Shared(inner)) => Some(&**inner),
            Some(DataFusionError::Context(_, inner)) => Some(&**inner),
            Some(DataFusionError::ArrowError(inner, _)) => Some(&**inner),
            _ => match this.downcast_ref::<ArrowError>() {
                Some(ArrowError::ExternalError(inner)) => Some(&**inner),
                _ => this.source(),
            },
        };
    }
    None
}
