//! Whether both sides answer the same.
//!
//! Rows come in the order that the query asks for; those that it calls equal may change places. Numbers
//! that are exact on both sides are the same when their values are (`1.50` is `1.5`), texts of a fixed
//! length when they differ in blanks at their end alone, and anything else when its text is the same.
//! A tie that LIMIT cuts would be called a difference: the queries have none in their data.
//!
//! Tests: below.

use crate::pg::wire::{Answer, Column};

/// PostgreSQL's numbers of the types of exact numbers: bigint, smallint, integer, numeric.
const NUMBERS: [u32; 4] = [20, 21, 23, 1700];
/// And of `char(n)`.
const FIXED: u32 = 1042;

type Row = Vec<Option<String>>;

/// Where the first answer differs from the second to the same query; nothing: nowhere.
pub(super) fn difference(sql: &str, ours: &Answer, theirs: &Answer) -> Option<String> {
    let names = |answer: &Answer| {
        let names = answer.columns.iter().map(|column| column.name.clone());
        names.collect::<Vec<_>>().join(", ")
    };
    let (our_names, their_names) = (names(ours), names(theirs));
    if our_names != their_names {
        return Some(format!("columns {our_names} instead of {their_names}"));
    }
    if ours.rows.len() != theirs.rows.len() {
        let (ours, theirs) = (ours.rows.len(), theirs.rows.len());
        return Some(format!("{ours} rows instead of {theirs}"));
    }
    let order = match order(sql, &ours.columns) {
        Ok(order) => order,
        Err(name) => return Some(format!("it is ordered by {name}, which is no column")),
    };
    let kinds = ours.columns.iter().zip(&theirs.columns);
    let kinds: Vec<(u32, u32)> = kinds.map(|(a, b)| (a.kind, b.kind)).collect();
    let [ours, theirs] = [ours, theirs].map(|answer| in_order(&answer.rows, &kinds, &order));
    let mut pairs = ours.iter().zip(&theirs).enumerate();
    let (at, (ours, theirs)) = pairs.find(|(_, (ours, theirs))| ours != theirs)?;
    let shown = |row: &Row| {
        let values = row.iter().map(|value| value.as_deref().unwrap_or("null"));
        values.collect::<Vec<_>>().join(", ")
    };
    let (ours, theirs) = (shown(ours), shown(theirs));
    Some(format!("row {}: {ours} instead of {theirs}", at + 1))
}

/// The columns that the query's last ORDER BY names; an error is a name that is none of theirs.
fn order(sql: &str, columns: &[Column]) -> Result<Vec<usize>, String> {
    let Some((_, order)) = sql.rsplit_once("order by") else {
        return Ok(Vec::new());
    };
    let order = order.split("limit").next().unwrap_or_default();
    let position = |term: &str| {
        let name = term.split_whitespace().next().unwrap_or_default();
        let mut names = columns.iter().map(|column| &column.name);
        names
            .position(|column| column == name)
            .ok_or_else(|| name.to_owned())
    };
    order.split(',').map(position).collect()
}

/// The rows as they are compared: values in one form, equal rows of the order in an order of their own.
fn in_order(rows: &[Row], kinds: &[(u32, u32)], order: &[usize]) -> Vec<Row> {
    let plain =
        |(value, kinds): (&Option<String>, _)| value.as_ref().map(|text| plain(text, kinds));
    let row = |row: &Row| row.iter().zip(kinds.iter().copied()).map(plain).collect();
    let mut rows: Vec<Row> = rows.iter().map(row).collect();
    let tied = |a: &Row, b: &Row| order.iter().all(|column| a[*column] == b[*column]);
    for tie in rows.chunk_by_mut(tied) {
        tie.sort();
    }
    rows
}

/// The one form of a value of these types, on our side and on theirs.
fn plain(text: &str, (ours, theirs): (u32, u32)) -> String {
    if NUMBERS.contains(&ours) && NUMBERS.contains(&theirs) {
        number(text)
    } else if ours == FIXED && theirs == FIXED {
        text.trim_end_matches(' ').to_owned()
    } else {
        text.to_owned()
    }
}

/// A decimal without zeros that say nothing; what is none stays as it is.
fn number(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !all_digits(whole) || !all_digits(part) {
        return text.to_owned();
    }
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    match (whole, part) {
        ("", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        (whole, part) => format!("{sign}{whole}.{part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "select kind, sum(a) as total from t order by total desc, kind limit 10";
    const TEXT: u32 = 25;

    /// Rows by line, their values by blanks; `-` is null.
    fn answer(kinds: &[(&str, u32)], rows: &[&str]) -> Answer {
        let column = |(name, kind): &(&str, u32)| Column {
            name: (*name).to_owned(),
            kind: *kind,
        };
        let value = |text: &str| (text != "-").then(|| text.to_owned());
        let row = |row: &&str| row.split(' ').map(value).collect();
        Answer {
            columns: kinds.iter().map(column).collect(),
            rows: rows.iter().map(row).collect(),
        }
    }

    fn differ(sql: &str, ours: &[&str], theirs: &[&str]) -> Option<String> {
        let answer = |rows| answer(&[("kind", TEXT), ("total", 1700)], rows);
        difference(sql, &answer(ours), &answer(theirs))
    }

    #[test]
    fn numbers_are_compared_by_their_values() {
        assert_eq!(
            differ(SQL, &["a 1.5", "b 0"], &["a 1.500", "b -0.00"]),
            None
        );
        assert_eq!(differ(SQL, &["a -10"], &["a -10.0"]), None);
        let difference = differ(SQL, &["a 1.5", "b -"], &["a 1.5", "b 0"]);
        assert_eq!(difference.unwrap(), "row 2: b, null instead of b, 0");
        // The last of many digits counts: nobody rounds.
        let [ours, theirs] = ["a 25.5020000000000001", "a 25.5020000000000002"];
        assert!(differ(SQL, &[ours], &[theirs]).is_some());
        for (text, one) in [
            ("007.10", "7.1"),
            ("100", "100"),
            (".5", ".5"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(number(text), one);
        }
    }

    #[test]
    fn types_say_what_is_compared() {
        let one = |kind, row| answer(&[("a", kind)], &[row]);
        let sql = "select a from t";
        assert_eq!(difference(sql, &one(20, "5"), &one(1700, "5.0")), None);
        assert!(difference(sql, &one(TEXT, "5"), &one(1700, "5.0")).is_some());
        let mut padded = one(FIXED, "x");
        padded.rows[0][0] = Some("x   ".to_owned());
        assert_eq!(difference(sql, &one(FIXED, "x"), &padded), None);
        assert!(difference(sql, &one(TEXT, "x"), &padded).is_some());
    }

    #[test]
    fn only_rows_of_the_same_place_may_change_places() {
        let theirs = ["a 2", "b 2", "c 1"];
        assert_eq!(differ(SQL, &theirs, &theirs), None);
        let ours = ["b 2", "a 2", "c 1"];
        assert!(differ(SQL, &ours, &theirs).is_some());
        let by_total = "select kind, sum(a) as total from t order by total desc";
        assert_eq!(differ(by_total, &ours, &theirs), None);
        let ours = ["c 1", "a 2", "b 2"];
        let difference = differ(by_total, &ours, &theirs);
        assert_eq!(difference.unwrap(), "row 1: c, 1 instead of a, 2");
        // As a multiset: how often counts.
        assert!(differ(by_total, &["a 2", "a 2", "c 1"], &theirs).is_some());
        // Without an order, rows are a set.
        assert_eq!(differ("select kind, total from t", &ours, &theirs), None);
    }

    #[test]
    fn columns_and_the_number_of_rows_count() {
        assert_eq!(differ(SQL, &["a 1"], &[]).unwrap(), "1 rows instead of 0");
        let [ours, theirs] = ["kind", "sort"].map(|name| answer(&[(name, TEXT)], &["a"]));
        assert_eq!(
            difference(SQL, &ours, &theirs).unwrap(),
            "columns kind instead of sort"
        );
        assert_eq!(
            difference(SQL, &ours, &ours).unwrap(),
            "it is ordered by total, which is no column"
        );
    }
}
