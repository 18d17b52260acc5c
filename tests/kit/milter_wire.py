"""The MTA's side of the milter protocol without manners: which packets are sent, in which order, whole or in pieces,
and whether the answers are ever read, is all up to the test. (tests/kit/mta.h is the side that behaves.)"""

import contextlib
import select
import socket
import struct

from kit.milter import ALL_ACTIONS, ALL_STEPS, VERSION
from kit.wait import GENEROUS

# Commands, and the answers that a filter of ours can give.
OFFER, CONNECT, HELO, MAIL, RCPT, DATA, HEADER = b"O", b"C", b"H", b"M", b"R", b"T", b"L"
EOH, BODY, EOM, ABORT, QUIT, QUIT_NC, UNKNOWN, MACRO = b"N", b"B", b"E", b"A", b"Q", b"K", b"U", b"D"
COMMANDS = [OFFER, CONNECT, HELO, MAIL, RCPT, DATA, HEADER, EOH, BODY, EOM, ABORT, QUIT, QUIT_NC, UNKNOWN, MACRO]
CONTINUE, ACCEPT = b"c", b"a"
WITH_MACROS = CONNECT + HELO + MAIL + RCPT + DATA + EOH + EOM

INTERNET, INTERNET6, UNIX, NO_ADDRESS = b"4", b"6", b"L", b"U"  # families in CONNECT
HEAD = struct.Struct("!Ic")  # the length of what follows the length, and the command
READ = 65536


def packet(command, payload=b""):
    return HEAD.pack(1 + len(payload), command) + payload


def words(*texts):
    """Each with its NUL."""
    return b"".join(text + b"\0" for text in texts)


def offer(version=VERSION, actions=ALL_ACTIONS, steps=ALL_STEPS):
    return packet(OFFER, struct.pack("!III", version, actions, steps))


def connect(address=b"192.0.2.1", family=INTERNET, port=40000):
    return packet(CONNECT, words(b"client.test") + family + struct.pack("!H", port) + words(address))


def helo(name=b"client.test"):
    return packet(HELO, words(name))


def mail(*arguments):
    return packet(MAIL, words(*(arguments or [b"<sender@ext.test>"])))


def rcpt(*arguments):
    return packet(RCPT, words(*(arguments or [b"<alice@example.test>"])))


def header(name=b"Subject", value=b"a test"):
    return packet(HEADER, words(name, value))


def macros(command, *names_and_values):
    """Those that go before a command."""
    return packet(MACRO, command + words(*names_and_values))


def refused(mailer_host_address=(b"error", b"5.1.1", b"User unknown")):
    """A recipient that the MTA refused, and the macros that say so."""
    names = (b"{rcpt_mailer}", b"{rcpt_host}", b"{rcpt_addr}")
    pairs = [word for pair in zip(names, mailer_host_address) for word in pair]
    return macros(RCPT, *pairs) + rcpt()


def no_more_refused():
    """Macros stay until they are sent again."""
    return macros(RCPT, b"{rcpt_mailer}", b"local")


DATA_TO_EOM = packet(DATA) + header() + packet(EOH) + packet(EOM)
MESSAGE = mail() + rcpt() + DATA_TO_EOM  # answered with MESSAGE_ANSWERS
MESSAGE_ANSWERS = CONTINUE * 4


class Wants:
    """What a milter asks for in its answer to the offer: SMFIP_* bits, SMFIF_* bits, and the macros of each command."""

    STAGES = [CONNECT, HELO, MAIL, RCPT, DATA, EOM, EOH]  # as SMFIM_* counts them

    def __init__(self, payload):
        self.version, self.actions, self.steps = struct.unpack_from("!III", payload)
        self.macros, rest = {}, payload[12:]
        while rest:
            (stage,) = struct.unpack_from("!I", rest)
            names, _, rest = rest[4:].partition(b"\0")
            self.macros[self.STAGES[stage]] = names.split()


class HungUp(AssertionError):
    """The filter closed the connection where it had to answer."""


class Wire:
    """A connection to the milter socket."""

    def __init__(self, path, deadline=GENEROUS):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(deadline)
        self.received = b""
        try:
            self.socket.connect(path)
        except BaseException:
            self.socket.close()
            raise

    def say(self, *packets):
        self.socket.sendall(b"".join(packets))

    def say_what_is_taken(self, data):
        """The filter may hang up meanwhile."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def say_in_pieces(self, data, bytes_each):
        for begin in range(0, len(data), bytes_each):
            self.socket.sendall(data[begin : begin + bytes_each])

    def no_more(self):
        """Half a close: the filter reads all that was sent before it learns of the end."""
        with contextlib.suppress(OSError):  # it hung up
            self.socket.shutdown(socket.SHUT_WR)

    def fill(self, size):
        """Whether so many bytes have been received."""
        while len(self.received) < size:
            try:
                data = self.socket.recv(READ)
            except ConnectionResetError:  # it hung up, and had not read all that we sent
                data = b""
            if not data:
                return False
            self.received += data
        return True

    def answer(self):
        """(command, payload); None: the filter hung up."""
        if not self.fill(HEAD.size):
            return None
        length, command = HEAD.unpack_from(self.received)
        if not self.fill(length + HEAD.size - 1):
            return None
        payload = self.received[HEAD.size : length + HEAD.size - 1]
        self.received = self.received[length + HEAD.size - 1 :]
        return command, payload

    def negotiate(self):
        """Offers what MTAs offer; what the milter wants of it."""
        self.say(offer())
        command, payload = self.answer()
        assert command == OFFER
        return Wants(payload)

    def expect(self, commands):
        """The answers that come next, a byte each."""
        for number, expected in enumerate(commands):
            answer = self.answer()
            if answer is None:
                raise HungUp(f"after {number} answers of {commands}")
            assert answer[0] == bytes([expected]), f"answer {number} of {commands} is {answer}"

    def ask(self, data, commands):
        """Says it and waits for the answers."""
        self.say(data)
        self.expect(commands)

    def rest(self):
        """The answers until the filter hangs up."""
        commands = b""
        while (answer := self.answer()) is not None:
            commands += answer[0]
        return commands

    def has_hung_up(self):
        """Whether the filter has, as far as we know now."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        if not poll.poll(0):
            return False
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()
