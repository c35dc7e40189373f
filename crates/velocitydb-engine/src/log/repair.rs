//! Makes a damaged log usable again, keeping what it takes out.
//!
//! The plan is made first, by reading the log as if parts of it were absent:
//! - damage among entries that a checkpoint stands for: the oldest segments, damage included, go,
//!   when the rest is whole and reaches from there to its end. No entry is lost;
//! - any other damage: the log is cut there. What comes after is lost;
//! - a log that then ends before the checkpoint, or that is missing: all of it goes, and it
//!   begins anew behind the checkpoint.
//!
//! Carrying it out copies the cut bytes of a segment to a file of their own, renames segments,
//! newest first, and only then shortens the damaged one: a crash in between leaves a log that
//! can be repaired again. Names end in `.cut` or `.cutN`; the log ignores them.
//!
//! Tests: `velocitydb-sim`.

use std::path::Path;
use std::sync::Arc;

use super::error::LogError;
use super::record::{Record, find_last_entry};
use super::recovery::{Access, Beginning, Recovery, View, frame_of, list, recover_partly};
use super::scan::{Found, Scanner};
use super::segment::{HEADER_LEN, Header, parse_name};
use super::spares::sync_dir;
use super::tail::Link;
use super::{Log, LogOptions, Salts, shorten};
use crate::crypt::EncryptionKeys;
use crate::disk::Disk;

/// Whether a repair changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairMode {
    /// Only says what it would do.
    DryRun,
    /// Does it.
    CarryOut,
}

/// The state that the log goes on from: index and term of the newest whole checkpoint, zeros when
/// there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Base {
    /// The last entry in it.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
}

/// What a repair loses, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Each damage found, the cause of a cut.
    pub damage: Vec<String>,
    /// Why no repair helps; nothing is changed then.
    pub hopeless: Option<String>,
    /// Oldest and newest entry that are kept.
    pub kept: Option<(u64, u64)>,
    /// Index of the last entry that the log then stands for.
    pub ends: u64,
    /// Entries lost from the end: the first, and the last that is known to have been there.
    pub lost: Option<(u64, u64)>,
    /// Entries that the log no longer has and the checkpoint stands for.
    pub in_checkpoint: Option<(u64, u64)>,
    /// Whether the log begins anew behind the checkpoint.
    pub begins_anew: bool,
    /// Bytes taken out of the log.
    pub lost_bytes: u64,
    /// Files that hold what was taken out; empty in a dry run.
    pub saved_as: Vec<String>,
}

/// What is to be done.
struct Plan {
    view: View,
    report: RepairReport,
}

/// Repairs the log in `dir`, which goes on from `base`, or says what that would do. A log without
/// damage that follows `base` is left alone. `salts` as for [`Log::open`].
///
/// # Errors
/// [`LogError::NewerFormat`]; [`LogError::Key`]; [`LogError::Io`]; [`LogError::DiskFull`] when the cut bytes cannot
/// be kept. Damage that no cut removes is returned as it is.
pub fn repair(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    base: Base,
    mode: RepairMode,
    salts: Salts,
    keys: &EncryptionKeys,
) -> Result<RepairReport, LogError> {
    let Plan { view, mut report } = plan(&**disk, dir, base, keys)?;
    let nothing = report.damage.is_empty() || report.hopeless.is_some();
    if mode == RepairMode::DryRun || nothing {
        return Ok(report);
    }
    carry_out(&**disk, dir, &view, &mut report)?;
    if report.begins_anew || view.beginning == Beginning::OldestSegment {
        // The new beginning is stated by a new segment.
        let as_found = View {
            beginning: view.beginning,
            keys: keys.clone(),
            ..View::default()
        };
        let mut options = LogOptions {
            keys: keys.clone(),
            ..LogOptions::default()
        };
        (options.first_segment_bytes, options.segment_bytes) = (64 * 1024, 64 * 1024);
        let accept = |_: &_| Ok::<_, LogError>(());
        let (log, _) = Log::open_as(Arc::clone(disk), dir, options, salts, &as_found, accept)?;
        if report.begins_anew {
            log.reset_to(base.index, base.term)?;
        } else {
            let ticket = log.roll_with(Link::Continues, |_| (), &[])?;
            log.sync_until(ticket)?;
        }
        log.close()?;
    }
    Ok(report)
}

/// Finds what can be kept.
fn plan(disk: &dyn Disk, dir: &Path, base: Base, keys: &EncryptionKeys) -> Result<Plan, LogError> {
    let names = list(disk, dir)?;
    let mut view = View {
        access: Access::Read,
        keys: keys.clone(),
        ..View::default()
    };
    let mut report = RepairReport::default();
    let recovery = loop {
        let damage = match recover_partly(disk, dir, &view) {
            Ok((recovery, None)) => break recovery,
            Ok((_, Some(damage))) | Err(damage) => damage,
        };
        let LogError::Damaged { segment, .. } = &damage else {
            return Err(damage);
        };
        report.damage.push(damage.to_string());
        let sequence = sequence_of(segment);
        if let Some((without, recovery)) =
            without_beginning(disk, dir, base, &names, sequence, keys)?
        {
            let begins = begins(&recovery);
            report.in_checkpoint = first_entry(&names, &without)
                .filter(|first| *first < begins)
                .map(|first| (first, begins - 1));
            view = without;
            break recovery;
        }
        view = cut_at(&view, &names, damage)?;
    };
    finish(disk, dir, base, &names, Plan { view, report }, &recovery)
}

fn sequence_of(name: &str) -> u64 {
    parse_name(name).map_or(0, |(sequence, _)| sequence)
}

/// The log's first entry, or the one that comes first once there is any.
fn begins(recovery: &Recovery) -> u64 {
    let state = &recovery.state;
    let purged = state.purged.map_or(0, |(index, _)| index);
    state.first.unwrap_or(purged.saturating_add(1))
}

/// The log's last entry, or the last that was purged.
fn ends(recovery: &Recovery) -> u64 {
    let state = &recovery.state;
    state.last.or(state.purged).map_or(0, |(index, _)| index)
}

/// The first index that the oldest of the segments which `view` leaves out may hold.
fn first_entry(names: &[String], view: &View) -> Option<u64> {
    let oldest = names.iter().find(|name| view.ignored.contains(*name))?;
    parse_name(oldest).map(|(_, first)| first)
}

/// The log without its segments up to the damaged one, when the rest is whole and goes on from
/// the base without a gap.
fn without_beginning(
    disk: &dyn Disk,
    dir: &Path,
    base: Base,
    names: &[String],
    damaged: u64,
    keys: &EncryptionKeys,
) -> Result<Option<(View, Recovery)>, LogError> {
    // The segment that is named may itself be whole and only follow a gap.
    let mut upto = damaged.saturating_sub(1);
    loop {
        let old = |name: &&String| parse_name(name).is_some_and(|(s, _)| s <= upto);
        let view = View {
            access: Access::Read,
            beginning: Beginning::OldestSegment,
            ignored: names.iter().filter(old).cloned().collect(),
            cut: None,
            keys: keys.clone(),
        };
        let damage = match recover_partly(disk, dir, &view) {
            Ok((recovery, None)) => {
                let follows = begins(&recovery) <= base.index + 1 && ends(&recovery) >= base.index;
                let any = !recovery.segments.is_empty() && !view.ignored.is_empty();
                return Ok((any && follows).then_some((view, recovery)));
            }
            Ok((_, Some(damage))) | Err(damage) => damage,
        };
        let LogError::Damaged { segment, .. } = &damage else {
            return Err(damage);
        };
        let next = sequence_of(segment).max(damaged);
        if next <= upto {
            return Ok(None);
        }
        upto = next;
    }
}

/// The view without what comes at and after a damage.
fn cut_at(view: &View, names: &[String], damage: LogError) -> Result<View, LogError> {
    let LogError::Damaged {
        segment,
        offset,
        index,
        ..
    } = &damage
    else {
        return Err(damage);
    };
    let sequence = sequence_of(segment);
    let first = parse_name(segment).map_or(0, |(_, first)| first);
    let sequences = names.iter().filter_map(|name| parse_name(name));
    let older = sequences.map(|(s, _)| s).any(|s| s < sequence);
    let mut next = view.clone();
    if *offset == 0 && !older && *index < first {
        // The beginning is gone and nothing is before it: what is there is kept.
        next.beginning = Beginning::OldestSegment;
    } else {
        let keeps_this = *offset > HEADER_LEN;
        next.cut = keeps_this.then_some((sequence, *offset)).or(next.cut);
        let from = if keeps_this { sequence + 1 } else { sequence };
        let newer = |name: &&String| parse_name(name).is_some_and(|(s, _)| s >= from);
        next.ignored.extend(names.iter().filter(newer).cloned());
    }
    let same = next.ignored == view.ignored && next.cut == view.cut;
    if same && next.beginning == view.beginning {
        return Err(damage);
    }
    Ok(next)
}

/// Compares what can be kept with the base, and adds up what is kept and lost.
fn finish(
    disk: &dyn Disk,
    dir: &Path,
    base: Base,
    names: &[String],
    plan: Plan,
    recovery: &Recovery,
) -> Result<Plan, LogError> {
    let Plan {
        mut view,
        mut report,
    } = plan;
    let state = &recovery.state;
    let (begins, ends) = (begins(recovery), ends(recovery));
    report.kept = state.first.zip(state.last.map(|(last, _)| last));
    report.ends = ends.max(base.index);
    let next = report.ends + 1;
    let mut cut = cut_segment(recovery, &view);
    if ends < base.index {
        if report.damage.is_empty() {
            report.damage.push(missing_end(ends, base.index));
        }
        // Nothing of it is of use: the checkpoint stands for all that is kept.
        let segments = names.iter().filter(|name| parse_name(name).is_some());
        view = View {
            ignored: segments.cloned().collect(),
            keys: view.keys,
            ..View::default()
        };
        cut = None;
        (report.kept, report.begins_anew) = (None, true);
        report.in_checkpoint = Some((1, base.index));
    } else if begins > base.index + 1 {
        report.hopeless = Some(missing_beginning(begins, base.index));
    } else if view.beginning == Beginning::OldestSegment && report.in_checkpoint.is_none() {
        report.in_checkpoint = (begins > 1).then_some((1, begins - 1));
    }
    let mut newest = None;
    if let Some((name, offset)) = cut {
        let (bytes, last) = look_into(disk, dir, &name, offset, next, &view.keys)?;
        report.lost_bytes += bytes;
        newest = newest.max(last);
    }
    for name in &view.ignored {
        let (bytes, last) = look_into(disk, dir, name, 0, next, &view.keys)?;
        report.lost_bytes += bytes;
        newest = newest.max(last);
    }
    report.lost = newest
        .filter(|newest| *newest >= next)
        .map(|newest| (next, newest));
    Ok(Plan { view, report })
}

/// Says that a log does not reach the checkpoint at `index`.
pub(crate) fn missing_end(ends: u64, index: u64) -> String {
    let log = match ends {
        0 => "the log is missing or holds nothing".to_owned(),
        ends => format!("the log ends at entry {ends}"),
    };
    format!("{log}, but there is a checkpoint at entry {index}: what followed is missing")
}

/// Says that a log begins too late for the newest whole checkpoint, at `index`.
pub(crate) fn missing_beginning(begins: u64, index: u64) -> String {
    let checkpoint = match index {
        0 => "there is no whole checkpoint".to_owned(),
        index => format!("the newest whole checkpoint ends at {index}"),
    };
    format!(
        "the log begins at entry {begins} but {checkpoint}: entries between them are missing, {} \
         to {}",
        index + 1,
        begins - 1
    )
}

/// The segment that is cut in the middle, and where.
fn cut_segment(recovery: &Recovery, view: &View) -> Option<(String, u64)> {
    let (sequence, offset) = view.cut?;
    let segment = recovery
        .segments
        .iter()
        .find(|s| s.header.sequence == sequence)?;
    Some((segment.name.clone(), offset))
}

/// Bytes of a segment file from `offset` on, and the newest entry found there.
fn look_into(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    offset: u64,
    next: u64,
    keys: &EncryptionKeys,
) -> Result<(u64, Option<u64>), LogError> {
    let bytes = read_all(disk, dir, name)?;
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last as u64 + 1);
    let lost = used.saturating_sub(offset);
    let Ok(header) = Header::decode(&bytes) else {
        return Ok((lost, None));
    };
    let frame = frame_of(&header, name, keys)?;
    let from = offset.max(HEADER_LEN).min(bytes.len() as u64);
    let rest = &bytes[from as usize..];
    let mut newest = find_last_entry(rest, from, frame.check, next);
    // Also record by record, as long as that goes: the search believes only near indexes.
    let file = disk
        .open_to_read(&dir.join(name))
        .map_err(|error| LogError::io(format!("open {name}"), error))?;
    let mut scanner = Scanner::new(file, name.into(), frame, from, bytes.len() as u64);
    while let Found::Record(record) = scanner.next()? {
        if let Record::Entry { index, .. } = record {
            newest = newest.max(Some(index));
        }
    }
    Ok((lost, newest))
}

/// A whole segment file; repair alone reads one at once.
fn read_all(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Vec<u8>, LogError> {
    let io = |error| LogError::io(format!("read {name}"), error);
    let file = disk.open_to_read(&dir.join(name)).map_err(io)?;
    let mut bytes = vec![0; file.len().map_err(io)? as usize];
    let count = file.read_at(&mut bytes, 0).map_err(io)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn carry_out(
    disk: &dyn Disk,
    dir: &Path,
    view: &View,
    report: &mut RepairReport,
) -> Result<(), LogError> {
    let names = list(disk, dir)?;
    let cut = view.cut.and_then(|(sequence, offset)| {
        let name = names
            .iter()
            .find(|name| parse_name(name).is_some_and(|(s, _)| s == sequence));
        name.filter(|name| !view.ignored.contains(*name))
            .map(|name| (name.clone(), offset))
    });
    if let Some((name, offset)) = &cut {
        let bytes = read_all(disk, dir, name)?;
        let saved = free_name(&names, name);
        let io = |error| LogError::io(format!("save {name} as {saved}"), error);
        let side = disk.create(&dir.join(&saved)).map_err(io)?;
        let from = (*offset as usize).min(bytes.len());
        side.write_all_at(&bytes[from..], 0)
            .and_then(|()| side.sync_data())
            .map_err(io)?;
        sync_dir(disk, dir)?;
        report.saved_as.push(saved);
    }
    for name in view.ignored.iter().rev() {
        let saved = free_name(&names, name);
        disk.rename(&dir.join(name), &dir.join(&saved))
            .map_err(|error| LogError::io(format!("rename {name} to {saved}"), error))?;
        sync_dir(disk, dir)?;
        report.saved_as.push(saved);
    }
    if let Some((name, offset)) = &cut {
        let shortened = disk
            .open(&dir.join(name))
            .and_then(|file| shorten(&*file, *offset));
        shortened.map_err(|error| LogError::io(format!("shorten {name}"), error))?;
    }
    Ok(())
}

/// A name for what is cut from `name` that no file has.
fn free_name(names: &[String], name: &str) -> String {
    let first = format!("{name}.cut");
    let later = (2u32..).map(|number| format!("{name}.cut{number}"));
    std::iter::once(first)
        .chain(later)
        .find(|candidate| !names.contains(candidate))
        .expect("there are more names than files")
}
