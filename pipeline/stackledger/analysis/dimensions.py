"""By what costs are split: endpoint, service, container, statement, or one's own expression.

A dimension gives every request a subject. Of an endpoint and of an own
expression it is that of the transaction's root, and what is counted are
transactions; of the others it is the request's own, and what is counted are
requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.errors import UsageError, nearest

if TYPE_CHECKING:
    import duckdb

NO_MATCH = "(no match)"
_OF_ROOTS = {"endpoint": "r.endpoint"}
_OF_REQUESTS = {
    "service": "coalesce(s.service, '(unknown)')",
    "container": "coalesce(c.cgroup, '(unknown)')",
    "statement": "CASE WHEN s.layer = 'database' THEN g.key ELSE '(not a statement)' END",
}
# The first bytes where they were recorded; one that is cut within a character, or
# is no text, is written with \xNN.
_MATCHED = """
CASE WHEN regexp_matches(
  coalesce(try(decode(q.payload)), q.payload::VARCHAR, r.endpoint), $pattern
) THEN regexp_extract(
  coalesce(try(decode(q.payload)), q.payload::VARCHAR, r.endpoint), $pattern, 1
) ELSE $no_match END
"""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension's name, and its expression where it is one's own."""

    name: str = "endpoint"
    pattern: str | None = None

    @property
    def of_roots(self) -> bool:
        """Whether whole transactions are counted, every layer below a root included."""
        return self.name in _OF_ROOTS or self.pattern is not None

    @property
    def subject(self) -> str:
        """Return the SQL of a subject.

        Over root r and its request q; or over a group g of requests by `key`,
        its service s and its container c.
        """
        return _MATCHED if self.pattern is not None else {**_OF_ROOTS, **_OF_REQUESTS}[self.name]

    @property
    def key(self) -> str:
        """Return the SQL of what requests q of roots r are grouped by, beside the process."""
        if self.of_roots:
            return "r.number"
        return "q.endpoint" if self.name == "statement" else "0"

    @property
    def parameters(self) -> dict[str, object]:
        """Return the parameters that `subject` takes."""
        if self.pattern is None:
            return {}
        return {"pattern": self.pattern, "no_match": NO_MATCH}


NAMES = (*_OF_ROOTS, *_OF_REQUESTS)


def dimension(word: str, connection: duckdb.DuckDBPyConnection) -> Dimension:
    """Return the dimension that a word names; an expression is checked by DuckDB (RE2).

    Raises UsageError for a word that is neither, and for a wrong expression,
    with the character at which it is wrong.
    """
    if word in NAMES:
        return Dimension(word)
    if "(" not in word:
        hint = nearest(word, NAMES)
        raise UsageError(
            "no such dimension",
            word,
            hint=hint or f"accepted: {', '.join(NAMES)}, or a regular expression with one group",
        )
    _check(word, connection)
    return Dimension("match", word)


def _check(pattern: str, connection: duckdb.DuckDBPyConnection) -> None:
    import duckdb

    for names, wrong in (("['a']", "it has no group"), ("['a', 'b']", "")):
        try:
            connection.execute(f"SELECT regexp_extract('', $1, {names})", [pattern])
        except duckdb.Error as failure:
            said = str(failure).partition("failed to parse: ")[2]
            if said:
                raise _unreadable(pattern, said) from None
            if wrong:
                raise UsageError(
                    f"the regular expression needs one group: {wrong}",
                    pattern,
                    hint="put what names the row into parentheses: '^GET /shop/([^/ ]+)'",
                ) from None
            return
    raise UsageError(
        "the regular expression needs one group: it has several",
        pattern,
        hint="(?:…) groups without naming a row",
    )


def _unreadable(pattern: str, said: str) -> UsageError:
    """Return the error with its place: RE2 says which part of the pattern it is."""
    what, _, part = said.splitlines()[0].partition(": ")
    # Of a group that does not end RE2 names all of the expression.
    place = pattern.rfind("(") if what == "missing )" else pattern.find(part) if part else -1
    where = f" at character {place + 1}" if place >= 0 else ""
    return UsageError(f"the regular expression is wrong{where}, {what}", pattern)
