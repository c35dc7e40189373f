//! A node of the tree: one piece of memory that never changes but for its pointers to children.
//!
//! ```text
//!   count of children (4) | length (4) | children (8 each, none in a leaf) | entries, packed
//! ```
//!
//! One allocation instead of three: what a lookup waits for is the number of places that it goes to
//! one after the other, and a change of a leaf pays for each. Tests: the tree's, fit for Miri.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;

use crossbeam_epoch::{Atomic, Shared};

use super::packed::{Packed, Packing};

/// The beginning of a node. What stands behind it is reached by [`read`] alone, never through a
/// reference to this.
#[repr(C, align(8))]
pub(super) struct Node {
    children: u32,
    bytes: u32,
}

/// A node that is to be made.
pub(super) struct New<'a> {
    /// None in a leaf.
    pub(super) children: Vec<Atomic<Node>>,
    pub(super) packing: Packing<'a>,
}

/// A node as it is read.
pub(super) enum Read<'g> {
    Leaf(Packed<'g>),
    Inner(Inner<'g>),
}

/// Child `i` has the entries from separator `i - 1` to before separator `i`.
#[derive(Clone, Copy)]
pub(super) struct Inner<'g> {
    pub(super) separators: Packed<'g>,
    pub(super) children: &'g [Atomic<Node>],
}

/// Room that is to be filled from its beginning to its end.
pub(super) struct Room<'a>(&'a mut [MaybeUninit<u8>]);

impl<'a> Room<'a> {
    #[cfg(test)]
    pub(super) fn of(room: &'a mut [MaybeUninit<u8>]) -> Room<'a> {
        Room(room)
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.is_empty()
    }

    /// Fills the next bytes.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let rest = std::mem::take(&mut self.0);
        let (next, rest) = rest.split_at_mut(bytes.len());
        next.write_copy_of_slice(bytes);
        self.0 = rest;
    }
}

/// Where children and entries stand in a node, and what it takes.
fn layout(children: usize, bytes: usize) -> (usize, usize, Layout) {
    let at = size_of::<Node>();
    let entries = at + children * size_of::<Atomic<Node>>();
    let layout = Layout::from_size_align(entries + bytes, align_of::<Node>());
    (at, entries, layout.expect("a node is small"))
}

impl<'a> New<'a> {
    pub(super) fn leaf(packing: Packing<'a>) -> New<'a> {
        New {
            children: Vec::new(),
            packing,
        }
    }

    pub(super) fn inner(packing: Packing<'a>, children: Vec<Atomic<Node>>) -> New<'a> {
        assert_eq!(children.len(), packing.len() + 1);
        New { children, packing }
    }

    /// Makes the node; with what it takes. Whoever has it lets go of it by [`free`].
    pub(super) fn make(self) -> (*const Node, usize) {
        let (children, bytes) = (self.children.len(), self.packing.bytes());
        let (at, entries, layout) = layout(children, bytes);
        // SAFETY: the layout has a size: that of the beginning at least.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        let node = Node {
            children: u32::try_from(children).expect("a node has few children"),
            bytes: u32::try_from(bytes).expect("a node is small"),
        };
        // SAFETY: the layout has room for a node at its beginning, aligned for it.
        unsafe { start.cast::<Node>().write(node) };
        for (child, place) in self.children.into_iter().zip(0..) {
            // SAFETY: there is room for so many behind the beginning, whose size is a multiple of
            // their alignment.
            unsafe { start.add(at).cast::<Atomic<Node>>().add(place).write(child) };
        }
        // SAFETY: there is room for so many bytes behind the children, and nobody else has it.
        // They need no value to be what they are.
        let room = unsafe {
            std::slice::from_raw_parts_mut(start.add(entries).cast::<MaybeUninit<u8>>(), bytes)
        };
        let mut room = Room(room);
        self.packing.write(&mut room);
        assert!(room.is_full(), "all that `read` reaches has been written");
        (start.cast(), layout.size())
    }
}

/// What a pointer leads to.
///
/// # Safety
/// It leads to a node that was made by [`New::make`] and is not freed while `'g` lasts.
#[inline]
pub(super) unsafe fn read<'g>(node: Shared<'g, Node>) -> Read<'g> {
    let start = node.as_raw();
    // SAFETY: there is a node, as the caller promises.
    let Node { children, bytes } = unsafe { start.read() };
    let (at, entries, _) = layout(children as usize, bytes as usize);
    let start = start.cast::<u8>();
    // SAFETY: so much was written there, and does not change but for the children, which are atomic.
    let packed = unsafe { std::slice::from_raw_parts(start.add(entries), bytes as usize) };
    let packed = Packed::of(packed);
    if children == 0 {
        return Read::Leaf(packed);
    }
    // SAFETY: so many children were written there, aligned for them.
    let children = unsafe { std::slice::from_raw_parts(start.add(at).cast(), children as usize) };
    Read::Inner(Inner {
        separators: packed,
        children,
    })
}

/// What a node takes.
///
/// # Safety
/// As of [`read`].
pub(super) unsafe fn bytes_of(node: *const Node) -> usize {
    // SAFETY: there is a node, as the caller promises.
    unsafe { layout_of(node) }.size()
}

/// Gives back what a node takes. Its children are left alone.
///
/// # Safety
/// As of [`read`], and nobody reaches it any more.
pub(super) unsafe fn free(node: *const Node) {
    // SAFETY: there is a node, as the caller promises.
    let layout = unsafe { layout_of(node) };
    // SAFETY: it was allocated so, and is given back once.
    unsafe { dealloc(node.cast_mut().cast(), layout) };
}

unsafe fn layout_of(node: *const Node) -> Layout {
    // SAFETY: there is a node, as the caller promises.
    let Node { children, bytes } = unsafe { node.read() };
    layout(children as usize, bytes as usize).2
}
