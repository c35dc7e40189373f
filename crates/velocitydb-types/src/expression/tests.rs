//! Expressions against a plain model, and their bounds. Meanings and messages one by one are in
//! `testscripts`.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{
    EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_PATTERNS_MAX, Expression, Shown,
};
use crate::error::ErrorClass;
use crate::{FieldType, Fields, Path, Value};

/// An expression as the model has it. Binary operators by their symbols.
#[derive(Debug, Clone)]
enum Model {
    Literal(Value),
    Field(&'static str),
    Not(Box<Model>),
    Negate(Box<Model>),
    Binary(&'static str, Box<Model>, Box<Model>),
    In(Box<Model>, Vec<Model>),
    Between(Box<Model>, Box<Model>, Box<Model>),
    IsNull(Box<Model>),
    Call(&'static str, Vec<Model>),
}

const FIELDS: [&str; 6] = ["a", "b", "s", "t", "n", "absent"];
const OPERATORS: [&str; 13] = [
    "or", "and", "=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%",
];

fn literal() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_i64..4).prop_map(Value::Int),
        Just(Value::Int(i64::MAX)),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        "[a-b']{0,2}".prop_map(Value::String),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    let leaf = prop_oneof![
        literal().prop_map(Model::Literal),
        select(&FIELDS[..]).prop_map(Model::Field),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Model::Not),
            boxed().prop_map(Model::Negate),
            (select(&OPERATORS[..]), boxed(), boxed())
                .prop_map(|(operator, a, b)| Model::Binary(operator, a, b)),
            (select(&OPERATORS[..2]), boxed(), boxed())
                .prop_map(|(operator, a, b)| Model::Binary(operator, a, b)),
            (boxed(), vec(inner.clone(), 1..4)).prop_map(|(value, list)| Model::In(value, list)),
            (boxed(), boxed(), boxed()).prop_map(|(a, b, c)| Model::Between(a, b, c)),
            boxed().prop_map(Model::IsNull),
            vec(inner.clone(), 1..4).prop_map(|list| Model::Call("coalesce", list)),
            (select(vec!["abs", "length", "upper"]), inner)
                .prop_map(|(name, value)| Model::Call(name, vec![value])),
        ]
    })
}

fn strength(operator: &str) -> u8 {
    match operator {
        "or" => 1,
        "and" => 2,
        "+" | "-" => 5,
        "*" | "/" | "%" => 6,
        _ => 4,
    }
}

impl Model {
    /// The text, in parentheses only where it is not stronger than asked.
    fn text(&self, than: u8) -> String {
        let (own, text) = match self {
            Self::Literal(Value::String(string)) => {
                (9, format!("'{}'", string.replace('\'', "''")))
            }
            Self::Literal(value) => (9, value.to_json()),
            Self::Field(name) => (9, (*name).to_owned()),
            Self::Not(value) => (3, format!("not {}", value.text(3))),
            // Two signs side by side are two signs: there are no comments.
            Self::Negate(value) => (7, format!("-{}", value.text(6))),
            Self::Binary(operator, a, b) => {
                let own = strength(operator);
                // Comparisons do not chain; everything else does, to the left.
                let left = if own == 4 { own } else { own - 1 };
                (own, format!("{} {operator} {}", a.text(left), b.text(own)))
            }
            Self::In(value, list) => {
                let list: Vec<_> = list.iter().map(|value| value.text(0)).collect();
                (4, format!("{} in ({})", value.text(4), list.join(", ")))
            }
            Self::Between(a, b, c) => {
                let (a, b, c) = (a.text(4), b.text(4), c.text(4));
                (4, format!("{a} between {b} and {c}"))
            }
            Self::IsNull(value) => (4, format!("{} is null", value.text(4))),
            Self::Call(name, list) => {
                let list: Vec<_> = list.iter().map(|value| value.text(0)).collect();
                (9, format!("{name}({})", list.join(", ")))
            }
        };
        if own > than {
            text
        } else {
            format!("({text})")
        }
    }

    /// The value, by the rules as they are written down, or nothing where there is none.
    fn value(&self, fields: &BTreeMap<String, Value>) -> Option<Value> {
        Some(match self {
            Self::Literal(value) => value.clone(),
            Self::Field(name) => fields.get(*name).cloned().unwrap_or(Value::Null),
            Self::Not(value) => truth(value.value(fields)?)?.map(|truth| !truth).into(),
            Self::Negate(value) => match value.value(fields)? {
                Value::Null => Value::Null,
                Value::Int(int) => int.checked_neg()?.into(),
                _ => return None,
            },
            Self::Binary("and", a, b) => match truth(a.value(fields)?)? {
                Some(false) => false.into(),
                a => match (a, truth(b.value(fields)?)?) {
                    (_, Some(false)) => false.into(),
                    (Some(true), Some(true)) => true.into(),
                    _ => Value::Null,
                },
            },
            Self::Binary("or", a, b) => match truth(a.value(fields)?)? {
                Some(true) => true.into(),
                a => match (a, truth(b.value(fields)?)?) {
                    (_, Some(true)) => true.into(),
                    (Some(false), Some(false)) => false.into(),
                    _ => Value::Null,
                },
            },
            Self::Binary(operator, a, b) => binary(operator, &a.value(fields)?, &b.value(fields)?)?,
            Self::In(value, list) => {
                let value = value.value(fields)?;
                let mut result = Value::Bool(false);
                for listed in list {
                    match binary("=", &value, &listed.value(fields)?)? {
                        Value::Bool(true) => return Some(true.into()),
                        Value::Null => result = Value::Null,
                        _ => {}
                    }
                }
                result
            }
            Self::Between(value, low, high) => {
                let [value, low, high] = [value, low, high].map(|value| value.value(fields));
                let (value, low, high) = (value?, low?, high?);
                match binary(">=", &value, &low)? {
                    Value::Bool(false) => false.into(),
                    above => match binary("<=", &value, &high)? {
                        Value::Bool(true) => above,
                        below => below,
                    },
                }
            }
            Self::IsNull(value) => value.value(fields)?.is_null().into(),
            Self::Call("coalesce", list) => {
                for value in list {
                    let value = value.value(fields)?;
                    if !value.is_null() {
                        return Some(value);
                    }
                }
                Value::Null
            }
            Self::Call(name, list) => match (*name, list[0].value(fields)?) {
                (_, Value::Null) => Value::Null,
                ("abs", Value::Int(int)) => int.checked_abs()?.into(),
                ("length", Value::String(string)) => (string.len() as i64).into(),
                ("upper", Value::String(string)) => string.to_ascii_uppercase().into(),
                _ => return None,
            },
        })
    }
}

fn truth(value: Value) -> Option<Option<bool>> {
    match value {
        Value::Bool(bool) => Some(Some(bool)),
        Value::Null => Some(None),
        _ => None,
    }
}

fn binary(operator: &str, a: &Value, b: &Value) -> Option<Value> {
    if a.is_null() || b.is_null() {
        return Some(Value::Null);
    }
    let alike = a.type_name() == b.type_name();
    match operator {
        "=" => return Some((alike && a == b).into()),
        "<>" => return Some((!alike || a != b).into()),
        "<" => return alike.then(|| (a < b).into()),
        "<=" => return alike.then(|| (a <= b).into()),
        ">" => return alike.then(|| (a > b).into()),
        ">=" => return alike.then(|| (a >= b).into()),
        _ => {}
    }
    let (a, b) = (i128::from(a.as_int()?), i128::from(b.as_int()?));
    let result = match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a.checked_div(b)?,
        _ => a.checked_rem(b)?,
    };
    i64::try_from(result).ok().map(Value::Int)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_model_agrees(
        model in model(),
        values in [-3_i64..4, i64::MIN..i64::MAX],
        string in "[ab]{0,2}",
        bool in any::<bool>(),
    ) {
        let fields = BTreeMap::from([
            ("a".to_owned(), Value::Int(values[0])),
            ("b".to_owned(), Value::Int(values[1])),
            ("s".to_owned(), Value::String(string)),
            ("t".to_owned(), Value::Bool(bool)),
            ("n".to_owned(), Value::Null),
        ]);
        let text = model.text(0);
        let expression: Expression = text.parse().map_err(|error| {
            TestCaseError::fail(format!("{text}: {error}"))
        })?;
        let encoded = Fields::from_map(&fields).unwrap();
        let found = expression.evaluate(encoded.as_raw());
        let expected = model.value(&fields);
        prop_assert_eq!(
            found.as_ref().ok().map(|value| (value.type_name(), value)),
            expected.as_ref().map(|value| (value.type_name(), value)),
            "{} gave {:?}", text, found
        );
        // What is shown of it is the same expression.
        let shown: Expression = expression.shown(Shown::Own).parse().unwrap();
        prop_assert!(shown.is_same(&expression), "{} became {}", text, shown);
        prop_assert_eq!(shown.evaluate(encoded.as_raw()).ok(), found.ok());
    }

    #[test]
    fn no_text_brings_it_down(text in "([a-c'\"`().,+*/%<>=!~ 0-9é-]|and |not |in |is |null ){0,40}") {
        if let Ok(expression) = text.parse::<Expression>() {
            let _ = expression.evaluate(Fields::empty().as_raw());
            prop_assert_eq!(expression.text(), text);
        }
    }
}

#[test]
fn size_depth_and_patterns_are_bounded() {
    let parse = |text: String| text.parse::<Expression>();
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(nested(EXPRESSION_DEPTH_MAX - 1)).is_ok());
    let refused = [
        nested(EXPRESSION_DEPTH_MAX),
        "not ".repeat(EXPRESSION_DEPTH_MAX) + "a",
        "-".repeat(EXPRESSION_DEPTH_MAX) + "a",
        "a + ".repeat(EXPRESSION_DEPTH_MAX) + "a",
        format!("{}a", "abs(".repeat(5000)),
        "a and ".repeat(EXPRESSION_BYTES_MAX / 6 + 1) + "a",
        vec!["a like 'x'"; EXPRESSION_PATTERNS_MAX + 1].join(" or "),
    ];
    for text in refused {
        let error = parse(text.clone()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Limit, "{error}");
    }
    // A chain of one operator of logic does not nest.
    for operator in [" or ", " and "] {
        let chain = parse(vec!["a = 1"; 1000].join(operator)).unwrap();
        assert_eq!(chain.judge(Fields::empty().as_raw()), Ok(None));
    }
}

#[test]
fn errors_point_into_lines() {
    let error = "a > 1\n  and é >".parse::<Expression>().unwrap_err();
    assert_eq!((error.line, error.column), (2, 10));
}

#[test]
fn expressions_are_the_same_however_they_are_written() {
    let parse = |text: &str| text.parse::<Expression>().unwrap();
    for (one, other, same) in [
        ("lower(name)", "LOWER( \"name\" )", true),
        ("trim(a.b)", "btrim(a.\"b\")", true),
        ("data->>'kind'", "(data ->> 'kind')", true),
        ("lower(name)", "lower(\"Name\")", false),
        ("a.b", "\"a.b\"", false),
        ("a", "'a'", false),
        ("left(a, 1)", "left(a, 2)", false),
    ] {
        let (one, other) = (parse(one), parse(other));
        assert_eq!(one.is_same(&other), same, "{one} {other}");
        assert_eq!(one.stand_in() == other.stand_in(), same);
    }
    let column = |path: &Path| path.to_string();
    let shown = |text: &str| parse(text).shown(Shown::Postgres(&column));
    assert_eq!(shown("data->>'kind'"), "(data ->> 'kind'::text)");
    assert_eq!(shown("trim(name)"), "TRIM(BOTH FROM name)");
    let zoned = "date_trunc('day'::text, (at AT TIME ZONE 'UTC'::text))";
    assert_eq!(shown("date_trunc('day', timezone('UTC', at))"), zoned);
}

#[test]
fn fields_are_named_once() {
    let expression: Expression = "b.c > a and (a < 3 or \"b\".c in (x, a))".parse().unwrap();
    let paths: Vec<_> = expression
        .paths()
        .into_iter()
        .map(Path::to_string)
        .collect();
    assert_eq!(paths, ["b.c", "a", "x"]);
}

#[test]
fn strings_become_what_their_field_is() {
    let fields = Fields::from_map(&BTreeMap::from([
        (
            "at".to_owned(),
            Value::Time("2026-01-01T00:00:00Z".parse().unwrap()),
        ),
        ("price".to_owned(), Value::Decimal("1.5".parse().unwrap())),
    ]))
    .unwrap();
    let declared = |path: &Path| {
        Ok(match path.first() {
            "at" => Some(FieldType::Time),
            "price" => Some(FieldType::Decimal),
            _ => None,
        })
    };
    for text in [
        "at = '2026-01-01T01:00:00+01:00'",
        "'2026-01-01T00:00:00Z' = at",
        "at in (null, '2026-01-01T00:00:00Z')",
        "at between '2025-01-01T00:00:00Z' and '2027-01-01T00:00:00Z'",
        "coalesce(x, at, '2025-01-01T00:00:00Z') >= '2026-01-01T00:00:00Z'",
        "not (price = '1.50' and at < '2026-01-01T00:00:00Z')",
    ] {
        let mut expression: Expression = text.parse().unwrap();
        expression.bind(&declared).unwrap();
        assert_eq!(expression.judge(fields.as_raw()), Ok(Some(true)), "{text}");
    }
}
