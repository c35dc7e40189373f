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
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request

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
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "velocitydb-target")
# Nothing here goes through a proxy but the packages.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def environment():
    """The virtual environment with what is required: the path of its programs."""
    home = TARGET.with_name(TARGET.name + "-python")
    programs, stamp = home / "bin", home / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS) + "\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        install = [programs / "python", "-m", "pip", "install", "--quiet", *REQUIREMENTS]
        subprocess.run(install, check=True)
        stamp.write_text(wanted)
    return programs


class Server:
    """A server over the sample, in a directory of its own."""

    def __init__(self, program, directory):
        self.log = directory / "server.log"
        # As many transactions as are begun, for as long as this takes: a refusal for want of room
        # is right, and would hide what is not.
        options = ["--transactions", "1000000", "--transaction-timeout", "5min"]
        options += ["--transaction-idle-timeout", "5min", "--http", "127.0.0.1:0"]
        command = [program, "serve", "--sample", "--data", directory / "data", *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.url = None
        for line in self.process.stdout:
            if " serves http://" in line:
                self.url = line.split(" serves ")[1].strip()
            if line.startswith("Ctrl-C stops"):
                break
        else:
            raise SystemExit(f"the server does not start:\n{self.log.read_text()}")
        # It must never wait for a reader of what it says.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def ask(self, method, path, body=None):
        """The answer as JSON. Anything but success is an error."""
        body = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, body, method=method)
        request.add_header("content-type", "application/json")
        with DIRECT.open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def answers(self):
        """How many answers there were of each kind: {"2xx": …}."""
        with DIRECT.open(self.url + "/metrics", timeout=60) as metrics:
            lines = metrics.read().decode().splitlines()
        found = {}
        for line in lines:
            status = re.match(r'\w*http_requests_total\{.*status="(\d)', line)
            if status:
                kind = status[1] + "xx"
                found[kind] = found.get(kind, 0) + int(float(line.rsplit(" ", 1)[1]))
        return found

    def stop(self):
        """Asks it to stop; its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


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
    reader.add_argument("--program", type=pathlib.Path, default=TARGET / "debug" / "velocitydb")
    options = reader.parse_args()
    if not options.program.exists():
        raise SystemExit(f"{options.program} is not there: cargo build --package velocitydb-cli")
    # Whoever ends this ends the server with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {options.seed}, {options.examples} examples")
    programs = environment()
    with tempfile.TemporaryDirectory(prefix="velocitydb-fuzz-") as directory:
        directory = pathlib.Path(directory)
        server = Server(options.program, directory)
        try:
            well = fuzz(programs, server, directory, prepare(server), options)
            server.ask("GET", "/health/ready")
            print("answers:", server.answers())
            status = server.stop()
        except BaseException:
            server.process.kill()
            print(server.log.read_text()[-10_000:], file=sys.stderr)
            raise
        if status != 0:
            raise SystemExit(f"the server stopped with {status}:\n{server.log.read_text()[-10_000:]}")
    if not well:
        raise SystemExit(f"answers were not as described: again with --seed {options.seed}")


main()
