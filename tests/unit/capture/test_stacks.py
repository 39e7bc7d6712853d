"""Stacks as bpftrace prints them, and symbol tables, hostile ones too."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from stackledger.capture import stacks
from stackledger.capture.lines import read_line
from stackledger.capture.sums import Sums, expanded
from stackledger.capture.symbols import Symbols, read_functions
from stackledger.catalog import Summed

KERNEL = "\n    __schedule+1560\n    schedule+35\n"


def test_kernel_functions_have_no_offsets():
    assert stacks.kernel_functions(KERNEL) == "__schedule\nschedule"
    assert stacks.kernel_functions("\n        a.b.0+0x1f\n        0xffffffffc0a1\n") == (
        "a.b.0\n[unknown]"
    )
    assert stacks.kernel_functions("") == stacks.kernel_functions("\n") == ""


def test_a_key_holds_two_stacks_and_a_text():
    user = "\n    0x7f5c\n    0x7f5d\n"
    for text in ("python", "a,\n    b", "\n,", ""):
        assert stacks.split(f"{KERNEL},{user},{text}") == (KERNEL, user, text)
    for nothing in ("", "\n"):
        assert stacks.split(f"{KERNEL},{nothing},python") == (KERNEL, nothing, "python")
        assert stacks.split(f"{nothing},{nothing},python") == (nothing, nothing, "python")
    assert stacks.split("\nff\n,\n7f5c\n,x") == ("\nff\n", "\n7f5c\n", "x")
    with pytest.raises(ValueError, match="not two stacks"):
        stacks.split("python")


def test_own_functions_are_named():
    address = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value
    assert address is not None
    raw = f"\n    {hex(address + 1)}\n    {address:x}\n    0x1\n    0x2\n"
    names = stacks.user_functions(os.getpid(), raw).split("\n")
    assert names == ["Py_GetVersion", "Py_GetVersion", "[unknown]"]
    assert Symbols().name(1 << 22, address) == ""


def test_columns_of_stacks():
    columns = stacks.named(
        {
            "pid": pa.array([os.getpid(), 1 << 22]),
            "kstack": pa.array([KERNEL, ""]).dictionary_encode(),
            "ustack": pa.array(["", "\n 0x1\n"]).dictionary_encode(),
        }
    )
    assert columns["kstack"].to_pylist() == ["__schedule\nschedule", ""]
    assert columns["ustack"].to_pylist() == ["", "[unknown]"]


def test_files_that_are_no_programs_have_no_functions(tmp_path):
    whole = Path(sys.executable).read_bytes()
    sections = struct.unpack_from("<Q", whole, 40)[0]
    broken = {
        "empty": b"",
        "text": b"#!/bin/sh\n" * 99,
        "short": whole[:100],
        "no sections": whole[:sections],
        "wild": whole[:32] + b"\xff" * 32 + whole[64:4096],
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        assert read_functions(str(tmp_path / name)).names == [], name
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", "absent", "."):
        assert read_functions(str(tmp_path / path)).names == []
    assert any(name.startswith(b"Py") for name in read_functions(sys.executable).names) or any(
        name == b"main" for name in read_functions(sys.executable).names
    )


SUMMED = Summed("off_cpu", ("pid", "state", "kstack", "ustack", "comm"), ("blocks", "total_ns"))


@pytest.mark.parametrize("escaped", [False, True])
def test_stacks_that_print_alike_are_summed(escaped):
    """bpftrace prints keys that differ as one text; JSON readers would keep the last alone."""
    newline = "\\\\n" if escaped else "\\n"
    key = f"0,7,1,{newline}    a+1{newline},{newline}    0x1{newline},x,y"
    other = key.replace("a+1", "a+2").replace("0,7", "1,7")
    escape = '{"type": "map", "data": {"@stackledger_escape": {"%s": 1}}}'
    line = '{"type": "map", "data": {"@off_cpu_even": {"%s": [1,5], "%s": [2,7], "%s": [4,9]}}}'
    sums = Sums([SUMMED])
    sums.begin_second(3)
    told = read_line((escape % ('\\\\\\"' if escaped else '\\"')).encode())
    for name, content in told.data.items():
        assert sums.take(name, content) is None
    told = read_line((line % (key, key, other)).encode())
    table, rows = sums.take(*next(iter(told.data.items())))
    assert table == "off_cpu"
    (row,) = rows.to_pylist()
    assert (row["pid"], row["state"], row["comm"]) == (7, 1, "x,y")
    assert (row["kstack"], row["ustack"]) == ("a", "[unknown]")
    assert (row["blocks"], row["total_ns"]) == (7, 21)


def test_the_maps_of_stacks_are_typed_once():
    begin = expanded("BEGIN { @x = 1; }\n", [SUMMED]).partition("\n")[0]
    assert begin.count("kstack(bpftrace)") == begin.count("$ustack = ustack;") == 1
    assert begin.count("$kstack, $ustack, comm]") == 4


@pytest.mark.parametrize("attack", ["names", "tables"])
def test_a_program_made_to_keep_its_reader_busy_is_given_up(attack, tmp_path):
    """Names of megabytes without an end; a thousand tables in the same place."""
    count = 20_000
    text = b"\0" + b"x" * (8 << 20)
    tables = 1000 if attack == "tables" else 1
    symbol = b"".join(struct.pack("<IBBHQQ", 1, 2, 0, 1, at + 1, 1) for at in range(count))
    at = 64 + 64 * (tables + 1)
    section = struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, at, len(symbol), tables, 0, 8, 24)
    strings = struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, at + len(symbol), len(text), 0, 0, 1, 0)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, tables + 1, 0)
    path = tmp_path / "program"
    path.write_bytes(header + section * tables + strings + symbol + text)
    before = resource.getrusage(resource.RUSAGE_SELF)
    found = read_functions(str(path))
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert found.size_bytes <= 64 << 20
    assert len(found.names) <= count
    assert after.ru_maxrss - before.ru_maxrss < 256 << 10
    assert after.ru_utime - before.ru_utime < 5
