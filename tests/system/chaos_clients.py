"""The clients of the chaos test. Each session keeps the truth of itself, and when it was: so that afterwards, when it is known
which sessions met the death of a filter, it can be said what must have been counted, and what may have been."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import fates
import mailserver as server
import plan
from chaos import LATE
from kit.place import server_program
from kit.process import run
from kit.wait import GENEROUS
from script import Script
from truth import Transaction, Truth

PAUSE = 0.15  # seconds between two sessions of a client, on average
BATCH = 10  # messages of smtp-source at a time
# Postfix makes bounces of these, at a time that nobody here knows.
LATER = {"passed_for_error_transport"}
FATES = [name for name in (*fates.IN_SESSION, *plan.COMMON * 3) if name not in LATER]


class TimedTruth(Truth):
    """`answered`: for each message that the client knows to be through: when it knew, and what it adds. Of times it counts how
    many there are, as NAME_values: how long they are, other tests tell."""

    def __init__(self):
        super().__init__()
        self.answered = []

    def lasted(self, name, at_least, at_most):
        self.add(name + "_values")

    def transaction(self, what):
        before = Counter(self.counts)
        super().transaction(what)
        if what.verdict == "passed":
            self.answered.append((time.monotonic(), self.counts - before))


@dataclass
class Played:
    """A session that is over, or some of them. sessions, messages: how many those are."""

    begun: float
    ended: float
    truth: TimedTruth
    sessions: int = 1
    answers: list = field(default_factory=list)

    def bounds(self, harm):
        """(at least, at most) what it has added. Whoever met the death of a filter is counted up to the last answer that
        came before, and may be after."""
        first = harm.first(self.begun, self.ended, LATE)
        if first is None:
            return self.truth.counts, self.truth.counts
        sure = Counter()
        for when, counts in self.truth.answered:
            if when < first:
                sure += counts
        return sure, self.truth.counts


def job(chance):
    """A session of random client, length and fate."""
    if chance.random() < 0.05:
        return plan.POSTFIX.random_job(random.Random(chance.random()))
    names = [chance.choice(FATES) for _ in range(chance.randrange(5))]
    last = chance.choice(list(fates.LAST)) if chance.random() < 0.3 else ""
    return plan.Job(plan.POSTFIX.random_client(chance), in_session=names, last=last)


def suits(what):
    """No local mail, and nothing that makes Postfix write a bounce."""
    return not what.local and not LATER & set(what.in_session) and not set(fates.RARE) & set(what.in_session)


def script(postfix, chance):
    what = next(each for each in iter(lambda: job(chance), None) if suits(each))
    truth, begun = TimedTruth(), time.monotonic()
    try:
        with Script(postfix.address, what.client, truth) as session:
            plan.POSTFIX.play_session(what, session, chance)
    except Exception as failure:
        raise AssertionError(f"{what} did not go as written") from failure
    return Played(begun, time.monotonic(), truth, answers=session.smtp.answers)


def smtp_source(postfix, chance):
    """Postfix's own load generator: one message a session."""
    program = server_program("postfix", "usr/sbin/smtp-source")
    client, truth, begun = server.CLIENTS[0], TimedTruth(), time.monotonic()
    words = ["-s", 2, "-m", BATCH, "-l", 2000, "-M", "client.test", "-f", "sender@ext.test", "-t", server.USERS[0].address]
    run([program, *words, "%s:%d" % postfix.address], 2 * GENEROUS)
    recipients = [(server.USERS[0].address, "accepted")]
    for _ in range(BATCH):
        what = Transaction(client.source, null_sender=False, accepted=1, recipients=recipients, span=(0.0, GENEROUS))
        truth.transaction(what)
        truth.session(client.label, 0.0, GENEROUS, mail=True)
    truth.answered.clear()  # when each was answered, it does not tell
    return Played(begun, time.monotonic(), truth, sessions=BATCH)


class Client(threading.Thread):
    """Plays sessions until it is told to end."""

    def __init__(self, play, postfix, seed):
        super().__init__(name=f"client {seed}")
        self.play, self.postfix = play, postfix
        self.chance = random.Random(seed)
        self.ending = threading.Event()
        self.played, self.failure = [], None

    def run(self):
        try:
            while not self.ending.wait(self.chance.uniform(0, 2 * PAUSE)):
                self.played.append(self.play(self.postfix, random.Random(self.chance.random())))
        except BaseException as failure:
            self.failure = failure

    def end(self):
        self.ending.set()
        self.join()
