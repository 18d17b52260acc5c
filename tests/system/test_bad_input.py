"""What an administrator, a full disk or another program can do wrong before and at the start: each ends in one sentence that says
what, where and what to do, and in an exit status of sysexits(3); or the run goes on, and says so."""

import os
import random
import shutil
import socket
import subprocess
import time
from contextlib import closing

import pytest
from kit.metrics import number
from kit.mounts import Mounts
from kit.place import BUILD, free_port, program
from kit.procfs import session
from kit.programs import Exporter
from kit.servers import Postfix, Redis
from kit.tally import CHANGING, CHECKSUM, CONSTANT, FILE, Tally
from kit.wait import GENEROUS, wait_until
from scope import Scope, attached, send, site_in
from truth import metric

USAGE, NO_INPUT, UNAVAILABLE, NO_FILE, CANNOT_CREATE, TRY_LATER, FORBIDDEN, CONFIGURATION = 64, 66, 69, 72, 73, 75, 77, 78
PASSED = metric("messages_total", source="internal", verdict="passed")
BOTH = ["milterscope", "milterscope-exporter"]
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def start_and_fail(arguments, expected):
    """Runs a program that must end by itself, and leave nobody behind. Returns what it said, which is one line."""
    with subprocess.Popen(
        [str(word) for word in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as popen:
        out, said = popen.communicate(timeout=GENEROUS)
    assert (popen.returncode, out) == (expected, ""), said
    assert not session(popen.pid)
    assert said.count("\n") == 1, said
    return said


def check_words(said, *words):
    for word in words:
        assert word in said


@pytest.fixture
def site(parts, request):
    return site_in(parts, request.node.name.removeprefix("test_").replace("/", "-"))


@pytest.fixture
def file(site):
    return site.file


def refused(site, name="milterscope", before=(), expected=CONFIGURATION):
    """Starts a program with the configuration of a site: it must refuse, and have done nothing."""
    had = snapshot(site)
    said = start_and_fail([*before, program(name), "-c", site.file], expected)
    if expected == CONFIGURATION:
        assert snapshot(site) == had
    assert not os.path.lexists(site.milter_socket) or ("socket",) in had
    return said


def snapshot(site):
    """What is in its folders."""
    folders = [site.folder.tmpfs, site.state_directory]
    return {str(path) for folder in folders for path in folder.rglob("*")}


# ---- configuration ----

LONG = "x" * 300
DEEP = "instance: " + "[" * 100_000
CONFIGURATIONS = {
    "syntax": ("instance: [mx1\n", "2:1:", "while parsing a flow sequence"),
    "tab": ("milter:\n\tdrain: 1\n", "2:1:", "token"),
    "unknown option": ("milter:\n  sockett: unix:/x\n", "2:3:", "unknown option milter.sockett", "milterscope.conf(5)"),
    "unknown section": ("milters: {drain: 1}\n", "1:1:", "unknown option milters"),
    "repeated option": ("instance: a\ninstance: b\n", "2:1:", "instance: is given twice", "keep one"),
    "repeated in sections": ("milter: {drain: 1}\nlog: {level: info}\nmilter: {drain: 2}\n", "3:10:", "milter.drain: is given twice"),
    "too high": ("redis:\n  timeout: 600\n", "2:12:", "redis.timeout: 600 is out of range", "from 0.1 to 60"),
    "too low": ("redis: {push_interval: 0}\n", "1:24:", "redis.push_interval: 0 is out of range"),
    "negative": ("milter: {max_sessions: -1}\n", "1:24:", "milter.max_sessions", "whole number"),
    "not octal": ("milter: {socket_mode: 0688}\n", "1:23:", "milter.socket_mode", "octal digits"),
    "no boolean": ("milter: {body: perhaps}\n", "1:16:", 'milter.body: "perhaps" is wrong', "true or false"),
    "no number": ("milter:\n  drain: 30s\n", "2:10:", "milter.drain", "expected seconds"),
    "scalar for a section": ("milter: yes\n", "1:9:", "milter: is a section"),
    "mapping for an option": ("instance: {name: mx1}\n", "1:11:", "instance: needs a value"),
    "list for an option": ("log: {level: [info]}\n", "1:14:", "log.level: needs a value", "error, warning, info or debug"),
    "nothing for an option": ("instance:\n", ":1:", "instance: needs a value"),
    "list of nothing": ("exporter: {listen: []}\n", "1:20:", "exporter.listen: needs at least 1"),
    "wrong network": ("trusted_networks:\n- 10.0.0.0/8\n- 10.0.0.0/33\n", "3:3:", "trusted_networks", "10.0.0.0/33"),
    "wrong URL": ("redis: {url: http://127.0.0.1/}\n", "1:14:", "redis.url", "starts with neither redis:// nor unix://"),
    "password in the URL": ("redis: {url: 'redis://user:secret@host/'}\n", "1:14:", "redis.user and redis.password_file"),
    "wrong socket": ("milter: {socket: /run/milter.sock}\n", "1:18:", "milter.socket", "unix:/path or inet:port@address"),
    "long socket": (f"milter: {{socket: unix:/{LONG}}}\n", "1:18:", "milter.socket", "107 bytes at most"),
    "relative folder": ("state_directory: state\n", "1:18:", "state_directory", "an absolute path"),
    "wrong instance": ("instance: 'mx 1'\n", "1:11:", "instance", "letters, digits"),
    "missing password file": ("redis:\n  password_file: /nonexistent/password\n", "2:18:", "redis.password_file", "cannot be read"),
    "second document": ("instance: a\n---\ninstance: b\n", ":3:1:", "a second document begins here"),
    "not UTF-8": (b"instance: \xff\n", "at byte", "UTF-8"),
    "NUL": (b'instance: "a\\0b"\n', "1:11:", "instance: holds a NUL"),
    "list of options": ("- instance: a\n", "1:1:", "options are expected here"),
    "alias to itself": ("milter: &milter\n  milter: *milter\n", "2:3:", "unknown option milter.milter"),
    "unknown alias": ("instance: *name\n", "1:11:", "alias"),
    "deep": (DEEP, "instance"),
    "option name": ("[a, b]: c\n", "1:1:", "the name of an option is expected here"),
}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_configuration(parts, name, case):
    text, *words = CONFIGURATIONS[case]
    file = parts.folder.disk / "broken.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = start_and_fail([program(name), "-c", file], CONFIGURATION)
    check_words(said, f"{name}: ", *words)
    assert str(file) in said or case == "deep"
    assert "secret" not in said


@pytest.mark.parametrize("name", BOTH)
def test_missing_file(parts, name):
    said = start_and_fail([program(name), "-c", "/nonexistent/milterscope.yaml"], CONFIGURATION)
    check_words(said, "/nonexistent/milterscope.yaml: No such file or directory", "-c FILE")


@pytest.mark.parametrize("name", BOTH)
def test_file_is_a_folder(parts, name):
    said = start_and_fail([program(name), "-c", parts.folder.disk], CONFIGURATION)
    check_words(said, f"{parts.folder.disk}", "directory")


@pytest.mark.parametrize("name", BOTH)
def test_file_may_not_be_read(site, name):
    site.file.chmod(0o200)
    said = start_and_fail([*WITHOUT_RIGHTS, program(name), "-c", site.file], CONFIGURATION)
    check_words(said, f"{site.file}: Permission denied")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "milter:\n"])
def test_empty_file_is_sound(parts, text):
    file = parts.folder.disk / "empty.yaml"
    file.write_text(text)
    for name in BOTH:
        done = subprocess.run([program(name), "-c", file, "--check-config"], capture_output=True, text=True, timeout=GENEROUS)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: sound\n", "")
