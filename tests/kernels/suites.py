"""Which live tests show that a signal is right: on any kernel, with any bpftrace.

Each compares a signal with an independent counter. Under emulation, at a thirtieth
of the speed, only those run whose figures do not depend on time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """A signal's tests; `emulated`: names of those that run in a virtual machine."""

    signal: str
    path: str
    emulated: tuple[str, ...] = ()

    def tests(self, *, emulated: bool) -> list[str]:
        """Return them as pytest takes them."""
        if emulated:
            return [f"{self.path}::{name}" for name in self.emulated]
        return [self.path]


SUITES = (
    Suite(
        "block_io",
        "tests/live/test_block_io.py",
        ("test_rows_equal_the_disk_counters", "test_a_prime_number_of_reads_and_writes"),
    ),
    Suite(
        "request_ledger",
        "tests/live/test_ledger.py",
        (
            "test_ipv6_and_the_last_request_of_every_connection",
            "test_requests_that_never_end_have_their_parts_so_far",
        ),
    ),
    Suite(
        "syscall_count",
        "tests/live/test_sums.py",
        ("test_a_prime_number_of_calls_is_counted_exactly",),
    ),
    Suite(
        "tcp_connection",
        "tests/live/net/test_tcp.py",
        ("test_how_every_connection_opened_and_ended",),
    ),
)
