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
//! Files: `node` (one allocation each), `packed` (entries in bytes).
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

use crossbeam_epoch::{Atomic, Guard, Shared};
use smallvec::SmallVec;

mod node;
mod packed;

use node::{Inner, New, Node, Read};
use packed::{Packed, Packing, Parts, bytes_of, common};

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

    /// The children, with others from one place to another.
    fn changed(
        &self,
        gone: std::ops::Range<usize>,
        new: Vec<Atomic<Node>>,
        guard: &Guard,
    ) -> Vec<Atomic<Node>> {
        let kept = |slot: &Atomic<Node>| Atomic::from(slot.load(Ordering::Relaxed, guard));
        let before = self.children[..gone.start].iter().map(kept);
        let after = self.children[gone.end..].iter().map(kept);
        before.chain(new).chain(after).collect()
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

    /// Puts a node in a slot; the one before it, and those below that only it led to, are freed
    /// once nobody reads them. Only the writer calls it.
    fn store(
        &self,
        slot: &Atomic<Node>,
        node: Atomic<Node>,
        below: &[Shared<'_, Node>],
        guard: &Guard,
    ) {
        let node = node.load(Ordering::Relaxed, guard);
        self.redirect(slot, node, guard);
        below.iter().for_each(|old| self.free(*old, guard));
    }

    fn redirect(&self, slot: &Atomic<Node>, node: Shared<'_, Node>, guard: &Guard) {
        let old = slot.load(Ordering::Relaxed, guard);
        // Release: who sees the node sees what is in it.
        slot.store(node, Ordering::Release);
        self.free(old, guard);
    }

    fn free(&self, old: Shared<'_, Node>, guard: &Guard) {
        let old = old.as_raw();
        // SAFETY: as in `load`; only the writer frees, and what no slot leads to any more.
        let bytes = unsafe { node::bytes_of(old) };
        self.bytes.store(self.bytes() - bytes, Ordering::Relaxed);
        // SAFETY: the same; it is freed when nobody is left who might have seen it.
        unsafe { guard.defer_unchecked(move || node::free(old)) };
    }

    /// Makes a node, and keeps the account.
    fn make(&self, node: New<'_>) -> Atomic<Node> {
        let (node, bytes) = node.make();
        self.bytes.store(self.bytes() + bytes, Ordering::Relaxed);
        Atomic::from(node)
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

    /// Adds an entry of at most [`ENTRY_BYTES_MAX`] bytes; whether it was not there. Only the
    /// writer calls it. O(log n).
    pub(crate) fn insert(&self, entry: &[u8], guard: &Guard) -> bool {
        assert!(entry.len() <= ENTRY_BYTES_MAX, "judged when it was staged");
        let (mut path, leaf) = self.descend(entry, guard);
        if leaf.found {
            return false;
        }
        self.len.store(self.len() + 1, Ordering::Relaxed);
        let mut slot = leaf.slot;
        let mut below = Vec::new();
        let mut grown = self.grown_leaf(leaf.node, leaf.at, entry);
        loop {
            let (left, separator, right) = match grown {
                Grown::One(node) => {
                    self.store(slot, node, &below, guard);
                    return true;
                }
                Grown::Split(left, separator, right) => (left, separator, right),
            };
            let halves = vec![left, right];
            let Some(Step {
                slot: parent,
                node: inner,
                at,
                ..
            }) = path.pop()
            else {
                let root = New::inner(Packing::All(vec![(&separator, &[])]), halves);
                self.store(slot, self.make(root), &below, guard);
                return true;
            };
            below.push(slot.load(Ordering::Relaxed, guard));
            grown = self.grown_inner(inner, at, &separator, halves, guard);
            slot = parent;
        }
    }

    /// A leaf with an entry more.
    fn grown_leaf(&self, leaf: Packed<'_>, at: usize, entry: &[u8]) -> Grown {
        let make = |packing| self.make(New::leaf(packing));
        if leaf.bytes_with(entry) <= NODE_BYTES_MAX || leaf.len() == 0 {
            return Grown::One(make(leaf.with(at, entry)));
        }
        let mut parts = leaf.parts();
        parts.insert(at, (entry, &[]));
        // Entries that come in order leave full leaves behind; and one that does not begin as the
        // others do stands at an end, where it does not make them longer.
        let middle = match at {
            0 => 1,
            at if at == leaf.len() => at,
            _ => parts.len() / 2,
        };
        let right = parts.split_off(middle);
        let separator = separator(parts[middle - 1], right[0]);
        Grown::Split(
            make(Packing::All(parts)),
            separator,
            make(Packing::All(right)),
        )
    }

    /// An inner node in which a child has become two, with a separator between them.
    fn grown_inner(
        &self,
        inner: Inner<'_>,
        at: usize,
        between: &[u8],
        halves: Vec<Atomic<Node>>,
        guard: &Guard,
    ) -> Grown {
        let mut children = inner.changed(at..at + 1, halves, guard);
        let mut parts = inner.separators.parts();
        parts.insert(at, (between, &[]));
        let make = |separators, children| self.make(New::inner(Packing::All(separators), children));
        if bytes_of(&parts) <= NODE_BYTES_MAX || parts.len() < 3 {
            return Grown::One(make(parts, children));
        }
        let last = parts.len() - 1;
        let middle = match at {
            0 => 1,
            at if at == last => last - 1,
            _ => parts.len() / 2,
        };
        let right = children.split_off(middle + 1);
        let of_right = parts.split_off(middle + 1);
        let separator = parts.pop().map(|(head, tail)| [head, tail].concat());
        Grown::Split(
            make(parts, children),
            separator.expect("a middle one"),
            make(of_right, right),
        )
    }

    /// Takes an entry out; whether it was there. Only the writer calls it. O(log n).
    pub(crate) fn remove(&self, entry: &[u8], guard: &Guard) -> bool {
        let (mut path, leaf) = self.descend(entry, guard);
        if !leaf.found {
            return false;
        }
        self.len.store(self.len() - 1, Ordering::Relaxed);
        let rest = leaf.node.without(leaf.at);
        if rest.len() == 0 {
            self.remove_leaf(path, leaf.slot, guard);
        } else {
            let parent = path.pop().filter(|_| rest.bytes() < NODE_BYTES_MIN);
            let merged = parent.and_then(|parent| {
                let mut entries = leaf.node.parts();
                entries.remove(leaf.at);
                self.merged(&parent, &entries, guard)
            });
            match merged {
                None => self.store(leaf.slot, self.make(New::leaf(rest)), &[], guard),
                Some((slot, inner, below)) => self.store(slot, inner, &below, guard),
            }
        }
        self.lower_root(guard);
        true
    }

    /// A leaf has become empty: takes it out, with inner nodes that had no other.
    fn remove_leaf(&self, mut path: Path<'_>, leaf: &Atomic<Node>, guard: &Guard) {
        let (mut slot, mut below) = (leaf, Vec::new());
        while let Some(Step {
            slot: parent,
            node: inner,
            at,
            ..
        }) = path.pop()
        {
            below.push(slot.load(Ordering::Relaxed, guard));
            slot = parent;
            if inner.children.len() > 1 {
                let children = inner.changed(at..at + 1, Vec::new(), guard);
                let separators = inner.separators.without(at.saturating_sub(1));
                let inner = self.make(New::inner(separators, children));
                return self.store(slot, inner, &below, guard);
            }
        }
        let empty = self.make(New::leaf(Packing::All(Vec::new())));
        self.store(slot, empty, &below, guard);
    }

    /// The parent of a small leaf, in which these entries of it are in one leaf with a
    /// neighbour's; and the leaves that this replaces.
    #[expect(clippy::type_complexity)]
    fn merged<'g>(
        &self,
        parent: &Step<'g, Inner<'g>>,
        entries: &[Parts<'_>],
        guard: &'g Guard,
    ) -> Option<(&'g Atomic<Node>, Atomic<Node>, Vec<Shared<'g, Node>>)> {
        let (inner, at) = (parent.node, parent.at);
        let left = at.min(inner.children.len().checked_sub(2)?);
        let other = if left == at { at + 1 } else { left };
        let Read::Leaf(neighbour) = Self::load(&inner.children[other], guard) else {
            return None;
        };
        let neighbour = neighbour.parts();
        let parts = match left == at {
            true => [entries, &neighbour].concat(),
            false => [&neighbour, entries].concat(),
        };
        if bytes_of(&parts) > NODE_BYTES_MAX / 4 * 3 {
            return None;
        }
        let below = [left, left + 1].map(|at| inner.children[at].load(Ordering::Relaxed, guard));
        let merged = vec![self.make(New::leaf(Packing::All(parts)))];
        let children = inner.changed(left..left + 2, merged, guard);
        let inner = New::inner(inner.separators.without(left), children);
        Some((parent.slot, self.make(inner), below.into()))
    }

    /// A root with one child gives way to it.
    fn lower_root(&self, guard: &Guard) {
        while let Read::Inner(inner) = Self::load(&self.root, guard)
            && let [child] = inner.children
        {
            self.redirect(&self.root, child.load(Ordering::Relaxed, guard), guard);
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

/// What a node has become: one, or two that share its place.
enum Grown {
    One(Atomic<Node>),
    /// Everything less than the bytes is in the first.
    Split(Atomic<Node>, Vec<u8>, Atomic<Node>),
}

/// The shortest bytes that are greater than one entry and not greater than the next.
fn separator(left: Parts<'_>, right: Parts<'_>) -> Vec<u8> {
    let bytes = right.0.iter().chain(right.1).copied();
    bytes.take(common(left, right) + 1).collect()
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
