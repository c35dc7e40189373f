//! Random operations: what simulated clients and operators of a node do.
//!
//! Few collections, few ids and small numbers, so that operations meet: conditions hold about as
//! often as not, unique values collide, transactions conflict, idempotency keys are used again.
//! Follows from the seed and the oracle's state alone.
//!
//! Tests: `tests/it`, by what the runs count.

use velocitydb::{Durability, Isolation, Value};

use crate::model::{Model, key};
use crate::operation::{
    Change, Condition, Form, Map, Operation, Patch, Request, Retry, Step, TransactionStep,
};
use crate::random::Random;

/// The names that collections have; see [`crate::model::definition`].
pub const COLLECTIONS: [&str; 4] = ["open", "strict", "other", "cache"];

/// Ids of documents.
const IDS: u64 = 12;
const SECOND: i64 = 1_000_000;

/// A source of operations.
#[derive(Debug)]
pub struct Workload {
    random: Random,
    /// The newest request with an idempotency key, to be made again.
    keyed: Option<Operation>,
    keys: u64,
}

impl Workload {
    /// The workload of a seed.
    pub fn new(seed: u64) -> Workload {
        Workload {
            random: Random::new(seed),
            keyed: None,
            keys: 0,
        }
    }

    /// The next operation, for a database that holds what `model` does.
    pub fn next(&mut self, model: &Model) -> Operation {
        match self.random.below(100) {
            0..46 => self.write(model),
            46..60 => self.transaction(model),
            60..66 => self.definition(),
            66..69 => Operation::Checkpoint,
            69..74 => Operation::Tend,
            74..76 => Operation::Sync,
            76..82 => Operation::Hold,
            82..88 => Operation::Release(self.random.below(3) as usize),
            88..93 => self.clock(),
            _ => self.keyed.clone().unwrap_or(Operation::Tend),
        }
    }

    fn clock(&mut self) -> Operation {
        Operation::Clock(match self.random.below(8) {
            0 => -3600 * SECOND,
            1 => 600 * SECOND,
            2 => -1,
            3 => 1,
            _ => self.random.below(20 * SECOND as u64) as i64,
        })
    }

    fn name(&mut self) -> String {
        let at = match self.random.below(20) {
            0..9 => 0,
            9..15 => 1,
            15..18 => 2,
            _ => 3,
        };
        COLLECTIONS[at].to_owned()
    }

    fn id(&mut self) -> String {
        format!("k{}", self.random.below(IDS))
    }

    fn level(&mut self) -> Option<Durability> {
        let all = Durability::ALL.len() as u64;
        let at = self.random.below(all + 1);
        Durability::ALL.get(at as usize).copied()
    }

    fn retry(&mut self) -> Option<Retry> {
        if !self.random.one_in(6) {
            return None;
        }
        // One key in four is old: it may be in use, expired or for something else.
        if self.keys == 0 || !self.random.one_in(4) {
            self.keys += 1;
        }
        let seconds = [0, 5, 60, 3600][self.random.below(4) as usize];
        let kept_micros = seconds * SECOND as u64;
        Some(Retry {
            key: format!("r{}", self.keys),
            kept_micros,
        })
    }

    /// A document: a counter, perhaps a value for a unique field, perhaps a text.
    fn fields(&mut self) -> Map {
        let mut fields = Map::new();
        fields.insert("n".to_owned(), Value::Int(self.random.below(4) as i64));
        if self.random.one_in(2) {
            fields.insert("u".to_owned(), Value::Int(self.random.below(24) as i64));
        }
        if self.random.one_in(2) {
            fields.insert("s".to_owned(), Value::String(self.text()));
        }
        fields
    }

    /// Short or long (once in a while longer than a log segment), repetitive or not.
    fn text(&mut self) -> String {
        let length = match self.random.below(24) {
            0 => 5000,
            1..5 => self.random.below(900),
            _ => self.random.below(40),
        };
        let fixed = self.random.one_in(2).then(|| self.random.bits());
        let letter = |bits: u64| char::from(b'a' + (bits % 26) as u8);
        (0..length)
            .map(|_| letter(fixed.unwrap_or_else(|| self.random.bits())))
            .collect()
    }

    fn patches(&mut self) -> Vec<Patch> {
        let patch = match self.random.below(8) {
            0..4 => Patch::Add("n".to_owned(), 1),
            4 => Patch::Set("u".to_owned(), Value::Int(self.random.below(24) as i64)),
            5 => Patch::Unset("u".to_owned()),
            6 => Patch::Set("s".to_owned(), Value::String(self.text())),
            // Refused where there is a text.
            _ => Patch::Add("s".to_owned(), 1),
        };
        let mut patches = vec![patch];
        if self.random.one_in(4) {
            patches.push(Patch::Set("n".to_owned(), Value::Int(0)));
        }
        patches
    }

    /// What a compare-and-swap expects: right more often than not.
    fn expectation(&mut self, model: &Model, collection: &str, id: &str) -> Condition {
        let found = model.collections.get(collection);
        let found = found.and_then(|found| found.documents.get(&key(id)));
        let wrong = u64::from(self.random.one_in(3));
        if self.random.one_in(2) {
            return Condition::Version(found.map_or(1, |found| found.version) + wrong);
        }
        let number = found
            .and_then(|found| found.fields.get("n")?.as_int())
            .unwrap_or(0);
        Condition::Field("n".to_owned(), Value::Int(number + wrong as i64))
    }

    /// One change. `form` says which calls there are: a batch swaps by field updates alone.
    fn step(&mut self, model: &Model, form: Form) -> Step {
        let (collection, mut id) = (self.name(), Some(self.id()));
        let swap = |workload: &mut Workload, id: &Option<String>| {
            workload.expectation(model, &collection, id.as_deref().unwrap_or_default())
        };
        let (condition, change) = match self.random.below(20) {
            0..4 => (Condition::Absent, Change::Put(self.fields())),
            4 => {
                id = None;
                (Condition::Absent, Change::Put(self.fields()))
            }
            5..9 => (Condition::Any, Change::Put(self.fields())),
            9 => (Condition::Present, Change::Put(self.fields())),
            10..13 => (Condition::Present, Change::Patch(self.patches())),
            13..16 => (Condition::Present, Change::Delete),
            16 if form == Form::Single => (swap(self, &id), Change::Delete),
            17 if form == Form::Single => (swap(self, &id), Change::Put(self.fields())),
            _ => (swap(self, &id), Change::Patch(self.patches())),
        };
        Step {
            collection,
            id,
            condition,
            change,
        }
    }

    fn write(&mut self, model: &Model) -> Operation {
        let form = match self.random.below(8) {
            0 => Form::Atomic,
            1 | 2 => Form::Each,
            _ => Form::Single,
        };
        let count = if form == Form::Single {
            1
        } else {
            1 + self.random.below(5)
        };
        let mut steps: Vec<_> = (0..count).map(|_| self.step(model, form)).collect();
        if form != Form::Single && !self.random.one_in(8) {
            // Else nearly every batch would mix logged and volatile data.
            let logged = |step: &Step| step.collection != "cache";
            steps.retain(logged);
        }
        let swaps =
            |step: &Step| matches!(step.condition, Condition::Version(_) | Condition::Field(..));
        // The answer to a repeated swap is the present document, not what the swap made.
        let retry = if form == Form::Single && steps.iter().any(swaps) {
            None
        } else {
            self.retry()
        };
        if steps.is_empty() {
            return Operation::Tend;
        }
        let request = Operation::Write(Request {
            form,
            steps,
            retry,
            level: self.level(),
        });
        self.remember(request)
    }

    fn remember(&mut self, operation: Operation) -> Operation {
        let keyed = match &operation {
            Operation::Write(request) => request.retry.is_some(),
            Operation::Transact { retry, .. } => retry.is_some(),
            _ => false,
        };
        if keyed {
            self.keyed = Some(operation.clone());
        }
        operation
    }

    fn transaction(&mut self, model: &Model) -> Operation {
        let isolation = match self.random.below(2) {
            0 => Isolation::Snapshot,
            _ => Isolation::Serializable,
        };
        let count = 1 + self.random.below(6);
        let steps = (0..count).map(|_| match self.random.below(12) {
            0..3 => TransactionStep::Get {
                collection: self.name(),
                id: self.id(),
            },
            3 => TransactionStep::Scan {
                collection: self.name(),
            },
            4 => TransactionStep::Savepoint,
            5 => TransactionStep::RollBack,
            _ => {
                let mut step = self.step(model, Form::Atomic);
                step.id.get_or_insert_with(|| "given".to_owned());
                if step.condition == Condition::Present && matches!(step.change, Change::Put(_)) {
                    step.condition = Condition::Any;
                }
                TransactionStep::Write(step)
            }
        });
        let steps = steps.collect();
        let mut meanwhile = Vec::new();
        while self.random.one_in(3) {
            let other = match self.random.below(8) {
                0 => self.definition(),
                1 => Operation::Tend,
                _ => self.write(model),
            };
            meanwhile.push(other);
        }
        let (retry, level) = (self.retry(), self.level());
        self.remember(Operation::Transact {
            isolation,
            steps,
            meanwhile,
            retry,
            level,
        })
    }

    fn definition(&mut self) -> Operation {
        let collection = self.name();
        let (field, level) = (["u", "n"][usize::from(self.random.one_in(4))], self.level());
        let index = format!("by_{field}{}", self.random.below(2));
        match self.random.below(10) {
            0..3 => Operation::Create(collection, level),
            3 => Operation::Drop(collection),
            4 | 5 => Operation::Truncate(collection, level),
            6..8 => Operation::CreateIndex {
                collection,
                index,
                field: field.to_owned(),
                level,
            },
            _ => Operation::DropIndex {
                collection,
                index,
                level,
            },
        }
    }
}
