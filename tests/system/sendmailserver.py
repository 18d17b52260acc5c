"""The sendmail of the oracle: what mailserver.py is for Postfix, with the same names. Of most of what it refuses the filter
learns the number alone, and of some nothing (milterscope(8))."""

from kit.place import TOP
from kit.sasl import authenticate
from mailserver import DOMAINS
from parties import Client, Recipient

LIMIT = 30_000_000  # bytes of a message
MANY = 150  # recipients of a message

TRUSTED = ["198.51.100.0/24"]
AUTHSERV_IDS = ["mx.example.test", "border.example.test"]
# What milterscope has to know of this server.
SITE = {"trusted_networks": TRUSTED, "domains": DOMAINS, "spam": {"authserv_ids": AUTHSERV_IDS}}

INTERNAL, EXTERNAL, REFUSED_ADDRESS = "198.51.100.7", "192.0.2.200", "192.0.2.201"
NAMED, FORGED, UNRESOLVED = "192.0.2.50", "192.0.2.51", "192.0.2.52"
# What DNS says of them.
ADDRESSES = {"ext.test": "192.0.2.80", "mail.ext.test": NAMED, "forged.ext.test": "192.0.2.99"}
POINTERS = {NAMED: "mail.ext.test", FORGED: "forged.ext.test"}
PASSWORDS = dict.fromkeys(["joe", "ann", "sue"], "right")

CLIENTS = [
    Client("on this host", "local", "127.0.0.1", "local", resolve="ok", relays=True),
    Client("internal", "internal", INTERNAL, "internal", relays=True),
    Client("external", "external", EXTERNAL, "external"),
    Client("authenticated", "authenticated", "192.0.2.210", "external", user="joe"),
    Client("authenticated inside", "authenticated", INTERNAL, "internal", user="ann"),
]
# Each differs from those in one thing alone, and plays less.
SPECIAL_CLIENTS = [
    Client(f"TLS {version}", "external", "192.0.2.220", "external", tls=version)
    for version in ("1.0", "1.1", "1.2", "1.3")
]
SPECIAL_CLIENTS += [
    Client(mechanism, "authenticated", "192.0.2.230", "external", "sue", mechanism, counted_as)
    for mechanism, counted_as in {
        "LOGIN": "login",
        "CRAM-MD5": "cram_md5",
        "SCRAM-SHA-256": "scram",
        "ANONYMOUS": "other",
    }.items()
]
SPECIAL_CLIENTS += [
    Client("encrypted login", "authenticated", "192.0.2.231", "external", "sue", "LOGIN", "login", tls="1.3"),
    Client("encrypted, inside", "internal", INTERNAL, "internal", tls="1.2", relays=True),
    Client("with a name", "external", NAMED, "external", resolve="ok"),
    Client("with a forged name", "external", FORGED, "external", resolve="forged"),
    Client("DNS down", "external", UNRESOLVED, "external", resolve="tempfail", relays=True),
]
REFUSED_CLIENTS = []  # sendmail shows nothing of them, see test_sendmail.py

USERS = [Recipient(f"{name}@example.test") for name in ("alice", "bob", "carol", "postmaster")]
# Refused where sendmail looks for the recipient: the filter is told why.
REFUSED = [
    Recipient("noone@example.test", "user_unknown", 550, "5.1.1"),
    Recipient("noone@mx.example.test", "user_unknown", 550, "5.1.1"),
]
# By check_rcpt, and by the maps in ruleset 0: the filter is told at most how many.
ACCESS = {
    "To:grey@example.test": "ERROR:4.2.0:450 Greylisted, try again",
    "To:denied@example.test": "REJECT",
    "To:discarded@example.test": "DISCARD",
    "From:bad@ext.test": "REJECT",
    f"Connect:{REFUSED_ADDRESS}": "REJECT",
    "Connect:198.51.100": "RELAY",
    f"Connect:{UNRESOLVED}": "RELAY",  # else it would be refused with another reply
}
VIRTUAL = {
    "moved@example.test": "error:5.1.6:551 mailbox moved",
    "full@example.test": "error:4.2.2:452 Mailbox full",
    "gone@example.test": "error:nouser User has gone",
    "listed@example.test": "error:5.7.1:554 Service unavailable",
}
MAILERS = {"gone.test": "error:5.1.2:550 Domain not found"}
UNSEEN = [
    Recipient("user@relay.test", "", 550, "5.7.1", False, away=True),
    Recipient("grey@example.test", "", 450, "4.2.0", False),
    Recipient("denied@example.test", "", 550, "5.2.1", False),
    Recipient("moved@example.test", "", 551, "5.1.6", False),
    Recipient("full@example.test", "", 452, "4.2.2", False),
    Recipient("gone@example.test", "", 553, "5.3.0", False),
    Recipient("listed@example.test", "", 554, "5.7.1", False),
    Recipient("user@gone.test", "", 550, "5.1.2", False),
]
EVERYONE = USERS + REFUSED + UNSEEN
DISCARDED = "discarded@example.test"
REFUSED_SENDERS = {"bad@ext.test": 550, "user@nodomain.test": 553}  # at MAIL, which the filter is not shown
NO_DATA, NO_END = "nodata@ext.test", "noend@ext.test"
BAD_HEADER, QUARANTINE_HEADER = "X-Test: reject", "X-Test: quarantine"

PARAMETERS = [" SIZE={}", " SIZE={} BODY=8BITMIME", " BODY=8BITMIME size={}", " RET=HDRS SIZE={} ENVID=x1"]
UNDECLARED = ["", "", " BODY=7BIT", " ENVID=SIZE+3D3"]
DATA_WITHOUT_RECIPIENTS = 503
MILTERS_ON_TOP = True
TELLS_NUMBER = True
HIDES_UNKNOWN_BETWEEN = True

TABLES = {"access": ACCESS, "virtual": VIRTUAL, "mailer": MAILERS}
SNIPPET = (TOP / "conf/sendmail/sendmail.mc").read_text()
LINES = f"""FEATURE(`access_db', `hash -T<TMPF> {{folder}}/etc/access')dnl
FEATURE(`virtusertable', `hash {{folder}}/etc/virtual')dnl
FEATURE(`mailertable', `hash {{folder}}/etc/mailer')dnl
FEATURE(`blocklist_recipients')dnl
RELAY_DOMAIN(`gone.test')dnl
define(`confMAX_MESSAGE_SIZE', `{LIMIT}')dnl
define(`confMAX_RCPTS_PER_MESSAGE', `{MANY}')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 ANONYMOUS')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 ANONYMOUS')dnl
"""
# What goes there comes back.
FAILING = """RELAY_DOMAIN(`bounce.test')dnl
MAILER_DEFINITIONS
Mfail, P=/bin/sh, U=0:0, F=lsDFMnS, A=sh {folder}/etc/deliver fail $u
"""
# Tabs stand between the sides of a rule.
RULESETS = f"""LOCAL_RULESETS
HX-Test: $>CheckTest
SCheckTest
Rreject\t$#error $@ 5.7.1 $: "550 The header is refused"
Rquarantine\t$#error $@ quarantine $: "The header is suspect"
Scheck_data
R$*\t$: $&f
R$* {NO_DATA} $*\t$#error $@ 5.7.1 $: "550 No data from you"
Scheck_eom
R$*\t$: $&f
R$* {NO_END} $*\t$#error $@ 5.7.1 $: "550 No mail from you"
"""


def log_in(smtp, client):
    code = authenticate(smtp, client.user, client.mechanism)
    if code != 235:
        raise AssertionError(f"AUTH {client.mechanism} was answered by {code}")


def source_of(client, sender):
    return "bounce" if client.source == "local" and not sender else client.source


def refused_to(client):
    """The recipients that this client cannot write to."""
    return [recipient for recipient in REFUSED + UNSEEN if recipient.refused_to(client)]
