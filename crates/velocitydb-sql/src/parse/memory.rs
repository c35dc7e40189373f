//! What reading a text takes of the memory of all queries: its tokens, its tree, and what is bound
//! of that.
//!
//! A short text can have a large tree: `1,` is two tokens of 88 bytes and an expression of 328, so
//! that ten megabytes of it would take gigabytes. So tokens are counted before there are any, and
//! trees are estimated by their tokens before there are any: a little above what the allocator is
//! asked for, for statements of every kind. Tests: below, and `memory`
//! in tests/it.

use std::sync::Arc;

use sqlparser::ast::{
    AccessExpr, CaseWhen, Expr, Join, Query, Select, SelectItem, SetExpr, Statement, TableWithJoins,
};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use velocitydb_query::{Kept, Limits, QueryError, QueryMemory};

use crate::error::{SqlError, sqlstate};

/// Bytes that reading one text may take.
const STATEMENT_MEMORY_MAX: usize = 512 << 20;

/// The account of one text.
#[derive(Debug)]
pub(super) struct Account {
    kept: Kept,
    bytes: usize,
}

impl Account {
    /// An empty one, of the memory of all if that is given.
    pub(super) fn new(memory: Option<&Arc<QueryMemory>>) -> Account {
        let limits = Limits {
            bytes_max: STATEMENT_MEMORY_MAX,
            ..Limits::default()
        };
        let kept = match memory {
            Some(memory) => Kept::new(limits.of_all(memory)),
            None => Kept::new(limits),
        };
        Account { kept, bytes: 0 }
    }

    /// Takes so many bytes in place of those before.
    ///
    /// # Errors
    /// That is more than one text may take, or than is left of the memory of all.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), SqlError> {
        let resized = self.kept.resize(self.bytes, bytes);
        self.bytes = bytes;
        resized.map_err(|error| {
            let error = match error {
                QueryError::TooManyBytes { .. } => SqlError::new(
                    sqlstate::STATEMENT_TOO_COMPLEX,
                    format!(
                        "reading the statement would take {bytes} bytes of memory, at most \
                         {STATEMENT_MEMORY_MAX} are allowed"
                    ),
                ),
                error => error.into(),
            };
            error.hint(
                "Rows are better sent by COPY or in several statements, and a list as an array \
                 that is one parameter: x = ANY ($1).",
            )
        })
    }
}

/// No fewer tokens than a text has, spaces included.
///
/// What is in quotes is passed over only where that is certain: what is wrongly taken for the
/// inside of a text would not be counted.
pub(super) fn tokens_max(sql: &str) -> usize {
    let bytes = sql.as_bytes();
    let (mut count, mut at) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at + 1..];
        let before = at.checked_sub(1).map(|before| bytes[before]);
        count += 1;
        let passed = match byte {
            b'\'' | b'"' => {
                let within = rest.iter().position(|&other| other == byte);
                let within = within.unwrap_or(rest.len());
                let escapes = matches!(before, Some(b'e' | b'E'));
                if escapes && rest[..within].contains(&b'\\') {
                    return count + rest.len();
                }
                within + 1
            }
            b'-' if rest.first() == Some(&b'-') && !before.is_some_and(is_operator) => {
                let line = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                line.unwrap_or(rest.len())
            }
            // Others are rare enough.
            b'-' if rest.first() == Some(&b'-') => return count + rest.len(),
            b'/' if rest.first() == Some(&b'*') => return count + rest.len(),
            // The tokenizer loses what follows `&>`, so that a quote there begins nothing.
            b'>' if before == Some(b'&') => return count + rest.len(),
            b'$' if !rest.first().is_some_and(u8::is_ascii_digit) => return count + rest.len(),
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                let word = rest.iter().position(|byte| !is_word(byte));
                let word = word.unwrap_or(rest.len());
                // A number may end within.
                let digits = rest[..word].iter().all(u8::is_ascii_digit);
                count += usize::from(byte.is_ascii_digit() && !digits);
                word
            }
            _ => 0,
        };
        at += 1 + passed;
    }
    count
}

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|?`".contains(&byte)
}

/// What so many tokens of a text take.
pub(super) fn tokens_bytes(sql: &str, count: usize) -> usize {
    TEXT * sql.len() + count * size_of::<TokenWithSpan>()
}

/// A list has room for four when it has one. While it grows it is there twice, once with room for
/// twice what it has.
const FIRST: usize = 4;
const MORE: usize = 3;

/// A text is in its token, in the tree and in what is bound, and has as much room as it may grow.
const TEXT: usize = 7;

/// What the tree of these tokens takes, and what is bound of it.
pub(super) fn tree_bytes(tokens: &[TokenWithSpan]) -> usize {
    use Keyword::{
        ARRAY, BY, CASE, EXCEPT, FROM, IN, INTERSECT, JOIN, MINUS, RETURNING, SELECT, SET, UNION,
        USING, VALUES, WHEN, WITH,
    };
    const EXPR: usize = size_of::<Expr>();
    // The largest of what lists have.
    const TABLE: usize = size_of::<TableWithJoins>();
    // One in a box, and what an operator or a name needs beside it, also when it is bound.
    const PART: usize = 3 * EXPR;
    const QUERY: usize = size_of::<Query>() + size_of::<SetExpr>();
    const STATEMENT: usize = 2 * size_of::<Statement>();
    let mut bytes = STATEMENT;
    // What one more of the list takes that a comma continues, and of those around it.
    let (mut element, mut around) = (TABLE, Vec::new());
    let mut last = &Token::SemiColon;
    let keyword = |token: &Token| match token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    };
    for TokenWithSpan { token, .. } in tokens {
        bytes += match token {
            Token::Whitespace(_) => continue,
            Token::SemiColon => {
                around.clear();
                element = TABLE;
                STATEMENT
            }
            Token::LParen => {
                around.push(element);
                let is_list = matches!(keyword(last), None | Some(IN | VALUES));
                element = if is_list { EXPR } else { TABLE };
                FIRST * element
            }
            Token::LBracket => {
                around.push(element);
                element = EXPR;
                match keyword(last) {
                    Some(ARRAY) => FIRST * EXPR,
                    _ => FIRST * size_of::<AccessExpr>() + PART,
                }
            }
            Token::RParen | Token::RBracket => {
                element = around.pop().unwrap_or(TABLE);
                0
            }
            Token::Comma => MORE * element,
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => 32,
            Token::Word(word) => match word.keyword {
                SELECT => {
                    element = size_of::<SelectItem>();
                    QUERY + size_of::<Select>() + FIRST * element + PART
                }
                VALUES => {
                    element = EXPR;
                    QUERY + FIRST * EXPR
                }
                BY | FROM | RETURNING | SET | USING | WITH => {
                    element = TABLE;
                    FIRST * TABLE
                }
                JOIN => FIRST * size_of::<Join>(),
                UNION | EXCEPT | INTERSECT | MINUS => 2 * QUERY,
                CASE => FIRST * size_of::<CaseWhen>(),
                WHEN => MORE * size_of::<CaseWhen>(),
                _ => PART,
            },
            _ => PART,
        };
        last = token;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use sqlparser::tokenizer::Tokenizer;

    use super::*;
    use crate::parse::Postgres;

    /// Those before an error included.
    fn tokens(sql: &str) -> usize {
        let mut tokens = Vec::new();
        let _ = Tokenizer::new(&Postgres, sql).tokenize_with_location_into_buf(&mut tokens);
        tokens.len()
    }

    #[test]
    fn texts_have_no_more_tokens_than_are_counted() {
        for (sql, exact) in [
            (
                "INSERT INTO t VALUES (1, 'a long, long text'), (-2, 'it''s')",
                false,
            ),
            ("SELECT id, \"a, b\" FROM t WHERE a<=b", false),
            ("SELECT 1, 23,456 , $1", true),
            ("SELECT 'C:\\', 1,1", true),
        ] {
            let (counted, are) = (tokens_max(sql), tokens(sql));
            assert!(
                counted >= are && counted <= are + 3,
                "{sql}: {counted}, {are}"
            );
            assert!(!exact || counted <= are + 1, "{sql}: {counted}, {are}");
        }
        // What seems to begin a text that hides what follows.
        let many = "1,".repeat(100);
        for begin in [
            "SELECT -- '\n",
            "SELECT 1 <-- ",
            "SELECT 1 <-- '",
            "SELECT /* /* ' */ ' */ ",
            "SELECT 1 @/* ' ",
            "SELECT $$'$$, ",
            "SELECT $a$'$a$, ",
            "SELECT a$b$'x', ",
            "SELECT E'\\'', ",
            "SELECT e'\\', ",
            "SELECT date'\\', ",
            "SELECT U&'\\0061', ",
            "SELECT N'\\', B'1', X'0', ",
            "SELECT \"'\", ",
            "SELECT '\"', ",
            "SELECT 1a1e5e5_0x0x, ",
            "SELECT é, →→→, ",
            "SELECT `'`, ",
            "SELECT U&>'*/\"\"\\",
            "SELECT 1 &>', ",
        ] {
            let sql = format!("{begin}{many}");
            assert!(tokens_max(&sql) >= tokens(&sql), "{sql}");
        }
    }

    #[test]
    fn any_text_has_no_more_tokens_than_are_counted() {
        use proptest::prelude::*;
        let pieces = prop::sample::select(vec![
            "'", "\"", "\\", "--", "-", "/*", "*/", "/", "*", "$", "$$", "$a$", "\n", "\r", "e",
            "E", "U&", "N", "b", "q", "x", "1", "0x", ".", ",", "_", "@", "<", ">", "=", " ", "é",
            "→", "`", "[", "#", "!", "?", "|", "&", ":", ";", "(", "5e", "+",
        ]);
        proptest!(|(pieces in prop::collection::vec(pieces, 0..40))| {
            let sql = pieces.concat();
            prop_assert!(tokens_max(&sql) >= tokens(&sql), "{}", sql);
        });
    }
}
