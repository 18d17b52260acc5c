"""A filter that is attacked: it must stay the same process, answer, and count what is true."""

import time

from hostile import START, STARTED
from hostile_random import faults
from kit.metrics import histograms, name_of
from kit.milter import negotiates
from kit.milter_wire import MESSAGE, MESSAGE_ANSWERS, Wire
from kit.wait import GENEROUS, wait_until
from scope import Scope
from truth import metric

TIMES = [metric("session_seconds"), metric("message_seconds")]  # their number; test_times.py measures them
NOT_COMPARED = [name + part for name in [*TIMES, metric("push_seconds")] for part in ("_bucket", "_sum")]
NOT_COMPARED += map(metric, ["filter_busy_seconds_total", "push_total", "push_errors_total"])


class Attacked(Scope):
    """A filter that must stay the same process; what is counted between `begin` and a proof is compared."""

    def start(self):
        super().start()
        self.filter = self.child("filter")
        self.slowest = 0.0
        self.proved = False
        self.begin_counting()

    def begin_counting(self):
        self.before = self.counts()

    def wire(self):
        return Wire(self.site.milter_socket)

    def good_session(self, macros_of_mail=b""):
        """Answered at once, and counted by the caller."""
        began = time.monotonic()
        with self.wire() as wire:
            wire.ask(START, STARTED)
            wire.ask(macros_of_mail + MESSAGE, MESSAGE_ANSWERS)
        self.slowest = max(self.slowest, time.monotonic() - began)

    def prove(self, truth, size=None):
        """The same process answers a check, and takes a good session while the hostile one may still be there."""
        assert negotiates(self.site.milter_socket, GENEROUS)
        self.good_session()
        truth.connected().good(size=size)
        self.is_the_same()

    def is_the_same(self):
        assert self.child("filter") == self.filter, self.log()
        assert not self.lines("died") and not self.lines("killed"), self.log()
        assert not self.lines("Sanitizer") and not self.lines("runtime error"), self.log()

    def prove_counts(self, truth):
        """When all have left: exactly the truth. What comes later, the next comparison sees."""
        return self.compare(lambda added: differences(added, truth))

    def prove_bounds(self, bounds):
        """The same where it is not known what libmilter took."""
        return self.compare(lambda added: list(faults(added, bounds)))

    def compare(self, wrong):
        """Waits until nothing is wrong with what was added; returns it."""
        self.wait_value(0, "sessions_active")

        def right():
            counts = self.counts()
            added = {series: value - self.before[series] for series, value in counts.items()}
            found.update(wrong=wrong({series: value for series, value in added.items() if value}))
            return None if found["wrong"] else (counts, added)

        found = {}
        counts, added = wait_until(right, lambda: f"the truth: {found['wrong']}")
        self.before, self.proved = counts, True
        return added


def differences(added, truth):
    """{series: (counted, true)}"""
    found = histograms(added)
    counted = {series: value for series, value in added.items() if name_of(series) not in NOT_COMPARED}
    counted |= {name: found[name].total() for name in TIMES if name in found}
    true = dict(truth.counts) | {name: len(truth.spans[name]) for name in TIMES}
    pairs = {series: (counted.get(series, 0), true.get(series, 0)) for series in counted.keys() | true.keys()}
    return {series: pair for series, pair in pairs.items() if pair[0] != pair[1]}
