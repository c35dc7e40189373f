//! What is wrong, and where: shown under the line that was typed.
//!
//! Tests: below.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::render::escape;

/// Why a statement was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    what: String,
    offset: Option<usize>,
    more: Vec<String>,
}

/// A line that is longer is shown from this many columns before the place.
const BEFORE_MAX: usize = 60;
/// … and cut this many after it.
const AFTER_MAX: usize = 30;

impl Complaint {
    /// Something that has no place in the statement.
    pub fn new(what: impl Into<String>) -> Complaint {
        Complaint {
            what: what.into(),
            offset: None,
            more: Vec::new(),
        }
    }

    /// Something at a place: the byte of the statement.
    pub fn at(what: impl Into<String>, offset: usize) -> Complaint {
        Complaint {
            offset: Some(offset),
            ..Complaint::new(what)
        }
    }

    /// The same with one line more.
    #[must_use]
    pub fn more(mut self, line: impl Into<String>) -> Complaint {
        self.more.push(line.into());
        self
    }

    /// What is wrong.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Where, in bytes of the statement.
    pub fn offset(&self) -> Option<usize> {
        self.offset
    }

    /// The lines for a user, without the last line's end. `first_line` is the number of the
    /// statement's first line in its script.
    pub fn show(&self, statement: &str, first_line: Option<usize>) -> String {
        let place = self.offset.map(|offset| Place::of(statement, offset));
        let mut text = match first_line {
            Some(first) => {
                let line = first + place.as_ref().map_or(0, |place| place.line);
                format!("error at line {line}: {}", escape(&self.what))
            }
            None => format!("error: {}", escape(&self.what)),
        };
        if let Some(place) = place {
            text += &format!("\n  {}\n  {}^", place.shown, " ".repeat(place.columns));
        }
        for line in &self.more {
            text += &format!("\n{}", escape(line));
        }
        text
    }
}

/// A line of a statement with the columns before a place in it.
struct Place {
    /// From 0.
    line: usize,
    shown: String,
    columns: usize,
}

impl Place {
    fn of(statement: &str, offset: usize) -> Place {
        let offset = statement.floor_char_boundary(offset.min(statement.len()));
        let (before, after) = statement.split_at(offset);
        let line = before.matches('\n').count();
        let before = before.rsplit('\n').next().unwrap_or_default();
        let after = after.split('\n').next().unwrap_or_default();
        // What comes before is measured as it is shown: with control characters escaped.
        let (before, after) = (escape(before), escape(after));
        let (start, cut) = (tail(&before, BEFORE_MAX), head(&after, AFTER_MAX));
        let left = if start > 0 { "…" } else { "" };
        let right = if cut < after.len() { "…" } else { "" };
        let columns = left.width() + before[start..].width();
        Place {
            line,
            shown: format!("{left}{}{}{right}", &before[start..], &after[..cut]),
            columns,
        }
    }
}

/// Where the last `columns_max` columns of a text begin.
fn tail(text: &str, columns_max: usize) -> usize {
    let mut columns = 0;
    for (at, c) in text.char_indices().rev() {
        columns += c.width().unwrap_or(0);
        if columns > columns_max {
            return at + c.len_utf8();
        }
    }
    0
}

/// Where the first `columns_max` columns of a text end.
fn head(text: &str, columns_max: usize) -> usize {
    let mut columns = 0;
    for (at, c) in text.char_indices() {
        columns += c.width().unwrap_or(0);
        if columns > columns_max {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let complaint = Complaint::at("wrong", 8).more("help");
        assert_eq!(
            complaint.show("put t 1 x", None),
            "error: wrong\n  put t 1 x\n          ^\nhelp"
        );
        // The second line of a statement that begins in line 7; a wide character takes two
        // columns.
        let statement = "put t 1 {\n \"日\": x}";
        let at = statement.find('x').unwrap();
        assert_eq!(
            Complaint::at("wrong", at).show(statement, Some(7)),
            "error at line 8: wrong\n   \"日\": x}\n         ^"
        );
        assert_eq!(Complaint::new("wrong").show("get", None), "error: wrong");
        // A place behind the end is the end.
        assert_eq!(
            Complaint::at("wrong", 99).show("get", None),
            "error: wrong\n  get\n     ^"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let statement = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let shown = Complaint::at("wrong", 500).show(&statement, None);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[1],
            format!("  …{}x{}…", "a".repeat(60), "b".repeat(29))
        );
        assert_eq!(lines[2].find('^'), Some(2 + 1 + 60));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let shown = Complaint::at("\u{1b}[31m", 4).show("get \u{1b}c", None);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
