"""What the tests of faults share: milterscope with a view of its processes, its log and its counts, and mail that is timed."""

import os
import re
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from kit.place import BUILD, socket_path
from kit.process import Process
from kit.procfs import children, session
from kit.programs import Milterscope, Site
from kit.smtp import Smtp
from kit.tally import Tally
from kit.wait import GENEROUS, wait_until
from truth import metric

NOBODY = "unix:///nonexistent/redis.sock"  # where no Redis is
TEXT = "From: a@ext.test\nTo: alice@example.test\nSubject: fault\n\nText.\n"


def site_in(parts, name, redis_url=NOBODY, socket=None, **changes):
    """A site with folders of its own; `socket`: that of a Postfix which serves several sites one after another."""
    folder = SimpleNamespace(disk=parts.folder.disk / name, tmpfs=parts.folder.tmpfs / name)
    folder.disk.mkdir()
    folder.tmpfs.mkdir()
    site = Site(folder, redis_url, re.sub(r"[^A-Za-z0-9]", "-", name), **changes)
    if socket:
        site.milter_socket = socket_path(socket)
        site.write(milter={"socket": f"unix:{socket}"})
    return site


class Scope(Milterscope):
    """milterscope as the leader of a session, so that whatever it leaves behind can be found. `programs`: the folder of the
    programs; `enter`: words before the command."""

    def __init__(self, site, programs=BUILD, enter=()):
        super().__init__(site)
        self.programs = Path(programs)
        self.enter = list(enter)
        self.log_begins = 0

    def command(self):
        return [*self.enter, str(self.programs / "milterscope"), "-c", str(self.site.file)]

    def begin(self):
        """Starts it, and does not wait until it serves."""
        log = self.logs()[0]
        self.log_begins = log.stat().st_size if log.exists() else 0
        self.process = Process(self.command(), log)
        self.began = time.monotonic()

    def start(self):
        self.begin()
        wait_until(self.answers, "the milter socket answers a negotiation")

    # ---- its log ----

    def log(self):
        """What it and its children have said since it was started last."""
        with open(self.logs()[0], encoding="utf-8", errors="replace") as log:
            log.seek(self.log_begins)
            return log.read()

    def lines(self, words):
        return [line for line in self.log().splitlines() if words in line]

    def wait_said(self, words, times=1):
        wait_until(lambda: len(self.lines(words)) >= times, lambda: f"{words!r} {times} times in the log:\n{self.log()}")

    # ---- its processes ----

    @property
    def pid(self):
        return self.process.pid

    def children(self, name):
        """The pids of its filters or pushers, the oldest first."""
        return children(self.pid, f"milterscope-{name}")

    def child(self, name):
        """The one that was started last; None: there is none."""
        return next(reversed(self.children(name)), None)

    def wait_child(self, name, instead_of):
        """Another one than that."""

        def other():
            pid = self.child(name)
            return pid if pid != instead_of else None

        return wait_until(other, f"another {name} than {instead_of}")

    def signal_child(self, name, number):
        pid = self.child(name)
        os.kill(pid, number)
        return pid

    def left(self):
        return session(self.pid)

    def wait_gone(self):
        """Ended, and nothing of it is left; returns the exit status."""
        status = self.process.popen.wait(GENEROUS)
        wait_until(lambda: not self.left(), lambda: f"no process left of {self.pid}; there are {self.left()}")
        return status

    def stop(self):
        self.process.send(signal.SIGTERM)
        return self.wait_gone()

    def kill(self):
        self.process.send(signal.SIGKILL)
        return self.wait_gone()

    def stop_at_once(self):
        """As an administrator in a hurry does."""
        self.process.send(signal.SIGTERM)
        wait_until(lambda: self.process.popen.poll() is not None or self.lines("stopping:"), "it begins to stop")
        self.process.send(signal.SIGTERM)
        return self.wait_gone()

    def restart(self):
        assert self.stop() == 0
        self.start()

    def __exit__(self, *failure):
        if self.process and self.process.popen.poll() is None:
            assert self.stop_at_once() == 0
        assert not self.lines("Sanitizer") and not self.lines("runtime error")

    # ---- its counts ----

    def value(self, name, **labels):
        """0 where it is absent."""
        return self.dump().values.get(metric(name, **labels), 0)

    def counts(self):
        return self.dump().counts()

    def passed(self):
        return passed(self.dump().values)

    def wait_value(self, expected, name, **labels):
        wait_until(
            lambda: self.value(name, **labels) == expected,
            lambda: f"{metric(name, **labels)} is {expected}; it is {self.value(name, **labels)}",
        )

    def wait_passed(self, expected):
        """The messages of all sources that passed."""
        wait_until(lambda: self.passed() == expected, lambda: f"{expected} messages passed; it is {self.passed()}")

    def tally(self):
        return Tally(self.site.run_directory)


def passed(values):
    return sum(number for series, number in values.items() if series.startswith("milterscope_messages_total") and '"passed"' in series)


# ---- mail ----


class Session(Smtp):
    """An SMTP session that has said EHLO, and knows how long its slowest answer took."""

    def __init__(self, postfix, source=None):
        super().__init__(postfix.address, source)
        self.slowest = 0.0
        self.greet()
        self.note(self.connecting)
        self.command("EHLO client.test", 250)

    def note(self, since):
        self.slowest = max(self.slowest, time.monotonic() - since)

    def expect(self, what, expected):
        answer = super().expect(what, expected)
        self.note(self.sent)
        return answer

    def message(self):
        """One that is accepted."""
        self.command("MAIL FROM:<a@ext.test>", 250)
        self.command("RCPT TO:<alice@example.test>", 250)
        self.command("DATA", 354)
        self.body(TEXT, 250)


def send(postfix, messages=1, source=None):
    """A session with some messages, all accepted. Returns the seconds of its slowest answer."""
    with Session(postfix, source) as session:
        for _ in range(messages):
            session.message()
        session.quit()
        return session.slowest


class Traffic:
    """Sessions one after another in some threads, from `with` to its end. Afterwards: how many sessions and messages there were,
    the slowest answer, and what went wrong."""

    def __init__(self, postfix, threads=2, most=3):
        self.postfix, self.most = postfix, most
        self.sessions = self.messages = 0
        self.slowest = 0.0
        self.failures = []
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(threads)]

    def run(self, number):
        while not self.ending.is_set():
            messages = 1 + (self.sessions + number) % self.most
            try:
                slowest = send(self.postfix, messages)
            except (AssertionError, OSError) as failure:
                self.failures.append(failure)
                return
            with self.lock:
                self.sessions += 1
                self.messages += messages
                self.slowest = max(self.slowest, slowest)

    def wait(self, sessions):
        """Some more of them."""
        goal = self.sessions + sessions
        wait_until(lambda: self.sessions >= goal or self.failures, "mail flows")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures


def attached(socket, **settings):
    """main.cf with the milter, as the manual recommends it: mail goes on when the milter does not."""
    milter = f"unix:{socket}"
    recommended = {"smtpd_milters": milter, "non_smtpd_milters": milter, "milter_default_action": "accept"}
    return recommended | {"smtpd_error_sleep_time": 0, "in_flow_delay": 0} | settings
