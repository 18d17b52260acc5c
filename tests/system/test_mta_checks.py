"""The collector's checks of the MTA: what it finds at listeners of a real Postfix and a real sendmail, with our filter attached and
taken away, and that no check is counted as traffic."""

import os
import signal
import time
from datetime import datetime

import pytest
import sendmailserver as server
from kit.accounts import needs_open_folder
from kit.figures import figure
from kit.mta_checks import ATTACHED, EXPIRY, FAILURE, UP, VERSION, MtaChecks, of
from kit.network import Network
from kit.place import server_program
from kit.process import run
from kit.programs import Collector, Exporter
from kit.sendmail import Sendmail, encryption
from kit.servers import Postfix
from kit.smtp import Smtp
from kit.syslog import Syslog
from kit.tls import certificate
from kit.wait import GENEROUS, wait_until
from mail import Session, Traffic, attached, send
from scope import PASSED, Scope, site_in
from truth import metric

CHECKS = 10


@pytest.fixture(scope="module")
def postfix(parts, milter_socket):
    return parts.start(Postfix(parts.folder, attached(milter_socket) | certificate(parts.folder)))


def listening(site, *addresses):
    site.write(mta={"listeners": ["%s:%d" % address for address in addresses]})
    return site


@pytest.fixture
def checks(own_parts, scope, postfix):
    return own_parts.start(MtaChecks(listening(scope.site, postfix.address)))


def traffic(scope):
    """All totals of the filter; those of the pusher grow by themselves."""
    return {series: count for series, count in scope.dump().counts().items() if not series.startswith("milterscope_push")}


def wait_attached(checks, value):
    """A reload takes effect some time later."""
    return wait_until(lambda: (seen := checks.run())[of(ATTACHED)] == value and seen, f"the filter is asked: {value}")


def end_of(certificate_file):
    """Of its time, in seconds since the Unix epoch."""
    said = run(["openssl", "x509", "-noout", "-dateopt", "iso_8601", "-enddate", "-in", certificate_file])
    return datetime.fromisoformat(said.strip().removeprefix("notAfter=")).timestamp()


# ---- Postfix


def test_postfix_with_our_filter(checks, postfix, parts):
    seen = checks.run()
    assert (seen[of(UP)], seen[of(ATTACHED)]) == (1, 1)
    assert seen[of(EXPIRY)] == end_of(parts.folder.disk / "tls.pem")
    postconf = server_program("postfix", "usr/sbin/postconf")
    version = run([postconf, "-c", postfix.folder / "etc", "-h", "mail_version"]).strip()
    assert seen[VERSION] == version
    assert seen['milterscope_mta_info{mta="postfix",version="#0"}'] == 1
    assert len([name for name in seen if "mta_info" in name]) == 1
    wait_until(lambda: postfix.said("ehlo=1 starttls=1 quit=1 commands=3"), "Postfix saw it end with QUIT")
    assert postfix.said("lost connection") == 0


def test_quit_without_tls(checks, postfix):
    """Where Postfix offers none, and where it refuses at once."""
    lost = postfix.said("lost connection")
    try:
        postfix.reload(smtpd_tls_security_level="none")
        wait_until(lambda: of(EXPIRY) not in checks.run() and postfix.said(" ehlo=1 quit=1 commands=2"), "no TLS, and QUIT")
        postfix.reload(smtpd_delay_reject="no", smtpd_client_restrictions="reject")
        wait_until(lambda: checks.run()[of(UP)] == 0 and postfix.said(" quit=1 commands=1"), "it refuses, and QUIT")
    finally:
        postfix.reload(smtpd_tls_security_level="may", smtpd_delay_reject="yes", smtpd_client_restrictions="")
    assert postfix.said("lost connection") == lost


def test_checks_are_in_no_total(scope, checks, postfix):
    before = traffic(scope)
    for _ in range(CHECKS):
        assert checks.run()[of(ATTACHED)] == 1
    assert traffic(scope) == before
    assert scope.value("sessions_active") == 0
    with Traffic(postfix) as mail:
        for _ in range(CHECKS):
            assert checks.run()[of(ATTACHED)] == 1
            mail.wait(3)
    scope.wait_passed(mail.messages)
    scope.wait_value(0, "sessions_active")
    counts = scope.counts()
    assert counts[PASSED] == mail.messages
    assert counts[metric("connections_total", client="internal")] == mail.sessions
    assert sum(count for name, count in counts.items() if name.startswith(metric("session_seconds_bucket"))) == mail.sessions
    assert scope.value("sessions_without_mail_total", client="internal") == scope.value("sessions_unobserved_total") == 0


def test_no_check_is_hidden_beyond_the_limit(scope, checks, postfix):
    """Where no session can be observed any more a check is seen still, and not counted as one that was not."""
    scope.site.write(milter={"max_sessions": 1})
    scope.process.send(signal.SIGUSR1)
    scope.wait_said("configuration reloaded")
    with Session(postfix) as session:
        scope.wait_value(1, "sessions_limit")
        assert checks.run()[of(ATTACHED)] == 1
        session.quit()
    assert scope.value("sessions_unobserved_total") == 0


def test_filter_taken_out_of_main_cf(scope, checks, postfix, milter_socket):
    assert checks.run()[of(ATTACHED)] == 1
    before = traffic(scope)
    try:
        postfix.reload(smtpd_milters="")
        seen = wait_attached(checks, 0)
        assert seen[of(UP)] == 1 and seen[of(EXPIRY)] > time.time()
    finally:
        postfix.reload(smtpd_milters=f"unix:{milter_socket}")
    wait_attached(checks, 1)
    assert traffic(scope) == before


def test_filter_listed_twice(scope, checks, postfix, milter_socket):
    """The same socket twice: neither connection of the check is counted, and of the others each."""
    try:
        postfix.reload(smtpd_milters=f"unix:{milter_socket} unix:{milter_socket}")

        def is_twice():
            before = scope.value("connections_total", client="internal")
            send(postfix)
            scope.wait_value(0, "sessions_active")
            return scope.value("connections_total", client="internal") - before == 2

        wait_until(is_twice, "Postfix asks twice")
        before = traffic(scope)
        assert checks.run()[of(ATTACHED)] == 1
        assert traffic(scope) == before
    finally:
        postfix.reload(smtpd_milters=f"unix:{milter_socket}")


@pytest.mark.parametrize("harm", ["restart", "filter killed", "supervisor killed"])
def test_milterscope_starts_anew(scope, checks, harm):
    """The collector goes on as it is."""
    assert checks.run()[of(ATTACHED)] == 1
    if harm == "restart":
        scope.process.send(signal.SIGUSR2)
        scope.wait_said("has drained")
    elif harm == "filter killed":
        scope.wait_child("filter", scope.signal_child("filter", signal.SIGKILL))
        wait_until(scope.answers, "the next filter answers")
    else:
        scope.kill()
        scope.start()
    before = traffic(scope)
    assert checks.run()[of(ATTACHED)] == 1
    assert traffic(scope) == before


def test_file_of_checks_is_cut(scope, checks, postfix):
    """Then nobody knows, mail is counted, and nothing is restarted; until milterscope is."""
    file = scope.site.run_directory / "mta-checks"
    assert file.stat().st_mode & 0o777 == 0o660
    assert checks.run()[of(ATTACHED)] == 1
    filter_before = scope.child("filter")
    os.truncate(file, 0)
    seen = checks.run()
    assert seen[of(UP)] == 1 and of(ATTACHED) not in seen
    send(postfix, 2)
    scope.wait_passed(2)
    assert scope.child("filter") == filter_before
    scope.restart()
    assert checks.run()[of(ATTACHED)] == 1


def test_file_of_checks_is_overwritten(scope, checks, postfix):
    file = scope.site.run_directory / "mta-checks"
    size = file.stat().st_size
    before = scope.value("connections_total", client="internal")
    for garbage in (b"\xff", b"\0", b"\x7f", None):
        with open(file, "r+b") as out:
            out.write(garbage * size if garbage else os.urandom(size))
        send(postfix, 2)
    scope.wait_passed(8)
    assert scope.value("connections_total", client="internal") - before == 4
    assert checks.run()[of(ATTACHED)] == 1


def test_nobody_to_see_it(own_parts, attached_site, postfix):
    """No milterscope has been started here: that is no failure, and what nobody can know is absent."""
    checks = own_parts.start(MtaChecks(listening(attached_site, postfix.address)))
    seen = checks.run()
    assert seen[of(UP)] == 1 and of(ATTACHED) not in seen and FAILURE not in seen


def test_listeners_by_the_others(own_parts, scope, postfix):
    """One that nobody listens on, and one at another address of this host: in their own order."""
    other = ("127.0.0.1", 1)
    checks = own_parts.start(MtaChecks(listening(scope.site, other, postfix.address)))
    seen = checks.run()
    assert [seen[of(UP, number)] for number in range(2)] == [0, 1]
    assert seen[of(ATTACHED, 1)] == 1
    assert of(ATTACHED, 0) not in seen and of(EXPIRY, 0) not in seen


def test_postfix_refuses(own_parts, scope, postfix):
    """With 554 instead of a greeting."""
    with_pause = {"smtpd_delay_reject": "no", "smtpd_client_restrictions": "reject"}
    checks = own_parts.start(MtaChecks(listening(scope.site, postfix.address)))
    before = traffic(scope)
    try:
        postfix.reload(**with_pause)
        seen = wait_until(lambda: (seen := checks.run())[of(UP)] == 0 and seen, "Postfix refuses")
    finally:
        postfix.reload(smtpd_delay_reject="yes", smtpd_client_restrictions="")
    assert of(ATTACHED) not in seen and of(EXPIRY) not in seen
    assert traffic(scope) == before


def test_old_tls(checks, postfix, parts):
    """What no mail should be sent over any more has a certificate, too."""
    expected = end_of(parts.folder.disk / "tls.pem")
    try:
        postfix.reload(smtpd_tls_protocols="TLSv1", smtpd_tls_loglevel=1)
        wait_until(lambda: checks.run()[of(EXPIRY)] == expected and postfix.said("TLSv1 with cipher"), "TLS 1.0 is spoken")
    finally:
        postfix.reload(smtpd_tls_protocols=">=TLSv1", smtpd_tls_loglevel=0)


@pytest.fixture
def postscreen(own_parts, milter_socket):
    """It greets by itself, and hands over to smtpd whom it lets through."""
    postfix = Postfix(own_parts.folder, attached(milter_socket), name="postscreen")
    listener = "%s:%d" % postfix.address
    postfix.settings |= {"postscreen_greet_wait": "1s", "mynetworks": "127.0.0.0/8"}
    postfix.settings |= {f"{listener}/inet": f"{listener} inet n - n - 1 postscreen"}
    for service, kind in {"smtpd": "pass", "dnsblog": "unix", "tlsproxy": "unix"}.items():
        postfix.settings |= {f"{service}/{kind}": f"{service} {kind} - - n - 0 {service}"}
    return own_parts.start(postfix)


def test_behind_postscreen(own_parts, scope, postscreen):
    """As milterscope.conf(5) says: whom it has to try first it never lets through, unless he comes back."""
    checks = own_parts.start(MtaChecks(listening(scope.site, postscreen.address)))
    assert checks.run()[of(ATTACHED)] == 1
    assert postscreen.said("postscreen") > 0
    before = traffic(scope)
    postscreen.reload(postscreen_access_list="", postscreen_pipelining_enable="yes")
    seen = wait_attached(checks, 0)
    assert seen[of(UP)] == 1
    assert traffic(scope) == before


def test_in_the_exporter(own_parts, scope, postfix):
    """The collector itself, whose first look is at its start, under the names that the configuration and Postfix give."""
    site = listening(scope.site, postfix.address)
    exporter = own_parts.start(Exporter(site))
    own_parts.start(Collector(site))
    listener = "%s:%d" % postfix.address
    expected = {
        metric("mta_up", listener=listener): 1,
        metric("milter_attached", listener=listener): 1,
        metric("collector_success", collector="mta"): 1,
    }

    def shown():
        values = exporter.metrics().values
        return expected.items() <= values.items() and values

    values = wait_until(shown, lambda: f"{expected}; there is {exporter.metrics().values}")
    assert values[metric("tls_certificate_expiry_timestamp_seconds", listener=listener)] > time.time()
    postconf = server_program("postfix", "usr/sbin/postconf")
    version = run([postconf, "-c", postfix.folder / "etc", "-h", "mail_version"]).strip()
    assert values[metric("mta_info", mta="postfix", version=version)] == 1


def test_taken_out_within_a_minute(own_parts, scope, postfix, milter_socket):
    """By the collector as it runs, right after it has looked: a whole interval passes."""
    site = listening(scope.site, postfix.address)
    own_parts.start(Collector(site))
    series = metric("milter_attached", listener="%s:%d" % postfix.address)
    wait_until(lambda: scope.dump().values.get(series) == 1, "the filter is asked")
    try:
        begun = time.monotonic()
        postfix.reload(smtpd_milters="")
        wait_until(lambda: scope.dump().values[series] == 0, "it is seen that the filter is not asked any more", 3 * GENEROUS)
        figure(f"the filter taken out of main.cf is seen after {time.monotonic() - begun:.1f} s (bound: 60)")
    finally:
        postfix.reload(smtpd_milters=f"unix:{milter_socket}")


# ---- the file of the checks, under another account


def as_nobody(group):
    return ["setpriv", "--reuid=65534", f"--regid={group}", "--clear-groups", "--"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_account(own_parts, scope, postfix):
    """In the group it can tell the filter; outside it says that it cannot, and looks at all else."""
    needs_open_folder(own_parts.folder.disk)
    site = listening(scope.site, postfix.address)
    group = (site.run_directory / "mta-checks").stat().st_gid
    assert own_parts.start(MtaChecks(site, enter=as_nobody(group))).run()[of(ATTACHED)] == 1
    seen = own_parts.start(MtaChecks(site, enter=as_nobody(65534))).run()
    assert seen[of(UP)] == 1 and of(ATTACHED) not in seen
    assert seen[FAILURE] == f"{site.run_directory}/mta-checks: Permission denied"


# ---- sendmail

OWN = "192.0.2.25"  # an address of this host that is not of loopback
SECOND = f"DAEMON_OPTIONS(`Name=second, Addr={OWN}, Port=2525')dnl\n"
COMMANDS_LOGGED = "define(`confLOG_LEVEL', `20')dnl\n"
NO_DNS = "FEATURE(`accept_unresolvable_domains')dnl\n"


@pytest.fixture(scope="module")
def network(parts):
    if os.geteuid() != 0:
        pytest.skip("only root can make a network namespace")
    return parts.start(Network())


@pytest.fixture(scope="module")
def sendmail(parts, network):
    lines = NO_DNS + SECOND + encryption(parts.folder) + COMMANDS_LOGGED
    mta = Sendmail(parts.folder, network, lines + server.SNIPPET)
    mta.log = mta.folder / "maillog"
    parts.start(Syslog(mta.folder / "syslog", mta.log))
    mta.without_filter = lines
    return parts.start(mta)


@pytest.fixture
def sendmail_scope(own_parts, request, sendmail):
    name = request.node.name.removeprefix("test_")
    site = site_in(own_parts, name, socket=sendmail.socket_folder / "milter.sock")
    return own_parts.start(Scope(site))


def test_sendmail_with_our_filter(own_parts, sendmail_scope, sendmail, network, parts):
    checks = own_parts.start(MtaChecks(listening(sendmail_scope.site, sendmail.address), network))
    seen = checks.run()
    assert (seen[of(UP)], seen[of(ATTACHED)]) == (1, 1)
    assert seen[of(EXPIRY)] == end_of(parts.folder.disk / "tls.pem")
    with network.visit(), Smtp(sendmail.address) as smtp:
        _, greeting = smtp.reply()
        smtp.quit()
    assert f"Sendmail {seen[VERSION]}/" in greeting
    assert seen['milterscope_mta_info{mta="sendmail",version="#0"}'] == 1


def test_sendmail_gets_quit(own_parts, sendmail_scope, sendmail, network):
    """With and without TLS: what sendmail logs of a client that goes without it is not there, nor does the filter count anything."""
    scope = sendmail_scope
    checks = own_parts.start(MtaChecks(listening(scope.site, sendmail.address), network))
    sendmail.wait_idle()
    before, begins = traffic(scope), sendmail.log.stat().st_size
    for _ in range(CHECKS):
        seen = checks.run()
        assert seen[of(ATTACHED)] == 1 and of(EXPIRY) in seen
    sendmail.wait_idle()

    def said(text):
        return sendmail.log.read_bytes()[begins:].count(text)

    wait_until(lambda: said(b"<-- QUIT") == CHECKS, lambda: f"{CHECKS} times QUIT; there are {said(b'<-- QUIT')}")
    assert said(b"<-- STARTTLS") == CHECKS
    assert said(b"lost input channel") == 0
    assert traffic(scope) == before
    assert scope.value("sessions_active") == 0
    with network.visit(), Smtp(sendmail.address) as smtp:
        smtp.reply()
    wait_until(lambda: said(b"lost input channel") == 1, "sendmail says where QUIT is missing")


def test_checks_of_sendmail_are_in_no_total(own_parts, sendmail_scope, sendmail, network):
    scope = sendmail_scope
    checks = own_parts.start(MtaChecks(listening(scope.site, sendmail.address), network))
    sendmail.wait_idle()
    before = traffic(scope)
    for number in range(CHECKS):
        assert checks.run()[of(ATTACHED)] == 1
        if number % 3 == 0:
            with network.visit():
                send(sendmail)
    sendmail.wait_idle()
    scope.wait_value(0, "sessions_active")
    added = {series: count - before.get(series, 0) for series, count in traffic(scope).items()}
    connections = {series: n for series, n in added.items() if series.startswith(metric("connections_total")) and n}
    assert sum(connections.values()) == scope.passed() == 4
    assert scope.value("sessions_without_mail_total", client="local") == 0


def test_filter_taken_out_of_sendmail(own_parts, sendmail_scope, sendmail, network):
    checks = own_parts.start(MtaChecks(listening(sendmail_scope.site, sendmail.address), network))
    assert checks.run()[of(ATTACHED)] == 1
    with_filter, sendmail.lines = sendmail.lines, sendmail.without_filter
    try:
        sendmail.stop()
        assert checks.run()[of(UP)] == 0
        sendmail.start()
        seen = checks.run()
        assert (seen[of(UP)], seen[of(ATTACHED)]) == (1, 0)
    finally:
        sendmail.stop()
        sendmail.lines = with_filter
        sendmail.start()
    assert checks.run()[of(ATTACHED)] == 1


def test_only_own_addresses_are_believed(own_parts, sendmail_scope, sendmail, network):
    """A filter that does not have the listener among its own counts what comes from there, whatever stands in the file."""
    scope = sendmail_scope
    checks = own_parts.start(MtaChecks(listening(scope.site, (OWN, 2525)), network))
    sendmail.wait_idle()
    before = scope.value("connections_total", client="external")
    seen = checks.run()
    assert (seen[of(UP)], seen[of(ATTACHED)]) == (1, 0)
    sendmail.wait_idle()
    scope.wait_value(before + 1, "connections_total", client="external")
    scope.restart()  # now it has
    assert checks.run()[of(ATTACHED)] == 1
    sendmail.wait_idle()
    assert scope.value("connections_total", client="external") == before + 1
