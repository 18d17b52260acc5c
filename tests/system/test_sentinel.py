"""Redis behind sentinels: pusher and exporter find the master, and after a failover of any kind the new master holds what was
counted, for every series, while no scrape ever saw a counter go back. All servers are real, and mail flows meanwhile."""

import contextlib
import threading
import time

import pytest
from kit.figures import figure
from kit.place import free_port, program
from kit.process import Process
from kit.procfs import frozen
from kit.programs import Exporter
from kit.proxy import Proxy
from kit.sentinels import FAILOVER_TIMEOUT_MS, MASTER, PASSWORD, Member, Sentinels
from kit.wait import wait_until
from scope import Scope, passed, site_in
from truth import metric

RATE = 50  # messages a second
SOME = 10  # messages
SCRAPE_INTERVAL = 0.2
TIMEOUT = 1.0  # redis.timeout
# What moves without mail: pushes, and checks of the filter.
PUSHED_AT = metric("last_push_timestamp_seconds")
MOVING = {PUSHED_AT, *map(metric, ["push_total", "push_seconds", "filter_busy_seconds_total", "filter_open_fds"])}


@pytest.fixture(scope="module")
def servers(parts):
    return parts.start(Sentinels(parts.folder))


@pytest.fixture(scope="module")
def node(parts, servers):
    """milterscope and two exporters: one beside it, and one on a host of its own that has nothing but Redis."""
    redis = {"password_file": str(servers.password_file), "timeout": TIMEOUT}
    site, far = (site_in(parts, name, servers.url, redis=redis) for name in ("node", "far"))
    far.write(instance=site.instance)
    scope = parts.start(Scope(site))
    scope.exporters = [parts.start(Exporter(each)) for each in (site, far)]
    return scope


# ---- mail, and scrapers ----


class Mail:
    """Mail straight to the filter, from `with` to its end; then all of it is counted."""

    def __init__(self, scope):
        self.scope = scope
        self.process = None

    def wait(self, messages=SOME):
        goal = self.scope.passed() + messages
        wait_until(lambda: self.scope.passed() >= goal, "mail flows")

    def __enter__(self):
        options = ["--rate", RATE, "--transactions", 0, "--seconds", 600, "--sessions", 4]
        words = [program("kit/milter-load"), *options, f"unix:{self.scope.site.milter_socket}"]
        self.process = Process([str(word) for word in words], self.scope.site.folder.disk / "load.log")
        self.wait()
        return self

    def __exit__(self, *failure):
        self.process.check_alive()
        self.process.stop()
        self.scope.wait_value(0, "sessions_active")


class Scraper:
    """Reads /metrics five times a second, and notes every counter and bucket that is less than it was."""

    def __init__(self, exporter):
        self.exporter = exporter
        self.highest, self.steps_back, self.failures = {}, [], []
        self.scrapes = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ending.wait(SCRAPE_INTERVAL):
            try:
                self.scrape()
            except (AssertionError, OSError) as failure:
                self.failures.append(failure)
                return

    def scrape(self):
        for series, value in self.exporter.metrics().counts().items():
            before = self.highest.get(series, 0)
            if value < before:
                self.steps_back.append(f"{series}: {before} -> {value}")
            self.highest[series] = max(value, before)
        self.scrapes += 1

    def check(self):
        """It goes on, and all was well so far."""
        goal = self.scrapes + 2
        wait_until(lambda: self.scrapes >= goal or self.failures, "scrapes go on")
        assert (self.failures, self.steps_back) == ([], [])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.ending.set()
        self.thread.join()


@pytest.fixture(scope="module")
def scrapers(parts, node):
    return [parts.start(Scraper(exporter)) for exporter in node.exporters]


@pytest.fixture(autouse=True)
def nothing_goes_back(scrapers):
    yield
    for scraper in scrapers:
        scraper.check()


# ---- what a server holds ----


def seq(server, site):
    """The number of the push that it saw last; 0: none."""
    return int((server.command("HGET", site.key("meta"), "seq") or ["0"])[0] or 0)


def wait_pushed(server, site, more_than=0):
    wait_until(lambda: seq(server, site) > more_than, f"a push arrives at {server.folder.name}")


def steady_gauges(dump):
    """{series: value} of those that do not move by themselves."""
    kinds = {series: dump.family(series) for series in dump.values}
    return {series: dump.values[series] for series, kind in kinds.items() if dump.types[kind] == "gauge" and kind not in MOVING}


def check_same(server, scope):
    """What the server holds is what was counted, series by series. What moves by itself lies between two dumps."""
    before = scope.dump()
    wait_pushed(server, scope.site, seq(server, scope.site) + 1)  # the second from now began after the dump
    counters, gauges = (server.hash(scope.site.key(key)) for key in ("counters", "gauges"))
    after = scope.dump()
    low, high = before.counts(), after.counts()
    moved = {after.family(series) for series in high if low.get(series) != high[series]}
    wrong = [
        f"{series}: {value}, counted {low[series]} to {high[series]}"
        for series, value in counters.items()
        if not low[series] <= value <= high[series]
    ]
    steady = dict(steady_gauges(before).items() & steady_gauges(after).items())
    wrong += [f"{series}: {gauges.get(series)} is {value}" for series, value in steady.items() if gauges.get(series) != value]
    assert (wrong, moved - MOVING) == ([], set())
    assert counters.keys() == high.keys()
    same = f"{len(counters)} counts and {len(steady)} gauges as counted"
    figure(f"sentinel, {server.folder.name}: {same}, {passed(counters)} messages")


def wait_read(server, exporters):
    """So many exporters ask this one."""

    def asking():
        return sum("name=milterscope-exporter " in line for line in server.command("CLIENT", "LIST"))

    wait_until(lambda: asking() == exporters, lambda: f"{exporters} exporters ask {server.folder.name}; {asking()} do")


# ---- the master is found ----


def test_master_is_found(node, servers):
    with Mail(node):
        wait_pushed(servers.master(), node.site)
    check_same(servers.master(), node)
    for exporter in node.exporters:
        assert exporter.metrics().values[metric("data_source", source="redis")] == 1
    assert [replica.follows(servers.master()) for replica in servers.replicas()] == [True, True]


def wait_says(exporter, *words):
    """What it says of its state, once these words are in it."""

    def said():
        text = exporter.get("/readyz").content.decode()
        return text if all(each in text for each in words) else None

    return wait_until(said, lambda: f"{words} in {exporter.get('/readyz').content.decode()!r}")


def far_exporter(parts, servers, name, url, **redis):
    settings = {"password_file": str(servers.password_file), "timeout": 2.0} | redis
    return parts.start(Exporter(site_in(parts, name, url, redis=settings)))


def test_sentinels_that_do_not_help(own_parts, servers):
    """One is not there, one hangs, one knows nothing: the fourth helps, though its words come byte by byte."""
    hanging, slow = (own_parts.start(Proxy(("127.0.0.1", sentinel.port))) for sentinel in servers.sentinels[:2])
    hanging.faults(stalled=True)
    slow.faults(piece=1, delay=0.05)
    master, ignorant = servers.master(), servers.sentinels[2]
    ignorant.command("SENTINEL", "REMOVE", MASTER)
    try:
        ports = [free_port(), hanging.address[1], ignorant.port, slow.address[1]]
        url = servers.url_of(*[f"127.0.0.1:{port}" for port in ports])
        wait_says(far_exporter(own_parts, servers, "helpless", url), "Redis holds nothing of this instance")
        url = servers.url_of(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ignorant.port}")
        refused = f"redis://127.0.0.1:{ports[0]}: Connection refused"
        unknown = f"redis://127.0.0.1:{ignorant.port}: knows no master of this name"
        wait_says(far_exporter(own_parts, servers, "ignorant", url), f"{url}: {refused}", unknown)
    finally:
        ignorant.watch(master.port)
        servers.wait_ready()


def test_wrong_password(own_parts, servers):
    password = own_parts.folder.disk / "wrong"
    password.write_text("not-the-secret\n")
    exporter = far_exporter(own_parts, servers, "locked", servers.url, password_file=str(password))
    text = wait_says(exporter, f"{servers.url}: redis://127.0.0.1:{servers.master().port}: AUTH: WRONGPASS")
    assert "secret" not in text


# ---- failovers ----


@contextlib.contextmanager
def by_command(servers, old):
    servers.fail_over()
    yield


@contextlib.contextmanager
def by_death(servers, old):
    """It comes back with nothing, and takes itself for a master until the sentinels tell it otherwise."""
    old.kill()
    yield
    old.start()


@contextlib.contextmanager
def by_hanging(servers, old):
    """It comes back with all that it had."""
    with old.frozen():
        yield


@pytest.mark.parametrize("happens", [by_command, by_death, by_hanging, by_command])
def test_failover(node, servers, happens):
    old = servers.wait_ready()
    wait_pushed(old, node.site)
    with Mail(node) as mail:
        before, began = seq(old, node.site), time.monotonic()
        with happens(servers, old):
            new = servers.wait_other_master(old)
            moved = time.monotonic()
            wait_pushed(new, node.site, before)
            wait_read(new, len(node.exporters))
            read = time.monotonic() - moved
            new_master = f"another master after {moved - began:.2f} s"
            figure(f"sentinel, {happens.__name__}: {new_master}, pushed to and read by all {read:.2f} s later")
            mail.wait()
        servers.wait_ready()
        mail.wait()
    check_same(new, node)
    assert (old.role(), servers.master()) == ("slave", new)


def lines_behind(parts, replicas, master):
    """Replicas whose stream goes through proxies."""
    proxies = []
    for replica in replicas:
        proxies.append(parts.start(Proxy(("127.0.0.1", master.port))))
        replica.command("REPLICAOF", *proxies[-1].address)
    for replica, proxy in zip(replicas, proxies, strict=True):
        behind = ("up", str(proxy.address[1]))
        link = ("master_link_status", "master_port")
        wait_until(lambda r=replica, b=behind: tuple(map(r.info().get, link)) == b, "a replica follows its proxy")
    return proxies


def test_failover_to_a_replica_that_lags(own_parts, node, servers):
    """Exporters read it before the pusher has made it whole: that must not show."""
    old = servers.wait_ready()
    servers.set("failover-timeout", 60_000)  # else the sentinels soon take the proxies away
    replicas = servers.replicas()
    proxies = lines_behind(own_parts, replicas, old)
    key, far = node.site.key("counters"), node.exporters[1]
    with Mail(node) as mail:
        for proxy in proxies:
            proxy.faults_to_client(stalled=True)
        most = passed(old.hash(key))  # that the replicas can hold
        wait_until(lambda: passed(old.hash(key)) >= most + 3 * SOME, "the master is ahead")
        stale = [passed(replica.hash(key)) for replica in replicas]
        assert max(stale) <= most
        # And its supervisor, which would replace it.
        with frozen(node.child("pusher"), node.pid):
            new = servers.fail_over()
            # Gauges are shown as they are: they tell whether what is shown was read from the new master.
            pushed_at = new.hash(node.site.key("gauges"))[PUSHED_AT]
            wait_until(lambda: far.metrics().values.get(PUSHED_AT) == pushed_at, "the new master is read")
            assert passed(new.hash(key)) in stale
            shown = passed(far.metrics().values)
            assert shown >= most + 3 * SOME
        mail.wait()
    figure(f"sentinel: the new master was {shown - min(stale)} messages behind")
    servers.set("failover-timeout", FAILOVER_TIMEOUT_MS)
    check_same(new, node)
    servers.wait_ready()


# ---- without sentinels ----


def test_address_that_moves(own_parts, tmp_path):
    """Behind one address there is another server at some time, and the old one refuses, but keeps the connections. Who stayed
    on them would be refused for ever."""
    first, second = (own_parts.start(Member(tmp_path / name)) for name in ("first", "second"))
    proxy = own_parts.start(Proxy(("127.0.0.1", first.port)))
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    site = site_in(own_parts, "moves", "redis://%s:%d/0" % proxy.address, redis={"password_file": str(password)})
    scope = own_parts.start(Scope(site))
    exporter = own_parts.start(Exporter(site))
    wait_pushed(first, site)
    wait_read(first, 1)
    proxy.target = ("127.0.0.1", second.port)
    first.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    first.command("REPLICAOF", "127.0.0.1", free_port())
    wait_pushed(second, site)
    wait_read(second, 1)
    assert scope.value("push_errors_total", error="readonly") >= 1
    wait_until(lambda: exporter.metrics().values[metric("data_source", source="redis")] == 1, "the exporter reads it")
    scope.wait_said("pushing again")
    check_same(second, scope)
