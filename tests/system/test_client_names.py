"""What reverse DNS says of clients, as a real Postfix finds it by the system's resolver."""

import pytest
from kit.dns import NameServer, asking_us
from kit.servers import Postfix
from mail import attached, send
from scope import Scope, site_in
from truth import metric

NAMES = {
    "127.0.0.11": "good.test",
    "127.0.0.12": "others.test",  # which is another host's
    "127.0.0.13": "nowhere.test",  # which nobody knows
    "127.0.0.14": "silent.test",
}
ADDRESSES = {"good.test": "127.0.0.11", "others.test": "192.0.2.1"}
BROKEN = ["silent.test", "127.0.0.16"]

FOUND = {
    "127.0.0.11": "ok",
    "127.0.0.12": "forged",
    "127.0.0.13": "forged",
    "127.0.0.14": "tempfail",
    "127.0.0.15": "unknown",
    "127.0.0.16": "tempfail",
}


@pytest.fixture(scope="module")
def postfix(parts, milter_socket):
    parts.start(NameServer(NAMES, ADDRESSES, BROKEN))
    there = parts.start(asking_us(parts.folder.disk))
    return parts.start(Postfix(parts.folder, attached(milter_socket, smtpd_peername_lookup="yes"), enter=there.enter))


def test_client_names(own_parts, postfix, milter_socket):
    site = site_in(own_parts, "names", socket=milter_socket, group=postfix.account()["group"])
    scope = own_parts.start(Scope(site))
    expected = dict.fromkeys(("ok", "forged", "unknown", "tempfail"), 0)
    for client, resolve in FOUND.items():
        send(postfix, source=client)
        expected[resolve] += 1
        scope.wait_passed(sum(expected.values()))
        counts = {name: scope.value("client_name_total", resolve=name) for name in expected}
        assert counts == expected, f"{client}, {metric('client_name_total', resolve=resolve)}"
