"""HTTP/1: `GET /api/orders/{id}` from a request's first bytes."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture.protocols.templates import DIGITS, NO_SPACE, Settled

PROTOCOL = "http"
BEGINNING = r"^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT) "

_METHOD = r"(?P<method>GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT)"
# The version may be cut; a line that ends without one is not HTTP/1.
# `alike` has made HTTP/1.1 HTTP/0.1.
_VERSION = r" (?:HTTP/0\.[01](?:\\x0d|\\x0a).*|HTTP/0\.[01]?|H|HT|HTT|HTTP|HTTP/|HTTP/0|)"
_LINE = rf"(?s)^{_METHOD} (?P<target>[^ ]+?)(?P<rest>{_VERSION})?$"
_TARGET = r"(?i)^(?:/|\*$|[a-z][a-z0-9+.-]*://)"
_ORIGIN = r"(?i)^[a-z][a-z0-9+.-]*://[^/?#]*"

# What takes the place of a path's segment, in this order.
_NUMBER = r"^[+-]?[0-9]+(?:[.,:_-][0-9]+)*$"
_FILE = r"^[0-9]+(\.[A-Za-z][A-Za-z0-9]{0,4})$"
_UUID = r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
_HASH = r"(?i)^(?:0x)?[0-9a-f]{8,}$"
_VALUE = r"[%@=\\]|^~?[0-9]"  # encoded, an address, an assignment, or begins with a digit
_LONG_WORD = r"^[A-Za-z0-9_+.~-]{16,}$"
_DIGIT = r"[0-9]"
_MIXED = r"[A-Z].*[a-z]|[a-z].*[A-Z]|[0-9].*[0-9].*[0-9].*[0-9]"
_LONG_NUMBER = r"[0-9]{4,}"
_ID = "{id}"


# A whole request line, or one cut in its query: what `settle` knows.
_SETTLED = re.compile(
    rf"{_METHOD} (?P<target>[^ ]+)(?P<end> HTTP/1\.[01]\\x0[ad])"
    rf"|{_METHOD.replace('method', 'cut')} (?P<cut_target>[^ ?]+\?[^ ]*)\Z"
)
_FREE = re.compile(r"(?<=\?)[^ ]*|(?<=/)[0-9]+")


def settle(text: str) -> Settled | None:
    """Return where the name is settled: behind the line; free are what `alike` takes out."""
    line = _SETTLED.match(text)
    if line is None:
        return None
    part = "target" if line["end"] else "cut_target"
    gaps = tuple(
        (free.start(), free.end(), DIGITS if text[free.start() - 1] == "/" else NO_SPACE)
        for free in _FREE.finditer(text, line.start(part), line.end(part))
    )
    return Settled(gaps, line.end() if line["end"] else None)


def alike(texts: pa.StringArray) -> pa.StringArray:
    """Return texts without what never matters: a query's words, a number's digits."""
    texts = pc.replace_substring_regex(texts, pattern=r"\?[^ ]*", replacement="?")
    return pc.replace_substring_regex(texts, pattern=r"/[0-9]+", replacement="/0")


def recognise(texts: pa.StringArray) -> pa.BooleanArray:
    """Return which texts begin an HTTP/1 request."""
    parts = pc.extract_regex(texts, _LINE)
    target, rest = _part(parts, "target"), _part(parts, "rest")
    method = _part(parts, "method")
    whole = pc.or_(
        pc.not_equal(rest, ""),
        pc.invert(pc.match_substring_regex(target, r"\\x0[ad]")),
    )
    shaped = pc.or_(pc.match_substring_regex(target, _TARGET), pc.equal(method, "CONNECT"))
    return pc.and_(pc.not_equal(method, ""), pc.and_(whole, shaped))


def name(texts: pa.StringArray) -> dict[str, pa.Array]:
    """Return the endpoint: method and path without query, its ids replaced."""
    parts = pc.extract_regex(texts, _LINE)
    method, target = _part(parts, "method"), _part(parts, "target")
    cut = pc.equal(_part(parts, "rest"), "")
    path = pc.replace_substring_regex(target, pattern=_ORIGIN, replacement="")
    ends = pc.match_substring_regex(path, r"[?#;]")
    path = pc.replace_substring_regex(path, pattern=r"(?s)[?#].*$", replacement="")
    path = pc.replace_substring_regex(path, pattern=r";[^/]*", replacement="")
    # The last segment is not whole then: what it is cannot be told.
    cut = pc.and_(cut, pc.invert(ends))
    path = pc.if_else(
        cut, pc.replace_substring_regex(path, pattern=r"[^/]*$", replacement="…"), path
    )
    path = pc.if_else(pc.equal(path, ""), "/", _normalised(path))
    endpoint = pc.binary_join_element_wise(method, path, " ")
    endpoint = pc.if_else(pc.equal(method, "CONNECT"), method, endpoint)
    return {"endpoint": endpoint}


def _normalised(path: pa.StringArray) -> pa.StringArray:
    split = pc.split_pattern(path, pattern="/")
    names = split.flatten()
    names = pc.replace_substring_regex(names, pattern=_FILE, replacement=rf"{_ID}\1")
    names = pc.replace_substring_regex(names, pattern=_UUID, replacement=_ID)
    digit = pc.match_substring_regex(names, _DIGIT)
    hashed = pc.and_(digit, pc.match_substring_regex(names, _HASH))
    token = pc.and_(
        pc.and_(digit, pc.match_substring_regex(names, _LONG_WORD)),
        pc.match_substring_regex(names, _MIXED),
    )
    other = pc.or_(
        pc.match_substring_regex(names, _NUMBER), pc.match_substring_regex(names, _VALUE)
    )
    mask = pc.or_(pc.or_(hashed, token), other)
    names = pc.if_else(mask, _ID, names)
    names = pc.replace_substring_regex(names, pattern=_LONG_NUMBER, replacement=_ID)
    return pc.binary_join(pa.ListArray.from_arrays(split.offsets, names), "/")


def _part(found: pa.StructArray, name: str) -> pa.StringArray:
    """Return a named group, empty text where the expression did not match."""
    return pc.fill_null(pc.struct_field(found, name), "")
