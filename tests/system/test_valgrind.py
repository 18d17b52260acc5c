"""All programs under valgrind's memcheck: nothing invalid is read or written, nothing unset decides, no memory is lost.

The supervisor watches them as ever. Where the machine is so busy that what runs under valgrind is taken for hung, there is
nothing to be learnt."""

import contextlib
import re
import signal

import pytest
from exporter import ask
from in_redis import in_step
from kit.place import program
from kit.process import run
from kit.programs import Exporter
from kit.wait import wait_until
from scope import Scope, site_in

TAKEN_FOR_HUNG = "died: signal 9"  # which only the supervisor sends
ERRORS = re.compile("Invalid |[Uu]ninitialised|definitely lost: [1-9]|ERROR SUMMARY: [1-9]")
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"


class Memcheck:
    """`words` stand before a command; each process leaves a log. No suppressions are needed: what libmilter and libc
    keep for the life of the process is still reachable at its end."""

    def __init__(self, folder):
        self.folder = folder
        self.words = ["valgrind", "--trace-children=yes", "--fair-sched=try", "--leak-check=full"]
        self.words += ["--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"]
        self.words += ["--error-exitcode=99", f"--log-file={folder}/memcheck.%p"]

    def logs(self):
        return [log.read_text() for log in self.folder.glob("memcheck.*")]

    def check(self):
        """Nothing was found."""
        wrong = [log for log in self.logs() if ERRORS.search(log)]
        assert not wrong, "\n".join(wrong)

    def check_ended(self, processes):
        """So many, by themselves: then valgrind has looked at their memory."""
        assert ["ERROR SUMMARY: 0 errors" in log for log in self.logs()] == [True] * processes


class Checked(Scope):
    def __init__(self, site, memcheck):
        super().__init__(site)
        self.memcheck = memcheck

    def begin(self):
        self.enter = self.memcheck.words
        super().begin()
        self.enter = []


@contextlib.contextmanager
def unless_too_slow(scope, memcheck):
    try:
        yield
    except (AssertionError, RuntimeError):
        memcheck.check()
        if TAKEN_FOR_HUNG in scope.logs()[0].read_text():
            pytest.skip("this machine is so busy that what runs under valgrind is taken for hung")
        raise
    memcheck.check()


def send_mail(scope):
    """Of every fate."""
    words = ["--sessions", 4, "--transactions", 100, "--refused", 0.3, "--aborted", 0.2, "--timeout", 60]
    run([program("kit/milter-load"), *words, f"unix:{scope.site.milter_socket}"])


def test_milterscope(own_parts, redis):
    """Started, reloaded, restarted as planned, stopped; then again, so that it takes over what it left."""
    site = site_in(own_parts, "checked", redis.url)
    memcheck = Memcheck(site.folder.disk)
    scope = Checked(site, memcheck)
    with unless_too_slow(scope, memcheck):
        with scope:
            send_mail(scope)
            scope.process.send(signal.SIGUSR1)
            scope.wait_said("configuration reloaded")
            scope.process.send(signal.SIGUSR2)
            scope.wait_said("takes over from filter")
            send_mail(scope)
            in_step(redis, scope)
            assert scope.stop() == 0
        run([*memcheck.words, *scope.command(), "--dump"])
        with scope:
            assert scope.stop() == 0
        memcheck.check_ended(5 + 1 + 3)


@pytest.mark.parametrize("what", ["node", "fleet"])
def test_exporter(own_parts, redis, what):
    scope = own_parts.start(Scope(site_in(own_parts, f"shown in {what}", redis.url)))
    send_mail(scope)
    in_step(redis, scope)
    scope.site.write(exporter={"scope": what})
    memcheck = Memcheck(scope.site.folder.disk)
    exporter = Exporter(scope.site, memcheck.words)
    with exporter:
        wait_until(lambda: ask(exporter, "GET", "/readyz").status == 200, "it is ready")
        for path in ("/metrics", "/", "/livez", "/nowhere"):
            ask(exporter, "GET", path, Accept_Encoding="gzip")
        ask(exporter, "GET", "/metrics", Accept=OPEN_METRICS)
        ask(exporter, "POST", "/metrics", Content_Length="1")
        exporter.process.send(signal.SIGUSR1)
        wait_until(lambda: "configuration reloaded" in exporter.logs()[0].read_text(), "it has reloaded")
        wait_until(lambda: ask(exporter, "GET", "/readyz").status == 200, "it is ready again")
        assert exporter.stop() == 0
    run([*exporter.command(), "--once"])
    memcheck.check()
    memcheck.check_ended(2)
