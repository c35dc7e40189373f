//! What each condition lets through, as tables: filter, then the ids of the documents.

use velocitydb_types::{PathError, Timestamp};

use super::*;
use crate::testing::documents;

/// The ids of the documents (numbered from 0) that a filter lets through.
#[track_caller]
fn check(fields: &[&str], table: &[(Filter, &[i64])]) {
    let documents = documents(fields);
    for (filter, expected) in table {
        assert_eq!(filter.check(), Ok(()), "{filter:?}");
        let through = documents.iter().filter(|document| filter.matches(document));
        let ids: Vec<_> = through.filter_map(|d| d.id().to_value().as_int()).collect();
        assert_eq!(&ids, expected, "{filter:?}");
    }
}

#[test]
fn a_field_equals_by_exact_value_and_an_absent_one_is_null() {
    let fields = [
        r#"{"a":1}"#,
        r#"{"a":1.0}"#,
        r#"{"a":"1"}"#,
        r#"{"a":null}"#,
        r#"{}"#,
        r#"{"a":9007199254740993}"#,
        r#"{"a":[1]}"#,
    ];
    check(
        &fields,
        &[
            (Filter::eq("a", 1), &[0, 1]),
            (Filter::ne("a", 1), &[2, 3, 4, 5, 6]),
            (Filter::eq("a", 9_007_199_254_740_992.0), &[]),
            (Filter::is_null("a"), &[3, 4]),
            (Filter::ne("a", Value::Null), &[0, 1, 2, 5, 6]),
            (Filter::exists("a"), &[0, 1, 2, 3, 5, 6]),
            (Filter::is_in("a", ["1", "x", "1"]), &[2]),
            (Filter::is_in("a", [Value::Null, 1.into()]), &[0, 1, 3, 4]),
            (Filter::is_in("a", Vec::<Value>::new()), &[]),
            (Filter::eq("a", vec![Value::Int(1)]), &[6]),
            (Filter::contains("a", 1.0), &[6]),
        ],
    );
}

#[test]
fn order_is_within_a_type() {
    let fields = [
        r#"{"a":1}"#,
        r#"{"a":2.5}"#,
        r#"{"a":"2"}"#,
        r#"{"a":null}"#,
        r#"{}"#,
        r#"{"a":true}"#,
    ];
    check(
        &fields,
        &[
            (Filter::lt("a", 2), &[0]),
            (Filter::le("a", 2.5), &[0, 1]),
            (Filter::gt("a", 1), &[1]),
            (Filter::ge("a", 1), &[0, 1]),
            (Filter::lt("a", "3"), &[2]),
            (Filter::ge("a", false), &[5]),
            (Filter::lt("a", Value::Null), &[]),
            (Filter::le("a", Value::Null), &[3, 4]),
            (!Filter::lt("a", 2), &[1, 2, 3, 4, 5]),
        ],
    );
}

#[test]
fn paths_lead_inside_and_text_is_compared_by_bytes() {
    let fields = [
        r#"{"a":{"b":"abc"},"t":["x",1]}"#,
        r#"{"a":{"b":"ab"},"t":[]}"#,
        r#"{"a":{"b":"b"},"t":"x"}"#,
        r#"{"a.b":"abc"}"#,
    ];
    check(
        &fields,
        &[
            (Filter::prefix("a.b", "ab"), &[0, 1]),
            (Filter::prefix("a.b", ""), &[0, 1, 2]),
            (Filter::prefix("a", "ab"), &[]),
            (Filter::prefix("`a.b`", "ab"), &[3]),
            (Filter::eq("t.0", "x"), &[0]),
            (Filter::contains("t", "x"), &[0]),
            (Filter::contains("t", 1), &[0]),
            (Filter::exists("t.1"), &[0]),
        ],
    );
}

#[test]
fn metadata_is_read_like_fields() {
    let documents = documents(&["{}", "{}"]);
    let index = documents[0].meta().index as i64;
    check(
        &["{}", "{}"],
        &[
            (Filter::eq("_id", 1), &[1]),
            (Filter::gt("_id", -1), &[0, 1]),
            (Filter::eq("_version", 1), &[0, 1]),
            (Filter::eq("_index", index), &[0, 1]),
            (Filter::gt("_index", index), &[]),
            (Filter::eq("_created_at", Timestamp(2)), &[0, 1]),
            (Filter::lt("_updated_at", Timestamp(2)), &[]),
            (Filter::exists("_id.0"), &[]),
        ],
    );
}

#[test]
fn and_or_not() {
    let fields = [r#"{"a":1,"b":1}"#, r#"{"a":1,"b":2}"#, r#"{"a":2,"b":2}"#];
    let (a, b) = (Filter::eq("a", 1), Filter::eq("b", 2));
    check(
        &fields,
        &[
            (Filter::All, &[0, 1, 2]),
            (!Filter::All, &[]),
            (a.clone().and(b.clone()), &[1]),
            (a.clone().or(b.clone()), &[0, 1, 2]),
            (!a.clone().and(b.clone()), &[0, 2]),
            (a.clone().and(!b.clone()), &[0]),
            (!!a.clone(), &[0, 1]),
            (a.clone().and(Filter::All), &[0, 1]),
            (a.clone().or(Filter::All), &[0, 1, 2]),
            (Filter::And(vec![]), &[0, 1, 2]),
            (Filter::Or(vec![]), &[]),
        ],
    );
}

#[test]
fn what_is_wrong_stays_wrong_until_it_is_told() {
    let wrong = || Filter::eq("a..b", 1);
    let error = QueryError::Path {
        text: "a..b".into(),
        source: PathError::EmptySegment,
    };
    let fine = || Filter::eq("a", 1);
    for filter in [
        wrong(),
        !wrong(),
        wrong().and(fine()),
        fine().and(wrong()),
        wrong().or(Filter::All),
        Filter::All.or(wrong()),
        Filter::Not(Box::new(wrong())),
        Filter::prefix("a..b", "x"),
    ] {
        assert_eq!(filter.check(), Err(error.clone()));
    }
    assert_eq!(
        fine().and(Filter::exists("_hidden")).check(),
        Err(QueryError::UnknownMetadata {
            path: Path::field("_hidden")
        })
    );
}

#[test]
fn depth_and_number_are_bounded() {
    let nested = |depth: usize| {
        (1..depth).fold(Filter::eq("a", 1), |filter, _| {
            Filter::Not(Box::new(filter))
        })
    };
    let document = documents(&[r#"{"a":1}"#]).swap_remove(0);
    assert_eq!(nested(FILTER_DEPTH_MAX).check(), Ok(()));
    assert!(
        !nested(FILTER_DEPTH_MAX).matches(&document),
        "an odd number of nots"
    );
    assert_eq!(
        nested(FILTER_DEPTH_MAX + 1).check(),
        Err(QueryError::FilterTooDeep)
    );
    nested(10_000).matches(&document);

    let chain = |count: i64, join: fn(Filter, Filter) -> Filter| {
        (0..count).map(|n| Filter::eq("a", n)).reduce(join).unwrap()
    };
    for join in [Filter::and, Filter::or] {
        let most = CONDITIONS_MAX as i64 - 1;
        assert_eq!(chain(most, join).check(), Ok(()));
        assert_eq!(
            chain(most + 1, join).check(),
            Err(QueryError::TooManyConditions)
        );
    }
    let count = IN_VALUES_MAX + 1;
    let list = |count: usize| Filter::is_in("a", (0..count).map(|n| n as i64));
    assert_eq!(list(count - 1).check(), Ok(()));
    assert_eq!(
        list(count).check(),
        Err(QueryError::TooManyValues { count })
    );
}

#[test]
fn elements_of_arrays() {
    let fields = [
        r#"{"scores":[70,85,95],"items":[{"sku":"a","n":1},{"sku":"b","n":5}]}"#,
        r#"{"scores":[70,95],"items":[{"sku":"a","n":5},{"sku":"b","n":1}]}"#,
        r#"{"scores":[],"items":[{"sku":"b","tags":["x"]}]}"#,
        r#"{"scores":85,"items":{"sku":"b","n":5}}"#,
        r#"{"twice":[5,5,5]}"#,
    ];
    let both = |low: i64, high: i64| Filter::ge(ELEMENT, low).and(Filter::lt(ELEMENT, high));
    let sold = |sku: &str, n: i64| Filter::eq("sku", sku).and(Filter::gt("n", n));
    check(
        &fields,
        &[
            // One element must meet all of it: 70 and 95 do not do so together.
            (Filter::elem_match("scores", both(80, 90)), &[0]),
            (!Filter::elem_match("scores", both(80, 90)), &[1, 2, 3, 4]),
            (Filter::elem_match("scores", Filter::All), &[0, 1]),
            (Filter::elem_match("items", sold("b", 4)), &[0]),
            (Filter::elem_match("items", sold("a", 4)), &[1]),
            (
                Filter::elem_match("items", Filter::eq("$.sku", "a")),
                &[0, 1],
            ),
            (
                Filter::elem_match(
                    "items",
                    Filter::elem_match("tags", Filter::prefix(ELEMENT, "x")),
                ),
                &[2],
            ),
            (Filter::contains_all("scores", [95, 70]), &[0, 1]),
            (Filter::contains_all("scores", [95, 85]), &[0]),
            // An element that is there twice is not two of them.
            (Filter::contains_all("twice", [5, 6]), &[]),
            (Filter::contains_all("twice", [5, 5]), &[4]),
            (
                Filter::contains_all("scores", Vec::<Value>::new()),
                &[0, 1, 2],
            ),
            (Filter::size("scores", 3), &[0]),
            (Filter::size("scores", 0), &[2]),
            (Filter::size("items.0.tags", 1), &[2]),
        ],
    );
}

#[test]
fn types() {
    let fields = [
        r#"{"a":1}"#,
        r#"{"a":1.5}"#,
        r#"{"a":"1"}"#,
        r#"{"a":null}"#,
        r#"{}"#,
        r#"{"a":[1]}"#,
        r#"{"a":18446744073709551617}"#,
    ];
    use ValueType::{Array, Decimal, Int, Null, Number, String};
    check(
        &fields,
        &[
            (Filter::is_type("a", [Int]), &[0]),
            (Filter::is_type("a", [Number]), &[0, 1, 6]),
            (Filter::is_type("a", [Decimal, String]), &[2, 6]),
            // An absent field is of no type.
            (Filter::is_type("a", [Null]), &[3]),
            (Filter::is_type("a", [Array]), &[5]),
            (
                Filter::is_type("_created_at", [ValueType::Time]),
                &[0, 1, 2, 3, 4, 5, 6],
            ),
            (Filter::is_type("a", []), &[]),
        ],
    );
    for (kind, name) in VALUE_TYPES {
        assert_eq!(
            (kind.name(), ValueType::from_name(name)),
            (name, Some(kind))
        );
    }
}

#[cfg(feature = "full-text")]
#[test]
fn words_in_texts() {
    use velocitydb_engine::text::{Language, Require};
    let text = |words| Filter::text("a", words, Language::English);
    let any = Text::new("dogs cats", Language::English, Require::Any).unwrap();
    let fields = [
        r#"{"a":"The quick brown fox jumps over the lazy dog"}"#,
        r#"{"a":["A quick answer", "foxes are brown", 7, ["dog"]]}"#,
        r#"{"a":{"b":"fox"}}"#,
        r#"{"a":null}"#,
        r#"{"b":"fox"}"#,
        r#"{"a":""}"#,
        r#"{"a":[]}"#,
    ];
    check(
        &fields,
        &[
            (text("fox"), &[0, 1]),
            (text("QUICK Foxes"), &[0, 1]),
            (text("jumping dogs"), &[0]),
            (text("cat OR answers"), &[1]),
            (text("\"brown fox\""), &[0]),
            // A phrase stands in one of the strings of an array, words may stand in several.
            (text("\"answer foxes\""), &[]),
            (text("answer foxes"), &[1]),
            (text("bro* -dog"), &[1]),
            (text("qick~ fox"), &[0, 1]),
            (text("the"), &[]),
            (!text("fox"), &[2, 3, 4, 5, 6]),
            (text("lazy").or(text("answer")), &[0, 1]),
            (Filter::text("a", "foxes", Language::Simple), &[1]),
            (Filter::text("a.b", "fox", Language::Simple), &[2]),
            (Filter::text("a.1", "brown", Language::Simple), &[1]),
            (Filter::Text(Path::field("a"), any), &[0]),
            (
                Filter::elem_match("a", Filter::text(ELEMENT, "quick", Language::Simple)),
                &[1],
            ),
        ],
    );
    let many = Filter::And(vec![text("fox"); TEXTS_MAX + 1]);
    assert_eq!(many.check(), Err(QueryError::TooManyTexts));
    assert!(text("\"open").check().is_err());
}

#[test]
fn regular_expressions() {
    let fields = [
        r#"{"a":"Waiting"}"#,
        r#"{"a":"it is waiting\nhere"}"#,
        r#"{"a":["waiting"]}"#,
        r#"{"a":"ÄRGER"}"#,
        r#"{"a":7}"#,
    ];
    check(
        &fields,
        &[
            (Filter::regex("a", "wait"), &[1]),
            (Filter::regex("a", "^W.*g$"), &[0]),
            (Filter::regex_with("a", "^WAIT", "i"), &[0]),
            (Filter::regex_with("a", "^here", "m"), &[1]),
            (Filter::regex_with("a", "g.h", "s"), &[1]),
            (Filter::regex_with("a", "^ärger$", "i"), &[3]),
            (Filter::regex_with("a", "wai t # a comment", "x"), &[1]),
            (Filter::regex("a", ""), &[0, 1, 3]),
            (!Filter::regex("a", ""), &[2, 4]),
        ],
    );
    assert_eq!(
        Filter::regex_with("a", "x", "mi"),
        Filter::regex_with("a", "x", "imi")
    );
    assert_ne!(Filter::regex_with("a", "x", "i"), Filter::regex("a", "x"));
}

#[test]
fn regular_expressions_are_bounded() {
    let said = |filter: Filter| filter.check().unwrap_err().to_string();
    assert_eq!(
        said(Filter::regex("a", "(")),
        r#"the regular expression "(": unclosed group"#
    );
    assert_eq!(
        said(Filter::regex_with("a", "x", "iq")),
        "unknown option 'q' of a regular expression: there are i, m, s and x"
    );
    let long = "x".repeat(REGEX_BYTES_MAX + 1);
    assert_eq!(
        Filter::regex("a", &long).check(),
        Err(QueryError::RegexTooLong { bytes: long.len() })
    );
    let large = Filter::regex("a", r"(\w{100}){100}").check().unwrap_err();
    assert_eq!(large.class(), velocitydb_types::ErrorClass::Limit);
    let many = |count| Filter::Or(vec![Filter::regex("a", "x"); count]);
    assert_eq!(many(REGEXES_MAX).check(), Ok(()));
    assert_eq!(
        many(REGEXES_MAX + 1).check(),
        Err(QueryError::TooManyRegexes)
    );
    // A pattern that makes other engines try every way: time is linear here.
    let hostile = documents(&[&format!(r#"{{"a":"{}"}}"#, "a".repeat(100_000))]).swap_remove(0);
    assert!(!Filter::regex("a", "^(a+)+$b").matches(&hostile));
}

#[test]
fn values_take_the_types_that_fields_are_declared_with() {
    use velocitydb_types::FieldType;
    let type_of = |path: &Path| match path.first() {
        "at" => Some(FieldType::Time),
        "price" => Some(FieldType::Decimal),
        "place" => Some(FieldType::Point),
        _ => None,
    };
    let typed = |text: &str| Filter::from_json(text).unwrap().typed(&type_of);
    for (given, expected) in [
        (
            r#"{"at":"1970-01-01T00:00:00Z"}"#,
            Filter::eq("at", Timestamp(0)),
        ),
        (r#"{"at":{"$gt":"noon"}}"#, Filter::gt("at", "noon")),
        (
            r#"{"name":"1970-01-01T00:00:00Z"}"#,
            Filter::eq("name", "1970-01-01T00:00:00Z"),
        ),
        (
            r#"{"$nor":[{"_created_at":{"$lt":"1970-01-01T00:00:00.000001Z"}}]}"#,
            !Filter::Or(vec![Filter::lt("_created_at", Timestamp(1))]),
        ),
        (
            r#"{"price":{"$in":["1.50",2,null]}}"#,
            Filter::is_in(
                "price",
                [
                    Value::Decimal("1.5".parse().unwrap()),
                    2.into(),
                    Value::Null,
                ],
            ),
        ),
        (
            r#"{"place":{"type":"Point","coordinates":[22.5,65]}}"#,
            Filter::eq("place", velocitydb_types::Point::new(22.5, 65.0).unwrap()),
        ),
    ] {
        assert_eq!(typed(given), expected, "{given}");
    }
    let pipeline = r#"[{"$sort":{"at":1}},{"$match":{"at":"1970-01-01T00:00:00Z"}},
        {"$project":{"at":"$name"}},{"$match":{"at":"1970-01-01T00:00:00Z"}}]"#;
    let typed = crate::Pipeline::from_json(pipeline)
        .unwrap()
        .typed(&type_of);
    let matches: Vec<_> = typed
        .stages
        .iter()
        .filter_map(|stage| match stage {
            crate::Stage::Match(filter) => Some(filter.clone()),
            _ => None,
        })
        .collect();
    // What a stage has made has no declared type.
    assert_eq!(
        matches,
        [
            Filter::eq("at", Timestamp(0)),
            Filter::eq("at", "1970-01-01T00:00:00Z")
        ]
    );
}
