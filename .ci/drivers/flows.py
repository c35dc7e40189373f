"""Runs the flows of a driver: every function of a module whose name begins with `flow_`."""

import asyncio
import datetime
import decimal
import inspect
import sys
import traceback
import uuid

UTC = datetime.timezone.utc

# Types and values of theirs that Python's drivers send and read as the same.
VALUES_OF_ALL = [
    ("boolean", True),
    ("smallint", -32768),
    ("integer", 2147483647),
    ("bigint", -9223372036854775807),
    ("real", 1.5),
    ("double precision", 0.1),
    ("numeric", decimal.Decimal("12345678901234567890.123")),
    ("text", "text, ünïcödé and 'quotes'"),
    ("varchar(20)", "varchar"),
    ("char(3)", "abc"),
    ("bytea", b"\x00\x01\xfe\xff"),
    ("date", datetime.date(2024, 2, 29)),
    ("timestamp", datetime.datetime(2024, 2, 29, 12, 30, 45, 123456)),
    ("timestamptz", datetime.datetime(2024, 2, 29, 12, 30, 45, 123456, UTC)),
    ("interval", datetime.timedelta(days=3, hours=4, microseconds=5)),
    ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("text[]", ["a", 'b"c', "d,e", "", "NULL"]),
    ("float8[]", [1.5, -2.25]),
    ("uuid[]", [uuid.UUID(int=7)]),
    ("timestamptz[]", [datetime.datetime(2024, 1, 1, tzinfo=UTC)]),
]


def run(module):
    """Runs them, one after the other, and says of each whether it is `ok` or has `failed`."""
    flows = {name: flow for name, flow in vars(module).items() if name.startswith("flow_")}
    for name, flow in flows.items():
        try:
            if inspect.iscoroutinefunction(flow):
                asyncio.run(asyncio.wait_for(flow(), 60))
            else:
                flow()
            print(f"ok {name.removeprefix('flow_')}", flush=True)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            print(f"failed {name.removeprefix('flow_')}", flush=True)


def fails(sqlstate, error):
    """Checks the SQLSTATE of an error of a driver."""
    found = getattr(error, "sqlstate", None)
    assert found == sqlstate, f"{found} instead of {sqlstate}: {error}"
