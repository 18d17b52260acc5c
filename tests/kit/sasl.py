"""An authentication server for Postfix, in the protocol of Dovecot's: any user with the password `right` may log in, by
any mechanism.

Postfix can only offer AUTH with such a server behind it; SASL itself is Postfix's and real. What a client says is the same
for all mechanisms, that of PLAIN: to Postfix it is just a text.

And the client's side of real mechanisms, for servers that know them."""

import base64
import contextlib
import hashlib
import hmac
import os
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


# ---- a client of real mechanisms ----


def encoded(data):
    return base64.b64encode(data).decode() or "="


def plain(user, password):
    yield f"\0{user}\0{password}".encode()


def login_in_steps(user, password):
    """LOGIN: the server asks for one after the other."""
    yield None
    yield user.encode()
    yield password.encode()


def cram_md5(user, password):
    challenge = yield None
    yield f"{user} {hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()}".encode()


def scram_sha_256(user, password):
    """RFC 5802, without channel binding."""
    first = f"n={user},r={os.urandom(12).hex()}"
    challenge = (yield f"n,,{first}".encode()).decode()
    given = dict(part.split("=", 1) for part in challenge.split(","))
    final = f"c=biws,r={given['r']}"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(given["s"]), int(given["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    text = f"{first},{challenge},{final}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), text, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    yield f"{final},p={encoded(proof)}".encode()
    yield b""  # what the server says of itself is not checked


def anonymous(user, password):
    del password
    yield user.encode()


REAL = {
    "PLAIN": plain,
    "LOGIN": login_in_steps,
    "CRAM-MD5": cram_md5,
    "SCRAM-SHA-256": scram_sha_256,
    "ANONYMOUS": anonymous,
}


def authenticate(smtp, user, mechanism="PLAIN", password="right"):
    """Returns the code of the last reply."""
    steps = REAL[mechanism](user, password)
    first = next(steps)
    code, text = smtp.command(f"AUTH {mechanism}" + ("" if first is None else f" {encoded(first)}"))
    while code == 334:
        answer = steps.send(base64.b64decode(text))
        code, text = smtp.command("" if answer == b"" else encoded(answer))
    return code
