//! What pipelines make of a few documents, read as a table: stages, then rows as JSON.

use velocitydb_types::{DecimalError, ErrorClass, Fields, Path, PathError, Value};

use super::*;
use crate::expression::TimeUnit;
use crate::testing::{documents, documents_of, scan};

const ASC: Direction = Direction::Ascending;
const DESC: Direction = Direction::Descending;

const FLIGHTS: [&str; 6] = [
    r#"{"carrier":"UA","delay":2,"tags":["a","b"],"to":{"code":"IAH"}}"#,
    r#"{"carrier":"AA","delay":-4,"tags":[],"to":{"code":"MIA"}}"#,
    r#"{"carrier":"UA","delay":5.5,"tags":["b"]}"#,
    r#"{"carrier":"B6","delay":null,"tags":null,"to":{"code":"BQN"}}"#,
    r#"{"carrier":"AA","tags":"a"}"#,
    r#"{"carrier":null,"delay":1}"#,
];

fn pipeline() -> Pipeline {
    Pipeline::new()
}

fn run(pipeline: &Pipeline, fields: &[&str]) -> Result<Vec<Aggregated>, QueryError> {
    pipeline.run(scan(&documents(fields)))
}

/// Runs a pipeline over documents; the rows are compared as JSON.
#[track_caller]
fn check_over(fields: &[&str], pipeline: &Pipeline, expected: &[&str]) {
    let rows = run(pipeline, fields).unwrap();
    let rows: Vec<String> = rows
        .into_iter()
        .map(|row| Value::Map(row).to_json())
        .collect();
    assert_eq!(rows, expected, "{pipeline:?}");
}

#[track_caller]
fn check(pipeline: &Pipeline, expected: &[&str]) {
    check_over(&FLIGHTS, pipeline, expected);
}

#[track_caller]
fn check_error(pipeline: &Pipeline, expected: &QueryError) {
    assert_eq!(
        run(pipeline, &FLIGHTS).as_ref(),
        Err(expected),
        "{pipeline:?}"
    );
}

#[test]
fn groups_leave_out_nulls_and_come_as_they_began() {
    let group = Group::new()
        .by("carrier", "carrier")
        .count("n")
        .sum("sum", "delay")
        .avg("avg", "delay")
        .min("min", "delay")
        .max("max", "delay");
    check(
        &pipeline().group(group),
        &[
            r#"{"avg":3.75,"carrier":"UA","max":5.5,"min":2,"n":2,"sum":7.5}"#,
            r#"{"avg":-4.0,"carrier":"AA","max":-4,"min":-4,"n":2,"sum":-4}"#,
            r#"{"avg":null,"carrier":"B6","max":null,"min":null,"n":1,"sum":null}"#,
            r#"{"avg":1.0,"carrier":null,"max":1,"min":1,"n":1,"sum":1}"#,
        ],
    );
}

#[test]
fn equal_values_are_one_group_whatever_their_type() {
    check_over(
        &[
            r#"{"k":1}"#,
            r#"{"k":1.0}"#,
            r#"{"k":"1"}"#,
            r#"{"k":null}"#,
            "{}",
            r#"{"k":[1]}"#,
        ],
        &pipeline().group(Group::new().by("k", "k").count("n")),
        &[
            r#"{"k":1,"n":2}"#,
            r#"{"k":"1","n":1}"#,
            r#"{"k":null,"n":2}"#,
            r#"{"k":[1],"n":1}"#,
        ],
    );
}

#[test]
fn a_group_of_several_values_keeps_them_apart() {
    check_over(
        &[
            r#"{"a":"x","b":"yz"}"#,
            r#"{"a":"xy","b":"z"}"#,
            r#"{"a":"x","b":"yz"}"#,
        ],
        &pipeline().group(Group::new().by("a", "a").by("b", "b").count("n")),
        &[r#"{"a":"x","b":"yz","n":2}"#, r#"{"a":"xy","b":"z","n":1}"#],
    );
}

#[test]
fn over_nothing_there_is_one_group_of_all_and_no_other() {
    let none = || pipeline().filter(Filter::eq("carrier", "ZZ"));
    let all = Group::new()
        .count("n")
        .sum("sum", "delay")
        .first("first", "delay");
    check(
        &none().group(all.clone()),
        &[r#"{"first":null,"n":0,"sum":null}"#],
    );
    check(&none().group(all.by("c", "carrier")), &[]);
    check(&none().count("n"), &[r#"{"n":0}"#]);
    check(&pipeline().count("n"), &[r#"{"n":6}"#]);
}

#[test]
fn first_and_last_follow_the_sort() {
    let group = Group::new()
        .first("best", "carrier")
        .last("worst", "carrier");
    check(
        &pipeline()
            .filter(Filter::gt("delay", -100))
            .sort([("delay", ASC)])
            .group(group),
        &[r#"{"best":"AA","worst":"UA"}"#],
    );
    let group = Group::new()
        .first("first", "to.code")
        .last("last", "to.code");
    check(
        &pipeline().group(group),
        &[r#"{"first":"IAH","last":null}"#],
    );
    let group = Group::new().first("first", "to.code");
    check(&pipeline().skip(4).group(group), &[r#"{"first":null}"#]);
}

#[test]
fn sums_are_exact_until_a_float_comes() {
    let sum = pipeline().group(Group::new().sum("sum", "n").avg("avg", "n"));
    check_over(
        &[
            r#"{"n":9223372036854775807}"#,
            r#"{"n":9223372036854775807}"#,
            r#"{"n":-9}"#,
        ],
        &sum,
        &[r#"{"avg":6.148914691236517e+18,"sum":"18446744073709551605"}"#],
    );
    // What overflows on the way and comes back is an integer again.
    check_over(
        &[
            r#"{"n":9223372036854775807}"#,
            r#"{"n":1}"#,
            r#"{"n":-9223372036854775807}"#,
        ],
        &sum,
        &[r#"{"avg":0.3333333333333333,"sum":1}"#],
    );
    check_over(
        &[r#"{"n":1}"#, r#"{"n":0.5}"#],
        &sum,
        &[r#"{"avg":0.75,"sum":1.5}"#],
    );

    let row = |id: i64, value: Value| {
        let fields = std::collections::BTreeMap::from([("n".to_owned(), value)]);
        (Value::Int(id), Fields::from_map(&fields).unwrap())
    };
    let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
    let add = |values: &[Value]| {
        let rows = values
            .iter()
            .enumerate()
            .map(|(id, value)| row(id as i64, value.clone()));
        let mut rows = sum.run(scan(&documents_of(rows)))?;
        Ok(rows.swap_remove(0).remove("sum").unwrap())
    };
    let tenths = add(&[decimal("0.1"), decimal("0.2"), 1.into()]).unwrap();
    assert_eq!((tenths.type_name(), tenths), ("decimal", decimal("1.3")));
    assert_eq!(
        add(&[decimal("0.5"), 1.into(), 0.25.into()]),
        Ok(Value::Float(1.75))
    );
    let beyond = QueryError::Sum {
        of: "n".to_owned(),
        source: DecimalError::Digits,
    };
    assert_eq!(
        add(&[decimal("1e1000"), decimal("1e-1000")]),
        Err(beyond.clone())
    );
    assert_eq!(beyond.class(), ErrorClass::Limit);
}

#[test]
fn a_sum_over_text_is_an_error() {
    for group in [
        Group::new().sum("x", "to.code"),
        Group::new().avg("x", "to.code"),
    ] {
        check_error(
            &pipeline().group(group),
            &QueryError::NotANumber {
                of: "to.code".to_owned(),
                found: "string",
            },
        );
    }
}

#[test]
fn project_renames_and_leaves_out_what_is_absent() {
    check(
        &pipeline()
            .limit(3)
            .project([("id", "_id"), ("code", "to.code"), ("v", "_version")]),
        &[
            r#"{"code":"IAH","id":0,"v":1}"#,
            r#"{"code":"MIA","id":1,"v":1}"#,
            r#"{"id":2,"v":1}"#,
        ],
    );
    let renamed = pipeline().project([("_x", "carrier"), ("a.b", "delay")]);
    let first = || {
        renamed
            .clone()
            .filter(Filter::eq("_x", "UA").and(Filter::eq("`a.b`", 2)))
    };
    check(&first(), &[r#"{"_x":"UA","a.b":2}"#]);
    check(&first().filter(Filter::exists("carrier")), &[]);
}

#[test]
fn sorting_documents_and_rows() {
    let carriers = || pipeline().project([("c", "carrier"), ("d", "delay")]);
    // Documents by id where they are equal, in the direction of the last field; rows as they came.
    check(
        &pipeline()
            .sort([("carrier", DESC)])
            .limit(2)
            .project([("id", "_id")]),
        &[r#"{"id":2}"#, r#"{"id":0}"#],
    );
    check(
        &pipeline()
            .sort([("carrier", DESC), ("delay", ASC)])
            .project([("id", "_id")]),
        &[
            r#"{"id":0}"#,
            r#"{"id":2}"#,
            r#"{"id":3}"#,
            r#"{"id":4}"#,
            r#"{"id":1}"#,
            r#"{"id":5}"#,
        ],
    );
    check(
        &carriers()
            .sort([("d", DESC)])
            .sort([("c", DESC)])
            .skip(1)
            .limit(3),
        &[
            r#"{"c":"UA","d":2}"#,
            r#"{"c":"B6","d":null}"#,
            r#"{"c":"AA","d":-4}"#,
        ],
    );
    // A project between sort and limit changes nothing; a match does.
    check(
        &pipeline()
            .sort([("delay", DESC)])
            .project([("c", "carrier")])
            .skip(1)
            .limit(1),
        &[r#"{"c":"UA"}"#],
    );
    check(
        &pipeline()
            .sort([("delay", DESC)])
            .filter(Filter::eq("carrier", "AA"))
            .limit(1)
            .project([("d", "delay")]),
        &[r#"{"d":-4}"#],
    );
}

#[test]
fn unwind_gives_a_row_for_each_element() {
    let tags = || pipeline().unwind("tags");
    check(
        &tags().project([("c", "carrier"), ("t", "tags"), ("id", "_id")]),
        &[
            r#"{"c":"UA","id":0,"t":"a"}"#,
            r#"{"c":"UA","id":0,"t":"b"}"#,
            r#"{"c":"UA","id":2,"t":"b"}"#,
            r#"{"c":"AA","id":4,"t":"a"}"#,
        ],
    );
    check(
        &tags().group(Group::new().by("tag", "tags").count("n")),
        &[r#"{"n":2,"tag":"a"}"#, r#"{"n":2,"tag":"b"}"#],
    );
    check(
        &tags().limit(1).project([("t", "tags"), ("v", "_version")]),
        &[r#"{"t":"a","v":1}"#],
    );
    check_over(
        &[r#"{"a":[{"b":[1,2]},{"b":[]},{"b":[[3]]}]}"#],
        &pipeline().unwind("a").unwind("a.b").project([("x", "a.b")]),
        &[r#"{"x":1}"#, r#"{"x":2}"#, r#"{"x":[3]}"#],
    );
    check_over(
        &[r#"{"a":[[1,2],[3]]}"#],
        &pipeline().unwind("a.0").project([("a", "a")]),
        &[r#"{"a":[1,[3]]}"#, r#"{"a":[2,[3]]}"#],
    );
}

#[test]
fn documents_in_the_answer_have_their_fields_and_metadata() {
    let rows = run(&pipeline().filter(Filter::eq("_id", 5)), &FLIGHTS).unwrap();
    let names: Vec<&str> = rows[0].keys().map(String::as_str).collect();
    let metadata = ["_created_at", "_id", "_index", "_updated_at", "_version"];
    assert_eq!(names, [&metadata[..], &["carrier", "delay"]].concat());
}

#[test]
fn a_full_limit_ends_the_scan() {
    for (pipeline, expected) in [
        (pipeline().limit(2), 2),
        (pipeline().skip(1).limit(2), 3),
        (
            pipeline()
                .filter(Filter::eq("carrier", "AA"))
                .limit(1)
                .count("n"),
            2,
        ),
        (pipeline().unwind("tags").limit(2), 1),
        (pipeline().sort([("delay", ASC)]).limit(1), 6),
        (pipeline().count("n").limit(1), 6),
    ] {
        let documents = documents(&FLIGHTS);
        let mut scanned = 0;
        let answer = pipeline.run::<QueryError>(|visit| {
            documents.into_iter().all(|document| {
                scanned += 1;
                visit(&document)
            });
            Ok(())
        });
        assert!(answer.is_ok());
        assert_eq!(scanned, expected, "{pipeline:?}");
    }
}

#[test]
fn what_is_kept_is_bounded_in_each_stage() {
    let rows = |rows_max| Limits {
        rows_max,
        ..Limits::default()
    };
    let too_many = |rows_max| QueryError::TooManyRows { rows_max };
    let in_stage = |stage, error| QueryError::Stage {
        stage,
        source: Box::new(error),
    };
    let by_carrier = || pipeline().group(Group::new().by("c", "carrier"));
    check_error(
        &by_carrier().count("n").limits(rows(3)),
        &in_stage("$group", too_many(3)),
    );
    check(&by_carrier().count("n").limits(rows(4)), &[r#"{"n":4}"#]);
    check_error(&pipeline().limits(rows(5)), &too_many(5));
    check_error(
        &pipeline().sort([("delay", ASC)]).count("n").limits(rows(5)),
        &in_stage("$sort", too_many(5)),
    );
    check(
        &pipeline()
            .sort([("delay", DESC)])
            .limit(1)
            .project([("d", "delay")])
            .limits(rows(1)),
        &[r#"{"d":5.5}"#],
    );

    let long = format!(r#"{{"x":"{}","l":[1,2,3,4]}}"#, "x".repeat(1000));
    let limits = Limits {
        bytes_max: 3000,
        ..Limits::default()
    };
    let too_much = QueryError::TooManyBytes { bytes_max: 3000 };
    let max = || {
        pipeline()
            .group(Group::new().by("id", "_id").max("x", "x"))
            .count("n")
    };
    let unwound = || pipeline().unwind("l");
    for (pipeline, fits) in [
        (max(), false),
        (max().limit(0), false),
        (
            pipeline().group(Group::new().max("x", "x").last("y", "x")),
            true,
        ),
        (pipeline().group(Group::new().by("x", "x").count("n")), true),
        (pipeline().sort([("x", ASC)]).count("n"), false),
        (pipeline().sort([("l", ASC)]).count("n"), true),
        (unwound().sort([("l", ASC)]).count("n"), false),
        (unwound().sort([("l", ASC)]).limit(1).count("n"), true),
        (unwound().count("n"), true),
        (unwound(), false),
        (unwound().limit(1), true),
    ] {
        let answer = run(&pipeline.clone().limits(limits), &[long.as_str(); 4]);
        if fits {
            assert!(answer.is_ok(), "{pipeline:?} {answer:?}");
        } else {
            let error = match answer.unwrap_err() {
                QueryError::Stage { source, .. } => *source,
                error => error,
            };
            assert_eq!(error, too_much, "{pipeline:?}");
        }
    }
}

#[test]
fn groups_of_bins_of_time() {
    let group = Group::new().by_time("at", "t", TimeUnit::Minute, 15);
    let read = || Pipeline::from_json(r#"[{"$addFields":{"t":{"$toTime":"$t"}}}]"#).unwrap();
    check_over(
        &[
            r#"{"t":"2013-01-01T05:29:59Z"}"#,
            r#"{"t":"2013-01-01T05:15:00Z"}"#,
            r#"{"t":"2013-01-01T05:30:00Z"}"#,
            r#"{"t":null}"#,
        ],
        &read().group(group.count("n")),
        &[
            r#"{"at":"2013-01-01T05:15:00Z","n":2}"#,
            r#"{"at":"2013-01-01T05:30:00Z","n":1}"#,
            r#"{"at":null,"n":1}"#,
        ],
    );
    let none = Group::new().by_time("at", "t", TimeUnit::Day, 0);
    let refused = run(&read().group(none), &[r#"{"t":"2013-01-01T05:29:59Z"}"#]);
    let said = refused.unwrap_err().to_string();
    assert_eq!(
        said,
        "$group: $dateTrunc: a bin has 1 or more units, found 0"
    );
}

#[test]
fn what_is_wrong_is_told_before_the_scan() {
    let path = |text: &str| QueryError::Path {
        text: text.into(),
        source: PathError::EmptySegment,
    };
    let metadata = |name: &str| QueryError::UnknownMetadata {
        path: Path::field(name),
    };
    let twice = |name: &str| QueryError::DuplicateName { name: name.into() };
    for (pipeline, error) in [
        (pipeline().filter(Filter::eq("a..", 1)), path("a..")),
        (pipeline().project([("x", "")]), path("")),
        (pipeline().sort([("", ASC)]), path("")),
        (pipeline().unwind(""), path("")),
        (pipeline().group(Group::new().by("x", "")), path("")),
        (pipeline().group(Group::new().sum("x", "")), path("")),
        (pipeline().filter(Filter::exists("_x")), metadata("_x")),
        (pipeline().unwind("a").sort([("_x", ASC)]), metadata("_x")),
        (pipeline().group(Group::new().by("x", "_x")), metadata("_x")),
        (
            pipeline().group(Group::new().max("x", "_x")),
            metadata("_x"),
        ),
        (pipeline().project([("x", "_x")]), metadata("_x")),
        (pipeline().unwind("_x"), metadata("_x")),
        (pipeline().project([("", "a")]), QueryError::EmptyName),
        (pipeline().count(""), QueryError::EmptyName),
        (pipeline().project([("x", "a"), ("x", "b")]), twice("x")),
        (
            pipeline().group(Group::new().by("x", "a").count("x")),
            twice("x"),
        ),
    ] {
        let unused = |_: &mut dyn FnMut(&Document) -> bool| unreachable!("nothing is scanned");
        assert_eq!(
            pipeline.run::<QueryError>(unused),
            Err(error),
            "{pipeline:?}"
        );
    }
    let stages = |count| (0..count).fold(pipeline(), |pipeline, _| pipeline.skip(0));
    assert_eq!(
        run(&stages(STAGES_MAX), &FLIGHTS).map(|rows| rows.len()),
        Ok(6)
    );
    check_error(
        &stages(STAGES_MAX + 1),
        &QueryError::TooManyStages {
            count: STAGES_MAX + 1,
        },
    );
}

#[test]
fn a_moving_window_keeps_the_value_of_one_row_at_a_time() {
    let long = "x".repeat(1000);
    let fields: Vec<String> = (0..3000)
        .map(|n| format!(r#"{{"n":{n},"s":"{long}"}}"#))
        .collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let moving =
        r#"[{"$window":{"sort":{"n":1},"fields":{"m":{"$max":"$s","rows":3}}}},{"$count":"n"}]"#;
    let pipeline = Pipeline::from_json(moving).unwrap().limits(Limits {
        bytes_max: 1 << 20,
        ..Limits::default()
    });
    check_over(&fields, &pipeline, &[r#"{"n":3000}"#]);
}

#[test]
fn values_that_stages_put_at_a_path_nest_no_deeper_than_documents() {
    let fill = |path, value| {
        Stage::Fill(Fill {
            fields: vec![(path, FillWith::Value(value))],
            ..Fill::default()
        })
    };
    let window = |path, value| {
        let greatest = WindowFunction::Over(Accumulator::Max(value), Frame::Running);
        Stage::Window(Window {
            fields: vec![(path, greatest)],
            ..Window::default()
        })
    };
    let group = |path, value| {
        let mut group = Group::new();
        group.by.push((path, value));
        Stage::Group(group)
    };
    let stages: [&dyn Fn(Path, Expression) -> Stage; 3] = [&fill, &window, &group];
    for stage in stages {
        // Each puts the value of the one before at the end of a path of its own.
        let rows = |count: usize| {
            let stages = (1..=count).map(|at| {
                let path = format!("x{at}{}", ".y".repeat(60));
                let before = Expression::field(format!("x{}", at - 1)).unwrap();
                stage(path.parse().unwrap(), before)
            });
            run(&stages.fold(pipeline(), Pipeline::stage), &[r#"{"x0":1}"#])
        };
        rows(2).unwrap();
        for deep in [3, STAGES_MAX] {
            let error = rows(deep).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Limit, "{error}");
            assert!(error.to_string().contains("128 deep"), "{error}");
        }
    }
}

#[test]
fn values_that_stages_make_nest_no_deeper_than_documents() {
    let nested = |depth: usize| {
        let leaf = Expression::field("x").unwrap();
        (0..depth).fold(leaf, |inner, _| Expression::Array(vec![inner]))
    };
    let long = |segments: usize| vec!["x"; segments].join(".");
    let field = || Expression::field("x").unwrap();
    let stages =
        |stage: fn(Pipeline, String, Expression) -> Pipeline, path: String, value: Expression| {
            let three = (0..3).fold(pipeline(), |stages, _| {
                stage(stages, path.clone(), value.clone())
            });
            run(&three, &[r#"{"x":1}"#])
        };
    let add = |stages: Pipeline, path, value| stages.add_fields([(path, value)]);
    let project = |stages: Pipeline, path, value| stages.compute([(path, value)]);
    let group = |stages: Pipeline, _, value| stages.group(Group::new().by_value("x", value));
    assert!(stages(group, long(1), nested(42)).is_ok());
    let error = stages(group, long(1), nested(60)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Limit);
    for stage in [add, project] {
        assert!(stages(stage, long(1), nested(42)).is_ok());
        assert!(stages(stage, long(42), field()).is_ok());
        for (path, value) in [
            (long(1), nested(60)),
            (long(60), field()),
            (long(30), nested(30)),
        ] {
            let error = stages(stage, path, value).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Limit);
            assert!(
                error.to_string().ends_with("values may nest 128 deep"),
                "{error}"
            );
        }
    }
}
