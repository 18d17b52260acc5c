"""One call of one program that fails, by the preload library of failing_calls.c."""

import re
import struct
from functools import cache

from kit.place import program
from kit.process import run

RECORD, PLACE, PLACES_MOST = struct.Struct("<Qi44sI4x"), struct.Struct("<Q"), 8000  # as there


@cache
def linked():
    """What a program of ours is linked with, as ldd(1) says it."""
    return run(["ldd", program("milterscope")])


def is_sanitized():
    """Are programs built with the sanitizer of addresses or of threads?"""
    return re.search(r"/lib[at]san\b", linked()) is not None


def sanitizer():
    """The library of the address sanitizer, where programs are built with it. It comes first, and allocates in libfiu's
    place."""
    return re.findall(r"=> (\S*/libasan\S*)", linked())


@cache
def libraries():
    """What is to be preloaded: our library before libfiu's, whose gaps it fills."""
    files = run(["dpkg-query", "-L", "libfiu0"]).split()
    preload = [file for file in files if file.endswith("/fiu_posix_preload.so")]
    return ":".join([*sanitizer(), program("kit/failing-calls.so"), *preload])


class Fault:
    """A call of a kind, "memory" or "calls", in all processes of a program, from now on: the n-th, the first one that
    comes from a place, or none, to learn how many there are and from where. `words` stand before the command."""

    def __init__(self, folder, name, kind, number=0, place=0):
        self.name = name
        self.what = f"{name}, {kind}, " + (f"PLACE={place:#x}" if place else f"NUMBER={number}")
        self.file = folder / "failing.record"
        with open(self.file, "wb") as file:
            file.truncate(RECORD.size + PLACES_MOST * PLACE.size)
        settings = {"PROGRAM": name, "KIND": kind, "NUMBER": number, "PLACE": place, "RECORD": self.file}
        self.words = ["env", f"LD_PRELOAD={libraries()}"]
        self.words += [f"FAILING_{key}={value}" for key, value in settings.items()]

    def record(self):
        """How many calls there were, the process in which one failed (0: in none), its name, how many places there are."""
        return RECORD.unpack(self.file.read_bytes()[: RECORD.size])

    @property
    def seen(self):
        return self.record()[0]

    @property
    def happened(self):
        return self.record()[1] != 0

    @property
    def places(self):
        found = self.file.read_bytes()[RECORD.size :][: self.record()[3] * PLACE.size]
        return sorted({place for (place,) in PLACE.iter_unpack(found)})

    def __str__(self):
        return f"{self.what}: {self.record()[2].rstrip(bytes(1)).decode() or 'nothing'} failed"
