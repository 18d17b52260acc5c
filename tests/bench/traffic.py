"""What Redis gets, at some traffic and at ten times that: it must be a matter of time, not of mail.

Both windows are as long as the pusher's longest period (everything is written again every 30 s, history every
60 s), so that each holds the same number of these.
"""

from kit.wait import wait_until

import protocol
from milters import cpu_seconds

OURS = "info"  # the command that asks for the counts


def counts(redis):
    """Calls of each command, and bytes that Redis received, since it was started."""
    calls, received = {}, 0
    for line in redis.command("INFO", "everything"):
        name, _, value = line.partition(":")
        if name.startswith("cmdstat_") and name != f"cmdstat_{OURS}":
            calls[name.removeprefix("cmdstat_")] = int(value.partition("calls=")[2].partition(",")[0])
        elif name == "total_net_input_bytes":
            received = int(value)
    return calls, received


def check_counted(milterscope, before, figures):
    """What was sent was counted: a cheap filter is no good if it does not do its work."""

    def all_counted():
        now = milterscope.messages()
        return all(now[verdict] - before[verdict] == figures[verdict] for verdict in ("passed", "rejected", "lost"))

    wait_until(all_counted, lambda: f"sent {figures}, counted before {before} and now {milterscope.messages()}")


def window(redis, milterscope, rate, seconds):
    """Traffic at this rate for this time."""
    messages_before = milterscope.messages()
    calls_before, bytes_before = counts(redis)
    helpers_before = sum(map(cpu_seconds, milterscope.helpers))
    figures = protocol.load(milterscope, "--transactions", round(rate * seconds), "--rate", rate)
    calls, received = counts(redis)
    helpers_after = sum(map(cpu_seconds, milterscope.helpers))
    check_counted(milterscope, messages_before, figures)
    commands = {name: count - calls_before.get(name, 0) for name, count in sorted(calls.items())}
    took, mails, total = figures["seconds"], figures["transactions"], sum(commands.values())
    return {
        "rate": mails / took,
        "commands": {name: count for name, count in commands.items() if count > 0},
        "commands_per_second": total / took,
        "bytes_per_second": (received - bytes_before) / took,
        "commands_per_1000": total / mails * 1000,
        "bytes_per_1000": (received - bytes_before) / mails * 1000,
        "helpers_cpu_share": (helpers_after - helpers_before) / took,
    }


def measure(redis, milterscope, rate, seconds, say):
    """Two windows: at the rate, and at ten times the rate."""
    windows = []
    for factor in (1, 10):
        say(f"Redis, {rate * factor:g} transactions a second for {seconds:g} s")
        windows.append(window(redis, milterscope, rate * factor, seconds))
    return windows
