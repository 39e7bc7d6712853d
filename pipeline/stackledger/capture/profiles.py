"""Which probes a profile records: the one place where a new probe is put into profiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stackledger import catalog
from stackledger.errors import UsageError, nearest

# `incident` is the default: all that is cheap beside what an incident's host does.
PROFILES: dict[str, tuple[str, ...]] = {
    "incident": (
        *("request_ledger", "block_io", "fsync", "tcp_connection", "packet_drop"),
        *("exec", "process_exit"),
    ),
    "ledger": ("request_ledger", "block_io"),
    "io": ("block_io", "fsync", "journal", "writeback", "page_cache"),
    "net": ("tcp_connection", "tcp_io", "packet_drop"),
    "fs": ("page_cache", "writeback", "fsync", "journal", "file_open", "file_io", "vfs"),
}
# Without these a profile is not what it is called; every other probe of a profile
# is left out, and said, where the host cannot run it.
NEEDED: dict[str, tuple[str, ...]] = {"ledger": ("request_ledger",)}
DEFAULT, ALL, NONE = "incident", "all", "none"
NAMES = (*PROFILES, ALL, NONE)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Probes to record, and those of them without which there is nothing to record."""

    probes: tuple[str, ...]
    required: frozenset[str]


def choose(profile: str, added: Iterable[str] = ()) -> Chosen:
    """Return the probes of a profile and those that were named besides, which are required.

    Raises UsageError with the nearest name for a profile that there is not.
    """
    added = tuple(added)
    if profile == ALL:
        # One that is about a function has nothing to be about.
        of_profile = tuple(
            dict.fromkeys(
                one.name for one in catalog.probes().values() if "--function" not in one.needs
            )
        )
    elif profile == NONE:
        of_profile = ()
    elif profile in PROFILES:
        of_profile = PROFILES[profile]
    else:
        hint = nearest(profile, NAMES) or f"there are: {', '.join(NAMES)}"
        raise UsageError("no such profile", profile, hint=hint)
    named = {name.partition(".")[0] for name in added}
    rest = tuple(name for name in of_profile if name not in named)
    return Chosen((*rest, *added), frozenset((*added, *NEEDED.get(profile, ()))))
