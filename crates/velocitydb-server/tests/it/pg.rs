//! The PostgreSQL door with SQL behind it, asked by an ordinary driver.

use std::net::SocketAddr;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use velocitydb::{Database, Definition};
use velocitydb_pg::{Door, PgConfig};
use velocitydb_server::SqlBackend;

fn open(database: &Database) -> Door {
    let mut config = PgConfig::default();
    config.address = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = Door::bind(config).unwrap();
    bound.start(SqlBackend::new(database.clone())).unwrap()
}

async fn client(door: &Door) -> Client {
    let port = door.local_addr().port();
    let config = format!("host=127.0.0.1 port={port} user=ann");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn with_tasks() -> (Database, Door, Client) {
    let database = Database::in_memory().unwrap();
    let door = open(&database);
    let client = client(&door).await;
    let create = "CREATE TABLE tasks (id bigint PRIMARY KEY, state text NOT NULL, priority int)";
    client.batch_execute(create).await.unwrap();
    (database, door, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_take_and_give_values_of_inferred_types() {
    let (database, _door, client) = with_tasks().await;
    let insert = client
        .prepare("INSERT INTO tasks VALUES ($1, $2, $3)")
        .await
        .unwrap();
    assert_eq!(insert.params(), [Type::INT8, Type::TEXT, Type::INT4]);
    for id in 0..100_i64 {
        let priority = (id % 3 > 0).then_some(id as i32);
        let count = client.execute(&insert, &[&id, &"new", &priority]).await;
        assert_eq!(count.unwrap(), 1);
    }
    let select = "SELECT id, state, priority FROM tasks WHERE id = $1";
    let select = client.prepare(select).await.unwrap();
    let row = client.query_one(&select, &[&7_i64]).await.unwrap();
    assert_eq!(row.get::<_, i64>("id"), 7);
    assert_eq!(row.get::<_, &str>("state"), "new");
    assert_eq!(row.get::<_, Option<i32>>("priority"), Some(7));
    let row = client.query_one(&select, &[&9_i64]).await.unwrap();
    assert_eq!(row.get::<_, Option<i32>>("priority"), None);
    assert!(
        client
            .query(&select, &[&1000_i64])
            .await
            .unwrap()
            .is_empty()
    );
    // The documents are those of the library.
    let document = database.collection("tasks").unwrap().get(7).unwrap();
    assert_eq!(
        document.unwrap().get("state").unwrap().as_str(),
        Some("new")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_tell_where_and_why() {
    let (_database, _door, client) = with_tasks().await;
    let error = client.query("SELECT id, nothing FROM tasks", &[]).await;
    let error = error.unwrap_err();
    let told = error.as_db_error().unwrap();
    assert_eq!(told.code(), &SqlState::UNDEFINED_COLUMN);
    let position = tokio_postgres::error::ErrorPosition::Original(12);
    assert_eq!(told.position(), Some(&position));
    client
        .execute("INSERT INTO tasks VALUES (1, 'new', 1)", &[])
        .await
        .unwrap();
    let error = client
        .execute("INSERT INTO tasks VALUES (1, 'new', 1)", &[])
        .await;
    let error = error.unwrap_err();
    let told = error.as_db_error().unwrap();
    assert_eq!(told.code(), &SqlState::UNIQUE_VIOLATION);
    assert_eq!(told.constraint(), Some("tasks_pkey"));
    // The session goes on.
    let row = client.query_one("SELECT 1 + 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_seen_by_others_when_it_is_committed() {
    let (_database, door, mut one) = with_tasks().await;
    let other = client(&door).await;
    let all = "SELECT id FROM tasks";
    let transaction = one.transaction().await.unwrap();
    transaction
        .execute("INSERT INTO tasks VALUES (1, 'new', 1), (2, 'new', 2)", &[])
        .await
        .unwrap();
    assert_eq!(transaction.query(all, &[]).await.unwrap().len(), 2);
    assert!(other.query(all, &[]).await.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(other.query(all, &[]).await.unwrap().len(), 2);
    let transaction = one.transaction().await.unwrap();
    transaction.execute("DELETE FROM tasks", &[]).await.unwrap();
    drop(transaction);
    assert_eq!(one.query(all, &[]).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_its_rows_in_parts() {
    let (_database, _door, mut client) = with_tasks().await;
    for id in 0..25_i64 {
        let insert = format!("INSERT INTO tasks VALUES ({id}, 'new', 0)");
        client.batch_execute(&insert).await.unwrap();
    }
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT id FROM tasks ORDER BY id", &[]);
    let portal = portal.await.unwrap();
    let mut sizes = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 10).await.unwrap();
        sizes.push(rows.len());
        if rows.len() < 10 {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
}

/// A collection without declared fields is a table of its id and of the whole document.
#[tokio::test(flavor = "multi_thread")]
async fn documents_are_rows_too() {
    let database = Database::in_memory().unwrap();
    let notes = database.create_collection(Definition::new("notes"));
    let notes = notes.unwrap().value;
    notes
        .insert_with_id("n1", [("text", "hello".into())])
        .unwrap();
    let door = open(&database);
    let client = client(&door).await;
    let answers = client
        .simple_query("SELECT _id, doc->>'text' AS text FROM notes")
        .await
        .unwrap();
    let rows = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some((row.get(0).unwrap(), row.get("text").unwrap())),
        _ => None,
    });
    assert_eq!(rows.collect::<Vec<_>>(), [("n1", "hello")]);
}
