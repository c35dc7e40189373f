//! Each method of ColonyOS's interfaces has its row in docs/colonies.md, and each row names methods that
//! are there.

use std::collections::BTreeSet;

fn read(path: &str) -> String {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    std::fs::read_to_string(format!("{package}/{path}")).unwrap()
}

/// The rows of the tables: the group's handle, ColonyOS's name, ours.
fn rows(document: &str) -> Vec<(String, String, String)> {
    let (mut handle, mut rows) = (String::new(), Vec::new());
    for line in document.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            let named = title.split("colonies.").nth(1);
            handle = named.map_or(String::new(), |name| name.replace("()`", ""));
        } else if let Some(row) = line.strip_prefix("| `") {
            let (name, ours) = row.split_once("` | ").unwrap();
            rows.push((handle.clone(), name.to_owned(), ours.to_owned()));
        }
    }
    rows
}

#[test]
fn every_method_of_the_contract_has_a_row() {
    let rows = rows(&read("../../docs/colonies.md"));
    let written: BTreeSet<&str> = rows.iter().map(|(_, name, _)| name.as_str()).collect();
    let contract = read("tests/it/contract.txt");
    let wanted = contract.lines().filter(|line| !line.starts_with('#'));
    let wanted: BTreeSet<&str> = wanted.collect();
    assert_eq!(written, wanted);
    assert_eq!(rows.len(), written.len(), "a method has two rows");
}

#[test]
fn every_method_that_is_named_is_there() {
    let mut sources = String::new();
    for file in std::fs::read_dir(std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/src").unwrap() {
        sources += &std::fs::read_to_string(file.unwrap().path()).unwrap();
    }
    for (handle, name, ours) in rows(&read("../../docs/colonies.md")) {
        if handle.is_empty() {
            continue;
        }
        assert!(
            sources.contains(&format!("pub fn {handle}(&self)")),
            "{handle}"
        );
        let method = ours.trim_start_matches('`');
        let end = method
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap();
        let method = format!("pub fn {}(", &method[..end]);
        assert!(sources.contains(&method), "{name}: there is no {method}");
    }
}
