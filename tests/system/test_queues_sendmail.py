"""The queues of a real sendmail as the collector sees them: compared with what the test did, and with sendmail's own list.
One directory of the queue has its envelopes and bodies apart, as sendmail may be told."""

import os
import time

import pytest
from kit.network import Network
from kit.process import run
from kit.programs import Collector, Milterscope
from kit.sendmail import Sendmail
from kit.wait import wait_until
from mail import TEXT
from queued import check, look, mailq, wait_pass
from scope import site_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")

LINES = """define(`QUEUE_DIR', `{folder}/queue/q*')dnl
FEATURE(`accept_unresolvable_domains')dnl
"""
LATER = "cat >/dev/null; exit 75 # EX_TEMPFAIL\n"
MINUTE = 60  # sendmail's list has no seconds


@pytest.fixture(scope="module")
def network(parts):
    return parts.start(Network())


@pytest.fixture(scope="module")
def mta(parts, network):
    """Nothing can be delivered for now."""
    mta = Sendmail(parts.folder, network, LINES)
    for folder in ("q1/qf", "q1/df", "q1/xf", "q2"):
        (mta.folder / "queue" / folder).mkdir(parents=True)
    for folder in (mta.folder / "queue").rglob("*"):
        folder.chmod(0o700)
    parts.start(mta)
    (mta.folder / "etc" / "deliver").write_text(LATER)
    return mta


@pytest.fixture(scope="module")
def milterscope(parts, mta):
    """With a collector."""
    site = site_in(parts, "node", mta={"kind": "sendmail", "config": str(mta.folder / "etc/sendmail.cf")})
    queues = [{"name": "waits", "directory": str(mta.folder / "submission"), "format": "sendmail"}]
    site.write(collector={"queue_interval": 1, "queues": queues})
    milterscope = parts.start(Milterscope(site))
    parts.start(Collector(site))
    return milterscope


def envelopes(mta, letters="qh"):
    return sorted(path.name for path in (mta.folder / "queue").rglob(f"[{letters}]f?*"))


def submit(mta, sender, lines=1):
    """The name of the new envelope."""
    before = set(envelopes(mta))
    mta.submit("-f", sender, "alice@example.test", text=TEXT + lines * "A line of text.\n", program="mta")
    (new,) = set(envelopes(mta)) - before
    return new


def field(path, letter):
    """What a line of an envelope says."""
    lines = path.read_bytes().decode("latin-1").splitlines()
    return next(line[1:] for line in lines if line.startswith(letter))


def try_all(mta):
    run_in(mta, "-q")  # ends before the processes do that work on the directories
    files = list((mta.folder / "queue").rglob("qf?*"))
    wait_until(lambda: all(field(path, "N") == "1" for path in files), "all were tried")


def test_queues(mta, milterscope):
    names = []
    # Sendmail takes a directory at random.
    while len(names) < 5 or len({path.parent for path in (mta.folder / "queue").rglob("qf?*")}) < 2:
        names.append(submit(mta, "bob@example.test", 1 + 10 * len(names)))
    try_all(mta)
    for sender in ("<>", "bob@example.test"):
        submit(mta, sender)
    for name in names[1:3]:
        run_in(mta, "-Qsuspect", f"-qI{name[2:]}")
    assert len(envelopes(mta, "h")) == 2
    seen = wait_pass(milterscope, "mqueue")
    waiting = mailq(mta, "mqueue") + mailq(mta, "quarantined", "-qQ")
    assert (seen["messages", "mqueue"], seen["messages", "quarantined"]) == (len(names), 2)
    assert seen["null_sender_messages", "mqueue"] == 1
    check(seen, "mqueue", in_seconds(mta, waiting), tried=len(names) - 2)
    check(seen, "quarantined", in_seconds(mta, waiting), tried=2)
    assert seen.queues == {"mqueue", "quarantined", "waits"}  # the queue of submissions is not where submit.cf has it
    assert seen["messages", "waits"] == 0


def run_in(mta, *words):
    with mta.network.visit():
        run([mta.folder / "mta", *words])


def in_seconds(mta, waiting):
    """The times of the list are those of the envelopes without their seconds: with them."""
    exact = {}
    for path in (mta.folder / "queue").rglob("[qh]f?*"):
        arrived = int(field(path, "T"))
        exact.setdefault(arrived // MINUTE * MINUTE, []).append(arrived)
    return [message._replace(arrived=exact[int(message.arrived)][0]) for message in waiting]


def test_age(mta, milterscope):
    """That of the envelope, whatever became of the file since."""
    path = next((mta.folder / "queue").rglob("qf?*"))
    long_ago = int(time.time()) - 5 * 3600
    path.write_bytes(path.read_bytes().replace(f"\nT{field(path, 'T')}\n".encode(), f"\nT{long_ago}\n".encode()))
    seen = wait_pass(milterscope, "mqueue")
    assert seen.ages("mqueue")["4h-1d"] == 1
    assert abs(float(seen["oldest_seconds", "mqueue"]) - 5 * 3600) < MINUTE


def test_queue_of_submissions(mta, milterscope):
    """The server is away: what local programs hand in waits in their own queue."""
    mta.stop()
    mta.submit("-f", "alice@example.test", "bob@example.test", text=TEXT)
    assert len(mta.queued("submission")) == 1
    seen = wait_pass(milterscope, "waits")
    assert (seen["messages", "waits"], seen["tried_messages", "waits"]) == (1, 1)
    mta.start()
    mta.run_queue("sendmail")
    wait_until(lambda: look(milterscope)["messages", "waits"] == 0, "it was handed over")
