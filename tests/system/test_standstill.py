"""Processes that hang, a machine that pauses, power that fails: mail goes on, and no total steps back."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from in_redis import wait_in_redis
from kit.figures import figure
from kit.procfs import frozen, is_alive
from kit.tally import SETTLING, Tally
from kit.threads import bury, names, stopped
from kit.wait import pass_time, wait_until
from mail import COMMAND_TIMEOUT, Session, send
from scope import PASSED, Scope, site_in, the_machine_starts

# ---- hung ----


def test_filter_hangs(scope, postfix):
    with Session(postfix) as before, Session(postfix) as during:
        before.message()
        during.begin_message()
        scope.wait_passed(1)
        hung = scope.signal_child("filter", signal.SIGSTOP)
        began = time.monotonic()
        during.finish_message()
        slowest = max(during.slowest, send(postfix))
        scope.wait_child("filter", hung)
        seconds = time.monotonic() - began
        figure(f"hung filter: replaced, and mail goes on, after {seconds:.1f} s; slowest answer {slowest:.1f} s")
        assert slowest < COMMAND_TIMEOUT
    scope.wait_said(f"filter {hung} does not answer, killed")
    assert not is_alive(hung)
    assert scope.value("filter_restarts_total") == 1
    scope.wait_passed(2)  # not the one that the hung filter had seen
    send(postfix)
    scope.wait_passed(3)
    scope.wait_value(1, "filter_up")


@pytest.mark.skipif(os.geteuid() != 0, reason="the filter lets nobody but root look at it")
def test_libmilter_hangs(scope, postfix):
    """All threads but our own stand still: the heartbeat goes on, and only the check over the milter socket tells."""
    send(postfix)
    scope.wait_passed(1)
    hung = scope.child("filter")
    threads = [thread for thread, name in names(hung).items() if name != "control"]
    assert len(threads) == len(names(hung)) - 1
    with stopped(threads), ThreadPoolExecutor(1) as aside:
        sending = aside.submit(send, postfix)
        scope.wait_said(f"filter {hung} does not answer, killed")
        wait_until(lambda: bury(threads), "the hung filter has died")
        scope.wait_child("filter", hung)
        slowest = sending.result()
    figure(f"hung libmilter: slowest answer {slowest:.1f} s")
    assert slowest < COMMAND_TIMEOUT
    assert not scope.lines("taken away")
    scope.wait_value(1, "filter_up")
    send(postfix)
    wait_until(lambda: scope.passed() >= 2, "mail is observed again")
    assert scope.value("filter_restarts_total") == 1


def test_pusher_hangs(scope, postfix, redis):
    send(postfix)
    wait_in_redis(redis, scope, 1)
    hung = scope.signal_child("pusher", signal.SIGSTOP)
    slowest = send(postfix)
    scope.wait_passed(2)
    assert slowest < COMMAND_TIMEOUT
    scope.wait_child("pusher", hung)
    scope.wait_said(f"pusher {hung} hangs, killed")
    wait_in_redis(redis, scope, 2)
    assert scope.value("pusher_restarts_total") == 1
    assert scope.value("filter_restarts_total") == 0


@pytest.mark.parametrize("who", ["supervisor", "all"])
def test_the_machine_pauses(scope, postfix, who):
    """A machine that stands still for a while (a snapshot, a migration) is no filter that hangs."""
    send(postfix)
    scope.wait_passed(1)
    filter_, pusher = scope.child("filter"), scope.child("pusher")
    pids, seconds = {"supervisor": ((scope.pid,), 4), "all": ((scope.pid, filter_, pusher), 11)}[who]
    with frozen(*pids):
        pass_time(seconds)
    scope.wait_said("stood still for")
    send(postfix)
    scope.wait_passed(2)
    pass_time(1.5)  # for another check
    assert (scope.child("filter"), scope.child("pusher")) == (filter_, pusher)
    assert not scope.lines("killed")


# ---- power fails ----


@pytest.fixture(scope="module", autouse=True)
def redis_is_never_reached(parts):
    """Begins to wait for Redis before all other tests, since that takes a minute."""
    site = site_in(parts, "never_reached")
    scope = parts.start(Scope(site))
    scope.stop_at_once()
    the_machine_starts(site)
    copy = Tally(site.state_directory).set_total(PASSED, 7).set_changing(clean=0).save()
    scope.start()
    scope.copy_id = copy.id
    return scope


@pytest.fixture
def after_power_failure(scope, postfix, redis):
    """Not running. The copy on the disk is older than Redis, which holds five messages."""
    scope.site.write(redis={"timeout": 0.5})
    send(postfix, 2)
    scope.wait_passed(2)
    scope.restart()
    copy = Tally(scope.site.state_directory)
    send(postfix, 3)
    wait_in_redis(redis, scope, 5)
    scope.kill()
    copy.save()  # for the case that it was made again meanwhile
    the_machine_starts(scope.site)
    assert copy.total(PASSED) == 2
    return scope


def totals_are_absent(scope):
    return PASSED not in scope.dump().values and scope.tally().header.state == SETTLING


def test_totals_are_raised_to_what_redis_holds(after_power_failure, postfix, redis):
    scope = after_power_failure
    before = Tally(scope.site.state_directory).id
    with frozen(redis.pid):
        scope.start()
        assert totals_are_absent(scope)
        send(postfix)
        scope.wait_value(0, "sessions_active")
        assert totals_are_absent(scope)
    scope.wait_passed(6)
    assert scope.tally().id == before
    assert scope.lines("totals raised to what Redis holds")
    wait_in_redis(redis, scope, 6)


@pytest.mark.parametrize("who", ["nobody", "somebody else"])
def test_redis_does_not_hold_the_totals(after_power_failure, postfix, redis, who):
    scope = after_power_failure
    before = Tally(scope.site.state_directory).id
    if who == "nobody":
        redis.command("DEL", scope.site.key("meta"), scope.site.key("counters"))
    else:
        redis.command("HSET", scope.site.key("meta"), "owner", "f" * 32 + ":00000000-0000-4000-8000-000000000000")
    with frozen(redis.pid):
        scope.start()
        send(postfix)
        scope.wait_value(0, "sessions_active")
        assert totals_are_absent(scope)
    scope.wait_passed(1)
    assert scope.tally().id != before
    assert scope.lines("a new tally begins at 0")
    wait_in_redis(redis, scope, 1)


@pytest.mark.parametrize("then", ["restart", "reboot"])
def test_stop_before_redis_was_asked(after_power_failure, postfix, redis, then):
    scope = after_power_failure
    copy = Tally(scope.site.state_directory)
    with frozen(redis.pid):
        scope.start()
        send(postfix)
        assert scope.stop() == 0
    assert not scope.lines("died")
    assert Tally(scope.site.state_directory).data == copy.data
    if then == "reboot":
        the_machine_starts(scope.site)
    scope.start()
    scope.wait_passed({"restart": 6, "reboot": 5}[then])
    assert scope.tally().id == copy.id


def test_redis_is_not_reached_in_a_minute(redis_is_never_reached):
    scope = redis_is_never_reached
    scope.wait_said("Redis cannot be asked: a new tally begins at 0")
    assert scope.dump().values[PASSED] == 0
    assert scope.tally().id != scope.copy_id
