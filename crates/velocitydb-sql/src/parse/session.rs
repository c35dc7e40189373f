//! Statements about the session itself: notifications, cursors, prepared statements, constraints.

use sqlparser::ast::{DataType, Expr, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};

use super::folded;
use super::own::{is_word, number};

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
    Declare(Declare),
    Fetch {
        cursor: String,
        way: Way,
        /// MOVE: without the rows.
        moves: bool,
    },
    /// `None`: all cursors.
    Close(Option<String>),
    Prepare(Prepare),
    Execute(Execute),
    /// When all constraints are looked at that can be deferred: there are none.
    SetConstraints,
}

/// A statement that is to be prepared.
#[derive(Debug, Clone)]
pub(crate) struct Prepare {
    pub(crate) name: String,
    pub(crate) types: Vec<DataType>,
    /// Where the statement begins.
    pub(crate) begins: Location,
    /// Where it ends; `None`: with the text.
    pub(crate) ends: Option<Location>,
}

/// A prepared statement that is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Execute {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Expr>,
}

/// A cursor that is to be.
#[derive(Debug, Clone)]
pub(crate) struct Declare {
    pub(crate) name: String,
    pub(crate) binary: bool,
    /// Whether it goes forward only.
    pub(crate) no_scroll: bool,
    /// Whether it stays when the transaction is committed.
    pub(crate) hold: bool,
    pub(crate) query: Box<Statement>,
}

/// Where a cursor goes. So many rows are answered, or all when there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Forward(Option<i64>),
    Backward(Option<i64>),
    /// To one row, from 1; negative numbers count from the end.
    Absolute(i64),
    /// To one row, from the present one.
    Relative(i64),
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
        if parser.parse_keyword(Keyword::DECLARE) {
            return declare(parser).map(|declare| Some(OfSession::Declare(declare)));
        }
        // No keyword of sqlparser's.
        let moves = is_word(parser.peek_token_ref(), "move");
        if moves || parser.peek_keyword(Keyword::FETCH) {
            parser.advance_token();
            let way = way(parser)?;
            let _from = parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::IN]);
            return Ok(Some(OfSession::Fetch {
                cursor: name(parser)?,
                way,
                moves,
            }));
        }
        if parser.parse_keyword(Keyword::CLOSE) {
            let all = parser.parse_keyword(Keyword::ALL);
            let cursor = (!all).then(|| name(parser)).transpose()?;
            return Ok(Some(OfSession::Close(cursor)));
        }
        let sets = parser.peek_keyword(Keyword::SET);
        if sets && is_word(parser.peek_nth_token_ref(1), "constraints") {
            parser.advance_token();
            parser.advance_token();
            parser.expect_keyword(Keyword::ALL)?;
            parser.expect_one_of_keywords(&[Keyword::DEFERRED, Keyword::IMMEDIATE])?;
            return Ok(Some(OfSession::SetConstraints));
        }
        if parser.parse_keyword(Keyword::PREPARE) {
            return prepare(parser).map(|prepare| Some(OfSession::Prepare(prepare)));
        }
        if parser.parse_keyword(Keyword::EXECUTE) {
            let name = name(parser)?;
            let mut arguments = Vec::new();
            if parser.consume_token(&Token::LParen) {
                arguments = parser.parse_comma_separated(Parser::parse_expr)?;
                parser.expect_token(&Token::RParen)?;
            }
            return Ok(Some(OfSession::Execute(Execute { name, arguments })));
        }
        Ok(None)
    }
}

fn name(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    Ok(folded(&parser.parse_identifier()?))
}

fn declare(parser: &mut Parser<'_>) -> Result<Declare, ParserError> {
    use Keyword::{ASENSITIVE, BINARY, CURSOR, FOR, HOLD, INSENSITIVE, NO, SCROLL, WITH, WITHOUT};
    let name = name(parser)?;
    let (mut binary, mut no_scroll) = (false, false);
    // Each is as insensitive as the other: what changes behind it is not seen.
    loop {
        if parser.parse_keyword(BINARY) {
            binary = true;
        } else if parser.parse_keywords(&[NO, SCROLL]) {
            no_scroll = true;
        } else if parser
            .parse_one_of_keywords(&[SCROLL, INSENSITIVE, ASENSITIVE])
            .is_none()
        {
            break;
        }
    }
    parser.expect_keyword(CURSOR)?;
    let hold = parser.parse_keywords(&[WITH, HOLD]);
    let _without = parser.parse_keywords(&[WITHOUT, HOLD]);
    parser.expect_keyword(FOR)?;
    Ok(Declare {
        name,
        binary,
        no_scroll,
        hold,
        query: Box::new(Statement::Query(parser.parse_query()?)),
    })
}

fn prepare(parser: &mut Parser<'_>) -> Result<Prepare, ParserError> {
    use Keyword::{AS, DELETE, INSERT, SELECT, UPDATE, VALUES, WITH};
    let name = name(parser)?;
    let mut types = Vec::new();
    if parser.consume_token(&Token::LParen) {
        types = parser.parse_comma_separated(Parser::parse_data_type)?;
        parser.expect_token(&Token::RParen)?;
    }
    parser.expect_keyword(AS)?;
    let first = parser.peek_token_ref();
    let may_be = match &first.token {
        Token::LParen => true,
        Token::Word(word) => matches!(
            word.keyword,
            SELECT | VALUES | WITH | INSERT | UPDATE | DELETE
        ),
        _ => false,
    };
    if !may_be {
        return parser.expected_ref("SELECT, VALUES, WITH, INSERT, UPDATE or DELETE", first);
    }
    let begins = first.span.start;
    // It is taken apart once more when it is prepared, from its own text.
    parser.parse_statement()?;
    let next = parser.peek_token_ref();
    Ok(Prepare {
        name,
        types,
        begins,
        ends: (next.token != Token::EOF).then_some(next.span.start),
    })
}

fn way(parser: &mut Parser<'_>) -> Result<Way, ParserError> {
    use Keyword::{ABSOLUTE, ALL, BACKWARD, FIRST, FORWARD, LAST, NEXT, PRIOR, RELATIVE};
    let is_number = |parser: &Parser<'_>| {
        let token = &parser.peek_token_ref().token;
        matches!(token, Token::Number(..) | Token::Minus | Token::Plus)
    };
    let word = [
        NEXT, PRIOR, FIRST, LAST, ABSOLUTE, RELATIVE, ALL, FORWARD, BACKWARD,
    ];
    let count = |parser: &mut Parser<'_>| {
        if parser.parse_keyword(ALL) {
            return Ok(None);
        }
        match is_number(parser) {
            true => number(parser).map(Some),
            false => Ok(Some(1)),
        }
    };
    Ok(match parser.parse_one_of_keywords(&word) {
        None => Way::Forward(count(parser)?),
        Some(PRIOR) => Way::Backward(Some(1)),
        Some(FIRST) => Way::Absolute(1),
        Some(LAST) => Way::Absolute(-1),
        Some(ABSOLUTE) => Way::Absolute(number(parser)?),
        Some(RELATIVE) => Way::Relative(number(parser)?),
        Some(ALL) => Way::Forward(None),
        Some(FORWARD) => Way::Forward(count(parser)?),
        Some(BACKWARD) => Way::Backward(count(parser)?),
        Some(_) => Way::Forward(Some(1)),
    })
}
