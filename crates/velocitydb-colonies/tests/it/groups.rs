//! The other groups: what is kept is found, names are unique, what belongs together goes together.

use std::time::Duration;

use serde_json::json;
use velocitydb::Timestamp;
use velocitydb_colonies::{
    Attribute, AttributeKind, Blueprint, BlueprintDefinition, BlueprintVersion, Capabilities,
    Colonies, Colony, Error, Executor, ExecutorState, File, Find, Function, Location, Log, Of,
    Part, State, User, Which, Whose,
};

use crate::support::{NOW, colonies, executor, spec, submit};

fn exists<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Exists { .. })), "{result:?}");
}

fn missing<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::NotFound { .. })), "{result:?}");
}

fn colony(colonies: &Colonies, name: &str) {
    let colony = Colony {
        id: format!("id of {name}"),
        name: name.into(),
    };
    colonies.colonies().add(&colony).unwrap();
}

fn user(name: &str) -> User {
    User {
        colony: "dev".into(),
        id: format!("id of {name}"),
        name: name.into(),
        email: format!("{name}@example.org"),
        phone: String::new(),
    }
}

fn registered(name: &str) -> Executor {
    Executor {
        id: format!("id of {name}"),
        name: name.into(),
        kind: "cli".into(),
        colony: "dev".into(),
        ..Executor::default()
    }
}

#[test]
fn colonies_and_users_have_unique_names() {
    let (colonies, _) = colonies();
    colony(&colonies, "dev");
    colony(&colonies, "prod");
    exists(colonies.colonies().add(&Colony {
        id: "x".into(),
        name: "dev".into(),
    }));
    exists(colonies.colonies().rename("dev", "prod"));
    missing(colonies.colonies().rename("none", "other"));
    colonies.colonies().rename("prod", "test").unwrap();
    assert_eq!(
        colonies
            .colonies()
            .by_id("id of prod")
            .unwrap()
            .unwrap()
            .name,
        "test"
    );
    assert_eq!(colonies.colonies().count().unwrap(), 2);
    // Of many at the same time one wins.
    let added: usize = std::thread::scope(|scope| {
        let add = || usize::from(colonies.users().add(&user("ann")).is_ok());
        let all: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
        all.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(added, 1);
    assert_eq!(
        colonies.users().get("dev", "ann").unwrap().unwrap(),
        user("ann")
    );
    assert_eq!(
        colonies.users().by_id("dev", "id of ann").unwrap().unwrap(),
        user("ann")
    );
    let colon = colonies.users().add(&user("a:b"));
    assert!(matches!(colon, Err(Error::Invalid(_))), "{colon:?}");
    colonies.users().add(&user("bo")).unwrap();
    assert_eq!(colonies.users().in_colony("dev").unwrap().len(), 2);
    colonies.users().remove_by_id("dev", "id of bo").unwrap();
    missing(colonies.users().remove("dev", "bo"));
}

#[test]
fn executors_come_work_and_leave() {
    let (colonies, clock) = colonies();
    let executors = colonies.executors();
    executors.add(&registered("ann")).unwrap();
    exists(executors.add(&registered("ann")));
    executors.approve("id of ann").unwrap();
    clock.advance(5);
    executors.mark_alive("id of ann").unwrap();
    let has = Capabilities {
        hardware: vec![json!({"model": "m1", "nodes": 1})],
        software: Vec::new(),
    };
    executors.set_capabilities("dev", "ann", &has).unwrap();
    let ann = executors.get("dev", "ann").unwrap().unwrap();
    assert_eq!(
        (ann.state, ann.capabilities.clone()),
        (ExecutorState::Approved, has)
    );
    assert_eq!(ann.commissioned_at, Some(NOW));
    assert_eq!(ann.heard_at, Some(Timestamp(NOW.0 + 5)));
    missing(executors.reject("nobody"));
    let function = Function {
        id: "f1".into(),
        colony: "dev".into(),
        executor: "ann".into(),
        name: "echo".into(),
        args: vec![json!({"name": "text", "type": "string"})],
        ..Function::default()
    };
    colonies.functions().add(&function).unwrap();
    assert_eq!(
        colonies.functions().find("dev", Some("ann")).unwrap(),
        [function]
    );
    let id = submit(&colonies, spec("echo")).id;
    colonies
        .processes()
        .assign(&ann.candidate())
        .unwrap()
        .unwrap();
    executors.remove("dev", "ann").unwrap();
    let process = colonies.processes().get(&id).unwrap().unwrap();
    assert_eq!(
        (process.state, process.is_assigned),
        (State::Waiting, false)
    );
    assert!(colonies.functions().find("dev", None).unwrap().is_empty());
    assert!(executors.find(None, None).unwrap().is_empty());
    assert_eq!(
        executors
            .count(Some("dev"), Some(ExecutorState::Unregistered))
            .unwrap(),
        1
    );
    // It comes back.
    executors.add(&registered("ann")).unwrap();
    assert_eq!(
        executors.by_id("id of ann").unwrap().unwrap().state,
        ExecutorState::Pending
    );
    executors.remove_all("dev").unwrap();
    assert!(executors.in_colony("dev").unwrap().is_empty());
}

#[test]
fn attributes_are_noted_of_processes() {
    let (colonies, _) = colonies();
    let process = submit(&colonies, spec("echo"));
    let attributes = colonies.attributes();
    let out = Attribute::new(&process, AttributeKind::Out, "result", "1");
    attributes.add(std::slice::from_ref(&out)).unwrap();
    exists(attributes.add(std::slice::from_ref(&out)));
    attributes.set_value(&out.id, "2").unwrap();
    assert_eq!(attributes.get(&out.id).unwrap().unwrap().value, "2");
    let found = attributes
        .of_key(&process.id, "result", AttributeKind::Out)
        .unwrap();
    assert_eq!(found.unwrap().id, out.id);
    assert!(
        attributes
            .of_key(&process.id, "result", AttributeKind::In)
            .unwrap()
            .is_none()
    );
    assert_eq!(
        attributes
            .find(Of::Colony("dev", Some(State::Waiting)))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        attributes
            .remove_all(Of::ColonyGraphs("dev", None))
            .unwrap(),
        0
    );
    assert_eq!(
        attributes.remove_all(Of::ColonyAlone("dev", None)).unwrap(),
        1
    );
    missing(attributes.remove(&out.id));
}

#[test]
fn logs_are_read_by_process_by_executor_and_by_text() {
    let (colonies, clock) = colonies();
    for at in 0..10 {
        clock.advance(1_000_000);
        let log = Log {
            process_id: format!("p{}", at % 2),
            colony: "dev".into(),
            executor: "ann".into(),
            message: format!("100% of step {at} (a.b)"),
            time_ns: at,
        };
        colonies.logs().add(&log).unwrap();
    }
    let times = |whose, part| {
        let logs = colonies.logs().get(whose, part, 2).unwrap();
        logs.iter().map(|log| log.time_ns).collect::<Vec<_>>()
    };
    assert_eq!(times(Whose::Process("p1"), Part::First), [1, 3]);
    assert_eq!(times(Whose::Process("p1"), Part::After(5)), [7, 9]);
    assert_eq!(times(Whose::Executor("ann"), Part::Last), [8, 9]);
    let found = |text, since| {
        let since = Timestamp(NOW.0 + since);
        colonies
            .logs()
            .search("dev", text, since, 100)
            .unwrap()
            .len()
    };
    assert_eq!(found("100% of", 0), 10);
    assert_eq!(found("step 3 (a.b)", 0), 1);
    assert_eq!(found("a_b", 0), 0);
    assert_eq!(found("100%", 8_000_000), 2);
    // What is sought is what it is, whatever is in it.
    let signs: String = (' '..='~').chain("\n\t\\å".chars()).collect();
    let message = format!("all of {signs}");
    let log = Log {
        colony: "dev".into(),
        message,
        ..Log::default()
    };
    colonies.logs().add(&log).unwrap();
    for sign in signs.chars().filter(|sign| !sign.is_alphanumeric()) {
        let logs = colonies
            .logs()
            .search("dev", &format!("{sign}"), NOW, 100)
            .unwrap();
        let all = logs.iter().all(|log| log.message.contains(sign));
        assert!(all && logs.contains(&log), "{sign:?} finds {logs:?}");
    }
    assert_eq!(found(&signs, 0), 1);
    assert_eq!(colonies.logs().count("dev").unwrap(), 11);
    assert_eq!(colonies.logs().remove_all("dev").unwrap(), 11);
}

fn file(label: &str, name: &str) -> File {
    File {
        id: velocitydb_colonies::new_id(),
        colony: "dev".into(),
        label: label.into(),
        name: name.into(),
        ..File::default()
    }
}

#[test]
fn files_have_versions_and_snapshots_keep_the_latest() {
    let (colonies, _) = colonies();
    let files = colonies.files();
    let mut all = [
        file("/data", "a"),
        file("/data", "a"),
        file("/data/in", "b"),
        file("/database", "c"),
    ];
    for file in &mut all {
        files.add(file).unwrap();
    }
    assert_eq!(files.latest("dev", "/data", "a").unwrap().unwrap(), all[1]);
    assert_eq!(files.versions("dev", "/data", "a").unwrap().len(), 2);
    assert_eq!(files.under("dev", "/data").unwrap(), [all[1].clone()]);
    let labels = |labels: Vec<velocitydb_colonies::Label>| {
        let each = labels
            .into_iter()
            .map(|label| format!("{} {}", label.name, label.files));
        each.collect::<Vec<_>>()
    };
    assert_eq!(
        labels(files.labels("dev", None).unwrap()),
        ["/data 2", "/data/in 1", "/database 1"]
    );
    assert_eq!(
        labels(files.labels_within("dev", "/data").unwrap()),
        ["/data 2", "/data/in 1"]
    );
    let snapshot = colonies
        .snapshots()
        .create("dev", "/data/", "first")
        .unwrap();
    assert_eq!(snapshot.file_ids, [all[1].id.clone(), all[2].id.clone()]);
    exists(colonies.snapshots().create("dev", "/data", "first"));
    missing(colonies.snapshots().create("dev", "/none", "second"));
    assert_eq!(
        colonies
            .snapshots()
            .by_name("dev", "first")
            .unwrap()
            .unwrap(),
        snapshot
    );
    assert_eq!(colonies.snapshots().in_colony("dev").unwrap(), [snapshot]);
    colonies.snapshots().remove_by_name("dev", "first").unwrap();
    assert_eq!(files.remove_versions("dev", "/data", "a").unwrap(), 2);
    files.remove("dev", &all[2].id).unwrap();
    assert_eq!(files.count("dev", None).unwrap(), 1);
}

#[test]
fn blueprints_are_kept_with_their_history() {
    let (colonies, clock) = colonies();
    let blueprints = colonies.blueprints();
    let blueprint = |id: &str, name: &str, place: &str| Blueprint {
        json: json!({
            "blueprintid": id, "kind": "Deployment", "spec": {"replicas": 1},
            "metadata": {"name": name, "colonyname": "dev", "locationname": place},
        }),
    };
    blueprints.add(&blueprint("b1", "one", "Luleå")).unwrap();
    blueprints.add(&blueprint("b2", "two", "")).unwrap();
    exists(blueprints.add(&blueprint("b3", "one", "")));
    exists(blueprints.update(&blueprint("b2", "one", "")));
    let which = Which {
        colony: Some("dev"),
        kind: Some("Deployment"),
        place_or_group: Some("LULEÅ"),
    };
    assert_eq!(blueprints.find(which).unwrap()[0].id(), "b1");
    let status = json!({"ready": true});
    blueprints
        .set_status("b1", status.as_object().unwrap())
        .unwrap();
    let found = blueprints.by_name("dev", "one").unwrap().unwrap();
    assert_eq!(
        (&found.json["status"], &found.json["spec"]["replicas"]),
        (&status, &json!(1))
    );
    missing(blueprints.set_status("none", status.as_object().unwrap()));
    let definition = BlueprintDefinition {
        json: json!({
            "blueprintdefinitionid": "d1", "metadata": {"name": "deployments", "colonyname": "dev"},
            "spec": {"group": "compute", "version": "v1", "names": {"kind": "Deployment"}},
        }),
    };
    blueprints.define(&definition).unwrap();
    let which = Which {
        place_or_group: Some("compute"),
        ..Which::default()
    };
    assert_eq!(blueprints.definitions(which).unwrap(), [definition]);
    for generation in 1..=3 {
        clock.advance(1);
        let version = BlueprintVersion {
            id: format!("h{generation}"),
            blueprint_id: "b1".into(),
            generation,
            time: Some(Timestamp(NOW.0 + generation)),
            spec: "{}".into(),
            ..BlueprintVersion::default()
        };
        blueprints.add_version(&version).unwrap();
    }
    let history = blueprints.history("b1", 2).unwrap();
    assert_eq!(
        history.iter().map(|it| it.generation).collect::<Vec<_>>(),
        [3, 2]
    );
    assert_eq!(blueprints.version("b1", 1).unwrap().unwrap().id, "h1");
    assert_eq!(blueprints.remove_history("b1").unwrap(), 3);
}

#[test]
fn identities_change_and_the_server_has_one() {
    let (colonies, _) = colonies();
    colony(&colonies, "dev");
    colonies.users().add(&user("ann")).unwrap();
    colonies.executors().add(&registered("bo")).unwrap();
    let security = colonies.security();
    assert_eq!(security.server_id().unwrap(), None);
    security.set_server_id("", "s1").unwrap();
    security.set_server_id("s1", "s2").unwrap();
    missing(security.set_server_id("s1", "s3"));
    assert_eq!(security.server_id().unwrap().as_deref(), Some("s2"));
    security
        .change_colony_id("dev", "id of dev", "new")
        .unwrap();
    missing(security.change_colony_id("dev", "id of dev", "newer"));
    security.change_user_id("dev", "id of ann", "new").unwrap();
    security
        .change_executor_id("dev", "id of bo", "new")
        .unwrap();
    assert_eq!(
        colonies.users().by_id("dev", "new").unwrap().unwrap().name,
        "ann"
    );
    assert_eq!(
        colonies.executors().by_id("new").unwrap().unwrap().name,
        "bo"
    );
}

#[test]
fn places_are_kept() {
    let (colonies, _) = colonies();
    let place = Location {
        colony: "dev".into(),
        id: "l1".into(),
        name: "Luleå".into(),
        description: "North".into(),
        long: 22.15,
        lat: 65.58,
    };
    colonies.locations().add(&place).unwrap();
    exists(colonies.locations().add(&place));
    assert_eq!(
        colonies.locations().get("dev", "Luleå").unwrap().unwrap(),
        place
    );
    assert_eq!(colonies.locations().by_id("l1").unwrap().unwrap(), place);
    colonies.locations().remove_by_id("l1").unwrap();
    assert!(colonies.locations().in_colony("dev").unwrap().is_empty());
}

#[test]
fn a_colony_goes_with_all_that_belongs_to_it() {
    let (colonies, _) = colonies();
    colony(&colonies, "dev");
    colony(&colonies, "prod");
    colonies.users().add(&user("ann")).unwrap();
    crate::graphs::chain(&colonies);
    let mut other = spec("echo");
    other.conditions.colony = "prod".into();
    submit(&colonies, other);
    colonies.files().add(&mut file("/", "a")).unwrap();
    let version = BlueprintVersion {
        id: "h".into(),
        blueprint_id: "b".into(),
        colony: "dev".into(),
        ..BlueprintVersion::default()
    };
    colonies.blueprints().add_version(&version).unwrap();
    colonies.colonies().remove("dev").unwrap();
    assert!(colonies.blueprints().history("b", 1).unwrap().is_empty());
    missing(colonies.colonies().remove("dev"));
    assert!(colonies.users().in_colony("dev").unwrap().is_empty());
    assert_eq!(colonies.processes().count(Find::all()).unwrap(), 1);
    assert_eq!(colonies.graphs().count(None, None).unwrap(), 0);
    assert_eq!(colonies.files().count("dev", None).unwrap(), 0);
}

#[test]
fn what_is_old_and_done_goes() {
    let (colonies, clock) = colonies();
    let mut noted = spec("echo");
    noted.env.insert("KEY".into(), "value".into());
    for _ in 0..3 {
        submit(&colonies, noted.clone());
    }
    let processes = colonies.processes();
    let done = processes.assign(&executor("ann")).unwrap().unwrap();
    processes
        .succeed(&done.id, velocitydb_colonies::By::Anyone, &[])
        .unwrap();
    let failed = processes.assign(&executor("ann")).unwrap().unwrap();
    processes
        .fail(&failed.id, velocitydb_colonies::By::Anyone, &[])
        .unwrap();
    clock.advance(10_000_000);
    let age = Duration::from_secs(11);
    assert_eq!(
        colonies.apply_retention(age, &[State::Successful]).unwrap(),
        Default::default()
    );
    let removed = colonies
        .apply_retention(age / 2, &[State::Successful])
        .unwrap();
    assert_eq!((removed.processes, removed.attributes), (1, 1));
    let removed = colonies
        .apply_retention(age / 2, &[State::Successful, State::Failed])
        .unwrap();
    assert_eq!((removed.processes, removed.attributes), (1, 1));
    assert_eq!(processes.count(Find::all()).unwrap(), 1);
}
