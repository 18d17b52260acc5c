"""The Postfix of the oracle: for every fate of a mail there is a client, a sender, a recipient or a text that brings it
about, by Postfix's own restrictions wherever they need no network."""

from kit.sasl import login
from parties import Client, Recipient
from truth import Refusal

LIMIT = 30_000_000  # bytes of a message
MANY = 150  # recipients of a message

TRUSTED = ["127.0.0.0/25", "::1"]
AUTHSERV_IDS = ["mx.example.test", "border.example.test"]
# What milterscope has to know of this server.
DOMAINS = ["idle.test", "Example.TEST", "mx.example.test", "relay.test", "bücher.test", "moved.test."]
SITE = {"trusted_networks": TRUSTED, "domains": DOMAINS, "spam": {"authserv_ids": AUTHSERV_IDS}}
PROXY = "127.0.0.2"

CLIENTS = [
    Client("internal", "internal", "127.0.0.1", "internal"),
    Client("external", "external", "127.0.0.200", "external"),
    Client("authenticated", "authenticated", "127.0.0.210", "external", user="joe"),
    Client("authenticated inside", "authenticated", "127.0.0.1", "internal", user="ann"),
    Client("behind a proxy", "external", PROXY, "external", behind="192.0.2.7"),
]
# Each differs from those in one thing alone, and plays less.
SPECIAL_CLIENTS = [
    Client(f"TLS {version}", "external", "127.0.0.220", "external", tls=version)
    for version in ("1.0", "1.1", "1.2", "1.3")
]
SPECIAL_CLIENTS += [
    Client(mechanism, "authenticated", "127.0.0.230", "external", "sue", mechanism, counted_as)
    for mechanism, counted_as in {
        "LOGIN": "login",
        "CRAM-MD5": "cram_md5",
        "SCRAM-SHA-256": "scram",
        "XOAUTH2": "xoauth2",
        "EXTERNAL": "external",
        "GSSAPI": "other",
    }.items()
]
SPECIAL_CLIENTS += [
    Client("encrypted login", "authenticated", "127.0.0.231", "external", "sue", "LOGIN", "login", tls="1.3"),
    Client("with a name", "external", PROXY, "external", behind="192.0.2.8", named="mail.ext.test", resolve="ok"),
    Client("DNS down", "external", PROXY, "external", behind="192.0.2.9", named="[TEMPUNAVAIL]", resolve="tempfail"),
]
REFUSED_CLIENTS = [
    Client("refused", "external", "127.0.0.201", "external", refusal=Refusal("client", 554, "5.7.1")),
    Client("no name", "external", "127.0.0.202", "external", refusal=Refusal("client", 450, "4.7.25")),
    Client("bad name", "external", "127.0.0.203", "external", helo="bad.test", refusal=Refusal("helo", 554, "5.7.1")),
    Client("no domain", "internal", "127.0.0.1", "internal", helo="nodots", refusal=Refusal("helo", 504, "5.5.2")),
]

USERS = [Recipient(f"{name}@example.test") for name in ("alice", "bob", "carol", "postmaster")]

# By Postfix's own rules, the domain excepted: whether DNS answers is not in our hands.
UNKNOWN = Recipient("nobody@example.test", "user_unknown", 550, "5.1.1")
REFUSED = [
    UNKNOWN,
    Recipient("user@relay.test", "relay_denied", 554, "5.7.1", away=True),
    Recipient("user@later.test", "relay_denied", 454, "4.7.1", away=True),  # defer_unauth_destination, the default
    Recipient("user@nodomain.test", "unroutable", 450, "4.1.2", away=True),
    # The words of a reply that the sender of the mail put there.
    Recipient('"x User unknown>: blocked using"@relay.test', "relay_denied", 554, "5.7.1", away=True),
    Recipient('"Relay access denied>: y"@example.test', "user_unknown", 550, "5.1.1"),
]

# By access maps: the texts are those of policy servers, other maps, and of Postfix where it would need the network.
TEXTS = {
    "grey": ("450 4.2.0 Greylisted, try again in 300 seconds", "greylist", 450, "4.2.0"),
    "greyed": ("DEFER_IF_PERMIT 4.2.0 Greylisted, try again later", "greylist", 450, "4.2.0"),
    "listed": (
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example; reason",
        "dnsbl",
        554,
        "5.7.1",
    ),
    "denied": ("REJECT", "policy", 554, "5.7.1"),
    "deferred": ("DEFER", "policy", 450, "4.7.1"),
    "full": ("452 4.2.2 Mailbox full", "mailbox_full", 452, "4.2.2"),
    "over": ("552 5.2.2 Over quota", "mailbox_full", 552, "5.2.2"),
    "lookup": ("451 4.3.0 Temporary lookup failure", "lookup_failed", 451, "4.3.0"),
    "login": ("530 5.7.0 Authentication required", "auth_required", 530, "5.7.0"),
    "rate": ("450 4.7.1 Rate limit exceeded", "rate", 450, "4.7.1"),
    "spam": ("554 5.7.1 Message rejected as spam", "spam", 554, "5.7.1"),
    "strange": ("550 5.9.9 The moon is in the wrong phase", "policy", 550, "5.9.9"),
}
TEXT_RECIPIENTS = [Recipient(f"{name}@example.test", *refusal[1:]) for name, refusal in TEXTS.items()]
EVERYONE = USERS + REFUSED + TEXT_RECIPIENTS
BROKEN = Recipient("broken@example.test", "lookup_failed", 451, "4.3.5")  # a map that cannot be read
DISCARDED = "discarded@example.test"
HELD = Recipient("held@example.test")
UNDELIVERABLE = "undeliverable@example.test"
# Accepted, for a transport that returns everything: to the filter they look much like refused ones.
ERROR_TEXTS = {"moved.test": "5.1.6 mailbox moved", "gone.test": "no mail for this domain", "later.example": "4.3.5 later"}
FOR_ERROR_TRANSPORT = [Recipient(f"user@{domain}") for domain in ERROR_TEXTS]
INTERNATIONAL_TEXTS = dict.fromkeys(["bücher.test", "xn--bcher-kva.test"], "no mail for this domain")
INTERNATIONAL = [Recipient(f"{user}@{domain}") for domain in INTERNATIONAL_TEXTS for user in ("user", "jürgen")]
# Users as others may write them.
SPELLINGS = [
    Recipient(address)
    for address in (
        "alice@EXAMPLE.test",
        "Bob@Example.Test",
        '"carol"@example.test',
        "alice@example.test.",
        "@hop.test:bob@example.test",
        "@hop.test,@relay.test:carol@example.test",
    )
]

REFUSED_SENDERS = {
    "bad@ext.test": Refusal("sender", 554, "5.7.1"),
    "user@nodomain.test": Refusal("sender", 450, "4.1.8"),
    '"Relay access denied>: User unknown"@bad.test': Refusal("sender", 554, "5.7.1"),
}
NO_DATA, NO_END = "nodata@ext.test", "noend@ext.test"
BAD_HEADER, DISCARD_HEADER, HOLD_HEADER = "X-Test: reject", "X-Test: discard", "X-Test: hold"
BAD_BODY = "reject this line"


PARAMETERS = [
    " SIZE={}",
    " SIZE={} BODY=8BITMIME",
    " BODY=8BITMIME size={}",
    " RET=HDRS SIZE={} ENVID=x1",
    " ENVID=SIZE=3 SIZE={}",
]
UNDECLARED = ["", "", " BODY=7BIT", " ENVID=SIZE=3"]
DATA_WITHOUT_RECIPIENTS = 554  # the reply
MILTERS_ON_TOP = False  # headers that milters add stand above others of the same name
TELLS_NUMBER = False  # of refused recipients that the filter is not shown
HIDES_UNKNOWN_BETWEEN = False  # commands that it does not know, from the end of a transaction to the next EHLO or MAIL


def log_in(smtp, client):
    smtp.command(f"AUTH {login(client.user, client.mechanism)}", 235)


def source_of(client, sender):
    """What the metrics call the source of a client's mail."""
    del sender
    return client.source


def refused_to(client):
    """The recipients that this client cannot write to."""
    return [recipient for recipient in REFUSED + TEXT_RECIPIENTS if recipient.refused_to(client)]


def inline(table, kind="inline"):
    """A lookup table written in main.cf itself."""
    return f"{kind}:{{" + ", ".join(f"{{{key} = {value}}}" for key, value in table.items()) + "}"


def patterns(table):
    return "regexp:{" + ", ".join(f"{{/^{text}/ {action}}}" for text, action in table.items()) + "}"


def known_users():
    recipients = [*USERS, *TEXT_RECIPIENTS, BROKEN, HELD]
    names = [recipient.address for recipient in recipients] + [DISCARDED, UNDELIVERABLE]
    return {name.split("@")[0]: 1 for name in names}


def settings(milter):
    """main.cf, beyond what the private Postfix brings."""
    by_recipient = {f"{name}@example.test": text[0] for name, text in TEXTS.items()}
    returned_texts = ERROR_TEXTS | INTERNATIONAL_TEXTS
    by_recipient |= dict.fromkeys(returned_texts, "OK")  # else Postfix itself refuses what goes to the error transport
    by_recipient |= {BROKEN.address: "broken", DISCARDED: "DISCARD", HELD.address: "HOLD"}
    by_sender = {"bad@ext.test": "REJECT", "bad.test": "REJECT", "nodomain.test": "450 4.1.8 Domain not found"}
    returned = {domain: f"error:{text}" for domain, text in returned_texts.items()}
    relay = {"later.test": "later", "nodomain.test": "450 4.1.2 Domain not found"}
    return {
        "smtpd_milters": milter,
        "non_smtpd_milters": milter,
        "internal_mail_filter_classes": "bounce",
        "milter_default_action": "tempfail",  # a milter that fails must not go unnoticed
        "local_recipient_maps": inline(known_users()),
        "transport_maps": inline({UNDELIVERABLE: "error:5.1.1 no such mailbox after all"} | returned),
        "relay_domains": " ".join(returned_texts),
        "relay_recipient_maps": "",
        "smtpd_restriction_classes": "later, broken",
        "later": "defer_unauth_destination",
        "broken": "check_recipient_access fail:broken",
        "smtpd_client_restrictions": "check_client_access "
        + inline({"127.0.0.201": "REJECT", "127.0.0.202": "450 4.7.25 cannot find your hostname"}),
        "smtpd_helo_restrictions": f"check_helo_access {inline({'bad.test': 'REJECT'})}, reject_non_fqdn_helo_hostname",
        "smtpd_sender_restrictions": f"check_sender_access {inline(by_sender)}",
        "smtpd_relay_restrictions": f"permit_sasl_authenticated, check_recipient_access {inline(relay)}, "
        "reject_unauth_destination",
        "smtpd_recipient_restrictions": f"check_recipient_access {inline(by_recipient)}, reject_unlisted_recipient",
        "smtpd_reject_unlisted_recipient": "no",  # but where it stands above
        "smtpd_data_restrictions": f"check_sender_access {inline({NO_DATA: 'REJECT'})}",
        "smtpd_end_of_data_restrictions": f"check_sender_access {inline({NO_END: 'REJECT'})}",
        "header_checks": patterns({BAD_HEADER: "REJECT", DISCARD_HEADER: "DISCARD", HOLD_HEADER: "HOLD"}),
        "body_checks": patterns({BAD_BODY: "REJECT"}),
        "message_size_limit": LIMIT,
        "smtpd_recipient_limit": MANY,
        "smtpd_authorized_xclient_hosts": PROXY,
        # As fast as it can be, and patient with clients that err all the time.
        "smtpd_error_sleep_time": 0,
        "smtpd_soft_error_limit": 100000,
        "smtpd_hard_error_limit": 100000,
        "smtpd_junk_command_limit": 100000,
        "smtpd_client_connection_count_limit": 0,
        "in_flow_delay": 0,
    }
