//! The end of the log that is still in this process: what appenders fill and flushers take.
//!
//! A record gets its place (segment, offset) when it is appended, since its checksum depends on
//! it. So the roll-over to the next segment happens here too, in memory: the chunk of a new
//! segment carries the spare file it will be written to, and a reservation holds either room in
//! the current segment or such a spare. Nothing here fails for want of space.
//!
//! Does no I/O. Always used under the log's tail lock. Tests: with the log.

use std::sync::Arc;

use super::pack::Packer;
use super::record::{self, ENTRY_OVERHEAD, Frame, PREFIX, Record, TERMINATOR};
use super::segment::{HEADER_LEN, Header, LANDMARK_EVERY, Position};
use super::state::State;
use crate::crypt::{EncryptionKeys, Purpose, TAG_BYTES};
use crate::disk::DiskFile;

/// The largest vote, in bytes.
pub(super) const VOTE_MAX: usize = 1024;
/// The longest record that is no entry, in bytes.
pub(super) const CONTROL_MAX: u64 = (PREFIX + 1 + VOTE_MAX + TAG_BYTES) as u64;
/// The most bytes that a new segment restates: vote, commit position, purge position.
const RESTATED_MAX: u64 = CONTROL_MAX + 2 * record::POSITION_LEN;

/// A prepared file that the next segment will use.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) name: String,
    pub(super) capacity: u64,
    /// It held records before.
    pub(super) recycled: bool,
}

/// Records for one segment, contiguous, not yet written.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Set when these are the first records of a new segment.
    pub(super) opens: Option<(Header, Frame, Spare)>,
    /// Offset of the first byte in the segment.
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    /// First and last entry in `bytes`.
    pub(super) entries: Option<(u64, u64)>,
    pub(super) landmarks: Vec<(u64, u64)>,
}

/// How a new segment stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// The log goes on in it.
    Continues,
    /// The log starts there; everything before is void.
    StartsAnew,
}

/// What a flusher takes: everything appended so far.
#[derive(Debug)]
pub(super) struct Batch {
    /// Ends of segments that were rolled over, oldest first; usually none.
    pub(super) rolled: Vec<Chunk>,
    pub(super) current: Chunk,
    /// The index that follows this batch (0: none).
    pub(super) next_index: u64,
    pub(super) ticket: u64,
}

pub(super) struct Tail {
    pub(super) state: State,
    /// Counts appended records other than marks; a flush waits for one of these numbers.
    pub(super) ticket: u64,
    pub(super) spare: Option<Spare>,
    rolled: Vec<Chunk>,
    current: Chunk,
    /// Sequence of the current segment and the offset of the next record in it. Before the first
    /// roll-over of this run they name the last segment found on disk and its end.
    position: Position,
    /// Bytes the current segment can hold; 0 until there is one.
    capacity: u64,
    frame: Frame,
    keys: EncryptionKeys,
    /// Bytes that the next append may use.
    reserved: u64,
    /// The newest position known to be synced.
    pub(super) synced: Position,
    /// What the last `Synced` record appended says.
    marked: Position,
    next_sequence: u64,
    last_landmark: u64,
    salts: Box<dyn FnMut() -> [u8; 16] + Send>,
    packer: Packer,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Tail {
    pub(super) fn new(
        state: State,
        end: Position,
        synced: Position,
        next_sequence: u64,
        salts: Box<dyn FnMut() -> [u8; 16] + Send>,
        packer: Packer,
        keys: EncryptionKeys,
    ) -> Tail {
        Tail {
            state,
            ticket: 0,
            spare: None,
            rolled: Vec::new(),
            current: Chunk::default(),
            position: end,
            capacity: 0,
            frame: Frame::plain(&[0; 16]),
            keys,
            reserved: 0,
            synced,
            marked: synced,
            next_sequence,
            last_landmark: 0,
            salts,
            packer,
        }
    }

    /// Bytes that wait to be written.
    pub(super) fn buffered(&self) -> u64 {
        let rolled: usize = self.rolled.iter().map(|chunk| chunk.bytes.len()).sum();
        (rolled + self.current.bytes.len()) as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rolled.is_empty() && self.current.bytes.is_empty() && self.current.opens.is_none()
    }

    fn fits(&self, bytes: u64) -> bool {
        self.capacity > 0 && self.position.1 + bytes + TERMINATOR <= self.capacity
    }

    /// Whether the spare can take `bytes` of records.
    pub(super) fn spare_fits(&self, bytes: u64) -> bool {
        self.spare
            .as_ref()
            .is_some_and(|spare| spare.capacity >= Tail::needed_capacity(bytes))
    }

    /// The file size that a new segment needs to take `bytes` of records.
    pub(super) fn needed_capacity(bytes: u64) -> u64 {
        HEADER_LEN + RESTATED_MAX + bytes + TERMINATOR
    }

    /// The capacity of the current segment, 0 when there is none.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whether `headroom` bytes would be left after `bytes` more: here, or because a spare follows.
    fn leaves(&self, bytes: u64, headroom: u64) -> bool {
        let here = self.fits(bytes) && (self.spare.is_some() || self.fits(bytes + headroom));
        here || self.spare_fits(bytes + headroom)
    }

    /// Whether a small entry finds room and leaves `headroom` bytes.
    pub(super) fn has_room(&self, headroom: u64) -> bool {
        self.leaves(ENTRY_OVERHEAD, headroom)
    }

    /// Sets room aside for one entry; false when a spare with
    /// `needed_capacity(payload + ENTRY_OVERHEAD + headroom)` must be brought first.
    pub(super) fn reserve(&mut self, payload: u64, headroom: u64) -> bool {
        let bytes = payload + ENTRY_OVERHEAD;
        let fits = self.leaves(bytes, headroom);
        if fits {
            self.reserved = self.reserved.max(bytes);
        }
        fits
    }

    pub(super) fn append(&mut self, index: u64, term: u64, write: impl FnOnce(&mut Vec<u8>)) {
        assert!(
            self.state.accepts(index),
            "entry {index} does not follow {:?}",
            self.state.last
        );
        let reserved = std::mem::take(&mut self.reserved);
        assert!(
            reserved > 0,
            "entry {index} is appended without a reservation"
        );
        if !self.fits(reserved) {
            self.roll(Link::Continues);
        }
        assert!(
            self.fits(reserved),
            "a reservation is room here or in the spare"
        );
        let offset = self.position.1;
        let before = self.current.bytes.len();
        record::push_entry(
            &mut self.current.bytes,
            &self.frame,
            offset,
            (index, term),
            &mut self.packer,
            |buffer| {
                let payload = buffer.len();
                write(buffer);
                let len = (buffer.len() - payload) as u64;
                // Before it is encrypted: a place is used once.
                assert!(
                    len + ENTRY_OVERHEAD <= reserved,
                    "entry {index} has {len} bytes, {reserved} were reserved"
                );
            },
        );
        let len = (self.current.bytes.len() - before) as u64;
        debug_assert!(len <= reserved, "a record adds at most its overhead");
        self.position.1 += len;
        if offset - self.last_landmark >= LANDMARK_EVERY {
            self.current.landmarks.push((index, offset));
            self.last_landmark = offset;
        }
        let first = self.current.entries.map_or(index, |(first, _)| first);
        self.current.entries = Some((first, index));
        self.state.append(index, term);
        self.ticket += 1;
    }

    /// Appends a record that is no entry, keeping what is reserved; false when a spare with
    /// `needed_capacity(bytes + reserved)` must be brought first.
    pub(super) fn control(&mut self, record: &Record, source: &[u8]) -> bool {
        let bytes = control_len(record);
        if !(self.fits(bytes + self.reserved) || self.fits(bytes) && self.spare_fits(self.reserved))
        {
            if !self.spare_fits(bytes + self.reserved) {
                return false;
            }
            self.roll(Link::Continues);
        }
        self.push(record, source);
        self.ticket += 1;
        true
    }

    /// Bytes reserved for the next append.
    pub(super) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Notes what was synced, with a `Synced` record when there is room; true when it did.
    pub(super) fn mark(&mut self, synced: Position) -> bool {
        self.synced = self.synced.max(synced);
        let bytes = record::SYNCED_LEN;
        let fits =
            self.fits(bytes + self.reserved) || self.fits(bytes) && self.spare_fits(self.reserved);
        if self.synced <= self.marked || !fits {
            return false;
        }
        self.marked = self.synced;
        let (sequence, offset) = self.synced;
        self.push(&Record::Synced { sequence, offset }, &[]);
        true
    }

    /// Begins a new segment in the spare.
    pub(super) fn roll(&mut self, link: Link) {
        let spare = self
            .spare
            .take()
            .expect("a reservation that needs a roll-over holds a spare");
        let (first_index, base_term) = self.state.base();
        let (previous, synced) = match link {
            Link::Continues => (self.position, self.synced),
            Link::StartsAnew => ((0, 0), (0, 0)),
        };
        let header = Header {
            sequence: self.next_sequence,
            first_index,
            base_term,
            previous,
            synced,
            begun: HEADER_LEN,
            recycled: spare.recycled,
            capacity: Some(spare.capacity),
            salt: (self.salts)(),
            key: self.keys.current(),
        };
        self.next_sequence += 1;
        self.position = (header.sequence, HEADER_LEN);
        self.capacity = spare.capacity;
        self.frame = Frame {
            cipher: self.keys.sealing(&header.salt, Purpose::Log),
            ..Frame::plain(&header.salt)
        };
        self.last_landmark = HEADER_LEN;
        self.marked = self.synced;
        let opened = Chunk {
            start: HEADER_LEN,
            opens: Some((header, self.frame.clone(), spare)),
            ..Chunk::default()
        };
        let full = std::mem::replace(&mut self.current, opened);
        if full.opens.is_some() || !full.bytes.is_empty() {
            self.rolled.push(full);
        }
        // A segment says all that is not an entry, so that those before it can go.
        if let Some(vote) = self.state.vote.take() {
            self.push(&Record::Vote(0..vote.len()), &vote);
            self.state.vote = Some(vote);
        }
        if let Some((index, term)) = self.state.committed {
            self.push(&Record::Committed { index, term }, &[]);
        }
        if let Some((index, term)) = self.state.purged {
            self.push(&Record::Purge { index, term }, &[]);
        }
        let (header, ..) = self
            .current
            .opens
            .as_mut()
            .expect("the chunk opens the segment");
        header.begun = self.position.1;
    }

    fn push(&mut self, record: &Record, source: &[u8]) {
        let before = self.current.bytes.len();
        record::push_control(
            &mut self.current.bytes,
            &self.frame,
            self.position.1,
            record,
            source,
        );
        let len = (self.current.bytes.len() - before) as u64;
        debug_assert!(
            len <= control_len(record),
            "control_len bounds what push_control writes"
        );
        self.position.1 += len;
        debug_assert!(
            self.position.1 + TERMINATOR <= self.capacity,
            "room was checked"
        );
    }

    /// Hands over everything appended; `empty` becomes the next buffer.
    pub(super) fn take(&mut self, empty: Vec<u8>) -> Batch {
        debug_assert!(empty.is_empty(), "the next buffer starts empty");
        let next = Chunk {
            start: self.position.1,
            bytes: empty,
            ..Chunk::default()
        };
        let current = std::mem::replace(&mut self.current, next);
        Batch {
            rolled: std::mem::take(&mut self.rolled),
            current,
            next_index: self.state.next.unwrap_or(0),
            ticket: self.ticket,
        }
    }
}

/// Bytes of a whole record that is no entry, at most: a vote may be encrypted.
fn control_len(record: &Record) -> u64 {
    match record {
        Record::Entry { .. } => unreachable!("entries are no control records"),
        Record::Vote(range) => (PREFIX + 1 + range.len() + TAG_BYTES) as u64,
        Record::Committed { .. } | Record::Purge { .. } => record::POSITION_LEN,
        Record::Truncate { .. } => record::TRUNCATE_LEN,
        Record::Synced { .. } => record::SYNCED_LEN,
    }
}
