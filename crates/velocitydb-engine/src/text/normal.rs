//! One form for each word: lower case, and letters without their marks. Tests: below.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_canonical;

use super::{Language, TERM_BYTES_MAX};

/// Writes a word in its one form (NFKC) and in lower case, cut to [`TERM_BYTES_MAX`].
pub(super) fn lower(word: &str, language: Language, into: &mut String) {
    into.clear();
    let turkish = language == Language::Turkish;
    if word.is_ascii() && !turkish {
        into.push_str(&word[..word.len().min(TERM_BYTES_MAX)]);
        into.make_ascii_lowercase();
        return;
    }
    let mut push = |letter: char| {
        let room = into.len() + letter.len_utf8() <= TERM_BYTES_MAX;
        if room {
            into.push(letter);
        }
        room
    };
    for letter in word.nfkc() {
        let room = match letter {
            'I' if turkish => push('ı'),
            'İ' if turkish => push('i'),
            // The apostrophe that stop words and stemmers know.
            '’' => push('\''),
            // At the end of a word it is written in another way: no other word.
            'ς' => push('σ'),
            _ => letter.to_lowercase().all(&mut push),
        };
        if !room {
            break;
        }
    }
}

/// Writes a word in lower case without its diacritics.
pub(super) fn fold(word: &str, into: &mut String) {
    into.clear();
    for letter in word.chars() {
        let mut base = None;
        decompose_canonical(letter, |part| {
            base.get_or_insert(part);
        });
        match base.unwrap_or(letter) {
            // Marks that form no letter with what is before them.
            '\u{300}'..='\u{36f}' => {}
            'ß' => into.push_str("ss"),
            'æ' => into.push_str("ae"),
            'œ' => into.push_str("oe"),
            'þ' => into.push_str("th"),
            'ø' => into.push('o'),
            'đ' | 'ð' => into.push('d'),
            'ħ' => into.push('h'),
            'ı' => into.push('i'),
            'ł' => into.push('l'),
            base @ ('\0'..='\u{24f}' | 'α'..='ω') => into.push(base),
            // Elsewhere a mark makes another letter, as in й.
            _ if letter == 'ё' => into.push('е'),
            _ => into.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(word: &str, language: Language) -> String {
        let mut into = "before".to_owned();
        lower(word, language, &mut into);
        into
    }

    #[test]
    fn one_form_in_lower_case() {
        for (word, expected) in [
            ("Stra\u{df}e", "straße"),
            ("CAFE\u{301}", "café"),
            ("Don’t", "don't"),
            ("ΟΔΟΣ", "οδοσ"),
            ("οδος", "οδοσ"),
            ("ＶＥＬＯＣＩＴＹ", "velocity"),
            ("ﬁn", "fin"),
        ] {
            assert_eq!(lowered(word, Language::Simple), expected);
        }
        assert_eq!(lowered("ISPARTA İZMİR", Language::Turkish), "ısparta izmir");
        let long = "ä".repeat(TERM_BYTES_MAX);
        assert_eq!(lowered(&long, Language::German), "ä".repeat(32));
        assert_eq!(lowered(&"A".repeat(100), Language::German), "a".repeat(64));
    }

    #[test]
    fn letters_without_marks() {
        for (word, expected) in [
            ("luleå", "lulea"),
            ("crème", "creme"),
            ("ångström", "angstrom"),
            ("smørrebrød", "smorrebrod"),
            ("łódź", "lodz"),
            ("œuvre", "oeuvre"),
            ("ǿ", "o"),
            ("việt", "viet"),
            ("x\u{304}", "x"),
            ("άλφα", "αλφα"),
            ("ёлка", "елка"),
            ("йод", "йод"),
            ("東京", "東京"),
        ] {
            let mut into = String::new();
            fold(word, &mut into);
            assert_eq!(into, expected, "{word}");
        }
    }
}
