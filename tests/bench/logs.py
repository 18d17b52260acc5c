"""What reading a delivery log costs, beside what pflogsumm takes for the same, and mtail with a program (postfix.mtail) for a part of it: a
log as a busy Postfix writes it, made here."""

import random
import re
import resource
import statistics

from kit.place import TOP, program, server_program
from kit.process import run

RUNS = 5
PATIENCE = 600.0  # seconds
LINES_A_SECOND = 25
LETTERS = "BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789"
REFUSALS = [
    "550 5.1.1 <x{0}@example.org>: Recipient address rejected: User unknown in local recipient table",
    "554 5.7.1 Service unavailable; Client host [192.0.2.{0}] blocked using zen.spamhaus.org; "
    "https://www.spamhaus.org/query/ip/192.0.2.{0}",
    "554 5.7.1 <joe{0}@example.net>: Relay access denied",
    "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.{0}]",
    "450 4.2.0 <x{0}@example.org>: Recipient address rejected: Greylisted, "
    "see http://postgrey.schweikert.ch/help/example.org.html",
]


class Log:
    """Writes lines, and counts what is delivered, and what is refused."""

    def __init__(self, out):
        self.out = out
        self.lines = 0
        self.counts = dict.fromkeys(("sent", "deferred", "bounced", "rejected"), 0)
        self.random = random.Random(1)
        texts = (TOP / "tests/data/delivery_texts.tsv").read_text().splitlines()
        self.reasons = [line.split("\t")[0] for line in texts if not line.startswith("#")]

    def say(self, service, text):
        second = self.lines // LINES_A_SECOND
        day, hour, minute = second // 86400 + 1, second // 3600 % 24, second // 60 % 60
        time = f"Nov {day:2} {hour:02}:{minute:02}:{second % 60:02}"
        self.out.write(f"{time} mx1 postfix/{service}[{1000 + self.lines % 977}]: {text}\n")
        self.lines += 1

    def session(self):
        number = self.random.randrange(250)
        client = f"mail.example.net[192.0.2.{number}]"
        self.say("smtpd", f"connect from {client}")
        if self.random.random() < 0.35:
            self.refuse(client, number)
        else:
            self.deliver(client, number)

    def refuse(self, client, number):
        reply = self.random.choice(REFUSALS).format(number)
        fields = "from=<spam@example.com> to=<x1@example.org> proto=ESMTP helo=<mail.example.com>"
        self.say("smtpd", f"NOQUEUE: reject: RCPT from {client}: {reply}; {fields}")
        self.counts["rejected"] += 1
        if self.random.random() < 0.3:
            self.say("smtpd", f"lost connection after RCPT from {client}")
        self.say("smtpd", f"disconnect from {client} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4")

    def deliver(self, client, number):
        name = "4" + "".join(self.random.choices(LETTERS, k=14))
        self.say("smtpd", f"{name}: client={client}")
        self.say("cleanup", f"{name}: message-id=<{name}@example.net>")
        self.say("qmgr", f"{name}: from=<a@example.net>, size={self.random.randrange(90000)}, nrcpt=1 (queue active)")
        self.say("smtpd", f"disconnect from {client} ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7")
        status = self.random.choices(("sent", "deferred", "bounced"), (85, 10, 5))[0]
        self.counts[status] += 1
        if status == "sent":
            relay, reason = "mx1.example.org[private/dovecot-lmtp]", f"250 2.0.0 <joe{number}@example.org> {name} Saved"
        else:
            relay, reason = "mx.example.com[192.0.2.44]:25", self.random.choice(self.reasons)
        times = "delay=0.69, delays=0.1/0.01/0.5/0.08"
        code = {"sent": 2, "deferred": 4, "bounced": 5}[status]
        fields = f"relay={relay}, {times}, dsn={code}.0.0, status={status} ({reason})"
        self.say("lmtp" if status == "sent" else "smtp", f"{name}: to=<joe{number}@example.com>, {fields}")
        if status != "deferred":
            self.say("qmgr", f"{name}: removed")


def cpu(command):
    """What it says, and the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = run(command, PATIENCE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return said, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def mtail(path, counts):
    """Its CPU seconds."""
    programs = TOP / "tests/bench/postfix.mtail"
    words = ["-logtostderr", "-one_shot", "-one_shot_format", "prometheus", "-progs", programs, "-logs", path]
    said, seconds = cpu([server_program("mtail", "usr/bin/mtail"), *map(str, words)])
    for status in ("sent", "deferred", "bounced"):
        found = re.search(rf'^deliveries_total{{.*status="{status}".*}} (\d+)', said, flags=re.MULTILINE)
        if found is None or int(found.group(1)) != counts[status]:
            raise RuntimeError(f"mtail does not count {counts[status]} deliveries {status}")
    return seconds


def check(said, counts):
    """Both are to have read all of it."""
    for status in ("sent", "deferred", "bounced"):
        found = sum(
            int(line.rsplit(" ", 1)[1])
            for line in said.splitlines()
            if line.startswith("milterscope_deliveries_total{") and f'status="{status}"' in line
        )
        if found != counts[status]:
            raise RuntimeError(f"--read-log counts {found} deliveries {status}, not {counts[status]}")


def measure(folder, lines, progress):
    pflogsumm = server_program("pflogsumm", "usr/sbin/pflogsumm")
    path = folder.disk / "mail.log"
    empty = folder.disk / "empty.yaml"
    empty.write_text("")
    progress(f"a log of {lines} lines")
    with open(path, "w") as out:
        log = Log(out)
        while log.lines < lines:
            log.session()
    ours, theirs = [], []
    for _ in range(RUNS):
        said, seconds = cpu([program("milterscope-collector"), "-c", empty, "--read-log", path, "--mta", "postfix"])
        check(said, log.counts)
        ours.append(seconds)
    for _ in range(2):
        said, seconds = cpu(["perl", pflogsumm, path])
        if f" {log.counts['sent']} " not in said:
            raise RuntimeError("pflogsumm has not read all of it")
        theirs.append(seconds)
    of_mtail = mtail(path, log.counts)
    size = path.stat().st_size
    path.unlink()
    million = log.lines / 1_000_000
    ours, theirs = statistics.median(ours) / million, min(theirs) / million
    return {
        "lines": log.lines,
        "bytes": size,
        "seconds_per_million": ours,
        "pflogsumm_per_million": theirs,
        "mtail_per_million": of_mtail / million,
        "ratio": ours / theirs,
    }
