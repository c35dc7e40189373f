"""What programs do with psycopg 3."""

import datetime
import decimal
import sys
import threading

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Json, Jsonb

from flows import UTC, VALUES_OF_ALL, fails, run


def connect(**options):
    return psycopg.connect(autocommit=True, **options)


def table(connection, name, columns):
    connection.execute(f"DROP TABLE IF EXISTS {name}")
    connection.execute(f"CREATE TABLE {name} ({columns})")


VALUES = [
    *VALUES_OF_ALL,
    ("numeric(10,2)", decimal.Decimal("1.50")),
    ("json", {"a": [1, None, "x"]}),
    ("jsonb", {"a": [1, None, "x"]}),
    ("int[]", [1, 2, 3]),
    ("bigint[]", [9007199254740993, 1]),
    ("boolean[]", [True, False]),
    ("int[]", [1, None, 3]),
]


def flow_values_of_every_type_both_ways():
    with connect() as connection:
        for at, (name, value) in enumerate(VALUES):
            table(connection, f"v{at}", f"id int PRIMARY KEY, v {name}")
            sent = {"json": Json, "jsonb": Jsonb}.get(name, lambda value: value)(value)
            for parameter in ["%s", "%b", "%t"]:
                connection.execute(f"DELETE FROM v{at}")
                try:
                    connection.execute(f"INSERT INTO v{at} VALUES (1, {parameter})", [sent])
                except psycopg.NotSupportedError:
                    raise
                except psycopg.ProgrammingError as error:
                    # The driver itself has no such format.
                    assert error.sqlstate is None, (name, parameter, error)
                    continue
                connection.execute(f"INSERT INTO v{at} VALUES (2, {parameter})", [None])
                for binary in [False, True]:
                    cursor = connection.cursor(binary=binary)
                    cursor.execute(f"SELECT v FROM v{at} ORDER BY id")
                    assert cursor.fetchall() == [(value,), (None,)], (name, parameter, binary)


def flow_rows_by_name():
    with connect(row_factory=dict_row) as connection:
        table(connection, "people", "id bigint PRIMARY KEY, name text NOT NULL, born date")
        insert = "INSERT INTO people VALUES (%(id)s, %(name)s, %(born)s)"
        cursor = connection.cursor()
        cursor.executemany(insert, [
            {"id": n, "name": f"name {n}", "born": datetime.date(1990, 1, n)} for n in range(1, 6)
        ])
        assert cursor.rowcount == 5
        rows = connection.execute("SELECT * FROM people WHERE id = ANY(%s) ORDER BY id", [[2, 4]])
        assert [row["name"] for row in rows] == ["name 2", "name 4"]
        cursor.execute("SELECT id, name, born FROM people LIMIT 0")
        assert [column.name for column in cursor.description] == ["id", "name", "born"]
        assert [column.type_code for column in cursor.description] == [20, 25, 1082]


def flow_returning():
    with connect() as connection:
        table(connection, "numbered", "id bigserial PRIMARY KEY, v text DEFAULT 'none'")
        insert = "INSERT INTO numbered (v) VALUES (%s) RETURNING id, v"
        cursor = connection.cursor()
        cursor.executemany(insert, [("a",), ("b",)], returning=True)
        found = []
        while True:
            found += cursor.fetchall()
            if not cursor.nextset():
                break
        assert found == [(1, "a"), (2, "b")], found
        assert connection.execute("INSERT INTO numbered DEFAULT VALUES RETURNING v").fetchone() == ("none",)


def flow_errors():
    with connect() as connection:
        table(connection, "errors", "id int PRIMARY KEY, n int NOT NULL CHECK (n > 0)")
        connection.execute("INSERT INTO errors VALUES (1, 1)")
        for sqlstate, kind, sql in [
            ("23505", psycopg.errors.UniqueViolation, "INSERT INTO errors VALUES (1, 1)"),
            ("23502", psycopg.errors.NotNullViolation, "INSERT INTO errors VALUES (2, NULL)"),
            ("23514", psycopg.errors.CheckViolation, "INSERT INTO errors VALUES (2, -1)"),
            ("42P01", psycopg.errors.UndefinedTable, "SELECT * FROM nowhere"),
            ("42703", psycopg.errors.UndefinedColumn, "SELECT nothing FROM errors"),
            ("42601", psycopg.errors.SyntaxError, "SELEC 1"),
            ("22012", psycopg.errors.DivisionByZero, "SELECT 1 / 0"),
            ("22P02", psycopg.errors.InvalidTextRepresentation, "SELECT 'x'::int"),
        ]:
            try:
                connection.execute(sql)
            except kind as error:
                fails(sqlstate, error)
            else:
                raise AssertionError(sql)
        try:
            connection.execute("INSERT INTO errors VALUES (%s, %s)", [1, 1])
        except psycopg.errors.UniqueViolation as error:
            assert error.diag.constraint_name == "errors_pkey"
            assert error.diag.table_name == "errors"
            assert error.diag.message_detail == "Key (id)=(1) already exists."


def flow_transactions():
    with connect() as connection, connect() as other:
        table(connection, "accounts", "id int PRIMARY KEY, balance int")
        connection.execute("INSERT INTO accounts VALUES (1, 100), (2, 0)")
        with connection.transaction():
            connection.execute("UPDATE accounts SET balance = balance - 10 WHERE id = 1")
            try:
                with connection.transaction():
                    connection.execute("UPDATE accounts SET balance = balance / 0 WHERE id = 2")
            except psycopg.errors.DivisionByZero:
                pass
            connection.execute("UPDATE accounts SET balance = balance + 10 WHERE id = 2")
            assert other.execute("SELECT balance FROM accounts ORDER BY id").fetchall() == [(100,), (0,)]
        assert other.execute("SELECT balance FROM accounts ORDER BY id").fetchall() == [(90,), (10,)]
        try:
            with connection.transaction():
                connection.execute("DELETE FROM accounts")
                raise ValueError
        except ValueError:
            pass
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (2,)
    # Without autocommit the driver begins transactions by itself.
    with psycopg.connect() as connection:
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        connection.execute("DELETE FROM accounts WHERE id = 1")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        try:
            connection.execute("SELECT nothing FROM accounts")
        except psycopg.errors.UndefinedColumn:
            pass
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        try:
            connection.execute("SELECT 1")
        except psycopg.errors.InFailedSqlTransaction:
            pass
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (2,)


def flow_isolation_levels():
    with psycopg.connect() as connection, connect() as other:
        table(other, "levels", "id int PRIMARY KEY, n int")
        other.execute("INSERT INTO levels VALUES (1, 1)")
        for level in [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE]:
            connection.isolation_level = level
            connection.execute("SELECT n FROM levels")
            other.execute("UPDATE levels SET n = n + 1")
            try:
                connection.execute("UPDATE levels SET n = n + 1")
            except psycopg.errors.SerializationFailure:
                connection.rollback()
            else:
                raise AssertionError(level)
        connection.isolation_level = None
        connection.read_only = True
        try:
            connection.execute("UPDATE levels SET n = 0")
        except psycopg.errors.ReadOnlySqlTransaction as error:
            fails("25006", error)
        else:
            raise AssertionError("read only")


def flow_migrations():
    """A migration is a transaction with its own version table, as those of Alembic and Django."""
    with connect() as connection:
        connection.execute("DROP TABLE IF EXISTS migrated, migrated_to, migration_versions")
        table(connection, "migration_versions", "version text PRIMARY KEY")
        table(connection, "migrated", "id serial PRIMARY KEY, name text")
        connection.execute("INSERT INTO migrated (name) VALUES ('a'), ('b')")

    def migrate(connection, version):
        connection.execute("ALTER TABLE migrated ADD COLUMN born int")
        connection.execute("UPDATE migrated SET born = %s + id", [1800])
        connection.execute("ALTER TABLE migrated ALTER COLUMN born SET NOT NULL")
        connection.execute("CREATE UNIQUE INDEX migrated_name ON migrated (name)")
        connection.execute("CREATE TABLE migrated_to (id serial PRIMARY KEY, m int REFERENCES migrated)")
        connection.execute("INSERT INTO migrated_to (m) SELECT id FROM migrated")
        connection.execute("INSERT INTO migration_versions VALUES (%s)", [version])

    with psycopg.connect() as connection, connect() as other:
        migrate(connection, "1")
        connection.rollback()
        assert other.execute("SELECT * FROM migrated ORDER BY id").fetchall() == [(1, "a"), (2, "b")]
        migrate(connection, "1")
        assert other.execute("SELECT count(*) FROM migration_versions").fetchone() == (0,)
        connection.commit()
        found = other.execute("SELECT name, born FROM migrated ORDER BY id").fetchall()
        assert found == [("a", 1801), ("b", 1802)], found
        assert other.execute("SELECT count(*) FROM migrated_to").fetchone() == (2,)


def flow_prepared_statements():
    with connect() as connection:
        connection.prepare_threshold = 0
        for n in range(20):
            found = connection.execute("SELECT %s::int + 1, %s::text", [n, str(n)]).fetchone()
            assert found == (n + 1, str(n))
        for n in range(300):  # more than are kept: the driver closes the oldest
            assert connection.execute(f"SELECT {n}, %s::int", [n]).fetchone() == (n, n)


def flow_many_rows():
    with connect() as connection:
        table(connection, "many", "id int PRIMARY KEY, v text")
        rows = [(n, f"value {n}") for n in range(5000)]
        connection.cursor().executemany("INSERT INTO many VALUES (%s, %s)", rows)
        assert connection.execute("SELECT id, v FROM many ORDER BY id").fetchall() == rows
        seen = [row[0] for row in connection.cursor().stream("SELECT id FROM many ORDER BY id")]
        assert seen == list(range(5000))


def flow_server_side_cursor():
    with psycopg.connect() as connection:
        with connection.cursor(name="parts") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT id FROM many ORDER BY id")
            assert cursor.fetchmany(7) == [(n,) for n in range(7)]
            assert sum(1 for _ in cursor) == 5000 - 7


def flow_pipeline():
    with connect() as connection:
        table(connection, "piped", "id int PRIMARY KEY")
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("INSERT INTO piped VALUES (%s) RETURNING id", [n]) for n in range(50)]
            pipeline.sync()
            assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(50)]
        try:
            with connection.pipeline():
                connection.execute("INSERT INTO piped VALUES (100)")
                connection.execute("INSERT INTO piped VALUES (1)")
        except psycopg.errors.UniqueViolation:
            pass
        assert connection.execute("SELECT count(*) FROM piped WHERE id = 100").fetchone() == (0,)


def flow_cancel():
    with connect() as connection:
        table(connection, "held", "id int PRIMARY KEY")
        connection.execute("INSERT INTO held VALUES (1)")
        with psycopg.connect() as holder:
            holder.execute("UPDATE held SET id = id WHERE id = 1")
            ended = threading.Event()

            def cancel():
                # One that comes before the statement runs ends nothing.
                while not ended.wait(0.05):
                    connection.cancel_safe()

            canceller = threading.Thread(target=cancel)
            canceller.start()
            try:
                connection.execute("UPDATE held SET id = id WHERE id = 1")
            except psycopg.errors.QueryCanceled as error:
                fails("57014", error)
            else:
                raise AssertionError("not cancelled")
            finally:
                ended.set()
                canceller.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def flow_copy():
    with connect() as connection:
        table(connection, "copied", "id int PRIMARY KEY, v text, at timestamptz")
        at = datetime.datetime(2024, 1, 1, tzinfo=UTC)
        rows = [(n, None if n % 3 == 0 else f"a\tb\\{n}\n", at) for n in range(1000)]
        for form in ["", " (FORMAT binary)"]:
            connection.execute("DELETE FROM copied")
            cursor = connection.cursor()
            with cursor.copy("COPY copied (id, v, at) FROM STDIN" + form) as copy:
                if form:
                    copy.set_types(["int4", "text", "timestamptz"])
                for row in rows:
                    copy.write_row(row)
            assert cursor.rowcount == 1000
            with cursor.copy("COPY copied TO STDOUT" + form) as copy:
                copy.set_types(["int4", "text", "timestamptz"])
                assert sorted(copy.rows()) == rows
        with connection.cursor().copy("COPY copied TO STDOUT (FORMAT csv, HEADER)") as copy:
            text = b"".join(copy).decode()
        assert text.startswith("id,v,at\n"), text[:50]
        try:
            with connection.cursor().copy("COPY copied FROM STDIN") as copy:
                copy.write("x\ty\tz\n")
        except psycopg.errors.InvalidTextRepresentation:
            pass
        assert connection.execute("SELECT count(*) FROM copied").fetchone() == (1000,)


def flow_notifications():
    with connect() as listener, connect() as other:
        listener.execute("LISTEN news")
        other.execute("NOTIFY news, 'hello'")
        other.execute("SELECT pg_notify('news', 'again')")
        heard = [(n.channel, n.payload, n.pid) for n in listener.notifies(timeout=10, stop_after=2)]
        process_id = other.info.backend_pid
        assert heard == [("news", "hello", process_id), ("news", "again", process_id)], heard
        listener.execute("UNLISTEN *")


def flow_what_the_session_says():
    with connect(application_name="flows", options="-c statement_timeout=5s") as connection:
        info = connection.info
        assert info.server_version // 10000 == 15 and info.encoding == "utf-8"
        assert info.parameter_status("standard_conforming_strings") == "on"
        assert info.parameter_status("integer_datetimes") == "on"
        assert info.parameter_status("application_name") == "flows"
        assert connection.execute("SHOW statement_timeout").fetchone() == ("5s",)
        assert "PostgreSQL 15" in connection.execute("SELECT version()").fetchone()[0]
        found = connection.execute("SELECT current_user, current_database(), current_schema()").fetchone()
        assert found == (info.user, info.dbname, "public"), found
        assert connection.execute("SELECT pg_backend_pid()").fetchone() == (info.backend_pid,)
        connection.execute("SET TimeZone = 'Europe/Berlin'")
        assert str(info.timezone) == "Europe/Berlin"
        connection.execute("SELECT set_config('TimeZone', %s, false)", ["UTC"])
        assert str(info.timezone) == "UTC"
        connection.execute("SET client_encoding TO 'UTF8'")
        connection.execute("RESET ALL")
        connection.execute("DISCARD ALL")


run(sys.modules[__name__])
