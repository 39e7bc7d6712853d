"""Writes capture.json, whole or not at all."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import msgspec

from stackledger.capture.partfile import sync_folder, unwritable
from stackledger.capture.private import opener
from stackledger.manifest import FILE_NAME, Manifest


def safe_word(text: str) -> str:
    """Return `text` as one component of a path: letters, digits, `.`, `_` and `-`."""
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[:100]
    return word or "unnamed"


def save(manifest: Manifest, folder: Path) -> None:
    """Write capture.json, whole or not at all."""
    write(encoded(manifest), folder)


def encoded(manifest: Manifest) -> bytes:
    """Return the content of capture.json."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def write(content: bytes, folder: Path) -> None:
    """Write what `encoded` returned, whole or not at all; raises StackledgerError."""
    path = folder / FILE_NAME
    temporary = path.with_name(f".{FILE_NAME}.tmp")
    try:
        with open(temporary, "wb", opener=opener) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(folder)
    except OSError as failure:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise unwritable(folder, failure) from None
