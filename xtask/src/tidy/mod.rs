//! The rules of the house that no standard tool checks.
//!
//! Each rule is a pure function from the repository's text to findings; this module reads the
//! files once and prints what the rules say. A rule never writes.
//!
//! | module | rules |
//! | --- | --- |
//! | `dependencies` | which crate may use which, and that ARCHITECTURE.md says the same |
//! | `sources` | module heads, file lengths, marks of unfinished work |
//! | `documents` | paths, links and function names in documents exist |
//!
//! Tests: beside each rule.

mod dependencies;
mod documents;
mod sources;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One broken rule, at a file and, where there is one, a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the repository's root.
    pub path: String,
    /// Counted from 1; 0 when the finding is about the whole file.
    pub line: usize,
    /// The rule's short name.
    pub rule: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: [{}] {}", self.path, self.rule, self.message),
            line => write!(f, "{}:{line}: [{}] {}", self.path, self.rule, self.message),
        }
    }
}

/// One file of the repository, as text.
#[derive(Debug)]
pub struct File {
    /// Path from the repository's root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    fn finding(&self, line: usize, rule: &'static str, message: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            rule,
            message: message.into(),
        }
    }
}

/// What the rules see.
#[derive(Debug, Default)]
pub struct Repository {
    /// Every file whose text some rule reads, ordered by path.
    pub files: Vec<File>,
    /// Every file and directory there is, text or not, as paths from the root.
    pub paths: BTreeSet<String>,
}

impl Repository {
    /// The text of one file, if it exists and is read.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// Checks every rule and prints what it finds.
///
/// # Errors
/// How many rules are broken, or why the repository could not be read.
pub fn run(root: PathBuf) -> Result<(), String> {
    let repository = read(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    let mut findings = dependencies::check(&dependencies::read(&root)?, &repository);
    findings.extend(sources::check(&repository));
    findings.extend(documents::check(&repository));
    findings.sort();
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("tidy: findings: {count}")),
    }
}

/// Reads what is written by hand: all but hidden directories (except `.ci`), build output and
/// what JavaScript's package managers install.
fn read(root: &Path) -> std::io::Result<Repository> {
    let mut repository = Repository::default();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = entry.path();
            let kind = entry.file_type()?;
            let relative = path
                .strip_prefix(root)
                .expect("the walk stays below the root");
            let relative = relative.to_string_lossy().replace('\\', "/");
            if kind.is_dir() {
                let hidden = name.starts_with('.') && name != ".ci";
                if hidden || name == "target" || name == "node_modules" {
                    continue;
                }
                pending.push(path);
            } else if kind.is_file() && is_read(&relative) {
                let bytes = fs::read(&path)?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                repository.files.push(File {
                    path: relative.clone(),
                    text,
                });
            }
            repository.paths.insert(relative);
        }
    }
    repository.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(repository)
}

fn is_read(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    path.starts_with(".ci/") || matches!(extension, "rs" | "md" | "toml" | "sh" | "yml" | "yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository made of these files and their directories.
    pub fn repository(files: &[(&str, &str)]) -> Repository {
        let mut repository = Repository::default();
        for (path, text) in files {
            repository.files.push(File {
                path: (*path).into(),
                text: (*text).into(),
            });
            for ancestor in Path::new(path)
                .ancestors()
                .filter(|path| *path != Path::new(""))
            {
                repository
                    .paths
                    .insert(ancestor.to_string_lossy().into_owned());
            }
        }
        repository
    }

    /// What is found, as `path:line rule`.
    pub fn places(findings: &[Finding]) -> Vec<String> {
        findings
            .iter()
            .map(|f| format!("{}:{} {}", f.path, f.line, f.rule))
            .collect()
    }

    #[test]
    fn a_finding_names_file_line_and_rule() {
        let mut finding = Finding {
            path: "a.rs".into(),
            line: 3,
            rule: "r",
            message: "m".into(),
        };
        assert_eq!(finding.to_string(), "a.rs:3: [r] m");
        finding.line = 0;
        assert_eq!(finding.to_string(), "a.rs: [r] m");
    }

    #[test]
    fn this_repository_is_read_without_its_build_output() {
        let repository = read(&crate::root()).expect("a readable repository");
        assert!(repository.file("xtask/src/tidy/mod.rs").is_some());
        assert!(repository.paths.contains("xtask/src"));
        assert!(
            !repository
                .paths
                .iter()
                .any(|path| path.starts_with(".git/"))
        );
        assert!(
            !repository
                .paths
                .iter()
                .any(|path| path.starts_with("target/"))
        );
    }
}
