"""The history in Redis: an entry a minute, once, of what was pushed then; and nothing that stands against it hurts a push.

Most of it with a pusher whose minute is half a second, and which is the same in all else."""

import re
import signal
import time
from types import SimpleNamespace

import pytest
from in_redis import errors, in_step, wait_error
from kit.place import program
from kit.programs import Collector
from kit.resp import Resp
from kit.servers import Redis
from kit.wait import wait_until
from load import messages
from scope import Scope, copy_programs, replace, site_in
from truth import metric

MINUTE, HASTY = 60_000, 500  # milliseconds from entry to entry
TWO_WEEKS = 14 * 24 * 3600
KEPT, NODE = TWO_WEEKS // 60, 100  # entries; Redis lets go so many at once
SUMS = ["connections_total", "messages_total", "rejects_total"]
VERDICTS = [metric("spam_verdicts_total", verdict=verdict) for verdict in ("spam", "clean", "unscanned")]
OWN, SOCKETS = metric("queue_messages", queue="list"), metric("smtp_sockets", state="established")
WORDS = "Redis does not take the history: "


def hasty(parts, name, redis, **changes):
    site = site_in(parts, name, redis.url, **changes)
    programs = copy_programs(site.folder.disk)
    replace(programs / "milterscope-pusher", program("kit/hasty-pusher"))
    return parts.start(Scope(site, programs))


@pytest.fixture
def resp(own_parts, redis):
    return own_parts.start(Resp(redis.socket))


@pytest.fixture
def scope(own_parts, request, redis):
    return hasty(own_parts, request.node.name.removeprefix("test_").partition("[")[0], redis)


def entries(resp, scope):
    """[(milliseconds, {field: value}), …]"""
    found = []
    for id, pairs in resp("XRANGE", scope.site.key("history"), "-", "+"):
        milliseconds, _, number = id.decode().partition("-")
        assert number == "0"
        words = [word.decode() for word in pairs]
        found.append((int(milliseconds), dict(zip(words[::2], words[1::2], strict=True))))
    return found


def wait_entries(resp, scope, count, more_than=0):
    """So many more."""
    enough = lambda: len(entries(resp, scope)) >= more_than + count  # noqa: E731
    wait_until(enough, lambda: f"{more_than + count} entries, not {len(entries(resp, scope))}:\n{scope.log()}")


def summed(scope, name, **labels):
    """Of all series with these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    counts = scope.counts()
    return sum(
        value for series, value in counts.items() if series.startswith(metric(name) + "{") and all(w in series for w in wanted)
    )


def test_entries(own_parts, scope, redis, resp):
    site = scope.site
    queue = site.folder.disk / "list"
    for name in ("incoming", "active", "deferred", "hold", "corrupt", "maildrop"):
        (queue / name).mkdir(parents=True)
    site.write(collector={"queues": [{"name": "list", "directory": str(queue), "format": "postfix"}]})
    messages(scope, 20, seed=3)
    in_step(redis, scope)
    own_parts.start(Collector(site))
    wait_entries(resp, scope, 1)

    def seen():
        return entries(resp, scope)[-1][1]

    wait_until(lambda: OWN in seen() and SOCKETS in seen(), lambda: f"what the collector sees in {seen()}")
    for name in SUMS:
        assert int(seen()[metric(name)]) == summed(scope, name)
    verdicts = {series: int(value) for series, value in seen().items() if series in VERDICTS}
    assert verdicts == {
        metric("spam_verdicts_total", verdict=verdict): summed(scope, "spam_verdicts_total", verdict=verdict)
        for verdict in ("spam", "clean", "unscanned")
        if metric("spam_verdicts_total", verdict=verdict) in verdicts
    }
    assert int(seen()[metric("messages_total")]) >= 20 and seen()[OWN] == "0"


def asked(redis):
    """How often Redis was asked to take an entry."""
    found = [line for line in redis.command("INFO", "commandstats") if line.startswith("cmdstat_xadd:")]
    return int(re.search(r"calls=(\d+)", found[0]).group(1)) if found else 0


def test_one_each_minute(redis, resp, own_parts):
    """Neither one without a cause nor two of a time, whatever is begun anew."""
    began, before_all = time.time(), asked(redis)
    scope = hasty(own_parts, "each", redis)
    wait_entries(resp, scope, 4)
    for _ in range(3):
        before = len(entries(resp, scope))
        pid = scope.signal_child("pusher", signal.SIGKILL)
        scope.wait_child("pusher", instead_of=pid)
        wait_entries(resp, scope, 2, before)
    times = [milliseconds for milliseconds, _ in entries(resp, scope)]
    assert asked(redis) - before_all <= len(times) + 3 + 1  # the pushers that were killed had asked, too; and one may be new
    assert times == sorted(set(times))
    assert not [milliseconds for milliseconds in times if milliseconds % HASTY]
    assert began * 1000 - HASTY <= times[0] and times[-1] <= time.time() * 1000
    totals = [int(fields[metric("connections_total")]) for _, fields in entries(resp, scope)]
    assert totals == sorted(totals)
    assert 0 < resp("TTL", scope.site.key("history")) <= TWO_WEEKS


def test_the_same_minute_again(own_parts, redis, resp):
    """Pushers of one minute: the first has written it, and for the others that is no error."""
    scope = own_parts.start(Scope(site_in(own_parts, "again", redis.url)))
    began = time.time()
    for _ in range(4):
        pushes = scope.value("push_total")
        wait_until(lambda pushes=pushes: scope.value("push_total") > pushes + 1, "pushes, and what is behind them")
        pid = scope.signal_child("pusher", signal.SIGKILL)
        scope.wait_child("pusher", instead_of=pid)
    in_step(redis, scope)
    times = [milliseconds for milliseconds, _ in entries(resp, scope)]
    minutes = range(int(began * 1000) // MINUTE * MINUTE, int(time.time() * 1000) + 1, MINUTE)
    assert times and set(times) <= set(minutes)
    assert not scope.lines(WORDS)
    assert errors(scope, "other") == 0


def test_two_weeks(scope, resp):
    key = scope.site.key("history")
    wait_entries(resp, scope, 1)
    old = [["XADD", key, f"{1 + i}-0", "old", "1"] for i in range(KEPT + 1000)]
    resp.pipeline([["MULTI"], ["DEL", key], *old, ["EXEC"]])
    wait_until(lambda: resp("XLEN", key) <= KEPT + NODE, lambda: f"{KEPT} entries, not {resp('XLEN', key)}")
    assert resp("XLEN", key) >= KEPT
    assert resp("XREVRANGE", key, "+", "-", "COUNT", 1)[0][0] > b"1" * 13


# ---- what stands against it ----


def something_else(parts, redis):
    """Under the key."""
    scope = hasty(parts, "something_else", redis)
    key = scope.site.key("history")
    redis.command("EVAL", "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], 'not yours')", "1", key)

    def mend():
        assert redis.command("GETDEL", key) == ["not yours"]

    return scope, "wrongtype", mend


def no_right(parts, redis):
    redis.command("ACL", "SETUSER", "default", "-xadd")
    return hasty(parts, "no_right", redis), "noperm", lambda: redis.command("ACL", "SETUSER", "default", "+xadd")


@pytest.mark.parametrize("against", [something_else, no_right])
def test_hurts_nothing(own_parts, redis, resp, against):
    scope, error, mend = against(own_parts, redis)
    try:
        wait_error(scope, error, errors(scope, error) + 1)
        pushes = scope.value("push_total")
        messages(scope, 5)
        in_step(redis, scope)
        assert scope.value("push_total") > pushes and scope.value("redis_up", program="pusher") == 1
        assert len(scope.lines(WORDS)) == 1
        assert not scope.lines("pushing is retried")
    finally:
        mend()
    wait_entries(resp, scope, 2)


def test_a_redis_without_streams(own_parts):
    folder = SimpleNamespace(disk=own_parts.folder.disk / "old_redis")
    folder.disk.mkdir()
    redis = own_parts.start(Redis(folder, "--rename-command", "XADD", ""))
    scope = hasty(own_parts, "old", redis)
    wait_error(scope, "other", 1)
    messages(scope, 5)
    in_step(redis, scope)
    assert len(scope.lines(WORDS)) == 1 and not scope.lines("pushing is retried")
