//! Who connects: a session over the database that the client names.
//!
//! A session is a guest of its database: while it lives, the database is dropped only by force, which
//! asks it to leave. Tests: tests/it/databases.rs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use velocitydb::{Database, DatabaseId, Guest};
use velocitydb_pg::{Backend, PgError, Startup};
use velocitydb_sql::{Canceller, Named, Planner, Session, SqlError, Tables};

use super::{SqlSession, of_sql};

/// Makes sessions over the databases of a store.
pub struct SqlBackend {
    database: Database,
    /// Of those that were asked for.
    tables: Mutex<HashMap<DatabaseId, Arc<Tables>>>,
    planner: Option<Arc<dyn Planner>>,
}

impl SqlBackend {
    /// Over this database and those beside it.
    pub fn new(database: Database) -> SqlBackend {
        SqlBackend {
            database,
            tables: Mutex::default(),
            planner: None,
        }
    }

    /// The same, with someone who plans queries of several tables.
    #[must_use]
    pub fn with_planner(self, planner: Arc<dyn Planner>) -> SqlBackend {
        SqlBackend {
            planner: Some(planner),
            ..self
        }
    }

    /// The tables of a database, which is not dropped while the guest is there.
    fn enter(
        &self,
        name: &str,
        leave: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Arc<Tables>, Guest), SqlError> {
        let database = match name {
            "" => Ok(self.database.clone()),
            name => self.database.database(name),
        };
        let database = database.map_err(|error| {
            let names = self.database.databases().into_iter();
            let names: Vec<_> = names.map(|(_, one)| one.name).take(NAMED_MAX).collect();
            SqlError::from(error).hint(format!(
                "There are {}; another is made by CREATE DATABASE.",
                names.join(", ")
            ))
        })?;
        let guest = database.enter(leave)?;
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of databases that were dropped meanwhile.
        tables.retain(|_, tables| tables.database().name().is_ok());
        let tables = tables
            .entry(database.id())
            .or_insert_with(|| Arc::new(Tables::new(database)));
        Ok((Arc::clone(tables), guest))
    }
}

/// Whether a session is to leave its database. Looked at before each request: a flag and a waker,
/// no more.
#[derive(Default)]
pub(super) struct Leave(Mutex<Asked>);

#[derive(Default)]
struct Asked {
    asked: bool,
    waker: Option<Waker>,
}

impl Leave {
    fn ask(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Ready once it is; else the one who polled last is woken when it is.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.asked {
            return Poll::Ready(());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// The most databases that a hint names.
const NAMED_MAX: usize = 10;

impl Backend for SqlBackend {
    type Session = SqlSession;

    async fn connect(&self, startup: &Startup) -> Result<SqlSession, PgError> {
        let leaving = Arc::new(Leave::default());
        let asked = Arc::clone(&leaving);
        let running = Arc::new(OnceLock::<Canceller>::new());
        let cancelled = Arc::clone(&running);
        let leave = move || {
            asked.ask();
            cancelled.get().inspect(|running| running.cancel());
        };
        let (tables, guest) = self.enter(&startup.database, leave).map_err(of_sql)?;
        let mut session = Session::over(tables);
        if let Some(planner) = &self.planner {
            session = session.with_planner(Arc::clone(planner));
        }
        running.get_or_init(|| session.canceller());
        let introduced = session.introduce(&startup.user, &startup.settings);
        introduced.map_err(of_sql)?;
        Ok(SqlSession {
            session,
            portals: Named::new("portals", 1_000),
            shapes: HashMap::new(),
            leave: leaving,
            _guest: guest,
        })
    }
}
