"""SQL with its literals taken out, by Arrow's regular expressions.

One expression reads all tokens from left to right, so that a quote in a comment
or a comment in a quote mislead nobody. A replacement cannot choose, so every token
gets a mark behind it: a kept one stands before its mark, a literal left nothing.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_MARK = "\x03"
_QUOTED = r'"[^"]*(?:"|$)'
_STRINGS = (
    r"(?i:e)'(?:[^'\\]|''|\\.)*(?:'|\\?$)"  # with backslashes
    r"|(?i:[bxn]|u&)?'(?:[^']|'')*(?:'|$)"
    r"|\$\$.*?(?:\$\$|$)"
    r"|\$[A-Za-z_][A-Za-z0-9_]*\$.*$"  # to the end: RE2 cannot look for the same tag
    r"|\$(?:[A-Za-z_][A-Za-z0-9_]*)?$"  # cut within its beginning
)
_COMMENTS = r"--[^\x04]*|/\*.*?(?:\*/|$)"
_WORD = r"[A-Za-z_][A-Za-z0-9_$]*"
_PARAMETER = r"\$[0-9]+"
_NUMBER = r"\.?[0-9](?:[eE][-+][0-9]|[A-Za-z0-9_.])*"
_KEPT = rf"{_QUOTED}|{_WORD}|{_PARAMETER}"

_STEPS = (
    (r"\\x0a", "\x04"),
    (r"\\x(?:09|0b|0c|0d)", " "),
    (r"\\x[0-9a-f]{2}", "_"),
    (rf"(?s)({_STRINGS}|{_QUOTED})|{_COMMENTS}", r"\1"),
    (rf"(?s)(?:{_STRINGS}|({_KEPT})|{_NUMBER})", rf"\1{_MARK}"),
    (rf"({_KEPT}){_MARK}", r"\1"),
    (_MARK, "?"),
    (r"[\s\x04]+", " "),
    (r"([=<>(,+*/-] ?)[-+] ?\?", r"\1?"),
    (r"(?i)\b(in) ?\( ?(?:\?|\$[0-9]+)(?: ?, ?(?:\?|\$[0-9]+))*(?: ?\)| ?,? ?$)", r"\1 (?)"),
    (r"^ | ?;? ?$", ""),
)


def normalised(statements: pa.StringArray, cut: pa.BooleanArray) -> pa.StringArray:
    """Return statements with `?` for literals; `cut` says which ones lack their end.

    A cut statement ends with `…` behind its first literal: what follows depends on
    how long the literal was, and one statement would get many names.
    """
    for pattern, replacement in _STEPS:
        statements = pc.replace_substring_regex(
            statements, pattern=pattern, replacement=replacement
        )
    shortened = pc.replace_substring_regex(
        statements, pattern=r"(?s)^([^?]*\??\)?).*$", replacement=r"\1…"
    )
    return pc.if_else(cut, shortened, statements)
