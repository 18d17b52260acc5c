"""Mail of every fate through a real Exim, and the truth of it: STEPS, what each must add to the metrics of its log."""

import re

from kit.sink import ASLEEP, MUTE
from kit.smtp import Smtp
from kit.wait import pass_time, wait_until
from log_play import BACK, TEXT, Play

PICKY, SLOW, UNWELCOME = "127.0.0.2", "127.0.0.3", "127.0.0.4"  # clients
HANGING = {MUTE: "127.0.0.8", ASLEEP: "127.0.0.9", "silent": "127.0.0.10"}  # servers; Exim leaves alone one that hung

MAIN = """acl_smtp_connect = check_connect
acl_smtp_helo = check_helo
acl_smtp_mail = check_mail
acl_smtp_data = check_data
smtp_receive_timeout = ${if eq{$sender_host_address}{%(slow)s}{1s}{1m}}
smtp_accept_max_per_host = ${if eq{$sender_host_address}{%(picky)s}{1}{0}}
ignore_bounce_errors_after = 1d
bounce_return_body = false
"""
REST = """begin acl
check_connect:
  deny hosts = %(unwelcome)s
       message = You are not welcome
  accept
check_helo:
  deny condition = ${if eq{$sender_helo_name}{bad.test}}
       message = Invalid HELO name
  accept
check_mail:
  deny senders = bad@ext.test
       message = Sender address rejected: not owned by user
  accept
check_rcpt:
  accept hosts = :
  defer local_parts = greylisted
        message = Greylisted, try again later
  deny local_parts = broken
       condition = ${lookup{x}lsearch{/nonexistent/table}}
  deny local_parts = blocked
       message = $sender_host_address is listed at dnsbl.test
  accept domains = !example.test : !elsewhere.test : *.test
  require message = relay not permitted
          domains = example.test
  require verify = recipient
  accept
check_data:
  deny condition = ${if eq{$h_x-test:}{reject}}
       message = This message scored 12.3 spam points: spam detected
  warn condition = ${if eq{$h_x-test:}{hold}}
       control = freeze
  accept

begin routers
hole:
  driver = redirect
  domains = example.test
  local_parts = hole
  data = :blackhole:
known:
  driver = accept
  domains = example.test
  local_parts = alice : bob : carol : postmaster
  transport = files
misconfigured:
  driver = accept
  domains = example.test
  local_parts = dave
  transport = without_group
remote:
  driver = manualroute
  domains = remote.test
  route_list = * 127.0.0.1::%(sink)d
  self = send
  transport = smtp
refused:
  driver = manualroute
  domains = refused.test : late.test
  route_list = refused.test 127.0.0.6::1 ; late.test 127.0.0.7::1
  self = send
  transport = smtp
hanging:
  driver = manualroute
  domains = mute.test : asleep.test : silent.test
  route_list = mute.test %(mute)s ; asleep.test %(asleep)s ; silent.test %(silent)s
  self = send
  transport = hasty
loop:
  driver = manualroute
  domains = loop.test
  route_list = * 127.0.0.1::{port}
  transport = smtp
named:
  driver = manualroute
  domains = nowhere.test
  route_list = * no-such-host.invalid byname
  host_find_failed = fail
  transport = smtp

begin transports
files:
  driver = appendfile
  file = {folder}/mail/${local_part_data}
without_group:
  driver = appendfile
  file = {folder}/mail/${local_part_data}
  user = ${eval:1+65533}
smtp:
  driver = smtp
  hosts_try_prdr =
hasty:
  driver = smtp
  hosts_try_prdr =
  command_timeout = 1s
  final_timeout = 1s

begin retry
late.test * F,1s,1s
* * F,1h,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if eq{$auth3}{right}}
  server_advertise_condition = yes
"""


class EximPlay(Play):
    def __init__(self, exim):
        super().__init__(exim.address)
        self.exim, self.log_file, self.notices = exim, exim.log(), 0

    def returned(self):
        """To where that can be delivered."""
        self.notices += 1
        self.wait_log(f"=> {BACK}", self.notices)
        self.expect("bounces_sent_total")
        self.attempt("sent", code="2.0.0")


def delivered_here(play):
    play.mail("alice@example.test", "bob@example.test")
    play.wait_log("=> bob")
    play.attempt("sent", "local", n=2)


def thrown_away(play):
    play.mail("hole@example.test")
    play.wait_log(":blackhole:")
    play.attempt("sent", "local")


def delivered_away(play):
    play.mail("one@remote.test", "two@remote.test")
    play.wait_log("-> two@remote.test")
    play.attempt("sent", code="2.0.0", n=2)


def deferred(play):
    play.mail("later@remote.test")
    play.mail("noname@remote.test")
    play.wait_log("== noname@remote.test")
    play.attempt("deferred", code="4.2.0", problem="greylisted")
    play.attempt("deferred", code="4.7.25", problem="no_rdns")


def bounced(play):
    fates = {
        "gone": ("5.1.1", "user_unknown"),
        "full": ("5.2.2", "mailbox_full"),
        "listed": ("5.7.1", "blocklisted"),
        "spam": ("5.7.1", "refused_spam"),
    }
    for name, (code, problem) in fates.items():
        play.mail(f"{name}@remote.test")
        play.attempt("bounced", code=code, problem=problem)
        play.returned()


def unrouteable(play):
    """Taken from a local program, which does not wait for an answer."""
    play.exim.command("-f", BACK, "nobody@example.test", text=TEXT)
    play.attempt("bounced", "internal", problem="user_unknown")
    play.returned()


def frozen(play):
    """A bounce that nobody takes."""
    play.mail("gone@remote.test", sender="")
    play.wait_log("Frozen")
    play.attempt("bounced", code="5.1.1", problem="user_unknown")


def nobody_listens(play):
    play.mail("b@refused.test")
    play.wait_log("== b@refused.test")
    play.attempt("deferred", problem="connection_refused")


def hanging(play):
    """Servers that do not answer RCPT, or the end of a message, or not even greet."""
    addresses = [f"{MUTE}@mute.test", f"{ASLEEP}@asleep.test", "joe@silent.test"]
    for address in addresses:
        play.mail(address)
    for address in addresses:
        play.wait_log(f"== {address}")
        play.attempt("deferred", problem="connection_timeout")


def unknown_domain(play):
    """One that nobody routes; and a relay that has no address: whether that is known, or nobody can be asked, is not in
    our hands."""
    play.exim.command("-f", BACK, "joe@unknown.example", text=TEXT)
    play.attempt("bounced", problem="dns")
    play.returned()
    play.mail("joe@nowhere.test")
    wait_until(lambda: re.search(r"(==|\*\*) joe@nowhere.test", play.log()), "the mail is tried")
    bounced = "** joe@nowhere.test" in play.log()
    play.attempt("bounced" if bounced else "deferred", problem="dns")
    if bounced:
        play.returned()


def looping(play):
    """To a server that is itself, which freezes it; and a message that has been here too often."""
    play.mail("joe@loop.test")
    play.wait_log("== joe@loop.test")
    play.attempt("deferred", problem="loop")
    play.mail("joe@remote.test", text="Received: from a by b\n" * 31 + TEXT)
    play.attempt("bounced", problem="loop")
    play.returned()


def held(play):
    """Frozen: nobody tries to deliver it."""
    play.mail("joe@remote.test", text="X-Test: hold\n" + TEXT)
    play.wait_log("frozen by ACL")


def misconfigured(play):
    """A panic, as Exim calls it: the mail waits for somebody who mends that."""
    play.mail("dave@example.test")
    play.wait_log("== dave@example.test")
    play.attempt("deferred", "internal", problem="other")


def expired(play):
    """The last attempt is in the log as deferred, and then as given up."""
    play.mail("b@late.test")
    play.wait_log("== b@late.test")
    pass_time(2)  # Exim counts in seconds
    play.exim.command("-R", "late.test")
    play.attempt("deferred", problem="connection_refused", n=2)
    play.attempt("expired")
    play.returned()


def refusals(play):
    play.rcpt("nobody@example.test", 550)
    play.refused("rcpt", "unroutable")
    play.rcpt("b@elsewhere.test", 550)
    play.refused("rcpt", "relay_denied")
    play.rcpt("greylisted@example.test", 451)
    play.refused("rcpt", "greylist")
    play.rcpt("blocked@example.test", 550)
    play.refused("rcpt", "dnsbl")
    with play.session() as smtp:
        smtp.command("MAIL FROM:<bad@ext.test>", 550)
        smtp.quit()
    play.refused("mail", "sender")
    with Smtp(play.exim.address) as smtp:
        smtp.greet()
        smtp.command("EHLO bad.test", 550)
        smtp.quit()
    play.refused("helo", "helo")
    with Smtp(play.exim.address, UNWELCOME) as smtp:
        smtp.expect("connect", 550)
    play.refused("connect", "other")
    play.mail("alice@example.test", text="X-Test: reject\n" + TEXT, expect=550)
    play.refused("message", "spam")


def broken(play):
    play.rcpt("broken@example.test", 451)
    play.refused("rcpt", "lookup_failed")


def wrong_password(play):
    with play.session() as smtp:
        smtp.command("AUTH PLAIN AHVzZXIAd3Jvbmc=", 535)
        smtp.quit()
    play.expect("log_auth_failures_total")


def lost(play):
    with play.session() as smtp:
        smtp.command(f"MAIL FROM:<{BACK}>", 250)
        smtp.vanish()
    play.wait_log("unexpected disconnection")
    with play.session(SLOW) as smtp:
        smtp.wait_closed()
    play.wait_log("SMTP command timeout")
    play.expect("log_connections_lost_total", 2)


def too_many(play):
    with play.session(PICKY) as smtp, Smtp(play.exim.address, PICKY) as second:
        second.expect("connect", 421)
        smtp.quit()
    play.wait_log("too many connections")
    play.expect("log_limits_total")


STEPS = [
    delivered_here, thrown_away, delivered_away, deferred, bounced, unrouteable, frozen, nobody_listens, hanging, held,
    looping, misconfigured, unknown_domain, expired, refusals, broken, wrong_password, lost, too_many,
]  # fmt: skip


def configuration(sinks, selector=""):
    """`sinks`: by what they do: the sink, and those that hang: MUTE, ASLEEP, silent."""
    values = {"picky": PICKY, "slow": SLOW, "unwelcome": UNWELCOME, "sink": sinks["sink"].port}
    values |= {name: f"{host}::{sinks[name].port}" for name, host in HANGING.items()}
    return MAIN % values + selector, REST % values
