"""Processes that a test starts: their output goes to a log, and they are stopped by their pid."""

import signal
import subprocess

from kit.wait import GENEROUS

LOG_TAIL = 30  # lines of a log that a failure shows


def tail(path, lines=LOG_TAIL):
    try:
        text = path.read_text(errors="replace").splitlines()
    except OSError as error:
        return str(error)
    return "\n".join((["…"] if len(text) > lines else []) + text[-lines:])


class Process:
    """A program in the foreground, in a session of its own. It is told to stop when the test ends, however that ends."""

    def __init__(self, arguments, log):
        self.name = arguments[0].rsplit("/", 1)[-1]
        self.log = log
        with open(log, "ab") as output:
            # When this process is killed, nobody else would end the program.
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self):
        return self.popen.pid

    def check_alive(self):
        status = self.popen.poll()
        if status is not None:
            raise RuntimeError(f"{self.name} ended with status {status}; its last words:\n{tail(self.log, 10)}")

    def send(self, number):
        self.popen.send_signal(number)

    def stop(self, number=signal.SIGTERM, deadline=GENEROUS):
        """Returns the exit status. One that does not obey is killed, and that is a failure."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(deadline)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise RuntimeError(f"{self.name} did not stop within {deadline:g} s and was killed") from None


def run(arguments, deadline=GENEROUS, expect=0, **options):
    """Runs a program to its end and returns its standard output as text."""
    done = subprocess.run(
        [str(word) for word in arguments], capture_output=True, text=True, timeout=deadline, check=False, **options
    )
    if done.returncode != expect:
        words = " ".join(str(word) for word in arguments)[:200]
        raise RuntimeError(f"{words}: status {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
    return done.stdout
