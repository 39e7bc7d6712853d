"""Finds what today's disk limit is and how it holds I/Os back, by replaying today.

A simulator that cannot repeat the measured latencies cannot foresee others: what
it makes of today is kept, and its error widens every prediction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackledger.analysis.whatif.limiter import Limit
from stackledger.analysis.whatif.simulator import Load, Replay, System
from stackledger.analysis.whatif.simulator import replay as run
from stackledger.analysis.whatif.statistics import Errors, figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.whatif.demand import Demand, Job
    from stackledger.analysis.whatif.diskuse import DiskUse

# Windows that limits use: those of Linux's throttle (100 ms, formerly 20 ms), of clouds.
_WINDOWS_NS = (0, 20_000_000, 50_000_000, 100_000_000, 200_000_000, 1_000_000_000)
_TRIAL_JOBS = 2500
# From this use on, the volume's limit is what requests wait for.
_BINDS = 0.85
# A disk's limit that the measured I/Os pass by more than this is another disk's.
_PASSES = 1.3
# Less of the waiting than this in the block layer: something above it holds back.
_INSIDE = 0.7
# An even limit is the simpler assumption: a window has to fit better by this factor.
_BETTER = 0.8


@dataclass(frozen=True, slots=True)
class Calibration:
    """The system as it is today: its replay, and the replay's error by figure.

    `held_back` says whether a limit of the disk is what requests wait for; if not, how
    it would hold them back is not known. `others_hz` are the I/Os per second of others
    that count against the limit too: what a limit leaves to requests is less by them.
    `warnings` say what of the model and the capture does not fit together.
    """

    jobs: list[Job]
    system: System
    replayed: Replay
    errors: Errors
    held_back: bool
    others_hz: float
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def left(self, limit: Limit) -> Limit:
        """Return what a disk of that limit leaves to the requests, held back as today's does."""
        window = 0
        if self.held_back and self.system.limit is not None:
            window = self.system.limit.window_ns
        iops = None if limit.iops is None else max(1.0, limit.iops - self.others_hz)
        return replace(limit, iops=iops, window_ns=window)


def calibrate(demand: Demand, vcpus: int, volume: Limit | None) -> Calibration:
    """Return today's system: `vcpus` CPUs, 0 for as many as the host has.

    `volume` is what the model's disk does, None without one.
    """
    limit, held_back, warnings = _limit(demand, volume)
    notes = []
    others = _others(demand.disk, limit, held_back)
    if limit is not None and limit.iops:
        limit = replace(limit, iops=max(1.0, limit.iops - others))
    jobs = _serviced(demand.jobs, held_back)
    cpus = min(vcpus or len(demand.cores), len(demand.cores))
    extra, others_cpus = demand.extra_ns(cpus), demand.others(cpus)
    base = System(cpus, limit=limit, extra_ns=extra, others=others_cpus)
    load = Load(demand.closed, demand.clients)
    if held_back and limit is not None:
        window = _window(jobs, base, load)
        base = replace(base, limit=replace(limit, window_ns=window))
        if window:
            notes.append(f"the disk's limit is a quota per {window / 1e6:.0f} ms: so replayed best")
    elif demand.disk is not None:
        notes.append("how the disk holds back is not seen today: a limit is taken as even")
    system = _with_run_queue(jobs, base, load)
    replayed = run(jobs, system, load)
    measured = figures([job.wall_ns for job in jobs])
    found = figures([latency for _, latency in replayed.answers])
    errors = {name: abs(found[name] - value) / max(1.0, value) for name, value in measured.items()}
    return Calibration(
        jobs, system, replayed, errors, held_back, others, tuple(warnings), tuple(notes)
    )


def _limit(demand: Demand, volume: Limit | None) -> tuple[Limit | None, bool, list[str]]:
    """Return today's limit, whether requests wait for it, and what is odd about it."""
    disk = demand.disk
    waited = sum(job.disk_ns for job in demand.jobs)
    inside = sum(job.service_ns for job in demand.jobs)
    if disk is None or not waited:
        return volume, False, []
    use = _use(disk.own_hz, disk.bytes_hz, volume)
    if not _BINDS <= use <= _PASSES:
        use = _use(disk.peak_hz, disk.bytes_hz, volume)
    if volume is not None and _BINDS <= use <= _PASSES:
        return volume, True, []
    if inside < _INSIDE * waited and demand.closed:
        note = (
            f"something holds {disk.name} at {disk.own_hz:.0f} I/Os per second, and not the"
            " model's volume: a cgroup, the instance itself? Another volume is of no help then;"
            " options are replayed as if it were gone"
        )
        return Limit(disk.own_hz, None), True, [note]
    if use > _PASSES:
        note = (
            f"{disk.name} did {disk.peak_hz:.0f} I/Os per second, more than the model's volume:"
            " is it the right one?"
        )
        return None, False, [note]
    return volume, False, []


def _others(disk: DiskUse | None, limit: Limit | None, held_back: bool) -> float:
    """Return the I/Os of others under the limit: none where it is full with the requests'."""
    if disk is None or limit is None or not limit.iops:
        return 0.0
    if held_back and disk.ios_hz > limit.iops:
        return 0.0
    return min(max(0.0, disk.ios_hz - disk.own_hz), limit.iops / 2)


def _use(ios_hz: float, bytes_hz: float, volume: Limit | None) -> float:
    if volume is None:
        return 0.0
    ios = ios_hz / volume.iops if volume.iops else 0.0
    size = bytes_hz / volume.bytes_per_s if volume.bytes_per_s else 0.0
    return max(ios, size)


def _serviced(jobs: list[Job], held_back: bool) -> list[Job]:
    """Return the jobs with what a visit takes where no limit holds it back.

    Where a limit does, within the device, the quickest tenth of the visits tell;
    where none does, all of the waiting is the device's.
    """
    waited = sum(job.disk_ns for job in jobs)
    inside = sum(job.service_ns for job in jobs)
    if held_back and inside < _INSIDE * waited:
        return [_timed(job, job.service_ns) for job in jobs]
    if held_back:
        each = sorted(job.service_ns / job.visits for job in jobs if job.visits)
        quick = each[len(each) // 10] if each else 0.0
        return [_timed(job, quick * job.visits) for job in jobs]
    return [_timed(job, job.disk_ns) for job in jobs]


def _timed(job: Job, service_ns: float) -> Job:
    """Return the job with that time at the disk; without a visit, its waiting stays."""
    if not job.visits:
        return replace(job, wait_ns=job.wait_ns + job.disk_ns, service_ns=0.0)
    if job.service_ns:
        read_ns = service_ns * job.read_ns / job.service_ns
    else:
        read_ns = service_ns * job.reads / job.visits
    return replace(job, service_ns=service_ns, read_ns=read_ns)


def _window(jobs: list[Job], base: System, load: Load) -> int:
    """Return the window whose replay is most like the measured latencies."""
    trial = jobs[:_TRIAL_JOBS]
    measured = _quantiles([job.wall_ns for job in trial])
    assert base.limit is not None
    best, least = 0, math.inf
    for window in _WINDOWS_NS:
        system = replace(base, limit=replace(base.limit, window_ns=window))
        found = _quantiles([one for _, one in run(trial, system, load).answers])
        # The area between the two distributions (Wasserstein).
        distance = sum(abs(a - b) for a, b in zip(found, measured, strict=True))
        if distance < least * (_BETTER if best == 0 and window else 1.0):
            best, least = window, distance
    return best


def _quantiles(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered[len(ordered) * step // 200] for step in range(1, 200)]


def _with_run_queue(jobs: list[Job], base: System, load: Load) -> System:
    """Return the system with the waiting for CPUs that its queues do not explain."""
    measured = sum(job.runq_ns for job in jobs) / len(jobs)
    if not measured:
        return base
    simulated = run(jobs[:_TRIAL_JOBS], base, load).runq_ns
    return replace(base, runq_share=max(0.0, 1 - simulated / measured))
