"""What a pass of the collector over a large queue costs, beside what Postfix's own list of it costs.

The queue is made of copies of a message that a real Postfix has deferred; Postfix is stopped meanwhile, so that postqueue
lists the queue with a showq of its own. Then come more of them, each a file of its own, in memory that nobody else sees:
what a pass takes of time grows with the files, and what it takes of memory must not."""

import json
import resource
import statistics

from kit.place import AS_ROOT, BUILD, free_port, server_program
from kit.process import run
from kit.servers import Postfix
from kit.smtp import Smtp
from kit.wait import wait_until

RUNS = 5
PATIENCE = 600.0  # seconds
PAGE = 4096  # that a file in a tmpfs takes at least,
INODE = 1536  # and what the kernel keeps of it and of its name
LEAVE = 1 << 30  # bytes of memory, to the others of this machine
# The file system goes with the last process that sees it, whatever becomes of us.
IN_MEMORY = '''set -e
mount -t tmpfs -o "size=$1,nr_inodes=0,mode=700" tmpfs "$2"
"$3" copy "$4" "$2" "$5"
exec "$3" run "$6" "$7"
'''
AGES = 'milterscope_queue_age_messages{queue="deferred"'


def queue_scan(*words):
    return run([*AS_ROOT, BUILD / "bench" / "queue-scan", *words], PATIENCE)


def deferred_file(postfix):
    found = run([*AS_ROOT, "find", postfix.folder / "queue" / "deferred", "-type", "f"]).split()
    return found[0] if found else None


def defer_one(postfix):
    """The file of a message that Postfix could not deliver."""
    with Smtp(postfix.address) as smtp:
        smtp.greet()
        for command, code in (("EHLO client.test", 250), ("MAIL FROM:<a@ext.test>", 250)):
            smtp.command(command, code)
        smtp.command("RCPT TO:<alice@example.test>", 250)
        smtp.command("DATA", 354)
        smtp.body("Subject: waits\n\nText.\n", 250)
        smtp.quit()
    return wait_until(lambda: deferred_file(postfix), "the message is deferred")


def checked(said, messages):
    """What the collector says of some passes, all of which saw everything."""
    found = [json.loads(line) for line in said.splitlines()]
    for one in found:
        gauges = one["gauges"]
        ages = [value for name, value in gauges.items() if name.startswith(AGES)]
        seen = gauges['milterscope_queue_messages{queue="deferred"}']
        complete = gauges['milterscope_queue_scan_complete{queue="deferred"}']
        if (seen, sum(ages), complete) != (messages, messages, 1):
            raise RuntimeError(f"of {messages} messages {seen} were seen, of {sum(ages)} the age; complete: {complete}")
    return found


def passes(postfix, messages):
    return checked(queue_scan("run", postfix.folder / "etc", RUNS), messages)


def memory_available():
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        return next(int(line.split()[1]) * 1024 for line in meminfo if line.startswith("MemAvailable:"))


def passes_in_memory(postfix, one, queue, messages, more):
    """The same where so many more messages lie in a directory of the queue that is in memory; else why not."""
    size = int(run([*AS_ROOT, "stat", "-c", "%s", one]))
    room = more * -(-size // PAGE) * PAGE
    takes = room + more * INODE + LEAVE
    if memory_available() < takes:
        return None, f"{more} files take {takes >> 20} MB of memory, and {memory_available() >> 20} MB are there"
    unshared = [*AS_ROOT, "unshare", "--mount", "--"]
    try:
        run([*unshared, "mount", "-t", "tmpfs", "tmpfs", queue])
    except RuntimeError as error:
        return None, f"no mount namespace is to be had here: {error}"
    program = BUILD / "bench" / "queue-scan"
    words = [room + LEAVE // 4, queue, program, one, more, postfix.folder / "etc", RUNS]
    return checked(run([*unshared, "sh", "-c", IN_MEMORY, "sh", *words], PATIENCE), messages + more), None


def cpu_of(found):
    return statistics.median(one["cpu"] for one in found)


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def list_cpu(postfix, messages):
    """CPU seconds of postqueue -j."""
    program = server_program("postfix", "usr/sbin/postqueue")
    before = children_cpu()
    listed = run([*AS_ROOT, program, "-c", postfix.folder / "etc", "-j"], PATIENCE).count('"queue_id"')
    if listed != messages:
        raise RuntimeError(f"postqueue lists {listed} messages of {messages}")
    return children_cpu() - before


def measure(folder, messages, more, progress):
    nowhere = f"smtp:[127.0.0.1]:{free_port()}"
    postfix = Postfix(folder, {"transport_maps": f"inline:{{example.test={nowhere}}}"}, "queues")
    queue = postfix.folder / "queue" / "deferred"
    with postfix:
        one = defer_one(postfix)
    try:
        progress(f"{messages} queue files")
        few = passes(postfix, 1)
        queue_scan("copy", one, queue, messages - 1)
        found = passes(postfix, messages)
        share = max(one["cpu"] / (one["wall"] + one["pause_ms"] / 1000) for one in found)
        listing = list_cpu(postfix, messages)
        progress(f"{more} more in memory")
        run([*AS_ROOT, "mkdir", queue / "Z"])
        large, why_not = passes_in_memory(postfix, one, queue / "Z", messages, more)
    finally:
        run([*AS_ROOT, "rm", "-rf", queue], PATIENCE)
    figures = {
        "messages": messages,
        "more": more,
        "cpu_per_100000": cpu_of(found) / messages * 100_000,
        "postqueue_per_100000": listing / messages * 100_000,
        "share": share,
        "kilobytes": few[-1]["peak_kilobytes"],
    }
    if large is None:
        return figures | {"not_more": why_not}
    return figures | {
        "more_cpu": cpu_of(large),
        "more_wall": statistics.median(one["wall"] for one in large),
        "more_kilobytes": large[-1]["peak_kilobytes"],
    }
