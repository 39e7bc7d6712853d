"""Shows a prediction: the verdict, the options side by side, what weakens them."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from stackledger.analysis.prediction import FIGURES, Option, Outcome, Prediction
from stackledger.diagnostics import printable
from stackledger.report.format import NO_VALUE, count, duration, in_unit, money, share

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS = (
    "option",
    "kind",
    *(f"{name}{end}_ns" for name in FIGURES for end in ("", "_low", "_high")),
    *("formula_mean_ns", "rate_hz", "busiest", "busiest_share", "busiest_share_low"),
    *("busiest_share_high", "monthly_usd", "usd_per_ms_saved", "holds_slo", "refused"),
)
_BUSY = 0.8


def verdict(prediction: Prediction) -> str:
    """Return the answer in a sentence."""
    figure = prediction.ranked_by
    today = prediction.before.latency.figure(figure).value
    if prediction.reason in ("cheapest", "best"):
        return _taken(prediction, prediction.option(prediction.chosen or ""))
    limit = duration(prediction.slo.limit_ns) if prediction.slo else ""
    if prediction.reason == "holds":
        return f"Nothing has to change: {figure} is {duration(today)} today, below {limit}."
    if prediction.reason == "none_holds":
        after = [
            (one.after.latency.figure(figure).value, one.name, one.after)
            for one in prediction.options
            if one.after
        ]
        if not after:
            return f"No option keeps {figure} below {limit}: none could be predicted."
        value, name, outcome = min(after, key=lambda one: one[:2])
        return (
            f"No option keeps {figure} below {limit}: the best, {name}, reaches"
            f" {duration(value)}, with {_busy(outcome)}."
        )
    if all(one.refused for one in prediction.options):
        # One that was answered with a no, rather than not at all.
        noes = [one.refused for one in prediction.options if one.refused.startswith("no: ")]
        return f"No{noes[0][2:]}." if noes else "No option could be foreseen: see why below."
    return f"No: no option makes requests quicker. {_saving(prediction) or _why(prediction)}"


def _taken(prediction: Prediction, option: Option) -> str:
    figure = prediction.ranked_by
    start, load = prediction.before, ""
    if prediction.load != 1:
        # The first row of a what-if under another load: what it does to today's system.
        start = next((o.after for o in prediction.options if o.kind == "none" and o.after), start)
        load = f" under {prediction.load:g} times the load"
    assert option.after is not None
    before, after = (one.latency.figure(figure).value for one in (start, option.after))
    limit = f", below {duration(prediction.slo.limit_ns)}," if prediction.slo else ""
    verb = "falls" if after < before else "goes"
    return (
        f"Take {option.name}: {figure} {verb} from {duration(before)} to {duration(after)}{load}"
        f"{limit} for {_more(prediction, option.after)}."
    )


def _more(prediction: Prediction, after: Outcome) -> str:
    if after.monthly_usd is None or prediction.before.monthly_usd is None:
        return "an unknown price"
    more = after.monthly_usd - prediction.before.monthly_usd
    if not more:
        return "the same price"
    word = "more" if more > 0 else "less"
    return f"{money(abs(more), prediction.currency)} {word} a month"


def _saving(prediction: Prediction) -> str:
    """Return what the cheapest option saves, empty where none costs less than today."""
    today = prediction.before
    priced = [
        (one.after.monthly_usd, one.name, one.after)
        for one in prediction.options
        if one.after and one.after.monthly_usd is not None
    ]
    if not priced or today.monthly_usd is None:
        return ""
    monthly, name, after = min(priced, key=lambda one: one[:2])
    if monthly >= today.monthly_usd:
        return ""
    before, reached = (one.latency.mean.value for one in (prediction.replayed, after))
    return (
        f"But {name}: {_more(prediction, after)}, the mean goes from {duration(before)} to"
        f" {duration(reached)}."
    )


def _why(prediction: Prediction) -> str:
    busy = prediction.before.busiest_share
    if busy is not None and busy.value >= _BUSY:
        return f"Today {_busy(prediction.before)}: none of them gives more of it."
    return f"Nothing is short: of CPU and disk the busiest is {_busy(prediction.before)}."


def _busy(outcome: Outcome) -> str:
    known = outcome.busiest_share
    return f"{outcome.busiest} {share(None if known is None else known.value)} busy"


def as_rows(prediction: Prediction) -> list[dict[str, Any]]:
    """Return one row for today as measured, one as replayed, and one per option."""
    rows = [
        _row("today", "measured", prediction.before),
        _row("today", "replayed", prediction.replayed),
    ]
    for option in prediction.options:
        row = _row(option.name, option.kind, option.after)
        row["formula_mean_ns"] = option.formula_ns
        row["usd_per_ms_saved"] = option.usd_per_ms_saved
        row["holds_slo"] = option.holds_slo
        row["refused"] = option.refused or None
        rows.append(row)
    return rows


def _row(name: str, kind: str, outcome: Outcome | None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"option": name, "kind": kind}
    if outcome is None:
        return row
    for figure in FIGURES:
        found = outcome.latency.figure(figure)
        row[f"{figure}_ns"] = round(found.value)
        row[f"{figure}_low_ns"], row[f"{figure}_high_ns"] = round(found.low), round(found.high)
    row |= {"rate_hz": outcome.rate_hz.value, "busiest": outcome.busiest}
    if busy := outcome.busiest_share:
        row["busiest_share"] = busy.value
        row["busiest_share_low"], row["busiest_share_high"] = busy.low, busy.high
    row["monthly_usd"] = outcome.monthly_usd
    return row


def text(prediction: Prediction, *, width: int = 80) -> str:
    """Return the prediction as plain text."""
    return plain(render(prediction), width)


def plain(shown: RenderableType, width: int = 80) -> str:
    """Return what a terminal without colours would show."""
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=False, color_system=None)
    console.print(shown)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"


def render(prediction: Prediction) -> RenderableType:
    """Return the prediction for a console."""
    where = prediction.endpoint or "all endpoints"
    load = "" if prediction.load == 1 else f" · load x {prediction.load:g}"
    head = f"{where} · {count(prediction.requests)} requests · model {prediction.model}{load}"
    blocks: list[RenderableType] = [
        Text(printable(verdict(prediction)), style="bold"),
        *(Text(printable(f"warning: {line}")) for line in prediction.warnings),
        Text(),
        Text(printable(head)),
        Text(),
        _table(prediction),
        Text(),
    ]
    blocks += [
        Text(printable(f"refused: {one.name}: {one.refused}"))
        for one in prediction.options
        if one.refused
    ]
    blocks += [Text(printable(f"note: {line}")) for line in _notes(prediction)]
    return Group(*blocks)


def _table(prediction: Prediction) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    outcomes = [prediction.before, *(one.after for one in prediction.options if one.after)]
    unit = "ms" if max(one.latency.mean.value for one in outcomes) >= 1e6 else "µs"
    table.add_column("option", overflow="fold", min_width=14, max_width=24)
    for name in FIGURES:
        table.add_column(f"{name} {unit}", justify="right", no_wrap=True)
    for name in ("per month", "per ms"):
        table.add_column(name, justify="right", no_wrap=True)
    _add(table, prediction, "today", prediction.before, unit)
    for option in prediction.options:
        if option.after:
            _add(table, prediction, option.name, option.after, unit, option.usd_per_ms_saved)
    return table


def _add(
    table: Table,
    prediction: Prediction,
    name: str,
    outcome: Outcome,
    unit: str,
    saved: Decimal | None = None,
) -> None:
    figures = [outcome.latency.figure(one) for one in FIGURES]
    holds = ""
    if prediction.slo is not None:
        reached = outcome.latency.figure(prediction.slo.figure).value
        holds = "holds" if reached < prediction.slo.limit_ns else "misses"
    table.add_row(
        Text(printable(name)),
        *(in_unit(one.value, unit) for one in figures),
        money(outcome.monthly_usd, prediction.currency),
        NO_VALUE if saved is None else money(saved, prediction.currency, 2),
    )
    used = share(outcome.busiest_share.value if outcome.busiest_share else None)
    table.add_row(
        Text(f"  {outcome.busiest} {used}"),
        *(f"{in_unit(one.low, unit)}-{in_unit(one.high, unit)}" for one in figures),
        holds,
        "",
        style="dim",
    )


def _notes(prediction: Prediction) -> Iterable[str]:
    """Return what is said of one or several options, then of all."""
    said: dict[str, list[str]] = {}
    for option in prediction.options:
        for note in option.notes:
            said.setdefault(note, []).append(option.name)
    for note, names in said.items():
        yield note if len(names) == len(prediction.options) else f"{'; '.join(names)}: {note}"
    yield from prediction.notes
    replayed = prediction.replayed.latency
    yield (
        f"today replayed: mean {duration(replayed.mean.value)},"
        f" p99 {duration(replayed.p99.value)}; its error widens every interval"
    )
    if prediction.slo and (doubtful := _doubtful(prediction)):
        yield f"{doubtful}: the interval reaches over the objective"


def _doubtful(prediction: Prediction) -> str:
    if prediction.chosen is None or prediction.slo is None:
        return ""
    chosen = prediction.option(prediction.chosen)
    if chosen.after is None:
        return ""
    high = chosen.after.latency.figure(prediction.slo.figure).high
    return chosen.name if high >= prediction.slo.limit_ns else ""
