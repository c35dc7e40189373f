//! Random lives of a node against the oracle; see `velocitydb_sim::run`.

use velocitydb_sim::{Counts, run, seeds};

#[test]
fn a_node_holds_what_it_promised() {
    let mut all = Counts::default();
    let (mut runs, wanted) = (0, seeds(200));
    for seed in wanted {
        let counts = run(seed).counts;
        all.acknowledged += counts.acknowledged;
        all.refused += counts.refused;
        all.conflicts += counts.conflicts;
        all.repeated += counts.repeated;
        all.failed += counts.failed;
        all.opened += counts.opened;
        all.lost += counts.lost;
        all.from_both += counts.from_both;
        all.torn += counts.torn;
        all.snapshots += counts.snapshots;
        runs += 1;
    }
    println!("{runs} runs: {all:?}");
    // A run that meets none of these would prove nothing.
    if runs >= 50 {
        assert!(all.acknowledged > 20 * runs, "{all:?}");
        assert!(all.torn > runs / 30, "{all:?}");
        for met in [
            all.refused,
            all.conflicts,
            all.repeated,
            all.failed,
            all.lost,
            all.from_both,
            all.snapshots,
        ] {
            assert!(met > runs / 5, "{all:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let mut digests = Vec::new();
    for seed in 0..8 {
        let first = run(seed);
        assert_eq!(first, run(seed), "seed {seed}");
        digests.push(first.digest);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 8, "another seed gives another run");
}
