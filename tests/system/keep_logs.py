"""Keeps what the last runs of test_delivery_log.py, test_log_sendmail.py and test_log_exim.py left in build/tests as
tests/data/MTA-VERSION.log, with the truth of each run beside it: .counts. Names of this machine do not get in.

    python3 tests/system/keep_logs.py [FOLDER]"""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
RUNS = TOP / "build/tests"
# What a log is of, where it is, and the test that kept the truth of it.
LOGS = [
    ("postfix", "", RUNS / "delivery_log/postfix/maillog", "test_delivery_log.py"),
    ("sendmail", "", RUNS / "log_sendmail/sendmail/maillog", "test_log_sendmail.py"),
    ("exim", "", RUNS / "log_exim/default/log/mainlog", "test_log_exim.py"),
    ("exim", "-reject", RUNS / "log_exim/default/log/rejectlog", "test_log_exim.py"),
    ("exim", "-panic", RUNS / "log_exim/default/log/paniclog", "test_log_exim.py"),
    ("exim", "-all", RUNS / "log_exim/all/log/mainlog", "test_log_exim.py"),
]
VERSIONS = {
    "postfix": r"daemon started -- version (\d+\.\d+)",
    "sendmail": r"starting daemon \((\d+\.\d+)",
    "exim": r"exim (\d+\.\d+)\S* daemon started",
}
PLACES = {
    rf"{TOP}/build/servers/\w+": "",
    rf"{RUNS}/\w+/postfix/etc": "/etc/postfix",
    rf"{RUNS}/\w+/sendmail": "/srv/sendmail",
    rf"{RUNS}/log_exim/\w+": "/srv/exim",
    rf"{TOP}(?=\s)": "/",
}


def without_places(text):
    for place, name in PLACES.items():
        text = re.sub(place, name, text)
    if str(TOP) in text:
        raise ValueError(f"a path of this machine is left: {text[text.index(str(TOP)) :][:200]}")
    return text


def main(folder):
    versions = {}
    for mta, variant, log, test in LOGS:
        text = log.read_text()
        if not variant:
            versions[mta] = re.search(VERSIONS[mta], text)[1]
        kept = folder / f"{mta}-{versions[mta]}{variant}.log"
        kept.write_text(without_places(text))
        said = f"# What {kept.name} says; the truth that tests/system/{test} kept of the run that wrote it.\n"
        kept.with_suffix(".counts").write_text(said + log.with_suffix(".counts").read_text())
        print(kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TOP / "tests/data")
