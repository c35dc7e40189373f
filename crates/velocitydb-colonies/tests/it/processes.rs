//! Processes: submitted, found, closed; in ColonyOS's JSON.

use serde_json::json;
use velocitydb::Timestamp;
use velocitydb_colonies::{
    AttributeKind, By, Bytes, Cpu, Error, Executor, Find, Function, Process, State,
};

use crate::support::{NOW, colonies, executor, spec, submit};

/// What ColonyOS writes of a process.
const WRITTEN: &str = r#"{
  "processid": "80a98f46c7a364fd33339a6fb2e6c5d8988384fdbf237b4012490c4658bbc9ce",
  "initiatorid": "u1", "initiatorname": "ann",
  "assignedexecutorid": "", "isassigned": false, "state": 0,
  "prioritytime": 1719741600500000000,
  "submissiontime": "2024-06-30T12:00:00.5+02:00",
  "starttime": "0001-01-01T00:00:00Z", "endtime": "0001-01-01T00:00:00Z",
  "waitdeadline": "0001-01-01T00:00:00Z", "execdeadline": "0001-01-01T00:00:00Z",
  "retries": 0, "attributes": null,
  "spec": {
    "nodename": "n", "funcname": "echo", "args": ["hi", 1], "kwargs": {"a": {"b": null}},
    "priority": 1, "maxwaittime": -1, "maxexectime": 60, "maxretries": 3,
    "conditions": {
      "colonyname": "dev", "executornames": null, "executortype": "cli",
      "dependencies": [], "nodes": 1, "cpu": "1000m", "processes": 2, "processespernode": 2,
      "mem": "10Gi", "storage": "1024000Ki",
      "gpu": {"name": "a100", "mem": "40Gi", "count": 2, "nodecount": 1}, "walltime": 60
    },
    "label": "blue",
    "fs": {"mount": "/cfs", "snapshots": null, "dirs": [{"label": "/data", "dir": "/d"}]},
    "env": {"KEY": "value"}
  },
  "waitforparents": false, "parents": [], "children": [], "processgraphid": "",
  "in": null, "out": null, "errors": null
}"#;

#[test]
fn a_process_of_colonyos_is_read_and_written() {
    let process: Process = serde_json::from_str(WRITTEN).unwrap();
    assert_eq!(process.spec.conditions.memory, Bytes(10 << 30));
    assert_eq!(process.spec.conditions.cpu, Cpu(1000));
    let submitted: Timestamp = "2024-06-30T10:00:00.5Z".parse().unwrap();
    assert_eq!(process.submitted_at, Some(submitted));
    assert_eq!(process.started_at, None);
    let written = serde_json::to_value(&process).unwrap();
    assert_eq!(written["starttime"], "0001-01-01T00:00:00Z");
    assert_eq!(written["spec"]["conditions"]["mem"], "10240Mi");
    let again: Process = serde_json::from_value(written).unwrap();
    assert_eq!(again, process);
}

#[test]
fn what_is_kept_is_what_was_submitted() {
    let (colonies, _) = colonies();
    let mut process: Process = serde_json::from_str(WRITTEN).unwrap();
    colonies.processes().add(&mut process).unwrap();
    assert_eq!(process.submitted_at, Some(NOW));
    assert_eq!(process.priority_time, NOW.0 * 1000 - 86_400_000_000_000);
    let found = colonies.processes().get(&process.id).unwrap().unwrap();
    process.spec.conditions.gpu.per_node = 0;
    assert_eq!(found, process);
    assert_eq!(found.attributes[0].kind, AttributeKind::Env);
    assert_eq!(found.spec.env["KEY"], "value");
    let twice = colonies.processes().add(&mut process);
    assert!(matches!(twice, Err(Error::Exists { .. })), "{twice:?}");
}

#[test]
fn several_are_submitted_all_or_none() {
    let (colonies, _) = colonies();
    let new = || {
        let mut spec = spec("echo");
        spec.env.insert("KEY".into(), "value".into());
        Process::new(spec)
    };
    let mut three = [new(), new(), new()];
    colonies.processes().add_many(&mut three).unwrap();
    let found = colonies.processes().get(&three[2].id).unwrap().unwrap();
    assert_eq!(found, three[2]);
    let mut more = [new(), three[1].clone(), new()];
    let refused = colonies.processes().add_many(&mut more);
    match refused {
        Err(Error::Exists { id, .. }) => assert_eq!(id, three[1].id),
        other => panic!("{other:?}"),
    }
    assert_eq!(colonies.processes().count(Find::all()).unwrap(), 3);
    colonies.processes().add_many(&mut []).unwrap();
}

#[test]
fn the_id_of_an_attribute_is_that_of_colonyos() {
    let mut process = Process::new(spec("echo"));
    process.id = "p1".into();
    let attribute =
        velocitydb_colonies::Attribute::new(&process, AttributeKind::Out, "key", "value");
    // SHA3-256 of "p1key1".
    let known = "604d278f576d8b519966b0d83f2b399b0c4763add9eccda0aad9ab89ba2e0777";
    assert_eq!(attribute.id, known);
}

#[test]
fn the_first_by_priority_that_fits_is_assigned() {
    let (colonies, clock) = colonies();
    let add = |function: &str, change: fn(&mut velocitydb_colonies::FunctionSpec)| {
        clock.advance(1000);
        let mut spec = spec(function);
        change(&mut spec);
        submit(&colonies, spec)
    };
    add("plain", |_| {});
    add("urgent", |spec| spec.priority = 1);
    add("big", |spec| {
        spec.priority = 5;
        spec.conditions.memory = Bytes::mib(1000);
    });
    add("for ann", |spec| {
        spec.priority = 4;
        spec.conditions.executor_names = vec!["bo".into(), "ann".into()];
    });
    add("for all", |spec| {
        spec.priority = 3;
        spec.conditions.executor_names = vec!["*".into()];
    });
    add("in Luleå", |spec| {
        spec.priority = 2;
        spec.conditions.location = "LULEÅ".into();
    });
    add("gpu", |spec| {
        spec.priority = 6;
        spec.conditions.gpu.count = 2;
        spec.conditions.gpu.name = "a100".into();
    });
    add("of another colony", |spec| {
        spec.conditions.colony = "prod".into()
    });
    add("of another type", |spec| {
        spec.conditions.executor_type = "gpu".into()
    });

    let mut small = executor("carl");
    small.memory = Bytes::mib(100);
    small.gpu = Some(Default::default());
    let mut here = executor("ann");
    here.location = "luleå".into();
    let next = |who| {
        let found = colonies.processes().assign(who).unwrap();
        found.map(|process| process.spec.function)
    };
    let processes = colonies.processes().candidates(&here, 10).unwrap();
    let names: Vec<_> = processes
        .iter()
        .map(|it| it.spec.function.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "gpu",
            "big",
            "for ann",
            "for all",
            "in Luleå",
            "urgent",
            "plain"
        ]
    );
    assert_eq!(next(&small).as_deref(), Some("for all"));
    assert_eq!(next(&small).as_deref(), Some("urgent"));
    for wanted in ["gpu", "big", "for ann", "in Luleå", "plain"] {
        assert_eq!(next(&here).as_deref(), Some(wanted));
    }
    assert_eq!(next(&here), None);
}

#[test]
fn an_assigned_process_runs_until_its_deadline() {
    let (colonies, clock) = colonies();
    let mut late = spec("late");
    (late.max_exec_s, late.max_retries, late.max_wait_s) = (10, 1, 100);
    late.env.insert("KEY".into(), "value".into());
    let process = submit(&colonies, late);
    let mut given = colonies
        .processes()
        .assign(&executor("ann"))
        .unwrap()
        .unwrap();
    assert_eq!(given.exec_deadline, Some(Timestamp(NOW.0 + 10_000_000)));
    assert_eq!(
        colonies.attributes().of_process(&process.id).unwrap()[0].state,
        State::Running
    );
    for (retries, state) in [(1, State::Waiting), (1, State::Failed)] {
        clock.advance(11_000_000);
        colonies.processes().enforce_deadlines().unwrap();
        given = colonies.processes().get(&process.id).unwrap().unwrap();
        assert_eq!((given.retries, given.state), (retries, state));
        colonies.processes().assign(&executor("bo")).unwrap();
    }
    assert_eq!(given.errors, ["it has run longer than it may"]);
    let mut waits = spec("waits");
    waits.max_wait_s = 5;
    let waits = submit(&colonies, waits);
    clock.advance(6_000_000);
    let enforced = colonies.processes().enforce_deadlines().unwrap();
    assert_eq!(enforced.failed, 1);
    let state = colonies.processes().get(&waits.id).unwrap().unwrap().state;
    assert_eq!(state, State::Failed);
}

#[test]
fn a_process_is_closed_once_by_who_has_it() {
    let (colonies, clock) = colonies();
    colonies
        .executors()
        .add(&Executor {
            id: "ann".into(),
            name: "ann".into(),
            kind: "cli".into(),
            colony: "dev".into(),
            ..Executor::default()
        })
        .unwrap();
    let function = Function {
        id: "f".into(),
        executor: "ann".into(),
        colony: "dev".into(),
        name: "echo".into(),
        ..Function::default()
    };
    colonies.functions().add(&function).unwrap();
    let processes = colonies.processes();
    let id = submit(&colonies, spec("echo")).id;
    let waits = processes.succeed(&id, By::Anyone, &[]);
    assert!(
        matches!(
            waits,
            Err(Error::State {
                is: State::Waiting,
                ..
            })
        ),
        "{waits:?}"
    );
    clock.advance(2_000_000);
    processes.assign(&executor("ann")).unwrap().unwrap();
    clock.advance(3_000_000);
    let other = processes.succeed(&id, By::Executor("bo"), &[]);
    assert!(matches!(other, Err(Error::State { .. })), "{other:?}");
    let closed = processes
        .succeed(&id, By::Executor("ann"), &[json!({"a": 1})])
        .unwrap();
    assert_eq!((closed.waited.as_secs(), closed.ran.as_secs()), (2, 3));
    for again in [
        processes.succeed(&id, By::Anyone, &[]),
        processes.fail(&id, By::Anyone, &[]),
        processes.cancel(&id),
    ] {
        assert!(
            matches!(
                again,
                Err(Error::State {
                    is: State::Successful,
                    ..
                })
            ),
            "{again:?}"
        );
    }
    let done = processes.get(&id).unwrap().unwrap();
    assert_eq!(
        (done.state, done.output),
        (State::Successful, vec![json!({"a": 1})])
    );
    let counted = colonies.functions().get("f").unwrap().unwrap();
    assert_eq!(
        (counted.counter, counted.avg_wait_s, counted.max_exec_s),
        (1, 2.0, 3.0)
    );
}

#[test]
fn processes_are_found_counted_and_removed() {
    let (colonies, clock) = colonies();
    let processes = colonies.processes();
    for at in 0..10 {
        clock.advance(1_000_000);
        let mut spec = spec("echo");
        spec.label = if at % 2 == 0 {
            "even".into()
        } else {
            "odd".into()
        };
        spec.env.insert("AT".into(), at.to_string());
        submit(&colonies, spec);
    }
    let ids: Vec<String> = (0..4)
        .map(|_| processes.assign(&executor("ann")).unwrap().unwrap().id)
        .collect();
    processes.succeed(&ids[0], By::Anyone, &[]).unwrap();
    clock.advance(1);
    processes.succeed(&ids[1], By::Anyone, &[]).unwrap();
    processes
        .fail(&ids[2], By::Anyone, &["broken".into()])
        .unwrap();
    let dev = || Find::in_colony("dev");
    let count = |find| processes.count(find).unwrap();
    assert_eq!(count(dev()), 10);
    assert_eq!(count(dev().state(State::Waiting)), 6);
    assert_eq!(count(dev().state(State::Waiting).label("odd")), 3);
    assert_eq!(count(dev().executor("ann")), 4);
    assert_eq!(count(dev().since(Timestamp(NOW.0 + 9_000_000))), 2);
    // Those since a time come as they were submitted, in ColonyOS and here.
    let since = dev().since(NOW).state(State::Successful);
    let found = processes.find(since).unwrap();
    assert_eq!([&found[0].id, &found[1].id], [&ids[0], &ids[1]]);
    let latest = processes.find(dev().state(State::Successful)).unwrap();
    assert_eq!(latest[0].id, ids[1]);
    let first = processes
        .find(dev().state(State::Waiting).limit(1))
        .unwrap();
    assert_eq!(first[0].spec.label, "even");
    assert_eq!(processes.remove(dev().state(State::Waiting)).unwrap(), 6);
    assert_eq!(
        colonies
            .attributes()
            .find(velocitydb_colonies::Of::All)
            .unwrap()
            .len(),
        4
    );
    processes.reset(&ids[2]).unwrap();
    assert_eq!(count(dev().state(State::Waiting)), 1);
    processes.remove_one(&ids[2]).unwrap();
    let gone = processes.remove_one(&ids[2]);
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}
