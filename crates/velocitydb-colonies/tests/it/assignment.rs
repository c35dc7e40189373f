//! Assignment by many at once: each process once, none lost, in order, without walking over others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use velocitydb_colonies::{By, Find, State};

use crate::support::{colonies, executor, spec, submit};

const EXECUTORS: usize = 64;
const PROCESSES: usize = 2000;

/// What executors have done, in the order in which each has done it.
#[derive(Default)]
struct History {
    /// Who was given a process, and its priority time, by process.
    given: BTreeMap<String, Vec<String>>,
    done: Vec<String>,
}

#[test]
fn sixty_four_executors_some_of_which_die_do_each_process_once() {
    let (colonies, _) = colonies();
    for at in 0..PROCESSES {
        let mut spec = spec("echo");
        spec.priority = (at % 5) as i32;
        submit(&colonies, spec);
    }
    let history = Mutex::new(History::default());
    let (died, closed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..EXECUTORS {
            let (colonies, history, died, closed) = (&colonies, &history, &died, &closed);
            scope.spawn(move || {
                let name = format!("e{number}");
                let (me, mut last) = (executor(&name), i64::MIN);
                let mut turn = 0;
                while closed.load(Ordering::Acquire) < PROCESSES {
                    let batch = if number % 4 == 0 { 3 } else { 1 };
                    let found = colonies.processes().assign_many(&me, batch).unwrap();
                    for process in found.processes {
                        assert_eq!(process.assigned_executor_id, name);
                        assert_eq!(process.state, State::Running);
                        let again = process.retries > 0;
                        assert!(again || process.priority_time >= last, "out of order");
                        if !again {
                            last = process.priority_time;
                        }
                        let mut noted = history.lock();
                        let given = noted.given.entry(process.id.clone()).or_default();
                        given.push(name.clone());
                        drop(noted);
                        turn += 1;
                        if number % 8 == 1 && turn % 10 == 0 {
                            // It dies with the process: somebody sees that and takes it away; what
                            // is left of it cannot close it any more.
                            let mine = By::Executor(&name);
                            colonies.processes().unassign(&process.id, mine).unwrap();
                            colonies
                                .processes()
                                .succeed(&process.id, mine, &[])
                                .unwrap_err();
                            died.fetch_add(1, Ordering::Relaxed);
                            last = i64::MIN;
                            continue;
                        }
                        let mine = By::Executor(&name);
                        colonies
                            .processes()
                            .succeed(&process.id, mine, &[])
                            .unwrap();
                        history.lock().done.push(process.id);
                        closed.fetch_add(1, Ordering::Release);
                    }
                }
            });
        }
    });
    let History { given, done } = history.into_inner();
    assert_eq!(done.len(), PROCESSES);
    assert_eq!(
        done.iter().collect::<BTreeSet<_>>().len(),
        PROCESSES,
        "none twice"
    );
    assert_eq!(given.len(), PROCESSES);
    // Given once, and once more for each that died with it.
    let times: usize = given.values().map(Vec::len).sum();
    assert_eq!(times, PROCESSES + died.load(Ordering::Relaxed));
    let count = |state| {
        colonies
            .processes()
            .count(Find::all().state(state))
            .unwrap()
    };
    assert_eq!(count(State::Successful), PROCESSES as u64);
    assert_eq!(count(State::Running) + count(State::Waiting), 0);
}

#[test]
fn an_assignment_looks_at_one_process_whoever_else_waits() {
    let (colonies, _) = colonies();
    for at in 0..1000 {
        let mut other = spec("echo");
        match at % 3 {
            0 => other.conditions.executor_type = "gpu".into(),
            1 => other.conditions.colony = "prod".into(),
            _ => {}
        }
        submit(&colonies, other);
    }
    let mut waiting = 333;
    while waiting > 100 {
        let found = colonies
            .processes()
            .assign_many(&executor("ann"), 1)
            .unwrap();
        assert_eq!((found.processes.len(), found.examined), (1, 1));
        waiting -= 1;
    }
    let found = colonies
        .processes()
        .assign_many(&executor("ann"), 1000)
        .unwrap();
    assert_eq!((found.processes.len(), found.examined), (100, 100));
    let found = colonies
        .processes()
        .assign_many(&executor("ann"), 1)
        .unwrap();
    assert_eq!((found.processes.len(), found.examined), (0, 0));
}

#[test]
fn who_waits_is_woken_by_what_fits() {
    let (colonies, _) = colonies();
    let never = Duration::from_secs(3600);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let colonies = &colonies;
                scope.spawn(move || {
                    let me = executor(&format!("e{number}"));
                    colonies
                        .processes()
                        .assign_or_wait(&me, never)
                        .unwrap()
                        .unwrap()
                })
            })
            .collect();
        for number in 0..8 {
            let mut spec = spec("echo");
            spec.conditions.executor_names = vec![format!("e{number}")];
            let id = submit(&colonies, spec).id;
            // Whoever waits for its end is told, too.
            let closes = &colonies;
            let ends = scope.spawn({
                let id = id.clone();
                move || {
                    closes
                        .processes()
                        .wait_for_end(&id, never)
                        .unwrap()
                        .unwrap()
                }
            });
            while colonies.processes().get(&id).unwrap().unwrap().state == State::Waiting {
                std::thread::yield_now();
            }
            colonies.processes().succeed(&id, By::Anyone, &[]).unwrap();
            assert_eq!(ends.join().unwrap().state, State::Successful);
        }
        let ids: BTreeSet<String> = waiting
            .into_iter()
            .map(|it| it.join().unwrap().id)
            .collect();
        assert_eq!(ids.len(), 8);
    });
    let none = colonies
        .processes()
        .assign_or_wait(&executor("ann"), Duration::ZERO);
    assert!(none.unwrap().is_none());
}

#[test]
fn a_released_child_wakes_who_waits() {
    let (colonies, _) = colonies();
    let graph = crate::graphs::chain(&colonies);
    let first = colonies
        .processes()
        .assign(&executor("ann"))
        .unwrap()
        .unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let never = Duration::from_secs(3600);
            colonies
                .processes()
                .assign_or_wait(&executor("bo"), never)
                .unwrap()
                .unwrap()
        });
        colonies
            .processes()
            .succeed(&first.id, By::Anyone, &[])
            .unwrap();
        assert_eq!(waits.join().unwrap().parents[0], first.id);
    });
    assert_eq!(
        colonies.graphs().get(&graph).unwrap().unwrap().state,
        State::Running
    );
}
