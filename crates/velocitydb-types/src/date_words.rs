//! A text of a date, time or interval, cut into words as PostgreSQL cuts it.
//!
//! What a word means is for its reader to say: the same `-1:30` is a time zone in a moment and a
//! time of day in an interval. Tests: through `interval`, and the readers of moments in
//! `velocitydb-sql`.

/// What a word looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateWordKind {
    /// Digits, perhaps with a fraction: `5`, `1.5`, `.5`.
    Number,
    /// Digits with hyphens, slashes or points, a month's name within: `2026-11-30`, `30-nov-2026`;
    /// or a time zone's name with a mark or digits in it.
    Date,
    /// Digits with colons: `04:05:06.5`.
    Time,
    /// Letters.
    Letters,
    /// A sign and digits: `+02:00`, `-5`, `-1.5`.
    Signed,
    /// A sign and letters: `-infinity`.
    SignedLetters,
}

/// A word, in lowercase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateWord {
    /// What it looks like.
    pub kind: DateWordKind,
    /// Its characters.
    pub text: String,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// Words that are more than the beginning of a zone's name.
const WORDS: [&str; 24] = [
    "ad",
    "allballs",
    "am",
    "at",
    "bc",
    "d",
    "dst",
    "epoch",
    "h",
    "infinity",
    "j",
    "jd",
    "julian",
    "m",
    "mm",
    "now",
    "on",
    "pm",
    "s",
    "t",
    "today",
    "tomorrow",
    "y",
    "yesterday",
];

/// 1 to 12 of a month's name or its first three letters.
pub fn month_of(word: &str) -> Option<i64> {
    let found = MONTHS
        .iter()
        .position(|name| *name == word || name[..3] == *word);
    let found = found.or((word == "sept").then_some(8));
    found.map(|at| at as i64 + 1)
}

/// Whether it is the name of a day of the week, or the beginning of one.
pub fn is_weekday(word: &str) -> bool {
    let named = |name: &str| *name == *word || name[..3] == *word;
    WEEKDAYS.iter().any(|name| named(name)) || ["tues", "weds", "thur", "thurs"].contains(&word)
}

/// Whether letters are more than the beginning of a time zone's name.
fn is_keyword(word: &str) -> bool {
    WORDS.contains(&word) || month_of(word).is_some() || is_weekday(word)
}

/// Words that a text may have.
const WORDS_MAX: usize = 25;

/// Cuts a text into words. `None` when it is no text of a date, or has too many words.
pub fn date_words(text: &str) -> Option<Vec<DateWord>> {
    let mut rest = text.as_bytes();
    let mut words = Vec::new();
    while let Some(&first) = rest.first() {
        if first.is_ascii_whitespace() || first == 0x0b {
            rest = &rest[1..];
            continue;
        }
        let mut word = String::new();
        let kind = match first {
            b'0'..=b'9' => numeric(&mut rest, &mut word),
            b'.' => {
                take_while(&mut rest, &mut word, |byte| byte == b'.');
                word.truncate(1);
                take_while(&mut rest, &mut word, |byte| byte.is_ascii_digit());
                DateWordKind::Number
            }
            b'A'..=b'Z' | b'a'..=b'z' => letters(&mut rest, &mut word),
            b'+' | b'-' => {
                word.push(first.into());
                rest = rest[1..].trim_ascii_start();
                match rest.first()? {
                    b'0'..=b'9' => {
                        take_while(&mut rest, &mut word, |byte| {
                            byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'-')
                        });
                        DateWordKind::Signed
                    }
                    b'A'..=b'Z' | b'a'..=b'z' => {
                        take_while(&mut rest, &mut word, |byte| byte.is_ascii_alphabetic());
                        DateWordKind::SignedLetters
                    }
                    _ => return None,
                }
            }
            mark if mark.is_ascii_punctuation() => {
                rest = &rest[1..];
                continue;
            }
            _ => return None,
        };
        if words.len() == WORDS_MAX {
            return None;
        }
        words.push(DateWord { kind, text: word });
    }
    Some(words)
}

fn take_while(rest: &mut &[u8], word: &mut String, accepted: impl Fn(u8) -> bool) {
    while let Some((&byte, after)) = rest.split_first() {
        if !accepted(byte) {
            break;
        }
        word.push(byte.to_ascii_lowercase().into());
        *rest = after;
    }
}

/// A word that begins with a digit.
fn numeric(rest: &mut &[u8], word: &mut String) -> DateWordKind {
    let digit = |byte: u8| byte.is_ascii_digit();
    take_while(rest, word, digit);
    match rest.first().copied() {
        Some(b':') => {
            take_while(rest, word, |byte| {
                digit(byte) || matches!(byte, b':' | b'.')
            });
            DateWordKind::Time
        }
        Some(mark @ (b'-' | b'/' | b'.')) => {
            word.push(mark.into());
            *rest = &rest[1..];
            if !rest.first().copied().is_some_and(digit) {
                take_while(rest, word, |byte| {
                    byte.is_ascii_alphanumeric() || byte == mark
                });
                return DateWordKind::Date;
            }
            take_while(rest, word, digit);
            if rest.first() == Some(&mark) {
                take_while(rest, word, |byte| digit(byte) || byte == mark);
                return DateWordKind::Date;
            }
            match mark {
                b'.' => DateWordKind::Number,
                _ => DateWordKind::Date,
            }
        }
        _ => DateWordKind::Number,
    }
}

/// A word that begins with a letter.
fn letters(rest: &mut &[u8], word: &mut String) -> DateWordKind {
    take_while(rest, word, |byte| byte.is_ascii_alphabetic());
    let goes_on = match rest.first() {
        Some(b'-' | b'/' | b'.') => true,
        Some(b'+' | b'0'..=b'9') => !is_keyword(word),
        _ => false,
    };
    if !goes_on {
        return DateWordKind::Letters;
    }
    take_while(rest, word, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
    });
    DateWordKind::Date
}
