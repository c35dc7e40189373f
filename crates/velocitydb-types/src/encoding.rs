//! The encoded form of values: compact, contiguous, canonical, readable without decoding.
//!
//! A value is one tag byte and a payload; its length is known from what holds it.
//!
//! ```text
//! tag       payload
//!  0        null: nothing             4  float: 8 bytes, little-endian (one NaN)
//!  1, 2     false, true: nothing      5  decimal: scale (i16), digits (minimal integer)
//!  3        int: minimal integer      6  string: UTF-8        10  bytes: themselves
//!  7        date: minimal integer     8  time: minimal integer
//!  9        uuid: 16 bytes           11  point: lon, lat as floats
//! 12 13 14  array \  count, end of each entry within the entries, then the entries;
//! 15 16 17  map   /  the numbers take 1, 2 or 4 bytes (the least that fits), by tag
//! 18        interval: months, days (i32), microseconds (i64)
//!
//! array entry: a value
//! map entry:   name length (1 byte, or 255 and 4 bytes), name, a value; sorted by name bytes
//! ```
//!
//! A minimal integer is little-endian two's complement without redundant high bytes; zero takes
//! none. Invariants: one value has exactly one encoding; names in a map are unique; containers
//! nest at most [`DEPTH_MAX`] deep. All numbers are little-endian.
//!
//! This module writes; `raw` reads, `validate` checks what comes from outside, `fields` holds
//! documents. Tests: golden bytes below, round trips in `proptests`.

use std::collections::BTreeMap;

use crate::error::ErrorClass;
use crate::raw::{RawMap, RawValue};
use crate::value_ref::ValueRef;
use crate::{DEPTH_MAX, DOCUMENT_BYTES_MAX, Decimal, Interval, Value};

/// The first byte of an encoded value.
pub(crate) mod tag {
    pub const NULL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const INT: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const DECIMAL: u8 = 5;
    pub const STRING: u8 = 6;
    pub const DATE: u8 = 7;
    pub const TIME: u8 = 8;
    pub const UUID: u8 = 9;
    pub const BYTES: u8 = 10;
    pub const POINT: u8 = 11;
    /// Arrays are tags 12 to 14, by the width of their numbers.
    pub const ARRAY: u8 = 12;
    /// Maps are tags 15 to 17, by the width of their numbers.
    pub const MAP: u8 = 15;
    /// Ends the containers.
    pub const INTERVAL: u8 = 18;
}

/// Bytes of a container's numbers, by tag minus [`tag::ARRAY`] or [`tag::MAP`].
pub(crate) const WIDTHS: [usize; 3] = [1, 2, 4];

/// A name length that says that four bytes of length follow.
pub(crate) const LONG_NAME: u8 = 255;

/// Why data cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Containers nest deeper than [`DEPTH_MAX`].
    #[error("nested more than {DEPTH_MAX} deep")]
    Depth,
    /// The encoded form would be larger than the limit.
    #[error("larger than {bytes_max} bytes when encoded")]
    Size {
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// A document's field has the empty name.
    #[error("a field needs a name")]
    EmptyName,
    /// A document's field has a name that begins with `_`.
    #[error("field name {name:?} is reserved: a leading _ is metadata")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// A map has a name twice.
    #[error("field {name:?} appears twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A document must be a map.
    #[error("a document is a map, not {found}")]
    NotAMap {
        /// The type given.
        found: &'static str,
    },
}

impl EncodeError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Depth | Self::Size { .. } => ErrorClass::Limit,
            Self::EmptyName
            | Self::ReservedName { .. }
            | Self::DuplicateName { .. }
            | Self::NotAMap { .. } => ErrorClass::Invalid,
        }
    }
}

/// The encoded form of any value. The name rules of documents do not apply.
///
/// # Errors
/// When the value nests too deep or is larger than [`DOCUMENT_BYTES_MAX`].
pub fn encode_value(value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(DOCUMENT_BYTES_MAX);
    encoder.value(value, 0)?;
    encoder.check_size(0)?;
    Ok(encoder.bytes)
}

/// The name rules of a document's fields.
pub(crate) fn check_field_name(name: &str) -> Result<(), EncodeError> {
    match name.as_bytes().first() {
        None => Err(EncodeError::EmptyName),
        Some(b'_') => Err(EncodeError::ReservedName {
            name: name.to_owned(),
        }),
        Some(_) => Ok(()),
    }
}

/// Bytes of the minimal form of an integer, 0 to 8.
#[inline]
pub(crate) fn int_len(int: i64) -> usize {
    let magnitude = if int < 0 { !int } else { int };
    match int {
        0 => 0,
        _ => (65 - magnitude.leading_zeros() as usize).div_ceil(8),
    }
}

/// Reads a minimal integer; `None` when it has more than eight bytes.
#[inline]
pub(crate) fn decode_int(payload: &[u8]) -> Option<i64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..payload.len())?.copy_from_slice(payload);
    match payload.len() {
        0 => Some(0),
        len => {
            let unused = 64 - 8 * len as u32;
            Some(i64::from_le_bytes(bytes) << unused >> unused)
        }
    }
}

/// One NaN for all, so that equal values have equal bytes on every machine.
pub(crate) fn canonical_float(float: f64) -> f64 {
    if float.is_nan() {
        f64::from_bits(CANONICAL_NAN)
    } else {
        float
    }
}

/// The positive quiet NaN without payload.
pub(crate) const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

/// The kind of a container being closed.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Array,
    Map,
}

/// A container being written: entries first, its header is put before them at the end.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    /// Where its entries begin in the encoder's bytes.
    start: usize,
    /// Where its entry ends begin in the encoder's stack of ends.
    first_end: usize,
    /// Where the last name lies in the encoder's bytes.
    last_name: Option<(usize, usize)>,
    /// Whether the names came in order.
    sorted: bool,
}

/// Writes encoded values into one buffer, without a tree and without an allocation per value.
pub(crate) struct Encoder {
    /// What is written so far.
    pub(crate) bytes: Vec<u8>,
    /// Ends of the entries of all open containers, each relative to its container's start.
    ends: Vec<u32>,
    bytes_max: usize,
}

impl Encoder {
    /// An encoder that refuses to write more than a number of bytes (at most 4 GiB).
    pub(crate) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(u32::MAX as usize);
        Self {
            bytes: Vec::with_capacity(128),
            ends: Vec::with_capacity(16),
            bytes_max,
        }
    }

    /// Forgets everything written.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// A point to come back to with [`Self::rewind`].
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.bytes.len(), self.ends.len())
    }

    /// Forgets everything written since a mark.
    pub(crate) fn rewind(&mut self, (bytes, ends): (usize, usize)) {
        self.bytes.truncate(bytes);
        self.ends.truncate(ends);
    }

    /// Checks the size with `more` bytes to come.
    pub(crate) fn check_size(&self, more: usize) -> Result<(), EncodeError> {
        match self.bytes.len() + more > self.bytes_max {
            true => Err(EncodeError::Size {
                bytes_max: self.bytes_max,
            }),
            false => Ok(()),
        }
    }

    fn tagged(&mut self, tag: u8, payload: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(payload);
    }

    fn tagged_int(&mut self, tag: u8, int: i64) {
        self.tagged(tag, &int.to_le_bytes()[..int_len(int)]);
    }

    pub(crate) fn null(&mut self) {
        self.bytes.push(tag::NULL);
    }

    pub(crate) fn bool(&mut self, bool: bool) {
        self.bytes.push(if bool { tag::TRUE } else { tag::FALSE });
    }

    pub(crate) fn int(&mut self, int: i64) {
        self.tagged_int(tag::INT, int);
    }

    pub(crate) fn float(&mut self, float: f64) {
        self.tagged(tag::FLOAT, &canonical_float(float).to_le_bytes());
    }

    pub(crate) fn decimal(&mut self, decimal: &Decimal) {
        self.bytes.push(tag::DECIMAL);
        decimal.encode(&mut self.bytes);
    }

    pub(crate) fn string(&mut self, string: &str) {
        self.tagged(tag::STRING, string.as_bytes());
    }

    fn interval(&mut self, interval: Interval) {
        self.bytes.push(tag::INTERVAL);
        self.bytes.extend_from_slice(&interval.months.to_le_bytes());
        self.bytes.extend_from_slice(&interval.days.to_le_bytes());
        self.bytes.extend_from_slice(&interval.micros.to_le_bytes());
    }

    /// Writes an owned value inside `depth` open containers.
    pub(crate) fn value(&mut self, value: &Value, depth: usize) -> Result<(), EncodeError> {
        match value {
            Value::Null => self.null(),
            Value::Bool(bool) => self.bool(*bool),
            Value::Int(int) => self.int(*int),
            Value::Float(float) => self.float(*float),
            Value::Decimal(decimal) => self.decimal(decimal),
            Value::String(string) => self.string(string),
            Value::Date(date) => self.tagged_int(tag::DATE, i64::from(date.0)),
            Value::Time(time) => self.tagged_int(tag::TIME, time.0),
            Value::Interval(interval) => self.interval(*interval),
            Value::Uuid(uuid) => self.tagged(tag::UUID, uuid.as_bytes()),
            Value::Bytes(bytes) => self.tagged(tag::BYTES, bytes),
            Value::Point(point) => self.tagged(tag::POINT, &point.to_bytes()),
            Value::Array(elements) => {
                let frame = self.open(depth)?;
                for element in elements {
                    self.value(element, depth + 1)?;
                    self.end_entry(&frame)?;
                }
                self.close(frame, Kind::Array)?;
            }
            Value::Map(map) => self.map(map, depth)?,
        }
        Ok(())
    }

    /// Writes an owned map inside `depth` open containers.
    pub(crate) fn map(
        &mut self,
        map: &BTreeMap<String, Value>,
        depth: usize,
    ) -> Result<(), EncodeError> {
        let mut frame = self.open(depth)?;
        for (name, value) in map {
            self.name(&mut frame, name)?;
            self.value(value, depth + 1)?;
            self.end_entry(&frame)?;
        }
        self.close(frame, Kind::Map)
    }

    /// Writes a borrowed value inside `depth` open containers.
    pub(crate) fn value_ref(
        &mut self,
        value: &ValueRef<'_>,
        depth: usize,
    ) -> Result<(), EncodeError> {
        match value {
            ValueRef::Null => self.null(),
            ValueRef::Bool(bool) => self.bool(*bool),
            ValueRef::Int(int) => self.int(*int),
            ValueRef::Float(float) => self.float(*float),
            ValueRef::Decimal(decimal) => self.decimal(decimal),
            ValueRef::Str(string) => self.string(string),
            ValueRef::Date(date) => self.tagged_int(tag::DATE, i64::from(date.0)),
            ValueRef::Time(time) => self.tagged_int(tag::TIME, time.0),
            ValueRef::Interval(interval) => self.interval(*interval),
            ValueRef::Uuid(uuid) => self.tagged(tag::UUID, uuid.as_bytes()),
            ValueRef::Bytes(bytes) => self.tagged(tag::BYTES, bytes),
            ValueRef::Point(point) => self.tagged(tag::POINT, &point.to_bytes()),
            ValueRef::Array(array) => self.raw(array.as_value(), depth)?,
            ValueRef::Map(map) => self.raw(map.as_value(), depth)?,
        }
        Ok(())
    }

    /// Copies an encoded value into `depth` open containers.
    pub(crate) fn raw(&mut self, value: RawValue<'_>, depth: usize) -> Result<(), EncodeError> {
        if value.is_container() && depth + value.depth() > DEPTH_MAX {
            return Err(EncodeError::Depth);
        }
        self.raw_within_depth(value)
    }

    /// Copies an encoded value that is known to nest within the bound.
    pub(crate) fn raw_within_depth(&mut self, value: RawValue<'_>) -> Result<(), EncodeError> {
        self.check_size(value.as_bytes().len())?;
        self.bytes.extend_from_slice(value.as_bytes());
        Ok(())
    }

    /// Begins a container inside `depth` open ones.
    pub(crate) fn open(&self, depth: usize) -> Result<Frame, EncodeError> {
        if depth >= DEPTH_MAX {
            return Err(EncodeError::Depth);
        }
        let (start, first_end) = self.mark();
        Ok(Frame {
            start,
            first_end,
            last_name: None,
            sorted: true,
        })
    }

    /// Writes the name of a map's next entry; its value follows.
    pub(crate) fn name(&mut self, frame: &mut Frame, name: &str) -> Result<(), EncodeError> {
        if name.len() >= usize::from(LONG_NAME) {
            self.check_size(name.len())?;
        }
        put_name(name, &mut self.bytes);
        let start = self.bytes.len() - name.len();
        if let Some((last_start, last_end)) = frame.last_name {
            match self.bytes[last_start..last_end].cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => {
                    return Err(EncodeError::DuplicateName {
                        name: name.to_owned(),
                    });
                }
                std::cmp::Ordering::Greater => frame.sorted = false,
            }
        }
        frame.last_name = Some((start, self.bytes.len()));
        Ok(())
    }

    /// Writes consecutive entries of another map, which come after what was written.
    pub(crate) fn entries_of(
        &mut self,
        frame: &mut Frame,
        map: RawMap<'_>,
        entries: std::ops::Range<usize>,
    ) -> Result<(), EncodeError> {
        let (bytes, ends) = map.run(entries);
        self.check_size(bytes.len())?;
        let start = self.bytes.len() - frame.start;
        self.bytes.extend_from_slice(bytes);
        let ends = ends.map(|end| u32::try_from(start + end));
        self.ends
            .extend(ends.map(|end| end.expect("the size limit is below 4 GiB")));
        // What comes next is known to come after these.
        frame.last_name = None;
        Ok(())
    }

    /// Ends an entry of the innermost open container.
    pub(crate) fn end_entry(&mut self, frame: &Frame) -> Result<(), EncodeError> {
        self.check_size(0)?;
        let end = u32::try_from(self.bytes.len() - frame.start);
        self.ends.push(end.expect("the size limit is below 4 GiB"));
        Ok(())
    }

    /// Ends the innermost open container: sorts it if needed and puts its header before it.
    pub(crate) fn close(&mut self, frame: Frame, kind: Kind) -> Result<(), EncodeError> {
        if !frame.sorted {
            self.sort(&frame)?;
        }
        let (start, end) = (frame.start, self.bytes.len());
        let count = self.ends.len() - frame.first_end;
        let width_index = width_index(count.max(end - start));
        let width = WIDTHS[width_index];
        let header = 1 + width * (1 + count);
        self.check_size(header)?;
        self.bytes.resize(end + header, 0);
        self.bytes.copy_within(start..end, start + header);
        let base = match kind {
            Kind::Array => tag::ARRAY,
            Kind::Map => tag::MAP,
        };
        self.bytes[start] = base + width_index as u8;
        let numbers = std::iter::once(count as u32).chain(self.ends.drain(frame.first_end..));
        let slots = self.bytes[start + 1..start + header].chunks_exact_mut(width);
        for (slot, number) in slots.zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes()[..width]);
        }
        Ok(())
    }

    /// Puts the entries of the innermost open map in the order of their names.
    fn sort(&mut self, frame: &Frame) -> Result<(), EncodeError> {
        let body = self.bytes[frame.start..].to_vec();
        let mut entries = Vec::with_capacity(self.ends.len() - frame.first_end);
        let mut start = 0;
        for &end in &self.ends[frame.first_end..] {
            let entry = &body[start..end as usize];
            let (name, _) = split_name(entry).expect("the encoder wrote a name into each entry");
            entries.push((name, entry));
            start = end as usize;
        }
        entries.sort_unstable_by_key(|&(name, _)| name);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let name = String::from_utf8_lossy(pair[0].0).into_owned();
            return Err(EncodeError::DuplicateName { name });
        }
        let mut end = 0;
        for (index, (_, entry)) in entries.iter().enumerate() {
            let at = frame.start + end;
            self.bytes[at..at + entry.len()].copy_from_slice(entry);
            end += entry.len();
            self.ends[frame.first_end + index] = end as u32;
        }
        Ok(())
    }
}

/// The index into [`WIDTHS`] of the least width that holds a number.
pub(crate) fn width_index(number: usize) -> usize {
    match number {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        _ => 2,
    }
}

/// Appends what a map's entry of this name begins with.
pub(crate) fn put_name(name: &str, bytes: &mut Vec<u8>) {
    match u8::try_from(name.len()) {
        Ok(len) if len != LONG_NAME => bytes.push(len),
        _ => {
            let len = u32::try_from(name.len()).expect("the size limit is below 4 GiB");
            bytes.push(LONG_NAME);
            bytes.extend_from_slice(&len.to_le_bytes());
        }
    }
    bytes.extend_from_slice(name.as_bytes());
}

/// The first bytes as a word, as far as they go.
#[inline]
pub(crate) fn first_word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        }
    }
}

/// The first eight of `len` bytes as a number that compares as they do; zeros behind their end.
#[inline]
pub(crate) fn ordered_word(bytes: &[u8], len: usize) -> u64 {
    let word = first_word(bytes).swap_bytes();
    match len {
        0 => 0,
        1..8 => word & (u64::MAX << (64 - 8 * len)),
        _ => word,
    }
}

/// The bits of a [`first_word`] that so many bytes fill; at least one byte.
#[inline]
pub(crate) fn word_mask(bytes: usize) -> u64 {
    u64::MAX >> (64 - 8 * bytes.min(8))
}

/// Splits a map entry into the bytes of its name and its encoded value.
#[inline]
pub(crate) fn split_name(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = entry.split_first()?;
    if first != LONG_NAME {
        return rest.split_at_checked(usize::from(first));
    }
    let (len, rest) = rest.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

/// Whether two names are the same: those of usual length by two words, without a call.
#[inline]
pub(crate) fn are_same(one: &[u8], other: &[u8]) -> bool {
    fn ends<const N: usize>(bytes: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
        (bytes.first_chunk(), bytes.last_chunk())
    }
    one.len() == other.len()
        && match one.len() {
            4..8 => ends::<4>(one) == ends::<4>(other),
            8..=16 => ends::<8>(one) == ends::<8>(other),
            _ => one == other,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Date, Point, RawMap, Timestamp, Uuid};

    fn golden(value: impl Into<Value>, expected: &[u8]) {
        let value = value.into();
        let bytes = encode_value(&value).unwrap();
        assert_eq!(bytes, expected, "{value:?}");
        assert_eq!(RawValue::validate(&bytes).unwrap().to_value(), value);
    }

    #[test]
    fn names_are_told_apart_at_each_of_their_bytes() {
        for len in 0..20 {
            let name: Vec<u8> = (0..len).collect();
            assert!(are_same(&name, &name.clone()));
            assert!(!are_same(&name, &[&name[..], &[0]].concat()));
            for at in 0..name.len() {
                let mut other = name.clone();
                other[at] ^= 0x80;
                assert!(!are_same(&name, &other), "{len} {at}");
            }
        }
    }

    #[test]
    fn golden_bytes_of_scalars() {
        golden(Value::Null, &[0]);
        golden(false, &[1]);
        golden(true, &[2]);
        golden(0_i64, &[3]);
        golden(1_i64, &[3, 1]);
        golden(-1_i64, &[3, 255]);
        golden(127_i64, &[3, 127]);
        golden(128_i64, &[3, 128, 0]);
        golden(-128_i64, &[3, 128]);
        golden(i64::MAX, &[3, 255, 255, 255, 255, 255, 255, 255, 127]);
        golden(i64::MIN, &[3, 0, 0, 0, 0, 0, 0, 0, 128]);
        golden(1.5, &[4, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
        golden(-f64::NAN, &[4, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]);
        golden("-12.34".parse::<Decimal>().unwrap(), &[5, 2, 0, 0x2e, 0xfb]);
        golden(Decimal::zero(), &[5, 0, 0]);
        golden("12e3".parse::<Decimal>().unwrap(), &[5, 0xfd, 0xff, 12]);
        golden("", &[6]);
        golden("hej", &[6, b'h', b'e', b'j']);
        golden(Date(20_000), &[7, 0x20, 0x4e]);
        golden(Timestamp(-1), &[8, 255]);
        let uuid = [9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        golden(Uuid::from_slice(&uuid[1..]).unwrap(), &uuid);
        golden(vec![0_u8, 255], &[10, 0, 255]);
        let point = [11, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0];
        golden(Point::new(1.5, -2.0).unwrap(), &point);
    }

    #[test]
    fn golden_bytes_of_containers() {
        golden(Vec::<Value>::new(), &[12, 0]);
        golden(BTreeMap::<String, Value>::new(), &[15, 0]);
        golden(
            vec![Value::Int(7), Value::Null, "x".into()],
            &[12, 3, 2, 3, 5, 3, 7, 0, 6, b'x'],
        );
        let map = BTreeMap::from([
            ("b".to_owned(), Value::Int(7)),
            ("".to_owned(), Value::Null),
        ]);
        golden(map, &[15, 2, 2, 6, 0, 0, 1, b'b', 3, 7]);
    }

    #[test]
    fn sizes_at_the_borders_of_widths_and_names() {
        // One string element of n bytes: tag, count, one end, string tag, string.
        for (len, size, tag) in [
            (254, 258, 12),
            (255, 261, 13),
            (65_534, 65_540, 13),
            (65_535, 65_545, 14),
        ] {
            let value = Value::from(vec![Value::from("x".repeat(len))]);
            let bytes = encode_value(&value).unwrap();
            assert_eq!((bytes.len(), bytes[0]), (size, tag), "{len}");
            assert_eq!(RawValue::validate(&bytes).unwrap().to_value(), value);
        }
        for (len, entry) in [(254, 1 + 254 + 1), (255, 5 + 255 + 1)] {
            let map = BTreeMap::from([("n".repeat(len), Value::Null)]);
            let bytes = encode_value(&Value::from(map.clone())).unwrap();
            assert_eq!(bytes.len(), 1 + 2 * 2 + entry, "{len}");
            assert_eq!(RawMap::validate(&bytes).unwrap().to_map(), map);
        }
        // 300 nulls fit one byte each but need a wider count.
        let nulls = encode_value(&Value::from(vec![Value::Null; 300])).unwrap();
        assert_eq!(nulls.len(), 1 + 2 + 300 * (2 + 1));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nested = |depth| (0..depth).fold(Value::Null, |value, _| Value::from(vec![value]));
        let deepest = encode_value(&nested(DEPTH_MAX)).unwrap();
        assert!(RawValue::validate(&deepest).is_ok());
        assert_eq!(
            encode_value(&nested(DEPTH_MAX + 1)),
            Err(EncodeError::Depth)
        );
        // The same, built around encoded bytes.
        let mut encoder = Encoder::new(1 << 20);
        assert_eq!(
            encoder.raw(RawValue::trusted(&deepest), 1),
            Err(EncodeError::Depth)
        );
        let mut small = Encoder::new(10);
        assert!(
            small
                .value(&Value::from(vec![Value::from("123456")]), 0)
                .is_ok()
        );
        small.clear();
        let refused = small.value(&Value::from(vec![Value::from("1234567")]), 0);
        assert_eq!(refused, Err(EncodeError::Size { bytes_max: 10 }));
    }
}
