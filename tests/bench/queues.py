"""What a pass of the collector over a large queue costs, beside what Postfix's own list of it costs.

The queue is made of copies of a message that a real Postfix has deferred; Postfix is stopped meanwhile, so that postqueue
lists the queue with a showq of its own. Beyond these come names alone, as links to a few files: memory must not know."""

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


def passes(postfix, messages):
    """What the collector says of some passes, all of which saw everything."""
    found = [json.loads(line) for line in queue_scan("run", postfix.folder / "etc", RUNS).splitlines()]
    for one in found:
        gauges = one["gauges"]
        ages = [value for name, value in gauges.items() if name.startswith(AGES)]
        seen = gauges['milterscope_queue_messages{queue="deferred"}']
        complete = gauges['milterscope_queue_scan_complete{queue="deferred"}']
        if (seen, sum(ages), complete) != (messages, messages, 1):
            raise RuntimeError(f"of {messages} messages {seen} were seen, of {sum(ages)} the age; complete: {complete}")
    return found


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


def measure(folder, messages, names, progress):
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
        progress(f"{names} names")
        run([*AS_ROOT, "mkdir", queue / "Z"])
        queue_scan("link", one, queue / "Z", names)
        all_names = passes(postfix, messages + names)
    finally:
        run([*AS_ROOT, "rm", "-rf", queue], PATIENCE)
    return {
        "messages": messages,
        "names": names,
        "cpu_per_100000": cpu_of(found) / messages * 100_000,
        "postqueue_per_100000": listing / messages * 100_000,
        "share": share,
        "names_cpu": cpu_of(all_names),
        "kilobytes": few[-1]["peak_kilobytes"],
        "names_kilobytes": all_names[-1]["peak_kilobytes"],
    }
