"""Where the exporter's values come from: Redis or the tally, each of them absent, broken, hung, behind or somebody else's. What
is shown never steps back, and no scrape waits."""

import os
import signal
import socket
import subprocess
import time

import pytest
from exporter import OTHER, OWNER, ask, exporter_in, log_of, push
from kit.figures import figure
from kit.metrics import Metrics
from kit.place import free_port, program
from kit.programs import Exporter, Milterscope
from kit.servers import Redis
from kit.wait import wait_until
from scope import site_in

COUNTER = 'milterscope_messages_total{source="external",verdict="passed"}'
PUSHES = "milterscope_push_total"
FROM_REDIS = 'milterscope_data_source{source="redis"}'
FROM_TALLY = 'milterscope_data_source{source="tally"}'
REDIS_UP = 'milterscope_redis_up{program="exporter"}'
RELOADED = 'milterscope_config_last_reload_successful{program="exporter"}'
BUCKET = 'milterscope_session_seconds_bucket{{le="{}"}}'


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder))


def values(exporter):
    return exporter.metrics().values


def wait_for(exporter, **expected):
    """Until these series have these values; None: absent. Names without prefix, {name}_ for those with labels."""
    names = {"from_redis": FROM_REDIS, "from_tally": FROM_TALLY, "redis_up": REDIS_UP, "counter": COUNTER, "reloaded": RELOADED}
    wanted = {names.get(name, f"milterscope_{name}"): value for name, value in expected.items()}

    def reached():
        seen = values(exporter)
        return seen if all(seen.get(series) == value for series, value in wanted.items()) else None

    return wait_until(reached, lambda: f"{wanted}; there is { {name: values(exporter).get(name) for name in wanted} }")


def lines_with(exporter, words):
    return [line for line in log_of(exporter) if words in line]


# ---- Redis alone ----


def test_nothing_pushed(parts, redis):
    exporter = exporter_in(parts, "nothing", redis.url)
    seen = wait_for(exporter, up=0, instance_up=0, redis_up=1, from_redis=0, from_tally=0, scrape_errors=0)
    assert not [series for series in seen if "_total" in series and not series.startswith("process_")]
    answer = ask(exporter, "GET", "/readyz")
    assert answer.status == 503
    assert b"Redis holds nothing of this instance" in answer.content
    assert ask(exporter, "GET", "/livez").status == 200


def test_values_from_redis(parts, redis):
    exporter = exporter_in(parts, "values", redis.url)
    totals = {COUNTER: 2**53 + 1, BUCKET.format("0.01"): 3, BUCKET.format("+Inf"): 2, "milterscope_session_seconds_sum": "901.250000"}
    strange = {"milterscope_of_tomorrow_total": 1, 'milterscope_connections_total{client="local"}': "many", "": "", "x\ny": "1"}
    gauges = {"milterscope_sessions_active": 4, "milterscope_of_tomorrow": 1, "milterscope_filter_up": "NaN"}
    push(redis, exporter.site, totals | strange, gauges=gauges)
    seen = wait_for(exporter, up=1, instance_up=1, from_redis=1, counter=2**53 + 1)
    assert seen["milterscope_session_seconds_count"] == seen[BUCKET.format("+Inf")] == 5
    assert seen[BUCKET.format("300.0")] == 3
    assert float(seen["milterscope_session_seconds_sum"]) == 901.25
    assert seen["milterscope_sessions_active"] == 4
    assert seen['milterscope_connections_total{client="local"}'] == 0
    assert "milterscope_filter_up" not in seen
    assert not [series for series in seen if "tomorrow" in series]


def test_totals_never_step_back(parts, redis):
    exporter = exporter_in(parts, "back", redis.url)
    push(redis, exporter.site, {COUNTER: 100})
    wait_for(exporter, counter=100)
    push(redis, exporter.site, {COUNTER: 60}, gauges={"milterscope_sessions_active": 1})
    seen = wait_for(exporter, sessions_active=1)
    assert seen[COUNTER] == 100
    redis.command("FLUSHALL")
    wait_for(exporter, counter=None, up=0)
    push(redis, exporter.site, {COUNTER: 1}, gauges={"milterscope_sessions_active": 2})
    seen = wait_for(exporter, sessions_active=2)
    assert seen[COUNTER] == 100
    push(redis, exporter.site, {COUNTER: 101})
    wait_for(exporter, counter=101)


def test_a_new_tally_begins_anew(parts, redis):
    """That is a reset, and is shown as one; the old one's totals are not forgotten."""
    exporter = exporter_in(parts, "anew", redis.url)
    push(redis, exporter.site, {COUNTER: 100})
    wait_for(exporter, counter=100)
    push(redis, exporter.site, {COUNTER: 5}, owner=OTHER)
    wait_for(exporter, counter=5)
    push(redis, exporter.site, {COUNTER: 90}, owner=OWNER)
    wait_for(exporter, counter=100)


def test_silent_instance(parts, redis):
    exporter = exporter_in(parts, "silent", redis.url)
    push(redis, exporter.site, {COUNTER: 100}, age=290)
    wait_for(exporter, counter=100, instance_up=1, up=1)
    push(redis, exporter.site, {COUNTER: 100}, age=310)
    wait_for(exporter, counter=100, instance_up=0, up=0)
    assert b"nothing was pushed to Redis for 31" in ask(exporter, "GET", "/readyz").content


@pytest.mark.parametrize("owner", ["", "x" * 32 + ":boot", OWNER[:31], OWNER[:32]])
def test_owner_that_is_none(parts, redis, owner):
    exporter = exporter_in(parts, f"owner{owner[:1]}{len(owner)}", redis.url)
    push(redis, exporter.site, {COUNTER: 100})
    wait_for(exporter, counter=100)
    push(redis, exporter.site, {COUNTER: 100}, owner=owner)
    wait_for(exporter, redis_up=1, counter=None, up=0)


def test_key_of_another_type(parts, redis):
    exporter = exporter_in(parts, "type", redis.url)
    push(redis, exporter.site, {COUNTER: 1})
    wait_for(exporter, counter=1)
    redis.command("DEL", exporter.site.key("counters"))
    redis.command("SET", exporter.site.key("counters"), "x")
    wait_for(exporter, redis_up=0, counter=None, scrape_errors=1)
    assert len(lines_with(exporter, "HGETALL counters: WRONGTYPE")) == 1
    assert redis.command("GET", exporter.site.key("counters")) == ["x"]


def test_name_that_resolves_to_more_than_one_address(parts):
    """localhost is often ::1 first, where this server is not."""
    try:
        socket.getaddrinfo("localhost", None)
    except socket.gaierror:
        pytest.skip("localhost is not known here")
    port = free_port()
    folder = site_in(parts, "named-redis", "unix:///none").folder
    redis = parts.start(Redis(folder, "--port", str(port)))
    exporter = exporter_in(parts, "named", f"redis://localhost:{port}/1")
    client = ["-n", "1"]
    redis.command(*client, "HSET", exporter.site.key("counters"), COUNTER, "9")
    redis.command(*client, "HSET", exporter.site.key("meta"), "owner", OWNER, "pushed_at", redis.command("TIME")[0])
    wait_for(exporter, redis_up=1, counter=9)
    assert "name=milterscope-exporter" in "\n".join(redis.command("CLIENT", "LIST"))


def test_name_that_does_not_resolve(parts):
    exporter = exporter_in(parts, "unresolved", "redis://no-such-host.invalid:6379/0")
    wait_for(exporter, redis_up=0)
    assert ask(exporter, "GET", "/livez").status == 200


# ---- passwords, and reloads ----


class LockedRedis(Redis):
    """One that asks for a password."""

    password = "the-secret"

    def __init__(self, folder):
        super().__init__(folder, "--requirepass", self.password)

    def command(self, *words):
        return super().command("-a", self.password, "--no-auth-warning", *words)

    def refused(self):
        """How often AUTH was wrong."""
        line = next((line for line in self.command("INFO", "commandstats") if line.startswith("cmdstat_auth:")), "")
        return int(line.split("failed_calls=")[1]) if line else 0


def test_wrong_password(parts):
    folder = site_in(parts, "auth-redis", "unix:///none").folder
    password = folder.disk / "password"
    password.write_text("not-the-password\n")
    redis = parts.start(LockedRedis(folder))
    exporter = exporter_in(parts, "auth", redis.url, redis={"password_file": str(password), "push_interval": 0.1})
    push(redis, exporter.site, {COUNTER: 3})
    wait_for(exporter, redis_up=0, scrape_errors=1, up=0)
    assert b"WRONGPASS" in ask(exporter, "GET", "/readyz").content
    time.sleep(2)  # in which a client without manners would have asked twenty times
    assert redis.refused() == 2  # for the metrics, and for the top lists
    assert len(lines_with(exporter, "WRONGPASS")) == 1
    password.write_text("the-secret\nanother line\n")
    exporter.process.send(signal.SIGUSR1)
    wait_for(exporter, redis_up=1, counter=3, up=1)
    assert not [line for line in log_of(exporter) if "the-password" in line or "the-secret" in line]


def test_no_password(parts):
    folder = site_in(parts, "nopass-redis", "unix:///none").folder
    redis = parts.start(LockedRedis(folder))
    exporter = exporter_in(parts, "nopass", redis.url)
    wait_for(exporter, redis_up=0)
    assert len(lines_with(exporter, "NOAUTH")) == 1


def test_reload(parts, redis):
    exporter = exporter_in(parts, "reload", "unix:///nonexistent/redis.sock")
    site = exporter.site
    push(redis, site, {COUNTER: 3})
    wait_for(exporter, redis_up=0, reloaded=1)
    good = site.file.read_text()
    site.file.write_text(good.replace("push_interval", "push_intervall"))
    exporter.process.send(signal.SIGUSR1)
    wait_for(exporter, reloaded=0)
    assert lines_with(exporter, "push_intervall")[0].endswith("the configuration before stays in force")
    site.write(redis={"url": redis.url}, log={"level": "debug"}, exporter={"listen": ["127.0.0.1:1"]})
    exporter.process.send(signal.SIGUSR1)
    wait_for(exporter, reloaded=1, redis_up=1, counter=3)
    assert lines_with(exporter, "exporter.listen has changed and needs a restart")


# ---- once ----


def once(site):
    command = [program("milterscope-exporter"), "-c", site.file, "--once"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_once(parts, redis):
    site = site_in(parts, "once", redis.url)
    push(redis, site, {COUNTER: 11})
    result = once(site)
    assert (result.returncode, result.stderr) == (0, "")
    assert Metrics(result.stdout).values[COUNTER] == 11


def test_once_without_a_source(parts):
    result = once(site_in(parts, "once-nothing", "unix:///nonexistent/redis.sock"))
    assert result.returncode == 69
    assert "/nonexistent/redis.sock: No such file" in result.stderr
    seen = Metrics(result.stdout).values
    assert (seen["milterscope_up"], seen["milterscope_scrape_errors"]) == (0, 1)


# ---- with the tally of this host ----


@pytest.fixture
def node(request, parts):
    """milterscope and exporter on one host, and a Redis of their own."""
    name = request.node.name.removeprefix("test_")
    site = site_in(parts, name, f"unix://{parts.folder.disk / name / 'redis' / 'redis.sock'}", redis={"timeout": 1.0})
    with Redis(site.folder) as site.redis, Milterscope(site) as site.milterscope, Exporter(site) as site.exporter:
        wait_for(site.exporter, from_redis=1, from_tally=0, up=1, instance_up=1, scrape_errors=0)
        yield site


def test_redis_is_killed_and_comes_back(node):
    before = values(node.exporter)[PUSHES]
    pid = int((node.redis.folder / "redis.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    seen = wait_for(node.exporter, from_redis=0, from_tally=1, up=1, redis_up=0, scrape_errors=1, instance_up=None)
    assert seen[PUSHES] >= before
    assert seen["milterscope_filter_up"] == 1
    assert ask(node.exporter, "GET", "/readyz").status == 200
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "Redis is gone")
    node.redis.start()
    after = wait_for(node.exporter, from_redis=1, from_tally=0, redis_up=1, scrape_errors=0, instance_up=1)
    assert after[PUSHES] >= seen[PUSHES]
    assert len(lines_with(node.exporter, "Redis cannot be read")) <= 2  # refused; while it starts perhaps in another way
    assert len(lines_with(node.exporter, "Redis is read again")) == 1


def test_redis_hangs(node):
    """No scrape waits for it, and the tally takes over."""
    pid = int((node.redis.folder / "redis.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    durations, pushes = [], []

    def from_tally():
        began = time.monotonic()
        seen = values(node.exporter)
        durations.append(time.monotonic() - began)
        pushes.append(seen[PUSHES])
        return seen[FROM_TALLY] == 1

    try:
        wait_until(from_tally, "the tally takes over", interval=0.01)
        figure(f"exporter: without Redis, the slowest of {len(durations)} scrapes took {max(durations) * 1000:.1f} ms")
        assert pushes == sorted(pushes)
        wait_for(node.exporter, redis_up=0, up=1)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(node.exporter, from_redis=1, redis_up=1)
    assert len(lines_with(node.exporter, "no answer in time")) == 1


def test_redis_is_behind_or_not_ours(node):
    """The tally is the floor; a higher value in Redis counts only if it is of the same tally."""
    assert node.milterscope.stop() == 0
    last = values(node.exporter)[PUSHES]
    owner = node.redis.command("HGET", node.key("meta"), "owner")[0]
    push(node.redis, node, {PUSHES: 0}, owner=owner, gauges={"milterscope_sessions_active": 1})
    assert wait_for(node.exporter, sessions_active=1)[PUSHES] == last
    push(node.redis, node, {PUSHES: 0}, owner=owner, age=60)  # nobody pushes any more, and the gauges there are old
    assert wait_for(node.exporter, from_redis=0, from_tally=1)[PUSHES] == last
    push(node.redis, node, {PUSHES: last + 10}, owner=owner)
    wait_for(node.exporter, push_total=last + 10)
    push(node.redis, node, {PUSHES: 10**12}, owner=OTHER, gauges={"milterscope_sessions_active": 2})
    seen = wait_for(node.exporter, instance_up=0, from_redis=0, from_tally=1)
    assert seen[PUSHES] == last + 10
    assert "milterscope_sessions_active" not in seen
    assert b"another tally" in ask(node.exporter, "GET", "/readyz").content
    node.redis.command("FLUSHALL")
    wait_for(node.exporter, instance_up=0)
    assert values(node.exporter)[PUSHES] == last + 10


def test_milterscope_is_restarted(node):
    """The tally is a new file then, with the same totals."""
    assert node.milterscope.stop() == 0
    before = values(node.exporter)[PUSHES]
    os.kill(int((node.redis.folder / "redis.pid").read_text()), signal.SIGKILL)  # so that only the tally tells of it
    wait_for(node.exporter, from_tally=1)
    assert values(node.exporter)[PUSHES] == before
    node.milterscope.start()
    failures = 'milterscope_push_errors_total{error="connect"}'
    count = values(node.exporter)[failures]
    wait_until(lambda: values(node.exporter)[failures] > count, "the new tally is read")
    assert values(node.exporter)[PUSHES] == before


def test_milterscope_stops(node):
    """Its totals stay, and are said not to be live."""
    assert node.milterscope.stop() == 0
    last = values(node.exporter)[PUSHES]
    seen = wait_for(node.exporter, up=0, sessions_active=None)
    assert seen[PUSHES] == last
    assert b"milterscope does not run on this host" in ask(node.exporter, "GET", "/readyz").content


def test_tally_that_cannot_be_read(node):
    assert node.milterscope.stop() == 0
    tally = node.run_directory / "conversation.tally"
    damaged = node.run_directory / "damaged"
    damaged.write_bytes(b"x" * tally.stat().st_size)
    damaged.rename(tally)
    wait_for(node.exporter, scrape_errors=1, from_redis=1, from_tally=0)
    assert len(lines_with(node.exporter, "no tally: ")) == 1
    tally.unlink()
    wait_for(node.exporter, scrape_errors=0)
