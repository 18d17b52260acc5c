"""Stops single threads of a process, as ptrace(2) can and signals cannot. They go on when the context ends, or die with their process."""

import contextlib
import ctypes
import os
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def names(pid):
    """{thread: its name}"""
    return {int(task.name): (task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}


def _ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace of thread {thread}: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def stopped(threads):
    """To be used from one thread of ours: the kernel knows the tracer by it. A traced process that dies stays until `bury` is called."""
    for thread in threads:
        _ptrace(PTRACE_SEIZE, thread)
        _ptrace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, WALL)
    try:
        yield
    finally:
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
