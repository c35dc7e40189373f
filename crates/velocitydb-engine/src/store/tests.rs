//! The store against a plain model: random changes, snapshots held and released, unique values.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_epoch::pin;
use proptest::prelude::*;
use velocitydb_types::{Fields, Path, Timestamp, Value};

use super::{
    At, Document, FieldIndex, GarbageQueue, Link, Meta, Newest, Snapshots, Table, Visible,
};
use crate::catalog::IndexDefinition;
use crate::memory::Memory;

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Hold,
    Release(u8),
    Collect(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..12u8, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        3 => (0..12u8).prop_map(Step::Delete),
        2 => Just(Step::Hold),
        2 => any::<u8>().prop_map(Step::Release),
        3 => (1..6u8).prop_map(Step::Collect),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 20 } else { 120 })
}

type Model = BTreeMap<u8, u8>;

struct World {
    table: Arc<Table>,
    visible: Visible,
    snapshots: Snapshots,
    garbage: GarbageQueue,
    index: u64,
    model: Model,
    held: Vec<(u64, Model)>,
}

fn fields(value: u8) -> Fields {
    Fields::from_map(&BTreeMap::from([(
        "v".to_owned(),
        Value::Int(i64::from(value)),
    )]))
    .unwrap()
}

impl World {
    fn new() -> World {
        World {
            table: Arc::new(Table::new(7, Arc::new(Memory::new(None)))),
            visible: Visible::default(),
            snapshots: Snapshots::default(),
            garbage: GarbageQueue::default(),
            index: 0,
            model: Model::new(),
            held: Vec::new(),
        }
    }

    fn newest(&self, key: u8) -> Option<Newest> {
        let hash = self.table.hash(&[key]);
        self.table.newest(hash, &[key], &pin())
    }

    fn change(&mut self, key: u8, value: Option<u8>) {
        let present = self.newest(key);
        let live = present
            .as_ref()
            .is_some_and(|newest| !newest.version.body().tombstone);
        if value.is_none() && !live {
            return;
        }
        self.publish(key, present, value.map(fields));
        match value {
            Some(value) => self.model.insert(key, value),
            None => self.model.remove(&key),
        };
    }

    /// Puts a version with these fields, or a tombstone, in place of the one at `present`.
    fn publish(&mut self, key: u8, present: Option<Newest>, fields: Option<Fields>) {
        let hash = self.table.hash(&[key]);
        self.index += 1;
        let time = Timestamp(self.index as i64);
        let meta = Meta {
            index: self.index,
            version: 1,
            created_at: time,
            updated_at: time,
            expires_at: None,
        };
        let bytes = fields.as_ref().map(|fields| fields.as_bytes());
        let replaces = present.is_some();
        let version = Document::new(&[key], &meta, bytes, Link::of(replaces));
        let keys = self
            .table
            .keys_of_version(present.as_ref(), &version, &pin())
            .unwrap();
        if let Some(garbage) = self
            .table
            .publish(hash, present.as_ref(), version, &keys, &pin())
        {
            self.garbage.push(garbage);
        }
        self.visible.advance(self.index);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Put(key, value) => self.change(key, Some(value)),
            Step::Delete(key) => self.change(key, None),
            Step::Hold => {
                self.snapshots.register(|| (self.index, Timestamp(0), ()));
                self.held.push((self.index, self.model.clone()));
            }
            Step::Release(which) if !self.held.is_empty() => {
                let which = which as usize % self.held.len();
                self.snapshots.release(self.held.swap_remove(which).0);
            }
            Step::Release(_) => {}
            Step::Collect(limit) => {
                let limit = limit as usize;
                self.garbage
                    .collect(limit, &self.visible, &self.snapshots, &pin());
            }
        }
    }

    fn check(&self) {
        let held = self
            .held
            .iter()
            .map(|(index, model)| (At::Index(*index), *index, model));
        for (at, index, model) in held.chain([(At::Latest, self.index, &self.model)]) {
            for key in 0..12 {
                let found = self.table.get(&[key], at, &self.visible);
                let found = found.map(|found| found.get("v").unwrap().as_int().unwrap() as u8);
                assert_eq!(found, model.get(&key).copied(), "key {key} at {at:?}");
            }
            let mut seen = Model::new();
            self.table.scan(0, index, |found| {
                let value = found.get("v").unwrap().as_int().unwrap() as u8;
                assert!(
                    seen.insert(found.key_bytes()[0], value).is_none(),
                    "seen once"
                );
                true
            });
            assert_eq!(&seen, model, "scan at {at:?}");
        }
        assert_eq!(self.table.live(), self.model.len() as u64);
    }

    fn let_all_go(&mut self) {
        for (index, _) in std::mem::take(&mut self.held) {
            self.snapshots.release(index);
        }
        while self
            .garbage
            .collect(100, &self.visible, &self.snapshots, &pin())
            > 0
        {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 400 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_snapshot_sees_its_own_state(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check();
        }
        world.let_all_go();
        world.check();
        prop_assert_eq!(world.table.bytes().old_versions, 0);
    }
}

#[test]
fn an_emptied_table_gives_its_memory_back() {
    let mut world = World::new();
    let empty = world.table.bytes().documents;
    for key in 0..200 {
        world.change(key, Some(key));
    }
    for key in 0..200 {
        world.change(key, None);
    }
    world.let_all_go();
    assert_eq!(world.table.bytes().documents, empty);
    assert!(
        world.newest(3).is_none(),
        "tombstones go when nobody can tell"
    );
}

#[test]
fn a_hot_document_keeps_only_what_snapshots_need() {
    let mut world = World::new();
    world.change(1, Some(0));
    world.step(&Step::Hold);
    for value in 0..200 {
        world.change(1, Some(value));
        world.step(&Step::Collect(4));
    }
    let one = world.newest(1).unwrap().version.allocated_bytes();
    assert!(
        world.table.bytes().old_versions <= 2 * one,
        "one version for the snapshot"
    );
    world.check();
}

#[test]
fn unique_values_follow_their_documents() {
    let mut world = World::new();
    world.change(1, Some(10));
    let unique = FieldIndex::new(IndexDefinition::unique("v", vec![Path::field("v")]));
    assert!(world.table.fill_index(&unique, Timestamp(0)).is_ok());
    let unique = Arc::new(unique);
    world.table.attach_index(Arc::clone(&unique));
    let holder = |world: &World, value: u8| {
        let fields = fields(value);
        let key = unique.key_of(fields.as_raw()).unwrap();
        let found = world.table.unique_holder(
            &unique,
            (&key[..], world.table.hash(&key)),
            Timestamp(0),
            &pin(),
            |_| false,
        );
        found.map(|found| found.key_bytes()[0])
    };
    assert_eq!(holder(&world, 10), Some(1));
    world.change(1, Some(11));
    assert_eq!((holder(&world, 10), holder(&world, 11)), (None, Some(1)));
    world.change(2, Some(10));
    assert_eq!(holder(&world, 10), Some(2));
    world.change(1, Some(12));
    world.change(1, Some(11));
    world.let_all_go();
    assert_eq!((holder(&world, 12), holder(&world, 11)), (None, Some(1)));
    world.change(1, None);
    world.let_all_go();
    assert_eq!(holder(&world, 11), None);
}

#[test]
fn readers_beside_a_writer_see_whole_states() {
    let world = World::new();
    let World {
        table,
        visible,
        snapshots,
        mut garbage,
        ..
    } = world;
    let turns = if cfg!(miri) { 50 } else { 50_000u64 };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each entry gives keys 1 and 2 the same value.
            for index in 1..=turns {
                let time = Timestamp(0);
                let meta = Meta {
                    index,
                    version: 1,
                    created_at: time,
                    updated_at: time,
                    expires_at: None,
                };
                for key in [1, 2] {
                    let hash = table.hash(&[key]);
                    let present: Option<Newest> = table.newest(hash, &[key], &pin());
                    let bytes = fields(index as u8);
                    let bytes = Some(bytes.as_bytes());
                    let replaces = present.is_some();
                    let version = Document::new(&[key], &meta, bytes, Link::of(replaces));
                    let keys = table
                        .keys_of_version(present.as_ref(), &version, &pin())
                        .unwrap();
                    if let Some(old) = table.publish(hash, present.as_ref(), version, &keys, &pin())
                    {
                        garbage.push(old);
                    }
                }
                visible.advance(index);
                garbage.collect(4, &visible, &snapshots, &pin());
            }
        });
        let mut last = 0;
        while last < turns {
            let (index, ..) = snapshots.register(|| (visible.index(), Timestamp(0), ()));
            let [one, two] = [1, 2].map(|key| {
                table
                    .get(&[key], At::Index(index), &visible)
                    .map(|found| found.meta().index)
            });
            assert_eq!(one, two, "at {index}");
            assert_eq!(one, (index > 0).then_some(index));
            snapshots.release(index);
            // Reads without a snapshot never go back in time, and never miss the document.
            let latest = table
                .get(&[1], At::Latest, &visible)
                .map_or(0, |found| found.meta().index);
            assert!(latest >= index);
            last = latest;
        }
    });
}

/// Two values of one row with the same hash share an entry: it stays while one of them needs it.
#[test]
fn values_whose_hashes_collide_do_not_take_each_others_entry() {
    for unique in [false, true] {
        let mut world = World::new();
        let index = IndexDefinition::hash("v", [Path::field("v")]);
        let index = Arc::new(FieldIndex::new(IndexDefinition { unique, ..index }));
        world.table.attach_index(Arc::clone(&index));
        let document = |value: i64| {
            Fields::from_map(&BTreeMap::from([("v".to_owned(), Value::Int(value))])).unwrap()
        };
        let key = |value: i64| index.key_of(document(value).as_raw()).unwrap();
        let mut seen = BTreeMap::new();
        let (a, b) = (0..)
            .find_map(|value| {
                let other = seen.insert(world.table.hash(&key(value)), value)?;
                Some((other, value))
            })
            .unwrap();
        for value in [a, b] {
            let present = world.newest(1);
            world.publish(1, present, Some(document(value)));
        }
        let World {
            garbage,
            visible,
            snapshots,
            ..
        } = &mut world;
        garbage.collect(10, visible, snapshots, &pin());
        let holders = world.table.holders(&index, &key(b), Timestamp(0), &pin());
        assert_eq!(holders.len(), 1, "{a} and {b} have one hash");
    }
}
