"""Waiting for what must come, instead of sleeping and hoping."""

import time

GENEROUS = 60.0  # seconds; only tells working from hung
INTERVAL = 0.05


class TooLate(AssertionError):
    """What had to happen did not."""


def wait_until(condition, what, deadline=GENEROUS, interval=INTERVAL):
    """Returns the first true value of condition(). `what`: what the failure says, or a function that says it."""
    give_up = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up:
            raise TooLate(f"not within {deadline:g} s: {what() if callable(what) else what}")
        time.sleep(interval)


def pass_time(seconds):
    """Where time itself is what is tested."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, "time passes", seconds + GENEROUS)
