"""The collector's tally and its way to Redis, /metrics and --dump: what it counted goes on over stops, kills and reloads, under its own id, and
begins anew after a power failure; what it sees goes with it."""

import json
import signal
import subprocess

import pytest
from exporter import ask
from kit.metrics import number
from kit.programs import Collector, Exporter, Milterscope
from kit.servers import Redis
from kit.wait import GENEROUS, wait_until
from scope import site_in
from truth import metric

NOTICES = "milterscope_bounces_sent_total"
RUNS = 'milterscope_build_info{program="collector",version="0.1.0"}'
AWAY = "milterscope-collector does not run on this host"
RELOADED = 'milterscope_config_last_reload_successful{program="collector"}'
LOG = "log.json"  # what it counted, and up to where it read
BEFORE = {"id": "00000000000000070000000000000009", "boot": "another", "clean": True, "positions": {}, "totals": {NOTICES: 7}}


@pytest.fixture(scope="module")
def node(parts):
    """Redis, milterscope and exporter, and a collector that begins with 7 notices."""
    redis = parts.start(Redis(parts.folder))
    site = site_in(parts, "node", redis.url)
    log = site.folder.disk / "mail.log"  # not every host that this is run on has a journal
    log.touch()
    site.write(collector={"logs": [str(log)]})
    site.state_directory.joinpath(LOG).write_text(json.dumps(BEFORE))
    site.redis = redis
    site.milterscope = parts.start(Milterscope(site))
    site.exporter = parts.start(Exporter(site))
    site.collector = parts.start(Collector(site))
    return site


def shown(node, name):
    return node.exporter.metrics().values.get(name)


def wait_shown(node, **expected):
    names = {"notices": NOTICES, "runs": RUNS, "reloaded": RELOADED}
    wait_until(
        lambda: all(shown(node, names[name]) == value for name, value in expected.items()),
        lambda: f"{expected}; there is { {name: shown(node, names[name]) for name in expected} }",
    )


def in_redis(node, key, field):
    return node.redis.hash(node.key(key)).get(field)


def wait_in_redis(node, **expected):
    fields = {"notices": ("counters", NOTICES), "runs": ("gauges", RUNS), "id": ("meta", "node")}
    wait_until(
        lambda: all(in_redis(node, *fields[name]) == value for name, value in expected.items()),
        lambda: f"{expected} in Redis; there is { {name: in_redis(node, *fields[name]) for name in expected} }",
    )


def saved(node):
    return json.loads((node.state_directory / LOG).read_text())


def test_is_seen_everywhere(node):
    wait_shown(node, notices=7, runs=1, reloaded=1)
    wait_in_redis(node, notices="7", runs="1", id=BEFORE["id"])
    assert node.milterscope.dump().values[NOTICES] == 7
    now = saved(node)
    assert now == {**BEFORE, "clean": False, **{name: now[name] for name in ("boot", "positions", "memory")}}


def test_a_second_one_does_not_start(node):
    second = subprocess.run(node.collector.command(), capture_output=True, text=True, timeout=GENEROUS)
    assert second.returncode == 75
    assert f"held by process {node.collector.process.pid}" in second.stderr


def test_reload(node):
    node.collector.process.send(signal.SIGUSR1)
    wait_until(lambda: node.collector.logs()[0].read_text().count("collecting for instance") == 2, "it began anew")
    wait_shown(node, notices=7, runs=1, reloaded=1)
    sound = node.file.read_text()
    node.file.write_text("nothing: of this\n")
    node.collector.process.send(signal.SIGUSR1)
    wait_shown(node, notices=7, reloaded=0)
    node.file.write_text(sound)
    node.collector.process.send(signal.SIGUSR1)
    wait_shown(node, notices=7, runs=1, reloaded=1)


def test_kill(node):
    """Its gauges go with it; nobody reads a total as a reset."""
    node.collector.process.send(signal.SIGKILL)
    node.collector.process.popen.wait()
    wait_shown(node, notices=7, runs=None)
    wait_in_redis(node, notices="7", runs=None, id=BEFORE["id"])
    for path in ("/", "/readyz"):
        assert AWAY in ask(node.exporter, "GET", path).content.decode()
    node.collector.start()
    wait_shown(node, notices=7, runs=1)
    wait_in_redis(node, id=BEFORE["id"])
    assert AWAY not in ask(node.exporter, "GET", "/readyz").content.decode()


def test_failing(node):
    """What a collector cannot look at is named on the page, as long as it cannot."""
    sound = node.file.read_text()
    log = node.folder.disk / "closed.log"
    log.mkdir()
    words = "the collector fails at log, and its log says why"
    ready = lambda: ask(node.exporter, "GET", "/readyz").content.decode()  # noqa: E731
    node.write(collector={"logs": [str(log)]})
    node.collector.process.send(signal.SIGUSR1)
    wait_until(lambda: words in ready(), ready)
    assert words in ask(node.exporter, "GET", "/").content.decode()
    node.file.write_text(sound)
    node.collector.process.send(signal.SIGUSR1)
    wait_until(lambda: words not in ready(), ready)


def test_alone(own_parts):
    """A host with a collector and an exporter has something to show."""
    site = site_in(own_parts, "alone")
    exporter = own_parts.start(Exporter(site))
    assert ask(exporter, "GET", "/readyz").status == 503
    own_parts.start(Collector(site))
    wait_until(lambda: ask(exporter, "GET", "/readyz").status == 200, "the exporter is ready")
    assert "from the collector of this host alone." in ask(exporter, "GET", "/").content.decode()
    assert metric("load1") in exporter.metrics().values


def test_stop(node):
    assert node.collector.stop() == 0
    assert saved(node)["clean"] is True
    wait_shown(node, notices=7, runs=None)
    node.collector.start()
    wait_shown(node, notices=7, runs=1)


def test_power_failure(node):
    """What was counted since the last copy is not there any more: a new tally, which is a reset for whoever collects."""
    node.collector.process.send(signal.SIGKILL)
    node.collector.process.popen.wait()
    for name in (LOG, "node.tally"):
        (node.run_directory / name).unlink()
    wait_shown(node, notices=None, runs=None)
    wait_in_redis(node, notices=None, id="")
    node.collector.start()
    wait_shown(node, notices=0, runs=1)
    wait_until(lambda: number(in_redis(node, "counters", NOTICES) or "-1") == 0, "0 in Redis")
    assert in_redis(node, "meta", "node") not in ("", BEFORE["id"])


def test_damaged_tally(node):
    """Said once by the exporter; no value of it is shown, and the conversation's are."""
    path = node.run_directory / "node.tally"
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.unlink()
    path.write_bytes(data)
    wait_shown(node, notices=None)
    assert shown(node, "milterscope_push_total") > 0
    log = node.exporter.logs()[0].read_text()
    assert log.count("no tally of the collector: ") == 1 and "its header is damaged" in log
