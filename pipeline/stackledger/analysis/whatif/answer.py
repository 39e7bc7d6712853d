"""Answers a what-if: replays every option and compares latency, use and price."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stackledger.analysis.prediction import Option, Outcome, Prediction
from stackledger.analysis.whatif import (
    cache,
    changes,
    choice,
    demand,
    disks,
    fleet,
    hop,
    machines,
    outcomes,
    prices,
    statistics,
    tax,
    words,
)
from stackledger.analysis.whatif.calibration import Calibration, calibrate
from stackledger.analysis.whatif.formula import mean_latency
from stackledger.analysis.whatif.simulator import Load, Replay, replay
from stackledger.analysis.whatif.wanted import MOST_LOAD, Wanted
from stackledger.errors import NoSuchCaptureError, nearest

if TYPE_CHECKING:
    import duckdb

    from stackledger.analysis.costmodel import CostModel
    from stackledger.analysis.whatif.changes import Change, Setting
    from stackledger.analysis.whatif.demand import Demand

# The two methods are said to differ from here on; and a queue is near its end.
_DIFFERS = 0.10
_SATURATED = 0.8
# A replay of today that misses its mean or median by more than this explains little.
_POOR = 0.3


def predict(connection: duckdb.DuckDBPyConnection, model: CostModel, wanted: Wanted) -> Prediction:
    """Return the prediction for an assembled capture.

    `wanted` was checked. Raises UsageError for what of it this capture and model have no
    answer to, NoSuchCaptureError where no request of the endpoint was answered.
    """
    row = connection.execute("SELECT id, host FROM capture").fetchone()
    if row is None:
        raise NoSuchCaptureError("there is no capture to ask")
    capture, host = row
    asked = demand.read(connection)
    _check_endpoint(asked, wanted.endpoint)
    busiest = asked.disk.name if asked.disk else None
    devices = {*_devices(connection), *([busiest] if busiest else [])}
    cost = prices.priced(model, host, sorted(devices), busiest, wanted.machines)
    today = calibrate(asked, cost.node.spec.vcpu, prices.limit_of(cost.disk))
    held = cache.read(connection, cost.node.spec.memory_gib)
    setting = changes.Setting(asked, today, cost, held)
    before = outcomes.measured(setting, wanted.endpoint, statistics.rate(demand.rates(connection)))
    replayed = outcomes.replayed(today.replayed, today, cost.monthly_usd, wanted.endpoint, {})
    options = []
    # A saving is that between two replays: what one has wrong, the other has too.
    against, start = replayed, before
    if wanted.load != 1:
        same = changes.Change("no change", "none", today.system, cost.monthly_usd)
        options.append(_option(same, setting, replayed, wanted))
        against = start = options[0].after or replayed
    asked_for = _changes(wanted, setting)
    for layer in dict.fromkeys(wanted.no_layers):
        asked_for.append(hop.change(hop.read(connection, layer, asked.roots), setting))
    if wanted.no_retransmits:
        asked_for.append(tax.change(tax.read(connection), before, cost, today.system))
    for word in wanted.nodes:
        wish = fleet.Wish(word, wanted.headroom, wanted.load, MOST_LOAD)
        asked_for.append(fleet.change(wish, fleet.read(connection), cost, today.system))
    options += [_option(change, setting, against, wanted) for change in asked_for]
    options.sort(key=choice.rank)
    chosen, reason = choice.chosen(options, start, wanted.slo)
    return Prediction(
        name=wanted.name,
        capture=capture,
        made_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        model=model.name,
        currency=model.file.currency,
        endpoint=wanted.endpoint,
        load=wanted.load,
        slo=wanted.slo,
        ranked_by=wanted.slo.figure if wanted.slo else "mean",
        requests=asked.roots,
        clients=asked.clients if asked.closed else 0,
        before=before,
        replayed=replayed,
        options=tuple(options),
        reason=reason,
        chosen=chosen,
        warnings=tuple(_warnings(connection, today)),
        notes=tuple(_notes(setting)),
    )


def _check_endpoint(asked: Demand, endpoint: str | None) -> None:
    known = sorted({job.endpoint for job in asked.jobs})
    if endpoint is not None and endpoint not in known:
        raise NoSuchCaptureError(
            "no complete request of this endpoint", endpoint, hint=nearest(endpoint, known)
        )


def _devices(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the disks that were used."""
    rows = connection.execute(
        "SELECT name FROM disk WHERE dev IN (SELECT dev FROM block_io) ORDER BY name"
    ).fetchall()
    return [row[0] for row in rows]


def _changes(wanted: Wanted, setting: Setting) -> list[Change]:
    found = []
    for word in wanted.disks:
        found += disks.tiers(setting) if word == words.TIERS else [disks.disk(word, setting)]
    found += [machines.cpus(number, setting) for number in wanted.cpus]
    found += [machines.instance(word, setting) for word in wanted.instances]
    found += [machines.memory(gib, setting) for gib in wanted.memories]
    found += [changes.replica(share, setting) for share in wanted.replicas]
    return list({one.name: one for one in found}.values())


def _option(change: Change, setting: Setting, before: Outcome, wanted: Wanted) -> Option:
    """Replay one option and put it beside `before`."""
    if change.system is None:
        return Option(name=change.name, kind=change.kind, refused=change.refused)
    today, asked = setting.today, setting.demand
    load = Load(asked.closed, asked.clients, wanted.load * change.load)
    jobs = list(change.jobs) if change.jobs is not None else today.jobs
    if change.hits is not None:
        jobs = cache.without_reads(jobs, change.hits.share)
    found = replay(jobs, change.system, load)
    after = outcomes.replayed(found, today, change.monthly_usd, wanted.endpoint, today.errors)
    if change.hits is not None:
        for share in (change.hits.low, change.hits.high):
            edge = replay(cache.without_reads(today.jobs, share), change.system, load)
            after = outcomes.widened(
                after,
                outcomes.replayed(edge, today, change.monthly_usd, wanted.endpoint, today.errors),
            )
    figure = wanted.slo.figure if wanted.slo else "mean"
    formula = mean_latency(jobs, change.system, load)
    notes = [*change.notes, *_doubts(found, formula, asked)]
    reached = after.latency.figure(figure)
    return Option(
        name=change.name,
        kind=change.kind,
        after=after,
        usd_per_ms_saved=choice.usd_per_ms(before, after, figure),
        holds_slo=None if wanted.slo is None else reached.value < wanted.slo.limit_ns,
        formula_ns=formula if math.isfinite(formula) else None,
        notes=tuple(notes),
    )


def _doubts(found: Replay, formula: float, asked: Demand) -> list[str]:
    """Return what weakens the replay of an option."""
    doubts = []
    mean = statistics.figures([latency for _, latency in found.answers])["mean"]
    if abs(formula - mean) > _DIFFERS * mean:
        doubts.append("the queueing formula's mean is more than 10 % off the replay's")
    if not asked.closed and max(found.cpu_share, found.iops_share or 0.0) > _SATURATED:
        doubts.append("more than 80 % busy: a little more load, and the queue grows")
    if found.rate_hz > MOST_LOAD * asked.rate_hz:
        doubts.append("its callers would send more than twice today's requests")
    return doubts


def _warnings(connection: duckdb.DuckDBPyConnection, today: Calibration) -> list[str]:
    """Return the doubts about all of the prediction."""
    warnings = list(today.warnings)
    lost = connection.execute("SELECT max(lost_share) FROM cost_window").fetchone()
    if lost and lost[0]:
        warnings.append("rows were lost: demands are too low by as much, and so is the prediction")
    if max(today.errors[name] for name in ("mean", "p50")) > _POOR:
        warnings.append("the replay of today is far off what was measured: do not trust it")
    return warnings


def _notes(setting: Setting) -> list[str]:
    asked = setting.demand
    notes = list(setting.today.notes)
    if asked.closed:
        notes.append(
            f"{asked.clients} callers wait for each answer: a quicker system gets more requests"
        )
    else:
        notes.append("requests come as they did, whether answers are quick or not")
    if setting.priced.machines > 1:
        notes.append(f"prices are of {setting.priced.machines} machines like this one, all changed")
    if len(asked.jobs) < asked.roots:
        notes.append(f"replayed: {len(asked.jobs)} of {asked.roots} requests, in 8 stretches")
    return notes
