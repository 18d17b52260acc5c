"""Tallies that are damaged, also while they are in use, and disks that are full or read-only: the run goes on, and says
so."""

import os
import random
import re
import shutil
import time
from types import SimpleNamespace

import pytest
from in_redis import Trace, gauge, wait_in_redis
from kit.figures import figure
from kit.mounts import Mounts
from kit.programs import Exporter
from kit.tally import CONSTANT, FILE, Tally, header_of
from kit.wait import GENEROUS, pass_time, wait_until
from mail import COMMAND_TIMEOUT, Traffic, send
from scope import PASSED, Scope, passed, site_in

COPY_INTERVAL = 10  # seconds


@pytest.fixture
def site(parts, request):
    return site_in(parts, re.sub("[^a-z_]", "_", request.node.name.removeprefix("test_")))


# ---- damaged tallies ----


def flip(at):
    def damage(data):
        changed = bytearray(data)
        changed[at(changed) if callable(at) else at] ^= 0x20
        return bytes(changed)

    return damage


def names_begin(data):
    return header_of(data).names_at


RANDOM = random.Random(1)
DAMAGES = {
    "magic": flip(0),
    "version": flip(8),
    "size": flip(24),
    "where the domains are": flip(40),
    "where the totals are": flip(48),
    "boot id": flip(CONSTANT.size - 40),
    "checksum": flip(CONSTANT.size),
    "first name": flip(lambda data: names_begin(data) + 3),
    "last name": flip(-3),
    "end of a name": lambda data: data[:-5] + b"\0" + data[-4:],
    "nothing": lambda data: b"",
    "100 bytes": lambda data: data[:100],
    "4096 bytes": lambda data: data[:4096],
    "a byte less": lambda data: data[:-1],
    "a byte more": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
    "random bytes": lambda data: RANDOM.randbytes(len(data)),
    "random after the header": lambda data: data[:192] + RANDOM.randbytes(len(data) - 192),
}


@pytest.fixture(scope="module")
def sound(parts):
    """A folder with a tally and one with its clean copy, each with five messages."""
    site = site_in(parts, "sound")
    with Scope(site) as scope:
        assert scope.stop() == 0
    Tally(site.run_directory).set_total(PASSED, 5).save()
    Tally(site.state_directory).set_total(PASSED, 5).save()
    return site


def check_moved_aside(scope, folder, damaged):
    aside = [path for path in folder.iterdir() if ".damaged-" in path.name]
    assert [path.read_bytes() for path in aside] == [damaged]
    assert re.fullmatch(rf"{FILE}\.damaged-\d{{8}}T\d{{6}}Z", aside[0].name)
    assert len(scope.lines(f"moved to {aside[0]}")) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tally(own_parts, site, sound, damage):
    damaged = DAMAGES[damage]((sound.run_directory / FILE).read_bytes())
    (site.run_directory / FILE).write_bytes(damaged)
    shutil.copy(sound.state_directory / FILE, site.state_directory)
    scope = own_parts.start(Scope(site))
    check_moved_aside(scope, site.run_directory, damaged)
    assert scope.passed() == 5
    assert scope.tally().id == Tally(sound.run_directory).id


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_copy(own_parts, site, sound, damage):
    damaged = DAMAGES[damage]((sound.state_directory / FILE).read_bytes())
    (site.state_directory / FILE).write_bytes(damaged)
    scope = own_parts.start(Scope(site))
    check_moved_aside(scope, site.state_directory, damaged)
    assert scope.passed() == 0
    assert scope.tally().id != Tally(sound.run_directory).id


def test_damaged_total_in_a_copy(own_parts, site, sound):
    """A wrong number must not be believed."""
    copy = Tally(sound.state_directory)
    copy.data[copy.total_at(PASSED)] ^= 1
    (site.state_directory / FILE).write_bytes(copy.data)
    scope = own_parts.start(Scope(site))
    check_moved_aside(scope, site.state_directory, copy.data)
    assert scope.passed() == 0


def test_folder_in_place_of_the_tally(own_parts, site):
    (site.run_directory / FILE).mkdir()
    scope = own_parts.start(Scope(site))
    assert scope.lines("anonymous memory")


# ---- tallies that are harmed while they are in use ----


def overwrite(begins, ends, byte=None):
    """Puts other bytes, random ones where none is said, into the file that is mapped."""

    def harm(tally):
        count = ends(tally.header) - begins(tally.header)
        with open(tally.path, "r+b", buffering=0) as file:
            file.seek(begins(tally.header))
            file.write(RANDOM.randbytes(count) if byte is None else bytes([byte]) * count)

    return harm


HARMS = {
    "cut": (lambda tally: os.truncate(tally.path, 0), "was cut"),
    "header": (overwrite(lambda header: 0, lambda header: CONSTANT.size), "was overwritten"),
    "totals": (overwrite(lambda header: header.totals_at, lambda header: header.kept_at, 0x7F), "was overwritten"),
    "processes": (overwrite(lambda header: header.processes_at, lambda header: header.names_at), "was overwritten"),
}


class Shown(Trace):
    """All that Redis shows, whatever the tally is like meanwhile."""

    def take(self, at, pairs):
        self.looks += 1
        words = [word.decode() for word in pairs]
        held = {name: int(value.replace(".", "")) for name, value in zip(words[::2], words[1::2], strict=True)}
        self.states.append(SimpleNamespace(at=at, totals=held))


@pytest.mark.parametrize("harm", HARMS)
def test_tally_in_use_is_harmed(own_parts, scope, postfix, redis, harm):
    """Mail goes on. The run begins again with the totals that Redis and the copy hold; nothing else is ever shown."""
    exporter = own_parts.start(Exporter(scope.site))
    do, words = HARMS[harm]
    send(postfix, 3)
    wait_in_redis(redis, scope, 3)
    before = scope.tally()
    highest, give_up = [], time.monotonic() + GENEROUS
    with Shown(redis, scope) as shown, Traffic(postfix) as traffic:
        do(before)
        while len(highest) < 3 or not scope.lines(f"the file of the tally {words}: starting again"):
            highest.append(max(exporter.metrics().counts().values()))
            assert scope.process.popen.poll() is None
            assert time.monotonic() < give_up, "nobody notices"
        scope.wait_said(" serves ", 2)
        wait_until(lambda: scope.passed() >= 3, "the totals are there again")
        traffic.wait(10)
        highest.append(max(exporter.metrics().counts().values()))
    assert traffic.slowest < COMMAND_TIMEOUT
    figure(f"{harm} of the tally in use: slowest answer {traffic.slowest:.2f} s")
    aside = [path.name for path in scope.site.run_directory.iterdir() if ".damaged-" in path.name]
    assert len(aside) == (0 if harm == "processes" else 1)  # those are of the run before, whatever they are
    assert not scope.lines("died: signal")
    assert scope.tally().id == before.id
    scope.wait_value(0, "sessions_active")
    assert 3 < scope.passed() <= 3 + traffic.messages
    wait_in_redis(redis, scope, scope.passed())
    assert shown.failure is None and shown.steps_back() == []
    most = 1 << 40
    assert max(max(state.totals.values()) for state in shown.states) < most
    assert max(highest) < most
    assert passed(exporter.metrics().values) >= 3


def test_run_directory_is_removed(scope, postfix, redis):
    """The totals are in memory as before; the copy of the stop brings them to the next run."""
    with Traffic(postfix) as traffic:
        traffic.wait(5)
        before = scope.tally().id
        shutil.rmtree(scope.site.run_directory)
        traffic.wait(20)
    assert traffic.slowest < COMMAND_TIMEOUT
    wait_in_redis(redis, scope, traffic.messages)
    scope.restart()
    assert (scope.passed(), scope.tally().id) == (traffic.messages, before)
    send(postfix)
    wait_in_redis(redis, scope, traffic.messages + 1)
    assert scope.value("filter_restarts_total") == 0


# ---- no room ----


@pytest.fixture
def tight(own_parts, attached_site):
    """The run directory has room for one tally and not for two."""
    attached_site.mounts = own_parts.start(Mounts({attached_site.run_directory: "size=384k"}))
    return attached_site


def test_run_directory_is_full(own_parts, tight, postfix, redis):
    """The filter runs on anonymous memory. The copy on the disk is all that survives."""
    filler = tight.mounts.fill(tight.run_directory)
    scope = own_parts.start(Scope(tight, enter=tight.mounts.enter))
    assert len(scope.lines(f"{tight.run_directory}/{FILE} cannot be made: No space left on device")) == 1
    assert len(scope.lines("totals live in anonymous memory")) == 1
    send(postfix, 2)
    wait_in_redis(redis, scope, 2)
    assert gauge(redis, scope, "tally_persistent") == 0
    filler.unlink()
    scope.restart()
    assert scope.passed() == 2
    wait_until(lambda: gauge(redis, scope, "tally_persistent") == 1, "the tally is in a file again")
    assert not scope.lines("anonymous memory")


def test_run_directory_has_no_room_for_a_second_tally(own_parts, tight, postfix, redis):
    """It takes the place of the first."""
    scope = own_parts.start(Scope(tight, enter=tight.mounts.enter))
    send(postfix, 1)
    wait_in_redis(redis, scope, 1)
    filler = tight.mounts.fill(tight.run_directory)
    for expected in (2, 3):
        scope.restart()
        assert not scope.lines("anonymous memory")
        send(postfix)
        wait_in_redis(redis, scope, expected)
    filler.unlink()
    scope.restart()
    assert scope.passed() == 3


# ---- what heals by itself, after a while ----


@pytest.fixture(scope="module", autouse=True)
def slow(parts):
    """Faults that are tried again slowly. They begin before all other tests, so that nobody has to wait."""
    return SimpleNamespace(full=no_room_for_copies(parts), read_only=read_only_copies(parts))


def no_room_for_copies(parts):
    site = site_in(parts, "state_full")
    mounts = parts.start(Mounts({site.state_directory: "size=384k"}))
    filler = mounts.fill(site.state_directory)
    scope = parts.start(Scope(site, enter=mounts.enter))
    scope.mounts, scope.cure = mounts, filler.unlink
    return scope


def read_only_copies(parts):
    site = site_in(parts, "state_read_only")
    mounts = parts.start(Mounts({site.state_directory: "size=1m"}))
    mounts.remount(site.state_directory, "ro")
    scope = parts.start(Scope(site, enter=mounts.enter))
    scope.mounts, scope.cure = mounts, lambda: mounts.remount(site.state_directory, "rw")
    return scope


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_state_directory_cannot_be_written(slow):
    why = {slow.full: "No space left on device", slow.read_only: "Read-only file system"}
    left = {slow.full: ["filler"], slow.read_only: []}
    for scope, words in why.items():
        scope.wait_said(f"{scope.site.state_directory}/{FILE} cannot be written: {words}; the totals")
        pass_time(scope.began + 2 * COPY_INTERVAL - time.monotonic())  # it has tried again
        assert len(scope.lines("cannot be written")) == 1
        assert scope.answers()
        assert names_in(scope.mounts.inside(scope.site.state_directory)) == left[scope]
    for scope in why:
        scope.cure()
    for scope in why:
        scope.wait_said(f"the tally is copied to {scope.site.state_directory} again")
        assert len(scope.lines("cannot be written")) == 1
        assert Tally(scope.mounts.inside(scope.site.state_directory)).id == scope.tally().id
