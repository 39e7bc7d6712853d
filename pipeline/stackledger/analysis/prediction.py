"""A stored prediction: what a what-if foresaw, kept so that a later capture can prove it.

One JSON file per prediction (`prediction/1`), `predictions/NAME.json` in the folder
of the capture that it was made from. Amounts are decimal texts of `currency`.
"""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from stackledger import untrusted
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError, nearest

FOLDER = "predictions"
SCHEMA = "prediction/1"
FIGURES = ("mean", "p50", "p95", "p99")

_LARGEST_BYTES = 16 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")


class Figure(msgspec.Struct, frozen=True):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


class Latency(msgspec.Struct, frozen=True):
    """How long a root request takes: its wall time, in nanoseconds."""

    mean: Figure
    p50: Figure
    p95: Figure
    p99: Figure

    def figure(self, name: str) -> Figure:
        """Return one of FIGURES by name."""
        found: Figure = getattr(self, name)
        return found


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What requests see and what it costs, measured or foreseen.

    `rate_hz` is in root requests a second. `busiest` names the resource with the
    largest use, `busiest_share` is that use as a share of what it can do, None where no
    limit is known. `monthly_usd` is the price of the model's nodes, disks and shared
    costs, None where they have none.
    """

    latency: Latency
    rate_hz: Figure
    busiest: str
    busiest_share: Figure | None
    monthly_usd: Decimal | None


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One change: what it leads to, or why nothing can be said (`refused`, `after` None).

    `formula_ns` is the mean by queueing formulas, a second opinion, None where they give
    none. `usd_per_ms_saved` is dollars per month for each millisecond less of the
    prediction's `ranked_by`, negative where it saves money too, None where it saves no
    time. `holds_slo` is None without an objective.
    """

    name: str
    kind: str  # disk | cpu | memory | replica | layer | retransmits | nodes
    after: Outcome | None = None
    usd_per_ms_saved: Decimal | None = None
    holds_slo: bool | None = None
    formula_ns: float | None = None
    notes: tuple[str, ...] = ()
    refused: str = ""


class Slo(msgspec.Struct, frozen=True):
    """An objective: a figure of the latency stays below a limit in nanoseconds."""

    figure: str  # mean | p50 | p95 | p99
    limit_ns: int


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """All that one what-if said.

    `clients` callers waited for each answer, 0: requests came whether answers were quick
    or not. `capture` is the id of the capture it was made from, `made_at` the time in UTC (ISO
    8601). `endpoint` None: all root endpoints together. `load` is the factor on the
    measured load. `before` is measured; `replayed` is what the simulator makes of the
    same, so that its own error shows. `chosen` is the name of the option to take, None
    for none, `reason` why (report.whatif.verdict makes a sentence of both):

        holds         the objective is held today: nothing has to change
        cheapest      the cheapest option that holds the objective
        none_holds    no option holds the objective
        best          no objective: the most time for the money
        none_helps    no option saves time

    `warnings` are doubts about all of it, `notes` how it was made.
    """

    schema_: Literal["prediction/1"] = msgspec.field(name="schema", default="prediction/1")
    name: str
    capture: str
    made_at: str
    model: str
    currency: str = "USD"
    endpoint: str | None = None
    load: float = 1.0
    slo: Slo | None = None
    ranked_by: str = "mean"
    requests: int
    clients: int = 0
    before: Outcome
    replayed: Outcome
    options: tuple[Option, ...]
    reason: Literal["holds", "cheapest", "none_holds", "best", "none_helps"]
    chosen: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def option(self, word: str) -> Option:
        """Return an option by its number from 1 or by its name; raises UsageError."""
        if word.isdecimal() and 1 <= int(word) <= len(self.options):
            return self.options[int(word) - 1]
        names = [one.name for one in self.options]
        for one in self.options:
            if one.name == word:
                return one
        hint = nearest(word, names) or f"there are: {'; '.join(names)}"
        raise UsageError("no such option in the prediction", word, hint=hint)


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a prediction's file; raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            "not a name for a prediction", name, hint="letters, digits and . _ + -, at most 80"
        )


def store(folder: Path, prediction: Prediction) -> Path:
    """Write a prediction beside its capture, whole or not at all, and return its file.

    One of the same name is replaced. Raises StackledgerError where it cannot be written.
    """
    check_name(prediction.name)
    path = folder / FOLDER / f"{prediction.name}.json"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = msgspec.json.format(msgspec.json.encode(prediction), indent=2) + b"\n"
    try:
        path.parent.mkdir(exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as failure:
        raise StackledgerError(
            "cannot store the prediction", f"{path}: {failure.strerror}"
        ) from None
    return path


def load(path: Path) -> Prediction:
    """Return one stored prediction.

    Raises NoSuchCaptureError where there is none, StackledgerError where it is broken.
    """
    try:
        return msgspec.json.decode(untrusted.read(path, _LARGEST_BYTES), type=Prediction)
    except FileNotFoundError:
        raise NoSuchCaptureError("no such prediction", path) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise StackledgerError("broken prediction", f"{path}: {failure}") from None
    except OSError as failure:
        raise StackledgerError(
            "cannot read the prediction", f"{path}: {failure.strerror}"
        ) from None


def load_all(folder: Path) -> list[Prediction]:
    """Return the predictions made from the capture in `folder`, oldest first."""
    found = [load(path) for path in sorted((folder / FOLDER).glob("[!.]*.json"))]
    return sorted(found, key=lambda one: (one.made_at, one.name))
