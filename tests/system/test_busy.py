"""A filter that is busy is not one that hangs: its sessions go on, only the check over the milter socket starves."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hostile import START, STARTED
from kit.figures import figure
from kit.milter_wire import CONTINUE, MESSAGE, MESSAGE_ANSWERS, Wire, helo
from kit.process import Process
from kit.procfs import frozen
from kit.threads import bury, names, stopped
from kit.wait import pass_time, wait_until
from load import words
from scope import Scope, site_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the filter lets nobody but root look at it")
SESSIONS = 12
HANGS, BUSY = 3.0, 10.0  # seconds without an answer until a filter is killed
STARVES = 5.0
WORKERS_MOST = 8  # that libmilter has in the beginning


@pytest.fixture
def scope(own_parts, request):
    return own_parts.start(Scope(site_in(own_parts, request.node.name.removeprefix("test_"))))


@pytest.fixture
def flood(scope):
    """Sessions that never end, each with a message after the other."""
    command = words(scope, rate=300, transactions=0, seconds=600, sessions=SESSIONS, messages=1_000_000, timeout=60)
    load = Process(command, scope.site.folder.disk / "flood.log")
    try:
        wait_until(lambda: scope.passed() > 100, "messages pass")
        assert scope.value("sessions_active") == SESSIONS
        yield load
    finally:
        load.stop()


def session(scope):
    """A new one, which is answered."""
    with Wire(scope.site.milter_socket) as wire:
        wire.ask(START, STARTED)
        wire.ask(MESSAGE, MESSAGE_ANSWERS)


def wait_killed(scope, pid, threads, began):
    """Returns after how many seconds the filter was taken for hung."""
    scope.wait_said(f"filter {pid} does not answer, killed")
    seconds = time.monotonic() - began
    wait_until(lambda: bury(threads), "the hung filter has died")
    return seconds


def expect_served(scope, flood, hung):
    """By another filter."""
    flood.stop()
    scope.wait_child("filter", hung)
    scope.wait_value(1, "filter_up")
    scope.wait_value(0, "sessions_active")
    before = scope.passed()
    session(scope)
    scope.wait_passed(before + 1)
    assert scope.value("filter_restarts_total") == 1


def test_check_starves(scope, flood):
    """The thread that accepts stands still for a while; the sessions that are open do not notice."""
    busy = scope.child("filter")
    with stopped([busy]):  # the thread that a process begins with has its number
        began = time.monotonic()
        scope.wait_value(0, "filter_up")
        before = scope.passed()
        wait_until(lambda: time.monotonic() > began + STARVES, "time passes")
        assert scope.passed() > before
    scope.wait_said(f"filter {busy} was busy: it answered after")
    scope.wait_value(1, "filter_up")
    flood.check_alive()
    assert scope.child("filter") == busy
    assert scope.value("filter_restarts_total") == 0
    assert not scope.lines("killed")


def test_check_starves_for_too_long(scope, flood):
    """Sessions that begin wait with it, however well those that are open go on: it cannot last."""
    busy = scope.child("filter")
    with stopped([busy]), ThreadPoolExecutor(1) as aside:
        began = time.monotonic()
        waiting = aside.submit(session, scope)
        seconds = wait_killed(scope, busy, [busy], began)
        waiting.result()  # by the new one
    figure(f"busy filter that does not accept: replaced after {seconds:.1f} s")
    assert seconds > BUSY - HANGS
    expect_served(scope, flood, busy)


def idle_workers(pid):
    """Threads of libmilter that wait for something to do."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has gone
            if (task / "wchan").read_text().startswith("futex"):
                found.append(int(task.name))
    return found


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def files_between_checks(pid):
    """A check is there for some milliseconds only."""
    counts = []
    for _ in range(5):
        counts.append(open_files(pid))
        pass_time(0.1)
    return min(counts)


def freeze_between_checks(scope, pid, files):
    """Stops the supervisor when nothing is asked. Returns the idle workers; None, and it goes on: there is a check."""
    os.kill(scope.pid, signal.SIGSTOP)
    workers = idle_workers(pid)
    pass_time(0.2)
    if open_files(pid) == files and workers and workers == idle_workers(pid):
        return workers
    os.kill(scope.pid, signal.SIGCONT)
    return None


def test_check_lies_in_the_pool(scope):
    """Libmilter counts on its idle workers for one session more than there are, and that is the check. No worker would
    take it up again while all have something to do."""
    pid = scope.child("filter")
    with ExitStack() as stack:
        clients = [stack.enter_context(Wire(scope.site.milter_socket)) for _ in range(WORKERS_MOST)]
        for client in clients:
            client.ask(START, STARTED)
        files = files_between_checks(pid)
        stack.callback(os.kill, scope.pid, signal.SIGCONT)
        workers = wait_until(lambda: freeze_between_checks(scope, pid, files), "the supervisor is between two checks")
        with stopped(workers):
            for client in clients[: len(workers)]:
                client.say(helo()[:7])  # a worker waits for the rest
            os.kill(scope.pid, signal.SIGCONT)
            wait_until(lambda: open_files(pid) > files, "the check is there", interval=0.01)
            pass_time(0.1)  # until it is one of those that wait for a worker
        pass_time(HANGS + 2)
        for client in clients[: len(workers)]:
            client.ask(helo()[7:], CONTINUE)
    assert scope.child("filter") == pid
    assert not scope.lines("killed")
    scope.wait_value(1, "filter_up")


def test_busy_libmilter_hangs(scope, flood):
    """That it was busy until then is no excuse."""
    hung = scope.child("filter")
    with ExitStack() as stack:
        with frozen(hung):  # else threads of libmilter come and go meanwhile
            threads = [thread for thread, name in names(hung).items() if name != "control"]
            stack.enter_context(stopped(threads))
        seconds = wait_killed(scope, hung, threads, time.monotonic())
    figure(f"busy libmilter that hangs: replaced after {seconds:.1f} s")
    assert seconds < BUSY - HANGS
    expect_served(scope, flood, hung)
