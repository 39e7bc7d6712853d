"""What a probe still held when the capture ended, as rows: from the maps bpftrace prints then.

request_ledger: the requests and calls that are still open. In an incident the
stuck ones are the interesting ones. Their parts so far are what the probe had
charged, and what had gone on since: a thread that was waiting still waits, one
that was running still runs.

block_io: the I/Os whose completion the kernel did not show.

tcp_connection: the connections that are still open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stackledger.capture.escapes import buffer_text
from stackledger.capture.lines import Value, wrapped

Maps = Mapping[str, Any]
Rows = dict[str, list[list[Value]]]

_SECTOR_BYTES = 512
_PARTS = 6  # cpu, runq, disk, lock, sleep, other
_CPU, _RUNNABLE, _OTHER = 0, 1, 5  # positions in @time; the classes of @off are the same
_CONNECTED, _STILL_OPEN = 1, 8  # a role and an end_code of tcp_connection
_WAITS_FOR_MANY = 8  # a class of @off that counts as other
_UNCONFIRMED = 0  # a grade of @thread


@dataclass(frozen=True, slots=True)
class Left:
    """What a probe's bpftrace printed at its end: maps, and when it stopped and ended."""

    maps: Maps
    stopped_ns: int
    ended_ns: int
    in_flight: Mapping[int, int]  # I/Os under way then, by device


@dataclass(frozen=True, slots=True)
class _Open:
    """A request that has not ended, or was answered and not followed by another."""

    received: int
    end: int
    complete: bool
    parts: list[int]
    covered: int
    answer_queue: int


def rows_of(probe: str, left: Left) -> Rows:
    """Return the rows that a probe (by its file's stem) left in its maps, as it `Emits:` them.

    Empty where the probe could not tell when it ended: what its maps hold is not
    of one moment then.
    """
    read = _READERS.get(probe)
    return read(left) if read and left.ended_ns else {}


def _request_ledger(left: Left) -> Rows:
    table = _Tables(left.maps)
    requests = _open_requests(table, left.ended_ns)
    return {"request": _requests(table, requests), "call": _calls(table, requests, left.ended_ns)}


def _pairs(maps: Maps, name: str) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Yield the entries of a map with two integers for a key."""
    content = maps.get(name)
    for key, value in content.items() if isinstance(content, dict) else ():
        first, _, second = key.partition(",")
        yield (_number(first), _number(second)), [_number(item) for item in value]


class _Tables:
    """The maps, by name, with integer keys and lists of integers."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    def items(self, name: str) -> dict[int, list[int]]:
        content = self._maps.get(name)
        if not isinstance(content, dict):
            return {}
        return {_number(key): self._numbers(value) for key, value in content.items()}

    def row(self, name: str, key: int, length: int) -> list[int]:
        content = self._maps.get(name)
        found = self._numbers(content.get(str(key), [])) if isinstance(content, dict) else []
        return (found + [0] * length)[:length]

    def text(self, name: str, key: int) -> str:
        content = self._maps.get(name)
        value = content.get(str(key), "") if isinstance(content, dict) else ""
        return buffer_text(value) if isinstance(value, list) else str(value)

    @staticmethod
    def _numbers(value: Any) -> list[int]:
        return [_number(item) for item in (value if isinstance(value, list) else [value])]


def _number(value: Any) -> int:
    return wrapped(int(value)) or 0


def _open_requests(table: _Tables, ended_ns: int) -> dict[int, _Open]:
    threads = table.items("@thread")
    away = table.items("@off")
    found: dict[int, _Open] = {}
    for sock, state in table.items("@state").items():
        received, end, *settled = state
        if received == 0:
            continue
        parts = table.row("@time", sock, _PARTS)
        if end == 0:
            # Still under way: what @state holds is settled at its answer only.
            reader = table.row("@req", sock, 2)[1] & 0xFFFF_FFFF
            for tid, (context, request, since, grade) in threads.items():
                if context != sock or request != received:
                    continue
                if grade == _UNCONFIRMED:
                    # Its own thread may well answer it; one that inherited it never did.
                    if tid != reader:
                        continue
                    so_far = table.row("@time", tid, _PARTS)
                    parts = [one + more for one, more in zip(parts, so_far, strict=True)]
                _go_on(parts, away.get(tid), since, ended_ns)
            settled = _covered(table.row("@cover", sock, 5), sum(parts), ended_ns)
        found[sock] = _Open(received, end or ended_ns, end != 0, parts, *settled)
    return found


def _covered(cover: list[int], busy: int, ended_ns: int) -> list[int]:
    """Return covered and answer_queue, with the calls that are still under way."""
    open_calls, since, busy_then, covered, queue = cover
    if open_calls:
        covered += max(0, (ended_ns - since) - (busy - busy_then))
    return [covered, queue]


def _go_on(parts: list[int], away: list[int] | None, since: int, ended_ns: int) -> None:
    """Add what a request's thread has been doing since it was last charged."""
    left, kind = away[:2] if away else (0, 0)
    if left < since:
        parts[_CPU] += max(0, ended_ns - since)
        return
    parts[_CPU] += left - since
    if kind == _WAITS_FOR_MANY:
        kind = _OTHER
    if _RUNNABLE <= kind <= _OTHER:
        parts[kind] += max(0, ended_ns - left)


def _requests(table: _Tables, requests: dict[int, _Open]) -> list[list[Value]]:
    rows: list[list[Value]] = []
    for sock, one in requests.items():
        begun, thread, received, sent, calls = table.row("@req", sock, 5)
        if begun == 0:
            continue
        rows.append(
            [
                *(begun, sock, table.row("@conn", sock, 1)[0], one.received, thread),
                *(max(0, one.end - begun), *one.parts, table.row("@other", sock, 1)[0]),
                *(one.covered, one.answer_queue, table.row("@time", sock + 1, 1)[0], calls),
                *(received, sent, one.complete),
                table.row("@answer", sock, 1)[0],
                table.text("@first", sock),
            ]
        )
    return rows


def _calls(table: _Tables, requests: dict[int, _Open], ended_ns: int) -> list[list[Value]]:
    rows: list[list[Value]] = []
    for sock, call in table.items("@call").items():
        owner, owner_received, start, end, busy_then, busy, queue, grade = call
        if start == 0:
            continue
        complete = end != 0
        request = requests.get(owner)
        if not complete and request is not None and request.received == owner_received:
            busy = max(0, sum(request.parts) - busy_then)
        thread, sent, received = table.row("@callio", sock, 3)
        rows.append(
            [
                *(start, sock, table.row("@conn", sock, 1)[0], owner, owner_received, thread),
                *((end or ended_ns) - start, busy, queue, sent, received),
                *(grade == 2, complete, table.text("@callfirst", sock)),
            ]
        )
    return rows


def _block_io(left: Left) -> Rows:
    """Return the I/Os whose completion the kernel skipped: issued, and not in flight now."""
    table = _Tables(left.maps)
    rows: list[list[Value]] = []
    started = left.maps.get("@start")
    filtered = bool(left.maps.get("@filtered"))
    issued: dict[int, list[tuple[int, int, int, int]]] = {}
    for key, (at, sectors, code) in _pairs(left.maps, "@issue"):
        if at < left.stopped_ns:
            dev, sector = key
            issued.setdefault(dev, []).append((at, sector, sectors, code))
    for dev, ios in issued.items():
        skipped = sorted(ios)[: max(0, len(ios) - left.in_flight.get(dev, 0))]
        for at, sector, sectors, code in skipped:
            row = _skipped(at, dev, sector, sectors * _SECTOR_BYTES, "RWD"[code])
            start = started.get(f"{dev},{sector}") if isinstance(started, dict) else None
            if start and 0 < _number(start[0]) <= at:
                row[1:4] = _number(start[1]), _number(start[2]), start[3]
                row[8] = at - _number(start[0])
            elif filtered:
                continue
            rows.append(row)
    for begun, ended, kind in (
        ("@fsync_begun", "@fsyncs_ended", "FWS"),
        ("@flushes_issued", "@flushes_ended", "FF"),
    ):
        for dev, (count,) in table.items(begun).items() if not filtered else ():
            missing = count - table.row(ended, dev, 1)[0]
            rows.extend(_skipped(left.stopped_ns, dev, -1, 0, kind) for _ in range(missing))
    return {"block_io": rows}


def _block_io_requests(left: Left) -> Rows:
    """The same for requests known by their address: a flush is one of them."""
    issued: dict[int, list[tuple[int, int, int, int]]] = {}
    for at, sector, size, dev, flags in _Tables(left.maps).items("@issue").values():
        if at < left.stopped_ns:
            issued.setdefault(dev, []).append((at, sector, size, flags))
    return {
        "block_io": [
            _skipped(at, dev, sector, size, flags)
            for dev, ios in issued.items()
            for at, sector, size, flags in sorted(ios)[
                : max(0, len(ios) - left.in_flight.get(dev, 0))
            ]
        ]
    }


def _tcp_connection(left: Left) -> Rows:
    """Return the connections that are still open; what TCP counted for them is not known."""
    opened = left.maps.get("@tcp")
    ends = left.maps.get("@ends")
    rows: list[list[Value]] = []
    for key, entry in opened.items() if isinstance(opened, dict) else ():
        *numbers, comm = entry
        begun, connected, role, accept, pid, tid = (_number(value) for value in numbers)
        end = ends.get(key) if isinstance(ends, dict) else None
        if end is None or begun == 0 or begun >= left.stopped_ns:
            continue
        if pid == 0 and left.maps.get("@filtered"):
            continue
        netns, family, local_ip, local_port, remote_ip, remote_port = end
        connect = connected - begun if role == _CONNECTED and connected else -1
        rows.append(
            [
                *(left.stopped_ns, _number(key), netns, role),
                *(family, local_ip, local_port, remote_ip, remote_port),
                *((pid, tid) if pid else (-1, -1)),
                *(comm, begun, left.stopped_ns - begun, connect),
                accept if role != _CONNECTED and accept else -1,
                *(-1, -1, -1, -1, 0, _STILL_OPEN, 0),
            ]
        )
    return {"tcp_connection": rows}


def _skipped(at: int, dev: int, sector: int, size: int, kind: str | int) -> list[Value]:
    return [at, -1, -1, "", dev, sector, size, kind, -1, -1, 0]


_READERS: dict[str, Callable[[Left], Rows]] = {
    "request_ledger": _request_ledger,
    "block_io.tracepoint": _block_io,
    "block_io.rawtracepoint": _block_io_requests,
    "tcp_connection": _tcp_connection,
}
