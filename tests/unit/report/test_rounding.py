"""Controlled rounding: neighbours on the grid only, and every total too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stackledger.report.rounding import controlled

GRAIN = 100


@given(
    st.integers(1, 7).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(-500, 5000), min_size=width, max_size=width), max_size=8
        )
    )
)
def test_cells_rows_columns_and_the_whole_are_floored_or_ceiled(table: list[list[int]]) -> None:
    rounded = controlled(table, GRAIN)
    assert [len(row) for row in rounded] == [len(row) for row in table]

    def near(exact: int, grains: int) -> bool:
        return exact // GRAIN <= grains <= -(-exact // GRAIN)

    for row, grains in zip(table, rounded, strict=True):
        assert all(map(near, row, grains))
        assert near(sum(row), sum(grains))
    for column, grains_ in zip(zip(*table, strict=True), zip(*rounded, strict=True), strict=True):
        assert near(sum(column), sum(grains_))
    assert near(sum(map(sum, table)), sum(map(sum, rounded)))


def test_thirds_add_up_where_plain_rounding_does_not() -> None:
    thirds = [[133, 133, 134]]
    assert sum(round(x / GRAIN) for x in thirds[0]) == 3
    assert sum(controlled(thirds, GRAIN)[0]) == 4


def test_whole_grains_and_nothing_stay() -> None:
    assert controlled([[0, 300], [100, 0]], GRAIN) == [[0, 3], [1, 0]]
    assert controlled([], GRAIN) == []
