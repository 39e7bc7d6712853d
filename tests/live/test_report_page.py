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
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import store
from stackledger.analysis.assembly import assemble
from stackledger.analysis.attribution import attribute
from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.analysis.diagnose import examine
from stackledger.analysis.prediction import Figure, Latency, Option, Outcome, Prediction, Slo
from stackledger.capture import bpftrace as tracing
from stackledger.capture.session import Options, record
from stackledger.capture.trial import STACK_BYTES, register_padding
from stackledger.labs import stack as stacks
from stackledger.labs.programs import missing_programs
from stackledger.report import format as written
from stackledger.report.html import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
# Names of options come from models and people, whom nothing keeps from writing these.
FIGURE = Figure(250e6, 240e6, 260e6)
OUTCOME = Outcome(
    latency=Latency(FIGURE, FIGURE, FIGURE, FIGURE),
    rate_hz=Figure(10, 9, 11),
    busiest=HOSTILE[2],
    busiest_share=Figure(0.9, 0.8, 1.0),
    monthly_usd=Decimal("110.08"),
)
FORESEEN = Prediction(
    name="all",
    capture="before",
    made_at="2026-11-23T05:00:00Z",
    model=HOSTILE[0],
    endpoint=HOSTILE[3],
    slo=Slo("p99", 200_000_000),
    requests=100,
    before=OUTCOME,
    replayed=OUTCOME,
    options=(
        *(Option(name=name, kind="disk", after=OUTCOME, notes=(name,)) for name in HOSTILE),
        Option(name="refused", kind="memory", refused=HOSTILE[4]),
    ),
    reason="none_helps",
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
# The p99 of every endpoint, as written and in the order shown.
COLUMN = "[...document.querySelectorAll('#endpoints tbody td:nth-child(7)')].map(e => e.innerText)"
# The texts on paper or on a colour that have less than 4.5 to 1, as WCAG 2 counts it.
CONTRAST = """
(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255)
      .map((c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4));
    return .2126 * x + .7152 * y + .0722 * z;
  };
  const behind = (e) => {
    const colour = parse(getComputedStyle(e).backgroundColor);
    return (colour[3] ?? 1) > 0 ? colour : behind(e.parentElement);
  };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  return [...document.querySelectorAll('body *')]
    .filter((e) => own(e) && e.getClientRects().length)
    .filter((e) => !e.closest('svg, script, button:disabled, [class^="on-"]'))
    .filter((e) => {
      const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
      return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5;
    })
    .map((e) => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40));
})()
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


def press(browser: Chromium, selector: str, key: str | None) -> None:
    """Press a key where the focus then is, as a user would; None clicks with the mouse."""
    place = f"document.querySelector({json.dumps(selector)})"
    if key is None:
        browser.value(f"{place}.scrollIntoView({{block: 'center'}})")
        box = browser.value(f"(b => [b.x + b.width / 2, b.y + 9])({place}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            given = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
            browser.call("Input.dispatchMouseEvent", type=kind, **given)
        return
    browser.value(f"{place}.focus()")
    codes = {"Enter": (13, "\r"), " ": (32, " "), "ArrowRight": (39, "")}
    number, text = codes[key]
    given = {"key": key, "windowsVirtualKeyCode": number}
    browser.call("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **given)


def nanoseconds(cell: str) -> float:
    """Return what a duration on the page is; below a minute."""
    number, unit = cell.split()
    return float(number) * {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]


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


def needs(*programs: str) -> None:
    """Skip without the programs, or fail where they are required."""
    missing = missing_programs(programs)
    if missing:
        reason = f"needs {', '.join(missing)}"
        if REQUIRED:
            pytest.fail(f"STACKLEDGER_LIVE=required, but this host {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> store.Capture:
    """Record the lab's stack under some traffic, an attack among it."""
    needs(*stacks.PROGRAMS)
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
    return store.find(outcome.folder.name.partition("=")[2], folder)


@pytest.fixture(scope="module")
def captured(taken: store.Capture) -> duckdb.DuckDBPyConnection:
    connection = store.connect(taken)
    assemble(connection)
    return connection


@pytest.fixture(scope="module")
def page(
    taken: store.Capture,
    captured: duckdb.DuckDBPyConnection,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    cost = cost_table(captured, load_model("aws-us-east-1"))
    html = render(
        captured,
        attribution=attribute(captured),
        cost=cost,
        predictions=[FORESEEN],
        diagnosis=examine(taken, captured),
    )
    assert len(html) <= 3_000_000
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
    needs("chromium")
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
    assert browser.value("document.querySelectorAll('img, iframe').length") == 0
    assert browser.value("document.querySelectorAll('script').length") == 1
    drawings = "[...document.querySelectorAll('svg[role=img]')]"
    assert browser.value(f"{drawings}.length") > 10
    assert browser.value(f"{drawings}.filter(e => !e.getAttribute('aria-label').trim())") == []
    assert browser.value(f"{drawings}.filter(e => !e.getBoundingClientRect().height)") == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    outside = browser.value(OUTSIDE)
    assert outside == []
    shown = browser.value("[...document.querySelectorAll('section')].map(e => e.id).join(' ')")
    told = "ledger incident latency slowest services endpoints disks"
    assert told in shown
    assert browser.value("document.querySelector('#ledger .bars').clientHeight") > 100
    if which == "page":
        assert shown.startswith(f"verdicts looksfine cost {told}")
        assert shown.endswith("bill options losses method")
        assert browser.value("document.querySelector('#waterfall').clientHeight") > 100
        assert browser.value("document.querySelectorAll('#options tbody tr').length") == 8


def test_the_theme_follows_the_reader(browser: Chromium, page: Path) -> None:
    seen, drawn = {}, {}
    for dark in (False, True):
        browser.open(page, width=800, dark=dark)
        seen[dark] = browser.value("getComputedStyle(document.body).backgroundColor")
        assert browser.screenshot().startswith(b"\x89PNG")
        drawn[dark] = [
            browser.value(f"getComputedStyle(document.querySelector('{shape}')).{colour}")
            for shape, colour in (
                ("#times .tall path", "fill"),
                ("#times .low path", "stroke"),
                ("#latency path", "fill"),
            )
        ]
    assert seen == {False: "rgb(255, 255, 255)", True: "rgb(20, 23, 28)"}
    # A variable that Vega had changed, or that the page does not know, would be black.
    for light, night in zip(drawn[False], drawn[True], strict=True):
        assert light.startswith("rgb(")
        assert len({light, night, "rgb(0, 0, 0)"}) == 3


def test_it_prints_on_a_few_pages(browser: Chromium, page: Path) -> None:
    browser.open(page, width=1280, dark=True)
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    assert 2 <= pdf.count(b"/Type /Page\n") <= 12


def test_the_attack_came_through_the_wire(captured: duckdb.DuckDBPyConnection, page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert f"GET /{ATTACK}".replace("<", "&lt;").replace(">", "&gt;") in html
    assert html.count("<script") == 1
    assert f"<{ATTACK}" not in html.lower()


def test_tables_sort_by_mouse_and_keyboard(browser: Chromium, page: Path) -> None:
    browser.open(page, width=1280)
    assert browser.value(f"{COLUMN}.length") > 2
    for key, order in ((None, "descending"), ("Enter", "ascending"), (" ", "descending")):
        press(browser, "#endpoints th:nth-child(7) button", key)
        heading = "document.querySelector('#endpoints th:nth-child(7)')"
        assert browser.value(f"{heading}.getAttribute('aria-sort')") == order
        shown = browser.value(COLUMN)
        seen = [nanoseconds(cell) for cell in shown if cell != "–"]
        assert seen == sorted(seen, reverse=order == "descending")
        assert shown == [cell for cell in shown if cell != "–"] + ["–"] * shown.count("–")
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("write", "values"),
    [
        (written.duration, [0, 7, 850, 12_300, 4.5e6, 999.6e6, 2e9, 59e9, 185e9, 7300e9, 2e14]),
        (written.size, [0, 512, 1536, 9e6, 3e9, 5e12]),
        (written.count, [0, 7, 1200, 999_000, 1.23e6, 4.5e9]),
        (written.share, [0, 0.0001, 0.004, 0.5, 1]),
        (written.money, [Decimal("0.0000123"), Decimal("0.096"), Decimal("1234.5")]),
        (lambda rate: f"{written.count(rate)}/{'min' if rate < 600 else 's'}", [30, 400, 1200]),
        (str, ["2024-07-01", "2025-01-15", "GET /a", "GET /b"]),
    ],
)
def test_what_format_writes_sorts_by_its_value(
    browser: Chromium, tmp_path: Path, write: Callable[[Any], str], values: list[Any]
) -> None:
    texts = [write(value) for value in values]
    mixed = [*texts[::2], "–", *texts[1::2]]
    rows = "".join(f"<tr><td>{text.replace('<', '&lt;')}</td></tr>" for text in mixed)
    script = (
        resources.files("stackledger.report").joinpath("templates/report.js").read_text("utf-8")
    )
    page = tmp_path / "table.html"
    page.write_text(
        '<!DOCTYPE html><meta charset="utf-8"><table class="sortable"><thead><tr><th>value</th>'
        f"</tr></thead><tbody>{rows}</tbody></table><script>{script}</script>",
        encoding="utf-8",
    )
    browser.open(page, width=800)
    shown = {}
    for _ in range(2):
        press(browser, "th button", "Enter")
        order = browser.value("document.querySelector('th').getAttribute('aria-sort')")
        shown[order] = browser.value("[...document.querySelectorAll('td')].map(e => e.textContent)")
    assert shown == {"ascending": [*texts, "–"], "descending": [*texts[::-1], "–"]}


def test_a_time_can_be_selected_and_zoomed(browser: Chromium, page: Path) -> None:
    browser.open(page, width=1280)
    rows = browser.value("document.querySelectorAll('#moments tbody tr').length")
    assert rows > 3
    drag = """
    (() => {
      const area = document.querySelector('#times .area'), box = area.getBoundingClientRect();
      area.setPointerCapture = () => {};
      for (const [type, part] of [['down', .3], ['move', .5], ['up', .5]]) {
        area.dispatchEvent(new PointerEvent(`pointer${type}`,
          {clientX: box.left + part * box.width, clientY: box.top + 9, bubbles: true}));
      }
    })()
    """
    browser.value(drag)
    shown = "[...document.querySelectorAll('#moments tbody tr')].filter(e => !e.hidden).length"
    assert 0 < browser.value(shown) < rows
    boxes = "[...document.querySelectorAll('#times svg')].map(e => e.getAttribute('viewBox'))"
    assert set(browser.value(boxes)) == {"0 0 1000 200"}
    press(browser, "#zoom", "Enter")
    (box,) = set(browser.value(boxes))
    left, _, width, _ = map(float, box.split())
    assert 0 < left <= 300
    assert 0 < width < 600
    assert browser.value("document.documentElement.scrollWidth") <= 1280
    press(browser, "#all", "Enter")
    assert browser.value(shown) == rows
    press(browser, "#from", "ArrowRight")
    assert browser.value(shown) == rows - 1
    assert browser.complaints() == []


def test_text_has_enough_contrast_in_both_themes(browser: Chromium, page: Path) -> None:
    for dark in (False, True):
        browser.open(page, width=1280, dark=dark)
        assert browser.value(CONTRAST) == []
