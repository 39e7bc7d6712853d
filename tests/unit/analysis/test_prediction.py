"""A prediction on disk: what is written is what is read, whole or not at all."""

from __future__ import annotations

import msgspec
import pytest

from stackledger.analysis import prediction
from stackledger.analysis.prediction import Figure, Latency, Option, Outcome, Prediction, Slo
from stackledger.errors import NoSuchCaptureError, StackledgerError, UsageError


def _outcome(ms: float, usd: str | None) -> Outcome:
    one = Figure(ms * 1e6, ms * 0.9e6, ms * 1.1e6)
    return Outcome(
        latency=Latency(one, one, one, one),
        rate_hz=Figure(100.0, 99.0, 101.0),
        busiest="disk IOPS",
        busiest_share=Figure(0.97, 0.96, 0.98),
        monthly_usd=None if usd is None else msgspec.convert(usd, prediction.Decimal),
    )


def _prediction(name: str = "faster", made_at: str = "2026-11-23T05:00:00Z") -> Prediction:
    before = _outcome(80, "110.08")
    return Prediction(
        name=name,
        capture="20261123T045900-incident",
        made_at=made_at,
        model="aws-us-east-1",
        slo=Slo("p99", 50_000_000),
        requests=997,
        before=before,
        replayed=before,
        options=(
            Option(
                name="disk gp3 iops=6000",
                kind="disk",
                after=_outcome(20, "125.08"),
                usd_per_ms_saved=prediction.Decimal("0.25"),
                holds_slo=True,
            ),
            Option(name="replica 50 %", kind="replica", refused="the database is not busy"),
        ),
        reason="cheapest",
        chosen="disk gp3 iops=6000",
    )


def test_what_is_stored_is_what_is_loaded(tmp_path):
    made = _prediction()
    path = prediction.store(tmp_path, made)
    assert path == tmp_path / "predictions" / "faster.json"
    assert prediction.load(path) == made
    assert [file.name for file in path.parent.iterdir()] == ["faster.json"]


def test_the_file_says_its_schema_and_writes_money_out(tmp_path):
    text = prediction.store(tmp_path, _prediction()).read_text()
    assert '"schema": "prediction/1"' in text
    assert '"monthly_usd": "125.08"' in text


def test_one_of_the_same_name_is_replaced_and_all_are_listed_by_age(tmp_path):
    prediction.store(tmp_path, _prediction("late", "2026-11-23T06:00:00Z"))
    prediction.store(tmp_path, _prediction("a", "2026-11-23T07:00:00Z"))
    prediction.store(tmp_path, _prediction("z", "2026-11-23T05:00:00Z"))
    prediction.store(tmp_path, _prediction("z", "2026-11-23T05:30:00Z"))
    assert [(one.name, one.made_at[11:16]) for one in prediction.load_all(tmp_path)] == [
        ("z", "05:30"),
        ("late", "06:00"),
        ("a", "07:00"),
    ]


def test_a_capture_without_predictions_has_none(tmp_path):
    assert prediction.load_all(tmp_path) == []


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 81, "a\nb"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="not a name for a prediction"):
        prediction.store(tmp_path, _prediction(name))
    assert list(tmp_path.iterdir()) == []


def test_an_option_is_found_by_number_and_by_name():
    made = _prediction()
    assert made.option("2") is made.options[1]
    assert made.option("disk gp3 iops=6000") is made.options[0]
    for word in ("0", "3", "disk gp3"):
        with pytest.raises(UsageError, match="no such option"):
            made.option(word)


def test_figures_are_read_by_name():
    latency = _outcome(7, None).latency
    assert [latency.figure(name).value for name in prediction.FIGURES] == [7e6] * 4


def test_a_missing_one_and_a_broken_one_are_told_apart(tmp_path):
    with pytest.raises(NoSuchCaptureError, match="no such prediction"):
        prediction.load(tmp_path / "x.json")
    for content in (b"", b"{}", b'{"schema": "prediction/9"}', b"\xff"):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(StackledgerError, match="broken prediction"):
            prediction.load(tmp_path / "x.json")


def test_a_place_that_cannot_be_written_to_is_an_error(tmp_path):
    (tmp_path / "predictions").write_text("a file, not a folder")
    with pytest.raises(StackledgerError, match="cannot store the prediction"):
        prediction.store(tmp_path, _prediction())
