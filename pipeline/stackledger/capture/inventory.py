"""What a recording has on disk: every lasting part of every table, with its times."""

from __future__ import annotations

from dataclasses import dataclass

from stackledger.capture.partfile import Written
from stackledger.schema import TABLES


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a table: the numbers it stands for, and how often its rows were merged."""

    table: str
    first: int
    last: int
    held: Written
    tier: int = 0


class Inventory:
    """The parts of each table, oldest first."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Part]] = {}
        self.size_bytes = 0
        self.newest_ns = 0

    def add(self, part: Part) -> None:
        """Take a part that was written: the newest of its table."""
        self.tables.setdefault(part.table, []).append(part)
        self.size_bytes += part.held.size_bytes
        self.newest_ns = max(self.newest_ns, part.held.until_ns or 0)

    def replace(self, merged: Part) -> None:
        """Let a part stand for those that it was merged from."""
        parts = self.tables[merged.table]
        at = [
            index for index, part in enumerate(parts) if merged.first <= part.first <= merged.last
        ]
        self.size_bytes += merged.held.size_bytes
        self.size_bytes -= sum(parts[index].held.size_bytes for index in at)
        parts[at[0] : at[-1] + 1] = [merged]

    def drop(self, before_ns: int, spared: set[Part]) -> list[Part]:
        """Forget the oldest parts of all tables whose rows are all older; return them.

        A table that names what others hold is kept, and of each other table what follows
        the first part that is not old enough, or is spared.
        """
        dropped = []
        for table, parts in self.tables.items():
            count = 0
            while count < len(parts) - 1 and _older(parts[count], before_ns, spared):
                count += 1
            dropped += parts[:count]
            self.tables[table] = parts[count:]
        self.size_bytes -= sum(part.held.size_bytes for part in dropped)
        return dropped


def has_time(table: str, held: Written) -> bool:
    """Tell whether rows of the table can be too old to keep."""
    known = TABLES.get(table)
    return held.until_ns is not None and not (known and known.whole)


def _older(part: Part, before_ns: int, spared: set[Part]) -> bool:
    until_ns = part.held.until_ns
    return (
        until_ns is not None
        and has_time(part.table, part.held)
        and until_ns < before_ns
        and part not in spared
    )
