//! Where a text says what was looked for: short fragments with marked words. Tests: in `tests`.

use std::cmp::Reverse;
use std::ops::Range;

use super::terms::Tokens;
use super::{Analyzer, Scratch, TermQuery};

/// How much to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HighlightOptions {
    /// Fragments at most.
    pub fragments_max: usize,
    /// Bytes of a fragment at most. A longer word is not shown.
    pub fragment_bytes_max: usize,
}

impl Default for HighlightOptions {
    fn default() -> Self {
        Self {
            fragments_max: 3,
            fragment_bytes_max: 160,
        }
    }
}

/// A part of a text with the words that were found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The bytes of the text to show, between two characters and where possible two words.
    pub range: Range<usize>,
    /// The bytes of the text to mark, in order and apart, all within the range.
    pub marks: Vec<Range<usize>>,
}

/// The fragments of a text that show best what a query finds in it, in the order of the text: first
/// those with the most parts of the query, then those with the most words. None if nothing is
/// found. Where they are put into HTML, what is not markup is the caller's to escape.
pub fn highlight(
    query: &TermQuery,
    analyzer: &Analyzer,
    scratch: &mut Scratch,
    text: &str,
    options: HighlightOptions,
) -> Vec<Fragment> {
    let marks = marks(query, &Tokens::of(analyzer, scratch, text), options);
    let mut windows = windows(&marks, options.fragment_bytes_max);
    windows.sort_by_key(|window| (Reverse(window.parts), Reverse(window.marks.len())));
    windows.truncate(options.fragments_max);
    windows.sort_by_key(|window| window.marks.start);

    let mut fragments: Vec<Fragment> = Vec::with_capacity(windows.len());
    for (index, window) in windows.iter().enumerate() {
        // Not into the fragments beside it.
        let from = fragments.last().map_or(0, |before| before.range.end);
        let to = windows
            .get(index + 1)
            .map_or(text.len(), |next| marks[next.marks.start].range.start);
        let found = marks[window.marks.start].range.start..marks[window.marks.end - 1].range.end;
        let range = widened(text, found, from..to, options.fragment_bytes_max);
        // What the widening brought in is marked too.
        let first = marks.partition_point(|mark| mark.range.start < range.start);
        let inside = marks[first..].iter().map(|mark| mark.range.clone());
        let inside = inside.take_while(|mark| mark.end <= range.end);
        let marks = inside.collect();
        fragments.push(Fragment { range, marks });
    }
    fragments
}

/// A word to be marked.
struct Mark {
    range: Range<usize>,
    /// The parts of the query that it is found by, one bit each.
    parts: u64,
}

/// Marks that fit into one fragment.
struct Window {
    marks: Range<usize>,
    /// How many parts of the query they show.
    parts: u32,
}

/// The words that the query finds, in order, each once.
fn marks(query: &TermQuery, tokens: &Tokens, options: HighlightOptions) -> Vec<Mark> {
    let mut found: Vec<(usize, u64)> = Vec::new();
    let mut of_part = Vec::new();
    for (number, part) in query.wanted().enumerate() {
        for index in 0..tokens.list.len() {
            part.find(tokens, index, &mut of_part);
        }
        // A query has at most 64 parts, so that each has its bit.
        found.extend(
            of_part
                .drain(..)
                .map(|index| (index, 1_u64 << (number % 64))),
        );
    }
    found.sort_unstable();
    let mut marks: Vec<(usize, u64)> = Vec::with_capacity(found.len());
    for (index, part) in found {
        match marks.last_mut() {
            Some((last, parts)) if *last == index => *parts |= part,
            _ => marks.push((index, part)),
        }
    }
    let marks = marks.into_iter().map(|(index, parts)| Mark {
        range: tokens.list[index].range.clone(),
        parts,
    });
    marks
        .filter(|mark| mark.range.len() <= options.fragment_bytes_max)
        .collect()
}

/// All marks, as many in each window as fit, from the first on.
fn windows(marks: &[Mark], bytes_max: usize) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut start = 0;
    while start < marks.len() {
        let limit = marks[start].range.start + bytes_max;
        let fitting = marks[start..].iter().take_while(|m| m.range.end <= limit);
        let (count, parts) = fitting.fold((0, 0), |(n, parts), mark| (n + 1, parts | mark.parts));
        // One that does not fit alone was left out before.
        let end = start + count.max(1);
        windows.push(Window {
            marks: start..end,
            parts: parts.count_ones(),
        });
        start = end;
    }
    windows
}

/// What was found with words before and behind it, as many as there is room for within bounds.
fn widened(
    text: &str,
    found: Range<usize>,
    bounds: Range<usize>,
    bytes_max: usize,
) -> Range<usize> {
    let room = bytes_max.saturating_sub(found.len());
    // What is missing on one side is room for the other.
    let behind = bounds.end - found.end;
    let before = (room - (room / 2).min(behind)).min(found.start - bounds.start);
    let mut start = text.ceil_char_boundary(found.start - before);
    if start > bounds.start {
        // The first word is whole when one begins between here and what was found.
        let space = text[start..found.start].find(char::is_whitespace);
        start += space.unwrap_or(0);
    }
    let spaces = text[start..found.start].trim_start().len();
    start = found.start - spaces;

    let behind = (bytes_max - (found.end - start)).min(behind);
    let mut end = text.floor_char_boundary(found.end + behind);
    if end < bounds.end {
        let space = text[found.end..end].rfind(char::is_whitespace);
        end = space.map_or(end, |space| found.end + space);
    }
    end = found.end + text[found.end..end].trim_end().len();
    start..end
}
