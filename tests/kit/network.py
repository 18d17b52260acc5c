"""A network of a test's own: a namespace whose loopback interface has addresses beyond 127.0.0.0/8. An MTA that takes whoever
comes from a loopback address for its own host sees clients from elsewhere there."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys

import pytest

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
IFF_UP_RUNNING_LOOPBACK = 0x49
NETWORKS = ["192.0.2", "198.51.100"]  # RFC 5737; every address in them is the namespace's own


def set_up():
    """In the namespace: the loopback interface with our networks."""

    def inet(address):
        return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING_LOOPBACK))
        for number, network in enumerate(NETWORKS):
            alias = struct.pack("16s", b"lo:%d" % number)
            fcntl.ioctl(control, SIOCSIFADDR, alias + inet(f"{network}.1"))
            fcntl.ioctl(control, SIOCSIFNETMASK, alias + inet("255.255.255.0"))


class Network:
    """A context. A thread that has joined makes its sockets there, and starts its programs there."""

    def __enter__(self):
        pipe = subprocess.PIPE
        words = ["unshare", "--net", "--", sys.executable, __file__]
        self.holder = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        if self.holder.stdout.readline() != "ready\n":
            why = self.holder.communicate()[1].splitlines() or [""]
            pytest.skip(f"no network namespace is to be had here: {why[-1]}")
        self.namespace = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
        return self

    def __exit__(self, *failure):
        os.close(self.namespace)
        self.holder.communicate()

    def join(self, namespace=None):
        """The calling thread, for good."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(self.namespace if namespace is None else namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    @contextlib.contextmanager
    def visit(self):
        """The calling thread, for a while."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.join()
        try:
            yield
        finally:
            self.join(home)
            os.close(home)


if __name__ == "__main__":
    set_up()
    print("ready", flush=True)
    sys.stdin.read()
