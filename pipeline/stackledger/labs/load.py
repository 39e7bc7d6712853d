"""A bounded load on a server on this host, and the latency it saw.

`python -m stackledger.labs.load --url http://127.0.0.1:8080 --path /health
--requests 997 --json` runs it as a process of its own, so that its CPU is not
the measured program's; `apart()` does that from Python.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stackledger import diagnostics
from stackledger.errors import StackledgerError, UsageError
from stackledger.labs import servers
from stackledger.labs.traffic import Answers, Outcome, Plan, drive, loopback, targets

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_REQUESTS = 2_000_000
MAX_DURATION_S = 3600.0
MAX_CONNECTIONS = 256

DEFAULT_CONNECTIONS = 8
DEFAULT_SEED = 1


@dataclass(frozen=True)
class EndpointLoad:
    """One endpoint's requests; latency from just before the send to the last byte received.

    Latency covers the answered requests, whatever their status; None when
    there was none. `arrival_mean_ns` ends when the kernel had the last byte:
    a load generator that waits for a CPU is late itself, and not the server.
    """

    endpoint: str
    requests: int
    errors: int
    bytes: int
    mean_ns: float | None
    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    max_ns: int | None
    arrival_mean_ns: float | None


@dataclass(frozen=True)
class LoadResult:
    """What was sent and what came back.

    `errors`: answers with a status of 400 or more, and requests without an
    answer. `late`: requests sent more than 1 ms after they were due because
    every connection was busy, or this program was (open loop only).
    """

    url: str
    connections: int
    requests: int
    errors: int
    late: int
    bytes: int
    elapsed_ns: int
    rate_hz: float
    endpoints: tuple[EndpointLoad, ...]

    def endpoint(self, name: str) -> EndpointLoad:
        """Return one endpoint's figures, by its name as in `/api/orders/{id}`."""
        return next(one for one in self.endpoints if one.endpoint == name)


def run(
    url: str,
    paths: Sequence[str],
    *,
    connections: int = DEFAULT_CONNECTIONS,
    rate_hz: float | None = None,
    duration_s: float | None = None,
    requests: int | None = None,
    seed: int = DEFAULT_SEED,
) -> LoadResult:
    """Send requests to `url` in this process until the count or the time is reached.

    `paths`: `/health`, or with a weight `3:/health`; `{1-500}` in a path becomes
    every number of that range once, in random order, before any comes again.
    With `rate_hz` a request is due every 1/rate seconds (open loop); without,
    each connection sends its next one when the last is answered (closed loop).

    Raises UsageError for a plan without an end or out of bounds, a path that
    cannot be read and an address that is not loopback; StackledgerError when
    the server cannot be reached.
    """
    if requests is None and duration_s is None:
        raise UsageError("the load has no end", hint="give --requests or --for")
    _bounded("requests", requests, MAX_REQUESTS)
    _bounded("seconds", duration_s, MAX_DURATION_S)
    _bounded("connections", connections, MAX_CONNECTIONS)
    _bounded("requests per second", rate_hz, 1_000_000)
    plan = Plan(
        address=loopback(url),
        targets=targets(paths, seed),
        connections=connections,
        rate_hz=rate_hz,
        duration_s=duration_s or MAX_DURATION_S,
        requests=requests or MAX_REQUESTS,
        seed=seed,
    )
    return _result(url, plan, drive(plan))


def command(
    url: str,
    paths: Sequence[str],
    *,
    connections: int = DEFAULT_CONNECTIONS,
    rate_hz: float | None = None,
    duration_s: float | None = None,
    requests: int | None = None,
    seed: int = DEFAULT_SEED,
) -> list[str]:
    """Return the command that runs the same load and prints its result as JSON."""
    argv = [*servers.module("stackledger.labs.load"), "--json", "--url", url]
    argv += [word for path in paths for word in ("--path", path)]
    argv += ["--connections", str(connections), "--seed", str(seed)]
    limits = {"--rate": rate_hz, "--for": duration_s, "--requests": requests}
    given = {name: value for name, value in limits.items() if value is not None}
    return argv + [word for name, value in given.items() for word in (name, str(value))]


def apart(url: str, paths: Sequence[str], **options: Any) -> LoadResult:
    """Run the load in a process of its own; the options are those of `run`."""
    done = subprocess.run(
        command(url, paths, **options),
        capture_output=True,
        text=True,
        env={**os.environ, **servers.module_path()},
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("stackledger: error: ")
        raise StackledgerError("the load failed", said.partition("\n")[0])
    return parse(done.stdout)


def parse(text: str) -> LoadResult:
    """Return the result that a load's own process printed as JSON."""
    fields: dict[str, Any] = json.loads(text)
    endpoints = tuple(EndpointLoad(**one) for one in fields.pop("endpoints"))
    return LoadResult(**fields, endpoints=endpoints)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the load that the arguments describe, print its result, return the exit code."""
    parser = argparse.ArgumentParser(prog="stackledger.labs.load", description=__doc__)
    parser.add_argument("--url", required=True, help="http://127.0.0.1:PORT")
    parser.add_argument(
        "--path", action="append", required=True, help="/path, 3:/path, or with {1-500} in it"
    )
    parser.add_argument("--connections", type=int, default=DEFAULT_CONNECTIONS)
    parser.add_argument("--rate", type=float, help="requests per second; closed loop without")
    parser.add_argument("--for", type=float, dest="duration_s", metavar="SECONDS")
    parser.add_argument("--requests", type=int, help="exactly this many")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
    chosen = parser.parse_args(argv)
    gc.disable()  # A collection in the middle of a request would count as its latency.
    try:
        result = run(
            chosen.url,
            chosen.path,
            connections=chosen.connections,
            rate_hz=chosen.rate,
            duration_s=chosen.duration_s,
            requests=chosen.requests,
            seed=chosen.seed,
        )
    except StackledgerError as failure:
        diagnostics.error(failure)
        return failure.exit_code
    except KeyboardInterrupt:
        return diagnostics.INTERRUPTED_AGAIN
    print(json.dumps(asdict(result)) if chosen.json else _table(result))
    return 0


def _bounded(what: str, value: float | None, most: float) -> None:
    if value is not None and not 0 < value <= most:
        raise UsageError(f"the load's {what} must be above 0 and at most {most:g}", value)


def _result(url: str, plan: Plan, outcome: Outcome) -> LoadResult:
    endpoints = tuple(_endpoint(name, one) for name, one in outcome.answers.items())
    requests = sum(one.requests for one in endpoints)
    return LoadResult(
        url=url,
        connections=plan.connections,
        requests=requests,
        errors=sum(one.errors for one in endpoints),
        late=outcome.late,
        bytes=sum(one.bytes for one in endpoints),
        elapsed_ns=outcome.elapsed_ns,
        rate_hz=requests / (outcome.elapsed_ns / 1e9),
        endpoints=endpoints,
    )


def _endpoint(name: str, answers: Answers) -> EndpointLoad:
    ordered = sorted(answers.latencies_ns)
    return EndpointLoad(
        endpoint=name,
        requests=answers.requests,
        errors=answers.errors,
        bytes=answers.bytes,
        mean_ns=sum(ordered) / len(ordered) if ordered else None,
        p50_ns=_percentile(ordered, 0.50),
        p90_ns=_percentile(ordered, 0.90),
        p99_ns=_percentile(ordered, 0.99),
        max_ns=_percentile(ordered, 1.0),
        arrival_mean_ns=answers.arrivals_ns / len(ordered) if ordered else None,
    )


def _percentile(ordered: Sequence[int], share: float) -> int | None:
    """Return the nearest-rank percentile: the smallest value with that share at or below it."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _table(result: LoadResult) -> str:
    lines = [_line("endpoint", "requests", "errors", "mean ms", "p50", "p90", "p99", "max")]
    for one in result.endpoints:
        times = (one.mean_ns, one.p50_ns, one.p90_ns, one.p99_ns, one.max_ns)
        texts = ("-" if ns is None else f"{ns / 1e6:.3f}" for ns in times)
        lines.append(_line(one.endpoint, one.requests, one.errors, *texts))
    seconds = result.elapsed_ns / 1e9
    return "\n".join([*lines, f"{result.rate_hz:.1f} requests/s for {seconds:.2f} s"])


def _line(name: str, *cells: object) -> str:
    return f"{name:<28}" + "".join(f"{cell:>10}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
