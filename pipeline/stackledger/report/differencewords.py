"""What a comparison says in words: the sentence, what weakens it, what became of a limit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import structs

from stackledger.diagnostics import printable
from stackledger.report import format as text
from stackledger.report.verdict import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackledger.analysis.diff.answer import Change, Difference
    from stackledger.analysis.diff.gate import Judged


def sentence(difference: Difference) -> str:
    """Return what changed and where that is, in one or two sentences."""
    mean = difference.latency("mean")
    if mean is None or mean.change is None:
        return "No requests on both sides: below is what the host did."
    tail = _tail(difference)
    told = f"{tail.name} {_moved(tail)}"
    if not tail.certain:
        few = tail.verdict == "few"
        why = "too few requests to tell" if few else "not more than noise"
        return f"{told}: {why}."
    part = max(
        difference.of("ledger"), key=lambda one: _sign(mean) * (difference_of(one)), default=None
    )
    if part is None or not mean.certain or not part.certain or not mean.change:
        return f"{told}."
    own = difference_of(part)
    if own * mean.change < 0:
        return f"{told}."
    return (
        f"{told}. Of the mean's {signed(mean, mean.change)}, {signed(part, own)} is"
        f" {part.subject} {WORDS[f'{part.name}_ns']}."
    )


def notes(difference: Difference) -> Iterable[str]:
    """Yield what weakens the comparison, a sentence each."""
    one, other = difference.before, difference.after
    if one.host != other.host:
        yield f"two hosts: {printable(one.host)} and {printable(other.host)}"
    if one.schema_version != other.schema_version:
        yield (
            f"recorded by two versions (schema {one.schema_version} and"
            f" {other.schema_version}): what only one of them knows is new or gone"
        )
    for when, here, there in (("before", one, other), ("after", other, one)):
        if missing := sorted(set(here.probes) - set(there.probes)):
            yield f"recorded only {when}: {', '.join(missing)}; to trace takes time itself"
    for when, side in (("before", one), ("after", other)):
        if side.lost_share:
            yield f"{when}, {text.share(side.lost_share)} of the rows were lost: counts are too low"
    rate = difference.latency("rate")
    if rate is not None and rate.before and rate.after and rate.certain:
        was, now = cell(rate, rate.before), cell(rate, rate.after)
        yield f"the load is not the same: {was}, then {now}"


def judgement(judged: Judged) -> str:
    """Return one line on a limit: what moved, by how much, and whether that fails it."""
    change = judged.change
    name = change.name
    if change.kind == "cost":
        batch, of_what = text.batch(Decimal(repr(max(change.before or 0.0, change.after or 0.0))))
        name, change = f"a {of_what} of {change.subject}", times(change, batch)
    moved = f"{name} {_moved(change)}"
    if judged.failed:
        unsure = "; too few requests to rule out chance" if change.verdict == "few" else ""
        return f"{judged.limit.written}: {moved}{unsure}"
    if judged.exceeded:
        return f"{judged.limit.written}: passed, {moved}, not more than noise"
    return f"{judged.limit.written}: passed, {moved}"


def times(one: Change, batch: int) -> Change:
    """Return what so many cost, where it is the cost of one."""
    before, after, low, high = (
        None if value is None else value * batch
        for value in (one.before, one.after, one.low, one.high)
    )
    return structs.replace(one, before=before, after=after, low=low, high=high)


def cell(one: Change, value: float | None) -> str:
    if value is None:
        return text.NO_VALUE
    if one.unit == "ns":
        return text.duration(value)
    if one.unit == "share":
        return text.share(value)
    if one.unit == "/s":
        return text.rate(value)
    return text.money(Decimal(repr(value)), one.unit)


def signed(one: Change, value: float) -> str:
    if one.unit == "share":
        # Points, not per cent of what was before.
        return text.signed_share(value).replace("%", "pp")
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{cell(one, abs(value))}"


def difference_of(one: Change) -> float:
    return (one.after or 0.0) - (one.before or 0.0)


def _tail(difference: Difference) -> Change:
    """Return the slowest percentile that both sides have enough requests for, else the mean."""
    for name in ("p99", "p95", "p50"):
        found = difference.latency(name)
        if found is not None and found.verdict in ("more", "less", "noise"):
            return found
    mean = difference.latency("mean")
    assert mean is not None
    return mean


def _moved(one: Change) -> str:
    """Return "rose from A to B (+12.3 %)"."""
    change = one.change or 0.0
    if not change:
        return f"stayed {cell(one, one.before)}"
    word = "rose" if change > 0 else "fell"
    share = f" ({text.signed_share(one.change_share)})" if one.change_share else ""
    return f"{word} from {cell(one, one.before)} to {cell(one, one.after)}{share}"


def _sign(one: Change) -> int:
    return 1 if (one.change or 0.0) > 0 else -1
