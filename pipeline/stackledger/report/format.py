"""The only place where a number becomes text.

Every function takes None for "no value" and returns "–" for it. Three figures
carry the meaning; a unit is chosen so that the number stays between 1 and 999
where there is one. `unit=` fixes it, for columns whose lines have to add up.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

NO_VALUE = "–"

_DURATIONS = (("ns", 1), ("µs", 10**3), ("ms", 10**6), ("s", 10**9))
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SIZES = (("B", 1), ("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30), ("TiB", 2**40), ("PiB", 2**50))
_COUNTS = (("", 1), ("M", 10**6), ("G", 10**9), ("T", 10**12))
_RATES = (("k", 10**3), ("M", 10**6), ("G", 10**9))
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}
_BATCHES = ((1, "request"), (1000, "thousand requests"), (10**6, "million requests"))

Number = int | float | Decimal


def _figures(value: float) -> str:
    """Return three figures below 100, whole numbers above: 1.23, 12.3, 123."""
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f}"


def _scaled(value: float, units: tuple[tuple[str, int], ...]) -> str:
    """Return the value in the largest unit that leaves at least 1 after rounding."""
    chosen, factor = units[0]
    for name, size in units[1:]:
        # 999.6 µs would print as 1000 µs: rounded up, it belongs to the next unit.
        if abs(value) >= size or float(_figures(abs(value) / factor)) >= size / factor:
            chosen, factor = name, size
    text = f"{value:.0f}" if factor == 1 else _figures(value / factor)
    return f"{text} {chosen}".rstrip()


def _missing(value: Number | None) -> bool:
    return value is None or not math.isfinite(value)


def duration(ns: Number | None, unit: str | None = None) -> str:
    """Return nanoseconds as "850 ns", "12.3 µs", "1.24 ms", "2.00 s", "3 min 05 s".

    With `unit` ns, µs, ms or s: in that unit, with one decimal.
    """
    if ns is None or _missing(ns):
        return NO_VALUE
    value = float(ns)
    if unit is not None:
        return f"{value / dict(_DURATIONS)[unit]:.1f} {unit}"
    seconds = round(abs(value) / 1e9)
    if seconds < _MINUTE:
        return _scaled(value, _DURATIONS) if value else "0 ns"
    sign = "-" if value < 0 else ""
    for size, name, part, part_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            return f"{sign}{whole} {name} {rest // part:02d} {part_name}"
    raise AssertionError("a duration of a minute or more has a unit")


def in_unit(ns: Number | None, unit: str) -> str:
    """Return nanoseconds in that unit without its name, for columns whose heading has it."""
    if ns is None or _missing(ns):
        return NO_VALUE
    return _figures(float(ns) / dict(_DURATIONS)[unit])


def timestamp(ts_ns: int) -> str:
    """Return nanoseconds since the epoch as "2026-11-22 17:05:09.123", in UTC."""
    moment = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ts_ns // 10**6 % 1000:03d}"


def count(n: Number | None) -> str:
    """Return a number of things: "12,345" in full below a million, then "1.23 M"."""
    if n is None or _missing(n):
        return NO_VALUE
    if abs(float(n)) < 999_999.5:
        return f"{round(n):,}"
    return _scaled(float(n), _COUNTS)


def rate(per_s: Number | None) -> str:
    """Return so many a second: "0.25 /s", "8,980 /s", from 10,000 on "16.8 k/s"."""
    if per_s is None or _missing(per_s):
        return NO_VALUE
    if abs(float(per_s)) < 100:
        return f"{float(per_s):.3g} /s"
    if abs(float(per_s)) < 9_999.5:
        return f"{count(per_s)} /s"
    return f"{_scaled(float(per_s), _RATES)}/s"


def share(x: Number | None) -> str:
    """Return a share of 1 as "12.3 %"; what is not quite none is "< 0.1 %"."""
    if x is None or _missing(x):
        return NO_VALUE
    percent = float(x) * 100
    return "< 0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def signed_share(x: Number | None) -> str:
    """Return a share of 1 as "+12.3 %", "-0.4 %"; what is not quite none has no sign."""
    if x is None or _missing(x):
        return NO_VALUE
    said = share(abs(float(x)))
    return f"{'-' if x < 0 else '+'}{said}" if said[0].isdigit() and x else said


def size(size_bytes: Number | None) -> str:
    """Return bytes as "512 B", "1.50 KiB", "128 MiB"."""
    if size_bytes is None or _missing(size_bytes):
        return NO_VALUE
    return _scaled(float(size_bytes), _SIZES)


def money(amount: Decimal | None, currency: str = "USD", decimals: int | None = None) -> str:
    """Return an amount: "$1,234.50", and below a dollar three figures: "$0.0000123".

    Zeros that follow the cents are left out: "$0.096". With `decimals`, that
    many: for columns whose lines have to add up.
    """
    if amount is None or _missing(amount):
        return NO_VALUE
    sign = "-" if amount < 0 else ""
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    if decimals is not None:
        return f"{sign}{symbol}{abs(amount):,.{decimals}f}"
    digits = 2
    if amount and abs(amount) < Decimal("0.995"):
        # The first figure is -adjusted() decimals behind the point; two follow it.
        digits = max(2, 2 - Decimal(f"{abs(amount):.2e}").adjusted())
    whole, _, cents = f"{abs(amount):,.{digits}f}".partition(".")
    return f"{sign}{symbol}{whole}.{cents.rstrip('0').ljust(2, '0')}"


def money_within(amount: Decimal | None, decimals: int, currency: str = "USD") -> str:
    """Return an amount with at most so many decimals, "< $0.0001" where it is below them."""
    least = Decimal(1).scaleb(-decimals)
    if amount is None or not amount or _missing(amount):
        return money(amount, currency)
    if abs(amount) < least:
        return f"< {money(least, currency, decimals)}"
    written = money(amount, currency)
    return min(written, money(amount, currency, decimals), key=len)


def batch(dearest: Decimal) -> tuple[int, str]:
    """Return how many requests to price together, and their name.

    The smallest of 1, 1000 and 1,000,000 that makes the dearest endpoint cost
    a cent or more.
    """
    for number, name in _BATCHES:
        if dearest * number >= Decimal("0.01"):
            return number, name
    return _BATCHES[-1]
