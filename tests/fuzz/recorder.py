"""What the recording process reads as root: bpftrace's lines, requests, /proc, programs."""

from __future__ import annotations

import struct
import tempfile

import pyarrow as pa

from stackledger import catalog
from stackledger.capture import protocols, sockdiag, symbols
from stackledger.capture.counters import procfiles
from stackledger.capture.decode import Decoder
from stackledger.capture.derive import derive
from stackledger.capture.lines import Message, Row, any_line, read_line, typed

_CONTROL = {chr(code) for code in (*range(0x20), 0x7F)}
_EMITS = [
    emitted
    for name in ("block_io.tracepoint", "request_ledger", "exec", "packet_drop")
    for emitted in catalog.probe(name).emits
]


def line(data: bytes) -> None:
    """One line of bpftrace's JSON: a row, a message, or nothing."""
    for hexadecimal in (False, True):
        said = read_line(data, hexadecimal=hexadecimal)
        assert said is None or isinstance(said, (Row, Message))
        if isinstance(said, Row):
            for kind in ("int", "string", "bool"):
                fitted = typed(said.values, (kind,) * len(said.values))
                for value in fitted or () if kind == "int" else ():
                    assert -(1 << 63) <= value < 1 << 63
    any_line(data)


def decoder(data: bytes) -> None:
    """A stream in two pieces: every line becomes a row, a message, or is counted."""
    made = Decoder(_EMITS)
    middle = len(data) // 2
    found = [made.feed(data[:middle]), made.feed(data[middle:]), made.finish()]
    rows = sum(table.num_rows for one in found for table in one.tables.values())
    told = sum(len(one.messages) + sum(one.undecodable.values()) for one in found)
    assert rows + told == len([one for one in data.split(b"\n") if one.strip()])
    for one in found:
        for name, table in one.tables.items():
            table.validate(full=True)
            derived = derive(name, table, 10**18, payload=True)
            derived.validate(full=True)
            assert derived.num_rows == table.num_rows


def protocol(data: bytes) -> None:
    """The first bytes of requests, one a line: each has the name that it would have alone."""
    texts = data.decode("utf-8", "replace").split("\n")
    named = protocols.name_requests(pa.array(texts, pa.string()))
    alone = protocols.name_at_length(pa.array(texts, pa.string()))
    for column, names in named.items():
        assert names.to_pylist() == alone[column].to_pylist(), column
    for name in (*alone["endpoint"].to_pylist(), *alone["statement"].to_pylist()):
        assert not _CONTROL & set(name), name
    protocols.raw_bytes(pa.array(texts, pa.string()))
    answers = pa.chunked_array([pa.array([hash(text) for text in texts], pa.int64())])
    protocols.judge_answers(named["protocol"], answers)


def proc(data: bytes) -> None:
    """A process's name is in /proc/PID/stat; the kernel's own numbers are around it."""
    head, tail = b"4711 (", b") S 1 1 1 0 -1 4194560 " + b"0 " * 42
    name = data.replace(b"\0", b"")[:64]
    told = procfiles.stat(head + name + tail)
    assert told.comm == name.decode("utf-8", "replace")
    assert told.state == "S"
    procfiles.switches(b"Name:\t" + name + b"\nvoluntary_ctxt_switches:\t1\n")
    procfiles.schedstat(b"1 2 3")


def listed_socket(data: bytes) -> None:
    """A message of sock_diag: a socket, or struct.error where it is cut short."""
    try:
        found = sockdiag.decoded(data, 6)
    except struct.error:
        return
    assert 0 <= found.local[1] < 1 << 16


def symbol(data: bytes) -> None:
    """A program that a traced process has mapped: functions, or none."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        found = symbols.read_functions(file.name)
    assert len(found.starts) == len(found.ends) == len(found.names)
    assert found.starts == sorted(found.starts)
    found.at(0)
    found.at(1 << 40)
