//! Sessions with both kinds of target.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::runtime::Runtime;
use velocitydb::Database;
use velocitydb_server::{Server, ServerConfig};
use velocitydb_shell::{Embedded, Flow, Http, Session, Stop, Target};

/// A server over an empty database, on a port of its own.
pub struct Served {
    pub url: String,
    runtime: Runtime,
    server: Option<Server>,
}

impl Served {
    pub fn start() -> Served {
        Served::with(ServerConfig::default())
    }

    pub fn with(mut config: ServerConfig) -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        config.http = SocketAddr::from(([127, 0, 0, 1], 0));
        let database = Database::in_memory().unwrap();
        let server = runtime.block_on(Server::start(config, database)).unwrap();
        Served {
            url: format!("http://{}", server.local_addr()),
            runtime,
            server: Some(server),
        }
    }

    pub fn target(&self) -> Http {
        Http::at(&self.url).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // A test that failed says so itself.
            let _ = self.runtime.block_on(server.shutdown());
        }
    }
}

/// A session on a terminal of 80 columns.
pub fn session(target: impl Target + 'static) -> Session {
    let mut session = Session::new(Arc::new(Mutex::new(Box::new(target))));
    session.width = Some(80);
    session
}

pub fn embedded() -> Session {
    session(Embedded::in_memory().unwrap())
}

/// What a statement says: its answer, then its notes, or what is wrong.
pub fn said(session: &mut Session, statement: &str) -> String {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    match session.execute(statement, &mut out, &mut notes) {
        Ok(Flow::Go) => String::from_utf8([out, notes].concat()).unwrap(),
        Ok(Flow::Quit) => "bye\n".to_owned(),
        Err(Stop::Complaint(complaint)) => complaint.show(statement, None) + "\n",
        Err(Stop::Output(error)) => panic!("{error}"),
    }
}
