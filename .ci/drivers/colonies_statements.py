"""The statements of a server of ColonyOS, read; how the file is written stands at its top."""

import json
import pathlib
import re

FILE = pathlib.Path(__file__).resolve().parents[2] / "crates/velocitydb-server/tests/it/colonies/statements.txt"


class Case:
    """A statement with its parameters, where and how it is asked, and what is answered."""

    def __init__(self, section, zone, sql, ordered):
        self.section, self.zone, self.sql, self.ordered = section, zone, sql, ordered
        # None: it is asked as a simple query.
        self.parameters = None
        self.masked, self.answer, self.ours = [], [], None
        # Behind which line its answer stands.
        self.line = None

    def is_ordered(self):
        return self.ordered or re.search(r"\border by\b", self.sql, re.IGNORECASE) is not None

    def comparable(self, answer):
        """An answer, so that two which say the same are equal."""
        lines = [json.loads(line) if line.startswith("[") else line for line in answer]
        if self.is_ordered():
            return lines
        rows = [line for line in lines if isinstance(line, list)]
        others = [line for line in lines if not isinstance(line, list)]
        return others + sorted(rows, key=json.dumps)


def read():
    cases, section, zone = [], None, None
    for number, line in enumerate(FILE.read_text().splitlines()):
        mark, _, rest = line.partition(" ")
        if mark == "##":
            section = rest
        elif mark == "zone":
            zone = rest
        elif mark in (">", ">>"):
            cases.append(Case(section, zone, rest, mark == ">>"))
        elif mark == "|":
            cases[-1].sql += "\n" + rest
        elif mark == "(":
            cases[-1].parameters = json.loads(rest)
        elif mark == "~":
            cases[-1].masked = rest.split()
        elif mark == "=":
            cases[-1].answer.append(rest)
        elif mark == "*":
            cases[-1].ours = [*(cases[-1].ours or []), rest]
        if mark in (">", ">>", "|", "(", "~"):
            cases[-1].line = number
    return cases


def of_names(kind, cases):
    """The tables or sequences that are made."""
    made = (re.match(rf"CREATE {kind} (?:IF NOT EXISTS )?(\w+)", case.sql) for case in cases)
    return sorted({found[1] for found in made if found})


def write(answers):
    """Puts other answers into the file."""
    cases = {case.line: answer for case, answer in answers}
    lines = [line for line in FILE.read_text().splitlines()]
    new = []
    for number, line in enumerate(lines):
        if not line.startswith("= "):
            new.append(line)
        new += ["= " + answer for answer in cases.get(number, [])]
    FILE.write_text("\n".join(new) + "\n")
