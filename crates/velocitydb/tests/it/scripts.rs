//! Golden scripts: what sessions say to a database, in turns, and what they are answered.
//!
//! Each line is a command; `t1:` before it says whose. A session that has begun a transaction
//! or taken a snapshot reads and writes there, any other directly. `UPDATE_GOLDENFILES=1` writes
//! the answers anew, to be read before they are kept. The commands are those of [`Scripts::act`].

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

use goldenscript::{Argument, Command, Context, Runner};
use velocitydb::{
    Database, Document, Effect, Expected, Isolation, Outcome, Savepoint, Swap, Transaction, Update,
    Value, View,
};

use crate::support::{create, in_memory, text};

type Said = Result<String, velocitydb::Error>;

struct Scripts {
    db: Database,
    transactions: HashMap<String, Transaction>,
    snapshots: HashMap<String, View>,
    savepoints: HashMap<(String, String), Savepoint>,
}

/// A command's arguments, taken one after the other.
struct Words<'c> {
    positional: Vec<&'c str>,
    fields: Vec<(&'c str, Value)>,
}

impl<'c> Words<'c> {
    fn new(command: &'c Command) -> Words<'c> {
        let (mut positional, mut fields) = (Vec::new(), Vec::new());
        for argument in command.args.iter().rev() {
            match argument {
                Argument::Positional(word) => positional.push(word.as_str()),
                Argument::KeyValue(name, value) => fields.push((name.as_str(), scalar(value))),
                _ => panic!("{argument}"),
            }
        }
        Words { positional, fields }
    }

    fn next(&mut self) -> &'c str {
        self.positional
            .pop()
            .expect("the command has one word more")
    }

    fn fields(&mut self) -> BTreeMap<String, Value> {
        std::mem::take(&mut self.fields)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn update(&mut self) -> Update {
        let each = std::mem::take(&mut self.fields).into_iter().rev();
        each.fold(Update::new(), |update, (name, value)| {
            match name.strip_prefix("add.") {
                Some(name) => update.add(name, value),
                None => update.set(name, value),
            }
        })
    }
}

fn scalar(text: &str) -> Value {
    Value::from_json(text).unwrap_or_else(|_| text.into())
}

fn shown(id: &str, document: Option<&Document>) -> String {
    match document {
        Some(found) => format!("{id} => {} v{}", text(found), found.meta().version),
        None => format!("{id} => none"),
    }
}

fn outcome(id: &str, outcome: &Outcome) -> String {
    let effect = match outcome.effect {
        Effect::Inserted => "inserted",
        Effect::Updated => "updated",
        Effect::Deleted => "deleted",
        Effect::Checked => "checked",
    };
    format!("{id} {effect} v{}", outcome.version)
}

/// Documents in the order of their ids: a scan has its own.
fn list(mut documents: Vec<Document>) -> String {
    documents.sort_by_key(Document::id);
    let mut out = format!("{} documents", documents.len());
    for document in documents {
        let _ = write!(
            out,
            "\n  {}",
            shown(&document.id().to_string(), Some(&document))
        );
    }
    out
}

impl Scripts {
    fn new() -> Scripts {
        let (transactions, snapshots) = (HashMap::new(), HashMap::new());
        Scripts {
            db: in_memory(),
            transactions,
            snapshots,
            savepoints: HashMap::new(),
        }
    }

    fn act(&mut self, name: &str, session: &str, mut words: Words<'_>) -> Said {
        let own = self.transactions.get_mut(session);
        match name {
            "create" => {
                let name = words.next();
                create(&self.db, name);
                Ok(format!(
                    "created {name} @ {}",
                    self.db.stats().visible_index
                ))
            }
            "truncate" => {
                let answer = self.db.collection(words.next())?.truncate()?;
                Ok(format!("truncated @ {}", answer.index))
            }
            "drop" => Ok(format!(
                "dropped @ {}",
                self.db.drop_collection(words.next())?.index
            )),
            "begin" => {
                let isolation = match words.positional.pop() {
                    Some("serializable") => Isolation::Serializable,
                    Some("read_committed") => Isolation::ReadCommitted,
                    _ => Isolation::Snapshot,
                };
                let transaction = self.db.begin(isolation);
                let said = format!("begun @ {}", transaction.index());
                self.transactions.insert(session.to_owned(), transaction);
                Ok(said)
            }
            "refresh" => {
                let own = own.expect("a transaction");
                own.refresh();
                Ok(format!("reads @ {}", own.index()))
            }
            "snapshot" => {
                let view = self.db.snapshot();
                let said = format!("snapshot @ {}", view.index());
                self.snapshots.insert(session.to_owned(), view);
                Ok(said)
            }
            "savepoint" => {
                let savepoint = own.expect("a transaction").savepoint();
                self.savepoints
                    .insert((session.to_owned(), words.next().to_owned()), savepoint);
                Ok("saved".into())
            }
            "rollback_to" => {
                let key = (session.to_owned(), words.next().to_owned());
                own.expect("a transaction")
                    .roll_back_to(self.savepoints[&key])?;
                Ok("rolled back".into())
            }
            "rollback" => {
                self.transactions.remove(session).expect("a transaction");
                Ok("rolled back".into())
            }
            "commit" => {
                let transaction = self.transactions.remove(session).expect("a transaction");
                Ok(format!("committed @ {}", transaction.commit()?.index))
            }
            "get" | "scan" | "count" => self.read(name, session, words),
            _ => self.write(name, session, words),
        }
    }

    fn read(&mut self, name: &str, session: &str, mut words: Words<'_>) -> Said {
        let collection = words.next();
        if name == "get" {
            let id = words.next();
            let found = match self.transactions.get_mut(session) {
                Some(transaction) => transaction.get(collection, id)?,
                None => self.view(session).collection(collection)?.get(id)?,
            };
            return Ok(shown(id, found.as_ref()));
        }
        let mut documents = Vec::new();
        let visit = |document: &Document| {
            documents.push(document.clone());
            true
        };
        match self.transactions.get_mut(session) {
            Some(transaction) => transaction.scan(collection, visit)?,
            None => self.view(session).collection(collection)?.scan(visit)?,
        }
        Ok(if name == "count" {
            documents.len().to_string()
        } else {
            list(documents)
        })
    }

    fn view(&self, session: &str) -> View {
        self.snapshots
            .get(session)
            .cloned()
            .unwrap_or_else(|| self.db.snapshot())
    }

    fn write(&mut self, name: &str, session: &str, mut words: Words<'_>) -> Said {
        let (collection, id) = (words.next(), words.next());
        if let Some(own) = self.transactions.get_mut(session) {
            let done = match name {
                "insert" => own.insert_with_id(collection, id, words.fields())?,
                "put" => own.upsert(collection, id, words.fields())?,
                "update" => own.update(collection, id, words.update())?,
                "delete" => own.delete(collection, id)?,
                "swap" => {
                    let expected = Expected::field(words.next(), scalar(words.next()));
                    own.update_if(collection, id, &expected, words.update())?
                }
                _ => panic!("there is no command {name}"),
            };
            return Ok(outcome(id, &done));
        }
        let on = self.db.collection(collection)?;
        let answer = match name {
            "insert" => on.insert_with_id(id, words.fields())?,
            "put" => on.upsert(id, words.fields())?,
            "update" => on.update(id, words.update())?,
            "delete" => on.delete(id)?,
            "swap" => {
                let expected = Expected::field(words.next(), scalar(words.next()));
                let answer = on.compare_and_swap(id, &expected, words.update())?;
                return Ok(match answer.value {
                    Swap::Won(now) => format!("won: {} @ {}", shown(id, Some(&now)), answer.index),
                    Swap::Refused { current, reason } => {
                        format!("refused: {reason}; {}", shown(id, Some(&current)))
                    }
                });
            }
            _ => panic!("there is no command {name}"),
        };
        Ok(format!("{} @ {}", outcome(id, &answer.value), answer.index))
    }
}

impl Runner for Scripts {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        let session = context.prefix.clone().unwrap_or_default();
        Ok(
            match self.act(&command.name, &session, Words::new(command)) {
                Ok(said) => said,
                Err(error) => {
                    let again = if error.is_retryable() {
                        " (retryable)"
                    } else {
                        ""
                    };
                    format!("{}{again}: {error}", error.code().0)
                }
            },
        )
    }
}

fn directory() -> PathBuf {
    [
        &*std::env::var("CARGO_MANIFEST_DIR").unwrap(),
        "tests",
        "it",
        "testscripts",
    ]
    .iter()
    .collect()
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let path = directory().join(concat!(stringify!($name), ".script"));
            goldenscript::run(&mut Scripts::new(), path).unwrap();
        })*

        #[test]
        fn every_script_has_its_test() {
            let files = std::fs::read_dir(directory()).unwrap();
            let name = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().file_name();
            let mut found: Vec<_> = files.map(|file| name(file).into_string().unwrap()).collect();
            found.sort();
            let mut listed = vec![$(concat!(stringify!($name), ".script")),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}

scripts! {
    anomaly_dirty_read,
    anomaly_lost_update,
    anomaly_phantom,
    anomaly_read_only_transaction,
    anomaly_read_skew,
    anomaly_unrepeatable_read,
    anomaly_write_skew,
    conflict_is_retryable,
    consistent_across_collections,
    definitions_change_under_a_transaction,
    delete_and_insert_again,
    insert_the_same_id_twice,
    read_committed,
    read_your_own_writes,
    refused_insert_is_a_read,
    savepoints,
    snapshot_outlives_its_documents,
    swap_has_one_winner,
}
