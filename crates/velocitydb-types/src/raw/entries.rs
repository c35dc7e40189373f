//! A container's entries one after the other, read from the numbers that say where each ends.

use super::{RawValue, read_number};
use crate::encoding::split_name;

/// Iterates over a container's encoded entries.
#[derive(Clone)]
pub(crate) struct EntryBytes<'a> {
    pub(super) entries: &'a [u8],
    /// Where those still to come end, in numbers of so many bytes.
    pub(super) ends: &'a [u8],
    pub(super) width: usize,
    /// Where the next one begins.
    pub(super) start: usize,
}

impl<'a> Iterator for EntryBytes<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = read_number(self.ends, 0, self.width)? as usize;
        self.ends = &self.ends[self.width..];
        let entry = self.entries.get(self.start..end);
        self.start = end;
        Some(entry.unwrap_or_default())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.ends.len() / self.width;
        (count, Some(count))
    }
}

/// Iterates over a map's names (as bytes) and values.
#[derive(Clone)]
pub(crate) struct MapEntries<'a>(pub(super) EntryBytes<'a>);

impl<'a> Iterator for MapEntries<'a> {
    type Item = (&'a [u8], RawValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, bytes) = split_name(self.0.next()?).unwrap_or_default();
        Some((name, RawValue { bytes }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for MapEntries<'_> {}
