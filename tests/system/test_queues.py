"""The queues of a real Postfix, filled as they fill in life, as the collector sees them: compared with what the test did,
and with Postfix's own list."""

import os
import re
import socket
import subprocess
import time

import pytest
from kit.accounts import needs_open_folder
from kit.place import TOP, free_port, server_program
from kit.process import run
from kit.programs import Collector, Milterscope
from kit.servers import Postfix
from kit.wait import GENEROUS, wait_until
from mail import Session
from queued import check, look, postqueue, wait_pass
from scope import site_in
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the queues of a Postfix are closed to others")

QUEUES = ["incoming", "active", "deferred", "hold", "corrupt", "maildrop"]
ACTIVE_MOST = 2  # messages that Postfix works on at a time; the others stay in incoming
OLD = {"short": [400, 7200], "long": [100_000, 300_000]}  # seconds


class Sink:
    """Postfix's smtp-sink, which answers 450 to RCPT."""

    def __enter__(self):
        self.port = free_port()
        program = server_program("postfix", "usr/sbin/smtp-sink")
        words = [program, "-u", "nobody", "-r", "RCPT", f"127.0.0.1:{self.port}", "10"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        wait_until(self.answers, "smtp-sink answers")
        return self

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *failure):
        self.process.kill()
        self.process.wait()


class Silent:
    """A listener that says nothing: Postfix waits for it, with the message active."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *failure):
        self.socket.close()


class Host:
    """A Postfix, a collector that looks at it, and the messages that wait: {queue: [(text, null sender)]}."""

    def __init__(self, parts, name, **settings):
        sink = parts.start(Sink())
        self.silent = silent = parts.start(Silent())
        ports = {"away": free_port(), "busy": sink.port, "silent": silent.port}
        transports = ", ".join(f"{{{user}@example.test = smtp:[127.0.0.1]:{port}}}" for user, port in ports.items())
        users = ", ".join(f"{{{user} = 1}}" for user in [*ports, "held"])
        own = {
            "transport_maps": f"inline:{{{transports}}}",
            "local_recipient_maps": f"inline:{{{users}}}",
            "smtpd_recipient_restrictions": "check_recipient_access inline:{{held@example.test = HOLD}}, permit",
            "qmgr_message_active_limit": ACTIVE_MOST,
            "in_flow_delay": 0,
            "smtpd_error_sleep_time": 0,
        }
        self.postfix = parts.start(Postfix(parts.folder, own | settings, name))
        self.site = site_in(parts, f"{name}-node", mta={"kind": "postfix", "config": str(self.postfix.folder / "etc")})
        self.site.write(collector={"queue_interval": 1})
        self.milterscope = parts.start(Milterscope(self.site))
        parts.start(Collector(self.site))

    def send(self, user, sender="a@ext.test", lines=1):
        with Session(self.postfix) as session:
            session.command(f"MAIL FROM:<{sender}>", 250)
            session.command(f"RCPT TO:<{user}@example.test>", 250)
            session.command("DATA", 354)
            _, answer = session.body("Subject: waits\n\n" + lines * "A line of text.\n", 250)
            session.quit()
        return re.search(r"queued as (\w+)", answer)[1]

    def postsuper(self, *words):
        run([server_program("postfix", "usr/sbin/postsuper"), "-c", self.postfix.folder / "etc", *words])

    def file(self, name):
        """The path of a queue file."""
        found = [path for path in (self.postfix.folder / "queue").glob(f"*/**/{name}") if "defer/" not in str(path)]
        return found[0] if len(found) == 1 else None

    def wait_in(self, queue, name):
        def is_there():
            file = self.file(name)
            return file is not None and queue in file.parts

        wait_until(is_there, lambda: f"{name} is in {queue}; it is {self.file(name)}")

    def fill_deferred(self):
        names = [self.send("away"), self.send("away", sender="", lines=500), self.send("busy"), self.send("busy")]
        for name in names:
            self.wait_in("deferred", name)
        self.postsuper("-h", names[3])
        return names[:3]

    def fill_others(self):
        self.send("held", sender="")
        for _ in range(ACTIVE_MOST):
            self.wait_in("active", self.send("silent"))
        for _ in range(3):
            self.wait_in("incoming", self.send("silent", lines=7))
        self.broken = self.postfix.folder / "queue" / "maildrop" / "no-message"
        self.broken.write_text("to be looked over")


def age(file, seconds):
    """Lets a message have come long ago: the record of its arrival."""
    text = file.read_bytes()
    arrived = int(time.time()) - seconds
    changed = re.sub(rb"(?<=^.{97}T.)\d{10}(?= )", str(arrived).encode(), text, count=1, flags=re.DOTALL)
    assert changed != text
    with open(file, "r+b") as opened:
        opened.write(changed)


HASHED = {"enable_long_queue_ids": "yes", "hash_queue_names": " ".join(QUEUES[:4] + ["defer"]), "hash_queue_depth": 3}


@pytest.mark.parametrize("form, settings", [("short", {}), ("long", HASHED)])
def test_all_queues(own_parts, form, settings):
    host = Host(own_parts, form, **settings)
    deferred = host.fill_deferred()
    host.fill_others()
    for file, seconds in zip(deferred, OLD[form], strict=False):
        age(host.file(file), seconds)
    counts = {"deferred": 3, "hold": 2, "active": ACTIVE_MOST, "incoming": 3, "maildrop": 0, "corrupt": 0}
    nulls = {"deferred": 1, "hold": 1}
    seen = wait_pass(host.milterscope, "deferred")
    listed = postqueue(host.postfix)
    assert seen.queues == set(QUEUES)
    for queue in QUEUES:
        check(seen, queue, listed, tried=3 if queue == "deferred" else None)
        assert (seen["messages", queue], seen["null_sender_messages", queue]) == (counts[queue], nulls.get(queue, 0))
    assert seen["bytes", "deferred"] > 500 * len("A line of text.\n")
    host.postfix.stop()
    host.broken.unlink()
    maildrop_and_corrupt(host, deferred[0])


def maildrop_and_corrupt(host, name):
    """Postfix is away: what local programs hand in waits in maildrop. A file that is cut off is found at the next start."""
    for _ in range(2):
        run([host.postfix.folder / "sendmail", "-f", "", "away@example.test"], input="Subject: local\n\nText.\n")
    seen = wait_pass(host.milterscope, "maildrop")
    check(seen, "maildrop", postqueue(host.postfix))
    assert (seen["messages", "maildrop"], seen["null_sender_messages", "maildrop"]) == (2, 2)
    os.truncate(host.file(name), 150)
    os.utime(host.file(name), (0, 0))  # due
    host.silent.socket.close()  # what was active is not any more
    host.postfix.start()
    host.postfix.flush()
    host.wait_in("corrupt", name)
    wait_until(lambda: not any((host.postfix.folder / "queue/maildrop").iterdir()), "maildrop is empty")
    seen = wait_pass(host.milterscope, "maildrop")  # and corrupt comes behind it
    assert (seen["messages", "corrupt"], seen["messages", "maildrop"]) == (1, 0)


def rows_of_the_manual():
    """collector.queues in the example for a second instance."""
    text = (TOP / "conf/man/milterscope.conf.5").read_text()
    example = text[text.index("The queues of a second instance of Postfix") :]
    example = example[example.index("collector:") : example.index(".Ed")]
    rows = re.findall(r"- \{name: (\S+), directory: (\S+), format: (\w+)\}\n", example)
    assert len(rows) == example.count("- {") and all("/var/spool/postfix-out/" in row[1] for row in rows)
    return [dict(zip(("name", "directory", "format"), row, strict=True)) for row in rows]


def test_another_instance(own_parts):
    """Its queues are the operator's, as the manual's example names them; deferred is hashed, as Postfix has it by itself."""
    host = Host(own_parts, "first", multi_instance_directories="/etc/postfix-out")
    away = {"transport_maps": f"inline:{{example.test=smtp:[127.0.0.1]:{free_port()}}}", "hash_queue_depth": 2}
    other = own_parts.start(Postfix(own_parts.folder, away, "out"))
    rows = rows_of_the_manual()
    for row in rows:
        row["directory"] = row["directory"].replace("/var/spool/postfix-out", str(other.folder / "queue"))
    with Session(other) as session:
        for _ in range(3):
            session.message()
        session.quit()
    host.site.write(collector={"queues": rows})
    site = site_like(host, own_parts)
    with Milterscope(site) as milterscope, Collector(site) as collector:
        wait_until(lambda: [message.queue for message in postqueue(other)] == 3 * ["deferred"], "all are deferred")
        files = [path.relative_to(other.folder / "queue") for path in (other.folder / "queue/deferred").rglob("?????*")]
        assert [len(path.parts) for path in files] == 3 * [4], "two folders, by the first two characters of the name"
        seen = wait_pass(milterscope, "out-deferred")
        check(seen, "out-deferred", [message._replace(queue="out-deferred") for message in postqueue(other)], tried=3)
        check(seen, "out-active", [])
        assert seen["messages", "deferred"] == 0
        assert seen.queues == {*QUEUES, "out-active", "out-deferred"}
        assert "more instances (multi_instance_directories)" in collector.logs()[0].read_text()


def site_like(host, parts):
    """The same configuration in folders of its own."""
    site = site_in(parts, f"{host.site.instance}-again")
    site.write(mta=host.site.settings["mta"], collector=host.site.settings["collector"])
    return site


@pytest.fixture
def small(own_parts, request):
    return Host(own_parts, request.node.name.removeprefix("test_").replace("_", "-"))


def test_without_rights(small, own_parts):
    """A sentence that can be acted on, and nothing where nothing is seen."""
    needs_open_folder(own_parts.folder.disk)
    site = site_like(small, own_parts)
    for folder in (site.run_directory, site.state_directory, site.folder.tmpfs):
        os.chown(folder, 65534, 65534)
    os.chmod(site.file, 0o644)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with Milterscope(site, as_nobody) as milterscope, Collector(site, as_nobody) as collector:
        said = "milterscope-collector is to run as root or with CAP_DAC_READ_SEARCH"
        wait_until(lambda: said in collector.logs()[0].read_text(), "it says what it lacks")
        log = collector.logs()[0].read_text()
        assert f"queue {small.postfix.folder}/queue/active cannot be read: Permission denied; {said}" in log
        values = milterscope.dump().values
        assert values[metric("collector_success", collector="queue")] == 0
        assert look(milterscope).queues == set()


def test_changes_while_it_looks(small):
    """Files come and go all the time: no pass fails, and none forgets what stays."""
    stays = [small.send("away") for _ in range(3)]
    for name in stays:
        small.wait_in("deferred", name)
    folder = small.postfix.folder / "queue" / "deferred"
    text = small.file(stays[0]).read_bytes()
    last = wait_pass(small.milterscope, "deferred")["scan_timestamp_seconds", "deferred"]
    passes = 0
    deadline = time.monotonic() + GENEROUS
    while passes < 3 and time.monotonic() < deadline:
        for number in range(300):
            path = folder / f"F{number % 16:X}{number:03X}"
            path.write_bytes(text[: number % 200])
            path.chmod(0o700)
            path.rename(path.with_name(path.name + "AA"))
            path.with_name(path.name + "AA").unlink()
        seen = look(small.milterscope)
        ended = seen["scan_timestamp_seconds", "deferred"]
        passes += ended != last
        last = ended
        assert seen["messages", "deferred"] >= 3 and seen["scan_complete", "deferred"] == 1
    assert passes == 3
    assert small.milterscope.dump().values[metric("collector_success", collector="queue")] == 1
