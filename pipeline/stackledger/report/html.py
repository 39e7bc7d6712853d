"""Renders the report: one HTML page that tells an incident top-down and needs nothing more.

Every traced string passes `shown.text` and jinja2's autoescape. The page forbids itself
requests, frames and every script but its own (`templates/report.js`, by its hash) by
a Content-Security-Policy; without that script all is there but sorting and zooming.
Nothing depends on when it is made: the same capture gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from stackledger.report import (
    costview,
    diskdata,
    figures,
    pagedata,
    pages,
    percentiledata,
    proofview,
    requestdata,
    slowdata,
)
from stackledger.report.caveats import caveats
from stackledger.report.diagnosis import headline
from stackledger.report.endpointview import endpoint_view, service_view
from stackledger.report.facts import facts
from stackledger.report.incident import incident
from stackledger.report.ledgerview import ledger
from stackledger.report.looksfine import looks_fine
from stackledger.report.options import option_tables
from stackledger.report.parts import PARTS
from stackledger.report.percentiles import rows as percentile_rows
from stackledger.report.servicemap import service_map
from stackledger.report.shown import moment, text
from stackledger.report.timelines import timeline
from stackledger.report.verdict import sentence
from stackledger.report.verdictview import verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from stackledger.analysis.attribution import Attribution
    from stackledger.analysis.costresult import CostResult
    from stackledger.analysis.diagnosis import Diagnosis
    from stackledger.analysis.prediction import Prediction
    from stackledger.analysis.whatif.proof import Proof
    from stackledger.report.pagedata import Overview


def render(
    connection: duckdb.DuckDBPyConnection,
    *,
    attribution: Attribution | None,
    cost: CostResult | None = None,
    title: str | None = None,
    predictions: Sequence[Prediction] = (),
    proof: Proof | None = None,
    diagnosis: Diagnosis | None = None,
) -> str:
    """Return the page for one capture, on which `assemble` has been called.

    `attribution` chooses the endpoint and the percentile that the verdict, the
    ledger, the heat map and the slowest requests are about; None where no request was
    answered: the page is then about the host. `predictions` are those stored beside
    the capture, `proof` is one from before that this capture is held against. With a
    `diagnosis` its answer comes first, its evidence next.
    """
    told = pagedata.overview(connection)
    losses = pagedata.losses(connection)
    view = ledger(attribution) if attribution is not None else None
    unexplained_share = view.unexplained_share if view is not None else 0.0
    options, options_left_out = option_tables(predictions)
    script = _script()
    page = pages.template("report.html.j2")
    return page.render(
        title=text(title or f"Request ledger of {told.name or told.id or told.host}", 200),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        parts=PARTS,
        verdict=text(_verdict(attribution, diagnosis), 400),
        told=told,
        started=moment(told.started_ts_ns) if told.started_ts_ns else "",
        facts=facts(told),
        caveats=caveats(told, attribution, losses, unexplained_share),
        verdicts=verdicts(diagnosis) if diagnosis is not None else None,
        looks_fine=looks_fine(diagnosis) if diagnosis is not None else None,
        cost=costview.view(cost) if cost is not None else None,
        attribution=attribution,
        ledger=view,
        incident=incident(
            connection,
            attribution.endpoint if attribution is not None else None,
            told.started_ts_ns,
            told.window_ns,
        ),
        **(_of_requests(connection, attribution, told) if attribution is not None else {}),
        disks=_disks(connection, told),
        options=options,
        options_left_out=options_left_out,
        proof=proofview.view(proof) if proof is not None else None,
        losses=losses,
    )


def _of_requests(
    connection: duckdb.DuckDBPyConnection, attribution: Attribution, told: Overview
) -> dict[str, Any]:
    """Return what the page has only where requests were answered."""
    endpoint = attribution.endpoint
    band_ns = (attribution.slow.from_ns, attribution.slow.to_ns)
    marks = pagedata.percentiles(connection, endpoint)
    endpoints, endpoints_in_all = requestdata.endpoints(connection)
    links = requestdata.services(connection)
    times = requestdata.service_times(connection)
    return {
        "endpoint": text(endpoint) if endpoint is not None else None,
        "percentiles": percentile_rows(
            percentiledata.bands(connection, attribution), attribution.percentile
        ),
        "latency": figures.latency(
            pagedata.histogram(connection, endpoint, band_ns),
            list(zip(("p50", "p95", "p99"), marks, strict=True)) if marks else [],
        ),
        "endpoints": [endpoint_view(row, told.window_ns) for row in endpoints],
        "endpoints_left_out": endpoints_in_all - len(endpoints),
        "slowest": [
            timeline(one, told.started_ts_ns) for one in slowdata.slowest(connection, endpoint)
        ],
        "service_map": service_map(links, times),
        "services": [service_view(row, times.get(row.callee), told.window_ns) for row in links],
    }


def _verdict(attribution: Attribution | None, diagnosis: Diagnosis | None) -> str:
    said = [headline(diagnosis)] if diagnosis is not None else []
    said += [sentence(attribution)] if attribution is not None else []
    return " ".join(said) or "No request was answered during this capture."


def _script() -> Markup:
    # Not a template: its bytes are what the policy's hash is of.
    return Markup((pages.TEMPLATES / "report.js").read_text(encoding="utf-8"))  # noqa: S704 - our own


def _disks(connection: duckdb.DuckDBPyConnection, told: Overview) -> list[figures.DiskFigure]:
    width_ns = diskdata.interval_ns(told.window_ns)
    drawn = []
    for row in diskdata.disks(connection)[: diskdata.DRAWN]:
        points = diskdata.series(connection, row.dev, told.started_ts_ns, width_ns)
        if points:
            drawn.append(figures.disk(row, points, told.window_ns, width_ns, text(row.name, 40)))
    return drawn
