"""What a dashboard of CPU and memory showed at the time, beside what the ledger shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import duration, share
from stackledger.report.parts import BY_KEY
from stackledger.report.shown import text

if TYPE_CHECKING:
    from stackledger.analysis.diagnosis import Diagnosis, Gauge

_LINES = 5


@dataclass(frozen=True, slots=True)
class GaugeView:
    """One line of the dashboard; `width`, `highest_at` and `alert_at` are percentages."""

    name: str
    mean: str
    width: float
    highest: str
    highest_at: float
    alert: str
    alert_at: float
    fine: bool


@dataclass(frozen=True, slots=True)
class PartView:
    """One part of the ledger of all transactions; `key` is its colour."""

    key: str
    who: str
    share: str
    width: float
    typical: str


@dataclass(frozen=True, slots=True)
class LooksFine:
    """The panel; `sampled` tells of which share of the requests the ledger is."""

    sentence: str
    gauges: list[GaugeView]
    source: str
    parts: list[PartView]
    sampled: str


def looks_fine(found: Diagnosis) -> LooksFine | None:
    """Return the panel; None where neither side has anything to show."""
    if not found.dashboard.gauges and not found.ledger:
        return None
    return LooksFine(
        sentence=_sentence(found),
        gauges=[_gauge(one) for one in found.dashboard.gauges],
        source=found.dashboard.source,
        parts=[
            PartView(
                key=one.part if one.part in BY_KEY else "other",
                who=_who(one.layer, one.service, one.part),
                share=share(one.explained_share),
                width=_percent(one.explained_share),
                typical=duration(one.typical_ns),
            )
            for one in found.ledger[:_LINES]
        ],
        sampled=f"From a sample of {share(found.sampled_share)} of the requests."
        if found.sampled_share < 1
        else "",
    )


def _sentence(found: Diagnosis) -> str:
    """Return both sides in one sentence, and whether they agree."""
    gauges = found.dashboard.gauges
    showed = " and ".join(f"{one.name} {share(one.mean)}" for one in gauges)
    if not gauges:
        said = "CPU and memory were not counted"
    elif found.dashboard.fine:
        said = f"{showed}: a dashboard says that this host is fine"
    else:
        red = [f"{one.name} is above {share(one.alert)}" for one in gauges if not one.fine]
        said = f"{showed}: on a dashboard {' and '.join(red)}"
    if not found.ledger:
        return f"{said}. There were no requests to hold against it."
    top = found.ledger[0]
    who = _who(top.layer, top.service, top.part)
    end = f"{share(top.explained_share)} of the requests' time was {who}"
    joint = "But" if found.dashboard.fine and not found.healthy else "Meanwhile"
    return f"{said}. {joint} {end}."


def _who(layer: str, service: str, part: str) -> str:
    who = " ".join(dict.fromkeys(text(one, 60) for one in (layer, service) if one))
    return f"{who} {text(part, 20)}"


def _gauge(one: Gauge) -> GaugeView:
    return GaugeView(
        name=one.name,
        mean=share(one.mean),
        width=_percent(one.mean),
        highest=share(one.highest),
        highest_at=_percent(one.highest),
        alert=share(one.alert),
        alert_at=_percent(one.alert),
        fine=one.fine,
    )


def _percent(part: float) -> float:
    return round(100 * min(max(part, 0.0), 1.0), 1)
