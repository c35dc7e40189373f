//! Changing the tree: what its one writer does.
//!
//! A change makes a new leaf. Several changes of one leaf make one new leaf, so that many changes at
//! once cost about as much as there are leaves that they fall into ([`OrderedIndex::change_all`]).
//! Where a leaf becomes too large or too small its parent is replaced, and so on up.

use std::sync::atomic::Ordering;

use crossbeam_epoch::{Atomic, Guard, Shared};
use smallvec::{SmallVec, smallvec};

use super::node::{self, Inner, New, Node, Read};
use super::packed::{Packed, Packing, Parts, bytes_of, common};
use super::{ENTRY_BYTES_MAX, NODE_BYTES_MAX, NODE_BYTES_MIN, OrderedIndex, Path, Step};

/// What is to become of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is to be there.
    Put,
    /// It is to be gone.
    Take,
}

/// What a node has become: one, or several that share its place.
struct Grown {
    nodes: SmallVec<[Atomic<Node>; 1]>,
    /// What stands between each and the next.
    separators: Vec<Vec<u8>>,
}

impl Grown {
    fn one(node: Atomic<Node>) -> Grown {
        Grown {
            nodes: smallvec![node],
            separators: Vec::new(),
        }
    }

    /// With others behind it.
    fn and(mut self, separator: Vec<u8>, others: Grown) -> Grown {
        self.nodes.extend(others.nodes);
        self.separators.push(separator);
        self.separators.extend(others.separators);
        self
    }
}

/// Where a node gets what makes it too large.
#[derive(Clone, Copy)]
enum Side {
    /// An entry before all others. It often begins otherwise than they do, and does not make them
    /// longer where it stands alone.
    Front,
    Within,
    /// Behind all others. What comes in order leaves full nodes behind.
    Behind,
}

impl Side {
    fn of(at: usize, len: usize) -> Side {
        match at {
            0 => Side::Front,
            at if at == len => Side::Behind,
            _ => Side::Within,
        }
    }
}

impl Inner<'_> {
    /// The children, with others from one place to another.
    fn changed(
        &self,
        gone: std::ops::Range<usize>,
        new: impl IntoIterator<Item = Atomic<Node>>,
        guard: &Guard,
    ) -> Vec<Atomic<Node>> {
        let kept = |slot: &Atomic<Node>| Atomic::from(slot.load(Ordering::Relaxed, guard));
        let before = self.children[..gone.start].iter().map(kept);
        let after = self.children[gone.end..].iter().map(kept);
        before.chain(new).chain(after).collect()
    }
}

impl OrderedIndex {
    /// Makes changes in the order of their entries, of each entry one, of at most
    /// [`ENTRY_BYTES_MAX`] bytes; those that are made already change nothing. Only the writer calls it.
    /// O(m log n) for m changes, but each leaf is made anew once.
    pub(crate) fn change_all(&self, mut changes: &[(&[u8], Change)], guard: &Guard) {
        debug_assert!(changes.is_sorted_by(|(one, _), (other, _)| one < other));
        while let [(first, change), ..] = *changes {
            let (path, leaf) = self.descend(first, guard);
            let run = match end_of(&path) {
                Some(end) => changes.partition_point(|(entry, _)| is_less(entry, end)),
                None => changes.len(),
            };
            let (now, later) = changes.split_at(run);
            changes = later;
            match (now, change) {
                ([_], Change::Put) if leaf.found => {}
                ([_], Change::Put) => self.insert_at(path, &leaf, first, guard),
                ([_], Change::Take) if !leaf.found => {}
                ([_], Change::Take) => self.remove_at(path, &leaf, guard),
                _ => self.change_leaf(path, &leaf, now, guard),
            }
        }
        self.lower_root(guard);
    }

    /// Adds an entry at its place in a leaf, which does not have it.
    fn insert_at<'g>(
        &self,
        path: Path<'g>,
        leaf: &Step<'g, Packed<'g>>,
        entry: &[u8],
        guard: &Guard,
    ) {
        assert!(entry.len() <= ENTRY_BYTES_MAX, "judged when it was staged");
        self.len.store(self.len() + 1, Ordering::Relaxed);
        let node = leaf.node;
        let grown = if node.bytes_with(entry) <= NODE_BYTES_MAX || node.len() == 0 {
            Grown::one(self.make(New::leaf(node.with(leaf.at, entry))))
        } else {
            let mut parts = node.parts();
            parts.insert(leaf.at, (entry, &[]));
            self.leaves(&parts, Side::of(leaf.at, node.len()))
        };
        self.grow(path, leaf.slot, grown, guard);
    }

    /// Takes out the entry that a leaf has at its place.
    fn remove_at(&self, path: Path<'_>, leaf: &Step<'_, Packed<'_>>, guard: &Guard) {
        self.len.store(self.len() - 1, Ordering::Relaxed);
        let rest = leaf.node.without(leaf.at);
        if rest.len() == 0 {
            self.remove_leaf(path, leaf.slot, guard);
        } else if rest.bytes() < NODE_BYTES_MIN {
            let mut parts = leaf.node.parts();
            parts.remove(leaf.at);
            self.shrink(&path, leaf.slot, parts, guard);
        } else {
            self.store(leaf.slot, self.make(New::leaf(rest)), &[], guard);
        }
    }

    /// Makes several changes, all of entries whose place is in this leaf.
    fn change_leaf<'g>(
        &self,
        path: Path<'g>,
        leaf: &Step<'g, Packed<'g>>,
        changes: &[(&[u8], Change)],
        guard: &Guard,
    ) {
        let node = leaf.node;
        let mut parts: Vec<Parts<'_>> = Vec::with_capacity(node.len() + changes.len());
        let (mut next, mut len, mut changed) = (0, self.len(), false);
        for (entry, change) in changes {
            assert!(entry.len() <= ENTRY_BYTES_MAX, "judged when it was staged");
            let (at, found) = node.position(entry);
            parts.extend((next..at).map(|index| node.get(index)));
            next = at + usize::from(found);
            match change {
                Change::Put => {
                    len += usize::from(!found);
                    parts.push((entry, &[]));
                }
                Change::Take => len -= usize::from(found),
            }
            changed |= found == (*change == Change::Take);
        }
        if !changed {
            return;
        }
        let side = match leaf.at == node.len() {
            true => Side::Behind,
            false => Side::Within,
        };
        parts.extend((next..node.len()).map(|index| node.get(index)));
        self.len.store(len, Ordering::Relaxed);
        if parts.is_empty() {
            self.remove_leaf(path, leaf.slot, guard);
        } else if bytes_of(&parts) < NODE_BYTES_MIN {
            self.shrink(&path, leaf.slot, parts, guard);
        } else {
            let grown = self.leaves(&parts, side);
            self.grow(path, leaf.slot, grown, guard);
        }
    }

    /// Leaves of these entries, none of them too large, if that can be.
    fn leaves(&self, entries: &[Parts<'_>], side: Side) -> Grown {
        let Some(middle) = cut(entries, side) else {
            return Grown::one(self.make(New::leaf(Packing::All(entries.to_vec()))));
        };
        let (left, right) = entries.split_at(middle);
        let separator = separator(left[middle - 1], right[0]);
        self.leaves(left, side)
            .and(separator, self.leaves(right, side))
    }

    /// Inner nodes of these separators and children, none of them too large, if that can be.
    fn inners(
        &self,
        separators: &[Parts<'_>],
        mut children: Vec<Atomic<Node>>,
        side: Side,
    ) -> Grown {
        let middle = match cut(separators, side) {
            // Each has a separator, and the one between them goes up.
            Some(middle) if separators.len() >= 3 => middle.clamp(1, separators.len() - 2),
            _ => {
                let inner = New::inner(Packing::All(separators.to_vec()), children);
                return Grown::one(self.make(inner));
            }
        };
        let right = children.split_off(middle + 1);
        let (head, tail) = separators[middle];
        let left = self.inners(&separators[..middle], children, side);
        let right = self.inners(&separators[middle + 1..], right, side);
        left.and([head, tail].concat(), right)
    }

    /// Puts in a slot what its node has become; where that is several, their parent changes.
    fn grow<'g>(
        &self,
        mut path: Path<'g>,
        mut slot: &'g Atomic<Node>,
        mut grown: Grown,
        guard: &Guard,
    ) {
        let mut below = Vec::new();
        while grown.nodes.len() > 1 {
            let between: Vec<Parts<'_>> = grown
                .separators
                .iter()
                .map(|it| (&it[..], &[][..]))
                .collect();
            grown = match path.pop() {
                Some(Step {
                    slot: parent,
                    node,
                    at,
                    ..
                }) => {
                    below.push(slot.load(Ordering::Relaxed, guard));
                    slot = parent;
                    let side = Side::of(at, node.separators.len());
                    let children = node.changed(at..at + 1, grown.nodes, guard);
                    let mut separators = node.separators.parts();
                    separators.splice(at..at, between);
                    self.inners(&separators, children, side)
                }
                // The root: one above it takes its place.
                None => self.inners(&between, grown.nodes.into_vec(), Side::Within),
            };
        }
        let node = grown.nodes.pop().expect("a node becomes one at least");
        self.store(slot, node, &below, guard);
    }

    /// Puts in a slot a leaf that has become small: with a neighbour in one, if they fit.
    fn shrink(&self, path: &Path<'_>, slot: &Atomic<Node>, entries: Vec<Parts<'_>>, guard: &Guard) {
        let parent = path.last();
        match parent.and_then(|parent| self.merged(parent, &entries, guard)) {
            Some((slot, inner, below)) => self.store(slot, inner, &below, guard),
            None => self.store(
                slot,
                self.make(New::leaf(Packing::All(entries))),
                &[],
                guard,
            ),
        }
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
                let children = inner.changed(at..at + 1, [], guard);
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
        let merged = [self.make(New::leaf(Packing::All(parts)))];
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
}

/// Where a node that is too large is divided.
fn cut(parts: &[Parts<'_>], side: Side) -> Option<usize> {
    if parts.len() < 2 || bytes_of(parts) <= NODE_BYTES_MAX {
        return None;
    }
    Some(match side {
        Side::Front => 1,
        Side::Within => parts.len() / 2,
        Side::Behind => {
            let fits = |len: &usize| bytes_of(&parts[..*len]) <= NODE_BYTES_MAX;
            (2..parts.len()).take_while(fits).last().unwrap_or(1)
        }
    })
}

/// The shortest bytes that are greater than one entry and not greater than the next.
fn separator(left: Parts<'_>, right: Parts<'_>) -> Vec<u8> {
    let bytes = right.0.iter().chain(right.1).copied();
    bytes.take(common(left, right) + 1).collect()
}

/// What is greater than all that a leaf may have; `None`: nothing is.
fn end_of<'g>(path: &Path<'g>) -> Option<Parts<'g>> {
    let mut steps = path.iter().rev();
    steps.find_map(|Step { node, at, .. }| {
        let separators = node.separators;
        (*at < separators.len()).then(|| separators.get(*at))
    })
}

fn is_less(entry: &[u8], (head, tail): Parts<'_>) -> bool {
    let of_head = entry.len().min(head.len());
    match entry[..of_head].cmp(&head[..of_head]) {
        std::cmp::Ordering::Equal => match entry.len() <= head.len() {
            true => entry.len() < head.len() || !tail.is_empty(),
            false => &entry[of_head..] < tail,
        },
        order => order.is_lt(),
    }
}
