"""The doctor looks at Postfix: set up wrongly in each way that it knows, it says so, and the line that it gives cures;
set up rightly it is silent. milterscope runs as an account of its own, with its socket in a folder as
conf/postfix/tmpfiles.conf makes it."""

import os

import pytest
from diagnosis import AS_ACCOUNT, RECOMMENDED, change, doctor_with_copy, postfix_as_recommended, site_at
from kit.process import run
from kit.servers import Redis
from scope import Scope

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what other accounts may do")

OTHER = "inet:127.0.0.1:11332"
PLAIN = "unix:milterscope/milter.sock"
COMPACT = RECOMMENDED.replace(" ", "")
MORE = "127.0.0.1:10587/inet"  # one more listener
BACK = "127.0.0.1:10025/inet=127.0.0.1:10025 inet n - n - - smtpd -o content_filter="  # for a content filter
BEFORE = ["-P", "SMTP/smtpd_proxy_filter=127.0.0.1:10026"]  # one before the queue


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder, "--unixsocketperm", "777"))


@pytest.fixture(scope="module")
def postfix(parts):
    return postfix_as_recommended(parts)


@pytest.fixture(scope="module")
def scope(parts, postfix, redis):
    return parts.start(Scope(site_at(parts, postfix, redis, "main"), enter=AS_ACCOUNT))


@pytest.fixture
def doctor(request, parts, postfix, scope):
    return doctor_with_copy(parts, postfix, scope.site, request.node.name)


def service(postfix):
    return "%s:%d/inet" % postfix.address


def filled(postfix, commands):
    """Words of postconf in which SMTP stands for the service that listens."""
    return [[word.replace("SMTP", service(postfix)) for word in words] for words in commands]


# ---- rightly ----

RIGHT = {
    "as the manual says": [],
    "in the chroot": [["-F", "*/*/chroot=y"]],
    "in the chroot by default": [["-e", "compatibility_level=0"], ["-F", "*/*/chroot=-"]],
    "another before us": [["-e", f"smtpd_milters = {OTHER}, {RECOMMENDED}"]],
    "by another name": [["-e", f"mine = {OTHER}, {RECOMMENDED}"], ["-e", "smtpd_milters = $mine"]],
    "plain, with safe defaults": [
        ["-e", f"smtpd_milters = {PLAIN}", "milter_default_action = accept", "milter_connect_timeout=5"],
        ["-e", "milter_command_timeout=10s", "milter_content_timeout=30s"],
    ],
    "safe, with dangerous defaults": [["-e", "milter_default_action=shutdown", "milter_connect_timeout=1h"]],
    "a list of its own": [["-P", f"SMTP/smtpd_milters={OTHER},{COMPACT}"], ["-e", "smtpd_milters="]],
    "comes back, without us": [["-M", f"{BACK} -o smtpd_milters="]],
    "comes back, no_milters": [["-M", f"{BACK} -o receive_override_options=no_milters"]],
    "before the queue, without us": [BEFORE, ["-M", BACK], ["-P", f"SMTP/smtpd_milters={OTHER}"]],
    "before the queue, no_milters": [BEFORE, ["-M", BACK], ["-P", "SMTP/receive_override_options=no_milters"]],
    "before the queue and behind it": [
        [*BEFORE, "SMTP/smtpd_milters="],
        ["-e", "content_filter=smtp:127.0.0.1:10026"],
        ["-M", f"{BACK} -o smtpd_milters="],
        ["-M", f"{MORE}={MORE[:-5]} inet n - n - - smtpd"],
    ],
    "lists for some clients": [
        ["-e", f"smtpd_milter_maps = inline:{{ {{192.0.2.1={OTHER}, {RECOMMENDED}}} }}, static:{{{RECOMMENDED}}}"]
    ],
    "lists for some clients of nobody": [
        ["-e", "smtpd_milter_maps = inline:{192.0.2.1=DISABLE}"],
        ["-P", "SMTP/smtpd_milter_maps="],
    ],
}


@pytest.mark.parametrize("commands", RIGHT.values(), ids=RIGHT)
def test_right(doctor, postfix, commands):
    change(doctor, *filled(postfix, commands))
    doctor.expect_silence()
    assert doctor.summary.startswith(f"Postfix, {doctor.environment['MAIL_CONFIG']}: nothing found (")


# ---- wrongly, in main.cf and master.cf ----

ACTION = "default_action is {} for milterscope, so {} when the filter does not answer"
PUT_OFF = ACTION.format("tempfail", "mail is put off with 4xx")
DEADLINES = "may hold up a session for 30s at its start, 30s at each command and 300s at the end of a message"
NOT_LAST = f"smtpd_milters: milterscope is not the last, so it does not see the headers that {OTHER} adds"
SAFE = RECOMMENDED.removesuffix(" }")
WRONG = {
    "not there": ([["-e", "smtpd_milters="]], ["smtpd_milters: milterscope is not in it, so what comes over SMTP"]),
    "not there, another is": (
        [["-e", f"smtpd_milters={OTHER}"], ["-e", f"non_smtpd_milters={OTHER} $smtpd_milters"]],
        ["smtpd_milters: milterscope is not in it", "non_smtpd_milters: milterscope is not in it"],
    ),
    "not for local mail": (
        [["-e", "non_smtpd_milters="]],
        ["non_smtpd_milters: milterscope is not in it, so what local programs hand in is not counted"],
    ),
    "not for local mail, by another name": (
        [["-e", f"mine = {OTHER}, {{ unix:/it's }}"], ["-e", "non_smtpd_milters = $mine"]],
        ["non_smtpd_milters: milterscope is not in it"],
    ),
    "twice": (
        [["-e", f"smtpd_milters = {RECOMMENDED} {RECOMMENDED}"]],
        ["smtpd_milters: milterscope stands in it 2 times, so all is counted 2 times"],
    ),
    "not last": ([["-e", f"smtpd_milters = {RECOMMENDED}, {OTHER}"]], [NOT_LAST]),
    "not last, by another name": (
        [["-e", f"mine = {RECOMMENDED}"], ["-e", f"smtpd_milters = $mine, {OTHER}"]],
        [NOT_LAST],
    ),
    "left out by a service": (
        [["-P", "SMTP/smtpd_milters="]],
        ["smtpd_milters of SMTP in master.cf: milterscope is not in it"],
    ),
    "left out by a service that has others": (
        [["-e", "mine = inet:127.0.0.1:1, { unix:x, x=y }"], ["-P", f"SMTP/smtpd_milters=$mine,{OTHER}"]],
        ["smtpd_milters of SMTP in master.cf: milterscope is not in it"],
    ),
    "left out by cleanup": (
        [["-P", "cleanup/unix/non_smtpd_milters="]],
        ["non_smtpd_milters of cleanup/unix in master.cf: milterscope is not in it"],
    ),
    "no_milters": (
        [["-e", "receive_override_options = no_address_mappings, no_milters, no_header_body_checks"]],
        ["receive_override_options: no_milters keeps mail from all filters"],
    ),
    "no_milters of a service": (
        [["-P", "SMTP/receive_override_options=no_milters,no_address_mappings"]],
        ["receive_override_options of SMTP in master.cf: no_milters"],
    ),
    "no_milters of pickup": (
        [["-P", "pickup/unix/receive_override_options=no_milters"]],
        ["receive_override_options of pickup/unix in master.cf: no_milters"],
    ),
    "tempfail": (
        [["-e", f"smtpd_milters = {SAFE.replace('default_action=accept, ', '')} }}", "milter_default_action=tempfail"]],
        [f"smtpd_milters: {PUT_OFF}"],
    ),
    "tempfail of a service": (
        [
            ["-e", f"smtpd_milters = {SAFE.replace('default_action=accept, ', '')} }}", "milter_default_action=accept"],
            ["-P", "SMTP/milter_default_action=tempfail"],
        ],
        [f"smtpd_milters of SMTP in master.cf: {PUT_OFF}"],
    ),
    "reject": (
        [["-e", f"smtpd_milters = {RECOMMENDED.replace('accept', 'reject')}"]],
        [ACTION.format("reject", "mail is refused with 5xx")],
    ),
    "quarantine": (
        [["-e", f"smtpd_milters = {RECOMMENDED.replace('accept', 'quarantine')}"]],
        [ACTION.format("quarantine", "mail is held in the queue")],
    ),
    "shutdown": (
        [["-e", f"smtpd_milters = {RECOMMENDED.replace('accept', 'shutdown')}"]],
        [ACTION.format("shutdown", "clients are turned away with 421")],
    ),
    "deadlines": (
        [["-e", f"smtpd_milters = {PLAIN}", "milter_default_action=accept"]],
        [f"smtpd_milters: a filter that hangs {DEADLINES}"],
    ),
    "deadlines of a service": (
        [
            ["-e", f"smtpd_milters = {PLAIN}", "milter_default_action=accept"],
            ["-e", "milter_connect_timeout=1s", "milter_command_timeout=1s", "milter_content_timeout=1s"],
            ["-P", "SMTP/milter_command_timeout=1h"],
        ],
        ["smtpd_milters of SMTP in master.cf: a filter that hangs may hold up a session for 1s at its start, 1h at"],
    ),
    "all of it": (
        [["-e", f"smtpd_milters = {PLAIN} {OTHER}", "milter_default_action=tempfail", "milter_protocol=2"]],
        [NOT_LAST, PUT_OFF, DEADLINES, "milter_protocol is 2"],
    ),
    "protocol": ([["-e", "milter_protocol=4"]], ["smtpd_milters: milter_protocol is 4; below 6 refused recipients"]),
    "protocol of its own": ([["-e", f"smtpd_milters = {SAFE}, protocol=3 }}"]], ["milter_protocol is 3; below 6"]),
    "protocol of a service": (
        [["-P", "SMTP/milter_protocol=2"]],
        ["smtpd_milters of SMTP in master.cf: milter_protocol is 2"],
    ),
    "delay_reject": ([["-e", "smtpd_delay_reject=no"]], ["smtpd_delay_reject is no, so what is refused at connect"]),
    "delay_reject of a service": (
        [["-P", "SMTP/smtpd_delay_reject=no"]],
        ["smtpd_delay_reject of SMTP in master.cf is no"],
    ),
    "comes back": (
        [["-M", BACK]],
        ["127.0.0.1:10025/inet in master.cf: mail that a content filter hands back is shown to milterscope again"],
    ),
    "before the queue": (
        [BEFORE, ["-M", BACK]],
        ["smtpd_proxy_filter of SMTP in master.cf: the content goes to 127.0.0.1:10026 and not to milterscope"],
    ),
    "before the queue, everywhere": (
        [["-e", "smtpd_proxy_filter=127.0.0.1:10026"], ["-M", f"{BACK} -o smtpd_proxy_filter="]],
        ["smtpd_proxy_filter of SMTP in master.cf: the content goes to 127.0.0.1:10026 and not to milterscope"],
    ),
    "before the queue, and not behind it": (
        [BEFORE, ["-M", f"{BACK} -o smtpd_milters="]],
        [
            "smtpd_milters of 127.0.0.1:10025/inet in master.cf: milterscope is not in it",
            "smtpd_proxy_filter of SMTP in master.cf: ",
        ],
    ),
    "left out for all clients": (
        [["-e", "smtpd_milter_maps = static:Disable"]],
        ["smtpd_milter_maps, all clients in static: milterscope is not in it, so what comes from there is not counted"],
    ),
    "left out for all clients that have others": (
        [["-e", f"smtpd_milter_maps = proxy:static:{{{OTHER} unix:x}}"]],
        ["smtpd_milter_maps, all clients in static: milterscope is not in it"],
    ),
    "left out for clients of a service": (
        [["-P", f"SMTP/smtpd_milter_maps=inline:{{192.0.2.1=DISABLE,{{192.0.2.2={OTHER},unix:x}}}}"]],
        2 * ["smtpd_milter_maps of SMTP in master.cf, 192.0.2."],  # in an order of Postfix' own
    ),
    "left out for a client, beside a pattern": (
        [["-e", f"smtpd_milter_maps = inline:{{192.0.2.1=DISABLE}}, regexp:{{ {{/^10\\.1$$/ {RECOMMENDED}}} }}"]],
        ["smtpd_milter_maps, 192.0.2.1 in inline: milterscope is not in it"],
    ),
    "not last for a client, and dangerous": (
        [["-e", f"smtpd_milter_maps = inline:{{ {{192.0.2.1={PLAIN} {OTHER}}} }}", "milter_default_action=tempfail"]],
        [
            f"smtpd_milter_maps, 192.0.2.1 in inline: {NOT_LAST.partition(': ')[2]}",
            f"smtpd_milter_maps, 192.0.2.1 in inline: {PUT_OFF}",
            f"smtpd_milter_maps, 192.0.2.1 in inline: a filter that hangs {DEADLINES}",
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_wrong(doctor, postfix, case):
    commands, texts = case
    change(doctor, *filled(postfix, commands))
    found = doctor.expect(*[text.replace("SMTP in", f"{service(postfix)} in") for text in texts])
    config = doctor.environment["MAIL_CONFIG"]
    assert doctor.summary == f"Postfix, {config}: {len(found)} found; when all is pasted: postfix -c {config} reload"
    assert doctor.paste(found) == ([], [])
    doctor.expect_silence()


def test_others_stay(doctor, postfix):
    """Of a list that is written anew, all others stay as they were, in main.cf as they were written."""
    change(doctor, ["-e", f"mine = {OTHER}", f"smtpd_milters = $mine, {PLAIN}, {{ unix:it's }}"])
    own = "smtpd_milters=$mine,{unix:a,default_action=accept}"
    change(doctor, ["-M", f"{MORE}={MORE[:-5]} inet n - n - - smtpd -o {own}"])
    doctor.paste(doctor.look())
    doctor.expect_silence()
    shown = run(["postconf", "-h", "smtpd_milters"], env=doctor.environment)
    assert shown == f"$mine, {{ unix:it's }}, {RECOMMENDED}\n"
    shown = run(["postconf", "-P", f"{MORE}/smtpd_milters"], env=doctor.environment)
    assert shown == f"{MORE}/{own.replace('=', ' = ', 1)},{COMPACT}\n"


def test_tabs_are_blanks(doctor):
    """Wherever they stand: in main.cf, and in a table."""
    entry, table = "{ inet:127.0.0.1:1,\tdefault_action=accept }", doctor.asked_file.parent / "clients"
    table.write_text(f"192.0.2.1\t{entry}\n")
    change(doctor, ["-e", f"smtpd_milters = {entry}", f"smtpd_milter_maps = texthash:{table}"])
    entry = entry.replace("\t", " ")
    found = doctor.expect("smtpd_milters: milterscope is not in it", "smtpd_milter_maps, 192.0.2.1 in texthash:")
    assert found[0].line.endswith(f" -e 'smtpd_milters = {entry}, {RECOMMENDED}'")
    assert found[1].line == f"192.0.2.1 {entry}, {RECOMMENDED}"


# ---- tables of clients ----


def test_client_of_a_rule_in_main_cf(doctor):
    change(doctor, ["-e", f"smtpd_milter_maps = cidr:{{ {{ 192.0.2.0/24 {OTHER} }}, {{ 10.0.0.0/8 {RECOMMENDED} }} }}"])
    (found,) = doctor.expect("smtpd_milter_maps, 192.0.2.0/24 in cidr: milterscope is not in it")
    assert found.where == "Put into smtpd_milter_maps of main.cf, in place of what 192.0.2.0/24 has there"
    assert found.line == f"192.0.2.0/24 {OTHER}, {RECOMMENDED}"


def test_client_of_a_pattern_in_main_cf(doctor):
    """Postfix takes two dollar signs for one."""
    change(doctor, ["-e", "smtpd_milter_maps = regexp:{ {/^10\\.1$$/ DISABLE} }"])
    (found,) = doctor.expect("smtpd_milter_maps, /^10\\.1$/ in regexp: milterscope is not in it")
    assert found.where == "Put into smtpd_milter_maps of main.cf, in place of what /^10\\.1$$/ has there"
    assert found.line == f"/^10\\.1$$/ {RECOMMENDED}"


def test_pattern_of_a_service(doctor):
    """It has blanks, which postconf -P does not take."""
    file = doctor.asked_file.parent / "etc" / "master.cf"
    option = "-o { smtpd_milter_maps = inline:{192.0.2.1=DISABLE}, regexp:{ {/^10$$/ %s} } }" % RECOMMENDED
    file.write_text(f"{file.read_text()}{MORE[:-5]} inet n - n - - smtpd\n  {option}\n")
    (found,) = doctor.expect(f"smtpd_milter_maps of {MORE} in master.cf, 192.0.2.1 in inline: milterscope is not in it")
    assert found.where == f"Put into master.cf, in place of what {MORE} has for smtpd_milter_maps"
    file.write_text(file.read_text().replace(option, found.line))
    doctor.expect_silence()


def test_many_clients(doctor):
    """Ten of a table are shown at a time."""
    path = doctor.asked_file.parent / "clients"
    path.write_text("".join(f"192.0.2.{i} DISABLE\n" for i in range(13)))
    change(doctor, ["-e", f"smtpd_milter_maps = texthash:{path}"])
    doctor.expect(*[f"smtpd_milter_maps, 192.0.2.{i} in texthash:{path}: milterscope is not in it" for i in range(10)])


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("ldap:clients", "milterscope does not read tables of this type"),
        ("cidr:/nonexistent/clients", "No such file or directory"),
        ("hash:/nonexistent/clients", "open database /nonexistent/clients.db: No such file or directory"),
    ],
)
def test_table_that_cannot_be_read(doctor, table, why):
    change(doctor, ["-e", f"smtpd_milter_maps = {table}"])
    assert doctor.look() == []
    assert doctor.status == 69
    assert f"not all could be looked at: smtpd_milter_maps, {table}: " in doctor.errors
    assert why in doctor.errors and "whom it keeps from milterscope is not known" in doctor.errors


# ---- mail that comes back, and is known to ----


@pytest.fixture
def site(scope):
    before = scope.site.settings
    yield scope.site
    scope.site.settings = before
    scope.site.write()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_known_listener(doctor, site, name):
    change(doctor, ["-M", BACK.replace("127.0.0.1", name)])
    site.write(milter={"reinjection": ["127.0.0.1:10026"]})
    doctor.expect(f"{name}:10025/inet in master.cf: mail that a content filter hands back is shown")
    site.write(milter={"reinjection": ["127.0.0.1:10025"]})
    doctor.expect_silence()


def test_scanner_at_the_listener(doctor, site):
    """There it is where the headers of the scanner are read."""
    change(doctor, ["-M", f"{BACK} -o smtpd_milters= -o receive_override_options=no_milters"])
    doctor.expect_silence()
    site.write(milter={"reinjection": ["127.0.0.1:10025"]}, spam={"scanner": "reinjection"})
    listener = "of 127.0.0.1:10025/inet in master.cf: "
    found = doctor.expect(
        f"smtpd_milters {listener}milterscope is not in it", f"receive_override_options {listener}no_milters keeps"
    )
    doctor.paste(found)
    doctor.expect_silence()


# ---- names that lead elsewhere ----


def test_name_as_seen_from_outside(doctor, scope):
    name = f"unix:{scope.site.milter_socket}"
    change(doctor, ["-e", f"smtpd_milters = {RECOMMENDED.replace(PLAIN, name)}"])
    doctor.expect_silence()
    change(doctor, ["-F", "*/*/chroot=y"])
    found = doctor.expect(f"smtpd_milters: smtpd works in the chroot {scope.site.milter_socket[:-24]}")
    assert RECOMMENDED in found[0].line
    doctor.paste(found)
    doctor.expect_silence()


def test_name_as_seen_from_inside(doctor):
    change(doctor, ["-e", f"smtpd_milters = {RECOMMENDED.replace('unix:', 'unix:/')}"], ["-F", "*/*/chroot=y"])
    doctor.expect_silence()
    change(doctor, ["-F", "*/*/chroot=n"])
    said = "smtpd_milters: smtpd works in no chroot, where unix:/milterscope/milter.sock leads elsewhere"
    doctor.paste(doctor.expect(said))
    doctor.expect_silence()
