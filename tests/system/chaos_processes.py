"""What the chaos test does to processes, and to the disk."""

import os
import signal
import socket
import time
from contextlib import suppress
from subprocess import CalledProcessError

from kit.procfs import frozen, is_alive
from kit.wait import pass_time, wait_until
from scope import is_kept, the_machine_starts

SHORT = (0.1, 1.5)  # seconds; less than what the supervisor takes for hanging
REDIS_IS_SURELY_RIGHT = 5.0  # seconds; many pushes


def kill(pid, number=signal.SIGKILL):
    """It may have gone by itself."""
    with suppress(ProcessLookupError, TypeError):
        os.kill(pid, number)


def wait_dead(pid):
    wait_until(lambda: not is_alive(pid), f"process {pid} is dead")


# ---- kills ----


def filter_killed(arena, chance):
    with arena.filters_die():
        pid = arena.scope.child("filter")
        kill(pid)
        wait_dead(pid)


def pusher_killed(arena, chance):
    kill(arena.scope.child("pusher"))


def supervisor_killed(arena, chance):
    with arena.filters_die():
        arena.scope.kill()
        arena.scope.start()


def everything_killed(arena, chance):
    """In any order."""
    scope = arena.scope
    with arena.filters_die():
        pids = [scope.pid, *scope.children("filter"), *scope.children("pusher")]
        for pid in chance.sample(pids, len(pids)):
            kill(pid)
        scope.wait_gone()
        scope.start()


def exporter_killed(arena, chance):
    arena.exporter.process.stop(signal.SIGKILL)
    arena.exporter.start()


def fleet_exporter_killed(arena, chance):
    """When Redis is right: what an exporter of another host begins with is all that it can know."""
    with arena.redis_breaker.busy:
        arena.write_everything()
        arena.fleet.process.stop(signal.SIGKILL)
        arena.fleet.start()


# ---- standing still ----


def filter_hangs(arena, chance):
    with arena.filters_die():
        pid = arena.scope.child("filter")
        kill(pid, signal.SIGSTOP)
        wait_dead(pid)


def pauses(arena, chance, *pids, seconds=SHORT):
    """For less time than what is taken for hanging; a busy machine may take it for that."""
    with arena.still.during():
        began, filters = time.monotonic(), set(arena.scope.children("filter"))
        with frozen(*pids):
            pass_time(chance.uniform(*seconds))
        wait_until(arena.scope.answers, "the filter answers")
        if not filters <= set(arena.scope.children("filter")):
            arena.harm.spans.append([began, time.monotonic()])
            arena.killed |= filters


def filter_pauses(arena, chance):
    pid = arena.scope.child("filter")
    if pid:
        pauses(arena, chance, pid)


def supervisor_pauses(arena, chance):
    pauses(arena, chance, arena.scope.pid, seconds=(0.1, 4.0))


def machine_pauses(arena, chance):
    scope = arena.scope
    pauses(arena, chance, scope.pid, *scope.children("filter"), *scope.children("pusher"), seconds=(0.5, 4.0))


def pusher_pauses(arena, chance):
    pid = arena.scope.child("pusher")
    if pid:
        with frozen(pid):
            pass_time(chance.uniform(*SHORT))


def pusher_hangs(arena, chance):
    pid = arena.scope.child("pusher")
    if pid:
        kill(pid, signal.SIGSTOP)
        wait_dead(pid)


# ---- told by signals ----


def planned_restart(arena, chance):
    arena.scope.process.send(signal.SIGUSR2)


def planned_restart_killed(arena, chance):
    """The old filter, or the new one."""
    with arena.filters_die():
        arena.scope.process.send(signal.SIGUSR2)
        pass_time(chance.uniform(0, 0.3))
        arena.killed.update(arena.scope.children("filter"))
        pid = chance.choice([*arena.scope.children("filter"), None])
        kill(pid)


def reload(arena, chance):
    arena.site.write(redis={"push_interval": chance.choice([0.1, 0.2, 0.5])})
    arena.scope.process.send(signal.SIGUSR1)


def stopped_and_started(arena, chance):
    with arena.filters_die():
        arena.scope.restart()


def stopped_at_once(arena, chance):
    with arena.filters_die():
        assert arena.scope.stop_at_once() == 0
        arena.scope.start()


# ---- the machine, the disk, and who speaks to the socket ----


def power_fails(arena, chance):
    """Redis is well at that moment, and knows all but the last. The exporter beside the filter forgets what it has shown."""
    with arena.redis_breaker.busy:
        arena.write_everything()
        wait_until(lambda: is_kept(arena.seen_site), "what is shown is kept by Redis")
        with arena.filters_die(before=REDIS_IS_SURELY_RIGHT):
            arena.wait_pushed()
            arena.exporter.process.stop(signal.SIGKILL)
            arena.scope.kill()
            the_machine_starts(arena.seen_site)
            arena.exporter.start()
            arena.scope.start()
            wait_until(lambda: arena.scope.passed() > 0, "the totals are there again")


def state_directory_full(arena, chance):
    filler = arena.mounts.fill(arena.site.state_directory)
    pass_time(chance.uniform(1, 4))
    filler.unlink()


def state_directory_read_only(arena, chance):
    """Whoever writes to it at this moment keeps it from becoming so."""

    def remounted(options):
        def remount():
            with suppress(CalledProcessError):
                arena.mounts.remount(arena.site.state_directory, options)
                return True

        return remount

    wait_until(remounted("ro"), "the state directory is read-only")
    pass_time(chance.uniform(1, 4))
    wait_until(remounted("rw"), "the state directory can be written again")


def strangers_at_the_socket(arena, chance):
    """They say nothing that is a connection of mail, and so nothing is counted."""
    strangers = []
    for _ in range(30):
        stranger = socket.socket(socket.AF_UNIX)
        stranger.settimeout(5)
        strangers.append(stranger)
        with suppress(OSError):
            stranger.connect(arena.site.milter_socket)
            stranger.sendall(chance.choice([b"", b"\0\0", b"\xff" * 4, b"GET / HTTP/1.1\r\n\r\n", chance.randbytes(40)]))
    pass_time(chance.uniform(0, 1))
    for stranger in strangers:
        stranger.close()


FAULTS = {
    filter_killed: 2,
    pusher_killed: 3,
    supervisor_killed: 1,
    everything_killed: 1,
    exporter_killed: 2,
    fleet_exporter_killed: 1,
    filter_hangs: 1,
    filter_pauses: 2,
    supervisor_pauses: 1,
    machine_pauses: 1,
    pusher_pauses: 3,
    pusher_hangs: 1,
    planned_restart: 4,
    planned_restart_killed: 1,
    reload: 3,
    stopped_and_started: 1,
    stopped_at_once: 1,
    power_fails: 1,
    state_directory_full: 2,
    state_directory_read_only: 2,
    strangers_at_the_socket: 3,
}
