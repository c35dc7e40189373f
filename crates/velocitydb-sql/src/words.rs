//! Words in texts: `to_tsvector('english', a) @@ websearch_to_tsquery('english', $1)`.
//!
//! There are no values of the types `tsvector` and `tsquery`: `@@` between the functions that make them
//! is one condition on a text ([`Matches`]), and means what the engine's full text means
//! ([`velocitydb_query::Text`]), whose words, stems and stop words are near PostgreSQL's, not the same.
//! A full-text index over the column serves it, with the planner's usual way: it proposes
//! ([`How::filter`]), and the condition is asked again.
//!
//! Tests: slt/words_in_texts.slt.

use std::sync::OnceLock;

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};
use velocitydb_engine::text::{Language, Require};
use velocitydb_query::{Arguments, Cell, Filter, QueryError, Scalar, Text};
use velocitydb_types::{Path, ScalarType, SqlType, Value, View};

use crate::bound::Bound;
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;

/// What is asked of a text.
#[derive(Debug, Clone)]
enum Asked {
    Text(Text),
    All(Vec<Asked>),
    Any(Vec<Asked>),
    Not(Box<Asked>),
    /// There are stop words alone: nothing is found.
    Nothing,
}

/// `@@`: of a text, a query, the function that reads the query, and the language.
#[derive(Default)]
pub(crate) struct Matches {
    /// The query that it met first, read; and what it was read of.
    read: OnceLock<(Box<str>, Asked)>,
}

impl std::fmt::Debug for Matches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("@@")
    }
}

/// A call of a text search function with a configuration.
struct Call<'e> {
    name: String,
    language: Language,
    of: &'e Expr,
}

/// What `to_tsvector('english', of)` or a function for queries says; `None`: it is something else.
fn call(expr: &Expr) -> Result<Option<Call<'_>>, SqlError> {
    let mut expr = expr;
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    let Expr::Function(Function { name, args, .. }) = expr else {
        return Ok(None);
    };
    let (Some(name), FunctionArguments::List(list)) =
        (name.0.last().and_then(|part| part.as_ident()), args)
    else {
        return Ok(None);
    };
    let name = folded(name);
    if name != "to_tsvector" && Reads::named(&name).is_none() {
        return Ok(None);
    }
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(configuration)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(of)),
    ] = &list.args[..]
    else {
        let what = format!("{name} without a configuration");
        return Err(SqlError::unsupported(what).hint(format!("Write {name}('english', …).")));
    };
    let mut literal = configuration;
    while let Expr::Nested(inner) | Expr::Cast { expr: inner, .. } = literal {
        literal = inner;
    }
    let configuration = match literal {
        Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    };
    let Some(configuration) = configuration else {
        let what = format!("a configuration of {name} that is no literal");
        return Err(SqlError::unsupported(what));
    };
    let plain = configuration.trim_start_matches("pg_catalog.");
    let language = plain.parse::<Language>().map_err(|_| {
        let message = format!("text search configuration {configuration:?} does not exist");
        SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
    })?;
    Ok(Some(Call { name, language, of }))
}

/// The language and the text of a `to_tsvector` with a configuration.
pub(crate) fn vector(expr: &Expr) -> Result<Option<(Language, &Expr)>, SqlError> {
    let called = call(expr)?.filter(|call| call.name == "to_tsvector");
    Ok(called.map(|call| (call.language, call.of)))
}

/// The two sides of `@@`, if they are a text and a query for it.
pub(crate) struct Sides<'e> {
    pub(crate) text: &'e Expr,
    pub(crate) query: &'e Expr,
    /// The function that reads the query.
    pub(crate) reads: String,
    pub(crate) language: &'static str,
}

/// What stands on both sides of `@@`, in whichever order.
///
/// # Errors
/// Anything but a `to_tsvector` and a function for queries of the same configuration.
pub(crate) fn sides<'e>(left: &'e Expr, right: &'e Expr) -> Result<Sides<'e>, SqlError> {
    let is_vector = |call: &Call<'_>| call.name == "to_tsvector";
    let both = match (call(left)?, call(right)?) {
        (Some(vector), Some(query)) if is_vector(&vector) && !is_vector(&query) => {
            Some((vector, query))
        }
        (Some(query), Some(vector)) if is_vector(&vector) && !is_vector(&query) => {
            Some((vector, query))
        }
        _ => None,
    };
    let both = both.filter(|(vector, query)| vector.language == query.language);
    let Some((vector, query)) = both else {
        let what =
            "@@ of anything but to_tsvector and a function for queries, with one configuration,";
        return Err(SqlError::unsupported(what).hint(
            "Write to_tsvector('english', column) @@ websearch_to_tsquery('english', …), or \
             plainto_tsquery, phraseto_tsquery, to_tsquery.",
        ));
    };
    Ok(Sides {
        text: vector.of,
        query: query.of,
        reads: query.name,
        language: vector.language.name(),
    })
}

impl Scalar for Matches {
    fn name(&self) -> &str {
        "@@"
    }

    fn call<'a>(&self, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
        let (text, query) = (arguments.get(0)?, arguments.get(1)?);
        let (reads, language) = (arguments.get(2)?, arguments.get(3)?);
        let view = query.view();
        let (false, View::Str(query)) = (text.is_null(), view) else {
            return Ok(Cell::Owned(Value::Null));
        };
        let query = std::str::from_utf8(query).unwrap_or_default();
        let read = || asked(query, &reads.into_value(), &language.into_value());
        let holds = match self.read.get() {
            Some((of, asked)) if **of == *query => asked.holds(&text.view()),
            Some(_) => read()?.holds(&text.view()),
            None => {
                let asked = read()?;
                let (_, asked) = self.read.get_or_init(|| (query.into(), asked));
                asked.holds(&text.view())
            }
        };
        Ok(Cell::Owned(holds.into()))
    }

    fn result(&self) -> Option<SqlType> {
        Some(ScalarType::Bool.into())
    }
}

/// The function that reads a query, and the language.
#[derive(Debug, Clone)]
pub(crate) struct How {
    reads: Value,
    language: Value,
}

impl How {
    /// What the planner may know of a condition: it is no narrower.
    pub(crate) fn filter(&self, path: &Path, query: &str) -> Result<Filter, QueryError> {
        let asked = asked(query, &self.reads, &self.language)?;
        Ok(asked.filter(path).unwrap_or(Filter::All))
    }
}

/// The column, and the query, of a condition on words that a full-text index may serve.
pub(crate) fn of_column(condition: &Bound) -> Option<(Path, Bound, How)> {
    let Bound::Apply {
        function,
        arguments,
        ..
    } = condition
    else {
        return None;
    };
    let (
        "@@",
        [
            text,
            query,
            Bound::Constant(reads),
            Bound::Constant(language),
        ],
    ) = (function.name(), &arguments[..])
    else {
        return None;
    };
    let path = match text {
        Bound::Column(path) => path,
        // An empty text has no words, as null has none.
        Bound::Apply {
            function,
            arguments,
            ..
        } if function.name() == "coalesce" => match &arguments[..] {
            [Bound::Column(path), Bound::Constant(Value::String(empty))] if empty.is_empty() => {
                path
            }
            _ => return None,
        },
        _ => return None,
    };
    let how = How {
        reads: reads.clone(),
        language: language.clone(),
    };
    query
        .is_constant()
        .then(|| (path.clone(), query.clone(), how))
}

impl Asked {
    fn holds(&self, text: &View<'_>) -> bool {
        match self {
            Asked::Text(asked) => asked.holds(text),
            Asked::All(all) => all.iter().all(|asked| asked.holds(text)),
            Asked::Any(any) => any.iter().any(|asked| asked.holds(text)),
            Asked::Not(asked) => !asked.holds(text),
            Asked::Nothing => false,
        }
    }

    fn filter(&self, path: &Path) -> Option<Filter> {
        match self {
            Asked::Text(asked) => Some(Filter::Text(path.clone(), asked.clone())),
            Asked::All(all) => {
                let all: Vec<_> = all.iter().filter_map(|asked| asked.filter(path)).collect();
                (!all.is_empty()).then_some(Filter::And(all))
            }
            Asked::Nothing => Some(Filter::Or(Vec::new())),
            Asked::Any(_) | Asked::Not(_) => None,
        }
    }

    /// Parts joined, without those that ask for nothing.
    fn joined(parts: Vec<Asked>, join: fn(Vec<Asked>) -> Asked) -> Asked {
        let mut parts = parts;
        parts.retain(|part| !matches!(part, Asked::Nothing));
        match parts.len() {
            0 => Asked::Nothing,
            1 => parts.remove(0),
            _ => join(parts),
        }
    }
}

/// How a query is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    Operators,
    Plain,
    Phrase,
    WebSearch,
}

impl Reads {
    fn named(name: &str) -> Option<Reads> {
        Some(match name {
            "to_tsquery" => Reads::Operators,
            "plainto_tsquery" => Reads::Plain,
            "phraseto_tsquery" => Reads::Phrase,
            "websearch_to_tsquery" => Reads::WebSearch,
            _ => return None,
        })
    }
}

fn fault(sqlstate: &'static str, message: impl Into<String>) -> QueryError {
    QueryError::Scalar {
        sqlstate,
        message: message.into(),
    }
}

fn asked(query: &str, reads: &Value, language: &Value) -> Result<Asked, QueryError> {
    let reads = reads.as_str().and_then(Reads::named);
    let language = language.as_str().and_then(|name| name.parse().ok());
    let (Some(reads), Some(language)) = (reads, language) else {
        return Err(fault("XX000", "@@ without its kind and its language"));
    };
    match reads {
        Reads::Plain => {
            let words: Vec<_> = query.split_whitespace().map(quoted).collect();
            text(&words.join(" "), language)
        }
        Reads::Phrase => text(&quoted(query), language),
        Reads::WebSearch => web_search(query, language),
        Reads::Operators => {
            let mut parser = Operators {
                rest: query,
                query,
                language,
                depth: 0,
            };
            let asked = parser.any()?;
            match parser.rest.trim_start() {
                "" => Ok(asked),
                _ => Err(parser.wrong()),
            }
        }
    }
}

/// Words as the engine's queries have them, with nothing in them that means more.
fn quoted(words: &str) -> String {
    format!("\"{}\"", words.replace('"', " "))
}

/// What the engine's query asks; nothing where it has no words, or stop words alone.
fn text(query: &str, language: Language) -> Result<Asked, QueryError> {
    if !query.chars().any(char::is_alphanumeric) {
        return Ok(Asked::Nothing);
    }
    let text = Text::new(query, language, Require::All)?;
    Ok(match text.is_empty() {
        true => Asked::Nothing,
        false => Asked::Text(text),
    })
}

/// `red "two words" -not or blue`: `or` joins what stands between it.
fn web_search(query: &str, language: Language) -> Result<Asked, QueryError> {
    let (mut any, mut required, mut excluded) = (Vec::new(), Vec::new(), Vec::new());
    let mut finish = |required: &mut Vec<String>, excluded: &mut Vec<String>| {
        let found = text(&std::mem::take(required).join(" "), language)?;
        let mut all = vec![found];
        for word in excluded.drain(..) {
            all.push(match text(&word, language)? {
                Asked::Nothing => Asked::Nothing,
                asked => Asked::Not(Box::new(asked)),
            });
        }
        any.push(Asked::joined(all, Asked::All));
        Ok::<_, QueryError>(())
    };
    let mut rest = query.trim_start();
    while !rest.is_empty() {
        let (is_excluded, after) = match rest.strip_prefix('-') {
            Some(after) => (true, after),
            None => (false, rest),
        };
        let (words, after, is_quoted) = match after.strip_prefix('"') {
            Some(phrase) => {
                let end = phrase.find('"').unwrap_or(phrase.len());
                (&phrase[..end], phrase.get(end + 1..).unwrap_or(""), true)
            }
            None => {
                let end = after.find(|c: char| c.is_whitespace() || c == '"');
                let (word, after) = after.split_at(end.unwrap_or(after.len()));
                (word, after, false)
            }
        };
        rest = after.trim_start();
        if !is_excluded && !is_quoted && words.eq_ignore_ascii_case("or") {
            finish(&mut required, &mut excluded)?;
        } else if is_excluded {
            excluded.push(quoted(words));
        } else {
            required.push(quoted(words));
        }
    }
    finish(&mut required, &mut excluded)?;
    Ok(Asked::joined(any, Asked::Any))
}

/// `red & (blue | !green) & beg:*`.
struct Operators<'q> {
    rest: &'q str,
    query: &'q str,
    language: Language,
    depth: usize,
}

/// How deep a query may nest.
const DEPTH_MAX: usize = 64;

impl Operators<'_> {
    fn wrong(&self) -> QueryError {
        fault(
            "42601",
            format!("syntax error in tsquery: {:?}", self.query),
        )
    }

    fn takes(&mut self, sign: &str) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self) -> Result<Asked, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(fault("54001", "a tsquery that nests too deep"));
        }
        let mut any = vec![self.all()?];
        while self.takes("|") {
            any.push(self.all()?);
        }
        self.depth -= 1;
        Ok(Asked::joined(any, Asked::Any))
    }

    fn all(&mut self) -> Result<Asked, QueryError> {
        let mut all = vec![self.one()?];
        while self.takes("&") {
            all.push(self.one()?);
        }
        if self.rest.trim_start().starts_with('<') {
            let message = "<-> in to_tsquery is not supported: phraseto_tsquery finds phrases";
            return Err(fault("0A000", message));
        }
        Ok(Asked::joined(all, Asked::All))
    }

    fn one(&mut self) -> Result<Asked, QueryError> {
        let mut negated = false;
        while self.takes("!") {
            negated = !negated;
        }
        let asked = match self.takes("(") {
            true => {
                let inner = self.any()?;
                if !self.takes(")") {
                    return Err(self.wrong());
                }
                inner
            }
            false => self.word()?,
        };
        Ok(match (negated, asked) {
            (true, asked) if !matches!(asked, Asked::Nothing) => Asked::Not(Box::new(asked)),
            (_, asked) => asked,
        })
    }

    fn word(&mut self) -> Result<Asked, QueryError> {
        let rest = self.rest.trim_start();
        let (word, after) = match rest.strip_prefix('\'') {
            Some(word) => match word.split_once('\'') {
                Some((word, after)) if !after.starts_with('\'') => (word, after),
                _ => return Err(self.wrong()),
            },
            None => {
                let ends = |c: char| c.is_whitespace() || "&|!()<:'".contains(c);
                let end = rest.find(ends).unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        if rest.is_empty() {
            let message = format!("no operand in tsquery: {:?}", self.query);
            return Err(fault("42601", message));
        }
        if word.trim().is_empty() {
            return Err(self.wrong());
        }
        self.rest = after;
        let Some(flags) = after.strip_prefix(':') else {
            return text(&quoted(word), self.language);
        };
        let Some(after) = flags.strip_prefix('*') else {
            return Err(fault("0A000", "weights in to_tsquery are not supported"));
        };
        self.rest = after;
        text(&format!("{word}*"), self.language)
    }
}
