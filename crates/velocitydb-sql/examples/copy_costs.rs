//! What COPY costs a row, of 19 columns as those of the flights: made a document, written, and
//! written out again; without a network. `cargo run --release -p velocitydb-sql --example copy_costs`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use velocitydb::Database;
use velocitydb_sql::Session;

const ROWS: u32 = 300_000;

const TABLE: &str = "CREATE TABLE flights (year int, month int, day int, dep_time int, \
    sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int, arr_delay int, \
    carrier text, flight int, tailnum text, origin text, dest text, air_time int, distance int, \
    hour int, minute int, time_hour timestamptz)";

fn run(session: &mut Session, sql: &str) {
    let prepared = session.prepare(sql, &[]).unwrap();
    session.run(&prepared, &[]).unwrap();
}

/// Takes data in, and says how long that took without the end, and the end.
fn copy_in(session: &mut Session, options: &str, data: &[u8]) -> (Duration, Duration) {
    let copy = format!("COPY flights FROM STDIN {options}");
    let prepared = session.prepare(&copy, &[]).unwrap();
    let began = Instant::now();
    let mut copy = session.copy_in(&prepared).unwrap();
    for piece in data.chunks(64 << 10) {
        session.copy_take(&mut copy, piece).unwrap();
    }
    let taken = began.elapsed();
    session.copy_end(&mut copy).unwrap();
    (taken, began.elapsed() - taken)
}

fn copy_out(session: &mut Session, options: &str) -> (Vec<u8>, Duration) {
    let copy = format!("COPY flights TO STDOUT {options}");
    let prepared = session.prepare(&copy, &[]).unwrap();
    let began = Instant::now();
    let mut rows = session.run(&prepared, &[]).unwrap().rows.unwrap();
    let copy = prepared.copy_to().unwrap();
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    copy.write_header(&mut out);
    while copy
        .write_row(&mut rows, session.settings(), &mut scratch, &mut out)
        .unwrap()
    {}
    copy.write_trailer(&mut out);
    (out, began.elapsed())
}

fn main() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database);
    run(&mut session, TABLE);
    let mut data = Vec::new();
    for row in 0..ROWS {
        let (day, time) = (row % 28 + 1, row % 2400);
        let line = format!(
            "2013\t{}\t{day}\t{time}\t{}\t{}\t{}\t819\t\\N\tUA\t{}\tN{}\tEWR\tIAH\t227\t1400\t5\t15\t\
             2013-01-{day:02} 10:00:00+00\n",
            row % 12 + 1,
            time + 5,
            row % 60,
            row % 2400,
            row % 5000,
            row % 20_000,
        );
        data.extend_from_slice(line.as_bytes());
    }
    copy_in(&mut session, "", &data);
    for options in ["(FORMAT text)", "(FORMAT csv)", "(FORMAT binary)"] {
        let (data, out) = copy_out(&mut session, options);
        let each = |time: Duration| time.as_nanos() / u128::from(ROWS);
        for block in [false, true] {
            run(&mut session, "TRUNCATE flights");
            if block {
                run(&mut session, "BEGIN");
            }
            let (taken, ended) = copy_in(&mut session, options, &data);
            let began = Instant::now();
            if block {
                run(&mut session, "COMMIT");
            }
            println!(
                "{options:16} in a block: {block:5}: {} ns a row taken, {} at the end, {} commit",
                each(taken),
                each(ended),
                each(began.elapsed()),
            );
        }
        println!(
            "{options:16} {} bytes out: {} ns a row",
            data.len(),
            each(out)
        );
    }
}
