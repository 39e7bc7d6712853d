"""Which live tests show that a signal is right: on any kernel, with any bpftrace.

Each compares a signal with an independent counter. Under emulation, at a thirtieth
of the speed, only those run whose figures do not depend on time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """Tests of some signals: `names` of those in the file, none for all of it.

    `emulated`: those of them that run in a virtual machine; True for all.
    """

    path: str
    signals: tuple[str, ...]
    names: tuple[str, ...] = ()
    emulated: tuple[str, ...] | bool = False

    def tests(self, *, emulated: bool) -> list[str]:
        """Return them as pytest takes them."""
        names = self.names
        if emulated and self.emulated is False:
            return []
        if emulated and isinstance(self.emulated, tuple):
            names = self.emulated
        return [f"{self.path}::{name}" for name in names] if names else [self.path]

    def has(self, module: str, name: str) -> bool:
        """Tell whether a test, as pytest's report names it, is one of these."""
        own = self.path.removesuffix(".py").replace("/", ".")
        return own == module and (not self.names or name.partition("[")[0] in self.names)


SUITES = (
    Suite(
        "tests/live/test_block_io.py",
        ("block_io",),
        emulated=(
            "test_rows_equal_the_disk_counters",
            "test_fsyncs_have_their_submitter_and_no_sector",
        ),
    ),
    Suite(
        "tests/live/test_ledger.py",
        ("request_ledger",),
        emulated=(
            "test_ipv6_and_the_last_request_of_every_connection",
            "test_requests_that_never_end_have_their_parts_so_far",
        ),
    ),
    Suite(
        "tests/live/test_sums.py",
        ("syscall_count",),
        emulated=("test_a_prime_number_of_calls_is_counted_exactly",),
    ),
    Suite("tests/live/test_fs_page_cache.py", ("page_cache", "writeback"), emulated=True),
    Suite(
        "tests/live/net/test_tcp.py",
        ("tcp_connection",),
        emulated=("test_how_every_connection_opened_and_ended",),
    ),
)
