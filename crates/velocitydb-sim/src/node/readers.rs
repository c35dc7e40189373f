//! Compares what readers see with the oracle.

use std::collections::BTreeMap;

use velocitydb::{Database, Error, View};

use super::{Held, Node};
use crate::ask;
use crate::model::{Model, ModelCollection};

impl Node {
    /// What readers must see.
    pub(super) fn visible(&self) -> &Model {
        let database = self
            .database
            .as_ref()
            .expect("an open database has readers");
        let visible = database.stats().visible_index;
        if visible == self.model.index {
            return &self.model;
        }
        assert!(self.broken, "all that was answered is visible");
        &self
            .moments
            .get(&visible)
            .expect("every index has its moment")
            .model
    }

    /// Compares everything that readers see with the oracle.
    pub fn check(&self) {
        if let Some(database) = &self.database {
            // Volatile data of a moment that is not the newest was not kept.
            compare(database, self.visible(), !self.broken);
        }
    }

    pub(super) fn release(&mut self, at: usize) {
        let Held {
            view,
            model,
            given_up,
            ..
        } = self.held.swap_remove(at);
        self.note(format!("release {} {given_up}", view.index()));
        self.counts.snapshots += 1;
        for (name, expected) in &model.collections {
            let collection = view.collection(name).expect("it was there");
            if given_up {
                let error = collection
                    .scan(|_| true)
                    .expect_err("it is past its deadline");
                assert!(matches!(error, Error::SnapshotTooOld { .. }), "{error}");
            } else {
                compare_view(&view, name, expected);
            }
        }
    }
}

/// Compares all that readers see with the oracle.
pub(super) fn compare(database: &Database, model: &Model, volatile_too: bool) {
    let view = database.snapshot();
    assert_eq!(view.index(), model.index);
    let names: Vec<_> = database
        .collections()
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(names, model.collections.keys().cloned().collect::<Vec<_>>());
    let compared = model
        .collections
        .iter()
        .filter(|(_, one)| volatile_too || !one.volatile);
    for (name, expected) in compared {
        compare_view(&view, name, expected);
        let collection = database.collection(name).expect("it was listed");
        for (id, document) in &expected.documents {
            let found = collection.get_by_key(id).expect("reads are served");
            let found = found.as_ref().map(ask::document);
            assert_eq!(found.as_ref(), Some(&**document), "{id} of {name}");
        }
    }
}

/// Compares one collection of a snapshot with the oracle.
fn compare_view(view: &View, name: &str, expected: &ModelCollection) {
    let collection = view.collection(name).expect("the oracle has it");
    let mut found = BTreeMap::new();
    let scanned = collection.scan(|document| {
        let twice = found.insert(document.id(), ask::document(document));
        assert!(
            twice.is_none(),
            "{} of {name} is scanned twice",
            document.id()
        );
        true
    });
    scanned.expect("the snapshot is not past its deadline");
    let index = view.index();
    let same = found.len() == expected.documents.len()
        && found
            .iter()
            .zip(&expected.documents)
            .all(|(a, b)| a.0 == b.0 && *a.1 == **b.1);
    assert!(
        same,
        "{name} at {index}: {found:?}\nexpected {:?}",
        expected.documents
    );
    let count = collection
        .count()
        .expect("the snapshot is not past its deadline");
    assert_eq!(
        count,
        expected.documents.len() as u64,
        "the count of {name} at {index}"
    );
}
