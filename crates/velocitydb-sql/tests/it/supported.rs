//! The tables in docs/sql that say what of PostgreSQL's SQL there is, read and tried.
//!
//! A table's header says what its rows are:
//!
//! - `… | example | here | remark`: the example is run over the tables of the block marked
//!   `sql tables`. `native`: it runs; `planned`: where there is a planner; `notice`: it runs, and something is said of it; a SQLSTATE: it
//!   is refused.
//! - `… | example | answer | remark`: the values of `SELECT example`.
//! - `refused … | names`: functions, types or settings that are PostgreSQL's alone.
//!
//! A remark that begins with `otherwise` says how PostgreSQL answers, where it does not answer the same.
//! The server's tests have PostgreSQL run the examples.

#![allow(dead_code)] // each of those who use it uses a part

use std::fmt::Write as _;

use velocitydb::Database;
use velocitydb_sql::formats::write_text;
use velocitydb_sql::{Column, Rows, Session, SqlError, parse};

/// The documents with such tables.
pub const DOCUMENTS: [&str; 2] = ["support.md", "functions.md"];

/// A row that has an example.
#[derive(Debug, Clone)]
pub struct Example {
    pub section: String,
    pub what: String,
    pub sql: String,
    /// `native`, `notice` or a SQLSTATE.
    pub here: String,
    /// The values of an expression.
    pub answer: Option<String>,
    pub remark: String,
}

impl Example {
    /// Whether PostgreSQL answers the same.
    pub fn is_as_postgresql(&self) -> bool {
        !self.remark.starts_with("otherwise")
    }
}

/// All that the documents say.
#[derive(Debug, Default)]
pub struct Support {
    /// What makes the tables of the examples.
    pub tables: String,
    pub examples: Vec<Example>,
    /// Kinds and names of what is PostgreSQL's alone.
    pub refused: Vec<(String, String)>,
}

/// The cells of a row; a bar within one is written with a backslash.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    let line = line.replace("\\|", "\u{0}");
    let cells = line
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"));
    cells.collect()
}

/// The texts in backticks.
pub fn quoted(cell: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = cell;
    while let Some(begins) = rest.find('`') {
        let ticks = rest[begins..]
            .bytes()
            .take_while(|byte| *byte == b'`')
            .count();
        let mark = "`".repeat(ticks);
        let inside = &rest[begins + ticks..];
        let (part, behind) = inside.split_once(&mark).expect("a text that ends");
        parts.push(match ticks {
            1 => part.to_owned(),
            _ => part.trim().to_owned(),
        });
        rest = behind;
    }
    parts
}

/// Reads the documents; `crates` is the folder of all crates.
pub fn read(crates: &str) -> Support {
    let mut support = Support::default();
    for name in DOCUMENTS {
        let text = std::fs::read_to_string(format!("{crates}/../docs/sql/{name}")).unwrap();
        let (mut section, mut header, mut block) = (String::new(), Vec::new(), None);
        for line in text.lines() {
            if let Some(mark) = line.strip_prefix("```") {
                block = (block.is_none()).then(|| mark.to_owned());
            } else if block.as_deref() == Some("sql tables") {
                writeln!(support.tables, "{line}").unwrap();
            } else if let Some(title) = line.strip_prefix("## ") {
                section = title.to_owned();
            } else if !line.starts_with('|') {
                header.clear();
            } else if header.is_empty() {
                header = cells(line);
            } else if !line.starts_with("| ---") {
                read_row(&header, cells(line), &section, &mut support);
            }
        }
    }
    support
}

fn read_row(header: &[String], cells: Vec<String>, section: &str, support: &mut Support) {
    let header: Vec<_> = header.iter().map(String::as_str).collect();
    match (&header[..], &cells[..]) {
        ([_, "example", kind @ ("here" | "answer"), "remark"], [what, sql, answer, remark]) => {
            let sql = quoted(sql).pop();
            let sql = sql.unwrap_or_else(|| panic!("{section}, {what}: no example"));
            let is_expression = *kind == "answer";
            support.examples.push(Example {
                section: section.to_owned(),
                what: what.clone(),
                sql: match is_expression {
                    true => format!("SELECT {sql}"),
                    false => sql,
                },
                here: match is_expression {
                    true => "native".into(),
                    false => quoted(answer).pop().unwrap_or_else(|| answer.clone()),
                },
                answer: is_expression.then(|| quoted(answer).pop().unwrap_or_default()),
                remark: remark.clone(),
            });
        }
        ([kind, "names"], [_, names]) if kind.starts_with("refused ") => {
            let kind = kind.trim_start_matches("refused ").to_owned();
            let names = quoted(names).into_iter();
            support
                .refused
                .extend(names.map(|name| (kind.clone(), name)));
        }
        _ => panic!("{section}: a row of {} cells: {cells:?}", header.len()),
    }
}

/// What became of an example.
pub struct Outcome {
    /// Rows and tags of all its statements, as over the wire: a null is an empty text.
    pub answers: String,
    pub notices: usize,
}

/// The values of rows as texts; null is an empty one.
pub fn texts(
    session: &Session,
    columns: &[Column],
    mut rows: Rows,
) -> Result<Vec<Vec<String>>, SqlError> {
    let (mut all, mut row) = (Vec::new(), Vec::new());
    while rows.next(|at, cell| {
        let mut text = Vec::new();
        if !cell.is_null() {
            write_text(cell.view(), columns[at].sql, session.settings(), &mut text)?;
        }
        row.push(String::from_utf8(text).expect("texts are UTF-8"));
        Ok::<_, SqlError>(())
    })? {
        all.push(std::mem::take(&mut row));
    }
    Ok(all)
}

/// Runs all statements of a text.
pub fn run(session: &mut Session, sql: &str) -> Result<Outcome, SqlError> {
    let (mut answers, mut notices) = (String::new(), 0);
    for tree in parse(sql)? {
        let prepared = session.prepare_tree(sql, &tree, &[]);
        let prepared = prepared.inspect_err(|_| session.fail())?;
        let answer = session.run(&prepared, &[])?;
        let tag = answer.tag();
        notices += answer.notices.len();
        // Those of COPY are data.
        if let Some(rows) = answer.rows.filter(|_| !tag.starts_with("COPY")) {
            for row in texts(session, prepared.columns(), rows)? {
                writeln!(answers, "  {}", row.join("|")).unwrap();
            }
        }
        writeln!(answers, "  {tag}").unwrap();
    }
    Ok(Outcome { answers, notices })
}

/// Runs an example over tables of its own.
pub fn run_alone(tables: &str, sql: &str) -> Result<Outcome, SqlError> {
    run_in(Session::new(Database::in_memory().unwrap()), tables, sql)
}

/// As [`run_alone`], in a session of an empty database.
pub fn run_in(mut session: Session, tables: &str, sql: &str) -> Result<Outcome, SqlError> {
    run(&mut session, tables).expect("the tables of the examples");
    run(&mut session, sql)
}

/// What a session tells of a statement: as `psql --no-align --pset=footer=off`, with blanks around bars.
fn told(session: &mut Session, sql: &str) -> String {
    let prepared = session.prepare(sql, &[]);
    let answer = prepared.and_then(|prepared| {
        let answer = session.run(&prepared, &[])?;
        Ok((prepared.columns().to_vec(), answer))
    });
    let (columns, answer) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let hint = error.hint.as_ref();
            let hint = hint.map_or_else(String::new, |hint| format!("HINT:  {hint}\n"));
            return format!("ERROR:  {error}\n{hint}");
        }
    };
    let mut told = String::new();
    for notice in &answer.notices {
        writeln!(told, "NOTICE:  {notice}").unwrap();
    }
    let tag = answer.tag();
    let Some(rows) = answer.rows.filter(|_| !columns.is_empty()) else {
        return format!("{told}{tag}\n");
    };
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    writeln!(told, "{}", names.join(" | ")).unwrap();
    for row in texts(session, &columns, rows).unwrap() {
        writeln!(told, "{}", row.join(" | ")).unwrap();
    }
    told
}

/// Runs the lines of blocks `sql example` of a document that begin with `=> `: what follows each is what
/// it answers. How many there are.
pub fn check_examples(text: &str, session: &mut Session) -> usize {
    let mut count = 0;
    for block in text.split("```sql example").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        let (_, block) = block.split_once('\n').unwrap();
        let mut answered = String::new();
        for line in block.lines().filter_map(|line| line.strip_prefix("=> ")) {
            let told = told(session, line.trim_end_matches(';'));
            write!(answered, "=> {line}\n{told}").unwrap();
            count += 1;
        }
        assert!(answered.trim_end() == block, "{answered}");
    }
    count
}
