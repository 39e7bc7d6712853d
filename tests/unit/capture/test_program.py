"""What enters a program that runs in the kernel as root, and what is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackledger.capture import program
from stackledger.capture.program import Filters, build, literal
from stackledger.capture.symbols import read_functions
from stackledger.errors import StackledgerError, UsageError

TEMPLATE = """BEGIN
{
    // @listen
}
tracepoint:a:b
{
    // @filter
    @x = __SIZE__ + __FILTERED__;
}
"""


def _read_back(text: str) -> bytes:
    """Return the bytes that bpftrace's lexer makes of a literal."""
    assert text[0] == text[-1] == '"'
    body = text[1:-1]
    assert '"' not in body
    assert body.isascii()
    assert body.isprintable()
    octal = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), body)
    return octal.encode("latin-1")


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_literal_is_the_text_and_nothing_else(text: str) -> None:
    assert _read_back(literal(text)) == text.encode("utf-8")


@pytest.mark.parametrize(
    "text", ['a","x":1}', '" || 1 == 1 || comm == "', "\\", "\n", "*/", "//", "$x", "{", "é", "%s"]
)
def test_hostile_literals(text: str) -> None:
    assert _read_back(literal(text)) == text.encode()
    assert not set(literal(text)[1:-1]) & set("\"'{}$%;*\n")


def test_the_program() -> None:
    text = build(TEMPLATE, listen=[443, 80, 80], constants={"SIZE": 16384})
    assert "    @listen[80] = 1;\n    @listen[443] = 1;\n" in text
    assert "@x = 16384 + 0;" in text
    assert "return" not in text


def test_the_recorder_can_be_left_out_where_its_number_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Path("/proc/self/ns/pid").stat().st_ino
    monkeypatch.setattr(program, "_HOST_PIDS", own)
    assert build("/pid == __SELF__/") == f"/pid == {os.getpid()}/"
    # Another process of the host has that number.
    monkeypatch.setattr(program, "_HOST_PIDS", own + 1)
    assert build("/pid == __SELF__/") == "/pid == 0/"


def test_filters_are_any_of_a_kind_and_all_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = tmp_path / "user.slice"
    group.mkdir()
    (group / "cgroup.procs").touch()
    filters = Filters(pids=(1, 22), comms=("nginx", 'a"b'), cgroups=(str(group),))
    text = build(TEMPLATE, filters=filters, constants={"SIZE": 1})
    inode = group.stat().st_ino
    assert (
        'if (!((pid == 1 || pid == 22) && (comm == "nginx" || comm == "a\\042b")'
        f" && (cgroup == {inode}))) {{ return; }}" in text
    )
    assert "@x = 1 + 1;" in text
    monkeypatch.setattr(program, "cgroup2_mounts", lambda: [tmp_path])
    assert program.cgroup_id("/user.slice") == inode


@pytest.mark.parametrize(
    "filters",
    [
        Filters(pids=(0,)),
        Filters(pids=(-1,)),
        Filters(pids=(1 << 40,)),
        Filters(pids=("1; } END {",)),  # type: ignore[arg-type]
        Filters(pids=(True,)),
        Filters(comms=("",)),
        Filters(comms=("sixteen bytes ab",)),
        Filters(comms=("éééééééé",)),
        Filters(comms=("nul\0",)),
        Filters(cgroups=("/nowhere",)),
        Filters(cgroups=("/proc",)),
    ],
)
def test_what_is_refused(filters: Filters) -> None:
    with pytest.raises(UsageError):
        build(TEMPLATE, filters=filters, constants={"SIZE": 1})


@pytest.mark.parametrize("port", [0, -1, 65536, "80", True])
def test_ports_are_ports(port: int) -> None:
    with pytest.raises(UsageError):
        build(TEMPLATE, listen=[port], constants={"SIZE": 1})


def test_a_placeholder_needs_a_value() -> None:
    with pytest.raises(StackledgerError, match="__SIZE__"):
        build(TEMPLATE)


def test_a_filter_s_text_is_not_looked_at_again() -> None:
    text = build(TEMPLATE, filters=Filters(comms=("__SIZE__", "// @listen")), constants={"SIZE": 7})
    assert 'comm == "__SIZE__"' in text
    assert 'comm == "// \\100listen"' in text
    assert "@listen[" not in text


PATH = str(Path("/proc/self/exe").resolve())


def _any_function() -> str:
    return read_functions(PATH).names[0].decode()


def test_a_function_enters_a_program_as_hook_and_name():
    name = _any_function()
    wanted = program.function(f"{PATH}:{name}")
    built = build('uretprobe:@function { @a["@function"] = 1; }\n', function=wanted)
    assert built == f'uretprobe:{PATH}:{name} {{ @a["{name}"] = 1; }}\n'


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "main", f"{PATH}:", ":main", "python:main", f"{PATH}:no such", f"{PATH}:a*"),
        *(f'{PATH}:main {{ system("id"); }} uprobe:{PATH}:main', f"{PATH}:main,{PATH}:main"),
        *(f"{PATH}:not_a_function_of_it", "/etc/hosts:main", "/not/there:main", "/tmp:main"),
        *(f"{PATH}\n:main", "/tmp/a b:main", "/tmp/*:main", f"{PATH}:main\n", "/root/\u00e9:main"),
    ],
)
def test_what_is_no_function_is_refused(text):
    with pytest.raises(UsageError):
        program.function(text)


def test_a_probe_of_a_function_needs_one():
    with pytest.raises(UsageError, match="needs a function"):
        build("uprobe:@function { }\n")
