"""What a real Exim writes into its logs, against what became of the mail: one run with every fate, whose truth the test keeps from the
client's side, and --read-log's counts of it; with what Exim logs by default, and with all that it can."""

import json

import exim_mail
import pytest
from delivered import counts_of, lines_of, without_times, write_truth
from kit.exim import Exim
from kit.metrics import labels_of, name_of
from kit.sink import Sink
from log_play import SITE
from truth import metric

SELECTORS = {"default": "", "all": "log_selector = +all\n"}


@pytest.fixture(scope="module", params=SELECTORS)
def play(parts, request):
    sink = parts.start(Sink("127.0.0.1"))
    main, rest = exim_mail.configuration(sink, SELECTORS[request.param])
    play = exim_mail.EximPlay(parts.start(Exim(parts.folder, main, rest, request.param)))
    for step in exim_mail.STEPS:
        step(play)
    play.exim.stop()
    return play


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
    """All was delivered at once, within a second or so: by the queue time where that is logged, else by the message's ID."""
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
    assert without_times(counts_of(play.exim.log("rejectlog"), site, "exim")) == refusals
