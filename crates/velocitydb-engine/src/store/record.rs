//! One version of a document: an immutable, contiguous, counted allocation.
//!
//! ```text
//!   0        4          8     12 or 16           12 or 24
//!   +--------+----------+-----+------------------+-----------------------------------------+
//!   | counts | length,  | row | previous version | body                                    |
//!   |  u32   | has_prev | u32 | (only when       | flags | meta length | key length | key | |
//!   |        |  u32     |     |  has_prev)       | index | version | updated | created |    |
//!   |        |          |     |                  | fields                                  |
//!   +--------+----------+-----+------------------+-----------------------------------------+
//! ```
//!
//! The body is also the form of a document in a checkpoint: integers are varints (the meta
//! length, of index to updated, is one byte, so that the fields are found without reading them),
//! `updated` is the distance from `created`, which takes 8 bytes, followed by 8 bytes for when the
//! document expires if the flag says so; `fields` run to the end. A tombstone is a body without fields
//! and with its flag set; it says that the document does not exist since `index`.
//!
//! Invariants: nothing but the count, the row (until it is published) and the link to the previous version ever changes after
//! [`Record::new`]; a link owns one count; a record whose last count goes is freed at once, so
//! a link may only be released through the epoch (see `rows`).
//!
//! This is one of the two modules with `unsafe`: a document's overhead is the product's memory
//! figure, and a header of 12 bytes with one allocation is not expressible with `Arc<[u8]>`
//! (32 bytes of counts and fat pointers). Tests: below, fit for Miri.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};

use velocitydb_types::{Key, RawMap, RawValue, Timestamp};

use super::varint;

const HAS_PREVIOUS: u32 = 1 << 31;
const TOMBSTONE: u8 = 1;
/// The meta part ends in the time from which the document is gone.
const EXPIRES: u8 = 2;

/// The longest body: 16 MiB of fields, a key of 64 KiB and the header fit well within.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 26;

#[repr(C)]
pub(crate) struct Header {
    counts: AtomicU32,
    length: u32,
    row: AtomicU32,
}

const HEADER_BYTES: usize = size_of::<Header>();
const LINK_AT: usize = 16;
const LINK_BYTES: usize = size_of::<AtomicPtr<Header>>();
pub(super) const ALIGN: usize = align_of::<AtomicPtr<Header>>();
const _: () =
    assert!(HEADER_BYTES == 12 && LINK_AT.is_multiple_of(ALIGN) && LINK_AT >= HEADER_BYTES);

/// What a version is besides its key and fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Log index of the entry that made this version.
    pub index: u64,
    /// 1 for a new document, one more at each change.
    pub version: u64,
    /// Log time at which the document was created.
    pub created_at: Timestamp,
    /// Log time of this version.
    pub updated_at: Timestamp,
    /// From when on there is no such document, whatever else happens.
    pub expires_at: Option<Timestamp>,
}

/// A counted handle to one version of a document. Cheap to clone; reading never locks.
pub struct Document(NonNull<Header>);

// SAFETY: the allocation is immutable but for two atomics, and freed by whoever drops the last
// count, on whatever thread (`Drop` synchronizes as `Arc` does).
unsafe impl Send for Document {}
// SAFETY: as above; `&Document` gives only shared access to immutable bytes and atomics.
unsafe impl Sync for Document {}

/// A body, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Body<'a> {
    pub(crate) tombstone: bool,
    pub(crate) key: &'a [u8],
    pub(crate) meta: Meta,
    pub(crate) fields: &'a [u8],
}

/// Whether a new version will have an older one behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// The first version of its row.
    None,
    /// Room for the pointer to the version that this one replaces.
    Previous,
}

impl Link {
    /// For a version that replaces another, or not.
    pub(crate) fn of(replaces: bool) -> Link {
        if replaces { Link::Previous } else { Link::None }
    }
}

/// The two parts of a body's head that stand before and behind the key, on the stack.
struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    key_at: usize,
    end: usize,
}

/// Flags, meta length, the key's length, three more integers, two times.
const HEAD_BYTES_MAX: usize = 2 + 4 * varint::BYTES_MAX + 2 * 8;

impl Head {
    fn new(key: &[u8], meta: &Meta, tombstone: bool) -> Head {
        let mut bytes = [0; HEAD_BYTES_MAX];
        if tombstone {
            bytes[0] |= TOMBSTONE;
        }
        let mut end = 2;
        let mut put = |value| {
            end += varint::put_at(&mut bytes[end..], value);
            end
        };
        let key_at = put(key.len() as u64);
        put(meta.index);
        put(meta.version);
        let since = meta.updated_at.0.wrapping_sub(meta.created_at.0);
        let created_at = put(varint::zigzag(since));
        end = created_at + 8;
        bytes[created_at..end].copy_from_slice(&meta.created_at.0.to_le_bytes());
        if let Some(expires_at) = meta.expires_at {
            bytes[0] |= EXPIRES;
            bytes[end..end + 8].copy_from_slice(&expires_at.0.to_le_bytes());
            end += 8;
        }
        bytes[1] = (end - key_at) as u8; // at most 46
        Head { bytes, key_at, end }
    }

    /// The body that they make with a key and fields.
    fn with<'a>(&'a self, key: &'a [u8], fields: Option<&'a [u8]>) -> [&'a [u8]; 4] {
        let (before, behind) = self.bytes[..self.end].split_at(self.key_at);
        [before, key, behind, fields.unwrap_or_default()]
    }
}

/// A body's parts, the meta part not yet decoded.
#[derive(Clone, Copy)]
struct Split<'a> {
    flags: u8,
    key: &'a [u8],
    meta: &'a [u8],
    fields: &'a [u8],
}

#[inline]
fn split_body(body: &[u8]) -> Option<Split<'_>> {
    let [flags, meta_bytes, rest @ ..] = body else {
        return None;
    };
    let mut rest = rest;
    let key_bytes = varint::take(&mut rest)?;
    let (key, rest) = rest.split_at_checked(usize::try_from(key_bytes).ok()?)?;
    let (meta, fields) = rest.split_at_checked(usize::from(*meta_bytes))?;
    Some(Split {
        flags: *flags,
        key,
        meta,
        fields,
    })
}

/// Takes a body apart; `None` when it is malformed.
#[inline]
pub(crate) fn parse_body(body: &[u8]) -> Option<Body<'_>> {
    let Split {
        flags,
        key,
        mut meta,
        fields,
    } = split_body(body)?;
    let index = varint::take(&mut meta)?;
    let version = varint::take(&mut meta)?;
    let since = varint::unzigzag(varint::take(&mut meta)?);
    let (created_at, expires_at) = match (flags & EXPIRES, meta.as_chunks()) {
        (0, ([created_at], [])) => (i64::from_le_bytes(*created_at), None),
        (EXPIRES, ([created_at, expires_at], [])) => {
            let expires_at = Timestamp(i64::from_le_bytes(*expires_at));
            (i64::from_le_bytes(*created_at), Some(expires_at))
        }
        _ => return None,
    };
    let updated_at = created_at.wrapping_add(since);
    let meta = Meta {
        index,
        version,
        created_at: Timestamp(created_at),
        updated_at: Timestamp(updated_at),
        expires_at,
    };
    Some(Body {
        tombstone: flags & TOMBSTONE != 0,
        key,
        meta,
        fields,
    })
}

/// Where the body begins.
#[inline]
fn body_at(link: Link) -> usize {
    if link == Link::Previous {
        LINK_AT + LINK_BYTES
    } else {
        HEADER_BYTES
    }
}

fn layout(body_bytes: usize, link: Link) -> Layout {
    Layout::from_size_align(body_at(link) + body_bytes, ALIGN)
        .expect("a body is bounded by BODY_BYTES_MAX")
}

impl Document {
    /// The version that these make; `fields` of `None` makes a tombstone.
    pub(crate) fn new(key: &[u8], meta: &Meta, fields: Option<&[u8]>, link: Link) -> Document {
        let head = Head::new(key, meta, fields.is_none());
        Document(Document::allocate(&head.with(key, fields), link, 1))
    }

    /// As [`Document::new`] with a second handle, for the answer: counting it later would wait
    /// until the memory just filled has arrived.
    pub(crate) fn new_pair(
        key: &[u8],
        meta: &Meta,
        fields: Option<&[u8]>,
        link: Link,
    ) -> (Document, Document) {
        let head = Head::new(key, meta, fields.is_none());
        let header = Document::allocate(&head.with(key, fields), link, 2);
        (Document(header), Document(header))
    }

    /// The first version of a row, of a body that [`Document::body_slice`] gave and that was
    /// checked since.
    pub(crate) fn of_body(body: &[u8]) -> Document {
        debug_assert!(parse_body(body).is_some(), "a body is checked before");
        Document(Document::allocate(&[body], Link::None, 1))
    }

    /// Copies the parts of a body into a new allocation that `counts` handles will own.
    #[inline]
    fn allocate<const PARTS: usize>(
        body: &[&[u8]; PARTS],
        link: Link,
        counts: u32,
    ) -> NonNull<Header> {
        let body_bytes = body.iter().map(|part| part.len()).sum();
        assert!(body_bytes <= BODY_BYTES_MAX, "a body of {body_bytes} bytes");
        let layout = layout(body_bytes, link);
        let flag = if link == Link::Previous {
            HAS_PREVIOUS
        } else {
            0
        };
        // SAFETY: the layout is never empty. All of the header, the link when there is one, and
        // the body lie inside it and are written before anybody can read them.
        unsafe {
            let Some(header) = NonNull::new(alloc(layout).cast::<Header>()) else {
                handle_alloc_error(layout)
            };
            let (counts, row) = (AtomicU32::new(counts), AtomicU32::new(0));
            header.write(Header {
                counts,
                length: body_bytes as u32 | flag,
                row,
            });
            let start = header.as_ptr().cast::<u8>();
            if link == Link::Previous {
                let none = AtomicPtr::new(std::ptr::null_mut());
                start.add(LINK_AT).cast::<AtomicPtr<Header>>().write(none);
            }
            let mut place = start.add(body_at(link));
            for part in body {
                std::ptr::copy_nonoverlapping(part.as_ptr(), place, part.len());
                place = place.add(part.len());
            }
            header
        }
    }

    /// What is known of a document that is not there any more: its id and version, no fields.
    pub fn gone(id: &Key, version: u64) -> Document {
        let (index, time) = (0, Timestamp(0));
        let meta = Meta {
            index,
            version,
            created_at: time,
            updated_at: time,
            expires_at: None,
        };
        Document::new(id.as_bytes(), &meta, None, Link::None)
    }

    fn header(&self) -> &Header {
        // SAFETY: this handle owns a count, so the allocation lives.
        unsafe { self.0.as_ref() }
    }

    fn has_previous(&self) -> bool {
        self.header().length & HAS_PREVIOUS != 0
    }

    fn body_bytes(&self) -> usize {
        (self.header().length & !HAS_PREVIOUS) as usize
    }

    fn link(&self) -> Link {
        Link::of(self.has_previous())
    }

    /// The encoded body, as it stands in a checkpoint.
    #[inline]
    pub(crate) fn body_slice(&self) -> &[u8] {
        // SAFETY: `new` wrote `body_bytes` initialized, immutable bytes at `body_at`.
        unsafe {
            let start = self.0.as_ptr().cast::<u8>().add(body_at(self.link()));
            std::slice::from_raw_parts(start, self.body_bytes())
        }
    }

    #[inline]
    fn split(&self) -> Split<'_> {
        split_body(self.body_slice()).expect("a record holds a body that parsed when it was made")
    }

    /// Whether it says that the document does not exist.
    #[inline]
    pub(crate) fn is_tombstone(&self) -> bool {
        self.body_slice()[0] & TOMBSTONE != 0
    }

    /// From when on there is no such document.
    #[inline]
    pub fn expires_at(&self) -> Option<Timestamp> {
        if self.body_slice()[0] & EXPIRES == 0 {
            return None;
        }
        self.meta().expires_at
    }

    /// Whether the document is there at this time: neither deleted nor expired.
    #[inline]
    pub(crate) fn is_live(&self, time: Timestamp) -> bool {
        !self.is_tombstone() && self.expires_at().is_none_or(|expires_at| expires_at > time)
    }

    /// Log index of the entry that made this version.
    #[inline]
    pub fn index(&self) -> u64 {
        varint::take(&mut self.split().meta).expect("parsed when it was made")
    }

    /// The parts of the body.
    #[inline]
    pub(crate) fn body(&self) -> Body<'_> {
        parse_body(self.body_slice()).expect("a record holds a body that parsed when it was made")
    }

    /// The bytes that this version takes from the allocator (before its rounding).
    pub(crate) fn allocated_bytes(&self) -> usize {
        layout(self.body_bytes(), self.link()).size()
    }

    /// The link to the version that this one replaced; `None` for a first version.
    pub(crate) fn previous(&self) -> Option<&AtomicPtr<Header>> {
        // SAFETY: with the flag set, `new` wrote an `AtomicPtr` at this place.
        self.has_previous().then(|| unsafe {
            &*self
                .0
                .as_ptr()
                .cast::<u8>()
                .add(LINK_AT)
                .cast::<AtomicPtr<Header>>()
        })
    }

    /// The row that it belongs to.
    pub(crate) fn row(&self) -> u32 {
        self.header().row.load(Ordering::Relaxed)
    }

    /// Notes the row, before anybody else can see the version.
    pub(crate) fn set_row(&self, row: u32) {
        self.header().row.store(row, Ordering::Relaxed);
    }

    /// What an index points at. Owns no count.
    pub(crate) fn pointer(&self) -> *mut Header {
        self.0.as_ptr()
    }

    /// Gives up the handle for a link that now owns its count.
    pub(crate) fn into_link(self) -> *mut Header {
        let pointer = self.0.as_ptr();
        std::mem::forget(self);
        pointer
    }

    /// Takes over the count that a link owned; `None` for a null link.
    ///
    /// # Safety
    /// `pointer` came from [`Document::into_link`], and its count is not taken twice.
    pub(crate) unsafe fn from_link(pointer: *mut Header) -> Option<Document> {
        NonNull::new(pointer).map(Document)
    }

    /// Borrows the version behind a link without touching its count.
    ///
    /// # Safety
    /// `pointer` is null or a live record for the whole of `'a`: the caller is pinned since
    /// before it loaded the link, or is the writer.
    #[inline]
    pub(crate) unsafe fn borrow_link<'a>(pointer: *mut Header) -> Option<Borrowed<'a>> {
        // Who reads the key will want the fields: the lines come together, not one by one.
        prefetch(pointer, 64);
        prefetch(pointer, 128);
        NonNull::new(pointer).map(|header| {
            Borrowed(
                std::mem::ManuallyDrop::new(Document(header)),
                std::marker::PhantomData,
            )
        })
    }

    /// The document's id.
    pub fn id(&self) -> Key {
        Key::trusted(self.key_bytes())
    }

    /// The encoded id: its bytes compare as ids do.
    #[inline]
    pub fn key_bytes(&self) -> &[u8] {
        self.split().key
    }

    /// Log index, version and times.
    pub fn meta(&self) -> Meta {
        self.body().meta
    }

    /// All fields, readable one by one without decoding the rest.
    #[inline]
    pub fn fields(&self) -> RawMap<'_> {
        RawMap::trusted(self.split().fields)
    }

    /// One top-level field. O(log n) in the number of fields.
    #[inline]
    pub fn get(&self, field: &str) -> Option<RawValue<'_>> {
        self.fields().get(field)
    }
}

/// Asks for the cache line at `offset` of what stands at `start`.
#[inline]
pub(super) fn prefetch<T>(start: *const T, offset: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let line = start.cast::<i8>().wrapping_add(offset);
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (start, offset);
}

/// A version borrowed from a link: a [`Document`] that does not own a count.
pub(crate) struct Borrowed<'a>(
    std::mem::ManuallyDrop<Document>,
    std::marker::PhantomData<&'a ()>,
);

impl Borrowed<'_> {
    /// An owned handle.
    #[inline]
    pub(crate) fn to_owned(&self) -> Document {
        Document::clone(&self.0)
    }
}

impl Clone for Borrowed<'_> {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: neither of the two is ever dropped, nor the handle in them given away.
        let handle = unsafe { std::ptr::read(&raw const self.0) };
        Borrowed(handle, std::marker::PhantomData)
    }
}

impl std::ops::Deref for Borrowed<'_> {
    type Target = Document;
    fn deref(&self) -> &Document {
        &self.0
    }
}

impl Clone for Document {
    #[inline]
    fn clone(&self) -> Document {
        let before = self.header().counts.fetch_add(1, Ordering::Relaxed);
        // As `Arc`: with two thousand million handles something leaks them; a wrapped count
        // would free a live record.
        if before > u32::MAX / 2 {
            std::process::abort();
        }
        Document(self.0)
    }
}

impl Drop for Document {
    #[inline]
    fn drop(&mut self) {
        if self.header().counts.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        // A chain of old versions is freed in a loop, never by recursion.
        let mut next = self.0.as_ptr();
        loop {
            // SAFETY: the last count of `next` is ours, so nobody else can reach it any more;
            // its layout is recomputed from the fields that `new` wrote.
            let link = unsafe {
                let this = std::mem::ManuallyDrop::new(Document(NonNull::new_unchecked(next)));
                let link = this.previous().map_or(std::ptr::null_mut(), |previous| {
                    previous.load(Ordering::Relaxed)
                });
                let layout = layout(this.body_bytes(), this.link());
                dealloc(next.cast::<u8>(), layout);
                link
            };
            let Some(previous) = NonNull::new(link) else {
                return;
            };
            // SAFETY: the freed record's link owned one count of `previous`.
            let counts = unsafe { &previous.as_ref().counts };
            if counts.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
            next = previous.as_ptr();
        }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body();
        f.debug_struct("Document")
            .field("id", &self.id())
            .field("tombstone", &body.tombstone)
            .field("meta", &body.meta)
            .field("fields", &self.fields())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(index: u64) -> Meta {
        Meta {
            index,
            version: 3,
            created_at: Timestamp(1_000),
            updated_at: Timestamp(900),
            expires_at: None,
        }
    }

    fn version(index: u64, link: Link) -> Document {
        Document::new(b"key", &meta(index), Some(b"fields"), link)
    }

    #[test]
    fn a_version_reads_back_what_it_was_made_of() {
        for link in [Link::None, Link::Previous] {
            let document = version(77, link);
            let body = document.body();
            assert_eq!((body.key, body.fields), (&b"key"[..], &b"fields"[..]));
            assert_eq!((body.meta, body.tombstone), (meta(77), false));
        }
    }

    #[test]
    fn a_version_keeps_when_it_expires() {
        for expires_at in [i64::MIN, -1, 0, 1_790_000_000_000_000, i64::MAX] {
            let expires_at = Some(Timestamp(expires_at));
            let meta = Meta {
                expires_at,
                ..meta(1 << 50)
            };
            let document = Document::new(b"key", &meta, Some(b"fields"), Link::None);
            assert_eq!((document.meta(), document.expires_at()), (meta, expires_at));
            assert_eq!(document.body().fields, b"fields");
        }
    }

    #[test]
    fn overhead_is_what_the_memory_figure_rests_on() {
        let meta = Meta {
            index: 1_000_000,
            version: 1,
            created_at: Timestamp(1_790_000_000_000_000),
            updated_at: Timestamp(1_790_000_000_000_000),
            expires_at: None,
        };
        let document = Document::new(&[7; 17], &meta, Some(&[0; 150]), Link::None);
        // flags 1, meta length 1, key length 1, key 17, index 3, version 1, updated 1, created 8
        assert_eq!(document.body_slice().len(), 33 + 150);
        assert_eq!(document.allocated_bytes(), 12 + 33 + 150);
    }

    #[test]
    fn a_long_chain_is_freed_without_recursion() {
        let mut newest = version(1, Link::None);
        for index in 2..100_000 {
            let next = version(index, Link::Previous);
            next.previous()
                .unwrap()
                .store(newest.into_link(), Ordering::Release);
            newest = next;
        }
        let held = newest.clone();
        drop(newest);
        assert_eq!(held.meta().index, 99_999);
    }

    #[test]
    fn every_cut_body_is_refused_or_shorter() {
        let document = Document::new(b"key", &meta(1 << 40), None, Link::None);
        let body = document.body_slice();
        for cut in 0..body.len() {
            assert!(parse_body(&body[..cut]).is_none(), "cut at {cut}");
        }
        assert!(parse_body(body).unwrap().tombstone);
    }
}
