"""Names a request by its first bytes and judges it by its answer's.

The bytes come as text in which unprintable ones are `\\xHH`, cut at the probe's
limit. Only normalised text leaves: no literal, no path's id, no password. All of
it is Arrow's regular expressions over the distinct texts, no Python per row; and
where a text is like one that was named before, as nearly all are, not even those.
"""

from __future__ import annotations

import re
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture.protocols import http1, postgresql, redis, templates
from stackledger.capture.protocols.templates import Columns

_MODULES = (http1, postgresql, redis)
_COLUMNS = ("protocol", "endpoint", "statement")


def _int(number: int) -> pa.Int64Scalar:
    return pa.scalar(number, pa.int64())


_NONE, _NINE, _TEN, _FAILED = map(_int, (0, 9, 10, 500))
_BYTE, _ZERO, _H = map(_int, (0xFF, ord("0"), ord("H")))
_DIGITS_AT = tuple(map(_int, (8, 16, 24)))
_CONTROL = {chr(code): f"\\x{code:02x}" for code in (*range(0x20), 0x7F)}
_ANY_CONTROL = r"[\x00-\x1f\x7f]"
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def name_requests(first: pa.ChunkedArray | pa.Array) -> dict[str, pa.DictionaryArray]:
    """Return the columns protocol, endpoint and statement: empty text where unknown."""
    encoded = _distinct(first)
    return {
        column: pa.DictionaryArray.from_arrays(
            names.indices.take(encoded.indices), names.dictionary, safe=False
        )
        for column, names in _KNOWN.name(_escaped(encoded.dictionary)).items()
    }


def _escaped(texts: pa.StringArray) -> pa.StringArray:
    """Return texts in which no control character is left as it is."""
    if pc.any(pc.match_substring_regex(texts, _ANY_CONTROL)).as_py():
        for raw, escaped in _CONTROL.items():
            texts = pc.replace_substring(texts, pattern=raw, replacement=escaped)
    return texts


def name_at_length(texts: pa.StringArray) -> Columns:
    """Return the names of distinct texts, by all regular expressions."""
    texts = _escaped(texts)
    names = {name: _repeated("", len(texts)) for name in _COLUMNS}
    for module in _MODULES:
        mask = pc.match_substring_regex(texts, module.BEGINNING)
        mask = pc.and_(mask, pc.equal(names["protocol"], ""))
        if mask.true_count:
            for column, values in _named(module, texts.filter(mask)).items():
                names[column] = pc.replace_with_mask(names[column], mask, values)
    return names


def settle(text: str, protocol: str) -> templates.Settled | None:
    """Return what of a text settles its name, None where only the full naming tells."""
    for module in _MODULES:
        if protocol == module.PROTOCOL:
            settled: templates.Settled | None = module.settle(text)
            return settled
    return None


_KNOWN = templates.Known(_COLUMNS, name_at_length, settle)


def _named(module: ModuleType, texts: pa.StringArray) -> Columns:
    """Return the columns of texts that begin like the module's protocol.

    Naming takes some 15 regular expressions: only one of those texts takes them
    that will have one name.
    """
    alike = module.alike(texts).dictionary_encode()
    texts = alike.dictionary
    proper = module.recognise(texts)
    found = {"protocol": _repeated(module.PROTOCOL, proper.true_count)}
    found.update(module.name(texts.filter(proper)))
    empty = _repeated("", len(texts))
    return {
        column: pc.replace_with_mask(empty, proper, values).take(alike.indices)
        for column, values in found.items()
    }


def _repeated(text: str, times: int) -> pa.StringArray:
    return pa.repeat(pa.scalar(text, pa.string()), times)


def judge_answers(protocol: pa.Array, answer: pa.ChunkedArray) -> Columns:
    """Return the columns status (HTTP's, else 0) and error.

    `answer` is what the probe keeps of an answer's first bytes: the first one, and
    above it those at 9, 10 and 11, where HTTP has its status.
    """
    protocol, encoded = _distinct(protocol), _distinct(answer)
    kinds = encoded.dictionary
    first = pc.bit_wise_and(kinds, _BYTE)
    digits = [
        pc.subtract(pc.bit_wise_and(pc.shift_right(kinds, by), _BYTE), _ZERO) for by in _DIGITS_AT
    ]
    proper = pc.equal(first, _H)
    for digit in digits:
        proper = pc.and_(
            proper, pc.and_(pc.greater_equal(digit, _NONE), pc.less_equal(digit, _NINE))
        )
    code = _NONE
    for digit in digits:
        code = pc.add(pc.multiply(code, _TEN), digit)
    code = pc.if_else(proper, code, _NONE).take(encoded.indices)
    status = pc.if_else(_is(protocol, http1.PROTOCOL), code, _NONE)
    error = pc.greater_equal(status, _FAILED)
    for module in (postgresql, redis):
        failed = pc.equal(first, _int(ord(module.ERROR_BYTE))).take(encoded.indices)
        error = pc.or_(error, pc.and_(failed, _is(protocol, module.PROTOCOL)))
    return {"status": status, "error": error}


def _is(values: pa.DictionaryArray, text: str) -> pa.BooleanArray:
    return pc.equal(values.dictionary, pa.scalar(text, pa.string())).take(values.indices)


def raw_bytes(first: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return the bytes themselves, for a capture that asked for them (--payload)."""
    encoded = _distinct(first)
    values = [_bytes(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.binary()).take(encoded.indices)


def _bytes(text: str) -> bytes:
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return b"".join(bytes([ord(char)]) if ord(char) < 256 else char.encode() for char in plain)


def _distinct(values: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    if isinstance(values, pa.ChunkedArray):
        if pa.types.is_dictionary(values.type):
            values = values.unify_dictionaries()
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        return values
    return values.dictionary_encode()
