"""The output that the README shows is what `stackledger demo` prints."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_what_the_demo_prints(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.search(r"```text\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    code, out, _ = run("demo", "-o", str(tmp_path / "page.html"))
    assert code == 0
    assert shown[1].strip()
    assert out.startswith(shown[1].rstrip("\n"))
