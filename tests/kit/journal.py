"""A systemd-journald of a test's own, on the host of kit/journal_host.py."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kit import journal_host
from kit.place import server_program
from kit.process import run
from kit.wait import wait_until

# It is not to change what belongs to the machine, nor to tell its users anything.
ALONE = {"Audit": "", "ReadKMsg": "no", "ForwardToWall": "no", "ForwardToSyslog": "no"}
DROPPED = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e"
MAIL = 2 << 3 | 6  # facility mail, priority info


class Journal:
    """A context. `enter` is put before a command that is to run on its host. Options are those of journald.conf(5)."""

    def __init__(self, folder, **options):
        self.log = folder.disk / "journald.log"
        self.options = ALONE | {"RateLimitBurst": 0} | options

    def logs(self):
        return [self.log]

    def __enter__(self):
        if os.geteuid() != 0:
            pytest.skip("a journald of one's own needs root")
        self.log.parent.mkdir(exist_ok=True)
        self.journalctl = server_program("journal", "usr/bin/journalctl")
        words = [sys.executable, journal_host.__file__, server_program("journal", "usr/lib/systemd/systemd-journald"), self.log]
        words = ["unshare", "--mount", "--", *words]
        pipe = subprocess.PIPE  # in a session of its own: Ctrl-C is not to hinder it from removing its groups
        self.host = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
        said = self.host.stdout.readline().split()
        if not said:
            why = self.host.communicate()[1].splitlines() or [""]
            pytest.skip(f"no host for a journald is to be had here: {why[-1]}")
        self.group = None if said[2] == "-" else said[2]
        self.root = Path(f"/proc/{said[1]}/root")
        self.enter = ["nsenter", "--target", said[1], "--mount", "--root", "--"]
        options = "".join(f"{name}={value}\n" for name, value in self.options.items())
        self.inside("/etc/systemd/journald.conf").write_text("[Journal]\n" + options)
        self.start()
        return self

    def __exit__(self, *failure):
        self.host.communicate()

    def inside(self, path):
        return self.root / Path(path).relative_to("/")

    # ---- the process ----

    def start(self):
        self.host.stdin.write("start\n")
        self.host.stdin.flush()
        self.pid = int(self.host.stdout.readline())
        wait_until(self.answers, "journald answers")

    def answers(self):
        return subprocess.run(self.command("--sync"), capture_output=True, check=False).returncode == 0

    def end(self, number=signal.SIGTERM):
        """And waits; its sockets stay, and keep what is sent to them."""
        os.kill(self.pid, number)
        wait_until(lambda: not self.lives(), "journald ends")

    def lives(self):
        try:
            return "(zombie)" not in Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False

    # ---- what it keeps ----

    def command(self, *words):
        return [*self.enter, self.journalctl, "--quiet", *words]

    def tell(self, *words):
        """--rotate, --flush, --sync and the like."""
        run(self.command(*words))

    def text(self, *matches, form="short-iso-precise"):
        self.tell("--sync")
        return run(self.command("--all", "--output", form, *matches))

    def entries(self, *matches):
        return [json.loads(line) for line in self.text(*matches, form="json").splitlines()]

    # ---- who writes to it ----

    def unit(self, name):
        """Words before a command that is to run as that unit; as none, where there are no control groups for us."""
        if self.group is None:
            return self.enter
        return [*self.enter, "sh", "-ec", 'mkdir -p "$0"; echo 0 >"$0/cgroup.procs"; exec "$@"', f"{self.group}/{name}"]

    def write(self, lines):
        """As syslog(3) does it: "program[pid]: text". While no journald runs only some find room."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.connect(str(self.inside("/run/systemd/journal/dev-log")))
            for line in lines:
                log.send(f"<{MAIL}>Nov 20 20:00:00 {line}".encode())
