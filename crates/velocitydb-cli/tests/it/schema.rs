//! `velocitydb schema`: files into directories and servers.

use crate::process::{Served, velocitydb};

const FIRST: &str = "\
name: shop
version: 1
collections:
  orders:
    fields:
      no: {type: string}
      color: {type: string}
";

const SECOND: &str = "\
name: shop
version: 2
collections:
  orders:
    fields:
      number: {type: string, required: true}
    renamed: {no: number}
    dropped: [color]
  returns:
";

const PLAN: &str = "schema shop: version 1 to 2\n  create returns\n  \
    alter orders: rename no to number, require number, drop field color\n";

#[test]
fn a_file_is_loaded_into_a_directory_and_into_a_server_alike() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (first, second) = (file("1.yaml", FIRST), file("2.yaml", SECOND));
    let data = dir.path().join("data").to_str().unwrap().to_owned();
    let served = Served::start(&["--mode", "memory-only"]);
    let url = format!("http://{}", served.address);
    for at in [["--data", &data], ["--url", &url]] {
        let schema = |arguments: &[&str]| {
            let arguments = [&["schema"], arguments, &at].concat();
            velocitydb(&arguments)
        };
        let made = schema(&["load", &first]).succeeds();
        assert_eq!(made, "schema shop: version 1, the first\n  create orders\n");
        let planned = schema(&["load", &second, "--dry-run"]).succeeds();
        let note = "Nothing was changed: this is what loading it would do.\n";
        assert_eq!(planned, format!("{PLAN}{note}"));
        let listed = schema(&["list"]).succeeds();
        assert!(listed.starts_with("shop, version 1, loaded 20"), "{listed}");
        assert_eq!(schema(&["load", &second]).succeeds(), PLAN);
        let again = schema(&["load", &second]).succeeds();
        assert_eq!(again, "schema shop: version 2 is loaded, nothing to do\n");
        let (error, _) = schema(&["load", &first]).fails(1);
        assert!(
            error.contains("version 2 is loaded, which is newer than 1"),
            "{error}"
        );
        for arguments in [&["show"][..], &["show", "shop"]] {
            let shown = schema(arguments).succeeds();
            let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(
                (&shown["name"], &shown["version"]),
                (&"shop".into(), &2.into())
            );
        }
        schema(&["show", "other"]).fails(1);
        let wrong = file("3.yaml", &SECOND.replace("required", "requird"));
        let (error, _) = schema(&["load", &wrong]).fails(2);
        let place = "3.yaml, line 6, column 30: collections.orders.fields.number: there is no key \
                     `requird`; did you mean `required`?";
        assert!(error.contains(place), "{error}");
    }
    served.stop();
}

#[test]
fn the_tables_of_colonyos_are_loaded_by_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").to_str().unwrap().to_owned();
    let load =
        |arguments: &[&str]| velocitydb(&[&["schema", "load", "colonies"], arguments].concat());
    let (error, _) = load(&[]).fails(2);
    assert!(error.contains("give --data"), "{error}");
    let planned = load(&["--data", &data, "--dry-run"]).succeeds();
    assert!(planned.contains("create prod_processes"), "{planned}");
    let made = load(&["--data", &data, "--prefix", "TEST_"]).succeeds();
    assert!(made.contains("create test_processes"), "{made}");
    let again = load(&["--data", &data, "--prefix", "test_"]).succeeds();
    assert_eq!(
        again,
        "schema colonies: version 1 is loaded, nothing to do\n"
    );
}
