"""Top lists of mail of users who log in for real, through Postfix and through sendmail: what each MTA tells the filter of them,
as milterscope(8) says."""

import os

import pytest
import sendmailserver
from kit.network import Network
from kit.sasl import Accounts, authenticate
from kit.sendmail import Sendmail
from kit.servers import Postfix
from kit.smtp import Smtp
from mail import TEXT, attached
from test_top import started, wait_rows

NO_DNS = "FEATURE(`accept_unresolvable_domains')dnl\n"
AUTH = "define(`confAUTH_MECHANISMS', `PLAIN')dnl\nTRUST_AUTH_MECH(`PLAIN')dnl\n"


def say(address, source=None, unknown="noone@example.test"):
    """As joe two messages, one of them spam; then one of nobody who has logged in."""
    for user, texts in (("joe", ["X-Spam-Status: Yes, score=9\n", ""]), ("", [""])):
        with Smtp(address, source) as smtp:
            smtp.greet()
            smtp.command("EHLO Client.test", 250)
            if user:
                assert authenticate(smtp, user) == 235
            for text in texts:
                smtp.command("MAIL FROM:<a@mail.ext.test>", 250)
                smtp.command("RCPT TO:<alice@example.test>", 250)
                smtp.command(f"RCPT TO:<{unknown}>", 550)
                smtp.command("DATA", 354)
                smtp.body(text + TEXT, 250)
            smtp.quit()


def wait_lists(exporter, client, user, unknown="noone@example.test"):
    wait_rows(exporter, "user", {user: (2, 4, 2, 1)})
    wait_rows(exporter, "client", {client: (3, 6, 3, 1)})
    wait_rows(exporter, "sender_domain", {"ext.test": (3, 6, 3, 1)})
    wait_rows(exporter, "recipient_domain", {"example.test": (3, 6, 3, 1)})
    wait_rows(exporter, "helo", {"client.test": (3, 6, 3, 1)})
    wait_rows(exporter, "unknown_recipient", {unknown: (0, 3, 3, 0)}, by="refused")


def test_postfix(own_parts, redis, milter_socket):
    accounts = own_parts.start(Accounts(own_parts.folder))
    postfix = own_parts.start(Postfix(own_parts.folder, attached(milter_socket) | accounts.settings, "postfix-users"))
    node = started(own_parts, "users", redis, milter_socket, postfix.account()["group"])
    say(postfix.address, unknown="nobody@example.test")
    wait_lists(node.exporter, "127.0.0.1", "joe", "nobody@example.test")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")
def test_sendmail(own_parts, redis):
    network = own_parts.start(Network())
    lines = NO_DNS + AUTH + sendmailserver.SNIPPET
    mta = Sendmail(own_parts.folder, network, lines, users=sendmailserver.PASSWORDS)
    node = started(own_parts, "users_sendmail", redis, mta.socket_folder / "milter.sock")
    own_parts.start(mta)
    with network.visit():
        say(mta.address, sendmailserver.EXTERNAL)
    wait_lists(node.exporter, sendmailserver.EXTERNAL, "joe")
