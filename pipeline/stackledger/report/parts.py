"""The parts of a ledger as people see them: name, colour, pattern, definition.

One colour means one part, on every chart and in both themes. The colours are at
least 12 units of OKLab x 100 apart for normal sight and for the three kinds of
colour blindness (tests/unit/report/test_parts.py); what is not a measured kind
of waiting is grey, and patterned where it is not known at all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One part: `ink` is the text colour on `colour`; `pattern` is solid, stripes or dots."""

    key: str
    colour: str
    ink: str
    meaning: str
    pattern: str = "solid"

    @property
    def column(self) -> str:
        """Return its column in the ledger."""
        return f"{self.key}_ns"

    @property
    def fill(self) -> str:
        """Return how it is filled in a drawing; `patterns.html.j2` has the patterns."""
        return self.colour if self.pattern == "solid" else f"url(#pattern-{self.pattern})"


_LIGHT, _DARK = "#ffffff", "#10141a"

PARTS = (
    Part("cpu", "#3c5896", _LIGHT, "on a CPU, working for this request"),
    Part("runq", "#52d6ff", _DARK, "ready to run, waiting for a CPU"),
    Part(
        "disk",
        "#cc3915",
        _LIGHT,
        "waiting for a disk: off the CPU for I/O, or inside fsync and its kin",
    ),
    Part("lock", "#bf58dd", _DARK, "waiting for a lock: futex, or a lock on a file"),
    Part("sleep", "#ead977", _DARK, "asleep by its own wish"),
    Part(
        "queue",
        "#ec8800",
        _DARK,
        "its bytes had arrived, but the program had not got round to them yet",
    ),
    Part(
        "net",
        "#64b396",
        _DARK,
        "between two layers: what a call took less what the called layer accounts for",
    ),
    Part("other", "#757a81", _LIGHT, "off the CPU for another reason that was seen"),
    Part(
        "untraced",
        "#757a81",
        _LIGHT,
        "waiting for a server that was not traced: its share is known, what it did is not",
        "dots",
    ),
    Part(
        "unexplained",
        "#757a81",
        _LIGHT,
        "what is left; printed, never hidden and never spread over the others",
        "stripes",
    ),
)
BY_KEY = {part.key: part for part in PARTS}
