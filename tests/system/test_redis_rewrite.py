"""Whatever was done to what Redis holds, one push makes all of it right; also after a pusher that died in the middle of
one.

Where nothing but values differs, that is the push of everything that comes every 30 s: test_redis_access.py waits for
it."""

import itertools
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from in_redis import Replica, Trace, fenced, in_step, not_right, totals, wait_error
from kit.figures import figure
from kit.procfs import frozen, is_alive
from kit.programs import Exporter
from kit.resp import Resp
from kit.servers import Redis
from kit.wait import wait_until
from line import Line, harmed
from load import Load, messages
from scope import Scope, site_in
from truth import metric
from watch import Watch

PASSED = metric("messages_total", source="external", verdict="passed")
ACCEPTED = metric("recipients_total", source="external", outcome="accepted")


@pytest.fixture(scope="module")
def line(parts, redis):
    return Line(parts, redis, "line", exporter_too=False)


@pytest.fixture(scope="module")
def fleet(parts, redis):
    return parts.start(Exporter(site_in(parts, "fleet", redis.url, exporter={"scope": "fleet"})))


@pytest.fixture(scope="module")
def resp(parts, redis):
    return parts.start(Resp(redis.socket))


# ---- seen by the next push ----


def without_some_fields(replica):
    fields = replica.resp("HKEYS", replica.keys[1])
    return [["HDEL", replica.keys[1], *fields[::30]]]


def without_all_fields_but_one(replica):
    fields = replica.resp("HKEYS", replica.keys[1])
    return [["HDEL", replica.keys[1], *fields[1:]]]


def with_other_fields(replica):
    fields = replica.resp("HKEYS", replica.keys[1])
    return [["HDEL", replica.keys[1], *fields[::2]], ["HSET", replica.keys[1], "foreign", 1]]


def without_keys(replica):
    return [["DEL", *replica.keys[:2]]]


ALTERATIONS = [without_some_fields, without_all_fields_but_one, with_other_fields, without_keys]
ALTERATIONS += [Replica.copied, Replica.renamed, Replica.restored]


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_next_push_makes_it_right(line, fleet, resp, alter):
    scope, replica = line.scope, Replica(resp, [line.site.key(kind) for kind in ("meta", "counters", "gauges")])
    with Trace(line.redis, scope) as trace, Watch(line.exporter, fleet) as watch:
        with Load(scope, 200) as load:
            load.wait(30)
            with frozen(scope.child("pusher"), scope.pid):  # or it would replace a pusher that hangs
                before = trace.latest().at
                replica.put(alter(replica))
                watch.wait()  # that the exporters have read it, too
                least = totals(scope.tally())
            following = trace.after(before)
            wrong = not_right(following, least, scope)
        in_step(line.redis, scope)
        watch.wait(1)
    assert not wrong
    assert following.at <= (before[0], before[1] + 2)  # the one that found it, and the one of everything
    watch.check(scope.counts())


# ---- evicted, or loaded from the disk ----


def watched(parts, name, redis):
    """A milterscope with two exporters, in a Redis where a disaster is to come: (scope, watch)."""
    scope = parts.start(Scope(site_in(parts, name, redis.url)))
    fleet = parts.start(Exporter(site_in(parts, f"{name}_fleet", redis.url, exporter={"scope": "fleet"})))
    exporter = parts.start(Exporter(scope.site))
    messages(scope, 50)
    in_step(redis, scope)
    return scope, parts.start(Watch(exporter, fleet))


def still_right(scope, watch, redis):
    seconds = in_step(redis, scope)
    watch.wait()
    watch.end()
    figure(f"redis, {scope.site.instance}: in step after {seconds:.1f} s; {watch.check(scope.counts())}")


def test_redis_loads(own_parts):
    """What it had saved some time ago, slowly. Meanwhile an exporter is killed and begins anew."""
    redis = own_parts.start(Redis(site_in(own_parts, "loading_redis").folder))
    scope, watch = watched(own_parts, "loading", redis)
    redis.command("EVAL", "for i = 1, 10000 do redis.call('SET', 'filler' .. i, i) end", "0")
    redis.command("SAVE")
    messages(scope, 50)
    in_step(redis, scope)
    pid = redis.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "Redis is gone")
    redis.options += ("--key-load-delay", "150", "--loading-process-events-interval-bytes", "1024")
    with ThreadPoolExecutor(1) as aside:
        starting = aside.submit(redis.start)
        wait_error(scope, "loading")
        watch.node.exporter.process.stop(signal.SIGKILL)
        watch.node.exporter.start()
        assert not starting.done()
        messages(scope, 50)
        starting.result()
    still_right(scope, watch, redis)
    assert len(scope.lines("LOADING")) == 1


FILLER = "x" * 100_000
ROOM = 1_000_000  # bytes


def fill(redis, until):
    """With keys that do not expire. Whether Redis takes them is its own affair."""
    numbers = itertools.count()
    with Resp(redis.socket) as resp:
        more = lambda: resp.pipeline([["SET", f"filler{next(numbers)}", FILLER]]) and until()  # noqa: E731
        wait_until(more, "totals of ours are evicted")


@pytest.mark.parametrize("policy", ["volatile-ttl", "allkeys-random"])
def test_redis_evicts(own_parts, policy):
    """All of ours, for only ours expire; and what it happens to hit."""
    redis = own_parts.start(Redis(site_in(own_parts, f"{policy}_redis").folder))
    scope, watch = watched(own_parts, policy, redis)
    used = int(re.search(r"used_memory:(\d+)", "\n".join(redis.command("INFO", "memory"))).group(1))
    redis.command("CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", used + ROOM)
    fill(redis, lambda: scope.lines("Redis does not hold what was left there"))
    messages(scope, 50)
    redis.command("CONFIG", "SET", "maxmemory", "0")
    still_right(scope, watch, redis)


# ---- a new pusher writes everything ----


def test_new_pusher_makes_it_right(own_parts, redis, resp):
    """Where nothing but values differs; one of them was raised, one lowered."""
    line = Line(own_parts, redis, "values")
    messages(line.scope, 50)
    in_step(redis, line.scope)
    least = totals(line.scope.tally())
    with Trace(redis, line.scope) as trace:
        resp("HSET", line.site.key("counters"), PASSED, least[PASSED] + 1000, ACCEPTED, least[ACCEPTED] - 1)
        following = trace.next()
        assert not_right(following, least, line.scope).keys() == {PASSED, ACCEPTED}
        line.scope.wait_child("pusher", line.scope.signal_child("pusher", signal.SIGKILL))
        following = trace.after((following.at[0] + 1, 0))
        assert not not_right(following, least, line.scope)
    in_step(redis, line.scope)


# ---- killed in the middle of a push ----


def before_it_arrives(line):
    line.proxy.faults_to_server(stalled=True)
    line.wait_held(line.proxy.to_server)


def while_it_arrives(line):
    line.proxy.faults_to_server(stall_after=1000)
    line.push_in_full()
    wait_until(lambda: line.proxy.to_server.stalled, "a part of it has arrived", interval=0.01)


def before_the_reply(line):
    line.proxy.faults_to_client(stalled=True)
    line.wait_held(line.proxy.to_client)


@pytest.mark.parametrize("when", [before_it_arrives, while_it_arrives, before_the_reply])
def test_pusher_is_killed(line, fleet, when):
    """What it had sent may arrive after the first push of the next one."""
    scope, epoch = line.scope, line.scope.tally().header.starts
    with harmed(line, fleet, f"pusher killed {when.__name__.replace('_', ' ')}") as (load, trace):
        when(line)
        load.wait()
        least = totals(scope.tally())
        refused = fenced(line.redis)
        let_pass = line.proxy.leave_open()
        scope.wait_child("pusher", scope.signal_child("pusher", signal.SIGKILL))
        following = trace.after((epoch + 1, 0))
        let_pass()
        assert not not_right(following, least, scope)
        if when is before_it_arrives:
            wait_until(lambda: fenced(line.redis) > refused, "it arrives, and is refused")
    assert line.failures() == 0
