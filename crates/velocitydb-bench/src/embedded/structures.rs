//! The comparison behind the store's own structures: what else could hold a million documents
//! and let readers and one writer work at once. Printed without a bar.

use std::hint::black_box;
use std::sync::Arc;

use super::{Options, in_memory};
use crate::BenchError;
use crate::data::Data;
use crate::measure::{Better, Row, Spread, short, timed};

/// Gets and inserts of one structure, in nanoseconds.
struct Cost {
    name: &'static str,
    insert_ns: f64,
    get_ns: f64,
}

fn cost(
    name: &'static str,
    data: &Data,
    mut insert: impl FnMut([u8; 16], &[u8]),
    get: impl Fn(&[u8; 16]) -> bool,
) -> Cost {
    let insert_rate = timed(data.ids.len(), || {
        for (at, id) in data.ids.iter().enumerate() {
            insert(*id.as_bytes(), data.document(at).as_bytes());
        }
    });
    let get_rate = timed(data.ids.len(), || {
        let mut found = 0;
        for at in 0..data.ids.len() {
            // A stride that visits every id once, in an order that no structure likes.
            let id = data.ids[at.wrapping_mul(7_919) % data.ids.len()];
            found += usize::from(get(id.as_bytes()));
        }
        black_box(found);
    });
    Cost {
        name,
        insert_ns: 1e9 / insert_rate,
        get_ns: 1e9 / get_rate,
    }
}

/// One row for each structure.
pub(super) fn structures(_options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let mut costs = Vec::new();
    {
        let keys = data.keys();
        let (_db, collection) = in_memory()?;
        let insert_rate = timed(keys.len(), || {
            for (at, key) in keys.iter().enumerate() {
                collection
                    .insert_with_id(key, data.document(at).clone())
                    .expect("a new id");
            }
        });
        let get_rate = timed(keys.len(), || {
            let mut found = 0;
            for at in 0..keys.len() {
                let key = &keys[at.wrapping_mul(7_919) % keys.len()];
                found += usize::from(collection.get_by_key(key).is_ok_and(|got| got.is_some()));
            }
            black_box(found);
        });
        let name = "VelocityDB, whole calls";
        costs.push(Cost {
            name,
            insert_ns: 1e9 / insert_rate,
            get_ns: 1e9 / get_rate,
        });
    }
    {
        let map = papaya::HashMap::<[u8; 16], Arc<[u8]>>::new();
        let insert = |id, bytes: &[u8]| {
            map.pin().insert(id, Arc::from(bytes));
        };
        let get = |id: &[u8; 16]| map.pin().get(id).map(Arc::clone).is_some();
        costs.push(cost("papaya::HashMap", data, insert, get));
    }
    {
        let map = std::cell::RefCell::new(imbl::HashMap::<[u8; 16], Arc<[u8]>>::new());
        let insert = |id, bytes: &[u8]| {
            map.borrow_mut().insert(id, Arc::from(bytes));
        };
        let get = |id: &[u8; 16]| map.borrow().get(id).map(Arc::clone).is_some();
        costs.push(cost("imbl::HashMap (persistent)", data, insert, get));
    }
    {
        let map = std::cell::RefCell::new(std::collections::BTreeMap::<[u8; 16], Arc<[u8]>>::new());
        let insert = |id, bytes: &[u8]| {
            map.borrow_mut().insert(id, Arc::from(bytes));
        };
        let get = |id: &[u8; 16]| map.borrow().get(id).map(Arc::clone).is_some();
        costs.push(cost("BTreeMap (no readers beside)", data, insert, get));
    }
    {
        let map = std::cell::RefCell::new(super::Map::new());
        let insert = |id, bytes: &[u8]| {
            map.borrow_mut().insert(id, Arc::from(bytes));
        };
        let get = |id: &[u8; 16]| map.borrow().get(id).map(Arc::clone).is_some();
        costs.push(cost(
            "hashbrown::HashMap (no readers beside)",
            data,
            insert,
            get,
        ));
    }
    let rows = costs.into_iter().map(|cost| Row {
        what: format!("structure: {}", cost.name),
        figure: Spread {
            min: cost.get_ns,
            median: cost.get_ns,
            max: cost.get_ns,
        },
        unit: "ns a get",
        bar: f64::INFINITY,
        aim: f64::INFINITY,
        better: Better::Lower,
        detail: format!("{} ns an insert", short(cost.insert_ns)),
    });
    Ok(rows.collect())
}
