//! Documents for people: tables that fit the terminal, one field a line, or JSON.
//!
//! Invariant: no control character that a document holds reaches the terminal ([`escape`]); JSON
//! stays valid, as such characters stand in its strings alone, and are escaped there.
//! A table shows `_id` first (behind it a score or a distance) and `_version` last, where they are there; the other metadata is shown
//! one field a line, and in JSON. Tests: below.

use std::borrow::Cow;
use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Row, Table, presets};
use velocitydb::Value;

/// Columns that a field has at least, its borders aside; fields that find no room are named
/// below the table.
const COLUMN_WIDTH_MIN: usize = 7;

/// A text without anything that a terminal would obey: control characters, and those that turn
/// the direction of what follows, are written as in JSON.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if obeyed(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A value as one line of JSON.
pub fn json(value: &Value) -> String {
    escape(&value.to_json()).into_owned()
}

/// A value as a cell shows it.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => escape(text).into_owned(),
        other => json(other),
    }
}

/// An id as `get` takes it: a string that would be read as something else stands in quotes.
pub fn id(value: &Value) -> String {
    match value {
        Value::String(text)
            if text.parse::<i64>().is_ok()
                || text.contains(char::is_whitespace)
                || text.contains(['"', '{']) =>
        {
            json(value)
        }
        other => cell(other),
    }
}

/// The value of a field.
fn shown(name: &str, value: &Value) -> String {
    match name {
        "_id" => id(value),
        _ => cell(value),
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_) | Value::Decimal(_))
}

/// A table of rows that are ready, the first being its head. Columns named in `right` are
/// aligned to the right.
pub fn table(
    head: &[String],
    rows: Vec<Vec<String>>,
    right: &[bool],
    width: Option<usize>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    if let Some(width) = width {
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    let line = |cells: Vec<String>| {
        let mut row = Row::new();
        for (cell, right) in cells.into_iter().zip(right) {
            let alignment = match right {
                true => CellAlignment::Right,
                false => CellAlignment::Left,
            };
            row.add_cell(Cell::new(cell).set_alignment(alignment));
        }
        if width.is_some() {
            row.max_height(1);
        }
        row
    };
    table.set_header(line(head.to_vec()));
    for row in rows {
        table.add_row(line(row));
    }
    let text = table.to_string();
    // Spaces at the ends of lines are of no use to anybody who reads a pipe.
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Documents as a table no wider than `width`.
pub fn documents(documents: &[Value], width: Option<usize>) -> String {
    let empty = BTreeMap::new();
    let maps: Vec<_> = documents
        .iter()
        .map(|document| document.as_map().unwrap_or(&empty))
        .collect();
    let mut columns: Vec<&str> = Vec::new();
    for name in maps.iter().flat_map(|map| map.keys()) {
        if !name.starts_with('_') && !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    // The id and the version have room always. Rows of queries need not have them.
    let room = width.map_or(usize::MAX, |width| {
        (width.saturating_sub(1) / (COLUMN_WIDTH_MIN + 3)).saturating_sub(2)
    });
    let left_out = columns.split_off(columns.len().min(room.max(1)));
    let there = |name: &str| maps.iter().any(|map| map.contains_key(name));
    for first in ["_distance_m", "_score", "_id"] {
        if there(first) {
            columns.insert(0, first);
        }
    }
    if there("_version") {
        columns.push("_version");
    }
    let right: Vec<bool> = columns
        .iter()
        .map(|name| {
            let mut values = maps.iter().filter_map(|map| map.get(*name));
            let some = values.clone().any(is_number);
            some && values.all(|value| is_number(value) || value.is_null())
        })
        .collect();
    let rows = maps.iter().map(|map| {
        columns
            .iter()
            .map(|name| {
                let value = map.get(*name);
                value.map(|value| shown(name, value)).unwrap_or_default()
            })
            .collect()
    });
    let head: Vec<String> = columns
        .iter()
        .map(|name| escape(name).into_owned())
        .collect();
    let mut text = table(&head, rows.collect(), &right, width);
    if !left_out.is_empty() {
        let names: Vec<_> = left_out.iter().map(|name| escape(name)).collect();
        text += &format!("\nnot shown: {} (\\x shows all)", names.join(", "));
    }
    text
}

/// A document with one field a line, long values whole.
pub fn record(document: &Value) -> String {
    let Some(map) = document.as_map() else {
        return json(document);
    };
    let (metadata, fields): (Vec<_>, Vec<_>) =
        map.iter().partition(|(name, _)| name.starts_with('_'));
    let (id, metadata): (Vec<_>, Vec<_>) =
        metadata.into_iter().partition(|(name, _)| *name == "_id");
    let all = || id.iter().chain(&fields).chain(&metadata);
    let width = |name: &str| unicode_width::UnicodeWidthStr::width(name);
    let names = all().map(|(name, _)| width(&escape(name)));
    let widest = names.max().unwrap_or(0);
    let lines: Vec<String> = all()
        .map(|(name, value)| {
            let space = " ".repeat(widest - width(&escape(name)));
            format!("{}{space} │ {}", escape(name), shown(name, value))
        })
        .collect();
    lines.join("\n")
}

/// Units of bytes, largest first; a power of 1024 each.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// A number of bytes.
pub fn bytes(bytes: u64) -> String {
    match UNITS.iter().find(|(_, shift)| bytes >= 1 << shift) {
        Some((name, shift)) => format!("{:.1} {name}", bytes as f64 / (1u64 << shift) as f64),
        None => format!("{bytes} B"),
    }
}

/// A number with a comma between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 document`, `2 documents`.
pub fn count(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(lines: &[&str]) -> Vec<Value> {
        let read = |line: &&str| Value::from_json(line).unwrap();
        lines.iter().map(read).collect()
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        let evil = "a\u{1b}]0;title\u{7}\u{9b}2J\u{7f}\u{202e}b\r\n\t";
        let document = Value::Map(BTreeMap::from([
            ("_id".to_owned(), Value::from(evil)),
            (evil.to_owned(), Value::from(evil)),
            ("nested".to_owned(), Value::Array(vec![Value::from(evil)])),
        ]));
        for shown in [
            documents(std::slice::from_ref(&document), Some(300)),
            record(&document),
            json(&document),
        ] {
            for c in [
                '\u{1b}', '\u{7}', '\u{9b}', '\u{7f}', '\u{202e}', '\r', '\t',
            ] {
                assert!(!shown.contains(c), "{c:?} in {shown:?}");
            }
        }
        // What a program reads is what was kept.
        assert_eq!(Value::from_json(&json(&document)).unwrap(), document);
    }

    #[test]
    fn a_table_fits_its_width() {
        let long = format!(r#"{{"_id": 1, "text": "{}", "n": 5}}"#, "word ".repeat(40));
        let mut many = r#"{"_id": 2"#.to_owned();
        (0..30).for_each(|at| many += &format!(r#", "f{at:02}": {at}"#));
        let rows = values(&[&long, &(many + "}")]);
        for width in [40, 60, 80, 133] {
            let shown = documents(&rows, Some(width));
            let (table, note) = shown.rsplit_once('\n').unwrap();
            for line in table.lines() {
                let columns = unicode_width::UnicodeWidthStr::width(line);
                assert!(columns <= width, "{columns} of {width}\n{shown}");
            }
            assert!(note.starts_with("not shown: "), "{note}");
        }
        assert!(documents(&rows, Some(80)).contains('…'));
        assert!(!documents(&rows, None).contains('…'));
    }

    #[test]
    fn numbers_stand_to_the_right_and_null_is_said() {
        let rows = values(&[
            r#"{"_id": "a", "_version": 1, "n": 5, "s": null}"#,
            r#"{"_id": "b", "_version": 12, "n": 1234}"#,
        ]);
        let shown = documents(&rows, Some(60));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[3], "│ a   ┆    5 ┆ null ┆        1 │", "{shown}");
        assert_eq!(lines[4], "│ b   ┆ 1234 ┆      ┆       12 │", "{shown}");
    }

    #[test]
    fn a_record_has_one_field_a_line() {
        let rows = values(&[r#"{"_id": "a", "_version": 1, "text": "x", "n": [1, {"y": null}]}"#]);
        assert_eq!(
            record(&rows[0]),
            "_id      │ a\nn        │ [1,{\"y\":null}]\ntext     │ x\n_version │ 1"
        );
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(
            (bytes(1023), bytes(3 << 29)),
            ("1023 B".into(), "1.5 GiB".into())
        );
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(
            (count(1, "row"), count(2_000, "row")),
            ("1 row".into(), "2,000 rows".into())
        );
    }
}
