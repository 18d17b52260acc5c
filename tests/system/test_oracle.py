"""The oracle: thousands of mails of every fate through a real Postfix, and the truth about each kept beside them. The
tally, Redis and /metrics must say exactly that, series by series, and nothing else may have moved.

ORACLE_TRANSACTIONS (3000) and ORACLE_SEED (random) choose what is played."""

import os
import signal

import mailserver
import plan
import pytest
from kit.programs import Exporter, Milterscope, Site
from kit.sasl import Accounts
from kit.servers import Postfix, Redis
from kit.tls import certificate
from kit.wait import wait_until
from oracle import SETTLE, Counted, differences, play_and_compare, settled, time_differences
from script import Script
from truth import OWN_DOMAINS, Seen, Truth, metric

TRANSACTIONS = int(os.environ.get("ORACLE_TRANSACTIONS", "3000"))


@pytest.fixture(scope="module")
def site(parts):
    redis = parts.start(Redis(parts.folder))
    site = Site(parts.folder, redis.url, "oracle", Postfix.account()["group"], **mailserver.SITE)
    site.redis = redis
    site.milterscope = parts.start(Milterscope(site))
    accounts = parts.start(Accounts(parts.folder))
    settings = mailserver.settings(f"unix:{site.milter_socket}") | accounts.settings | certificate(parts.folder)
    site.mta = parts.start(Postfix(parts.folder, settings))
    site.exporter = parts.start(Exporter(site))
    return site


def test_the_truth(site):
    coverage = {"mta": "postfix", "rejected_recipients": "all", "place": "unknown", "bounces": "yes"}
    play_and_compare(site, plan.POSTFIX, TRANSACTIONS, coverage)


def message(session):
    session.hello()
    session.mail()
    session.rcpt(mailserver.USERS[0])
    session.data()
    session.message("Subject: a test\n\nThe body.\n", Seen())
    session.quit()


def test_sessions_beyond_the_limit(site, parts):
    """They pass unobserved: mail flows, and one counter says how many there were."""
    site.write(milter={"max_sessions": 2})
    site.milterscope.process.send(signal.SIGUSR1)
    limited = "sessions_limit differs from the truth: not 2 after a reload"
    wait_until(lambda: site.milterscope.dump().values.get(metric("sessions_limit")) == 2, limited, SETTLE)
    postfix = parts.start(Postfix(parts.folder, mailserver.settings(f"unix:{site.milter_socket}"), "postfix-limit"))
    before, truth, client = settled(site.milterscope), Truth(), mailserver.CLIENTS[0]
    with Script(postfix.address, client, truth) as first, Script(postfix.address, client, truth) as second:
        first.greet()
        second.greet()
        for _ in range(3):
            with Script(postfix.address, client, Truth()) as unobserved:
                unobserved.greet()
                message(unobserved)
        message(first)
        message(second)
    truth.add("sessions_unobserved_total", 3)
    # Both have left: there is room again.
    settled(site.milterscope)
    with Script(postfix.address, client, truth) as third:
        third.greet()
        message(third)
    counted = Counted("tally", settled(site.milterscope).counts(), before.counts())
    lines = differences(truth, counted)[0] + time_differences(truth, counted)
    assert not lines, "\n".join(lines)
