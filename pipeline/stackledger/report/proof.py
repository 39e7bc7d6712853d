"""Shows a prediction beside what was measured after the change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stackledger.diagnostics import printable
from stackledger.report.format import count, duration, in_unit, signed_share
from stackledger.report.whatif import plain

if TYPE_CHECKING:
    from stackledger.analysis.prediction import Figure
    from stackledger.analysis.whatif.proof import Compared, Proof

COLUMNS = (
    *("figure", "unit", "before", "predicted", "predicted_low", "predicted_high"),
    *("measured", "measured_low", "measured_high", "error", "inside"),
)


def as_rows(proof: Proof) -> list[dict[str, Any]]:
    """Return one row per figure: ns, and requests per second."""
    rows = []
    for one in proof.figures:
        row: dict[str, Any] = {"figure": one.figure, "unit": "1/s" if _rate(one) else "ns"}
        row |= {"before": one.before.value, "error": one.error, "inside": one.inside}
        for name, figure in (("predicted", one.predicted), ("measured", one.measured)):
            row |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
        rows.append(row)
    return rows


def verdict(proof: Proof) -> str:
    """Return whether the prediction came true, in a sentence."""
    ranked = proof.prediction.ranked_by
    one = next(found for found in proof.figures if found.figure == ranked)
    held = "came true" if one.inside else "missed"
    saved = one.before.value - one.measured.value
    moved = f"{duration(abs(saved))} {'less' if saved >= 0 else 'more'} than before"
    slo = proof.prediction.slo
    kept = ""
    if slo is not None:
        word = "holds" if proof.holds_slo else "does not hold"
        kept = f" It {word} {slo.figure} < {duration(slo.limit_ns)}"
        kept += ", as predicted." if proof.holds_slo == proof.option.holds_slo else "."
    return (
        f"{proof.option.name} {held}: {ranked} {duration(one.measured.value)} measured,"
        f" {duration(one.predicted.value)} predicted, {moved}.{kept}"
    )


def text(proof: Proof, *, width: int = 80) -> str:
    """Return the comparison as plain text."""
    return plain(render(proof), width)


def render(proof: Proof) -> RenderableType:
    """Return the comparison for a console."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("figure", no_wrap=True)
    for name in ("before", "predicted", "interval", "measured", "error", "inside"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in proof.figures:
        write = _per_second if _rate(one) else duration
        table.add_row(
            one.figure,
            write(one.before.value),
            write(one.predicted.value),
            _interval(one.predicted, rate=_rate(one)),
            write(one.measured.value),
            signed_share(one.error),
            "yes" if one.inside else "no",
        )
    made = proof.prediction
    where = made.endpoint or "all endpoints"
    head = f"{where} · predicted {made.made_at} · {count(proof.requests)} requests measured"
    return Group(
        Text(printable(verdict(proof)), style="bold"),
        Text(),
        Text(printable(head)),
        Text(),
        table,
        *(Text(printable(f"warning: {line}")) for line in proof.warnings),
    )


def _rate(one: Compared) -> bool:
    return one.figure == "rate"


def _per_second(value: float) -> str:
    return f"{count(value)} /s"


def _interval(figure: Figure, *, rate: bool) -> str:
    if rate:
        return f"{count(figure.low)}-{count(figure.high)} /s"
    unit = "ms" if figure.value >= 1e6 else "µs"
    return f"{in_unit(figure.low, unit)}-{in_unit(figure.high, unit)} {unit}"
