//! Makes the files agree with what recovery found, before the log is used.
//!
//! Cut segments go newest first and the torn one is shortened, so that a crash in between is
//! found as the same torn log again. What was written but not known to be synced is written
//! once more and synced: after a failed sync the page cache may show bytes that no later sync
//! will bring to the disk, because the kernel counts them as clean.
//!
//! Needs no space: it works on a full disk. Tests: `velocitydb-sim`.

use std::path::Path;

use super::error::LogError;
use super::recovery::Recovery;
use super::segment::{HEADER_LEN, Header, Segment, parse_spare_name};
use super::shorten;
use super::spares::{Spares, remove, sync_dir};
use super::tail::Spare;
use crate::crypt::KeyId;
use crate::disk::Disk;

/// Bytes rewritten at once.
const PIECE: u64 = 1 << 20;

/// Brings the directory into the state that `recovery` describes; answers the spares found.
pub(super) fn settle(
    disk: &dyn Disk,
    dir: &Path,
    recovery: &mut Recovery,
    key: Option<KeyId>,
) -> Result<Spares, LogError> {
    for name in recovery.cut.iter().rev() {
        remove(disk, dir, name)?;
    }
    if recovery.end > recovery.synced {
        rewrite_unsynced(recovery)?;
    }
    if let Some(newest) = recovery.segments.last_mut()
        && newest.capacity > newest.end
    {
        // The rest of the file would never be used: a new segment follows.
        let trimmed = shorten(&*newest.file, newest.end);
        trimmed.map_err(|error| LogError::io(format!("shorten {}", newest.name), error))?;
        newest.capacity = newest.end;
    }
    sync_dir(disk, dir)?;
    recovery.synced = recovery.synced.max(recovery.end);
    for name in &recovery.leftovers {
        remove(disk, dir, name)?;
    }
    take_spares(disk, dir, &recovery.spares, key)
}

/// Writes the records above the last position known to be synced once more, and syncs them.
fn rewrite_unsynced(recovery: &Recovery) -> Result<(), LogError> {
    let (synced_sequence, synced_offset) = recovery.synced;
    for segment in &recovery.segments {
        let sequence = segment.header.sequence;
        if sequence < synced_sequence {
            continue;
        }
        let from = if sequence == synced_sequence {
            synced_offset
        } else {
            HEADER_LEN
        };
        rewrite(segment, from)
            .map_err(|error| LogError::io(format!("rewrite {}", segment.name), error))?;
    }
    Ok(())
}

fn rewrite(segment: &Segment, from: u64) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    let mut at = from;
    while at < segment.end {
        let want = (segment.end - at).min(PIECE) as usize;
        buffer.resize(want, 0);
        let count = segment.file.read_at(&mut buffer, at)?;
        if count < want {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        segment.file.write_all_at(&buffer, at)?;
        at += want as u64;
    }
    segment.file.sync_data()
}

/// Keeps the newest spare for reuse and removes the others. With a key, one that is not known to
/// have held only what this key encrypted goes too.
fn take_spares(
    disk: &dyn Disk,
    dir: &Path,
    names: &[String],
    key: Option<KeyId>,
) -> Result<Spares, LogError> {
    let mut spares = Spares {
        next_number: 1,
        ..Spares::default()
    };
    for name in names {
        let number = parse_spare_name(name).unwrap_or(0);
        spares.next_number = spares.next_number.max(number.saturating_add(1));
    }
    for (at, name) in names.iter().enumerate() {
        if at + 1 < names.len() {
            remove(disk, dir, name)?;
            continue;
        }
        let io = |error| LogError::io(format!("open {name}"), error);
        let file = disk.open(&dir.join(name)).map_err(io)?;
        let capacity = file.len().map_err(io)?;
        if key.is_some() {
            let mut header = [0; HEADER_LEN as usize];
            let count = file.read_at(&mut header, 0).map_err(io)?;
            let ours = Header::decode(&header[..count]).is_ok_and(|header| header.key == key);
            if !ours {
                drop(file);
                remove(disk, dir, name)?;
                continue;
            }
        }
        // The length may never have reached the disk, when a sync failed before the crash: it is
        // set again, and durable with the sync that begins a segment here.
        file.set_len(capacity).map_err(io)?;
        spares.free.push(Spare {
            file,
            name: name.clone(),
            capacity,
            recycled: true,
        });
    }
    Ok(spares)
}
