"""The shape of a lab: what it starts, its phases, and the figures that it compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from stackledger.analysis.experiment import Figure


class Stage(Protocol):
    """Running servers: `url` is where the load goes."""

    @property
    def url(self) -> str:
        """The address of the outermost server."""

    @property
    def values(self) -> Mapping[str, Any]:
        """What the figures' statements can name, whatever the phase."""

    @property
    def inside(self) -> list[str]:
        """The words before a command that has to run where the load does."""


S = TypeVar("S", bound=Stage)


@dataclass(frozen=True)
class Load:
    """Requests that go to the stage in every phase: the options of `labs.load`."""

    paths: tuple[str, ...]
    connections: int = 8
    rate_hz: float | None = None


@dataclass(frozen=True)
class Phase(Generic[S]):
    """One state of the stage: `done` says in a line how `prepare` made it.

    `values` are what the figures' statements can name besides, a limit in force for one;
    `load` is this phase's own, where the lab's is not meant. A phase whose programs
    (`needs`) are not all installed is left out, and that is said.
    """

    name: str
    done: str
    prepare: Callable[[S], None]
    values: Mapping[str, Any] = field(default_factory=dict)
    load: Load | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """A command to try on the captures, without the program's name, and why."""

    says: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Lab(Generic[S]):
    """An experiment: real servers, and the same load in several phases.

    `answer` is what it shows, in a sentence or two, printed below the figures; `steps`
    are a walk through the captures, after them.
    """

    name: str
    question: str
    answer: str
    programs: tuple[str, ...]
    stage: Callable[[Path | None], AbstractContextManager[S]]
    load: Load
    phases: tuple[Phase[S], ...]
    figures: tuple[Figure, ...]
    probes: tuple[str, ...] = ()
    warm_up: int = 200
    phase_s: float = 6.0
    steps: tuple[Step, ...] = ()
