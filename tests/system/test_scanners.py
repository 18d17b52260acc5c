"""Real scanners before milterscope, and headers that senders forged: what is counted is what the scanner found. Where that
cannot be, this says what is counted then, as milterscope(8) does."""

import re
from types import SimpleNamespace

import pytest
from kit.place import TOP, free_port
from kit.scanners import EICAR, GTUBE, Amavis, ClamavMilter, Clamd, Rspamd, SpamassMilter, Spamd
from kit.wait import wait_until
from scanned import AUTHSERV_ID, HAM, WAYS, Listener, Seen, forged, plain, postfix_with, scope_for

# The words with which each header says clean and spam, or not infected and infected.
SPAMASSASSIN = {
    "X-Spam-Status": ("No, score=-9.0 required=5.0", "Yes, score=99.0 required=5.0"),
    "X-Spam-Flag": ("NO", "YES"),
    "X-Spam-Score": ("-9", "99"),
}
RSPAMD = {
    "X-Spam": ("No", "Yes"),
    "X-Spamd-Result": ("default: False [-9.00 / 15.00]", "default: True [99.00 / 15.00]"),
    "X-Rspamd-Action": ("no action", "reject"),
    "X-Virus": ("", "Forged"),
}
CLAMAV = {"X-Virus-Status": ("Clean", "Infected (Forged)")}
AMAVIS_ALERT = {"X-Amavis-Alert": ("BANNED, message contains nothing", "INFECTED, message contains virus: Forged")}

TEXTS = {"pass.test": "v=spf1 ip4:127.0.0.0/8 -all", "fail.test": "v=spf1 -all"}
EXTENDED = 'milter_headers { extended_spam_headers = true; use = ["authentication-results", "x-virus"]; %s }\n'
MARKS_ALL = EXTENDED % (
    "skip_local = false; skip_authenticated = false;"
    f'routines {{ authentication-results {{ hostname = "{AUTHSERV_ID}"; }} x-virus {{ symbols = ["CLAM_VIRUS"]; }} }}'
)
ANTIVIRUS = 'antivirus { clamav { type = "clamav"; symbol = "CLAM_VIRUS"; servers = "%s"; scan_mime_parts = false; } }\n'

CLEAN, SPAM, UNSCANNED = (Seen(verdict) for verdict in ("clean", "spam", "unscanned"))


def strip_table(folder):
    """The lines by which milterscope(8) has Postfix remove what senders forge."""
    manual = (TOP / "conf/man/milterscope.8").read_text()
    lines = [line.replace("\\e", "\\") for line in re.findall(r"^/\^X.* IGNORE$", manual, re.MULTILINE)]
    assert lines
    path = folder.disk / "forged_headers"
    path.write_text("\n".join(lines) + "\n")
    return f"regexp:{path}"


@pytest.fixture(scope="module")
def scanners(parts):
    """All of them, each started once."""
    folder = parts.folder
    all_ = SimpleNamespace()
    all_.spamd, all_.clamd = parts.start(Spamd(folder)), parts.start(Clamd(folder))
    all_.spamass = parts.start(SpamassMilter(folder, all_.spamd))
    all_.clamav = {headers: parts.start(ClamavMilter(folder, all_.clamd, headers)) for headers in ("Add", "Replace")}
    all_.rspamd = parts.start(Rspamd(folder, MARKS_ALL + ANTIVIRUS % all_.clamd.socket, TEXTS))
    all_.rspamd_skipping = parts.start(Rspamd(folder, EXTENDED % "", name="rspamd-skipping"))
    all_.back = ("127.0.0.1", free_port())
    all_.amavis = parts.start(Amavis(folder, all_.spamd, all_.clamd, all_.back[1]))
    return all_


@pytest.fixture(scope="module")
def at(parts, scanners):
    """The listeners: at.NAME."""
    milter = scope_for(parts, "milter", spam={"scanner": "milter"})
    listed = {"reinjection": ["%s:%d" % scanners.back]}
    second = scope_for(parts, "second", spam={"scanner": "reinjection"}, milter=listed)
    to_amavis = "smtp:[%s]:%d" % scanners.amavis.address
    listeners = SimpleNamespace(
        nothing=Listener(milter),
        stripped=Listener(milter, opened=False),
        spamassassin=Listener(milter, scanners.spamass.milter),
        spamassassin_stripped=Listener(milter, scanners.spamass.milter, opened=False),
        rspamd=Listener(milter, scanners.rspamd.milter),
        rspamd_stripped=Listener(milter, scanners.rspamd.milter, opened=False),
        rspamd_skipping=Listener(milter, scanners.rspamd_skipping.milter),
        clamav_add=Listener(milter, scanners.clamav["Add"].milter),
        clamav_replace=Listener(milter, scanners.clamav["Replace"].milter),
        amavis=Listener(second, content_filter=to_amavis),
        amavis_stripped=Listener(second, content_filter=to_amavis, opened=False),
        back=Listener(second),
    )
    listeners.back.address = scanners.back
    listeners.postfix = postfix_with(parts, vars(listeners).values(), header_checks=strip_table(parts.folder))
    return listeners


def words(headers, which):
    return {name: values[which] for name, values in headers.items() if values[which]}


# ---- what they say, and what senders say ----

# The headers of each, and a text that is spam.
SPAM_SCANNERS = {
    "spamassassin": (SPAMASSASSIN, GTUBE),
    "rspamd": (RSPAMD, Rspamd.SPAM),
    "amavis": (SPAMASSASSIN, GTUBE),
}
HAM_SEEN, SPAM_SEEN = ("clean", False, False), ("spam", True, False)


def judged(seen):
    """Without the results of authentication."""
    return seen.spam, seen.high, seen.infected


@pytest.mark.parametrize("way", ["", *WAYS])
@pytest.mark.parametrize("name", SPAM_SCANNERS)
def test_spam_and_ham(at, name, way):
    headers, spam = SPAM_SCANNERS[name]
    for number, (body, expected) in enumerate([(spam + "\n", SPAM_SEEN), (HAM, HAM_SEEN)]):
        text = forged(way, words(headers, number), body) if way else plain(body)
        assert judged(getattr(at, name).seen(text)) == expected


# Whether a virus was found.
VIRUS_SCANNERS = {"clamav_add": CLAMAV, "clamav_replace": CLAMAV, "rspamd": RSPAMD, "amavis": AMAVIS_ALERT}


@pytest.mark.parametrize("way", ["", *WAYS])
@pytest.mark.parametrize("name", VIRUS_SCANNERS)
def test_viruses(at, name, way):
    headers, listener = VIRUS_SCANNERS[name], getattr(at, name)
    for infected, body in ((True, EICAR + "\n"), (False, HAM)):
        text = forged(way, words(headers, not infected), body) if way else plain(body)
        left = way and name == "amavis"  # the sender's header is, and none is added to what is clean
        assert listener.seen(text).infected == (infected or bool(left))
