//! Each function in a table: an expression over one row, and its value.

use velocitydb_types::Value;

use super::*;
use crate::row::RowRef;

const ROW: &str = r#"{"a":7,"b":-2,"f":2.5,"s":" Käse ","t":"2013-01-31T22:15:30Z","d":"2013-02-03",
    "n":null,"l":[3,1,2],"m":[{"p":1},{"p":2},{"q":3}],"yes":true,"no":false}"#;

fn row() -> crate::Aggregated {
    let Value::Map(mut map) = Value::from_json(ROW).unwrap() else {
        panic!("a map")
    };
    for (name, kind) in [
        ("t", velocitydb_types::FieldType::Time),
        ("d", velocitydb_types::FieldType::Date),
    ] {
        let value = map.remove(name).unwrap();
        map.insert(name.to_owned(), kind.coerce(value));
    }
    map
}

fn evaluate(text: &str) -> Result<Value, QueryError> {
    let expression = Expression::from_json(text)?;
    expression.check(Kind::Rows)?;
    let written = expression.to_string();
    assert_eq!(
        Expression::from_json(&written).as_ref(),
        Ok(&expression),
        "{written}"
    );
    let row = row();
    expression
        .evaluate(RowRef::Map(&row))
        .map(|cell| cell.into_value())
}

/// Values are compared as JSON with their types.
#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        let found = match evaluate(text) {
            Ok(value) => crate::Json::from_value(&value).to_string(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(&found, expected, "{text}");
    }
}

#[test]
fn arithmetic() {
    check(&[
        (r#"{"$add":["$a","$b",1]}"#, "6"),
        (r#"{"$add":["$a","$f"]}"#, "9.5"),
        (
            r#"{"$add":["$a",{"$decimal":"0.1"}]}"#,
            r#"{"$decimal":"7.1"}"#,
        ),
        (r#"{"$add":["$a","$n"]}"#, "null"),
        (r#"{"$add":["$a","$none"]}"#, "null"),
        (
            r#"{"$add":["$a","$s"]}"#,
            "error: $add: expected a number, found string",
        ),
        (
            r#"{"$add":[9223372036854775807,1]}"#,
            "error: $add: integer overflow",
        ),
        (r#"{"$subtract":["$a","$b"]}"#, "9"),
        (r#"{"$multiply":["$a","$b","$f"]}"#, "-35.0"),
        (r#"{"$divide":["$a","$b"]}"#, "-3.5"),
        (r#"{"$divide":[6,3]}"#, "2.0"),
        (
            r#"{"$divide":["$a",0]}"#,
            "error: $divide: division by zero",
        ),
        (r#"{"$mod":["$a","$b"]}"#, "1"),
        (r#"{"$abs":"$b"}"#, "2"),
        (
            r#"{"$abs":[-9223372036854775808]}"#,
            "error: $abs: integer overflow",
        ),
        (r#"{"$ceil":"$f"}"#, "3.0"),
        (r#"{"$floor":{"$decimal":"-1.5"}}"#, r#"{"$decimal":"-2"}"#),
        (r#"{"$round":"$f"}"#, "2.0"),
        (r#"{"$round":[2.675,2]}"#, "2.68"),
        (r#"{"$round":[1250,-2]}"#, "1200"),
        (r#"{"$round":[1251,-2]}"#, "1300"),
        (
            r#"{"$round":[{"$decimal":"0.05"},0]}"#,
            r#"{"$decimal":"0"}"#,
        ),
        (r#"{"$sqrt":[16]}"#, "4.0"),
        (
            r#"{"$sqrt":"$b"}"#,
            "error: $sqrt: a negative number has no root",
        ),
    ]);
}

#[test]
fn comparisons_and_conditions() {
    check(&[
        (r#"{"$eq":["$a",7.0]}"#, "true"),
        (r#"{"$eq":["$n","$none"]}"#, "true"),
        (r#"{"$ne":["$a","7"]}"#, "true"),
        (r#"{"$gt":["$a","$b"]}"#, "true"),
        (r#"{"$gte":["$a",7]}"#, "true"),
        (r#"{"$lt":["$a","x"]}"#, "false"),
        (r#"{"$lte":["$s","x"]}"#, "true"),
        (r#"{"$cmp":["$a","x"]}"#, "-1"),
        (r#"{"$and":["$yes",{"$gt":["$a",1]}]}"#, "true"),
        (r#"{"$and":["$yes","$none"]}"#, "false"),
        (r#"{"$and":["$no","$a"]}"#, "false"),
        (
            r#"{"$and":["$yes","$a"]}"#,
            "error: $and: expected true or false, found int",
        ),
        (r#"{"$or":["$no","$yes","$a"]}"#, "true"),
        (r#"{"$not":"$n"}"#, "true"),
        (r#"{"$cond":["$yes",1,{"$divide":[1,0]}]}"#, "1"),
        (
            r#"{"$cond":{"if":"$no","then":1,"else":"$$ROOT"}}"#,
            &crate::Json::from_value(&Value::Map(row())).to_string(),
        ),
        (r#"{"$ifNull":["$n","$none",5]}"#, "5"),
        (
            r#"{"$switch":{"branches":[{"case":"$no","then":1},{"case":"$yes","then":2}],"default":3}}"#,
            "2",
        ),
        (
            r#"{"$switch":{"branches":[{"case":"$no","then":1}],"default":"x"}}"#,
            r#""x""#,
        ),
        (
            r#"{"$switch":{"branches":[{"case":"$no","then":1}]}}"#,
            "null",
        ),
    ]);
}

#[test]
fn strings() {
    check(&[
        (r#"{"$concat":["<","$s",">"]}"#, r#""< Käse >""#),
        (r#"{"$concat":["<","$n"]}"#, "null"),
        (
            r#"{"$concat":["<","$a"]}"#,
            "error: $concat: expected a string, found int",
        ),
        (r#"{"$toUpper":"$s"}"#, r#"" KÄSE ""#),
        (r#"{"$lower":"$s"}"#, r#"" käse ""#),
        (r#"{"$substr":["$s",1,3]}"#, r#""Käs""#),
        (r#"{"$substr":["$s",-2,9]}"#, r#""e ""#),
        (r#"{"$substr":["$s",9,9]}"#, r#""""#),
        (r#"{"$length":"$s"}"#, "6"),
        (r#"{"$length":"$l"}"#, "3"),
        (r#"{"$split":["a,b,,c",","]}"#, r#"["a","b","","c"]"#),
        (
            r#"{"$split":["a",""]}"#,
            "error: $split: the separator is empty",
        ),
        (r#"{"$trim":"$s"}"#, r#""Käse""#),
        (r#"{"$trim":{"input":"--a-","chars":"-"}}"#, r#""a""#),
        (r#"{"$ltrim":"$s"}"#, r#""Käse ""#),
        (r#"{"$rtrim":"$s"}"#, r#"" Käse""#),
        (r#"{"$replaceAll":["$s","s","SS"]}"#, r#"" KäSSe ""#),
    ]);
}

#[test]
fn times_and_dates() {
    check(&[
        (r#"{"$year":"$t"}"#, "2013"),
        (r#"{"$month":"$d"}"#, "2"),
        (r#"{"$dayOfMonth":"$t"}"#, "31"),
        (r#"{"$isoDayOfWeek":"$t"}"#, "4"),
        (r#"{"$weekday":"$d"}"#, "7"),
        (r#"{"$hour":"$t"}"#, "22"),
        (r#"{"$minute":"$t"}"#, "15"),
        (r#"{"$second":"$t"}"#, "30"),
        (r#"{"$hour":"$d"}"#, "0"),
        (
            r#"{"$year":"$a"}"#,
            "error: $year: expected a time or a date, found int",
        ),
        (
            r#"{"$dateTrunc":["$t","hour"]}"#,
            r#"{"$time":"2013-01-31T22:00:00Z"}"#,
        ),
        (
            r#"{"$dateTrunc":{"date":"$t","unit":"month"}}"#,
            r#"{"$time":"2013-01-01T00:00:00Z"}"#,
        ),
        (
            r#"{"$dateTrunc":["$t","week"]}"#,
            r#"{"$time":"2013-01-28T00:00:00Z"}"#,
        ),
        (
            r#"{"$dateTrunc":["$d","quarter"]}"#,
            r#"{"$date":"2013-01-01"}"#,
        ),
        (
            r#"{"$dateTrunc":["$d","fortnight"]}"#,
            "error: $dateTrunc: unknown unit \"fortnight\": there are year, quarter, month, week, \
             day, hour, minute, second, millisecond",
        ),
        // Bins are counted from the beginning of 2000, weeks from the first Monday in it.
        (
            r#"{"$dateTrunc":{"date":"$t","unit":"minute","binSize":15}}"#,
            r#"{"$time":"2013-01-31T22:15:00Z"}"#,
        ),
        (
            r#"{"$dateTrunc":["$t","hour",5]}"#,
            r#"{"$time":"2013-01-31T19:00:00Z"}"#,
        ),
        (
            r#"{"$dateTrunc":["$t","week",2]}"#,
            r#"{"$time":"2013-01-28T00:00:00Z"}"#,
        ),
        (
            r#"{"$dateTrunc":["$t","month",5]}"#,
            r#"{"$time":"2012-12-01T00:00:00Z"}"#,
        ),
        (
            r#"{"$dateTrunc":["$d","quarter",2]}"#,
            r#"{"$date":"2013-01-01"}"#,
        ),
        (
            r#"{"$dateTrunc":["$d","year",10]}"#,
            r#"{"$date":"2010-01-01"}"#,
        ),
        (
            r#"{"$dateTrunc":[{"$date":"1999-12-31"},"year",10]}"#,
            r#"{"$date":"1990-01-01"}"#,
        ),
        (
            r#"{"$dateTrunc":["$d","day",10]}"#,
            r#"{"$date":"2013-02-01"}"#,
        ),
        (
            r#"{"$dateTrunc":["$d","hour",6]}"#,
            r#"{"$date":"2013-02-03"}"#,
        ),
        (
            r#"{"$dateTrunc":["$d","hour",36]}"#,
            "error: $dateTrunc: of dates, bins are whole days, or parts that a day has a whole \
             number of",
        ),
        (r#"{"$dateTrunc":["$t","hour","$n"]}"#, "null"),
        (
            r#"{"$dateTrunc":["$t","hour",0]}"#,
            "error: $dateTrunc: a bin has 1 or more units, found 0",
        ),
        (
            r#"{"$dateTrunc":["$t","hour",-3]}"#,
            "error: $dateTrunc: a bin has 1 or more units, found -3",
        ),
        (
            r#"{"$dateTrunc":["$t","hour",1.5]}"#,
            "error: $dateTrunc: expected a whole number, found float",
        ),
        (
            r#"{"$dateTrunc":["$t","year",9223372036854775807]}"#,
            "error: $dateTrunc: a bin of 9223372036854775807 units is too large",
        ),
        (r#"{"$dateDiff":["$t","$d","day"]}"#, "3"),
        (r#"{"$dateDiff":["$t","$d","month"]}"#, "1"),
        (r#"{"$dateDiff":["$t","$d","week"]}"#, "0"),
        (
            r#"{"$dateDiff":{"startDate":"$d","endDate":"$t","unit":"hour"}}"#,
            "-50",
        ),
        (
            r#"{"$dateAdd":["$d","month",1]}"#,
            r#"{"$date":"2013-03-03"}"#,
        ),
        (
            r#"{"$dateAdd":["$t","month",1]}"#,
            r#"{"$time":"2013-02-28T22:15:30Z"}"#,
        ),
        (
            r#"{"$dateAdd":["$d","hour",25]}"#,
            r#"{"$time":"2013-02-04T01:00:00Z"}"#,
        ),
        (
            r#"{"$dateAdd":["$d","week",-1]}"#,
            r#"{"$date":"2013-01-27"}"#,
        ),
        // Farther than the epoch is from either end.
        (
            r#"{"$dateAdd":[{"$time":"-200000-01-01T06:00:00Z"},"day",146097000]}"#,
            r#"{"$time":"+200000-01-01T06:00:00Z"}"#,
        ),
        (
            r#"{"$dateAdd":[{"$time":"-290308-12-21T19:59:05.224192Z"},"year",0]}"#,
            r#"{"$time":"-290308-12-21T19:59:05.224192Z"}"#,
        ),
        (
            r#"{"$dateAdd":["$d","day",9223372036854775807]}"#,
            "error: $dateAdd: the result is out of the range of times",
        ),
        (
            r#"{"$dateAdd":["$t","year",9000000]}"#,
            "error: $dateAdd: the result is out of the range of times",
        ),
    ]);
}

#[test]
fn arrays() {
    check(&[
        (r#"{"$size":"$l"}"#, "3"),
        (
            r#"{"$size":"$a"}"#,
            "error: $size: expected an array, found int",
        ),
        (r#"{"$arrayElemAt":["$l",1]}"#, "1"),
        (r#"{"$arrayElemAt":["$l",-1]}"#, "2"),
        (r#"{"$arrayElemAt":["$l",3]}"#, "null"),
        (r#"{"$first":"$l"}"#, "3"),
        (r#"{"$last":"$l"}"#, "2"),
        (r#"{"$slice":["$l",2]}"#, "[3,1]"),
        (r#"{"$slice":["$l",-2]}"#, "[1,2]"),
        (r#"{"$slice":["$l",1,5]}"#, "[1,2]"),
        (r#"{"$in":[1,"$l"]}"#, "true"),
        (r#"{"$contains":["$l",9]}"#, "false"),
        (r#"{"$pluck":["$m","p"]}"#, "[1,2]"),
        (r#"{"$sum":{"$pluck":["$m","p"]}}"#, "3"),
        (r#"{"$concatArrays":["$l",["x"]]}"#, r#"[3,1,2,"x"]"#),
        (r#"{"$sum":"$l"}"#, "6"),
        (r#"{"$sum":["$a","$n","$f"]}"#, "9.5"),
        (r#"{"$sum":"$n"}"#, "0"),
        (r#"{"$avg":"$l"}"#, "2.0"),
        (r#"{"$min":"$l"}"#, "1"),
        (r#"{"$max":["$a","$b","$n"]}"#, "7"),
        (
            r#"{"$sum":"$s"}"#,
            "error: $sum: expected a number, found string",
        ),
        (
            r#"["$a",{"x":"$b","y":"$none"},{"$literal":["$a"]}]"#,
            r#"[7,{"x":-2},["$a"]]"#,
        ),
    ]);
}

#[test]
fn conversions() {
    check(&[
        (r#"{"$type":"$t"}"#, r#""time""#),
        (r#"{"$type":"$none"}"#, r#""null""#),
        (r#"{"$toString":"$a"}"#, r#""7""#),
        (r#"{"$toString":"$t"}"#, r#""2013-01-31T22:15:30Z""#),
        (r#"{"$toString":"$l"}"#, r#""[3,1,2]""#),
        (r#"{"$toInt":"$f"}"#, "2"),
        (r#"{"$toInt":{"$decimal":"-2.9"}}"#, "-2"),
        (r#"{"$toInt":" 12 "}"#, "12"),
        (
            r#"{"$toInt":"x"}"#,
            "error: $toInt: \"x\" (string) is no integer of 64 bits",
        ),
        (
            r#"{"$toInt":9.3e18}"#,
            "error: $toInt: 9.3e+18 (float) is no integer of 64 bits",
        ),
        (r#"{"$toInt":"$n"}"#, "null"),
        (r#"{"$toFloat":"1.5"}"#, "1.5"),
        (r#"{"$toDecimal":0.1}"#, r#"{"$decimal":"0.1"}"#),
        (r#"{"$toBool":"$a"}"#, "true"),
        (r#"{"$toBool":"false"}"#, "false"),
        (r#"{"$toTime":"$d"}"#, r#"{"$time":"2013-02-03T00:00:00Z"}"#),
        (
            r#"{"$toDate":"2013-02-03"}"#,
            r#"{"$time":"2013-02-03T00:00:00Z"}"#,
        ),
        (
            r#"{"$toTime":1500}"#,
            r#"{"$time":"1970-01-01T00:00:01.5Z"}"#,
        ),
        (r#"{"$toDay":"$t"}"#, r#"{"$date":"2013-01-31"}"#),
        (
            r#"{"$toUuid":"0191e0a4-7b7c-7000-8000-000000000001"}"#,
            r#"{"$uuid":"0191e0a4-7b7c-7000-8000-000000000001"}"#,
        ),
    ]);
}

#[test]
fn what_is_no_expression_is_told_with_its_place() {
    check(&[
        (
            r#"{"$ad":["$a",1]}"#,
            "error: expression.$ad: unknown function $ad; did you mean $add?",
        ),
        (
            r#"{"$add":["$a",{"$subtract":[1]}]}"#,
            "error: expression.$add[1].$subtract: takes 2 arguments, found 1: the first number \
             less the second",
        ),
        (
            r#"{"$cond":{"if":true,"then":1}}"#,
            "error: expression.$cond: else is missing: the second value if the first is true, else the third",
        ),
        (
            r#"{"$cond":{"if":true,"then":1,"els":2}}"#,
            "error: expression.$cond: unknown argument els; did you mean else?",
        ),
        (
            r#"{"x":1,"$add":[1]}"#,
            "error: expression: $add stands beside other names: a function is an object of its own",
        ),
        (
            r#""$$NOW""#,
            "error: expression: unknown variable $$NOW; there are $$ROOT",
        ),
        (
            r#""$a..b""#,
            "error: expression: \"a..b\" is no path: path has an empty segment (quote it as `` if it is meant)",
        ),
        (
            r#"{"$switch":{"branches":[{"case":true}]}}"#,
            "error: expression.$switch.branches[0]: then is missing",
        ),
    ]);
}

#[test]
fn expressions_and_their_values_are_bounded() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(evaluate(&nested(EXPRESSION_DEPTH_MAX - 1)).is_ok());
    assert_eq!(
        evaluate(&nested(EXPRESSION_DEPTH_MAX)),
        Err(QueryError::ExpressionTooDeep)
    );
    let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    assert!(evaluate(&many(EXPRESSION_PARTS_MAX - 1)).is_ok());
    assert_eq!(
        evaluate(&many(EXPRESSION_PARTS_MAX)),
        Err(QueryError::ExpressionTooLarge)
    );

    let long = "x".repeat(5 << 20);
    let row = crate::Aggregated::from([("x".to_owned(), long.into())]);
    for text in [
        r#"{"$concat":["$x","$x","$x","$x"]}"#,
        r#"["$x","$x","$x","$x"]"#,
        r#"{"a":"$x","b":"$x","c":"$x","d":"$x"}"#,
        r#"{"$replaceAll":["$x","x","12345678"]}"#,
        r#"{"$split":["$x","x"]}"#,
    ] {
        let expression = Expression::from_json(text).unwrap();
        let error = expression.evaluate(RowRef::Map(&row)).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Limit, "{text}: {error}");
    }
}

#[test]
fn the_table_of_functions_is_in_the_order_of_the_enum() {
    for (index, row) in FUNCTIONS.iter().enumerate() {
        assert_eq!(row.function as usize, index);
        for name in [Some(row.name), row.alias].into_iter().flatten() {
            assert_eq!(Function::from_name(name), Some(row.function), "{name}");
        }
    }
}

/// The last day with which a bin begins that is not after `wanted` (both counted from 1970), found
/// by walking there from 1900-01-01, one day after the other.
fn bin_of_day(unit: TimeUnit, bin: i64, wanted: i64) -> i64 {
    let (mut year, mut month, mut day, mut begins) = (1900, 1, 1, None);
    for today in -25_567..=wanted {
        let months = (year - 2000) * 12 + (month - 1);
        let is_first = match unit {
            TimeUnit::Year => day == 1 && months % (12 * bin) == 0,
            TimeUnit::Quarter => day == 1 && months % (3 * bin) == 0,
            TimeUnit::Month => day == 1 && months % bin == 0,
            TimeUnit::Week => (today - 10_959) % (7 * bin) == 0,
            _ => (today - 10_957) % bin == 0,
        };
        if is_first {
            begins = Some(today);
        }
        let leap = year % 4 == 0 && year != 1900;
        let days = [
            31,
            28 + i64::from(leap),
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        day += 1;
        if day > days[month as usize - 1] {
            (day, month) = (1, month + 1);
        }
        if month > 12 {
            (month, year) = (1, year + 1);
        }
    }
    begins.expect("a bin begins after 1900")
}

proptest::proptest! {
    #[test]
    fn bins_are_those_of_a_walk_through_the_calendar(
        day in 7305_i64..25_567,
        micros in 0_i64..86_400_000_000,
        unit in 0..UNITS.len(),
        bin in 1_i64..40,
    ) {
        const DAY: i64 = 86_400_000_000;
        let unit = TimeUnit::from_name(UNITS[unit]).unwrap();
        let at = day * DAY + micros;
        let plain = |length: i64| {
            let since_2000 = at - 10_957 * DAY;
            at - since_2000.rem_euclid(length * bin)
        };
        let begins = match unit {
            TimeUnit::Hour => plain(3_600_000_000),
            TimeUnit::Minute => plain(60_000_000),
            TimeUnit::Second => plain(1_000_000),
            TimeUnit::Millisecond => plain(1000),
            unit => bin_of_day(unit, bin, day) * DAY,
        };
        let trunc = |value: Value| {
            let arguments = [value.into(), unit.name().into(), bin.into()];
            let row = crate::Aggregated::new();
            let call = Expression::call(Function::DateTrunc, arguments);
            call.evaluate(RowRef::Map(&row)).map(|cell| cell.into_value())
        };
        let time = Value::Time(velocitydb_types::Timestamp(at));
        let expected = Value::Time(velocitydb_types::Timestamp(begins));
        proptest::prop_assert_eq!(trunc(time), Ok(expected));
        if unit.is_days() {
            let date = |day: i64| Value::Date(velocitydb_types::Date(day as i32));
            proptest::prop_assert_eq!(trunc(date(day)), Ok(date(begins / DAY)));
        }
    }
}
