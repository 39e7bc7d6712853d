"""Declares the kernel structs that a program reads: their members of those names, no others.

Left to itself bpftrace has clang read thousands of the kernel's types, round after
round, which takes most of the time that a program needs to start: one second for
fsync, where its own few declarations take a tenth. The program stays as it is
written but for `struct NAME`, which becomes `struct sl_NAME`: a name that bpftrace
does not look up. Every member stands in a struct of its own behind as many bytes as
lie before it in the kernel's.
"""

from __future__ import annotations

import re

from stackledger.capture.btf import Kind, Types

_STRUCT = re.compile(r"\bstruct ([A-Za-z_]\w*)")
_MEMBER = re.compile(r"(?:->|\.)\s*([A-Za-z_]\w*)")
_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)
_PREFIX = "sl_"
# Types of tracepoints' fields that only a module's BTF tells where that is a module.
_OF_MODULES = {"tid_t": ("jbd2", "unsigned int")}
_PACKED = "__attribute__((packed))"


def declared(program: str, types: Types | None) -> str:
    """Return the program with declarations before it; as it is where there are no types."""
    return _of_modules(program, types) + _with_structs(program, types)


def _of_modules(program: str, types: Types | None) -> str:
    return "".join(
        f"#define {name} {meaning}\n"
        for name, (category, meaning) in _OF_MODULES.items()
        if types and f"tracepoint:{category}:" in program and not types.knows(name)
    )


def _with_structs(program: str, types: Types | None) -> str:
    code = _COMMENT.sub("", program)
    used = {name for name in _STRUCT.findall(code) if types and types.struct(name) is not None}
    if types is None or not used:
        return program
    declarations = _Declarations(types, frozenset(_MEMBER.findall(code)))
    for name in sorted(used):
        declarations.add(name)
    renamed = _STRUCT.sub(
        lambda found: f"struct {_PREFIX}{found[1]}" if found[1] in used else found[0], program
    )
    # On one line: errors name lines.
    return " ".join(declarations.finished()) + " " + renamed


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
            return f"{types.name(number)} {name}"
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
            return types.name(number)
        return "void *" if kind == Kind.POINTER else "void"
