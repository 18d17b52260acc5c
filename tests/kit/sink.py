"""A mail server to deliver to: what it answers goes by the recipient's local part, and it throws mail away. And one
that does not even greet."""

import contextlib
import socket
import socketserver
import threading

REPLIES = {  # to RCPT
    "later": b"450 4.2.0 Greylisted, try again in 300 seconds",
    "gone": b"550 5.1.1 User unknown",
    "full": b"552 5.2.2 Mailbox full",
    "listed": b"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example",
    "noname": b"450 4.7.25 Client host rejected: cannot find your reverse hostname",
}
AT_THE_END = {"spam": b"554 5.7.1 Message rejected as spam", "busy": b"451 4.3.0 The moon is in the wrong phase"}
HANGS_UP = "vanish"  # at RCPT
MUTE, ASLEEP = "mute", "asleep"  # never answers RCPT, or the end of a message


class Handler(socketserver.StreamRequestHandler):
    def say(self, reply):
        self.wfile.write(reply + b"\r\n")

    def hang(self):
        """Until the client has had enough."""
        self.rfile.read()

    def handle(self):
        with contextlib.suppress(ConnectionError):
            self.say(b"220 sink.test ESMTP")
            last = b"250 2.0.0 Ok"
            for line in self.rfile:
                word = line[:4].upper()
                if word == b"RCPT":
                    user = line.split(b"<")[1].split(b"@")[0].decode()
                    if user == HANGS_UP:
                        return
                    if user == MUTE:
                        return self.hang()
                    last = None if user == ASLEEP else AT_THE_END.get(user, last)
                    self.say(REPLIES.get(user, b"250 2.1.5 Ok"))
                elif word == b"DATA":
                    self.say(b"354 Go on")
                    while self.rfile.readline() not in (b".\r\n", b""):
                        pass
                    if last is None:
                        return self.hang()
                    self.say(last)
                    last = b"250 2.0.0 Ok"
                elif word == b"QUIT":
                    self.say(b"221 2.0.0 Bye")
                    return
                else:
                    self.say(b"250 2.0.0 Ok")


class Sink(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A context. `port`: where it listens, on an address of its own."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address, port=0):
        super().__init__((address, port), Handler)
        self.port = self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *failure):
        self.shutdown()
        self.server_close()


class Silent:
    """A context. Whoever connects to `port` is connected, and hears nothing."""

    def __init__(self, address, port=0):
        self.socket = socket.create_server((address, port), backlog=128)
        self.port = self.socket.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.socket.close()
