//! What is wrong with a text that is no JSON, in PostgreSQL's words.
//!
//! Asked when a text was refused: the text is read again as PostgreSQL reads it, token by token, up to the
//! one that does not fit. Nests as deep as it likes, in memory of a byte for each level. Tests: below.

use super::error::FormatError;

/// So many bytes of a line are shown at most.
const SHOWN_BYTES: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Comma,
    Colon,
    String,
    /// A number, `true`, `false` or `null`.
    Scalar,
    End,
}

/// What may stand next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    ValueOrArrayEnd,
    KeyOrObjectEnd,
    Key,
    Colon,
    NextInArray,
    NextInObject,
    End,
}

impl Expected {
    fn words(self) -> &'static str {
        match self {
            Expected::Value | Expected::ValueOrArrayEnd => "JSON value",
            Expected::KeyOrObjectEnd => "string or \"}\"",
            Expected::Key => "string",
            Expected::Colon => "\":\"",
            Expected::NextInArray => "\",\" or \"]\"",
            Expected::NextInObject => "\",\" or \"}\"",
            Expected::End => "end of input",
        }
    }
}

/// What PostgreSQL says of a text; `None`: it takes it.
pub(super) fn found(text: &str) -> Option<FormatError> {
    let mut lexer = Lexer {
        text,
        start: 0,
        end: 0,
        line: 1,
        line_start: 0,
        ended: false,
    };
    let error = match lexer.read() {
        Ok(()) => return None,
        Err(detail) if detail == NUL => {
            FormatError::new("22P05", "unsupported Unicode escape sequence").with_detail(detail)
        }
        Err(detail) => {
            FormatError::new("22P02", "invalid input syntax for type json").with_detail(detail)
        }
    };
    Some(error.with_context(lexer.context()))
}

const NUL: &str = "\\u0000 cannot be converted to text.";

struct Lexer<'t> {
    text: &'t str,
    /// Where the token at hand begins.
    start: usize,
    /// Where it ends: what is shown of the line ends there.
    end: usize,
    line: usize,
    line_start: usize,
    /// Whether the token at hand is the end of the text.
    ended: bool,
}

impl Lexer<'_> {
    /// Reads all of it; an error is the detail that tells what is wrong.
    fn read(&mut self) -> Result<(), String> {
        // For each level whether it is an object.
        let mut levels: Vec<bool> = Vec::new();
        let mut expected = Expected::Value;
        loop {
            let token = self.next()?;
            let value_ends = |levels: &[bool]| match levels.last() {
                None => Expected::End,
                Some(true) => Expected::NextInObject,
                Some(false) => Expected::NextInArray,
            };
            expected = match (expected, token) {
                (Expected::End, Token::End) => return Ok(()),
                (Expected::Value | Expected::ValueOrArrayEnd, token) => match token {
                    Token::ObjectStart => {
                        levels.push(true);
                        Expected::KeyOrObjectEnd
                    }
                    Token::ArrayStart => {
                        levels.push(false);
                        Expected::ValueOrArrayEnd
                    }
                    Token::String | Token::Scalar => value_ends(&levels),
                    Token::ArrayEnd if expected == Expected::ValueOrArrayEnd => {
                        levels.pop();
                        value_ends(&levels)
                    }
                    _ => return Err(self.misfit(expected)),
                },
                (Expected::KeyOrObjectEnd | Expected::Key, Token::String) => Expected::Colon,
                (Expected::Colon, Token::Colon) => Expected::Value,
                (Expected::NextInArray, Token::Comma) => Expected::Value,
                (Expected::NextInObject, Token::Comma) => Expected::Key,
                (Expected::NextInArray, Token::ArrayEnd)
                | (Expected::NextInObject | Expected::KeyOrObjectEnd, Token::ObjectEnd) => {
                    levels.pop();
                    value_ends(&levels)
                }
                _ => return Err(self.misfit(expected)),
            };
        }
    }

    fn misfit(&self, expected: Expected) -> String {
        match self.ended {
            true => "The input string ended unexpectedly.".into(),
            false => format!(
                "Expected {}, but found \"{}\".",
                expected.words(),
                self.token()
            ),
        }
    }

    fn token(&self) -> &str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    fn invalid(&self) -> String {
        format!("Token \"{}\" is invalid.", self.token())
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The end of the character that begins there.
    fn behind(&self, at: usize) -> usize {
        let character = self.text.get(at..).and_then(|rest| rest.chars().next());
        at + character.map_or(0, char::len_utf8)
    }

    fn next(&mut self) -> Result<Token, String> {
        let mut at = self.end;
        while let Some(blank @ (b' ' | b'\t' | b'\n' | b'\r')) = self.byte(at) {
            at += 1;
            if blank == b'\n' {
                self.line += 1;
                self.line_start = at;
            }
        }
        self.start = at;
        let Some(first) = self.byte(at) else {
            (self.end, self.ended) = (at, true);
            return Ok(Token::End);
        };
        self.end = at + 1;
        Ok(match first {
            b'{' => Token::ObjectStart,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayStart,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => {
                self.string()?;
                Token::String
            }
            b'-' | b'0'..=b'9' => {
                self.number()?;
                Token::Scalar
            }
            _ => {
                self.end = self.word_end(at).max(self.behind(at));
                match self.token() {
                    "true" | "false" | "null" => Token::Scalar,
                    _ => return Err(self.invalid()),
                }
            }
        })
    }

    fn word_end(&self, mut at: usize) -> usize {
        let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        while self.byte(at).is_some_and(is_of_word) {
            at += 1;
        }
        at
    }

    fn digits(&self, mut at: usize) -> Option<usize> {
        let from = at;
        while self.byte(at).is_some_and(|byte| byte.is_ascii_digit()) {
            at += 1;
        }
        (at > from).then_some(at)
    }

    fn number(&mut self) -> Result<(), String> {
        let mut wrong = false;
        let mut at = self.start + usize::from(self.byte(self.start) == Some(b'-'));
        let mut digits = |at: usize| {
            let end = self.digits(at);
            wrong |= end.is_none();
            end.unwrap_or(at)
        };
        at = match self.byte(at) {
            Some(b'0') => at + 1,
            _ => digits(at),
        };
        if self.byte(at) == Some(b'.') {
            at = digits(at + 1);
        }
        if let Some(b'e' | b'E') = self.byte(at) {
            let signed = matches!(self.byte(at + 1), Some(b'+' | b'-'));
            at = digits(at + 1 + usize::from(signed));
        }
        self.end = self.word_end(at);
        match wrong || self.end > at {
            true => Err(self.invalid()),
            false => Ok(()),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        let mut at = self.start;
        // The first half of a character that has two.
        let mut half = false;
        loop {
            at += 1;
            let Some(byte) = self.byte(at) else {
                self.end = at;
                return Err(self.invalid());
            };
            let unit = match byte {
                b'"' if !half => {
                    self.end = at + 1;
                    return Ok(());
                }
                byte if byte < b' ' => {
                    self.end = at;
                    return Err(format!(
                        "Character with value 0x{byte:02x} must be escaped."
                    ));
                }
                b'\\' => {
                    at += 1;
                    self.escape(&mut at)?
                }
                _ => None,
            };
            let second = matches!(unit, Some(0xdc00..=0xdfff));
            let wrong = match (half, unit) {
                (true, Some(0xd800..=0xdbff)) => {
                    "Unicode high surrogate must not follow a high surrogate."
                }
                (half, _) if half != second => {
                    "Unicode low surrogate must follow a high surrogate."
                }
                (_, Some(0)) => NUL,
                _ => {
                    half = matches!(unit, Some(0xd800..=0xdbff));
                    continue;
                }
            };
            self.end = self.behind(at);
            return Err(wrong.into());
        }
    }

    /// What stands behind a `\`: a number of Unicode, or `None`.
    fn escape(&mut self, at: &mut usize) -> Result<Option<u32>, String> {
        match self.byte(*at) {
            None => {
                self.end = *at;
                Err(self.invalid())
            }
            Some(b'u') => {
                let mut unit = 0;
                for _ in 0..4 {
                    *at += 1;
                    let Some(byte) = self.byte(*at) else {
                        self.end = *at;
                        return Err(self.invalid());
                    };
                    let Some(digit) = char::from(byte).to_digit(16) else {
                        self.end = self.behind(*at);
                        let what = "\"\\u\" must be followed by four hexadecimal digits.";
                        return Err(what.into());
                    };
                    unit = unit << 4 | digit;
                }
                Ok(Some(unit))
            }
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(None),
            Some(_) => {
                (self.start, self.end) = (*at, self.behind(*at));
                Err(format!(
                    "Escape sequence \"\\{}\" is invalid.",
                    self.token()
                ))
            }
        }
    }

    /// The line up to the token, or the last of it.
    fn context(&self) -> String {
        let mut from = self.line_start;
        while self.end.saturating_sub(from) >= SHOWN_BYTES {
            from = self.behind(from);
        }
        if from - self.line_start <= 3 {
            from = self.line_start;
        }
        let before = if from > self.line_start { "..." } else { "" };
        let goes_on = !matches!(self.byte(self.end), None | Some(b'\n' | b'\r'));
        let behind = if goes_on { "..." } else { "" };
        let shown = self.text.get(from..self.end).unwrap_or_default();
        format!("JSON data, line {}: {before}{shown}{behind}", self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts, with what PostgreSQL 15 says of them: detail and context.
    const FAULTS: &str = include_str!("json_faults.tsv");

    #[test]
    fn faults_are_told_as_postgresql_tells_them() {
        for line in FAULTS.lines().filter(|line| !line.is_empty()) {
            let mut parts = line.split('\t').map(|part| {
                part.replace("<nl>", "\n")
                    .replace("<tab>", "\t")
                    .replace("<cr>", "\r")
            });
            let mut part = || parts.next().unwrap_or_default();
            let (text, detail, context) = (part(), part(), part());
            let found = found(&text);
            let told = found.map(|error| {
                (
                    error.detail.unwrap_or_default(),
                    error.context.unwrap_or_default(),
                )
            });
            let expected = (!detail.is_empty()).then_some((detail, context));
            assert_eq!(told, expected, "{text:?}");
        }
    }
}
