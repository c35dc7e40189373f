//! A disk whose syncs wait at a gate until a test lets them pass or fail.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use velocitydb::disk::{Disk, DiskDir, DiskFile, DiskLock};
use velocitydb_sim::SimDisk;

/// What a sync meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Shut,
    Broken,
}

#[derive(Debug)]
struct Inside {
    state: State,
    waiting: usize,
}

/// The gate, shared by all files of a [`GatedDisk`].
#[derive(Debug)]
pub struct Gate {
    inside: Mutex<Inside>,
    changed: Condvar,
}

impl Gate {
    /// Syncs wait from now on.
    pub fn shut(&self) {
        self.inside.lock().state = State::Shut;
    }

    /// Syncs pass, those that wait too.
    pub fn open(&self) {
        self.change(State::Open);
    }

    /// Syncs fail, those that wait too.
    pub fn fail(&self) {
        self.change(State::Broken);
    }

    fn change(&self, state: State) {
        self.inside.lock().state = state;
        self.changed.notify_all();
    }

    /// Returns once a sync waits here.
    pub fn reached(&self) {
        let mut inside = self.inside.lock();
        while inside.waiting == 0 {
            self.changed.wait(&mut inside);
        }
    }

    fn pass(&self) -> io::Result<()> {
        let mut inside = self.inside.lock();
        inside.waiting += 1;
        self.changed.notify_all();
        while inside.state == State::Shut {
            self.changed.wait(&mut inside);
        }
        inside.waiting -= 1;
        match inside.state {
            State::Broken => Err(io::Error::other("the gate is broken")),
            State::Open | State::Shut => Ok(()),
        }
    }
}

/// A simulated disk behind a gate.
#[derive(Debug, Clone)]
pub struct GatedDisk {
    disk: SimDisk,
    gate: Arc<Gate>,
}

impl GatedDisk {
    /// An empty disk, its gate open.
    pub fn new() -> (GatedDisk, Arc<Gate>) {
        let inside = Mutex::new(Inside {
            state: State::Open,
            waiting: 0,
        });
        let gate = Arc::new(Gate {
            inside,
            changed: Condvar::new(),
        });
        (
            GatedDisk {
                disk: SimDisk::new(1),
                gate: Arc::clone(&gate),
            },
            gate,
        )
    }

    fn gated(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(GatedFile {
            file,
            gate: Arc::clone(&self.gate),
        })
    }
}

impl Disk for GatedDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(path).map(|file| self.gated(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(path).map(|file| self.gated(file))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open_to_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskDir>> {
        self.disk.open_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock(path)
    }

    fn lock_to_read(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.disk.lock_to_read(path)
    }
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn DiskFile>,
    gate: Arc<Gate>,
}

impl DiskFile for GatedFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass()?;
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
