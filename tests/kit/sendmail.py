"""A sendmail of a test's own, the real one. It takes whoever comes from a loopback address for this host, so it lives in a
network where clients have other addresses, too."""

import subprocess
import threading

import pytest

from kit.place import SCRIPTS, free_port, server_program
from kit.process import run
from kit.servers import START
from kit.tls import certificate
from kit.wait import GENEROUS, wait_until


# Each delivery is appended to a file, when there is none called `held`. One to `fail` fails.
DELIVER = """while [ -e {folder}/held ]; do sleep 0.05; done
[ "$1" != fail ] || {{ cat >/dev/null; exit 67; }} # EX_NOUSER
exec cat >>{folder}/delivered
"""


class Sendmail:
    """A sendmail that listens on `address` in `network`. `lines`: for sendmail.mc, where {folder} and {port} are its own. `tables`: maps
    of type hash by their names in etc/, `users`: passwords of SMTP AUTH, `dns`: it asks the network's (kit/names.py)."""

    def __init__(self, folder, network, lines="", name="sendmail", tables=None, users=None, dns=False):
        self.folder = folder.disk / name
        self.network = network
        self.lines = lines
        self.tables, self.users, self.dns = tables or {}, users or {}, dns
        with network.visit():
            self.address = ("127.0.0.1", free_port())
        self.socket_folder = self.folder / "milterscope"  # /run/milterscope to this sendmail
        self.make_folders()

    def make_folders(self):
        """Sendmail takes nothing that lies in a folder to which others may write."""
        self.socket_folder.mkdir(parents=True, mode=0o755)
        (self.folder / "etc").mkdir(mode=0o755)
        for above in self.socket_folder.parents:
            if above.stat().st_mode & 0o022:
                pytest.skip(f"{above} is writable to others: sendmail takes nothing below it")

    def logs(self):
        return [self.folder / "start.log"]

    def write(self):
        etc = self.folder / "etc"
        lines = self.lines.replace("{folder}", str(self.folder))
        (etc / "lines.mc").write_text(lines.replace("{port}", str(self.address[1])))
        for name, rows in self.tables.items():
            (etc / f"{name}.table").write_text("".join(f"{key}\t{value}\n" for key, value in rows.items()))
        if self.dns:
            (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        (etc / "deliver").write_text(DELIVER.format(folder=self.folder))
        (etc / "users").write_text("".join(f"{name} {password}\n" for name, password in self.users.items()))

    def start(self):
        self.write()
        with self.network.visit():
            run([SCRIPTS / "private-sendmail", "start", self.folder, self.address[1], self.folder / "etc/lines.mc"], START)

    def stop(self):
        run([SCRIPTS / "private-sendmail", "stop", self.folder])

    def submit(self, *arguments, text, program="sendmail"):
        """Hands mail in as a local program does, with sendmail's arguments; `mta`: to the server's own program."""
        with self.network.visit():
            run([self.folder / program, *arguments], input=text)

    def converse(self, commands, program="sendmail"):
        """SMTP on standard input (-bs) of the program for submissions, or of the server's own: `mta`. Returns the replies."""
        with self.network.visit(), Conversation([self.folder / program, "-bs"]) as conversation:
            return [conversation.command(text) for text in ["", *commands]]

    def run_queue(self, program="mta", expect=0):
        """All that waits is delivered, or returned. `expect`: the exit status."""
        with self.network.visit():
            run([self.folder / program, "-q", "-v"], 2 * GENEROUS, expect)  # silent, it would do it behind our back

    def queued(self, queue="queue"):
        return sorted(path.name for path in (self.folder / queue).glob("qf*"))

    def wait_idle(self):
        """Each session is a process of its own, which ends after the client's."""
        pid = int((self.folder / "pid").read_text().split()[0])

        def sessions():
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                return children.read().split()

        wait_until(lambda: not sessions(), lambda: f"no session of sendmail's; there are {sessions()}")

    def __enter__(self):
        server_program("sendmail", "usr/sbin/saslpasswd2")
        self.start()
        return self

    def __exit__(self, *failure):
        self.stop()


class Conversation:
    """A program that speaks SMTP on its standard input and output, one command at a time."""

    def __init__(self, words):
        pipe = subprocess.PIPE
        self.program = subprocess.Popen([str(word) for word in words], stdin=pipe, stdout=pipe, text=True)
        self.guard = threading.Timer(GENEROUS, self.program.kill)

    def __enter__(self):
        self.guard.start()
        return self

    def command(self, text):
        """The code of the reply; of the greeting, where there is no text. A text may have several lines."""
        if text:
            self.program.stdin.write(text.replace("\n", "\r\n") + "\r\n")
            self.program.stdin.flush()
        line = self.program.stdout.readline()
        while line[3:4] == "-":
            line = self.program.stdout.readline()
        return int(line[:3] or 0)

    def __exit__(self, *failure):
        self.program.stdin.close()
        self.program.wait()
        self.guard.cancel()


def encryption(folder):
    """Lines for STARTTLS of every version, with a certificate of our own."""
    settings = certificate(folder)
    names = {"SERVER_CERT": "smtpd_tls_cert_file", "SERVER_KEY": "smtpd_tls_key_file", "CACERT": "smtpd_tls_cert_file"}
    lines = [f"define(`conf{name}', `{settings[setting]}')dnl\n" for name, setting in names.items()]
    return "".join(lines) + f"define(`confCACERT_PATH', `{folder.disk}')dnl\n"
