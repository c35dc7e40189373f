//! `velocitydb import` of an exported file: collections as they were, with their definitions.
//!
//! A collection that is there is not mixed with another unless that is asked for: `--into` names
//! the one that takes the documents, `--upsert` puts them over those that are there, `--resume`
//! goes on with a restoring that was interrupted.
//! Tests: tests/it/export.rs.

use std::io::Write;
use std::time::Instant;

use velocitydb::{Alteration, Collection, Database, Definition};
use velocitydb_import::{ExportReader, Ids, Item, Loader};

use crate::failure::Failure;
use crate::import::{Arguments, failed, open_database, progress_bar, summary, tell_bad_rows};

/// Imports all collections of the file.
pub fn run(
    arguments: &Arguments,
    mut reader: ExportReader,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut db = open_database(&arguments.data, &arguments.keys)?;
    let restored = restore(arguments, &mut reader, &mut db, out);
    let closed = db.map_or(Ok(()), |db| db.sync().and_then(|()| db.close()));
    let closed = closed.map_err(|error| Failure::of(&error, &arguments.data));
    restored.and(closed)
}

fn restore(
    arguments: &Arguments,
    reader: &mut ExportReader,
    db: &mut Option<Database>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (progress, bar) = (reader.progress(), progress_bar(&reader.progress()));
    let of_file = |error: &dyn std::fmt::Display| {
        Failure::new(format!("{}: {error}", arguments.file.display()))
    };
    let (mut collections, mut referring) = (0, Vec::new());
    while let Some(item) = reader.next_item().map_err(|error| of_file(&error))? {
        let Item::Collection(definition) = item else {
            continue;
        };
        collections += 1;
        if collections > 1 && arguments.collection.is_some() {
            let what = "it holds several collections: they cannot all have the name of --into";
            return Err(of_file(&what));
        }
        let (db, name) = begin(arguments, *definition, db, &mut referring)?;
        let options = arguments.load_options(&name, Ids::ExportedOrNew);
        let mut loader = Loader::new(&db, options);
        let started = Instant::now();
        let ended = loader.load_exported(reader, || bar.set_position(progress.bytes_read()));
        bar.suspend(|| {
            // What is counted is kept.
            let synced = db.sync();
            synced.map_err(|error| Failure::of(&error, &arguments.data))?;
            summary(&loader, &name, arguments, started.elapsed(), out)?;
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
    opened: &mut Option<Database>,
    referring: &mut Vec<(Collection, Definition)>,
) -> Result<(Database, String), Failure> {
    let dir = &arguments.data;
    if let Some(name) = &arguments.collection {
        definition.name.clone_from(name);
    }
    let name = definition.name.clone();
    let of_database = |error| Failure::of(&error, dir);
    let db = match &*opened {
        Some(db) => db.clone(),
        None => {
            let db = Database::open(arguments.keys.options(dir)?).map_err(of_database)?;
            opened.insert(db).clone()
        }
    };
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
