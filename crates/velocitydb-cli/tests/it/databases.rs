//! `--database`: the commands with several databases, and a backup of all of them.

use crate::process::{Served, velocitydb, velocitydb_with_input};

/// A directory, made by the shell, with a database beside `velocity` whose name is not plain.
fn made(dir: &std::path::Path) -> String {
    let data = dir.join("data").to_str().unwrap().to_owned();
    let script = r#"
create tasks
put tasks t1 {"of": "velocity"}
create database "my shop"
create database empty
\c "my shop"
create tasks {"schema": {"openness": "open", "fields": [{"name": "n", "type": "int"}]}}
put tasks t1 {"n": 1}
put tasks t2 {"n": 2}
\c postgres
create notes
"#;
    velocitydb_with_input(&["shell", "--data", &data], script.as_bytes()).succeeds();
    data
}

#[test]
fn a_backup_of_all_databases_comes_back_in_a_new_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = made(dir.path());
    let file = dir.path().join("all.ndjson.zst");
    let (file, copy) = (file.to_str().unwrap(), dir.path().join("copy"));
    let copy = copy.to_str().unwrap();
    let export = |at: &[&str]| velocitydb(&[&["export"], at].concat()).succeeds();
    let said = export(&["--all-databases", "--out", file, "--data", &data]);
    let first =
        "Exported 3 documents of 3 collections of 4 databases.\n  velocity/tasks: data digest ";
    assert!(said.starts_with(first), "{said}");
    assert!(said.contains("\n  my shop/tasks: data digest "), "{said}");
    let said = velocitydb(&["import", file, "--data", copy]).succeeds();
    assert!(said.starts_with("Imported 1 row into tasks in "), "{said}");
    assert!(
        said.contains("\nImported 2 rows into my shop/tasks in "),
        "{said}"
    );
    let text = |data: &str| export(&["--all-databases", "--data", data]);
    assert_eq!(text(copy), text(&data));
    assert_eq!(text(copy).matches("\"database\":").count(), 4);

    let checked = velocitydb(&["check", copy]).succeeds();
    assert!(checked.ends_with("Everything is whole.\n"), "{checked}");

    // The same of a server.
    let served = Served::start(&["--data", copy]);
    let url = format!("http://{}", served.address);
    assert_eq!(export(&["--all-databases", "--url", &url]), text(&data));
    drop(served);

    // Nothing is mixed with what is there, unless that is asked for.
    let (error, _) = velocitydb(&["import", file, "--data", copy]).fails(1);
    assert!(
        error.contains("the collection tasks exists already"),
        "{error}"
    );
    velocitydb(&["import", file, "--data", copy, "--upsert"]).succeeds();
    let into = ["import", file, "--data", copy, "--database", "empty"];
    let (error, _) = velocitydb(&into).fails(2);
    assert!(error.contains("leave out --database"), "{error}");
    let plain = ["export", "--all-databases", "--plain", "--data", copy];
    velocitydb(&plain).fails(2);
}

#[test]
fn one_database_is_exported_imported_and_given_a_schema() {
    let dir = tempfile::tempdir().unwrap();
    let data = made(dir.path());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (file, rows, schema) = (path("shop.ndjson"), path("rows.csv"), path("shop.yaml"));
    std::fs::write(&rows, "id,n\na,1\n").unwrap();
    std::fs::write(&schema, "name: shop\nversion: 1\ncollections: {orders: }\n").unwrap();
    let served = Served::start(&["--mode", "memory-only"]);
    let url = format!("http://{}", served.address);
    velocitydb(&["shell", "--url", &url, "-c", "create database \"my shop\""]).succeeds();
    velocitydb(&["shell", "--url", &url, "-c", "create left"]).succeeds();

    for at in [["--data", &data], ["--url", &url]] {
        let run = |arguments: &[&str]| velocitydb(&[arguments, &at].concat());
        let of = ["--database", "my shop"];
        let load = ["schema", "load", &schema];
        run(&[&load[..], &of].concat()).succeeds();
        let listed = run(&[&["schema", "list"], &of[..]].concat()).succeeds();
        assert!(listed.starts_with("shop, version 1, "), "{listed}");
        assert_eq!(run(&["schema", "list"]).succeeds(), "");
        let count = run(&["shell", "--database", "my shop", "-c", "count orders"]);
        assert_eq!(count.succeeds(), "0 documents\n");

        // What is left out is said.
        let export = ["export", "--all", "--out", &file];
        let ended = run(&[&export[..], &of].concat());
        let (error, _) = ended.fails(0);
        assert!(error.contains("--all-databases exports all"), "{error}");
        assert!(error.contains("1 collection of velocity"), "{error}");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("\"name\":\"orders\""), "{text}");
        let of_velocity = run(&["export", "--all"]).succeeds();
        assert!(
            !of_velocity.contains("\"name\":\"orders\""),
            "{of_velocity}"
        );

        for command in [
            &["export", "--all"][..],
            &["schema", "list"],
            &["shell", "-c", "count x"],
        ] {
            let (error, _) = run(&[command, &["--database", "none"]].concat()).fails(1);
            let what = "there is no database \"none\": there are velocity, postgres, my shop";
            assert!(error.contains(what), "{error}");
        }
    }

    // A file of one database goes where it is told.
    let import = |more: &[&str]| velocitydb(&[&["import"], more].concat());
    let into = ["--database", "empty", "--data", &data];
    let said = import(&[&[&file[..]], &into[..]].concat()).succeeds();
    assert!(said.contains("into empty/orders in "), "{said}");
    let csv = [&rows[..], "--collection", "rows", "--id", "id"];
    let said = import(&[&csv[..], &into].concat()).succeeds();
    assert!(said.contains("Imported 1 row into "), "{said}");
    let count = [
        "shell",
        "--data",
        &data,
        "--database",
        "empty",
        "-c",
        "count rows",
    ];
    assert_eq!(velocitydb(&count).succeeds(), "1 document\n");

    // A directory that is not there is not made for a database that cannot be in it.
    let nowhere = path("nowhere");
    for file in [&csv[..], &[&file[..]]] {
        let missing = ["--database", "none", "--data", &nowhere];
        let (error, _) = import(&[file, &missing].concat()).fails(1);
        assert!(error.contains("there are velocity, postgres"), "{error}");
        assert!(!dir.path().join("nowhere").exists());
    }
}

#[test]
fn status_and_top_show_the_collections_of_all_or_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = made(dir.path());
    let served = Served::start(&["--data", &data]);
    let url = format!("http://{}", served.address);
    for command in [&["status"][..], &["top", "--once"]] {
        let run = |more: &[&str]| velocitydb(&[command, &["--url", &url], more].concat());
        let all = run(&[]).succeeds();
        for name in [" tasks", "my shop/tasks", "postgres/notes"] {
            assert!(all.replace('\n', " ").contains(name), "{name}: {all}");
        }
        let one = run(&["--database", "my shop"]).succeeds();
        assert!(one.contains("my shop/tasks"), "{one}");
        assert!(!one.contains("postgres/notes"), "{one}");
        run(&["--database", "none"]).fails(1);
    }
}
