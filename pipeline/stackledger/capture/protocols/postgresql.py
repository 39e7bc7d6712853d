"""PostgreSQL's protocol 3: statements of simple and extended queries.

A message is a letter, a length of four bytes, and its content; only those before
the session is set up have no letter. Nothing of a password or of a bound value is
ever looked at.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture.protocols import sql
from stackledger.capture.protocols.templates import DIGITS, NO_QUOTE, Settled

PROTOCOL = "postgresql"
BEGINNING = r"^(?:[QPBDECFHSXpcdf]|\\x00)"
ERROR_BYTE = "E"  # ErrorResponse

_BYTE = r"(?:\\x[0-9a-f]{2}|[^\\])"
# A length of 92 ends with a backslash, which stands for itself.
_LENGTH = rf"\\x00{_BYTE}{{2}}(?:{_BYTE}|\\)"
_NOT_ZERO = r"\\x(?:0[1-9a-f]|[1-9a-f][0-9a-f])"
_TEXT = r"(?P<{}>(?:[^\\]|\\[^x]|\\x(?:0[1-9a-f]|[1-9a-f][0-9a-f]))*?)"
_ZERO = r"(?:\\x00|$|\\x?0?$)"  # the end of a text, or of what was recorded

_STARTUP = rf"(?s)^{_LENGTH}(?:\\x00\\x03\\x00[\\]|\\x04\\xd2\\x16[/0])"
_CANCEL = r"(?s)^\\x00\\x00\\x00\\x10\\x04\\xd2\\x16\."
_MESSAGE = rf"(?s)^[QPBDECFHSXpcdf]{_LENGTH}"
_QUERY = rf"(?s)^Q{_LENGTH}{_TEXT.format('text')}(?P<end>{_ZERO})"
_PARSE = rf"(?s)^P{_LENGTH}{_TEXT.format('statement')}\\x00{_TEXT.format('text')}(?P<end>{_ZERO})"
# The end of a statement's name, so that one cut short is not taken for another.
_BOUND = rf"(?s)^B{_LENGTH}{_TEXT.format('portal')}\\x00{_TEXT.format('statement')}\\x00"


# What may turn literals into something else: quoted names, parameters, comments, escapes,
# a quote before the statement begins, as a length of 39 is one, and a prepared statement's
# name that looks as if a literal were in it.
_SPECIAL = (
    r'["\$]|--|/\*|\\[^x]'
    rf"|^[QP]\\x00{_BYTE}{{0,2}}'|^P\\x00{_BYTE}{{3}}[^\\]*'"
    rf"|^P{_LENGTH}(?:[^\\]|{_NOT_ZERO})*[ =(,<>+'-]"
)
# A line's end in it is escaped; a zero byte is the end of the statement.
_STRING = rf"'(?:[^'\\]|{_NOT_ZERO})*'"
_NUMBER_BEFORE = "[ =(,<>+-]"
_FREE = re.compile(rf"(?P<string>{_STRING})|(?<={_NUMBER_BEFORE})[0-9]+")


def settle(text: str) -> Settled | None:
    """Return where the name is settled: behind the statement, or the prepared one's name.

    Free are what `alike` takes out, where it takes out anything.
    """
    if text.endswith("\n"):  # Python's $ would take it for the end
        return None
    if text[0] not in "QP":
        found = re.match(_BOUND if text[0] == "B" else _MESSAGE, text)
        return Settled((), found.end()) if found else None
    found = re.match(_QUERY if text[0] == "Q" else _PARSE, text)
    if found is None:
        return None
    whole = found["end"] == "\\x00"
    end = found.end() if whole else len(text)
    if re.search(_SPECIAL, text[:end]):
        return None
    gaps = []
    for free in _FREE.finditer(text, found.start("text"), end):
        if "\\" in free[0]:  # no gap has one
            return None
        inner = slice(free.start() + 1, free.end() - 1) if free["string"] else slice(*free.span())
        gaps.append((inner.start, inner.stop, NO_QUOTE if free["string"] else DIGITS))
    return Settled(tuple(gaps), end if whole else None)


def alike(texts: pa.StringArray) -> pa.StringArray:
    """Return texts without the digits of numbers and the content of plain strings.

    Where something could turn them into something else, all stays as it is.
    """
    special = pc.match_substring_regex(texts, rf"{_SPECIAL}|^[^QP]")
    shorter = pc.replace_substring_regex(texts, pattern=_STRING, replacement="''")
    shorter = pc.replace_substring_regex(
        shorter, pattern=rf"({_NUMBER_BEFORE})[0-9]+", replacement=r"\10"
    )
    return pc.if_else(special, texts, shorter)


def recognise(texts: pa.StringArray) -> pa.BooleanArray:
    """Return which texts begin with a message of a PostgreSQL client."""
    begun = pc.or_(
        pc.match_substring_regex(texts, _STARTUP), pc.match_substring_regex(texts, _CANCEL)
    )
    return pc.or_(begun, pc.match_substring_regex(texts, _MESSAGE))


def name(texts: pa.StringArray) -> dict[str, pa.Array]:
    """Return endpoint (the normalised statement) and statement (a prepared one's name)."""
    query, parse = pc.extract_regex(texts, _QUERY), pc.extract_regex(texts, _PARSE)
    bound = pc.extract_regex(texts, _BOUND)
    parsed = pc.is_valid(parse)
    text = pc.if_else(parsed, _part(parse, "text"), _part(query, "text"))
    end = pc.if_else(parsed, _part(parse, "end"), _part(query, "end"))
    endpoint = sql.normalised(text, pc.not_equal(end, "\\x00"))
    endpoint = pc.if_else(pc.equal(text, ""), "", endpoint)
    for mark, pattern in (
        ("(startup)", _STARTUP),
        ("(cancel)", _CANCEL),
        ("(startup)", r"^p"),
        ("(terminate)", r"^X"),
    ):
        endpoint = pc.if_else(pc.match_substring_regex(texts, pattern), mark, endpoint)
    statement = pc.if_else(parsed, _part(parse, "statement"), _part(bound, "statement"))
    return {"endpoint": endpoint, "statement": statement}


def _part(found: pa.StructArray, name: str) -> pa.StringArray:
    return pc.fill_null(pc.struct_field(found, name), "")
