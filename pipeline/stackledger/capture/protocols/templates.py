"""Names requests by what others like them were called: some 10 ns a text and step.

The full naming takes some 15 regular expressions. But a text settles its name early,
and but for some of its characters: an id's digits, a query's words, a string's content.
What is left are literals, which plain comparisons find. A protocol's `settle` says
where a text's name is settled and what is free; the name is then that of every text
with the same literals.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

Columns = dict[str, pa.Array]

DIGITS = string.digits  # at least one; of the others any number, even none
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
NO_SPACE = _PRINTABLE.replace(" ", "")
NO_QUOTE = _PRINTABLE.replace("'", "").replace("\\", "")

_KEPT = 64
_LEARNED_AT_ONCE = 16
_LEARNED_FROM = 1024


@dataclass(frozen=True, slots=True)
class Settled:
    """The beginning of a text that settles its name: `gaps` are (start, end, characters).

    `end` is where it is settled, None if nothing may follow what was seen.
    """

    gaps: tuple[tuple[int, int, str], ...]
    end: int | None


_AS_IT_IS = Settled((), None)


@dataclass(slots=True)
class Template:
    """Literals with runs of certain characters between them, and the name of such texts."""

    literals: list[str]
    gaps: list[str]
    open: bool  # whether anything may follow the last literal
    name: tuple[str, ...]
    hits: int = 0

    def matches(self, texts: pa.StringArray) -> pa.BooleanArray:
        """Return which texts are of this kind."""
        mask = pc.starts_with(texts, self.literals[0])
        if (self.open and not self.gaps) or not mask.true_count:
            return mask
        rest = _without(texts.filter(mask), self.literals[0])
        for gap, literal in zip(self.gaps, self.literals[1:], strict=True):
            trimmed = pc.ascii_ltrim(rest, characters=gap)
            fits = pc.starts_with(trimmed, literal)
            if gap == DIGITS:
                fits = pc.and_(fits, pc.less(pc.binary_length(trimmed), pc.binary_length(rest)))
            mask = pc.replace_with_mask(mask, mask, fits)
            rest = _without(trimmed.filter(fits), literal)
        if not self.open:
            mask = pc.replace_with_mask(mask, mask, pc.equal(pc.binary_length(rest), _NOTHING))
        return mask


_LONGEST = 1 << 20  # longer than any line; without it pyarrow 26 reckons with 2^63 bytes each
_NOTHING = pa.scalar(0, pa.int32())


def _without(texts: pa.StringArray, literal: str) -> pa.StringArray:
    """Return texts that all begin with a literal without it."""
    start = len(literal.encode())
    return pc.binary_slice(texts.view(pa.binary()), start, _LONGEST).view(pa.string())


class Known:
    """The kinds of texts seen, those met most often first."""

    def __init__(
        self,
        columns: tuple[str, ...],
        name: Callable[[pa.StringArray], Columns],
        settle: Callable[[str, str], Settled | None],
    ) -> None:
        self._columns = columns
        self._name = name
        self._settle = settle
        self._templates: list[Template] = []

    def name(self, texts: pa.StringArray) -> dict[str, pa.DictionaryArray]:
        """Return the columns of names; texts of no known kind take the full naming."""
        kinds = pa.nulls(len(texts), pa.int32())
        left = texts
        for number, template in enumerate(self._templates):
            if not len(left):
                break
            template.hits //= 2
            mask = template.matches(left)
            count = mask.true_count
            if not count:
                continue
            template.hits += count
            unnamed = pc.is_null(kinds)
            of_left = pc.if_else(mask, pa.scalar(number, pa.int32()), _NO_KIND)
            kinds = pc.replace_with_mask(kinds, unnamed, of_left)
            left = left.filter(pc.invert(mask))
        known = list(zip(*(one.name for one in self._templates), strict=True)) or [()] * 3
        found = self._name(left) if len(left) else {}
        columns = {
            column: _joined(kinds, names, found.get(column))
            for column, names in zip(self._columns, known, strict=True)
        }
        if len(left):
            self._learn(left, found)
        self._templates.sort(key=lambda one: one.hits, reverse=True)
        del self._templates[_KEPT:]
        return columns

    def _learn(self, texts: pa.StringArray, names: Columns) -> None:
        """Remember the kinds of some texts that were named at length."""
        columns = [texts, *(names[one] for one in self._columns)]
        rows = pa.table(columns, ["text", *self._columns]).slice(0, _LEARNED_FROM)
        for _ in range(_LEARNED_AT_ONCE):
            if not rows.num_rows:
                return
            text, *name = (column[0].as_py() for column in rows.columns)
            settled = self._settle(text, name[0]) or _AS_IT_IS
            template = _template(text, tuple(name), settled)
            alike = template.matches(rows.column("text").combine_chunks())
            template.hits = alike.true_count
            self._templates.append(template)
            rows = rows.filter(pc.invert(alike))


_NO_KIND = pa.scalar(None, pa.int32())


def _template(text: str, name: tuple[str, ...], settled: Settled) -> Template:
    literals, gaps, at = [], [], 0
    for start, end, characters in settled.gaps:
        literals.append(text[at:start])
        gaps.append(characters)
        at = end
    literals.append(text[at : settled.end])
    return Template(literals, gaps, settled.end is not None, name)


def _joined(
    kinds: pa.Int32Array, names: tuple[str, ...], others: pa.StringArray | None
) -> pa.DictionaryArray:
    """Return the names of kinds; those of texts without one are, in their order, `others`."""
    words = pa.array(names, pa.string())
    if others is not None:
        encoded = others.dictionary_encode()
        numbers = pc.add(encoded.indices, pa.scalar(len(words), pa.int32()))
        kinds = pc.replace_with_mask(kinds, pc.is_null(kinds), numbers)
        words = pa.concat_arrays([words, encoded.dictionary])
    distinct = words.dictionary_encode()  # many kinds may have one name
    indices = distinct.indices.take(kinds)
    return pa.DictionaryArray.from_arrays(indices, distinct.dictionary, safe=False)
