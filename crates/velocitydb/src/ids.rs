//! Fresh ids, salts and seeds: everything random enters here.
//!
//! In production from the operating system and a cryptographic generator for each thread; in a
//! simulation from a numbered one, so that a seed gives a run.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use velocitydb_types::{Timestamp, Uuid, uuid_v7};

/// See the module.
#[derive(Debug)]
pub(crate) enum Random {
    System,
    Seeded(Box<Mutex<StdRng>>),
}

impl Random {
    pub(crate) fn new(seed: Option<u64>) -> Random {
        match seed {
            Some(seed) => Random::Seeded(Box::new(Mutex::new(StdRng::seed_from_u64(seed)))),
            None => Random::System,
        }
    }

    fn fill(&self, bytes: &mut [u8]) {
        match self {
            Random::System => rand::rng().fill_bytes(bytes),
            Random::Seeded(generator) => generator.lock().fill_bytes(bytes),
        }
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random number.
    pub(crate) fn number(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        match self {
            Random::System => rand::rng().random_range(0..end.max(1)),
            Random::Seeded(generator) => generator.lock().random_range(0..end.max(1)),
        }
    }

    /// A new UUIDv7: ids made later sort later.
    pub(crate) fn uuid(&self, now: Timestamp) -> Uuid {
        uuid_v7((now.0 / 1000).max(0) as u64, self.bytes())
    }
}
