"""The block layer's codes: what kind of I/O, and how it ended."""

from __future__ import annotations

import errno as codes

import pyarrow as pa

# include/linux/blk_types.h, the same from Linux 4.10 to 6.18.
_OPERATIONS = {
    0: "R",
    1: "W",
    2: "F",
    3: "D",  # discard
    5: "DE",  # secure erase
    7: "W",  # zone append
    9: "W",  # write zeroes
}
_SYNC, _META, _FUA, _PREFLUSH, _AHEAD = (1 << bit for bit in (11, 12, 17, 18, 19))

# block/blk-core.c, blk_errors; what is not here is an I/O error there too.
_ERRORS = {
    0: 0,
    1: codes.EOPNOTSUPP,
    2: codes.ETIMEDOUT,
    3: codes.ENOSPC,
    4: codes.ENOLINK,
    5: codes.EREMOTEIO,
    6: codes.EBADE,
    7: codes.ENODATA,
    8: codes.EILSEQ,
    9: codes.ENOMEM,
    12: codes.EAGAIN,
    13: codes.EBUSY,
}


def rwbs(flags: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return the kernel's letters for a request's cmd_flags: `R`, `WS`, `FWS`, `RA`, …"""
    encoded = _distinct(flags)
    letters = pa.array([_letters(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return letters.take(encoded.indices)


def errno(status: pa.ChunkedArray) -> pa.Int64Array:
    """Return 0 or a negative errno for a request's blk_status_t."""
    encoded = _distinct(status)
    errors = [-_ERRORS.get(value, codes.EIO) for value in encoded.dictionary.to_pylist()]
    return pa.array(errors, pa.int64()).take(encoded.indices)


def _letters(flags: int) -> str:
    return "".join(
        (
            "F" if flags & _PREFLUSH else "",
            _OPERATIONS.get(flags & 0xFF, "N"),
            "F" if flags & _FUA else "",
            "A" if flags & _AHEAD else "",
            "S" if flags & _SYNC else "",
            "M" if flags & _META else "",
        )
    )


def _distinct(values: pa.ChunkedArray) -> pa.DictionaryArray:
    return values.combine_chunks().dictionary_encode()
