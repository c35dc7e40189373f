//! What another does in the middle of a step: between any of its reads and what it does then, another step
//! happens as a whole. Each test plays that for each read that the step makes.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use velocitydb::query::{Filter, Find as Query};
use velocitydb::{Database, Key, ManualClock, Options, Timestamp};
use velocitydb_colonies::store::{Change, Follow, Hold, Row, Steps, Store, Take, Taken, Work};
use velocitydb_colonies::{
    Blueprint, By, Colonies, Colony, Cron, DEFAULT_PREFIX, Error, Executor, ExecutorState, File,
    Find, Function, Generator, Process, State, schema,
};

use crate::graphs::{diamond, workflow};
use crate::support::{NOW, executor, spec, submit};

/// A store on which another does something behind the read of a certain number.
struct Meddled {
    db: Database,
    other: Arc<Other>,
}

/// What the other does, and how many reads before.
type Meddling = (usize, Box<dyn FnOnce() + Send>);

#[derive(Default)]
struct Other(Mutex<Option<Meddling>>);

impl Other {
    fn read(&self) {
        let mut meddling = self.0.lock();
        match meddling.take() {
            Some((0, act)) => {
                drop(meddling);
                act();
            }
            Some((left, act)) => *meddling = Some((left - 1, act)),
            None => {}
        }
    }
}

impl Meddled {
    fn read<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        self.other.read();
        read
    }
}

impl Store for Meddled {
    fn now(&self) -> Timestamp {
        Store::now(&self.db)
    }

    fn get(&self, collection: &str, id: &Key) -> Result<Option<Row>, Error> {
        self.read(Store::get(&self.db, collection, id))
    }

    fn find(&self, collection: &str, find: &Query) -> Result<Vec<Row>, Error> {
        self.read(Store::find(&self.db, collection, find))
    }

    fn count(&self, collection: &str, filter: &Filter) -> Result<u64, Error> {
        self.read(Store::count(&self.db, collection, filter))
    }

    fn transact(&self, hold: Hold, work: &mut Work<'_>) -> Result<(), Error> {
        Store::transact(&self.db, hold, &mut |steps| {
            work(&mut MeddledSteps(steps, &self.other))
        })
    }

    fn write(&self, changes: Vec<Change<'_>>) -> Result<(), Error> {
        Store::write(&self.db, changes)
    }

    fn take(&self, take: &Take<'_>) -> Result<Taken, Error> {
        Store::take(&self.db, take)
    }

    fn next_number(&self, sequence: &str) -> Result<i64, Error> {
        Store::next_number(&self.db, sequence)
    }

    fn follow(&self, collection: &str) -> Result<Box<dyn Follow>, Error> {
        Store::follow(&self.db, collection)
    }
}

struct MeddledSteps<'s>(&'s mut dyn Steps, &'s Other);

impl Steps for MeddledSteps<'_> {
    fn get(&mut self, collection: &str, id: &Key) -> Result<Option<Row>, Error> {
        let read = self.0.get(collection, id);
        self.1.read();
        read
    }

    fn find(&mut self, collection: &str, find: &Query) -> Result<Vec<Row>, Error> {
        let read = self.0.find(collection, find);
        self.1.read();
        read
    }

    fn change(&mut self, change: Change<'_>) -> Result<(), Error> {
        self.0.change(change)
    }
}

/// Plays `step` against `other`, from what `before` makes, for each read of the step; `check` looks at what
/// is there then, and at the answers of both.
fn race<S: 'static, O: Send + 'static>(
    before: impl Fn(&Colonies) -> String,
    step: impl Fn(&Colonies, &str) -> Result<S, Error>,
    other: impl Fn(&Colonies, &str) -> Result<O, Error> + Send + Sync + Clone + 'static,
    check: impl Fn(&Colonies, &str, Result<S, Error>, Result<O, Error>),
) {
    for reads in 0.. {
        let clock = Arc::new(ManualClock::new(NOW));
        let db = Database::open(Options::in_memory().clock(clock.clone())).unwrap();
        db.load_schema(schema(DEFAULT_PREFIX)).unwrap();
        let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);
        let id = before(&colonies);
        clock.advance(100_000_000);
        let meddling = Arc::new(Other::default());
        let meddled = Meddled {
            db,
            other: Arc::clone(&meddling),
        };
        let meddled = Colonies::open(meddled, DEFAULT_PREFIX);
        let answer = Arc::new(Mutex::new(None));
        let act = {
            let (colonies, id, answer) = (colonies.clone(), id.clone(), Arc::clone(&answer));
            let other = other.clone();
            move || *answer.lock() = Some(other(&colonies, &id))
        };
        *meddling.0.lock() = Some((reads, Box::new(act)));
        let mine = step(&meddled, &id);
        let Some(others) = answer.lock().take() else {
            assert!(reads > 0, "the step reads nothing");
            return;
        };
        check(&colonies, &id, mine, others);
    }
}

const ANN: By<'_> = By::Executor("ann");

/// A process that `ann` has, who is registered with the function.
fn running(colonies: &Colonies) -> String {
    add_executor(colonies, "ann", "ann").unwrap();
    add_executor(colonies, "bo", "bo").unwrap();
    for name in ["ann", "bo"] {
        let function = Function {
            id: format!("echo of {name}"),
            executor: name.into(),
            colony: "dev".into(),
            name: "echo".into(),
            ..Function::default()
        };
        colonies.functions().add(&function).unwrap();
    }
    let mut spec = spec("echo");
    spec.max_exec_s = 10;
    spec.env.insert("KEY".into(), "value".into());
    let id = submit(colonies, spec).id;
    colonies.processes().assign_to(&id, "ann").unwrap();
    id
}

fn add_executor(colonies: &Colonies, id: &str, name: &str) -> Result<(), Error> {
    colonies.executors().add(&Executor {
        id: id.into(),
        name: name.into(),
        kind: "cli".into(),
        colony: "dev".into(),
        ..Executor::default()
    })
}

fn process(colonies: &Colonies, id: &str) -> Process {
    colonies.processes().get(id).unwrap().unwrap()
}

/// How often a function of `ann` and of `bo` was counted.
fn counted(colonies: &Colonies) -> [i32; 2] {
    ["echo of ann", "echo of bo"].map(|id| colonies.functions().get(id).unwrap().unwrap().counter)
}

/// Takes the process away, and gives it to `bo`.
fn to_bo(colonies: &Colonies, id: &str) -> Result<(), Error> {
    colonies.processes().unassign(id, By::Anyone)?;
    colonies.processes().assign_to(id, "bo").map(drop)
}

fn succeed(colonies: &Colonies, id: &str) -> Result<(), Error> {
    let given = [json!("given")];
    colonies.processes().succeed(id, ANN, &given).map(drop)
}

fn fail(colonies: &Colonies, id: &str) -> Result<(), Error> {
    let why = ["broken".to_owned()];
    colonies.processes().fail(id, ANN, &why).map(drop)
}

fn cancel(colonies: &Colonies, id: &str) -> Result<(), Error> {
    colonies.processes().cancel(id).map(drop)
}

fn unassign(colonies: &Colonies, id: &str) -> Result<(), Error> {
    colonies.processes().unassign(id, ANN)
}

type Act = fn(&Colonies, &str) -> Result<(), Error>;

#[test]
fn a_process_is_closed_or_taken_away_once() {
    // Each with the state that it makes.
    let acts: [(Act, State); 4] = [
        (succeed, State::Successful),
        (fail, State::Failed),
        (cancel, State::Cancelled),
        (unassign, State::Waiting),
    ];
    for (act, _) in acts {
        for (other, state) in acts {
            race(running, act, other, |colonies, id, mine, others| {
                others.unwrap();
                let refused = matches!(mine, Err(Error::State { .. }));
                // What waits again can still be given up.
                let both = state == State::Waiting && mine.is_ok();
                assert!(refused || both, "{mine:?} after {state}");
                let now = process(colonies, id);
                if refused {
                    assert_eq!(now.state, state);
                }
                assert_eq!(now.attributes[0].state, now.state);
                let successful = i32::from(now.state == State::Successful);
                assert_eq!(counted(colonies), [successful, 0]);
            });
        }
    }
}

#[test]
fn who_has_lost_a_process_does_not_close_it_nor_is_it_counted() {
    for act in [succeed as Act, fail, unassign] {
        race(running, act, to_bo, |colonies, id, mine, others| {
            others.unwrap();
            assert!(matches!(mine, Err(Error::State { .. })), "{mine:?}");
            let now = process(colonies, id);
            assert_eq!(
                (now.state, now.assigned_executor_id.as_str()),
                (State::Running, "bo")
            );
            assert_eq!(counted(colonies), [0, 0]);
        });
    }
}

#[test]
fn a_process_is_counted_for_who_has_done_it() {
    let anyone = |colonies: &Colonies, id: &str| colonies.processes().succeed(id, By::Anyone, &[]);
    race(running, anyone, to_bo, |colonies, _, mine, others| {
        others.unwrap();
        assert_eq!(mine.unwrap().process.assigned_executor_id, "bo");
        assert_eq!(counted(colonies), [0, 1]);
    });
}

#[test]
fn each_process_is_counted() {
    let twice = |colonies: &Colonies| {
        running(colonies);
        let other = submit(colonies, spec("echo")).id;
        colonies.processes().assign_to(&other, "ann").unwrap();
        other
    };
    let rest = |colonies: &Colonies, id: &str| {
        let running = Find::all().state(State::Running);
        for process in colonies.processes().find(running)? {
            if process.id != id {
                colonies.processes().succeed(&process.id, ANN, &[])?;
            }
        }
        Ok(())
    };
    race(twice, succeed, rest, |colonies, _, mine, others| {
        others.unwrap();
        mine.unwrap();
        assert_eq!(counted(colonies), [2, 0]);
    });
}

#[test]
fn a_deadline_takes_only_what_is_late() {
    let enforce = |colonies: &Colonies, _: &str| colonies.processes().enforce_deadlines();
    // Taken away and given to the same one again, in time.
    let again = |colonies: &Colonies, id: &str| {
        colonies.processes().unassign(id, By::Anyone)?;
        colonies.processes().assign_to(id, "ann").map(drop)
    };
    race(running, enforce, again, |colonies, id, mine, others| {
        mine.unwrap();
        let now = process(colonies, id);
        // The other one was there first, or came when there was nothing left to take away.
        match others {
            Ok(()) => assert_eq!((now.state, now.retries), (State::Running, 1)),
            Err(_) => assert_eq!((now.state, now.retries), (State::Waiting, 1)),
        }
    });
}

#[test]
fn a_process_is_given_to_one() {
    let waiting = |colonies: &Colonies| submit(colonies, spec("echo")).id;
    let to = |name: &'static str| {
        move |colonies: &Colonies, id: &str| colonies.processes().assign_to(id, name).map(drop)
    };
    let assign = |colonies: &Colonies, _: &str| {
        let found = colonies.processes().assign(&executor("bo"))?;
        assert!(found.is_some());
        Ok(())
    };
    let refused =
        |colonies: &Colonies, id: &str, mine: Result<(), Error>, others: Result<(), Error>| {
            others.unwrap();
            assert!(matches!(mine, Err(Error::State { .. })), "{mine:?}");
            assert_eq!(process(colonies, id).assigned_executor_id, "bo");
        };
    race(waiting, to("ann"), assign, refused);
    race(waiting, to("ann"), to("bo"), refused);
}

/// A graph of which `left` and `right` run, both with `ann`; the id of `left`.
fn halves(colonies: &Colonies) -> String {
    let graph = diamond(colonies);
    let first = node(colonies, &graph, "first").id;
    colonies.processes().assign_to(&first, "ann").unwrap();
    succeed(colonies, &first).unwrap();
    for name in ["left", "right"] {
        let id = node(colonies, &graph, name).id;
        colonies.processes().assign_to(&id, "ann").unwrap();
    }
    node(colonies, &graph, "left").id
}

fn node(colonies: &Colonies, graph: &str, name: &str) -> Process {
    let all = colonies.graphs().processes(graph).unwrap();
    all.into_iter().find(|it| it.spec.node == name).unwrap()
}

/// The process of this name in the graph of another process.
fn beside(colonies: &Colonies, id: &str, name: &str) -> Process {
    node(colonies, &process(colonies, id).graph_id, name)
}

fn graph_state(colonies: &Colonies, id: &str) -> State {
    let graph = process(colonies, id).graph_id;
    colonies.graphs().get(&graph).unwrap().unwrap().state
}

#[test]
fn the_last_of_those_before_a_process_releases_it() {
    let right =
        |colonies: &Colonies, id: &str| succeed(colonies, &beside(colonies, id, "right").id);
    race(halves, succeed, right, |colonies, id, mine, others| {
        others.unwrap();
        mine.unwrap();
        let last = beside(colonies, id, "last");
        assert!(!last.wait_for_parents);
        assert_eq!(last.input, [json!("given"), json!("given")]);
        assert_eq!(graph_state(colonies, id), State::Running);
    });
}

#[test]
fn the_last_of_a_graph_closes_it() {
    let pair = |colonies: &Colonies| {
        let workflow = workflow(&[("left", &[]), ("right", &[])]);
        let graph = colonies.graphs().submit(&workflow, &Default::default());
        let graph = graph.unwrap().id;
        for name in ["left", "right"] {
            let id = node(colonies, &graph, name).id;
            colonies.processes().assign_to(&id, "ann").unwrap();
        }
        node(colonies, &graph, "left").id
    };
    let right =
        |colonies: &Colonies, id: &str| succeed(colonies, &beside(colonies, id, "right").id);
    race(pair, succeed, right, |colonies, id, mine, others| {
        others.unwrap();
        mine.unwrap();
        assert_eq!(graph_state(colonies, id), State::Successful);
    });
}

#[test]
fn a_graph_that_has_failed_or_was_given_up_stays_so() {
    let fails = |colonies: &Colonies, id: &str| fail(colonies, &beside(colonies, id, "right").id);
    race(halves, succeed, fails, |colonies, id, mine, others| {
        others.unwrap();
        mine.unwrap_err();
        assert_eq!(graph_state(colonies, id), State::Failed);
        for name in ["first", "left", "right", "last"] {
            assert_eq!(beside(colonies, id, name).state, State::Failed, "{name}");
        }
    });
    let given_up = |colonies: &Colonies, id: &str| {
        let graph = process(colonies, id).graph_id;
        colonies.graphs().cancel(&graph)
    };
    for act in [succeed as Act, fail] {
        race(halves, act, given_up, |colonies, id, mine, others| {
            others.unwrap();
            mine.unwrap_err();
            assert_eq!(graph_state(colonies, id), State::Cancelled);
            assert_eq!(beside(colonies, id, "last").state, State::Cancelled);
        });
    }
}

/// One of two that make the same thing is refused, and there is the other one's.
fn one_is_refused(
    make: impl Fn(&Colonies, &str) -> Result<(), Error> + Send + Sync + Clone + 'static,
) {
    let other = make.clone();
    let mine = move |colonies: &Colonies, _: &str| make(colonies, "mine");
    let others = move |colonies: &Colonies, _: &str| other(colonies, "other's");
    race(with_things, mine, others, |_, _, mine, others| {
        others.unwrap();
        assert!(
            matches!(mine, Err(Error::Exists { .. } | Error::NotFound { .. })),
            "{mine:?}"
        );
    });
}

/// A colony `old`, a file, a blueprint and the server's id.
fn with_things(colonies: &Colonies) -> String {
    let old = Colony {
        id: "old".into(),
        name: "old".into(),
    };
    colonies.colonies().add(&old).unwrap();
    let mut file = File {
        id: "v1".into(),
        colony: "dev".into(),
        label: "/data".into(),
        name: "a".into(),
        ..File::default()
    };
    colonies.files().add(&mut file).unwrap();
    let json =
        json!({"blueprintid": "b", "kind": "k", "metadata": {"name": "n", "colonyname": "dev"}});
    colonies.blueprints().add(&Blueprint { json }).unwrap();
    colonies.security().set_server_id("", "first").unwrap();
    String::new()
}

#[test]
fn names_are_unique_whoever_comes_at_the_same_time() {
    one_is_refused(|colonies, id| add_executor(colonies, id, "carl"));
    one_is_refused(|colonies, id| {
        colonies.generators().add(&Generator {
            id: id.into(),
            colony: "dev".into(),
            name: "packer".into(),
            ..Generator::default()
        })
    });
    one_is_refused(|colonies, _| colonies.snapshots().create("dev", "/data", "s").map(drop));
    one_is_refused(|colonies, id| match id {
        "mine" => colonies.colonies().rename("old", "new"),
        _ => colonies.colonies().add(&Colony {
            id: id.into(),
            name: "new".into(),
        }),
    });
    one_is_refused(|colonies, id| colonies.security().set_server_id("first", id));
    race(
        |_| String::new(),
        |colonies, _| colonies.security().set_server_id("", "mine"),
        |colonies, _| colonies.security().set_server_id("", "other's"),
        |colonies, _, mine, others| {
            others.unwrap();
            assert!(matches!(mine, Err(Error::Exists { .. })), "{mine:?}");
            let now = colonies.security().server_id().unwrap();
            assert_eq!(now.as_deref(), Some("other's"));
        },
    );
}

#[test]
fn a_status_is_set_without_taking_back_what_another_changes() {
    let status = |colonies: &Colonies, _: &str| {
        let status = json!({"phase": "ready"});
        colonies
            .blueprints()
            .set_status("b", status.as_object().unwrap())
    };
    let change = |colonies: &Colonies, _: &str| {
        let json = json!({"blueprintid": "b", "kind": "other", "metadata": {"name": "n", "colonyname": "dev"}});
        colonies.blueprints().update(&Blueprint { json })
    };
    race(with_things, status, change, |colonies, _, mine, others| {
        others.unwrap();
        mine.unwrap();
        let now = colonies.blueprints().get("b").unwrap().unwrap();
        assert_eq!(
            (now.kind(), &now.json["status"]["phase"]),
            ("other", &json!("ready"))
        );
    });
}

#[test]
fn an_executor_that_comes_under_the_name_of_another_is_not_approved_for_it() {
    let ann = |colonies: &Colonies| {
        add_executor(colonies, "ann", "ann").unwrap();
        "ann".to_owned()
    };
    let approve = |colonies: &Colonies, id: &str| colonies.executors().approve(id);
    let another = |colonies: &Colonies, _: &str| {
        colonies.executors().remove("dev", "ann")?;
        add_executor(colonies, "another", "ann")
    };
    race(ann, approve, another, |colonies, _, mine, others| {
        others.unwrap();
        assert!(matches!(mine, Err(Error::NotFound { .. })), "{mine:?}");
        let now = colonies.executors().get("dev", "ann").unwrap().unwrap();
        assert_eq!(now.state, ExecutorState::Pending);
    });
}

#[test]
fn crons_and_generators_submit_once() {
    let text = || serde_json::to_string(&workflow(&[("a", &[])])).unwrap();
    let cron = move |colonies: &Colonies| {
        let cron = Cron {
            id: "c".into(),
            colony: "dev".into(),
            name: "c".into(),
            interval_s: 3600,
            next_run: Some(NOW),
            workflow: text(),
            ..Cron::default()
        };
        colonies.crons().add(&cron).unwrap();
        cron.id
    };
    let fire = |colonies: &Colonies, id: &str| colonies.crons().fire(id, Cron::by_interval);
    race(cron, fire, fire, |colonies, _, mine, others| {
        assert!(others.unwrap().is_some());
        assert!(mine.unwrap().is_none());
        assert_eq!(colonies.graphs().count(None, None).unwrap(), 1);
    });
    let generator = move |colonies: &Colonies| {
        let generator = Generator {
            id: "g".into(),
            colony: "dev".into(),
            name: "g".into(),
            workflow: text(),
            trigger: 2,
            ..Generator::default()
        };
        colonies.generators().add(&generator).unwrap();
        for arg in ["1", "2", "3"] {
            colonies.generators().pack("g", arg).unwrap();
        }
        generator.id
    };
    let fire = |colonies: &Colonies, id: &str| colonies.generators().fire(id);
    race(generator, fire, fire, |colonies, id, mine, others| {
        assert_eq!((mine.unwrap().len(), others.unwrap().len()), (0, 1));
        assert_eq!(colonies.generators().count_args(id).unwrap(), 1);
    });
    let pack = |colonies: &Colonies, id: &str| colonies.generators().pack(id, "4");
    let remove = |colonies: &Colonies, id: &str| colonies.generators().remove(id);
    race(generator, pack, remove, |colonies, id, mine, others| {
        others.unwrap();
        assert!(matches!(mine, Err(Error::NotFound { .. })), "{mine:?}");
        assert_eq!(colonies.generators().count_args(id).unwrap(), 0);
    });
}
