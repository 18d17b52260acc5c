"""Chaos: for two minutes everything that can break breaks, at random from a seed, while smtp-source and a scripted client drive a
real Postfix. The client keeps the truth. At the end tally, Redis and both exporters must equal it: exactly for every session
that met no death of a filter, between the client's bounds for the others; at no scrape may more be shown than the clients
had begun by then, nothing may be held that was not held before, and no answer of Postfix may have waited.

CHAOS_SECONDS (120) and CHAOS_SEED (1; or random) choose how long and what. That an answer takes at most 100 ms longer than one
without a milter, and that a session waits once for somebody who stands still, is judged with CHAOS_JUDGE alone, as
`make soak` (SECONDS=600 SEED=random) sets it: a machine that does other things has other times, and `make check` prints them."""

import math
import os
import random
import time
from collections import Counter
from types import SimpleNamespace

import chaos_processes
import chaos_redis
import mailserver
import pytest
from chaos import Arena, Breaker, told
from chaos_clients import Client, script, smtp_source
from idle import Idle
from kit.figures import figure
from kit.metrics import histograms, name_of
from kit.mounts import Mounts
from kit.programs import Exporter
from kit.sasl import Accounts
from kit.sentinels import Sentinels
from kit.servers import Postfix
from kit.tls import certificate
from kit.wait import wait_until
from mail import COMMAND_TIMEOUT
from oracle import COUNTERS, HISTOGRAMS, TIMES, Counted, settled, with_unregistered_codes
from scope import Scope, site_in
from truth import metric
from watch import Watch

SECONDS = float(os.environ.get("CHAOS_SECONDS", "120"))
SEED = os.environ.get("CHAOS_SEED", "1")
SEED = str(random.SystemRandom().randrange(10**9)) if SEED == "random" else SEED
JUDGE = bool(os.environ.get("CHAOS_JUDGE"))
SCRIPTED = 3  # clients at the same time, for each of the two Postfixes
BEYOND = 0.1  # seconds that an answer may take beyond that of a Postfix without a milter
SLOW = 1.0  # seconds; who stands still makes wait longer than anything else does


@pytest.fixture
def arena(own_parts, postfix_of):
    parts, folder = own_parts, own_parts.folder
    sentinels = parts.start(Sentinels(folder, proxied=True))
    redis = {"password_file": str(sentinels.password_file), "timeout": 1}
    socket = folder.tmpfs / "milter.sock"
    group = Postfix.account()["group"]
    site = site_in(parts, "node", sentinels.url, socket, group=group, redis=redis, **mailserver.SITE)
    far = site_in(parts, "fleet", sentinels.url, redis=redis, exporter={"scope": "fleet"})
    mounts = parts.start(Mounts({site.state_directory: "size=1m"}))
    scope = parts.start(Scope(site, enter=mounts.enter))
    arena = Arena(
        parts=parts,
        site=site,
        seen_site=SimpleNamespace(
            run_directory=site.run_directory, state_directory=mounts.inside(site.state_directory), instance=site.instance
        ),
        sentinels=sentinels,
        mounts=mounts,
        scope=scope,
        exporter=parts.start(Exporter(site)),
        fleet=parts.start(Exporter(far)),
        postfix=postfix_of("attached", f"unix:{socket}"),
        bare=postfix_of("bare", ""),
    )
    scope.restart()  # so that there is a copy on the disk
    return arena


@pytest.fixture
def postfix_of(own_parts):
    """A Postfix with this milter, or none, and its clients' accounts."""
    accounts = own_parts.start(Accounts(own_parts.folder))
    encryption = certificate(own_parts.folder)

    def make(name, milter):
        settings = mailserver.settings(milter) | accounts.settings | encryption | {"milter_default_action": "accept"}
        return own_parts.start(Postfix(own_parts.folder, settings, f"postfix-{name}"))

    return make


# ---- what must have been counted ----


def values_of(counted):
    """What was counted, with the number of values of each time in the place of the times."""
    counts = Counter(counted.families(COUNTERS + HISTOGRAMS))
    for name, histogram in histograms(counted.families(TIMES)).items():
        counts[name + "_values"] = histogram.total()
    return counts


def differences(played, harm, counted):
    """Of a place: the series that are not between the bounds, as (series, value, at least, at most)."""
    at_least, at_most = Counter(), Counter()
    for each in played:
        low, high = each.bounds(harm)
        at_least += low
        at_most += high
    found = values_of(counted)
    at_least, at_most = (with_unregistered_codes(bound, found) for bound in (at_least, at_most))
    for series in sorted(found.keys() | at_most.keys()):
        low, high = at_least.get(series, 0), at_most.get(series, 0)
        if name_of(series) == metric("sessions_unobserved_total"):
            continue  # our own checks are there, too
        if not low <= found.get(series, 0) <= high:
            yield f"{counted.place}: {series} is {found.get(series)}, at least {low}, at most {high}"


def known_to_clients(counts):
    """Of times, and of ourselves, they know nothing."""
    known = Counted("", counts, {}).families(COUNTERS + HISTOGRAMS)
    return {series for series in known if name_of(series) != metric("sessions_unobserved_total")}


def limits(played, before, counts):
    """What may have been shown at most: all that the clients know of, also what a power failure took away again."""
    at_most = sum((each.truth.counts for each in played), Counter())
    at_most = with_unregistered_codes(at_most, counts)
    known = known_to_clients(counts)
    return {s: before.get(s, 0) + at_most.get(s, 0) if s in known else math.inf for s in counts}


def ahead_of_clients(played, before, watched):
    """What was shown before it could have been: more, at the end of an interval between two scrapes, than the sessions
    have brought that had begun by then. So no rate is more than what came in that time, with what was still to be shown."""
    known = known_to_clients(before)
    coming = sorted(played, key=lambda each: each.begun, reverse=True)
    at_most = Counter({series: before[series] for series in known})
    for when, changed in watched.history:
        while coming and coming[-1].begun <= when:
            at_most += with_unregistered_codes(+coming.pop().truth.counts, before)
        for series in known & changed.keys():
            if changed[series] > at_most[series]:
                yield f"{watched.name}: {series} was shown as {changed[series]} when it was {at_most[series]} at most"


# ---- how long it took ----


def waits(played, spans):
    """(those that met none of these times, those that did), for each session: seconds until each answer."""
    clear, met = [], []
    for each in played:
        slow = []
        for sent, answered in each.answers:
            (clear if spans.first(sent, answered) is None else slow).append(answered - sent)
        met.append(slow)
    return clear, met


def quantiles(values):
    ordered = sorted(values)
    return ordered[int(len(ordered) * 0.999)], ordered[-1]


def judge_times(arena, attached, bare):
    clear, met = waits(attached, arena.still)
    beside, _ = waits(bare, arena.still)
    (p999, most), (bare_p999, bare_most) = quantiles(clear), quantiles(beside)
    longest = max((max(slow) for slow in met if slow), default=0.0)
    again = sum(sum(wait > SLOW for wait in slow) > 1 for slow in met)
    figure(
        f"chaos: {len(clear)} answers of Postfix, p99.9 {p999 * 1e3:.0f} ms, most {most * 1e3:.0f} ms; without a milter, at the "
        f"same time, {len(beside)}, {bare_p999 * 1e3:.0f} ms, {bare_most * 1e3:.0f} ms; while somebody stood still, most "
        f"{longest:.1f} s; {again} sessions waited twice for more than {SLOW:g} s"
    )
    assert max(most, longest) < COMMAND_TIMEOUT
    if JUDGE:
        assert p999 <= bare_p999 + BEYOND and most <= bare_most + BEYOND
        assert again == 0


# ---- the test ----


def sessions(played, harm):
    harmed = [each.sessions for each in played if each.bounds(harm)[0] is not each.truth.counts]
    total = sum(each.sessions for each in played)
    return f"{total} sessions, {total - sum(harmed)} met no death of a filter, {sum(harmed)} did"


def strange_deaths(arena):
    """Filters that died though nobody had killed them."""
    for line in arena.scope.logs()[0].read_text(errors="replace").splitlines():
        if "filter " in line and " died: " in line and int(line.split("filter ", 1)[1].split(" ", 1)[0]) not in arena.killed:
            yield line
        if "Sanitizer" in line or "runtime error" in line:
            yield line


def run_chaos(arena):
    """Until the time is over or something fails; returns what the clients played, attached and bare."""
    arena.redis_breaker = Breaker(arena, chaos_redis.FAULTS, f"{SEED} Redis")
    breakers = [Breaker(arena, chaos_processes.FAULTS, f"{SEED} processes"), arena.redis_breaker]
    attached = [Client(script, arena.postfix, f"{SEED} attached {number}") for number in range(SCRIPTED)]
    bare = [Client(script, arena.bare, f"{SEED} bare {number}") for number in range(SCRIPTED)]
    sources = [Client(smtp_source, postfix, f"{SEED} source") for postfix in (arena.postfix, arena.bare)]
    threads = [*breakers, *attached, *bare, *sources]
    over = time.monotonic() + SECONDS
    for thread in threads:
        thread.start()
    try:
        wait_until(
            lambda: time.monotonic() > over or any(thread.failure for thread in threads), "the end", SECONDS + 60, 0.5
        )
    finally:
        for thread in threads:
            thread.end()
    figure(f"chaos: seed {SEED}, {SECONDS:g} s, {told(breakers)}")
    failures = [(thread.name, thread.failure) for thread in threads if thread.failure]
    if failures:
        history = "\n".join(f"{breaker.name}: {', '.join(breaker.history)}" for breaker in breakers)
        raise AssertionError(f"{failures[0][0]}: {failures[0][1]!r}\n{history}") from failures[0][1]
    played = [each for client in (*attached, sources[0]) for each in client.played]
    return played, [each for client in bare for each in client.played]


def in_step(arena, counts):
    """Redis and the fleet's exporter show what was counted, but for what moves by itself."""
    expected = Counted("tally", counts, {}).families(COUNTERS + HISTOGRAMS + TIMES)

    def shown():
        redis = Counted("Redis", arena.redis_hash("counters"), {}).families(COUNTERS + HISTOGRAMS + TIMES)
        return {series: (redis.get(series), expected.get(series)) for series, _ in redis.items() ^ expected.items()}

    wait_until(lambda: not shown(), lambda: f"Redis in step; (Redis, tally): {shown()}")


def test_chaos(arena):
    scope = arena.scope
    before = settled(scope).counts()
    arena.wait_pushed()  # the pusher has a connection
    idle = Idle(
        {
            "supervisor": lambda: scope.pid,
            "filter": lambda: scope.child("filter"),
            "pusher": lambda: scope.child("pusher"),
            "exporter": lambda: arena.exporter.process.pid,
            "exporter of the fleet": lambda: arena.fleet.process.pid,
        }
    )
    with Watch(arena.exporter, arena.fleet, arena.sites) as watch:
        played, bare = run_chaos(arena)
        arena.postfix.stop()  # its processes end, and so do the last sessions
        wait_until(scope.answers, "the filter answers")
        arena.sentinels.wait_ready()
        after = settled(scope).counts()
        in_step(arena, after)
        watch.wait()
    places = {
        "tally": after,
        "Redis": arena.redis_hash("counters"),
        "/metrics": watch.node.last,
        "/metrics of the fleet": watch.fleet.last,
    }
    figure(f"chaos: {sessions(played, arena.harm)}; {watch}")
    lines = [
        line
        for place, counts in places.items()
        for line in differences(played, arena.harm, Counted(place, counts, before))
    ]
    lines += strange_deaths(arena)
    assert not lines, f"{len(lines)} differences with seed {SEED}:\n" + "\n".join(lines)
    watch.check(limits(played, before, scope.counts()))
    early = [line for watched in watch.watched for line in ahead_of_clients(played, before, watched)]
    assert not early, f"{len(early)} values too early with seed {SEED}:\n" + "\n".join(early[:20])
    figure(f"chaos: {idle.wait()}")
    judge_times(arena, played, bare)
