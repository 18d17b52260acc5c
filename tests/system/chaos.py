"""The arena of the chaos test: everything real around one milterscope, what is broken in it at random, and a note of when.

A fault is a function of the arena and a generator of random numbers. It breaks one thing and returns when that is mended,
or will mend itself. Two threads choose faults, one of processes and disks, one of Redis, so that they meet at random."""

import contextlib
import math
import random
import signal
import threading
import time
from collections import Counter

from kit.metrics import number
from kit.wait import wait_until

PAUSES = (0.1, 1.5)  # seconds between two faults
# What the client had seen before a filter died has reached that filter by then, but for the ends of sessions, which Postfix
# tells without waiting for an answer.
LATE = 2.0


class Spans:
    """Times of the monotonic clock at which something was so."""

    def __init__(self):
        self.spans = []

    @contextlib.contextmanager
    def during(self, before=0.0):
        span = [time.monotonic() - before, math.inf]
        self.spans.append(span)
        yield
        span[1] = time.monotonic()

    def first(self, begin, end, margin=0.0):
        """When the first of those that touch this time began; None: there is none."""
        return min((a for a, b in list(self.spans) if a - margin <= end and begin <= b), default=None)


class Arena:
    """`harm`: no filter, or one that was killed, so that what Postfix told it may be lost. `still`: somebody stood still
    for whom Postfix may have waited. `killed`: pids of filters that we killed, or had killed."""

    def __init__(self, **parts):
        self.__dict__.update(parts)
        self.harm, self.still = Spans(), Spans()
        self.killed = set()
        self.sites = [self.site]  # all that push under our name

    def master(self):
        return wait_until(self.sentinels.master, "all sentinels agree on a master")

    def redis_hash(self, name):
        """The numbers that Redis holds for the node."""
        return self.master().hash(self.scope.site.key(name))

    def pushed_at(self):
        """When the last push came, by the clock of Redis; 0: there was none, or nobody can tell."""
        lines = self.master().command("HGET", self.scope.site.key("meta"), "pushed_at")
        with contextlib.suppress(AssertionError, IndexError):
            return number(lines[0])
        return 0

    def wait_pushed(self):
        """Pushes are well again: another one comes."""
        before = self.pushed_at()
        wait_until(lambda: self.pushed_at() != before, "a push arrives")

    def write_everything(self):
        """All of Redis becomes right, also what was altered there: a new pusher begins with that."""
        pid = self.scope.child("pusher")
        if pid:
            self.scope.signal_child("pusher", signal.SIGKILL)
        self.scope.wait_child("pusher", pid)
        self.wait_pushed()
        self.wait_pushed()

    @contextlib.contextmanager
    def filters_die(self, before=0.0):
        """Until another filter answers; sessions of this time are counted, or not."""
        with self.harm.during(before), self.still.during(before):
            self.killed.update(self.scope.children("filter"))
            yield
            wait_until(self.scope.answers, "another filter answers")


class Breaker(threading.Thread):
    """Breaks one thing after another until it is told to end. `faults`: {function: how often each comes in a round}. `busy` is held while something is
    broken. The thread stays: what it started anew is told to stop when the thread that started it has gone."""

    def __init__(self, arena, faults, seed):
        super().__init__(name=f"breaker {seed}", daemon=True)
        self.arena, self.faults = arena, faults
        self.busy = threading.Lock()
        self.chance = random.Random(seed)
        self.ending, self.ended = threading.Event(), threading.Event()
        self.done, self.history, self.failure = Counter(), [], None

    def run(self):
        began, coming = time.monotonic(), []
        try:
            while not self.ending.wait(self.chance.uniform(*PAUSES)):
                coming = coming or self.round()
                fault = coming.pop()
                self.history.append(f"{time.monotonic() - began:.1f} {fault.__name__}")
                with self.busy:
                    fault(self.arena, random.Random(self.chance.random()))
                self.done[fault.__name__] += 1
        except BaseException as failure:
            self.failure = failure
        self.ended.set()
        threading.Event().wait()

    def round(self):
        """All of them, in random order."""
        faults = [fault for fault, times in self.faults.items() for _ in range(times)]
        self.chance.shuffle(faults)
        return faults

    def end(self):
        self.ending.set()
        self.ended.wait()


def told(breakers):
    """What was broken, for people."""
    counts = sum((breaker.done for breaker in breakers), Counter())
    return f"{sum(counts.values())} faults: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
