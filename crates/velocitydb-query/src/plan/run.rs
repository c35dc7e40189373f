//! Reaching documents the way a plan says.

use std::collections::HashSet;
use std::sync::Arc;

use velocitydb_engine::catalog::Collection;
use velocitydb_engine::snapshot::Snapshot;
use velocitydb_engine::store::Order;
use velocitydb_engine::{Document, Error};

use super::{Access, Meter, Plan};
use crate::error::QueryError;
use crate::find::Find;
use crate::limits::Allowance;
use crate::memory::QueryMemory;

impl Find {
    /// Hands the documents of the answer to `emit`, in order, until that answers `false`. `reach`
    /// gives those that the plan reaches, as [`Plan::visit`] does. What is kept to be sorted is taken
    /// from `memory`.
    ///
    /// # Errors
    /// As [`Find::run`]; and when that memory is not enough.
    pub fn answer<E: From<QueryError>>(
        &self,
        plan: &Plan,
        meter: &mut Meter,
        memory: Option<&Arc<QueryMemory>>,
        reach: impl FnOnce(&mut dyn FnMut(&Document) -> bool) -> Result<(), E>,
        emit: impl FnMut(&Document) -> bool,
    ) -> Result<(), E> {
        let since = meter.timed.then(std::time::Instant::now);
        let allowed = Allowance {
            limits: self.limits,
            memory,
        };
        self.stream(plan.arrival(), meter, allowed, reach, emit)?;
        meter.total_ns += since.map_or(0, |since| since.elapsed().as_nanos() as u64);
        Ok(())
    }
}

impl Plan {
    /// Calls `visit` with each document that the plan reaches, once, until it answers `false`. Where
    /// there may be much to look at between two documents, `goes_on` is asked, and ends it too.
    pub fn visit(
        &self,
        snapshot: &Snapshot,
        collection: &Collection,
        #[cfg_attr(not(feature = "full-text"), allow(unused_variables))]
        goes_on: &mut dyn FnMut() -> bool,
        visit: &mut dyn FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let mut going = true;
        match &self.access {
            Access::Scan if self.oldest_first && !collection.in_order() => {
                let mut all = Vec::new();
                snapshot.scan(collection, 0, |document| {
                    all.push(document.clone());
                    true
                })?;
                all.sort_by_key(|document| document.meta().created_at);
                all.iter()
                    .take_while(|document| visit(document))
                    .for_each(drop);
                Ok(())
            }
            Access::Scan => snapshot.scan(collection, 0, visit).map(|_| ()),
            #[cfg(feature = "full-text")]
            Access::Words { index, words } => {
                snapshot.visit_words(collection, index, words, goes_on, visit)
            }
            Access::Ids { ids } => {
                for id in ids {
                    if let Some(document) = snapshot.get(collection, id.as_bytes())?
                        && !visit(&document)
                    {
                        break;
                    }
                }
                Ok(())
            }
            Access::Lookup { index, keys } => {
                let mut once = Once::new(has_elements(index));
                for key in keys {
                    snapshot.visit_equal(collection, index, key, |document| {
                        going = !once.is_new(document) || visit(document);
                        going
                    })?;
                    if !going {
                        break;
                    }
                }
                Ok(())
            }
            Access::Ranges {
                index,
                ranges,
                order,
            } => {
                let mut once = Once::new(has_elements(index));
                let mut each = |range| {
                    snapshot.visit_range(collection, index, range, *order, |_, document| {
                        going = !once.is_new(document) || visit(document);
                        going
                    })?;
                    Ok::<_, Error>(going)
                };
                match order {
                    Order::Forward => {
                        for range in ranges {
                            if !each(range)? {
                                break;
                            }
                        }
                    }
                    Order::Backward => {
                        for range in ranges.iter().rev() {
                            if !each(range)? {
                                break;
                            }
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

fn has_elements(index: &velocitydb_engine::store::FieldIndex) -> bool {
    index.definition().fields.iter().any(|field| field.elements)
}

/// Documents given before, where an index may have a document several times.
struct Once(Option<HashSet<Box<[u8]>>>);

impl Once {
    fn new(needed: bool) -> Once {
        Once(needed.then(HashSet::new))
    }

    fn is_new(&mut self, document: &Document) -> bool {
        match &mut self.0 {
            None => true,
            Some(seen) => seen.insert(document.key_bytes().into()),
        }
    }
}
