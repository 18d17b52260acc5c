"""What an administrator or another program can do wrong before the start: each ends in one sentence that says what,
where and what to do, and in an exit status of sysexits(3)."""

import os
import re
import socket
import subprocess
from contextlib import closing

import pytest
from kit.place import BUILD, free_port, program
from kit.procfs import session
from kit.tally import Tally
from kit.wait import GENEROUS, wait_until
from scope import PASSED, Scope, copy_programs, site_in, the_machine_starts

USAGE, UNAVAILABLE, NO_FILE, CANNOT_CREATE, TRY_LATER, FORBIDDEN, CONFIGURATION = 64, 69, 72, 73, 75, 77, 78
BOTH = ["milterscope", "milterscope-exporter"]
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def start_and_fail(arguments, expected, lines=1):
    """Runs a program that must end by itself, and leave nobody behind. Returns what it said."""
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
    assert said.count("\n") == lines, said
    return said


def check_words(said, *words):
    for word in words:
        assert word in said


def refused(site, expected, *words, programs=BUILD, before=()):
    """milterscope does not start, and says so in these words."""
    check_words(start_and_fail([*before, programs / "milterscope", "-c", site.file], expected), "milterscope: ", *words)


@pytest.fixture
def site(parts, request):
    return site_in(parts, re.sub("[^a-z_]", "_", request.node.name.removeprefix("test_"))[:40])


# ---- configuration ----


CONFIGURATIONS = {
    "syntax": ("instance: [mx1\n", "2:1:", "while parsing a flow sequence"),
    "tab": ("milter:\n\tdrain: 1\n", "2:1:", "token"),
    "unknown option": ("milter:\n  sockett: unix:/x\n", "2:3:", "unknown option milter.sockett", "milterscope.conf(5)"),
    "unknown section": ("milters: {drain: 1}\n", "1:1:", "unknown option milters"),
    "repeated option": ("instance: a\ninstance: b\n", "2:1:", "instance: is given twice", "keep one"),
    "repeated in sections": ("milter: {drain: 1}\nmilter: {drain: 2}\n", "2:10:", "milter.drain: is given twice"),
    "too high": ("redis:\n  timeout: 600\n", "2:12:", "redis.timeout: 600 is out of range", "from 0.1 to 60"),
    "too low": ("redis: {push_interval: 0}\n", "1:24:", "redis.push_interval: 0 is out of range"),
    "negative": ("milter: {max_sessions: -1}\n", "1:24:", "milter.max_sessions", "whole number"),
    "not octal": ("milter: {socket_mode: 0688}\n", "1:23:", "milter.socket_mode", "octal digits"),
    "no boolean": ("milter: {body: perhaps}\n", "1:16:", 'milter.body: "perhaps" is wrong', "true or false"),
    "no number": ("milter:\n  drain: 30s\n", "2:10:", "milter.drain", "expected seconds"),
    "scalar for a section": ("milter: yes\n", "1:9:", "milter: is a section"),
    "mapping for an option": ("instance: {name: mx1}\n", "1:11:", "instance: needs a value"),
    "list for an option": ("log: {level: [info]}\n", "1:14:", "log.level: needs a value", "error, warning, info"),
    "nothing for an option": ("instance:\n", ":1:", "instance: needs a value"),
    "list of nothing": ("exporter: {listen: []}\n", "1:20:", "exporter.listen: needs at least 1"),
    "wrong network": ("trusted_networks:\n- 10.0.0.0/8\n- 10.0.0.0/33\n", "3:3:", "trusted_networks", "10.0.0.0/33"),
    "wrong URL": ("redis: {url: http://127.0.0.1/}\n", "1:14:", "redis.url", "neither redis:// nor unix://"),
    "password in the URL": ("redis: {url: 'redis://user:secret@host/'}\n", "1:14:", "redis.url", "redis.password_file"),
    "wrong socket": ("milter: {socket: /run/milter.sock}\n", "1:18:", "milter.socket", "unix:/path or inet:port@"),
    "long socket": (f"milter: {{socket: unix:/{'x' * 200}}}\n", "1:18:", "milter.socket", "107 bytes at most"),
    "relative folder": ("state_directory: state\n", "1:18:", "state_directory", "an absolute path"),
    "wrong instance": ("instance: 'mx 1'\n", "1:11:", "instance", "letters, digits"),
    "no password file": ("redis:\n  password_file: /nonexistent/x\n", "2:18:", "redis.password_file", "cannot be read"),
    "second document": ("instance: a\n---\ninstance: b\n", ":3:1:", "a second document begins here"),
    "not UTF-8": (b"instance: \xff\n", "at byte", "UTF-8"),
    "NUL": (b'instance: "a\\0b"\n', "1:11:", "instance: holds a NUL"),
    "list of options": ("- instance: a\n", "1:1:", "options are expected here"),
    "alias to itself": ("milter: &milter\n  milter: *milter\n", "2:3:", "unknown option milter.milter"),
    "unknown alias": ("instance: *name\n", "1:11:", "alias"),
    "deep": ("instance: " + "[" * 200000 + "\n", "1:26:", "nested too deep"),
    "no option name": ("[a, b]: c\n", "1:1:", "the name of an option is expected here"),
}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_configuration(parts, name, case):
    text, *words = CONFIGURATIONS[case]
    file = parts.folder.disk / "broken.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = start_and_fail([program(name), "-c", file], CONFIGURATION)
    check_words(said, f"{name}: {file}:", *words)
    assert "secret" not in said


@pytest.mark.parametrize("name", BOTH)
def test_missing_file(name):
    said = start_and_fail([program(name), "-c", "/nonexistent/milterscope.yaml"], CONFIGURATION)
    check_words(said, f"{name}: /nonexistent/milterscope.yaml: No such file or directory", "-c FILE")


@pytest.mark.parametrize("name", BOTH)
def test_file_is_a_folder(parts, name):
    said = start_and_fail([program(name), "-c", parts.folder.disk], CONFIGURATION)
    check_words(said, f"{name}: {parts.folder.disk}: cannot be read: Is a directory")


@pytest.mark.parametrize("name", BOTH)
def test_file_may_not_be_read(site, name):
    site.file.chmod(0o200)
    said = start_and_fail([*WITHOUT_RIGHTS, program(name), "-c", site.file], CONFIGURATION)
    check_words(said, f"{name}: {site.file}: Permission denied")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "milter:\n"])
def test_empty_file_is_sound(parts, text):
    file = parts.folder.disk / "empty.yaml"
    file.write_text(text)
    for name in BOTH:
        done = subprocess.run(
            [program(name), "-c", file, "--check-config"], capture_output=True, text=True, timeout=GENEROUS
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: sound\n", "")


def test_nothing_is_made_with_a_broken_configuration(site):
    site.run_directory.rmdir()
    site.state_directory.rmdir()
    site.write(milter={"socket_mode": "0999"})
    refused(site, CONFIGURATION, "milter.socket_mode")
    assert not site.run_directory.exists()
    assert not site.state_directory.exists()
    assert not os.path.exists(site.milter_socket)


# ---- command line ----


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("arguments", [["--nonsense"], ["-x"], ["-c"], ["serve"]], ids=" ".join)
def test_usage(name, arguments):
    lines = 1 if arguments == ["serve"] else 2  # getopt(3) says one of its own
    said = start_and_fail([program(name), *arguments], USAGE, lines)
    check_words(said, arguments[-1].lstrip("-"), f"{name} --help lists the options")


@pytest.mark.parametrize("name", ["milterscope-filter", "milterscope-pusher"])
@pytest.mark.parametrize("arguments", [[], ["--help"], ["-c", "/etc/passwd"], ["0"], ["9" * 20]], ids=" ".join)
def test_started_by_hand(name, arguments):
    said = start_and_fail([program(name), *arguments], USAGE)
    check_words(said, f"{name} is started by milterscope(8)")


# ---- places that are taken ----


@pytest.fixture
def listener():
    with closing(socket.create_server(("127.0.0.1", free_port()))) as listener:
        yield listener


def test_milter_port_is_taken(site, listener):
    port = listener.getsockname()[1]
    site.write(milter={"socket": f"inet:{port}@127.0.0.1"})
    refused(site, UNAVAILABLE, f"milter.socket inet:{port}@127.0.0.1: in use by another program", "another port")


def test_exporter_port_is_taken(site, listener, redis):
    site.write(exporter={"listen": ["127.0.0.1:%d" % listener.getsockname()[1]]}, redis={"url": redis.url})
    said = start_and_fail([program("milterscope-exporter"), "-c", site.file], UNAVAILABLE)
    check_words(said, "milterscope-exporter: exporter.listen 127.0.0.1:", "in use by another program", "another port")


def test_milter_socket_is_taken(site):
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(site.milter_socket)
        other.listen()
        refused(site, UNAVAILABLE, f"milter.socket {site.milter_socket}: another program answers there", "another path")
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(site.milter_socket)  # it was left alone


def test_milter_socket_is_taken_and_its_queue_full(site):
    with closing(socket.socket(socket.AF_UNIX)) as other, closing(socket.socket(socket.AF_UNIX)) as client:
        other.bind(site.milter_socket)
        other.listen(0)
        client.connect(site.milter_socket)
        refused(site, UNAVAILABLE, f"milter.socket {site.milter_socket}: another program answers there")


def test_stale_socket_is_taken_over(own_parts, site):
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(site.milter_socket)
    own_parts.start(Scope(site))


def test_refused_start_leaves_the_totals(own_parts, site):
    """Also when it had begun with them after a planned reboot."""
    scope = own_parts.start(Scope(site))
    assert scope.stop() == 0
    Tally(site.state_directory).set_total(PASSED, 7).save()
    the_machine_starts(site)
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(site.milter_socket)
        other.listen()
        refused(site, UNAVAILABLE, "another program answers there")
    scope.start()
    assert scope.passed() == 7


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_something_else_is_at_the_socket(site, what):
    make = {
        "file": lambda: open(site.milter_socket, "w").close(),
        "folder": lambda: os.mkdir(site.milter_socket),
        "link": lambda: os.symlink("/nonexistent", site.milter_socket),
    }
    make[what]()
    before = os.lstat(site.milter_socket)
    refused(site, CANNOT_CREATE, f"milter.socket {site.milter_socket}: something that is not a socket", "move it away")
    assert os.lstat(site.milter_socket).st_ino == before.st_ino


def test_folder_of_the_socket_is_missing(site):
    site.write(milter={"socket": f"unix:{site.folder.tmpfs}/missing/milter.sock"})
    refused(site, CANNOT_CREATE, "missing/milter.sock: its folder does not exist", "make it")


def test_unknown_group(site):
    site.write(milter={"socket_group": "no-such-group"})
    refused(site, CONFIGURATION, "milter.socket_group no-such-group: there is no such group")
    assert not os.path.exists(site.milter_socket)


def test_tally_is_held(own_parts, site):
    scope = own_parts.start(Scope(site))
    wait_until(lambda: scope.tally().header.starts == 1, "the pusher has started")
    before = scope.tally().header
    site.write(milter={"socket": f"unix:{site.folder.tmpfs}/other.sock"})
    refused(site, TRY_LATER, f"the tally in {site.run_directory} is held by process {scope.pid}", "run_directory")
    assert scope.tally().header == before
    assert scope.answers()


def test_run_directory_cannot_be_made(site):
    site.write(run_directory=str(site.folder.tmpfs / "missing" / "run"))
    refused(site, CANNOT_CREATE, "missing/run cannot be made: No such file or directory", "make it")


def test_run_directory_is_a_file(site):
    site.run_directory.rmdir()
    site.run_directory.touch()
    refused(site, CANNOT_CREATE, f"run_directory {site.run_directory} cannot be written: Not a directory")


@pytest.mark.parametrize("there", [False, True], ids=["missing", "there"])
def test_run_directory_is_not_allowed(site, there):
    closed = site.folder.tmpfs / "closed"
    site.write(run_directory=str(closed / "run"))
    (closed / "run").mkdir(parents=True)
    if there:
        (closed / "run").chmod(0o555)
    else:
        (closed / "run").rmdir()
    closed.chmod(0o555)
    words = "cannot be written" if there else "cannot be made"
    refused(site, FORBIDDEN, f"run_directory {closed}/run {words}: Permission denied", before=WITHOUT_RIGHTS)


@pytest.mark.parametrize("missing", ["milterscope-filter", "milterscope-pusher"])
def test_program_is_missing(site, missing):
    programs = copy_programs(site.folder.disk, without=missing)
    refused(site, NO_FILE, f"{programs}/{missing}: No such file or directory", "beside milterscope", programs=programs)
    assert not os.path.exists(site.milter_socket)
