"""The kernel's struct tcp_info as columns; an older kernel's is shorter: what it lacks is NULL.

Source: linux/tcp.h. New members are only ever added at the end.
"""

from __future__ import annotations

import struct

# Eight bytes of state and options, 24 words up to total_retrans (104 bytes); pacing, its
# limit, acked, received, segments out and in; unsent, min_rtt; after segments of data the
# delivery rate; busy, limited by the peer, by the buffer; after what was delivered the bytes
# sent and sent again; after three kinds of disorder the peer's window.
_WHOLE = struct.Struct("=8B24I4Q2I2I8xQ3Q8x2Q12xI")
_US = 1000
_NO_THRESHOLD = 0x7FFFFFFF
_UNKNOWN = 0xFFFFFFFF
_INT64 = 1 << 63

# Name, member of _WHOLE, and what one is, and where the member ends.
_MEMBERS = (
    ("timeouts", 2, 1, 8),
    ("rto_ns", 8, _US, 104),
    ("mss", 10, 1, 104),
    ("unacked", 12, 1, 104),
    ("lost", 14, 1, 104),
    ("retransmits", 15, 1, 104),
    ("rtt_ns", 23, _US, 104),
    ("rttvar_ns", 24, _US, 104),
    ("ssthresh", 25, 1, 104),
    ("cwnd", 26, 1, 104),
    ("total_retransmits", 31, 1, 104),
    ("pacing_rate", 32, 1, 112),
    ("acked_bytes", 34, 1, 128),
    ("received_bytes", 35, 1, 136),
    ("segments_sent", 36, 1, 140),
    ("segments_received", 37, 1, 144),
    ("unsent_bytes", 38, 1, 148),
    ("min_rtt_ns", 39, _US, 152),
    ("delivery_rate", 40, 1, 168),
    ("busy_ns", 41, _US, 176),
    ("peer_limited_ns", 42, _US, 184),
    ("buffer_limited_ns", 43, _US, 192),
    ("sent_bytes", 44, 1, 208),
    ("retransmitted_bytes", 45, 1, 216),
    ("peer_window_bytes", 46, 1, 232),
)
COLUMNS = tuple(name for name, _, _, _ in _MEMBERS)
NOTHING: tuple[int | None, ...] = (None,) * len(COLUMNS)
_RTT, _RTTVAR, _SSTHRESH, _PACING, _MIN_RTT = (
    COLUMNS.index(name) for name in ("rtt_ns", "rttvar_ns", "ssthresh", "pacing_rate", "min_rtt_ns")
)


def values(info: bytes) -> tuple[int | None, ...]:
    """Return the columns of a connection's tcp_info; all NULL where there is none."""
    there = len(info)
    if there == 0:
        return NOTHING
    told = _WHOLE.unpack_from(info if there >= _WHOLE.size else info.ljust(_WHOLE.size, b"\0"))
    found: list[int | None] = [told[at] * unit for _, at, unit, _ in _MEMBERS]
    # Before the first measurement, or where it was never set.
    if told[23] == 0:
        found[_RTT] = found[_RTTVAR] = None
    if told[25] >= _NO_THRESHOLD:
        found[_SSTHRESH] = None
    if told[32] >= _INT64:
        found[_PACING] = None
    if told[39] == _UNKNOWN:
        found[_MIN_RTT] = None
    if there < _WHOLE.size:
        for index, (_, _, _, end) in enumerate(_MEMBERS):
            if end > there:
                found[index] = None
    return tuple(found)
