//! A stream of text whose reader may stall or go without holding anybody up.
//!
//! Writers append to a buffer in memory; a thread of its own writes it out. What does not fit
//! into the buffer, and what the system does not take, is lost and counted.
//!
//! Invariants: appending never fails and never waits for the reader; memory is bounded by twice
//! the buffer. Tests: below; the program's tests for closed, full and stalled streams.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A handle to such a stream; clones are the same stream.
#[derive(Debug, Clone)]
pub struct LossyWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Appended and not yet taken by the thread.
    buffer: Vec<u8>,
    /// Whether the thread is writing what it took.
    writing: bool,
    lines_lost: u64,
}

impl LossyWriter {
    /// Writes to `stream`, with at most `bytes_max` waiting.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn new(stream: impl Write + Send + 'static, bytes_max: usize) -> io::Result<LossyWriter> {
        let shared = Arc::new(Shared {
            bytes_max,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let writer = LossyWriter(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("output".into());
        thread.spawn(move || shared.write_out(stream))?;
        Ok(writer)
    }

    /// Writes to standard error: not through the library's handle, whose lock a stalled write
    /// would keep from everybody else.
    ///
    /// # Errors
    /// As [`LossyWriter::new`], or the stream cannot be had.
    pub fn stderr(bytes_max: usize) -> io::Result<LossyWriter> {
        LossyWriter::new(duplicate(&io::stderr())?, bytes_max)
    }

    /// As [`LossyWriter::stderr`], for standard output.
    ///
    /// # Errors
    /// As [`LossyWriter::stderr`].
    pub fn stdout(bytes_max: usize) -> io::Result<LossyWriter> {
        LossyWriter::new(duplicate(&io::stdout())?, bytes_max)
    }

    /// Appends text, whole or not at all.
    pub fn append(&self, text: &[u8]) {
        let mut state = self.0.lock();
        if state.buffer.len() + text.len() > self.0.bytes_max {
            state.lines_lost += lines(text);
            return;
        }
        state.buffer.extend_from_slice(text);
        self.0.changed.notify_all();
    }

    /// Waits until all is written or lost, for `bound` at most.
    pub fn flush(&self, bound: Duration) {
        let busy = |state: &mut State| state.writing || !state.buffer.is_empty();
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.0.lock(), bound, busy);
        drop(waited);
    }

    /// Lines that were not written.
    pub fn lines_lost(&self) -> u64 {
        self.0.lock().lines_lost
    }
}

#[cfg(unix)]
fn duplicate(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn duplicate(stream: &impl std::os::windows::io::AsHandle) -> io::Result<File> {
    Ok(File::from(stream.as_handle().try_clone_to_owned()?))
}

fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic is done under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread. It lives as long as the process: at its end it may stand in a write that
    /// nobody takes.
    fn write_out(&self, mut stream: impl Write) {
        let mut taken = Vec::new();
        loop {
            let state = self.lock();
            let idle = |state: &mut State| state.buffer.is_empty();
            let waited = self.changed.wait_while(state, idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut state.buffer, &mut taken);
            state.writing = true;
            drop(state);
            let written = stream.write_all(&taken).and_then(|()| stream.flush());
            let mut state = self.lock();
            state.writing = false;
            if written.is_err() {
                state.lines_lost += lines(&taken);
            }
            taken.clear();
            self.changed.notify_all();
        }
    }
}

/// For what takes an [`io::Write`]; each call is one text, and none fails.
impl Write for LossyWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.append(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn what_is_taken_comes_out_in_order() {
        let (mut reader, stream) = io::pipe().unwrap();
        let writer = LossyWriter::new(stream, 1 << 20).unwrap();
        let mut expected = String::new();
        for n in 0..1000 {
            writer.append(format!("line {n}\n").as_bytes());
            expected += &format!("line {n}\n");
        }
        writer.flush(LONG);
        let mut read = vec![0; expected.len()];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), expected);
        assert_eq!(writer.lines_lost(), 0);
    }

    /// A stream whose writes end when they are told to.
    struct Stalled(mpsc::Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            match self.0.recv() {
                Ok(()) => Ok(text.len()),
                Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_no_time() {
        let (go_on, told) = mpsc::channel();
        let writer = LossyWriter::new(Stalled(told), 100).unwrap();
        for _ in 0..1000 {
            writer.append(b"ten bytes\n");
        }
        // 100 bytes wait, and as many at most are being written.
        assert!((980..=990).contains(&writer.lines_lost()), "{writer:?}");
        writer.flush(Duration::from_nanos(1));
        // The reader goes away: what waited is lost as well.
        drop(go_on);
        writer.flush(LONG);
        assert_eq!(writer.lines_lost(), 1000);
        writer.append(b"gone\n");
        writer.flush(LONG);
        assert_eq!(writer.lines_lost(), 1001);
    }
}
