//! Words of PostgreSQL's grammar that sqlparser's has not: those that change nothing here are taken
//! out of the text, others are refused as what they are.
//!
//! - `FROM ONLY t`, `UPDATE ONLY (t)`: no table inherits from another.
//! - `BETWEEN ASYMMETRIC`, which is how BETWEEN is; `trim(leading FROM x)`, `trim(FROM x)`.
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

/// Takes such words out.
///
/// # Errors
/// One that is not supported.
pub(super) fn replace(sql: &str, tokens: &mut Vec<TokenWithSpan>) -> Result<(), SqlError> {
    use Keyword::{
        ASYMMETRIC, BETWEEN, BOTH, CONFLICT, FROM, JOIN, LEADING, ONLY, SYMMETRIC, TRAILING, TRIM,
        UPDATE, USING, WHERE,
    };
    let mut taken = Vec::new();
    let solid = tokens.iter().enumerate();
    let mut solid = solid.filter(|(_, of)| !matches!(of.token, Token::Whitespace(_)));
    // What stands before, the last first.
    let mut before: [Option<&Token>; 2] = [None; 2];
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
            _ => {}
        }
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if conflict == Some(depth) => conflict = None,
            _ => {}
        }
        before = [Some(token), before[0]];
    }
    super::take(tokens, taken);
    Ok(())
}
