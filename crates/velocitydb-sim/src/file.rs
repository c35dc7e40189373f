//! Open files of the simulated disk, and their mappings.

use std::io;
use std::path::PathBuf;

use parking_lot::MutexGuard;
use velocitydb_engine::disk::{DiskFile, MappedFile};

use crate::disk::{SimDisk, State};
use crate::fault::{AfterFailedSync, Operation};

#[derive(Debug)]
pub(crate) struct SimFile {
    pub(crate) disk: SimDisk,
    pub(crate) file: u64,
    pub(crate) path: PathBuf,
}

impl SimFile {
    fn begin(
        &self,
        operation: Operation,
        numbers: (u64, u64),
    ) -> io::Result<MutexGuard<'_, State>> {
        let (first, second) = numbers;
        self.disk.begin(operation, || {
            format!("{} {first} {second}", self.path.display())
        })
    }
}

impl DiskFile for SimFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let begun = self.begin(Operation::Write, (offset, bytes.len() as u64));
        let mut state = match begun {
            Ok(state) => state,
            Err(error) => {
                // A failed write may have written some of it.
                let mut state = self.disk.state.lock();
                if state.boot == self.disk.boot && state.random.one_in(2) {
                    let part = state.random.below(bytes.len() as u64 + 1) as usize;
                    if part > 0 && state.take_space(part as u64).is_ok() {
                        state
                            .image(self.file)
                            .write(&bytes[..part], offset as usize);
                    }
                }
                return Err(error);
            }
        };
        let len = state.image(self.file).current.len() as u64;
        let end = offset + bytes.len() as u64;
        state.take_space(end.saturating_sub(len))?;
        state.image(self.file).write(bytes, offset as usize);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.begin(Operation::Read, (offset, buffer.len() as u64))?;
        let content = &state.image(self.file).current;
        let from = (offset as usize).min(content.len());
        let count = buffer.len().min(content.len() - from);
        buffer[..count].copy_from_slice(&content[from..from + count]);
        Ok(count)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.begin(Operation::Allocate, (len, 0))?;
        let current = state.image(self.file).current.len() as u64;
        if current < len {
            state.take_space(len - current)?;
            state.image(self.file).set_len(len as usize);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.begin(Operation::Sync, (0, 0)) {
            Ok(mut state) => {
                state.image(self.file).sync();
                Ok(())
            }
            Err(error) => {
                let mut state = self.disk.state.lock();
                let forgets = state.after_failed_sync == AfterFailedSync::Forgotten;
                if state.boot == self.disk.boot && forgets {
                    state.image(self.file).forget();
                }
                Err(error)
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self
            .begin(Operation::Len, (0, 0))?
            .image(self.file)
            .current
            .len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.begin(Operation::SetLen, (len, 0))?;
        let current = state.image(self.file).current.len() as u64;
        state.take_space(len.saturating_sub(current))?;
        state.image(self.file).set_len(len as usize);
        Ok(())
    }

    fn map(&self, len: u64) -> io::Result<Option<Box<dyn MappedFile>>> {
        let mut state = self.begin(Operation::Map, (len, 0))?;
        assert!(
            len <= state.image(self.file).current.len() as u64,
            "only what is allocated"
        );
        Ok(Some(Box::new(SimMap {
            disk: self.disk.clone(),
            file: self.file,
            len,
        })))
    }
}

/// A write through memory cannot fail; that of a dead process goes nowhere.
#[derive(Debug)]
struct SimMap {
    disk: SimDisk,
    file: u64,
    len: u64,
}

impl MappedFile for SimMap {
    fn write_at(&mut self, bytes: &[u8], offset: u64) {
        assert!(
            offset + bytes.len() as u64 <= self.len,
            "the write is inside the mapping"
        );
        let mut state = self.disk.state.lock();
        if state.boot == self.disk.boot {
            state.image(self.file).write(bytes, offset as usize);
        }
    }
}
