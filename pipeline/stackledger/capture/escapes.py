"""The text inside bpftrace's JSON: escapes, and what it mangles.

Every byte 0xHH above 0x7f of a string arrives as `\\uffffffHH` (a sign extension,
bpftrace 0.17 to at least 0.26). Here such runs become bytes again, and the bytes
UTF-8 text in which invalid sequences are replaced by U+FFFD.

Whole chunks are split at quotes by a CSV reader that knows no backslash, so
`protect` first replaces `\\\\` and `\\"` by two control characters, which JSON
never holds raw.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

_BACKSLASH, _QUOTE = b"\x01", b"\x02"
_END, _NOTHING = pa.scalar(b'"', pa.binary()), pa.scalar(b"", pa.binary())
_SHORT = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"/": b"/"}
_ESCAPE = re.compile(
    rb"\\uffffff(?P<mangled>[89a-f][0-9a-f])"
    rb"|\\u(?P<code>[0-9a-fA-F]{4})"
    rb"|\\(?P<short>[nrtbf/])"
    rb"|(?P<kept>[\x01\x02])"
)
_MANGLED_TEXT = re.compile("\uffffff([89a-f][0-9a-f])")


def protectable(data: bytes, start: int, stop: int) -> bool:
    """Return whether `protect` can be undone: no stray control character is in the way."""
    return data.find(_BACKSLASH, start, stop) < 0 and data.find(_QUOTE, start, stop) < 0


def protect(chunk: bytes) -> bytes:
    """Return JSON lines in which every `"` is the beginning or the end of a string."""
    return chunk.replace(b"\\\\", _BACKSLASH).replace(b'\\"', _QUOTE)


def has_code(text: bytes) -> bool:
    """Return whether some character of JSON text is written as `\\uXXXX`."""
    return b"\\u" in text and b"\\u" in text.replace(b"\\\\", b"")


def stripped(values: pa.BinaryArray) -> pa.StringArray | None:
    """Return the text of JSON strings in their quotes, None where one is no such string."""
    escapes = pc.any(pc.match_substring(values, pattern=b"\\")).as_py()
    if escapes:
        values = pa.array([protect(value) for value in values.to_pylist()], pa.binary())
    inner = pc.binary_slice(values, 1, -1)
    enclosed = pc.equal(pc.binary_join_element_wise(_END, inner, _END, _NOTHING), values)
    if not pc.all(enclosed).as_py() or pc.any(pc.match_substring(inner, pattern=b'"')).as_py():
        return None
    return plain(inner) if escapes else _utf8(inner)


def unescaped(values: pa.BinaryArray) -> pa.StringArray:
    """Return the text of JSON strings that need no `protect`: nearly all escapes are `\\\\`."""
    if not _all_pairs(values):
        return plain(pa.array([protect(value) for value in values.to_pylist()], pa.binary()))
    return _utf8(pc.replace_substring(values, pattern=b"\\\\", replacement=b"\\"))


def _all_pairs(values: pa.BinaryArray) -> bool:
    """Return whether every backslash belongs to a `\\\\`: a run of an odd number escapes more.

    No JSON string ends within an escape, so that all are looked at as one text.
    """
    _, offsets, data = values.buffers()
    if data is None or not len(values):
        return True
    bounds = memoryview(offsets).cast("i")
    start, stop = bounds[values.offset], bounds[values.offset + len(values)]
    text = data.slice(start, stop - start).to_pybytes()
    return bool(text.count(b"\\") == 2 * text.count(b"\\\\"))


def plain(values: pa.BinaryArray) -> pa.StringArray:
    """Return the text of protected JSON strings; Python touches only the rare ones."""
    rare = pc.match_substring_regex(values, rb"\\[^nrt]")
    if not pc.any(rare).as_py():
        for raw, text in ((b"\\n", b"\n"), (b"\\r", b"\r"), (b"\\t", b"\t")):
            values = pc.replace_substring(values, pattern=raw, replacement=text)
        values = pc.replace_substring(values, pattern=_BACKSLASH, replacement=b"\\")
        values = pc.replace_substring(values, pattern=_QUOTE, replacement=b'"')
        return _utf8(values)
    mended = pa.array([_unescape(value) for value in values.filter(rare).to_pylist()], pa.string())
    others = plain(pc.if_else(rare, b"", values))
    return pc.replace_with_mask(others, rare, mended)


def _utf8(values: pa.BinaryArray) -> pa.StringArray:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        decoded = [value.decode("utf-8", "replace") for value in values.to_pylist()]
        return pa.array(decoded, pa.string())


def _unescape(value: bytes) -> str:
    return _ESCAPE.sub(_meaning, value).decode("utf-8", "replace")


def _meaning(found: re.Match[bytes]) -> bytes:
    if found["mangled"]:
        return bytes.fromhex(found["mangled"].decode())
    if found["code"]:
        return chr(int(found["code"], 16)).encode("utf-8", "surrogatepass")
    if found["short"]:
        return _SHORT[found["short"]]
    return b"\\" if found["kept"] == _BACKSLASH else b'"'


def mend(text: str) -> str:
    """Return decoded JSON text with the mangled bytes put right."""
    if "\uffff" not in text:
        return text
    raw = _MANGLED_TEXT.sub(lambda found: chr(0xDC00 + int(found[1], 16)), text)
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def buffer_text(values: Iterable[int]) -> str:
    """Return a `buf()` given as signed integers (bpftrace >= 0.24) as older ones print it."""
    codes = (value & 0xFF for value in values)
    return "".join(chr(code) if 32 <= code <= 126 else f"\\x{code:02x}" for code in codes)
