#!/usr/bin/python3
"""`make mutate`: would the oracle see a wrong count? In a copy of the source, each line of the filter that counts is
dropped, then doubled, and if it measures a time made to say more; the filter is built, and the oracle must fail. One line
a mutation; status 1 if one survived.

MUTATE_TRANSACTIONS (300) and MUTATE_SEED (1) choose what the oracle plays. An argument: a part of the metric's name."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PLACE = TOP / os.environ.get("BUILD", "build") / "mutate"
TREE = PLACE / "tree"
SOURCES = ["Makefile", "conf", "milter", "exporter"]
LOG = PLACE / "log"
ORACLE = ["test_oracle.py"]
# Counts that need something else than mail, and times, which need to be alone.
OTHERS = {
    "sessions_unobserved_total": ["test_shedding.py::test_connections_turned_away_are_counted"],
    "session_seconds": ["test_times.py"],
    "message_seconds": ["test_times.py"],
}
TIME = re.compile(r"\bmicros_since\(.*\)(?=\);$)")
# What the oracle says of a series; another failure is a fault of the test and kills nothing.
SEEN = re.compile(r"differs from the truth|: \S+ moved: |: \S+ is missing")

CALL = re.compile(r"^(\s*)(tally_(?:add|observe|gauge_add|gauge_set)\(.*;)$")
BEGINS = re.compile(r"^\s*tally_(add|observe|gauge_\w+)\(")
METRIC = re.compile(r"SERIES_\d\((\w+)|\bmetric_(\w+)|\bgauge_((?!add\b|set\b)\w+)")
# Mutations that change no count that could be compared: how, words of the call, why.
POINTLESS = [
    ("doubled", "tally_gauge_set(", "setting twice is setting once"),
    ("doubled", "filter_busy_seconds_total", "a time that nobody else measures"),
    ("doubled", "gate_shed(", "the second call finds nobody left to turn away"),
]


class Line:
    """A line that counts."""

    def __init__(self, path, number, text):
        match = CALL.match(text)
        if not match:
            sys.exit(f"mutate: {path}:{number}: a counting call must stand on one line")
        self.path, self.number, self.text = path, number, text
        self.indent, self.call = match.groups()
        self.metric = next(name for name in METRIC.search(self.call).groups() if name)

    def mutations(self):
        yield "dropped", f"{self.indent};"
        yield "doubled", f"{self.indent}{{ {self.call} {self.call} }}"
        if TIME.search(self.call):
            yield "twice as long", self.indent + TIME.sub(r"2 * \g<0>", self.call)
            yield "longer", self.indent + TIME.sub(r"\g<0> + 300000", self.call)

    def pointless(self, how):
        """Why this mutation is none, or None."""
        return next((why for kind, words, why in POINTLESS if kind == how and words in self.call), None)


def copy_tree():
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for name in SOURCES:
        source = TOP / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, TREE / name)


def counting_lines():
    for path in sorted((TREE / "milter/filter").glob("*.c")):
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if BEGINS.match(text):
                yield Line(path, number, text)


def run(words, **environment):
    """The status and the output, which is also kept in the log."""
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "TERM", *words],
        env=os.environ | environment,
        cwd=TREE,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    LOG.write_text(done.stdout)
    return done.returncode, done.stdout


def build():
    """Mutations leave things unused: no warnings."""
    status, output = run(["make", "-j2", "BUILD=build", "CFLAGS=-O1 -w", "all"], MAKEFLAGS="", MAKELEVEL="")
    if status != 0:
        sys.exit(f"mutate: a mutation does not build:\n{output[-2000:]}")


def oracle(metric=None):
    """The tests that must see a wrong count of this metric; all of them without one."""
    others = OTHERS.get(metric, []) if metric else sorted(set(sum(OTHERS.values(), [])))
    tests = [str(TOP / "tests/system" / name) for name in ORACLE + others]
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-x", "--tb=short", "--rootdir", str(TOP)]
    return run(
        [*pytest, *tests],
        BUILD=str(TREE / "build"),
        ORACLE_TRANSACTIONS=os.environ.get("MUTATE_TRANSACTIONS", "300"),
        ORACLE_SEED=os.environ.get("MUTATE_SEED", "1"),
    )


def verdict(line, how, text):
    """What became of one mutation."""
    lines = line.path.read_text().split("\n")
    lines[line.number - 1] = text
    original = line.path.read_text()
    line.path.write_text("\n".join(lines))
    try:
        build()
        status, output = oracle(line.metric)
    finally:
        line.path.write_text(original)
    if status == 0:
        return "SURVIVED"
    return "killed" if SEEN.search(output) else f"FAILED OTHERWISE (see {keep_log(line, how)})"


def keep_log(line, how):
    kept = PLACE / f"log.{line.metric}.{line.number}.{how}"
    shutil.copy(LOG, kept)
    return kept


def main(wanted):
    started = time.monotonic()
    copy_tree()
    build()
    status, output = oracle()
    if status != 0:
        sys.exit(f"mutate: the oracle fails without a mutation:\n{output[-3000:]}")
    counts = {}
    for line in counting_lines():
        for how, text in line.mutations():
            if wanted not in line.metric:
                continue
            result = line.pointless(how)
            result = f"skipped: {result}" if result else verdict(line, how, text)
            print(f"{line.path.name}:{line.number} {line.metric} {how}: {result}", flush=True)
            word = result.split(":")[0].split(" ")[0]
            counts[word] = counts.get(word, 0) + 1
    summary = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
    print(f"mutate: {summary} in {time.monotonic() - started:.0f} s")
    return 1 if counts.get("SURVIVED") or counts.get("FAILED") or not counts.get("killed") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
