"""A milter of somebody else's beside ours in an MTA's list: it continues all mail but what a test names, and may add
headers, in the protocol itself. `seen`: what it was shown, with the macros that came before."""

import os
import socket
import socketserver
import struct
import threading

from kit.milter import VERSION
from kit.milter_wire import ABORT, MACRO, OFFER, QUIT, READ, packet
from kit.place import socket_path

CONTINUE, REJECT, TEMPFAIL, DISCARD, QUARANTINE = b"c", b"r", b"t", b"d", b"q"
ADD_HEADER, INSERT_HEADER = b"h", b"i"
ACTIONS = 0x01 | 0x20  # SMFIF_ADDHDRS, SMFIF_QUARANTINE
SILENT = (MACRO, ABORT, QUIT)  # what is not answered


def add_header(name, value):
    return packet(ADD_HEADER, b"%s\0%s\0" % (name.encode(), value.encode()))


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        data, self.macros = b"", {}
        while True:
            while len(data) < 4 or len(data) < 4 + struct.unpack("!I", data[:4])[0]:
                more = self.request.recv(READ)
                if not more:
                    return
                data += more
            end = 4 + struct.unpack("!I", data[:4])[0]
            command, payload, data = data[4:5], data[5:end], data[end:]
            if command == QUIT:
                return
            self.take(command, payload)

    def take(self, command, payload):
        milter = self.server
        if command == OFFER:
            self.request.sendall(packet(OFFER, struct.pack("!III", VERSION, ACTIONS, milter.steps) + milter.macros))
        elif command == MACRO:
            words = payload[1:].split(b"\0")
            self.macros[payload[:1]] = dict(zip(words[::2], words[1::2], strict=False))
        else:
            milter.seen.append((command, payload, self.macros.get(command, {})))
            if command not in SILENT:
                self.request.sendall(milter.answer(command, payload))


class OtherMilter(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A context. `decisions`: {(command, text): answer}: the first whose text occurs in the command's payload."""

    daemon_threads = True
    request_queue_size = socket.SOMAXCONN

    def __init__(self, path, decisions=None, steps=0, macros=b""):
        self.decisions, self.steps, self.macros = decisions or {}, steps, macros
        self.seen = []
        super().__init__(socket_path(path), Handler)
        os.chmod(path, 0o666)  # the MTA may be any account

    def answer(self, command, payload):
        for (when, text), answer in self.decisions.items():
            if when == command and text in payload:
                return answer
        return packet(CONTINUE)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *failure):
        self.shutdown()
        self.server_close()
        os.unlink(self.server_address)
