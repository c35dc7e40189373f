//! What a question that is asked again and again remembers of its plan.
//!
//! Asking every index of a collection takes longer than many questions do. Where the entries of the
//! index that was chosen meet every condition that any other usable index could have met, it leaves the
//! fewest documents whatever the values are: then the others need not be asked each time. They are
//! after some uses, after a definition, and when the plan seems dearer than it was.

use std::sync::{Arc, Mutex, PoisonError};

use velocitydb_engine::catalog::{Collection, CollectionId};
use velocitydb_engine::store::FieldIndex;
use velocitydb_types::Path;

use super::{Helpful, Plan, bounds, candidate, choose};
use crate::error::QueryError;
use crate::find::Find;

/// So often a choice is used before the others are asked again.
const USES_MAX: u32 = 64;

/// A plan may be so much dearer than when it was chosen, as a factor and in nanoseconds: for other
/// values a scan may be better.
const DEARER: f64 = 2.0;
const DEARER_NS: f64 = 10_000.0;

/// See the module. Questions are equal whatever they remember.
#[derive(Debug, Clone, Default)]
pub struct Remembered(Arc<Mutex<Option<Choice>>>);

#[derive(Debug)]
struct Choice {
    collection: CollectionId,
    /// Its definition.
    defined_at: u64,
    index: String,
    cost: f64,
    uses: u32,
}

impl PartialEq for Remembered {
    fn eq(&self, _: &Remembered) -> bool {
        true
    }
}

impl Eq for Remembered {}

impl Remembered {
    /// As [`super::plan`].
    ///
    /// # Errors
    /// As [`super::plan`].
    pub fn plan(&self, collection: &Collection, find: &Find) -> Result<Plan, QueryError> {
        find.check()?;
        if let Some(plan) = self.again(collection, find) {
            return Ok(plan);
        }
        let (plan, helpful) = choose(collection, find)?;
        let index = plan.index().filter(|index| is_sole(index, &helpful));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = index.map(|index| Choice {
            collection: collection.id,
            defined_at: collection.defined_at,
            index: index.definition().name.clone(),
            cost: plan.cost,
            uses: 0,
        });
        Ok(plan)
    }

    /// The plan by the index that was chosen before, if that still holds.
    fn again(&self, collection: &Collection, find: &Find) -> Option<Plan> {
        let (index, cost) = {
            let mut choice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let choice = choice.as_mut()?;
            choice.uses += 1;
            let same =
                choice.collection == collection.id && choice.defined_at == collection.defined_at;
            if !same || choice.uses > USES_MAX || find.hint.is_some() {
                return None;
            }
            // By its name: it may have been made anew.
            (collection.index(&choice.index)?, choice.cost)
        };
        if !index.is_built() {
            return None;
        }
        let mut conjuncts = bounds::conjuncts(&find.filter);
        conjuncts.extend(bounds::conjuncts(&find.indexed));
        let candidate = candidate(collection, &index, find, &conjuncts)?;
        let left = candidate.rows;
        let plan = candidate.cost(find, left);
        (plan.cost <= cost * DEARER + DEARER_NS).then_some(plan)
    }
}

/// Whether the entries of an index that helps meet all conditions that those of the others meet.
fn is_sole(index: &FieldIndex, helpful: &Helpful) -> bool {
    let own = helpful
        .iter()
        .find(|(one, _)| one.definition().name == index.definition().name);
    own.is_some_and(|own| {
        let own: Vec<&Path> = met(own).collect();
        helpful.iter().flat_map(met).all(|path| own.contains(&path))
    })
}

/// The paths on which the entries of an index meet conditions.
fn met((index, bounded): &(Arc<FieldIndex>, usize)) -> impl Iterator<Item = &Path> {
    let definition = index.definition();
    let fields = definition.fields.iter().take(*bounded);
    let filter = definition.filter.iter().flat_map(|filter| filter.paths());
    fields.map(|field| &field.path).chain(filter)
}
