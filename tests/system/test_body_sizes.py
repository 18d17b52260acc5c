"""With milter.body sizes are counted, not believed: the headers and the body as they came, whatever SIZE says."""

import pytest
from kit.metrics import labels_of, name_of
from kit.programs import Milterscope, Site
from kit.servers import Postfix, Redis
from kit.smtp import Smtp
from kit.wait import wait_until
from truth import SIZE, bucket, metric

# With these Postfix has nothing to add.
HEADERS = (
    "From: alice@example.test\nTo: bob@example.test\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n"
    "Message-Id: <1@example.test>\nSubject: a test\n"
)
SIZES = [300, 999, 1000, 1001, 10_000, 70_000, 1_000_001]
LINE = 78


@pytest.fixture(scope="module")
def server(parts):
    redis = parts.start(Redis(parts.folder))
    site = Site(parts.folder, redis.url, "bodies", Postfix.account()["group"], milter={"body": True})
    milterscope = parts.start(Milterscope(site))
    settings = {"smtpd_milters": f"unix:{site.milter_socket}", "milter_default_action": "tempfail"}
    return milterscope, parts.start(Postfix(parts.folder, settings))


def message(size):
    """A message of headers and body of this size, the empty line between them and all CRs counted but not that line."""
    missing = size - len(HEADERS) - HEADERS.count("\n")
    whole, rest = divmod(missing, LINE)
    if rest < 2:
        whole, rest = whole - 1, rest + LINE
    return HEADERS + "\n" + (whole * ("x" * (LINE - 2) + "\n")) + "x" * (rest - 2) + "\n"


def test_sizes_are_counted(server):
    milterscope, postfix = server
    with Smtp(postfix.address) as session:
        session.greet()
        session.command("EHLO client.test", 250)
        for size in SIZES:
            text = message(size)
            assert len(text.replace("\n", "\r\n")) == size + 2
            session.command("MAIL FROM:<alice@example.test> SIZE=7", 250)
            session.command("RCPT TO:<bob@example.test>", 250)
            session.command("DATA", 354)
            session.body(text, 250)
        session.quit()
    passed = metric("messages_total", source="internal", verdict="passed")
    wait_until(lambda: milterscope.dump().counts()[passed] == len(SIZES), "all messages are counted")
    counts = milterscope.dump().counts()
    assert counts[metric("message_bytes_sum", source="internal")] == sum(SIZES)
    buckets = {
        labels_of(series)["le"]: value
        for series, value in counts.items()
        if name_of(series) == metric("message_bytes_bucket") and labels_of(series)["source"] == "internal"
    }
    expected = dict.fromkeys(buckets, 0)
    for size in SIZES:
        expected[bucket(SIZE, size)] += 1
    assert buckets == expected
