//! Text as words that can be searched: analysis, queries, ranking, highlights.
//!
//! An [`Analyzer`] turns text into **terms**: words in lower case, reduced to their stem, without
//! diacritics, each with its position. A [`TextQuery`] is what a person typed; for an analyzer it
//! becomes a [`TermQuery`], which says which terms to look up and decides, on the terms of one
//! text, whether it matches. An index over terms must find what [`TermQuery::matches`] finds, no more
//! and no less. [`idf`] and [`bm25`] rank what was found, [`highlight`] shows where.
//!
//! Everything here is a function of its arguments: no I/O, no clock, nothing from the rest of the
//! engine. Terms are bounded ([`TERM_BYTES_MAX`]), queries too. Stems may change when the crate
//! of the stemmers does, so terms are kept in memory and in no file.
//!
//! Only with the feature `full-text`. Tests: beside each part; `tests` reads as documentation.

mod analyzer;
mod fuzzy;
mod highlight;
mod normal;
mod query;
mod rank;
mod stop_words;
mod terms;
#[cfg(test)]
mod tests;

pub use analyzer::{Analyzer, Diacritics, Language, Scratch, TERM_BYTES_MAX};
pub use fuzzy::{EDITS_MAX, Fuzzy};
pub use highlight::{Fragment, HighlightOptions, highlight};
pub use query::{PARTS_MAX, QUERY_BYTES_MAX, Require, TextQuery, TextQueryError, WORDS_MAX};
pub use rank::{BM25_B, BM25_K1, bm25, idf};
pub(crate) use terms::TEXT_GAP;
pub use terms::{Part, TermQuery};
