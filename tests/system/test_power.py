"""Power fails: the tally is gone, the exporter forgets what it has shown, the copy on the disk is some seconds old, and
Redis may have lost something, too. What is shown goes on, or begins at 0 under a new tally id, and never a little below."""

import os
import signal
from contextlib import suppress
from types import SimpleNamespace

import pytest
from kit.figures import figure
from kit.mounts import Mounts
from kit.procfs import frozen
from kit.programs import Exporter
from kit.servers import Redis
from kit.tally import Tally
from kit.wait import wait_until
from load import messages
from scope import Scope, is_kept, passed, site_in, the_machine_starts
from watch import Watch

SELDOM = 5.0  # seconds between two pushes
KEPT, AHEAD = 0, 1


class Host:
    """A milterscope, its Redis on the same machine or another, and an exporter that is watched."""

    def __init__(self, parts, name, push_interval):
        folder = SimpleNamespace(disk=parts.folder.disk / name / "there")
        folder.disk.mkdir(parents=True)
        self.redis = parts.start(Redis(folder))
        site = site_in(parts, f"{name}_host", self.redis.url, redis={"push_interval": push_interval, "timeout": 1.0})
        self.scope = parts.start(Scope(site))
        self.exporter = parts.start(Exporter(site))
        self.site = site

    def mail(self, count):
        """Returns how many messages have passed by now."""
        messages(self.scope, count)
        return self.scope.passed()

    def shown(self):
        """Messages that passed; None: totals are absent."""
        values = self.exporter.metrics().values
        return passed(values) if any(series.startswith("milterscope_messages_total") for series in values) else None

    def wait_shown(self, least):
        wait_until(lambda: (self.shown() or 0) >= least, lambda: f"{least} messages are shown; it is {self.shown()}")

    def wait_ahead(self, state):
        def is_so():
            with suppress(FileNotFoundError):  # the first copy takes a moment
                return (self.tally().header.ahead, Tally(self.site.state_directory).header.ahead) == (state, state)

        wait_until(is_so, f"the tally, and its copy, are {'ahead' if state else 'kept'}")

    def tally(self):
        return self.scope.tally()

    def power_fails(self, also=lambda: None):
        """And the machine starts: the exporter first."""
        self.exporter.process.stop(signal.SIGKILL)
        self.scope.kill()
        also()
        the_machine_starts(self.site)
        self.exporter.start()

    def start(self, watch):
        watch.wait()
        self.scope.start()
        wait_until(lambda: self.shown() is not None, "totals are shown again")
        self.wait_shown(self.mail(3))
        watch.wait(3)


@pytest.fixture
def host(own_parts, request):
    name = request.node.callspec.id if hasattr(request.node, "callspec") else request.node.name.removeprefix("test_")
    return Host(own_parts, name.replace(" ", "_"), getattr(request, "param", 1.0))


def kept_messages(host, count):
    """So many are counted, shown, and sure to be raised after a failure."""
    host.wait_shown(host.mail(count))
    wait_until(lambda: is_kept(host.site), "what is shown is kept by Redis")


def never_stepped_back(watch, resets=1):
    """But for a new tally id."""
    assert watch.node.scrapes > 0 and not watch.node.faults, watch.node.faults
    assert watch.node.resets <= resets


def test_redis_held_all_that_was_shown(host):
    kept_messages(host, 20)
    before = host.tally().id
    with Watch(host.exporter) as watch:
        host.mail(3)  # pushed or not
        watch.wait(1)
        host.power_fails()
        host.start(watch)
    assert host.tally().id == before
    never_stepped_back(watch, resets=0)
    figure(f"power failed: {watch.check(host.scope.counts())}")


def redis_starts_anew(host):
    """From what it had saved."""
    os.kill(host.redis.pid, signal.SIGKILL)
    host.redis.start()


def test_redis_lost_what_was_shown(host):
    """On the same machine, where its last snapshot is old, as it is by default."""
    kept_messages(host, 10)
    host.redis.command("SAVE")
    host.wait_shown(host.mail(10))
    before = Tally(host.site.state_directory).id
    with Watch(host.exporter) as watch:
        watch.wait()
        host.power_fails(also=lambda: redis_starts_anew(host))
        assert int(host.redis.command("HLEN", host.site.key("counters"))[0]) > 0
        watch.wait()
        assert host.shown() is None  # Redis would say less than before
        host.start(watch)
    assert host.scope.lines("Redis does not hold them: a new tally begins at 0")
    assert host.tally().id != before
    never_stepped_back(watch)


def test_redis_was_hung(host):
    """Everything is shown, and the copy bears the mark of it: Redis is the same afterwards, and holds less."""
    kept_messages(host, 10)
    with Watch(host.exporter) as watch:
        with frozen(host.redis.pid):
            host.wait_shown(host.mail(10))
            host.wait_ahead(AHEAD)
            watch.wait()
            host.power_fails()
        wait_until(lambda: host.redis.command("PING") == ["PONG"], "Redis answers")
        watch.wait()
        assert host.shown() is None
        host.start(watch)
    assert host.scope.lines("a new tally begins at 0")
    never_stepped_back(watch)


def test_redis_is_back(host):
    """What was shown meanwhile is not taken back, nor is it after a failure that comes then."""
    kept_messages(host, 10)
    with Watch(host.exporter) as watch:
        host.redis.stop()
        host.wait_shown(host.mail(10))
        host.wait_ahead(AHEAD)
        host.redis.start()
        host.mail(5)
        host.wait_ahead(KEPT)
        wait_until(lambda: is_kept(host.site), "what is shown is kept by Redis")
        before = host.tally().id
        watch.wait()
        host.power_fails()
        host.start(watch)
    assert host.tally().id == before
    never_stepped_back(watch, resets=0)
    watch.check(host.scope.counts())


@pytest.mark.parametrize("host", [SELDOM], indirect=True, ids=["seldom"])
def test_pushes_are_seldom(host):
    """No exporter is as late as pushes are: everything is shown, and a failure begins a new tally."""
    with Watch(host.exporter) as watch:
        host.wait_shown(host.mail(5))
        wait_until(lambda: host.redis.hash(host.site.key("counters")), "the first push has come")
        host.wait_ahead(AHEAD)
        host.wait_shown(host.mail(5))
        before = host.tally().id
        host.power_fails()
        host.start(watch)
    assert host.tally().id != before
    never_stepped_back(watch)


def test_clean_stop_is_no_failure(host):
    """The copy holds all: it is shown before milterscope starts, also where Redis never heard of it."""
    kept_messages(host, 10)
    host.redis.stop()
    counted = host.mail(10)
    assert host.scope.stop() == 0
    with Watch(host.exporter) as watch:
        host.exporter.process.stop(signal.SIGKILL)
        the_machine_starts(host.site)
        host.redis.start()
        host.exporter.start()
        host.wait_shown(counted)
        host.start(watch)
    never_stepped_back(watch, resets=0)
    watch.check(host.scope.counts())


def test_mark_of_the_clean_stop_stays(own_parts, redis):
    """On a state directory that was read-only at the start: the copy would be gone on with after the failure, as if nothing
    had been counted since. So that is counted under another tally id."""
    site = site_in(own_parts, "unmarked", redis.url)
    mounts = own_parts.start(Mounts({site.state_directory: "size=1m"}))
    scope = own_parts.start(Scope(site, enter=mounts.enter))
    messages(scope, 10)
    counted, first = scope.passed(), scope.tally().id
    assert scope.stop() == 0
    mounts.remount(site.state_directory, "ro")
    scope.start()
    assert scope.lines("it cannot be gone on with: a new tally begins at 0")
    assert scope.tally().id != first
    messages(scope, 5)
    scope.kill()
    mounts.remount(site.state_directory, "rw")
    disk = mounts.inside(site.state_directory)
    the_machine_starts(SimpleNamespace(run_directory=site.run_directory, state_directory=disk))
    scope.start()
    assert (scope.tally().id, scope.passed()) == (first, counted)
