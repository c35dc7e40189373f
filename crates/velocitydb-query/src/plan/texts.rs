//! Words in texts, by a full-text index.
//!
//! A condition on the text of a field is served by an index over that field, others beside it or
//! not, in the same language. Of what must be found, one word or one list of alternatives proposes
//! documents: the one that is guessed to have the fewest. The condition is asked again of each, so
//! that phrases, the other words, and those that must not occur are judged on the document.

use std::fmt;
use std::sync::Arc;

use velocitydb_engine::store::FieldIndex;
use velocitydb_engine::text::Part;

use super::{Access, Candidate};
use crate::filter::Filter;
use crate::find::Find;

/// How a full-text index helps; `None` where nothing is asked of its texts.
pub(super) fn candidate(
    index: &Arc<FieldIndex>,
    find: &Find,
    conjuncts: &[&Filter],
) -> Option<Candidate> {
    let definition = index.definition();
    let language = definition.text_language().name();
    let asked = conjuncts.iter().filter_map(|condition| match condition {
        Filter::Text(path, text) if text.language() == language => {
            let mut fields = definition.fields.iter();
            fields.any(|field| field.path == *path).then_some(text)
        }
        _ => None,
    });
    let lists = asked.flat_map(|text| &text.terms().required);
    let proposals = lists.map(|any| {
        let words: Vec<Part> = any.iter().map(|part| rarest(index, part)).collect();
        (index.estimate_words(&words), words)
    });
    let (rows, words) = proposals.min_by_key(|(rows, _)| *rows)?;
    Some(Candidate {
        access: Access::Words {
            index: Arc::clone(index),
            words,
        },
        rows: rows as f64,
        sorted_by: 0,
        sorted: find.sort.is_empty(),
        run: None,
        known: 1,
        bounded: 1,
    })
}

/// Of a phrase the rarest word, all else as it is.
fn rarest(index: &FieldIndex, part: &Part) -> Part {
    let Part::Phrase(words) = part else {
        return part.clone();
    };
    let words = words.iter().map(|(word, _)| [Part::Term(word.clone())]);
    let rarest = words.min_by_key(|word| index.estimate_words(word));
    rarest.map_or_else(|| part.clone(), |[word]| word)
}

/// The words in a plan: `with fox or jump*`.
pub(super) fn describe(words: &[Part], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, word) in words.iter().enumerate() {
        f.write_str(if at == 0 { ", with " } else { " or " })?;
        match word {
            Part::Term(term) => f.write_str(term)?,
            Part::Phrase(words) => f.write_str(words.first().map_or("", |(word, _)| word))?,
            Part::Prefix { prefix, .. } => write!(f, "{prefix}*")?,
            Part::Fuzzy(fuzzy) => write!(f, "{}~{}", fuzzy.word(), fuzzy.edits())?,
        }
    }
    Ok(())
}
