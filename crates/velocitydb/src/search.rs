//! Searching texts: ranked, with highlights.
//!
//! A search ends like a find when it is interrupted, and when it would keep more than its
//! [`Limits`]: what the index finds before it is ranked, and the answer with its highlights.
//! Tests: `search` in tests/it.

use std::cell::RefCell;
use std::sync::Arc;

use velocitydb_engine::store::FieldIndex;
use velocitydb_engine::text::{
    Fragment, HighlightOptions, Language, Require, Scratch, TextQuery, highlight,
};
use velocitydb_engine::{Document, Error};
use velocitydb_query::{Filter, Kept, Limits, QueryError};
use velocitydb_types::{ErrorClass, Path, RawValue};

use crate::collection::Collection;
use crate::view::{CollectionView, Failure, Gate};

/// A question for texts, by a full-text index.
///
/// ```text
///   Search::new("quick \"brown fox\" jum* -lazy")
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Search {
    /// What was typed: words, "phrases", prefixes*, misspelt~ words, -words that must not occur.
    pub text: String,
    /// Whether all words must occur, or any.
    pub require: Require,
    /// Which full-text index; `None`: the only one.
    pub index: Option<String>,
    /// Which documents else.
    pub filter: Filter,
    /// How many of the first are left out.
    pub offset: usize,
    /// How many there are at most. 10 unless set.
    pub limit: usize,
    /// How the places are shown where words were found; `None`: not at all.
    pub highlight: Option<HighlightOptions>,
    /// How much may be kept.
    pub limits: Limits,
}

/// A document that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The document.
    pub document: Document,
    /// How well it answers: BM25, to be compared within one answer.
    pub score: f64,
    /// Where words were found, by the field.
    pub highlights: Vec<(Path, String, Vec<Fragment>)>,
}

impl Search {
    /// The ten documents that answer best.
    pub fn new(text: impl Into<String>) -> Search {
        Search {
            text: text.into(),
            require: Require::All,
            index: None,
            filter: Filter::All,
            offset: 0,
            limit: 10,
            highlight: None,
            limits: Limits::default(),
        }
    }

    /// The same; one of the words is enough.
    pub fn any(self) -> Search {
        Search {
            require: Require::Any,
            ..self
        }
    }

    /// The same, by the index of this name.
    pub fn index(self, name: impl Into<String>) -> Search {
        Search {
            index: Some(name.into()),
            ..self
        }
    }

    /// The same, among documents that a filter lets through.
    pub fn filter(self, filter: Filter) -> Search {
        Search { filter, ..self }
    }

    /// The same, at most so many documents.
    pub fn limit(self, limit: usize) -> Search {
        Search { limit, ..self }
    }

    /// The same, without the first ones.
    pub fn offset(self, offset: usize) -> Search {
        Search { offset, ..self }
    }

    /// The same, with the places where words were found.
    pub fn highlight(self, options: HighlightOptions) -> Search {
        Search {
            highlight: Some(options),
            ..self
        }
    }

    /// The same, keeping no more than this.
    pub fn limits(self, limits: Limits) -> Search {
        Search { limits, ..self }
    }
}

impl Collection {
    /// The documents that answer a search, the best first.
    pub fn search(&self, search: &Search) -> Result<Vec<Found>, Error> {
        self.view()?.search(search)
    }
}

impl CollectionView {
    /// The documents that answer a search, the best first.
    pub fn search(&self, search: &Search) -> Result<Vec<Found>, Error> {
        search.filter.check().map_err(Failure::Query)?;
        let query = TextQuery::parse(&search.text, search.require);
        let query = query.map_err(|error| match error.class() {
            ErrorClass::Limit => Error::QueryLimit(error.to_string()),
            _ => Error::Invalid(error.to_string()),
        })?;
        let texts = self
            .runtime
            .indexes()
            .filter(|index| index.analyzer().is_some());
        let texts: Vec<_> = texts.collect();
        let wanted = |index: &&Arc<FieldIndex>| match &search.index {
            Some(name) => index.definition().name == *name,
            None => texts.len() == 1,
        };
        let index = texts.iter().find(wanted).filter(|index| index.is_built());
        let index = index.ok_or_else(|| {
            let names: Vec<_> = texts.iter().map(|index| &index.definition().name).collect();
            Error::Invalid(format!(
                "the search needs one full-text index, named or the only one, that is built; there \
                 are {names:?}"
            ))
        })?;
        let analyzer = index.analyzer().expect("a full-text index");
        index.note_use(self.view.snapshot.time());
        let terms = query.terms(analyzer);
        let (mut found, mut left_out) = (Vec::new(), 0);
        if search.limit == 0 {
            return Ok(found);
        }
        let mut scratch = Scratch::default();
        let work = RefCell::new(Work {
            gate: Gate::new(self.interrupt.as_ref(), &search.filter),
            index: 0,
            kept: Kept::new(search.limits.of_all(&self.view.memory)),
            outcome: Ok(()),
        });
        if !work.borrow_mut().gate.asks() {
            return work.into_inner().end().map(|()| found);
        }
        let may = &mut |bytes| work.borrow_mut().may_keep(bytes);
        let snapshot = &self.view.snapshot;
        snapshot.search(&self.runtime, index, &terms, may, |score, document| {
            let work = &mut *work.borrow_mut();
            if !work.gate.passes() {
                return false;
            }
            if !search.filter.matches(document) {
                return true;
            }
            if left_out < search.offset {
                left_out += 1;
                return true;
            }
            let (mut highlights, mut bytes) = (Vec::new(), size_of::<Found>());
            if let Some(options) = search.highlight {
                for field in &index.definition().fields {
                    let value = document.fields().get_path(&field.path);
                    let text = value.and_then(RawValue::as_str).unwrap_or_default();
                    let fragments = highlight(&terms, analyzer, &mut scratch, text, options);
                    if !fragments.is_empty() {
                        bytes += text.len() + size_of::<(Path, String, Vec<Fragment>)>();
                        let marks = fragments.iter().map(|f| size_of_val(&f.marks[..]));
                        bytes += size_of_val(&fragments[..]) + marks.sum::<usize>();
                        highlights.push((field.path.clone(), text.to_owned(), fragments));
                    }
                }
            }
            work.outcome = work.kept.add(bytes);
            if work.outcome.is_err() {
                return false;
            }
            found.push(Found {
                document: document.clone(),
                score,
                highlights,
            });
            found.len() < search.limit
        })?;
        work.into_inner().end().map(|()| found)
    }
}

/// What a search keeps, and whether it may go on.
struct Work<'i> {
    gate: Gate<'i>,
    /// Bytes that the index keeps.
    index: usize,
    kept: Kept,
    outcome: Result<(), QueryError>,
}

impl Work<'_> {
    /// Whether the index may go on with so many bytes.
    fn may_keep(&mut self, bytes: usize) -> bool {
        self.outcome = self.kept.resize(self.index, bytes);
        self.index = bytes;
        self.outcome.is_ok() && self.gate.asks()
    }

    fn end(self) -> Result<(), Error> {
        self.gate.outcome?;
        self.outcome.map_err(|error| Failure::Query(error).into())
    }
}

/// The languages that full-text indexes know.
pub fn languages() -> impl Iterator<Item = Language> {
    Language::all()
}
