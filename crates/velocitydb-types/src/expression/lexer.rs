//! Splits an expression's text into tokens.
//!
//! Knows no keywords: a plain word is a path of one segment until the parser looks at it.
//! Tests: `expression/tests.rs`.

use super::ExpressionError;
use crate::{Path, Value};

/// What stands at a place of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(Value),
    String(String),
    /// One name as it is written, without quotes: a field, a keyword or a function.
    Word(String),
    /// Any other field: quoted, or with dots.
    Path(Path),
    Symbol(&'static str),
    End,
}

/// Longer ones before those that they begin with.
const SYMBOLS: [&str; 19] = [
    "<>", "<=", "<", ">=", ">", "!=", "=", "(", ")", ",", "->>", "->", "||", "+", "-", "*", "/",
    "%", "~",
];

/// Reads tokens from the front of a text.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, and where it begins and ends.
    pub(super) fn next(&mut self) -> Result<(Token, usize, usize), ExpressionError> {
        self.at = self.text.len() - self.rest().trim_start().len();
        let start = self.at;
        let token = self.token()?;
        Ok((token, start, self.at))
    }

    fn token(&mut self) -> Result<Token, ExpressionError> {
        let Some(first) = self.rest().chars().next() else {
            return Ok(Token::End);
        };
        if let Some(symbol) = SYMBOLS
            .iter()
            .find(|symbol| self.rest().starts_with(**symbol))
        {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        match first {
            '\'' => self.quoted('\'').map(Token::String),
            '0'..='9' => self.number(),
            '"' | '`' => self.path(),
            _ if is_name_start(first) => self.path(),
            _ => Err(self.error(self.at, format!("unexpected {first:?}"))),
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Takes the characters for which this holds.
    fn take_while(&mut self, holds: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !holds(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, character: char) -> bool {
        let found = self.rest().starts_with(character);
        self.at += usize::from(found) * character.len_utf8();
        found
    }

    /// What stands between two quotes; the quote doubled inside is one.
    fn quoted(&mut self, quote: char) -> Result<String, ExpressionError> {
        let start = self.at;
        let mut content = String::new();
        self.take(quote);
        loop {
            content.push_str(self.take_while(|c| c != quote));
            if !self.take(quote) {
                return Err(self.error(start, format!("this {quote} is not closed")));
            }
            if !self.take(quote) {
                return Ok(content);
            }
            content.push(quote);
        }
    }

    fn number(&mut self) -> Result<Token, ExpressionError> {
        let start = self.at;
        let digit = |c: char| c.is_ascii_digit();
        self.take_while(digit);
        let mut whole = true;
        if self.take('.') {
            whole = false;
            if self.take_while(digit).is_empty() {
                return Err(self.error(self.at, "expected a digit after the point"));
            }
        }
        if self.take('e') || self.take('E') {
            whole = false;
            let _sign = self.take('-') || self.take('+');
            if self.take_while(digit).is_empty() {
                return Err(self.error(self.at, "expected the digits of an exponent"));
            }
        }
        if self.rest().starts_with(is_name_start) {
            return Err(self.error(self.at, "a number ends here, and a name begins"));
        }
        let text = &self.text[start..self.at];
        if whole && let Ok(int) = text.parse() {
            return Ok(Token::Number(Value::Int(int)));
        }
        match text.parse() {
            Ok(decimal) => Ok(Token::Number(Value::Decimal(decimal))),
            Err(error) => Err(self.error(start, format!("the number {text}: {error}"))),
        }
    }

    fn path(&mut self) -> Result<Token, ExpressionError> {
        let start = self.at;
        let mut segments = vec![self.segment()?];
        let quoted = self.text[start..].starts_with(['"', '`']);
        while self.take('.') {
            segments.push(self.segment()?);
        }
        if let ([_], false) = (segments.as_slice(), quoted) {
            return Ok(Token::Word(segments.remove(0)));
        }
        Path::from_segments(segments)
            .map(Token::Path)
            .map_err(|error| self.error(start, error.to_string()))
    }

    fn segment(&mut self) -> Result<String, ExpressionError> {
        if let Some(quote) = self
            .rest()
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '`'))
        {
            return self.quoted(quote);
        }
        match self.take_while(is_name_part) {
            "" => Err(self.error(
                self.at,
                "expected a field's name or a position after the dot",
            )),
            segment => Ok(segment.to_owned()),
        }
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ExpressionError {
        ExpressionError::at(self.text, at, message)
    }
}

fn is_name_start(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn is_name_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
