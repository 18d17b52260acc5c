"""Scanners for spam and viruses, the real ones, private to a test. They ask no network, and learn from nobody but the
test. Each is a context: `with` runs it; one that is stopped can be started again."""

import contextlib
import os
import shutil
import signal
import socket

from kit.place import SERVERS, free_port, server_program, socket_path
from kit.process import Process
from kit.procfs import alive, session
from kit.servers import START
from kit.wait import wait_until

# What every scanner takes for spam, and for a virus.
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
EICAR = "X5O!P%@AP[4" + r"\PZX54(P^)7CC)7}$EICAR" + "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
UNPRIVILEGED = "nobody"  # for scanners that do not run as root


def as_nobody():
    """Words that tell a scanner so, where we are root."""
    return ["-u", UNPRIVILEGED] if os.geteuid() == 0 else []


class Scanner:
    """A program in the foreground. Its files are where any account finds them, since some give up root's rights and may
    live below a closed home."""

    name = None
    end = signal.SIGTERM

    def __init__(self, folder):
        self.disk = folder.disk / self.name
        self.tmpfs = folder.tmpfs / self.name
        self.milter = socket_path(folder.tmpfs / f"{self.name}.sock")
        self.process = None

    def logs(self):
        return [self.disk / "log"]

    def copy(self, server, path):
        """A folder of the unpacked server, where any account can read it."""
        copied = self.tmpfs / server / path
        if not copied.exists():
            shutil.copytree(SERVERS / server / path, copied)
        return copied

    def write(self, name, text):
        path = self.tmpfs / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def prepare(self):
        """What it needs before it is started."""

    def command(self):
        raise NotImplementedError

    def ready(self):
        return accepts(self.milter)

    def answers(self):
        self.process.check_alive()
        return self.ready()

    def start(self):
        self.process = Process([str(word) for word in self.command()], self.logs()[0])
        wait_until(self.answers, f"{self.name} answers", START)

    def stop(self):
        self.process.stop(self.end)

    def __enter__(self):
        self.disk.mkdir(exist_ok=True)
        self.tmpfs.mkdir(exist_ok=True)
        self.prepare()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        if self.process:
            self.stop()


def accepts(address):
    """Whether somebody listens: at the path of a Unix socket, or at (host, port)."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(2.0)
        try:
            connection.connect(address)
        except OSError:
            return False
    return True


RSPAMD = """
options {{
    filters = "regexp";
    url_tld = "{here}/tld";
    tempdir = "{here}";
    cache_file = "{here}/symbols";
    hs_cache_dir = "{here}";
    control_socket = "{here}/control";
    dynamic_conf = "{here}/dynamic";
    history_file = "{here}/history";
    stats_file = "{here}/stats";
    local_addrs = [];
    gtube_patterns = "all";
    enable_test_patterns = true;
    dns {{ nameserver = ["127.0.0.1:9"]; timeout = 1s; retransmits = 1; fake_records = [{records}]; }}
}}
logging {{ type = "console"; level = "info"; }}
actions {{ reject = 100; add_header = 6; }}
modules {{ path = "{share}/plugins"; }}
worker "rspamd_proxy" {{
    bind_socket = "{milter} mode=0666";
    milter = yes;
    count = 1;
    timeout = 60s;
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
spf {{ check_local = true; check_authed = true; }}
regexp {{ TEST_SPAM = {{ re = "/{spam}/{{mime}}"; score = 20.5; }} }}
"""


class Rspamd(Scanner):
    """rspamd as a milter. `modules`: sections of its configuration; `texts`: {domain: what DNS would say of it}."""

    SPAM = "all the marks of spam"  # by a rule of ours; GTUBE it refuses
    GTUBE = "Y" + GTUBE[1:]  # another one, which it marks

    def __init__(self, folder, modules, texts=None, name="rspamd"):
        self.name = name
        super().__init__(folder)
        self.modules = modules
        self.texts = texts or {}

    def prepare(self):
        server_program("rspamd", "usr/bin/rspamd")
        share = SERVERS / "rspamd/usr/share/rspamd"
        records = [f'{{name = "{name}"; type = "txt"; replies = ["{text}"];}}' for name, text in self.texts.items()]
        words = {"here": self.tmpfs, "share": share, "milter": self.milter, "records": ", ".join(records)}
        words["spam"] = self.SPAM
        self.file = self.write("rspamd.conf", RSPAMD.format(**words) + self.modules)
        self.write("tld", "test\n")

    def stop(self):
        """All its processes at once; told to stop, it may take sixteen seconds."""
        for process in alive():
            if process.session == self.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        self.process.popen.wait()
        wait_until(lambda: not session(self.process.pid), "no process of rspamd is left")

    def command(self):
        share = SERVERS / "rspamd/usr/share/rspamd"
        folders = {"PLUGINS": "plugins", "RULES": "rules", "LUALIB": "lualib", "WWW": "www", "SHARE": "."}
        paths = [f"{name}DIR={share / path}" for name, path in folders.items()]
        paths += [f"{name}DIR={self.tmpfs}" for name in ("DB", "RUN", "LOG")]
        return ["env", *paths, SERVERS / "rspamd/usr/bin/rspamd", "-f", "--insecure", "-c", self.file]


SPAMASSASSIN = """
use_bayes 0
skip_rbl_checks 1
dns_available no
score NO_RELAYS 0
"""
RULES = "usr/share/spamassassin"
PLUGINS = ("Check", "BodyEval", "HeaderEval", "HTMLEval", "MIMEEval", "MIMEHeader", "RelayEval", "ReplaceTags")
PLUGINS += ("URIEval", "URIDetail", "WLBLEval", "FreeMail", "HTTPSMismatch", "VBounce", "WelcomeListSubject")


class Spamd(Scanner):
    """SpamAssassin's server, with the rules of its package as far as they need no network."""

    name = "spamd"

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = socket_path(folder.tmpfs / "spamd.sock")

    def prepare(self):
        server_program("spamassassin", "usr/sbin/spamd")
        self.modules = self.copy("spamassassin", "usr/share/perl5")
        self.rules = self.copy("spamassassin", RULES)
        self.write("site/init.pre", "".join(f"loadplugin Mail::SpamAssassin::Plugin::{name}\n" for name in PLUGINS))
        self.site = self.write("site/local.cf", SPAMASSASSIN).parent

    def ready(self):
        return accepts(self.socket)

    def command(self):
        perl = ["perl", "-T", "-I", self.modules, SERVERS / "spamassassin/usr/sbin/spamd"]
        place = [f"--socketpath={self.socket}", "--socketmode=0666", "--syslog=stderr"]
        return [*perl, "-L", "-x", "-m", "1", "-C", self.rules, f"--siteconfigpath={self.site}", *place, *as_nobody()]


class SpamassMilter(Scanner):
    """Puts SpamAssassin's headers on mail, and changes nothing else."""

    name = "spamass-milter"
    end = signal.SIGKILL  # libmilter takes five seconds to obey

    def __init__(self, folder, spamd):
        super().__init__(folder)
        self.spamd = spamd

    def command(self):
        there = SERVERS / "spamassassin"  # where it looks for spamc
        return ["env", "-C", there, "usr/sbin/spamass-milter", "-m", "-p", self.milter, "--", "-U", self.spamd.socket]

    def start(self):
        super().start()
        os.chmod(self.milter, 0o666)


class Clamd(Scanner):
    """ClamAV's server, which knows one virus: EICAR."""

    name = "clamd"

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = socket_path(folder.tmpfs / "clamd.sock")

    def prepare(self):
        server_program("clamav", "usr/sbin/clamd")
        base = self.write("base/test.ndb", f"Eicar-Test:0:*:{EICAR.encode().hex()}\n").parent
        lines = [f"LocalSocket {self.socket}", "LocalSocketMode 666", f"DatabaseDirectory {base}", "Foreground yes"]
        self.file = self.write("clamd.conf", "\n".join([*lines, f"TemporaryDirectory {self.tmpfs}", ""]))

    def ready(self):
        return accepts(self.socket)

    def command(self):
        return [SERVERS / "clamav/usr/sbin/clamd", "-c", self.file]


class ClamavMilter(Scanner):
    """Puts ClamAV's headers on mail. `headers`: what its option AddHeader says."""

    end = signal.SIGKILL

    def __init__(self, folder, clamd, headers):
        self.name = f"clamav-milter-{headers.lower()}"
        super().__init__(folder)
        self.clamd, self.headers = clamd, headers

    def prepare(self):
        lines = [f"MilterSocket unix:{self.milter}", "MilterSocketMode 666", f"ClamdSocket unix:{self.clamd.socket}"]
        lines += ["Foreground yes", "OnInfected Accept", "OnFail Accept", f"AddHeader {self.headers}"]
        self.file = self.write("milter.conf", "\n".join([*lines, f"TemporaryDirectory {self.tmpfs}", ""]))

    def command(self):
        return [SERVERS / "clamav/usr/sbin/clamav-milter", "-c", self.file]


AMAVIS = """use strict;
$MYHOME = '{home}'; $TEMPBASE = "$MYHOME"; $db_home = "$MYHOME"; $QUARANTINEDIR = undef;
$max_servers = 2; $max_requests = 0; $daemonize = 0; $enable_db = 0; $enable_zmq = 0; $DO_SYSLOG = 0; $log_level = 1;
$pid_file = "$MYHOME/pid"; $lock_file = "$MYHOME/lock";
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = {port};
$forward_method = 'smtp:[127.0.0.1]:{back}'; $notify_method = $forward_method;
$myhostname = 'mx.example.test'; $mydomain = 'example.test'; @local_domains_maps = ([qw(.example.test)]);
$sa_local_tests_only = 1; $sa_configpath = '{rules}'; $sa_siteconfigpath = '{site}';
$sa_tag_level_deflt = undef; $sa_tag2_level_deflt = 6.2; $sa_kill_level_deflt = 9999; $sa_spam_subject_tag = undef;
@spam_tag_level_maps = ({{ '{levelled}' => 2.0 }}, \\$sa_tag_level_deflt);
$final_virus_destiny = D_PASS; $final_banned_destiny = D_PASS; $final_spam_destiny = D_PASS;
$virus_quarantine_method = undef; $spam_quarantine_method = undef; $warnvirusrecip = 0;
@av_scanners = (['clamd', \\&ask_daemon, ["CONTSCAN {{}}\\n", '{clamd}'],
    qr/\\bOK$/m, qr/\\bFOUND$/m, qr/^.*?: (?!Infected Archive)(.*) FOUND$/m]);
@decoders = ();
1;
"""


class Amavis(Scanner):
    """Amavis as a content filter, with SpamAssassin and ClamAV: takes mail at `address`, hands it back at the port
    `back`. `levelled`: an address whose mail it marks from a score on, as is usual, and not always."""

    name = "amavis"

    def __init__(self, folder, spamd, clamd, back, levelled):
        super().__init__(folder)
        self.spamd, self.clamd, self.back, self.levelled = spamd, clamd, back, levelled
        self.address = ("127.0.0.1", free_port())

    def prepare(self):
        server_program("amavis", "usr/sbin/amavisd")
        self.modules = self.copy("amavis", "usr/share/perl5")
        home = self.tmpfs / "home"
        home.mkdir()
        words = {"home": home, "port": self.address[1], "back": self.back, "levelled": self.levelled}
        words |= {"rules": self.spamd.rules, "site": self.spamd.site, "clamd": self.clamd.socket}
        self.file = self.write("amavisd.conf", AMAVIS.format(**words))
        if os.geteuid() == 0:
            shutil.chown(home, UNPRIVILEGED)
        self.write_program()

    def write_program(self):
        """It runs itself by its name, as whom it will be, and forgets perl's options then."""
        first, rest = (SERVERS / "amavis/usr/sbin/amavisd").read_text().split("\n", 1)
        executes = not os.statvfs(self.tmpfs).f_flag & os.ST_NOEXEC
        self.program = (self.tmpfs if executes else self.disk) / "amavisd"
        self.program.write_text(f"{first}\nuse lib qw({self.modules} {self.spamd.modules});\n{rest}")
        self.program.chmod(0o755)

    def ready(self):
        return accepts(self.address)

    def command(self):
        return [self.program, *as_nobody(), "-c", self.file, "foreground"]
