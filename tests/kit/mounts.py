"""File systems that a test may fill or make read-only: in a mount namespace, so that nobody else sees them."""

import os
import subprocess
from pathlib import Path

import pytest


class Mounts:
    """A context. `mounts`: {folder: options of a tmpfs}. `inside(path)` is how we see a path of theirs, `enter` is put
    before a command that is to run among them."""

    def __init__(self, mounts):
        self.mounts = mounts
        self.holder = None
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self.make = ["unshare", *user, "--mount", "--"]
        self.join = ["nsenter", *(["--user", "--preserve-credentials"] if user else []), "--mount", "--root"]

    def __enter__(self):
        commands = [f"mount -t tmpfs -o '{options}' tmpfs '{folder}'" for folder, options in self.mounts.items()]
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

    def fill(self, folder):
        """Takes all the room that is left; returns the file that holds it."""
        filler = self.inside(folder) / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return filler
