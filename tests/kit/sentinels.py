"""A Redis master with two replicas, and three sentinels that watch over them: real servers with private folders, on ports of
127.0.0.1. The sentinels are in a hurry, so that a failover takes a second or two and not a minute. On request every server
stands behind a fault proxy, whose port it announces as its own."""

import signal
from contextlib import ExitStack

from kit.metrics import number
from kit.place import free_port, server_program
from kit.process import Process, run
from kit.procfs import frozen
from kit.proxy import Proxy
from kit.wait import wait_until

MASTER = "mymaster"  # what the sentinels call it
PASSWORD = "the-secret-of-the-servers"  # of master and replicas; the sentinels ask us for none
CUT_OFF = "Server closed the connection"
QUORUM = 2
FAILOVER_TIMEOUT_MS = 2000
WATCH = {
    "auth-pass": PASSWORD,
    "down-after-milliseconds": 500,
    "failover-timeout": FAILOVER_TIMEOUT_MS,
    "parallel-syncs": 2,
}
# Periods that a configuration cannot set. A busy machine makes sentinels distrust their clock (tilt) for half a minute. Who
# takes itself for a master is made a replica after four publish-periods: more than a promotion takes to be known to all.
PERIODS = {"info-period": 200, "ping-period": 200, "ask-period": 200, "publish-period": 1000, "tilt-period": 500}


class Server:
    """A redis-server on a port. `settings`: lines of its configuration."""

    def __init__(self, folder, settings, *options):
        self.folder, self.options = folder, options
        self.port = self.announced = free_port()
        self.process = None
        folder.mkdir(parents=True)
        own = ["bind 127.0.0.1", f"port {self.port}", f"dir {folder}", f"pidfile {folder}/redis.pid"]
        self.file = folder / "redis.conf"  # the server writes to it
        self.file.write_text("\n".join([*own, *settings]) + "\n")

    def log(self):
        return self.folder / "redis.log"

    def start(self):
        program = server_program("redis", "usr/bin/redis-server")
        self.process = Process([program, str(self.file), *self.options], self.log())
        wait_until(self.answers, f"{self.folder.name} answers on port {self.port}")

    def answers(self):
        self.process.check_alive()
        try:
            return self.command("PING") == ["PONG"]
        except RuntimeError:
            return False

    def stop(self):
        self.process.send(signal.SIGCONT)
        self.process.stop()

    def kill(self):
        self.process.stop(signal.SIGKILL)

    def frozen(self):
        return frozen(self.process.pid)

    def command(self, *words):
        """The answer's lines, as redis-cli prints them: one a value, nothing for an empty list. An error is one, too. Whoever
        is connected when sentinels make a server a replica is cut off, and asks again."""
        client = [server_program("redis", "usr/bin/redis-cli"), "-e", "-p", self.port]
        try:
            return run([*client, *self.authentication(), *words]).splitlines()
        except RuntimeError as failure:
            if CUT_OFF not in str(failure):
                raise
            return run([*client, *self.authentication(), *words]).splitlines()

    def authentication(self):
        return []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        self.stop()


class Member(Server):
    """A master or a replica, as it turns out. `announced`: the port by which the others know it."""

    def __init__(self, folder, master_port=None):
        replica_of = [f"replicaof 127.0.0.1 {master_port}"] if master_port else []
        passwords = [f"requirepass {PASSWORD}", f"masterauth {PASSWORD}"]
        quick = ['save ""', "appendonly no", "repl-diskless-sync-delay 0", "repl-ping-replica-period 1"]
        super().__init__(folder, [*passwords, *quick, *replica_of])

    def stand_behind(self, proxy):
        """Before it is started for the first time."""
        self.announced = proxy.address[1]
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(f"replica-announce-ip 127.0.0.1\nreplica-announce-port {self.announced}\n")

    def authentication(self):
        return ["-a", PASSWORD, "--no-auth-warning"]

    def role(self):
        return self.command("ROLE")[0]

    def info(self):
        """What INFO says of the replication: {name: text}."""
        return dict(line.split(":", 1) for line in self.command("INFO", "replication") if ":" in line)

    def follows(self, master):
        """It is a replica of this one, and has caught up with the beginning of the stream."""
        info = self.info()
        return (info["role"], info.get("master_port"), info.get("master_link_status")) == ("slave", str(master.announced), "up")

    def hash(self, key):
        """The numbers in it; empty where there is no such key."""
        lines = self.command("HGETALL", key)
        return {name: number(text) for name, text in zip(lines[::2], lines[1::2], strict=False)}


class Sentinel(Server):
    """One that watches over nobody yet."""

    def __init__(self, folder):
        super().__init__(folder, [], "--sentinel")

    def start(self):
        super().start()
        for name, milliseconds in PERIODS.items():
            self.command("SENTINEL", "DEBUG", name, milliseconds)

    def watch(self, port):
        """Over the master at this port, and whoever it knows."""
        self.command("SENTINEL", "MONITOR", MASTER, "127.0.0.1", port, QUORUM)
        for name, value in WATCH.items():
            self.command("SENTINEL", "SET", MASTER, name, value)

    def master_port(self):
        return int(self.command("SENTINEL", "get-master-addr-by-name", MASTER)[1])

    def seen(self):
        """What it knows of the master: {name: text}."""
        lines = self.command("SENTINEL", "MASTER", MASTER)
        return dict(zip(lines[::2], lines[1::2], strict=True))


class Sentinels:
    """A context. `url` is what redis.url needs, with the password in `password_file`."""

    def __init__(self, folder, proxied=False):
        self.folder = folder.disk / "sentinels"
        self.running = ExitStack()
        first = Member(self.folder / "server-0")
        self.proxies = [self.stand_behind_proxy(first)] if proxied else []
        self.members = [first, *(Member(self.folder / f"server-{i}", first.announced) for i in (1, 2))]
        if proxied:
            self.proxies += map(self.stand_behind_proxy, self.members[1:])
        self.sentinels = [Sentinel(self.folder / f"sentinel-{i}") for i in (0, 1, 2)]
        self.password_file = self.folder / "password"
        self.password_file.write_text(PASSWORD + "\n")

    def stand_behind_proxy(self, member):
        proxy = self.running.enter_context(Proxy(("127.0.0.1", member.port)))
        member.stand_behind(proxy)
        return proxy

    def proxy_of(self, member):
        return self.proxies[self.members.index(member)]

    @property
    def url(self):
        return self.url_of(*[f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels])

    @staticmethod
    def url_of(*addresses):
        return f"sentinel://{','.join(addresses)}/{MASTER}"

    def logs(self):
        return [server.log() for server in [*self.members, *self.sentinels]]

    def master(self):
        """The one that all sentinels take for it; None: they differ."""
        ports = {sentinel.master_port() for sentinel in self.sentinels}
        return next(member for member in self.members if {member.announced} == ports) if len(ports) == 1 else None

    def replicas(self):
        master = self.master()
        return [member for member in self.members if member is not master]

    def ready(self):
        """All are well, and all sentinels know it: the next failover may come."""
        master = self.master()
        seen = [sentinel.seen() for sentinel in self.sentinels]
        agreed = all((s["flags"], s["num-slaves"], s["num-other-sentinels"]) == ("master", "2", "2") for s in seen)
        return agreed and master and all(member.follows(master) for member in self.members if member is not master)

    def wait_ready(self):
        wait_until(self.ready, lambda: f"the sentinels are content: {[s.seen() for s in self.sentinels]}")
        return self.master()

    def wait_other_master(self, old):
        """All sentinels agree on another one than this, and it knows that it is one."""

        def other():
            master = self.master()
            return master if master not in (None, old) and master.role() == "master" else None

        return wait_until(other, f"another master than {old.folder.name}")

    def fail_over(self):
        """On command. One that has just begun, or that finds no replica good enough yet, says so: then it is told again."""

        def begun():
            try:
                return self.sentinels[0].command("SENTINEL", "FAILOVER", MASTER) == ["OK"]
            except RuntimeError:
                return False

        old = self.master()
        wait_until(begun, "a failover begins")
        return self.wait_other_master(old)

    def set(self, name, value):
        for sentinel in self.sentinels:
            sentinel.command("SENTINEL", "SET", MASTER, name, value)

    def __enter__(self):
        try:
            for server in [*self.members, *self.sentinels]:
                self.running.enter_context(server)
            for sentinel in self.sentinels:
                sentinel.watch(self.members[0].announced)
            self.wait_ready()
        except BaseException:
            self.running.close()
            raise
        return self

    def __exit__(self, *failure):
        self.running.close()
