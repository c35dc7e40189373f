//! What Tab offers: commands, collections, keywords, and the fields of a collection.
//!
//! Names come from the target when they are asked for, so they are never stale; of a target that
//! does not answer there are none. Tests: below.

use std::collections::BTreeSet;
use std::ops::Range;

use velocitydb::Value;

use crate::statement::{COMMANDS, Token, tokens};
use crate::targets::Target;

/// Documents that are looked at for the names of fields that no schema declares.
const SAMPLED_DOCUMENTS: usize = 20;

/// What to put where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The bytes of the line that are replaced.
    pub replace: Range<usize>,
    /// By this.
    pub by: String,
    /// What it is, in a word or two.
    pub what: String,
    /// Whether the word is finished by it.
    pub finished: bool,
}

/// What may stand at the end of `line`.
pub fn complete(line: &str, target: &mut dyn Target) -> Vec<Completion> {
    let mut before = tokens(line);
    // The word that is being written; none after space.
    let current = match before.last() {
        Some(last) if last.open || !line.ends_with(char::is_whitespace) => before.pop(),
        _ => None,
    };
    let (start, prefix) = current.map_or((line.len(), ""), |word| (word.start, word.text));
    let words: Vec<&str> = before.iter().map(|token| token.text).collect();
    if let Some(json) = current.filter(Token::is_json) {
        return words
            .get(1)
            .map(|collection| fields(line, json, collection, target))
            .unwrap_or_default();
    }
    let offered: Vec<(String, String)> = match words[..] {
        [] | ["help"] => COMMANDS
            .iter()
            .map(|row| (row.name.to_owned(), row.arguments.to_owned()))
            .collect(),
        ["\\json" | "\\timing" | "\\x"] => keywords(&["on", "off"]),
        [
            "describe" | "get" | "list" | "find" | "search" | "near" | "count" | "aggregate"
            | "explain" | "indexes" | "insert" | "put" | "patch" | "delete" | "swap" | "alter"
            | "drop" | "rebuild",
        ]
        | ["create" | "drop", "index"] => {
            let all = target.collections().unwrap_or_default();
            all.iter()
                .filter_map(|one| Some((name(one)?.to_owned(), "collection".to_owned())))
                .collect()
        }
        ["\\c"] | ["drop", "database"] => {
            let all = target.databases().unwrap_or_default();
            all.iter()
                .filter_map(|one| Some((name(one)?.to_owned(), "database".to_owned())))
                .collect()
        }
        ["create"] => keywords(&["index", "database"]),
        ["drop", "index", collection] | ["rebuild", collection] => {
            let all = target.indexes(collection).unwrap_or_default();
            all.iter()
                .filter_map(|one| Some((name(one)?.to_owned(), "index".to_owned())))
                .collect()
        }
        ["find", _, ..] => keywords(&["sort", "project", "limit", "after", "hint"]),
        ["explain", _, ..] => keywords(&["sort", "project", "limit", "hint", "analyze"]),
        ["search", _, _, ..] => keywords(&["any", "index", "project", "limit"]),
        ["near", _, _, _, ..] => keywords(&["within", "project", "limit"]),
        ["list", _] => keywords(&["limit", "after"]),
        ["list", _, "limit", _] => keywords(&["after"]),
        ["list", _, "after", _] => keywords(&["limit"]),
        ["alter", _, _] => keywords(&["rename", "drop"]),
        ["alter", _, _, "rename", _] => keywords(&["drop"]),
        ["alter", _, _, "drop", _] => keywords(&["rename"]),
        ["swap", _, _] => keywords(&["expected"]),
        ["swap", _, _, "expected", _] => keywords(&["update"]),
        _ => Vec::new(),
    };
    let fits = |(by, _): &(String, String)| by.starts_with(prefix);
    let offered = offered.into_iter().filter(fits);
    let completion = |(by, what)| Completion {
        replace: start..line.len(),
        by,
        what,
        finished: true,
    };
    offered.map(completion).collect()
}

fn keywords(words: &[&str]) -> Vec<(String, String)> {
    words
        .iter()
        .map(|word| ((*word).to_owned(), String::new()))
        .collect()
}

fn name(value: &Value) -> Option<&str> {
    value.as_map()?.get("name")?.as_str()
}

/// The fields of a collection whose name may be written at the end of the JSON.
fn fields(
    line: &str,
    json: Token<'_>,
    collection: &str,
    target: &mut dyn Target,
) -> Vec<Completion> {
    let begun = |c: char| !c.is_alphanumeric() && c != '_' && c != '-';
    let at = json.text.rfind(begun).map_or(0, |at| {
        at + json.text[at..].chars().next().map_or(0, char::len_utf8)
    });
    let (before, prefix) = json.text.split_at(at);
    let (before, quote) = match before.strip_suffix('"') {
        Some(before) => (before, 1),
        None => (before, 0),
    };
    // A name stands after the brace or a comma, a value after a colon.
    if !before.trim_end().ends_with(['{', ',']) {
        return Vec::new();
    }
    let described = target.describe(collection).ok();
    let declared = described.as_ref().and_then(|one| {
        let fields = one.as_map()?.get("schema")?.as_map()?.get("fields")?;
        fields.as_array()
    });
    let mut names: BTreeSet<String> = declared
        .unwrap_or_default()
        .iter()
        .filter_map(name)
        .map(str::to_owned)
        .collect();
    let page = target.list(collection, SAMPLED_DOCUMENTS, None);
    for document in page.map(|page| page.documents).unwrap_or_default() {
        let keys = document.as_map().into_iter().flat_map(|map| map.keys());
        names.extend(keys.filter(|name| !name.starts_with('_')).cloned());
    }
    names.retain(|name| name.starts_with(prefix) && !name.contains(|c: char| c.is_control()));
    let quoted = |name: &String| Completion {
        replace: json.start + at - quote..line.len(),
        by: format!("{}: ", Value::from(name.as_str()).to_json()),
        what: "field".to_owned(),
        finished: false,
    };
    names.iter().map(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Embedded;

    /// The line with each completion put in.
    fn completed(line: &str) -> Vec<String> {
        let mut target = Embedded::in_memory().unwrap();
        target.create("tasks", "{}").unwrap();
        let schema =
            r#"{"schema": {"openness": "open", "fields": [{"name": "state", "type": "string"}]}}"#;
        target.create("trips", schema).unwrap();
        let document = r#"{"state": 1, "start": {"deep": 1}}"#;
        target.put("tasks", "t1", document).unwrap();
        complete(line, &mut target)
            .into_iter()
            .map(|completion| {
                let mut line = line.to_owned();
                line.replace_range(completion.replace, &completion.by);
                line
            })
            .collect()
    }

    #[test]
    fn words_are_completed() {
        assert_eq!(completed("co"), ["collections", "count"]);
        assert_eq!(completed("get ta"), ["get tasks"]);
        assert_eq!(completed("count "), ["count tasks", "count trips"]);
        assert_eq!(completed("help sw"), ["help swap"]);
        assert_eq!(completed("\\x o"), ["\\x on", "\\x off"]);
        assert_eq!(completed("list tasks l"), ["list tasks limit"]);
        assert_eq!(
            completed("swap tasks t1 expected {} "),
            ["swap tasks t1 expected {} update"]
        );
        assert_eq!(completed("find ta"), ["find tasks"]);
        assert_eq!(completed("find tasks {} s"), ["find tasks {} sort"]);
        assert_eq!(completed("create index tr"), ["create index trips"]);
        assert_eq!(completed("explain tasks a"), ["explain tasks analyze"]);
        assert_eq!(completed("\\c po"), ["\\c postgres"]);
        assert_eq!(completed("alter ta"), ["alter tasks"]);
        assert_eq!(completed("alter tasks {} re"), ["alter tasks {} rename"]);
        let none: [&str; 0] = [];
        assert_eq!(completed("get tasks t"), none);
        assert_eq!(completed("get nothing"), none);
    }

    #[test]
    fn fields_are_completed_where_a_name_may_stand() {
        assert_eq!(
            completed("put tasks t1 {\"st"),
            ["put tasks t1 {\"start\": ", "put tasks t1 {\"state\": "]
        );
        assert_eq!(
            completed("put tasks t1 {\"a\": 1, sta"),
            [
                "put tasks t1 {\"a\": 1, \"start\": ",
                "put tasks t1 {\"a\": 1, \"state\": "
            ]
        );
        assert_eq!(completed("insert trips {"), ["insert trips {\"state\": "]);
        let none: [&str; 0] = [];
        assert_eq!(completed("put tasks t1 {\"a\": \"st"), none);
        assert_eq!(completed("put tasks t1 {\"state\"} "), none);
    }
}
