"""A small host of its own for a real systemd-journald, as far as journald needs one: /run, /var/log, /etc, /dev and control groups that
nobody else sees, and its sockets, which outlive it, as with the sockets that a service manager holds.

As a program it is that host: `journal_host.py JOURNALD LOG`, in a new mount namespace. It says `ready PID GROUP`: who lives there, and the
folder of the control groups as seen there (`-` where there can be none). For each line on its standard input it starts a journald, when
the last one has ended, and says its pid. At the end of its input it ends with all that it started. kit/journal.py makes a context of it."""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

MOUNTS = """
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/log
mkdir -p /run/etc /run/dev/shm /run/log/journal /run/systemd/journal
cp -a /etc/. /run/etc
mkdir -p /run/etc/systemd
rm -f /run/etc/machine-id
echo 6d696c74657273636f70656a6f75726e >/run/etc/machine-id
for name in null zero full random urandom; do
    touch /run/dev/$name
    mount --bind /dev/$name /run/dev/$name
done
mount --rbind /dev/shm /run/dev/shm
ln -s /proc/self/fd /run/dev/fd
ln -s /run/systemd/journal/dev-log /run/dev/log
mount --rbind /run/dev /dev
mount --bind /run/etc /etc
"""
GROUPS = "mkdir -p /run/groups && mount -t cgroup2 cgroup2 /run/groups"
OWN_GROUPS = """
[ -d /sys/fs/cgroup ] || { mount -t tmpfs tmpfs /sys && mkdir -p /sys/fs/cgroup; }
mount -t cgroup2 cgroup2 /sys/fs/cgroup
"""
CLONE_NEWCGROUP = 0x02000000
PR_SET_PDEATHSIG = 1
SOCKETS = ("/run/systemd/journal/dev-log", "/run/systemd/journal/socket")
LIBC = ctypes.CDLL(None, use_errno=True)


def shell(script):
    subprocess.run(["sh", "-ec", script], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def make_group():
    """Below our own; None where that cannot be."""
    try:
        shell(GROUPS)
        own = [line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
        group = Path("/run/groups" + own[0].removeprefix("0::")) / f"milterscope-{os.getpid()}"
        group.mkdir()
    except (OSError, IndexError, subprocess.CalledProcessError):
        return None
    return group


def remove_group(group):
    """With all who are still in it, which are processes of ours."""
    with contextlib.suppress(OSError):
        (group / "cgroup.kill").write_text("1")
    for folder in [*group.glob("*/"), group]:
        for _ in range(100):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.05)


def enter_group(group):
    """Units are the groups below it then, as with a service manager. Returns it; None where that cannot be."""
    try:
        (group / "cgroup.procs").write_text("0")
        if LIBC.unshare(CLONE_NEWCGROUP) != 0:
            return None
        shell(OWN_GROUPS)
    except (OSError, subprocess.CalledProcessError):
        return None
    return group


def bind(path):
    """Its number is out of the way of those under which journald gets its sockets."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        bound.bind(path)
        os.chmod(path, 0o666)
        return fcntl.fcntl(bound, fcntl.F_DUPFD_CLOEXEC, 10)


def become_journald(program, log, sockets):
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open("/dev/null", os.O_RDONLY)
    for number, fd in enumerate([null, output, output, *sockets]):  # sd_listen_fds(3): from 3 on
        os.dup2(fd, number)
    listening = {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid())}
    os.execve(program, [program], listening | {"SYSTEMD_LOG_TARGET": "console"})


def serve(program, log, group):
    sockets = [bind(path) for path in SOCKETS]
    print("ready", os.getpid(), group or "-", flush=True)
    last = 0
    for _ in sys.stdin:
        if last:
            os.waitpid(last, 0)
        last = os.fork()
        if last == 0:
            become_journald(program, log, sockets)
        print(last, flush=True)
    if last:
        with contextlib.suppress(ProcessLookupError):
            os.kill(last, signal.SIGTERM)
        os.waitpid(last, 0)


def main(program, log):
    shell(MOUNTS)
    group = make_group()
    server = os.fork()  # who is in the group cannot remove it
    if server == 0:
        serve(program, log, enter_group(group) if group else None)
        os._exit(0)
    os.close(0)
    os.waitpid(server, 0)
    if group:
        remove_group(group)


if __name__ == "__main__":
    main(*sys.argv[1:])
