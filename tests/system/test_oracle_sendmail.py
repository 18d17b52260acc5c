"""The oracle of test_oracle.py with a real sendmail, which shows less: mail of every fate that it knows, and the tally, Redis
and /metrics must say exactly what the filter was shown.

ORACLE_TRANSACTIONS (1500) and ORACLE_SEED (random) choose what is played."""

import os

import pytest
import sendmailserver as server
from kit.metrics import labels_of, name_of
from kit.names import Names
from kit.network import Network
from kit.programs import Exporter, Milterscope
from kit.sendmail import Sendmail, encryption
from oracle import play_and_compare
from scope import site_in
from sendmail_fates import SENDMAIL
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")

TRANSACTIONS = int(os.environ.get("ORACLE_TRANSACTIONS", "1500"))
COVERAGE = {"mta": "sendmail", "rejected_recipients": "late", "place": "unknown", "bounces": "no"}


@pytest.fixture(scope="module")
def site(parts, redis):
    network = parts.start(Network())
    lines = server.LINES + encryption(parts.folder) + server.SNIPPET + server.RULESETS
    parts.start(Names(network, server.ADDRESSES, server.POINTERS, [server.UNRESOLVED]))
    mta = Sendmail(parts.folder, network, lines, tables=server.TABLES, users=server.PASSWORDS, dns=True)
    site = site_in(parts, "oracle", redis.url, mta.socket_folder / "milter.sock", **server.SITE)
    site.redis, site.mta = redis, mta
    site.milterscope = parts.start(Milterscope(site))
    parts.start(mta)
    site.exporter = parts.start(Exporter(site))
    return site


def reasons(series):
    """The classes and codes of refusals that are there."""
    families = (metric("rejects_total"), metric("reject_codes_total"))
    labels = [labels_of(name) for name in series if name_of(name) in families]
    return {each.get("class") or each["code"] for each in labels}


def test_the_truth(site):
    dump = play_and_compare(site, SENDMAIL, TRANSACTIONS, COVERAGE, {"early_refusals"}, site.mta.network.join)
    places = (dump.values, site.redis.hash(site.key("counters")), site.exporter.metrics().values)
    assert [reasons(series) for series in places] == [{"user_unknown", "5.1.1"}] * 3  # and none of those that are hidden
