"""A small client of PostgreSQL's protocol, version 3: what the lab's application needs.

No dependency, and one `send` per question, as the usual drivers do. Trust
authentication only: the lab's servers listen on loopback and live for seconds.
Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = tuple[str | None, ...]

_PROTOCOL_3 = 196608


class DatabaseError(Exception):
    """The server's own message, or that it closed the connection."""


class Connection:
    """One connection to a server; not for use by two threads at once."""

    def __init__(self, address: tuple[str, int] | str, *, user: str, database: str) -> None:
        """Connect over TCP (host and port) or a Unix socket (its path)."""
        self._received = b""
        if isinstance(address, str):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.connect(address)
            words = ("user", user, "database", database, "")
            body = struct.pack("!I", _PROTOCOL_3) + b"".join(_text(word) for word in words)
            self._ask(struct.pack("!I", len(body) + 4) + body)
        except BaseException:
            self._socket.close()
            raise

    def query(self, sql: str) -> list[Row]:
        """Return the rows of one statement sent by the simple protocol."""
        return self._ask(_message(b"Q", _text(sql)))

    def execute(self, sql: str, *parameters: str) -> list[Row]:
        """Return the rows of one statement with $1, $2 … by the extended protocol."""
        values = b"".join(
            struct.pack("!I", len(value)) + value for value in (p.encode() for p in parameters)
        )
        return self._ask(
            _message(b"P", b"\0" + _text(sql) + struct.pack("!H", 0))
            + _message(b"B", struct.pack("!2sHH", b"\0\0", 0, len(parameters)) + values + b"\0\0")
            + _message(b"E", b"\0" + struct.pack("!I", 0))
            + _message(b"S", b"")
        )

    def close(self) -> None:
        """Say goodbye and close."""
        with suppress(OSError):
            self._socket.sendall(_message(b"X", b""))
        self._socket.close()

    def _ask(self, question: bytes) -> list[Row]:
        self._socket.sendall(question)
        rows: list[Row] = []
        failure: str | None = None
        for kind, body in self._answer():
            if kind == b"D":
                rows.append(_row(body))
            elif kind == b"E":
                failure = _error(body)
            elif kind == b"R" and struct.unpack_from("!I", body)[0] != 0:
                raise DatabaseError("the server asks for a password")
        if failure is not None:
            raise DatabaseError(failure)
        return rows

    def _answer(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (kind, body) of each message up to ReadyForQuery."""
        while True:
            while len(self._received) < 5 or len(self._received) < 1 + self._length():
                chunk = self._socket.recv(65536)
                if not chunk:
                    raise DatabaseError("the server closed the connection")
                self._received += chunk
            end = 1 + self._length()
            kind, body = self._received[:1], self._received[5:end]
            self._received = self._received[end:]
            yield kind, body
            if kind == b"Z":
                return
            if kind == b"E" and b"SFATAL\0" in body:
                raise DatabaseError(_error(body))

    def _length(self) -> int:
        return int.from_bytes(self._received[1:5], "big")


def literal(text: str) -> str:
    """Return `text` as an SQL string constant."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _row(body: bytes) -> Row:
    (count,) = struct.unpack_from("!H", body)
    values: list[str | None] = []
    at = 2
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        values.append(None if size < 0 else body[at : at + size].decode())
        at += max(size, 0)
    return tuple(values)


def _error(body: bytes) -> str:
    fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0")}
    return fields.get(b"M", "unknown error")
