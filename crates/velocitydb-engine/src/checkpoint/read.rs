//! Reading a checkpoint back: verified block by block, loaded in two steps side by side.
//!
//! One thread verifies, unpacks and builds documents, the other puts them into the tables; the
//! channel between them is bounded. Damage anywhere ends the reading with what and where.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::format::{
    self, BLOCK_HEADER_BYTES, BlockHeader, BlockKind, EndBlock, HEADER_BYTES, MetaBlock, Packing,
    Wrong,
};
use crate::crypt::{Cipher, EncryptionKeys, KeyError, KeyId, Purpose};
use crate::disk::{Disk, DiskFile};
use crate::error::Error;
use crate::store::{Document, parse_body, varint};

/// Blocks on their way from one step to the other.
const BLOCKS_AHEAD: usize = 8;

/// A verified part of a checkpoint.
pub(crate) enum Part {
    Meta(MetaBlock),
    Documents {
        collection: u32,
        documents: Vec<Document>,
    },
}

struct Reader {
    file: Arc<dyn DiskFile>,
    length: u64,
    offset: u64,
    salt: [u8; 16],
    stored: Vec<u8>,
    raw: Vec<u8>,
    cipher: Option<Arc<Cipher>>,
}

impl Reader {
    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Failure> {
        let mut done = 0;
        while done < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[done..], offset + done as u64)?
            {
                0 => return Err(damaged("it ends too early")),
                bytes => done += bytes,
            }
        }
        Ok(())
    }

    /// The next block: its payload is in `self.raw`.
    fn block(&mut self) -> Result<BlockHeader, Failure> {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        self.read(&mut bytes, self.offset)?;
        let header = BlockHeader::decode(&bytes).map_err(damaged)?;
        let after = self.offset + (BLOCK_HEADER_BYTES as u64) + u64::from(header.stored_bytes);
        if after > self.length {
            return Err(damaged("it ends within a block"));
        }
        let mut stored = std::mem::take(&mut self.stored);
        stored.resize(header.stored_bytes as usize, 0);
        self.read(&mut stored, self.offset + BLOCK_HEADER_BYTES as u64)?;
        if !header.verify(&bytes, &self.salt, self.offset, &stored) {
            return Err(damaged("a block's checksum does not fit"));
        }
        if let Some(cipher) = &self.cipher {
            let covered = &bytes[..BlockHeader::COVERED];
            let opened = cipher.open(self.offset, covered, &mut stored);
            let len = opened.ok_or_else(|| {
                damaged("a block verifies, but does not decrypt: it is not what was written there")
            })?;
            stored.truncate(len);
        }
        self.raw.resize(header.raw_bytes as usize, 0);
        let raw_bytes = match header.packing {
            Packing::Plain if stored.len() == self.raw.len() => {
                self.raw.copy_from_slice(&stored);
                stored.len()
            }
            Packing::Plain => usize::MAX,
            Packing::Lz4 => lz4_flex::block::decompress_into(&stored, &mut self.raw)
                .map_err(|error| damaged(error.to_string()))?,
        };
        if raw_bytes != self.raw.len() {
            return Err(damaged("a block has not the size that it names"));
        }
        self.stored = stored;
        self.offset = after;
        Ok(header)
    }

    fn documents(&self, header: &BlockHeader) -> Result<Vec<Document>, Failure> {
        let mut documents = Vec::with_capacity(header.count as usize);
        let mut rest = &self.raw[..];
        while !rest.is_empty() {
            let bytes = varint::take(&mut rest).and_then(|bytes| usize::try_from(bytes).ok());
            let (body, behind) = bytes
                .and_then(|bytes| rest.split_at_checked(bytes))
                .ok_or_else(|| damaged("a document is cut short"))?;
            if parse_body(body).is_none() {
                return Err(damaged("a document is malformed"));
            }
            documents.push(Document::of_body(body));
            rest = behind;
        }
        if documents.len() != header.count as usize {
            return Err(damaged("a block has not the documents that it names"));
        }
        Ok(documents)
    }

    /// Reads all, handing each part to `take` until it answers `false`.
    fn all(&mut self, mut take: impl FnMut(Part) -> bool) -> Result<(), Failure> {
        let (mut blocks, mut documents) = (0, 0);
        loop {
            let header = self.block()?;
            if (header.kind == BlockKind::Meta) != (blocks == 0) {
                return Err(damaged("the first block, and no other, is the meta block"));
            }
            let part = match header.kind {
                BlockKind::Meta => Part::Meta(self.decode()?),
                BlockKind::Documents => {
                    documents += u64::from(header.count);
                    let documents = self.documents(&header)?;
                    Part::Documents {
                        collection: header.collection,
                        documents,
                    }
                }
                BlockKind::End => {
                    let end: EndBlock = self.decode()?;
                    if end != (EndBlock { blocks, documents }) {
                        return Err(damaged("blocks or documents are missing"));
                    }
                    if self.offset != self.length {
                        return Err(damaged("something stands behind its end"));
                    }
                    return Ok(());
                }
            };
            blocks += 1;
            if !take(part) {
                return Ok(());
            }
        }
    }

    fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        postcard::from_bytes(&self.raw).map_err(|error| damaged(error.to_string()))
    }
}

enum Failure {
    Wrong(Wrong),
    Key(KeyError),
    Io(std::io::Error),
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Failure {
        Failure::Key(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Io(error)
    }
}

fn damaged(what: impl Into<String>) -> Failure {
    Failure::Wrong(Wrong::Damaged(what.into()))
}

/// The key that the checkpoint at `path` names, and its length; `None` when its header cannot be
/// read as one, which is found when it is loaded.
pub(crate) fn key_of(disk: &dyn Disk, path: &Path) -> std::io::Result<Option<KeyAndLength>> {
    let file = disk.open_to_read(path)?;
    let mut header = [0; HEADER_BYTES];
    if file.read_at(&mut header, 0)? < HEADER_BYTES {
        return Ok(None);
    }
    let parsed = format::parse_header(&header);
    let length = file.len()?;
    Ok(parsed.ok().map(|(_, key)| (key, length)))
}

/// The id of a checkpoint's master key, if it has one, and the file's length in bytes.
pub(crate) type KeyAndLength = (Option<KeyId>, u64);

/// Verifies the checkpoint at `path` and hands its parts to `load` in their order. `load` runs
/// on this thread, verification on another. On an error what was loaded must be thrown away.
pub(crate) fn read(
    disk: &dyn Disk,
    path: &Path,
    keys: &EncryptionKeys,
    mut load: impl FnMut(Part) -> Result<(), String>,
) -> Result<(), Error> {
    let named = |failure, offset: u64| match failure {
        Failure::Io(error) => Error::io(format!("read the checkpoint {}", path.display()), error),
        Failure::Wrong(Wrong::Unsupported(found)) => Error::UnsupportedFormat(format!(
            "checkpoint {} has format {found}; this program reads format {}: use the one that wrote it",
            path.display(),
            format::VERSION
        )),
        Failure::Key(error) => Error::Key(error),
        Failure::Wrong(Wrong::Damaged(what)) => Error::Damaged(format!(
            "checkpoint {} is damaged at byte {offset}: {what}",
            path.display()
        )),
    };
    let open = || -> Result<Reader, Failure> {
        let file = disk.open_to_read(path)?;
        let length = file.len()?;
        let offset = HEADER_BYTES as u64;
        let (stored, raw) = (Vec::new(), Vec::new());
        let mut reader = Reader {
            file,
            length,
            offset,
            salt: [0; 16],
            stored,
            raw,
            cipher: None,
        };
        let mut header = [0; HEADER_BYTES];
        reader.read(&mut header, 0)?;
        let (salt, key) = format::parse_header(&header).map_err(Failure::Wrong)?;
        reader.salt = salt;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        reader.cipher = keys.opening(key, &salt, Purpose::Checkpoint, &name)?;
        Ok(reader)
    };
    let mut reader = open().map_err(|failure| named(failure, 0))?;
    std::thread::scope(|scope| {
        let (to, from): (SyncSender<Part>, Receiver<Part>) = sync_channel(BLOCKS_AHEAD);
        let reading = scope.spawn(move || {
            let result = reader.all(|part| to.send(part).is_ok());
            result.map_err(|failure| (failure, reader.offset))
        });
        let mut loaded = Ok(());
        for part in from {
            loaded = load(part);
            if loaded.is_err() {
                break;
            }
        }
        let read = reading
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        read.map_err(|(failure, offset)| named(failure, offset))?;
        loaded.map_err(|what| {
            Error::Damaged(format!(
                "checkpoint {} does not make sense: {what}",
                path.display()
            ))
        })
    })
}
