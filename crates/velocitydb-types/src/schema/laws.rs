//! Constraints against a plain model, the forms in which a schema is kept, and the examples of
//! docs/schemas.md.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;

use super::*;
use crate::error::ErrorClass;
use crate::{Date, Decimal, ScalarType};

const KINDS: [FieldType; 6] = [
    FieldType::Int,
    FieldType::Float,
    FieldType::Decimal,
    FieldType::String,
    FieldType::Time,
    FieldType::Date,
];

/// One of a type's values, for a small number.
fn value_of(kind: FieldType, number: i64) -> Value {
    match kind {
        FieldType::Int => number.into(),
        FieldType::Float => (number as f64 / 2.0).into(),
        FieldType::Decimal => Value::Decimal(Decimal::new(number.into(), 1).unwrap()),
        FieldType::String => "ab".repeat(number.unsigned_abs() as usize).into(),
        FieldType::Time => Timestamp(number).into(),
        _ => Date(number as i32).into(),
    }
}

/// Patterns, and what they mean.
type Meaning = (&'static str, fn(&str) -> bool);

const PATTERNS: [Meaning; 4] = [
    ("^ab", |text| text.starts_with("ab")),
    ("bab$", |text| text.ends_with("bab")),
    ("ba", |text| text.contains("ba")),
    ("^(ab)?$", |text| text.is_empty() || text == "ab"),
];

/// The first constraint that a value breaks, found the plain way.
fn broken(
    constraints: &Constraints,
    meaning: Option<Meaning>,
    value: &Value,
) -> Option<&'static str> {
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let checks = [
        (
            "minimum",
            constraints
                .minimum
                .as_ref()
                .is_none_or(|least| value >= least),
        ),
        (
            "exclusive_minimum",
            constraints
                .exclusive_minimum
                .as_ref()
                .is_none_or(|least| value > least),
        ),
        (
            "maximum",
            constraints
                .maximum
                .as_ref()
                .is_none_or(|most| value <= most),
        ),
        (
            "exclusive_maximum",
            constraints
                .exclusive_maximum
                .as_ref()
                .is_none_or(|most| value < most),
        ),
        (
            "min_length",
            constraints
                .min_length
                .is_none_or(|least| length >= Some(least)),
        ),
        (
            "max_length",
            constraints
                .max_length
                .is_none_or(|most| length <= Some(most)),
        ),
        (
            "pattern",
            meaning.is_none_or(|(_, holds)| value.as_str().is_some_and(holds)),
        ),
        (
            "one_of",
            constraints
                .one_of
                .as_ref()
                .is_none_or(|values| values.contains(value)),
        ),
    ];
    checks
        .into_iter()
        .find(|(_, holds)| !holds)
        .map(|(rule, _)| rule)
}

/// So many fields, of few names.
fn documents(
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = BTreeMap<String, Option<bool>>> {
    btree_map("[a-d]{1,2}|x[0-9]", option::of(any::<bool>()), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn constraints_mean_what_the_model_says(
        kind in select(&KINDS[..]),
        bounds in [(); 4].map(|()| option::weighted(0.4, -4_i64..5)),
        lengths in [(); 2].map(|()| option::weighted(0.3, 0_u64..8)),
        meaning in option::weighted(0.3, select(&PATTERNS[..])),
        one_of in option::weighted(0.3, vec(-4_i64..5, 1..4)),
        values in vec(-5_i64..6, 1..10),
    ) {
        let [minimum, exclusive_minimum, maximum, exclusive_maximum] =
            bounds.map(|bound| bound.map(|number| value_of(kind, number)));
        let text = kind == FieldType::String;
        let meaning = meaning.filter(|_| text);
        let constraints = Constraints {
            minimum,
            exclusive_minimum,
            maximum,
            exclusive_maximum,
            min_length: lengths[0].filter(|_| text),
            max_length: lengths[1].filter(|_| text),
            pattern: meaning.map(|(pattern, _)| pattern.to_owned()),
            one_of: one_of.map(|numbers| {
                numbers.into_iter().map(|number| value_of(kind, number)).collect()
            }),
        };
        let field = Field::new("f", kind).with_constraints(constraints.clone());
        let Ok(schema) = Schema::new(Openness::Strict, vec![field]) else {
            // Refused because it contradicts itself: then no value passes all but the list, or
            // the list has a value that does not pass.
            let listed = constraints.one_of.clone().unwrap_or_default();
            let rest = Constraints { one_of: None, ..constraints };
            let none = (-5..6).all(|number| broken(&rest, meaning, &value_of(kind, number)).is_some());
            let bad = listed.iter().any(|value| broken(&rest, meaning, value).is_some());
            prop_assert!(none || bad);
            return Ok(());
        };
        for number in values {
            let value = value_of(kind, number);
            let document = Fields::from_map(&BTreeMap::from([("f".to_owned(), value.clone())]));
            let found = match schema.check(document.unwrap().as_raw()) {
                Ok(()) => None,
                Err(SchemaError::Constraint { rule, .. }) => Some(rule),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            };
            prop_assert_eq!(found, broken(&constraints, meaning, &value), "{:?}", value);
        }
    }

    #[test]
    fn judging_in_one_walk_finds_what_searching_finds(
        declared in vec((select(vec!["a", "aa", "b", "c", "d"]), any::<bool>()), 0..5),
        document in prop_oneof![documents(0..5), documents(0..40)],
        strict in any::<bool>(),
    ) {
        let declared: BTreeMap<_, _> = declared.into_iter().collect();
        let openness = if strict { Openness::Strict } else { Openness::Open };
        let mut fields: Vec<_> = declared
            .iter()
            .map(|(name, required)| Field {
                required: *required,
                ..Field::new(*name, FieldType::Bool)
            })
            .collect();
        fields.reverse();
        let schema = Schema::new(openness, fields).unwrap();
        let expected = declared.iter().all(|(name, required)| {
            !required || document.get(*name).is_some_and(Option::is_some)
        }) && (!strict || document.keys().all(|name| declared.contains_key(name.as_str())));
        let map = document.into_iter().map(|(name, bool)| (name, Value::from(bool))).collect();
        let fields = Fields::from_map(&map).unwrap();
        prop_assert_eq!(schema.check(fields.as_raw()).is_ok(), expected);
        let again = schema.resolve_fields(
            fields.as_raw(), DOCUMENT_BYTES_MAX, Timestamp(0), &mut || Uuid::nil(),
        );
        prop_assert_eq!(again.ok(), expected.then_some(None));
    }
}

/// A schema as it was before there were constraints.
#[derive(Serialize)]
struct OldSchema {
    openness: Openness,
    fields: Vec<OldField>,
}

#[derive(Serialize)]
struct OldField {
    name: String,
    #[serde(rename = "type")]
    kind: FieldType,
    required: bool,
    unique: bool,
    default: Option<DefaultValue>,
}

#[test]
fn a_schema_without_constraints_is_the_text_it_was() {
    let default = DefaultValue::Constant(Date(3).into());
    for openness in [Openness::Open, Openness::Strict] {
        let field = Field::new("b", FieldType::Date).required().unique();
        let field = field.with_default(default.clone());
        let schema = Schema::new(openness, vec![field]).unwrap();
        let old = OldSchema {
            openness,
            fields: vec![OldField {
                name: "b".to_owned(),
                kind: FieldType::Date,
                required: true,
                unique: true,
                default: Some(default.clone()),
            }],
        };
        let json = serde_json::to_string(&old).unwrap();
        assert_eq!(serde_json::to_string(&schema).unwrap(), json);
        assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
    }
}

fn everything() -> Schema {
    let fields = vec![
        Field::new("age", FieldType::Int).with_constraints(Constraints {
            minimum: Some(0.into()),
            exclusive_maximum: Some(150.into()),
            ..Constraints::default()
        }),
        Field::new("since", FieldType::Date).with_constraints(Constraints {
            exclusive_minimum: Some("2000-01-01".into()),
            maximum: Some(Date(20_000).into()),
            ..Constraints::default()
        }),
        Field::new("code", FieldType::String).with_constraints(Constraints {
            min_length: Some(1),
            max_length: Some(3),
            pattern: Some("^[A-Z]+$".to_owned()),
            one_of: Some(vec!["B".into(), "A".into()]),
            ..Constraints::default()
        }),
        Field::new("team", FieldType::String).references("teams", OnDelete::Cascade),
    ];
    let checks = vec![
        Check::new("adult", "age >= 18 or code = 'A'").unwrap(),
        Check::new("recent", "since > '2010-01-01'").unwrap(),
    ];
    let schema = Schema::new(Openness::Strict, fields).unwrap();
    schema.with_checks(checks).unwrap()
}

#[test]
fn everything_that_is_declared_comes_back() {
    let schema = everything();
    let json = serde_json::to_string(&schema).unwrap();
    assert_eq!(
        json,
        r#"{"openness":"strict","fields":[{"name":"age","type":"int","required":false,"unique":false,"default":null,"minimum":0,"exclusive_maximum":150},{"name":"since","type":"date","required":false,"unique":false,"default":null,"exclusive_minimum":"2000-01-01","maximum":"2024-10-04"},{"name":"code","type":"string","required":false,"unique":false,"default":null,"min_length":1,"max_length":3,"pattern":"^[A-Z]+$","one_of":["B","A"]},{"name":"team","type":"string","required":false,"unique":false,"default":null,"references":{"collection":"teams","on_delete":"cascade"}}],"checks":[{"name":"adult","expression":"age >= 18 or code = 'A'"},{"name":"recent","expression":"since > '2010-01-01'"}]}"#
    );
    let back: Schema = serde_json::from_str(&json).unwrap();
    assert_eq!(back, schema);
    let document = r#"{"age":17,"code":"A","since":"2005-01-01"}"#;
    let document = back
        .resolve_json(document)
        .map_err(|error| error.to_string());
    assert_eq!(
        document.unwrap_err(),
        "check \"recent\": `since > '2010-01-01'` is false, with since = date \"2005-01-01\""
    );
    // Checks alone, or a reference alone, are kept too.
    for openness in [Openness::Open, Openness::Strict] {
        let field = Field::new("team", FieldType::String);
        let plain = Schema::new(openness, vec![field.clone()]).unwrap();
        let check = Check::new("c", "team <> 'x'").unwrap();
        let refers = field.references("teams", OnDelete::Restrict);
        for schema in [
            plain.with_checks(vec![check]).unwrap(),
            Schema::new(openness, vec![refers]).unwrap(),
        ] {
            let json = serde_json::to_string(&schema).unwrap();
            assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
        }
    }
}

#[test]
fn a_document_that_fits_still_gets_its_defaults() {
    let field = Field::new("n", FieldType::Int).with_default(DefaultValue::Constant(7.into()));
    let schema = Schema::new(Openness::Strict, vec![field]).unwrap();
    let resolved = |json| schema.resolve_json(json).unwrap().as_raw().to_json();
    assert_eq!(resolved("{}"), r#"{"n":7}"#);
    assert_eq!(resolved(r#"{"n":null}"#), r#"{"n":null}"#);
}

impl Schema {
    fn resolve_json(&self, json: &str) -> Result<Fields, SchemaError> {
        let Value::Map(map) = Value::from_json(json).unwrap() else {
            panic!("a document is an object")
        };
        self.resolve(&map, Timestamp(0), &mut || Uuid::nil())
    }
}

#[test]
fn a_constraint_keeps_a_value_only_if_json_does() {
    let json = Field::new("j", FieldType::Json).with_constraints(Constraints {
        one_of: Some(vec![Date(0).into()]),
        ..Constraints::default()
    });
    let error = Schema::new(Openness::Open, vec![json]).unwrap_err();
    assert!(error.to_string().contains("cannot be told"), "{error}");
}

#[test]
fn a_check_goes_with_the_types_of_its_schema() {
    let check = Check::new("c", "at >= '2020-01-01'").unwrap();
    let with = |kind, checks| {
        let schema = Schema::new(Openness::Open, vec![Field::new("at", kind)]).unwrap();
        schema.with_checks(checks).unwrap()
    };
    let dates = with(FieldType::Date, vec![check]);
    let strings = with(FieldType::String, dates.checks().to_vec());
    for schema in [dates, strings] {
        assert!(schema.resolve_json(r#"{"at":"2020-01-01"}"#).is_ok());
        assert!(schema.resolve_json(r#"{"at":"2019-12-31"}"#).is_err());
    }
}

#[test]
fn checks_and_patterns_are_counted() {
    let check = |index: usize| Check::new(format!("c{index}"), "a like 'x' or b ~ 'y'").unwrap();
    let with = |count| Schema::open().with_checks((0..count).map(check).collect());
    assert!(with(PATTERNS_MAX / 2).is_ok());
    let error = with(PATTERNS_MAX / 2 + 1).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Limit);
    let pattern = |index: usize| Field {
        constraints: Constraints {
            pattern: Some("x".to_owned()),
            ..Constraints::default()
        },
        ..Field::new(format!("f{index}"), FieldType::String)
    };
    let fields = |count| Schema::new(Openness::Open, (0..count).map(pattern).collect());
    assert!(fields(PATTERNS_MAX).is_ok());
    assert_eq!(
        fields(PATTERNS_MAX + 1).unwrap_err().class(),
        ErrorClass::Limit
    );
    let plain = |index: usize| Check::new(format!("c{index}"), "a > 1").unwrap();
    let many = (0..=CHECKS_MAX).map(plain).collect();
    let error = Schema::open().with_checks(many).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the schema has 101 checks, at most 100 are allowed"
    );
}

#[test]
fn a_patched_document_is_judged_as_a_new_one() {
    let schema = everything();
    let document = schema.resolve_json(r#"{"age":20,"code":"B"}"#).unwrap();
    let patch = Value::from_json(r#"{"age":10}"#).unwrap();
    let mut operations = crate::merge_patch(&patch).unwrap();
    schema.resolve_operations(&mut operations);
    let patched = crate::apply(document.as_raw(), &operations).unwrap();
    let error = schema.check(patched.as_raw()).unwrap_err();
    assert!(error.to_string().starts_with("check \"adult\""), "{error}");
}

/// Every schema of the page, and what it answers to the documents below it.
#[test]
fn the_examples_of_the_page_do_what_they_say() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let page = std::fs::read_to_string(format!("{root}/../../docs/schemas.md")).unwrap();
    let (mut schema, mut schemas, mut documents) = (Schema::open(), 0, 0);
    // What follows a fence is alternately a block and the text between two.
    for block in page.split("```").skip(1).step_by(2) {
        let (mark, text) = block.split_once('\n').unwrap();
        if mark == "json" {
            schema = serde_json::from_str(text).unwrap();
            schemas += 1;
            continue;
        }
        assert_eq!(mark, "text", "a block that is not run");
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.chunks(2) {
            let answer = match schema.resolve_json(pair[0]) {
                Ok(_) => "accepted".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(answer, pair[1].trim(), "{}", pair[0]);
            documents += 1;
        }
    }
    assert!(schemas >= 4 && documents >= 19, "{schemas} {documents}");
}

/// What was stored before there were SQL types is read, and written as it was.
#[test]
fn a_field_without_an_sql_type_is_written_as_before() {
    let old = r#"{"openness":"open","fields":[{"name":"a","type":"int","required":false,"unique":false,"default":null}]}"#;
    let schema: Schema = serde_json::from_str(old).unwrap();
    assert_eq!(serde_json::to_string(&schema).unwrap(), old);
    let narrow = Field::new("a", FieldType::Int).with_sql_type(ScalarType::Int4);
    let narrow = Schema::new(Openness::Open, vec![narrow]).unwrap();
    let text = serde_json::to_string(&narrow).unwrap();
    assert!(text.contains(r#""sql_type":"integer""#), "{text}");
    let back: Schema = serde_json::from_str(&text).unwrap();
    assert_eq!(back, narrow);
    assert_eq!(back.fields()[0].sql_type(), ScalarType::Int4.into());
}
