"""The doctor looks at sendmail, by a sendmail.cf that m4 makes of a sendmail.mc as on a real host: set up wrongly in
each way that it knows, it says so, and the line that it gives, put into sendmail.mc, cures. What sendmail itself thinks
of the socket, sendmail is asked."""

import os
import re
import socket
import subprocess
import threading

import pytest
from diagnosis import Doctor, needs_open_folders
from kit.place import free_port, server_program
from kit.process import run
from kit.servers import Redis
from kit.smtp import Smtp
from kit.wait import GENEROUS
from scope import Scope, site_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what other accounts may do")

BASE = """divert(0)dnl
VERSIONID(`test')dnl
OSTYPE(`linux')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`confPID_FILE', `{folder}/pid')dnl
define(`ALIAS_FILE', `')dnl
define(`STATUS_FILE', `')dnl
define(`confCW_FILE', `-o {folder}/names')dnl
define(`confDELIVERY_MODE', `q')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(`Name=MTA, Port=25, Addr=127.0.0.1')dnl
"""
END = """MAILER(`local')dnl
MAILER(`smtp')dnl
"""
OURS = "INPUT_MAIL_FILTER(`milterscope', `S=unix:{socket}, F=, T=C:1s;S:2s;R:2s;E:5s')dnl\n"
OTHER = "INPUT_MAIL_FILTER(`other', `S=unix:/run/other.sock, F=T')dnl\n"


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder))


@pytest.fixture(scope="module")
def scope(parts, redis):
    site = site_in(parts, "main", redis.url)
    folder = site.folder.disk / "socket"
    folder.mkdir(mode=0o755)
    for above in folder.parents:
        if above.stat().st_mode & 0o022:
            pytest.skip(f"{above} is writable to others: sendmail takes no socket below it")
    site.milter_socket = str(folder / "milter.sock")
    site.write(milter={"socket": f"unix:{site.milter_socket}"}, redis={"push_interval": 60})
    return parts.start(Scope(site))


class Sendmail:
    """A sendmail.mc, what is made of it, and the doctor who looks at that."""

    def __init__(self, folder, scope):
        folder.mkdir(parents=True)
        (folder / "queue").mkdir(mode=0o700)
        self.folder, self.scope = folder, scope
        self.cf, self.mc = folder / "sendmail.cf", ""
        self.before = scope.site.settings
        scope.site.write(mta={"config": str(self.cf)})
        self.doctor = Doctor(scope.site, folder)

    def write(self, filters, base=BASE):
        self.mc = (base + filters + END).format(folder=self.folder, socket=self.scope.site.milter_socket)
        self.make()

    def make(self):
        (self.folder / "sendmail.mc").write_text(self.mc)
        place = os.path.dirname(os.path.dirname(server_program("sendmail", "usr/share/sendmail/cf/m4/cf.m4")))
        words = ["m4", f"-D_CF_DIR_={place}/", f"{place}/m4/cf.m4", self.folder / "sendmail.mc"]
        self.cf.write_text(run(words, cwd=self.folder))

    def paste(self, found):
        """As it is said where a line belongs."""
        asked, others = self.doctor.paste(found)
        assert set(asked) <= {"restart milterscope"}
        if asked:
            self.scope.stop_at_once()
            self.scope.start()
        for one in others:
            assert "make sendmail.cf anew (Debian: sendmailconfig) and restart sendmail" in one.where
            replaced = re.search(r"in place of the line (?:that defines (\w+)|with ([^;]+));", one.where)
            if replaced:
                mark = f"MAIL_FILTER(`{replaced[1]}'" if replaced[1] else replaced[2]
                lines = [one.line if mark in line else line for line in self.mc.splitlines()]
                assert one.line in lines
                self.mc = "\n".join(lines) + "\n"
            else:
                self.mc += one.line + "\n"
        self.make()

    def cure(self, *texts):
        found = self.doctor.expect(*texts)
        self.paste(found)
        self.doctor.expect_silence()
        return found


@pytest.fixture
def sendmail(request, parts, scope):
    sendmail = Sendmail(parts.folder.disk / "cases" / re.sub(r"\W+", "-", request.node.name), scope)
    yield sendmail
    scope.site.settings = sendmail.before
    scope.site.write()


# ---- rightly ----

RIGHT = {
    "alone": OURS,
    "behind another": OTHER + OURS,
    "by another word": OURS.replace("unix:", "local:"),
    "without a word": OURS.replace("unix:", ""),
    "a listener of its own": OTHER + OURS + "DAEMON_OPTIONS(`Name=MSA, InputMailFilters=other;milterscope')dnl\n",
    "in the order of the list": OURS + OTHER + "define(`confINPUT_MAIL_FILTERS', `other, milterscope')dnl\n",
}


@pytest.mark.parametrize("filters", RIGHT.values(), ids=RIGHT)
def test_right(sendmail, filters):
    sendmail.write(filters)
    sendmail.doctor.expect_silence()
    assert sendmail.doctor.summary.startswith(f"sendmail, {sendmail.cf}: nothing found (")


# ---- wrongly ----

HANGS = "filter milterscope: one that hangs may hold up a session for "
WRONG = {
    "none": ("", ["sendmail.cf defines no filter with the socket unix:"]),
    "another": (OTHER, ["sendmail.cf defines no filter with the socket unix:"]),
    "defined, not used": (
        OTHER + OURS.removeprefix("INPUT_"),
        ["InputMailFilters: milterscope is not in it, so nothing that comes that way is counted"],
    ),
    "not last": (
        OURS + OTHER,
        ["InputMailFilters: milterscope is not the last, so it does not see the headers that other adds"],
    ),
    "twice": (
        OURS + OTHER + OURS.replace("milterscope'", "again'"),
        ["InputMailFilters: milterscope stands in it 2 times, so all is counted 2 times"],
    ),
    "F=T": (OURS.replace("F=", "F=T"), ["filter milterscope has F=T, so mail is put off with 4xx when"]),
    "F=R": (OURS.replace("F=", "F=R"), ["filter milterscope has F=R, so mail is refused with 5xx when"]),
    "F=4": (OURS.replace("F=", "F=4"), ["filter milterscope has F=4, so clients are turned away with 421 when"]),
    "no deadlines": (
        OURS.replace(", T=C:1s;S:2s;R:2s;E:5s", ""),
        [HANGS + "300 s at its start, 20 s at each command and 300 s at the end of a message"],
    ),
    "all of it": (
        OURS.replace("F=", "F=T").replace("C:1s", "C:1m") + OTHER,
        ["is not the last", "has F=T", HANGS + "60 s at its start, 4 s at each command and 5 s"],
    ),
    "a listener without": (
        OTHER + OURS + "DAEMON_OPTIONS(`Name=MSA, Port=587, M=Ea, InputMailFilters=other')dnl\n",
        ["InputMailFilters of listener MSA: milterscope is not in it"],
    ),
    "a listener with none": (
        OURS + "DAEMON_OPTIONS(`Name=MSA, Port=587, InputMailFilters=')dnl\n",
        ["InputMailFilters of listener MSA: milterscope is not in it"],
    ),
    "a listener with one other": (
        OTHER + OURS + "DAEMON_OPTIONS(`Name=MSA,Port=587,M=Ea,I=other')dnl\n",
        ["InputMailFilters of listener MSA: milterscope is not in it, so nothing that comes that way is counted"],
    ),
    "a listener with another behind": (
        OTHER + OURS + "DAEMON_OPTIONS(`Port=587, I=milterscope;other, Name=MSA')dnl\n",
        ["InputMailFilters of listener MSA: milterscope is not the last, so it does not see the headers that other"],
    ),
    "a listener with us twice": (
        OURS + "DAEMON_OPTIONS(`Name=MSA, Port=587, i=milterscope;milterscope')dnl\n",
        ["InputMailFilters of listener MSA: milterscope stands in it 2 times"],
    ),
    "a listener without a name": (
        OTHER + OURS + "DAEMON_OPTIONS(`Port=587, M=Ea, I=other')dnl\n",
        ["InputMailFilters of the listener with Port=587, M=Ea: milterscope is not in it"],
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_wrong(sendmail, case):
    filters, texts = case
    sendmail.write(filters)
    sendmail.cure(*texts)


@pytest.mark.parametrize(
    ("address", "host"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("IPv6:::1", "[::1]")]
)
def test_listener_where_mail_comes_back(sendmail, address, host):
    """It needs no filter, unless headers of the scanner are read there."""
    listener = f"DAEMON_OPTIONS(`Name=BACK, Port=10025, Addr={address}, InputMailFilters=')dnl\n"
    sendmail.write(OURS + listener)
    site, said = sendmail.scope.site, "InputMailFilters of listener BACK: milterscope is not in it"
    site.write(milter={"reinjection": [f"{host}:10026"]})
    sendmail.doctor.expect(said)
    site.write(milter={"reinjection": [f"{host}:10025"]})
    sendmail.doctor.expect_silence()
    site.write(spam={"scanner": "reinjection"})
    sendmail.cure(said)


def test_line_is_the_snippet(sendmail, scope):
    sendmail.write("")
    line = sendmail.cure("defines no filter")[0].line
    assert line + "\n" == OURS.format(socket=scope.site.milter_socket)


def test_more_sessions_than_we_take(sendmail, scope):
    scope.site.write(milter={"max_sessions": 10})
    scope.stop_at_once()
    scope.start()
    sendmail.write(OURS + "define(`confMAX_DAEMON_CHILDREN', `10')dnl\n")
    sendmail.doctor.expect_silence()
    sendmail.write(OURS + "define(`confMAX_DAEMON_CHILDREN', `11')dnl\n")
    sendmail.cure("the MTA may have 11 sessions at a time, milterscope takes 10 (milter.max_sessions)")


def test_runs_as_somebody(parts, sendmail, scope):
    needs_open_folders(parts)
    sendmail.write(OURS + "define(`confRUN_AS_USER', `news:news')dnl\n")
    sendmail.cure(f"sendmail runs as news, which may not open the socket {scope.site.milter_socket}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[127.0.0.1]"], ids=["address", "name", "brackets"])
def test_tcp(sendmail, scope, host):
    """By whatever name sendmail has it."""
    own = f"inet:{free_port()}@127.0.0.1"
    scope.site.write(milter={"socket": own})
    sendmail.write(OURS.replace("unix:{socket}", own.replace("127.0.0.1", host)))
    texts = ["milter.socket is TCP: every account on this host", f"nobody listens at {own}: milterscope does not run"]
    found = sendmail.doctor.expect(*texts)
    assert "40 ms longer FOR EVERY COMMAND" in found[0].text
    assert found[0].line == 'milter: {socket: "unix:/run/milterscope/milter.sock"}'


def test_no_configuration(sendmail):
    sendmail.scope.site.write(mta={"kind": "sendmail"})
    assert sendmail.doctor.look() == []
    assert sendmail.doctor.status == 69
    assert f"sendmail's configuration {sendmail.cf}: No such file" in sendmail.doctor.errors


# ---- what sendmail thinks of it ----


class Listener:
    """A port behind which each connection is a sendmail of its own, as from inetd. Its host has a whole name, which
    sendmail would wait for."""

    def __init__(self, cf):
        binary = server_program("sendmail", "usr/libexec/sendmail/sendmail")
        name = "echo mx.example.test >/proc/sys/kernel/hostname"
        self.words = ["unshare", "--uts", "sh", "-c", f'{name} && exec "$@"', "sh", binary, "-bs", "-C", str(cf)]
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        connection, _ = self.socket.accept()
        with connection:
            null = subprocess.DEVNULL
            words = self.words
            subprocess.run(words, stdin=connection, stdout=connection, stderr=null, timeout=GENEROUS, check=False)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.thread.join()
        self.socket.close()


def deliver(cf):
    """A message by SMTP. Returns the first reply."""
    with Listener(cf) as listener, Smtp(listener.address) as session:
        code, text = session.reply()
        if code == 220:
            session.command("EHLO client.test", 250)
            session.command("MAIL FROM:<a@ext.test>", 250)
            session.command("RCPT TO:<root@mx.example.test>", 250)
            session.command("DATA", 354)
            session.body("Subject: x\n\nText.\n", 250)
            session.quit()
        return code, text


@pytest.mark.parametrize(("mode", "whom"), [(0o775, "its group"), (0o757, "everybody"), (0o1777, "everybody")])
def test_folder_that_sendmail_refuses(sendmail, scope, mode, whom):
    folder = os.path.dirname(scope.site.milter_socket)
    sendmail.write(OURS)
    os.chmod(folder, mode)
    code, text = deliver(sendmail.cf)
    assert code == 451 and "unsafe" in text
    before = scope.passed()
    said = f"{folder} is writable to {whom}, so sendmail refuses the milter socket there as unsafe"
    if mode & 0o1000:  # one that all share, as /tmp: the socket has to go
        assert sendmail.doctor.expect(said)[0].line == 'milter: {socket: "unix:/run/milterscope/milter.sock"}'
        os.chmod(folder, 0o755)
    else:
        sendmail.cure(said)
    assert deliver(sendmail.cf)[0] == 220
    scope.wait_passed(before + 1)


def test_folder_that_sendmail_is_told_to_take(sendmail, scope):
    folder = os.path.dirname(scope.site.milter_socket)
    os.chmod(folder, 0o775)
    sendmail.write(OURS, BASE + "define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl\n")
    before = scope.passed()
    sendmail.doctor.expect_silence()
    assert deliver(sendmail.cf)[0] == 220
    scope.wait_passed(before + 1)
    os.chmod(folder, 0o755)


def test_mail_is_counted_again(sendmail, scope):
    before = scope.passed()
    sendmail.write(OTHER)
    sendmail.paste(sendmail.doctor.expect("defines no filter"))
    sendmail.mc = sendmail.mc.replace(OTHER, "")  # nobody is there, and F=T
    sendmail.make()
    assert deliver(sendmail.cf)[0] == 220
    scope.wait_passed(before + 1)
