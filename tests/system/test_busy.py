"""A filter that is busy is not one that hangs: its sessions go on, and only the check over the milter socket starves."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hostile import START, STARTED
from kit.figures import figure
from kit.milter_wire import MESSAGE, MESSAGE_ANSWERS, Wire
from kit.process import Process
from kit.procfs import frozen
from kit.threads import bury, names, stopped
from kit.wait import wait_until
from load import words
from scope import Scope, site_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the filter lets nobody but root look at it")
SESSIONS = 12
HANGS, BUSY = 3.0, 10.0  # seconds without an answer until a filter is killed
STARVES = 5.0


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
