"""The place of the registers is noted once a boot, and believed only from root."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stackledger.capture import registers
from stackledger.capture.bpftrace import find
from stackledger.capture.trial import STACK_BYTES, register_padding

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live


def test_noted_and_read_again(tmp_path: Path) -> None:
    noted = tmp_path / "run" / "registers.json"
    bpftrace = find()
    measured = {"STACK": STACK_BYTES - (register_padding(bpftrace) or 0)}
    assert registers.constants(bpftrace, noted) == measured
    said = json.loads(noted.read_text())
    # Another value tells that it is read, not measured.
    noted.write_text(json.dumps({**said, "stack": 4096}))
    assert registers.constants(bpftrace, noted) == {"STACK": 4096}
    for wrong in (
        json.dumps({**said, "stack": 4096, "boot_id": "another"}),
        json.dumps({**said, "stack": STACK_BYTES + 1}),
        "{",
        "[]",
    ):
        noted.write_text(wrong)
        assert registers.constants(bpftrace, noted) == measured
    noted.write_text(json.dumps({**said, "stack": 4096}))
    noted.parent.chmod(0o777)
    assert registers.constants(bpftrace, noted) == measured
