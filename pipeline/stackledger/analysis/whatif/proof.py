"""Compares a prediction with what a later capture measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.analysis.prediction import FIGURES, Figure, Option, Prediction
from stackledger.analysis.whatif import demand, statistics
from stackledger.errors import NoSuchCaptureError, UsageError

if TYPE_CHECKING:
    import duckdb

# Another load than that by more than this share, and the two are not comparable.
_OTHER_LOAD = 0.2


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure: as it was, as predicted, as measured; in ns, or per second for `rate`."""

    figure: str
    before: Figure
    predicted: Figure
    measured: Figure

    @property
    def error(self) -> float | None:
        """Return how far the prediction is from the measured, as a share of that."""
        if not self.measured.value:
            return None
        return self.predicted.value / self.measured.value - 1

    @property
    def inside(self) -> bool:
        """Tell whether the two intervals meet."""
        return self.predicted.low <= self.measured.high and self.measured.low <= self.predicted.high


@dataclass(frozen=True, slots=True)
class Proof:
    """A prediction's option beside what was measured; `holds_slo` is of the measured."""

    prediction: Prediction
    option: Option
    capture: str
    requests: int
    figures: tuple[Compared, ...]
    holds_slo: bool | None
    warnings: tuple[str, ...]


def carried_out(prediction: Prediction, word: str | None) -> Option:
    """Return the option that was carried out: the named one, else the chosen one.

    Raises UsageError where there is none, or it was refused.
    """
    if word is None and prediction.chosen is None:
        raise UsageError(
            "the prediction recommends nothing: which option was carried out?",
            prediction.name,
            hint="--option N, or its name",
        )
    option = prediction.option(word or prediction.chosen or "")
    if option.after is None:
        raise UsageError(
            "nothing was predicted for that option", f"{option.name}: {option.refused}"
        )
    return option


def prove(connection: duckdb.DuckDBPyConnection, prediction: Prediction, option: Option) -> Proof:
    """Return the comparison with an assembled capture made after the change.

    Raises UsageError for the capture that the prediction was made from, and
    NoSuchCaptureError where no request of its endpoint was answered.
    """
    row = connection.execute("SELECT id FROM capture").fetchone()
    capture = str(row[0]) if row else ""
    if capture == prediction.capture:
        raise UsageError(
            "the prediction was made from this very capture",
            capture,
            hint="capture again after the change, under the same load",
        )
    measured = demand.read(connection)
    endpoint = prediction.endpoint
    walls = [float(job.wall_ns) for job in measured.jobs if endpoint in (None, job.endpoint)]
    if not walls:
        raise NoSuchCaptureError("no complete request of this endpoint", endpoint)
    after = option.after
    assert after is not None
    found = statistics.latency(walls)
    pairs = [
        Compared(
            name,
            prediction.before.latency.figure(name),
            after.latency.figure(name),
            found.figure(name),
        )
        for name in FIGURES
    ]
    rate = statistics.rate(demand.rates(connection))
    pairs.append(Compared("rate", prediction.before.rate_hz, after.rate_hz, rate))
    slo = prediction.slo
    return Proof(
        prediction=prediction,
        option=option,
        capture=capture,
        requests=measured.roots,
        figures=tuple(pairs),
        holds_slo=None if slo is None else found.figure(slo.figure).value < slo.limit_ns,
        warnings=tuple(_warnings(prediction, measured, after.rate_hz.value)),
    )


def _warnings(prediction: Prediction, measured: demand.Demand, rate_hz: float) -> list[str]:
    clients = measured.clients if measured.closed else 0
    if bool(clients) != bool(prediction.clients):
        return ["the callers are others: they wait for answers in one of the two only"]
    if clients != prediction.clients:
        return [f"{clients} callers wait for answers, {prediction.clients} were predicted for"]
    if not clients and abs(measured.rate_hz - rate_hz) > _OTHER_LOAD * rate_hz:
        return ["the load is another: its rate is over 20 % off the predicted one"]
    return []
