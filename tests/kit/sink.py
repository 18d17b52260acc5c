"""An SMTP server that takes mail, or not: what it answers to a recipient depends on the local part. For an MTA under test
to deliver to."""

import socketserver
import threading

from kit.place import free_port

ACCEPTED = "250 2.1.5 Accepted"


class Session(socketserver.StreamRequestHandler):
    timeout = 60

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        sink = self.server.sink
        self.say(sink.greeting)
        taken = 0
        while line := self.rfile.readline().strip():
            verb = line[:4].upper()
            if verb == b"RCPT":
                local = line.split(b"<", 1)[1].split(b"@", 1)[0].decode()
                answer = sink.answers.get(local, ACCEPTED)
                taken += answer.startswith("2")
                self.say(answer)
                if answer.startswith("421"):
                    return
            elif verb == b"DATA" and taken:
                self.say("354 Go ahead")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.say(sink.at_end)
                taken = 0
            elif verb == b"QUIT":
                self.say("221 2.0.0 Bye")
                return
            else:
                self.say("250 2.0.0 Fine" if verb in (b"EHLO", b"HELO", b"MAIL", b"RSET") else "503 5.5.1 Not now")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Sink:
    """A context. `answers`: {local part: reply to RCPT}; the others are accepted. `at_end`: the reply to each message."""

    def __init__(self, answers=(), at_end="250 2.0.0 Taken", greeting="220 sink.test ESMTP", address="127.0.0.1", port=None):
        self.answers = dict(answers)
        self.at_end, self.greeting = at_end, greeting
        self.address = (address, port or free_port())

    def __enter__(self):
        self.server = Server(self.address, Session)
        self.server.sink = self
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
