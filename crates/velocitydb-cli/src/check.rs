//! `velocitydb check` and `velocitydb repair`: a data directory that nobody uses.
//!
//! Both take the directory's lock. A check changes nothing, and works where nothing may be changed. A repair says what it would lose, and
//! does it only when told so; what it takes out of the log is kept beside it.
//! Nothing is decided here: velocitydb and its engine verify and repair, this prints.
//! Tests: tests/it/check.rs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use velocitydb::disk::{Disk, DiskLock, RealDisk};
use velocitydb_engine::log::{CheckReport, RepairMode, SegmentReport};
use velocitydb_engine::offline::{self, CheckpointReport, DirectoryRepair, DirectoryReport};

use crate::encryption::KeyFiles;
use crate::failure::Failure;
use crate::text::{Bytes, count, thousands};

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Directory of the data
    dir: PathBuf,

    #[command(flatten)]
    keys: KeyFiles,
}

/// What to repair.
#[derive(Debug, Args)]
pub struct RepairArguments {
    /// Directory of the data
    dir: PathBuf,

    #[command(flatten)]
    keys: KeyFiles,

    /// Do it; without this nothing is changed
    #[arg(long)]
    yes: bool,
}

/// Runs `velocitydb check`.
pub fn check(arguments: &CheckArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let dir = &arguments.dir;
    database_in(dir)?;
    let report = offline::check(&RealDisk, dir, &arguments.keys.read()?)
        .map_err(|error| Failure::of(&error, dir))?;
    writeln!(out, "{}", dir.display())?;
    if !report.locked {
        writeln!(
            out,
            "It cannot be locked here: nothing keeps a server from using it meanwhile."
        )?;
    }
    for CheckpointReport {
        index, documents, ..
    } in &report.checkpoints
    {
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
        writeln!(out, "Damaged: {gap}")?;
        let dir = dir.display();
        writeln!(
            out,
            "No server starts with it. Put the missing files back; or `velocitydb repair {dir}` \
             says what can be done without them."
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
            "  {}: {} at byte {} cannot be read ({}). Nothing says that they were ever forced to \
             the disk: so it is after a kill or a loss of power in the middle of a write. The next \
             start cuts them off",
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
    let keys = arguments.keys.read()?;
    let _lock = lock(dir)?;
    let run = |mode| {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        offline::repair(&disk, dir, mode, Box::new(rand::random), &keys)
            .map_err(|error| Failure::of(&error, dir))
    };
    let plan = run(RepairMode::DryRun)?;
    if let Some(why) = &plan.log.hopeless {
        return Err(
            Failure::new(format!("no repair brings the data back: {why}")).help(format!(
                "What is left cannot be used without what is missing. Put back a checkpoint \
                 ({}/*.ckpt) that holds it, or restore a backup.",
                dir.join("checkpoints").display()
            )),
        );
    }
    if plan.log.damage.is_empty() {
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
    for name in &done.log.saved_as {
        writeln!(
            out,
            "Kept what was taken out as {}",
            dir.join("wal").join(name).display()
        )?;
    }
    writeln!(out, "Repaired.")?;
    Ok(())
}

fn print_repair(plan: &DirectoryRepair, out: &mut dyn Write) -> Result<(), Failure> {
    let DirectoryRepair { checkpoint, log } = plan;
    for damage in &log.damage {
        writeln!(out, "Damaged: {damage}")?;
    }
    if log.begins_anew {
        writeln!(
            out,
            "A repair takes out the whole log: what is left of it ends before the checkpoint at \
             entry {0}, which is kept. The log begins anew behind it. Indexes after {0} are given \
             a second time, so nobody may go on with one (or with an ETag) from before.",
            thousands(*checkpoint),
        )?;
    } else {
        writeln!(out, "A repair keeps {}.", entries(log.kept))?;
    }
    if let Some((first, last)) = log.in_checkpoint {
        writeln!(
            out,
            "The log then has no {}: the checkpoint at entry {} holds what they did.",
            entries(Some((first, last))),
            thousands(*checkpoint),
        )?;
    }
    let bytes = Bytes(log.lost_bytes);
    match log.lost {
        Some(lost) => writeln!(
            out,
            "It loses {} (as far as can be told) from the end; {bytes} of log go.",
            entries(Some(lost)),
        )?,
        None if log.begins_anew => writeln!(
            out,
            "Whether there were entries after {} cannot be told: if so, they are lost.",
            thousands(*checkpoint),
        )?,
        None if log.in_checkpoint.is_some() => {
            writeln!(out, "It loses no entry; {bytes} of log go.")?;
        }
        None => writeln!(
            out,
            "It loses no entry that can be told; {bytes} of log go."
        )?,
    }
    Ok(())
}

/// Whether a directory holds a database: a wrong name must not be called damage, nor be locked.
fn database_in(dir: &Path) -> Result<(), Failure> {
    if dir.join("wal").is_dir() || dir.join("checkpoints").is_dir() {
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
