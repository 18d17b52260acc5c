"""A syslog of a test's own: what programs of ours send to the socket goes to a file, in the form in which rsyslog
writes /var/log/mail.log."""

import re
import socket
import threading

PRIORITY = re.compile(rb"<\d+>")
HOST = b"mx"
STAMP = len("Nov 20 20:00:00 ")
END = b""


class Syslog:
    """A context. Programs reach it at `socket`, where they look for /dev/log; `lines` is what they said until now."""

    def __init__(self, path, log):
        self.path, self.log = path, log

    def __enter__(self):
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def serve(self):
        with open(self.log, "ab", buffering=0) as log:
            while (said := self.socket.recv(65536)) != END:
                text = PRIORITY.sub(b"", said, 1).rstrip(b"\n\0")
                log.write(text[:STAMP] + HOST + b" " + text[STAMP:] + b"\n")

    def __exit__(self, *failure):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(END, str(self.path))
        self.thread.join()
        self.socket.close()
