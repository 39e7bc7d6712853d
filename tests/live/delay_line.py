"""A link between two network namespaces on which every packet takes a while.

delay_line.py NEAR FAR DELAY_S: copies packets between a tun device in each, which are
called `slow` and have the addresses 10.205.0.1 and 10.205.0.2. For kernels without netem.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import select
import struct
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stackledger.labs import servers
from stackledger.labs.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TUNSETIFF, _TUN, _NO_HEADER = 0x400454CA, 0x1, 0x1000  # linux/if_tun.h
_PACKET_BYTES = 1 << 16


@contextmanager
def delay_line(folder: Path, delay_s: float) -> Iterator[tuple[Place, Place]]:
    """Make two namespaces with such a link between them, for as long as the context lasts."""
    word = secrets.token_hex(3)
    ends = Place("10.205.0.1", f"sl-n-{word}"), Place("10.205.0.2", f"sl-f-{word}")
    names = [str(end.namespace) for end in ends]
    argv = ["chrt", "-f", "20", *servers.module("delay_line"), *names, str(delay_s)]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        for name in names:
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        with servers.server("delay_line", argv, folder=folder, environment=path) as line:
            servers.wait_until(lambda: "copying" in line.log.read_text(), line)
            yield ends
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def device(end: Place) -> int:
    """Make the device of an end, and return its descriptor: a read is a packet."""
    # It belongs to the namespace of who opens it.
    descriptor = end.ask(lambda: os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK))
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", b"slow", _TUN | _NO_HEADER))
    ip = ("ip", "-n", str(end.namespace))
    _run(*ip, "address", "add", f"{end.address}/24", "dev", "slow")
    _run(*ip, "link", "set", "slow", "up", "txqueuelen", "10000")
    return descriptor


def copy(near: int, far: int, delay_ns: int) -> None:
    """Hand what comes out of each device to the other, so much later, until killed."""
    way = {near: far, far: near}
    under_way: deque[tuple[int, int, bytes]] = deque()
    while True:
        wait_s = None
        if under_way:
            wait_s = max(0, under_way[0][0] - time.monotonic_ns()) / 1e9
        for source in select.select([near, far], [], [], wait_s)[0]:
            packet = os.read(source, _PACKET_BYTES)
            under_way.append((time.monotonic_ns() + delay_ns, way[source], packet))
        while under_way and under_way[0][0] <= time.monotonic_ns():
            _, target, packet = under_way.popleft()
            os.write(target, packet)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


if __name__ == "__main__":
    both = [
        device(Place(address, name))
        for address, name in zip(("10.205.0.1", "10.205.0.2"), sys.argv[1:3], strict=True)
    ]
    print("copying", flush=True)
    copy(*both, int(float(sys.argv[3]) * 1e9))
