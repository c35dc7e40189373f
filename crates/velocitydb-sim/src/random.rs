//! A small seeded generator (splitmix64), so that a seed alone replays a run.

/// A seeded source of pseudo-random numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        self.bits() % bound
    }

    /// True once in `times`, on average.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Fresh salts, as the log wants them.
    pub fn salts(&mut self) -> Box<dyn FnMut() -> [u8; 16] + Send> {
        let mut random = Random::new(self.bits());
        Box::new(move || {
            let mut salt = [0; 16];
            salt[..8].copy_from_slice(&random.bits().to_le_bytes());
            salt[8..].copy_from_slice(&random.bits().to_le_bytes());
            salt
        })
    }
}

/// The seeds that a test runs: `usual` many, or as many as `VELOCITYDB_SEEDS` says.
pub fn seeds(usual: u64) -> std::ops::Range<u64> {
    let wanted = std::env::var("VELOCITYDB_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    0..wanted.unwrap_or(usual)
}
