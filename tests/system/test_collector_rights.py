"""The collector with the account and the rights that its unit gives it, beside a real Postfix: it sees everything, also
after a reload; without the right, what is closed to it is absent and the rest is there."""

import os
import re
import shutil
import signal

import pytest
from diagnosis import ACCOUNT, AS_ACCOUNT, needs_open_folders
from kit.place import TOP
from kit.programs import Collector
from kit.servers import Postfix
from kit.wait import wait_until
from mail import send
from scope import Scope, site_in
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as another account")

UNIT = (TOP / "conf/systemd/milterscope-collector.service").read_text()
AS_UNIT = [*AS_ACCOUNT[:-1], "--clear-groups", "--no-new-privs"]
CLOSED = {"queue", "log"}
SENT = metric("deliveries_total", destination="local", status="sent")


def capabilities():
    """Options of setpriv for what the unit grants, and no more."""
    granted = re.search(r"^AmbientCapabilities=(.*)$", UNIT, flags=re.MULTILINE)[1]
    assert granted == re.search(r"^CapabilityBoundingSet=(.*)$", UNIT, flags=re.MULTILINE)[1]
    words = "".join(f",+{name.removeprefix('CAP_').lower()}" for name in granted.split())
    return [f"--bounding-set=-all{words}", f"--inh-caps=-all{words}", f"--ambient-caps=-all{words}"]


@pytest.fixture(scope="module")
def node(parts):
    """Not yet collected; queue and log are closed to ACCOUNT."""
    needs_open_folders(parts)
    postfix = parts.start(Postfix(parts.folder, {}))
    os.chmod(postfix.folder / "maillog", 0o600)
    site = site_in(parts, "rights", mta={"kind": "postfix", "config": str(postfix.folder / "etc")})
    site.write(collector={"logs": [str(postfix.folder / "maillog")], "queue_interval": 1}, milter={"socket_group": ""})
    for folder in (site.folder.tmpfs, site.run_directory, site.state_directory):
        shutil.chown(folder, ACCOUNT, ACCOUNT)
    site.postfix = postfix
    site.milterscope = parts.start(Scope(site, enter=AS_ACCOUNT))
    return site


def wait_collected(node, absent=()):
    """Until each collector has ended a run; returns all that is seen then."""
    names = {"queue", "log", "processes", "sockets", "host", "mta"}

    def seen():
        values = node.milterscope.dump().values
        well = {name: values.get(metric("collector_success", collector=name)) for name in names}
        return values if well == {name: int(name not in absent) for name in names} else None

    return wait_until(seen, lambda: f"all but {absent} are collected")


def families(values):
    return {series.split("{")[0].removeprefix("milterscope_") for series in values}


def test_without_the_right(node, own_parts):
    own_parts.start(Collector(node, enter=AS_UNIT))
    there = families(wait_collected(node, absent=CLOSED))
    assert {"processes", "smtp_sockets", "filesystem_free_bytes", "mta_up"} <= there
    assert {"queue_messages", "deliveries_total"} & there == set()


def test_as_the_unit_runs_it(node, own_parts):
    collector = own_parts.start(Collector(node, enter=[*AS_UNIT, *capabilities()]))
    for begun in (1, 2):
        values = wait_collected(node)
        assert values[metric("queue_messages", queue="deferred")] == 0
        assert values[metric("processes", role="master")] >= 1
        send(node.postfix)
        wait_until(lambda begun=begun: node.milterscope.dump().values.get(SENT) == begun, f"{begun} deliveries")
        runs = collector.begun()
        collector.process.send(signal.SIGUSR1)
        wait_until(lambda runs=runs: collector.begun() > runs, "it began anew")


def test_nothing_in_the_log_yet(node, own_parts):
    """An empty log may be read by the same right as a full one, also where it was left empty."""
    log = node.postfix.folder / "empty.log"
    log.touch(0o600)
    node.write(collector={"logs": [str(log)]})
    collector = own_parts.start(Collector(node, enter=[*AS_UNIT, *capabilities()]))
    wait_collected(node)
    assert collector.stop() == 0
    collector.start()
    wait_collected(node)


def test_queues_of_a_pattern(node, own_parts):
    """Queues in a folder that is closed to the account: they are found by the same right by which they are read."""
    folder = node.postfix.folder / "spool"
    queue = folder / "q1"
    queue.mkdir(parents=True)
    (queue / "qf5AB3CD000001").write_text("V8\nT1700000000\nN1\nS<a@example.org>\nRPFD:<b@example.org>\n.\n")
    os.chmod(folder, 0o700)
    config = node.postfix.folder / "sendmail.cf"
    config.write_text(f"O QueueDirectory={folder}/q*\n")
    node.write(mta={"kind": "sendmail", "config": str(config)})
    own_parts.start(Collector(node, enter=[*AS_UNIT, *capabilities()]))
    series = metric("queue_messages", queue="mqueue")
    wait_until(lambda: series in node.milterscope.dump().values, "the queue is scanned")
    assert node.milterscope.dump().values[series] == 1
