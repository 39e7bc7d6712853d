"""Evaluates the rules of `queries/diagnose` over a capture, and ranks what they find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from stackledger.analysis.assembly import assemble, keep
from stackledger.analysis.diagnosis import (
    Confidence,
    Diagnosis,
    Figure,
    LedgerPart,
    Looked,
    Threshold,
    Verdict,
)
from stackledger.analysis.diagnosisgauges import dashboard
from stackledger.analysis.diagnosisranks import graded, ranked
from stackledger.analysis.diagnosisrules import COLUMNS, Rule, rules
from stackledger.analysis.diagnosissample import Sample, assemble_sample, give
from stackledger.analysis.diagnosistrust import Trust, trust
from stackledger.analysis.needs import views_of
from stackledger.analysis.queries import execute, get, run
from stackledger.errors import StackledgerError

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from stackledger.analysis.selection import Selection
    from stackledger.store import Capture

_KEPT = ("process_layer", "calls", "spent", "spent_part", "spent_total")
_ABOUT_THE_CACHE = ("cache_cold", "cache_small")


def diagnose(
    capture: Capture, *, part: Selection | None = None, layers: Path | None = None
) -> Diagnosis:
    """Return what is wrong with a capture, or with a part of it; opens it itself."""
    from stackledger.analysis.selection import narrow
    from stackledger.store import connect

    with connect(capture, layers=layers, with_views=False) as connection:
        if part:
            narrow(connection, part, capture.tables.values(), ledger=True)
            assemble(connection, read=reads())
        else:
            assemble_sample(connection, read=reads())
        return examine(capture, connection)


def examine_beside(
    capture: Capture, connection: duckdb.DuckDBPyConnection, sample: Sample
) -> Diagnosis:
    """Return what is wrong, while another thread works with the assembled capture.

    `connection` is `store.beside` that of it, and is closed; `sample` is what
    `diagnosissample.take` took there.
    """
    with connection:
        give(connection, sample)
        return examine(capture, connection)


def reads() -> set[str]:
    """Return the views that `examine` reads, for `assemble`."""
    rest = f"{' '.join(_KEPT)} span {get('missratio').text()}"
    return views_of([rest, *(rule.text() for rule in rules())])


def examine(capture: Capture, connection: duckdb.DuckDBPyConnection) -> Diagnosis:
    """Return what is wrong with a capture on whose connection `assemble` was called.

    Or `assemble_sample`, of a large one: times are then those of the sample, scaled up.
    """
    keep(connection, *_KEPT)
    whole = _row(connection, "SELECT * FROM spent_total")
    ledger = _ledger(connection, whole["wall_ns"])
    believed = trust(capture, connection, whole["transactions"], ledger)
    looked, found = [], []
    for rule in rules():
        missing = [one for one in rule.needs if not _recorded(capture, connection, one)]
        verdicts = [] if missing else _verdicts(connection, rule, whole, believed)
        found += verdicts
        outcome = "not measured" if missing else "found" if verdicts else "nothing"
        looked.append(
            Looked(
                rule=rule.name,
                version=rule.version,
                purpose=rule.purpose,
                outcome=outcome,
                missing=missing,
            )
        )
    verdicts = ranked(found)
    span = _row(connection, "SELECT from_ts_ns, until_ts_ns FROM span")
    return Diagnosis(
        capture=capture.manifest.id,
        name=capture.manifest.name,
        host=capture.manifest.host,
        **span,
        transactions=round(whole["transactions"] / believed.sampled_share),
        wall_ns=round(whole["wall_ns"] / believed.sampled_share),
        p50_ns=whole["p50_ns"],
        p99_ns=whole["p99_ns"],
        healthy=all(one.severity == "note" for one in verdicts),
        verdicts=verdicts,
        dashboard=dashboard(connection),
        ledger=[_scaled(one, believed.sampled_share) for one in ledger],
        looked=looked,
        lost_share=believed.lost_share,
        unexplained_share=believed.unexplained_share,
        sampled_share=believed.sampled_share,
    )


def _recorded(capture: Capture, connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Tell whether anybody looked: a probe that ran, or rows."""
    runs = [run for run in capture.manifest.probes if run.state != "unavailable"]
    if any(table in run.tables for run in runs):
        return True
    return connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone() is not None  # noqa: S608 - a rule's header


def _verdicts(
    connection: duckdb.DuckDBPyConnection, rule: Rule, whole: dict[str, Any], believed: Trust
) -> list[Verdict]:
    result = execute(connection, rule.text())
    if tuple(result.columns) != COLUMNS:
        raise StackledgerError("a rule returns other columns", f"{rule.path}: {result.columns}")
    found = []
    for values in result.rows:
        row = dict(zip(COLUMNS, values, strict=True))
        severity = graded(
            row["explained_ns"],
            row["typical_ns"],
            whole,
            least=row["severity"],
            patience=rule.patience,
        )
        if severity is not None:
            besides = _larger_cache(connection) if rule.name in _ABOUT_THE_CACHE else []
            found.append(_verdict(rule, row, severity, whole["wall_ns"], believed, besides))
    return found


def _larger_cache(connection: duckdb.DuckDBPyConnection) -> list[Figure]:
    """Return how often the host's page cache would miss if it were larger, where that is known."""
    sizes = {
        "today": "misses today",
        "x 2": "misses with twice the cache",
        "x 4": "with four times",
    }
    result = run(connection, "missratio", {"cgroup": "(host)"})
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    return [
        Figure(name=sizes[row["size"]], value=row["miss_ratio"], unit="share")
        for row in rows
        if row["size"] in sizes and row["miss_ratio"] is not None
    ]


def _verdict(
    rule: Rule,
    row: dict[str, Any],
    severity: str,
    wall_ns: int,
    believed: Trust,
    besides: list[Figure],
) -> Verdict:
    def told(text: str) -> str:
        for name in ("layer", "service", "object"):
            text = text.replace(f"{{{name}}}", row[name])
        return text

    explained: int | None = row["explained_ns"]
    return Verdict(
        rule=rule.name,
        version=rule.version,
        title=told(rule.title),
        severity=severity,
        layer=row["layer"],
        service=row["service"],
        resource=rule.resource,
        object=row["object"],
        explained_ns=None if explained is None else round(explained / believed.sampled_share),
        explained_share=None if explained is None or not wall_ns else explained / wall_ns,
        typical_ns=row["typical_ns"],
        threshold=Threshold(
            measured=_number(row["measured"]),
            value=_number(row["threshold"]),
            unit=rule.unit,
            source=rule.threshold,
        ),
        evidence=[Figure(**one) for one in row["evidence"]] + besides,
        query=_command(told(rule.evidence), believed.capture),
        confidence=_confidence(rule, row["doubts"], believed),
        next=told(rule.next),
        covers=[],
    )


def _number(value: Any) -> float | None:
    """Return what SQL has as some kind of number."""
    return None if value is None else float(value)


def _command(words: str, capture: str) -> str:
    """Return a rule's command with the capture's name behind that of the query."""
    program, verb, name, *rest = words.split()
    return " ".join([program, verb, name, capture, *rest])


def _confidence(rule: Rule, doubts: list[str], believed: Trust) -> Confidence:
    score, reasons = believed.of(rule.needs)
    score *= rule.certainty * 0.8 ** len(doubts)
    level = "high" if score >= 0.8 else "medium" if score >= 0.5 else "low"
    told = [Figure(name=one, value=None, unit="") for one in doubts]
    return Confidence(level=level, score=round(score, 3), reasons=[*told, *reasons])


def _ledger(connection: duckdb.DuckDBPyConnection, wall_ns: int) -> list[LedgerPart]:
    rows = connection.execute(
        """
        SELECT layer, service, part, explained_ns, typical_ns FROM spent_part
        ORDER BY explained_ns DESC, layer, service, part
        """
    ).fetchall()
    return [
        LedgerPart(
            layer=row[0],
            service=row[1],
            part=row[2],
            explained_ns=row[3],
            explained_share=row[3] / wall_ns if wall_ns else 0.0,
            typical_ns=row[4],
        )
        for row in rows
    ]


def _scaled(one: LedgerPart, sampled_share: float) -> LedgerPart:
    return msgspec.structs.replace(one, explained_ns=round(one.explained_ns / sampled_share))


def _row(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    result = execute(connection, sql)
    return dict(zip(result.columns, result.rows[0], strict=True))
