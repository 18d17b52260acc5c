"""Real scanners before milterscope behind a real sendmail, and headers that senders forged: test_scanners.py's
questions, and what a sender can do there and not on Postfix, as milterscope(8) says. Clients come from a loopback
address: to a scanner they are outside, as none of its own networks has it."""

import os
from types import SimpleNamespace

import pytest
from kit.network import Network
from kit.scanners import GTUBE, Rspamd, SpamassMilter, Spamd
from kit.sendmail import Sendmail
from scanned import HAM, PLACED, WAYS, Daemon, added_by_a_milter, forged, plain
from scope import Scope, site_in
from test_scanners import (
    CLEAN,
    EXTENDED,
    HAM_SEEN,
    MARKS,
    RSPAMD,
    SPAM,
    SPAM_SCANNERS,
    SPAM_SEEN,
    TEXTS,
    UNSCANNED,
    behind,
    judged,
    words,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")

# Of the listener of rspamd: what rspamd calls the server, whatever the host's name is.
LISTENER = "MTA-v4"
NO_DNS = "FEATURE(`accept_unresolvable_domains')dnl\n"


@pytest.fixture(scope="module")
def mta(parts):
    """Not started yet."""
    return Sendmail(parts.folder, parts.start(Network()))


@pytest.fixture(scope="module")
def scanners(parts, mta):
    """Their sockets lie where sendmail takes them."""
    spamd = parts.start(Spamd(parts.folder))
    found = SimpleNamespace(spamd=spamd, spamass=SpamassMilter(parts.folder, spamd))
    found.rspamd = Rspamd(parts.folder, EXTENDED % MARKS % "", TEXTS)
    for scanner in (found.spamass, found.rspamd):
        scanner.milter = str(mta.socket_folder / f"{scanner.name}.sock")
        parts.start(scanner)
    return found


@pytest.fixture(scope="module")
def at(parts, mta, scanners):
    """The listeners: at.NAME."""

    def scope(name, **settings):
        return Scope(site_in(parts, name, socket=mta.socket_folder / f"{name}.sock", **settings))

    milter = scope("milter", spam={"authserv_ids": [LISTENER], "headers": PLACED})
    second = scope("second", spam={"scanner": "reinjection"})
    other = str(mta.socket_folder / "other.sock")
    listeners = SimpleNamespace(
        nothing=Daemon(mta, milter, "nothing"),
        spamassassin=Daemon(mta, milter, "spamassassin", spamass=scanners.spamass.milter),
        rspamd=Daemon(mta, milter, LISTENER, rspamd=scanners.rspamd.milter),
        rspamd_elsewhere=Daemon(mta, milter, "MSP-v4", rspamd=scanners.rspamd.milter),
        other=Daemon(mta, milter, "other", other=other),
        back=Daemon(mta, second, "back"),
    )
    second.site.write(milter={"reinjection": ["%s:%d" % listeners.back.address]})
    lines = dict.fromkeys(line for daemon in vars(listeners).values() for line in daemon.lines())
    mta.lines = "".join([NO_DNS, *lines])
    for part in (milter, second, mta):
        parts.start(part)
    listeners.other_socket = other
    return listeners


# ---- what they say, and what senders say ----

NAMES = ("spamassassin", "rspamd")


@pytest.mark.parametrize("way", ["", *WAYS])
@pytest.mark.parametrize("name", NAMES)
def test_spam_and_ham(at, name, way):
    headers, spam = SPAM_SCANNERS[name]
    for number, (body, expected) in enumerate([(spam + "\n", SPAM_SEEN), (HAM, HAM_SEEN)]):
        text = forged(way, words(headers, number), body) if way else plain(body)
        assert judged(getattr(at, name).seen(text)) == expected


@pytest.mark.parametrize(
    ("name", "part"), [("spamassassin", "spamass"), ("spamassassin", "spamd"), ("rspamd", "rspamd")]
)
def test_dead_scanner_is_unscanned(at, scanners, name, part):
    """But headers that were forged are there, and sendmail has nothing that removes them."""
    headers, spam = SPAM_SCANNERS[name]
    scanner, listener = getattr(scanners, part), getattr(at, name)
    scanner.stop()
    try:
        assert listener.seen(plain(spam + "\n")) == UNSCANNED
        assert listener.seen(forged("many", words(headers, 0), spam + "\n")).spam == "clean"
        assert listener.seen(forged("many", words(headers, 1), HAM)).spam == "spam"
    finally:
        scanner.start()
    assert judged(listener.seen(plain(spam + "\n"))) == SPAM_SEEN
    assert judged(listener.seen(plain(HAM))) == HAM_SEEN


def test_what_rspamd_refuses_is_lost(at):
    scope, verdicts = at.rspamd.scope, at.rspamd.verdicts()
    lost = scope.value("messages_total", source="local", verdict="lost")
    at.rspamd.send(plain(GTUBE + "\n"), expect=554)
    scope.wait_value(lost + 1, "messages_total", source="local", verdict="lost")
    assert at.rspamd.verdicts() == verdicts


def test_what_rspamd_leaves_to_the_sender(at):
    """All but X-Spam, on mail that its module gtube finds."""
    assert at.rspamd.seen(forged("around", {"X-Spam": "No"}, Rspamd.GTUBE + "\n")) == SPAM
    assert judged(at.rspamd.seen(forged("around", words(RSPAMD, 1), Rspamd.GTUBE + "\n"))) == ("spam", True, True)


# ---- Authentication-Results ----


@pytest.mark.parametrize("way", ["", *WAYS])
def test_authentication_results(at, way):
    faked = f"{LISTENER}; spf=neutral; dkim=pass; dmarc=pass"
    for sender, result in (("joe@pass.test", "pass"), ("joe@fail.test", "fail")):
        text = forged(way, {"Authentication-Results": faked}, HAM) if way else plain(HAM)
        assert at.rspamd.seen(text, sender=sender).results == (("spf", result),)


def test_results_are_of_the_listener(at):
    """rspamd writes the listener's name, which is not that of the host; another one is somebody else."""
    assert at.rspamd.seen(plain(HAM)).results == (("spf", "pass"),)
    assert at.rspamd_elsewhere.seen(plain(HAM)).results == ()


# ---- what a sender can do here, and not on Postfix, and the other way round ----


def test_scanner_of_another_server(at):
    """Its header, below the sender's, is believed where mail comes back alone: else the first is a milter's."""
    for header, spam, clean in (("X-Bogosity", "Spam", "Ham"), ("X-Spam", "Yes", "No")):
        assert at.nothing.seen(behind(header, spam)) == at.back.seen(behind(header, clean, spam)) == SPAM
        assert at.nothing.seen(behind(header, clean, spam)) == CLEAN
        assert at.nothing.seen(behind(header, spam, clean)) == SPAM
        assert at.back.seen(behind(header, spam, clean)) == CLEAN


@pytest.mark.parametrize(
    ("name", "expected"),
    [("X-Spam-Flag", "spam"), ("X-Bogosity", "spam"), ("X-At-The-Top", "spam"), ("X-At-The-Bottom", "clean")],
)
def test_headers_that_a_milter_adds(at, name, expected):
    """They are the first of their name, whatever the sender wrote: none of his counts, unless the operator says so."""
    assert added_by_a_milter(at.other_socket, at.other, ("above", "below", "around"), name) == {expected}
