//! What differs between a schema and the database, and the steps from the one to the other.
//!
//! Collections are made first, then altered, then dropped, as far as references between them allow:
//! `order`. Each step holds on its own, and a plan that is made again after some of
//! them has the others left. Tests: tests/it/schemas.rs.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use velocitydb_engine::Error;
use velocitydb_engine::catalog::{Alteration, Definition, check_name};
use velocitydb_types::{DOCUMENT_BYTES_MAX, Field, Schema};

use super::order::in_order;
use super::{CollectionSchema, DatabaseSchema, LoadSchemaError, LoadedSchema};
use crate::database::Database;
use crate::options::Call;

/// What loading a schema does, in this order.
#[derive(Debug, Clone)]
pub struct SchemaPlan {
    schema: DatabaseSchema,
    former: Option<LoadedSchema>,
    /// The steps; empty when only the version is to be written down, or nothing is.
    pub steps: Vec<PlanStep>,
    /// Collections that no schema made, and that are as this one has them.
    pub adopted: Vec<String>,
}

/// One step: one entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanStep {
    /// Makes a collection.
    Create(Box<Definition>),
    /// Gives a collection another definition.
    Alter {
        /// The alteration.
        alteration: Box<Alteration>,
        /// What differs, in words.
        changes: Vec<String>,
        /// Whether no schema made the collection.
        adopted: bool,
    },
    /// Drops a collection with its documents.
    Drop(String),
}

impl fmt::Display for PlanStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanStep::Create(definition) => write!(f, "create {}", definition.name),
            PlanStep::Alter {
                alteration,
                changes,
                adopted,
            } => {
                let adopted = if *adopted {
                    ", which no schema made"
                } else {
                    ""
                };
                let name = &alteration.definition.name;
                write!(f, "alter {name}{adopted}: {}", changes.join(", "))
            }
            PlanStep::Drop(name) => write!(f, "drop {name} with its documents"),
        }
    }
}

impl fmt::Display for SchemaPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}

/// A plan as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownPlan {
    /// The schema's name.
    pub name: String,
    /// The version that is loaded; when it is that of the schema, there is nothing to do.
    pub from: Option<u64>,
    /// The version of the schema.
    pub to: u64,
    /// See [`SchemaPlan::adopted`].
    pub adopted: Vec<String>,
    /// The steps in words.
    pub steps: Vec<String>,
}

impl fmt::Display for ShownPlan {
    /// A line for each step, and one before them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownPlan { name, to, .. } = self;
        match self.from {
            None => write!(f, "schema {name}: version {to}, the first")?,
            Some(from) if from == *to => {
                write!(f, "schema {name}: version {to} is loaded, nothing to do")?;
            }
            Some(from) => write!(f, "schema {name}: version {from} to {to}")?,
        }
        for name in &self.adopted {
            write!(f, "\n  adopt {name}, which no schema made, as it is")?;
        }
        for step in &self.steps {
            write!(f, "\n  {step}")?;
        }
        Ok(())
    }
}

/// The most bytes of a schema as JSON: with its name, version and time it is a document.
const CONTENT_BYTES_MAX: usize = DOCUMENT_BYTES_MAX - (64 << 10);

fn invalid<T>(what: String) -> Result<T, LoadSchemaError> {
    Err(LoadSchemaError::Invalid(what))
}

impl SchemaPlan {
    pub(super) fn new(
        db: &Database,
        schema: DatabaseSchema,
    ) -> Result<SchemaPlan, LoadSchemaError> {
        let DatabaseSchema { name, version, .. } = &schema;
        if let Err(error) = check_name("schema", name) {
            return invalid(error.to_string());
        }
        if *version == 0 {
            return invalid(format!("schema {name}: the version is 0; the first is 1"));
        }
        if i64::try_from(*version).is_err() {
            return invalid(format!("schema {name}: the version {version} is too large"));
        }
        // It is written down last: what could not be is refused before anything is done.
        let bytes = schema.content().len();
        if bytes > CONTENT_BYTES_MAX {
            return invalid(format!(
                "schema {name}: it takes {bytes} bytes as JSON; at most {CONTENT_BYTES_MAX} are \
                 allowed"
            ));
        }
        let former = db.schema(name)?;
        if let Some(former) = &former {
            let loaded = former.schema.version;
            if *version < loaded {
                return Err(LoadSchemaError::Version(format!(
                    "schema {name}: version {loaded} is loaded, which is newer than {version}"
                )));
            }
            if *version == loaded && former.schema != schema {
                return Err(LoadSchemaError::Version(format!(
                    "schema {name}: version {version} is loaded with other content: give the \
                     changed one a version above {version}"
                )));
            }
        }
        let mut plan = SchemaPlan {
            schema,
            former,
            steps: Vec::new(),
            adopted: Vec::new(),
        };
        if plan.changes() {
            plan.find_steps(db)?;
        }
        Ok(plan)
    }

    /// As it is shown.
    pub fn shown(&self) -> ShownPlan {
        ShownPlan {
            name: self.schema.name.clone(),
            from: self.former.as_ref().map(|former| former.schema.version),
            to: self.schema.version,
            adopted: self.adopted.clone(),
            steps: self.steps.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether this version is not the one that is loaded.
    pub fn changes(&self) -> bool {
        let former = self.former.as_ref();
        former.is_none_or(|former| former.schema.version != self.schema.version)
    }

    /// Does it, and writes the version down when all is done. `before` is asked before each step
    /// and may end it there; it must not load a schema itself, for one is loaded at a time. Where
    /// the same was loaded meanwhile, nothing is left to do.
    ///
    /// # Errors
    /// The plan does not hold any more; or a step was refused, and what is done before it is said.
    pub fn run(
        &self,
        db: &Database,
        call: &Call,
        mut before: impl FnMut(Option<&PlanStep>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, LoadSchemaError> {
        let _one_at_a_time = db.0.loading.lock();
        let now = SchemaPlan::new(db, self.schema.clone())?;
        if !now.changes() {
            return Ok(ControlFlow::Continue(()));
        }
        if (&now.former, &now.steps) != (&self.former, &self.steps) {
            return Err(LoadSchemaError::Version(format!(
                "schema {}: the database has changed since this was planned; nothing was changed: \
                 load it again",
                self.schema.name
            )));
        }
        let mut done: Vec<String> = Vec::new();
        for step in &self.steps {
            if before(Some(step)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            step.run(db, call).map_err(|error| LoadSchemaError::Step {
                step: step.to_string(),
                error: Box::new(error),
                done: std::mem::take(&mut done),
            })?;
            done.push(step.to_string());
        }
        if before(None).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        db.record_schema(&self.schema, self.former.as_ref(), call)
            .map_err(|error| LoadSchemaError::Step {
                step: "write the version down".to_owned(),
                error: Box::new(error),
                done,
            })?;
        Ok(ControlFlow::Continue(()))
    }

    fn find_steps(&mut self, db: &Database) -> Result<(), LoadSchemaError> {
        let present: BTreeMap<String, Definition> = db
            .collections()
            .into_iter()
            .map(|definition| (definition.name.clone(), definition))
            .collect();
        let former = self
            .former
            .as_ref()
            .map(|former| &former.schema.collections);
        let held = |name: &str| former.is_some_and(|former| former.contains_key(name));
        let mut others = db.schemas()?;
        others.retain(|other| other.schema.name != self.schema.name);
        let (mut creates, mut alters, mut adopted) = (Vec::new(), Vec::new(), Vec::new());
        for (name, wanted) in &self.schema.collections {
            if self.schema.dropped.contains(name) {
                return invalid(format!(
                    "{name} is a collection of the schema and dropped: which?"
                ));
            }
            let mut others = others.iter().map(|other| &other.schema);
            if let Some(other) = others.find(|other| other.collections.contains_key(name)) {
                return invalid(format!(
                    "{name} is a collection of the schema {} already",
                    other.name
                ));
            }
            if let Err(error) = wanted.definition.check() {
                return invalid(format!("{name}: {error}"));
            }
            let Some(present) = present.get(name) else {
                creates.push(&wanted.definition);
                continue;
            };
            match alter(present, wanted, !held(name))? {
                Some(step) => alters.push(step),
                None if !held(name) => adopted.push(name.clone()),
                None => {}
            }
        }
        let mut drops = Vec::new();
        for name in former.into_iter().flat_map(BTreeMap::keys) {
            if self.schema.collections.contains_key(name) || !present.contains_key(name) {
                continue;
            }
            if !self.schema.dropped.contains(name) {
                return invalid(format!(
                    "{name} is no longer there: list it under `dropped`, and its documents go"
                ));
            }
            drops.extend(present.get(name));
        }
        let creates = creates.into_iter().cloned().map(Box::new);
        let creates = creates.map(PlanStep::Create);
        let drops = drops
            .into_iter()
            .map(|one| PlanStep::Drop(one.name.clone()));
        let steps = creates.chain(alters).chain(drops).collect();
        self.steps = in_order(steps, present);
        self.adopted = adopted;
        Ok(())
    }
}

impl PlanStep {
    pub(super) fn collection(&self) -> &str {
        match self {
            PlanStep::Create(definition) => &definition.name,
            PlanStep::Alter { alteration, .. } => &alteration.definition.name,
            PlanStep::Drop(name) => name,
        }
    }

    /// What the collection is afterwards; `None` when it is no more.
    pub(super) fn definition(&self) -> Option<&Definition> {
        match self {
            PlanStep::Create(definition) => Some(definition),
            PlanStep::Alter { alteration, .. } => Some(&alteration.definition),
            PlanStep::Drop(_) => None,
        }
    }

    fn run(&self, db: &Database, call: &Call) -> Result<(), Error> {
        match self {
            PlanStep::Create(definition) => {
                db.create_collection_with((**definition).clone(), call)?;
            }
            PlanStep::Alter { alteration, .. } => {
                let collection = db.collection(&alteration.definition.name)?;
                collection
                    .with(call.clone())
                    .alter((**alteration).clone())?;
            }
            PlanStep::Drop(name) => {
                db.drop_collection_with(name, call)?;
            }
        }
        Ok(())
    }
}

/// The step that brings a collection to what a schema wants; `None` when it is so already.
fn alter(
    present: &Definition,
    wanted: &CollectionSchema,
    adopted: bool,
) -> Result<Option<PlanStep>, LoadSchemaError> {
    let (name, new) = (&present.name, &wanted.definition);
    let stays = [
        ("kind", present.kind == new.kind),
        ("persistence", present.persistence == new.persistence),
        ("primary key", present.primary_key == new.primary_key),
    ];
    if let Some((what, _)) = stays.iter().find(|(_, same)| !same) {
        return invalid(format!(
            "{name}: the {what} of a collection cannot be altered"
        ));
    }
    let mut alteration = Alteration::to(new.clone());
    for (from, to) in &wanted.renamed {
        let declared = |schema: &Schema, name: &str| schema.field(name).is_some();
        if !declared(&new.schema, to) {
            return invalid(format!("{name}: renamed: the schema has no field {to:?}"));
        }
        match (
            declared(&present.schema, from),
            declared(&present.schema, to),
        ) {
            (true, false) => _ = alteration.rename.insert(from.clone(), to.clone()),
            (false, true) => {} // done before
            (true, true) => {
                return invalid(format!(
                    "{name}: renamed: {from:?} cannot become {to:?}: both are there"
                ));
            }
            (false, false) => {
                return invalid(format!(
                    "{name}: renamed: there is neither a field {from:?} nor {to:?}"
                ));
            }
        }
    }
    for field in &wanted.dropped {
        if new.schema.field(field).is_some() {
            return invalid(format!("{name}: dropped: the schema declares {field:?}"));
        }
    }
    for field in present.schema.fields() {
        let gone = new.schema.field(&field.name).is_none();
        if !gone || alteration.rename.contains_key(&field.name) {
            continue;
        }
        if !wanted.dropped.contains(&field.name) {
            return invalid(format!(
                "{name}: the field {:?} is no longer there: list it under `dropped`, and its \
                 values go, or under `renamed`",
                field.name
            ));
        }
        alteration.drop.push(field.name.clone());
    }
    let changes = changes(present, &alteration);
    Ok((!changes.is_empty()).then(|| PlanStep::Alter {
        alteration: Box::new(alteration),
        changes,
        adopted,
    }))
}

/// What an alteration changes, in words. The order of fields is of no account.
pub(super) fn changes(present: &Definition, alteration: &Alteration) -> Vec<String> {
    let new = &alteration.definition;
    let mut changes = Vec::new();
    for (from, to) in &alteration.rename {
        changes.push(format!("rename {from} to {to}"));
    }
    for field in new.schema.fields() {
        let mut from = alteration.rename.iter();
        let from = from.find(|(_, to)| **to == field.name);
        let from = from.map_or(&field.name, |(from, _)| from);
        match present.schema.field(from) {
            None => changes.push(format!("add field {} ({})", field.name, field.kind)),
            Some(before) => changes.extend(field_changes(before, field)),
        }
    }
    changes.extend(
        alteration
            .drop
            .iter()
            .map(|name| format!("drop field {name}")),
    );
    let check = |check: &velocitydb_types::Check| check.name().to_owned();
    changes.extend(parts(
        "check",
        present.schema.checks(),
        new.schema.checks(),
        check,
    ));
    let index = |index: &velocitydb_engine::catalog::IndexDefinition| index.name.clone();
    changes.extend(parts("index", &present.indexes, &new.indexes, index));
    if present.schema.openness() != new.schema.openness() {
        let openness = format!("{:?}", new.schema.openness()).to_lowercase();
        changes.push(format!("make the schema {openness}"));
    }
    if present.ttl != new.ttl {
        changes.push("change the time to live".to_owned());
    }
    if present.comment != new.comment {
        changes.push("change the comment".to_owned());
    }
    changes
}

fn field_changes(before: &Field, after: &Field) -> Vec<String> {
    let name = &after.name;
    let mut changes = Vec::new();
    if before.kind != after.kind {
        changes.push(format!(
            "retype {name} from {} to {}",
            before.kind, after.kind
        ));
    }
    match (before.required, after.required) {
        (false, true) => changes.push(format!("require {name}")),
        (true, false) => changes.push(format!("no longer require {name}")),
        _ => {}
    }
    match (before.unique, after.unique) {
        (false, true) => changes.push(format!("make {name} unique")),
        (true, false) => changes.push(format!("let {name} repeat")),
        _ => {}
    }
    for (what, same) in [
        ("SQL type", before.sql == after.sql),
        ("default", before.default == after.default),
        ("constraints", before.constraints == after.constraints),
        ("reference", before.references == after.references),
        ("comment", before.comment == after.comment),
    ] {
        if !same {
            changes.push(format!("change the {what} of {name}"));
        }
    }
    changes
}

fn parts<T: PartialEq>(
    what: &str,
    before: &[T],
    after: &[T],
    name: impl Fn(&T) -> String,
) -> Vec<String> {
    let find = |all: &'_ [T], wanted: &str| all.iter().position(|one| name(one) == wanted);
    let mut changes = Vec::new();
    for part in after {
        let name = name(part);
        match find(before, &name) {
            None => changes.push(format!("add {what} {name}")),
            Some(at) if before[at] != *part => changes.push(format!("change {what} {name}")),
            Some(_) => {}
        }
    }
    let gone = before.iter().map(&name);
    let gone = gone.filter(|name| find(after, name).is_none());
    changes.extend(gone.map(|name| format!("drop {what} {name}")));
    changes
}
