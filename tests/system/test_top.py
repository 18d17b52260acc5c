"""Open sets: top lists at /api/v1/top against the truth of mail that was scripted, whatever is killed or away."""

import json
import signal
import time
from collections import Counter
from types import SimpleNamespace

import pytest
from exporter import ask
from kit.figures import figure
from kit.milter_wire import CONTINUE, DATA_TO_EOM, MESSAGE_ANSWERS, Wire, connect, helo, mail, rcpt
from kit.place import program
from kit.process import run
from kit.procfs import frozen
from kit.programs import Exporter
from kit.servers import Postfix, Redis
from kit.smtp import Smtp
from kit.wait import wait_until
from mail import TEXT, Session, attached, send
from scope import Scope, site_in
from truth import metric

ALL = ["client", "sender_domain", "recipient_domain", "user", "unknown_recipient", "helo"]
RECORDS, DROPPED = metric("ring_records_total"), metric("ring_dropped_total")


def top(exporter, set, **parameters):
    """The answer to a question; None: it is none yet."""
    query = "&".join(f"{name}={value}" for name, value in {"set": set, **parameters}.items())
    answer = ask(exporter, "GET", f"/api/v1/top?{query}")
    answer.json = json.loads(answer.content)
    return answer


def rows(exporter, set, **parameters):
    """{member: (messages, recipients, refused, spam)}; empty while Redis cannot be read."""
    entries = top(exporter, set, hours=2, **parameters).json.get("top", [])
    return {entry["member"]: tuple(entry[by] for by in ("messages", "recipients", "refused", "spam")) for entry in entries}


def wait_rows(exporter, set, expected, **parameters):
    seen = lambda: rows(exporter, set, **parameters)  # noqa: E731
    wait_until(lambda: seen() == expected, lambda: f"{set} is {expected}; it is {seen()}", interval=0.5)


def started(parts, name, redis, socket=None, group=None, sets=ALL, **changes):
    """A milterscope and its exporter."""
    changes["top"] = {"sets": sets} | changes.get("top", {})
    site = site_in(parts, name, redis.url, socket, group=group, **changes)
    return SimpleNamespace(scope=parts.start(Scope(site)), exporter=parts.start(Exporter(site)), site=site)


def load(site, *options):
    """Runs the load generator to its end; its figures."""
    return json.loads(run([program("kit/milter-load"), *options, f"unix:{site.milter_socket}"], 300))


def events(figures):
    """The records that the filter makes of them."""
    return figures["transactions"] + figures["recipients"] + figures["sessions"]


@pytest.fixture
def node(own_parts, request, redis, postfix, milter_socket):
    """With all sets, behind `postfix`."""
    name = request.node.name.removeprefix("test_")
    return started(own_parts, name, redis, milter_socket, postfix.account()["group"])


def one_mail(postfix, sender, recipients, helo="client.test", spam=False, source=None):
    """Says who refused: the recipients that were not accepted."""
    refused = []
    with Smtp(postfix.address, source) as smtp:
        smtp.greet()
        smtp.command(f"EHLO {helo}", 250)
        smtp.command(f"MAIL FROM:<{sender}>", 250)
        for recipient in recipients:
            reply = smtp.command(f"RCPT TO:<{recipient}>")
            if reply[0] != 250:
                refused.append(recipient)
        if len(refused) < len(recipients):
            smtp.command("DATA", 354)
            smtp.body(("X-Spam-Status: Yes, score=9\n" if spam else "") + TEXT, 250)
        smtp.quit()
    return refused


# ---- what is counted ----


def test_scripted_mail(node, postfix):
    """Lists equal the truth, member by member."""
    plan = [
        ("a@Mail.One.CO.UK", ["alice@example.test", "bob@example.test"], "one.test", False, "127.0.0.1"),
        ("b@one.co.uk", ["alice@example.test", "Nobody@example.test"], "ONE.test", True, "127.0.0.2"),
        ("c@two.example", ["nobody@example.test", "who@elsewhere.test"], "two.test", False, "127.0.0.2"),
        ("", ["alice@example.test"], "[127.0.0.3]", False, "127.0.0.3"),
    ]
    for _ in range(2):
        for sender, recipients, helo, spam, source in plan:
            one_mail(postfix, sender, recipients, helo, spam, source)
    wait_rows(node.exporter, "client", {"127.0.0.1": (2, 4, 0, 0), "127.0.0.2": (4, 8, 6, 2), "127.0.0.3": (2, 2, 0, 0)})
    wait_rows(node.exporter, "sender_domain", {"one.co.uk": (4, 8, 2, 2), "two.example": (2, 4, 4, 0), "<>": (2, 2, 0, 0)})
    wait_rows(node.exporter, "recipient_domain", {"example.test": (8, 12, 4, 2), "elsewhere.test": (2, 2, 2, 0)})
    wait_rows(node.exporter, "unknown_recipient", {"nobody@example.test": (0, 4, 4, 0)}, by="refused")
    wait_rows(node.exporter, "helo", {"one.test": (4, 8, 2, 2), "two.test": (2, 4, 4, 0), "[127.0.0.3]": (2, 2, 0, 0)})
    answer = top(node.exporter, "client", by="refused", hours=2, limit=1).json
    assert [entry["member"] for entry in answer["top"]] == ["127.0.0.2"]
    assert (answer["top"][0]["share"], answer["top"][0]["error"], answer["bound"]) == (1.0, 0, 0)
    assert (answer["distinct"], answer["instances"], answer["totals"]["recipients"]) == (3, 1, 14)
    page = ask(node.exporter, "GET", "/").content.decode()
    assert "<td><bdi>127.0.0.2</bdi></td><td>4</td><td>8</td><td>6</td><td>2</td>" in page
    assert "&lt;&gt;</bdi>" in page
    counts = node.scope.dump().values
    assert (counts[RECORDS], counts[DROPPED]) == (8 + 8 + 14, 0)  # sessions, messages, recipients
    assert not [series for series in counts if "one.co.uk" in series or "127.0.0" in series]


def test_hostile_names(node, postfix):
    """What a client says is data, in JSON and on the page."""
    names = ['"><script>alert(1)</script>', "x{}\\\"',", "a" * 300 + ".test"]
    for name in names:
        one_mail(postfix, "a@ext.test", ["alice@example.test"], helo=name)
    wait_until(lambda: sum(count[0] for count in rows(node.exporter, "helo").values()) == 3, "three messages", interval=0.5)
    assert all(len(member) <= 255 for member in rows(node.exporter, "helo"))
    page = ask(node.exporter, "GET", "/").content.decode()
    assert "<script>" not in page


def test_people_are_not_asked_for(own_parts, redis, postfix, milter_socket):
    """By default no name of a person leaves the filter."""
    site = site_in(own_parts, "default_sets", redis.url, milter_socket, group=postfix.account()["group"])
    scope, exporter = own_parts.start(Scope(site)), own_parts.start(Exporter(site))
    one_mail(postfix, "a@ext.test", ["alice@example.test", "nobody@example.test"])
    wait_rows(exporter, "recipient_domain", {"example.test": (1, 2, 1, 0)})
    for set in ("user", "unknown_recipient", "helo"):
        answer = top(exporter, set)
        assert (answer.status, set in answer.json["error"]) == (404, True)
    assert b"nobody" not in (scope.site.run_directory / "open-sets").read_bytes()
    keys = redis.command("KEYS", f"ms1:{{{site.instance}}}:*")
    assert {key.split(":")[3] for key in keys if ":top:" in key} == {"client", "sender_domain", "recipient_domain"}
    assert not [key for key in keys if ":top:" in key and "nobody" in "".join(redis.hash(key))]


def test_privacy(own_parts, redis, postfix, milter_socket):
    node = started(own_parts, "privacy", redis, milter_socket, postfix.account()["group"], privacy=True)
    for source in ("127.0.1.1", "127.0.1.2", "127.0.2.1"):
        one_mail(postfix, "a@[192.0.2.77]", ["alice@example.test"], helo=f"[{source}]", source=source)
    expected = {"127.0.1.0/24": (2, 2, 0, 0), "127.0.2.0/24": (1, 1, 0, 0)}
    wait_rows(node.exporter, "client", expected)
    wait_rows(node.exporter, "helo", expected)
    wait_rows(node.exporter, "sender_domain", {"192.0.2.0/24": (3, 3, 0, 0)})
    kept = (node.site.run_directory / "open-sets").read_bytes()
    assert b"127.0.1.0/24" in kept and not [word for word in (b"127.0.1.1", b"127.0.1.2", b"192.0.2.77") if word in kept]


@pytest.mark.parametrize("scanner", ["none", "log", "reinjection"])
def test_headers_that_are_not_read(own_parts, redis, postfix, milter_socket, scanner):
    """Where no scanner works before us they are the sender's, in lists as in spam_verdicts_total."""
    changes = {"spam": {"scanner": scanner}, "milter": {"reinjection": ["127.0.0.1:1"]}}
    node = started(own_parts, f"scanner_{scanner}", redis, milter_socket, postfix.account()["group"], **changes)
    one_mail(postfix, "a@ext.test", ["alice@example.test"], spam=True)
    for set in ("client", "recipient_domain"):
        wait_rows(node.exporter, set, {"127.0.0.1" if set == "client" else "example.test": (1, 1, 0, 0)})


# ---- the bound ----

SIZE, PLACES = 10, 100  # top.size, and the members of which the pusher counts something
MESSAGES = 4000  # as many as the ring holds, whenever the pusher looks
EDGE = MESSAGES // PLACES  # who has more is listed; a message counts twice, for its recipient, too, in N as in this
WAVES = MESSAGES // 10 * 8  # before them nobody keeps a place who comes once in 2 * PLACES messages
# What each domain has before WAVES, and behind: 1.02 to 1.2 times EDGE; less, and come too early; less, and just come.
DOMAINS = {f"above-{messages}": (16, messages - 16) for messages in (41, 42, 44, 48)}
DOMAINS |= {"gone": (36, 0), "late": (0, 30)}


def senders():
    """The domain of each message: those in DOMAINS evenly among others, of which each comes once; the one that is gone
    at the beginning."""
    due = [(0, "gone")] * DOMAINS["gone"][0]
    for domain, (before, behind) in DOMAINS.items():
        due += [(number * WAVES // before, domain) for number in range(before) if domain != "gone"]
        due += [(WAVES + number * (MESSAGES - WAVES) // behind, domain) for number in range(behind)]
    due.sort()
    for number in range(MESSAGES):
        others = MESSAGES - number == len(due)
        yield due.pop(0)[1] if due and (due[0][0] <= number or others) else f"noise-{number}"


def say(site, domains):
    """Messages of these senders in one session, each to one recipient."""
    texts = [mail(f"<x@{domain}.example>".encode()) + rcpt() + DATA_TO_EOM for domain in domains]
    with Wire(site.milter_socket) as wire:
        wire.negotiate()
        wire.ask(connect() + helo(), CONTINUE * 2)
        for begin in range(0, len(texts), 50):
            part = texts[begin : begin + 50]
            wire.ask(b"".join(part), MESSAGE_ANSWERS * len(part))


def list_of_senders(parts, redis, name):
    """The answer when all is counted."""
    node = started(parts, name, redis, sets=["sender_domain"], top={"size": SIZE})
    say(node.site, senders())
    seen = lambda: top(node.exporter, "sender_domain", hours=2).json  # noqa: E731
    messages = lambda: seen().get("totals", {}).get("messages")  # noqa: E731
    wait_until(lambda: messages() == MESSAGES, lambda: f"{MESSAGES} messages; it is {messages()}", interval=0.5)
    return seen()


def test_members_at_the_bound(own_parts, redis):
    """Whose counts together lie just above N / m is listed, also where much of them came while it had no place; whose
    lie below may be listed, or not. What is stated of each is so."""
    for name in ("bound", "bound_again"):
        hour = time.time() // 3600
        answer = list_of_senders(own_parts, redis, name)
        if time.time() // 3600 == hour:  # the bound is that of an hour
            break
    assert answer["totals"] == {"messages": MESSAGES, "recipients": MESSAGES, "refused": 0, "spam": 0}
    bound = sum(answer["totals"].values()) / PLACES
    entries = {entry["member"].removesuffix(".example"): entry for entry in answer["top"]}
    for domain, truth in {domain: sum(times) for domain, times in DOMAINS.items()}.items():
        assert domain in entries or 2 * truth <= bound
        if domain not in entries:
            assert truth <= answer["bound"] <= bound
            continue
        entry = entries[domain]
        for by in ("messages", "recipients"):
            assert entry[by] <= truth <= entry[by] + entry["error"]
        assert 0 < entry["error"] <= bound
        assert entry["messages"] < truth or domain == "late"
    assert "late" in entries and "gone" not in entries
    listed = {name: entries[name] for name in DOMAINS if name in entries}
    shown = [(sum(DOMAINS[name]), entry["messages"], entry["error"]) for name, entry in listed.items()]
    figure(f"top lists at the bound of {bound:.0f} (two a message): messages, known for sure, error: {shown}")


# ---- questions ----


def test_questions(node):
    wait_until(lambda: top(node.exporter, "client").status == 200, "a list")
    answer = top(node.exporter, "client")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    for query in ("", "?set=clients", "?set=client&hours=25", "?set=client&by=size", "?set=client&limit=0", "?set=client&x=1"):
        answer = ask(node.exporter, "GET", f"/api/v1/top{query}")
        assert (answer.status, list(json.loads(answer.content))) == (400, ["error"])
    assert ask(node.exporter, "POST", "/api/v1/top?set=client").status == 405


# ---- what is killed or away ----


def test_pusher_killed(node, postfix):
    """Again and again; what was counted in this hour stays, and nothing is counted twice."""
    for number in range(1, 5):
        send(postfix, 3)
        node.scope.wait_child("pusher", node.scope.signal_child("pusher", signal.SIGKILL))
    send(postfix, 3)
    wait_rows(node.exporter, "client", {"127.0.0.1": (15, 15, 0, 0)})
    counts = node.scope.dump().values
    assert (counts[RECORDS], counts[DROPPED]) == (5 + 15 + 15, 0)


def test_filter_killed(node, postfix):
    """What it had put into its ring counts, though it is gone before the pusher looks."""
    with frozen(node.scope.child("pusher")):
        send(postfix, 4)
        node.scope.wait_value(4 + 4 + 1, "ring_records_total")
        killed = node.scope.signal_child("filter", signal.SIGKILL)
        node.scope.wait_child("filter", killed)
    send(postfix, 2)
    wait_rows(node.exporter, "client", {"127.0.0.1": (6, 6, 0, 0)})


def test_all_restarted(node, postfix):
    """The hour outlives also a supervisor that is killed."""
    send(postfix, 3)
    wait_rows(node.exporter, "client", {"127.0.0.1": (3, 3, 0, 0)})
    node.scope.kill()
    node.scope.start()
    send(postfix, 2)
    wait_rows(node.exporter, "client", {"127.0.0.1": (5, 5, 0, 0)})
    node.scope.restart()
    send(postfix, 2)
    wait_rows(node.exporter, "client", {"127.0.0.1": (7, 7, 0, 0)})


def test_redis_away(own_parts, postfix, milter_socket):
    """It is drained all the same; and what Redis missed comes into it."""
    folder = SimpleNamespace(disk=own_parts.folder.disk / "away_redis")
    folder.disk.mkdir()
    redis = own_parts.start(Redis(folder))
    node = started(own_parts, "away", redis, milter_socket, postfix.account()["group"])
    send(postfix)
    wait_rows(node.exporter, "client", {"127.0.0.1": (1, 1, 0, 0)})
    redis.stop()
    figures = load(node.site, "--transactions", 4000)
    wait_until(lambda: top(node.exporter, "client").status == 503, "the exporter sees that Redis is away")
    assert "top lists are only in Redis" in top(node.exporter, "client").json["error"]
    counts = node.scope.dump().values
    assert counts[RECORDS] + counts[DROPPED] == events(figures) + 3
    assert counts[DROPPED] == 0
    redis.start()
    seen = lambda: top(node.exporter, "client", hours=2).json.get("totals", {}).get("messages")  # noqa: E731
    wait_until(lambda: seen() == figures["transactions"] + 1, lambda: f"all messages; it is {seen()}", interval=0.5)
    redis.command("FLUSHALL")
    wait_until(lambda: seen() == figures["transactions"] + 1, lambda: f"again; it is {seen()}", interval=0.5)


def test_pusher_away(node):
    """The ring fills, the filter does not wait, and what is dropped is counted to the record."""
    with frozen(node.scope.child("pusher")):
        figures = load(node.site, "--transactions", 5000)
        counts = node.scope.dump().values
    assert counts[RECORDS] + counts[DROPPED] == events(figures)
    assert counts[DROPPED] > 0
    seen = lambda: Counter(top(node.exporter, "client", hours=2).json.get("totals", {}))  # noqa: E731
    wait_until(lambda: 0 < seen()["messages"] < figures["transactions"], seen, interval=0.5)
    figure(f"ring: of {events(figures)} records with a pusher that stood still {counts[DROPPED]} were dropped")


# ---- several instances ----


def test_fleet(own_parts, redis):
    """The sum of two."""
    folder = SimpleNamespace(disk=own_parts.folder.disk / "fleet_redis")
    folder.disk.mkdir()
    redis = own_parts.start(Redis(folder))
    sites = [site_in(own_parts, f"fleet{number}", redis.url) for number in (1, 2)]
    figures = []
    for number, site in enumerate(sites):
        own_parts.start(Scope(site))
        figures.append(load(site, "--transactions", 1000, "--clients", 50 + 50 * number, "--seed", number))
    exporter = own_parts.start(Exporter(site_in(own_parts, "fleet_exporter", redis.url, exporter={"scope": "fleet"})))
    messages = sum(figure["transactions"] for figure in figures)
    seen = lambda: top(exporter, "client", hours=2, limit=1000).json  # noqa: E731
    wait_until(lambda: seen().get("totals", {}).get("messages") == messages, seen, interval=1)
    answer = seen()
    assert answer["instances"] == 2
    assert sum(entry["messages"] for entry in answer["top"]) == messages
    assert sum(entry["recipients"] for entry in answer["top"]) == sum(figure["recipients"] for figure in figures)
    assert 90 <= answer["distinct"] <= 110 and len(answer["top"]) <= 100
