//! Byte strings in order, packed into one piece of memory that never changes.
//!
//! ```text
//!   count (2) | prefix length (2) | end of each suffix (2 each) | prefix | suffixes
//! ```
//!
//! What all entries begin with is stored once. A change makes a new piece, almost always by four
//! copies. Tests: below, and the tree's.

use crate::store::record;

/// See the module. At most 64 KiB of suffixes.
pub(super) struct Packed(Box<[u8]>);

const HEADER: usize = 4;
const END: usize = 2;

/// An entry in two parts, one after the other.
pub(super) type Parts<'a> = (&'a [u8], &'a [u8]);

/// All but the first bytes of an entry.
fn skip<'a>((head, tail): Parts<'a>, bytes: usize) -> Parts<'a> {
    match bytes.checked_sub(head.len()) {
        Some(of_tail) => (&[], &tail[of_tail..]),
        None => (&head[bytes..], tail),
    }
}

fn len((head, tail): Parts<'_>) -> usize {
    head.len() + tail.len()
}

/// How many bytes two entries begin with alike.
pub(super) fn common(one: Parts<'_>, other: Parts<'_>) -> usize {
    let (one, other) = (one.0.iter().chain(one.1), other.0.iter().chain(other.1));
    one.zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

fn number(at: usize) -> [u8; 2] {
    u16::try_from(at)
        .expect("a node is smaller than 64 KiB")
        .to_le_bytes()
}

/// The first eight bytes as a number that compares as they do; zeros behind the end.
#[inline]
fn first_word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(word) => u64::from_be_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_be_bytes(word)
        }
    }
}

/// `one.cmp(other)`, where `word` is the first of the other's: mostly it decides.
#[inline]
fn compare(one: &[u8], other: &[u8], word: u64) -> std::cmp::Ordering {
    first_word(one).cmp(&word).then_with(|| one.cmp(other))
}

/// How many bytes all entries, which are in order, begin with alike.
fn common_of_all(entries: &[Parts<'_>]) -> usize {
    match entries {
        [] => 0,
        [only] => len(*only),
        [first, .., last] => common(*first, *last),
    }
}

/// What entries take once they are packed.
pub(super) fn bytes_of(entries: &[Parts<'_>]) -> usize {
    let all = entries.iter().map(|entry| len(*entry)).sum::<usize>();
    let again = common_of_all(entries) * entries.len().saturating_sub(1);
    HEADER + END * entries.len() + all - again
}

impl Packed {
    /// Packs entries that are in order.
    pub(super) fn new(entries: &[Parts<'_>]) -> Packed {
        let prefix = common_of_all(entries);
        let suffixes = entries
            .iter()
            .map(|entry| len(*entry) - prefix)
            .sum::<usize>();
        let bytes = HEADER + END * entries.len() + prefix + suffixes;
        let mut packed = Vec::with_capacity(bytes);
        packed.extend_from_slice(&number(entries.len()));
        packed.extend_from_slice(&number(prefix));
        let mut end = 0;
        for entry in entries {
            end += len(*entry) - prefix;
            packed.extend_from_slice(&number(end));
        }
        if let Some((head, tail)) = entries.first() {
            packed.extend(head.iter().chain(*tail).take(prefix));
        }
        for entry in entries {
            let (head, tail) = skip(*entry, prefix);
            packed.extend_from_slice(head);
            packed.extend_from_slice(tail);
        }
        Packed(packed.into())
    }

    fn read(&self, at: usize) -> usize {
        let bytes = self.0.get(at..at + 2).and_then(|bytes| bytes.first_chunk());
        usize::from(u16::from_le_bytes(*bytes.expect("written so")))
    }

    /// How many entries there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.read(0)
    }

    /// Asks for all of them, for a search and a copy that follow.
    #[inline]
    pub(super) fn prefetch(&self) {
        for offset in (0..self.0.len()).step_by(64) {
            record::prefetch(self.0.as_ptr(), offset);
        }
    }

    /// The memory they take.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    fn prefix_at(&self) -> usize {
        HEADER + END * self.len()
    }

    /// What all entries begin with.
    #[inline]
    pub(super) fn prefix(&self) -> &[u8] {
        &self.0[self.prefix_at()..][..self.read(2)]
    }

    fn suffixes(&self) -> &[u8] {
        &self.0[self.prefix_at() + self.read(2)..]
    }

    /// Where the suffix of an entry begins; of the one after the last: where all end.
    fn start(&self, index: usize) -> usize {
        match index {
            0 => 0,
            _ => self.read(HEADER + END * (index - 1)),
        }
    }

    /// What follows the prefix in an entry.
    #[inline]
    pub(super) fn suffix(&self, index: usize) -> &[u8] {
        &self.suffixes()[self.start(index)..self.start(index + 1)]
    }

    /// An entry.
    pub(super) fn get(&self, index: usize) -> Parts<'_> {
        (self.prefix(), self.suffix(index))
    }

    /// All entries.
    pub(super) fn parts(&self) -> Vec<Parts<'_>> {
        (0..self.len()).map(|index| self.get(index)).collect()
    }

    /// How many entries are less than `bytes`, and whether the next one is it.
    #[inline]
    pub(super) fn position(&self, bytes: &[u8]) -> (usize, bool) {
        let prefix = self.prefix();
        let Some(rest) = bytes.strip_prefix(prefix) else {
            return match bytes < prefix {
                true => (0, false),
                false => (self.len(), false),
            };
        };
        let suffixes = self.suffixes();
        let word = first_word(rest);
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let suffix = &suffixes[self.start(middle)..self.start(middle + 1)];
            match compare(suffix, rest, word) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return (middle, true),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        (low, false)
    }

    /// What adding an entry would make it take, as far as a look tells.
    pub(super) fn bytes_with(&self, entry: &[u8]) -> usize {
        let kept = common((self.prefix(), &[]), (entry, &[]));
        let again = (self.prefix().len() - kept) * self.len();
        self.bytes() + END + entry.len() + again
    }

    /// The same with an entry more at its place.
    pub(super) fn with(&self, at: usize, entry: &[u8]) -> Packed {
        let Some(rest) = entry.strip_prefix(self.prefix()) else {
            let mut parts = self.parts();
            parts.insert(at, (entry, &[]));
            return Packed::new(&parts);
        };
        self.changed(at, at, Some(rest))
    }

    /// The same without an entry.
    pub(super) fn without(&self, at: usize) -> Packed {
        self.changed(at, at + 1, None)
    }

    /// The same with a suffix in place of those from one place to another.
    fn changed(&self, from: usize, to: usize, suffix: Option<&[u8]>) -> Packed {
        let (count, suffixes) = (self.len(), self.suffixes());
        let (start, gone, new) = (self.start(from), self.start(to), suffix.unwrap_or_default());
        let new_count = count - (to - from) + usize::from(suffix.is_some());
        let prefix = self.prefix();
        let bytes = HEADER + END * new_count + prefix.len() + suffixes.len() - (gone - start);
        let mut packed = Vec::with_capacity(bytes + new.len());
        packed.extend_from_slice(&number(new_count));
        packed.extend_from_slice(&number(prefix.len()));
        packed.extend_from_slice(&self.0[HEADER..HEADER + END * from]);
        if suffix.is_some() {
            packed.extend_from_slice(&number(start + new.len()));
        }
        let moved = (new.len() as u16).wrapping_sub((gone - start) as u16);
        let (ends, _) = self.0[HEADER + END * to..HEADER + END * count].as_chunks::<END>();
        packed.extend(
            ends.iter()
                .flat_map(|end| u16::from_le_bytes(*end).wrapping_add(moved).to_le_bytes()),
        );
        packed.extend_from_slice(prefix);
        packed.extend_from_slice(&suffixes[..start]);
        packed.extend_from_slice(new);
        packed.extend_from_slice(&suffixes[gone..]);
        Packed(packed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_and_go_at_their_places() {
        let mut packed = Packed::new(&[]);
        let mut model: Vec<Vec<u8>> = Vec::new();
        for entry in ["ab", "abc", "b", "aba", "", "abcd", "z", "abb"] {
            let (at, found) = packed.position(entry.as_bytes());
            assert!(!found);
            packed = packed.with(at, entry.as_bytes());
            model.push(entry.into());
            model.sort();
            let held: Vec<_> = packed
                .parts()
                .iter()
                .map(|(a, b)| [*a, *b].concat())
                .collect();
            assert_eq!(held, model);
            assert!(packed.position(entry.as_bytes()).1);
        }
        let rebuilt = Packed::new(&packed.parts());
        assert_eq!(rebuilt.0, packed.0);
        while let Some(gone) = model.pop() {
            let (at, found) = packed.position(&gone);
            assert!(found);
            packed = packed.without(at);
            let held: Vec<_> = packed
                .parts()
                .iter()
                .map(|(a, b)| [*a, *b].concat())
                .collect();
            assert_eq!(held, model);
        }
    }

    #[test]
    fn what_entries_have_in_common_is_stored_once() {
        let entries: Vec<String> = (10..60)
            .map(|n| format!("a long common beginning {n}"))
            .collect();
        let parts: Vec<Parts<'_>> = entries.iter().map(|e| (e.as_bytes(), &[][..])).collect();
        let packed = Packed::new(&parts);
        assert_eq!(packed.prefix(), b"a long common beginning ");
        assert_eq!(packed.bytes(), HEADER + 50 * END + 24 + 50 * 2);
        assert_eq!(packed.position(b"a long common beginning 3"), (20, false));
        assert_eq!(packed.position(b"a long"), (0, false));
        assert_eq!(packed.position(b"b"), (50, false));
        let smaller = packed.with(50, b"a longer one");
        assert_eq!(smaller.prefix(), b"a long");
        assert_eq!(smaller.len(), 51);
    }
}
