"""The doctor asks Redis, by way of the pusher: each refusal is found, and cured by the line that the doctor gives. It
changes nothing there nor elsewhere, and says so where it cannot look."""

import os
from types import SimpleNamespace

import pytest
from diagnosis import AS_ACCOUNT, change, doctor_with_copy, postfix_as_recommended, site_at
from kit.place import free_port
from kit.process import run
from kit.procfs import children
from kit.servers import Redis
from kit.wait import wait_until
from mail import send
from scope import Scope, copy_programs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what other accounts may do")


@pytest.fixture(scope="module")
def redis(parts):
    port = free_port()
    redis = Redis(parts.folder, "--port", str(port), "--unixsocketperm", "777", "--repl-diskless-sync-delay", "0")
    redis.port = port
    return parts.start(redis)


@pytest.fixture(scope="module")
def postfix(parts):
    return postfix_as_recommended(parts)


@pytest.fixture(scope="module")
def running(parts, postfix, redis):
    """It pushes at its start, and then leaves Redis alone."""
    return parts.start(Scope(site_at(parts, postfix, redis, "main"), enter=AS_ACCOUNT))


@pytest.fixture
def site(running):
    """The doctor reads its file; milterscope has read it."""
    before = running.site.settings
    yield running.site
    running.site.settings = before
    running.site.write()


@pytest.fixture
def doctor(request, parts, postfix, site):
    return doctor_with_copy(parts, postfix, site, request.node.name)


def cure(doctor, *texts):
    found = doctor.expect(*texts)
    assert doctor.paste(found)[1] == []
    doctor.expect_silence()
    return found



def test_away(doctor, site, redis):
    redis.stop()
    found = doctor.expect(f"Redis {redis.url}: ")
    assert doctor.paste(found) == (["restart redis-server"], [])
    redis.start()
    doctor.expect_silence()


def test_asks_for_a_password(doctor, site, redis):
    redis.command("CONFIG", "SET", "requirepass", "correct horse")
    try:
        (site.file.parent / "redis.password").write_text("correct horse\n")
        cure(doctor, "NOAUTH")
    finally:
        redis.command("-a", "correct horse", "CONFIG", "SET", "requirepass", "")


def limited(redis, site, password, *rights):
    """A user of Redis, and our site as that user."""
    redis.command("ACL", "SETUSER", "scope", "reset", "on", f">{password}", *rights)
    file = site.file.parent / "redis.password"
    file.write_text("it's $ecret\n")
    site.write(redis={"user": "scope", "password_file": str(file)})


def test_refuses_the_password(doctor, site, redis):
    limited(redis, site, "battery staple", "~*", "+@all")
    found = cure(doctor, "WRONGPASS")
    assert "$ecret" not in found[0].text + found[0].line


def test_refuses_commands(doctor, site, redis):
    """Each right of the manual's that a question can show; HSET alone cannot be asked without a change."""
    limited(redis, site, "it's $ecret")
    line = cure(doctor, "NOPERM")[0].line
    rights = [word.strip("'") for word in line.split() if word.strip("'")[0] in "+~"]
    for right in rights:
        if right not in ("+hset", "+client|setname"):
            others = [word for word in rights if word != right]
            redis.command("ACL", "SETUSER", "scope", "reset", "on", ">it's $ecret", *others)
            doctor.expect("NOPERM")


def test_is_a_replica(doctor, site, redis, own_parts):
    folder = SimpleNamespace(disk=site.folder.disk / "replica")
    folder.disk.mkdir()
    replica = own_parts.start(Redis(folder, "--unixsocketperm", "777", "--replicaof", f"127.0.0.1 {redis.port}"))
    wait_until(lambda: "master_link_status:up" in replica.command("INFO", "replication"), "the replica has its master")
    site.write(redis={"url": replica.url})
    cure(doctor, "READONLY")
    assert site.settings["redis"]["url"] == f"redis://127.0.0.1:{redis.port}"


def test_is_full(doctor, site, redis):
    redis.command("CONFIG", "SET", "maxmemory", "1")
    cure(doctor, "OOM")


@pytest.mark.parametrize("name", ["meta", "counters", "gauges"])
def test_something_else_is_there(doctor, site, redis, name):
    redis.command("SET", site.key(name), "not ours")
    cure(doctor, "WRONGTYPE")
    assert redis.command("GET", f"not-{site.key(name)}") == ["not ours"]


# ---- it changes nothing ----


def test_changes_nothing(doctor, running, site, postfix, redis):
    redis.command("FLUSHALL")
    change(doctor, ["-e", "smtpd_milters=", "smtpd_delay_reject=no"])
    send(postfix)
    running.wait_passed(1)
    files = [doctor.environment["MAIL_CONFIG"], site.folder.disk, os.path.dirname(site.milter_socket)]

    def state():
        listed = run(["find", *files, "-printf", "%p %m %u %g %s %T@ %i\n"])
        listed = [line for line in listed.splitlines() if ".tally" not in line]
        series = {name: value for name, value in running.counts().items() if "busy" not in name}
        processes = [children(running.pid, f"milterscope-{name}") for name in ("filter", "pusher")]
        return sorted(listed), redis.command("KEYS", "*"), series, processes

    doctor.age()
    before = state()
    assert len(doctor.look()) == 2
    assert state() == before


# ---- where it cannot look ----


def cannot(doctor, status, text):
    assert doctor.look() == []
    assert (doctor.status, doctor.summary) == (status, "")
    assert text in doctor.errors


def test_no_postconf(doctor, site):
    doctor.environment["PATH"] = "/nonexistent"
    if not os.path.exists("/usr/sbin/postconf"):
        cannot(doctor, 69, "there is no postconf in PATH")


def test_broken_postfix(doctor, site):
    os.remove(f"{doctor.environment['MAIL_CONFIG']}/main.cf")
    cannot(doctor, 69, "cannot tell how Postfix is configured: ")


def test_exim(doctor, site):
    site.write(mta={"kind": "exim"})
    cannot(doctor, 69, "Exim does not speak the milter protocol")


def test_other_place(doctor, site):
    """mta.config, and the lines to paste follow."""
    folder = doctor.environment.pop("MAIL_CONFIG")
    site.write(mta={"config": folder})
    doctor.expect_silence()
    run(["postconf", "-c", folder, "-e", "smtpd_delay_reject=no"], env=doctor.environment)
    os.utime(f"{folder}/main.cf", (0, 0))
    found = doctor.expect("smtpd_delay_reject is no")
    assert f"postconf -c {folder} -e " in found[0].line
    doctor.paste(found)
    os.utime(f"{folder}/main.cf", (0, 0))
    doctor.expect_silence()


def test_not_root(doctor, site):
    """What can be seen is said; what cannot, too."""
    doctor.entering = AS_ACCOUNT
    cannot(doctor, 77, "run this as root")
    change(doctor, ["-e", "smtpd_delay_reject=no"])
    assert [one.text[:24] for one in doctor.look()] == ["smtpd_delay_reject is no"]
    assert "run this as root" in doctor.errors


def test_no_pusher(doctor, site):
    doctor.programs = copy_programs(site.folder.disk, without="milterscope-pusher")
    cannot(doctor, 72, "milterscope-pusher is missing, which asks Redis")
