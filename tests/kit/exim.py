"""An Exim of a test's own, the real one."""

import subprocess

import pytest

from kit.accounts import needs_open_folder
from kit.place import SCRIPTS, free_port, server_program
from kit.process import run
from kit.servers import START
from kit.wait import GENEROUS


class Exim:
    """An Exim that listens on `address`. `main`: lines for the main part of its configuration, `rest`: what follows
    that, in place of that of private-exim; {folder} and {port} in them are its own. `enter`: words before its
    programs."""

    def __init__(self, folder, main="", rest="", name="exim", enter=()):
        self.folder = folder.disk / name
        self.main, self.rest, self.enter = main, rest, enter
        self.address = ("127.0.0.1", free_port())

    def log(self, name="mainlog"):
        return self.folder / "log" / name

    def logs(self):
        return [self.log(), self.log("paniclog"), self.folder / "start.log"]

    def configuration(self):
        """Its files: one, or both."""
        (self.folder / "etc").mkdir(parents=True, exist_ok=True)
        files = [self.folder / "etc/main", self.folder / "etc/rest"]
        for path, text in zip(files, [self.main, self.rest], strict=True):
            path.write_text(text.replace("{folder}", str(self.folder)).replace("{port}", str(self.address[1])))
        return files if self.rest else files[:1]

    def start(self):
        start = [SCRIPTS / "private-exim", "start", self.folder, self.address[1], *self.configuration()]
        run([*self.enter, *start], START)

    def stop(self):
        run([SCRIPTS / "private-exim", "stop", self.folder])

    def command(self, *words, text="", expect=0):
        """The program with this configuration."""
        return run([*self.enter, self.folder / "exim", *words], 2 * GENEROUS, expect, input=text)

    def run_queue(self):
        """All that waits is tried now, whatever its retry time, and frozen messages are not."""
        self.command("-qf")

    def queued(self):
        """Identifiers of the messages that wait."""
        return sorted(path.name[:-2] for path in (self.folder / "spool/input").glob("*-H"))

    def __enter__(self):
        try:
            server_program("exim", "usr/sbin/exim4")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"Exim is not to be had: {error}")
        self.folder.mkdir(parents=True, exist_ok=True)
        needs_open_folder(self.folder)
        self.start()
        return self

    def __exit__(self, *failure):
        self.stop()
