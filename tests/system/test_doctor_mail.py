"""The doctor before a Postfix that runs: what he says of mail that is not counted is so, and where the line that he
gives cures, mail is counted. (All that he knows: test_doctor.py.)"""

import os
import re

import pytest
from diagnosis import AS_ACCOUNT, Doctor, change, postfix_as_recommended, site_at
from kit.place import free_port
from kit.servers import Redis
from kit.wait import wait_until
from mail import send
from scope import Scope
from truth import metric

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what other accounts may do")


@pytest.fixture
def postfix(own_parts):
    return postfix_as_recommended(own_parts)


@pytest.fixture
def scope(own_parts, request, postfix):
    redis = own_parts.start(Redis(own_parts.folder, "--unixsocketperm", "777"))
    return own_parts.start(Scope(site_at(own_parts, postfix, redis, request.node.name), enter=AS_ACCOUNT))


@pytest.fixture
def doctor(parts, postfix, scope):
    """Of the Postfix that runs."""
    return Doctor(scope.site, scope.site.folder.disk, MAIL_CONFIG=str(postfix.folder / "etc"))


def reload(doctor):
    doctor.age()
    doctor.run(f"postfix -c {doctor.environment['MAIL_CONFIG']} reload >/dev/null 2>&1")


def counted(scope, postfix, source="127.0.0.1"):
    """What a message adds, by verdict."""
    before = scope.counts()
    send(postfix, source=source)
    scope.wait_value(0, "sessions_active")
    after = scope.counts()
    verdicts = {}
    for verdict in ("passed", "lost"):
        series = [one for one in after if one.startswith(metric("messages_total")) and f'"{verdict}"' in one]
        verdicts[verdict] = sum(after[one] - before.get(one, 0) for one in series)
    return {verdict: number for verdict, number in verdicts.items() if number}


def wait_counted(scope, postfix, expected, source="127.0.0.1"):
    """A process of Postfix' that was there before may take one more session."""
    wait_until(lambda: counted(scope, postfix, source) == expected, f"mail from {source} is counted: {expected}")


# ---- smtpd_milter_maps ----

AWAY = "{ inet:127.0.0.1:9, default_action=accept }"  # another milter, which is not there
# What each table has for whom, and what it says.
TABLES = {
    "cidr": ("127.0.0.2/32", "127.0.0.2", "# not ours\n127.0.0.2/32\n    DISABLE\n\n"),
    "texthash": ("127.0.0.3", "127.0.0.3", f"127.0.0.3 {AWAY}\n"),
    "hash": ("127.0.0.4", "127.0.0.4", "127.0.0.4 disable\n"),
    "regexp": ("/^127\\.0\\.0\\.5$/", "127.0.0.5", "if /^127/\n/^127\\.0\\.0\\.5$/ DISABLE\nendif\n"),
    "inline": ("127.0.0.6", "127.0.0.6", "127.0.0.6=DISABLE"),
}


def paste_into_table(doctor, found):
    """As it is said; an entry may have several lines."""
    file, key, command = re.fullmatch(
        r"Put into (\S+), in place of what (\S+) has there(?:, and run (postmap .*))?", found.where
    ).groups()
    with open(file, encoding="ascii") as table:
        text = table.read()
    text, times = re.subn(rf"(?m)^{re.escape(key)}\s.*(\n[ \t].*)*", lambda _: found.line, text)
    assert times == 1
    with open(file, "w", encoding="ascii") as table:
        table.write(text)
    if command:
        doctor.run(command)


def test_lists_for_some_clients(postfix, scope, doctor):
    folder, tables = postfix.folder / "etc", []
    for type, (_, _, text) in TABLES.items():
        (folder / type).write_text(text)
        tables.append(f"inline:{{{text}}}" if type == "inline" else f"{type}:{folder / type}")
    doctor.run(f"postmap {tables[2]}")
    change(doctor, ["-e", f"smtpd_milter_maps = {', '.join(tables)}"])
    reload(doctor)
    for _, client, _ in TABLES.values():
        wait_counted(scope, postfix, {}, client)
    assert counted(scope, postfix) == {"passed": 1}
    texts = [
        f"smtpd_milter_maps, {key} in {type if type == 'inline' else table}: milterscope is not in it, so what comes"
        for (type, (key, _, _)), table in zip(TABLES.items(), tables, strict=True)
    ]
    for one in doctor.paste(doctor.expect(*texts))[1]:
        paste_into_table(doctor, one)
    doctor.expect_silence()
    reload(doctor)
    for _, client, _ in TABLES.values():
        wait_counted(scope, postfix, {"passed": 1}, client)
    assert AWAY in (folder / "texthash").read_text()


# ---- smtpd_proxy_filter ----


def test_filter_before_the_queue(postfix, scope, doctor):
    """One that hands all on as it is."""
    back = f"127.0.0.1:{free_port()}"
    here = "%s:%d/inet" % postfix.address
    change(
        doctor,
        ["-M", f"{back}/inet={back} inet n - n - - smtpd -o content_filter="],
        ["-P", f"{back}/inet/smtpd_authorized_xforward_hosts=127.0.0.1"],
        ["-P", f"{here}/smtpd_proxy_filter={back}"],
    )
    reload(doctor)
    wait_counted(scope, postfix, {"lost": 1, "passed": 1})
    found = doctor.expect(f"smtpd_proxy_filter of {here} in master.cf: the content goes to {back} and not to")
    assert doctor.paste(found) == ([], [])
    doctor.expect_silence()
    reload(doctor)
    wait_counted(scope, postfix, {"passed": 1})
