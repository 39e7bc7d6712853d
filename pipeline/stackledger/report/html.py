"""Renders the report: one HTML page without scripts that needs nothing from anywhere.

Every traced string passes `shown.text` and jinja2's autoescape; the page forbids
itself scripts, requests and frames by a Content-Security-Policy. Nothing in it
depends on when it is made: the same capture gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from stackledger.report import costview, diskdata, figures, pagedata, requestdata
from stackledger.report.caveats import caveats
from stackledger.report.format import count, duration, share
from stackledger.report.ledgerview import ledger
from stackledger.report.parts import PARTS
from stackledger.report.shown import moment, text
from stackledger.report.timelines import timeline
from stackledger.report.verdict import sentence

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.attribution import Attribution
    from stackledger.analysis.costresult import CostResult
    from stackledger.report.pagedata import Overview
    from stackledger.report.requestdata import EndpointRow, ServiceRow

_TEMPLATES = Path(__file__).parent / "templates"


def render(
    connection: duckdb.DuckDBPyConnection,
    *,
    attribution: Attribution,
    cost: CostResult | None = None,
    title: str | None = None,
) -> str:
    """Return the page for one capture, on which `assemble` has been called.

    `attribution` chooses the endpoint and the percentile that the verdict, the
    ledger, the histogram and the slowest requests are about.
    """
    told = pagedata.overview(connection)
    endpoint = attribution.endpoint
    band_ns = (attribution.slow.from_ns, attribution.slow.to_ns)
    marks = pagedata.percentiles(connection, endpoint)
    endpoints, endpoints_in_all = requestdata.endpoints(connection)
    view = ledger(attribution)
    losses = pagedata.losses(connection)
    page = _environment().get_template("report.html.j2")
    return page.render(
        title=text(title or f"Request ledger of {told.name or told.id or told.host}", 200),
        parts=PARTS,
        verdict=text(sentence(attribution), 400),
        told=told,
        started=moment(told.started_ts_ns) if told.started_ts_ns else "",
        facts=_facts(told),
        caveats=caveats(told, attribution, losses, view.unexplained_share),
        attribution=attribution,
        endpoint=text(endpoint) if endpoint is not None else None,
        ledger=view,
        latency=figures.latency(
            pagedata.histogram(connection, endpoint, band_ns),
            list(zip(("p50", "p95", "p99"), marks, strict=True)) if marks else [],
        ),
        endpoints=[_endpoint(row, told.window_ns) for row in endpoints],
        endpoints_left_out=endpoints_in_all - len(endpoints),
        slowest=[
            timeline(one, told.started_ts_ns) for one in requestdata.slowest(connection, endpoint)
        ],
        disks=_disks(connection, told),
        services=[_service(row, told.window_ns) for row in requestdata.services(connection)],
        cost=costview.view(cost) if cost is not None else None,
        losses=losses,
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "count": count, "share": share, "shown": text}
    return environment


@dataclass(frozen=True, slots=True)
class Fact:
    """One key figure."""

    name: str
    value: str
    more: str = ""


def _facts(told: Overview) -> list[Fact]:
    seconds = told.window_ns / 1e9
    facts = [
        Fact(
            "requests",
            count(told.roots),
            f"{count(told.roots / seconds)}/s" if seconds > 0 else "",
        ),
        Fact("median", duration(told.p50_ns)),
        Fact("p95", duration(told.p95_ns)),
        Fact("p99", duration(told.p99_ns)),
        Fact(
            "failed",
            count(told.errors),
            f"{share(told.errors / told.roots)} of requests" if told.roots else "",
        ),
    ]
    if told.cpu_share is not None:
        facts.append(Fact("host CPU", share(told.cpu_share), f"of {count(told.cpus)} CPUs"))
    if told.memory_share is not None:
        facts.append(Fact("host memory", share(told.memory_share), "in use"))
    if told.linked_share is not None:
        facts.append(Fact("calls linked", share(told.linked_share), "to a request"))
    return facts


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One root endpoint, as texts."""

    endpoint: str
    requests: str
    rate: str
    mean: str
    p50: str
    p95: str
    p99: str
    cpu: str
    cpu_each: str
    disk: str
    disk_width: float
    errors: str
    failing: bool


def _endpoint(row: EndpointRow, window_ns: int) -> EndpointView:
    disk = row.disk_share or 0.0
    return EndpointView(
        endpoint=text(row.endpoint),
        requests=count(row.requests),
        rate=_rate(row.requests, window_ns),
        mean=duration(row.mean_ns),
        p50=duration(row.p50_ns),
        p95=duration(row.p95_ns),
        p99=duration(row.p99_ns),
        cpu=duration(row.cpu_ns),
        cpu_each=duration(row.cpu_ns / row.requests),
        disk=share(row.disk_share),
        disk_width=round(min(max(disk, 0.0), 1.0) * 100, 1),
        errors=count(row.errors),
        failing=row.errors > 0,
    )


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One caller and callee, as texts."""

    caller: str
    callee: str
    traced: bool
    calls: str
    rate: str
    mean: str
    errors: str
    failing: bool


def _service(row: ServiceRow, window_ns: int) -> ServiceView:
    return ServiceView(
        caller="(clients)" if row.caller is None else text(row.caller, 60),
        callee=text(row.callee, 60),
        traced=row.traced,
        calls=count(row.calls),
        rate=_rate(row.calls, window_ns),
        mean=duration(row.mean_ns),
        errors=count(row.errors),
        failing=bool(row.errors),
    )


def _rate(number: int, window_ns: int) -> str:
    if window_ns <= 0:
        return "–"
    rate = number * 1e9 / window_ns
    return f"{count(rate)}/s" if rate >= 9.5 or not number else f"{count(rate * 60)}/min"


def _disks(connection: duckdb.DuckDBPyConnection, told: Overview) -> list[figures.DiskFigure]:
    width_ns = diskdata.interval_ns(told.window_ns)
    drawn = []
    for row in diskdata.disks(connection)[: diskdata.DRAWN]:
        points = diskdata.series(connection, row.dev, told.started_ts_ns, width_ns)
        if points:
            drawn.append(figures.disk(row, points, told.window_ns, width_ns, text(row.name, 40)))
    return drawn
