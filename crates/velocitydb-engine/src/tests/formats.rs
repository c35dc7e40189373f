//! The bytes of entries, and the text of definitions: written once, read by every later version.

use std::borrow::Cow;

use velocitydb_types::{
    Field, FieldOperation, FieldType, Key, Openness, Path, Schema, Timestamp, Value,
};

use crate::catalog::{
    Alteration, CollectionId, DatabaseDefinition, DatabaseId, Definition, IndexDefinition,
};
use crate::command::{
    APPLY_VERSION, Change, Command, Condition, Entry, EntryError, Expires, Mode, Operation, Retry,
    Write,
};

fn entry(command: Command<'_>) -> Entry<'_> {
    Entry { stamp: 1, command }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn operation(
    condition: Condition,
    change: Change<'static>,
    expires: Expires,
) -> Operation<'static> {
    Operation {
        collection: CollectionId(16),
        key: Key::parse("a").unwrap().into_bytes().into_vec().into(),
        condition,
        change,
        expires,
    }
}

fn definition() -> Definition {
    let schema = Schema::new(
        Openness::Open,
        vec![Field::new("n", FieldType::Int).unique()],
    )
    .unwrap();
    Definition::new("c").schema(schema).expire_after(60)
}

const DEFINITION: &str = r#"{"name":"c","kind":"document","persistence":"logged","primary_key":null,"schema":{"openness":"open","fields":[{"name":"n","type":"int","required":false,"unique":true,"default":null}]},"indexes":[],"ttl":{"seconds":60}}"#;

/// When this fails, directories in use cannot be read any more: raise [`APPLY_VERSION`], or keep
/// the bytes.
#[test]
fn entries_keep_their_bytes() {
    let path = Path::field("n");
    let field = FieldOperation::Set {
        path: path.clone(),
        value: Value::Int(1),
    };
    let operations = vec![
        operation(
            Condition::Absent,
            Change::Put(Cow::Borrowed(&[0xf0])),
            Expires::Default,
        ),
        operation(
            Condition::Version(3),
            Change::Patch(vec![field]),
            Expires::At(5),
        ),
        operation(
            Condition::Fields(vec![(path.clone(), Value::Null)]),
            Change::Delete,
            Expires::Never,
        ),
    ];
    let write = Write {
        mode: Mode::Atomic,
        resolved_at: 7,
        operations: Cow::Owned(operations),
        retry: Some(Retry {
            database: DatabaseId::VELOCITY,
            key: "k".into(),
            request: 9,
            expires: 11,
        }),
    };
    let index = IndexDefinition::unique("i", vec![path]);
    let id = CollectionId(16);
    let alteration = Alteration {
        at: Timestamp(2),
        ..Alteration::to(Definition::new("c")).drop("n")
    };
    for (command, golden) in [
        (
            Command::Write(write),
            "0302000007031003206100010101f00010032061000303020100016e020301020a10032061000601016e010003010100016b0916",
        ),
        (Command::DropCollection(id), "03020210"),
        (Command::Truncate(id), "03020310"),
        (Command::DropIndex(id, "i".into()), "030205100169"),
        (Command::Tick, "030206"),
        (
            Command::Transaction {
                definitions: vec![Command::DropIndex(id, "i".into())],
                write: Write {
                    mode: Mode::Atomic,
                    resolved_at: 7,
                    operations: Cow::Borrowed(&[]),
                    retry: None,
                },
            },
            "03020b010510016900070000",
        ),
        (Command::DropDatabase(DatabaseId(17)), "03020a11"),
    ] {
        let bytes = entry(command.clone()).encode();
        assert_eq!(hex(&bytes), golden, "{command:?}");
        assert_eq!(Entry::decode(&bytes).unwrap().encode(), bytes);
    }
    for (command, head, text) in [
        (
            Command::CreateCollection(DatabaseId::VELOCITY, Box::new(definition())),
            "03020100da01",
            DEFINITION,
        ),
        (
            Command::CreateIndex(id, index),
            "0302041037",
            r#"{"name":"i","fields":["n"],"kind":"hash","unique":true}"#,
        ),
        (
            Command::Alter(id, Box::new(alteration)),
            "03020710a101",
            r#"{"definition":{"name":"c","kind":"document","persistence":"logged","primary_key":null,"schema":{"openness":"open","fields":[]},"indexes":[]},"drop":["n"],"at":2}"#,
        ),
        (
            Command::CreateDatabase(DatabaseDefinition::new("d")),
            "0302080c",
            r#"{"name":"d"}"#,
        ),
        (
            Command::AlterDatabase(DatabaseId(17), DatabaseDefinition::new("d")),
            "030209110c",
            r#"{"name":"d"}"#,
        ),
    ] {
        let bytes = entry(command.clone()).encode();
        let split = bytes.iter().position(|&byte| byte == b'{').unwrap();
        assert_eq!(hex(&bytes[..split]), head, "{command:?}");
        assert_eq!(String::from_utf8_lossy(&bytes[split..]), text);
        assert_eq!(Entry::decode(&bytes).unwrap().encode(), bytes);
    }
}

#[test]
fn an_entry_of_another_version_is_named() {
    for needs in [APPLY_VERSION - 1, APPLY_VERSION + 1] {
        let mut bytes = entry(Command::Tick).encode();
        bytes[0] = needs;
        let error = Entry::decode(&bytes).unwrap_err();
        assert_eq!(error, EntryError::NeedsVersion { needs });
    }
}
