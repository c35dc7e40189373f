//! The k nearest of the candidates offered. Tests: in `tests`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Keeps the k nearest candidates: those of the smallest distance, and of the same distance the
/// smallest `T`.
///
/// With an ordered index of [`cell`](super::cell)s a search has two steps, and is exact whatever
/// the density of points:
///
/// 1. Offer the neighbours of the centre's cell in the index, k (or a few more) before it and k
///    after it. Neighbours along the curve are mostly near, so [`Self::radius_m`] is now a bound
///    that the k nearest do not exceed, mostly twice what is needed.
/// 2. With a new `Nearest`, offer everything in the
///    [`cover`](super::cover) of the circle of that radius: the result.
///
/// If the radius is unknown after step 1, since fewer than k of the neighbours count (a filter
/// refuses the others), go on outwards in the index until it is known. When the index ends
/// at both ends first, everything has been offered and the result is there already.
#[derive(Debug, Clone)]
pub struct Nearest<T> {
    k: usize,
    /// The farthest first.
    heap: BinaryHeap<Candidate<T>>,
}

impl<T: Ord> Nearest<T> {
    /// Keeps the `k` nearest.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            heap: BinaryHeap::new(),
        }
    }

    /// Takes a candidate, or not, when k nearer ones are there. Each may be offered once.
    pub fn offer(&mut self, distance_m: f64, candidate: T) {
        let candidate = Candidate {
            distance_m,
            candidate,
        };
        if self.heap.len() < self.k {
            self.heap.push(candidate);
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && candidate < *farthest
        {
            *farthest = candidate;
        }
    }

    /// How many candidates are kept.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The distance of the k-th nearest: nothing farther is taken. Unknown until there are k.
    pub fn radius_m(&self) -> Option<f64> {
        let farthest = self.heap.peek().filter(|_| self.heap.len() == self.k);
        farthest.map(|candidate| candidate.distance_m)
    }

    /// The candidates kept with their distances, the nearest first.
    pub fn into_sorted(self) -> Vec<(f64, T)> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        sorted.map(|c| (c.distance_m, c.candidate)).collect()
    }
}

#[derive(Debug, Clone)]
struct Candidate<T> {
    distance_m: f64,
    candidate: T,
}

impl<T: Ord> Ord for Candidate<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance_m
            .total_cmp(&other.distance_m)
            .then_with(|| self.candidate.cmp(&other.candidate))
    }
}

impl<T: Ord> PartialOrd for Candidate<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Candidate<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Candidate<T> {}
