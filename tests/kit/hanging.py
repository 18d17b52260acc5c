"""A small file system, one folder of files in memory, that hangs when it is told to: whoever asks it for anything then
waits, as at a disk that is frozen for a snapshot, where no signal ends it.

As a program it serves that file system (FUSE: linux/fuse.h): `hanging.py FOLDER DEVICE`. It is told `hang` and `go on`
on its standard input, and says on its standard output `ready`, `held` for each request that has to wait, and what it
was told. At the end of its input it ends, and the kernel lets all go who wait. kit/mounts.py makes a context of it."""

import ctypes
import errno
import os
import select
import stat
import struct
import sys
from collections import namedtuple

BUFFER = 256 * 1024
VERSION, MOST_BYTES = (7, 31), 128 * 1024
NOSUID, NODEV = 2, 4
DIRECT = 1  # no cache in the kernel: every write comes here
ROOT = 1
SIZE_IS_SET = 1 << 3
LOOKUP, FORGET, GETATTR, SETATTR, UNLINK, RENAME, OPEN, READ, WRITE = 1, 2, 3, 4, 10, 12, 14, 15, 16
STATFS = 17
RELEASE, FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR = 18, 20, 25, 26, 27, 28, 29, 30
CREATE, INTERRUPT, FORGETS = 35, 36, 42
UNANSWERED = (FORGET, INTERRUPT, FORGETS)

BLOCKS = (1000, 600, 500, 0, 0)  # of 4096 bytes: all, free, free for everybody; files, of which there is no limit

HEAD = struct.Struct("<IIQQIII4x")
ATTRIBUTES = struct.Struct("<6Q10I")
Request = namedtuple("Request", "code unique node body")


class FileSystem:
    """What is in the folder, and the answers to requests: bytes, or the number of an error."""

    def __init__(self):
        self.files = {}  # node: content
        self.names = {}  # name: node
        self.last = ROOT
        self.answers = {
            LOOKUP: lambda request: self.entry(self.names.get(request.body[:-1])),
            GETATTR: lambda request: self.attributes(request.node),
            SETATTR: self.set_attributes,
            UNLINK: lambda request: b"" if self.names.pop(request.body[:-1], None) else errno.ENOENT,
            RENAME: self.rename,
            READ: self.read,
            WRITE: self.write,
            INIT: self.init,
            CREATE: self.create,
            READDIR: self.read_directory,
            STATFS: lambda request: struct.pack("<5Q3I28x", *BLOCKS, 4096, 255, 4096),
            **dict.fromkeys((OPEN, OPENDIR), lambda request: self.opened()),
            **dict.fromkeys((RELEASE, FSYNC, FLUSH, RELEASEDIR, FSYNCDIR), lambda request: b""),
        }

    def answer(self, request):
        known = self.answers.get(request.code)
        return known(request) if known else errno.ENOSYS

    def init(self, request):
        return struct.pack("<IIIIHHIIHHI28x", *VERSION, 0, 0, 16, 16, MOST_BYTES, 1, 0, 0, 0)

    def status(self, node):
        mode, size = (stat.S_IFDIR | 0o755, 0) if node == ROOT else (stat.S_IFREG | 0o640, len(self.files[node]))
        return ATTRIBUTES.pack(node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def attributes(self, node):
        return bytes(16) + self.status(node)

    def entry(self, node):
        return errno.ENOENT if node is None else struct.pack("<QQ24x", node, 0) + self.status(node)

    def opened(self):
        return struct.pack("<QII", 0, DIRECT, 0)

    def set_attributes(self, request):
        valid, size = struct.unpack_from("<I12xQ", request.body)
        if valid & SIZE_IS_SET:
            content = self.files[request.node]
            content[size:] = bytes(max(0, size - len(content)))
        return self.attributes(request.node)

    def create(self, request):
        self.last += 1
        self.names[request.body[16:-1]] = self.last
        self.files[self.last] = bytearray()
        return self.entry(self.last) + self.opened()

    def rename(self, request):
        before, after = request.body[8:-1].split(b"\0")
        self.names[after] = self.names.pop(before)
        return b""

    def read(self, request):
        at, size = struct.unpack_from("<8xQI", request.body)
        return bytes(self.files[request.node][at : at + size])

    def write(self, request):
        at, size = struct.unpack_from("<8xQI", request.body)
        self.files[request.node][at : at + size] = request.body[40 : 40 + size]
        return struct.pack("<II", size, 0)

    def read_directory(self, request):
        at, size = struct.unpack_from("<8xQI", request.body)
        text = b""
        for number, (name, node) in list(enumerate(self.names.items(), 1))[at:]:
            one = struct.pack("<QQII", node, number, len(name), stat.S_IFREG >> 12) + name
            one += bytes(-len(one) % 8)
            if len(text) + len(one) > size:
                break
            text += one
        return text


class Server:
    def __init__(self, folder, device):
        self.files = FileSystem()
        self.hangs, self.held = False, []
        self.fd = os.open(device, os.O_RDWR)
        options = f"fd={self.fd},rootmode={stat.S_IFDIR:o},user_id={os.getuid()},group_id={os.getgid()}"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"hanging", os.fsencode(folder), b"fuse", NOSUID | NODEV, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), f"mount: {os.strerror(ctypes.get_errno())}")

    def answer(self, request):
        answer = self.files.answer(request)
        error, data = (-answer, b"") if isinstance(answer, int) else (0, answer)
        os.write(self.fd, struct.pack("<IiQ", 16 + len(data), error, request.unique) + data)

    def take(self):
        data = os.read(self.fd, BUFFER)
        length, code, unique, node, *_ = HEAD.unpack_from(data)
        request = Request(code, unique, node, data[HEAD.size : length])
        if code in UNANSWERED:
            return
        if self.hangs:
            self.held.append(request)
            print("held", flush=True)
        else:
            self.answer(request)

    def obey(self, word):
        self.hangs = word == "hang\n"
        while not self.hangs and self.held:
            self.answer(self.held.pop(0))
        print("hangs" if self.hangs else "goes on", flush=True)

    def run(self):
        print("ready", flush=True)
        while True:
            able, _, _ = select.select([self.fd, sys.stdin], [], [])
            if sys.stdin in able:
                word = sys.stdin.readline()
                if not word:
                    return
                self.obey(word)
            elif able:
                self.take()


if __name__ == "__main__":
    Server(*sys.argv[1:]).run()
