"""Mail of every fate through a real sendmail, and the truth of it: STEPS, what each must add to the metrics of its log."""

from kit.milter_wire import EOM, RCPT
from kit.other_milter import REJECT, OtherMilter, packet
from kit.smtp import Smtp
from kit.wait import pass_time, wait_until
from log_play import BACK, TEXT, Play

EXTERNAL, REFUSED, SLOW = "192.0.2.200", "192.0.2.201", "192.0.2.202"  # clients
UNMILTERED = "unmiltered@example.test"
TABLES = {
    "access": {"From:bad@ext.test": "REJECT", f"Connect:{REFUSED}": "REJECT", "To:grey@example.test": "ERROR:4.2.0:450 Greylisted"},
    "mailer": {
        "remote.test": "esmtp:[127.0.0.1]",
        "refused.test": "smtp8:[127.0.0.6]",
        "late.test": "smtp8:[127.0.0.7]",
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
    "FEATURE(`mailertable', `hash {folder}/etc/mailer')dnl\n"
    "define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl\n"
    "define(`confMAX_RCPTS_PER_MESSAGE', `5')dnl\n"
    "define(`confMAX_MESSAGE_SIZE', `100000')dnl\n"
    "define(`confTO_COMMAND', `3s')dnl\n"
    "define(`confTO_QUEUERETURN_URGENT', `1s')dnl\n"
    "define(`confTO_QUEUEWARN_NONURGENT', `1s')dnl\n"
    "define(`SMTP_MAILER_ARGS', `TCP $h %(sink)d')dnl\n"
    "define(`ESMTP_MAILER_ARGS', `TCP $h %(sink)d')dnl\n"
    "define(`SMTP8_MAILER_ARGS', `TCP $h 1')dnl\n"
    + "".join(f"RELAY_DOMAIN(`{domain}')dnl\n" for domain in RELAYED)
    + "INPUT_MAIL_FILTER(`other', `S=unix:{folder}/milterscope/other.sock, F=')dnl\n"
    "MAILER_DEFINITIONS\n"
    "Mexit, P=/bin/sh, U=0:0, F=lsDFMnS, A=sh {folder}/etc/exit $h $u\n"
)
EXIT = "cat >/dev/null\nexit $1\n"
DECISIONS = {(RCPT, b"milter@"): packet(REJECT), (EOM, b""): packet(b"c")}


class SendmailPlay(Play):
    """`mta` is a Sendmail whose log is in a file: log_file."""

    def __init__(self, mta, log_file, milter_socket):
        super().__init__(mta.address)
        self.mta, self.log_file, self.milter_socket = mta, log_file, milter_socket

    def session(self, source=EXTERNAL):
        with self.mta.network.visit():
            return super().session(source)

    def mail(self, *recipients, source=EXTERNAL, **settings):
        super().mail(*recipients, source=source, **settings)
        self.mta.wait_idle()

    def rcpt(self, recipient, code, source=EXTERNAL, **settings):
        super().rcpt(recipient, code, source=source, **settings)
        self.mta.wait_idle()

    def deliver(self):
        self.mta.run_queue()


def delivered_here(play):
    play.mail("alice@example.test", "bob@example.test")
    play.deliver()
    play.attempt("sent", "local", code="2.0.0", n=2)


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
        "spam@remote.test": ("5.7.1", "refused_spam"),
        "x@nouser.test": ("5.1.1", "user_unknown"),
        "x@nohost.test": ("5.1.2", "dns"),
        "x@down.test": ("other", "other"),
    }
    for address, (code, problem) in fates.items():
        play.mail(address)
        play.deliver()
        play.attempt("bounced", code=code, problem=problem)
        play.expect("bounces_sent_total")
        play.attempt("sent", code="2.0.0")  # the bounce


STEPS = [delivered_here, delivered_away, from_a_program, bounced]


def deferred(play):
    """These stay in the queue, and are tried at each further run."""
    play.mail("grey@remote.test")
    play.mail("full@remote.test")
    play.mail("b@refused.test")
    play.mail("b@notnow.test")
    play.deliver()


def warned(play):
    play.mail("c@refused.test", text="Priority: non-urgent\n" + TEXT)
    pass_time(2)
    play.deliver()


def expired(play):
    play.mail("b@late.test", text="Priority: urgent\n" + TEXT)
    pass_time(2)
    play.deliver()


def refusals(play):
    play.rcpt("nobody@example.test", 550)
    play.rcpt("b@elsewhere.test", 550)
    play.rcpt("grey@example.test", 450)
    play.rcpt("milter@example.test", 550)
    with play.session() as smtp:
        smtp.command("MAIL FROM:<bad@ext.test>", 550)
        smtp.quit()
    with play.mta.network.visit(), Smtp(play.address, REFUSED) as smtp:
        smtp.reply()
        smtp.command("EHLO x.test")
        smtp.command("MAIL FROM:<a@ext.test>")
        smtp.quit()
    with play.session() as smtp:
        smtp.command("MAIL FROM:<a@ext.test>", 250)
        for n in range(7):
            smtp.command("RCPT TO:<alice@example.test>")
        smtp.quit()
    with play.session() as smtp:
        smtp.command("MAIL FROM:<a@ext.test> SIZE=200000")
        smtp.quit()
    play.mail("alice@example.test", text=TEXT + ("x" * 76 + "\n") * 2000, expect=552)
    play.mail("alice@example.test", text="".join("Received: x\n" for _ in range(60)) + TEXT, expect=554)


def wrong_password(play):
    with play.session() as smtp:
        smtp.command("AUTH PLAIN AGpvZQB3cm9uZw==", 535)
        smtp.quit()


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
        smtp.quit()


def no_milter(play):
    play.other.__exit__()
    play.mail("alice@example.test")


MORE = [deferred, warned, expired, refusals, wrong_password, lost, no_milter]
