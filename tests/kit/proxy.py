"""A proxy on a port of 127.0.0.1 that does to connections what networks do: delays, stalls, dribbles, cuts, refuses.

Faults can be changed at any time, from any thread, and act on connections that are open, too. Each direction has its own."""

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass, field

CHUNK = 65536
CHUNKS = 64  # that a direction keeps back at most; what comes then waits at its sender


class Cut(Exception):
    """It is time to cut the connection."""


@dataclass
class Faults:
    """Of one direction. delay: seconds by which every byte is late. stalled: bytes are kept back until it ends. piece,
    pause: so many bytes at a time, and seconds between them. cut_after, stall_after: so many more bytes pass, and then
    the connection ends, for both sides, or is stalled; once. taken, passed, cuts: bytes that came and went, and cuts."""

    delay: float = 0.0
    stalled: bool = False
    piece: int = CHUNK
    pause: float = 0.0
    cut_after: int | None = None
    stall_after: int | None = None
    taken: int = 0
    passed: int = 0
    cuts: int = 0
    flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, **changes):
        for name, value in changes.items():
            setattr(self, name, value)
        (self.flowing.clear if self.stalled else self.flowing.set)()

    def allowed(self):
        """How many bytes may pass before something happens."""
        return max(0, min(limit for limit in (self.piece, self.cut_after, self.stall_after) if limit is not None))

    def spend(self, length):
        """So many bytes have passed."""
        self.passed += length
        self.cut_after = None if self.cut_after is None else self.cut_after - length
        self.stall_after = None if self.stall_after is None else self.stall_after - length

    def act(self):
        """Does what is due now."""
        if self.cut_after is not None and self.cut_after <= 0:
            self.cut_after = None
            self.cuts += 1
            raise Cut
        if self.stall_after is not None and self.stall_after <= 0:
            self.stall_after = None
            self.set(stalled=True)


class Proxy:
    """A context. `address` is where it listens, `target` where new connections go: (host, port), or the path of a Unix
    socket."""

    def __init__(self, target):
        self.target = target
        self.to_server, self.to_client = Faults(), Faults()
        self.accepted = 0
        self.connections = set()  # their tasks
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.server = self.address = None

    # ---- for the test ----

    def faults(self, **changes):
        """Of both directions."""
        self.in_loop(self.set_faults, (self.to_server, self.to_client), changes)

    def faults_to_server(self, **changes):
        self.in_loop(self.set_faults, (self.to_server,), changes)

    def faults_to_client(self, **changes):
        self.in_loop(self.set_faults, (self.to_client,), changes)

    def leave_open(self):
        """New connections have no faults; those that are open keep theirs. Returns what lets their bytes pass."""
        old = self.to_server, self.to_client
        self.to_server, self.to_client = Faults(), Faults()
        self.faults(stalled=False)
        return lambda: self.in_loop(self.set_faults, old, {"stalled": False})

    def cut(self):
        """Resets all connections that are open."""
        self.in_loop(self.cut_all)

    def refuse(self):
        """Nobody listens any more; connections that are open stay so."""
        self.in_loop(self.close)

    def accept(self):
        """Listens, on the same port as before."""
        self.in_loop(self.listen)

    def __enter__(self):
        self.thread.start()
        self.faults(stalled=False)
        self.accept()
        return self

    def __exit__(self, *failure):
        self.refuse()
        self.cut()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    # ---- in the thread of the loop ----

    def in_loop(self, function, *arguments):
        asyncio.run_coroutine_threadsafe(function(*arguments), self.loop).result()

    async def set_faults(self, directions, changes):
        for faults in directions:
            faults.set(**changes)

    async def listen(self):
        host, port = self.address or ("127.0.0.1", 0)
        self.server = await asyncio.start_server(self.serve, host, port)
        self.address = self.server.sockets[0].getsockname()

    async def close(self):
        self.server.close()

    async def cut_all(self):
        tasks = list(self.connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        self.accepted += 1
        task = asyncio.current_task()
        self.connections.add(task)
        writers = [writer]
        try:
            server_reader, server_writer = await self.connect()
            writers.append(server_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pump(reader, server_writer, self.to_server))
                group.create_task(self.pump(server_reader, writer, self.to_client))
        except* Cut:
            pass
        except* (OSError, asyncio.CancelledError):
            for each in writers:
                reset(each)
        finally:
            self.connections.discard(task)
            for each in writers:
                each.close()

    async def connect(self):
        if isinstance(self.target, tuple):
            return await asyncio.open_connection(*self.target)
        return await asyncio.open_unix_connection(self.target)

    async def pump(self, reader, writer, faults):
        """What arrives waits in a queue until it is due, so that a delay does not make the line narrow. The end of the stream
        is late like all else."""
        queue = asyncio.Queue(CHUNKS)

        async def take():
            while True:
                data = await reader.read(CHUNK)
                faults.taken += len(data)
                await queue.put((self.loop.time() + faults.delay, data))
                if not data:
                    return

        async def give():
            while True:
                due, data = await queue.get()
                await asyncio.sleep(due - self.loop.time())
                await faults.flowing.wait()
                if not data:
                    writer.write_eof()
                    return
                await self.send(data, writer, faults)

        async with asyncio.TaskGroup() as group:
            group.create_task(take())
            group.create_task(give())

    async def send(self, data, writer, faults):
        while data:
            faults.act()
            await faults.flowing.wait()
            piece = data[: faults.allowed()]
            data = data[len(piece) :]
            faults.spend(len(piece))  # before anybody else can: other connections have these faults, too
            writer.write(piece)
            await writer.drain()
            faults.act()
            if faults.pause:
                await asyncio.sleep(faults.pause)


def reset(writer):
    """The other end gets a reset, and what was not sent yet is lost; of a Unix socket an end."""
    connection = writer.get_extra_info("socket")
    if writer.transport.is_closing():
        return
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
