"""The tally's file, read and changed from outside by the layout of conf/lib/tally.h: to damage it, or to make it
one of another time."""

import re
import struct
from collections import namedtuple
from pathlib import Path

FILE = "conversation.tally"

CONSTANT = struct.Struct("<8sIIQQIIQQQQQQQ40s")
CHECKSUM = struct.Struct("<Q")
CHANGING = struct.Struct("<QQIIqQqIIIIQQQ")
Header = namedtuple(
    "Header",
    "magic version header_bytes catalogue bytes total_count gauge_count domains_at totals_at kept_at processes_at names_at "
    "process_bytes names_checksum boot_id "
    "checksum "
    "id_high id_low state starts begun_ms server kept_ms ahead anonymous clean unused copy_checksum run run_before",
)
RUNNING, SETTLING = 1, 2
DOMAINS = struct.Struct("<QII")  # shown, count, unused; then so many of these
DOMAIN = struct.Struct("<I129s3x")
PLACE = re.compile(r'(?<={domain=")#([0-7][0-7])(?=")')


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def header_of(data):
    parts = CONSTANT.unpack_from(data) + CHECKSUM.unpack_from(data, CONSTANT.size)
    return Header(*parts, *CHANGING.unpack_from(data, CONSTANT.size + CHECKSUM.size))


class Tally:
    """The file as it is now; `save` writes what was changed."""

    def __init__(self, folder):
        self.path = Path(folder) / FILE
        self.data = bytearray(self.path.read_bytes())

    @property
    def header(self):
        return header_of(self.data)

    @property
    def id(self):
        return f"{self.header.id_high:016x}{self.header.id_low:016x}"

    def checksum_is_right(self):
        return self.header.checksum == fnv1a(self.data[: CONSTANT.size])

    def set_constant(self, **changes):
        """Changes fields before the checksum, and the checksum with them."""
        fields = self.header._replace(**changes)[: len(CONSTANT.unpack_from(self.data))]
        CONSTANT.pack_into(self.data, 0, *fields)
        CHECKSUM.pack_into(self.data, CONSTANT.size, fnv1a(self.data[: CONSTANT.size]))
        return self

    def set_changing(self, **changes):
        fields = self.header._replace(**changes)[-len(CHANGING.unpack_from(self.data, CONSTANT.size + CHECKSUM.size)) :]
        CHANGING.pack_into(self.data, CONSTANT.size + CHECKSUM.size, *fields)
        return self

    def of_another_boot(self):
        """As if the machine had started since it was written."""
        self.set_constant(boot_id=b"00000000-0000-4000-8000-000000000000")
        return self

    def domains(self):
        """The names in the table, in the order of their places; and which of them are shown."""
        at = self.header.domains_at
        shown, count, _ = DOMAINS.unpack_from(self.data, at)
        table = self.data[at + DOMAINS.size :][: count * DOMAIN.size]
        names = [name.split(b"\0")[0].decode() for _, name in DOMAIN.iter_unpack(table)]
        return names, [name for place, name in enumerate(names) if shown >> place & 1]

    def stored_names(self):
        """Totals first, in the order of their slots, then gauges; of domains that were not known yet, their places."""
        return bytes(self.data[self.header.names_at : -1]).decode().split("\0")

    def names(self):
        """The same with the domains that were given places since; None: a place that is free."""
        names = self.stored_names()
        if not any(map(PLACE.search, names)):
            return names
        known = dict(enumerate(self.domains()[0]))

        def whole(name):
            place = PLACE.search(name)
            domain = known.get(int(place.group(1), 8)) if place else None
            return PLACE.sub(domain, name) if domain else None if place else name

        return [whole(name) for name in names]

    def total_at(self, name):
        """Where the slot of a total is."""
        return self.header.totals_at + 8 * self.names().index(name)

    def total(self, name):
        return struct.unpack_from("<Q", self.data, self.total_at(name))[0]

    def kept(self, name):
        """The part of a total that may be shown, unless the tally is ahead."""
        header = self.header
        return struct.unpack_from("<Q", self.data, self.total_at(name) - header.totals_at + header.kept_at)[0]

    def set_total(self, name, value):
        """In a copy, whose checksum covers totals and names."""
        struct.pack_into("<Q", self.data, self.total_at(name), value)
        header = self.header
        totals = self.data[header.totals_at : header.totals_at + 8 * header.total_count]
        self.set_changing(copy_checksum=fnv1a(totals + self.data[header.names_at :]))
        return self

    def save(self):
        self.path.write_bytes(self.data)
        return self
