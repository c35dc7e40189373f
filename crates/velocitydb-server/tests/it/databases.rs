//! Databases over HTTP, and the same ones by SQL.

use serde_json::json;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use velocitydb::Database;
use velocitydb_pg::Door;

use crate::harness::{Reply, Served, served};
use crate::pg;

const DATABASES: &str = "/v1/databases";

fn delete(served: &Served, path: &str) -> Reply {
    served.ask("DELETE", path, &[], "")
}

#[test]
fn a_database_is_made_used_and_dropped() {
    let served = served();
    let made = served.post(DATABASES, r#"{"name": "shop & co"}"#);
    assert_eq!(made.status, 201);
    let shop = made.header("location").to_owned();
    assert_eq!(shop, "/v1/databases/shop%20%26%20co");
    served
        .post(DATABASES, r#"{"name": "shop & co"}"#)
        .problem(409, "database_exists");
    served
        .post(DATABASES, r#"{"name": "a/b"}"#)
        .problem(422, "invalid_definition");
    let listed = served.get(DATABASES).json();
    let names =
        ["velocity", "postgres", "shop & co"].map(|name| json!({ "name": name, "collections": 0 }));
    assert_eq!(listed, json!({ "databases": names }));

    // All that is under /v1 for the one is under its path for the other.
    let made = served.post(&format!("{shop}/collections"), r#"{"name": "things"}"#);
    assert_eq!(
        made.header("location"),
        format!("{shop}/collections/things")
    );
    let put = format!("{shop}/collections/things/documents/a");
    assert_eq!(served.put(&put, r#"{"n": 1}"#).status, 201);
    served
        .get("/v1/collections/things/documents/a")
        .problem(404, "unknown_collection");
    assert_eq!(served.get(&put).json()["n"], 1);
    let listed = served.get(DATABASES).json();
    assert_eq!(listed["databases"][2]["collections"], 1);
    let found = served.post(&format!("{shop}/collections/things/find"), "{}");
    assert_eq!(found.json()["documents"][0]["_id"], "a");
    let transaction = served.post(&format!("{shop}/transactions"), "");
    let path = transaction.header("location").to_owned();
    assert!(path.starts_with(&shop), "{path}");
    let inside = format!("{path}/collections/things/documents/a");
    assert_eq!(served.get(&inside).json()["n"], 1);
    // It is of its database alone.
    let outside = inside.replacen(&shop, "/v1", 1);
    served.get(&outside).problem(404, "unknown_transaction");
    let elsewhere = inside.replacen(&shop, "/v1/databases/postgres", 1);
    served.get(&elsewhere).problem(404, "unknown_transaction");
    assert_eq!(delete(&served, &path).status, 204);
    // One that is open keeps nobody from dropping the database, and then there is nothing of it.
    let path = served.post(&format!("{shop}/transactions"), "");
    let open = path.header("location").to_owned();
    let inside = format!("{open}/collections/things/documents/b");
    assert_eq!(served.put(&inside, "{}").status, 201);

    assert_eq!(delete(&served, &shop).status, 204);
    served.get(&put).problem(404, "unknown_database");
    delete(&served, &shop).problem(404, "unknown_database");
    served
        .post(&format!("{open}/commit"), "")
        .problem(404, "unknown_database");
    // Nor of one that has its name now.
    assert_eq!(
        served.post(DATABASES, r#"{"name": "shop & co"}"#).status,
        201
    );
    let commit = served.post(&format!("{open}/commit"), "");
    commit.problem(404, "unknown_transaction");
    delete(&served, "/v1/databases/velocity").problem(422, "invalid_definition");
}

#[test]
fn figures_and_exports_are_of_all_databases() {
    let served = served();
    served.post(DATABASES, r#"{"name": "a \"b\""}"#);
    let shop = "/v1/databases/a%20%22b%22";
    for base in ["/v1", shop] {
        served.post(&format!("{base}/collections"), r#"{"name": "things"}"#);
    }
    let put = format!("{shop}/collections/things/documents/a");
    assert_eq!(served.put(&put, "{}").status, 201);
    let figures = served.get("/metrics").text;
    for (database, documents) in [("velocity", 0), (r#"a \"b\""#, 1)] {
        let labels = format!(r#"{{database="{database}",collection="things"}}"#);
        let line = format!("velocitydb_collection_documents{labels} {documents}\n");
        assert!(figures.contains(&line), "{figures}");
    }
    // Its own, or all, whichever the path names.
    assert_eq!(
        served.get(&format!("{shop}/export")).text.lines().count(),
        3
    );
    let all = served.get("/v1/export?all_databases=true").text;
    assert_eq!(all.matches("\"database\":").count(), 3);
    assert_eq!(all.lines().count(), 3 + 2 + 3);
    let elsewhere = served.get(&format!("{shop}/export?all_databases=true"));
    assert_eq!(elsewhere.text, all);
    for query in [
        "all_databases=1",
        "all_databases=true&collections=things",
        "all_databases=true&plain=true",
    ] {
        let path = format!("/v1/export?{query}");
        served.get(&path).problem(400, "invalid_query");
    }
    let kind = ("Content-Type", "application/x-ndjson");
    let import = "/v1/collections/things/import";
    let refused = served.ask("POST", import, &[kind], &all);
    refused.problem(400, "invalid_request");
}

#[test]
fn what_is_of_the_whole_server_is_in_no_database() {
    let served = served();
    for path in [
        "metrics",
        "health",
        "v1/collections",
        "admin/slow",
        "databases",
        "openapi.json",
    ] {
        let path = format!("/v1/databases/velocity/{path}");
        served.get(&path).problem(404, "no_such_route");
    }
    served
        .get("/v1/databases/velocity/collections?colour=red")
        .problem(400, "invalid_query");
    served
        .get("/v1/databases/none/collections")
        .problem(404, "unknown_database");
    assert_eq!(served.get("/v1/databases/velocity/collections").status, 200);
}

/// A client of a database.
async fn connect(door: &Door, database: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(door.local_addr().port());
    let (client, connection) = config.user("ann").dbname(database).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sessions_share_is_of_their_database() {
    let database = Database::in_memory().unwrap();
    let door = pg::open(&database);
    let one = connect(&door, "velocity").await.unwrap();
    run(&one, "CREATE DATABASE \"my shop\"").await;
    let other = connect(&door, "my shop").await.unwrap();
    for client in [&one, &other] {
        run(
            client,
            "CREATE TABLE t (id serial PRIMARY KEY, n int UNIQUE)",
        )
        .await;
        run(
            client,
            "INSERT INTO t (n) VALUES (7); CREATE TEMPORARY TABLE gone (id serial, n int)",
        )
        .await;
        run(client, "SELECT pg_advisory_lock(1), pg_advisory_lock(2, 3)").await;
        let id = client
            .query_one("SELECT id FROM t WHERE n = 7", &[])
            .await
            .unwrap();
        assert_eq!(id.get::<_, i32>(0), 1);
    }
    let names = one
        .query("SELECT database FROM velocity.locks ORDER BY 1", &[])
        .await
        .unwrap();
    let names: Vec<String> = names.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, ["my shop", "my shop", "velocity", "velocity"]);
    let ids = "SELECT count(DISTINCT database) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(one.query_one(ids, &[]).await.unwrap().get::<_, i64>(0), 2);
    // What is temporary goes with its session, in each.
    drop(other);
    let shop = database.database("my shop").unwrap();
    while shop.guests() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shop.collections().len(), 1);
    assert_eq!(shop.sequences().unwrap().len(), 1);
    assert_eq!(database.collections().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn force_ends_the_sessions_of_the_database() {
    let database = Database::in_memory().unwrap();
    let door = pg::open(&database);
    let admin = connect(&door, "postgres").await.unwrap();
    run(&admin, "CREATE DATABASE shop").await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(connect(&door, "shop").await.unwrap());
    }
    let [idle, busy, waits] = <[Client; 3]>::try_from(clients).unwrap();
    run(
        &busy,
        "CREATE TABLE t (id int); CREATE TEMPORARY TABLE own (id int)",
    )
    .await;
    run(
        &busy,
        "BEGIN; INSERT INTO t VALUES (1); SELECT pg_advisory_lock(1)",
    )
    .await;
    let waiting = tokio::spawn(async move {
        let error = waits.batch_execute("SELECT pg_advisory_lock(1)").await;
        (error.unwrap_err(), waits)
    });
    let waits = "SELECT pid FROM pg_locks WHERE NOT granted";
    while admin.query(waits, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let refused = admin.batch_execute("DROP DATABASE shop").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::OBJECT_IN_USE));
    run(&idle, "SELECT 1").await;
    run(&admin, "DROP DATABASE shop WITH (FORCE)").await;
    let (error, waits) = waiting.await.unwrap();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    for client in [idle, busy, waits] {
        assert!(client.batch_execute("SELECT 1").await.is_err());
    }
    let gone = connect(&door, "shop").await.unwrap_err();
    assert_eq!(gone.code(), Some(&SqlState::INVALID_CATALOG_NAME));
    assert_eq!(database.locks().list(10).rows.len(), 0);
    run(&admin, "DROP DATABASE IF EXISTS shop (FORCE)").await;
    for lasting in ["velocity", "postgres"] {
        let drop = format!("DROP DATABASE {lasting} WITH (FORCE)");
        assert!(admin.batch_execute(&drop).await.is_err());
    }
    // Who is sent away hears why.
    run(&admin, "CREATE DATABASE shop").await;
    let mut raw = pg::raw::Raw::open(door.local_addr()).await;
    raw.send(&pg::raw::first(b"\0\x03\0\0user\0ann\0database\0shop\0\0"))
        .await;
    raw.until_ready().await;
    run(&admin, "DROP DATABASE shop WITH (FORCE)").await;
    assert_eq!(raw.refused().await, "57P01");
}

/// Those who come and go while it is dropped are in it, or are told that it is not there.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_come_while_a_database_is_dropped() {
    let database = Database::in_memory().unwrap();
    let door = std::sync::Arc::new(pg::open(&database));
    let admin = connect(&door, "velocity").await.unwrap();
    for round in 0..10 {
        run(&admin, "CREATE DATABASE shop").await;
        let come = (0..4).map(|number| {
            let door = std::sync::Arc::clone(&door);
            tokio::spawn(async move {
                for _ in 0..10 {
                    let error = match connect(&door, "shop").await {
                        Ok(client) => {
                            let make = format!(
                                "CREATE TABLE IF NOT EXISTS t{number} (id serial); \
                                 CREATE TEMPORARY TABLE o (id int)"
                            );
                            client.batch_execute(&make).await.err()
                        }
                        Err(error) => Some(error),
                    };
                    // Those who are sent away may find the connection closed.
                    let code = error.as_ref().and_then(|error| error.code());
                    let known = [
                        SqlState::INVALID_CATALOG_NAME,
                        SqlState::OBJECT_IN_USE,
                        SqlState::ADMIN_SHUTDOWN,
                        SqlState::QUERY_CANCELED,
                    ];
                    assert!(code.is_none_or(|code| known.contains(code)), "{error:?}");
                }
            })
        });
        let come: Vec<_> = come.collect();
        match round % 2 {
            0 => {
                while let Err(error) = admin.batch_execute("DROP DATABASE shop").await {
                    assert_eq!(error.code(), Some(&SqlState::OBJECT_IN_USE), "{error:?}");
                }
            }
            _ => run(&admin, "DROP DATABASE shop WITH (FORCE)").await,
        }
        for one in come {
            one.await.unwrap();
        }
        assert!(database.databases().len() == 2 && database.locks().list(10).rows.is_empty());
    }
}
