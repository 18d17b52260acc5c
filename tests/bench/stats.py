"""The few statistics that a comparison of two programs needs.

Rounds are paired: in each round both programs were measured a moment apart, so that what the machine did at that
time falls out of their ratio. The estimate is the median of the rounds' ratios, which one disturbed round does not
move; its 95 % interval is the percentile bootstrap of that median (rounds drawn with replacement, in logarithms so
that a/b and b/a mirror each other). The random numbers are seeded: the same figures give the same interval.
"""

import math
import random
import statistics
import time

RESAMPLES = 10000


def ratio(numerators, denominators, resamples=RESAMPLES):
    """Paired ratio with its 95 % interval: a dict of estimate, low, high, rounds."""
    logs = [math.log(a / b) for a, b in zip(numerators, denominators, strict=True)]
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(logs, k=len(logs))) for _ in range(resamples))
    low, high = medians[int(0.025 * resamples)], medians[int(0.975 * resamples)]
    return {
        "estimate": math.exp(statistics.median(logs)),
        "low": math.exp(low),
        "high": math.exp(high),
        "rounds": len(logs),
    }


def summary(values):
    """Median, lowest, highest."""
    return statistics.median(values), min(values), max(values)


class Enough:
    """Ends the rounds: at least so many; then, until the intervals are within +- width or the time is over. It looks at
    how sure the estimate is, never at what it is."""

    def __init__(self, least, width, seconds):
        self.least, self.width, self.end = least, width, time.monotonic() + seconds

    def __call__(self, rounds, *ratios):
        """ratios: functions, each gives a ratio with its interval."""
        if rounds < self.least:
            return False
        if time.monotonic() > self.end:
            return True
        return all(r["high"] - r["low"] <= 2 * self.width for r in (function() for function in ratios))
