"""What an administrator, a full disk or another program can do wrong before and at the start: each ends in one sentence that
says what, where and what to do, and in an exit status of sysexits(3); or the run goes on, and says so."""

import os
import random
import re
import shutil
import socket
import subprocess
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from kit.metrics import number
from kit.mounts import Mounts
from kit.place import BUILD, free_port, program
from kit.procfs import session
from kit.servers import Postfix, Redis
from kit.tally import CONSTANT, FILE, Tally
from kit.wait import GENEROUS, wait_until
from scope import Scope, attached, send, site_in
from truth import metric

USAGE, UNAVAILABLE, NO_FILE, CANNOT_CREATE, TRY_LATER, FORBIDDEN, CONFIGURATION = 64, 69, 72, 73, 75, 77, 78
COPY_INTERVAL = 10  # seconds
PASSED = metric("messages_total", source="internal", verdict="passed")
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


def exactly(folder):
    """What is in it."""
    return sorted(path.name for path in folder.iterdir())


def check_words(said, *words):
    for word in words:
        assert word in said


def refused(site, expected, *words, programs=BUILD, before=()):
    """milterscope does not start, and says so in these words."""
    check_words(start_and_fail([*before, programs / "milterscope", "-c", site.file], expected), "milterscope: ", *words)


@pytest.fixture
def site(parts, request):
    return site_in(parts, re.sub("[^a-z_]", "_", request.node.name.removeprefix("test_"))[:40])


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder))


@pytest.fixture(scope="module")
def milter_socket(parts):
    return parts.folder.tmpfs / "milter.sock"


@pytest.fixture(scope="module")
def postfix(parts, milter_socket):
    return parts.start(Postfix(parts.folder, attached(milter_socket)))


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
    "wrong socket": ("milter: {socket: /run/milter.sock}\n", "1:18:", "milter.socket", "unix:/path or inet:port@address"),
    "long socket": (f"milter: {{socket: unix:/{'x' * 200}}}\n", "1:18:", "milter.socket", "107 bytes at most"),
    "relative folder": ("state_directory: state\n", "1:18:", "state_directory", "an absolute path"),
    "wrong instance": ("instance: 'mx 1'\n", "1:11:", "instance", "letters, digits"),
    "missing password file": ("redis:\n  password_file: /nonexistent/x\n", "2:18:", "redis.password_file", "cannot be read"),
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
@pytest.mark.parametrize("arguments", [[], ["--help"], ["-c", "/etc/passwd"], ["0"], ["99999999999999999999"]], ids=" ".join)
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
    Tally(site.state_directory).set_total(PASSED, 7).of_another_boot().save()
    (site.run_directory / FILE).unlink()
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
    programs = site.folder.disk / "programs"
    programs.mkdir()
    for name in {"milterscope", "milterscope-filter", "milterscope-pusher"} - {missing}:
        shutil.copy(BUILD / name, programs)
    refused(site, NO_FILE, f"{programs}/{missing}: No such file or directory", "beside milterscope", programs=programs)
    assert not os.path.exists(site.milter_socket)


# ---- damaged tallies ----


def flip(at):
    def damage(data):
        changed = bytearray(data)
        changed[at(changed) if callable(at) else at] ^= 0x20
        return bytes(changed)

    return damage


def names_begin(data):
    return CONSTANT.unpack_from(data)[10]


RANDOM = random.Random(1)
DAMAGES = {
    "magic": flip(0),
    "version": flip(8),
    "size": flip(24),
    "where the totals are": flip(40),
    "boot id": flip(CONSTANT.size - 40),
    "checksum": flip(CONSTANT.size),
    "first name": flip(lambda data: names_begin(data) + 3),
    "last name": flip(-3),
    "end of a name": lambda data: data[:-5] + b"\0" + data[-4:],
    "nothing": lambda data: b"",
    "100 bytes": lambda data: data[:100],
    "4096 bytes": lambda data: data[:4096],
    "a byte less": lambda data: data[:-1],
    "a byte more": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
    "random bytes": lambda data: RANDOM.randbytes(len(data)),
    "random after the header": lambda data: data[:192] + RANDOM.randbytes(len(data) - 192),
}


@pytest.fixture(scope="module")
def sound(parts):
    """A folder with a tally and one with its clean copy, each with five messages."""
    site = site_in(parts, "sound")
    with Scope(site) as scope:
        assert scope.stop() == 0
    Tally(site.run_directory).set_total(PASSED, 5).save()
    Tally(site.state_directory).set_total(PASSED, 5).save()
    return site


def check_moved_aside(scope, folder, damaged):
    aside = [path for path in folder.iterdir() if ".damaged-" in path.name]
    assert [path.read_bytes() for path in aside] == [damaged]
    assert re.fullmatch(rf"{FILE}\.damaged-\d{{8}}T\d{{6}}Z", aside[0].name)
    assert len(scope.lines(f"moved to {aside[0]}")) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tally(own_parts, site, sound, damage):
    damaged = DAMAGES[damage]((sound.run_directory / FILE).read_bytes())
    (site.run_directory / FILE).write_bytes(damaged)
    shutil.copy(sound.state_directory / FILE, site.state_directory)
    scope = own_parts.start(Scope(site))
    check_moved_aside(scope, site.run_directory, damaged)
    assert scope.passed() == 5
    assert scope.tally().id == Tally(sound.run_directory).id


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_copy(own_parts, site, sound, damage):
    damaged = DAMAGES[damage]((sound.state_directory / FILE).read_bytes())
    (site.state_directory / FILE).write_bytes(damaged)
    scope = own_parts.start(Scope(site))
    check_moved_aside(scope, site.state_directory, damaged)
    assert scope.passed() == 0
    assert scope.tally().id != Tally(sound.run_directory).id


def test_damaged_total_in_a_copy(own_parts, site, sound):
    """A wrong number must not be believed."""
    copy = Tally(sound.state_directory)
    copy.data[copy.total_at(PASSED)] ^= 1
    (site.state_directory / FILE).write_bytes(copy.data)
    scope = own_parts.start(Scope(site))
    check_moved_aside(scope, site.state_directory, copy.data)
    assert scope.passed() == 0


def test_folder_in_place_of_the_tally(own_parts, site):
    (site.run_directory / FILE).mkdir()
    scope = own_parts.start(Scope(site))
    assert scope.lines("anonymous memory")


# ---- no room ----


@pytest.fixture
def tight(own_parts, request, redis, milter_socket):
    """A site whose run directory has room for one tally and not for two, and what is mounted there."""
    name = request.node.name.removeprefix("test_")
    group = Postfix.account()["group"]
    site = site_in(own_parts, name, redis.url, milter_socket, group=group)
    site.mounts = own_parts.start(Mounts({site.run_directory: "size=64k"}))
    return site


def gauge(redis, site, name):
    return number(redis.hash(site.key("gauges")).get(metric(name), "-1"))


def wait_counted(redis, site, expected):
    """Until Redis knows of so many messages that passed."""
    wait_until(
        lambda: redis.hash(site.key("counters")).get(PASSED) == str(expected), f"{expected} messages in Redis"
    )


def test_run_directory_is_full(own_parts, tight, postfix, redis):
    """The filter runs on anonymous memory. The copy on the disk is all that survives."""
    filler = tight.mounts.fill(tight.run_directory)
    scope = own_parts.start(Scope(tight, enter=tight.mounts.enter))
    assert len(scope.lines(f"{tight.run_directory}/{FILE} cannot be made: No space left on device")) == 1
    assert len(scope.lines("totals live in anonymous memory")) == 1
    send(postfix, 2)
    wait_counted(redis, tight, 2)
    assert gauge(redis, tight, "tally_persistent") == 0
    filler.unlink()
    scope.restart()
    assert scope.passed() == 2
    wait_until(lambda: gauge(redis, tight, "tally_persistent") == 1, "the tally is in a file again")
    assert not scope.lines("anonymous memory")


def test_run_directory_has_no_room_for_a_second_tally(own_parts, tight, postfix, redis):
    """It takes the place of the first."""
    scope = own_parts.start(Scope(tight, enter=tight.mounts.enter))
    send(postfix, 1)
    wait_counted(redis, tight, 1)
    filler = tight.mounts.fill(tight.run_directory)
    for expected in (2, 3):
        scope.restart()
        assert not scope.lines("memory")
        send(postfix)
        wait_counted(redis, tight, expected)
    filler.unlink()
    scope.restart()
    assert scope.passed() == 3


# ---- what heals by itself, after a while ----


@pytest.fixture(scope="module", autouse=True)
def slow(parts, redis):
    """Faults that are tried again slowly. They begin before all other tests, so that nobody has to wait."""
    return SimpleNamespace(
        full=no_room_for_copies(parts), read_only=read_only_copies(parts), password=wrong_password(parts, redis)
    )


def no_room_for_copies(parts):
    site = site_in(parts, "state_full")
    mounts = parts.start(Mounts({site.state_directory: "size=64k"}))
    filler = mounts.fill(site.state_directory)
    scope = parts.start(Scope(site, enter=mounts.enter))
    scope.mounts, scope.cure = mounts, filler.unlink
    return scope


def read_only_copies(parts):
    site = site_in(parts, "state_read_only")
    mounts = parts.start(Mounts({site.state_directory: "size=1m"}))
    mounts.remount(site.state_directory, "ro")
    scope = parts.start(Scope(site, enter=mounts.enter))
    scope.mounts, scope.cure = mounts, lambda: mounts.remount(site.state_directory, "rw")
    return scope


def wrong_password(parts, redis):
    """Which is put right as soon as Redis has refused it."""
    redis.command("ACL", "SETUSER", "scope", "on", ">correct horse", "~*", "+@all")
    file = parts.folder.disk / "redis.password"
    file.write_text("battery staple\n")
    site = site_in(parts, "password", redis.url)
    site.write(redis={"user": "scope", "password_file": str(file)})
    scope = parts.start(Scope(site))
    scope.wait_value(1, "push_errors_total", error="auth")
    file.write_text("correct horse\n")
    return scope


def test_state_directory_cannot_be_written(slow):
    why = {slow.full: "No space left on device", slow.read_only: "Read-only file system"}
    left = {slow.full: ["filler"], slow.read_only: []}
    for scope, words in why.items():
        scope.wait_said(f"{scope.site.state_directory}/{FILE} cannot be written: {words}; the totals")
        wait_until(lambda began=scope.began: time.monotonic() - began > 2 * COPY_INTERVAL, "it has tried again")
        assert len(scope.lines("cannot be written")) == 1
        assert scope.answers()
        assert exactly(scope.mounts.inside(scope.site.state_directory)) == left[scope]
    for scope in why:
        scope.cure()
    for scope in why:
        scope.wait_said(f"the tally is copied to {scope.site.state_directory} again")
        assert len(scope.lines("cannot be written")) == 1
        assert Tally(scope.mounts.inside(scope.site.state_directory)).id == scope.tally().id


def test_wrong_password(slow, redis):
    scope = slow.password
    wait_until(lambda: redis.hash(scope.site.key("counters")), "Redis takes pushes")
    scope.wait_said("pushing again")
    assert scope.value("push_errors_total", error="auth") == 1  # so it waited long enough before it tried again
    said = scope.lines("WRONGPASS")
    assert len(said) == 1
    check_words(said[0], redis.url, "counting goes on, pushing is retried")
    assert "staple" not in scope.log()
    assert "horse" not in scope.log()
