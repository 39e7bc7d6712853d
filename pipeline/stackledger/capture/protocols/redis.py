"""Redis: the command, and nothing else of what it says."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture.protocols.templates import DIGITS, Settled

PROTOCOL = "redis"
BEGINNING = r"^(?:\*[0-9]|[A-Z]{3,12}[ \\])"
ERROR_BYTE = "-"

_END = r"(?:\\x0d|$)"
_RESP = rf"^\*[0-9]+\\x0d\\x0a\$[0-9]+\\x0d\\x0a(?P<command>[A-Za-z][A-Za-z._-]{{0,24}}){_END}"
# A bare line could be any protocol's: only Redis' own words, in capitals.
_INLINE = (
    r"^(?P<command>PING|ECHO|QUIT|AUTH|SELECT|INFO|GET|SET|DEL|EXISTS|EXPIRE|TTL|INCR|DECR"
    r"|MGET|MSET|HGET|HSET|HGETALL|LPUSH|RPUSH|LPOP|RPOP|LRANGE|SADD|SMEMBERS|ZADD|ZRANGE"
    r"|PUBLISH|SUBSCRIBE|KEYS|SCAN|DBSIZE|FLUSHALL|FLUSHDB|CONFIG|MONITOR)"
    r"(?: [^\\]*)?\\x0d\\x0a"
)


_SETTLED = re.compile(
    r"\*(?P<words>[0-9]+)\\x0d\\x0a\$(?P<bytes>[0-9]+)\\x0d\\x0a"
    r"[A-Za-z][A-Za-z._-]{0,24}\\x0d"
)


def settle(text: str) -> Settled | None:
    """Return where the name is settled: behind the command; free are the counts before it."""
    found = _SETTLED.match(text)
    if found is None:
        return None
    return Settled(tuple((*found.span(part), DIGITS) for part in ("words", "bytes")), found.end())


def alike(texts: pa.StringArray) -> pa.StringArray:
    """Return the texts: looking for the command is as cheap as anything else."""
    return texts


def recognise(texts: pa.StringArray) -> pa.BooleanArray:
    """Return which texts begin with a command."""
    return pc.or_(pc.match_substring_regex(texts, _RESP), pc.match_substring_regex(texts, _INLINE))


def name(texts: pa.StringArray) -> dict[str, pa.Array]:
    """Return the endpoint: the command in capitals."""
    commands = [
        pc.struct_field(pc.extract_regex(texts, one), "command") for one in (_RESP, _INLINE)
    ]
    return {"endpoint": pc.utf8_upper(pc.coalesce(*commands))}
