//! Random calls, crashes and checkpoints against a plain model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use velocitydb::{
    Batch, Database, Definition, Error, Expected, Field, FieldType, Isolation, Openness, Schema,
    Update,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{number, on, tidy};

#[derive(Debug, Clone)]
enum Change {
    Insert(u8, i64),
    Upsert(u8, i64),
    Add(u8, i64),
    Swap(u8, i64, i64),
    Delete(u8),
}

#[derive(Debug, Clone)]
enum Step {
    One(Change),
    Each(Vec<Change>),
    Atomic(Vec<Change>),
    Transaction(Vec<Change>),
    Truncate,
    Recreate,
    Checkpoint,
    Tend,
    Crash,
    Close,
}

fn change() -> impl Strategy<Value = Change> {
    let (id, n) = (0..6_u8, 0..5_i64);
    prop_oneof![
        (id.clone(), n.clone()).prop_map(|(id, n)| Change::Insert(id, n)),
        (id.clone(), n.clone()).prop_map(|(id, n)| Change::Upsert(id, n)),
        (id.clone(), n.clone()).prop_map(|(id, n)| Change::Add(id, n)),
        (id.clone(), n.clone(), n).prop_map(|(id, from, to)| Change::Swap(id, from, to)),
        id.prop_map(Change::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let many = || proptest::collection::vec(change(), 1..5);
    prop_oneof![
        8 => change().prop_map(Step::One),
        4 => many().prop_map(Step::Each),
        4 => many().prop_map(Step::Atomic),
        4 => many().prop_map(Step::Transaction),
        1 => Just(Step::Truncate),
        1 => Just(Step::Recreate),
        2 => Just(Step::Checkpoint),
        2 => Just(Step::Tend),
        2 => Just(Step::Crash),
        1 => Just(Step::Close),
    ]
}

/// Number and version of each document.
type Model = BTreeMap<u8, (i64, u64)>;

fn unique(model: &Model) -> bool {
    let mut numbers: Vec<_> = model.values().map(|(n, _)| n).collect();
    numbers.sort_unstable();
    numbers.windows(2).all(|two| two[0] != two[1])
}

impl Change {
    /// What it makes of the model, uniqueness aside; `None` when it is refused.
    fn on(&self, model: &Model) -> Option<Model> {
        let mut after = model.clone();
        let (id, new) = match *self {
            Change::Insert(id, n) => (id, (!model.contains_key(&id)).then_some(n)?),
            Change::Upsert(id, n) => (id, n),
            Change::Add(id, n) => (id, model.get(&id)?.0 + n),
            Change::Swap(id, from, to) => (id, (model.get(&id)?.0 == from).then_some(to)?),
            Change::Delete(id) => {
                after.remove(&id)?;
                return Some(after);
            }
        };
        let version = model.get(&id).map_or(1, |(_, version)| version + 1);
        after.insert(id, (new, version));
        Some(after)
    }

    fn add_to<'a>(&self, batch: Batch<'a>) -> Batch<'a> {
        let fields = |n: i64| [("n", n.into())];
        match *self {
            Change::Insert(id, n) => batch.insert_with_id("a", i64::from(id), fields(n)),
            Change::Upsert(id, n) => batch.upsert("a", i64::from(id), fields(n)),
            Change::Add(id, n) => batch.update("a", i64::from(id), Update::new().add("n", n)),
            Change::Swap(id, from, to) => {
                let update = Update::new().set("n", to);
                batch
                    .update_if("a", i64::from(id), &Expected::field("n", from), update)
                    .unwrap()
            }
            Change::Delete(id) => batch.delete("a", i64::from(id)),
        }
    }

    fn call(&self, transaction: &mut velocitydb::Transaction) -> Result<(), Error> {
        let fields = |n: i64| [("n", n.into())];
        let done = match *self {
            Change::Insert(id, n) => transaction.insert_with_id("a", i64::from(id), fields(n)),
            Change::Upsert(id, n) => transaction.upsert("a", i64::from(id), fields(n)),
            Change::Add(id, n) => transaction.update("a", i64::from(id), Update::new().add("n", n)),
            Change::Swap(id, from, to) => {
                let update = Update::new().set("n", to);
                transaction.update_if("a", i64::from(id), &Expected::field("n", from), update)
            }
            Change::Delete(id) => transaction.delete("a", i64::from(id)),
        };
        done.map(|_| ())
    }
}

struct World {
    disk: SimDisk,
    db: Option<Database>,
    model: Model,
}

fn definition() -> Definition {
    let n = Field::new("n", FieldType::Int).required().unique();
    Definition::new("a").schema(Schema::new(Openness::Strict, vec![n]).unwrap())
}

impl World {
    fn db(&self) -> &Database {
        self.db.as_ref().expect("it is opened again at once")
    }

    fn atomic(&mut self, changes: &[Change]) {
        let after = changes
            .iter()
            .try_fold(self.model.clone(), |model, one| one.on(&model));
        let after = after.filter(unique);
        let batch = changes
            .iter()
            .fold(Batch::atomic(), |batch, one| one.add_to(batch));
        let answer = self.db().batch(batch);
        assert_eq!(answer.is_ok(), after.is_some(), "{answer:?}");
        self.model = after.unwrap_or(std::mem::take(&mut self.model));
    }

    fn each(&mut self, changes: &[Change]) {
        let batch = changes
            .iter()
            .fold(Batch::each(), |batch, one| one.add_to(batch));
        let answers = self.db().batch(batch).unwrap().value;
        for (one, answer) in changes.iter().zip(answers) {
            let after = one.on(&self.model).filter(unique);
            assert_eq!(answer.is_ok(), after.is_some(), "{one:?}: {answer:?}");
            self.model = after.unwrap_or(std::mem::take(&mut self.model));
        }
    }

    /// Refused changes are left out; a document's version counts once for each transaction.
    fn transaction(&mut self, changes: &[Change]) {
        let mut transaction = self.db().begin(Isolation::Serializable);
        let mut after = self.model.clone();
        for one in changes {
            let expected = one.on(&after);
            assert_eq!(
                one.call(&mut transaction).is_ok(),
                expected.is_some(),
                "{one:?}"
            );
            after = expected.unwrap_or(after);
            for id in 0..6 {
                let seen = transaction.get("a", i64::from(id)).unwrap();
                assert_eq!(
                    seen.map(|seen| number(&seen, "n")),
                    after.get(&id).map(|(n, _)| *n)
                );
            }
        }
        let versions: Vec<_> = (0..6)
            .map(|id| {
                transaction
                    .get("a", id)
                    .unwrap()
                    .map(|seen| seen.meta().version)
            })
            .collect();
        let committed = transaction.commit();
        assert_eq!(committed.is_ok(), unique(&after), "{committed:?}");
        if committed.is_ok() {
            let collection = self.db().collection("a").unwrap();
            for (id, version) in versions.into_iter().enumerate() {
                let found = collection
                    .get(id as i64)
                    .unwrap()
                    .map(|found| found.meta().version);
                assert_eq!(found, version, "what the transaction said of {id}");
                if let (Some(model), Some(version)) = (after.get_mut(&(id as u8)), version) {
                    model.1 = version;
                }
            }
            self.model = after;
        }
    }

    fn reopen(&mut self, crash: bool) {
        let digest = self.db().digest();
        if crash {
            self.disk = self.disk.crash(CrashMode::Process);
            self.db = None;
        } else {
            self.db().close().unwrap();
            self.db = None;
        }
        self.db = Some(on(&self.disk));
        assert_eq!(self.db().digest(), digest);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::One(change) => self.atomic(std::slice::from_ref(change)),
            Step::Each(changes) => self.each(changes),
            Step::Atomic(changes) => self.atomic(changes),
            Step::Transaction(changes) => self.transaction(changes),
            Step::Truncate => {
                self.db().collection("a").unwrap().truncate().unwrap();
                self.model.clear();
            }
            Step::Recreate => {
                self.db().drop_collection("a").unwrap();
                self.db().create_collection(definition()).unwrap();
                self.model.clear();
            }
            Step::Checkpoint => drop(self.db().checkpoint().unwrap()),
            Step::Tend => tidy(self.db()),
            Step::Crash => self.reopen(true),
            Step::Close => self.reopen(false),
        }
    }

    fn check(&self) {
        let collection = self.db().collection("a").unwrap();
        let mut found = Model::new();
        collection
            .view()
            .unwrap()
            .scan(|one| {
                let id = one.id().to_value().as_int().unwrap() as u8;
                found
                    .insert(id, (number(one, "n"), one.meta().version))
                    .is_none()
            })
            .unwrap();
        assert_eq!(found, self.model);
        assert_eq!(collection.count().unwrap(), self.model.len() as u64);
        for id in 0..6 {
            let one = collection.get(i64::from(id)).unwrap();
            assert_eq!(
                one.map(|one| number(&one, "n")),
                self.model.get(&id).map(|(n, _)| *n)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..40), seed: u64) {
        let disk = SimDisk::new(seed);
        let db = on(&disk);
        db.create_collection(definition()).unwrap();
        let mut world = World { disk, db: Some(db), model: Model::new() };
        for step in &steps {
            world.step(step);
            world.check();
        }
    }
}
