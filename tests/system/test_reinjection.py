"""Mail that a content filter hands back to Postfix: a message once, though the milter sees it twice, and its spam headers
where the scanner wrote them."""

import pytest
from kit.place import free_port
from kit.servers import Postfix
from mail import Session, attached
from scope import Scope, site_in
from truth import metric

FORGED = "X-Spam-Status: Yes, score=99\n"
SCANNED = "X-Spam-Status: No, score=1.5 required=6.2\n"


@pytest.fixture(scope="module")
def postfix(parts, milter_socket):
    """Its second listener is the one to which the filter hands mail back."""
    back = ("127.0.0.1", free_port())
    listener = {"%s:%d/inet" % back: "%s:%d inet n - n - - smtpd" % back}
    postfix = parts.start(Postfix(parts.folder, attached(milter_socket) | listener))
    postfix.back = back
    return postfix


def message(address, text):
    with Session(address) as session:
        session.begin_message()
        session.command("RCPT TO:<alice@example.test>", 250)
        session.command("DATA", 354)
        session.body(text + FORGED + "Subject: a test\n\nText.\n", 250)
        session.quit()


class Back:
    """The second listener, as Session takes it."""

    def __init__(self, postfix):
        self.address = postfix.back


@pytest.mark.parametrize(
    ("scanner", "verdicts"),
    [("reinjection", {"clean": 2}), ("milter", {"spam": 2}), ("none", {})],
)
def test_mail_that_comes_back_is_counted_once(own_parts, postfix, milter_socket, scanner, verdicts):
    listeners = ["%s:%d" % postfix.back]
    settings = {"milter": {"reinjection": listeners}, "spam": {"scanner": scanner}}
    site = site_in(own_parts, scanner, socket=milter_socket, group=postfix.account()["group"], **settings)
    scope = own_parts.start(Scope(site))
    for _ in range(2):
        message(postfix, "")
        message(Back(postfix), SCANNED)
    scope.wait_passed(2)
    scope.wait_value(0, "sessions_active")
    values = scope.dump().values
    once = {
        metric("connections_total", client="internal"): 2,
        metric("mail_sessions_total", tls="none"): 2,
        metric("client_name_total", resolve="unknown"): 2,
        metric("recipients_total", source="internal", outcome="accepted"): 2,
        metric("session_seconds_count"): 2,
        metric("message_seconds_count"): 2,
        metric("received_hops_count"): 2,
    }
    assert {series: values[series] for series in once} == once
    counted = {series: value for series, value in scope.dump().of(metric("spam_verdicts_total")).items() if value}
    assert counted == {
        metric("spam_verdicts_total", source="internal", verdict=verdict): number
        for verdict, number in verdicts.items()
    }
