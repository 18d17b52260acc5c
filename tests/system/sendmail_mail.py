"""Mail of every fate through a real sendmail, and the truth of it: STEPS, what each must add to the log's metrics."""

import subprocess

from kit.milter_wire import HEADER, RCPT, packet
from kit.other_milter import REJECT
from kit.sink import ASLEEP, MUTE
from kit.smtp import Smtp
from kit.wait import GENEROUS, pass_time
from log_play import BACK, TEXT, Play

EXTERNAL, REFUSED, SLOW = "192.0.2.200", "192.0.2.201", "192.0.2.202"  # clients
MUTE_HOST, ASLEEP_HOST, SILENT_HOST = "127.0.0.8", "127.0.0.9", "127.0.0.10"  # servers, at the port of the sink
UNSURE = "host.invalid"  # a name for which DNS has no answer
TABLES = {
    "access": {
        "From:bad@ext.test": "REJECT",
        f"Connect:{REFUSED}": "REJECT",
        "To:carol@example.test": "ERROR:4.2.0:450 Greylisted",
    },
    "mailer": {
        "remote.test": "esmtp:[127.0.0.1]",
        "refused.test": "smtp8:[127.0.0.6]",
        "late.test": "smtp8:[127.0.0.7]",
        "mute.test": f"esmtp:[{MUTE_HOST}]",
        "asleep.test": f"esmtp:[{ASLEEP_HOST}]",
        "silent.test": f"esmtp:[{SILENT_HOST}]",
        "nowhere.test": "esmtp:no-such-host.invalid",
        "unsure.test": f"esmtp:{UNSURE}",
        "loop.test": "selfsmtp:[127.0.0.1]",  # this server
        # A program that ends with this status.
        "notnow.test": "exit:75",
        "nouser.test": "exit:67",
        "nohost.test": "exit:68",
        "down.test": "exit:69",
        "forbidden.test": "exit:77",
    },
}
USERS = {"joe": "right"}
RELAYED = ["remote.test", *list(TABLES["mailer"])]

LINES = (
    "FEATURE(`access_db', `hash -T<TMPF> {folder}/etc/access')dnl\n"
    "FEATURE(`accept_unresolvable_domains')dnl\n"
    "FEATURE(`blocklist_recipients')dnl\n"
    "FEATURE(`mailertable', `hash {folder}/etc/mailer')dnl\n"
    "define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl\n"
    "define(`confMAX_RCPTS_PER_MESSAGE', `5')dnl\n"
    "define(`confMAX_MESSAGE_SIZE', `100000')dnl\n"
    "define(`confTO_COMMAND', `3s')dnl\n"
    "define(`confTO_DATABLOCK', `3s')dnl\n"
    "define(`confTO_QUEUERETURN_URGENT', `1s')dnl\n"
    "define(`confTO_QUEUEWARN_NONURGENT', `1s')dnl\n"
    "define(`SMTP_MAILER_ARGS', `TCP $h %(sink)d')dnl\n"
    "define(`ESMTP_MAILER_ARGS', `TCP $h %(sink)d')dnl\n"
    "define(`SMTP8_MAILER_ARGS', `TCP $h 1')dnl\n"
    + "".join(f"RELAY_DOMAIN(`{domain}')dnl\n" for domain in RELAYED)
    + "INPUT_MAIL_FILTER(`other', `S=unix:{folder}/milterscope/other.sock, F=')dnl\n"
    "LOCAL_CONFIG\n"
    "HX-Test: $>CheckTest\n"
    "LOCAL_RULESETS\n"
    "SCheckTest\n"
    "Rhold\t\t$#error $@ quarantine $: held\n"
    "MAILER_DEFINITIONS\n"
    "Mselfsmtp, P=[IPC], F=mDFMuX, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n, L=990, T=DNS/RFC822/SMTP,\n"
    "\t\tA=TCP $h {port}\n"
    "Mexit, P=/bin/sh, U=0:0, F=lsDFMnS, A=sh {folder}/etc/exit $h $u\n"
)
EXIT = "cat >/dev/null\nexit $1\n"
DECISIONS = {(RCPT, b"bob@"): packet(REJECT), (HEADER, b"reject"): packet(REJECT)}


class SendmailPlay(Play):
    """`mta` is a Sendmail whose log is in a file: log_file. `other`: its other milter."""

    def __init__(self, mta, log_file, other):
        super().__init__(mta.address)
        self.mta, self.log_file, self.other = mta, log_file, other

    def session(self, source=EXTERNAL):
        with self.mta.network.visit():
            return super().session(source)

    def mail(self, *recipients, source=EXTERNAL, **settings):
        super().mail(*recipients, source=source, **settings)
        self.mta.wait_idle()

    def rcpt(self, recipient, code, source=EXTERNAL, **settings):
        super().rcpt(recipient, code, source=source, **settings)
        self.mta.wait_idle()

    def deliver(self, *options):
        """All that waits is tried; the exit status is that of what went wrong."""
        with self.mta.network.visit():
            subprocess.run([self.mta.folder / "mta", *options, "-q", "-v"], timeout=2 * GENEROUS, capture_output=True)

    def clear(self):
        """What could not be delivered is thrown away, so that it is not tried again."""
        for path in (self.mta.folder / "queue").iterdir():
            path.unlink()

    def returned(self):
        self.expect("bounces_sent_total")
        self.attempt("sent", code="2.0.0")


def delivered_here(play):
    play.mail("alice@example.test")
    play.deliver()
    play.attempt("sent", "local", code="2.0.0")


def delivered_away(play):
    play.mail("one@remote.test", "two@remote.test", "three@remote.test")
    play.deliver()
    play.attempt("sent", code="2.0.0", n=3)


def from_a_program(play):
    """It goes to the server by SMTP on this host, which is no delivery."""
    play.mta.submit("-f", BACK, "alice@example.test", text=TEXT)
    play.deliver()
    play.attempt("sent", "local", code="2.0.0")


def bounced(play):
    fates = {
        "gone@remote.test": ("5.1.1", "user_unknown"),
        "full@remote.test": ("5.2.2", "mailbox_full"),
        "listed@remote.test": ("5.7.1", "blocklisted"),
        "spam@remote.test": ("5.7.1", "refused_spam"),
    }
    for address, (code, problem) in fates.items():
        play.mail(address)
        play.deliver()
        play.attempt("bounced", code=code, problem=problem)
        play.returned()


def bounced_here(play):
    fates = {
        "x@nouser.test": ("5.1.1", "user_unknown"),
        "x@nohost.test": ("5.1.2", "dns"),
        "x@down.test": ("5.0.0", "other"),
        "x@forbidden.test": ("5.0.0", "other"),
    }
    for address, (code, problem) in fates.items():
        play.mail(address)
        play.deliver()
        play.attempt("bounced", "local", code=code, problem=problem)
        play.returned()


def deferred(play):
    for name in ("later@remote.test", "noname@remote.test", "busy@remote.test", "b@refused.test", "b@notnow.test"):
        play.mail(name)
    play.deliver()
    play.attempt("deferred", code="4.2.0", problem="greylisted")
    play.attempt("deferred", code="4.7.25", problem="no_rdns")
    play.attempt("deferred", code="4.3.0", problem="other")
    play.attempt("deferred", code="4.4.1", problem="connection_refused")
    play.attempt("deferred", "local", code="4.0.0", problem="other")
    play.clear()


def hanging(play):
    """Servers that do not answer RCPT, or the end of a message, or not even greet."""
    for user, host in ((MUTE, "mute"), (ASLEEP, "asleep"), ("joe", "silent")):
        play.mail(f"{user}@{host}.test")
    play.deliver(*(f"-OTimeout.{what}=1s" for what in ("rcpt", "datafinal", "initial")))
    play.attempt("deferred", code="4.4.2", problem="connection_timeout", n=3)
    play.clear()


def unknown_domain(play):
    """One that there is not, and one of which nobody knows now whether there is."""
    play.mail("joe@nowhere.test")
    play.mail("joe@unsure.test")
    play.deliver()
    play.attempt("bounced", code="5.1.2", problem="dns")
    play.returned()
    play.attempt("deferred", code="4.0.0", problem="dns")
    play.clear()


def looping(play):
    """To a server that is itself, of which the postmaster gets a copy; and a message that has been here too often: it is
    returned at once."""
    play.mail("joe@loop.test")
    play.deliver()
    play.attempt("bounced", code="5.3.5", problem="loop")
    play.returned()
    play.attempt("sent", "local", code="2.0.0")
    play.mail("joe@remote.test", text="Received: from a by b\n" * 26 + TEXT)
    play.attempt("bounced", code="5.4.6", problem="loop")
    play.returned()


def nobody_to_tell(play):
    """A bounce that bounces: the postmaster is told."""
    play.mail("gone@remote.test", sender="")
    play.deliver()
    play.attempt("bounced", code="5.1.1", problem="user_unknown")
    play.attempt("sent", "local", code="2.0.0")


def held(play):
    """In quarantine: nobody tries to deliver it."""
    play.mail("joe@remote.test", text="X-Test: hold\n" + TEXT)
    play.deliver()
    assert "quarantine=held, stat=quarantined" in play.log()
    play.clear()


def warned(play):
    """Of a delay: that is no notice of a failure."""
    play.mail("c@refused.test", text="Priority: non-urgent\n" + TEXT)
    pass_time(2)
    play.deliver()
    play.attempt("deferred", code="4.4.1", problem="connection_refused")
    play.attempt("sent", code="2.0.0")
    play.clear()


def expired(play):
    """When it is tried for the last time: both recipients are deferred once more."""
    play.mail("b@late.test", "c@late.test", text="Priority: urgent\n" + TEXT)
    pass_time(2)
    play.deliver()
    play.attempt("deferred", code="4.4.1", problem="connection_refused", n=2)
    play.attempt("expired", n=2)
    play.returned()


def refused_recipients(play):
    play.rcpt("noone@example.test", 550)
    play.refused("rcpt", "user_unknown")
    play.rcpt("b@elsewhere.test", 550)
    play.refused("rcpt", "relay_denied")
    play.rcpt("carol@example.test", 450)
    play.refused("rcpt", "greylist")
    play.rcpt("bob@example.test", 550)
    play.refused("rcpt", "other")


def refused_otherwise(play):
    with play.session() as smtp:
        smtp.command("MAIL FROM:<bad@ext.test>", 550)
        smtp.quit()
    play.refused("mail", "policy")
    with play.mta.network.visit():
        smtp = Smtp(play.address, REFUSED)
    with smtp:
        smtp.reply()
        smtp.command("QUIT", 221)
    play.refused("connect", "policy")
    play.mail("alice@example.test", text="Subject: reject\n" + TEXT, expect=554)
    play.refused("message", "other")


def too_much(play):
    with play.session() as smtp:
        smtp.command("MAIL FROM:<a@ext.test>", 250)
        answers = [smtp.command(f"RCPT TO:<{n}@remote.test>")[0] for n in range(7)]
        smtp.quit()
    for _ in range(answers.count(452)):
        play.refused("rcpt", "rate")
        play.expect("log_limits_total")
    play.mail("alice@example.test", text=TEXT + ("x" * 76 + "\n") * 2000, expect=552)
    play.refused("message", "policy")


def wrong_password(play):
    with play.session() as smtp:
        smtp.command("AUTH PLAIN AGpvZQB3cm9uZw==", 535)
        smtp.quit()
    play.expect("log_auth_failures_total")


def lost(play):
    with play.session() as smtp:
        smtp.command(f"MAIL FROM:<{BACK}>", 250)
        smtp.vanish()
    with play.session() as smtp:
        smtp.command(f"MAIL FROM:<{BACK}>", 250)
        smtp.command("RCPT TO:<alice@example.test>", 250)
        smtp.command("DATA", 354)
        smtp.send("Subject: x\r\n\r\nhalf")
        smtp.vanish()
    with play.session(SLOW) as smtp:
        smtp.wait_closed()
    with play.session(SLOW) as smtp:
        smtp.command(f"MAIL FROM:<{BACK}>", 250)
        smtp.command("RCPT TO:<alice@example.test>", 250)
        smtp.command("DATA", 354)
        smtp.send("Subject: x\r\n\r\nhalf")
        smtp.wait_closed()
    play.expect("log_connections_lost_total", 4)


def milter_gone(play):
    play.other.__exit__()
    play.mail("alice@example.test")
    play.expect("log_milter_errors_total")


def loaded(play):
    """A queue run that the load of the host, whatever it is, is too high for."""
    play.deliver("-OQueueLA=0", "-OQueueFactor=1")
    play.expect("log_limits_total")


STEPS = [
    delivered_here, delivered_away, from_a_program, bounced, bounced_here, deferred, hanging, unknown_domain,
    looping, nobody_to_tell, held, warned, expired,
    refused_recipients, refused_otherwise, too_much, wrong_password, lost, loaded, milter_gone,
]  # fmt: skip
