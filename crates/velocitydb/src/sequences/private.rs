//! Sequences of a transaction that is open: those that it has made give their numbers from memory alone,
//! and are written down and known to others when it is committed.

use std::sync::Arc;

use velocitydb_engine::Made;
use velocitydb_engine::transaction::Savepoint;

use super::{BLOCK_MIN, Sequence, SequenceDefinition, SequencePosition, State};
use crate::database::Inner;

/// What a transaction has made of sequences, oldest first.
#[derive(Default)]
pub(crate) struct OwnSequences(Vec<Own>);

struct Own {
    name: String,
    /// `None`: it is dropped.
    sequence: Option<Arc<Sequence>>,
    /// What one that others use is then.
    described: Option<SequenceDefinition>,
    /// Where the transaction was before; `None`: it does not go back there any more.
    since: Option<Savepoint>,
}

impl OwnSequences {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn note(
        &mut self,
        name: String,
        sequence: Option<Arc<Sequence>>,
        described: Option<SequenceDefinition>,
        since: Savepoint,
    ) {
        self.0.push(Own {
            name,
            sequence,
            described,
            since: Some(since),
        });
    }

    fn last(&self, name: &str) -> Option<&Own> {
        self.0.iter().rev().find(|own| own.name == name)
    }

    /// What it has made of the sequence of this name, if anything.
    pub(crate) fn find(&self, name: &str) -> Option<Option<&Arc<Sequence>>> {
        self.last(name).map(|own| own.sequence.as_ref())
    }

    /// What one that others use is for it, if that is something else.
    pub(crate) fn described(&self, name: &str) -> Option<SequenceDefinition> {
        self.last(name)?.described.clone()
    }

    /// The newest of each name.
    fn newest(&self) -> impl Iterator<Item = &Own> {
        let all = self.0.iter().enumerate();
        all.filter_map(|(at, own)| {
            let mut later = self.0[at + 1..].iter();
            (!later.any(|later| later.name == own.name)).then_some(own)
        })
    }

    pub(crate) fn all(&self) -> Vec<(String, Option<Arc<Sequence>>)> {
        let all = self.newest();
        all.map(|own| (own.name.clone(), own.sequence.clone()))
            .collect()
    }

    /// The sequences of the database as they are for the transaction, by name.
    pub(crate) fn over(&self, all: &mut Vec<SequenceDefinition>) {
        for own in self.newest() {
            all.retain(|one| one.name != own.name);
            let definition = || own.sequence.as_ref().map(|one| one.definition());
            all.extend(own.described.clone().or_else(definition));
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Those that it has made.
    pub(crate) fn made(&self) -> Vec<Arc<Sequence>> {
        let made = self.newest().filter_map(|own| own.sequence.clone());
        made.filter(|one| one.is_private()).collect()
    }

    pub(crate) fn forget_savepoints(&mut self) {
        self.0.iter_mut().for_each(|own| own.since = None);
    }

    pub(crate) fn roll_back_to(&mut self, savepoint: Savepoint) {
        self.0
            .retain(|own| own.since.is_none_or(|since| since < savepoint));
    }

    /// Makes the commit; then all know them. Nobody finds the documents before that.
    pub(crate) fn commit(self, inner: &Arc<Inner>, commit: impl FnOnce() -> Made) -> Made {
        let mut by_name = inner.namespace.sequences.by_name.write();
        // Who gives numbers of one meanwhile would write to a document of its former name.
        let present: Vec<_> = self.newest().collect();
        let present = present.into_iter().filter_map(|own| {
            let one = own.sequence.as_ref()?;
            Some((own, one, one.state.lock()))
        });
        let present: Vec<_> = present.collect();
        let made = commit();
        if made.outcome.is_err() {
            return made;
        }
        for own in self.newest() {
            let former = by_name.remove(&own.name);
            let goes_on = |former: &Arc<Sequence>| {
                let mut present = present.iter();
                present.any(|(_, one, _)| Arc::ptr_eq(one, former))
            };
            if let Some(former) = former.filter(|former| !goes_on(former)) {
                former.state.lock().dropped = true;
            }
        }
        for (own, one, mut state) in present {
            state.private = false;
            if let Some(described) = &own.described {
                state.definition = described.clone();
            }
            by_name.insert(own.name.clone(), Arc::clone(one));
        }
        made
    }
}

impl Sequence {
    /// One that only its transaction knows.
    pub(crate) fn private(
        inner: &Arc<Inner>,
        definition: SequenceDefinition,
        position: SequencePosition,
    ) -> Arc<Sequence> {
        let sequence = Sequence::new(inner, definition, position);
        sequence.state.lock().private = true;
        sequence
    }

    /// The same with another definition.
    pub(crate) fn private_as(
        inner: &Arc<Inner>,
        definition: SequenceDefinition,
        position: SequencePosition,
        former: &Sequence,
    ) -> Arc<Sequence> {
        Arc::new(Sequence {
            store: Arc::downgrade(&inner.store),
            database: inner.namespace.id,
            number: former.number,
            state: parking_lot::Mutex::new(State {
                definition,
                position,
                ahead: 0,
                block: BLOCK_MIN,
                dropped: false,
                private: true,
            }),
        })
    }

    /// Whether only a transaction knows it.
    pub(crate) fn is_private(&self) -> bool {
        self.state.lock().private
    }
}
