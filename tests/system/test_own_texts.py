"""The operator's own texts of refusals, behind a real Postfix: asked before the built-in ones, and read anew at a reload, for sessions
that begin after it."""

import signal

import pytest
from kit.metrics import labels_of
from mail import Session
from scope import Scope
from truth import metric

DENIED = "user@relay.test"  # Postfix: 5.7.1, Relay access denied


def refused(session):
    session.command("MAIL FROM:<a@ext.test>", 250)
    code, _ = session.command(f"RCPT TO:<{DENIED}>")
    assert code == 554
    session.command("RSET", 250)


@pytest.fixture
def scope(own_parts, attached_site):
    attached_site.write(reject_texts=[{"class": "auth_required", "text": "Relay ACCESS"}])
    return own_parts.start(Scope(attached_site))


def classes(scope):
    scope.wait_value(0, "sessions_active")
    counts = scope.dump().of(metric("rejects_total"))
    return {labels_of(series)["class"]: count for series, count in counts.items() if count}


def reload(scope, limit, *texts):
    """`limit`: tells when the filter has taken it."""
    scope.site.write(reject_texts=list(texts), milter={"max_sessions": limit})
    scope.process.send(signal.SIGUSR1)
    scope.wait_value(limit, "sessions_limit")


def test_own_texts_and_their_reload(scope, postfix):
    with Session(postfix) as session:
        refused(session)
        session.quit()
    assert classes(scope) == {"auth_required": 1}
    with Session(postfix) as session:
        refused(session)
        reload(scope, 501, {"class": "dnsbl", "text": "never said"}, {"class": "rate", "text": "access denied"})
        refused(session)  # it goes on with what it began with
        session.quit()
    assert classes(scope) == {"auth_required": 3}
    with Session(postfix) as session:
        refused(session)
        session.quit()
    assert classes(scope) == {"auth_required": 3, "rate": 1}
    reload(scope, 502)
    with Session(postfix) as session:
        refused(session)
        session.quit()
    assert classes(scope) == {"auth_required": 3, "rate": 1, "relay_denied": 1}
