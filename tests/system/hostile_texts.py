"""What a hostile MTA may say to the filter: lengths, texts and macros of any kind. hostile.py has the order.

A macro without a value is not played: libmilter (8.17) reads beyond such a list, and no filter can keep it from that.
Whoever may connect to the socket can end the filter so, and it is started again."""

import struct

from hostile import LIMIT, NOT_UTF8, STARTED, TO_DATA, Expected, Said, broken_off, message_with
from kit.milter_wire import (
    ABORT,
    BODY,
    CONNECT,
    DATA,
    DATA_TO_EOM,
    EOH,
    EOM,
    HEADER,
    MACRO,
    MAIL,
    MESSAGE,
    MESSAGE_ANSWERS,
    RCPT,
    WITH_MACROS,
    connect,
    header,
    macros,
    mail,
    no_more_refused,
    offer,
    packet,
    rcpt,
    refused,
    words,
)
from truth import Refusal, Seen

UNKNOWN_USER = Refusal("user_unknown", 550, "5.1.1")
UNCLEAR = Refusal("other", 550, "other")
CONVERSATIONS = {}

# ---- lengths ----

IN_MESSAGE = Expected().connected().aborted(1)
CONVERSATIONS |= {
    "lengths": [
        broken_off(mail() + rcpt() + struct.pack("!I", length) + MAIL + words(b"<x>") + MESSAGE, b"cc", IN_MESSAGE)
        for length in (0, LIMIT + 2, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
    ],
    "more than the limit": broken_off(mail() + rcpt() + packet(RCPT, b"x" * (LIMIT + 1)) + MESSAGE, b"cc", IN_MESSAGE),
    "as much as the limit": message_with(
        mail(b"x" * (LIMIT - 1))
        + macros(RCPT, b"{rcpt_addr}", b"x" * (LIMIT - 15))
        + rcpt(b"x" * (LIMIT - 1))
        + packet(DATA)
        + header(b"x", b"y" * (LIMIT - 3))
        + header(b"x" * (LIMIT - 3), b"y")
        + packet(EOH, b"x" * LIMIT)
        + packet(EOM)
    ),
    "commands without what they need": [
        broken_off(mail() + rcpt() + packet(command), b"cc", IN_MESSAGE)
        for command in (MAIL, RCPT, HEADER, MACRO, BODY)
    ],
    "commands with what they do not need": message_with(
        mail()
        + rcpt()
        + packet(DATA, NOT_UTF8)
        + header()
        + packet(EOH, NOT_UTF8)
        + packet(EOM)
        + packet(ABORT, NOT_UTF8)
    ),
}

# ---- texts ----


def sized(arguments, size=None):
    return message_with(
        mail(b"<a@ext.test>", *arguments) + rcpt() + DATA_TO_EOM, adds=Expected().connected().good(size=size)
    )


def null(sender):
    adds = Expected().connected().good(null_sender=True)
    return message_with(mail(sender) + rcpt() + DATA_TO_EOM, adds=adds)


def refusing(refusal, *mailer_host_address):
    adds = Expected().connected().good(refused=[refusal])
    return message_with(
        mail() + refused(mailer_host_address) + no_more_refused() + rcpt() + DATA_TO_EOM, b"c" + MESSAGE_ANSWERS, adds
    )


def headed(data, spam="unscanned"):
    adds = Expected().connected().good(seen=Seen(spam))
    return message_with(TO_DATA + data + packet(EOH) + packet(EOM), adds=adds)


def unreadable_header(payload):
    return broken_off(TO_DATA + packet(HEADER, payload) + MESSAGE, b"ccc", Expected().connected().lost())


CONVERSATIONS |= {
    "senders": [
        null(b""),
        null(b"<>"),
        sized([]),
        message_with(mail(NOT_UTF8) + rcpt() + DATA_TO_EOM),
        message_with(mail(b"double-bounce@" + NOT_UTF8) + rcpt() + DATA_TO_EOM),
        message_with(packet(MAIL, b"<a@ext.test>\0SIZE=7") + rcpt() + DATA_TO_EOM),
    ],
    "senders without an end": broken_off(packet(MAIL, b"<a@ext.test>") + MESSAGE),
    "sizes": [
        sized([b"SIZE="]),
        sized([b"SIZE=-1"]),
        sized([b"SIZE=" + NOT_UTF8]),
        sized([b"SIZE=1 "]),
        sized([b"SIZE=" + b"9" * 100_000]),
        sized([b"SIZE=%d" % ((1 << 40) + 1)]),
        sized([b"SIZE=%d" % ((1 << 64) + 7)]),
        sized([b"SIZE=%d" % (1 << 40)], 1 << 40),
        sized([b"SIZE=" + b"0" * 100_000 + b"7"], 7),
        sized([b"SIZE=1001", b"SIZE=5"], 1001),
        sized([b"X=1"] * 100_000),
    ],
    "recipients": message_with(
        mail() + rcpt(b"") + rcpt(NOT_UTF8) + rcpt(*[b"x"] * 100_000) + rcpt() * 1000 + DATA_TO_EOM,
        b"c" + b"c" * 1003 + b"cc",
        Expected().connected().good(accepted=1003),
    ),
    "recipients without an end": broken_off(mail() + rcpt() + packet(RCPT, b"<x>") + MESSAGE, b"cc", IN_MESSAGE),
    "refusals": [
        refusing(UNKNOWN_USER, b"error", b"5.1.1", b"User unknown"),
        refusing(UNCLEAR, b"error", b"", b""),
        refusing(UNCLEAR, b"error", NOT_UTF8, NOT_UTF8 * 1000),
        refusing(UNCLEAR, b"error", b"5.1.1" * 100_000, b"x" * 100_000),
        refusing(UNCLEAR, b"error", b"5.", b">: " * 100_000),
        refusing(UNCLEAR, b"error", b"%n%n%s%s", b"%n%n%s%s"),
    ],
    "refusals only": message_with(
        mail() + refused() * 1000, b"c" * 1001, Expected().connected().message(refused=[UNKNOWN_USER] * 1000)
    ),
    "headers": [
        headed(header(b"X", b"") + header(NOT_UTF8, NOT_UTF8) + header(b" ", b"%n%s")),
        headed(header(b"X" * 500_000, b"y" * 500_000)),
        headed(packet(HEADER, b"X-Spam-Flag\0YES\0NO\0"), "spam"),
        headed(header(b"X-Spam-Flag\xff", b"YES") + header(b"X-Spam-Flag", b"\xffYES")),
        headed(header(b"X-Spam-Flag", b" " * 900_000 + b"YES")),
        headed(header(b"x-SPAM-flag", b"\n\t \r\n yes") * 1000, "spam"),
    ],
    "headers that are none": [
        unreadable_header(payload) for payload in (b"\0", b"\0\0", b"X", b"X\0", b"X\0y", b"\0y\0", b"X: y\r\n")
    ],
}

# ---- macros ----


def with_macros(data, source="external"):
    adds = Expected().connected().good(source=source)
    if source == "authenticated":
        adds.add("auth_sessions_total", mechanism="login")
    return message_with(data + MESSAGE, adds=adds)


CONVERSATIONS |= {
    "macros of commands that are none": with_macros(
        b"".join(macros(bytes([byte]), b"{auth_type}", b"LOGIN") for byte in set(range(256)) - set(WITH_MACROS))
    ),
    "macros of commands to come": with_macros(
        b"".join(macros(bytes([byte]), b"{x}", b"y", b"{auth_type}", b"") for byte in WITH_MACROS) * 100
    ),
    "macros without an end": with_macros(packet(MACRO, MAIL) + packet(MACRO, MAIL + b"{auth_type}")),
    "macros and a rest": with_macros(packet(MACRO, MAIL + words(b"{auth_type}", b"LOGIN") + b"{x}"), "authenticated"),
    "macros in great numbers": with_macros(
        macros(MAIL, *[b"{x}", b"y"] * 100_000, b"{auth_type}", b"LOGIN"), "authenticated"
    ),
    "macros without names": with_macros(macros(MAIL, *[b""] * 1_000_000)),
    "macros of any text": [
        Said(
            offer() + macros(CONNECT, b"v", text) + connect() + MESSAGE,
            STARTED + MESSAGE_ANSWERS,
            Expected().connected().good(),
        )
        for text in (b"", NOT_UTF8, b"Postfix", b"Postfix " + b"9" * 900_000, b"%n%s", b"8" * 900_000)
    ],
}
