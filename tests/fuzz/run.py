"""The long run: `python tests/fuzz/run.py --inputs 10000000`, guided by coverage (atheris).

Each target runs in a process of its own, with limits on an input's time and on memory. It
prints a row per target, ends with 1 where an input did harm, and keeps that input in
`--found DIR`: mend it, and put it into `corpus/TARGET/`.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
INPUT_LIMIT_S = 20
MEMORY_LIMIT_MB = 1024
ADDRESS_SPACE_BYTES = 16 << 30  # threads of DuckDB and Arrow reserve, and do not use it
LONGEST_BYTES = 8192
_IN_MEMORY = Path("/dev/shm")
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")


def main() -> int:
    """Share the inputs out; return 1 where one did harm."""
    asked = _options()
    if asked.inside:
        return _fuzz(asked.inside, asked.rest)
    from tests.fuzz.targets import TARGETS

    asked.found.mkdir(parents=True, exist_ok=True)
    harmful, total = 0, 0
    print(f"{'target':12}{'inputs':>12}{'seconds':>9}  harm")
    for name in asked.target or TARGETS:
        wanted = max(1, round(asked.inputs * TARGETS[name].share))
        done, seconds, harm = _one(name, wanted, asked.found)
        harmful, total = harmful + bool(harm), total + done
        print(f"{name:12}{done:12,}{seconds:9.0f}  {harm or 'none'}", flush=True)
    print(f"{'in all':12}{total:12,}")
    return 1 if harmful else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--target", action="append")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"))
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


def _one(name: str, inputs: int, found: Path) -> tuple[int, float, str]:
    """Run one target; return the inputs it took, the seconds, and what went wrong."""
    from tests.fuzz.targets import CORPUS, TARGETS

    begun = time.monotonic()
    # What the target writes goes with it: libFuzzer ends without a word to Python.
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as place:
        grown, words = Path(place, "grown"), Path(place, "words")
        grown.mkdir()
        words.write_text("".join(f'"{_escaped(one)}"\n' for one in TARGETS[name].words))
        done = subprocess.run(
            [
                *(sys.executable, __file__, "--inside", name, "--"),
                *(f"-runs={inputs}", f"-max_len={LONGEST_BYTES}", f"-dict={words}"),
                *(f"-timeout={INPUT_LIMIT_S}", f"-rss_limit_mb={MEMORY_LIMIT_MB}"),
                *(f"-artifact_prefix={found.resolve()}/{name}-",),
                *(str(grown), str(CORPUS / name)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=_limit,
            env={**os.environ, "TMPDIR": place},
        )
    told = _DONE.search(done.stdout)
    harm = "" if done.returncode == 0 else _why(done.stdout)
    if harm:
        (found / f"{name}.log").write_text(done.stdout, encoding="utf-8")
    reached = re.findall(r"^#(\d+)\t", done.stdout, re.MULTILINE)
    taken = int(told[1]) if told else int(reached[-1]) if reached else 0
    return taken, time.monotonic() - begun, harm


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))


def _why(said: str) -> str:
    lines = [one for one in said.splitlines() if "Error" in one or "ERROR" in one]
    return lines[0].strip()[:100] if lines else "it ended without a word"


def _fuzz(name: str, rest: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=["stackledger"]):
        from tests.fuzz.targets import TARGETS
    run = TARGETS[name].run
    atheris.Setup([name, *rest], lambda data: run(bytes(data)))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "pipeline")]
    sys.exit(main())
