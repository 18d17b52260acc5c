"""Logs that real mail servers wrote, kept in tests/data with what they say beside them: FILE.log and FILE.counts. No
servers."""

import json
import re
import subprocess
from decimal import Decimal

import pytest
from delivered import counts_of, lines_of, read_log, without_times
from kit.place import TOP, Folder, program
from kit.wait import GENEROUS

LOGS = sorted((TOP / "tests/data").glob("*-*.log"))  # MTA-VERSION
POSTFIX = TOP / "tests/data/postfix-3.7.log"
SITE = {  # of the server that wrote them
    "trusted_networks": ["10.0.0.0/8"],
    "domains": ["example.test"],
    "collector": {"destinations": {"internal": ["127.0.0.3"], "ignore": ["127.0.0.4"]}},
}


@pytest.fixture(scope="module")
def folder():
    with Folder("read_log") as folder:
        (folder.disk / "site.yaml").write_text(json.dumps(SITE))
        yield folder.disk


def read(folder, log, kind="postfix"):
    return counts_of(log, folder / "site.yaml", kind)


def written(log):
    lines = log.with_suffix(".counts").read_text().splitlines()
    return {series: Decimal(value) for series, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_what_a_log_says(folder, log):
    counts = read(folder, log, log.stem.split("-")[0])
    assert without_times(counts) == written(log)
    assert "unparsed" not in lines_of(counts)
    assert sum(lines_of(counts).values()) == len(log.read_text().splitlines())


MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
OLD = re.compile(rf"^({'|'.join(MONTHS)}) ([ \d]\d) (\S+) (\S+) (\S+)\[(\d+)\]: ", flags=re.MULTILINE)


def day(line):
    return f"2026-{MONTHS.index(line[1]) + 1:02}-{int(line[2]):02}T{line[3]}"


def rfc_3339(line):
    return f"{day(line)}.123456+01:00 {line[4]} {line[5]}[{line[6]}]: "


def rfc_5424(line):
    return f"<22>1 {day(line)}Z {line[4]} {line[5]} {line[6]} - - "


FORMS = {
    "the old form": lambda text: text,
    "RFC 3339": lambda text: OLD.sub(rfc_3339, text),
    "RFC 5424": lambda text: OLD.sub(rfc_5424, text),
    "with a priority": lambda text: re.sub("^", "<22>", text.rstrip("\n"), flags=re.MULTILINE) + "\n",
    "CR and LF": lambda text: text.replace("\n", "\r\n"),
    "without the last LF": lambda text: text.rstrip("\n"),
    "another instance": lambda text: text.replace(" postfix/", " postfix-out/"),
    "another name": lambda text: text.replace(" postfix/", " mx-7/"),
    "long queue IDs": lambda text: re.sub(r"\b[0-9A-F]{10,11}\b", lambda found: f"4X{found[0]}zbC", text),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(folder, form):
    changed = folder / "changed.log"
    changed.write_text(FORMS[form](POSTFIX.read_text()), newline="")
    assert (form == "the old form") == (changed.read_bytes() == POSTFIX.read_bytes())
    counts = read(folder, changed)
    assert without_times(counts) == written(POSTFIX)
    assert lines_of(counts) == lines_of(read(folder, POSTFIX)) and "unparsed" not in lines_of(counts)


def test_standard_input(folder):
    commands = [read_log(name, folder / "site.yaml") for name in ("-", POSTFIX)]
    said = [subprocess.run(command, stdin=POSTFIX.open(), capture_output=True, check=True) for command in commands]
    assert said[0].stdout == said[1].stdout != b""


def test_lines_of_any_length(folder):
    """A line that is too long is one line, and none is lost behind it."""
    text = POSTFIX.read_text()
    most = 64 * 1024
    for length in (most - 1, most, most + 1, 4 * most - 1, 4 * most, 4 * most + 1, 10 * most + 7):
        long = folder / "long.log"
        long.write_text(text + "x" * length + "\n" + "\0" * length + "\n" + text + "Nov 20" + "y" * length)
        counts = read(folder, long)
        assert lines_of(counts)["unparsed"] == 3, length
        assert without_times(counts) == {series: 2 * value for series, value in written(POSTFIX).items()}


def test_kind_of_another(folder):
    """What the log says is nothing then, and that is said."""
    for kind in ("postfix", "exim"):
        command = read_log(POSTFIX, folder / "site.yaml", kind)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ("no line in it that says something of exim" in done.stderr) == (kind == "exim")


def test_kind_without_a_log(folder):
    """Is no daemon."""
    command = [program("milterscope-collector"), "-c", folder / "site.yaml", "--mta", "postfix"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GENEROUS)
    assert done.returncode == 64 and "--read-log" in done.stderr


def test_what_cannot_be_read(folder):
    for name in (folder / "missing.log", folder):
        done = subprocess.run(read_log(name, folder / "site.yaml"), capture_output=True, text=True)
        assert done.returncode == 66 and str(name) in done.stderr and done.stdout == ""
