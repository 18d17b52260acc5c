"""What processes hold while nobody asks anything of them: what they hold more at the end than at the beginning is a leak."""

import os
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

from kit.wait import wait_until

Held = namedtuple("Held", "files threads kilobytes")
THREADS_MOST = 16  # more than before; those of libmilter and libmicrohttpd come and go


def held(pid):
    """None: it has gone. files is 0 where nobody but root may look."""
    files = 0
    with suppress(OSError, TypeError):
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        with suppress(PermissionError):
            files = len(os.listdir(f"/proc/{pid}/fd"))
        return Held(files, int(lines["Threads"]), int(lines["VmRSS"].split()[0]))


class Idle:
    """`processes`: {name: a function that says its pid now}. Made while they are idle."""

    def __init__(self, processes):
        self.processes = processes
        self.before = self.now()
        assert all(self.before.values())

    def now(self):
        return {name: held(pid()) for name, pid in self.processes.items()}

    def more(self):
        """Those that hold more than in the beginning, or are not there."""
        pairs = ((name, self.before[name], now) for name, now in self.now().items())
        return {
            name: (before, now)
            for name, before, now in pairs
            if now is None or now.files > before.files or now.threads > before.threads + THREADS_MOST
        }

    def wait(self):
        """Until nobody holds more. Returns a line for people."""
        wait_until(lambda: not self.more(), lambda: f"nothing is held any more; (before, now): {self.more()}")
        parts = []
        for name, now in self.now().items():
            before = self.before[name]
            parts.append(
                f"{name} {now.files} files ({before.files}), {now.threads} threads ({before.threads}), "
                f"{now.kilobytes} kB ({before.kilobytes})"
            )
        return "idle at the end (in the beginning): " + "; ".join(parts)
