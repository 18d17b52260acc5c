"""Libmilter gets no thread for a session, and forgets it: nobody reads its socket any more, also when the MTA has gone.
Such sessions are found, and the filter is replaced, as at a planned restart; the others go on.

The filter is the one that does not wait a minute for that, and is the same in all else."""

import contextlib
import resource
from contextlib import ExitStack
from pathlib import Path

import pytest
from hostile import START, STARTED
from kit.failing import sanitizer
from kit.milter_wire import CONTINUE, MESSAGE, MESSAGE_ANSWERS, Wire, helo, mail
from kit.place import program
from kit.procfs import frozen, is_alive
from kit.wait import GENEROUS, wait_until
from scope import Scope, copy_programs, replace, site_in

HALVES, HALVES_MOST = 8, 60  # sessions that keep a thread each: libmilter has idle ones, and stacks of old ones
LEFT = 256 * 1024  # bytes of memory for the filter: less than the stack of a thread
SILENCE = 1.0  # seconds without an answer; then as many as this again, with memory for threads
MESSAGE_FROM_RCPT, ANSWERS_FROM_RCPT = MESSAGE[len(mail()) :], MESSAGE_ANSWERS[1:]


@pytest.fixture
def scope(own_parts):
    if sanitizer():
        pytest.skip("the address sanitizer does not live without memory")
    site = site_in(own_parts, "forgotten", milter={"drain": 2 * GENEROUS})
    programs = copy_programs(site.folder.disk)
    replace(programs / "milterscope-filter", program("kit/hasty-filter"))
    return own_parts.start(Scope(site, programs))


@contextlib.contextmanager
def no_thread(pid):
    """There is no memory for the stack of another one."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + LEFT, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, before)


class Client(Wire):
    """An MTA with a session that is open."""

    def __init__(self, scope):
        super().__init__(scope.site.milter_socket)
        self.ask(START, STARTED)

    def is_silent(self):
        self.socket.settimeout(SILENCE)
        try:
            self.expect(CONTINUE)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(GENEROUS)
        return False

    def begin_half(self):
        """Of a packet, for whose rest a thread of libmilter waits."""
        self.say(helo()[:7])

    def end_half(self):
        self.ask(helo()[7:], CONTINUE)


def forget(scope, client, clients, stack):
    """Makes libmilter forget the session of a client. Every thread that it has waits for the other half of a packet."""
    pid = scope.child("filter")
    for number in range(HALVES_MOST):
        clients.append(stack.enter_context(Client(scope)))
        clients[-1].begin_half()
        if number < HALVES:
            continue
        with frozen(scope.pid):  # which would ask meanwhile, and be forgotten itself
            with no_thread(pid):
                client.say(helo())
                silent = client.is_silent()
            if silent and client.is_silent():
                break
    else:
        pytest.fail("libmilter has always got a thread")
    for half in clients:
        half.end_half()


def test_session_is_forgotten(scope):
    old = scope.child("filter")
    with ExitStack() as stack:
        clients, client, other = [], *(stack.enter_context(Client(scope)) for _ in range(2))
        other.ask(mail(), CONTINUE)
        forget(scope, client, clients, stack)
        scope.wait_value(2 + len(clients), "sessions_active")
        client.close()
        scope.wait_said("sessions forgotten by libmilter, which got no thread for them: 1;")
        scope.wait_said(f"filter {old} holds sessions that libmilter has forgotten: planned restart")
        scope.wait_said(f"takes over from filter {old}")
        with Client(scope) as new:
            new.ask(MESSAGE, MESSAGE_ANSWERS)
            assert is_alive(old)
            other.ask(MESSAGE_FROM_RCPT, ANSWERS_FROM_RCPT)
            for half in clients:
                half.ask(MESSAGE, MESSAGE_ANSWERS)
    scope.wait_said(f"filter {old} has drained: exit status 0")
    wait_until(lambda: not is_alive(old), "the old filter has ended")
    scope.wait_value(0, "sessions_active")
    assert scope.passed() == 2 + len(clients)
    assert scope.value("sessions_unobserved_total") == 1
    assert scope.value("filter_restarts_total") == 0
    assert not scope.lines("killed") and not scope.lines("died")
