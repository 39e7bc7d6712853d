"""The short run: every kept input, then some hundred mutations of them, within the limits.

`just fuzz` is the long one.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.limits import GROWTH_BYTES, limited, peak_bytes
from tests.fuzz.targets import CORPUS, TARGETS, Target

_ALL = [pytest.param(one, id=one.name) for one in TARGETS.values()]
_MOST = 300


@pytest.mark.parametrize("target", _ALL)
def test_what_once_was_a_defect_is_none(target: Target) -> None:
    kept = target.corpus()
    assert kept
    for data in kept:
        with limited():
            target.run(data)


@pytest.mark.parametrize("target", _ALL)
def test_mutations_of_what_is_kept_do_no_harm(target: Target) -> None:
    before = peak_bytes()

    @given(_mutated(target))
    @settings(
        max_examples=_MOST // 6 if target.name == "parquet" else _MOST,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def holds(data: bytes) -> None:
        with limited():
            target.run(data)

    holds()
    assert peak_bytes() - before < GROWTH_BYTES


def test_the_corpus_is_small_and_each_of_it_is_somebodys() -> None:
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(TARGETS)
    kept = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in kept) <= 16 << 10
    assert sum(path.stat().st_size for path in kept) <= 256 << 10


def test_a_defect_is_noticed() -> None:
    def endless(_data: bytes) -> None:
        while True:
            pass

    with pytest.raises(Exception, match="processor time"), limited():
        endless(b"")


def _mutated(target: Target) -> st.SearchStrategy[bytes]:
    """Return inputs that are kept ones with some pieces replaced, or any bytes."""
    piece = st.one_of(
        st.binary(max_size=8), *([st.sampled_from(target.words)] if target.words else [])
    )
    edit = st.tuples(st.integers(0, 1 << 14), st.integers(0, 64), piece)
    kept = st.builds(_edited, st.sampled_from(target.corpus()), st.lists(edit, max_size=6))
    return st.one_of(kept, st.binary(max_size=200))


def _edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, piece in edits:
        start = at % (len(data) + 1)
        data = data[:start] + piece + data[start + length :]
    return data
