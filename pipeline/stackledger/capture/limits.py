"""How long a program may take to attach."""

from __future__ import annotations

import os

from stackledger.durations import seconds


def attach_limit_s(usual: str) -> float:
    """Return `usual` in seconds, or what STACKLEDGER_ATTACH_LIMIT says.

    An emulated machine needs ten times as long; some programs of ours call others.
    """
    return seconds(os.environ.get("STACKLEDGER_ATTACH_LIMIT", usual))
