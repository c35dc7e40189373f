//! The documents nearest to a place: by a geo index, or by looking at all.
//!
//! With an index the neighbours along its curve come first: as many as are wanted, on each side.
//! The nearest of them bound the search: the circle of that radius has all that are nearer. Of the
//! other entries there, only those whose cell is near enough have their documents looked at. Tests: `places` in the embedded library's tests/it, against a plain sort.

use std::cell::Cell;
use std::sync::Arc;

use velocitydb_engine::catalog::{Collection, IndexKind};
use velocitydb_engine::snapshot::Snapshot;
use velocitydb_engine::store::{FieldIndex, KeyRange, Order};
use velocitydb_engine::{Document, Error};
use velocitydb_types::geo::{self, Circle, DISTANCE_MAX_M, GeoError, Nearest};
use velocitydb_types::{Path, Point, RawValue};

use crate::error::QueryError;
use crate::filter::Filter;
use crate::limits::{Allowance, Kept, Limits};
use crate::memory::QueryMemory;
use crate::plan::key_ranges;

/// How many parts of the index the circle is covered by.
const COVER_RANGES: usize = 4;

/// A question for the documents nearest to a place.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Near {
    /// Where the points are.
    pub path: Path,
    /// The place.
    pub place: Point,
    /// How many documents.
    pub count: usize,
    /// Not farther than this, in metres.
    pub distance_max_m: f64,
    /// Which documents.
    pub filter: Filter,
    /// How much may be kept.
    pub limits: Limits,
}

/// A document and its distance in metres; ordered by id, for those at one distance.
struct Candidate(Document);

impl Near {
    /// The documents nearest to a place.
    pub fn new(path: Path, place: Point, count: usize) -> Near {
        Near {
            path,
            place,
            count,
            distance_max_m: DISTANCE_MAX_M,
            filter: Filter::All,
            limits: Limits::default(),
        }
    }

    /// The same, not farther than this.
    pub fn within_m(self, distance_max_m: f64) -> Near {
        Near {
            distance_max_m,
            ..self
        }
    }

    /// The same, among documents that a filter lets through.
    pub fn filter(self, filter: Filter) -> Near {
        Near { filter, ..self }
    }

    /// The same, keeping no more than this.
    pub fn limits(self, limits: Limits) -> Near {
        Near { limits, ..self }
    }

    fn index(&self, collection: &Collection) -> Option<Arc<FieldIndex>> {
        let fits = |index: &Arc<FieldIndex>| {
            let definition = index.definition();
            definition.kind == IndexKind::Geo
                && definition.filter.is_none()
                && index.is_built()
                && definition.fields[0].path == self.path
        };
        collection.indexes().find(fits)
    }

    /// The documents, the nearest first, each with its distance in metres; equal ones by id. Of
    /// each document or entry that is looked at, `goes_on` is asked whether there shall be more; when it
    /// answers `false`, so that what was found is not the answer, its caller has to know.
    ///
    /// # Errors
    /// What [`Filter::check`] refuses; a distance below 0; more documents than [`Limits::rows_max`] or
    /// [`Limits::bytes_max`], or than `memory` has room for; the snapshot's.
    pub fn answer<E: From<QueryError> + From<Error>>(
        &self,
        snapshot: &Snapshot,
        collection: &Collection,
        memory: Option<&Arc<QueryMemory>>,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<(f64, Document)>, E> {
        self.filter.check()?;
        let area = |error: GeoError| QueryError::Area {
            class: error.class(),
            reason: error.to_string(),
        };
        if self.distance_max_m.is_nan() || self.distance_max_m < 0.0 {
            return Err(area(GeoError::Radius(self.distance_max_m)).into());
        }
        if self.count == 0 {
            return Ok(Vec::new());
        }
        let mut nearest = Found::new(self, memory);
        let Some(index) = &self.index(collection) else {
            snapshot.scan(collection, 0, |document| {
                goes_on() && nearest.offer(document).is_some()
            })?;
            return Ok(nearest.finish()?);
        };
        // What has been looked at along the curve: from one entry to another.
        let mut looked_at: [Option<Vec<u8>>; 2] = [None, None];
        let home = geo::cell(self.place).to_be_bytes().to_vec();
        let ways = [
            (Order::Backward, None, Some(home.clone())),
            (Order::Forward, Some(home), None),
        ];
        for ((order, from, to), end) in ways.into_iter().zip(&mut looked_at) {
            let (mut left, mut going) = (self.count, true);
            let from = from.unwrap_or_default();
            let range = KeyRange { from, to };
            snapshot.visit_range(collection, index, &range, order, |entry, document| {
                let counts = goes_on().then(|| nearest.offer(document)).flatten();
                going = counts.is_some();
                left -= usize::from(counts == Some(true));
                if left == 0 {
                    *end = Some(entry.to_vec());
                }
                going && left > 0
            })?;
            if !going {
                return Ok(nearest.finish()?);
            }
        }
        let [before, after] = looked_at;
        if before.is_none() && after.is_none() {
            // To both ends: that was all.
            return Ok(nearest.finish()?);
        }
        // A little more: what is rounded must not lose the last one.
        let circle = Circle::new(self.place, (nearest.bound_m() + 1.0).min(DISTANCE_MAX_M));
        let circle = circle.map_err(area)?;
        let is_new = |entry: &[u8]| {
            before.as_deref().is_some_and(|first| entry < first)
                || after.as_deref().is_some_and(|last| entry > last)
        };
        for range in key_ranges(&circle.bounding_box(), COVER_RANGES) {
            let (order, bound) = (Order::Forward, Cell::new(nearest.bound_m()));
            let may = Cell::new(true);
            let wanted = |entry: &[u8]| {
                may.set(may.get() && goes_on());
                let cell = entry
                    .first_chunk()
                    .map_or(0, |cell| u64::from_be_bytes(*cell));
                let near = || geo::distance_m(geo::point_of_cell(cell), self.place);
                // Of one document more, where it may not go on, so that it ends.
                !may.get() || is_new(entry) && near() <= bound.get() + 1.0
            };
            let mut going = true;
            snapshot.visit_wanted(collection, index, &range, order, wanted, |_, document| {
                going = may.get() && nearest.offer(document).is_some();
                bound.set(nearest.bound_m());
                going
            })?;
            if !going {
                break;
            }
        }
        Ok(nearest.finish()?)
    }
}

/// The nearest so far, on an account.
struct Found<'n> {
    near: &'n Near,
    nearest: Nearest<Candidate>,
    kept: Kept,
    outcome: Result<(), QueryError>,
}

impl<'n> Found<'n> {
    fn new(near: &'n Near, memory: Option<&Arc<QueryMemory>>) -> Found<'n> {
        let limits = near.limits;
        Found {
            near,
            nearest: Nearest::new(near.count),
            kept: Kept::new(Allowance { limits, memory }),
            outcome: Ok(()),
        }
    }

    /// What is farther is of no use.
    fn bound_m(&self) -> f64 {
        let radius = self.nearest.radius_m().unwrap_or(DISTANCE_MAX_M);
        radius.min(self.near.distance_max_m)
    }

    /// Offers a document; whether it counts. `None` once more are kept than may be.
    fn offer(&mut self, document: &Document) -> Option<bool> {
        let value = document.fields().get_path(&self.near.path);
        let Some(point) = value.and_then(RawValue::as_point) else {
            return Some(false);
        };
        let distance = geo::distance_m(point, self.near.place);
        if distance > self.near.distance_max_m || !self.near.filter.matches(document) {
            return Some(false);
        }
        let before = self.nearest.len();
        self.nearest.offer(distance, Candidate(document.clone()));
        if self.nearest.len() > before {
            self.outcome = self.kept.add(size_of::<(f64, Candidate)>());
        }
        self.outcome.is_ok().then_some(true)
    }

    fn finish(self) -> Result<Vec<(f64, Document)>, QueryError> {
        self.outcome?;
        let sorted = self.nearest.into_sorted().into_iter();
        Ok(sorted
            .map(|(distance, Candidate(document))| (distance, document))
            .collect())
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.key_bytes().cmp(other.0.key_bytes())
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}
