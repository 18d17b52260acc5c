"""The judge of the oracles: what the tally, Redis and /metrics say is compared with the truth, series by series, and nothing
else may have moved.

ORACLE_TRANSACTIONS and ORACLE_SEED (random) choose what is played."""

import contextlib
import os
import random
import time

from kit.figures import figure
from kit.metrics import histograms, labels_of, name_of, number
from kit.wait import TooLate, wait_until
from truth import OWN_DOMAINS, metric

SEED = os.environ.get("ORACLE_SEED") or str(random.SystemRandom().randrange(10**9))

COUNTERS = [
    "connections_total",
    "sessions_without_mail_total",
    "mail_sessions_total",
    "client_name_total",
    "unknown_commands_total",
    "auth_sessions_total",
    "messages_total",
    "recipients_total",
    "domain_messages_total",
    "domain_recipients_total",
    "rejects_total",
    "reject_codes_total",
    "null_sender_total",
    "spam_verdicts_total",
    "infected_total",
    "auth_results_total",
    "sessions_unobserved_total",
    "ring_records_total",
    "ring_dropped_total",
]
HISTOGRAMS = ["message_bytes", "message_recipients", "spam_score", "received_hops"]
TIMES = ["session_seconds", "message_seconds"]
# What may move beside them, since it tells of time or of ourselves.
ALONGSIDE = {
    "filter_busy_seconds_total": "time in the filter's callbacks",
    "push_total": "a push every interval",
    "push_seconds": "a push every interval",
    "last_push_timestamp_seconds": "a push every interval",
    "filter_last_connection_timestamp_seconds": "when the last mail came",
    "filter_open_fds": "sessions and checks come and go",
    "coverage_info": "learned from what the MTA shows",
    "observable": "learned from what the MTA shows",
}
# What moves in the crowd is bounded loosely; how long sessions and messages last, one by one, test_times.py tells.
LATE = 20.0  # seconds by which the end of a session may reach the filter after the client saw it
LATE_ON_AVERAGE = 0.5
SETTLE = 30.0  # seconds; only tells working from hung
PUSH = 20.0  # seconds; a push is due five times a second


def settled(milterscope):
    """The dump when no session is open: all that was counted for the sessions so far is in it."""

    def no_session():
        dump = milterscope.dump()
        return dump if dump.values.get(metric("sessions_active")) == 0 else None

    return wait_until(no_session, "sessions_active differs from the truth: it does not return to 0", SETTLE)


class Counted:
    """What was added since the baseline: {series: value}, histograms with disjoint buckets."""

    def __init__(self, place, counts, baseline):
        self.place = place
        self.added = {series: value - baseline.get(series, 0) for series, value in counts.items()}

    def families(self, names):
        wanted = {metric(name) for name in names}
        wanted |= {name + part for name in wanted for part in ("_bucket", "_sum")}
        return {series: value for series, value in self.added.items() if name_of(series) in wanted}


def differences(truth, counted):
    """The series that are not what they must be."""
    found = counted.families(COUNTERS + HISTOGRAMS)
    expected = with_unregistered_codes({series: count for series, count in truth.counts.items() if count}, found)
    lines = []
    for series in sorted(found.keys() | expected.keys()):
        value, true = found.get(series), expected.get(series, 0)
        if value != true:
            lines.append(f"{counted.place}: {series} differs from the truth: {value}, {true}")
    return lines, len(found)


def with_unregistered_codes(expected, found):
    """Codes that have no series of their own are counted as `other`."""
    result = {}
    for series, count in expected.items():
        if name_of(series) == metric("reject_codes_total") and series not in found:
            series = metric("reject_codes_total", code="other")
        result[series] = result.get(series, 0) + count
    return result


def time_differences(truth, counted):
    lines = []
    found = histograms(counted.families(TIMES))
    for name in map(metric, TIMES):
        late = LATE if name == metric("session_seconds") else 0.0
        lines += [
            f"{counted.place}: {name} differs from the truth: {what}"
            for what in span_differences(found[name], truth.spans[name], late)
        ]
    return lines


def span_differences(histogram, spans, late):
    """`spans`: bounds of each value. A cumulative bucket holds those that are surely in it, and no more than may be."""
    if histogram.total() != len(spans):
        yield f"{histogram.total()} values, {len(spans)}"
    at_least = sum(low for low, _ in spans)
    at_most = sum(high for _, high in spans) + len(spans) * (LATE_ON_AVERAGE if late else 0)
    if not at_least <= histogram.sum <= at_most:
        yield f"sum {histogram.sum}, between {at_least:.3f} and {at_most:.3f}"
    below = 0
    for le, count in sorted(histogram.buckets.items(), key=lambda item: float(item[0])):
        below += count
        surely = sum(high + late <= float(le) for _, high in spans)
        perhaps = sum(low <= float(le) for low, _ in spans)
        if not surely <= below <= perhaps:
            yield f"{below} values up to {le}, between {surely} and {perhaps}"


def moved_alongside(before, after):
    """Series of other families that are not as they were."""
    ours = {metric(name) for name in [*COUNTERS, *HISTOGRAMS, *TIMES, *ALONGSIDE]}
    for series in sorted(before.values.keys() | after.values.keys()):
        family = (after if series in after.values else before).family(series)
        if family not in ours and before.values.get(series) != after.values.get(series):
            yield f"tally: {series} moved: {before.values.get(series)} -> {after.values.get(series)}"


def redis_counts(site):
    return {series: number(value) for series, value in site.redis.hash(site.key("counters")).items()}


def missing(place, names, required):
    return [f"{place}: {series} is missing" for series in sorted(required - names)]


def compare(site, truth, before, after):
    """All differences, and how many series were compared."""
    baseline = before.counts()
    tally = Counted("tally", after.counts(), baseline)
    redis = Counted("redis", redis_counts(site), baseline)
    scrape = Counted("/metrics", site.exporter.metrics().counts(), baseline)
    lines, compared = [], 0
    for counted in (tally, redis, scrape):
        found, series = differences(truth, counted)
        lines += found + time_differences(truth, counted)
        lines += missing(counted.place, counted.added.keys(), tally.added.keys())
        compared += series
    lines += missing("tally", tally.added.keys(), redis.added.keys())
    return lines + list(moved_alongside(before, after)), compared


def report(mta, jobs, truth, compared, seconds):
    messages = sum(count for series, count in truth.counts.items() if name_of(series) == metric("messages_total"))
    sessions = len(truth.spans[metric("session_seconds")])
    figure(f"oracle, {mta}: seed {SEED}, {len(jobs)} jobs, {messages} transactions in {sessions} sessions, {seconds:.1f} s")
    figure(f"oracle, {mta}: {len(truth.fates)} fates: " + ", ".join(f"{name} {n}" for name, n in sorted(truth.fates.items())))
    figure(f"oracle, {mta}: {compared} series compared, {sum(bool(n) for n in truth.counts.values())} of the truth not 0")


def wait_for_push(site, after):
    """Until Redis holds what the tally holds; what never comes, the comparison shows."""
    expected = Counted("tally", after.counts(), {}).families(COUNTERS + HISTOGRAMS + TIMES)

    def pushed():
        return Counted("redis", redis_counts(site), {}).families(COUNTERS + HISTOGRAMS + TIMES) == expected

    with contextlib.suppress(TooLate):
        wait_until(pushed, "the last counts are in Redis", PUSH)


def ourselves(after, started_at, coverage, hidden):
    """What tells of the filter itself, as far as it is known from outside."""
    last = after.values.get(metric("filter_last_connection_timestamp_seconds"), 0)
    if not started_at <= last <= time.time():
        yield f"filter_last_connection_timestamp_seconds differs from the truth: {last}, not before {started_at}"
    if after.of(metric("coverage_info")) != {metric("coverage_info", **coverage): 1}:
        yield f"coverage_info differs from the truth: {after.of(metric('coverage_info'))}, {coverage}"
    parts = {labels_of(series)["part"]: value for series, value in after.of(metric("observable")).items()}
    if {part for part, value in parts.items() if value != 1} != hidden:
        yield f"observable differs from the truth: {parts}, all but {hidden}"
    domains = {labels_of(series)["domain"] for series in after.values if "domain=" in series}
    if domains != set(OWN_DOMAINS.values()):
        yield f"domains differ from the truth: {domains}, {set(OWN_DOMAINS.values())}"
    if "filter" not in [labels_of(series)["program"] for series in after.of(metric("build_info"))]:
        yield "build_info differs from the truth: no filter"
    for name in ("filter_busy_seconds_total", "filter_open_fds", "filter_max_fds"):
        if not after.values.get(metric(name), 0) > 0:
            yield f"{name} differs from the truth: not more than 0"


def play_and_compare(site, repertoire, transactions, coverage, hidden=frozenset(), prepare=None):
    """Plays that many transactions through site.mta, which ends with them. `coverage`: the labels of coverage_info then,
    `hidden`: the parts of the conversation that this MTA does not show. Returns the last dump."""
    before = settled(site.milterscope)
    jobs = repertoire.make(transactions, SEED)
    started, started_at = time.monotonic(), time.time()
    truth = repertoire.play_all(jobs, site.mta, SEED, prepare)
    site.mta.wait_idle()
    site.mta.stop()  # its processes end, and so do the last sessions
    seconds = time.monotonic() - started
    after = settled(site.milterscope)
    wait_for_push(site, after)
    lines, compared = compare(site, truth, before, after)
    report(coverage["mta"], jobs, truth, compared, seconds)
    lines += ourselves(after, started_at, coverage, hidden)
    assert not lines, f"{len(lines)} differences with seed {SEED}:\n" + "\n".join(lines)
    return after
