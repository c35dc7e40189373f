//! Indexes that are kept against indexes that are made anew, over random documents.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use velocitydb_types::{Fields, Path, TimeSpan, Value};

use std::sync::Arc;

use velocitydb_types::Expression;

use super::*;
use crate::catalog::IndexField;
use crate::memory::Memory;
use crate::store::ordered::{Order, Random, Range};
use crate::store::record::{Link, Meta};
use crate::store::table::Newest;
use crate::store::{GarbageQueue, Snapshots, Table, Visible};

const KEYS: usize = 8;

struct World {
    random: Random,
    memory: Arc<Memory>,
    table: Arc<Table>,
    visible: Visible,
    snapshots: Snapshots,
    garbage: GarbageQueue,
    /// Of the newest change, and the time.
    index: u64,
    held: Vec<u64>,
}

/// Indexes of all kinds, over fields whose values are equal in many ways.
fn definitions() -> Vec<IndexDefinition> {
    let path = |name: &str| IndexField::from(Path::field(name));
    let made = |text: &str| IndexField::from(text.parse::<Expression>().unwrap());
    let only = |index: IndexDefinition, text: &str| index.only(text.parse().unwrap());
    vec![
        IndexDefinition::btree("a", [path("a")]),
        IndexDefinition::btree("b_down_a", [path("b").descending(), path("a")]),
        IndexDefinition::btree("a_b_down", [path("a"), path("b").descending()]),
        only(IndexDefinition::btree("b_of_some", [path("b")]), "a > 0"),
        only(
            IndexDefinition::hash("b_hash_of_some", [path("b")]),
            "a > 0",
        ),
        IndexDefinition::hash("a_hash", [path("a")]),
        IndexDefinition::btree("expression", [made("lower(b)"), path("a")]),
        IndexDefinition::btree("elements", [path("list").elements(), path("a")]),
        IndexDefinition::hash("elements_hash", [path("list").elements()]),
        IndexDefinition::btree("inner", [IndexField::from("m.n".parse::<Path>().unwrap())]),
        IndexDefinition::time_series("time", Path::field("t"), TimeSpan::days(1)),
        IndexDefinition::btree("unique", [path("u")]).and_unique(),
        #[cfg(feature = "full-text")]
        IndexDefinition::full_text("words", [Path::field("b")], "english"),
    ]
}

impl World {
    fn new(seed: u64) -> World {
        let memory = Arc::new(Memory::new(None));
        World {
            random: Random(seed),
            table: Arc::new(Table::new(7, Arc::clone(&memory))),
            memory,
            visible: Visible::default(),
            snapshots: Snapshots::default(),
            garbage: GarbageQueue::default(),
            index: 0,
            held: Vec::new(),
        }
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.random.below(12) {
            0 | 1 => return None,
            2 => Value::Null,
            3 => Value::Int(0),
            4 => Value::Float(0.0),
            5 => Value::Float(-0.0),
            6 => Value::Int(1),
            7 => Value::Float(1.0),
            8 => Value::Decimal("1.00".parse().unwrap()),
            9 => Value::String("One two".to_owned()),
            10 => Value::String("one Two".to_owned()),
            _ => Value::Bool(true),
        })
    }

    fn fields(&mut self, key: usize) -> Fields {
        let mut fields = BTreeMap::new();
        for name in ["a", "aa", "b", "c"] {
            fields.extend(self.value().map(|value| (name.to_owned(), value)));
        }
        // What a function has no value for is refused.
        if !matches!(fields.get("b"), Some(Value::String(_) | Value::Null)) {
            fields.remove("b");
        }
        if self.random.percent(60) {
            let list = (0..self.random.below(4)).filter_map(|_| self.value());
            fields.insert("list".to_owned(), Value::Array(list.collect()));
        }
        if self.random.percent(60) {
            let inner = self.value().map(|value| ("n".to_owned(), value));
            fields.insert("m".to_owned(), Value::Map(inner.into_iter().collect()));
        }
        let time = Timestamp(self.random.below(3) as i64 * 1_000_000);
        fields.insert("t".to_owned(), Value::Time(time));
        fields.insert("u".to_owned(), Value::Int(key as i64));
        Fields::from_map(&fields).unwrap()
    }

    fn newest(&self, key: &[u8]) -> Option<Newest> {
        self.table.newest(self.table.hash(key), key, &pin())
    }

    /// Puts a document with new fields, or a tombstone.
    fn put(&mut self, key: usize, fields: Option<Fields>) {
        let (guard, id) = (&pin(), [key as u8]);
        let present = self.newest(&id);
        let live = present.as_ref();
        if fields.is_none() && live.is_none_or(|newest| newest.version.is_tombstone()) {
            return;
        }
        self.index += 1;
        let time = Timestamp(self.index as i64);
        let expires = fields.is_some() && self.random.percent(15);
        let meta = Meta {
            index: self.index,
            version: 1,
            created_at: time,
            updated_at: time,
            expires_at: expires.then(|| Timestamp(time.0 + self.random.below(50) as i64)),
        };
        let bytes = fields.as_ref().map(|fields| fields.as_bytes());
        let version = Document::new(&id, &meta, bytes, Link::of(present.is_some()));
        let keys = self
            .table
            .keys_of_version(present.as_ref(), &version, guard);
        let keys = keys.unwrap();
        let hash = self.table.hash(&id);
        let garbage = self
            .table
            .publish(hash, present.as_ref(), version, &keys, guard);
        garbage
            .into_iter()
            .for_each(|garbage| self.garbage.push(garbage));
        self.visible.advance(self.index);
    }

    fn collect(&mut self, limit: usize) -> usize {
        self.garbage
            .collect(limit, &self.visible, &self.snapshots, &pin())
    }

    fn step(&mut self) {
        let key = self.random.below(KEYS);
        match self.random.below(100) {
            0..40 => {
                let fields = self.fields(key);
                self.put(key, Some(fields));
            }
            40..52 => self.put(key, None),
            52..57 => {
                self.snapshots.register(|| (self.index, Timestamp(0), ()));
                self.held.push(self.index);
            }
            57..64 if !self.held.is_empty() => {
                let which = self.random.below(self.held.len());
                self.snapshots.release(self.held.swap_remove(which));
            }
            64..76 => _ = self.collect(5),
            76..80 => {
                let until = Timestamp(self.index as i64 - 20);
                _ = self.table.remove_expired(until, 3, &pin());
            }
            80..88 => {
                let indexes = self.table.indexes();
                if !indexes.is_empty() {
                    let index = &indexes[self.random.below(indexes.len())];
                    held(index);
                }
            }
            88..92 => {
                let all = definitions();
                let definition = all[self.random.below(all.len())].clone();
                let name = &definition.name;
                match self.table.index(name) {
                    Some(_) if self.random.percent(50) => self.table.detach_index(name),
                    Some(_) if self.random.percent(70) => _ = self.table.begin_rebuild(name),
                    Some(_) => self.table.end_rebuild(name),
                    None => {
                        let index = FieldIndex::unbuilt(definition);
                        self.table.attach_index(Arc::new(index));
                    }
                }
            }
            _ => {
                let indexes = self.table.indexes();
                let unbuilt = indexes.iter().find(|index| !index.is_built()).cloned();
                drop(indexes);
                if let Some(index) = unbuilt {
                    _ = self.table.build_step(&index, 3);
                }
            }
        }
    }

    /// Each index has what one has that is made now; the accounts are the sums of their parts.
    fn check(&self, what: &str) {
        let guard = &pin();
        for index in self.table.indexes().iter() {
            let anew = FieldIndex::new(index.definition.clone());
            let built = (0..self.table.rows.end()).filter(|row| index.covers(*row));
            for row in built.filter(|row| self.table.rows.head(*row, guard).is_some()) {
                self.table.build_row(&anew, row, false);
            }
            assert_eq!(held(index), held(&anew), "{what}, {index:?}");
            assert_eq!(
                index.stats().entries,
                anew.stats().entries,
                "{what}, {index:?}"
            );
        }
        self.check_memory(what);
    }

    fn check_memory(&self, what: &str) {
        let accounted = self
            .table
            .indexes()
            .iter()
            .map(|index| index.accounted.load(Ordering::Relaxed))
            .sum::<usize>();
        assert_eq!(
            self.table.index_bytes.load(Ordering::Relaxed),
            accounted,
            "{what}"
        );
        let versions = self.table.versions_bytes.load(Ordering::Relaxed);
        let held = versions + self.table.structure_bytes();
        assert_eq!(self.memory.used(), held as u64, "{what}");
    }
}

/// The entries of an index that is ordered inside.
fn held(index: &FieldIndex) -> BTreeSet<Vec<u8>> {
    let (mut held, guard) = (BTreeSet::new(), &pin());
    let all = Range {
        from: Bound::Unbounded,
        to: Bound::Unbounded,
    };
    if let Entries::Hashed(entries) | Entries::Ordered(entries) = &index.entries {
        let entries = entries.settled(guard);
        entries.visit(&all, Order::Forward, guard, &mut |entry| {
            held.insert(entry.to_vec())
        });
        assert_eq!(held.len(), entries.len());
    }
    held
}

#[test]
fn what_is_kept_is_what_would_be_made_anew() {
    for seed in 0..if cfg!(miri) { 1 } else { 60 } {
        let mut world = World::new(seed);
        for definition in definitions() {
            if world.random.percent(70) {
                let index = FieldIndex::new(definition);
                world.table.attach_index(Arc::new(index));
            }
        }
        for step in 0..400 {
            world.step();
            if world.random.percent(4) {
                world.check(&format!("seed {seed}, step {step}"));
            } else {
                world.check_memory(&format!("seed {seed}, step {step}"));
            }
        }
        let what = format!("seed {seed}, emptied");
        (0..KEYS).for_each(|key| world.put(key, None));
        let held = std::mem::take(&mut world.held);
        held.into_iter()
            .for_each(|index| world.snapshots.release(index));
        while world.collect(100) > 0 {}
        world.check(&what);
        let indexes = Vec::clone(&world.table.indexes());
        for index in indexes {
            assert_eq!(index.len(), 0, "{what}, {index:?}");
            world.table.detach_index(&index.definition.name);
        }
        world.check_memory(&what);
        assert_eq!(world.table.bytes().indexes, 0, "{what}");
        let World { table, memory, .. } = world;
        drop(table);
        assert_eq!(memory.used(), 0, "{what}");
    }
}
