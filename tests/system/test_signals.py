"""What an administrator asks for: stop, reload, planned restart. Open sessions go on, and the totals stay right."""

import os
import signal
import time

from in_redis import wait_in_redis
from kit.figures import figure
from kit.procfs import frozen, is_alive
from kit.tally import Tally
from kit.wait import wait_until
from mail import Session, Traffic, send
from scope import PASSED, Scope, copy_programs, replace, the_machine_starts
from truth import metric

DRAIN = 20  # seconds that sessions get at most

# ---- planned restarts ----


def test_planned_restart_with_open_session(scope, postfix):
    old, old_pusher = scope.child("filter"), scope.child("pusher")
    with Session(postfix) as session:
        session.begin_message()
        scope.process.send(signal.SIGUSR2)
        scope.wait_said("takes over from filter")
        scope.wait_child("pusher", old_pusher)
        with frozen(old):  # so it cannot be the one that counts
            send(postfix, 2)
            scope.wait_passed(2)
        session.finish_message()
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
    sent = f"{traffic.messages} messages in {traffic.sessions} sessions"
    figure(f"planned restarts: {sent}, slowest answer {traffic.slowest:.2f} s")
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


def test_planned_restart_with_a_program_that_fails(own_parts, attached_site, postfix):
    """The filter that serves goes on, and so does its count of deaths."""
    programs = copy_programs(attached_site.folder.disk)
    scope = own_parts.start(Scope(attached_site, programs))
    old = scope.child("filter")
    replace(programs / "milterscope-filter", "/bin/false")
    with Session(postfix) as session:
        session.begin_message()
        for times in (1, 2):
            scope.process.send(signal.SIGUSR2)
            scope.wait_said("died: exit status 1", times)
        session.command("RSET", 250)
        session.message()
    send(postfix)
    scope.wait_passed(2)
    assert scope.children("filter") == [old]
    assert scope.value("filter_restarts_total") == 0


# ---- stop ----


def test_stop_with_open_session(scope, postfix):
    """It goes on to its end; the socket is gone at once, so that new ones do not wait."""
    with Session(postfix) as session:
        session.begin_message()
        scope.wait_value(1, "sessions_active")
        began = time.monotonic()
        scope.process.send(signal.SIGTERM)
        wait_until(lambda: not os.path.exists(scope.site.milter_socket), "the socket is taken away")
        send(postfix)  # unobserved
        session.finish_message()
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
    # An open session keeps the settings that it began with: both of its messages are internal.
    scope.wait_value(internal + 1, "messages_total", source="internal", verdict="passed")
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


# ---- totals over a restart ----


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
