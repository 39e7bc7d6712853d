"""A wheel, and a wheel built from the sdist, in an empty environment find their data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import typer

from stackledger import __version__

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = ("costmodels", "probes", "queries", "recordings")
LIST_DATA = f"""
import json
from stackledger.resources import folder
found = {{}}
for name in {DATA!r}:
    base = folder(name)
    found[name] = [str(base), sorted(
        p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file()
    )]
print(json.dumps(found))
"""


def _files(name: str) -> list[str]:
    base = CHECKOUT / ("pipeline/stackledger/data" if name == "recordings" else "") / name
    return sorted(path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file())


def _build(function: str, source: Path, into: Path) -> Path:
    """Call one hook of the build backend, as pip and uv do, without the network."""
    into.mkdir()
    code = f"import hatchling.build as b; print(b.{function}({str(into)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )
    return into / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    work = tmp_path_factory.mktemp("packaging")
    sdist = _build("build_sdist", CHECKOUT, work / "sdist")
    (work / "unpacked").mkdir()
    subprocess.run(["tar", "-xzf", sdist, "-C", work / "unpacked"], check=True)
    (unpacked,) = (work / "unpacked").iterdir()
    return {
        "checkout": _build("build_wheel", CHECKOUT, work / "from_checkout"),
        "sdist": _build("build_wheel", unpacked, work / "from_sdist"),
    }


@pytest.fixture(params=["checkout", "sdist"])
def wheel(request: pytest.FixtureRequest, wheels: dict[str, Path]) -> Path:
    return wheels[request.param]


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """Return the bin/ of an environment that holds the wheel alone.

    The libraries it needs are seen through a .pth: no test downloads 150 MB.
    """
    environment = tmp_path / "env"
    venv.create(environment, symlinks=True, with_pip=False)
    python = environment / "bin/python"
    subprocess.run(
        [*_installer(python), "--no-deps", "--no-index", wheel], check=True, capture_output=True
    )
    (site,) = (environment / "lib").glob("python3*/site-packages")
    (site / "libraries.pth").write_text(f"{Path(typer.__file__).parent.parent}\n")
    return environment / "bin"


def _installer(python: Path) -> list[str | Path]:
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--python", python]
    return [sys.executable, "-m", "pip", "--python", python, "install"]


def _run(program: Path, *words: str, cwd: Path) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, check=True, cwd=cwd, env=clean
    )
    return done.stdout


def test_an_installed_wheel_finds_all_its_data(installed, tmp_path):
    found = json.loads(_run(installed / "python", "-c", LIST_DATA, cwd=tmp_path))
    for name in DATA:
        base, files = found[name]
        assert Path(base).is_relative_to(tmp_path / "env")
        assert files == _files(name)
    assert any(name.endswith(".bt") for name in found["probes"][1])
    assert any(name.endswith(".sql") for name in found["queries"][1])


def test_an_installed_wheel_tells_its_version(installed, tmp_path):
    shown = _run(installed / "stackledger", "--version", cwd=tmp_path)
    assert shown == f"stackledger {__version__}\n"


def test_a_wheel_brings_the_program_the_licence_and_the_types(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"stackledger-{__version__}.dist-info"
        entry = archive.read(f"{info}/entry_points.txt").decode()
    assert "stackledger = stackledger.cli:main" in entry
    assert f"{info}/licenses/LICENSE" in names
    assert "stackledger/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"stackledger", info}


def test_both_wheels_are_the_same(wheels):
    contents = []
    for path in wheels.values():
        with zipfile.ZipFile(path) as archive:
            contents.append({name: archive.read(name) for name in archive.namelist()})
    assert contents[0] == contents[1]
