"""The doctor looks at the collector: whether it runs, and whether it may see queue, log and processes. Each fault is made,
found, cured as the line says, and gone."""

import os
import re
import subprocess

import pytest
from diagnosis import ACCOUNT, AS_ACCOUNT, Doctor, postfix_as_recommended, site_at
from kit.process import run
from kit.programs import Collector
from kit.servers import Redis
from kit.wait import wait_until
from scope import Scope
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what other accounts may do")

READS = "+dac_read_search"
WITH_RIGHT = [*AS_ACCOUNT, f"--inh-caps={READS}", f"--ambient-caps={READS}"]
HIDING = ["unshare", "--mount", "sh", "-ec", 'mount -t proc -o "$0" proc /proc; exec "$@"']


@pytest.fixture(scope="module")
def site(parts):
    """With milterscope, Postfix and Redis as the doctor likes them, and a log that is closed to our account."""
    redis = parts.start(Redis(parts.folder, "--unixsocketperm", "777"))
    postfix = postfix_as_recommended(parts)
    os.chmod(postfix.folder / "maillog", 0o600)
    site = site_at(parts, postfix, redis, "collected")
    site.write(mta={"kind": "postfix", "config": str(postfix.folder / "etc")})
    site.write(collector={"logs": [str(postfix.folder / "maillog")]})
    site.postfix = postfix
    site.milterscope = parts.start(Scope(site, enter=AS_ACCOUNT))
    return site


@pytest.fixture
def doctor(own_parts, site):
    own_parts.folder.disk.joinpath("doctor").mkdir(exist_ok=True)
    return Doctor(site, own_parts.folder.disk / "doctor")


def start(own_parts, site, enter):
    """A collector that has looked at everything once."""
    collector = own_parts.start(Collector(site, enter=enter))
    names = ("queue", "log", "processes")

    def looked():
        values = site.milterscope.dump().values
        return all(metric("collector_success", collector=name) in values for name in names)

    wait_until(looked, "it has looked at everything once")
    return collector


def test_not_missed_where_it_never_ran(doctor):
    doctor.expect_silence()


def test_seeing_everything(doctor, own_parts, site):
    start(own_parts, site, WITH_RIGHT)
    doctor.expect_silence()


def test_not_running(doctor, own_parts, site):
    start(own_parts, site, WITH_RIGHT).stop()
    found = doctor.expect("milterscope-collector does not run: queues, deliveries and processes of the MTA")
    assert doctor.paste(found) == (["enable --now milterscope-collector"], [])
    start(own_parts, site, WITH_RIGHT)
    doctor.expect_silence()


def test_without_the_right(doctor, own_parts, site):
    collector = start(own_parts, site, AS_ACCOUNT)
    without = f", and runs as {ACCOUNT} without CAP_DAC_READ_SEARCH"
    found = doctor.expect(f"does not see all queues{without}", f"does not see all of the log{without}")
    assert found[0].line == found[1].line
    folder = "/etc/systemd/system/milterscope-collector.service.d"
    restart = r"systemctl daemon-reload && systemctl restart (\S+)"
    words = rf"mkdir -p {folder} && (printf '.*') >{folder}/rights.conf && {restart}"
    written, unit = re.fullmatch(words, found[0].line).groups()
    right = "CAP_DAC_READ_SEARCH"
    assert run(["sh", "-c", written]) == f"[Service]\nAmbientCapabilities={right}\nCapabilityBoundingSet={right}\n"
    assert unit == "milterscope-collector"
    collector.stop()
    start(own_parts, site, WITH_RIGHT)
    doctor.expect_silence()


def test_right_does_not_help(doctor, own_parts, site):
    """The queue is not where it is looked for."""
    hold = site.postfix.folder / "queue" / "hold"
    hold.rename(hold.with_name("held"))
    try:
        start(own_parts, site, WITH_RIGHT)
        found = doctor.expect("milterscope-collector does not see all queues")
        assert (found[0].where, found[0].line) == ("See what it says", "journalctl -n 50 -u milterscope-collector")
    finally:
        hold.with_name("held").rename(hold)


@pytest.mark.parametrize(
    ("options", "cure"),
    [("hidepid=2", "mount -o remount,hidepid=invisible,gid="), ("hidepid=2,gid=4", r"SupplementaryGroups=4\n")],
    ids=["without group", "with group"],
)
def test_hidden_processes(doctor, own_parts, site, options, cure):
    hiding = [*HIDING, options]
    if subprocess.run([*hiding, "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("/proc cannot be mounted here")
    doctor.entering = hiding
    collector = start(own_parts, site, [*hiding, *WITH_RIGHT])
    found = doctor.expect("does not see processes of others: /proc is mounted with hidepid=")
    assert cure.replace("invisible", "") in found[0].line.replace("invisible", "").replace("hidepid=2", "hidepid=")
    collector.stop()
    cured = hiding if "gid" in options else [*HIDING, f"{options},gid=4"]
    start(own_parts, site, [*cured, *["--groups=4" if word == "--init-groups" else word for word in WITH_RIGHT]])
    doctor.expect_silence()
