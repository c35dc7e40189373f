//! Every command that opens a data directory, with `--encryption-key-file`.

use std::path::Path;

use crate::process::{Served, velocitydb};

/// What no file may show.
const SECRET: &[u8] = b"the treasure is under the oak";

fn shows_secret(dir: &Path) -> bool {
    let shows = |path: &Path| {
        let content = std::fs::read(path).unwrap();
        content.windows(SECRET.len()).any(|bytes| bytes == SECRET)
    };
    ["wal", "checkpoints"].iter().any(|part| {
        let mut files = std::fs::read_dir(dir.join(part)).unwrap();
        files.any(|file| shows(&file.unwrap().path()))
    })
}

#[test]
fn each_command_takes_the_key_and_refuses_to_go_without() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, rows, key, other) = (path("data"), path("rows.csv"), path("key"), path("other"));
    let text = format!("id,text\n1,{}\n", str::from_utf8(SECRET).unwrap());
    std::fs::write(&rows, text).unwrap();
    std::fs::write(&key, [1; 32]).unwrap();
    std::fs::write(&other, "02".repeat(32) + "\n").unwrap();
    let into = [
        "import", &rows, "--into", "notes", "--id", "id", "--data", &data,
    ];
    let with = |arguments: &[&str], key: &str| {
        let mut all = arguments.to_vec();
        all.extend(["--encryption-key-file", key]);
        velocitydb(&all)
    };
    with(&into, &key).succeeds();
    assert!(!shows_secret(Path::new(&data)));

    let export = ["export", "--all", "--data", &data];
    let shell = [
        "shell",
        "--data",
        &data,
        "--no-history",
        "-c",
        "count notes",
    ];
    let (check, repair) = (["check", &data], ["repair", &data]);
    for arguments in [&export[..], &shell, &check, &repair] {
        let (said, _) = velocitydb(arguments).fails(1);
        assert!(
            said.contains("and no key was given"),
            "{arguments:?}: {said}"
        );
        assert!(
            said.contains("--encryption-key-file"),
            "{arguments:?}: {said}"
        );
        let (said, _) = with(arguments, &other).fails(1);
        assert!(said.contains("the key given is"), "{arguments:?}: {said}");
        with(arguments, &key).succeeds();
    }
    assert!(with(&export, &key).succeeds().contains("treasure"));

    std::fs::write(&other, "too short").unwrap();
    let (said, _) = with(&check, &other).fails(1);
    assert!(said.contains("head -c 32 /dev/urandom"), "{said}");
    let previous = ["check", &data, "--encryption-previous-key-file", &key];
    let (said, _) = velocitydb(&previous).fails(2);
    assert!(said.contains("needs --encryption-key-file"), "{said}");
}

#[test]
fn a_server_brings_its_directory_under_a_new_key_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, rows) = (path("data"), path("rows.csv"));
    let text = format!("id,text\n1,{}\n", str::from_utf8(SECRET).unwrap());
    std::fs::write(&rows, text).unwrap();
    let into = [
        "import", &rows, "--into", "notes", "--id", "id", "--data", &data,
    ];
    velocitydb(&into).succeeds();
    let keys: Vec<_> = (1..=3)
        .map(|number| path(&format!("key{number}")))
        .collect();
    for (number, key) in (1..).zip(&keys) {
        std::fs::write(key, [number; 32]).unwrap();
    }
    // From plain to the first key, and twice to another; the last ends without warning.
    let mut previous: Option<&str> = None;
    for key in &keys {
        let mut arguments = vec!["--data", &data, "--encryption-key-file", key];
        arguments.extend(
            previous
                .into_iter()
                .flat_map(|previous| ["--encryption-previous-key-file", previous]),
        );
        let mut served = Served::start(&arguments);
        let said = served.logs_until("the previous one is not needed any more");
        assert!(said.contains("encrypting with the present key"), "{said}");
        let url = format!("http://{}", served.address);
        let status = velocitydb(&["status", "--url", &url]).succeeds();
        let line = "encryption   all files are under the present key\n";
        assert!(status.contains(line), "{status}");
        served.kill();
        previous = Some(key);
    }
    assert!(!shows_secret(Path::new(&data)));
    let count = [
        "shell",
        "--data",
        &data,
        "--no-history",
        "-c",
        "count notes",
        "--encryption-key-file",
        &keys[2],
    ];
    assert!(velocitydb(&count).succeeds().starts_with("1 document"));
}
