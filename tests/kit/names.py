"""A DNS server for a network of a test's own (kit/network.py), where nobody else has port 53."""

import socket
import struct
import threading

A, PTR = 1, 12
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
RESPONSE = 0x8580  # authoritative, recursion available
TTL = 3600
END = b""  # of a name server that is to end


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def reverse(address):
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


class Names:
    """A context. `addresses`: {name: address}; `pointers`: {address: name}; `broken`: names, and addresses for
    whose names, there is no answer but a failure. All other names do not exist."""

    def __init__(self, network, addresses, pointers=None, broken=()):
        self.network = network
        self.records = {(name, A): socket.inet_aton(address) for name, address in addresses.items()}
        self.records |= {(reverse(address), PTR): wire(name) for address, name in (pointers or {}).items()}
        self.known = {name for name, _ in self.records}
        self.broken = {*broken, *map(reverse, broken)}

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, question = ".".join(labels), query[12 : at + 5]
        (kind,) = struct.unpack_from("!H", query, at + 1)
        data = self.records.get((name, kind))
        code = SERVER_FAILURE if name in self.broken else NO_ERROR if name in self.known else NO_SUCH_NAME
        head = query[:2] + struct.pack("!HHHHH", RESPONSE | code, 1, data is not None, 0, 0)
        if data is None:
            return head + question
        return head + question + struct.pack("!HHHIH", 0xC00C, kind, 1, TTL, len(data)) + data

    def serve(self):
        while True:
            query, client = self.socket.recvfrom(512)
            if query == END:
                return
            self.socket.sendto(self.answer(query), client)

    def __enter__(self):
        with self.network.visit():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", 53))
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.socket.sendto(END, self.socket.getsockname())
        self.thread.join()
        self.socket.close()
