"""A Redis connection that sends what it is told, in pipelines and with any bytes; redis-cli starts a process for each command, and
prints lines."""

import socket


class Refused(Exception):
    """An error reply."""


def words(command):
    return [word if isinstance(word, bytes) else str(word).encode() for word in command]


def packed(command):
    parts = words(command)
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Resp:
    """One connection to a Unix socket; `db`: the database."""

    def __init__(self, path, db=0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rb")
        self("SELECT", db)

    def __call__(self, *command):
        """The reply to one command; errors are raised."""
        reply = self.pipeline([command])[0]
        if isinstance(reply, Refused):
            raise reply
        return reply

    def pipeline(self, commands):
        """The replies; errors are among them."""
        commands = list(commands)
        self.socket.sendall(b"".join(packed(command) for command in commands))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return Refused(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"+" or int(rest) < 0:
            return rest.decode() if kind == b"+" else None
        if kind == b"$":
            return self.stream.read(int(rest) + 2)[:-2]
        return [self.reply() for _ in range(int(rest))]

    def hash(self, key):
        reply = self("HGETALL", key)
        return dict(zip(reply[::2], reply[1::2], strict=True))

    def close(self):
        self.stream.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()
