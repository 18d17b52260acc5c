"""The doctor looks at what is between Postfix and milterscope, and at what milterscope needs: the socket and its
folders, limits. Each fault is made, found, cured by the line that the doctor gives, and gone."""

import os
import re
import resource
import shutil
import signal
import subprocess

import pytest
from diagnosis import (
    ACCOUNT,
    AS_ACCOUNT,
    RECOMMENDED,
    Doctor,
    change,
    doctor_with_copy,
    make_folder,
    postfix_as_recommended,
    site_at,
)
from kit.place import free_port
from kit.process import run
from kit.servers import Redis
from mail import send
from scope import Scope

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what other accounts may do")


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder, "--unixsocketperm", "777"))


@pytest.fixture(scope="module")
def postfix(parts):
    return postfix_as_recommended(parts)


@pytest.fixture
def site(request, own_parts, postfix, redis):
    name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))
    shutil.rmtree(postfix.folder / "queue" / "milterscope", ignore_errors=True)
    return site_at(own_parts, postfix, redis, name)


@pytest.fixture
def scope(own_parts, site):
    """Not started yet."""
    scope = Scope(site, enter=AS_ACCOUNT)
    own_parts.push(scope)
    return scope


@pytest.fixture
def doctor(request, own_parts, postfix, site):
    return doctor_with_copy(own_parts, postfix, site, request.node.name)


def restart(scope):
    """As systemd does it, with those too who stand still, and if it does not run."""
    if scope.process and scope.process.popen.poll() is None:
        for pid in [*scope.children("filter"), scope.pid]:
            os.kill(pid, signal.SIGCONT)
        assert scope.stop_at_once() == 0
    scope.start()


def cure(doctor, scope, *texts):
    """These are found; the lines are pasted; nothing is found any more."""
    found = doctor.expect(*texts)
    asked, others = doctor.paste(found)
    assert others == []
    if asked:
        assert set(asked) == {"restart milterscope"}
        restart(scope)
    doctor.expect_silence()
    return found


# ---- the socket ----


def test_not_running(doctor, scope):
    cure(doctor, scope, f"there is no socket {scope.site.milter_socket}: milterscope does not run")


def test_killed(doctor, scope):
    scope.start()
    scope.kill()
    cure(doctor, scope, f"nobody listens at unix:{scope.site.milter_socket}: milterscope does not run")


def test_silent(doctor, scope):
    """All of it stands still, so that nobody replaces the filter."""
    scope.start()
    os.kill(scope.pid, signal.SIGSTOP)
    for pid in scope.children("filter"):
        os.kill(pid, signal.SIGSTOP)
    cure(doctor, scope, f"somebody listens at unix:{scope.site.milter_socket} and does not answer as a filter")


def test_no_folder(doctor, scope):
    folder = os.path.dirname(scope.site.milter_socket)
    os.rmdir(folder)
    found = doctor.expect(f"there is no folder {folder} for the milter socket")
    assert f"-m 2750 {folder} && systemctl restart milterscope" in found[0].line
    found[0].line = found[0].line.replace("-o root", f"-o {ACCOUNT}")  # that of milterscope, where it is installed
    assert doctor.paste(found) == (["restart milterscope"], [])
    scope.start()
    doctor.expect_silence()


@pytest.mark.parametrize("chroot", ["n", "y"])
def test_closed_folder(doctor, scope, postfix, chroot):
    scope.start()
    folder = make_folder(postfix)
    change(doctor, ["-F", f"*/*/chroot={chroot}"])
    shutil.chown(folder, ACCOUNT, ACCOUNT)
    user = postfix.account()["user"]
    cure(doctor, scope, f"Postfix runs as {user}, which may not enter {folder}, where the way to the socket leads")


def test_closed_way(doctor, scope, postfix):
    folder = make_folder(postfix) / "deeper"
    run(["install", "-d", "-o", ACCOUNT, "-g", postfix.account()["group"], "-m", "2750", folder])
    scope.site.milter_socket = f"{folder}/milter.sock"
    scope.site.write(milter={"socket": f"unix:{folder}/milter.sock"})
    restart(scope)
    change(doctor, ["-e", "smtpd_milters = " + RECOMMENDED.replace("scope/", "scope/deeper/")])
    doctor.expect_silence()
    shutil.chown(folder.parent, ACCOUNT, ACCOUNT)
    cure(doctor, scope, f"which may not enter {folder.parent}, where the way to the socket leads")


def test_closed_socket(doctor, scope, postfix):
    scope.site.write(milter={"socket_mode": "0600"})
    restart(scope)
    user = postfix.account()["user"]
    cure(doctor, scope, f"Postfix runs as {user}, which may not open the socket {scope.site.milter_socket}")


def test_groups_count(doctor, scope, postfix):
    """The MTA's account may be a member of the socket's group."""
    shutil.chown(make_folder(postfix), ACCOUNT, "voice")
    restart(scope)
    assert len(doctor.look()) == 1
    file = scope.site.folder.disk / "group"
    user = postfix.account()["user"]
    with open("/etc/group", encoding="utf-8") as groups:
        file.write_text(re.sub(r"^(voice:.*:).*$", rf"\1{user}", groups.read(), flags=re.MULTILINE))
    doctor.entering = ["unshare", "--mount", "sh", "-ec", f'mount --bind {file} /etc/group; exec "$@"', "sh"]
    if subprocess.run([*doctor.entering, "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no mount namespace is to be had here")
    doctor.expect_silence()


def test_socket_open_to_all(doctor, scope):
    scope.site.write(milter={"socket_mode": "0666"})
    restart(scope)
    doctor.expect_silence()  # nobody else may enter its folder
    os.chmod(os.path.dirname(scope.site.milter_socket), 0o2755)
    cure(doctor, scope, "every account on this host may open the milter socket")


def test_out_of_the_chroot(doctor, scope):
    outside = scope.site.folder.tmpfs / "milter.sock"
    inside = scope.site.milter_socket
    shutil.chown(outside.parent, ACCOUNT)
    scope.site.milter_socket = str(outside)
    scope.site.write(milter={"socket": f"unix:{outside}", "socket_mode": "0666"})
    restart(scope)
    change(doctor, ["-e", f"smtpd_milters = {RECOMMENDED.replace('milterscope/milter.sock', str(outside))}"])
    change(doctor, ["-F", "*/*/chroot=y"])
    scope.site.milter_socket = inside
    texts = ["smtpd_milters: smtpd works in the chroot", f"where it cannot reach milter.socket {outside}"]
    found = cure(doctor, scope, *texts)
    assert RECOMMENDED in found[0].line


def test_tcp(doctor, scope, postfix):
    """It has to move, and then Postfix has to follow."""
    inside, port = scope.site.milter_socket, free_port()
    scope.site.write(milter={"socket": f"inet:{port}@127.0.0.1"})
    scope.answers = lambda: scope.process.check_alive() or scope.lines("serves inet")
    restart(scope)
    other = RECOMMENDED.replace("unix:milterscope/milter.sock", f"inet:localhost:{port}")
    change(doctor, ["-e", f"smtpd_milters = {other}"])
    found = doctor.expect("milter.socket is TCP: every account on this host")
    doctor.paste(found)
    del scope.answers
    assert scope.site.settings["milter"]["socket"] == f"unix:{inside}"
    restart(scope)
    cure(doctor, scope, "smtpd_milters: milterscope is not in it")


# ---- limits ----


def test_sessions_limited(doctor, scope):
    scope.site.write(milter={"max_sessions": 99})
    restart(scope)
    cure(doctor, scope, "the MTA may have 100 sessions at a time, milterscope takes 99 (milter.max_sessions)")


def test_open_files(doctor, scope):
    scope.enter = ["prlimit", "--nofile=150:150", *AS_ACCOUNT]
    restart(scope)
    texts = ["the MTA may have 100 sessions at a time, milterscope takes 86, as its limit of open files allows"]
    line = doctor.expect(*texts)[0].line
    assert line.startswith("mkdir -p /etc/systemd/system/milterscope.service.d && printf '[Service]\\nLimitNOFILE=65536")
    assert line.endswith(" && systemctl daemon-reload && systemctl restart milterscope")
    number = int(re.search(r"LimitNOFILE=(\d+)", line).group(1))  # what systemd would do with it, as far as we may
    number = min(number, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    scope.enter = ["prlimit", f"--nofile={number}:{number}", *AS_ACCOUNT]
    restart(scope)
    doctor.expect_silence()


# ---- folders ----


@pytest.mark.parametrize("name", ["run_directory", "state_directory"])
def test_folder_open_to_all(doctor, scope, name):
    folder = getattr(scope.site, name)
    scope.start()
    folder.chmod(0o777)
    cure(doctor, scope, f"{name} {folder} is writable to everybody")


@pytest.mark.parametrize("name", ["run_directory", "state_directory"])
def test_folder_that_all_share(doctor, scope, name):
    """As /tmp is: that one stays as it is, and ours goes elsewhere."""
    folder = getattr(scope.site, name)
    scope.start()
    folder.chmod(0o1777)
    (found,) = doctor.expect(f"{name} {folder} is writable to everybody")
    usual = {"run_directory": "/run/milterscope", "state_directory": "/var/lib/milterscope"}
    assert (str(scope.site.file) in found.where, found.line) == (True, f"{name}: {usual[name]}")


def test_folder_missing(doctor, scope):
    folder = scope.site.folder.disk / "state2"
    scope.start()
    scope.site.write(state_directory=str(folder))
    cure(doctor, scope, f"state_directory {folder} does not exist")
    assert (folder.owner(), folder.group(), folder.stat().st_mode & 0o777) == (ACCOUNT, ACCOUNT, 0o750)


def test_folder_of_somebody_else(doctor, scope):
    folder = scope.site.state_directory
    scope.start()
    shutil.chown(folder, "root", "root")
    said = f"milterscope runs as {ACCOUNT}, which cannot write there: Permission denied"
    cure(doctor, scope, f"state_directory {folder}: {said}")


def test_way_to_folder_closed(doctor, scope):
    outer = scope.site.folder.disk / "outer"
    folder = outer / "state"
    folder.mkdir(parents=True)
    shutil.chown(folder, ACCOUNT, ACCOUNT)
    scope.start()
    outer.chmod(0o700)
    scope.site.write(state_directory=str(folder))
    cure(doctor, scope, f"milterscope runs as {ACCOUNT}, which may not enter {outer}")


# ---- really ----


def test_mail_is_counted_again(own_parts, postfix, scope):
    """A Postfix that runs, set up wrongly: what the doctor says is pasted, and mail is counted."""
    doctor = Doctor(scope.site, scope.site.folder.disk, MAIL_CONFIG=str(postfix.folder / "etc"))
    port = f"127.0.0.1:{postfix.address[1]}/inet"
    change(doctor, ["-e", "smtpd_milters = unix:milterscope/milter.sock, inet:127.0.0.1:1", "non_smtpd_milters ="])
    change(doctor, ["-P", f"{port}/smtpd_milters={{inet:127.0.0.1:1,default_action=accept}}"])
    doctor.run("postfix reload")
    scope.start()
    send(postfix)
    assert scope.passed() == 0
    doctor.paste(doctor.look())
    doctor.run(doctor.summary.split("; when all is pasted: ")[1])
    doctor.expect_silence()
    send(postfix)
    scope.wait_passed(1)
