//! Memory: what the allocator has given out, minus the encoded fields, for each document.

use velocitydb::Key;

use super::{Options, in_memory};
use crate::BenchError;
use crate::data::Data;
use crate::measure::{Better, Row, Spread, short};

/// Bytes that the allocator has given out.
fn allocated() -> Result<usize, BenchError> {
    let unfit = |error: tikv_jemalloc_ctl::Error| {
        BenchError::Unfit(format!("the allocator gives no figures: {error}"))
    };
    tikv_jemalloc_ctl::epoch::advance().map_err(unfit)?;
    tikv_jemalloc_ctl::stats::allocated::read().map_err(unfit)
}

/// Mean of 1, 1.5 and 2 times the documents, so that no size of a table is a lucky one.
pub(super) fn memory(options: &Options, _: &Data) -> Result<Vec<Row>, BenchError> {
    let mut overheads = Vec::new();
    let mut detail = Vec::new();
    for factor in [1.0, 1.5, 2.0] {
        let count = (options.documents as f64 * factor) as usize;
        let larger = Data::new(count, 2);
        let field_bytes = larger.field_bytes();
        let before = allocated()?;
        if before == 0 {
            let what = "the allocator gives no figures: run it from the program `velocitydb`";
            return Err(BenchError::Unfit(what.into()));
        }
        let (db, collection) = in_memory()?;
        for (at, id) in larger.ids.iter().enumerate() {
            let key = Key::from_value(&(*id).into()).expect("a UUID is an id");
            collection.insert_with_id(key, larger.document(at).clone())?;
        }
        // What the epoch still holds back is not the documents'.
        for _ in 0..8 {
            db.tend()?;
        }
        let used = allocated()? - before;
        let accounted = db.stats().memory_used as usize;
        let each = |bytes: usize| (bytes as f64 - field_bytes as f64) / count as f64;
        overheads.push(each(used));
        detail.push(format!(
            "{} at {count} ({} accounted)",
            short(each(used)),
            short(each(accounted))
        ));
    }
    let mean = overheads.iter().sum::<f64>() / overheads.len() as f64;
    let spread = Spread::of(&overheads);
    Ok(vec![Row {
        what: "memory beyond the encoded fields, a document, mean of three sizes".into(),
        figure: Spread {
            median: mean,
            ..spread
        },
        unit: "bytes",
        bar: 100.0,
        aim: 64.0,
        better: Better::Lower,
        detail: detail.join(", "),
    }])
}
