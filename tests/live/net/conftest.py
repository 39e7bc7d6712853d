"""Two network namespaces with a cable between them: nobody else's packets are in there."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import store
from stackledger.capture.session import Options, Outcome, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import duckdb

HERE = Path(__file__).parent
OTHER = os.environ.get("STACKLEDGER_OTHER_BPFTRACE", "")
BPFTRACES = [None, tuple(shlex.split(OTHER))] if OTHER else [None]


def _run(*words: str) -> str:
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return done.stdout


@dataclass(frozen=True)
class Namespace:
    """One end of the cable."""

    name: str
    address: str
    address6: str

    @property
    def inode(self) -> int:
        """Return the number that the column netns holds."""
        return Path(f"/run/netns/{self.name}").stat().st_ino

    def words(self, *command: str) -> list[str]:
        """Return the command that runs another one in here."""
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command: str) -> str:
        """Run a command in here and return what it prints."""
        return _run(*self.words(*command))

    def counters(self, protocol: str = "Tcp") -> dict[str, int]:
        """Return the namespace's own counters of a protocol, from /proc/net/snmp."""
        lines = [
            line.split()[1:]
            for line in self.run("cat", "/proc/net/snmp").splitlines()
            if line.startswith(f"{protocol}:")
        ]
        return dict(zip(lines[0], map(int, lines[1]), strict=True))

    def rule(self, rule: str) -> None:
        """Add an nftables rule for what comes in."""
        self.run("nft", "add table inet t")
        self.run("nft", "add chain inet t input { type filter hook input priority 0; }")
        self.run("nft", f"add rule inet t input {rule}")


@dataclass(frozen=True)
class Cable:
    """Both ends: the server is at `here`, its clients are at `there`."""

    here: Namespace
    there: Namespace


@pytest.fixture
def cable() -> Iterator[Cable]:
    """Give two namespaces, gone at the end."""
    word = secrets.token_hex(3)
    here = Namespace(f"sl-a-{word}", "10.203.0.1", "fd00:203::1")
    there = Namespace(f"sl-b-{word}", "10.203.0.2", "fd00:203::2")
    try:
        for one in (here, there):
            _run("ip", "netns", "add", one.name)
        _run("ip", "link", "add", f"a{word}", "type", "veth", "peer", "name", f"b{word}")
        for one, device in ((here, f"a{word}"), (there, f"b{word}")):
            _run("ip", "link", "set", device, "netns", one.name)
            one.run("ip", "addr", "add", f"{one.address}/24", "dev", device)
            one.run("ip", "addr", "add", f"{one.address6}/64", "dev", device, "nodad")
            one.run("ip", "link", "set", device, "up")
            one.run("ip", "link", "set", "lo", "up")
        yield Cable(here, there)
    finally:
        for one in (here, there):
            left = subprocess.run(["ip", "netns", "pids", one.name], capture_output=True, text=True)
            for pid in left.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", one.name], capture_output=True)


@dataclass(frozen=True)
class Recorded:
    """A capture and what the traffic's two ends counted themselves."""

    outcome: Outcome
    sql: duckdb.DuckDBPyConnection
    said: Mapping[str, Any]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query with $1, $2 …"""
        return self.sql.execute(query, list(values)).fetchall()

    def one(self, query: str, *values: object) -> Any:
        """Return the only value of a query."""
        ((value,),) = self.rows(query, *values)
        return value

    @property
    def skipped(self) -> int:
        """Return how often the kernel did not run a program, for another one ran on that CPU."""
        return sum(run.skipped_runs for run in self.outcome.manifest.probes)


@pytest.fixture
def traffic(tmp_path: Path, cable: Cable) -> Callable[..., Recorded]:
    """Give a function that records while traffic.py's two ends talk over the cable."""

    def recorded(
        what: str, *probes: str, bpftrace: tuple[str, ...] | None = None, **options: Any
    ) -> Recorded:
        program = [sys.executable, str(HERE / "traffic.py"), what]
        served, asked = tmp_path / "served", tmp_path / "asked"
        ends = (cable.here.address, cable.here.address6)
        server = shlex.join(cable.here.words(*program, "serve", *ends))
        client = shlex.join(cable.there.words(*program, "ask", *ends))
        script = f"{server} > {served} & {client} > {asked}; wait\n"
        # The kernel goes on with what the programs have left to it.
        for one in (cable.here, cable.there):
            left = f"ss -N {one.name} -tnHO state fin-wait-1 state last-ack state closing"
            script += f'while [ -n "$({left})" ]; do sleep 0.1; done\n'
        outcome = record(
            Options(
                store=tmp_path / "store",
                probes=probes,
                bpftrace=bpftrace,
                command=("sh", "-euc", script),
                **options,
            )
        )
        assert outcome.exit_code == 0, outcome.manifest.error
        assert [one.complaints for one in outcome.manifest.probes if one.complaints] == []
        for loss in outcome.manifest.losses:
            assert (loss.produced, loss.undecodable) == (loss.received, 0), loss
        said = {end.name: json.loads(end.read_text()) for end in (served, asked)}
        return Recorded(outcome, store.connect(store.find("last", tmp_path / "store")), said)

    return recorded


@pytest.fixture(params=BPFTRACES, ids=str)
def bpftrace(request: pytest.FixtureRequest) -> tuple[str, ...] | None:
    """Give the host's bpftrace, and the other one where there is one."""
    found: tuple[str, ...] | None = request.param
    return found
