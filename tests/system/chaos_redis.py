"""What the chaos test does to Redis: to its servers, to the way there, and to what they hold."""

from contextlib import contextmanager, suppress

from kit.procfs import frozen
from kit.wait import pass_time, wait_until
from scope import FILE, Scope, site_in

AS_IT_WAS = {"delay": 0.0, "stalled": False, "piece": 65536, "pause": 0.0, "cut_after": None}


def a_while(chance, most=3.0):
    pass_time(chance.uniform(0.2, most))


def some_key(arena, chance):
    return arena.site.key(chance.choice(["meta", "counters", "gauges"]))


def tell(arena, *words):
    """The master, which may refuse: somebody else may have become it just now, or the key be gone."""
    with suppress(RuntimeError):
        return arena.master().command(*words)
    return []


def some_fields(arena, chance, key):
    fields = tell(arena, "HKEYS", key)
    return chance.sample(fields, min(len(fields), chance.randrange(1, 30)))


# ---- the servers ----


def failover(arena, chance):
    arena.sentinels.wait_ready()
    arena.sentinels.fail_over()


def master_killed(arena, chance):
    master = arena.sentinels.wait_ready()
    master.kill()
    arena.sentinels.wait_other_master(master)
    master.start()


def master_hangs(arena, chance):
    """Long enough that another takes its place, or not."""
    with arena.master().frozen():
        a_while(chance)


def replica_hangs(arena, chance):
    with chance.choice(arena.sentinels.replicas()).frozen():
        a_while(chance)


def sentinel_hangs(arena, chance):
    with frozen(chance.choice(arena.sentinels.sentinels).process.pid):
        a_while(chance)


def all_killed(arena, chance):
    """They begin with nothing."""
    for member in arena.sentinels.members:
        member.kill()
    a_while(chance)
    for member in arena.sentinels.members:
        member.start()
    arena.sentinels.wait_ready()


# ---- the way there ----


@contextmanager
def on_the_way(arena, **faults):
    proxy = arena.sentinels.proxy_of(arena.master())
    proxy.faults(**faults)
    try:
        yield proxy
    finally:
        proxy.faults(**AS_IT_WAS)


def slow_line(arena, chance):
    with on_the_way(arena, delay=chance.uniform(0.01, 0.4)):
        a_while(chance)


def narrow_line(arena, chance):
    with on_the_way(arena, piece=chance.randrange(1, 4096), pause=0.01):
        a_while(chance)


def dead_line(arena, chance):
    with on_the_way(arena, stalled=True):
        a_while(chance)


def line_cut_in_the_middle(arena, chance):
    with on_the_way(arena, cut_after=chance.randrange(1, 40000)):
        a_while(chance, 1.0)


def connections_cut(arena, chance):
    for _ in range(chance.randrange(1, 4)):
        arena.sentinels.proxy_of(arena.master()).cut()
        a_while(chance, 0.5)


def nobody_listens(arena, chance):
    proxy = arena.sentinels.proxy_of(arena.master())
    proxy.refuse()
    proxy.cut()
    a_while(chance, 2.0)
    proxy.accept()


# ---- what they hold, and what they allow ----


def everything_flushed(arena, chance):
    tell(arena, "FLUSHALL")


def scripts_flushed(arena, chance):
    tell(arena, "SCRIPT", "FLUSH")


def clients_killed(arena, chance):
    tell(arena, "CLIENT", "KILL", "TYPE", "normal")


def key_deleted(arena, chance):
    tell(arena, "DEL", some_key(arena, chance))


def fields_deleted(arena, chance):
    key = arena.site.key("counters")
    fields = some_fields(arena, chance, key)
    if fields:
        tell(arena, "HDEL", key, *fields)


def values_lowered(arena, chance):
    key = arena.site.key("counters")
    for field in some_fields(arena, chance, key)[:5]:
        tell(arena, "HSET", key, field, "0")


def older_hash(arena, chance):
    """As a replica that lagged would have it."""
    key, kept = arena.site.key("counters"), "kept"
    tell(arena, "COPY", key, kept, "REPLACE")
    a_while(chance)
    tell(arena, "RENAME", kept, key)


def foreign_key(arena, chance):
    key = some_key(arena, chance)
    tell(arena, "DEL", key)
    tell(arena, "SET", key, "somebody else's")
    a_while(chance)
    tell(arena, "DEL", key)


def no_memory(arena, chance):
    master = arena.master()
    master.command("CONFIG", "SET", "maxmemory", "1")
    a_while(chance)
    master.command("CONFIG", "SET", "maxmemory", "0")


def not_enough_replicas(arena, chance):
    master = arena.master()
    master.command("CONFIG", "SET", "min-replicas-to-write", "5")
    a_while(chance)
    master.command("CONFIG", "SET", "min-replicas-to-write", "0")


def right_missing(arena, chance):
    master = arena.master()
    master.command("ACL", "SETUSER", "default", chance.choice(["-evalsha", "-hset", "-zadd"]))
    a_while(chance)
    master.command("ACL", "SETUSER", "default", "+@all")


# ---- somebody of the same name ----


def clone(arena, chance):
    """Another machine with our name; at times with a copy of our tally, too."""
    site = site_in(arena.parts, f"clone-{len(arena.sites)}", arena.site.settings["redis"]["url"])
    site.write(instance=arena.site.instance, redis={"password_file": arena.site.settings["redis"]["password_file"]})
    if chance.random() < 0.5:
        with suppress(FileNotFoundError):
            (site.run_directory / FILE).write_bytes((arena.seen_site.run_directory / FILE).read_bytes())
    arena.sites.append(site)
    arena.wait_pushed()
    with Scope(site) as other:
        wait_until(lambda: other.value("push_errors_total", error="fenced") > 0 or other.value("push_total") > 0, "it pushes")
        a_while(chance)


FAULTS = {
    failover: 2,
    master_killed: 1,
    master_hangs: 2,
    replica_hangs: 1,
    sentinel_hangs: 1,
    all_killed: 1,
    slow_line: 2,
    narrow_line: 2,
    dead_line: 2,
    line_cut_in_the_middle: 4,
    connections_cut: 2,
    nobody_listens: 2,
    everything_flushed: 2,
    scripts_flushed: 2,
    clients_killed: 2,
    key_deleted: 2,
    fields_deleted: 3,
    values_lowered: 2,
    older_hash: 2,
    foreign_key: 1,
    no_memory: 2,
    not_enough_replicas: 2,
    right_missing: 2,
    clone: 2,
}
