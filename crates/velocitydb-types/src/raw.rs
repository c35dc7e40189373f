//! Borrowed views of encoded values: read one field without decoding the rest.
//!
//! A view is a slice and a few numbers, [`Copy`], and allocates nothing (a decimal's digits
//! aside). There are two ways in. `validate` checks bytes from outside once, completely.
//! `trusted` believes that these very bytes were validated before, or written by this crate.
//! Invariant: nothing here reads out of bounds or panics even on broken bytes; there a trusted
//! view answers with nulls, empty strings and absent fields, and such an answer means that the
//! invariant was violated by whoever called `trusted`.
//!
//! Tests: below for reading; `validate` and `proptests` for broken bytes.

use std::collections::BTreeMap;

use crate::encoding::{
    LONG_NAME, WIDTHS, are_same, decode_int, first_word, ordered_word, split_name, tag, word_mask,
};
use crate::validate::{self, DecodeError};
use crate::{Date, Decimal, Interval, Path, Point, Timestamp, Uuid, Value, ValueRef};

mod entries;

pub(crate) use entries::{EntryBytes, MapEntries};

/// One encoded value.
#[derive(Clone, Copy)]
pub struct RawValue<'a> {
    bytes: &'a [u8],
}

/// One encoded array.
#[derive(Clone, Copy)]
pub struct RawArray<'a>(Container<'a>);

/// One encoded map: a document's fields, or a map within.
#[derive(Clone, Copy)]
pub struct RawMap<'a>(Container<'a>);

/// What array and map have in common: a count, entry ends, entries.
#[derive(Clone, Copy)]
struct Container<'a> {
    /// Tag included.
    bytes: &'a [u8],
    count: u32,
    /// Bytes of each number, 1, 2 or 4.
    width: u8,
}

impl<'a> Container<'a> {
    /// The container with a base tag; `None` for anything else.
    #[inline]
    fn read(bytes: &'a [u8], base: u8) -> Option<Self> {
        let index = bytes.first()?.checked_sub(base)?;
        let width = *WIDTHS.get(usize::from(index))?;
        let count = read_number(bytes, 1, width)?;
        Some(Self {
            bytes,
            count,
            width: width as u8,
        })
    }

    fn empty(bytes: &'static [u8]) -> Self {
        Self {
            bytes,
            count: 0,
            width: 1,
        }
    }

    fn len(&self) -> usize {
        self.count as usize
    }

    /// The bytes of an entry.
    #[inline]
    fn entry(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.len() {
            return None;
        }
        let width = usize::from(self.width);
        let ends = 1 + width;
        let start = match index {
            0 => 0,
            _ => read_number(self.bytes, ends + (index - 1) * width, width)?,
        };
        let end = read_number(self.bytes, ends + index * width, width)?;
        let entries = ends + self.len() * width;
        self.bytes
            .get(entries + start as usize..entries + end as usize)
    }
}

impl Container<'_> {
    /// Where an entry begins, or the last one ends.
    fn start(&self, index: usize) -> usize {
        let (width, len) = (usize::from(self.width), self.len());
        let ends = 1 + width;
        let end = match index.min(len).checked_sub(1) {
            None => Some(0),
            Some(before) => read_number(self.bytes, ends + before * width, width),
        };
        ends + len * width + end.unwrap_or(0) as usize
    }
}

#[inline]
fn read_number(bytes: &[u8], at: usize, width: usize) -> Option<u32> {
    match width {
        1 => bytes.get(at).map(|&byte| u32::from(byte)),
        2 => {
            let bytes = bytes.get(at..at + 2)?.first_chunk::<2>()?;
            Some(u32::from(u16::from_le_bytes(*bytes)))
        }
        _ => Some(u32::from_le_bytes(
            *bytes.get(at..at + 4)?.first_chunk::<4>()?,
        )),
    }
}

/// UTF-8 that was validated before.
fn trusted_str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl<'a> RawValue<'a> {
    /// Null.
    pub const NULL: RawValue<'static> = RawValue {
        bytes: &[tag::NULL],
    };

    /// Checks bytes from outside completely.
    ///
    /// # Errors
    /// When they are not exactly the encoding of a value.
    pub fn validate(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        validate::value(bytes)?;
        Ok(Self { bytes })
    }

    /// Views bytes that were validated before, or written by this crate.
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The encoded bytes, tag included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub(crate) fn tag(self) -> u8 {
        self.bytes.first().copied().unwrap_or(tag::NULL)
    }

    #[inline]
    pub(crate) fn payload(self) -> &'a [u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    /// The value by type.
    pub fn get(self) -> ValueRef<'a> {
        self.read().unwrap_or(ValueRef::Null)
    }

    fn read(self) -> Option<ValueRef<'a>> {
        let payload = self.payload();
        Some(match self.tag() {
            tag::NULL => ValueRef::Null,
            tag::FALSE => ValueRef::Bool(false),
            tag::TRUE => ValueRef::Bool(true),
            tag::INT => ValueRef::Int(decode_int(payload)?),
            tag::FLOAT => ValueRef::Float(self.as_float()?),
            tag::DECIMAL => ValueRef::Decimal(Decimal::decode(payload)?),
            tag::STRING => ValueRef::Str(trusted_str(payload)),
            tag::DATE => ValueRef::Date(self.as_date()?),
            tag::TIME => ValueRef::Time(Timestamp(decode_int(payload)?)),
            tag::UUID => ValueRef::Uuid(Uuid::from_slice(payload).ok()?),
            tag::BYTES => ValueRef::Bytes(payload),
            tag::POINT => ValueRef::Point(Point::from_bytes(payload)?),
            tag::ARRAY..tag::MAP => ValueRef::Array(self.as_array()?),
            tag::INTERVAL => ValueRef::Interval(self.as_interval()?),
            _ => ValueRef::Map(self.as_map()?),
        })
    }

    /// The type's name, as in [`crate::FIELD_TYPES`] (and `null`).
    pub fn type_name(self) -> &'static str {
        match self.tag() {
            tag::FALSE | tag::TRUE => "bool",
            tag::INT => "int",
            tag::FLOAT => "float",
            tag::DECIMAL => "decimal",
            tag::STRING => "string",
            tag::DATE => "date",
            tag::TIME => "time",
            tag::UUID => "uuid",
            tag::BYTES => "bytes",
            tag::POINT => "point",
            tag::ARRAY..tag::MAP => "array",
            tag::MAP..tag::INTERVAL => "map",
            tag::INTERVAL => "interval",
            _ => "null",
        }
    }

    /// Whether this is null.
    pub fn is_null(self) -> bool {
        self.tag() == tag::NULL
    }

    /// Whether this is an array or a map.
    pub fn is_container(self) -> bool {
        (tag::ARRAY..tag::INTERVAL).contains(&self.tag())
    }

    /// The bool, if this is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.tag() {
            tag::FALSE => Some(false),
            tag::TRUE => Some(true),
            _ => None,
        }
    }

    /// The integer, if this is one (not an integral float).
    #[inline]
    pub fn as_int(self) -> Option<i64> {
        if self.tag() != tag::INT {
            return None;
        }
        decode_int(self.payload())
    }

    /// The float, if this is one (not an integer).
    #[inline]
    pub fn as_float(self) -> Option<f64> {
        if self.tag() != tag::FLOAT {
            return None;
        }
        Some(f64::from_le_bytes(
            <[u8; 8]>::try_from(self.payload()).ok()?,
        ))
    }

    /// The decimal, if this is one.
    pub fn as_decimal(self) -> Option<Decimal> {
        (self.tag() == tag::DECIMAL).then(|| Decimal::decode(self.payload()))?
    }

    /// The digits and the scale of a decimal of at most 38 digits or so, if this is one.
    #[inline]
    pub fn as_small_decimal(self) -> Option<(i128, i64)> {
        (self.tag() == tag::DECIMAL).then(|| Decimal::decode_small(self.payload()))?
    }

    /// The string, if this is one. Checks the UTF-8; [`Self::as_str_bytes`] does not.
    #[inline]
    pub fn as_str(self) -> Option<&'a str> {
        self.as_str_bytes().map(trusted_str)
    }

    /// The bytes of the string, if this is one: enough to compare or hash it.
    #[inline]
    pub fn as_str_bytes(self) -> Option<&'a [u8]> {
        (self.tag() == tag::STRING).then(|| self.payload())
    }

    /// The day, if this is one.
    pub fn as_date(self) -> Option<Date> {
        if self.tag() != tag::DATE {
            return None;
        }
        i32::try_from(decode_int(self.payload())?).ok().map(Date)
    }

    /// The moment, if this is one.
    pub fn as_time(self) -> Option<Timestamp> {
        if self.tag() != tag::TIME {
            return None;
        }
        decode_int(self.payload()).map(Timestamp)
    }

    /// The interval, if this is one.
    pub fn as_interval(self) -> Option<Interval> {
        if self.tag() != tag::INTERVAL {
            return None;
        }
        let (months, rest) = self.payload().split_first_chunk()?;
        let (days, micros) = rest.split_first_chunk()?;
        Some(Interval {
            months: i32::from_le_bytes(*months),
            days: i32::from_le_bytes(*days),
            micros: i64::from_le_bytes(micros.try_into().ok()?),
        })
    }

    /// The UUID, if this is one.
    pub fn as_uuid(self) -> Option<Uuid> {
        if self.tag() != tag::UUID {
            return None;
        }
        Uuid::from_slice(self.payload()).ok()
    }

    /// The raw bytes, if this is such a value (not a string).
    pub fn as_byte_string(self) -> Option<&'a [u8]> {
        (self.tag() == tag::BYTES).then(|| self.payload())
    }

    /// The point, if this is one.
    pub fn as_point(self) -> Option<Point> {
        if self.tag() != tag::POINT {
            return None;
        }
        Point::from_bytes(self.payload())
    }

    /// The array, if this is one.
    #[inline]
    pub fn as_array(self) -> Option<RawArray<'a>> {
        Container::read(self.bytes, tag::ARRAY).map(RawArray)
    }

    /// The map, if this is one.
    #[inline]
    pub fn as_map(self) -> Option<RawMap<'a>> {
        Container::read(self.bytes, tag::MAP).map(RawMap)
    }

    /// What a path leads to from here: names through maps, positions through arrays.
    pub fn get_path(self, path: &Path) -> Option<RawValue<'a>> {
        self.get_segments(path.segments())
    }

    pub(crate) fn get_segments(self, segments: &[String]) -> Option<RawValue<'a>> {
        let mut value = self;
        for segment in segments {
            value = match value.as_map() {
                Some(map) => map.get(segment)?,
                None => value.as_array()?.get(Path::position(segment)?)?,
            };
        }
        Some(value)
    }

    /// Containers inside containers, this one included; 0 for a scalar.
    pub(crate) fn depth(self) -> usize {
        let inner = match self.get() {
            ValueRef::Array(array) => array.iter().map(Self::depth).max(),
            ValueRef::Map(map) => map.entries().map(|(_, value)| value.depth()).max(),
            _ => return 0,
        };
        1 + inner.unwrap_or(0)
    }

    /// The value, owned.
    pub fn to_value(self) -> Value {
        self.get().to_value()
    }
}

impl<'a> RawArray<'a> {
    /// Number of elements.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at a position from 0.
    pub fn get(self, index: usize) -> Option<RawValue<'a>> {
        self.0.entry(index).map(RawValue::trusted)
    }

    /// The elements in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = RawValue<'a>> + Clone {
        (0..self.readable()).map(move |index| self.get(index).unwrap_or(RawValue::NULL))
    }

    /// The count, but for broken bytes that promise more entries than they have bytes for.
    fn readable(self) -> usize {
        self.len().min(self.0.bytes.len())
    }

    /// The encoded bytes, tag included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0.bytes
    }

    /// This array as a value.
    pub fn as_value(self) -> RawValue<'a> {
        RawValue {
            bytes: self.0.bytes,
        }
    }
}

impl<'a> RawMap<'a> {
    /// The map without fields.
    pub fn empty() -> RawMap<'static> {
        RawMap(Container::empty(&[tag::MAP, 0]))
    }

    /// Checks bytes from outside completely. The name rules of documents are
    /// [`crate::Fields::from_bytes`]'s.
    ///
    /// # Errors
    /// When they are not exactly the encoding of a map.
    pub fn validate(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        validate::value(bytes)?;
        RawValue { bytes }.as_map().ok_or(DecodeError {
            offset: 0,
            reason: "not a map",
        })
    }

    /// Views bytes that were validated before, or written by this crate; anything but a map
    /// reads as an empty one.
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        RawValue { bytes }
            .as_map()
            .unwrap_or_else(|| RawMap::empty())
    }

    /// The encoded bytes, tag included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0.bytes
    }

    /// This map as a value.
    pub fn as_value(self) -> RawValue<'a> {
        RawValue {
            bytes: self.0.bytes,
        }
    }

    /// Number of fields.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a name: by a walk in a small map, by binary search in others.
    pub fn get(self, name: &str) -> Option<RawValue<'a>> {
        let name = name.as_bytes();
        if self.len() <= WALK_MAX && name.len() < usize::from(LONG_NAME) {
            return self.walk_to(name);
        }
        let (_, value) = split_name(self.0.entry(self.place(name)?)?)?;
        Some(RawValue { bytes: value })
    }

    /// As [`Self::get`], for the same name in many maps: looks first at the place where it was in
    /// the map before, which among documents of one form is where it is again.
    #[inline]
    pub fn get_near(self, name: &str, place: &mut usize) -> Option<RawValue<'a>> {
        let at = |place: usize| split_name(self.0.entry(place)?);
        match at(*place) {
            Some((found, value)) if are_same(found, name.as_bytes()) => {
                Some(RawValue { bytes: value })
            }
            _ => {
                *place = self.place(name.as_bytes())?;
                let (_, value) = at(*place)?;
                Some(RawValue { bytes: value })
            }
        }
    }

    /// Which entry has a name.
    fn place(self, name: &[u8]) -> Option<usize> {
        self.search(name).ok()
    }

    /// Which entry has a name, or before which one it would stand.
    pub(crate) fn search(self, name: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        let word = ordered_word(name, name.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.0.entry(middle).ok_or(middle)?;
            let (found, _) = split_name(entry).ok_or(middle)?;
            // Mostly the first words decide. A name of usual length stands behind one byte.
            let order = match found.len() < usize::from(LONG_NAME) {
                true => ordered_word(&entry[1..], found.len()).cmp(&word),
                false => std::cmp::Ordering::Equal,
            };
            match order.then_with(|| found.cmp(name)) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// The bytes of consecutive entries, and where in them each ends.
    pub(crate) fn run(
        self,
        entries: std::ops::Range<usize>,
    ) -> (&'a [u8], impl Iterator<Item = usize>) {
        let start = self.0.start(entries.start);
        let bytes = self.0.bytes.get(start..self.0.start(entries.end));
        let ends = entries.map(move |entry| self.0.start(entry + 1) - start);
        (bytes.unwrap_or_default(), ends)
    }

    /// [`Self::get`] of a short name: a word tells almost every other apart.
    fn walk_to(self, name: &[u8]) -> Option<RawValue<'a>> {
        let value_at = 1 + name.len();
        let word = first_word(name) << 8 | name.len() as u64;
        let mask = word_mask(value_at);
        let mut found = None;
        self.all_entries(|bytes, len| {
            if (first_word(bytes) ^ word) & mask == 0
                && (value_at <= 8 || bytes.get(1..value_at) == Some(name))
            {
                found = bytes.get(value_at..len);
            }
            found.is_none()
        });
        found.map(RawValue::trusted)
    }

    /// What a path leads to: names through maps, positions through arrays.
    pub fn get_path(self, path: &Path) -> Option<RawValue<'a>> {
        let first = self.get(path.first())?;
        first.get_segments(path.rest())
    }

    /// [`Self::get_path`], as [`Self::get_near`] finds the first name.
    pub fn get_path_near(self, path: &Path, place: &mut usize) -> Option<RawValue<'a>> {
        let first = self.get_near(path.first(), place)?;
        first.get_segments(path.rest())
    }

    /// Names and values in the order of the names' bytes.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (&'a str, RawValue<'a>)> + Clone {
        self.entries()
            .map(|(name, value)| (trusted_str(name), value))
    }

    /// Like [`Self::iter`], the names as bytes.
    pub(crate) fn entries(self) -> MapEntries<'a> {
        MapEntries(self.entry_bytes())
    }

    /// The encoded entries, each a name and a value.
    #[inline]
    pub(crate) fn entry_bytes(self) -> EntryBytes<'a> {
        let width = usize::from(self.0.width);
        let ends = 1 + width..1 + width + self.len() * width;
        EntryBytes {
            entries: self.0.bytes.get(ends.end..).unwrap_or_default(),
            ends: self.0.bytes.get(ends).unwrap_or_default(),
            width,
            start: 0,
        }
    }

    /// Calls `judge` with the bytes from each entry on, and the entry's length, while it answers
    /// `true`; whether it always did.
    #[inline]
    pub(crate) fn all_entries(self, mut judge: impl FnMut(&'a [u8], usize) -> bool) -> bool {
        let EntryBytes {
            entries,
            ends,
            width,
            ..
        } = self.entry_bytes();
        let mut start = 0;
        let mut next = |end: usize| {
            let (bytes, len) = (entries.get(start..), end.wrapping_sub(start));
            start = end;
            judge(bytes.unwrap_or_default(), len)
        };
        match width {
            1 => ends.iter().all(|&end| next(end.into())),
            2 => {
                let (ends, _) = ends.as_chunks::<2>();
                ends.iter().all(|&end| next(u16::from_le_bytes(end).into()))
            }
            _ => {
                let (ends, _) = ends.as_chunks::<4>();
                ends.iter()
                    .all(|&end| next(u32::from_le_bytes(end) as usize))
            }
        }
    }

    /// The map, owned.
    pub fn to_map(self) -> BTreeMap<String, Value> {
        self.iter()
            .map(|(name, value)| (name.to_owned(), value.to_value()))
            .collect()
    }
}

/// Names of which walking over all is faster than searching.
const WALK_MAX: usize = 16;

impl std::fmt::Debug for RawValue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_value().fmt(f)
    }
}

impl std::fmt::Debug for RawArray<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_value().fmt(f)
    }
}

impl std::fmt::Debug for RawMap<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_value().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fields;

    #[test]
    fn one_field_is_read_without_the_rest() {
        let fields = Fields::from_json(
            r#"{"name":"ada","age":36,"tags":["a",{"deep":true}],"none":null,"score":1.5}"#,
        )
        .unwrap();
        let map = fields.as_raw();
        assert_eq!(map.len(), 5);
        assert_eq!(map.get("name").unwrap().as_str(), Some("ada"));
        assert_eq!(map.get("age").unwrap().as_int(), Some(36));
        assert_eq!(map.get("age").unwrap().as_float(), None);
        assert_eq!(map.get("score").unwrap().as_float(), Some(1.5));
        assert!(map.get("none").unwrap().is_null());
        assert!(map.get("nam").is_none() && map.get("names").is_none() && map.get("").is_none());
        let deep: Path = "tags.1.deep".parse().unwrap();
        assert_eq!(map.get_path(&deep).unwrap().as_bool(), Some(true));
        for absent in ["tags.2", "tags.x", "tags.01", "age.0", "tags.1.deep.er"] {
            assert!(map.get_path(&absent.parse().unwrap()).is_none(), "{absent}");
        }
        let names: Vec<&str> = map.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["age", "name", "none", "score", "tags"]);
        assert_eq!(map.as_value().depth(), 3);
    }

    #[test]
    fn a_field_is_found_wherever_it_was_before() {
        let many: String = (0..20).map(|n| format!(r#""f{n}":{n},"#)).collect();
        let many = format!("{{{many}\"a\":[]}}");
        let forms = [r#"{"a":1,"b":2}"#, r#"{"b":3}"#, "{}", many.as_str()];
        let forms = forms.map(|json| Fields::from_json(json).unwrap());
        for start in [0, 1, 7, usize::MAX] {
            for name in ["a", "b", "f19", "", "zz"] {
                let mut place = start;
                for fields in forms.iter().chain(forms.iter().rev()) {
                    let near = fields.as_raw().get_near(name, &mut place);
                    let found = fields.get(name);
                    assert_eq!(near.map(RawValue::as_bytes), found.map(RawValue::as_bytes));
                }
            }
        }
    }

    #[test]
    fn trusted_views_of_broken_bytes_stay_within_bounds() {
        for bytes in [
            &[][..],
            &[15],
            &[17, 255, 255, 255, 255],
            &[15, 200, 1],
            &[99],
            &[3; 20],
        ] {
            assert!(RawMap::trusted(bytes).get("a").is_none());
            assert!(RawMap::trusted(bytes).get_near("a", &mut 3).is_none());
            let value = RawValue::trusted(bytes);
            let _ = (
                value.to_value(),
                value.as_str(),
                value.as_array().map(|array| array.get(7)),
            );
        }
        assert!(RawMap::trusted(&[3, 1]).is_empty());
    }
}
