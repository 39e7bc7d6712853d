"""The report of a real capture, opened in a real browser: quiet, whole, at every width."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import store
from stackledger.analysis.assembly import assemble
from stackledger.analysis.attribution import attribute
from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.capture import bpftrace as tracing
from stackledger.capture.session import Options, record
from stackledger.capture.trial import STACK_BYTES, register_padding
from stackledger.labs import stack as stacks
from stackledger.labs.programs import missing_programs
from stackledger.report.html import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

REQUIRED = os.environ.get("STACKLEDGER_LIVE") == "required"
ATTACK = "<script>alert(1)</script>"
HOSTILE = (
    "GET /<script>document.title='attacked'</script>",
    "GET /\"'><img src=x onerror=\"document.title='attacked'\">",
    "GET /\x1b[31m\x00\u202egnp.exe",
    "GET /" + "x" * 10_000,
    "GET /" + "العربية" * 40,
    "GET /</title></style><style>*{display:none}</style>",
)
# Sends every path of its arguments through one connection each, some good ones between.
SENDER = """
import socket, sys
port = int(sys.argv[1])
for path in sys.argv[2:] + [f"/api/orders/{n}" for n in range(1, 150)]:
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(f"GET {path} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n".encode())
        while s.recv(65536):
            pass
"""
# The elements beyond the window's edges; what scrolls or is cut off may be.
OUTSIDE = """
[...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll, svg, .plot, .who > *, .words > *'))
  .filter(e => e.getClientRects().length)
  .map(e => [e, e.getBoundingClientRect()])
  .filter(([e, box]) => box.right > innerWidth + 1 || box.left < -1)
  .map(([e, box]) => e.tagName + ' ' + e.className)
"""
# The browser reads commands on 3 and writes answers on 4.
LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


class Chromium:
    """One browser with one page; `seen` are the events that told what the page did."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._number = 0
        self._session = ""
        self.seen: list[dict[str, Any]] = []

    def open(self, page: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Load a file in a fresh tab of that size, and wait until it is there."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.seen.clear()
        for domain in ("Page", "Network", "Runtime", "Log", "Security"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.resolve().as_uri())
        self._until("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression is on the page (its policy does not bind us)."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def requested(self) -> list[str]:
        """Return every URL that was asked for, the page's own and data: left out."""
        urls = [
            event["params"]["request"]["url"]
            for event in self.seen
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls[1:] if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """Return the errors and messages of the page's console, and its dialogs."""
        told = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        methods = (*told, "Page.javascriptDialogOpening")
        return [json.dumps(event) for event in self.seen if event["method"] in methods]

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        told = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        return base64.b64decode(told["data"])

    def pdf(self) -> bytes:
        """Return the page as it prints on A4."""
        told = self.call(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True
        )
        return base64.b64decode(told["data"])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call one method of the DevTools protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session and not method.startswith("Target."):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, (method, told)
                result: dict[str, Any] = told["result"]
                return result

    def _until(self, method: str) -> None:
        while not any(event["method"] == method for event in self.seen):
            self._next()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._from, 1 << 20)
            assert more, "the browser ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        if "method" in told:
            self.seen.append(told)
        return told


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Run a browser with an empty profile for as long as the context lasts."""
    profile = tempfile.mkdtemp(prefix="stackledger-test-chromium-")
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    launcher = (sys.executable, "-c", LAUNCHER, str(commands), str(answers))
    browser = subprocess.Popen(
        [*launcher, "chromium", *_FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(commands, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    os.close(commands)
    os.close(answers)
    try:
        yield Chromium(to_browser, from_browser)
    finally:
        os.close(to_browser)
        os.close(from_browser)
        with suppress(subprocess.TimeoutExpired):
            browser.wait(3)
        with suppress(ProcessLookupError):
            os.killpg(browser.pid, 9)
        browser.wait()
        shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """Record the lab's stack under some traffic, an attack among it."""
    missing = missing_programs((*stacks.PROGRAMS, "chromium"))
    if missing:
        reason = f"needs {', '.join(missing)}"
        if REQUIRED:
            pytest.fail(f"STACKLEDGER_LIVE=required, but this host {reason}", pytrace=False)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("store")
    padding = register_padding(tracing.find())
    assert padding is not None
    with stacks.stack() as stack:
        port = str(stack.ports["gateway"])
        outcome = record(
            Options(
                store=folder,
                command=(sys.executable, "-c", SENDER, port, f"/{ATTACK}", "/health"),
                constants={"STACK": STACK_BYTES - padding},
            )
        )
    assert outcome.exit_code == 0
    connection = store.connect(store.find(outcome.folder.name.partition("=")[2], folder))
    assemble(connection)
    return connection


@pytest.fixture(scope="module")
def page(captured: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    cost = cost_table(captured, load_model("aws-us-east-1"))
    html = render(captured, attribution=attribute(captured), cost=cost)
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def hostile(
    captured: duckdb.DuckDBPyConnection, page: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same with the worst names everywhere; `page` is made first, from the true ones."""
    for number, name in enumerate(HOSTILE):
        captured.execute(
            "UPDATE requests SET endpoint = $name, service = $name"
            " WHERE recv_ts_ns % len($names) = $number",
            {"name": name, "names": list(HOSTILE), "number": number},
        )
    path = tmp_path_factory.mktemp("page") / "hostile.html"
    html = render(captured, attribution=attribute(captured), title=HOSTILE[5])
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as one:
        yield one


@pytest.mark.parametrize("which", ["page", "hostile"])
@pytest.mark.parametrize("width", [380, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_quietly_and_fits(
    browser: Chromium, request: pytest.FixtureRequest, which: str, width: int, dark: bool
) -> None:
    browser.open(request.getfixturevalue(which), width=width, dark=dark)
    assert browser.requested() == []
    assert browser.complaints() == []
    assert browser.value("document.title") != "attacked"
    assert browser.value("document.querySelectorAll('script, img, iframe').length") == 0
    assert browser.value("document.documentElement.scrollWidth") <= width
    outside = browser.value(OUTSIDE)
    assert outside == []
    shown = browser.value("[...document.querySelectorAll('section')].map(e => e.id).join(' ')")
    assert shown.startswith("ledger latency endpoints slowest disks services")
    assert browser.value("document.querySelector('#ledger .bars').clientHeight") > 100


def test_the_theme_follows_the_reader(browser: Chromium, page: Path) -> None:
    seen = {}
    for dark in (False, True):
        browser.open(page, width=800, dark=dark)
        seen[dark] = browser.value("getComputedStyle(document.body).backgroundColor")
        assert browser.screenshot().startswith(b"\x89PNG")
    assert seen == {False: "rgb(255, 255, 255)", True: "rgb(20, 23, 28)"}


def test_it_prints_on_a_few_pages(browser: Chromium, page: Path) -> None:
    browser.open(page, width=1280, dark=True)
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    assert 2 <= pdf.count(b"/Type /Page\n") <= 12


def test_the_attack_came_through_the_wire(captured: duckdb.DuckDBPyConnection, page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert f"GET /{ATTACK}".replace("<", "&lt;").replace(">", "&gt;") in html
    assert "<script" not in html
