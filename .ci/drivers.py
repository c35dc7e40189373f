#!/usr/bin/env python3
"""Has PostgreSQL's drivers do with our server what programs do with them.

What is done is in drivers/, for each driver: psql, psycopg, asyncpg, SQLAlchemy, node-postgres and
lib/pq. All of it runs against PostgreSQL 15, too, to know that it asks for the right thing. The
server is the program that `cargo test` or `cargo build` has made.

What does not go yet is in drivers/not_yet.txt, and has to fail.

    .ci/drivers.py                              against our server
    .ci/drivers.py --only psycopg --only psql   some of it
    .ci/drivers.py --against 127.0.0.1:5432 --user postgres

psql, Go, lib/pq and Node are Debian's; what comes from PyPI and npm is kept beside CARGO_TARGET_DIR.
"""

import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
from served import PROGRAM, Server, environment, kept

PYPI = ["psycopg[binary]==3.3.9", "asyncpg==0.32.0", "SQLAlchemy==2.1.9"]
NPM = ["pg@8.23.1", "pg-cursor@2.22.0", "pg-copy-streams@7.0.0"]
FLOWS = pathlib.Path(__file__).resolve().parent / "drivers"
# What a server of ColonyOS asks; with --against and UPDATE_GOLDENFILES its answers are written anew.
COLONIES = FLOWS.parents[1] / "crates/velocitydb-server/tests/it/colonies/statements.txt"


def flows_of(command, more):
    """Runs a program that does flows: of each its name, and whether all was well."""
    done = subprocess.Popen(command, env={**os.environ, **more}, stdout=subprocess.PIPE, text=True)
    # One that hangs is none that goes on.
    timer = threading.Timer(600, done.kill)
    timer.start()
    for line in done.stdout:
        print("   ", line, end="", flush=True)
        word, _, name = line.strip().partition(" ")
        if word in ("ok", "failed"):
            yield name, word == "ok"
    timer.cancel()
    if done.wait() != 0:
        yield "(to its end)", False


def of_python(*names):
    def flows(where):
        python = environment("drivers", PYPI) / "python"
        for name in names:
            yield from flows_of([python, FLOWS / f"{name}.py"], {**where, "PYTHONDONTWRITEBYTECODE": "1"})

    return flows


def of_node(where):
    def make(home):
        subprocess.run(["npm", "install", "--silent", "--no-save", "--prefix", home, *NPM], check=True)

    modules = kept("node", NPM, make) / "node_modules"
    return flows_of(["node", FLOWS / "node_postgres_flows.js"], {**where, "NODE_PATH": str(modules)})


def of_go(where):
    cache = kept("go", [], lambda home: home.mkdir(exist_ok=True))
    debian = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(cache)}
    where = {**where, **debian, "PGSSLMODE": "disable"}
    yield from flows_of(["go", "run", FLOWS / "lib_pq_flows.go"], where)
    yield from flows_of(["go", "run", FLOWS / "lib_pq_colonies.go", COLONIES], where)


def of_psql(where):
    """What it shows is what it shows of PostgreSQL 15."""
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    for script in sorted(FLOWS.glob("psql_*.sql")):
        command = ["psql", "-X", "-f", script]
        shown = subprocess.run(command, env={**os.environ, **where}, timeout=60, **output).stdout
        shown = re.sub(r"^psql:.*:(\d+): ", r"line \1: ", shown, flags=re.MULTILINE)
        shown = re.sub(r" with PID \d+\.", ".", shown)
        wanted = script.with_suffix(".out")
        if os.environ.get("UPDATE_GOLDENFILES"):
            wanted.write_text(shown)
        lines = [text.splitlines(keepends=True) for text in [wanted.read_text(), shown]]
        sys.stdout.writelines(difflib.unified_diff(*lines, wanted.name, "shown"))
        yield script.stem.removeprefix("psql_"), lines[0] == lines[1]


DRIVERS = {
    "psql": of_psql,
    "psycopg": of_python("psycopg_flows", "psycopg_colonies"),
    "asyncpg": of_python("asyncpg_flows"),
    "sqlalchemy": of_python("sqlalchemy_flows"),
    "node-postgres": of_node,
    "lib/pq": of_go,
}


def check(names, address, user, known, more):
    """Runs them; what was not as it is known to be."""
    host, port = address
    where = {"PGHOST": host, "PGPORT": port, "PGUSER": user, "PGDATABASE": "postgres", "TZ": "UTC", **more}
    wrong = []
    for driver in names:
        print(f"{driver}:", flush=True)
        for name, well in DRIVERS[driver](where):
            flow = f"{driver} {name}"
            if well == (flow in known):
                wrong.append(f"{flow} {'goes: strike it from not_yet.txt' if well else 'has failed'}")
    return wrong


def main():
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--only", action="append", choices=list(DRIVERS))
    reader.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    reader.add_argument("--against", help="host and port of a PostgreSQL that runs")
    reader.add_argument("--user", default="ann")
    options = reader.parse_args()
    names = options.only or list(DRIVERS)
    if options.against:
        peer = {"AGAINST_POSTGRES": "1"}
        wrong = check(names, options.against.rsplit(":", 1), options.user, [], peer)
    else:
        not_yet = (FLOWS / "not_yet.txt").read_text().splitlines()
        known = [line.split(":")[0] for line in not_yet if not line.startswith("#")]
        with tempfile.TemporaryDirectory(prefix="velocitydb-drivers-") as directory:
            with Server(options.program, pathlib.Path(directory), ["--postgres", "127.0.0.1:0"]) as server:
                wrong = check(names, server.postgres, options.user, known, {})
    if wrong:
        raise SystemExit("\n".join(wrong))


main()
