"""The network's numbers as text: protocols, and why a packet was dropped or a reset sent.

The kernel's reasons get other numbers with every version: their names are read
from the formats of this host's own tracepoints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pyarrow as pa

_TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_NAME = re.compile(r'\{ (\d+), "(\w+)" \}')
_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
# IANA's protocol numbers; with 6 at the end where IPv6 carries them.
_PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmp"}
_PROTOCOLS |= {132: "sctp"}
# Those of probes/net/packet_drop.bt.
_BUFFERS = {1: "udp_queue", 2: "queue", 3: "send_memory", 4: "recv_memory"}


@cache
def reasons(tracepoint: str) -> Mapping[int, str]:
    """Return the kernel's names for the `reason` of a tracepoint, empty where it has none."""
    for tracefs in _TRACEFS:
        try:
            text = (tracefs / "events" / tracepoint / "format").read_text(encoding="utf-8")
        except OSError:
            continue
        listed = text.partition("(REC->reason,")[2]
        return {int(number): name for number, name in _NAME.findall(listed)}
    return {}


def drop_reason(codes: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return why packets were dropped; a subsystem's own reasons have only a number."""
    names = reasons("skb/kfree_skb")
    return _named(codes, lambda code: names.get(code, str(code)))


def reset_reason(codes: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return why resets were sent, empty for those received."""
    names = reasons("tcp/tcp_send_reset")
    return _named(codes, lambda code: names.get(code, str(code)) if code >= 0 else "")


def protocol(codes: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return names for EtherType << 8 | IP protocol."""
    return _named(codes, _protocol)


def buffer(codes: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return which buffer was full."""
    return _named(codes, lambda code: _BUFFERS.get(code, str(code)))


def _protocol(code: int) -> str:
    ethertype, inner = code >> 8, code & 0xFF
    if ethertype in (_IPV4, _IPV6):
        name = _PROTOCOLS.get(inner, f"ip/{inner}")
        return f"{name}6" if ethertype == _IPV6 else name
    return "arp" if ethertype == _ARP else f"0x{ethertype:04x}"


def _named(codes: pa.ChunkedArray, name: Callable[[int], str]) -> pa.DictionaryArray:
    encoded = codes.combine_chunks().dictionary_encode()
    texts = [name(code) for code in encoded.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string()))
