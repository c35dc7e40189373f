//! What PostgreSQL 15 itself said of more than a thousand texts (`golden.tsv`, made by
//! `golden.sql`), and laws over random values.

use std::collections::BTreeSet;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use velocitydb_query::Zone;
use velocitydb_types::{
    Date, Decimal, Interval, Point, RawValue, SCALAR_TYPES, ScalarType, SqlType, Timestamp, Uuid,
    Value, encode_value,
};

use super::*;

/// Type, text and our answer, where it is not PostgreSQL's, and by design.
#[rustfmt::skip]
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("date", "2026-11-30 infinity", "0A000 infinite dates are not supported"),
    ("timestamp with time zone", "294277-01-01", LATE),
    ("interval", "P1", P1),
    ("jsonb", "1e2", "100.0"),
    ("jsonb", "1.50", "1.5"),
    ("jsonb", "{\"a\":1,\"a\":2}", TWICE),
    ("jsonb", "-0.0", "-0.0"),
    ("point", "(181,0)", EAST),
    ("point", "(0,91)", NORTH),
    ("integer[]", "{{1,2},{3,4}}", ONE_DIMENSION),
    ("integer[]", "[2:3]={1,2}", FROM_ONE),
    ("text[]", "{{a}}", ONE_DIMENSION),
];

const ONE_DIMENSION: &str = "0A000 arrays of more than one dimension are not supported";
const FROM_ONE: &str = "0A000 bounds of arrays are not supported: an array begins at 1";
const TWICE: &str = "22P02 invalid input syntax for type json";
const LATE: &str = "22008 timestamp out of range: \"294277-01-01\"";
const P1: &str = "22007 invalid input syntax for type interval: \"P1\"";
const EAST: &str = "22003 point (181,0) is out of range: no such point: longitude 181 (within ±180), latitude 0 (within ±90)";
const NORTH: &str = "22003 point (0,91) is out of range: no such point: longitude 0 (within ±180), latitude 91 (within ±90)";

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some(other) => other,
                None => panic!("{text}"),
            },
            c => c,
        });
    }
    plain
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_zone(zone: &str) -> Settings {
    Settings {
        zone: Zone::named(zone).unwrap(),
        ..Settings::new(Timestamp(0))
    }
}

/// The text and the bytes of what a text is read as, or the error.
fn answer(text: &str, sql: SqlType, settings: &Settings) -> (String, Option<String>) {
    let value = match read_text(text, sql, settings) {
        Ok(value) => value,
        Err(error) => return (format!("{} {}", error.code, error.message), None),
    };
    let (mut out, mut bytes) = (Vec::new(), Vec::new());
    write_text(&value, sql, settings, &mut out).unwrap();
    write_binary(&value, sql, &mut bytes).unwrap();
    let back = read_binary(&bytes, sql).unwrap();
    assert_eq!(same(&back), same(&value), "{text} as {sql}, by its bytes");
    (String::from_utf8(out).unwrap(), Some(hex(&bytes)))
}

/// The encoded form: values that are only equal, such as 1 and 1.0, are not the same.
fn same(value: &Value) -> Vec<u8> {
    encode_value(value).unwrap()
}

#[test]
fn texts_and_bytes_are_postgresqls() {
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    for line in include_str!("golden.tsv").lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let [zone, sql, text, expected, bytes] = columns[..] else {
            panic!("{line}")
        };
        let (text, expected) = (unescape(text), unescape(expected));
        let bytes = (bytes != "\\N").then(|| bytes.to_owned());
        let found = answer(&text, sql.parse().unwrap(), &in_zone(zone));
        if found == (expected.clone(), bytes.clone()) {
            continue;
        }
        let differs = |row: &&(&str, &str, &str)| **row == (sql, &text, &found.0);
        match DIFFERENT.iter().find(differs) {
            Some(row) => drop(met.insert(row)),
            None => wrong.push(format!(
                "{zone} {sql} {text:?}\n  expected {expected:?} {bytes:?}\n  found    {:?} {:?}",
                found.0, found.1
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let rest: Vec<_> = DIFFERENT.iter().filter(|row| !met.contains(row)).collect();
    assert!(rest.is_empty(), "no longer different: {rest:?}");
}

#[test]
fn now_and_its_neighbours() {
    let settings = Settings {
        now: "2026-11-30T23:30:00Z".parse::<Timestamp>().unwrap().into(),
        ..in_zone("Europe/Berlin")
    };
    for (sql, text, shown) in [
        ("timestamptz", "now", "2026-12-01 00:30:00+01"),
        ("timestamp", "NOW", "2026-12-01 00:30:00"),
        ("timestamptz", "today", "2026-12-01 00:00:00+01"),
        ("timestamptz", "tomorrow 12:00", "2026-12-02 12:00:00+01"),
        ("date", "yesterday", "2026-11-30"),
        ("date", "now", "2026-12-01"),
    ] {
        assert_eq!(
            answer(text, sql.parse().unwrap(), &settings).0,
            shown,
            "{text}"
        );
    }
}

#[test]
fn the_order_of_dates_is_a_setting() {
    let read = |order, text| {
        let settings = Settings {
            date_order: order,
            ..in_zone("UTC")
        };
        answer(text, ScalarType::Date.into(), &settings).0
    };
    assert_eq!(read(DateOrder::Mdy, "1/2/03"), "2003-01-02");
    assert_eq!(read(DateOrder::Dmy, "1/2/03"), "2003-02-01");
    assert_eq!(read(DateOrder::Ymd, "1/2/03"), "2001-02-03");
    let iso = Settings {
        interval_style: IntervalStyle::Iso8601,
        ..in_zone("UTC")
    };
    assert_eq!(
        answer("1 day 2 hours", ScalarType::Interval.into(), &iso).0,
        "P1DT2H"
    );
}

#[test]
fn wrong_bytes_are_refused() {
    let refused = |sql: &str, bytes: &[u8]| {
        let error = read_binary(bytes, sql.parse().unwrap()).unwrap_err();
        format!("{} {}", error.code, error.message)
    };
    let cut = "08P01 insufficient data left in message";
    let form = "22P03 incorrect binary data format";
    assert_eq!(refused("int4", &[0, 0, 1]), cut);
    assert_eq!(refused("int4", &[0; 5]), form);
    assert_eq!(
        refused("text", b"a\xff"),
        "22021 invalid byte sequence for encoding \"UTF8\": 0xff"
    );
    assert_eq!(
        refused("text", b"a\0"),
        "22021 invalid byte sequence for encoding \"UTF8\": 0x00"
    );
    assert_eq!(refused("numeric", &[0, 1, 0, 0, 0, 0, 0, 0]), cut);
    assert_eq!(
        refused("numeric", &[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10]),
        "22P03 invalid digit in external \"numeric\" value"
    );
    assert_eq!(
        refused("numeric", &[0, 0, 0, 0, 0xc0, 0, 0, 0]),
        "0A000 numeric NaN and infinity are not supported"
    );
    assert_eq!(
        refused("timestamptz", &i64::MAX.to_be_bytes()),
        "0A000 infinite timestamps are not supported"
    );
    let array = [
        0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0x7f, 255, 255, 255, 0, 0, 0, 1,
    ];
    assert_eq!(refused("int4[]", &array), cut);
    assert_eq!(
        refused("int8[]", &array),
        "42804 binary data has array element type 23 (integer) instead of expected 20 (bigint)"
    );
    assert_eq!(
        refused("jsonb", &[2, b'1']),
        "XX000 unsupported jsonb version number 2"
    );
}

/// A value of a type, as it is kept.
fn value_of(scalar: ScalarType) -> BoxedStrategy<Value> {
    // What PostgreSQL has dates and moments for.
    let days = -2_440_588..100_000_000_i32;
    let micros = -210_866_803_200_000_000..=i64::MAX - 1_000_000_000_000;
    match scalar {
        ScalarType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        ScalarType::Int2 => any::<i16>().prop_map(Value::from).boxed(),
        ScalarType::Int4 => any::<i32>().prop_map(Value::from).boxed(),
        ScalarType::Int8 => any::<i64>().prop_map(Value::Int).boxed(),
        ScalarType::Float4 => any::<f32>().prop_map(Value::from).boxed(),
        ScalarType::Float8 => any::<f64>().prop_map(Value::Float).boxed(),
        ScalarType::Numeric(bounds) => (any::<i128>(), -60_i64..60)
            .prop_map(move |(digits, scale)| match bounds {
                None => Decimal::new(digits.into(), scale).unwrap(),
                Some((precision, scale)) => {
                    let below = 10_i128.pow(precision.into());
                    Decimal::new((digits % below).into(), scale.into()).unwrap()
                }
            })
            .prop_map(Value::Decimal)
            .boxed(),
        ScalarType::Text | ScalarType::Varchar(None) => text().prop_map(Value::String).boxed(),
        ScalarType::Varchar(Some(length)) => text()
            .prop_map(move |text| {
                text.chars()
                    .take(length as usize)
                    .collect::<String>()
                    .into()
            })
            .boxed(),
        ScalarType::Char(length) => text()
            .prop_map(move |text| {
                let text: String = text.chars().take(length as usize).collect();
                text.trim_end_matches(' ').into()
            })
            .boxed(),
        ScalarType::Bytea => vec(any::<u8>(), 0..9).prop_map(Value::Bytes).boxed(),
        ScalarType::Date => days.prop_map(|days| Value::Date(Date(days))).boxed(),
        ScalarType::Timestamp | ScalarType::Timestamptz => micros
            .prop_map(|micros| Value::Time(Timestamp(micros)))
            .boxed(),
        ScalarType::Interval => (any::<i32>(), any::<i32>(), any::<i64>())
            .prop_map(|(months, days, micros)| Interval::new(months, days, micros).into())
            .boxed(),
        ScalarType::Uuid => any::<u128>()
            .prop_map(|uuid| Uuid::from_u128(uuid).into())
            .boxed(),
        ScalarType::Json | ScalarType::Jsonb => json().boxed(),
        ScalarType::Point => (-180.0..=180.0, -90.0..=90.0)
            .prop_map(|(lon, lat)| Point::new(lon, lat).unwrap().into())
            .boxed(),
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a{},\"\\\\ ]{0,6}", "[^\0]{0,8}", Just("NULL".to_owned())]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>()
            .prop_filter("finite", |float| float.is_finite())
            .prop_map(Value::Float),
        any::<u64>().prop_map(Value::from),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(text(), inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn typed_value() -> impl Strategy<Value = (SqlType, Value)> {
    let bounded = [
        ScalarType::Numeric(Some((10, 3))),
        ScalarType::Numeric(Some((30, 30))),
        ScalarType::Varchar(Some(3)),
        ScalarType::Char(4),
    ];
    let scalars: Vec<_> = SCALAR_TYPES
        .iter()
        .map(|row| row.scalar)
        .chain(bounded)
        .collect();
    (select(scalars), any::<bool>()).prop_flat_map(|(scalar, is_array)| match is_array {
        false => value_of(scalar)
            .prop_map(move |value| (SqlType::Scalar(scalar), value))
            .boxed(),
        true => vec(
            prop_oneof![3 => value_of(scalar), 1 => Just(Value::Null)],
            0..4,
        )
        .prop_map(move |values| (SqlType::Array(scalar), Value::Array(values)))
        .boxed(),
    })
}

/// A null among the elements of a json array of the outer kind is one of either kind.
fn is_kept(sql: SqlType, value: &Value) -> bool {
    let is_json = matches!(sql, SqlType::Array(ScalarType::Json | ScalarType::Jsonb));
    !(is_json
        && value
            .as_array()
            .is_some_and(|values| values.iter().any(Value::is_null)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(
        (sql, value) in typed_value(),
        zone in select(&["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"][..]),
    ) {
        prop_assume!(is_kept(sql, &value));
        let settings = in_zone(zone);
        let (mut text, mut bytes, mut raw_text) = (Vec::new(), Vec::new(), Vec::new());
        write_text(&value, sql, &settings, &mut text).unwrap();
        write_binary(&value, sql, &mut bytes).unwrap();
        let encoded = same(&value);
        write_text(RawValue::trusted(&encoded), sql, &settings, &mut raw_text).unwrap();
        prop_assert_eq!(&raw_text, &text);
        let text = String::from_utf8(text).unwrap();
        let read = read_binary(&bytes, sql).unwrap();
        prop_assert_eq!(same(&read), encoded.clone(), "{} by bytes", sql);
        // What clocks show twice is the later.
        let is_ambiguous = sql.to_string().starts_with("timestamp with") && zone != "UTC";
        let read = read_text(&text, sql, &settings).unwrap();
        if !is_ambiguous {
            prop_assert_eq!(same(&read), encoded, "{} by {:?}", sql, text);
        } else {
            prop_assert_eq!(read, value, "{} by {:?}", sql, text);
        }
    }

    #[test]
    fn no_text_and_no_bytes_cause_a_panic(
        text in "[-+0-9a-zA-Z:./ {}\",\\\\ä]{0,20}",
        bytes in vec(any::<u8>(), 0..40),
    ) {
        let settings = in_zone("Europe/Berlin");
        for row in SCALAR_TYPES {
            for sql in [SqlType::Scalar(row.scalar), SqlType::Array(row.scalar)] {
                let _ = read_text(&text, sql, &settings);
                let _ = read_binary(&bytes, sql);
            }
        }
    }
}
