#!/usr/bin/env python3
"""Asks a server whatever its own description of the API allows, and much that it does not.

The description at /v1/openapi.json is checked for being one (openapi-spec-validator), then requests
are made of it (schemathesis): no answer may be a 5xx, and each must be one that the description has,
in status, type, headers and body. The server is the program that `cargo test` or `cargo build` has
made, on a port of loopback, over the sample and a collection with indexes of texts and places.
Streams of changes are left out, since they have no end. Afterwards the server must still answer,
and stop cleanly.

    .ci/fuzz_api.py                        with the seed that CI has
    .ci/fuzz_api.py --seed 7 --examples 200

What it needs from PyPI is kept in a virtual environment beside CARGO_TARGET_DIR.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from served import PROGRAM, Server, environment

REQUIREMENTS = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"]
# All but those that ask for a policy instead of a promise: `unsupported_method` wants 405 even of a
# request whose headers cannot be read.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
]
HERE = pathlib.Path(__file__).resolve().parent


def prepare(server):
    """Makes what the sample has not: a collection with all kinds of indexes, open transactions."""
    fields = [{"name": "at", "type": "point"}, {"name": "text", "type": "string"}]
    server.ask("POST", "/v1/collections", {"name": "places", "schema": {"fields": fields}})
    for index in [
        {"name": "words", "kind": "full_text", "fields": ["text"], "language": "english"},
        {"name": "map", "kind": "geo", "fields": ["at"]},
        {"name": "order", "kind": "btree", "fields": ["n"]},
        {"name": "equal", "kind": "hash", "fields": ["n"]},
    ]:
        server.ask("POST", "/v1/collections/places/indexes", index)
    for n in range(100):
        at = {"type": "Point", "coordinates": [n * 3.5 - 175, n * 1.7 - 85]}
        document = {"at": at, "text": f"the quick brown fox number {n}", "n": n}
        server.ask("PUT", f"/v1/collections/places/documents/{n}", document)
    return [server.ask("POST", "/v1/transactions", {})["id"] for _ in range(16)]


def fuzz(programs, server, directory, transactions, options):
    """Runs the checks; whether all is well."""
    description = directory / "openapi.json"
    description.write_text(json.dumps(server.ask("GET", "/v1/openapi.json")))
    subprocess.run([programs / "openapi-spec-validator", description], check=True)
    settings = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "fuzz_api_hooks",
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FUZZ_API_TRANSACTIONS": ",".join(transactions),
        "NO_PROXY": "127.0.0.1",
    }
    command = [programs / "st", "run", description, "--url", server.url, "--no-color"]
    command += ["--seed", str(options.seed), "--max-examples", str(options.examples)]
    command += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--warnings", "off"]
    command += ["--exclude-path-regex", "/changes$", "--generation-database", "none"]
    well = True
    # What is wrong in one way each, and what the description allows, at random.
    for more in [["--phases", "examples,coverage"], ["--phases", "fuzzing", "--mode", "positive"]]:
        well &= subprocess.run(command + more, cwd=directory, env=settings).returncode == 0
    return well


def main():
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--seed", type=int, default=20130101)
    reader.add_argument("--examples", type=int, default=8, help="for each operation, at random")
    reader.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    options = reader.parse_args()
    print(f"seed {options.seed}, {options.examples} examples")
    programs = environment("python", REQUIREMENTS)
    # As many transactions as are begun, for as long as this takes: a refusal for want of room is
    # right, and would hide what is not.
    more = ["--sample", "--transactions", "1000000", "--transaction-timeout", "5min"]
    more += ["--transaction-idle-timeout", "5min"]
    with tempfile.TemporaryDirectory(prefix="velocitydb-fuzz-") as directory:
        directory = pathlib.Path(directory)
        with Server(options.program, directory, more) as server:
            well = fuzz(programs, server, directory, prepare(server), options)
    if not well:
        raise SystemExit(f"answers were not as described: again with --seed {options.seed}")


main()
