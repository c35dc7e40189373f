//! Tools of the repository, run as `cargo xtask <command>`.
//!
//! `check` says whether a change is ready and never writes; `fix` repairs what a program can
//! repair; `tidy` alone checks the rules that no standard tool knows. Tests are not run here:
//! that is `cargo test --workspace`.

mod commands;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

  check   formatting, lints, documentation and tidy; never writes
  fix     formats, and applies what the lints can repair
  tidy    the rules of the house: dependencies, module heads, lengths, references in documents";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["check"] => commands::check(root()),
        ["fix"] => commands::fix(root()),
        ["tidy"] => tidy::run(root()),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository, one level above this crate. Asked of cargo at run time: with a
/// shared target directory the program may have been compiled in another checkout.
fn root() -> PathBuf {
    let compiled = || env!("CARGO_MANIFEST_DIR").into();
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(compiled);
    Path::new(&manifest)
        .parent()
        .expect("this crate lies in a directory of the repository")
        .to_owned()
}
