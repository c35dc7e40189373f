//! Rules of documents: what they point at exists.
//!
//! Checked in every `*.md`: the targets of relative links, and words in backticks that look like
//! paths of this repository. Checked in the two stories of ARCHITECTURE.md: names in backticks
//! that end in `()` are functions of our crates. Blocks of code and patterns (`*`, `{a,b}`,
//! `<name>`) are left alone.
//!
//! Tests: below.

use std::collections::BTreeSet;

use super::{File, Finding, Repository};

/// How a word in backticks begins when it means a path of this repository.
const PATHS: [&str; 3] = ["crates/", "docs/", "xtask/"];

/// Sections of ARCHITECTURE.md whose function names must exist.
const STORIES: [&str; 2] = ["The life of a write", "The life of a query"];

/// Every finding in the documents of the repository.
pub fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in repository
        .files
        .iter()
        .filter(|file| file.path.ends_with(".md"))
    {
        findings.extend(references(file, repository));
    }
    if let Some(file) = repository.file("ARCHITECTURE.md") {
        let functions = functions(repository);
        for story in STORIES {
            findings.extend(names(file, story, &functions));
        }
    }
    findings
}

/// The lines of a document that are not inside a fenced block, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

/// Paths and links that lead nowhere.
fn references(file: &File, repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in prose(&file.text) {
        for word in in_backticks(text).flat_map(str::split_whitespace) {
            let path = word.trim_end_matches(['/', ',', '.', ';', ':']);
            let path = path.split_once("::").map_or(path, |(path, _)| path);
            if !PATHS.iter().any(|prefix| word.starts_with(prefix)) || is_pattern(word) {
                continue;
            }
            if !repository.paths.contains(without_line(path)) {
                findings.push(file.finding(line, "path", format!("`{word}` does not exist")));
            }
        }
        for target in link_targets(text) {
            let Some(path) = resolve(&file.path, target) else {
                continue;
            };
            if !path.is_empty() && !repository.paths.contains(&path) {
                let message = format!("the link to {target} leads nowhere ({path})");
                findings.push(file.finding(line, "link", message));
            }
        }
    }
    findings
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_pattern(word: &str) -> bool {
    word.contains(['*', '{', '<', '$', '…']) || word.contains("...")
}

/// Cuts the `:12` of `src/lib.rs:12`.
fn without_line(path: &str) -> &str {
    match path.rsplit_once(':') {
        Some((path, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => path,
        _ => path,
    }
}

/// What stands in the round brackets of `[text](target "title")`.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split_once(')')?.0;
        Some(
            target
                .split_whitespace()
                .next()
                .unwrap_or("")
                .trim_matches(['<', '>']),
        )
    })
}

/// The path from the root that a link in `document` means; nothing for links to elsewhere.
fn resolve(document: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let path = target.split_once('#').map_or(target, |(path, _)| path);
    if path.is_empty() {
        return None;
    }
    let directory = document
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    let start = if path.starts_with('/') { "" } else { directory };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            // A link above the root keeps its `..` and so is not found.
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The functions that a story names and that no crate has.
fn names(file: &File, story: &str, functions: &BTreeSet<&str>) -> Vec<Finding> {
    const RULE: &str = "story";
    let lines = section(&file.text, story);
    let mut findings = Vec::new();
    let mut count = 0;
    for (line, text) in lines {
        for word in in_backticks(text).filter(|word| word.ends_with("()")) {
            count += 1;
            let name = word
                .trim_end_matches("()")
                .rsplit([':', '.'])
                .next()
                .unwrap_or(word);
            if !functions.contains(name) {
                let message = format!("`{word}`: no crate has a `fn {name}`");
                findings.push(file.finding(line, RULE, message));
            }
        }
    }
    if count == 0 {
        let message = format!("the section \"{story}\" is missing or names no function as `f()`");
        findings.push(file.finding(0, RULE, message));
    }
    findings
}

/// The lines under the heading that contains `title`, up to the next heading as high.
fn section<'a>(text: &'a str, title: &str) -> Vec<(usize, &'a str)> {
    let mut lines = Vec::new();
    let mut inside = None;
    for (line, text) in prose(text) {
        let level = text.bytes().take_while(|byte| *byte == b'#').count();
        if level > 0 && inside.is_none_or(|inside| level <= inside) {
            inside = text
                .to_lowercase()
                .contains(&title.to_lowercase())
                .then_some(level);
        } else if inside.is_some() {
            lines.push((line, text));
        }
    }
    lines
}

/// The name of every function in the sources of our crates.
fn functions(repository: &Repository) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let sources = repository
        .files
        .iter()
        .filter(|file| file.path.ends_with(".rs"));
    for file in sources.filter(|file| file.path.starts_with("crates/")) {
        for line in file
            .text
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.starts_with("//"))
        {
            for (at, _) in line.match_indices("fn ") {
                let starts = line[..at]
                    .chars()
                    .next_back()
                    .is_none_or(|c| !c.is_alphanumeric());
                let rest = line[at + "fn ".len()..].trim_start_matches("r#");
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                if starts {
                    names.insert(&rest[..end.unwrap_or(rest.len())]);
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::tests::{places, repository};
    use super::*;

    fn found(document: &str, text: &str) -> Vec<String> {
        let files = [
            ("crates/a/src/lib.rs", "//! A."),
            ("docs/x.md", ""),
            (document, text),
        ];
        places(&check(&repository(&files)))
    }

    #[test]
    fn paths_in_backticks_exist() {
        let good = "`crates/a`, `crates/a/src/`, `crates/a/src/lib.rs:12`, `docs/x.md`,\n\
            `cat crates/a/src/lib.rs`, `crates/*/src`, `crates/{a,b}`, `crates/<name>`, `docs/…`,\n\
            `target/doc`, `a/crates/z`, crates/none outside of backticks\n";
        assert_eq!(found("b.md", good), [""; 0]);
        assert_eq!(found("b.md", "\n`crates/none`"), ["b.md:2 path"]);
        assert_eq!(
            found("docs/b.md", "`docs/none.md` `cat xtask/none`").len(),
            2
        );
        assert_eq!(
            found("b.md", "```\n`crates/none`\n```\n`crates/none`"),
            ["b.md:4 path"]
        );
    }

    #[test]
    fn links_lead_somewhere() {
        let good = "[a](docs/x.md), [b](./docs/x.md#part \"title\"), [c](/docs/x.md), [d](#part),\n\
            [e](https://example.com/none), [f](mailto:a@example.com), [g](docs/../crates/a/)\n";
        assert_eq!(found("b.md", good), [""; 0]);
        assert_eq!(found("docs/b.md", "[a](x.md) [b](../crates/a)"), [""; 0]);
        assert_eq!(found("docs/b.md", "[a](docs/x.md)"), ["docs/b.md:1 link"]);
        assert_eq!(found("b.md", "[a](none.md)"), ["b.md:1 link"]);
        assert_eq!(found("b.md", "[a](../docs/x.md)"), ["b.md:1 link"]);
    }

    const STORY: &str = "# Architecture\n\n## The life of a write\n1. `Session::execute()` calls \
        `wal.append()`.\n### In detail\n`raw()`\n## The life of a query\n`plan()`\n## Other\n`none()`\n";

    fn story(text: &str) -> Vec<String> {
        let source = "//! A.\npub fn execute(&self) {}\npub(crate) unsafe fn append<T>() {}\n\
            // fn commented() {}\nfn r#raw() {}\nfn plan\n(\n) {}\n";
        let files = [("crates/a/src/lib.rs", source), ("ARCHITECTURE.md", text)];
        places(&check(&repository(&files)))
    }

    #[test]
    fn the_stories_name_real_functions() {
        assert_eq!(story(STORY), [""; 0]);
        let wrong = |from, to| story(&STORY.replace(from, to));
        assert_eq!(
            wrong("`plan()`", "`commented()`"),
            ["ARCHITECTURE.md:8 story"]
        );
        assert_eq!(
            wrong("wal.append", "wal.appends"),
            ["ARCHITECTURE.md:4 story"]
        );
        assert_eq!(wrong("raw()", "exec()"), ["ARCHITECTURE.md:6 story"]);
    }

    #[test]
    fn a_story_that_is_missing_or_names_nothing_is_found() {
        let gone = STORY.replace("The life of a query", "Life");
        assert_eq!(story(&gone), ["ARCHITECTURE.md:0 story"]);
        assert_eq!(
            story(&STORY.replace("`plan()`", "plan")),
            ["ARCHITECTURE.md:0 story"]
        );
    }
}
