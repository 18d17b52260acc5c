"""/metrics before any traffic: what scrapers get is well-formed, in both formats, and every series is there from the
first scrape, so that the first event of a kind is an increase and not a series out of nowhere."""

import gzip
import itertools
import re
import subprocess
from decimal import Decimal

import pytest
from kit.metrics import PARTS, Metrics, labels_of, name_of, series_name, without
from kit.place import TOP, program, server_program
from kit.process import run
from kit.programs import Exporter, Milterscope, Site
from kit.servers import Postfix, Redis
from kit.wait import wait_until
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.utils import floatToGoString

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
# Of ourselves: these move with time alone.
MOVING = ("push_total", "push_seconds", "filter_busy_seconds_total")

# The catalogue: kind(name, writer, unit, labels, …).
ROW = re.compile(r"^(COUNTER|HISTOGRAM|GAUGE|INFO)\((\w+), \w+, (?:\w+, )?L\d(?:\(([\w, ]*)\))?", re.MULTILINE)
SET = re.compile(r'^SET\((\w+), "(\w+)"\)\n(.*?)^END', re.MULTILINE | re.DOTALL)
INCLUDE = re.compile(r'^#include "(.*)"\n', re.MULTILINE)
CODES = re.compile(r"^#define C\(id, text\) V\((\w+), id, text\)\n(.*?)^#undef C\n", re.MULTILINE | re.DOTALL)


def table(name):
    """A table of conf/tables with what it includes."""
    text = (TOP / "conf/tables" / name).read_text()
    text = INCLUDE.sub(lambda match: (TOP / match.group(1)).read_text(), text)
    return CODES.sub(lambda match: re.sub(r"^C\(", f"V({match.group(1)}, ", match.group(2), flags=re.MULTILINE), text)


def label_sets():
    """{set: (label, values)}"""
    rows = SET.findall(table("labels.def"))
    return {name: (label, re.findall(r'^V\(\w+, \w+, "(.*)"\)', body, re.MULTILINE)) for name, label, body in rows}


def catalogue():
    """Every (kind, metric, series without its parts) of counters and histograms that need no collector."""
    sets = label_sets()
    for kind, name, labels in ROW.findall(table("metrics.def").split("\nSECTION(node)\n")[0]):
        if kind in ("COUNTER", "HISTOGRAM"):
            used = [sets[word] for word in labels.split(", ") if word]
            for values in itertools.product(*(values for _, values in used)):
                pairs = dict(zip((label for label, _ in used), values, strict=True))
                yield kind, f"milterscope_{name}", series_name(f"milterscope_{name}", pairs)


@pytest.fixture(scope="module")
def site(parts):
    redis = parts.start(Redis(parts.folder))
    site = Site(parts.folder, redis.url, "format", Postfix.account()["group"])
    site.milterscope = parts.start(Milterscope(site))
    site.exporter = parts.start(Exporter(site))
    late = {"milterscope_filter_open_fds", "milterscope_last_push_timestamp_seconds"}
    wait_until(lambda: late <= site.exporter.metrics().values.keys(), "the gauges that are read every second are there")
    return site


def text(site, **headers):
    response = site.exporter.get("/metrics", **headers)
    assert response.status == 200
    return response.content.decode(), response


def check_with_promtool(text):
    promtool = server_program("prometheus", "usr/bin/promtool")
    command = [promtool, "check", "metrics"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_promtool_finds_nothing_wrong_with_the_scrape(site):
    content, response = text(site)
    assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    check_with_promtool(content)


def test_promtool_finds_nothing_wrong_with_the_dump(site):
    check_with_promtool(run([program("milterscope"), "-c", site.file, "--dump"]))


@pytest.mark.parametrize("accept", [OPENMETRICS, PROMETHEUS])
def test_the_parser_of_openmetrics_takes_it(site, accept):
    content, response = text(site, Accept=accept)
    assert response.getheader("Content-Type") == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert content.endswith("\n# EOF\n")
    families = list(text_string_to_metric_families(content))
    samples = [(sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples]
    assert len(samples) == len(set(samples)) > 200
    assert len(families) == len({family.name for family in families})


def test_both_formats_say_the_same(site):
    plain, openmetrics = Metrics(text(site)[0]), Metrics(text(site, Accept=OPENMETRICS)[0])
    assert plain.values.keys() == openmetrics.values.keys()
    # OpenMetrics names families without these endings.
    bare = {family.removesuffix("_total").removesuffix("_info"): words for family, words in plain.help.items()}
    assert bare == openmetrics.help
    still = {series for series in plain.counts() if not moves(series)}
    assert not [series for series in still if plain.values[series] != openmetrics.values[series]]


def moves(series):
    return name_of(series).removeprefix("milterscope_").startswith(MOVING)


def test_every_series_is_there_and_0_before_any_traffic(site):
    metrics = site.exporter.metrics()
    counts = metrics.counts()
    wholes = {without(series, "le") for series in counts}
    missing = []
    for kind, name, series in catalogue():
        parts = [name + part for part in PARTS[:2]] if kind == "HISTOGRAM" else [name]
        missing += [part for part in parts if series.replace(name, part, 1) not in wholes]
    assert not missing
    moved = {series: value for series, value in counts.items() if value != 0 and not moves(series)}
    assert not [series for series in moved if series.startswith("milterscope_")]


def test_every_series_is_in_the_catalogue(site):
    """And the other way round; families are described once, and named as Prometheus wants it."""
    metrics = site.exporter.metrics()
    known = {f"milterscope_{name}" for _, name, *_ in ROW.findall(table("metrics.def"))}
    families = {metrics.family(series) for series in metrics.values}
    assert {family for family in families if not family.startswith("process_")} <= known
    assert metrics.types.keys() == metrics.help.keys() == families
    series = {whole for _, _, whole in catalogue()}
    for name in metrics.counts():
        if name.startswith("milterscope_"):
            family = metrics.family(name)
            assert without(name, "le").replace(name_of(name), family, 1) in series


def test_buckets_are_named_as_openmetrics_writes_numbers(site):
    """Other texts for the same number would be other series after a change of format."""
    metrics = site.exporter.metrics()
    bounds = {labels_of(series)["le"] for series in metrics.values if name_of(series).endswith("_bucket")}
    assert {"1.0", "+Inf", "1e+06"} <= bounds
    assert [le for le in bounds if le != floatToGoString(float(le))] == []


def test_gzip_is_for_those_who_ask(site):
    plain, response = text(site)
    assert response.getheader("Content-Encoding") is None
    for wanted in ("gzip", "deflate, gzip;q=0.5"):
        packed = site.exporter.get("/metrics", Accept_Encoding=wanted)
        assert packed.getheader("Content-Encoding") == "gzip"
        unpacked = Metrics(gzip.decompress(packed.content).decode())
        assert unpacked.values.keys() ^ Metrics(plain).values.keys() == set()
        assert len(packed.content) < len(plain) / 4
    for refused in ("gzip;q=0", "identity", "br"):
        assert site.exporter.get("/metrics", Accept_Encoding=refused).getheader("Content-Encoding") is None


def test_values_are_whole_where_they_count(site):
    """Counts have no fraction: a reader that loses digits shows here."""
    for series, value in site.exporter.metrics().counts().items():
        if not name_of(series).endswith(("_sum", "_seconds_total")):
            assert value == int(value) and isinstance(value, Decimal)
