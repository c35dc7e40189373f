//! What a user types, taken apart: words, ids and JSON, each with its place.
//!
//! A statement is a line, or several while a JSON argument is open. JSON is not read here, only
//! its end is found: who reads it says what is wrong and where, and [`Complaint`] shows that
//! place under the input. Only numbers are read, those of a place too. Statements that end in `;` are left to SQL.
//! [`COMMANDS`] is the one list of commands: help and completion come from it.
//! Tests: below; tests/it/testscripts.

mod questions;

pub(crate) use questions::unquoted;
pub use questions::{Explain, Question, Ranked, Wanted};

use crate::complaint::Complaint;

/// One command, as help and completion show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandRow {
    /// The first word.
    pub name: &'static str,
    /// What may follow.
    pub arguments: &'static str,
    /// What it does, in one line.
    pub what: &'static str,
    /// One to copy.
    pub example: &'static str,
}

const fn row(
    name: &'static str,
    arguments: &'static str,
    what: &'static str,
    example: &'static str,
) -> CommandRow {
    CommandRow {
        name,
        arguments,
        what,
        example,
    }
}

/// Every command.
#[rustfmt::skip]
pub const COMMANDS: &[CommandRow] = &[
    row("collections", "", "the collections, with documents and memory", "collections"),
    row("describe", "C", "what a collection is", "describe tasks"),
    row("get", "C ID", "one document", "get tasks t1"),
    row("list", "C [limit N] [after CURSOR]", "documents, about in the order of insertion", "list tasks limit 5"),
    row("find", "C [{filter}] [sort {json}] [project {json}] [limit N] [after CURSOR] [hint INDEX]",
        "documents that a filter lets through", "find tasks {\"state\": \"new\"} sort {\"priority\": -1} limit 5"),
    row("search", "C TEXT [{filter}] [any] [index INDEX] [project {json}] [limit N]",
        "documents whose texts have words, the best first; TEXT is a word, or in quotes",
        "search tasks \"quick \\\"brown fox\\\" jump*\" limit 5"),
    row("near", "C PATH [lon,lat] [{filter}] [within METRES] [project {json}] [limit N]",
        "the documents nearest to a place", "near cities position [22.15,65.58] within 50000"),
    row("count", "C [{filter}]", "how many documents there are, or a filter lets through", "count tasks"),
    row("aggregate", "C [stages]", "rows that a pipeline makes of documents",
        "aggregate tasks [{\"$group\": {\"_id\": \"$state\", \"count\": {\"$sum\": 1}}}]"),
    row("explain", "C … [analyze]", "how documents are found: `…` as after find, or stages",
        "explain tasks {\"state\": \"new\"} analyze"),
    row("indexes", "C", "the indexes of a collection, and what they hold", "indexes tasks"),
    row("insert", "C [ID] {json}", "insert a new document", "insert tasks t1 {\"state\": \"new\"}"),
    row("put", "C ID {json}", "put a document, in place of one that is there", "put tasks t1 {\"state\": \"new\"}"),
    row("patch", "C ID {json}", "change fields; null removes one", "patch tasks t1 {\"state\": \"done\"}"),
    row("delete", "C ID", "delete a document", "delete tasks t1"),
    row("swap", "C ID expected {json} update {json}", "change a document if it is as expected",
        "swap tasks t1 expected {\"state\": \"new\"} update {\"state\": \"done\"}"),
    row("create", "C [{definition}] | index C {definition} | database DATABASE", "create a collection, an index or a database",
        "create index tasks {\"name\": \"by_state\", \"kind\": \"btree\", \"fields\": [\"state\"]}"),
    row("alter", "C {definition} [rename {json}] [drop [json]]", "give a collection another definition",
        "alter tasks {\"schema\": {\"fields\": []}} rename {\"old\": \"new\"} drop [\"gone\"]"),
    row("drop", "C | index C NAME | database DATABASE", "drop a collection with all its documents, an index, or a database with all in it",
        "drop tasks"),
    row("rebuild", "C NAME", "build an index anew, while it goes on serving", "rebuild tasks by_state"),
    row("\\l", "", "the databases, with their collections", "\\l"),
    row("\\c", "[DATABASE]", "go to another database, or say in which this is", "\\c postgres"),
    row("status", "", "how the database is", "status"),
    row("help", "[COMMAND]", "this list, or one command", "help swap"),
    row("\\json", "[on|off]", "answers as JSON, one document a line", "\\json on"),
    row("\\timing", "[on|off]", "say how long each command took", "\\timing on"),
    row("\\x", "[on|off]", "one field a line, long values whole", "\\x"),
    row("\\q", "", "leave (also Ctrl-D)", "\\q"),
];

/// Documents that `list` gives at most at once; the HTTP API has the same limit.
const LIST_DOCUMENTS_MAX: usize = 10_000;

/// The row of a command.
pub fn command(name: &str) -> Option<&'static CommandRow> {
    COMMANDS.iter().find(|row| row.name == name)
}

/// JSON text in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'t> {
    /// The text.
    pub text: &'t str,
    /// Where it begins in the statement, in bytes.
    pub start: usize,
}

/// What can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Answers as JSON.
    Json,
    /// How long a command took.
    Timing,
    /// One field a line.
    Expanded,
}

/// A statement, understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statement<'t> {
    /// Nothing but space or a comment.
    Nothing,
    /// `collections`
    Collections,
    /// `describe C`
    Describe(&'t str),
    /// `get C ID`
    Get(&'t str, &'t str),
    /// `list C …`: the collection, the most documents, the cursor.
    List(&'t str, Option<usize>, Option<&'t str>),
    /// `find C …`
    Find(&'t str, Question<'t>),
    /// `search C …` or `near C …`
    Ranked(&'t str, Ranked<'t>),
    /// `count C [{…}]`
    Count(&'t str, Option<Json<'t>>),
    /// `aggregate C […]`
    Aggregate(&'t str, Json<'t>),
    /// `explain C …`
    Explain(&'t str, Question<'t>, Explain),
    /// `indexes C`
    Indexes(&'t str),
    /// `create index C {…}`
    CreateIndex(&'t str, Json<'t>),
    /// `drop index C NAME`
    DropIndex(&'t str, &'t str),
    /// `rebuild C NAME`
    Rebuild(&'t str, &'t str),
    /// `insert C [ID] {…}`
    Insert(&'t str, Option<&'t str>, Json<'t>),
    /// `put C ID {…}`
    Put(&'t str, &'t str, Json<'t>),
    /// `patch C ID {…}`
    Patch(&'t str, &'t str, Json<'t>),
    /// `delete C ID`
    Delete(&'t str, &'t str),
    /// `swap C ID expected {…} update {…}`
    Swap(&'t str, &'t str, Json<'t>, Json<'t>),
    /// `create C [{…}]`
    Create(&'t str, Option<Json<'t>>),
    /// `alter C {…} [rename {…}] [drop […]]`
    Alter(&'t str, Json<'t>, Option<Json<'t>>, Option<Json<'t>>),
    /// `drop C`
    Drop(&'t str),
    /// `\l`
    Databases,
    /// `\c [DATABASE]`
    Enter(Option<&'t str>),
    /// `create database DATABASE`
    CreateDatabase(&'t str),
    /// `drop database DATABASE`
    DropDatabase(&'t str),
    /// `status`
    Status,
    /// `help [COMMAND]`
    Help(Option<&'static CommandRow>),
    /// `\json …` and its like; without a value the setting is turned over.
    Set(Setting, Option<bool>),
    /// `\q`
    Quit,
}

impl<'t> Statement<'t> {
    /// Its JSON, in order.
    pub fn arguments(&self) -> Vec<Json<'t>> {
        match *self {
            Statement::Insert(_, _, json)
            | Statement::Put(_, _, json)
            | Statement::Patch(_, _, json)
            | Statement::Aggregate(_, json)
            | Statement::CreateIndex(_, json) => vec![json],
            Statement::Find(_, question) | Statement::Explain(_, question, _) => {
                question.arguments()
            }
            Statement::Ranked(_, ranked) => ranked.arguments(),
            Statement::Count(_, filter) => filter.into_iter().collect(),
            Statement::Swap(_, _, expected, update) => vec![expected, update],
            Statement::Create(_, json) => json.into_iter().collect(),
            Statement::Alter(_, definition, rename, drop) => [Some(definition), rename, drop]
                .into_iter()
                .flatten()
                .collect(),
            Statement::Nothing
            | Statement::Collections
            | Statement::Describe(_)
            | Statement::Get(..)
            | Statement::List(..)
            | Statement::Indexes(_)
            | Statement::DropIndex(..)
            | Statement::Rebuild(..)
            | Statement::Delete(..)
            | Statement::Drop(_)
            | Statement::Databases
            | Statement::Enter(_)
            | Statement::CreateDatabase(_)
            | Statement::DropDatabase(_)
            | Statement::Status
            | Statement::Help(_)
            | Statement::Set(..)
            | Statement::Quit => Vec::new(),
        }
    }
}

/// A word, an id in quotes, or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t str,
    pub(crate) start: usize,
    /// Whether brackets or quotes are still open at the end of the text.
    pub(crate) open: bool,
}

impl Token<'_> {
    pub(crate) fn is_json(&self) -> bool {
        self.text.starts_with(['{', '['])
    }
}

/// Takes a statement apart. Only the last token can be open.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(skip) = text[at..].find(|c: char| !c.is_whitespace()) {
        at += skip;
        let rest = &text[at..];
        if tokens.is_empty() && rest.starts_with('#') {
            break;
        }
        let (length, open) = extent(rest);
        tokens.push(Token {
            text: &rest[..length],
            start: at,
            open,
        });
        at += length;
    }
    tokens
}

/// The length of the token at the beginning of a text, and whether it is open.
fn extent(text: &str) -> (usize, bool) {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let structured = text.starts_with(['{', '[', '"']);
    for (at, c) in text.char_indices() {
        if !structured {
            // A word: up to space, or to JSON that follows without one.
            if c.is_whitespace() || (at > 0 && c == '{') {
                return (at, false);
            }
            continue;
        }
        match (quoted, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (true, '"') => quoted = false,
            // No JSON text goes on: left to its reader to say so.
            (true, '\n') => return (text.len(), false),
            (false, '"') => quoted = true,
            (false, '{' | '[') => depth += 1,
            (false, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !quoted {
            return (at + c.len_utf8(), false);
        }
    }
    // Quotes outside of JSON end with their line.
    (text.len(), structured && depth > 0)
}

/// Whether a statement goes on in the next line.
pub fn is_open(text: &str) -> bool {
    tokens(text).last().is_some_and(|token| token.open)
}

/// The words of a statement, taken one after the other.
struct Words<'t> {
    tokens: std::vec::IntoIter<Token<'t>>,
    row: &'static CommandRow,
    end: usize,
}

impl<'t> Words<'t> {
    fn wrong(&self, what: String, at: usize) -> Complaint {
        let CommandRow {
            name, arguments, ..
        } = self.row;
        Complaint::at(what, at).more(format!("usage: {name} {arguments}"))
    }

    fn next(&mut self, what: &str) -> Result<Token<'t>, Complaint> {
        let end = self.end;
        self.tokens
            .next()
            .ok_or_else(|| self.wrong(format!("{what} is missing"), end))
    }

    /// A name or an id.
    fn word(&mut self, what: &str) -> Result<&'t str, Complaint> {
        let token = self.next(what)?;
        match token.is_json() {
            true => Err(self.wrong(format!("{what} is missing before this"), token.start)),
            false => Ok(token.text),
        }
    }

    fn collection(&mut self) -> Result<&'t str, Complaint> {
        self.word("the name of a collection")
    }

    fn database(&mut self) -> Result<&'t str, Complaint> {
        self.word("the name of a database")
    }

    fn id(&mut self) -> Result<&'t str, Complaint> {
        self.word("the id of a document")
    }

    fn json(&mut self, what: &str) -> Result<Json<'t>, Complaint> {
        let token = self.next(what)?;
        let Token { text, start, open } = token;
        match (token.is_json(), open) {
            (true, false) => Ok(Json { text, start }),
            (true, true) => Err(Complaint::at("the JSON that begins here has no end", start)),
            (false, _) => Err(self.wrong(format!("expected {what}, found `{text}`"), start)),
        }
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), Complaint> {
        let token = self.next(&format!("`{keyword}`"))?;
        match token.text == keyword {
            true => Ok(()),
            false => {
                let what = format!("expected `{keyword}`, found `{}`", token.text);
                Err(self.wrong(what, token.start))
            }
        }
    }

    fn follows_json(&self) -> bool {
        self.tokens.as_slice().first().is_some_and(Token::is_json)
    }

    fn rest_is_empty(&self) -> bool {
        self.tokens.as_slice().is_empty()
    }

    fn finish(mut self, statement: Statement<'t>) -> Result<Statement<'t>, Complaint> {
        match self.tokens.next() {
            None => Ok(statement),
            Some(token) => {
                let what = format!("nothing is expected here, found `{}`", token.text);
                Err(self.wrong(what, token.start))
            }
        }
    }

    fn list(&mut self) -> Result<Statement<'t>, Complaint> {
        let (name, mut limit, mut after) = (self.collection()?, None, None);
        while let Some(token) = self.tokens.next() {
            match token.text {
                "limit" => limit = Some(self.limit()?),
                "after" => after = Some(self.word("a cursor")?),
                other => {
                    let what = format!("expected `limit` or `after`, found `{other}`");
                    return Err(self.wrong(what, token.start));
                }
            }
        }
        Ok(Statement::List(name, limit, after))
    }

    fn alter(&mut self) -> Result<Statement<'t>, Complaint> {
        let (name, definition) = (self.collection()?, self.json("a definition {…}")?);
        let (mut rename, mut drop) = (None, None);
        while let Some(token) = self.tokens.next() {
            match token.text {
                "rename" if rename.is_none() => {
                    rename = Some(self.json("names {\"old\": \"new\"}")?);
                }
                "drop" if drop.is_none() => drop = Some(self.json("fields [\"…\"]")?),
                other => {
                    let what = format!("expected `rename` or `drop`, found `{other}`");
                    return Err(self.wrong(what, token.start));
                }
            }
        }
        Ok(Statement::Alter(name, definition, rename, drop))
    }

    fn switch(&mut self, setting: Setting) -> Result<Statement<'t>, Complaint> {
        let Some(token) = self.tokens.next() else {
            return Ok(Statement::Set(setting, None));
        };
        match token.text {
            "on" => Ok(Statement::Set(setting, Some(true))),
            "off" => Ok(Statement::Set(setting, Some(false))),
            other => Err(self.wrong(
                format!("expected `on` or `off`, found `{other}`"),
                token.start,
            )),
        }
    }

    fn help(&mut self) -> Result<Statement<'t>, Complaint> {
        match self.tokens.next() {
            None => Ok(Statement::Help(None)),
            Some(token) => known(&token).map(|row| Statement::Help(Some(row))),
        }
    }
}

/// The command of this name, or the one that may have been meant.
fn known(token: &Token<'_>) -> Result<&'static CommandRow, Complaint> {
    let name = match token.text {
        "exit" | "quit" => "\\q",
        "?" | "\\?" => "help",
        other => other,
    };
    command(name).ok_or_else(|| {
        let near = COMMANDS
            .iter()
            .map(|row| (strsim::damerau_levenshtein(row.name, name), row.name))
            .filter(|(distance, known)| *distance <= 2 && *distance < known.len())
            .min();
        let hint = match near {
            Some((_, known)) => format!("did you mean `{known}`?"),
            None => "`help` lists the commands".to_owned(),
        };
        Complaint::at(format!("there is no command `{name}`"), token.start).more(hint)
    })
}

/// Understands a statement.
pub fn parse(text: &str) -> Result<Statement<'_>, Complaint> {
    let tokens = tokens(text);
    let Some(first) = tokens.first().copied() else {
        return Ok(Statement::Nothing);
    };
    let end = text.trim_end().len();
    if text.trim_end().ends_with(';') {
        let what = "statements that end in `;` are SQL, which is not there yet";
        return Err(Complaint::at(what, end - 1).more("`help` lists the commands of the shell"));
    }
    let row = known(&first)?;
    let mut words = Words {
        tokens: tokens.into_iter(),
        row,
        end,
    };
    words.tokens.next();
    let statement = match row.name {
        "collections" => Statement::Collections,
        "describe" => Statement::Describe(words.collection()?),
        "get" => Statement::Get(words.collection()?, words.id()?),
        "list" => words.list()?,
        "find" => words.find()?,
        "search" => words.search()?,
        "near" => words.near()?,
        "count" => words.count()?,
        "aggregate" => Statement::Aggregate(words.collection()?, words.json("stages […]")?),
        "explain" => words.explain()?,
        "indexes" => Statement::Indexes(words.collection()?),
        "insert" => {
            let name = words.collection()?;
            let id = match words.follows_json() || words.rest_is_empty() {
                true => None,
                false => Some(words.id()?),
            };
            Statement::Insert(name, id, words.json("a document {…}")?)
        }
        "put" => Statement::Put(
            words.collection()?,
            words.id()?,
            words.json("a document {…}")?,
        ),
        "patch" => Statement::Patch(
            words.collection()?,
            words.id()?,
            words.json("fields to change {…}")?,
        ),
        "delete" => Statement::Delete(words.collection()?, words.id()?),
        "swap" => {
            let (name, id) = (words.collection()?, words.id()?);
            words.keyword("expected")?;
            let expected = words.json("what is expected {…}")?;
            words.keyword("update")?;
            let update = words.json("fields to change {…}")?;
            Statement::Swap(name, id, expected, update)
        }
        "create" => words.create()?,
        "alter" => words.alter()?,
        "drop" => words.drop()?,
        "rebuild" => {
            let (name, index) = words.index()?;
            Statement::Rebuild(name, index)
        }
        "\\l" => Statement::Databases,
        "\\c" => Statement::Enter(match words.rest_is_empty() {
            true => None,
            false => Some(words.database()?),
        }),
        "status" => Statement::Status,
        "help" => words.help()?,
        "\\json" => words.switch(Setting::Json)?,
        "\\timing" => words.switch(Setting::Timing)?,
        "\\x" => words.switch(Setting::Expanded)?,
        "\\q" => Statement::Quit,
        other => unreachable!("{other} is in the table of commands and not here"),
    };
    words.finish(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_of_the_table_is_understood() {
        for row in COMMANDS {
            let parsed = parse(row.example);
            assert!(parsed.is_ok(), "{}: {parsed:?}", row.example);
        }
    }

    #[test]
    fn ids_and_json_are_told_apart() {
        let json = |text, start| Json { text, start };
        assert_eq!(
            parse(r#"put tasks "New York"{"a": "}"}"#),
            Ok(Statement::Put(
                "tasks",
                "\"New York\"",
                json(r#"{"a": "}"}"#, 20)
            ))
        );
        assert_eq!(
            parse("insert t {\n}"),
            Ok(Statement::Insert("t", None, json("{\n}", 9)))
        );
        assert_eq!(
            parse("insert t 7{}"),
            Ok(Statement::Insert("t", Some("7"), json("{}", 10)))
        );
        assert_eq!(parse("  # a comment {"), Ok(Statement::Nothing));
        assert_eq!(
            parse("list t after a.1 limit 2"),
            Ok(Statement::List("t", Some(2), Some("a.1")))
        );
    }

    #[test]
    fn a_statement_is_open_while_its_brackets_are() {
        for open in [
            "put t 1 {",
            "put t 1 {\"a\": [1,\n2]",
            "put t 1 {\"}\": 1",
            "x {\"a\": \"b",
        ] {
            assert!(is_open(open), "{open}");
        }
        for whole in [
            "",
            "get t",
            "put t 1 {}",
            "put t 1 {\"a\": \"\\\"{\"}",
            // A string that does not end in its line is wrong, not open.
            "put t 1 {\"a\": \"b\n",
            "get t \"a",
            "put t 1 }",
        ] {
            assert!(!is_open(whole), "{whole}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, at, what) in [
            ("git t 1", 0, "there is no command `git`"),
            ("get", 3, "the name of a collection is missing"),
            ("get t {}", 6, "the id of a document is missing before this"),
            ("get t 1 2", 8, "nothing is expected here, found `2`"),
            ("put t 1 x", 8, "expected a document {…}, found `x`"),
            ("put t 1 {", 8, "the JSON that begins here has no end"),
            (
                "list t limit 0",
                13,
                "expected a whole number from 1 to 10000",
            ),
            ("swap t 1 {}", 9, "expected `expected`, found `{}`"),
            ("\\x yes", 3, "expected `on` or `off`, found `yes`"),
            (
                "select 1;",
                8,
                "statements that end in `;` are SQL, which is not there yet",
            ),
        ] {
            let complaint = parse(text).unwrap_err();
            assert_eq!((complaint.what(), complaint.offset()), (what, Some(at)));
        }
    }
}
