"""Filters that hang with many sessions open, wholly or in one callback, also in the middle of a planned restart: all
mail goes on, in time, and what is counted stays within its bounds."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from in_redis import wait_in_redis
from kit.figures import figure
from kit.place import BUILD, TOP
from kit.procfs import frozen, is_alive, stop
from kit.servers import Postfix
from kit.threads import Trap, bury
from kit.wait import wait_until
from mail import COMMAND_TIMEOUT, TEXT, Session, attached, send
from scope import Scope, copy_programs, replace

SESSIONS = 50
BETWEEN, IN_MAIL, IN_DATA = range(3)


@pytest.fixture(scope="module")
def postfix(parts, milter_socket):
    return parts.start(Postfix(parts.folder, attached(milter_socket, smtpd_client_connection_count_limit=0)))


@pytest.fixture(scope="module")
def recommended(parts, milter_socket):
    """A Postfix with the settings that we hand out."""
    lines = (line for line in (TOP / "conf/postfix/main.cf").read_text().splitlines() if line and line[0] != "#")
    settings = dict(line.split(" = ", 1) for line in lines)
    assert "command_timeout=2s" in settings["smtpd_milters"]
    settings["smtpd_milters"] = settings["smtpd_milters"].replace("milterscope/milter.sock", str(milter_socket))
    without_default = attached(milter_socket, smtpd_client_connection_count_limit=0, milter_default_action="tempfail")
    return parts.start(Postfix(parts.folder, without_default | settings, "postfix-recommended"))


class Member(Session):
    """A session that has sent a message, and then stands between two messages, behind MAIL, or behind DATA."""

    def __init__(self, postfix, stage):
        super().__init__(postfix)
        self.stage = stage
        self.message()
        if stage >= IN_MAIL:
            self.begin_message()
        if stage >= IN_DATA:
            self.command("RCPT TO:<alice@example.test>", 250)
            self.command("DATA", 354)

    def go_on(self):
        """Two messages; the second one is whole in every case."""
        if self.stage == IN_DATA:
            self.body(TEXT, 250)
        elif self.stage == IN_MAIL:
            self.finish_message()
        else:
            self.message()
        self.message()
        self.quit()
        return self.slowest


class Crowd:
    """Many sessions, open at the same time."""

    def __init__(self, postfix):
        self.workers = ThreadPoolExecutor(SESSIONS)
        self.members = list(self.workers.map(lambda number: Member(postfix, number % 3), range(SESSIONS)))

    def go_on(self):
        """All at once, to their ends. Returns the slowest answer of each in seconds, when it is asked for."""
        return self.workers.map(Member.go_on, self.members)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        for member in self.members:
            member.close()
        self.workers.shutdown()


@pytest.fixture
def crowd(scope, postfix):
    with Crowd(postfix) as crowd:
        scope.wait_passed(SESSIONS)
        yield crowd


def expect_observed(scope, postfix, passed):
    """So many messages passed, no session is left, and mail is observed."""
    scope.wait_value(1, "filter_up")
    scope.wait_value(0, "sessions_active")
    send(postfix)
    scope.wait_passed(passed + 1)


def test_filter_hangs(scope, crowd, postfix, redis):
    """What was under way in it passes unobserved, and nothing else."""
    hung = scope.child("filter")
    stop(hung)
    slowest = max(crowd.go_on())
    figure(f"hung filter, {SESSIONS} sessions open: slowest answer {slowest:.1f} s")
    assert slowest < COMMAND_TIMEOUT
    scope.wait_said(f"filter {hung} does not answer, killed")
    assert scope.value("filter_restarts_total") == 1
    expect_observed(scope, postfix, SESSIONS)
    wait_in_redis(redis, scope, SESSIONS + 1)


def test_filter_hangs_with_the_settings_that_we_hand_out(scope, recommended):
    """Even where nobody kills it, since the supervisor hangs as well: a session waits once, and not longer than one of
    those timeouts."""
    filter_ = scope.child("filter")
    with Crowd(recommended) as crowd:
        scope.wait_passed(SESSIONS)
        with frozen(scope.pid, filter_):
            with Session(recommended) as new:
                new.message()
                new.quit()
            slowest = list(crowd.go_on())
    given_up = recommended.logs()[0].read_text().count("reply packet header: Connection timed out")
    in_data, others = max(slowest[IN_DATA::3]), max(*slowest[IN_MAIL::3], *slowest[BETWEEN::3], new.slowest)
    figure(
        f"hung filter and supervisor, the settings that we hand out: slowest answer to a command {others:.1f} s, to the end "
        f"of a message {in_data:.1f} s"
    )
    assert given_up == SESSIONS + 1  # once in each session
    assert max(others, in_data) < COMMAND_TIMEOUT / 2


@pytest.mark.skipif(os.geteuid() != 0, reason="the filter lets nobody but root look at it")
def test_worker_is_stuck_in_a_callback(scope, crowd, postfix):
    """The others are served until it is noticed; then the whole filter is replaced."""
    stuck = scope.child("filter")
    victim = crowd.members.pop(0)
    assert victim.stage == BETWEEN
    with Trap(stuck, BUILD / "milterscope-filter", "session_mail") as trap, victim:
        sending = crowd.workers.submit(victim.go_on)
        thread = trap.caught()
        began = time.monotonic()
        send(postfix)
        at_once = time.monotonic() - began
        assert scope.passed() == SESSIONS + 1
        scope.wait_said(f"filter {stuck} does not answer, killed")
        noticed = time.monotonic() - began
        wait_until(lambda: bury([thread]), "the stuck filter has died")
        slowest = max(*crowd.go_on(), sending.result())
    figure(
        f"stuck worker, {SESSIONS} sessions open: noticed after {noticed:.1f} s, slowest answer {slowest:.1f} s; "
        f"a session of another worker took {at_once:.2f} s meanwhile"
    )
    assert slowest < COMMAND_TIMEOUT
    assert scope.value("filter_restarts_total") == 1
    expect_observed(scope, postfix, SESSIONS + 1)


def test_draining_filter_hangs(scope, crowd, postfix):
    """It is killed as any other, and need not be replaced: new sessions are served all the time."""
    old = scope.child("filter")
    scope.process.send(signal.SIGUSR2)
    scope.wait_said(f"takes over from filter {old}")
    stop(old)
    going_on = crowd.go_on()
    new_session = send(postfix)
    scope.wait_passed(SESSIONS + 1)
    slowest = max(going_on)
    figure(
        f"hung filter that drains, {SESSIONS} sessions open: slowest answer {slowest:.1f} s, "
        f"of a new session meanwhile {new_session:.2f} s"
    )
    assert slowest < COMMAND_TIMEOUT
    scope.wait_said(f"filter {old} drains and does not answer, killed")
    wait_until(lambda: not is_alive(old), "the old filter has died")
    assert scope.value("filter_restarts_total") == 0
    expect_observed(scope, postfix, SESSIONS + 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="the filter lets nobody but root look at it")
def test_worker_of_a_draining_filter_is_stuck(scope, crowd, postfix):
    """Sessions of its other workers go on until it is noticed, new ones are observed by the new filter all the time."""
    old = scope.child("filter")
    victim = crowd.members.pop(0)
    assert victim.stage == BETWEEN
    with Trap(old, BUILD / "milterscope-filter", "session_mail") as trap, victim:
        scope.process.send(signal.SIGUSR2)
        scope.wait_said(f"takes over from filter {old}")
        sending = crowd.workers.submit(victim.go_on)
        thread = trap.caught()
        began = time.monotonic()
        going_on = crowd.go_on()
        new_session = send(postfix)
        assert scope.passed() > SESSIONS
        scope.wait_said(f"filter {old} drains and does not answer, killed")
        noticed = time.monotonic() - began
        wait_until(lambda: bury([thread]), "the old filter has died")
        slowest = max(*going_on, sending.result())
    scope.wait_value(0, "sessions_active")
    passed = scope.passed()
    figure(
        f"stuck worker of a filter that drains, {SESSIONS} sessions open: noticed after {noticed:.1f} s, slowest answer "
        f"{slowest:.1f} s, of a new session meanwhile {new_session:.2f} s, {passed - SESSIONS} messages observed meanwhile"
    )
    assert slowest < COMMAND_TIMEOUT
    assert SESSIONS + 1 <= passed <= SESSIONS + 1 + 2 * (SESSIONS - 1)  # nothing of the victim's
    assert scope.value("filter_restarts_total") == 0
    expect_observed(scope, postfix, passed)


def test_new_filter_hangs_before_it_is_ready(own_parts, attached_site, postfix):
    """The old one serves as before, and goes on when the new one is killed."""
    programs = copy_programs(attached_site.folder.disk)
    scope = own_parts.start(Scope(attached_site, programs))
    old = scope.child("filter")
    hanging = attached_site.folder.disk / "hanging"
    hanging.write_text(f'#!/bin/sh\nkill -STOP $$\nexec {BUILD}/milterscope-filter "$@"\n')
    hanging.chmod(0o755)
    with Crowd(postfix) as crowd:
        replace(programs / "milterscope-filter", hanging)
        scope.process.send(signal.SIGUSR2)
        new = scope.wait_child("filter", old)
        slowest = max(crowd.go_on())
        scope.wait_passed(3 * SESSIONS)
        assert scope.children("filter") == [old, new]
        scope.wait_said(f"filter {new} does not become ready, killed; filter {old} goes on")
    figure(f"new filter that hangs before it is ready, {SESSIONS} sessions open: slowest answer {slowest:.2f} s")
    assert scope.value("filter_restarts_total") == 0
    expect_observed(scope, postfix, 3 * SESSIONS)
