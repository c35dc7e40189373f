//! What an index over JSON holds of a value: terms, by which values are proposed that may contain
//! another one.
//!
//! A term is a number, a hash of what it stands for: of different things it may be the same, so what
//! an index proposes is judged again. Every term of a part is one of the whole: when one value
//! contains another (in the sense of `@>`), it has all of its terms.
//!
//! | of | terms | serve |
//! | --- | --- | --- |
//! | [`TermsOf::Keys`] | each name of a member and each string in an array; each other scalar | `@>`, `?`, `?\|`, `?&` |
//! | [`TermsOf::Paths`] | each scalar with the names that lead to it (positions left out) | `@>` |
//!
//! Tests: below, and SQL's against all answers of a scan.

use crate::view::View;
use crate::{Value, encode_value_key};

/// What the terms are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermsOf {
    /// Names and scalars, each by itself: what `jsonb_ops` has.
    Keys,
    /// Scalars where they stand: what `jsonb_path_ops` has.
    Paths,
}

/// The terms of a value, ascending, each once. None of one without scalars and names.
pub fn json_terms(value: View<'_>, of: TermsOf) -> Vec<Value> {
    let mut terms = Vec::new();
    match of {
        // A value by itself is what it would be in an array.
        TermsOf::Keys => keys(value, true, &mut terms),
        TermsOf::Paths => paths(value, SEED, &mut terms),
    }
    terms.sort_unstable();
    terms.dedup();
    terms.into_iter().map(Value::Int).collect()
}

/// The term of a name, which is that of a string in an array too.
pub fn key_term(name: &str) -> Value {
    Value::Int(hashed(hash(SEED, b"k"), name.as_bytes()))
}

fn keys(value: View<'_>, in_array: bool, terms: &mut Vec<i64>) {
    match value {
        View::Map(map) => map.iter().for_each(|(name, value)| {
            terms.push(hashed(hash(SEED, b"k"), name));
            keys(value, false, terms);
        }),
        View::Array(array) => array.iter().for_each(|value| keys(value, true, terms)),
        View::Str(text) if in_array => terms.push(hashed(hash(SEED, b"k"), text)),
        scalar => terms.push(of_scalar(hash(SEED, b"v"), scalar)),
    }
}

fn paths(value: View<'_>, path: u64, terms: &mut Vec<i64>) {
    match value {
        View::Map(map) => map.iter().for_each(|(name, value)| {
            // The length keeps names apart from what is below them.
            let below = hash(hash(path, &(name.len() as u64).to_be_bytes()), name);
            paths(value, below, terms);
        }),
        View::Array(array) => array.iter().for_each(|value| paths(value, path, terms)),
        scalar => terms.push(of_scalar(path, scalar)),
    }
}

/// Equal numbers of different types have equal bytes.
fn of_scalar(path: u64, scalar: View<'_>) -> i64 {
    let mut bytes = Vec::new();
    encode_value_key(scalar, &mut bytes);
    hashed(path, &bytes)
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a. The numbers are in no file: an index is made anew at each start.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(seed, step)
}

fn hashed(seed: u64, bytes: &[u8]) -> i64 {
    hash(seed, bytes) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(json: &str, of: TermsOf) -> Vec<Value> {
        json_terms(View::from(&Value::from_json(json).unwrap()), of)
    }

    #[test]
    fn a_whole_has_the_terms_of_its_parts() {
        for (whole, part) in [
            (r#"{"a":{"b":1,"c":[1,2]},"d":"x"}"#, r#"{"a":{"b":1.0}}"#),
            (r#"{"a":{"b":1,"c":[1,2]},"d":"x"}"#, r#"{"a":{"c":[2]}}"#),
            (r#"["x",{"a":null}]"#, r#"[{"a":null}]"#),
            (r#"["x",1]"#, r#""x""#),
            (r#"["x",1]"#, "1"),
            (r#"[[1,["y"]]]"#, r#"[["y"]]"#),
        ] {
            for of in [TermsOf::Keys, TermsOf::Paths] {
                let whole_terms = terms(whole, of);
                let has = |term: &Value| whole_terms.contains(term);
                // `[["y"]]` is not in `[[1, ["y"]]]`, and proposed all the same.
                assert!(terms(part, of).iter().all(has), "{whole} {part} {of:?}");
            }
        }
        assert!(terms(r#"{"a":1}"#, TermsOf::Keys).contains(&key_term("a")));
        assert!(terms(r#"["a"]"#, TermsOf::Keys).contains(&key_term("a")));
        assert!(terms(r#""a""#, TermsOf::Keys).contains(&key_term("a")));
        assert!(!terms(r#"{"b":"a"}"#, TermsOf::Keys).contains(&key_term("a")));
    }

    #[test]
    fn terms_of_paths_tell_places_apart() {
        let of = |json| terms(json, TermsOf::Paths);
        assert_ne!(of(r#"{"a":{"b":1}}"#), of(r#"{"b":{"a":1}}"#));
        assert_ne!(of(r#"{"a":{"b":1}}"#), of(r#"{"ab":1}"#));
        assert_ne!(of(r#"{"a":"1"}"#), of(r#"{"a":1}"#));
        assert_eq!(of(r#"{"a":{},"b":[]}"#), []);
    }
}
