"""What Redis holds of a milterscope, compared with what its tally holds: at the end, and all the time."""

import re
import struct
import threading
import time
from collections import namedtuple
from types import SimpleNamespace

from documents import table
from kit.metrics import name_of, number
from kit.resp import Refused, Resp
from kit.wait import GENEROUS, wait_until
from scope import PASSED
from truth import metric

# A push counts itself when it has been answered: Redis is always one behind.
PUSHES = [metric("push_total"), *(metric("push_seconds") + part for part in ("_bucket", "_sum"))]


def counters(redis, scope):
    return {series: number(value) for series, value in redis.hash(scope.site.key("counters")).items()}


def gauge(redis, scope, name):
    """None: absent."""
    value = redis.hash(scope.site.key("gauges")).get(metric(name))
    return None if value is None else number(value)


def meta(redis, scope):
    return SimpleNamespace(**redis.hash(scope.site.key("meta")))


def without_pushes(counts):
    return {series: count for series, count in counts.items() if name_of(series) not in PUSHES}


def in_step(redis, scope, deadline=GENEROUS):
    """Waits until Redis holds what the tally holds, series by series; returns the seconds it took."""
    began = time.monotonic()

    def difference():
        tally, held = without_pushes(scope.counts()), without_pushes(counters(redis, scope))
        return {series: (tally.get(series), held.get(series)) for series, _ in tally.items() ^ held.items()}

    wait_until(lambda: not difference(), lambda: f"Redis in step; (tally, Redis): {difference()}", deadline)
    return time.monotonic() - began


def wait_in_redis(redis, scope, expected):
    """Until Redis knows of so many messages that passed."""

    def known():
        return counters(redis, scope).get(PASSED)

    wait_until(lambda: known() == expected, lambda: f"{expected} messages in Redis; it is {known()}")


def errors(scope, error):
    """Pushes that failed for this reason."""
    return scope.value("push_errors_total", error=error)


def wait_error(scope, error, more_than=0):
    wait_until(
        lambda: errors(scope, error) > more_than, lambda: f"more {error} errors than {more_than}:\n{scope.log()}"
    )


SLOW_LEAST = 15.0  # seconds before a push is tried again, where no haste cures


def wait_errors(scope, error, more_than=0):
    """Until such a push was tried again, which happens soon."""
    wait_error(scope, error, more_than)
    began = time.monotonic()
    wait_error(scope, error, more_than + 1)
    assert time.monotonic() - began < SLOW_LEAST


def fenced(redis):
    """How many pushes Redis has refused because of somebody else's, or a later one."""
    found = [text for text in redis.command("INFO", "errorstats") if text.startswith("errorstat_FENCED:")]
    return int(found[0].split("count=")[1]) if found else 0


# ---- all the time ----

SAMPLE_INTERVAL = 0.03  # seconds
# After a push, at: its (epoch, seq). totals: as in the tally, without decimal points. seen: when it was met, monotonic.
State = namedtuple("State", "at totals seen")


def names_of_the_node():
    """Of totals that lie in each tally's file, and count in the collector's."""
    names = re.findall(r"^(?:COUNTER|HISTOGRAM)\((\w+)", table("metrics.def").split("\nSECTION(node)\n")[1], re.MULTILINE)
    return {metric(name) + part for name in names for part in ("", "_bucket", "_sum")}


NODE = names_of_the_node()


def totals(tally):
    """All totals of a conversation's tally, as its file has them: counts, bytes, microseconds."""
    header = tally.header
    values = struct.unpack_from(f"<{header.total_count}Q", tally.data, header.totals_at)
    return {n: value for n, value in zip(tally.names(), values, strict=False) if n and name_of(n) not in NODE}


def not_right(state, least, scope):
    """What is not right in Redis after a push: too low, too high, or not ours."""
    most, held = totals(scope.tally()), state.totals
    names = held.keys() | least.keys()
    return {n: held.get(n) for n in names if n not in least or not least[n] <= held.get(n, -1) <= most[n]}


class Trace:
    """Looks at what Redis holds, from `with` to its end. `states`: all that were met, one after the other, but for those
    where Redis held nothing or was not there. `faults`: half a push, and totals that the tally does not hold."""

    def __init__(self, redis, scope, interval=SAMPLE_INTERVAL):
        self.redis, self.scope, self.interval = redis, scope, interval
        self.states, self.faults = [], []
        self.looks = 0
        self.failure = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.ending.is_set():
                try:
                    with Resp(self.redis.socket) as resp:
                        self.look_on(resp)
                except (OSError, Refused):  # gone, or not ready yet
                    self.ending.wait(self.interval)
        except Exception as failure:  # else the test would not know
            self.failure = failure

    def look_on(self, resp):
        key = self.scope.site.key
        look = [["MULTI"], ["HMGET", key("meta"), "epoch", "seq"], ["HGETALL", key("counters")], ["EXEC"]]
        while not self.ending.is_set():
            answer = resp.pipeline(look)[-1]
            if isinstance(answer, Refused):
                raise answer
            if not any(isinstance(part, Refused) for part in answer):
                self.take(*answer)
            self.ending.wait(self.interval)

    def take(self, at, pairs):
        self.looks += 1
        if None in at or not pairs:
            return
        words = [word.decode() for word in pairs]
        held = {name: int(value.replace(".", "")) for name, value in zip(words[::2], words[1::2], strict=True)}
        state = State(tuple(map(int, at)), held, time.monotonic())
        if self.states and self.states[-1][:2] == state[:2]:
            return
        tally = totals(self.scope.tally())
        more = [f"{name}: {held[name]}, tally {value}" for name, value in tally.items() if held.get(name, 0) > value]
        missing = tally.keys() - held.keys()
        if more or missing:
            self.faults.append(f"push {state.at}: {more[:5]}, {len(missing)} missing")
        self.states.append(state)

    def latest(self):
        """The state that is there now."""
        goal = self.looks + 2  # the one that is under way may have begun before
        wait_until(lambda: self.looks >= goal or self.failure, "Redis can be looked at", interval=SAMPLE_INTERVAL / 3)
        return self.states[-1]

    def after(self, at):
        """The first state that was met after this push."""

        def later():
            return next((state for state in self.states if state.at > at), None)

        return wait_until(later, lambda: f"a push after {at}:\n{self.scope.log()}", interval=SAMPLE_INTERVAL / 3)

    def next(self):
        """A push that has just been written."""
        return self.after(self.latest().at)

    def steps_back(self):
        highest, steps = {}, []
        for state in self.states:
            lower = [f"{name}: {highest[name]} -> {n}" for name, n in state.totals.items() if n < highest.get(name, 0)]
            steps += [f"push {state.at}: {'; '.join(lower[:5])}"] if lower else []
            highest |= {name: max(n, highest.get(name, 0)) for name, n in state.totals.items()}
        return steps

    def check(self):
        """Nothing was ever wrong."""
        assert self.failure is None
        assert len(self.states) > 1
        assert not self.faults, self.faults[:5]
        assert not self.steps_back(), self.steps_back()[:5]

    def __enter__(self):
        self.thread.start()
        return self

    def end(self):
        self.ending.set()
        self.thread.join()

    def __exit__(self, *failure):
        self.end()


# ---- what others do to it ----


class Replica:
    """Keys as they were when it was made, to be put in the place of what is there then."""

    def __init__(self, resp, keys):
        self.resp, self.keys = resp, keys
        self.dumps = [resp("DUMP", key) for key in keys]
        self.put([["COPY", key, f"old {key}", "REPLACE"] for key in keys])

    def put(self, commands):
        """All in one transaction."""
        answers = self.resp.pipeline([["MULTI"], *commands, ["EXEC"]])[-1]
        assert not any(isinstance(answer, Refused) for answer in answers), answers

    def copied(self):
        return [["COPY", f"old {key}", key, "REPLACE"] for key in self.keys]

    def renamed(self):
        return [["RENAME", f"old {key}", key] for key in self.keys]

    def restored(self):
        return [["RESTORE", key, 0, dump, "REPLACE"] for key, dump in zip(self.keys, self.dumps, strict=True)]
