//! Everything that is no entry: vote, commit position, and cutting the log at either end.
//!
//! Each is a record in the one sequence, and a change of the [`State`](super::state::State) that
//! recovery repeats. A truncation and a reset begin a new segment, whose header voids what is
//! before it; so each takes effect in one step, the rename of that segment.
//!
//! Tests: with the log, `velocitydb-sim`, and openraft's suite in `velocitydb-log-suite`.

use super::Log;
use super::error::LogError;
use super::record::Record;
use super::segment::Segment;
use super::spares::Wanted;
use super::tail::{self, Link, Tail, VOTE_MAX};

impl Log {
    /// Saves a vote; durable on return. At most 1 KiB.
    ///
    /// # Errors
    /// As [`Log::reserve`] and [`Log::flush`].
    pub fn save_vote(&self, vote: &[u8]) -> Result<(), LogError> {
        if vote.len() > VOTE_MAX {
            let (bytes, max) = (vote.len() as u64, VOTE_MAX as u64);
            return Err(LogError::TooLarge { bytes, max });
        }
        let ticket = self.control(&Record::Vote(0..vote.len()), vote, |tail| {
            tail.state.vote = Some(vote.to_vec());
        })?;
        self.sync_until(ticket)
    }

    /// Notes the commit position; it goes to disk with the next flush.
    ///
    /// # Errors
    /// As [`Log::reserve`].
    pub fn save_committed(&self, index: u64, term: u64) -> Result<(), LogError> {
        self.control(&Record::Committed { index, term }, &[], |tail| {
            tail.state.committed = Some((index, term));
        })?;
        Ok(())
    }

    /// Voids every entry after `after` (`None`: every entry); durable on return. The next entry
    /// is `after + 1`. When nothing is after it, nothing happens. No one may append or flush
    /// meanwhile.
    ///
    /// # Errors
    /// [`LogError::Missing`] when `after` was purged before; as [`Log::reserve`] and
    /// [`Log::flush`].
    pub fn truncate_after(&self, after: Option<u64>) -> Result<(), LogError> {
        self.sync_all()?;
        let (next, purged) = {
            let tail = self.tail.lock();
            (tail.state.next, tail.state.purged)
        };
        let after = after.or(purged.map(|(index, _)| index));
        let first_index = after.map_or(0, |after| after.saturating_add(1));
        if next.is_none_or(|next| next <= first_index) {
            return Ok(());
        }
        let base_term = match (after, purged) {
            (None, _) => 0,
            (Some(after), Some((index, term))) if index == after => term,
            (Some(after), _) => {
                let entry = self.read(after..after + 1)?.next().transpose()?;
                entry.ok_or(LogError::Missing { index: after })?.term
            }
        };
        let ticket = self.roll_with(
            Link::Continues,
            |tail| tail.state.restart_at(first_index, base_term),
            &[Record::Truncate { after }],
        )?;
        self.sync_until(ticket)
    }

    /// Gives up the entries up to `upto`; durable on return. Whole segments are removed or
    /// reused. What lies before the log's first entry is gone already.
    ///
    /// # Errors
    /// [`LogError::Missing`] when `upto` is beyond the newest entry (see [`Log::reset_to`]); as
    /// [`Log::reserve`] and [`Log::flush`]; [`LogError::Io`] when a file cannot be removed (the
    /// purge stands, the file goes with a later one).
    pub fn purge(&self, upto: u64) -> Result<(), LogError> {
        self.check_open()?;
        let (first, purged) = {
            let state = &self.tail.lock().state;
            (state.first, state.purged)
        };
        if first.is_some_and(|first| first <= upto) {
            let entry = self.read(upto..upto + 1)?.next().transpose()?;
            let term = entry.ok_or(LogError::Missing { index: upto })?.term;
            self.purge_through(upto, term)
        } else if first.is_none() && purged.is_none_or(|(index, _)| index < upto) {
            Err(LogError::Missing { index: upto })
        } else {
            self.remove_purged(upto)
        }
    }

    /// As [`Log::purge`] for a caller that knows the term: also notes a position before the
    /// first entry, and goes beyond the newest one as [`Log::reset_to`] does.
    ///
    /// # Errors
    /// As [`Log::purge`], but never [`LogError::Missing`].
    pub fn purge_through(&self, index: u64, term: u64) -> Result<(), LogError> {
        let (last, purged) = {
            let state = &self.tail.lock().state;
            (state.last, state.purged)
        };
        if purged.is_none_or(|(purged, _)| purged < index) {
            if last.is_none_or(|(last, _)| last < index) {
                return self.reset_to(index, term);
            }
            let record = Record::Purge { index, term };
            let ticket = self.control(&record, &[], |tail| tail.state.purge(index, term))?;
            self.sync_until(ticket)?;
        }
        self.remove_purged(index)
    }

    /// Removes the oldest segments as long as they hold nothing after `upto`.
    fn remove_purged(&self, upto: u64) -> Result<(), LogError> {
        let unneeded = {
            let mut shared = self.shared.lock();
            let newest = shared.segments.len().saturating_sub(1);
            let old = |segment: &Segment| segment.entries.is_none_or(|(_, last)| last <= upto);
            let count = shared.segments[..newest]
                .iter()
                .take_while(|s| old(s))
                .count();
            let mut unneeded = std::mem::take(&mut shared.garbage);
            unneeded.extend(shared.segments.drain(..count));
            unneeded
        };
        self.dispose(unneeded)
    }

    /// Empties the log; it goes on with entry `index + 1`, as if `index` (of `term`) and all
    /// before it had been purged. For a node whose state comes from elsewhere. Durable on
    /// return. No one may append or flush meanwhile.
    ///
    /// # Errors
    /// As [`Log::reserve`] and [`Log::flush`]; [`LogError::Io`] as [`Log::purge`].
    pub fn reset_to(&self, index: u64, term: u64) -> Result<(), LogError> {
        assert!(
            index < u64::MAX - 1,
            "the last index is kept for one past the end"
        );
        let ticket = self.roll_with(
            Link::StartsAnew,
            |tail| {
                tail.state.restart_at(index + 1, term);
                tail.state.purge(index, term);
            },
            &[],
        )?;
        self.sync_until(ticket)?;
        let void = std::mem::take(&mut self.shared.lock().garbage);
        self.dispose(void)
    }

    /// Begins a new segment when the newest is not under the present key, so that it can be purged
    /// when nothing needs it any more. Durable on return.
    ///
    /// # Errors
    /// As [`Log::reserve`] and [`Log::flush`].
    pub fn begin_under_key(&self) -> Result<(), LogError> {
        let key = self.options.keys.current();
        let newest = {
            let shared = self.shared.lock();
            shared.segments.last().map(|newest| newest.header.key)
        };
        if newest.is_none_or(|newest| newest == key) {
            return Ok(());
        }
        let ticket = self.roll_with(Link::Continues, |_| (), &[])?;
        self.sync_until(ticket)
    }

    /// Appends a record that is no entry, then applies it; answers its ticket.
    fn control(
        &self,
        record: &Record,
        source: &[u8],
        apply: impl FnOnce(&mut Tail),
    ) -> Result<u64, LogError> {
        self.check_open()?;
        loop {
            let wanted = {
                let mut tail = self.tail.lock();
                if tail.control(record, source) {
                    apply(&mut tail);
                    self.publish(&tail);
                    return Ok(tail.ticket);
                }
                // Also a purge, which frees space: it may use what is left for a checkpoint.
                Wanted {
                    left: 0,
                    ..self.wanted(&tail, tail.reserved() + tail::CONTROL_MAX)
                }
            };
            self.bring_spare(wanted)?;
        }
    }

    /// Applies a change and begins a new segment with `records`; answers the ticket.
    pub(super) fn roll_with(
        &self,
        link: Link,
        apply: impl FnOnce(&mut Tail),
        records: &[Record],
    ) -> Result<u64, LogError> {
        self.check_open()?;
        loop {
            let wanted = {
                let mut tail = self.tail.lock();
                let bytes = tail.reserved() + tail::CONTROL_MAX;
                if tail.spare_fits(bytes) {
                    apply(&mut tail);
                    tail.roll(link);
                    for record in records {
                        assert!(tail.control(record, &[]), "the spare has room for it");
                    }
                    tail.ticket += 1;
                    self.publish(&tail);
                    return Ok(tail.ticket);
                }
                Wanted {
                    left: 0,
                    ..self.wanted(&tail, bytes)
                }
            };
            self.bring_spare(wanted)?;
        }
    }
}
