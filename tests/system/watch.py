"""A watch over what is shown while things break: no counter steps back, none shows what was never counted.

    with Watch(exporter) as watch:           # or Watch(exporter, fleet), with an exporter of scope fleet
        ...                                  # harm everything; the exporters may be killed and started again
    figure(watch.check(scope.counts()))      # afterwards, so that nothing is shown later than the truth was read

Counters, and buckets and sums of histograms, are read from /metrics every 200 ms. A step back is allowed once for each
new tally id, which is what every collector takes for a reset. The ids are read from the files of the tallies: for the
node its own, for the fleet those of all `sites`, whose totals may be shown where two machines have one name."""

import contextlib
import http.client
import struct
import threading
import time

from kit.metrics import Metrics, labels_of, name_of, without
from kit.tally import Tally
from kit.wait import GENEROUS, wait_until

INTERVAL = 0.2  # seconds
OF_THE_EXPORTER = ("process_", "milterscope_unknown_series_total")  # they begin anew with its process
SHOWN = 5  # faults of a kind that a failure tells


class Watched:
    """One exporter. scrapes: answers that were read; missed: nobody was there. highest: {series: value}, of the tally
    that is shown now; last: what the last answer showed of the node. history: for each answer, when it was read, and what
    it showed otherwise than the one before. faults: what must never be."""

    def __init__(self, name, exporter, instance, ids):
        self.name, self.exporter, self.instance, self.ids = name, exporter, instance, ids
        self.scrapes = self.missed = self.resets = 0
        self.highest, self.last, self.history, self.faults = {}, {}, [], []

    def scrape(self):
        try:
            response = self.exporter.get("/metrics")
        except (OSError, http.client.HTTPException):
            self.missed += 1
            return
        try:
            assert response.status == 200, response.content
            self.take(self.counters(Metrics(response.content.decode()).counts()))
        except Exception as fault:  # whatever it is, the thread must not end in silence
            self.add_fault(repr(fault))
        self.scrapes += 1

    def counters(self, counts):
        """Of the node, under the names that its tally has for them."""
        ours = {series: n for series, n in counts.items() if not name_of(series).startswith(OF_THE_EXPORTER)}
        if self.instance is None:
            return ours
        mine = {series: n for series, n in ours.items() if labels_of(series).get("instance") == self.instance}
        return {without(series, "instance"): n for series, n in mine.items()}

    def take(self, counts):
        lower = [series for series, value in counts.items() if value < self.highest.get(series, 0)]
        if lower and self.resets + 1 < self.ids():
            self.resets += 1
            self.highest = {}
        elif lower:
            steps = [f"{series}: {self.highest[series]} -> {counts[series]}" for series in lower]
            self.add_fault(f"{len(steps)} stepped back: {'; '.join(steps[:SHOWN])}")
        self.highest |= {series: max(value, self.highest.get(series, 0)) for series, value in counts.items()}
        changed = {series: value for series, value in counts.items() if value != self.last.get(series)}
        self.history.append((time.monotonic(), changed))
        self.last = counts

    def add_fault(self, fault):
        self.faults.append(f"{time.strftime('%H:%M:%S')} {fault}")

    def check(self, truth):
        counts = f"{self.name}, {self.scrapes} scrapes, {self.missed} missed"
        assert self.scrapes > 0 and self.highest, f"{counts}: nothing was shown"
        assert not self.faults, f"{counts}, {len(self.faults)} faults:\n" + "\n".join(self.faults[:SHOWN])
        more = {series: value for series, value in self.highest.items() if value > truth.get(series, -1)}
        told = [f"{series}: {value}, counted {truth.get(series)}" for series, value in more.items()]
        assert not more, f"{counts}: more was shown than was counted: {'; '.join(told[:SHOWN])}"

    def __str__(self):
        return f"{self.name}: {self.scrapes} scrapes, {self.missed} missed, {self.resets} resets"


class Watch:
    """A context. `node`, `fleet` (None: there is none): the exporters that are watched."""

    def __init__(self, exporter, fleet=None, sites=None):
        self.sites = sites or [exporter.site]
        self.ids = set()  # (site, tally id) that were seen
        own = exporter.site
        self.node = Watched("node", exporter, None, lambda: self.count_ids([own]))
        self.fleet = fleet and Watched("fleet", fleet, own.instance, lambda: self.count_ids(self.sites))
        self.watched = [each for each in (self.node, self.fleet) if each]
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(each,)) for each in self.watched]
        self.lock = threading.Lock()

    def run(self, watched):
        while not self.ending.is_set():
            self.count_ids(self.sites)
            watched.scrape()
            self.ending.wait(INTERVAL)

    def count_ids(self, sites):
        """So many were seen in the tallies of these."""
        folders = {site.run_directory for site in sites}
        with self.lock:
            for folder in {site.run_directory for site in self.sites} | folders:
                with contextlib.suppress(OSError, struct.error):  # there is none now
                    self.ids.add((folder, Tally(folder).id))
            return len({identity for folder, identity in self.ids if folder in folders})

    def wait(self, scrapes=2):
        """For so many more answers, of each exporter: what is so now has been shown."""
        goals = [each.scrapes + scrapes for each in self.watched]
        shown = lambda: all(each.scrapes >= goal for each, goal in zip(self.watched, goals, strict=True))  # noqa: E731
        wait_until(shown, lambda: f"scrapes go on; there were {self}", GENEROUS)

    def check(self, truth):
        """`truth`: {series: value}, what was counted in the end, with disjoint buckets, as Scope.counts() gives it.
        Call it after the `with`. Returns a line for people."""
        assert not any(thread.is_alive() for thread in self.threads), "what is shown goes on"
        for each in self.watched:
            each.check(truth)
        return str(self)

    def __str__(self):
        return "; ".join(map(str, self.watched))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def __exit__(self, *failure):
        self.end()
