"""Real scanners before milterscope, and headers that senders forged: what is counted is what the scanner found. Where
that cannot be, this says what is counted then, as milterscope(8) does."""

import re
from types import SimpleNamespace

import pytest
from kit import piped_scanners
from kit.piped_scanners import Bogofilter, Crm114
from kit.place import TOP, free_port
from kit.scanners import EICAR, GTUBE, Amavis, ClamavMilter, Clamd, Rspamd, SpamassMilter, Spamd
from kit.wait import wait_until
from scanned import (
    AUTHSERV_ID,
    HAM,
    HEAD,
    PLACED,
    WAYS,
    Listener,
    Seen,
    added_by_a_milter,
    forged,
    line,
    plain,
    postfix_with,
    scope_for,
)

TABLE = TOP / "conf/tables/spam_headers.def"

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
MARKS = (
    "skip_local = false; skip_authenticated = false; routines {"
    f'authentication-results {{ hostname = "{AUTHSERV_ID}"; %s }} x-virus {{ symbols = ["CLAM_VIRUS"]; }} }}'
)
ANTIVIRUS = (
    'antivirus { clamav { type = "clamav"; symbol = "CLAM_VIRUS"; servers = "%s"; scan_mime_parts = false; } }\n'
)

CLEAN, SPAM, UNSCANNED = (Seen(verdict) for verdict in ("clean", "spam", "unscanned"))


def strip_table(folder):
    """The lines by which milterscope(8) has Postfix remove what senders forge."""
    manual = (TOP / "conf/man/milterscope.8").read_text()
    lines = [line.replace("\\e", "\\") for line in re.findall(r"^/\^.* IGNORE$", manual, re.MULTILINE)]
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
    all_.rspamd = parts.start(Rspamd(folder, EXTENDED % MARKS % "" + ANTIVIRUS % all_.clamd.socket, TEXTS))
    leaving = EXTENDED % MARKS % "remove = 100;"  # the hundredth header alone
    all_.rspamd_leaving = parts.start(Rspamd(folder, leaving, TEXTS, "rspamd-leaving"))
    all_.rspamd_skipping = parts.start(Rspamd(folder, EXTENDED % "", TEXTS, "rspamd-skipping"))
    all_.back = ("127.0.0.1", free_port())
    all_.other = folder.tmpfs / "other.sock"  # nobody is there, unless a test puts somebody
    all_.amavis = parts.start(Amavis(folder, all_.spamd, all_.clamd, all_.back[1], "bob@example.test"))
    return all_


@pytest.fixture(scope="module")
def at(parts, scanners):
    """The listeners: at.NAME."""
    own = [
        {"name": "X-Ours-MailScanner-SpamCheck", "spam": "spam", "score_after": "score="},
        {"name": "X-DSPAM-Result", "score_after": "silent"},
        *PLACED,
    ]
    milter = scope_for(parts, "milter", spam={"scanner": "milter", "headers": own})
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
        rspamd_leaving=Listener(milter, scanners.rspamd_leaving.milter),
        other=Listener(milter, scanners.other),
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


# ---- what rspamd leaves to the sender ----


def test_what_rspamd_refuses_is_lost(at):
    scope, verdicts = at.rspamd.scope, at.rspamd.verdicts()
    lost = scope.value("messages_total", source="internal", verdict="lost")
    at.rspamd.send(plain(GTUBE + "\n"), expect=554)
    scope.wait_value(lost + 1, "messages_total", source="internal", verdict="lost")
    assert at.rspamd.verdicts() == verdicts


def test_rspamd_without_more_marks_spam_alone(at):
    """Nor does it mark local mail with more."""
    assert at.rspamd_skipping.seen(plain(HAM)) == UNSCANNED
    assert at.rspamd_skipping.seen(forged("around", {"X-Spam": "Yes"}, HAM)) == UNSCANNED
    for text in (Rspamd.SPAM, Rspamd.GTUBE):
        assert at.rspamd_skipping.seen(forged("around", {"X-Spam": "No"}, text + "\n")) == SPAM
    left = forged("above", words(RSPAMD, 1), HAM)
    assert judged(at.rspamd_skipping.seen(left)) == ("spam", True, True)


# ---- Authentication-Results ----

FAKED = f"{AUTHSERV_ID}; spf=neutral; dkim=pass; dmarc=pass"


@pytest.mark.parametrize("way", ["", *WAYS])
def test_authentication_results(at, way):
    for sender, result in (("joe@pass.test", "pass"), ("joe@fail.test", "fail")):
        text = forged(way, {"Authentication-Results": FAKED}, HAM) if way else plain(HAM)
        assert at.rspamd.seen(text, sender=sender).results == (("spf", result),)


def test_faked_results_below_a_filter_that_leaves_them(at):
    """They count for what it does not report, down to the first header of somebody else."""
    faked, other = line("Authentication-Results", FAKED), line("Authentication-Results", "other.test; none")
    for sender, result in (("joe@pass.test", "pass"), ("joe@fail.test", "fail")):
        spf = ("spf", result)
        seen = at.rspamd_leaving.seen(faked + plain(HAM), sender=sender)
        assert seen.results == (("dkim", "pass"), ("dmarc", "pass"), spf)
        assert at.rspamd_leaving.seen(other + faked + plain(HAM), sender=sender).results == (spf,)


def test_faked_results_of_a_dead_filter_count_unless_the_mta_removes_them(at):
    text = forged("above", {"Authentication-Results": FAKED}, HAM)
    assert at.nothing.seen(text).results == (("dkim", "pass"), ("dmarc", "pass"), ("spf", "neutral"))
    assert at.stripped.seen(text).results == ()
    assert at.rspamd_stripped.seen(text).results == (("spf", "pass"),)


# ---- headers of others, and dead scanners ----


def table():
    """All that are known: {name: a value that says spam or infected}."""
    rows = re.findall(r'^(?:SHORT_)?(?:SPAM|VIRUS)_HEADER\("([\w-]+)", \w+, "([^"]*)"', TABLE.read_text(), re.MULTILINE)
    known = {}
    for name, value in rows:
        name = f"X-Site{name}" if name.startswith("-") else name
        known.setdefault(name, value.split("|")[0].replace("*", "Virus") or "99")
    assert len(known) > 15
    return known


def test_headers_of_other_scanners_count_unless_the_mta_removes_them(at):
    for name, value in table().items():
        seen = at.spamassassin.seen(forged("around", {name: value}, HAM))
        silent = name in (*SPAMASSASSIN, "X-Rspamd-Score", "X-DSPAM-Result", "X-Site-MailScanner-SpamCheck")
        assert (seen.spam == "spam" or seen.infected) != silent, name
    for way in WAYS:
        assert at.stripped.seen(forged(way, table(), HAM)) == UNSCANNED
    assert judged(at.spamassassin_stripped.seen(forged("around", table(), HAM))) == HAM_SEEN
    assert judged(at.amavis_stripped.seen(forged("around", table(), HAM))) == HAM_SEEN
    assert judged(at.amavis_stripped.seen(forged("around", table(), EICAR + "\n"))) == ("clean", False, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("X-Spam-Flag", "clean"), ("X-Bogosity", "spam"), ("X-At-The-Top", "clean"), ("X-At-The-Bottom", "spam")],
)
def test_headers_that_a_milter_adds(at, scanners, name, expected):
    """Postfix puts them below what the sender wrote, whose X-Spam-Flag counts: SpamAssassin's milter writes over it."""
    assert added_by_a_milter(scanners.other, at.other, ("above", "below", "around"), name) == {expected}


def test_scores_of_other_scanners_count(at):
    assert judged(at.rspamd.seen(forged("above", {"X-Spam-Score": "99"}, HAM))) == ("clean", True, False)


def test_spam_does_not_become_clean_by_headers_of_others(at):
    clean = {"X-Bogosity": "Ham", "X-Site-MailScanner-SpamCheck": "not spam", "X-CRM114-Status": "Good"}
    for way in WAYS:
        assert judged(at.spamassassin.seen(forged(way, clean | words(RSPAMD, 0), GTUBE + "\n"))) == SPAM_SEEN
        assert judged(at.rspamd.seen(forged(way, clean, Rspamd.SPAM + "\n"))) == SPAM_SEEN


@pytest.mark.parametrize(
    ("name", "part"), [("spamassassin", "spamass"), ("spamassassin", "spamd"), ("rspamd", "rspamd")]
)
def test_dead_milter_is_unscanned(at, scanners, name, part):
    headers, spam = SPAM_SCANNERS[name]
    scanner, listener, stripped = getattr(scanners, part), getattr(at, name), getattr(at, f"{name}_stripped")
    scanner.stop()
    try:
        assert listener.seen(plain(spam + "\n")) == UNSCANNED
        assert listener.seen(forged("many", words(headers, 0), spam + "\n")).spam == "clean"
        assert listener.seen(forged("many", words(headers, 1), HAM)).spam == "spam"
        for number in (0, 1):
            assert stripped.seen(forged("many", words(headers, number), spam + "\n")) == UNSCANNED
    finally:
        scanner.start()
    assert judged(listener.seen(plain(spam + "\n"))) == SPAM_SEEN


def test_dead_content_filter_is_mail_that_waits(at, scanners):
    scope, verdicts = at.amavis.scope, at.amavis.verdicts()
    deferred = at.postfix.said("status=deferred")
    scanners.amavis.stop()
    try:
        at.amavis.send(forged("around", words(SPAMASSASSIN, 0), GTUBE + "\n"))
        wait_until(lambda: at.postfix.said("status=deferred") > deferred, "the message waits in the queue")
        assert at.amavis.verdicts() == verdicts
    finally:
        scanners.amavis.start()
    at.postfix.flush()
    spam = {"source": "internal", "verdict": "spam"}
    before = scope.value("spam_verdicts_total", **spam)
    wait_until(lambda: at.amavis.verdicts() == verdicts + 1, "it was scanned")
    assert scope.value("spam_verdicts_total", **spam) == before + 1


def test_amavis_marks_ham_from_a_level_on(at):
    """bob has the level of the Debian package."""
    assert at.amavis.seen(forged("around", words(SPAMASSASSIN, 1), HAM), to="bob@example.test") == UNSCANNED
    assert judged(at.amavis.seen(plain(GTUBE + "\n"), to="bob@example.test")) == SPAM_SEEN


# ---- scanners through which a message is piped, and those that cannot be run ----

# The header, and the words with which it says clean and spam.
PIPED = {"bogofilter": ("X-Bogosity", "Ham", "Spam"), "crm114": ("X-CRM114-Status", "GOOD", "SPAM")}


@pytest.fixture(scope="module")
def piped(parts):
    return {"bogofilter": Bogofilter(parts.folder), "crm114": Crm114(parts.folder)}


@pytest.mark.parametrize("way", ["", *WAYS])
@pytest.mark.parametrize("name", PIPED)
def test_piped(at, piped, name, way):
    header, *said = PIPED[name]
    for number, (body, expected) in enumerate([(piped_scanners.SPAM, SPAM), (piped_scanners.HAM, CLEAN)]):
        text = forged(way, {header: said[number]}, body + "\n") if way else plain(body + "\n")
        assert at.back.seen(piped[name].passed(text)) == expected


def behind(header, *values):
    """A message to which a scanner has added the last of these, as DSPAM, MailScanner and Exchange do."""
    first, last = values[:-1], values[-1]
    return "".join(line(header, value) for value in first) + HEAD + line(header, last) + "\n" + HAM


@pytest.mark.parametrize(
    ("header", "spam", "clean"),
    [
        ("X-DSPAM-Result", "Spam", "Innocent"),
        ("X-MS-Exchange-Organization-SCL", "6", "-1"),
        ("X-Acme-MailScanner-SpamCheck", "spam, SpamAssassin (not cached", "not spam, SpamAssassin (not cached"),
    ],
)
def test_last_is_the_scanners(at, header, spam, clean):
    assert at.back.seen(behind(header, spam)) == at.back.seen(behind(header, clean, clean, spam)) == SPAM
    assert at.back.seen(behind(header, clean)) == at.back.seen(behind(header, spam, spam, clean)) == CLEAN


def test_mailscanner(at):
    score = "SpamAssassin (not cached,\n\tscore=19.5, required 5, BAYES_99 3.50)"
    check, virus = "X-Acme-MailScanner-SpamCheck", "X-Acme-MailScanner"
    assert at.back.seen(behind(check, f"spam, {score}")) == Seen("spam", True)
    assert at.back.seen(behind(virus, "Found to be infected")) == Seen("unscanned", infected=True)
    assert at.back.seen(behind(virus, "Found to be infected", "Found to be clean")) == UNSCANNED
    # With "Multiple Headers = append".
    assert at.back.seen(behind(check, f"not spam, spam, {score}")) == Seen("clean", True)
    # Of any site, or of the one that the configuration names.
    theirs = behind("X-Theirs-MailScanner-SpamCheck", "spam")
    assert (at.back.seen(theirs), at.nothing.seen(theirs)) == (SPAM, UNSCANNED)
    assert at.nothing.seen(line("X-Ours-MailScanner-SpamCheck", "not spam") + theirs) == CLEAN
