"""Finds the data folders in an installed wheel and in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the folder `probes`, `queries`, `costmodels` or `recordings`.

    A wheel carries them inside the package; an editable install does not, so
    the checkout two levels above the package is the fallback.
    """
    for base in (_PACKAGE / "data", _PACKAGE.parent.parent):
        if (base / name).is_dir():
            return base / name
    raise FileNotFoundError(f"stackledger was installed without its {name} folder")
