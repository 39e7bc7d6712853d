"""The kernel's types: what is read of them, and the declarations that programs get."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackledger.capture import btf, kerneltypes
from stackledger.capture.btf import Kind, Types

OLD, NEW = (0, 17, 0), (0, 23, 2)


class _Made:
    """Writes a BTF file, type by type."""

    def __init__(self) -> None:
        self._names, self._types, self._count = b"\0", b"", 0

    def name(self, text: str) -> int:
        at = len(self._names)
        self._names += text.encode() + b"\0"
        return at if text else 0

    def add(self, kind: int, name: str = "", last: int = 0, *words: int, parts: int = 0) -> int:
        info = (kind & 31) << 24 | parts | (kind & 0x100) << 23
        self._types += struct.pack(f"=III{len(words)}I", self.name(name), info, last, *words)
        self._count += 1
        return self._count

    def struct(self, name: str, size: int, *members: tuple[str, int, int, int]) -> int:
        """Members are name, type, offset in bits, width of a bit-field or 0."""
        words = [
            word
            for label, kind, offset, bits in members
            for word in (self.name(label), kind, offset | bits << 24)
        ]
        return self.add(Kind.STRUCT | 0x100, name, size, *words, parts=len(members))

    def bytes(self) -> bytes:
        header = (0xEB9F, 1, 0, 24, 0, len(self._types), len(self._types), len(self._names))
        return struct.pack("=HBBIIIII", *header) + self._types + self._names


@pytest.fixture
def made() -> bytes:
    it = _Made()
    number = it.add(Kind.INT, "unsigned int", 4, 32)
    inner = it.struct("inner", 8, ("low", number, 0, 0), ("high", number, 32, 0))
    hidden = it.struct("", 8, ("left", number, 0, 0), ("right", number, 32, 0))
    pointer = it.add(Kind.POINTER, "", it.add(Kind.CONST, "", inner))
    index = it.add(Kind.ARRAY, "", 0, number, number, 6)
    for name in ("number_t", "u64", "s64"):
        it.add(Kind.TYPEDEF, name, number)
    it.struct(
        "outer",
        64,
        ("first", number, 0, 0),
        ("held", it.add(Kind.TYPEDEF, "inner_t", inner), 64, 0),
        ("", hidden, 128, 0),
        ("at", pointer, 192, 0),
        ("many", index, 256, 0),
        ("flag", number, 453, 1),
    )
    return it.bytes()


def test_only_named_members_are_declared_where_the_kernel_has_them(made):
    program = "BEGIN { $o = (struct outer *)1; $o->held.high; $o->right; $o->at->low; $o->flag }"
    text = kerneltypes.prepared(program, Types(made), NEW).text
    assert text == (
        "struct sl_inner { union { char sl_size[8]; "
        "struct {  unsigned int low; } __attribute__((packed)); "
        "struct { char sl_to_high[4]; unsigned int high; } __attribute__((packed)); }; }; "
        "struct sl_outer { union { char sl_size[64]; "
        "struct { char sl_to_held[8]; struct sl_inner held; } __attribute__((packed)); "
        "struct { char sl_to_right[20]; unsigned int right; } __attribute__((packed)); "
        "struct { char sl_to_at[24]; struct sl_inner *at; } __attribute__((packed)); "
        "struct { char sl_to_flag[56]; unsigned int : 5; unsigned int flag : 1; } "
        "__attribute__((packed)); }; }; " + program.replace("struct outer", "struct sl_outer")
    )


def test_an_array_keeps_its_length(made):
    text = kerneltypes.prepared("{ ((struct outer *)1)->many[2] }", Types(made), NEW).text
    assert "char sl_to_many[32]; unsigned int many[6];" in text


def test_a_struct_that_the_kernel_does_not_have_stays(made):
    program = "{ ((struct user_defined *)1)->first }"
    assert kerneltypes.prepared(program, Types(made), OLD) == kerneltypes.Prepared(program)


def test_a_type_that_only_a_module_tells_is_defined(made):
    program = "tracepoint:jbd2:jbd2_run_stats { print(args->tid); }"
    text = kerneltypes.prepared(program, Types(made), NEW).text
    assert text == f"#define tid_t unsigned int\n{program}"
    other = "tracepoint:sched:sched_switch { print(args->next_pid); }"
    assert kerneltypes.prepared(other, Types(made), NEW).text == other


def test_a_named_number_of_the_kernel_is_defined():
    it = _Made()
    names = [it.name("cpu_cgrp_id"), 1, it.name("memory_cgrp_id"), 4]
    it.add(Kind.ENUM, "cgroup_subsys_id", 4, *names, parts=2)
    types = Types(it.bytes())
    assert types.enumerator("cgroup_subsys_id", "memory_cgrp_id") == 4
    assert types.enumerator("cgroup_subsys_id", "io_cgrp_id") is None
    assert types.enumerator("unheard_of", "memory_cgrp_id") is None
    program = "BEGIN { print(memory_cgrp_id); }"
    text = kerneltypes.prepared(program, types, NEW).text
    assert text == f"#define memory_cgrp_id 4\n{program}"


def test_without_types_a_program_stays_as_it_is():
    program = "{ (struct outer *)1 }"
    assert kerneltypes.prepared(program, None, OLD) == kerneltypes.Prepared(program)


FORMAT = """\
name: one
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:inner_t held;\toffset:8;\tsize:8;\tsigned:0;
\tfield:number_t often[4];\toffset:8;\tsize:8;\tsigned:0;
\tfield:const struct outer * from;\toffset:8;\tsize:8;\tsigned:0;
\tfield:__data_loc char[] name;\toffset:16;\tsize:4;\tsigned:0;
"""


@pytest.mark.parametrize(
    ("fields", "version", "has"),
    [
        (FORMAT.replace("inner_t", "int"), (0, 17, 0), True),
        (FORMAT.replace("inner_t", "int"), (0, 23, 2), False),  # reads types fast enough
        (FORMAT, (0, 17, 0), False),  # a struct: only the kernel's own file tells it
        (FORMAT.replace("inner_t", "unheard_of"), (0, 17, 0), False),
        (FORMAT.replace("inner_t", "struct inner"), (0, 17, 0), False),
    ],
)
def test_an_old_bpftrace_gets_the_types_of_the_fields_alone(made, tmp_path, fields, version, has):
    (tmp_path / "a" / "one").mkdir(parents=True)
    (tmp_path / "a" / "one" / "format").write_text(fields)
    program = "tracepoint:a:one { print(((struct outer *)1)->first); }"
    given = kerneltypes.prepared(program, Types(made), version, tmp_path)
    assert given.text.endswith("((struct sl_outer *)1)->first); }")
    assert bool(given.btf) == has
    if has:
        read = Types(given.btf)
        number = read.typedef("number_t")
        assert read.integer(read.resolve(number)) == "unsigned int"
        assert read.struct("outer") is None


def test_a_kernel_that_does_not_tell_its_types(tmp_path):
    assert btf.of_kernel(tmp_path / "none") is None
    (tmp_path / "text").write_text("nothing of that kind, but long enough for a header")
    assert btf.of_kernel(tmp_path / "text") is None


@given(st.data())
def test_what_is_cut_is_refused(data):
    it = _Made()
    it.struct("a", 4, ("b", it.add(Kind.INT, "int", 4, 32), 0, 0))
    whole = it.bytes()
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match="BTF"):
        Types(whole[:end])
