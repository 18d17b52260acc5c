"""What the configuration leaves out is absent, in the tally's dump, in Redis and at /metrics; what can be seen is there at
0. What was counted once stays."""

import re
import signal

import pytest
from in_redis import counters
from kit.metrics import name_of
from kit.place import TOP
from kit.programs import Exporter
from kit.servers import Postfix
from kit.wait import wait_until
from mail import attached
from scope import Scope, site_in
from truth import metric

ROW = re.compile(r"^OBSERVABLE\((\w+), (\w+)\)", re.MULTILINE)
OF_THE_FILTER = (TOP / "conf/tables/metrics.def").read_text().split("\nSECTION(node)\n")[0]
ROWS = ROW.findall((TOP / "conf/tables/observable.def").read_text())
FAMILIES = {metric(name): part for part, name in ROWS if f"({name}, " in OF_THE_FILTER}
PARTS = set(FAMILIES.values())


@pytest.fixture(scope="module")
def site(parts, redis):
    site = site_in(parts, "node", redis.url, group=Postfix.account()["group"])
    site.scope = parts.start(Scope(site))
    site.exporter = parts.start(Exporter(site))
    return site


def shown(series):
    """The parts of the conversation whose counts are there, the whole of each."""
    names = {re.sub("_(bucket|sum|count)$", "", name_of(name)) for name in series} | {name_of(name) for name in series}
    parts = {FAMILIES[name] for name in names & FAMILIES.keys()}
    assert {name for name, part in FAMILIES.items() if part in parts} <= names
    return parts


def wait_shown(site, redis, expected):
    def everywhere():
        return {
            "dump": shown(site.scope.dump().values),
            "Redis": shown(counters(redis, site.scope)),
            "/metrics": shown(site.exporter.metrics().values),
        }

    wait_until(
        lambda: all(parts == expected for parts in everywhere().values()), lambda: f"{expected}: {everywhere()}"
    )


def configure(site, **spam):
    site.write(spam=spam)
    site.scope.process.send(signal.SIGUSR1)


def test_what_is_left_out_is_absent(site, redis, parts):
    wait_shown(site, redis, PARTS)
    configure(site, authserv_ids=[])
    wait_shown(site, redis, PARTS - {"auth_results"})
    configure(site, authserv_ids=["mx.example.test"])
    wait_shown(site, redis, PARTS)
    configure(site, scanner="none", authserv_ids=[])
    wait_shown(site, redis, PARTS - {"auth_results", "spam"})
    configure(site, scanner="milter")
    wait_shown(site, redis, PARTS - {"auth_results"})
    postfix = parts.start(Postfix(parts.folder, attached(site.milter_socket)))
    postfix.submit("-f", "alice@example.test", "bob@example.test", text="X-Spam-Flag: YES\n\nText.\n")
    site.scope.wait_value(1, "spam_verdicts_total", source="local", verdict="spam")
    configure(site, scanner="none")
    site.scope.wait_value(0, "observable", part="spam")
    missing = {metric("spam_score"), metric("infected_total")}  # nothing was counted there
    wait_until(
        lambda: {name for name in FAMILIES if not site.exporter.metrics().of(name)}
        == missing | {metric("auth_results_total")},
        "what was counted stays",
    )
    assert site.scope.value("spam_verdicts_total", source="local", verdict="spam") == 1
