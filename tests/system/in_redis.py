"""What Redis holds of a milterscope, compared with what its tally holds."""

import time
from types import SimpleNamespace

from kit.metrics import name_of, number
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
