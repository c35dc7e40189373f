//! Blueprints: what there shall be, of what kind, and what became of it. Their content is JSON that
//! ColonyOS's reconcilers understand; what is looked for stands beside it.

use serde_json::{Map, Value as Json};
use velocitydb::query::{Direction, Filter, Find};
use velocitydb::{Timestamp, Update, Value};

use crate::error::Error;
use crate::records::{all_of, group};
use crate::row::{Record, Row, RowBuilder, json_of, json_text, key, record};
use crate::store::{Change, Hold};

/// What there shall be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Blueprint {
    /// As ColonyOS writes it: `blueprintid`, `kind`, `metadata` (`name`, `colonyname`, …), `spec`, `status`.
    pub json: Json,
}

/// What a kind of blueprint is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BlueprintDefinition {
    /// As ColonyOS writes it: `blueprintdefinitionid`, `kind`, `metadata`, `spec` (`group`, `version`,
    /// `names`, …).
    pub json: Json,
}

record! {
    /// A former version of a blueprint.
    BlueprintVersion in "blueprint_history" called "version of a blueprint" {
        /// Its id.
        id: String, "historyid", "id";
        /// The blueprint.
        blueprint_id: String, "blueprintid", "blueprint_id";
        /// Its kind.
        kind: String, "kind", "kind";
        /// Its colony.
        colony: String, "namespace", "namespace";
        /// Its name.
        name: String, "name", "name";
        /// Which version: later ones have a higher number.
        generation: i64, "generation", "generation";
        /// What it said: JSON.
        spec: String, "spec", "spec";
        /// What had become of it: JSON.
        status: String, "status", "status";
        /// When it was changed.
        #[serde(with = "crate::row::json::time")]
        time: Option<Timestamp>, "timestamp", "timestamp";
        /// Who changed it.
        changed_by: String, "changedby", "changed_by";
        /// How: `create`, `update`, `delete`.
        change: String, "changetype", "change_type";
    }
}

/// A text in JSON, at a place.
fn at<'j>(json: &'j Json, place: &str) -> &'j str {
    json.pointer(place)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

macro_rules! parts {
    ($name:ident: $($(#[$meta:meta])* $part:ident at $place:literal;)*) => {
        impl $name {
            $($(#[$meta])* pub fn $part(&self) -> &str {
                at(&self.json, $place)
            })*
        }
    };
}

parts! {
    Blueprint:
    /// Its id.
    id at "/blueprintid";
    /// Its kind.
    kind at "/kind";
    /// Its colony.
    colony at "/metadata/colonyname";
    /// Its name, which is unique in the colony.
    name at "/metadata/name";
    /// Where it is to be.
    location at "/metadata/locationname";
}

parts! {
    BlueprintDefinition:
    /// Its id.
    id at "/blueprintdefinitionid";
    /// The kind that it defines.
    kind at "/spec/names/kind";
    /// Its colony.
    colony at "/metadata/colonyname";
    /// Its name, which is unique in the colony.
    name at "/metadata/name";
    /// Its group.
    group at "/spec/group";
    /// Its version.
    version at "/spec/version";
}

impl Record for Blueprint {
    const COLLECTION: &'static str = "blueprints";
    const WHAT: &'static str = "blueprint";

    fn from_row(row: &Row) -> Result<Blueprint, Error> {
        let json = json_of(row, Blueprint::WHAT, "data")?;
        Ok(Blueprint { json })
    }

    fn to_row(&self) -> Result<RowBuilder, Error> {
        Ok(RowBuilder::new()
            .value("id", Value::from(self.id()))
            .value("colony_name", Value::from(self.colony()))
            .value("name", Value::from(self.name()))
            .value("kind", Value::from(self.kind()))
            .value("data", json_text(&self.json)?))
    }
}

impl Record for BlueprintDefinition {
    const COLLECTION: &'static str = "blueprintdefinitions";
    const WHAT: &'static str = "blueprint definition";

    fn from_row(row: &Row) -> Result<BlueprintDefinition, Error> {
        let json = json_of(row, BlueprintDefinition::WHAT, "data")?;
        Ok(BlueprintDefinition { json })
    }

    fn to_row(&self) -> Result<RowBuilder, Error> {
        Ok(RowBuilder::new()
            .value("id", Value::from(self.id()))
            .value("colony_name", Value::from(self.colony()))
            .value("name", Value::from(self.name()))
            .value("api_group", Value::from(self.group()))
            .value("version", Value::from(self.version()))
            .value("kind", Value::from(self.kind()))
            .value("data", json_text(&self.json)?))
    }
}

/// Which blueprints, or definitions of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Which<'w> {
    /// Those of a colony.
    pub colony: Option<&'w str>,
    /// Of this kind.
    pub kind: Option<&'w str>,
    /// At this place, whatever its case. Of definitions: of this group.
    pub place_or_group: Option<&'w str>,
}

impl Which<'_> {
    fn filter(&self) -> Filter {
        let colony = self.colony.map(|colony| Filter::eq("colony_name", colony));
        let kind = self.kind.map(|kind| Filter::eq("kind", kind));
        all_of(colony.into_iter().chain(kind))
    }
}

group! {
    /// Blueprints, their definitions and their history. From [`crate::Colonies::blueprints`].
    Blueprints
}

const BY_NAME: [(&str, Direction); 2] = [
    ("colony_name", Direction::Ascending),
    ("name", Direction::Ascending),
];

impl Blueprints<'_> {
    /// Adds a blueprint.
    ///
    /// # Errors
    /// [`Error::Exists`]: the colony has one of its name, or there is one of its id.
    pub fn add(&self, blueprint: &Blueprint) -> Result<(), Error> {
        self.of
            .insert::<Blueprint>(blueprint.name(), blueprint.to_fields()?)
    }

    /// The blueprint of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn get(&self, id: &str) -> Result<Option<Blueprint>, Error> {
        self.of.by_id(id)
    }

    /// The blueprint of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn by_name(&self, colony: &str, name: &str) -> Result<Option<Blueprint>, Error> {
        self.of.find_one(named(colony, name))
    }

    /// Blueprints, by colony and name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn find(&self, which: Which<'_>) -> Result<Vec<Blueprint>, Error> {
        let mut found: Vec<Blueprint> = self.of.find(&Find::new(which.filter()).sort(BY_NAME))?;
        if let Some(place) = which.place_or_group {
            let place = place.to_lowercase();
            found.retain(|blueprint| blueprint.location().to_lowercase() == place);
        }
        Ok(found)
    }

    /// How many blueprints there are, of a colony.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count(&self, colony: Option<&str>) -> Result<u64, Error> {
        let which = Which {
            colony,
            ..Which::default()
        };
        self.of.count::<Blueprint>(&which.filter())
    }

    /// Puts a blueprint in the place of the one of its id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exists`]: another has its name.
    pub fn update(&self, blueprint: &Blueprint) -> Result<(), Error> {
        let update = Update::new()
            .set("colony_name", blueprint.colony())
            .set("name", blueprint.name())
            .set("kind", blueprint.kind())
            .set("data", json_text(&blueprint.json)?);
        let changed = self.of.change::<Blueprint>(blueprint.id(), update);
        changed.map_err(|error| crate::records::taken::<Blueprint>(error, blueprint.name()))
    }

    /// Sets what has become of a blueprint, and nothing else of it, whoever changes it meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_status(&self, id: &str, status: &Map<String, Json>) -> Result<(), Error> {
        let (collection, at) = (&self.of.name(Blueprint::COLLECTION), key(id)?);
        self.of.store().transact(Hold::Changed, &mut |steps| {
            let row = steps.get(collection, &at)?;
            let row = row.ok_or_else(|| Error::not_found(Blueprint::WHAT, id))?;
            let mut blueprint = Blueprint::from_row(&row)?;
            if let Some(fields) = blueprint.json.as_object_mut() {
                fields.insert("status".to_owned(), Json::Object(status.clone()));
            }
            steps.change(Change::Update {
                collection,
                id: at.clone(),
                update: Update::new().set("data", json_text(&blueprint.json)?),
            })
        })
    }

    /// Removes the blueprint of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        self.of.remove_one::<Blueprint>(&Filter::eq("id", id), id)
    }

    /// Removes the blueprint of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_by_name(&self, colony: &str, name: &str) -> Result<(), Error> {
        self.of.remove_one::<Blueprint>(&named(colony, name), name)
    }

    /// Removes those of a colony; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_all(&self, colony: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<Blueprint>(&Filter::eq("colony_name", colony))
    }

    /// Adds a definition.
    ///
    /// # Errors
    /// [`Error::Exists`]: the colony has one of its name, or there is one of its id.
    pub fn define(&self, definition: &BlueprintDefinition) -> Result<(), Error> {
        let fields = definition.to_fields()?;
        self.of
            .insert::<BlueprintDefinition>(definition.name(), fields)
    }

    /// The definition of this id.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn definition(&self, id: &str) -> Result<Option<BlueprintDefinition>, Error> {
        self.of.by_id(id)
    }

    /// The definition of this name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn definition_by_name(
        &self,
        colony: &str,
        name: &str,
    ) -> Result<Option<BlueprintDefinition>, Error> {
        self.of.find_one(named(colony, name))
    }

    /// Definitions, by colony and name.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn definitions(&self, which: Which<'_>) -> Result<Vec<BlueprintDefinition>, Error> {
        let group = which
            .place_or_group
            .map(|group| Filter::eq("api_group", group));
        let filter = all_of([which.filter()].into_iter().chain(group));
        self.of.find(&Find::new(filter).sort(BY_NAME))
    }

    /// How many definitions there are.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn count_definitions(&self) -> Result<u64, Error> {
        self.of.count::<BlueprintDefinition>(&Filter::All)
    }

    /// Puts a definition in the place of the one of its id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exists`]: another has its name.
    pub fn redefine(&self, definition: &BlueprintDefinition) -> Result<(), Error> {
        let update = Update::new()
            .set("name", definition.name())
            .set("api_group", definition.group())
            .set("version", definition.version())
            .set("kind", definition.kind())
            .set("data", json_text(&definition.json)?);
        let changed = self
            .of
            .change::<BlueprintDefinition>(definition.id(), update);
        let taken = crate::records::taken::<BlueprintDefinition>;
        changed.map_err(|error| taken(error, definition.name()))
    }

    /// Removes the definition of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_definition(&self, id: &str) -> Result<(), Error> {
        self.of
            .remove_one::<BlueprintDefinition>(&Filter::eq("id", id), id)
    }

    /// Removes the definition of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_definition_by_name(&self, colony: &str, name: &str) -> Result<(), Error> {
        self.of
            .remove_one::<BlueprintDefinition>(&named(colony, name), name)
    }

    /// Keeps a version of a blueprint.
    ///
    /// # Errors
    /// [`Error::Exists`]: there is one of its id.
    pub fn add_version(&self, version: &BlueprintVersion) -> Result<(), Error> {
        self.of
            .insert::<BlueprintVersion>(&version.id, version.to_fields()?)
    }

    /// The versions of a blueprint, the newest first, at most so many.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn history(&self, id: &str, most: usize) -> Result<Vec<BlueprintVersion>, Error> {
        let newest = [("timestamp", Direction::Descending)];
        let find = Find::new(Filter::eq("blueprint_id", id)).sort(newest);
        self.of.find(&find.limit(most))
    }

    /// The newest version of a blueprint that has this generation.
    ///
    /// # Errors
    /// The database cannot answer.
    pub fn version(&self, id: &str, generation: i64) -> Result<Option<BlueprintVersion>, Error> {
        let newest = [("timestamp", Direction::Descending)];
        let filter = all_of([
            Filter::eq("blueprint_id", id),
            Filter::eq("generation", generation),
        ]);
        Ok(self
            .of
            .find(&Find::new(filter).sort(newest).limit(1))?
            .pop())
    }

    /// Removes the versions of a blueprint; how many.
    ///
    /// # Errors
    /// The database cannot write.
    pub fn remove_history(&self, id: &str) -> Result<u64, Error> {
        self.of
            .remove_where::<BlueprintVersion>(&Filter::eq("blueprint_id", id))
    }
}

fn named(colony: &str, name: &str) -> Filter {
    all_of([Filter::eq("colony_name", colony), Filter::eq("name", name)])
}
