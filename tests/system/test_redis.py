"""Redis absent, killed, hung, emptied, full, closed to us, or somebody else's: mail never waits for it, and what it holds is right
again by itself. One milterscope and one Postfix serve most tests; `in_step` is what each of them ends with."""

import os
import re
import signal
import statistics
import subprocess
import time
from types import SimpleNamespace

import pytest
from kit.metrics import name_of, number
from kit.place import TOP, free_port, server_program
from kit.procfs import frozen, is_alive
from kit.servers import Postfix, Redis
from kit.smtp import Smtp
from kit.tally import FILE, Tally
from kit.wait import wait_until
from scope import Scope, Traffic, attached, send, site_in
from truth import metric

PASSED = metric("messages_total", source="internal", verdict="passed")
ABORTED = metric("messages_total", source="internal", verdict="aborted")
PUSHES = [metric("push_total"), *(metric("push_seconds") + part for part in ("_bucket", "_sum"))]  # always one behind
GENEROUS_ANSWER = 30.0  # seconds; an answer that waited for Redis would take longer, if it came at all
BEFORE_FULL_WRITE = 20.0  # seconds; everything is written again every 30 s
WEEK = 7 * 24 * 3600
ALL_ERRORS = "connect timeout auth noperm readonly oom misconf loading moved noscript wrongtype protocol fenced other".split()


@pytest.fixture(scope="module")
def redis(parts):
    port = free_port()
    redis = Redis(parts.folder, "--port", str(port))
    redis.tcp_url = f"redis://127.0.0.1:{port}"
    return parts.start(redis)


@pytest.fixture(scope="module")
def postfix(parts):
    return parts.start(Postfix(parts.folder, attached(parts.folder.tmpfs / "milter.sock")))


@pytest.fixture(scope="module")
def scope(parts, redis, postfix):
    socket = parts.folder.tmpfs / "milter.sock"
    site = site_in(parts, "main", redis.url, socket, group=postfix.account()["group"], redis={"timeout": 0.5})
    return parts.start(Scope(site))


def own_site(parts, name, url, **changes):
    return site_in(parts, re.sub("[^a-z_]", "_", name.removeprefix("test_")), url, **changes)


def counters(redis, site):
    return {series: number(value) for series, value in redis.hash(site.key("counters")).items()}


def without_pushes(counts):
    return {series: count for series, count in counts.items() if name_of(series) not in PUSHES}


def in_step(redis, scope, deadline=60.0):
    """Waits until Redis holds what the tally holds, series by series; returns the seconds it took."""
    began = time.monotonic()

    def difference():
        tally, held = scope.counts(), counters(redis, scope.site)
        differing = without_pushes(dict(tally.items() ^ held.items()))
        return {series: (tally.get(series), held.get(series)) for series in differing}

    wait_until(lambda: not difference(), lambda: f"Redis in step; (tally, Redis): {difference()}", deadline)
    return time.monotonic() - began


def errors(scope, error):
    return scope.value("push_errors_total", error=error)


def wait_error(scope, error, more_than=0):
    wait_until(lambda: errors(scope, error) > more_than, lambda: f"more {error} errors than {more_than}:\n{scope.log()}")


def meta(redis, scope):
    return SimpleNamespace(**redis.hash(scope.site.key("meta")))


# ---- what it holds ----


def test_everything_is_there(scope, postfix, redis):
    """Counters, and histograms with disjoint buckets, under the same names as everywhere."""
    send(postfix, 3)
    with Smtp(postfix.address) as session:
        session.greet()
        session.command("EHLO client.test", 250)
        session.command("MAIL FROM:<> SIZE=20000", 250)
        session.command("RCPT TO:<nobody@example.test>", 550)
        session.command("RSET", 250)
        session.quit()
    Smtp(postfix.address).vanish()
    scope.wait_passed(3)
    in_step(redis, scope)
    held = counters(redis, scope.site)
    assert held.keys() == scope.counts().keys()
    assert held[PASSED] == 3
    assert sum(count for series, count in held.items() if "message_recipients_bucket" in series) == 3
    gauges = redis.hash(scope.site.key("gauges"))
    dumped = {series for series, kind in scope.dump().values.items() if series in gauges}
    assert metric("filter_up") in dumped
    assert number(gauges[metric("tally_persistent")]) == 1


def test_how_long_keys_live(scope, redis):
    in_step(redis, scope)
    site = scope.site
    keys = redis.command("KEYS", f"ms1:{{{site.instance}}}:*")
    assert sorted(keys) == sorted(site.key(name) for name in ("meta", "counters", "gauges"))
    for name, seconds in (("meta", WEEK), ("counters", WEEK), ("gauges", 60)):
        assert seconds - 50 <= int(redis.command("TTL", site.key(name))[0]) <= seconds
    now = int(redis.command("TIME")[0])
    assert now - 50 <= float(redis.command("ZSCORE", "ms1:instances", site.instance)[0]) <= now + 1


def test_owner_epoch_and_seq(scope, redis):
    in_step(redis, scope)
    before = meta(redis, scope)
    tally = scope.tally()
    assert before.owner == f"{tally.id}:{tally.header.boot_id.rstrip(bytes(1)).decode()}"
    assert int(before.epoch) == tally.header.starts
    assert before.instance == scope.site.instance
    wait_until(lambda: int(meta(redis, scope).seq) > int(before.seq) + 2, "the number of the push grows")
    scope.wait_child("pusher", scope.signal_child("pusher", signal.SIGKILL))
    wait_until(lambda: int(meta(redis, scope).epoch) == int(before.epoch) + 1, "a new epoch")
    in_step(redis, scope)
    assert meta(redis, scope).owner == before.owner


def calls(redis, command):
    words = "\n".join(redis.command("INFO", "commandstats"))
    return int(re.search(rf"cmdstat_{command}:calls=(\d+)", words).group(1))


def pushes(redis, scope, least, traffic=None):
    """(scripts called for each push, commands a second) over some pushes."""
    started = time.monotonic()
    before = scope.value("push_total"), calls(redis, "evalsha"), commands(redis)
    wait_until(lambda: scope.value("push_total") >= before[0] + least, "pushes go on")
    done = scope.value("push_total") - before[0]
    per_push = (calls(redis, "evalsha") - before[1]) / float(done)
    return per_push, (commands(redis) - before[2]) / (time.monotonic() - started)


def commands(redis):
    words = "\n".join(redis.command("INFO", "stats"))
    return int(re.search(r"total_commands_processed:(\d+)", words).group(1))


def test_commands_do_not_grow_with_traffic(scope, postfix, redis):
    in_step(redis, scope)
    idle, idle_rate = pushes(redis, scope, 10)
    before = scope.passed()
    with Traffic(postfix):
        busy, busy_rate = pushes(redis, scope, 10)
    messages = scope.passed() - before
    print(f"\ncommands a second: {idle_rate:.0f} idle, {busy_rate:.0f} while {messages} messages came")
    assert 1.5 <= idle <= 2.5
    assert 1.5 <= busy <= 2.5
    in_step(redis, scope)


def test_last_push(scope, postfix, redis):
    """After a clean stop nothing is missing but that push itself."""
    send(postfix, 2)
    assert scope.stop() == 0
    tally, held = scope.counts(), counters(redis, scope.site)
    assert without_pushes(tally) == without_pushes(held)
    assert tally[metric("push_total")] == held[metric("push_total")] + 1
    scope.start()
    in_step(redis, scope)


# ---- outages ----


def sessions(postfix, count=10):
    """The slowest answer of each of some sessions."""
    return [send(postfix) for _ in range(count)]


def absent(scope, redis):
    """Redis is not there when milterscope starts."""
    assert scope.stop() == 0
    redis.stop()
    scope.start()
    return redis.start


def killed(scope, redis):
    pid = redis.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "Redis is gone")
    return redis.start


def hung(scope, redis):
    os.kill(redis.pid, signal.SIGSTOP)
    return lambda: os.kill(redis.pid, signal.SIGCONT)


@pytest.mark.parametrize(("outage", "error"), [(absent, "connect"), (killed, "connect"), (hung, "timeout")])
def test_mail_does_not_wait_for_redis(scope, postfix, redis, outage, error):
    in_step(redis, scope)
    usual = sessions(postfix)
    before = errors(scope, error)
    come_back = outage(scope, redis)
    try:
        passed = scope.passed()
        slow = sessions(postfix)
        scope.wait_passed(passed + len(slow))
        wait_error(scope, error, before)
        wait_until(lambda: scope.value("redis_up", program="pusher") == 0, "redis_up is 0")
        slow += sessions(postfix)
        scope.wait_passed(passed + len(slow))
    finally:
        come_back()
    seconds = in_step(redis, scope)
    print(
        f"\nslowest answer of a session, median and most: {statistics.median(usual) * 1000:.0f} and {max(usual) * 1000:.0f} ms "
        f"usually, {statistics.median(slow) * 1000:.0f} and {max(slow) * 1000:.0f} ms without Redis; "
        f"in step {seconds:.1f} s after it was back"
    )
    assert max(slow) < GENEROUS_ANSWER
    scope.wait_value(1, "redis_up", program="pusher")


def test_stop_while_redis_hangs(scope, postfix, redis):
    in_step(redis, scope)
    passed = scope.passed()
    with frozen(redis.pid):
        send(postfix, 2)
        assert scope.stop() == 0
        assert Tally(scope.site.state_directory).header.clean == 1
        scope.start()
        assert scope.passed() == passed + 2
    in_step(redis, scope)


# ---- what others do to the keys ----


MEDDLING = {
    "FLUSHALL": [["FLUSHALL"]],
    "SCRIPT FLUSH": [["SCRIPT", "FLUSH"]],
    "CLIENT KILL": [["CLIENT", "KILL", "TYPE", "normal"]],
    "a field is deleted": [["HDEL", "counters", PASSED]],
    "a field is added": [["HSET", "counters", "foreign", "1"]],
    "meta is deleted": [["DEL", "meta"]],
    "counters are deleted": [["DEL", "counters"]],
    "gauges are deleted": [["DEL", "gauges"]],
    "all are deleted": [["DEL", "meta", "counters", "gauges"]],
}


@pytest.mark.parametrize("meddling", MEDDLING)
def test_meddling_heals_at_once(scope, postfix, redis, meddling):
    send(postfix)
    in_step(redis, scope)
    for command in MEDDLING[meddling]:
        redis.command(*[scope.site.key(word) if word in ("meta", "counters", "gauges") else word for word in command])
    in_step(redis, scope, BEFORE_FULL_WRITE)
    assert counters(redis, scope.site)[PASSED] == scope.passed()
    wait_until(lambda: redis.hash(scope.site.key("gauges")), "gauges are there")
    assert 0 < int(redis.command("TTL", scope.site.key("counters"))[0]) <= WEEK
    if meddling == "SCRIPT FLUSH":
        wait_error(scope, "noscript")


@pytest.mark.parametrize(
    ("error", "break_it", "mend_it"),
    [
        ("oom", ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
        ("readonly", ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        ("misconf", ["CONFIG", "SET", "min-replicas-to-write", "1"], ["CONFIG", "SET", "min-replicas-to-write", "0"]),
    ],
)
def test_redis_refuses_writes(scope, postfix, redis, error, break_it, mend_it):
    in_step(redis, scope)
    before = errors(scope, error)
    redis.command(*break_it)
    try:
        wait_error(scope, error, before)
        assert send(postfix) < GENEROUS_ANSWER
    finally:
        redis.command(*mend_it)
    scope.process.send(signal.SIGUSR1)  # what is tried again slowly is tried at once
    in_step(redis, scope)


def test_redis_is_busy(scope, postfix, redis):
    """With somebody's script that does not end."""
    in_step(redis, scope)
    redis.command("CONFIG", "SET", "busy-reply-threshold", "100")
    client = server_program("redis", "usr/bin/redis-cli")
    with subprocess.Popen(
        [client, "-s", redis.socket, "EVAL", "while true do end", "0"], stdout=subprocess.DEVNULL
    ) as script:
        try:
            wait_error(scope, "loading")
            assert send(postfix) < GENEROUS_ANSWER
        finally:
            redis.command("SCRIPT", "KILL")
            script.wait(60)
    in_step(redis, scope)


def test_not_redis_at_all(own_parts, postfix):
    site = own_site(own_parts, "not_redis", "redis://%s:%d" % postfix.address)
    scope = own_parts.start(Scope(site))
    wait_error(scope, "protocol")
    assert len(scope.lines("the reply cannot be read")) == 1


def test_tcp_and_another_database(own_parts, redis):
    site = own_site(own_parts, "database", f"{redis.tcp_url}/3")
    scope = own_parts.start(Scope(site))
    wait_until(lambda: redis.command("-n", "3", "EXISTS", site.key("counters")) == ["1"], "the keys are in database 3")
    assert not redis.hash(site.key("counters"))
    assert scope.value("redis_up", program="pusher") == 1
