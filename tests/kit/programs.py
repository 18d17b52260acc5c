"""Our programs, started as an administrator does it, with a configuration from a dictionary. Each is a context."""

import http.client
import json
import os

from kit.metrics import Metrics
from kit.milter import negotiates
from kit.place import free_port, program, socket_path
from kit.process import Process, run
from kit.wait import wait_until


def merged(base, changes):
    """A dictionary of dictionaries with some entries replaced."""
    result = dict(base)
    for key, value in changes.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def access(group):
    """How the MTA's group gets at the milter socket; only root can give the socket to a group of others."""
    if not group:
        return {}
    return {"socket_group": group} if os.geteuid() == 0 else {"socket_mode": "0666"}


class Site:
    """One node's configuration: its file, and the names of the things in it."""

    def __init__(self, folder, redis_url, instance, group=None, **changes):
        self.folder = folder
        self.instance = instance
        self.run_directory = folder.tmpfs / "run"
        self.state_directory = folder.disk / "state"
        self.milter_socket = socket_path(folder.tmpfs / "milter.sock")
        self.http = ("127.0.0.1", free_port())
        self.file = folder.disk / "milterscope.yaml"
        self.settings = {
            "instance": instance,
            "run_directory": str(self.run_directory),
            "state_directory": str(self.state_directory),
            "milter": {"socket": f"unix:{self.milter_socket}", **access(group)},
            "spam": {"authserv_ids": ["mx.example.test"]},  # so that all that can be counted is
            "redis": {"url": redis_url, "push_interval": 0.2},
            "exporter": {"listen": ["%s:%d" % self.http]},
        }
        for directory in (self.run_directory, self.state_directory):
            directory.mkdir(exist_ok=True)
        self.write(**changes)

    def write(self, **changes):
        """JSON is YAML, too."""
        self.settings = merged(self.settings, changes)
        self.file.write_text(json.dumps(self.settings, indent=4) + "\n")

    def key(self, name):
        """A key of this instance in Redis."""
        return f"ms1:{{{self.instance}}}:{name}"


def check_sanitizers(logs):
    """They say something only where they find something."""
    found = [line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()]
    assert not [line for line in found if "Sanitizer" in line or "runtime error" in line], logs


class Program:
    """One that runs until it is stopped; `WELL` says what it does once it runs."""

    def __init__(self, site, enter=()):
        self.site = site
        self.enter = list(enter)  # words before the command
        self.process = None

    def logs(self):
        return [self.site.folder.disk / f"{self.LOG}.log"]

    def command(self):
        return [*self.enter, program(self.NAME), "-c", str(self.site.file)]

    def start(self):
        self.process = Process(self.command(), self.logs()[0])
        wait_until(self.answers, self.WELL)

    def stop(self):
        return self.process.stop()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        if self.process:
            self.stop()
            check_sanitizers(self.logs())


class Milterscope(Program):
    """The supervisor, with filter and pusher."""

    NAME, LOG, WELL = "milterscope", "milterscope", "the milter socket answers a negotiation"

    def answers(self):
        self.process.check_alive()
        return negotiates(self.site.milter_socket)

    def dump(self):
        """All series of the tallies."""
        return Metrics(run([*self.command(), "--dump"]))


class Collector(Program):
    """Its values are seen in the exporter, and in Milterscope.dump."""

    NAME, LOG, WELL = "milterscope-collector", "collector", "the collector has made its tally"

    def start(self):
        self.starts = self.begun()
        super().start()

    def begun(self):
        """How often it has told that it is ready."""
        log = self.logs()[0]
        return log.read_text().count("collecting for instance") if log.exists() else 0

    def answers(self):
        self.process.check_alive()
        return self.begun() > self.starts


class Exporter(Program):
    """The HTTP exporter."""

    NAME, LOG, WELL = "milterscope-exporter", "exporter", "the exporter answers over HTTP"

    def answers(self):
        self.process.check_alive()
        try:
            return self.get("/metrics").status == 200
        except OSError:
            return False

    def get(self, path, **headers):
        """The response; its body is read, in `.content`."""
        connection = http.client.HTTPConnection(*self.site.http, timeout=30)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            response.content = response.read()
            return response
        finally:
            connection.close()

    def metrics(self):
        return Metrics(self.get("/metrics").content.decode())
