"""Processes that are killed, hang or are replaced: mail goes on, and the totals stay right. With a real Postfix, whose milter socket
stays the same for all tests."""

import os
import shutil
import signal
import socket as sockets
import time
from contextlib import closing

import pytest
from kit.metrics import number
from kit.place import BUILD
from kit.procfs import frozen, is_alive
from kit.servers import Postfix, Redis
from kit.tally import FILE, SETTLING, Tally
from kit.wait import wait_until
from scope import Scope, Session, Traffic, attached, send, site_in
from truth import metric

DRAIN = 20  # seconds that sessions get
COMMAND_TIMEOUT = 30  # Postfix's own, milter_command_timeout
PASSED = metric("messages_total", source="internal", verdict="passed")


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder))


@pytest.fixture(scope="module")
def socket(parts):
    return parts.folder.tmpfs / "milter.sock"


@pytest.fixture(scope="module")
def postfix(parts, socket):
    return parts.start(Postfix(parts.folder, attached(socket)))


@pytest.fixture
def site(own_parts, request, redis, socket):
    name = request.node.name.removeprefix("test_")
    return site_in(own_parts, name, redis.url, socket, milter={"socket_group": Postfix.account()["group"], "drain": DRAIN})


@pytest.fixture
def scope(own_parts, site):
    return own_parts.start(Scope(site))


def in_redis(redis, scope):
    """The messages that passed, as Redis knows them; None: it knows nothing."""
    value = redis.hash(scope.site.key("counters")).get(PASSED)
    return None if value is None else number(value)


def wait_in_redis(redis, scope, expected):
    wait_until(
        lambda: in_redis(redis, scope) == expected, lambda: f"{expected} in Redis; there is {in_redis(redis, scope)}"
    )


def pass_time(seconds):
    """Where time itself is what is tested."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, "time passes")


# ---- killed ----


def test_filter_killed(scope, postfix):
    send(postfix, 2)
    scope.wait_passed(2)
    socket = os.stat(scope.site.milter_socket).st_ino
    for times in (1, 2):
        killed = scope.signal_child("filter", signal.SIGKILL)
        scope.wait_child("filter", killed)
        scope.wait_said(f"filter {killed} died: signal 9 (Killed)")
        assert scope.value("filter_restarts_total") == times
    assert os.stat(scope.site.milter_socket).st_ino == socket
    assert scope.passed() == 2
    send(postfix, 3)
    scope.wait_passed(5)
    assert scope.value("pusher_restarts_total") == 0


def test_mail_while_filters_are_killed(scope, postfix):
    """All is accepted; uncounted is at most what was in a filter when it was killed."""
    kills, threads = 4, 2
    with Traffic(postfix, threads, most=1) as traffic:
        for _ in range(kills):
            traffic.wait(5)
            scope.wait_child("filter", scope.signal_child("filter", signal.SIGKILL))
        traffic.wait(5)
    scope.wait_value(0, "sessions_active")
    passed = scope.passed()
    print(f"\n{passed} of {traffic.messages} messages counted over {kills} kills, slowest answer {traffic.slowest:.2f} s")
    assert traffic.messages - kills * threads <= passed <= traffic.messages
    assert scope.value("filter_restarts_total") == kills


def test_pusher_killed(scope, postfix, redis):
    send(postfix)
    wait_in_redis(redis, scope, 1)
    epoch = int(redis.hash(scope.site.key("meta"))["epoch"])
    killed = scope.signal_child("pusher", signal.SIGKILL)
    scope.wait_child("pusher", killed)
    send(postfix, 2)
    wait_in_redis(redis, scope, 3)
    scope.wait_said(f"pusher {killed} died: signal 9 (Killed)")
    assert scope.value("pusher_restarts_total") == 1
    assert scope.value("filter_restarts_total") == 0
    assert int(redis.hash(scope.site.key("meta"))["epoch"]) == epoch + 1


def test_supervisor_killed(scope, postfix):
    send(postfix, 2)
    scope.wait_passed(2)
    before = scope.tally().id
    scope.kill()
    send(postfix)  # goes on, unobserved
    scope.start()
    assert (scope.passed(), scope.tally().id) == (2, before)
    for times in range(3, 13):  # without a breath in between
        scope.process.send(signal.SIGKILL)
        scope.process.popen.wait()
        scope.start()
        send(postfix)
        scope.wait_passed(times)
    assert not scope.lines("damaged")


# ---- hung ----


def test_filter_hangs(scope, postfix):
    with Session(postfix) as before, Session(postfix) as during:
        before.message()
        during.command("MAIL FROM:<a@ext.test>", 250)
        scope.wait_passed(1)
        hung = scope.signal_child("filter", signal.SIGSTOP)
        began = time.monotonic()
        during.command("RCPT TO:<alice@example.test>", 250)
        during.command("DATA", 354)
        during.body("Subject: hung\n\nText.\n", 250)
        slowest = max(during.slowest, send(postfix))
        scope.wait_child("filter", hung)
        print(f"\nreplaced, and mail goes on, after {time.monotonic() - began:.1f} s; slowest answer {slowest:.1f} s")
        assert slowest < COMMAND_TIMEOUT
    scope.wait_said(f"filter {hung} does not answer, killed")
    assert not is_alive(hung)
    assert scope.value("filter_restarts_total") == 1
    scope.wait_passed(2)  # not the one that the hung filter had seen
    send(postfix)
    scope.wait_passed(3)
    scope.wait_value(1, "filter_up")


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


# ---- planned restarts ----


def test_planned_restart_with_open_session(scope, postfix):
    old, old_pusher = scope.child("filter"), scope.child("pusher")
    with Session(postfix) as session:
        session.command("MAIL FROM:<a@ext.test>", 250)
        scope.process.send(signal.SIGUSR2)
        scope.wait_said("takes over from filter")
        scope.wait_child("pusher", old_pusher)
        with frozen(old):  # so it cannot be the one that counts
            send(postfix, 2)
            scope.wait_passed(2)
        session.command("RCPT TO:<alice@example.test>", 250)
        session.command("DATA", 354)
        session.body("Subject: old\n\nText.\n", 250)
        session.message()
        scope.wait_passed(4)
        assert scope.children("filter")[0] == old
        session.quit()
    scope.wait_said(f"filter {old} has drained: exit status 0")
    assert not is_alive(old)
    counts = scope.counts()
    assert counts[PASSED] == 4
    assert counts[metric("connections_total", client="internal")] == 2
    assert scope.value("filter_restarts_total") == scope.value("pusher_restarts_total") == 0


def test_nothing_is_lost_in_planned_restarts(scope, postfix, redis):
    with Traffic(postfix, threads=3) as traffic:
        for times in range(1, 6):
            scope.process.send(signal.SIGUSR2)
            scope.wait_said("takes over from filter", times)
            traffic.wait(40)
    print(f"\n{traffic.messages} messages in {traffic.sessions} sessions, slowest answer {traffic.slowest:.2f} s")
    scope.wait_passed(traffic.messages)
    scope.wait_value(0, "sessions_active")
    expected = {
        PASSED: traffic.messages,
        metric("connections_total", client="internal"): traffic.sessions,
        metric("recipients_total", source="internal", outcome="accepted"): traffic.messages,
        metric("spam_verdicts_total", source="internal", verdict="unscanned"): traffic.messages,
    }
    families = [series.split("{")[0] for series in expected]
    counts = {series: count for series, count in scope.counts().items() if series.split("{")[0] in families and count}
    assert counts == expected
    assert scope.value("filter_restarts_total") == scope.value("pusher_restarts_total") == 0
    wait_in_redis(redis, scope, traffic.messages)


def test_planned_restart_with_a_program_that_fails(own_parts, site, postfix):
    """The filter that serves goes on, and so does its count of deaths."""
    programs = programs_of_our_own(site.folder.disk)
    scope = own_parts.start(Scope(site, programs))
    old = scope.child("filter")
    replace(programs / "milterscope-filter", "/bin/false")
    with Session(postfix) as session:
        session.command("MAIL FROM:<a@ext.test>", 250)
        for times in (1, 2):
            scope.process.send(signal.SIGUSR2)
            scope.wait_said("died: exit status 1", times)
        session.command("RSET", 250)
        session.message()
    send(postfix)
    scope.wait_passed(2)
    assert scope.children("filter") == [old]
    assert scope.value("filter_restarts_total") == 0


# ---- the socket is taken away ----


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_socket_is_taken_away(scope, postfix, how):
    """It comes back by itself, and open sessions go on."""
    old, path = scope.child("filter"), scope.site.milter_socket
    with Session(postfix) as session:
        session.command("MAIL FROM:<a@ext.test>", 250)
        os.unlink(path)
        if how == "replaced":
            with closing(sockets.socket(sockets.AF_UNIX)) as other:
                other.bind(path)
        send(postfix)  # unobserved
        scope.wait_said("the milter socket was taken away, and is open again")
        wait_until(scope.answers, "the milter answers")
        send(postfix, 2)
        scope.wait_passed(2)
        session.command("RSET", 250)
        session.message()
        session.quit()
    scope.wait_passed(3)
    scope.wait_value(1, "filter_up")
    assert scope.child("filter") != old
    assert scope.value("filter_restarts_total") == 0
    assert not scope.lines("killed")


# ---- stop ----


def test_stop_with_open_session(scope, postfix):
    with Session(postfix) as session:
        session.command("MAIL FROM:<a@ext.test>", 250)
        scope.wait_value(1, "sessions_active")
        began = time.monotonic()
        scope.process.send(signal.SIGTERM)
        wait_until(lambda: not os.path.exists(scope.site.milter_socket), "the socket is taken away")
        send(postfix)  # unobserved
        session.command("RCPT TO:<alice@example.test>", 250)
        session.command("DATA", 354)
        session.body("Subject: last\n\nText.\n", 250)
        assert scope.process.popen.poll() is None
        session.quit()
    assert scope.wait_gone() == 0
    assert time.monotonic() - began < DRAIN
    assert scope.dump().values[PASSED] == 1
    scope.start()
    assert scope.dump().values[PASSED] == 1


def test_stop_when_the_drain_time_is_over(scope, postfix):
    scope.site.write(milter={"drain": 2})
    scope.process.send(signal.SIGUSR1)
    scope.wait_said("configuration reloaded")
    with Session(postfix) as session:
        scope.wait_value(1, "sessions_active")
        began = time.monotonic()
        assert scope.stop() == 0
        assert 2 <= time.monotonic() - began < DRAIN
        session.message()


def test_second_sigterm_stops_at_once(scope, postfix):
    with Session(postfix) as session:
        scope.wait_value(1, "sessions_active")
        began = time.monotonic()
        assert scope.stop_at_once() == 0
        assert time.monotonic() - began < DRAIN
        session.message()
    assert scope.lines("stopping at once")


# ---- reload ----


def test_reload(scope, postfix):
    reloaded = metric("config_last_reload_successful", program="filter")
    at = metric("config_last_reload_timestamp_seconds", program="filter")
    before = scope.dump().values
    with Session(postfix) as session:
        session.message()
        scope.site.write(trusted_networks=["10.0.0.0/8"])
        scope.process.send(signal.SIGUSR1)
        scope.wait_said("configuration reloaded")

        def external():
            send(postfix)
            return scope.value("connections_total", client="external") > 0

        wait_until(external, "the client of a new session is external")
        session.message()
        session.quit()
    internal = scope.value("connections_total", client="internal")
    scope.wait_value(internal + 1, "messages_total", source="internal", verdict="passed")  # an open session keeps what it has
    send(postfix)
    values = scope.dump().values
    assert values[metric("connections_total", client="internal")] == internal
    assert values[reloaded] == 1
    assert values[at] > before[at]
    assert scope.value("filter_restarts_total") == 0


def test_reload_of_a_broken_file(scope, postfix):
    at = metric("config_last_reload_timestamp_seconds", program="filter")
    before = scope.dump().values[at]
    good = scope.site.file.read_text()
    scope.site.file.write_text("trusted_networks: [10.0.0.0/8]\nmilter:\n  drain: for ever\n")
    scope.process.send(signal.SIGUSR1)
    scope.wait_said(f"{scope.site.file}:3:10: milter.drain")
    scope.wait_said("the configuration before stays in force")
    scope.site.file.write_text(good)  # for --dump
    scope.wait_value(0, "config_last_reload_successful", program="filter")
    send(postfix)
    scope.wait_passed(1)
    assert scope.dump().values[at] == before
    assert scope.value("connections_total", client="internal") == 1
    scope.process.send(signal.SIGUSR1)
    scope.wait_value(1, "config_last_reload_successful", program="filter")


def test_reload_of_what_needs_a_restart(scope, postfix):
    other = scope.site.folder.tmpfs / "other.sock"
    scope.site.write(milter={"socket": f"unix:{other}"})
    scope.process.send(signal.SIGUSR1)
    scope.wait_said("milter.socket has changed and needs a restart")
    scope.wait_said("configuration reloaded")
    assert not other.exists()
    send(postfix)
    scope.wait_passed(1)
    scope.site.write(milter={"socket": f"unix:{scope.site.milter_socket}"})


# ---- filters that die at once ----


def programs_of_our_own(folder):
    """A copy of the programs, that can be replaced."""
    own = folder / "programs"
    own.mkdir()
    for name in ("milterscope", "milterscope-filter", "milterscope-pusher"):
        shutil.copy(BUILD / name, own)
    return own


def replace(file, by):
    """As packages are installed: no process sees half a file."""
    shutil.copy(by, f"{file}.new")
    os.replace(f"{file}.new", file)


def test_crash_loop(own_parts, site, postfix):
    programs = programs_of_our_own(site.folder.disk)
    scope = own_parts.start(Scope(site, programs))
    send(postfix)
    scope.wait_passed(1)
    replace(programs / "milterscope-filter", "/bin/false")
    scope.signal_child("filter", signal.SIGKILL)
    scope.wait_said("milter socket closed for 10 s, mail passes unobserved")
    assert scope.lines("died: exit status 1")
    assert not os.path.exists(site.milter_socket)
    scope.wait_value(0, "filter_up")
    assert send(postfix) < COMMAND_TIMEOUT
    restarts = scope.value("filter_restarts_total")
    assert restarts == 5
    replace(programs / "milterscope-filter", BUILD / "milterscope-filter")
    scope.wait_said("milter socket open again")
    wait_until(scope.answers, "the milter answers")
    send(postfix)
    scope.wait_passed(2)
    scope.wait_value(1, "filter_up")
    assert scope.value("filter_restarts_total") == restarts


def test_another_version_is_installed_and_does_not_fit(own_parts, site, postfix):
    """Half of an upgrade: the supervisor starts itself again, without haste, until filter and supervisor fit."""
    programs = programs_of_our_own(site.folder.disk)
    scope = own_parts.start(Scope(site, programs))
    send(postfix)
    scope.wait_passed(1)
    other = site.folder.disk / "other"
    other.write_text("#!/bin/sh\nexit 76\n")
    other.chmod(0o755)
    replace(programs / "milterscope-filter", other)
    scope.process.send(signal.SIGUSR2)
    began = time.monotonic()
    words = "another version is installed: starting again"
    scope.wait_said(words, 2)
    pass_time(3)
    times = len(scope.lines(words))
    print(f"\nstarted itself again {times} times in {time.monotonic() - began:.1f} s")
    assert times < 10
    send(postfix)  # goes on
    replace(programs / "milterscope-filter", BUILD / "milterscope-filter")
    wait_until(scope.answers, "the milter answers")
    before = scope.passed()
    send(postfix)
    scope.wait_passed(before + 1)
    assert before == 1


def test_pusher_that_dies_at_once(own_parts, site, postfix, redis):
    programs = programs_of_our_own(site.folder.disk)
    scope = own_parts.start(Scope(site, programs))
    replace(programs / "milterscope-pusher", "/bin/false")
    scope.signal_child("pusher", signal.SIGKILL)
    scope.wait_said("died: exit status 1", 3)
    send(postfix)
    scope.wait_passed(1)
    replace(programs / "milterscope-pusher", BUILD / "milterscope-pusher")
    wait_in_redis(redis, scope, 1)
    assert scope.value("pusher_restarts_total") >= 4
    assert scope.value("filter_restarts_total") == 0


# ---- totals over a restart ----


def the_machine_starts(site):
    """What is on tmpfs is gone, and all else is of another boot."""
    (site.run_directory / FILE).unlink()
    Tally(site.state_directory).of_another_boot().save()


def test_totals_over_a_clean_restart(scope, postfix):
    send(postfix, 3)
    scope.wait_passed(3)
    before = scope.tally()
    assert scope.stop() == 0
    last = scope.counts()
    copy = Tally(scope.site.state_directory)
    assert (copy.header.clean, copy.id) == (1, before.id)
    scope.start()
    assert Tally(scope.site.state_directory).header.clean == 0
    assert scope.tally().id == before.id
    now = scope.counts()
    assert [series for series, count in last.items() if now[series] < count] == []
    assert now[PASSED] == 3


def test_totals_when_the_run_directory_was_emptied(scope, postfix):
    """As after a planned reboot."""
    send(postfix, 3)
    scope.wait_passed(3)
    before = scope.tally().id
    assert scope.stop() == 0
    the_machine_starts(scope.site)
    assert Tally(scope.site.state_directory).header.clean == 1
    scope.start()
    assert (scope.passed(), scope.tally().id) == (3, before)
    send(postfix)
    scope.wait_passed(4)


# ---- after a power failure ----


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
