"""The load generator against a small server: exact counts, true latencies, clear refusals."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from stackledger.errors import StackledgerError, UsageError
from stackledger.labs import client, load
from stackledger.labs.traffic import loopback, targets

if TYPE_CHECKING:
    from collections.abc import Iterator


class Handler(BaseHTTPRequestHandler):
    """Answers by path; `seen` and `connections` are what the server itself counted."""

    protocol_version = "HTTP/1.1"
    seen: Counter[str]
    connections: Counter[tuple[str, int]]

    def do_GET(self) -> None:
        self.seen[self.path] += 1
        self.connections[self.client_address] += 1
        if self.path == "/slow":
            time.sleep(0.02)
        if self.path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
            self.close_connection = True
        elif self.path == "/noise":
            self.wfile.write(b"no HTTP at all\r\n\r\n")
            self.close_connection = True
        elif self.path == "/chunked":
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            )
        elif self.path == "/last":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            self.close_connection = True
        elif self.path == "/until-closed":
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nall there is")
            self.close_connection = True
        else:
            status = 404 if self.path == "/none" else 200
            self.wfile.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok".encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Handler.seen = Counter()
    Handler.connections = Counter()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_exactly_as_many_requests_as_asked_on_as_many_connections(url):
    result = load.run(url, ["/a", "3:/b"], requests=997, connections=7)
    assert sum(Handler.seen.values()) == result.requests == 997
    assert {one.endpoint: one.requests for one in result.endpoints} == Handler.seen
    assert 2.5 < Handler.seen["/b"] / Handler.seen["/a"] < 3.6
    assert len(Handler.connections) == 7
    assert result.errors == 0
    assert result.bytes == 997 * len("HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok")


def test_each_number_of_a_range_comes_once(url):
    result = load.run(url, ["/item/{5-41}?x=1"], requests=37, connections=3)
    assert Handler.seen == {f"/item/{number}?x=1": 1 for number in range(5, 42)}
    assert [one.endpoint for one in result.endpoints] == ["/item/{id}"]


def test_the_same_seed_gives_the_same_order_and_another_one_another():
    def order(seed: int) -> list[str]:
        (target,) = targets(["/item/{1-100}"], seed)
        return [target.next_path() for _ in range(100)]

    assert order(1) == order(1) != order(2)


@pytest.mark.parametrize("path", ["/chunked", "/last", "/until-closed"])
def test_every_way_to_end_an_answer_is_understood(url, path):
    result = load.run(url, [path], requests=23, connections=2)
    assert (result.requests, result.errors) == (23, 0)
    assert Handler.seen == {path: 23}


@pytest.mark.parametrize("path", ["/none", "/cut", "/noise"])
def test_a_bad_answer_is_an_error_and_the_load_goes_on(url, path):
    result = load.run(url, [path, "/a"], requests=101, connections=2)
    assert result.requests == 101
    assert result.errors == Handler.seen[path] == result.endpoint(path).requests > 0
    assert result.endpoint("/a").errors == 0


def test_latency_is_that_of_the_server(url):
    slow = load.run(url, ["/slow"], requests=23, connections=4).endpoint("/slow")
    assert 20e6 <= slow.p50_ns <= slow.p90_ns <= slow.p99_ns <= slow.max_ns
    assert 20e6 <= slow.mean_ns < 40e6


def test_a_rate_is_kept_and_being_late_is_told(url):
    result = load.run(url, ["/a"], rate_hz=100, requests=51, connections=2)
    assert 0.49e9 < result.elapsed_ns < 0.7e9
    behind = load.run(url, ["/slow"], rate_hz=1000, requests=23, connections=1)
    assert behind.late > 15


def test_it_ends_after_its_time_with_every_answer_in(url):
    result = load.run(url, ["/slow"], duration_s=0.3, connections=4)
    assert 0.3e9 <= result.elapsed_ns < 0.6e9
    assert result.requests == Handler.seen["/slow"]


def test_a_process_of_its_own_gives_the_same_figures(url):
    result = load.apart(url, ["/a"], requests=101, connections=2)
    assert (result.requests, Handler.seen["/a"]) == (101, 101)
    assert result.endpoint("/a").mean_ns > 0


def test_an_answer_arrives_before_a_late_client_reads_it(url):
    connection = client.Connection(loopback(url))
    try:
        connection.send(b"GET /a HTTP/1.1\r\nHost: lab\r\n\r\n")
        time.sleep(0.3)
        while not connection.receive():
            pass
    finally:
        connection.close()
    assert connection.arrival_ns > 0
    assert connection.latency_ns - connection.arrival_ns > 0.1e9


def test_nothing_there_is_one_clear_line(capsys):
    words = ["--url", "http://127.0.0.1:1", "--path", "/a", "--requests", "1"]
    assert load.main(words) == 1
    said = capsys.readouterr()
    assert said.err == "stackledger: error: cannot connect: 127.0.0.1:1: Connection refused\n"
    with pytest.raises(StackledgerError, match="the load failed: cannot connect"):
        load.apart("http://127.0.0.1:1", ["/a"], requests=1)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "no end"),
        ({"requests": 0}, "requests must be above 0"),
        ({"requests": 10**9}, "at most 2e\\+06: 1000000000"),
        ({"duration_s": -1}, "seconds must be above 0"),
        ({"requests": 1, "connections": 1000}, "connections must be .* at most 256"),
        ({"requests": 1, "rate_hz": 0}, "requests per second must be above 0"),
    ],
)
def test_a_plan_out_of_bounds_is_refused(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        load.run("http://127.0.0.1:1", ["/a"], **options)


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1:80", "https://127.0.0.1", "http://example.com", "nonsense", "http://[::"],
)
def test_only_loopback_is_loaded(url):
    with pytest.raises(UsageError, match="loopback only"):
        load.run(url, ["/a"], requests=1)


@pytest.mark.parametrize("path", ["a", "x:/a", "/a b", "/a\r\nX: y", "/{1-2}/{3-4}", "/{9-1}", ""])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(UsageError):
        load.run("http://127.0.0.1:1", [path], requests=1)


def test_the_table_and_the_json_tell_the_same(url, capsys):
    words = ["--url", url, "--path", "/a", "--requests", "11"]
    assert load.main(words) == 0
    assert "/a                                  11         0" in capsys.readouterr().out
    assert load.main([*words, "--json"]) == 0
    text = capsys.readouterr().out
    assert load.parse(text).endpoint("/a").requests == 11
    assert json.loads(text)["errors"] == 0
