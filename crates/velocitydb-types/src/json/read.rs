//! Reads JSON text, and whatever else serde formats for people say, into the encoded form.
//!
//! One visitor writes each value as it comes. Invariants: no tree, no allocation per value;
//! depth, size and names are judged as they are met, so that hostile text is refused at the
//! offending place.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::JsonError;
use crate::encoding::{EncodeError, Encoder, Frame, Kind, check_field_name};
use crate::error::ErrorClass;
use crate::raw::RawValue;
use crate::{DOCUMENT_BYTES_MAX, Decimal, Fields, Value};

/// Reads JSON text as a value.
pub(crate) fn read_value(text: &str) -> Result<Value, JsonError> {
    let encoder = read(text, DOCUMENT_BYTES_MAX, Names::Any)?;
    Ok(RawValue::trusted(&encoder.bytes).to_value())
}

/// Reads JSON text as a document's fields.
///
/// # Errors
/// With line and column: wrong JSON, no object, or what a document may not have.
pub fn read_fields(text: &str, bytes_max: usize) -> Result<Fields, JsonError> {
    let encoder = read(text, bytes_max, Names::Fields)?;
    if RawValue::trusted(&encoder.bytes).as_map().is_none() {
        let found = RawValue::trusted(&encoder.bytes).type_name();
        let message = EncodeError::NotAMap { found }.to_string();
        return Err(JsonError {
            message,
            line: 1,
            column: 1,
            class: ErrorClass::Invalid,
        });
    }
    Ok(Fields::from_encoder(&encoder))
}

/// Which names the outermost object may have.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    Any,
    /// Those of a document's fields.
    Fields,
}

fn read(text: &str, bytes_max: usize, names: Names) -> Result<Encoder, JsonError> {
    let mut reader = Reader::new(bytes_max, names);
    reader.exact = has_long_integer(text).then(|| exact_integers(text).into_iter());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // The reader counts depth itself, and to the same bound as everything else.
    deserializer.disable_recursion_limit();
    let read = Seed {
        reader: &mut reader,
        depth: 0,
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end());
    match read {
        Ok(()) => Ok(reader.encoder),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let mut message = error.to_string();
            let position = format!(" at line {line} column {column}");
            message.truncate(
                message
                    .strip_suffix(&position)
                    .map_or(message.len(), str::len),
            );
            // What nests too deep is read by nobody; what is too large may be only so here.
            let class = match reader.refused {
                None | Some(EncodeError::Depth) => ErrorClass::Invalid,
                Some(refused) => refused.class(),
            };
            Err(JsonError {
                message,
                line,
                column,
                class,
            })
        }
    }
}

/// The shortest run of digits that may be an integer beyond `i64`.
const LONG_DIGITS: usize = 19;

/// Whether there may be an integer beyond `i64`: looks at one byte in nineteen.
fn has_long_integer(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = LONG_DIGITS - 1;
    while at < bytes.len() {
        if digit(at) {
            let start = (0..at)
                .rev()
                .find(|&at| !digit(at))
                .map_or(0, |before| before + 1);
            let end = (at..).find(|&at| !digit(at)).unwrap_or(bytes.len());
            if end - start >= LONG_DIGITS {
                return true;
            }
            at = end;
        }
        at += LONG_DIGITS;
    }
    false
}

/// The numbers of a JSON text, in order. Of broken text, only what precedes the break is right.
pub fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            at += 1;
            match bytes[start] {
                b'"' => {
                    while at < bytes.len() && bytes[at] != b'"' {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                }
                b'-' | b'0'..=b'9' => {
                    let part =
                        |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                    at += bytes[at..].iter().take_while(part).count();
                    return Some(&text[start..at]);
                }
                _ => {}
            }
        }
        None
    })
}

/// Whether a number of a JSON text is an integer beyond `i64`: `serde_json` would round it.
pub fn is_long_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E']) && number.parse::<i64>().is_err()
}

/// For each number of a JSON text, in order: the decimal it must become, if it is an integer
/// beyond `i64`.
fn exact_integers(text: &str) -> Vec<Option<Decimal>> {
    // Too long for a decimal is too long for a float: never asked for, as the parser refuses it.
    let exact = |number: &str| number.parse().ok().filter(|_| is_long_integer(number));
    numbers(text).map(exact).collect()
}

/// Writes what a deserializer reads into the encoded form.
struct Reader {
    encoder: Encoder,
    names: Names,
    /// What [`exact_integers`] found, if there can be such integers.
    exact: Option<std::vec::IntoIter<Option<Decimal>>>,
    /// Why the data was refused, if not for its syntax.
    refused: Option<EncodeError>,
}

impl Reader {
    fn new(bytes_max: usize, names: Names) -> Self {
        Self {
            encoder: Encoder::new(bytes_max),
            names,
            exact: None,
            refused: None,
        }
    }

    fn refuse<E: serde::de::Error>(&mut self, error: EncodeError) -> E {
        let refusal = E::custom(&error);
        self.refused = Some(error);
        refusal
    }

    /// Writes a number by its exact value if it is one that must be, else as given.
    fn number(&mut self, given: impl FnOnce(&mut Encoder)) {
        match self.exact.as_mut().and_then(Iterator::next).flatten() {
            Some(exact) => self.encoder.decimal(&exact),
            None => given(&mut self.encoder),
        }
    }
}

/// Reads one value inside `depth` containers.
struct Seed<'r> {
    reader: &'r mut Reader,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.reader.encoder.null();
        Ok(())
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: serde::de::Error>(self, bool: bool) -> Result<(), E> {
        self.reader.encoder.bool(bool);
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, int: i64) -> Result<(), E> {
        self.reader.number(|encoder| encoder.int(int));
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, int: u64) -> Result<(), E> {
        self.reader.number(|encoder| match i64::try_from(int) {
            Ok(int) => encoder.int(int),
            Err(_) => {
                let decimal = Decimal::new(int.into(), 0);
                encoder.decimal(&decimal.expect("twenty digits are within a decimal's bounds"));
            }
        });
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, float: f64) -> Result<(), E> {
        self.reader.number(|encoder| encoder.float(float));
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, string: &str) -> Result<(), E> {
        let encoder = &mut self.reader.encoder;
        let checked = encoder.check_size(string.len());
        checked.map_err(|error| self.reader.refuse(error))?;
        self.reader.encoder.string(string);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { reader, depth } = self;
        let frame = reader
            .encoder
            .open(depth)
            .map_err(|error| reader.refuse(error))?;
        while seq
            .next_element_seed(Seed {
                reader,
                depth: depth + 1,
            })?
            .is_some()
        {
            reader
                .encoder
                .end_entry(&frame)
                .map_err(|error| reader.refuse(error))?;
        }
        reader
            .encoder
            .close(frame, Kind::Array)
            .map_err(|error| reader.refuse(error))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { reader, depth } = self;
        let mut frame = reader
            .encoder
            .open(depth)
            .map_err(|error| reader.refuse(error))?;
        while map
            .next_key_seed(Name {
                reader,
                frame: &mut frame,
                depth,
            })?
            .is_some()
        {
            map.next_value_seed(Seed {
                reader,
                depth: depth + 1,
            })?;
            reader
                .encoder
                .end_entry(&frame)
                .map_err(|error| reader.refuse(error))?;
        }
        reader
            .encoder
            .close(frame, Kind::Map)
            .map_err(|error| reader.refuse(error))
    }
}

/// Reads one name of a map inside `depth` containers.
struct Name<'r> {
    reader: &'r mut Reader,
    frame: &'r mut Frame,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        let Self {
            reader,
            frame,
            depth,
        } = self;
        let allowed = match reader.names {
            Names::Fields if depth == 0 => check_field_name(name),
            _ => Ok(()),
        };
        allowed
            .and_then(|()| reader.encoder.name(frame, name))
            .map_err(|error| reader.refuse(error))
    }
}

/// The encoded bytes of a value: as they are, or from a format for people, encoded now.
pub(crate) fn deserialize_encoded<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Box<[u8]>, D::Error> {
    if !deserializer.is_human_readable() {
        return deserializer.deserialize_bytes(BytesVisitor);
    }
    let mut reader = Reader::new(DOCUMENT_BYTES_MAX, Names::Any);
    Seed {
        reader: &mut reader,
        depth: 0,
    }
    .deserialize(deserializer)?;
    Ok(reader.encoder.bytes.into_boxed_slice())
}

/// Takes bytes from any format.
pub(crate) struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Box<[u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Box<[u8]>, E> {
        Ok(bytes.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Box<[u8]>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            if bytes.len() == DOCUMENT_BYTES_MAX {
                return Err(A::Error::custom("too many bytes"));
            }
            bytes.push(byte);
        }
        Ok(bytes.into_boxed_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::has_long_integer;

    #[test]
    fn long_runs_of_digits_are_found_wherever_they_are() {
        for (text, long) in [
            ("1234567890123456789", true),
            ("123456789012345678", false),
            ("[123456789012345678,123456789012345678]", false),
            ("xxxxxxxxxxxxxxxxx 1234567890123456789 ", true),
        ] {
            assert_eq!(has_long_integer(text), long, "{text}");
        }
        for before in 0..60 {
            for after in [0, 1, 30] {
                let around =
                    |digits: usize| "x".repeat(before) + &"7".repeat(digits) + &"x".repeat(after);
                assert!(has_long_integer(&around(19)) && !has_long_integer(&around(18)));
            }
        }
    }
}
