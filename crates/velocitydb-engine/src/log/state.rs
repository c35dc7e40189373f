//! What the records of the log say, taken together.
//!
//! The open log keeps one [`State`] as it appends; recovery builds the same one from the files
//! by the same methods, so that both follow one set of rules.
//!
//! Invariants: entries are contiguous; `next`, when known, is the only index that may follow.

/// The logical content of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The oldest entry, when there is one.
    pub(super) first: Option<u64>,
    /// The newest entry and its term.
    pub(super) last: Option<(u64, u64)>,
    /// The newest index (and its term) of which the log says that it may be gone.
    pub(super) purged: Option<(u64, u64)>,
    pub(super) committed: Option<(u64, u64)>,
    pub(super) vote: Option<Vec<u8>>,
    /// The index of the next entry; `None` while the log has never had one.
    pub(super) next: Option<u64>,
    /// Term of the entry before `next`.
    base_term: u64,
}

impl State {
    /// Whether entry `index` may come next.
    pub(super) fn accepts(&self, index: u64) -> bool {
        self.next.is_none_or(|next| next == index)
    }

    /// The index to name when something is wrong at the end.
    pub(super) fn expected(&self) -> u64 {
        self.next.unwrap_or(0)
    }

    /// For the header of a segment that begins here: its first index and the term before it.
    pub(super) fn base(&self) -> (u64, u64) {
        (self.next.unwrap_or(0), self.base_term)
    }

    pub(super) fn append(&mut self, index: u64, term: u64) {
        debug_assert!(self.accepts(index), "entries are contiguous");
        self.last = Some((index, term));
        self.first = self.first.or(Some(index));
        self.next = index.checked_add(1);
        self.base_term = term;
    }

    /// Goes on at `first_index` (0: anywhere), voiding what stood there and after it.
    pub(super) fn restart_at(&mut self, first_index: u64, base_term: u64) {
        let keeps = self.first.is_some_and(|first| first < first_index);
        self.last = keeps.then(|| (first_index - 1, base_term));
        self.first = self.first.filter(|_| keeps);
        self.next = (first_index > 0).then_some(first_index);
        self.base_term = base_term;
    }

    /// Drops the entries up to `index`.
    pub(super) fn purge(&mut self, index: u64, term: u64) {
        self.purged = self.purged.max(Some((index, term)));
        match self.last {
            Some((last, _)) if last > index => {
                self.first = self.first.map(|first| first.max(index + 1));
            }
            _ => (self.first, self.last) = (None, None),
        }
    }
}
