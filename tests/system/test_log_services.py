"""Services of Postfix beside those of test_delivery_log.py: lmtp, virtual, relay, some under names of their own, and a
milter that refuses at every stage. What the real ones log is held to what happened. (Of a process limit Postfix' master
says nothing where only this host can connect.)"""

import json
from collections import Counter

import pytest
from delivered import counts_of, lines_of, without_times
from kit.accounts import needs_open_folder
from kit.milter_wire import CONNECT, DATA, HEADER, HELO, MAIL, RCPT, packet
from kit.other_milter import REJECT, TEMPFAIL, OtherMilter
from kit.place import free_port
from kit.servers import Postfix
from kit.sink import Sink
from kit.smtp import Smtp
from kit.wait import wait_until
from log_play import SITE, TEXT
from mailserver import inline
from truth import metric

UNWELCOME = "127.0.0.77"
DECISIONS = {
    (CONNECT, UNWELCOME.encode()): packet(REJECT),
    (HELO, b"bad.test"): packet(REJECT),
    (MAIL, b"bad@"): packet(REJECT),
    (RCPT, b"grey@"): packet(TEMPFAIL),
    (RCPT, b"bad@"): packet(REJECT),
    (HEADER, b"reject"): packet(REJECT),
}
SERVICES = {"lmtp.test": "lmtp", "out.test": "relay", "own.test": "own"}
NOBODY = 65534


class Host:
    """`truth`: {series: number}."""

    def __init__(self, parts):
        self.truth, self.parts = Counter(), parts
        self.sink = parts.start(Sink("127.0.0.5"))
        self.filtered, self.stopped = free_port(), free_port()
        milter = parts.start(OtherMilter(parts.folder.tmpfs / "other.sock", DECISIONS))
        at_data = parts.start(OtherMilter(parts.folder.tmpfs / "data.sock", {(DATA, b""): packet(REJECT)}))
        sockets = [f"unix:{other.server_address}" for other in (milter, at_data)]
        self.boxes = parts.folder.disk / "boxes"
        self.boxes.mkdir(mode=0o777)
        self.boxes.chmod(0o777)
        self.postfix = parts.start(Postfix(parts.folder, self.settings(sockets)))

    def settings(self, milters):
        sink = f"[127.0.0.5]:{self.sink.port}"
        transports = {name: f"{service}:{sink}" for name, service in SERVICES.items()} | {"box.test": "virtual:"}
        listener = "127.0.0.1:{0}/inet=127.0.0.1:{0} inet n - n - {1}".format
        services = [
            listener(self.filtered, f"- smtpd -o smtpd_milters={milters[0]} -o syslog_name=mx7/submission"),
            listener(self.stopped, f"- smtpd -o smtpd_milters={milters[1]}"),
            "lmtp/unix=lmtp unix - - n - - lmtp",
            "virtual/unix=virtual unix - n n - - virtual",
            "relay/unix=relay unix - - n - - smtp -o syslog_name=postfix/relay",
            "own/unix=own unix - - n - - smtp -o syslog_name=mx-out",
        ]
        return {
            **dict(line.split("=", 1) for line in services),
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "transport_maps": inline(transports),
            "relay_domains": " ".join(transports),
            "virtual_mailbox_base": self.boxes,
            "virtual_mailbox_maps": inline({"joe@box.test": "joe"}),
            "virtual_uid_maps": f"static:{NOBODY}",
            "virtual_gid_maps": f"static:{NOBODY}",
            "local_recipient_maps": "",
            "notify_classes": "",
        }

    def count(self, name, **labels):
        self.truth[metric(name, **labels)] += 1

    def attempt(self, destination, status, code, problem=None):
        self.count("deliveries_total", destination=destination, status=status)
        self.count("delivery_codes_total", code=code, status=status)
        if problem:
            self.count("delivery_problems_total", **{"class": problem}, status=status)

    def refused(self, where, kind):
        self.count("log_rejects_total", where=where, **{"class": kind})

    def session(self, port=None, source=None, helo="client.test"):
        smtp = Smtp(("127.0.0.1", port) if port else self.postfix.address, source)
        smtp.greet()
        smtp.command(f"EHLO {helo}", 250)
        return smtp

    def mail(self, recipient, text=TEXT, port=None, code=250):
        with self.session(port) as smtp:
            smtp.command("MAIL FROM:<a@ext.test>", 250)
            smtp.command(f"RCPT TO:<{recipient}>", 250)
            smtp.command("DATA", 354)
            smtp.body(text, code)
            smtp.quit()

    def deliver(self):
        for name in SERVICES:
            self.mail(f"joe@{name}")
            self.attempt("external", "sent", "2.0.0")
        self.mail("joe@box.test")
        self.attempt("local", "sent", "2.0.0")
        for name, place in (("gone@lmtp.test", "external"), ("gone@own.test", "external"), ("gone@box.test", "local")):
            self.mail(name)
            self.attempt(place, "bounced", "5.1.1", "user_unknown")
            self.count("bounces_sent_total")
            self.attempt("local", "sent", "2.0.0")  # thrown away

    def refuse(self):
        with Smtp(("127.0.0.1", self.filtered), UNWELCOME) as smtp:
            smtp.reply()
            smtp.command("QUIT", 221)
        self.refused("connect", "other")
        with Smtp(("127.0.0.1", self.filtered)) as smtp:
            smtp.greet()
            smtp.command("EHLO bad.test", 250)  # for all that the milter says, and the log
            smtp.command("HELO bad.test", 250)
            smtp.quit()
        self.refused("helo", "other")
        self.refused("helo", "other")
        with self.session(self.filtered) as smtp:
            smtp.command("MAIL FROM:<bad@ext.test>", 550)
            smtp.command("MAIL FROM:<a@ext.test>", 250)
            smtp.command("RCPT TO:<grey@example.test>", 451)
            smtp.command("RCPT TO:<bad@example.test>", 550)
            smtp.quit()
        self.refused("mail", "other")
        self.refused("rcpt", "greylist")
        self.refused("rcpt", "other")
        with self.session(self.stopped) as smtp:
            smtp.command("MAIL FROM:<a@ext.test>", 250)
            smtp.command("RCPT TO:<joe@example.test>", 250)
            smtp.command("DATA", 550)
            smtp.quit()
        self.refused("data", "other")
        self.mail("joe@example.test", "Subject: reject\n" + TEXT, self.filtered, 550)
        self.refused("message", "other")

    def settle(self):
        sent = sum(number for series, number in self.truth.items() if "deliveries_total" in series)
        wait_until(lambda: self.postfix.said(" dsn=") >= sent, f"{sent} attempts")
        self.postfix.wait_idle()


@pytest.fixture(scope="module")
def host(parts):
    needs_open_folder(parts.folder.disk)  # virtual(8) delivers as another account
    host = Host(parts)
    for step in (host.deliver, host.refuse, host.settle):
        step()
    return host


def test_everything_is_counted(host, parts):
    site = parts.folder.disk / "milterscope.yaml"
    site.write_text(json.dumps(SITE))
    counted = counts_of(host.postfix.folder / "maillog", site)
    assert without_times(counted) == host.truth
    assert "unparsed" not in lines_of(counted)


def test_each_service_spoke(host):
    """Under the name that it has."""
    names = ["postfix/lmtp[", "postfix/virtual[", "postfix/relay/smtp[", "mx-out/smtp[", "mx7/submission/smtpd["]
    assert [name for name in names if host.postfix.said(name) == 0] == []
