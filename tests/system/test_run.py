"""scripts/run, which is `make run` after the building: what it shows of its sample messages; nothing of it is left."""

import contextlib
import os
import signal
from http.client import HTTPConnection
from pathlib import Path

import pytest
from kit.metrics import Metrics
from kit.place import BUILD, SCRIPTS, free_port
from kit.process import Process
from kit.wait import GENEROUS, wait_until
from truth import metric


class Run:
    """`make run` in a folder of its own."""

    def __init__(self, folder, **variables):
        self.folder = folder.disk / "run"
        self.http, self.smtp = free_port(), free_port()
        own = {"BUILD": BUILD, "RUN_DIR": self.folder, "HTTP_PORT": self.http, "SMTP_PORT": self.smtp}
        self.log = folder.disk / "run.log"
        settings = [f"{name}={value}" for name, value in (own | variables).items()]
        self.command = ["env", "--default-signal=INT", *settings, str(SCRIPTS / "run")]

    def __enter__(self):
        self.process = Process(self.command, self.log)
        try:
            wait_until(self.is_ready, "everything is up", 4 * GENEROUS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def is_ready(self):
        self.process.check_alive()
        return (self.folder / "ready").exists()

    def get(self, path):
        connection = HTTPConnection("127.0.0.1", self.http, timeout=GENEROUS)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def values(self):
        return Metrics(self.get("/metrics")).values

    def wait_values(self, expected):
        def there():
            values = self.values()
            return {series: values.get(series) for series in expected}

        wait_until(lambda: there() == expected, lambda: f"{expected}; there is {there()}")

    def processes(self):
        """All that have its folder in their command line, but itself."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if str(self.folder).encode() in path.read_bytes():
                    found.append(int(path.parent.name))
        return [pid for pid in found if pid != self.process.pid]

    def __exit__(self, *failure):
        self.process.stop(signal.SIGINT)
        wait_until(lambda: not self.processes(), lambda: f"nothing is left of it; there is {self.processes()}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a Postfix")
def test_with_postfix(own_parts):
    with Run(own_parts.folder) as running:
        listener = f"127.0.0.1:{running.smtp}"
        delivered = metric("deliveries_total", destination="local", status="sent")
        running.wait_values(
            {
                delivered: 5,  # of 7 sample messages two are refused
                metric("log_rejects_total", where="rcpt", **{"class": "user_unknown"}): 1,
                metric("queue_messages", queue="deferred"): 0,
                metric("mta_up", listener=listener): 1,
                metric("milter_attached", listener=listener): 1,
                metric("messages_total", source="local", verdict="passed"): 1,
            }
        )
        page = running.get("/")
        assert f"<tr><td>{listener}</td><td>yes</td><td>yes</td></tr>" in page
        assert all(title in page for title in ("<h2>Queues</h2>", "<h2>Disk</h2>", "<h2>Attempts at delivery"))


def test_without_mta(own_parts):
    with Run(own_parts.folder, MTA="none") as running:
        values = running.values()
        assert not [series for series in values if series.startswith("milterscope_mta_up")]
        running.wait_values({metric("collector_success", collector="host"): 1})
