"""Faults that a user meets first, one after another on one live stack: each is found where it is.

bench/diagnosis.py has all of them, and prints the matrix.
"""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from faultbed import behind, faulty, recorded, recorded_while
from faults import FAULTS

from stackledger.analysis.diagnose import diagnose
from stackledger.analysis.selection import Selection
from stackledger.analysis.timerange import TimeRange
from stackledger.labs import load, stack

from .conftest import stood_still

if TYPE_CHECKING:
    from stackledger.analysis.diagnosis import Diagnosis

pytestmark = pytest.mark.live

# What a neighbour on the CPUs brings; a host may be busy with others meanwhile.
BUSY_HOST = {"cpu_contention", "cpu_wait", "cpu_steal", "cpu_saturated", "queue_wait"}
DROP = "import os; f = os.open({!r}, 0); os.fsync(f); os.posix_fadvise(f, 0, 0, 4)"


@pytest.fixture(scope="module")
def found(
    stack_programs: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Diagnosis], dict[str, Any]]:
    """One recording, diagnosed phase by phase, and what the application counted."""
    home = tmp_path_factory.mktemp("diagnosis")
    with (
        stack.stack(throttle_read_iops=200) as running,
        faulty(running.folder) as (port, _),
        behind(running.folder, port) as beside,
    ):
        assert running.limit is not None
        rule = running.limit.group / running.limit.rule
        slow = [f"echo '{running.limit.disk} 200' > {rule}"]
        if running.limit.rule == "io.max":
            slow = [f"echo '{running.limit.disk} riops=200' > {rule}"]
        drop = [sys.executable, "-c", DROP.format(str(running.database.table))]
        phases: dict[str, tuple[list[str], list[str]]] = {
            "healthy": ([], driven(running.url, "/health", stack.ORDERS_PATH, rate_hz=100)),
            "nagle": ([], driven(beside, "/nagle", rate_hz=60)),
            "sleep": ([], driven(running.url, "/api/sleep", rate_hz=60)),
            "lock": ([], driven(running.url, "/api/lock", rate_hz=60)),
            "disk": ([*slow, shlex.join(drop)], driven(running.url, stack.ORDERS_PATH)),
        }
        for attempt in range(3):
            running.set_read_iops(None)
            running.warm_cache()
            clock = home / f"clock{attempt}"
            lines = []
            for before, argv in phases.values():
                lines += [
                    *before,
                    f"date +%s%N >> {clock}",
                    f"chrt -f 10 {shlex.join(argv)} > /dev/null",
                ]
            counted = running.stats()
            script = "\n".join([*lines, f"date +%s%N >> {clock}"])
            capture = recorded_while(script, home / f"store{attempt}")
            told = running.stats()
            # A disk that stands still is found, too: in a phase that is to be healthy.
            if not stood_still([capture]):
                break
    for name, values in counted.items():
        told[name] = {key: told[name][key] - value for key, value in values.items()}
    times = [moment(line) for line in clock.read_text().split()]
    parts = zip(phases, times, times[1:], strict=False)
    by_phase = {
        name: diagnose(capture, part=Selection(TimeRange(begin, until)))
        for name, begin, until in parts
    }
    return by_phase, told


def driven(url: str, *paths: str, **options: float) -> list[str]:
    """Return the command that drives one phase."""
    return load.command(url, paths, connections=4, duration_s=2.0, **options)


def moment(line: str) -> str:
    """Return a clock's nanoseconds as --from takes them."""
    return datetime.fromtimestamp(int(line) / 1e9, UTC).isoformat()


@pytest.mark.parametrize(
    ("phase", "rule", "layer", "resource"),
    [
        ("disk", "disk_limit", "database", "disk"),
        ("sleep", "sleep", "app", "sleep"),
        ("lock", "lock_wait", "app", "lock"),
        ("nagle", "delayed_ack", "gateway", "net"),
    ],
)
def test_a_fault_is_the_top_verdict_of_its_phase(found, phase, rule, layer, resource):
    diagnoses, _ = found
    verdicts = diagnoses[phase].verdicts
    (mine,) = [one for one in verdicts if one.rule == rule]
    assert (mine.layer, mine.resource, mine.severity) == (layer, resource, "critical")
    graver = [one.rule for one in verdicts[: verdicts.index(mine)]]
    assert set(graver) <= BUSY_HOST


def test_a_healthy_stack_has_no_verdict_but_of_a_busy_host(found):
    diagnoses, _ = found
    graver = {one.rule for one in diagnoses["healthy"].verdicts if one.severity != "note"}
    assert graver <= BUSY_HOST
    assert diagnoses["healthy"].transactions > 100


@pytest.mark.parametrize("phase", ["sleep", "lock"])
def test_an_injected_delay_has_the_size_that_the_application_counted(found, phase):
    diagnoses, told = found
    rule = {"sleep": "sleep", "lock": "lock_wait"}[phase]
    (mine,) = [one for one in diagnoses[phase].verdicts if one.rule == rule]
    counted = told[f"/api/{phase}"]
    assert mine.explained_ns is not None
    each_ns = mine.explained_ns / diagnoses[phase].transactions
    waited_ns = counted["waited_ns"] / counted["requests"]
    # The application's clock goes on while it is awake and waits for a CPU: another part.
    woken_ns = sum(
        one.explained_ns
        for one in diagnoses[phase].ledger
        if (one.layer, one.part) == ("app", "runq")
    )
    error_ns = max(0.05 * waited_ns, 500_000)
    assert each_ns <= waited_ns + error_ns
    assert each_ns >= waited_ns - error_ns - woken_ns / diagnoses[phase].transactions


def test_a_small_send_buffer_on_a_long_link_is_its_server_s_trouble(stack_programs, tmp_path):
    with FAULTS["small_send_buffer"].scene() as scene:
        capture = recorded(scene, tmp_path, 3.0)
    verdicts = diagnose(capture).verdicts
    (mine,) = [one for one in verdicts if one.rule == "socket_buffers" and one.layer == "app"]
    assert (mine.object, mine.severity) == ("its send buffers", "critical")
    assert {one.rule for one in verdicts[: verdicts.index(mine)]} <= BUSY_HOST
    seen = {one.name: one.value for one in mine.evidence}
    # The link's two ways, and the buffer that was asked for: the kernel doubles it.
    assert seen["round trip, shortest"] >= 20e6
    assert seen["send buffer, smallest"] == 16384
