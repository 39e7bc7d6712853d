"""Reads the kernel's own types (BTF): names, kinds, and where a struct's members lie.

And writes a file of a few of them, for a bpftrace that would go through all. The
format: Documentation/bpf/btf.rst of the kernel. Offsets are in bits.
"""

from __future__ import annotations

import struct as packing
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

KERNEL = Path("/sys/kernel/btf/vmlinux")
_MAGIC = 0xEB9F
_HEADER = packing.Struct("=HBBIIIII")


class Kind(IntEnum):
    """What a type is."""

    VOID = 0
    INT = 1
    POINTER = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNCTION_TYPE = 13
    VARIABLE = 14
    SECTION = 15
    DECLARATION_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


# Words of a type of each kind, and those for each of its parts.
_WORDS, _PART_WORDS = [3] * 32, [0] * 32
for _kind, _words in (
    (Kind.INT, 4),
    (Kind.ARRAY, 6),
    (Kind.VARIABLE, 4),
    (Kind.DECLARATION_TAG, 4),
):
    _WORDS[_kind] = _words
for _kind in (Kind.STRUCT, Kind.UNION, Kind.SECTION, Kind.ENUM64):
    _PART_WORDS[_kind] = 3
for _kind in (Kind.ENUM, Kind.FUNCTION_TYPE):
    _PART_WORDS[_kind] = 2
_INTEGERS = {1: "char", 2: "short", 4: "int", 8: "long", 16: "__int128"}
_NAMES_ONLY = frozenset((Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG))


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union: `bits` is its width where it is a bit-field, else 0."""

    name: str
    type: int
    offset_bits: int
    bits: int


class Types:
    """The types of one BTF file, by number; 0 is void."""

    def __init__(self, raw: bytes) -> None:
        """Find where each type begins; raises ValueError where it is not BTF of this host."""
        try:
            magic, _, _, header, types, types_bytes, names, names_bytes = _HEADER.unpack_from(raw)
        except packing.error:
            raise ValueError("too short for BTF") from None
        if magic != _MAGIC or header + max(types + types_bytes, names + names_bytes) > len(raw):
            raise ValueError("not BTF")
        self._words = array("I", raw[header + types : header + types + types_bytes])
        self._names = raw[header + names : header + names + names_bytes]
        # Of 130,000 types: a tenth of a second if it were written less plainly.
        words, starts = self._words, [-1]
        named: dict[int, dict[int, int]] = {Kind.STRUCT: {}, Kind.TYPEDEF: {}, Kind.ENUM: {}}
        tables = [named.get(kind) for kind in range(32)]
        fixed, each, found = _WORDS, _PART_WORDS, starts.append
        at, end = 0, len(words)
        try:
            while at < end:
                info = words[at + 1]
                kind = info >> 24 & 31
                table = tables[kind]
                if table is not None:
                    table.setdefault(words[at], len(starts))
                found(at)
                at += fixed[kind] + each[kind] * (info & 0xFFFF)
        except IndexError:
            raise ValueError("BTF is cut") from None
        self._starts = starts
        self._named = named  # by kind, then by where the name is

    def struct(self, name: str) -> int | None:
        """Return the number of `struct name`, None where the kernel has none."""
        return self._of_name(name, Kind.STRUCT)

    def typedef(self, name: str) -> int | None:
        """Return the number of the typedef `name`, None where the kernel has none."""
        return self._of_name(name, Kind.TYPEDEF)

    def enum(self, name: str) -> int | None:
        """Return the number of `enum name`, None where the kernel has none."""
        return self._of_name(name, Kind.ENUM)

    def enumerator(self, enum: str, name: str) -> int | None:
        """Return the value of one name of `enum`, None where the kernel has none of that name."""
        number = self.enum(enum)
        for part in range(self._word(number, 1) & 0xFFFF if number else 0):
            if self._text(self._word(number or 0, 3 + 2 * part)) == name:
                return self._word(number or 0, 4 + 2 * part)
        return None

    def resolve(self, number: int) -> int:
        """Return what a type is without typedefs, const and the like."""
        while self.kind(number) in _NAMES_ONLY:
            number = self.target(number)
        return number

    def kind(self, number: int) -> int:
        """Return the type's kind: one of `Kind`, or a number that this reader does not know."""
        return self._word(number, 1) >> 24 & 31 if number else Kind.VOID

    def name(self, number: int) -> str:
        """Return the type's name, empty where it has none."""
        return self._text(self._word(number, 0)) if number else ""

    def size_bytes(self, number: int) -> int:
        """Return the size of a number, enum, struct or union."""
        return self._word(number, 2)

    def target(self, number: int) -> int:
        """Return what a pointer points to, or a typedef stands for."""
        return self._word(number, 2)

    def element(self, number: int) -> tuple[int, int]:
        """Return an array's element type and its length."""
        return self._word(number, 3), self._word(number, 5)

    def members(self, number: int) -> list[Member]:
        """Return the members of a struct or union, those without a name too."""
        info = self._word(number, 1)
        packed = info >> 31  # offsets hold widths of bit-fields
        found = []
        for part in range(info & 0xFFFF):
            name, kind, offset = (self._word(number, 3 + 3 * part + i) for i in range(3))
            bits = offset >> 24 if packed else 0
            offset = offset & 0xFFFFFF if packed else offset
            found.append(Member(self._text(name), kind, offset, bits))
        return found

    def integer(self, number: int) -> str:
        """Return a number's type as C has it; its own name may be another language's."""
        name = self.name(number)
        if name in ("char", "_Bool"):
            return name
        size, signed = self.size_bytes(number), self._word(number, 3) >> 24 & 1
        return f"{'signed' if signed else 'unsigned'} {_INTEGERS.get(size, 'char')}"

    def _of_name(self, name: str, kind: int) -> int | None:
        at = self._names.find(b"\0" + name.encode() + b"\0") if name else -1
        return self._named[kind].get(at + 1) if at >= 0 else None

    def _word(self, number: int, place: int) -> int:
        return self._words[self._starts[number] + place]

    def _text(self, offset: int) -> str:
        return self._names[offset : self._names.index(b"\0", offset)].decode("ascii", "replace")


def small(types: Types, names: Iterable[str]) -> bytes:
    """Return a BTF file with the integer typedefs and enums of these names, and no more.

    An enum has one value, of no meaning, for one without is not whole. Raises
    ValueError where the kernel has no such name, or it is something else.
    """
    texts, made, count = b"\0", b"", 0

    def add(name: str, kind: int, last: int, *words: int, parts: int = 0) -> int:
        nonlocal texts, made, count
        made += packing.pack(
            f"=III{len(words)}I", len(texts) if name else 0, kind << 24 | parts, last, *words
        )
        texts += name.encode() + b"\0"
        count += 1
        return count

    add("int", Kind.INT, 4, 1 << 24 | 32)
    for name in names:
        enum, typedef = types.enum(name), types.typedef(name)
        if enum is not None:
            add(name, Kind.ENUM, types.size_bytes(enum), len(texts) + len(name) + 1, 0, parts=1)
            texts += f"sl_{name}\0".encode()
            continue
        base = 0 if typedef is None else types.resolve(typedef)
        if types.kind(base) != Kind.INT:
            raise ValueError(f"not an integer type: {name}")
        bits = types.size_bytes(base) * 8
        signed = types.integer(base).startswith(("signed", "char"))
        number = add(types.integer(base), Kind.INT, bits // 8, signed << 24 | bits)
        add(name, Kind.TYPEDEF, number)
    header = (_MAGIC, 1, 0, _HEADER.size, 0, len(made), len(made), len(texts))
    return _HEADER.pack(*header) + made + texts


@lru_cache(maxsize=1)
def of_kernel(path: Path = KERNEL) -> Types | None:
    """Return the running kernel's types, None where it does not tell them."""
    try:
        return Types(path.read_bytes())
    except (OSError, ValueError):
        return None
