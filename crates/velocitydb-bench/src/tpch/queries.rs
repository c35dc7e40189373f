//! The 22 queries, with the parameters of the specification's validation (of scale 1: the part of query 11
//! that other scales have is not theirs here), LIMIT where the specification says how many rows are wanted,
//! and query 15 in its variant A, with WITH instead of a view. Tests: below.

use std::time::{Duration, Instant};

use super::{Asked, Bench, cell, spread};
use crate::measure::{Better, Row, Spread, short};
use crate::pg::wire::Answer;

const QUERIES: [&str; 22] = [
    include_str!("queries/q01.sql"),
    include_str!("queries/q02.sql"),
    include_str!("queries/q03.sql"),
    include_str!("queries/q04.sql"),
    include_str!("queries/q05.sql"),
    include_str!("queries/q06.sql"),
    include_str!("queries/q07.sql"),
    include_str!("queries/q08.sql"),
    include_str!("queries/q09.sql"),
    include_str!("queries/q10.sql"),
    include_str!("queries/q11.sql"),
    include_str!("queries/q12.sql"),
    include_str!("queries/q13.sql"),
    include_str!("queries/q14.sql"),
    include_str!("queries/q15.sql"),
    include_str!("queries/q16.sql"),
    include_str!("queries/q17.sql"),
    include_str!("queries/q18.sql"),
    include_str!("queries/q19.sql"),
    include_str!("queries/q20.sql"),
    include_str!("queries/q21.sql"),
    include_str!("queries/q22.sql"),
];

/// The one that looks at nearly all of the largest table.
pub(super) const PRICING_SUMMARY: &str = QUERIES[0];

/// Those that are to be right, those that are to be faster, and those that we want to be.
const RIGHT_BAR: f64 = 22.0;
const FASTER_BAR: f64 = 16.0;
const FASTER_AIM: f64 = 22.0;

/// How a query was answered, in all rounds.
struct Outcome {
    /// Milliseconds of each side that has answered.
    times: Vec<Option<Spread>>,
    /// How many times as fast we are, where both have answered.
    ratio: Option<Spread>,
    /// Whether both sides answer the same.
    right: bool,
    /// `right`, `wrong`, or why there is no answer.
    verdict: String,
}

/// What a query takes, and what it answers.
type Taken = (Duration, Answer);

/// Asks all that were chosen and prints a line for each. Answers how many are right and faster.
pub(super) fn all(bench: &Bench<'_>, print: &mut dyn FnMut(&str)) -> Vec<String> {
    let subject = bench.subject;
    let names: Vec<&str> = bench.sides.iter().map(|side| &*side.name).collect();
    let head = names.iter().map(|name| format!("{name}, ms | "));
    let head: String = head.collect();
    print(&format!(
        "| query | {head}times as fast (spread) | answer |"
    ));
    print(&format!(
        "| --- {}| --- | --- |",
        "| --- ".repeat(names.len())
    ));
    let limit = format!("SET statement_timeout = {}", subject.timeout.as_millis());
    let mut outcomes = Vec::new();
    for (sql, number) in QUERIES.iter().zip(1..) {
        if !subject.queries.is_empty() && !subject.queries.contains(&number) {
            continue;
        }
        let asked = bench.each(
            |side| {
                let mut client = side.client()?;
                client.query(&limit)?;
                Ok(client)
            },
            |client| {
                let since = Instant::now();
                let answer = client.answer(sql)?;
                Ok((since.elapsed(), answer))
            },
        );
        let outcome = Outcome::of(sql, &names, &asked);
        print(&outcome.line(number));
        outcomes.push(outcome);
    }
    match names.len() {
        1 => Vec::new(),
        _ => summary(&outcomes).map(|row| row.to_string()).to_vec(),
    }
}

impl Outcome {
    fn of(sql: &str, names: &[&str], asked: &[Asked<Taken>]) -> Outcome {
        let ms = |(taken, _): &Taken| taken.as_secs_f64() * 1e3;
        let rows = |rounds: &[Taken]| {
            let rows = rounds.first().map_or(0, |(_, answer)| answer.rows.len());
            format!("{rows} rows")
        };
        let times = asked
            .iter()
            .map(|side| Some(spread(side.as_ref().ok()?, ms)));
        let errors = names.iter().zip(asked).filter_map(|(name, side)| {
            let error = side.as_ref().err()?;
            Some(format!("{name}: {}", cell(error)))
        });
        let errors: Vec<String> = errors.collect();
        let (ratio, right, verdict) = match asked {
            [Ok(ours), Ok(theirs)] => {
                let rounds: Vec<(&Taken, &Taken)> = ours.iter().zip(theirs).collect();
                let differ = |(ours, theirs): &(&Taken, &Taken)| {
                    super::answers::difference(sql, &ours.1, &theirs.1)
                };
                let ratio = spread(&rounds, |(ours, theirs)| ms(theirs) / ms(ours));
                match rounds.iter().find_map(differ) {
                    None => (Some(ratio), true, format!("right, {}", rows(ours))),
                    Some(how) => (Some(ratio), false, format!("wrong: {}", cell(&how))),
                }
            }
            [Ok(ours)] => (None, false, rows(ours)),
            _ => (None, false, errors.join("; ")),
        };
        Outcome {
            times: times.collect(),
            ratio,
            right,
            verdict,
        }
    }

    fn line(&self, number: u8) -> String {
        let times = self.times.iter().map(|time| match time {
            Some(time) => format!("{} | ", short(time.median)),
            None => " | ".to_owned(),
        });
        let times: String = times.collect();
        let ratio = self.ratio.map(|Spread { min, median, max }| {
            let [min, median, max] = [min, median, max].map(short);
            format!("{median} ({min} to {max})")
        });
        let ratio = ratio.unwrap_or_default();
        format!("| Q{number} | {times}{ratio} | {} |", self.verdict)
    }
}

/// How many are right, and how many of these are faster: in every round, in the middle, in one of them.
/// The bars are those of all queries together.
fn summary(outcomes: &[Outcome]) -> [Row; 2] {
    let asked = outcomes.len();
    let count = |faster: fn(&Spread) -> bool| {
        let right = outcomes.iter().filter(|outcome| outcome.right);
        right
            .filter(|outcome| outcome.ratio.as_ref().is_some_and(faster))
            .count() as f64
    };
    let bar = |bar| match asked == QUERIES.len() {
        true => bar,
        false => f64::NAN,
    };
    let row = |what: &str, figure, goal, aim| Row {
        what: format!("{what}, of {asked} queries"),
        figure,
        unit: "queries",
        bar: bar(goal),
        aim: bar(aim),
        better: Better::Higher,
        detail: String::new(),
    };
    let right = Spread::of(&[count(|_| true)]);
    let faster = Spread {
        min: count(|ratio| ratio.min > 1.0),
        median: count(|ratio| ratio.median > 1.0),
        max: count(|ratio| ratio.max > 1.0),
    };
    [
        row("right", right, RIGHT_BAR, RIGHT_BAR),
        row("right and faster", faster, FASTER_BAR, FASTER_AIM),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BenchError;
    use crate::measure::Verdict;
    use crate::pg::wire::Column;

    fn asked(ms: &[u64], value: &str) -> Asked<Taken> {
        let column = Column {
            name: "a".to_owned(),
            kind: 1700,
        };
        let answer = Answer {
            columns: vec![column],
            rows: vec![vec![Some(value.to_owned())]],
        };
        let taken = |ms: &u64| (Duration::from_millis(*ms), answer.clone());
        Ok(ms.iter().map(taken).collect())
    }

    fn of(asked: &[Asked<Taken>]) -> Outcome {
        Outcome::of("select a from t", &["ours", "PostgreSQL 15.18"], asked)
    }

    #[test]
    fn a_line_says_who_was_how_fast_and_whether_it_is_right() {
        let ours = || asked(&[10, 20], "1.5");
        let line = of(&[ours(), asked(&[30, 50], "1.50")]).line(3);
        assert_eq!(
            line,
            "| Q3 | 20.0 | 50.0 | 3.00 (2.50 to 3.00) | right, 1 rows |"
        );
        let line = of(&[ours(), asked(&[30, 50], "1.51")]).line(3);
        assert!(
            line.ends_with("| wrong: row 1: 1.5 instead of 1.51 |"),
            "{line}"
        );
        let refused = || Err(BenchError::Unfit("ERROR 0A000: no a|b".to_owned()));
        let line = of(&[refused(), asked(&[30, 50], "1")]).line(3);
        assert_eq!(line, "| Q3 |  | 50.0 |  | ours: ERROR 0A000: no a/b |");
        let both = "ours: ERROR 0A000: no a/b; PostgreSQL 15.18: ERROR 0A000: no a/b";
        let line = of(&[refused(), refused()]).line(3);
        assert_eq!(line, format!("| Q3 |  |  |  | {both} |"));
        assert_eq!(of(&[ours()]).line(3), "| Q3 | 20.0 |  | 1 rows |");
    }

    #[test]
    fn only_right_answers_count_and_the_bars_are_of_all() {
        let theirs = || asked(&[30, 50], "1");
        let all = |faster: usize| -> Vec<Outcome> {
            let ours = |at| match at < faster {
                true => asked(&[10, 20], "1"),
                false => asked(&[90, 90], "1"),
            };
            (0..22).map(|at| of(&[ours(at), theirs()])).collect()
        };
        let verdicts = |outcomes: &[Outcome]| summary(outcomes).map(|row| row.verdict());
        assert_eq!(verdicts(&all(22)), [Verdict::Aim, Verdict::Aim]);
        assert_eq!(verdicts(&all(16)), [Verdict::Aim, Verdict::Reached]);
        assert_eq!(verdicts(&all(15)), [Verdict::Aim, Verdict::Missed]);
        let mut outcomes = all(16);
        outcomes[0] = of(&[asked(&[10, 10], "2"), theirs()]);
        assert_eq!(verdicts(&outcomes), [Verdict::Missed, Verdict::Missed]);
        // In one of the rounds it is slower.
        outcomes[0] = of(&[asked(&[40, 10], "1"), theirs()]);
        assert_eq!(verdicts(&outcomes), [Verdict::Aim, Verdict::Inconclusive]);
        assert_eq!(verdicts(&outcomes[1..]), [Verdict::Alone, Verdict::Alone]);
        let [_, faster] = summary(&outcomes[1..]);
        assert_eq!(faster.what, "right and faster, of 21 queries");
        assert_eq!(faster.figure.median, 15.0);
    }
}
