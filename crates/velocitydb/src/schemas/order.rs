//! The order in which the steps of a plan can be made.
//!
//! What is referred to comes before what newly refers to it, and what refers no longer before what
//! it referred to: a collection must be there to be referred to, cannot expire while it is, and
//! cannot be dropped before. Steps that wait for each other are taken apart: references that go
//! are dropped by a step of their own, which can always be made, and those that come are added at
//! the end. Tests: tests/it/schemas.rs.

use std::collections::{BTreeMap, BTreeSet};

use velocitydb_engine::catalog::{Alteration, Definition};

use super::plan::{PlanStep, changes};

/// The steps in an order in which each can be made; `now` is what there is.
pub(super) fn in_order(
    steps: Vec<PlanStep>,
    mut now: BTreeMap<String, Definition>,
) -> Vec<PlanStep> {
    let (mut ordered, mut late) = (Vec::with_capacity(steps.len()), Vec::new());
    let with_references = |step: PlanStep| (References::of(&step, &now), step);
    let mut left: Vec<_> = steps.into_iter().map(with_references).collect();
    while !left.is_empty() {
        let next = match first_free(&left) {
            Some(next) => left.remove(next).1,
            None => match take_apart(&mut left, &mut late, &now) {
                Some(next) => next,
                None => continue,
            },
        };
        match next.definition() {
            Some(definition) => now.insert(definition.name.clone(), definition.clone()),
            None => now.remove(next.collection()),
        };
        ordered.push(next);
    }
    let whole = |whole: Definition| altered(&now[&whole.name], whole);
    ordered.extend(late.into_iter().map(whole));
    ordered
}

/// The first step that comes after none of the others that are left.
fn first_free(left: &[(References, PlanStep)]) -> Option<usize> {
    let names: BTreeSet<&str> = left.iter().map(|(_, step)| step.collection()).collect();
    let held: BTreeSet<&str> = left
        .iter()
        .flat_map(|(to, _)| &to.gone)
        .map(String::as_str)
        .collect();
    left.iter().position(|(to, step)| {
        let mut newly = to.newly.iter();
        !newly.any(|to| names.contains(to.as_str())) && !held.contains(step.collection())
    })
}

/// Takes one of the steps that wait for each other apart; the answer is its part that can be made
/// at once, if there is one.
fn take_apart(
    left: &mut Vec<(References, PlanStep)>,
    late: &mut Vec<Definition>,
    now: &BTreeMap<String, Definition>,
) -> Option<PlanStep> {
    let changes_some = left.iter().position(|(to, _)| !to.is_empty());
    let at = changes_some.unwrap_or(0);
    let (References { gone, newly }, mut step) = left.remove(at);
    if !gone.is_empty() {
        let present = &now[step.collection()];
        let plain = without_references_to(present, &gone);
        let first = altered(present, plain.clone());
        let mut same = false;
        if let PlanStep::Alter {
            alteration,
            changes: left,
            ..
        } = &mut step
        {
            *left = changes(&plain, alteration);
            same = left.is_empty();
        }
        if !same {
            let gone = BTreeSet::new();
            left.insert(at, (References { gone, newly }, step));
        }
        return Some(first);
    }
    let Some(whole) = step.definition().filter(|_| !newly.is_empty()).cloned() else {
        return Some(step);
    };
    let plain = without_references_to(&whole, &newly);
    late.push(whole);
    match &mut step {
        PlanStep::Create(definition) => **definition = plain,
        PlanStep::Alter {
            alteration,
            changes: left,
            ..
        } => {
            alteration.definition = plain;
            *left = changes(&now[&alteration.definition.name], alteration);
            if left.is_empty() {
                return None;
            }
        }
        PlanStep::Drop(_) => {}
    }
    left.insert(at, (References::default(), step));
    None
}

fn altered(present: &Definition, definition: Definition) -> PlanStep {
    let alteration = Alteration::to(definition);
    PlanStep::Alter {
        changes: changes(present, &alteration),
        alteration: Box::new(alteration),
        adopted: false,
    }
}

fn without_references_to(definition: &Definition, these: &BTreeSet<String>) -> Definition {
    let mut plain = definition.clone();
    plain.schema = plain.schema.without_references_to(|to| these.contains(to));
    plain
}

/// To which other collections the collection of a step refers before it or after it alone.
#[derive(Default)]
struct References {
    gone: BTreeSet<String>,
    newly: BTreeSet<String>,
}

impl References {
    fn of(step: &PlanStep, now: &BTreeMap<String, Definition>) -> References {
        let others = |definition: Option<&Definition>| {
            let fields = definition.into_iter().flat_map(|one| one.schema.fields());
            let references = fields.filter_map(|field| field.references.as_ref());
            let names = references.map(|to| to.collection.clone());
            let others = names.filter(|name| name != step.collection());
            others.collect::<BTreeSet<_>>()
        };
        let before = others(now.get(step.collection()));
        let after = others(step.definition());
        References {
            gone: &before - &after,
            newly: &after - &before,
        }
    }

    fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.newly.is_empty()
    }
}
