"""Scope fleet: one exporter for all instances that push to a Redis, up to what is hostile in it. Each test has a database of its own."""

import itertools
import subprocess
from decimal import Decimal

import pytest
from exporter import ask, exporter_in, log_of
from kit.metrics import Metrics, labels_of, name_of
from kit.place import TOP, program, server_program
from kit.resp import Resp
from kit.servers import Redis
from kit.simulated import Instance, catalogue, load_scripts, push
from kit.wait import wait_until
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from scope import site_in

INSTANCES = 200
PASSED = 'milterscope_messages_total{source="external",verdict="passed"}'
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
OTHER_ID = "f" * 32
NUMBERS = itertools.count(1)
# Of the exporter itself, or of Redis as a whole: without the label.
OWN = ("process_", "milterscope_up", "milterscope_data_source", "milterscope_scrape_", "milterscope_instances_ignored")


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder, "--databases", "64"))


@pytest.fixture(scope="module")
def real(parts, redis):
    """The fields of a real node: totals and gauges."""
    return catalogue(redis, site_in(parts, "real", redis.url))


class Fleet:
    """A database, an exporter of all that is in it, and pushes."""

    def __init__(self, parts, server, name, **changes):
        self.db = next(NUMBERS)
        self.url = f"{server.url}?db={self.db}"
        self.resp = parts.start(Resp(server.socket, self.db))
        self.scripts = load_scripts(self.resp)
        self.mark = Instance("mark", {PASSED: 0})
        settings = {"scope": "fleet"} | changes.pop("exporter", {})
        self.exporter = exporter_in(parts, f"{name}{self.db}", self.url, exporter=settings, **changes)

    def push(self, *instances):
        push(self.resp, self.scripts, instances)

    def metrics(self, **headers):
        return Metrics(self.text(**headers))

    def text(self, **headers):
        answer = self.exporter.get("/metrics", **headers)
        assert answer.status == 200
        return answer.content.decode()

    def wait(self, expected):
        """Until these series have these values; None: absent."""

        def reached():
            seen = self.metrics().values
            return seen if all(seen.get(series) == value for series, value in expected.items()) else None

        return wait_until(reached, lambda: f"{expected}; there is { {s: self.metrics().values.get(s) for s in expected} }")

    def now(self):
        return int(self.resp("TIME")[0])

    def refreshed(self):
        """All that is in Redis now has been read: two readings have begun since."""
        for _ in range(2):
            self.mark.totals[PASSED] += 1
            self.push(self.mark)
            seen = self.wait({of("mark", PASSED): self.mark.totals[PASSED]})
        return seen


@pytest.fixture
def fleet(request, own_parts, redis):
    return Fleet(own_parts, redis, request.node.originalname.removeprefix("test_"))


def of(instance, series):
    """The series of an instance: its label stands first."""
    name, _, labels = series.partition("{")
    return f'{name}{{instance="{instance}"' + (f",{labels}" if labels else "}")


def up(instance):
    return of(instance, "milterscope_instance_up")


def unknown(instance):
    return of(instance, "milterscope_unknown_series_total")


def last_push(instance):
    return of(instance, "milterscope_last_push_timestamp_seconds")


def check_with_promtool(text):
    command = [server_program("prometheus", "usr/bin/promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False, timeout=300)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def of_some(text, instances):
    """The scrape as it would be with these alone: what promtool takes grows with the square of a family."""
    names = {f'instance="{instance.name}"' for instance in instances}
    return "".join(line for line in text.splitlines(True) if 'instance="' not in line or any(name in line for name in names))


def check_with_parser(text):
    families = list(text_string_to_metric_families(text))
    samples = [(sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples]
    assert len(samples) == len(set(samples))
    assert len(families) == len({family.name for family in families})
    return len(samples)


# ---- many ----


def test_two_hundred_instances(own_parts, redis, real):
    """Each shows what it pushed, series by series, in both formats, and none is there twice."""
    fleet = Fleet(own_parts, redis, "many", redis={"push_interval": 1.0})
    totals, gauges = real
    assert len(totals) > 250 and len(gauges) > 10
    instances = []
    for i in range(INSTANCES):
        own = {field: f"{i * 1000 + n}.000000" if "." in value else i * 1000 + n for n, (field, value) in enumerate(totals.items())}
        instances.append(Instance(f"mx{i}.example", own, gauges, f"{i:032x}"))
    fleet.push(*instances)
    shown_up = lambda text: all(f"\n{up(instance.name)} 1\n" in text for instance in instances)  # noqa: E731
    wait_until(lambda: shown_up(fleet.text()), "all are up")  # reading them all as metrics takes seconds
    text, openmetrics = fleet.text(), fleet.text(Accept=OPENMETRICS)  # at once: gauges live for a minute
    metrics = Metrics(text)
    shown = {}
    for series, value in metrics.counts().items():
        instance = labels_of(series).get("instance")
        if instance and not series.startswith("milterscope_unknown_series"):
            shown.setdefault(instance, {})[series] = value
    for instance in instances:
        assert shown[instance.name] == {of(instance.name, series): Decimal(str(value)) for series, value in instance.totals.items()}
    here = {series for series in metrics.values if "instance=" not in series}
    assert all(series.startswith(OWN) or 'program="exporter"' in series for series in here)
    assert not [series for series in metrics.values.keys() - here if series.startswith(OWN) or 'program="exporter"' in series]
    assert all(list(labels_of(series))[0] == "instance" for series in metrics.values.keys() - here)
    assert all(list(labels_of(series))[-1] == "le" for series in metrics.values if name_of(series).endswith("_bucket"))
    for instance in instances:
        for series in gauges:
            assert of(instance.name, series) in metrics.values, series
    check_with_promtool(of_some(text, instances[:20]))
    assert Metrics(openmetrics).values.keys() == metrics.values.keys()
    assert check_with_parser(openmetrics) == len(metrics.values) > INSTANCES * 280
    page = ask(fleet.exporter, "GET", "/").content.decode()
    assert page.count("<td>up</td>") == INSTANCES


def test_no_instance(fleet):
    seen = fleet.wait({"milterscope_up": 1, 'milterscope_redis_up{program="exporter"}': 1, "milterscope_instances_ignored": 0})
    assert not [series for series in seen if "instance=" in series or name_of(series).endswith("_total") and "process" not in series]
    answer = ask(fleet.exporter, "GET", "/readyz")
    assert (answer.status, answer.content) == (200, b"ready: no instance has pushed to Redis\n")


def test_page_and_readiness(fleet):
    values = {PASSED: 41, 'milterscope_connections_total{client="local"}': 3, 'milterscope_connections_total{client="external"}': 4}
    fleet.push(Instance("mx1", values | {'milterscope_recipients_total{source="bounce",outcome="refused"}': 5}), Instance("mx2", values))
    fleet.wait({up("mx1"): 1, up("mx2"): 1})
    page = ask(fleet.exporter, "GET", "/").content.decode()
    assert "<title>milterscope: all instances</title>" in page
    assert "<tr><td>mx1</td><td>up</td><td>0 s ago</td><td>7</td><td>41</td><td>5</td></tr>" in page
    assert "<h2>Messages by source" not in page
    assert ask(fleet.exporter, "GET", "/readyz").content == b"ready\n"
    fleet.resp("HSET", "ms1:{mx2}:meta", "pushed_at", fleet.now() - 1000)
    fleet.wait({up("mx2"): 0})
    assert ask(fleet.exporter, "GET", "/readyz").content == b"ready: silent: 1 of 2 instances\n"
    assert "<tr><td>mx2</td><td><strong>silent</strong></td><td>100" in ask(fleet.exporter, "GET", "/").content.decode()


def test_once(fleet):
    fleet.push(Instance("mx1", {PASSED: 5}))
    command = [program("milterscope-exporter"), "-c", fleet.exporter.site.file, "--once"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert Metrics(done.stdout).values[of("mx1", PASSED)] == 5


def test_scope_needs_a_restart(fleet):
    fleet.push(Instance("mx1", {PASSED: 5}))
    fleet.exporter.site.write(exporter={"scope": "node"})
    fleet.exporter.process.send(10)
    wait_until(lambda: any("exporter.scope has changed and needs a restart" in line for line in log_of(fleet.exporter)), "that is said")
    fleet.wait({of("mx1", PASSED): 5})


# ---- silence ----


@pytest.mark.parametrize("where", ["meta", "index", "both"])
def test_silence_and_return(fleet, where):
    """After five minutes its values leave; that it is silent, and since when, stays."""
    instance = Instance("mx1", {PASSED: 100}, {"milterscope_sessions_active": 3})
    fleet.push(instance, Instance("mx2", {PASSED: 7}))
    fleet.wait({up("mx1"): 1, of("mx1", PASSED): 100, of("mx1", "milterscope_sessions_active"): 3})

    def pushed_before(seconds):
        at = fleet.now() - seconds
        if where != "index":
            fleet.resp("HSET", "ms1:{mx1}:meta", "pushed_at", f"{at}.000")
        if where != "meta":
            fleet.resp("ZADD", "ms1:instances", at, "mx1")
        return at

    at = pushed_before(280)
    fleet.wait({up("mx1"): 1, of("mx1", PASSED): 100} | ({last_push("mx1"): at} if where != "index" else {}))
    at = pushed_before(310)
    seen = fleet.wait({up("mx1"): 0, of("mx1", PASSED): None, of("mx1", "milterscope_sessions_active"): None, last_push("mx1"): at})
    assert (seen[up("mx2")], seen[of("mx2", PASSED)]) == (1, 7)
    assert {series for series in seen if 'instance="mx1"' in series} == {up("mx1"), last_push("mx1"), unknown("mx1")}
    at = pushed_before(6 * 24 * 3600)
    fleet.wait({up("mx1"): 0, last_push("mx1"): at})
    instance.totals[PASSED] = 90  # of an older state: what was shown is the floor, also after the silence
    fleet.push(instance)
    fleet.wait({up("mx1"): 1, of("mx1", PASSED): 100})
    instance.totals[PASSED] = 101
    fleet.push(instance)
    fleet.wait({of("mx1", PASSED): 101})


def test_instance_leaves_the_index(fleet):
    fleet.push(Instance("mx1", {PASSED: 100}), Instance("mx2", {PASSED: 7}))
    fleet.wait({of("mx1", PASSED): 100, of("mx2", PASSED): 7})
    fleet.resp("ZREM", "ms1:instances", "mx1")
    seen = fleet.wait({up("mx1"): None, up("mx2"): 1})
    assert not [series for series in seen if 'instance="mx1"' in series]


def test_clocks_of_hosts_do_not_matter(fleet):
    """Ages are told by Redis' clock alone; what a host says of its own is not shown as ours."""
    host = {"milterscope_last_push_timestamp_seconds": "915148800.000000"}
    fleet.push(Instance("past", {PASSED: 1}, host))
    fleet.push(Instance("future", {PASSED: 2}, {"milterscope_last_push_timestamp_seconds": "4102444800.000000"}))
    seen = fleet.wait({up("past"): 1, up("future"): 1})
    for name in ("past", "future"):
        assert abs(seen[last_push(name)] - fleet.now()) < 60


def test_clock_of_redis_steps_back(fleet):
    """After a failover the index may be dated in the future for a while: an instance that pushes is up, one that is dead is not."""
    ahead = fleet.now() + 3600
    fleet.push(Instance("alive", {PASSED: 1}), Instance("dead", {PASSED: 2}))
    fleet.resp("ZADD", "ms1:instances", ahead, "alive", ahead, "dead")
    fleet.resp("HSET", "ms1:{dead}:meta", "pushed_at", f"{ahead}.000")
    seen = fleet.wait({up("alive"): 1, of("alive", PASSED): 1, up("dead"): 0, of("dead", PASSED): None})
    assert abs(seen[last_push("alive")] - fleet.now()) < 60


# ---- never backwards ----


def test_never_backwards(fleet):
    """A hash that is lowered, replaced by an older one, emptied, lost with all of Redis."""
    bucket, total = 'milterscope_session_seconds_bucket{le="0.1"}', "milterscope_session_seconds_sum"
    instance = Instance("mx1", {PASSED: 100, bucket: 50, total: "12.500000"}, {"milterscope_sessions_active": 9})
    fleet.push(instance)
    floor = {of("mx1", PASSED): 100, of("mx1", bucket): 50, of("mx1", total): Decimal("12.5")}
    fleet.wait(floor | {of("mx1", "milterscope_sessions_active"): 9})
    fleet.resp("HSET", instance.key("counters"), PASSED, 60)
    seen = fleet.refreshed()
    assert {series: seen[series] for series in floor} == floor
    older = Instance("mx1", {PASSED: 10, bucket: 5, total: "1.000000"}, {"milterscope_sessions_active": 2})
    older.seq = instance.seq
    fleet.push(older)
    fleet.wait(floor | {of("mx1", "milterscope_sessions_active"): 2})
    fleet.resp("DEL", instance.key("counters"))
    fleet.wait({of("mx1", PASSED): None, up("mx1"): 1})
    fleet.resp("FLUSHDB")
    fleet.wait({up("mx1"): None})
    fleet.push(older)  # as a replica does that was behind
    fleet.wait(floor | {of("mx1", "milterscope_sessions_active"): 2})
    older.totals[PASSED] = 101
    fleet.push(older)
    fleet.wait({of("mx1", PASSED): 101, of("mx1", bucket): 50})


def test_a_new_tally_begins_anew(fleet):
    """Its id is another one: a reset, and shown as one; and each instance has its own floor."""
    fleet.push(Instance("mx1", {PASSED: 100}), Instance("mx2", {PASSED: 50}))
    fleet.wait({of("mx1", PASSED): 100, of("mx2", PASSED): 50})
    fleet.push(Instance("mx1", {PASSED: 5}, id=OTHER_ID))
    fleet.wait({of("mx1", PASSED): 5, of("mx2", PASSED): 50})
    again = Instance("mx1", {PASSED: 90})
    fleet.push(again)
    fleet.wait({of("mx1", PASSED): 100})


# ---- hostile ----

FIELDS = {
    b"": b"1",
    b"\0": b"1",
    PASSED.encode() + b"\0": b"1",
    b"milterscope_messages_total": b"1",
    b'milterscope_messages_total{source="external",verdict="pa"ssed"}': b"1",
    b'milterscope_messages_total{verdict="passed",source="external"}': b"1",
    b'milterscope_messages_total{source="martian",verdict="passed"}': b"1",
    b'milterscope_messages_total{instance="mx9",source="external",verdict="passed"}': b"1",
    b'x 1\n# EOF\nmilterscope_up{instance="x"} 1\n': b"1",
    b'milterscope_null_sender_total{source="\xff\xfe"}': b"1",
    b'milterscope_session_seconds_bucket{le="0.2"}': b"1",
    b"milterscope_session_seconds_count": b"1",
    b"milterscope_unknown_series_total": b"1",
    b"milterscope_up": b"1",
    b"process_cpu_seconds_total": b"1",
    b"x" * 100000: b"1",
    b'milterscope_connections_total{client="local"}': b"-1",
    b'milterscope_connections_total{client="internal"}': b"1e308",
    b'milterscope_connections_total{client="external"}': b"NaN",
    b'milterscope_recipients_total{source="local",outcome="refused"}': b"9223372036854775808",
    b'milterscope_recipients_total{source="local",outcome="accepted"}': b"1.5",
    b'milterscope_recipients_total{source="bounce",outcome="accepted"}': b"1\n2",
    b'milterscope_recipients_total{source="bounce",outcome="refused"}': b"0x10",
    b'milterscope_recipients_total{source="external",outcome="refused"}': b"\xff",
    b'milterscope_null_sender_total{source="local"}': b"",
    b"milterscope_session_seconds_sum": b"9" * 5000,
}


def test_hostile_fields(fleet):
    """Dropped and counted, each of them at each reading; what is right beside them is shown."""
    fleet.push(Instance("mx1", {PASSED: 100}, {"milterscope_sessions_active": 3}), Instance("mx2", {PASSED: 1}))
    fleet.resp("HSET", "ms1:{mx1}:counters", *[word for pair in FIELDS.items() for word in pair])
    seen = fleet.wait({of("mx1", PASSED): 100, of("mx2", PASSED): 1, unknown("mx2"): 0})
    first = wait_until(lambda: fleet.metrics().values[unknown("mx1")], "they are counted")
    assert first % len(FIELDS) == 0
    text = fleet.text()
    metrics = Metrics(text)
    assert metrics.values.keys() == seen.keys()
    zero = {series: value for series, value in metrics.counts().items() if 'instance="mx1"' in series and series not in (of("mx1", PASSED), unknown("mx1"))}
    assert len(zero) > 250 and set(zero.values()) == {0}
    assert "mx9" not in text and "martian" not in text
    check_with_promtool(text)
    check_with_parser(fleet.text(Accept=OPENMETRICS))


def test_hostile_gauges(fleet):
    """What the exporter says of itself is nobody else's to say."""
    hostile = {
        "milterscope_up": 0, "milterscope_instance_up": 0, "milterscope_unknown_series_total": 77, "milterscope_scrape_errors": 9,
        "process_open_fds": 1, 'milterscope_redis_up{program="exporter"}': 0, 'milterscope_data_source{source="tally"}': 1,
        'milterscope_build_info{program="exporter",version="0.1.0"}': 1, "milterscope_instances_ignored": 8, "milterscope_filter_up": "NaN",
        "milterscope_filter_open_fds": "1e3", 'milterscope_build_info{program="filter",version="\\"}': 1,
    }  # fmt: skip
    fleet.push(Instance("mx1", {PASSED: 1}, hostile | {"milterscope_sessions_active": -5, 'milterscope_redis_up{program="pusher"}': 1}))
    seen = fleet.wait({up("mx1"): 1, of("mx1", "milterscope_sessions_active"): -5, "milterscope_up": 1, "milterscope_scrape_errors": 0})
    assert seen[of("mx1", 'milterscope_redis_up{program="pusher"}')] == 1
    assert seen["milterscope_instances_ignored"] == 0
    gauges = {name_of(series) for series in seen if 'instance="mx1"' in series} - {metric for metric in map(name_of, Metrics(fleet.text()).counts())}
    assert {name for name in gauges if not name.endswith(("_count", "_bucket", "_sum"))} == {
        "milterscope_sessions_active", "milterscope_redis_up", "milterscope_instance_up", "milterscope_last_push_timestamp_seconds",
    }  # fmt: skip
    assert wait_until(lambda: fleet.metrics().values[unknown("mx1")], "they are counted") % len(hostile) == 0


def test_huge_numbers_stay_numbers(fleet):
    """The largest that a total can be, in all buckets: cumulated they would overflow."""
    most = 2**63 - 1
    buckets = {f'milterscope_session_seconds_bucket{{le="{le}"}}': most for le in ("0.01", "0.05", "1.0", "+Inf")}
    fleet.push(Instance("mx1", buckets | {PASSED: most}))
    fleet.wait({of("mx1", PASSED): most, of("mx1", "milterscope_session_seconds_count"): most})
    fleet.metrics().counts()
    check_with_promtool(fleet.text())


NAMES = [b"", b"a b", b'a"b', b"a\nb", b"a\0b", b"\xff\xfe", b"x" * 65, b"x" * 100000, b"a{b}", b"../a", "ä".encode()]


def test_hostile_names(fleet):
    fleet.push(Instance("mx1", {PASSED: 1}), Instance("x" * 64, {PASSED: 2}), Instance("A.b_c-9", {PASSED: 3}))
    fleet.resp("ZADD", "ms1:instances", *[word for name in NAMES for word in (fleet.now(), name)])
    seen = fleet.wait({"milterscope_instances_ignored": len(NAMES), of("x" * 64, PASSED): 2, of("A.b_c-9", PASSED): 3, of("mx1", PASSED): 1})
    assert {labels_of(series)["instance"] for series in seen if "instance=" in series} == {"mx1", "x" * 64, "A.b_c-9"}
    assert len([line for line in log_of(fleet.exporter) if "are no names of instances" in line]) == 1
    check_with_promtool(fleet.text())
    assert b"ignored: 11 members" in ask(fleet.exporter, "GET", "/readyz").content


@pytest.mark.parametrize("time", ["inf", "-inf", "1e308", "-1", "1e18"])
def test_hostile_times(fleet, time):
    """In the index, where what the instance says itself counts; and there, where the index counts, without values."""
    fleet.push(Instance("mx1", {PASSED: 1}), Instance("mx2", {PASSED: 2}))
    fleet.resp("ZADD", "ms1:instances", "inf" if time.startswith("-") else time, "mx1")
    fleet.resp("HSET", "ms1:{mx2}:meta", "pushed_at", time)
    seen = fleet.refreshed()
    assert (seen[up("mx1")], seen[of("mx1", PASSED)]) == (1, 1)
    assert seen[up("mx2")] == 1 and of("mx2", PASSED) not in seen
    assert all(abs(seen[last_push(name)] - fleet.now()) < 60 for name in ("mx1", "mx2"))
    fleet.resp("HSET", "ms1:{mx1}:meta", "pushed_at", "9223372036853.999999")
    fleet.wait({up("mx1"): 0, of("mx1", PASSED): None})


def test_more_instances_than_are_shown(fleet):
    """The newest thousand; the others are counted."""
    now = fleet.now()
    fleet.resp("ZADD", "ms1:instances", *[word for i in range(1500) for word in (now - 1500 + i, f"n{i}")])
    fleet.push(Instance("mx1", {PASSED: 1}))
    seen = fleet.wait({"milterscope_instances_ignored": 501, of("mx1", PASSED): 1})
    assert len([series for series in seen if series.startswith("milterscope_instance_up")]) == 1000
    assert up("n1499") in seen and up("n500") not in seen
    fleet.resp("ZREM", "ms1:instances", *[f"n{i}" for i in range(1000, 1500)])
    fleet.wait({"milterscope_instances_ignored": 1, of("mx1", PASSED): 1, up("n1"): 0, up("n0"): None, up("n1499"): None})


@pytest.mark.parametrize("kind", ["counters", "gauges", "meta"])
def test_key_of_another_type(fleet, kind):
    """That instance is left out, and said; the others are shown. The key is left alone."""
    fleet.push(Instance("mx1", {PASSED: 1}), Instance("mx2", {PASSED: 2}), Instance("mx3", {PASSED: 3}))
    fleet.wait({of("mx2", PASSED): 2})
    fleet.resp("DEL", f"ms1:{{mx2}}:{kind}")
    fleet.resp("SET", f"ms1:{{mx2}}:{kind}", "x")
    fleet.wait({of("mx1", PASSED): 1, of("mx2", PASSED): None, of("mx3", PASSED): 3, "milterscope_scrape_errors": 1, "milterscope_up": 1})
    assert fleet.resp("GET", f"ms1:{{mx2}}:{kind}") == b"x"
    assert b"cannot be read: 1 instances, the first is mx2: " in ask(fleet.exporter, "GET", "/readyz").content
    assert len([line for line in log_of(fleet.exporter) if "cannot be read and is left out: mx2" in line]) == 1


def test_very_many_fields(fleet):
    """A hash of a million fields is not read, and does not stand in the way of the others."""
    fleet.push(Instance("mx1", {PASSED: 1}), Instance("mx2", {PASSED: 2}))
    for begin in range(0, 1_200_000, 100_000):
        fleet.resp("HSET", "ms1:{mx2}:counters", *[word for i in range(begin, begin + 100_000) for word in (f"f{i}", "1")])
    seen = fleet.wait({of("mx1", PASSED): 1, of("mx2", PASSED): None, "milterscope_scrape_errors": 1})
    assert seen[unknown("mx2")] > 1_000_000


# ---- Redis ----


def test_redis_goes_and_comes_back(own_parts):
    folder = site_in(own_parts, "gone", "unix:///none").folder
    redis = own_parts.start(Redis(folder, "--databases", "64", "--appendonly", "yes"))
    fleet = Fleet(own_parts, redis, "away")
    fleet.push(Instance("mx1", {PASSED: 1}))
    fleet.wait({of("mx1", PASSED): 1})
    redis.stop()
    seen = fleet.wait({"milterscope_up": 0, 'milterscope_redis_up{program="exporter"}': 0, "milterscope_scrape_errors": 1})
    assert not [series for series in seen if "instance=" in series]
    assert ask(fleet.exporter, "GET", "/readyz").status == 503
    redis.start()
    fleet.wait({of("mx1", PASSED): 1, "milterscope_up": 1})


def test_rights_of_the_manual_suffice(own_parts, redis):
    """And are all that is used; +select is for the database."""
    page = (TOP / "conf/man/milterscope.8").read_text().split(".Cm exporter.scope", 1)[1].split(".Pp", 1)[0]
    rights = " ".join(line.removeprefix(".Li ").rstrip(" ,.") for line in page.splitlines() if line.startswith(".Li ")).split()
    assert {"~ms1:*", "+zrevrange", "+hgetall"} <= set(rights)
    password = own_parts.folder.disk / "password"
    password.write_text("secret\n")
    redis.command("ACL", "SETUSER", "fleet", "on", ">secret", "+select", *[right for right in rights if right[0] in "~+"])
    fleet = Fleet(own_parts, redis, "rights", redis={"user": "fleet", "password_file": str(password)})
    fleet.push(Instance("mx1", {PASSED: 5}))
    fleet.wait({of("mx1", PASSED): 5})


def test_slow_commands_are_not_used(redis):
    """After all of the above."""
    used = {line.split(":")[0] for line in redis.command("INFO", "commandstats")}
    assert {"cmdstat_zrevrange", "cmdstat_hgetall"} <= used
    assert not used & {"cmdstat_keys", "cmdstat_scan", "cmdstat_hscan", "cmdstat_zscan", "cmdstat_sscan"}
