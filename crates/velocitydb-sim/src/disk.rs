//! The simulated disk.
//!
//! One [`SimDisk`] value is one boot of one process: clones share it, and after
//! [`SimDisk::crash`] every operation on it and on its files fails, so that a dead engine
//! cannot write any more. The crash answers the disk as the next process finds it.
//!
//! Files keep their unsynced writes apart (see `image`); a directory keeps its unsynced
//! creates, renames and removes in order, each atomic, and a power loss keeps any subset of
//! them. Directories themselves are durable at once: nothing is learned from losing them.
//!
//! Every operation is counted; the newest [`TRACED`] are kept by name for debugging.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use velocitydb_engine::disk::{Disk, DiskDir, DiskFile, DiskLock};

use crate::fault::{AfterFailedSync, Fault, FaultPlan, Operation};
use crate::file::SimFile;
use crate::image::{Image, Survival};
use crate::random::Random;

/// Operations that the trace remembers.
const TRACED: usize = 4096;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashMode {
    /// The process dies: everything it wrote is there.
    Process,
    /// Power is lost: what was synced is there, and an arbitrary part of the rest.
    PowerLoss,
}

/// A disk in memory; see the module.
#[derive(Debug, Clone)]
pub struct SimDisk {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) boot: u64,
}

/// Everything on the disk, and what it does to its users.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) boot: u64,
    pub(crate) random: Random,
    files: BTreeMap<u64, Image>,
    next_file: u64,
    /// What lookups see.
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that are not durable, oldest first.
    pending: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    fault: Option<Fault>,
    pub(crate) after_failed_sync: AfterFailedSync,
    capacity: Option<u64>,
    /// Whether nothing may be written, as on a mount that is read-only.
    read_only: bool,
    operations: u64,
    trace: VecDeque<String>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Create {
        path: PathBuf,
        file: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        file: u64,
    },
    Remove {
        path: PathBuf,
        file: u64,
    },
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            NameChange::Create { path, .. } | NameChange::Remove { path, .. } => path.parent(),
            NameChange::Rename { to, .. } => to.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            NameChange::Create { path, file } => {
                names.insert(path.clone(), *file);
            }
            NameChange::Rename { from, to, file } => {
                if names.get(from) == Some(file) {
                    names.remove(from);
                }
                names.insert(to.clone(), *file);
            }
            NameChange::Remove { path, file } => {
                if names.get(path) == Some(file) {
                    names.remove(path);
                }
            }
        }
    }
}

impl State {
    fn begin(&mut self, operation: Operation, what: impl FnOnce() -> String) -> io::Result<()> {
        self.operations += 1;
        let error = self
            .fault
            .as_mut()
            .and_then(|fault| fault.strike(operation));
        let refused = self.read_only && operation.changes();
        let error = error.or(refused.then_some(io::ErrorKind::ReadOnlyFilesystem));
        if self.trace.len() == TRACED {
            self.trace.pop_front();
        }
        let number = self.operations - 1;
        let failed = if error.is_some() { " FAILS" } else { "" };
        self.trace
            .push_back(format!("{number} {operation:?} {}{failed}", what()));
        match error {
            Some(kind) => Err(io::Error::new(kind, "a planned fault")),
            None => Ok(()),
        }
    }

    fn lookup(&self, path: &Path) -> io::Result<u64> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(crate) fn image(&mut self, file: u64) -> &mut Image {
        self.files
            .get_mut(&file)
            .expect("a file lives as long as the disk")
    }

    /// Fails when the files that have names, and `more` bytes, do not fit.
    pub(crate) fn take_space(&self, more: u64) -> io::Result<()> {
        match self.free_bytes() {
            Some(free) if more > free => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    /// What the files that have names leave of the capacity.
    fn free_bytes(&self) -> Option<u64> {
        let files = self.names.values().filter_map(|file| self.files.get(file));
        let used: usize = files.map(|file| file.current.len()).sum();
        Some(self.capacity?.saturating_sub(used as u64))
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn lose_power(&mut self) {
        let survival = Survival::draw(&mut self.random);
        let pending = std::mem::take(&mut self.pending);
        let prefix = self.random.below(pending.len() as u64 + 1) as usize;
        for (at, change) in pending.iter().enumerate() {
            let kept = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Prefix => at < prefix,
                Survival::Scattered => self.random.one_in(2),
            };
            if kept {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for image in self.files.values_mut() {
            let survival = Survival::draw(&mut self.random);
            image.lose_power(survival, &mut self.random);
        }
    }
}

impl SimDisk {
    /// An empty disk whose chances follow from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            boot: 0,
            random: Random::new(seed),
            files: BTreeMap::new(),
            next_file: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            dirs: BTreeSet::from([PathBuf::from("/")]),
            locks: BTreeSet::new(),
            fault: None,
            after_failed_sync: AfterFailedSync::default(),
            capacity: None,
            read_only: false,
            operations: 0,
            trace: VecDeque::new(),
        };
        SimDisk {
            state: Arc::new(Mutex::new(state)),
            boot: 0,
        }
    }

    /// Ends this boot; the answer is the disk as the next process finds it. Planned faults end.
    pub fn crash(&self, mode: CrashMode) -> SimDisk {
        let mut state = self.state.lock();
        state.boot += 1;
        state.locks.clear();
        state.fault = None;
        if mode == CrashMode::PowerLoss {
            state.lose_power();
        }
        let boot = state.boot;
        state.trace.push_back(format!("crash: {mode:?}"));
        SimDisk {
            state: Arc::clone(&self.state),
            boot,
        }
    }

    /// Plans a fault, in the place of any other; `None` for none.
    pub fn plan(&self, plan: Option<FaultPlan>) {
        self.state.lock().fault = plan.map(Fault::new);
    }

    /// What becomes of unsynced writes when a sync fails.
    pub fn after_failed_sync(&self, policy: AfterFailedSync) {
        self.state.lock().after_failed_sync = policy;
    }

    /// Limits the sum of all files' lengths, in bytes; `None` for no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Whether nothing may be written from now on, as on a mount that is read-only.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.lock().read_only = read_only;
    }

    /// Operations so far, failed ones included.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// The newest operations, oldest first.
    pub fn trace(&self) -> Vec<String> {
        self.state.lock().trace.iter().cloned().collect()
    }

    /// The file's bytes as they are read back; `None` when there is no such file.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        let file = state.lookup(path).ok()?;
        Some(state.image(file).current.clone())
    }

    /// Every file's path.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().names.keys().cloned().collect()
    }

    /// Flips bit `bit` (counted from the file's first byte, lowest first). False when there is
    /// no such file or bit.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> bool {
        let (at, mask) = ((bit / 8) as usize, 1u8 << (bit % 8));
        self.damage(path, |bytes| {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        })
    }

    /// Cuts the file to `len` bytes, durably. False when there is no such file.
    pub fn truncate(&self, path: &Path, len: u64) -> bool {
        self.damage(path, |bytes| bytes.truncate(len as usize))
    }

    /// Removes the file, durably. False when there is no such file.
    pub fn lose(&self, path: &Path) -> bool {
        let mut state = self.state.lock();
        let lost = state.names.remove(path).is_some();
        state.durable_names.remove(path);
        lost
    }

    /// A disk of its own with the same content, all of it durable, and no faults. It goes on
    /// counting operations where this one is.
    pub fn copy(&self, seed: u64) -> SimDisk {
        let copy = SimDisk::new(seed);
        let state = self.state.lock();
        {
            let mut new = copy.state.lock();
            new.dirs = state.dirs.clone();
            new.names = state.names.clone();
            new.durable_names = state.names.clone();
            new.next_file = state.next_file;
            new.operations = state.operations;
            for file in state.names.values() {
                let mut image = Image::default();
                image.write(&state.files[file].current, 0);
                image.sync();
                new.files.insert(*file, image);
            }
        }
        copy
    }

    fn damage(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) -> bool {
        let mut state = self.state.lock();
        let Ok(file) = state.lookup(path) else {
            return false;
        };
        state.image(file).damage(change);
        true
    }

    /// The state, for an operation of this boot.
    pub(crate) fn begin(
        &self,
        operation: Operation,
        what: impl FnOnce() -> String,
    ) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        if state.boot != self.boot {
            return Err(io::Error::other("the process that opened this has crashed"));
        }
        state.begin(operation, what)?;
        Ok(state)
    }

    fn at(&self, operation: Operation, path: &Path) -> io::Result<MutexGuard<'_, State>> {
        self.begin(operation, || path.display().to_string())
    }

    fn file(&self, file: u64, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            disk: self.clone(),
            file,
            path: path.into(),
        })
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.at(Operation::Create, path)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = state.next_file;
        state.next_file += 1;
        state.files.insert(file, Image::default());
        state.change_name(NameChange::Create {
            path: path.into(),
            file,
        });
        drop(state);
        Ok(self.file(file, path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.at(Operation::Open, path)?.lookup(path)?;
        Ok(self.file(file, path))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.at(Operation::OpenToRead, path)?.lookup(path)?;
        Ok(self.file(file, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Rename, || {
            format!("{} to {}", from.display(), to.display())
        })?;
        let file = state.lookup(from)?;
        state.change_name(NameChange::Rename {
            from: from.into(),
            to: to.into(),
            file,
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.at(Operation::Remove, path)?;
        let file = state.lookup(path)?;
        state.change_name(NameChange::Remove {
            path: path.into(),
            file,
        });
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.at(Operation::List, dir)?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = state
            .names
            .keys()
            .chain(&state.dirs)
            .filter(|p| p.parent() == Some(dir));
        let names = children.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.at(Operation::CreateDir, dir)?;
        state.dirs.extend(dir.ancestors().map(PathBuf::from));
        Ok(())
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskDir>> {
        drop(self.at(Operation::OpenToRead, dir)?);
        Ok(Box::new(SimDir {
            disk: self.clone(),
            dir: dir.into(),
        }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.at(Operation::Lock, path)?;
        if !state.locks.insert(path.into()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !state.names.contains_key(path) {
            let file = state.next_file;
            state.next_file += 1;
            state.files.insert(file, Image::default());
            state.change_name(NameChange::Create {
                path: path.into(),
                file,
            });
        }
        Ok(Box::new(SimLock {
            disk: self.clone(),
            path: path.into(),
        }))
    }

    fn lock_to_read(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut state = self.at(Operation::OpenToRead, path)?;
        if !state.locks.insert(path.into()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Some(Box::new(SimLock {
            disk: self.clone(),
            path: path.into(),
        })))
    }
}

#[derive(Debug)]
struct SimDir {
    disk: SimDisk,
    dir: PathBuf,
}

impl DiskDir for SimDir {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.at(Operation::SyncDir, &self.dir)?;
        let pending = std::mem::take(&mut state.pending);
        let (synced, rest): (Vec<_>, _) = pending
            .into_iter()
            .partition(|change| change.dir() == Some(&*self.dir));
        state.pending = rest;
        for change in synced {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        Ok(self.disk.state.lock().free_bytes())
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.boot == self.disk.boot {
            state.locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with(name: &str) -> (SimDisk, PathBuf) {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new("/d")).unwrap();
        let path = Path::new("/d").join(name);
        let file = disk.create(&path).unwrap();
        file.write_all_at(b"hello", 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        (disk, path)
    }

    #[test]
    fn a_dead_process_can_do_nothing_more() {
        let (disk, path) = disk_with("a");
        let file = disk.open(&path).unwrap();
        let lock = disk.lock(Path::new("/d/LOCK")).unwrap();
        let next = disk.crash(CrashMode::Process);
        assert!(file.write_all_at(b"x", 0).is_err());
        assert!(disk.open(&path).is_err());
        let held = next.lock(Path::new("/d/LOCK")).unwrap();
        drop(lock);
        assert!(
            next.lock(Path::new("/d/LOCK")).is_err(),
            "the dead holder's drop frees nothing"
        );
        drop(held);
        assert_eq!(next.content(&path).unwrap(), b"hello");
    }

    #[test]
    fn an_unsynced_rename_happens_whole_or_not_at_all() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..64 {
            let (disk, _) = disk_with("a");
            disk.state.lock().random = Random::new(seed);
            disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
            let disk = disk.crash(CrashMode::PowerLoss);
            outcomes.insert(disk.list(Path::new("/d")).unwrap());
        }
        let expected = [vec!["a".to_owned()], vec!["b".to_owned()]];
        assert_eq!(outcomes, BTreeSet::from(expected));
    }

    #[test]
    fn a_full_disk_refuses_and_recovers() {
        let (disk, path) = disk_with("a");
        disk.set_capacity(Some(8));
        let file = disk.open(&path).unwrap();
        assert_eq!(
            file.allocate(9).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        assert_eq!(file.len().unwrap(), 5);
        disk.set_capacity(Some(9));
        file.allocate(9).unwrap();
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let run = || {
            let (disk, path) = disk_with("a");
            let file = disk.open(&path).unwrap();
            for n in 0..40u8 {
                file.write_all_at(&[n; 300], u64::from(n) * 100).unwrap();
            }
            let disk = disk.crash(CrashMode::PowerLoss);
            (disk.content(&path), disk.trace())
        };
        assert_eq!(run(), run());
    }
}
