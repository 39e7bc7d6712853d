"""The mean latency by queueing formulas: a second opinion beside the replay.

Open arrivals: Allen-Cunneen, Wq = ErlangC(c, a) · S / (c - a) · (Ca² + Cs²) / 2.
Callers that wait for answers: mean value analysis of the closed network (Reiser and
Lavenberg 1980), the CPUs as one server of c times the speed and the rest of the service
as delay (Seidmann 1987).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.analysis.whatif.demand import Job
    from stackledger.analysis.whatif.simulator import Load, System


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability of waiting: `servers`, and `offered` load in Erlangs below them."""
    if offered >= servers:
        return 1.0
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def waiting(
    servers: int, arrival_hz: float, service_ns: float, arrival_cv2: float, service_cv2: float
) -> float:
    """Return the mean waiting in ns by Allen-Cunneen, infinite from saturation on."""
    offered = arrival_hz * service_ns / 1e9
    if offered >= servers:
        return math.inf
    factor = (arrival_cv2 + service_cv2) / 2
    return erlang_c(servers, offered) * service_ns / (servers - offered) * factor


def mean_latency(jobs: Sequence[Job], system: System, load: Load) -> float:
    """Return the mean latency in ns that the formulas give, infinite where it cannot last."""
    number = len(jobs)
    cpu = sum(job.cpu_ns for job in jobs) / number / system.speed
    beside = (sum(job.beside_ns for job in jobs) / number + system.extra_ns) / system.speed
    rest = sum(j.wait_ns + j.runq_ns * system.runq_share + j.service_ns for j in jobs) / number
    visits = sum(job.visits for job in jobs) / number
    disks = 2 if system.replica_share else 1
    disk = _per_visit(jobs, system) * visits / disks
    if load.closed:
        think = sum(job.think_ns for job in jobs) / number
        clients = max(1, round(load.clients * load.factor))
        return _closed(clients, think, rest, (cpu + beside, cpu, system.cpus), disk)
    gaps = [b.arrival_ns - a.arrival_ns for a, b in pairwise(jobs)]
    span = max(1, jobs[-1].arrival_ns - jobs[0].arrival_ns)
    rate = (number - 1) / span * 1e9 * load.factor
    arrivals = _cv2(gaps)
    queue = 0.0
    if visits and disk:
        each = disk / visits * disks
        queue += visits * waiting(1, rate * visits / disks, each, arrivals, 0.0)
    spent = cpu + beside
    if spent:
        variation = _cv2([job.cpu_ns for job in jobs])
        queue += waiting(system.cpus, rate, spent, arrivals, variation) * cpu / spent
    return cpu + rest + queue


def _closed(
    clients: int, think: float, rest: float, cpus: tuple[float, float, int], disk: float
) -> float:
    """Return the mean latency of a closed network, by exact mean value analysis."""
    spent, own, servers = cpus
    demands = [spent / servers, disk]
    delay = rest + max(0.0, own - spent / servers)
    queues = [0.0, 0.0]
    latency = 0.0
    for number in range(1, clients + 1):
        times = [demand * (1 + queue) for demand, queue in zip(demands, queues, strict=True)]
        latency = sum(times) + delay
        flow = number / max(1.0, latency + think)
        queues = [flow * time for time in times]
    return latency


def _per_visit(jobs: Sequence[Job], system: System) -> float:
    """Return the time in ns that the limit gives to one visit."""
    limit = system.limit
    visits = sum(job.visits for job in jobs)
    if limit is None or not visits:
        return 0.0
    by_ios = 1e9 / limit.iops if limit.iops else 0.0
    size = sum(job.bytes for job in jobs) / visits
    return max(by_ios, size / limit.bytes_per_s * 1e9 if limit.bytes_per_s else 0.0)


def _cv2(values: Sequence[float]) -> float:
    """Return the squared coefficient of variation."""
    if len(values) < 2:
        return 1.0
    mean = sum(values) / len(values)
    if not mean:
        return 1.0
    return sum((value - mean) ** 2 for value in values) / len(values) / mean**2
