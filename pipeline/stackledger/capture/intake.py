"""One probe's lines to rows for the writer, with its own accounts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import stackledger.capture.quickarrow  # noqa: F401 - saves 0.3 ms on many calls
from stackledger.capture.arguments import hidden
from stackledger.capture.decode import Decoded, Decoder
from stackledger.capture.derive import derive
from stackledger.capture.leftovers import Left, rows_of
from stackledger.capture.lines import Message, mended
from stackledger.capture.prints import Prints
from stackledger.capture.script import own_tables
from stackledger.capture.sums import Sums
from stackledger.capture.writer import to_epoch
from stackledger.catalog import OWN, Probe
from stackledger.manifest import Loss, OwnTable, ProbeRun

_DECODE_BYTES = 8 << 20
_COMPLAINTS = 20
_PRODUCED = re.compile(r"@produced_([a-z0-9_]+)$")


class Intake:
    """What a probe prints, live or recorded: `open` while more may come."""

    def __init__(self, probe: Probe, program: str) -> None:
        self.tables = list(probe.tables)
        self.run = ProbeRun(
            name=probe.name,
            variant=probe.variant,
            grade=probe.grade.split()[0].strip(",;"),
            sha256=hashlib.sha256(program.encode()).hexdigest(),
            tables=self.tables,
        )
        self.attached = False
        self.stopped = False
        self.open = True
        self._finished = False
        self.offset_ns = 0
        self.payload = False
        self.received = dict.fromkeys(self.tables, 0)
        self._produced: dict[str, int] = {}
        self._maps: dict[str, Any] = {}
        self._stem = probe.origin
        self._stopped_ns = self._ended_ns = 0
        self._undecodable: dict[str, int] = {}
        self.own = probe.grade == OWN
        self._emits = probe.emits
        self._decoder = Decoder(probe.emits, maps=bool(probe.sums), free=self.own)
        self._prints = Prints(probe.name) if self.own else None
        self._sums = Sums(probe.sums)
        self._summed: list[tuple[str, int, pa.Table]] = []
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def take(self, data: bytes) -> None:
        """Take in some of the probe's output."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)

    @property
    def full(self) -> bool:
        """Whether so much waits that it has to be decoded before more is read."""
        return self._waiting_bytes >= _DECODE_BYTES

    @property
    def stopped_ns(self) -> int:
        """When the program stopped to print, since the epoch."""
        return self._stopped_ns + self.offset_ns

    def rows(self) -> Iterator[tuple[str, pa.Table]]:
        """Decode what waits; yield rows in the registry's columns."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        yield from self._taken(self._decoder.feed(data))
        if not self.open and not self._finished:
            self._finished = True
            yield from self._taken(self._decoder.finish())
            yield from self._left_over()

    def fail(self, why: str) -> None:
        """Note that this probe did not last; the first reason stays."""
        if self.run.state != "failed":
            self.run.state, self.run.error = "failed", why

    def in_flight(self) -> dict[int, int]:
        """Return how many I/Os were under way at the end, by device."""
        return {int(dev): count for dev, count in self.run.in_flight.items()}

    def losses(self) -> list[Loss]:
        """Return the account of each table."""
        unknown = self._undecodable.get("", 0)
        accounts = []
        for table in self.tables:
            received, broken = self.received[table], self._undecodable.get(table, 0)
            produced = self._produced.get(table)
            if produced is None and self.run.state in ("complete", "stopped") and not self.own:
                produced = 0 if received == 0 else None
            if len(self.tables) == 1:
                broken += unknown
            # That bpftrace reported none is no proof.
            lost = self.run.lost_events or None if len(self.tables) == 1 else None
            if produced is not None:
                lost = max(0, produced - received - broken)
            accounts.append(
                Loss(
                    table=table, produced=produced, received=received, lost=lost, undecodable=broken
                )
            )
        return accounts

    def _taken(self, decoded: Decoded) -> Iterator[tuple[str, pa.Table]]:
        self.run.lost_events += decoded.lost
        for table, count in decoded.undecodable.items():
            self._undecodable[table] = self._undecodable.get(table, 0) + count
        for sample in decoded.samples:
            if len(self.run.undecodable) < _COMPLAINTS:
                shown = sample if self.payload else hidden(sample)
                self.run.undecodable.append(shown.decode("utf-8", "replace"))
        for message in decoded.messages:
            self._hear(message)
            if self._prints is not None:
                self._prints.take(message, self.offset_ns)
        if self._prints is not None:
            yield from self._printed(self._prints)
        for table, events, raw in self._summed:
            self.received[table] += events
            self.run.rows += raw.num_rows
            yield table, derive(table, raw, self.offset_ns)
        self._summed.clear()
        for table, raw in decoded.tables.items():
            self.received[table] += raw.num_rows
            self.run.rows += raw.num_rows
            if self.own:  # its tables are kept as they were printed
                yield table, to_epoch(raw, self.offset_ns)
            else:
                yield table, derive(table, raw, self.offset_ns, payload=self.payload)

    def _printed(self, prints: Prints) -> Iterator[tuple[str, pa.Table]]:
        for table, rows in prints.tables():
            if table not in self.received:
                self.tables.append(table)
            self.received[table] = self.received.get(table, 0) + rows.num_rows
            self.run.rows += rows.num_rows
            yield table, rows

    def own_tables(self) -> list[OwnTable]:
        """Return the tables of a user's script, with the types that its rows had."""
        return own_tables(self._emits, self._decoder.kinds) if self.own else []

    def _hear(self, message: Message) -> None:
        if message.kind == "attached":
            self.attached = True
        elif message.kind == "stopped":
            self.stopped = True
            self._stopped_ns = self._stopped_ns or int(message.data or 0)
        elif message.kind == "ended":
            self._ended_ns = int(message.data or 0)
        elif message.kind == "second":
            self._sums.begin_second(int(message.data or 0))
        elif message.kind == "map" and isinstance(message.data, dict):
            self._hear_maps(message.data)
        elif message.kind.endswith("error"):
            self._complain(f"{message.kind}: {message.data}")

    def _hear_maps(self, maps: dict[str, Any]) -> None:
        for name, content in maps.items():
            if self._sums.owns(name):
                self._take_sum(name, content)
            else:
                self._maps[name] = mended(content)
        self._count(maps)

    def _take_sum(self, name: str, content: Any) -> None:
        try:
            taken = self._sums.take(name, content)
        except (ValueError, TypeError, IndexError, AttributeError, pa.ArrowInvalid):
            self._complain(f"a map that is not as its header says: {name}")
            return
        if taken is not None:
            table, rows = taken
            events = pc.sum(rows.column(self._sums.counter(table))).as_py()
            self._summed.append((table, events, rows))

    def _complain(self, what: str) -> None:
        if len(self.run.complaints) < _COMPLAINTS:
            self.run.complaints.append(what[:300])

    def _left_over(self) -> Iterator[tuple[str, pa.Table]]:
        left = Left(self._maps, self._stopped_ns, self._ended_ns, self.in_flight())
        rows = rows_of(self._stem, left)
        self._maps.clear()
        for table, values in rows.items():
            if values:
                self.received[table] += len(values)
                self._produced[table] = self._produced.get(table, 0) + len(values)
                self.run.rows += len(values)
                raw = self._decoder.table(table, values)
                yield table, derive(table, raw, self.offset_ns, payload=self.payload)

    def _count(self, maps: dict[str, object]) -> None:
        for name, value in maps.items():
            found = _PRODUCED.match(name)
            if found and isinstance(value, int):
                self._produced[found[1]] = value
