"""A PID namespace of a test's own, with its /proc: what runs in it is all that is seen there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kit.failing import is_sanitized

# It takes up who has lost its parent, and ends, with all, when its standard input does.
FIRST = "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print('ready', flush=True); sys.stdin.read()"


class Pids:
    """A context. `enter` is put before a command that is to run in it, `see` before one that is to run here and sees its
    /proc alone."""

    def __enter__(self):
        if os.geteuid() != 0:
            pytest.skip("a PID namespace with servers in it needs root")
        if is_sanitized():
            pytest.skip("a sanitizer needs a /proc in which it sees itself")
        pipe = subprocess.PIPE
        words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--", sys.executable, "-c", FIRST]
        self.holder = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        if self.holder.stdout.readline() != "ready\n":
            why = self.holder.communicate()[1].splitlines() or [""]
            pytest.skip(f"no PID namespace is to be had here: {why[-1]}")
        self.first = int(Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text())
        self.enter = ["nsenter", "--target", str(self.first), "--pid", "--mount", "--root", "--wd", "--"]
        self.see = ["nsenter", "--target", str(self.first), "--mount", "--root", "--wd", "--"]
        return self

    def __exit__(self, *failure):
        os.kill(self.first, signal.SIGKILL)
        self.holder.communicate()
