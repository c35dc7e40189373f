//! Reading ahead of the writing, in chunks that bound the memory. Tests: through `Loader::load`.

use std::sync::mpsc::SyncSender;

use super::rows::{Made, Maker};
use super::{BadRow, Met};
use crate::error::ImportError;
use crate::reader::Reader;

/// Chunks that wait to be written; one more is being read and one written.
pub(super) const CHUNKS_AHEAD: usize = 2;
/// A chunk has so many rows, or so many bytes of fields, whichever comes first.
const CHUNK_ROWS: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;

/// What became of a row, and the bad ones that were met before it; no row at the end.
pub(super) struct Ahead {
    pub(super) met: Vec<BadRow>,
    pub(super) row: Option<Result<Made, NoRow>>,
}

/// Why a row is no document.
pub(super) enum NoRow {
    Bad(BadRow),
    /// There are no more.
    Input(ImportError),
}

/// Hands over all rows, until they end or nobody wants them any more.
pub(super) fn read(
    reader: &mut Reader,
    met: &Met,
    mut maker: Maker,
    to: &SyncSender<Vec<Ahead>>,
) -> Maker {
    let (mut chunk, mut bytes, mut ended) = (Vec::new(), 0, false);
    while !ended {
        let row = reader.next().map(|row| match row {
            Ok(row) => maker.make(&row).map_err(NoRow::Bad),
            Err(error) if error.is_bad_row() => Err(NoRow::Bad(BadRow::from(&error))),
            Err(error) => Err(NoRow::Input(error)),
        });
        ended = row.is_none();
        let made = row.iter().flatten();
        bytes += made.map(|made| made.fields.as_bytes().len()).sum::<usize>();
        let met = std::mem::take(&mut *met.lock());
        chunk.push(Ahead { met, row });
        if ended || chunk.len() >= CHUNK_ROWS || bytes >= CHUNK_BYTES {
            bytes = 0;
            let next = Vec::with_capacity(CHUNK_ROWS);
            if to.send(std::mem::replace(&mut chunk, next)).is_err() {
                break;
            }
        }
    }
    maker
}
