//! COPY, in both of PostgreSQL's forms: options in parentheses, and the words of old.

use sqlparser::ast::{Expr, Ident, ObjectName, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};

use super::folded;

/// A COPY as it stands in the text.
#[derive(Debug, Clone)]
pub(crate) struct CopyTree {
    pub(crate) what: What,
    pub(crate) direction: Direction,
    /// `None`: the client.
    pub(crate) server: Option<Server>,
    pub(crate) options: Vec<CopyOption>,
    pub(crate) condition: Option<Expr>,
}

/// What is copied.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Table(ObjectName, Vec<Ident>),
    Query(Box<Statement>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    From,
    To,
}

/// What the server would have to read or write by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    File,
    Program,
}

/// An option, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct CopyOption {
    pub(crate) name: String,
    pub(crate) value: OptionValue,
    pub(crate) place: Location,
}

/// What is said behind an option's name.
#[derive(Debug, Clone)]
pub(crate) enum OptionValue {
    Nothing,
    Text(String),
    Star,
    List(Vec<String>),
}

/// What follows the word COPY.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<CopyTree, ParserError> {
    let mut options = Vec::new();
    let place = here(parser);
    if parser.peek_token_ref().token != Token::LParen && word(parser, "binary") {
        options.push(option("format", OptionValue::Text("binary".into()), place));
    }
    let what = match parser.consume_token(&Token::LParen) {
        true => {
            let statement = parser.parse_statement()?;
            parser.expect_token(&Token::RParen)?;
            What::Query(Box::new(statement))
        }
        false => {
            let name = parser.parse_object_name(false)?;
            let columns = match parser.consume_token(&Token::LParen) {
                true => identifiers(parser)?,
                false => Vec::new(),
            };
            What::Table(name, columns)
        }
    };
    let keywords = match what {
        What::Table(..) => &[Keyword::FROM, Keyword::TO][..],
        What::Query(_) => &[Keyword::TO],
    };
    let direction = match parser.expect_one_of_keywords(keywords)? {
        Keyword::FROM => Direction::From,
        _ => Direction::To,
    };
    let server = if word(parser, "stdin") || word(parser, "stdout") {
        None
    } else if word(parser, "program") {
        text(parser)?;
        Some(Server::Program)
    } else {
        text(parser)?;
        Some(Server::File)
    };
    let place = here(parser);
    if word(parser, "using") {
        if !word(parser, "delimiters") {
            return parser.expected_ref("DELIMITERS", parser.peek_token_ref());
        }
        options.push(option("delimiter", delimiter(parser)?, place));
    } else if word(parser, "delimiters") {
        options.push(option("delimiter", delimiter(parser)?, place));
    }
    let _with = parser.parse_keyword(Keyword::WITH);
    match parser.consume_token(&Token::LParen) {
        true => in_parentheses(parser, &mut options)?,
        false => words(parser, &mut options)?,
    }
    let condition = match parser.parse_keyword(Keyword::WHERE) {
        true => Some(parser.parse_expr()?),
        false => None,
    };
    Ok(CopyTree {
        what,
        direction,
        server,
        options,
        condition,
    })
}

fn here(parser: &Parser<'_>) -> Location {
    parser.peek_token_ref().span.start
}

fn option(name: &str, value: OptionValue, place: Location) -> CopyOption {
    CopyOption {
        name: name.to_owned(),
        value,
        place,
    }
}

/// Takes an unquoted word, if it is the next token.
fn word(parser: &mut Parser<'_>, text: &str) -> bool {
    let is = match &parser.peek_token_ref().token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text),
        _ => false,
    };
    if is {
        parser.advance_token();
    }
    is
}

fn text_of(token: &Token) -> Option<String> {
    Some(match token {
        Token::SingleQuotedString(text)
        | Token::EscapedStringLiteral(text)
        | Token::UnicodeStringLiteral(text) => text.clone(),
        Token::DollarQuotedString(text) => text.value.clone(),
        _ => return None,
    })
}

fn text(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    let token = parser.next_token();
    match text_of(&token.token) {
        Some(text) => Ok(text),
        None => parser.expected("a string", token),
    }
}

/// A text with or without AS before it.
fn delimiter(parser: &mut Parser<'_>) -> Result<OptionValue, ParserError> {
    let _as = parser.parse_keyword(Keyword::AS);
    text(parser).map(OptionValue::Text)
}

/// Names up to a closing parenthesis.
fn identifiers(parser: &mut Parser<'_>) -> Result<Vec<Ident>, ParserError> {
    let names = parser.parse_comma_separated(Parser::parse_identifier)?;
    parser.expect_token(&Token::RParen)?;
    Ok(names)
}

fn in_parentheses(
    parser: &mut Parser<'_>,
    options: &mut Vec<CopyOption>,
) -> Result<(), ParserError> {
    loop {
        let place = here(parser);
        let name = folded(&parser.parse_identifier()?);
        options.push(option(&name, value(parser)?, place));
        if parser.consume_token(&Token::RParen) {
            return Ok(());
        }
        parser.expect_token(&Token::Comma)?;
    }
}

fn value(parser: &mut Parser<'_>) -> Result<OptionValue, ParserError> {
    if matches!(parser.peek_token_ref().token, Token::Comma | Token::RParen) {
        return Ok(OptionValue::Nothing);
    }
    let token = parser.next_token();
    Ok(match &token.token {
        Token::Mul => OptionValue::Star,
        Token::LParen => {
            let names = identifiers(parser)?;
            OptionValue::List(names.iter().map(folded).collect())
        }
        Token::Word(word) => OptionValue::Text(match word.quote_style {
            Some(_) => word.value.clone(),
            None => word.value.to_lowercase(),
        }),
        Token::Number(number, _) => OptionValue::Text(number.clone()),
        other => match text_of(other) {
            Some(text) => OptionValue::Text(text),
            None => return parser.expected("a value of an option", token),
        },
    })
}

fn words(parser: &mut Parser<'_>, options: &mut Vec<CopyOption>) -> Result<(), ParserError> {
    loop {
        let place = here(parser);
        let (name, value) = if word(parser, "binary") {
            ("format", OptionValue::Text("binary".into()))
        } else if word(parser, "csv") {
            ("format", OptionValue::Text("csv".into()))
        } else if word(parser, "freeze") {
            ("freeze", OptionValue::Nothing)
        } else if word(parser, "header") {
            ("header", OptionValue::Nothing)
        } else if word(parser, "encoding") {
            ("encoding", OptionValue::Text(text(parser)?))
        } else if word(parser, "force") {
            forced(parser)?
        } else {
            let mut found = None;
            for name in ["delimiter", "null", "quote", "escape"] {
                if found.is_none() && word(parser, name) {
                    found = Some(name);
                }
            }
            match found {
                Some(name) => (name, delimiter(parser)?),
                None => return Ok(()),
            }
        };
        options.push(option(name, value, place));
    }
}

/// What follows FORCE.
fn forced(parser: &mut Parser<'_>) -> Result<(&'static str, OptionValue), ParserError> {
    let name = if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
        "force_not_null"
    } else if parser.parse_keyword(Keyword::NULL) {
        "force_null"
    } else {
        if !word(parser, "quote") {
            return parser.expected_ref("QUOTE, NULL or NOT NULL", parser.peek_token_ref());
        }
        if parser.consume_token(&Token::Mul) {
            return Ok(("force_quote", OptionValue::Star));
        }
        "force_quote"
    };
    let names = parser.parse_comma_separated(Parser::parse_identifier)?;
    let names = names.iter().map(folded).collect();
    Ok((name, OptionValue::List(names)))
}
