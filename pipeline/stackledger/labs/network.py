"""Two network namespaces with a cable between them, which can be made to lose packets.

`near` holds what callers reach, `far` what it calls. Nothing of it is in the host's
own network. Segments leave one by one, not in bundles of 64 KiB as a virtual cable
would take them: one in a hundred lost is then one segment in a hundred.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError
from stackledger.labs.places import Place
from stackledger.labs.programs import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("ip", "nft", "nsenter")
_NAME = "stackledger-lab-"
_PARTS = 10_000
_RECEIVING_CPUS = "/sys/class/net/eth0/queues/rx-0/rps_cpus"


@dataclass(frozen=True)
class Network:
    """Both ends."""

    near: Place
    far: Place

    def lose(self, share: float) -> None:
        """Lose that share of the packets from now on that come from the far end; 0: none."""
        _run(*self.near.inside, "nft", "flush chain inet lab input")
        if share:
            which = f"ip saddr {self.far.address} numgen random mod {_PARTS}"
            rule = f"{which} < {round(share * _PARTS)} drop"
            _run(*self.near.inside, "nft", f"add rule inet lab input {rule}")


@contextmanager
def network() -> Iterator[Network]:
    """Make both namespaces; at the end they go, with all that is in them."""
    programs(PROGRAMS)
    remove_abandoned()
    word = f"{_NAME}{os.getpid()}-{secrets.token_hex(2)}"
    names = (f"{word}-near", f"{word}-far")
    near, far = Place("10.203.0.1", names[0]), Place("10.203.0.2", names[1])
    try:
        for name in names:
            _run("ip", "netns", "add", name)
        one_queue = ("numtxqueues", "1", "numrxqueues", "1")
        pair = ("type", "veth", "peer", "name", "eth0", "netns", names[1], *one_queue)
        _run("ip", "link", "add", "eth0", "netns", names[0], *one_queue, *pair)
        for one in (near, far):
            ip = (*one.inside, "ip")
            _run(*ip, "address", "add", f"{one.address}/24", "dev", "eth0")
            _run(*ip, "link", "set", "lo", "up")
            _run(*ip, "link", "set", "eth0", "up", "gso_max_segs", "1")
        for name in names:
            # One CPU receives, or the others overtake it: TCP takes that for loss.
            _run("ip", "netns", "exec", name, "sh", "-c", f"echo 1 > {_RECEIVING_CPUS}")
        nft = (*near.inside, "nft")
        _run(*nft, "add table inet lab")
        _run(*nft, "add chain inet lab input { type filter hook input priority 0; }")
        yield Network(near, far)
    finally:
        for name in names:
            with suppress(StackledgerError):
                _run("ip", "netns", "delete", name)


def remove_abandoned() -> None:
    """Remove the namespaces of labs that were killed outright."""
    for path in Path("/run/netns").glob(f"{_NAME}*"):
        owner = path.name.removeprefix(_NAME).partition("-")[0]
        if not Path("/proc", owner).exists():
            with suppress(StackledgerError):
                _run("ip", "netns", "delete", path.name)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[:1] or [f"exit code {done.returncode}"]
        raise StackledgerError("the lab's network failed", f"{' '.join(words)}: {said[0]}")
