"""What the tests of the exporter share: exporters in folders of their own, requests, and pushes by hand."""

import http.client
import socket

from kit.programs import Exporter
from scope import site_in

OWNER = "0123456789abcdef" * 2 + ":4f2d6c0e-1111-2222-3333-444455556666"
OTHER = "f" * 32 + ":4f2d6c0e-1111-2222-3333-444455556666"


def exporter_in(parts, name, redis_url, **changes):
    """An exporter on a host without milterscope."""
    return parts.start(Exporter(site_in(parts, name, redis_url, **changes)))


def log_of(exporter):
    return exporter.logs()[0].read_text().splitlines()


def ask(exporter, method, path, **headers):
    connection = http.client.HTTPConnection(*exporter.site.http, timeout=60)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        response.content = response.read()
        return response
    finally:
        connection.close()


def connect(exporter):
    return socket.create_connection(exporter.site.http, timeout=60)


def say(exporter, request):
    """All that comes back to these bytes, until the exporter hangs up."""
    with connect(exporter) as connection:
        connection.sendall(request)
        answer = b""
        while more := connection.recv(65536):
            answer += more
        return answer


def push(redis, site, totals, owner=OWNER, gauges=(), age=0):
    """What the pusher leaves in Redis."""
    seconds = int(redis.command("TIME")[0])
    redis.command("DEL", site.key("counters"), site.key("gauges"))
    redis.command("HSET", site.key("counters"), *[word for pair in dict(totals).items() for word in map(str, pair)])
    if gauges:
        redis.command("HSET", site.key("gauges"), *[word for pair in dict(gauges).items() for word in map(str, pair)])
    redis.command("HSET", site.key("meta"), "owner", owner, "pushed_at", f"{seconds - age}.000")
