//! Where executors ask for work: who comes while another is served is served with the next ones, in one
//! walk along the queue and one write.
//!
//! ```text
//!   ask ──► is somebody serving this colony and type?
//!             │ no: serve all who are there, oneself first         ──► one of those who came
//!             │ yes: wait                                               meanwhile serves next
//!             ▼
//!          served, or to serve next
//! ```
//!
//! So 64 executors that ask at once cost one walk and one commit, not 64 walks over each other's
//! rows; and one alone waits for nobody. Whoever serves and fails tells those whom it served; the next
//! one serves whatever became of it. Nobody serves twice in a row while others wait.
//!
//! Tests: tests/it/assignment.rs.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::error::Error;
use crate::process::Candidate;
use crate::row::Row;
use crate::store::Taken;

/// Who are served together at most.
const SERVED_MAX: usize = 256;

/// Who asks, and for how many processes.
pub(crate) struct Request {
    pub(crate) candidate: Candidate,
    pub(crate) most: usize,
}

impl Request {
    pub(crate) fn new(candidate: Candidate, most: usize) -> Request {
        Request { candidate, most }
    }
}

/// What one who asked gets.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) rows: Vec<Row>,
    /// Rows that were looked at, for all who were served together, by the one who served; 0 for others.
    pub(crate) examined: usize,
}

/// A colony and an executor type: processes of different ones are never in each other's way.
type Lane = (String, String);

/// See the module.
#[derive(Default)]
pub(crate) struct Counter {
    lanes: Mutex<HashMap<Lane, Waiting>>,
}

/// Those who wait in a lane where somebody serves.
type Waiting = Vec<(Request, Arc<Place>)>;

/// Where one waits.
#[derive(Default)]
struct Place {
    turn: Mutex<Option<Turn>>,
    changed: Condvar,
}

/// How waiting ends.
enum Turn {
    /// Served.
    Served(Result<Given, Error>),
    /// To serve these, and oneself, who is the first.
    Serve(Vec<Request>, Vec<Arc<Place>>),
}

impl Place {
    fn put(&self, turn: Turn) {
        *self.turn.lock() = Some(turn);
        self.changed.notify_one();
    }

    fn wait(&self) -> Turn {
        let mut turn = self.turn.lock();
        loop {
            match turn.take() {
                Some(turn) => return turn,
                None => self.changed.wait(&mut turn),
            }
        }
    }
}

impl Counter {
    /// Answers a request; `serve` is what answers several.
    pub(crate) fn serve(
        &self,
        lane: Lane,
        request: Request,
        serve: impl FnOnce(&[Request]) -> Result<Taken, Error>,
    ) -> Result<Given, Error> {
        let place = Arc::new(Place::default());
        let (requests, places) = {
            let mut lanes = self.lanes.lock();
            match lanes.get_mut(&lane) {
                None => {
                    lanes.insert(lane.clone(), Vec::new());
                    (vec![request], vec![place])
                }
                Some(waiting) => {
                    waiting.push((request, Arc::clone(&place)));
                    drop(lanes);
                    match place.wait() {
                        Turn::Served(given) => return given,
                        Turn::Serve(requests, places) => (requests, places),
                    }
                }
            }
        };
        let mut serving = Serving {
            counter: self,
            lane,
            others: places.into_iter().skip(1).collect(),
        };
        let taken = serve(&requests);
        // The next one begins before these are told.
        serving.hand_over();
        serving.tell(taken)
    }
}

/// Somebody serves. Dropped too early, those who are served are told that it failed.
struct Serving<'c> {
    counter: &'c Counter,
    lane: Lane,
    others: Vec<Arc<Place>>,
}

impl Serving<'_> {
    /// The first of those who wait serves next.
    fn hand_over(&mut self) {
        let mut lanes = self.counter.lanes.lock();
        let Some(waiting) = lanes.get_mut(&self.lane) else {
            return;
        };
        if waiting.is_empty() {
            lanes.remove(&self.lane);
            return;
        }
        let next = waiting.drain(..waiting.len().min(SERVED_MAX));
        let (requests, places): (Vec<Request>, Vec<Arc<Place>>) = next.unzip();
        drop(lanes);
        let first = Arc::clone(&places[0]);
        first.put(Turn::Serve(requests, places));
    }

    /// Tells the others what they got; one's own is the answer.
    fn tell(&mut self, taken: Result<Taken, Error>) -> Result<Given, Error> {
        let others = std::mem::take(&mut self.others);
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) => {
                for other in &others {
                    other.put(Turn::Served(Err(failed(&error))));
                }
                return Err(error);
            }
        };
        let mut rows = taken.rows.into_iter();
        let own = rows.next().unwrap_or_default();
        for (other, rows) in others.iter().zip(rows) {
            other.put(Turn::Served(Ok(Given { rows, examined: 0 })));
        }
        Ok(Given {
            rows: own,
            examined: taken.examined,
        })
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hand_over();
            for other in std::mem::take(&mut self.others) {
                let error = Error::Invalid("who served this request has panicked".into());
                other.put(Turn::Served(Err(error)));
            }
        }
    }
}

/// The same error for another.
fn failed(error: &Error) -> Error {
    match error {
        Error::Invalid(what) => Error::Invalid(what.clone()),
        error => Error::Unavailable(error.to_string()),
    }
}
