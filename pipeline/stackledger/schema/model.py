"""What a table and a column are."""

from __future__ import annotations

from dataclasses import dataclass

TS = "wall-clock time since the Unix epoch"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `kind` is an Arrow type name, `unit` empty for a pure label."""

    name: str
    kind: str  # int64 | int32 | int16 | float64 | bool | string | binary
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `grain` says what a row is.

    `whole`: its rows say what a number in other tables means (a process, a
    connection), so that no time range and no filter may cut them.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    whole: bool = False

    def has(self, column: str) -> bool:
        """Tell whether the table has a column of that name."""
        return any(one.name == column for one in self.columns)


def table(name: str, grain: str, *columns: Column, whole: bool = False) -> Table:
    """Return a table."""
    return Table(name, grain, columns, whole)


def ns(name: str, meaning: str) -> Column:
    """Return a column of nanoseconds."""
    return Column(name, "int64", "ns", meaning)
