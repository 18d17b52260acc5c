"""Mail straight to a filter, without a mail server: for tests of what becomes of the counts."""

from kit.place import program
from kit.process import Process, run
from kit.wait import wait_until


def words(scope, **options):
    pairs = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [program("kit/milter-load"), *pairs, f"unix:{scope.site.milter_socket}"]


def messages(scope, count=1, **options):
    """Some messages, one after the other. `seed`: tells of what kinds."""
    run(words(scope, transactions=count, sessions=1, **options))


class Load:
    """A stream of messages, from `with` to its end; then all of them are counted."""

    def __init__(self, scope, rate=50):
        self.scope, self.rate = scope, rate
        self.process = None

    def wait(self, count=10):
        """For some more messages."""
        goal = self.scope.passed() + count
        wait_until(lambda: self.scope.passed() >= goal, "mail flows")

    def __enter__(self):
        command = words(self.scope, rate=self.rate, transactions=0, seconds=600, sessions=4)
        self.process = Process(command, self.scope.site.folder.disk / "load.log")
        self.wait(1)
        return self

    def __exit__(self, *failure):
        self.process.check_alive()  # it ends where a filter does not answer in time
        self.process.stop()
        self.scope.wait_value(0, "sessions_active")
