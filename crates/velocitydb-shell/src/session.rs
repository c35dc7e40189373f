//! Does what a statement says, and writes the answer.
//!
//! One door for the shell at a terminal and for scripts: [`Session::execute`]. Answers go to
//! `out`; notes that are no part of an answer (how many, where to go on, how long it took) go
//! beside it when the answers are JSON. Tests: tests/it/testscripts.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use velocitydb::Value;

use crate::complaint::Complaint;
use crate::render::{self, escape};
use crate::statement::{COMMANDS, CommandRow, Json, Question, Setting, Statement, parse, unquoted};
use crate::targets::{LIST_DOCUMENTS, Page, Target, TargetError};

/// A target that a session and its completion share.
pub type SharedTarget = Arc<Mutex<Box<dyn Target>>>;

pub(crate) fn lock(target: &SharedTarget) -> MutexGuard<'_, Box<dyn Target>> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Tables.
    #[default]
    Table,
    /// One JSON document a line.
    Json,
}

/// Whether a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Go,
    /// `\q`
    Quit,
}

/// Who is asked before something is dropped.
pub enum Confirm {
    /// Nobody: a script means what it says.
    Nobody,
    /// The user, with a question; the answer is whether to do it.
    User(Box<dyn FnMut(&str) -> bool>),
}

/// Why a statement was not done, or its answer not written.
#[derive(Debug)]
pub enum Stop {
    /// Said to the user; the session can go on.
    Complaint(Complaint),
    /// The output is gone.
    Output(io::Error),
}

impl From<Complaint> for Stop {
    fn from(complaint: Complaint) -> Stop {
        Stop::Complaint(complaint)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Output(error)
    }
}

/// A conversation with a target.
pub struct Session {
    target: SharedTarget,
    /// How answers look.
    pub format: Format,
    /// Whether each command's time is said.
    pub timing: bool,
    /// Whether documents are shown one field a line.
    pub expanded: bool,
    /// Columns of the terminal; `None`: nothing is cut.
    pub width: Option<usize>,
    /// Who is asked before a drop.
    pub confirm: Confirm,
}

/// What a statement answered.
enum Answer {
    /// Documents and what is to be said of them.
    Documents(Vec<Value>, String),
    /// One document that was asked for.
    Document(Value),
    /// A document that was written: what is said of it, and what it is.
    Written(&'static str, Value),
    /// A number, and the noun of what was counted.
    Count(u64),
    /// Text, and the same for programs.
    Text(String, Vec<String>),
    /// Something that was done.
    Done(String),
}

impl Session {
    /// A session that shows tables.
    pub fn new(target: SharedTarget) -> Session {
        Session {
            target,
            format: Format::Table,
            timing: false,
            expanded: false,
            width: None,
            confirm: Confirm::Nobody,
        }
    }

    /// Does what `text` says; the answer goes to `out`, notes beside JSON to `notes`.
    pub fn execute(
        &mut self,
        text: &str,
        out: &mut dyn Write,
        notes: &mut dyn Write,
    ) -> Result<Flow, Stop> {
        let began = Instant::now();
        let statement = parse(text)?;
        let answer = match statement {
            Statement::Nothing => return Ok(Flow::Go),
            Statement::Quit => return Ok(Flow::Quit),
            Statement::Set(setting, value) => Answer::Done(self.set(setting, value)),
            Statement::Help(None) => Answer::Text(help(), Vec::new()),
            Statement::Help(Some(row)) => Answer::Text(help_on(row), Vec::new()),
            other => self.ask(&other)?,
        };
        let took = began.elapsed();
        self.write(answer, out, notes)?;
        if self.timing {
            let notes = self.beside(out, notes);
            writeln!(notes, "time: {:.3} ms", took.as_secs_f64() * 1_000.0)?;
        }
        Ok(Flow::Go)
    }

    /// Where notes go: JSON has standard output for itself.
    fn beside<'o>(&self, out: &'o mut dyn Write, notes: &'o mut dyn Write) -> &'o mut dyn Write {
        match self.format {
            Format::Table => out,
            Format::Json => notes,
        }
    }

    fn set(&mut self, setting: Setting, value: Option<bool>) -> String {
        let json = self.format == Format::Json;
        let (what, before) = match setting {
            Setting::Json => ("answers as JSON", json),
            Setting::Timing => ("timing", self.timing),
            Setting::Expanded => ("one field a line", self.expanded),
        };
        let now = value.unwrap_or(!before);
        match setting {
            Setting::Json => self.format = if now { Format::Json } else { Format::Table },
            Setting::Timing => self.timing = now,
            Setting::Expanded => self.expanded = now,
        }
        format!("{what}: {}", if now { "on" } else { "off" })
    }

    /// What the target has to answer.
    fn ask(&mut self, statement: &Statement<'_>) -> Result<Answer, Complaint> {
        let mut target = lock(&self.target);
        let answered = match *statement {
            Statement::Collections => target.collections().map(|all| self.collections(&all)),
            Statement::Describe(name) => target.describe(name).map(|all| self.description(&all)),
            Statement::Get(name, id) => target.get(name, id).map(Answer::Document),
            Statement::List(name, limit, after) => target
                .list(name, limit.unwrap_or(LIST_DOCUMENTS), after)
                .map(|page| listed(name, limit, page)),
            Statement::Find(name, question) => target
                .find(name, &question)
                .map(|page| found(name, &question, page)),
            Statement::Ranked(name, ranked) => target.ranked(name, &ranked).map(|found| {
                let note = render::count(found.len() as u64, "document");
                Answer::Documents(found, note)
            }),
            Statement::Count(name, filter) => target
                .count(name, filter.map(|json| json.text))
                .map(Answer::Count),
            Statement::Aggregate(name, stages) => {
                let rows = target.aggregate(name, stages.text);
                rows.map(|rows| {
                    let note = render::count(rows.len() as u64, "row");
                    Answer::Documents(rows, note)
                })
            }
            Statement::Explain(name, question, explain) => target
                .explain(name, &question, explain, self.format)
                .map(|plan| {
                    let plan = plan.trim_end().to_owned();
                    Answer::Text(plan.clone(), vec![plan])
                }),
            Statement::Indexes(name) => target.indexes(name).map(|all| self.indexes(&all)),
            Statement::CreateIndex(name, json) => {
                let done = || Answer::Done(format!("index of {} created", escape(name)));
                target.create_index(name, json.text).map(|()| done())
            }
            Statement::DropIndex(name, index) => {
                let done = || Answer::Done(format!("index {} dropped", escape(index)));
                target.drop_index(name, index).map(|()| done())
            }
            Statement::Rebuild(name, index) => {
                let done = || Answer::Done(format!("index {} rebuilt", escape(index)));
                target.rebuild_index(name, index).map(|()| done())
            }
            Statement::Insert(name, id, json) => target
                .insert(name, id, json.text)
                .map(|made| Answer::Written("inserted", made)),
            Statement::Put(name, id, json) => target
                .put(name, id, json.text)
                .map(|made| Answer::Written("put", made)),
            Statement::Patch(name, id, json) => target
                .patch(name, id, json.text)
                .map(|made| Answer::Written("patched", made)),
            Statement::Delete(name, id) => {
                let done = || Answer::Done(format!("{} deleted", escape(id)));
                target.delete(name, id).map(|()| done())
            }
            Statement::Swap(name, id, expected, update) => target
                .swap(name, id, expected.text, update.text)
                .map(|made| Answer::Written("swapped", made)),
            Statement::Create(name, json) => {
                let done = || Answer::Done(format!("{} created", escape(name)));
                let definition = json.map_or("{}", |json| json.text);
                target.create(name, definition).map(|()| done())
            }
            Statement::Alter(name, definition, rename, drop) => {
                let done = || Answer::Done(format!("{} altered", escape(name)));
                target
                    .alter(
                        name,
                        definition.text,
                        rename.map(|json| json.text),
                        drop.map(|json| json.text),
                    )
                    .map(|()| done())
            }
            Statement::Drop(name) => {
                drop(target);
                return self.drop_collection(name);
            }
            Statement::Databases => {
                let here = target.database();
                target.databases().map(|all| self.databases(&all, &here))
            }
            Statement::Enter(name) => {
                let entered = name.map_or(Ok(()), |name| target.enter(&unquoted(name)));
                entered.map(|()| {
                    Answer::Done(format!("in the database {}", escape(&target.database())))
                })
            }
            Statement::CreateDatabase(name) => {
                let name = unquoted(name);
                let done = || Answer::Done(format!("database {} created", escape(&name)));
                target.create_database(&name).map(|()| done())
            }
            Statement::DropDatabase(name) => {
                drop(target);
                return self.drop_database(&unquoted(name));
            }
            Statement::Status => target.status().map(|status| {
                let text = status.text(self.width);
                Answer::Text(text, vec![status.json()])
            }),
            Statement::Nothing | Statement::Quit | Statement::Set(..) | Statement::Help(_) => {
                unreachable!("done by the session itself")
            }
        };
        answered.map_err(|error| complaint(error, &statement.arguments()))
    }

    fn drop_database(&mut self, name: &str) -> Result<Answer, Complaint> {
        let shown = escape(name);
        if lock(&self.target).database() == name {
            let what = format!("this is in the database {shown}: `\\c` goes to another first");
            return Err(Complaint::new(what));
        }
        if let Confirm::User(ask) = &mut self.confirm
            && !ask(&format!("Drop the database {shown} with all in it? [y/N] "))
        {
            return Ok(Answer::Done("nothing was dropped".to_owned()));
        }
        let dropped = lock(&self.target).drop_database(name);
        dropped.map_err(|error| complaint(error, &[]))?;
        Ok(Answer::Done(format!("database {shown} dropped")))
    }

    fn drop_collection(&mut self, name: &str) -> Result<Answer, Complaint> {
        let refused = |error| complaint(error, &[]);
        if let Confirm::User(ask) = &mut self.confirm {
            let documents = lock(&self.target).count(name, None).map_err(refused)?;
            let question = format!(
                "Drop {} with its {}? [y/N] ",
                escape(name),
                render::count(documents, "document")
            );
            if !ask(&question) {
                return Ok(Answer::Done("nothing was dropped".to_owned()));
            }
        }
        lock(&self.target).drop_collection(name).map_err(refused)?;
        Ok(Answer::Done(format!("{} dropped", escape(name))))
    }

    fn databases(&self, all: &[Value], here: &str) -> Answer {
        let head = ["name", "collections", "comment"].map(str::to_owned);
        let rows = all.iter().map(|one| {
            let name = text_of(one, "name");
            let mark = if at(one, &["name"]).and_then(Value::as_str) == Some(here) {
                " (here)"
            } else {
                ""
            };
            vec![
                format!("{name}{mark}"),
                number_of(one, &["collections"]),
                text_of(one, "comment"),
            ]
        });
        let right = [false, true, false];
        Answer::Text(
            render::table(&head, rows.collect(), &right, self.width),
            all.iter().map(render::json).collect(),
        )
    }

    fn collections(&self, all: &[Value]) -> Answer {
        let json = all.iter().map(render::json).collect();
        if all.is_empty() {
            let text = "no collections; `create C` makes one".to_owned();
            return Answer::Text(text, json);
        }
        let head = ["name", "documents", "memory", "primary key"].map(str::to_owned);
        let rows = all.iter().map(|one| {
            vec![
                text_of(one, "name"),
                number_of(one, &["documents"]),
                render::bytes(whole(one, &["bytes", "total"])),
                text_of(one, "primary_key"),
            ]
        });
        let right = [false, true, true, false];
        Answer::Text(
            render::table(&head, rows.collect(), &right, self.width),
            json,
        )
    }

    fn indexes(&self, all: &[Value]) -> Answer {
        let json = all.iter().map(render::json).collect();
        if all.is_empty() {
            let text = "no indexes; `create index C {…}` makes one".to_owned();
            return Answer::Text(text, json);
        }
        let head = [
            "name", "kind", "fields", "entries", "distinct", "memory", "uses",
        ];
        let rows = all.iter().map(|one| {
            let building = at(one, &["building", "done"]).is_some();
            let unique = at(one, &["unique"]).is_some_and(|unique| *unique == Value::Bool(true));
            let kind = text_of(one, "kind");
            vec![
                text_of(one, "name"),
                match (unique, building) {
                    (_, true) => format!("{kind}, being built"),
                    (true, false) => format!("unique {kind}"),
                    (false, false) => kind,
                },
                text_of(one, "fields"),
                number_of(one, &["entries"]),
                match at(one, &["distinct"]) {
                    Some(Value::Int(_)) => number_of(one, &["distinct"]),
                    _ => String::new(),
                },
                render::bytes(whole(one, &["bytes"])),
                number_of(one, &["uses"]),
            ]
        });
        let right = [false, false, false, true, true, true, true];
        let head = head.map(str::to_owned);
        Answer::Text(
            render::table(&head, rows.collect(), &right, self.width),
            json,
        )
    }

    fn description(&self, one: &Value) -> Answer {
        let mut text = format!(
            "{}: {}, {}, {}, {}",
            text_of(one, "name"),
            text_of(one, "kind"),
            text_of(one, "persistence"),
            render::count(whole(one, &["documents"]), "document"),
            render::bytes(whole(one, &["bytes", "total"])),
        );
        if !text_of(one, "primary_key").is_empty() {
            text += &format!("\nprimary key: {}", text_of(one, "primary_key"));
        }
        if !text_of(one, "ttl").is_empty() {
            text += &format!("\ntime to live: {}", text_of(one, "ttl"));
        }
        for (title, parts) in [
            ("fields", at(one, &["schema", "fields"])),
            ("indexes", at(one, &["indexes"])),
        ] {
            match parts.and_then(Value::as_array) {
                None | Some([]) => text += &format!("\n{title}: none declared"),
                Some(parts) => {
                    text += &format!("\n{title}:");
                    parts
                        .iter()
                        .for_each(|part| text += &format!("\n  {}", render::json(part)));
                }
            }
        }
        Answer::Text(text, vec![render::json(one)])
    }

    fn write(&self, answer: Answer, out: &mut dyn Write, notes: &mut dyn Write) -> io::Result<()> {
        if self.format == Format::Json {
            return match answer {
                Answer::Documents(documents, note) => {
                    for document in &documents {
                        writeln!(out, "{}", render::json(document))?;
                    }
                    writeln!(notes, "{note}")
                }
                Answer::Document(document) | Answer::Written(_, document) => {
                    writeln!(out, "{}", render::json(&document))
                }
                Answer::Count(count) => writeln!(out, "{{\"count\":{count}}}"),
                Answer::Text(text, json) if json.is_empty() && !text.is_empty() => {
                    writeln!(notes, "{text}")
                }
                Answer::Text(_, json) => json.iter().try_for_each(|line| writeln!(out, "{line}")),
                Answer::Done(text) => writeln!(notes, "{text}"),
            };
        }
        match answer {
            Answer::Documents(documents, note) => {
                if self.expanded {
                    let records: Vec<_> = documents.iter().map(render::record).collect();
                    writeln!(out, "{}", records.join("\n\n"))?;
                } else if !documents.is_empty() {
                    writeln!(out, "{}", render::documents(&documents, self.width))?;
                }
                writeln!(out, "{note}")
            }
            Answer::Document(document) => writeln!(out, "{}", render::record(&document)),
            Answer::Written(what, document) => {
                let id = at(&document, &["_id"]).map(render::id).unwrap_or_default();
                let version = whole(&document, &["_version"]);
                writeln!(out, "{id} {what}, version {version}")
            }
            Answer::Count(count) => writeln!(out, "{}", render::count(count, "document")),
            Answer::Text(text, _) | Answer::Done(text) => writeln!(out, "{text}"),
        }
    }
}

fn listed(name: &str, limit: Option<usize>, page: Page) -> Answer {
    let mut note = render::count(page.documents.len() as u64, "document");
    if let Some(next) = &page.next {
        let limit = limit.map_or(String::new(), |limit| format!(" limit {limit}"));
        note += &format!("; for more: list {}{limit} after {next}", escape(name));
    }
    Answer::Documents(page.documents, note)
}

fn found(name: &str, question: &Question<'_>, page: Page) -> Answer {
    let mut note = render::count(page.documents.len() as u64, "document");
    if let Some(next) = &page.next {
        let mut again = format!("find {}", escape(name));
        for (word, json) in [
            ("", question.filter),
            (" sort", question.sort),
            (" project", question.project),
        ] {
            if let Some(json) = json {
                again += &format!("{word} {}", escape(json.text));
            }
        }
        if let Some(limit) = question.limit {
            again += &format!(" limit {limit}");
        }
        if let Some(hint) = question.hint {
            again += &format!(" hint {}", escape(hint));
        }
        note += &format!("; for more: {again} after {next}");
    }
    Answer::Documents(page.documents, note)
}

/// The error of a target, with its place in the statement.
fn complaint(error: TargetError, arguments: &[Json<'_>]) -> Complaint {
    let argument = error
        .place
        .and_then(|(at, offset)| Some(arguments.get(at)?.start + offset));
    let complaint = match argument {
        Some(offset) => Complaint::at(error.what, offset),
        None => Complaint::new(error.what),
    };
    match error.current {
        Some(current) => complaint.more(format!("it is {}", render::json(&current))),
        None => complaint,
    }
}

/// The part of a value at a path of names.
fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter()
        .try_fold(value, |value, name| value.as_map()?.get(*name))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escape(text).into_owned(),
        other => render::json(other),
    }
}

fn text_of(value: &Value, name: &str) -> String {
    at(value, &[name]).map(shown).unwrap_or_default()
}

fn whole(value: &Value, path: &[&str]) -> u64 {
    let number = at(value, path).and_then(Value::as_int);
    number
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or(0)
}

fn number_of(value: &Value, path: &[&str]) -> String {
    render::thousands(whole(value, path))
}

fn help() -> String {
    let usage = |row: &CommandRow| format!("{} {}", row.name, row.arguments);
    let widest = COMMANDS
        .iter()
        .map(|row| usage(row).len())
        .max()
        .unwrap_or(0);
    let lines: Vec<String> = COMMANDS
        .iter()
        .map(|row| format!("{:<widest$}  {}", usage(row), row.what))
        .collect();
    lines.join("\n")
        + "\n\nC is a collection. JSON may go over several lines. An id in quotes is a string. \
           Tab completes."
}

fn help_on(row: &CommandRow) -> String {
    let CommandRow {
        name,
        arguments,
        what,
        example,
    } = row;
    let usage = format!("{name} {arguments}");
    format!("{}\n  {what}\nexample: {example}", usage.trim_end())
}
