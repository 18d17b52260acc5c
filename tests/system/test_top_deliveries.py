"""Open sets of deliveries: whom a real Postfix cannot deliver to and why, and who refuses it, at /api/v1/top and on the page; each attempt
once, whoever is killed."""

import signal
from collections import Counter
from types import SimpleNamespace

import pytest
from exporter import ask
from kit.programs import Collector
from kit.servers import Postfix, Redis
from kit.sink import Sink
from kit.wait import wait_until
from log_play import Play
from mailserver import inline
from test_top import started, wait_rows
from truth import metric

OUTSIDE = "127.0.0.5"
DOMAINS = ["mx.one.co.uk", "two.example", "local.test"]
# By the local part: the class, and whether the sink refuses us for good; None: it is not us whom it refuses.
FATES = {"later": ("greylisted", None), "noname": ("no_rdns", 0), "listed": ("blocklisted", 1), "gone": ("user_unknown", None)}
PLAN = ["later@mx.one.co.uk", "later@MX.one.co.uk", "noname@mx.one.co.uk", "noname@two.example", "listed@two.example", "gone@two.example"]
DEFERRED = {"later": "greylisted", "noname": "no_rdns"}


@pytest.fixture
def sender(own_parts):
    """A Postfix whose mail goes to a sink."""
    sink = own_parts.start(Sink(OUTSIDE))
    transports = {domain: f"smtp:[{OUTSIDE}]:{sink.port}" for domain in DOMAINS}
    settings = {
        "transport_maps": inline({name.lower(): to for name, to in transports.items()}),
        "relay_domains": " ".join(transports),
        "minimal_backoff_time": "1h",  # tried once
        "maximal_backoff_time": "1h",
    }
    return own_parts.start(Postfix(own_parts.folder, settings))


def play(postfix, times):
    """Sends the plan so often; returns how often what is to be seen in each set."""
    deferred, refusing = Counter(), {}
    for recipient in PLAN * times:
        Play(postfix.address).mail(recipient, sender="")
        user, domain = recipient.lower().split("@")
        name, for_good = FATES[user]
        if user in DEFERRED:
            deferred[f"{domain.removeprefix('mx.')} {name}"] += 1
        if for_good is not None:
            attempts, refused = refusing.get(f"{OUTSIDE} {name}", (0, 0))
            refusing[f"{OUTSIDE} {name}"] = (attempts + 1, refused + for_good)
    return (
        {member: (0, attempts, 0, 0) for member, attempts in deferred.items()},
        {member: (0, attempts, refused, 0) for member, (attempts, refused) in refusing.items()},
    )


def plus(one, other):
    return {member: tuple(map(sum, zip(one[member], other[member]))) for member in one}


def settings_of(postfix):
    return {
        "mta": {"kind": "postfix"},
        "trusted_networks": ["10.0.0.0/8"],
        "collector": {"logs": [str(postfix.folder / "maillog")]},
    }


def collecting(parts, node):
    """A collector that reads the log from here on."""
    collector = parts.start(Collector(node.site))
    seen = metric("observable", part="delivery_log")
    wait_until(lambda: node.scope.dump().values.get(seen) == 1, "the log is read")
    return collector


def test_deferred_and_refusing(own_parts, sender, redis):
    """Seen in Redis' top lists; the collector killed and begun anew, the pusher killed: each attempt is there once."""
    node = started(own_parts, "top_deliveries", redis, sets=["deferred_domain", "refusing_provider"], **settings_of(sender))
    collector = collecting(own_parts, node)
    first = play(sender, 2)
    for name, expected in zip(("deferred_domain", "refusing_provider"), first):
        wait_rows(node.exporter, name, expected)
    collector.process.send(signal.SIGKILL)
    collector.process.popen.wait()
    second = play(sender, 1)
    collector.start()
    node.scope.wait_child("pusher", node.scope.signal_child("pusher", signal.SIGKILL))
    for name, one, other in zip(("deferred_domain", "refusing_provider"), first, second):
        wait_rows(node.exporter, name, plus(one, other))
    page = ask(node.exporter, "GET", "/").content.decode()
    assert "<td><bdi>one.co.uk greylisted</bdi></td><td>6</td><td class=zero>0</td>" in page
    assert f"<td><bdi>{OUTSIDE} blocklisted</bdi></td><td>3</td><td>3</td>" in page


def test_stopped(own_parts, sender, redis):
    """What was read last is handed over by a collector that is stopped; nobody else would before it is started again."""
    node = started(own_parts, "top_deliveries_stopped", redis, sets=["deferred_domain"], **settings_of(sender))
    collector = collecting(own_parts, node)
    deferred = metric("deliveries_total", destination="external", status="deferred")
    handed = node.site.run_directory / "node.sets"
    wait_until(handed.exists, "the sets of the beginning are handed over")  # the next are in five seconds
    expected, _ = play(sender, 1)
    wait_until(lambda: node.scope.dump().values.get(deferred) == len(PLAN) - 2, "all are read", interval=0.1)
    assert collector.stop() == 0
    wait_rows(node.exporter, "deferred_domain", expected)


def test_redis_away(own_parts, sender):
    """What fails while Redis is away is there when it is back."""
    folder = SimpleNamespace(disk=own_parts.folder.disk / "away_redis")
    folder.disk.mkdir()
    redis = own_parts.start(Redis(folder))
    node = started(own_parts, "top_deliveries_away", redis, sets=["deferred_domain"], **settings_of(sender))
    collecting(own_parts, node)
    first, _ = play(sender, 1)
    wait_rows(node.exporter, "deferred_domain", first)
    redis.stop()
    second, _ = play(sender, 1)
    redis.start()
    wait_rows(node.exporter, "deferred_domain", plus(first, second))
