//! Attributes of processes.

use velocitydb::query::{Filter, Find};
use velocitydb::{Fields, Timestamp, Update};

use crate::attribute::Attribute;
use crate::error::Error;
use crate::ids::hash;
use crate::model::{AttributeKind, State};
use crate::process::Process;
use crate::records::{all_of, group, taken};
use crate::row::{Column as _, Record as _};
use crate::store::Change;

group! {
    /// The attributes. From [`crate::Colonies::attributes`].
    Attributes
}

impl Attribute {
    /// A note on a process.
    pub fn new(process: &Process, kind: AttributeKind, key: &str, value: &str) -> Attribute {
        Attribute {
            id: hash(&format!("{}{key}{}", process.id, kind.number())),
            process_id: process.id.clone(),
            colony: process.spec.conditions.colony.clone(),
            graph_id: process.graph_id.clone(),
            state: State::Waiting,
            kind,
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    /// Its row, added now.
    pub(crate) fn dated(&self, now: Timestamp) -> Result<Fields, Error> {
        self.to_row()?.put("added", &Some(now)).finish()
    }
}

impl Attributes<'_> {
    /// Adds attributes, all or none.
    ///
    /// # Errors
    /// [`Error::Exists`]: a process has one of a key and a kind already.
    pub fn add(&self, attributes: &[Attribute]) -> Result<(), Error> {
        let (now, collection) = (self.of.store().now(), &self.of.name(Attribute::COLLECTION));
        let insert = |attribute: &Attribute| {
            let fields = attribute.dated(now)?;
            Ok(Change::Insert { collection, fields })
        };
        let changes = attributes
            .iter()
            .map(insert)
            .collect::<Result<_, Error>>()?;
        let written = self.of.store().write(changes);
        let key = attributes.first().map_or("", |attribute| &attribute.key);
        written.map_err(|error| taken::<Attribute>(error, key))
    }

    /// The attribute of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, id: &str) -> Result<Option<Attribute>, Error> {
        self.of.by_id(id)
    }

    /// The attribute of a process that has this key and kind.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn of_key(
        &self,
        process_id: &str,
        key: &str,
        kind: AttributeKind,
    ) -> Result<Option<Attribute>, Error> {
        self.of.find_one(all_of([
            Filter::eq("target_id", process_id),
            Filter::eq("attribute_type", kind.write()),
            Filter::eq("key", key),
        ]))
    }

    /// Those of a process.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn of_process(&self, process_id: &str) -> Result<Vec<Attribute>, Error> {
        self.find(Of::Process(process_id, None))
    }

    /// The attributes of something.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn find(&self, of: Of<'_>) -> Result<Vec<Attribute>, Error> {
        self.of.find(&Find::new(of.filter()))
    }

    /// Gives the attribute of this id another value.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_value(&self, id: &str, value: &str) -> Result<(), Error> {
        self.of
            .change::<Attribute>(id, Update::new().set("value", value))
    }

    /// Removes the attribute of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        self.of
            .remove_one::<Attribute>(&Filter::eq("attribute_id", id), id)
    }

    /// Removes the attributes of something; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, of: Of<'_>) -> Result<u64, Error> {
        self.of.remove_where::<Attribute>(&of.filter())
    }
}

/// Of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of<'o> {
    /// Of everything.
    All,
    /// Of a process, of one kind.
    Process(&'o str, Option<AttributeKind>),
    /// Of the processes of a graph.
    Graph(&'o str),
    /// Of the processes of a colony, in a state.
    Colony(&'o str, Option<State>),
    /// Of those of them that are of no graph.
    ColonyAlone(&'o str, Option<State>),
    /// Of those of them that are of a graph.
    ColonyGraphs(&'o str, Option<State>),
}

impl Of<'_> {
    fn filter(self) -> Filter {
        let of_kind = |kind: AttributeKind| Filter::eq("attribute_type", kind.write());
        let colony = |colony: &str, state: Option<State>, more: Option<Filter>| {
            let state = state.map(|state| Filter::eq("state", state.write()));
            let colony = Filter::eq("target_colony_name", colony);
            all_of([colony].into_iter().chain(state).chain(more))
        };
        match self {
            Of::All => Filter::All,
            Of::Process(id, kind) => {
                let process = Filter::eq("target_id", id);
                all_of([process].into_iter().chain(kind.map(of_kind)))
            }
            Of::Graph(id) => Filter::eq("processgraph_id", id),
            Of::Colony(name, state) => colony(name, state, None),
            Of::ColonyAlone(name, state) => {
                colony(name, state, Some(Filter::eq("processgraph_id", "")))
            }
            Of::ColonyGraphs(name, state) => {
                colony(name, state, Some(Filter::gt("processgraph_id", "")))
            }
        }
    }
}
