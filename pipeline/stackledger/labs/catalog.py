"""The labs there are, in the order in which to try them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stackledger.errors import UsageError, nearest
from stackledger.labs.lab import Lab

# The module of a lab is its name with underscores, and its lab is called LAB.
NAMES = (
    "io-bottleneck",
    "page-cache",
    "network-congestion",
    "syscall-storm",
    "why-is-my-database-slow",
    "mesh-tax",
    "runtime-comparison",
    "full-stack",
    "tutorial",
)


def labs() -> list[Lab[Any]]:
    """Return every lab."""
    return [_load(name) for name in NAMES]


def lab(name: str) -> Lab[Any]:
    """Return the lab of that name; raises UsageError with the nearest one."""
    if name not in NAMES:
        raise UsageError("no such lab", name, hint=nearest(name, NAMES) or "stackledger lab")
    return _load(name)


def _load(name: str) -> Lab[Any]:
    module = import_module(f"stackledger.labs.{name.replace('-', '_')}")
    found: Lab[Any] = module.LAB
    return found
