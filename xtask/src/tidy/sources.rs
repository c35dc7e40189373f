//! Rules of source files: the module head, the length, marks of unfinished work.
//!
//! Tests: below.

use super::{File, Finding, Repository};

/// Lines that one Rust file may have.
const LINES_MAX: usize = 700;

/// Words that say that work is unfinished, in two parts so that this file may spell them.
const MARKS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
];

/// Every finding in the sources of the repository.
pub fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &repository.files {
        if file.path.ends_with(".rs") {
            findings.extend(head(file));
            findings.extend(length(file));
        }
        if !file.path.ends_with(".md") {
            findings.extend(marks(file));
        }
    }
    findings
}

/// The first line of a file says what the module is.
fn head(file: &File) -> Option<Finding> {
    let says = file
        .text
        .strip_prefix("//!")
        .and_then(|rest| rest.lines().next());
    if says.is_some_and(|line| !line.trim().is_empty()) {
        return None;
    }
    Some(file.finding(
        1,
        "module-head",
        "begin the file with a `//!` line saying what it is",
    ))
}

fn length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    (lines > LINES_MAX).then(|| {
        let message = format!("{lines} lines, at most {LINES_MAX}: split it by what it does");
        file.finding(0, "length", message)
    })
}

/// Unfinished work names the issue where it is tracked, as in `#123`, on its own line.
fn marks(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let Some(mark) = MARKS.iter().find(|mark| has_word(line, mark)) else {
            continue;
        };
        if !has_reference(line) {
            let message = format!("{mark} without a reference such as #123");
            findings.push(file.finding(index + 1, "unfinished", message));
        }
    }
    findings
}

/// Whether `word` stands in `line` on its own, not as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn has_reference(line: &str) -> bool {
    line.split('#')
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{places, repository};
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        places(&check(&repository(&[(path, text)])))
    }

    #[test]
    fn a_file_begins_with_its_head() {
        assert!(found("a.rs", "//! What it is.\n\nfn f() {}\n").is_empty());
        assert_eq!(found("a.rs", "fn f() {}\n"), ["a.rs:1 module-head"]);
        assert_eq!(found("a.rs", "\n//! Late.\n"), ["a.rs:1 module-head"]);
        assert_eq!(found("a.rs", "//!\n//! Late.\n"), ["a.rs:1 module-head"]);
        assert_eq!(found("a.rs", ""), ["a.rs:1 module-head"]);
        assert!(found("a.toml", "[package]\n").is_empty());
    }

    #[test]
    fn a_file_has_at_most_700_lines() {
        let lines = |count: usize| format!("//! Head.\n{}", "\n".repeat(count - 1));
        assert!(found("a.rs", &lines(700)).is_empty());
        assert_eq!(found("a.rs", &lines(701)), ["a.rs:0 length"]);
        assert!(found("a.toml", &lines(701)).is_empty());
    }

    #[test]
    fn unfinished_work_has_a_reference() {
        for mark in MARKS {
            assert_eq!(
                found("a.rs", &format!("//! H\n// {mark}: x\n")),
                ["a.rs:2 unfinished"]
            );
            assert_eq!(
                found("a.toml", &format!("# {mark}: x\n")),
                ["a.toml:1 unfinished"]
            );
            assert_eq!(
                found(".ci/run", &format!("# {mark}\n")),
                [".ci/run:1 unfinished"]
            );
            assert!(found("a.rs", &format!("//! H\n// {mark} #12: x\n")).is_empty());
            assert!(found("a.rs", &format!("//! H\nlet {mark}S = MY_{mark};\n")).is_empty());
            assert!(found("a.md", mark).is_empty());
        }
    }
}
