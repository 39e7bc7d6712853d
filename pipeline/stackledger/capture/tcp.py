"""TCP's codes and addresses as a probe prints them, as text."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

# include/net/tcp_states.h
_STATES = (
    *("", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"),
    *("CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"),
)
# Those of probes/net/tcp_connection.bt.
_ENDS = (
    *("", "closed", "reset_sent", "reset_received", "refused", "timed_out", "given_up"),
    *("failed", "open"),
)
_RETRANSMITS = ("", "timeout", "fast", "probe")
_ACCEPTED = 2


def address(texts: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return IP addresses, IPv4 in IPv6 as IPv4."""
    encoded = texts.combine_chunks()
    plain = pc.replace_substring_regex(encoded.dictionary, r"^::ffff:", "")
    return pa.DictionaryArray.from_arrays(encoded.indices, plain)


def accepted(roles: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether a connection was accepted here, NULL where its opening went unseen."""
    known = pc.not_equal(roles, 0)
    return pc.if_else(known, pc.equal(roles, _ACCEPTED), pa.scalar(None, pa.bool_()))


def nanoseconds(microseconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return durations in nanoseconds, NULL for none."""
    known = pc.not_equal(microseconds, 0)
    return pc.if_else(known, pc.multiply(microseconds, 1000), pa.scalar(None, pa.int64()))


def state(numbers: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return the names of TCP states, empty for none."""
    return _named(numbers, _STATES)


def ended(codes: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return how connections ended."""
    return _named(codes, _ENDS)


def retransmit_kind(codes: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return why segments were sent again."""
    return _named(codes, _RETRANSMITS)


def _named(numbers: pa.ChunkedArray, names: Sequence[str]) -> pa.DictionaryArray:
    encoded = numbers.combine_chunks().dictionary_encode()
    texts = [
        names[number] if 0 <= number < len(names) else str(number)
        for number in encoded.dictionary.to_pylist()
    ]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string()))
