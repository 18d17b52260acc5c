"""Mail through a real Postfix: without a milter, with the bare one, with milterscope.

Three Postfixes are up all the time and differ in smtpd_milters alone. A round drives each of them once with the
same mail, in an order drawn anew, one at a time; what is measured is how long smtp-source takes to hand all in.
"""

import contextlib
import random
import time
from types import SimpleNamespace

from kit.place import server_program
from kit.process import run
from kit.servers import Postfix

SESSIONS = 8
SIZE = 2000
RUN_LIMIT = 120


def settings(milter):
    # Postfix does not slow down senders of its own accord, and a milter that fails must not go unnoticed.
    base = {"in_flow_delay": 0, "milter_default_action": "tempfail"}
    return base | ({"smtpd_milters": f"unix:{milter.socket}"} if milter else {})


def hand_in(postfix, messages):
    """Messages a second that Postfix took. Its queue is empty before and after."""
    source = server_program("postfix", "usr/sbin/smtp-source")
    what = ["-s", SESSIONS, "-m", messages, "-l", SIZE, "-f", "sender@example.net", "-t", "alice@example.test"]
    begin = time.perf_counter()
    run([source, *what, "%s:%d" % postfix.address], RUN_LIMIT)
    seconds = time.perf_counter() - begin
    postfix.wait_idle()
    return messages / seconds


def measure(folder, milters, messages, enough, say):
    """milters: {variant: milter or None}; enough(figures so far) ends it. Returns {variant: [messages a second, …]}."""
    rates, order = {variant: [] for variant in milters}, random.Random(1)
    with contextlib.ExitStack() as stack:
        postfixes = {}
        for variant, milter in milters.items():
            place = SimpleNamespace(disk=folder.disk / f"mail-{variant}")
            postfixes[variant] = stack.enter_context(Postfix(place, settings(milter)))
        for postfix in postfixes.values():
            hand_in(postfix, messages // 2)  # warms up
        while not enough(rates):
            say(f"SMTP, round {len(rates['bare']) + 1}")
            for variant in order.sample(sorted(postfixes), len(postfixes)):
                rates[variant].append(hand_in(postfixes[variant], messages))
    return rates
