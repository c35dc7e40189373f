#!/usr/bin/env python3
"""Asks PostgreSQL 15 for the answers of slt/*.slt again and writes them into the scripts.

    slt.py [--check] CONNECTION [SCRIPT...]

CONNECTION is libpq's, e.g. "host=/tmp/socket port=5432 user=postgres": of a server that was made
with `initdb --locale=C --encoding=UTF8`, and a user who may create databases. Without a SCRIPT all
are asked. With --check nothing is written, and what differs is told: PGOPTIONS with other plans
("-c enable_hashjoin=off -c enable_hashagg=off", ...) shows answers that hang on the plan.

A script may be written as bare statements, with an empty line after each: its first lines
(`statement ok`, `query IT rowsort`, the types of columns) are made here. What is asked of a writer:

    statement error     before a statement that is to fail; what fails without it stops the work
    query nosort        where the order of the rows is to hold though no ORDER BY says so

Rows are sorted where the statement has no ORDER BY outside of parentheses. An error is kept as
`SQLSTATE: message`, and so the runner has to show errors. Types are I, R, B and T: integers,
other numbers, booleans, and all else. Line breaks in values are spaces, as the runner takes them.
"""

import ctypes
import os
import re
import sys

INTEGERS, REALS, BOOLEAN = {20, 21, 23}, {700, 701, 1700}, 16
SETTINGS = {"timezone": "UTC", "datestyle": "ISO, MDY", "intervalstyle": "postgres",
            "extra_float_digits": "1", "lc_messages": "C", "client_min_messages": "error"}

pq = ctypes.CDLL("libpq.so.5")
for name, result, arguments in [
    ("PQconnectdb", "p", "s"), ("PQstatus", "i", "p"), ("PQerrorMessage", "s", "p"),
    ("PQfinish", None, "p"), ("PQexec", "p", "ps"), ("PQresultStatus", "i", "p"),
    ("PQresultErrorField", "s", "pi"), ("PQnfields", "i", "p"), ("PQntuples", "i", "p"),
    ("PQftype", "i", "pi"), ("PQgetisnull", "i", "pii"), ("PQgetvalue", "s", "pii"),
    ("PQcmdStatus", "s", "p"), ("PQcmdTuples", "s", "p"), ("PQclear", None, "p"),
]:
    c = {"p": ctypes.c_void_p, "s": ctypes.c_char_p, "i": ctypes.c_int, None: None}
    function = getattr(pq, name)
    function.restype, function.argtypes = c[result], [c[a] for a in arguments]


class Connection:
    def __init__(self, where):
        self.pq = pq.PQconnectdb(where.encode())
        if pq.PQstatus(self.pq) != 0:
            sys.exit(pq.PQerrorMessage(self.pq).decode())

    def run(self, sql):
        """The error as `SQLSTATE: message`, or None; the first letters of the columns, the rows; the tag."""
        result = pq.PQexec(self.pq, sql.encode())
        try:
            status = pq.PQresultStatus(result)
            if status == 7:
                state, message = (pq.PQresultErrorField(result, ord(f)).decode() for f in "CM")
                return f"{state}: {message}", "", [], ""
            fields = range(pq.PQnfields(result))
            types = "".join(letter(pq.PQftype(result, f)) for f in fields) if status == 2 else ""
            rows = [[value(result, row, f) for f in fields] for row in range(pq.PQntuples(result))]
            return None, types, rows, pq.PQcmdStatus(result).decode()
        finally:
            pq.PQclear(result)

    def must(self, sql):
        error = self.run(sql)[0]
        if error:
            sys.exit(error)

    def finish(self):
        pq.PQfinish(self.pq)


def letter(oid):
    return "I" if oid in INTEGERS else "R" if oid in REALS else "B" if oid == BOOLEAN else "T"


def value(result, row, field):
    if pq.PQgetisnull(result, row, field):
        return "NULL"
    return pq.PQgetvalue(result, row, field).decode() or "(empty)"


def is_ordered(sql):
    """Whether there is an ORDER BY outside of parentheses and texts."""
    sql = re.sub(r"--[^\n]*|'(?:[^']|'')*'|\"[^\"]*\"", " ", sql)
    while True:
        inner = re.sub(r"\([^()]*\)", " ", sql)
        if inner == sql:
            return bool(re.search(r"\border\s+by\b", sql, re.I))
        sql = inner


def answered(header, sql, connection):
    """The record with PostgreSQL's answer; the second is what is wrong with it, or None."""
    error, types, rows, tag = connection.run(sql)
    is_to_fail = bool(header) and header[:2] in (["statement", "error"], ["query", "error"])
    if error or is_to_fail:
        wrong = None if error and is_to_fail else error or "does not fail"
        pattern = re.sub(r"([\\.^$*+?()[\]{}|])", r"\\\1", " ".join((error or "").split()))
        return [f"statement error {pattern}".strip(), *sql.split("\n")], wrong
    if not types:
        words = tag.split()
        counted = words and words[0] in ("INSERT", "UPDATE", "DELETE", "MERGE")
        first = f"statement count {words[-1]}" if counted else "statement ok"
        return [first, *sql.split("\n")], None
    sort = ""
    if header and header[-1] == "nosort":
        sort = " nosort"
    elif len(rows) > 1 and not is_ordered(sql):
        sort = " rowsort"
        rows.sort()
    lines = [" ".join(" ".join(row).split()) for row in rows]
    blank = any(not value.strip() for row in rows for value in row) or [] in rows
    wrong = "a value of spaces alone, or a row of no columns, which the runner does not tell" if blank else None
    return [f"query {types}{sort}", *sql.split("\n"), "----", *lines], wrong


def filled(path, text, where):
    """The script with PostgreSQL's answers, from a database of its own, and what is wrong in it."""
    name = "slt_" + re.sub(r"\W", "_", os.path.basename(path))
    server = Connection(f"{where} dbname=postgres")
    server.must("SET client_min_messages = error")
    server.must(f"DROP DATABASE IF EXISTS {name}")
    server.must(f"CREATE DATABASE {name} TEMPLATE template0")
    connection = Connection(f"{where} dbname={name}")
    for setting, to in SETTINGS.items():
        connection.must(f"SET {setting} = '{to}'")
    paragraphs, faults = [], []
    for paragraph in re.split(r"\n{2,}", text.strip("\n")):
        lines = paragraph.split("\n")
        comments = []
        while lines and lines[0].startswith("#"):
            comments.append(lines.pop(0))
        header = lines.pop(0).split() if lines and re.match(r"(statement|query)\b", lines[0]) else None
        if "----" in lines:
            lines = lines[: lines.index("----")]
        if lines:
            lines, wrong = answered(header, "\n".join(lines), connection)
            if wrong:
                faults.append("\n".join([f"{path}: {wrong}", *lines[1:]]))
        paragraphs.append("\n".join(comments + lines))
    connection.finish()
    server.must(f"DROP DATABASE {name}")
    server.finish()
    return "\n\n".join(paragraphs) + "\n", faults


def main():
    words = sys.argv[1:]
    check = "--check" in words
    words = [word for word in words if word != "--check"]
    if not words:
        sys.exit(__doc__)
    directory = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slt")
    scripts = words[1:] or sorted(
        os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".slt"))
    failed = False
    for path in scripts:
        with open(path, encoding="utf-8") as file:
            before = file.read()
        after, faults = filled(path, before, words[0])
        for fault in faults:
            print(fault, end="\n\n")
        if check and before != after:
            pairs = zip(before.split("\n\n"), after.split("\n\n"))
            for old, new in [(o, n) for o, n in pairs if o.strip() != n.strip()]:
                print(f"{path}: differs\n{old}\nnow:\n{new}\n")
        elif not check and not faults:
            with open(path, "w", encoding="utf-8") as file:
                file.write(after)
        failed = failed or bool(faults) or (check and before != after)
    sys.exit(failed)


main()
