"""What /proc says about processes that a program under test started: its children, and all that live in its session.

Zombies do not count: they hold nothing, and whoever started them has yet to look."""

import contextlib
import os
import signal
from collections import namedtuple
from pathlib import Path

from kit.wait import wait_until

Status = namedtuple("Status", "pid name state parent session started")


def status(pid):
    """None: there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    name, rest = text.split("(", 1)[1].rsplit(")", 1)
    fields = rest.split()  # the third field of proc(5) is the first here
    return Status(int(pid), name, fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def alive():
    """Every process that runs."""
    found = [status(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [process for process in found if process and process.state not in "ZX"]


def is_alive(pid):
    process = status(pid)
    return process is not None and process.state not in "ZX"


def children(pid, name):
    """The pids of the children of a process that are called so, the oldest first; /proc has 15 characters of a name."""
    found = [process for process in alive() if process.parent == pid and process.name == name[:15]]
    return [process.pid for process in sorted(found, key=lambda process: (process.started, process.pid))]


def session(pid):
    """Who lives in the session that this process leads or led, as text for a message."""
    return [f"{process.pid} {process.name} ({process.state})" for process in alive() if process.session == pid]


def runs(pid):
    """Does any thread of this process go on?"""
    states = set()
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has gone
            states.add(thread.read_text().rsplit(")", 1)[1].split()[0])
    return not states <= set("TtZX")


def stop(*pids):
    """Returns when all of their threads stand still: a signal takes a moment."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        wait_until(lambda: not runs(pid), f"process {pid} stands still", interval=0.001)  # noqa: B023


@contextlib.contextmanager
def frozen(*pids):
    """Processes that do nothing for a while. One that has gone meanwhile is no harm."""
    stop(*pids)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
