"""A strict reader of Prometheus text (0.0.4 and OpenMetrics 1.0), and of our hashes in Redis.

It keeps each series under its name as it is written, `name{label="value"}`, and refuses what is there twice: readers
that sum or overwrite hide just the faults that we look for."""

import re
from decimal import Decimal

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
PAIR = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SERIES = re.compile(rf"({NAME})(?:\{{({PAIR}(?:,{PAIR})*)\}})?")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
SPECIAL = {"NaN": Decimal("NaN"), "+Inf": Decimal("Infinity"), "-Inf": Decimal("-Infinity")}
PARTS = ("_bucket", "_sum", "_count")


class Malformed(AssertionError):
    """Text that is not what a scraper must get."""


def number(text):
    """Exact: no rounding hides a lost count."""
    if text in SPECIAL:
        return SPECIAL[text]
    if not NUMBER.fullmatch(text):
        raise Malformed(f"{text!r} is no number")
    return Decimal(text)


def name_of(series):
    return series.split("{", 1)[0]


def labels_of(series):
    return dict(LABEL.findall(series))


def without(series, label):
    """The series' name without one label."""
    kept = ",".join(f'{key}="{value}"' for key, value in LABEL.findall(series) if key != label)
    return name_of(series) + (f"{{{kept}}}" if kept else "")


def series_name(name, labels):
    return name + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else "")


class Histogram:
    """Disjoint counts by `le`, and the sum."""

    def __init__(self):
        self.buckets = {}
        self.sum = None
        self.count = None

    def total(self):
        return sum(self.buckets.values())


class Metrics:
    """The series of one scrape or dump: `values` of all, `types` and `help` by family."""

    def __init__(self, text):
        self.types, self.help, self.values = {}, {}, {}
        if not text.endswith("\n"):
            raise Malformed("the text does not end with a line end")
        for line in text[:-1].split("\n"):
            self.read(line)

    def read(self, line):
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            self.once(self.types, family, kind, line)
        elif line.startswith("# HELP "):
            family, words = line[len("# HELP ") :].split(" ", 1)
            self.once(self.help, family, words, line)
        elif not line.startswith("#") and line:
            match = SERIES.match(line)
            if not match or line[match.end() : match.end() + 1] != " ":
                raise Malformed(f"not a series: {line!r}")
            self.once(self.values, match.group(0), number(line[match.end() + 1 :]), line)

    @staticmethod
    def once(where, key, value, line):
        if key in where:
            raise Malformed(f"twice: {line!r}")
        where[key] = value

    def family(self, series):
        """The family that a series belongs to."""
        name = name_of(series)
        candidates = [name] + [name[: -len(part)] for part in (*PARTS, "_total") if name.endswith(part)]
        for candidate in candidates:
            if candidate in self.types:
                return candidate
        raise Malformed(f"{series} has no TYPE")

    def of(self, family):
        """The series of a family: {series: value}."""
        return {series: value for series, value in self.values.items() if self.family(series) == family}

    def counts(self):
        """What can only grow, as Redis holds it: counters, and of histograms disjoint buckets and sums."""
        result, below = {}, {}
        for series, value in self.values.items():
            kind = self.types[self.family(series)]
            if kind == "counter":
                result[series] = value
            elif kind == "histogram" and not name_of(series).endswith("_count"):
                if name_of(series).endswith("_bucket"):
                    lower = below.get(without(series, "le"), 0)
                    if value < lower:
                        raise Malformed(f"{series} is {value}, less than the bucket before it, {lower}")
                    below[without(series, "le")] = value
                    value -= lower
                result[series] = value
        self.check_counts(below)
        return result

    def check_counts(self, last_buckets):
        """The _count of a histogram is its last bucket."""
        for bucket, value in last_buckets.items():
            count = bucket.replace("_bucket", "_count", 1)
            if self.values.get(count) != value:
                raise Malformed(f"{count} is {self.values.get(count)}, but the last bucket is {value}")


def histograms(counts):
    """Of {series: value} with disjoint buckets: {series without le: Histogram}."""
    result = {}
    for series, value in counts.items():
        name = name_of(series)
        for part in ("_bucket", "_sum"):
            if name.endswith(part):
                whole = without(series, "le").replace(part, "", 1)
                histogram = result.setdefault(whole, Histogram())
                if part == "_sum":
                    histogram.sum = value
                else:
                    histogram.buckets[labels_of(series)["le"]] = value
    return result
