"""Where a lab's server runs: on this host's own network, or in a namespace."""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stackledger.errors import StackledgerError
from stackledger.labs.programs import programs

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Place:
    """An address to listen on, and the network namespace that has it; None: the host's."""

    address: str = "127.0.0.1"
    namespace: str | None = None

    @property
    def inside(self) -> list[str]:
        """The words before a command that is to run there; as root."""
        if self.namespace is None:
            return []
        return [programs(["nsenter"])["nsenter"], f"--net=/run/netns/{self.namespace}"]

    def local(self) -> Place:
        """Return the same network's loopback."""
        return Place(namespace=self.namespace)

    def ask(self, question: Callable[[], T]) -> T:
        """Return what a function returns when it is called there, in a thread of its own."""
        if self.namespace is None:
            return question()
        with ThreadPoolExecutor(1, initializer=_enter, initargs=(self.namespace,)) as there:
            return there.submit(question).result()


HERE = Place()


def _enter(namespace: str) -> None:
    """Move the calling thread, and no other, into a network namespace."""
    descriptor = os.open(Path("/run/netns", namespace), os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
            why = os.strerror(ctypes.get_errno())
            raise StackledgerError("cannot enter the lab's network", why)
    finally:
        os.close(descriptor)
