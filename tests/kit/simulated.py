"""Instances that are only simulated: they push to Redis with the scripts of the real pusher, what a real one has pushed."""

from kit.place import TOP
from kit.programs import Milterscope
from kit.wait import wait_until

KEEP = 7 * 24 * 3600
GAUGES = 60
BOOT = "4f2d6c0e-1111-2222-3333-444455556666"


def catalogue(redis, site):
    """All totals and gauges that a real node pushes, with what their hashes hold: ({field: value}, {field: value})."""
    with Milterscope(site):
        wait_until(lambda: "milterscope_filter_open_fds" in redis.hash(site.key("gauges")), "a push of all gauges")
        return redis.hash(site.key("counters")), redis.hash(site.key("gauges"))


def load_scripts(resp):
    """The digests of push.lua and touch.lua."""
    return [resp("SCRIPT", "LOAD", (TOP / "milter/pusher" / f"{name}.lua").read_bytes()).decode() for name in ("push", "touch")]


class Instance:
    """What one node has, and pushes. `id`: of its tally."""

    def __init__(self, name, totals, gauges=(), id="0123456789abcdef" * 2):
        self.name, self.totals, self.gauges, self.id = name, dict(totals), dict(gauges), id
        self.seq = 0
        self.left = None  # how many fields the push before left

    def key(self, kind):
        return f"ms1:{{{self.name}}}:{kind}"

    def commands(self, scripts, changed=None):
        """A push, as two commands; `changed`: only these totals, on top of the push before."""
        full = changed is None or self.left is None
        self.seq += 1
        counters = flat(self.totals if full else changed)
        meta = ["version", "0.1.0", "host", self.name, "started", "1700000000", "instance", self.name]
        left = ["full", 0] if full else [self.seq - 1, self.left]
        self.left = len(self.totals)
        push = ["EVALSHA", scripts[0], 3, self.key("meta"), self.key("counters"), self.key("gauges"), f"{self.id}:{BOOT}", 1, self.seq]
        push += [*left, 0, KEEP, GAUGES, len(meta), len(counters), "0" * 16]
        return [[*push, *meta, *counters, *flat(self.gauges)], ["EVALSHA", scripts[1], 1, "ms1:instances", self.name, KEEP]]


def flat(pairs):
    return [word for pair in pairs.items() for word in pair]


def push(resp, scripts, instances):
    """Each of them pushes everything."""
    replies = resp.pipeline(command for instance in instances for command in instance.commands(scripts))
    wrong = [reply for reply in replies[::2] if not isinstance(reply, list) or reply[0] != b"written"]
    assert not wrong, wrong[0]
