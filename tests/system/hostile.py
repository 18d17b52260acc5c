"""What a hostile MTA may say to the filter: conversations, and what each must have added to the counts.

Where libmilter does not take a command in its order, it calls abort, forgets the transaction and answers nothing; where
it cannot read one, it hangs up. Lengths, texts and macros are in hostile_texts.py."""

from dataclasses import dataclass, field

from kit.milter_wire import (
    ABORT,
    BODY,
    COMMANDS,
    CONNECT,
    DATA,
    DATA_TO_EOM,
    EOH,
    EOM,
    HEAD,
    HELO,
    INTERNET,
    INTERNET6,
    MESSAGE,
    MESSAGE_ANSWERS,
    NO_ADDRESS,
    OFFER,
    QUIT,
    QUIT_NC,
    UNIX,
    UNKNOWN,
    connect,
    header,
    helo,
    mail,
    offer,
    packet,
    rcpt,
    words,
)
from truth import Transaction, Truth

LIMIT = 1 << 20  # bytes of a packet behind its command that the filter takes
SOME_TIME = (0.0, 3600.0)  # times are test_times.py's
NOT_UTF8 = b"\xff\xfe\xc3\x28\x80"
START, STARTED = offer() + connect(), b"Oc"
TO_DATA = mail() + rcpt() + packet(DATA)  # answered with ccc


class Expected(Truth):
    """Built as the conversation goes."""

    def connected(self, client="external", mail=True, times=1, macros=True):
        """`macros`: whether the filter was let ask for them."""
        for _ in range(times):
            tls = "none" if macros and client != "local" else None
            self.session(client, *SOME_TIME, mail=mail, resolve=None, tls=tls)
        return self

    def unknown(self, times):
        self.add("unknown_commands_total", times)
        return self

    def message(self, times=1, **what):
        for _ in range(times):
            self.transaction(Transaction(**{"source": "external", "null_sender": False, **what}))
        return self

    def aborted(self, accepted=0, **what):
        return self.message(accepted=accepted, **what)

    def lost(self, **what):
        return self.message(**{"accepted": 1, "data": True, **what})

    def good(self, **what):
        return self.message(**{"accepted": 1, "data": True, "span": SOME_TIME, **what})


@dataclass
class Said:
    """Bytes that are written at once; the answers, all of them; who ends the connection; what it adds."""

    data: bytes
    answers: bytes
    adds: Expected = field(default_factory=Expected)
    hangs_up: bool = False  # the filter; otherwise we do


def message_with(data, answers=MESSAGE_ANSWERS, adds=None):
    return Said(START + data, STARTED + answers, adds or Expected().connected().good())


def broken_off(data, answers=b"", adds=None):
    return Said(START + data, STARTED + answers, adds or Expected().connected(mail=False), hangs_up=True)


CONVERSATIONS = {}  # name -> one Said or several, each on a connection of its own

# ---- negotiation ----

OLD_ANSWERS = b"Oc" + b"cc" + b"cccc"  # nothing is left unanswered: libmilter answers for us
CONVERSATIONS |= {
    "nothing": Said(b"", b""),
    "offer only": Said(offer(), b"O"),
    "offer and quit": Said(offer() + packet(QUIT), b"O", hangs_up=True),
    "no offer": Said(connect() + MESSAGE, MESSAGE_ANSWERS),
    "offer twice": Said(offer() + offer() + connect() + MESSAGE, b"O" + MESSAGE_ANSWERS),
    "offer after connect": message_with(offer() + MESSAGE),
    "offer in a message": message_with(TO_DATA + offer() + DATA_TO_EOM, b"ccc", Expected().connected().lost()),
    "offer of version 0 or 1": [Said(offer(version=version), b"", hangs_up=True) for version in (0, 1)],
    "offer of version 2": Said(
        offer(2, 0x3F, 0x7F) + connect() + MESSAGE, OLD_ANSWERS, Expected().connected(macros=False).good()
    ),
    "offer of version 99": Said(
        offer(99) + connect() + MESSAGE, STARTED + MESSAGE_ANSWERS, Expected().connected().good()
    ),
    "offer of nothing": Said(
        offer(6, 0, 0) + connect() + MESSAGE, OLD_ANSWERS, Expected().connected(macros=False).good()
    ),
    "offer of everything": Said(
        offer(0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF) + connect() + MESSAGE,
        STARTED + MESSAGE_ANSWERS,
        Expected().connected().good(),
    ),
    "offer cut short": [Said(packet(OFFER, b"\0\0\0\6"[:size]), b"", hangs_up=True) for size in range(5)],
    "offer with more": Said(packet(OFFER, offer()[HEAD.size :] + NOT_UTF8), b"O"),
}

# ---- CONNECT ----


def from_client(client, source, data):
    return Said(offer() + data + MESSAGE, STARTED + MESSAGE_ANSWERS, Expected().connected(client).good(source=source))


def no_client(payload):
    return Said(offer() + packet(CONNECT, payload) + MESSAGE, b"O", hangs_up=True)


HOST = words(b"client.test")
HOST_4 = HOST + INTERNET
PORT = b"\x9c\x40"
LONG_NAME = b"x" * 500_000
CONVERSATIONS |= {
    "clients": [
        from_client("external", "external", connect(b"192.0.2.1", port=0)),
        from_client("internal", "internal", connect(b"127.0.0.1")),
        from_client("local", "internal", connect(b"127.0.0.1", port=0)),
        from_client("local", "internal", connect(b"::1", INTERNET6, 0)),
        from_client("internal", "internal", connect(b"::ffff:127.0.0.1", INTERNET6)),
        from_client("external", "external", connect(b"2001:db8::1", INTERNET6)),
        from_client("external", "external", connect(b"IPv6:2001:db8::1", INTERNET6)),
        from_client("local", "local", connect(b"/run/client", UNIX)),
        from_client("local", "local", connect(b"", UNIX)),
        from_client("local", "local", packet(CONNECT, words(b"localhost") + NO_ADDRESS)),
        from_client("local", "local", packet(CONNECT, words(b"localhost") + NO_ADDRESS + NOT_UTF8)),
        from_client("external", "external", packet(CONNECT, words(b"") + INTERNET + PORT + words(b"192.0.2.1"))),
        from_client("external", "external", packet(CONNECT, words(LONG_NAME) + INTERNET + PORT + words(b"192.0.2.1"))),
        from_client("external", "external", packet(CONNECT, words(NOT_UTF8) + INTERNET + PORT + words(b"192.0.2.1"))),
        from_client("external", "external", packet(CONNECT, HOST_4 + PORT + words(b"192.0.2.1", NOT_UTF8))),
    ],
    "clients that are none": [
        no_client(b""),
        no_client(b"client.test"),
        no_client(HOST),
        no_client(HOST_4),
        no_client(HOST_4 + PORT[:1]),
        no_client(HOST_4 + PORT),
        no_client(HOST_4 + PORT + b"192.0.2.1"),
        no_client(HOST_4 + PORT + words(b"")),
        no_client(HOST_4 + PORT + words(b"999.0.2.1")),
        no_client(HOST_4 + PORT + words(NOT_UTF8)),
        no_client(HOST_4 + PORT + words(b"2001:db8::1")),
        no_client(HOST + INTERNET6 + PORT + words(b"192.0.2")),
        no_client(HOST + UNIX + PORT + words(b"/" + b"x" * 107)),
        no_client(HOST + UNIX + PORT + words(b"x" * 900_000)),
        *(no_client(HOST + family + PORT + words(b"192.0.2.1")) for family in (b"X", b"\0", b"\xff", b"5")),
    ],
    "connect twice": message_with(connect() + MESSAGE),
    "greetings": message_with(
        helo(b"") + helo(NOT_UTF8) + packet(HELO, b"no end") + packet(HELO, b"a\0b\0") + helo(b"x" * 900_000) + MESSAGE,
        b"cccc" + MESSAGE_ANSWERS,
    ),
}

# ---- order ----

STEPS = [(mail(), b"c"), (rcpt(), b"c"), (packet(DATA), b"c"), (header(), b""), (packet(EOH), b""), (packet(EOM), b"c")]
ENDED = [
    lambda adds: adds,
    lambda adds: adds.aborted(0),
    lambda adds: adds.aborted(1),
    *[lambda adds: adds.lost()] * 3,
    lambda adds: adds.good(),
]


def after_each_step(data, good=True, hangs_up=False):
    """The same thing in every place of a message; `good`: whether a good message follows it."""
    for number, ended in enumerate(ENDED):
        adds = ended(Expected().connected(mail=good or number > 0))
        answers = STARTED + b"".join(answer for _, answer in STEPS[:number])
        said = START + b"".join(step for step, _ in STEPS[:number]) + data
        if good:
            yield Said(said + MESSAGE, answers + MESSAGE_ANSWERS, adds.good())
        else:
            yield Said(said, answers, adds, hangs_up)


ABORTED_AND_GOOD = Expected().connected().aborted(0).good()
LOST_AND_GOOD = Expected().connected().lost().good()
NEXT = packet(QUIT_NC) + connect()  # where libmilter does not take the first, it does not take the second
CONVERSATIONS |= {
    "abort in any place": list(after_each_step(packet(ABORT))),
    "quit in any place": list(after_each_step(packet(QUIT) + MESSAGE, good=False, hangs_up=True)),
    "end in any place": list(after_each_step(b"", good=False)),
    "half a packet in any place": list(after_each_step(mail()[:7], good=False)),
    "half a length in any place": list(after_each_step(b"\0\0", good=False)),
    "no command in any place": list(after_each_step(packet(b"x", b"y") + MESSAGE, good=False, hangs_up=True)),
    "another client in any place": [
        *list(after_each_step(NEXT))[:-1],
        message_with(
            MESSAGE + NEXT + MESSAGE,
            MESSAGE_ANSWERS + b"c" + MESSAGE_ANSWERS,
            Expected().connected().connected(macros=False).good(times=2),
        ),
    ],
    "a hundred clients": message_with(
        (MESSAGE + NEXT) * 99 + MESSAGE,
        (MESSAGE_ANSWERS + b"c") * 99 + MESSAGE_ANSWERS,
        Expected().connected().connected(times=99, macros=False).good(times=100),
    ),
    "no other client follows": message_with(MESSAGE + packet(QUIT_NC)),
    "RCPT before MAIL": message_with(rcpt() + MESSAGE),
    "DATA before RCPT": message_with(mail() + packet(DATA) + MESSAGE, b"c" + MESSAGE_ANSWERS, ABORTED_AND_GOOD),
    "MAIL after MAIL": message_with(mail() + MESSAGE, b"c" + MESSAGE_ANSWERS, ABORTED_AND_GOOD),
    "MAIL after DATA": message_with(TO_DATA + header() + MESSAGE, b"ccc" + MESSAGE_ANSWERS, LOST_AND_GOOD),
    "end of message alone": message_with(packet(EOM) * 3 + MESSAGE + packet(EOM)),
    "end of message after MAIL": message_with(mail() + packet(EOM) + MESSAGE, b"c" + MESSAGE_ANSWERS, ABORTED_AND_GOOD),
    "end of message after DATA": message_with(TO_DATA + packet(EOM) + MESSAGE, b"ccc" + MESSAGE_ANSWERS, LOST_AND_GOOD),
    "end of message after RCPT": message_with(mail() + rcpt() + packet(EOM), b"ccc", Expected().connected().good()),
    "content before MAIL": message_with(packet(DATA) + header() + packet(EOH) + packet(BODY, b"x") + MESSAGE),
    "no header": message_with(TO_DATA + packet(EOH) + packet(EOM)),
    "body without DATA": message_with(mail() + rcpt() + packet(BODY, b"x" * 70_000) * 2 + packet(EOM), b"ccccc"),
    "body that was not wanted": message_with(
        TO_DATA + packet(EOH) + packet(BODY, b"x" * LIMIT) * 3 + packet(EOM), MESSAGE_ANSWERS + b"ccc"
    ),
    "body at the end of message": message_with(TO_DATA + packet(EOH) + packet(EOM, b"the rest")),
    "commands that are none of SMTP": message_with(
        packet(UNKNOWN, words(b"x")) + packet(UNKNOWN, NOT_UTF8) + packet(UNKNOWN, b"x" * LIMIT) + MESSAGE,
        b"ccc" + MESSAGE_ANSWERS,
        Expected().connected().good().unknown(3),
    ),
    "commands of no protocol": [
        broken_off(packet(bytes([byte]), b"x") + MESSAGE) for byte in range(256) if bytes([byte]) not in COMMANDS
    ],
}
