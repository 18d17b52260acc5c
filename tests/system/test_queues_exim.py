"""The queue of a real Exim as the collector sees it: compared with what the test did, and with Exim's own list. The spool is
split over directories, and a value that came with the mail looks like the line that says that a message is frozen."""

import os
import re

import pytest
from kit.exim import Exim
from kit.programs import Collector, Milterscope
from kit.wait import wait_until
from mail import Session
from queued import Waiting, check, wait_pass
from scope import site_in
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the spool of an Exim is closed to others")

MAIN = """queue_only
split_spool_directory
ignore_bounce_errors_after = 1d
"""
REST = """begin acl
check_rcpt:
  accept set acl_m_forged = "x\\n-frozen 1700000000\\n-deliver_firsttime"

begin routers
later:
  driver = redirect
  data = :defer: not now
  allow_defer

begin retry
* * F,2h,1m
"""
LISTED = re.compile(r"^\s*\d+[mhd]\s+\S+ (\S+) <(.*?)>(.*frozen.*)?$", re.MULTILINE)


@pytest.fixture(scope="module")
def exim(parts):
    return parts.start(Exim(parts.folder, MAIN, REST))


@pytest.fixture(scope="module")
def milterscope(parts, exim):
    """With a collector."""
    mta = {"kind": "exim", "config": str(exim.folder / "etc/exim.conf"), "listeners": ["%s:%d" % exim.address]}
    site = site_in(parts, "node", mta=mta)
    site.write(collector={"queue_interval": 1})
    milterscope = parts.start(Milterscope(site))
    parts.start(Collector(site))
    return milterscope


def send(exim, sender):
    """Returns the message's ID."""
    with Session(exim) as session:
        session.command(f"MAIL FROM:<{sender}>", 250)
        session.command("RCPT TO:<user@later.test>", 250)
        session.command("DATA", 354)
        _, answer = session.body("Subject: waits\n\nText.\n", 250)
        session.quit()
    return re.search(r"id=(\S+)", answer)[1]


def arrival(file):
    """The fourth line of the envelope."""
    return int(file.read_bytes().split(b"\n")[3].split()[0])


def waiting(exim):
    """All messages; frozen ones in the queue of that name."""
    found = []
    for name, sender, frozen in LISTED.findall(exim.command("-bp")):
        (file,) = (exim.folder / "spool/input").glob(f"*/{name}-H")
        size = file.stat().st_size + file.with_name(f"{name}-D").stat().st_size
        found.append(Waiting("frozen" if frozen else "input", size, sender == "", arrival(file)))
    return found


def test_queues(exim, milterscope):
    for sender in ("a@ext.test", "a@ext.test", ""):
        send(exim, sender)
    exim.run_queue()
    fresh = [send(exim, sender) for sender in ("", "a@ext.test", "b@ext.test", "c@ext.test")]
    exim.command("-Mf", fresh[0], fresh[1])
    assert len(list((exim.folder / "spool/input").glob("*/*-H"))) == 7
    seen = wait_pass(milterscope, "input")
    mine = waiting(exim)
    assert (seen["messages", "input"], seen["messages", "frozen"]) == (5, 2)
    assert (seen["null_sender_messages", "input"], seen["null_sender_messages", "frozen"]) == (1, 1)
    assert seen.queues == {"input", "frozen"}
    check(seen, "input", mine, tried=3)
    check(seen, "frozen", mine, tried=0)


def test_greets(exim, milterscope):
    """The check of its listener; it ends with QUIT, else Exim would speak of it."""
    series = metric("mta_up", listener="%s:%d" % exim.address)
    wait_until(lambda: milterscope.dump().values.get(series) == 1, "Exim greets the collector")
    log = exim.log().read_text()
    assert not re.search("disconnection|connection lost|syntax or protocol", log), log


def test_empty(exim, milterscope):
    names = [path.name[:-2] for path in (exim.folder / "spool/input").glob("*/*-H")]
    exim.command("-Mrm", *names)
    seen = wait_pass(milterscope, "input")
    check(seen, "input", [], tried=0)
    check(seen, "frozen", [], tried=0)
