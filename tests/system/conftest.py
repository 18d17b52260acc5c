"""System tests: real servers around real programs. Every module has its own, in its own folders, and ends them all."""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.place import Folder  # noqa: E402
from kit.process import tail  # noqa: E402

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
