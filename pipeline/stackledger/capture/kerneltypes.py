"""What a program needs to know of the kernel's types, and no more.

Left to itself bpftrace has clang read thousands of types, round after round, which
takes most of the time that a program needs to start: one second for fsync, where its
own few declarations take a tenth. The program stays as it is written but for `struct
NAME`, which becomes `struct sl_NAME`: a name that bpftrace does not look up. Every
member stands in a struct of its own behind as many bytes as lie before it in the
kernel's. What is left are the types of tracepoints' fields: 0.17 gets a BTF file of
those alone, for it goes through all of the kernel's 130,000 for each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from stackledger.capture.btf import Kind, Types, small

_STRUCT = re.compile(r"\bstruct ([A-Za-z_]\w*)")
_MEMBER = re.compile(r"(?:->|\.)\s*([A-Za-z_]\w*)")
_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)
_PREFIX = "sl_"
_OWN = re.compile(rf"\bstruct {_PREFIX}\w+")
_FUNCTIONS = re.compile(r"\b(?:kfunc|kretfunc|fentry|fexit|rawtracepoint|iter):")
_TRACEPOINT = re.compile(r"\btracepoint:(\w+):(\w+)")
_FIELD = re.compile(r"^\s*field:([^;]*?)(?:\[[^;]*\])?;", re.MULTILINE)
_WORD = re.compile(r"\w+")
_WORDS_OF_C = frozenset(
    ("char", "short", "int", "long", "signed", "unsigned", "float", "double", "void", "_Bool")
)
_BESIDE_A_TYPE = frozenset(("const", "volatile", "enum", "__data_loc", "__rel_loc"))
_OF_BPFTRACE = frozenset(("u64", "s64"))  # it puts them for an int of eight bytes
_EVENTS = (Path("/sys/kernel/tracing/events"), Path("/sys/kernel/debug/tracing/events"))
_READS_FAST = (0, 18)  # was only measured with 0.17
# Types of tracepoints' fields that only a module's BTF tells where that is a module.
_OF_MODULES = {"tid_t": ("jbd2", "unsigned int")}
# Numbers that differ from kernel to kernel, by the enum that gives them.
_ENUMERATORS = {"memory_cgrp_id": "cgroup_subsys_id"}
_PACKED = "__attribute__((packed))"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program as bpftrace gets it, and the BTF file that it is to read; empty: the kernel's."""

    text: str
    btf: bytes = b""


def prepared(
    program: str, types: Types | None, version: tuple[int, ...], events: Path | None = None
) -> Prepared:
    """Return the program with all that it needs; as it is where the kernel tells no types.

    `events` is where the tracepoints are described.
    """
    if types is None:
        return Prepared(program)
    defined = {**_of_modules(program, types), **_enumerators(program, types)}
    text = declared(program, types)
    text = "".join(f"#define {name} {meaning}\n" for name, meaning in defined.items()) + text
    rest = _STRUCT.search(_OWN.sub("", _COMMENT.sub("", text)))
    if version >= _READS_FAST or rest or _FUNCTIONS.search(program):
        return Prepared(text)
    try:
        names = _field_types(program, events or _events()) - defined.keys()
        return Prepared(text, small(types, sorted(names | _OF_BPFTRACE)))
    except (OSError, ValueError):
        return Prepared(text)


def declared(program: str, types: Types) -> str:
    """Return the program with its structs declared before it."""
    code = _COMMENT.sub("", program)
    used = {name for name in _STRUCT.findall(code) if types.struct(name) is not None}
    declarations = _Declarations(types, frozenset(_MEMBER.findall(code)))
    for name in sorted(used):
        declarations.add(name)
    renamed = _STRUCT.sub(
        lambda found: f"struct {_PREFIX}{found[1]}" if found[1] in used else found[0], program
    )
    # On one line: errors name lines.
    return " ".join([*declarations.finished(), renamed])


def _of_modules(program: str, types: Types) -> dict[str, str]:
    """Return the names that the kernel's types lack, and what they mean."""
    return {
        name: meaning
        for name, (category, meaning) in _OF_MODULES.items()
        if f"tracepoint:{category}:" in program and types.typedef(name) is None
    }


def _enumerators(program: str, types: Types) -> dict[str, str]:
    """Return the values of the kernel's named numbers that a program uses."""
    values = {
        name: types.enumerator(enum, name) for name, enum in _ENUMERATORS.items() if name in program
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _events() -> Path:
    return next((path for path in _EVENTS if path.is_dir()), _EVENTS[0])


def _field_types(program: str, events: Path) -> set[str]:
    """Return the names of typedefs and enums in the fields of a program's tracepoints.

    Raises OSError for one that is not described, ValueError where a field is a struct.
    """
    found: set[str] = set()
    for category, name in set(_TRACEPOINT.findall(program)):
        text = (events / category / name / "format").read_text(encoding="ascii")
        for declaration in _FIELD.findall(text):
            words = [one for one in _WORD.findall(declaration) if one not in _BESIDE_A_TYPE]
            if words[0] in ("struct", "union") and "*" not in declaration:
                raise ValueError(f"a field that is a struct: {declaration}")
            if words[0] not in ("struct", "union"):
                found.update(words[:-1])
    return found - _WORDS_OF_C


class _Declarations:
    """The structs of one program, each behind those that it holds."""

    def __init__(self, types: Types, members: frozenset[str]) -> None:
        self._types = types
        self._members = members
        self._done: dict[str, str] = {}
        self._pointed_to: list[str] = []

    def finished(self) -> list[str]:
        """Return the declarations, those of structs that are only pointed to among them."""
        while self._pointed_to:
            self.add(self._pointed_to.pop())
        return list(self._done.values())

    def add(self, name: str) -> None:
        """Declare a struct, and before it what it holds."""
        number = self._types.struct(name)
        if name not in self._done and number is not None:
            body = self._body(number)
            self._done[name] = f"struct {_PREFIX}{name} {{ {body} }};"

    def _body(self, number: int) -> str:
        size = self._types.size_bytes(number)
        members = " ".join(self._placed(number, 0))
        return f"union {{ char sl_size[{size}]; {members} }};"

    def _placed(self, number: int, base_bits: int) -> list[str]:
        """Return the members that the program names, in structs of their own."""
        found = []
        for member in self._types.members(number):
            offset = base_bits + member.offset_bits
            kind = self._types.resolve(member.type)
            if not member.name and self._types.kind(kind) in (Kind.STRUCT, Kind.UNION):
                found += self._placed(kind, offset)
            elif member.name in self._members:
                field = self._field(kind, member.name)
                if field is not None:
                    before = [f"char sl_to_{member.name}[{offset // 8}];"] if offset >= 8 else []
                    if member.bits:
                        before += [f"unsigned int : {offset % 8};"] if offset % 8 else []
                        field += f" : {member.bits}"
                    found.append(f"struct {{ {' '.join(before)} {field}; }} {_PACKED};")
        return found

    def _field(self, number: int, name: str) -> str | None:
        """Return the declaration of `name`; None for what no program reads, as functions."""
        types = self._types
        kind = types.kind(number)
        if kind == Kind.INT:
            return f"{types.integer(number)} {name}"
        if kind in (Kind.ENUM, Kind.ENUM64):
            return f"unsigned {'int' if types.size_bytes(number) == 4 else 'long'} {name}"
        if kind == Kind.POINTER:
            return f"{self._pointed(types.resolve(types.target(number)))} *{name}"
        if kind == Kind.ARRAY:
            element, length = types.element(number)
            inner = self._field(types.resolve(element), name)
            return None if inner is None or inner.endswith("]") else f"{inner}[{length}]"
        if kind == Kind.STRUCT and types.struct(types.name(number)) == number:
            self.add(types.name(number))
            return f"struct {_PREFIX}{types.name(number)} {name}"
        if kind in (Kind.STRUCT, Kind.UNION):
            word = "struct" if kind == Kind.STRUCT else "union"
            return f"{word} {{ {self._body(number)} }} {name}"
        return None

    def _pointed(self, number: int) -> str:
        types = self._types
        kind = types.kind(number)
        if kind == Kind.STRUCT and types.name(number):
            self._pointed_to.append(types.name(number))
            return f"struct {_PREFIX}{types.name(number)}"
        if kind == Kind.INT:
            return types.integer(number)
        return "void *" if kind == Kind.POINTER else "void"
