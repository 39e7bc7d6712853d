"""The registry of real faults, and the verdict that each has to bring."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faultbed import Scene


@dataclass(frozen=True)
class Fault:
    """A fault: the rules of which one has to be the top verdict, and its layer."""

    name: str
    rules: tuple[str, ...]
    layer: str
    scene: Callable[[], Any]


FAULTS: dict[str, Fault] = {}


def fault(rules: str, layer: str) -> Callable[[Callable[[], Iterator[Scene]]], None]:
    """Register a scene as a fault; no rules: healthy."""

    def registered(make: Callable[[], Iterator[Scene]]) -> None:
        name = make.__name__
        FAULTS[name] = Fault(name, tuple(rules.split()), layer, contextmanager(make))

    return registered
