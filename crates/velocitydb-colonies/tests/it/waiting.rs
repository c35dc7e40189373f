//! Waiting as a future, and what ends it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use velocitydb::{Database, Options};
use velocitydb_colonies::{By, Colonies, DEFAULT_PREFIX, Error, Find, Process, State, schema};

use crate::support::{colonies, executor, spec, submit};

const NEVER: Duration = Duration::from_secs(3600);

/// Counts how often it is woken, and wakes a thread.
struct Woken(AtomicUsize, Thread);

impl Woken {
    fn new() -> Arc<Woken> {
        Arc::new(Woken(AtomicUsize::new(0), std::thread::current()))
    }

    fn times(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
        self.1.unpark();
    }
}

type Answer = Result<Process, Error>;

fn poll(future: &mut (impl Future<Output = Answer> + Unpin), woken: &Arc<Woken>) -> Poll<Answer> {
    let waker = Waker::from(Arc::clone(woken));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// Runs futures in this thread until all are ready.
fn run(mut futures: Vec<impl Future<Output = Answer> + Unpin>) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut woken: Vec<_> = futures.iter().map(|_| (Woken::new(), usize::MAX)).collect();
    while !futures.is_empty() {
        let mut at = 0;
        while at < futures.len() {
            let (mine, seen) = &mut woken[at];
            let times = mine.times();
            // Who was not woken is not polled.
            if *seen != times {
                *seen = times;
                if let Poll::Ready(answer) = poll(&mut futures[at], mine) {
                    answers.push(answer);
                    drop(futures.swap_remove(at));
                    woken.swap_remove(at);
                    continue;
                }
            }
            at += 1;
        }
        if !futures.is_empty() && woken.iter().all(|(mine, seen)| mine.times() == *seen) {
            std::thread::park();
        }
    }
    answers
}

#[test]
fn many_wait_in_one_thread_and_each_gets_one_process() {
    const EXECUTORS: usize = 64;
    let (colonies, _) = colonies();
    let wait = |number| {
        let me = executor(&format!("e{number}"));
        colonies.processes().assign_async(&me)
    };
    let futures: Vec<_> = (0..EXECUTORS).map(wait).collect();
    let submits = colonies.clone();
    // It may be spawned elsewhere, and lives longer than the handle that it was made of.
    let waits = std::thread::spawn(move || run(futures));
    let ids: Vec<String> = (0..EXECUTORS)
        .map(|_| submit(&submits, spec("echo")).id)
        .collect();
    let mut given: Vec<Process> = waits.join().unwrap().into_iter().flatten().collect();
    given.sort_by(|a, b| a.assigned_executor_id.cmp(&b.assigned_executor_id));
    given.dedup_by(|a, b| a.assigned_executor_id == b.assigned_executor_id);
    assert_eq!(given.len(), EXECUTORS);
    let ends: Vec<_> = ids
        .iter()
        .map(|id| colonies.processes().end_async(id))
        .collect();
    let waits = std::thread::spawn(move || run(ends));
    for process in &given {
        let mine = By::Executor(&process.assigned_executor_id);
        colonies
            .processes()
            .succeed(&process.id, mine, &[])
            .unwrap();
    }
    let ended = waits.join().unwrap();
    let done = |end: &Answer| matches!(end, Ok(process) if process.state == State::Successful);
    assert_eq!(ended.iter().filter(|end| done(end)).count(), EXECUTORS);
}

#[test]
fn only_what_fits_wakes_and_nothing_is_assigned_to_who_gave_up() {
    let (colonies, _) = colonies();
    let (processes, woken) = (colonies.processes(), Woken::new());
    let mut gives_up = processes.assign_async(&executor("ann"));
    let mut waits = processes.assign_async(&executor("bo"));
    assert!(poll(&mut gives_up, &Woken::new()).is_pending());
    assert!(poll(&mut waits, &woken).is_pending());

    // Nobody of this type waits: whoever follows has passed it when he tells of the next one.
    let mut other = spec("echo");
    other.conditions.executor_type = "gpu".into();
    submit(&colonies, other);
    let mut named = spec("echo");
    named.conditions.executor_names = vec!["carl".into()];
    let carl = std::thread::scope(|scope| {
        let carl = scope.spawn(|| processes.assign_or_wait(&executor("carl"), NEVER));
        submit(&colonies, named);
        carl.join().unwrap().unwrap().unwrap()
    });
    assert_eq!(carl.assigned_executor_id, "carl");
    assert_eq!(woken.times(), 0);

    drop(gives_up);
    let id = submit(&colonies, spec("echo")).id;
    while woken.times() == 0 {
        std::thread::park();
    }
    assert_eq!(processes.get(&id).unwrap().unwrap().state, State::Waiting);
    let Poll::Ready(Ok(process)) = poll(&mut waits, &woken) else {
        panic!("it is there");
    };
    assert_eq!(
        (process.id, process.assigned_executor_id),
        (id, "bo".into())
    );
    assert_eq!(processes.count(Find::all().executor("ann")).unwrap(), 0);
}

#[test]
fn who_waits_is_told_that_the_database_was_closed() {
    let db = Database::open(Options::in_memory()).unwrap();
    db.load_schema(schema(DEFAULT_PREFIX)).unwrap();
    let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);
    let mut future = colonies.processes().assign_async(&executor("bo"));
    let woken = Woken::new();
    assert!(poll(&mut future, &woken).is_pending());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| colonies.processes().assign_or_wait(&executor("ann"), NEVER));
        // Whenever that comes: before it waits, or after.
        db.close().unwrap();
        waits.join().unwrap().unwrap_err();
    });
    while woken.times() == 0 {
        std::thread::park();
    }
    assert!(matches!(poll(&mut future, &woken), Poll::Ready(Err(_))));
}
