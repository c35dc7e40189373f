//! Statements that sqlparser does not know, or not in all of their forms.

use sqlparser::ast::{DataType, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::copy::{self, CopyTree};
use super::{OfSession, Overriding};

/// A statement of ours.
#[derive(Debug, Clone)]
pub(crate) enum Own {
    CreateSequence {
        name: ObjectName,
        if_not_exists: bool,
        options: Vec<SequenceOption>,
        temporary: bool,
    },
    RenameSequence {
        name: ObjectName,
        if_exists: bool,
        new_name: ObjectName,
    },
    AlterSequence {
        name: ObjectName,
        if_exists: bool,
        options: Vec<SequenceOption>,
    },
    Reindex {
        kind: ReindexKind,
        name: Option<ObjectName>,
    },
    CreateDatabase {
        name: Ident,
        options: Vec<DatabaseOption>,
    },
    RenameDatabase {
        name: Ident,
        new_name: Ident,
    },
    DropDatabase {
        name: Ident,
        if_exists: bool,
        /// Those who are connected are sent away.
        force: bool,
    },
    /// VACUUM, or ANALYZE alone: of tables, or of all.
    Tend {
        vacuum: bool,
        tables: Vec<ObjectName>,
    },
    /// About the session itself: no definition.
    Session(OfSession),
    Copy(Box<CopyTree>),
}

/// What is built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReindexKind {
    Index,
    Table,
    /// All tables of a schema.
    Schema,
    /// All tables of the database.
    All,
}

/// What is said of a database: a name in lower case, and a value.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseOption {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// What is said of a sequence. `None`: what the type says.
#[derive(Debug, Clone)]
pub(crate) enum SequenceOption {
    As(DataType),
    Increment(i64),
    Minimum(Option<i64>),
    Maximum(Option<i64>),
    Start(i64),
    Restart(Option<i64>),
    Cache(i64),
    Cycle(bool),
    /// `None`: by nothing.
    OwnedBy(Option<ObjectName>),
}

impl Own {
    /// The statement that begins here, if it is one of ours.
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<Own>, ParserError> {
        use Keyword::{
            ALTER, ANALYZE, COPY, CREATE, DATABASE, DROP, EXISTS, IF, NOT, REINDEX, RENAME,
            SEQUENCE, TEMP, TEMPORARY, TO, VACUUM,
        };
        let temporary = [TEMP, TEMPORARY].into_iter();
        let mut temporary = temporary.map(|word| parser.parse_keywords(&[CREATE, word, SEQUENCE]));
        let temporary = temporary.any(|is_it| is_it);
        if temporary || parser.parse_keywords(&[CREATE, SEQUENCE]) {
            return Ok(Some(Own::CreateSequence {
                if_not_exists: parser.parse_keywords(&[IF, NOT, EXISTS]),
                name: parser.parse_object_name(false)?,
                options: options(parser)?,
                temporary,
            }));
        }
        if parser.parse_keywords(&[ALTER, SEQUENCE]) {
            let if_exists = parser.parse_keywords(&[IF, EXISTS]);
            let name = parser.parse_object_name(false)?;
            return Ok(Some(match parser.parse_keywords(&[RENAME, TO]) {
                true => Own::RenameSequence {
                    name,
                    if_exists,
                    new_name: parser.parse_object_name(false)?,
                },
                false => Own::AlterSequence {
                    name,
                    if_exists,
                    options: options(parser)?,
                },
            }));
        }
        if parser.parse_keywords(&[CREATE, DATABASE]) {
            return Ok(Some(Own::CreateDatabase {
                name: parser.parse_identifier()?,
                options: database_options(parser)?,
            }));
        }
        if parser.parse_keywords(&[ALTER, DATABASE]) {
            let name = parser.parse_identifier()?;
            parser.expect_keywords(&[RENAME, TO])?;
            let new_name = parser.parse_identifier()?;
            return Ok(Some(Own::RenameDatabase { name, new_name }));
        }
        if parser.parse_keywords(&[DROP, DATABASE]) {
            return Ok(Some(Own::DropDatabase {
                if_exists: parser.parse_keywords(&[IF, EXISTS]),
                name: parser.parse_identifier()?,
                force: force(parser)?,
            }));
        }
        if parser.parse_keyword(COPY) {
            return copy::parse(parser).map(|tree| Some(Own::Copy(Box::new(tree))));
        }
        if parser.parse_keyword(REINDEX) {
            return reindex(parser).map(Some);
        }
        if parser.parse_keyword(VACUUM) {
            return tend(parser, true).map(Some);
        }
        if parser.parse_keyword(ANALYZE) {
            return tend(parser, false).map(Some);
        }
        Ok(OfSession::parse(parser)?.map(Own::Session))
    }
}

/// `[WITH] (FORCE)`
fn force(parser: &mut Parser<'_>) -> Result<bool, ParserError> {
    let with = parser.parse_keyword(Keyword::WITH);
    if !with && parser.peek_token_ref().token != Token::LParen {
        return Ok(false);
    }
    parser.expect_token(&Token::LParen)?;
    parser.expect_keyword(Keyword::FORCE)?;
    parser.expect_token(&Token::RParen)?;
    Ok(true)
}

fn database_options(parser: &mut Parser<'_>) -> Result<Vec<DatabaseOption>, ParserError> {
    let _with = parser.parse_keyword(Keyword::WITH);
    let mut options = Vec::new();
    while !matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF) {
        let mut name = parser.parse_identifier()?.value.to_ascii_lowercase();
        if name == "connection" {
            parser.expect_keyword(Keyword::LIMIT)?;
            name.push_str(" limit");
        }
        let _equals = parser.consume_token(&Token::Eq);
        let value = match parser.peek_token_ref().token {
            Token::Number(..) | Token::Minus => number(parser)?.to_string(),
            Token::SingleQuotedString(_) => parser.parse_literal_string()?,
            _ => parser.parse_identifier()?.value,
        };
        options.push(DatabaseOption { name, value });
    }
    Ok(options)
}

fn options(parser: &mut Parser<'_>) -> Result<Vec<SequenceOption>, ParserError> {
    use Keyword::{
        AS, BY, CACHE, CYCLE, INCREMENT, MAXVALUE, MINVALUE, NO, NONE, OWNED, RESTART, START, WITH,
    };
    let mut options = Vec::new();
    loop {
        options.push(if parser.parse_keyword(AS) {
            SequenceOption::As(parser.parse_data_type()?)
        } else if parser.parse_keyword(INCREMENT) {
            let _by = parser.parse_keyword(BY);
            SequenceOption::Increment(number(parser)?)
        } else if parser.parse_keywords(&[NO, MINVALUE]) {
            SequenceOption::Minimum(None)
        } else if parser.parse_keyword(MINVALUE) {
            SequenceOption::Minimum(Some(number(parser)?))
        } else if parser.parse_keywords(&[NO, MAXVALUE]) {
            SequenceOption::Maximum(None)
        } else if parser.parse_keyword(MAXVALUE) {
            SequenceOption::Maximum(Some(number(parser)?))
        } else if parser.parse_keyword(START) {
            let _with = parser.parse_keyword(WITH);
            SequenceOption::Start(number(parser)?)
        } else if parser.parse_keyword(RESTART) {
            let with = parser.parse_keyword(WITH);
            let numeric = matches!(
                parser.peek_token_ref().token,
                Token::Number(..) | Token::Minus | Token::Plus
            );
            let with = (with || numeric).then(|| number(parser)).transpose()?;
            SequenceOption::Restart(with)
        } else if parser.parse_keyword(CACHE) {
            SequenceOption::Cache(number(parser)?)
        } else if parser.parse_keywords(&[NO, CYCLE]) {
            SequenceOption::Cycle(false)
        } else if parser.parse_keyword(CYCLE) {
            SequenceOption::Cycle(true)
        } else if parser.parse_keywords(&[OWNED, BY]) {
            let owner = match parser.parse_keyword(NONE) {
                true => None,
                false => Some(parser.parse_object_name(false)?),
            };
            SequenceOption::OwnedBy(owner)
        } else {
            return Ok(options);
        });
    }
}

pub(super) fn number(parser: &mut Parser<'_>) -> Result<i64, ParserError> {
    let sign = match parser.consume_token(&Token::Minus) {
        true => "-",
        false => {
            let _plus = parser.consume_token(&Token::Plus);
            ""
        }
    };
    let token = parser.next_token();
    let number = match &token.token {
        Token::Number(digits, _) => format!("{sign}{digits}").parse().ok(),
        _ => None,
    };
    match number {
        Some(number) => Ok(number),
        None => parser.expected("a whole number of 8 bytes", token),
    }
}

fn reindex(parser: &mut Parser<'_>) -> Result<Own, ParserError> {
    use Keyword::{CONCURRENTLY, DATABASE, INDEX, SCHEMA, SYSTEM, TABLE};
    if parser.consume_token(&Token::LParen) {
        tending(parser, &["concurrently", "verbose"])?;
    }
    let kind = match parser.expect_one_of_keywords(&[INDEX, TABLE, SCHEMA, DATABASE, SYSTEM])? {
        INDEX => ReindexKind::Index,
        TABLE => ReindexKind::Table,
        SCHEMA => ReindexKind::Schema,
        _ => ReindexKind::All,
    };
    // It is always beside readers and writers.
    let _always = parser.parse_keyword(CONCURRENTLY);
    let ends = matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF);
    let name = match ends && kind == ReindexKind::All {
        true => None,
        false => Some(parser.parse_object_name(false)?),
    };
    Ok(Own::Reindex { kind, name })
}

/// What is said of how, which means nothing here, and the tables.
fn tend(parser: &mut Parser<'_>, vacuum: bool) -> Result<Own, ParserError> {
    use Keyword::{ANALYZE, FREEZE, FULL, VERBOSE};
    if parser.consume_token(&Token::LParen) {
        tending(parser, &TENDING)?;
    }
    while parser
        .parse_one_of_keywords(&[FULL, FREEZE, VERBOSE, ANALYZE])
        .is_some()
    {}
    let mut tables = Vec::new();
    if !matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF) {
        loop {
            tables.push(parser.parse_object_name(false)?);
            parenthesized(parser)?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    Ok(Own::Tend { vacuum, tables })
}

/// Options of VACUUM and ANALYZE.
const TENDING: [&str; 10] = [
    "full",
    "freeze",
    "verbose",
    "analyze",
    "disable_page_skipping",
    "skip_locked",
    "index_cleanup",
    "process_toast",
    "truncate",
    "parallel",
];

/// Passes over options, which mean nothing here, up to a closing parenthesis.
fn tending(parser: &mut Parser<'_>, options: &[&str]) -> Result<(), ParserError> {
    loop {
        let token = parser.next_token();
        if !options.iter().any(|option| is_word(&token, option)) {
            return parser.expected("an option", token);
        }
        if matches!(
            parser.peek_token_ref().token,
            Token::Word(_) | Token::Number(..)
        ) {
            parser.advance_token();
        }
        if parser.consume_token(&Token::RParen) {
            return Ok(());
        }
        parser.expect_token(&Token::Comma)?;
    }
}

/// Passes over names of columns in parentheses, if there are any.
fn parenthesized(parser: &mut Parser<'_>) -> Result<(), ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(());
    }
    loop {
        let token = parser.next_token();
        match token.token {
            Token::RParen => return Ok(()),
            Token::Word(_) | Token::Comma => {}
            _ => return parser.expected("a list of columns", token),
        }
    }
}

pub(super) fn is_word(token: &TokenWithSpan, text: &str) -> bool {
    match &token.token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text),
        _ => false,
    }
}

/// Makes `FOR NO KEY UPDATE` and `FOR KEY SHARE` what is next stronger, `FOR UPDATE` and `FOR SHARE`.
pub(super) fn key_locks(tokens: &mut Vec<TokenWithSpan>) {
    const WORDS: [&[&str]; 2] = [&["for", "no", "key", "update"], &["for", "key", "share"]];
    let mut taken = Vec::new();
    for at in 0..tokens.len() {
        if !is_word(&tokens[at], "for") {
            continue;
        }
        let rest = tokens[at..].iter().enumerate();
        let words = rest.filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)));
        let four: Vec<_> = words.take(4).collect();
        let clause = WORDS.into_iter().find(|clause| {
            let mut pairs = clause.iter().zip(&four);
            four.len() >= clause.len() && pairs.all(|(word, (_, token))| is_word(token, word))
        });
        if let Some(clause) = clause {
            let last = four[clause.len() - 1].0;
            taken.extend(at + 1..at + last);
        }
    }
    super::take(tokens, taken);
}

/// What the name begins with that stands for an expression in `ON CONFLICT (…)`: the zero that no
/// name has.
pub(super) const EXPRESSION: char = '\0';

/// Puts each expression in `ON CONFLICT (lower(a), b)` into one word, since the parser takes names
/// alone there: [`super::conflict_expression`] takes it out again.
pub(super) fn conflict_targets(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    while at < tokens.len() {
        at += 1;
        if !is_word(&tokens[at - 1], "conflict") {
            continue;
        }
        let is_blank = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
        while tokens.get(at).is_some_and(is_blank) {
            at += 1;
        }
        if tokens
            .get(at)
            .is_none_or(|token| token.token != Token::LParen)
        {
            continue;
        }
        let (mut depth, mut begins) = (0_usize, at + 1);
        at += 1;
        while let Some(token) = tokens.get(at) {
            let ends = depth == 0 && matches!(token.token, Token::Comma | Token::RParen);
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen if !ends => depth -= 1,
                _ => {}
            }
            if !ends {
                at += 1;
                continue;
            }
            let is_last = token.token == Token::RParen;
            let solid = tokens[begins..at].iter().filter(|token| !is_blank(token));
            let solid: Vec<_> = solid.collect();
            if solid.len() > 1 {
                let text = tokens[begins..at]
                    .iter()
                    .map(|token| token.token.to_string());
                let span = solid[0].span;
                let value = format!("{EXPRESSION}{}", text.collect::<String>());
                let token = Token::make_word(&value, Some('"'));
                tokens.splice(begins..at, [TokenWithSpan { token, span }]);
                at = begins + 1;
            }
            at += 1;
            begins = at;
            if is_last {
                break;
            }
        }
    }
}

/// Puts the options of `GENERATED … AS IDENTITY (…)` into the order in which the parser takes them.
pub(super) fn identity_options(tokens: &mut [TokenWithSpan]) {
    const ORDER: [&str; 7] = [
        "increment",
        "minvalue",
        "maxvalue",
        "start",
        "cache",
        "cycle",
        "no",
    ];
    let blank = |of: &TokenWithSpan| matches!(of.token, Token::Whitespace(_));
    let mut at = 0;
    while at < tokens.len() {
        at += 1;
        if !is_word(&tokens[at - 1], "identity") {
            continue;
        }
        let rest = tokens[at..].iter();
        let Some(open) = rest.clone().position(|of| !blank(of)).map(|nth| at + nth) else {
            return;
        };
        let end = tokens[open..]
            .iter()
            .position(|of| of.token == Token::RParen);
        let (Token::LParen, Some(end)) = (&tokens[open].token, end) else {
            continue;
        };
        let inside = &mut tokens[open + 1..open + end];
        // Each option with what follows it.
        let mut options: Vec<(usize, Vec<TokenWithSpan>)> = Vec::new();
        let mut negated = false;
        for token in inside.iter() {
            let rank = ORDER.iter().position(|word| is_word(token, word));
            match (rank, options.last_mut()) {
                (Some(rank), Some((last, option))) if negated => {
                    *last = rank;
                    option.push(token.clone());
                }
                (None, Some((_, option))) => option.push(token.clone()),
                (None, None) => options.push((0, vec![token.clone()])),
                (Some(rank), _) => options.push((rank, vec![token.clone()])),
            }
            negated = negated && blank(token) || rank == Some(ORDER.len() - 1);
        }
        options.sort_by_key(|(rank, _)| *rank);
        let sorted = options.into_iter().flat_map(|(_, option)| option);
        for (place, token) in inside.iter_mut().zip(sorted) {
            *place = token;
        }
    }
}

/// Takes `OVERRIDING … VALUE` out of INSERTs; the answer is where the statements begin that say it, in
/// their order.
pub(super) fn overriding(tokens: &mut Vec<TokenWithSpan>) -> Vec<(Location, Overriding)> {
    let word = is_word;
    let mut found = Vec::new();
    let mut taken = Vec::new();
    let (mut begins, mut depth, mut prepares) = (None, 0_u32, false);
    let places: Vec<_> = (0..tokens.len())
        .filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_)))
        .collect();
    for (nth, &at) in places.iter().enumerate() {
        let token = &tokens[at];
        match &token.token {
            Token::SemiColon => (begins, depth, prepares) = (None, 0, false),
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        if token.token != Token::SemiColon && begins.is_none() {
            begins = Some((token.span.start, word(token, "insert")));
            prepares |= word(token, "prepare");
        } else if prepares && depth == 0 && word(token, "as") {
            // What is prepared is a statement, too.
            (begins, prepares) = (None, false);
        }
        let (Some((start, true)), 0, Some(&[_, whose, value])) = (
            begins,
            depth,
            places.get(nth..nth + 3).and_then(|it| it.first_chunk()),
        ) else {
            continue;
        };
        if !word(token, "overriding") || !word(&tokens[value], "value") {
            continue;
        }
        let said = match &tokens[whose] {
            whose if word(whose, "system") => Overriding::System,
            whose if word(whose, "user") => Overriding::User,
            _ => continue,
        };
        found.push((start, said));
        taken.extend([at, whose, value]);
    }
    super::take(tokens, taken);
    found
}
