"""With milter.body sizes are counted, not believed: the headers and the body as they came, whatever SIZE says. Exact: one
message after another, each with something in its text that a size could be wrong by."""

import re

import pytest
from kit.figures import figure
from kit.metrics import labels_of, name_of
from kit.programs import Milterscope, Site
from kit.servers import Postfix, Redis
from kit.smtp import Smtp
from kit.wait import wait_until
from truth import SIZE, bucket, metric

# With these Postfix has nothing to add.
HEADERS = (
    "From: alice@example.test\nTo: bob@example.test\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n"
    "Message-Id: <1@example.test>\n"
)
SIZES = [300, 999, 1000, 1001, 10_000, 70_000, 1_000_001]
LINE = 78
PASSED = metric("messages_total", source="internal", verdict="passed")
SUM = metric("message_bytes_sum", source="internal")


def exactly(size):
    """A message of this size."""
    head = HEADERS + "Subject: a test\n\n"
    whole, rest = divmod(size - len(on_the_wire(head)), LINE)
    if rest < 2:
        whole, rest = whole - 1, rest + LINE
    return head + whole * ("x" * (LINE - 2) + "\n") + "x" * (rest - 2) + "\n"


def on_the_wire(text):
    return text.replace("\n", "\r\n").encode()


def shown(text):
    """The size of a message as Postfix shows it to a milter: as it came, but that every colon is followed by a space."""
    header = text.split("\n\n", 1)[0]
    return len(on_the_wire(text)) + len(re.findall(r"^[^\s:]+:(?! )", header, re.MULTILINE))


TEXTS = {f"{size} bytes": exactly(size) for size in SIZES} | {
    "no body": HEADERS + "Subject: a test\n\n",
    "a body of one empty line": HEADERS + "Subject: a test\n\n\n",
    "folded once": HEADERS + "Subject: a\n test\n\nText.\n",
    "folded often": HEADERS + "Subject: a" + 40 * "\n\ttest" + "\n" + "References:" + 9 * "\n <1@x>" + "\n\nText.\n",
    "spaces after the colon": HEADERS + "Subject:    a test\nX-A:\tb\n\nText.\n",
    "no space after the colon": HEADERS + "Subject:a test\nX-A:b\n\nText.\n",
    "an empty header": HEADERS + "Subject:\nX-A: \n\nText.\n",
    "spaces at the end": HEADERS + "Subject: a test   \nX-A: b\t\n\nText.  \n",
    "lines that begin with dots": HEADERS + "Subject: a test\n\n.\n..\n.x\nx.\n",
    "a long line": HEADERS + "Subject: " + 3000 * "s" + "\n\n" + 5000 * "x" + "\n",
    "other bytes": HEADERS + "Subject: caf\u00e9\n\n" + "\u00e9" * 100 + "\n",
}


@pytest.fixture(scope="module")
def server(parts):
    redis = parts.start(Redis(parts.folder))
    site = Site(parts.folder, redis.url, "bodies", Postfix.account()["group"], milter={"body": True})
    milterscope = parts.start(Milterscope(site))
    settings = {"smtpd_milters": f"unix:{site.milter_socket}", "milter_default_action": "tempfail"}
    return milterscope, parts.start(Postfix(parts.folder, settings))


def buckets(counts):
    return {
        labels_of(series)["le"]: value
        for series, value in counts.items()
        if name_of(series) == metric("message_bytes_bucket") and labels_of(series)["source"] == "internal"
    }


def send(postfix, *texts):
    with Smtp(postfix.address) as session:
        session.greet()
        session.command("EHLO client.test", 250)
        for text in texts:
            session.command("MAIL FROM:<alice@example.test> SIZE=7 BODY=8BITMIME", 250)
            session.command("RCPT TO:<bob@example.test>", 250)
            session.command("DATA", 354)
            session.body(text.replace("\n.", "\n.."), 250)
        session.quit()


def counted(milterscope, postfix, *texts):
    """The counts before these messages and after them."""
    before = milterscope.dump().counts()
    send(postfix, *texts)
    goal = before[PASSED] + len(texts)
    wait_until(lambda: milterscope.dump().counts()[PASSED] == goal, "all messages are counted")
    return before, milterscope.dump().counts()


@pytest.mark.parametrize("name", TEXTS)
def test_size_is_exact(server, name):
    size = shown(TEXTS[name])
    before, after = counted(*server, TEXTS[name])
    found = after[SUM] - before[SUM]
    assert found == size, f"message_bytes differs from the truth: {found}, {size}"
    moved = {le: value - buckets(before)[le] for le, value in buckets(after).items()}
    assert moved == {le: int(le == bucket(SIZE, size)) for le in moved}


def test_sizes_in_one_session(server):
    """Nothing of a message is counted for the next one."""
    sizes = [shown(text) for text in TEXTS.values()]
    before, after = counted(*server, *TEXTS.values())
    found = after[SUM] - before[SUM]
    figure(f"body sizes: {len(sizes)} texts of {min(sizes)} to {max(sizes)} bytes, {sum(sizes)} together; counted {found}")
    assert found == sum(sizes), f"message_bytes differs from the truth: {found}, {sum(sizes)}"
