//! COPY through the door, asked by drivers and by PostgreSQL's own tools.
//!
//! `copy/cases.txt` has statements (`>`), their data (`<`, with escapes as in Rust), and what
//! PostgreSQL 15 says to them (`=`); where we say something else on purpose, that too (`*`). Each case
//! is run in a transaction block and outside of one. Where PostgreSQL 15 is installed it is asked
//! again, and with `UPDATE_GOLDENFILES=1` what it says is written anew.

use std::path::PathBuf;
use std::pin::pin;
use std::process::Command;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_postgres::{Client, Error, NoTls};
use velocitydb::Database;
use velocitydb_pg::Door;

use crate::pg::{client, open};
use crate::postgres::Postgres;

/// A statement of the cases.
struct Case {
    /// Comments and definitions before it.
    before: Vec<String>,
    statement: String,
    data: Option<String>,
    postgres: Vec<String>,
    ours: Option<Vec<String>>,
}

fn cases_path() -> std::path::PathBuf {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    std::path::Path::new(&root).join("tests/it/copy/cases.txt")
}

fn cases() -> Vec<Case> {
    let (mut cases, mut before) = (Vec::<Case>::new(), Vec::new());
    for line in std::fs::read_to_string(cases_path()).unwrap().lines() {
        let rest = line.get(2..).unwrap_or_default().to_owned();
        match line.chars().next() {
            Some('>') => cases.push(Case {
                before: std::mem::take(&mut before),
                statement: rest,
                data: None,
                postgres: Vec::new(),
                ours: None,
            }),
            Some('<') => cases.last_mut().unwrap().data = Some(rest),
            Some('=') => cases.last_mut().unwrap().postgres.push(rest),
            Some('*') => {
                let ours = &mut cases.last_mut().unwrap().ours;
                ours.get_or_insert_default().push(rest);
            }
            _ => before.push(line.to_owned()),
        }
    }
    cases
}

/// `\n`, `\r`, `\t`, `\\` and `\xff` are what they are in Rust.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let (letter, behind) = rest.split_first().unwrap();
        rest = behind;
        bytes.push(match letter {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).unwrap();
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).unwrap()
            }
            other => *other,
        });
    }
    bytes
}

fn escaped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.contains(char::REPLACEMENT_CHARACTER) || text.contains('\0') {
        true => bytes.escape_ascii().to_string(),
        false => text
            .replace('\\', "\\\\")
            .replace('\n', "\\n")
            .replace('\r', "\\r")
            .replace('\t', "\\t"),
    }
}

async fn copy_in(client: &Client, sql: &str, data: &[u8]) -> Result<u64, Error> {
    let sink = client.copy_in(sql).await?;
    let mut sink = pin!(sink);
    // In pieces, which may be cut anywhere.
    for piece in data.chunks(7) {
        sink.send(Bytes::copy_from_slice(piece)).await?;
    }
    sink.finish().await
}

async fn copy_out(client: &Client, sql: &str) -> Result<Vec<u8>, Error> {
    let stream = client.copy_out(sql).await?;
    let mut stream = pin!(stream);
    let mut data = Vec::new();
    while let Some(piece) = stream.next().await {
        data.extend_from_slice(&piece?);
    }
    Ok(data)
}

/// What is said to a case.
async fn told(client: &Client, case: &Case) -> Vec<String> {
    let said = match &case.data {
        // It does not come to data.
        None if case.statement.contains("FROM STDIN") => {
            let executed = client.batch_execute(&case.statement).await;
            executed.map(|()| Vec::new())
        }
        None => copy_out(client, &case.statement).await,
        Some(data) => match copy_in(client, &case.statement, &unescaped(data)).await {
            Err(error) => Err(error),
            Ok(count) => {
                let table = case
                    .statement
                    .trim_start_matches("COPY BINARY ")
                    .trim_start_matches("COPY ");
                let table = table.split(' ').next().unwrap();
                let rows = copy_out(client, &format!("COPY {table} TO STDOUT"))
                    .await
                    .unwrap();
                let mut rows: Vec<_> = rows
                    .split_inclusive(|byte| *byte == b'\n')
                    .map(escaped)
                    .collect();
                // In a block they come in another order, as its own rows do.
                rows.sort();
                rows.insert(0, format!("COPY {count}"));
                return rows;
            }
        },
    };
    match said {
        Ok(data) => data
            .split_inclusive(|byte| *byte == b'\n')
            .map(escaped)
            .collect(),
        Err(error) => {
            let error = error
                .as_db_error()
                .unwrap_or_else(|| panic!("{}: {error:?}", case.statement));
            let mut lines = vec![format!("ERROR {} {}", error.code().code(), error.message())];
            for (name, text) in [
                ("DETAIL", error.detail()),
                ("HINT", error.hint()),
                ("CONTEXT", error.where_()),
            ] {
                lines.extend(text.map(|text| escaped(format!("{name} {text}").as_bytes())));
            }
            lines
        }
    }
}

/// What is said to all cases, in a transaction block and outside of one.
async fn all_told(client: &Client, cases: &[Case]) -> Vec<[Vec<String>; 2]> {
    let mut all = Vec::new();
    for case in cases {
        for line in &case.before {
            if let Some(sql) = line.strip_prefix("! ") {
                client.batch_execute(sql).await.unwrap();
            }
        }
        client.batch_execute("BEGIN").await.unwrap();
        let within = told(client, case).await;
        let rolled_back = client.batch_execute("ROLLBACK").await;
        rolled_back.unwrap_or_else(|error| panic!("behind {}: {error}", case.statement));
        let alone = told(client, case).await;
        client
            .batch_execute("TRUNCATE t, one, k, f, r, q")
            .await
            .unwrap();
        all.push([within, alone]);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_end_as_postgresql_says() {
    let mut cases = cases();
    if let Some(postgres) = Postgres::start() {
        let (host, port) = (postgres.address.ip(), postgres.address.port());
        let config = format!("host={host} port={port} user=ann dbname=postgres");
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
        tokio::spawn(connection);
        let told = all_told(&client, &cases).await;
        let update = std::env::var("UPDATE_GOLDENFILES").is_ok();
        for (case, [within, alone]) in cases.iter_mut().zip(told) {
            assert_eq!(within, alone, "{}", case.statement);
            if !update {
                assert_eq!(case.postgres, alone, "{}", case.statement);
            }
            case.postgres = alone;
        }
        if update {
            std::fs::write(cases_path(), written(&cases)).unwrap();
        }
    }
    let door = open(&Database::in_memory().unwrap());
    let client = client(&door).await;
    let told = all_told(&client, &cases).await;
    let mut wrong = Vec::new();
    for (case, told) in cases.iter().zip(told) {
        let expected = case.ours.as_ref().unwrap_or(&case.postgres);
        for (told, how) in told.iter().zip(["in a block", "alone"]) {
            if told != expected {
                let (statement, data) = (&case.statement, &case.data);
                wrong.push(format!(
                    "{statement} {how}: {data:?}\n  expected {expected:#?}\n  told {told:#?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn written(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        for line in &case.before {
            text += &format!("{line}\n");
        }
        text += &format!("> {}\n", case.statement);
        if let Some(data) = &case.data {
            text += format!("< {data}").trim_end();
            text += "\n";
        }
        let ours = case.ours.iter().flatten().map(|line| format!("* {line}\n"));
        for line in case
            .postgres
            .iter()
            .map(|line| format!("= {line}\n"))
            .chain(ours)
        {
            text += &line;
        }
    }
    text
}

/// A program of PostgreSQL's, with where the door is; none, and a notice, when it is not installed.
fn program(name: &str, door: &Door) -> Option<Command> {
    let debian = ["15", "16", "17", "18"].map(|of| format!("/usr/lib/postgresql/{of}/bin/{name}"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|place| place.join(name));
    let found = places.find(|place| place.exists()).or_else(|| {
        debian
            .iter()
            .map(PathBuf::from)
            .find(|place| place.exists())
    });
    let Some(found) = found else {
        eprintln!("{name} is not installed: what it says is not tested");
        return None;
    };
    let mut command = Command::new(found);
    let port = door.local_addr().port();
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", port.to_string());
    command
        .env("PGUSER", "ann")
        .env("PGDATABASE", "velocity")
        .env("LC_ALL", "C");
    Some(command)
}

/// What a program says, on both of its outputs.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_makes_its_tables_and_works_with_them() {
    let door = open(&Database::in_memory().unwrap());
    let Some(mut pgbench) = program("pgbench", &door) else {
        return;
    };
    let made = said(pgbench.args(["-i", "-s", "1"]));
    assert!(made.contains("done in"), "{made}");
    let client = client(&door).await;
    let count = async |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    assert_eq!(count("pgbench_accounts").await, 100_000);
    assert_eq!(count("pgbench_tellers").await, 10);
    let filler = "SELECT filler FROM pgbench_accounts WHERE aid = 7";
    let filler = client.query_one(filler, &[]).await.unwrap();
    assert_eq!(filler.get::<_, &str>(0), " ".repeat(84));
    for mode in ["simple", "extended", "prepared"] {
        for kind in [
            &["-n", "-t", "20", "-M", mode][..],
            &["-n", "-S", "-t", "20", "-M", mode],
        ] {
            let mut pgbench = program("pgbench", &door).unwrap();
            let said = said(pgbench.args(kind));
            assert!(said.contains("processed: 20/20"), "{said}");
        }
    }
    assert_eq!(count("pgbench_history").await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_copies_files_in_and_out() {
    let door = open(&Database::in_memory().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let run = |sql: &str| {
        let mut psql = program("psql", &door)?;
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        Some(psql.current_dir(directory.path()).output().unwrap())
    };
    let create = "CREATE TABLE t (a int PRIMARY KEY, b text, c timestamptz, d float8)";
    if run(create).is_none() {
        return;
    }
    let ok = |sql: &str| {
        let output = run(sql).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && error.is_empty(),
            "{sql}: {error}"
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let mut csv = String::from("a,b,c,d\n");
    for row in 0..20_000 {
        csv += &format!(
            "{row},\"x,\"\"{row}\"\"\",2013-01-01T10:00:00Z,{}\n",
            f64::from(row) / 8.0
        );
    }
    std::fs::write(directory.path().join("in.csv"), csv).unwrap();
    ok("\\copy t from 'in.csv' csv header");
    for (name, options) in [
        ("text", ""),
        ("csv", "(format csv, header, force_quote *, delimiter ';')"),
        ("binary", "(format binary)"),
    ] {
        ok(&format!(
            "\\copy (select * from t order by a) to 'out.{name}' {options}"
        ));
        ok("CREATE TABLE again (a int PRIMARY KEY, b text, c timestamptz, d float8)");
        let of_in = options.replace(", force_quote *", "");
        ok(&format!("\\copy again from 'out.{name}' {of_in}"));
        ok(&format!(
            "\\copy (select * from again order by a) to 'again.{name}' {options}"
        ));
        ok("DROP TABLE again");
        let file = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
        assert_eq!(
            file(&format!("out.{name}")),
            file(&format!("again.{name}")),
            "{name}"
        );
    }
    assert_eq!(
        ok("COPY (SELECT * FROM t WHERE a = 9) TO STDOUT"),
        "9\tx,\"9\"\t2013-01-01 10:00:00+00\t1.125\n"
    );
    std::fs::write(
        directory.path().join("bad.csv"),
        "1000001,a,,\n1000002,b,,x\n",
    )
    .unwrap();
    let refused = run("\\copy t from 'bad.csv' csv").unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(
        error,
        "ERROR:  invalid input syntax for type double precision: \"x\"\n\
         CONTEXT:  COPY t, line 2, column d: \"x\"\n"
    );
    let refused = run("COPY t FROM '/etc/passwd'").unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        error.contains("HINT:  Use FROM STDIN: psql's \\copy"),
        "{error}"
    );
    assert_eq!(ok("COPY (SELECT count(*) FROM t) TO STDOUT"), "20000\n");
}

/// A client that gives up, or goes away, has copied nothing; and what is many messages long comes to
/// the same as what is one.
#[tokio::test(flavor = "multi_thread")]
async fn all_rows_are_copied_or_none() {
    let door = open(&Database::in_memory().unwrap());
    let client = client(&door).await;
    client
        .batch_execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
        .await
        .unwrap();
    let rows: String = (0..30_000)
        .map(|row| format!("{row}\trow {row}\n"))
        .collect();
    let count = async |client: &Client| {
        let count = client.query_one("SELECT count(*) FROM t", &[]).await;
        count.unwrap().get::<_, i64>(0)
    };
    // Dropped before its end.
    {
        let sink = client
            .copy_in::<_, Bytes>("COPY t FROM STDIN")
            .await
            .unwrap();
        let mut sink = pin!(sink);
        sink.send(Bytes::from(rows.clone())).await.unwrap();
    }
    assert_eq!(count(&client).await, 0);
    // The last row is there already.
    let data = format!("{rows}29999\tagain\n");
    for within in [true, false] {
        if within {
            client.batch_execute("BEGIN").await.unwrap();
        }
        let copied = copy_in(&client, "COPY t FROM STDIN", data.as_bytes()).await;
        client.batch_execute("ROLLBACK").await.unwrap();
        let error = copied.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "23505");
        assert_eq!(error.where_(), Some("COPY t, line 30001"));
        assert_eq!(error.detail(), Some("Key (a)=(29999) already exists."));
        assert_eq!(count(&client).await, 0);
    }
    let copied = copy_in(&client, "COPY t FROM STDIN", rows.as_bytes()).await;
    assert_eq!(copied.unwrap(), 30_000);
    assert_eq!(
        copy_out(&client, "COPY (SELECT * FROM t ORDER BY a) TO STDOUT")
            .await
            .unwrap(),
        rows.into_bytes()
    );
}

/// Several statements of one request, one of them a COPY.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_may_stand_among_others() {
    let door = open(&Database::in_memory().unwrap());
    let client = client(&door).await;
    client
        .batch_execute("CREATE TABLE t (a int)")
        .await
        .unwrap();
    let told = client
        .simple_query("INSERT INTO t VALUES (1); SELECT a FROM t")
        .await;
    assert!(told.is_ok());
    // What rows do not have, they get as those of an INSERT do.
    let create = "CREATE TABLE s (id serial, g int GENERATED ALWAYS AS IDENTITY, \
                  at date DEFAULT '2013-01-01', u uuid DEFAULT gen_random_uuid(), v text)";
    client.batch_execute(create).await.unwrap();
    copy_in(&client, "COPY s (v) FROM STDIN", b"x\ny\n")
        .await
        .unwrap();
    copy_in(&client, "COPY s (v, g, at) FROM STDIN", b"z\t70\t\\N\n")
        .await
        .unwrap();
    let all = "COPY (SELECT id, g, at, v FROM s WHERE u IS NOT NULL ORDER BY id) TO STDOUT";
    let all = copy_out(&client, all).await.unwrap();
    let expected = "1\t1\t2013-01-01\tx\n2\t2\t2013-01-01\ty\n3\t70\t\\N\tz\n";
    assert_eq!(String::from_utf8(all).unwrap(), expected);
    let prepared = client.prepare("COPY t TO STDOUT").await.unwrap();
    assert!(prepared.columns().is_empty());
    let stream = client.copy_out(&prepared).await.unwrap();
    let pieces: Vec<_> = pin!(stream).collect().await;
    assert_eq!(pieces.len(), 1);
}
