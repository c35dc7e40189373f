//! Words that say nothing, from the lists of NLTK (the crate `stop-words`): short ones, about 50
//! to 300 words each. Tests: below.

/// The stop words of a language by its code, in order.
pub(super) fn of(code: &str) -> Vec<&'static str> {
    let mut words = stop_words::lookup(code).unwrap_or_default().to_vec();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_language_has_a_short_list() {
        for code in [
            "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "hu", "ro", "ru",
            "tr",
        ] {
            let count = super::of(code).len();
            assert!((40..=420).contains(&count), "{code}: {count}");
        }
        assert!(super::of("xx").is_empty());
    }
}
