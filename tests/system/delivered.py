"""What --read-log says of a delivery log."""

from kit.metrics import Metrics, labels_of, name_of
from kit.place import program
from kit.process import run
from truth import metric

TIMES = ("delivery_seconds", "delivery_stage_seconds", "log_lines_total", "log_problems_total")


def read_log(log, configuration, kind="postfix"):
    """The command."""
    return [program("milterscope-collector"), "-c", str(configuration), "--mta", kind, "--read-log", str(log)]


def counts_of(log, configuration, kind="postfix"):
    """{series: value} of all that the log says something of."""
    found = Metrics(run(read_log(log, configuration, kind))).counts()
    return {series: value for series, value in found.items() if value}


def without_times(counts):
    """Without times, and without what Postfix may say more or less of in another run."""
    names = tuple(map(metric, TIMES))
    return {series: value for series, value in counts.items() if not name_of(series).startswith(names)}


def lines_of(counts):
    return {labels_of(series)["result"]: value for series, value in counts.items() if "log_lines_total" in series}


def write_truth(truth, log):
    """Beside the log, in the form of tests/data/*.counts."""
    text = "".join(f"{series} {value}\n" for series, value in sorted(truth.items()) if value)
    log.with_suffix(".counts").write_text(text)
