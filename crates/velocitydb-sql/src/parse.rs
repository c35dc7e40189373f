//! Texts to statements, by sqlparser, and where in a text something stands.

pub(crate) mod copy;
mod depth;
mod dialect;
mod memory;
mod own;
mod refused;
mod session;
mod words;

use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName, Statement};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use velocitydb_query::QueryMemory;

use crate::error::{SqlError, sqlstate};

pub(crate) use dialect::Postgres;
pub(crate) use own::{DatabaseOption, Own, ReindexKind, SequenceOption};
pub(crate) use refused::command;
pub(crate) use session::{Declare, Execute, OfSession, Prepare, Way};

/// How deep a statement may nest.
const DEPTH_MAX: usize = 64;

/// The most bytes of a text of statements.
pub const SQL_BYTES_MAX: usize = 16 << 20;

/// A statement, taken apart.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub(crate) form: Form,
    /// What an INSERT says of identity columns.
    pub(crate) overriding: Option<Overriding>,
    /// What the text that it stands in takes; given back with the last of its statements.
    _memory: Arc<memory::Account>,
}

/// Whose values identity columns get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overriding {
    /// Those of the statement, where they would be the sequence's.
    System,
    /// The sequence's, whatever the statement says.
    User,
}

/// By whom it was taken apart.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// As sqlparser has it.
    Tree(Box<Statement>),
    /// What sqlparser does not know.
    Own(Box<Own>),
}

impl Parsed {
    /// The cursor that it goes to rows of, if it does.
    pub fn cursor(&self) -> Option<&str> {
        match &self.form {
            Form::Own(own) => match &**own {
                Own::Session(OfSession::Fetch { cursor, .. }) => Some(cursor),
                _ => None,
            },
            Form::Tree(_) => None,
        }
    }

    /// The tree of sqlparser, if it knows the statement.
    pub fn tree(&self) -> Option<&Statement> {
        match &self.form {
            Form::Tree(tree) => Some(tree),
            Form::Own(_) => None,
        }
    }
}

/// The statements of a text, in their order. What they take is bounded, but on no account:
/// [`parse_within`].
///
/// # Errors
/// A text that is too long, or would take too much memory, and what is no SQL.
pub fn parse(sql: &str) -> Result<Vec<Parsed>, SqlError> {
    parse_on(sql, memory::Account::new(None))
}

/// The statements of a text, in their order; what they take is taken from the memory of all
/// queries, until they are dropped.
///
/// # Errors
/// As [`parse`], and too little is left of that memory.
pub fn parse_within(sql: &str, memory: &Arc<QueryMemory>) -> Result<Vec<Parsed>, SqlError> {
    parse_on(sql, memory::Account::new(Some(memory)))
}

fn parse_on(sql: &str, mut memory: memory::Account) -> Result<Vec<Parsed>, SqlError> {
    if sql.len() > SQL_BYTES_MAX {
        let message = format!(
            "a text of {} bytes, at most {SQL_BYTES_MAX} are allowed",
            sql.len()
        );
        return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let count = memory::tokens_max(sql);
    memory.resize(memory::tokens_bytes(sql, count))?;
    let mut tokens = Vec::with_capacity(count);
    Tokenizer::new(&Postgres, sql)
        .tokenize_with_location_into_buf(&mut tokens)
        .map_err(|error| wrong(sql, error.into()))?;
    depth::check(&tokens).map_err(|error| wrong(sql, error))?;
    memory.resize(memory::tokens_bytes(sql, count) + memory::tree_bytes(&tokens))?;
    // There is no such operator, which sqlparser takes for `=`.
    for token in tokens.iter_mut().filter(|of| of.token == Token::DoubleEq) {
        token.token = Token::CustomBinaryOperator("==".to_owned());
    }
    own::conflict_targets(&mut tokens);
    words::replace(sql, &mut tokens)?;
    own::key_locks(&mut tokens);
    own::identity_options(&mut tokens);
    let overriding = own::overriding(&mut tokens);
    let parser = Parser::new(&Postgres).with_recursion_limit(DEPTH_MAX);
    let mut parser = parser.with_tokens_with_locations(tokens);
    let mut begins = 0;
    let parsed = statements(&mut parser, overriding, &Arc::new(memory), &mut begins);
    parsed.map_err(|error| {
        let tokens = statement_at(&parser, begins);
        let place = told(&error).map(|(_, place)| place);
        match refused::found(tokens, place) {
            Some((what, place)) => SqlError::unsupported(what).at(position(sql, place)),
            None => wrong(sql, error),
        }
    })
}

/// The tokens of the statement that begins with or behind this one.
fn statement_at<'p>(
    parser: &'p Parser<'_>,
    begins: usize,
) -> impl Iterator<Item = &'p TokenWithSpan> + Clone {
    let tokens = (begins..).map(|at| parser.token_at(at));
    let solid = tokens.filter(|of| !matches!(of.token, Token::Whitespace(_)));
    let solid = solid.skip_while(|of| of.token == Token::SemiColon);
    solid.take_while(|of| !matches!(of.token, Token::SemiColon | Token::EOF))
}

/// Takes tokens out, those at these places, which are in order.
fn take(tokens: &mut Vec<TokenWithSpan>, places: Vec<usize>) {
    let mut places = places.into_iter().peekable();
    let mut at = 0;
    tokens.retain(|_| {
        at += 1;
        places.next_if_eq(&(at - 1)).is_none()
    });
}

fn statements(
    parser: &mut Parser<'_>,
    overriding: Vec<(Location, Overriding)>,
    memory: &Arc<memory::Account>,
    begun: &mut usize,
) -> Result<Vec<Parsed>, ParserError> {
    let mut statements = Vec::new();
    // In the order of the statements.
    let mut overriding = overriding.into_iter().peekable();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token_ref().token == Token::EOF {
            return Ok(statements);
        }
        let begins = parser.peek_token_ref().span.start;
        // Those of statements that PREPARE has passed over are told once more, by their own text.
        while overriding.next_if(|(place, _)| *place < begins).is_some() {}
        let said = overriding.next_if(|(place, _)| *place == begins);
        *begun = parser.get_current_index();
        let form = statement(parser, *begun)?;
        statements.push(Parsed {
            form,
            overriding: said.map(|(_, said)| said),
            _memory: Arc::clone(memory),
        });
    }
}

/// The statement whose tokens begin with or behind this one.
fn statement(parser: &mut Parser<'_>, begins: usize) -> Result<Form, ParserError> {
    let form = match Own::parse(parser)? {
        Some(own) => Form::Own(Box::new(own)),
        None if own::is_word(parser.peek_token_ref(), "abort") => {
            parser.advance_token();
            let chain = parser.parse_commit_rollback_chain()?;
            Form::Tree(Box::new(Statement::Rollback {
                chain,
                savepoint: None,
            }))
        }
        None => Form::Tree(Box::new(parser.parse_statement()?)),
    };
    match parser.peek_token_ref().token {
        Token::SemiColon | Token::EOF => {}
        _ => return parser.expected_ref("end of statement", parser.peek_token_ref()),
    }
    if let Form::Tree(tree) = &form
        && let Some(token) = refused::lost(statement_at(parser, begins), tree)
    {
        return parser.expected_ref("an option of PostgreSQL", token);
    }
    Ok(form)
}

/// The name that a text is, as the argument of `nextval` is one.
pub(crate) fn name_in(text: &str) -> Result<ObjectName, SqlError> {
    let name = |parser: &mut Parser<'_>| {
        let name = parser.parse_object_name(false)?;
        parser.expect_token(&Token::EOF)?;
        Ok(name)
    };
    let parser = Parser::new(&Postgres).with_recursion_limit(DEPTH_MAX);
    let parsed = parser.try_with_sql(text);
    let parsed = parsed.and_then(|mut parser| name(&mut parser));
    parsed.map_err(|_| SqlError::new(sqlstate::INVALID_NAME, "invalid name syntax"))
}

/// The names that a text is, with commas between; `None` when it is something else.
pub(crate) fn names_in(text: &str) -> Option<Vec<Ident>> {
    let parser = Parser::new(&Postgres).with_recursion_limit(DEPTH_MAX);
    let mut parser = parser.try_with_sql(text).ok()?;
    let names = parser
        .parse_comma_separated(Parser::parse_identifier)
        .ok()?;
    parser.expect_token(&Token::EOF).ok()?;
    Some(names)
}

/// The expression that `ON CONFLICT (…)` names here, if it is none of a column: see
/// [`own::conflict_targets`].
pub(crate) fn conflict_expression(given: &Ident) -> Option<Result<sqlparser::ast::Expr, SqlError>> {
    given.value.strip_prefix(own::EXPRESSION).map(expression_in)
}

/// The expression that a text is.
pub(crate) fn expression_in(text: &str) -> Result<sqlparser::ast::Expr, SqlError> {
    let parser = Parser::new(&Postgres).with_recursion_limit(DEPTH_MAX);
    let parsed = parser.try_with_sql(text);
    let parsed = parsed.and_then(|mut parser| {
        let expr = parser.parse_expr()?;
        parser.expect_token(&Token::EOF)?;
        Ok(expr)
    });
    parsed.map_err(|error| wrong(text, error))
}

/// That a statement would need too deep a stack, or too much time before it is run.
pub(crate) fn too_complex() -> SqlError {
    let message = "the statement is too complex: it nests too deep, or chains too many operators";
    SqlError::new(sqlstate::STATEMENT_TOO_COMPLEX, message).hint(
        "Lists are not bounded: x IN (a, b, …) rather than x = a OR x = b OR …, or an array as \
         one parameter: x = ANY ($1).",
    )
}

fn wrong(sql: &str, error: ParserError) -> SqlError {
    let (ParserError::TokenizerError(message) | ParserError::ParserError(message)) = error else {
        return too_complex();
    };
    let error = ParserError::ParserError(message);
    let (message, place) = match (told(&error), &error) {
        (Some((message, place)), _) => (message, position(sql, place)),
        (None, ParserError::ParserError(message)) => (&**message, None),
        (None, _) => return too_complex(),
    };
    SqlError::new(sqlstate::SYNTAX_ERROR, format!("syntax error: {message}"))
        .hint("What is supported of PostgreSQL's SQL, is listed in docs/sql/support.md.")
        .at(place)
}

/// What the parser tells, and the place that its message ends with.
fn told(error: &ParserError) -> Option<(&str, Location)> {
    let ParserError::ParserError(message) = error else {
        return None;
    };
    let (message, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let (line, column) = (line.parse().ok()?, column.parse().ok()?);
    Some((message, Location { line, column }))
}

/// Characters up to a place, from 1.
pub(crate) fn position(sql: &str, place: Location) -> Option<u32> {
    let before = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let lines = sql.split_inclusive('\n').take(before);
    let characters: usize = lines.map(|line| line.chars().count()).sum();
    let column = usize::try_from(place.column).ok()?;
    u32::try_from(characters + column).ok()
}

/// A name as it counts: folded to lower case unless it is quoted.
pub(crate) fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_their_place() {
        let error = parse("select 1;\n\nselect * form t").unwrap_err();
        assert_eq!(error.sqlstate, "42601");
        assert_eq!(error.position, Some(26), "{error:?}");
        assert_eq!(parse("select 'x").unwrap_err().sqlstate, "42601");
        let deep = format!("select {}1{}", "(".repeat(500), ")".repeat(500));
        assert_eq!(parse(&deep).unwrap_err().sqlstate, "54001");
        assert!(parse(" ; -- nothing").unwrap().is_empty());
    }
}
