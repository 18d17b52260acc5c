"""What a real sendmail shows to milterscope and what it hides, one statement of milterscope(8) after the other; other milters
beside ours; and the doctor before a sendmail that runs. (All together and exactly: test_oracle_sendmail.py.)"""

import copy
import itertools
import os
import re

from types import SimpleNamespace

import pytest
import sendmailserver as server
from diagnosis import Doctor
from kit.figures import figure
from kit.metrics import labels_of, name_of
from kit.milter_wire import DATA, EOM, MAIL, RCPT, packet
from kit.network import Network
from kit.other_milter import DISCARD, QUARANTINE, REJECT, TEMPFAIL, OtherMilter, add_header
from kit.place import free_port
from kit.sendmail import Sendmail
from kit.smtp import Smtp
from kit.wait import GENEROUS, wait_until
from mail import TEXT, Session
from scope import Scope, site_in
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")

EXTERNAL = server.EXTERNAL
NAMES = ["connections_total", "messages_total", "recipients_total", "rejects_total", "sessions_without_mail_total"]
COUNTED = [metric(name) for name in NAMES]


@pytest.fixture(scope="module")
def network(parts):
    return parts.start(Network())


class Host:
    """A sendmail with our filter, as the snippet attaches it or as `filters` say, and what has been counted."""

    def __init__(self, parts, name, network, lines="", filters=server.SNIPPET, **settings):
        self.network = network
        self.mta = Sendmail(parts.folder, network, NO_DNS + lines + filters, name, settings.pop("tables", None))
        self.site = site_in(parts, f"{name}-node", socket=self.mta.socket_folder / "milter.sock", **settings)
        self.scope = parts.start(Scope(self.site))
        parts.start(self.mta)
        self.begin()

    def begin(self):
        self.mta.wait_idle()
        self.before = self.all_counted()
        return self

    def all_counted(self):
        self.scope.wait_value(0, "sessions_active")
        counts = self.scope.dump().counts()
        return {series: count for series, count in counts.items() if name_of(series) in COUNTED}

    def counted(self):
        """What was added since the start, when all sessions are over."""
        self.mta.wait_idle()
        counts = self.all_counted()
        return {series: n for series, n in ((s, n - self.before.get(s, 0)) for s, n in counts.items()) if n}

    def session(self, source=EXTERNAL, listener=None):
        """With sendmail, or another listener of its."""
        with self.network.visit():
            return Session(SimpleNamespace(address=listener or self.mta.address), source)

    def send(self, listener=None):
        with self.session(listener=listener) as session:
            session.message()
            session.quit()

    def version(self):
        """(8, 17, …), as the greeting says."""
        with self.network.visit(), Smtp(self.mta.address) as smtp:
            _, greeting = smtp.reply()
            smtp.quit()
        return tuple(int(part) for part in re.search(r"Sendmail ([0-9.]+)/", greeting)[1].split("."))

    def coverage(self):
        series = list(self.scope.dump().of(metric("coverage_info")))
        assert len(series) == 1
        return labels_of(series[0])


NO_DNS = "FEATURE(`accept_unresolvable_domains')dnl\n"
RULES = """FEATURE(`access_db', `hash -T<TMPF> {folder}/etc/access')dnl
FEATURE(`blocklist_recipients')dnl
"""
OTHER = "INPUT_MAIL_FILTER(`other', `S=unix:{folder}/other.sock, F=T')dnl\n"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def plain(parts, network):
    """One that several tests share, as the next two."""
    return Host(parts, "plain", network, RULES, tables={"access": server.ACCESS})


@pytest.fixture(scope="module")
def last(parts, network):
    """Behind another milter, whose socket is other.sock."""
    return Host(parts, "last", network, filters=OTHER + server.SNIPPET)


@pytest.fixture(scope="module")
def first(parts, network):
    return Host(parts, "first", network, filters=server.SNIPPET + OTHER)


@pytest.fixture
def host(own_parts, network):
    """Makes one. The name is short: that of the socket in it must be."""

    def make(*lines, **settings):
        return Host(own_parts, f"host{next(NUMBERS)}", network, *lines, **settings)

    return make


def words(cases):
    return [name.replace(" ", "-").replace(",", "") for name in cases]


def once(source, verdict, accepted=0, refused=0, client="external", rejects=None):
    """What a session with one transaction adds."""
    added = {
        metric("connections_total", client=client): 1,
        metric("messages_total", source=source, verdict=verdict): 1,
        metric("recipients_total", source=source, outcome="accepted"): accepted,
        metric("recipients_total", source=source, outcome="refused"): refused,
    }
    for name, number in (rejects or {}).items():
        added[metric("rejects_total", **{"class": name}, reply="5xx")] = number
    return {series: number for series, number in added.items() if number}


def nothing(client="external", sessions=1):
    """What sessions without a transaction add."""
    return {
        metric("connections_total", client=client): sessions,
        metric("sessions_without_mail_total", client=client): sessions,
    }


# ---- clients ----


def test_refused_client_is_not_shown(host):
    """Whom check_relay refuses may talk on, but not to milters."""
    one = host("FEATURE(`access_db', `hash -T<TMPF> {folder}/etc/access')dnl\n", tables={"access": server.ACCESS})
    with one.session(server.REFUSED_ADDRESS) as session:
        session.command("MAIL FROM:<a@ext.test>", 550)
        session.quit()
    assert one.counted() == {}
    one.send()
    assert one.counted() == once("external", "passed", 1)


def test_client_that_talks_first_is_a_session_without_mail(host):
    """FEATURE(greet_pause), as Debian has it."""
    lines = "FEATURE(`access_db', `hash -T<TMPF> {folder}/etc/access')dnl\nFEATURE(`greet_pause', `0')dnl\n"
    one = host(lines, tables={"access": {f"GreetPause:{EXTERNAL}": "5000"}})
    with one.network.visit():
        session = Session.__new__(Session)
        super(Session, session).__init__(one.mta.address, EXTERNAL)
    with session:
        session.send("EHLO client.test\r\nMAIL FROM:<a@ext.test>\r\nQUIT\r\n")
        assert session.reply()[0] == 554
    assert one.counted() == nothing()


# ---- recipients ----

THROTTLE = "define(`confBAD_RCPT_THROTTLE', `2')dnl\n"  # Debian's has 3
DELAY_CHECKS = "FEATURE(`delay_checks', `friend', `n')dnl\n"  # Debian's, too


def refuse(session, number, shown=()):
    """The first recipients of a message: unknown users where `shown` says so, others denied."""
    for i in range(number):
        session.command("RCPT TO:<noone@example.test>" if i in shown else "RCPT TO:<user@relay.test>", 550)


CASES = {
    "denied, then accepted": (2, (), True, ("passed", 1, 2, {})),
    "denied and unknown": (3, (1,), True, ("passed", 1, 3, {"user_unknown": 1})),
    "unknown is told": (2, (0, 1), False, ("rejected", 0, 2, {"user_unknown": 2})),
    "denied, then unknown": (3, (2,), False, ("rejected", 0, 3, {"user_unknown": 1})),
    "unknown, then denied": (3, (0,), False, ("rejected", 0, 1, {"user_unknown": 1})),
    "denied alone": (2, (), False, ("aborted", 0, 0, {})),
}
OWN_CASES = {
    "beyond the throttle": (THROTTLE, 4, (), True, ("passed", 1, 4, {})),
    "with delayed checks": (DELAY_CHECKS, 2, (1,), True, ("passed", 1, 2, {"user_unknown": 1})),
}


@pytest.mark.parametrize("case", CASES.values(), ids=words(CASES))
def test_refused_recipients(plain, case):
    """Denied relaying is hidden, but its number comes with what is shown next."""
    try_refused(plain.begin(), case)


@pytest.mark.parametrize("case", OWN_CASES.values(), ids=words(OWN_CASES))
def test_refused_recipients_by_debians_options(host, case):
    lines, *case = case
    try_refused(host(RULES + lines, tables={"access": server.ACCESS}), case)


def try_refused(one, case):
    number, shown, accepted, (verdict, *counts) = case
    with one.session() as session:
        session.command("MAIL FROM:<a@ext.test>", 250)
        refuse(session, number, shown)
        if accepted:
            session.finish_message()
        session.quit()
    assert one.counted() == once("external", verdict, counts[0], counts[1], rejects=counts[2])


def test_numbers_are_of_one_message(plain):
    """What one message had refused is not the next one's."""
    one = plain.begin()
    with one.session() as session:
        session.command("MAIL FROM:<a@ext.test>", 250)
        refuse(session, 3, (2,))
        session.command("RSET", 250)
        session.message()
        session.command("MAIL FROM:<a@ext.test>", 250)
        refuse(session, 1)
        session.finish_message()
        session.quit()
    expected = once("external", "passed", 2, 3 + 1, rejects={"user_unknown": 1})
    expected |= {
        metric("messages_total", source="external", verdict="passed"): 2,
        metric("messages_total", source="external", verdict="rejected"): 1,
    }
    assert one.counted() == expected


def test_classes_that_are_hidden_are_absent(host):
    """Until one was seen; codes likewise. Before sendmail has been met, nothing is known of it, and all are there."""
    one = host(filters="")

    def shown():
        series = one.scope.dump().values
        classes = {labels_of(name)["class"] for name in series if name.startswith(metric("rejects_total"))}
        return classes, {labels_of(name)["code"] for name in series if name.startswith(metric("reject_codes_total"))}

    assert len(shown()[0]) == 15
    one.mta.stop()
    one.mta.lines += server.SNIPPET
    one.mta.start()
    one.send()
    assert shown() == ({"user_unknown"}, {"5.1.1"})
    assert one.scope.value("observable", part="early_refusals") == 0
    assert metric("observable", part="early_refusals") in one.scope.dump().values
    with one.session() as session:
        session.command("MAIL FROM:<a@ext.test>", 250)
        session.command("RCPT TO:</etc/passwd>", 550)
        session.quit()
    one.scope.wait_value(0, "sessions_active")
    told = one.version() < (8, 18)  # later ones give no reason
    assert shown() == ({"user_unknown"} | ({"other"} if told else set()), {"5.1.1"} | ({"5.7.1"} if told else set()))


# ---- mail of this host ----


def test_bounces_of_sendmail_are_not_shown(host):
    """Nor what it delivers; and a null sender of this host's does not make it show them."""
    lines = "FEATURE(`mailertable', `hash {folder}/etc/mailer')dnl\n"
    one = host(lines, filters=server.SNIPPET + server.FAILING, tables={"mailer": {"bounce.test": "fail:bounce.test"}})
    one.mta.submit("-f", "alice@example.test", "user@bounce.test", text=TEXT)
    expected = once("local", "passed", 1, client="local")
    assert one.counted() == expected
    assert len(one.mta.queued()) == 1
    one.mta.run_queue(expect=os.EX_NOUSER)
    notice = (one.mta.folder / "delivered").read_text()
    assert "Subject: Returned mail: see transcript for details" in notice and "Auto-Submitted: auto-generated" in notice
    assert one.mta.queued() == []
    assert one.counted() == expected
    one.mta.submit("-f", "<>", "bob@example.test", text=TEXT)
    added = once("bounce", "passed", 1, client="local")
    assert one.counted() == expected | added | {metric("connections_total", client="local"): 2}
    assert one.coverage() == {"mta": "sendmail", "rejected_recipients": "late", "place": "unknown", "bounces": "no"}


def test_queue_of_submissions(host):
    """Mail that waited there while the server was away is of this host, as if it came at once."""
    one = host()
    one.mta.stop()
    one.mta.submit("-f", "alice@example.test", "bob@example.test", text=TEXT)
    assert len(one.mta.queued("submission")) == 1
    assert one.all_counted() == one.before
    one.mta.start()
    one.begin()
    one.mta.run_queue("sendmail")
    assert one.mta.queued("submission") == []
    assert one.counted() == once("local", "passed", 1, client="local")


def test_handed_to_the_server_itself(host):
    """As root may, past the queue of submissions: no milter is asked."""
    one = host()
    one.mta.submit("bob@example.test", text=TEXT, program="mta")
    assert len(one.mta.queued()) == 1
    assert one.counted() == {}


def test_interactive_delivery_becomes_background(host):
    """For whoever attaches a milter that is shown refused recipients, as ours is."""
    interactive = "define(`confDELIVERY_MODE', `interactive')dnl\n"
    one = host(interactive)
    held = one.mta.folder / "held"
    held.touch()
    with one.session() as session:
        session.message()  # answered though nothing can be delivered
        held.unlink()
        session.quit()
    wait_until((one.mta.folder / "delivered").exists, "the mail is delivered")
    assert one.counted() == once("external", "passed", 1)


# ---- other milters ----

# When the other one is before ours: what it does, what the client hears, what is counted of two recipients.
OTHERS = {
    "nothing": ({}, 250, ("passed", 2, 0)),
    "refuses a recipient": ({(RCPT, b"bob"): packet(REJECT)}, 250, ("passed", 1, 1)),
    "refuses at DATA": ({(DATA, b""): packet(REJECT)}, 550, ("aborted", 2, 0)),
    "refuses the message": ({(EOM, b""): packet(REJECT)}, 554, ("lost", 2, 0)),
    "puts it off": ({(EOM, b""): packet(TEMPFAIL)}, 451, ("lost", 2, 0)),
    "discards it": ({(EOM, b""): packet(DISCARD)}, 250, ("lost", 2, 0)),
    "holds it": ({(EOM, b""): packet(QUARANTINE, b"why\0") + packet(b"c")}, 250, ("passed", 2, 0)),
}
BEHIND = {
    "refuses the message": ({(EOM, b""): packet(REJECT)}, 554, ("passed", 2, 0)),
    "refuses at DATA": ({(DATA, b""): packet(REJECT)}, 550, ("lost", 2, 0)),
}


def two_recipients(one):
    """The client's last answer."""
    with one.session() as session:
        session.command("MAIL FROM:<a@ext.test>", 250)
        session.command("RCPT TO:<alice@example.test>", 250)
        session.command("RCPT TO:<bob@example.test>")
        code, _ = session.command("DATA")
        if code == 354:
            code, _ = session.body(TEXT)
        session.quit()
    return code


def beside(one, own_parts, decisions):
    return own_parts.start(OtherMilter(one.mta.folder / "other.sock", decisions))


@pytest.mark.parametrize("case", OTHERS.values(), ids=words(OTHERS))
def test_milter_before_us(own_parts, last, case):
    try_other(own_parts, last.begin(), case)


@pytest.mark.parametrize("case", BEHIND.values(), ids=words(BEHIND))
def test_milter_behind_us(own_parts, first, case):
    try_other(own_parts, first.begin(), case)


def try_other(own_parts, one, case):
    decisions, code, (verdict, accepted, refused) = case
    beside(one, own_parts, decisions)
    assert two_recipients(one) == code
    assert one.counted() == once("external", verdict, accepted, refused)


def test_milter_before_us_refuses_the_sender(own_parts, last):
    """No MAIL is shown, and no transaction counted."""
    one = last.begin()
    beside(one, own_parts, {(MAIL, b"a@ext.test"): packet(REJECT)})
    with one.session() as session:
        session.command("MAIL FROM:<a@ext.test>", 550)
        session.quit()
    assert one.counted() == nothing()


def test_headers_of_a_scanner_before_us_are_seen(own_parts, last):
    """Sendmail puts what a milter adds above what the sender forged."""
    one = last.begin()
    before = one.scope.value("spam_verdicts_total", source="external", verdict="spam")
    beside(one, own_parts, {(EOM, b""): add_header("X-Spam-Flag", "YES") + packet(b"c")})
    with one.session() as session:
        session.begin_message()
        session.command("RCPT TO:<alice@example.test>", 250)
        session.command("DATA", 354)
        session.body("X-Spam-Flag: NO\n" + TEXT, 250)
        session.quit()
    assert one.counted() == once("external", "passed", 1)
    assert one.scope.value("spam_verdicts_total", source="external", verdict="spam") == before + 1


# ---- a scanner behind the MTA, and TCP ----


def test_mail_that_comes_back_is_counted_once(own_parts, network):
    """The listener is what DaemonPortOptions says."""
    with network.visit():
        back = ("127.0.0.1", free_port())
    lines = "DAEMON_OPTIONS(`Name=BACK, Family=inet, Addr=%s, Port=%d')dnl\n" % back
    one = Host(own_parts, "back", network, lines, milter={"reinjection": ["%s:%d" % back]})
    one.send()
    one.send(back)
    assert one.counted() == once("external", "passed", 1)


def test_tcp(own_parts, network):
    """Works as well, and takes its time: libmilter and sendmail wait for each other's acknowledgements."""
    with network.visit():
        port = free_port()
    seconds = {}
    tcp = f"INPUT_MAIL_FILTER(`tcp', `S=inet:{port}@127.0.0.1, F=T')dnl\n"
    for name, filters in (("unix", server.SNIPPET), ("tcp", tcp)):
        one = Host(own_parts, name, network, filters=filters)
        if name == "tcp":
            one.scope.stop()
            one.scope.enter = ["nsenter", f"--net=/proc/{network.holder.pid}/ns/net"]
            one.site.write(milter={"socket": f"inet:{port}@127.0.0.1"})
            one.scope.begin()
            one.scope.wait_said("serves inet:")
            one.mta.stop()
            one.mta.start()
            one.begin()
        with one.session() as session:
            session.message()
            session.quit()
            spent = [answered - sent for sent, answered in session.answers]
        seconds[name] = sorted(spent)[len(spent) // 2]
        assert one.counted() == once("external", "passed", 1)
    unix, tcp = 1000 * seconds["unix"], 1000 * seconds["tcp"]
    figure(f"sendmail: an answer takes {unix:.1f} ms with a Unix socket, {tcp:.1f} ms with TCP")


# ---- the doctor ----


def doctor_of(one, redis):
    """Who sees the machine as sendmail does: the socket is where the snippet says."""
    site = copy.copy(one.site)
    site.file = one.site.folder.disk / "doctor.yaml"
    site.write(
        milter={"socket": "unix:/run/milterscope/milter.sock"},
        mta={"kind": "sendmail", "config": str(one.mta.folder / "etc/sendmail.cf")},
        redis={"url": redis.url, "push_interval": 60},
    )
    doctor = Doctor(site, one.site.folder.disk)
    doctor.entering = [one.mta.folder / "enter"]
    return doctor


def restart(one):
    one.mta.stop()
    one.mta.start()
    one.begin()


def test_doctor_finds_nothing_in_a_right_one(host, redis):
    doctor_of(host(), redis).expect_silence()


def test_what_the_doctor_says_cures(host, redis):
    """The line, put where he says, and sendmail restarted: mail is seen."""
    one = host(filters="")
    one.send()
    assert one.counted() == {}
    doctor = doctor_of(one, redis)
    (found,) = doctor.expect("sendmail.cf defines no filter with the socket unix:/run/milterscope/milter.sock")
    assert found.line + "\n" == server.SNIPPET.splitlines(keepends=True)[-1]
    assert found.where.startswith("Put into sendmail.mc, behind all other filters")
    one.mta.lines += found.line + "\n"
    restart(one)
    doctor.expect_silence()
    one.send()
    assert one.counted() == once("external", "passed", 1)


@pytest.mark.parametrize("filters", ["InputMailFilters=", "I=other"])
def test_what_the_doctor_says_of_a_listener_cures(host, own_parts, redis, network, filters):
    """The other filter there stays."""
    with network.visit():
        listener = ("127.0.0.1", free_port())
    place = "Name=MSA, Family=inet, Addr=%s, Port=%d" % listener
    one = host(OTHER.removeprefix("INPUT_") + f"DAEMON_OPTIONS(`{place}, {filters}')dnl\n")
    other = beside(one, own_parts, {})
    one.send(listener)
    assert one.counted() == {} and bool(other.seen) == ("other" in filters)
    doctor = doctor_of(one, redis)
    (found,) = doctor.expect("InputMailFilters of listener MSA: milterscope is not in it")
    lines = one.mta.lines.splitlines()
    assert "in place of the line with Name=MSA" in found.where
    one.mta.lines = "\n".join(found.line if "Name=MSA" in line else line for line in lines) + "\n"
    restart(one)
    doctor.expect_silence()
    other.seen.clear()
    one.send(listener)
    assert one.counted() == once("external", "passed", 1) and bool(other.seen) == ("other" in filters)


def test_doctor_is_silent_where_mail_comes_back(host, redis, network):
    with network.visit():
        back = ("127.0.0.1", free_port())
    lines = "DAEMON_OPTIONS(`Name=BACK, Family=inet, Addr=%s, Port=%d, InputMailFilters=')dnl\n" % back
    one = host(lines, milter={"reinjection": ["%s:%d" % back]})
    one.send()
    one.send(back)
    assert one.counted() == once("external", "passed", 1)
    doctor_of(one, redis).expect_silence()


def test_mail_flows_on_without_the_filter(host):
    """F= of the snippet, and its deadlines: a filter that is away or hangs delays mail, and does no more."""
    one = host()
    one.scope.stop()
    one.send()
    with one.session() as session:
        session.message()
        assert session.slowest < GENEROUS
        session.quit()
    assert len(one.mta.queued()) == 2
