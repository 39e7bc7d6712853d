"""The decoder: every way in which bpftrace prints a row, and everything that is not one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackledger.capture.decode import Decoded, Decoder
from stackledger.catalog import Emitted

BLOCK_IO = Emitted(
    "block_io",
    (
        *("ts_ns", "pid", "tid", "comm", "dev", "sector", "bytes", "rwbs"),
        *("queue_ns", "device_ns", "error"),
    ),
)
_SHORT = {ord('"'): '\\"', ord("\\"): "\\\\", 10: "\\n", 13: "\\r", 9: "\\t"}

Printable = int | bytes | str | Sequence[int]


def escaped(text: bytes) -> bytes:
    """Return a string's bytes as bpftrace prints them: a char is signed."""
    return "".join(
        _SHORT.get(code)
        or (
            f"\\uffffff{code:02x}"
            if code > 0x7F
            else f"\\u{code:04x}"
            if code < 0x20
            else chr(code)
        )
        for code in text
    ).encode()


def value(item: Printable, *, quote_large: bool = False) -> bytes:
    """Return one item of a tuple; `quote_large` as bpftrace does from 0.24 on."""
    if isinstance(item, int):
        large = quote_large and int(float(item)) != item
        return b'"%d"' % item if large else b"%d" % item
    if isinstance(item, (bytes, str)):
        return b'"' + escaped(item.encode() if isinstance(item, str) else item) + b'"'
    return b"[" + b",".join(b"%d" % number for number in item) + b"]"


def row(table: str, *items: Printable, comma: bytes = b",", quote_large: bool = False) -> bytes:
    """Return the line of a printed tuple."""
    values = comma.join(value(item, quote_large=quote_large) for item in (table, *items))
    return b'{"type": "value", "data": [' + values + b"]}\n"


def text(raw: bytes) -> str:
    """Return what a decoder has to make of a string."""
    return raw.decode("utf-8", "replace")


NASTY = [
    b'a","x":1}',
    b'"',
    b"\\",
    b"\\n",
    b'\\"',
    b"\\\\u0041",
    b"new\nline\ttab\rret",
    b"<script>alert(1)</script>",
    b"]}",
    b"]}\n",
    b"caf\xc3\xa9",
    b"\xff\xfe invalid",
    b"\xc3",
    b"\x01\x02\x1f\x7f",
    b"",
    b" , ",
    b"\xef\xbf\xbfffe9",
]


def _io(number: int, comm: bytes = b"dd", **changes: int) -> tuple[Printable, ...]:
    values: dict[str, Printable] = {
        "ts_ns": 10**12 + number,
        "pid": 100 + number,
        "tid": 200 + number,
        "comm": comm,
        "dev": 254 << 20,
        "sector": 8 * number,
        "bytes": 4096,
        "rwbs": b"WS",
        "queue_ns": 5,
        "device_ns": 7,
        "error": -5,
        **changes,
    }
    return tuple(values.values())


def _decoded(*lines: bytes) -> Decoded:
    return Decoder([BLOCK_IO]).feed(b"".join(lines))


def _rows(decoded: Decoded, table: str = "block_io") -> list[tuple[object, ...]]:
    found = decoded.tables.get(table)
    return [] if found is None else [tuple(row.values()) for row in found.to_pylist()]


def _expected(items: tuple[Printable, ...]) -> tuple[object, ...]:
    return tuple(text(item) if isinstance(item, bytes) else item for item in items)


@pytest.mark.parametrize("comm", NASTY, ids=repr)
def test_hostile_names_come_through_exactly(comm: bytes) -> None:
    items = _io(1, comm)
    decoded = _decoded(row("block_io", *items))
    assert _rows(decoded) == [_expected(items)]
    assert decoded.undecodable == {}


@given(st.lists(st.binary(max_size=15), min_size=1, max_size=30), st.integers(1, 400))
@settings(max_examples=150, deadline=None)
def test_any_names_in_pieces_of_any_size(names: list[bytes], piece: int) -> None:
    rows = [_io(number, name) for number, name in enumerate(names)]
    stream = b"".join(row("block_io", *items) for items in rows)
    decoder = Decoder([BLOCK_IO])
    found: list[tuple[object, ...]] = []
    for start in range(0, len(stream), piece):
        decoded = decoder.feed(stream[start : start + piece])
        found += _rows(decoded)
        assert decoded.undecodable == {}
    found += _rows(decoder.finish())
    assert found == [_expected(items) for items in rows]


@given(st.lists(st.binary(max_size=15), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_spaces_after_commas_change_nothing(names: list[bytes]) -> None:
    rows = [_io(number, name) for number, name in enumerate(names)]
    lines = [row("block_io", *items, comma=b", ") for items in rows]
    assert _rows(_decoded(*lines)) == [_expected(items) for items in rows]


def test_integers_that_a_double_cannot_hold_are_quoted() -> None:
    rows = [_io(1, sector=2**53 + 1), _io(2), _io(3, ts_ns=2**60 + 1)]
    lines = [row("block_io", *items, quote_large=True) for items in rows]
    assert b'"9007199254740993"' in lines[0]
    decoded = _decoded(*lines)
    assert _rows(decoded) == [_expected(items) for items in rows]


@pytest.mark.parametrize("quote_large", [False, True])
def test_pointers_become_signed(quote_large: bool) -> None:
    pointer = 0xFFFF_8880_1234_5678
    rows = [_io(number, sector=pointer + number) for number in range(5)]
    decoder = Decoder([BLOCK_IO])
    for _ in range(3):  # from the second piece on by the fast way
        lines = b"".join(row("block_io", *items, quote_large=quote_large) for items in rows)
        sectors = [found[5] for found in _rows(decoder.feed(lines))]
        assert sectors == [pointer + number - 2**64 for number in range(5)]


def test_buffers_have_one_form() -> None:
    raw = b"GET /\r\n\x00\xff\x7f\\~"
    shown = "GET /\\x0d\\x0a\\x00\\xff\\x7f\\~"
    signed = [code - 256 if code > 127 else code for code in raw]
    emitted = Emitted("call", ("ts_ns", "first"))
    for item in (shown.encode(), signed):
        decoded = Decoder([emitted]).feed(row("call", 1, item) * 3)
        assert _rows(decoded, "call") == [(1, shown)] * 3


def test_rows_of_printf() -> None:
    emitted = Emitted("call", ("ts_ns", "sock", "complete", "first"))
    line = b'{"type": "printf", "data": "call\\t12\\t-131387293271424\\t1\\tGET \\\\x0d\\"\\n"}\n'
    broken = b'{"type": "printf", "data": "call\\t12\\tx\\n"}\n'
    decoded = Decoder([emitted]).feed(line * 2 + broken + line)
    assert _rows(decoded, "call") == [(12, -131387293271424, True, 'GET \\x0d"')] * 3
    assert decoded.undecodable == {"call": 1}
    odd = b'{"type": "printf", "data": "call\\t12\\t7\\t1\\ta\\\\tb\\\\\\\\t\\n"}\n'
    odd_too = odd.replace(b"\\ta", b"\\t\\uffffffc3\\uffffffa9")
    assert _rows(Decoder([emitted]).feed(odd + line + odd_too), "call") == [
        (12, 7, True, "a\\tb\\\\t"),
        (12, -131387293271424, True, 'GET \\x0d"'),
        (12, 7, True, "é\\tb\\\\t"),
    ]
    assert decoded.undecodable == {"call": 1}


def test_several_tables_in_one_stream() -> None:
    other = Emitted("call", ("ts_ns", "inherited"))
    decoder = Decoder([BLOCK_IO, other])
    lines = [row("block_io", *_io(1)), b"\n", row("call", 5, 1)]
    decoded = decoder.feed(b"".join(lines) * 3)
    assert _rows(decoded) == [_expected(_io(1))] * 3
    assert _rows(decoded, "call") == [(5, True)] * 3
    assert decoded.undecodable == {}


@pytest.mark.parametrize("truth", [b"true", b"1"])
def test_truth_in_both_spellings(truth: bytes) -> None:
    decoder = Decoder([Emitted("call", ("ts_ns", "inherited"))])
    line = b'{"type": "value", "data": ["call",5,%s]}\n' % truth
    assert _rows(decoder.feed(line), "call") == [(5, True)]


GOOD = row("block_io", *_io(1))
GARBAGE = [
    b"garbage\n",
    b"{\n",
    b"\xff\xfe\n",
    b"\x01\x02\n",
    b'{"type": 7}\n',
    b'{"type": "value", "data": ["unknown_table",1]}\n',
    b'{"type": "value", "data": []}\n',
    GOOD[:40] + b"\n",
    GOOD[:-3] + b"\n",
    GOOD.replace(b'"dd"', b"dd"),
    GOOD.replace(b'"dd"', b'"dd'),
    GOOD.replace(b'"dd"', b"12"),
    GOOD.replace(b"4096", b'"x"'),
    GOOD.replace(b"4096", b""),
    GOOD.replace(b"4096", b"4096.5"),
    GOOD.replace(b"4096", b"99999999999999999999999"),
    GOOD.replace(b"4096", b"4096,4096"),
    GOOD.replace(b"4096,", b""),
    GOOD.replace(b"4096", b"null"),
]


@pytest.mark.parametrize("line", GARBAGE, ids=repr)
def test_what_is_no_row_is_counted_and_harms_no_other(line: bytes) -> None:
    decoded = _decoded(GOOD * 3, line, GOOD * 2)
    assert _rows(decoded) == [_expected(_io(1))] * 5
    assert sum(decoded.undecodable.values()) == 1
    assert decoded.samples == [line.rstrip(b"\n")[:200]]


@given(st.lists(st.one_of(st.just(GOOD), st.binary(max_size=80).map(lambda raw: raw + b"\n"))))
@settings(max_examples=150, deadline=None)
def test_nothing_is_dropped_silently(lines: list[bytes]) -> None:
    stream = b"".join(lines)
    decoded = Decoder([BLOCK_IO]).feed(stream)
    written = [line for line in stream.split(b"\n") if line.strip()]
    rows = len(_rows(decoded))
    assert rows >= lines.count(GOOD)
    assert rows + sum(decoded.undecodable.values()) + len(decoded.messages) == len(written)


def test_a_truncated_last_line_counts_as_undecodable_and_a_whole_one_as_a_row() -> None:
    for end, rows, undecodable in ((len(GOOD) - 1, 2, 0), (len(GOOD) - 5, 1, 1)):
        decoder = Decoder([BLOCK_IO])
        first, last = decoder.feed(GOOD + GOOD[:end]), decoder.finish()
        assert len(_rows(first)) + len(_rows(last)) == rows
        assert sum(last.undecodable.values()) == undecodable


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    decoder = Decoder([BLOCK_IO])
    undecodable = 0
    for _ in range(8):
        decoded = decoder.feed(b"x" * 500_000)
        undecodable += sum(decoded.undecodable.values())
    decoded = decoder.feed(b"\n" + GOOD)
    assert _rows(decoded) == [_expected(_io(1))]
    assert undecodable + sum(decoded.undecodable.values()) == 1


def test_losses_of_all_versions() -> None:
    old = b'{"type": "lost_events", "data": {"events": 10}}\n'
    new = b'{"type":"lost_events", "count":10}\n'
    assert _decoded(old, new, old).lost == 30


def test_losses_are_hexadecimal_after_an_escaped_byte_of_a_new_bpftrace() -> None:
    new = b'{"type":"lost_events", "count":%s}\n'
    escaped = row("block_io", *_io(1, b"\xff"))
    decoder = Decoder([BLOCK_IO])
    assert decoder.feed(new % b"10").lost == 10
    assert decoder.feed(escaped + new % b"10").lost == 16
    assert decoder.feed(new % b"1f").lost == 31


def test_messages_are_handed_out() -> None:
    lines = (
        b'{"type": "attached_probes", "data": {"probes": 7}}\n'
        b'{"type":"attached_probes", "count":8}\n'
        b'{"type": "map", "data": {"@produced_block_io": 997}}\n'
        b'{"type": "map", "data": {"@m": {"1,2": [1,"\\uffffffc3\\uffffffa9"]}}}\n'
        b'{"type": "value", "data": ["stackledger_attached",5]}\n'
        b'{"type": "helper_error", "msg": "no", "helper": "map_delete_elem", "retcode": -2}\n'
    )
    said = [(message.kind, message.data) for message in _decoded(lines).messages]
    assert said[:5] == [
        ("attached_probes", 7),
        ("attached_probes", 8),
        ("map", {"@produced_block_io": 997}),
        ("map", {"@m": {"1,2": [1, "\uffffffc3\uffffffa9"]}}),  # put right where it is needed
        ("attached", 5),
    ]
    assert said[5][0] == "helper_error"
    assert said[5][1]["msg"] == "no"
