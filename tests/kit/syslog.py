"""A syslog of a test's own: what programs of ours send to the socket goes to a file, in the form in which rsyslog
writes /var/log/mail.log."""

import os
import re
import socket
import stat
import threading

import pytest

from kit.mounts import Mounts

PRIORITY = re.compile(rb"<\d+>")
HOST = b"mx"
STAMP = len("Nov 20 20:00:00 ")
END = b""
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


class DeviceLog(Mounts):
    """Mounts of root's among which /dev/log is this socket."""

    def __init__(self, socket):
        super().__init__({"/dev": "mode=0755"})
        self.socket = socket

    def __enter__(self):
        super().__enter__()
        folder = self.inside("/dev")
        for name, number in DEVICES.items():
            try:
                os.mknod(folder / name, stat.S_IFCHR, os.makedev(*number))
            except OSError as error:
                self.__exit__()
                pytest.skip(f"no devices are to be had here: {error}")
            (folder / name).chmod(0o666)
        (folder / "fd").symlink_to("/proc/self/fd")
        (folder / "log").symlink_to(self.socket)
        return self


class Syslog:
    """A context. Programs reach it at `socket`, where they look for /dev/log; `lines` is what they said until now."""

    def __init__(self, path, log):
        self.path, self.log = path, log

    def __enter__(self):
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def serve(self):
        with open(self.log, "ab", buffering=0) as log:
            while (said := self.socket.recv(65536)) != END:
                text = PRIORITY.sub(b"", said, 1).rstrip(b"\n\0")
                log.write(text[:STAMP] + HOST + b" " + text[STAMP:] + b"\n")

    def __exit__(self, *failure):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(END, str(self.path))
        self.thread.join()
        self.socket.close()
