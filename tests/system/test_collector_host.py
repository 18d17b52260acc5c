"""What the collector sees of a host: processes of real servers, by role, in a PID namespace of their own; connections to
them; file systems, also one that hangs."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kit.mounts import HangingDisk, Mounts
from kit.pids import Pids
from kit.place import SCRIPTS, free_port, server_program
from kit.process import run
from kit.programs import Collector, Milterscope
from kit.servers import START, Postfix
from kit.wait import wait_until
from scope import site_in
from truth import metric

# With the prefix in its titles that Debian's own configuration has.
LINES = """define(`confPROCESS_TITLE_PREFIX', `MTA')dnl
define(`confQUEUE_LA', `17')dnl
define(`confREFUSE_LA', `19')dnl
define(`confDELAY_LA', `3')dnl
"""


class Inside(Postfix):
    """Also stopped where it was started: its process numbers mean nothing elsewhere."""

    def stop(self):
        run([*self.enter, SCRIPTS / "private-postfix", "stop", self.folder])


class Values:
    """What one run of the collector, from its start to its stop, has seen."""

    def __init__(self, site, enter=()):
        site.run_directory.joinpath("node.tally").unlink(missing_ok=True)  # gauges of one that was killed live on for a while
        with Milterscope(site) as milterscope, Collector(site, enter) as collector:
            ran = [metric("collector_seconds", collector=name) for name in ("host", "processes", "sockets")]
            wait_until(lambda: set(ran) <= milterscope.dump().values.keys(), "the collectors have run")
            self.values = milterscope.dump().values
            self.log = collector.logs()[0].read_text()

    def of(self, name, label, *values):
        """{value of the label: value of the metric}, of those that are there."""
        found = {value: self.values.get(metric(name, **{label: value})) for value in values}
        return {value: number for value, number in found.items() if number is not None}

    def __getitem__(self, name):
        return self.values.get(metric(name))


POSTFIX = ("master", "smtpd", "qmgr", "cleanup", "smtp", "local", "pickup", "postscreen")
SENDMAIL = ("sendmail_daemon", "sendmail_runner")


@pytest.fixture(scope="module")
def pids(parts):
    return parts.start(Pids())


@pytest.fixture(scope="module")
def postfix(parts, pids):
    return parts.start(Inside(parts.folder, {"default_process_limit": "20"}, enter=pids.enter))


@pytest.fixture
def connections(postfix):
    """Makes connections that have seen a greeting, each served by an smtpd."""
    with contextlib.ExitStack() as stack:

        def connect():
            stack.enter_context(connection := socket.create_connection(postfix.address, timeout=60))
            assert connection.recv(100).startswith(b"220 ")
            return connection

        yield connect


def site_of(parts, postfix, name, **changes):
    mta = {"kind": "postfix", "config": str(postfix.folder / "etc"), "listeners": ["%s:%d" % postfix.address]}
    return site_in(parts, name, mta=mta, **changes)


def test_postfix(parts, pids, postfix, connections):
    site = site_of(parts, postfix, "daemons", collector={"processes": [{"role": "daemons", "match": "-t unix"}]})
    for _ in range(3):
        connections()
    seen = Values(site, pids.see)
    processes = seen.of("processes", "role", *POSTFIX)
    assert processes.keys() == set(POSTFIX)
    checks = processes["smtpd"] - 3  # the collector's own check of the listener may be under way
    assert 0 <= checks <= 1
    assert processes == dict.fromkeys(POSTFIX, 0) | {"master": 1, "smtpd": 3 + checks, "qmgr": 1, "pickup": 1}
    assert seen.of("processes", "role", *SENDMAIL) == {}
    assert seen.of("processes", "role", "daemons")["daemons"] >= 2  # those of qmgr and pickup, at least
    # As many as master.cf lets there be: three services run smtpd at most 20 times here, postscreen and pickup are alone.
    postconf = server_program("postfix", "usr/sbin/postconf")
    lines = run([postconf, "-c", postfix.folder / "etc", "-F", "*/*/command", "*/*/process_limit"]).splitlines()
    fields = {key: value.split()[0] for key, value in (line.split(" = ") for line in lines)}
    limits = {role: 0 for role in POSTFIX}
    for service in {key.rsplit("/", 1)[0] for key in fields}:
        role, limit = fields[f"{service}/command"], fields[f"{service}/process_limit"].replace("-", "20")
        if role in limits:
            limits[role] += int(limit) or float("inf")
    expected = {role: limit for role, limit in limits.items() if 0 < limit < float("inf")}
    assert seen.of("processes_limit", "role", *POSTFIX) == expected
    oldest = seen.of("process_oldest_seconds", "role", *POSTFIX)
    assert oldest["master"] >= oldest["smtpd"] >= 0
    assert seen.of("smtp_sockets", "state", "established")["established"] in (3, 4)


def test_postfix_gone(parts, pids, postfix):
    """The operator's limit is said when it is passed."""
    role = {"role": "hosts", "match": "postfix/sbin/master", "min": 1}
    site = site_of(parts, postfix, "gone", collector={"processes": [role]})
    postfix.stop()
    try:
        seen = Values(site, pids.see)
    finally:
        postfix.start()
    assert seen.of("processes", "role", "master", "smtpd", "hosts") == {"master": 0, "smtpd": 0, "hosts": 0}
    assert seen.of("process_oldest_seconds", "role", "master", "hosts") == {}
    assert "processes of role hosts: 0, which is less than 1" in seen.log
    again = Values(site, pids.see)
    assert again.of("processes", "role", "hosts") == {"hosts": 1}
    assert again.log.count("which is less than 1") == 1


def test_connections(parts, pids, postfix, connections):
    """States that a client brings about."""
    states = ("established", "fin_wait", "close_wait", "time_wait", "syn_recv", "other")
    site = site_of(parts, postfix, "connections")
    before = Values(site).of("smtp_sockets", "state", *states)
    connections()
    quitting = connections()
    quitting.sendall(b"QUIT\r\n")
    assert quitting.recv(100).startswith(b"221 ")  # the server closes first, and we do not
    assert quitting.recv(100) == b""
    after = Values(site).of("smtp_sockets", "state", *states)
    assert before.keys() == after.keys() == set(states)
    assert after["established"] in (1, 2) and before["established"] in (0, 1)  # with the collector's own check
    assert after["fin_wait"] >= 1 and before["fin_wait"] == 0


@contextlib.contextmanager
def sendmail_in(parts, pids):
    folder = parts.folder.disk / "sendmail"
    server_program("sendmail", "usr/sbin/saslpasswd2")
    (folder / "etc").mkdir(mode=0o755, parents=True)
    (folder / "etc/lines.mc").write_text(LINES)
    command = [*pids.enter, SCRIPTS / "private-sendmail"]
    run([*command, "start", folder, free_port(), folder / "etc/lines.mc"], START)
    try:
        yield folder
    finally:
        run([*command, "stop", folder])


def end(process):
    """The child of a program that only enters: the namespace's own number of it is of no use here."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in children:
        os.kill(int(pid), signal.SIGKILL)
    process.wait()


def test_sendmail(parts, pids):
    """Daemon and queue runner are one program, told apart by their titles; whoever else has such words in its command line is
    none of them."""
    with sendmail_in(parts, pids) as folder:
        runner = [str(word) for word in (*pids.enter, folder / "mta", "-q1h")]
        quiet = subprocess.DEVNULL  # which it keeps
        subprocess.run(runner, stdin=quiet, stdout=quiet, stderr=quiet, check=True)
        words = ["-c", "import time; time.sleep(600)", "sendmail: accepting connections"]
        other = subprocess.Popen([*pids.enter, sys.executable, *words])
        try:
            site = site_in(parts, "sendmail_site", mta={"kind": "sendmail", "config": str(folder / "etc/sendmail.cf")})
            seen = Values(site, pids.see)
        finally:
            end(other)
        assert seen.of("processes", "role", *SENDMAIL) == {"sendmail_daemon": 1, "sendmail_runner": 1}
        assert seen.of("load_limit", "action", "queue", "refuse", "delay") == {"queue": 17, "refuse": 19, "delay": 3}
        assert seen["load1"] is not None
        queue = seen.of("filesystem_size_bytes", "filesystem", "queue")
        assert queue["queue"] > 0


def test_containers(parts, pids):
    """What is in a PID namespace below is of another host, but for the operator's roles. It looks like the daemon of Exim: a
    program of that name with its arguments."""
    exim = parts.folder.disk / "exim4"
    exim.write_bytes(open(sys.executable, "rb").read())
    exim.chmod(0o755)
    daemon = [exim, "-bd", "-c", "import time; print(flush=True); time.sleep(600)"]
    container = [*pids.enter, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    site = site_in(parts, "exim", mta={"kind": "exim"}, collector={"processes": [{"role": "all", "match": "exim4 -bd"}]})
    with contextlib.ExitStack() as stack:
        for words in ([*pids.enter, *daemon], [*container, *daemon]):
            process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE))
            stack.callback(end, process)
            assert process.stdout.readline() == b"\n"
        seen = Values(site, pids.see)
    assert seen.of("processes", "role", "exim_daemon", "exim_delivery") == {"exim_daemon": 1, "exim_delivery": 0}
    assert seen.of("processes", "role", "all") == {"all": 3}  # unshare, too, has the words in its command line


# ---- file systems

MEBIBYTE = 1 << 20
FILESYSTEM = ("filesystem_size_bytes", "filesystem_free_bytes", "filesystem_inodes", "filesystem_free_inodes")


def filesystem(seen, name):
    return [seen.of(gauge, "filesystem", name).get(name) for gauge in FILESYSTEM]


def test_filesystems(parts):
    place = parts.folder.disk / "place"
    place.mkdir()
    unlimited = parts.folder.disk / "unlimited"
    unlimited.mkdir()
    sendmail = parts.folder.disk / "sendmail.cf"
    sendmail.write_text(f"O QueueDirectory={place}/q*\n")
    own = [str(place), str(unlimited), "/none"]
    site = site_in(parts, "disks", mta={"kind": "sendmail", "config": str(sendmail)}, collector={"filesystems": own})
    mounts = {place: "size=8m,nr_inodes=100", unlimited: "size=4m,nr_inodes=0", site.state_directory: "size=16m"}
    with Mounts(mounts) as mounts:
        seen = Values(site, mounts.enter)
        assert filesystem(seen, str(place)) == [8 * MEBIBYTE, 8 * MEBIBYTE, 100, 99]
        assert filesystem(seen, str(unlimited)) == [4 * MEBIBYTE, 4 * MEBIBYTE, None, None]
        assert filesystem(seen, "queue") == filesystem(seen, str(place))
        assert filesystem(seen, "state")[0] == 16 * MEBIBYTE
        assert filesystem(seen, "/none") == [None] * 4
        assert "host: the file system of /none cannot be looked at: No such file or directory" in seen.log
        assert seen.of("collector_success", "collector", "host", "processes") == {"host": 0, "processes": 1}
        mounts.fill(place)
        seen = Values(site, mounts.enter)
        assert filesystem(seen, str(place)) == [8 * MEBIBYTE, 0, 100, 98]


def test_hanging_filesystem(parts):
    """It is absent, and all else is there; when it goes on, it is seen again."""
    place = parts.folder.disk / "hanging"
    place.mkdir()
    sendmail = parts.folder.disk / "sendmail.cf"
    sendmail.write_text("O QueueDirectory=/\n")
    site = site_in(parts, "hanging_site", mta={"kind": "sendmail", "config": str(sendmail)}, collector={"filesystems": [str(place), "/"]})
    with Mounts({}) as mounts, HangingDisk(mounts, place) as disk:
        seen = Values(site, mounts.enter)
        assert filesystem(seen, str(place)) == [4096000, 500 * 4096, None, None]
        disk.hang()
        with Milterscope(site) as milterscope, Collector(site, mounts.enter) as collector:
            failed = f"host: the file system of {place} does not answer"
            wait_until(lambda: failed in collector.logs()[0].read_text(), "it is said")
            values = milterscope.dump().values
            assert metric("filesystem_size_bytes", filesystem=str(place)) not in values
            assert metric("filesystem_size_bytes", filesystem="/") in values
            assert metric("filesystem_size_bytes", filesystem="state") in values
            assert metric("load1") in values
            assert values[metric("collector_success", collector="host")] == 0
            disk.go_on()
            again = metric("filesystem_size_bytes", filesystem=str(place))
            wait_until(lambda: again in milterscope.dump().values, "it is seen again")
            wait_until(lambda: "host: is collected again" in collector.logs()[0].read_text(), "and that is said")
