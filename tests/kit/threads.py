"""Stops single threads of a process, as ptrace(2) can and signals cannot. They go on when the context ends, or die with
their process.

To be used from one thread of ours: the kernel knows the tracer by it. A traced process that dies stays until `bury` is
called."""

import contextlib
import ctypes
import os
import platform
import signal
from pathlib import Path

import pytest

from kit.process import run
from kit.wait import wait_until

PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 17, 0x4206, 0x4207
PTRACE_O_TRACECLONE = 8  # threads that a traced one starts are traced from the beginning
WALL = 0x40000000
TRAPS = {"x86_64": b"\xcc", "aarch64": b"\x00\x00\x20\xd4"}  # the instruction of a breakpoint
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def names(pid):
    """{thread: its name}"""
    return {int(task.name): (task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}


def _threads(pid):
    return {int(name) for name in os.listdir(f"/proc/{pid}/task")}


def _traced(pid):
    """Those that somebody traces."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it has gone
            if "\nTracerPid:\t0\n" not in (task / "status").read_text():
                found.add(int(task.name))
    return found


def _ptrace(request, thread, data=None):
    if libc.ptrace(request, thread, None, data) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace of thread {thread}: {os.strerror(ctypes.get_errno())}")


def _detach(thread):
    """One that runs, or has gone."""
    try:
        _ptrace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, WALL)
        _ptrace(PTRACE_DETACH, thread)
    except ProcessLookupError:
        bury([thread])


@contextlib.contextmanager
def stopped(threads):
    for thread in threads:
        _ptrace(PTRACE_SEIZE, thread)
        _ptrace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, WALL)
    try:
        yield
    finally:
        go_on(threads)


def go_on(threads):
    """Those that were stopped, and live."""
    for thread in threads:
        with contextlib.suppress(OSError):
            _ptrace(PTRACE_DETACH, thread)


def bury(threads):
    """Takes note of the deaths of traced threads, so that their parent hears of them. Returns whether all have died."""
    left = set(threads)
    for thread in threads:
        with contextlib.suppress(ChildProcessError):
            died, how = os.waitpid(thread, WALL | os.WNOHANG)
            if died == 0 or not (os.WIFSIGNALED(how) or os.WIFEXITED(how)):
                continue
        left.discard(thread)
    return not left


class Trap:
    """A context: a breakpoint at the first instruction of a function. The first thread that comes there stays there;
    `caught()` waits for it, and lets all others go by. Only one may come before that. A process with a thread in the
    trap ends with the context at the latest."""

    def __init__(self, pid, program, function):
        if platform.machine() not in TRAPS:
            pytest.skip(f"no breakpoint is known for {platform.machine()}")
        self.pid, self.trap = pid, TRAPS[platform.machine()]
        self.caught_one = None
        symbols = (line.split() for line in run(["nm", program]).splitlines())
        (offset,) = [int(words[0], 16) for words in symbols if words[-1] == function]
        maps = (line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines())
        inode = os.stat(program).st_ino
        self.address = offset + min(int(words[0].split("-")[0], 16) for words in maps if int(words[4]) == inode)

    def exchange(self, instruction):
        """Writes it where the breakpoint is; returns what was there."""
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(self.address)
            before = memory.read(len(instruction))
            memory.seek(self.address)
            memory.write(instruction)
        return before

    def __enter__(self):
        try:
            while new := _threads(self.pid) - _traced(self.pid):
                for thread in new:
                    with contextlib.suppress(ProcessLookupError):  # it has gone
                        _ptrace(PTRACE_SEIZE, thread, PTRACE_O_TRACECLONE)
        except PermissionError as error:
            pytest.skip(f"threads of other processes cannot be stopped here: {error}")
        self.original = self.exchange(self.trap)
        return self

    def look(self):
        """The thread in the trap. All that have stopped for another reason go on."""
        for thread in _traced(self.pid):
            with contextlib.suppress(ChildProcessError, ProcessLookupError):
                found, how = os.waitpid(thread, WALL | os.WNOHANG)
                if found == 0 or not os.WIFSTOPPED(how):
                    continue
                event, number = how >> 16, os.WSTOPSIG(how)
                if event == 0 and number == signal.SIGTRAP:
                    self.caught_one = thread
                else:
                    _ptrace(PTRACE_CONT, thread, 0 if event else number)
        return self.caught_one

    def caught(self):
        wait_until(self.look, "a thread is in the trap", interval=0.01)
        self.exchange(self.original)
        self.release()
        return self.caught_one

    def release(self):
        while others := _traced(self.pid) - {self.caught_one}:
            for thread in others:
                _detach(thread)

    def __exit__(self, *failure):
        if self.caught_one is None:
            self.exchange(self.original)
            self.release()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            wait_until(lambda: bury([self.caught_one]), "the process with the thread in the trap has died")
