//! Hands to the program what it was built from and for: the target, the profile, the commit.
//!
//! The commit is `VELOCITYDB_COMMIT` where a build sets it, else asked of git, else left out.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=VELOCITYDB_COMMIT");
    // Only a head that exists: a path that does not would make every build run this again.
    for head in ["../../.git/HEAD", "../../.git/logs/HEAD"] {
        if Path::new(head).exists() {
            println!("cargo::rerun-if-changed={head}");
        }
    }
    let commit = std::env::var("VELOCITYDB_COMMIT").ok().or_else(git_commit);
    println!(
        "cargo::rustc-env=VELOCITYDB_COMMIT={}",
        commit.map_or_else(
            || "commit unknown".to_owned(),
            |commit| format!("commit {commit}")
        )
    );
    for name in ["TARGET", "PROFILE"] {
        let value = std::env::var(name).unwrap_or_default();
        println!("cargo::rustc-env=VELOCITYDB_{name}={value}");
    }
}

fn git_commit() -> Option<String> {
    let asked = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(asked.stdout).ok()?.trim().to_owned();
    (asked.status.success() && !commit.is_empty()).then_some(commit)
}
