"""The milters that are compared: the bare one, and milterscope as it runs in production; and the CPU time they take."""

import contextlib
import ctypes
import os
import time
from pathlib import Path

from kit.metrics import labels_of
from kit.milter import negotiates
from kit.place import program, socket_path
from kit.process import Process
from kit.programs import Milterscope, Site, merged
from kit.servers import Postfix
from kit.wait import wait_until

FILTER, PUSHER = "milterscope-filter", "milterscope-pusher"

libc = ctypes.CDLL(None)


def cpu_seconds(pid):
    """CPU time of a process and all its threads, also those that ended, in nanosecond resolution."""
    clock = ctypes.c_int()
    error = libc.clock_getcpuclockid(pid, ctypes.byref(clock))
    if error != 0:
        raise RuntimeError(f"the CPU clock of process {pid}: {os.strerror(error)}; has it ended?")
    return time.clock_gettime(clock.value)


def children(pid):
    """Of a process: {name of the executable: pid}."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                executable = os.readlink(stat.parent / "exe").removesuffix(" (deleted)")  # rebuilt meanwhile
                found[os.path.basename(executable)] = int(stat.parent.name)
    return found


class Bare:
    """The limit: libmilter alone."""

    helpers = ()

    def __init__(self, folder, name="bare", *words):
        self.name, self.words = name, words
        self.socket = socket_path(folder.tmpfs / f"{name}.sock")
        self.log = folder.disk / f"{name}.log"
        self.process = None

    @property
    def filter(self):
        return self.process.pid

    def answers(self):
        self.process.check_alive()
        return negotiates(self.socket)

    def __enter__(self):
        self.process = Process([program("bench/bare-milter"), f"unix:{self.socket}", *self.words], self.log)
        wait_until(self.answers, f"{self.name} answers a negotiation")
        return self

    def __exit__(self, *failure):
        self.process.stop()


# What the configuration can switch on beside the defaults.
EVERYTHING = {
    "domains": ["example.org", "example.net", "example.test", "elsewhere.example"],
    "top": {"sets": ["client", "sender_domain", "recipient_domain", "user", "unknown_recipient", "helo"]},
    "spam": {"headers": [{"name": "X-Our-Filter", "spam": "Yes"}], "authserv_ids": ["mx.example.org"]},
    "reject_texts": [{"class": "dnsbl", "text": "listed at our.list"}],
}


class Full(Milterscope):
    """Supervisor, filter and pusher, at the default settings but for these."""

    def __init__(self, folder, redis, name="milterscope", instance="bench", **changes):
        self.name = name
        changes = merged({"redis": {"push_interval": 1.0}}, changes)
        super().__init__(Site(folder, redis.url, instance, Postfix.account()["group"], **changes))
        self.socket = self.site.milter_socket
        self.log = self.logs()[0]

    def start(self):
        super().start()
        wait_until(lambda: {FILTER, PUSHER} <= children(self.process.pid).keys(), "filter and pusher run")

    def messages(self):
        """What it has counted: {verdict: messages}."""
        counted = {}
        for series, count in self.dump().of("milterscope_messages_total").items():
            verdict = labels_of(series)["verdict"]
            counted[verdict] = counted.get(verdict, 0) + int(count)
        return counted

    @property
    def filter(self):
        return children(self.process.pid)[FILTER]

    @property
    def helpers(self):
        return (self.process.pid, children(self.process.pid)[PUSHER])
