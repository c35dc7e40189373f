//! Queries compared with the obvious way to answer them, over random documents.
//!
//! The obvious way decodes every document and knows nothing of encoded fields, sort keys or heaps.
//! A failing case prints its seed and its smallest form.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use velocitydb_engine::Document;
use velocitydb_types::{Fields, Interval, Path, Value};

use crate::row::{Row, RowRef};
use crate::testing::{documents_of, scan};
use crate::{
    Accumulator, Bucket, Densify, DensifyBounds, DensifyStep, Direction, ELEMENT, Expression, Fill,
    FillWith, Filter, Find, Frame, Function, Group, Limits, Nulls, Pipeline, Projection, Share,
    Stage, Unwind, VALUE_TYPES, ValueType, Window, WindowFunction,
};

/// Values of several types, few enough to be equal often.
fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2_i64..3).prop_map(Value::Int),
        select(vec![-1.5, -0.0, 1.0, f64::NAN, 9.2e18]).prop_map(Value::Float),
        select(vec!["1", "0.5", "-2e3"]).prop_map(|text| Value::Decimal(text.parse().unwrap())),
        select(vec!["", "a", "ab", "a\0", "b"]).prop_map(Value::from),
        Just(Value::Int(i64::MAX)),
        // The first two are equal.
        select(vec![(1, 0), (0, 30), (0, 1)])
            .prop_map(|(months, days)| Interval::new(months, days, 0).into()),
    ];
    scalar.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            btree_map(select(vec!["a", "b"]).prop_map(String::from), inner, 0..3)
                .prop_map(Value::Map),
        ]
    })
}

fn path() -> impl Strategy<Value = Path> {
    select(vec!["a", "b", "a.a", "a.b", "b.0", "a.1", "b.a.0", "c"])
        .prop_map(|text| text.parse().unwrap())
}

/// Up to a dozen documents with shuffled ids, so that the scan is in no order of ids.
fn some_documents() -> impl Strategy<Value = Vec<Document>> {
    let fields = btree_map(select(vec!["a", "b"]).prop_map(String::from), value(), 0..3);
    let ids = Just((0..12).collect::<Vec<i64>>()).prop_shuffle();
    (vec(fields, 0..12), ids).prop_map(|(fields, ids)| {
        let fields = fields
            .iter()
            .map(|fields| Fields::from_map(fields).unwrap());
        documents_of(ids.into_iter().map(Value::Int).zip(fields))
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let condition = prop_oneof![
        Just(Filter::All),
        (path(), value()).prop_map(|(path, value)| Filter::Eq(path, value)),
        (path(), value()).prop_map(|(path, value)| Filter::Ne(path, value)),
        (path(), value()).prop_map(|(path, value)| Filter::Lt(path, value)),
        (path(), value()).prop_map(|(path, value)| Filter::Le(path, value)),
        (path(), value()).prop_map(|(path, value)| Filter::Gt(path, value)),
        (path(), value()).prop_map(|(path, value)| Filter::Ge(path, value)),
        (path(), vec(value(), 0..4)).prop_map(|(path, values)| Filter::is_in(path, values)),
        path().prop_map(Filter::Exists),
        (path(), select(vec!["", "a", "a\0"])).prop_map(|(path, text)| Filter::prefix(path, text)),
        (path(), value()).prop_map(|(path, value)| Filter::Contains(path, value)),
        (path(), vec(value(), 0..3)).prop_map(|(path, values)| Filter::contains_all(path, values)),
        (path(), 0_usize..3).prop_map(|(path, count)| Filter::Size(path, count)),
        (
            path(),
            vec(select(VALUE_TYPES.map(|(kind, _)| kind).to_vec()), 0..3)
        )
            .prop_map(|(path, types)| Filter::Type(path, types)),
        (path(), select(vec!["^a", "b"])).prop_map(|(path, text)| Filter::regex(path, text)),
        (path(), select(vec!["a", "a*", "b OR ab", "ab -b"])).prop_map(text),
        (path(), element_condition())
            .prop_map(|(path, condition)| Filter::elem_match(path, condition)),
    ];
    condition.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Filter::And),
            vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|filter| !filter),
        ]
    })
}

#[cfg(feature = "full-text")]
fn text((path, words): (Path, &str)) -> Filter {
    Filter::text(path, words, velocitydb_engine::text::Language::Simple)
}

#[cfg(not(feature = "full-text"))]
fn text((path, words): (Path, &str)) -> Filter {
    Filter::prefix(path, words)
}

/// What may be asked of an element: of itself, or of what is inside.
fn element_condition() -> impl Strategy<Value = Filter> {
    let path = select(vec![ELEMENT, "a", "$.b", "0", "a.a"]);
    let condition = (path, value()).prop_flat_map(|(path, value)| {
        select(vec![
            Filter::eq(path, value.clone()),
            Filter::gt(path, value.clone()),
            Filter::le(path, value.clone()),
            Filter::contains(path, value),
            Filter::exists(path),
        ])
    });
    vec(condition, 1..3).prop_map(Filter::And)
}

fn sort() -> impl Strategy<Value = Vec<(Path, Direction)>> {
    let direction = select(vec![Direction::Ascending, Direction::Descending]);
    vec((path(), direction), 0..3)
}

fn nulls() -> impl Strategy<Value = Nulls> {
    select(vec![Nulls::Smallest, Nulls::Greatest])
}

/// What queries in JSON are made of.
const WORDS: [&str; 48] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"a\"",
    "\"b.0\"",
    "\"_id\"",
    "\"$a\"",
    "1",
    "-1",
    "1e999",
    "null",
    "true",
    "\"\"",
    "\"$match\"",
    "\"$project\"",
    "\"$addFields\"",
    "\"$group\"",
    "\"$unwind\"",
    "\"$window\"",
    "\"$facet\"",
    "\"$bucket\"",
    "\"$lookup\"",
    "\"$and\"",
    "\"$elemMatch\"",
    "\"$gt\"",
    "\"$regex\"",
    "\"$time\"",
    "\"$map\"",
    "\"$point\"",
    "\"$in\"",
    "\"$sum\"",
    "\"$percentile\"",
    "\"$switch\"",
    "\"$cond\"",
    "\"$slice\"",
    "\"$substr\"",
    "\"$dateAdd\"",
    "\"$densify\"",
    "\"$fill\"",
    "\"$literal\"",
    "\"$not\"",
    "\"$withinPolygon\"",
    "\"$$ROOT\"",
    "\"$text\"",
    "\"$search\"",
];

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        value().prop_map(Expression::Literal),
        select(vec!["$x", "$$ROOT", ""]).prop_map(Expression::literal),
        path().prop_map(Expression::Field),
        Just(Expression::Root),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let pair = (inner.clone(), inner.clone());
        let functions = vec![
            Function::Subtract,
            Function::Eq,
            Function::Split,
            Function::Pluck,
        ];
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Expression::Array),
            inner.clone().prop_map(|part| Expression::Map(vec![
                ("y".into(), part.clone()),
                ("x".into(), part),
            ])),
            (select(functions), pair)
                .prop_map(|(function, (a, b))| Expression::call(function, [a, b])),
            inner
                .clone()
                .prop_map(|part| Expression::call(Function::Size, [part])),
            vec(inner.clone(), 1..3).prop_map(|parts| Expression::call(Function::Concat, parts)),
            vec(inner.clone(), 2..5).prop_map(|parts| Expression::call(Function::Switch, parts)),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| Expression::call(Function::Cond, [a, b, c])),
        ]
    })
}

fn accumulator() -> impl Strategy<Value = Accumulator> {
    (expression(), 0..8).prop_map(|(of, which)| match which {
        0 => Accumulator::Count,
        1 => Accumulator::Sum(of),
        2 => Accumulator::Distinct(of),
        3 => Accumulator::Median(of),
        4 => Accumulator::Push(of),
        5 => Accumulator::StdDevSamp(of),
        6 => Accumulator::Percentiles(of, vec![Share::new(0.25).unwrap()]),
        _ => Accumulator::Max(of),
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    let at = |name: &str| name.parse::<Path>().unwrap();
    prop_oneof![
        filter().prop_map(Stage::Match),
        (expression(), expression())
            .prop_map(move |(a, b)| Stage::Project(vec![(at("p.q"), a), (at("_id"), b)])),
        expression().prop_map(move |a| Stage::Project(vec![(at("z"), a)])),
        (expression(), expression())
            .prop_map(move |(a, b)| Stage::AddFields(vec![(at("p.q"), a), (at("r"), b)])),
        path().prop_map(|path| Stage::Select(Projection::include([path]).unwrap())),
        path().prop_map(|path| Stage::Select(Projection::Exclude(vec![path]))),
        (expression(), accumulator()).prop_map(|(by, with)| {
            Stage::Group(Group::new().by_value("_id", by).compute("x", with))
        }),
        (expression(), expression(), accumulator()).prop_map(|(a, b, with)| {
            Stage::Group(
                Group::new()
                    .by_value("k", a)
                    .by_value("l", b)
                    .compute("x", with),
            )
        }),
        sort().prop_map(Stage::Sort),
        (path(), any::<bool>(), option::of(Just("i".to_owned()))).prop_map(
            |(path, keep_empty, index)| Stage::Unwind(Unwind {
                path,
                keep_empty,
                index
            })
        ),
        (expression(), value(), accumulator()).prop_map(|(by, default, with)| {
            Stage::Bucket(Bucket {
                by,
                boundaries: vec![1.into(), "a".into()],
                default: Some(default),
                with: vec![("x".into(), with)],
            })
        }),
        (expression(), expression(), 0..3_usize, value()).prop_map(move |(by, of, rows, value)| {
            let fields = vec![
                (at("w.lag"), WindowFunction::Lag(of.clone(), rows, value)),
                (
                    at("w.sum"),
                    WindowFunction::Over(Accumulator::Sum(of), Frame::Rows(rows + 1)),
                ),
                (
                    at("n"),
                    WindowFunction::Over(Accumulator::Count, Frame::All),
                ),
                (at("r"), WindowFunction::RowNumber),
            ];
            Stage::Window(Window {
                partition: vec![by],
                sort: Vec::new(),
                fields,
            })
        }),
        (path(), path(), 1..4_i64, -2..3_i64).prop_map(|(field, by, step, from)| {
            let (step, to) = (DensifyStep::Number(step.into()), from + 3);
            let bounds = DensifyBounds::Between(from.into(), to.into());
            let partition = vec![by];
            Stage::Densify(Densify {
                field,
                partition,
                step,
                bounds,
            })
        }),
        (path(), path(), expression(), option::of(expression())).prop_map(
            move |(by, field, value, partition)| {
                let ways = [FillWith::Linear, FillWith::Last, FillWith::Value(value)];
                let paths = [field, at("v"), at("w")];
                Stage::Fill(Fill {
                    partition: partition.into_iter().collect(),
                    sort: vec![(by, Direction::Ascending)],
                    fields: paths.into_iter().zip(ways).collect(),
                })
            }
        ),
        (0..3_usize).prop_map(Stage::Skip),
    ]
}

/// The type of a value, numbers of all kinds being one.
fn class(value: &Value) -> &'static str {
    match value.type_name() {
        "int" | "float" | "decimal" => "number",
        other => other,
    }
}

/// Whether a decoded document meets a filter.
fn plainly_matches(filter: &Filter, fields: &Value) -> bool {
    let get = |path: &Path| path.get(fields).cloned().unwrap_or_default();
    let order = |path: &Path, value: &Value| {
        let found = get(path);
        (class(&found) == class(value)).then(|| found.cmp(value))
    };
    match filter {
        Filter::All => true,
        Filter::Eq(path, value) => get(path) == *value,
        Filter::Ne(path, value) => get(path) != *value,
        Filter::Lt(path, value) => order(path, value).is_some_and(Ordering::is_lt),
        Filter::Le(path, value) => order(path, value).is_some_and(Ordering::is_le),
        Filter::Gt(path, value) => order(path, value).is_some_and(Ordering::is_gt),
        Filter::Ge(path, value) => order(path, value).is_some_and(Ordering::is_ge),
        Filter::In(path, values) => values.as_slice().iter().any(|value| get(path) == *value),
        Filter::Exists(path) => path.get(fields).is_some(),
        Filter::Prefix(path, prefix) => get(path)
            .as_str()
            .is_some_and(|text| text.starts_with(prefix)),
        Filter::Contains(path, element) => get(path)
            .as_array()
            .is_some_and(|elements| elements.contains(element)),
        Filter::ContainsAll(path, values) => get(path).as_array().is_some_and(|elements| {
            values
                .as_slice()
                .iter()
                .all(|value| elements.contains(value))
        }),
        Filter::ElemMatch(path, condition) => {
            let array = get(path);
            let mut elements = array.as_array().unwrap_or_default().iter();
            elements.any(|element| {
                let mut map = element.as_map().cloned().unwrap_or_default();
                if let Value::Array(inner) = element {
                    let named = |(at, value): (usize, &Value)| (at.to_string(), value.clone());
                    map = inner.iter().enumerate().map(named).collect();
                }
                map.insert(ELEMENT.to_owned(), element.clone());
                plainly_matches(condition, &Value::Map(map))
            })
        }
        Filter::Size(path, count) => get(path)
            .as_array()
            .is_some_and(|elements| elements.len() == *count),
        Filter::Type(path, types) => path.get(fields).is_some_and(|value| {
            let name = value.type_name();
            types.iter().any(|wanted| {
                wanted.name() == name || (*wanted == ValueType::Number && class(value) == "number")
            })
        }),
        Filter::Regex(path, regex) => {
            get(path)
                .as_str()
                .is_some_and(|text| match regex.pattern() {
                    "^a" => text.starts_with('a'),
                    "b" => text.contains('b'),
                    other => panic!("no plain way for {other}"),
                })
        }
        Filter::Within(path, area) => match get(path) {
            Value::Point(point) => area.contains(point),
            _ => false,
        },
        Filter::Text(path, asked) => {
            let value = get(path);
            let texts = value.as_array().unwrap_or(std::slice::from_ref(&value));
            let words: Vec<&str> = texts
                .iter()
                .filter_map(Value::as_str)
                .flat_map(|text| text.split('\0'))
                .collect();
            match asked.words() {
                "a" => words.contains(&"a"),
                "a*" => words.iter().any(|word| word.starts_with('a')),
                "b OR ab" => words.contains(&"b") || words.contains(&"ab"),
                "ab -b" => words.contains(&"ab") && !words.contains(&"b"),
                other => panic!("no plain way for {other}"),
            }
        }
        Filter::And(filters) => filters.iter().all(|filter| plainly_matches(filter, fields)),
        Filter::Or(filters) => filters.iter().any(|filter| plainly_matches(filter, fields)),
        Filter::Not(filter) => !plainly_matches(filter, fields),
        Filter::Invalid(_) => false,
    }
}

fn decoded(document: &Document) -> Value {
    Value::Map(document.fields().to_map())
}

/// The order of two documents by sort fields, then by id.
fn plain_order(find: &Find, a: &Document, b: &Document) -> Ordering {
    let greatest = find.nulls == Nulls::Greatest;
    let get = |document, path: &Path| {
        let value = path.get(&decoded(document)).cloned().unwrap_or_default();
        (greatest && value.is_null(), value)
    };
    let by_fields = find.sort.iter().map(|(path, direction)| {
        let order = get(a, path).cmp(&get(b, path));
        if *direction == Direction::Ascending {
            order
        } else {
            order.reverse()
        }
    });
    by_fields
        .fold(Ordering::Equal, Ordering::then)
        .then_with(|| match find.sort.last() {
            Some((_, Direction::Descending)) => b.id().cmp(&a.id()),
            _ => a.id().cmp(&b.id()),
        })
}

fn ids(documents: &[Document]) -> Vec<Value> {
    documents
        .iter()
        .map(|document| document.id().to_value())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// On the encoded document, on the row made of it, and plainly: the same answer.
    #[test]
    fn a_filter_does_what_it_says(filter in filter(), documents in some_documents()) {
        prop_assert_eq!(filter.check(), Ok(()));
        for document in documents {
            let expected = plainly_matches(&filter, &decoded(&document));
            prop_assert_eq!(filter.matches(&document), expected);
            let map = Row::from(&document).into_map();
            prop_assert_eq!(filter.holds(RowRef::Map(&map)), expected);
        }
    }

    /// What is written as JSON is read as the same, values with their types.
    #[test]
    fn queries_come_back_from_their_text(
        filter in filter(), sort in sort(), offset in 0..3_usize, limit in option::of(0..3_usize),
        nulls in nulls(), mut paths in vec(path(), 0..3), without in any::<bool>(),
    ) {
        let text = filter.to_string();
        let read = Filter::from_json(&text).unwrap();
        prop_assert_eq!(&read, &filter, "{}", text);
        prop_assert_eq!(read.to_string(), text);
        let mut find = Find::new(filter).sort(sort).nulls(nulls).offset(offset);
        find.limit = limit;
        paths.sort();
        paths.dedup();
        if !paths.is_empty() {
            find = if without { find.project_without(paths) } else { find.project(paths) };
        }
        let text = find.to_string();
        prop_assert_eq!(Find::from_json(&text), Ok(find), "{}", text);
    }

    /// And whatever a pipeline says, running it neither panics nor depends on the text.
    #[test]
    fn pipelines_come_back_from_their_text(
        stages in vec(stage(), 0..4), documents in some_documents(),
    ) {
        let stages = stages.into_iter().fold(Pipeline::new(), Pipeline::stage);
        if stages.check().is_ok() {
            let text = stages.to_string();
            let read = Pipeline::from_json(&text);
            prop_assert_eq!(read.as_ref(), Ok(&stages), "{}", text);
            prop_assert_eq!(read.unwrap().run(scan(&documents)), stages.run(scan(&documents)));
        }
    }

    /// Text that was made of the words of queries, right or wrong: a query or an error.
    #[test]
    fn no_text_causes_a_panic(words in vec(select(WORDS.to_vec()), 0..40), documents in some_documents()) {
        let text = words.concat();
        let _ = Filter::from_json(&text);
        let _ = Find::from_json(&text).map(|find| find.run(scan(&documents)).is_ok());
        let _ = Expression::from_json(&text);
        for stages in [text.clone(), format!("[{{{text}}}]")] {
            let _ = Pipeline::from_json(&stages).map(|stages| stages.run(scan(&documents)).is_ok());
        }
        // Well-formed at least: one stage with arguments of any kind.
        let names: Vec<&str> = words.iter().copied().filter(|word| word.starts_with("\"$")).collect();
        for pair in names.windows(2) {
            for argument in ["{}", "[]", "1", "-1", "null", "\"$a\"", "[\"$a\",1]", "{\"a\":1}"] {
                let inner = format!("{{{}:{argument}}}", pair[1]);
                for text in [format!("[{{{}:{inner}}}]", pair[0]), format!("[{{{}:{{\"a\":{inner}}}}}]", pair[0])] {
                    let _ = Pipeline::from_json(&text).map(|stages| stages.run(scan(&documents)).is_ok());
                }
            }
        }
    }

    /// Ranks, sums and percentiles of a few rows, computed the plain way.
    #[test]
    fn windows_and_percentiles_are_what_they_say(
        rows in vec((0..3_i64, option::of(-9..9_i64)), 1..12), count in 1..4_usize,
        share in 0..=100_u32,
    ) {
        let fields = rows.iter().map(|(group, number)| {
            let map = BTreeMap::from([
                ("g".to_owned(), Value::Int(*group)),
                ("x".to_owned(), Value::from(*number)),
            ]);
            Fields::from_map(&map).unwrap()
        });
        let documents = documents_of(fields.enumerate().map(|(id, f)| (Value::Int(id as i64), f)));
        let share = f64::from(share) / 100.0;
        let windows = Pipeline::from_json(&format!(
            r#"[{{"$window":{{"partition":"$g","sort":{{"x":1}},"fields":{{"rank":{{"$rank":{{}}}},
                "dense":{{"$denseRank":{{}}}},"sum":{{"$sum":"$x"}},"last":{{"$sum":"$x","rows":{count}}},
                "max":{{"$max":"$x"}},"lead":{{"$lead":"$x"}}}}}}}}]"#
        )).unwrap();
        let groups = Pipeline::from_json(&format!(
            r#"[{{"$group":{{"_id":"$g","p":{{"$percentile":{{"input":"$x","p":[{share}]}}}},
                "n":{{"$countDistinct":"$x"}}}}}},{{"$sort":{{"_id":1}}}}]"#
        )).unwrap();

        let (mut expected, mut expected_groups) = (Vec::new(), Vec::new());
        for group in 0..3 {
            let mut numbers: Vec<Option<i64>> =
                rows.iter().filter(|(g, _)| *g == group).map(|(_, x)| *x).collect();
            numbers.sort();
            let sum = |numbers: &[Option<i64>]| -> Value {
                let known: Vec<i64> = numbers.iter().copied().flatten().collect();
                (!known.is_empty()).then(|| known.iter().sum::<i64>()).into()
            };
            for (at, number) in numbers.iter().enumerate() {
                let before = numbers.iter().filter(|other| *other < number).count() as i64;
                let mut different = numbers.clone();
                different.dedup();
                let place = different.iter().position(|other| other == number).unwrap() as i64;
                expected.push([
                    group.into(), Value::from(*number), (before + 1).into(), (place + 1).into(),
                    sum(&numbers[..=at]), sum(&numbers[(at + 1).saturating_sub(count)..=at]),
                    Value::from(*number), numbers.get(at + 1).copied().flatten().into(),
                ]);
            }
            if !numbers.is_empty() {
                let mut known: Vec<i64> = numbers.iter().copied().flatten().collect();
                // The least of them that at least so many do not exceed.
                let enough = |x: &&i64| {
                    let not_above = known.iter().filter(|y| y <= x).count();
                    not_above as f64 >= share * known.len() as f64
                };
                let percentile = Value::from(known.iter().find(enough).copied());
                known.dedup();
                let different = Value::Int(known.len() as i64);
                expected_groups.push([group.into(), percentile, different]);
            }
        }
        let take = |mut row: crate::Aggregated, name: &str| row.remove(name).unwrap_or_default();
        let found: Vec<_> = windows.run(scan(&documents)).unwrap().into_iter().map(|row| {
            ["g", "x", "rank", "dense", "sum", "last", "max", "lead"].map(|n| take(row.clone(), n))
        }).collect();
        prop_assert_eq!(found, expected);
        let found: Vec<_> = groups.run(scan(&documents)).unwrap().into_iter().map(|row| {
            let percentiles = take(row.clone(), "p");
            let percentile = percentiles.as_array().unwrap()[0].clone();
            [take(row.clone(), "_id"), percentile, take(row, "n")]
        }).collect();
        prop_assert_eq!(found, expected_groups);
    }

    #[test]
    fn the_laws_of_logic_hold(
        a in filter(), b in filter(), path in path(), value in value(),
        documents in some_documents(),
    ) {
        let not = |filter: &Filter| Filter::Not(Box::new(filter.clone()));
        let both = || a.clone().and(b.clone());
        let either = || a.clone().or(b.clone());
        let is = |make: fn(Path, Value) -> Filter| make(path.clone(), value.clone());
        let laws = [
            (not(&not(&a)), a.clone()),
            (!!a.clone(), a.clone()),
            (!both(), (!a.clone()).or(!b.clone())),
            (!either(), (!a.clone()).and(!b.clone())),
            (both(), b.clone().and(a.clone())),
            (either(), b.clone().or(a.clone())),
            (a.clone().and(!a.clone()), !Filter::All),
            (a.clone().or(!a.clone()), Filter::All),
            (is(Filter::Ne), !is(Filter::Eq)),
            (is(Filter::Le), is(Filter::Lt).or(is(Filter::Eq))),
            (is(Filter::Ge), is(Filter::Gt).or(is(Filter::Eq))),
            (is(Filter::Eq), is(Filter::Le).and(is(Filter::Ge))),
            (Filter::is_in(path.clone(), [value.clone()]), is(Filter::Eq)),
        ];
        for document in &documents {
            for (left, right) in &laws {
                prop_assert_eq!(
                    left.matches(document), right.matches(document), "{:?} {:?}", left, right
                );
            }
        }
    }

    #[test]
    fn find_is_filter_sort_and_page(
        filter in filter(), sort in sort(), nulls in nulls(), offset in 0..6_usize,
        limit in option::of(0..8_usize), documents in some_documents(),
    ) {
        let mut find = Find::new(filter.clone()).sort(sort).nulls(nulls).offset(offset);
        find.limit = limit;
        let mut expected: Vec<_> = documents.iter()
            .filter(|document| plainly_matches(&filter, &decoded(document)))
            .cloned()
            .collect();
        if !find.sort.is_empty() {
            expected.sort_by(|a, b| plain_order(&find, a, b));
        }
        let expected: Vec<_> =
            expected.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect();
        let found = find.run(scan(&documents)).unwrap();
        prop_assert_eq!(ids(&found), ids(&expected));
        // With a sort and a limit a page needs no more rows than itself and what is before it.
        if let (false, Some(limit)) = (find.sort.is_empty(), limit) {
            let limits = Limits { rows_max: offset + limit, ..Limits::default() };
            prop_assert_eq!(ids(&find.limits(limits).run(scan(&documents)).unwrap()), ids(&found));
        }
    }

    /// Sorted pages put together are the sorted whole.
    #[test]
    fn pages_fit_together(sort in sort(), size in 1..4_usize, documents in some_documents()) {
        let find = Find::new(Filter::All).sort(sort);
        let whole = find.run(scan(&documents)).unwrap();
        let pages = (0..=documents.len()).flat_map(|page| {
            find.clone().offset(page * size).limit(size).run(scan(&documents)).unwrap()
        });
        prop_assert_eq!(ids(&pages.collect::<Vec<_>>()), ids(&whole));
    }

    #[test]
    fn groups_are_those_of_a_map(by in path(), of in path(), documents in some_documents()) {
        let mut expected: BTreeMap<Value, (u64, Option<Value>, Option<Value>)> = BTreeMap::new();
        for document in &documents {
            let get = |path: &Path| path.get(&decoded(document)).cloned().unwrap_or_default();
            let (count, min, max) = expected.entry(get(&by)).or_default();
            *count += 1;
            let found = get(&of);
            if !found.is_null() {
                *min = Some(min.take().map_or(found.clone(), |min| min.min(found.clone())));
                *max = Some(max.take().map_or(found.clone(), |max| max.max(found.clone())));
            }
        }
        let group = Group::new().by("k", &by).count("n").min("min", &of).max("max", &of);
        let pipeline = Pipeline::new().group(group).sort([("k", Direction::Ascending)]);
        let rows = pipeline.run(scan(&documents)).unwrap();
        let names = ["k", "n", "min", "max"];
        let rows: Vec<_> = rows.into_iter().map(|row| names.map(|name| row[name].clone())).collect();
        let expected = expected.into_iter();
        let expected = expected.map(|(key, (n, min, max))| [key, n.into(), min.into(), max.into()]);
        prop_assert_eq!(rows, expected.collect::<Vec<_>>());
    }

    /// However integers and decimals are mixed and whatever their order, the sum is exact.
    #[test]
    fn sums_do_not_depend_on_the_order(
        ints in vec(any::<i64>(), 1..8), cents in vec(any::<i32>(), 0..8),
    ) {
        let decimal = |text: String| Value::Decimal(text.parse().unwrap());
        let cent_values = cents.iter().map(|cents| decimal(format!("{cents}e-2")));
        let mut values: Vec<Value> = ints.iter().copied().map(Value::Int).chain(cent_values).collect();
        let hundredfold = ints.iter().map(|int| i128::from(*int) * 100).sum::<i128>()
            + cents.iter().copied().map(i128::from).sum::<i128>();
        let expected = decimal(format!("{hundredfold}e-2"));
        let sum = Pipeline::new().group(Group::new().sum("sum", "n"));
        for _ in 0..2 {
            let rows = values.iter().enumerate().map(|(id, value)| {
                let fields = BTreeMap::from([("n".to_owned(), value.clone())]);
                (Value::Int(id as i64), Fields::from_map(&fields).unwrap())
            });
            let rows = sum.run(scan(&documents_of(rows))).unwrap();
            prop_assert_eq!(&rows[0]["sum"], &expected);
            values.reverse();
        }
    }
}
