"""What costs are written as: a cost table to the bytes of a file, and the file's name."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackledger.analysis.costresult import CostResult


class Target(StrEnum):
    """What the costs are written as."""

    FOCUS = "focus"
    CSV = "csv"


class FileFormat(StrEnum):
    """What kind of file."""

    CSV = "csv"
    PARQUET = "parquet"


def content(
    result: CostResult, to: Target, form: FileFormat, source: tuple[str, int, int, str]
) -> bytes:
    """Return the file of a cost table.

    `source` are the capture's id, the window's ends in Unix ns and the billing account.
    """
    from stackledger.export import costcsv, focus, focusfile, focusorigin

    if to is Target.CSV:
        return costcsv.as_csv(result)
    rows = focus.focus_rows(result, focusorigin.Source(*source))
    return focusfile.as_csv(rows) if form is FileFormat.CSV else focusfile.as_parquet(rows)


def file_name(capture: str, to: Target, form: FileFormat) -> str:
    """Return the name of the file where none was given."""
    return f"{capture}-{'costs' if to is Target.CSV else 'focus'}.{form}"
