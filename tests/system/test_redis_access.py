"""Who may write what to Redis: the rights of the manual, a wrong password, keys of somebody else, two of one name."""

import re
import signal
import time
from types import SimpleNamespace

import pytest
from in_redis import counters, errors, in_step, meta, wait_error
from kit.figures import figure
from kit.place import TOP
from kit.servers import Redis
from kit.tally import FILE, Tally
from scope import PASSED, Scope, site_in, the_machine_starts
from truth import metric

ABORTED = metric("messages_total", source="internal", verdict="aborted")

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
    others = {"+client|setname", "+hget", "+hgetall"}  # a name for people; settling, and the exporter
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


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_second_one_waits_and_takes_over(own_parts, other_redis, end):
    first = own_parts.start(with_messages(own_parts, f"first_{end}", other_redis, 5, f"twins-{end}"))
    in_step(other_redis, first)
    second = own_parts.start(with_messages(own_parts, f"second_{end}", other_redis, 3, f"twins-{end}"))
    wait_error(second, "fenced", 4)
    assert len(second.lines("FENCED by")) == 1
    assert counters(other_redis, first)[PASSED] == 5
    assert meta(other_redis, first).owner.startswith(first.tally().id)
    assert errors(first, "fenced") == 0
    began = time.monotonic()
    first.stop() if end == "stop" else first.kill()
    in_step(other_redis, second)
    figure(f"redis: another milterscope has taken over after {time.monotonic() - began:.1f} s")
    assert counters(other_redis, second)[PASSED] == 3
    assert meta(other_redis, second).owner.startswith(second.tally().id)
    second.wait_said("pushing again")
    first.start()
    wait_error(first, "fenced")
    assert counters(other_redis, second)[PASSED] == 3


def test_copy_of_a_tally_waits(own_parts, other_redis):
    """A machine that was cloned while it ran: the same id, and the same boot."""
    first = own_parts.start(with_messages(own_parts, "original", other_redis, 5, "clones"))
    in_step(other_redis, first)
    site = site_in(own_parts, "clone", other_redis.url)
    site.instance = "clones"
    site.write(instance="clones")
    (site.run_directory / FILE).write_bytes((first.site.run_directory / FILE).read_bytes())
    second = own_parts.start(Scope(site))
    assert second.passed() == 5
    assert second.tally().id == first.tally().id
    wait_error(second, "fenced", 4)
    in_step(other_redis, first)
    assert errors(first, "fenced") == 0
    assert len(second.lines("FENCED by")) == 1


# ---- what heals by itself, after a while ----


@pytest.fixture(scope="module")
def other_redis(parts):
    """One that nobody meddles with."""
    folder = SimpleNamespace(disk=parts.folder.disk / "other")
    folder.disk.mkdir()
    return parts.start(Redis(folder))


@pytest.fixture(scope="module", autouse=True)
def slow(parts, other_redis):
    """Faults that are tried again slowly. They begin before all other tests, so that nobody has to wait."""
    foreign = {name: foreign_key(parts, other_redis, name) for name in ("meta", "counters", "gauges")}
    password = wrong_password(parts, other_redis)
    return SimpleNamespace(foreign=foreign, altered=altered(parts, other_redis), password=password)


def foreign_key(parts, redis, name):
    """Something that is not ours stands under a key of ours, until we have said so."""
    site = site_in(parts, f"foreign_{name}", redis.url)
    key = site.key(name)
    redis.command("SET", key, "not yours")
    scope = parts.start(Scope(site))
    wait_error(scope, "wrongtype")
    scope.value_then = redis.command("GET", key)
    redis.command("DEL", key)
    return scope


def altered(parts, redis):
    """Some totals in Redis are not what they were left at; nothing else shows it."""
    scope = parts.start(with_messages(parts, "altered", redis, 50, "altered"))
    in_step(redis, scope)
    redis.command("HSET", scope.site.key("counters"), PASSED, "49", ABORTED, "7")
    return scope


def wrong_password(parts, redis):
    """Which is put right as soon as Redis has refused it."""
    redis.command("ACL", "SETUSER", "scope", "on", ">correct horse", "~*", "+@all")
    file = parts.folder.disk / "redis.password"
    file.write_text("battery staple\n")
    site = site_in(parts, "password", redis.url)
    site.write(redis={"user": "scope", "password_file": str(file)})
    scope = parts.start(Scope(site))
    scope.wait_value(1, "push_errors_total", error="auth")
    file.write_text("correct horse\n")
    return scope


@pytest.mark.parametrize("name", ["meta", "counters", "gauges"])
def test_foreign_key(slow, other_redis, name):
    scope = slow.foreign[name]
    assert scope.value_then == ["not yours"]
    scope.wait_said("pushing again")
    in_step(other_redis, scope)
    assert errors(scope, "wrongtype") == 1  # so it waited before it tried again
    assert len(scope.lines("WRONGTYPE")) == 1


def test_altered_values(slow, other_redis):
    in_step(other_redis, slow.altered)
    held = counters(other_redis, slow.altered)
    assert (held[PASSED], held[ABORTED]) == (50, 0)
    assert not slow.altered.lines("Redis")


def test_wrong_password(slow, other_redis):
    scope = slow.password
    scope.wait_said("pushing again")
    in_step(other_redis, scope)
    assert scope.value("push_errors_total", error="auth") == 1  # so it waited long enough before it tried again
    said = scope.lines("WRONGPASS")
    assert len(said) == 1
    assert other_redis.url in said[0]
    assert "counting goes on, pushing is retried" in said[0]
    assert "staple" not in scope.log()
    assert "horse" not in scope.log()
