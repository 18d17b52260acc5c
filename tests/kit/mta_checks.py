"""The collector `mta` alone (tests/kit/mta_check.c): a run at a time, whenever a test asks for it."""

import subprocess
import threading

from kit.metrics import number
from kit.place import program
from kit.wait import GENEROUS

UP = "milterscope_mta_up"
ATTACHED = "milterscope_milter_attached"
EXPIRY = "milterscope_tls_certificate_expiry_timestamp_seconds"
VERSION, FAILURE = "version", "failure:"


class MtaChecks:
    """Of the listeners in a site's configuration. `network`: where it lives, if not with us; `enter`: words before the
    command."""

    def __init__(self, site, network=None, enter=()):
        self.words = [*enter, program("kit/mta-check"), str(site.file)]
        self.network = network

    def __enter__(self):
        if self.network:
            with self.network.visit():
                return self.start()
        return self.start()

    def start(self):
        pipe = subprocess.PIPE
        self.program = subprocess.Popen(self.words, stdin=pipe, stdout=pipe, text=True)
        self.guard = threading.Timer(10 * GENEROUS, self.program.kill)
        self.guard.start()
        assert self.program.stdout.readline() == "\n", "it does not start"
        return self

    def run(self):
        """{series: value} of the gauges that are there, and what it says besides."""
        self.program.stdin.write("\n")
        self.program.stdin.flush()
        seen = {}
        while (line := self.program.stdout.readline()) != "\n":
            assert line, "it ended"
            name, _, value = line.rstrip("\n").partition(" ")
            seen[name] = number(value) if name.startswith("milterscope_") else value
        return seen

    def __exit__(self, *failure):
        self.program.stdin.close()
        status = self.program.wait(GENEROUS)
        self.guard.cancel()
        assert status == 0


def of(family, listener=0):
    return f'{family}{{listener="#{listener}"}}'
