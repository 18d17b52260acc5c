"""A name server for a few names, on an address of its own: for programs that ask the system's resolver, in a mount
namespace where that one asks us."""

import socket
import struct
import threading

import pytest

from kit.mounts import Mounts

ADDRESS, PORT = "127.0.0.253", 53
A, PTR = 1, 12
SERVER_FAILURE, NO_NAME = 2, 3
HEAD = struct.Struct("!HHHHHH")
ANSWER = 0x8180  # flags: of a server that recurses


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def reverse(address):
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


class NameServer:
    """A context. `names`: {address: name that it has}; `addresses`: {name: address that it has}; `broken`: addresses
    and names for which it has no answer."""

    def __init__(self, names, addresses, broken):
        self.records = {(PTR, reverse(address)): encoded(name) for address, name in names.items()}
        self.records |= {(A, name): socket.inet_aton(address) for name, address in addresses.items()}
        self.broken = {reverse(name) if name[0].isdigit() else name for name in broken}

    def __enter__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind((ADDRESS, PORT))
        except OSError as error:
            self.socket.close()
            pytest.skip(f"no name server can listen on {ADDRESS}: {error}")
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def serve(self):
        while True:
            question, sender = self.socket.recvfrom(512)
            if not question:
                return
            self.socket.sendto(self.answer(question), sender)

    def answer(self, question):
        number = HEAD.unpack_from(question)[0]
        labels, at = [], HEAD.size
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack_from("!H", question, at + 1)[0]
        name, asked = ".".join(labels).lower(), question[HEAD.size : at + 5]
        data = self.records.get((kind, name))
        if data is None:
            code = SERVER_FAILURE if name in self.broken else NO_NAME
            return HEAD.pack(number, ANSWER | code, 1, 0, 0, 0) + asked
        record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
        return HEAD.pack(number, ANSWER, 1, 1, 0, 0) + asked + record

    def __exit__(self, *failure):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (ADDRESS, PORT))
        self.thread.join()
        self.socket.close()


RESOLVER = {
    "resolv.conf": f"nameserver {ADDRESS}\noptions timeout:10 attempts:1\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: dns\n",
}


def asking_us(folder):
    """A mount namespace where the system's resolver asks the NameServer, and no file."""
    for name, text in RESOLVER.items():
        (folder / name).write_text(text)
    return Mounts({}, {f"/etc/{name}": folder / name for name in RESOLVER})
