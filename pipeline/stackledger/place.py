"""Where captures are kept where nobody says: the store's own place."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from stackledger.errors import UsageError

STORE_VARIABLE = "STACKLEDGER_STORE"


def default_store() -> Path:
    """Return `$STACKLEDGER_STORE`, else the platform's data folder: the caller's under sudo."""
    if given := os.environ.get(STORE_VARIABLE):
        return Path(given)
    try:
        home = _home_of_the_asker() or Path.home()
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    except RuntimeError:  # a user without a home
        raise UsageError(
            "no place for the store is known", hint=f"--store DIR, or set {STORE_VARIABLE}"
        ) from None
    return base / "stackledger"


def _home_of_the_asker() -> Path | None:
    """Return the home of who called sudo, so that analysing needs none."""
    uid = os.environ.get("SUDO_UID", "")
    if os.geteuid() != 0 or not uid.isdecimal():
        return None
    try:
        home = Path(pwd.getpwuid(int(uid)).pw_dir)
    except (KeyError, OverflowError):
        return None
    return home if home.is_dir() else None
