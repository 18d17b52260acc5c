"""Scanners that are programs through which a message is piped, and that know what they were taught: bogofilter and
CRM114."""

import re
import shutil

from kit.place import SERVERS, server_program
from kit.process import run

SPAM = "cheap pills buy now viagra casino money lottery winner"
HAM = "the minutes of our meeting about the design of bridges and roads"
TIMES = 5  # that each is taught


class Bogofilter:
    def __init__(self, folder):
        self.program = server_program("bogofilter", "usr/bin/bogofilter-bdb")
        self.words = folder.disk / "bogofilter"
        self.words.mkdir()
        for option, text in (("-s", SPAM), ("-n", HAM)):
            for _ in range(TIMES):
                self.run(option, text=f"Subject: {text}\n\n{text}\n")

    def run(self, *options, text):
        return run([self.program, "-d", self.words, *options], input=text)

    def passed(self, text):
        """The message as it leaves the scanner."""
        return self.run("-p", "-e", text=text)


class Crm114:
    def __init__(self, folder):
        self.program = server_program("crm114", "usr/bin/crm")
        self.place = folder.disk / "crm114"
        shutil.copytree(SERVERS / "crm114/usr/share/crm114", self.place)
        script = self.place / "mailreaver.crm"
        script.write_text(script.read_text().replace("insert /usr/share/crm114/", "insert "))
        settings = self.place / "mailfilter.cf"  # surer of itself after a few examples
        settings.write_text(re.sub(r"(?<=_threshold: /)(-?)5\.0(?=/)", r"\g<1>1.0", settings.read_text()))
        for name in ("rewrites.mfp", "priolist.mfp", "whitelist.mfp", "blacklist.mfp"):
            (self.place / name).touch()
        for name, text in (("spam.css", SPAM), ("nonspam.css", HAM)):
            for _ in range(TIMES):
                self.run(f"-{{learn <osb unique microgroom> ({name}) /[[:graph:]]+/}}", text=text + "\n")

    def run(self, *words, text):
        return run([self.program, *words], input=text, cwd=self.place)

    def passed(self, text):
        """The message as it leaves the scanner."""
        return self.run("-u", self.place, "mailreaver.crm", text=text)
