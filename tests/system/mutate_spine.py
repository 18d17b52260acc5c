#!/usr/bin/python3
"""The second half of `make mutate`: would chaos see it, if counts were lost, made twice, or stepped back? Each line of the table below
takes one safeguard away in a copy of the source; it is built, and the chaos test must fail by what it compares. Status 1 if one
survived. MUTATE_SEED (1) and MUTATE_SECONDS (75) choose the chaos; an argument: a part of the description."""

import os
import re
import sys
import time

from mutate import PLACE, TOP, TREE, build, copy_tree, run

# What is taken away, in which file, the words there, and what stands in their place.
SAFEGUARDS = [
    ("the floor under what is shown", "exporter/serve/shown.c", "domains_raise(values->totals, &values->domains, totals, domains);", ";"),
    ("the lease of the writer", "milter/pusher/push.lua", "if owner and not ours and lease > 0 then", "if false then"),
    (
        "totals instead of differences",
        "milter/pusher/push.lua",
        "hset(KEYS[2], meta_last + 1, counters_last)",
        "for i = meta_last + 1, counters_last, 2 do redis.call('HINCRBYFLOAT', KEYS[2], ARGV[i], ARGV[i + 1]) end",
    ),
    (
        "raising totals after a power failure",
        "milter/pusher/settle.c",
        "tally_raise(tally, known);",
        "memset(known, 0, sizeof known); tally_raise(tally, known);",
    ),
    (
        "the tally of the run before",
        "conf/lib/tally_make.c",
        "if (is_of_boot(run, boot_id) && !left_behind) {",
        "if (is_of_boot(run, boot_id) && !left_behind)\n        return (struct tally_inheritance){.from = copy};\n    if (false) {",
    ),
    (
        "time to drain in a planned restart",
        "milter/supervisor/filters.c",
        "child_send(&filters->draining[i], HANDOVER_DRAIN, -1);",
        "child_kill(&filters->draining[i]);",
    ),
]
# What chaos says of a count; another failure is a fault of the test and kills nothing.
SEEN = re.compile(r"at least \d+, at most \d+|stepped back|more was shown than was counted|Redis in step")


def chaos():
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-x", "--tb=short", "--rootdir", str(TOP)]
    return run(
        [*pytest, str(TOP / "tests/system/test_chaos.py")],
        BUILD=str(TREE / "build"),
        CHAOS_SECONDS=os.environ.get("MUTATE_SECONDS", "75"),
        CHAOS_SEED=os.environ.get("MUTATE_SEED", "1"),
    )


def verdict(name, words, instead):
    file = TREE / name
    original = file.read_text()
    if original.count(words) != 1:
        sys.exit(f"mutate: {name} has {original.count(words)} times: {words}")
    file.write_text(original.replace(words, instead))
    try:
        build()
        status, output = chaos()
    finally:
        file.write_text(original)
        os.utime(file)
    if status == 0:
        return "SURVIVED"
    return "killed" if SEEN.search(output) else f"FAILED OTHERWISE (see {PLACE / 'log'})"


def main(wanted):
    started, results = time.monotonic(), []
    copy_tree()
    for what, name, words, instead in SAFEGUARDS:
        if wanted in what:
            results.append(verdict(name, words, instead))
            print(f"{name}, without {what}: {results[-1]}", flush=True)
    print(f"mutate: {results.count('killed')} of {len(results)} safeguards were missed, in {time.monotonic() - started:.0f} s")
    return 0 if results and set(results) == {"killed"} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
