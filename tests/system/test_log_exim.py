"""What a real Exim writes into its logs, against what became of the mail: one run with every fate, whose truth the test
keeps from the client's side, and --read-log's counts of it; with what Exim logs by default, and with all it can."""

import json
import os

import exim_mail
import pytest
from delivered import counts_of, lines_of, without_times, write_truth
from kit.exim import Exim
from kit.metrics import labels_of, name_of
from kit.programs import Collector, Milterscope
from kit.servers import Redis
from kit.sink import Silent, Sink
from kit.syslog import DeviceLog, Syslog
from kit.wait import wait_until
from log_play import SITE
from scope import site_in
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can read Exim's logs")

SELECTORS = {"default": "", "all": "log_selector = +all\n"}


def played(parts, name, settings, enter=()):
    hosts = {"sink": "127.0.0.1", **exim_mail.HANGING}
    sinks = {name: parts.start((Silent if name == "silent" else Sink)(host)) for name, host in hosts.items()}
    main, rest = exim_mail.configuration(sinks, settings)
    play = exim_mail.EximPlay(parts.start(Exim(parts.folder, main, rest, name, enter)))
    for step in exim_mail.STEPS:
        step(play)
    play.exim.stop()
    return play


@pytest.fixture(scope="module", params=SELECTORS)
def play(parts, request):
    return played(parts, request.param, SELECTORS[request.param])


@pytest.fixture(scope="module")
def site(parts):
    file = parts.folder.disk / "milterscope.yaml"
    file.write_text(json.dumps(SITE))
    return file


@pytest.fixture
def counted(play, site):
    return counts_of(play.log_file, site, "exim")


def test_everything_is_counted(play, counted):
    write_truth(play.expected, play.log_file)
    assert without_times(counted) == play.expected


def test_lines(play, counted):
    assert sum(lines_of(counted).values()) == len(play.log().splitlines())
    assert "unparsed" not in lines_of(counted)


def test_times(play, counted):
    """All was delivered at once, within a second or so: by the queue time where that is logged, else by the ID."""
    for to in ("local", "external"):
        n = play.expected[metric("deliveries_total", destination=to, status="sent")]
        observed = [
            value
            for series, value in counted.items()
            if name_of(series) == metric("delivery_seconds_bucket") and labels_of(series)["destination"] == to
        ]
        assert sum(observed) == n
        assert counted.get(metric("delivery_seconds_sum", destination=to), 0) <= 2 * n


def test_rejectlog(play, site):
    """The same refusals, and nothing else."""
    refusals = {series: n for series, n in play.expected.items() if "log_rejects" in series or "log_auth" in series}
    write_truth(refusals, play.exim.log("rejectlog"))
    assert without_times(counts_of(play.exim.log("rejectlog"), site, "exim")) == refusals


def test_paniclog(play, site):
    """All of it is a panic, and nothing of it a delivery."""
    counts = counts_of(play.exim.log("paniclog"), site, "exim")
    write_truth({}, play.exim.log("paniclog"))
    assert counts == {metric("log_problems_total", severity="panic"): 1, metric("log_lines_total", result="used"): 1}


def test_syslog(own_parts):
    """The same in syslog, where all logs are one, and headers of what is refused are lines."""
    folder = own_parts.folder.disk
    log = folder / "maillog"
    own_parts.start(Syslog(folder / "syslog", log))
    mounts = own_parts.start(DeviceLog(folder / "syslog"))
    play = played(own_parts, "exim", "log_file_path = {folder}/log/%slog : syslog\n", mounts.enter)
    (folder / "milterscope.yaml").write_text(json.dumps(SITE))
    counted = counts_of(log, folder / "milterscope.yaml", "exim")
    assert without_times(counted) == play.expected
    assert "unparsed" not in lines_of(counted)


def test_all_at_once(own_parts, play, request):
    """A collector that follows mainlog, rejectlog and paniclog: what stands in two is counted once."""
    name = request.node.name.replace("[", "_").rstrip("]")
    site = site_in(own_parts, name, own_parts.start(Redis(own_parts.folder)).url)
    logs = {name: site.folder.disk / name for name in ("mainlog", "rejectlog", "paniclog")}
    site.write(collector={"logs": [str(path) for path in logs.values()]}, mta={"kind": "exim"}, **SITE)
    milterscope = own_parts.start(Milterscope(site))
    own_parts.start(Collector(site))
    lines = 0
    for name, path in logs.items():  # all that is written to a log that was not there is read
        text = play.exim.log(name).read_text()
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)
        lines += text.count("\n")
    wait_until(lambda: sum(lines_of(milterscope.dump().counts()).values()) >= lines, f"{lines} lines are read")
    counts = {series: value for series, value in milterscope.dump().counts().items() if value}
    assert {series: counts.get(series, 0) for series in play.expected} == play.expected
    assert counts[metric("log_problems_total", severity="panic")] == 1
    assert "unparsed" not in lines_of(counts)
