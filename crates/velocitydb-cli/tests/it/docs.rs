//! The examples of docs/operating, run as they are printed.
//!
//! A block marked `file=NAME` is written to that file. In a block marked `console` a line that
//! begins with `$ ` is run, and what follows is what it must say, where `…` stands for anything.
//! `velocitydb serve` runs until the next one, or the end, on a port of its own; `curl` goes to
//! it, and so do the commands that ask a server. The id of a transaction stands for that of the one
//! begun last. Quotes are `'`, and `< FILE` is standard input.
//! All commands of one document share a directory.

use std::path::{Path, PathBuf};

use crate::http::Request;
use crate::process::{Served, command_in};

/// The address in the documents, which is the default.
const PRINTED: &str = "127.0.0.1:7480";

/// The id of a transaction in the documents.
const TRANSACTION: &str = "3f0c9a5e17d24b68a1c2e4f60718293a";

/// A block of code: its mark and its lines.
struct Block<'a> {
    mark: &'a str,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut open) = (Vec::new(), None::<Block<'_>>);
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(mark), None) => {
                open = Some(Block {
                    mark,
                    lines: Vec::new(),
                })
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that does not end");
    blocks
}

/// Whether a text is as the pattern says, in which `…` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// Runs one command line and gives all that it says.
fn run(line: &str, dir: &Path, served: &mut Option<Served>, transaction: &mut String) -> String {
    let words = words(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match &words[..] {
        ["curl", ..] => {
            let address = &served.as_ref().expect("a server before curl").address;
            let line = line.replace(PRINTED, address);
            let said = Request::from_curl(&line.replace(TRANSACTION, transaction))
                .send()
                .body;
            if line.ends_with("/v1/transactions") {
                let id = said.strip_prefix("{\"id\":\"").unwrap();
                *transaction = id[..TRANSACTION.len()].to_owned();
            }
            match transaction.is_empty() {
                true => said,
                false => said.replace(&*transaction, TRANSACTION),
            }
        }
        ["velocitydb", "serve", arguments @ ..] => {
            // One that starts gets a free port; one that is refused is just run.
            if let Some(before) = served.take() {
                before.stop();
            }
            let refused = arguments.contains(&"--http") || arguments.contains(&"wrong.yaml");
            if refused {
                return finished(&words[1..], dir, None);
            }
            let started = Served::start_in(dir, arguments);
            let said = started.said.replace(&started.address, PRINTED);
            *served = Some(started);
            said
        }
        ["velocitydb", arguments @ ..] => finished(arguments, dir, served.as_ref()),
        _ => panic!("an example of another program: {line}"),
    }
}

/// The words of a command line; what stands in `'` is one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

fn finished(arguments: &[&str], dir: &Path, served: Option<&Served>) -> String {
    let (arguments, input) = match arguments {
        [arguments @ .., "<", file] => (arguments, Some(file)),
        arguments => (arguments, None),
    };
    let mut command = command_in(dir, arguments);
    if let Some(served) = served {
        command.env("VELOCITYDB_URL", format!("http://{}", served.address));
    }
    if let Some(file) = input {
        command.stdin(std::fs::File::open(dir.join(file)).unwrap());
    }
    let output = command.output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn check(name: &str) {
    let path: PathBuf = [
        &*std::env::var("CARGO_MANIFEST_DIR").unwrap(),
        "../../docs",
        name,
    ]
    .iter()
    .collect();
    let text = std::fs::read_to_string(&path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut served, mut count, mut transaction) = (None, 0, String::new());
    for block in blocks(&text) {
        if let Some((_, file)) = block.mark.split_once("file=") {
            std::fs::write(dir.path().join(file), block.lines.join("\n") + "\n").unwrap();
            continue;
        }
        assert_eq!(block.mark, "console", "{name}: a block that is not run");
        for part in block.lines.join("\n").split("$ ").skip(1) {
            let (line, expected) = part.split_once('\n').unwrap_or((part, ""));
            let said = run(line, dir.path(), &mut served, &mut transaction);
            let (expected, said) = (expected.trim_end(), said.trim_end());
            assert!(
                fits(expected, said),
                "{name}: {line}\nexpected:\n{expected}\n\nfound:\n{said}"
            );
            count += 1;
        }
    }
    assert!(count > 0, "{name} has no example");
    if let Some(served) = served {
        served.stop();
    }
}

#[test]
fn the_examples_about_serving_do_what_they_say() {
    check("operating/serve.md");
}

#[test]
fn the_examples_about_http_do_what_they_say() {
    check("operating/http.md");
}

#[test]
fn the_examples_about_searching_do_what_they_say() {
    check("operating/search.md");
}

#[test]
fn the_examples_about_time_to_live_do_what_they_say() {
    check("time-to-live.md");
}

#[test]
fn the_examples_about_changes_do_what_they_say() {
    check("changes.md");
}

#[test]
fn the_examples_about_importing_do_what_they_say() {
    check("operating/import.md");
}

#[test]
fn the_examples_about_exporting_do_what_they_say() {
    check("operating/export.md");
}

#[test]
fn the_examples_about_schema_files_do_what_they_say() {
    check("operating/schema.md");
}

#[test]
fn the_examples_about_checking_do_what_they_say() {
    check("operating/check-and-repair.md");
}

#[test]
fn the_examples_about_the_shell_do_what_they_say() {
    check("operating/shell.md");
}

#[test]
fn patterns_are_compared() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "ab", true),
        ("…b", "ab", true),
        ("a…b…c", "a1b2c", true),
        ("a…b", "a", false),
        ("a…a", "a", false),
        ("a…c…b", "a1b", false),
        ("…", "", true),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}
