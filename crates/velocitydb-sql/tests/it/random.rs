//! Every function of the table, called with arguments that nobody expects: it answers or refuses.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use velocitydb_query::{Expression, Zone};
use velocitydb_sql::formats::Settings;
use velocitydb_sql::functions::{Kind, Row, resolve, rows};
use velocitydb_types::{
    Date, Decimal, Interval, Point, ScalarType, SqlType, Timestamp, Uuid, Value,
};

fn int(bits: u32) -> BoxedStrategy<i64> {
    let (least, most) = (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits));
    let near = select(vec![least, least + 1, -1, 0, 1, 2, 3, 60, most - 1, most]);
    prop_oneof![3 => near, 1 => -40..40_i64, 1 => least..=most].boxed()
}

fn text() -> BoxedStrategy<String> {
    let known = select(vec![
        "",
        "a",
        "abc",
        "%",
        "_",
        "\\",
        "a%b",
        "(",
        "(a)(b)?",
        "[",
        "x*",
        "\\1",
        "hex",
        "base64",
        "escape",
        "UTC",
        "Europe/Berlin",
        "+3",
        "EST",
        "YYYY-MM-DD",
        "2024-02-30",
        "DDD Day month TZH:TZM OF",
        "FM9,999.99PR",
        "S99",
        "9",
        "century",
        "week",
        "month",
        "microseconds",
        "epoch",
        "julian",
        "%s %I %L",
        "%1$s %-5s %*s",
        "g",
        "gi",
        "é",
        "日本",
        "{}",
        ",",
        "1",
        "-1",
        "a,b",
        "YYYYMMDDHH24MISSUS",
        "J",
        "IYYY-IW-ID",
        "20240101",
        "999999999999999999999",
        "%2147483647s",
        "%70000s",
        "UTF8",
    ]);
    // Where a count is kept in 16 bits.
    let long = select(vec!["9", "0", "x", " ", "%", "(", "Y", "\\", "9.", "a,"]);
    let long = long.prop_map(|part| part.repeat(70_000));
    prop_oneof![60 => known.prop_map(str::to_owned), 1 => long, 20 => ".{0,12}", 20 => "[%_a\\\\.*()\\[\\]{}0-9,]{0,10}"].boxed()
}

fn json() -> BoxedStrategy<Value> {
    let texts = select(vec![
        "1",
        "1.5",
        "true",
        "\"x\"",
        "{}",
        "[]",
        "{\"a\":1}",
        "{\"a\":{\"b\":[1,null]}}",
        "[1,[2],{\"a\":null}]",
        "[null]",
        "-0.0",
        "12345678901234567890",
    ]);
    texts
        .prop_map(|text| Value::from_json(text).unwrap())
        .boxed()
}

fn scalar(scalar: ScalarType) -> BoxedStrategy<Value> {
    use ScalarType as T;
    match scalar {
        T::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        T::Int2 => int(16).prop_map(Value::Int).boxed(),
        T::Int4 => int(32).prop_map(Value::Int).boxed(),
        T::Int8 => int(64).prop_map(Value::Int).boxed(),
        T::Float4 => any::<f32>().prop_map(Value::from).boxed(),
        T::Float8 => {
            let known = select(vec![
                0.0,
                -0.0,
                1.0,
                -1.5,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MAX,
                5e-324,
                1e18,
            ]);
            prop_oneof![known, any::<f64>()]
                .prop_map(Value::Float)
                .boxed()
        }
        T::Numeric(_) => {
            let known = select(vec![
                "0",
                "1",
                "-1",
                "0.5",
                "2.5",
                "1e1000",
                "1e-1000",
                "-1e999",
                "123456789.123456789",
                "1e20",
                "99999999999999999999.9",
            ]);
            let known = known.prop_map(|text| text.parse::<Decimal>().unwrap());
            prop_oneof![known, int(64).prop_map(Decimal::from)]
                .prop_map(Value::Decimal)
                .boxed()
        }
        T::Text | T::Varchar(_) | T::Char(_) => text().prop_map(Value::String).boxed(),
        T::Bytea => proptest::collection::vec(any::<u8>(), 0..6)
            .prop_map(Value::Bytes)
            .boxed(),
        T::Date => int(32)
            .prop_map(|days| Value::Date(Date(days as i32)))
            .boxed(),
        T::Timestamp | T::Timestamptz => {
            prop_oneof![int(64), -1_000_000_000_000_000..2_000_000_000_000_000_i64]
                .prop_map(|micros| Value::Time(Timestamp(micros)))
                .boxed()
        }
        T::Interval => (int(32), int(32), int(64))
            .prop_map(|(months, days, micros)| {
                Interval::new(months as i32, days as i32, micros).into()
            })
            .boxed(),
        T::Uuid => any::<u128>()
            .prop_map(|bits| Value::Uuid(Uuid::from_u128(bits)))
            .boxed(),
        T::Json | T::Jsonb => json(),
        T::Point => Just(Value::Point(Point::new(1.0, 2.0).unwrap())).boxed(),
    }
}

fn value(sql: SqlType) -> BoxedStrategy<Value> {
    let value = match sql {
        SqlType::Scalar(of) => scalar(of),
        SqlType::Array(of) => {
            let element = prop_oneof![4 => scalar(of), 1 => Just(Value::Null)];
            proptest::collection::vec(element, 0..4)
                .prop_map(Value::Array)
                .boxed()
        }
    };
    prop_oneof![8 => value, 1 => Just(Value::Null)].boxed()
}

/// A row, and the types of arguments that it takes.
fn call() -> BoxedStrategy<(&'static Row, Vec<SqlType>)> {
    let of = select(vec![
        ScalarType::Int4,
        ScalarType::Text,
        ScalarType::Numeric(None),
        ScalarType::Timestamptz,
        ScalarType::Jsonb,
        ScalarType::Bool,
        ScalarType::Char(70_000),
        ScalarType::Float8,
    ]);
    (select(rows().to_vec()), of, 0..3_usize)
        .prop_map(|(row, of, more)| {
            let sql_type = |kind: &Kind| match kind {
                Kind::Is(scalar) => SqlType::Scalar(*scalar),
                Kind::ArrayOf(element) => SqlType::Array(*element),
                Kind::Array | Kind::CommonArray => SqlType::Array(of),
                Kind::Any | Kind::Element | Kind::Common | Kind::NonArray => SqlType::Scalar(of),
            };
            let mut types: Vec<_> = row.arguments.iter().map(sql_type).collect();
            if let (true, Some(last)) = (row.variadic, types.last().copied()) {
                types.extend(vec![last; more]);
            }
            (row, types)
        })
        .boxed()
}

fn called() -> BoxedStrategy<(&'static Row, Vec<SqlType>, Vec<Value>)> {
    call()
        .prop_flat_map(|(row, types)| {
            let values: Vec<_> = types.iter().map(|sql| value(*sql)).collect();
            (Just(row), Just(types), values)
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_function_answers_or_refuses((row, types, values) in called()) {
        let settings = Arc::new(Settings {
            zone: Zone::named("America/New_York").unwrap(),
            ..Settings::new(Timestamp(0))
        });
        let given: Vec<_> = types.iter().copied().map(Some).collect();
        let Ok(resolved) = resolve(row.name, &given, &settings) else {
            return Ok(());
        };
        let arguments = values.into_iter().map(Expression::Literal);
        if let Ok(value) = Expression::apply(resolved.function, arguments).constant()
            && !value.is_null()
        {
            let mut out = Vec::new();
            let shown = velocitydb_sql::formats::write_text(&value, resolved.result, &settings, &mut out);
            // Times of the years that only local clocks do not reach have no text.
            let is_time = format!("{}", resolved.result).starts_with("timestamp");
            prop_assert!(shown.is_ok() || is_time, "{}: {value:?} is no {}", row.name, resolved.result);
        }
    }
}
