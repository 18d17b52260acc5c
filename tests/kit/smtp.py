"""An SMTP client that does exactly what it is told: one command at a time on a raw socket, from an address of its
choice, and able to vanish at any point. smtplib is too polite for that."""

import socket
import struct
import time

from kit.wait import GENEROUS


class Refused(AssertionError):
    """The server answered with another code than the script expects."""


class Smtp:
    """One SMTP session. Times are of the monotonic clock: `connecting` before the connection is asked for, `greeted`
    when the greeting was read, `leaving` before we leave, `left` when the server had closed its end, if we waited.
    `answers`: (when the command was sent, when its answer was read) of each."""

    def __init__(self, address, source=None):
        self.connecting = time.monotonic()
        self.socket = socket.create_connection(address, GENEROUS, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sent = None
        self.greeted = self.leaving = self.left = None
        self.answers = []

    def greet(self):
        code, text = self.reply()
        self.greeted = time.monotonic()
        self.answers.append((self.connecting, self.greeted))
        if code != 220:
            raise Refused(f"the greeting is {code} {text!r}, expected 220")

    def line(self):
        while b"\n" not in self.buffer:
            more = self.socket.recv(4096)
            if not more:
                raise ConnectionError(f"the server closed the connection; unread: {self.buffer!r}")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("ascii", "replace")

    def reply(self):
        """Code and text of one reply, all of its lines."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return int(lines[-1][:3]), "\n".join(text[4:] for text in lines)

    def send(self, data):
        """Sends text or bytes as they are. `sent`: just before."""
        self.sent = time.monotonic()
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def command(self, text, expect=None):
        """Sends a command and returns (code, text). `expect`: the code that the reply must have."""
        self.send(text + "\r\n")
        return self.expect(text, expect)

    def start_tls(self, context):
        """All that follows is encrypted."""
        self.command("STARTTLS", 220)
        self.socket = context.wrap_socket(self.socket)

    def body(self, text, expect=None):
        """The message and its end. `text` has \\n line ends, the last one too, and no line that begins with a dot."""
        self.send(text.replace("\n", "\r\n"))
        return self.command(".", expect)

    def chunk(self, text, last=False, expect=None):
        """A piece of the message with BDAT."""
        data = text.replace("\n", "\r\n").encode()
        self.send(b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data)
        return self.expect("BDAT", expect)

    def expect(self, what, expected):
        code, answer = self.reply()
        self.answers.append((self.sent, time.monotonic()))
        if expected not in (None, code):
            raise Refused(f"{what!r} was answered by {code} {answer!r}, expected {expected}")
        return code, answer

    def quit(self):
        self.leaving = time.monotonic()
        self.command("QUIT", 221)
        self.wait_closed()

    def vanish(self):
        """Closes our end with no farewell, and waits until the server has closed its own."""
        self.leaving = time.monotonic()
        self.socket.shutdown(socket.SHUT_WR)
        self.wait_closed()

    def reset(self):
        """As when the machine of the client is gone: the server gets a reset."""
        self.leaving = time.monotonic()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_closed(self):
        while self.socket.recv(4096):
            pass
        self.left = time.monotonic()
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()
