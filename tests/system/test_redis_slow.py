"""Redis behind a line that is slow, stalls, dribbles, breaks off at any byte; Redis killed in the middle of a push, and
away for long. Totals in Redis are never lower than before, never more than was counted, never half a push; nothing that
is shown steps back."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from in_redis import Trace, fenced, in_step, totals
from kit.figures import figure
from kit.procfs import is_alive
from kit.programs import Exporter
from kit.servers import Redis
from kit.wait import wait_until
from line import FOREIGN, Line, exporter_beside, harmed
from load import messages
from scope import Scope, site_in
from truth import metric
from watch import Watch

ERRORS = metric("push_errors_total")
IMPATIENT = 0.8  # seconds; redis.timeout


@pytest.fixture(scope="module")
def fleet(parts, redis):
    return parts.start(Exporter(site_in(parts, "fleet", redis.url, exporter={"scope": "fleet"})))


# ---- broken off ----

LINES = 6  # that are cut at the same time
CUTS_OF_PUSHES, CUTS_OF_REPLIES, CUTS_OF_GREETINGS = 12, 6, 4
GREETING = 70  # bytes


@dataclass(frozen=True)
class CutAt:
    """Where a push is broken off. anew: it begins a connection. in_full: it is the second of two, since Redis has lost what
    was left there, and that one is of everything."""

    direction: str
    position: int
    anew: bool = False
    in_full: bool = False


def spread(count, first, last):
    return [first + i * (last - first) // (count - 1) for i in range(count)]


def passed_until_pushed(line):
    """Bytes that have passed in each direction when a push is over."""
    pushed = line.counted("push_total")
    wait_until(lambda: line.counted("push_total") > pushed, "pushes go on", interval=0.01)
    return line.proxy.to_server.passed, line.proxy.to_client.passed


def sizes(line):
    """About: bytes of a push of what has changed, and of its reply; and the same of that and one of everything."""
    first = passed_until_pushed(line)
    messages(line.scope, 50)  # so that there is more than usual
    second = passed_until_pushed(line)
    line.push_in_full()
    wait_until(lambda: FOREIGN not in line.redis.hash(line.site.key("counters")), "everything is written again")
    third = passed_until_pushed(line)
    return [b - a for a, b in zip(first, second, strict=True)], [b - a for a, b in zip(second, third, strict=True)]


def places(changed, both):
    for direction, count, small, large in zip(
        ("to_server", "to_client"), (CUTS_OF_PUSHES, CUTS_OF_REPLIES), changed, both, strict=True
    ):
        yield from (CutAt(direction, n) for n in spread(count, 0, small - 1))
        yield from (CutAt(direction, n, in_full=True) for n in spread(count, small, max(small, large - 1)))
    yield from (CutAt("to_server", n, anew=True) for n in spread(CUTS_OF_GREETINGS, 0, GREETING))


def cut(line, trace, place):
    """Returns what is wrong in Redis after the next push."""
    trace.next()
    failed, pushed = line.failed("connect"), line.counted("push_total")
    messages(line.scope, seed=place.position + 1)
    if place.in_full:
        line.push_in_full()
    if place.anew:
        line.proxy.cut()
    faults = getattr(line.proxy, place.direction)
    cuts = faults.cuts
    getattr(line.proxy, f"faults_{place.direction}")(cut_after=place.position)
    wait_until(lambda: faults.cuts > cuts, "it is cut", interval=0.02)
    # Between two answers nothing fails.
    over = lambda: line.failed("connect") > failed or line.counted("push_total") > pushed + 1  # noqa: E731
    wait_until(over, "the pusher knows", interval=0.02)
    least = totals(line.scope.tally())
    meta = line.redis.hash(line.site.key("meta"))
    under_way = (int(meta["epoch"]), int(meta["seq"]) + 1)  # it may have begun before that
    following = trace.after(under_way).totals
    # An error of that very push is in the next one.
    counted = {name: value for name, value in least.items() if not name.startswith(ERRORS)}
    return {name: (value, following.get(name)) for name, value in counted.items() if following.get(name, 0) < value}


def cut_all(line, cuts):
    with Trace(line.redis, line.scope) as trace:
        wrong = {place: cut(line, trace, place) for place in cuts}
        in_step(line.redis, line.scope)
    trace.check()
    assert not any(wrong.values()), wrong
    hung_up = sum(place.anew for place in cuts)  # each of them may have met a push, too
    assert len(cuts) - 2 <= line.failed("connect") <= len(cuts) + hung_up


def test_cut_at_any_byte(own_parts, redis, fleet):
    lines = [Line(own_parts, redis, f"cut{i}", interval=0.2) for i in range(LINES)]
    exporter = exporter_beside(own_parts, lines[0].site, redis.url)  # not by way of the proxy, where each byte counts
    cuts = list(places(*sizes(lines[0])))
    began = time.monotonic()
    with Watch(exporter, fleet) as watch, ThreadPoolExecutor(LINES) as pool:
        list(pool.map(cut_all, lines, [cuts[i::LINES] for i in range(LINES)]))
    shown = watch.check(lines[0].scope.counts())
    figure(f"redis: pushes cut at {len(cuts)} places in {time.monotonic() - began:.1f} s; {shown}")


# ---- slow, and too slow ----


@pytest.fixture(scope="module")
def line(parts, redis):
    return Line(parts, redis, "line")


SLOW = {"delay": {"delay": 0.2}, "dribble": {"piece": 200, "pause": 0.002}}


@pytest.mark.parametrize("how", SLOW)
def test_slow_line(line, fleet, how):
    """Pushes take their time, and none fails."""
    failed = line.failures()
    with harmed(line, fleet, f"slow line, {how}") as (load, _):
        pushed = line.counted("push_total")
        line.proxy.faults(**SLOW[how])
        line.push_in_full()
        wait_until(lambda: line.counted("push_total") >= pushed + 3, "pushes go on")
        load.wait()
    assert line.failures() == failed


def delayed(proxy):
    proxy.faults(delay=2 * IMPATIENT)


def dribbled(proxy):
    proxy.faults(piece=1, pause=0.005)


def stalled(proxy):
    """In the middle of a push."""
    proxy.faults_to_server(stall_after=1000)


def unanswered(proxy):
    proxy.faults_to_client(stalled=True)


def half_answered(proxy):
    proxy.faults_to_client(stall_after=20)


@pytest.fixture(scope="module")
def impatient(line):
    line.set_timeout(IMPATIENT)
    return line


@pytest.mark.parametrize("how", [delayed, dribbled, stalled, unanswered, half_answered])
def test_too_slow_line(impatient, fleet, how):
    """That is a timeout, and nothing else; mail flows."""
    line, failures, timeouts = impatient, impatient.failures(), impatient.failed("timeout")
    with harmed(line, fleet, f"line too slow, {how.__name__}") as (load, _):
        how(line.proxy)
        line.push_in_full()
        line.wait_failed("timeout", timeouts + 1)
        assert line.scope.value("redis_up", program="pusher") == 0
        load.wait()
    assert line.failures() - failures == line.failed("timeout") - timeouts
    assert not line.scope.lines("FENCED")


def test_push_that_arrives_late(impatient, fleet):
    """Behind one that was made after it, on another connection: it is refused."""
    line, refused, timeouts = impatient, fenced(impatient.redis), impatient.failed("timeout")
    with harmed(line, fleet, "late push") as (_, trace):
        line.proxy.faults_to_server(stalled=True)
        line.wait_failed("timeout", timeouts + 1)
        let_pass = line.proxy.leave_open()
        trace.next()
        assert fenced(line.redis) == refused
        let_pass()
        wait_until(lambda: fenced(line.redis) > refused, "the late one comes")
    assert line.failed("fenced") == 0


# ---- away for long ----


@pytest.fixture(scope="module", autouse=True)
def away(parts):
    """A milterscope without its Redis, from the beginning of the module to the middle of it."""
    redis = Redis(site_in(parts, "away_redis").folder)
    scope = parts.start(Scope(site_in(parts, "away", redis.url)))
    began = time.monotonic()
    watch = parts.start(Watch(parts.start(Exporter(scope.site))))
    messages(scope, 100)
    return SimpleNamespace(redis=redis, scope=scope, began=began, watch=watch, parts=parts)


def most_attempts(seconds):
    """With the shortest pauses that the back-off may make."""
    attempts, pause = 1, 0.5
    while seconds > pause / 2:
        seconds -= pause / 2
        attempts, pause = attempts + 1, min(2 * pause, 10.0)
    return attempts


def test_away_for_long(away):
    """Nobody is bothered by it."""
    seconds = time.monotonic() - away.began
    attempts = away.scope.value("push_errors_total", error="connect")
    figure(f"redis away: {attempts} attempts in {seconds:.1f} s")
    assert 3 <= attempts <= most_attempts(seconds)
    assert len(away.scope.lines("counting goes on, pushing is retried")) == 1
    messages(away.scope, 100)
    away.parts.start(away.redis)


# ---- killed ----


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_killed_in_the_middle_of_a_push(impatient, fleet, share):
    """It has a part of it, and begins with nothing."""
    line = impatient
    length = sizes(line)[1][0]
    with harmed(line, fleet, f"killed after {share:.0%} of a push"):
        line.proxy.faults_to_server(stall_after=int(share * length))
        line.push_in_full()
        wait_until(lambda: line.proxy.to_server.stalled, "it has a part of the push", interval=0.01)
        pid = line.redis.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "Redis is gone")
        line.redis.start()




def test_back_after_long(away, fleet):
    """The last test, since the next attempt may take its time."""
    in_step(away.redis, away.scope)
    assert away.scope.passed() > 0
    away.watch.wait()
    away.watch.end()
    figure(f"redis away: {away.watch.check(away.scope.counts())}")
