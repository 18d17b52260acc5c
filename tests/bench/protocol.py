"""The milter protocol alone: milter-load against the bare milter and against the filter, in turn.

No MTA is in the way, so this shows what the filter itself costs: transactions a second, and CPU time of the filter
process for each transaction. Both are driven by the same seeds, thus the same work.
"""

import json
import random

from kit.place import program
from kit.process import run

from milters import cpu_seconds

SESSIONS = 8
RUN_LIMIT = 120


def load(milter, *options):
    """Runs milter-load to its end; its figures."""
    command = [program("kit/milter-load"), "--sessions", SESSIONS, "--seconds", RUN_LIMIT, *options]
    figures = json.loads(run([*command, f"unix:{milter.socket}"], 2 * RUN_LIMIT))
    if figures["stopped"] > 0:
        raise RuntimeError(f"{milter.name} refused {figures['stopped']} times; see {milter.log}")
    return figures


def measure_one(milter, transactions, seed):
    """milter-load's figures, and the CPU time that the filter and its helpers took for each transaction."""
    pid, helpers = milter.filter, milter.helpers
    before, helpers_before = cpu_seconds(pid), sum(map(cpu_seconds, helpers))
    figures = load(milter, "--transactions", transactions, "--seed", seed)
    done = figures["transactions"]
    figures["cpu_us"] = (cpu_seconds(pid) - before) / done * 1e6
    figures["helpers_cpu_us"] = (sum(map(cpu_seconds, helpers)) - helpers_before) / done * 1e6
    return figures


def measure(milters, transactions, enough, say):
    """milters: {variant: milter}; enough(figures so far) ends it. Returns {variant: [figures, …]}."""
    figures, order = {variant: [] for variant in milters}, random.Random(2)
    for milter in milters.values():
        measure_one(milter, transactions // 2, 0)  # warms up
    while not enough(figures):
        seed = len(figures["bare"]) + 1
        say(f"protocol, round {seed}")
        for variant in order.sample(sorted(milters), len(milters)):
            figures[variant].append(measure_one(milters[variant], transactions, seed))
    return figures
