//! `velocitydb import` of an exported file: collections as they were, with their definitions.
//!
//! A collection that is there is not mixed with another unless that is asked for: `--into` names
//! the one that takes the documents, `--upsert` puts them over those that are there, `--resume`
//! goes on with a restoring that was interrupted. A file of all databases says itself which
//! collections are of which; those that are not there are created.
//! Tests: tests/it/export.rs.

use std::io::Write;
use std::time::Instant;

use velocitydb::{Alteration, Call, Collection, Database, DatabaseDefinition, Definition, Error};
use velocitydb_import::{ExportReader, Ids, Item, Loader};
use velocitydb_shell::VELOCITY;

use crate::failure::Failure;
use crate::import::{Arguments, failed, open_database, progress_bar, summary, tell_bad_rows};

/// Imports all collections of the file.
pub fn run(
    arguments: &Arguments,
    mut reader: ExportReader,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut store = Store {
        arguments,
        opened: open_database(&arguments.data, &arguments.keys)?,
        current: None,
    };
    let restored = restore(arguments, &mut reader, &mut store, out);
    let closed = store.opened;
    let closed = closed.map_or(Ok(()), |db| db.sync().and_then(|()| db.close()));
    let closed = closed.map_err(|error| Failure::of(&error, &arguments.data));
    restored.and(closed)
}

/// Where the collections go.
struct Store<'a> {
    arguments: &'a Arguments,
    opened: Option<Database>,
    /// The database that those go to that come now; `None`: nothing came.
    current: Option<Database>,
}

impl Store<'_> {
    fn failed(&self, error: &Error) -> Failure {
        Failure::of(error, &self.arguments.data)
    }

    /// Opens the directory, created when it is missing.
    fn open(&mut self) -> Result<Database, Failure> {
        if let Some(db) = &self.opened {
            return Ok(db.clone());
        }
        let opened = Database::open(self.arguments.keys.options(&self.arguments.data)?);
        let db = opened.map_err(|error| self.failed(&error))?;
        Ok(self.opened.insert(db).clone())
    }

    /// The database for the next collection.
    fn current(&mut self) -> Result<Database, Failure> {
        if let Some(db) = &self.current {
            return Ok(db.clone());
        }
        let database = &self.arguments.database;
        if self.opened.is_none() {
            database.must_be_in_new()?;
        }
        let db = database.of(&self.open()?)?;
        Ok(self.current.insert(db).clone())
    }

    /// Goes to the database that the file names, created when it is missing.
    fn enter(&mut self, definition: DatabaseDefinition) -> Result<(), Failure> {
        let db = self.open()?;
        let found = match db.database(&definition.name) {
            Err(Error::UnknownDatabase(_)) => {
                let made = db.create_database(definition, &Call::new());
                made.map(|made| made.value)
            }
            found => found,
        };
        self.current = Some(found.map_err(|error| self.failed(&error))?);
        Ok(())
    }
}

fn restore(
    arguments: &Arguments,
    reader: &mut ExportReader,
    store: &mut Store<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (progress, bar) = (reader.progress(), progress_bar(&reader.progress()));
    let of_file = |error: &dyn std::fmt::Display| {
        Failure::new(format!("{}: {error}", arguments.file.display()))
    };
    let (mut collections, mut referring) = (0, Vec::new());
    while let Some(item) = reader.next_item().map_err(|error| of_file(&error))? {
        let definition = match item {
            Item::Collection(definition) => definition,
            Item::Database(_) if arguments.database.database.is_some() => {
                let what = "it says itself of which database each collection is: leave out \
                            --database";
                return Err(Failure::Usage(of_file(&what).to_string()));
            }
            Item::Database(definition) => {
                store.enter(definition)?;
                continue;
            }
            Item::Document(_) | Item::End => continue,
        };
        collections += 1;
        if collections > 1 && arguments.collection.is_some() {
            let what = "it holds several collections: they cannot all have the name of --into";
            return Err(of_file(&what));
        }
        let (db, name) = begin(arguments, *definition, store, &mut referring)?;
        let options = arguments.load_options(&name, Ids::ExportedOrNew);
        let mut loader = Loader::new(&db, options);
        let started = Instant::now();
        let ended = loader.load_exported(reader, || bar.set_position(progress.bytes_read()));
        bar.suspend(|| {
            // What is counted is kept.
            let synced = db.sync();
            synced.map_err(|error| Failure::of(&error, &arguments.data))?;
            let shown = match db.name() {
                Ok(database) if database != VELOCITY => format!("{database}/{name}"),
                _ => name.clone(),
            };
            summary(&loader, &shown, arguments, started.elapsed(), out)?;
            tell_bad_rows(&loader, arguments, out)?;
            ended.map_err(|error| failed(&error, &loader, arguments))
        })?;
    }
    bar.finish_and_clear();
    // Only now is everything there that documents refer to.
    for (collection, definition) in referring {
        let altered = collection.alter(Alteration::to(definition));
        altered.map_err(|error| Failure::of(&error, &arguments.data))?;
    }
    Ok(())
}

/// The collection that takes the documents: created, unless it is there and may take them.
fn begin(
    arguments: &Arguments,
    mut definition: Definition,
    store: &mut Store<'_>,
    referring: &mut Vec<(Collection, Definition)>,
) -> Result<(Database, String), Failure> {
    let dir = &arguments.data;
    if let Some(name) = &arguments.collection {
        definition.name.clone_from(name);
    }
    let name = definition.name.clone();
    let of_database = |error| Failure::of(&error, dir);
    let db = store.current()?;
    let plain = definition.clone().without_references();
    let present = db
        .collections()
        .into_iter()
        .find(|present| present.name == name);
    if present.is_none() {
        db.create_collection(plain.clone()).map_err(of_database)?;
    } else if !(arguments.upsert || arguments.resume || arguments.collection.is_some()) {
        let help = format!(
            "Its documents would mix with those of the file. --into NAME restores it under another \
             name, --into {name} adds the documents, --upsert puts them over those with the same \
             ids, --resume goes on with an import that was interrupted."
        );
        return Err(Failure::new(format!("the collection {name} exists already")).help(help));
    }
    if plain != definition && present.is_none_or(|present| present == plain) {
        referring.push((db.collection(&name).map_err(of_database)?, definition));
    }
    Ok((db, name))
}
