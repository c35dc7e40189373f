//! An ordered index: a set of byte strings, read in order while one writer changes it.
//!
//! A B+tree (Bayer and McCreight 1972) whose leaves never change: a change makes a new leaf and
//! puts it in the old one's place by storing one pointer. Inner nodes are replaced only when the
//! number of their children changes; their pointers are all that is ever written in place.
//!
//! ```text
//!   root ──► inner: | "c" | "m" |        separators, packed
//!                   ▼     ▼     ▼
//!                 leaf  leaf  leaf       entries, packed: what they have in common stored once
//! ```
//!
//! Files: `change` (what the writer does), `buffer` (changes that wait until somebody reads), `node`
//! (one allocation each), `packed` (entries in bytes).
//!
//! One writer, any number of readers that never wait: they pin the epoch, and what was replaced
//! is freed when nobody who might have seen it is left. A reader sees every entry that was there
//! when it began and was not taken out; of those that come and go meanwhile any. It goes by the
//! versions of documents what its snapshot holds, so that this is enough.
//!
//! The entries' meaning is the caller's. With `record`, `rows` and `index` one of the modules with
//! `unsafe`: making, following and freeing nodes. Tests: below, against a set, and with readers beside a writer.

use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_epoch::{Atomic, Guard};
use smallvec::SmallVec;

mod buffer;
mod change;
mod node;
mod packed;

pub(crate) use buffer::BufferedIndex;
pub(crate) use change::Change;

use node::{Inner, New, Node, Read};
use packed::{Packed, Packing};

/// A leaf or the separators of an inner node are split beyond this. Measured with 512, 1,024,
/// 2,048 and 4,096 (ARCHITECTURE.md, Decisions).
const NODE_BYTES_MAX: usize = 1024;

/// The longest entry: two of them fit a node's numbers by far.
pub(crate) const ENTRY_BYTES_MAX: usize = 16 * 1024;

/// Leaves below this look for a neighbour to be one with.
const NODE_BYTES_MIN: usize = NODE_BYTES_MAX / 4;

/// See the module.
pub(crate) struct OrderedIndex {
    root: Atomic<Node>,
    len: AtomicUsize,
    bytes: AtomicUsize,
}

/// From where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range<'a> {
    pub(crate) from: Bound<&'a [u8]>,
    pub(crate) to: Bound<&'a [u8]>,
}

impl Inner<'_> {
    /// The child that has the place of an entry.
    fn child_of(&self, entry: &[u8]) -> usize {
        let (at, found) = self.separators.position(entry);
        at + usize::from(found)
    }
}

impl OrderedIndex {
    pub(crate) fn new() -> OrderedIndex {
        let (root, bytes) = New::leaf(Packing::All(Vec::new())).make();
        OrderedIndex {
            root: Atomic::from(root),
            len: AtomicUsize::new(0),
            bytes: AtomicUsize::new(bytes),
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn load<'g>(slot: &Atomic<Node>, guard: &'g Guard) -> Read<'g> {
        let node = slot.load(Ordering::Acquire, guard);
        // SAFETY: a slot that can be reached always has a node, which is freed no earlier than
        // all that were pinned when it was replaced have gone; `guard` is such a pin.
        unsafe { node::read(node) }
    }

    /// The way to the leaf that has the place of an entry: inner nodes, each with its slot and
    /// the child taken; then the leaf.
    fn descend<'g>(&'g self, entry: &[u8], guard: &'g Guard) -> (Path<'g>, Step<'g, Packed<'g>>) {
        let mut path = Path::new();
        let mut slot = &self.root;
        loop {
            match Self::load(slot, guard) {
                Read::Leaf(leaf) => {
                    leaf.prefetch();
                    let (at, found) = leaf.position(entry);
                    return (
                        path,
                        Step {
                            slot,
                            node: leaf,
                            at,
                            found,
                        },
                    );
                }
                Read::Inner(inner) => {
                    let at = inner.child_of(entry);
                    path.push(Step {
                        slot,
                        node: inner,
                        at,
                        found: false,
                    });
                    slot = &inner.children[at];
                }
            }
        }
    }

    /// Calls `visit` with the entries of a range, in order or backwards, until it answers
    /// `false`; whether it never did. While
    /// `guard` is kept nothing that the writer replaces is freed.
    pub(crate) fn visit(
        &self,
        range: &Range<'_>,
        order: Order,
        guard: &Guard,
        visit: &mut impl FnMut(&[u8]) -> bool,
    ) -> bool {
        Self::visit_below(&self.root, range, order, guard, &mut Vec::new(), visit)
    }

    fn visit_below(
        slot: &Atomic<Node>,
        range: &Range<'_>,
        order: Order,
        guard: &Guard,
        entry: &mut Vec<u8>,
        visit: &mut impl FnMut(&[u8]) -> bool,
    ) -> bool {
        match Self::load(slot, guard) {
            Read::Leaf(leaf) => {
                entry.clear();
                entry.extend_from_slice(leaf.prefix());
                let prefix = entry.len();
                order.all(range.within(&leaf), |at| {
                    entry.truncate(prefix);
                    entry.extend_from_slice(leaf.suffix(at));
                    visit(entry)
                })
            }
            Read::Inner(inner) => {
                let from = match range.from {
                    Bound::Included(from) | Bound::Excluded(from) => inner.child_of(from),
                    Bound::Unbounded => 0,
                };
                let to = match range.to {
                    Bound::Included(to) | Bound::Excluded(to) => inner.child_of(to),
                    Bound::Unbounded => inner.children.len() - 1,
                };
                order.all(from..to + 1, |at| {
                    Self::visit_below(&inner.children[at], range, order, guard, entry, visit)
                })
            }
        }
    }

    /// About how many entries a range has: exact where they are all in one leaf. O(log n).
    pub(crate) fn estimate(&self, range: &Range<'_>, guard: &Guard) -> usize {
        let (mut from, mut to) = (0.0, 1.0);
        let (mut from_slot, mut to_slot) = (&self.root, &self.root);
        let mut width = (1.0, 1.0);
        loop {
            match (Self::load(from_slot, guard), Self::load(to_slot, guard)) {
                (Read::Leaf(one), Read::Leaf(other)) => {
                    let (start, end) = (range.within(&one).start, range.within(&other).end);
                    if std::ptr::eq(from_slot, to_slot) {
                        return end.saturating_sub(start);
                    }
                    let part = |at: usize, of: Packed<'_>| at as f64 / of.len().max(1) as f64;
                    from += width.0 * part(start, one);
                    to -= width.1 * (1.0 - part(end, other));
                    return ((to - from).max(0.0) * self.len() as f64) as usize;
                }
                (Read::Inner(one), Read::Inner(other)) => {
                    let start = match range.from {
                        Bound::Included(from) | Bound::Excluded(from) => one.child_of(from),
                        Bound::Unbounded => 0,
                    };
                    let last = other.children.len() - 1;
                    let end = match range.to {
                        Bound::Included(to) | Bound::Excluded(to) => other.child_of(to),
                        Bound::Unbounded => last,
                    };
                    width.0 /= one.children.len() as f64;
                    width.1 /= other.children.len() as f64;
                    from += width.0 * start as f64;
                    to -= width.1 * (last - end) as f64;
                    (from_slot, to_slot) = (&one.children[start], &other.children[end]);
                }
                // A writer has just changed the height.
                _ => return ((to - from).max(0.0) * self.len() as f64) as usize,
            }
        }
    }
}

/// Inner nodes on the way to a leaf.
type Path<'g> = SmallVec<[Step<'g, Inner<'g>>; 6]>;

/// A node on the way to an entry: where it hangs, and where in it the way goes on, or ends.
struct Step<'g, N> {
    slot: &'g Atomic<Node>,
    node: N,
    at: usize,
    found: bool,
}

impl Range<'_> {
    /// The entries of a leaf that are in the range.
    fn within(&self, leaf: &Packed<'_>) -> std::ops::Range<usize> {
        let start = match self.from {
            Bound::Unbounded => 0,
            Bound::Included(from) => leaf.position(from).0,
            Bound::Excluded(from) => {
                let (at, found) = leaf.position(from);
                at + usize::from(found)
            }
        };
        let end = match self.to {
            Bound::Unbounded => leaf.len(),
            Bound::Excluded(to) => leaf.position(to).0,
            Bound::Included(to) => {
                let (at, found) = leaf.position(to);
                at + usize::from(found)
            }
        };
        start..end.max(start)
    }
}

/// Which way a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the least entry on.
    Forward,
    /// From the greatest entry down.
    Backward,
}

impl Order {
    fn all(self, mut range: std::ops::Range<usize>, visit: impl FnMut(usize) -> bool) -> bool {
        match self {
            Order::Forward => range.all(visit),
            Order::Backward => range.rev().all(visit),
        }
    }
}

impl Drop for OrderedIndex {
    fn drop(&mut self) {
        // SAFETY: nobody else has the index any more.
        let guard = unsafe { crossbeam_epoch::unprotected() };
        let mut left = vec![self.root.load(Ordering::Relaxed, guard)];
        while let Some(node) = left.pop() {
            // SAFETY: each node hangs in one slot, and is freed here, after its children were noted.
            if let Read::Inner(inner) = unsafe { node::read(node) } {
                let children = inner.children.iter();
                left.extend(children.map(|child| child.load(Ordering::Relaxed, guard)));
            }
            // SAFETY: the same.
            unsafe { node::free(node.as_raw()) };
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::store) use tests::Random;
