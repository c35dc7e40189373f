//! Fixed lives of a small node, for tests that go through each of its file operations or bytes.

use velocitydb::{Durability, Isolation, Value};
use velocitydb_sim::Node;
use velocitydb_sim::operation::{
    Change, Condition, Form, Map, Operation, Patch, Request, Retry, Step, TransactionStep,
};

/// A document of about `bytes` bytes that cannot be compressed.
fn fields(n: i64, bytes: usize) -> Map {
    let mut random = velocitydb_sim::Random::new(n as u64);
    let letter = |bits: u64| char::from(b'!' + (bits % 90) as u8);
    let text: String = (0..bytes).map(|_| letter(random.bits())).collect();
    Map::from([
        ("n".to_owned(), Value::Int(n)),
        ("s".to_owned(), Value::String(text)),
    ])
}

fn request(steps: Vec<Step>, level: Durability) -> Operation {
    let form = if steps.len() == 1 {
        Form::Single
    } else {
        Form::Atomic
    };
    Operation::Write(Request {
        form,
        steps,
        retry: None,
        level: Some(level),
    })
}

fn step(id: &str, condition: Condition, change: Change) -> Step {
    Step {
        collection: "open".to_owned(),
        id: Some(id.to_owned()),
        condition,
        change,
    }
}

pub fn put(id: &str, n: i64, bytes: usize, level: Durability) -> Operation {
    request(
        vec![step(id, Condition::Any, Change::Put(fields(n, bytes)))],
        level,
    )
}

pub fn add(id: &str, level: Durability) -> Operation {
    let patch = Change::Patch(vec![Patch::Add("n".to_owned(), 1)]);
    request(vec![step(id, Condition::Present, patch)], level)
}

pub fn delete(id: &str, level: Durability) -> Operation {
    request(vec![step(id, Condition::Present, Change::Delete)], level)
}

pub fn batch(ids: &[&str], n: i64, level: Durability) -> Operation {
    let each = ids
        .iter()
        .map(|id| step(id, Condition::Any, Change::Put(fields(n, 20))));
    request(each.collect(), level)
}

pub fn create(name: &str) -> Operation {
    Operation::Create(name.to_owned(), None)
}

fn transaction(id: &str, n: i64, level: Durability) -> Operation {
    let read = TransactionStep::Get {
        collection: "open".to_owned(),
        id: "a".to_owned(),
    };
    let write = |id: &str| step(id, Condition::Any, Change::Put(fields(n, 30)));
    Operation::Transact {
        isolation: Isolation::Serializable,
        steps: vec![
            read,
            TransactionStep::Write(write(id)),
            TransactionStep::Write(write("t")),
        ],
        meanwhile: Vec::new(),
        retry: Some(Retry {
            key: format!("key of {id}"),
            kept_micros: 60_000_000,
        }),
        level: Some(level),
    }
}

/// Before the first restart: every level, segments that roll over, a checkpoint, a truncation.
pub fn first_life() -> Vec<Operation> {
    use Durability::{Full, Memory, None, Os};
    let index = Operation::CreateIndex {
        collection: "strict".to_owned(),
        index: "by_n".to_owned(),
        field: "n".to_owned(),
        level: Some(Full),
    };
    vec![
        create("open"),
        create("strict"),
        put("a", 1, 200, Full),
        put("b", 2, 400, None),
        put("c", 3, 300, Os),
        batch(&["a", "d", "e"], 4, Memory),
        index,
        put("b", 5, 900, Full),
        Operation::Checkpoint,
        transaction("f", 6, Full),
        Operation::Tend,
        put("c", 7, 700, Memory),
        delete("d", Os),
        Operation::Truncate("strict".to_owned(), Some(Os)),
        put("g", 8, 800, None),
        add("a", Full),
        // Lost, unless something writes it to the log.
        put("l", 13, 100, Memory),
    ]
}

/// After it: more of the same, a second and a third checkpoint, so that the log is purged.
pub fn second_life() -> Vec<Operation> {
    use Durability::{Full, Memory, None, Os};
    vec![
        add("a", None),
        put("h", 9, 900, Os),
        Operation::Checkpoint,
        put("i", 10, 700, Memory),
        Operation::Sync,
        create("other"),
        delete("b", Full),
        Operation::Checkpoint,
        Operation::Drop("other".to_owned()),
        put("j", 11, 600, Os),
        add("j", Full),
        put("k", 12, 100, None),
    ]
}

/// Runs operations that must all succeed.
pub fn run(node: &mut Node, operations: &[Operation]) {
    for operation in operations {
        node.perform(operation).expect("no fault is planned");
        node.check();
    }
}

/// Two small lives in tiny segments. They leave two checkpoints of four, a log from the older
/// one on, and a segment in a file that was used before.
pub fn tiny_lives() -> [Vec<Operation>; 2] {
    use Durability::{Full, Os};
    let index = Operation::CreateIndex {
        collection: "open".to_owned(),
        index: "by_n".to_owned(),
        field: "n".to_owned(),
        level: Some(Full),
    };
    let first = vec![
        create("open"),
        put("a", 1, 300, Full),
        index,
        put("b", 2, 300, Os),
        put("c", 3, 300, Full),
        Operation::Checkpoint,
        put("a", 4, 300, Full),
        put("b", 5, 300, Full),
        Operation::Checkpoint,
        delete("b", Full),
        put("c", 6, 300, Full),
        add("a", Full),
        Operation::Checkpoint,
    ];
    let second = vec![
        put("a", 20, 300, Full),
        put("d", 7, 300, Os),
        Operation::Checkpoint,
        put("c", 8, 400, Full),
        put("d", 9, 400, Full),
        put("e", 10, 400, Os),
        put("f", 11, 500, Full),
        put("e", 12, 500, Full),
        put("f", 13, 500, Full),
        add("a", Full),
        delete("c", Full),
    ];
    [first, second]
}
