//! Which crate may use which: the one table, checked against the real dependencies and against
//! the table in ARCHITECTURE.md.
//!
//! A crate of the workspace without a row is an error, and so is a row without a crate: the
//! table never names what does not exist. What a crate may use it may also use in its tests.
//!
//! Tests: below.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{Finding, Repository};
use crate::commands::cargo_command;

const RULE: &str = "dependencies";
const TABLE: &str = "xtask/src/tidy/dependencies.rs";
const ARCHITECTURE: &str = "ARCHITECTURE.md";
const MARKER: &str = "<!-- dependencies -->";

/// What one crate of the workspace may use of the others.
struct Allowed {
    name: &'static str,
    /// For the crate itself, its build script included.
    uses: &'static [&'static str],
    /// In addition, for its tests and benchmarks.
    tests_use: &'static [&'static str],
}

const fn allowed(
    name: &'static str,
    uses: &'static [&'static str],
    tests_use: &'static [&'static str],
) -> Allowed {
    Allowed {
        name,
        uses,
        tests_use,
    }
}

/// The direction of dependencies. `velocitydb-sim` stands in no `uses`: it is for tests alone.
#[rustfmt::skip]
const ALLOWED: &[Allowed] = &[
    allowed("velocitydb-types", &[], &[]),
    allowed("velocitydb-engine", &["velocitydb-types"], &["velocitydb-sim"]),
    allowed("velocitydb-query", &["velocitydb-types", "velocitydb-engine"], &["velocitydb-sim"]),
    allowed("velocitydb", &["velocitydb-types", "velocitydb-engine", "velocitydb-query"], &["velocitydb-sim"]),
    allowed("velocitydb-sql", &["velocitydb-types", "velocitydb-engine", "velocitydb-query", "velocitydb"], &[]),
    allowed("velocitydb-analytics", &["velocitydb-types", "velocitydb-query", "velocitydb", "velocitydb-sql"], &[]),
    allowed("velocitydb-colonies", &["velocitydb"], &["velocitydb-sim", "velocitydb-sql"]),
    allowed("velocitydb-import", &["velocitydb-types", "velocitydb"], &[]),
    allowed("velocitydb-pg", &[], &[]),
    allowed("velocitydb-server", &["velocitydb-types", "velocitydb-query", "velocitydb", "velocitydb-import", "velocitydb-sql", "velocitydb-pg"], &["velocitydb-sim"]),
    allowed("velocitydb-shell", &["velocitydb"], &["velocitydb-server"]),
    allowed("velocitydb-bench", &["velocitydb-types", "velocitydb-engine", "velocitydb", "velocitydb-colonies", "velocitydb-server"], &[]),
    allowed("velocitydb-cli", &["velocitydb-types", "velocitydb-engine", "velocitydb-query", "velocitydb", "velocitydb-import", "velocitydb-server", "velocitydb-pg", "velocitydb-shell", "velocitydb-bench", "velocitydb-colonies", "velocitydb-analytics"], &["velocitydb-sim"]),
    allowed("velocitydb-sim", &["velocitydb-types", "velocitydb-engine", "velocitydb-query", "velocitydb"], &[]),
    allowed("velocitydb-log-suite", &["velocitydb-engine", "velocitydb-sim"], &[]),
    allowed("xtask", &[], &[]),
];

/// Crates from outside whose name begins so may be named by these crates alone.
const FENCED: &[(&str, &[&str])] = &[
    ("datafusion", &["velocitydb-analytics"]),
    ("arrow", &["velocitydb-analytics"]),
    ("pgwire", &["velocitydb-pg"]),
    ("openraft", &["velocitydb-cluster", "velocitydb-log-suite"]),
];

/// Crates from outside that a crate never names, not even in its tests: no runtime, no chance.
const BANNED: &[(&str, &[&str])] = &[
    ("velocitydb-types", &["tokio", "rand", "getrandom"]),
    ("velocitydb-engine", &["tokio", "rand", "getrandom"]),
];

/// One crate of the workspace with what its manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    name: String,
    manifest: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Dependency {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of the crate or its build script.
    Shipped,
    /// Of its tests, examples and benchmarks.
    Tests,
}

/// Asks cargo for the crates of the workspace.
///
/// # Errors
/// Cargo failed, or answered in a form that is not known.
pub fn read(root: &Path) -> Result<Vec<Package>, String> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let output = cargo_command(root, &arguments)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    parse(&output.stdout).ok_or_else(|| "cargo metadata: an unknown form of answer".to_owned())
}

fn parse(metadata: &[u8]) -> Option<Vec<Package>> {
    let metadata: Value = serde_json::from_slice(metadata).ok()?;
    let root = metadata["workspace_root"].as_str()?;
    let mut packages = Vec::new();
    for package in metadata["packages"].as_array()? {
        let manifest = package["manifest_path"].as_str()?;
        let manifest = manifest
            .strip_prefix(root)
            .unwrap_or(manifest)
            .trim_start_matches('/');
        let mut dependencies = Vec::new();
        for dependency in package["dependencies"].as_array()? {
            let name = dependency["name"].as_str()?.to_owned();
            let tests = dependency["kind"].as_str() == Some("dev");
            let kind = if tests { Kind::Tests } else { Kind::Shipped };
            dependencies.push(Dependency { name, kind });
        }
        let name = package["name"].as_str()?.to_owned();
        packages.push(Package {
            name,
            manifest: manifest.to_owned(),
            dependencies,
        });
    }
    Some(packages)
}

/// Every finding about the dependencies and about the table that describes them.
pub fn check(packages: &[Package], repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(direction(packages, ALLOWED));
    findings.extend(fences(packages));
    findings.extend(described(repository, ALLOWED));
    findings
}

fn finding(path: &str, line: usize, message: String) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        rule: RULE,
        message,
    }
}

/// The real dependencies between our crates, against the table.
fn direction(packages: &[Package], table: &[Allowed]) -> Vec<Finding> {
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for row in table.iter().filter(|row| !ours.contains(row.name)) {
        let message = format!("the table has a row for {}, which does not exist", row.name);
        findings.push(finding(TABLE, 0, message));
    }
    for package in packages {
        let Some(row) = table.iter().find(|row| row.name == package.name) else {
            let message = format!("{} has no row in the table of {TABLE}", package.name);
            findings.push(finding(&package.manifest, 0, message));
            continue;
        };
        for used in package
            .dependencies
            .iter()
            .filter(|used| ours.contains(used.name.as_str()))
        {
            let name = used.name.as_str();
            let in_tests = used.kind == Kind::Tests && row.tests_use.contains(&name);
            if row.uses.contains(&name) || in_tests {
                continue;
            }
            let place = if used.kind == Kind::Tests {
                " in its tests"
            } else {
                ""
            };
            let message = format!("{} may not use {name}{place} (see {TABLE})", package.name);
            findings.push(finding(&package.manifest, 0, message));
        }
    }
    findings
}

/// The crates from outside that only some of ours may name.
fn fences(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        for used in &package.dependencies {
            let fence = FENCED
                .iter()
                .find(|(prefix, _)| is_family(&used.name, prefix));
            if let Some((_, inside)) = fence
                && !inside.contains(&package.name.as_str())
            {
                let message = format!("only {} may name {}", inside.join(" and "), used.name);
                findings.push(finding(&package.manifest, 0, message));
            }
            let banned = BANNED.iter().find(|(name, _)| *name == package.name);
            if banned.is_some_and(|(_, names)| names.iter().any(|name| is_family(&used.name, name)))
            {
                let message = format!("{} may never name {}", package.name, used.name);
                findings.push(finding(&package.manifest, 0, message));
            }
        }
    }
    findings
}

/// Whether a crate is `family` itself or one of its parts, as `arrow-schema` is of `arrow`.
fn is_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// The table in ARCHITECTURE.md, against ours.
fn described(repository: &Repository, table: &[Allowed]) -> Vec<Finding> {
    let Some(file) = repository.file(ARCHITECTURE) else {
        return vec![finding(
            ARCHITECTURE,
            0,
            "the file does not exist".to_owned(),
        )];
    };
    let rows = match markdown_rows(&file.text) {
        Ok(rows) => rows,
        Err(message) => return vec![finding(ARCHITECTURE, 0, message)],
    };
    let mut findings = Vec::new();
    for row in table {
        let uses: BTreeSet<&str> = row.uses.iter().copied().collect();
        let message = match rows.get(row.name) {
            Some((_, described)) if *described == uses => continue,
            Some(_) => "the row differs from the checked table, which says",
            None => "the row is missing from the table of dependencies",
        };
        let line = rows.get(row.name).map_or(0, |(line, _)| *line);
        findings.push(finding(
            ARCHITECTURE,
            line,
            format!("{message}: {}", markdown_row(row)),
        ));
    }
    for (name, (line, _)) in &rows {
        if !table.iter().any(|row| row.name == *name) {
            let message = format!("{name} has no row in the checked table of {TABLE}");
            findings.push(finding(ARCHITECTURE, *line, message));
        }
    }
    findings
}

type Rows<'a> = BTreeMap<&'a str, (usize, BTreeSet<&'a str>)>;

/// The rows between the two markers: crate, line, and the crates named in the second cell, all
/// in backticks. Further cells and words outside of backticks are for people.
fn markdown_rows(text: &str) -> Result<Rows<'_>, String> {
    let markers = text.lines().filter(|line| line.trim() == MARKER).count();
    if markers != 2 {
        return Err(format!(
            "the table of dependencies stands between two lines `{MARKER}`"
        ));
    }
    let mut rows = Rows::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim() == MARKER {
            inside = !inside;
            continue;
        }
        if !inside {
            continue;
        }
        let mut cells = line.trim().trim_start_matches('|').split('|');
        let Some(name) = cells.next().and_then(|cell| in_backticks(cell).next()) else {
            continue;
        };
        let uses = cells
            .next()
            .map(|cell| in_backticks(cell).collect())
            .unwrap_or_default();
        if rows.insert(name, (index + 1, uses)).is_some() {
            return Err(format!("the table of dependencies has two rows for {name}"));
        }
    }
    Ok(rows)
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A row as ARCHITECTURE.md should have it.
fn markdown_row(row: &Allowed) -> String {
    let uses: Vec<String> = row.uses.iter().map(|name| format!("`{name}`")).collect();
    let uses = if uses.is_empty() {
        "nothing".to_owned()
    } else {
        uses.join(", ")
    };
    format!("| `{}` | {uses} |", row.name)
}

#[cfg(test)]
mod tests {
    use super::super::tests::repository;
    use super::*;

    const SMALL: &[Allowed] = &[
        allowed("types", &[], &[]),
        allowed("engine", &["types"], &["sim"]),
        allowed("sim", &["engine", "types"], &[]),
    ];

    fn package(name: &str, shipped: &[&str], tests: &[&str]) -> Package {
        let dependency = |kind| {
            move |name: &&str| Dependency {
                name: (*name).to_owned(),
                kind,
            }
        };
        let shipped = shipped.iter().map(dependency(Kind::Shipped));
        let dependencies = shipped
            .chain(tests.iter().map(dependency(Kind::Tests)))
            .collect();
        let manifest = format!("crates/{name}/Cargo.toml");
        Package {
            name: name.to_owned(),
            manifest,
            dependencies,
        }
    }

    fn messages(findings: &[Finding]) -> Vec<String> {
        findings
            .iter()
            .map(|f| format!("{}: {}", f.path, f.message))
            .collect()
    }

    #[test]
    fn the_direction_is_kept() {
        let packages = [
            package("types", &["serde"], &["proptest"]),
            package("engine", &["types"], &["sim", "types"]),
            package("sim", &["engine", "types"], &[]),
        ];
        assert_eq!(direction(&packages, SMALL), []);
    }

    #[test]
    fn a_wrong_direction_is_named() {
        let packages = [
            package("types", &["engine"], &[]),
            package("engine", &["sim"], &[]),
            package("sim", &[], &[]),
        ];
        let found = messages(&direction(&packages, SMALL));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("crates/types/Cargo.toml: types may not use engine ("));
        assert!(found[1].starts_with("crates/engine/Cargo.toml: engine may not use sim ("));

        let packages = [
            package("types", &[], &["sim"]),
            package("engine", &[], &[]),
            package("sim", &[], &[]),
        ];
        let found = messages(&direction(&packages, SMALL));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("types may not use sim in its tests"));
    }

    #[test]
    fn table_and_workspace_have_the_same_crates() {
        let packages = [package("types", &[], &[]), package("engine", &[], &[])];
        let found = messages(&direction(&packages, SMALL));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a row for sim, which does not exist"));

        let packages =
            ["types", "engine", "sim", "extra"].map(|name| package(name, &["types"], &[]));
        let found = messages(&direction(&packages[3..], &SMALL[..0]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("extra has no row"));
    }

    #[test]
    fn fenced_crates_are_named_inside_their_fence_alone() {
        let inside = [
            package(
                "velocitydb-analytics",
                &["datafusion", "arrow-schema", "arrow"],
                &[],
            ),
            package("velocitydb-cluster", &["openraft", "tokio", "rand"], &[]),
            package(
                "velocitydb-engine",
                &["arrows", "randomness"],
                &["proptest"],
            ),
        ];
        assert_eq!(fences(&inside), []);
        let outside = [
            package(
                "velocitydb-query",
                &["datafusion-expr", "arrow"],
                &["openraft"],
            ),
            package(
                "velocitydb-engine",
                &["tokio"],
                &["rand", "rand_core", "getrandom"],
            ),
        ];
        let found = messages(&fences(&outside));
        assert_eq!(found.len(), 7, "{found:?}");
        assert!(found[0].ends_with("only velocitydb-analytics may name datafusion-expr"));
        assert!(found[3].ends_with("velocitydb-engine may never name tokio"));
    }

    const DESCRIBED: &str = "# A\n\n<!-- dependencies -->\n\n| crate | may use | why |\n\
        | --- | --- | --- |\n| `types` | nothing | x |\n| `engine` | `types` | `x` |\n\
        | `sim` | `types`, `engine` | |\n\n<!-- dependencies -->\n\n| `other` | `x` |\n";

    fn described_as(text: &str) -> Vec<String> {
        messages(&described(&repository(&[(ARCHITECTURE, text)]), SMALL))
    }

    #[test]
    fn the_document_says_what_is_checked() {
        assert_eq!(described_as(DESCRIBED), [""; 0]);
    }

    #[test]
    fn a_document_that_says_otherwise_is_found() {
        let found = described_as(&DESCRIBED.replace("| `engine` | `types` |", "| `engine` | |"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].ends_with("which says: | `engine` | `types` |"),
            "{found:?}"
        );

        let found = described_as(&DESCRIBED.replace("| `types` | nothing |", "| `gone` | |"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].ends_with("is missing from the table of dependencies: | `types` | nothing |")
        );
        assert!(found[1].contains("gone has no row"));

        let found = described_as("# A\n");
        assert!(found[0].contains("between two lines"), "{found:?}");
        let found = messages(&described(&repository(&[]), SMALL));
        assert!(found[0].contains("does not exist"), "{found:?}");
    }

    #[test]
    fn the_table_names_only_crates_that_have_a_row_and_no_cycle() {
        let mut seen = BTreeSet::new();
        // Each row uses rows above it alone, so there can be no cycle.
        for row in ALLOWED {
            assert!(
                row.uses.iter().all(|used| seen.contains(used)),
                "{}",
                row.name
            );
            assert!(!row.uses.contains(&"velocitydb-sim") || row.name == "velocitydb-log-suite");
            assert!(seen.insert(row.name), "{} has two rows", row.name);
        }
        assert!(
            ALLOWED
                .iter()
                .flat_map(|row| row.tests_use)
                .all(|used| seen.contains(used))
        );
    }

    #[test]
    fn the_answer_of_cargo_is_understood() {
        let metadata = br#"{"workspace_root": "/w", "packages": [{"name": "engine",
            "manifest_path": "/w/crates/engine/Cargo.toml", "dependencies": [
            {"name": "types", "kind": null}, {"name": "cc", "kind": "build"},
            {"name": "sim", "kind": "dev"}]}]}"#;
        let expected = package("engine", &["types", "cc"], &["sim"]);
        assert_eq!(parse(metadata), Some(vec![expected]));
        assert_eq!(parse(b"{}"), None);
        assert_eq!(parse(b"no JSON"), None);
    }
}
