"""Who does what, in which order: sessions of random length and fate, made from a seed, and played in parallel."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import fates
import local_fates
import mailserver as server
from script import Client, Script
from truth import Truth

PARALLEL = 8  # sessions at the same time
LOCAL_SHARE = 0.05
RARE_SHARE = 0.02
COMMON = ["passed", "passed_for_some", "rejected"]  # more of these
# A client that is refused gets no further than RCPT.
REFUSED_IN_SESSION = [
    "rejected",
    "rejected_and_data",
    "sender_refused",
    "rset_after_mail",
    "rset_after_rcpt",
    "ehlo_in_transaction",
    "declared_too_large",
]
REFUSED_LAST = ["quit_in_transaction", "gone_after_mail", "gone_after_rcpt", "nothing_said"]
WITHOUT_MAIL = ["declared_too_large", "unknown_command", "nothing_said"]
ONCE = ["too_large", "many_recipients"]  # a second each


@dataclass
class Job:
    """One SMTP session, or one local submission."""

    client: Client | None = None
    hello: bool = True
    in_session: list = field(default_factory=list)
    last: str = ""  # QUIT
    local: str = ""

    def fates(self):
        return [name for name in (*self.in_session, self.last, self.local) if name]

    def transactions(self):
        """At least so many."""
        return sum(name not in WITHOUT_MAIL for name in self.fates())


def every_fate():
    """Each fate at least once, for each kind of client."""
    for client in server.CLIENTS:
        yield Job(client, hello=False)
        yield Job(client, hello=False, last="nothing_said")
        yield from (Job(client, in_session=[name]) for name in fates.IN_SESSION)
        yield from (Job(client, last=name) for name in fates.LAST)
    for client in server.SPECIAL_CLIENTS:
        yield Job(client, last="nothing_said")
        yield Job(client, in_session=["passed", "unknown_command", "passed"], last="gone_in_body")
        yield Job(client, in_session=["rejected"], last="quit_in_transaction")
    for client in server.REFUSED_CLIENTS:
        yield from (Job(client, in_session=[name]) for name in REFUSED_IN_SESSION)
        yield from (Job(client, last=name) for name in REFUSED_LAST)
    yield from (Job(random_client(random.Random(name)), in_session=[name]) for name in fates.RARE)
    yield from (Job(local=name) for name in local_fates.LOCAL)


def random_client(chance):
    return chance.choice(server.CLIENTS if chance.random() < 0.8 else server.SPECIAL_CLIENTS)


def random_job(chance):
    if chance.random() < LOCAL_SHARE:
        return Job(local=chance.choice(list(local_fates.LOCAL)))
    refused = chance.random() < 0.05
    in_session = REFUSED_IN_SESSION if refused else [*fates.IN_SESSION, *COMMON * 3]
    last = REFUSED_LAST if refused else list(fates.LAST)
    names = [chance.choice(in_session) for _ in range(chance.randrange(6))]
    if chance.random() < RARE_SHARE and not refused:
        names.append(chance.choice([name for name in fates.RARE if name not in ONCE]))
    client = chance.choice(server.REFUSED_CLIENTS) if refused else random_client(chance)
    return Job(client, in_session=names, last=chance.choice(last) if chance.random() < 0.4 else "")


def make(transactions, seed):
    """Jobs that make about that many transactions, in random order."""
    chance = random.Random(seed)
    jobs = list(every_fate())
    count = sum(job.transactions() for job in jobs)
    while count < transactions:
        jobs.append(random_job(chance))
        count += jobs[-1].transactions()
    chance.shuffle(jobs)
    return jobs


def play_session(job, session, chance):
    session.greet()
    if job.hello:
        session.hello()
    for name in job.in_session:
        (fates.IN_SESSION | fates.RARE)[name](session, chance)
    if job.last:
        fates.LAST[job.last](session, chance)
    else:
        session.quit()


def play(job, postfix, chance):
    """Returns what it must have added."""
    truth = Truth()
    truth.fates.update(job.fates() or ["no mail"])
    try:
        if job.local:
            local_fates.LOCAL[job.local](postfix.submit, truth, chance)
        else:
            with Script(postfix.address, job.client, truth) as session:
                play_session(job, session, chance)
    except Exception as failure:
        raise AssertionError(f"{job} did not go as written") from failure
    return truth


def play_all(jobs, postfix, seed):
    """The whole truth. What a job chooses does not depend on when it is its turn."""
    truth = Truth()
    with ThreadPoolExecutor(PARALLEL) as workers:
        chances = (random.Random(f"{seed}/{number}") for number in range(len(jobs)))
        try:
            for part in workers.map(lambda job, chance: play(job, postfix, chance), jobs, chances):
                truth.merge(part)
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise
    return truth
