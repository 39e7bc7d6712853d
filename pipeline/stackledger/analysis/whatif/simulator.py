"""Replays jobs on CPUs and a limited disk, event by event.

A job alternates between CPU, other waiting and the disk: its demands are spread
evenly over the visits to the disk. CPUs serve in turns of a time slice; the disk's
limit is first come, first served, and behind it I/Os do not wait for each other.
Nothing in it is random: the same demands give the same latencies.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stackledger.analysis.whatif.limiter import Limit, limiter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.whatif.demand import Job

# How long a task keeps a CPU that others want: EEVDF's base slice on few CPUs.
_SLICE_NS = 3e6
# What runs beside requests (the load's own program, the tracer, the kernel's threads)
# does so in the gaps. After this long it takes turns: it must not starve, nor be free.
_PATIENCE_NS = 100e6
# Visits beyond this are made several at a time: each is an event of the replay.
_MOST_VISITS = 32
# The first answers come from queues that are still filling.
_WARM_UP = 0.1
_SPREAD = 0.6180339887498949

# How often the work of others comes.
_OTHERS_NS = 5e6

_ARRIVE, _CPU, _STEP, _OTHERS = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class System:
    """What serves: CPUs, their speed (1: as measured), the disk's limit, None for none.

    `extra_ns` is CPU time that every job costs beside its own, `others` how many of the
    CPUs' worth of work there is without any job. With `replica_share`
    that share of the jobs uses the disk and database CPUs of a second machine.
    `runq_share` is what of a job's measured waiting for a CPU is a part of it.
    """

    cpus: int
    speed: float = 1.0
    limit: Limit | None = None
    extra_ns: float = 0.0
    others: float = 0.0
    replica_share: float = 0.0
    runq_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """Who asks: `clients` that wait for answers (`closed`), or arrivals as recorded.

    `factor` multiplies the clients, or the rate of arrivals.
    """

    closed: bool
    clients: int
    factor: float = 1.0


@dataclass(slots=True)
class Replay:
    """What came out: (endpoint, latency in ns) in order of completion, and the use of things.

    Shares are of the CPUs and of the disk's limits; `runq_ns` is the mean waiting for a CPU.
    """

    answers: list[tuple[str, float]] = field(default_factory=list)
    rate_hz: float = 0.0
    cpu_share: float = 0.0
    iops_share: float | None = None
    throughput_share: float | None = None
    runq_ns: float = 0.0


class _Running:
    """A job under way: where it is in its program."""

    __slots__ = (
        "begun",
        "bytes",
        "client",
        "cpu",
        "disk",
        "endpoint",
        "ios",
        "left",
        "phase",
        "service",
        "wait",
    )

    def __init__(self, job: Job, begun: float, client: int, disk: int, system: System) -> None:
        self.begun = begun
        self.client = client
        self.disk = disk
        self.endpoint = job.endpoint
        visits = min(job.visits, _MOST_VISITS)
        parts = visits + 1
        self.cpu = job.cpu_ns / system.speed / parts
        self.wait = (job.wait_ns + job.runq_ns * system.runq_share) / parts
        self.left = visits
        self.ios = round(job.visits / visits) if visits else 0
        self.bytes = job.bytes // visits if visits else 0
        self.service = job.service_ns / visits if visits else 0.0
        self.phase = 0


class _Cpus:
    """A machine's CPUs and the tasks that wait for one."""

    __slots__ = ("beside", "busy_ns", "free", "queue", "waited_ns")

    def __init__(self, cpus: int) -> None:
        self.free = cpus
        self.queue: deque[tuple[_Running, float, float]] = deque()
        self.beside: deque[tuple[float, float]] = deque()
        self.busy_ns = 0.0
        self.waited_ns = 0.0


class _Simulation:
    """The state of one replay."""

    def __init__(self, jobs: Sequence[Job], system: System, load: Load) -> None:
        self.jobs = jobs
        self.system = system
        self.load = load
        machines = 2 if system.replica_share else 1
        self.cpus = [_Cpus(system.cpus) for _ in range(machines)]
        self.limiters = [limiter(system.limit) for _ in range(machines)] if system.limit else []
        self.events: list[tuple[float, int, int, object]] = []
        self.number = 0
        self.next_job = 0
        self.finished: list[tuple[float, str, float]] = []
        self.ios = self.bytes = 0
        self.now = 0.0

    def run(self) -> Replay:
        """Replay until as many were answered as there are jobs."""
        self._start()
        wanted = len(self.jobs)
        events, pop = self.events, heapq.heappop
        while events and len(self.finished) < wanted:
            self.now, _, kind, what = pop(events)
            if kind == _CPU:
                self._cpu_done(*what)  # type: ignore[misc]
            elif kind == _STEP:
                self._step(what)  # type: ignore[arg-type]
            elif kind == _OTHERS:
                self._others()
            else:
                self._arrive(what)  # type: ignore[arg-type]
        return self._result()

    def _push(self, at: float, kind: int, what: object) -> None:
        self.number += 1
        heapq.heappush(self.events, (at, self.number, kind, what))

    def _start(self) -> None:
        if self.system.others > 0:
            self._push(0.0, _OTHERS, None)
        if self.load.closed:
            for client in range(max(1, round(self.load.clients * self.load.factor))):
                self._push(0.0, _ARRIVE, client)
        elif self.jobs:
            self._push(0.0, _ARRIVE, -1)

    def _others(self) -> None:
        self._want_cpu(0, None, self.system.others * _OTHERS_NS)
        self._push(self.now + _OTHERS_NS, _OTHERS, None)

    def _arrive(self, client: int) -> None:
        index = self.next_job
        self.next_job += 1
        job = self.jobs[index % len(self.jobs)]
        share = self.system.replica_share
        away = bool(share) and (index * _SPREAD) % 1.0 < share
        if not self.load.closed and self.next_job < len(self.jobs):
            gap = self.jobs[self.next_job].arrival_ns - job.arrival_ns
            self._push(self.now + max(0, gap) / self.load.factor, _ARRIVE, -1)
        beside = (job.beside_ns + self.system.extra_ns) / self.system.speed
        if beside > 0:
            self._want_cpu(0, None, beside)
        self._step(_Running(job, self.now, client, int(away), self.system))

    def _step(self, one: _Running) -> None:
        """Do the job's next thing: CPU, waiting, disk, and again."""
        phase = one.phase
        if phase == 0:
            one.phase = 1
            if one.cpu > 0:
                self._want_cpu(one.disk, one, one.cpu)
                return
        if one.phase == 1:
            one.phase = 2
            if one.wait > 0:
                self._push(self.now + one.wait, _STEP, one)
                return
        if one.left:
            one.left -= 1
            one.phase = 0
            self.ios += one.ios
            self.bytes += one.bytes
            start = self.now
            if self.limiters:
                start = self.limiters[one.disk].admit(start, one.ios, one.bytes)
            self._push(start + one.service, _STEP, one)
            return
        self.finished.append((self.now, one.endpoint, self.now - one.begun))
        if self.load.closed:
            think = self.jobs[self.next_job % len(self.jobs)].think_ns
            self._push(self.now + think, _ARRIVE, one.client)

    def _want_cpu(self, machine: int, one: _Running | None, demand: float) -> None:
        cpus = self.cpus[machine]
        if cpus.free:
            cpus.free -= 1
            self._on_cpu(machine, one, demand)
        elif one is None:
            cpus.beside.append((demand, self.now))
        else:
            cpus.queue.append((one, demand, self.now))

    def _on_cpu(self, machine: int, one: _Running | None, demand: float) -> None:
        piece = min(demand, _SLICE_NS)
        self.cpus[machine].busy_ns += piece
        self._push(self.now + piece, _CPU, (machine, one, demand - piece))

    def _cpu_done(self, machine: int, one: _Running | None, left: float) -> None:
        cpus = self.cpus[machine]
        if left > 0:
            if one is None:
                cpus.beside.append((left, self.now))
            else:
                cpus.queue.append((one, left, self.now))
        beside = cpus.beside
        turn = one is not None and beside and self.now - beside[0][1] > _PATIENCE_NS
        if beside and (turn or not cpus.queue):
            self._on_cpu(machine, None, beside.popleft()[0])
        elif cpus.queue:
            following, demand, since = cpus.queue.popleft()
            cpus.waited_ns += self.now - since
            self._on_cpu(machine, following, demand)
        else:
            cpus.free += 1
        if left <= 0 and one is not None:
            self._step(one)

    def _result(self) -> Replay:
        answered = self.finished[int(len(self.finished) * _WARM_UP) :]
        found = Replay([(endpoint, latency) for _, endpoint, latency in answered])
        if not answered:
            return found
        span = max(1.0, self.now)
        counted = max(1.0, answered[-1][0] - answered[0][0])
        found.rate_hz = (len(answered) - 1) / counted * 1e9
        machines = len(self.cpus)
        found.cpu_share = min(1.0, max(c.busy_ns for c in self.cpus) / span / self.system.cpus)
        found.runq_ns = sum(c.waited_ns for c in self.cpus) / len(self.finished)
        limit = self.system.limit
        if limit is not None and limit.iops:
            found.iops_share = self.ios / span * 1e9 / limit.iops / machines
        if limit is not None and limit.bytes_per_s:
            found.throughput_share = self.bytes / span * 1e9 / limit.bytes_per_s / machines
        return found


def replay(jobs: Sequence[Job], system: System, load: Load) -> Replay:
    """Return what the jobs' latencies would be on that system under that load."""
    return _Simulation(jobs, system, load).run()
