"""Where things are: the tree, the build, and the folders that a test may write to.

A test module has a folder build/tests/NAME, emptied at its beginning and left behind for reading, and a short-lived one
on tmpfs: tallies must not live on a disk, and the path of a Unix socket ends after 107 bytes."""

import contextlib
import fcntl
import os
import random
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("BUILD", "build")
SCRIPTS = TOP / "scripts"
SERVERS = TOP / "build" / "servers"
TMPFS = Path("/dev/shm")
SOCKET_PATH = 107
AS_ROOT = [] if os.geteuid() == 0 else ["sudo"]  # for what belongs to Postfix


def program(name):
    """The path of one of our programs."""
    path = BUILD / name
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is not built; run make, or name another build folder in BUILD")
    return str(path)


def server_program(server, path):
    """The path of a program of an unpacked server; unpacks it where that was not done yet."""
    if not (SERVERS / server / path).exists():
        subprocess.run([SCRIPTS / "unpack-servers", server], check=True, stdin=subprocess.DEVNULL)
    return str(SERVERS / server / path)


def free_port():
    """A port of 127.0.0.1 where nobody listens, below those that the kernel gives to clients."""
    while True:
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def socket_path(path):
    """The path as text, if a Unix socket can have it."""
    if len(os.fsencode(path)) > SOCKET_PATH:
        raise ValueError(f"{path} is too long for a Unix socket ({SOCKET_PATH} bytes); move the tree to a shorter path")
    return str(path)


class Folder:
    """The folders of one test module: `disk` and `tmpfs`. Other accounts (Postfix's) may enter both. Another run of the
    same module in the same build waits for this one."""

    def __init__(self, name):
        self.disk = BUILD / "tests" / name
        self.disk.mkdir(parents=True, exist_ok=True)
        self.lock = open(self.disk.with_suffix(".lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.end_leftovers()
        subprocess.run([*AS_ROOT, "rm", "-rf", self.disk], check=True)
        self.disk.mkdir()
        self.tmpfs = Path(tempfile.mkdtemp(prefix="milterscope-test-", dir=TMPFS))
        self.tmpfs.chmod(0o755)
        (self.disk / "tmpfs").symlink_to(self.tmpfs)

    def end_leftovers(self):
        """Servers and memory of a run that was killed."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree((self.disk / "tmpfs").readlink())
        for server, mark in (("redis", "redis.pid"), ("postfix", "account"), ("sendmail", "process"), ("exim", "exim-process")):
            for found in self.disk.glob(f"**/{mark}"):
                subprocess.run([SCRIPTS / f"private-{server}", "stop", found.parent], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        shutil.rmtree(self.tmpfs, ignore_errors=True)
        self.lock.close()
