"""The capture's key figures, as texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.report.format import count, duration, share

if TYPE_CHECKING:
    from stackledger.report.pagedata import Overview


@dataclass(frozen=True, slots=True)
class Fact:
    """One key figure."""

    name: str
    value: str
    more: str = ""


def facts(told: Overview) -> list[Fact]:
    """Return what the head of the page shows; of requests only where there are any."""
    found = _of_requests(told) if told.roots else []
    if told.cpu_share is not None:
        found.append(Fact("host CPU", share(told.cpu_share), f"of {count(told.cpus)} CPUs"))
    if told.memory_share is not None:
        found.append(Fact("host memory", share(told.memory_share), "in use"))
    if told.linked_share is not None:
        found.append(Fact("calls linked", share(told.linked_share), "to a request"))
    return found


def _of_requests(told: Overview) -> list[Fact]:
    seconds = told.window_ns / 1e9
    return [
        Fact(
            "requests",
            count(told.roots),
            f"{count(told.roots / seconds)}/s" if seconds > 0 else "",
        ),
        Fact("median", duration(told.p50_ns)),
        Fact("p95", duration(told.p95_ns)),
        Fact("p99", duration(told.p99_ns)),
        Fact("failed", count(told.errors), f"{share(told.errors / told.roots)} of requests"),
    ]
