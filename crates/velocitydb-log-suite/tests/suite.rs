//! openraft's log suite over the engine's log, on a simulated disk.

// All of it is test code.
#![allow(clippy::unwrap_used)]

use std::fmt;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::{
    EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
};
use openraft::{EntryPayload, RaftLogReader, RaftSnapshotBuilder, StorageError};
use serde::{Deserialize, Serialize};
use velocitydb_engine::log::{FlushLevel, Log, LogError, LogOptions};
use velocitydb_sim::{Random, SimDisk};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Request(String);

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

openraft::declare_raft_types!(
    TypeConfig:
        D = Request,
        R = (),
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

type LogId = LogIdOf<TypeConfig>;

fn log_id((index, term): (u64, u64)) -> LogId {
    LogId::new_term_index(term, index)
}

fn io_error(error: LogError) -> io::Error {
    io::Error::other(error)
}

#[derive(Debug, Clone)]
struct Store(Arc<Log>);

impl RaftLogReader<TypeConfig> for Store {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + fmt::Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<EntryOf<TypeConfig>>, io::Error> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        // openraft asks for what may be purged and wants what is there.
        let Some(first) = self.0.first() else {
            return Ok(Vec::new());
        };
        let entries = self.0.read(start.max(first)..end).map_err(io_error)?;
        let decode = |entry: Result<velocitydb_engine::log::Entry, _>| {
            let entry = entry.map_err(io_error)?;
            let decoded: EntryOf<TypeConfig> = serde_json::from_slice(&entry.payload)?;
            assert_eq!(decoded.log_id, log_id((entry.index, entry.term)));
            Ok(decoded)
        };
        entries.map(decode).collect()
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<TypeConfig>>, io::Error> {
        Ok(self
            .0
            .vote()
            .map(|vote| serde_json::from_slice(&vote))
            .transpose()?)
    }
}

impl RaftLogStorage<TypeConfig> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let last_purged_log_id = self.0.purged().map(log_id);
        let last_log_id = self.0.last_entry().map(log_id).or(last_purged_log_id);
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> Result<(), io::Error> {
        self.0
            .save_vote(&serde_json::to_vec(vote)?)
            .map_err(io_error)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let Some(committed) = committed else {
            return Ok(());
        };
        self.0
            .save_committed(committed.index, **committed.committed_leader_id())
            .map_err(io_error)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.0.committed().map(log_id))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<TypeConfig>> + Send,
        I::IntoIter: Send,
    {
        let mut last = None;
        for entry in entries {
            let payload = serde_json::to_vec(&entry)?;
            let LogId { index, .. } = entry.log_id;
            let term = **entry.log_id.committed_leader_id();
            self.0.reserve(payload.len() as u64).map_err(io_error)?;
            self.0.append(index, term, &payload).map_err(io_error)?;
            last = Some(index);
        }
        let flushed = last.map_or(Ok(()), |last| self.0.flush(last, FlushLevel::Synced));
        callback.io_completed(flushed.map_err(io_error));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        self.0
            .truncate_after(last.map(|last| last.index))
            .map_err(io_error)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        self.0
            .purge_through(upto.index, **upto.committed_leader_id())
            .map_err(io_error)
    }
}

/// A state machine that only keeps the books that the suite looks at.
#[derive(Debug, Clone, Default)]
struct Machine(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    applied: Option<LogId>,
    membership: StoredMembershipOf<TypeConfig>,
    snapshot: Option<SnapshotMetaOf<TypeConfig>>,
}

impl Machine {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0
            .lock()
            .expect("no test panics while it holds the books")
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, Vec<u8>>, io::Error> {
        let mut books = self.books();
        let meta = SnapshotMetaOf::<TypeConfig> {
            last_log_id: books.applied,
            last_membership: books.membership.clone(),
        };
        books.snapshot = Some(meta.clone());
        Ok(SnapshotOf::<TypeConfig, Vec<u8>> {
            meta,
            snapshot: Vec::new(),
        })
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Machine;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId>, StoredMembershipOf<TypeConfig>), io::Error> {
        let books = self.books();
        Ok((books.applied, books.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<openraft::storage::EntryResponder<TypeConfig>, io::Error>>
            + Unpin
            + Send,
    {
        while let Some(entry) = entries.next().await {
            let (entry, responder) = entry?;
            let mut books = self.books();
            books.applied = Some(entry.log_id());
            if let EntryPayload::Membership(membership) = entry.payload {
                let id = Some(entry.log_id);
                books.membership = StoredMembershipOf::<TypeConfig>::new(id, membership);
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        _snapshot: Vec<u8>,
    ) -> Result<(), io::Error> {
        let mut books = self.books();
        books.applied = meta.last_log_id;
        books.membership = meta.last_membership.clone();
        books.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, Vec<u8>>>, io::Error> {
        let snapshot = self.books().snapshot.clone();
        Ok(snapshot.map(|meta| SnapshotOf::<TypeConfig, Vec<u8>> {
            meta,
            snapshot: Vec::new(),
        }))
    }
}

/// Gives each test of the suite a log of its own.
#[derive(Debug, Default)]
struct Builder(AtomicU64);

impl StoreBuilder<TypeConfig, Store, Machine> for Builder {
    async fn build(&self) -> Result<((), Store, Machine), StorageError<TypeConfig>> {
        let seed = self.0.fetch_add(1, Ordering::Relaxed);
        let disk = Arc::new(SimDisk::new(seed));
        let mut options = LogOptions::default();
        // Small, so that the suite rolls over.
        (options.first_segment_bytes, options.segment_bytes) = (2048, 2048);
        let salts = Random::new(seed).salts();
        let (log, _) = Log::open(disk, Path::new("/wal"), options, salts)
            .expect("an empty simulated disk can be opened");
        Ok(((), Store(Arc::new(log)), Machine::default()))
    }
}

#[tokio::test]
async fn openraft_accepts_the_log() {
    Suite::test_all(Builder::default()).await.unwrap();
}
