"""The doctor's words, and what an administrator does with them: lines for the shell are run, lines for our own
configuration are written there, lines for sendmail.mc are handed on. There is no systemd in a test: a line that calls
systemctl calls a script that notes what was asked, and the test does it."""

import os
import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest
import yaml
from kit.place import TOP, program, server_program
from kit.process import run
from kit.servers import Postfix
from kit.wait import GENEROUS
from scope import site_in

ACCOUNT = "games"  # one of Debian's that nobody uses: whom milterscope runs as
AS_ACCOUNT = ["setpriv", "--pdeathsig=TERM", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups"]
SNIPPET = (TOP / "conf/postfix/main.cf").read_text()
RECOMMENDED = re.search(r"^smtpd_milters = (.*)", SNIPPET, flags=re.MULTILINE).group(1)


def needs_open_folders(parts):
    """Our account has to get at the tree; a home of root is closed to it."""
    if subprocess.run([*AS_ACCOUNT, "test", "-x", parts.folder.disk], check=False, timeout=GENEROUS).returncode != 0:
        pytest.skip(f"{ACCOUNT} may not enter {parts.folder.disk}")


def postfix_as_recommended(parts):
    needs_open_folders(parts)
    milters = {"smtpd_milters": RECOMMENDED, "non_smtpd_milters": "$smtpd_milters"}
    return parts.start(Postfix(parts.folder, milters))


def make_folder(postfix):
    """Of the socket, as systemd-tmpfiles makes it: our account's, and its content the group's."""
    folder = postfix.folder / "queue" / "milterscope"
    run(["install", "-d", "-o", ACCOUNT, "-g", postfix.account()["group"], "-m", "2750", folder])
    return folder


def site_at(parts, postfix, redis, name):
    """Of a milterscope that runs as ACCOUNT."""
    site = site_in(parts, name, redis.url)
    site.milter_socket = str(make_folder(postfix) / "milter.sock")
    site.write(milter={"socket": f"unix:{site.milter_socket}", "socket_group": ""}, redis={"push_interval": 60})
    for folder in (site.run_directory, site.state_directory):
        shutil.chown(folder, ACCOUNT, ACCOUNT)
    return site


def doctor_with_copy(parts, postfix, site, name):
    """A doctor who looks at a copy of Postfix' configuration, which a test may spoil."""
    folder = parts.folder.disk / "cases" / re.sub(r"\W+", "-", name)
    folder.mkdir(parents=True)
    shutil.copytree(postfix.folder / "etc", folder / "etc")
    return Doctor(site, folder, MAIL_CONFIG=str(folder / "etc"))


def parse(text):
    """The findings of what was printed: text, where, line; and the last line."""
    *lines, summary = text.splitlines() or [""]
    found, above = [], []
    for line in lines:
        if line.startswith("    "):
            said, where = re.fullmatch(r"(.*?)\. ((?:Run|Put into|See)[^.]*.*):", above.pop()).groups()
            above = [text.removesuffix(".") for text in above] + [said]
            found += [SimpleNamespace(text=text, where=where, line=line.strip()) for text in above]
            above = []
        else:
            above.append(line)
    assert not above
    return found, summary


class Doctor:
    """Looks for a site, with an MTA's configuration in the environment or in the site's file. `entering`: words before
    the command."""

    def __init__(self, site, folder, programs=None, **environment):
        self.site = site
        self.asked_file = folder / "asked"
        self.programs = programs
        self.environment = os.environ | {"PATH": self.path(folder)} | environment
        self.entering = []
        self.status, self.summary, self.errors = None, "", ""

    def path(self, folder):
        """Where its lines find the MTA's programs, redis-cli, and our systemctl."""
        own = folder / "bin"
        own.mkdir(exist_ok=True)
        (own / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{self.asked_file}\n')
        (own / "systemctl").chmod(0o755)
        servers = [server_program("postfix", "usr/sbin/postconf"), server_program("redis", "usr/bin/redis-cli")]
        return ":".join([str(own), *map(os.path.dirname, servers), os.environ["PATH"]])

    def age(self):
        """postconf waits while a configuration is younger than two seconds."""
        for name in ("main.cf", "master.cf"):
            path = os.path.join(self.environment.get("MAIL_CONFIG", "/nonexistent"), name)
            if os.path.exists(path):
                os.utime(path, (10**9, 10**9))

    def look(self):
        """The findings."""
        self.age()
        command = self.programs / "milterscope" if self.programs else program("milterscope")
        done = subprocess.run(
            [*self.entering, str(command), "-c", str(self.site.file), "--check-mta"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=GENEROUS,
            check=False,
        )
        assert "Sanitizer" not in done.stderr, done.stderr
        self.status, self.errors = done.returncode, done.stderr
        found, self.summary = parse(done.stdout)
        assert (self.status == 1) == bool(found), done
        return found

    def expect_silence(self):
        """Nothing is found, and that is one line."""
        found = self.look()
        assert [one.text for one in found] == []
        assert (self.status, self.errors) == (0, "")
        assert ": nothing found (" in self.summary

    def expect(self, *texts):
        """These are found, in this order, and nothing else; a text is a part of what is said."""
        found = self.look()
        said = [one.text for one in found]
        assert len(said) == len(texts), said
        for one, text in zip(said, texts, strict=True):
            assert text in one, said
        assert self.errors == ""
        return found

    def run(self, line):
        """A line for the shell; returns what systemctl was asked for."""
        self.asked_file.write_text("")
        self.age()
        null = subprocess.DEVNULL
        subprocess.run(["sh", "-euc", line], env=self.environment, check=True, timeout=GENEROUS, stdout=null)
        return self.asked_file.read_text().splitlines()

    def paste(self, found):
        """Does with the lines what is said, each once; returns what systemctl was asked for, and the findings whose
        lines were not for a shell or our configuration."""
        asked, others, done = [], [], set()
        for one in found:
            if one.line in done:
                continue
            done.add(one.line)
            if one.where.startswith("Run"):
                asked += self.run(one.line)
            elif str(self.site.file) in one.where:
                self.site.write(**yaml.load(one.line, yaml.BaseLoader))
                asked.append("restart milterscope")
            else:
                others.append(one)
        return asked, others


def change(doctor, *commands):
    """Sets Postfix up: arguments of postconf, a list of words each."""
    for words in commands:
        doctor.age()
        subprocess.run(["postconf", *words], env=doctor.environment, check=True, timeout=GENEROUS)
