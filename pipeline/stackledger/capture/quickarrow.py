"""Spares pyarrow a search for a module that is not installed.

For every Python value that comes without an Arrow type pyarrow 26 tries to import
dateutil, and a failed import looks through the whole path again each time: 0.3 ms
per call. Imported before pyarrow is used; where dateutil is there, nothing changes.
"""

from __future__ import annotations

import importlib.util
import sys

if "dateutil" not in sys.modules and importlib.util.find_spec("dateutil") is None:
    sys.modules["dateutil"] = None  # type: ignore[assignment]
