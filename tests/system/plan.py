"""Who does what, in which order: sessions of random length and fate, made from a seed, and played in parallel."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import fates
import local_fates
import mailserver
from parties import Client
from script import Script
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


@dataclass
class Repertoire:
    """A mail server, and what can become of mail there: functions by name, as in fates.py and local_fates.py."""

    server: object
    in_session: dict
    last: dict
    rare: dict
    local: dict

    def every_fate(self):
        """Each fate at least once, for each kind of client."""
        for client in self.server.CLIENTS:
            yield Job(client, hello=False)
            yield Job(client, hello=False, last="nothing_said")
            yield from (Job(client, in_session=[name]) for name in self.in_session)
            yield from (Job(client, last=name) for name in self.last)
        for client in self.server.SPECIAL_CLIENTS:
            yield Job(client, last="nothing_said")
            yield Job(client, in_session=["passed", "unknown_command", "passed"], last="gone_in_body")
            yield Job(client, in_session=["rejected"], last="quit_in_transaction")
        for client in self.server.REFUSED_CLIENTS:
            yield from (Job(client, in_session=[name]) for name in REFUSED_IN_SESSION)
            yield from (Job(client, last=name) for name in REFUSED_LAST)
        yield from (Job(self.random_client(random.Random(name)), in_session=[name]) for name in self.rare)
        yield from (Job(local=name) for name in self.local)

    def random_client(self, chance):
        usual = chance.random() < 0.8 or not self.server.SPECIAL_CLIENTS
        return chance.choice(self.server.CLIENTS if usual else self.server.SPECIAL_CLIENTS)

    def random_job(self, chance):
        if chance.random() < LOCAL_SHARE:
            return Job(local=chance.choice(list(self.local)))
        refused = chance.random() < 0.05 and self.server.REFUSED_CLIENTS
        in_session = REFUSED_IN_SESSION if refused else [*self.in_session, *COMMON * 3]
        last = REFUSED_LAST if refused else list(self.last)
        names = [chance.choice(in_session) for _ in range(chance.randrange(6))]
        if chance.random() < RARE_SHARE and not refused:
            names.append(chance.choice([name for name in self.rare if name not in ONCE]))
        client = chance.choice(self.server.REFUSED_CLIENTS) if refused else self.random_client(chance)
        return Job(client, in_session=names, last=chance.choice(last) if chance.random() < 0.4 else "")

    def make(self, transactions, seed):
        """Jobs that make about that many transactions, in random order."""
        chance = random.Random(seed)
        jobs = list(self.every_fate())
        count = sum(job.transactions() for job in jobs)
        while count < transactions:
            jobs.append(self.random_job(chance))
            count += jobs[-1].transactions()
        chance.shuffle(jobs)
        return jobs

    def play_session(self, job, session, chance):
        session.greet()
        if job.hello:
            session.hello()
        for name in job.in_session:
            (self.in_session | self.rare)[name](session, chance)
        if job.last:
            self.last[job.last](session, chance)
        else:
            session.quit()

    def play(self, job, mta, chance):
        """Returns what it must have added."""
        truth = Truth()
        truth.fates.update(job.fates() or ["no mail"])
        try:
            if job.local:
                self.local[job.local](mta, truth, chance)
            else:
                with Script(mta.address, job.client, truth, self.server) as session:
                    self.play_session(job, session, chance)
        except Exception as failure:
            raise AssertionError(f"{job} did not go as written") from failure
        return truth

    def play_all(self, jobs, mta, seed, prepare=None):
        """The whole truth. What a job chooses does not depend on when it is its turn. `prepare`: called in each thread that
        plays."""
        truth = Truth()
        with ThreadPoolExecutor(PARALLEL, initializer=prepare) as workers:
            chances = (random.Random(f"{seed}/{number}") for number in range(len(jobs)))
            try:
                for part in workers.map(lambda job, chance: self.play(job, mta, chance), jobs, chances):
                    truth.merge(part)
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise
        return truth


POSTFIX = Repertoire(mailserver, fates.IN_SESSION, fates.LAST, fates.RARE, local_fates.LOCAL)
