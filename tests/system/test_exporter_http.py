"""The exporter as an HTTP server: routes, methods, formats, and clients that behave badly."""

import base64
import contextlib
import gzip
import hashlib
import re
import signal
import socket
import subprocess
import time

import pytest
from exporter import ask, connect, exporter_in, push, say
from kit.figures import figure
from kit.metrics import Metrics
from kit.place import free_port, program, server_program
from kit.process import Process
from kit.programs import Exporter
from kit.servers import Redis
from kit.wait import wait_until
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from scope import site_in

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
CONNECTIONS = 'milterscope_connections_total{client="external"}'


@pytest.fixture(scope="module")
def redis(parts):
    return parts.start(Redis(parts.folder))


@pytest.fixture(scope="module")
def exporter(parts, redis):
    """One that Redis has values for."""
    exporter = exporter_in(parts, "http", redis.url)
    push(redis, exporter.site, {CONNECTIONS: 7}, gauges={"milterscope_sessions_active": 3})
    wait_until(lambda: ask(exporter, "GET", "/readyz").status == 200, "the exporter is ready")
    return exporter


@pytest.mark.parametrize("path", ["/", "/metrics", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "BREW"])
def test_methods(exporter, method, path):
    response = ask(exporter, method, path)
    good = method in ("GET", "HEAD") or (method == "OPTIONS" and path != "/metrics")
    assert response.status == (200 if good else 405)
    if not good:
        assert response.headers["Allow"] == ("GET, HEAD" if path == "/metrics" else "GET, HEAD, OPTIONS")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"]


def test_unknown_path(exporter):
    response = ask(exporter, "GET", "/metric")
    assert response.status == 404
    assert b"/metrics" in response.content


def test_query_is_ignored(exporter):
    assert ask(exporter, "GET", "/livez?verbose").content == b"alive\n"


def test_head_is_get_without_body(exporter):
    head, get = ask(exporter, "HEAD", "/livez"), ask(exporter, "GET", "/livez")
    assert head.content == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.content))


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz"])
def test_haproxy_asks(exporter, path):
    """Its default check has no Host."""
    answer = say(exporter, f"OPTIONS {path} HTTP/1.0\r\n\r\n".encode())
    assert re.match(rb"HTTP/1\.[01] 200 ", answer)


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 43",
        "Transfer-Encoding: chunked",
        "Content-Length: 43\r\nTransfer-Encoding: chunked",
        "Content-Length: +43",
        "Content-Length: 0043",
        "Content-Length: 0\r\nContent-Length: 43",
        "Content-Length: 43\r\nContent-Length: 0",
        "Content-Length : 43",
        "Transfer-Encoding : chunked",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bodies_are_refused(exporter, method, headers):
    """And what stands in the body is not answered as a request."""
    hidden = "GET /metrics HTTP/1.1\r\nHost: hidden\r\n\r\n"
    body = f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n" if "chunked" in headers else hidden + " " * 8
    answer = say(exporter, f"{method} /livez HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}".encode())
    assert re.match(rb"HTTP/1\.1 4(13|00) ", answer)
    assert b"milterscope_" not in answer
    assert b"alive" not in answer


@pytest.mark.parametrize(
    "accept, content_type",
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("garbage;;=", TEXT),
        ("text/html,*/*;q=0.8", TEXT),
        (PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
    ],
)
def test_negotiation(exporter, accept, content_type):
    response = ask(exporter, "GET", "/metrics", **({"Accept": accept} if accept else {}))
    assert response.headers["Content-Type"] == content_type
    text = response.content.decode()
    assert text.endswith("# EOF\n") == (content_type == OPENMETRICS)
    assert Metrics(text).values[CONNECTIONS] == 7


def test_two_formats_say_the_same(exporter):
    def steady(text):
        """Without what changes from scrape to scrape."""
        values = Metrics(text).values.items()
        return {series: value for series, value in values if not re.match("process_|milterscope_scrape_", series)}

    text = ask(exporter, "GET", "/metrics").content.decode()
    openmetrics = ask(exporter, "GET", "/metrics", Accept=PROMETHEUS).content.decode()
    assert steady(text) == steady(openmetrics)
    families = {family.name: family for family in text_string_to_metric_families(openmetrics)}
    assert families["milterscope_build"].type == "info"
    assert families["milterscope_session_seconds"].unit == "seconds"
    assert families["process_cpu_seconds"].type == "counter"


def test_promtool_has_no_complaint(exporter):
    text = ask(exporter, "GET", "/metrics").content
    promtool = server_program("prometheus", "usr/bin/promtool")
    result = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    assert (result.returncode, result.stdout + result.stderr) == (0, b"")


def test_gzip(exporter):
    plain = ask(exporter, "GET", "/metrics", Accept_Encoding="identity")
    small = ask(exporter, "GET", "/metrics", Accept_Encoding="gzip")
    assert plain.headers["Content-Encoding"] is None
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["Vary"]
    assert len(small.content) * 3 < len(plain.content)
    assert Metrics(gzip.decompress(small.content).decode()).values.keys() == Metrics(plain.content.decode()).values.keys()
    assert ask(exporter, "GET", "/livez", Accept_Encoding="gzip").content == b"alive\n"


def test_page(exporter):
    response = ask(exporter, "GET", "/")
    page = response.content.decode()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>milterscope: http</h1>" in page
    assert "Live, from Redis. 3 SMTP sessions open." in page
    assert "<td>external</td><td>7</td>" in page
    assert '<a href="/metrics">' in page
    style = re.search("<style>(.*)</style>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_page_escapes(parts):
    exporter = exporter_in(parts, "escape", "unix:///nonexistent/<b>&'\".sock")
    wait_until(lambda: b"cannot be read" in ask(exporter, "GET", "/").content, "the page tells of Redis")
    page = ask(exporter, "GET", "/").content.decode()
    assert "&lt;b&gt;&amp;&#39;&quot;.sock" in page
    assert "<b>" not in page


def test_ipv6(parts, redis):
    port = free_port()
    site = site_in(parts, "ipv6", redis.url, exporter={"listen": [f"127.0.0.1:{port}", f"[::1]:{port}"]})
    site.http = ("127.0.0.1", port)
    exporter = parts.start(Exporter(site))
    for address in ("127.0.0.1", "::1"):
        exporter.site.http = (address, port)
        assert ask(exporter, "GET", "/livez").status == 200


@pytest.mark.parametrize(
    "name, address, words",
    [("taken", None, "address in use by another program"), ("foreign", "192.0.2.1:19154", "no such address")],
)
def test_address_that_cannot_be_had(parts, redis, exporter, name, address, words):
    address = address or "%s:%d" % exporter.site.http
    site = site_in(parts, name, redis.url, exporter={"listen": [address]})
    command = [program("milterscope-exporter"), "-c", site.file]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 69
    assert f"exporter.listen {address}: {words}" in result.stderr


# ---- clients that behave badly ----


def hung_up(connection):
    """Whether the exporter has ended this connection."""
    try:
        return connection.recv(65536, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_slow_clients_are_cut(exporter):
    """A client that sends a header byte by byte is never idle; others are served meanwhile, and one that waits between two
    requests is left alone."""
    polite = connect(exporter)
    polite.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"alive" in polite.recv(65536)
    began = time.monotonic()
    dripping = {connect(exporter): iter(start) for start in (b"GET /liv", b"GET /livez HTTP/1.1\r\nX: ")}
    rest = dict.fromkeys(dripping, b"x")

    def drip():
        assert ask(exporter, "GET", "/livez").status == 200
        for connection in [connection for connection in dripping if not hung_up(connection)]:
            try:
                connection.sendall(bytes([next(dripping[connection], rest[connection][0])]))
            except ConnectionError:
                continue
        return all(hung_up(connection) for connection in dripping)

    wait_until(drip, "the dripping clients are cut", interval=0.2)
    figure(f"exporter: dripping clients cut after {time.monotonic() - began:.1f} s")
    polite.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"alive" in polite.recv(65536)
    for connection in (polite, *dripping):
        connection.close()


def test_a_crowd_is_cut_too(exporter):
    """More connections than there are places, of clients that say nothing: the next scrape gets through."""
    crowd = [connect(exporter) for _ in range(200)]
    began = time.monotonic()

    def served():
        try:
            return ask(exporter, "GET", "/metrics").status == 200
        except OSError:
            return False

    wait_until(served, "a scrape gets through", interval=0.5)
    figure(f"exporter: a scrape served in a crowd after {time.monotonic() - began:.1f} s")
    wait_until(lambda: all(hung_up(connection) for connection in crowd), "the crowd is cut")
    for connection in crowd:
        connection.close()


def test_clients_that_stop_reading_are_cut(exporter):
    """They ask for more than the kernel keeps for them, and read nothing of it."""

    def open_files():
        return Metrics(ask(exporter, "GET", "/metrics").content.decode()).values["process_open_fds"]

    few = 20
    wait_until(lambda: open_files() < few, "the clients of other tests are gone")
    crowd = [connect(exporter) for _ in range(few)]
    began = time.monotonic()
    for connection in crowd:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            for _ in range(1000):
                connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: open_files() > few, "they are connected")
    wait_until(lambda: open_files() < few, "they are cut", interval=0.5)
    figure(f"exporter: silent clients cut after {time.monotonic() - began:.1f} s")
    for connection in crowd:
        connection.close()


# ---- systemd ----


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told(parts, redis, kind):
    site = site_in(parts, f"notify-{kind}", redis.url)
    path = str(site.folder.tmpfs / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path if kind == "path" else "\0" + path)
        systemd.settimeout(60)

        def told(start):
            while not (message := systemd.recv(4096).decode()).startswith(start):
                assert message == "WATCHDOG=1"
            return message

        name = path if kind == "path" else "@" + path
        command = ["env", f"NOTIFY_SOCKET={name}", program("milterscope-exporter"), "-c", str(site.file)]
        process = Process(command, site.folder.disk / "exporter.log")
        try:
            told("READY=1")
            told("WATCHDOG=1")
            process.send(signal.SIGUSR1)
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", told("RELOADING=1"))
            told("READY=1")
            process.send(signal.SIGTERM)
            told("STOPPING=1")
        finally:
            assert process.stop() == 0
