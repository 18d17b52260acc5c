"""milterscope with a view of its processes, its log and its counts, for tests that harm it."""

import os
import re
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

from kit.place import BUILD, socket_path
from kit.process import Process
from kit.procfs import children, session
from kit.programs import Milterscope, Site, check_sanitizers
from kit.tally import FILE, Tally
from kit.wait import GENEROUS, wait_until
from truth import metric

NOBODY = "unix:///nonexistent/redis.sock"  # where no Redis is
PASSED = metric("messages_total", source="internal", verdict="passed")  # of the mail in mail.py


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
    """milterscope, and whatever it leaves behind. `programs`: the folder of the programs; `enter`: words before the
    command."""

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
        said = lambda: f"{words!r} {times} times in the log:\n{self.log()}"  # noqa: E731
        wait_until(lambda: len(self.lines(words)) >= times, said)

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
        check_sanitizers(self.logs())

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
    """The messages of all sources that passed."""
    counted = [series for series in values if series.startswith(metric("messages_total")) and '"passed"' in series]
    return sum(values[series] for series in counted)


# ---- programs that can be replaced ----


def copy_programs(folder, without=None):
    """A folder with a copy of each program that milterscope consists of."""
    own = folder / "programs"
    own.mkdir()
    for name in {"milterscope", "milterscope-filter", "milterscope-pusher"} - {without}:
        shutil.copy(BUILD / name, own)
    return own


def replace(file, by):
    """As packages are installed: no process sees half a file."""
    shutil.copy(by, f"{file}.new")
    os.replace(f"{file}.new", file)


def is_kept(site):
    """Is all that is shown of the totals held by the Redis server that the copy on the disk names, and is it of this run?"""
    now, copy = Tally(site.run_directory).header, Tally(site.state_directory).header
    return now.run == copy.run and now.server == copy.server != 0 and now.ahead == copy.ahead == 0


def the_machine_starts(site):
    """What is on tmpfs is gone, and all else is of another boot."""
    (site.run_directory / FILE).unlink()
    Tally(site.state_directory).of_another_boot().save()
