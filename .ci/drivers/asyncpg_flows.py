"""What programs do with asyncpg: it speaks the extended protocol and binary formats alone."""

import asyncio
import datetime
import json
import os
import sys

import asyncpg

from flows import UTC, VALUES_OF_ALL, fails, run


async def connect():
    return await asyncpg.connect(statement_cache_size=100)


async def table(connection, name, columns):
    await connection.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns})")


VALUES = [
    *VALUES_OF_ALL,
    ("json", '{"a": [1, null, "x"]}'),
    ("jsonb", '{"a": [1, null, "x"]}'),
    ("int[]", [1, 2, 3]),
    ("bigint[]", [9007199254740993, None]),
    ("point", asyncpg.Point(1.5, -2)),
]


async def flow_values_of_every_type_both_ways():
    connection = await connect()
    for at, (name, value) in enumerate(VALUES):
        await table(connection, f"a{at}", f"id int PRIMARY KEY, v {name}")
        await connection.execute(f"INSERT INTO a{at} VALUES ($1, $2)", 1, value)
        await connection.execute(f"INSERT INTO a{at} VALUES ($1, $2)", 2, None)
        rows = await connection.fetch(f"SELECT v FROM a{at} ORDER BY id")
        found = [json.loads(row["v"]) if name.startswith("json") and row["v"] else row["v"] for row in rows]
        wanted = json.loads(value) if name.startswith("json") else value
        assert found == [wanted, None], (name, found)
    await connection.close()


async def flow_json_as_values():
    connection = await connect()
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    assert await connection.fetchval("SELECT $1::jsonb", {"a": [1]}) == {"a": [1]}
    await connection.close()


async def flow_rows_and_statements():
    connection = await connect()
    await table(connection, "rows", "id bigserial PRIMARY KEY, v text NOT NULL")
    status = await connection.execute("INSERT INTO rows (v) SELECT 'x' WHERE false")
    assert status == "INSERT 0 0", status
    await connection.executemany("INSERT INTO rows (v) VALUES ($1)", [(str(n),) for n in range(100)])
    row = await connection.fetchrow("SELECT id, v FROM rows WHERE v = $1", "7")
    assert (row["id"], dict(row)) == (8, {"id": 8, "v": "7"})
    statement = await connection.prepare("SELECT v FROM rows WHERE id = $1")
    assert [parameter.name for parameter in statement.get_parameters()] == ["int8"]
    assert [attribute.type.name for attribute in statement.get_attributes()] == ["text"]
    assert await statement.fetchval(3) == "2"
    assert await connection.fetch("SELECT id FROM rows WHERE id = ANY($1::bigint[]) ORDER BY id", [1, 2]) == [(1,), (2,)]
    found = await connection.fetchmany("INSERT INTO rows (v) VALUES ($1) RETURNING v", [("a",), ("b",)])
    assert found == [("a",), ("b",)]
    await connection.close()


async def flow_errors():
    connection = await connect()
    await table(connection, "aerrors", "id int PRIMARY KEY, n int NOT NULL")
    await connection.execute("INSERT INTO aerrors VALUES (1, 1)")
    for kind, sql in [
        (asyncpg.UniqueViolationError, "INSERT INTO aerrors VALUES (1, 1)"),
        (asyncpg.NotNullViolationError, "INSERT INTO aerrors VALUES (2, NULL)"),
        (asyncpg.UndefinedTableError, "SELECT * FROM nowhere"),
        (asyncpg.PostgresSyntaxError, "SELEC 1"),
        (asyncpg.DivisionByZeroError, "SELECT 1 / 0"),
    ]:
        for run_it in [connection.execute, connection.fetch]:
            try:
                await run_it(sql)
            except kind as error:
                fails(kind.sqlstate, error)
            else:
                raise AssertionError(sql)
    try:
        await connection.fetchval("SELECT $1::int", "x")
    except asyncpg.DataError:
        pass
    await connection.close()


async def flow_transactions():
    connection = await connect()
    await table(connection, "aaccounts", "id int PRIMARY KEY, n int")
    await connection.execute("INSERT INTO aaccounts VALUES (1, 1)")
    for options in [
        {},
        {"isolation": "repeatable_read"},
        {"isolation": "serializable"},
        {"isolation": "serializable", "readonly": True},
        {"isolation": "serializable", "readonly": True, "deferrable": True},
    ]:
        async with connection.transaction(**options):
            assert await connection.fetchval("SELECT count(*) FROM aaccounts") == 1
    try:
        async with connection.transaction():
            await connection.execute("DELETE FROM aaccounts")
            async with connection.transaction():
                await connection.execute("SELECT 1 / 0")
    except asyncpg.DivisionByZeroError:
        pass
    assert await connection.fetchval("SELECT count(*) FROM aaccounts") == 1
    async with connection.transaction():
        try:
            async with connection.transaction():
                await connection.execute("DELETE FROM aaccounts")
                raise ValueError
        except ValueError:
            pass
        assert await connection.fetchval("SELECT count(*) FROM aaccounts") == 1
    await connection.close()


async def flow_rows_in_parts():
    connection = await connect()
    await table(connection, "parts", "id int PRIMARY KEY")
    await connection.executemany("INSERT INTO parts VALUES ($1)", [(n,) for n in range(5000)])
    async with connection.transaction():
        seen = [row["id"] async for row in connection.cursor("SELECT id FROM parts ORDER BY id", prefetch=70)]
        assert seen == list(range(5000))
        cursor = await connection.cursor("SELECT id FROM parts ORDER BY id")
        assert await cursor.fetch(3) == [(0,), (1,), (2,)]
        assert await cursor.fetchrow() == (3,)
        await cursor.forward(10)
        assert await cursor.fetchrow() == (14,)
    await connection.close()


async def flow_cancel_and_timeout():
    connection, holder = await connect(), await connect()
    await table(connection, "aheld", "id int PRIMARY KEY")
    await connection.execute("INSERT INTO aheld VALUES (1)")
    async with holder.transaction():
        await holder.execute("UPDATE aheld SET id = id")
        try:
            await connection.execute("UPDATE aheld SET id = id", timeout=0.2)
        except asyncio.TimeoutError:
            pass
        else:
            raise AssertionError("not timed out")
        assert await connection.fetchval("SELECT 1") == 1
        await connection.execute("SET statement_timeout = '100ms'")
        try:
            await connection.execute("UPDATE aheld SET id = id")
        except asyncpg.QueryCanceledError as error:
            fails("57014", error)
        else:
            raise AssertionError("not cancelled")
    await connection.close()
    await holder.close()


async def flow_copy():
    connection = await connect()
    await table(connection, "acopied", "id int PRIMARY KEY, v text, at timestamptz")
    at = datetime.datetime(2024, 1, 1, tzinfo=UTC)
    rows = [(n, None if n % 3 == 0 else f"a,b {n}", at) for n in range(1000)]
    status = await connection.copy_records_to_table("acopied", records=rows)
    assert status == "COPY 1000", status
    assert await connection.fetch("SELECT * FROM acopied ORDER BY id") == rows
    parts = []

    async def keep(data):
        parts.append(data)

    query = "SELECT id, v FROM acopied ORDER BY id LIMIT 2"
    assert await connection.copy_from_query(query, output=keep, format="csv") == "COPY 2"
    assert b"".join(parts) == b"0,\n1,\"a,b 1\"\n", parts
    await connection.close()


async def flow_notifications():
    connection, other = await connect(), await connect()
    heard = asyncio.Queue()
    await connection.add_listener("anews", lambda *message: heard.put_nowait(message[2:]))
    await other.execute("SELECT pg_notify('anews', $1)", "hello")
    assert await asyncio.wait_for(heard.get(), 10) == ("anews", "hello")
    await connection.close()
    await other.close()


async def flow_pool():
    async with asyncpg.create_pool(min_size=2, max_size=5) as pool:
        assert await asyncio.gather(*[pool.fetchval("SELECT $1::int", n) for n in range(50)]) == list(range(50))
        async with pool.acquire() as connection:
            await connection.execute("SET application_name = 'pooled'")
        # Given back, a connection is reset.
        assert await asyncio.gather(*[pool.fetchval("SHOW application_name") for _ in range(5)]) == [""] * 5


async def flow_what_the_session_says():
    connection = await asyncpg.connect(server_settings={"application_name": "flows"})
    assert connection.get_server_version()[0] == 15
    assert connection.get_settings().application_name == "flows"
    assert connection.get_server_pid() == await connection.fetchval("SELECT pg_backend_pid()")
    assert "PostgreSQL 15" in await connection.fetchval("SELECT version()")
    assert await connection.fetchval("SELECT current_database()") == os.environ["PGDATABASE"]
    await connection.reset()
    await connection.close()


run(sys.modules[__name__])
