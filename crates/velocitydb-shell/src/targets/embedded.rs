//! A database that this process opens itself.
//!
//! Ids in text become keys as at all doors ([`id_of_text`]). Tests: tests/it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use velocitydb::query::{Filter, Find, Near, Pipeline, Projection, QueryError};
use velocitydb::types::JsonError;
use velocitydb::{
    AskedAlteration, Call, Collection, Database, DatabaseDefinition, Document, EncryptionKeys,
    Error, Expected, IdError, IndexDefinition, IndexStats, Input, Key, Options, PageRequest, Point,
    Refusal, Search, Swap, Update, Value, id_must_be, id_of_text, id_of_value, take_metadata,
};

use super::body::{Body, byte_at, without_place};
use super::{LIST_DOCUMENTS, Page, Target, TargetError, no_such_database};
use crate::session::Format;
use crate::statement::{Explain, Question, Ranked, Wanted, unquoted};
use crate::status::{CollectionStatus, Status};

/// An open database.
pub struct Embedded {
    database: Database,
    dir: Option<PathBuf>,
}

impl Embedded {
    /// Opens the database in a directory that no server uses.
    pub fn open(dir: &Path, keys: EncryptionKeys) -> Result<Embedded, Error> {
        Ok(Embedded {
            database: Database::open(Options::at(dir).encryption(keys))?,
            dir: Some(dir.to_owned()),
        })
    }

    /// An empty database in memory alone.
    pub fn in_memory() -> Result<Embedded, Error> {
        Ok(Embedded {
            database: Database::in_memory()?,
            dir: None,
        })
    }

    fn collection(&self, name: &str) -> Result<Collection, TargetError> {
        Ok(self.database.collection(name)?)
    }

    fn target(&self, name: &str, id: &str) -> Result<(Collection, Key), TargetError> {
        let collection = self.collection(name)?;
        let key = id_of_text(&collection.definition()?, id)?;
        Ok((collection, key))
    }

    fn document(&self, collection: &Collection, key: &Key) -> Result<Value, TargetError> {
        let found = collection.get_by_key(key)?;
        found
            .as_ref()
            .map(shown)
            .ok_or_else(|| not_found(collection.name(), key))
    }
}

fn described(collection: &Collection) -> Result<Value, TargetError> {
    let text = serde_json::to_string(&collection.describe()?);
    let value = text.ok().and_then(|text| Value::from_json(&text).ok());
    value.ok_or_else(|| TargetError::new("internal", "the definition cannot be shown as JSON"))
}

/// A document: its `_id`, if it has one, and its fields.
fn input(text: &str) -> Result<(Option<Value>, Input<'static>), TargetError> {
    if !text.contains("\"_") {
        let input = Input::json(text).map_err(|error| wrong_json(0, text, &error))?;
        return Ok((None, input));
    }
    match value(0, text)? {
        Value::Map(mut map) => {
            let named = take_metadata(&mut map);
            Ok((named, Input::from(map)))
        }
        other => Err(TargetError {
            place: Some((0, 0)),
            ..TargetError::new(
                "invalid_json",
                format!("expected an object, got {}", other.type_name()),
            )
        }),
    }
}

/// Refuses an `_id` in a document that is not the one that is written.
fn must_name(collection: &Collection, named: Option<Value>, key: &Key) -> Result<(), TargetError> {
    let Some(named) = named else { return Ok(()) };
    Ok(id_must_be(&collection.definition()?, named, key)?)
}

/// A document with its metadata beside the fields.
fn shown(document: &Document) -> Value {
    let meta = document.meta();
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let mut map = document.fields().to_map();
    map.extend([
        ("_id".to_owned(), document.id().to_value()),
        ("_version".to_owned(), number(meta.version)),
        ("_index".to_owned(), number(meta.index)),
        ("_created_at".to_owned(), Value::Time(meta.created_at)),
        ("_updated_at".to_owned(), Value::Time(meta.updated_at)),
    ]);
    if let Some(expires_at) = document.expires_at() {
        map.insert("_expires_at".to_owned(), Value::Time(expires_at));
    }
    Value::Map(map)
}

fn not_found(collection: &str, key: &Key) -> TargetError {
    let id = key.to_value().to_json();
    let what = format!("there is no document {id} in {collection}");
    TargetError::new("not_found", what)
}

fn wrong_json(argument: usize, text: &str, error: &JsonError) -> TargetError {
    let JsonError { line, column, .. } = *error;
    TargetError {
        place: Some((argument, byte_at(text, line, column))),
        ..TargetError::new("invalid_json", error.message.as_str())
    }
}

/// What a question asks, in an order that is whole, and how many documents at most.
fn asked(question: &Question<'_>) -> Result<(Find, usize), TargetError> {
    let body = Body::question(question);
    let mut find = Find::from_json(&body.text).map_err(|error| wrong_query(&error, &body))?;
    let after = find.after.take();
    let limit = find.limit.unwrap_or(LIST_DOCUMENTS);
    Ok((find.page(after), limit))
}

/// Shows of a document what a question wants.
fn wanted_of(find: &Find) -> impl Fn(&Document) -> Value {
    let projector = find.projector();
    move |document| match find.projection {
        Projection::All => shown(document),
        _ => Value::Map(projector.row(document)),
    }
}

fn wrong_query(error: &QueryError, body: &Body) -> TargetError {
    let (what, place) = (error.to_string(), error.place());
    match place {
        None => TargetError::new("invalid_query", what),
        Some((line, column)) => TargetError {
            place: body.place(line, column),
            ..TargetError::new("invalid_json", without_place(&what, line, column))
        },
    }
}

/// An index with what it holds, as the HTTP API shows it.
fn index_shown(
    definition: &IndexDefinition,
    stats: &IndexStats,
    documents: u64,
) -> Result<Value, TargetError> {
    let text = serde_json::to_string(definition);
    let value = text.ok().and_then(|text| Value::from_json(&text).ok());
    let Some(Value::Map(mut map)) = value else {
        let what = "the definition cannot be shown as JSON";
        return Err(TargetError::new("internal", what));
    };
    let number = |number: usize| Value::from(number as u64);
    let building = |done: u32| {
        let figures = [("done", done.into()), ("of", Value::from(documents))];
        Value::Map(
            figures
                .map(|(name, figure)| (name.to_owned(), figure))
                .into(),
        )
    };
    let figures = [
        ("entries", number(stats.entries)),
        ("distinct", stats.distinct.map_or(Value::Null, number)),
        ("bytes", number(stats.bytes)),
        ("uses", Value::from(stats.uses)),
        ("used_at", stats.used_at.map_or(Value::Null, Value::Time)),
        (
            "building",
            stats.built.or(stats.rebuilt).map_or(Value::Null, building),
        ),
    ];
    map.extend(figures.map(|(name, figure)| (name.to_owned(), figure)));
    Ok(Value::Map(map))
}

/// Reads a definition, or what is built on one.
fn read<T: DeserializeOwned>(body: &Body) -> Result<T, TargetError> {
    serde_json::from_str(&body.text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = without_place(&error.to_string(), line, column);
        TargetError {
            place: body.place(line, column),
            ..TargetError::new("invalid_definition", what)
        }
    })
}

fn value(argument: usize, text: &str) -> Result<Value, TargetError> {
    Value::from_json(text).map_err(|error| wrong_json(argument, text, &error))
}

impl From<IdError> for TargetError {
    fn from(error: IdError) -> TargetError {
        TargetError::new("invalid_id", error.to_string())
    }
}

impl From<Error> for TargetError {
    fn from(error: Error) -> TargetError {
        TargetError::new(error.code().0, error.to_string())
    }
}

/// The refusal of a write of one document, which it names.
fn named(error: Error, collection: &str, key: &Key) -> TargetError {
    match &error {
        Error::Refused {
            refusal: Refusal::NotFound,
            ..
        } => not_found(collection, key),
        _ => error.into(),
    }
}

/// The refusal of an insertion.
fn present(error: Error, collection: &Collection, id: &str) -> TargetError {
    match error {
        Error::Refused {
            refusal: Refusal::AlreadyExists(_),
            ..
        } => already_exists(collection.name(), id),
        error => error.into(),
    }
}

/// The error of an insertion where there is a document.
pub(super) fn already_exists(collection: &str, id: &str) -> TargetError {
    let what = format!("there is a document {id} in {collection} already");
    TargetError::new("already_exists", what)
}

impl Target for Embedded {
    fn place(&self) -> String {
        match &self.dir {
            Some(dir) => format!("the database in {}", dir.display()),
            None => "a database in memory".to_owned(),
        }
    }

    fn database(&self) -> String {
        // One that was dropped has none.
        self.database.name().unwrap_or_default()
    }

    fn databases(&mut self) -> Result<Vec<Value>, TargetError> {
        let view = self.database.snapshot();
        let all = view.databases().into_iter().map(|(id, definition)| {
            let collections = view.of_database(id).collection_names().len();
            let collections = i64::try_from(collections).unwrap_or(i64::MAX);
            let mut shown = BTreeMap::from([
                ("name".to_owned(), Value::from(definition.name)),
                ("collections".to_owned(), Value::Int(collections)),
            ]);
            let comment = definition.comment.map(Value::from);
            shown.extend(comment.map(|comment| ("comment".to_owned(), comment)));
            Value::Map(shown)
        });
        Ok(all.collect())
    }

    fn enter(&mut self, database: &str) -> Result<(), TargetError> {
        let entered = self.database.database(database).map_err(|error| {
            let all = self.database.databases();
            let names = all.iter().map(|(_, definition)| definition.name.as_str());
            TargetError::new(error.code().0, no_such_database(database, names))
        });
        self.database = entered?;
        Ok(())
    }

    fn create_database(&mut self, database: &str) -> Result<(), TargetError> {
        let definition = DatabaseDefinition::new(database);
        self.database.create_database(definition, &Call::new())?;
        Ok(())
    }

    fn drop_database(&mut self, database: &str) -> Result<(), TargetError> {
        self.database.drop_database(database, &Call::new())?;
        Ok(())
    }

    fn collections(&mut self) -> Result<Vec<Value>, TargetError> {
        let definitions = self.database.collections().into_iter();
        definitions
            .map(|definition| described(&self.collection(&definition.name)?))
            .collect()
    }

    fn describe(&mut self, collection: &str) -> Result<Value, TargetError> {
        described(&self.collection(collection)?)
    }

    fn create(&mut self, collection: &str, definition: &str) -> Result<(), TargetError> {
        let body = Body::definition(collection, definition);
        let definition = read(&body)?;
        self.database.create_collection(definition)?;
        Ok(())
    }

    fn alter(
        &mut self,
        collection: &str,
        definition: &str,
        rename: Option<&str>,
        drop: Option<&str>,
    ) -> Result<(), TargetError> {
        let altered = self.collection(collection)?;
        let asked: AskedAlteration = read(&Body::alteration(collection, definition, rename, drop))?;
        altered.alter(asked.into())?;
        Ok(())
    }

    fn drop_collection(&mut self, collection: &str) -> Result<(), TargetError> {
        self.database.drop_collection(collection)?;
        Ok(())
    }

    fn count(&mut self, collection: &str, filter: Option<&str>) -> Result<u64, TargetError> {
        let collection = self.collection(collection)?;
        let Some(filter) = filter else {
            return Ok(collection.count()?);
        };
        let body = Body::of(filter);
        let filter = Filter::from_json(&body.text).map_err(|error| wrong_query(&error, &body))?;
        let view = collection.view()?;
        Ok(view.count_where(&view.typed(Find::new(filter)).filter)?)
    }

    fn find(&mut self, collection: &str, question: &Question<'_>) -> Result<Page, TargetError> {
        let (find, limit) = asked(question)?;
        let view = self.collection(collection)?.view()?;
        // One more tells whether there is another page.
        let find = view.typed(find).limit(limit + 1);
        let mut found = view.find(&find)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|last| find.cursor_at(last).to_string());
        Ok(Page {
            documents: found.iter().map(wanted_of(&find)).collect(),
            next,
        })
    }

    fn ranked(&mut self, collection: &str, ranked: &Ranked<'_>) -> Result<Vec<Value>, TargetError> {
        let view = self.collection(collection)?.view()?;
        let (find, limit) = asked(&Question {
            filter: ranked.filter,
            project: ranked.project,
            limit: ranked.limit,
            ..Question::default()
        })?;
        let find = view.typed(find);
        let (about, found): (_, Vec<(f64, Document)>) = match ranked.wanted {
            Wanted::Text { text, any, index } => {
                let mut search = Search::new(unquoted(text)).filter(find.filter.clone());
                if any {
                    search = search.any();
                }
                if let Some(index) = index {
                    search = search.index(index);
                }
                let found = view.search(&search.limit(limit))?.into_iter();
                let found = found.map(|found| (found.score, found.document));
                ("_score", found.collect())
            }
            Wanted::Place {
                path,
                point,
                within_m,
            } => {
                let path = path.parse().map_err(|error| {
                    let what = format!("path: {path:?} is no path: {error}");
                    TargetError::new("invalid_query", what)
                })?;
                let [lon, lat] = point;
                let point = Point::new(lon, lat).map_err(|error| {
                    TargetError::new("invalid_point", format!("point: {error}"))
                })?;
                let mut near = Near::new(path, point, limit).filter(find.filter.clone());
                if let Some(metres) = within_m {
                    near = near.within_m(metres);
                }
                ("_distance_m", view.near(&near)?)
            }
        };
        let wanted_of = wanted_of(&find);
        let show = |(number, document): (f64, Document)| {
            let mut shown = wanted_of(&document);
            if let Value::Map(map) = &mut shown {
                map.insert(about.to_owned(), number.into());
            }
            shown
        };
        Ok(found.into_iter().map(show).collect())
    }

    fn aggregate(&mut self, collection: &str, stages: &str) -> Result<Vec<Value>, TargetError> {
        let collection = self.collection(collection)?;
        let body = Body::of(stages);
        let pipeline = Pipeline::from_json(&body.text);
        let pipeline = pipeline.map_err(|error| wrong_query(&error, &body))?;
        let pipeline = collection.view()?.typed_pipeline(pipeline);
        let rows = collection.aggregate(&pipeline)?;
        Ok(rows.into_iter().map(Value::Map).collect())
    }

    fn explain(
        &mut self,
        collection: &str,
        question: &Question<'_>,
        explain: Explain,
        form: Format,
    ) -> Result<String, TargetError> {
        let view = self.collection(collection)?.view()?;
        let explained = match question.pipeline {
            None => {
                let (find, limit) = asked(question)?;
                let find = view.typed(find).limit(limit);
                match explain {
                    Explain::Plan => view.explain(&find)?,
                    Explain::Analyze => view.explain_analyze(&find)?,
                }
            }
            Some(stages) => {
                let body = Body::of(stages.text);
                let pipeline = Pipeline::from_json(&body.text);
                let pipeline = pipeline.map_err(|error| wrong_query(&error, &body))?;
                let pipeline = view.typed_pipeline(pipeline);
                match explain {
                    Explain::Plan => view.explain_aggregate(&pipeline)?,
                    Explain::Analyze => view.explain_analyze_aggregate(&pipeline)?,
                }
            }
        };
        Ok(match form {
            Format::Table => explained.to_string(),
            Format::Json => explained.to_json(),
        })
    }

    fn indexes(&mut self, collection: &str) -> Result<Vec<Value>, TargetError> {
        let view = self.collection(collection)?.view()?;
        let documents = view.count()?;
        let show = |(definition, stats)| index_shown(&definition, &stats, documents);
        view.indexes().into_iter().map(show).collect()
    }

    fn create_index(&mut self, collection: &str, definition: &str) -> Result<(), TargetError> {
        let collection = self.collection(collection)?;
        let definition: IndexDefinition = read(&Body::of(definition))?;
        collection.create_index(definition)?;
        Ok(())
    }

    fn rebuild_index(&mut self, collection: &str, index: &str) -> Result<(), TargetError> {
        self.collection(collection)?.rebuild_index(index)?;
        Ok(())
    }

    fn drop_index(&mut self, collection: &str, index: &str) -> Result<(), TargetError> {
        self.collection(collection)?.drop_index(index)?;
        Ok(())
    }

    fn get(&mut self, collection: &str, id: &str) -> Result<Value, TargetError> {
        let (collection, key) = self.target(collection, id)?;
        self.document(&collection, &key)
    }

    fn list(
        &mut self,
        collection: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page, TargetError> {
        let after = after.map(|cursor| {
            cursor.parse().map_err(|_| {
                let what = format!("after: {cursor:?} is not the \"next\" of a page");
                TargetError::new("invalid_query", what)
            })
        });
        let after = after.transpose()?;
        let request = PageRequest { limit, after };
        let page = self.collection(collection)?.list(&request)?;
        Ok(Page {
            documents: page.documents.iter().map(shown).collect(),
            next: page.next.map(|next| next.to_string()),
        })
    }

    fn insert(
        &mut self,
        collection: &str,
        id: Option<&str>,
        document: &str,
    ) -> Result<Value, TargetError> {
        let collection = self.collection(collection)?;
        let (named, input) = input(document)?;
        let key = match (id, named) {
            (None, None) => collection.insert(input)?.value,
            (None, Some(named)) => {
                let id = named.to_json();
                let key = id_of_value(&collection.definition()?, named)?;
                let inserted = collection.insert_with_id(&key, input);
                inserted.map_err(|error| present(error, &collection, &id))?;
                key
            }
            (Some(id), named) => {
                let key = id_of_text(&collection.definition()?, id)?;
                must_name(&collection, named, &key)?;
                let inserted = collection.insert_with_id(&key, input);
                inserted.map_err(|error| present(error, &collection, id))?;
                key
            }
        };
        self.document(&collection, &key)
    }

    fn put(&mut self, collection: &str, id: &str, document: &str) -> Result<Value, TargetError> {
        let (collection, key) = self.target(collection, id)?;
        let (named, input) = input(document)?;
        must_name(&collection, named, &key)?;
        collection.upsert(&key, input)?;
        self.document(&collection, &key)
    }

    fn patch(&mut self, collection: &str, id: &str, patch: &str) -> Result<Value, TargetError> {
        let (collection, key) = self.target(collection, id)?;
        let mut patch = value(0, patch)?;
        if let Value::Map(patch) = &mut patch {
            must_name(&collection, take_metadata(patch), &key)?;
        }
        let update = Update::merge(&patch);
        collection
            .update(&key, update)
            .map_err(|error| named(error, collection.name(), &key))?;
        self.document(&collection, &key)
    }

    fn delete(&mut self, collection: &str, id: &str) -> Result<(), TargetError> {
        let (collection, key) = self.target(collection, id)?;
        collection
            .delete(&key)
            .map_err(|error| named(error, collection.name(), &key))?;
        Ok(())
    }

    fn swap(
        &mut self,
        collection: &str,
        id: &str,
        expected: &str,
        update: &str,
    ) -> Result<Value, TargetError> {
        let (collection, key) = self.target(collection, id)?;
        let expected = expectation(value(0, expected)?)?;
        let update = Update::merge(&value(1, update)?);
        let swap = collection
            .compare_and_swap(&key, &expected, update)
            .map_err(|error| named(error, collection.name(), &key))?;
        match swap.value {
            Swap::Won(document) => Ok(shown(&document)),
            Swap::Refused { current, reason } => Err(TargetError {
                current: Some(shown(&current)),
                ..TargetError::new("condition_failed", reason)
            }),
        }
    }

    fn close(&mut self) -> Result<(), TargetError> {
        Ok(self.database.close()?)
    }

    fn status(&mut self) -> Result<Status, TargetError> {
        let mut collections = Vec::new();
        for (database, of) in self.database.every_database() {
            for definition in of.collections() {
                let stats = of.collection(&definition.name)?.stats()?;
                collections.push(CollectionStatus {
                    database: database.clone(),
                    name: definition.name,
                    documents: stats.documents,
                    bytes: stats.bytes.total() as u64,
                });
            }
        }
        Ok(Status::of_database(&self.database, collections))
    }
}

/// `{"_version": n}`, or fields by their paths.
fn expectation(value: Value) -> Result<Expected, TargetError> {
    let invalid = |what: String| TargetError::new("invalid_request", what);
    match value {
        Value::Map(map) => Expected::read(map).map_err(|error| invalid(error.to_string())),
        _ => Err(invalid("what is expected must be an object".to_owned())),
    }
}
