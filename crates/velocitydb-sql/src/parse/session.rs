//! Statements about the session itself: notifications.

use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::folded;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum OfSession {
    Listen(String),
    /// `None`: all channels.
    Unlisten(Option<String>),
    Notify {
        channel: String,
        payload: String,
    },
}

impl OfSession {
    /// The statement that begins here, if it is one of these.
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<OfSession>, ParserError> {
        if parser.parse_keyword(Keyword::LISTEN) {
            return Ok(Some(OfSession::Listen(name(parser)?)));
        }
        if parser.parse_keyword(Keyword::UNLISTEN) {
            let all = parser.consume_token(&Token::Mul);
            let channel = (!all).then(|| name(parser)).transpose()?;
            return Ok(Some(OfSession::Unlisten(channel)));
        }
        if parser.parse_keyword(Keyword::NOTIFY) {
            let channel = name(parser)?;
            let payload = match parser.consume_token(&Token::Comma) {
                true => parser.parse_literal_string()?,
                false => String::new(),
            };
            return Ok(Some(OfSession::Notify { channel, payload }));
        }
        Ok(None)
    }
}

fn name(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    Ok(folded(&parser.parse_identifier()?))
}
