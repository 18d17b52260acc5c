"""More connections than the filter has descriptors: those beyond are turned away at once and counted, so that the MTA
goes on without us; when the flood is over, the filter goes on as well."""

import socket
import time

import pytest
from kit.figures import figure
from kit.milter import negotiates
from kit.programs import Milterscope, Site
from kit.servers import Redis
from kit.wait import wait_until
from truth import metric

DESCRIPTORS = 160
FLOOD = 400
CHECKS = 2  # a second, of the supervisor, at most: they may be turned away, too


class Poor(Milterscope):
    """With few descriptors."""

    def command(self):
        return ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", *super().command()]


@pytest.fixture(scope="module")
def milterscope(parts):
    redis = parts.start(Redis(parts.folder))
    return parts.start(Poor(Site(parts.folder, redis.url, "shedding")))


class Flood:
    """Connections that say nothing, from `with` to its end."""

    def __init__(self, path):
        self.connections = []
        self.path = path

    def turned_away(self):
        return sum(self.hung_up(connection) for connection in self.connections)

    @staticmethod
    def hung_up(connection):
        try:
            return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False

    def __enter__(self):
        for _ in range(FLOOD):
            connection = socket.socket(socket.AF_UNIX)
            self.connections.append(connection)
            connection.connect(self.path)
        return self

    def __exit__(self, *failure):
        for connection in self.connections:
            connection.close()


def counted(milterscope, name):
    return milterscope.dump().values.get(metric(name), 0)


def flood_until_turned_away(milterscope):
    """The flood, when nobody waits any more: who is not turned away has a descriptor."""
    flood = Flood(milterscope.site.milter_socket)
    flood.__enter__()
    wait_until(lambda: FLOOD - flood.turned_away() < DESCRIPTORS, "connections beyond the descriptors are turned away")
    return flood


def test_connections_turned_away_are_counted(milterscope):
    before, began = counted(milterscope, "sessions_unobserved_total"), time.monotonic()
    flood = flood_until_turned_away(milterscope)
    turned_away = flood.turned_away()
    try:
        wait_until(
            lambda: counted(milterscope, "sessions_unobserved_total") - before >= turned_away,
            f"sessions_unobserved_total differs from the truth: {turned_away} were turned away",
            10.0,
        )
        count = counted(milterscope, "sessions_unobserved_total") - before
        figure(f"shedding: {turned_away} of {FLOOD} connections turned away, {count} unobserved sessions counted")
        most = turned_away + CHECKS * (time.monotonic() - began + 1)
        assert count <= most, f"sessions_unobserved_total differs from the truth: {count}, at most {most}"
    finally:
        flood.__exit__()


def test_the_filter_goes_on_after_the_flood(milterscope):
    """The same one: it did not have to be replaced."""
    for _ in range(3):
        flood_until_turned_away(milterscope).__exit__()
        wait_until(lambda: negotiates(milterscope.site.milter_socket), "the filter answers after the flood")
    assert counted(milterscope, "filter_restarts_total") == 0
