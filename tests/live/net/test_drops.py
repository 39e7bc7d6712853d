"""Dropped packets and full buffers against the namespace's own counters."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_SPEC = importlib.util.spec_from_file_location("traffic", Path(__file__).with_name("traffic.py"))
assert _SPEC
assert _SPEC.loader
made = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made)


def test_every_lost_datagram_has_its_reason(
    cable: Any, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    cable.here.rule(f"udp dport {made.FORBIDDEN} drop")
    before = cable.here.counters("Udp")
    recorded = traffic("datagrams", "packet_drop", bpftrace=bpftrace)
    after = cable.here.counters("Udp")
    full = after["RcvbufErrors"] - before["RcvbufErrors"]
    assert full == made.DATAGRAMS_SENT - recorded.said["served"]["got"]
    assert 0 < full < made.DATAGRAMS_SENT
    rows = recorded.rows(
        "SELECT reason, protocol, local_port, sum(packets)::BIGINT, min(bytes / packets)"
        " FROM packet_drop WHERE netns = $1 AND protocol = 'udp' GROUP BY ALL ORDER BY ALL",
        cable.here.inode,
    )
    # Kernels before 6.9 do not tell for which socket a packet was.
    (run,) = recorded.outcome.manifest.probes
    port = 0 if run.variant == "older" else made.DATAGRAMS
    assert [row[:4] for row in rows] == [
        ("NETFILTER_DROP", "udp", 0, made.FORBIDDEN_SENT),
        ("SOCKET_RCVBUFF", "udp", port, full),
    ]
    buffers = recorded.rows(
        "SELECT buffer, ip_protocol, sum(events)::BIGINT FROM sock_buffer"
        " WHERE local_port = $1 GROUP BY ALL",
        made.DATAGRAMS,
    )
    assert buffers == [("udp_queue", 17, full)]
    interface = "SELECT DISTINCT interface[1] FROM packet_drop WHERE reason = $1 AND netns = $2"
    assert recorded.rows(interface, "NETFILTER_DROP", cable.here.inode) == [("a",)]
