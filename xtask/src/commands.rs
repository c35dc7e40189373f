//! `check` and `fix`: the standard tools, called the way CI calls them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tidy;

/// Runs every check, also after one has failed, so that one run names all that is wrong.
///
/// # Errors
/// Names the checks that failed; what they found is already on the terminal.
pub fn check(root: PathBuf) -> Result<(), String> {
    let steps: [(&str, Step); 4] = [
        ("format", |root| cargo(root, &["fmt", "--all", "--check"])),
        ("lints", |root| {
            cargo(
                root,
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ],
            )
        }),
        ("documentation", |root| {
            let mut command = cargo_command(root, &["doc", "--workspace", "--no-deps"]);
            run(command.env("RUSTDOCFLAGS", "-D warnings"))
        }),
        ("tidy", |root| tidy::run(root.to_owned())),
    ];
    let mut failed = Vec::new();
    for (name, step) in steps {
        eprintln!("==> {name}");
        if let Err(message) = step(&root) {
            eprintln!("{message}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")))
    }
}

/// Applies what the lints can repair, formats, and writes the reference.
///
/// # Errors
/// The command that failed.
pub fn fix(root: PathBuf) -> Result<(), String> {
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--fix",
        "--allow-dirty",
    ];
    cargo(&root, &[&lints[..], &["--allow-staged"]].concat())?;
    cargo(&root, &["fmt", "--all"])?;
    let program = ["run", "--quiet", "--package", "velocitydb-cli", "--"];
    let mut command = cargo_command(&root, &program);
    let said = command.arg("configuration-reference").output();
    let said = said.map_err(|error| format!("{command:?}: {error}"))?;
    if !said.status.success() {
        return Err(format!("{command:?}: {}", said.status));
    }
    let reference = root.join("docs/reference/configuration.md");
    std::fs::write(&reference, said.stdout)
        .map_err(|error| format!("{}: {error}", reference.display()))
}

type Step = fn(&Path) -> Result<(), String>;

fn cargo(root: &Path, arguments: &[&str]) -> Result<(), String> {
    run(&mut cargo_command(root, arguments))
}

/// The cargo that runs this program, at the root of the repository.
pub fn cargo_command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root);
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}"))
    }
}
