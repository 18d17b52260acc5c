"""Run and state directories that are missing, read-only or full, at the start and while milterscope runs: mail flows, all of
it is counted, somebody is told, and nothing is lost when they are there again."""

import shutil
import signal
from types import SimpleNamespace

import pytest
from in_redis import gauge, in_step, wait_in_redis
from kit.figures import figure
from kit.mounts import Mounts
from kit.tally import FILE, Tally
from kit.wait import wait_until
from load import messages
from mail import COMMAND_TIMEOUT, Traffic, send
from scope import PASSED, Scope, site_in

USUAL = "size=1m"
# {how the run directory is: (options of its tmpfs, what is said)}; in the last one there is room, but for no file
HARMED = {
    "read-only": ("ro", "Read-only file system"),
    "full": ("size=1m,nr_inodes=1", "No space left on device"),
}


@pytest.fixture
def mounts(own_parts):
    return own_parts.start(Mounts({}))


def kill_children(scope):
    """Filter and pusher are started again with what there is."""
    for name in ("filter", "pusher"):
        scope.wait_child(name, scope.signal_child(name, signal.SIGKILL))
    wait_until(scope.answers, "another filter answers")


def check_lives(scope, postfix, redis, passed):
    """Mail is observed and comes to Redis, also by another filter and another pusher, also by those of a planned restart.
    Returns how many messages passed, with those before."""
    send(postfix)
    wait_in_redis(redis, scope, passed + 1)
    kill_children(scope)
    send(postfix)
    wait_in_redis(redis, scope, passed + 2)
    scope.process.send(signal.SIGUSR2)
    scope.wait_said("takes over from filter")
    send(postfix)
    wait_in_redis(redis, scope, passed + 3)
    return passed + 3


def check_persistent(scope, redis, yes):
    wait_until(lambda: gauge(redis, scope, "tally_persistent") == yes, f"tally_persistent {yes}")
    assert bool(scope.lines("totals live in anonymous memory")) == (not yes)


# ---- the run directory ----


def test_run_directory_is_missing_at_the_start(own_parts, attached_site, postfix, redis):
    """It is made."""
    attached_site.run_directory.rmdir()
    scope = own_parts.start(Scope(attached_site))
    send(postfix)
    wait_in_redis(redis, scope, 1)
    check_persistent(scope, redis, 1)
    assert scope.passed() == 1


@pytest.mark.parametrize("how", HARMED)
def test_run_directory_is_harmed_at_the_start(own_parts, mounts, attached_site, postfix, redis, how):
    """Totals live in anonymous memory, and in the copy of the stop."""
    options, why = HARMED[how]
    folder = attached_site.run_directory
    mounts.cover(folder, options)
    scope = own_parts.start(Scope(attached_site, enter=mounts.enter))
    assert len(scope.lines(f"{folder} cannot be written: {why}; a second milterscope")) == 1
    assert len(scope.lines(f"{folder}/{FILE} cannot be made: {why}")) == 1
    check_persistent(scope, redis, 0)
    passed = check_lives(scope, postfix, redis, 0)
    assert scope.stop() == 0
    mounts.uncover(folder)
    scope.start()
    assert scope.passed() == passed
    send(postfix)
    wait_in_redis(redis, scope, passed + 1)
    check_persistent(scope, redis, 1)


@pytest.mark.parametrize("how", HARMED)
def test_run_directory_is_harmed_while_it_runs(own_parts, mounts, attached_site, postfix, redis, how):
    """The totals go on where they are. They survive a stop and a start meanwhile, and another when all is well again."""
    folder = attached_site.run_directory
    scope = own_parts.start(Scope(attached_site, enter=mounts.enter))
    with Traffic(postfix) as traffic:
        traffic.wait(5)
        mounts.cover(folder, HARMED[how][0])
        traffic.wait(10)
    figure(f"run directory {how} while it runs: slowest answer {traffic.slowest:.2f} s")
    assert traffic.slowest < COMMAND_TIMEOUT
    wait_in_redis(redis, scope, traffic.messages)
    passed = check_lives(scope, postfix, redis, traffic.messages)
    assert not scope.lines("died: exit status")
    scope.restart()
    check_persistent(scope, redis, 0)
    passed = check_lives(scope, postfix, redis, passed)
    assert scope.stop() == 0
    mounts.uncover(folder)
    scope.start()
    assert scope.lines("are older than their copy")
    assert scope.passed() == passed
    send(postfix)
    wait_in_redis(redis, scope, passed + 1)
    check_persistent(scope, redis, 1)


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_totals_stay_in_a_read_only_run_directory(own_parts, attached_site, postfix, redis, end):
    """A run that cannot replace them goes on from them. When it ends they are still there, and older than what it has
    counted. Its copy is taken: after a stop it has it all; after a kill it is settled as after a power failure, and nothing
    that was shown under this tally id is lower."""
    folder = attached_site.run_directory
    mounts = own_parts.start(Mounts({folder: USUAL}))
    scope = own_parts.start(Scope(attached_site, enter=mounts.enter))
    send(postfix, 2)
    scope.wait_passed(2)
    assert scope.stop() == 0
    mounts.remount(folder, "ro")
    scope.start()
    check_persistent(scope, redis, 0)
    send(postfix, 3)
    wait_in_redis(redis, scope, 5)
    assert (scope.stop if end == "stopped" else scope.kill)() in (0, -signal.SIGKILL)
    before = Tally(mounts.inside(folder)).id
    mounts.remount(folder, "rw")
    scope.start()
    assert scope.lines("are older than their copy")
    wait_until(lambda: PASSED in scope.dump().values, "the totals are settled")
    same = Tally(mounts.inside(folder)).id == before
    assert same or end == "killed"
    passed = 5 if same else 0
    assert scope.passed() == passed
    send(postfix)
    wait_in_redis(redis, scope, passed + 1)


# ---- the state directory ----


@pytest.fixture(scope="module", autouse=True)
def without_copies(parts, redis):
    """A copy is made every ten seconds: those of the first one begin to fail while other tests run."""
    site = site_in(parts, "removed", redis.url)
    removed = parts.start(Scope(site))
    wait_until((site.state_directory / FILE).exists, "the first copy")
    shutil.rmtree(site.state_directory)
    site = site_in(parts, "never_there", redis.url)
    site.state_directory = site.folder.disk / "nowhere" / "state"
    site.write(state_directory=str(site.state_directory))
    return SimpleNamespace(removed=removed, never_there=parts.start(Scope(site)))


@pytest.mark.parametrize("how", ["removed", "never_there"])
def test_state_directory_is_missing(without_copies, redis, how):
    scope = getattr(without_copies, how)
    folder = scope.site.state_directory
    scope.wait_said(f"{folder}/{FILE} cannot be written: No such file or directory; the totals of this run would not survive")
    messages(scope, 5)
    counted = scope.passed()
    assert counted > 0
    in_step(redis, scope)
    assert scope.value("filter_restarts_total") == scope.value("pusher_restarts_total") == 0
    assert scope.value("tally_persistent") == 1
    scope.kill()
    folder.parent.mkdir(exist_ok=True)
    scope.start()  # makes the folder
    assert scope.passed() == counted  # they are where they were
    wait_until((folder / FILE).exists, "a copy")
    assert Tally(folder).id == scope.tally().id
