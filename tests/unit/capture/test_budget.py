"""A budget as people write it."""

from __future__ import annotations

import pytest

from stackledger.capture.budget import share
from stackledger.errors import UsageError


@pytest.mark.parametrize(("text", "value"), [("2%", 0.02), ("0.5 %", 0.005), ("100%", 1.0)])
def test_a_share(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "2", "0%", "-1%", "101%", "two%", "2%%", "1e1%", "nan%"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError, match="not a share of the host's CPU time"):
        share(text)
