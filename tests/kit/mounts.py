"""File systems that a test may fill, make read-only, or let hang: in a mount namespace, so that nobody else sees
them."""

import os
import queue
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kit import hanging
from kit.wait import GENEROUS

FUSE_DEVICE = (10, 229)


class Mounts:
    """A context. `mounts`: {folder: options of a tmpfs}; `files`: {file: another one that is seen there}.
    `inside(path)` is how we see a path of theirs, `enter` is put before a command that is to run among them."""

    def __init__(self, mounts, files=None):
        self.mounts = mounts
        self.files = files or {}
        self.holder = None
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self.make = ["unshare", *user, "--mount", "--"]
        self.join = ["nsenter", *(["--user", "--preserve-credentials"] if user else []), "--mount", "--root", "--wd"]

    def __enter__(self):
        commands = [f"mount -t tmpfs -o '{options}' tmpfs '{folder}'" for folder, options in self.mounts.items()]
        commands += [f"mount --bind '{other}' '{file}'" for file, other in self.files.items()]
        # It lives until we close its standard input.
        script = " && ".join([*commands, "echo ready", "exec cat"])
        pipe = subprocess.PIPE
        words = [*self.make, "sh", "-c", script]
        self.holder = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        if self.holder.stdout.readline() != "ready\n":
            _, why = self.holder.communicate()
            pytest.skip(f"no mount namespace is to be had here: {why.strip()}")
        return self

    def __exit__(self, *failure):
        self.holder.communicate()

    @property
    def enter(self):
        return [*self.join, "--target", str(self.holder.pid), "--"]

    def inside(self, path):
        return Path(f"/proc/{self.holder.pid}/root") / Path(path).relative_to("/")

    def remount(self, folder, options):
        subprocess.run([*self.enter, "mount", "-o", f"remount,{options}", folder], check=True, stdin=subprocess.DEVNULL)

    def cover(self, folder, options):
        """Another tmpfs above what is there."""
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        subprocess.run([*self.enter, *words], check=True, stdin=subprocess.DEVNULL)

    def uncover(self, folder):
        """Also while somebody still uses what was above."""
        subprocess.run([*self.enter, "umount", "--lazy", folder], check=True, stdin=subprocess.DEVNULL)

    def fill(self, folder):
        """Takes all the room that is left; returns the file that holds it."""
        filler = self.inside(folder) / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return filler


class HangingDisk:
    """A context: the file system of kit/hanging.py as `folder`, among these mounts. `held`: how many requests had to
    wait."""

    def __init__(self, mounts, folder):
        self.mounts, self.folder = mounts, Path(folder)
        self.held = 0
        self.said = queue.Queue()

    def device(self):
        """A minimal system has none, and root can make one."""
        device = Path("/dev/fuse")
        if not device.exists() and os.geteuid() == 0:
            device = self.folder.with_suffix(".fuse")
            os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(*FUSE_DEVICE))
        return device

    def __enter__(self):
        try:
            words = [*self.mounts.enter, sys.executable, hanging.__file__, self.folder, self.device()]
        except OSError as error:
            pytest.skip(f"no device for a file system of ours: {error}")
        pipe = subprocess.PIPE
        self.server = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        if self.server.stdout.readline() != "ready\n":
            why = self.server.communicate()[1].splitlines() or [""]
            pytest.skip(f"no file system of ours is to be had here: {why[-1]}")
        self.listener = threading.Thread(target=self.listen)
        self.listener.start()
        return self

    def listen(self):
        for line in self.server.stdout:
            if line == "held\n":
                self.held += 1
            else:
                self.said.put(line)

    def tell(self, word, answer):
        self.server.stdin.write(word + "\n")
        self.server.stdin.flush()
        said = self.said.get(timeout=GENEROUS)
        assert said == answer + "\n", said

    def hang(self):
        self.tell("hang", "hangs")

    def go_on(self):
        self.tell("go on", "goes on")

    def __exit__(self, *failure):
        self.server.stdin.close()
        self.listener.join()
        self.server.wait()
