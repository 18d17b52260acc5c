"""A milterscope with a fault proxy between it and its Redis, and what is to be right in spite of that."""

import signal
from contextlib import contextmanager
from functools import cached_property

from in_redis import Trace, in_step, totals
from kit.figures import figure
from kit.programs import Exporter
from kit.proxy import CHUNK, Proxy
from kit.wait import wait_until
from load import Load
from scope import Scope, site_in
from truth import metric
from watch import Watch

FAST = {"delay": 0.0, "stalled": False, "piece": CHUNK, "pause": 0.0, "cut_after": None, "stall_after": None}
PATIENT = 20.0  # seconds; redis.timeout
FOREIGN = "foreign"  # a field that makes the next push one of everything


def exporter_beside(parts, site, redis_url):
    """On the same host, but perhaps by another way to Redis."""
    beside = site_in(parts, f"{site.instance}-exporter", redis_url)
    beside.write(instance=site.instance, run_directory=str(site.run_directory))
    beside.instance, beside.run_directory = site.instance, site.run_directory
    return parts.start(Exporter(beside))


class Line:
    """A milterscope whose way to Redis is a fault proxy; `exporter_too`: that of its exporter as well."""

    def __init__(self, parts, redis, name, interval=0.1, exporter_too=True):
        self.parts, self.redis = parts, redis
        self.proxy = parts.start(Proxy(redis.socket))
        self.url = "redis://%s:%d" % self.proxy.address
        self.site = site_in(parts, name, self.url)
        self.site.write(redis={"timeout": PATIENT, "push_interval": interval})
        self.scope = parts.start(Scope(self.site))
        self.exporter_too = exporter_too
        in_step(redis, self.scope)

    def set_timeout(self, seconds):
        self.site.write(redis={"timeout": seconds})
        self.scope.process.send(signal.SIGUSR1)

    def push_in_full(self):
        """The next push is answered "again", and one of everything follows."""
        self.redis.command("HSET", self.site.key("counters"), FOREIGN, 1)

    def wait_held(self, faults):
        """For bytes that the proxy has taken and keeps: the pusher's, where the exporter does not use the line."""
        wait_until(lambda: faults.taken > faults.passed, "a push or an answer is under way", interval=0.01)

    def counted(self, name, **labels):
        """Without a program that is asked for it."""
        return totals(self.scope.tally())[metric(name, **labels)]

    def failed(self, error):
        return self.counted("push_errors_total", error=error)

    def failures(self):
        """Of all classes."""
        name = metric("push_errors_total")
        return sum(n for series, n in totals(self.scope.tally()).items() if series.startswith(name))

    def wait_failed(self, error, times):
        said = lambda: f"{times} errors {error}:\n{self.scope.log()}"  # noqa: E731
        wait_until(lambda: self.failed(error) >= times, said, interval=0.02)

    @cached_property
    def exporter(self):
        return exporter_beside(self.parts, self.site, self.url if self.exporter_too else self.redis.url)


@contextmanager
def harmed(line, fleet, what):
    """Mail flows meanwhile. Afterwards the line is fast again, all is right, and was never wrong."""
    with Trace(line.redis, line.scope) as trace, Watch(line.exporter, fleet) as watch:
        with Load(line.scope) as load:
            try:
                yield load, trace
            finally:
                line.proxy.faults(**FAST)
        seconds = in_step(line.redis, line.scope)
        watch.wait(1)
    trace.check()
    shown = watch.check(line.scope.counts())
    figure(f"redis, {what}: in step {seconds:.1f} s later; {shown}")
    line.scope.wait_value(1, "redis_up", program="pusher")
