"""Mail through a Postfix with the milter attached: sessions that know how long they waited, and a stream of them."""

import threading

from kit.smtp import Smtp
from kit.wait import wait_until

COMMAND_TIMEOUT = 30  # seconds that Postfix waits for a milter: milter_command_timeout, as it is by default
TEXT = "From: a@ext.test\nTo: alice@example.test\nSubject: fault\n\nText.\n"


class Session(Smtp):
    """An SMTP session that has said EHLO, and knows how long its slowest answer took."""

    def __init__(self, postfix, source=None):
        super().__init__(postfix.address, source)
        self.greet()
        self.command("EHLO client.test", 250)

    @property
    def slowest(self):
        return max(answered - sent for sent, answered in self.answers)

    def message(self):
        """One that is accepted."""
        self.begin_message()
        self.finish_message()

    def begin_message(self):
        self.command("MAIL FROM:<a@ext.test>", 250)

    def finish_message(self):
        """What follows MAIL."""
        self.command("RCPT TO:<alice@example.test>", 250)
        self.command("DATA", 354)
        self.body(TEXT, 250)


def send(postfix, messages=1, source=None):
    """A session with some messages, all accepted. Returns the seconds of its slowest answer."""
    with Session(postfix, source) as session:
        for _ in range(messages):
            session.message()
        session.quit()
        return session.slowest


class Traffic:
    """Sessions one after another in some threads, from `with` to its end. It knows how many sessions and messages there
    were, and the slowest answer."""

    def __init__(self, postfix, threads=2, most=3):
        self.postfix, self.most = postfix, most
        self.sessions = self.messages = 0
        self.slowest = 0.0
        self.failures = []
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(threads)]

    def run(self, number):
        while not self.ending.is_set():
            messages = 1 + (self.sessions + number) % self.most
            try:
                slowest = send(self.postfix, messages)
            except (AssertionError, OSError) as failure:
                self.failures.append(failure)
                return
            with self.lock:
                self.sessions += 1
                self.messages += messages
                self.slowest = max(self.slowest, slowest)

    def wait(self, sessions):
        """Some more of them."""
        goal = self.sessions + sessions
        wait_until(lambda: self.sessions >= goal or self.failures, "mail flows")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures


def attached(socket, **settings):
    """main.cf with the milter, as the manual recommends it: mail goes on when the milter does not."""
    milter = f"unix:{socket}"
    recommended = {"smtpd_milters": milter, "non_smtpd_milters": milter, "milter_default_action": "accept"}
    return recommended | {"smtpd_error_sleep_time": 0, "in_flow_delay": 0} | settings
