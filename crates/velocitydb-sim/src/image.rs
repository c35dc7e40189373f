//! The bytes of one simulated file: as they are read back, as they are on the platter, and the
//! writes in between.
//!
//! A write dirties whole sectors. Until a sync, the platter may have taken each dirty sector
//! after any of the writes to it, or not at all, and any of the lengths the file has had.

use crate::random::Random;

/// Bytes that reach the platter together or not at all.
const SECTOR: usize = 512;

/// How much of the unsynced state a power loss keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Survival {
    Nothing,
    Everything,
    /// Everything up to a moment, nothing after.
    Prefix,
    /// Each sector on its own.
    Scattered,
}

impl Survival {
    pub(crate) fn draw(random: &mut Random) -> Survival {
        match random.below(6) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            2 | 3 => Survival::Prefix,
            _ => Survival::Scattered,
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    /// Sectors from byte `start` on, as they were after a write.
    Write {
        start: usize,
        bytes: Vec<u8>,
    },
    Len(usize),
}

/// One file's content.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// What reads see.
    pub(crate) current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

impl Image {
    pub(crate) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.current.len() {
            self.set_len(end);
        }
        self.current[offset..end].copy_from_slice(bytes);
        let start = offset / SECTOR * SECTOR;
        let stop = end.next_multiple_of(SECTOR).min(self.current.len());
        let bytes = self.current[start..stop].to_vec();
        self.pending.push(Change::Write { start, bytes });
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        self.current.resize(len, 0);
        self.pending.push(Change::Len(len));
    }

    pub(crate) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &change);
        }
    }

    /// Unsynced writes count as clean from now on.
    pub(crate) fn forget(&mut self) {
        self.pending.clear();
    }

    /// What is left after a power loss.
    pub(crate) fn lose_power(&mut self, survival: Survival, random: &mut Random) {
        let pending = std::mem::take(&mut self.pending);
        let count = pending.len() as u64;
        match survival {
            Survival::Nothing => {}
            Survival::Everything => pending.iter().for_each(|c| apply(&mut self.durable, c)),
            Survival::Prefix => {
                let kept = random.below(count + 1) as usize;
                pending[..kept]
                    .iter()
                    .for_each(|change| apply(&mut self.durable, change));
            }
            Survival::Scattered => scatter(&mut self.durable, &pending, random),
        }
        self.current = self.durable.clone();
    }

    /// Changes both images: damage, not a write.
    pub(crate) fn damage(&mut self, change: impl Fn(&mut Vec<u8>)) {
        change(&mut self.current);
        change(&mut self.durable);
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Len(len) => bytes.resize(*len, 0),
        Change::Write { start, bytes: new } => {
            let end = start + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*start..end].copy_from_slice(new);
        }
    }
}

/// Applies each sector of each write up to a moment of that sector's own.
fn scatter(durable: &mut Vec<u8>, pending: &[Change], random: &mut Random) {
    let count = pending.len() as u64;
    let lengths = random.below(count + 1) as usize;
    for change in &pending[..lengths] {
        if let Change::Len(len) = change {
            durable.resize(*len, 0);
        }
    }
    let mut moments = std::collections::BTreeMap::new();
    for (at, change) in pending.iter().enumerate() {
        let Change::Write { start, bytes } = change else {
            continue;
        };
        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
            let place = start + number * SECTOR;
            let moment = *moments
                .entry(place)
                .or_insert_with(|| match random.below(3) {
                    0 => 0,
                    1 => count,
                    _ => random.below(count + 1),
                });
            let end = (place + sector.len()).min(durable.len());
            if (at as u64) < moment && place < end {
                durable[place..end].copy_from_slice(&sector[..end - place]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_any_power_loss() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut image = Image::default();
            image.write(&[1; 1500], 0);
            image.sync();
            image.write(&[2; 700], 1500);
            let survival = Survival::draw(&mut random);
            image.lose_power(survival, &mut random);
            assert_eq!(image.current[..1500], [1; 1500], "seed {seed}");
            assert!(
                image.current[1500..].iter().all(|b| *b == 2 || *b == 0),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn a_power_loss_may_keep_a_later_sector_and_lose_an_earlier_one() {
        let reordered = (0..200).any(|seed| {
            let mut image = Image::default();
            image.set_len(1024);
            image.sync();
            image.write(&[1; 512], 0);
            image.write(&[2; 512], 512);
            image.lose_power(Survival::Scattered, &mut Random::new(seed));
            image.current[0] == 0 && image.current[512] == 2
        });
        assert!(reordered);
    }

    #[test]
    fn forgotten_writes_read_back_and_never_become_durable() {
        let mut image = Image::default();
        image.write(&[0; 1024], 0);
        image.sync();
        image.write(&[1; 512], 0);
        image.forget();
        image.write(&[2; 512], 512);
        image.sync();
        assert_eq!((image.current[0], image.current[512]), (1, 2));
        image.lose_power(Survival::Everything, &mut Random::new(0));
        assert_eq!((image.current[0], image.current[512]), (0, 2));
    }
}
