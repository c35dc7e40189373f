//! Every command that opens a data directory, with `--encryption-key-file`.

use std::path::Path;

use crate::process::velocitydb;

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
