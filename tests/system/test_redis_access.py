"""Who may write what to Redis: the rights of the manual, a wrong password, keys of somebody else, two of one name."""

import re
import signal
import time
from types import SimpleNamespace

import pytest
from in_redis import SLOW_LEAST, Replica, Trace, counters, errors, in_step, meta, not_right, totals, wait_error
from kit.figures import figure
from kit.place import TOP
from kit.programs import Exporter
from kit.resp import Resp
from kit.servers import Redis
from kit.tally import FILE, SETTLING, Tally
from kit.wait import pass_time, wait_until
from load import messages
from scope import Scope, is_kept, passed, site_in, the_machine_starts
from truth import metric
from watch import Watch

# Of the messages of load.py
PASSED = metric("messages_total", source="external", verdict="passed")
ACCEPTED = metric("recipients_total", source="external", outcome="accepted")

# ---- what takes long, and begins before all other tests, so that nobody has to wait ----


@pytest.fixture(scope="module")
def other_redis(parts):
    """One that nobody meddles with."""
    folder = SimpleNamespace(disk=parts.folder.disk / "other")
    folder.disk.mkdir()
    return parts.start(Redis(folder))


@pytest.fixture(scope="module")
def other_fleet(parts, other_redis):
    return parts.start(Exporter(site_in(parts, "other_fleet", other_redis.url, exporter={"scope": "fleet"})))


@pytest.fixture(scope="module", autouse=True)
def slow(parts, other_redis):
    refused = {case: Refused(parts, *HASTELESS[case](parts, other_redis)) for case in HASTELESS}
    resp = parts.start(Resp(other_redis.socket))
    values = {how: altered(parts, other_redis, resp, how) for how in ALTERATIONS}
    return SimpleNamespace(refused=refused, altered=values)


# ---- rights ----


def rights_in_the_manual():
    """The words of ACL SETUSER, as the manual gives them."""
    text = (TOP / "conf" / "man" / "milterscope.8").read_text()
    return re.search(r"ACL SETUSER milterscope (.*?)\n\.Ed", text, re.DOTALL).group(1).split()


@pytest.fixture(scope="module")
def limited(parts, redis):
    """A milterscope whose Redis user has the rights of the manual."""
    site = site_in(parts, "limited", redis.url)
    password = parts.folder.disk / "limited.password"
    password.write_text("PASSWORD\n")
    site.write(redis={"user": "milterscope", "password_file": str(password)})
    words = [word.replace("{mx1}", f"{{{site.instance}}}") for word in rights_in_the_manual()]
    redis.command("ACL", "SETUSER", "milterscope", "reset", *words)
    scope = parts.start(Scope(site))
    scope.words = words
    return scope


def test_rights_of_the_manual_suffice(limited, redis):
    in_step(redis, limited)
    assert not limited.lines("Redis")
    assert redis.command("ZSCORE", "ms1:instances", limited.site.instance) != [""]


def rights_for_a_push():
    others = {"+client|setname", "+hget", "+hgetall", "+info"}  # a name for people; settling, and the exporter
    return [word for word in rights_in_the_manual() if word[0] in "+~" and word not in others]


@pytest.mark.parametrize("right", rights_for_a_push())
def test_one_right_less(limited, redis, right):
    right = right.replace("{mx1}", f"{{{limited.site.instance}}}")
    before = errors(limited, "noperm")
    redis.command("ACL", "SETUSER", "milterscope", "reset", *[word for word in limited.words if word != right])
    limited.process.send(signal.SIGUSR1)
    wait_error(limited, "noperm", before)
    redis.command("ACL", "SETUSER", "milterscope", "reset", *limited.words)
    limited.process.send(signal.SIGUSR1)
    in_step(redis, limited)


def test_totals_settle_with_the_rights_of_the_manual(limited, redis):
    in_step(redis, limited)
    assert limited.stop() == 0
    the_machine_starts(limited.site)
    Tally(limited.site.state_directory).set_changing(clean=0).save()
    redis.command("HSET", limited.site.key("counters"), PASSED, "9")
    limited.start()
    limited.wait_passed(9)
    in_step(redis, limited)


# ---- refused, for a reason that no haste cures ----


class Refused:
    """A milterscope that Redis refuses, until it is put right. words: of Redis, in the log."""

    def __init__(self, parts, redis, site, error, words, mend):
        self.redis, self.error, self.words, self.mend = redis, error, words, mend
        self.scope = parts.start(Scope(site))
        wait_error(self.scope, error)
        self.began = time.monotonic()

    def put_right(self):
        """Once."""
        self.mend()
        self.mend = lambda: None


def with_password(parts, redis, name, password):
    """A site, and the file that its password is in."""
    file = parts.folder.disk / f"{name}.password"
    file.write_text(password + "\n")
    return site_in(parts, name, redis.url, redis={"user": name, "password_file": str(file)}), file


def wrong_password(parts, redis):
    redis.command("ACL", "SETUSER", "mistaken", "on", ">correct horse", "~*", "+@all")
    site, file = with_password(parts, redis, "mistaken", "battery staple")
    return redis, site, "auth", "WRONGPASS", lambda: file.write_text("correct horse\n")


def no_right(parts, redis):
    """To one of the commands."""
    redis.command("ACL", "SETUSER", "idle", "on", ">correct horse", "~*", "+@all", "-hset")
    site, _ = with_password(parts, redis, "idle", "correct horse")
    return redis, site, "noperm", "user", lambda: redis.command("ACL", "SETUSER", "idle", "+hset")


def no_replica(parts, redis):
    """Where the server must have one to take writes."""
    lonely = parts.start(Redis(site_in(parts, "lonely_redis").folder, "--min-replicas-to-write", "1"))
    mend = lambda: lonely.command("CONFIG", "SET", "min-replicas-to-write", "0")  # noqa: E731
    return lonely, site_in(parts, "lonely", lonely.url), "misconf", "NOREPLICAS", mend


def foreign(kind):
    def foreign_key(parts, redis):
        """Something that is not ours stands under a key of ours."""
        site = site_in(parts, f"foreign_{kind}", redis.url)
        redis.command("SET", site.key(kind), "not yours")

        def mend():
            assert redis.command("GETDEL", site.key(kind)) == ["not yours"]

        return redis, site, "wrongtype", "WRONGTYPE", mend

    return foreign_key


HASTELESS = {"wrong password": wrong_password, "a right is missing": no_right, "no replica": no_replica}
HASTELESS |= {f"foreign {kind}": foreign(kind) for kind in ("meta", "counters", "gauges")}


@pytest.mark.parametrize("case", HASTELESS)
def test_no_haste(slow, case):
    """Others would be tried again after less than a second. That it was with success in the end is told below."""
    refused = slow.refused[case]
    wait_until(lambda: time.monotonic() > refused.began + 4, "time passes")
    seconds = time.monotonic() - refused.began
    assert 1 <= errors(refused.scope, refused.error) <= 1 + seconds // SLOW_LEAST
    refused.put_right()


# ---- two of one name ----


def with_messages(parts, name, redis, count, instance):
    """A milterscope that has counted so many messages; not running."""
    site = site_in(parts, name)
    with Scope(site) as scope:
        scope.stop_at_once()
    Tally(site.run_directory).set_total(PASSED, count).save()
    site.instance = instance
    site.write(instance=instance, redis={"url": redis.url})
    return Scope(site)


def with_another_tally(parts, first):
    """A machine made from the same image, which has counted three messages of its own."""
    name = first.site.instance
    redis = SimpleNamespace(url=first.site.settings["redis"]["url"])
    return with_messages(parts, f"{name}-second", redis, 3, name)


def with_a_copy(parts, first):
    """A machine that was cloned while it ran: the same id, and the same boot."""
    second = with_another_tally(parts, first)
    (second.site.run_directory / FILE).write_bytes((first.site.run_directory / FILE).read_bytes())
    return second


def most_of(*scopes):
    counts = [scope.counts() for scope in scopes]
    return {series: max(each[series] for each in counts) for series in counts[0]}


PUSH_INTERVAL, LEASE = 0.2, 2.0  # seconds; as in the configuration, and ten of them


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("clone", [with_another_tally, with_a_copy])
def test_clone_waits_and_takes_over(own_parts, other_redis, other_fleet, clone, end):
    """Each counts its own mail, all the time; Redis holds what the first counts, until its lease has run out."""
    name = f"{clone.__name__.replace('_', '-')}-{end}"
    first = own_parts.start(with_messages(own_parts, f"{name}-first", other_redis, 5, name))
    in_step(other_redis, first)
    second = own_parts.start(clone(own_parts, first))
    assert (second.tally().id == first.tally().id) == (clone is with_a_copy)
    expected = second.passed() + 10
    exporter = own_parts.start(Exporter(first.site))
    with Watch(exporter, other_fleet, sites=[first.site, second.site]) as watch:
        wait_error(second, "fenced", 4)
        messages(first, 20, refused=0, aborted=0)
        messages(second, 10, refused=0, aborted=0)
        wait_error(second, "fenced", errors(second, "fenced") + 1)
        in_step(other_redis, first)
        assert meta(other_redis, first).owner.startswith(first.tally().id)
        assert (first.passed(), second.passed()) == (25, expected)
        assert (errors(first, "fenced"), len(second.lines(f"FENCED by {first.tally().id}"))) == (0, 1)
        began = time.monotonic()
        first.stop() if end == "stop" else first.kill()
        in_step(other_redis, second)
        seconds = time.monotonic() - began
    assert meta(other_redis, second).owner.startswith(second.tally().id)
    assert passed(counters(other_redis, second)) == second.passed() == expected
    second.wait_said("pushing again")
    assert end == "stop" or seconds > LEASE - PUSH_INTERVAL - 0.1  # it was renewed by the last push before the end
    figure(f"redis: {name}: has taken over after {seconds:.1f} s; {watch.check(most_of(first, second))}")
    first.start()
    wait_error(first, "fenced")
    assert passed(counters(other_redis, second)) == expected
    assert (first.passed(), second.passed()) == (25, expected)


def with_clone(own_parts, other_redis, name):
    """One that has pushed 10 messages, and the site of another machine with a copy of its disk."""
    first = own_parts.start(Scope(site_in(own_parts, f"{name}_first", other_redis.url)))
    messages(first, 10, refused=0, aborted=0)
    in_step(other_redis, first)
    wait_until(lambda: is_kept(first.site), "what is shown is kept by Redis")
    site = site_in(own_parts, f"{name}_second", other_redis.url)
    site.instance = first.site.instance
    site.write(instance=site.instance)
    (site.state_directory / FILE).write_bytes(Tally(first.site.state_directory).of_another_boot().data)
    return first, site


def test_clone_goes_on_where_power_failed(own_parts, other_redis):
    """One with a copy of our disk: it has our tally id, and counts mail of its own under it. That is not ours to raise."""
    first, site = with_clone(own_parts, other_redis, "power")
    before = first.tally().id
    first.kill()
    second = own_parts.start(Scope(site))
    messages(second, 20, refused=0, aborted=0)
    in_step(other_redis, second)
    assert (second.tally().id, second.passed()) == (before, 30)  # as from a machine that took the place of ours
    the_machine_starts(first.site)
    first.start()
    first.wait_said("Redis does not hold them: a new tally begins at 0")
    assert first.tally().id != before
    assert first.passed() == 0
    wait_error(first, "fenced")
    assert passed(counters(other_redis, second)) == 30


def test_clone_of_our_disk_does_not_settle(own_parts, other_redis):
    """Not while we push: what Redis holds is ours then, and nothing to be raised to. Once we are gone it takes our place."""
    first, site = with_clone(own_parts, other_redis, "disk")
    second = own_parts.start(Scope(site))
    second.wait_said("another run of this instance pushed a moment ago")
    messages(first, 5, refused=0, aborted=0)
    messages(second, 20, refused=0, aborted=0)
    in_step(other_redis, first)
    pass_time(3 * PUSH_INTERVAL)  # it asks again
    assert second.tally().header.state == SETTLING
    first.kill()
    second.wait_said("totals raised to what Redis holds of them")
    assert (second.tally().id, second.passed()) == (first.tally().id, 35)


# ---- values, of which nothing tells that they are others ----


def raised_and_lowered(replica):
    return [["HSET", replica.keys[0], PASSED, 1000, ACCEPTED, 1]]


ALTERATIONS = {
    "raised and lowered": raised_and_lowered,
    "older, copied": Replica.copied,
    "older, renamed": Replica.renamed,
    "older, restored": Replica.restored,
}


def altered(parts, redis, resp, how):
    """Totals in Redis are not what they were left at, and there are as many: nothing shows it."""
    scope = parts.start(Scope(site_in(parts, f"altered{len(how)}", redis.url)))
    messages(scope, 20)
    in_step(redis, scope)
    replica = Replica(resp, [scope.site.key("counters")])
    messages(scope, 20)
    in_step(redis, scope)
    scope.least = totals(scope.tally())
    scope.trace = parts.start(Trace(redis, scope, interval=0.1))
    replica.put(ALTERATIONS[how](replica))
    scope.altered_at = time.monotonic()
    return scope


@pytest.mark.parametrize("how", ALTERATIONS)
def test_altered_values(slow, other_redis, how):
    """The push of everything that comes from time to time makes all of it right."""
    scope = slow.altered[how]
    states = scope.trace.states
    wait_until(lambda: not not_right(states[-1], scope.least, scope), "all is right", interval=0.2)
    scope.trace.end()
    wrong = [not_right(state, scope.least, scope) for state in states]
    altered_to = next(i for i, names in enumerate(wrong) if PASSED in names)  # it may have been looked at before that
    right = wrong.index({}, altered_to)
    assert all(PASSED in names for names in wrong[altered_to:right])
    assert not any(wrong[right:])
    figure(f"redis: totals {how}: right after {states[right].seen - scope.altered_at:.1f} s")
    in_step(other_redis, scope)
    assert not scope.lines("Redis")


@pytest.mark.parametrize("case", HASTELESS)
def test_tried_again_after_a_while(slow, case):
    """With success; and it was said once."""
    refused = slow.refused[case]
    scope = refused.scope
    refused.put_right()
    scope.wait_said("pushing again")
    in_step(refused.redis, scope)
    said = scope.lines("counting goes on, pushing is retried")
    assert len(said) == 1
    assert refused.redis.url in said[0]
    assert refused.words in said[0]
    assert not re.search("staple|horse", scope.log())
