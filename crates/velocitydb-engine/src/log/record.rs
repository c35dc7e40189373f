//! How a record is framed and checked.
//!
//! ```text
//! 0      4      8     9
//! +------+------+-----+---------------------+
//! | crc  | len  | tag | fields, payload ... |
//! +------+------+-----+---------------------+
//!        |<------ checked by crc ---------->|   len counts from the tag
//! ```
//!
//! The CRC starts from the segment's salt and the record's position, so a record verifies only
//! in its own segment at its own place: bytes that an earlier use of the file left behind do
//! not. Eight zero bytes where a record should start are the end of the log.
//!
//! In an encrypted segment the payload of an entry and a vote are encrypted, with the tag behind
//! them; the CRC is over what is stored, so a torn or damaged record is found without a key.
//!
//! Knows nothing of files. Bytes in docs/formats/log.md. Tests: below.

use std::ops::Range;
use std::sync::Arc;

use super::pack::{LZ4, Packer, Packing, Payload, ZSTD};
use crate::crypt::{Cipher, TAG_BYTES};

/// Bytes before the tag: CRC and length.
pub(super) const PREFIX: usize = 8;
/// Zero bytes that follow the last record.
pub(super) const TERMINATOR: u64 = 8;
/// The most bytes an entry's record has beside its payload: prefix, tag, three varints, and the
/// tag of its encryption.
pub(super) const ENTRY_OVERHEAD: u64 = PREFIX as u64 + 1 + 10 + 10 + 5 + TAG_BYTES as u64;
/// The largest payload of one record, in bytes.
pub(super) const PAYLOAD_MAX: u64 = 1 << 30;
/// Bytes of a whole `Synced` record.
pub(super) const SYNCED_LEN: u64 = PREFIX as u64 + 1 + 16;
/// Bytes of a whole `Committed` or `Purge` record.
pub(super) const POSITION_LEN: u64 = PREFIX as u64 + 1 + 16;
/// Bytes of a whole `Truncate` record.
pub(super) const TRUNCATE_LEN: u64 = PREFIX as u64 + 1 + 9;

const ENTRY: u8 = 1;
const VOTE: u8 = 2;
const COMMITTED: u8 = 3;
const TRUNCATE: u8 = 4;
const PURGE: u8 = 5;
const SYNCED: u8 = 6;

/// The tag's low bits are the kind, the others flags.
const KIND_MASK: u8 = 0x0f;
/// What the record holds is encrypted.
const SEALED: u8 = 0x40;

/// Where a checksum starts: one per segment, from its salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check(u32);

impl Check {
    pub(super) fn new(salt: &[u8; 16]) -> Check {
        Check(crc32fast::hash(salt))
    }

    /// The CRC of a record at `offset`, over `covered` (its length, tag and all that follows).
    fn of(self, offset: u64, covered: &[u8]) -> u32 {
        let start = self.0 ^ (offset as u32) ^ ((offset >> 32) as u32);
        let mut hasher = crc32fast::Hasher::new_with_initial(start);
        hasher.update(covered);
        hasher.finalize()
    }
}

/// What the records of one segment are framed with: where checksums start, and the cipher.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) check: Check,
    pub(super) cipher: Option<Arc<Cipher>>,
}

impl Frame {
    /// Of a segment that is not encrypted.
    pub(super) fn plain(salt: &[u8; 16]) -> Frame {
        Frame {
            check: Check::new(salt),
            cipher: None,
        }
    }

    /// Decrypts in place what `record` holds, which was decoded at `buffer[at..]`, the segment's
    /// byte `offset`.
    ///
    /// # Errors
    /// It verifies, but is not what this segment's key encrypted there.
    pub(super) fn open(
        &self,
        buffer: &mut [u8],
        at: usize,
        offset: u64,
        record: &mut Record,
    ) -> Result<(), &'static str> {
        let range = match record {
            Record::Entry { payload, .. } => &mut payload.range,
            Record::Vote(range) => range,
            _ => return Ok(()),
        };
        let sealed = buffer[at + PREFIX] & SEALED != 0;
        match &self.cipher {
            None if !sealed => Ok(()),
            None => Err("the record is encrypted, its segment is not"),
            Some(_) if !sealed => Err("the record is not encrypted, its segment is"),
            Some(cipher) => {
                let (before, body) = buffer[at + 4..range.end].split_at_mut(range.start - at - 4);
                let len = cipher.open(offset, before, body).ok_or(
                    "the record verifies, but does not decrypt: it is not what was written here",
                )?;
                range.end = range.start + len;
                Ok(())
            }
        }
    }
}

/// What a record says. Payloads are ranges of the buffer that was decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Entry {
        index: u64,
        term: u64,
        payload: Payload,
    },
    Vote(Range<usize>),
    Committed {
        index: u64,
        term: u64,
    },
    /// Entries after this index are void; `None` voids all.
    Truncate {
        after: Option<u64>,
    },
    Purge {
        index: u64,
        term: u64,
    },
    /// All before this position of the log was synced when this was written.
    Synced {
        sequence: u64,
        offset: u64,
    },
}

/// What stands at a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record that verifies, of `len` bytes in all.
    Record { record: Record, len: usize },
    /// The end mark.
    End,
    /// `needed` bytes must be in the buffer before this can be decided.
    Short { needed: usize },
    /// No record of this segment and position.
    Bad,
    /// It verifies, so it was written so, but this version cannot read it.
    Unknown(&'static str),
}

/// Starts a record in `buffer`; answers where. Fields and payload are pushed next, then
/// [`finish`] is called with the same place.
fn start(buffer: &mut Vec<u8>, tag: u8) -> usize {
    let place = buffer.len();
    buffer.extend_from_slice(&[0; PREFIX]);
    buffer.push(tag);
    place
}

/// Encrypts `buffer[from..]`, when the segment is encrypted, and finishes the record that starts
/// at `place`. All before `from` stays readable, and the tag covers it.
fn seal(buffer: &mut Vec<u8>, place: usize, from: usize, frame: &Frame, offset: u64) {
    if let Some(cipher) = &frame.cipher {
        buffer[place + PREFIX] |= SEALED;
        buffer.extend_from_slice(&[0; TAG_BYTES]);
        put_length(buffer, place);
        let (before, body) = buffer[place + 4..].split_at_mut(from - place - 4);
        cipher.seal(offset, before, body);
    }
    finish(buffer, place, frame.check, offset);
}

/// Fills in the length of the record that starts at `place` and ends the buffer.
fn put_length(buffer: &mut [u8], place: usize) {
    let len = buffer.len() - place - PREFIX;
    debug_assert!(len >= 1, "a record has a tag");
    let len = u32::try_from(len).expect("callers bound a record by PAYLOAD_MAX");
    buffer[place + 4..place + 8].copy_from_slice(&len.to_le_bytes());
}

/// Fills in length and CRC of the record that starts at `place` and ends the buffer.
fn finish(buffer: &mut [u8], place: usize, check: Check, offset: u64) {
    put_length(buffer, place);
    let crc = check.of(offset, &buffer[place + 4..]);
    buffer[place..place + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Appends an entry's record to `buffer`; `write` pushes its payload. `offset` is the record's
/// position in the segment.
pub(super) fn push_entry(
    buffer: &mut Vec<u8>,
    frame: &Frame,
    offset: u64,
    (index, term): (u64, u64),
    packer: &mut Packer,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let place = start(buffer, ENTRY);
    push_varint(buffer, index);
    push_varint(buffer, term);
    let payload = buffer.len();
    write(buffer);
    assert!(buffer.len() >= payload, "a payload writer only appends");
    let (flag, from) = packer.pack(buffer, payload);
    buffer[place + PREFIX] |= flag;
    seal(buffer, place, from, frame, offset);
}

/// Appends a record that is no entry. Its payloads are taken from `source`.
pub(super) fn push_control(
    buffer: &mut Vec<u8>,
    frame: &Frame,
    offset: u64,
    record: &Record,
    source: &[u8],
) {
    let place;
    match record {
        Record::Entry { .. } => unreachable!("entries go through push_entry"),
        Record::Vote(range) => {
            place = start(buffer, VOTE);
            let from = buffer.len();
            buffer.extend_from_slice(&source[range.clone()]);
            return seal(buffer, place, from, frame, offset);
        }
        Record::Committed { index, term } => {
            place = start(buffer, COMMITTED);
            push_pair(buffer, *index, *term);
        }
        Record::Truncate { after } => {
            place = start(buffer, TRUNCATE);
            buffer.push(u8::from(after.is_some()));
            buffer.extend_from_slice(&after.unwrap_or(0).to_le_bytes());
        }
        Record::Purge { index, term } => {
            place = start(buffer, PURGE);
            push_pair(buffer, *index, *term);
        }
        Record::Synced { sequence, offset } => {
            place = start(buffer, SYNCED);
            push_pair(buffer, *sequence, *offset);
        }
    }
    finish(buffer, place, frame.check, offset);
}

/// Says what stands at `buffer[at..]`, which is the segment's byte `offset`; no record there can
/// be longer than `room` bytes.
pub(super) fn decode(buffer: &[u8], at: usize, check: Check, offset: u64, room: u64) -> Step {
    let rest = &buffer[at..];
    if room < PREFIX as u64 {
        return Step::Bad;
    }
    let Some((prefix, _)) = rest.split_first_chunk::<PREFIX>() else {
        return Step::Short { needed: PREFIX };
    };
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *prefix;
    let (crc, len) = (
        u32::from_le_bytes([c0, c1, c2, c3]),
        u32::from_le_bytes([l0, l1, l2, l3]),
    );
    if len == 0 {
        return if crc == 0 { Step::End } else { Step::Bad };
    }
    let whole = PREFIX as u64 + u64::from(len);
    if whole > room {
        return Step::Bad;
    }
    let whole = whole as usize;
    if rest.len() < whole {
        return Step::Short { needed: whole };
    }
    if check.of(offset, &rest[4..whole]) != crc {
        return Step::Bad;
    }
    match parse(&rest[PREFIX..whole], at + PREFIX) {
        Some(record) => Step::Record { record, len: whole },
        None => Step::Unknown("the record verifies, but is of a kind unknown to this version"),
    }
}

/// The record of a verified `body` (tag and what follows), which starts at `base` of its buffer.
fn parse(body: &[u8], base: usize) -> Option<Record> {
    let (&tag, fields) = body.split_first()?;
    let base = base + 1;
    let flags = tag & !KIND_MASK;
    let allowed = match tag & KIND_MASK {
        ENTRY => LZ4 | ZSTD | SEALED,
        VOTE => SEALED,
        _ => 0,
    };
    if flags & !allowed != 0 {
        return None;
    }
    let packing = flags & !SEALED;
    match tag & KIND_MASK {
        ENTRY => {
            let mut at = 0;
            let index = take_varint(fields, &mut at)?;
            let term = take_varint(fields, &mut at)?;
            let packing = match packing {
                0 => Packing::Plain,
                LZ4 | ZSTD => {
                    let len = take_varint(fields, &mut at)?;
                    if len > PAYLOAD_MAX {
                        return None;
                    }
                    let len = len as usize;
                    if packing == LZ4 {
                        Packing::Lz4 { len }
                    } else {
                        Packing::Zstd { len }
                    }
                }
                _ => return None,
            };
            let payload = Payload {
                range: base + at..base + fields.len(),
                packing,
            };
            Some(Record::Entry {
                index,
                term,
                payload,
            })
        }
        VOTE => Some(Record::Vote(base..base + fields.len())),
        COMMITTED => take_pair(fields).map(|(index, term)| Record::Committed { index, term }),
        TRUNCATE => match fields.split_first() {
            Some((0, _)) => Some(Record::Truncate { after: None }),
            Some((1, after)) => {
                let after = u64::from_le_bytes(after.try_into().ok()?);
                Some(Record::Truncate { after: Some(after) })
            }
            _ => None,
        },
        PURGE => take_pair(fields).map(|(index, term)| Record::Purge { index, term }),
        SYNCED => take_pair(fields).map(|(sequence, offset)| Record::Synced { sequence, offset }),
        _ => None,
    }
}

/// The largest position that a verified `Synced` record anywhere in `buffer` names. `base` is
/// the segment's position of `buffer[0]`.
pub(super) fn find_synced(buffer: &[u8], base: u64, check: Check) -> Option<(u64, u64)> {
    let body_len = (SYNCED_LEN as u32 - PREFIX as u32).to_le_bytes();
    let mut best = None;
    for (at, window) in buffer.windows(SYNCED_LEN as usize).enumerate() {
        if window[PREFIX] != SYNCED || window[4..PREFIX] != body_len {
            continue;
        }
        if let Step::Record {
            record: Record::Synced { sequence, offset },
            ..
        } = decode(window, 0, check, base + at as u64, SYNCED_LEN)
        {
            best = best.max(Some((sequence, offset)));
        }
    }
    best
}

/// The largest index of a verified entry anywhere in `buffer`, from `first` on. `base` is the
/// segment's position of `buffer[0]`. For reports on damage.
pub(super) fn find_last_entry(buffer: &[u8], base: u64, check: Check, first: u64) -> Option<u64> {
    // An entry takes more than one byte, so there are fewer of them than bytes.
    let below = first.saturating_add(buffer.len() as u64);
    let mut best = None;
    for at in 0..buffer.len().saturating_sub(PREFIX + 1) {
        if buffer[at + PREFIX] & KIND_MASK != ENTRY {
            continue;
        }
        let mut place = at + PREFIX + 1;
        let plausible =
            take_varint(buffer, &mut place).is_some_and(|i| (first..below).contains(&i));
        let room = (buffer.len() - at) as u64;
        if plausible
            && let Step::Record {
                record: Record::Entry { index, .. },
                ..
            } = decode(buffer, at, check, base + at as u64, room)
        {
            best = best.max(Some(index));
        }
    }
    best
}

fn push_pair(buffer: &mut Vec<u8>, first: u64, second: u64) {
    buffer.extend_from_slice(&first.to_le_bytes());
    buffer.extend_from_slice(&second.to_le_bytes());
}

fn take_pair(fields: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = fields.split_first_chunk::<8>()?;
    Some((
        u64::from_le_bytes(*first),
        u64::from_le_bytes(second.try_into().ok()?),
    ))
}

pub(super) fn push_varint(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}

fn take_varint(fields: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *fields.get(*at)?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Compression;
    use super::*;

    fn framed(payload: &[u8], compression: Compression, offset: u64) -> (Vec<u8>, Check) {
        let frame = Frame::plain(&[5; 16]);
        (framed_by(&frame, payload, compression, offset), frame.check)
    }

    fn framed_by(frame: &Frame, payload: &[u8], compression: Compression, offset: u64) -> Vec<u8> {
        let mut packer = Packer::new(compression, 64).unwrap();
        let mut buffer = Vec::new();
        push_entry(
            &mut buffer,
            frame,
            offset,
            (900, 7),
            &mut packer,
            |buffer| {
                buffer.extend_from_slice(payload);
            },
        );
        buffer
    }

    fn payload_of(buffer: &[u8], step: &Step) -> Vec<u8> {
        let Step::Record {
            record:
                Record::Entry {
                    index: 900,
                    term: 7,
                    payload,
                },
            ..
        } = step
        else {
            panic!("{step:?}");
        };
        let mut scratch = Vec::new();
        assert!(payload.unpack(buffer, &mut scratch));
        payload.unpacked(buffer, &scratch).to_vec()
    }

    #[test]
    fn every_size_is_as_the_format_says() {
        // docs/formats/log.md states these; a change is a new format version.
        let (entry, check) = framed(&[9; 200], Compression::None, 128);
        assert_eq!(entry.len(), 8 + 1 + 2 + 1 + 200);
        let controls = [
            (Record::Vote(0..3), 8 + 1 + 3),
            (Record::Committed { index: 1, term: 2 }, POSITION_LEN),
            (Record::Truncate { after: Some(1) }, TRUNCATE_LEN),
            (Record::Truncate { after: None }, TRUNCATE_LEN),
            (Record::Purge { index: 1, term: 2 }, POSITION_LEN),
            (
                Record::Synced {
                    sequence: 1,
                    offset: 2,
                },
                SYNCED_LEN,
            ),
        ];
        assert_eq!(
            (POSITION_LEN, TRUNCATE_LEN, SYNCED_LEN, TERMINATOR),
            (25, 18, 25, 8)
        );
        for (record, len) in controls {
            let mut buffer = Vec::new();
            push_control(&mut buffer, &Frame::plain(&[5; 16]), 77, &record, b"abc");
            assert_eq!(buffer.len() as u64, len, "{record:?}");
            let room = buffer.len() as u64;
            let read = decode(&buffer, 0, check, 77, room);
            let expected = match record {
                Record::Vote(_) => Record::Vote(9..12),
                other => other,
            };
            assert_eq!(
                read,
                Step::Record {
                    record: expected,
                    len: len as usize
                }
            );
        }
        assert_eq!(
            entry[..4],
            0x0fe7_8238u32.to_le_bytes(),
            "the checksum is part of the format"
        );
    }

    #[cfg(feature = "encryption")]
    fn encrypted() -> Frame {
        use crate::crypt::{EncryptionKey, EncryptionKeys, Purpose};
        let key = EncryptionKey::from_content(vec![7; 32]).unwrap();
        Frame {
            cipher: EncryptionKeys::new(key).sealing(&[5; 16], Purpose::Log),
            ..Frame::plain(&[5; 16])
        }
    }

    #[cfg(feature = "encryption")]
    #[test]
    fn an_encrypted_record_is_16_bytes_longer_and_opens_in_its_place_alone() {
        let (frame, offset) = (encrypted(), 128);
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let text = b"who can read this? ".repeat(20);
            let plain = framed(&text, compression, offset).0;
            let sealed = framed_by(&frame, &text, compression, offset);
            assert_eq!(sealed.len(), plain.len() + TAG_BYTES);
            assert!(!sealed.windows(8).any(|window| window == b"can read"));
            let room = sealed.len() as u64;
            let Step::Record { mut record, .. } = decode(&sealed, 0, frame.check, offset, room)
            else {
                panic!("it verifies");
            };
            let mut buffer = sealed.clone();
            frame.open(&mut buffer, 0, offset, &mut record).unwrap();
            let len = sealed.len();
            assert_eq!(payload_of(&buffer, &Step::Record { record, len }), text);
            // Each byte that the tag covers, with the checksum made right again.
            for at in 8..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                finish(&mut changed, 0, frame.check, offset);
                if let Step::Record { mut record, .. } =
                    decode(&changed, 0, frame.check, offset, room)
                    && matches!(record, Record::Entry { .. } | Record::Vote(_))
                {
                    let opened = frame.open(&mut changed, 0, offset, &mut record);
                    assert!(opened.is_err(), "byte {at}");
                }
            }
        }
        let mut vote = Vec::new();
        push_control(&mut vote, &frame, 77, &Record::Vote(0..3), b"abc");
        assert_eq!(vote.len(), 8 + 1 + 3 + TAG_BYTES);
        let step = decode(&vote, 0, frame.check, 77, vote.len() as u64);
        let Step::Record { mut record, .. } = step else {
            panic!("it verifies");
        };
        let mut plain = record.clone();
        frame.open(&mut vote, 0, 77, &mut record).unwrap();
        assert_eq!((record, &vote[9..12]), (Record::Vote(9..12), &b"abc"[..]));
        assert!(
            Frame::plain(&[5; 16])
                .open(&mut vote, 0, 77, &mut plain)
                .is_err()
        );
    }

    #[test]
    fn compression_is_used_only_where_it_helps() {
        let plain = [3; 4000];
        for compression in [Compression::Lz4, Compression::Zstd] {
            let (buffer, check) = framed(&plain, compression, 0);
            assert!(
                buffer.len() < 200,
                "{compression:?} takes {} bytes",
                buffer.len()
            );
            let step = decode(&buffer, 0, check, 0, buffer.len() as u64);
            assert_eq!(payload_of(&buffer, &step), plain);
            let (short, _) = framed(&plain[..64], compression, 0);
            assert_eq!(short.len(), 8 + 1 + 3 + 64);
        }
    }

    #[test]
    fn a_record_is_valid_in_its_place_alone() {
        let (buffer, check) = framed(b"payload", Compression::None, 1000);
        let room = buffer.len() as u64;
        assert!(matches!(
            decode(&buffer, 0, check, 1000, room),
            Step::Record { .. }
        ));
        assert_eq!(
            decode(&buffer, 0, check, 1001, room),
            Step::Bad,
            "another offset"
        );
        assert_eq!(decode(&buffer, 0, check, 1000 + (1 << 32), room), Step::Bad);
        let other = Check::new(&[6; 16]);
        assert_eq!(
            decode(&buffer, 0, other, 1000, room),
            Step::Bad,
            "another salt"
        );
        assert_eq!(
            decode(&buffer, 0, check, 1000, room - 1),
            Step::Bad,
            "beyond the limit"
        );
        let short = Step::Short {
            needed: buffer.len(),
        };
        assert_eq!(
            decode(&buffer[..buffer.len() - 1], 0, check, 1000, room),
            short
        );
        assert_eq!(decode(&[0; 8], 0, check, 1000, 8), Step::End);
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_back(
            payload in prop::collection::vec(0u8..4, 0..3000),
            offset in 0u64..1 << 40,
            which in 0usize..3,
        ) {
            let compression = [Compression::None, Compression::Lz4, Compression::Zstd][which];
            let (buffer, check) = framed(&payload, compression, offset);
            let step = decode(&buffer, 0, check, offset, buffer.len() as u64);
            prop_assert_eq!(payload_of(&buffer, &step), payload);
        }

        #[test]
        fn any_flipped_bit_is_seen(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
        ) {
            let (mut buffer, check) = framed(&payload, Compression::None, 500);
            let bit = at.index(buffer.len() * 8);
            buffer[bit / 8] ^= 1 << (bit % 8);
            let step = decode(&buffer, 0, check, 500, buffer.len() as u64);
            prop_assert_eq!(step, Step::Bad);
        }

        #[test]
        fn arbitrary_bytes_are_decoded_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            body in prop::collection::vec(any::<u8>(), 1..60),
        ) {
            let check = Check::new(&[5; 16]);
            let _ = decode(&bytes, 0, check, 9, bytes.len() as u64);
            let _ = find_last_entry(&bytes, 9, check, 0);
            // A body that verifies and means nothing.
            let mut buffer = vec![0; PREFIX];
            buffer.extend_from_slice(&body);
            finish(&mut buffer, 0, check, 9);
            let room = buffer.len() as u64;
            if let Step::Record { record: Record::Entry { payload, .. }, .. } =
                decode(&buffer, 0, check, 9, room)
            {
                let mut scratch = Vec::new();
                payload.unpack(&buffer, &mut scratch);
            }
        }
    }
}
