"""An authentication server for Postfix, in the protocol of Dovecot's: any user with the password `right` may log in, by
any mechanism.

Postfix can only offer AUTH with such a server behind it; SASL itself is Postfix's and real. What a client says is the same
for all mechanisms, that of PLAIN: to Postfix it is just a text."""

import base64
import contextlib
import socket
import socketserver
import threading

from kit.place import socket_path

MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "EXTERNAL", "GSSAPI"]
OFFER = "".join(f"MECH\t{name}\n" for name in MECHANISMS)
GREETING = f"VERSION\t1\t2\n{OFFER}SPID\t1\nCUID\t{{}}\nCOOKIE\t{{:032x}}\nDONE\n"


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        number = self.server.next_number()
        self.say(GREETING.format(number, number))
        with contextlib.suppress(ConnectionError):  # Postfix's processes come and go
            for line in self.rfile:
                words = line.decode().rstrip("\n").split("\t")
                if words[0] == "AUTH":
                    self.answer(words[1], words[3:])

    def answer(self, identifier, parameters):
        response = next(text[len("resp=") :] for text in parameters if text.startswith("resp="))
        _, user, password = base64.b64decode(response).decode().split("\0")
        if password == "right":
            self.say(f"OK\t{identifier}\tuser={user}\n")
        else:
            self.say(f"FAIL\t{identifier}\tuser={user}\n")

    def say(self, text):
        self.wfile.write(text.encode())


class Accounts(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A context. `settings` is what main.cf needs to use it."""

    daemon_threads = True
    request_queue_size = socket.SOMAXCONN

    def __init__(self, folder):
        self.path = folder.tmpfs / "sasl.sock"
        self.numbers = 0
        self.lock = threading.Lock()
        super().__init__(socket_path(self.path), Handler)
        self.path.chmod(0o666)
        self.settings = {
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"unix:{self.path}",
        }

    def next_number(self):
        with self.lock:
            self.numbers += 1
            return self.numbers

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *failure):
        self.shutdown()
        self.server_close()


def login(user, mechanism="PLAIN", password="right"):
    """The argument of AUTH for this user."""
    return f"{mechanism} " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()
