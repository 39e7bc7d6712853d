"""The threat model in docs/security.md names tests that exist, and a fuzzer for every target."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = (CHECKOUT / "docs/security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_of_the_threat_model_exists(path, name):
    tree = ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))
    assert name in {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def test_every_threat_has_what_prevents_it_and_a_test():
    assert len(ROWS) > 15
    for row in ROWS:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 5, row
        assert all(cells), row
        assert re.search(r"`tests/[\w/]+\.py::\w+`", cells[4]), row
    told = [line for line in PAGE.splitlines() if line.startswith("| ") and "attacker" not in line]
    assert [line for line in told if line.count("|") == 6 and "::" not in line] == []


def test_every_parser_that_is_fuzzed_is_counted():
    counted = dict(re.findall(r"^\| (\w+) \| ([\d,]+) \|", PAGE, re.MULTILINE))
    inputs = {name: int(count.replace(",", "")) for name, count in counted.items()}
    assert inputs.keys() == TARGETS.keys()
    assert sum(inputs.values()) >= 10_000_000
