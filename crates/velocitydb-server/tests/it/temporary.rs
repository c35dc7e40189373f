//! Temporary tables over the wire: whose they are, and when they go.

use bytes::Bytes;
use futures_util::SinkExt;
use velocitydb::Database;

use crate::pg;

#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_are_a_client_s_own_and_go_with_it() {
    let database = Database::in_memory().unwrap();
    let door = pg::open(&database);
    let client = pg::client(&door).await;
    let create = "CREATE TABLE tasks (id int)";
    client.batch_execute(create).await.unwrap();
    client
        .batch_execute(
            "CREATE TEMP TABLE tasks (a text);
             CREATE TEMP TABLE passing (a int) ON COMMIT DELETE ROWS;
             INSERT INTO passing VALUES (1)",
        )
        .await
        .unwrap();
    for (insert, kept) in [
        ("INSERT INTO tasks VALUES ('a')", 1),
        ("INSERT INTO passing VALUES (1)", 0),
    ] {
        let table = insert.split(' ').nth(2).unwrap();
        client.execute(insert, &[]).await.unwrap();
        let count = format!("SELECT count(*) FROM {table}");
        let row = client.query_one(&count, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), kept, "{table}");
    }
    let sink = client.copy_in("COPY passing FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let count = "SELECT count(*) FROM passing";
    let row = client.query_one(count, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    let other = pg::client(&door).await;
    assert!(other.query("SELECT a FROM tasks", &[]).await.is_err());
    assert_eq!(database.collections().len(), 3);
    drop(client);
    let gone = async {
        while database.collections().len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, gone).await.unwrap();
}
