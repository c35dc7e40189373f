//! Byte strings in order, packed into one piece of memory that never changes.
//!
//! ```text
//!   count (2) | prefix length (2) | end of each suffix (2 each) | prefix | suffixes
//! ```
//!
//! What all entries begin with is stored once. A change makes a new piece ([`Packing`]), almost
//! always by four copies. Tests: below, and the tree's.

use super::node::Room;
use crate::store::record;

/// See the module. At most 64 KiB of suffixes.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a>(&'a [u8]);

/// Entries that are to be packed.
pub(super) enum Packing<'a> {
    /// These, in order.
    All(Vec<Parts<'a>>),
    /// Those of another piece, with a suffix in place of those from one place to another.
    Changed {
        of: Packed<'a>,
        from: usize,
        to: usize,
        suffix: Option<&'a [u8]>,
    },
}

const HEADER: usize = 4;
const END: usize = 2;

/// Ends that are moved at once.
const ENDS: usize = 16;

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
    let (mut one, mut other, mut alike) = (one, other, 0);
    loop {
        let bytes = common_bytes(one.0, other.0);
        alike += bytes;
        one = skip(one, bytes);
        other = skip(other, bytes);
        // What is left of one of the heads differs, or the tail goes on where it ended.
        match (one.0.is_empty(), other.0.is_empty()) {
            (false, false) => return alike,
            _ if len(one) == 0 || len(other) == 0 => return alike,
            (of_one, of_other) => {
                one = if of_one { (one.1, &[]) } else { one };
                other = if of_other { (other.1, &[]) } else { other };
            }
        }
    }
}

/// How many bytes two slices begin with alike: word by word, for most of what is asked is long.
fn common_bytes(one: &[u8], other: &[u8]) -> usize {
    let len = one.len().min(other.len());
    let (one, other) = (&one[..len], &other[..len]);
    if std::ptr::eq(one, other) {
        return len;
    }
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let mut alike = 0;
    for (one, other) in words {
        let differ = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differ != 0 {
            return alike + differ.trailing_zeros() as usize / 8;
        }
        alike += 8;
    }
    let rest = one[alike..].iter().zip(&other[alike..]);
    alike + rest.take_while(|(one, other)| one == other).count()
}

fn number(at: usize) -> [u8; 2] {
    u16::try_from(at)
        .expect("a node is smaller than 64 KiB")
        .to_le_bytes()
}

#[inline]
fn start_in(ends: &[[u8; END]], index: usize) -> usize {
    match index.checked_sub(1) {
        None => 0,
        Some(before) => usize::from(u16::from_le_bytes(ends[before])),
    }
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

/// [`first_word`] of a part of `bytes`: what is behind it is mostly read with it, and cut off.
#[inline]
fn word_in(bytes: &[u8], part: std::ops::Range<usize>) -> u64 {
    let behind = bytes.get(part.start..part.start + 8);
    match behind.and_then(<[u8]>::first_chunk) {
        Some(word) if part.len() < 8 => u64::from_be_bytes(*word) & !(u64::MAX >> (8 * part.len())),
        Some(word) => u64::from_be_bytes(*word),
        None => first_word(&bytes[part]),
    }
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

impl<'a> Packing<'a> {
    /// How many entries there will be.
    pub(super) fn len(&self) -> usize {
        match self {
            Packing::All(entries) => entries.len(),
            Packing::Changed {
                of,
                from,
                to,
                suffix,
            } => of.len() - (to - from) + usize::from(suffix.is_some()),
        }
    }

    /// What they will take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Packing::All(entries) => bytes_of(entries),
            Packing::Changed {
                of,
                from,
                to,
                suffix,
            } => {
                let gone = of.start(*to) - of.start(*from);
                let prefix = of.prefix().len();
                let suffixes = of.suffixes().len() - gone + suffix.map_or(0, <[u8]>::len);
                HEADER + END * self.len() + prefix + suffixes
            }
        }
    }

    /// Writes them.
    pub(super) fn write(&self, out: &mut Room<'_>) {
        match self {
            Packing::All(entries) => write_all(entries, out),
            Packing::Changed {
                of,
                from,
                to,
                suffix,
            } => write_changed(*of, *from..*to, *suffix, self.len(), out),
        }
    }
}

fn write_all(entries: &[Parts<'_>], out: &mut Room<'_>) {
    let prefix = common_of_all(entries);
    out.push(&number(entries.len()));
    out.push(&number(prefix));
    let mut end = 0;
    for entry in entries {
        end += len(*entry) - prefix;
        out.push(&number(end));
    }
    if let Some((head, tail)) = entries.first() {
        let of_head = prefix.min(head.len());
        out.push(&head[..of_head]);
        out.push(&tail[..prefix - of_head]);
    }
    for entry in entries {
        let (head, tail) = skip(*entry, prefix);
        out.push(head);
        out.push(tail);
    }
}

fn write_changed(
    of: Packed<'_>,
    gone: std::ops::Range<usize>,
    suffix: Option<&[u8]>,
    count: usize,
    out: &mut Room<'_>,
) {
    let (suffixes, new) = (of.suffixes(), suffix.unwrap_or_default());
    let (start, end) = (of.start(gone.start), of.start(gone.end));
    out.push(&number(count));
    out.push(&number(of.prefix().len()));
    out.push(&of.0[HEADER..HEADER + END * gone.start]);
    if suffix.is_some() {
        out.push(&number(start + new.len()));
    }
    let moved = (new.len() as u16).wrapping_sub((end - start) as u16);
    let shift = |end: [u8; END]| u16::from_le_bytes(end).wrapping_add(moved).to_le_bytes();
    let (many, few) = of.ends()[gone.end..].as_chunks::<ENDS>();
    for ends in many {
        out.push(ends.map(shift).as_flattened());
    }
    for end in few {
        out.push(&shift(*end));
    }
    out.push(of.prefix());
    out.push(&suffixes[..start]);
    out.push(new);
    out.push(&suffixes[end..]);
}

impl<'a> Packed<'a> {
    /// What was written by a [`Packing`].
    pub(super) fn of(bytes: &'a [u8]) -> Packed<'a> {
        Packed(bytes)
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
    pub(super) fn prefix(&self) -> &'a [u8] {
        &self.0[self.prefix_at()..][..self.read(2)]
    }

    fn suffixes(&self) -> &'a [u8] {
        &self.0[self.prefix_at() + self.read(2)..]
    }

    /// Where each suffix ends.
    #[inline]
    fn ends(&self) -> &'a [[u8; END]] {
        self.0[HEADER..self.prefix_at()].as_chunks().0
    }

    /// Where the suffix of an entry begins; of the one after the last: where all end.
    #[inline]
    fn start(&self, index: usize) -> usize {
        start_in(self.ends(), index)
    }

    /// What follows the prefix in an entry.
    #[inline]
    pub(super) fn suffix(&self, index: usize) -> &'a [u8] {
        &self.suffixes()[self.start(index)..self.start(index + 1)]
    }

    /// An entry.
    pub(super) fn get(&self, index: usize) -> Parts<'a> {
        (self.prefix(), self.suffix(index))
    }

    /// All entries.
    pub(super) fn parts(&self) -> Vec<Parts<'a>> {
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
        let (ends, suffixes) = (self.ends(), self.suffixes());
        let word = first_word(rest);
        let (mut low, mut high) = (0, ends.len());
        while low < high {
            let middle = low.midpoint(high);
            let suffix = start_in(ends, middle)..start_in(ends, middle + 1);
            // Mostly the first words decide.
            let order = word_in(suffixes, suffix.clone()).cmp(&word);
            match order.then_with(|| suffixes[suffix].cmp(rest)) {
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
    pub(super) fn with(&self, at: usize, entry: &'a [u8]) -> Packing<'a> {
        let Some(rest) = entry.strip_prefix(self.prefix()) else {
            let mut parts = self.parts();
            parts.insert(at, (entry, &[]));
            return Packing::All(parts);
        };
        Packing::Changed {
            of: *self,
            from: at,
            to: at,
            suffix: Some(rest),
        }
    }

    /// The same without an entry.
    pub(super) fn without(&self, at: usize) -> Packing<'a> {
        Packing::Changed {
            of: *self,
            from: at,
            to: at + 1,
            suffix: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(packing: &Packing<'_>) -> Vec<u8> {
        let mut bytes = vec![std::mem::MaybeUninit::new(0); packing.bytes()];
        let mut room = Room::of(&mut bytes);
        packing.write(&mut room);
        assert!(room.is_full());
        let written = bytes.iter().map(|byte| {
            // SAFETY: all were given a value above.
            unsafe { byte.assume_init() }
        });
        written.collect()
    }

    fn parts<'a>(entries: &'a [impl AsRef<[u8]>]) -> Packing<'a> {
        Packing::All(entries.iter().map(|e| (e.as_ref(), &[][..])).collect())
    }

    #[track_caller]
    fn check(bytes: &[u8], model: &[Vec<u8>]) {
        let held = Packed(bytes).parts();
        let held: Vec<_> = held.iter().map(|(a, b)| [*a, *b].concat()).collect();
        assert_eq!(held, model);
    }

    #[test]
    fn entries_come_and_go_at_their_places() {
        let mut bytes = packed(&Packing::All(Vec::new()));
        let mut model: Vec<Vec<u8>> = Vec::new();
        let many = (0..150).map(|n| format!("ab{}", n * 7919 % 150));
        let few = ["ab", "abc", "b", "aba", "", "abcd", "z", "abb"].map(str::to_owned);
        for entry in few.into_iter().chain(many) {
            let (at, found) = Packed(&bytes).position(entry.as_bytes());
            assert!(!found);
            bytes = packed(&Packed(&bytes).with(at, entry.as_bytes()));
            model.push(entry.clone().into());
            model.sort();
            check(&bytes, &model);
            assert!(Packed(&bytes).position(entry.as_bytes()).1);
        }
        assert_eq!(packed(&parts(&model)), bytes);
        while let Some(gone) = model.pop() {
            let (at, found) = Packed(&bytes).position(&gone);
            assert!(found);
            bytes = packed(&Packed(&bytes).without(at));
            check(&bytes, &model);
        }
    }

    #[test]
    fn what_entries_have_in_common_is_stored_once() {
        let entries: Vec<String> = (10..60)
            .map(|n| format!("a long common beginning {n}"))
            .collect();
        let bytes = packed(&parts(&entries));
        let held = Packed(&bytes);
        assert_eq!(held.prefix(), b"a long common beginning ");
        assert_eq!(held.bytes(), HEADER + 50 * END + 24 + 50 * 2);
        assert_eq!(held.position(b"a long common beginning 3"), (20, false));
        assert_eq!(held.position(b"a long"), (0, false));
        assert_eq!(held.position(b"b"), (50, false));
        let bytes = packed(&held.with(50, b"a longer one"));
        assert_eq!(Packed(&bytes).prefix(), b"a long");
        assert_eq!(Packed(&bytes).len(), 51);
    }
}
