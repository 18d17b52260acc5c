"""The operator's own domains: totals under names that only the configuration knows. Whatever becomes of it, they go on
under their names, in the tally, in Redis, and at exporters of node and fleet, and never for another domain."""

import signal

import pytest
from exporter import OWNER, exporter_in, push
from in_redis import Trace, counters
from kit.metrics import labels_of, name_of
from kit.programs import Exporter
from kit.tally import Tally
from kit.wait import wait_until
from mail import TEXT, Session
from scope import Scope, site_in, the_machine_starts
from truth import metric

FAMILIES = [metric("domain_messages_total"), metric("domain_recipients_total")]
SERIES = 8  # of a domain
MOST = 64


def by_domain(values):
    """{domain: {verdict or outcome: count}}, of counts those that are not 0; every domain has all of its series."""
    found, series = {}, {}
    for name, value in values.items():
        if name_of(name) in FAMILIES:
            labels = labels_of(name)
            domain = labels.pop("domain")
            (what,) = labels.values()
            series[domain] = series.get(domain, 0) + 1
            found.setdefault(domain, {}).update({what: value} if value else {})
    assert set(series.values()) <= {SERIES}, series
    return found


def passed(messages, accepted=0, refused=0):
    """What is counted for a domain that some messages passed for."""
    counts = {"passed": messages, "accepted": accepted, "refused": refused}
    return {what: count for what, count in counts.items() if count}


def write_to(session, *recipients):
    """A message that passes. Postfix takes those at example.test alone, and refuses the others."""
    session.begin_message()
    for recipient in recipients:
        code, _ = session.command(f"RCPT TO:<{recipient}>")
        assert (code == 250) == recipient.lower().endswith("@example.test")
    session.command("DATA", 354)
    session.body(TEXT, 250)


def send_to(postfix, *recipients):
    with Session(postfix) as session:
        write_to(session, *recipients)
        session.quit()


class Domains(Scope):
    """A milterscope whose domains change, with two exporters that see it all."""

    def __init__(self, site, redis):
        super().__init__(site)
        self.redis, self.reloads = redis, 0

    def configure(self, *domains):
        """With a number that tells when the filter has taken it."""
        self.reloads += 1
        self.site.write(domains=list(domains), milter={"max_sessions": 500 + self.reloads})

    def reload(self, *domains):
        self.configure(*domains)
        self.process.send(signal.SIGUSR1)
        self.wait_value(500 + self.reloads, "sessions_limit")

    def wait(self, expected):
        """Until this is shown, wherever it is shown: these domains, and no others."""
        places = {
            "Redis": lambda: counters(self.redis, self),
            "node": lambda: self.node.metrics().values,
            "fleet": lambda: self.of_fleet(),
        }
        for place, read in places.items():
            wait_until(lambda: by_domain(read()) == expected, lambda: f"{place}: {expected}; it is {by_domain(read())}")

    def of_fleet(self):
        """By the names that they have without the label."""
        mark = f'{{instance="{self.site.instance}",'
        values = self.fleet.metrics().values
        return {name.replace(mark, "{"): value for name, value in values.items() if mark in name}

    def in_tally(self):
        """Also those that are not shown."""
        return by_domain(self.dump().values)


@pytest.fixture
def domains(own_parts, attached_site, redis):
    """Not started yet."""
    redis.command("FLUSHALL")
    scope = Domains(attached_site, redis)
    scope.node = own_parts.start(Exporter(attached_site))
    name = f"fleet-of-{attached_site.instance}"
    scope.fleet = exporter_in(own_parts, name, redis.url, exporter={"scope": "fleet"})
    yield scope
    scope.__exit__()


def test_reload(domains, postfix, redis):
    domains.configure("example.test", "b.test")
    domains.start()
    domains.wait({"example.test": {}, "b.test": {}})  # at 0 from the first
    with Trace(redis, domains) as trace:
        send_to(postfix, "alice@example.test", "x@b.test", "y@c.test")
        send_to(postfix, "alice@EXAMPLE.test", "bob@example.test")
        both = passed(2, accepted=3)
        domains.wait({"example.test": both, "b.test": passed(1, refused=1)})
        domains.reload("c.test", "example.test")  # another order, one less, one more
        domains.wait({"c.test": {}, "example.test": both})
        send_to(postfix, "alice@example.test", "x@b.test", "y@c.test")
        both = passed(3, accepted=4)
        domains.wait({"c.test": passed(1, refused=1), "example.test": both})
        assert domains.in_tally()["b.test"] == passed(1, refused=1)
        domains.reload()
        domains.wait({})
        send_to(postfix, "alice@example.test")
        domains.reload("B.Test", "c.test", "example.test")  # back again, with what they had
        domains.wait({"b.test": passed(1, refused=1), "c.test": passed(1, refused=1), "example.test": both})
        send_to(postfix, "alice@example.test", "x@b.test")
        both = passed(4, accepted=5)
        domains.wait({"b.test": passed(2, refused=2), "c.test": passed(1, refused=1), "example.test": both})
    assert trace.failure is None and trace.steps_back() == []


def test_restart(domains, postfix, redis):
    domains.configure("example.test", "b.test", "c.test")
    domains.start()
    with Trace(redis, domains) as trace:
        send_to(postfix, "alice@example.test", "x@b.test")
        send_to(postfix, "alice@example.test", "y@c.test", "z@c.test")
        before = {"example.test": passed(2, accepted=2), "c.test": passed(1, refused=2)}
        domains.wait(before | {"b.test": passed(1, refused=1)})
        domains.configure("new.test", "c.test", "example.test")
        domains.restart()
        domains.wait(before | {"new.test": {}})
        domains.kill()
        domains.configure("c.test", "b.test", "example.test")
        domains.start()
        domains.wait(before | {"b.test": passed(1, refused=1)})
        id = domains.tally().id
        domains.stop()
        the_machine_starts(domains.site)  # all that is left is the copy
        domains.configure("example.test", "b.test")
        domains.start()
        domains.wait({"example.test": before["example.test"], "b.test": passed(1, refused=1)})
        domains.reload("c.test", "example.test")
        domains.wait(before)
        assert domains.tally().id == id
    assert trace.failure is None and trace.steps_back() == []


def test_power_failure(domains, postfix, redis):
    """Totals of domains are raised to what Redis holds, those of a domain that the copy does not know, too."""
    domains.configure("example.test")
    domains.start()
    send_to(postfix, "alice@example.test")
    domains.wait({"example.test": passed(1, accepted=1)})
    domains.restart()
    copy = Tally(domains.site.state_directory)
    domains.reload("b.test", "example.test")
    send_to(postfix, "alice@example.test", "x@b.test")
    after = {"example.test": passed(2, accepted=2), "b.test": passed(1, refused=1)}
    domains.wait(after)
    domains.kill()
    copy.save()
    the_machine_starts(domains.site)
    domains.start()
    domains.wait_said("totals raised to what Redis holds")
    domains.wait(after)
    assert domains.tally().id == copy.id
    # The configuration is an older one, too: to go on below what was shown would be a step back.
    domains.kill()
    copy.save()
    the_machine_starts(domains.site)
    domains.configure("example.test")
    domains.start()
    domains.wait({"example.test": {}})
    assert domains.tally().id != copy.id


def test_open_session(domains, postfix):
    """A session keeps the domains that it began with; whoever is new meanwhile gets nothing of it."""
    domains.configure("example.test", "b.test")
    domains.start()
    with Session(postfix) as session:
        session.begin_message()
        session.command("RCPT TO:<alice@example.test>", 250)
        session.command("RCPT TO:<x@b.test>")
        for number in range(3):
            domains.reload(f"new{number}.test", "example.test")
            send_to(postfix, "bob@example.test", f"y@new{number}.test", "x@b.test")
        session.command("RCPT TO:<x@new2.test>")
        session.command("DATA", 354)
        session.body(TEXT, 250)
        domains.wait({"new2.test": passed(1, refused=1), "example.test": passed(4, accepted=4)})
        write_to(session, "alice@example.test", "x@b.test")
    domains.reload("new0.test", "new1.test", "new2.test", "b.test")
    domains.wait({f"new{number}.test": passed(1, refused=1) for number in range(3)} | {"b.test": passed(2, refused=2)})


def many(first, count):
    return [f"d{number}.test" for number in range(first, first + count)]


def test_more_than_64(domains, postfix):
    first = many(0, MOST - 1)
    domains.configure("example.test", *first)
    domains.start()
    send_to(postfix, "alice@example.test", "x@d0.test")
    had = passed(1, refused=1)
    domains.wait({"example.test": passed(1, accepted=1), **dict.fromkeys(first, {}), "d0.test": had})
    good = domains.site.settings["domains"]
    domains.site.write(domains=[*good, "one.more"])
    domains.process.send(signal.SIGUSR1)
    domains.wait_said("domains: \"one.more\" is wrong (more than 64 domains)")
    # There is no place left until a restart, and nobody gives his away.
    others = many(100, 3)
    domains.reload("example.test", *others)
    domains.wait_said("domains: 3 of them are not counted")
    send_to(postfix, "alice@example.test", "x@d100.test", "x@d0.test")
    domains.wait({"example.test": passed(2, accepted=2)})
    domains.restart()
    domains.wait({"example.test": passed(2, accepted=2), **dict.fromkeys(others, {})})
    send_to(postfix, "alice@example.test", "x@d100.test")
    domains.wait({"example.test": passed(3, accepted=3), "d100.test": had, "d101.test": {}, "d102.test": {}})
    # So many others that there is no room for the rest: it is kept, and comes back.
    domains.configure(*many(200, MOST))
    domains.restart()
    domains.wait(dict.fromkeys(many(200, MOST), {}))
    unplaced = [name for name in domains.dump().values if "d0.test" in name or "d100.test" in name]
    assert len(unplaced) == 4, "of each its message and its recipient"
    domains.configure("d0.test", "d100.test", "example.test")
    domains.restart()
    domains.wait({"d0.test": had, "d100.test": had, "example.test": passed(3, accepted=3)})


def refused(domain):
    return metric("domain_recipients_total", domain=domain, outcome="refused")


HOSTILE = ["", "#00", "A.test", "a b", 'a\\"} 1\\nx', "ä", "-a", "a..b", "1.2.3.4", "x" * 129, 'a",x="y', "a{}", "a\\\\"]


def test_hostile_fields(own_parts, redis):
    """What is no name of a domain, or one too many, is dropped and counted, and every line stays a line."""
    fleet = exporter_in(own_parts, "hostile", redis.url, exporter={"scope": "fleet"})
    redis.command("FLUSHALL")
    site = site_in(own_parts, "hostile-node", redis.url)
    fields = {metric("messages_total", source="local", verdict="passed"): 1}
    fields |= {refused(name): 666 for name in HOSTILE}
    fields |= {refused(name): number for number, name in enumerate(many(0, MOST + 6), 1)}
    fields[metric("domain_recipients_total", domain="d0.test", outcome="perhaps")] = 666
    push(redis, site, fields, owner=OWNER)
    redis.command("ZADD", "ms1:instances", redis.command("TIME")[0], site.instance)
    dropped = len(HOSTILE) + 6 + 1

    def shown():
        values = fleet.metrics().values  # by a strict reader
        return {name: value for name, value in values.items() if f'instance="{site.instance}"' in name}

    def number():
        return shown().get(metric("unknown_series_total", instance=site.instance), 0)

    wait_until(lambda: number() >= dropped, "what is dropped is counted")
    assert number() % dropped == 0
    found = {labels_of(name).get("domain"): value for name, value in shown().items() if 'outcome="refused"' in name}
    found = {domain: value for domain, value in found.items() if domain}
    assert len(found) == MOST and 666 not in found.values()
    assert set(found) <= set(many(0, MOST + 6))
    assert all(value == int(name[1:].split(".")[0]) + 1 for name, value in found.items())
