"""The first step of the milter protocol, to see whether a milter answers on a socket."""

import socket
import struct

VERSION = 6
ALL_ACTIONS = 0x1FF
ALL_STEPS = 0x1FFFFF


def negotiates(path, deadline=2.0):
    """Whether the milter at the Unix socket `path` answers an option negotiation."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(deadline)
        try:
            connection.connect(path)
            connection.sendall(struct.pack("!IcIII", 13, b"O", VERSION, ALL_ACTIONS, ALL_STEPS))
            answer = connection.recv(5)
        except OSError:
            return False
    return answer[4:5] == b"O"
