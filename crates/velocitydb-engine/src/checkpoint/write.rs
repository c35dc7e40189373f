//! Writing a checkpoint, beside running writers.
//!
//! Written aside, forced to the disk, then made current by a rename. Its memory is one block,
//! and the versions that writers replace meanwhile. Forced out in small steps, so that the log's
//! own writes never stand behind a hundred megabytes of dirty pages.

use std::path::Path;
use std::sync::Arc;

use super::format::{
    self, BLOCK_BYTES, BLOCK_BYTES_MAX, BlockHeader, BlockKind, EndBlock, HEADER_BYTES, MetaBlock,
    Packing,
};
use crate::catalog::{CollectionId, DATABASES, Persistence};
use crate::crypt::{Cipher, EncryptionKeys, Purpose, TAG_BYTES};
use crate::disk::{Disk, DiskFile};
use crate::error::Error;
use crate::snapshot::Snapshot;
use crate::store::{Document, varint};

/// Bytes between two syncs while writing.
const SYNC_EVERY_BYTES: u64 = 4 << 20;

/// What a checkpoint is made of: a state and what is not in its documents.
pub(crate) struct Source {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) time: i64,
    pub(crate) next_collection: CollectionId,
    /// Log index of each logged collection's newest change.
    pub(crate) changed: Vec<(u32, u64)>,
    pub(crate) snapshot: Snapshot,
}

struct Writer {
    file: Arc<dyn DiskFile>,
    salt: [u8; 16],
    offset: u64,
    synced: u64,
    blocks: u64,
    documents: u64,
    raw: Vec<u8>,
    count: u32,
    stored: Vec<u8>,
    cipher: Option<Arc<Cipher>>,
}

impl Writer {
    fn block(&mut self, kind: BlockKind, collection: u32, payload: &[u8]) -> std::io::Result<()> {
        let room = lz4_flex::block::get_maximum_output_size(payload.len());
        self.stored.resize(room.max(payload.len()) + TAG_BYTES, 0);
        let packed = lz4_flex::block::compress_into(payload, &mut self.stored);
        let (packing, mut stored_bytes) = match packed {
            Ok(bytes) if bytes < payload.len() / 8 * 7 => (Packing::Lz4, bytes),
            _ => {
                self.stored[..payload.len()].copy_from_slice(payload);
                (Packing::Plain, payload.len())
            }
        };
        if self.cipher.is_some() {
            stored_bytes += TAG_BYTES;
        }
        assert!(
            payload.len() <= BLOCK_BYTES_MAX,
            "a block holds at least one document"
        );
        let header = BlockHeader {
            kind,
            packing,
            collection,
            count: self.count,
            stored_bytes: stored_bytes as u32,
            raw_bytes: payload.len() as u32,
            crc: 0,
        };
        if let Some(cipher) = &self.cipher {
            let bytes = header.encode(&self.salt, self.offset, &[]);
            let covered = &bytes[..BlockHeader::COVERED];
            cipher.seal(self.offset, covered, &mut self.stored[..stored_bytes]);
        }
        let stored = &self.stored[..stored_bytes];
        let header = header.encode(&self.salt, self.offset, stored);
        self.file.write_all_at(&header, self.offset)?;
        self.file
            .write_all_at(stored, self.offset + header.len() as u64)?;
        self.offset += (header.len() + stored.len()) as u64;
        self.blocks += 1;
        self.documents += u64::from(self.count);
        self.count = 0;
        if self.offset - self.synced >= SYNC_EVERY_BYTES {
            self.file.sync_data()?;
            self.synced = self.offset;
        }
        Ok(())
    }

    fn documents(&mut self, collection: u32) -> std::io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.raw);
        self.block(BlockKind::Documents, collection, &raw)?;
        self.raw = raw;
        self.raw.clear();
        Ok(())
    }

    fn add(&mut self, collection: u32, document: &Document) -> std::io::Result<()> {
        let body = document.body_slice();
        if self.raw.len() + body.len() > BLOCK_BYTES {
            self.documents(collection)?;
        }
        varint::put(&mut self.raw, body.len() as u64);
        self.raw.extend_from_slice(body);
        self.count += 1;
        Ok(())
    }
}

/// Writes `source` to the new file `path` and forces it to the disk. The answer is its size in
/// bytes and the number of documents.
pub(super) fn write(
    disk: &dyn Disk,
    path: &Path,
    salt: [u8; 16],
    keys: &EncryptionKeys,
    source: &Source,
) -> Result<(u64, u64), Error> {
    let failed = |error| Error::io(format!("write the checkpoint {}", path.display()), error);
    let file = disk.create(path).map_err(failed)?;
    file.write_all_at(&format::header(&salt, keys.current()), 0)
        .map_err(failed)?;
    let mut writer = Writer {
        file,
        salt,
        offset: HEADER_BYTES as u64,
        synced: 0,
        blocks: 0,
        documents: 0,
        raw: Vec::with_capacity(BLOCK_BYTES),
        count: 0,
        stored: Vec::new(),
        cipher: keys.sealing(&salt, Purpose::Checkpoint),
    };
    let meta = MetaBlock {
        index: source.index,
        term: source.term,
        time: source.time,
        next_collection: source.next_collection.0,
        changed: source.changed.clone(),
    };
    let payload = postcard::to_allocvec(&meta).expect("writing to memory cannot fail");
    writer.block(BlockKind::Meta, 0, &payload).map_err(failed)?;
    // Databases first, then in the order of their numbers: the definitions come before what they
    // define.
    let mut collections: Vec<_> = source.snapshot.catalog().by_id.values().collect();
    collections.sort_by_key(|collection| collection.id != DATABASES);
    for collection in collections {
        if collection.definition.persistence == Persistence::Volatile {
            continue;
        }
        let (id, mut error) = (collection.id.0, None);
        source.snapshot.scan(collection, 0, |document| {
            error = writer.add(id, document).err();
            error.is_none()
        })?;
        error
            .map_or(Ok(()), Err)
            .and_then(|()| writer.documents(id))
            .map_err(failed)?;
    }
    let end = EndBlock {
        blocks: writer.blocks,
        documents: writer.documents,
    };
    let payload = postcard::to_allocvec(&end).expect("writing to memory cannot fail");
    writer.block(BlockKind::End, 0, &payload).map_err(failed)?;
    writer.file.sync_data().map_err(failed)?;
    Ok((writer.offset, writer.documents))
}
