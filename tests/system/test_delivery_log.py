"""What a real Postfix writes into its log, against what became of the mail: one run with every fate that needs no
network, whose truth the test keeps from the client's side, and --read-log's counts of it. Times are read from the log a
second time, in the plainest way."""

import json
import re
from collections import Counter
from decimal import Decimal

import pytest
from delivered import counts_of, without_times, write_truth
from kit.metrics import labels_of, name_of
from kit.place import AS_ROOT, free_port, server_program
from kit.process import run
from kit.sasl import Accounts, login
from kit.servers import Postfix
from kit.sink import ASLEEP, MUTE, Silent, Sink
from kit.smtp import Smtp
from kit.wait import wait_until
from mailserver import inline, patterns
from truth import metric

TEXT = "From: a@ext.test\nTo: joe@sink.test\nSubject: a message\n\nText.\n"
INSIDE, OUTSIDE, FILTER = "127.0.0.3", "127.0.0.5", "127.0.0.4"
FLOODER = "127.0.0.200"
SITE = {
    "trusted_networks": ["10.0.0.0/8"],
    "domains": ["example.test"],
    "collector": {"destinations": {"internal": [INSIDE], "ignore": []}},
}


ACCESS = {
    "hold@example.test": "HOLD",
    "discard@example.test": "DISCARD",
    "grey@example.test": "450 4.2.0 Greylisted",
    "joe@moved.test": "OK",  # else Postfix itself refuses what goes to the error transport
}


class Run:
    """A Postfix that does all that it can do to mail, and the truth of it: {series: number}."""

    def __init__(self, parts):
        self.truth = Counter()
        self.sinks = {name: parts.start(Sink(name)) for name in (INSIDE, OUTSIDE, FILTER)}
        self.silent = parts.start(Silent(OUTSIDE)).port
        self.closed, self.screened, self.with_milter, self.copy = (free_port() for _ in range(4))
        self.postfix = parts.start(Postfix(parts.folder, self.settings(parts.start(Accounts(parts.folder)))))
        site = SITE["collector"]["destinations"] | {"ignore": [f"{FILTER}:{self.sinks[FILTER].port}"]}
        self.configuration = parts.folder.disk / "milterscope.yaml"
        self.configuration.write_text(json.dumps(SITE | {"collector": {"destinations": site}}))

    def settings(self, accounts):
        def sink(address):
            return f"smtp:[{address}]:{self.sinks[address].port}"

        transports = {
            "inside.test": sink(INSIDE),
            "outside.test": sink(OUTSIDE),
            "filter.test": sink(FILTER),
            "closed.test": f"smtp:[{OUTSIDE}]:{self.closed}",
            "hangs.test": sink(OUTSIDE).replace("smtp", "hasty"),
            "silent.test": f"hasty:[{OUTSIDE}]:{self.silent}",
            "loop.test": f"smtp:[127.0.0.1]:{self.copy}",
            "nowhere.test": "smtp:[no-such-host.invalid]",
            "piped.test": "true:",
            "failing.test": "false:",
            "moved.test": "error:5.1.6 mailbox moved",
            "ghost@example.test": "local:",
        }
        listener = "127.0.0.1:{0}/inet=127.0.0.1:{0} inet n - n - {1}".format
        waits = "".join(f" -o smtp_{what}_timeout=1s" for what in ("helo", "rcpt", "data_done"))
        services = [
            f"hasty/unix=hasty unix - - n - - smtp{waits}",
            listener(self.screened, "1 postscreen"),
            listener(self.with_milter, f"- smtpd -o smtpd_milters=inet:127.0.0.1:{self.closed}"),
            listener(self.copy, "- smtpd -o syslog_name=postfix/again -o smtpd_timeout=300s"),
            "smtpd/pass=smtpd pass - - n - - smtpd",
            "true/unix=true unix - n n - - pipe user=nobody argv=/bin/true",
            "false/unix=false unix - n n - - pipe user=nobody argv=/bin/false",
        ]
        return accounts.settings | {
            **dict(line.split("=", 1) for line in services),
            "mynetworks": "127.0.0.0/25",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtpd_client_restrictions": "check_client_access " + inline({"127.0.0.201": "REJECT"}),
            "smtpd_helo_restrictions": "check_helo_access " + inline({"bad.test": "REJECT", "warned.test": "WARN"}),
            "smtpd_sender_restrictions": "check_sender_access " + inline({"bad@ext.test": "REJECT"}),
            "smtpd_recipient_restrictions": "warn_if_reject check_sender_access "
            + inline({"suspect@ext.test": "REJECT"})
            + ", check_recipient_access "
            + inline(ACCESS)
            + ", reject_unlisted_recipient",
            "smtpd_reject_unlisted_recipient": "no",  # but where it stands above
            "smtpd_data_restrictions": f"check_sender_access {inline({'nodata@ext.test': 'REJECT'})}",
            "smtpd_end_of_data_restrictions": f"check_sender_access {inline({'noend@ext.test': 'REJECT'})}",
            "smtpd_delay_reject": "no",
            "header_checks": patterns(
                {"X-Test: reject": "REJECT", "X-Test: spam": "REJECT 5.7.1 Spam message rejected"}
            ),
            "body_checks": patterns({"reject this line": "REJECT"}),
            "local_recipient_maps": inline({name: 1 for name in ("alice", "hold", "discard", "grey", "ghost")}),
            "transport_maps": inline(transports),
            "relay_domains": " ".join(name for name in transports if "@" not in name),
            "smtp_host_lookup": "native",
            "smtpd_timeout": "2s",
            "smtpd_hard_error_limit": 5,
            "smtpd_error_sleep_time": 0,
            "smtpd_client_event_limit_exceptions": "127.0.0.0/25",
            "smtpd_client_connection_rate_limit": 2,
            "hopcount_limit": 3,
            "milter_default_action": "accept",
            "postscreen_greet_action": "enforce",
            "postscreen_greet_wait": "1s",
            "postscreen_access_list": "",
            "in_flow_delay": 0,
            "notify_classes": "",
        }

    def count(self, name, number=1, **labels):
        self.truth[metric(name, **labels)] += number

    def rejected(self, where, reason):
        self.count("log_rejects_total", where=where, **{"class": reason})

    # ---- what becomes of a mail that is accepted

    def sent(self, destination, code="2.0.0"):
        self.count("deliveries_total", destination=destination, status="sent")
        self.count("delivery_codes_total", code=code, status="sent")

    def failed(self, destination, status, reason, code):
        self.count("deliveries_total", destination=destination, status=status)
        self.count("delivery_codes_total", code=code, status=status)
        self.count("delivery_problems_total", **{"class": reason}, status=status)
        if status == "bounced":
            self.returned()

    def returned(self):
        """To a sender whose mail is thrown away."""
        self.count("bounces_sent_total")
        self.sent("local")

    # ---- sessions

    def session(self, source=None, helo="client.test", port=None):
        smtp = Smtp(("127.0.0.1", port) if port else self.postfix.address, source)
        smtp.greet()
        smtp.command(f"EHLO {helo}")
        return smtp

    def mail(self, recipient, sender="a@ext.test", text=TEXT, code=250, port=None):
        with self.session(port=port) as smtp:
            smtp.command(f"MAIL FROM:<{sender}>", 250)
            smtp.command(f"RCPT TO:<{recipient}>", 250)
            smtp.command("DATA", 354)
            smtp.body(text, code)
            smtp.quit()

    def deliver(self):
        self.mail("alice@example.test")
        self.sent("local")
        self.mail("joe@piped.test")
        self.sent("local")
        self.mail("joe@failing.test")
        self.failed("local", "bounced", "other", "5.3.0")
        self.mail("ghost@example.test")
        self.failed("local", "bounced", "user_unknown", "5.1.1")
        self.mail("joe@moved.test")
        self.failed("external", "bounced", "other", "5.1.6")
        for domain, destination in (("inside.test", "internal"), ("outside.test", "external")):
            for user, fate in FATES.items():
                self.mail(f"{user}@{domain}")
                if fate[0] == "sent":
                    self.sent(destination)
                else:
                    self.failed(destination, *fate)
        for user in FATES:  # not counted, but for the notices
            self.mail(f"{user}@filter.test")
            if FATES[user][0] == "bounced":
                self.returned()
        self.mail("joe@closed.test")
        self.failed("external", "deferred", "connection_refused", "4.4.1")
        for recipient in (f"{MUTE}@hangs.test", f"{ASLEEP}@hangs.test", "joe@silent.test"):
            self.mail(recipient)
            self.failed("external", "deferred", "connection_timeout", "4.4.2")
        self.mail("joe@closed.test", sender="")
        self.failed("external", "deferred", "connection_refused", "4.4.1")
        self.mail("joe@loop.test")  # to ourselves, once more
        self.sent("external")
        self.failed("external", "bounced", "loop", "5.4.0")

    def refuse(self):
        with self.session() as smtp:
            smtp.command("MAIL FROM:<a@ext.test>", 250)
            smtp.command("RCPT TO:<nobody@example.test>", 550)
            smtp.command('RCPT TO:<"; from=<x> User unknown>: blocked using"@example.test>', 550)
            smtp.command("RCPT TO:<grey@example.test>", 450)
            smtp.quit()
        self.rejected("rcpt", "user_unknown")
        self.rejected("rcpt", "user_unknown")
        self.rejected("rcpt", "greylist")
        with self.session("127.0.0.210") as smtp:
            smtp.command("MAIL FROM:<a@ext.test>", 250)
            smtp.command("RCPT TO:<joe@elsewhere.test>", 554)
            smtp.vanish()
        self.rejected("rcpt", "relay_denied")
        self.count("log_connections_lost_total")
        with Smtp(self.postfix.address, "127.0.0.201") as smtp:
            assert smtp.reply()[0] == 554
            smtp.command("QUIT", 221)
        self.rejected("connect", "client")
        with Smtp(self.postfix.address) as smtp:
            smtp.greet()
            smtp.command("EHLO bad.test", 554)
            smtp.command("HELO warned.test", 250)
            smtp.command("MAIL FROM:<bad@ext.test>", 554)
            smtp.quit()
        self.rejected("helo", "helo")
        self.rejected("mail", "sender")
        with self.session() as smtp:
            smtp.command("MAIL FROM:<nodata@ext.test>", 250)
            smtp.command("RCPT TO:<alice@example.test>", 250)
            smtp.command("DATA", 554)
            smtp.quit()
        self.rejected("data", "sender")
        self.mail("alice@example.test", "noend@ext.test", code=554)
        self.rejected("message", "sender")
        self.mail("alice@example.test", text="X-Test: reject\n" + TEXT, code=550)
        self.rejected("message", "policy")
        self.mail("alice@example.test", text="X-Test: spam\n" + TEXT, code=550)
        self.rejected("message", "spam")
        self.mail("alice@example.test", text=TEXT + "reject this line\n", code=550)
        self.rejected("message", "policy")

    def let_pass(self):
        """What looks like a refusal and is none."""
        self.mail("alice@example.test", "suspect@ext.test")
        self.sent("local")
        self.mail("hold@example.test")
        self.mail("discard@example.test")

    def trouble(self):
        with self.session() as smtp:
            for _ in range(5):
                smtp.command("NONSENSE")
            smtp.wait_closed()
        self.count("log_limits_total")
        with self.session() as smtp:
            smtp.wait_closed()  # after smtpd_timeout
        self.count("log_connections_lost_total")
        with self.session() as smtp:
            smtp.command(f"AUTH {login('joe', password='wrong')}", 535)
            smtp.quit()
        self.count("log_auth_failures_total")
        for expected in (220, 220, 421):
            with Smtp(self.postfix.address, FLOODER) as smtp:
                assert smtp.reply()[0] == expected
                if expected == 220:
                    smtp.quit()
        self.count("log_limits_total")
        self.mail("alice@example.test", port=self.with_milter)
        self.count("log_milter_errors_total")
        self.sent("local")

    def screen(self):
        """A client that speaks before it is greeted."""
        with Smtp(("127.0.0.1", self.screened), "127.0.0.220") as smtp:
            smtp.send("EHLO early.test\r\n")
            smtp.reply()  # its greeting has no end, and the answer follows
            smtp.command("MAIL FROM:<a@ext.test>", 250)
            smtp.command("RCPT TO:<alice@example.test>", 550)
            smtp.command("QUIT", 221)
        self.rejected("postscreen", "other")

    def look_up(self):
        """A relay that has no address. Whether that is known, or nobody can be asked, is not in our hands."""
        self.mail("joe@nowhere.test")
        wait_until(lambda: self.said_of("joe@nowhere.test"), "the mail is tried")
        status = self.said_of("joe@nowhere.test")
        code = {"deferred": "4.4.4", "bounced": "5.4.4"}[status]
        self.failed("external", status, "dns", code)

    def said_of(self, recipient):
        found = re.search(rf"to=<{recipient}>.* status=(\w+)", self.log().read_text())
        return found and found[1]

    def attempts(self, *statuses):
        """That are to be counted."""
        pairs = [(place, status) for place in PLACES for status in statuses]
        return sum(self.truth[metric("deliveries_total", destination=place, status=status)] for place, status in pairs)

    def settle(self):
        """Until each recipient was tried once, and each notice is delivered."""
        expected = self.attempts("sent", "deferred", "bounced")

        def tried():
            return self.postfix.said(" dsn=") - self.postfix.said(f"relay={FILTER}[")

        wait_until(lambda: tried() >= expected, lambda: f"{expected} attempts; there are {tried()}")
        self.postfix.wait_idle()
        assert tried() == expected

    def expire(self):
        """All that waits is tried once more, and is too old then."""
        for series in [series for series in self.truth if labels_of(series).get("status") == "deferred"]:
            self.truth[series] *= 2
        for place in PLACES:
            number = self.truth[metric("deliveries_total", destination=place, status="deferred")] // 2
            if number > 0:
                self.count("deliveries_total", number, destination=place, status="expired")
            for _ in range(number - (place == "external")):  # one has the null sender
                self.returned()
        for _ in DEFERRED:  # by the filter
            self.returned()
        again = ["maximal_queue_lifetime=1s", "bounce_queue_lifetime=1s"]
        folder = self.postfix.folder / "etc"
        run([*AS_ROOT, server_program("postfix", "usr/sbin/postconf"), "-c", folder, "-e", *again])
        run([*AS_ROOT, server_program("postfix", "usr/sbin/postfix"), "-c", folder, "reload"])
        self.postfix.flush()
        expired = self.attempts("expired") + len(DEFERRED)
        wait_until(lambda: self.postfix.said("status=expired") == expired, "all that waits expires")

    def log(self):
        return self.postfix.folder / "maillog"


# By the local part, what the sink makes of it: status, class, code.
FATES = {
    "joe": ("sent",),
    "later": ("deferred", "greylisted", "4.2.0"),
    "gone": ("bounced", "user_unknown", "5.1.1"),
    "full": ("bounced", "mailbox_full", "5.2.2"),
    "listed": ("bounced", "blocklisted", "5.7.1"),
    "noname": ("deferred", "no_rdns", "4.7.25"),
    "spam": ("bounced", "refused_spam", "5.7.1"),
    "busy": ("deferred", "other", "4.3.0"),
    "vanish": ("deferred", "connection_timeout", "4.4.2"),
}
DEFERRED = [user for user, fate in FATES.items() if fate[0] == "deferred"]
PLACES = ("local", "internal", "external")


@pytest.fixture(scope="module")
def logged(parts):
    """A log with everything in it."""
    run = Run(parts)
    run.deliver()
    run.look_up()
    run.refuse()
    run.let_pass()
    run.trouble()
    run.screen()
    run.settle()
    run.expire()
    run.settle()
    return run


@pytest.fixture(scope="module")
def counted(logged):
    """What we say of it."""
    return counts_of(logged.log(), logged.configuration)


def test_everything_is_counted(logged, counted):
    write_truth(logged.truth, logged.log())
    assert without_times(counted) == {series: value for series, value in logged.truth.items() if value}


def test_lines(logged, counted):
    """Each line is one; none that should be understood is not; a complaint is what begins so."""
    lines = logged.log().read_text().splitlines()
    of = {labels_of(series)["result"]: value for series, value in counted.items() if "log_lines" in series}
    assert sum(of.values()) == len(lines) and "unparsed" not in of
    for severity in ("warning", "error", "fatal", "panic"):
        said = sum(bool(re.match(rf"\S+ +\S+ \S+ \S+ \S+: {severity}: ", line)) for line in lines)
        assert counted.get(metric("log_problems_total", severity=severity), 0) == said


def test_times(logged, counted):
    """The sums of what Postfix writes of the deliveries that we count."""
    delay, parts = Decimal(), [Decimal()] * 4
    for line in logged.log().read_text().splitlines():
        found = re.search(r" relay=(\S+), .*delay=([\d.]+), delays=([\d./]+), dsn=\S+ status=sent", line)
        if found and not found[1].startswith(FILTER):
            delay += Decimal(found[2])
            parts = [sum(pair) for pair in zip(parts, map(Decimal, found[3].split("/")), strict=True)]
    sums = {series: value for series, value in counted.items() if name_of(series).endswith("_seconds_sum")}
    assert sum(value for series, value in sums.items() if "stage" not in series) == delay > 0
    names = ("before_queue", "in_queue", "connect", "transmission")
    assert [sums.get(metric("delivery_stage_seconds_sum", part=name), 0) for name in names] == parts
    for place in PLACES:
        observed = sum(
            value
            for series, value in counted.items()
            if name_of(series) == metric("delivery_seconds_bucket") and labels_of(series)["destination"] == place
        )
        assert observed == logged.truth[metric("deliveries_total", destination=place, status="sent")]
