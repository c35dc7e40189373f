//! What JSON means, and what is said of JSON that means nothing, as tables.

use std::str::FromStr;

use velocitydb_types::{Date, ErrorClass, Point, Timestamp, Uuid};

use super::*;
use crate::filter::{ELEMENT, ValueType};
use crate::find::Hint;
use crate::projection::Projection;
use crate::sort::{Direction, Nulls};

#[track_caller]
fn check_filter(text: &str, expected: &Filter) {
    assert_eq!(Filter::from_json(text).as_ref(), Ok(expected), "{text}");
    let written = expected.to_string();
    assert_eq!(
        Filter::from_json(&written).as_ref(),
        Ok(expected),
        "{written}"
    );
}

#[track_caller]
fn check_errors<T: std::fmt::Debug>(
    read: impl Fn(&str) -> Result<T, QueryError>,
    table: &[(&str, &str)],
) {
    for (text, expected) in table {
        let error = read(text).expect_err(text);
        assert_eq!(error.to_string(), *expected, "{text}");
    }
}

#[test]
fn every_operator() {
    for (text, expected) in [
        ("{}", Filter::All),
        (r#"{"a":1}"#, Filter::eq("a", 1)),
        (r#"{"a":null}"#, Filter::is_null("a")),
        (r#"{"a.b":"x"}"#, Filter::eq("a.b", "x")),
        (r#"{"`a.b`":"x"}"#, Filter::eq("`a.b`", "x")),
        (r#"{"`$a`":1}"#, Filter::eq("`$a`", 1)),
        (r#"{"a":{"$eq":1}}"#, Filter::eq("a", 1)),
        (r#"{"a":{"$ne":1}}"#, Filter::ne("a", 1)),
        (r#"{"a":{"$gt":1}}"#, Filter::gt("a", 1)),
        (r#"{"a":{"$gte":1.5}}"#, Filter::ge("a", 1.5)),
        (r#"{"a":{"$lt":"x"}}"#, Filter::lt("a", "x")),
        (r#"{"a":{"$lte":true}}"#, Filter::le("a", true)),
        (r#"{"a":{"$in":[2,1]}}"#, Filter::is_in("a", [1, 2])),
        (r#"{"a":{"$nin":[2,1]}}"#, !Filter::is_in("a", [1, 2])),
        (r#"{"a":{"$exists":true}}"#, Filter::exists("a")),
        (r#"{"a":{"$exists":false}}"#, !Filter::exists("a")),
        (
            r#"{"a":{"$type":"int"}}"#,
            Filter::is_type("a", [ValueType::Int]),
        ),
        (
            r#"{"a":{"$type":["number","null"]}}"#,
            Filter::is_type("a", [ValueType::Number, ValueType::Null]),
        ),
        (r#"{"a":{"$size":2}}"#, Filter::size("a", 2)),
        (
            r#"{"a":{"$all":["x","y"]}}"#,
            Filter::contains_all("a", ["x", "y"]),
        ),
        (r#"{"a":{"$contains":"x"}}"#, Filter::contains("a", "x")),
        (r#"{"a":{"$prefix":"x"}}"#, Filter::prefix("a", "x")),
        (r#"{"a":{"$regex":"^x"}}"#, Filter::regex("a", "^x")),
        (
            r#"{"a":{"$regex":"^x","$options":"i"}}"#,
            Filter::regex_with("a", "^x", "i"),
        ),
        (r#"{"a":{"$not":{"$gt":1}}}"#, !Filter::gt("a", 1)),
        (r#"{"$not":{"a":1}}"#, !Filter::eq("a", 1)),
        (
            r#"{"$nor":[{"a":1},{"b":1}]}"#,
            !Filter::eq("a", 1).or(Filter::eq("b", 1)),
        ),
        (
            r#"{"$or":[{"a":1},{"b":1}]}"#,
            Filter::eq("a", 1).or(Filter::eq("b", 1)),
        ),
        (
            r#"{"$and":[{"a":1},{"a":2}]}"#,
            Filter::eq("a", 1).and(Filter::eq("a", 2)),
        ),
        (
            r#"{"b":1,"a":{"$gt":1,"$lt":5},"$or":[]}"#,
            Filter::And(vec![
                Filter::eq("b", 1),
                Filter::gt("a", 1),
                Filter::lt("a", 5),
                Filter::Or(vec![]),
            ]),
        ),
        (
            r#"{"a":{"$elemMatch":{"$gte":80,"$lt":90}}}"#,
            Filter::elem_match("a", Filter::ge(ELEMENT, 80).and(Filter::lt(ELEMENT, 90))),
        ),
        (
            r#"{"a":{"$elemMatch":{"sku":"x","n":{"$gt":2}}}}"#,
            Filter::elem_match("a", Filter::eq("sku", "x").and(Filter::gt("n", 2))),
        ),
        (
            r#"{"a":{"$elemMatch":{"$or":[{"$gt":9},{"$not":{"$gt":1}}]}}}"#,
            Filter::elem_match("a", Filter::gt(ELEMENT, 9).or(!Filter::gt(ELEMENT, 1))),
        ),
        (
            r#"{"a":{"$elemMatch":{"$elemMatch":{"$eq":{"b":1}}}}}"#,
            Filter::elem_match(
                "a",
                Filter::elem_match(
                    ELEMENT,
                    Filter::eq(ELEMENT, Value::from_json(r#"{"b":1}"#).unwrap()),
                ),
            ),
        ),
    ] {
        check_filter(text, &expected);
    }
}

#[test]
fn areas() {
    let point = |lon: f64, lat: f64| Point::new(lon, lat).unwrap();
    let square = || {
        vec![
            point(0.0, 0.0),
            point(9.0, 0.0),
            point(9.0, 9.0),
            point(0.0, 9.0),
        ]
    };
    let hole = || vec![point(1.0, 1.0), point(2.0, 1.0), point(2.0, 2.0)];
    for (text, expected) in [
        (
            r#"{"at":{"$withinRadius":{"center":[22.15,65.58],"radius":5000}}}"#,
            Filter::within_radius("at", point(22.15, 65.58), 5000.0),
        ),
        (
            r#"{"at":{"$withinBox":[[170,-10],[-170,10]]}}"#,
            Filter::within_box("at", point(170.0, -10.0), point(-170.0, 10.0)),
        ),
        (
            r#"{"at":{"$withinPolygon":[[0,0],[9,0],[9,9],[0,9],[0,0]]}}"#,
            Filter::within_polygon("at", vec![square()]),
        ),
        (
            r#"{"at":{"$withinPolygon":[[[0,0],[9,0],[9,9],[0,9]],[[1,1],[2,1],[2,2]]]}}"#,
            Filter::within_polygon("at", vec![square(), hole()]),
        ),
    ] {
        check_filter(text, &expected);
    }
    check_errors(
        Filter::from_json,
        &[
            (
                r#"{"at":{"$withinRadius":{"center":[22.15,95],"radius":5}}}"#,
                "filter.at.$withinRadius.center: expected [longitude, latitude], found [22.15,95]",
            ),
            (
                r#"{"at":{"$withinRadius":{"center":[22.15,65]}}}"#,
                "filter.at.$withinRadius: radius is missing",
            ),
            (
                r#"{"at":{"$withinRadius":{"center":[22.15,65],"radius":-1}}}"#,
                "filter.at.$withinRadius: a radius is in metres, 0 or more: -1",
            ),
            (
                r#"{"at":{"$withinBox":[[0,0]]}}"#,
                "filter.at.$withinBox: expected [south-west corner, north-east corner]",
            ),
            (
                r#"{"at":{"$withinPolygon":[[0,0],[9,0]]}}"#,
                "filter.at.$withinPolygon: ring 0 has fewer than 3 different corners (ring 0 is the \
             outer one)",
            ),
        ],
    );
}

#[cfg(feature = "full-text")]
#[test]
fn words_in_texts() {
    use velocitydb_engine::text::{Language, Require};

    use crate::filter::Text;
    let text = |words, language, require| {
        let text = Text::new(words, language, require).unwrap();
        Filter::Text("a".parse().unwrap(), text)
    };
    let any = |words, language| text(words, language, Require::Any);
    for (json, expected) in [
        (
            r#"{"a":{"$text":"red \"apple pie\" -sour"}}"#,
            Filter::text("a", "red \"apple pie\" -sour", Language::Simple),
        ),
        (
            r#"{"a":{"$text":{"$search":"red apples","$language":"english"}}}"#,
            Filter::text("a", "red apples", Language::English),
        ),
        (
            r#"{"a":{"$text":{"$search":"rot","$language":"german","$require":"any"}}}"#,
            any("rot", Language::German),
        ),
        (
            r#"{"a":{"$elemMatch":{"$text":"red"}}}"#,
            Filter::elem_match("a", Filter::text(ELEMENT, "red", Language::Simple)),
        ),
    ] {
        check_filter(json, &expected);
    }
    let long = format!(r#"{{"a":{{"$text":"{}"}}}}"#, "word ".repeat(1000));
    check_errors(
        Filter::from_json,
        &[
            (
                r#"{"$text":{"$search":"red"}}"#,
                r#"filter.$text: $text asks something of a field: {"field":{"$text":…}}"#,
            ),
            (
                r#"{"a":{"$text":1}}"#,
                "filter.a.$text: expected a string, or an object with $search, found a number",
            ),
            (
                r#"{"a":{"$text":{"$language":"english"}}}"#,
                "filter.a.$text: $search is missing: the words to look for",
            ),
            (
                r#"{"a":{"$text":{"$search":"red","$langage":"english"}}}"#,
                "filter.a.$text: unknown member $langage; did you mean $language?",
            ),
            (
                r#"{"a":{"$text":{"$search":"red","$require":"some"}}}"#,
                "filter.a.$text.$require: unknown word some; there are all, any",
            ),
            (
                r#"{"a":{"$text":"\"open"}}"#,
                "filter.a.$text: a phrase ends with a second `\"` (character 1)",
            ),
            (
                r#"{"a":{"$text":{"$search":"red","$language":"klingon"}}}"#,
                "filter.a.$text: no language `klingon`; there are simple, english, german, french, \
                 spanish, italian, portuguese, dutch, swedish, danish, norwegian, finnish, \
                 hungarian, romanian, russian, turkish",
            ),
            (
                &long,
                "filter.a.$text: a query has at most 4096 bytes (character 4097)",
            ),
        ],
    );
    assert_eq!(
        Filter::from_json(&long).unwrap_err().class(),
        ErrorClass::Limit
    );
}

/// Without full-text search the condition is known, and refused by name.
#[cfg(not(feature = "full-text"))]
#[test]
fn words_in_texts() {
    let error = Filter::from_json(r#"{"a":{"$text":"red"}}"#).unwrap_err();
    assert!(
        error.to_string().contains("$text needs full-text search"),
        "{error}"
    );
}

#[test]
fn values_of_every_type() {
    let map = |text: &str| Value::from_json(text).unwrap();
    for (text, expected) in [
        (
            r#"{"$time":"2013-01-01T05:00:00Z"}"#,
            Timestamp(1_357_016_400_000_000).into(),
        ),
        (r#"{"$date":"1970-01-02"}"#, Date(1).into()),
        (
            r#"{"$decimal":"1.5"}"#,
            velocitydb_types::Decimal::from_str("1.5").unwrap().into(),
        ),
        (
            r#"{"$decimal":2}"#,
            velocitydb_types::Decimal::from(2).into(),
        ),
        (
            r#"{"$uuid":"00000000-0000-0000-0000-000000000000"}"#,
            Uuid::nil().into(),
        ),
        (r#"{"$bytes":"AP8="}"#, vec![0_u8, 255].into()),
        (
            r#"{"$point":[-73.5,40]}"#,
            Point::new(-73.5, 40.0).unwrap().into(),
        ),
        (r#"{"$float":"NaN"}"#, f64::NAN.into()),
        (r#"{"$map":{"$time":"x"}}"#, map(r#"{"$time":"x"}"#)),
        (r#"{"x":[1,{"$date":"1970-01-02"}]}"#, {
            let elements = vec![1.into(), Date(1).into()];
            Value::Map([("x".to_owned(), Value::Array(elements))].into())
        }),
        ("{}", map("{}")),
        ("-9223372036854775808", i64::MIN.into()),
    ] {
        let filter = format!(r#"{{"a":{text}}}"#);
        let read = Filter::from_json(&filter).unwrap();
        let Filter::Eq(_, value) = &read else {
            panic!("{text}: {read:?}")
        };
        assert_eq!(
            (value.type_name(), value),
            (expected.type_name(), &expected),
            "{text}"
        );
        check_filter(&filter, &read);
        let text = Json::from_value(&expected).to_string();
        assert_eq!(Json::parse(&text).unwrap().to_value(), Ok(expected));
    }
}

#[test]
fn what_is_no_filter_is_told_with_its_place() {
    check_errors(
        Filter::from_json,
        &[
            (
                r#"{"priority":{"$gtt":3}}"#,
                "filter.priority.$gtt: unknown operator $gtt; did you mean $gt?",
            ),
            (
                r#"{"$or":[{"a":1},{"b":{"$foo":1}}]}"#,
                "filter.$or[1].b.$foo: unknown operator $foo; there are $eq, $ne, $gt, $gte, $lt, \
             $lte, $in, $nin, $exists, $type, $size, $all, $elemMatch, $regex, $options, $prefix, \
             $contains, $not, $withinRadius, $withinBox, $withinPolygon, $text",
            ),
            (
                r#"{"$xor":[]}"#,
                "filter.$xor: unknown operator $xor; did you mean $or?",
            ),
            (
                r#"{"$gt":3}"#,
                "filter.$gt: $gt asks something of a field: {\"field\":{\"$gt\":…}}",
            ),
            ("[]", "filter: expected an object, found an array"),
            (
                r#"{"$and":{}}"#,
                "filter.$and: expected an array, found an object",
            ),
            (
                r#"{"a":{"$in":3}}"#,
                "filter.a.$in: expected an array, found a number",
            ),
            (
                r#"{"a":{"$exists":1}}"#,
                "filter.a.$exists: expected true or false, found a number",
            ),
            (
                r#"{"a":{"$size":-1}}"#,
                "filter.a.$size: expected a whole number from 0 on, found -1",
            ),
            (
                r#"{"a":{"$type":"strin"}}"#,
                "filter.a.$type: unknown type strin; did you mean string?",
            ),
            (
                r#"{"a":{"$regex":"("}}"#,
                "filter.a.$regex: the regular expression \"(\": unclosed group",
            ),
            (
                r#"{"a":{"$options":"i"}}"#,
                "filter.a.$options: $options stands beside a $regex",
            ),
            (
                r#"{"a":{"$gt":1,"b":2}}"#,
                "filter.a: operators and names are mixed: write operators alone, or {\"$eq\":{…}} for \
             a map of these names",
            ),
            (
                r#"{"a":{"$gt":{"$time":"noon"}}}"#,
                "filter.a.$gt.$time: expected string such as \"2026-11-30T12:00:00Z\", found \"noon\"",
            ),
            (
                r#"{"a":{"$in":[{"$tim":1}]}}"#,
                "filter.a.$in[0].$tim: unknown type $tim; did you mean $time?",
            ),
            (
                r#"{"a..b":1}"#,
                "filter: \"a..b\" is no path: path has an empty segment (quote it as `` if it is meant)",
            ),
            (
                "{",
                "not JSON: EOF while parsing an object at line 1 column 1",
            ),
            (
                r#"{"a":1,"a":2}"#,
                "not JSON: \"a\" appears twice at line 1 column 10",
            ),
            (
                r#"{"a":9223372036854775808}"#,
                "not JSON: the integer 9223372036854775808 is beyond 64 bits: write \
             {\"$decimal\":\"9223372036854775808\"}",
            ),
        ],
    );
    assert!(Filter::from_json(r#"{"a":"9223372036854775808","b":9223372036854775807}"#).is_ok());
}

#[test]
fn deep_and_large_texts_are_clear_errors() {
    for (open, close) in [
        (r#"{"$and":["#, "]}"),
        (r#"{"$not":"#, "}"),
        (r#"{"a":{"$elemMatch":"#, "}}"),
        (r#"{"a":{"$not":"#, "}}"),
        (r#"{"a":{"$eq":["#, "]}}"),
        (r#"{"a":["#, "]}"),
    ] {
        for depth in [100, 10_000, 100_000] {
            let text = format!("{}{{}}{}", open.repeat(depth), close.repeat(depth));
            match Filter::from_json(&text) {
                Ok(filter) => assert_eq!((depth, filter.check()), (100, Ok(()))),
                Err(error) => {
                    let deep = error.class() == ErrorClass::Limit || depth == 100;
                    assert!(deep, "{open} {depth}: {error}");
                }
            }
            // Broken as well as deep: the same bound holds.
            assert!(Filter::from_json(&open.repeat(depth)).is_err());
        }
    }
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(JSON_BYTES_MAX));
    assert_eq!(
        Filter::from_json(&large).unwrap_err().class(),
        ErrorClass::Limit
    );
    let regexes = vec![r#"{"a":{"$regex":"x"}}"#; REGEXES_MAX + 1].join(",");
    let many = format!(r#"{{"$or":[{regexes}]}}"#);
    assert_eq!(Filter::from_json(&many), Err(QueryError::TooManyRegexes));
}

#[test]
fn deep_expressions_and_pipelines_are_clear_errors() {
    for (open, close) in [
        ("[", "]"),
        (r#"{"x":"#, "}"),
        (r#"{"$size":"#, "}"),
        (r#"{"$add":[1,"#, "]}"),
        (r#"{"$switch":{"branches":[{"case":true,"then":"#, "}]}}"),
        (r#"{"$literal":["#, "]}"),
    ] {
        for depth in [80, 10_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let stage = format!(r#"[{{"$project":{{"x":{text}}}}}]"#);
            let error = match Pipeline::from_json(&stage) {
                // A literal may be as deep as a document.
                Ok(_) if depth == 80 && open.contains("literal") => continue,
                read => read.unwrap_err(),
            };
            let known = error.class() == ErrorClass::Limit || open.contains("literal");
            assert!(known, "{open} {depth}: {error}");
        }
    }
    let facets = |depth: usize| {
        format!(
            "{}{}",
            r#"[{"$facet":{"a":"#.repeat(depth),
            "}}]".repeat(depth)
        )
    };
    assert!(Pipeline::from_json(&facets(10_000)).is_err());
}

#[test]
fn finds() {
    const ASC: Direction = Direction::Ascending;
    const DESC: Direction = Direction::Descending;
    let find = || Find::new(Filter::eq("a", 1));
    for (text, expected) in [
        ("{}", Find::default()),
        (r#"{"filter":{"a":1}}"#, find()),
        (
            r#"{"filter":{"a":1},"sort":{"b":1,"a":-1}}"#,
            find().sort([("b", ASC), ("a", DESC)]),
        ),
        (
            r#"{"filter":{"a":1},"sort":[["b","asc"],["a","desc"],["b",-1]]}"#,
            find().sort([("b", ASC), ("a", DESC), ("b", DESC)]),
        ),
        (
            r#"{"sort":{"a":1},"nulls":"greatest"}"#,
            Find::default().sort([("a", ASC)]).nulls(Nulls::Greatest),
        ),
        (
            r#"{"filter":{"a":1},"offset":2,"limit":3}"#,
            find().offset(2).limit(3),
        ),
        (
            r#"{"project":["a","b.c"]}"#,
            Find::default().project(["a", "b.c"]),
        ),
        (
            r#"{"project":{"a":1,"b.c":true}}"#,
            Find::default().project(["a", "b.c"]),
        ),
        (
            r#"{"project":{"a":0,"_id":0}}"#,
            Find::default().project_without(["_id", "a"]),
        ),
        (r#"{"project":{"_id":1}}"#, Find::default().project(["_id"])),
        (r#"{"project":{}}"#, Find::default()),
        (r#"{"hint":"scan"}"#, Find::default().hint(Hint::Scan)),
        (
            r#"{"hint":"by_a","after":null}"#,
            Find::default().hint(Hint::Index("by_a".into())),
        ),
        // In the order of ids, where no other is asked for.
        (
            r#"{"after":"00000001000000020102007f"}"#,
            Find::default().page("00000001000000020102007f".parse().ok()),
        ),
    ] {
        assert_eq!(Find::from_json(text).as_ref(), Ok(&expected), "{text}");
        let written = expected.to_string();
        assert_eq!(Find::from_json(&written), Ok(expected), "{written}");
    }
    let find = Find::from_json(r#"{"project":{"a":1,"_id":0}}"#).unwrap();
    assert_eq!(
        find.projection,
        Projection::Include(vec!["a".parse().unwrap()])
    );
    assert_eq!(
        find.to_string(),
        r#"{"filter":{},"project":{"_id":0,"a":1}}"#
    );
}

#[test]
fn a_body_may_have_members_of_its_own() {
    let mut body =
        Json::from_bytes(br#"{"filter":{"a":1},"explain":true,"sort":{"b":1}}"#).unwrap();
    assert_eq!(body.take("explain"), Some(Json::Bool(true)));
    assert_eq!(body.take("explain"), None);
    assert_eq!(Find::from_tree(&body).unwrap().sort.len(), 1);
    let error = Json::from_bytes(b"{\"a\":\xff}").unwrap_err();
    assert_eq!(error.to_string(), "not JSON: no UTF-8 at byte 5");
    let most = Find::default().offset(usize::MAX).limit(usize::MAX);
    let read = Find::from_json(&most.to_string()).unwrap();
    assert_eq!(
        (read.offset, read.limit),
        (i64::MAX as usize, Some(i64::MAX as usize))
    );
}

#[test]
fn what_is_no_find_is_told_with_its_place() {
    check_errors(
        Find::from_json,
        &[
            (
                r#"{"filtr":{}}"#,
                "find: unknown member filtr; did you mean filter?",
            ),
            (
                r#"{"filter":{"a":{"$gtt":1}}}"#,
                "filter.a.$gtt: unknown operator $gtt; did you mean $gt?",
            ),
            (
                r#"{"sort":{"a":2}}"#,
                "sort.a: expected 1 (the smallest first) or -1 (the greatest first), found 2",
            ),
            (
                r#"{"sort":["a"]}"#,
                "sort[0]: expected a pair such as [\"a\",1], found a string",
            ),
            (
                r#"{"limit":1.5}"#,
                "limit: expected a whole number from 0 on, found a number",
            ),
            (
                r#"{"project":{"a":1,"b":0}}"#,
                "project: 1 and 0 are mixed: name what is wanted, or what is not (only _id may be 0 \
             among 1)",
            ),
            (
                r#"{"project":{"a":2}}"#,
                "project.a: expected 1 (wanted) or 0 (not wanted), found 2",
            ),
        ],
    );
}
