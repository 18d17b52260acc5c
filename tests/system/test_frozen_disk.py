"""The disk of state_directory stands still, as while a snapshot is made of it: whoever writes to it waits, and no
signal ends that. Mail, counts and pushes go on; a stop comes to its end."""

import signal
import time

import pytest
from in_redis import wait_in_redis
from kit.figures import figure
from kit.mounts import HangingDisk, Mounts
from kit.tally import FILE, Tally
from kit.wait import GENEROUS, wait_until
from mail import COMMAND_TIMEOUT, Traffic, send
from scope import Scope, copy_programs, replace


@pytest.fixture
def disk(own_parts, attached_site):
    mounts = own_parts.start(Mounts({}))
    return own_parts.start(HangingDisk(mounts, attached_site.state_directory))


@pytest.fixture
def scope(own_parts, attached_site, disk, postfix, redis):
    """One whose first copy and first message are where they belong."""
    attached_site.write(redis={"timeout": 0.5})
    scope = own_parts.start(Scope(attached_site, enter=disk.mounts.enter))
    wait_until(lambda: (copies(scope, disk) / FILE).exists(), "the first copy")
    send(postfix)
    wait_in_redis(redis, scope, 1)
    return scope


def copies(scope, disk):
    """Where we see them. To be looked at only while the disk goes on: we would wait with all others."""
    return disk.mounts.inside(scope.site.state_directory)


def test_the_disk_stands_still(scope, disk, postfix, redis):
    first = Tally(copies(scope, disk))
    disk.hang()
    killed = scope.signal_child("pusher", signal.SIGKILL)
    pusher = scope.wait_child("pusher", killed)  # begins with a copy
    wait_until(lambda: disk.held > 0, "a copy waits for the disk")
    with Traffic(postfix) as traffic:
        traffic.wait(100)
    scope.wait_passed(1 + traffic.messages)
    wait_in_redis(redis, scope, 1 + traffic.messages)
    figure(f"frozen disk: {traffic.messages} messages, all in Redis, slowest answer {traffic.slowest:.2f} s")
    assert traffic.slowest < COMMAND_TIMEOUT
    assert scope.child("pusher") == pusher
    disk.go_on()
    wait_until(lambda: Tally(copies(scope, disk)).header.starts > first.header.starts, "the copy that waited is made")
    assert scope.value("filter_restarts_total") == 0


def test_stop_while_the_disk_stands_still(scope, disk, postfix):
    """The last copy is not made, and what waits for the disk is left behind. The totals are in memory."""
    disk.hang()
    began = time.monotonic()
    assert scope.stop() == 0
    figure(f"frozen disk: stopped after {time.monotonic() - began:.1f} s")
    assert disk.held > 0
    assert scope.lines("does not end: the disk of state_directory holds it")
    send(postfix)  # unobserved
    disk.go_on()
    scope.start()
    assert scope.passed() == 1
    send(postfix)
    scope.wait_passed(2)


def test_stop_without_a_pusher_while_the_disk_stands_still(own_parts, attached_site, disk, postfix):
    """Then the supervisor makes the last copy. It does not wait for ever either."""
    programs = copy_programs(attached_site.folder.disk)
    replace(programs / "milterscope-pusher", "/bin/false")
    scope = own_parts.start(Scope(attached_site, programs, disk.mounts.enter))
    send(postfix)
    scope.wait_passed(1)
    disk.hang()
    scope.process.send(signal.SIGTERM)
    assert scope.process.popen.wait(GENEROUS) == 0
    assert disk.held > 0
    assert scope.lines(f"the last copy of the tally is not made: {attached_site.state_directory} does not go on")
    disk.go_on()
    scope.wait_gone()
    assert not (copies(scope, disk) / FILE).exists()
    scope.start()
    assert scope.passed() == 1
    assert scope.stop() == 0
    assert Tally(copies(scope, disk)).header.clean == 1
