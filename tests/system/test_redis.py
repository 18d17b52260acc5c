"""What Redis holds; and Redis absent, killed, hung, emptied, full: mail never waits, and it is right again by itself.

One milterscope and one Postfix serve most tests; `in_step` is what each of them ends with."""

import os
import re
import signal
import statistics
import subprocess
import time

import pytest
from in_redis import counters, errors, gauge, in_step, meta, wait_error, wait_errors, without_pushes
from kit.figures import figure
from kit.place import free_port, server_program
from kit.procfs import frozen, is_alive
from kit.servers import Redis
from kit.smtp import Smtp
from kit.tally import Tally
from kit.wait import GENEROUS, wait_until
from mail import COMMAND_TIMEOUT, Traffic, send
from scope import PASSED, Scope, site_in
from truth import metric

BEFORE_FULL_WRITE = 20.0  # seconds; everything is written again every 30 s
DAY = 24 * 3600
WEEK = 7 * 24 * 3600


@pytest.fixture(scope="module")
def redis(parts):
    port = free_port()
    redis = Redis(parts.folder, "--port", str(port))
    redis.tcp_url = f"redis://127.0.0.1:{port}"
    return parts.start(redis)


@pytest.fixture(scope="module")
def scope(parts, redis, postfix, milter_socket):
    site = site_in(parts, "main", redis.url, milter_socket, group=postfix.account()["group"])
    site.write(redis={"timeout": 0.5})
    return parts.start(Scope(site))


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
    held = counters(redis, scope)
    assert held.keys() == scope.counts().keys()
    assert held[PASSED] == 3
    assert sum(count for series, count in held.items() if "message_recipients_bucket" in series) == 3

    def missing():
        dump, gauges = scope.dump(), redis.hash(scope.site.key("gauges"))
        return [name for name in dump.values if dump.types[dump.family(name)] == "gauge" and name not in gauges]

    wait_until(lambda: not missing(), lambda: f"all gauges in Redis; missing: {missing()}")
    assert gauge(redis, scope, "tally_persistent") == gauge(redis, scope, "filter_up") == 1


LIVES = {"meta": WEEK, "counters": WEEK, "gauges": 60, "history": 2 * WEEK}  # seconds


def test_how_long_keys_live(scope, redis):
    in_step(redis, scope)
    site = scope.site
    keys = redis.command("KEYS", f"ms1:{{{site.instance}}}:*")
    of_an_hour = [key for key in keys if key.startswith((site.key("top:"), site.key("distinct:")))]
    assert sorted(set(keys) - set(of_an_hour)) == sorted(site.key(name) for name in LIVES)
    assert all(0 < int(redis.command("TTL", key)[0]) <= DAY for key in of_an_hour)
    for name, seconds in LIVES.items():
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


def pushes(redis, scope, least):
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
    figure(f"redis: commands a second: {idle_rate:.1f} idle, {busy_rate:.1f} while {messages} messages came")
    assert messages > 0
    assert 1.5 <= idle <= 2.5
    assert 1.5 <= busy <= 2.5
    assert busy_rate < 1.5 * idle_rate
    in_step(redis, scope)


def test_last_push(scope, postfix, redis):
    """After a clean stop nothing is missing but that push itself."""
    send(postfix, 2)
    assert scope.stop() == 0
    tally, held = scope.counts(), counters(redis, scope)
    assert without_pushes(tally) == without_pushes(held)
    assert tally[metric("push_total")] == held[metric("push_total")] + 1
    scope.start()
    in_step(redis, scope)


# ---- outages ----


ROUNDS = 3  # with Redis and without, in turn: whatever else the machine does meets both
USUAL = 0.5  # seconds; the median answer of a mail server that nobody holds up is far below
DELAY, MOST_DELAY = 0.25, 0.4  # seconds; whoever waits for Redis waits for its timeout, 0.5


def sessions(postfix, count=10):
    """The slowest answer of each of some sessions."""
    return [send(postfix) for _ in range(count)]


def milliseconds(rounds):
    return f"median {median_of(rounds) * 1000:.1f} ms, most {max(map(max, rounds)) * 1000:.1f} ms"


def median_of(rounds):
    return statistics.median(sum(rounds, []))


def usual_most(rounds):
    """The slowest answer of a round, as it mostly is: that the machine itself halts once is not held against us."""
    return statistics.median(map(max, rounds))


def absent(scope, redis, postfix):
    """Redis is not there when milterscope starts."""
    assert scope.stop() == 0
    redis.stop()
    scope.start()
    send(postfix)  # the first one of a filter takes longer, Redis or no Redis
    return redis.start


def killed(scope, redis, postfix):
    pid = redis.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "Redis is gone")
    return redis.start


def hung(scope, redis, postfix):
    os.kill(redis.pid, signal.SIGSTOP)
    return lambda: os.kill(redis.pid, signal.SIGCONT)


def without_redis(scope, postfix, redis, outage, error):
    """The slowest answers of sessions from the beginning of an outage until it is known for long."""
    before = errors(scope, error)
    come_back = outage(scope, redis, postfix)
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
    return slow


@pytest.mark.parametrize(("outage", "error"), [(absent, "connect"), (killed, "connect"), (hung, "timeout")])
def test_mail_does_not_wait_for_redis(scope, postfix, redis, outage, error):
    usual, slow, seconds = [], [], 0.0
    for _ in range(ROUNDS):
        seconds = max(seconds, in_step(redis, scope))
        usual.append(sessions(postfix, 20))
        assert median_of(usual) < USUAL
        slow.append(without_redis(scope, postfix, redis, outage, error))
    seconds = max(seconds, in_step(redis, scope))
    figure(
        f"redis {outage.__name__}: slowest answer of a session: {milliseconds(usual)} with Redis, {milliseconds(slow)} "
        f"without; in step {seconds:.1f} s after it was back"
    )
    assert median_of(slow) - median_of(usual) < DELAY
    assert usual_most(slow) - usual_most(usual) < MOST_DELAY
    assert max(map(max, slow)) < COMMAND_TIMEOUT
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


# ---- what others do to it ----

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
    assert counters(redis, scope)[PASSED] == scope.passed()
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
        (wait_error if error == "misconf" else wait_errors)(scope, error, before)  # tried again after a while, or soon
        assert send(postfix) < COMMAND_TIMEOUT
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
            assert send(postfix) < COMMAND_TIMEOUT
        finally:
            redis.command("SCRIPT", "KILL")
            script.wait(GENEROUS)
    in_step(redis, scope)


REFUSALS = {
    # A cluster of which no node serves our slot; and a server whose administrator has taken a command away.
    "moved": (["--cluster-enabled", "yes"], "CLUSTERDOWN"),
    "other": (["--rename-command", "EVALSHA", ""], "unknown command"),
}


@pytest.mark.parametrize("error", REFUSALS)
def test_redis_is_not_for_us(own_parts, error):
    """That is said once, and tried again."""
    options, words = REFUSALS[error]
    if error == "moved":  # nodes of a cluster need ports, also for each other
        options = [*options, "--port", free_port(), "--cluster-port", free_port()]
    redis = own_parts.start(Redis(site_in(own_parts, f"{error}_redis").folder, *options))
    scope = own_parts.start(Scope(site_in(own_parts, error, redis.url)))
    wait_errors(scope, error)
    assert len(scope.lines(words)) == len(scope.lines("counting goes on, pushing is retried")) == 1
    if error == "moved":
        redis.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        wait_until(lambda: "cluster_state:ok" in redis.command("CLUSTER", "INFO"), "the cluster is whole")
        in_step(redis, scope)


def test_not_redis_at_all(own_parts, postfix):
    site = site_in(own_parts, "not_redis", "redis://%s:%d" % postfix.address)
    scope = own_parts.start(Scope(site))
    wait_errors(scope, "protocol")
    assert len(scope.lines("the reply cannot be read")) == 1


def test_tcp_and_another_database(own_parts, redis):
    site = site_in(own_parts, "database", f"{redis.tcp_url}/3")
    scope = own_parts.start(Scope(site))
    wait_until(lambda: redis.command("-n", "3", "EXISTS", site.key("counters")) == ["1"], "the keys are in database 3")
    assert not redis.hash(site.key("counters"))
    assert scope.value("redis_up", program="pusher") == 1
