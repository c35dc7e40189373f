//! Cuts a damaged log at its first damage, keeping what it cuts.
//!
//! The plan is made first, by reading the log as if ever more of its newest part were absent
//! until the rest is whole. Carrying it out copies the cut bytes of a segment to a file of their
//! own, renames the segments after it, newest first, and only then shortens the damaged one: a
//! crash in between leaves a log that can be repaired again. Names end in `.cut` or `.cutN`; the
//! log ignores them.
//!
//! Tests: `velocitydb-sim`.

use std::path::Path;
use std::sync::Arc;

use super::error::LogError;
use super::record::{Check, Record, find_last_entry};
use super::recovery::{Beginning, Recovery, View, recover_partly};
use super::scan::{Found, Scanner};
use super::segment::{HEADER_LEN, Header, parse_name};
use super::spares::sync_dir;
use super::tail::Link;
use super::{Log, LogOptions, Salts};
use crate::disk::Disk;

/// Whether a repair changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairMode {
    /// Only says what it would do.
    DryRun,
    /// Does it.
    CarryOut,
}

/// What a repair loses, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Each damage found, the cause of a cut.
    pub damage: Vec<String>,
    /// Oldest and newest entry that are kept.
    pub kept: Option<(u64, u64)>,
    /// Entries lost from the end: the first, and the last that is known to have been there.
    pub lost: Option<(u64, u64)>,
    /// Entries missing from the beginning: a checkpoint must hold them.
    pub missing_before: Option<(u64, u64)>,
    /// Bytes taken out of the log.
    pub lost_bytes: u64,
    /// Files that hold what was taken out; empty in a dry run.
    pub saved_as: Vec<String>,
}

/// Repairs the log in `dir`, or says what that would do. A log without damage is left alone.
/// `salts` as for [`Log::open`].
///
/// # Errors
/// [`LogError::NewerFormat`]; [`LogError::Io`]; [`LogError::DiskFull`] when the cut bytes cannot
/// be kept. Damage that no cut removes is returned as it is.
pub fn repair(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    mode: RepairMode,
    salts: Salts,
) -> Result<RepairReport, LogError> {
    let (view, recovery, mut report) = plan(&**disk, dir)?;
    if mode == RepairMode::DryRun || report.damage.is_empty() {
        return Ok(report);
    }
    carry_out(&**disk, dir, &view, &mut report)?;
    if report.missing_before.is_some() {
        // The new beginning is stated by a new segment.
        drop(recovery);
        let as_found = View {
            beginning: view.beginning,
            ..View::default()
        };
        let options = LogOptions {
            first_segment_bytes: 64 * 1024,
            ..LogOptions::default()
        };
        let (log, _) = Log::open_as(Arc::clone(disk), dir, options, salts, &as_found)?;
        let ticket = log.roll_with(Link::Continues, |_| (), &[])?;
        log.sync_until(ticket)?;
        log.close()?;
    }
    Ok(report)
}

/// Finds the newest whole part of the log.
fn plan(disk: &dyn Disk, dir: &Path) -> Result<(View, Recovery, RepairReport), LogError> {
    let names = disk
        .list(dir)
        .map_err(|error| LogError::io("list the log's directory", error))?;
    let mut view = View::default();
    let mut report = RepairReport::default();
    loop {
        let before = view.clone();
        let damage = match recover_partly(disk, dir, &view) {
            Ok((recovery, None)) => {
                finish_report(disk, dir, &view, &recovery, &mut report)?;
                return Ok((view, recovery, report));
            }
            Ok((_, Some(damage))) | Err(damage) => damage,
        };
        let LogError::Damaged {
            segment,
            offset,
            index,
            ..
        } = &damage
        else {
            return Err(damage);
        };
        report.damage.push(damage.to_string());
        let sequence = parse_name(segment).map_or(0, |(sequence, _)| sequence);
        let older = names
            .iter()
            .filter_map(|name| parse_name(name))
            .any(|(s, _)| s < sequence);
        if *offset == 0 && !older && *index < first_index_of(segment) {
            // The beginning is gone and nothing is before it: what is there is kept.
            report.missing_before = Some((*index, *index));
            view.beginning = Beginning::OldestSegment;
        } else {
            let keeps_this = *offset > HEADER_LEN;
            view.cut = keeps_this.then_some((sequence, *offset)).or(view.cut);
            let from = if keeps_this { sequence + 1 } else { sequence };
            view.ignored.extend(
                names
                    .iter()
                    .filter(|name| parse_name(name).is_some_and(|(s, _)| s >= from))
                    .cloned(),
            );
        }
        if view.ignored == before.ignored
            && view.cut == before.cut
            && view.beginning == before.beginning
        {
            return Err(damage);
        }
    }
}

fn first_index_of(name: &str) -> u64 {
    parse_name(name).map_or(0, |(_, first)| first)
}

/// Adds up what is kept and lost.
fn finish_report(
    disk: &dyn Disk,
    dir: &Path,
    view: &View,
    recovery: &Recovery,
    report: &mut RepairReport,
) -> Result<(), LogError> {
    let state = &recovery.state;
    if let (Some((_, last)), Some((purged, _))) = (&mut report.missing_before, state.purged) {
        *last = purged;
    }
    report.kept = state.first.zip(state.last.map(|(last, _)| last));
    let next = state.expected();
    let mut newest = None;
    if let Some((name, offset)) = cut_segment(recovery, view) {
        let (bytes, last) = look_into(disk, dir, &name, offset, next)?;
        report.lost_bytes += bytes;
        newest = newest.max(last);
    }
    for name in &view.ignored {
        let (bytes, last) = look_into(disk, dir, name, 0, next)?;
        report.lost_bytes += bytes;
        newest = newest.max(last);
    }
    report.lost = newest
        .filter(|newest| *newest >= next)
        .map(|newest| (next, newest));
    Ok(())
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
    let check = Check::new(&header.salt);
    let from = offset.max(HEADER_LEN).min(bytes.len() as u64);
    let rest = &bytes[from as usize..];
    let mut newest = find_last_entry(rest, from, check, next);
    // Also record by record, as long as that goes: the search believes only near indexes.
    let file = disk
        .open(&dir.join(name))
        .map_err(|error| LogError::io("open", error))?;
    let mut scanner = Scanner::new(file, name.into(), check, from, bytes.len() as u64);
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
    let file = disk.open(&dir.join(name)).map_err(io)?;
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
    let names = disk
        .list(dir)
        .map_err(|error| LogError::io("list the log's directory", error))?;
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
            .and_then(|file| file.set_len(*offset).and_then(|()| file.sync_data()));
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
