"""The queues of a real sendmail as the collector sees them: compared with what the test did, and with sendmail's own list.
Some directories of the queue have envelopes, bodies, or both apart, as sendmail may be told, and there are two groups."""

import os
import time
from collections import Counter

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

FOLDERS = {"q1": ("qf", "df", "xf"), "q2": (), "q3": ("qf",), "q4": ("df",), "slow1": (), "slow2": ("df",)}
SLOW = "bob@slow.test"  # who is in the other group
LINES = """define(`QUEUE_DIR', `{folder}/queue/q*')dnl
QUEUE_GROUP(`slow', `P={folder}/queue/slow*')dnl
FEATURE(`access_db', `hash {folder}/etc/access.db')dnl
FEATURE(`queuegroup')dnl
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
    mta = Sendmail(parts.folder, network, LINES, tables={"access": {"QGRP:slow.test": "slow"}})
    for folder, parts_apart in FOLDERS.items():
        for part in (*parts_apart, ""):
            (mta.folder / "queue" / folder / part).mkdir(parents=True, exist_ok=True)
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


def submit(mta, sender, lines=1, to=("alice@example.test",)):
    """The names of the new envelopes: one in each group that a recipient is in."""
    before = set(envelopes(mta))
    mta.submit("-f", sender, *to, text=TEXT + lines * "A line of text.\n", program="mta")
    return sorted(set(envelopes(mta)) - before)


def folders(mta):
    """Of the queue, by envelope."""
    queue = mta.folder / "queue"
    return {path.name: path.relative_to(queue).parts[0] for path in queue.rglob("[qh]f?*") if path.is_file()}


def field(path, letter):
    """What a line of an envelope says."""
    lines = path.read_bytes().decode("latin-1").splitlines()
    return next(line[1:] for line in lines if line.startswith(letter))


def envelope(mta, name):
    (path,) = (mta.folder / "queue").rglob(name)
    return path


def try_all(mta):
    run_in(mta, "-q")  # ends before the processes do that work on the directories
    files = list((mta.folder / "queue").rglob("qf?*"))
    wait_until(lambda: all(field(path, "N") == "1" for path in files), "all were tried")


def test_queues(mta, milterscope):
    messages = 0
    # Sendmail takes a directory at random; two of each, where one is quarantined and the other waits.
    while min(Counter(folders(mta).values())[folder] for folder in FOLDERS) < 2:
        assert len(submit(mta, "bob@example.test", 1 + 10 * messages, ["alice@example.test", SLOW])) == 2
        messages += 1
    tried = len(envelopes(mta))
    try_all(mta)
    for sender in ("<>", "bob@example.test"):
        submit(mta, sender)
    suspect = {folder: name for name, folder in folders(mta).items() if field(envelope(mta, name), "N") == "1"}
    for name in suspect.values():
        run_in(mta, "-Qsuspect", f"-qI{name[2:]}")
    assert len(envelopes(mta, "h")) == len(FOLDERS)
    seen = wait_pass(milterscope, "mqueue")
    waiting = mailq(mta, "mqueue") + mailq(mta, "quarantined", "-qQ")
    assert all(message.bytes > 0 for message in waiting)
    left = tried - len(FOLDERS)
    assert (seen["messages", "mqueue"], seen["messages", "quarantined"]) == (left + 2, len(FOLDERS))
    assert seen["null_sender_messages", "mqueue"] == 1
    check(seen, "mqueue", in_seconds(mta, waiting), tried=left)
    check(seen, "quarantined", in_seconds(mta, waiting), tried=len(FOLDERS))
    # The queue of submissions is not where submit.cf has it.
    assert seen.queues == {"mqueue", "quarantined", "corrupt", "waits"}
    assert (seen["messages", "waits"], seen["messages", "corrupt"]) == (0, 0)


def test_lost(mta, milterscope):
    """An envelope that sendmail cannot read it puts aside, and looks at it no more."""
    (name,) = submit(mta, "bob@example.test")
    before = wait_pass(milterscope, "mqueue")["messages", "mqueue"]
    envelope(mta, name).write_text("\x01 this is no line of an envelope\n")
    run_in(mta, f"-qI{name[2:]}")
    wait_until(lambda: envelopes(mta, "Q") == [f"Q{name[1:]}"], lambda: f"{name} is lost; there are {envelopes(mta, 'qhQ')}")
    seen = wait_pass(milterscope, "mqueue")
    assert (seen["messages", "mqueue"], seen["messages", "corrupt"]) == (before - 1, 1)


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
