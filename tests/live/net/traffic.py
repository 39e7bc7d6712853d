"""Prime numbers of TCP connections of every kind, between two network namespaces.

    python traffic.py WHAT serve|ask ADDRESS ADDRESS6

Each end prints, as JSON, what it counted itself. WHAT is the name of a function here.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

PLAIN, PLAIN6, FIRST, UNREAD, STUCK, BULK, LATE, DATAGRAMS = range(5001, 5009)
CLOSED, SILENT, FORBIDDEN = 5101, 5102, 5103
CLOSES = {PLAIN: 23, FIRST: 7, PLAIN6: 17}
REFUSED, ABORTED, UNREAD_CLOSES, SYN_TIMEOUTS, STUCK_TIMEOUTS, GIVEN_UP = 5, 11, 13, 3, 2, 19
BULK_CONNECTIONS, BULK_BYTES = 7, 1_000_003
USER_TIMEOUT_MS = 600
REUSES, REUSED_PORT = 31, 6001
LATE_CONNECTIONS = 3
CLIENT = "sl client"
HELD_BYTES = 100_003
OPEN, OUTLIVE_S, REST_S = 3, 90, 3
# An even number: of a range of odd length Linux passes over a port once in ten times.
PORTS, WITHOUT_PORT = 12, 5
DATAGRAMS_SENT, FORBIDDEN_SENT = 97, 53
END = b"."


def listener(address: str, port: int, backlog: int = 64) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind((address, port))
    sock.listen(backlog)
    return sock


def connected(address: str, port: int) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection((address, port))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def ports(sock: socket.socket) -> tuple[int, int]:
    """Return the local and the remote port, of a socket that is connected."""
    return sock.getsockname()[1], sock.getpeername()[1]


def drain(sock: socket.socket) -> int:
    """Read to the end; return the bytes."""
    total = 0
    while data := sock.recv(1 << 16):
        total += len(data)
    return total


def lengths(number: int) -> tuple[int, int]:
    """Return how many bytes the client and the server send on the n-th connection."""
    return 1009 * number + 1, 70_001 * number + 3


class Counted:
    """What an end says: the bytes by its own port or, on the server, by the client's."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.connections: list[dict[str, int]] = []

    def add(self, ports: tuple[int, int], sent: int, received: int, **more: int) -> None:
        local, remote = ports
        self.connections.append(
            {"local": local, "remote": remote, "sent": sent, "received": received, **more}
        )

    def say(self, **more: object) -> None:
        print(json.dumps({"pid": self.pid, "connections": self.connections, **more}))


def connections_serve(address: str, address6: str) -> None:
    counted = Counted()
    waiting = {port: listener(address, port) for port in (PLAIN, FIRST, UNREAD, STUCK)}
    waiting[PLAIN6] = listener(address6, PLAIN6)
    control, _ = listener(address, 5000).accept()  # the client is ready, and tells the end
    kept = []
    for port, count in CLOSES.items():
        for number in range(count):
            sock, _ = waiting[port].accept()
            ends = ports(sock)
            asked, answered = lengths(number)
            got = 0
            while got < asked:
                got += len(sock.recv(1 << 16))
            sock.sendall(b"y" * answered)
            if port == FIRST:
                sock.shutdown(socket.SHUT_WR)
                drain(sock)
            else:
                assert drain(sock) == 0
            counted.add(ends, answered, got)
            sock.close()
            control.sendall(END)
    for _number in range(ABORTED):
        sock, _ = waiting[PLAIN].accept()
        with suppress(ConnectionResetError):
            drain(sock)
        sock.close()
        control.sendall(END)
    for _number in range(UNREAD_CLOSES):
        sock, _ = waiting[UNREAD].accept()
        while not sock.recv(1, socket.MSG_PEEK):
            pass
        sock.close()
        control.sendall(END)
    for _number in range(STUCK_TIMEOUTS):
        kept.append(waiting[STUCK].accept()[0])
        control.sendall(END)
    assert control.recv(1) == END
    counted.say()


def connections_ask(address: str, address6: str) -> None:
    counted = Counted()
    control = connected(address, 5000)
    for port, count in CLOSES.items():
        for number in range(count):
            asked, answered = lengths(number)
            begun = time.monotonic_ns()
            sock = connected(address6 if port == PLAIN6 else address, port)
            took = time.monotonic_ns() - begun
            ends = ports(sock)
            sock.sendall(b"x" * asked)
            got = 0
            while got < answered:
                got += len(sock.recv(1 << 16))
            if port == FIRST:
                assert drain(sock) == 0
            counted.add(ends, asked, got, connect_ns=took)
            sock.close()
            assert control.recv(1) == END
    for _number in range(REFUSED):
        with suppress(ConnectionRefusedError):
            socket.create_connection((address, CLOSED))
    aborted(address, control)
    unread(address, control)
    timed_out(address, control)
    control.sendall(END)
    counted.say()


def aborted(address: str, control: socket.socket) -> None:
    for _number in range(ABORTED):
        sock = connected(address, PLAIN)
        abort(sock)
        assert control.recv(1) == END


def abort(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def unread(address: str, control: socket.socket) -> None:
    for _number in range(UNREAD_CLOSES):
        sock = connected(address, UNREAD)
        sock.sendall(b"never read")
        assert control.recv(1) == END
        with suppress(ConnectionResetError):
            drain(sock)
        sock.close()


def timed_out(address: str, control: socket.socket) -> None:
    timeouts = [threading.Thread(target=unanswered, args=(address,)) for _ in range(SYN_TIMEOUTS)]
    for one in timeouts:
        one.start()
    for _number in range(GIVEN_UP):
        sock = socket.socket()
        sock.setblocking(False)
        with suppress(BlockingIOError):
            sock.connect((address, SILENT))
        sock.close()
    for _number in range(STUCK_TIMEOUTS):
        sock = connected(address, STUCK)
        assert control.recv(1) == END
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        sock.sendall(b"z" * 1000)
        with suppress(TimeoutError):
            drain(sock)
        sock.close()
    for one in timeouts:
        one.join()


def unanswered(address: str) -> None:
    with suppress(TimeoutError):
        socket.create_connection((address, SILENT))


def bulk_serve(address: str, address6: str) -> None:
    counted = Counted()
    waiting = listener(address, BULK)

    def serve(sock: socket.socket) -> None:
        ends = ports(sock)
        received = drain(sock)
        sock.sendall(b"y" * BULK_BYTES)
        counted.add(ends, BULK_BYTES, received)
        sock.close()

    threads = []
    for _number in range(BULK_CONNECTIONS):
        sock, _ = waiting.accept()
        threads.append(threading.Thread(target=serve, args=(sock,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    counted.say()


def bulk_ask(address: str, address6: str) -> None:
    counted = Counted()
    Path("/proc/self/comm").write_text(CLIENT)

    def ask() -> None:
        sock = connected(address, BULK)
        ends = ports(sock)
        sock.sendall(b"x" * BULK_BYTES)
        sock.shutdown(socket.SHUT_WR)
        counted.add(ends, BULK_BYTES, drain(sock))
        sock.close()

    threads = [threading.Thread(target=ask) for _ in range(BULK_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted.say()


def reused_serve(address: str, address6: str) -> None:
    """One pair of addresses and ports for one connection after another."""
    counted = Counted()
    waiting = listener(address, PLAIN)
    for number in range(REUSES):
        sock, _ = waiting.accept()
        ends = ports(sock)
        got = 0
        while got < 101 * number + 1:
            got += len(sock.recv(1 << 16))
        sock.sendall(END)
        with suppress(ConnectionResetError):
            drain(sock)
        counted.add(ends, 1, got)
        sock.close()
    counted.say()


def reused_ask(address: str, address6: str) -> None:
    counted = Counted()
    connected_first = False
    for number in range(REUSES):
        while True:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", REUSED_PORT))
            try:
                sock.connect((address, PLAIN))
                break
            except ConnectionRefusedError:
                assert not connected_first
                sock.close()
                time.sleep(0.01)
        connected_first = True
        ends = ports(sock)
        sock.sendall(b"x" * (101 * number + 1))
        assert sock.recv(1) == END
        abort(sock)
        counted.add(ends, 101 * number + 1, 1)
    counted.say()


def late_serve(address: str, address6: str) -> None:
    waiting = listener(address, LATE)
    kept = [waiting.accept()[0] for _ in range(LATE_CONNECTIONS)]
    for sock in kept:
        drain(sock)
    Counted().say()


def late_ask(address: str, address6: str) -> None:
    counted = Counted()

    def ask() -> None:
        begun = time.monotonic_ns()
        sock = connected(address, LATE)
        took = time.monotonic_ns() - begun
        counted.add(ports(sock), 0, 0, connect_ns=took)
        sock.close()

    time.sleep(0.5)  # the listener is there
    threads = [threading.Thread(target=ask) for _ in range(LATE_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted.say()


def held_serve(address: str, address6: str) -> None:
    counted = Counted()
    sock, _ = listener(address, PLAIN).accept()
    got = 0
    while got < HELD_BYTES:
        got += len(sock.recv(1 << 16))
    sock.sendall(b"y" * 2 * HELD_BYTES)
    drain(sock)
    counted.say()


def held_ask(address: str, address6: str) -> None:
    """What `ss -ti` says of a connection just before it closes."""
    counted = Counted()
    sock = connected(address, PLAIN)
    sock.sendall(b"x" * HELD_BYTES)
    got = 0
    while got < 2 * HELD_BYTES:
        got += len(sock.recv(1 << 16))
    time.sleep(0.3)  # delayed acknowledgements
    listed = subprocess.run(
        ["ss", "-tinHO", "dport", "=", f":{PLAIN}"], check=True, capture_output=True, text=True
    ).stdout
    counted.add(ports(sock), HELD_BYTES, got)
    sock.close()
    counted.say(ss=listed)


def open_serve(address: str, address6: str) -> None:
    """Connections that both ends keep until the capture has ended."""
    waiting = listener(address, PLAIN)
    kept = [waiting.accept()[0] for _ in range(OPEN)]
    Counted().say(sockets=len(kept))
    outlive(kept)


def open_ask(address: str, address6: str) -> None:
    kept = [connected(address, PLAIN) for _ in range(OPEN)]
    sock = socket.socket()
    sock.setblocking(False)
    with suppress(BlockingIOError):
        sock.connect((address, SILENT))
    Counted().say(sockets=len(kept))
    outlive([*kept, sock])


def rest_serve(address: str, address6: str) -> None:
    time.sleep(REST_S)
    Counted().say()


rest_ask = rest_serve


def outlive(kept: list[socket.socket]) -> None:
    """Leave the sockets to a child that stays for some seconds."""
    sys.stdout.flush()
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        time.sleep(OUTLIVE_S)
        for sock in kept:
            sock.close()
        os._exit(0)
    time.sleep(0.5)


def exhausted_serve(address: str, address6: str) -> None:
    waiting = listener(address, PLAIN)
    for sock in [waiting.accept()[0] for _ in range(PORTS)]:
        drain(sock)
    Counted().say()


def exhausted_ask(address: str, address6: str) -> None:
    kept = [connected(address, PLAIN) for _ in range(PORTS)]
    for _number in range(WITHOUT_PORT):
        assert socket.socket().connect_ex((address, PLAIN)) == errno.EADDRNOTAVAIL
    for sock in kept:
        sock.close()
    Counted().say()


def datagrams_serve(address: str, address6: str) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.bind((address, DATAGRAMS))
    control, _ = listener(address, 5000).accept()
    control.sendall(END)
    assert control.recv(1) == END
    sock.setblocking(False)
    got = 0
    with suppress(BlockingIOError):
        while sock.recv(1 << 16):
            got += 1
    Counted().say(got=got)


def datagrams_ask(address: str, address6: str) -> None:
    control = connected(address, 5000)
    assert control.recv(1) == END
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _number in range(DATAGRAMS_SENT):
        sock.sendto(b"x" * 700, (address, DATAGRAMS))
    for _number in range(FORBIDDEN_SENT):
        sock.sendto(b"x" * 100, (address, FORBIDDEN))
    time.sleep(0.2)
    control.sendall(END)
    Counted().say()


if __name__ == "__main__":
    globals()[f"{sys.argv[1]}_{sys.argv[2]}"](*sys.argv[3:])
