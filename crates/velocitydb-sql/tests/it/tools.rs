//! What programs ask of the catalogs (`tools/*.sql`): it is answered, or refused as not supported.
//!
//! PostgreSQL 15 answers all of it. A question that is refused for another reason names a table, a
//! column, a function or a type that there is not.

use std::fmt::Write as _;
use std::path::Path;

use velocitydb::Database;
use velocitydb_sql::{Session, SqlError, parse};

use crate::supported::texts;

/// What is not there yet that `pg_dump` asks for: the hidden column of every table, and sequences as tables.
const NOT_YET: [&str; 2] = ["tableoid", "last_value, is_called"];

/// The statements of a file, with what is said of each.
fn statements(text: &str) -> Vec<(String, String)> {
    let parts = text.split(";\n").map(|part| {
        let is_comment = |line: &&str| line.starts_with("--");
        let said = part.lines().rfind(is_comment).unwrap_or_default();
        let sql: Vec<_> = part.lines().filter(|line| !is_comment(line)).collect();
        (said.to_owned(), sql.join("\n").trim().to_owned())
    });
    parts.filter(|(_, sql)| !sql.is_empty()).collect()
}

/// Runs what needs no parameters; the values of all rows.
fn answer(session: &mut Session, sql: &str) -> Result<Vec<String>, SqlError> {
    let mut values = Vec::new();
    for tree in parse(sql)? {
        let prepared = session.prepare_tree(sql, &tree, &[])?;
        if sql.contains("$1") {
            continue;
        }
        let answer = session.run(&prepared, &[])?;
        if let Some(rows) = answer.rows {
            let rows = texts(session, prepared.columns(), rows)?;
            values.extend(rows.into_iter().flatten());
        }
    }
    Ok(values)
}

/// A statement with numbers in the places of `{t}`.
fn with_numbers(session: &mut Session, sql: &str) -> String {
    let mut whole = String::new();
    let mut rest = sql;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').expect("a name ends");
        let is_name = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
        match !name.is_empty() && name.bytes().all(is_name) {
            true => {
                let number = answer(session, &format!("SELECT '{name}'::regclass::oid"));
                write!(whole, "{before}{}", number.unwrap()[0]).unwrap();
            }
            false => write!(whole, "{before}{{{name}}}").unwrap(),
        }
        rest = after;
    }
    whole + rest
}

#[test]
fn what_tools_ask_is_answered_or_not_supported() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let folder = Path::new(&root).join("tests/it/tools");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let mut session = Session::new(Database::in_memory().unwrap());
    for (_, sql) in statements(&read(&folder.join("setup.sql"))) {
        answer(&mut session, &sql).unwrap();
    }
    let files = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.retain(|file| !file.ends_with("setup.sql"));
    assert!(!files.is_empty());
    let (mut wrong, mut answered) = (String::new(), 0);
    for file in files {
        for (said, sql) in statements(&read(&file)) {
            let sql = with_numbers(&mut session, &sql);
            match answer(&mut session, &sql) {
                Ok(_) => answered += 1,
                Err(error) if error.sqlstate == "0A000" => {}
                Err(_) if NOT_YET.iter().any(|known| sql.contains(known)) => {}
                Err(error) => writeln!(wrong, "{said}: {error}\n{sql}\n").unwrap(),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(answered >= 40, "{answered} are answered");
}
