"""session_seconds and message_seconds, one session at a time and nothing beside it: each value must lie between two bounds
that the client measured, so close to each other that no other span of the session fits between them."""

import time
from dataclasses import dataclass

import mailserver
import pytest
from kit.figures import figure
from kit.metrics import histograms, name_of
from kit.programs import Milterscope, Site
from kit.servers import Postfix, Redis
from kit.wait import wait_until
from script import Script
from truth import Seen, Truth, metric

SESSION, MESSAGE = metric("session_seconds"), metric("message_seconds")
CLOSE = 0.2  # seconds between the bounds, at most; a busy machine gets another try
TRIES = 20


@dataclass
class Span:
    """Seconds that something lasted, at least and at most, as the client knows it."""

    at_least: float
    at_most: float


@pytest.fixture(scope="module")
def milterscope(parts):
    redis = parts.start(Redis(parts.folder))
    site = Site(parts.folder, redis.url, "times", Postfix.account()["group"], trusted_networks=mailserver.TRUSTED)
    return parts.start(Milterscope(site))


@pytest.fixture(scope="module")
def postfix(parts, milterscope):
    return parts.start(Postfix(parts.folder, mailserver.settings(f"unix:{milterscope.site.milter_socket}")))


def at_rest(milterscope):
    """The dump when no session is open, and when that was known."""

    def no_session():
        dump = milterscope.dump()
        return dump if dump.values.get(metric("sessions_active")) == 0 else None

    return wait_until(no_session, "no session is open", interval=0.01), time.monotonic()


def times(dump):
    return histograms({s: value for s, value in dump.counts().items() if name_of(s).startswith((SESSION, MESSAGE))})


def added(milterscope, play):
    """What `play` added to each histogram, and the spans that it and we measured."""
    before = times(at_rest(milterscope)[0])
    spans, left = play()
    dump, known = at_rest(milterscope)
    spans[SESSION].at_most += known - left  # the end may reach the filter after it reached the client
    after = times(dump)
    for name, histogram in after.items():
        histogram.sum -= before[name].sum
        histogram.buckets = {le: count - before[name].buckets[le] for le, count in histogram.buckets.items()}
    return after, spans


def measured(milterscope, play):
    """The same, with bounds close to each other."""
    for _ in range(TRIES):
        found, spans = added(milterscope, play)
        if all(span.at_most - span.at_least <= CLOSE for span in spans.values()):
            return found, spans
    raise AssertionError(f"this machine is too busy to measure times: {spans}")


def check(found, spans):
    """One value in each, between the bounds, in its bucket."""
    figure("times: " + ", ".join(said(name, found[name], span) for name, span in spans.items()))
    for name, span in spans.items():
        histogram, truth = found[name], "differs from the truth: " + said(name, found[name], span)
        assert histogram.total() == 1, f"{name} differs from the truth: {histogram.total()} values, 1"
        assert span.at_least <= histogram.sum <= span.at_most, truth
        bounds = sorted(histogram.buckets, key=float)
        bucket = next(le for le in bounds if histogram.buckets[le])
        assert bucket == next(le for le in bounds if histogram.sum <= float(le)), f"{truth}, in bucket {bucket}"


def said(name, histogram, span):
    return f"{name} {histogram.sum:.3f} ({span.at_least:.3f} to {span.at_most:.3f})"


def session(postfix, before, within, after):
    """A client that takes its time: before MAIL, between MAIL and the end of the message, and then."""
    truth = Truth()
    with Script(postfix.address, mailserver.CLIENTS[0], truth) as script:
        script.greet()
        script.hello()
        script.linger(before)
        script.mail()
        script.rcpt(mailserver.USERS[0])
        script.data()
        script.linger(within)
        script.message("Subject: a test\n\nThe body.\n", Seen())
        script.linger(after)
        script.quit()
        return {name: Span(*spans[0]) for name, spans in truth.spans.items()}, script.smtp.left


@pytest.mark.parametrize(
    ("before", "within", "after"),
    [(0.7, 1.5, 0.8), (0.02, 0.02, 0.02), (0.3, 0.3, 0), (2.0, 0.3, 0), (0, 2.0, 0.3), (0, 0.02, 2.0), (0.5, 0, 0)],
)
def test_times(milterscope, postfix, before, within, after):
    found, spans = measured(milterscope, lambda: session(postfix, before, within, after))
    check(found, spans)
    if (before, within, after) == (0.7, 1.5, 0.8):
        assert found[SESSION].buckets["5.0"] == found[MESSAGE].buckets["5.0"] == 1


def test_message_of_a_second_transaction(milterscope, postfix):
    """Its time begins with its own MAIL, and one that never ended has none."""

    def play():
        truth = Truth()
        with Script(postfix.address, mailserver.CLIENTS[0], truth) as script:
            script.greet()
            script.hello()
            script.mail()
            script.linger(0.6)
            script.rset()
            script.mail()
            script.rcpt(mailserver.USERS[0])
            script.data()
            script.message("Subject: a test\n\nThe body.\n", Seen())
            script.quit()
            return {name: Span(*spans[0]) for name, spans in truth.spans.items()}, script.smtp.left

    found, spans = measured(milterscope, play)
    check(found, spans)


def test_local_submission(milterscope, postfix):
    """One that nobody waits for: it cannot last longer than until it was counted."""

    def play():
        goal = times(milterscope.dump())[SESSION].total() + 1
        began = time.monotonic()
        postfix.submit("-f", "alice@example.test", "bob@example.test", text="Subject: a test\n\nThe body.\n")
        wait_until(lambda: times(milterscope.dump())[SESSION].total() >= goal, "the session is counted", interval=0.01)
        counted = time.monotonic()
        return {name: Span(0.0, counted - began) for name in (SESSION, MESSAGE)}, counted

    check(*measured(milterscope, play))
