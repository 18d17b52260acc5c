"""An exporter that stands still, wholly or in the thread that reads: nothing else is touched, systemd hears nothing more of
it, and afterwards it shows what was counted meanwhile."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from in_redis import wait_in_redis
from kit.figures import figure
from kit.procfs import frozen, stop
from kit.programs import Exporter
from kit.threads import go_on, names, stopped
from kit.wait import GENEROUS, pass_time, wait_until
from load import messages
from mail import COMMAND_TIMEOUT, Traffic, send
from scope import Scope, passed, site_in
from watch import Watch

BEAT = 1.0  # seconds between two words to the watchdog


class Systemd:
    """A context: what is told to it at $NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = str(path)

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        return self

    def __exit__(self, *failure):
        self.socket.close()

    def told(self):
        """All since it was asked last."""
        messages = []
        try:
            while True:
                messages.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return messages

    def wait_fed(self):
        self.told()
        wait_until(lambda: "WATCHDOG=1" in self.told(), "the watchdog is fed")

    def check_silent(self):
        """From now on, for some beats."""
        self.told()
        pass_time(2.5 * BEAT)
        assert self.told() == []


class Watched(Exporter):
    """An exporter whose watchdog is looked at."""

    def __init__(self, site, systemd):
        super().__init__(site, ["env", f"NOTIFY_SOCKET={systemd.path}"])
        self.systemd = systemd

    @property
    def pid(self):
        return self.process.pid

    def wait_shown(self, count):
        shown = lambda: passed(self.metrics().values)  # noqa: E731
        wait_until(lambda: shown() == count, lambda: f"{count} messages are shown; it is {shown()}")


@pytest.fixture
def exporter(own_parts, scope):
    systemd = own_parts.start(Systemd(scope.site.folder.tmpfs / "notify.sock"))
    return own_parts.start(Watched(scope.site, systemd))


def processes(scope):
    """And how often they were started again."""
    restarts = [scope.value(f"{name}_restarts_total") for name in ("filter", "pusher")]
    return scope.pid, scope.children("filter"), scope.children("pusher"), restarts


def test_exporter_hangs(scope, exporter, postfix, redis):
    """Whoever asked it gets an answer when it goes on."""
    send(postfix, 2)
    scope.wait_passed(2)
    before = processes(scope)
    with Watch(exporter) as watch, ThreadPoolExecutor(2) as aside:
        watch.wait()
        exporter.systemd.wait_fed()
        began = time.monotonic()
        with frozen(exporter.pid):
            asked = [aside.submit(exporter.get, path) for path in ("/metrics", "/livez")]
            with Traffic(postfix) as traffic:
                traffic.wait(20)
            wait_in_redis(redis, scope, 2 + traffic.messages)
            exporter.systemd.check_silent()
            assert not any(each.done() for each in asked)
            seconds = time.monotonic() - began
        assert [each.result(GENEROUS).status for each in asked] == [200, 200]
        exporter.systemd.wait_fed()
        exporter.wait_shown(2 + traffic.messages)
        watch.wait()
    assert traffic.slowest < COMMAND_TIMEOUT
    assert processes(scope) == before
    figure(
        f"exporter that hangs for {seconds:.1f} s, {traffic.messages} messages meanwhile: slowest answer of Postfix "
        f"{traffic.slowest:.2f} s; {watch.check(scope.counts())}"
    )


def test_systemd_starts_an_exporter_that_hangs_again(scope, exporter, postfix):
    """At the end of WatchdogSec it sends SIGABRT and SIGCONT, and Restart=always."""
    send(postfix, 2)
    exporter.wait_shown(2)
    with Watch(exporter) as watch:
        watch.wait()
        stop(exporter.pid)
        send(postfix)
        os.kill(exporter.pid, signal.SIGABRT)
        os.kill(exporter.pid, signal.SIGCONT)
        assert exporter.process.popen.wait(GENEROUS) == -signal.SIGABRT
        exporter.start()
        exporter.wait_shown(3)
        exporter.systemd.wait_fed()
        watch.wait()
    watch.check(scope.counts())


# ---- one thread ----


@pytest.fixture(scope="module", autouse=True)
def without_reader(parts):
    """An exporter whose reading threads stand still; that is noticed after ten seconds, and so it begins before all other
    tests."""
    if os.geteuid() != 0:  # threads of other processes are root's to stop
        yield None
        return
    scope = parts.start(Scope(site_in(parts, "without_reader")))
    systemd = parts.start(Systemd(scope.site.folder.tmpfs / "notify.sock"))
    exporter = parts.start(Watched(scope.site, systemd))
    exporter.wait_shown(0)
    systemd.wait_fed()
    threads = [thread for thread, name in names(exporter.pid).items() if thread != exporter.pid and "MHD" not in name]
    assert len(threads) == 2  # that of the values, that of the top lists
    with stopped(threads):
        yield SimpleNamespace(scope=scope, exporter=exporter, go_on=lambda: go_on(threads))


def test_the_thread_that_reads_hangs(without_reader):
    """It is said at /livez, and systemd is to end it; what the file of the tally holds is shown all the same."""
    if without_reader is None:
        pytest.skip("threads of other processes are root's to stop")
    scope, exporter = without_reader.scope, without_reader.exporter
    messages(scope, 5)
    exporter.wait_shown(scope.passed())
    wait_until(lambda: exporter.get("/livez").status == 503, "it is noticed")
    exporter.systemd.check_silent()
    without_reader.go_on()
    wait_until(lambda: exporter.get("/livez").status == 200, "it goes on")
    exporter.systemd.wait_fed()
