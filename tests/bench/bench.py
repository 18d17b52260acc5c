#!/usr/bin/python3
"""make bench: what milterscope costs, measured, and judged against its bounds.

(1) mail through a real Postfix, (2) the milter protocol alone, (3) both with everything that can be switched on, (4) the
price of each event, macro and header, (5) what Redis gets, (6) many instances at one Redis,
(7) a pass over the queues of Postfix, (8) reading its delivery log. A criterion passes when its
estimate is within the bound; the 95 % interval beside it says how far to trust that ("unsure": not at all, the machine
was busy with other things; run it alone). Figures go to standard output and to build/bench/results.json; the exit
status is 1 if a criterion fails. What the filter is compared with is a milter on the same library that negotiates
the same steps and does nothing (bare.c).

--self-test compares that one with a second instance of itself: the ratios must be 1, within 3 %. It tests the bench.
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.place import BUILD, Folder  # noqa: E402
from kit.servers import Redis  # noqa: E402
from kit.wait import TooLate  # noqa: E402

import fleet  # noqa: E402
import logs  # noqa: E402
import prices  # noqa: E402
import protocol  # noqa: E402
import queues  # noqa: E402
import smtp  # noqa: E402
import stats  # noqa: E402
import traffic  # noqa: E402
from milters import EVERYTHING, Bare, Full  # noqa: E402
from report import Report  # noqa: E402

PARTS = ("smtp", "protocol", "everything", "prices", "redis", "fleet", "queues", "logs")


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="\r", file=sys.stderr, flush=True)


def bench_smtp(report, options, folder, subject, bare, prefix=""):
    milters = {"none": None, "bare": bare, subject.name: subject}
    enough = stats.Enough(options.rounds, 0.015, options.limit)

    def rate(rates):
        return stats.ratio(rates[subject.name], rates["bare"])

    rates = smtp.measure(
        folder, milters, options.messages, lambda r: enough(len(r["bare"]), lambda: rate(r)), progress
    )
    report.keep(prefix + "smtp", rates)
    report.heading(f"Mail through Postfix, messages a second ({len(rates['bare'])} rounds, {smtp.SESSIONS} sessions)")
    report.row("", "median", "lowest", "highest")
    for variant, values in rates.items():
        report.row(variant, *(f"{value:.0f}" for value in stats.summary(values)))
    report.ratios()
    report.ratio("bare / none", stats.ratio(rates["bare"], rates["none"]))
    report.ratio(f"{subject.name} / bare", rate(rates), prefix + "smtp_rate")


def bench_protocol(report, options, subject, bare, prefix=""):
    milters = {"bare": bare, subject.name: subject}
    enough = stats.Enough(options.rounds, 0.02, options.limit)

    def rate(figures):
        return stats.ratio(*([r["transactions_per_second"] for r in figures[v]] for v in (subject.name, "bare")))

    def cpu(figures):
        return stats.ratio(*([r["cpu_us"] for r in figures[v]] for v in (subject.name, "bare")))

    figures = protocol.measure(
        milters, options.transactions, lambda f: enough(len(f["bare"]), lambda: rate(f), lambda: cpu(f)), progress
    )
    report.keep(prefix + "protocol", figures)
    rounds = len(figures["bare"])
    report.heading(f"The milter protocol alone ({rounds} rounds of {options.transactions} messages; medians)")
    report.row("", "per second", "CPU us each", "helpers us", "p50 us", "p99 us", "p99.9 us")
    for variant, runs in figures.items():
        columns = [[r[name] for r in runs] for name in ("transactions_per_second", "cpu_us", "helpers_cpu_us")]
        columns += [[r["latency_us"][quantile] for r in runs] for quantile in ("p50", "p99", "p99.9")]
        report.row(variant, *(f"{stats.summary(column)[0]:.1f}" for column in columns))
    report.ratios()
    report.ratio(f"messages a second, {subject.name} / bare", rate(figures), prefix + "protocol_rate")
    report.ratio(f"CPU time a message, {subject.name} / bare", cpu(figures), prefix + "protocol_cpu")


def bench_everything(report, options, folder, redis):
    """The same two with all that the configuration can switch on."""
    place = fleet.place(folder, "everything")
    with Bare(place, "bare", "helo") as bare, Full(place, redis, "everything", instance="everything", **EVERYTHING) as subject:
        bench_smtp(report, options, place, subject, bare, "everything_")
        bench_protocol(report, options, subject, bare, "everything_")


def bench_prices(report, options, folder, redis):
    figures = prices.measure(folder, redis, options.limit, progress)
    whole, found = figures.whole(), figures.prices()
    report.keep("prices", {"whole_us": whole, "prices": found, "pairs": figures.pairs})
    count = len(next(iter(figures.pairs.values())))
    report.heading(f"The price of each thing, CPU us a message ({count} pairs; all: {whole:.1f})")
    report.row("", "us", "of all", "95 % interval")
    for name, price in found.items():
        interval = f"{price['low']:.2f} to {price['high']:.2f}"
        report.row(name, f"{price['estimate']:.2f}", f"{price['estimate'] / whole:.1%}", interval)


def bench_redis(report, options, subject, redis):
    windows = traffic.measure(redis, subject, options.rate, options.window, progress)
    report.keep("redis", windows)
    report.heading(f"What Redis gets ({options.window:g} s each; commands inside scripts included)")
    report.row("", *(f"{w['rate']:.0f} mails/s" for w in windows), "ratio", "bound")
    for name, key, criterion in (
        ("commands a second", "commands_per_second", "redis_commands"),
        ("bytes a second", "bytes_per_second", "redis_bytes"),
        ("commands for 1000 mails", "commands_per_1000", None),
        ("bytes for 1000 mails", "bytes_per_1000", None),
        ("supervisor and pusher, share of a CPU", "helpers_cpu_share", None),
    ):
        low, high = (w[key] for w in windows)
        verdict = report.judge(criterion, {"estimate": high / low}) if criterion else ()
        report.row(name, f"{low:.4g}", f"{high:.4g}", f"{high / low:.2f}", *verdict)


def bench_fleet(report, options, folder):
    figures = fleet.measure(folder, options.instances, round(options.fleet_window), progress)
    report.keep("fleet", figures)
    exporter, push = figures["exporter"], figures["push"]
    report.heading(f"{figures['instances']} instances at one Redis ({figures['totals']} totals and {figures['gauges']} gauges each)")
    report.row("", "figure", "bound")
    for name, value, criterion in (
        ("their pushes, share of redis-server's core", figures["redis_share"], "fleet_redis"),
        ("a push of 600 changed totals, ms (median)", push["median"], "fleet_push"),
        ("  p99, ms", push["p99"], None),
        ("scrape of all, with reading, CPU ms", exporter["reading_ms"] + exporter["scrape_ms"], "fleet_scrape"),
        ("  reading Redis, CPU ms", exporter["reading_ms"], None),
        ("  writing the answer, CPU ms", exporter["scrape_ms"], None),
        ("  the same compressed, CPU ms", exporter["gzip_scrape_ms"], None),
        ("scrape, bytes", exporter["bytes"], None),
        ("  compressed", exporter["gzip_bytes"], None),
        ("memory of an instance in Redis, bytes", figures["bytes_per_instance"], None),
        ("resident memory of the exporter, bytes", exporter["resident_bytes"], None),
    ):
        verdict = report.judge(criterion, {"estimate": value}) if criterion else ()
        report.row(name, f"{value:.4g}" if value < 10000 else f"{value:.0f}", *verdict)


def bench_queues(report, options, folder):
    figures = queues.measure(folder, options.deferred, options.more_deferred, progress)
    report.keep("queues", figures)
    few, more = figures["messages"], figures["more"]
    report.heading(f"A pass over the queues of Postfix: {few} deferred messages, then {more} more")
    report.row("", "figure", "bound")
    rows = [
        ("CPU seconds for 100 000", figures["cpu_per_100000"], "queue_cpu"),
        ("  of postqueue -j, and showq", figures["postqueue_per_100000"], None),
        ("  ratio", figures["cpu_per_100000"] / figures["postqueue_per_100000"], "queue_ratio"),
        ("share of a processor, with the pause", figures["share"], "queue_share"),
        ("memory, kB", figures["kilobytes"], None),
    ]
    if "not_more" not in figures:
        rows += [
            ("CPU seconds for all", figures["more_cpu"], None),
            ("  for 100 000 of them", figures["more_cpu"] / (few + more) * 100_000, "queue_more_cpu"),
            ("seconds for all", figures["more_wall"], None),
            ("memory that all take more, kB", figures["more_kilobytes"] - figures["kilobytes"], "queue_memory"),
        ]
    for name, value, criterion in rows:
        verdict = report.judge(criterion, {"estimate": value}) if criterion else ()
        report.row(name, f"{value:.4g}", *verdict)
    if "not_more" in figures:
        report.row("without more", figures["not_more"])


def bench_logs(report, options, folder):
    figures = logs.measure(folder, options.lines, progress)
    report.keep("logs", figures)
    report.heading(f"Reading a delivery log of {figures['lines']} lines")
    report.row("", "figure", "bound")
    for name, value, criterion in (
        ("CPU seconds for a million lines", figures["seconds_per_million"], None),
        ("  of pflogsumm", figures["pflogsumm_per_million"], None),
        ("  of mtail, for the commonest lines", figures["mtail_per_million"], None),
        ("  ratio", figures["ratio"], "log_ratio"),
    ):
        verdict = report.judge(criterion, {"estimate": value}) if criterion else ()
        report.row(name, f"{value:.4g}", *verdict)


def run(options, report, stack):
    folder = stack.enter_context(Folder("bench"))
    bare = stack.enter_context(Bare(folder))
    redis = None
    if options.self_test:
        subject = stack.enter_context(Bare(folder, "bare2"))
    else:
        redis = stack.enter_context(Redis(folder))
        subject = stack.enter_context(Full(folder, redis))
    if "smtp" in options.parts:
        bench_smtp(report, options, folder, subject, bare)
    if "protocol" in options.parts:
        bench_protocol(report, options, subject, bare)
    if "everything" in options.parts and redis is not None:
        bench_everything(report, options, folder, redis)
    if "prices" in options.parts and redis is not None:
        bench_prices(report, options, folder, redis)
    if "redis" in options.parts and redis is not None:
        bench_redis(report, options, subject, redis)
    if "fleet" in options.parts and not options.self_test:
        bench_fleet(report, options, folder)
    if "queues" in options.parts and not options.self_test:
        bench_queues(report, options, folder)
    if "logs" in options.parts and not options.self_test:
        bench_logs(report, options, folder)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-test", action="store_true", help="compare the bare milter with itself")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only these measurements")
    parser.add_argument("--rounds", type=int, default=25, help="at least so many")
    parser.add_argument("--limit", type=float, default=180, help="seconds for more rounds, until the figures are sure")
    parser.add_argument("--messages", type=int, default=500, help="of a run through Postfix")
    parser.add_argument("--transactions", type=int, default=10000, help="of a run of milter-load")
    parser.add_argument("--rate", type=float, default=100, help="mails a second, of the lower traffic for Redis")
    parser.add_argument("--window", type=float, default=60, help="seconds of each traffic for Redis")
    parser.add_argument("--instances", type=int, default=200, help="of the fleet")
    parser.add_argument("--fleet-window", type=float, default=60, help="seconds in which they push")
    parser.add_argument("--deferred", type=int, default=100_000, help="messages in the queue of Postfix")
    parser.add_argument("--more-deferred", type=int, default=1_000_000, help="of them, as files in memory")
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the delivery log")
    return parser.parse_args()


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report(options.self_test)
    report.keep("machine", {"kernel": platform.release(), "cpus": os.cpu_count(), "load": os.getloadavg()})
    begin = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            run(options, report, stack)
    except (OSError, RuntimeError, subprocess.SubprocessError, TooLate) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 69
    report.keep("seconds", time.monotonic() - begin)
    results = BUILD / "bench" / "results.json"
    results.write_text(json.dumps(report.results, indent=1) + "\n")
    report.heading(f"{report.verdict()}   ({time.monotonic() - begin:.0f} s; all figures are in {results})")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
