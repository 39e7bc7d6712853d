"""Every parser of what a stranger wrote, as a function of bytes that fails on a defect alone.

A target takes an input and raises nothing where the parser does what it promises: it reads
the input, or refuses it with the error that its docstring names. Whatever else comes out of
it (another exception, a broken promise, too much time or memory) is a defect. Inputs that
once were one are in `corpus/TARGET/`, beside honest ones to begin with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz import captures, recorder, texts

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """A parser: `share` of all inputs of a long run are its; `words` are what it looks for."""

    name: str
    run: Callable[[bytes], None]
    share: float
    words: tuple[bytes, ...] = ()

    def corpus(self) -> list[bytes]:
        """Return the inputs kept for it, by name."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).iterdir())]


_JSON = (b'{"', b'":', b"[", b"]", b"null", b"1e999", b"-1", b"9223372036854775808", b"\\ud800")
_ROW = (
    *(b'{"type": "', b'value", "data": [', b'printf", "data": "', b'map", "data": {'),
    *(b"\\uffffffc3", b"\\u0000", b'\\"', b"\\\\", b"\\t", b"\x7f", b"\x01", b"\x02", b"\n"),
    *(b"0x", b"18446744073709551616", b"lost_events", b'"hist"', b"stackledger_second"),
)
_CSV = (b'"', b'""', b",", b"\r\n", b"\xef\xbb\xbf", b"\x00", b"NaN", b"1e999999999", b"-0")
_REQUEST = (
    *(b"GET /", b" HTTP/1.1\\x0d\\x0a", b"Q\\x00\\x00\\x00", b"P\\x00\\x00\\x00", b"\\x00"),
    *(b"SELECT ", b" IN (", b"$$", b"$tag$", b"e'", b"--", b"/*", b"*3\\x0d\\x0a$3\\x0d\\x0a"),
    *(b"'", b'"', b"?", b"\xe2\x80\xa6", b"\x03", b"\x04", b"{id}"),
)
_HEADER = (b"// Emits: ", b"// Needs: bpftrace >= 0.17", b"// Sums: ", b" | ", b"-- Params: ", b"(")
_TOML = (b"[[node]]", b"[[disk]]", b"[[network]]", b"[[price]]", b"nan", b"inf", b"1979-05-27")

TARGETS = {
    one.name: one
    for one in (
        Target("line", recorder.line, 0.3, (*_ROW, *_JSON)),
        Target("decoder", recorder.decoder, 0.006, (*_ROW, *_JSON)),
        Target("protocol", recorder.protocol, 0.003, _REQUEST),
        Target("proc", recorder.proc, 0.18, (b") S ", b"(", b"\x85", b"18446744073709551616")),
        Target("socket", recorder.listed_socket, 0.1508, (b"cubic", b"\x00\x00\x06\x00")),
        Target("symbol", recorder.symbol, 0.04, (b"\x7fELF\x02\x01", b"\xff" * 8)),
        Target("probe", texts.probe, 0.04, _HEADER),
        Target("script", texts.script, 0.01, _HEADER),
        Target("model", texts.model, 0.01, _TOML),
        Target("layers", texts.layer_rules, 0.04, (b"program,", b"port,", *_CSV)),
        Target("prices", texts.prices, 0.04, _CSV),
        Target("focus", texts.focus, 0.02, (*_CSV, b"PAR1")),
        Target("manifest", captures.manifest, 0.08, _JSON),
        Target("prediction", captures.prediction, 0.08, _JSON),
        Target("parquet", captures.parquet, 0.0002, (b"PAR1", b"\xff\xff\xff\x7f")),
    )
}
