"""System tests: real servers around real programs. Every module has its own, in its own folders, and ends them all."""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.place import Folder  # noqa: E402
from kit.process import tail  # noqa: E402
from kit.servers import Postfix, Redis  # noqa: E402
from mail import attached  # noqa: E402
from scope import Scope, site_in  # noqa: E402

LIVE = []  # parts whose logs a failure shows


def pytest_configure():
    """Told to stop, end what was started, as at Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda number, frame: pytest.exit("stopped by SIGTERM"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for part in LIVE:
            for log in part.logs():
                report.sections.append((str(log), tail(log)))


class Parts(ExitStack):
    """Starts parts one after another, and ends them in the opposite order, whatever happens."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def start(self, part):
        if hasattr(part, "logs"):
            LIVE.append(part)
            self.callback(LIVE.remove, part)
        return self.enter_context(part)


@pytest.fixture(scope="module")
def parts(request):
    with Folder(request.module.__name__.removeprefix("test_")) as folder, Parts(folder) as stack:
        yield stack


@pytest.fixture
def own_parts(parts):
    """In the same folder, and ended with the test."""
    with Parts(parts.folder) as stack:
        yield stack


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder))


@pytest.fixture(scope="module")
def milter_socket(parts):
    """Where `postfix` looks for a milter: that of one milterscope after another."""
    return parts.folder.tmpfs / "milter.sock"


@pytest.fixture(scope="module")
def postfix(parts, milter_socket):
    return parts.start(Postfix(parts.folder, attached(milter_socket)))


@pytest.fixture
def attached_site(own_parts, request, redis, postfix, milter_socket):
    """Of a milterscope that is not started yet."""
    name = request.node.name.removeprefix("test_")
    site = site_in(own_parts, name, redis.url, milter_socket, group=postfix.account()["group"])
    site.write(milter={"drain": 20})
    return site


@pytest.fixture
def scope(own_parts, attached_site):
    """A milterscope that serves `postfix`, for one test."""
    return own_parts.start(Scope(attached_site))
