//! Documents and ids for benchmarks: made from a seed, with nothing that the product knows of.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb::{Fields, Key, Uuid, Value};
use velocitydb_types::FieldsBuilder;

/// Ids of 16 bytes and documents of about 150 (120 to 180) bytes of encoded fields.
pub struct Data {
    /// Ids, in a random order.
    pub ids: Vec<Uuid>,
    /// Encoded fields. Fewer than ids: they are used again.
    pub documents: Vec<Fields>,
}

/// The field that readers look at.
pub const FIELD: &str = "state";

impl Data {
    /// `count` ids and their documents.
    pub fn new(count: usize, seed: u64) -> Data {
        let mut random = StdRng::seed_from_u64(seed);
        let ids = (0..count)
            .map(|_| Uuid::from_u128(random.random()))
            .collect();
        let documents = (0..count.min(65_536))
            .map(|_| document(&mut random))
            .collect();
        Data { ids, documents }
    }

    /// The document that belongs to the id at `at`.
    pub fn document(&self, at: usize) -> &Fields {
        &self.documents[at % self.documents.len()]
    }

    /// Bytes of all fields together.
    pub fn field_bytes(&self) -> usize {
        (0..self.ids.len())
            .map(|at| self.document(at).as_bytes().len())
            .sum()
    }

    /// The ids as the database's keys.
    pub fn keys(&self) -> Vec<Key> {
        self.ids
            .iter()
            .map(|id| Key::from_value(&Value::Uuid(*id)).expect("a UUID is an id"))
            .collect()
    }
}

fn document(random: &mut StdRng) -> Fields {
    let text = |random: &mut StdRng, length: usize| -> String {
        (0..length)
            .map(|_| char::from(random.random_range(b'a'..=b'z')))
            .collect()
    };
    let note_bytes = random.random_range(29..=88);
    let (name, note) = (text(random, 16), text(random, note_bytes));
    let mut fields = FieldsBuilder::new();
    let mut push = |name: &str, value: Value| {
        fields.push_value(name, &value).expect("a short field");
    };
    push("amount", Value::Float(random.random()));
    push("colony", Value::String("benchmark".into()));
    push("name", Value::String(name));
    push("note", Value::String(note));
    push(
        "priority",
        Value::Int(random.random_range(0..1_000_000_000)),
    );
    push(FIELD, Value::Int(random.random_range(0..5)));
    fields.finish().expect("a short document")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_size_that_the_bars_name() {
        let data = Data::new(2_000, 1);
        let mean = data.field_bytes() as f64 / data.ids.len() as f64;
        assert!((148.0..152.0).contains(&mean), "{mean} bytes");
    }
}
