"""Asks the statements of a server of ColonyOS by psycopg's bare connection to libpq.

It speaks as lib/pq does: a statement without a name and without types is prepared, described, and
run afterwards. Results are asked for as texts, and of what only reads as bytes too.
"""

import json
import os
import sys
from psycopg import pq

import colonies_statements

TYPES = {
    16: "bool", 20: "int8", 23: "int4", 25: "text", 701: "float8", 1009: "text[]", 1114: "timestamp",
    1184: "timestamptz", 1186: "interval", 2278: "void", 3802: "jsonb", 2249: "record",
}
FIELDS = pq.DiagnosticField


def connect(zone):
    where = f"options='-c TimeZone={zone}'" if zone else ""
    connection = pq.PGconn.connect(where.encode())
    assert connection.status == pq.ConnStatus.OK, connection.error_message
    connection.notice_handler = lambda notice: None
    return connection


def text(value):
    """A parameter as lib/pq sends it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, dict):
        return value["time"].encode()
    if isinstance(value, list):
        quoted = ['"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in value]
        return ("{" + ",".join(quoted) + "}").encode()
    return str(value).encode()


def error(result):
    told = lambda field: (result.error_field(field) or b"").decode().replace("\n", " ")
    more = [
        ("detail", FIELDS.MESSAGE_DETAIL), ("hint", FIELDS.MESSAGE_HINT), ("position", FIELDS.STATEMENT_POSITION),
        ("table", FIELDS.TABLE_NAME), ("column", FIELDS.COLUMN_NAME), ("constraint", FIELDS.CONSTRAINT_NAME),
    ]
    line = f"{told(FIELDS.SEVERITY)} {told(FIELDS.SQLSTATE)} {told(FIELDS.MESSAGE_PRIMARY)}"
    return [line + "".join(f" | {name}: {told(field)}" for name, field in more if told(field))]


def is_error(result):
    return result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)


def columns(result):
    if result.nfields == 0:
        return []
    named = (f"{result.fname(n).decode()} {TYPES.get(result.ftype(n), result.ftype(n))}" for n in range(result.nfields))
    return ["columns: " + ", ".join(named)]


def rows(result, masked):
    for row in range(result.ntuples):
        values = []
        for n in range(result.nfields):
            value = result.get_value(row, n)
            if value is not None and result.fname(n).decode() in masked:
                value = b"*"
            values.append(value if value is None else value.decode())
        yield json.dumps(values, ensure_ascii=False)


def ask(connection, case):
    """What is answered to it, in the lines of the file."""
    sql = case.sql.encode()
    if case.parameters is None:
        result = connection.exec_(sql)
        if is_error(result):
            return error(result)
        if result.status == pq.ExecStatus.EMPTY_QUERY:
            return ["empty"]
        return [*columns(result), *rows(result, case.masked), result.command_status.decode()]
    prepared = connection.prepare(b"", sql)
    if is_error(prepared):
        return error(prepared)
    described = connection.describe_prepared(b"")
    types = [TYPES.get(described.param_type(n), described.param_type(n)) for n in range(described.nparams)]
    lines = ["parameters: " + ", ".join(map(str, types)), *columns(described)]
    parameters = [text(value) for value in case.parameters]
    result = connection.exec_prepared(b"", parameters)
    if is_error(result):
        return [*lines, *error(result)]
    lines += [*rows(result, case.masked), result.command_status.decode()]
    if case.sql.startswith("SELECT"):
        # The same again as bytes: there are as many rows, and each value is null or not.
        again = connection.exec_prepared(b"", parameters, result_format=pq.Format.BINARY)
        assert again.ntuples == result.ntuples, (case.sql, again.ntuples)
        places = [(row, n) for row in range(again.ntuples) for n in range(again.nfields)]
        nulls = lambda of: sum(of.get_value(row, n) is None for row, n in places)
        assert nulls(again) == nulls(result), case.sql
    return lines


def main():
    update = os.environ.get("UPDATE_GOLDENFILES")
    is_ours = not os.environ.get("AGAINST_POSTGRES")
    cases = colonies_statements.read()
    connection, zone, answers, sections = connect(None), None, [], {}
    for kind in ["TABLE", "SEQUENCE"]:
        for name in colonies_statements.of_names(kind, cases):
            connection.exec_(f"DROP {kind} IF EXISTS {name}".encode())
    for case in cases:
        if case.zone != zone:
            connection.finish()
            connection, zone = connect(case.zone), case.zone
        answer = ask(connection, case)
        answers.append((case, answer))
        wanted = case.ours if is_ours and case.ours is not None else case.answer
        well = case.comparable(answer) == case.comparable(wanted)
        sections[case.section] = sections.get(case.section, True) and well
        if not well:
            print(case.sql, case.parameters or "", *(f"- {line}" for line in wanted), sep="\n")
            print(*(f"+ {line}" for line in answer), sep="\n")
    if update and not is_ours:
        colonies_statements.write(answers)
    for name, well in sections.items():
        print("ok" if well else "failed", "colonies:", name)


sys.exit(main())
