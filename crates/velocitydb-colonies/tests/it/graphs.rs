//! Graphs: children are released once, failures go through, also when many close at the same time.

use serde_json::json;
use velocitydb_colonies::{
    Begin, By, Colonies, Cron, Error, Find, FunctionSpec, Generator, State, WorkflowSpec,
};

use crate::support::{NOW, colonies, executor, spec};

fn node(name: &str, before: &[&str]) -> FunctionSpec {
    let mut spec = spec("echo");
    spec.node = name.into();
    spec.conditions.dependencies = before.iter().map(|name| (*name).to_owned()).collect();
    spec
}

pub fn workflow(nodes: &[(&str, &[&str])]) -> WorkflowSpec {
    WorkflowSpec {
        colony: "dev".into(),
        nodes: nodes
            .iter()
            .map(|(name, before)| node(name, before))
            .collect(),
    }
}

fn begin(colonies: &Colonies, nodes: &[(&str, &[&str])]) -> String {
    let begin = Begin::default();
    colonies
        .graphs()
        .submit(&workflow(nodes), &begin)
        .unwrap()
        .id
}

/// The id of a graph of two processes, one behind the other.
pub fn chain(colonies: &Colonies) -> String {
    begin(colonies, &[("a", &[]), ("b", &["a"])])
}

/// The id of a graph of four: one, two behind it, and one behind both.
pub fn diamond(colonies: &Colonies) -> String {
    let nodes: &[(&str, &[&str])] = &[
        ("first", &[]),
        ("left", &["first"]),
        ("right", &["first"]),
        ("last", &["left", "right"]),
    ];
    begin(colonies, nodes)
}

/// Assigns all that waits, and closes it with its name as what it gives.
fn work(colonies: &Colonies) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(process) = colonies.processes().assign(&executor("ann")).unwrap() {
        let name = process.spec.node;
        let given = [json!(name)];
        colonies
            .processes()
            .succeed(&process.id, By::Anyone, &given)
            .unwrap();
        names.push(name);
    }
    names
}

fn state(colonies: &Colonies, graph: &str) -> State {
    colonies.graphs().get(graph).unwrap().unwrap().state
}

#[test]
fn processes_wait_for_those_before_them_and_get_what_they_gave() {
    let (colonies, _) = colonies();
    let nodes: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])];
    let graph = begin(&colonies, nodes);
    assert_eq!(state(&colonies, &graph), State::Waiting);
    let names = work(&colonies);
    assert_eq!((names[0].as_str(), names[3].as_str()), ("a", "d"));
    assert_eq!(state(&colonies, &graph), State::Successful);
    let processes = colonies.graphs().processes(&graph).unwrap();
    let last = processes
        .iter()
        .find(|process| process.spec.node == "d")
        .unwrap();
    assert_eq!(last.input, [json!("b"), json!("c")]);
    assert_eq!(
        colonies
            .graphs()
            .count(Some("dev"), Some(State::Successful))
            .unwrap(),
        1
    );
    colonies.graphs().remove(&graph).unwrap();
    assert_eq!(colonies.processes().count(Find::all()).unwrap(), 0);
}

#[test]
fn a_failure_takes_the_graph_with_it() {
    let (colonies, _) = colonies();
    let graph = chain(&colonies);
    let first = colonies
        .processes()
        .assign(&executor("ann"))
        .unwrap()
        .unwrap();
    assert_eq!(state(&colonies, &graph), State::Running);
    colonies
        .processes()
        .fail(&first.id, By::Anyone, &["broken".into()])
        .unwrap();
    assert_eq!(state(&colonies, &graph), State::Failed);
    assert_eq!(
        colonies
            .processes()
            .count(Find::all().state(State::Failed))
            .unwrap(),
        2
    );
    assert!(work(&colonies).is_empty());
    let graph = chain(&colonies);
    colonies.graphs().cancel(&graph).unwrap();
    assert_eq!(state(&colonies, &graph), State::Cancelled);
    assert!(work(&colonies).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (colonies, _) = colonies();
    let nodes: [&[(&str, &[&str])]; 4] = [
        &[("", &[])],
        &[("a", &[]), ("a", &[])],
        &[("a", &["b"])],
        &[("a", &[]), ("b", &["a", "c"]), ("c", &["b"])],
    ];
    for nodes in nodes {
        let refused = colonies
            .graphs()
            .submit(&workflow(nodes), &Begin::default());
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(colonies.processes().count(Find::all()).unwrap(), 0);
}

#[test]
fn parents_that_are_closed_at_the_same_time_release_their_child_once() {
    let (colonies, _) = colonies();
    for _ in 0..20 {
        let mut nodes = vec![node("first", &[])];
        let names: Vec<String> = (0..8).map(|at| format!("n{at}")).collect();
        nodes.extend(names.iter().map(|name| node(name, &["first"])));
        let before: Vec<&str> = names.iter().map(String::as_str).collect();
        nodes.push(node("last", &before));
        nodes.push(node("also last", &before));
        let workflow = WorkflowSpec {
            colony: "dev".into(),
            nodes,
        };
        let graph = colonies
            .graphs()
            .submit(&workflow, &Begin::default())
            .unwrap()
            .id;
        let close_all = |count: usize| {
            let found = colonies
                .processes()
                .assign_many(&executor("ann"), 100)
                .unwrap();
            assert_eq!(found.processes.len(), count);
            std::thread::scope(|scope| {
                for process in &found.processes {
                    let colonies = &colonies;
                    scope.spawn(move || {
                        let closed = colonies.processes().succeed(&process.id, By::Anyone, &[]);
                        closed.unwrap();
                    });
                }
            });
        };
        close_all(1);
        close_all(8);
        close_all(2);
        assert_eq!(state(&colonies, &graph), State::Successful);
    }
}

#[test]
fn a_cron_that_is_due_fires_once_whoever_asks() {
    let (colonies, clock) = colonies();
    let workflow = workflow(&[("a", &[]), ("b", &["a"])]);
    let cron = Cron {
        id: "c1".into(),
        colony: "dev".into(),
        name: "hourly".into(),
        interval_s: 3600,
        next_run: Some(NOW),
        workflow: serde_json::to_string(&workflow).unwrap(),
        wait_for_prev: true,
        ..Cron::default()
    };
    colonies.crons().add(&cron).unwrap();
    let twice = colonies.crons().add(&Cron {
        id: "c2".into(),
        ..cron.clone()
    });
    assert!(matches!(twice, Err(Error::Exists { .. })), "{twice:?}");
    let fire = || {
        let fired = std::thread::scope(|scope| {
            let fire = || colonies.crons().fire_due(Cron::by_interval).unwrap().len();
            let all: Vec<_> = (0..8).map(|_| scope.spawn(fire)).collect();
            all.into_iter().map(|it| it.join().unwrap()).sum::<usize>()
        });
        (fired, colonies.graphs().count(None, None).unwrap())
    };
    assert_eq!(fire(), (1, 1));
    assert_eq!(fire(), (0, 1));
    clock.advance(3_600_000_001);
    // The former one is not closed yet.
    assert_eq!(fire(), (0, 1));
    work(&colonies);
    assert_eq!(fire(), (1, 2));
    let fired = colonies.crons().get("c1").unwrap().unwrap();
    assert_eq!(fired.last_run.unwrap().0, NOW.0 + 3_600_000_001);
    let process = colonies
        .processes()
        .assign(&executor("ann"))
        .unwrap()
        .unwrap();
    assert_eq!(process.input, [json!("b")]);
}

#[test]
fn a_generator_fires_when_it_has_enough_or_has_waited_enough() {
    let (colonies, clock) = colonies();
    let workflow = workflow(&[("a", &[])]);
    let generator = Generator {
        id: "g1".into(),
        colony: "dev".into(),
        name: "packer".into(),
        workflow: serde_json::to_string(&workflow).unwrap(),
        trigger: 3,
        timeout_s: 10,
        ..Generator::default()
    };
    colonies.generators().add(&generator).unwrap();
    std::thread::scope(|scope| {
        for at in 0..7 {
            let colonies = &colonies;
            scope.spawn(move || {
                colonies.generators().pack("g1", &at.to_string()).unwrap();
                colonies.generators().fire("g1").unwrap();
            });
        }
    });
    assert_eq!(colonies.generators().count_args("g1").unwrap(), 1);
    assert!(colonies.generators().fire("g1").unwrap().is_empty());
    clock.advance(11_000_000);
    assert_eq!(colonies.generators().fire("g1").unwrap().len(), 1);
    let mut args = Vec::new();
    while let Some(process) = colonies.processes().assign(&executor("ann")).unwrap() {
        args.push(process.spec.args);
    }
    assert_eq!(args.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let mut all: Vec<String> = args
        .concat()
        .iter()
        .map(|arg| arg.as_str().unwrap().into())
        .collect();
    all.sort();
    assert_eq!(all, ["0", "1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_generator_takes_its_arguments_in_the_order_in_which_they_came() {
    let (colonies, _) = colonies();
    let generator = Generator {
        id: "g1".into(),
        colony: "dev".into(),
        name: "packer".into(),
        ..Generator::default()
    };
    colonies.generators().add(&generator).unwrap();
    // All at one time.
    let packed: Vec<String> = (0..20).map(|at| at.to_string()).collect();
    for arg in &packed {
        colonies.generators().pack("g1", arg).unwrap();
    }
    let args = colonies.generators().args("g1", 100).unwrap();
    let args: Vec<String> = args.into_iter().map(|arg| arg.arg).collect();
    assert_eq!(args, packed);
}

#[test]
fn a_process_of_a_workflow_is_given_up_with_it() {
    let (colonies, _) = colonies();
    let graph = chain(&colonies);
    let first = colonies.graphs().processes(&graph).unwrap().remove(0);
    let alone = colonies.processes().cancel(&first.id);
    assert!(matches!(alone, Err(Error::State { .. })), "{alone:?}");
    assert_eq!(work(&colonies).len(), 2);
    assert_eq!(state(&colonies, &graph), State::Successful);
}

#[test]
fn a_cron_that_makes_no_sense_is_not_in_the_way_of_others() {
    let (colonies, _) = colonies();
    let workflow = serde_json::to_string(&workflow(&[("a", &[])])).unwrap();
    for (id, workflow) in [
        ("1", "nonsense"),
        ("2", &workflow),
        ("3", "nonsense"),
        ("4", &workflow),
    ] {
        let cron = Cron {
            id: id.into(),
            colony: "dev".into(),
            name: id.into(),
            interval_s: 3600,
            next_run: Some(NOW),
            workflow: workflow.to_owned(),
            ..Cron::default()
        };
        colonies.crons().add(&cron).unwrap();
    }
    // It is told, after all others were submitted.
    colonies.crons().fire_due(Cron::by_interval).unwrap_err();
    assert_eq!(colonies.graphs().count(None, None).unwrap(), 2);
    colonies.crons().fire_due(Cron::by_interval).unwrap_err();
    assert_eq!(colonies.graphs().count(None, None).unwrap(), 2);
}

#[test]
fn what_is_done_of_a_workflow_stays_until_all_of_it_is() {
    let (colonies, clock) = colonies();
    let graph = chain(&colonies);
    let first = colonies.processes().assign(&executor("ann")).unwrap();
    let given = [json!("given")];
    colonies
        .processes()
        .succeed(&first.unwrap().id, By::Anyone, &given)
        .unwrap();
    let old = std::time::Duration::from_secs(60);
    let apply = || {
        clock.advance(61_000_000);
        let removed = colonies.apply_retention(old, &[State::Successful]).unwrap();
        (removed.processes, removed.graphs)
    };
    assert_eq!(apply(), (0, 0));
    let last = colonies.processes().assign(&executor("ann")).unwrap();
    let last = last.unwrap();
    assert_eq!(last.input, given);
    colonies
        .processes()
        .succeed(&last.id, By::Anyone, &[])
        .unwrap();
    assert_eq!(state(&colonies, &graph), State::Successful);
    assert_eq!(apply(), (2, 1));
    assert_eq!(colonies.processes().count(Find::all()).unwrap(), 0);
}
