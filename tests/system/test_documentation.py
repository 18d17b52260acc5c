"""What is written down and handed out is what the programs are. No servers."""

import os
import re
import shutil
import socket
import subprocess
import textwrap

import pytest
import yaml
from documents import Manual, Sections, label_sets, metrics, options, sample_options, sources, table, uncommented_sample
from kit.place import BUILD, SCRIPTS, TOP, Folder, program, server_program
from kit.process import run

FILTER = Manual("milterscope.8")
EXPORTER = Manual("milterscope-exporter.8")
COLLECTOR = Manual("milterscope-collector.8")
CONF = Manual("milterscope.conf.5")
README = (TOP / "README.md").read_text()
PROGRAMS = ["milterscope", "milterscope-filter", "milterscope-pusher", "milterscope-exporter", "milterscope-collector"]
UNITS = ["milterscope", "milterscope-exporter", "milterscope-collector"]


@pytest.fixture(scope="module")
def folder():
    with Folder("documentation") as folder:
        yield folder.disk


# ---- options


def same(kind, one, other):
    """Are two texts the same value of an option?"""
    one, other = (yaml.load(text, yaml.BaseLoader) for text in (one, other))
    return float(one) == float(other) if kind == "seconds" else one == other


def test_sample_has_every_option():
    rows = options()
    assert sample_options() == {path: (row["default"], row["help"]) for path, row in rows.items()}
    assert list(sample_options()) == list(rows)


def test_manual_has_every_option():
    rows, page = options(), CONF.options()
    assert list(page) == list(rows)
    for path, row in rows.items():
        said = page[path]
        assert said["help"].startswith(row["help"]), path
        assert said["default"] == row["default"], path
        assert said["reload"] == {"live": "reload", "restart": "restart"}[row["reload"]], path
        if float(row["maximum"]) > 0:
            least = "0000" if row["type"] == "octal" else row["minimum"]
            assert f"{least} to {row['maximum']}" in said["type"], path


def printed(file):
    """What --print-config says: {path: text}."""
    found, sections = {}, Sections()
    for line in run([program("milterscope"), "-c", file, "--print-config"]).splitlines():
        indent, name, text = re.fullmatch(r"( *)(\w+):(.*)", line).groups()
        if text:
            found[sections.path(indent, name)] = text.strip()
        else:
            sections.open(indent, name)
    return found


def test_program_has_the_same_defaults():
    rows, shown = options(), printed("/dev/null")
    assert list(shown) == list(rows)
    for path, row in rows.items():
        if row["default"] != "auto":
            assert same(row["type"], row["default"], shown[path]), path
    assert shown["mta.kind"] == "auto"
    assert shown["instance"] == f'"{socket.gethostname()}"'
    assert shown["milter.socket"].startswith('"unix:/')


def test_uncommented_sample_is_the_default(folder):
    file = folder / "uncommented.yaml"
    file.write_text(uncommented_sample())
    assert printed(file) == printed("/dev/null")
    names = {path.split(".")[-1] for path in options()}
    assert set(re.findall(r"^ *(\w+): .", file.read_text(), flags=re.MULTILINE)) == names


@pytest.mark.parametrize("page", [FILTER, EXPORTER, COLLECTOR], ids=["milterscope", "exporter", "collector"])
def test_manual_has_every_flag(page):
    name = page.path.name.removesuffix(".8")
    flags = set(re.findall(r"--([\w-]+)", run([program(name), "--help"])))
    assert set(re.findall(r"^\.It (?:.*, )?Fl -?([\w-]{2,})", page.section("DESCRIPTION"), flags=re.MULTILINE)) == flags
    assert flags >= set(re.findall(r"Fl -([\w-]+)", page.section("SYNOPSIS"))) == flags - {"config"}


# ---- metrics


def test_manual_has_every_metric():
    rows, page = metrics(), FILTER.metrics()
    assert len(rows) == len(re.findall(r"^(?!SECTION)[A-Z_]+\(", table("metrics.def"), flags=re.MULTILINE)) > 30
    assert page == rows


def test_list_of_metrics_is_as_generated():
    listed = re.search(r"^\.\\\" Begin of .*?\n(.*)^\.\\\" End of ", FILTER.text, flags=re.DOTALL | re.MULTILINE)
    assert listed.group(1) == run([SCRIPTS / "manual-metrics"]), "run scripts/manual-metrics conf/man/milterscope.8"


@pytest.mark.parametrize(
    "name",
    [
        "source",
        "client",
        "verdict",
        "class",
        "reply",
        "spam",
        "resolve",
        "mechanism",
        "part",
        "error",
        "rejected_recipients",
    ],
)
def test_manual_explains_label_values(name):
    prose = FILTER.section("WHAT IS COUNTED") + FILTER.section("METRICS").split('.\\" End of')[1]
    explained = set(re.findall(r"[\w]+", " ".join(re.findall(r"(?:^\.|^\.It )Cm (.*)", prose, flags=re.MULTILINE))))
    assert set(label_sets()[name][1]) <= explained


def test_manual_names_every_spam_header():
    headers = re.findall(r'(?:SPAM|VIRUS)_HEADER\("([\w-]+)"', table("spam_headers.def"))
    assert headers and all(header in FILTER.text and header in README for header in headers)


# ---- exit statuses, signals, keys

STATUSES = {name: number for name, number in vars(os).items() if name.startswith("EX_")}


def statuses(page):
    return {int(head) for head, _ in page.items("EXIT STATUS")}


def used_statuses(*patterns, besides=()):
    texts = [text for path, text in sources(*patterns).items() if path.name not in besides]
    return {STATUSES[name] for name in re.findall(r"\bEX_[A-Z]+\b", "".join(texts)) if name in STATUSES}


def test_exit_statuses():
    library = ["conf/lib/*.c"]
    # What a reader of the tally says of it is turned into another status by --dump.
    found = {int(number) for number in re.findall(r"DOCTOR_FOUND = (\d+)", (TOP / "milter/supervisor/doctor.h").read_text())}
    assert statuses(FILTER) - found == used_statuses("milter/*/*.c", "milter/*.c", *library, besides=["tally_view.c"])
    assert len(found) == 1 and found <= statuses(FILTER)
    library = ["conf/lib/command_line.c", "conf/lib/options*.c"]
    # What cannot be read is nothing to end for: it is said at /readyz.
    assert statuses(EXPORTER) == used_statuses("exporter/serve/*.c", *library, besides=["instance.c", "fleet.c", "reader.c"])
    library += ["conf/lib/directories.c", "conf/lib/tally_make.c"]
    # What a collector cannot see is absent, and it goes on.
    own = [f"exporter/collect/{name}.c" for name in ("main", "read_log", "runner")]
    assert statuses(COLLECTOR) == used_statuses(*own, *library)


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("milterscope", ["--version"], 0),
        ("milterscope", ["--nonsense"], 64),
        ("milterscope-filter", [], 64),
        ("milterscope-pusher", [], 64),
        ("milterscope", ["-c", "EMPTY", "--dump"], 66),
        ("milterscope-exporter", ["-c", "EMPTY", "--once"], 69),
        ("milterscope", ["-c", "TAKEN"], 73),
        ("milterscope", ["-c", "WRONG"], 78),
        ("milterscope-exporter", ["-c", "WRONG"], 78),
        ("milterscope-exporter", ["-c", "/nonexistent"], 78),
        ("milterscope-collector", ["-c", "EMPTY", "--read-log", "/nonexistent"], 64),
        ("milterscope-collector", ["-c", "EMPTY", "--read-log", "/nonexistent", "--mta", "exim"], 66),
        ("milterscope-collector", ["-c", "TAKEN"], 73),
        ("milterscope-collector", ["-c", "WRONG"], 78),
    ],
)
def test_exit_status_of(name, arguments, status, folder):
    place = f"run_directory: {folder}/none\nstate_directory: {folder}/none\nredis: {{url: unix://{folder}/none}}\n"
    (folder / "EMPTY").write_text(place)
    (folder / "TAKEN").write_text(f"run_directory: {folder}/EMPTY/run\nstate_directory: {folder}/none\n")
    (folder / "WRONG").write_text("milter: {drain: soon}\n")
    arguments = [str(folder / word) if word.isupper() else word for word in arguments]
    run([program(name), *arguments], expect=status)


def signals(page):
    heads = " ".join(head for head, _ in page.items("SIGNALS"))
    return set(re.findall(r"SIG\w+", heads))


def test_promises_are_held_by_tests():
    promises = re.findall(r"(test_\w+\.py)::(test_\w+)", FILTER.section("PROMISES"))
    assert len(promises) > 20
    for file, name in promises:
        assert f"\ndef {name}(" in (TOP / "tests/system" / file).read_text(), f"{file} has no {name}"


def test_signals():
    supervisor = (TOP / "milter/supervisor/supervisor.c").read_text()
    assert signals(FILTER) == set(re.findall(r"case (SIG\w+):", supervisor))
    others = (TOP / "exporter/signals.c").read_text()
    assert signals(EXPORTER) == signals(COLLECTOR) == set(re.findall(r"sigaddset\(\w+, (SIG\w+)\)", others))


def test_manual_of_the_collector():
    """A word for each thing that is looked at, the files by the names that they have, the bounds that it says."""
    code = sources("exporter/collect/*.c")
    looks = set(re.findall(r"&collect_(\w+)", code[TOP / "exporter/collect/main.c"]))
    assert {head for head, _ in COLLECTOR.items("WHAT IS LOOKED AT")} == looks
    names = set(re.findall(r"(?:/run|/var/lib)/milterscope/([\w.-]+)", COLLECTOR.section("FILES")))
    store = code[TOP / "exporter/collect/log_store.c"]
    usual = "".join(sources("exporter/collect/baseline_*.h").values())
    kept = {*re.findall(r'_NAME\s+"([\w.]+)"', store), *re.findall(r'BASELINE_FILE "([\w.]+)"', usual)}
    kept |= set(re.findall(r'NODE_SETS_FILE "([\w.]+)"', (TOP / "conf/lib/node_sets.h").read_text()))
    kept |= set(re.findall(r'UNPARSED_NAME "([\w.]+)"', code[TOP / "exporter/collect/delivery_log.c"]))
    assert names == {*kept, "node.tally", "milterscope-collector.lock"}
    text = " ".join(COLLECTOR.section("WHAT IS LOOKED AT").split())
    queue = code[TOP / "exporter/collect/queue.c"]
    for number in re.findall(r"(?:WALL|CPU)_MICROS = (\d+) \* 1000000", queue):
        assert re.search(rf"after .*\b{number}\b", text)
    for bound, words in (("DAYS", "the {} days before"), ("DAYS_LEAST", "known of {} of"), ("SAMPLES_LEAST", "than {} samples")):
        assert words.format(re.search(rf"BASELINE_{bound} = (\d+)", usual).group(1)) in text
    for name in ("processes", "sockets", "host"):
        body = " ".join(dict(COLLECTOR.items("WHAT IS LOOKED AT"))[name])
        pause = re.search(r"PAUSE_MS = (\d+) \* 1000", code[TOP / f"exporter/collect/{name}.c"]).group(1)
        assert f"every {pause} seconds" in body, name


def test_routes():
    table_of_routes = re.findall(r'\{"(/[\w/]*)", show_', (TOP / "exporter/serve/routes.c").read_text())
    assert {head.split()[-1] for head, _ in EXPORTER.items("ROUTES") if head.startswith("Pa ")} == set(table_of_routes)


def test_redis_keys_and_commands():
    keys = FILTER.section("REDIS KEYS")
    lua = "".join(sources("milter/pusher/*.lua").values())
    fields = re.findall(r"redis\.call\('HSET', KEYS\[1\], (.*?)\)\n", lua, flags=re.DOTALL)
    for field in re.findall(r"'(\w+)', (?:ARGV|string)", fields[0]):
        assert f".Li {field}" in keys, field
    allowed = set(re.findall(r"\+(\w+)", keys))
    assert {command.lower() for command in re.findall(r"redis\.p?call\('(\w+)'", lua)} <= allowed
    asked = "".join(sources("milter/pusher/*.c", "exporter/serve/*.c").values())
    assert {command.lower() for command in re.findall(r'\{"([A-Z]{3,})"[,}]', asked)} <= allowed


def test_doctor_grants_the_rights_of_the_manual():
    line = re.search(r'"%s ACL SETUSER.*?%s",', (TOP / "milter/supervisor/doctor_host.c").read_text(), flags=re.DOTALL)
    rights = re.search(r"ACL SETUSER.*?\.Ed", FILTER.section("REDIS KEYS"), flags=re.DOTALL)
    granted, needed = (set(re.findall(r"\+[a-z|]+", text.group())) for text in (line, rights))
    assert granted == needed


# ---- README


def test_readme_names_make_targets():
    makefile = (TOP / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][\w-]*):(?!=)", makefile, flags=re.MULTILINE))
    named = set(re.findall(r"(?:^    |`)make ([a-z]+)", README, flags=re.MULTILINE))
    assert named <= targets
    assert named >= set(re.findall(r"^## make ([a-z]+)", makefile, flags=re.MULTILINE))


def test_readme_names_files_that_exist(installed):
    quoted = re.findall(r"`([^`\n]+)`", README) + re.findall(r"^    (.*)$", README, flags=re.MULTILINE)
    words = {word.rstrip(",.") for text in quoted for word in text.split()}
    files = {word for word in words if re.match(r"(conf|milter|exporter|tests|scripts)/", word)}
    assert len(files) > 30
    assert [word for word in sorted(files) if not (TOP / word).exists()] == []
    handed_out = {word for word in words if word.startswith("/usr/share/milterscope/")}
    assert handed_out and all(os.path.exists(f"{installed}{word}") for word in handed_out)


def test_readme_sample_takes_effect_at_a_reload(folder):
    """All that it sets, as it says."""
    file = folder / "site.yaml"
    block = re.search(r"^    trusted_networks:.*\n(?:    .*\n)+", README, flags=re.MULTILINE).group()
    file.write_text(textwrap.dedent(block))
    usual = printed("/dev/null")
    changed = [path for path, value in printed(file).items() if value != usual[path]]
    assert len(changed) == 5
    assert {options()[path]["reload"] for path in changed} == {"live"}


def test_readme_repeats_the_snippets():
    milter = re.search(r"\{ unix:.* \}", README).group()
    assert f"smtpd_milters = {milter}\n" in (TOP / "conf/postfix/main.cf").read_text()
    assert re.search(r"INPUT_MAIL_FILTER.*\n", README).group() in (TOP / "conf/sendmail/sendmail.mc").read_text()
    job = re.search(r"^    scrape_configs:\n(?:    .*\n)+", README, flags=re.MULTILINE).group()
    job = re.sub("^    ", "", job, flags=re.MULTILINE)
    assert yaml.safe_load(job) == yaml.safe_load((TOP / "conf/prometheus/scrape.yaml").read_text())
    port = options()["exporter.listen"]["default"].rstrip("]").rsplit(":", 1)[1]
    assert f":{port}" in job


MILTER = "unix:milterscope/milter.sock"
OTHER = "{ unix:other/other.sock, default_action=accept }"
TCP = "inet:127.0.0.1:11332"
SHARED = "non_smtpd_milters = $smtpd_milters\n"


@pytest.mark.parametrize(
    ("before", "others"),
    [
        ("", []),
        (SHARED, []),
        (f"smtpd_milters = {OTHER}\nnon_smtpd_milters = ${{smtpd_milters}}\n", [OTHER]),
        (f"smtpd_milters = {TCP},\n    {OTHER}\n{SHARED}", [TCP, OTHER]),
        (f"smtpd_milters = {OTHER}\nnon_smtpd_milters = {OTHER}\n", [OTHER]),
        (f"ours = {OTHER}\nsmtpd_milters = $ours\nnon_smtpd_milters = $ours\n", [OTHER]),
        ((TOP / "conf/postfix/main.cf").read_text(), []),
    ],
    ids=["empty", "shared", "another, shared", "two, shared", "another in both", "both from a third", "snippet"],
)
def test_readme_attaches_postfix_once(folder, before, others):
    """The README's own commands, run twice, on a configuration of Postfix's."""
    block = re.search(r"^    milter=.*\n(?:    .*\n)+", README, flags=re.MULTILINE).group()
    *commands, last = block.strip().splitlines()
    assert last.strip() == "postfix reload"
    place = folder / "attach"
    place.mkdir(exist_ok=True)
    (place / "main.cf").write_text(before)
    (place / "master.cf").write_text("")
    postconf = server_program("postfix", "usr/sbin/postconf")
    path = f"{os.path.dirname(postconf)}:{os.environ['PATH']}"
    for _ in range(2):
        run(["sh", "-eu", "-c", "\n".join(commands)], env={**os.environ, "MAIL_CONFIG": str(place), "PATH": path})
    for value in run([postconf, "-c", place, "-hx", "smtpd_milters", "non_smtpd_milters"]).splitlines():
        listed = re.findall(r"\{.*?\}|[^\s,{}]+", value)
        assert listed[:-1] == others
        assert listed[-1].startswith("{ " + MILTER) and value.count(MILTER) == 1


def run_in(folder, taken_port):
    """What scripts/run says that is to run in a folder, and at a port that is taken."""
    settings = {"BUILD": BUILD, "RUN_DIR": folder, "HTTP_PORT": taken_port, "MTA": "none"}
    done = subprocess.run(
        [SCRIPTS / "run"],
        env=os.environ | {name: str(value) for name, value in settings.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("name", ["lock", "milterscope.yaml", "postfix"])
def test_run_leaves_foreign_folders_alone(folder, taken_port, name):
    place = folder / "foreign" / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / name).write_text("somebody's\n")
    assert "is not empty, and no earlier run made" in run_in(place, taken_port)
    assert [path.name for path in place.iterdir()] == [name]
    assert (place / name).read_text() == "somebody's\n"


def test_run_takes_folders_of_its_own(folder, taken_port):
    place = folder / "own"
    shutil.rmtree(place, ignore_errors=True)
    configuration = re.search(r"^mark='(.*)'", (SCRIPTS / "run").read_text(), flags=re.MULTILINE).group(1)
    for _ in ("new", "of an earlier run"):
        assert f"port {taken_port} is taken" in run_in(place, taken_port)
        assert (place / ".milterscope-run").exists()
    (place / ".milterscope-run").unlink()
    (place / "milterscope.yaml").write_text(configuration + "\n")  # of a former version
    assert f"port {taken_port} is taken" in run_in(place, taken_port)
    assert (place / ".milterscope-run").exists()


@pytest.mark.parametrize("suite", ["", "sid", "../nothing"])
def test_fresh_knows_its_suites(suite):
    run([SCRIPTS / "fresh", suite], expect=64)


def test_readme_names_the_variables_of_run():
    named = set(re.findall(r"`([A-Z_]+)` \(", README)) - {"PREFIX"}
    known = dict(re.findall(r"\b([A-Z_]+)\s\(([\w/.]+)", (SCRIPTS / "run").read_text().split("set -eu")[0]))
    assert named == set(known)
    for name, default in known.items():
        assert f"`{name}` (`{default}`" in README or f"`{name}` ({default}" in README


# ---- manual pages


def test_manual_pages_are_sound():
    pages = sorted((TOP / "conf/man").iterdir())
    of_programs = {f"milterscope{name}.8" for name in ("", "-collector", "-exporter")}
    assert {page.name for page in pages} == {"milterscope.conf.5", *of_programs}
    run(["mandoc", "-T", "lint", "-W", "warning", *pages])


# ---- installation


@pytest.fixture(scope="module")
def installed(folder):
    destination = folder / "root"
    run([SCRIPTS / "install-files", BUILD, destination, "/usr"])
    return destination


def test_everything_is_installed(installed):
    files = [path for path in installed.rglob("*") if path.is_file()]
    modes = {path.relative_to(installed).as_posix(): path.stat().st_mode & 0o7777 for path in files}
    expected = {f"usr/sbin/{name}": 0o755 for name in PROGRAMS}
    data = [
        "etc/milterscope/milterscope.yaml",
        *(f"usr/lib/systemd/system/{name}.service" for name in UNITS),
        "usr/lib/sysusers.d/milterscope.conf",
        "usr/lib/tmpfiles.d/milterscope.conf",
        "usr/share/man/man5/milterscope.conf.5",
        "usr/share/man/man8/milterscope-collector.8",
        "usr/share/man/man8/milterscope-exporter.8",
        "usr/share/man/man8/milterscope.8",
        "usr/share/milterscope/milterscope.yaml",
    ]
    readers = {path.name for path in (TOP / "conf").iterdir() if path.is_dir()} - {"lib", "tables", "man", "systemd"}
    for reader in readers:
        data += [f"usr/share/milterscope/{reader}/{path.name}" for path in (TOP / "conf" / reader).iterdir()]
    assert modes == expected | dict.fromkeys(data, 0o644)


def test_installed_programs_run(installed):
    version = run([program("milterscope"), "--version"]).split()[1]
    for name in PROGRAMS:
        assert run([installed / "usr/sbin" / name, "--version"]) == f"{name} {version}\n"
    file = installed / "etc/milterscope/milterscope.yaml"
    for name in UNITS:
        assert run([installed / "usr/sbin" / name, "-c", file, "--check-config"]) == f"{file}: sound\n"


def test_configuration_is_never_overwritten(installed):
    file = installed / "etc/milterscope/milterscope.yaml"
    file.write_text("instance: mine\n")
    run([SCRIPTS / "install-files", BUILD, installed, "/usr"])
    assert file.read_text() == "instance: mine\n"


def test_units_follow_prefix(folder):
    destination = folder / "other"
    run([SCRIPTS / "install-files", BUILD, destination, "/opt/m"])
    for name in UNITS:
        unit = (destination / "opt/m/lib/systemd/system" / f"{name}.service").read_text()
        assert "@PREFIX@" not in unit
        assert f"\nExecStart=/opt/m/sbin/{name} " in unit
        assert (destination / "opt/m/sbin" / name).exists()


def unit(name):
    return dict(re.findall(r"^(\w+)=(.*)$", (TOP / f"conf/systemd/{name}.service").read_text(), flags=re.MULTILINE))


def test_units_fit_the_programs():
    assert int(unit("milterscope")["TimeoutStopSec"]) == int(options()["milter.drain"]["default"]) + 20
    assert unit("milterscope")["KillMode"] == "mixed"
    waits = re.search(r"STOP_MS = (\d+) \* 1000", (TOP / "exporter/collect/main.c").read_text()).group(1)
    assert int(unit("milterscope-collector")["TimeoutStopSec"]) == int(waits) + 20


@pytest.mark.parametrize("name", ["milterscope", "milterscope-collector"])
def test_units_share_account_and_folders(name):
    """What one leaves the other finds, whichever is started or stopped first."""
    settings = unit(name)
    assert settings["User"] == settings["Group"] == "milterscope"
    assert f"/run/{settings['RuntimeDirectory']}" == options()["run_directory"]["default"]
    assert f"/var/lib/{settings['StateDirectory']}" == options()["state_directory"]["default"]
    assert settings["RuntimeDirectoryMode"] == settings["StateDirectoryMode"] == "0750"
    assert settings["RuntimeDirectoryPreserve"] == "yes"
    assert int(settings["UMask"], 8) & 0o040 == 0, "the exporter reads the totals by its group"


@pytest.mark.parametrize("name", UNITS)
def test_units_are_what_systemd_knows(installed, name):
    """Each line of them; what they need of the system is not there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    folder = f"{installed}/usr/lib/systemd/system"
    command = ["systemd-analyze", "verify", "--man=no", f"--root={installed}", f"{folder}/{name}.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not re.findall(r".*\.service:\d+: .*", done.stderr)


# ---- the form of the tree


def test_filter_needs_libmilter_and_libc_only():
    needed = re.findall(r"\(NEEDED\).*\[(.*?)\.so", run(["readelf", "-d", program("milterscope-filter")]))
    assert set(needed) == {"libmilter", "libc"}


def includers(pattern, *places):
    return {str(path.relative_to(TOP)) for path, text in sources(*places).items() if re.search(pattern, text)}


def test_libraries_are_seen_by_one_file():
    places = ["milter/**/*.[ch]", "exporter/**/*.[ch]", "conf/**/*.[ch]"]
    assert includers(r"#include.*mfapi\.h", *places) == {"milter/filter/filter.c"}
    assert includers(r"#include.*microhttpd\.h", *places) == {"exporter/serve/http.c"}
    assert includers(r"#include.*libpsl\.h", *places) == {"conf/lib/member.c"}
    assert includers(r"#include.*jansson\.h", *places) == {"exporter/serve/top_answer.c", "exporter/collect/log_store.c"}
    hiredis = includers(r"#include.*hiredis", *places)
    assert len(hiredis) == 1 and hiredis.pop().startswith("conf/lib/redis")


def test_programs_do_not_see_each_other():
    assert includers(r'#include "exporter/', "milter/**/*.[ch]", "conf/**/*.[ch]") == set()
    assert includers(r'#include "milter/', "exporter/**/*.[ch]", "conf/**/*.[ch]") == set()


def test_every_file_has_its_place():
    top = {path.name for path in TOP.iterdir() if not path.name.startswith(".")}
    top -= {BUILD.relative_to(TOP).parts[0] if BUILD.is_relative_to(TOP) else "", "build"}
    assert top == {"milter", "exporter", "conf", "tests", "scripts", "Makefile", "README.md", "LICENSE"}
    stray = [path for path in (TOP / "conf").rglob("*.[ch]") if path.parent != TOP / "conf/lib"]
    assert stray == []


# ---- a wrong table does not build


def build_catalogue(folder, add):
    """Compiles the catalogue with one more row in metrics.def: whether that worked, and what the compiler said."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(TOP / "conf", tree / "conf")
    path = tree / "conf/tables/metrics.def"
    path.write_text(path.read_text().replace("/* About ourselves */", add + "\n/* About ourselves */", 1))
    compiler = [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-I", tree]
    done = subprocess.run([*compiler, tree / "conf/lib/catalogue.c"], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr


def test_right_row_builds(folder):
    assert build_catalogue(folder, 'COUNTER(tries_total, filter, one, L1(client), "What is tried.")') == (True, "")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('COUNTER(tries, filter, one, L0, "What is tried.")', "name ends in _total"),
        ('GAUGE(tries_total, filter, one, L0, max, "What is tried.")', "only a counter's name"),
        ('INFO(tries, filter, L1(client), "What is tried.")', "name ends in _info"),
        ('COUNTER(tries_total, filter, one, L0, "")', "help is a sentence"),
        ('COUNTER(messages_total, filter, one, L0, "What is tried.")', "messages_total"),
        ('COUNTER(tries_total, filter, one, L1(colour), "What is tried.")', "colour"),
        ('COUNTER(tries_total, filter, grams, L0, "What is tried.")', "grams"),
        ('HISTOGRAM(tries, filter, one, L0, wrong, "What is tried.")', "wrong"),
    ],
)
def test_wrong_row_does_not_build(folder, row, complaint):
    built, said = build_catalogue(folder, row)
    assert not built and complaint in said
