"""Processes that are killed or die at once, and a socket that is taken away: mail goes on, and no total is lost."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import permutations

import pytest
from in_redis import Trace, meta, wait_in_redis
from kit.figures import figure
from kit.place import BUILD
from kit.programs import Exporter
from kit.wait import pass_time, wait_until
from mail import COMMAND_TIMEOUT, Session, Traffic, send
from scope import Scope, copy_programs, passed, replace
from watch import Watch

# ---- killed ----


def test_filter_killed(scope, postfix):
    send(postfix, 2)
    scope.wait_passed(2)
    before = os.stat(scope.site.milter_socket).st_ino
    for times in (1, 2):
        killed = scope.signal_child("filter", signal.SIGKILL)
        scope.wait_child("filter", killed)
        scope.wait_said(f"filter {killed} died: signal 9 (Killed)")
        assert scope.value("filter_restarts_total") == times
    assert os.stat(scope.site.milter_socket).st_ino == before
    assert scope.passed() == 2
    send(postfix, 3)
    scope.wait_passed(5)
    assert scope.value("pusher_restarts_total") == 0


def test_mail_while_filters_are_killed(scope, postfix):
    """All is accepted; uncounted is at most what was in a filter when it was killed."""
    kills, threads = 4, 2
    with Traffic(postfix, threads, most=1) as traffic:
        for _ in range(kills):
            traffic.wait(5)
            scope.wait_child("filter", scope.signal_child("filter", signal.SIGKILL))
        traffic.wait(5)
    scope.wait_value(0, "sessions_active")
    passed = scope.passed()
    counted = f"{passed} of {traffic.messages} messages counted"
    figure(f"filter killed {kills} times: {counted}, slowest answer {traffic.slowest:.2f} s")
    assert traffic.messages - kills * threads <= passed <= traffic.messages
    assert scope.value("filter_restarts_total") == kills


def test_pusher_killed(scope, postfix, redis):
    send(postfix)
    wait_in_redis(redis, scope, 1)
    epoch = int(meta(redis, scope).epoch)
    killed = scope.signal_child("pusher", signal.SIGKILL)
    scope.wait_child("pusher", killed)
    send(postfix, 2)
    wait_in_redis(redis, scope, 3)
    scope.wait_said(f"pusher {killed} died: signal 9 (Killed)")
    assert scope.value("pusher_restarts_total") == 1
    assert scope.value("filter_restarts_total") == 0
    assert int(meta(redis, scope).epoch) == epoch + 1


def test_supervisor_killed(scope, postfix):
    send(postfix, 2)
    scope.wait_passed(2)
    before = scope.tally().id
    scope.kill()
    send(postfix)  # goes on, unobserved
    scope.start()
    assert (scope.passed(), scope.tally().id) == (2, before)
    for times in range(3, 13):  # without a breath in between
        scope.process.send(signal.SIGKILL)
        scope.process.popen.wait()
        scope.start()
        send(postfix)
        scope.wait_passed(times)
    assert not scope.lines("damaged")


def test_all_killed_in_any_order(scope, postfix, redis):
    """One right after the other, while mail flows. What passed while a filter was there is counted, and never lost."""
    threads, least = 2, 0
    with Trace(redis, scope) as trace, Traffic(postfix, threads, most=1) as traffic:
        for order in permutations(("filter", "pusher", "supervisor")):
            begun = traffic.messages
            traffic.wait(15)
            least += traffic.messages - begun - threads  # those that were under way at the start passed unobserved
            pids = {"supervisor": scope.pid, "filter": scope.child("filter"), "pusher": scope.child("pusher")}
            for name in order:
                with suppress(ProcessLookupError):  # the kernel was quicker
                    os.kill(pids[name], signal.SIGKILL)
            scope.wait_gone()
            scope.start()
            assert scope.passed() >= least, order
            assert not scope.lines("damaged"), order
    scope.wait_value(0, "sessions_active")
    passed = scope.passed()
    figure(f"all killed in 6 orders: {passed} of {traffic.messages} messages counted, at least {least} were observed")
    assert least <= passed <= traffic.messages
    wait_in_redis(redis, scope, passed)
    assert trace.failure is None and trace.steps_back() == []


def test_exporter_killed(own_parts, scope, postfix):
    """While it answers."""
    exporter = own_parts.start(Exporter(scope.site))
    with Watch(exporter) as watch, Traffic(postfix) as traffic, ThreadPoolExecutor(4) as aside:
        for _ in range(3):
            traffic.wait(5)
            watch.wait()
            asked = [aside.submit(exporter.get, "/metrics") for _ in range(4)]
            assert exporter.process.stop(signal.SIGKILL) == -signal.SIGKILL
            wait_until(lambda: all(each.done() for each in asked), "nobody waits for the dead")  # noqa: B023
            exporter.start()
        watch.wait()
    scope.wait_passed(traffic.messages)
    figure(f"exporter killed 3 times: {watch.check(scope.counts())}")
    wait_until(lambda: passed(exporter.metrics().values) == traffic.messages, "all messages are shown")


# ---- the socket is taken away ----


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_socket_is_taken_away(scope, postfix, how):
    """It comes back by itself, and open sessions go on."""
    old, path = scope.child("filter"), scope.site.milter_socket
    with Session(postfix) as session:
        session.begin_message()
        os.unlink(path)
        if how == "replaced":
            with closing(socket.socket(socket.AF_UNIX)) as other:
                other.bind(path)
        send(postfix)  # unobserved
        scope.wait_said("the milter socket was taken away, and is open again")
        wait_until(scope.answers, "the milter answers")
        send(postfix, 2)
        scope.wait_passed(2)
        session.command("RSET", 250)
        session.message()
        session.quit()
    scope.wait_passed(3)
    scope.wait_value(1, "filter_up")
    assert scope.child("filter") != old
    assert scope.value("filter_restarts_total") == 0
    assert not scope.lines("killed")


# ---- programs that die at once ----


def test_crash_loop(own_parts, attached_site, postfix):
    programs = copy_programs(attached_site.folder.disk)
    scope = own_parts.start(Scope(attached_site, programs))
    send(postfix)
    scope.wait_passed(1)
    replace(programs / "milterscope-filter", "/bin/false")
    scope.signal_child("filter", signal.SIGKILL)
    scope.wait_said("milter socket closed for 10 s, mail passes unobserved")
    assert scope.lines("died: exit status 1")
    assert not os.path.exists(attached_site.milter_socket)
    scope.wait_value(0, "filter_up")
    slowest = send(postfix)
    figure(f"milter socket closed after a crash loop: slowest answer {slowest:.2f} s")
    assert slowest < COMMAND_TIMEOUT
    restarts = scope.value("filter_restarts_total")
    assert restarts == 5
    replace(programs / "milterscope-filter", BUILD / "milterscope-filter")
    scope.wait_said("milter socket open again")
    wait_until(scope.answers, "the milter answers")
    send(postfix)
    scope.wait_passed(2)
    scope.wait_value(1, "filter_up")
    assert scope.value("filter_restarts_total") == restarts


def test_another_version_is_installed_and_does_not_fit(own_parts, attached_site, postfix):
    """Half of an upgrade: the supervisor starts itself again, without haste, until filter and supervisor fit."""
    programs = copy_programs(attached_site.folder.disk)
    scope = own_parts.start(Scope(attached_site, programs))
    send(postfix)
    scope.wait_passed(1)
    other = attached_site.folder.disk / "other"
    other.write_text("#!/bin/sh\nexit 76\n")
    other.chmod(0o755)
    replace(programs / "milterscope-filter", other)
    scope.process.send(signal.SIGUSR2)
    began = time.monotonic()
    words = "another version is installed: starting again"
    scope.wait_said(words, 2)
    pass_time(3)
    times = len(scope.lines(words))
    figure(f"supervisor: started itself again {times} times in {time.monotonic() - began:.1f} s")
    assert times < 10
    send(postfix)  # goes on
    replace(programs / "milterscope-filter", BUILD / "milterscope-filter")
    wait_until(scope.answers, "the milter answers")
    before = scope.passed()
    send(postfix)
    scope.wait_passed(before + 1)
    assert before == 1


def test_pusher_that_dies_at_once(own_parts, attached_site, postfix, redis):
    programs = copy_programs(attached_site.folder.disk)
    scope = own_parts.start(Scope(attached_site, programs))
    replace(programs / "milterscope-pusher", "/bin/false")
    scope.signal_child("pusher", signal.SIGKILL)
    scope.wait_said("died: exit status 1", 3)
    send(postfix)
    scope.wait_passed(1)
    replace(programs / "milterscope-pusher", BUILD / "milterscope-pusher")
    wait_in_redis(redis, scope, 1)
    assert scope.value("pusher_restarts_total") >= 4
    assert scope.value("filter_restarts_total") == 0
