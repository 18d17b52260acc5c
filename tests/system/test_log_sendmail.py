"""What a real sendmail writes into its log, against what became of the mail: one run with every fate, whose truth the
test keeps from the client's side, and --read-log's counts of it."""

import json
import os
import re

import pytest
import sendmail_mail
from delivered import counts_of, lines_of, without_times, write_truth
from kit.names import Names
from kit.network import Network
from kit.other_milter import OtherMilter
from kit.sendmail import Sendmail
from kit.sink import Silent, Sink
from kit.syslog import Syslog
from log_play import SITE
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")


@pytest.fixture(scope="module")
def play(parts):
    network = parts.start(Network())
    parts.start(Names(network, {}, broken=[sendmail_mail.UNSURE]))
    with network.visit():
        sink = parts.start(Sink("127.0.0.1"))
        for host in (sendmail_mail.MUTE_HOST, sendmail_mail.ASLEEP_HOST):
            parts.start(Sink(host, sink.port))
        parts.start(Silent(sendmail_mail.SILENT_HOST, sink.port))
    lines = sendmail_mail.LINES % {"sink": sink.port}
    mta = Sendmail(parts.folder, network, lines, tables=sendmail_mail.TABLES, users=sendmail_mail.USERS, dns=True)
    (mta.folder / "etc/exit").write_text(sendmail_mail.EXIT)
    milter = OtherMilter(mta.socket_folder / "other.sock", sendmail_mail.DECISIONS).__enter__()
    log = mta.folder / "maillog"
    parts.start(Syslog(mta.folder / "syslog", log))
    play = sendmail_mail.SendmailPlay(parts.start(mta), log, milter)
    for step in sendmail_mail.STEPS:
        step(play)
    return play


@pytest.fixture(scope="module")
def counted(parts, play):
    site = parts.folder.disk / "milterscope.yaml"
    site.write_text(json.dumps(SITE))
    return counts_of(play.log_file, site, "sendmail")


def test_everything_is_counted(play, counted):
    write_truth(play.expected, play.log_file)
    assert without_times(counted) == play.expected


def test_lines(play, counted):
    """Each line is one, and none that should be understood is not; sendmail complains of one host that is itself."""
    assert sum(lines_of(counted).values()) == len(play.log().splitlines())
    assert "unparsed" not in lines_of(counted)
    problems = {series: value for series, value in counted.items() if "log_problems" in series}
    assert problems == {metric("log_problems_total", severity="error"): 1}


def test_times(play, counted):
    """The sum of what sendmail writes of the deliveries that we count: one for each recipient."""
    delays = 0
    for line in play.log().splitlines():
        found = re.search(r" to=([^ ]+), .*delay=00:00:(\d\d), xdelay=.* mailer=(\w+), .* stat=Sent", line)
        if found and found[3] != "relay":
            delays += int(found[2]) * len(found[1].split(","))
    sums = [counted.get(metric("delivery_seconds_sum", destination=to), 0) for to in ("local", "internal", "external")]
    assert sum(sums) == delays
