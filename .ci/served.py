"""What the steps of CI share that ask a server: the program, its server, packages of PyPI."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import urllib.request

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "velocitydb-target")
# What `cargo test` or `cargo build` has made.
PROGRAM = TARGET / "debug" / "velocitydb"
# Nothing here goes through a proxy but the packages.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def kept(kind, wanted, make):
    """A folder beside the target directory, made again when something else is wanted of it."""
    home = TARGET.with_name(f"{TARGET.name}-{kind}")
    stamp, wanted = home / "requirements.txt", "\n".join(wanted) + "\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        make(home)
        stamp.write_text(wanted)
    return home


def environment(kind, requirements):
    """A virtual environment with these packages of PyPI: the path of its programs."""

    def make(home):
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(install, check=True)

    return kept(kind, requirements, make) / "bin"


class Server:
    """A server in a directory of its own."""

    def __init__(self, program, directory, options):
        if not program.exists():
            raise SystemExit(f"{program} is not there: cargo build --package velocitydb-cli")
        # Whoever ends this ends the server with it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.log = directory / "server.log"
        command = [program, "serve", "--data", directory / "data", "--http", "127.0.0.1:0", *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.url = None
        # Host and port for PostgreSQL's clients.
        self.postgres = None
        for line in self.process.stdout:
            if " serves http://" in line:
                self.url = line.split(" serves ")[1].strip()
            if line.startswith("PostgreSQL: "):
                self.postgres = line.split()[3::2]
            if line.startswith("Ctrl-C stops"):
                break
        else:
            raise SystemExit(f"the server does not start:\n{self.log.read_text()}")
        # It must never wait for a reader of what it says.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        """It has to be well, and to stop when it is asked to."""
        try:
            if failure is None:
                self.ask("GET", "/health/ready")
                print("answers:", self.answers())
                self.process.send_signal(signal.SIGINT)
                status = self.process.wait(60)
                if status != 0:
                    raise SystemExit(f"the server stopped with {status}")
        finally:
            if self.process.poll() != 0:
                self.process.kill()
                print(self.log.read_text()[-10_000:], file=sys.stderr)

    def ask(self, method, path, body=None):
        """The answer as JSON. Anything but success is an error."""
        body = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, body, method=method)
        request.add_header("content-type", "application/json")
        with DIRECT.open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def answers(self):
        """How many answers of HTTP there were of each kind: {"2xx": …}."""
        with DIRECT.open(self.url + "/metrics", timeout=60) as metrics:
            lines = metrics.read().decode().splitlines()
        found = {}
        for line in lines:
            status = re.match(r'\w*http_requests_total\{.*status="(\d)', line)
            if status:
                kind = status[1] + "xx"
                found[kind] = found.get(kind, 0) + int(float(line.rsplit(" ", 1)[1]))
        return found
