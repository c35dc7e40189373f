//! Every file operation of the engine goes through [`Disk`], so that tests can fail, tear,
//! reorder and lose them. The engine itself never names `std::fs`; [`RealDisk`] does.
//!
//! What is assumed of a disk (and nothing more):
//! - a write is durable only after [`DiskFile::sync_data`] on that file returned `Ok`;
//! - a create, rename or remove is durable only after [`Disk::sync_dir`] on its directory;
//! - until then a crash may keep, lose, tear (at any byte) or reorder each of them;
//! - after a failed sync nothing is known about any write since the last good one.
//!
//! Tests: `velocitydb-sim` holds the simulated disk and its fault plans.

mod real;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;

/// A directory tree that keeps files. Paths are handed through as given by the caller.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Creates a file for reading and writing; an existing one is an error (`AlreadyExists`).
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading alone, also where nothing may be written.
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file, replacing what stood at `to`. Atomic; durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names of the files and directories in `dir`, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates `dir` and its missing parents; an existing directory is fine.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Opens `dir` itself, to sync it later without needing a new descriptor then.
    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskDir>>;

    /// Makes creates, renames and removes in `dir` durable: [`DiskDir::sync`] at once.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.open_dir(dir)?.sync()
    }

    /// Takes the exclusive lock on the file at `path` (created when missing), and where the system
    /// allows it on its directory too, for as long as the answer lives: who removes the file makes
    /// no second holder. `WouldBlock` when another holder, in this process or another, has either.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// As [`Disk::lock`] for one who only reads, and also where nothing may be written: creates
    /// nothing. `None` when the place offers nothing that can be locked.
    fn lock_to_read(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;
}

/// An open directory.
pub trait DiskDir: Debug + Send + Sync {
    /// Makes creates, renames and removes in it durable. After an error nothing may be assumed
    /// about them, and the call must not be retried as if it could still succeed.
    fn sync(&self) -> io::Result<()>;

    /// Bytes that files in it may still take, about; `None` when the system does not say.
    fn free_bytes(&self) -> io::Result<Option<u64>>;
}

/// An open file. All operations name their position, so that threads can share it.
pub trait DiskFile: Debug + Send + Sync {
    /// Writes all of `bytes` at `offset` (bytes), extending the file when needed.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reserves space so that writes below `len` (bytes) do not fail for want of it, and makes
    /// the file at least `len` long, zero-filled. `StorageFull` when there is none.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes everything written so far durable. After an error nothing may be assumed, and the
    /// call must not be retried as if it could still succeed.
    fn sync_data(&self) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends the file to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Maps the first `len` bytes, all allocated, for writing through memory; `None` where that
    /// cannot be done or tested. The file must not be shortened while it is mapped.
    fn map(&self, len: u64) -> io::Result<Option<Box<dyn MappedFile>>> {
        let _ = len;
        Ok(None)
    }
}

/// A file's bytes in memory. A write here is as good as [`DiskFile::write_all_at`]: it survives
/// the process, and the file's sync makes it durable.
pub trait MappedFile: Debug + Send {
    /// Writes `bytes` at `offset`, all inside what is mapped.
    ///
    /// # Panics
    /// When they are not inside.
    fn write_at(&mut self, bytes: &[u8], offset: u64);
}

/// Held for as long as a data directory is in use.
pub trait DiskLock: Debug + Send + Sync {}
