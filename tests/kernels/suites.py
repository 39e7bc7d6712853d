"""Which live tests show that a signal is right: on any kernel, with any bpftrace.

Each compares a signal with an independent counter. Under emulation, at a thirtieth
of the speed, only those run whose figures do not depend on time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """Tests of some signals: `names` of those in the file, none for all of it.

    `emulated`: those of them that run in a virtual machine, some with one parameter only;
    True for all.
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


_PROCESSES = "tests/live/test_processes.py"
_SCHEDULER = "tests/live/test_scheduler.py"
_PROFILE = "tests/live/test_profile.py"
_TCP = "tests/live/net/test_tcp.py"

SUITES = (
    Suite(
        "tests/live/test_block_io.py",
        ("block_io",),
        emulated=("test_rows_equal_the_disk_counters",),
    ),
    Suite(
        "tests/live/test_ledger.py",
        ("request_ledger",),
        emulated=(
            "test_nothing_is_lost_nor_undecodable[quick]",
            "test_the_parts_sum_to_the_wall_time_of_every_request[quick]",
            "test_next_to_nothing_is_unexplained_in_any_layer[quick]",
            "test_the_calls_are_linked[quick]",
            "test_exactly_the_requests_sent_are_recorded_in_every_layer",
            "test_exactly_the_statements_run_are_recorded",
            "test_no_value_of_a_request_is_in_the_files",
            "test_ipv6_and_the_last_request_of_every_connection",
            "test_requests_that_never_end_have_their_parts_so_far",
        ),
    ),
    Suite(
        _TCP,
        ("tcp_connection",),
        (
            "test_how_every_connection_opened_and_ended",
            "test_bytes_owner_and_latency_of_every_connection",
            "test_retransmitted_segments_are_those_of_the_kernel",
        ),
        emulated=("test_bytes_owner_and_latency_of_every_connection",),
    ),
    Suite(
        _TCP,
        ("tcp_io",),
        ("test_bytes_by_second_sum_to_what_was_sent",),
        emulated=("test_bytes_by_second_sum_to_what_was_sent",),
    ),
    Suite("tests/live/net/test_drops.py", ("packet_drop",), emulated=True),
    Suite(
        _PROCESSES,
        ("exec",),
        ("test_exec_by_both_system_calls_and_the_failed_ones",),
        emulated=("test_exec_by_both_system_calls_and_the_failed_ones",),
    ),
    Suite(_PROCESSES, ("process_exit",), ("test_exits_with_their_code_signal_age_and_use",)),
    Suite(
        _PROCESSES,
        ("process_fork",),
        ("test_forks_and_threads",),
        emulated=("test_forks_and_threads",),
    ),
    Suite(
        _SCHEDULER,
        ("context_switch",),
        ("test_context_switches_are_those_of_proc_status",),
        emulated=("test_context_switches_are_those_of_proc_status",),
    ),
    Suite(_SCHEDULER, ("run_queue",), ("test_waiting_for_a_cpu_is_that_of_proc_schedstat",)),
    Suite(_SCHEDULER, ("off_cpu",), ("test_time_off_the_cpu_is_that_of_known_sleeps",)),
    Suite("tests/live/test_syscalls.py", ("syscall_count",)),
    Suite(_PROFILE, ("profile",), ("test_samples_are_the_cpu_time",)),
    Suite(
        _PROFILE,
        ("io_uring",),
        ("test_io_uring_requests_are_those_of_fio",),
        emulated=("test_io_uring_requests_are_those_of_fio",),
    ),
    Suite(_PROFILE, ("function_latency",), ("test_calls_of_a_function_also_nested",)),
    Suite("tests/live/test_fs_page_cache.py", ("page_cache", "writeback"), emulated=True),
    Suite("tests/live/test_missratio.py", ("page_reuse",)),
    Suite(
        "tests/live/test_fs_files.py",
        ("file_open", "file_io", "vfs", "fsync", "journal"),
        emulated=True,
    ),
)
