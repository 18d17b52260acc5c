"""The servers around us, the real ones, private to a test: Redis and Postfix. Each is a context: `with` runs it."""

from kit.place import AS_ROOT, SCRIPTS, free_port, server_program, socket_path
from kit.process import run
from kit.wait import wait_until

START = 120.0  # seconds; the first start may unpack packages


class Redis:
    """A redis-server on a Unix socket."""

    def __init__(self, folder, *options):
        self.folder = folder.disk / "redis"
        self.options = options
        self.socket = socket_path(self.folder / "redis.sock")
        self.url = f"unix://{self.socket}"

    def logs(self):
        return sorted(self.folder.glob("*log*"))

    def start(self):
        run([SCRIPTS / "private-redis", "start", self.folder, *self.options], START)

    def stop(self):
        run([SCRIPTS / "private-redis", "stop", self.folder])

    def command(self, *words):
        """The answer's lines, as redis-cli prints them: one a value, nothing for an empty list."""
        client = server_program("redis", "usr/bin/redis-cli")
        return run([client, "-s", self.socket, *words]).splitlines()

    @property
    def pid(self):
        return int((self.folder / "redis.pid").read_text())

    def hash(self, key):
        """Empty where there is no such key, which redis-cli prints as an empty line."""
        lines = self.command("HGETALL", key)
        if lines == [""]:
            return {}
        return dict(zip(lines[::2], lines[1::2], strict=True))

    def __enter__(self):
        server_program("redis", "usr/bin/redis-server")
        self.start()
        return self

    def __exit__(self, *failure):
        self.stop()


class Postfix:
    """A Postfix that listens on `address`. Settings: NAME=value for main.cf. `enter`: words before the command that
    starts it."""

    def __init__(self, folder, settings, name="postfix", enter=()):
        self.folder = folder.disk / name
        self.settings = settings
        self.enter = list(enter)
        self.address = ("127.0.0.1", free_port())

    @staticmethod
    def account():
        """What Postfix runs as: {"user": …, "group": …}."""
        return dict(line.split("=", 1) for line in run([SCRIPTS / "private-postfix", "account"]).split())

    def logs(self):
        return [self.folder / "maillog", self.folder / "start.log"]

    def start(self):
        words = [f"{name}={value}" for name, value in self.settings.items()]
        run([*self.enter, SCRIPTS / "private-postfix", "start", self.folder, self.address[1], *words], START)

    def stop(self):
        run([SCRIPTS / "private-postfix", "stop", self.folder])

    def reload(self, **settings):
        """With these changes in main.cf."""
        words = [f"{name}={value}" for name, value in settings.items()]
        for command in (["postconf", "-e", *words], ["postfix", "reload"]):
            path = server_program("postfix", f"usr/sbin/{command[0]}")
            run([*AS_ROOT, path, "-c", self.folder / "etc", *command[1:]])

    def submit(self, *arguments, text):
        """Hands mail in as a local program does, with sendmail's arguments."""
        run([self.folder / "sendmail", *arguments], input=text)

    def said(self, words):
        """How many lines of its log have these words."""
        return (self.folder / "maillog").read_text(errors="replace").count(words)

    def flush(self):
        """Tries again to deliver what waits."""
        queue = server_program("postfix", "usr/sbin/postqueue")
        run([*AS_ROOT, queue, "-c", self.folder / "etc", "-f"])

    def queued(self):
        """The files of messages that Postfix has still to work on."""
        queues = [self.folder / "queue" / name for name in ("maildrop", "incoming", "active")]
        return run([*AS_ROOT, "find", *queues, "-ignore_readdir_race", "-type", "f"]).splitlines()

    def wait_idle(self):
        """All that was handed in is discarded, bounced, or held. A bounce may come up behind the first look."""
        for _ in range(2):
            wait_until(lambda: not self.queued(), lambda: f"Postfix's queue empty; there are {self.queued()}")

    def __enter__(self):
        server_program("postfix", "usr/sbin/postfix")
        self.start()
        return self

    def __exit__(self, *failure):
        self.stop()
