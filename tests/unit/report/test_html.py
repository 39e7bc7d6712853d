"""The page: it says what it must, adds up as printed, and no traced text gets through."""

from __future__ import annotations

import base64
import hashlib
import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from stackledger.analysis.attribution import attribute
from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.manifest import Loss
from stackledger.report.html import render
from stackledger.report.shown import text

if TYPE_CHECKING:
    import duckdb

HOSTILE = (
    "GET /<script>alert(1)</script>",
    "GET /\"'><img src=x onerror=alert(2)>",
    "GET /{{ 7 * 7 }}{% raw %}",
    "GET /\x1b[31m\x00\x07\n\r\x85end",
    "GET /\u202egnp.exe\u2066\u200f",
    "GET /" + "x" * 10_000,
    "GET /</title></style><style>*{display:none}</style>",
    "GET /&lt;b&gt;&#x3c;i",
    "GET /العربية/שלום",
)


def page(connection: duckdb.DuckDBPyConnection, **given: object) -> str:
    return render(connection, attribution=attribute(connection), **given)  # type: ignore[arg-type]


class Reader(HTMLParser):
    """Collects tags with attributes, the text, and the tables cell by cell."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in ("meta", "link", "i", "img", "rect", "line", "polyline"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if {"style", "script"} & set(self._open):
            return
        self.words.append(data)
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def usual(shop) -> duckdb.DuckDBPyConnection:  # type: ignore[no-untyped-def]
    connection: duckdb.DuckDBPyConnection = shop(
        losses=[Loss(table="request", produced=400, received=400, lost=0, undecodable=0)]
    ).open()
    return connection


def test_it_says_what_a_reader_needs(usual: duckdb.DuckDBPyConnection) -> None:
    said = Reader(page(usual)).text
    for expected in (
        "app shop waiting for the disk",
        "GET /api/orders/{id}",
        "Where the time goes",
        "The slowest requests",
        "Disk latency over time",
        "sda",
        "nginx → shop",
        "What was lost",
        "How this was measured",
        "host web-1 · 2023-11-14 22:13:20 UTC",
        "What the slow ones have more of: app shop disk",
        "Unexplained, in all layers:",
    ):
        assert expected in said, expected
    assert "Warning" not in said
    assert "What it costs" not in said


def test_the_verdict_comes_first_and_is_the_heading(usual: duckdb.DuckDBPyConnection) -> None:
    found = re.search(r"<h1>(.*?)</h1>", page(usual))
    assert found is not None
    assert found[1].startswith("At p99, 80.")


def test_the_ledger_adds_up_as_printed(usual: duckdb.DuckDBPyConnection) -> None:
    tables = Reader(page(usual)).tables
    head, *rows, total, _shares = next(table for table in tables if table[0][0] == "layer")
    parts = range(1, head.index("sum"))
    assert len(rows) == 2
    for row in (*rows, total):
        assert sum(Decimal(row[i]) for i in parts) == Decimal(row[head.index("sum")])
    for i in (*parts, head.index("sum"), head.index("median"), head.index("excess")):
        assert sum(Decimal(row[i]) for row in rows) == Decimal(total[i])
    assert Decimal(total[head.index("sum")]) > 80


def test_bars_of_the_layers_are_together_as_long_as_the_whole(
    usual: duckdb.DuckDBPyConnection,
) -> None:
    html = page(usual)
    ledger = html[html.index('<section id="ledger">') : html.index('id="percentiles"')]
    tracks = [
        sum(float(width) for width in re.findall(r' width="([0-9.]+)%"', track))
        for track in ledger.split('<div class="track"')[1:]
    ]
    assert tracks[0] == pytest.approx(100, abs=0.2)
    assert sum(tracks[1:]) == pytest.approx(tracks[0], abs=0.2)


def test_the_same_capture_gives_the_same_bytes(shop) -> None:  # type: ignore[no-untyped-def]
    first, second = (page(shop(endpoints=("GET /a", "GET /b", "GET /c")).open()) for _ in range(2))
    assert first == second


def test_hostile_names_stay_text(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(
        endpoints=HOSTILE,
        app="<svg/onload=alert(3)>",
        gateway="ng\x1b]0;\u202ex",
        host='"><script>',
        name="</title><script>alert(4)</script>",
    ).open()
    html = page(connection)
    seen = Reader(html)
    tags = {tag for tag, _ in seen.tags}
    assert not tags & {"img", "iframe", "object", "embed", "form", "base", "a"}
    # Of scripts there is the page's own, which its policy names; the inputs are two sliders.
    assert [tag for tag, _ in seen.tags].count("script") == 1
    assert {given["type"] for tag, given in seen.tags if tag == "input"} == {"range"}
    (script,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in html
    assert sum(tag == "style" for tag, _ in seen.tags) == 1
    for tag, attributes in seen.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"src", "srcset", "action"} & set(attributes)
        assert attributes.get("href") in (None, "data:,")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200f]", html)
    assert "x" * 130 not in html
    assert "{{ 7 * 7 }}" in seen.text
    assert "<script>alert(1)</script>" in seen.text
    assert "\\u202egnp.exe" in seen.text
    assert "\\x1b[31m" in seen.text
    assert "&lt;b&gt;&#x3c;i" in seen.text
    html.encode("utf-8")


def test_text_is_cut_and_half_characters_do_not_stop_it() -> None:
    assert text("é" * 500, 20) == "é" * 19 + "…"
    assert text("\ud800x") == "\\ud800x"
    assert text("") == text(None) == "(unknown)"


def test_nothing_in_it_could_reach_out(usual: duckdb.DuckDBPyConnection) -> None:
    html = page(usual)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" in html
    assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import", html)
    # Inside of drawings there are shapes, and of texts only the service map's.
    inside = {
        tag
        for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL)
        for tag, _ in Reader(drawing).tags
    }
    assert inside == {
        *("svg", "title", "rect", "path", "line", "g", "text"),
        *("defs", "marker", "pattern", "circle"),
    }


def test_losses_warn_at_the_top(shop) -> None:  # type: ignore[no-untyped-def]
    lost = [
        Loss(table="request", produced=1000, received=900, lost=90, undecodable=10),
        Loss(table="call", produced=None, received=400, lost=0, undecodable=0),
    ]
    seen = Reader(page(shop(losses=lost).open()))
    said = seen.text
    warned = said.index("Warning. Events were lost: 100 of 1,000 rows of request (10.0 %)")
    assert warned < said.index("Where the time goes")
    assert "The kernel's own count of call is missing" in said
    assert seen.tables[-1][1:] == [
        ["call", "–", "400", "0", "0", "0"],
        ["request", "1,000", "900", "90", "10", "0"],
    ]


@pytest.mark.parametrize("state", ["recording", "failed"])
def test_an_incomplete_capture_says_so(shop, state: str) -> None:  # type: ignore[no-untyped-def]
    assert "Warning. This capture is incomplete" in Reader(page(shop(state=state).open())).text


def test_few_open_and_untraced_are_told(shop) -> None:  # type: ignore[no-untyped-def]
    said = Reader(
        page(shop(transactions=20, still_open=True, traced_app=False, disk=False).open())
    ).text
    assert "Only 19 transactions were answered" in said
    assert "1 request had no answer" in said
    assert "still open when the capture ended" in said
    assert "100.0 % of the calls went to servers that were not traced" in said
    assert "untraced 127.0.0.1:8000" in said
    assert "No block I/O was recorded" in said


def test_the_method_is_that_of_what_the_page_has(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(transactions=20).open()
    of_requests = method(page(connection))
    assert "A request begins when" in of_requests
    assert "waiting for a lock" in of_requests
    for disk in (True, False):
        connection = shop(transactions=20, disk=disk).open()
        of_the_host = method(render(connection, attribution=None))
        assert "No request was answered in this capture" in of_the_host
        for absent in ("begins when", "percentile", "waiting for a lock", "on a CPU"):
            assert absent not in of_the_host
        assert ("timed each I/O of a disk" in of_the_host) == disk
        # Nobody counted: no row of the host's counters.
        assert "kernel's own counters" not in of_the_host
    connection.execute(
        "INSERT INTO host_cpu BY NAME SELECT started_ts_ns + 1000000000 AS ts_ns,"
        " 1000000000 AS interval_ns, 1000000000 AS user_ns, 0 AS system_ns, 0 AS iowait_ns,"
        " 0 AS steal_ns, 1000000000 AS idle_ns FROM capture"
    )
    assert "kernel's own counters" in method(render(connection, attribution=None))


def method(html: str) -> str:
    return Reader(html[html.index('<section id="method">') : html.index("</main>")]).text


def test_one_endpoint_only(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(endpoints=("GET /a", "GET /b")).open()
    html = render(connection, attribution=attribute(connection, endpoint="GET /b"))
    slowest = html[html.index('id="slowest"') : html.index('id="services"')]
    assert "GET /b" in slowest
    assert "GET /a" not in slowest
    assert "GET /a" in html


def test_a_thousand_calls_do_not_fill_the_page(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(endpoints=tuple(f"GET /{number}" for number in range(200))).open()
    connection.execute(
        "INSERT INTO untraced SELECT parent_sock, parent_recv_ts_ns, ts_ns, service, layer,"
        " endpoint, 1000, 1, 1 FROM (SELECT sock AS parent_sock, recv_ts_ns AS parent_recv_ts_ns,"
        " ts_ns, 'untraced cache' AS service, 'cache' AS layer, '' AS endpoint FROM requests"
        " WHERE sock = 10), range(1000)"
    )
    html = page(connection)
    assert "988 shorter ones below it are not shown" in Reader(html).text
    assert "175 more endpoints took less time" in Reader(html).text
    assert len(html) < 300_000


def test_the_cost_section_adds_up_as_printed(usual: duckdb.DuckDBPyConnection) -> None:
    cost = cost_table(usual, load_model("aws-us-east-1"))
    seen = Reader(page(usual, cost=cost))
    assert "What it costs" in seen.text
    assert "the oldest was read on 2024-07-01" in seen.text
    for note in (*cost.notes, *cost.warnings):
        assert " ".join(note.split()) in seen.text

    def amount(cell: str) -> Decimal:
        return Decimal(0) if cell in ("–", "") else Decimal(cell.replace("$", "").replace(",", ""))

    table = next(table for table in seen.tables if table[0][0] == "endpoint, layer")
    head, total, *layers = table
    parts = range(head.index("direct") + 1, head.index("loaded") + 1)
    assert layers
    for i in parts:
        assert sum(amount(row[i]) for row in layers) == amount(total[i])
    for row in (total, *layers):
        assert sum(amount(row[i]) for i in parts[:-1]) == amount(row[parts[-1]])
    assert 0 < amount(total[parts[-1]]) <= amount(total[head.index("at most")])
    proof = next(table for table in seen.tables if table[0] == ["sum", "in the window", "share"])
    assert sum(amount(row[1]) for row in proof[1:4]) == amount(proof[4][1])
