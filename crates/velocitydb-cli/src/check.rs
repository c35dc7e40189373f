//! `velocitydb check` and `velocitydb repair`: a data directory that nobody uses.
//!
//! Both take the directory's lock. A check changes nothing. A repair says what it would lose, and
//! does it only when told so; what it takes out of the log is kept beside it.
//! Nothing is decided here: velocitydb and its engine verify and repair, this prints.
//! Tests: tests/it/check.rs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use velocitydb::disk::{Disk, DiskLock, RealDisk};
use velocitydb_engine::log::{self, CheckReport, RepairMode, RepairReport, SegmentReport};
use velocitydb_engine::offline::{self, CheckpointReport, DirectoryReport};

use crate::failure::Failure;
use crate::text::{Bytes, count, thousands};

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Directory of the data
    dir: PathBuf,
}

/// What to repair.
#[derive(Debug, Args)]
pub struct RepairArguments {
    /// Directory of the data
    dir: PathBuf,

    /// Do it; without this nothing is changed
    #[arg(long)]
    yes: bool,
}

/// Runs `velocitydb check`.
pub fn check(arguments: &CheckArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let dir = &arguments.dir;
    database_in(dir)?;
    let report = offline::check(&RealDisk, dir).map_err(|error| Failure::of(&error, dir))?;
    writeln!(out, "{}", dir.display())?;
    for CheckpointReport { index, documents } in &report.checkpoints {
        match documents {
            Ok(documents) => {
                let documents = count(*documents, "document");
                writeln!(
                    out,
                    "Checkpoint at entry {}: {documents}",
                    thousands(*index)
                )?;
            }
            Err(_) => writeln!(out, "Checkpoint at entry {}: DAMAGED", thousands(*index))?,
        }
    }
    print_log(&report.log, out)?;
    if report.is_whole() {
        let but = if report.log.torn.is_some() {
            ", but for the unfinished end"
        } else {
            ""
        };
        writeln!(out, "Everything is whole{but}.")?;
        return Ok(());
    }
    print_damage(&report, dir, out)?;
    Err(Failure::Said)
}

/// What is damaged, and what it means for the next start.
fn print_damage(report: &DirectoryReport, dir: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    for checkpoint in &report.checkpoints {
        if let Err(error) = &checkpoint.documents {
            writeln!(out, "Damaged: {error}")?;
        }
    }
    if let Some(damage) = &report.log.damage {
        writeln!(out, "Damaged: {damage}")?;
        let dir = dir.display();
        writeln!(
            out,
            "No server starts with it. `velocitydb repair {dir}` says what a repair would lose."
        )?;
    } else if let Some(gap) = &report.gap {
        writeln!(out, "Entries are missing: {gap}")?;
        writeln!(
            out,
            "No server starts with it. A backup, or a whole copy of the checkpoint, is needed."
        )?;
    } else {
        writeln!(
            out,
            "Nothing is lost: a start puts the damaged checkpoint aside and uses what is before it \
             and the log."
        )?;
    }
    Ok(())
}

fn print_log(report: &CheckReport, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(
        out,
        "Log: {} in {}, {}",
        count(report.records, "record"),
        count(report.segments.len() as u64, "segment"),
        entries(report.entries),
    )?;
    for SegmentReport {
        name,
        file_bytes,
        used_bytes,
        entries: range,
    } in &report.segments
    {
        let (used, all) = (Bytes(*used_bytes), Bytes(*file_bytes));
        writeln!(out, "  {name}: {}, {used} of {all} used", entries(*range))?;
    }
    for name in &report.leftovers {
        writeln!(
            out,
            "  {name}: left by an interrupted step; the next start removes it"
        )?;
    }
    if let Some(torn) = &report.torn {
        writeln!(
            out,
            "  {}: {} at byte {} cannot be read ({}). They were never forced to the disk, as after \
             a kill or a loss of power in the middle of a write; the next start cuts them off",
            torn.segment,
            count(torn.bytes, "byte"),
            torn.offset,
            torn.reason,
        )?;
    }
    Ok(())
}

fn entries(range: Option<(u64, u64)>) -> String {
    match range {
        Some((first, last)) => format!("entries {} to {}", thousands(first), thousands(last)),
        None => "no entries".to_owned(),
    }
}

/// Runs `velocitydb repair`.
pub fn repair(arguments: &RepairArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let dir = &arguments.dir;
    let _lock = lock(dir)?;
    let run = |mode| {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        log::repair(&disk, &dir.join("wal"), mode, Box::new(rand::random))
            .map_err(|error| Failure::of(&error.into(), dir))
    };
    let plan = run(RepairMode::DryRun)?;
    if plan.damage.is_empty() {
        writeln!(out, "The log is whole: there is nothing to repair.")?;
        return Ok(());
    }
    print_repair(&plan, out)?;
    if !arguments.yes {
        writeln!(
            out,
            "Nothing has been changed. To do this: velocitydb repair {} --yes",
            dir.display()
        )?;
        return Ok(());
    }
    let done = run(RepairMode::CarryOut)?;
    for name in &done.saved_as {
        writeln!(
            out,
            "Kept what was taken out as {}",
            dir.join("wal").join(name).display()
        )?;
    }
    writeln!(out, "Repaired.")?;
    Ok(())
}

fn print_repair(plan: &RepairReport, out: &mut dyn Write) -> Result<(), Failure> {
    for damage in &plan.damage {
        writeln!(out, "Damaged: {damage}")?;
    }
    writeln!(out, "A repair keeps {}.", entries(plan.kept))?;
    match plan.lost {
        Some(lost) => writeln!(
            out,
            "It loses {} (as far as can be told) from the end: {} of log.",
            entries(Some(lost)),
            Bytes(plan.lost_bytes)
        )?,
        None => writeln!(
            out,
            "It loses no entry that can be told; {} of log go.",
            Bytes(plan.lost_bytes)
        )?,
    }
    if let Some(missing) = plan.missing_before {
        writeln!(
            out,
            "The beginning, {}, is missing: a checkpoint must hold it for the data to open.",
            entries(Some(missing))
        )?;
    }
    Ok(())
}

/// Whether a directory holds a database: a wrong name must not be called damage, nor be locked.
fn database_in(dir: &Path) -> Result<(), Failure> {
    if dir.join("wal").is_dir() {
        return Ok(());
    }
    Err(
        Failure::new(format!("there is no database in {}", dir.display()))
            .help("A data directory holds the directories `wal` and `checkpoints`."),
    )
}

/// The lock of a directory, held while it is repaired.
fn lock(dir: &Path) -> Result<Box<dyn DiskLock>, Failure> {
    database_in(dir)?;
    let shown = dir.display();
    RealDisk.lock(&dir.join("LOCK")).map_err(|error| {
        let error = match error.kind() {
            std::io::ErrorKind::WouldBlock => velocitydb::Error::InUse {
                dir: shown.to_string(),
            },
            _ => velocitydb::Error::Io {
                action: format!("lock {shown}"),
                source: Arc::new(error),
            },
        };
        Failure::of(&error, dir)
    })
}
