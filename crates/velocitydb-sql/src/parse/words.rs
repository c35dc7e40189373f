//! Words of PostgreSQL's grammar that sqlparser's has not: those that change nothing here are taken
//! out of the text, others are refused as what they are.
//!
//! - `FROM ONLY t`, `UPDATE ONLY (t)`: no table inherits from another.
//! - `BEGIN … DEFERRABLE` and its like: a transaction that only reads never waits to be safe.
//! - `BETWEEN ASYMMETRIC`, which is how BETWEEN is; `trim(leading FROM x)`, `trim(FROM x)`.
//! - `x ISNULL`, which is `x IS NULL`: it would be taken for another name of `x`.
//! - Refused: `BETWEEN SYMMETRIC`, `ON CONFLICT (…) WHERE …`.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::position;
use crate::error::SqlError;

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Whether a statement begins behind this.
fn is_first(before: Option<&Token>) -> bool {
    matches!(before, None | Some(Token::SemiColon))
}

/// Takes such words out.
///
/// # Errors
/// One that is not supported.
pub(super) fn replace(sql: &str, tokens: &mut Vec<TokenWithSpan>) -> Result<(), SqlError> {
    use Keyword::{
        ARRAY, ASYMMETRIC, BEGIN, BETWEEN, BOTH, CONFLICT, DEFERRABLE, FROM, INSERT, JOIN, LEADING,
        LOCAL, NOT, ONLY, SET, START, SYMMETRIC, TRAILING, TRANSACTION, TRIM, UPDATE, USING, WHERE,
    };
    let (mut taken, mut null_tests) = (Vec::new(), Vec::new());
    let solid = tokens.iter().enumerate();
    let mut solid = solid.filter(|(_, of)| !matches!(of.token, Token::Whitespace(_)));
    // What stands before, the last first.
    let mut before: [Option<&Token>; 2] = [None; 2];
    // Where what is said of a transaction stands, and the places of the last two tokens.
    let (mut modes, mut places) = (false, [0; 2]);
    let (mut depth, mut conflict) = (0_usize, None);
    while let Some((at, TokenWithSpan { token, span })) = solid.next() {
        let refused = |what| Err(SqlError::unsupported(what).at(position(sql, span.start)));
        let last = before[0].and_then(keyword);
        let opened = before[0] == Some(&Token::LParen);
        match (last, keyword(token)) {
            (Some(FROM | JOIN | UPDATE | USING), Some(ONLY)) => {
                taken.push(at);
                let mut ahead = solid.clone().map(|(at, of)| (at, &of.token));
                let next = [ahead.next(), ahead.next(), ahead.next()];
                if let [
                    Some((open, Token::LParen)),
                    Some((_, Token::Word(_))),
                    Some((close, Token::RParen)),
                ] = next
                {
                    taken.extend([open, close]);
                }
            }
            (None, Some(BEGIN)) if is_first(before[0]) => modes = true,
            (Some(SET | START), Some(TRANSACTION)) if is_first(before[1]) => modes = true,
            (_, Some(DEFERRABLE)) if modes => {
                let mut list = before.into_iter().zip(places).peekable();
                let said = list.next_if(|(token, _)| token.and_then(keyword) == Some(NOT));
                let comma = list.next_if(|(token, _)| *token == Some(&Token::Comma));
                let is_listed = comma.is_some();
                taken.extend(comma.into_iter().chain(said).map(|(_, place)| place));
                taken.push(at);
                if let Some((behind, next)) = solid.clone().next()
                    && next.token == Token::Comma
                    && !is_listed
                {
                    taken.push(behind);
                }
            }
            (Some(INSERT), Some(LOCAL)) => return refused("INSERT LOCAL"),
            (Some(BETWEEN), Some(ASYMMETRIC)) => taken.push(at),
            (Some(BETWEEN), Some(SYMMETRIC)) => return refused("BETWEEN SYMMETRIC"),
            (Some(LEADING | TRAILING | BOTH), Some(FROM)) => taken.push(at),
            (None, Some(FROM)) if opened && before[1].and_then(keyword) == Some(TRIM) => {
                taken.push(at);
            }
            (Some(CONFLICT), None) if *token == Token::LParen => conflict = Some(depth),
            (None, Some(WHERE)) if conflict == Some(depth) && before[0] == Some(&Token::RParen) => {
                return refused("ON CONFLICT (…) WHERE …");
            }
            (_, Some(ARRAY))
                if !matches!(
                    solid.clone().next().map(|(_, of)| &of.token),
                    Some(Token::LBracket | Token::LParen)
                ) =>
            {
                return refused("ARRAY behind a type, which is type[],");
            }
            (last, _) if is_word(token, "isnull") && ends_operand(before[0], last) => {
                match at
                    .checked_sub(1)
                    .filter(|at| matches!(tokens[*at].token, Token::Whitespace(_)))
                {
                    Some(blank) => null_tests.push((blank, at)),
                    None => return refused("ISNULL"),
                }
            }
            _ => {}
        }
        match token {
            Token::SemiColon => modes = false,
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if conflict == Some(depth) => conflict = None,
            _ => {}
        }
        before = [Some(token), before[0]];
        places = [at, places[0]];
    }
    for (blank, at) in null_tests {
        tokens[blank].token = Token::make_keyword("IS");
        tokens[at].token = Token::make_keyword("NULL");
    }
    super::take(tokens, taken);
    Ok(())
}

fn is_word(token: &Token, text: &str) -> bool {
    match token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text),
        _ => false,
    }
}

/// Whether an operand may end with this.
fn ends_operand(token: Option<&Token>, keyword: Option<Keyword>) -> bool {
    use Keyword::{
        ALL, AND, AS, BY, CASE, DISTINCT, ELSE, HAVING, IN, NOT, ON, OR, RETURNING, SELECT, SET,
        THEN, WHEN, WHERE,
    };
    match token {
        Some(Token::Word(_)) => !matches!(
            keyword,
            Some(
                ALL | AND
                    | AS
                    | BY
                    | CASE
                    | DISTINCT
                    | ELSE
                    | HAVING
                    | IN
                    | NOT
                    | ON
                    | OR
                    | RETURNING
                    | SELECT
                    | SET
                    | THEN
                    | WHEN
                    | WHERE
            )
        ),
        Some(
            Token::RParen
            | Token::RBracket
            | Token::Number(..)
            | Token::Placeholder(_)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::DollarQuotedString(_),
        ) => true,
        _ => false,
    }
}
