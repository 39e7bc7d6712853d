"""Every lab is whole: its figures can be measured, its table fits, its page stands alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from stackledger.analysis.experiment import PhaseResult, Result, look
from stackledger.analysis.figures import RATE
from stackledger.errors import NoSuchCaptureError
from stackledger.labs import catalog
from stackledger.report import lab as labtext
from stackledger.report import labpage
from stackledger.store import connect, find

if TYPE_CHECKING:
    from tests.conftest import Replayed

LABS = catalog.labs()


@pytest.fixture(scope="module")
def told(replayed: Replayed) -> PhaseResult:
    """All labs' figures, of the recording of a slow disk."""
    values: dict[str, Any] = {"dev": None}
    for phase in (phase for lab in LABS for phase in lab.phases):
        values |= phase.values
    figures = tuple(figure for lab in LABS for figure in lab.figures)
    return look(find("last", replayed.store), "", "", figures, values)


def test_what_others_on_the_host_served_is_left_out(replayed: Replayed, told: PhaseResult) -> None:
    """As if the lab had started the database alone: whatever never asked it is another's."""
    capture = find("last", replayed.store)
    with connect(capture) as connection:
        statement = "SELECT any_value(ppid) FROM process WHERE comm = 'postgres'"
        (postmaster,) = connection.execute(statement).fetchall()[0]
    own = look(capture, "", "", (RATE,), {}, root_pid=postmaster)
    # Of orders, mixed, search, through all layers; without busy, sleep, lock.
    transactions = [386, 102, 48]
    assert own.attribution.transactions == sum(transactions) < told.attribution.transactions
    assert {line.layer for line in own.attribution.slow.lines} >= {"gateway", "app", "database"}
    assert own.figures[0] == pytest.approx(sum(transactions) / 8.318, rel=0.01)
    with pytest.raises(NoSuchCaptureError):
        look(capture, "", "", (RATE,), {}, root_pid=1)


@pytest.fixture(params=LABS, ids=lambda lab: lab.name)
def result(request: pytest.FixtureRequest, told: PhaseResult) -> Result:
    """What each lab would say if all its phases were that recording."""
    lab = request.param
    at = sum(len(one.figures) for one in LABS[: LABS.index(lab)])
    own = told.figures[at : at + len(lab.figures)]
    phases = [replace(told, name=one.name, done=one.done, figures=own) for one in lab.phases]
    return Result(lab.name, lab.question, lab.answer, lab.figures, phases)


def test_every_figure_is_measured_and_the_table_fits_80_columns(result):
    lines = labtext.lines(result)
    assert max(map(len, lines)) <= 80
    sections = [one.section for one in result.figures]
    assert sorted(sections, key=sections.index) == sections, "a section comes twice"
    for phase in result.phases:
        told = dict(zip([one.name for one in result.figures], phase.figures, strict=True))
        assert told["requests/s"] == pytest.approx(716 / 8.318, rel=0.01)
        assert told["latency p99"] > told["latency p50"] > 0
        said = dict(labtext.findings(phase))
        assert said["dashboard"] == "Looks fine: CPU and RAM below the usual alerts."
        assert "database postgres waiting for the disk" in said["ledger"]
        assert "postgres waits for" in said["diagnosis"]


def test_the_rows_hold_what_the_table_shows(result):
    columns, rows = labtext.rows(result)
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    numbers = [one for one in records if one["text"] is None]
    assert len(numbers) == len(result.figures) * len(result.phases)
    assert {one["phase"] for one in records} == {one.name for one in result.phases}
    texts = [(one["figure"], one["text"]) for one in records if one["text"]]
    assert texts.count(("resource", "disk")) == len(result.phases)
    json.dumps(records)


def test_the_page_needs_nothing_from_elsewhere(result):
    page = labpage.render(result)
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page
    for phase in result.phases:
        assert f"{phase.name}: " in page
    assert labpage.render(result) == page


def test_a_phase_whose_runtime_is_missing_is_left_out_and_said(monkeypatch, capsys):
    from stackledger.labs import programs, running

    real = programs.find_program
    monkeypatch.setattr(
        programs, "find_program", lambda name: None if name == "perl" else real(name) or name
    )
    found = running.possible(catalog.lab("runtime-comparison"))
    assert [one.name for one in found] == ["python", "node", "go"]
    said = capsys.readouterr().err
    assert "left out: perl: not installed: perl" in said
    assert "hint: apt-get install --no-install-recommends perl" in said


def test_names_can_be_names_of_captures():
    from stackledger.capture.manifest import safe_word

    names: list[Any] = [f"{lab.name}.{phase.name}" for lab in LABS for phase in lab.phases]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w.@:+-]{1,64}", name) for name in names)
    assert all(safe_word(name) for name in names)
