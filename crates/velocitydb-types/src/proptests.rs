//! Laws that span modules, over random values.
//!
//! A failing case prints its seed and its smallest form. The generators prefer what lies near
//! other values: small integers, the borders of `f64`'s exactness, strings with NULs.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::{
    Date, Decimal, FieldOperation, Fields, FieldsBuilder, Interval, Key, Path, Point, RawMap,
    RawValue, Timestamp, Uuid, Value, apply, compare, decode_value_key, encode_string_prefix,
    encode_value, encode_value_key,
};

fn int() -> impl Strategy<Value = i64> {
    let near_power = (0_u32..63, -2_i64..=2, any::<bool>()).prop_map(|(bit, off, negative)| {
        let near = (1_i64 << bit).wrapping_add(off);
        if negative { near.wrapping_neg() } else { near }
    });
    prop_oneof![-3_i64..=3, near_power, any::<i64>()]
}

fn float() -> impl Strategy<Value = f64> {
    let special = [
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        5e-324,
    ];
    prop_oneof![
        select(special.to_vec()),
        int().prop_map(|int| int as f64),
        (-40_i32..=40).prop_map(|eighths| f64::from(eighths) / 8.0),
        any::<u64>().prop_map(f64::from_bits),
    ]
}

fn decimal() -> impl Strategy<Value = Decimal> {
    let text = (int(), -30_i64..=30).prop_map(|(digits, scale)| format!("{digits}e{scale}"));
    let extreme =
        (any::<bool>(), "[1-9]{1,5}", -990_i64..=990).prop_map(|(sign, digits, scale)| {
            format!("{}{digits}e{scale}", if sign { "-" } else { "" })
        });
    let near_float =
        float().prop_filter_map("representable", |float| Decimal::from_f64_exact(float).ok());
    let beside = (near_float, "-?[1-9]e-[0-9]{2}").prop_filter_map("bounded", |(exact, nudge)| {
        exact.checked_add(&nudge.parse().ok()?).ok()
    });
    prop_oneof![
        (text, Just(())).prop_map(|(text, ())| text.parse().unwrap()),
        extreme.prop_map(|text| text.parse().unwrap()),
        beside,
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        int().prop_map(Value::Int),
        float().prop_map(Value::Float),
        decimal().prop_map(Value::Decimal),
    ]
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof!["[\0-\u{2}a-c\u{ff}]{0,4}", ".{0,12}", "a{250,260}"]
}

/// Strings that look like the text of a key of another type.
fn key_like() -> impl Strategy<Value = String> {
    let kind = select(vec![
        "",
        "\"",
        "composite:",
        "date:",
        "time:",
        "float:",
        "decimal:",
        "bool:",
        "bytes:",
        "int:",
    ]);
    let rest = prop_oneof![
        scalar()
            .prop_map(|value| Key::from_value(&value).map_or(String::new(), |key| key.to_string())),
        "[-+0-9.e,:\"a\\\\]{0,8}",
        int().prop_map(|int| int.to_string()),
        Just("true".to_owned()),
    ];
    vec((kind, rest), 1..3).prop_map(|parts| {
        let parts: Vec<_> = parts
            .iter()
            .map(|(kind, rest)| format!("{kind}{rest}"))
            .collect();
        parts.join(",")
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        string().prop_map(Value::String),
        any::<i32>().prop_map(|days| Value::Date(Date(days))),
        int().prop_map(|micros| Value::Time(Timestamp(micros))),
        interval().prop_map(Value::Interval),
        any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid::from_bytes(bytes))),
        vec(select(&[0_u8, 1, 0xff][..]), 0..5).prop_map(Value::Bytes),
        (-180.0..=180.0, -90.0..=90.0).prop_map(|(lon, lat)| Point::new(lon, lat).unwrap().into()),
    ]
}

/// Intervals, often as long as others.
fn interval() -> impl Strategy<Value = Interval> {
    const DAY: i64 = 86_400_000_000;
    prop_oneof![
        (any::<i32>(), any::<i32>(), int())
            .prop_map(|(months, days, micros)| Interval::new(months, days, micros)),
        (-2..3, -31..32, -2_i64..3).prop_map(|(months, days, micros)| Interval::new(
            months,
            days,
            micros * DAY
        )),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            btree_map(string(), inner, 0..6).prop_map(Value::Map),
        ]
    })
}

/// Values that JSON says as they are.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        int().prop_map(Value::Int),
        float()
            .prop_filter("finite", |float| float.is_finite())
            .prop_map(Value::Float),
        string().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            btree_map(string(), inner, 0..6).prop_map(Value::Map),
        ]
    })
}

fn fields_map() -> impl Strategy<Value = BTreeMap<String, Value>> {
    btree_map("[a-e]{1,2}", value(), 0..8)
}

/// Names of fields that a search by words has to tell apart.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{1,9}",
        2 => "abcdefg[\\x00a-c]{0,3}",
        1 => (select(vec![253_usize, 254, 255, 256, 300]), "[a-c]{0,2}")
            .prop_map(|(len, end)| "a".repeat(len) + &end),
        1 => "[\\x01é\u{10ffff}]{1,4}",
    ]
}

/// Values of many sizes.
fn filling() -> impl Strategy<Value = Value> {
    let text = |len: usize| Value::String("x".repeat(len));
    prop_oneof![
        20 => (0_usize..3).prop_map(text),
        2 => (200_usize..300).prop_map(text),
        1 => Just(text(66_000)),
        2 => value(),
    ]
}

fn encoded(value: &Value) -> Vec<u8> {
    encode_value(value).unwrap()
}

fn key_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode_value_key(value, &mut out);
    out
}

/// A value and its neighbour: often equal by value, or nearly.
fn pair() -> impl Strategy<Value = (Value, Value)> {
    prop_oneof![
        (value(), value()),
        (number(), number()),
        number().prop_map(|number| {
            let same = match &number {
                Value::Int(int) => Value::Decimal(Decimal::from(*int)),
                Value::Float(float) => {
                    Decimal::from_f64_exact(*float).map_or(number.clone(), Value::Decimal)
                }
                Value::Decimal(decimal) => Value::Float(decimal.to_f64()),
                other => other.clone(),
            };
            (number, same)
        }),
        (vec(scalar(), 0..3), vec(scalar(), 0..3)).prop_map(|(a, b)| (a.into(), b.into())),
    ]
}

/// Reads everything a view offers; the point is that it returns.
fn read_all(value: RawValue<'_>) {
    let _ = value.to_value();
    let _ = (
        value.as_str(),
        value.as_int(),
        value.as_float(),
        value.as_decimal(),
    );
    let map = RawMap::trusted(value.as_bytes());
    let _ = (map.get("a"), map.get(""), map.iter().count());
    let _ = value
        .as_array()
        .map(|array| (array.get(0), array.iter().count()));
    let _ = (value.to_json(), value.cmp(&RawValue::NULL));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn values_survive_encoding(value in value()) {
        let bytes = encoded(&value);
        let raw = RawValue::validate(&bytes).unwrap();
        // Compared as bytes, which tell types apart where equality does not.
        prop_assert_eq!(encoded(&raw.to_value()), bytes.clone());
        prop_assert_eq!(raw.type_name(), value.type_name());
        prop_assert_eq!(compare(raw, &value), Ordering::Equal);
    }

    #[test]
    fn fields_survive_in_any_order(map in fields_map(), seed in any::<u64>()) {
        let fields = Fields::from_map(&map).unwrap();
        prop_assert_eq!(&Fields::from_bytes(fields.as_bytes()).unwrap(), &fields);
        for (name, value) in &map {
            prop_assert_eq!(encoded(&fields.get(name).unwrap().to_value()), encoded(value));
        }
        prop_assert!(fields.get("absent").is_none());
        let mut shuffled: Vec<_> = map.iter().collect();
        shuffled.sort_by_key(|(name, _)| {
            name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0193))
        });
        let mut builder = FieldsBuilder::new();
        for (name, value) in shuffled {
            builder.push_value(name, value).unwrap();
        }
        prop_assert_eq!(builder.finish().unwrap(), fields);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(prop_oneof![0_u8..20, any::<u8>()], 0..40)) {
        if RawValue::validate(&bytes).is_ok() {
            prop_assert_eq!(encoded(&RawValue::trusted(&bytes).to_value()), bytes.clone());
        }
        read_all(RawValue::trusted(&bytes));
        let mut rest = &bytes[..];
        if let Ok(value) = decode_value_key(&mut rest) {
            prop_assert_eq!(&key_bytes(&value)[..], &bytes[..bytes.len() - rest.len()]);
        }
    }

    #[test]
    fn damaged_bytes_never_panic(value in value(), at in any::<usize>(), new in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = encoded(&value);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = new }
        if RawValue::validate(&bytes).is_ok() {
            prop_assert_eq!(encoded(&RawValue::trusted(&bytes).to_value()), bytes.clone());
        }
        read_all(RawValue::trusted(&bytes));

        let mut key = key_bytes(&value);
        let at = at % key.len();
        if cut { key.truncate(at) } else { key[at] = new }
        let mut rest = &key[..];
        if let Ok(value) = decode_value_key(&mut rest) {
            prop_assert_eq!(&key_bytes(&value)[..], &key[..key.len() - rest.len()]);
        }
        if let Ok(id) = Key::from_bytes(key.clone()) {
            prop_assert_eq!(Key::from_values(&id.decode().unwrap()), Ok(id));
        }
    }

    #[test]
    fn keys_sort_as_values((a, b) in pair(), next in scalar()) {
        let order = a.cmp(&b);
        prop_assert_eq!(b.cmp(&a), order.reverse());
        prop_assert_eq!(key_bytes(&a).cmp(&key_bytes(&b)), order);
        let (bytes_a, bytes_b) = (encoded(&a), encoded(&b));
        let (raw_a, raw_b) = (RawValue::trusted(&bytes_a), RawValue::trusted(&bytes_b));
        prop_assert_eq!(raw_a.cmp(&raw_b), order);
        prop_assert_eq!(compare(raw_a, &b), order);
        prop_assert_eq!(compare(&a, raw_b.get()), order);

        // Components concatenate: what follows never outweighs what precedes.
        let composite = |first: &Value, second: &Value| {
            [key_bytes(first), key_bytes(second)].concat()
        };
        let expected = order.then(next.cmp(&Value::Bool(true)));
        prop_assert_eq!(composite(&a, &next).cmp(&composite(&b, &Value::Bool(true))), expected);

        // Reading back keeps the value, if not the type of a number.
        let key = key_bytes(&a);
        let mut rest = &key[..];
        prop_assert_eq!(decode_value_key(&mut rest), Ok(a));
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn order_is_transitive(mut values in vec(number(), 3..8), others in vec(value(), 0..4)) {
        values.extend(others);
        values.sort();
        for (i, a) in values.iter().enumerate() {
            prop_assert!(values[i..].iter().all(|b| a <= b), "{:?}", values);
        }
    }

    #[test]
    fn numbers_compare_as_exact_fractions(a in number(), b in number()) {
        let exact = |value: &Value| match value {
            Value::Int(int) => Some(Decimal::from(*int)),
            Value::Float(float) => Decimal::from_f64_exact(*float).ok(),
            Value::Decimal(decimal) => Some(decimal.clone()),
            _ => None,
        };
        if let (Some(exact_a), Some(exact_b)) = (exact(&a), exact(&b)) {
            let difference = exact_a.as_big_decimal() - exact_b.as_big_decimal();
            let order = difference.cmp(&bigdecimal::BigDecimal::from(0));
            prop_assert_eq!(a.cmp(&b), order);
        }
    }

    #[test]
    fn string_prefixes_are_key_prefixes(text in string(), other in string(), cut in 0_usize..5) {
        let prefix: String = text.chars().take(cut).collect();
        let mut bytes = Vec::new();
        encode_string_prefix(&prefix, &mut bytes);
        for string in [text, other] {
            let begins = string.starts_with(&prefix);
            prop_assert_eq!(key_bytes(&string.into()).starts_with(&bytes), begins);
        }
    }

    #[test]
    fn json_survives(value in json_value()) {
        let json = value.to_json();
        let back = Value::from_json(&json).unwrap();
        prop_assert_eq!(encoded(&back), encoded(&value));
        // The same text as the library's own tree gives and takes.
        let tree: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(encoded(&serde_json::from_value(tree.clone()).unwrap()), encoded(&value));
        prop_assert_eq!(encoded(&Value::from_json(&tree.to_string()).unwrap()), encoded(&value));
    }

    #[test]
    fn the_text_of_a_key_is_read_back_as_that_key(
        values in vec(prop_oneof![scalar(), key_like().prop_map(Value::String)], 1..4)
    ) {
        if let Ok(key) = Key::from_values(&values) {
            let text = key.to_string();
            prop_assert_eq!(Key::parse(&text), Ok(key), "{}", text);
        }
    }

    /// Whatever text is read, the key's own text means the same key.
    #[test]
    fn a_key_has_one_text(text in prop_oneof![key_like(), string()]) {
        if let Ok(key) = Key::parse(&text) {
            prop_assert_eq!(Key::parse(&key.to_string()), Ok(key), "{}", text);
        }
    }

    #[test]
    fn any_value_has_json(value in value()) {
        let json = RawValue::trusted(&encoded(&value)).to_json();
        prop_assert_eq!(value.to_json(), json.clone());
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }

    #[test]
    fn json_text_is_accepted_as_by_the_library(text in r#"[\[\]{}:,"\\a0-9.eE+ -]{0,16}"#) {
        // A duplicate name is the one thing that only this reader refuses.
        if let Err(error) = Value::from_json(&text) {
            let duplicate = error.message.contains("twice");
            prop_assert!(duplicate || serde_json::from_str::<serde_json::Value>(&text).is_err());
        } else {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }

    #[test]
    fn long_integers_stay_exact(numbers in vec(("-?[1-9][0-9]{0,40}", any::<bool>()), 1..6)) {
        let text: Vec<_> = numbers
            .iter()
            .map(|(digits, quoted)| if *quoted { format!("\"\\\"{digits}\"") } else { digits.clone() })
            .collect();
        let read = Value::from_json(&format!("[{}]", text.join(","))).unwrap();
        for ((digits, quoted), value) in numbers.iter().zip(read.as_array().unwrap()) {
            match value {
                Value::String(string) => prop_assert!(*quoted && string[1..] == *digits),
                Value::Int(int) => prop_assert_eq!(&int.to_string(), digits),
                Value::Decimal(decimal) => {
                    prop_assert!(digits.parse::<i64>().is_err());
                    prop_assert_eq!(&decimal.to_string(), digits);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn text_forms_come_back(micros in any::<i64>(), days in any::<i32>(), decimal in decimal()) {
        prop_assert_eq!(Timestamp(micros).to_string().parse(), Ok(Timestamp(micros)));
        prop_assert_eq!(Date(days).to_string().parse(), Ok(Date(days)));
        prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
    }

    #[test]
    fn ids_come_back_from_their_text(
        string in prop_oneof![string(), "-?[0-9]{1,3}", "\"?[0-9]\"?"], int in int(), uuid in any::<[u8; 16]>(),
    ) {
        for value in [string.into(), Value::Int(int), Uuid::from_bytes(uuid).into()] {
            let key = Key::from_value(&value).unwrap();
            prop_assert_eq!(Key::parse(&key.to_string()), Ok(key));
        }
    }

    #[test]
    fn paths_come_back_from_their_text(segments in vec(prop_oneof!["[a.`\" ]{0,4}", string()], 1..5)) {
        let path = Path::from_segments(segments).unwrap();
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn updates_of_fields_agree_with_a_map(
        map in fields_map(),
        changes in vec(("[a-e]{1,2}", proptest::option::of(scalar())), 0..8),
    ) {
        let operations: Vec<_> = changes
            .iter()
            .map(|(name, value)| match value.clone() {
                Some(value) => FieldOperation::Set { path: Path::field(name), value },
                None => FieldOperation::Unset { path: Path::field(name) },
            })
            .collect();
        let mut expected = map.clone();
        for (name, value) in changes {
            expected.remove(&name);
            expected.extend(value.map(|value| (name, value)));
        }
        let fields = Fields::from_map(&map).unwrap();
        let changed = apply(fields.as_raw(), &operations).unwrap();
        prop_assert_eq!(changed, Fields::from_map(&expected).unwrap());
    }

    /// Containers whose numbers take 1, 2 and 4 bytes, names that begin alike, long ones among them.
    #[test]
    fn updates_of_large_documents_agree_with_a_map(
        map in btree_map(name(), filling(), 0..400),
        changes in vec((name(), proptest::option::of(filling())), 0..12),
        gone in vec(any::<proptest::sample::Index>(), 0..40),
        spared in any::<bool>(),
    ) {
        let mut expected = map.clone();
        let mut operations = Vec::new();
        if !map.is_empty() {
            let names: Vec<_> = map.keys().collect();
            let all = names.iter().filter(|_| !spared);
            let gone = gone.iter().map(|index| index.get(&names)).chain(all);
            operations.extend(gone.map(|name| FieldOperation::Unset { path: Path::field(*name) }));
        }
        operations.extend(changes.into_iter().map(|(name, value)| match value {
            Some(value) => FieldOperation::Set { path: Path::field(&name), value },
            None => FieldOperation::Unset { path: Path::field(&name) },
        }));
        for operation in &operations {
            match operation {
                FieldOperation::Set { path, value } => {
                    expected.insert(path.first().to_owned(), value.clone());
                }
                _ => _ = expected.remove(operation.path().first()),
            }
        }
        let fields = Fields::from_map(&map).unwrap();
        for (name, value) in &map {
            let found = fields.as_raw().get(name).map(RawValue::to_value);
            prop_assert_eq!(found.as_ref(), Some(value));
        }
        let changed = apply(fields.as_raw(), &operations).unwrap();
        prop_assert_eq!(Fields::from_bytes(changed.as_bytes()), Ok(changed.clone()));
        for operation in &operations {
            let name = operation.path().first();
            let found = changed.as_raw().get(name).map(RawValue::to_value);
            prop_assert_eq!(found.as_ref(), expected.get(name));
        }
        prop_assert!(changed == Fields::from_map(&expected).unwrap());
        // The limit is the same for what is rewritten and for what is made anew.
        let len = changed.as_bytes().len();
        let with = |bytes_max| crate::update::apply_with_limit(fields.as_raw(), &operations, bytes_max);
        prop_assert!(with(len).is_ok());
        prop_assert!(with(len - 1).is_err());
    }
}
