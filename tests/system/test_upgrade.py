"""Another build takes over, and the first one again: one with more metrics, fewer, and in another order. Totals go on
by name; those that a build does not know are kept for the next that does."""

import os
import re
import shutil
import signal

import pytest
from in_redis import Trace, counters, totals
from kit.place import BUILD, TOP
from kit.process import run
from kit.programs import Exporter
from kit.wait import wait_until
from mail import Session
from scope import PASSED, Scope, copy_programs, replace
from truth import metric

PROGRAMS = ["milterscope", "milterscope-filter", "milterscope-pusher"]
# What one build counts is unknown to the other: here, there, and the source that counts it.
RENAMED = {
    "null_sender_total": ("empty_sender_total", "message.c"),
    "domain_recipients_total": ("domain_people_total", "by_domain.c"),
}
OWN = "example.test"
ACCEPTED = metric("recipients_total", source="internal", outcome="accepted")
SECTION = re.compile(r"(?<=/\* In the SMTP conversation \*/\n\n).*?(?=\n/\* About ourselves \*/)", re.DOTALL)


def rows(section):
    return re.findall(r"^[A-Z]+\(.*?\)$", section, flags=re.DOTALL | re.MULTILINE)


def other_order(section):
    """All rows the other way round, and one more, so that no total stays where it was."""
    added = 'COUNTER(tries_total, filter, one, L1(client), "What is tried.")'
    return "\n".join([added, *reversed(rows(section))]) + "\n"


@pytest.fixture(scope="module")
def other_build(parts):
    """The folder of its programs."""
    tree = parts.folder.disk / "tree"
    for name in ("milter", "exporter", "conf"):
        shutil.copytree(TOP / name, tree / name)
    shutil.copy(TOP / "Makefile", tree)
    table = tree / "conf/tables/metrics.def"
    table.write_text(SECTION.sub(lambda section: other_order(section.group()), table.read_text()))
    for here, (there, counted_in) in RENAMED.items():
        for source in (table, tree / "milter/filter" / counted_in):
            assert here in source.read_text()
            source.write_text(source.read_text().replace(here, there))
    quickly = ["CFLAGS=-O0", "HARDENING=-fPIE"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    run(["make", "-s", "-C", tree, "BUILD=programs", *quickly, *(f"programs/{name}" for name in PROGRAMS)], env=outside)
    return tree / "programs"


class Upgraded(Scope):
    """milterscope whose programs are exchanged, in one way or the other."""

    def __init__(self, site, postfix, how):
        super().__init__(site, copy_programs(site.folder.disk))
        self.postfix, self.how = postfix, how
        self.times = 0
        self.domains = ["first.test", OWN]
        site.write(domains=self.domains)

    def change_domains(self):
        """At a reload, so that the next build finds a name that was not there at the start, and others in its place."""
        self.domains = [f"new{len(self.domains)}.test", *self.domains]
        self.site.write(domains=self.domains)
        reloads = len(self.lines("configuration reloaded"))
        self.process.send(signal.SIGUSR1)
        self.wait_said("configuration reloaded", reloads + 1)

    def change(self, build):
        if self.how == "restart":
            assert self.stop() == 0
        for name in PROGRAMS:
            replace(self.programs / name, build / name)
        if self.how == "restart":
            self.start()
        else:
            self.times += 1
            with Session(self.postfix) as session:
                session.begin_message()
                self.process.send(signal.SIGUSR2)
                self.wait_said("another version is installed: starting again", self.times)
                session.finish_message()  # passes on, unobserved
            wait_until(self.answers, "the milter answers")


def mail(postfix):
    """A session with two messages, one of them with the null sender."""
    with Session(postfix) as session:
        session.message()
        session.command("MAIL FROM:<>", 250)
        session.finish_message()
        session.quit()


def both_names(here, **labels):
    return metric(here, **labels), metric(RENAMED[here][0], **labels)


def expect(expected, values, where):
    """`values()` come to be these; None: the series is absent."""

    def found():
        now = values()
        return {series: now.get(series) for series in expected}

    wait_until(lambda: found() == expected, lambda: f"{where}: {expected}; it is {found()}")


@pytest.mark.parametrize("how", ["restart", "replaced while it runs"])
def test_there_and_back_again(own_parts, attached_site, postfix, redis, other_build, how):
    scope = own_parts.start(Upgraded(attached_site, postfix, how))
    exporter = own_parts.start(Exporter(attached_site))  # the first build's, all the time
    here, there = both_names("null_sender_total", source="internal")
    people_here, people_there = both_names("domain_recipients_total", domain=OWN, outcome="accepted")
    of_domain = metric("domain_messages_total", domain=OWN, verdict="passed")
    expected = {PASSED: 0, ACCEPTED: 0, of_domain: 0, here: 0, there: None, people_here: 0, people_there: None}
    with Trace(redis, scope) as trace:
        for build, ours, people, sessions in (
            (None, here, people_here, 2),
            (other_build, there, people_there, 3),
            (BUILD, here, people_here, 1),
            (other_build, there, people_there, 1),
        ):
            if build:
                scope.change_domains()
                before = totals(scope.tally())
                scope.change(build)
                after = totals(scope.tally())
                assert list(after) != list(before)
                assert [name for name, total in before.items() if after[name] < total] == []
            for _ in range(sessions):
                mail(postfix)
            expected[PASSED] += 2 * sessions
            expected[ACCEPTED] += 2 * sessions
            expected[of_domain] += 2 * sessions
            expected[ours] = (expected[ours] or 0) + sessions
            expected[people] = (expected[people] or 0) + 2 * sessions
            expect(expected, lambda: scope.dump().values, "dump")
            unknown = {here, there, people_here, people_there} - {ours, people}
            known = {series: total for series, total in expected.items() if series not in unknown}
            expect(known, lambda: counters(redis, scope), "Redis")
            expect(expected | {there: None, people_there: None}, lambda: exporter.metrics().values, "exporter")
    assert trace.failure is None and trace.steps_back() == []
    assert expected[here] == 3 and expected[there] == 4
    assert not scope.lines("died: signal")
